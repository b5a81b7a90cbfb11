//! Plans for pools, layouts, thin volumes and repairs, as tables.

use super::world::*;
use super::*;
use crate::array::command::Growth;
use crate::array::engine::Facts;
use crate::array::error::Kind;
use crate::array::inventory::Policy;
use crate::array::layout::Layout;
use crate::array::model::*;
use crate::array::quality::{Abilities, Bounds, Quality, Setting};
use crate::array::{SettingId, group_size, group_size_range, size_range};

const GIB: u64 = 1 << 30;

fn disk(id: &str, usage: DiskUsage) -> Disk {
    Disk {
        id: id.into(),
        device: format!("/dev/{id}"),
        size: GIB,
        kind: DiskKind::Drive(Drive::default()),
        usage,
        health: Health::Ok,
    }
}

fn member(id: &str, free: u64) -> Disk {
    disk(
        id,
        DiskUsage::Member {
            pool: pool_id(),
            used: GIB - free * EXTENT,
            free: free * EXTENT,
            returned: false,
        },
    )
}

/// A group of five disks with 10, 9, 8, 7 and 6 free extents, two free disks and one in use, and a
/// thin pool of ten extents.
pub(super) fn storage() -> Facts {
    let mut facts = facts(["v1", "v2", "v3"].map(volume).to_vec(), 40 * EXTENT);
    let free = [10, 9, 8, 7, 6];
    let members = ["d1", "d2", "d3", "d4", "d5"];
    facts.pools[0].disks = members.map(Into::into).to_vec();
    facts.disks = members
        .iter()
        .zip(free)
        .map(|(id, free)| member(id, free))
        .collect();
    facts.disks.push(disk("f1", DiskUsage::Free));
    facts.disks.push(disk("f2", DiskUsage::Free));
    let taken = "it carries an ext4 file system".to_owned();
    facts.disks.push(disk("t1", DiskUsage::Taken(taken)));
    facts.pools.push(thin_pool(30 * EXTENT, 10 * EXTENT));
    facts
}

/// A thin pool of ten extents with so many bytes promised and free.
fn thin_pool(promised: u64, free: u64) -> Pool {
    Pool {
        id: "thin".into(),
        name: "thin".into(),
        device: "lv-thin".into(),
        kind: PoolKind::Thin(Thin {
            group: pool_id(),
            promised,
            consumed: 11 * EXTENT,
            metadata: EXTENT,
            metadata_used: Some(0),
            layout: Layout::Linear,
            pieces: vec![piece("d1", 0, 10)],
        }),
        owner: Owner::Array,
        job: None,
        size: 10 * EXTENT,
        free,
        available: free,
        extent: EXTENT,
        disks: vec!["d1".into()],
        health: Health::Ok,
    }
}

pub(super) fn piece(disk: &str, leg: u16, extents: u64) -> Piece {
    Piece {
        disk: disk.into(),
        leg,
        start: 0,
        length: extents * EXTENT,
    }
}

fn wish(survives: u16, copies: u16, stripes: u16) -> Quality {
    Quality {
        survives: Some(survives),
        copies: Some(copies),
        stripe_length: Some(stripes),
        no_single_point_of_failure: false,
    }
}

fn make(pool: &str, count: usize, size: u64, quality: Quality) -> Command {
    Command::CreateVolumes {
        pool: pool.into(),
        names: Vec::new(),
        count,
        size,
        quality,
    }
}

/// Layout and legs of each volume that a plan makes, with the extents of each.
fn made(plan: &Plan) -> Vec<(u64, Layout, Vec<&str>)> {
    let steps = plan.steps.iter();
    let placed = steps.filter_map(|planned| match &planned.step {
        Step::Create {
            size,
            place: crate::array::Place::Disks { layout, legs },
            ..
        } => {
            let legs = legs.iter().map(|id| id.as_str()).collect();
            Some((size / EXTENT, *layout, legs))
        }
        _ => None,
    });
    placed.collect()
}

#[test]
fn the_largest_volume_of_each_layout_has_room_and_the_next_one_does_not() {
    let world = World::with(storage());
    let pool = world.0.pool(&pool_id()).expect("the pool").clone();
    // Free extents are 10, 9, 8, 7, 6; a leg with redundancy needs one more than its data.
    for (quality, largest, legs) in [
        (wish(0, 1, 1), 40, 0),
        (wish(0, 1, 2), 18, 2),
        (wish(0, 1, 5), 30, 5),
        (wish(1, 2, 1), 8, 2),
        (wish(2, 3, 1), 7, 3),
        (wish(1, 2, 2), 12, 4),
        (wish(1, 1, 3), 14, 3),
        (wish(1, 1, 4), 18, 4),
        (wish(2, 1, 5), 15, 5),
    ] {
        let range = size_range(&world.0, &pool, &quality).expect("a range");
        assert_eq!(range.max, largest * EXTENT, "{quality:?}");
        let plan = world.plan(&make("pool", 1, range.max, quality));
        let plan = plan.unwrap_or_else(|e| panic!("{quality:?}: {e}"));
        let [(extents, layout, on)] = &made(&plan)[..] else {
            panic!("one volume");
        };
        assert_eq!((*extents, on.len()), (largest, legs), "{layout:?}");
        let distinct: std::collections::BTreeSet<_> = on.iter().collect();
        assert_eq!(distinct.len(), legs, "{layout:?} on {on:?}");
        let error = world
            .plan(&make("pool", 1, range.max + 1, quality))
            .expect_err("more than the largest");
        assert_eq!(error.kind, Kind::SizeNotSupported, "{quality:?}");
        assert_eq!(error.largest, Some(range.max), "{quality:?}");
    }
}

#[test]
fn goals_that_the_disks_cannot_fulfil_are_refused() {
    let mut few = storage();
    few.disks.truncate(3);
    few.disks[1].health = Health::Failed("gone".into());
    let world = World::with(few);
    for (quality, kind, sentence) in [
        (
            wish(2, 3, 1),
            Kind::NoSpace,
            "RAID 1 needs 3 disks with room, pool vg0 has 2",
        ),
        (wish(1, 1, 3), Kind::NoSpace, "RAID 5 needs 3 disks"),
        (wish(2, 1, 5), Kind::NoSpace, "RAID 6 needs 5 disks"),
        (wish(3, 1, 1), Kind::NotSupported, "survives 3 failed disks"),
    ] {
        world.refuses(&make("pool", 1, EXTENT, quality), kind, sentence);
    }
    assert!(world.plan(&make("pool", 1, EXTENT, wish(1, 2, 1))).is_ok());
    let error = world.plan(&make("pool", 1, EXTENT, wish(2, 3, 1)));
    let sentence = error.expect_err("refused").message;
    assert!(
        sentence.contains("connect the disk again"),
        "no disk is added to a group that lacks one: {sentence}"
    );
}

#[test]
fn a_group_that_takes_nothing_says_why_and_names_no_size() {
    let sick = |health: Health, is_lost: bool| {
        let mut facts = storage();
        (facts.pools[0].available, facts.pools[1].available) = (0, 0);
        facts.pools[0].health = health;
        if is_lost {
            facts.disks[4].health = Health::Failed("it is gone".into());
        }
        facts.volumes[0].pool = "thin".into();
        World::with(facts)
    };
    let lost = Health::Degraded("missing or failed: /dev/d5; connect it again".into());
    let full = Health::Degraded("its metadata has no room; delete some volumes".into());
    for (health, is_lost, kind, sentence) in [
        (Health::Ok, false, Kind::NoSpace, "free some space"),
        (lost, true, Kind::Unavailable, "/dev/d5; connect it again"),
        (full, false, Kind::NoSpace, "delete some volumes"),
    ] {
        let world = sick(health.clone(), is_lost);
        for command in [
            make("pool", 1, EXTENT, Quality::default()),
            make("pool", 1, EXTENT, wish(1, 2, 1)),
            grow("v2", 9 * EXTENT),
            Command::CreateThinPool {
                group: pool_id(),
                name: None,
                size: EXTENT,
            },
        ] {
            world.refuses(&command, kind, sentence);
            let error = world.plan(&command).expect_err("refused");
            assert_eq!(error.largest, None, "{command:?}");
        }
        // What the pool itself cannot tell its group does.
        for command in [
            make("thin", 1, EXTENT, Quality::default()),
            grow("v1", 9 * EXTENT),
        ] {
            let sentence = health.sentence().unwrap_or("grow it");
            world.refuses(&command, Kind::NoSpace, sentence);
        }
    }
}

#[test]
fn less_than_an_extent_is_refused_with_the_least_that_works() {
    let world = World::with(storage());
    let thin_pool = |size| Command::CreateThinPool {
        group: pool_id(),
        name: None,
        size,
    };
    for (command, least) in [
        (make("pool", 1, EXTENT - 1, Quality::default()), EXTENT),
        (make("pool", 2, 1, Quality::default()), EXTENT),
        (make("pool", 1, 1, wish(2, 1, 5)), 3 * EXTENT),
        (make("thin", 1, 512, Quality::default()), EXTENT),
        (thin_pool(1), EXTENT),
    ] {
        world.refuses(&command, Kind::SizeNotSupported, "less than an extent");
        let error = world.plan(&command).expect_err("refused");
        assert_eq!(error.largest, Some(least), "{command:?}");
    }
    // More than that is rounded up, and so is what a volume grows by.
    let parity = make("pool", 1, EXTENT, wish(2, 1, 5));
    assert_eq!(made(&world.plan(&parity).expect("a plan"))[0].0, 3);
    assert!(world.plan(&grow("v1", 2 * EXTENT + 1)).is_ok());
    let policy = Policy {
        shrink: true,
        ..Policy::default()
    };
    let world = World::under(policy, storage());
    world.refuses(
        &grow("v1", 1),
        Kind::SizeNotSupported,
        "less than an extent",
    );
    assert!(world.plan(&grow("v1", EXTENT)).is_ok());
}

#[test]
fn a_new_group_has_what_its_disks_leave_beside_their_metadata() {
    let sized = |mib: u64| Disk {
        size: mib << 20,
        ..disk("f", DiskUsage::Free)
    };
    // 17 MiB at the beginning, and what is no whole extent at the end.
    let disks = [sized(320), sized(20), sized(43)];
    let range = group_size_range(disks.iter());
    assert_eq!(
        (range.min, range.max, range.divisor),
        (6 * EXTENT, 75 * EXTENT + 6 * EXTENT, EXTENT)
    );
    let many: Vec<Disk> = (0..40).map(|n| sized(100 + n)).collect();
    let most = many[8..].iter();
    let most: u64 = most.map(|disk| group_size(disk.size, EXTENT)).sum();
    let range = group_size_range(many.iter());
    assert_eq!(range.max, most, "32 disks are named at most");
    assert_eq!(group_size_range([].into_iter()).max, 0);
}

#[test]
fn several_volumes_are_placed_together_or_not_at_all() {
    let world = World::with(storage());
    let plan = world
        .plan(&make("pool", 3, 4 * EXTENT, wish(1, 2, 1)))
        .expect("there is room for three");
    let legs: Vec<_> = made(&plan).into_iter().map(|(_, _, legs)| legs).collect();
    // Five extents a leg: d1 d2 (10 9), then d3 d4 (8 7), then d5 (6) and what is left of d1 (5).
    assert_eq!(legs, [vec!["d1", "d2"], vec!["d3", "d4"], vec!["d5", "d1"]]);
    let unmarks = plan.steps.iter().rev().take(3);
    for planned in unmarks {
        assert!(matches!(planned.step, Step::Unmark { .. }), "{planned:?}");
    }
    world.refuses(
        &make("pool", 4, 4 * EXTENT, wish(1, 2, 1)),
        Kind::NoSpace,
        "room for 3 of 4 RAID 1 volumes",
    );
    world.refuses(
        &make("pool", 2, 21 * EXTENT, Quality::default()),
        Kind::SizeNotSupported,
        "at most 83886080 bytes",
    );
    world.refuses(
        &make("pool", 65, EXTENT, Quality::default()),
        Kind::InvalidArgument,
        "1 to 64",
    );
    let named = |names: &[&str], count| Command::CreateVolumes {
        pool: pool_id(),
        names: names.iter().map(|n| (*n).into()).collect(),
        count,
        size: 1,
        quality: Quality::default(),
    };
    world.refuses(&named(&["x", "x"], 2), Kind::AlreadyExists, "given twice");
    world.refuses(
        &named(&["x"], 2),
        Kind::InvalidArgument,
        "1 names were given for 2",
    );
}

#[test]
fn a_volume_with_legs_grows_leg_by_leg_on_its_own_disks() {
    let mut facts = storage();
    facts.volumes[0].layout = Layout::Parity {
        stripes: 2,
        parity: 1,
    };
    facts.volumes[0].pieces = vec![piece("d3", 0, 1), piece("d1", 1, 1), piece("d5", 2, 1)];
    facts.volumes[1].layout = Layout::Mirrored { copies: 2 };
    facts.volumes[1].pieces = vec![piece("d1", 0, 2), piece("d1", 1, 2)];
    let world = World::with(facts);
    let plan = world.plan(&grow("v1", 5 * EXTENT)).expect("it can grow");
    // Three more are rounded up to four: two for each of three legs.
    let stripes = Layout::Striped { stripes: 3 };
    assert_eq!(made(&plan), [(6, stripes, vec!["d3", "d1", "d5"])]);
    assert_eq!(
        steps(&plan),
        ["create 6 / remove", "zero", "absorb 6", "sync"]
    );
    // The least free leg has 6 extents: 12 of data beside the 2 that are there.
    let error = world.plan(&grow("v1", 15 * EXTENT)).expect_err("too much");
    assert_eq!(error.largest, Some(14 * EXTENT));
    world.refuses(&grow("v2", 3 * EXTENT), Kind::NotSupported, "leg by leg");
}

#[test]
fn thin_volumes_take_promises_and_no_more() {
    let mut facts = storage();
    facts.volumes[0].pool = "thin".into();
    let world = World::with(facts);
    // Ten times ten extents may be promised, thirty are.
    let plan = world.plan(&make("thin", 1, 70 * EXTENT, Quality::default()));
    assert_eq!(
        steps(&plan.expect("a promise")),
        ["create 70 / remove", "unmark"]
    );
    let error = world
        .plan(&make("thin", 1, 70 * EXTENT + 1, Quality::default()))
        .expect_err("too much");
    assert_eq!(error.largest, Some(70 * EXTENT));
    world.refuses(
        &make("thin", 1, EXTENT, wish(1, 2, 1)),
        Kind::NotSupported,
        "thin pool thin",
    );
    let plan = world.plan(&grow("v1", 3 * EXTENT)).expect("a promise");
    assert_eq!(steps(&plan), ["grow thin 3"]);
    let error = world.plan(&grow("v1", 73 * EXTENT)).expect_err("too much");
    assert_eq!(error.largest, Some(72 * EXTENT));

    let mut full = storage();
    full.pools[1] = thin_pool(0, 0);
    let world = World::with(full);
    let health = &world.0.pool(&"thin".into()).expect("there").health;
    assert!(matches!(health, Health::Degraded(why) if why.contains("100 % of its data")));
    world.refuses(
        &make("thin", 1, EXTENT, Quality::default()),
        Kind::NoSpace,
        "takes no more volumes now",
    );
}

#[test]
fn a_pool_low_on_space_is_degraded() {
    for (free, degraded) in [(3, false), (2, true)] {
        let mut facts = storage();
        facts.pools[1] = thin_pool(0, free * EXTENT);
        let world = World::with(facts);
        let health = &world.0.pool(&"thin".into()).expect("there").health;
        assert_eq!(
            *health != Health::Ok,
            degraded,
            "{free} of 10 free: {health:?}"
        );
    }
}

#[test]
fn plans_of_pools() {
    let world = World::with(storage());
    let name = |name: &str| Some(name.to_owned());
    let disks = |ids: &[&str]| ids.iter().map(|id| (*id).into()).collect::<Vec<DiskId>>();
    let thin = |size| Command::CreateThinPool {
        group: pool_id(),
        name: name("gold"),
        size,
    };
    let extend = |ids: &[&str]| Command::GrowPool {
        pool: pool_id(),
        by: Growth::Disks(disks(ids)),
        name: None,
    };
    let table: [(Command, &[&str]); 8] = [
        (
            Command::CreatePool {
                name: name("gold"),
                disks: disks(&["f1", "f2"]),
            },
            &["create group gold f1 f2 / remove group", "unmark group"],
        ),
        // 40 extents are free: metadata of one and a spare of as much go off.
        (
            thin(38 * EXTENT),
            &["create thin pool 38+1 / remove", "unmark"],
        ),
        (extend(&["f1"]), &["extend group f1 / reduce group f1"]),
        (extend(&["d1"]), &[]),
        (
            Command::GrowPool {
                pool: "thin".into(),
                by: Growth::To(20 * EXTENT),
                name: name("new"),
            },
            &["rename pool new / rename pool thin", "grow thin pool 20+1"],
        ),
        (
            Command::RenamePool {
                pool: "thin".into(),
                name: "new".into(),
            },
            &["rename pool new / rename pool thin"],
        ),
        (
            // Its own device's name is free to itself.
            Command::RenamePool {
                pool: "thin".into(),
                name: "lv-thin".into(),
            },
            &["rename pool lv-thin / rename pool thin"],
        ),
        (
            Command::DeletePool {
                pool: "thin".into(),
            },
            &["mark / unmark", "remove"],
        ),
    ];
    for (command, expected) in table {
        let plan = world.plan(&command);
        let plan = plan.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        assert_eq!(steps(&plan), expected, "{command:?}");
    }
    let odd = Command::CreatePool {
        name: name("Gold für alle"),
        disks: disks(&["f1"]),
    };
    let plan = world.plan(&odd).expect("any name will do");
    assert!(steps(&plan)[0].starts_with("create group standpipe-"));
}

#[test]
fn wishes_about_pools_that_are_refused() {
    let mut facts = storage();
    facts.volumes[2].pool = "thin".into();
    let mut ours = facts.pools[0].clone();
    ours.id = "ours".into();
    ours.name = "ours".into();
    ours.owner = Owner::Array;
    facts.pools.push(ours);
    let mut empty = facts.volumes[1].clone();
    empty.id = "in ours".into();
    empty.pool = "ours".into();
    facts.volumes.push(empty);
    let world = World::with(facts);
    let make = |name: &str, ids: &[&str]| Command::CreatePool {
        name: Some(name.into()),
        disks: ids.iter().map(|id| (*id).into()).collect(),
    };
    let delete = |pool: &str| Command::DeletePool { pool: pool.into() };
    let grow = |pool: &str, by| Command::GrowPool {
        pool: pool.into(),
        by,
        name: None,
    };
    let rename = |pool: &str, name: &str| Command::RenamePool {
        pool: pool.into(),
        name: name.into(),
    };
    let thin = |group: &str, size| Command::CreateThinPool {
        group: group.into(),
        name: None,
        size,
    };
    let to = Growth::To;
    let table = [
        (
            make("x", &[]),
            Kind::InvalidArgument,
            "name 1 to 32 free disks",
        ),
        (
            make("x", &["f1", "f1"]),
            Kind::InvalidArgument,
            "named twice",
        ),
        (make("x", &["none"]), Kind::NotFound, "no disk none"),
        (make("x", &["d1"]), Kind::InUse, "belongs to pool vg0"),
        (
            make("x", &["t1"]),
            Kind::InUse,
            "carries an ext4 file system",
        ),
        (make("vg0", &["f1"]), Kind::AlreadyExists, "named 'vg0'"),
        (
            make("", &["f1"]),
            Kind::InvalidArgument,
            "must not be empty",
        ),
        (delete("none"), Kind::NotFound, "no pool none"),
        (
            delete("pool"),
            Kind::AccessDenied,
            "was not made by this array",
        ),
        (delete("thin"), Kind::InUse, "holds volume"),
        (delete("ours"), Kind::InUse, "holds volume"),
        (rename("pool", "x"), Kind::AccessDenied, "is not renamed"),
        (rename("thin", "vg0"), Kind::AlreadyExists, "named 'vg0'"),
        (
            grow("thin", Growth::Disks(vec!["f1".into()])),
            Kind::InvalidArgument,
            "add the disks",
        ),
        (
            grow("pool", to(GIB)),
            Kind::InvalidArgument,
            "grows by disks",
        ),
        (
            grow("pool", Growth::Disks(vec!["t1".into()])),
            Kind::InUse,
            "ext4",
        ),
        (
            grow("thin", to(GIB)),
            Kind::SizeNotSupported,
            "room for a thin pool of",
        ),
        (
            thin("thin", EXTENT),
            Kind::InvalidArgument,
            "made in a volume group",
        ),
        (thin("pool", 0), Kind::InvalidArgument, "size 0"),
        (
            thin("pool", 38 * EXTENT + 1),
            Kind::SizeNotSupported,
            "ask for at most",
        ),
    ];
    for (command, kind, sentence) in table {
        world.refuses(&command, kind, sentence);
    }
}

#[test]
fn a_volume_is_shrunk_only_where_that_is_wanted_and_nobody_sees_it() {
    let shrink = |id: &str, extents| grow(id, extents * EXTENT);
    let world = World::with(storage());
    world.refuses(&shrink("v1", 1), Kind::NotSupported, "allow_shrink");
    let policy = Policy {
        shrink: true,
        ..Policy::default()
    };
    let mut facts = storage();
    facts.volumes[2].pool = "thin".into();
    let mut world = World::under(policy, facts);
    world.refuses(&shrink("v1", 0), Kind::InvalidArgument, "size of 0");
    let plan = world.plan(&shrink("v1", 1)).expect("it is wanted");
    assert_eq!(steps(&plan), ["shrink 1"]);
    assert_eq!(plan.after_crash, AfterCrash::Forward);
    world.refuses(
        &shrink("v3", 1),
        Kind::NotSupported,
        "thin and is not shrunk",
    );
    world.devices(&["v2"]);
    world.refuses(&shrink("v2", 1), Kind::InUse, "device group");
}

#[test]
fn settings_are_kept_and_checked() {
    let mut world = World::with(storage());
    let pool = world.0.pool(&pool_id()).expect("the pool").clone();
    let all = abilities(&world.0, Some(&pool));
    assert_eq!(all, Abilities::of_disks(5));
    assert_eq!(
        (all.survives.max, all.copies.max, all.stripe_length.max),
        (2, 3, 5)
    );
    let thin = world.0.pool(&"thin".into()).expect("the pool").clone();
    assert_eq!(
        abilities(&world.0, Some(&thin)),
        Abilities::just(Layout::Linear)
    );
    let mut setting = Setting {
        id: SettingId::new(),
        name: "gold".into(),
        pool: Some(pool_id()),
        lasting: false,
        survives: all.survives,
        copies: all.copies,
        stripe_length: all.stripe_length,
        no_single_point_of_failure: true,
        thin: false,
        room: None,
    };
    let put = |setting: &Setting| Command::PutSetting {
        setting: setting.clone(),
    };
    assert_eq!(world.does(&put(&setting)), Effect::Setting(setting.id));
    assert_eq!(world.0.settings_of(&Some(pool_id())).count(), 1);
    setting.survives = Bounds {
        min: 0,
        goal: 7,
        max: 2,
    };
    world.refuses(
        &put(&setting),
        Kind::InvalidArgument,
        "PackageRedundancyGoal 7",
    );
    let gone = Command::DeleteSetting {
        setting: setting.id,
    };
    assert_eq!(world.does(&gone), Effect::Gone);
    assert_eq!(world.0.settings().count(), 0);
    world.refuses(&gone, Kind::NotFound, "no such setting");
}
