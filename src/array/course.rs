//! How far a plan is: one measure for all of its steps, and where they can rest.

use super::engine::{Engine, Progress, Unwatched};
use super::error::Error;
use super::inventory::Inventory;
use super::plan::Plan;
use super::step::{Step, Subject};
use super::work;

/// Whoever looks on while a plan is carried out, and may want it to rest or stop.
pub(super) trait Watch: Progress {
    /// What is done from now on: this step, or what cannot rest.
    fn enters(&self, step: Option<&Step>);

    /// The step is done. The last moment to rest in one that can: what follows may not.
    ///
    /// # Errors
    /// When the plan is to be stopped here.
    fn leaves(&self) -> Result<(), Error>;
}

impl Watch for Unwatched {
    fn enters(&self, _step: Option<&Step>) {}
    fn leaves(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The way through a plan.
pub(super) struct Course<'a> {
    watch: &'a dyn Watch,
    /// Bytes that each step moves; 0 for one that takes a moment.
    bytes: Vec<u64>,
}

impl Course<'static> {
    /// A way that nobody watches.
    pub(super) fn unwatched() -> Self {
        Self {
            watch: &Unwatched,
            bytes: Vec::new(),
        }
    }
}

impl<'a> Course<'a> {
    /// The way through that plan; what was there before it is in the inventory.
    pub(super) fn new(watch: &'a dyn Watch, plan: &Plan, inventory: &Inventory) -> Self {
        let steps = plan.steps.iter();
        let bytes = steps.map(|planned| bytes_of(&planned.step, plan, inventory));
        Self {
            watch,
            bytes: bytes.collect(),
        }
    }

    /// Takes the step at that place of the plan.
    pub(super) fn take(&self, engine: &dyn Engine, place: usize, step: &Step) -> Result<(), Error> {
        let stretch = Stretch {
            watch: self.watch,
            before: self.bytes.iter().take(place).sum(),
            length: self.bytes.get(place).copied().unwrap_or_default(),
            whole: self.bytes.iter().sum(),
        };
        self.watch.enters(Some(step));
        match work::take(step, engine, &stretch) {
            Ok(()) => {
                stretch.report(1, 1);
                self.watch.leaves()
            }
            Err(error) => {
                self.watch.enters(None);
                Err(error)
            }
        }
    }
}

/// The part of the way that one step is.
struct Stretch<'a> {
    watch: &'a dyn Watch,
    /// Bytes that the steps before it moved.
    before: u64,
    /// Bytes that it moves.
    length: u64,
    /// Bytes that all steps move.
    whole: u64,
}

impl Progress for Stretch<'_> {
    fn report(&self, done: u64, total: u64) {
        if self.length == 0 {
            return;
        }
        // What the kernel counts may be more or less than what hosts see of it.
        let part = u128::from(self.length) * u128::from(done.min(total));
        let part = part.checked_div(total.into()).unwrap_or_default();
        let part = u64::try_from(part).unwrap_or(self.length);
        self.watch.report(self.before + part, self.whole);
    }

    fn is_cancelled(&self) -> bool {
        self.watch.is_cancelled()
    }

    fn pause_point(&self) -> Result<(), Error> {
        self.watch.pause_point()
    }
}

/// The bytes that a step moves, as far as a host sees them; 0 for one that takes a moment.
fn bytes_of(step: &Step, plan: &Plan, inventory: &Inventory) -> u64 {
    match step {
        Step::Zero { volume, .. } | Step::Erase { volume, .. } | Step::Sync { volume } => {
            size_of(volume, plan, inventory)
        }
        Step::Copy { to, .. } => size_of(to, plan, inventory),
        Step::Move { bytes, .. } => *bytes,
        _ => 0,
    }
}

/// The size of a volume that was there, or that the plan makes.
fn size_of(volume: &Subject, plan: &Plan, inventory: &Inventory) -> u64 {
    match volume {
        Subject::Known(id) => inventory.volume(id).map_or(0, |volume| volume.size),
        Subject::Pool(_) => 0,
        Subject::Made(_, name) => {
            let mut steps = plan.steps.iter();
            let made = steps.find_map(|planned| match &planned.step {
                Step::Create { device, size, .. } if device == name => Some(*size),
                _ => None,
            });
            made.unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<(u64, u64)>>);

    impl Progress for Seen {
        fn report(&self, done: u64, total: u64) {
            self.0.lock().expect("no panic").push((done, total));
        }
        fn is_cancelled(&self) -> bool {
            false
        }
    }

    impl Watch for Seen {
        fn enters(&self, _step: Option<&Step>) {}
        fn leaves(&self) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn each_step_counts_by_its_bytes_whatever_it_counts_in() {
        let seen = Seen::default();
        let stretch = |before, length| Stretch {
            watch: &seen,
            before,
            length,
            whole: 400,
        };
        stretch(0, 100).report(1, 2);
        stretch(100, 0).report(7, 8);
        stretch(100, 300).report(9, 3);
        stretch(100, 300).report(0, 0);
        let seen = seen.0.into_inner().expect("no panic");
        assert_eq!(seen, [(50, 400), (400, 400), (100, 400)]);
    }
}
