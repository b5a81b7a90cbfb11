//! An array with pools of its own, thin and redundant volumes and spare disks, and the commands on
//! it that are killed.

use standpipe::array::{
    Command, DiskId, Engine, Erasing, Growth, Health, Policy, PoolId, Quality, VolumeId,
};
use standpipe::engine::sim::{EXTENT, SimEngine};

use super::kills::Entry;
use super::replicated::{clone, delete, snapshot, write};
use super::rig::{Medium, Rig, creation, machine, policy};

/// One disk may fail.
const REDUNDANT: Quality = Quality {
    survives: Some(1),
    copies: Some(2),
    stripe_length: None,
    no_single_point_of_failure: false,
};

/// Pool `ours` of four disks with a mirrored volume `twin` and a thin pool `thin` with volume
/// `sparse`; pool `empty` of one disk, and thin pool `unused` in it; two disks are free.
pub fn equipped() -> Rig {
    equipped_to(None)
}

/// The same, where what a volume held is overwritten before it is removed.
/// All of the volumes hold something, `source` has snapshot `source then`, and has changed since.
pub fn erasing() -> Rig {
    let rig = equipped_to(Some(Erasing::Zero));
    rig.done(creation(rig.pool_named("ours"), "source", 2));
    let names = [
        "shown", "first", "second", "twin", "sparse", "single", "source",
    ];
    for (byte, name) in (0x11..).zip(names) {
        write(&rig, name, 0..2, byte);
    }
    rig.done(snapshot(&rig, &[("source", "source then")]));
    write(&rig, "source", 1..2, 0x21);
    // A start looks at everything.
    rig.restart(false)
}

fn equipped_to(erase: Option<Erasing>) -> Rig {
    let sim = machine().spare_disks(8, 41 * EXTENT).build();
    let policy = Policy {
        shrink: true,
        erase,
        ..policy()
    };
    let medium = Medium::default();
    let rig = Rig::start_with(sim.expect("a machine"), medium, policy).expect("it starts");
    rig.show_one();
    rig.create("first", 3);
    rig.create("second", 2);
    let disks = rig.free_disks();
    let pools = [
        ("ours", &disks[..4]),
        ("empty", &disks[4..5]),
        ("bare", &disks[5..6]),
    ];
    for (name, disks) in pools {
        rig.done(Command::CreatePool {
            name: Some(name.into()),
            disks: disks.to_vec(),
        });
    }
    for (group, name) in [("ours", "thin"), ("empty", "unused")] {
        rig.done(thin_pool(&rig, group, name, 8));
    }
    rig.done(redundant(&rig, &["twin"]));
    rig.done(creation(rig.pool_named("thin"), "sparse", 5));
    rig.done(creation(rig.pool_named("ours"), "single", 2));
    rig
}

fn thin_pool(rig: &Rig, group: &str, name: &str, extents: u64) -> Command {
    Command::CreateThinPool {
        group: rig.pool_named(group),
        name: Some(name.into()),
        size: extents * EXTENT,
    }
}

fn redundant(rig: &Rig, names: &[&str]) -> Command {
    Command::CreateVolumes {
        pool: rig.pool_named("ours"),
        names: names.iter().map(|name| (*name).into()).collect(),
        count: names.len(),
        size: 2 * EXTENT,
        quality: REDUNDANT,
    }
}

/// The same without a disk that `twin` lies on.
fn maimed() -> Rig {
    hurt(|sim, disk| sim.pull_disk(disk, true))
}

/// The same with a disk on which a leg of `twin` fails though it is there.
fn spoilt() -> Rig {
    hurt(|sim, disk| sim.spoil_disk(disk, true))
}

/// The same with a disk under `twin` that was away.
fn returned() -> Rig {
    hurt(|sim, disk| sim.pull_disk(disk, true) && sim.pull_disk(disk, false))
}

/// The same without a disk that `twin` lies on, which was away when something was noted down.
fn late() -> Rig {
    hurt(|sim, disk| {
        sim.pull_disk(disk, true) && {
            let mut volumes = sim.scan().expect("a scan").volumes.into_iter();
            let single = volumes.find(|volume| volume.name == "single");
            let single = single.expect("it was made").id;
            sim.lvremove(&single).is_ok() && sim.pull_disk(disk, false)
        }
    })
}

/// The same after that happened to a disk that `twin` lies on.
fn hurt(how: impl Fn(&SimEngine, &DiskId) -> bool) -> Rig {
    let rig = equipped();
    let now = rig.now();
    let twin = now.volume(&volume(&rig, "twin")).expect("it was made");
    assert!(how(&rig.sim, &twin.pieces[0].disk));
    // A start looks at everything.
    let rig = rig.restart(false);
    let now = rig.now();
    let twin = now.volume(&volume(&rig, "twin")).expect("it is there");
    assert!(matches!(twin.health, Health::Degraded(_)));
    drop(now);
    rig
}

pub fn volume(rig: &Rig, name: &str) -> VolumeId {
    rig.named(name).expect("it was made")
}

fn resize(rig: &Rig, name: &str, extents: u64, new: Option<&str>) -> Command {
    Command::ResizeVolume {
        volume: volume(rig, name),
        size: extents * EXTENT,
        name: new.map(Into::into),
    }
}

/// The disks of pool `ours` but for that one.
pub fn others(rig: &Rig, but: &DiskId) -> Vec<DiskId> {
    let now = rig.now();
    let pool = now.pool(&rig.pool_named("ours")).expect("it was made");
    let others = pool.disks.iter().filter(|disk| *disk != but);
    others.cloned().collect()
}

/// So many complete copies.
fn copies(rig: &Rig, name: &str, copies: u16) -> Command {
    Command::ChangeQuality {
        volume: volume(rig, name),
        quality: Quality {
            survives: Some(copies - 1),
            copies: Some(copies),
            ..Quality::default()
        },
    }
}

fn grow(pool: PoolId, by: Growth, name: Option<&str>) -> Command {
    Command::GrowPool {
        pool,
        by,
        name: name.map(Into::into),
    }
}

/// Puts volumes into that pool.
fn relocate(rig: &Rig, names: &[&str], pool: &str, quality: Option<Quality>) -> Command {
    Command::RelocateVolumes {
        volumes: names.iter().map(|name| volume(rig, name)).collect(),
        pool: rig.pool_named(pool),
        quality,
    }
}

/// Volume `second` is a clone of `first`.
fn copied() -> Rig {
    let rig = equipped();
    rig.done(delete(&rig, &["second"]));
    rig.done(clone(&rig, &[("first", "second")], None));
    rig
}

/// Pool `bare` with volumes `one` and `two`; the command that puts it on another disk.
pub fn exchange(rig: &Rig) -> Command {
    let pool = rig.pool_named("bare");
    for (name, extents) in [("one", 2), ("two", 3)] {
        rig.done(creation(pool.clone(), name, extents));
    }
    Command::MovePool {
        pool,
        onto: rig.free_disks()[..1].to_vec(),
    }
}

/// The commands.
pub const ENTRIES: &[Entry] = &[
    ("create a pool", equipped, |rig| Command::CreatePool {
        name: Some("new".into()),
        disks: rig.free_disks(),
    }),
    ("create a thin pool", equipped, |rig| {
        thin_pool(rig, "ours", "new", 6)
    }),
    ("grow and rename a pool", equipped, |rig| {
        let by = Growth::Disks(rig.free_disks());
        grow(rig.pool_named("ours"), by, Some("other"))
    }),
    ("grow a foreign pool", equipped, |rig| {
        grow(rig.pool(), Growth::Disks(rig.free_disks()), None)
    }),
    ("grow and rename a thin pool", equipped, |rig| {
        let by = Growth::To(12 * EXTENT);
        grow(rig.pool_named("thin"), by, Some("other"))
    }),
    ("rename a pool", equipped, |rig| Command::RenamePool {
        pool: rig.pool_named("ours"),
        name: "other".into(),
    }),
    ("delete a pool", equipped, |rig| Command::DeletePool {
        pool: rig.pool_named("bare"),
    }),
    ("delete a thin pool", equipped, |rig| Command::DeletePool {
        pool: rig.pool_named("unused"),
    }),
    ("create several volumes", equipped, |rig| {
        Command::CreateVolumes {
            pool: rig.pool(),
            names: vec!["one".into(), "two".into(), "three".into()],
            count: 3,
            size: 2 * EXTENT,
            quality: Quality::default(),
        }
    }),
    ("create redundant volumes", equipped, |rig| {
        redundant(rig, &["one", "two"])
    }),
    ("create thin volumes", equipped, |rig| {
        Command::CreateVolumes {
            pool: rig.pool_named("thin"),
            names: vec!["one".into(), "two".into()],
            count: 2,
            size: 4 * EXTENT,
            quality: Quality::default(),
        }
    }),
    ("grow a redundant volume", equipped, |rig| {
        resize(rig, "twin", 4, None)
    }),
    ("grow and rename a thin volume", equipped, |rig| {
        resize(rig, "sparse", 9, Some("other"))
    }),
    ("shrink a volume", equipped, |rig| {
        resize(rig, "first", 1, None)
    }),
    ("shrink and rename a redundant volume", equipped, |rig| {
        resize(rig, "twin", 1, Some("other"))
    }),
    ("give a volume a copy", equipped, |rig| {
        copies(rig, "single", 2)
    }),
    ("give a redundant volume a copy", equipped, |rig| {
        copies(rig, "twin", 3)
    }),
    ("take a copy from a volume", equipped, |rig| {
        copies(rig, "twin", 1)
    }),
    ("move a leg of a volume", equipped, |rig| {
        let now = rig.now();
        let twin = now.volume(&volume(rig, "twin")).expect("it was made");
        Command::MoveVolume {
            volume: twin.id.clone(),
            onto: others(rig, &twin.pieces[0].disk),
        }
    }),
    ("move a thin pool", equipped, |rig| {
        let now = rig.now();
        let thin = now.pool(&rig.pool_named("thin")).expect("it was made");
        Command::MovePool {
            pool: thin.id.clone(),
            onto: others(rig, &thin.disks[0]),
        }
    }),
    ("empty a disk", equipped, |rig| {
        let now = rig.now();
        let pool = now.pool(&rig.pool_named("ours")).expect("it was made");
        let is_bare = |disk: &&DiskId| {
            now.volumes_on(disk).next().is_none() && now.thin_pools_on(disk).next().is_none()
        };
        let bare = pool.disks.iter().find(is_bare).expect("a bare disk");
        rig.done(Command::MoveVolume {
            volume: volume(rig, "single"),
            onto: vec![bare.clone()],
        });
        Command::MovePool {
            pool: pool.id.clone(),
            onto: others(rig, bare),
        }
    }),
    ("put a pool on another disk", equipped, exchange),
    ("put volumes into another pool", equipped, |rig| {
        let quality = Some(Quality::default());
        relocate(rig, &["first", "twin"], "empty", quality)
    }),
    ("put volumes on redundant disks", equipped, |rig| {
        relocate(rig, &["first", "second"], "ours", Some(REDUNDANT))
    }),
    ("put volumes into a thin pool", equipped, |rig| {
        relocate(rig, &["first", "single"], "thin", None)
    }),
    ("put a replica into another pool", copied, |rig| {
        relocate(rig, &["second"], "ours", None)
    }),
    ("erase volumes when they move", erasing, |rig| {
        relocate(rig, &["first", "sparse"], "empty", None)
    }),
    ("repair a volume", maimed, |rig| Command::RepairVolume {
        volume: volume(rig, "twin"),
    }),
    ("replace a leg that fails", spoilt, |rig| {
        Command::RepairVolume {
            volume: volume(rig, "twin"),
        }
    }),
    ("open a disk anew", returned, |rig| Command::RepairVolume {
        volume: volume(rig, "twin"),
    }),
    ("take a disk back", late, |rig| Command::RepairVolume {
        volume: volume(rig, "twin"),
    }),
    ("add a disk to a pool that lacks one", maimed, |rig| {
        let by = Growth::Disks(rig.free_disks());
        grow(rig.pool_named("ours"), by, None)
    }),
    ("delete a volume of a lost disk", maimed, |rig| {
        Command::DeleteVolumes {
            volumes: vec![volume(rig, "twin")],
        }
    }),
    ("delete several volumes", equipped, |rig| {
        Command::DeleteVolumes {
            volumes: vec![volume(rig, "first"), volume(rig, "second")],
        }
    }),
    ("erase and delete several volumes", erasing, |rig| {
        delete(rig, &["first", "second"])
    }),
    ("erase and delete a thin volume", erasing, |rig| {
        delete(rig, &["sparse"])
    }),
    (
        "erase and delete a source with its snapshot",
        erasing,
        |rig| delete(rig, &["source", "source then"]),
    ),
    ("delete a thin volume", equipped, |rig| {
        Command::DeleteVolumes {
            volumes: vec![volume(rig, "sparse")],
        }
    }),
];
