"""Groups of volumes that are replicated together: the part of `replication.py` about them."""

from harness import (
    ALREADY_EXISTS, DONE, FAILED, INVALID_PARAMETER, NOT_FOUND, NOT_SUPPORTED, contains, invoke,
    same,
)
from refusals import altered
from terms import (
    ASYNCHRONOUS, CLONE, DETACH, RESTORE, RETURN, SNAPSHOT, SYNCHRONIZED, U16, U64,
)


class Groups:
    """What a run does with groups; `replication.Replication` is one with all that it needs."""

    def group_call(self, method, **parameters):
        """A method of groups that must succeed; its outputs."""
        code, outputs = self.connection.InvokeMethod(method, self.service, **parameters)
        self.checks.equal(code, DONE, f"{method} is done")
        return outputs

    def members(self, group):
        """The members of a group, in their order."""
        found = self.connection.References(
            group, ResultClass="CIM_OrderedMemberOfCollection", Role="Collection")
        found.sort(key=lambda item: item["AssignedSequence"])
        return [item["Member"] for item in found]

    def have(self, text, group, *volumes):
        """A check of the members of a group."""
        members = self.members(group)
        self.checks.that(len(members) == len(volumes)
                         and all(same(*pair) for pair in zip(members, volumes, strict=True)),
                         text, str(members))

    def groups(self):
        """Groups: made, changed, replicated as a whole, and gone."""
        checks, connection = self.checks, self.connection
        one, two, three = (self.volume(name) for name in ("g1", "g2", "g3"))
        group = self.group_call("CreateGroup", GroupName=self.name("group"),
                                Members=[two, one])["ReplicationGroup"]
        said = connection.GetInstance(group)
        checks.equal((said["ElementName"], said["Persistent"], said["DeleteOnEmptyElement"],
                      said["ConsistentPointInTime"]), (self.name("group"), True, False, True),
                     "a group says what it is")
        self.have("its members are in their order", group, two, one)
        for association, result, owner in (
            ("CIM_HostedCollection", "CIM_ComputerSystem", self.array.system),
            ("CIM_ServiceAffectsElement", "CIM_ReplicationService", self.service),
        ):
            found = connection.AssociatorNames(
                group, AssocClass=association, ResultClass=result)
            checks.that(len(found) == 1 and same(found[0], owner), f"{association} leads up")
        self.group_call("AddMembers", ReplicationGroup=group, Members=[three])
        self.have("one is added behind them", group, two, one, three)
        self.group_call("RemoveMembers", ReplicationGroup=group, Members=[two])
        self.have("one is taken out", group, one, three)
        self.wrong_groups(group, one, two)
        for sync_type, name in ((SNAPSHOT, "gs"), (CLONE, "gc")):
            self.group_replica(group, (one, three), sync_type, name)
        self.group_call("DeleteGroup", ReplicationGroup=group)
        checks.refuses(NOT_FOUND, "a deleted group is gone", connection.GetInstance, group)
        checks.that(connection.GetInstance(one), "its members stay")
        group = self.group_call("CreateGroup", Members=[one],
                                DeleteOnEmptyElement=True)["ReplicationGroup"]
        self.group_call("RemoveMembers", ReplicationGroup=group, Members=[one])
        checks.refuses(NOT_FOUND, "a group that shall goes with its last member",
                       connection.GetInstance, group)

    def group_replica(self, group, sources, sync_type, name):
        """A replica of a group, and what is done with it."""
        checks, connection = self.checks, self.connection
        code, outputs = invoke(
            connection, "CreateGroupReplica", self.service, RelationshipName=self.name(name),
            SyncType=U16(sync_type), SourceGroup=group, Consistency=U16(3),
            WaitForCopyState=U16(SYNCHRONIZED))
        checks.equal(code, DONE, f"group {name} is made")
        affected = connection.AssociatorNames(outputs["Job"], AssocClass="CIM_AffectedJobElement")
        target = outputs.get("TargetGroup") or affected[0]
        checks.that(len(affected) == 1 and same(affected[0], target), "its job made this group")
        replicas = self.members(target)
        self.made += replicas
        checks.equal(len(replicas), len(sources), "with a replica of each member")
        moments = set()
        for source, replica in zip(sources, replicas, strict=True):
            instance = self.related(f"member of {name}", source, replica, sync_type)
            moments.add(str(instance["WhenSynced"]))
        checks.equal(len(moments), 1, "they show one moment")
        relation, = connection.References(
            target, ResultClass="CIM_GroupSynchronized", Role="SyncedElement")
        expected = {"RelationshipName": self.name(name), "SyncType": sync_type,
                    "Mode": ASYNCHRONOUS, "CopyState": SYNCHRONIZED, "ProgressStatus": 2,
                    "ConsistencyEnabled": True, "ConsistencyType": 2, "ConsistencyState": 3}
        checks.equal({key: relation[key] for key in expected}, expected, "the groups' relation")
        checks.that(same(relation["SystemElement"], group), "leads to its source")
        there = connection.AssociatorNames(
            group, AssocClass="CIM_GroupSynchronized", Role="SystemElement")
        checks.that(contains(there, target), "and from there")
        for kind, found in ((3, True), (2, False)):
            _, outputs = connection.InvokeMethod(
                "GetReplicationRelationships", self.service, Type=U16(kind))
            checks.equal(contains(outputs["Synchronizations"] or [], relation.path), found,
                         f"relations of type {kind}")
        checks.refuses(NOT_SUPPORTED, "a group is not restored at once", self.modify,
                       relation.path, RESTORE)
        if sync_type == CLONE:
            checks.equal(self.operations(relation.path), [DETACH], "what can be done")
            checks.equal(self.modify(relation.path, DETACH), DONE, "all are detached")
        else:
            checks.equal(self.operations(relation.path), [], "what can be done")
            checks.refuses(NOT_SUPPORTED, "snapshots that need their sources are not detached",
                           self.modify, relation.path, DETACH)
        checks.refuses((FAILED, NOT_FOUND), "members of a group are not returned", self.modify,
                       relation.path, RETURN)
        self.group_call("DeleteGroup", ReplicationGroup=target)
        self.gone(name, relation.path)
        if sync_type == SNAPSHOT:
            code, _ = invoke(
                connection, "ModifyListSynchronization", self.service, Operation=U16(RETURN),
                Synchronization=[self.relation(replica) for replica in replicas])
            checks.equal(code, DONE, "without the group they are")
            del self.made[-len(replicas):]

    def wrong_groups(self, group, inside, outside):
        """What is refused of groups, with nothing changed."""
        checks = self.checks
        before = self.look()
        gone = altered(group, InstanceID="Standpipe:ReplicationGroup:none")
        replica = {"SyncType": U16(CLONE), "SourceGroup": group}
        for codes, text, method, parameters in (
            (ALREADY_EXISTS, "a name that is taken", "CreateGroup",
             {"GroupName": self.name("group")}),
            (ALREADY_EXISTS, "a member twice", "CreateGroup", {"Members": [inside, inside]}),
            (INVALID_PARAMETER, "a pool as a member", "CreateGroup", {"Members": [self.group]}),
            (NOT_SUPPORTED, "a passing group", "CreateGroup", {"Persistent": False}),
            (NOT_SUPPORTED, "a group of sources only", "CreateGroup", {"ReservedAs": U16(2)}),
            (ALREADY_EXISTS, "what is a member", "AddMembers",
             {"ReplicationGroup": group, "Members": [inside]}),
            (INVALID_PARAMETER, "no members", "AddMembers", {"ReplicationGroup": group}),
            (NOT_FOUND, "what is no member", "RemoveMembers",
             {"ReplicationGroup": group, "Members": [outside]}),
            (NOT_FOUND, "a group that is not there", "DeleteGroup", {"ReplicationGroup": gone}),
            (INVALID_PARAMETER, "no group", "CreateGroupReplica", {"SyncType": U16(CLONE)}),
            (NOT_SUPPORTED, "a mirror of a group", "CreateGroupReplica",
             {**replica, "SyncType": U16(6)}),
            (NOT_SUPPORTED, "a target group", "CreateGroupReplica",
             {**replica, "TargetGroup": group}),
            (NOT_SUPPORTED, "an element beside the group", "CreateGroupReplica",
             {**replica, "SourceElement": inside}),
            (NOT_SUPPORTED, "several targets", "CreateGroupReplica",
             {**replica, "TargetElementCount": U64(2)}),
        ):
            checks.refuses(codes, f"{text} is refused", self.connection.InvokeMethod, method,
                           self.service, **parameters)
        self.unchanged("what is refused of groups", before)
