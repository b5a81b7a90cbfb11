//! Snapshots and clones as clients and administrators have them: what goes on beside a copy, what is
//! refused, and what becomes of a copy that fails.

use std::sync::Arc;

use standpipe::array::{
    Array, Command, Copying, Effect, GroupKind, Health, JobState, Kind, Members, ReplicaKind, Step,
    VolumeId, Waited,
};
use standpipe::engine::sim::{Content, EXTENT, Moment, SimEngine};

use super::gate::{self, Gate, begin, done, refused, running, wait_for};
use super::replicated::{
    clone, delete, detach, group, new_group, replicate, replicated, restore, resync, snapshot,
    volume, write,
};
use super::rig::{Rig, creation, host};

/// What each extent of a volume holds: a byte, where a host wrote it.
fn bytes(rig: &Rig, name: &str) -> Vec<u8> {
    contents(&rig.sim, &volume(rig, name))
}

fn contents(sim: &SimEngine, id: &VolumeId) -> Vec<u8> {
    let held = sim.extents(id).expect("it can be read");
    let byte = |content: Content| match content {
        Content::Zeros => 0,
        Content::Written(byte) => byte,
        Content::Fresh | Content::Old => panic!("nobody wrote it"),
    };
    held.into_iter().map(byte).collect()
}

fn source(rig: &Rig, name: &str) -> Option<String> {
    let now = rig.now();
    let volume = now.volume(&volume(rig, name)).expect("it is listed");
    let (source, _) = now.source_of(volume)?;
    Some(source.name.clone())
}

#[test]
fn replicas_hold_the_content_of_their_moment() {
    let rig = replicated();
    rig.assert_whole("prepared");
    assert_eq!(bytes(&rig, "first"), [0x11, 0x21, 0x11]);
    assert_eq!(bytes(&rig, "first then"), [0x11; 3]);
    assert_eq!(bytes(&rig, "first again"), [0x22, 0x11, 0x11]);
    assert_eq!(bytes(&rig, "sparse"), [0x23, 0x13, 0x13, 0, 0]);
    assert_eq!(bytes(&rig, "sparse then"), [0x13, 0x13, 0x13, 0, 0]);
    assert_eq!(bytes(&rig, "sparse again"), [0x13, 0x24, 0x24, 0x24, 0x24]);
    let now = rig.now();
    for (name, of) in [
        ("first then", "first"),
        ("first again", "first"),
        ("sparse then", "sparse"),
        ("sparse again", "sparse"),
    ] {
        assert_eq!(source(&rig, name).as_deref(), Some(of));
        let replica = now.volume(&volume(&rig, name)).expect("it is listed");
        let moment = replica.replica.as_ref().expect("it is one").taken;
        assert!(moment.is_some_and(|moment| moment <= replica.created.expect("it is told") + 1));
    }
    let of = |name: &str| {
        let source = volume(&rig, name);
        let replicas = now.replicas_of(&source);
        replicas.map(|v| v.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("first").len(), 2);
    assert_eq!(of("sparse").len(), 2);
    assert!(of("second").is_empty());
}

#[test]
fn a_restore_brings_back_the_moment_and_the_replica_stays() {
    let rig = replicated();
    for (name, replica, wanted) in [
        ("first", "first then", vec![0x11; 3]),
        ("first", "first again", vec![0x22, 0x11, 0x11]),
        ("sparse", "sparse then", vec![0x13, 0x13, 0x13, 0, 0]),
    ] {
        let effect = rig.done(restore(&rig, replica));
        assert_eq!(effect, Effect::Volumes(vec![volume(&rig, name)]));
        assert_eq!(bytes(&rig, name), wanted, "{replica}");
        assert_eq!(bytes(&rig, replica), wanted, "{replica}");
        assert_eq!(source(&rig, replica).as_deref(), Some(name));
        rig.assert_whole(replica);
    }
    // The snapshot kept what was there before the second one.
    assert_eq!(bytes(&rig, "first then"), [0x11; 3]);
}

#[test]
fn a_resynchronised_clone_has_the_present_content() {
    let rig = replicated();
    let moment = |name: &str| {
        let now = rig.now();
        let volume = now.volume(&volume(&rig, name)).expect("it is listed");
        volume.replica.as_ref().expect("it is one").taken
    };
    for (name, clone, wanted) in [
        ("first", "first again", vec![0x11, 0x21, 0x11]),
        ("sparse", "sparse again", vec![0x23, 0x13, 0x13, 0, 0]),
    ] {
        let before = moment(clone);
        rig.done(resync(&rig, clone));
        assert_eq!(bytes(&rig, clone), wanted);
        assert_eq!(bytes(&rig, name), wanted);
        assert!(moment(clone) >= before);
        rig.assert_whole(clone);
    }
    let (error, _) = rig.fails(resync(&rig, "first then"));
    assert_eq!(error.kind, Kind::NotSupported);
}

#[test]
fn what_hangs_together_is_refused_with_a_reason() {
    let rig = replicated();
    let resize = |name: &str, extents: u64| Command::ResizeVolume {
        volume: volume(&rig, name),
        size: extents * EXTENT,
        name: None,
    };
    rig.group("held back", Members::Volumes(vec![volume(&rig, "second")]));
    rig.done(snapshot(&rig, &[("second", "second then")]));
    rig.done(snapshot(&rig, &[("shown", "shown then")]));
    let table = [
        (
            delete(&rig, &["first"]),
            Kind::HasDependents,
            "'first then'",
        ),
        (delete(&rig, &["shown"]), Kind::InUse, "unmask"),
        (resize("first", 5), Kind::HasDependents, "'first then'"),
        (resize("first then", 5), Kind::NotSupported, "clone it"),
        (
            detach(&rig, &["first then"]),
            Kind::NotSupported,
            "clone it",
        ),
        (
            detach(&rig, &["second"]),
            Kind::InvalidArgument,
            "no replica",
        ),
        (restore(&rig, "first"), Kind::InvalidArgument, "no replica"),
        (restore(&rig, "shown then"), Kind::InUse, "unmask"),
        (restore(&rig, "second then"), Kind::InUse, "'held back'"),
        (
            snapshot(&rig, &[("first then", "x")]),
            Kind::NotSupported,
            "ask for a clone",
        ),
    ];
    for (command, kind, sentence) in table {
        let (error, job) = rig.fails(command.clone());
        assert_eq!((error.kind, job), (kind, None), "{command:?}: {error}");
        assert!(error.message.contains(sentence), "{command:?}: {error}");
    }
    // A thin volume goes, and grows, whatever was made of it.
    rig.done(resize("sparse", 7));
    let (error, _) = rig.fails(restore(&rig, "sparse then"));
    assert_eq!(error.kind, Kind::NotSupported, "{error}");
    rig.done(delete(&rig, &["sparse"]));
    assert_eq!(source(&rig, "sparse then"), None);
    assert_eq!(source(&rig, "sparse again"), None);
    rig.done(delete(&rig, &["first", "first then"]));
    assert_eq!(source(&rig, "first again"), None);
    rig.assert_whole("in the end");
}

#[test]
fn a_replica_is_shown_as_any_volume_unless_it_is_lost() {
    let rig = replicated();
    rig.done(Command::CreateReplicas {
        kind: Copying::Snapshot,
        sources: vec![volume(&rig, "second")],
        names: vec!["small".into()],
        pool: Some(rig.pool()),
        quality: None,
        room: Some(10),
    });
    let replicas = ["first then", "sparse again", "small"].map(|name| volume(&rig, name));
    let hosts = rig.hosts("other hosts", &["b"]);
    let devices = rig.group("replicas", Members::Volumes(replicas.to_vec()));
    let now = rig.now();
    let ports = now.group_named(GroupKind::Ports, "ports");
    let ports = ports.expect("it was made").id;
    rig.view("second view", &[hosts, ports, devices]);
    assert_eq!(rig.luns("b").len(), 3);
    write(&rig, "second", 0..1, 0x33);
    let rig = rig.restart(false);
    let small = volume(&rig, "small");
    let now = rig.now();
    let lost = now.volume(&small).expect("it is listed");
    assert!(lost.is_broken());
    assert!(matches!(lost.health, Health::Failed(_)));
    assert!(rig.sim.read_as(&host("b"), &rig.port(), 3).is_none());
    let shown = [snapshot, |rig: &Rig, of: &[(&str, &str)]| {
        clone(rig, of, None)
    }];
    for make in shown {
        let (error, _) = rig.fails(make(&rig, &[("small", "x")]));
        assert!(error.message.contains("lost its content"), "{error}");
    }
    rig.done(Command::RemoveMembers {
        group: devices,
        members: Members::Volumes(vec![small.clone()]),
        delete_on_empty: None,
    });
    let (error, _) = rig.fails(Command::AddMembers {
        group: devices,
        members: Members::Volumes(vec![small]),
        luns: Vec::new(),
    });
    assert!(error.message.contains("lost its content"), "{error}");
    rig.done(delete(&rig, &["small"]));
    rig.assert_whole("in the end");
}

#[test]
fn a_copy_that_fails_is_told_and_can_be_done_again() {
    for moment in [Moment::Before, Moment::Midway] {
        let rig = replicated();
        // Both marks come before the copy.
        rig.sim.fail_step(3, Kind::Unavailable, moment);
        let (error, job) = rig.fails(restore(&rig, "first then"));
        assert_eq!(error.kind, Kind::Unavailable);
        let now = rig.now();
        let job = now.job(&job.expect("it began")).expect("it is listed");
        assert_eq!(job.state, JobState::Failed);
        rig.assert_whole("after the failure");
        let first = now.volume(&volume(&rig, "first")).expect("it is listed");
        assert_eq!(first.torn.is_some(), moment == Moment::Midway);
        if first.torn.is_some() {
            let Health::Failed(why) = &first.health else {
                panic!("it is torn: {:?}", first.health);
            };
            assert!(why.contains("restore"), "{why}");
            for command in [
                snapshot(&rig, &[("first", "x")]),
                clone(&rig, &[("first", "x")], None),
                Command::CreateGroup {
                    name: None,
                    members: Members::Volumes(vec![volume(&rig, "first")]),
                    delete_on_empty: false,
                    delete_when_unassociated: false,
                },
            ] {
                let (error, _) = rig.fails(command);
                assert!(error.message.contains("restore"), "{error}");
            }
        }
        rig.done(restore(&rig, "first then"));
        assert_eq!(bytes(&rig, "first"), [0x11; 3]);
        rig.assert_whole("after the next one");
    }
}

#[test]
fn a_copy_that_ended_is_believed_although_what_followed_failed() {
    let rig = replicated();
    // The last mark comes off, and nobody is told so.
    rig.sim.fail_step(5, Kind::Unavailable, Moment::After);
    rig.done(restore(&rig, "first then"));
    assert_eq!(bytes(&rig, "first"), [0x11; 3]);
    rig.assert_whole("done");
    // The first mark cannot be set: nothing was copied, and nobody says so.
    write(&rig, "first", 0..3, 0x44);
    rig.sim.fail_step(1, Kind::Unavailable, Moment::Before);
    rig.fails(restore(&rig, "first then"));
    assert_eq!(bytes(&rig, "first"), [0x44; 3]);
    rig.assert_whole("refused");
}

#[test]
fn a_group_is_replicated_as_one() {
    let rig = replicated();
    rig.done(new_group(&rig, "both", &["second", "first"]));
    let Effect::ReplicationGroup(copies) =
        rig.done(replicate(&rig, Copying::Clone, "both", "copies"))
    else {
        panic!("a group was made");
    };
    let rig = rig.restart(false);
    let now = rig.now();
    let copies = now.replication_group(&copies).expect("it is kept");
    assert_eq!(copies.name, "copies");
    let named = now.replication_members(copies).map(|v| v.name.clone());
    assert_eq!(named.collect::<Vec<_>>(), ["copies-1", "copies-2"]);
    let source = now.group_source_of(copies).expect("it has one");
    assert_eq!(source.id, group(&rig, "both"));
    let replicas: Vec<_> = now.group_replicas_of(&source.id).collect();
    assert_eq!(replicas, [copies]);
    let held: Vec<_> = now
        .replication_members(copies)
        .map(|member| contents(&rig.sim, &member.id))
        .collect();
    assert_eq!(held, [bytes(&rig, "second"), bytes(&rig, "first")]);
    let moments: std::collections::BTreeSet<_> = now
        .replication_members(copies)
        .map(|member| member.replica.as_ref().expect("it is one").taken)
        .collect();
    assert_eq!(moments.len(), 1, "all are of one moment");

    // Members are not deleted, and a replica that goes its own way ends the relation.
    let (error, _) = rig.fails(delete(&rig, &["second"]));
    assert!(error.message.contains("'both'"), "{error}");
    rig.done(Command::Detach {
        replicas: vec![copies.members[0].clone()],
    });
    let now = rig.now();
    let copies = now.replication_group(&copies.id).expect("it is kept");
    assert_eq!(now.group_source_of(copies), None);
    // Volumes that are gone are no members any more.
    let copies = copies.clone();
    rig.sim
        .lvremove(&copies.members[1])
        .expect("nobody uses it");
    let rig = rig.restart(false);
    let now = rig.now();
    let copies = now.replication_group(&copies.id).expect("it is kept");
    assert_eq!(now.replication_members(copies).count(), 1);
}

#[test]
fn wishes_about_groups_that_are_refused() {
    let rig = replicated();
    rig.done(new_group(&rig, "both", &["first", "second"]));
    rig.done(new_group(&rig, "none", &[]));
    rig.done(new_group(&rig, "wide", &["first", "sparse"]));
    let members = |names: &[&str]| names.iter().map(|name| volume(&rig, name)).collect();
    let table = [
        (
            new_group(&rig, "both", &[]),
            Kind::AlreadyExists,
            "another name",
        ),
        (new_group(&rig, "", &[]), Kind::InvalidArgument, "empty"),
        (
            new_group(&rig, "new", &["first", "first"]),
            Kind::AlreadyExists,
            "name it once",
        ),
        (
            Command::AddReplicationMembers {
                group: group(&rig, "both"),
                members: members(&["first"]),
            },
            Kind::AlreadyExists,
            "a member of",
        ),
        (
            Command::RemoveReplicationMembers {
                group: group(&rig, "both"),
                members: members(&["sparse"]),
                delete_on_empty: None,
            },
            Kind::NotFound,
            "no member",
        ),
        (
            replicate(&rig, Copying::Clone, "none", "new"),
            Kind::InvalidArgument,
            "no members",
        ),
        (
            replicate(&rig, Copying::Clone, "wide", "new"),
            Kind::NotSupported,
            "moment in common",
        ),
        (
            replicate(&rig, Copying::Clone, "both", "none"),
            Kind::AlreadyExists,
            "another name",
        ),
    ];
    for (command, kind, sentence) in table {
        let (error, job) = rig.fails(command.clone());
        assert_eq!((error.kind, job), (kind, None), "{command:?}: {error}");
        assert!(error.message.contains(sentence), "{command:?}: {error}");
    }
    // It goes with its last member.
    rig.done(Command::RemoveReplicationMembers {
        group: group(&rig, "both"),
        members: members(&["first", "second"]),
        delete_on_empty: None,
    });
    assert_eq!(rig.now().replication_groups().count(), 2);
}

fn is_copy(step: &Step) -> bool {
    matches!(step, Step::Copy { .. })
}

/// The array of [`replicated`] with a gate before every copy.
fn gated() -> (Rig, Array, Arc<Gate>) {
    let rig = replicated();
    rig.mortal.die();
    let (array, gate) = gate::gated(&rig.sim, &rig.medium.image(), is_copy);
    (rig, array, gate)
}

#[test]
fn everything_else_goes_on_beside_a_copy() {
    let (rig, array, gate) = gated();
    let ticket = begin(&array, clone(&rig, &[("first", "new")], None));
    gate.reached(1);
    // Other volumes of the group, masking of anything, and the source itself.
    done(&array, creation(rig.pool(), "other", 2));
    done(
        &array,
        Command::RenameVolume {
            volume: volume(&rig, "second"),
            name: "renamed".into(),
        },
    );
    let free = Members::Volumes(vec![volume(&rig, "first"), volume(&rig, "second")]);
    done(
        &array,
        Command::AddMembers {
            group: {
                let now = array.snapshot();
                let kind = GroupKind::Volumes;
                now.group_named(kind, "devices").expect("it was made").id
            },
            members: free,
            luns: Vec::new(),
        },
    );
    assert_eq!(rig.luns("a").len(), 3);
    write(&rig, "first", 0..3, 0x55);
    done(&array, snapshot(&rig, &[("first", "first now")]));
    refused(&array, creation(rig.pool(), "new", 2), Kind::InUse);
    gate.open();
    assert!(matches!(ticket.join(), Waited::Done(..)));
    let now = array.snapshot();
    let new = now.volumes_named("new").next().expect("it was made");
    // The moment was before the write.
    assert_eq!(contents(&rig.sim, &new.id), [0x11, 0x21, 0x11]);
}

#[test]
fn what_a_copy_needs_is_left_alone() {
    let (rig, array, gate) = gated();
    let restoring = begin(&array, restore(&rig, "first then"));
    gate.reached(1);
    for name in ["first", "first then"] {
        refused(&array, delete(&rig, &[name]), Kind::InUse);
    }
    let group = Command::CreateGroup {
        name: None,
        members: Members::Volumes(vec![volume(&rig, "first")]),
        delete_on_empty: false,
        delete_when_unassociated: false,
    };
    refused(&array, group, Kind::InUse);
    let error = array.cancel(running(&array)).expect_err("it overwrites");
    assert_eq!(error.kind, Kind::NotSupported);
    assert!(error.message.contains("midway"), "{error}");
    gate.open();
    assert!(matches!(restoring.join(), Waited::Done(..)));
    assert_eq!(bytes(&rig, "first"), [0x11; 3]);
}

#[test]
fn a_clone_that_is_cancelled_leaves_nothing() {
    let (rig, array, gate) = gated();
    let before = rig.sim.lvs(&rig.pool());
    let ticket = begin(&array, clone(&rig, &[("first", "new")], None));
    gate.reached(1);
    array.cancel(running(&array)).expect("it may be stopped");
    gate.open();
    assert!(matches!(ticket.join(), Waited::Failed(_, Some(_))));
    assert_eq!(rig.sim.lvs(&rig.pool()), before);
    let now = array.snapshot();
    let state = |job: &standpipe::array::Job| job.state == JobState::Cancelled;
    assert!(now.jobs().any(|job| state(job)));
}

#[test]
fn copies_at_once_do_not_count_the_same_room_twice() {
    let (rig, array, gate) = gated();
    // The thin pool has 24 extents; `sparse` and what was made of it have ten of them.
    let thin = rig.pool_named("thin");
    let free = rig.now().pool(&thin).expect("it is listed").free / EXTENT;
    done(&array, creation(rig.pool(), "large", free - 1));
    let large = |name: &str| {
        let now = array.snapshot();
        let large = now.volumes_named("large").next().expect("it was made");
        Command::CreateReplicas {
            kind: Copying::Clone,
            sources: vec![large.id.clone()],
            names: vec![name.into()],
            pool: Some(thin.clone()),
            quality: None,
            room: None,
        }
    };
    let first = begin(&array, large("one"));
    gate.reached(1);
    let error = refused(&array, large("two"), Kind::NoSpace);
    assert!(error.message.contains("grow it"), "{error}");
    gate.open();
    assert!(matches!(first.join(), Waited::Done(..)));
    // It holds zeros and took nothing, so there is room for the second now.
    done(&array, large("two"));
}

#[test]
fn a_start_does_not_wait_for_a_copy_that_goes_on() {
    let rig = replicated();
    rig.mortal.die();
    let medium = rig.medium.image();
    let (first, before) = gate::gated(&rig.sim, &medium, is_copy);
    begin(&first, restore(&rig, "first then"));
    before.reached(1);
    // The gateway dies in the middle of the copy.
    let image = medium.image();
    let (second, gate) = gate::gated(&rig.sim, &image, is_copy);
    gate.reached(1);
    // The array is in use while it goes on.
    let job = running(&second);
    assert_eq!(second.cancel(job).expect_err("no").kind, Kind::NotSupported);
    done(&second, creation(rig.pool(), "other", 1));
    refused(&second, delete(&rig, &["first"]), Kind::InUse);
    gate.open();
    wait_for(&second, job);
    let now = second.snapshot();
    let job = now.job(&job).expect("it is listed");
    assert_eq!(job.state, JobState::Completed);
    assert!(
        job.note
            .as_ref()
            .is_some_and(|note| note.contains("finished"))
    );
    assert_eq!(bytes(&rig, "first"), [0x11; 3]);
}

#[test]
fn a_snapshot_is_no_larger_than_what_can_change() {
    let rig = replicated();
    let now = rig.now();
    let taken = now.volume(&volume(&rig, "first then")).expect("listed");
    let Some(ReplicaKind::Delta { room, .. }) = taken.replica.as_ref().map(|r| r.kind.clone())
    else {
        panic!("it is a snapshot");
    };
    assert_eq!(room, 4 * EXTENT, "three extents, and the tables");
    write(&rig, "first", 0..3, 0x66);
    write(&rig, "first then", 0..3, 0x67);
    assert_eq!(bytes(&rig, "first then"), [0x67; 3], "it never lacks room");
}
