//! Faults that a test scripts: which of the coming steps fails, how, and when in its course.
//!
//! Nothing here is random.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Core;
use crate::array::{Error, Kind, Step, Unwatched};

/// When in its course a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has happened yet.
    Before,
    /// Half of it has happened, where a step has halves: a volume is exported but not mapped, or
    /// half of it is overwritten. Other steps are all or nothing.
    Midway,
    /// All of it has happened, but nobody is told so.
    After,
}

/// What the script says about one step.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    Fail(Kind, Moment),
    Hang(Arc<Mutex<Stuck>>),
}

/// How a hanging step stands.
#[derive(Debug)]
pub(super) enum Stuck {
    /// It hangs; somebody waits for it.
    Waited,
    /// It hangs and nobody waits any more: the step still happens when it is released.
    Abandoned(Box<Step>),
    /// It goes on.
    Released,
}

/// The faults to come, by the number of the step.
#[derive(Debug, Default)]
pub(super) struct Script {
    taken: u64,
    faults: BTreeMap<u64, Fault>,
}

impl Script {
    /// Counts a step; its fault, if it has one.
    pub(super) fn next(&mut self) -> Option<Fault> {
        self.taken += 1;
        self.faults.remove(&self.taken)
    }

    /// Forgets what is to come; whether there was anything.
    pub(super) fn clear(&mut self) -> bool {
        !std::mem::take(&mut self.faults).is_empty()
    }

    /// Sets the fault of a coming step; 1 is the next.
    pub(super) fn set(&mut self, step: u64, fault: Fault) {
        self.faults.insert(self.taken + step.max(1), fault);
    }
}

/// A step that hangs, as a configfs write may, until this lets it go on.
#[must_use = "the step hangs until it is released"]
pub struct Hang {
    pub(super) core: Arc<Core>,
    pub(super) stuck: Arc<Mutex<Stuck>>,
}

impl Hang {
    /// Lets the step go on. If its caller has given it up, it happens now, as it would when the
    /// kernel comes back to life.
    pub fn release(&self) {
        let before = std::mem::replace(&mut *lock(&self.stuck), Stuck::Released);
        if let Stuck::Abandoned(step) = before {
            // Nobody is left to hear how it ended.
            let _ = self.core.take(&step, &Unwatched);
        }
        self.core.clock.wake();
    }
}

/// The state of a hanging step.
pub(super) fn lock(stuck: &Mutex<Stuck>) -> MutexGuard<'_, Stuck> {
    stuck.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of a scripted failure.
pub(super) fn scripted(kind: Kind) -> Error {
    Error::new(
        kind,
        "the simulated machine failed as its script says; try again",
    )
}
