"""Everything that a server must refuse, in the middle of a scenario, with nothing changed.

A refusal is a CIM error with a sentence. A bare return code is right only where the method's
declaration lists one that carries meaning: 4097 with the largest possible Size, 6 for "in use".
The whole server is compared before and after each group of refusals.
"""

import pywbem

from discovery import size_range
from harness import (
    ALREADY_EXISTS, FAILED, INVALID_CLASS, INVALID_NAMESPACE, INVALID_PARAMETER, JOB_STARTED,
    METHOD_NOT_AVAILABLE, METHOD_NOT_FOUND, MIB, NOT_FOUND, NOT_SUPPORTED, SIZE_NOT_SUPPORTED,
    contains, differences, everything,
)

TYPE_MISMATCH = pywbem.CIM_ERR_TYPE_MISMATCH
BAD_VALUE = (INVALID_PARAMETER, TYPE_MISMATCH)
ABSENT = (NOT_FOUND, INVALID_PARAMETER)
TAKEN = (ALREADY_EXISTS, INVALID_PARAMETER, FAILED)
# Codes for changing what cannot be changed.
CONSTANT = (NOT_SUPPORTED, INVALID_PARAMETER, pywbem.CIM_ERR_NO_SUCH_PROPERTY, FAILED,
            pywbem.CIM_ERR_ACCESS_DENIED)
IN_USE = 6  # the return code that the block services methods list

# Values of SupportedFeatures that say which groups a view cannot do without.
REQUIRED_FOR_VIEWS = {6: "InitiatorMaskingGroup", 7: "TargetMaskingGroup", 8: "DeviceMaskingGroup"}

U16, U64 = pywbem.Uint16, pywbem.Uint64


def run(checks, connection, day, namespaces):
    """All groups of refusals; `day` is the scenario with a masked volume."""
    for group in (create_volume, change_volume, delete_volume, hardware_ids, groups, views,
                  methods, intrinsic):
        before = everything(connection, namespaces)
        checks.step(group, checks, connection, day)
        changed = differences(before, everything(connection, namespaces))
        checks.that(not changed, f"refused {group.__name__} changes nothing",
                    "; ".join(changed[:5]))


def altered(path, **keys):
    """A path like this one with other key values."""
    other = path.copy()
    for name, value in keys.items():
        other.keybindings[name] = value
    return other


def create_volume(checks, connection, day):
    """CreateOrModifyElementFromStoragePool without an element."""
    service, pool = day.array.configuration, day.pool
    good = {"ElementName": f"never-{day.tag}", "ElementType": U16(2), "InPool": pool,
            "Size": U64(64 * MIB)}

    def refused(codes, text, **changes):
        parameters = {name: value for name, value in {**good, **changes}.items()
                      if value is not None}
        checks.refuses(codes, text, connection.InvokeMethod,
                       "CreateOrModifyElementFromStoragePool", service, **parameters)

    refused(ABSENT, "an unknown pool", InPool=altered(pool, InstanceID="Standpipe:Pool:none"))
    refused(BAD_VALUE, "a volume for a pool", InPool=day.volume)
    refused(BAD_VALUE, "a system for a pool", InPool=day.array.system)
    refused(BAD_VALUE, "text for a pool", InPool="pool")
    refused(BAD_VALUE, "no pool and no element", InPool=None)
    refused(TAKEN, "a duplicate volume name", ElementName=f"day-{day.tag}")
    refused(BAD_VALUE, "size 0", Size=U64(0))
    refused(BAD_VALUE, "no size", Size=None)
    refused(BAD_VALUE, "text for a size", Size="64 MiB")
    refused(BAD_VALUE, "a signed size", Size=pywbem.Sint64(-1))
    refused(BAD_VALUE, "an array of sizes", Size=[U64(64 * MIB)])
    refused((*BAD_VALUE, NOT_SUPPORTED), "an unknown element type", ElementType=U16(99))
    refused((*BAD_VALUE, NOT_SUPPORTED), "an element type not offered", ElementType=U16(4))
    refused(BAD_VALUE, "a name of 10,000 characters", ElementName="n" * 10_000)
    refused(BAD_VALUE, "an unknown parameter", Colour="red")
    refused(ABSENT, "a goal that does not exist",
            Goal=pywbem.CIMInstanceName("CIM_StorageSetting", {"InstanceID": "none"},
                                        namespace=day.array.namespace))

    _, largest, step = size_range(connection, pool)
    code, outputs = connection.InvokeMethod(
        "CreateOrModifyElementFromStoragePool", service, **{**good, "Size": U64(step - 1)})
    checks.equal((code, outputs.get("Size")), (SIZE_NOT_SUPPORTED, step),
                 "less than an extent is refused with the size of one")
    for asked in (largest + 1, 2**63, 2**64 - 1):
        code, outputs = connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", service, **{**good, "Size": U64(asked)})
        checks.equal((code, outputs.get("Size")), (SIZE_NOT_SUPPORTED, largest),
                     f"{asked} bytes are too many, and Size says how many are possible")
        checks.that(outputs.get("TheElement") is None, "without an element")


def change_volume(checks, connection, day):
    """CreateOrModifyElementFromStoragePool with an element."""
    service = day.array.configuration
    size = connection.GetInstance(day.volume)
    size = size["BlockSize"] * size["NumberOfBlocks"]
    good = {"ElementType": U16(2), "TheElement": day.volume, "Size": U64(size + day.step)}

    def refused(codes, text, **changes):
        checks.refuses(codes, text, connection.InvokeMethod,
                       "CreateOrModifyElementFromStoragePool", service, **{**good, **changes})

    refused(ABSENT, "growing what does not exist", TheElement=altered(day.volume, DeviceID="none"))
    refused(BAD_VALUE, "growing a pool as a volume", TheElement=day.pool)
    refused((*BAD_VALUE, NOT_SUPPORTED), "growing to size 0", Size=U64(0))
    refused(TAKEN, "taking another volume's name", ElementName=f"eve-{day.tag}")
    refused_or_code(checks, "shrinking", (SIZE_NOT_SUPPORTED, 1, 5), connection.InvokeMethod,
                    "CreateOrModifyElementFromStoragePool", service,
                    **{**good, "Size": U64(day.step)})
    code, outputs = connection.InvokeMethod(
        "CreateOrModifyElementFromStoragePool", service, **{**good, "Size": U64(2**62)})
    checks.that(code == SIZE_NOT_SUPPORTED and size <= (outputs.get("Size") or 0) < 2**62,
                "growing too far answers 4097 and the possible size", f"{code} {dict(outputs)}")


def refused_or_code(checks, text, codes, call, *arguments, **keywords):
    """A check for a refusal that may also be one of the listed return codes."""
    try:
        code, outputs = call(*arguments, **keywords)
    except pywbem.CIMError as error:
        checks.that(len(error.status_description or "") > 10, text, "no sentence")
    else:
        checks.that(code in codes and code not in (0, JOB_STARTED), text,
                    f"answered {code} {dict(outputs)}")


def delete_volume(checks, connection, day):
    """ReturnToStoragePool and its relatives."""
    service = day.array.configuration

    def refused(codes, text, **parameters):
        checks.refuses(codes, text, connection.InvokeMethod, "ReturnToStoragePool", service,
                       **parameters)

    refused_or_code(checks, "deleting a masked volume", (IN_USE,), connection.InvokeMethod,
                    "ReturnToStoragePool", service, TheElement=day.volume)
    refused(BAD_VALUE, "deleting nothing")
    refused(BAD_VALUE, "deleting a pool as a volume", TheElement=day.pool)
    refused(ABSENT, "deleting what does not exist",
            TheElement=altered(day.volume, DeviceID="none"))
    refused(ABSENT, "deleting another system's volume",
            TheElement=altered(day.volume, SystemName="elsewhere"))
    checks.refuses(NOT_SUPPORTED, "DeleteInstance of a volume",
                   connection.DeleteInstance, day.second)
    checks.refuses(ABSENT, "a service that does not exist", connection.InvokeMethod,
                   "ReturnToStoragePool", altered(service, Name="none"), TheElement=day.second)
    checks.that(connection.References(day.volume, ResultClass="CIM_StorageSynchronized") == [],
                "References to CIM_StorageSynchronized is an empty list")


def hardware_ids(checks, connection, day):
    """CreateStorageHardwareID."""
    def refused(codes, text, **parameters):
        checks.refuses(codes, text, connection.InvokeMethod, "CreateStorageHardwareID",
                       day.array.hardware_ids, **parameters)

    refused((*BAD_VALUE, NOT_SUPPORTED), "an unknown kind of id",
            StorageID="iqn.2024-01.example:x", IDType=U16(99))
    refused(BAD_VALUE, "an id that is no iSCSI name", StorageID="not a name", IDType=U16(5))
    refused(BAD_VALUE, "an empty id", StorageID="", IDType=U16(5))
    refused(BAD_VALUE, "no id", IDType=U16(5))
    refused(BAD_VALUE, "an id of 1,000 characters", StorageID="iqn.2024-01.example:" + "x" * 1000,
            IDType=U16(5))


def groups(checks, connection, day):
    """CreateGroup, DeleteGroup, AddMembers, RemoveMembers."""
    def refused(codes, text, method, **parameters):
        checks.refuses(codes, text, connection.InvokeMethod, method, day.array.masking,
                       **parameters)

    name = f"never-{day.tag}"
    refused(TAKEN, "a duplicate group name", "CreateGroup",
            GroupName=f"host-{day.tag}", Type=U16(4), Members=[day.second])
    refused((*TAKEN, *BAD_VALUE), "an initiator of another group", "CreateGroup",
            GroupName=name, Type=U16(2), Members=[day.hardware_ids[0]])
    refused(BAD_VALUE, "an unknown kind of group", "CreateGroup",
            GroupName=name, Type=U16(9), Members=[])
    refused(BAD_VALUE, "a volume among initiators", "CreateGroup",
            GroupName=name, Type=U16(2), Members=[day.second])
    refused(BAD_VALUE, "an initiator among volumes", "CreateGroup",
            GroupName=name, Type=U16(4), Members=[day.hardware_ids[0]])
    refused(ABSENT, "a member that does not exist", "CreateGroup", GroupName=name,
            Type=U16(4), Members=[day.second, altered(day.second, DeviceID="none")])
    refused(BAD_VALUE, "a group without a kind", "CreateGroup", GroupName=name)
    refused((FAILED, *BAD_VALUE), "deleting a group in use without Force", "DeleteGroup",
            MaskingGroup=day.groups[4])
    refused(ABSENT, "deleting a group that does not exist", "DeleteGroup",
            MaskingGroup=altered(day.groups[4], InstanceID="none"), Force=True)
    refused(BAD_VALUE, "deleting no group", "DeleteGroup", Force=True)
    refused(ABSENT, "adding to a group that does not exist", "AddMembers",
            MaskingGroup=altered(day.groups[4], InstanceID="none"), Members=[day.second])
    refused(BAD_VALUE, "adding a pool to a device group", "AddMembers",
            MaskingGroup=day.groups[4], Members=[day.pool])


def views(checks, connection, day):
    """CreateMaskingView, DeleteMaskingView."""
    def refused(codes, text, method, **parameters):
        checks.refuses(codes, text, connection.InvokeMethod, method, day.array.masking,
                       **parameters)

    good = {"ElementName": f"never-{day.tag}", "InitiatorMaskingGroup": day.groups[2],
            "TargetMaskingGroup": day.groups[3], "DeviceMaskingGroup": day.groups[4]}
    refused(BAD_VALUE, "a view with groups exchanged", "CreateMaskingView",
            **{**good, "InitiatorMaskingGroup": day.groups[4],
               "DeviceMaskingGroup": day.groups[2]})
    refused(ABSENT, "a view of a group that does not exist", "CreateMaskingView",
            **{**good, "DeviceMaskingGroup": altered(day.groups[4], InstanceID="none")})
    abilities = connection.Associators(
        day.array.system, AssocClass="CIM_ElementCapabilities",
        ResultClass="CIM_GroupMaskingMappingCapabilities")[0]
    for feature, missing in REQUIRED_FOR_VIEWS.items():
        if feature in abilities["SupportedFeatures"]:
            refused(BAD_VALUE, f"a view without {missing}", "CreateMaskingView",
                    **{name: value for name, value in good.items() if name != missing})
    refused((*TAKEN, *BAD_VALUE), "a second view for the same initiators and ports",
            "CreateMaskingView", **good)
    refused((*TAKEN, *BAD_VALUE), "the same view a second time", "CreateMaskingView",
            **{**good, "ElementName": f"host-{day.tag}"})
    refused(ABSENT, "deleting a view that does not exist", "DeleteMaskingView",
            ProtocolController=altered(day.view, DeviceID="none"))
    refused(BAD_VALUE, "deleting a volume as a view", "DeleteMaskingView",
            ProtocolController=day.volume)
    nodes = [
        node.path for node in day.array.enumerate("CIM_SCSIProtocolController")
        if node["NameFormat"] == 3
    ]
    checks.that(nodes and not contains(nodes, day.view), "the iSCSI node is not a view")
    for node in nodes[:1]:
        refused((*ABSENT, FAILED), "deleting the iSCSI node as a view", "DeleteMaskingView",
                ProtocolController=node)


def methods(checks, connection, day):
    """Methods that are not there, not offered, or called on the wrong thing."""
    service = day.array.configuration
    checks.refuses(METHOD_NOT_FOUND, "an unknown method",
                   connection.InvokeMethod, "MakeCoffee", service)
    checks.refuses(METHOD_NOT_FOUND, "a method of another class",
                   connection.InvokeMethod, "CreateGroup", service, GroupName="x")
    checks.refuses((METHOD_NOT_AVAILABLE, NOT_SUPPORTED), "a declared method that is not offered",
                   connection.InvokeMethod, "ScsiScan", service)
    checks.refuses((METHOD_NOT_AVAILABLE, METHOD_NOT_FOUND, INVALID_PARAMETER, NOT_SUPPORTED),
                   "an instance method on a class", connection.InvokeMethod, "CreateGroup",
                   pywbem.CIMClassName(day.array.masking.classname,
                                       namespace=day.array.namespace))
    checks.refuses((METHOD_NOT_AVAILABLE, METHOD_NOT_FOUND, NOT_SUPPORTED, FAILED),
                   "GetCentralInstances is refused as clients expect",
                   connection.InvokeMethod, "GetCentralInstances",
                   connection.EnumerateInstanceNames("CIM_RegisteredProfile")[0])
    checks.refuses((INVALID_CLASS, NOT_FOUND), "a method of an unknown class",
                   connection.InvokeMethod, "Any", pywbem.CIMInstanceName(
                       "CIM_NoSuchService", {"Name": "x"}, namespace=day.array.namespace))
    checks.refuses(INVALID_NAMESPACE, "a method in an unknown namespace",
                   connection.InvokeMethod, "CreateGroup", pywbem.CIMInstanceName(
                       day.array.masking.classname, day.array.masking.keybindings,
                       namespace="root/nil"))


def intrinsic(checks, connection, day):
    """Intrinsic operations that cannot be done."""
    volume, namespace = day.volume, day.array.namespace
    checks.refuses(NOT_FOUND, "GetInstance of nothing", connection.GetInstance,
                   altered(volume, DeviceID="none"))
    wrong = pywbem.CIMInstanceName("CIM_NoSuchClass", {"Name": "x"}, namespace=namespace)
    checks.refuses(INVALID_CLASS, "GetInstance of an unknown class", connection.GetInstance, wrong)
    short = volume.copy()
    del short.keybindings["DeviceID"]
    checks.refuses(ABSENT, "GetInstance with a key missing", connection.GetInstance, short)
    checks.refuses(INVALID_NAMESPACE, "GetInstance in an unknown namespace",
                   connection.GetInstance, altered_namespace(volume, "root/nil"))
    checks.refuses(NOT_FOUND, "GetInstance in the wrong namespace",
                   connection.GetInstance, altered_namespace(volume, "interop"))
    checks.refuses(INVALID_CLASS, "EnumerateInstances of an unknown class",
                   connection.EnumerateInstances, "CIM_NoSuchClass", namespace=namespace)
    checks.refuses((NOT_FOUND, INVALID_CLASS), "GetClass of an unknown class",
                   connection.GetClass, "CIM_NoSuchClass", namespace=namespace)
    checks.refuses((INVALID_PARAMETER, NOT_FOUND, INVALID_CLASS), "a filter by an unknown class",
                   connection.Associators, volume, AssocClass="CIM_NoSuchClass")
    checks.equal(connection.AssociatorNames(volume, Role="NoSuchRole"), [],
                 "an unknown role finds nothing")

    for prop, value, codes in (
        ("NumberOfBlocks", U64(1), CONSTANT), ("Name", "6" * 32, CONSTANT),
        ("NoSuchProperty", "x", CONSTANT),
        ("ElementName", pywbem.Uint8(1), BAD_VALUE), ("ElementName", f"eve-{day.tag}", TAKEN),
        ("ElementName", "n" * 10_000, BAD_VALUE),
    ):
        change = pywbem.CIMInstance(volume.classname, {prop: value}, path=volume)
        checks.refuses(codes, f"ModifyInstance of {prop} to {str(value)[:20]}",
                       connection.ModifyInstance, change, PropertyList=[prop])
    fresh = pywbem.CIMInstance("CIM_StorageVolume", {"DeviceID": "x", "ElementName": "x"})
    checks.refuses((NOT_SUPPORTED, INVALID_PARAMETER), "CreateInstance of a volume",
                   connection.CreateInstance, fresh, namespace=namespace)
    for kind, path in (("system", day.array.system), ("pool", day.pool),
                       ("service", day.array.masking)):
        checks.refuses(NOT_SUPPORTED, f"DeleteInstance of a {kind}",
                       connection.DeleteInstance, path)
    checks.refuses(NOT_SUPPORTED, "CreateClass", connection.CreateClass,
                   pywbem.CIMClass("X_New", superclass="CIM_ManagedElement"), namespace=namespace)
    checks.refuses(NOT_SUPPORTED, "DeleteClass", connection.DeleteClass, "CIM_Nothing",
                   namespace=namespace)
    checks.refuses(NOT_SUPPORTED, "DeleteQualifier", connection.DeleteQualifier, "Key",
                   namespace=namespace)
    checks.refuses((NOT_SUPPORTED, pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED), "ExecQuery",
                   connection.ExecQuery, "WQL", "SELECT * FROM CIM_StorageVolume",
                   namespace=namespace)


def altered_namespace(path, namespace):
    """A path like this one in another namespace."""
    other = path.copy()
    other.namespace = namespace
    return other
