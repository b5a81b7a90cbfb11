"""The calls of libstoragemgmt's SMI-S plug-in, in its order and with its arguments.

Written from the calls that the plug-in was seen to make on the wire: no pull operations, property
lists in random order, `LocalOnly=False` on reads, filters by class without roles, and the client
trusting what it gets: a property that it needs and does not find ends the command. So here a
missing or null property raises, exactly where it would end the plug-in's command.
"""

import hashlib
import random

import pywbem

INTEROP = ("interop", "root/interop", "root/PG_Interop")

VOLUME = [
    "SystemName", "DeviceID", "ElementName", "Name", "NameFormat", "NameNamespace",
    "OtherNameFormat", "OtherNameNamespace", "OtherIdentifyingInfo", "IdentifyingDescriptions",
    "BlockSize", "NumberOfBlocks", "Usage",
]
GROUP = ["ElementName", "InstanceID"]
INITIATOR = ["StorageID", "IDType"]

IQN, WWPN = 5, 2
INITIATOR_GROUP, TARGET_GROUP, DEVICE_GROUP = 2, 3, 4


class Refused(Exception):
    """An error as a user of libstoragemgmt sees it, by its name there."""


def md5(text):
    """The plug-in's identifiers are MD5 sums in hexadecimal."""
    return hashlib.md5(text.encode("utf-8")).hexdigest()


def shuffled(names):
    """A property list in random order, as the plug-in builds it from sets."""
    return random.sample(names, len(names))


class Plugin:
    """One plug-in process: a connection and what registration found out."""

    def __init__(self, connection):
        self.connection = connection
        self.namespace = None
        self.profiles = {}
        self.root_profile = None
        self.reads = 0

    # --- section 4: registration ----------------------------------------------------------------

    def register(self):
        """Find the interop namespace, the profiles and the namespace of the array."""
        for namespace in INTEROP:
            try:
                found = self.connection.EnumerateInstances(
                    "CIM_RegisteredProfile", namespace=namespace, LocalOnly=False,
                    PropertyList=shuffled(
                        ["RegisteredName", "RegisteredVersion", "RegisteredOrganization"]))
            except pywbem.CIMError as error:
                if error.status_code in (3, 5, 7):
                    continue
                raise
            if found:
                break
        else:
            raise Refused("NO_SUPPORT")
        anchor = None
        for profile in found:
            if profile["RegisteredOrganization"] != 11:
                continue
            name = profile["RegisteredName"]
            version = tuple(int(part) for part in profile["RegisteredVersion"].split("."))
            if len(version) not in (2, 3):
                raise ValueError(f"{name} {version}")
            if version >= self.profiles.get(name, (0,)):
                self.profiles[name] = version
                if name == "Array":
                    anchor = profile.path
        if self.profiles.get("Array", (0,)) < (1, 4):
            raise Refused("NO_SUPPORT")
        self.root_profile = anchor
        systems = self.connection.AssociatorNames(
            anchor, AssocClass="CIM_ElementConformsToProfile", ResultClass="CIM_ComputerSystem")
        self.namespace = systems[0].namespace
        return self

    def has(self, name, version):
        """Whether a profile is advertised in at least this version."""
        return self.profiles.get(name, (0,)) >= version

    # --- reading --------------------------------------------------------------------------------

    def enumerate(self, classname, properties):
        """EnumerateInstances in the array's namespace, as the plug-in sends it."""
        return self.connection.EnumerateInstances(
            classname, namespace=self.namespace, LocalOnly=False,
            PropertyList=shuffled(properties))

    def associators(self, path, association, result, properties=None):
        """Associators by class filters alone."""
        keywords = {} if properties is None else {"PropertyList": shuffled(properties)}
        return self.connection.Associators(
            path, AssocClass=association, ResultClass=result, **keywords)

    def names(self, path, association, result):
        """AssociatorNames by class filters alone."""
        return self.connection.AssociatorNames(path, AssocClass=association, ResultClass=result)

    def get(self, path, properties):
        """GetInstance as the plug-in sends it."""
        return self.connection.GetInstance(
            path, LocalOnly=False, PropertyList=shuffled(properties))

    def root(self, properties=("Name",)):
        """The array systems; asked anew before nearly every command."""
        return self.associators(self.root_profile, "CIM_ElementConformsToProfile",
                                "CIM_ComputerSystem", list(properties))

    def service(self, classname, system_id):
        """The first service of a class that carries the system's name; None without one."""
        for service in self.enumerate(classname, ["SystemName"]):
            if service["SystemName"] == system_id:
                return service.path
        return None

    def systems(self):
        """7.2: the systems."""
        return self.root(["Name", "ElementName", "OperationalStatus"])

    def capabilities(self, system_id):
        """7.3: the capability names that the plug-in derives."""
        system = next(item for item in self.root() if item["Name"] == system_id)
        flags = set()
        service = self.service("CIM_StorageConfigurationService", system_id)
        if service is not None:
            first = self.associators(
                service, "CIM_ElementCapabilities", "CIM_StorageConfigurationCapabilities",
                ["SupportedAsynchronousActions", "SupportedSynchronousActions",
                 "SupportedStorageElementTypes"])[0]
            types = list(first["SupportedStorageElementTypes"])
            actions = [*(first["SupportedAsynchronousActions"] or []),
                       *(first["SupportedSynchronousActions"] or [])]
            flags |= {"VOLUMES"} if 2 in types or 5 in types else set()
            flags |= {"VOLUME_THIN"} if 5 in types else set()
            for action, flag in ((5, "VOLUME_CREATE"), (6, "VOLUME_DELETE"), (7, "VOLUME_RESIZE")):
                flags |= {flag} if action in actions else set()
        if self.has("Disk Drive Lite", (1, 4)):
            flags.add("DISKS")
        iscsi = self.has("iSCSI Target Ports", (1, 1))
        if iscsi:
            flags.add("TARGET_PORTS")
        if self.has("Group Masking and Mapping", (1, 5)):
            masking = self.associators(
                system.path, "CIM_ElementCapabilities", "CIM_GroupMaskingMappingCapabilities",
                ["SupportedAsynchronousActions", "SupportedSynchronousActions",
                 "SupportedDeviceGroupFeatures"])[0]
            features = list(masking["SupportedDeviceGroupFeatures"])
            actions = [*masking["SupportedAsynchronousActions"],
                       *masking["SupportedSynchronousActions"]]
            flags |= {"ACCESS_GROUPS", "GRANTED_TO_VOLUME", "ACCESSIBLE_BY", "VOLUME_MASK",
                      "INITIATOR_DELETE"}
            if iscsi:
                flags |= {"INITIATOR_ADD_ISCSI_IQN", "CREATE_ISCSI_IQN"}
            flags |= {"VOLUME_UNMASK"} if 5 in features or 24 in actions else set()
            flags |= {"ACCESS_GROUP_DELETE"} if 20 in actions else set()
        return flags | self._copying(system_id, service)

    def _copying(self, system_id, service):
        """7.3 step 5: what can be replicated, by the replication service or else the older way."""
        flags = set()
        replication = self.service("CIM_ReplicationService", system_id)
        if replication is not None:
            first = self.associators(
                replication, "CIM_ElementCapabilities", "CIM_ReplicationServiceCapabilities",
                ["SupportedReplicationTypes", "SupportedAsynchronousActions",
                 "SupportedSynchronousActions"])[0]
            types = list(first["SupportedReplicationTypes"])
            actions = [*first["SupportedAsynchronousActions"],
                       *first["SupportedSynchronousActions"]]
            flags |= {"VOLUME_REPLICATE"} if 2 in actions else set()
            flags |= {"VOLUME_REPLICATE_CLONE"} if {6, 7} & set(types) else set()
            flags |= {"VOLUME_REPLICATE_COPY"} if {10, 11} & set(types) else set()
        elif service is not None:
            copies = self.associators(
                self.service("CIM_StorageConfigurationService", system_id),
                "CIM_ElementCapabilities", "CIM_StorageConfigurationCapabilities",
                ["SupportedCopyTypes"])[0]
            flags |= {"VOLUME_REPLICATE"} if copies.get("SupportedCopyTypes") else set()
        return flags

    def pools(self):
        """7.4: (instance, element types) of every pool that holds volumes."""
        found = []
        for system in self.root():
            for pool in self.associators(
                    system.path, "CIM_HostedStoragePool", "CIM_StoragePool",
                    ["InstanceID", "ElementName", "TotalManagedSpace", "RemainingManagedSpace",
                     "Usage", "OperationalStatus", "Primordial"]):
                if pool.get("Primordial") or pool.get("Usage") == 8:
                    continue
                abilities = self.associators(
                    pool.path, "CIM_ElementCapabilities", "CIM_StorageConfigurationCapabilities",
                    ["SupportedStorageElementFeatures", "SupportedStorageElementTypes"])
                if len(abilities) != 1:
                    raise LookupError(f"{pool['InstanceID']} has {len(abilities)} capabilities")
                types = set()
                if 3 in list(abilities[0]["SupportedStorageElementFeatures"]):
                    types.add("VOLUME")
                    names = {5: "THIN", 2: "FULL"}
                    types |= {names[kind] for kind
                              in abilities[0]["SupportedStorageElementTypes"] if kind in names}
                found.append((pool, types))
        return found

    def disks(self):
        """7.6: (drive, type, bytes, whether it is a spare) of every drive."""
        if not self.has("Disk Drive Lite", (1, 4)):
            raise Refused("NO_SUPPORT")
        found = []
        for drive in self.enumerate("CIM_DiskDrive", [
                "OperationalStatus", "Name", "SystemName", "Caption", "InterconnectType",
                "DiskType", "DeviceID", "Type", "MediaType", "EMCInUse"]):
            extents = self.associators(
                drive.path, "CIM_MediaPresent", "CIM_StorageExtent",
                ["Primordial", "BlockSize", "NumberOfBlocks"])
            extent, = (extent for extent in extents if extent["Primordial"])
            kind = drive["InterconnectType"] if "InterconnectType" in drive else 0
            if kind == 0 and "DiskType" in drive:
                kind = drive["DiskType"]
            if drive.get("Caption") == "NL_SAS":
                kind = "NL_SAS"
            spare = self.has("Disk Sparing", (1, 4)) and bool(
                self.names(extent.path, "CIM_IsSpare", "CIM_StorageRedundancySet"))
            found.append((drive, kind, extent["BlockSize"] * extent["NumberOfBlocks"], spare))
        return found

    def volumes(self):
        """7.5: every volume as (pool path, instance), pool by pool."""
        found = []
        for system in self.root():
            for pool in self.associators(system.path, "CIM_HostedStoragePool", "CIM_StoragePool",
                                         ["InstanceID", "Primordial", "Usage"]):
                if pool.get("Primordial") or pool.get("Usage") == 8:
                    continue
                found += [
                    (pool.path, volume)
                    for volume in self.associators(pool.path, "CIM_AllocatedFromStoragePool",
                                                   "CIM_StorageVolume", VOLUME)
                    if volume.get("Usage") != 3
                ]
        return found

    def _settled(self, path):
        """A volume after a change, with its pool: both reads must succeed."""
        volume = self.get(path, VOLUME)
        pools = self.associators(path, "CIM_AllocatedFromStoragePool", "CIM_StoragePool",
                                 ["InstanceID"])
        if len(pools) != 1:
            raise LookupError(f"the volume comes from {len(pools)} pools")
        return volume

    # --- volumes --------------------------------------------------------------------------------

    def _call(self, method, service, **parameters):
        """A method whose answer is read as 0 or a job; everything else is the server's refusal."""
        code, outputs = self.connection.InvokeMethod(method, service, **parameters)
        if code not in (0, 4096):
            raise Refused(f"PLUGIN_BUG rc={code}")
        return code, outputs

    def volume_create(self, pool, name, size, system_id, kind=2):
        """7.7 and 7.8; kind 2 is a full volume, 5 a thin one."""
        service = self.service("CIM_StorageConfigurationService", system_id)
        try:
            code, outputs = self._call(
                "CreateOrModifyElementFromStoragePool", service, ElementName=name,
                ElementType=pywbem.Uint16(kind), InPool=pool, Size=pywbem.Uint64(size))
            if code == 4096:
                return outputs["Job"]
            return self._settled(outputs["TheElement"])
        except Exception:
            for volume in self.enumerate("CIM_StorageVolume", ["ElementName"]):
                if volume["ElementName"] == name:
                    raise Refused("NAME_CONFLICT") from None
            raise

    def volume_resize(self, volume, size, system_id):
        """7.10; ElementType is 2 for thin volumes too."""
        service = self.service("CIM_StorageConfigurationService", system_id)
        code, outputs = self._call(
            "CreateOrModifyElementFromStoragePool", service, ElementType=pywbem.Uint16(2),
            TheElement=volume, Size=pywbem.Uint64(size))
        if code == 4096:
            return outputs["Job"]
        return self._settled(outputs["TheElement"])

    def volume_delete(self, volume, system_id):
        """7.9: nothing is deleted that is masked, or when the class of replicas is unknown.

        A relation that has both SyncState (6) and CopyType is ended first: by 8, or, of a snapshot,
        by 19, after which the plug-in takes the volume for deleted, whichever of the two it was.
        """
        if self.groups_granted(volume):
            raise Refused("IS_MASKED")
        service = self.service("CIM_StorageConfigurationService", system_id)
        keys = ("DeviceID", "SystemName", "SystemCreationClassName")
        for relation in self.connection.References(
                volume, ResultClass="CIM_StorageSynchronized"):
            if not ("SyncState" in relation and "CopyType" in relation
                    and relation["SyncState"] == 6):
                continue
            ends = relation["SyncedElement"], relation["SystemElement"]
            if not any(all(end[key] == volume[key] for key in keys) for end in ends):
                continue
            operation = 19 if relation["CopyType"] == 4 else 8
            code, outputs = self._call(
                "ModifyReplicaSynchronization",
                self.service("CIM_ReplicationService", system_id),
                Operation=pywbem.Uint16(operation), Synchronization=relation.path)
            if operation == 19:
                return outputs["Job"] if code == 4096 else None
        code, outputs = self._call("ReturnToStoragePool", service, TheElement=volume)
        return outputs["Job"] if code == 4096 else None

    def volume_replicate(self, volume, name, system_id, copy, pool=None):
        """7.11: a CLONE, which is a snapshot, or a COPY, which is a clone."""
        service = self.service("CIM_ReplicationService", system_id)
        for known in self.enumerate("CIM_StorageVolume", ["ElementName"]):
            if known["ElementName"] == name:
                raise Refused("NAME_CONFLICT")
        types = self.connection.Associators(
            self.service("CIM_ReplicationService", system_id),
            AssocClass="CIM_ElementCapabilities",
            ResultClass="CIM_ReplicationServiceCapabilities")[0]["SupportedReplicationTypes"]
        if not {10, 11} & set(types):
            raise Refused("NO_SUPPORT")
        where = {} if pool is None else {"TargetPool": pool}
        code, outputs = self._call(
            "CreateElementReplica", service, ElementName=name,
            SyncType=pywbem.Uint16(8 if copy else 7), SourceElement=volume,
            WaitForCopyState=pywbem.Uint16(4), **where)
        if code == 4096:
            return outputs["Job"]
        return self._settled(outputs["TargetElement"])

    # --- access groups --------------------------------------------------------------------------

    def access_groups(self):
        """7.14, group path: (instance, initiators) of every access group."""
        found = []
        for system in self.root():
            service = self.service("CIM_GroupMaskingMappingService", system["Name"])
            for group in self.associators(service, "CIM_ServiceAffectsElement",
                                          "CIM_InitiatorMaskingGroup", GROUP):
                found.append((group, self.members(group.path)))
        return found

    def members(self, group):
        """The initiators of a group; a malformed one ends the listing."""
        names = []
        for member in self.associators(group, "CIM_MemberOfCollection", "CIM_StorageHardwareID",
                                       INITIATOR):
            if member["IDType"] == IQN and not member["StorageID"].startswith(
                    ("iqn", "eui", "naa")):
                raise ValueError(member["StorageID"])
            if member["IDType"] in (IQN, WWPN):
                names.append(member["StorageID"])
        return names

    def hardware_id(self, initiator, system_id):
        """7.15 step 2: reuse an id by exact equality or create it."""
        for known in self.enumerate("CIM_StorageHardwareID", INITIATOR):
            if known["StorageID"] == initiator:
                return known.path
        service = self.service("CIM_StorageHardwareIDManagementService", system_id)
        code, outputs = self.connection.InvokeMethod(
            "CreateStorageHardwareID", service, StorageID=initiator, IDType=pywbem.Uint16(IQN))
        if code != 0:
            raise Refused(f"PLUGIN_BUG rc={code}")
        return outputs["HardwareID"]

    def group_create(self, name, initiator, system_id):
        """7.15."""
        self.root()
        identifier = self.hardware_id(initiator, system_id)
        service = self.service("CIM_GroupMaskingMappingService", system_id)
        try:
            _, outputs = self._call(
                "CreateGroup", service, GroupName=name, Members=[identifier],
                Type=pywbem.Uint16(INITIATOR_GROUP))
        except (pywbem.CIMError, Refused):
            if self.names(identifier, "CIM_MemberOfCollection", "CIM_InitiatorMaskingGroup"):
                raise Refused("EXISTS_INITIATOR") from None
            if any(group["ElementName"] == name for group, _ in self.access_groups()):
                raise Refused("NAME_CONFLICT") from None
            raise
        group = self.get(outputs["MaskingGroup"], GROUP)
        self.members(group.path)
        return group

    def group_delete(self, group, system_id):
        """7.16."""
        for view in self.names(group, "CIM_AssociatedInitiatorMaskingGroup",
                               "CIM_SCSIProtocolController"):
            if self.names(view, "CIM_ProtocolControllerForUnit", "CIM_StorageVolume"):
                raise Refused("IS_MASKED")
        service = self.service("CIM_GroupMaskingMappingService", system_id)
        self._call("DeleteGroup", service, MaskingGroup=group, Force=True)

    def initiator_add(self, group, initiator, system_id):
        """7.21: the output must carry the group, which the schema does not have."""
        self.root()
        if initiator in self.members(group):
            return self.get(group, GROUP)
        identifier = self.hardware_id(initiator, system_id)
        service = self.service("CIM_GroupMaskingMappingService", system_id)
        _, outputs = self._call("AddMembers", service, MaskingGroup=group, Members=[identifier])
        back = self.get(outputs["MaskingGroup"], GROUP)
        self.members(back.path)
        return back

    def initiator_delete(self, group, initiator, system_id):
        """7.21."""
        inside = self.associators(group, "CIM_MemberOfCollection", "CIM_StorageHardwareID",
                                  INITIATOR)
        found = [member.path for member in inside if member["StorageID"] == initiator]
        if not found:
            raise Refused("NO_STATE_CHANGE")
        if len(inside) == 1:
            raise Refused("LAST_INIT_IN_ACCESS_GROUP")
        service = self.service("CIM_GroupMaskingMappingService", system_id)
        self._call("RemoveMembers", service, MaskingGroup=group, Members=found)
        return self.get(group, GROUP)

    # --- masking --------------------------------------------------------------------------------

    def volumes_accessible(self, group):
        """7.17: the volumes that a group reaches."""
        self.root()
        volumes = []
        for view in self.names(group, "CIM_AssociatedInitiatorMaskingGroup",
                               "CIM_SCSIProtocolController"):
            volumes += [
                self._settled(volume.path)
                for volume in self.associators(view, "CIM_ProtocolControllerForUnit",
                                               "CIM_StorageVolume", VOLUME)
            ]
        return volumes

    def groups_granted(self, volume):
        """7.17: the groups that reach a volume."""
        self.root()
        groups = []
        for view in self.connection.Associators(
                volume, AssocClass="CIM_ProtocolControllerForUnit",
                ResultClass="CIM_SCSIProtocolController", PropertyList=[]):
            groups += self.associators(view.path, "CIM_AssociatedInitiatorMaskingGroup",
                                       "CIM_InitiatorMaskingGroup", GROUP)
        return groups

    def mask(self, group, volume, system_id):
        """7.18, group path."""
        self.root()
        if not self.members(group):
            raise Refused("EMPTY_ACCESS_GROUP")
        service = self.service("CIM_GroupMaskingMappingService", system_id)
        views = self.names(group, "CIM_AssociatedInitiatorMaskingGroup",
                           "CIM_SCSIProtocolController")
        if not views:
            self._first_mask(service, group, volume)
            return
        device_id = volume["DeviceID"]
        for view in views:
            for unit in self.associators(view, "CIM_ProtocolControllerForUnit",
                                         "CIM_StorageVolume", ["SystemName", "DeviceID"]):
                if unit["DeviceID"] == device_id:
                    raise Refused("NO_STATE_CHANGE")
            devices = self.names(view, "CIM_AssociatedDeviceMaskingGroup",
                                 "CIM_DeviceMaskingGroup")
            self._call("AddMembers", service, MaskingGroup=devices[0], Members=[volume])

    def _first_mask(self, service, group, volume):
        """Target group, device group and view, all named as the access group."""
        name = self.get(group, GROUP)["ElementName"]
        ports = [endpoint for endpoint, *_ in self.iscsi_endpoints()]
        targets = self._group_or_existing(
            service, name, TARGET_GROUP, ports, "CIM_TargetMaskingGroup")
        try:
            _, outputs = self._call("CreateGroup", service, GroupName=name, Members=[volume],
                                    Type=pywbem.Uint16(DEVICE_GROUP))
            devices = outputs["MaskingGroup"]
        except (pywbem.CIMError, Refused):
            devices = self._named("CIM_DeviceMaskingGroup", name)
            inside = self.associators(devices, "CIM_OrderedMemberOfCollection",
                                      "CIM_StorageVolume", ["SystemName", "DeviceID"])
            if volume["DeviceID"] not in [item["DeviceID"] for item in inside]:
                self._call("AddMembers", service, MaskingGroup=devices, Members=[volume])
        _, outputs = self._call(
            "CreateMaskingView", service, ElementName=name, InitiatorMaskingGroup=group,
            TargetMaskingGroup=targets, DeviceMaskingGroup=devices)
        if outputs["ProtocolController"] is None:
            raise LookupError("no view came back")

    def _group_or_existing(self, service, name, kind, members, classname):
        try:
            _, outputs = self._call("CreateGroup", service, GroupName=name, Members=members,
                                    Type=pywbem.Uint16(kind))
            return outputs["MaskingGroup"]
        except (pywbem.CIMError, Refused):
            return self._named(classname, name)

    def _named(self, classname, name):
        return next(group.path for group in self.enumerate(classname, ["ElementName"])
                    if group["ElementName"] == name)

    def unmask(self, group, volume, system_id):
        """7.19, group path: views are compared as whole paths, host included."""
        system = self.root()[0]
        self.root()
        masking = self.associators(
            system.path, "CIM_ElementCapabilities", "CIM_GroupMaskingMappingCapabilities",
            ["SupportedAsynchronousActions", "SupportedSynchronousActions",
             "SupportedDeviceGroupFeatures"])[0]
        of_volume = self.names(volume, "CIM_ProtocolControllerForUnit",
                               "CIM_SCSIProtocolController")
        of_group = self.names(group, "CIM_AssociatedInitiatorMaskingGroup",
                              "CIM_SCSIProtocolController")
        common = [view for view in of_volume if view in of_group]
        if not common:
            raise Refused("NO_STATE_CHANGE")
        devices = self.names(common[0], "CIM_AssociatedDeviceMaskingGroup",
                             "CIM_DeviceMaskingGroup")[0]
        service = self.service("CIM_GroupMaskingMappingService", system_id)
        if 5 not in list(masking["SupportedDeviceGroupFeatures"]):
            inside = self.names(devices, "CIM_OrderedMemberOfCollection", "CIM_StorageVolume")
            if len(inside) == 1:
                self._call("DeleteMaskingView", service, ProtocolController=common[0])
        self._call("RemoveMembers", service, MaskingGroup=devices, Members=[volume])

    # --- ports and jobs -------------------------------------------------------------------------

    def leaves(self, system):
        """7.22: the systems inside a system, and those inside them."""
        if not self.has("Multiple Computer System", (1, 1)):
            return []
        inner = self.connection.AssociatorNames(
            system, AssocClass="CIM_ComponentCS", ResultClass="CIM_ComputerSystem",
            Role="GroupComponent", ResultRole="PartComponent")
        return [leaf for part in inner for leaf in (part, *self.leaves(part))]

    def iscsi_endpoints(self):
        """7.22 steps 1 to 3: (endpoint path, TCP instances, IQNs)."""
        found = []
        for system in (path for root in self.root()
                       for path in (root.path, *self.leaves(root.path))):
            for endpoint in self.associators(system, "CIM_HostedAccessPoint",
                                             "CIM_iSCSIProtocolEndpoint", ["Role"]):
                if endpoint["Role"] != 3:
                    continue
                tcp = self.associators(endpoint.path, "CIM_BindsTo", "CIM_TCPProtocolEndpoint",
                                       ["PortNumber"])
                if not tcp:
                    raise Refused("PLUGIN_BUG no TCP endpoint")
                nodes = self.associators(
                    endpoint.path, "CIM_SAPAvailableForElement", "CIM_SCSIProtocolController",
                    ["Name", "NameFormat"])
                names = [node["Name"] for node in nodes if node["NameFormat"] == 3]
                found.append((endpoint.path, tcp, names))
        return found

    def target_ports(self):
        """7.22: (IQN, address, port, MAC) of every combination."""
        ports = []
        for _, tcp_endpoints, names in self.iscsi_endpoints():
            for tcp in tcp_endpoints:
                for ip in self.associators(
                        tcp.path, "CIM_BindsTo", "CIM_IPProtocolEndpoint",
                        ["IPv4Address", "IPv6Address", "SystemName", "EMCPortNumber",
                         "IPv6AddressType"]):
                    cards = self.associators(ip.path, "CIM_DeviceSAPImplementation",
                                             "CIM_EthernetPort", ["PermanentAddress",
                                                                  "ElementName"])
                    addresses = [ip.get("IPv4Address"), ip.get("IPv6Address")]
                    macs = [card.get("PermanentAddress") for card in cards] or [""]
                    ports += [(name, address, tcp["PortNumber"], mac) for name in names
                              for address in addresses if address for mac in macs]
        return ports

    def job_status(self, instance_id):
        """Section 6: find a job by its MD5 and read it as the plug-in does."""
        for job in self.enumerate("CIM_ConcreteJob",
                                  ["InstanceID", "JobState", "PercentComplete",
                                   "ErrorDescription", "OperationalStatus"]):
            if md5(job["InstanceID"]) != md5(instance_id):
                continue
            if job["PercentComplete"] > 100:
                raise ValueError(job["PercentComplete"])
            job["ErrorDescription"]  # noqa: B018  must be there, null or not
            if job["JobState"] in (2, 3, 4):
                return "INPROGRESS"
            good = set(job["OperationalStatus"][:2]) == {2, 17}
            return "COMPLETE" if job["JobState"] == 7 and good else "ERROR"
        raise Refused("NOT_FOUND_JOB")

    def job_volume(self, job):
        """Section 6: the volume that a finished job made, with its pool."""
        volumes = self.associators(job, "CIM_AffectedJobElement", "CIM_StorageVolume", VOLUME)
        return self._settled(volumes[0].path) if volumes else None
