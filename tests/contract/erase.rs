//! Erasing what a volume holds before it is removed.

use standpipe::array::{Erasing, JobId, Kind, Layout, Place, Step, Subject, Volume};

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

pub fn an_overwritten_volume_holds_zeros(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let mirror = Layout::Mirrored { copies: 2 };
    for place in [on_disk(&group.disks[0]), on_last(&group, mirror)] {
        let (made, job) = (finished_at(rig, &group, 40, &place), JobId::new());
        let shown = written(rig, &made, 1, 0x77);
        let step = erase(&made, Erasing::Zero, job);
        refused(rig, &step, Kind::InUse);
        apply(rig, &Step::Unmap(shown.clone()));
        refused(rig, &step, Kind::InUse);
        apply(rig, &mark(&made, job));
        // Who wants it to stop hears that it goes on.
        let stopped = Noted {
            cancel_after: Some(0),
            ..Noted::default()
        };
        rig.engine().apply(&step, &stopped).expect("it ends");
        let reports = stopped.reports.into_inner().expect("no panic");
        assert!(reports.is_sorted() && reports.last() == Some(&(made.size, made.size)));
        apply(rig, &unmark(&made, job));
        apply(rig, &Step::Map(shown.clone()));
        assert!(rig.reads(&host("a"), 1, 0..made.size, 0), "{place:?}");
        apply(rig, &Step::Unmap(shown));
    }
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
