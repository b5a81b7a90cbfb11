//! Moves of volumes and pools to other disks while they are used.

use standpipe::array::{DiskId, Kind, Layout, Place, Step, Subject, VolumeId};

use super::Rig;
use super::bench::*;

fn moving(volume: &VolumeId, from: &DiskId, onto: &[DiskId]) -> Step {
    Step::Move {
        what: Subject::Known(volume.clone()),
        from: from.clone(),
        onto: onto.to_vec(),
        bytes: 0,
    }
}

pub fn a_used_volume_moves_leg_by_leg(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    for (lun, layout) in (1..).zip([
        Layout::Linear,
        Layout::Striped { stripes: 2 },
        Layout::Mirrored { copies: 2 },
        Layout::Parity {
            stripes: 2,
            parity: 1,
        },
    ]) {
        let legs = &group.disks[..usize::from(layout.legs())];
        let place = Place::Disks {
            layout,
            legs: legs.to_vec(),
        };
        let before = finished_at(rig, &group, 4 * layout.data_legs(), &place);
        let shown = written(rig, &before, lun, 0x71);
        let pool = pool_now(rig, &group.id).expect("it is there");
        let onto = &group.disks[4..];
        let step = moving(&before.id, &legs[0], onto);
        let noted = Noted::default();
        rig.engine().apply(&step, &noted).expect("it moves");
        let reports = noted.reports.into_inner().expect("no panic");
        // One that ends at once may tell nothing.
        assert!(reports.is_sorted(), "{reports:?}");
        idle(rig, &step);
        let rows = before.size / layout.data_legs();
        let mut expected: Vec<_> = legs.iter().map(|disk| disk_device(rig, disk)).collect();
        expected[0] = disk_device(rig, &onto[0]);
        let expected: Vec<_> = expected.into_iter().map(|d| [(d, rows)].into()).collect();
        assert_eq!(rig.legs(&before.id), expected, "{layout:?}");
        let after = volume(rig, &before.id).expect("it is there");
        assert_eq!(
            (after.layout, after.size, after.naa, &after.health),
            (layout, before.size, before.naa, &before.health)
        );
        let now = pool_now(rig, &group.id).expect("it is there");
        assert_eq!((now.free, now.available), (pool.free, pool.available));
        let (a, part) = (host("a"), 0..group.extent);
        assert!(rig.reads(&a, lun, 0..before.size, 0x71), "{layout:?}");
        assert!(rig.writes(&a, lun, part.clone(), 0x72));
        assert!(rig.reads(&a, lun, part, 0x72));
        apply(rig, &Step::Unmap(shown));
        let (job, volume) = (standpipe::array::JobId::new(), Subject::Known(before.id));
        apply(
            rig,
            &Step::Mark {
                volume: volume.clone(),
                job,
            },
        );
        apply(rig, &Step::Remove { volume, job });
    }
}

pub fn a_cancelled_move_moves_nothing(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let linear = finished_at(rig, &group, 60, &on_disk(&group.disks[0]));
    written(rig, &linear, 1, 0x73);
    let before = seen_volume(rig, &linear.id);
    rig.slow_moves(true);
    let cancelled = Noted {
        cancel_after: Some(0),
        ..Noted::default()
    };
    let step = moving(&linear.id, &group.disks[0], &group.disks[1..2]);
    let error = rig.engine().apply(&step, &cancelled);
    rig.slow_moves(false);
    assert_eq!(error.expect_err("cancelled").kind, Kind::Unavailable);
    assert_eq!(seen_volume(rig, &linear.id), before);
    assert!(rig.reads(&host("a"), 1, 0..linear.size, 0x73));
    let end = Step::EndMove {
        what: Subject::Known(linear.id.clone()),
        from: group.disks[0].clone(),
    };
    idle(rig, &end);
    // Afterwards it goes.
    apply(rig, &step);
    assert!(rig.reads(&host("a"), 1, 0..linear.size, 0x73));
    idle(rig, &end);
}

pub fn a_volume_takes_the_place_of_one_in_another_pool(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let old = finished_at(rig, &group, 3, &on_disk(&group.disks[0]));
    let shown = written(rig, &old, 1, 0x75);
    let (a, seen_as) = (host("a"), [(1, old.naa)].into());
    assert_eq!(rig.luns(&a), Some(seen_as));
    apply(rig, &Step::Unmap(shown));
    let job = standpipe::array::JobId::new();
    let (known, new) = (Subject::Known(old.id.clone()), made(rig, job));
    apply(rig, &create(rig, job, &old.name, 4));
    let inherit = |job| Step::Inherit {
        volume: made(rig, job),
        of: old.id.clone(),
        job,
    };
    refused(rig, &inherit(job), Kind::InUse);
    let mark = Step::Mark {
        volume: known.clone(),
        job,
    };
    apply(rig, &mark);
    let copy = Step::Copy {
        from: known.clone(),
        to: new.clone(),
        fresh: true,
        job,
    };
    apply(rig, &copy);
    apply(rig, &inherit(job));
    idle(rig, &inherit(job));
    apply(rig, &Step::Unmark { volume: new, job });
    refused(rig, &inherit(job), Kind::InUse);
    apply(rig, &Step::Remove { volume: known, job });
    assert!(!rig.lvs_in(&group.id).contains_key(&old.id));
    let new = by_device(rig, &device(job)).expect("the new one");
    assert_eq!((&new.name, new.naa), (&old.name, old.naa));
    assert_ne!(new.id, old.id);
    // Whatever becomes of the machine.
    rig.reboot();
    let shown = map(rig, &new.id, &a, 1);
    rig.engine().converge(&[shown]).expect("it converges");
    assert_eq!(rig.luns(&a), Some([(1, old.naa)].into()));
    assert!(rig.reads(&a, 1, 0..old.size, 0x75));
    assert!(rig.reads(&a, 1, old.size..new.size, 0));
}

fn seen_volume(rig: &dyn Rig, id: &VolumeId) -> impl PartialEq + std::fmt::Debug {
    let volume = volume(rig, id).expect("it is there");
    let pool = pool_now(rig, &volume.pool).expect("it is there");
    (volume, pool, rig.legs(id))
}

pub fn a_thin_pool_moves_with_its_volumes(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let thin = finished_thin_pool(rig, &group, 8);
    let in_it = finished_at(rig, &thin, 6, &Place::Thin(thin.id.clone()));
    written(rig, &in_it, 1, 0x74);
    let thin = pool_now(rig, &thin.id).expect("it is there");
    let target = group.disks.iter().find(|disk| !thin.disks.contains(disk));
    let target = target.expect("it does not lie everywhere").clone();
    for from in &thin.disks {
        let step = Step::Move {
            what: Subject::Pool(thin.id.clone()),
            from: from.clone(),
            onto: vec![target.clone()],
            bytes: 0,
        };
        apply(rig, &step);
        idle(rig, &step);
    }
    let moved = pool_now(rig, &thin.id).expect("it is there");
    assert_eq!(moved.disks, [target]);
    assert_eq!((moved.size, moved.free), (thin.size, thin.free));
    assert!(rig.reads(&host("a"), 1, 0..in_it.size, 0x74));
    let step = Step::Move {
        what: Subject::Known(in_it.id),
        from: moved.disks[0].clone(),
        onto: group.disks[..1].to_vec(),
        bytes: 0,
    };
    refused(rig, &step, Kind::InvalidArgument);
}

pub fn a_disk_is_closed_emptied_and_leaves(rig: &mut dyn Rig) {
    let group = finished_group(rig, "shrinks", &rig.spare_disks()[..3]);
    let [gone, stays, other] = &group.disks[..] else {
        panic!("three disks");
    };
    let on_it = finished_at(rig, &group, 4, &on_disk(gone));
    written(rig, &on_it, 1, 0x75);
    let close = |disk: &DiskId| Step::CloseDisk {
        group: group.id.clone(),
        disk: disk.clone(),
    };
    let before = pool_now(rig, &group.id).expect("it is there");
    let free = disk(rig, gone).expect("a disk").free();
    apply(rig, &close(gone));
    idle(rig, &close(gone));
    let closed = pool_now(rig, &group.id).expect("it is there");
    assert_eq!(disk(rig, gone).expect("a disk").free(), 0);
    assert_eq!(closed.available, before.available - free);
    // It takes nothing new, wherever there is room otherwise.
    let rest = closed.available / group.extent;
    let full = finished_at(rig, &group, rest, &Place::ANYWHERE);
    let device = disk_device(rig, gone);
    assert!(
        rig.legs(&full.id)
            .iter()
            .all(|leg| !leg.contains_key(&device))
    );
    refused(
        rig,
        &moving(&full.id, stays, std::slice::from_ref(gone)),
        Kind::InvalidArgument,
    );
    refused(
        rig,
        &moving(&on_it.id, gone, std::slice::from_ref(other)),
        Kind::NoSpace,
    );
    let open = Step::OpenDisk {
        group: group.id.clone(),
        disk: gone.clone(),
    };
    apply(rig, &open);
    idle(rig, &open);
    assert_eq!(disk(rig, gone).expect("a disk").free(), free);
    let (job, volume) = (standpipe::array::JobId::new(), Subject::Known(full.id));
    apply(
        rig,
        &Step::Mark {
            volume: volume.clone(),
            job,
        },
    );
    apply(rig, &Step::Remove { volume, job });
    apply(rig, &close(gone));
    let reduce = Step::ReduceGroup {
        group: group.id.clone(),
        disks: vec![gone.clone()],
    };
    refused(rig, &reduce, Kind::InUse);
    apply(rig, &moving(&on_it.id, gone, std::slice::from_ref(other)));
    apply(rig, &reduce);
    // Taken again by a restart, all of that is nothing, whatever was done since to what moved.
    snapshot_in(rig, &group, &on_it);
    let end = Step::EndMove {
        what: Subject::Known(on_it.id.clone()),
        from: gone.clone(),
    };
    for step in [
        close(gone),
        moving(&on_it.id, gone, std::slice::from_ref(other)),
        end,
        reduce,
    ] {
        idle(rig, &step);
    }
    assert_eq!(rig.vgs()[&group.id].disks.len(), 2);
    assert!(rig.reads(&host("a"), 1, 0..on_it.size, 0x75));
}

pub fn an_impossible_move_is_refused(rig: &mut dyn Rig) {
    let group = finished_group(rig, "narrow", &rig.spare_disks()[..3]);
    let outside = rig.spare_disks()[4].clone();
    let [one, two, three] = &group.disks[..] else {
        panic!("three disks");
    };
    let mirror = Place::Disks {
        layout: Layout::Mirrored { copies: 2 },
        legs: vec![one.clone(), two.clone()],
    };
    let pair = finished_at(rig, &group, 4, &mirror);
    refused(rig, &moving(&pair.id, one, &[]), Kind::InvalidArgument);
    refused(
        rig,
        &moving(&pair.id, one, std::slice::from_ref(two)),
        Kind::InvalidArgument,
    );
    refused(
        rig,
        &moving(&pair.id, one, std::slice::from_ref(one)),
        Kind::InvalidArgument,
    );
    refused(rig, &moving(&pair.id, one, &[outside]), Kind::NotFound);
    idle(rig, &moving(&pair.id, three, std::slice::from_ref(one)));
    let free = disk(rig, three).expect("a disk").free() / group.extent;
    finished_at(rig, &group, free - 3, &on_disk(three));
    refused(
        rig,
        &moving(&pair.id, one, std::slice::from_ref(three)),
        Kind::NoSpace,
    );
    let theirs = rig.lvcreate_in(&group.id, "somebodys", 2 * group.extent);
    let lies = volume(rig, &theirs).expect("it is listed").pieces[0]
        .disk
        .clone();
    let elsewhere = group
        .disks
        .iter()
        .find(|disk| **disk != lies)
        .expect("another");
    refused(
        rig,
        &moving(&theirs, &lies, std::slice::from_ref(elsewhere)),
        Kind::AccessDenied,
    );
}
