//! Jobs: every command is one, visible until its time is up.

mod live;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::error::{Error, Kind};
use super::ids::{
    GroupId, InitiatorName, Iqn, JobId, PoolId, PortId, ReplicationGroupId, SettingId, ViewId,
    VolumeId,
};
use super::plan::Plan;

pub(super) use live::Live;

/// How long a finished job stays visible unless a client wants another time.
pub const JOB_RETENTION: Duration = Duration::from_secs(300);
/// The longest time that a client can want.
pub const MAX_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// How many finished jobs are remembered; of more, those that ended first are forgotten.
pub const MAX_FINISHED: usize = 1000;
/// The longest text of a call that is kept with its job, in bytes.
pub const MAX_CALL: usize = 16 * 1024;

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
/// Running ◄──► Suspended
///    │             │
///    ▼             ▼
/// Completed | Failed | Cancelled | Killed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// At work.
    Running,
    /// It rests until somebody wants it to go on.
    Suspended,
    /// All done and verified.
    Completed,
    /// Nothing of it is left but what `note` tells; `error` says why.
    Failed,
    /// The same, because somebody wanted it so.
    Cancelled,
    /// The same, of one who did not ask nicely.
    Killed,
}

/// Which room of the product a job belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Area {
    /// Pools and volumes.
    Storage,
    /// What lies on disks that are missing or fail.
    Repair,
    /// What goes to other disks.
    Relocation,
    /// Snapshots and clones, and groups of what is replicated together.
    Replication,
    /// Initiators.
    Initiators,
    /// Groups and views.
    Masking,
    /// Targets and their ports.
    Targets,
}

/// The call that a job came from, as its two texts: what was asked and what was answered. Whoever
/// hands in a command writes them; the array keeps them with the job and does not read them. They
/// must not hold secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "CallRecord", into = "CallRecord")]
pub struct Call {
    asked: Arc<str>,
    answered: OnceLock<Arc<str>>,
}

/// A call as the store holds it.
#[derive(Serialize, Deserialize)]
struct CallRecord {
    asked: Arc<str>,
    answered: Option<Arc<str>>,
}

impl From<CallRecord> for Call {
    fn from(record: CallRecord) -> Self {
        let answered = OnceLock::new();
        if let Some(text) = record.answered {
            // It was empty.
            let _ = answered.set(text);
        }
        Self {
            asked: record.asked,
            answered,
        }
    }
}

impl From<Call> for CallRecord {
    fn from(call: Call) -> Self {
        Self {
            answered: call.answered.get().cloned(),
            asked: call.asked,
        }
    }
}

impl Call {
    /// A call that was not answered yet; `None` for one longer than [`MAX_CALL`].
    pub fn new(asked: &str) -> Option<Self> {
        (asked.len() <= MAX_CALL).then(|| Self {
            asked: asked.into(),
            answered: OnceLock::new(),
        })
    }

    /// What was asked.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// What was answered, if that is known.
    pub fn answered(&self) -> Option<&str> {
        self.answered.get().map(|text| &**text)
    }

    /// Keeps what was answered, once; whether it was kept.
    pub(super) fn answer(&self, text: &str) -> bool {
        text.len() <= MAX_CALL && self.answered.set(text.into()).is_ok()
    }
}

/// Who handed in a command, when, and for which call.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) id: JobId,
    pub(super) owner: String,
    /// In microseconds since 1970.
    pub(super) at: u64,
    pub(super) call: Option<Call>,
}

/// How long a job is remembered after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Whether it is forgotten by itself; else a client does that.
    pub by_itself: bool,
    /// How long it stays at least, as long as there is [room](MAX_FINISHED). Counted by a clock
    /// that nobody sets, and from the start of the program if that was later than its end.
    pub time: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            by_itself: true,
            time: JOB_RETENTION,
        }
    }
}

/// What is known of a job only at its end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Ended {
    percent: u8,
    /// How long it worked.
    worked: Duration,
}

/// A job, as it was when the snapshot was taken; how far it is, is live.
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
    /// When it was handed in, in microseconds since 1970.
    pub submitted: u64,
    /// When its first step was due, in microseconds since 1970.
    #[serde(default)]
    started: Option<u64>,
    /// When its state changed last, in microseconds since 1970.
    pub changed: u64,
    /// What it changes, or made or changed; of things that are gone nothing is listed.
    pub affected: Vec<Element>,
    /// Whether it makes something.
    #[serde(default)]
    pub creates: bool,
    /// Why it failed.
    pub error: Option<(Kind, String)>,
    /// What the administrator should know beyond that, e.g. that a restart rolled it back.
    pub note: Option<String>,
    /// How long it is remembered.
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    ended: Option<Ended>,
    /// The call that it came from; none for what no client called a method for.
    #[serde(skip)]
    pub call: Option<Arc<Call>>,
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
    /// How much of it is done, in percent; 100 only when it has completed. Counted in the bytes
    /// that all of its steps move.
    pub fn percent(&self) -> u8 {
        match (self.state, &self.ended) {
            (JobState::Completed, _) => 100,
            (_, Some(ended)) => ended.percent,
            (_, None) => self.live.percent(),
        }
    }

    /// The volumes that it only copies from or onto.
    pub(super) fn copied(&self) -> impl Iterator<Item = &VolumeId> {
        self.read.iter().chain(&self.overwritten)
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        !matches!(self.state, JobState::Running | JobState::Suspended)
    }

    /// Whether somebody wants it to end, and it has not yet.
    pub fn is_stopping(&self) -> bool {
        !self.is_finished() && self.live.is_cancelled()
    }

    /// When its first step was due, in microseconds since 1970.
    pub fn started(&self) -> u64 {
        self.started.unwrap_or(self.submitted)
    }

    /// How long it worked, or has been working; time in which it rested does not count.
    pub fn elapsed(&self) -> Duration {
        match &self.ended {
            Some(ended) => ended.worked,
            // It was interrupted, and how long it worked until then is not known.
            None if self.is_finished() => {
                Duration::from_micros(self.changed.saturating_sub(self.started()))
            }
            None => self.live.worked(),
        }
    }

    /// How long it still takes, if its progress tells; `None` for a job that rests or has ended.
    pub fn remaining(&self) -> Option<Duration> {
        match self.state {
            JobState::Running => self.live.remaining(),
            _ => None,
        }
    }

    /// Whether its time is up.
    pub(super) fn is_due(&self) -> bool {
        let Retention { by_itself, time } = self.retention;
        self.is_finished() && by_itself && self.live.over_for() >= time
    }

    const fn may_be_cancelled() -> bool {
        true
    }

    /// A job that begins now, of a command that was handed in a while ago.
    pub(super) fn start(order: Order, title: String, command: &Command) -> Self {
        let now = now_micros();
        Self {
            id: order.id,
            title,
            area: command.area(),
            owner: order.owner,
            state: JobState::Running,
            submitted: order.at,
            started: Some(now),
            changed: now,
            affected: command.subjects(),
            creates: command.creates(),
            error: None,
            note: None,
            retention: Retention::default(),
            ended: None,
            call: order.call.map(Arc::new),
            cancellable: true,
            read: Vec::new(),
            overwritten: Vec::new(),
            live: Arc::new(Live::begun()),
        }
    }

    /// A job of which nothing is known but the work that it left.
    pub(super) fn lost(id: JobId, title: String) -> Self {
        let now = now_micros();
        Self {
            id,
            title,
            area: Area::Storage,
            owner: String::new(),
            state: JobState::Running,
            submitted: now,
            started: None,
            changed: now,
            affected: Vec::new(),
            creates: false,
            error: None,
            note: None,
            retention: Retention::default(),
            ended: None,
            call: None,
            cancellable: true,
            read: Vec::new(),
            overwritten: Vec::new(),
            live: Arc::default(),
        }
    }

    /// The same job with a word for the administrator.
    pub(super) fn noted(&self, note: &str) -> Self {
        Self {
            note: Some(note.into()),
            ..self.clone()
        }
    }

    /// The same job, at work again after a restart.
    pub(super) fn resumed(self) -> Self {
        Self {
            state: JobState::Running,
            live: Arc::new(Live::begun()),
            ..self
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
        let mut job = self.interrupted(result);
        job.ended = Some(Ended {
            percent: self.live.percent(),
            worked: self.live.worked(),
        });
        job
    }

    /// The same job, ended by somebody who did not see it run.
    pub(super) fn interrupted(&self, result: &Result<Vec<Element>, Error>) -> Self {
        let mut job = self.clone();
        job.live.over_since();
        job.changed = now_micros();
        match result {
            Ok(affected) => {
                job.state = JobState::Completed;
                job.affected.clone_from(affected);
            }
            Err(error) => {
                job.state = self.live.end_wished().unwrap_or(JobState::Failed);
                job.error = Some((error.kind, error.message.clone()));
            }
        }
        job
    }
}

/// Microseconds since 1970.
pub(super) fn now_micros() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
