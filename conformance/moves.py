#!/usr/bin/env python3
"""Moves and new copies of a volume that take long, with pywbem: watched, stopped, and done in the end.

A large volume moves to another disk, gets a second copy, and its pool moves to other disks, each once
stopped on the way, which leaves everything as it was, and once done. Needs three disks that are free; a
server without them has nothing to show, and the script says so.
"""

import sys
import uuid

import pywbem

from discovery import discover
from harness import (
    DONE, JOB_STARTED, MIB, Checks, connect, contains, differences, everything, finished_job,
    invoke, options, same,
)

U16, U64 = pywbem.Uint16, pywbem.Uint64

# RequestedState, JobState, and the answer to what cannot be done.
SUSPEND, TERMINATE = 3, 4
RUNNING, COMPLETED, TERMINATED = 4, 7, 8
INVALID_TRANSITION = 4097
#: What takes long enough to be looked at.
MUCH = 64 * 1024 * MIB


class Moves:
    """One run over one connection."""

    def __init__(self, checks, connection):
        self.checks = checks
        self.connection = connection
        self.array = discover(connection)
        self.tag = uuid.uuid4().hex[:8]
        self.relocation, = connection.EnumerateInstanceNames(
            "CIM_StorageRelocationService", namespace=self.array.namespace)
        self.pool = self.volume = None

    # --- looking --------------------------------------------------------------------------------

    def free(self):
        """The extents that pools can be made from."""
        primordial, = self.array.pools(primordial=True)
        _, outputs = self.connection.InvokeMethod("GetAvailableExtents", primordial.path)
        return outputs.get("AvailableExtents") or []

    def members(self):
        """The extents of the pool."""
        return self.connection.AssociatorNames(
            self.pool, AssocClass="CIM_AssociatedComponentExtent", Role="GroupComponent")

    def under(self):
        """The extents under the volume."""
        return self.connection.AssociatorNames(
            self.volume, AssocClass="CIM_BasedOn", Role="Dependent")

    def lies_on(self, text, extents):
        """A check of the extents under the volume."""
        found = self.under()
        self.checks.that(len(found) == len(extents) and all(contains(found, e) for e in extents),
                         text, str(found))

    def copies(self):
        return self.connection.GetInstance(self.volume)["DataRedundancy"]

    def look(self):
        """All that must be as before when something was stopped."""
        return everything(self.connection, ["interop", self.array.namespace])

    # --- asking ---------------------------------------------------------------------------------

    def move(self, extent):
        return self.connection.InvokeMethod(
            "RelocateStorageVolumeToStorageExtents", self.relocation, TheElement=self.volume,
            InElements=[extent])

    def move_pool(self, *extents):
        return self.connection.InvokeMethod(
            "RelocateStoragePoolToStorageExtents", self.relocation, TheElement=self.pool,
            InElements=list(extents))

    def change(self, setting):
        return self.connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", self.array.configuration, ElementType=U16(2),
            TheElement=self.volume, Goal=setting)

    def goal(self, copies):
        """A setting that asks for so many copies."""
        abilities, = self.connection.AssociatorNames(
            self.pool, AssocClass="CIM_ElementCapabilities", ResultClass="CIM_StorageCapabilities")
        _, outputs = self.connection.InvokeMethod("CreateSetting", abilities, SettingType=U16(3))
        setting = outputs["NewSetting"]
        values = {"DataRedundancyGoal": U16(copies), "PackageRedundancyGoal": U16(copies - 1)}
        self.connection.ModifyInstance(
            pywbem.CIMInstance(setting.classname, values, path=setting), PropertyList=list(values))
        return setting

    # --- what takes long ------------------------------------------------------------------------

    def begun(self, text, answer, service):
        """The job of what was asked for, which runs and gets on."""
        checks, connection = self.checks, self.connection
        code, outputs = answer
        checks.equal(code, JOB_STARTED, f"{text} is a job")
        job = outputs["Job"]
        seen = checks.until(f"{text} gets on", lambda: connection.GetInstance(job),
                            lambda now: now["PercentComplete"] > 0)
        checks.that(seen["JobState"] == RUNNING and seen["PercentComplete"] < 100,
                    f"{text} is on its way", str(seen.items()))
        owners = connection.AssociatorNames(job, AssocClass="CIM_OwningJobElement")
        checks.that(len(owners) == 1 and same(owners[0], service), f"{text}: its service owns the job")
        checks.that(contains(connection.AssociatorNames(
            service, AssocClass="CIM_OwningJobElement"), job), f"{text}: and leads to it")
        return job

    def request(self, job, state):
        return self.connection.InvokeMethod(
            "RequestStateChange", job, RequestedState=U16(state))[0]

    def stopped(self, text, ask, service):
        """What is stopped on its way leaves all as it was."""
        checks, connection = self.checks, self.connection
        before = self.look()
        job = self.begun(text, ask(), service)
        checks.equal(self.request(job, SUSPEND), INVALID_TRANSITION,
                     f"{text} is others' work and does not rest")
        checks.that(self.request(job, TERMINATE) in (DONE, JOB_STARTED), f"{text} is to be stopped")
        ended = finished_job(connection, job)
        checks.equal(ended["JobState"], TERMINATED, f"{text} is stopped")
        checks.that(ended["ErrorCode"] != 0 and len(ended["ErrorDescription"]) > 10,
                    f"{text} says that it was", str(ended.items()))
        changed = differences(before, self.look())
        checks.that(not changed, f"{text} that was stopped changed nothing", "; ".join(changed[:5]))

    def done(self, text, ask, service):
        """What is left alone is done in the end."""
        checks = self.checks
        job = self.begun(text, ask(), service)
        ended = finished_job(self.connection, job)
        checks.equal((ended["JobState"], ended["PercentComplete"]), (COMPLETED, 100), f"{text} is done")
        affected = self.connection.AssociatorNames(job, AssocClass="CIM_AffectedJobElement")
        checks.equal(len(affected), 1, f"{text}: its job names what it changed")

    def moves(self):
        """The volume goes to the other disk."""
        here, = self.under()
        other = next(extent for extent in self.members() if not same(extent, here))
        self.stopped("a move", lambda: self.move(other), self.relocation)
        self.lies_on("it lies where it lay", [here])
        self.done("a move", lambda: self.move(other), self.relocation)
        self.lies_on("it lies where it was to", [other])

    def mirrors(self):
        """The volume gets a second copy, and loses it."""
        service, two, one = self.array.configuration, self.goal(2), self.goal(1)
        self.stopped("a second copy", lambda: self.change(two), service)
        self.checks.equal(self.copies(), 1, "there is one copy")
        self.done("a second copy", lambda: self.change(two), service)
        self.checks.equal(self.copies(), 2, "there are two copies")
        self.lies_on("on both disks", self.members())
        code, _ = self.change(one)
        self.checks.equal((code, self.copies()), (DONE, 1), "and one again")
        for setting in (one, two):
            self.connection.DeleteInstance(setting)

    def empties(self):
        """The pool leaves the disk that the volume lies on for one that is free."""
        here, = self.under()
        stays = [extent for extent in self.members() if not same(extent, here)]
        new = self.free()[0]
        self.stopped("emptying a disk", lambda: self.move_pool(*stays, new), self.relocation)
        self.lies_on("what lay on it lies there", [here])
        self.done("emptying a disk", lambda: self.move_pool(*stays, new), self.relocation)
        self.checks.that(contains(self.members(), new) and not contains(self.members(), here),
                         "the pool lies on the new disk")
        self.checks.that(contains(self.free(), here), "and the one that it left is free")

    def run(self):
        """All of it, in a pool of its own, and nothing is left."""
        checks, connection = self.checks, self.connection
        free = self.free()
        if len(free) < 3:
            checks.section("too few disks are free; nothing was moved")
            return
        before = self.look()
        code, outputs = invoke(
            connection, "CreateOrModifyStoragePool", self.array.configuration,
            ElementName=f"moves-{self.tag}", InExtents=[path.to_wbem_uri() for path in free[:2]])
        checks.equal(code, DONE, "a pool of two disks")
        self.pool = outputs["Pool"]
        code, outputs = invoke(
            connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementName=f"much-{self.tag}", ElementType=U16(2), InPool=self.pool, Size=U64(MUCH))
        checks.equal(code, DONE, "a large volume")
        self.volume = outputs.get("TheElement") or connection.AssociatorNames(
            outputs["Job"], AssocClass="CIM_AffectedJobElement")[0]
        for part in (self.moves, self.mirrors, self.empties):
            checks.step(part)
        for method, words in (("ReturnToStoragePool", {"TheElement": self.volume}),
                              ("DeleteStoragePool", {"Pool": self.pool})):
            code, _ = invoke(connection, method, self.array.configuration, **words)
            checks.equal(code, DONE, f"{method} at the end")
        left = differences(before, self.look())
        checks.that(not left, "the server is as it was found", "; ".join(left[:5]))


def main():
    chosen = options(__doc__)
    checks = Checks("moves", chosen.verbose)
    # Through one address: a job is waited for, and what it says depends on no protocol.
    connection = connect(chosen)
    checks.step(Moves(checks, connection).run)
    checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
