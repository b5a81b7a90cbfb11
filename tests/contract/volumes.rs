//! Volumes: made, zeroed, marked, renamed, removed; and what is refused.

use standpipe::array::{JobId, Kind, Owner, Place, PoolId, Step, Subject, VolumeId};

use super::Rig;
use super::bench::*;

pub fn a_created_volume_is_listed_with_its_marks(rig: &mut dyn Rig) {
    let before = pool(rig);
    let job = JobId::new();
    apply(rig, &create(rig, job, "Oracle, log #1 ä", 3));
    let made = by_device(rig, &device(job)).expect("it is there");
    assert_eq!(made.name, "Oracle, log #1 ä");
    assert_eq!(made.size, 3 * before.extent);
    assert_eq!(made.owner, Owner::Array);
    assert_eq!(made.job, Some(job));
    assert_eq!(made.held_by, None);
    assert_eq!(made.pool, before.id);
    let listed = &rig.lvs()[&made.id];
    assert_eq!(*listed, (device(job), 3 * before.extent));
    assert_eq!(
        pool(rig).free,
        before.free - made.consumed.expect("it is thick")
    );
    let facts = rig.engine().scan_group(&before.id).expect("the pool");
    assert_eq!(facts.volumes, [made]);
}

pub fn creating_twice_makes_one(rig: &mut dyn Rig) {
    let job = JobId::new();
    let step = create(rig, job, "one", 2);
    apply(rig, &step);
    idle(rig, &step);
    assert_eq!(rig.lvs().len(), 1);
    refused(rig, &create(rig, job, "one", 3), Kind::AlreadyExists);
}

pub fn an_impossible_volume_is_refused(rig: &mut dyn Rig) {
    let job = JobId::new();
    let extent = extent(rig);
    for size in [0, 1, extent - 512, extent + 512] {
        let step = Step::Create {
            group: rig.pool(),
            device: device(job),
            name: "odd".to_owned(),
            size,
            job,
            place: Place::ANYWHERE,
        };
        refused(rig, &step, Kind::InvalidArgument);
    }
    let long = "x".repeat(200);
    for device in [
        "",
        "a b",
        "-a",
        "..",
        "a/b",
        "ä",
        "snapshot0",
        "a_rimage_0",
        &long,
    ] {
        let step = Step::Create {
            group: rig.pool(),
            device: device.to_owned(),
            name: "odd".to_owned(),
            size: extent,
            job,
            place: Place::ANYWHERE,
        };
        refused(rig, &step, Kind::InvalidArgument);
    }
    refused(
        rig,
        &create(rig, job, &"x".repeat(2000), 1),
        Kind::InvalidArgument,
    );

    apply(rig, &create(rig, job, "first", 1));
    let second = Step::Create {
        group: rig.pool(),
        device: device(job),
        name: "first".to_owned(),
        size: extent,
        job: JobId::new(),
        place: Place::ANYWHERE,
    };
    refused(rig, &second, Kind::AlreadyExists);
}

pub fn a_full_pool_says_how_much_would_fit(rig: &mut dyn Rig) {
    let free = pool(rig).available / extent(rig);
    let step = create(rig, JobId::new(), "too big", free + 1);
    refused(rig, &step, Kind::NoSpace);
    let again = rig.engine().apply(&step, &standpipe::array::Unwatched);
    let error = again.expect_err("still too big");
    assert_eq!(error.largest, Some(pool(rig).available), "{error}");
    assert!(error.message.contains(&pool(rig).name), "{error}");
}

pub fn a_volume_may_take_all_that_is_available(rig: &mut dyn Rig) {
    let before = pool(rig);
    assert!(before.available <= before.free && before.free <= before.size);
    let job = JobId::new();
    apply(
        rig,
        &create(rig, job, "all", before.available / before.extent),
    );
    assert_eq!(pool(rig).free, before.free - before.available);
    let (volume, job) = (made(rig, job), job);
    apply(rig, &Step::Remove { volume, job });
    assert_eq!(pool(rig), before);
}

pub fn zeroing_reports_progress_up_to_the_size(rig: &mut dyn Rig) {
    let job = JobId::new();
    let extents = rig.two_slices() / extent(rig);
    apply(rig, &create(rig, job, "zeros", extents));
    let noted = Noted::default();
    let volume = made(rig, job);
    let step = Step::Zero { volume, job };
    rig.engine().apply(&step, &noted).expect("zeroed");
    let reports = noted.reports.into_inner().expect("no panic");
    assert!(reports.len() >= 2, "{reports:?}");
    assert!(reports.is_sorted(), "{reports:?}");
    assert_eq!(reports.last(), Some(&(rig.two_slices(), rig.two_slices())));
    idle(rig, &step);
}

pub fn zeroing_stops_when_cancelled(rig: &mut dyn Rig) {
    let job = JobId::new();
    let extents = rig.two_slices() / extent(rig);
    let before = pool(rig);
    apply(rig, &create(rig, job, "zeros", extents));
    let noted = Noted {
        cancel_after: Some(1),
        ..Noted::default()
    };
    let volume = made(rig, job);
    let step = Step::Zero {
        volume: volume.clone(),
        job,
    };
    let error = rig.engine().apply(&step, &noted).expect_err("cancelled");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    let reports = noted.reports.into_inner().expect("no panic");
    assert!(
        reports.iter().all(|(done, total)| done < total),
        "{reports:?}"
    );
    apply(rig, &Step::Remove { volume, job });
    assert_eq!(pool(rig), before);
}

pub fn zeroing_rests_and_nobody_waits_for_it(rig: &mut dyn Rig) {
    let job = JobId::new();
    let extents = rig.two_slices() / extent(rig);
    apply(rig, &create(rig, job, "zeros", extents));
    let volume = made(rig, job);
    let step = Step::Zero {
        volume: volume.clone(),
        job,
    };
    assert!(step.can_pause());
    let engine = rig.engine();
    let resting = Resting::default();
    std::thread::scope(|scope| {
        let zeroing = scope.spawn(|| engine.apply(&step, &resting));
        resting.until_it_rests();
        // Another volume of the same group is made and removed meanwhile.
        let other = JobId::new();
        apply(rig, &create(rig, other, "other", 1));
        let made = made(rig, other);
        let remove = Step::Remove {
            volume: made,
            job: other,
        };
        apply(rig, &remove);
        resting.go_on();
        zeroing.join().expect("no panic").expect("zeroed");
    });
    let size = rig.two_slices();
    assert_eq!(
        resting.noted.reports.into_inner().expect("no panic").last(),
        Some(&(size, size))
    );
    apply(rig, &Step::Remove { volume, job });
}

pub fn only_the_job_that_marked_a_volume_touches_it(rig: &mut dyn Rig) {
    let (job, other) = (JobId::new(), JobId::new());
    apply(rig, &create(rig, job, "mine", 1));
    let volume = made(rig, job);
    for step in [
        Step::Zero {
            volume: volume.clone(),
            job: other,
        },
        Step::Mark {
            volume: volume.clone(),
            job: other,
        },
        Step::Unmark {
            volume: volume.clone(),
            job: other,
        },
        Step::Remove {
            volume: volume.clone(),
            job: other,
        },
    ] {
        refused(rig, &step, Kind::InUse);
    }
}

pub fn a_finished_volume_is_not_removed(rig: &mut dyn Rig) {
    let id = finished(rig, "precious", 1).id;
    let job = JobId::new();
    let volume = Subject::Known(id);
    let remove = Step::Remove {
        volume: volume.clone(),
        job,
    };
    refused(rig, &remove, Kind::InUse);
    refused(rig, &Step::Zero { volume, job }, Kind::InUse);
}

pub fn removing_frees_the_room_and_twice_is_once(rig: &mut dyn Rig) {
    let before = pool(rig);
    let id = finished(rig, "short-lived", 2).id;
    let job = JobId::new();
    let volume = Subject::Known(id.clone());
    apply(
        rig,
        &Step::Mark {
            volume: volume.clone(),
            job,
        },
    );
    let remove = Step::Remove { volume, job };
    apply(rig, &remove);
    assert_eq!(volume_named(rig, &id), None);
    assert!(rig.lvs().is_empty());
    assert_eq!(pool(rig), before);
    idle(rig, &remove);
}

fn volume_named(rig: &dyn Rig, id: &VolumeId) -> Option<String> {
    volume(rig, id).map(|volume| volume.name)
}

pub fn marks_come_and_go(rig: &mut dyn Rig) {
    let id = finished(rig, "marked", 1).id;
    let job = JobId::new();
    let subject = Subject::Known(id.clone());
    let mark = Step::Mark {
        volume: subject.clone(),
        job,
    };
    let unmark = Step::Unmark {
        volume: subject,
        job,
    };
    idle(rig, &unmark);
    apply(rig, &mark);
    assert_eq!(volume(rig, &id).and_then(|volume| volume.job), Some(job));
    idle(rig, &mark);
    apply(rig, &unmark);
    assert_eq!(volume(rig, &id).and_then(|volume| volume.job), None);
    idle(rig, &unmark);
}

/// Every step that could touch a volume, of a job that it does not bear the mark of.
fn all_touches(rig: &dyn Rig, id: &VolumeId, job: JobId) -> Vec<Step> {
    let volume = || Subject::Known(id.clone());
    vec![
        Step::Zero {
            volume: volume(),
            job,
        },
        Step::Mark {
            volume: volume(),
            job,
        },
        Step::Remove {
            volume: volume(),
            job,
        },
        Step::Map(map(rig, id, &host("a"), 1)),
    ]
}

pub fn a_foreign_volume_is_left_alone(rig: &mut dyn Rig) {
    let id = rig.lvcreate("somebodys", 2 * extent(rig));
    let seen = volume(rig, &id).expect("it is shown");
    assert_eq!(seen.owner, Owner::Foreign);
    assert_eq!(seen.name, "somebodys");
    let job = JobId::new();
    let mut steps = all_touches(rig, &id, job);
    steps.push(Step::Unmark {
        volume: Subject::Known(id.clone()),
        job,
    });
    steps.push(Step::Remove {
        volume: Subject::Made(rig.pool(), "somebodys".to_owned()),
        job,
    });
    steps.push(Step::Rename {
        volume: id.clone(),
        name: "ours".to_owned(),
    });
    apply(rig, &create(rig, job, "reserve", 1));
    steps.push(Step::Absorb {
        volume: id.clone(),
        reserve: made(rig, job),
        size: 3 * extent(rig),
        job,
    });
    for step in steps {
        refused(rig, &step, Kind::AccessDenied);
    }
    let taken = Step::Create {
        group: rig.pool(),
        device: "somebodys".to_owned(),
        name: "ours".to_owned(),
        size: 2 * extent(rig),
        job,
        place: Place::ANYWHERE,
    };
    refused(rig, &taken, Kind::AlreadyExists);
}

pub fn a_held_volume_is_left_alone(rig: &mut dyn Rig) {
    let id = finished(rig, "open", 1).id;
    let job = JobId::new();
    apply(rig, &create(rig, job, "reserve", 1));
    rig.hold(&id, true);
    let held = volume(rig, &id).and_then(|volume| volume.held_by);
    assert!(held.is_some_and(|by| !by.is_empty()));
    for step in all_touches(rig, &id, job) {
        refused(rig, &step, Kind::InUse);
    }
    rig.hold(&id, false);

    // A marked one, too: somebody may have opened it meanwhile.
    let marked = by_device(rig, &device(job)).expect("the reserve").id;
    rig.hold(&marked, true);
    let volume = made(rig, job);
    let remove = Step::Remove {
        volume: volume.clone(),
        job,
    };
    refused(rig, &Step::Zero { volume, job }, Kind::InUse);
    refused(rig, &remove, Kind::InUse);
    rig.hold(&marked, false);
    apply(rig, &remove);
}

pub fn an_exported_volume_is_not_removed(rig: &mut dyn Rig) {
    let id = finished(rig, "shown", 1).id;
    let shown = map(rig, &id, &host("a"), 1);
    apply(rig, &Step::Map(shown.clone()));
    let job = JobId::new();
    for step in &all_touches(rig, &id, job)[..3] {
        refused(rig, step, Kind::InUse);
    }
    apply(rig, &Step::Unmap(shown));
    let volume = Subject::Known(id);
    apply(
        rig,
        &Step::Mark {
            volume: volume.clone(),
            job,
        },
    );
    apply(rig, &Step::Remove { volume, job });
}

pub fn a_rename_changes_the_name_only(rig: &mut dyn Rig) {
    let before = finished(rig, "before", 1);
    let step = Step::Rename {
        volume: before.id.clone(),
        name: "After = 100 %".to_owned(),
    };
    apply(rig, &step);
    let after = volume(rig, &before.id).expect("still there");
    assert_eq!(after.name, "After = 100 %");
    assert_eq!(
        after,
        standpipe::array::Volume {
            name: after.name.clone(),
            ..before.clone()
        }
    );
    idle(rig, &step);
    let long = Step::Rename {
        volume: before.id,
        name: "ä".repeat(600),
    };
    refused(rig, &long, Kind::InvalidArgument);
}

pub fn a_volume_that_is_gone_is_not_found(rig: &mut dyn Rig) {
    let gone = VolumeId::from("000000-0000-0000-0000-0000-0000-000000");
    let job = JobId::new();
    let subjects = [Subject::Known(gone.clone()), made(rig, job)];
    for volume in subjects {
        for step in [
            Step::Zero {
                volume: volume.clone(),
                job,
            },
            Step::Mark {
                volume: volume.clone(),
                job,
            },
            Step::Unmark {
                volume: volume.clone(),
                job,
            },
        ] {
            refused(rig, &step, Kind::NotFound);
        }
        idle(rig, &Step::Remove { volume, job });
    }
    let rename = Step::Rename {
        volume: gone.clone(),
        name: "x".to_owned(),
    };
    refused(rig, &rename, Kind::NotFound);
    let shown = map(rig, &gone, &host("a"), 1);
    refused(rig, &Step::Map(shown.clone()), Kind::NotFound);
    idle(rig, &Step::Unmap(shown));
}

pub fn a_pool_that_is_not_there_is_not_found(rig: &mut dyn Rig) {
    let pool = PoolId::from("000000-0000-0000-0000-0000-0000-000000");
    let job = JobId::new();
    let create = Step::Create {
        group: pool.clone(),
        device: device(job),
        name: "nowhere".to_owned(),
        size: extent(rig),
        job,
        place: Place::ANYWHERE,
    };
    refused(rig, &create, Kind::NotFound);
    // A pool that is away is no proof that what was in it is gone.
    let volume = Subject::Made(pool.clone(), device(job));
    refused(rig, &Step::Remove { volume, job }, Kind::NotFound);
    let error = rig.engine().scan_group(&pool).expect_err("no such pool");
    assert_eq!(error.kind, Kind::NotFound);
}

pub fn a_pool_that_lacks_a_disk_makes_nothing(rig: &mut dyn Rig) {
    use standpipe::array::Health;
    if !rig.fail_disk() {
        return;
    }
    assert_eq!(pool(rig).available, 0);
    assert!(matches!(pool(rig).health, Health::Degraded(_)));
    assert!(
        scan(rig)
            .disks
            .iter()
            .any(|disk| matches!(disk.health, Health::Failed(_)))
    );
    let step = create(rig, JobId::new(), "nowhere", 1);
    refused(rig, &step, Kind::Unavailable);
}
