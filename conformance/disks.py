"""Disk Drive Lite and Extent Composition: what drives say of themselves, what lies on which, and what
becomes of that when a drive fails."""

import time

import pywbem

from harness import (
    DONE, FAILED, INVALID_PARAMETER, JOB_STARTED, MIB, NOT_FOUND, NOT_SUPPORTED, contains,
    finished_job, same,
)

# `OperationalStatus`, and what a job says that ended well.
OK, DEGRADED, ERROR = 2, 3, 6
COMPLETED = 7
WITHIN = 60.0


def drives(checks, connection, array):
    """Every drive has one primordial extent and is found from the system, the box and its pools."""
    found = connection.Associators(
        array.system, AssocClass="CIM_SystemDevice", ResultClass="CIM_DiskDrive")
    checks.that(found, "the system has drives")
    names = [drive["Name"] for drive in found]
    checks.equal(len(names), len(set(names)), "each drive has a name of its own")
    for drive in found:
        _drive(checks, connection, drive)
    primordial = [
        extent for extent in connection.EnumerateInstances(
            "CIM_StorageExtent", namespace=array.namespace)
        if extent["Primordial"]
    ]
    checks.equal(len(primordial), len(found), "as many primordial extents as drives")
    for pool in [*array.pools(primordial=True), *array.pools()]:
        below = connection.AssociatorNames(
            pool.path, AssocClass="CIM_ConcreteDependency", ResultClass="CIM_DiskDrive",
            Role="Dependent", ResultRole="Antecedent")
        checks.that(below and all(contains([drive.path for drive in found], path)
                                  for path in below),
                    f"{pool['ElementName']} depends on drives")


def _drive(checks, connection, drive):
    """One drive with its medium, its package and its firmware."""
    name, path = drive["Name"], drive.path
    media = connection.Associators(
        path, AssocClass="CIM_MediaPresent", ResultClass="CIM_StorageExtent")
    checks.equal([medium["Primordial"] for medium in media], [True],
                 f"{name} has one extent, a primordial one")
    checks.that("SNIA:DiskDrive" in media[0]["ExtentDiscriminator"], f"{name}'s extent says so")
    size = media[0]["BlockSize"] * media[0]["NumberOfBlocks"]
    checks.equal(drive["MaxMediaSize"], size // 1000, f"{name} is as large as its medium")
    for prop in ("OperationalStatus", "DiskType", "InterconnectType", "ElementName"):
        checks.that(drive.get(prop) is not None, f"{name} has {prop}")
    checks.equal(drive["InterconnectType"] == 1, "OtherInterconnectType" in drive,
                 f"{name} names an interface that is on no list")
    packages = connection.Associators(
        path, AssocClass="CIM_Realizes", ResultClass="CIM_PhysicalPackage")
    checks.equal([package["PackageType"] for package in packages], [15], f"{name} is a thing")
    boxes = connection.AssociatorNames(
        packages[0].path, AssocClass="CIM_Container", ResultClass="CIM_Chassis")
    checks.that(len(boxes) <= 1, f"{name} is in one box at most")
    for firmware in connection.Associators(
            path, AssocClass="CIM_ElementSoftwareIdentity", ResultClass="CIM_SoftwareIdentity"):
        checks.that(firmware["VersionString"], f"{name}'s firmware has a version")
        installed = connection.AssociatorNames(
            firmware.path, AssocClass="CIM_InstalledSoftwareIdentity")
        checks.equal(installed, [], f"{name}'s firmware is not the array's")


def lies_on(checks, connection, volume, pool):
    """A volume is based on extents of its pool, within their bounds."""
    size = connection.GetInstance(volume)
    size = size["BlockSize"] * size["NumberOfBlocks"]
    components = connection.AssociatorNames(
        pool, AssocClass="CIM_AssociatedComponentExtent", ResultClass="CIM_StorageExtent")
    based = connection.References(volume, ResultClass="CIM_BasedOn", Role="Dependent")
    checks.that(based, "the volume is based on something")
    room = 0
    for link in based:
        checks.that(contains(components, link["Antecedent"]), "on an extent of its pool")
        extent = connection.GetInstance(link["Antecedent"])
        checks.that(link["StartingAddress"] <= link["EndingAddress"] < extent["NumberOfBlocks"],
                    "within that extent's bounds", str(link.items()))
        room += extent["BlockSize"] * (link["EndingAddress"] - link["StartingAddress"] + 1)
        back = connection.AssociatorNames(
            link["Antecedent"], AssocClass="CIM_BasedOn", Role="Antecedent",
            ResultRole="Dependent", ResultClass="CIM_StorageVolume")
        checks.that(any(same(path, volume) for path in back), "and is found from there")
    checks.that(room >= size, "there is room for all of it", f"{room} < {size}")
    places = [link["OrderIndex"] for link in based]
    checks.equal(sorted(places), list(range(1, len(based) + 1)), "the extents have an order")


class Failing:
    """A drive of the simulated machine fails under a mirror, which is repaired.

    `run` is the run of Block Services, `events` the file whose lines `standpipe demo` lets happen.
    """

    def __init__(self, run, events):
        self.run = run
        self.events = events
        self.checks = run.checks
        self.connection = run.connection
        self.array = run.array
        self.sparing = self.connection.AssociatorNames(
            self.array.system, AssocClass="CIM_HostedService",
            ResultClass="CIM_SpareConfigurationService")[0]

    def happen(self, line):
        """Something happens to the machine."""
        with open(self.events, "w", encoding="utf-8") as events:
            events.write(line + "\n")

    def until(self, text, condition):
        """A check that something comes to be."""
        end = time.monotonic() + WITHIN
        while not condition():
            if time.monotonic() > end:
                return self.checks.that(False, text)
            time.sleep(0.2)
        return self.checks.that(True, text)

    def status(self, path):
        """How an element is; None of what is not there."""
        try:
            return self.connection.GetInstance(path)["OperationalStatus"]
        except pywbem.CIMError as error:
            if error.status_code != NOT_FOUND:
                raise
            return None

    def all_status(self):
        """How every pool, volume, extent and drive is, by its keys."""
        found = {}
        for classname in ("CIM_StoragePool", "CIM_StorageExtent", "CIM_DiskDrive"):
            for item in self.array.enumerate(classname):
                found[_key(item.path)] = tuple(item["OperationalStatus"])
        return found

    def based_on(self, volume):
        """The extents that a volume lies on."""
        return self.connection.AssociatorNames(
            volume, AssocClass="CIM_BasedOn", Role="Dependent", ResultClass="CIM_StorageExtent")

    def create(self, pool, name, size, goal):
        """A finished volume."""
        more = {} if goal is None else {"Goal": goal}
        code, outputs = self.run.create(pool, name, size, **more)
        self.checks.equal(code, DONE, f"{name} is made")
        return outputs["TheElement"]

    def rebuild(self, volume):
        """Has a volume repaired: that is a job, whether it takes long or not."""
        checks, connection = self.checks, self.connection
        code, outputs = connection.InvokeMethod(
            "RebuildStorageExtent", self.sparing, Target=volume)
        checks.that(code in (DONE, JOB_STARTED), "the repair is accepted", str(code))
        job = finished_job(connection, outputs["Job"])
        checks.equal((job["JobState"], job["PercentComplete"], set(job["OperationalStatus"])),
                     (COMPLETED, 100, {OK, 17}), "the repair is a job, which ends well")
        touched = connection.AssociatorNames(
            outputs["Job"], AssocClass="CIM_AffectedJobElement")
        checks.that(contains(touched, volume), "and tells which volume it is about", str(touched))

    def whole(self):
        """The pool, its volumes, and one drive after the other that fails or is pulled."""
        checks, connection = self.checks, self.connection
        free = self.run.free_extents()
        if not checks.that(len(free) >= 3, "there are three free extents", str(free)):
            return
        code, outputs = self.run.modify_pool(
            ElementName=f"fails-{self.run.tag}",
            InExtents=[path.to_wbem_uri(format="cimobject") for path in free[:3]])
        checks.equal(code, DONE, "a pool of three extents is made")
        pool = outputs["Pool"]
        mirrored = self.run.goal(pool, 1, 2, 1)
        mirror = self.create(pool, "mirror", 16 * MIB, mirrored)
        # It takes the room that is left on the third: it shares one disk with the first.
        other = self.create(pool, "other", 16 * MIB, mirrored)
        plain = self.create(pool, "plain", 8 * MIB, None)
        self.fails(pool, mirror, other, plain, "fail")
        # Its legs lie elsewhere now, and there is a free extent again for the next time.
        code, _ = self.run.modify_pool(Pool=pool, InExtents=[
            path.to_wbem_uri(format="cimobject") for path in self.run.free_extents()[:1]])
        checks.equal(code, DONE, "a free extent takes the place of the lost one")
        self.fails(pool, mirror, other, plain, "pull")
        self.run.give_back()
        goals = self.run.settings_of(pool)
        self.run.delete_pool(pool)
        self.run.settings = [path for path in self.run.settings if not contains(goals, path)]
        checks.equal(len(self.run.free_extents()), len(free), "all extents are free again")

    def fails(self, pool, mirror, other, plain, verb):
        """A drive under the mirror, and not under the plain volume, fails; the mirror is repaired."""
        checks, connection = self.checks, self.connection
        before, was = self.all_status(), connection.GetInstance(mirror)
        legs = self.based_on(mirror)
        lost = next(path for path in legs if not contains(self.based_on(plain), path))
        device = connection.GetInstance(lost)["ElementName"]
        drive = connection.AssociatorNames(
            lost, AssocClass="CIM_MediaPresent", ResultClass="CIM_DiskDrive")[0]
        volumes = [path for path in (mirror, other, plain) if contains(self.based_on(path), lost)]

        self.happen(f"{verb} {device}")
        self.until("a mirror on a drive that fails is degraded",
                   lambda: self.status(mirror) == [DEGRADED])
        primordial = self.array.pools(primordial=True)[0].path
        touched = {_key(path) for path in (drive, lost, pool, primordial, *volumes)}
        now = self.all_status()
        changed = {key for key in before if now.get(key) != before[key]}
        checks.equal(changed, touched, "so is what the drive touches, and nothing else")
        checks.equal(self.status(drive), [ERROR], "the drive has failed")
        checks.that(all(self.status(path) == [DEGRADED] for path in (pool, *volumes)),
                    "pool and mirrors are degraded, not lost")
        caused = connection.AssociatorNames(
            drive, AssocClass="CIM_RelatedElementCausingError", Role="Antecedent")
        checks.that(all(contains(caused, path) for path in (pool, *volumes)),
                    "the drive is told as the cause", str(caused))
        checks.refuses(NOT_SUPPORTED, "what has no redundancy is not repaired",
                       connection.InvokeMethod, "RebuildStorageExtent", self.sparing, Target=plain)
        checks.refuses(FAILED, "a pool that lacks a disk makes nothing new", self.run.create, pool,
                       "none", 8 * MIB)

        for volume in volumes:
            self.rebuild(volume)
            based = self.based_on(volume)
            checks.equal(len(based), 2, "a repaired mirror has two legs")
            checks.that(not contains(based, lost), "and none on the drive that failed", str(based))
            checks.equal(self.status(volume), [OK], "it is well")
        now = connection.GetInstance(mirror)
        for prop in ("Name", "NumberOfBlocks", "PackageRedundancy", "DataRedundancy"):
            checks.equal(now[prop], was[prop], f"its {prop} is what it was")
        checks.that(contains(self.based_on(mirror), next(p for p in legs if not same(p, lost))),
                    "the leg that was whole lies where it lay")
        checks.equal(self.status(pool), [OK], "the pool is well: nothing lies on that drive any more")
        checks.that(not contains(self.run.extents(pool), lost), "it has let go of the drive")
        checks.refuses(INVALID_PARAMETER, "there is nothing more to repair", connection.InvokeMethod,
                       "RebuildStorageExtent", self.sparing, Target=mirror)
        checks.step(self.run.sums)

        self.happen(f"restore {device}")
        self.until("the drive works again", lambda: self.status(drive) == [OK])
        checks.that(not contains(self.run.free_extents(), lost), "what it still carries keeps it from use")
        self.happen(f"wipe {device}")
        self.until("wiped it is free", lambda: contains(self.run.free_extents(), lost))
        checks.equal(self.all_status(), before, "and all is as well as before")


def _key(path):
    """A path without the host, as something to be compared."""
    path = path.copy()
    path.host = None
    return path.to_wbem_uri(format="canonical")
