//! The time in which the modelled machine works: the real one, one that a test steps, or one that
//! never makes anybody wait.
//!
//! It knows nothing of storage.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where time that a test controls begins: 2026-01-01T00:00:00Z, in microseconds since 1970.
const MODELLED_START: u64 = 1_767_225_600_000_000;

/// How long [`Clock::advance`] waits in real time for somebody who waits for the clock.
const PATIENCE: Duration = Duration::from_secs(10);

/// A clock. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pace: Pace,
    time: Mutex<Time>,
    changed: Condvar,
}

#[derive(Debug)]
enum Pace {
    Real(Instant),
    Stepped,
    Instant,
}

#[derive(Debug, Default)]
struct Time {
    now: Duration,
    /// Until when each of those who wait does so.
    waits: Vec<Duration>,
}

impl Clock {
    /// Time as everybody knows it.
    pub fn real() -> Self {
        Self::with(Pace::Real(Instant::now()))
    }

    /// Time stands still until [`advance`](Self::advance) moves it.
    pub fn stepped() -> Self {
        Self::with(Pace::Stepped)
    }

    /// Whoever waits is at once at the end of his wait.
    pub fn instant() -> Self {
        Self::with(Pace::Instant)
    }

    fn with(pace: Pace) -> Self {
        Self(Arc::new(Inner {
            pace,
            time: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Moves a stepped clock, once somebody waits for it; so a test needs no sleep of its own.
    /// Whether somebody did within ten real seconds.
    pub fn advance(&self, by: Duration) -> bool {
        let idle = |time: &mut Time| {
            time.waits.is_empty() || time.waits.iter().any(|until| *until <= time.now)
        };
        let (mut time, waited) = self
            .0
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, idle)
            .unwrap_or_else(PoisonError::into_inner);
        time.now = time.now.saturating_add(by);
        self.0.changed.notify_all();
        !waited.timed_out()
    }

    /// Microseconds since 1970.
    pub(super) fn wall(&self) -> u64 {
        match self.0.pace {
            Pace::Real(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| u64::try_from(since.as_micros()).ok())
                .unwrap_or(MODELLED_START),
            Pace::Stepped | Pace::Instant => {
                let now = u64::try_from(self.lock().now.as_micros()).unwrap_or(u64::MAX);
                MODELLED_START.saturating_add(now)
            }
        }
    }

    /// Waits until `ready`, at most for that long; whether it became ready.
    pub(super) fn wait(&self, at_most: Duration, ready: impl Fn() -> bool) -> bool {
        let mut time = self.lock();
        let until = self.now(&time).saturating_add(at_most);
        time.waits.push(until);
        self.0.changed.notify_all();
        let became_ready = loop {
            if ready() {
                break true;
            }
            let now = self.now(&time);
            if now >= until {
                break false;
            }
            time = self.pass(time, now, until);
        };
        if let Some(mine) = time.waits.iter().position(|other| *other == until) {
            time.waits.swap_remove(mine);
        }
        self.0.changed.notify_all();
        became_ready
    }

    /// Lets those who wait look again.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.0.changed.notify_all();
    }

    fn pass<'a>(
        &'a self,
        mut time: MutexGuard<'a, Time>,
        now: Duration,
        until: Duration,
    ) -> MutexGuard<'a, Time> {
        let changed = &self.0.changed;
        match self.0.pace {
            Pace::Real(_) => {
                let woken = changed.wait_timeout(time, until.saturating_sub(now));
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            Pace::Stepped => changed.wait(time).unwrap_or_else(PoisonError::into_inner),
            Pace::Instant => {
                time.now = until;
                time
            }
        }
    }

    fn now(&self, time: &Time) -> Duration {
        match self.0.pace {
            Pace::Real(start) => start.elapsed(),
            Pace::Stepped | Pace::Instant => time.now,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Time> {
        self.0.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
