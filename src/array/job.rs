//! Jobs: every command is one, visible until its time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::engine::Progress;
use super::error::{Error, Kind};
use super::ids::{
    GroupId, InitiatorName, Iqn, JobId, PoolId, PortId, ReplicationGroupId, SettingId, ViewId,
    VolumeId,
};
use super::plan::Plan;

/// How long a finished job stays visible.
pub const JOB_RETENTION: Duration = Duration::from_secs(300);

/// Something that a job made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Element {
    Pool(PoolId),
    Volume(VolumeId),
    Setting(SettingId),
    ReplicationGroup(ReplicationGroupId),
    Target(Iqn),
    Port(PortId),
    Initiator(InitiatorName),
    Group(GroupId),
    View(ViewId),
}

/// Where a job stands.
///
/// ```text
/// Running ──► Completed | Failed | Cancelled
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// At work.
    Running,
    /// All done and verified.
    Completed,
    /// Nothing of it is left; `error` says why.
    Failed,
    /// Nothing of it is left, because somebody wanted it so.
    Cancelled,
}

/// Which room of the product a job belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Area {
    /// Pools and volumes.
    Storage,
    /// Initiators, groups and views.
    Masking,
    /// Targets and their ports.
    Targets,
}

/// A job, as it was when the snapshot was taken; its percentage is live.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// What it does, for people.
    pub title: String,
    /// What it works on.
    pub area: Area,
    /// Who wanted it.
    pub owner: String,
    /// Where it stands.
    pub state: JobState,
    /// When it was accepted, in microseconds since 1970.
    pub submitted: u64,
    /// When its state changed last, in microseconds since 1970.
    pub changed: u64,
    /// What it made or changed; of things that are gone nothing is listed.
    pub affected: Vec<Element>,
    /// Why it failed.
    pub error: Option<(Kind, String)>,
    /// What the administrator should know beyond that, e.g. that a restart rolled it back.
    pub note: Option<String>,
    /// Whether it may be stopped midway.
    #[serde(default = "Job::may_be_cancelled")]
    pub cancellable: bool,
    /// The volumes that were there before and that it copies from: they stay.
    #[serde(default)]
    pub read: Vec<VolumeId>,
    /// The volumes that were there before and that it copies onto: they stay.
    #[serde(default)]
    pub overwritten: Vec<VolumeId>,
    #[serde(skip)]
    pub(super) live: Arc<Live>,
}

impl Job {
    /// How much of it is done, in percent; 100 only when it has completed.
    pub fn percent(&self) -> u8 {
        match self.state {
            JobState::Completed => 100,
            _ => self.live.percent.load(Ordering::Relaxed).min(99),
        }
    }

    /// The volumes that it only copies from or onto.
    pub(super) fn copied(&self) -> impl Iterator<Item = &VolumeId> {
        self.read.iter().chain(&self.overwritten)
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.state != JobState::Running
    }

    /// How long it ran, or has been running.
    pub fn elapsed(&self) -> Duration {
        let end = if self.is_finished() {
            self.changed
        } else {
            now_micros()
        };
        Duration::from_micros(end.saturating_sub(self.submitted))
    }

    const fn may_be_cancelled() -> bool {
        true
    }

    pub(super) fn start(id: JobId, title: String, area: Area, owner: String) -> Self {
        let now = now_micros();
        Self {
            id,
            title,
            area,
            owner,
            state: JobState::Running,
            submitted: now,
            changed: now,
            affected: Vec::new(),
            error: None,
            note: None,
            cancellable: true,
            read: Vec::new(),
            overwritten: Vec::new(),
            live: Arc::default(),
        }
    }

    /// The same job, with what its plan says of it.
    pub(super) fn of_plan(self, plan: &Plan) -> Self {
        let (read, overwritten) = plan.copied();
        Self {
            cancellable: plan.is_cancellable(),
            read,
            overwritten,
            ..self
        }
    }

    /// The same job, ended.
    pub(super) fn ended(&self, result: &Result<Vec<Element>, Error>) -> Self {
        let mut job = self.clone();
        job.changed = now_micros();
        match result {
            Ok(affected) => {
                job.state = JobState::Completed;
                job.affected.clone_from(affected);
            }
            Err(error) => {
                job.state = if self.live.is_cancelled() {
                    JobState::Cancelled
                } else {
                    JobState::Failed
                };
                job.error = Some((error.kind, error.message.clone()));
            }
        }
        job
    }
}

/// The part of a running job that changes all the time.
#[derive(Debug, Default)]
pub(super) struct Live {
    percent: AtomicU8,
    cancelled: AtomicBool,
}

impl Live {
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Progress for Live {
    fn report(&self, done: u64, total: u64) {
        let percent = (u128::from(done) * 100)
            .checked_div(total.into())
            .unwrap_or(0)
            .min(99);
        self.percent
            .store(u8::try_from(percent).unwrap_or(99), Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Microseconds since 1970.
pub(super) fn now_micros() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
