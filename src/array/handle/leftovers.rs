//! What a failed command or the start could not take back is tried again for as long as the array runs:
//! nobody has to restart it for that.
//!
//! What did not end in time may still happen, after everything was taken back. Such work is looked at
//! for a while, and stays in the journal for the next start whatever was found.

use std::collections::HashSet;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::again::Again;
use super::{Inner, lock, store_failed};
use crate::array::course::Course;
use crate::array::job::Job;
use crate::array::locks::Key;
use crate::array::start::unfinished;
use crate::array::work::{Begun, Reached, Recovered, recover, settling};
use crate::store::Table;

/// For how long what did not end in time is looked at. The kernel gives up on disks much sooner.
const LATE: Duration = Duration::from_secs(600);

/// Work of which something is left.
#[derive(Debug)]
pub(super) struct Leftover {
    begun: Begun,
    /// What the command held.
    keys: HashSet<Key>,
    /// Until when something may still happen; none where everything had ended.
    late: Option<Instant>,
    /// Whether it was taken back, and only what may still happen is waited for.
    is_back: bool,
    again: Again,
}

impl Leftover {
    fn concerns(&self, wanted: &HashSet<Key>) -> bool {
        !self.is_back && !self.keys.is_disjoint(wanted)
    }
}

/// Tries again when it is time, or when the bell says that there is more, until the array is dropped.
pub(super) fn tidy(array: &Weak<Inner>, bell: &Receiver<()>) {
    let mut next: Option<Instant> = None;
    loop {
        let rung = match next {
            None => bell.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => bell.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        if matches!(rung, Err(RecvTimeoutError::Disconnected)) {
            return;
        }
        let Some(inner) = array.upgrade() else { return };
        inner.try_again(|leftover| leftover.again.is_due());
        let left = lock(&inner.leftovers);
        next = left.iter().filter_map(|leftover| leftover.again.at()).min();
    }
}

impl Inner {
    /// Takes over what is left of work; `is_late` where something of it may still happen.
    pub(super) fn leave(&self, begun: &Begun, keys: HashSet<Key>, is_late: bool) {
        let mut again = Again::after(self.published.load().policy.retry_after);
        again.later();
        let leftover = Leftover {
            begun: Begun {
                failed: true,
                ..begun.clone()
            },
            keys,
            late: is_late.then(|| Instant::now() + LATE),
            is_back: false,
            again,
        };
        lock(&self.leftovers).push(leftover);
        // It is heard for as long as the array is there.
        let _ = self.bell.send(());
    }

    /// Whether earlier work has left something of what a command is about.
    pub(super) fn has_left(&self, wanted: &HashSet<Key>) -> bool {
        lock(&self.leftovers)
            .iter()
            .any(|leftover| leftover.concerns(wanted))
    }

    /// Takes that back, as far as it can be now. Nobody must hold it.
    pub(super) fn tidy_first(&self, wanted: &HashSet<Key>) {
        self.try_again(|leftover| leftover.concerns(wanted));
    }

    /// Tries those once more that are chosen.
    fn try_again(&self, is_chosen: impl Fn(&Leftover) -> bool) {
        let mut all = lock(&self.leftovers);
        let (chosen, others): (Vec<_>, Vec<_>) = all.drain(..).partition(is_chosen);
        *all = others;
        drop(all);
        for mut leftover in chosen {
            if self.goes_on(&mut leftover) {
                lock(&self.leftovers).push(leftover);
            }
        }
    }

    /// Tries once more; whether it is to be tried again.
    fn goes_on(&self, leftover: &mut Leftover) -> bool {
        leftover.again.later();
        let Some(_held) = self.locks.take(leftover.keys.clone(), Duration::ZERO) else {
            return true;
        };
        let note = |begun: &Begun| self.note(begun);
        let begun = &mut leftover.begun;
        let (reached, told) = match recover(
            begun,
            self.engine.as_ref(),
            &Course::unwatched(),
            &note,
        ) {
            Recovered::Finished(reached) => (Some(reached), "it was done after all"),
            Recovered::RolledBack(_) => (None, "what was left of it was taken back afterwards"),
            Recovered::Stuck(error) => {
                tracing::warn!(title = begun.plan.title, %error, "something of it is left still");
                return true;
            }
        };
        leftover.is_back = true;
        let is_over = reached.is_some() || leftover.late.is_none();
        if !self.settle(begun, reached, told, !is_over) {
            return true;
        }
        !is_over && leftover.late.is_some_and(|late| Instant::now() < late)
    }

    /// Writes down and publishes what became of it; whether it could be written down.
    fn settle(&self, begun: &Begun, reached: Option<Reached>, told: &str, is_kept: bool) -> bool {
        let changes = reached.map(|reached| reached.changes).unwrap_or_default();
        let held = lock(&self.records);
        let job = self
            .published
            .load()
            .job(&begun.job)
            .map(|job| job.noted(told));
        let mut batch = settling(begun, &changes, is_kept);
        if let Some(job) = &job {
            batch.put(Table::Jobs, job.id.to_string(), job);
        }
        if let Err(error) = self.store.write(&batch).map_err(store_failed) {
            tracing::warn!(%error, "what became of a leftover could not be written");
            return false;
        }
        tracing::info!(title = begun.plan.title, told, "a leftover has ended");
        self.publish(|next| {
            changes.iter().for_each(|change| next.take_change(change));
            next.forget_warnings(&unfinished(&begun.plan.title));
            job.into_iter()
                .for_each(|job: Job| next.put_job(job.into()));
        });
        drop(held);
        if let Err(error) = self.refresh() {
            tracing::warn!(%error, "the array could not be looked at");
        }
        true
    }
}
