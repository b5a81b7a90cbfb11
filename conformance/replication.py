#!/usr/bin/env python3
"""Replication Services, with pywbem; every reply is validated.

The capabilities say what works for each type of replication, and it does: snapshots and clones of
fully provisioned and of thin volumes, several of one moment, in other pools; relations from both
ends; restoring, resynchronising, detaching, returning; the older methods of Copy Services by their
own numbers; copies that take long, watched, suspended and stopped. Everything wrong is refused with
nothing changed. The server is left as it was found.
Runs once per URL.
"""

import sys
import uuid

import pywbem

from discovery import discover
from harness import (
    DONE, FAILED, INVALID_PARAMETER, MIB, NOT_FOUND, NOT_SUPPORTED, Checks, connect, contains,
    differences, everything, finished_job, invoke, options, same,
)
from replication_copies import Copies
from replication_groups import Groups
from replication_refusals import Refusals
from terms import (
    ASYNCHRONOUS, BOTH, BROKEN, CLONE, DELTA, DETACH, IN_USE, LOCAL, NOT_APPLICABLE,
    NO_SUCH_PROPERTY, REFUSED, REMOTE, RESTORE, RESYNC, RETURN, SNAPSHOT, SOURCE, SYNCHRONIZED,
    TARGET, THIN_VOLUME, TYPES, U16, U64, UNRESTRICTED, UNSYNCHRONIZED, VOLUME,
)

SETTINGS = "CIM_ReplicationSettingData"


class Replication(Groups, Copies, Refusals):
    """One run over one URL."""

    def __init__(self, checks, connection):
        self.checks = checks
        self.connection = connection
        self.tag = uuid.uuid4().hex[:8]
        self.array = array = discover(connection)
        self.service = array.replication
        self.capabilities, = connection.AssociatorNames(
            self.service, AssocClass="CIM_ElementCapabilities",
            ResultClass="CIM_ReplicationServiceCapabilities")
        self.group = array.thick_pool(1024 * MIB)
        self.thin_pool = None
        self.made = []
        self.goals = []

    # --- calling and looking --------------------------------------------------------------------

    def ask(self, method, **parameters):
        """A method of the capabilities, as (return code, outputs)."""
        return self.connection.InvokeMethod(method, self.capabilities, **parameters)

    def name(self, name):
        """A name of this run."""
        return f"{name}-{self.tag}"

    def volume(self, name, pool=None, size=64 * MIB):
        """A new volume."""
        pool = pool or self.group
        kind = THIN_VOLUME if pool == self.thin_pool else VOLUME
        code, outputs = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementName=self.name(name), ElementType=U16(kind), InPool=pool, Size=U64(size))
        self.checks.equal(code, DONE, f"volume {name} is created")
        # Where a large one took longer than its call, its job leads to it.
        volume = outputs.get("TheElement") or self.connection.AssociatorNames(
            outputs["Job"], AssocClass="CIM_AffectedJobElement")[0]
        self.made.append(volume)
        return volume

    def replicate(self, source, name, sync_type, **parameters):
        """A replica of a volume, with its relation; both as paths."""
        checks, connection = self.checks, self.connection
        code, outputs = invoke(
            connection, "CreateElementReplica", self.service, ElementName=self.name(name),
            SyncType=U16(sync_type), SourceElement=source, WaitForCopyState=U16(SYNCHRONIZED),
            **parameters)
        checks.equal(code, DONE, f"{name} is made")
        affected = connection.AssociatorNames(
            outputs["Job"], AssocClass="CIM_AffectedJobElement")
        checks.equal(len(affected), 1, f"its job made {name} and nothing else")
        target = outputs.get("TargetElement") or affected[0]
        self.made.append(target)
        checks.that(same(affected[0], target) and not same(target, source),
                    f"{name} is a new volume")
        relation = outputs.get("Synchronization") or self.relation(target)
        checks.equal(connection.GetInstance(target)["ElementName"], self.name(name),
                     f"{name} has its name")
        return target, relation

    def relation(self, replica):
        """The relation to the source of a replica."""
        found = self.connection.ReferenceNames(
            replica, ResultClass="CIM_StorageSynchronized", Role="SyncedElement")
        self.checks.equal(len(found), 1, "a replica has one source")
        return found[0]

    def modify(self, relation, operation, **parameters):
        """An operation on a relation, seen to its end; its return code."""
        code, _ = invoke(self.connection, "ModifyReplicaSynchronization", self.service,
                         Operation=U16(operation), Synchronization=relation, **parameters)
        return code

    def usage(self, volume):
        """What a volume is used for."""
        return self.connection.GetInstance(volume)["Usage"]

    def related(self, text, source, replica, sync_type):
        """A check of a relation: what it says, and every way that leads to it."""
        checks, connection = self.checks, self.connection
        relation = self.relation(replica)
        instance = connection.GetInstance(relation)
        expected = {
            "SyncType": sync_type, "Mode": ASYNCHRONOUS, "CopyState": SYNCHRONIZED,
            "ProgressStatus": 2, "PercentSynced": 100, "SyncMaintained": False,
            "RequestedCopyState": NOT_APPLICABLE,
            "ReplicaType": 2 if sync_type == CLONE else 4,
        }
        checks.equal({key: instance[key] for key in expected}, expected, f"{text}: what it says")
        for prop in ("SyncState", "CopyType"):
            checks.that(prop not in instance, f"{text}: {prop}, which clients act on, is not there")
        checks.that(instance["WhenSynced"] is not None
                    and instance["WhenEstablished"] is not None, f"{text}: when it was made")
        checks.that(same(instance["SystemElement"], source)
                    and same(instance["SyncedElement"], replica), f"{text}: its ends")
        for near, far, role, result in ((source, replica, "SystemElement", "SyncedElement"),
                                        (replica, source, "SyncedElement", "SystemElement")):
            there = connection.AssociatorNames(
                near, AssocClass="CIM_StorageSynchronized", Role=role, ResultRole=result)
            checks.that(contains(there, far), f"{text}: from {role}")
            paths = connection.ReferenceNames(near, ResultClass="CIM_Synchronized", Role=role)
            checks.that(contains(paths, relation), f"{text}: by reference from {role}")
        pools = connection.AssociatorNames(
            replica, AssocClass="CIM_AllocatedFromStoragePool", ResultClass="CIM_StoragePool")
        checks.equal(len(pools), 1, f"{text}: the replica comes from one pool")
        return instance

    def gone(self, text, relation):
        """A check that a relation is no more."""
        self.checks.refuses(NOT_FOUND, f"{text}: the relation is gone",
                            self.connection.GetInstance, relation)

    # --- what works -----------------------------------------------------------------------------

    def supported(self):
        """The capabilities, type by type."""
        checks = self.checks
        instance = self.connection.GetInstance(self.capabilities)
        checks.equal(list(instance["SupportedReplicationTypes"]), list(TYPES.values()),
                     "local snapshots and clones")
        checks.equal(list(instance["SupportedStorageObjects"]), [2], "of volumes")
        for action in (12, 13, 14, 15):
            checks.that(action in instance["SupportedSynchronousActions"], f"action {action}")
        for action in (2, 3, 5, 6, 19):
            checks.that(action in instance["SupportedSynchronousActions"]
                        and action in instance["SupportedAsynchronousActions"],
                        f"action {action} works within the call or as a job")
        for sync_type, kind in TYPES.items():
            self.supported_type(sync_type, kind)
        for method in ("GetSupportedFeatures", "GetSupportedOperations", "GetSupportedCopyStates",
                       "GetSupportedConsistency", "ConvertReplicationTypeToSyncType",
                       "GetDefaultReplicationSettingData", "GetSupportedListOperations",
                       "GetSupportedThinProvisioningFeatures", "GetSupportedListFeatures",
                       "GetSupportedGroupFeatures", "GetSupportedGroupOperations"):
            code, _ = self.ask(method, ReplicationType=U16(2))
            checks.equal(code, REFUSED, f"{method} of a mirror")
            checks.refuses(INVALID_PARAMETER, f"{method} of nothing", self.ask, method)
        for words in ({"SyncType": U16(6)}, {"SyncType": U16(SNAPSHOT), "Mode": U16(2)},
                      {"SyncType": U16(CLONE), "LocalOrRemote": U16(REMOTE)}):
            code, _ = self.ask("ConvertSyncTypeToReplicationType", **words)
            checks.equal(code, REFUSED, f"no type for {words}")
        code, outputs = self.ask("GetSupportedReplicationTypesForSystem", System=self.array.system)
        checks.equal((code, outputs["SupportedReplicationTypes"]), (DONE, list(TYPES.values())),
                     "the types of the array")

    def supported_type(self, sync_type, kind):
        """What is said of one type."""
        checks, kind = self.checks, U16(kind)
        snapshot = sync_type == SNAPSHOT
        code, outputs = self.ask("ConvertReplicationTypeToSyncType", ReplicationType=kind)
        checks.equal((code, outputs["SyncType"], outputs["Mode"], outputs["LocalOrRemote"]),
                     (DONE, sync_type, ASYNCHRONOUS, LOCAL), f"type {kind} taken apart")
        for words in ({}, {"Mode": U16(ASYNCHRONOUS)}, {"LocalOrRemote": U16(LOCAL)}):
            code, outputs = self.ask(
                "ConvertSyncTypeToReplicationType", SyncType=U16(sync_type), **words)
            checks.equal((code, outputs.get("SupportedReplicationTypes")), (DONE, kind),
                         f"type {kind} put together")
        code, outputs = self.ask("GetSupportedFeatures", ReplicationType=kind)
        checks.that(code == DONE and {2, 7, 39, 51} <= set(outputs["Features"])
                    and (62 in outputs["Features"]) != snapshot, f"features of type {kind}",
                    str(outputs))
        for state, expected in (
            (None, [DETACH, RESTORE, RETURN] if snapshot else [DETACH, RESYNC, RESTORE, RETURN]),
            (BROKEN, [RETURN]), (NOT_APPLICABLE, []),
        ):
            words = {} if state is None else {"CopyState": U16(state)}
            code, outputs = self.ask("GetSupportedOperations", ReplicationType=kind, **words)
            count = len(expected)
            checks.equal((code, outputs["SupportedOperations"], outputs["ServiceControlling"]),
                         (DONE, expected, [4] * count),
                         f"operations of type {kind} in state {state}")
            # pywbem takes every boolean output for true.
            for flags in ("RequiresForce", "UpdatesSynchronizedPath"):
                checks.equal(len(outputs[flags]), count, f"{flags} for each")
        code, outputs = self.ask("GetSupportedListOperations", ReplicationType=kind,
                                 SynchronizationType=U16(2))
        checks.equal((code, outputs["SupportedListOperations"]), (DONE, [DETACH, RETURN]),
                     f"operations on several of type {kind}")
        code, outputs = self.ask("GetSupportedCopyStates", ReplicationType=kind)
        states = outputs["SupportedCopyStates"]
        checks.that(code == DONE and {SYNCHRONIZED, UNSYNCHRONIZED} <= set(states)
                    and (BROKEN in states) == snapshot
                    and len(outputs["HostAccessible"]) == len(states), f"states of type {kind}",
                    str(states))
        for words, expected in (([("MethodName", U16(2))], [SYNCHRONIZED]),
                                ([("MethodName", U16(4)), ("Operation", U16(DETACH))],
                                 [NOT_APPLICABLE])):
            code, outputs = self.ask("GetSupportedWaitForCopyStates",
                                     Params=[("ReplicationType", kind), *words])
            checks.equal((code, outputs["SupportedCopyStates"]), (DONE, expected),
                         f"states to wait for of type {kind}: {words}")
        code, outputs = self.ask("GetDefaultReplicationSettingData", ReplicationType=kind)
        settings = outputs["DefaultInstance"]
        checks.that(code == DONE and settings["TargetElementSupplier"] == 2
                    and settings["ConsistentPointInTime"] is True, f"defaults of type {kind}")
        for prop, values in ((3, [2, 6, 11] if snapshot else [2, 3, 9]), (10, [2]), (2, [2, 3])):
            code, outputs = self.ask("GetSupportedReplicationSettingData", ReplicationType=kind,
                                     PropertyName=U16(prop))
            checks.equal((code, outputs["SupportedValues"]), (DONE, values),
                         f"property {prop} of type {kind}")
        code, _ = self.ask("GetSupportedReplicationSettingData", ReplicationType=kind,
                           PropertyName=U16(26))
        checks.equal(code, NO_SUCH_PROPERTY, "a property that is not granted")
        code, outputs = self.ask("GetSupportedMaximum", ReplicationType=kind, Component=U16(5))
        checks.equal((code, outputs["MaxValue"]), (DONE, 0), "any number of targets")
        code, _ = self.ask("GetSupportedMaximum", ReplicationType=kind, Component=U16(8))
        checks.equal(code, REFUSED, "there is no most of peer systems")
        return settings

    # --- replicas -------------------------------------------------------------------------------

    def make_thin_pool(self):
        """A thin pool in the group."""
        code, outputs = invoke(
            self.connection, "CreateOrModifyStoragePool", self.array.configuration,
            InPools=[self.group.to_wbem_uri()], Size=U64(256 * MIB),
            ElementName=self.name("thinpool"))
        self.checks.equal(code, DONE, "a thin pool to work in")
        self.thin_pool = outputs["Pool"]

    def thick(self):
        """Snapshot and clone of a fully provisioned volume."""
        checks, connection = self.checks, self.connection
        self.source = source = self.volume("source")
        checks.equal(self.usage(source), UNRESTRICTED, "a volume without replicas")
        self.snapshot, self.of_snapshot = self.replicate(source, "snapshot", SNAPSHOT)
        instance = self.related("snapshot", source, self.snapshot, SNAPSHOT)
        checks.equal(instance["CopyMethodology"], 6, "it is copied on write")
        said = connection.GetInstance(self.snapshot)
        checks.equal((said["Usage"], said["DeltaReservation"], said["ThinlyProvisioned"]),
                     (DELTA, 100, False), "the snapshot has room for every change")
        checks.equal((self.usage(source), connection.GetInstance(source)["CanDelete"]),
                     (SOURCE, False), "its source cannot be deleted")
        share, = connection.References(
            self.snapshot, ResultClass="CIM_AllocatedFromStoragePool", Role="Dependent")
        checks.that(share["SpaceConsumed"] >= 64 * MIB and same(share["Antecedent"], self.group),
                    "what it takes of the group is said", str(dict(share.items())))
        self.clone, self.of_clone = self.replicate(
            source, "clone", CLONE, Mode=U16(ASYNCHRONOUS), TargetPool=self.thin_pool)
        instance = self.related("clone", source, self.clone, CLONE)
        checks.equal(instance["CopyMethodology"], 9, "it is copied from a snapshot")
        said = connection.GetInstance(self.clone)
        checks.equal((said["Usage"], said["ThinlyProvisioned"]), (TARGET, True),
                     "a clone in a thin pool is thin")
        checks.that("DeltaReservation" not in said, "and has no room for changes")

    def thin(self):
        """Snapshots of a thin volume, and one of a snapshot."""
        checks = self.checks
        self.thin_source = source = self.volume("thin", self.thin_pool)
        self.thin_snapshot, self.of_thin = self.replicate(
            source, "thin-snapshot", SNAPSHOT, TargetPool=self.thin_pool)
        instance = self.related("thin snapshot", source, self.thin_snapshot, SNAPSHOT)
        checks.equal(instance["CopyMethodology"], 11, "it is redirected on write")
        second, _ = self.replicate(self.thin_snapshot, "second", SNAPSHOT)
        self.related("snapshot of a snapshot", self.thin_snapshot, second, SNAPSHOT)
        checks.equal(self.usage(self.thin_snapshot), BOTH, "it is source and target")
        full, _ = self.replicate(source, "full", CLONE, TargetPool=self.group)
        checks.equal(self.connection.GetInstance(full)["ThinlyProvisioned"], False,
                     "a clone in a group is fully provisioned")

    def several(self):
        """Replicas of several volumes are of one moment."""
        checks, connection = self.checks, self.connection
        sources = [self.volume("one"), self.volume("two")]
        for sync_type, name in ((SNAPSHOT, "s"), (CLONE, "c")):
            names = [self.name(f"{name}{number}") for number in (1, 2)]
            code, outputs = invoke(
                connection, "CreateListReplica", self.service, ElementNames=names,
                SyncType=U16(sync_type), SourceElements=sources,
                WaitForCopyState=U16(SYNCHRONIZED), Consistency=U16(3))
            checks.equal(code, DONE, f"{names} are made")
            made = connection.Associators(outputs["Job"], AssocClass="CIM_AffectedJobElement")
            checks.equal(sorted(item["ElementName"] for item in made), names,
                         "the job made these and nothing else")
            targets = outputs.get("TargetElements") or [item.path for item in made]
            self.made += targets
            moments = set()
            for source, name in zip(sources, names, strict=True):
                replica = next(path for path in targets
                               if connection.GetInstance(path)["ElementName"] == name)
                instance = self.related(name, source, replica, sync_type)
                moments.add(str(instance["WhenSynced"]))
            checks.equal(len(moments), 1, f"{names} show one moment")
            if outputs.get("TargetElements"):
                named = [connection.GetInstance(path)["ElementName"]
                         for path in outputs["TargetElements"]]
                checks.equal(named, names, "in the order of their sources")
        relations = [self.relation(path) for path in self.made[-4:]]
        code, _ = invoke(connection, "ModifyListSynchronization", self.service,
                         Operation=U16(DETACH), Synchronization=relations[2:],
                         WaitForCopyState=U16(NOT_APPLICABLE))
        checks.equal(code, DONE, "two clones are detached together")
        code, _ = invoke(connection, "ModifyListSynchronization", self.service,
                         Operation=U16(RETURN), Synchronization=relations[:2])
        checks.equal(code, DONE, "two snapshots are returned together")
        for relation in relations:
            self.gone("several", relation)
        for path in self.made[-4:-2]:
            checks.refuses(NOT_FOUND, "a returned snapshot is gone", connection.GetInstance, path)
        del self.made[-4:-2]

    def found(self, **filters):
        """The relations of this run that filters leave over."""
        code, outputs = self.connection.InvokeMethod(
            "GetReplicationRelationships", self.service, **filters)
        self.checks.equal(code, DONE, f"relations by {sorted(filters)}")
        return [path for path in outputs["Synchronizations"] or []
                if contains(self.made, path["SyncedElement"])]

    def relationships(self):
        """GetReplicationRelationships and its filters."""
        checks = self.checks
        everyone = self.found()
        listed = [item.path for item in self.array.enumerate("CIM_StorageSynchronized")
                  if contains(self.made, item.path["SyncedElement"])]
        checks.that(len(everyone) == len(listed) and all(contains(listed, path)
                                                         for path in everyone), "all of them")
        for text, filters, wanted in (
            ("snapshots", {"SyncType": U16(SNAPSHOT)}, self.of_snapshot),
            ("clones", {"SyncType": U16(CLONE)}, self.of_clone),
            ("those that are synchronised", {"CopyState": U16(SYNCHRONIZED)}, self.of_clone),
            ("local ones between volumes",
             {"Type": U16(2), "Mode": U16(ASYNCHRONOUS), "Locality": U16(LOCAL)}, self.of_thin),
            ("those by a methodology",
             {"ReplicationSettingData": self.wish(DesiredCopyMethodology=U16(11))}, self.of_thin),
        ):
            checks.that(contains(self.found(**filters), wanted), f"{text} are found")
        snapshots = self.found(SyncType=U16(SNAPSHOT))
        checks.that(not contains(snapshots, self.of_clone), "and clones are no snapshots")
        for filters in ({"Locality": U16(REMOTE)}, {"Mode": U16(2)}, {"CopyState": U16(BROKEN)},
                        {"Type": U16(3)}, {"SyncType": U16(6)}):
            checks.equal(self.found(**filters), [], f"none are found by {filters}")
        code, outputs = self.connection.InvokeMethod(
            "GetAvailableTargetElements", self.service, SourceElement=self.source,
            SyncType=U16(CLONE))
        checks.equal((code, outputs.get("Candidates") or []), (DONE, []),
                     "no volume that is there becomes a replica")
        code, outputs = self.connection.InvokeMethod("GetPeerSystems", self.service)
        checks.equal((code, outputs.get("Systems") or []), (DONE, []), "there are no peers")

    def wish(self, **values):
        """Settings of a replica."""
        return pywbem.CIMInstance(SETTINGS, {"InstanceID": "wish", **values})

    def goal(self, **values):
        """A setting that asks for that; it goes with the run."""
        abilities, = self.connection.Associators(
            self.group, AssocClass="CIM_ElementCapabilities",
            ResultClass="CIM_StorageCapabilities")
        self.checks.equal(
            [abilities[f"DeltaReservation{end}"] for end in ("Min", "Max", "Default")],
            [1, 100, 100], "a group says how much room snapshots can have")
        _, outputs = self.connection.InvokeMethod(
            "CreateSetting", abilities.path, SettingType=U16(3))
        path = outputs["NewSetting"]
        self.goals.append(path)
        self.connection.ModifyInstance(pywbem.CIMInstance(path.classname, values, path=path),
                                       PropertyList=list(values))
        return path

    def room(self):
        """A snapshot with less room for what changes, by a goal."""
        checks, connection = self.checks, self.connection
        goal = self.goal(DeltaReservationGoal=pywbem.Uint8(25))
        said = connection.GetInstance(goal)
        checks.equal([said[f"DeltaReservation{end}"] for end in ("Min", "Goal", "Max")],
                     [1, 25, 100], "a goal for a quarter")
        snapshot, _ = self.replicate(self.source, "quarter", SNAPSHOT, TargetSettingGoal=goal)
        percent = connection.GetInstance(snapshot)["DeltaReservation"]
        checks.that(25 <= percent < 50, "the snapshot has room for a quarter", str(percent))
        setting, = connection.Associators(snapshot, AssocClass="CIM_ElementSettingData")
        checks.equal(setting["DeltaReservationGoal"], percent, "its setting says so")
        self.back(snapshot)
        for percent in (0, 101):
            checks.refuses(INVALID_PARAMETER, f"room of {percent} % is refused", self.goal,
                           DeltaReservationGoal=pywbem.Uint8(percent))

    def settings(self):
        """Settings that come true, and the default of each type."""
        for sync_type, kind in TYPES.items():
            _, outputs = self.ask("GetDefaultReplicationSettingData", ReplicationType=U16(kind))
            replica, _ = self.replicate(
                self.source, f"default{kind}", sync_type,
                ReplicationSettingData=outputs["DefaultInstance"])
            self.back(replica)
        replica, _ = self.replicate(
            self.source, "wished", CLONE, ReplicationSettingData=self.wish(
                ThinProvisioningPolicy=U16(5), TargetElementGoal=U16(3),
                TargetElementResourcePool=U16(3), OnGroupOrListError=U16(3)))
        same_pool = self.connection.AssociatorNames(
            replica, AssocClass="CIM_AllocatedFromStoragePool", ResultClass="CIM_StoragePool")
        self.checks.that(contains(same_pool, self.group), "a clone lies where its source does")
        self.back(replica)

    def back(self, volume):
        """Return a volume."""
        code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration,
                         TheElement=volume)
        self.checks.equal(code, DONE, "a volume is returned")
        self.made = [path for path in self.made if not same(path, volume)]

    # --- operations -----------------------------------------------------------------------------

    def operations(self, relation):
        """What can be done with a relation."""
        code, outputs = self.ask("GetSupportedOperationsForSynchronization",
                                 Synchronization=relation)
        self.checks.equal(code, DONE, "a relation says what can be done with it")
        return outputs["SupportedOperations"]

    def masked(self):
        """Nothing is restored onto a volume that a host sees; nor is a clone that it sees."""
        checks, connection = self.checks, self.connection
        volume = connection.GetInstance(self.source)
        clone = connection.GetInstance(self.clone)
        port = connection.GetInstance(self.array.target_endpoints()[0])["Name"]
        code, outputs = connection.InvokeMethod(
            "ExposePaths", self.array.masking, LUNames=[volume["Name"], clone["Name"]],
            InitiatorPortIDs=[f"iqn.2024-01.example.Replicas.{self.tag}"], TargetPortIDs=[port],
            DeviceAccesses=[U16(2), U16(2)])
        checks.equal(code, DONE, "source and clone are shown to a host")
        view, = outputs["ProtocolControllers"]
        for text, relation, operation in (
            ("restoring a volume that is shown", self.of_snapshot, RESTORE),
            ("resynchronising a clone that is shown", self.of_clone, RESYNC),
            ("returning a clone that is shown", self.of_clone, RETURN),
        ):
            before = self.look()
            checks.refuses(FAILED, text, self.modify, relation, operation)
            self.unchanged(text, before)
        shown, _ = self.replicate(self.source, "of-shown", CLONE)
        checks.that(shown, "a volume that is shown is cloned")
        snapshot, _ = self.replicate(self.source, "at-shown", SNAPSHOT)
        self.back(snapshot)
        self.back(shown)
        code, _ = connection.InvokeMethod("DeleteProtocolController", self.array.masking,
                                          ProtocolController=view)
        checks.equal(code, DONE, "the view is deleted")
        for known in self.array.enumerate("CIM_StorageHardwareID"):
            if self.tag in known["StorageID"]:
                connection.DeleteInstance(known.path)

    def work(self):
        """Restore, resynchronise, detach and return, each as the relation says."""
        checks, connection = self.checks, self.connection
        checks.equal(self.operations(self.of_snapshot), [RESTORE, RETURN],
                     "a snapshot that needs its source is not detached")
        checks.equal(self.operations(self.of_clone), [DETACH, RESYNC, RESTORE, RETURN],
                     "a clone can be anything")
        for relation, text in ((self.of_snapshot, "snapshot"), (self.of_clone, "clone"),
                               (self.of_thin, "thin snapshot")):
            checks.equal(self.modify(relation, RESTORE, WaitForCopyState=U16(SYNCHRONIZED)), DONE,
                         f"the source of a {text} is restored")
            instance = connection.GetInstance(relation)
            checks.equal(instance["CopyState"], SYNCHRONIZED, "and the relation stays")
        before = connection.GetInstance(self.of_clone)["WhenSynced"]
        checks.equal(self.modify(self.of_clone, RESYNC, Force=True), DONE,
                     "a clone is resynchronised")
        after = connection.GetInstance(self.of_clone)["WhenSynced"]
        checks.that(str(after) > str(before), "it shows a later moment", f"{before} {after}")
        checks.refuses(NOT_SUPPORTED, "a snapshot is not resynchronised", self.modify,
                       self.of_snapshot, RESYNC)
        checks.equal(self.modify(self.of_clone, DETACH,
                                 WaitForCopyState=U16(NOT_APPLICABLE)), DONE,
                     "a clone is detached")
        self.gone("clone", self.of_clone)
        checks.equal(self.usage(self.clone), UNRESTRICTED, "it is a volume as any other")
        checks.equal(self.modify(self.of_thin, DETACH), DONE, "a thin snapshot is detached")
        self.gone("thin snapshot", self.of_thin)
        checks.that(connection.GetInstance(self.thin_snapshot), "and stays as a volume")
        code, _ = connection.InvokeMethod(
            "ReturnToStoragePool", self.array.configuration, TheElement=self.source)
        checks.equal(code, IN_USE, "a volume whose snapshot needs it is in use")
        code, _ = connection.InvokeMethod(
            "ReturnElementsToStoragePool", self.array.configuration, TheElements=[self.source])
        checks.equal(code, IN_USE, "in a list too")
        checks.equal(self.modify(self.of_snapshot, RETURN), DONE, "a snapshot is returned")
        self.made = [path for path in self.made if not same(path, self.snapshot)]
        checks.refuses(NOT_FOUND, "it is gone", connection.GetInstance, self.snapshot)
        checks.equal(self.usage(self.source), UNRESTRICTED, "its source is a volume as any other")

    def older(self):
        """Copy Services: the same by other numbers."""
        checks, connection = self.checks, self.connection
        abilities, = connection.Associators(
            self.array.configuration, AssocClass="CIM_ElementCapabilities",
            ResultClass="CIM_StorageConfigurationCapabilities")
        checks.equal(list(abilities["SupportedCopyTypes"]), [4], "snapshots, which stay associated")
        for action in (8, 9):
            checks.that(action in abilities["SupportedSynchronousActions"], f"action {action}")
        code, outputs = invoke(
            connection, "CreateReplica", self.array.configuration, CopyType=U16(4),
            ElementName=self.name("older"), SourceElement=self.thin_source)
        checks.equal(code, DONE, "a replica by the older method")
        replica = outputs["TargetElement"]
        self.made.append(replica)
        self.related("older", self.thin_source, replica, SNAPSHOT)
        relation = self.relation(replica)

        def change(operation):
            return invoke(connection, "ModifySynchronization", self.array.configuration,
                          Operation=U16(operation), Synchronization=relation)[0]

        checks.equal(change(5), DONE, "5 restores")
        # 8 and 15 mean something in the newer method; 8 is Quiesce here.
        for operation in (8, 15, 19, 3, 12):
            checks.equal(change(operation), REFUSED, f"operation {operation} is not offered")
        checks.that(connection.GetInstance(relation), "and the relation is untouched")
        checks.equal(change(2), DONE, "2 detaches")
        self.gone("older", relation)
        for kind in (2, 3, 5):
            checks.refuses(NOT_SUPPORTED, f"copies of type {kind}", connection.InvokeMethod,
                           "CreateReplica", self.array.configuration, CopyType=U16(kind),
                           SourceElement=self.source)

    # --- order ----------------------------------------------------------------------------------

    def clean(self):
        """What was made goes: snapshots before their sources."""
        for path in reversed(self.made):
            code, outputs = invoke(self.connection, "ReturnToStoragePool",
                                   self.array.configuration, TheElement=path)
            self.checks.equal(code, DONE, f"{path['DeviceID']} is returned")
        for goal in self.goals:
            self.connection.DeleteInstance(goal)
        code, outputs = self.connection.InvokeMethod(
            "DeleteStoragePool", self.array.configuration, Pool=self.thin_pool)
        if outputs.get("Job"):
            finished_job(self.connection, outputs["Job"])

    def look(self):
        """All that a refusal must leave alone."""
        return everything(self.connection, ["interop", self.array.namespace])

    def unchanged(self, text, before):
        """A check that nothing has changed."""
        changed = differences(before, self.look())
        self.checks.that(not changed, f"{text} changes nothing", "; ".join(changed[:5]))

    def run(self):
        """All of it, in order."""
        before = self.look()
        for part in (self.supported, self.make_thin_pool, self.thick, self.thin, self.several,
                     self.relationships, self.settings, self.groups, self.room, self.refusals,
                     self.masked, self.work, self.older, self.copies, self.full, self.clean):
            self.checks.step(part)
        left = differences(before, self.look())
        self.checks.that(not left, "the server is as it was found", "; ".join(left[:5]))


def main():
    chosen = options(__doc__)
    checks = Checks("replication", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        connection = connect(chosen, url)
        Replication(checks, connection).run()
        checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
