#!/usr/bin/env python3
"""Storage Relocation with pywbem; every reply is validated.

A volume moves to another extent, and a pool off the one that it lies on. Volumes go to other pools and
back: hosts know them as before, copies and goals are kept, the old places are free again. What somebody
uses or needs stays where it is, and is what it was. The server is left as it was found. Runs once per URL.
"""

import sys

from block_services import (
    SIZE_OF_POOL, SIZE_OF_THIN, SIZE_OF_VOLUME, TERMINATE, TERMINATED, THIN_VOLUME, U16, U64, Run,
)
from harness import (
    DONE, FAILED, INVALID_PARAMETER, JOB_STARTED, NOT_FOUND, NOT_SUPPORTED, Checks, connect, contains,
    differences, everything, finished_job, invoke, options, same,
)

#: `SyncType` of a clone; what a pool says of volumes that go from it to others, as a feature and as an
#: action.
CLONE = 8
MOVE, MOVING = 14, 17


class Relocation(Run):
    """One run over one URL."""

    def relocate(self, volumes, pool, goal=None):
        """The answer of the method, when its job, if any, has ended: code, the new paths, the job."""
        code, outputs = self.connection.InvokeMethod(
            "RelocateStorageVolumesToStoragePool", self.relocation, TheElements=volumes,
            TargetPool=pool, TargetSettingGoal=goal)
        job = outputs["Job"]
        if code == JOB_STARTED:
            ended = finished_job(self.connection, job)
            code = DONE if ended["JobState"] == 7 else ended["ErrorCode"]
        moved = self.connection.AssociatorNames(
            job, AssocClass="CIM_AffectedJobElement", ResultClass="CIM_StorageVolume")
        self.made = [path for path in self.made if not contains(volumes, path)] + moved
        return code, moved, job

    def give_back(self):
        """Return every volume that was made, wherever it is, the last one first."""
        for path in reversed(self.made):
            code, _ = invoke(
                self.connection, "ReturnToStoragePool", self.service, TheElement=path)
            self.checks.equal(code, DONE, "a volume is returned")
        self.made = []

    def pool_of(self, volume):
        """The pool that a volume comes from."""
        return self.connection.AssociatorNames(
            volume, AssocClass="CIM_AllocatedFromStoragePool", Role="Dependent")

    def free(self, pool):
        return self.connection.GetInstance(pool)["RemainingManagedSpace"]

    def moved(self):
        """A volume moves to another extent, and its pool off the one that it lay on."""
        checks, connection = self.checks, self.connection
        free = self.free_extents()
        if len(free) < 2:
            return
        text = [path.to_wbem_uri(format="cimobject") for path in free[:2]]
        code, outputs = self.modify_pool(ElementName=f"moves-{self.tag}", InExtents=text)
        if not checks.equal(code, DONE, "a pool of two extents is created"):
            return
        pool = outputs["Pool"]
        _, _, step = self.sizes(pool, SIZE_OF_VOLUME)
        _, outputs = self.create(pool, "moved", 2 * step)
        volume = outputs["TheElement"]
        before = connection.GetInstance(volume)

        def extents():
            return [path.keybindings["DeviceID"] for path in connection.AssociatorNames(
                volume, AssocClass="CIM_BasedOn", Role="Dependent")]

        def move(method, element, onto):
            return invoke(connection, method, self.relocation, TheElement=element, InElements=onto)

        by_id = {path.keybindings["DeviceID"]: path for path in self.extents(pool)}
        source = extents()[0]
        target = next(path for key, path in by_id.items() if key != source)
        code, _ = move("RelocateStorageVolumeToStorageExtents", volume, [target])
        checks.equal((code, extents()), (DONE, [target.keybindings["DeviceID"]]),
                     "a volume lies on the extent that was named")
        now = connection.GetInstance(volume)
        checks.equal((now["Name"], now["NumberOfBlocks"]),
                     (before["Name"], before["NumberOfBlocks"]), "and is the same otherwise")
        checks.refuses(INVALID_PARAMETER, "where it lies already it is not moved", move,
                       "RelocateStorageVolumeToStorageExtents", volume, [target])
        checks.refuses(INVALID_PARAMETER, "a disk of no pool takes nothing of it", move,
                       "RelocateStorageVolumeToStorageExtents", volume, [free[-1]]
                       if len(free) > 2 else [])
        code, _ = move("RelocateStoragePoolToStorageExtents", pool, [by_id[source]])
        checks.equal((code, extents()), (DONE, [source]), "a pool that is moved takes it along")
        checks.equal([path.keybindings["DeviceID"] for path in self.extents(pool)], [source],
                     "the pool lies on the extent that was named")
        checks.that(contains(self.free_extents(), target), "and the other one is free")
        abilities = self.capabilities(pool, "CIM_StorageConfigurationCapabilities")
        checks.that({16, 17} <= set(abilities["SupportedStorageElementFeatures"])
                    and {19, 20} <= set(abilities["SupportedAsynchronousActions"]),
                    "the pool says that it and its volumes can be moved")
        checks.step(self.sums)
        self.give_back()
        self.delete_pool(pool)

    def there_and_back(self, group, other, thin):
        """One volume through a group, a thin pool, and back, is the same to hosts."""
        checks, connection = self.checks, self.connection
        _, _, step = self.sizes(other, SIZE_OF_VOLUME)
        _, outputs = self.create(group, "traveller", 4 * step)
        volume = outputs["TheElement"]
        before = connection.GetInstance(volume)
        free = self.free(group)
        for pool, is_thin in ((other, False), (thin, True), (group, False)):
            code, moved, _ = self.relocate([volume], pool)
            if not checks.equal((code, len(moved)), (DONE, 1), "a volume goes to another pool"):
                return
            now = connection.GetInstance(moved[0])
            for prop in ("Name", "ElementName", "NumberOfBlocks", "BlockSize", "OtherIdentifyingInfo"):
                checks.equal(now[prop], before[prop], f"{prop} is what it was")
            checks.equal(now["ThinlyProvisioned"], is_thin, "it is as its pool is")
            where = self.pool_of(moved[0])
            checks.that(len(where) == 1 and same(where[0], pool), "it comes from that pool")
            checks.refuses(NOT_FOUND, "the old one is gone", connection.GetInstance, volume)
            named = [item for item in self.array.enumerate("CIM_StorageVolume")
                     if item["ElementName"] == before["ElementName"]]
            checks.equal(len(named), 1, "one volume has its name")
            volume = moved[0]
        checks.equal(self.free(group), free, "what it takes is what it took")
        checks.step(self.sums)

    def several(self, group, other):
        """Several go at once, and with another quality."""
        checks, connection = self.checks, self.connection
        _, _, step = self.sizes(other, SIZE_OF_VOLUME)
        paths = [self.create(group, name, 2 * step)[1]["TheElement"] for name in ("one", "two")]
        names = [connection.GetInstance(path)["Name"] for path in paths]
        goal = self.goal(other, 1, 2, 1)
        code, moved, _ = self.relocate(paths, other, goal)
        if not checks.equal((code, len(moved)), (DONE, 2), "two volumes go together"):
            return
        now = [connection.GetInstance(path) for path in moved]
        checks.equal(sorted(item["Name"] for item in now), sorted(names), "both are known as before")
        checks.equal({(item["PackageRedundancy"], item["DataRedundancy"]) for item in now}, {(1, 2)},
                     "and are what the goal asks for")

    def replicas(self, group, other):
        """A source stays; a clone stays a clone."""
        checks, connection = self.checks, self.connection
        service = connection.EnumerateInstanceNames(
            "CIM_ReplicationService", namespace=self.array.namespace)[0]
        _, _, step = self.sizes(group, SIZE_OF_VOLUME)
        _, outputs = self.create(group, "source", 2 * step)
        source = outputs["TheElement"]
        _, outputs = connection.InvokeMethod(
            "CreateElementReplica", service, ElementName=f"copy-{self.tag}", SyncType=U16(CLONE),
            SourceElement=source)
        job = finished_job(connection, outputs["Job"])
        copy = connection.AssociatorNames(
            job.path, AssocClass="CIM_AffectedJobElement", ResultClass="CIM_StorageVolume")[0]
        self.made.append(copy)
        self.stays("the source of a replica", FAILED, [source], other)
        code, moved, _ = self.relocate([copy], other)
        checks.equal((code, len(moved)), (DONE, 1), "a clone goes to another pool")
        sources = connection.AssociatorNames(
            moved[0], AssocClass="CIM_StorageSynchronized", Role="SyncedElement")
        checks.that(len(sources) == 1 and same(sources[0], source), "and is the copy of its source")

    def stays(self, what, codes, volumes, pool, goal=None):
        """A refusal that changes nothing."""
        before = [self.connection.GetInstance(path).items() for path in volumes]
        free = self.free(pool)
        self.checks.refuses(
            codes, f"{what} is refused", self.connection.InvokeMethod,
            "RelocateStorageVolumesToStoragePool", self.relocation, TheElements=volumes,
            TargetPool=pool, TargetSettingGoal=goal)
        self.checks.equal([self.connection.GetInstance(path).items() for path in volumes], before,
                          f"{what} changes nothing")
        self.checks.equal(self.free(pool), free, f"{what} takes nothing")

    def refusals(self, group, other, thin):
        """Nothing goes where it is, where it has no room, or away from those who use it."""
        checks, connection = self.checks, self.connection
        _, most, step = self.sizes(other, SIZE_OF_VOLUME)
        volume = self.create(group, "stays", 2 * step)[1]["TheElement"]
        primordial = self.array.pools(primordial=True)[0].path
        self.stays("its own pool", INVALID_PARAMETER, [volume], group)
        self.stays("the primordial pool", INVALID_PARAMETER, [volume], primordial)
        self.stays("the same volume twice", INVALID_PARAMETER, [volume, volume], other)
        self.stays("a goal that the pool does not have", (FAILED, NOT_SUPPORTED), [volume], other,
                   self.goal(group, 2, 3, 1))
        for text, parameters in (
            ("no volumes", {"TargetPool": other}),
            ("no pool", {"TheElements": [volume]}),
            ("a pool among the volumes", {"TheElements": [volume, group], "TargetPool": other}),
        ):
            checks.refuses(INVALID_PARAMETER, f"{text} is refused", connection.InvokeMethod,
                           "RelocateStorageVolumesToStoragePool", self.relocation, **parameters)
        _, outputs = self.create(thin, "large", most + step, THIN_VOLUME)
        self.stays("what has no room", FAILED, [outputs["TheElement"]], other)
        hosts = connection.InvokeMethod(
            "CreateGroup", self.array.masking, GroupName=f"devices-{self.tag}", Type=U16(4),
            Members=[volume], DeleteOnEmpty=False)[1]["MaskingGroup"]
        self.stays("a member of a device group", FAILED, [volume], other)
        connection.InvokeMethod("DeleteGroup", self.array.masking, MaskingGroup=hosts, Force=True)

    def stopped(self, group, thin):
        """A move that is stopped leaves the volume where it was."""
        checks, connection = self.checks, self.connection
        _, most, step = self.sizes(group, SIZE_OF_VOLUME)
        _, high, _ = self.sizes(thin, SIZE_OF_THIN)
        _, outputs = self.create(thin, "slow", min(most, high) // step * step, THIN_VOLUME)
        volume = outputs["TheElement"]
        before, free = connection.GetInstance(volume), self.free(group)
        code, outputs = connection.InvokeMethod(
            "RelocateStorageVolumesToStoragePool", self.relocation, TheElements=[volume],
            TargetPool=group)
        if not checks.equal(code, JOB_STARTED, "a very large volume moves as a job"):
            return
        job = outputs["Job"]
        checks.that(connection.GetInstance(volume)["Name"] == before["Name"],
                    "it is there while it moves")
        named = [item for item in self.array.enumerate("CIM_StorageVolume")
                 if item["ElementName"] == before["ElementName"]]
        checks.equal(len(named), 1, "and is there once")
        code, _ = connection.InvokeMethod("RequestStateChange", job, RequestedState=U16(TERMINATE))
        ended = finished_job(connection, job)
        checks.that(code in (DONE, JOB_STARTED) and ended["JobState"] == TERMINATED,
                    "the job is stopped", f"{code} {ended['JobState']}")
        checks.equal(connection.GetInstance(volume).items(), before.items(), "it is what it was")
        checks.equal(self.free(group), free, "and nothing is left in the other pool")

    def run(self):
        """All of it, in pools of its own."""
        checks, connection = self.checks, self.connection
        namespaces = ["interop", self.array.namespace]
        before = checks.step(everything, connection, namespaces)
        services = connection.EnumerateInstanceNames(
            "CIM_StorageRelocationService", namespace=self.array.namespace)
        if not checks.equal(len(services), 1, "there is one service for relocation"):
            return
        self.relocation = services[0]
        checks.step(self.moved)
        checks.step(self.give_back)
        group, free = self.groups()[0], self.free_extents()
        if not checks.that(len(free) >= 2, "two extents are free"):
            return
        text = [path.to_wbem_uri(format="cimobject") for path in free[:2]]
        _, outputs = self.modify_pool(ElementName=f"other-{self.tag}", InExtents=text)
        other = outputs["Pool"]
        low, high, step = self.sizes(other, SIZE_OF_POOL)
        _, outputs = self.modify_pool(
            ElementName=f"thin-{self.tag}", InPools=[other.to_wbem_uri()],
            Size=U64(max(low, high // 4 // step * step)))
        thin = outputs["Pool"]
        for pool in (group, other, thin):
            abilities = self.capabilities(pool, "CIM_StorageConfigurationCapabilities")
            checks.that(MOVE in abilities["SupportedStorageElementFeatures"]
                        and MOVING in abilities["SupportedAsynchronousActions"],
                        "the pool says that volumes go from it to others")
        for part, places in (
            (self.there_and_back, (group, other, thin)),
            (self.several, (group, other)),
            (self.replicas, (group, other)),
            (self.refusals, (group, other, thin)),
            (self.stopped, (group, thin)),
        ):
            checks.step(part, *places)
            checks.step(self.give_back)
        checks.step(self.clean)
        self.delete_pool(thin)
        self.delete_pool(other)
        left = differences(before or {}, everything(connection, namespaces))
        checks.that(not left, "the server is as it was found", "; ".join(left[:5]))


def main():
    chosen = options(__doc__)
    checks = Checks("relocation", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        connection = connect(chosen, url)
        Relocation(checks, connection).run()
        checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
