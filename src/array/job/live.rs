//! The part of a job that changes all the time: how far it is, and what somebody wants of it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::JobState;
use crate::array::engine::cancelled;
use crate::array::error::Error;

/// What all pictures of one job share.
#[derive(Debug, Default)]
pub(in crate::array) struct Live {
    percent: AtomicU8,
    pace: Mutex<Pace>,
    control: Mutex<Control>,
    woken: Condvar,
    /// When it ended, or when this program began to remember one that ended before.
    over: OnceLock<Instant>,
}

/// How long it has worked, and how far that brought it. Kept by a clock that nobody sets.
#[derive(Debug, Default)]
struct Pace {
    /// How long it worked until it last rested.
    before: Duration,
    /// Since when it has been at work; none while it rests.
    since: Option<Instant>,
    /// The first and the last report: at which working time, how many bytes.
    first: Option<(Duration, u64)>,
    last: Option<(Duration, u64)>,
    /// Bytes, all told.
    whole: u64,
}

impl Pace {
    fn worked(&self) -> Duration {
        let now = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.before + now
    }
}

/// What is wanted of it, and what it can do.
#[derive(Debug, Default)]
struct Control {
    wish: Wish,
    /// Whether what is done now comes to a moment in which it can rest.
    can_rest: bool,
    rests: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wish {
    #[default]
    Work,
    Rest,
    /// To end in this state.
    End(JobState),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// The clock of a job that begins now.
    pub(super) fn begun() -> Self {
        let live = Self::default();
        lock(&live.pace).since = Some(Instant::now());
        live
    }

    pub(super) fn percent(&self) -> u8 {
        self.percent.load(Ordering::Relaxed)
    }

    /// `done` of `whole` bytes are done. What was done once stays done.
    pub(in crate::array) fn report(&self, done: u64, whole: u64) {
        let percent = (u128::from(done) * 100).checked_div(whole.into());
        let percent = percent.unwrap_or_default().min(99);
        let percent = u8::try_from(percent).unwrap_or(99);
        self.percent.fetch_max(percent, Ordering::Relaxed);
        let mut pace = lock(&self.pace);
        let now = (pace.worked(), done);
        pace.first.get_or_insert(now);
        if pace.last.is_none_or(|(_, before)| before < done) {
            pace.last = Some(now);
        }
        pace.whole = whole;
    }

    /// How long it has worked, without the time in which it rested.
    pub(super) fn worked(&self) -> Duration {
        lock(&self.pace).worked()
    }

    /// How long it still takes if it gets on as it did; unknown before two reports, and while it
    /// rests.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let pace = lock(&self.pace);
        let ((began, first), (last, done)) = (pace.first?, pace.last?);
        let (moved, left) = (done.checked_sub(first)?, pace.whole.checked_sub(done)?);
        pace.since?;
        let took = (last - began).as_micros();
        let micros = took.checked_mul(left.into())?.checked_div(moved.into())?;
        Some(Duration::from_micros(u64::try_from(micros).ok()?))
    }

    /// How long ago it ended, or this program began to remember it.
    pub(in crate::array) fn over_for(&self) -> Duration {
        self.over_since().elapsed()
    }

    /// When it ended, or this program began to remember it.
    pub(in crate::array) fn over_since(&self) -> Instant {
        *self.over.get_or_init(Instant::now)
    }

    pub(in crate::array) fn is_cancelled(&self) -> bool {
        self.end_wished().is_some()
    }

    /// The state in which somebody wants it to end.
    pub(super) fn end_wished(&self) -> Option<JobState> {
        match lock(&self.control).wish {
            Wish::End(state) => Some(state),
            Wish::Work | Wish::Rest => None,
        }
    }

    /// From now on something is done that can or cannot rest.
    pub(in crate::array) fn enter(&self, can_rest: bool) {
        lock(&self.control).can_rest = can_rest;
    }

    /// A moment in which it can rest. `tell` hears that it does.
    pub(in crate::array) fn rest(&self, tell: impl Fn(JobState)) -> Result<(), Error> {
        self.rest_in(lock(&self.control), tell).1
    }

    /// The last such moment of a step.
    pub(in crate::array) fn leave(&self, tell: impl Fn(JobState)) -> Result<(), Error> {
        let control = lock(&self.control);
        if !control.can_rest {
            return Ok(());
        }
        let (mut control, rested) = self.rest_in(control, tell);
        // In the same moment: nobody is promised a rest that does not come.
        control.can_rest = false;
        rested
    }

    fn rest_in<'a>(
        &'a self,
        mut control: MutexGuard<'a, Control>,
        tell: impl Fn(JobState),
    ) -> (MutexGuard<'a, Control>, Result<(), Error>) {
        // Who is woken may be wanted to rest again before he is awake.
        while control.wish == Wish::Rest {
            let mut pace = lock(&self.pace);
            pace.before = pace.worked();
            pace.since = None;
            drop(pace);
            control.rests = true;
            tell(JobState::Suspended);
            let waited = self.woken.wait_while(control, |control| control.rests);
            control = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let done = match control.wish {
            Wish::End(_) => Err(cancelled()),
            Wish::Work | Wish::Rest => Ok(()),
        };
        (control, done)
    }

    /// Wants it to rest; whether it does already.
    ///
    /// # Errors
    /// When what is done now cannot rest, or it is to end.
    pub(in crate::array) fn suspend(&self) -> Result<bool, Error> {
        let mut control = lock(&self.control);
        if !control.can_rest || matches!(control.wish, Wish::End(_)) {
            return Err(Error::not_supported(
                "what the job is doing now cannot be suspended; only overwriting, copying and \
                 erasing volumes can",
            ));
        }
        control.wish = Wish::Rest;
        Ok(control.rests)
    }

    /// Wants it to go on. `tell` hears that it does.
    ///
    /// # Errors
    /// When it is to end.
    pub(in crate::array) fn resume(&self, tell: impl Fn(JobState)) -> Result<(), Error> {
        let control = lock(&self.control);
        if matches!(control.wish, Wish::End(_)) {
            return Err(Error::not_supported("the job is being stopped"));
        }
        self.wake(control, Wish::Work, tell);
        Ok(())
    }

    /// Wants it to end in that state. `tell` hears that it is at work again, if it rested.
    pub(in crate::array) fn end(&self, state: JobState, tell: impl Fn(JobState)) {
        self.wake(lock(&self.control), Wish::End(state), tell);
    }

    fn wake(&self, mut control: MutexGuard<'_, Control>, wish: Wish, tell: impl Fn(JobState)) {
        control.wish = wish;
        if control.rests {
            control.rests = false;
            lock(&self.pace).since = Some(Instant::now());
            tell(JobState::Running);
        }
        self.woken.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_stays_done() {
        let live = Live::begun();
        live.report(50, 100);
        live.report(20, 100);
        assert_eq!(live.percent(), 50);
        live.report(100, 100);
        assert_eq!(live.percent(), 99, "it is done when it was verified");
    }

    #[test]
    fn what_remains_is_told_from_progress_alone() {
        let live = Live::begun();
        assert_eq!(live.remaining(), None);
        live.report(10, 100);
        assert_eq!(live.remaining(), None, "one report is no pace");
        live.report(10, 100);
        assert_eq!(live.remaining(), None, "nothing was done since");
        live.report(100, 100);
        assert_eq!(live.remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn whoever_is_woken_and_suspended_at_once_rests_again() {
        let live = Live::begun();
        live.enter(true);
        let (sender, told) = std::sync::mpsc::channel();
        let next = || {
            let within = Duration::from_secs(60);
            told.recv_timeout(within).expect("it is told")
        };
        std::thread::scope(|scope| {
            let worker = sender.clone();
            let live = &live;
            scope.spawn(move || {
                let tell = |state| worker.send(state).expect("somebody listens");
                while live.rest(tell).is_ok() {}
            });
            let tell = |state| sender.send(state).expect("somebody listens");
            live.suspend().expect("it can rest");
            assert_eq!(next(), JobState::Suspended);
            for _ in 0..1000 {
                live.resume(tell).expect("it rests");
                live.suspend().expect("it can rest");
                assert_eq!(next(), JobState::Running);
                assert_eq!(next(), JobState::Suspended);
            }
            live.end(JobState::Cancelled, tell);
        });
    }

    #[test]
    fn nobody_is_promised_a_rest_that_does_not_come() {
        let live = Live::begun();
        assert!(live.suspend().is_err(), "nothing is done that can rest");
        live.enter(true);
        assert_eq!(live.suspend().ok(), Some(false));
        let told = Mutex::new(Vec::new());
        let tell = |state| told.lock().expect("no panic").push(state);
        std::thread::scope(|scope| {
            let step = scope.spawn(|| live.leave(tell));
            while live.suspend().ok() != Some(true) {
                std::thread::yield_now();
            }
            assert_eq!(live.remaining(), None);
            live.resume(tell).expect("it rests");
            step.join().expect("no panic").expect("it goes on");
        });
        assert!(live.suspend().is_err(), "the step is over");
        let told = told.into_inner().expect("no panic");
        assert_eq!(told, [JobState::Suspended, JobState::Running]);
        live.end(JobState::Killed, |_| ());
        assert!(live.rest(|_| ()).is_err());
        assert!(live.resume(|_| ()).is_err(), "too late");
    }
}
