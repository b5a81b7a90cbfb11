#!/usr/bin/env python3
"""Validate CIM-XML responses against the DSP0203 2.4.0 DTD.

As a module: `ValidatingConnection` is a `pywbem.WBEMConnection` that validates every reply it
receives, whatever the operation and whether or not it failed, and keeps the count. As a program:

    dtd.py FILE...      validate files that hold one CIM-XML message each
    wbemcli -dx ... 2>&1 | dtd.py -     take the messages out of a client's dump

pywbem's parser forgives things that stricter clients do not (unknown attributes in some places,
missing attributes, element order), so a reply that pywbem understands proves little; this does.
"""

import re
import sys
from pathlib import Path

import pywbem
from lxml import etree

# Where `scripts/setup` puts the source distribution that carries the DTD.
DTD_PATH = (
    Path(__file__).resolve().parent.parent
    / ".cache/pywbem-1.9.1/tests/dtd/DSP0203_2.4.0.dtd"
)

_parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
_dtd = None


def load_dtd(path=DTD_PATH):
    """The compiled DTD; loaded once."""
    global _dtd
    if _dtd is None:
        _dtd = etree.DTD(str(path))
    return _dtd


def faults(message):
    """What is wrong with one message (bytes), as a list of sentences; empty when it is valid.

    Beyond the DTD it looks at what DSP0201 and the clients in use ask for and a DTD cannot say:
    an XML declaration, UTF-8 without a byte-order mark, no DOCTYPE, comment or processing
    instruction, and embedded instances that are themselves valid.
    """
    found = []
    if not message.startswith(b"<?xml"):
        found.append("the message does not begin with an XML declaration")
    try:
        message.decode("utf-8")
    except UnicodeDecodeError as error:
        found.append(f"the message is not UTF-8: {error}")
    try:
        root = etree.fromstring(message, _parser)
    except etree.XMLSyntaxError as error:
        return [*found, f"not well-formed: {error}"]
    if root.getroottree().docinfo.internalDTD is not None:
        found.append("the message carries a DOCTYPE")
    found += _against_dtd(root)
    for node in root.iter():
        if not isinstance(node.tag, str):
            found.append(f"a comment or processing instruction at line {node.sourceline}")
        elif node.get("EmbeddedObject") is not None:
            found += _embedded_faults(node)
    return found


def _against_dtd(root):
    dtd = load_dtd()
    if dtd.validate(root):
        return []
    return [f"line {entry.line}: {entry.message}" for entry in dtd.error_log][:10]


def _embedded_faults(node):
    """The documents inside the values of one node that is marked as carrying embedded objects."""
    found = []
    for value in (*node.findall("VALUE"), *node.findall("VALUE.ARRAY/VALUE")):
        if not value.text:
            continue
        try:
            inner = etree.fromstring(value.text.encode("utf-8"), _parser)
        except etree.XMLSyntaxError as error:
            found.append(f"embedded object of {node.get('NAME')} is not well-formed: {error}")
            continue
        if inner.tag not in ("INSTANCE", "CLASS"):
            found.append(f"embedded object of {node.get('NAME')} is a {inner.tag}")
        found += [f"in embedded object: {fault}" for fault in _against_dtd(inner)]
    return found


class ValidatingConnection(pywbem.WBEMConnection):
    """A connection whose every reply is validated; `invalid` collects what was wrong."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.validated = 0
        self.invalid = []

    def _imethodcall(self, methodname, *args, **kwargs):
        try:
            return super()._imethodcall(methodname, *args, **kwargs)
        finally:
            self._validate(methodname)

    def _methodcall(self, methodname, *args, **kwargs):
        try:
            return super()._methodcall(methodname, *args, **kwargs)
        finally:
            self._validate(methodname)

    def _validate(self, operation):
        reply = self.last_raw_reply
        if reply is None:
            return
        if isinstance(reply, str):
            reply = reply.encode("utf-8")
        self.validated += 1
        for fault in faults(reply):
            self.invalid.append(f"{operation}: {fault}")


def messages_in_dump(dump):
    """The CIM-XML messages that a server sent, taken from a client's debug output, in order.

    wbemcli marks what it received; its own requests are left out, being of another DTD version.
    """
    mark = rb"From server: " if b"From server: " in dump else b""
    return re.findall(mark + rb"(<\?xml.*?</CIM>)", dump, re.DOTALL)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    passed = failed = 0
    for name in sys.argv[1:]:
        if name == "-":
            messages = messages_in_dump(sys.stdin.buffer.read())
        else:
            messages = [Path(name).read_bytes()]
        for number, message in enumerate(messages, 1):
            wrong = faults(message)
            passed += not wrong
            failed += bool(wrong)
            for fault in wrong:
                print(f"{name} message {number}: {fault}")
    print(f"dtd: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
