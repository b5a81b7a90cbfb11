//! An array with snapshots and clones, and the commands on them that are killed.

use standpipe::array::{Command, Copying, PoolId, Quality, VolumeId};
use standpipe::engine::sim::EXTENT;

use super::kills::Entry;
use super::rig::{Rig, creation, machine};

/// Pool `vg0` with `first` and its snapshot `first then`, `second`, and `shown`, which a host sees;
/// pool `ours` with `first again`, a clone of `first`, and thin pool `thin` with `sparse`, its
/// snapshot `sparse then` and its clone `sparse again`. All of them hold something, and what the
/// replicas were made of has changed since.
pub fn replicated() -> Rig {
    let rig = Rig::on(machine().spare_disks(6, 41 * EXTENT));
    rig.show_one();
    rig.create("first", 3);
    rig.create("second", 2);
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
    for (name, extents, byte) in [
        ("shown", 0..2, 0x10),
        ("first", 0..3, 0x11),
        ("second", 0..2, 0x12),
        ("sparse", 0..3, 0x13),
    ] {
        write(&rig, name, extents, byte);
    }
    let rig = rig.restart(false);
    rig.done(snapshot(&rig, &[("first", "first then")]));
    rig.done(snapshot(&rig, &[("sparse", "sparse then")]));
    let ours = rig.pool_named("ours");
    rig.done(clone(&rig, &[("first", "first again")], Some(ours)));
    rig.done(clone(&rig, &[("sparse", "sparse again")], None));
    for (name, extents, byte) in [
        ("first", 1..2, 0x21),
        ("first again", 0..1, 0x22),
        ("sparse", 0..1, 0x23),
        ("sparse again", 1..5, 0x24),
    ] {
        write(&rig, name, extents, byte);
    }
    // A start looks at everything.
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

/// A clone of `first` with two copies of everything.
fn mirrored(rig: &Rig) -> Command {
    Command::CreateReplicas {
        kind: Copying::Clone,
        sources: vec![volume(rig, "first")],
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

/// The commands that make and end what hangs together.
pub const ENTRIES: &[Entry] = &[
    ("take a snapshot", replicated, |rig| {
        snapshot(rig, &[("shown", "new")])
    }),
    ("take a thin snapshot", replicated, |rig| {
        snapshot(rig, &[("sparse", "new")])
    }),
    ("take snapshots", replicated, |rig| {
        snapshot(
            rig,
            &[("first", "one"), ("second", "two"), ("shown", "three")],
        )
    }),
    ("clone a shown volume", replicated, |rig| {
        clone(rig, &[("shown", "new")], None)
    }),
    ("clone into a thin pool", replicated, |rig| {
        clone(rig, &[("second", "new")], Some(rig.pool_named("thin")))
    }),
    ("clone with redundancy", replicated, mirrored),
    ("clone a thin volume onto disks", replicated, |rig| {
        clone(rig, &[("sparse", "new")], Some(rig.pool()))
    }),
    ("clone a snapshot", replicated, |rig| {
        clone(rig, &[("first then", "new")], None)
    }),
    ("clone several", replicated, |rig| {
        clone(rig, &[("first", "one"), ("second", "two")], None)
    }),
    ("detach a clone", replicated, |rig| {
        detach(rig, &["first again"])
    }),
    ("detach two", replicated, |rig| {
        detach(rig, &["sparse again", "sparse then"])
    }),
    ("delete a snapshot", replicated, |rig| {
        delete(rig, &["first then"])
    }),
    ("delete a source with its snapshot", replicated, |rig| {
        delete(rig, &["first", "first then"])
    }),
    ("delete a thin source", replicated, |rig| {
        delete(rig, &["sparse"])
    }),
];

/// The commands that overwrite.
pub const OVERWRITING: &[Entry] = &[
    ("restore from a snapshot", replicated, |rig| {
        restore(rig, "first then")
    }),
    ("restore from a clone", replicated, |rig| {
        restore(rig, "first again")
    }),
    ("restore a thin volume", replicated, |rig| {
        restore(rig, "sparse then")
    }),
    ("resynchronise a clone", replicated, |rig| {
        resync(rig, "first again")
    }),
    ("resynchronise a thin clone", replicated, |rig| {
        resync(rig, "sparse again")
    }),
];
