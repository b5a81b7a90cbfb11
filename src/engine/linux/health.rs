//! How well pools and volumes are, in a sentence that says what to do.

use std::collections::{BTreeMap, BTreeSet};

use super::dm;
use super::lvm::report::VgRow;
use super::lvm::shape::Shape;
use crate::array::{Disk, DiskId, Health, Layout, Torn, Trouble, Volume, VolumeId};

/// Whether a layout has its data without these legs.
fn survives(layout: Layout, lost: &BTreeSet<u16>) -> bool {
    match layout {
        // Legs are in pairs, each with the same.
        Layout::MirroredStripes { .. } => !lost.iter().any(|leg| lost.contains(&(leg ^ 1))),
        _ => lost.len() <= usize::from(layout.survives()),
    }
}

/// The disks that a group has lost, by the UUID of their physical volume: how they were called.
pub(super) type Lost = BTreeMap<String, String>;

/// The lost disks among those with these identities by physical volume.
pub(super) fn lost(disks: &[Disk], ids: &BTreeMap<String, DiskId>) -> Lost {
    let failed: BTreeMap<&DiskId, &Disk> = disks
        .iter()
        .filter(|disk| matches!(disk.health, Health::Failed(_)))
        .map(|disk| (&disk.id, disk))
        .collect();
    let lost = ids.iter().filter_map(|(pv, id)| {
        let disk = failed.get(id)?;
        Some((pv.clone(), disk.device.clone()))
    });
    lost.collect()
}

/// How well a volume or the data of a thin pool is that lies so, as far as its disks go.
pub(super) fn of_shape(
    shape: &Shape,
    lost: &Lost,
    trouble: &Trouble,
    raid: Option<&dm::Raid>,
) -> Health {
    let legs: BTreeSet<u16> = shape.stretches.iter().map(|stretch| stretch.leg).collect();
    let mut names = BTreeSet::new();
    // A leg that was taken from it without another in its place is lost, too.
    let mut gone: BTreeSet<u16> = match legs.is_empty() {
        true => BTreeSet::new(),
        false => (0..shape.layout.legs())
            .filter(|leg| !legs.contains(leg))
            .collect(),
    };
    for stretch in &shape.stretches {
        if let Some(name) = lost.get(&stretch.pv) {
            gone.insert(stretch.leg);
            names.insert(name.as_str());
        }
    }
    if !gone.is_empty() {
        let names: Vec<&str> = names.into_iter().collect();
        let disks = match &names[..] {
            [] => "a disk of it is gone".to_owned(),
            [name] => format!("disk {name} is missing or has failed"),
            names => format!("disks {} are missing or have failed", names.join(", ")),
        };
        return match survives(shape.layout, &gone) {
            true => Health::Degraded(format!(
                "{disks}; connect it again, or repair the volume onto another disk"
            )),
            false => Health::Failed(format!("{disks}; connect it again to get at its data")),
        };
    }
    if !trouble.stale.is_empty() {
        return Health::Degraded(
            "a disk of it was away and is there again, and what lies on it fails until the disk is \
             opened anew; repair the volume, or use lvchange --refresh"
                .into(),
        );
    }
    if !trouble.failing.is_empty() {
        return of_failing(shape.layout, &trouble.failing);
    }
    raid.map_or(Health::Ok, of_raid)
}

/// How well RAID is of which these legs fail.
fn of_failing(layout: Layout, failing: &BTreeSet<u16>) -> Health {
    let what = format!(
        "{} of its {} legs failed though the disks are there",
        failing.len(),
        layout.legs()
    );
    match survives(layout, failing) {
        true => Health::Degraded(format!(
            "{what}; repair the volume onto another disk, or where the disk is sound bring it back \
             with lvchange --refresh"
        )),
        false => Health::Failed(format!(
            "{what}; look at the kernel's log and at the disks, then bring them back with lvchange \
             --refresh"
        )),
    }
}

/// How well RAID is of which all legs work.
fn of_raid(raid: &dm::Raid) -> Health {
    if raid.is_in_step() {
        return Health::Ok;
    }
    let (done, total) = raid.in_step;
    if done >= total {
        return Health::Degraded(
            "its disks are not in step, and the kernel does not bring them there; look at the \
             kernel's log"
                .into(),
        );
    }
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    Health::Degraded(format!(
        "its disks are being brought into step, {percent} % is done; wait for it"
    ))
}

/// The worse of two, of equals the first.
pub(super) fn worse(one: Health, other: Health) -> Health {
    let rank = |health: &Health| match health {
        Health::Ok => 0,
        Health::Degraded(_) => 1,
        Health::Unknown(_) => 2,
        Health::Failed(_) => 3,
    };
    match rank(&other) > rank(&one) {
        true => other,
        false => one,
    }
}

/// How well a thin pool is, as the kernel tells it, in a group that lacks disks or does not.
pub(super) fn of_pool(status: Option<&dm::Pool>, is_partial: bool) -> Health {
    let (mode, needs_check, metadata) = match status {
        None if is_partial => {
            return Health::Failed(
                "the thin pool is not active, and disks of its volume group are missing; connect \
                 them again and activate it"
                    .into(),
            );
        }
        None => {
            return Health::Unknown(
                "the thin pool is not active, so nobody knows how full it is; activate it".into(),
            );
        }
        Some(dm::Pool::Failed) => {
            return Health::Failed(
                "the thin pool has failed and stays so though its disks are there again; take its \
                 volumes out of use, then deactivate and activate it, and only where that does not \
                 help repair it with lvconvert --repair"
                    .into(),
            );
        }
        Some(dm::Pool::Live {
            mode,
            needs_check,
            metadata,
            ..
        }) => (*mode, *needs_check, *metadata),
    };
    if needs_check {
        return Health::Failed(
            "the metadata of the thin pool must be checked; take its volumes out of use and \
             repair it with lvconvert --repair"
                .into(),
        );
    }
    match mode {
        // What is written already is read, and written again.
        dm::Mode::OutOfSpace => Health::Degraded(
            "the thin pool is full, so that hosts cannot write what is new; grow it".into(),
        ),
        dm::Mode::ReadOnly if metadata.0 >= metadata.1 => Health::Degraded(
            "the metadata of the thin pool is full, so that hosts cannot write what is new; grow it"
                .into(),
        ),
        dm::Mode::ReadOnly => Health::Failed(
            "the kernel lets nobody write to the thin pool; look at the kernel's log".into(),
        ),
        dm::Mode::Writable => Health::Ok,
    }
}

/// How well a thin pool is of which a disk was away and is there again.
pub(super) fn of_stale_pool() -> Health {
    Health::Degraded(
        "a disk of the thin pool was away and is there again, and what lies on it fails until the \
         disk is opened anew; take the volumes of the pool out of use, then deactivate and activate \
         it"
        .into(),
    )
}

/// What is wrong with a volume group, and with all that lies in it, of which a disk is there twice.
pub(super) fn of_copied(row: &VgRow) -> Option<Health> {
    let which = row.copy.as_ref()?;
    Some(Health::Degraded(format!("LVM says {which}")))
}

/// How well a volume group is, whose metadata has room for new volumes or has not.
pub(super) fn of_group(row: &VgRow, lost: &[&String], is_roomy: bool) -> Health {
    let names: Vec<&str> = lost.iter().map(|name| name.as_str()).collect();
    if let Some(copied) = of_copied(row) {
        copied
    } else if !row.vg_exported.is_empty() {
        Health::Failed("the volume group was exported; import it again".into())
    } else if row.vg_size.is_none() || row.vg_extent_size.is_none() {
        Health::Unknown("LVM does not tell the size".into())
    } else if !names.is_empty() {
        Health::Degraded(format!(
            "missing or failed: {}; connect it again, or repair the volumes that lie on it",
            names.join(", ")
        ))
    } else if !row.vg_partial.is_empty() {
        Health::Degraded(
            "LVM counts disks as missing; connect them again, or where they are repair a volume of \
             the pool, which takes them back"
                .into(),
        )
    } else if !is_roomy {
        Health::Degraded(
            "its metadata has no room for more volumes; delete volumes or snapshots that nobody \
             needs"
                .into(),
        )
    } else {
        Health::Ok
    }
}

/// How well a snapshot is that keeps what changes, as the kernel tells it.
pub(super) fn of_snapshot(snapshot: Option<dm::Snapshot>) -> Health {
    match snapshot {
        Some(dm::Snapshot::Lost) => Health::Failed(
            "more changed than the snapshot had room for, and its content is lost; delete it"
                .into(),
        ),
        Some(dm::Snapshot::Whole { .. }) | None => Health::Ok,
    }
}

/// How well a volume is that is torn, beside that.
pub(super) fn of_torn(health: Health, torn: Torn) -> Health {
    match health {
        Health::Failed(sentence) => Health::Failed(sentence),
        _ => Health::Failed(torn.sentence().into()),
    }
}

/// What needs another volume has failed where that one has.
pub(super) fn spread(volumes: &mut [Volume]) {
    let failed = volumes.iter();
    let failed = failed.filter(|volume| matches!(volume.health, Health::Failed(_)));
    let failed: BTreeSet<VolumeId> = failed.map(|volume| volume.id.clone()).collect();
    for volume in volumes {
        let needs_failed = volume.depends_on().is_some_and(|id| failed.contains(id));
        if needs_failed && !matches!(volume.health, Health::Failed(_)) {
            volume.health = Health::Failed(
                "the volume that it is a snapshot of has failed; look at that one".into(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::linux::lvm::shape::Stretch;

    fn shape(layout: Layout) -> Shape {
        let stretch = |leg| Stretch {
            pv: format!("pv-{leg}"),
            leg,
            first: 0,
            count: 1,
        };
        Shape {
            layout,
            stretches: (0..layout.legs()).map(stretch).collect(),
            extents: 1,
            ..Shape::default()
        }
    }

    fn lost(legs: &[u16]) -> Lost {
        let name = |leg: &u16| (format!("pv-{leg}"), format!("/dev/sd{leg}"));
        legs.iter().map(name).collect()
    }

    fn by_disks(shape: &Shape, lost: &Lost) -> Health {
        of_shape(shape, lost, &Trouble::default(), None)
    }

    #[test]
    fn redundancy_decides_between_degraded_and_failed() {
        let parity = |parity| Layout::Parity { stripes: 3, parity };
        let ten = Layout::MirroredStripes { stripes: 2 };
        for (layout, legs, is_readable) in [
            (Layout::Linear, &[0][..], false),
            (Layout::Striped { stripes: 2 }, &[1], false),
            (Layout::Mirrored { copies: 2 }, &[1], true),
            (Layout::Mirrored { copies: 3 }, &[0, 2], true),
            (Layout::Mirrored { copies: 2 }, &[0, 1], false),
            (parity(1), &[3], true),
            (parity(1), &[0, 3], false),
            (parity(2), &[0, 3], true),
            (ten, &[0, 2], true),
            (ten, &[2, 3], false),
        ] {
            let health = by_disks(&shape(layout), &lost(legs));
            let (sentence, readable) = match health {
                Health::Degraded(sentence) => (sentence, true),
                Health::Failed(sentence) => (sentence, false),
                other => panic!("{layout:?} {legs:?}: {other:?}"),
            };
            assert_eq!(readable, is_readable, "{layout:?} {legs:?}");
            assert!(
                sentence.contains(&format!("/dev/sd{}", legs[0])),
                "{sentence}"
            );
        }
        assert_eq!(by_disks(&shape(ten), &Lost::new()), Health::Ok);
        assert_eq!(by_disks(&Shape::default(), &lost(&[0])), Health::Ok);
    }

    #[test]
    fn a_leg_that_is_nowhere_is_lost() {
        let mut mirror = shape(Layout::Mirrored { copies: 2 });
        mirror.stretches.pop();
        let health = by_disks(&mirror, &Lost::new());
        assert!(matches!(health, Health::Degraded(_)), "{health:?}");
    }

    #[test]
    fn raid_tells_how_far_it_is() {
        let mirror = shape(Layout::Mirrored { copies: 2 });
        let mut raid = dm::Raid {
            works: vec![true, true],
            holds_all: vec![true, true],
            in_step: (50, 200),
            action: "resync".into(),
        };
        let none = Trouble::default();
        let health = |raid: &dm::Raid| of_shape(&mirror, &Lost::new(), &none, Some(raid));
        assert!(matches!(health(&raid), Health::Degraded(s) if s.contains("25 %")));
        raid.in_step.0 = 200;
        assert_eq!(health(&raid), Health::Ok);
        raid.holds_all[1] = false;
        assert!(matches!(health(&raid), Health::Degraded(s) if s.contains("not in step")));
    }

    #[test]
    fn legs_that_fail_or_are_stale_degrade_until_too_many_do() {
        let health = |layout, stale: &[u16], failing: &[u16]| {
            let trouble = Trouble {
                stale: stale.iter().copied().collect(),
                failing: failing.iter().copied().collect(),
            };
            of_shape(&shape(layout), &Lost::new(), &trouble, None)
        };
        let mirror = Layout::Mirrored { copies: 2 };
        let found = health(mirror, &[], &[1]);
        assert!(matches!(found, Health::Degraded(s) if s.contains("1 of its 2")));
        assert!(matches!(health(mirror, &[], &[0, 1]), Health::Failed(_)));
        for layout in [mirror, Layout::Linear] {
            let found = health(layout, &[0], &[]);
            assert!(matches!(found, Health::Degraded(s) if s.contains("repair the volume")));
        }
    }

    #[test]
    fn a_full_thin_pool_is_degraded_and_one_that_does_not_work_has_failed() {
        let live = |mode, needs_check, used| dm::Pool::Live {
            metadata: (used, 8),
            chunks: (1, 2),
            mode,
            needs_check,
        };
        let full = live(dm::Mode::OutOfSpace, false, 1);
        let metadata_full = live(dm::Mode::ReadOnly, false, 8);
        for (status, word) in [(full, "is full"), (metadata_full, "metadata")] {
            let health = of_pool(Some(&status), false);
            assert!(
                matches!(&health, Health::Degraded(s) if s.contains(word) && s.contains("grow it")),
                "{status:?}: {health:?}"
            );
        }
        for (status, word) in [
            (live(dm::Mode::ReadOnly, false, 1), "log"),
            (live(dm::Mode::Writable, true, 1), "checked"),
            (dm::Pool::Failed, "deactivate and activate"),
        ] {
            let health = of_pool(Some(&status), false);
            assert!(
                matches!(&health, Health::Failed(s) if s.contains(word)),
                "{status:?}: {health:?}"
            );
        }
        assert_eq!(
            of_pool(Some(&live(dm::Mode::Writable, false, 1)), true),
            Health::Ok
        );
        assert!(matches!(of_pool(None, false), Health::Unknown(_)));
        assert!(matches!(of_pool(None, true), Health::Failed(_)));
    }

    #[test]
    fn a_group_without_room_in_its_metadata_is_degraded() {
        let group = |partial: &str| -> VgRow {
            serde_json::from_value(serde_json::json!({
                "vg_name": "vg0", "vg_uuid": "u", "vg_size": "4096", "vg_extent_size": "4096",
                "vg_partial": partial,
            }))
            .expect("a row")
        };
        assert_eq!(of_group(&group(""), &[], true), Health::Ok);
        let copied = VgRow {
            copy: Some("that /dev/a and /dev/b bear the same identity".into()),
            ..group("")
        };
        let health = of_group(&copied, &[], true);
        assert!(matches!(health, Health::Degraded(s) if s.contains("/dev/a and /dev/b")));
        for (partial, word) in [("", "metadata"), ("partial", "missing")] {
            let health = of_group(&group(partial), &[], false);
            assert!(
                matches!(&health, Health::Degraded(s) if s.contains(word)),
                "{health:?}"
            );
        }
    }
}
