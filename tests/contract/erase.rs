//! Erasing what a volume holds before it is removed.

use std::sync::atomic::{AtomicBool, Ordering};

use standpipe::array::{
    Erasing, Health, JobId, Kind, Layout, Place, Progress, Snap, Step, Subject, Torn, Volume,
};

use super::Rig;
use super::bench::*;

fn erase(volume: &Volume, how: Erasing, job: JobId) -> Step {
    Step::Erase {
        volume: Subject::Known(volume.id.clone()),
        how,
        job,
    }
}

fn mark(volume: &Volume, job: JobId) -> Step {
    Step::Mark {
        volume: Subject::Known(volume.id.clone()),
        job,
    }
}

fn unmark(volume: &Volume, job: JobId) -> Step {
    Step::Unmark {
        volume: Subject::Known(volume.id.clone()),
        job,
    }
}

/// How a volume is torn, and whether it is healthy.
fn state(rig: &dyn Rig, of: &Volume) -> (Option<Torn>, bool) {
    let volume = volume(rig, &of.id).expect("it is there");
    (volume.torn, volume.health == Health::Ok)
}

pub fn an_overwritten_volume_holds_zeros(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let mirror = Layout::Mirrored { copies: 2 };
    for place in [on_disk(&group.disks[0]), on_last(&group, mirror)] {
        // More than one slice.
        let (made, job) = (finished_at(rig, &group, 18, &place), JobId::new());
        let shown = written(rig, &made, 1, 0x77);
        let step = erase(&made, Erasing::Zero, job);
        refused(rig, &step, Kind::InUse);
        apply(rig, &Step::Unmap(shown.clone()));
        refused(rig, &step, Kind::InUse);
        apply(rig, &mark(&made, job));
        assert_eq!(state(rig, &made), (None, true));
        let noted = Noted::default();
        rig.engine().apply(&step, &noted).expect("it is erased");
        let reports = noted.reports.into_inner().expect("no panic");
        assert!(reports.is_sorted() && reports.last() == Some(&(made.size, made.size)));
        assert_eq!(state(rig, &made), (Some(Torn::Erased), false));
        apply(rig, &unmark(&made, job));
        apply(rig, &Step::Map(shown.clone()));
        assert!(rig.reads(&host("a"), 1, 0..made.size, 0), "{place:?}");
        apply(rig, &Step::Unmap(shown));
    }
}

/// Progress that stops as soon as something is done.
#[derive(Default)]
struct AfterSome(AtomicBool);

impl Progress for AfterSome {
    fn report(&self, done: u64, _total: u64) {
        self.0.fetch_or(done > 0, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pub fn what_is_stopped_half_erased_is_no_healthy_volume(rig: &mut dyn Rig) {
    let (made, job) = (finished(rig, "secret", 18), JobId::new());
    let shown = written(rig, &made, 1, 0x79);
    apply(rig, &Step::Unmap(shown.clone()));
    apply(rig, &mark(&made, job));
    let step = erase(&made, Erasing::Zero, job);
    let error = rig.engine().apply(&step, &AfterSome::default());
    let error = error.expect_err("it is stopped");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert_eq!(state(rig, &made), (Some(Torn::Erased), false));
    rig.reboot();
    rig.engine().converge(&[]).expect("nothing to show");
    assert_eq!(state(rig, &made), (Some(Torn::Erased), false));
    apply(rig, &step);
    apply(rig, &unmark(&made, job));
    apply(rig, &Step::Map(shown.clone()));
    assert!(rig.reads(&host("a"), 1, 0..made.size, 0));
    apply(rig, &Step::Unmap(shown));
    let (job, volume) = (JobId::new(), Subject::Known(made.id.clone()));
    apply(rig, &mark(&made, job));
    apply(rig, &Step::Remove { volume, job });
}

pub fn erasing_rests_and_nobody_waits_for_it(rig: &mut dyn Rig) {
    let (made, job) = (finished(rig, "secret", 2), JobId::new());
    apply(rig, &mark(&made, job));
    let step = erase(&made, Erasing::Zero, job);
    assert!(step.can_pause());
    let (engine, resting) = (rig.engine(), Resting::default());
    std::thread::scope(|scope| {
        let erasing = scope.spawn(|| engine.apply(&step, &resting));
        resting.until_it_rests();
        // It bears its mark already, whatever happens to the gateway now.
        assert_eq!(state(rig, &made), (Some(Torn::Erased), false));
        finished(rig, "other", 1);
        resting.go_on();
        erasing.join().expect("no panic").expect("erased");
    });
}

pub fn a_snapshot_is_not_erased_nor_a_volume_that_has_one(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let (made, job) = (finished(rig, "source", 4), JobId::new());
    let shown = written(rig, &made, 1, 0x7a);
    // It has room for much less than its source could change.
    let of = vec![Snap {
        source: made.id.clone(),
        device: device(job),
        name: "then".into(),
        room: Some(2 * extent),
    }];
    let group = rig.pool();
    apply(rig, &Step::Snapshot { group, of, job });
    let taken = by_device(rig, &device(job)).expect("it was taken");
    apply(rig, &Step::Unmap(shown.clone()));
    apply(rig, &mark(&made, job));
    refused(
        rig,
        &erase(&taken, Erasing::Zero, job),
        Kind::InvalidArgument,
    );
    refused(rig, &erase(&made, Erasing::Zero, job), Kind::HasDependents);
    apply(rig, &unmark(&taken, job));
    let of_taken = map(rig, &taken.id, &host("a"), 2);
    apply(rig, &Step::Map(of_taken.clone()));
    assert!(rig.reads(&host("a"), 2, 0..made.size, 0x7a), "it is whole");
    apply(rig, &Step::Unmap(of_taken));
    // Without it its source is erased.
    apply(rig, &mark(&taken, job));
    let volume = Subject::Known(taken.id.clone());
    apply(rig, &Step::Remove { volume, job });
    apply(rig, &erase(&made, Erasing::Zero, job));
    apply(rig, &unmark(&made, job));
    apply(rig, &Step::Map(shown));
    assert!(rig.reads(&host("a"), 1, 0..made.size, 0));
}

pub fn a_discarded_thin_volume_gives_its_room_back(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let thin = finished_thin_pool(rig, &group, 8);
    let (made, job) = (
        finished_at(rig, &thin, 6, &Place::Thin(thin.id.clone())),
        JobId::new(),
    );
    let shown = written(rig, &made, 1, 0x78);
    assert_eq!(rig.thin_used(&made.id), made.size);
    apply(rig, &Step::Unmap(shown.clone()));
    apply(rig, &mark(&made, job));
    // Zeros would only take more of its pool.
    apply(rig, &erase(&made, Erasing::Zero, job));
    assert_eq!(rig.thin_used(&made.id), 0);
    apply(rig, &unmark(&made, job));
    apply(rig, &Step::Map(shown));
    assert!(rig.reads(&host("a"), 1, 0..made.size, 0));
}

pub fn what_takes_no_discards_or_is_gone_is_nothing_to_erase(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let (made, job) = (
        finished_at(rig, &group, 2, &on_disk(&group.disks[0])),
        JobId::new(),
    );
    apply(rig, &mark(&made, job));
    let step = erase(&made, Erasing::Discard, job);
    apply(rig, &step);
    let volume = Subject::Known(made.id.clone());
    apply(rig, &Step::Remove { volume, job });
    idle(rig, &step);
    let theirs = rig.lvcreate_in(&group.id, "somebodys", 2 * group.extent);
    let volume = Subject::Known(theirs);
    let step = Step::Erase {
        volume,
        how: Erasing::Discard,
        job,
    };
    refused(rig, &step, Kind::AccessDenied);
}
