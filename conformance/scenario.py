#!/usr/bin/env python3
"""A storage administrator's day against an SMI-S array, with pywbem; every reply is validated.

Find the array from the interop namespace down, create and grow a volume, mask it for an
initiator, read back what a host would see, walk every association from both ends, be refused
everything that is wrong, undo it all, and leave the server as it was found. Runs once per URL.
"""

import re
import sys
import uuid

import pywbem

import disks
import refusals
import walk
from discovery import (
    EMPTY_AT_FIRST, OFFERED, SNIA, conforming, discover, profile_tree, profiles, size_range,
)
from harness import (
    DONE, INVALID_NAMESPACE, MIB, NOT_FOUND, Checks, connect, contains, differences, everything,
    invoke, options, same,
)

NAA = re.compile(r"6[0-9A-F]{31}")


class Scenario:
    """One run: a connection, the array that it found, and what was made on the way."""

    def __init__(self, checks, connection):
        self.checks = checks
        self.connection = connection
        self.tag = uuid.uuid4().hex[:8]
        self.array = None
        self.volume = self.second = None
        self.hardware_ids = []
        self.groups = {}
        self.view = None

    # --- discovery ------------------------------------------------------------------------------

    def interop(self):
        """The interop namespace under both names, and the list of namespaces."""
        checks, connection = self.checks, self.connection
        server = pywbem.WBEMServer(connection)
        checks.equal(server.interop_ns, "interop", "the interop namespace is called interop")
        checks.that({"interop", "root/standpipe"} <= set(server.namespaces),
                    "both namespaces are listed", str(server.namespaces))
        for namespace in server.namespaces:
            names = connection.EnumerateClassNames(namespace=namespace, DeepInheritance=True)
            checks.that(len(names) > 100, f"{namespace} declares the whole subset", str(len(names)))
        alias = connection.EnumerateInstanceNames("CIM_Namespace", namespace="root/interop")
        proper = connection.EnumerateInstanceNames("CIM_Namespace", namespace="interop")
        checks.equal({name["Name"] for name in alias}, {name["Name"] for name in proper},
                     "root/interop answers as interop does")
        checks.refuses(INVALID_NAMESPACE, "an unknown namespace is refused",
                       connection.EnumerateInstanceNames, "CIM_Namespace", namespace="root/nil")
        checks.that(bool(server.brand) and bool(server.version), "brand and version are readable")

    def profile_tree(self):
        """From SMI-S down: autonomous profiles, their components, and the central instances."""
        checks, connection = self.checks, self.connection
        registered = profiles(connection)
        checks.that((SNIA, "SMI-S") in registered, "the SMI-S specification is registered")
        top = registered[SNIA, "SMI-S"][0].path
        autonomous = conforming(connection, top, "CIM_RegisteredProfile")
        checks.that(autonomous, "profiles conform to SMI-S")
        below = [profile for start in autonomous for profile in profile_tree(connection, start)]
        for name, central in OFFERED.items():
            known = registered.get((SNIA, name), [])
            if not checks.that(known, f"{name} is registered"):
                continue
            path = known[0].path
            checks.that(contains(below, path), f"{name} is reached from SMI-S")
            for instance in known:
                checks.that(re.fullmatch(r"\d+\.\d+(\.\d+)?", instance["RegisteredVersion"]),
                            f"{name} has a version that clients parse",
                            instance["RegisteredVersion"])
            instances = conforming(connection, path)
            checks.that(
                (instances or name in EMPTY_AT_FIRST)
                and all(walk.is_a(connection, item, central) for item in instances),
                f"{name} has central instances of {central}", str(instances[:2]))
        for (organisation, name), instances in registered.items():
            if organisation == SNIA and name != "SMI-S":
                checks.that(contains(below, instances[0].path), f"{name} hangs in the tree")

    def system(self):
        """The array's top-level system."""
        checks, connection = self.checks, self.connection
        self.array = array = discover(connection)
        system = connection.GetInstance(array.system)
        checks.equal(array.namespace, "root/standpipe", "the array lives in its own namespace")
        checks.that({3, 15} <= set(system["Dedicated"]), "Dedicated holds 3 and 15",
                    str(system["Dedicated"]))
        checks.equal(list(system["OperationalStatus"]), [2], "the system is OK")
        checks.equal(len(system["OtherIdentifyingInfo"]), len(system["IdentifyingDescriptions"]),
                     "identifying information is index-matched")
        checks.that(not set(system["Name"]) & set(":&=+"), "Name is safe in client URLs",
                    system["Name"])
        for classname in ("CIM_Service", "CIM_LogicalDevice", "CIM_ServiceAccessPoint"):
            strangers = [
                path for path in connection.EnumerateInstanceNames(
                    classname, namespace=array.namespace)
                if path["SystemName"] != system["Name"]
                or path["SystemCreationClassName"] != array.system.classname
            ]
            checks.that(not strangers, f"every {classname} carries the system's name",
                        str(strangers[:1]))

    def box(self):
        """What consoles show of the box: maker, place, software, controller, URLs, trouble."""
        checks, connection, system = self.checks, self.connection, self.array.system

        def around(path, association, wanted):
            found = connection.Associators(path, AssocClass=association, ResultClass=wanted)
            checks.that(found, f"{association} leads to a {wanted}")
            return found

        chassis = around(system, "CIM_SystemPackaging", "CIM_PhysicalPackage")[0]
        checks.that(chassis["Manufacturer"] and chassis["Model"], "maker and model are told")
        checks.that(chassis["ChassisPackageType"] in (17, 22), "it is a main or storage chassis")
        product = around(chassis.path, "CIM_ProductPhysicalComponent", "CIM_Product")[0]
        for name in ("Vendor", "Name", "IdentifyingNumber", "Version"):
            checks.that(product[name], f"the product has a {name}")
        place = around(chassis.path, "CIM_PhysicalElementLocation", "CIM_Location")[0]
        for name in ("Name", "PhysicalPosition", "ElementName"):
            checks.that(place[name], f"the place has a {name}")
        software = around(system, "CIM_InstalledSoftwareIdentity", "CIM_SoftwareIdentity")[0]
        checks.that(software["VersionString"].startswith(
            f"{software['MajorVersion']}.{software['MinorVersion']}"), "the software has a version")

        nodes = around(system, "CIM_ComponentCS", "CIM_ComputerSystem")
        for node in nodes:
            checks.that(15 not in node["Dedicated"], f"{node['Name']} is no second array")
            around(node.path, "CIM_InstalledSoftwareIdentity", "CIM_SoftwareIdentity")
        points = around(system, "CIM_SAPAvailableForElement", "CIM_RemoteServiceAccessPoint")
        checks.that(f"{connection.url}/cimom" in [point["AccessInfo"] for point in points],
                    "the URL of this connection is among those for management")
        checks.that({point["InfoFormat"] for point in points} == {200}, "all of them are URLs")
        causes = connection.AssociatorNames(system, AssocClass="CIM_RelatedElementCausingError")
        checks.equal(causes, [], "nothing causes trouble while all is well")

    def drives(self):
        """Drives with their extents, packages and firmware."""
        disks.drives(self.checks, self.connection, self.array)

    # --- block services -------------------------------------------------------------------------

    def pools(self):
        """Pools, their capabilities and the size range."""
        checks, connection, array = self.checks, self.connection, self.array
        checks.that(array.pools(primordial=True), "there is a primordial pool")
        concrete = array.pools()
        checks.that(concrete, "there is a concrete pool")
        for pool in concrete:
            name = pool["InstanceID"]
            checks.that(pool["TotalManagedSpace"] >= pool["RemainingManagedSpace"] >= 0,
                        f"{name} has sane sizes")
            checks.equal(pool["Usage"], 2, f"{name} is of unrestricted use")
            for classname, wanted in (("CIM_StorageConfigurationCapabilities", 1),
                                      ("CIM_StorageCapabilities", 1)):
                abilities = connection.AssociatorNames(
                    pool.path, AssocClass="CIM_ElementCapabilities", ResultClass=classname)
                checks.equal(len(abilities), wanted, f"{name} has one {classname}")
            parents = connection.AssociatorNames(
                pool.path, AssocClass="CIM_AllocatedFromStoragePool", Role="Dependent",
                ResultRole="Antecedent")
            checks.that(parents, f"{name} is allocated from a parent pool")
        self.pool = array.thick_pool(512 * MIB)
        low, high, step = size_range(connection, self.pool)
        checks.that(0 < step <= low <= high and low % step == high % step == 0,
                    "the size range is a range of whole steps", f"{low} {high} {step}")
        remaining = connection.GetInstance(self.pool)["RemainingManagedSpace"]
        checks.that(high <= remaining, "no volume can be larger than what remains")
        self.step = step

    def whole(self, size):
        """A size rounded up to the pool's step."""
        return -(-size // self.step) * self.step

    def create(self):
        """Two volumes: one of an odd size, rounded up; one exact."""
        checks, connection, array = self.checks, self.connection, self.array
        before = connection.GetInstance(self.pool)["RemainingManagedSpace"]
        asked = 64 * MIB - 1000
        code, outputs = invoke(
            connection, "CreateOrModifyElementFromStoragePool", array.configuration,
            ElementName=f"day-{self.tag}", ElementType=pywbem.Uint16(2), InPool=self.pool,
            Size=pywbem.Uint64(asked))
        checks.equal(code, DONE, "a volume is created")
        self.volume = outputs["TheElement"]
        checks.equal(outputs["Size"], self.whole(asked), "Size says what it became")
        volume = connection.GetInstance(self.volume)
        self._volume_facts(volume, self.whole(asked), f"day-{self.tag}")
        after = connection.GetInstance(self.pool)["RemainingManagedSpace"]
        checks.equal(before - after, self.whole(asked), "the pool gave exactly that space")
        shares = connection.References(
            self.volume, ResultClass="CIM_AllocatedFromStoragePool", Role="Dependent")
        disks.lies_on(checks, connection, self.volume, self.pool)
        checks.equal(len(shares), 1, "the volume comes from one pool")
        checks.that(same(shares[0]["Antecedent"], self.pool), "from the pool that was asked for")
        checks.equal(shares[0]["SpaceConsumed"], self.whole(asked), "SpaceConsumed is its size")
        settings = connection.References(
            self.volume, ResultClass="CIM_ElementSettingData", Role="ManagedElement")
        checks.equal([item["IsCurrent"] for item in settings], [1], "it has one current setting")

        code, outputs = invoke(
            connection, "CreateOrModifyElementFromStoragePool", array.configuration,
            ElementName=f"eve-{self.tag}", ElementType=pywbem.Uint16(2), InPool=self.pool,
            Size=pywbem.Uint64(self.whole(64 * MIB)))
        checks.equal((code, outputs.get("Size")), (DONE, self.whole(64 * MIB)),
                     "an exact size stays what it is")
        self.second = outputs["TheElement"]
        second = connection.GetInstance(self.second)
        checks.that(second["Name"] != volume["Name"], "two volumes have two identifiers")

    def _volume_facts(self, volume, size, name):
        checks = self.checks
        checks.equal(volume["BlockSize"] * volume["NumberOfBlocks"], size,
                     "blocks make up the size")
        checks.equal(volume["BlockSize"] * volume["ConsumableBlocks"], size,
                     "all blocks are usable")
        checks.that(NAA.fullmatch(volume["Name"]), "Name is a NAA 6 identifier", volume["Name"])
        checks.equal((volume["NameFormat"], volume["NameNamespace"]), (9, 2),
                     "NameFormat and NameNamespace say so")
        checks.equal(volume["ElementName"], name, "ElementName is what was asked for")
        checks.equal(list(volume["OperationalStatus"])[:1], [2], "the volume is OK")
        checks.that("SNIA:Allocated" in volume["ExtentDiscriminator"],
                    "ExtentDiscriminator says allocated")
        for prop in ("IsBasedOnUnderlyingRedundancy", "NoSinglePointOfFailure", "DataRedundancy",
                     "PackageRedundancy", "ExtentStatus"):
            checks.that(volume[prop] is not None, f"{prop} has a value")
        checks.equal((volume["Primordial"], volume["IsComposite"]), (False, False),
                     "it is neither primordial nor composite")

    def grow(self):
        """Growing keeps path, name and identifier."""
        checks, connection = self.checks, self.connection
        old = connection.GetInstance(self.volume)
        asked = self.whole(64 * MIB) + self.step + 1
        code, outputs = invoke(
            connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=self.volume, Size=pywbem.Uint64(asked))
        checks.equal(code, DONE, "a volume grows")
        checks.equal(outputs.get("Size"), self.whole(asked), "to whole steps")
        checks.that(same(outputs["TheElement"], self.volume), "and keeps its path")
        new = connection.GetInstance(self.volume)
        checks.equal(new["BlockSize"] * new["NumberOfBlocks"], self.whole(asked),
                     "the instance says so")
        checks.equal((new["Name"], new["ElementName"], new["DeviceID"]),
                     (old["Name"], old["ElementName"], old["DeviceID"]),
                     "name and identifiers are the same")

    def rename(self):
        """A volume's ElementName is the administrator's to change, and nothing else changes."""
        checks, connection = self.checks, self.connection
        old = connection.GetInstance(self.volume)
        for name in (f"renamed-{self.tag}", f"day-{self.tag}"):
            change = pywbem.CIMInstance(
                self.volume.classname, {"ElementName": name}, path=self.volume)
            connection.ModifyInstance(change, PropertyList=["ElementName"])
            new = connection.GetInstance(self.volume)
            checks.equal(new["ElementName"], name, "a volume is renamed")
        checks.that(new.properties == old.properties, "and is otherwise what it was")

    # --- masking --------------------------------------------------------------------------------

    def initiators(self):
        """Two hardware ids, one of them asked for twice."""
        checks, connection, array = self.checks, self.connection, self.array
        for host in ("one", "two"):
            name = f"iqn.2024-01.example.{self.tag}:{host}"
            code, outputs = connection.InvokeMethod(
                "CreateStorageHardwareID", array.hardware_ids,
                ElementName=host, StorageID=name, IDType=pywbem.Uint16(5))
            checks.equal(code, DONE, f"hardware id {host} is created")
            path = outputs["HardwareID"]
            self.hardware_ids.append(path)
            instance = connection.GetInstance(path)
            checks.equal((instance["StorageID"], instance["IDType"]), (name, 5),
                         "StorageID is kept byte for byte")
        try:
            code, outputs = connection.InvokeMethod(
                "CreateStorageHardwareID", array.hardware_ids,
                StorageID=f"iqn.2024-01.example.{self.tag}:one", IDType=pywbem.Uint16(5))
            again = code == DONE and same(outputs["HardwareID"], self.hardware_ids[0])
        except pywbem.CIMError:
            again = True
        checks.that(again, "the same id a second time is the same id, or refused; never 4096")

    def make_groups(self):
        """Three groups of one name, which is unique per kind only."""
        checks, connection, array = self.checks, self.connection, self.array
        ports = array.target_endpoints()
        checks.that(ports, "there is a target port")
        members = {2: self.hardware_ids[:1], 3: ports, 4: [self.volume]}
        for kind, paths in members.items():
            code, outputs = connection.InvokeMethod(
                "CreateGroup", array.masking, GroupName=f"host-{self.tag}",
                Type=pywbem.Uint16(kind), Members=paths)
            checks.equal(code, DONE, f"a group of kind {kind} is created")
            group = outputs["MaskingGroup"]
            self.groups[kind] = group
            checks.equal(connection.GetInstance(group)["ElementName"], f"host-{self.tag}",
                         "it has its name")
            inside = connection.AssociatorNames(group, AssocClass="CIM_MemberOfCollection",
                                                Role="Collection", ResultRole="Member")
            checks.that(len(inside) == len(paths) and all(contains(inside, path) for path in paths),
                        "and its members")

    def make_view(self):
        """A view; the unit has a number, the port and the groups are associated."""
        checks, connection, array = self.checks, self.connection, self.array
        code, outputs = connection.InvokeMethod(
            "CreateMaskingView", array.masking, ElementName=f"host-{self.tag}",
            InitiatorMaskingGroup=self.groups[2], TargetMaskingGroup=self.groups[3],
            DeviceMaskingGroup=self.groups[4])
        checks.equal(code, DONE, "a masking view is created")
        self.view = outputs["ProtocolController"]
        controller = connection.GetInstance(self.view)
        checks.that(controller["NameFormat"] != 3, "a view is not taken for an iSCSI node")
        self.number = self._device_number(self.volume)
        ports = connection.AssociatorNames(
            self.view, AssocClass="CIM_SAPAvailableForElement",
            ResultClass="CIM_iSCSIProtocolEndpoint")
        checks.equal(len(ports), len(array.target_endpoints()), "the view has its ports")

        code, _ = connection.InvokeMethod("AddMembers", array.masking,
                                          MaskingGroup=self.groups[4], Members=[self.second])
        checks.equal(code, DONE, "a second volume joins")
        checks.that(self._device_number(self.second) != self.number, "with a number of its own")
        checks.equal(self._device_number(self.volume), self.number, "the first keeps its number")
        code, outputs = connection.InvokeMethod(
            "AddMembers", array.masking, MaskingGroup=self.groups[2],
            Members=self.hardware_ids[1:])
        checks.equal(code, DONE, "a second initiator joins")
        checks.that(same(outputs["MaskingGroup"], self.groups[2]), "AddMembers echoes the group")

    def _device_number(self, volume):
        """The number under which a volume is seen through the view."""
        units = [
            unit for unit in self.connection.References(
                volume, ResultClass="CIM_ProtocolControllerForUnit", Role="Dependent")
            if same(unit["Antecedent"], self.view)
        ]
        self.checks.equal(len(units), 1, "the volume is a unit of the view, once")
        number = units[0]["DeviceNumber"]
        self.checks.that(re.fullmatch(r"[0-9A-Fa-f]{1,16}", number), "DeviceNumber is hexadecimal",
                         number)
        self.checks.equal(units[0]["DeviceAccess"], 2, "with read and write access")
        return number

    def walk(self):
        """Every association from both ends."""
        namespaces = ["interop", self.array.namespace]
        found = walk.walk(self.checks, self.connection, namespaces)
        walk.expected_ones(self.checks, self.connection, found)

    def operations_agree(self):
        """Pulled, enumerated and single instances are the same instances."""
        checks, connection, namespace = self.checks, self.connection, self.array.namespace
        for classname in ("CIM_StorageVolume", "CIM_StorageExtent", "CIM_ManagedElement"):
            plain = connection.EnumerateInstances(classname, namespace=namespace)
            names = connection.EnumerateInstanceNames(classname, namespace=namespace)
            pulled = list(connection.IterEnumerateInstances(
                classname, namespace=namespace, MaxObjectCount=3))
            paths = list(connection.IterEnumerateInstancePaths(
                classname, namespace=namespace, MaxObjectCount=3))
            wanted = {walk.plain(item.path) for item in plain}
            checks.equal({walk.plain(name) for name in names}, wanted, f"{classname}: names")
            checks.equal({walk.plain(item.path) for item in pulled}, wanted, f"{classname}: pull")
            checks.equal({walk.plain(path) for path in paths}, wanted, f"{classname}: pull paths")
        volume = connection.GetInstance(self.volume)
        listed = [item for item in plain if same(item.path, self.volume)]
        checks.that(len(listed) == 1 and listed[0].properties == volume.properties,
                    "GetInstance returns what the enumeration returns")
        for open_call, plain_call in (
            (connection.OpenAssociatorInstances, connection.Associators),
            (connection.OpenReferenceInstances, connection.References),
        ):
            result = open_call(self.volume, MaxObjectCount=1000)
            checks.equal({walk.plain(item.path) for item in result.instances},
                         {walk.plain(item.path) for item in plain_call(self.volume)},
                         f"{open_call.__name__} agrees")
        few = connection.GetInstance(self.volume, PropertyList=["elementname", "Name", "NoSuch"])
        checks.equal(set(few.properties), {"ElementName", "Name"}, "a property list selects")
        none = connection.GetInstance(self.volume, PropertyList=[])
        checks.equal(len(none.properties), 0, "an empty property list selects nothing")

    def jobs(self):
        """Every command left a job that says how it went."""
        checks, connection = self.checks, self.connection
        jobs = self.array.enumerate("CIM_ConcreteJob")
        checks.that(len(jobs) >= 5, "the commands are jobs", f"{len(jobs)} jobs")
        for job in jobs:
            checks.that(
                job["JobState"] == 7 and set(job["OperationalStatus"][:2]) == {2, 17}
                and job["PercentComplete"] == 100 and job["ErrorCode"] == 0
                and isinstance(job["DeleteOnCompletion"], bool)
                and job["TimeBeforeRemoval"] is not None and job["Name"],
                f"{job['InstanceID']} is complete", dict(job.items()).__repr__()[:300])
        about = connection.AssociatorNames(
            self.volume, AssocClass="CIM_AffectedJobElement", ResultClass="CIM_ConcreteJob")
        checks.that(about, "the volume knows its jobs")
        for job in about:
            services = connection.AssociatorNames(job, AssocClass="CIM_OwningJobElement")
            checks.equal(len(services), 1, "a job belongs to one service")
        central = [
            path
            for profile in profiles(connection).get((SNIA, "Job Control"), [])
            for path in conforming(connection, profile.path)
        ]
        checks.that(central, "Job Control has central instances now")
        connection.DeleteInstance(about[0])
        checks.refuses(NOT_FOUND, "a finished job can be deleted",
                       connection.GetInstance, about[0])

    # --- undoing it -----------------------------------------------------------------------------

    def unmask(self):
        """The volume leaves the view, then the view and the groups go."""
        checks, connection, array = self.checks, self.connection, self.array
        code, _ = connection.InvokeMethod("RemoveMembers", array.masking,
                                          MaskingGroup=self.groups[4], Members=[self.second])
        checks.equal(code, DONE, "a volume is unmasked")
        views = connection.AssociatorNames(self.second,
                                           AssocClass="CIM_ProtocolControllerForUnit")
        checks.equal(views, [], "and is no unit any more")
        checks.equal(self._device_number(self.volume), self.number, "the other keeps its number")
        code, _ = connection.InvokeMethod("DeleteMaskingView", array.masking,
                                          ProtocolController=self.view)
        checks.equal(code, DONE, "the view is deleted")
        checks.refuses(NOT_FOUND, "it is gone", connection.GetInstance, self.view)
        for kind, group in self.groups.items():
            checks.that(walk.exists(connection, group), f"group {kind} outlives its view")
            code, _ = connection.InvokeMethod("DeleteGroup", array.masking, MaskingGroup=group,
                                              Force=True)
            checks.equal(code, DONE, f"group {kind} is deleted")
        self.groups, self.view = {}, None
        for path in self.hardware_ids:
            code, _ = connection.InvokeMethod("DeleteStorageHardwareID", array.hardware_ids,
                                              HardwareID=path)
            checks.equal(code, DONE, "a hardware id is deleted")
        self.hardware_ids = []

    def delete(self):
        """The volumes go back to the pool."""
        for volume in (self.volume, self.second):
            code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration,
                             TheElement=volume)
            self.checks.equal(code, DONE, "a volume is deleted")
            self.checks.refuses(NOT_FOUND, "it is gone", self.connection.GetInstance, volume)
        self.volume = self.second = None

    def run(self):
        """All of it, in order; a part that fails does not keep the others from running."""
        checks, connection = self.checks, self.connection
        for part in (self.interop, self.profile_tree, self.system):
            checks.step(part)
        if self.array is None:
            return
        namespaces = ["interop", self.array.namespace]
        before = checks.step(everything, connection, namespaces)
        for part in (self.box, self.drives, self.pools, self.create, self.grow, self.rename,
                     self.initiators, self.make_groups, self.make_view, self.walk,
                     self.operations_agree):
            checks.step(part)
        if self.view is not None and self.second is not None:
            checks.step(refusals.run, checks, connection, self, namespaces)
        for part in (self.jobs, self.unmask, self.delete):
            checks.step(part)
        left = differences(before or {}, everything(connection, namespaces))
        checks.that(not left, "the server is as it was found", "; ".join(left[:5]))


def main():
    chosen = options(__doc__)
    checks = Checks("scenario", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        connection = connect(chosen, url)
        Scenario(checks, connection).run()
        checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
