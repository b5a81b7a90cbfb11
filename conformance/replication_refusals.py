"""What must be refused: the part of `replication.py` about wrong wishes."""

import pywbem

from harness import (
    ALREADY_EXISTS, INVALID_PARAMETER, METHOD_NOT_AVAILABLE, NOT_FOUND, NOT_SUPPORTED,
)
from refusals import altered
from terms import (
    CLONE, DETACH, REFUSED, RESTORE, SNAPSHOT, SYNCHRONIZED, U16, UNSYNCHRONIZED,
)


class Refusals:
    """What a run wishes in vain; `replication.Replication` is one with all that it needs."""

    def refusals(self):
        """Everything wrong, with nothing changed."""
        mirrored = self.goal(DataRedundancyGoal=U16(2), PackageRedundancyGoal=U16(1))
        roomy = self.goal(DeltaReservationGoal=pywbem.Uint8(50))
        before = self.look()
        self.wrong_creations(mirrored, roomy)
        self.wrong_lists()
        self.wrong_operations()
        for method in ("CreateSynchronizationAspect", "AddReplicationEntity"):
            self.checks.refuses(
                (METHOD_NOT_AVAILABLE, INVALID_PARAMETER), f"{method} is not offered",
                self.connection.InvokeMethod, method, self.service)
        self.unchanged("what is refused", before)

    def wrong_creations(self, mirrored, roomy):
        """CreateElementReplica."""
        good = {"SyncType": U16(SNAPSHOT), "SourceElement": self.source,
                "ElementName": self.name("never")}
        clone = {"SyncType": U16(CLONE)}
        primordial = self.array.pools(primordial=True)[0].path

        def refused(codes, text, **changes):
            parameters = {name: value for name, value in {**good, **changes}.items()
                          if value is not None}
            self.checks.refuses(codes, f"{text} is refused", self.connection.InvokeMethod,
                                "CreateElementReplica", self.service, **parameters)

        refused(INVALID_PARAMETER, "no kind", SyncType=None)
        refused(INVALID_PARAMETER, "no source", SourceElement=None)
        refused(NOT_FOUND, "a source that is not there",
                SourceElement=altered(self.source, DeviceID="none"))
        refused(INVALID_PARAMETER, "a pool as the source", SourceElement=self.group)
        refused(NOT_SUPPORTED, "a mirror", SyncType=U16(6))
        refused(NOT_SUPPORTED, "a synchronous replica", Mode=U16(2))
        refused(NOT_SUPPORTED, "a target that is there", TargetElement=self.clone)
        refused(INVALID_PARAMETER, "waiting for what is not reached",
                WaitForCopyState=U16(UNSYNCHRONIZED))
        refused(ALREADY_EXISTS, "a name that is taken", ElementName=self.name("source"))
        refused(INVALID_PARAMETER, "a snapshot in another pool", TargetPool=self.thin_pool)
        refused(INVALID_PARAMETER, "a primordial pool", TargetPool=primordial, **clone)
        refused(INVALID_PARAMETER, "a volume as the pool", TargetPool=self.source, **clone)
        refused(NOT_SUPPORTED, "another quality for a snapshot",
                TargetSettingGoal=mirrored)
        refused(NOT_SUPPORTED, "room for a snapshot that has none of its own",
                SourceElement=self.thin_source, TargetSettingGoal=roomy)
        refused(INVALID_PARAMETER, "a pool as the goal", TargetSettingGoal=self.group, **clone)
        refused(INVALID_PARAMETER, "a pool as a collection", Collections=[self.group])
        refused(NOT_SUPPORTED, "a snapshot of a snapshot that needs its source",
                SourceElement=self.snapshot)
        for text, wish in (
            ("a read-only replica", {"ReadOnly": U16(3)}),
            ("a snapshot by full copy", {"DesiredCopyMethodology": U16(3)}),
            ("a methodology of thin volumes", {"DesiredCopyMethodology": U16(11)}),
            ("an existing target", {"TargetElementSupplier": U16(1)}),
            ("going on after errors", {"OnGroupOrListError": U16(2)}),
            ("hosts that stop", {"FailedCopyStopsHostIO": True}),
            ("a full volume as a thin one", {"ThinProvisioningPolicy": U16(4)}),
        ):
            refused(NOT_SUPPORTED, text, ReplicationSettingData=self.wish(**wish))
        refused(INVALID_PARAMETER, "two pools at once", TargetPool=self.thin_pool, **clone,
                ReplicationSettingData=self.wish(TargetElementResourcePool=U16(3)))
        refused(INVALID_PARAMETER, "other settings", ReplicationSettingData=pywbem.CIMInstance(
            "CIM_StorageSetting", {"InstanceID": "wish"}))

    def wrong_lists(self):
        """CreateListReplica."""
        good = {"SyncType": U16(SNAPSHOT), "SourceElements": [self.source, self.thin_source]}
        for codes, text, changes in (
            (INVALID_PARAMETER, "no sources", {"SourceElements": []}),
            (INVALID_PARAMETER, "a source twice", {"SourceElements": [self.source, self.source]}),
            (NOT_FOUND, "a source that is not there",
             {"SourceElements": [self.source, altered(self.source, DeviceID="none")]}),
            (INVALID_PARAMETER, "fewer names than sources", {"ElementNames": [self.name("x")]}),
            (ALREADY_EXISTS, "a name twice", {"ElementNames": 2 * [self.name("x")]}),
            (NOT_SUPPORTED, "targets that are there", {"TargetElements": [self.clone]}),
            (INVALID_PARAMETER, "an unknown consistency", {"Consistency": U16(9)}),
        ):
            self.checks.refuses(codes, f"{text} is refused", self.connection.InvokeMethod,
                                "CreateListReplica", self.service, **{**good, **changes})

    def wrong_operations(self):
        """ModifyReplicaSynchronization and ModifyListSynchronization."""
        checks, connection = self.checks, self.connection
        for operation in (2, 3, 4, 7, 9, 10, 11, 12, 16, 17, 18, 20, 21, 22, 27, 99):
            code, _ = connection.InvokeMethod(
                "ModifyReplicaSynchronization", self.service, Operation=U16(operation),
                Synchronization=self.of_clone)
            checks.equal(code, REFUSED, f"operation {operation} is not offered")
            code, _ = connection.InvokeMethod(
                "ModifyListSynchronization", self.service, Operation=U16(operation),
                Synchronization=[self.of_clone])
            checks.equal(code, REFUSED, f"nor {operation} on several")
        detach = {"Operation": U16(DETACH), "Synchronization": self.of_clone}
        turned = altered(self.of_clone, SystemElement=self.clone, SyncedElement=self.source)
        for codes, text, changes in (
            (NOT_SUPPORTED, "detaching a snapshot that needs its source",
             {"Synchronization": self.of_snapshot}),
            (NOT_FOUND, "a relation the wrong way round", {"Synchronization": turned}),
            (NOT_FOUND, "a relation that is not there", {"Synchronization": altered(
                self.of_clone, SyncedElement=altered(self.clone, DeviceID="none"))}),
            (INVALID_PARAMETER, "a volume as a relation", {"Synchronization": self.clone}),
            (INVALID_PARAMETER, "waiting for what is not reached",
             {"WaitForCopyState": U16(SYNCHRONIZED)}),
            (NOT_SUPPORTED, "settings that do not come true",
             {"ReplicationSettingData": self.wish(ReadOnly=U16(3))}),
        ):
            checks.refuses(codes, f"{text} is refused", connection.InvokeMethod,
                           "ModifyReplicaSynchronization", self.service, **{**detach, **changes})
        for codes, text, operation, relations in (
            (INVALID_PARAMETER, "nothing", DETACH, []),
            (INVALID_PARAMETER, "a relation twice", DETACH, [self.of_clone, self.of_clone]),
            (NOT_SUPPORTED, "one that can and one that cannot", DETACH,
             [self.of_clone, self.of_snapshot]),
            (NOT_SUPPORTED, "restoring several", RESTORE, [self.of_clone, self.of_snapshot]),
        ):
            checks.refuses(codes, f"{text} is refused", connection.InvokeMethod,
                           "ModifyListSynchronization", self.service, Operation=U16(operation),
                           Synchronization=relations)
