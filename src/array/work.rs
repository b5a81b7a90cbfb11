//! Carrying out a plan: journal, steps, undo, verification, records.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::store::{Batch, Table};

use super::command::Effect;
use super::engine::{Engine, PoolFacts, Progress, Step, Unwatched};
use super::error::{Error, Kind};
use super::ids::{JobId, VolumeId};
use super::job::{Element, Job};
use super::model::{Map, Volume};
use super::plan::{AfterCrash, Goal, Plan, Planned};

/// Work that began: what a restart needs to end it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) job: JobId,
    pub(super) plan: Plan,
    /// Whether somebody was told already that it failed: from then on it is only taken back.
    #[serde(default)]
    pub(super) failed: bool,
}

impl Begun {
    pub(super) fn new(job: JobId, plan: Plan) -> Self {
        Self {
            job,
            plan,
            failed: false,
        }
    }
}

/// What was reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) effect: Effect,
    /// What the affected pool is like, where the plan concerned one, and when the look began.
    pub(super) pool: Option<(Instant, PoolFacts)>,
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
    carry_on(plan, engine, progress, |_| true)
}

/// The same, but only those steps that are `due`; all of them are taken back if need be.
fn carry_on(
    plan: &Plan,
    engine: &dyn Engine,
    progress: &dyn Progress,
    due: fn(&Step) -> bool,
) -> Result<Reached, Box<Setback>> {
    let steps = plan.steps.iter().enumerate();
    for (taken, planned) in steps.filter(|(_, planned)| due(&planned.step)) {
        if let Err(error) = engine.apply(&planned.step, progress) {
            // The failed step may have done half of its work, so its undo is taken, too.
            return set_back(plan, taken + 1, engine, error);
        }
    }
    verify(plan, engine).or_else(|error| set_back(plan, plan.steps.len(), engine, error))
}

/// What becomes of a plan after an error in one of its first `taken` steps.
fn set_back(
    plan: &Plan,
    taken: usize,
    engine: &dyn Engine,
    error: Error,
) -> Result<Reached, Box<Setback>> {
    // A step can fail after it did all of its work, and the last one cannot be taken back then.
    if let Ok(reached) = verify(plan, engine) {
        tracing::warn!(%error, title = plan.title, "a step failed, but its work is done");
        return Ok(reached);
    }
    // What did not end in time may still happen, after everything was taken back: so this is not
    // the end of it.
    let left = match take_back(plan, taken, engine) {
        Ok(()) if error.kind == Kind::Timeout => Some(error.clone()),
        other => other.err(),
    };
    Err(Box::new(Setback { error, left }))
}

/// Takes the undos of the first `taken` steps, last first; goes on after a failure.
pub(super) fn take_back(plan: &Plan, taken: usize, engine: &dyn Engine) -> Result<(), Error> {
    let taken = plan.steps.iter().take(taken).rev();
    let mut first = Ok(());
    for planned in taken {
        if let Err(error) = undo(plan, planned, engine) {
            tracing::error!(?planned, %error, "a step could not be taken back");
            first = first.and(Err(error));
        }
    }
    first
}

/// Takes back one step.
fn undo(plan: &Plan, planned: &Planned, engine: &dyn Engine) -> Result<(), Error> {
    let Some(undo) = &planned.undo else {
        return Ok(());
    };
    if let Step::Rename { volume, name } = &planned.step
        && !bears(plan, volume, name, engine)?
    {
        // It was never renamed, or somebody gave it another name since: that one stays.
        return Ok(());
    }
    match engine.apply(undo, &Unwatched) {
        // A pool that is there and lacks the volume has nothing that could be taken back.
        Err(error) if error.kind == Kind::NotFound => match plan.goal.pool() {
            Some(pool) => engine.scan_pool(pool).map(drop),
            None => Err(error),
        },
        other => other,
    }
}

/// Whether the volume bears that name now.
fn bears(plan: &Plan, volume: &VolumeId, name: &str, engine: &dyn Engine) -> Result<bool, Error> {
    match plan.goal.pool() {
        Some(pool) => {
            let facts = engine.scan_pool(pool)?;
            Ok(find(&facts, volume).is_some_and(|v| v.name == name))
        }
        None => Ok(false),
    }
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

/// Ends work that a crash interrupted, or that could not be taken back when it failed.
pub(super) fn recover(begun: &Begun, engine: &dyn Engine) -> Recovered {
    let plan = &begun.plan;
    // While its pool is missing nothing can be said about a volume, least of all that it is gone.
    if let Some(pool) = plan.goal.pool()
        && let Err(error) = engine.scan_pool(pool)
    {
        return Recovered::Stuck(error);
    }
    if let Ok(reached) = verify(plan, engine) {
        return Recovered::Finished(reached);
    }
    let back = || match take_back(plan, plan.steps.len(), engine) {
        Ok(()) => Recovered::RolledBack,
        Err(error) => Recovered::Stuck(error),
    };
    match plan.after_crash {
        AfterCrash::Forward if !begun.failed => {
            // A volume is not marked anew: one without the mark was not begun, or was spared.
            let due = |step: &Step| !matches!(step, Step::Mark { .. });
            match carry_on(plan, engine, &Unwatched, due) {
                Ok(reached) => Recovered::Finished(reached),
                Err(setback) => setback.left.map_or(Recovered::RolledBack, Recovered::Stuck),
            }
        }
        AfterCrash::Forward | AfterCrash::Back => back(),
    }
}

/// Looks again at what the plan was about, and compares it with the goal.
fn verify(plan: &Plan, engine: &dyn Engine) -> Result<Reached, Error> {
    let unlike = |what: String| Error::bug(format!("{what}; nothing of the request was kept"));
    let look = Instant::now();
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
                    pool: Some((look, facts)),
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
                    pool: Some((look, facts)),
                }),
                None => Err(unlike(format!("the volume does not have {size} bytes"))),
            }
        }
        Goal::Removed { pool, volume } => {
            let facts = engine.scan_pool(pool)?;
            match find(&facts, volume) {
                None => Ok(Reached {
                    effect: Effect::Gone,
                    pool: Some((look, facts)),
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
pub(super) fn map_of(step: &Step) -> Option<(&Map, bool)> {
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

/// What is written at the end: the job, the records if the goal was reached, and the end of the
/// journal entry unless something is left.
pub(super) fn closing(begun: &Begun, job: &Job, reached: bool, left: bool) -> Batch {
    let mut batch = Batch::new();
    if reached {
        begun
            .plan
            .changes
            .iter()
            .for_each(|change| change.write_to(&mut batch));
    }
    batch.put(Table::Jobs, job.id.to_string(), job);
    if left {
        let failed = Begun {
            failed: true,
            ..begun.clone()
        };
        batch.put(Table::Journal, begun.job.to_string(), &failed);
    } else {
        batch.remove(Table::Journal, begun.job.to_string());
    }
    batch
}
