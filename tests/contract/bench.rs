//! What the cases do over and over: steps in short form, and looks at what came of them.

use standpipe::array::{
    Facts, InitiatorName, JobId, Kind, Map, Place, Pool, Progress, Step, Subject, Unwatched,
    Volume, VolumeId,
};

use super::Rig;

/// The device name of the volume that a job makes.
pub fn device(job: JobId) -> String {
    format!("standpipe-{}", job.hex())
}

/// The volume that a job makes.
pub fn made(rig: &dyn Rig, job: JobId) -> Subject {
    Subject::Made(rig.pool(), device(job))
}

/// The step that makes it, so many extents large.
pub fn create(rig: &dyn Rig, job: JobId, name: &str, extents: u64) -> Step {
    Step::Create {
        group: rig.pool(),
        device: device(job),
        name: name.to_owned(),
        size: extents * extent(rig),
        job,
        place: Place::ANYWHERE,
    }
}

/// All steps that make a finished volume.
pub fn creation(rig: &dyn Rig, job: JobId, name: &str, extents: u64) -> [Step; 3] {
    let volume = made(rig, job);
    [
        create(rig, job, name, extents),
        Step::Zero {
            volume: volume.clone(),
            job,
        },
        Step::Unmark { volume, job },
    ]
}

/// Makes a finished volume; returns it as scanned.
pub fn finished(rig: &dyn Rig, name: &str, extents: u64) -> Volume {
    let job = JobId::new();
    for step in creation(rig, job, name, extents) {
        apply(rig, &step);
    }
    by_device(rig, &device(job)).expect("the volume that was made")
}

/// Takes a step that must succeed.
#[track_caller]
pub fn apply(rig: &dyn Rig, step: &Step) {
    if let Err(error) = rig.engine().apply(step, &Unwatched) {
        panic!("{step:?} failed: {:?}: {error}", error.kind);
    }
}

/// Takes a step that must be refused by that kind, with a sentence, and change nothing.
#[track_caller]
pub fn refused(rig: &dyn Rig, step: &Step, kind: Kind) {
    let before = (scan(rig), rig.lvs());
    let Err(error) = rig.engine().apply(step, &Unwatched) else {
        panic!("{step:?} was not refused");
    };
    assert_eq!(error.kind, kind, "{step:?}: {error}");
    assert!(error.message.len() > 20, "no sentence: {error}");
    assert_eq!(
        (scan(rig), rig.lvs()),
        before,
        "{step:?} was refused and yet changed something"
    );
}

/// Takes a step that must succeed and change nothing.
#[track_caller]
pub fn idle(rig: &dyn Rig, step: &Step) {
    let before = (scan(rig), rig.lvs());
    apply(rig, step);
    assert_eq!((scan(rig), rig.lvs()), before, "{step:?} changed something");
}

/// A look at everything, in an order that can be compared.
#[track_caller]
pub fn scan(rig: &dyn Rig) -> Facts {
    let mut facts = rig.engine().scan().expect("a scan");
    facts.volumes.sort_by(|a, b| a.id.cmp(&b.id));
    facts.disks.sort_by(|a, b| a.id.cmp(&b.id));
    facts.maps.sort();
    facts
}

/// The pool as it is now.
#[track_caller]
pub fn pool(rig: &dyn Rig) -> Pool {
    rig.engine()
        .scan_group(&rig.pool())
        .expect("the pool")
        .group
}

/// Bytes of one extent.
#[track_caller]
pub fn extent(rig: &dyn Rig) -> u64 {
    pool(rig).extent
}

/// The volume of that identity as it is now.
pub fn volume(rig: &dyn Rig, id: &VolumeId) -> Option<Volume> {
    let volumes = scan(rig).volumes;
    volumes.into_iter().find(|volume| volume.id == *id)
}

/// The volume of that device as it is now.
pub fn by_device(rig: &dyn Rig, device: &str) -> Option<Volume> {
    let volumes = scan(rig).volumes;
    volumes.into_iter().find(|volume| volume.device == device)
}

/// An initiator.
pub fn host(name: &str) -> InitiatorName {
    InitiatorName::parse(&format!("iqn.2026-01.example.host:{name}")).expect("a good name")
}

/// A map on the rig's port.
pub fn map(rig: &dyn Rig, volume: &VolumeId, initiator: &InitiatorName, lun: u16) -> Map {
    Map {
        port: rig.port(),
        initiator: initiator.clone(),
        lun,
        volume: volume.clone(),
    }
}

/// Progress that is written down, and that cancels after so many reports.
#[derive(Default)]
pub struct Noted {
    /// Every report: done, total.
    pub reports: std::sync::Mutex<Vec<(u64, u64)>>,
    /// Cancels as soon as so many reports were made.
    pub cancel_after: Option<usize>,
}

impl Progress for Noted {
    fn report(&self, done: u64, total: u64) {
        self.reports.lock().expect("no panic").push((done, total));
    }

    fn is_cancelled(&self) -> bool {
        let made = self.reports.lock().expect("no panic").len();
        self.cancel_after.is_some_and(|after| made >= after)
    }
}
