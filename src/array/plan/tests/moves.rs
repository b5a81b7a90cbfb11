//! Plans that move volumes and pools to other disks.

use super::storage::{piece, storage};
use super::world::*;
use super::*;
use crate::array::engine::Facts;
use crate::array::error::Kind;
use crate::array::ids::DiskId;
use crate::array::layout::Layout;
use crate::array::model::*;

fn named(disks: &[&str]) -> Vec<DiskId> {
    disks.iter().map(|disk| (*disk).into()).collect()
}

fn volume(onto: &[&str]) -> Command {
    Command::MoveVolume {
        volume: "v1".into(),
        onto: named(onto),
    }
}

fn pool(pool: &str, onto: &[&str]) -> Command {
    Command::MovePool {
        pool: pool.into(),
        onto: named(onto),
    }
}

/// The storage with `v1` of that layout on the first disks, changed further.
fn with(layout: Layout, edit: impl FnOnce(&mut Facts)) -> World {
    let mut facts = storage();
    facts.volumes[0].layout = layout;
    let legs = (0..layout.legs()).zip(["d1", "d2", "d3"]);
    facts.volumes[0].pieces = legs.map(|(leg, disk)| piece(disk, leg, 2)).collect();
    facts.volumes[0].size = 2 * layout.data_legs() * EXTENT;
    edit(&mut facts);
    World::with(facts)
}

fn plan(world: &World, wish: &Command) -> Vec<String> {
    steps(&world.plan(wish).expect("a plan"))
}

#[test]
fn a_leg_goes_to_a_disk_of_its_own_and_one_that_may_stay_stays() {
    let mirror = with(Layout::Mirrored { copies: 2 }, |_| {});
    for (onto, expected) in [
        (&["d1", "d3"][..], &["move v1 d2 to d3 / end move"][..]),
        (&["d2", "d4", "d3"], &["move v1 d1 to d3 / end move"]),
        (
            &["d3", "d4", "d5"],
            &["move v1 d1 to d3 / end move", "move v1 d2 to d4 / end move"],
        ),
    ] {
        assert_eq!(plan(&mirror, &volume(onto)), expected, "{onto:?}");
    }
    mirror.refuses(&volume(&["d1", "d2"]), Kind::InvalidArgument, "already");
    mirror.refuses(&volume(&["d3"]), Kind::NoSpace, "a disk of its own");
    mirror.refuses(&volume(&[]), Kind::InvalidArgument, "different disks");
    mirror.refuses(
        &volume(&["d3", "d3"]),
        Kind::InvalidArgument,
        "different disks",
    );
    mirror.refuses(
        &volume(&["d3", "f1"]),
        Kind::InvalidArgument,
        "does not belong",
    );
    mirror.refuses(&volume(&["d3", "none"]), Kind::NotFound, "no disk none");
}

#[test]
fn a_linear_volume_goes_to_one_disk_where_that_has_room() {
    let spread = |first: u64| {
        with(Layout::Linear, |facts| {
            facts.volumes[0].pieces = vec![piece("d1", 0, first), piece("d2", 0, 1)];
        })
    };
    assert_eq!(
        plan(&spread(7), &volume(&["d4", "d3"])),
        ["move v1 d1 to d3 / end move", "move v1 d2 to d4 / end move"]
    );
    assert_eq!(
        plan(&spread(12), &volume(&["d4", "d3"])),
        [
            "move v1 d1 to d3 d4 / end move",
            "move v1 d2 to d4 / end move"
        ]
    );
    assert_eq!(
        plan(&spread(7), &volume(&["d1", "d3"])),
        ["move v1 d2 to d1 / end move"]
    );
    spread(16).refuses(&volume(&["d4", "d3"]), Kind::NoSpace, "on other disks");
}

#[test]
fn what_is_not_whole_or_not_ours_stays() {
    let refuses = |kind, about: &str, edit: &dyn Fn(&mut Facts)| {
        let world = with(Layout::Mirrored { copies: 2 }, edit);
        world.refuses(&volume(&["d3", "d4"]), kind, about);
    };
    refuses(Kind::InUse, "being brought into step", &|facts| {
        facts.volumes[0].behind = 1;
    });
    refuses(Kind::Unavailable, "repair volume", &|facts| {
        facts.disks[4].health = Health::Failed("gone".into());
    });
    refuses(Kind::AccessDenied, "not made by this array", &|facts| {
        facts.volumes[0].owner = Owner::Foreign;
    });
    refuses(Kind::NotSupported, "where its pool does", &|facts| {
        facts.volumes[0].pool = "thin".into();
    });
}

#[test]
fn a_thin_pool_moves_within_its_group() {
    let world = with(Layout::Linear, |_| {});
    // Its ten extents and those of its metadata fit on no disk but with another.
    assert_eq!(
        plan(&world, &pool("thin", &["d2", "d3"])),
        ["move thin d1 to d2 d3 / end move"]
    );
    let thin = |onto: &[&str]| pool("thin", onto);
    world.refuses(&thin(&["d3"]), Kind::NoSpace, "needs 44 MiB");
    world.refuses(&thin(&["d1"]), Kind::InvalidArgument, "nothing to move");
    let foreign = with(Layout::Linear, |facts| {
        facts.pools[1].owner = Owner::Foreign
    });
    foreign.refuses(&thin(&["d2", "d3"]), Kind::AccessDenied, "not moved by it");
}

#[test]
fn a_group_is_put_on_other_disks() {
    let world = || with(Layout::Mirrored { copies: 2 }, |_| {});
    let emptied = plan(&world(), &pool("pool", &["d1", "d3", "d4", "d5"]));
    assert_eq!(
        emptied,
        [
            "close d2 / open d2",
            "move v1 d2 to d3 / end move",
            "reduce group d2"
        ]
    );
    // A free disk joins it first.
    let joined = plan(&world(), &pool("pool", &["d1", "d3", "d4", "d5", "f1"]));
    assert_eq!(joined[0], "extend group f1 / reduce group f1");
    assert_eq!(joined[2], "move v1 d2 to f1 / end move");
    let foreign = with(Layout::Linear, |facts| {
        facts.volumes[1].owner = Owner::Foreign;
        facts.volumes[1].pieces = vec![piece("d2", 0, 1)];
    });
    let but_d2 = pool("pool", &["d1", "d3", "d4", "d5"]);
    foreign.refuses(&but_d2, Kind::AccessDenied, "not moved by it");
    let busy = with(Layout::Linear, |facts| {
        facts.volumes[1].job = Some(JobId::new());
        facts.volumes[1].pieces = vec![piece("d2", 0, 1)];
    });
    busy.refuses(&but_d2, Kind::InUse, "wait for that job");
    let all = pool("pool", &["d1", "d2", "d3", "d4", "d5"]);
    world().refuses(&all, Kind::InvalidArgument, "no other disks");
    let taken = pool("pool", &["d1", "t1"]);
    world().refuses(&taken, Kind::InUse, "cannot be used");
}
