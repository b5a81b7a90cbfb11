//! Plans that make, end and use replicas: their steps, what they cost, and why they are refused.

use super::*;
use crate::array::claims::Claims;
use crate::array::command::Copying;
use crate::array::engine::Facts;
use crate::array::ids::{DiskId, PoolId};
use crate::array::layout::Layout;
use crate::array::model::*;
use crate::array::quality::Quality;
use crate::array::step::SNAPSHOT_CHUNK;
use std::sync::Arc;

/// A group `vg0` with 60 free extents on three disks, and thin pool `thin` with 12 of 16 free.
/// `v1` has snapshot `delta` and clone `clone`, `t1` snapshot `shared`; each has two extents.
fn facts(change: impl Fn(&mut Volume)) -> Facts {
    let of = |source: &str, kind| {
        Some(Replica {
            source: source.into(),
            kind,
            taken: Some(7),
        })
    };
    let delta = ReplicaKind::Delta {
        room: 3 * EXTENT,
        used: Some(EXTENT),
        broken: false,
    };
    let mut volumes = vec![
        volume("v1"),
        volume("v2"),
        Volume {
            replica: of("v1", delta),
            ..volume("delta")
        },
        Volume {
            replica: of("v1", ReplicaKind::Clone),
            ..volume("clone")
        },
        thin("t1"),
        Volume {
            replica: of("t1", ReplicaKind::Shared),
            ..thin("shared")
        },
        Volume {
            pool: "other".into(),
            ..volume("far")
        },
    ];
    volumes.iter_mut().for_each(change);
    let disks = ["d1", "d2", "d3"].map(|id| disk(id, 20));
    let group = |id: &str, disks: Vec<DiskId>, available: u64| Pool {
        id: id.into(),
        name: id.into(),
        device: id.into(),
        kind: PoolKind::Group { spare: 0 },
        owner: Owner::Foreign,
        job: None,
        size: 100 * EXTENT,
        free: available,
        available,
        extent: EXTENT,
        disks,
        health: Health::Ok,
    };
    let ids = disks.iter().map(|disk| disk.id.clone()).collect();
    let vg0 = group("pool", ids, 60 * EXTENT);
    let kind = PoolKind::Thin(Thin {
        group: vg0.id.clone(),
        promised: 4 * EXTENT,
        consumed: 17 * EXTENT,
        metadata: EXTENT,
        metadata_used: None,
        layout: Layout::Linear,
        pieces: Vec::new(),
    });
    let thin = Pool {
        kind,
        size: 16 * EXTENT,
        ..group("thin", Vec::new(), 12 * EXTENT)
    };
    Facts {
        pools: vec![vg0, thin, group("other", Vec::new(), 9 * EXTENT)],
        volumes,
        disks: disks.to_vec(),
        ..super::world::facts(Vec::new(), 0)
    }
}

fn thin(id: &str) -> Volume {
    Volume {
        pool: "thin".into(),
        consumed: Some(EXTENT),
        ..volume(id)
    }
}

fn disk(id: &str, free: u64) -> Disk {
    Disk {
        id: id.into(),
        device: format!("/dev/{id}"),
        size: 30 * EXTENT,
        kind: DiskKind::Drive(Drive::default()),
        usage: DiskUsage::Member {
            pool: pool_id(),
            used: 0,
            free: free * EXTENT,
            returned: false,
        },
        health: Health::Ok,
    }
}

pub(super) fn world() -> World {
    World::with(facts(|_| {}))
}

pub(super) fn changed(id: &'static str, change: fn(&mut Volume)) -> World {
    World::with(facts(|volume| {
        if volume.id == id.into() {
            change(volume);
        }
    }))
}

fn make(kind: Copying, of: &[&str], pool: Option<&str>) -> Command {
    Command::CreateReplicas {
        kind,
        sources: of.iter().map(|id| VolumeId::from(*id)).collect(),
        names: Vec::new(),
        pool: pool.map(PoolId::from),
        quality: None,
        room: None,
    }
}

fn snapshot(of: &[&str]) -> Command {
    make(Copying::Snapshot, of, None)
}

fn clone(of: &[&str], pool: Option<&str>) -> Command {
    make(Copying::Clone, of, pool)
}

fn with_room(percent: u8, command: Command) -> Command {
    match command {
        Command::CreateReplicas {
            kind,
            sources,
            names,
            pool,
            quality,
            ..
        } => Command::CreateReplicas {
            kind,
            sources,
            names,
            pool,
            quality,
            room: Some(percent),
        },
        other => other,
    }
}

fn mirrored(command: Command) -> Command {
    match command {
        Command::CreateReplicas {
            kind,
            sources,
            names,
            pool,
            room,
            ..
        } => Command::CreateReplicas {
            kind,
            sources,
            names,
            pool,
            quality: Some(Quality {
                survives: Some(1),
                copies: Some(2),
                ..Quality::default()
            }),
            room,
        },
        other => other,
    }
}

fn restore(id: &str) -> Command {
    Command::Restore { replica: id.into() }
}

fn resync(id: &str) -> Command {
    Command::Resync { replica: id.into() }
}

fn detach(ids: &[&str]) -> Command {
    Command::Detach {
        replicas: ids.iter().map(|id| VolumeId::from(*id)).collect(),
    }
}

#[test]
fn plans_of_replicas() {
    let world = world();
    let table: [(Command, &[&str]); 11] = [
        (snapshot(&["v1"]), &["snapshot 3 / remove", "unmark"]),
        (snapshot(&["t1"]), &["snapshot thin / remove", "unmark"]),
        (
            snapshot(&["v1", "t1"]),
            &["snapshot 3 thin / remove / remove", "unmark", "unmark"],
        ),
        (
            with_room(10, snapshot(&["v1"])),
            &["snapshot 1 / remove", "unmark"],
        ),
        (
            clone(&["v1"], None),
            &[
                "create 2 / remove",
                "snapshot 3 / remove",
                "fill",
                "relate to v1",
                "remove",
                "unmark",
            ],
        ),
        (
            mirrored(clone(&["t1"], Some("pool"))),
            &[
                "create 2 / remove",
                "snapshot thin / remove",
                "fill",
                "sync",
                "relate to t1",
                "remove",
                "unmark",
            ],
        ),
        (
            clone(&["delta"], None),
            &[
                "create 2 / remove",
                "mark / unmark",
                "fill",
                "relate to delta",
                "unmark",
                "unmark",
            ],
        ),
        (
            restore("delta"),
            &["mark / unmark", "mark / unmark", "copy", "unmark", "unmark"],
        ),
        (
            resync("clone"),
            &[
                "snapshot 3 / remove",
                "mark / unmark",
                "copy",
                "relate to v1",
                "remove",
                "unmark",
            ],
        ),
        (
            detach(&["clone", "shared"]),
            &["detach / relate to v1", "detach / relate to t1"],
        ),
        (
            Command::DeleteVolumes {
                volumes: vec!["v1".into(), "delta".into()],
            },
            &["mark / unmark", "mark / unmark", "remove", "remove"],
        ),
    ];
    for (command, wanted) in table {
        assert_eq!(steps(&world.plan(&command).unwrap()), wanted, "{command:?}");
    }
}

#[test]
fn a_snapshot_goes_before_what_it_was_taken_of() {
    let plan = world().plan(&Command::DeleteVolumes {
        volumes: vec!["v1".into(), "delta".into()],
    });
    let removed: Vec<_> = plan
        .unwrap()
        .steps
        .into_iter()
        .filter_map(|planned| match planned.step {
            Step::Remove { volume, .. } => Some(volume),
            _ => None,
        })
        .collect();
    let known = |id: &str| crate::array::step::Subject::Known(id.into());
    assert_eq!(removed, [known("delta"), known("v1")]);
}

#[test]
fn what_overwrites_is_not_stopped_and_goes_forward() {
    let world = world();
    for command in [restore("delta"), resync("clone")] {
        let plan = world.plan(&command).unwrap();
        assert!(!plan.is_cancellable(), "{command:?}");
        assert_eq!(plan.after_crash, AfterCrash::Forward, "{command:?}");
    }
    for command in [snapshot(&["v1"]), clone(&["v1"], None)] {
        let plan = world.plan(&command).unwrap();
        assert!(plan.is_cancellable(), "{command:?}");
        assert_eq!(plan.after_crash, AfterCrash::Back, "{command:?}");
    }
}

#[test]
fn wishes_about_replicas_that_are_refused() {
    let world = world();
    let table = [
        (snapshot(&[]), Kind::InvalidArgument, "different volumes"),
        (
            snapshot(&["v1", "v1"]),
            Kind::InvalidArgument,
            "different volumes",
        ),
        (snapshot(&["gone"]), Kind::NotFound, "no volume gone"),
        (
            snapshot(&["v1", "far"]),
            Kind::NotSupported,
            "moment in common",
        ),
        (snapshot(&["delta"]), Kind::NotSupported, "ask for a clone"),
        (
            make(Copying::Snapshot, &["v1"], Some("thin")),
            Kind::InvalidArgument,
            "name no pool",
        ),
        (
            mirrored(snapshot(&["v1"])),
            Kind::NotSupported,
            "leave the goal out",
        ),
        (
            with_room(0, snapshot(&["v1"])),
            Kind::InvalidArgument,
            "1 to 100",
        ),
        (
            with_room(101, snapshot(&["v1"])),
            Kind::InvalidArgument,
            "1 to 100",
        ),
        (
            with_room(50, snapshot(&["t1"])),
            Kind::NotSupported,
            "leave the room out",
        ),
        (clone(&["v1"], Some("none")), Kind::NotFound, "no pool none"),
        (
            mirrored(clone(&["v1"], Some("thin"))),
            Kind::NotSupported,
            "choose another pool",
        ),
        (
            mirrored(clone(&["v1"], Some("other"))),
            Kind::NoSpace,
            "needs 2 disks with room",
        ),
        (detach(&[]), Kind::InvalidArgument, "different replicas"),
        (detach(&["v1"]), Kind::InvalidArgument, "no replica"),
        (detach(&["delta"]), Kind::NotSupported, "clone it"),
        (resync("delta"), Kind::NotSupported, "a new snapshot"),
        (resync("shared"), Kind::NotSupported, "a new snapshot"),
        (restore("v2"), Kind::InvalidArgument, "no replica"),
        (delete("v1"), Kind::HasDependents, "'name of delta'"),
        (
            grow("v1", 3 * EXTENT),
            Kind::HasDependents,
            "'name of delta'",
        ),
        (grow("delta", 3 * EXTENT), Kind::NotSupported, "clone it"),
    ];
    for (command, kind, sentence) in table {
        world.refuses(&command, kind, sentence);
    }
}

#[test]
fn what_is_lost_torn_or_foreign_is_not_copied() {
    let broken = |volume: &mut Volume| {
        if let Some(replica) = &mut volume.replica {
            replica.kind = ReplicaKind::Delta {
                room: EXTENT,
                used: None,
                broken: true,
            };
        }
    };
    let world = changed("delta", broken);
    for command in [clone(&["delta"], None), restore("delta")] {
        world.refuses(&command, Kind::Unavailable, "lost its content");
    }
    world.refuses(
        &new_group(None, devices(&["delta"])),
        Kind::Unavailable,
        "lost",
    );
    let world = changed("clone", |volume| volume.torn = Some(Torn::Copied));
    for command in [
        clone(&["clone"], None),
        snapshot(&["clone"]),
        restore("clone"),
    ] {
        world.refuses(&command, Kind::Unavailable, "restore or resynchronise");
    }
    assert!(world.plan(&resync("clone")).is_ok(), "that heals it");
    let world = changed("v1", |volume| volume.torn = Some(Torn::Copied));
    assert!(world.plan(&restore("delta")).is_ok(), "that heals it");
    world.refuses(&resync("clone"), Kind::Unavailable, "restore");
    let world = changed("v1", |volume| volume.owner = Owner::Foreign);
    for command in [snapshot(&["v1"]), clone(&["v1"], None), restore("delta")] {
        world.refuses(&command, Kind::AccessDenied, "not made by this array");
    }
    let world = changed("v1", |volume| {
        volume.health = Health::Failed("it burns".into())
    });
    world.refuses(&snapshot(&["v1"]), Kind::Unavailable, "it burns");
}

#[test]
fn what_is_used_is_copied_but_not_overwritten() {
    let mut world = changed("v1", |volume| {
        volume.held_by = Some("mounted at /srv".into())
    });
    assert!(world.plan(&clone(&["v1"], None)).is_ok());
    assert!(world.plan(&snapshot(&["v1"])).is_ok());
    assert!(world.plan(&resync("clone")).is_ok());
    world.refuses(&restore("clone"), Kind::InUse, "mounted at /srv");
    world.devices(&["clone"]);
    world.refuses(&restore("clone"), Kind::InUse, "remove it from the group");
    world.refuses(&resync("clone"), Kind::InUse, "remove it from the group");
    // A snapshot that cannot have one itself is read only while nobody uses it.
    world.devices(&["delta"]);
    world.refuses(
        &clone(&["delta"], None),
        Kind::InUse,
        "remove it from the group",
    );
}

#[test]
fn only_two_of_one_size_are_copied_onto_each_other() {
    let world = changed("v1", |volume| volume.size = 3 * EXTENT);
    for command in [restore("clone"), resync("clone")] {
        world.refuses(&command, Kind::NotSupported, "of one size");
    }
}

#[test]
fn overwriting_breaks_no_other_snapshot() {
    let small = |volume: &mut Volume| {
        if let Some(Replica {
            kind: ReplicaKind::Delta { room, .. },
            ..
        }) = &mut volume.replica
        {
            *room = 2 * EXTENT;
        }
    };
    let world = changed("delta", small);
    world.refuses(&restore("clone"), Kind::HasDependents, "'name of delta'");
    assert!(
        world.plan(&restore("delta")).is_ok(),
        "it kept what differs"
    );
}

#[test]
fn copies_need_room() {
    // Clone and snapshot together need five of six extents, then five of four.
    let with = |available: u64| {
        let mut facts = facts(|_| {});
        facts.pools[0].available = available * EXTENT;
        World::with(facts)
    };
    assert!(with(5).plan(&clone(&["v1"], None)).is_ok());
    with(4).refuses(&clone(&["v1"], None), Kind::NoSpace, "ask for less room");
    with(1).refuses(&clone(&["v1"], None), Kind::NoSpace, "has room for");
    with(2).refuses(&snapshot(&["v1"]), Kind::NoSpace, "for what changes");
    assert!(with(2).plan(&with_room(20, snapshot(&["v1"]))).is_ok());
    assert!(with(0).plan(&snapshot(&["t1"])).is_ok());
    let thin = |free: u64, promised: u64| {
        let mut facts = facts(|_| {});
        (facts.pools[1].free, facts.pools[1].available) = (free * EXTENT, free * EXTENT);
        if let PoolKind::Thin(thin) = &mut facts.pools[1].kind {
            thin.promised = promised * EXTENT;
        }
        World::with(facts)
    };
    let into = clone(&["v1"], Some("thin"));
    assert!(thin(2, 0).plan(&into).is_ok());
    thin(1, 0).refuses(&into, Kind::NoSpace, "would be written");
    thin(0, 0).refuses(&into, Kind::NoSpace, "no more volumes");
    thin(0, 0).refuses(&snapshot(&["t1"]), Kind::NoSpace, "no more volumes");
    thin(9, 159).refuses(&snapshot(&["t1"]), Kind::NoSpace, "may promise");
    assert!(thin(9, 158).plan(&snapshot(&["t1"])).is_ok());
    // A thin volume and its replica hold one extent each that may differ.
    assert!(thin(2, 0).plan(&restore("shared")).is_ok());
    thin(1, 0).refuses(&restore("shared"), Kind::NoSpace, "would be written");
}

#[test]
fn the_room_for_everything_is_what_the_kernel_needs() {
    use crate::array::plan::replicas::delta_room;
    // A header, the data, and a table for each 4096 chunks with an empty entry behind the last.
    let chunk = SNAPSHOT_CHUNK;
    for (chunks, percent, wanted) in [
        (64, 100, 66),
        (4095, 100, 4097),
        (4096, 100, 4099),
        (100, 1, 3),
        (101, 1, 4),
        (64, 50, 34),
    ] {
        assert_eq!(delta_room(chunks * chunk, percent, chunk), wanted * chunk);
    }
    assert_eq!(delta_room(64 * chunk, 100, EXTENT), 2 * EXTENT);
    assert!(delta_room(u64::MAX - EXTENT, 100, EXTENT) >= u64::MAX - EXTENT);
}

#[test]
fn room_under_way_is_not_promised_twice() {
    let mut facts = facts(|_| {});
    facts.pools[0].available = 8 * EXTENT;
    let present = Arc::new(World::with(facts).0);
    let claims = Claims::default();
    let plan = |command: &Command| {
        let present = || Arc::clone(&present);
        claims.plan(command, present, JobId::new())
    };
    let first = plan(&clone(&["v1"], None));
    assert!(first.is_ok());
    let error = plan(&clone(&["v1"], None)).expect_err("three extents are left");
    assert_eq!(error.kind, Kind::NoSpace);
    assert!(plan(&snapshot(&["v2"])).is_ok());
    drop(first);
    assert!(plan(&clone(&["v1"], None)).is_ok());
}

#[test]
fn a_snapshot_that_may_lack_room_is_watched() {
    let health = |room: u64, used: u64| {
        let mut facts = facts(|_| {});
        let kind = ReplicaKind::Delta {
            room: room * EXTENT,
            used: Some(used * EXTENT / 8),
            broken: false,
        };
        let delta = facts.volumes.iter_mut().find(|v| v.id == "delta".into());
        delta.expect("it is there").replica = Some(Replica {
            source: "v1".into(),
            kind,
            taken: None,
        });
        let inventory = World::with(facts).0;
        inventory.volume(&"delta".into()).unwrap().health.clone()
    };
    assert_eq!(health(1, 6), Health::Ok);
    assert!(matches!(health(1, 7), Health::Degraded(why) if why.starts_with("87 %")));
    assert_eq!(health(3, 23), Health::Ok, "it has room for everything");
}

#[test]
fn a_snapshot_is_not_erased_and_goes_before_its_source_is() {
    let policy = crate::array::Policy {
        erase: Some(crate::array::Erasing::Zero),
        ..Default::default()
    };
    let world = World::under(policy, facts(|_| ()));
    let delete = |names: &[&str]| {
        let wish = Command::DeleteVolumes {
            volumes: names.iter().map(|name| (*name).into()).collect(),
        };
        steps(&world.plan(&wish).expect("a plan"))
    };
    assert_eq!(delete(&["delta"]), ["mark / unmark", "remove"]);
    // One of a thin volume stands for itself.
    assert_eq!(delete(&["shared"]), ["mark / unmark", "erase", "remove"]);
    assert_eq!(
        delete(&["v2", "v1", "delta"]),
        [
            "mark / unmark",
            "mark / unmark",
            "mark / unmark",
            "remove",
            "erase",
            "erase",
            "remove",
            "remove",
        ]
    );
}
