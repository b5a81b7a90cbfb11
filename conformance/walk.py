"""Every association of a server, walked from both ends and by every operation that can.

The enumeration of an association class is taken as the list of what there is; whatever the four
association operations say, from either end and with every filter, must agree with it.
"""

from collections import defaultdict

import pywbem

from harness import association_classes

# (association, role, class at that end, role, class at the other end): what an array with one
# masked volume must show. Roles as in the CIM 2.49 schema.
EXPECTED = [
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_ComputerSystem"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_ObjectManager"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_RegisteredProfile"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_StoragePool"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_GroupMaskingMappingService"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_iSCSICapabilities"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_PhysicalPackage"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_Location"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_SoftwareIdentity"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_RemoteServiceAccessPoint"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_DiskDrive"),
    ("CIM_ElementConformsToProfile", "ConformantStandard", "CIM_RegisteredProfile",
     "ManagedElement", "CIM_StorageExtent"),
    ("CIM_ReferencedProfile", "Antecedent", "CIM_RegisteredProfile",
     "Dependent", "CIM_RegisteredProfile"),
    ("CIM_NamespaceInManager", "Antecedent", "CIM_ObjectManager", "Dependent", "CIM_Namespace"),
    ("CIM_CommMechanismForManager", "Antecedent", "CIM_ObjectManager",
     "Dependent", "CIM_ObjectManagerCommunicationMechanism"),
    ("CIM_HostedService", "Antecedent", "CIM_System", "Dependent", "CIM_ObjectManager"),
    ("CIM_HostedService", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_StorageConfigurationService"),
    ("CIM_HostedService", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_GroupMaskingMappingService"),
    ("CIM_HostedService", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_StorageHardwareIDManagementService"),
    ("CIM_ComputerSystemPackage", "Antecedent", "CIM_PhysicalPackage",
     "Dependent", "CIM_ComputerSystem"),
    ("CIM_ProductPhysicalComponent", "GroupComponent", "CIM_Product",
     "PartComponent", "CIM_PhysicalPackage"),
    ("CIM_PhysicalElementLocation", "Element", "CIM_PhysicalPackage",
     "PhysicalLocation", "CIM_Location"),
    ("CIM_InstalledSoftwareIdentity", "System", "CIM_ComputerSystem",
     "InstalledSoftware", "CIM_SoftwareIdentity"),
    ("CIM_HostedAccessPoint", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_RemoteServiceAccessPoint"),
    ("CIM_SAPAvailableForElement", "AvailableSAP", "CIM_RemoteServiceAccessPoint",
     "ManagedElement", "CIM_ComputerSystem"),
    ("CIM_ComponentCS", "GroupComponent", "CIM_ComputerSystem",
     "PartComponent", "CIM_ComputerSystem"),
    ("CIM_HostedStoragePool", "GroupComponent", "CIM_ComputerSystem",
     "PartComponent", "CIM_StoragePool"),
    ("CIM_SystemDevice", "GroupComponent", "CIM_ComputerSystem",
     "PartComponent", "CIM_StorageVolume"),
    ("CIM_SystemDevice", "GroupComponent", "CIM_ComputerSystem",
     "PartComponent", "CIM_SCSIProtocolController"),
    ("CIM_SystemDevice", "GroupComponent", "CIM_ComputerSystem",
     "PartComponent", "CIM_EthernetPort"),
    ("CIM_SystemDevice", "GroupComponent", "CIM_ComputerSystem", "PartComponent", "CIM_DiskDrive"),
    ("CIM_SystemDevice", "GroupComponent", "CIM_ComputerSystem",
     "PartComponent", "CIM_StorageExtent"),
    ("CIM_MediaPresent", "Antecedent", "CIM_DiskDrive", "Dependent", "CIM_StorageExtent"),
    ("CIM_Realizes", "Antecedent", "CIM_PhysicalPackage", "Dependent", "CIM_DiskDrive"),
    ("CIM_Container", "GroupComponent", "CIM_Chassis", "PartComponent", "CIM_PhysicalPackage"),
    ("CIM_ElementSoftwareIdentity", "Antecedent", "CIM_SoftwareIdentity",
     "Dependent", "CIM_DiskDrive"),
    ("CIM_ConcreteDependency", "Antecedent", "CIM_DiskDrive", "Dependent", "CIM_StoragePool"),
    ("CIM_AssociatedComponentExtent", "GroupComponent", "CIM_StoragePool",
     "PartComponent", "CIM_StorageExtent"),
    ("CIM_ConcreteComponent", "GroupComponent", "CIM_StoragePool",
     "PartComponent", "CIM_StorageExtent"),
    ("CIM_BasedOn", "Antecedent", "CIM_StorageExtent", "Dependent", "CIM_StorageVolume"),
    ("CIM_AllocatedFromStoragePool", "Antecedent", "CIM_StoragePool",
     "Dependent", "CIM_StorageVolume"),
    ("CIM_AllocatedFromStoragePool", "Antecedent", "CIM_StoragePool",
     "Dependent", "CIM_StoragePool"),
    ("CIM_ElementCapabilities", "ManagedElement", "CIM_StoragePool",
     "Capabilities", "CIM_StorageCapabilities"),
    ("CIM_ElementCapabilities", "ManagedElement", "CIM_StoragePool",
     "Capabilities", "CIM_StorageConfigurationCapabilities"),
    ("CIM_ElementCapabilities", "ManagedElement", "CIM_StorageConfigurationService",
     "Capabilities", "CIM_StorageConfigurationCapabilities"),
    ("CIM_ElementCapabilities", "ManagedElement", "CIM_ComputerSystem",
     "Capabilities", "CIM_GroupMaskingMappingCapabilities"),
    ("CIM_ElementCapabilities", "ManagedElement", "CIM_ComputerSystem",
     "Capabilities", "CIM_iSCSICapabilities"),
    ("CIM_ElementCapabilities", "ManagedElement", "CIM_iSCSIConfigurationService",
     "Capabilities", "CIM_iSCSIConfigurationCapabilities"),
    ("CIM_ServiceAffectsElement", "AffectingElement", "CIM_iSCSIConfigurationService",
     "AffectedElement", "CIM_iSCSIProtocolEndpoint"),
    ("CIM_ElementCapabilities", "ManagedElement", "CIM_ControllerConfigurationService",
     "Capabilities", "CIM_ProtocolControllerMaskingCapabilities"),
    ("CIM_ConcreteDependency", "Antecedent", "CIM_ControllerConfigurationService",
     "Dependent", "CIM_SCSIProtocolController"),
    ("CIM_ConcreteDependency", "Antecedent", "CIM_StorageHardwareIDManagementService",
     "Dependent", "CIM_StorageHardwareID"),
    ("CIM_AuthorizedTarget", "Privilege", "CIM_AuthorizedPrivilege",
     "TargetElement", "CIM_SCSIProtocolController"),
    ("CIM_AuthorizedSubject", "Privilege", "CIM_AuthorizedPrivilege",
     "PrivilegedElement", "CIM_StorageHardwareID"),
    ("CIM_AssociatedPrivilege", "Target", "CIM_SCSIProtocolController",
     "Subject", "CIM_StorageHardwareID"),
    ("CIM_ElementSettingData", "ManagedElement", "CIM_StorageVolume",
     "SettingData", "CIM_StorageSetting"),
    ("CIM_HostedAccessPoint", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_iSCSIProtocolEndpoint"),
    ("CIM_HostedAccessPoint", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_TCPProtocolEndpoint"),
    ("CIM_HostedAccessPoint", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_IPProtocolEndpoint"),
    ("CIM_BindsTo", "Antecedent", "CIM_TCPProtocolEndpoint",
     "Dependent", "CIM_iSCSIProtocolEndpoint"),
    ("CIM_BindsTo", "Antecedent", "CIM_IPProtocolEndpoint",
     "Dependent", "CIM_TCPProtocolEndpoint"),
    ("CIM_DeviceSAPImplementation", "Antecedent", "CIM_EthernetPort",
     "Dependent", "CIM_IPProtocolEndpoint"),
    ("CIM_SAPAvailableForElement", "AvailableSAP", "CIM_iSCSIProtocolEndpoint",
     "ManagedElement", "CIM_SCSIProtocolController"),
    ("CIM_HostedCollection", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_InitiatorMaskingGroup"),
    ("CIM_HostedCollection", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_TargetMaskingGroup"),
    ("CIM_HostedCollection", "Antecedent", "CIM_ComputerSystem",
     "Dependent", "CIM_DeviceMaskingGroup"),
    ("CIM_ServiceAffectsElement", "AffectingElement", "CIM_GroupMaskingMappingService",
     "AffectedElement", "CIM_InitiatorMaskingGroup"),
    ("CIM_ServiceAffectsElement", "AffectingElement", "CIM_GroupMaskingMappingService",
     "AffectedElement", "CIM_SCSIProtocolController"),
    ("CIM_MemberOfCollection", "Collection", "CIM_InitiatorMaskingGroup",
     "Member", "CIM_StorageHardwareID"),
    ("CIM_MemberOfCollection", "Collection", "CIM_TargetMaskingGroup",
     "Member", "CIM_iSCSIProtocolEndpoint"),
    ("CIM_OrderedMemberOfCollection", "Collection", "CIM_DeviceMaskingGroup",
     "Member", "CIM_StorageVolume"),
    ("CIM_AssociatedInitiatorMaskingGroup", "Antecedent", "CIM_SCSIProtocolController",
     "Dependent", "CIM_InitiatorMaskingGroup"),
    ("CIM_AssociatedTargetMaskingGroup", "Antecedent", "CIM_SCSIProtocolController",
     "Dependent", "CIM_TargetMaskingGroup"),
    ("CIM_AssociatedDeviceMaskingGroup", "Antecedent", "CIM_SCSIProtocolController",
     "Dependent", "CIM_DeviceMaskingGroup"),
    ("CIM_ProtocolControllerForUnit", "Antecedent", "CIM_SCSIProtocolController",
     "Dependent", "CIM_StorageVolume"),
    ("CIM_OwningJobElement", "OwningElement", "CIM_Service", "OwnedElement", "CIM_ConcreteJob"),
    ("CIM_AffectedJobElement", "AffectingElement", "CIM_ConcreteJob",
     "AffectedElement", "CIM_StorageVolume"),
]


def plain(path):
    """A path without its host, so that it compares; references in its keys likewise."""
    bare = path.copy()
    bare.host = None
    for name, value in bare.keybindings.items():
        if isinstance(value, pywbem.CIMInstanceName):
            bare.keybindings[name] = plain(value)
    return bare


def all_associations(connection, namespaces):
    """All association instances, by the class that they were created as."""
    found = defaultdict(list)
    for namespace in namespaces:
        for top in association_classes(connection, namespace):
            for instance in connection.EnumerateInstances(top, namespace=namespace):
                found[instance.classname].append(instance)
    return found


def ends(instance):
    """The reference properties of an association instance: role to path."""
    return {
        name: plain(prop.value)
        for name, prop in instance.properties.items()
        if prop.type == "reference" and prop.value is not None
    }


def walk(checks, connection, namespaces):
    """Walk everything from both ends; one check per class and question."""
    keep_jobs(connection, namespaces)
    found = all_associations(connection, namespaces)
    for classname in sorted(found):
        _walk_class(checks, connection, classname, found[classname])
    return found


def keep_jobs(connection, namespaces):
    """Has finished jobs kept for an hour: none is to vanish on the way."""
    hour = pywbem.CIMDateTime("00000000010000.000000:000")
    for namespace in namespaces:
        for job in connection.EnumerateInstanceNames("CIM_ConcreteJob", namespace=namespace):
            change = pywbem.CIMInstance(job.classname, {"TimeBeforeRemoval": hour}, path=job)
            try:
                connection.ModifyInstance(change, PropertyList=["TimeBeforeRemoval"])
            except pywbem.CIMError as error:
                if error.status_code != pywbem.CIM_ERR_NOT_FOUND:
                    raise


def _walk_class(checks, connection, classname, instances):
    by_end = defaultdict(set)  # (role, path) -> {(association path, other role, other path)}
    keys_agree = True
    for instance in instances:
        both = ends(instance)
        if len(both) != 2:
            checks.that(False, f"{classname} has two ends", str(instance.path))
            return
        (role, path), (other_role, other) = both.items()
        association = plain(instance.path)
        by_end[role, path].add((association, other_role, other))
        by_end[other_role, other].add((association, role, path))
        keys_agree &= all(
            plain(association.keybindings[name]) == value for name, value in both.items()
        )
    checks.that(keys_agree, f"{classname}: keys in the path equal the reference properties")

    missing = [path for role, path in by_end if not exists(connection, path)]
    checks.that(not missing, f"{classname}: both ends of all {len(instances)} exist",
                "; ".join(str(path) for path in missing[:2]))

    wrong = []
    for (role, path), expected in by_end.items():
        wrong += _from_one_end(connection, classname, role, path, expected)
    checks.that(not wrong, f"{classname}: {len(by_end)} ends answer alike in all four operations",
                "; ".join(wrong[:3]))


def exists(connection, path):
    """Whether GetInstance finds the object."""
    try:
        connection.GetInstance(path, PropertyList=[])
        return True
    except pywbem.CIMError:
        return False


def _from_one_end(connection, classname, role, path, expected):
    """Ask all four operations about one end; returns what does not agree."""
    associations = {association for association, _, _ in expected}
    others = {other for _, _, other in expected}
    other_roles = {other_role for _, other_role, _ in expected}
    wrong = []

    def compare(what, answer, wanted):
        answer = list(answer)
        got = {plain(item) for item in answer}
        if got != wanted:
            wrong.append(f"{what} of {path}: {len(got)} instead of {len(wanted)}, "
                         f"differing in {str(next(iter(got ^ wanted)))}")
        elif len(got) != len(answer):
            wrong.append(f"{what} of {path}: the same object twice")

    def of_this_class(paths):
        # A filter by class admits subclasses too; they are compared under their own name.
        return [item for item in paths if item.classname.lower() == classname.lower()]

    references = connection.ReferenceNames(path, ResultClass=classname, Role=role)
    compare("ReferenceNames", of_this_class(references), associations)
    references = connection.References(path, ResultClass=classname, Role=role)
    compare("References", of_this_class(item.path for item in references), associations)
    for other_role in other_roles:
        filters = {"AssocClass": classname, "Role": role, "ResultRole": other_role}
        wanted = {other for _, its_role, other in expected if its_role == other_role}
        names = connection.AssociatorNames(path, **filters)
        if wanted <= {plain(name) for name in names} and len(names) > len(wanted):
            names = [name for name in names if plain(name) in wanted]  # reached by a subclass
        compare("AssociatorNames", names, wanted)
        instances = connection.Associators(path, PropertyList=[], **filters)
        instances = [item.path for item in instances if plain(item.path) in others]
        compare("Associators", instances, wanted)
    return wrong


def expected_ones(checks, connection, found):
    """One check per row of the table: it exists, and both class filters lead across it."""
    for association, role, classname, other_role, other_class in EXPECTED:
        text = f"{association}: {classname} to {other_class}"
        row = [
            (near, far)
            for instance in found.get(association, [])
            for near, far in [(ends(instance).get(role), ends(instance).get(other_role))]
            if near is not None and far is not None
            and is_a(connection, near, classname) and is_a(connection, far, other_class)
        ]
        if not checks.that(row, text, "there is none"):
            continue
        near, far = row[0]
        forward = connection.AssociatorNames(
            near, AssocClass=association, ResultClass=other_class, Role=role,
            ResultRole=other_role)
        back = connection.AssociatorNames(
            far, AssocClass=association, ResultClass=classname, Role=other_role, ResultRole=role)
        checks.that(far in map(plain, forward) and near in map(plain, back),
                    f"{text}, by class filters from both ends")
        turned = connection.AssociatorNames(near, AssocClass=association, Role=other_role,
                                            ResultRole=role, ResultClass=other_class)
        checks.that(far not in map(plain, turned) or role == other_role,
                    f"{text}, not with the roles exchanged")


_ancestry = {}


def is_a(connection, path, classname):
    """Whether the object's class is this class or derives from it."""
    key = (path.namespace, path.classname.lower())
    if key not in _ancestry:
        chain, name = [], path.classname
        while name:
            chain.append(name.lower())
            name = connection.GetClass(
                name, namespace=path.namespace, LocalOnly=True, IncludeQualifiers=False,
                PropertyList=[],
            ).superclass
        _ancestry[key] = chain
    return classname.lower() in _ancestry[key]
