//! Carrying out a plan: journal, steps, undo, verification, records.

use serde::{Deserialize, Serialize};

use crate::store::{Batch, Table};

use super::command::Effect;
use super::engine::{Engine, PoolFacts, Progress, Step, Unwatched};
use super::error::Error;
use super::ids::{JobId, VolumeId};
use super::job::{Element, Job};
use super::model::{Map, Volume};
use super::plan::{AfterCrash, Goal, Plan};

/// Work that began: what a restart needs to end it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) job: JobId,
    pub(super) plan: Plan,
}

/// What was reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) effect: Effect,
    /// What the affected pool is like now, where the plan concerned one.
    pub(super) pool: Option<PoolFacts>,
}

/// Why a plan ended without its goal, and whether everything was taken back.
#[derive(Debug)]
pub(super) struct Setback {
    pub(super) error: Error,
    /// Steps that could not be taken back; the journal keeps the plan then.
    pub(super) left: Option<Error>,
}

impl Reached {
    /// What the job made or changed, as long as it is there.
    pub(super) fn affected(&self) -> Vec<Element> {
        match &self.effect {
            Effect::Volume(id) => vec![Element::Volume(id.clone())],
            Effect::Initiator(name) => vec![Element::Initiator(name.clone())],
            Effect::Group(id, _) => vec![Element::Group(*id)],
            Effect::View(id) => vec![Element::View(*id)],
            Effect::Gone => Vec::new(),
        }
    }
}

/// Takes the steps, verifies the goal, and takes the steps back if either fails.
pub(super) fn carry_out(
    plan: &Plan,
    engine: &dyn Engine,
    progress: &dyn Progress,
) -> Result<Reached, Box<Setback>> {
    for (taken, planned) in plan.steps.iter().enumerate() {
        if let Err(error) = engine.apply(&planned.step, progress) {
            // The failed step may have done half of its work, so its undo is taken, too.
            let left = take_back(plan, taken + 1, engine).err();
            return Err(Box::new(Setback { error, left }));
        }
    }
    verify(plan, engine).map_err(|error| {
        let left = take_back(plan, plan.steps.len(), engine).err();
        Box::new(Setback { error, left })
    })
}

/// Takes the undos of the first `taken` steps, last first; goes on after a failure.
fn take_back(plan: &Plan, taken: usize, engine: &dyn Engine) -> Result<(), Error> {
    let undos = plan
        .steps
        .iter()
        .take(taken)
        .rev()
        .filter_map(|planned| planned.undo.as_ref());
    let mut first = Ok(());
    for undo in undos {
        if let Err(error) = engine.apply(undo, &Unwatched) {
            tracing::error!(?undo, %error, "a step could not be taken back");
            first = first.and(Err(error));
        }
    }
    first
}

/// How unfinished work ended at start-up.
#[derive(Debug)]
pub(super) enum Recovered {
    /// Its goal is reached; the records change.
    Finished(Reached),
    /// Nothing of it is left.
    RolledBack,
    /// It could not be ended; it stays in the journal.
    Stuck(Error),
}

/// Ends work that a crash interrupted.
pub(super) fn recover(plan: &Plan, engine: &dyn Engine) -> Recovered {
    if let Ok(reached) = verify(plan, engine) {
        return Recovered::Finished(reached);
    }
    match plan.after_crash {
        AfterCrash::Forward => match carry_out(plan, engine, &Unwatched) {
            Ok(reached) => Recovered::Finished(reached),
            Err(setback) => setback.left.map_or(Recovered::RolledBack, Recovered::Stuck),
        },
        AfterCrash::Back => match take_back(plan, plan.steps.len(), engine) {
            Ok(()) => Recovered::RolledBack,
            Err(error) => Recovered::Stuck(error),
        },
    }
}

/// Looks again at what the plan was about, and compares it with the goal.
fn verify(plan: &Plan, engine: &dyn Engine) -> Result<Reached, Error> {
    let unlike = |what: String| Error::bug(format!("{what}; nothing of the request was kept"));
    match &plan.goal {
        Goal::Made { pool, device, size } => {
            let facts = engine.scan_pool(pool)?;
            let made = facts
                .volumes
                .iter()
                .find(|v| v.device == *device && v.job.is_none());
            match made.filter(|v| v.size == *size) {
                Some(volume) => Ok(Reached {
                    effect: Effect::Volume(volume.id.clone()),
                    pool: Some(facts),
                }),
                None => Err(unlike(format!(
                    "the new volume is not there with {size} bytes"
                ))),
            }
        }
        Goal::Changed {
            pool,
            volume,
            size,
            name,
        } => {
            let facts = engine.scan_pool(pool)?;
            match find(&facts, volume).filter(|v| v.size == *size && v.name == *name) {
                Some(_) => Ok(Reached {
                    effect: Effect::Volume(volume.clone()),
                    pool: Some(facts),
                }),
                None => Err(unlike(format!("the volume does not have {size} bytes"))),
            }
        }
        Goal::Removed { pool, volume } => {
            let facts = engine.scan_pool(pool)?;
            match find(&facts, volume) {
                None => Ok(Reached {
                    effect: Effect::Gone,
                    pool: Some(facts),
                }),
                Some(_) => Err(unlike("the volume is still there".to_owned())),
            }
        }
        Goal::Shown { effect } => {
            for (map, shown) in plan
                .steps
                .iter()
                .filter_map(|planned| map_of(&planned.step))
            {
                if engine.is_mapped(map)? != shown {
                    let state = if shown { "not shown" } else { "still shown" };
                    return Err(unlike(format!(
                        "device number {} is {state} to {}",
                        map.lun, map.initiator
                    )));
                }
            }
            Ok(Reached {
                effect: effect.clone(),
                pool: None,
            })
        }
    }
}

fn find<'a>(facts: &'a PoolFacts, id: &VolumeId) -> Option<&'a Volume> {
    facts.volumes.iter().find(|v| v.id == *id)
}

/// The map that a step makes (`true`) or takes away.
fn map_of(step: &Step) -> Option<(&Map, bool)> {
    match step {
        Step::Map(map) => Some((map, true)),
        Step::Unmap(map) => Some((map, false)),
        _ => None,
    }
}

/// What is written before the first step: the plan and the job, in one transaction.
pub(super) fn opening(begun: &Begun, job: &Job) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Journal, begun.job.to_string(), begun);
    batch.put(Table::Jobs, job.id.to_string(), job);
    batch
}

/// What is written after the last step: the records, the job, and the end of the journal entry.
pub(super) fn closing(plan: &Plan, job: &Job, reached: bool, clean: bool) -> Batch {
    let mut batch = Batch::new();
    if reached {
        plan.changes
            .iter()
            .for_each(|change| change.write_to(&mut batch));
    }
    batch.put(Table::Jobs, job.id.to_string(), job);
    if clean {
        batch.remove(Table::Journal, job.id.to_string());
    }
    batch
}
