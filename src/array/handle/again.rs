//! When something that failed is tried again.

use std::time::{Duration, Instant};

/// The longest time between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// After a first pause, then after twice the time that it last took. Nothing is due at first.
#[derive(Debug)]
pub(super) struct Again {
    first: Duration,
    next: Option<(Instant, Duration)>,
}

impl Again {
    /// Nothing is to be tried again yet.
    pub(super) const fn after(first: Duration) -> Self {
        Self { first, next: None }
    }

    /// It failed.
    pub(super) fn later(&mut self) {
        let pause = self.next.map_or(self.first, |(_, pause)| pause * 2);
        let pause = pause.min(LONGEST_PAUSE.max(self.first));
        self.next = Some((Instant::now() + pause, pause));
    }

    /// It was done.
    pub(super) fn done(&mut self) {
        self.next = None;
    }

    /// When it is tried again, if at all.
    pub(super) fn at(&self) -> Option<Instant> {
        self.next.map(|(at, _)| at)
    }

    /// Whether its time has come.
    pub(super) fn is_due(&self) -> bool {
        self.at().is_some_and(|at| at <= Instant::now())
    }
}
