//! Plans that make volumes whole again.

use super::storage::{piece, storage};
use super::world::*;
use super::*;
use crate::array::error::Kind;
use crate::array::inventory::Policy;
use crate::array::layout::Layout;
use crate::array::model::*;
use crate::array::quality::Quality;
use crate::array::step::Erasing;

#[test]
fn a_repair_takes_other_disks_with_room() {
    let mirrored = |lost: &str, free: u64| {
        let mut facts = storage();
        facts.volumes[0].layout = Layout::Mirrored { copies: 2 };
        facts.volumes[0].pieces = vec![piece("d1", 0, 2), piece("d2", 1, 2)];
        for disk in &mut facts.disks {
            if disk.id.as_str() == lost
                || lost == "both" && ["d1", "d2"].contains(&disk.id.as_str())
            {
                disk.health = Health::Failed("gone".into());
            } else if let DiskUsage::Member { free: left, .. } = &mut disk.usage {
                *left = (*left).min(free * EXTENT);
            }
        }
        World::with(facts)
    };
    let repair = |id: &str| Command::RepairVolume { volume: id.into() };
    let plan = mirrored("d2", 10).plan(&repair("v1")).expect("d3 has room");
    assert_eq!(steps(&plan), ["repair onto d3", "drop missing", "sync"]);
    // Nothing of it lies on the lost disk: only the group lets go of it.
    let plan = mirrored("d5", 10).plan(&repair("v1"));
    assert_eq!(steps(&plan.expect("the group")), ["drop missing"]);
    mirrored("d2", 2).refuses(
        &repair("v1"),
        Kind::NoSpace,
        "too few other disks with 12 MiB",
    );
    // No disk can be added as long as one is lost.
    let sentence = "connect the lost one again, or delete volumes on the others";
    mirrored("d2", 2).refuses(&repair("v1"), Kind::NoSpace, sentence);
    mirrored("both", 10).refuses(
        &repair("v1"),
        Kind::Unavailable,
        "more disks than it survives",
    );
    mirrored("none", 10).refuses(&repair("v1"), Kind::InvalidArgument, "nothing to repair");
    mirrored("d2", 10).refuses(&repair("v2"), Kind::NotSupported, "no redundancy");
}

#[test]
fn legs_that_fail_are_put_elsewhere_and_stale_ones_opened_anew() {
    let repair = Command::RepairVolume {
        volume: "v1".into(),
    };
    let troubled = |layout: Layout, stale: &[u16], failing: &[u16], lost: &str| {
        let mut facts = storage();
        let volume = &mut facts.volumes[0];
        volume.layout = layout;
        let legs = (0..layout.legs()).zip(["d1", "d2", "d3"]);
        volume.pieces = legs.map(|(leg, disk)| piece(disk, leg, 2)).collect();
        volume.trouble = Trouble {
            stale: stale.iter().copied().collect(),
            failing: failing.iter().copied().collect(),
        };
        for disk in facts
            .disks
            .iter_mut()
            .filter(|disk| disk.id.as_str() == lost)
        {
            disk.health = Health::Failed("gone".into());
        }
        World::with(facts)
    };
    let plan = |layout, stale: &[u16], failing: &[u16], lost: &str| {
        let plan = troubled(layout, stale, failing, lost).plan(&repair);
        steps(&plan.expect("a plan"))
    };
    let mirror = Layout::Mirrored { copies: 2 };
    let elsewhere = plan(mirror, &[], &[1], "none");
    assert!(elsewhere[0].starts_with("repair onto d"), "{elsewhere:?}");
    assert!(!elsewhere[0].contains("d1") && !elsewhere[0].contains("d2"));
    assert_eq!(elsewhere[1..], ["sync"]);
    // A group that lacks another disk is made whole first: LVM changes nothing of it before.
    let lacking = plan(mirror, &[], &[1], "d5");
    assert_eq!((&*lacking[0], &*lacking[2]), ("drop missing", "sync"));
    assert_eq!(plan(mirror, &[0], &[], "none"), ["refresh", "sync"]);
    assert_eq!(plan(Layout::Linear, &[0], &[], "none"), ["refresh"]);
    let three = Layout::Mirrored { copies: 3 };
    troubled(three, &[], &[0], "d3").refuses(&repair, Kind::Unavailable, "another one fails");
    troubled(mirror, &[], &[0, 1], "none").refuses(
        &repair,
        Kind::Unavailable,
        "more disks than it survives",
    );
    troubled(Layout::Linear, &[0], &[], "d1").refuses(
        &repair,
        Kind::Unavailable,
        "more disks than it survives",
    );
}

#[test]
fn a_disk_that_came_back_late_is_taken_back_first() {
    let plan = |layout: Layout, stale: &[u16], lost: &str, id: &str| {
        let mut facts = storage();
        let volume = &mut facts.volumes[0];
        volume.layout = layout;
        let legs = (0..layout.legs()).zip(["d1", "d2"]);
        volume.pieces = legs.map(|(leg, disk)| piece(disk, leg, 2)).collect();
        volume.trouble.stale = stale.iter().copied().collect();
        facts.volumes[2].pool = "thin".into();
        for disk in &mut facts.disks {
            match &mut disk.usage {
                DiskUsage::Member { returned, free, .. } if disk.id.as_str() == "d1" => {
                    (*returned, *free) = (true, 0);
                    disk.health = Health::Degraded("late".into());
                }
                _ if disk.id.as_str() == lost => disk.health = Health::Failed("gone".into()),
                _ => {}
            }
        }
        let world = World::with(facts);
        let repair = Command::RepairVolume { volume: id.into() };
        steps(&world.plan(&repair).expect("a plan"))
    };
    let mirror = Layout::Mirrored { copies: 2 };
    let back = |layout, lost| plan(layout, &[0], lost, "v1");
    assert_eq!(back(Layout::Linear, "none"), ["take back", "refresh"]);
    assert_eq!(back(mirror, "none"), ["take back", "refresh", "sync"]);
    let both = ["take back", "refresh", "drop missing"];
    assert_eq!(back(Layout::Linear, "d5"), both);
    // It is taken back for whatever lies in the group.
    assert_eq!(plan(Layout::Linear, &[], "none", "v2"), ["take back"]);
    assert_eq!(plan(Layout::Linear, &[], "none", "v3"), ["take back"]);
}

#[test]
fn what_lies_on_a_lost_disk_is_deleted_and_the_disk_dropped() {
    let deletion = |erase, id: &str| {
        let mut facts = storage();
        facts.volumes[0].pieces = vec![piece("d1", 0, 2)];
        facts.volumes[0].health = Health::Failed("lost".into());
        facts.volumes[1].pieces = vec![piece("d2", 0, 2)];
        facts.disks[0].health = Health::Failed("gone".into());
        let policy = Policy {
            erase,
            ..Policy::default()
        };
        let plan = World::under(policy, facts).plan(&delete(id));
        steps(&plan.expect("a plan"))
    };
    let bare = ["mark / unmark", "remove", "drop missing"];
    assert_eq!(deletion(None, "v1"), bare);
    assert_eq!(deletion(None, "v2"), bare);
    let zeros = Some(Erasing::Zero);
    assert_eq!(deletion(zeros, "v1"), bare, "nobody can erase it");
    let erased = ["mark / unmark", "erase", "remove", "drop missing"];
    assert_eq!(deletion(zeros, "v2"), erased);
}

/// A RAID array without one of its members, or a drive without one of its paths, still works.
#[test]
fn what_lies_on_a_weakened_disk_says_so_and_nothing_else_does() {
    let mut facts = storage();
    for (volume, disk) in facts.volumes.iter_mut().zip(["d1", "d2", "d3"]) {
        volume.pieces = vec![piece(disk, 0, 2)];
    }
    facts.volumes[2].pool = "thin".into();
    facts.volumes[2].pieces.clear();
    let mut other = facts.pools[0].clone();
    (other.id, other.disks) = ("other".into(), vec!["f1".into()]);
    facts.pools.push(other);
    let well = World::with(facts.clone());
    assert_eq!(well.0.ailing().count(), 0);
    let why = "1 of the array's members is missing";
    facts.disks[0].health = Health::Degraded(why.into());
    let world = World::with(facts.clone());
    let health = |pool: &str| &world.0.pool(&pool.into()).expect(pool).health;
    let of = |volume: &str| &world.0.volume(&volume.into()).expect(volume).health;
    let says = |health: &Health| matches!(health, Health::Degraded(said) if said.contains(why));
    for health in [health("pool"), health("thin"), of("v1"), of("v3")] {
        assert!(says(health), "{health:?}");
    }
    assert_eq!((health("other"), of("v2")), (&Health::Ok, &Health::Ok));
    // It takes new volumes as before, and that none fit is not for its sake.
    let create = |size: u64| Command::CreateVolumes {
        pool: pool_id(),
        names: Vec::new(),
        count: 1,
        size,
        quality: Quality::default(),
    };
    assert!(world.plan(&create(EXTENT)).is_ok());
    (facts.pools[0].available, facts.pools[0].free) = (0, 0);
    let full = World::with(facts.clone());
    full.refuses(&create(EXTENT), Kind::NoSpace, "has no room for volumes");
    // What is not well itself says what is wrong with that.
    facts.pools[0].health = Health::Failed("of its own".into());
    let failed = World::with(facts);
    let health = &failed.0.pool(&pool_id()).expect("it is there").health;
    assert_eq!(health.sentence(), Some("of its own"));
}
