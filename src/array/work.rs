//! Carrying out a plan: journal, steps, undo, verification, records.

mod emptied;
mod journal;
mod judge;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::command::Effect;
use super::course::Course;
use super::engine::{Engine, Facts, GroupFacts, Progress, Unwatched};
use super::error::{Error, Kind};
use super::ids::{JobId, PoolId};
use super::job::Element;
use super::model::{Health, Map, ReplicationGroup, Torn, Volume};
use super::plan::{AfterCrash, Goal, Plan, Planned, Scope};
use super::step::Step;
use emptied::look_again;
use judge::{find, find_pool, have_left, judge_group, judge_machine, shown};

pub(super) use journal::{closing, noting, opening, settling};

/// Work that began: what a restart needs to end it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) job: JobId,
    pub(super) plan: Plan,
    /// Whether somebody was told already that it failed: from then on it is only taken back.
    #[serde(default)]
    pub(super) failed: bool,
    /// Whether something else was begun on the same since then: only what is its own for sure is taken
    /// back, and nothing else that it meant to change comes true any more.
    #[serde(default)]
    pub(super) superseded: bool,
    /// Whether all copies have ended well. Nothing else tells what was overwritten and finished
    /// from what was never begun; and from then on there is no way back to where a volume lay.
    #[serde(default)]
    pub(super) copied: bool,
    /// The volume group that it has made.
    #[serde(default)]
    pub(super) made: Option<PoolId>,
}

impl Begun {
    pub(super) fn new(job: JobId, plan: Plan) -> Self {
        Self {
            job,
            plan,
            failed: false,
            superseded: false,
            copied: false,
            made: None,
        }
    }

    /// Whether what is left of it takes long: then a start does not wait for it. What has left its
    /// old place may have to be erased there.
    pub(super) fn takes_long(&self) -> bool {
        let goes_on = match self.plan.goal {
            Goal::Relocated { .. } => self.copied,
            _ => self.plan.after_crash == AfterCrash::Forward && !self.copied,
        };
        goes_on && !self.failed && self.plan.takes_long()
    }

    /// Whether its goal says by itself that it is reached.
    fn is_believed(&self) -> bool {
        let needs_copies = matches!(
            self.plan.goal,
            Goal::Overwritten { .. } | Goal::Relocated { .. }
        );
        self.copied || !needs_copies
    }

    /// Whether volumes are there in the place of others, which can only go.
    fn has_moved(&self) -> bool {
        self.copied && matches!(self.plan.goal, Goal::Relocated { .. })
    }
}

/// What was reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) effect: Effect,
    /// What was seen, where the plan concerned storage, and when the look began.
    pub(super) look: Option<(Instant, Look)>,
    /// The records that change, of what has its identity only now too.
    pub(super) changes: Vec<Change>,
}

/// What was seen to find out whether a goal is reached.
#[derive(Debug)]
pub(super) enum Look {
    /// Volume groups.
    Groups(Vec<GroupFacts>),
    /// Everything.
    Machine(Box<Facts>),
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
            Effect::Pool(id) => vec![Element::Pool(id.clone())],
            Effect::Volumes(ids) => ids.iter().cloned().map(Element::Volume).collect(),
            Effect::ReplicationGroup(id) => vec![Element::ReplicationGroup(*id)],
            Effect::Setting(id) => vec![Element::Setting(*id)],
            Effect::Target(iqn) => vec![Element::Target(iqn.clone())],
            Effect::Port(id) => vec![Element::Port(id.clone())],
            Effect::Initiator(name) => vec![Element::Initiator(name.clone())],
            Effect::Group(id, _) => vec![Element::Group(*id)],
            Effect::View(id) => vec![Element::View(*id)],
            Effect::Gone => Vec::new(),
        }
    }
}

/// Notes in the journal how far work has come.
type Note<'a> = &'a dyn Fn(&Begun) -> Result<(), Error>;

/// Takes the steps, verifies the goal, and takes the steps back if either fails.
pub(super) fn carry_out(
    begun: &mut Begun,
    engine: &dyn Engine,
    course: &Course<'_>,
    note: Note<'_>,
) -> Result<Reached, Box<Setback>> {
    carry_on(begun, engine, course, note, |_, _| true)
}

/// The same, but only those steps that are `due`, by their number; all of them are taken back if
/// need be.
fn carry_on(
    begun: &mut Begun,
    engine: &dyn Engine,
    course: &Course<'_>,
    note: Note<'_>,
    due: impl Fn(usize, &Step) -> bool,
) -> Result<Reached, Box<Setback>> {
    let copies = begun.plan.copies();
    for taken in 0..begun.plan.steps.len() {
        let step = &begun.plan.steps[taken].step;
        if !due(taken, step) {
            continue;
        }
        if let Err(error) = course.take(engine, taken, step) {
            // The failed step may have done half of its work, so its undo is taken, too.
            return set_back(begun, taken + 1, engine, course, error);
        }
        if let Err(error) = look_again(&begun.plan, taken, engine)
            .and_then(|()| note_group(begun, taken, engine, note))
        {
            return set_back(begun, taken + 1, engine, course, error);
        }
        if taken + 1 == copies && !begun.is_believed() {
            begun.copied = true;
            if let Err(error) = note(begun) {
                begun.copied = false;
                return set_back(begun, taken + 1, engine, course, error);
            }
        }
    }
    let all = begun.plan.steps.len();
    verify(&begun.plan, engine).or_else(|error| set_back(begun, all, engine, course, error))
}

/// Notes which volume group a step has made. The next one takes the job's mark off it, and then its
/// name alone would not tell it from one that somebody else made.
fn note_group(
    begun: &mut Begun,
    taken: usize,
    engine: &dyn Engine,
    note: Note<'_>,
) -> Result<(), Error> {
    let Step::CreateGroup { device, .. } = &begun.plan.steps[taken].step else {
        return Ok(());
    };
    let facts = engine.scan()?;
    let mut groups = facts.pools.iter().filter(|pool| pool.thin().is_none());
    let made = groups.find(|pool| pool.device == *device && pool.job == Some(begun.job));
    let made =
        made.ok_or_else(|| Error::bug("the new pool is not there; nothing of it was kept"))?;
    begun.made = Some(made.id.clone());
    note(begun)
}

/// Takes one step. What kills the program on purpose finds its moment in the log.
pub(super) fn take(step: &Step, engine: &dyn Engine, progress: &dyn Progress) -> Result<(), Error> {
    tracing::debug!(?step, "a step begins");
    let done = engine.apply(step, progress);
    tracing::debug!(ok = done.is_ok(), "a step has ended");
    done
}

/// What becomes of a plan after an error in one of its first `taken` steps.
fn set_back(
    begun: &Begun,
    taken: usize,
    engine: &dyn Engine,
    course: &Course<'_>,
    error: Error,
) -> Result<Reached, Box<Setback>> {
    let plan = &begun.plan;
    // A step can fail after it did all of its work, and the last one cannot be taken back then. One
    // that cannot answer for what it did is not believed.
    if error.kind != Kind::Bug
        && begun.is_believed()
        && let Ok(reached) = verify(plan, engine)
    {
        tracing::warn!(%error, title = plan.title, "a step failed, but its work is done");
        return Ok(reached);
    }
    let ended = match begun.has_moved() {
        true => Some(let_go(plan, engine, course)),
        false => is_finished_in_part(plan, engine).then(|| finish(plan, 0, engine, course)),
    };
    if let Some(ended) = ended {
        return ended.map_err(|left| {
            Box::new(Setback {
                error,
                left: Some(left),
            })
        });
    }
    // The step that failed is tried once more, because there is no way back to where all was there.
    if is_removed_in_part(plan, engine)
        && let Ok(reached) = finish(plan, taken.saturating_sub(1), engine, course)
    {
        return Ok(reached);
    }
    // What did not end in time may still happen, after everything was taken back: so this is not
    // the end of it.
    let left = match take_back(plan, taken, engine) {
        Ok(()) if error.kind == Kind::Timeout => Some(error.clone()),
        other => other.err(),
    };
    let error = with_erased(plan, engine, error);
    Err(Box::new(Setback { error, left }))
}

/// Whether one of the volumes that a plan makes is finished: then all of them are ready, and as
/// somebody may use that one already there is no way back.
fn is_finished_in_part(plan: &Plan, engine: &dyn Engine) -> bool {
    let Goal::Made { group, volumes, .. } = &plan.goal else {
        return false;
    };
    let is_made = |v: &Volume| volumes.iter().any(|(device, _)| v.device == *device);
    engine.scan_group(group).is_ok_and(|facts| {
        let mut finished = facts.volumes.iter().filter(|v| v.job.is_none());
        finished.any(is_made)
    })
}

/// Whether one of the volumes that a plan removes is gone: nothing brings it back.
fn is_removed_in_part(plan: &Plan, engine: &dyn Engine) -> bool {
    let Goal::Removed { group, volumes } = &plan.goal else {
        return false;
    };
    let facts = engine.scan_group(group);
    facts.is_ok_and(|facts| volumes.iter().any(|id| find(&facts, id).is_none()))
}

/// Finishes volumes that have moved to another pool, and erases and removes what they were. Who wants
/// it to stop is too late.
fn let_go(plan: &Plan, engine: &dyn Engine, course: &Course<'_>) -> Result<Reached, Error> {
    check_moved(plan, engine)?;
    let take = |course: &Course<'_>| {
        let mut steps = plan.steps.iter().enumerate().skip(plan.copies());
        steps.try_for_each(|(place, planned)| match &planned.step {
            // Whoever has it by now may have deleted it.
            step @ Step::Unmark { .. } => match course.take(engine, place, step) {
                Err(error) if error.kind == Kind::NotFound => Ok(()),
                taken => taken,
            },
            step => course.take(engine, place, step),
        })
    };
    match take(course) {
        Err(error) if error.kind == Kind::Unavailable => take(&Course::unwatched())?,
        taken => taken?,
    }
    verify(plan, engine)
}

/// Refuses to let go of what volumes were while what they are now cannot be read.
fn check_moved(plan: &Plan, engine: &dyn Engine) -> Result<(), Error> {
    let Goal::Relocated { group, volumes, .. } = &plan.goal else {
        return Ok(());
    };
    let facts = engine.scan_group(group)?;
    let is_made = |v: &&Volume| volumes.contains(&v.device);
    let mut failed = facts.volumes.iter().filter(is_made);
    match failed.find(|volume| matches!(volume.health, Health::Failed(_))) {
        None => Ok(()),
        Some(volume) => Err(Error::unavailable(format!(
            "volume '{}' has moved to pool {}, where it cannot be read now; what it was is kept until \
             it can",
            volume.name, facts.group.name
        ))),
    }
}

/// Finishes, or erases and removes, the other volumes, too, by the steps from that number on.
fn finish(
    plan: &Plan,
    from: usize,
    engine: &dyn Engine,
    course: &Course<'_>,
) -> Result<Reached, Error> {
    for (place, planned) in plan.steps.iter().enumerate().skip(from) {
        if let Step::Unmark { .. } | Step::Erase { .. } | Step::Remove { .. } = planned.step {
            course.take(engine, place, &planned.step)?;
        }
    }
    verify(plan, engine)
}

/// Why a plan failed, and which of the volumes that it was to remove are no use to anybody any more.
fn with_erased(plan: &Plan, engine: &dyn Engine, mut error: Error) -> Error {
    let Goal::Removed { group, volumes } = &plan.goal else {
        return error;
    };
    let Ok(facts) = engine.scan_group(group) else {
        return error;
    };
    let found = volumes.iter().filter_map(|id| find(&facts, id));
    let erased = found.filter(|volume| volume.torn == Some(Torn::Erased));
    let names: Vec<_> = erased.map(|volume| format!("'{}'", volume.name)).collect();
    if !names.is_empty() {
        error.message = format!(
            "{}; what these volumes held is erased or incomplete: {}; delete them again",
            error.message,
            names.join(", ")
        );
    }
    error
}

/// Takes the undos of the first `taken` steps, last first; goes on after a failure.
pub(super) fn take_back(plan: &Plan, taken: usize, engine: &dyn Engine) -> Result<(), Error> {
    take_these_back(plan, plan.steps.iter().take(taken), engine)
}

fn take_these_back<'a>(
    plan: &Plan,
    steps: impl DoubleEndedIterator<Item = &'a Planned>,
    engine: &dyn Engine,
) -> Result<(), Error> {
    let mut first = Ok(());
    for planned in steps.rev() {
        if let Err(error) = undo(plan, planned, engine) {
            tracing::error!(?planned, %error, "a step could not be taken back");
            first = first.and(Err(error));
        }
    }
    first
}

/// Takes back one step.
fn undo(plan: &Plan, planned: &Planned, engine: &dyn Engine) -> Result<(), Error> {
    if !is_named(plan, &planned.step, engine)? {
        // It was never renamed, or somebody gave it another name since: that one stays.
        return Ok(());
    }
    let mut first = Ok(());
    for undo in planned.undo.iter().rev() {
        first = first.and(undo_by(plan, undo, engine));
    }
    first
}

fn undo_by(plan: &Plan, undo: &Step, engine: &dyn Engine) -> Result<(), Error> {
    match take(undo, engine, &Unwatched) {
        // What lies on a disk by now stays there, and the disk with it.
        Err(error) if error.kind == Kind::InUse && matches!(undo, Step::ReduceGroup { .. }) => {
            tracing::warn!(%error, "a disk that was added stays");
            Ok(())
        }
        // A pool that is there and lacks the volume has nothing that could be taken back.
        Err(error) if error.kind == Kind::NotFound => match plan.goal.scope() {
            Scope::Group(group) => {
                let mut groups = std::iter::once(group).chain(plan.goal.beside());
                groups.try_for_each(|group| engine.scan_group(group).map(drop))
            }
            Scope::Machine => engine.scan().map(drop),
            Scope::Records => Err(error),
        },
        other => other,
    }
}

/// Whether what a step has renamed bears that name now; true for every other step.
fn is_named(plan: &Plan, step: &Step, engine: &dyn Engine) -> Result<bool, Error> {
    let Scope::Group(group) = plan.goal.scope() else {
        return Ok(true);
    };
    match step {
        Step::Rename { volume, name } => {
            let facts = engine.scan_group(group)?;
            Ok(find(&facts, volume).is_some_and(|v| v.name == *name))
        }
        Step::RenamePool { pool, name } => {
            let facts = engine.scan_group(group)?;
            Ok(find_pool(&facts, pool).is_some_and(|p| p.name == *name))
        }
        _ => Ok(true),
    }
}

/// Why a job failed that a restart rolled back.
pub(super) fn interrupted() -> Error {
    Error::unavailable("a restart interrupted the job; it was rolled back")
}

/// How unfinished work ended at a start, or later on.
#[derive(Debug)]
pub(super) enum Recovered {
    /// Its goal is reached; the records change.
    Finished(Reached),
    /// Nothing of it is left; what the job says of that.
    RolledBack(Error),
    /// It could not be ended; it stays in the journal.
    Stuck(Error),
}

/// Ends work that a crash interrupted, or that could not be taken back when it failed.
pub(super) fn recover(
    begun: &mut Begun,
    engine: &dyn Engine,
    course: &Course<'_>,
    note: Note<'_>,
) -> Recovered {
    let plan = &begun.plan;
    // Records are written with the end of the journal entry: while it is there they are not.
    if plan.stands_on_records() && plan.steps.is_empty() {
        return Recovered::RolledBack(interrupted());
    }
    // While its group is missing nothing can be said about a volume, least of all that it is gone.
    let facts = match plan.goal.scope() {
        Scope::Group(group) => match engine.scan_group(group) {
            Ok(facts) => Some(facts),
            Err(error) => return Recovered::Stuck(error),
        },
        Scope::Machine | Scope::Records => None,
    };
    // What goes forward takes its steps again even if the goal is reached: there may be more to do.
    let goes_forward = plan.after_crash == AfterCrash::Forward && !begun.failed;
    if !goes_forward
        && begun.is_believed()
        && let Ok(mut reached) = verify(plan, engine)
    {
        if begun.superseded {
            // What stands in the records by now is the wish of somebody else. A pool is itself.
            let is_of_pools =
                |change: &Change| matches!(change, Change::PutPool(_) | Change::RemovePool(_));
            reached.changes.retain(is_of_pools);
        }
        return Recovered::Finished(reached);
    }
    if begun.has_moved() {
        return let_go(plan, engine, course).map_or_else(Recovered::Stuck, Recovered::Finished);
    }
    if is_finished_in_part(plan, engine) {
        return finish(plan, 0, engine, course).map_or_else(Recovered::Stuck, Recovered::Finished);
    }
    // Since somebody was told that it failed, the disk may have been added by somebody else.
    let is_old = |planned: &Planned| match begun.superseded {
        true => !planned.undo.iter().all(Step::undoes_only_its_own),
        false => begun.failed && matches!(planned.step, Step::ExtendGroup { .. }),
    };
    let due = plan.steps.iter().filter(|planned| !is_old(planned));
    let back = || match take_these_back(plan, due, engine) {
        Ok(()) => Recovered::RolledBack(with_erased(plan, engine, interrupted())),
        Err(error) => Recovered::Stuck(error),
    };
    // The marks come first: one that is missing says that nothing was removed yet.
    let is_begun = || begun.copied || facts.is_none_or(|facts| is_marked(plan, begun.job, &facts));
    if !goes_forward || !is_begun() {
        return back();
    }
    // Nothing is marked anew: what is without the mark was not begun, or was spared. And a start
    // does not wait for legs, which come into step by themselves. What was copied is not copied
    // again.
    let reached = if begun.copied { plan.copies() } else { 0 };
    let takes_long = begun.takes_long();
    let due = |number: usize, step: &Step| {
        let passed = match step {
            Step::Mark { .. } | Step::MarkGroup { .. } => true,
            Step::Sync { .. } => !takes_long,
            _ => false,
        };
        number >= reached && !passed
    };
    match carry_on(begun, engine, course, note, due) {
        Ok(reached) => Recovered::Finished(reached),
        Err(setback) => match setback.left {
            Some(left) => Recovered::Stuck(left),
            None => Recovered::RolledBack(setback.error),
        },
    }
}

/// Whether what the plan removes or overwrites bears the job's mark, as far as it is there: of what
/// is removed something may be gone already.
fn is_marked(plan: &Plan, job: JobId, facts: &GroupFacts) -> bool {
    let bears = |volume: &Volume| volume.job == Some(job);
    match &plan.goal {
        Goal::Removed { volumes, .. } => {
            let found: Vec<_> = volumes.iter().filter_map(|id| find(facts, id)).collect();
            found.len() < volumes.len() || found.into_iter().all(bears)
        }
        Goal::Overwritten { volume, .. } => find(facts, volume).is_some_and(bears),
        _ => true,
    }
}

/// Looks again at what the plan was about, and compares it with the goal.
fn verify(plan: &Plan, engine: &dyn Engine) -> Result<Reached, Error> {
    let began = Instant::now();
    let (effect, look) = match plan.goal.scope() {
        Scope::Records => (shown(plan, engine)?, None),
        Scope::Group(group) => {
            let facts = engine.scan_group(group)?;
            let effect = judge_group(&plan.goal, &facts)?;
            let beside = plan.goal.beside().iter();
            let beside = beside.map(|group| engine.scan_group(group));
            let beside: Vec<_> = match plan.goal.leaving() {
                // What changed there only passes by: the watcher sees it, too.
                [] => beside.filter_map(Result::ok).collect(),
                _ => beside.collect::<Result<_, _>>()?,
            };
            let seen: Vec<_> = std::iter::once(facts).chain(beside).collect();
            have_left(&plan.goal, &seen)?;
            let look = match plan.steps.iter().any(|planned| frees_disks(&planned.step)) {
                // What becomes of the disk no look at its group tells.
                true => Look::Machine(engine.scan()?.into()),
                false => Look::Groups(seen),
            };
            (effect, Some((began, look)))
        }
        Scope::Machine => {
            let facts = engine.scan()?;
            let effect = judge_machine(&plan.goal, &facts)?;
            (effect, Some((began, Look::Machine(facts.into()))))
        }
    };
    let mut changes = plan.changes.clone();
    if let (Goal::PoolMade { group: None, .. }, Effect::Pool(id)) = (&plan.goal, &effect) {
        changes.push(Change::PutPool(id.clone()));
    }
    let mut effect = effect;
    if let (
        Goal::Made {
            gather: Some(group),
            ..
        },
        Effect::Volumes(members),
    ) = (&plan.goal, &effect)
    {
        changes.push(Change::PutReplicationGroup(ReplicationGroup {
            members: members.clone(),
            ..group.clone()
        }));
        effect = Effect::ReplicationGroup(group.id);
    }
    Ok(Reached {
        effect,
        look,
        changes,
    })
}

/// Whether a disk may belong to nobody after a step.
const fn frees_disks(step: &Step) -> bool {
    matches!(step, Step::DropMissing { .. } | Step::ReduceGroup { .. })
}

/// The map that a step makes (`true`) or takes away.
pub(super) fn map_of(step: &Step) -> Option<(&Map, bool)> {
    match step {
        Step::Map(map) => Some((map, true)),
        Step::Unmap(map) => Some((map, false)),
        _ => None,
    }
}
