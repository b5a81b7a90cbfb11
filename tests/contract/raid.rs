//! Layouts: where the legs lie, how they come into step, grow and shrink.

use standpipe::array::{
    DiskId, Health, JobId, Kind, Layout, Piece, Place, Pool, Step, Subject, Volume,
};

use super::Rig;
use super::bench::*;

/// Extents of a volume of that layout: three on each leg that holds data.
fn size_of(layout: Layout) -> u64 {
    3 * layout.data_legs()
}

/// Removes a finished volume.
fn remove(rig: &dyn Rig, volume: &Volume) {
    let (job, volume) = (JobId::new(), Subject::Known(volume.id.clone()));
    let mark = Step::Mark {
        volume: volume.clone(),
        job,
    };
    apply(rig, &mark);
    apply(rig, &Step::Remove { volume, job });
}

/// Compares where a volume lies by its pieces and by LVM's report with where it should.
#[track_caller]
fn lies_on(rig: &dyn Rig, volume: &Volume, disks: &[DiskId]) {
    let legs = rig.legs(&volume.id);
    assert_eq!(legs.len(), disks.len(), "{:?}", volume.layout);
    let rows = volume.size / volume.layout.data_legs();
    for ((number, leg), disk) in (0..).zip(&legs).zip(disks) {
        let device = disk_device(rig, disk);
        assert_eq!(*leg, [(device, rows)].into(), "{:?}", volume.layout);
        let pieces: Vec<&Piece> = volume.pieces.iter().filter(|p| p.leg == number).collect();
        assert!(pieces.iter().all(|piece| piece.disk == *disk));
        assert_eq!(pieces.iter().map(|piece| piece.length).sum::<u64>(), rows);
    }
    let all: u64 = volume.pieces.iter().map(|piece| piece.length).sum();
    assert_eq!(all, rows * disks.len() as u64);
    // No byte belongs to two pieces.
    let mut ends: Vec<_> = volume
        .pieces
        .iter()
        .map(|piece| (&piece.disk, piece.start, piece.start + piece.length))
        .collect();
    ends.sort();
    for pair in ends.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[0].2 <= pair[1].1, "{ends:?}");
    }
}

pub fn every_leg_lies_on_a_disk_of_its_own(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    for layout in LAYOUTS {
        let before = pool_now(rig, &group.id).expect("it is there");
        let place = on_last(&group, layout);
        let job = JobId::new();
        let extents = size_of(layout);
        let steps = creation_at(&group, job, extents, &place);
        apply(rig, &steps[0]);
        let begun = by_device(rig, &device(job)).expect("it is there");
        assert_eq!((begun.job, begun.layout), (Some(job), layout));
        apply(rig, &steps[0]);
        assert_eq!(rig.lvs_in(&group.id).len(), 1, "twice is once");
        steps[1..].iter().for_each(|step| apply(rig, step));
        let made = by_device(rig, &device(job)).expect("it is there");
        assert_eq!(made.size, extents * group.extent);
        assert_eq!(rig.lvs_in(&group.id)[&made.id].1, made.size);
        assert_eq!((made.job, &made.health), (None, &Health::Ok), "{layout:?}");
        let consumed = layout.consumed(extents) * group.extent;
        assert_eq!(made.consumed, Some(consumed), "{layout:?}");
        let after = pool_now(rig, &group.id).expect("it is there");
        assert_eq!(before.free - after.free, consumed, "{layout:?}");
        let Place::Disks { legs, .. } = &place else {
            unreachable!("it lies on disks");
        };
        lies_on(rig, &made, legs);
        remove(rig, &made);
        assert_eq!(pool_now(rig, &group.id), Some(before), "{layout:?}");
    }
}

pub fn a_new_volume_holds_zeros_and_then_what_is_written(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    for (lun, layout) in (1..).zip(LAYOUTS) {
        let made = finished_at(rig, &group, size_of(layout), &on_last(&group, layout));
        apply(rig, &Step::Map(map(rig, &made.id, &host("a"), lun)));
        assert_eq!(rig.capacity(&host("a"), lun), Some(made.size));
        assert!(
            rig.reads(&host("a"), lun, 0..made.size, 0),
            "{layout:?} shows old data"
        );
        let middle = group.extent..2 * group.extent;
        assert!(rig.writes(&host("a"), lun, middle.clone(), 0x3c));
        assert!(rig.reads(&host("a"), lun, middle, 0x3c), "{layout:?}");
        assert!(rig.reads(&host("a"), lun, 0..group.extent, 0));
        assert!(rig.reads(&host("a"), lun, 2 * group.extent..made.size, 0));
    }
}

pub fn an_impossible_layout_is_refused(rig: &mut dyn Rig) {
    let group = finished_group(rig, "narrow", &rig.spare_disks()[..3]);
    let [one, two, three] = &group.disks[..] else {
        panic!("three disks");
    };
    let create = |extents: u64, layout, legs: &[&DiskId]| {
        let place = Place::Disks {
            layout,
            legs: legs.iter().map(|id| (*id).clone()).collect(),
        };
        creation_at(&group, JobId::new(), extents, &place).remove(0)
    };
    let mirror = Layout::Mirrored { copies: 2 };
    let stripes = Layout::Striped { stripes: 2 };
    for (extents, layout, legs) in [
        (2, mirror, &[one][..]),
        (2, mirror, &[one, one]),
        (2, mirror, &[one, two, three]),
        (2, mirror, &[]),
        (3, stripes, &[one, two]),
        (2, Layout::Mirrored { copies: 1 }, &[one]),
        (2, Layout::Linear, &[one, two]),
    ] {
        refused(rig, &create(extents, layout, legs), Kind::InvalidArgument);
    }
    let outside = rig.spare_disks()[3].clone();
    refused(rig, &create(2, mirror, &[one, &outside]), Kind::NotFound);
    let free = disk(rig, one).expect("a disk").free() / group.extent;
    refused(rig, &create(free, mirror, &[one, two]), Kind::NoSpace);
    refused(
        rig,
        &create(free + 1, Layout::Linear, &[one]),
        Kind::NoSpace,
    );
    let most = create(free - 1, mirror, &[one, two]);
    apply(rig, &most);
}

/// Sets extents aside on the disks of the legs and zeroes them; returns the job.
fn reserve(rig: &dyn Rig, group: &Pool, layout: Layout, legs: &[DiskId], rows: u64) -> JobId {
    let job = JobId::new();
    let stripes = layout.legs();
    let place = Place::Disks {
        layout: Layout::Striped { stripes },
        legs: legs.to_vec(),
    };
    let steps = creation_at(group, job, rows * u64::from(stripes), &place);
    steps[..2].iter().for_each(|step| apply(rig, step));
    job
}

fn absorb(group: &Pool, volume: &Volume, rows: u64, job: JobId) -> Step {
    Step::Absorb {
        volume: volume.id.clone(),
        reserve: Subject::Made(group.id.clone(), device(job)),
        size: volume.size + rows * volume.layout.data_legs() * group.extent,
        job,
    }
}

pub fn growth_keeps_data_and_legs_and_adds_zeros(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    for (lun, layout) in (1..).zip(LAYOUTS) {
        let place = on_last(&group, layout);
        let before = finished_at(rig, &group, size_of(layout), &place);
        let Place::Disks { legs, .. } = &place else {
            unreachable!("it lies on disks");
        };
        // Something between the two parts, so that they are no neighbours.
        finished_at(rig, &group, 1, &on_disk(&legs[0]));
        written(rig, &before, lun, 0x5a);
        let free = pool_now(rig, &group.id).expect("it is there").free;
        let job = reserve(rig, &group, layout, legs, 2);
        let step = absorb(&group, &before, 2, job);
        apply(rig, &step);
        apply(
            rig,
            &Step::Sync {
                volume: Subject::Known(before.id.clone()),
            },
        );
        let after = volume(rig, &before.id).expect("still there");
        assert_eq!(after.size, 5 * layout.data_legs() * group.extent);
        assert_eq!((after.naa, &after.health), (before.naa, &Health::Ok));
        assert_eq!(by_device(rig, &device(job)), None);
        lies_on(rig, &after, legs);
        let taken = free - pool_now(rig, &group.id).expect("it is there").free;
        assert_eq!(taken, 2 * u64::from(layout.legs()) * group.extent);
        let a = host("a");
        assert_eq!(rig.capacity(&a, lun), Some(after.size), "{layout:?}");
        assert!(rig.reads(&a, lun, 0..before.size, 0x5a), "{layout:?}");
        assert!(rig.reads(&a, lun, before.size..after.size, 0), "{layout:?}");
        idle(rig, &step);
    }
}

pub fn a_reserve_on_other_disks_is_refused(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let layout = Layout::Mirrored { copies: 2 };
    let grows = finished_at(rig, &group, 2, &on_last(&group, layout));
    // The layout lies on the last two.
    let job = reserve(rig, &group, layout, &group.disks[2..4], 1);
    refused(rig, &absorb(&group, &grows, 1, job), Kind::InvalidArgument);
    let job = JobId::new();
    let steps = creation_at(&group, job, 1, &on_disk(&group.disks[4]));
    steps[..2].iter().for_each(|step| apply(rig, step));
    refused(rig, &absorb(&group, &grows, 1, job), Kind::InvalidArgument);
}

pub fn coming_into_step_reports_progress_and_can_be_cancelled(rig: &mut dyn Rig) {
    if !rig.slow_sync(true) {
        return;
    }
    let group = wide_group(rig);
    let layout = Layout::Mirrored { copies: 2 };
    let job = JobId::new();
    let steps = creation_at(&group, job, 40, &on_last(&group, layout));
    apply(rig, &steps[0]);
    let begun = by_device(rig, &device(job)).expect("it is there");
    let Health::Degraded(why) = &begun.health else {
        panic!("its legs are not in step: {:?}", begun.health);
    };
    assert!(why.len() > 20, "{why}");
    let cancelled = Noted {
        cancel_after: Some(1),
        ..Noted::default()
    };
    let error = rig.engine().apply(&steps[2], &cancelled);
    assert_eq!(error.expect_err("cancelled").kind, Kind::Unavailable);
    rig.slow_sync(false);
    let noted = Noted::default();
    rig.engine().apply(&steps[2], &noted).expect("in step");
    let reports = noted.reports.into_inner().expect("no panic");
    assert!(reports.is_sorted(), "{reports:?}");
    assert!(
        reports.iter().all(|(done, total)| done <= total),
        "{reports:?}"
    );
    let done = by_device(rig, &device(job)).expect("it is there");
    assert_eq!(done.health, Health::Ok);
    idle(rig, &steps[2]);
    let linear = finished_at(rig, &group, 1, &on_disk(&group.disks[0]));
    let volume = Subject::Known(linear.id);
    idle(rig, &Step::Sync { volume });
}

pub fn a_volume_shrinks_and_keeps_its_beginning(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let places = LAYOUTS.map(|layout| (on_last(&group, layout), layout));
    let linear = (Place::ANYWHERE, Layout::Linear);
    for (place, layout) in places.into_iter().chain([linear]) {
        let before = finished_at(rig, &group, size_of(layout), &place);
        let shown = written(rig, &before, 1, 0x42);
        apply(rig, &Step::Unmap(shown.clone()));
        let free = pool_now(rig, &group.id).expect("it is there").free;
        let size = before.size / 3;
        let step = Step::Shrink {
            volume: before.id.clone(),
            size,
        };
        apply(rig, &step);
        idle(rig, &step);
        let after = volume(rig, &before.id).expect("still there");
        assert_eq!((after.size, after.naa), (size, before.naa), "{layout:?}");
        let gained = pool_now(rig, &group.id).expect("it is there").free - free;
        assert_eq!(
            gained,
            2 * u64::from(layout.legs()) * group.extent,
            "{layout:?}"
        );
        apply(rig, &Step::Map(shown.clone()));
        assert_eq!(rig.capacity(&host("a"), 1), Some(size), "{layout:?}");
        assert!(rig.reads(&host("a"), 1, 0..size, 0x42), "{layout:?}");
        apply(rig, &Step::Unmap(shown));
        remove(rig, &after);
    }
}

pub fn a_volume_that_is_used_does_not_shrink(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let stripes = Layout::Striped { stripes: 2 };
    let used = finished_at(rig, &group, 6, &on_last(&group, stripes));
    let to = |size: u64| Step::Shrink {
        volume: used.id.clone(),
        size,
    };
    for size in [0, group.extent, 8 * group.extent, 2 * group.extent + 512] {
        refused(rig, &to(size), Kind::InvalidArgument);
    }
    rig.hold(&used.id, true);
    refused(rig, &to(2 * group.extent), Kind::InUse);
    rig.hold(&used.id, false);
    let shown = map(rig, &used.id, &host("a"), 1);
    apply(rig, &Step::Map(shown.clone()));
    refused(rig, &to(2 * group.extent), Kind::InUse);
    apply(rig, &Step::Unmap(shown));
    let job = JobId::new();
    let volume = Subject::Known(used.id.clone());
    let mark = Step::Mark {
        volume: volume.clone(),
        job,
    };
    apply(rig, &mark);
    refused(rig, &to(2 * group.extent), Kind::InUse);
    apply(rig, &Step::Unmark { volume, job });
    let theirs = rig.lvcreate_in(&group.id, "somebodys", 2 * group.extent);
    let step = Step::Shrink {
        volume: theirs,
        size: group.extent,
    };
    refused(rig, &step, Kind::AccessDenied);
}
