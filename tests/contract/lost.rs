//! A disk that is lost for good, or that comes back late: how its group gets out of that.

use standpipe::array::{
    DiskUsage, Health, JobId, Kind, Layout, Place, Pool, Snap, Step, Subject, Unwatched, Volume,
    VolumeGroup,
};

use super::Rig;
use super::bench::*;
use super::disks::{MIRROR, health, refresh, repair, scene, sync, trouble};

fn dropping(group: &Pool) -> Step {
    Step::DropMissing {
        group: group.id.clone(),
    }
}

fn taking_back(group: &Pool) -> Step {
    Step::TakeBack {
        group: group.id.clone(),
    }
}

/// The steps that remove a volume.
fn removal(volume: &Volume) -> [Step; 2] {
    let (job, volume) = (JobId::new(), Subject::Known(volume.id.clone()));
    let mark = Step::Mark {
        volume: volume.clone(),
        job,
    };
    [mark, Step::Remove { volume, job }]
}

pub fn volumes_on_a_dead_disk_are_removed_and_the_disk_is_dropped(rig: &mut dyn Rig) {
    let scene = scene(rig);
    let group = &scene.group;
    let place = Place::Disks {
        layout: Layout::Striped { stripes: 2 },
        legs: vec![group.disks[1].clone(), group.disks[0].clone()],
    };
    let striped = finished_at(rig, group, 4, &place);
    let kept = finished_at(rig, group, 2, &on_disk(&group.disks[1]));
    written(rig, &kept, 4, 0x44);
    let gone = group.disks[0].clone();
    let device = disk_device(rig, &gone);
    if !rig.take_away(&gone) {
        return;
    }
    let a = &host("a");
    let is_kept = |rig: &dyn Rig| {
        assert!(rig.reads(a, 4, 0..kept.size, 0x44));
        assert_eq!(health(rig, &kept), Health::Ok);
    };
    let drop = dropping(group);
    // That a leg of the mirror is lost the kernel notices when it is written to.
    assert!(rig.writes(a, 2, 0..group.extent, 0x22));
    // A volume that hosts see stays, and so does one without the mark of the job.
    let [mark, remove] = removal(&scene.on_first);
    refused(rig, &mark, Kind::InUse);
    let hidden = |volume: &Volume, lun| Step::Unmap(map(rig, &volume.id, a, lun));
    apply(rig, &hidden(&scene.on_first, 1));
    refused(rig, &remove, Kind::InUse);
    apply(rig, &mark);
    let Step::Mark { volume, job } = mark.clone() else {
        panic!("a mark");
    };
    apply(rig, &Step::Unmark { volume, job });
    refused(rig, &remove, Kind::InUse);
    for step in [mark, remove.clone()] {
        apply(rig, &step);
    }
    idle(rig, &remove);
    assert!(!rig.lvs_in(&group.id).contains_key(&scene.on_first.id));
    idle(rig, &drop);
    is_kept(rig);

    // A whole one goes as well, and one of which half is there.
    apply(rig, &hidden(&scene.on_third, 3));
    for volume in [&scene.on_third, &striped] {
        removal(volume).iter().for_each(|step| apply(rig, step));
        assert!(!rig.lvs_in(&group.id).contains_key(&volume.id));
    }
    idle(rig, &drop);
    assert!(rig.reads(a, 2, 0..scene.mirror.size, 0x22));
    apply(rig, &hidden(&scene.mirror, 2));
    removal(&scene.mirror)
        .iter()
        .for_each(|step| apply(rig, step));
    is_kept(rig);

    // Nothing lies on the disk any more: the group lets go of it, and can be changed again.
    apply(rig, &drop);
    idle(rig, &drop);
    let whole = pool_now(rig, &group.id).expect("it is there");
    assert_eq!((&whole.health, whole.disks.len()), (&Health::Ok, 4));
    assert!(!rig.vgs()[&group.id].disks.contains(&device));
    assert_eq!(rig.lvs_in(&group.id).len(), 1);
    finished_at(rig, &whole, 2, &on_disk(&group.disks[1]));
    is_kept(rig);
    rig.bring_back(&gone);
    let usage = disk(rig, &gone).map(|disk| disk.usage);
    assert!(!matches!(usage, Some(DiskUsage::Member { .. })));
}

/// Lets new things be laid on the disk of that number alone, while something is made.
fn only_on<T>(rig: &dyn Rig, group: &Pool, number: usize, make: impl FnOnce() -> T) -> T {
    let others = || {
        let disks = group.disks.iter().enumerate();
        disks.filter(|(place, _)| *place != number)
    };
    for (_, disk) in others() {
        let (group, disk) = (group.id.clone(), disk.clone());
        apply(rig, &Step::CloseDisk { group, disk });
    }
    let made = make();
    for (_, disk) in others() {
        let (group, disk) = (group.id.clone(), disk.clone());
        apply(rig, &Step::OpenDisk { group, disk });
    }
    made
}

/// A snapshot that keeps what changes, with room for all of it.
fn snapshot_of(rig: &dyn Rig, group: &Pool, source: &Volume) -> Volume {
    let job = JobId::new();
    let of = vec![Snap {
        source: source.id.clone(),
        device: device(job),
        name: "moment".to_owned(),
        room: Some(source.size + 2 * group.extent),
    }];
    let group = group.id.clone();
    let volume = Subject::Made(group.clone(), device(job));
    apply(rig, &Step::Snapshot { group, of, job });
    apply(rig, &Step::Unmark { volume, job });
    by_device(rig, &device(job)).expect("the snapshot")
}

pub fn snapshots_and_thin_pools_on_a_dead_disk_are_removed(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let source = finished_at(rig, &group, 2, &on_disk(&group.disks[1]));
    let lost = finished_at(rig, &group, 2, &on_disk(&group.disks[0]));
    written(rig, &source, 1, 0x11);
    let (first, second, pool, thin) = only_on(rig, &group, 0, || {
        let first = snapshot_of(rig, &group, &source);
        let second = snapshot_of(rig, &group, &lost);
        let pool = finished_thin_pool(rig, &group, 4);
        let thin = finished_at(rig, &group, 2, &Place::Thin(pool.id.clone()));
        (first, second, pool, thin)
    });
    let gone = group.disks[0].clone();
    if !rig.take_away(&gone) {
        return;
    }
    let a = &host("a");
    assert!(rig.writes(a, 1, 0..group.extent, 0x12));
    // A source goes after what is nothing without it.
    let [mark, remove] = removal(&lost);
    apply(rig, &mark);
    let error = rig.engine().apply(&remove, &Unwatched);
    assert_eq!(error.map_err(|e| e.kind), Err(Kind::HasDependents));
    let snapshots = [&first, &second].into_iter().flat_map(removal);
    for step in snapshots.chain([remove]).chain(removal(&thin)) {
        apply(rig, &step);
    }
    assert!(rig.reads(a, 1, 0..group.extent, 0x12));
    assert!(rig.reads(a, 1, group.extent..source.size, 0x11));
    let (job, volume) = (JobId::new(), Subject::Pool(pool.id));
    let mark = Step::Mark {
        volume: volume.clone(),
        job,
    };
    apply(rig, &mark);
    apply(rig, &Step::Remove { volume, job });
    apply(rig, &dropping(&group));
    let whole = pool_now(rig, &group.id).expect("it is there");
    assert_eq!((&whole.health, whole.disks.len()), (&Health::Ok, 4));
    let left: Vec<_> = rig.lvs_in(&group.id).into_keys().collect();
    assert_eq!(left, [source.id]);
    rig.bring_back(&gone);
}

pub fn a_lost_leg_moves_to_a_disk_that_is_added_then(rig: &mut dyn Rig) {
    let spares = rig.spare_disks();
    let group = finished_group(rig, "narrow", &spares[..2]);
    let made = finished_at(rig, &group, 4, &on_last(&group, MIRROR));
    written(rig, &made, 1, 0x55);
    let (gone, fresh) = (&group.disks[0], &spares[2]);
    if !rig.take_away(gone) {
        return;
    }
    let a = &host("a");
    // That a leg is lost the kernel notices when it is written to.
    assert!(rig.writes(a, 1, 0..group.extent, 0x55));
    refused(rig, &repair(&made, &[fresh]), Kind::InvalidArgument);
    let extend = Step::ExtendGroup {
        group: group.id.clone(),
        disks: vec![fresh.clone()],
    };
    apply(rig, &extend);
    idle(rig, &extend);
    for step in [repair(&made, &[fresh]), dropping(&group), sync(&made)] {
        apply(rig, &step);
    }
    assert_eq!(health(rig, &made), Health::Ok);
    let whole = pool_now(rig, &group.id).expect("it is there");
    assert_eq!((&whole.health, whole.disks.len()), (&Health::Ok, 2));
    assert!(whole.disks.contains(fresh));
    assert!(rig.take_away(&group.disks[1]));
    assert!(rig.reads(a, 1, 0..made.size, 0x55));
    rig.bring_back(&group.disks[1]);
    rig.bring_back(gone);
}

pub fn a_disk_that_came_back_late_is_taken_back(rig: &mut dyn Rig) {
    let scene = scene(rig);
    let (group, on_first, mirror) = (&scene.group, &scene.on_first, &scene.mirror);
    let place = Place::Disks {
        layout: MIRROR,
        legs: vec![group.disks[0].clone(), group.disks[2].clone()],
    };
    let other = finished_at(rig, group, 4, &place);
    written(rig, &other, 4, 0x44);
    let snapshot = only_on(rig, group, 0, || snapshot_of(rig, group, &scene.on_third));
    let (a, extent) = (&host("a"), group.extent);
    idle(rig, &taking_back(group));
    let first = &group.disks[0];
    if !rig.take_away(first) {
        return;
    }
    idle(rig, &taking_back(group));
    // What is repaired is noted down: that the disk is missing is, too, because more lies on it.
    assert!(rig.writes(a, 2, 0..extent, 0x23));
    assert!(rig.writes(a, 4, 0..extent, 0x45));
    for step in [repair(mirror, &[&group.disks[3]]), sync(mirror)] {
        apply(rig, &step);
    }
    idle(rig, &dropping(group));
    rig.put_back(first);
    let now = disk(rig, first).expect("it is there");
    assert!(now.is_returned() && now.free() == 0);
    assert!(matches!(now.health, Health::Degraded(why) if why.contains("repair")));
    let pool = pool_now(rig, &group.id).expect("it is there");
    assert!(matches!(pool.health, Health::Degraded(_)));
    assert_eq!(pool.available, 0);
    for volume in [on_first, &other] {
        assert_eq!(trouble(rig, volume), (vec![0], vec![]));
        assert!(matches!(health(rig, volume), Health::Degraded(why) if why.contains("repair")));
    }
    assert_eq!(health(rig, mirror), Health::Ok);
    assert!(!rig.reads(a, 1, 0..on_first.size, 0x11));
    assert!(rig.reads(a, 4, 0..extent, 0x45));
    idle(rig, &repair(&other, &[]));
    refused(rig, &refresh(on_first), Kind::Unavailable);
    let rename = Step::Rename {
        volume: on_first.id.clone(),
        name: "other".to_owned(),
    };
    refused(rig, &rename, Kind::Unavailable);
    // A snapshot on that disk has missed what changed.
    refused(rig, &taking_back(group), Kind::Unavailable);
    removal(&snapshot).iter().for_each(|step| apply(rig, step));

    apply(rig, &taking_back(group));
    idle(rig, &taking_back(group));
    let now = disk(rig, first).expect("it is there");
    assert!(!now.is_returned() && now.free() > 0);
    assert_eq!(now.health, Health::Ok);
    assert_eq!(pool_now(rig, &group.id).expect("there").health, Health::Ok);
    apply(rig, &refresh(on_first));
    assert_eq!(health(rig, on_first), Health::Ok);
    assert!(rig.reads(a, 1, 0..on_first.size, 0x11));
    for step in [refresh(&other), sync(&other)] {
        apply(rig, &step);
    }
    assert_eq!(health(rig, &other), Health::Ok);
    assert_eq!(health(rig, mirror), Health::Ok);
    assert!(rig.reads(a, 2, 0..extent, 0x23));
    finished_at(rig, group, 1, &on_disk(first));
    // The leg that came back holds what was written meanwhile.
    assert!(rig.take_away(&group.disks[2]));
    assert!(rig.reads(a, 4, 0..extent, 0x45));
    assert!(rig.reads(a, 4, extent..other.size, 0x44));
    rig.bring_back(&group.disks[2]);
}

pub fn a_boot_without_a_disk_shows_what_is_left(rig: &mut dyn Rig) {
    let scene = scene(rig);
    let (group, on_first, mirror) = (&scene.group, &scene.on_first, &scene.mirror);
    let a = host("a");
    let volumes = [on_first, mirror, &scene.on_third];
    let maps = (1..).zip(volumes).map(|(lun, v)| map(rig, &v.id, &a, lun));
    let maps: Vec<_> = maps.collect();
    let gone = group.disks[0].clone();
    if !rig.take_away(&gone) {
        return;
    }
    rig.reboot();
    let groups = [VolumeGroup::Known(group.id.clone())];
    rig.engine().manage(&groups, &[]).expect("it is ours");
    let error = rig.engine().converge(&maps).expect_err("one is lost");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    let shown = rig.luns(&a).expect("a login");
    assert_eq!(shown.into_keys().collect::<Vec<_>>(), [2, 3]);
    assert!(rig.reads(&a, 2, 0..mirror.size, 0x22));
    assert!(rig.writes(&a, 2, 0..group.extent, 0x23));
    assert!(rig.reads(&a, 3, 0..scene.on_third.size, 0x33));
    assert!(matches!(health(rig, on_first), Health::Failed(_)));
    assert!(matches!(health(rig, mirror), Health::Degraded(_)));
    assert_eq!(health(rig, &scene.on_third), Health::Ok);

    // With the disk there again, what was left out is shown.
    rig.bring_back(&gone);
    rig.engine().converge(&maps).expect("all is there");
    assert_eq!(rig.luns(&a).expect("a login").len(), 3);
    assert!(rig.reads(&a, 1, 0..on_first.size, 0x11));
    apply(rig, &sync(mirror));
    assert_eq!(health(rig, mirror), Health::Ok);
    assert!(rig.take_away(&group.disks[1]));
    assert!(rig.reads(&a, 2, 0..group.extent, 0x23));
    assert!(rig.reads(&a, 2, group.extent..mirror.size, 0x22));
    rig.bring_back(&group.disks[1]);
}
