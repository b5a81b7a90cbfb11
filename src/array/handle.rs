//! The array as the rest of the program holds it: look, ask, wait, cancel.

mod again;
mod control;
mod leftovers;
mod watcher;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};

use crate::identity::Identity;
use crate::store::Store;

use super::claims::Claims;
use super::command::{Command, Effect};
use super::course::Course;
use super::engine::{Engine, Facts, GroupFacts};
use super::error::{Error, Kind};
use super::ids::{JobId, PoolId};
use super::inventory::{Inventory, Policy, SystemName};
use super::job::{Area, Call, Job, Order, now_micros};
use super::locks::{Key, Locks, keys, keys_of};
use super::model::Map;
use super::plan::{Scope, what_stays};
use super::start::{self, FINISHED, ROLLED_BACK, Started};
use super::work::{
    Begun, Look, Reached, Recovered, Setback, carry_out, closing, map_of, noting, opening, recover,
    take_back,
};

/// How many commands may be under way at once; one more is refused.
const MAX_RUNNING: usize = 64;
/// How many more may be in steps that take long, or rest in one.
const MAX_LONG: usize = 256;
/// How long a command waits for others that hold what it needs: less than any method waits for a
/// command, so that a client never hears of a job that was then refused.
const fn lock_patience(area: Area) -> Duration {
    match area {
        Area::Storage | Area::Repair | Area::Relocation | Area::Replication => {
            Duration::from_secs(3)
        }
        // What they wait for is short, and many may wait.
        Area::Masking | Area::Targets | Area::Initiators => Duration::from_secs(15),
    }
}
/// How often the world outside is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(2);

use control::{Watched, forgetting};
use leftovers::Leftovers;

/// The array. Cheap to clone; all clones are the same array.
#[derive(Clone)]
pub struct Array(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    store: Store,
    published: ArcSwap<Inventory>,
    /// Held while the next picture is put together. When the look began that a pool in the
    /// present picture comes from: an older look that ends later must not replace it.
    writer: Mutex<Looks>,
    /// Maps that a failed command or the start left behind in an unknown state.
    unsure: Mutex<BTreeSet<Map>>,
    /// What a failed command or the start could not take back.
    leftovers: Mutex<Leftovers>,
    /// Tells that there is more of that.
    bell: mpsc::Sender<()>,
    versions: watch::Sender<u64>,
    locks: Locks,
    claims: Claims,
    crowd: Mutex<Crowd>,
    /// Held while the record of a job changes: what is stored of it is what is published.
    records: Mutex<()>,
}

/// The commands that have begun and not ended.
#[derive(Debug, Default)]
struct Crowd {
    running: usize,
    /// Those in a step that takes long, or that rest in one: they keep nobody else out.
    long: usize,
    /// Those that rest.
    suspended: usize,
}

/// A command that was accepted for planning.
pub struct Ticket(oneshot::Receiver<Ended>, JobId);

type Ended = Result<(Effect, JobId), (Error, Option<JobId>)>;

/// What a command has come to when the patience of the one who waits is over.
#[derive(Debug)]
pub enum Waited {
    /// It is done.
    Done(Effect, JobId),
    /// It was refused (without a job), or failed and left nothing behind.
    Failed(Error, Option<JobId>),
    /// It goes on.
    Running(JobId),
}

impl From<Ended> for Waited {
    fn from(ended: Ended) -> Self {
        match ended {
            Ok((effect, job)) => Self::Done(effect, job),
            Err((error, job)) => Self::Failed(error, job),
        }
    }
}

impl Waited {
    fn lost(job: JobId) -> Self {
        let error = Error::bug("the command ended without an answer; look at the job list");
        Self::Failed(error, Some(job))
    }
}

impl Ticket {
    /// The job that the command is, or would have been.
    pub fn job(&self) -> JobId {
        self.1
    }

    /// Waits until the command has ended. Blocks; never call it from an asynchronous task.
    pub fn join(self) -> Waited {
        match self.0.blocking_recv() {
            Ok(ended) => ended.into(),
            Err(_) => Waited::lost(self.1),
        }
    }

    /// Waits until the command has ended, at most for `patience`. The command goes on whether or
    /// not anybody waits.
    pub async fn wait(self, patience: Duration) -> Waited {
        match tokio::time::timeout(patience, self.0).await {
            Ok(Ok(ended)) => ended.into(),
            Ok(Err(_)) => Waited::lost(self.1),
            Err(_) => Waited::Running(self.1),
        }
    }
}

impl Array {
    /// Opens the array: ends what a crash left unfinished, brings the targets into the stored
    /// state, and looks at everything. Blocks.
    ///
    /// # Errors
    /// When the engine or the store cannot be read, or unfinished work cannot be judged.
    pub fn open(
        engine: Arc<dyn Engine>,
        store: Store,
        system: SystemName,
        policy: Policy,
    ) -> Result<Self, Error> {
        let Started {
            inventory,
            owed,
            unended,
            stuck,
        } = start::start(engine.as_ref(), &store, system, policy)?;
        let (bell, rung) = mpsc::channel();
        let inner = Arc::new(Inner {
            engine,
            store,
            versions: watch::Sender::new(inventory.version),
            published: ArcSwap::from_pointee(inventory),
            writer: Mutex::default(),
            unsure: Mutex::new(owed),
            leftovers: Mutex::default(),
            bell,
            locks: Locks::default(),
            claims: Claims::default(),
            crowd: Mutex::default(),
            records: Mutex::default(),
        });
        let (watched, tidied) = (Arc::downgrade(&inner), Arc::downgrade(&inner));
        thread("watcher", move || watcher::watch_outside(&watched))?;
        thread("tidier", move || leftovers::tidy(&tidied, &rung))?;
        for begun in stuck {
            inner.leave(&begun, keys_of(&begun.plan), true);
        }
        for (begun, job) in unended {
            Inner::take_up(&inner, begun, job)?;
        }
        Ok(Self(inner))
    }

    /// The array as it is now.
    pub fn snapshot(&self) -> Arc<Inventory> {
        self.0.published.load_full()
    }

    /// Tells when a newer picture is published.
    pub fn versions(&self) -> watch::Receiver<u64> {
        self.0.versions.subscribe()
    }

    /// Hands in a command. It runs to its end, whatever becomes of the ticket.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when too many commands are under way.
    pub fn submit(&self, who: &Identity, command: Command) -> Result<Ticket, Error> {
        self.submit_for(who, command, None)
    }

    /// The same for the call of a client, which is kept with the job.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_for(
        &self,
        who: &Identity,
        command: Command,
        call: Option<Call>,
    ) -> Result<Ticket, Error> {
        let slot = Slot::take(&self.0)?;
        let (tell, told) = oneshot::channel();
        let id = JobId::new();
        let order = Order {
            id,
            owner: who.user.to_string(),
            at: now_micros(),
            call,
        };
        spawn(id, move || {
            let ended = slot.0.run(order, &command);
            // Whoever hears the end may ask for the next thing at once.
            drop(slot);
            // Nobody may be listening any more; the job says how it ended.
            let _ = tell.send(ended);
        })?;
        Ok(Ticket(told, id))
    }
}

/// Lets a job work on a thread of its own.
fn spawn(job: JobId, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    thread(&format!("job-{}", &job.hex()[..8]), work)
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
        .map_err(|e| Error::unavailable("no thread could be started").caused_by(e))
}

/// A place among the commands that may run at once.
struct Slot(Arc<Inner>);

impl Slot {
    fn take(inner: &Arc<Inner>) -> Result<Self, Error> {
        let crowd = lock(&inner.crowd);
        if crowd.running >= MAX_RUNNING || crowd.long >= MAX_LONG {
            return Err(Error::unavailable(format!(
                "{} commands are under way; try again when one of them has ended",
                crowd.running + crowd.long
            )));
        }
        drop(crowd);
        Ok(Self::again(inner))
    }

    /// A place for what was taken in once.
    fn again(inner: &Arc<Inner>) -> Self {
        lock(&inner.crowd).running += 1;
        Self(Arc::clone(inner))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.0.crowd).running -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn store_failed(error: crate::store::StoreError) -> Error {
    Error::unavailable(
        "the state of the array could not be written; look at the file system that holds it",
    )
    .caused_by(error)
}

impl Inner {
    /// Publishes the picture that `edit` makes of the present one.
    fn publish(&self, edit: impl FnOnce(&mut Inventory)) {
        self.publish_look(|next, _| edit(next));
    }

    /// The same, for one who brings news of pools.
    fn publish_look(&self, edit: impl FnOnce(&mut Inventory, &mut Looks)) {
        let mut looks = lock(&self.writer);
        let mut inventory = Inventory::clone(&self.published.load());
        edit(&mut inventory, &mut looks);
        inventory.version += 1;
        let version = inventory.version;
        self.published.store(Arc::new(inventory));
        self.versions.send_replace(version);
    }

    /// Plans and carries out one command.
    fn run(&self, order: Order, command: &Command) -> Ended {
        let id = order.id;
        let refused = |error: Error| (error, None);
        let taken = || {
            refused(Error::in_use(
                "another command is changing the same thing; try again when it has ended",
            ))
        };
        let wanted = keys(command, &self.published.load());
        let patience = lock_patience(command.area());
        let held = self.locks.take(wanted, patience).ok_or_else(taken)?;
        let present = || self.published.load_full();
        let (plan, _claimed) = self.claims.plan(command, present, id).map_err(refused)?;
        // What came to lie on a disk that is left while this one waited, it does not hold.
        if !held.cover(&keys_of(&plan)) {
            return Err(taken());
        }
        let mut begun = Begun::new(id, plan);
        let job = Job::start(order, begun.plan.title.clone(), command);
        let job = Arc::new(job.of_plan(&begun.plan));
        let mut batch = opening(&begun, &job);
        batch.append(self.superseding(held.keys()));
        self.store
            .write(&batch)
            .map_err(|e| refused(store_failed(e)))?;
        self.publish(|next| next.put_job(Arc::clone(&job)));
        match self.carry(&job, &mut begun) {
            Ok(reached) => self.close(&begun, &job, reached),
            Err(setback) => {
                let error = setback.error;
                let left = setback.left.map(|left| (left, held.keys().clone()));
                self.end_badly(&begun, &job, &error, left);
                Err((error, Some(id)))
            }
        }
    }

    /// Carries out what a job is about, with an ear for what is wanted of it.
    fn carry(&self, job: &Job, begun: &mut Begun) -> Result<Reached, Box<Setback>> {
        let watched = Watched::new(self, job);
        let course = Course::new(&watched, &begun.plan, &self.published.load());
        carry_out(begun, self.engine.as_ref(), &course, &|begun| {
            self.note(begun)
        })
    }

    /// Writes down how far work has come.
    fn note(&self, begun: &Begun) -> Result<(), Error> {
        self.store.write(&noting(begun)).map_err(store_failed)
    }

    /// Lets work go on that a restart interrupted; returns when it holds what it works on.
    fn take_up(self: &Arc<Self>, begun: Begun, job: Job) -> Result<(), Error> {
        let slot = Slot::again(self);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        spawn(job.id, move || {
            let inner = &slot.0;
            let keys = keys_of(&begun.plan);
            let patience = lock_patience(job.area);
            // Nobody holds anything yet but those who go on as well, and they end.
            let _held = loop {
                match inner.locks.take(keys.clone(), patience) {
                    Some(held) => break held,
                    None => drop(tell.try_send(())),
                }
            };
            let _claimed = inner.claims.again(&begun, &inner.published.load());
            let _ = tell.try_send(());
            inner.resume(begun, &job);
        })?;
        told.recv()
            .map_err(|_| Error::bug("work could not be taken up again"))
    }

    /// Goes on with work that a restart interrupted and that takes long.
    fn resume(&self, mut begun: Begun, job: &Job) {
        let watched = Watched::new(self, job);
        let course = Course::new(&watched, &begun.plan, &self.published.load());
        let note = |begun: &Begun| self.note(begun);
        match recover(&mut begun, self.engine.as_ref(), &course, &note) {
            Recovered::Finished(reached) => {
                let job = job.noted(FINISHED);
                // The job says how it ended; nobody else waits for it.
                let _ = self.close(&begun, &job, reached);
            }
            Recovered::RolledBack(error) => {
                let job = job.noted(ROLLED_BACK);
                self.end_badly(&begun, &job, &error, None);
            }
            Recovered::Stuck(error) => {
                let left = (error.clone(), keys_of(&begun.plan));
                self.end_badly(&begun, job, &error, Some(left));
            }
        }
    }

    /// Writes down and publishes what was reached.
    fn close(&self, begun: &Begun, job: &Job, reached: Reached) -> Ended {
        let ended = job.ended(&Ok(reached.affected()));
        let (held, mut ended, old) = self.last_record(ended);
        let mut batch = closing(begun, &ended, &reached.changes, false);
        batch.append(forgetting(&old));
        if let Err(error) = self.store.write(&batch) {
            let error = store_failed(error);
            if begun.plan.stands_on_records() {
                drop(held);
                return Err((self.take_back_unwritten(begun, job, error), Some(job.id)));
            }
            // It is done, and with the journal entry the next start comes to the same end.
            tracing::error!(%error, job = %job.id, "the end of a job could not be written");
            ended.note = Some(error.message);
        }
        self.publish_look(|next, looks| {
            let changes = reached.changes.iter();
            changes.for_each(|change| next.take_change(change));
            next.revise_drift();
            match reached.look {
                Some((began, Look::Groups(seen))) => {
                    for facts in seen {
                        looks.take_group(next, began, facts);
                    }
                }
                Some((began, Look::Machine(facts))) => looks.take_all(next, began, *facts),
                None => {}
            }
            next.put_job(ended.into());
            old.iter().for_each(|id| next.remove_job(*id));
        });
        Ok((reached.effect, job.id))
    }

    /// Records that could not be written are not in force: what hosts see goes back to what the
    /// records say. The next start finds the journal entry and comes to the same end.
    fn take_back_unwritten(&self, begun: &Begun, job: &Job, error: Error) -> Error {
        let (_held, mut ended, _) = self.last_record(job.ended(&Err(error.clone())));
        if let Err(left) = take_back(&begun.plan, begun.plan.steps.len(), self.engine.as_ref()) {
            ended.note = Some(self.left_behind(begun, &left));
        }
        self.publish(|next| next.put_job(ended.into()));
        error
    }

    /// Writes down and publishes that it failed. Whoever hears of that sees what is there now: only a
    /// look tells. `left` says why something is left, and what it may need to be taken back.
    fn end_badly(
        &self,
        begun: &Begun,
        job: &Job,
        error: &Error,
        left: Option<(Error, HashSet<Key>)>,
    ) {
        if !matches!(job.area, Area::Masking | Area::Initiators)
            && let Err(error) = self.refresh()
        {
            tracing::warn!(%error, "the array could not be looked at after a failure");
        }
        let (_held, mut ended, old) = self.last_record(job.ended(&Err(error.clone())));
        if let Some((left, _)) = &left {
            ended.note = Some(self.left_behind(begun, left));
        }
        if let Some(stays) = what_stays(&begun.plan, &self.published.load()) {
            let before = ended.note.map(|note| format!("{note}; "));
            ended.note = Some(before.unwrap_or_default() + &stays);
        }
        // Maps follow the records at every start; only what volumes need stays in the journal.
        let left = left.filter(|_| begun.plan.goal.is_kept());
        let mut batch = closing(begun, &ended, &[], left.is_some());
        batch.append(forgetting(&old));
        if let Err(error) = self.store.write(&batch) {
            tracing::error!(%error, job = %job.id, "the end of a job could not be written");
        }
        self.publish(|next| {
            next.put_job(ended.into());
            old.iter().for_each(|id| next.remove_job(*id));
        });
        if let Some((left, keys)) = left {
            let is_late = [error.kind, left.kind].contains(&Kind::Timeout);
            self.leave(begun, keys, is_late);
        }
    }

    /// Remembers what could not be taken back; tells it in one sentence.
    fn left_behind(&self, begun: &Begun, left: &Error) -> String {
        let maps = begun.plan.steps.iter().filter_map(|p| map_of(&p.step));
        lock(&self.unsure).extend(maps.map(|(map, _)| map.clone()));
        let again = match begun.plan.goal.scope() {
            Scope::Group(_) | Scope::Machine if begun.plan.goal.is_kept() => "it is tried again",
            Scope::Group(_) | Scope::Machine => "take the view over again",
            Scope::Records => "it is tried again until hosts see what the masking views say",
        };
        format!("not everything could be taken back ({left}); {again}")
    }

    /// Looks at everything again. A pool that a command looked at meanwhile stays as that
    /// command saw it.
    fn refresh(&self) -> Result<(), Error> {
        let began = Instant::now();
        let facts = self.engine.scan()?;
        self.publish_look(|next, looks| looks.take_all(next, began, facts));
        Ok(())
    }
}

/// When the looks began that the present picture comes from.
#[derive(Debug, Default)]
struct Looks {
    /// At one volume group, since the last look at everything.
    groups: HashMap<PoolId, Instant>,
    /// At everything.
    machine: Option<Instant>,
}

impl Looks {
    /// Takes over a look at one volume group, unless a newer one is known.
    fn take_group(&mut self, next: &mut Inventory, began: Instant, facts: GroupFacts) {
        let id = &facts.group.id;
        let known = self.groups.get(id).copied().max(self.machine);
        if known.is_none_or(|known| known <= began) {
            self.groups.insert(id.clone(), began);
            next.take_group(facts);
        }
    }

    /// Takes over a look at everything, unless a newer one is known: that may have seen a group go.
    /// A volume group that a command looked at meanwhile stays as that command saw it.
    fn take_all(&mut self, next: &mut Inventory, began: Instant, facts: Facts) {
        if self.machine.is_some_and(|known| known > began) {
            return;
        }
        self.machine = Some(began);
        self.groups.retain(|_, known| *known > began);
        let newer: Vec<GroupFacts> = self
            .groups
            .keys()
            .filter_map(|group| next.group_facts(group))
            .collect();
        next.take_facts(facts);
        newer.into_iter().for_each(|group| next.take_group(group));
    }
}
