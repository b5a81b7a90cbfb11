"""Finding one SMI-S array behind a WBEM server, the way that a client does: from interop down."""

import pywbem

from harness import contains

# The profiles that Standpipe offers, and the class of their central instances.
OFFERED = {
    "Array": "CIM_ComputerSystem",
    "Server": "CIM_ObjectManager",
    "Block Services": "CIM_StoragePool",
    "Masking and Mapping": "CIM_ControllerConfigurationService",
    "Extent Composition": "CIM_StorageExtent",
    "Replication Services": "CIM_ReplicationService",
    "Disk Drive Lite": "CIM_DiskDrive",
    "Group Masking and Mapping": "CIM_GroupMaskingMappingService",
    "iSCSI Target Ports": "CIM_iSCSICapabilities",
    "Job Control": "CIM_ConcreteJob",
    "Physical Package": "CIM_PhysicalPackage",
    "Location": "CIM_Location",
    "Software": "CIM_SoftwareIdentity",
    "Access Points": "CIM_RemoteServiceAccessPoint",
    "Multiple Computer System": "CIM_ComputerSystem",
    "Health": "CIM_LogicalDevice",
    "Thin Provisioning": "CIM_StoragePool",
    "Storage Relocation": "CIM_StorageRelocationService",
    "Profile Registration": "CIM_RegisteredProfile",
}
# And on a server with Fibre Channel ports.
OFFERED_WITH_FC = {"FC Target Ports": "CIM_FCPort"}

# Profiles that have no central instances as long as nobody changes anything and all is well.
EMPTY_AT_FIRST = {"Job Control", "Health"}

SNIA = 11


class Array:
    """One array system: its path, its namespace and its services."""

    def __init__(self, connection, system):
        self.connection = connection
        self.system = system
        self.namespace = system.namespace
        self.configuration = self._service("CIM_StorageConfigurationService")
        self.replication = self._service("CIM_ReplicationService")
        self.masking = self._service("CIM_GroupMaskingMappingService")
        self.hardware_ids = self._service("CIM_StorageHardwareIDManagementService")

    def _service(self, classname):
        """The one service of a class that is hosted by the system."""
        found = self.connection.AssociatorNames(
            self.system, AssocClass="CIM_HostedService", ResultClass=classname
        )
        if len(found) != 1:
            raise LookupError(f"the system hosts {len(found)} instances of {classname}")
        return found[0]

    def pools(self, primordial=False):
        """The pools of the system, as instances."""
        return [
            pool
            for pool in self.connection.Associators(
                self.system, AssocClass="CIM_HostedStoragePool", ResultClass="CIM_StoragePool"
            )
            if bool(pool["Primordial"]) == primordial
        ]

    def thick_pool(self, room):
        """A concrete pool that makes fully provisioned volumes and has this much room, in bytes."""
        for pool in self.pools():
            abilities = self.connection.Associators(
                pool.path, AssocClass="CIM_ElementCapabilities",
                ResultClass="CIM_StorageConfigurationCapabilities",
            )
            types = abilities[0]["SupportedStorageElementTypes"] if abilities else []
            if 2 in types and pool["RemainingManagedSpace"] >= room:
                return pool.path
        raise LookupError(f"no pool makes fully provisioned volumes of {room} bytes")

    def enumerate(self, classname, **keywords):
        """The instances of a class in the array's namespace."""
        return self.connection.EnumerateInstances(
            classname, namespace=self.namespace, **keywords
        )

    def target_endpoints(self):
        """The iSCSI endpoints with the role of a target, as paths."""
        return [
            endpoint.path
            for endpoint in self.connection.Associators(
                self.system, AssocClass="CIM_HostedAccessPoint",
                ResultClass="CIM_iSCSIProtocolEndpoint",
            )
            if endpoint["Role"] == 3
        ]


def profiles(connection):
    """All registered profiles, as instances, by (organisation, name)."""
    found = {}
    for profile in connection.EnumerateInstances("CIM_RegisteredProfile", namespace="interop"):
        key = (profile["RegisteredOrganization"], profile["RegisteredName"])
        found.setdefault(key, []).append(profile)
    return found


def conforming(connection, profile, classname=None):
    """What conforms to a profile: paths of its central instances."""
    return connection.AssociatorNames(
        profile, AssocClass="CIM_ElementConformsToProfile", Role="ConformantStandard",
        ResultRole="ManagedElement", ResultClass=classname,
    )


def profile_tree(connection, top):
    """Everything below a profile in SNIA's direction (Antecedent refers to Dependent)."""
    seen, waiting = [], [top]
    while waiting:
        profile = waiting.pop()
        if contains(seen, profile):
            continue
        seen.append(profile)
        waiting += connection.AssociatorNames(
            profile, AssocClass="CIM_ReferencedProfile", Role="Antecedent",
            ResultRole="Dependent",
        )
    return seen


def discover(connection):
    """The array that a client finds: the system that conforms to SNIA's Array profile."""
    arrays = profiles(connection).get((SNIA, "Array"))
    if not arrays:
        raise LookupError("no Array profile is registered in interop")
    systems = conforming(connection, arrays[0].path, "CIM_ComputerSystem")
    if len(systems) != 1:
        raise LookupError(f"{len(systems)} systems conform to the Array profile")
    return Array(connection, systems[0])


def size_range(connection, pool, element_type=3):
    """Smallest, largest and step of volumes that a pool can make now, in bytes."""
    code, outputs = connection.InvokeMethod(
        "GetSupportedSizeRange", pool, ElementType=pywbem.Uint16(element_type)
    )
    if code != 0:
        raise LookupError(f"GetSupportedSizeRange answered {code}")
    return (
        int(outputs["MinimumVolumeSize"]),
        int(outputs["MaximumVolumeSize"]),
        int(outputs["VolumeSizeDivisor"]),
    )
