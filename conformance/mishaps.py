"""What happens to a machine, as the events of `standpipe demo` let it happen to a simulated one, and
what Block Services and Health tell of that."""


import pywbem

from harness import (
    DONE, FAILED, INVALID_PARAMETER, JOB_STARTED, MIB, NOT_FOUND, NOT_SUPPORTED, contains,
    finished_job, same,
)

# `OperationalStatus`, and what a job says that ended well.
OK, DEGRADED, ERROR = 2, 3, 6
COMPLETED = 7
# `ElementType` of a thin volume.
THIN_VOLUME = 5


class Mishaps:
    """What happens to a simulated machine: a drive fails under a mirror, hosts fill a thin pool.

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

    def failing(self):
        """A pool with its volumes, and one drive after the other that fails or is pulled."""
        checks = self.checks
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
        self.end(pool)
        checks.equal(len(self.run.free_extents()), len(free), "all extents are free again")

    def end(self, pool):
        """Deletes a pool with its volumes; its settings go with it."""
        self.run.give_back()
        goals = self.run.settings_of(pool)
        self.run.delete_pool(pool)
        self.run.settings = [path for path in self.run.settings if not contains(goals, path)]

    def filling(self):
        """A thin pool fills up: it says so before and when it is full, and heals when it grows."""
        checks, connection, run = self.checks, self.connection, self.run
        free = run.free_extents()
        code, outputs = run.modify_pool(
            ElementName=f"below-{run.tag}", InExtents=[free[0].to_wbem_uri(format="cimobject")])
        checks.equal(code, DONE, "a pool of one extent is made")
        group, name, size = outputs["Pool"], f"fills-{run.tag}", 400 * MIB
        code, outputs = run.modify_pool(
            ElementName=name, InPools=[group.to_wbem_uri()], Size=pywbem.Uint64(size))
        checks.equal((code, outputs.get("Size")), (DONE, size), "a thin pool in it is made")
        pool = outputs["Pool"]
        code, outputs = run.create(pool, "sparse", 2 * size, THIN_VOLUME)
        checks.equal(code, DONE, "and a thin volume that is larger")
        volume = outputs["TheElement"]
        threshold = connection.GetInstance(pool)["LowSpaceWarningThreshold"]

        def fill(percent):
            self.happen(f"fill {name} {percent}")
            left = size * (100 - percent) // 100
            self.checks.until(f"{percent} % are used, and the pool says so",
                              lambda: connection.GetInstance(pool)["RemainingManagedSpace"] == left)
            share = connection.References(
                volume, ResultClass="CIM_AllocatedFromStoragePool", Role="Dependent")[0]
            checks.equal(share["SpaceConsumed"], size - left, "its only volume has taken that")
            return self.status(pool), self.status(volume)

        checks.equal(fill(100 - threshold - 1), ([OK], [OK]),
                     "above the threshold of a warning all is well")
        checks.equal(fill(100 - threshold + 1), ([DEGRADED], [OK]),
                     "below it the pool is degraded, and its volume is not")
        checks.equal(fill(100), ([DEGRADED], [DEGRADED]), "both are when it is full")
        checks.equal(self.status(group), [OK], "its group is not concerned")
        checks.refuses(FAILED, "a full pool takes no new volume", run.create, pool, "none", 8 * MIB,
                       THIN_VOLUME)
        code, _ = run.modify_pool(Pool=pool, Size=pywbem.Uint64(2 * size))
        checks.equal(code, DONE, "it grows")
        checks.equal((self.status(pool), self.status(volume)), ([OK], [OK]), "and all is well again")
        run.give_back()
        run.delete_pool(pool)
        self.end(group)

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
        self.checks.until("a mirror on a drive that fails is degraded",
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
        self.checks.until("the drive works again", lambda: self.status(drive) == [OK])
        checks.that(not contains(self.run.free_extents(), lost), "what it still carries keeps it from use")
        self.happen(f"wipe {device}")
        self.checks.until("wiped it is free", lambda: contains(self.run.free_extents(), lost))
        checks.equal(self.all_status(), before, "and all is as well as before")


def _key(path):
    """A path without the host, as something to be compared."""
    path = path.copy()
    path.host = None
    return path.to_wbem_uri(format="canonical")
