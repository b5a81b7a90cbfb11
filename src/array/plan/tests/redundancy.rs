//! Plans that change how many copies a volume has.

use super::storage::{piece, storage};
use super::world::*;
use super::*;
use crate::array::error::Kind;
use crate::array::layout::Layout;
use crate::array::model::*;
use crate::array::quality::Quality;

fn mirror(copies: u16) -> Layout {
    Layout::Mirrored { copies }
}

fn wish(survives: u16, copies: u16, stripes: u16) -> Command {
    Command::ChangeQuality {
        volume: "v1".into(),
        quality: Quality {
            survives: Some(survives),
            copies: Some(copies),
            stripe_length: Some(stripes),
            no_single_point_of_failure: false,
        },
    }
}

/// The storage with `v1` of that layout on the first disks, changed further.
fn with(layout: Layout, edit: impl FnOnce(&mut crate::array::engine::Facts)) -> World {
    let mut facts = storage();
    facts.volumes[0].layout = layout;
    let legs = (0..layout.legs()).zip(["d1", "d2", "d3"]);
    facts.volumes[0].pieces = legs.map(|(leg, disk)| piece(disk, leg, 2)).collect();
    edit(&mut facts);
    World::with(facts)
}

fn free(facts: &mut crate::array::engine::Facts, disk: usize, extents: u64) {
    if let DiskUsage::Member { free, .. } = &mut facts.disks[disk].usage {
        *free = extents * EXTENT;
    }
}

#[test]
fn copies_come_to_the_emptiest_disks_and_go_from_the_fullest() {
    let plan = |layout, wish| steps(&with(layout, |_| {}).plan(&wish).expect("a plan"));
    assert_eq!(
        plan(Layout::Linear, wish(1, 2, 1)),
        ["add copies d2 / drop copies d2", "sync"]
    );
    assert_eq!(
        plan(Layout::Linear, wish(2, 3, 1)),
        ["add copies d2 d3 / drop copies d2 d3", "sync"]
    );
    assert_eq!(
        plan(mirror(2), wish(2, 3, 1)),
        ["add copies d3 / drop copies d3", "sync"]
    );
    assert_eq!(plan(mirror(3), wish(1, 2, 1)), ["drop copies d3"]);
    assert_eq!(plan(mirror(3), wish(0, 1, 1)), ["drop copies d3 d2"]);
    with(mirror(2), |_| {}).refuses(&wish(1, 2, 1), Kind::InvalidArgument, "is RAID 1 already");
    // What goes is on the fullest disk, whichever leg that is.
    let full = with(mirror(2), |facts| free(facts, 0, 1));
    assert_eq!(
        steps(&full.plan(&wish(0, 1, 1)).expect("a plan")),
        ["drop copies d1"]
    );
}

#[test]
fn what_is_no_matter_of_copies_is_refused() {
    let plain = || with(Layout::Linear, |_| {});
    plain().refuses(&wish(1, 1, 3), Kind::NotSupported, "does not become RAID 5");
    plain().refuses(&wish(0, 1, 2), Kind::NotSupported, "does not become RAID 0");
    plain().refuses(
        &wish(1, 2, 2),
        Kind::NotSupported,
        "does not become RAID 10",
    );
    let striped = with(Layout::Striped { stripes: 2 }, |_| {});
    striped.refuses(&wish(0, 1, 1), Kind::NotSupported, "is RAID 0");
    let thin = with(Layout::Linear, |facts| {
        facts.volumes[0].pool = "thin".into()
    });
    thin.refuses(&wish(1, 2, 1), Kind::NotSupported, "as the pool itself is");
    let foreign = with(Layout::Linear, |facts| {
        facts.volumes[0].owner = Owner::Foreign;
    });
    foreign.refuses(&wish(1, 2, 1), Kind::AccessDenied, "not made by this array");
}

#[test]
fn a_volume_that_is_not_whole_or_has_no_room_keeps_its_copies() {
    let refuses = |layout, kind, about: &str, edit: &dyn Fn(&mut crate::array::engine::Facts)| {
        let more = layout == Layout::Linear;
        let wish = if more { wish(1, 2, 1) } else { wish(0, 1, 1) };
        with(layout, edit).refuses(&wish, kind, about);
    };
    refuses(
        mirror(2),
        Kind::InUse,
        "being brought into step",
        &|facts| {
            facts.volumes[0].behind = 1;
        },
    );
    refuses(mirror(2), Kind::Unavailable, "repair volume", &|facts| {
        facts.volumes[0].trouble.failing = [1].into();
    });
    refuses(
        Layout::Linear,
        Kind::Unavailable,
        "repair volume",
        &|facts| {
            facts.disks[4].health = Health::Failed("gone".into());
        },
    );
    refuses(Layout::Linear, Kind::NoSpace, "no free extent", &|facts| {
        free(facts, 0, 0);
    });
    refuses(
        Layout::Linear,
        Kind::NoSpace,
        "0 other disks with 12 MiB",
        &|facts| {
            (1..5).for_each(|disk| free(facts, disk, 2));
        },
    );
    refuses(Layout::Linear, Kind::NoSpace, "for new copies", &|facts| {
        facts.pools[0].available = 3 * EXTENT;
    });
    refuses(
        Layout::Linear,
        Kind::NotSupported,
        "move it to other disks",
        &|facts| {
            facts.volumes[0].pieces.push(piece("d2", 0, 1));
        },
    );
}

#[test]
fn a_volume_tells_what_it_survives_now() {
    let mut volume = volume("v");
    for (layout, behind, copies, survives) in [
        (Layout::Linear, 0, 1, 0),
        (mirror(2), 0, 2, 1),
        (mirror(2), 1, 1, 0),
        (mirror(2), 2, 1, 0),
        (mirror(3), 1, 2, 1),
        (Layout::MirroredStripes { stripes: 2 }, 0, 2, 1),
        (Layout::MirroredStripes { stripes: 2 }, 1, 1, 0),
        (
            Layout::Parity {
                stripes: 3,
                parity: 2,
            },
            1,
            1,
            1,
        ),
        (
            Layout::Parity {
                stripes: 3,
                parity: 2,
            },
            5,
            1,
            0,
        ),
    ] {
        (volume.layout, volume.behind) = (layout, behind);
        let now = (volume.copies(), volume.survives());
        assert_eq!(now, (copies, survives), "{layout:?}, {behind} behind");
    }
}
