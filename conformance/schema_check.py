#!/usr/bin/env python3
"""Is mof/ valid MOF, and does it say what the DMTF says?

Compiles mof/schema.mof with pywbem's MOF compiler into pywbem's mock server,
which rejects whatever DSP0004 forbids, and then compares every qualifier type
and every CIM_ class with the DMTF CIM Schema 2.49.0: superclass, qualifiers,
properties, references, methods and parameters. Descriptions are not compared,
except that none of them may be the DMTF's.

The DMTF's files come out of pywbem's source distribution:

    pip download --no-deps --no-binary :all: pywbem==1.9.1
    tar xzf pywbem-1.9.1.tar.gz
    python conformance/schema_check.py pywbem-1.9.1

Every difference is one line on standard output. Exit status 0: none, 1: some,
2: wrong usage.
"""

import argparse
import pathlib
import re
import sys
import tempfile
import zipfile

import pywbem
import pywbem_mock

SCHEMA_ZIP = "tests/schema/cim_schema_2.49.0Final-MOFs.zip"
SCHEMA_TOP = "cim_schema_2.49.0.mof"
NAMESPACE = "root/check"

# Prose and cross-references: no client behaviour hangs on them.
PROSE = {
    "classconstraint", "description", "mappingstrings", "methodconstraint",
    "modelcorrespondence", "umlpackagepath",
}

# A boolean qualifier with its default says what its absence says (DSP0004
# 5.6.3); the default is false for all but these.
BOOLEAN_DEFAULTS = {"in": True, "read": True}


def compile_declarations(top, search_path):
    """What a MOF file says itself, before inheritance is applied to it."""
    repository = pywbem.MOFWBEMConnection()
    compiler = pywbem.MOFCompiler(
        handle=repository, search_paths=[str(search_path)], log_func=None)
    compiler.compile_file(str(top), NAMESPACE)
    return (repository.qualifiers[NAMESPACE], repository.classes[NAMESPACE])


def mock_server_errors(top):
    """The complaint of a server that is given the schema, as a list of lines."""
    server = pywbem_mock.FakedWBEMConnection(default_namespace=NAMESPACE)
    try:
        server.compile_mof_file(str(top))
    except (pywbem.MOFCompileError, pywbem.Error, OSError) as error:
        return [f"{top}: does not compile: {error}"]
    return []


class Comparison:
    """The differences found so far, and how much was looked at."""

    def __init__(self):
        self.differences = []
        self.counts = dict.fromkeys(
            ("qualifier types", "classes", "properties", "methods",
             "parameters", "qualifiers"), 0)

    def differ(self, where, message):
        self.differences.append(f"{where}: {message}")

    def equal(self, where, what, ours, theirs):
        if ours != theirs:
            self.differ(
                where, f"{what} is {shown(ours)}, in 2.49.0 {shown(theirs)}")

    def members(self, where, what, ours, theirs):
        """The pairs that both sides have; reports those that only one has."""
        for name in theirs:
            if name not in ours:
                self.differ(where, f"{what} {name} is missing")
        for name in ours:
            if name not in theirs:
                self.differ(where, f"{what} {name} is not in 2.49.0")
            else:
                self.counts[what] += 1
                yield ours[name], theirs[name]

    def qualifiers(self, where, ours, theirs):
        ours, theirs = effective(ours), effective(theirs)
        for name in sorted(ours.keys() | theirs.keys()):
            self.counts["qualifiers"] += 1
            self.equal(where, f"qualifier {name}",
                       ours.get(name), theirs.get(name))

    def qualifier_types(self, ours, theirs):
        for our, their in self.members(
                "qualifiers.mof", "qualifier types", ours, theirs):
            where = f"Qualifier {their.name}"
            for what in ("name", "type", "is_array", "array_size", "value",
                         "overridable", "tosubclass", "translatable"):
                self.equal(where, what, getattr(our, what),
                           getattr(their, what))
            self.equal(where, "scope", scopes(our), scopes(their))

    def cim_class(self, ours, theirs):
        self.counts["classes"] += 1
        where = theirs.classname
        self.equal(where, "name", ours.classname, theirs.classname)
        self.equal(where, "superclass", ours.superclass, theirs.superclass)
        self.qualifiers(where, ours.qualifiers, theirs.qualifiers)
        for our, their in self.members(
                where, "properties", ours.properties, theirs.properties):
            element = f"{where}.{their.name}"
            self.element(element, our, their)
            self.equal(element, "default", our.value, their.value)
        for our, their in self.members(
                where, "methods", ours.methods, theirs.methods):
            self.method(f"{where}.{their.name}()", our, their)

    def method(self, where, ours, theirs):
        self.equal(where, "name", ours.name, theirs.name)
        self.equal(where, "return type", ours.return_type, theirs.return_type)
        self.qualifiers(where, ours.qualifiers, theirs.qualifiers)
        self.equal(where, "parameter order",
                   [name.lower() for name in ours.parameters],
                   [name.lower() for name in theirs.parameters])
        for our, their in self.members(
                where, "parameters", ours.parameters, theirs.parameters):
            self.element(f"{where}.{their.name}", our, their)

    def element(self, where, ours, theirs):
        """What properties and parameters have in common."""
        for what in ("name", "type", "reference_class", "is_array",
                     "array_size"):
            self.equal(where, what, getattr(ours, what), getattr(theirs, what))
        self.qualifiers(where, ours.qualifiers, theirs.qualifiers)


def shown(value):
    """A value as a reader of MOF would write it."""
    if isinstance(value, list):
        return "{ " + ", ".join(shown(item) for item in value) + " }"
    if isinstance(value, (bool, type(None))):
        return {None: "absent", True: "true", False: "false"}[value]
    return str(value)


def effective(qualifiers):
    """Qualifiers as {lower-case name: value}, less prose and mere defaults."""
    values = {name.lower(): qualifier.value
              for name, qualifier in qualifiers.items()}
    return {name: value for name, value in values.items()
            if name not in PROSE and not (
                isinstance(value, bool)
                and value == BOOLEAN_DEFAULTS.get(name, False))}


def scopes(qualifier):
    return sorted(name for name, on in qualifier.scopes.items() if on)


def elements(cim_class):
    """Every describable part of a class with its name, the class first."""
    yield cim_class.classname, cim_class
    for item in cim_class.properties.values():
        yield f"{cim_class.classname}.{item.name}", item
    for method in cim_class.methods.values():
        name = f"{cim_class.classname}.{method.name}()"
        yield name, method
        for item in method.parameters.values():
            yield f"{name}.{item.name}", item


def description(item):
    qualifier = item.qualifiers.get("Description")
    return " ".join((qualifier.value or "").split()) if qualifier else ""


def check_descriptions(comparison, ours, theirs):
    """Every class has one, and none longer than a label is the DMTF's."""
    dmtf = {description(item)
            for name, cim_class in theirs.items() if name in ours
            for _, item in elements(cim_class)}
    for cim_class in ours.values():
        if not description(cim_class):
            comparison.differ(cim_class.classname, "has no Description")
        for where, item in elements(cim_class):
            text = description(item)
            if len(text.split()) > 5 and text in dmtf:
                comparison.differ(where, "has the DMTF's Description")


def check_includes(comparison, top):
    """Every MOF file below the top one is compiled by it."""
    included = {(top.parent / name).resolve() for name in re.findall(
        r'#pragma\s+include\s*\(\s*"([^"]+)"', top.read_text("utf-8"))}
    for file in sorted(top.parent.rglob("*.mof")):
        if file.resolve() not in included and file.resolve() != top.resolve():
            comparison.differ(file.relative_to(top.parent),
                              f"is not included by {top.name}")


def check_own_classes(comparison, classes):
    """A class outside the CIM schema is Standpipe's and extends a CIM class."""
    for cim_class in classes:
        where = cim_class.classname
        if not where.startswith("Standpipe_"):
            comparison.differ(where, "is neither a CIM_ nor a Standpipe_ class")
        if not (cim_class.superclass or "").startswith("CIM_"):
            comparison.differ(where, "does not extend a CIM_ class")


def compare(top, source):
    comparison = Comparison()
    our_qualifiers, ours = compile_declarations(top, top.parent)
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(source / SCHEMA_ZIP) as archive:
            archive.extractall(scratch)
        their_qualifiers, theirs = compile_declarations(
            pathlib.Path(scratch) / SCHEMA_TOP, scratch)
    comparison.qualifier_types(our_qualifiers, their_qualifiers)
    own = []
    for name, cim_class in ours.items():
        if not name.lower().startswith("cim_"):
            own.append(cim_class)
        elif name in theirs:
            comparison.cim_class(cim_class, theirs[name])
        else:
            comparison.differ(name, "is not in 2.49.0")
    check_includes(comparison, top)
    check_own_classes(comparison, own)
    check_descriptions(comparison, ours, theirs)
    return comparison, len(own)


def main():
    parser = argparse.ArgumentParser(
        description="Compile mof/ and compare it with the DMTF CIM Schema "
                    "2.49.0.")
    parser.add_argument(
        "source", type=pathlib.Path,
        help="the unpacked source distribution of pywbem 1.9.1")
    parser.add_argument(
        "--schema", type=pathlib.Path,
        default=pathlib.Path(__file__).parent.parent / "mof" / "schema.mof",
        help="the top MOF file (default: mof/schema.mof)")
    arguments = parser.parse_args()
    for file in (arguments.source / SCHEMA_ZIP, arguments.schema):
        if not file.is_file():
            parser.error(f"{file} does not exist")

    problems = mock_server_errors(arguments.schema)
    summary = "schema: nothing compared"
    checked = 0
    if not problems:
        comparison, own = compare(arguments.schema, arguments.source)
        problems = comparison.differences
        compared = ", ".join(
            f"{count} {what}" for what, count in comparison.counts.items())
        checked = comparison.counts["classes"] + comparison.counts["qualifier types"]
        summary = f"schema: compared {compared}; {own} classes of our own"
    for problem in problems:
        print(problem)
    print(f"{summary}; differences: {len(problems)}")
    print(f"schema_check: {max(checked - len(problems), 0)} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
