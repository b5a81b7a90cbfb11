"""Rules of single operations that a client library hides: parameters, spellings, pull sessions."""

import pywbem

import wire
from harness import contains, same
from wire import classname, instancename, iparam, value

INVALID_CONTEXT = 21
INVALID_TIMEOUT = 22
FILTER_UNSUPPORTED = 25
CONTINUATION_UNSUPPORTED = 26
LIMITS_EXCEEDED = 27

# (what, operation, parameters as XML, error codes; 0 is success)
PARAMETERS = [
    ("an unknown operation", "Dance", "", {7}),
    ("an operation of schema changes", "DeleteClass", classname("CIM_Nothing"), {7}),
    ("a missing required parameter", "EnumerateInstances", "", {4}),
    ("a required parameter that is NULL", "EnumerateInstances", '<IPARAMVALUE NAME="ClassName"/>',
     {4}),
    ("an unknown parameter", "EnumerateInstances",
     classname("CIM_Namespace") + value("Colour", "red"), {4}),
    ("a parameter twice", "EnumerateInstances",
     classname("CIM_Namespace") + classname("CIM_Namespace"), {4}),
    ("a parameter of the wrong kind", "EnumerateInstances", value("ClassName", "CIM_Namespace"),
     {4}),
    ("a number that is none", "OpenEnumerateInstances",
     classname("CIM_Namespace") + value("MaxObjectCount", "ten"), {4}),
    ("a number beyond its type", "OpenEnumerateInstances",
     classname("CIM_Namespace") + value("MaxObjectCount", 2**32), {4}),
    ("a negative number", "OpenEnumerateInstances",
     classname("CIM_Namespace") + value("OperationTimeout", -1), {4, 22}),
    ("LocalOnly on Open", "OpenEnumerateInstances",
     classname("CIM_Namespace") + value("LocalOnly", "FALSE"), {4}),
    ("IncludeQualifiers on Open", "OpenEnumerateInstances",
     classname("CIM_Namespace") + value("IncludeQualifiers", "FALSE"), {4}),
    ("optional parameters that are NULL", "EnumerateInstances",
     classname("CIM_Namespace") + '<IPARAMVALUE NAME="LocalOnly"/>'
     '<IPARAMVALUE NAME="PropertyList"/>', {0}),
    ("LocalOnly and IncludeQualifiers on instances", "EnumerateInstances",
     classname("CIM_Namespace") + value("LocalOnly", "TRUE") + value("IncludeQualifiers", "true"),
     {0}),
    ("parameters in another order", "EnumerateInstances",
     value("DeepInheritance", "false") + classname("CIM_Namespace"), {0}),
    ("a parameter name in another case", "EnumerateInstances",
     classname("CIM_Namespace", "CLASSname"), {0}),
    ("an unknown class", "EnumerateInstances", classname("CIM_Nothing"), {5}),
    ("an unknown class for names", "EnumerateInstanceNames", classname("CIM_Nothing"), {5}),
    ("an unknown class to open", "OpenEnumerateInstances", classname("CIM_Nothing"), {5}),
    ("EnumerateClasses of an unknown class", "EnumerateClasses", classname("CIM_Nothing"), {5}),
    ("GetClass of an unknown class", "GetClass", classname("CIM_Nothing"), {6}),
    ("an unknown qualifier", "GetQualifier", value("QualifierName", "Nothing"), {6}),
    ("EnumerateClasses of all", "EnumerateClasses", value("DeepInheritance", "true"), {0}),
    ("EnumerateClassNames at the top", "EnumerateClassNames", "", {0}),
    ("EnumerateQualifiers", "EnumerateQualifiers", "", {0}),
    ("PullInstancesWithPath without a count", "PullInstancesWithPath",
     value("EnumerationContext", "x"), {4, 21}),
    ("CloseEnumeration without a context", "CloseEnumeration", "", {4}),
]


def run(checks, connection, server):
    """All of it."""
    for part in (parameters, instance_names, property_lists, classes, get_property, extrinsic,
                 pull_sessions, pull_refusals, pull_limits):
        checks.step(part, checks, connection, server)


def parameters(checks, connection, server):
    """The table above, over the wire; every reply is a valid message."""
    for what, operation, content, codes in PARAMETERS:
        reply = server.call(operation, content)
        checks.that(reply.status == 200 and reply.error_code in codes, f"{what}: {sorted(codes)}",
                    str(reply))
        wrong = wire.faults(reply) if reply.status == 200 else ["no message"]
        checks.that(not wrong, f"{what}: valid", "; ".join(wrong))
    reply = server.call("EnumerateInstances", classname("CIM_Namespace"), namespace="root/nil")
    checks.equal(reply.error_code, 3, "an unknown namespace: 3")
    reply = server.call("Dance", namespace="root/nil")
    checks.that(reply.error_code in (3, 7), "an unknown operation there: 7, or 3", str(reply))


def instance_names(checks, connection, server):
    """Spellings of a path that all mean the same object."""
    path = connection.EnumerateInstanceNames("CIM_RegisteredProfile")[0]
    name = path["InstanceID"]
    key = '<KEYVALUE VALUETYPE="string" TYPE="string">{}</KEYVALUE>'
    spelled = {
        "as it is": instancename(path),
        "without TYPE": instancename(path, keyvalue='<KEYVALUE VALUETYPE="string">{}</KEYVALUE>'
                                     .format),
        "with an empty TYPE": instancename(
            path, keyvalue='<KEYVALUE VALUETYPE="string" TYPE="">{}</KEYVALUE>'.format),
        "without any attribute": instancename(path, keyvalue="<KEYVALUE>{}</KEYVALUE>".format),
        "with CDATA": instancename(path, keyvalue="<KEYVALUE><![CDATA[{}]]></KEYVALUE>".format),
        "with an unnamed key": iparam(
            "InstanceName", f'<INSTANCENAME CLASSNAME="{path.classname}">'
            f"{key.format(name)}</INSTANCENAME>"),
        "with a superfluous character reference": instancename(
            path, keyvalue=lambda text: key.format("".join(f"&#{ord(c)};" for c in name))),
        "with names in other case": instancename(path).replace(
            path.classname, path.classname.upper()).replace("InstanceID", "instanceid"),
    }
    for what, parameter in spelled.items():
        reply = server.call("GetInstance", parameter)
        checks.equal((reply.status, reply.error_code), (200, 0), f"a path {what}")
    for what, parameter, codes in (
        ("without keys", iparam("InstanceName", f'<INSTANCENAME CLASSNAME="{path.classname}"/>'),
         {4, 6}),
        ("with a key too many", instancename(path).replace(
            "</INSTANCENAME>", f'<KEYBINDING NAME="Colour">{key.format("x")}</KEYBINDING>'
            "</INSTANCENAME>"), {4, 6}),
        ("with a key in other case", instancename(path, keyvalue=lambda text: key.format(
            name.swapcase())), {6}),
        ("with a numeric key", instancename(
            path, keyvalue=lambda text: '<KEYVALUE VALUETYPE="numeric">7</KEYVALUE>'), {4, 6}),
        ("with the same key twice", instancename(path).replace(
            "</KEYBINDING>", "</KEYBINDING>" + f'<KEYBINDING NAME="InstanceID">{key.format("x")}'
            "</KEYBINDING>"), {4, 6, None}),
    ):
        reply = server.call("GetInstance", parameter)
        checks.that(reply.error_code in codes and reply.status in (200, 400), f"a path {what}",
                    str(reply))


def property_lists(checks, connection, server):
    """NULL means all, empty means none; names in any case, unknown and repeated ones ignored."""
    every = connection.EnumerateInstances("CIM_RegisteredProfile")[0]
    few = connection.GetInstance(
        every.path, PropertyList=["registeredNAME", "RegisteredName", "NoSuch"])
    checks.equal(list(few.properties), ["RegisteredName"], "names in any case, each once")
    checks.equal(len(connection.GetInstance(every.path, PropertyList=[]).properties), 0,
                 "an empty list selects nothing")
    named = connection.EnumerateInstances("CIM_RegisteredProfile", PropertyList=[])
    checks.that(all(len(item.properties) == 0 and item.path.keybindings for item in named),
                "but the paths are whole")
    origin = connection.GetInstance(every.path, IncludeClassOrigin=True)
    checks.that(all(item.class_origin for item in origin.properties.values()),
                "IncludeClassOrigin names the class of each property")
    checks.that(not any(item.class_origin for item in every.properties.values()),
                "and is off by default")
    shallow = connection.EnumerateInstances("CIM_ManagedElement", DeepInheritance=False)
    deep = connection.EnumerateInstances("CIM_ManagedElement")
    checks.equal(len(shallow), len(deep), "DeepInheritance selects properties, not instances")
    wide = sum(len(item.properties) for item in deep)
    checks.that(sum(len(item.properties) for item in shallow) < wide,
                "of subclasses")


def classes(checks, connection, server):
    """Class operations and their flags."""
    whole = connection.GetClass("CIM_StorageVolume", LocalOnly=False)
    local = connection.GetClass("CIM_StorageVolume", LocalOnly=True)
    plain = connection.GetClass("CIM_StorageVolume", LocalOnly=False, IncludeQualifiers=False)
    checks.that({"DeviceID", "Name", "BlockSize"} <= set(whole.properties), "inherited properties")
    checks.that(len(local.properties) < len(whole.properties), "LocalOnly leaves them out")
    checks.that("Key" in whole.properties["DeviceID"].qualifiers, "qualifiers are there")
    checks.that(not plain.qualifiers and not plain.properties["DeviceID"].qualifiers,
                "IncludeQualifiers=false drops them at every level")
    one = connection.GetClass("CIM_StorageVolume", PropertyList=["Name"], LocalOnly=False)
    checks.equal(list(one.properties), ["Name"], "a property list selects")
    names = connection.EnumerateClassNames(ClassName="CIM_StorageExtent")
    deep = connection.EnumerateClassNames(ClassName="CIM_StorageExtent", DeepInheritance=True)
    checks.that("CIM_StorageVolume" in names and set(names) < set(deep), "subclasses, then theirs")
    qualifiers = {item.name for item in connection.EnumerateQualifiers()}
    used = {name for item in connection.EnumerateClasses(DeepInheritance=True, LocalOnly=False)
            for name in item.qualifiers}
    checks.that(used <= qualifiers, "every qualifier in use is declared",
                str(sorted(used - qualifiers)))
    related = connection.AssociatorNames("CIM_StorageVolume", AssocClass="CIM_SystemDevice")
    checks.that(related, "classes have associators too")
    ends = connection.ReferenceNames("CIM_StorageVolume")
    checks.that(any(str(item).endswith("CIM_SystemDevice")
                    or getattr(item, "classname", "") == "CIM_SystemDevice" for item in ends),
                "and references", str(ends[:3]))


def get_property(checks, connection, server):
    """GetProperty and SetProperty, which only old clients use."""
    path = connection.EnumerateInstanceNames("CIM_RegisteredProfile")[0]
    named = instancename(path)
    reply = server.call("GetProperty", named + value("PropertyName", "RegisteredName"))
    checks.that(reply.error_code == 0 and b"<VALUE>" in reply.body, "GetProperty", str(reply))
    reply = server.call("GetProperty", named + value("PropertyName", "Nothing"))
    checks.equal(reply.error_code, 12, "GetProperty of an unknown property: 12")
    reply = server.call("SetProperty", named + value("PropertyName", "RegisteredName")
                        + value("NewValue", "x"))
    checks.that(reply.error_code in (4, 7, 12), "SetProperty where nothing may be set", str(reply))


def extrinsic(checks, connection, server):
    """Spellings of a method call that clients of several ages use."""
    profiles = connection.EnumerateInstances("CIM_RegisteredProfile")
    anchor = next(item for item in profiles if item["RegisteredName"] == "Array")
    system = connection.AssociatorNames(anchor.path, AssocClass="CIM_ElementConformsToProfile",
                                        ResultClass="CIM_ComputerSystem")[0]
    pool = next(item.path for item in connection.Associators(
        system, AssocClass="CIM_HostedStoragePool") if not item["Primordial"])
    namespace = pool.namespace
    local = "".join(f'<NAMESPACE NAME="{part}"/>' for part in namespace.split("/"))
    local = f"<LOCALNAMESPACEPATH>{local}</LOCALNAMESPACEPATH>"
    uri = pool.to_wbem_uri(format="cimobject")

    def ask(parameter, header=uri, method="GetSupportedSizeRange"):
        target = f"<LOCALINSTANCEPATH>{local}{wire.instance_name(pool)}</LOCALINSTANCEPATH>"
        body = wire.envelope(
            f'<SIMPLEREQ><METHODCALL NAME="{method}">{target}{parameter}</METHODCALL></SIMPLEREQ>')
        return server.ask(body, method=method, target=header)

    def param(attributes, text="3"):
        return f'<PARAMVALUE NAME="ElementType"{attributes}><VALUE>{text}</VALUE></PARAMVALUE>'

    encoded = "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in uri)
    for what, reply in {
        "with PARAMTYPE": ask(param(' PARAMTYPE="uint16"')),
        "without PARAMTYPE": ask(param("")),
        "with TYPE instead": ask(param(' TYPE="uint16"')),
        "with CIMObject percent-encoded": ask(param(' PARAMTYPE="uint16"'), header=encoded),
        "with a hexadecimal number": ask(param(' PARAMTYPE="uint16"', "0x3")),
        "with the method in other case": ask(param(""), method="getsupportedSIZErange"),
    }.items():
        root = wire.dtd.etree.fromstring(reply.body) if reply.error_code is not None else None
        result = root.find(".//RETURNVALUE") if root is not None else None
        checks.that(result is not None and result.get("PARAMTYPE") == "uint32"
                    and result.findtext("VALUE") == "0", f"a method call {what}", str(reply))
        if root is not None:
            checks.that(not wire.faults(reply), f"a method call {what}: valid",
                        "; ".join(wire.faults(reply)))
    for what, codes, reply in (
        ("with a value beyond its type", {4, None}, ask(param(' PARAMTYPE="uint16"', "65536"))),
        ("with text for a number", {4, None}, ask(param(' PARAMTYPE="uint16"', "three"))),
        ("with a wrong PARAMTYPE", {4, 13}, ask(param(' PARAMTYPE="boolean"', "true"))),
        ("with a parameter twice", {4, None}, ask(param("") + param(""))),
        ("with another object in the header", {None},
         ask(param(""), header=uri.replace(namespace, "interop"))),
    ):
        checks.that(reply.error_code in codes and (reply.error_code is not None
                                                   or reply.status == 400),
                    f"a method call {what}", str(reply))


def pull_sessions(checks, connection, server):
    """The life of a session."""
    names = connection.EnumerateInstanceNames("CIM_ManagedElement")
    result = connection.OpenEnumerateInstances("CIM_ManagedElement")
    checks.that(not result.instances and not result.eos and result.context,
                "Open without a count returns nothing and a context")
    seen = []
    context = result.context
    for count in (0, 1, 2, 5):
        result = connection.PullInstancesWithPath(context, MaxObjectCount=count)
        checks.that(len(result.instances) <= count, f"Pull {count} returns at most {count}")
        seen += result.instances
        context = result.context or context
    while not result.eos:
        result = connection.PullInstancesWithPath(context, MaxObjectCount=1000)
        seen += result.instances
        context = result.context or context
    checks.that(len(seen) == len(names) and all(contains(seen, name) for name in names),
                "the pulled instances are the enumerated ones", f"{len(seen)} {len(names)}")
    checks.refuses(INVALID_CONTEXT, "Pull after the end",
                   connection.PullInstancesWithPath, context, MaxObjectCount=1)
    checks.refuses(INVALID_CONTEXT, "Close after the end",
                   connection.CloseEnumeration, context)

    result = connection.OpenEnumerateInstancePaths("CIM_ManagedElement", MaxObjectCount=1)
    checks.that(len(result.paths) == 1 and not result.eos, "Open with a count returns so many")
    connection.CloseEnumeration(result.context)
    checks.refuses(INVALID_CONTEXT, "Pull after Close", connection.PullInstancePaths,
                   result.context, MaxObjectCount=1)

    everything = connection.OpenEnumerateInstances("CIM_ManagedElement", MaxObjectCount=100_000)
    more = list(everything.instances)
    while not everything.eos:
        everything = connection.PullInstancesWithPath(everything.context, MaxObjectCount=100_000)
        more += everything.instances
    checks.equal(len(more), len(names), "a large count brings it all")
    first = names[0]
    by_path = connection.OpenReferenceInstancePaths(first, MaxObjectCount=100_000)
    checks.that(by_path.eos and len(by_path.paths) == len(connection.ReferenceNames(first)),
                "OpenReferenceInstancePaths")
    by_path = connection.OpenAssociatorInstancePaths(first, MaxObjectCount=100_000)
    checks.that(by_path.eos and all(
        any(same(path, name) for name in connection.AssociatorNames(first))
        for path in by_path.paths), "OpenAssociatorInstancePaths")

    result = connection.OpenEnumerateInstances("CIM_ManagedElement", MaxObjectCount=0)
    reply = server.call("EnumerationCount", value("EnumerationContext", result.context[0]))
    checks.that(reply.error_code in (0, 7), "EnumerationCount counts, or is not supported",
                str(reply))
    connection.CloseEnumeration(result.context)


def pull_refusals(checks, connection, server):
    """What is refused at Open and at Pull."""
    refuses, opens = checks.refuses, connection.OpenEnumerateInstances
    refuses((CONTINUATION_UNSUPPORTED, 7), "ContinueOnError", opens, "CIM_Namespace",
            ContinueOnError=True)
    refuses((4, 1), "a filter language without a filter", opens, "CIM_Namespace",
            FilterQueryLanguage="DMTF:FQL")
    refuses((4, 1), "a filter without a language", opens, "CIM_Namespace",
            FilterQuery="Name = 'x'")
    refuses((14, FILTER_UNSUPPORTED), "an unknown filter language", opens, "CIM_Namespace",
            FilterQueryLanguage="EXAMPLE:NONE", FilterQuery="x")
    refuses(INVALID_TIMEOUT, "a session of a year", opens, "CIM_Namespace",
            OperationTimeout=31_536_000)
    refuses((3,), "an unknown namespace", opens, "CIM_Namespace", namespace="root/nil")
    nothing = connection.EnumerateInstanceNames("CIM_Namespace")[0]
    nothing["Name"] = "nothing"
    refuses((6,), "OpenAssociatorInstances of nothing", connection.OpenAssociatorInstances, nothing)
    refuses((6,), "OpenReferenceInstances of nothing", connection.OpenReferenceInstances, nothing)

    context = opens("CIM_ManagedElement").context
    refuses(INVALID_CONTEXT, "a Pull of another kind", connection.PullInstancePaths, context,
            MaxObjectCount=1)
    refuses(INVALID_CONTEXT, "a Pull in another namespace", connection.PullInstancesWithPath,
            (context[0], "root/standpipe"), MaxObjectCount=1)
    refuses(INVALID_CONTEXT, "a guessed context", connection.PullInstancesWithPath,
            ("0", "interop"), MaxObjectCount=1)
    refuses(INVALID_CONTEXT, "an altered context", connection.PullInstancesWithPath,
            (context[0][:-1] + ("a" if context[0][-1] != "a" else "b"), "interop"),
            MaxObjectCount=1)
    refuses(INVALID_CONTEXT, "a very long context", connection.PullInstancesWithPath,
            ("x" * 100_000, "interop"), MaxObjectCount=1)
    result = connection.PullInstancesWithPath(context, MaxObjectCount=1)
    checks.that(len(result.instances) == 1 or not result.eos, "none of that ended the session")
    connection.CloseEnumeration(result.context)


def pull_limits(checks, connection, server):
    """Sessions are limited: at some number of open ones a further one is refused, and only that."""
    contexts = []
    try:
        for _ in range(5_000):
            contexts.append(connection.OpenEnumerateInstances("CIM_ManagedElement").context)
        checks.that(False, "5,000 open sessions are too many")
    except pywbem.CIMError as error:
        checks.equal(error.status_code, LIMITS_EXCEEDED,
                     f"after {len(contexts)} open sessions the next one is refused with 27")
        checks.that(len(contexts) >= 16, "but not before a client can work", str(len(contexts)))
    for context in contexts:
        connection.CloseEnumeration(context)
    result = connection.OpenEnumerateInstances("CIM_ManagedElement")
    checks.that(result.context, "closing them makes room")
    connection.CloseEnumeration(result.context)
