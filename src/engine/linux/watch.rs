//! Calls that always end: deadlines, gates that are waited for while their line moves, and a thread of
//! its own for what the kernel may never finish.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Something did not end in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} did not end in time")]
pub struct TimedOut {
    /// What was waited for.
    pub what: String,
}

impl TimedOut {
    /// That `what` did not end.
    pub fn new(what: impl fmt::Display) -> Self {
        Self {
            what: what.to_string(),
        }
    }
}

thread_local! {
    /// How long this thread has waited in lines that moved.
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The moment at which a call must have ended. The time in which its thread waits for others at a
/// [`Gate`] does not count: what is slow for one is not too slow because many want it.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    /// How long the thread had waited when it was set.
    waited: Duration,
}

impl Deadline {
    /// That long from now.
    pub fn after(limit: Duration) -> Self {
        Self {
            at: Instant::now() + limit,
            waited: WAITED.get(),
        }
    }

    /// What is left; zero when it has passed.
    pub fn left(self) -> Duration {
        let at = self.at + WAITED.get().saturating_sub(self.waited);
        at.saturating_duration_since(Instant::now())
    }
}

/// A value that one caller uses at a time. The others wait in line, as long as it moves.
#[derive(Debug)]
pub struct Gate<T> {
    line: Mutex<Line<T>>,
    moved: Condvar,
}

#[derive(Debug)]
struct Line<T> {
    /// None while somebody uses it.
    value: Option<T>,
    /// Those who wait, the first one first.
    waiting: VecDeque<u64>,
    /// How many have come.
    came: u64,
    /// How many turns have ended.
    ended: u64,
}

/// The value while it is used; dropping passes it on.
#[derive(Debug)]
pub struct Turn<'a, T> {
    gate: &'a Gate<T>,
    value: Option<T>,
}

impl<T> Gate<T> {
    /// A gate before `value`.
    pub fn new(value: T) -> Self {
        Self {
            line: Mutex::new(Line {
                value: Some(value),
                waiting: VecDeque::new(),
                came: 0,
                ended: 0,
            }),
            moved: Condvar::new(),
        }
    }

    /// Waits for the value, until nobody's turn has ended for as long as the deadline leaves; `what`
    /// names it in the error.
    pub fn enter(&self, what: &str, deadline: Deadline) -> Result<Turn<'_, T>, TimedOut> {
        self.stand(what, deadline, VecDeque::push_back)
    }

    /// As [`Gate::enter`], before all who stand in line: for what is short and holds up more than this
    /// line. Whoever does it again and again keeps the others waiting.
    pub fn enter_first(&self, what: &str, deadline: Deadline) -> Result<Turn<'_, T>, TimedOut> {
        self.stand(what, deadline, VecDeque::push_front)
    }

    fn stand(
        &self,
        what: &str,
        deadline: Deadline,
        join: fn(&mut VecDeque<u64>, u64),
    ) -> Result<Turn<'_, T>, TimedOut> {
        let (began, patience) = (Instant::now(), deadline.left());
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let me = line.came;
        line.came += 1;
        join(&mut line.waiting, me);
        let is_mine = |line: &Line<T>| line.waiting.front() == Some(&me) && line.value.is_some();
        loop {
            let ended = line.ended;
            let is_still = |line: &mut Line<T>| !is_mine(line) && line.ended == ended;
            let waited = self.moved.wait_timeout_while(line, patience, is_still);
            line = waited.unwrap_or_else(PoisonError::into_inner).0;
            if is_mine(&line) || line.ended == ended {
                break;
            }
        }
        let value = if is_mine(&line) {
            line.value.take()
        } else {
            None
        };
        line.waiting.retain(|other| *other != me);
        drop(line);
        // Whoever is first now may not have been when it was passed on.
        self.moved.notify_all();
        match value {
            Some(value) => {
                WAITED.set(WAITED.get() + began.elapsed());
                Ok(Turn {
                    gate: self,
                    value: Some(value),
                })
            }
            None => Err(TimedOut::new(format_args!("the wait for {what}"))),
        }
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
            .as_ref()
            .expect("it leaves only when the turn ends")
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value
            .as_mut()
            .expect("it leaves only when the turn ends")
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let line = self.gate.line.lock();
        let mut line = line.unwrap_or_else(PoisonError::into_inner);
        line.value = self.value.take();
        line.ended += 1;
        drop(line);
        self.gate.moved.notify_all();
    }
}

/// Runs calls into the kernel on threads of their own and counts those that never came back.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    stuck: Arc<AtomicUsize>,
}

impl Watch {
    /// How many calls are overdue now.
    pub fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Acquire)
    }

    /// Runs `call` at most until the deadline. An overdue call goes on alone and is counted
    /// until it ends.
    pub fn run<T: Send + 'static>(
        &self,
        what: &str,
        deadline: Deadline,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TimedOut> {
        let (sender, result) = sync_channel(1);
        // Set by whichever comes first, the end of the call or the end of the patience.
        let settled = Arc::new(AtomicBool::new(false));
        let (ended, stuck) = (Arc::clone(&settled), Arc::clone(&self.stuck));
        thread::spawn(move || {
            let value = call();
            if ended.swap(true, Ordering::AcqRel) {
                stuck.fetch_sub(1, Ordering::AcqRel);
            }
            // Nobody may be waiting any more.
            let _ = sender.send(value);
        });
        result.recv_timeout(deadline.left()).map_err(|_| {
            self.stuck.fetch_add(1, Ordering::AcqRel);
            if settled.swap(true, Ordering::AcqRel) {
                self.stuck.fetch_sub(1, Ordering::AcqRel);
            }
            TimedOut::new(what)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_gate_is_waited_for_only_until_the_deadline() {
        let gate = Gate::new(7);
        let turn = gate
            .enter("seven", Deadline::after(Duration::ZERO))
            .expect("free");
        let refused = gate
            .enter("seven", Deadline::after(Duration::ZERO))
            .expect_err("taken");
        assert_eq!(
            refused.to_string(),
            "the wait for seven did not end in time"
        );
        drop(turn);
        let turn = gate
            .enter("seven", Deadline::after(Duration::ZERO))
            .expect("free again");
        assert_eq!(*turn, 7);
    }

    #[test]
    fn a_waiting_caller_gets_its_turn() {
        let gate = Gate::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let limit = Deadline::after(Duration::from_secs(60));
                    *gate.enter("the count", limit).expect("in time") += 1;
                });
            }
        });
        let count = gate
            .enter("the count", Deadline::after(Duration::ZERO))
            .expect("free");
        assert_eq!(*count, 8);
    }

    /// The order of turns when each of these stands in line before the next one comes, and the first
    /// turn lasts that long.
    fn order(limit: Duration, held: Duration, first: &[bool]) -> Vec<usize> {
        let gate = Gate::new(Vec::new());
        let turn = gate.enter("it", Deadline::after(limit)).expect("free");
        thread::scope(|scope| {
            for (number, &is_first) in first.iter().enumerate() {
                let gate = &gate;
                scope.spawn(move || {
                    let (began, deadline) = (Instant::now(), Deadline::after(limit));
                    let turn = match is_first {
                        true => gate.enter_first("it", deadline),
                        false => gate.enter("it", deadline),
                    };
                    let mut turn = turn.expect("the line moves");
                    assert!(deadline.left() + began.elapsed() >= limit + held);
                    turn.push(number);
                });
                // Until it stands in line.
                while gate.line.lock().expect("no panic").waiting.len() <= number {
                    thread::yield_now();
                }
            }
            thread::sleep(held);
            drop(turn);
        });
        let turn = gate.enter("it", Deadline::after(limit)).expect("free");
        turn.clone()
    }

    #[test]
    fn a_line_is_kept_and_the_wait_in_it_does_not_count() {
        let (limit, held) = (Duration::from_secs(60), Duration::from_millis(50));
        assert_eq!(order(limit, held, &[false; 6]), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn who_holds_up_others_goes_before_the_line() {
        let (limit, held) = (Duration::from_secs(60), Duration::from_millis(50));
        let first = [false, false, true, false];
        assert_eq!(order(limit, held, &first), [2, 0, 1, 3]);
    }

    #[test]
    fn an_overdue_call_is_given_up_and_counted_until_it_ends() {
        let watch = Watch::default();
        let (release, held) = channel::<()>();
        let (ended, end) = channel::<()>();
        let late = watch.run(
            "the write",
            Deadline::after(Duration::from_millis(20)),
            move || {
                let _ = held.recv();
                drop(ended);
            },
        );
        assert_eq!(late, Err(TimedOut::new("the write")));
        assert_eq!(watch.stuck(), 1);
        drop(release);
        let _ = end.recv();
        while watch.stuck() > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_call_that_ends_gives_its_value() {
        let watch = Watch::default();
        assert_eq!(
            watch.run("it", Deadline::after(Duration::from_secs(60)), || 5),
            Ok(5)
        );
        assert_eq!(watch.stuck(), 0);
    }
}
