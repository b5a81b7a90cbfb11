//! Disks: what they are used for, what goes with one that is missing, and how that is repaired.

use standpipe::array::{
    DiskId, DiskUsage, Health, JobId, Kind, Layout, Place, Pool, Step, Subject, Volume,
};

use super::Rig;
use super::bench::*;

pub(super) const MIRROR: Layout = Layout::Mirrored { copies: 2 };

pub fn every_disk_is_listed_with_its_use(rig: &mut dyn Rig) {
    let facts = scan(rig);
    for id in rig.spare_disks() {
        let found: Vec<_> = facts.disks.iter().filter(|disk| disk.id == id).collect();
        let [disk] = found[..] else {
            panic!("{id} is listed {} times", found.len());
        };
        assert_eq!((&disk.usage, &disk.health), (&DiskUsage::Free, &Health::Ok));
        assert!(disk.device.starts_with("/dev/"), "{}", disk.device);
        assert!(disk.size > 70 * extent(rig));
    }
    let dirty = disk(rig, &rig.dirty_disk()).map(|disk| disk.usage);
    assert!(
        matches!(&dirty, None | Some(DiskUsage::Taken(_))),
        "{dirty:?}"
    );
    let pool = pool(rig);
    let of_pool = facts.disks.iter().filter(|d| d.pool() == Some(&pool.id));
    let (mut used, mut free) = (0, 0);
    for disk in of_pool.clone() {
        let DiskUsage::Member {
            used: u, free: f, ..
        } = disk.usage
        else {
            unreachable!("it belongs to a pool");
        };
        (used, free) = (used + u, free + f);
    }
    assert_eq!(of_pool.count(), pool.disks.len());
    assert_eq!((used, free), (pool.size - pool.free, pool.free));
}

/// What lies on the five disks when one is taken away: a volume on each of the first two, a mirror
/// on both, and one on the third.
pub(super) struct Scene {
    pub(super) group: Pool,
    pub(super) on_first: Volume,
    pub(super) mirror: Volume,
    pub(super) on_third: Volume,
}

pub(super) fn scene(rig: &dyn Rig) -> Scene {
    let group = wide_group(rig);
    let both = Place::Disks {
        layout: MIRROR,
        legs: group.disks[..2].to_vec(),
    };
    let scene = Scene {
        on_first: finished_at(rig, &group, 2, &on_disk(&group.disks[0])),
        mirror: finished_at(rig, &group, 4, &both),
        on_third: finished_at(rig, &group, 2, &on_disk(&group.disks[2])),
        group,
    };
    written(rig, &scene.on_first, 1, 0x11);
    written(rig, &scene.mirror, 2, 0x22);
    written(rig, &scene.on_third, 3, 0x33);
    scene
}

pub(super) fn health(rig: &dyn Rig, of: &Volume) -> Health {
    volume(rig, &of.id).expect("it is listed").health
}

pub fn a_missing_disk_touches_what_lies_on_it(rig: &mut dyn Rig) {
    let scene = scene(rig);
    let gone = scene.group.disks[0].clone();
    let device = disk_device(rig, &gone);
    if !rig.take_away(&gone) {
        return;
    }
    assert!(!rig.vgs()[&scene.group.id].disks.contains(&device));
    let group = pool_now(rig, &scene.group.id).expect("it is there");
    assert!(matches!(&group.health, Health::Degraded(why) if why.len() > 20));
    assert_eq!(group.available, 0);
    assert_eq!(pool(rig).health, Health::Ok, "the other pool is whole");
    let listed = disk(rig, &gone).map(|disk| disk.health);
    assert!(
        !matches!(listed, Some(Health::Ok)),
        "a missing disk is well"
    );
    assert!(matches!(health(rig, &scene.on_first), Health::Failed(_)));
    assert!(matches!(health(rig, &scene.mirror), Health::Degraded(_)));
    assert_eq!(health(rig, &scene.on_third), Health::Ok);
    let a = host("a");
    assert!(!rig.reads(&a, 1, 0..scene.on_first.size, 0x11));
    assert!(rig.reads(&a, 2, 0..scene.mirror.size, 0x22));
    assert!(rig.writes(&a, 2, 0..group.extent, 0x23));
    assert!(rig.reads(&a, 2, 0..group.extent, 0x23));
    assert!(rig.reads(&a, 3, 0..scene.on_third.size, 0x33));

    // Beyond what a mirror survives.
    let second = scene.group.disks[1].clone();
    assert!(rig.take_away(&second));
    assert!(matches!(health(rig, &scene.mirror), Health::Failed(_)));
    assert!(!rig.reads(&a, 2, 0..scene.mirror.size, 0x22));
    assert_eq!(health(rig, &scene.on_third), Health::Ok);
    rig.bring_back(&second);
    rig.bring_back(&gone);
    assert!(rig.reads(&a, 1, 0..scene.on_first.size, 0x11));
}

pub fn a_group_without_one_of_its_disks_is_not_changed(rig: &mut dyn Rig) {
    let group = finished_group(rig, "short", &rig.spare_disks()[..3]);
    let kept = finished_at(rig, &group, 2, &on_disk(&group.disks[0]));
    let (gone, job) = (group.disks[2].clone(), JobId::new());
    let reserve = creation_at(&group, job, 2, &on_disk(&group.disks[0]));
    reserve[..2].iter().for_each(|step| apply(rig, step));
    if !rig.take_away(&gone) {
        return;
    }
    let steps = [
        creation_at(&group, JobId::new(), 1, &Place::ANYWHERE).remove(0),
        Step::Rename {
            volume: kept.id.clone(),
            name: "other".to_owned(),
        },
        Step::Absorb {
            volume: kept.id.clone(),
            reserve: Subject::Made(group.id.clone(), device(job)),
            size: 4 * group.extent,
            job,
        },
        Step::Shrink {
            volume: kept.id.clone(),
            size: group.extent,
        },
        Step::CreateThinPool {
            group: group.id.clone(),
            device: "thin".to_owned(),
            name: "thin".to_owned(),
            size: group.extent,
            metadata: group.extent,
            job,
        },
        Step::MarkGroup {
            group: group.id.clone(),
            job,
        },
        Step::RenamePool {
            pool: group.id.clone(),
            name: "other".to_owned(),
        },
        Step::ReduceGroup {
            group: group.id.clone(),
            disks: vec![group.disks[1].clone()],
        },
    ];
    for step in &steps {
        refused(rig, step, Kind::Unavailable);
    }
    rig.bring_back(&gone);
}

pub(super) fn repair(volume: &Volume, onto: &[&DiskId]) -> Step {
    Step::Repair {
        volume: volume.id.clone(),
        onto: onto.iter().map(|id| (*id).clone()).collect(),
    }
}

/// Removes a volume and the group that it lies in.
fn clear_away(rig: &dyn Rig, group: &Pool, volume: &Volume) {
    let (job, volume) = (JobId::new(), Subject::Known(volume.id.clone()));
    let known = standpipe::array::VolumeGroup::Known(group.id.clone());
    for step in [
        Step::Mark {
            volume: volume.clone(),
            job,
        },
        Step::Remove { volume, job },
        Step::MarkGroup {
            group: group.id.clone(),
            job,
        },
        Step::RemoveGroup {
            group: known,
            job,
            disks: Vec::new(),
        },
    ] {
        apply(rig, &step);
    }
}

pub fn a_repair_restores_redundancy(rig: &mut dyn Rig) {
    for layout in LAYOUTS.into_iter().filter(|l| l.survives() > 0) {
        // One disk more than legs.
        let legs = usize::from(layout.legs());
        let group = finished_group(rig, layout.name(), &rig.spare_disks()[..legs + 1]);
        let place = on_last(&group, layout);
        let made = finished_at(rig, &group, 2 * layout.data_legs(), &place);
        let shown = written(rig, &made, 1, 0x66);
        let gone = group.disks[legs].clone();
        let device = disk_device(rig, &gone);
        if !rig.take_away(&gone) {
            return;
        }
        let fresh = &group.disks[0];
        let step = repair(&made, &[fresh]);
        apply(rig, &step);
        let volume_of = Subject::Known(made.id.clone());
        apply(rig, &Step::Sync { volume: volume_of });
        let drop = Step::DropMissing {
            group: group.id.clone(),
        };
        apply(rig, &drop);
        let after = volume(rig, &made.id).expect("still there");
        assert_eq!(after.health, Health::Ok, "{layout:?}");
        assert_eq!((after.size, after.naa), (made.size, made.naa));
        assert!(after.pieces.iter().all(|piece| piece.disk != gone));
        let on: Vec<_> = rig.legs(&made.id).into_iter().flatten().collect();
        assert_eq!(on.len(), legs, "{layout:?}: {on:?}");
        assert!(on.iter().any(|(d, _)| *d == disk_device(rig, fresh)));
        let whole = pool_now(rig, &group.id).expect("it is there");
        assert_eq!(whole.health, Health::Ok);
        assert_eq!(whole.disks.len(), legs);
        assert!(!rig.vgs()[&group.id].disks.contains(&device));
        assert!(rig.reads(&host("a"), 1, 0..made.size, 0x66), "{layout:?}");
        idle(rig, &step);
        idle(rig, &drop);

        // The new leg holds what the lost one held: as many more losses as it survives take nothing.
        let more = usize::from(layout.survives());
        let others = group.disks[legs - more..legs].to_vec();
        assert!(others.iter().all(|other| rig.take_away(other)));
        assert!(rig.reads(&host("a"), 1, 0..made.size, 0x66), "{layout:?}");
        others.iter().for_each(|other| rig.bring_back(other));
        apply(rig, &Step::Unmap(shown));
        clear_away(rig, &group, &made);
        // It still bears the sign of the group, and is no disk to make pools from.
        rig.bring_back(&gone);
        let usage = disk(rig, &gone).map(|disk| disk.usage);
        assert!(!matches!(usage, Some(DiskUsage::Member { .. })));
        rig.wipe(&gone);
    }
}

pub fn an_impossible_repair_is_refused(rig: &mut dyn Rig) {
    let scene = scene(rig);
    let [first, second, third, fourth, _] = &scene.group.disks[..] else {
        panic!("five disks");
    };
    let full = disk(rig, fourth).expect("a disk").free() / scene.group.extent;
    finished_at(rig, &scene.group, full, &on_disk(fourth));
    let theirs = rig.lvcreate_in(&scene.group.id, "somebodys", scene.group.extent);
    let theirs = volume(rig, &theirs).expect("it is shown");
    if !rig.take_away(first) {
        return;
    }
    refused(
        rig,
        &repair(&scene.mirror, &[second]),
        Kind::InvalidArgument,
    );
    refused(rig, &repair(&scene.mirror, &[]), Kind::InvalidArgument);
    refused(rig, &repair(&scene.mirror, &[first]), Kind::InvalidArgument);
    let outside = &rig.dirty_disk();
    refused(
        rig,
        &repair(&scene.mirror, &[outside]),
        Kind::InvalidArgument,
    );
    refused(rig, &repair(&scene.mirror, &[fourth]), Kind::NoSpace);
    refused(rig, &repair(&scene.on_first, &[third]), Kind::Unavailable);
    refused(rig, &repair(&theirs, &[third]), Kind::AccessDenied);
    // What still lies on a missing disk keeps it in its group.
    idle(
        rig,
        &Step::DropMissing {
            group: scene.group.id.clone(),
        },
    );
    rig.bring_back(first);
}

pub fn nothing_missing_is_nothing_to_repair(rig: &mut dyn Rig) {
    let scene = scene(rig);
    idle(rig, &repair(&scene.mirror, &[&scene.group.disks[3]]));
    idle(rig, &repair(&scene.on_third, &[]));
    idle(
        rig,
        &Step::DropMissing {
            group: scene.group.id,
        },
    );
}

pub(super) fn refresh(volume: &Volume) -> Step {
    Step::Refresh {
        volume: volume.id.clone(),
    }
}

pub(super) fn sync(volume: &Volume) -> Step {
    Step::Sync {
        volume: Subject::Known(volume.id.clone()),
    }
}

/// Which legs are stale, and which fail.
pub(super) fn trouble(rig: &dyn Rig, of: &Volume) -> (Vec<u16>, Vec<u16>) {
    let found = volume(rig, &of.id).expect("it is listed").trouble;
    let list = |legs: std::collections::BTreeSet<u16>| legs.into_iter().collect();
    (list(found.stale), list(found.failing))
}

pub fn a_leg_that_fails_is_put_elsewhere(rig: &mut dyn Rig) {
    let a = &host("a");
    for layout in LAYOUTS.into_iter().filter(|l| l.survives() > 0) {
        // One disk more than legs.
        let legs = usize::from(layout.legs());
        // The first leg and the last: LVM's own repair takes the one that works for the other.
        for leg in [0, legs - 1] {
            let group = finished_group(rig, layout.name(), &rig.spare_disks()[..legs + 1]);
            let extent = group.extent;
            let place = on_last(&group, layout);
            let made = finished_at(rig, &group, 2 * layout.data_legs(), &place);
            let shown = written(rig, &made, 1, 0x66);
            let disk_of = |leg: usize| group.disks[legs - leg].clone();
            let (bad, fresh) = (disk_of(leg), &group.disks[0]);
            let step = repair(&made, &[fresh]);
            if !rig.spoil(&bad) {
                return;
            }
            // A host goes on, and what it writes now is only on the legs that are left.
            assert!(rig.writes(a, 1, 0..made.size, 0x67), "{layout:?}");
            let number = u16::try_from(leg).expect("a leg");
            assert_eq!(trouble(rig, &made), (vec![], vec![number]), "{layout:?}");
            assert!(matches!(health(rig, &made), Health::Degraded(why) if why.contains("repair")));
            let whole = pool_now(rig, &group.id).expect("it is there");
            assert_eq!(whole.health, Health::Ok, "no disk is missing");
            refused(rig, &repair(&made, &[]), Kind::InvalidArgument);
            refused(rig, &repair(&made, &[&bad]), Kind::InvalidArgument);

            apply(rig, &step);
            assert!(rig.writes(a, 1, 0..extent, 0x68), "{layout:?}");
            apply(rig, &sync(&made));
            let after = volume(rig, &made.id).expect("still there");
            assert_eq!(after.health, Health::Ok, "{layout:?}");
            assert!(after.trouble.is_empty());
            assert_eq!((after.size, after.naa), (made.size, made.naa));
            let on: Vec<_> = rig.legs(&made.id).into_iter().flatten().collect();
            assert_eq!(on.len(), legs, "{layout:?}: {on:?}");
            let is_on = |id: &DiskId| on.iter().any(|(d, _)| *d == disk_device(rig, id));
            assert!(is_on(fresh) && !is_on(&bad), "{layout:?}: {on:?}");
            idle(rig, &step);

            // The new leg holds what the host wrote: the loss of its neighbour takes nothing.
            let second = disk_of(if leg == 0 { 1 } else { leg - 1 });
            assert!(rig.take_away(&second));
            assert!(rig.reads(a, 1, 0..extent, 0x68), "{layout:?}");
            assert!(rig.reads(a, 1, extent..made.size, 0x67), "{layout:?}");
            rig.bring_back(&second);
            apply(rig, &Step::Unmap(shown));
            clear_away(rig, &group, &made);
            rig.bring_back(&bad);
        }
    }
}

pub fn a_leg_is_replaced_only_from_others_that_are_in_step(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let place = Place::Disks {
        layout: Layout::Mirrored { copies: 3 },
        legs: group.disks[..3].to_vec(),
    };
    let made = finished_at(rig, &group, 20, &place);
    written(rig, &made, 1, 0x44);
    let a = &host("a");
    if !rig.spoil(&group.disks[2]) || !rig.slow_sync(true) {
        return;
    }
    assert!(rig.writes(a, 1, 0..made.size, 0x45));
    apply(rig, &repair(&made, &[&group.disks[3]]));
    // While the new leg has not caught up, another one fails: one leg holds all that there is.
    assert!(rig.spoil(&group.disks[1]));
    assert!(rig.writes(a, 1, 0..group.extent, 0x45));
    assert_eq!(trouble(rig, &made), (vec![], vec![1]));
    let step = repair(&made, &[&group.disks[4]]);
    let error = rig.engine().apply(&step, &standpipe::array::Unwatched);
    assert_eq!(error.map_err(|e| e.kind), Err(Kind::Unavailable));
    let on: Vec<_> = rig.legs(&made.id).into_iter().flatten().collect();
    let is_on = |id: &DiskId| on.iter().any(|(d, _)| *d == disk_device(rig, id));
    assert!(is_on(&group.disks[1]) && !is_on(&group.disks[4]), "{on:?}");
    assert!(rig.reads(a, 1, 0..made.size, 0x45));
    rig.slow_sync(false);
}

pub fn a_disk_that_came_back_is_opened_anew(rig: &mut dyn Rig) {
    let scene = scene(rig);
    let a = &host("a");
    let (on_first, mirror) = (&scene.on_first, &scene.mirror);
    let (first, second) = (&scene.group.disks[0], &scene.group.disks[1]);
    idle(rig, &refresh(on_first));
    if !rig.take_away(first) {
        return;
    }
    idle(rig, &refresh(on_first));
    assert!(rig.writes(a, 2, 0..scene.group.extent, 0x23));
    rig.put_back(first);
    let whole = pool_now(rig, &scene.group.id).expect("it is there");
    assert_eq!(whole.health, Health::Ok, "no disk is missing any more");
    for volume in [on_first, mirror] {
        assert_eq!(trouble(rig, volume), (vec![0], vec![]));
        assert!(matches!(health(rig, volume), Health::Degraded(why) if why.contains("repair")));
    }
    assert_eq!(health(rig, &scene.on_third), Health::Ok);
    assert!(!rig.reads(a, 1, 0..on_first.size, 0x11));
    assert!(rig.reads(a, 2, 0..scene.group.extent, 0x23));

    apply(rig, &refresh(on_first));
    assert_eq!(health(rig, on_first), Health::Ok);
    assert!(rig.reads(a, 1, 0..on_first.size, 0x11));
    apply(rig, &refresh(mirror));
    apply(rig, &sync(mirror));
    assert_eq!(health(rig, mirror), Health::Ok);
    idle(rig, &refresh(mirror));
    idle(rig, &repair(mirror, &[]));
    // The leg that came back holds what was written meanwhile.
    assert!(rig.take_away(second));
    assert!(rig.reads(a, 2, 0..scene.group.extent, 0x23));
    assert!(rig.reads(a, 2, scene.group.extent..mirror.size, 0x22));
    rig.bring_back(second);
}
