//! From a wish and a picture to a plan: pure functions, nothing runs here.
//!
//! What is impossible fails here, with the reason. A plan is data, so that the journal can hold it:
//! idempotent steps, each with its undo, and the changes of records that come at the end.

mod masking;
mod volumes;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::command::{Command, Effect};
use super::engine::Step;
use super::error::Error;
use super::ids::{JobId, PoolId, VolumeId};
use super::inventory::Inventory;

pub use volumes::{SizeRange, size_range};

/// The longest name of a volume, group or view, in bytes of UTF-8.
pub const MAX_NAME: usize = 255;

/// What will be done for a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// What it does, for people.
    pub(super) title: String,
    /// The steps in order.
    pub(super) steps: Vec<Planned>,
    /// The records that change when all steps are done.
    pub(super) changes: Vec<Change>,
    /// What must be true then, and what the client is told.
    pub(super) goal: Goal,
    /// What a restart in the middle does.
    pub(super) after_crash: AfterCrash,
}

impl Plan {
    /// Whether a restart would take it back although all of its steps are done, unless the records
    /// say so.
    pub(super) fn stands_on_records(&self) -> bool {
        self.after_crash == AfterCrash::Back && self.goal.pool().is_none()
    }
}

/// A step and what takes it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Planned {
    pub(super) step: Step,
    /// `None` where nothing is to be taken back.
    pub(super) undo: Option<Step>,
}

/// What a restart does with a plan that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AfterCrash {
    /// Takes it back, unless it turns out to be done.
    Back,
    /// Takes all steps again.
    Forward,
}

/// What must be true at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Goal {
    /// The finished volume of that device name is there.
    Made {
        pool: PoolId,
        device: String,
        size: u64,
    },
    /// The volume has that size and name.
    Changed {
        pool: PoolId,
        volume: VolumeId,
        size: u64,
        name: String,
    },
    /// The volume is gone.
    Removed { pool: PoolId, volume: VolumeId },
    /// Every map that the steps make is there, every other one gone.
    Shown { effect: Effect },
}

impl Goal {
    /// The pool that it is about, if it is about one.
    pub(super) const fn pool(&self) -> Option<&PoolId> {
        match self {
            Self::Made { pool, .. } | Self::Changed { pool, .. } | Self::Removed { pool, .. } => {
                Some(pool)
            }
            Self::Shown { .. } => None,
        }
    }
}

impl Planned {
    fn with_undo(step: Step, undo: Step) -> Self {
        Self {
            step,
            undo: Some(undo),
        }
    }

    fn lasting(step: Step) -> Self {
        Self { step, undo: None }
    }
}

/// Plans a command.
pub(super) fn plan(command: &Command, inventory: &Inventory, job: JobId) -> Result<Plan, Error> {
    match command {
        Command::CreateVolume { pool, name, size } => {
            volumes::create(inventory, pool, name.as_deref(), *size, job)
        }
        Command::GrowVolume { volume, size, name } => {
            volumes::grow(inventory, volume, *size, name.as_deref(), job)
        }
        Command::RenameVolume { volume, name } => volumes::rename(inventory, volume, name),
        Command::DeleteVolume { volume } => volumes::delete(inventory, volume, job),
        other => masking::plan(other, inventory),
    }
}

/// Checks a name for people: not empty, not too long, no control characters.
fn check_name(noun: &str, name: &str) -> Result<(), Error> {
    if name.trim().is_empty() {
        return Err(Error::invalid(format!(
            "a {noun} name must not be empty; give it a name"
        )));
    }
    if name.len() > MAX_NAME {
        return Err(Error::invalid(format!(
            "a {noun} name has at most {MAX_NAME} bytes of UTF-8, this one has {}",
            name.len()
        )));
    }
    if name
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'))
    {
        return Err(Error::invalid(format!(
            "a {noun} name must not hold control characters"
        )));
    }
    Ok(())
}
