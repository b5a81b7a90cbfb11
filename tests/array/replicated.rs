//! An array with snapshots and clones, and the commands on them that are killed.

use standpipe::array::{Command, Copying, PoolId, Quality, ReplicationGroupId, VolumeId};
use standpipe::engine::sim::EXTENT;

use super::kills::Entry;
use super::rig::{Rig, creation, machine};

/// Pool `vg0` with `first`, its snapshot `first then` and its clone `first again`, `second`, and
/// `shown`, which a host sees. All of them hold something, and `first` has changed since.
pub fn thick() -> Rig {
    let rig = Rig::on(machine().spare_disks(6, 41 * EXTENT));
    rig.show_one();
    rig.create("first", 3);
    rig.create("second", 2);
    write(&rig, "shown", 0..2, 0x10);
    write(&rig, "first", 0..3, 0x11);
    write(&rig, "second", 0..2, 0x12);
    rig.done(snapshot(&rig, &[("first", "first then")]));
    rig.done(clone(&rig, &[("first", "first again")], None));
    write(&rig, "first", 1..2, 0x21);
    write(&rig, "first again", 0..1, 0x22);
    // A start looks at everything.
    rig.restart(false)
}

/// Pool `vg0` with `second`; pool `ours` of four disks, and in it thin pool `thin` with `sparse`, its
/// snapshot `sparse then` and its clone `sparse again`. All of them hold something, and `sparse` has
/// changed since.
pub fn thin() -> Rig {
    let rig = Rig::on(machine().spare_disks(6, 41 * EXTENT));
    rig.create("second", 2);
    write(&rig, "second", 0..2, 0x12);
    thin_part(rig)
}

/// Both.
pub fn replicated() -> Rig {
    thin_part(thick())
}

fn thin_part(rig: Rig) -> Rig {
    rig.done(Command::CreatePool {
        name: Some("ours".into()),
        disks: rig.free_disks()[..4].to_vec(),
    });
    rig.done(Command::CreateThinPool {
        group: rig.pool_named("ours"),
        name: Some("thin".into()),
        size: 24 * EXTENT,
    });
    rig.done(creation(rig.pool_named("thin"), "sparse", 5));
    write(&rig, "sparse", 0..3, 0x13);
    let rig = rig.restart(false);
    rig.done(snapshot(&rig, &[("sparse", "sparse then")]));
    rig.done(clone(&rig, &[("sparse", "sparse again")], None));
    write(&rig, "sparse", 0..1, 0x23);
    write(&rig, "sparse again", 1..5, 0x24);
    rig.restart(false)
}

/// A host fills extents of a volume.
pub fn write(rig: &Rig, name: &str, extents: std::ops::Range<u64>, byte: u8) {
    let range = extents.start * EXTENT..extents.end * EXTENT;
    let written = rig.sim.write(&volume(rig, name), range, byte);
    written.expect("it has room");
}

pub fn volume(rig: &Rig, name: &str) -> VolumeId {
    rig.named(name).expect("it was made")
}

fn making(rig: &Rig, kind: Copying, of: &[(&str, &str)], pool: Option<PoolId>) -> Command {
    Command::CreateReplicas {
        kind,
        sources: of.iter().map(|(source, _)| volume(rig, source)).collect(),
        names: of.iter().map(|(_, name)| (*name).to_owned()).collect(),
        pool,
        quality: None,
        room: None,
    }
}

/// Snapshots: of what, and their names.
pub fn snapshot(rig: &Rig, of: &[(&str, &str)]) -> Command {
    making(rig, Copying::Snapshot, of, None)
}

/// Clones: of what, and their names.
pub fn clone(rig: &Rig, of: &[(&str, &str)], pool: Option<PoolId>) -> Command {
    making(rig, Copying::Clone, of, pool)
}

pub fn detach(rig: &Rig, names: &[&str]) -> Command {
    Command::Detach {
        replicas: names.iter().map(|name| volume(rig, name)).collect(),
    }
}

pub fn restore(rig: &Rig, name: &str) -> Command {
    Command::Restore {
        replica: volume(rig, name),
    }
}

pub fn resync(rig: &Rig, name: &str) -> Command {
    Command::Resync {
        replica: volume(rig, name),
    }
}

pub fn delete(rig: &Rig, names: &[&str]) -> Command {
    Command::DeleteVolumes {
        volumes: names.iter().map(|name| volume(rig, name)).collect(),
    }
}

/// A clone of `second` with two copies of everything.
fn mirrored(rig: &Rig) -> Command {
    Command::CreateReplicas {
        kind: Copying::Clone,
        sources: vec![volume(rig, "second")],
        names: vec!["new".into()],
        pool: Some(rig.pool_named("ours")),
        quality: Some(Quality {
            survives: Some(1),
            copies: Some(2),
            ..Quality::default()
        }),
        room: None,
    }
}

/// Like [`thick`], with replication group `both` of `first` and `second`.
fn grouped() -> Rig {
    let rig = thick();
    rig.done(new_group(&rig, "both", &["first", "second"]));
    rig
}

pub fn new_group(rig: &Rig, name: &str, members: &[&str]) -> Command {
    Command::CreateReplicationGroup {
        name: Some(name.into()),
        members: members.iter().map(|name| volume(rig, name)).collect(),
        delete_on_empty: true,
    }
}

/// The replication group of that name.
pub fn group(rig: &Rig, name: &str) -> ReplicationGroupId {
    let now = rig.now();
    let found = now.replication_groups().find(|group| group.name == name);
    found.expect("it was made").id
}

/// The replica of a group.
pub fn replicate(rig: &Rig, kind: Copying, of: &str, name: &str) -> Command {
    Command::CreateGroupReplica {
        kind,
        group: group(rig, of),
        name: Some(name.into()),
        pool: None,
        quality: None,
        room: None,
    }
}

/// The commands that make and end what hangs together.
pub const ENTRIES: &[Entry] = &[
    ("take a snapshot", thick, |rig| {
        snapshot(rig, &[("shown", "new")])
    }),
    ("take a thin snapshot", thin, |rig| {
        snapshot(rig, &[("sparse", "new")])
    }),
    ("take snapshots", thick, |rig| {
        snapshot(
            rig,
            &[("first", "one"), ("second", "two"), ("shown", "three")],
        )
    }),
    ("clone a shown volume", thick, |rig| {
        clone(rig, &[("shown", "new")], None)
    }),
    ("clone into a thin pool", thin, |rig| {
        clone(rig, &[("second", "new")], Some(rig.pool_named("thin")))
    }),
    ("clone with redundancy", thin, mirrored),
    ("clone a thin volume onto disks", thin, |rig| {
        clone(rig, &[("sparse", "new")], Some(rig.pool()))
    }),
    ("clone a snapshot", thick, |rig| {
        clone(rig, &[("first then", "new")], None)
    }),
    ("clone several", thick, |rig| {
        clone(rig, &[("first", "one"), ("second", "two")], None)
    }),
    ("detach a clone", thick, |rig| detach(rig, &["first again"])),
    ("detach two", thin, |rig| {
        detach(rig, &["sparse again", "sparse then"])
    }),
    ("delete a snapshot", thick, |rig| {
        delete(rig, &["first then"])
    }),
    ("delete a source with its snapshot", thick, |rig| {
        delete(rig, &["first", "first then"])
    }),
    ("make a replication group", thick, |rig| {
        new_group(rig, "new", &["second", "first"])
    }),
    ("add to a replication group", grouped, |rig| {
        Command::AddReplicationMembers {
            group: group(rig, "both"),
            members: vec![volume(rig, "shown")],
        }
    }),
    ("remove from a replication group", grouped, |rig| {
        Command::RemoveReplicationMembers {
            group: group(rig, "both"),
            members: vec![volume(rig, "first")],
            delete_on_empty: None,
        }
    }),
    ("delete a replication group", grouped, |rig| {
        Command::DeleteReplicationGroup {
            group: group(rig, "both"),
        }
    }),
    ("take snapshots of a group", grouped, |rig| {
        replicate(rig, Copying::Snapshot, "both", "new")
    }),
    ("clone a group", grouped, |rig| {
        replicate(rig, Copying::Clone, "both", "new")
    }),
    ("delete a thin source", thin, |rig| delete(rig, &["sparse"])),
];

/// Like [`thin`], with a clone `far` of `second` in the other pool; both have changed since.
fn elsewhere() -> Rig {
    let rig = thin();
    let ours = rig.pool_named("ours");
    rig.done(clone(&rig, &[("second", "far")], Some(ours)));
    write(&rig, "second", 0..1, 0x31);
    write(&rig, "far", 1..2, 0x32);
    rig
}

/// The commands that overwrite.
pub const OVERWRITING: &[Entry] = &[
    ("restore from a snapshot", thick, |rig| {
        restore(rig, "first then")
    }),
    ("restore from a clone", thick, |rig| {
        restore(rig, "first again")
    }),
    ("restore from a clone in another pool", elsewhere, |rig| {
        restore(rig, "far")
    }),
    ("resynchronise a clone in another pool", elsewhere, |rig| {
        resync(rig, "far")
    }),
    ("restore a thin volume", thin, |rig| {
        restore(rig, "sparse then")
    }),
    ("resynchronise a clone", thick, |rig| {
        resync(rig, "first again")
    }),
    ("resynchronise a thin clone", thin, |rig| {
        resync(rig, "sparse again")
    }),
];
