"""Copies as a client watches them: the part of `replication.py` about what takes long."""

import pywbem

from harness import DONE, FAILED, JOB_STARTED, MIB, contains, finished_job, invoke, same
from terms import (
    CLONE, IN_USE, RESTORE, RESYNC, SNAPSHOT, SYNCHRONIZED, U16, U64, UNSYNCHRONIZED,
)

# ProgressStatus.
DONE_WITH_IT, RESYNCING, RESTORING = 2, 7, 8
# RequestedState and JobState, and what RequestStateChange answers too late or in vain.
START, SUSPEND, TERMINATE = 2, 3, 4
RUNNING, SUSPENDED, COMPLETED, TERMINATED = 4, 5, 7, 8
INVALID_TRANSITION = 4097
#: What takes long enough to be looked at.
MUCH = 48 * 1024 * MIB


class Copies:
    """What a run does with long copies; `replication.Replication` is one with all that it needs."""

    def job(self, job):
        """State and percentage of a job."""
        instance = self.connection.GetInstance(job)
        return instance["JobState"], instance["PercentComplete"]

    def stands(self, relation):
        """How a replica stands to its source."""
        instance = self.connection.GetInstance(relation)
        return tuple(instance[name] for name in ("CopyState", "ProgressStatus", "PercentSynced"))

    def control(self, job, state):
        """What RequestStateChange answers."""
        code, _ = self.connection.InvokeMethod("RequestStateChange", job, RequestedState=U16(state))
        return code

    def begin(self, text, method, **parameters):
        """Asks for what takes long; its job, which runs."""
        code, outputs = self.connection.InvokeMethod(method, self.service, **parameters)
        self.checks.equal(code, JOB_STARTED, f"{text} is a job")
        return outputs["Job"]

    def copies(self):
        """Clones that take a while: watched, suspended, cancelled, and copied anew."""
        source = self.volume("much", size=MUCH)
        job = self.begin("a long clone", "CreateElementReplica", SyncType=U16(CLONE),
                         SourceElement=source, ElementName=self.name("copied"))
        self.watched(job, source)
        ended = finished_job(self.connection, job)
        self.checks.equal(ended["JobState"], COMPLETED, "the clone is made in the end")
        clone, = self.connection.AssociatorNames(job, AssocClass="CIM_AffectedJobElement")
        self.made.append(clone)
        relation = self.relation(clone)
        self.checks.equal(self.stands(relation), (SYNCHRONIZED, DONE_WITH_IT, 100), "and synchronised")
        self.overwritten(relation, source, clone)
        self.cancelled(source)
        self.back(clone)
        self.back(source)

    def rest(self, text, job):
        """Lets a job rest, so that there is time to look around."""
        self.checks.that(self.control(job, SUSPEND) in (DONE, JOB_STARTED), f"{text} is to rest")
        return self.checks.until(f"{text} rests", lambda: self.job(job), lambda now: now[0] == SUSPENDED)

    def watched(self, job, source):
        """A first copy is seen by its job alone: what is not finished is shown to nobody."""
        checks, connection = self.checks, self.connection
        before = self.job(job)
        checks.equal(before[0], RUNNING, "a clone is being made")
        self.checks.until("it gets on", lambda: self.job(job),
                          lambda now: before[1] < now[1] < 100 and now[0] == RUNNING)
        rests = self.rest("a clone", job)
        checks.equal(connection.ReferenceNames(source, ResultClass="CIM_StorageSynchronized"), [],
                     "there is no relation before there is a replica")
        names = [item["ElementName"] for item in self.array.enumerate("CIM_StorageVolume")]
        checks.that(self.name("copied") not in names and self.name("much") in names,
                    "nor is the unfinished one shown")
        checks.equal(self.deletes(source), IN_USE, "what is being copied is not deleted")
        owners = connection.AssociatorNames(job, AssocClass="CIM_OwningJobElement")
        checks.that(len(owners) == 1 and same(owners[0], self.service), "its service owns the job",
                    str(owners))
        jobs = connection.AssociatorNames(self.service, AssocClass="CIM_OwningJobElement")
        checks.that(contains(jobs, job), "and leads to it")
        small = self.volume("beside")
        self.back(small)
        checks.equal(self.job(job), rests, "it stands still while other work is done in its pool")
        checks.equal(self.control(job, START), DONE, "it goes on")
        self.checks.until("and gets on", lambda: self.job(job), lambda now: now[1] > rests[1])

    def overwritten(self, relation, source, clone):
        """Resynchronising and restoring: the relation tells how far they are."""
        checks, connection = self.checks, self.connection
        for operation, progress, text in ((RESYNC, RESYNCING, "a clone that is resynchronised"),
                                          (RESTORE, RESTORING, "a source that is restored")):
            job = self.begin(text, "ModifyReplicaSynchronization", Operation=U16(operation),
                             Synchronization=relation)
            first = self.stands(relation)
            checks.equal(first[:2], (UNSYNCHRONIZED, progress), f"{text} says so")
            self.checks.until(f"{text} gets on", lambda: self.stands(relation),
                              lambda now, first=first: now[2] > first[2])
            self.rest(text, job)
            rests = self.stands(relation)
            checks.equal(rests, (UNSYNCHRONIZED, progress, self.job(job)[1]),
                         f"{text} is as far as its job")
            checks.that(rests[2] < 100, f"{text} is not done", str(rests))
            checks.equal(self.control(job, TERMINATE), INVALID_TRANSITION,
                         f"{text} is not stopped midway")
            checks.refuses(FAILED, f"{text} is not copied onto once more", self.modify, relation,
                           RESYNC)
            for volume in (source, clone):
                code = self.deletes(volume)
                checks.that(code != DONE, f"{text}: neither end is deleted", str(code))
            checks.equal(self.stands(relation), rests, f"{text} stands still")
            checks.equal(self.control(job, START), DONE, f"{text} goes on")
            ended = finished_job(connection, job)
            checks.equal(ended["JobState"], COMPLETED, f"{text} is done in the end")
            checks.equal(self.stands(relation), (SYNCHRONIZED, DONE_WITH_IT, 100),
                         f"{text}: the relation says so")

    def deletes(self, volume):
        """What becomes of the wish to delete a volume: its code, or that of the error."""
        try:
            return self.connection.InvokeMethod(
                "ReturnToStoragePool", self.array.configuration, TheElement=volume)[0]
        except pywbem.CIMError as error:
            return -error.status_code

    def cancelled(self, source):
        """A clone that is stopped leaves nothing, and its source is free."""
        checks, connection = self.checks, self.connection
        before = self.look()
        for rests in (False, True):
            text = "a resting clone" if rests else "a clone"
            job = self.begin(text, "CreateElementReplica", SyncType=U16(CLONE),
                             SourceElement=source, ElementName=self.name("stopped"))
            self.checks.until(f"{text} gets on", lambda job=job: self.job(job), lambda now: now[1] > 0)
            if rests:
                self.rest(text, job)
            checks.that(self.control(job, TERMINATE) in (DONE, JOB_STARTED), f"{text} is to be stopped")
            ended = finished_job(connection, job)
            checks.equal((ended["JobState"], list(ended["OperationalStatus"])), (TERMINATED, [10]),
                         f"{text} is stopped")
            checks.equal(connection.AssociatorNames(job, AssocClass="CIM_AffectedJobElement"), [],
                         f"{text} that was stopped made nothing")
            self.unchanged(f"{text} that was stopped", before)

    def full(self):
        """What a pool has no room for is refused, with nothing changed."""
        checks = self.checks
        wishes = [("a clone that a thin pool has no room for", CLONE,
                   self.volume("too-large", size=512 * MIB), self.thin_pool)]
        small = self.full_pool()
        if small is not None:
            inside = self.volume("inside", pool=small)
            filler = self.filler(small)
            wishes += [("a clone in a full group", CLONE, self.source, small),
                       ("a snapshot in a full group", SNAPSHOT, inside, small)]
        before = self.look()
        for text, sync_type, source, pool in wishes:
            for method, words in (("CreateElementReplica", {"SourceElement": source}),
                                  ("CreateListReplica", {"SourceElements": [source]})):
                checks.refuses(FAILED, f"{method}: {text} is refused", self.connection.InvokeMethod,
                               method, self.service, SyncType=U16(sync_type), TargetPool=pool, **words)
        self.unchanged("what there is no room for", before)
        self.back(wishes[0][2])
        if small is not None:
            self.back(inside)
            for pool in (filler, small):
                code, _ = invoke(self.connection, "DeleteStoragePool", self.array.configuration,
                                 Pool=pool)
                checks.equal(code, DONE, "a pool is deleted")

    def full_pool(self):
        """A pool of one disk that is to be full; None where no disk is free."""
        primordial, = self.array.pools(primordial=True)
        _, outputs = self.connection.InvokeMethod("GetAvailableExtents", primordial.path)
        if not outputs.get("AvailableExtents"):
            return None
        code, outputs = invoke(
            self.connection, "CreateOrModifyStoragePool", self.array.configuration,
            ElementName=self.name("small"), InExtents=[outputs["AvailableExtents"][0].to_wbem_uri()])
        self.checks.equal(code, DONE, "a pool of one disk")
        return outputs["Pool"]

    def filler(self, group):
        """A thin pool that takes all that is left of a group."""
        words = {"InPools": [group.to_wbem_uri()], "ElementName": self.name("filler")}
        size = self.connection.GetInstance(group)["RemainingManagedSpace"]
        for _ in range(2):
            code, outputs = invoke(
                self.connection, "CreateOrModifyStoragePool", self.array.configuration,
                Size=U64(size), **words)
            size = outputs.get("Size")
        self.checks.equal(code, DONE, "a thin pool takes the rest of it")
        return outputs["Pool"]
