//! A machine on which steps wait, and an array on it.

use std::sync::{Arc, Condvar, Mutex};

use standpipe::array::{
    Array, Command, Engine, Error, Facts, GroupFacts, Inventory, JobId, JobState, Kind, MadeTarget,
    Map, Policy, PoolId, Progress, Step, SystemName, Ticket, VolumeGroup, Waited,
};
use standpipe::engine::sim::SimEngine;

use super::rig::{Medium, policy, who};

/// A machine that does something before each step.
pub struct Hooked<H> {
    pub sim: SimEngine,
    pub before: H,
}

impl<H: Fn(&Step) + Send + Sync + 'static> Engine for Hooked<H> {
    fn scan(&self) -> Result<Facts, Error> {
        self.sim.scan()
    }

    fn scan_group(&self, pool: &PoolId) -> Result<GroupFacts, Error> {
        self.sim.scan_group(pool)
    }

    fn manage(&self, groups: &[VolumeGroup], targets: &[MadeTarget]) -> Result<(), Error> {
        self.sim.manage(groups, targets)
    }

    fn is_mapped(&self, map: &Map) -> Result<bool, Error> {
        self.sim.is_mapped(map)
    }

    fn fingerprint(&self) -> Result<u64, Error> {
        self.sim.fingerprint()
    }

    fn apply(&self, step: &Step, progress: &dyn Progress) -> Result<(), Error> {
        (self.before)(step);
        self.sim.apply(step, progress)
    }

    fn converge(&self, maps: &[Map]) -> Result<(), Error> {
        self.sim.converge(maps)
    }
}

/// Before some steps: they wait until somebody lets them go on.
#[derive(Default)]
pub struct Gate {
    /// Steps that have come, and how many of them may go on.
    state: Mutex<(usize, usize)>,
    moved: Condvar,
}

impl Gate {
    /// Waits until so many steps have come.
    pub fn reached(&self, steps: usize) {
        let state = self.state.lock().expect("no panic");
        let reached = self.moved.wait_while(state, |state| state.0 < steps);
        drop(reached.expect("no panic"));
    }

    /// Lets all of them go on.
    pub fn open(&self) {
        self.open_for(usize::MAX);
    }

    /// Lets the first so many go on.
    pub fn open_for(&self, steps: usize) {
        self.state.lock().expect("no panic").1 = steps;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().expect("no panic");
        state.0 += 1;
        let number = state.0;
        self.moved.notify_all();
        let open = self.moved.wait_while(state, |state| state.1 < number);
        drop(open.expect("no panic"));
    }
}

/// An array on a machine with a gate before every step of that kind.
pub fn gated(sim: &SimEngine, medium: &Medium, which: fn(&Step) -> bool) -> (Array, Arc<Gate>) {
    gated_under(policy(), sim, medium, which)
}

/// The same under a policy.
pub fn gated_under(
    policy: Policy,
    sim: &SimEngine,
    medium: &Medium,
    which: fn(&Step) -> bool,
) -> (Array, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let passed = Arc::clone(&gate);
    let array = hooked(policy, sim, medium, move |step| {
        if which(step) {
            passed.pass();
        }
    });
    (array, gate)
}

/// An array that has come to such a step in what the one before it had begun, with its job.
pub fn taken_up(
    policy: Policy,
    sim: &SimEngine,
    medium: &Medium,
    which: fn(&Step) -> bool,
) -> (Array, Arc<Gate>, JobId) {
    let (array, gate) = gated_under(policy, sim, &medium.image(), which);
    gate.reached(1);
    let job = running(&array);
    (array, gate, job)
}

/// An array on a machine that does something before each step.
pub fn hooked(
    policy: Policy,
    sim: &SimEngine,
    medium: &Medium,
    before: impl Fn(&Step) + Send + Sync + 'static,
) -> Array {
    let sim = sim.clone();
    let system = SystemName {
        name: "system".into(),
        label: "label".into(),
    };
    let engine = Arc::new(Hooked { sim, before });
    Array::open(engine, medium.store(), system, policy).expect("it starts")
}

pub fn begin(array: &Array, command: Command) -> Ticket {
    array.submit(&who(), command).expect("there is a slot")
}

pub fn done(array: &Array, command: Command) {
    match begin(array, command.clone()).join() {
        Waited::Done(..) => {}
        other => panic!("{command:?}: {other:?}"),
    }
}

pub fn refused(array: &Array, command: Command, kind: Kind) -> Error {
    match begin(array, command.clone()).join() {
        Waited::Failed(error, None) => {
            assert_eq!(error.kind, kind, "{command:?}: {error}");
            error
        }
        other => panic!("{command:?}: {other:?}"),
    }
}

pub fn running(array: &Array) -> JobId {
    let now = array.snapshot();
    let mut jobs = now.jobs().filter(|job| !job.is_finished());
    jobs.next().expect("one runs").id
}

/// Lets all go on and waits until that job has ended well.
pub fn completed(array: &Array, gate: &Gate, job: JobId) -> Arc<Inventory> {
    gate.open();
    wait_for(array, job);
    let now = array.snapshot();
    let ended = now.job(&job).expect("it is listed");
    assert_eq!(ended.state, JobState::Completed, "{:?}", ended.error);
    now
}

/// Waits until a job has ended.
pub fn wait_for(array: &Array, job: JobId) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let mut versions = array.versions();
    let ended = |array: &Array| {
        let now = array.snapshot();
        now.job(&job).is_some_and(|job| job.is_finished())
    };
    let waited = runtime
        .expect("a runtime")
        .block_on(versions.wait_for(|_| ended(array)))
        .is_ok();
    assert!(waited);
}
