//! What the cases do over and over: steps in short form, and looks at what came of them.

use standpipe::array::{
    Disk, DiskId, Facts, InitiatorName, JobId, Kind, Layout, Map, Place, Pool, PoolId, Progress,
    Snap, Step, Subject, Unwatched, Volume, VolumeGroup, VolumeId,
};

use std::collections::BTreeMap;

use super::{Rig, Vg};

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
    let before = seen(rig);
    let Err(error) = rig.engine().apply(step, &Unwatched) else {
        panic!("{step:?} was not refused");
    };
    assert_eq!(error.kind, kind, "{step:?}: {error}");
    assert!(error.message.len() > 20, "no sentence: {error}");
    assert_eq!(
        seen(rig),
        before,
        "{step:?} was refused and yet changed something"
    );
}

/// Takes a step that must succeed and change nothing.
#[track_caller]
pub fn idle(rig: &dyn Rig, step: &Step) {
    let before = seen(rig);
    apply(rig, step);
    assert_eq!(seen(rig), before, "{step:?} changed something");
}

/// Everything that the engine and LVM's own commands say of the pools.
type Seen = (
    Facts,
    BTreeMap<PoolId, Vg>,
    BTreeMap<VolumeId, (String, u64)>,
);

fn seen(rig: &dyn Rig) -> Seen {
    // The target may still be taking down the session of an initiator that has ended.
    let facts = Facts {
        sessions: Vec::new(),
        ..scan(rig)
    };
    (facts, rig.vgs(), rig.lvs())
}

/// A look at everything, in an order that can be compared.
#[track_caller]
pub fn scan(rig: &dyn Rig) -> Facts {
    let mut facts = rig.engine().scan().expect("a scan");
    facts.pools.sort_by(|a, b| a.id.cmp(&b.id));
    facts.volumes.sort_by(|a, b| a.id.cmp(&b.id));
    facts.disks.sort_by(|a, b| a.id.cmp(&b.id));
    facts.maps.sort();
    facts.sessions.sort_by(|a, b| a.id.cmp(&b.id));
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

/// Any pool as it is now; `None` where it is not seen.
pub fn pool_now(rig: &dyn Rig, id: &PoolId) -> Option<Pool> {
    let mut pools = scan(rig).pools.into_iter();
    pools.find(|pool| pool.id == *id)
}

/// A disk as it is now; `None` where it is not seen.
pub fn disk(rig: &dyn Rig, id: &DiskId) -> Option<Disk> {
    let mut disks = scan(rig).disks.into_iter();
    disks.find(|disk| disk.id == *id)
}

/// The name that LVM has for a disk.
#[track_caller]
pub fn disk_device(rig: &dyn Rig, id: &DiskId) -> String {
    disk(rig, id).expect("a disk").device
}

/// The device name of the group that a job makes.
pub fn group_device(job: JobId) -> String {
    format!("sp{}", &job.hex()[..12])
}

/// The step that makes a group.
pub fn create_group(job: JobId, name: &str, disks: &[DiskId]) -> Step {
    Step::CreateGroup {
        device: group_device(job),
        name: name.to_owned(),
        disks: disks.to_vec(),
        job,
    }
}

/// The group that a job makes.
pub fn made_group(job: JobId) -> VolumeGroup {
    VolumeGroup::Made(group_device(job))
}

/// Makes a finished group; returns it as scanned.
pub fn finished_group(rig: &dyn Rig, name: &str, disks: &[DiskId]) -> Pool {
    let job = JobId::new();
    apply(rig, &create_group(job, name, disks));
    let group = made_group(job);
    apply(rig, &Step::UnmarkGroup { group, job });
    let mut pools = scan(rig).pools.into_iter();
    pools
        .find(|pool| pool.device == group_device(job))
        .expect("the group that was made")
}

/// A finished group of five spare disks: one is left.
pub fn wide_group(rig: &dyn Rig) -> Pool {
    let disks = rig.spare_disks();
    assert_eq!(disks.len(), 6, "the rig has six spare disks");
    finished_group(rig, "wide", &disks[..5])
}

/// A finished thin pool of so many extents in a group.
pub fn finished_thin_pool(rig: &dyn Rig, group: &Pool, extents: u64) -> Pool {
    let job = JobId::new();
    let create = Step::CreateThinPool {
        group: group.id.clone(),
        device: device(job),
        name: "thin".to_owned(),
        size: extents * group.extent,
        metadata: group.extent,
        job,
    };
    apply(rig, &create);
    let volume = Subject::Made(group.id.clone(), device(job));
    apply(rig, &Step::Unmark { volume, job });
    let mut pools = scan(rig).pools.into_iter();
    let made = pools.find(|pool| pool.device == device(job));
    made.expect("the thin pool that was made")
}

/// The layouts that five disks can have.
pub const LAYOUTS: [Layout; 6] = [
    Layout::Striped { stripes: 2 },
    Layout::Striped { stripes: 3 },
    Layout::Mirrored { copies: 2 },
    Layout::MirroredStripes { stripes: 2 },
    Layout::Parity {
        stripes: 2,
        parity: 1,
    },
    Layout::Parity {
        stripes: 3,
        parity: 2,
    },
];

/// A place of that layout on the last disks of a group, so that the first ones stay free.
pub fn on_last(group: &Pool, layout: Layout) -> Place {
    let legs = group.disks.iter().rev().take(layout.legs().into());
    Place::Disks {
        layout,
        legs: legs.cloned().collect(),
    }
}

/// Takes a finished snapshot of a volume on disks of a group; returns how steps name it.
pub fn snapshot_in(rig: &dyn Rig, group: &Pool, of: &Volume) -> Subject {
    let job = JobId::new();
    let step = Step::Snapshot {
        group: group.id.clone(),
        of: vec![Snap {
            source: of.id.clone(),
            device: device(job),
            name: format!("moment of {}", of.name),
            room: Some(group.extent),
        }],
        job,
    };
    apply(rig, &step);
    let volume = Subject::Made(group.id.clone(), device(job));
    apply(
        rig,
        &Step::Unmark {
            volume: volume.clone(),
            job,
        },
    );
    volume
}

/// Removes a finished volume that nobody sees.
pub fn remove(rig: &dyn Rig, volume: Subject) {
    let job = JobId::new();
    apply(
        rig,
        &Step::Mark {
            volume: volume.clone(),
            job,
        },
    );
    apply(rig, &Step::Remove { volume, job });
}

/// A linear place on that disk.
pub fn on_disk(disk: &DiskId) -> Place {
    Place::Disks {
        layout: Layout::Linear,
        legs: vec![disk.clone()],
    }
}

/// All steps that make a finished volume at a place, as the planner has them.
pub fn creation_at(group: &Pool, job: JobId, extents: u64, place: &Place) -> Vec<Step> {
    let volume = Subject::Made(group.group().clone(), device(job));
    let mut steps = vec![Step::Create {
        group: group.group().clone(),
        device: device(job),
        name: "placed".to_owned(),
        size: extents * group.extent,
        place: place.clone(),
        job,
    }];
    if !matches!(place, Place::Thin(_)) {
        steps.push(Step::Zero {
            volume: volume.clone(),
            job,
        });
    }
    steps.push(Step::Sync {
        volume: volume.clone(),
    });
    steps.push(Step::Unmark { volume, job });
    steps
}

/// Makes a finished volume at a place; returns it as scanned.
pub fn finished_at(rig: &dyn Rig, group: &Pool, extents: u64, place: &Place) -> Volume {
    let job = JobId::new();
    for step in creation_at(group, job, extents, place) {
        apply(rig, &step);
    }
    by_device(rig, &device(job)).expect("the volume that was made")
}

/// Shows a volume to host `a` and writes one byte all over it.
pub fn written(rig: &dyn Rig, volume: &Volume, lun: u16, byte: u8) -> Map {
    let shown = map(rig, &volume.id, &host("a"), lun);
    apply(rig, &Step::Map(shown.clone()));
    assert!(rig.writes(&host("a"), lun, 0..volume.size, byte));
    shown
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

/// Progress that rests at the first moment in which it can, until it is woken.
#[derive(Default)]
pub struct Resting {
    /// What is reported meanwhile.
    pub noted: Noted,
    rest: std::sync::Mutex<Rest>,
    changed: std::sync::Condvar,
}

#[derive(Debug, Default, PartialEq)]
enum Rest {
    #[default]
    Wanted,
    Now,
    Over,
}

impl Resting {
    fn wait(&self, while_it: impl Fn(&Rest) -> bool) -> std::sync::MutexGuard<'_, Rest> {
        let rest = self.rest.lock().expect("no panic");
        let patience = std::time::Duration::from_secs(60);
        let waited = self
            .changed
            .wait_timeout_while(rest, patience, |rest| while_it(rest));
        let (rest, waited) = waited.expect("no panic");
        assert!(!waited.timed_out(), "still {rest:?} after a minute");
        rest
    }

    /// Waits until the step rests.
    pub fn until_it_rests(&self) {
        drop(self.wait(|rest| *rest == Rest::Wanted));
    }

    /// Wakes it.
    pub fn go_on(&self) {
        *self.rest.lock().expect("no panic") = Rest::Over;
        self.changed.notify_all();
    }
}

impl Progress for Resting {
    fn report(&self, done: u64, total: u64) {
        self.noted.report(done, total);
    }

    fn is_cancelled(&self) -> bool {
        false
    }

    fn pause_point(&self) -> Result<(), standpipe::array::Error> {
        let mut rest = self.rest.lock().expect("no panic");
        if *rest == Rest::Wanted {
            *rest = Rest::Now;
            self.changed.notify_all();
            drop(rest);
            drop(self.wait(|rest| *rest == Rest::Now));
        }
        Ok(())
    }
}
