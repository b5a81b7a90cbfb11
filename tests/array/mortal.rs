//! An engine whose process can die at any of its calls, or when its store is written to: no undo, no
//! last word, no destructor that matters.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use standpipe::array::{
    Engine, Error, Facts, GroupFacts, MadeTarget, Map, PoolId, Progress, Step, VolumeGroup,
};
use standpipe::engine::sim::SimEngine;

use super::rig::Medium;

/// Moments that are counted, one of which can be the last one.
#[derive(Debug)]
pub struct Moments {
    counted: AtomicUsize,
    last: AtomicUsize,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            counted: AtomicUsize::new(0),
            last: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Moments {
    /// The coming moment of that number is the last one; 0 is the next.
    pub fn end_at(&self, moment: usize) {
        self.counted.store(0, Ordering::SeqCst);
        self.last.store(moment, Ordering::SeqCst);
    }

    /// Counts one; whether it is the last.
    pub fn is_last(&self) -> bool {
        self.counted.fetch_add(1, Ordering::SeqCst) == self.last.load(Ordering::SeqCst)
    }
}

/// Counts the moments at which its process could die: before and after each step, and at each
/// look that follows the steps.
pub struct Mortal {
    sim: SimEngine,
    dead: Arc<AtomicBool>,
    blind: AtomicBool,
    moments: Moments,
    /// The medium that fails as soon as somebody looks at what was done.
    failing: Mutex<Option<Medium>>,
}

impl Mortal {
    pub fn new(sim: SimEngine) -> Self {
        Self {
            sim,
            dead: Arc::default(),
            blind: AtomicBool::new(false),
            moments: Moments::default(),
            failing: Mutex::default(),
        }
    }

    /// The process dies at the coming moment of that number; 0 is the next.
    pub fn die_at(&self, moment: usize) {
        self.moments.end_at(moment);
    }

    /// The process dies at the coming moment of that number at which its store is written to.
    pub fn die_with(&self, medium: &Medium, moment: usize) {
        medium.end_at(moment, self.dead.clone());
    }

    /// The process dies now: whatever it still does, the machine hears nothing of it.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// The store fails between the steps of the next command and its end.
    pub fn fail_store_at_look(&self, medium: &Medium) {
        *self.failing.lock().expect("nobody panics with it") = Some(medium.clone());
    }

    fn look(&self) {
        self.moment();
        if let Some(medium) = self.failing.lock().expect("nobody panics with it").take() {
            medium.fail();
        }
    }

    /// From now on the machine cannot be looked at.
    pub fn blind(self) -> Self {
        self.blind.store(true, Ordering::SeqCst);
        self
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn moment(&self) {
        if self.moments.is_last() {
            self.die();
        }
        self.alive();
    }

    fn alive(&self) {
        if self.is_dead() {
            // Unwinding ends the thread without its next statement; the hook is not to print it.
            resume_unwind(Box::new("the process is dead"));
        }
    }
}

impl Engine for Mortal {
    fn scan(&self) -> Result<Facts, Error> {
        self.alive();
        if self.blind.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the machine cannot be looked at"));
        }
        self.sim.scan()
    }

    fn scan_group(&self, pool: &PoolId) -> Result<GroupFacts, Error> {
        self.look();
        self.sim.scan_group(pool)
    }

    fn manage(&self, groups: &[VolumeGroup], targets: &[MadeTarget]) -> Result<(), Error> {
        self.alive();
        self.sim.manage(groups, targets)
    }

    fn is_mapped(&self, map: &Map) -> Result<bool, Error> {
        self.look();
        self.sim.is_mapped(map)
    }

    fn fingerprint(&self) -> Result<u64, Error> {
        self.alive();
        self.sim.fingerprint()
    }

    fn apply(&self, step: &Step, progress: &dyn Progress) -> Result<(), Error> {
        self.moment();
        let ended = self.sim.apply(step, progress);
        self.moment();
        ended
    }

    fn converge(&self, maps: &[Map]) -> Result<(), Error> {
        self.alive();
        self.sim.converge(maps)
    }
}
