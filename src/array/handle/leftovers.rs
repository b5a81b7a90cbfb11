//! What a failed command or the start could not take back is tried again for as long as the array runs:
//! nobody has to restart it for that.
//!
//! What did not end in time may still happen, after everything was taken back. Such work is looked at
//! for a while, and stays in the journal for the next start whatever was found. As soon as something
//! else begins on the same, it is superseded: it must not undo what was asked for since.

use std::collections::{BTreeMap, HashSet};
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::again::Again;
use super::{Inner, lock, store_failed};
use crate::array::course::Course;
use crate::array::ids::JobId;
use crate::array::job::Job;
use crate::array::locks::Key;
use crate::array::plan::what_stays;
use crate::array::start::unfinished;
use crate::array::work::{Begun, Reached, Recovered, noting, recover, settling};
use crate::store::{Batch, Table};

/// For how long what did not end in time is looked at. The kernel gives up on disks much sooner.
const LATE: Duration = Duration::from_secs(600);

/// Failed work that is in the journal still.
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

/// By job.
pub(super) type Leftovers = BTreeMap<JobId, Leftover>;

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
        match round(array) {
            Some(at) => next = at,
            None => return,
        }
    }
}

/// Tries all that are due; when the next one is, if any. None when the array is gone.
fn round(array: &Weak<Inner>) -> Option<Option<Instant>> {
    let inner = array.upgrade()?;
    let due: Vec<JobId> = lock(&inner.leftovers)
        .iter()
        .filter(|(_, leftover)| leftover.again.is_due())
        .map(|(job, _)| *job)
        .collect();
    drop(inner);
    for job in due {
        array.upgrade()?.try_again(job);
    }
    let inner = array.upgrade()?;
    let left = lock(&inner.leftovers);
    let times = left.values().filter_map(|leftover| leftover.again.at());
    Some(times.min())
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
        lock(&self.leftovers).insert(begun.job, leftover);
        // It is heard for as long as the array is there.
        let _ = self.bell.send(());
    }

    /// What is written down when something begins that holds this: earlier work on the same is
    /// superseded.
    pub(super) fn superseding(&self, held: &HashSet<Key>) -> Batch {
        let mut batch = Batch::new();
        for leftover in lock(&self.leftovers).values_mut() {
            if !leftover.begun.superseded && !leftover.keys.is_disjoint(held) {
                leftover.begun.superseded = true;
                batch.append(noting(&leftover.begun));
            }
        }
        batch
    }

    /// Tries one once more, unless somebody is at work on the same.
    fn try_again(&self, job: JobId) {
        let keys = lock(&self.leftovers).get_mut(&job).map(|leftover| {
            leftover.again.later();
            leftover.keys.clone()
        });
        let Some(_held) = keys.and_then(|keys| self.locks.take(keys, Duration::ZERO)) else {
            return;
        };
        // From here on it is not superseded.
        let now = lock(&self.leftovers)
            .get(&job)
            .map(|leftover| (leftover.begun.clone(), leftover.late, leftover.is_back));
        let Some((mut begun, late, was_back)) = now else {
            return;
        };
        let note = |begun: &Begun| self.note(begun);
        let engine = self.engine.as_ref();
        let ended = match recover(&mut begun, engine, &Course::unwatched(), &note) {
            Recovered::Finished(reached) => Some((Some(reached), "it was done after all")),
            Recovered::RolledBack(_) => {
                Some((None, "what was left of it was taken back afterwards"))
            }
            Recovered::Stuck(error) => {
                tracing::warn!(title = begun.plan.title, %error, "something of it is left still");
                None
            }
        };
        let is_reached = matches!(ended, Some((Some(_), _)));
        let is_over = ended.is_some() && (is_reached || late.is_none());
        let is_back = match ended {
            None => false,
            // Only the first time is news.
            Some((None, _)) if was_back => true,
            Some((reached, told)) => self.settle(&begun, reached, told, !is_over),
        };
        let mut left = lock(&self.leftovers);
        if is_over && is_back {
            left.remove(&job);
        } else if let Some(leftover) = left.get_mut(&job) {
            leftover.is_back = is_back;
            if was_back && late.is_some_and(|late| late <= Instant::now()) {
                leftover.again.done();
            }
        }
    }

    /// Writes down and publishes what became of it; whether it could be written down.
    fn settle(&self, begun: &Begun, reached: Option<Reached>, told: &str, is_kept: bool) -> bool {
        let changes = reached.map(|reached| reached.changes).unwrap_or_default();
        let held = lock(&self.records);
        let now = self.published.load();
        let stays = what_stays(&begun.plan, &now).map(|stays| format!("; {stays}"));
        let told = format!("{told}{}", stays.unwrap_or_default());
        let job = now.job(&begun.job).map(|job| job.noted(&told));
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
            next.forget_warnings(&unfinished(begun));
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
