#!/usr/bin/env python3
"""Job Control with pywbem: a slow job is watched, suspended, resumed, stopped and forgotten.

Works with any server that makes a job of a very large volume; a server that has made it before
anybody could look at the job has nothing to show, and the script says so.
"""

import sys
import time

import pywbem
from pywbem import Uint16 as U16
from pywbem import Uint64 as U64

from discovery import discover
from harness import (
    DONE, FAILED, INVALID_PARAMETER, JOB_STARTED, MIB, NOT_FOUND, Checks, connect, contains,
    differences, everything, finished_job, options,
)

# RequestedState, JobState, and what RequestStateChange answers.
START, SUSPEND, TERMINATE, KILL = 2, 3, 4, 5
RUNNING, SUSPENDED, COMPLETED, TERMINATED = 4, 5, 7, 8
INVALID_TRANSITION, TIMEOUT_NOT_SUPPORTED = 4097, 4098
VOLUME, FULL = 2, 3


class Jobs:
    """One run over one connection."""

    def __init__(self, checks, connection):
        self.checks = checks
        self.connection = connection
        self.array = discover(connection)
        connection.default_namespace = self.array.namespace
        self.service = self.only("CIM_StorageConfigurationService")

    def only(self, classname):
        """The one instance of a class."""
        return self.connection.EnumerateInstanceNames(classname)[0]

    def create(self, size, pool=None, name="conformance-job"):
        """Ask for a volume."""
        return self.connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", self.service, ElementName=name,
            ElementType=U16(VOLUME), InPool=pool or self.largest_pool()[0], Size=U64(size))

    def largest_pool(self):
        """The pool with the most room for a fully provisioned volume, and that room."""
        rooms = []
        for pool in self.connection.EnumerateInstances("CIM_StoragePool"):
            if pool["Primordial"] or pool.get("SpaceLimitDetermination") is not None:
                continue
            code, outputs = self.connection.InvokeMethod(
                "GetSupportedSizeRange", pool.path, ElementType=U16(FULL))
            if code == DONE:
                rooms.append((outputs["MaximumVolumeSize"], pool.path))
        size, path = max(rooms, key=lambda room: room[0])
        return path, size

    def slow(self):
        """A job that takes long; None where the server has none."""
        pool, size = self.largest_pool()
        code, outputs = self.create(size, pool)
        if not self.checks.equal(code, JOB_STARTED, "a very large volume is a job"):
            return None
        return outputs["Job"]

    def request(self, job, state, **more):
        """RequestStateChange."""
        code, _ = self.connection.InvokeMethod(
            "RequestStateChange", job, RequestedState=U16(state), **more)
        return code

    def until(self, job, text, condition):
        """A check that an instance of the job comes to be such; the last one."""
        return self.checks.until(text, lambda: self.connection.GetInstance(job), condition)

    def running(self, job):
        """What a running job says."""
        checks, connection = self.checks, self.connection
        checks.section("a running job")
        first = connection.GetInstance(job)
        checks.equal(first["JobState"], RUNNING, "it runs")
        checks.equal(list(first["OperationalStatus"]), [2], "and is well")
        checks.equal((first["ErrorCode"], first["ErrorDescription"]), (0, None), "without error")
        for name in ("TimeSubmitted", "StartTime", "TimeOfLastStateChange"):
            checks.that(not first[name].is_interval, f"{name} is a point in time")
        checks.that(first["TimeSubmitted"].datetime <= first["StartTime"].datetime,
                    "it began after it was asked for")
        checks.equal(first["Owner"], connection.creds[0], "it is its user's")
        later = self.until(job, "it gets on", lambda now: (
            now["PercentComplete"] > first["PercentComplete"]))
        checks.that(first["ElapsedTime"].timedelta < later["ElapsedTime"].timedelta,
                    "its time passes")
        checks.that(later["PercentComplete"] < 100, "it is not done")
        owners = connection.AssociatorNames(job, AssocClass="CIM_OwningJobElement")
        checks.that(len(owners) == 1 and contains(owners, self.service), "its service owns it",
                    str(owners))
        checks.refuses(FAILED, "a running job is not deleted", connection.DeleteInstance, job)
        code, outputs = connection.InvokeMethod("GetError", job)
        checks.equal((code, outputs.get("Error")), (DONE, None), "it has no error")
        checks.equal(
            self.request(job, SUSPEND, TimeoutPeriod=pywbem.CIMDateTime("00000000000001.000000:000")),
            TIMEOUT_NOT_SUPPORTED, "a timeout is not supported")

    def suspend_and_resume(self, job):
        """It rests and goes on."""
        checks = self.checks
        checks.section("a suspended job")
        checks.equal(self.request(job, SUSPEND), JOB_STARTED, "it is to rest")
        rests = self.until(job, "it rests", lambda now: now["JobState"] == SUSPENDED)
        checks.equal(self.request(job, SUSPEND), DONE, "it rests already")
        time.sleep(0.5)
        still = self.connection.GetInstance(job)
        for name in ("PercentComplete", "ElapsedTime", "TimeOfLastStateChange"):
            checks.equal(still[name], rests[name], f"{name} stands still")
        code, outputs = self.create(64 * MIB, name="conformance-other")
        checks.equal(code, DONE, "another volume can be made meanwhile")
        if code == DONE:
            self.connection.InvokeMethod("ReturnToStoragePool", self.service,
                                         TheElement=outputs["TheElement"])
        checks.equal(self.request(job, START), DONE, "it goes on")
        checks.equal(self.connection.GetInstance(job)["JobState"], RUNNING, "and runs")
        self.until(job, "and gets on", lambda now: (
            now["PercentComplete"] > still["PercentComplete"]))

    def stop(self, job):
        """It is stopped, and says why."""
        checks, connection = self.checks, self.connection
        checks.section("a stopped job")
        checks.equal(self.request(job, TERMINATE), JOB_STARTED, "it is to end")
        ended = finished_job(connection, job)
        checks.equal(ended["JobState"], TERMINATED, "it is terminated")
        checks.equal(list(ended["OperationalStatus"]), [10], "and stopped")
        checks.that(ended["ErrorCode"] != 0 and len(ended["ErrorDescription"]) > 10,
                    "it has an error and a sentence")
        for state in (START, SUSPEND, TERMINATE, KILL):
            checks.equal(self.request(job, state), INVALID_TRANSITION,
                         f"RequestedState {state} comes too late")
        code, outputs = connection.InvokeMethod("GetError", job)
        error = outputs.get("Error")
        checks.that(code == DONE and isinstance(error, pywbem.CIMInstance), "GetError answers",
                    str(outputs))
        checks.equal(error.classname, "CIM_Error", "an embedded CIM_Error")
        checks.equal(error["Message"], ended["ErrorDescription"], "with the same sentence")
        for name in ("MessageID", "OwningEntity", "CIMStatusCode", "ErrorType"):
            checks.that(error[name] is not None, f"with {name}")
        _, outputs = connection.InvokeMethod("GetErrors", job)
        checks.equal(outputs["Errors"], [error], "GetErrors has that one")
        checks.equal(connection.AssociatorNames(job, AssocClass="CIM_AffectedJobElement"), [],
                     "nothing of it is left")

    def result(self, job, code):
        """The call that it came from."""
        checks, connection = self.checks, self.connection
        results = connection.Associators(job, AssocClass="CIM_AssociatedJobMethodResult",
                                         ResultClass="CIM_MethodResult")
        if not checks.equal(len(results), 1, "it has one method result"):
            return
        (result,) = results
        before, after = result["PreCallIndication"], result["PostCallIndication"]
        for call, is_before in ((before, True), (after, False)):
            checks.equal((call.classname, call["MethodName"], call["PreCall"]),
                         ("CIM_InstMethodCall", "CreateOrModifyElementFromStoragePool", is_before),
                         "an embedded CIM_InstMethodCall")
        given = before["MethodParameters"]
        checks.equal((given["ElementName"], given["ElementType"]), ("conformance-job", VOLUME),
                     "with what was given")
        checks.that(isinstance(given["InPool"], pywbem.CIMInstanceName), "with the pool")
        checks.equal(after["ReturnValue"], str(code), "with what was returned")
        checks.equal(after["MethodParameters"]["Job"].keybindings, job.keybindings,
                     "with the job as output")
        back = connection.AssociatorNames(result.path, ResultClass="CIM_ConcreteJob")
        checks.that(contains(back, job), "and leads back")

    def finished(self):
        """A job that ended well."""
        checks, connection = self.checks, self.connection
        checks.section("a finished job")
        code, outputs = self.create(64 * MIB)
        if not checks.equal(code, DONE, "a small volume is made at once"):
            return
        job, volume = outputs["Job"], outputs["TheElement"]
        ended = connection.GetInstance(job)
        checks.equal((ended["JobState"], ended["PercentComplete"], ended["ErrorCode"]),
                     (COMPLETED, 100, 0), "it is complete")
        checks.equal(set(ended["OperationalStatus"]), {2, 17}, "and well")
        made = connection.AssociatorNames(job, AssocClass="CIM_AffectedJobElement",
                                          ResultClass="CIM_StorageVolume")
        checks.that(len(made) == 1 and contains(made, volume), "it leads to the one that it made")
        (link,) = connection.References(job, ResultClass="CIM_AffectedJobElement")
        checks.equal(list(link["ElementEffects"]), [5], "as its creator")
        self.result(job, DONE)

        change = pywbem.CIMInstance(ended.classname, path=ended.path, properties={
            "DeleteOnCompletion": False,
            "TimeBeforeRemoval": pywbem.CIMDateTime("00000000010000.000000:000")})
        connection.ModifyInstance(change)
        kept = connection.GetInstance(job)
        checks.equal((kept["DeleteOnCompletion"], kept["TimeBeforeRemoval"]),
                     (False, change["TimeBeforeRemoval"]), "it is kept as long as a client wants")
        change["TimeBeforeRemoval"] = pywbem.CIMDateTime("00000365000000.000000:000")
        checks.refuses(INVALID_PARAMETER, "but not for ever", connection.ModifyInstance, change)
        connection.DeleteInstance(job)
        checks.refuses(NOT_FOUND, "a finished job can be deleted", connection.GetInstance, job)
        left = [result for result in connection.EnumerateInstances("CIM_MethodResult")
                if str(job["InstanceID"]).rsplit(":", 1)[-1] in result["InstanceID"]]
        checks.equal(left, [], "and its method result with it")
        checks.refuses(NOT_FOUND, "an unknown job is refused", self.request, job, TERMINATE)
        connection.InvokeMethod("ReturnToStoragePool", self.service, TheElement=volume)

    def kill(self):
        """KillJob, which newer clients do not call."""
        job = self.slow()
        if job is None:
            return
        code, _ = self.connection.InvokeMethod("KillJob", job, DeleteOnKill=True)
        self.checks.equal(code, DONE, "KillJob stops a job")
        self.checks.refuses(NOT_FOUND, "and forgets it where asked to",
                            self.connection.GetInstance, job)

    def whole(self):
        """Everything, and nothing is left."""
        checks = self.checks
        namespaces = [self.array.namespace]
        before = everything(self.connection, namespaces)
        job = self.slow()
        if job is not None:
            for part in (self.running, self.suspend_and_resume, self.stop):
                checks.step(part, job)
            checks.step(self.result, job, JOB_STARTED)
            self.connection.DeleteInstance(job)
            checks.step(self.kill)
        checks.step(self.finished)
        changed = differences(before, everything(self.connection, namespaces))
        checks.that(not changed, "everything is as before", "; ".join(changed[:5]))


def main():
    chosen = options(__doc__)
    checks = Checks("jobs", chosen.verbose)
    # Through one address: a job is waited for, and what it says depends on no protocol.
    connection = connect(chosen)
    checks.step(Jobs(checks, connection).whole)
    checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
