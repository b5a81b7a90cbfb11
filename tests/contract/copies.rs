//! Copies that a volume gains and loses while it is used.

use standpipe::array::{Kind, Layout, Step, Subject};

use super::Rig;
use super::bench::*;

fn mirror(copies: u16) -> Layout {
    Layout::Mirrored { copies }
}

pub fn a_used_volume_gains_and_loses_copies(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let [one, two, three, four, ..] = &group.disks[..] else {
        panic!("five disks");
    };
    let linear = finished_at(rig, &group, 8, &on_disk(one));
    written(rig, &linear, 1, 0x61);
    let free = pool_now(rig, &group.id).expect("it is there").free;
    let id = linear.id.clone();
    let add = |disk: &standpipe::array::DiskId| Step::AddCopies {
        volume: id.clone(),
        onto: vec![disk.clone()],
    };
    let drop = |disk: &standpipe::array::DiskId| Step::DropCopies {
        volume: id.clone(),
        from: vec![disk.clone()],
    };
    let sync = Step::Sync {
        volume: Subject::Known(id.clone()),
    };
    let slow = rig.slow_sync(true);
    apply(rig, &add(two));
    let begun = volume(rig, &id).expect("it is there");
    assert_eq!(begun.layout, mirror(2));
    assert_eq!((begun.naa, begun.size), (linear.naa, linear.size));
    if slow {
        assert_eq!((begun.survives(), begun.copies()), (0, 1), "too early");
        apply(rig, &add(two));
    }
    // A host goes on meanwhile.
    let (a, part) = (host("a"), 2 * group.extent..4 * group.extent);
    assert!(rig.writes(&a, 1, part.clone(), 0x62));
    rig.slow_sync(false);
    apply(rig, &sync);
    let done = volume(rig, &id).expect("it is there");
    assert_eq!((done.survives(), done.copies()), (1, 2));
    idle(rig, &add(two));
    let on = |disks: &[&standpipe::array::DiskId]| {
        let legs = rig.legs(&id);
        assert_eq!(legs.len(), disks.len());
        for (leg, disk) in legs.iter().zip(disks) {
            assert_eq!(*leg, [(disk_device(rig, disk), linear.size)].into());
        }
    };
    on(&[one, two]);
    apply(rig, &add(three));
    apply(rig, &sync);
    on(&[one, two, three]);
    assert_eq!(volume(rig, &id).expect("it is there").survives(), 2);
    // With a snapshot they stay as they are, and what is done is done.
    let taken = snapshot_in(rig, &group, &linear);
    idle(rig, &add(three));
    idle(rig, &drop(four));
    refused(rig, &add(four), Kind::HasDependents);
    refused(rig, &drop(one), Kind::HasDependents);
    remove(rig, taken);
    // Any of them can go, the oldest too.
    apply(rig, &drop(one));
    on(&[two, three]);
    idle(rig, &drop(one));
    apply(rig, &drop(two));
    on(&[three]);
    let last = volume(rig, &id).expect("it is there");
    assert_eq!((last.layout, last.survives()), (Layout::Linear, 0));
    assert_eq!(pool_now(rig, &group.id).expect("it is there").free, free);
    assert_eq!(rig.capacity(&a, 1), Some(linear.size));
    assert!(rig.reads(&a, 1, part.clone(), 0x62));
    assert!(rig.reads(&a, 1, 0..part.start, 0x61));
    assert!(rig.reads(&a, 1, part.end..linear.size, 0x61));
}

pub fn copies_that_are_not_in_step_are_taken_off_again(rig: &mut dyn Rig) {
    if !rig.slow_sync(true) {
        return;
    }
    let group = wide_group(rig);
    let linear = finished_at(rig, &group, 8, &on_disk(&group.disks[0]));
    written(rig, &linear, 1, 0x63);
    let before = volume(rig, &linear.id);
    let free = pool_now(rig, &group.id).expect("it is there").free;
    let add = Step::AddCopies {
        volume: linear.id.clone(),
        onto: group.disks[1..3].to_vec(),
    };
    let drop = |number: usize| Step::DropCopies {
        volume: linear.id.clone(),
        from: vec![group.disks[number].clone()],
    };
    apply(rig, &add);
    let cancelled = Noted {
        cancel_after: Some(1),
        ..Noted::default()
    };
    let sync = Step::Sync {
        volume: Subject::Known(linear.id.clone()),
    };
    let error = rig.engine().apply(&sync, &cancelled);
    assert_eq!(error.expect_err("cancelled").kind, Kind::Unavailable);
    // The copy that holds everything stays as long as another one does not.
    let error = rig
        .engine()
        .apply(&drop(0), &standpipe::array::Unwatched)
        .expect_err("the data would be gone");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    let off = Step::DropCopies {
        volume: linear.id.clone(),
        from: group.disks[1..3].to_vec(),
    };
    apply(rig, &off);
    idle(rig, &off);
    rig.slow_sync(false);
    assert_eq!(volume(rig, &linear.id), before);
    assert_eq!(pool_now(rig, &group.id).expect("it is there").free, free);
    assert!(rig.reads(&host("a"), 1, 0..linear.size, 0x63));
}

pub fn impossible_copies_are_refused(rig: &mut dyn Rig) {
    let group = finished_group(rig, "narrow", &rig.spare_disks()[..4]);
    let outside = rig.spare_disks()[4].clone();
    let linear = finished_at(rig, &group, 4, &on_disk(&group.disks[0]));
    let add =
        |id: &standpipe::array::VolumeId, onto: &[standpipe::array::DiskId]| Step::AddCopies {
            volume: id.clone(),
            onto: onto.to_vec(),
        };
    let second = &group.disks[1..2];
    refused(rig, &add(&linear.id, &[outside]), Kind::NotFound);
    idle(rig, &add(&linear.id, &group.disks[..1]));
    let twice = [second[0].clone(), second[0].clone()];
    refused(rig, &add(&linear.id, &twice), Kind::InvalidArgument);
    let stripes = Layout::Striped { stripes: 2 };
    let striped = finished_at(rig, &group, 2, &on_last(&group, stripes));
    refused(rig, &add(&striped.id, second), Kind::InvalidArgument);
    let theirs = rig.lvcreate_in(&group.id, "somebodys", 2 * group.extent);
    refused(rig, &add(&theirs, second), Kind::AccessDenied);
    // A disk without room for the copy, then the first one without room for its own note.
    let free = |number: usize| {
        let disk = disk(rig, &group.disks[number]).expect("a disk");
        disk.free() / group.extent
    };
    let filled = finished_at(rig, &group, free(1) - 3, &on_disk(&group.disks[1]));
    refused(rig, &add(&linear.id, second), Kind::NoSpace);
    finished_at(rig, &group, free(0), &on_disk(&group.disks[0]));
    refused(rig, &add(&linear.id, &group.disks[2..3]), Kind::NoSpace);
    // The last copy stays, and nothing is dropped from where nothing is.
    let drop =
        |id: &standpipe::array::VolumeId, from: &[standpipe::array::DiskId]| Step::DropCopies {
            volume: id.clone(),
            from: from.to_vec(),
        };
    idle(rig, &drop(&filled.id, &group.disks[2..3]));
    let pair = finished_at(
        rig,
        &group,
        1,
        &on_last(&group, Layout::Mirrored { copies: 2 }),
    );
    refused(
        rig,
        &drop(&pair.id, &group.disks[2..]),
        Kind::InvalidArgument,
    );
}
