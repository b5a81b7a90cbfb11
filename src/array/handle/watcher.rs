//! Looking at the world outside now and then: what has changed there, whether hosts see what the
//! views say, and what is done if they do not.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::again::Again;
use super::{Inner, WATCH_EVERY, lock};
use crate::array::drift::{Drift, DriftPolicy, lost_ports};
use crate::array::engine::{Facts, Unwatched};
use crate::array::error::Error;
use crate::array::ids::PortId;
use crate::array::inventory::Inventory;
use crate::array::locks::Key;
use crate::array::model::Map;
use crate::array::step::Step;

/// How many times as long as the cheap look took the watcher rests after it: what it costs grows with
/// what is shown to hosts, and must not eat what hosts are served with.
const REST: u32 = 8;

/// The longest time between two looks.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// What the watcher remembers from one round to the next.
#[derive(Debug)]
struct Memory {
    /// The mark of the state outside at the last look.
    seen: Option<Result<u64, ()>>,
    /// When a look is due though nothing has changed.
    look: Again,
    /// When maps in an unknown state are tried again.
    mend: Again,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surveyed {
    /// Everything was compared, and nothing is left to do.
    Whole,
    /// Commands are changing what hosts see: the comparison comes later.
    Postponed,
    /// Hosts do not see what they should, though that was tried.
    Wanting,
}

/// Looks at the world outside now and then, until the array is dropped.
pub(super) fn watch_outside(array: &Weak<Inner>) {
    let mut memory = Memory {
        seen: None,
        look: Again::after(WATCH_EVERY),
        mend: Again::after(WATCH_EVERY),
    };
    let mut pause = WATCH_EVERY;
    loop {
        std::thread::sleep(pause);
        let Some(inner) = array.upgrade() else { return };
        inner.expire_jobs();
        pause = rest(inner.round(&mut memory));
    }
}

/// How long the watcher rests after a cheap look that took so long.
fn rest(taken: Duration) -> Duration {
    (taken * REST).clamp(WATCH_EVERY, LONGEST_REST)
}

impl Inner {
    /// One round; how long the cheap look took.
    fn round(&self, memory: &mut Memory) -> Duration {
        if memory.mend.at().is_none() || memory.mend.is_due() {
            match self.mend() {
                true => memory.mend.done(),
                false => memory.mend.later(),
            }
        }
        let began = Instant::now();
        let now = self.engine.fingerprint().map_err(|error| {
            tracing::warn!(%error, "the state outside could not be read");
        });
        let taken = began.elapsed();
        let is_same = now.is_ok() && memory.seen.as_ref() == Some(&now);
        if is_same && !memory.look.is_due() {
            return taken;
        }
        match self.survey() {
            Ok(surveyed) => {
                // What was postponed is looked at in the next round, whatever has changed by then.
                memory.seen = (surveyed != Surveyed::Postponed).then_some(now);
                match surveyed {
                    Surveyed::Wanting => memory.look.later(),
                    Surveyed::Whole | Surveyed::Postponed => memory.look.done(),
                }
            }
            // What has changed is still to be seen.
            Err(error) => tracing::warn!(%error, "the array could not be looked at"),
        }
        taken
    }

    /// Brings the maps that a failed command or the start left in an unknown state into the one
    /// that the records say, as soon as the engine can; whether that is done.
    fn mend(&self) -> bool {
        if lock(&self.unsure).is_empty() {
            return true;
        }
        let Some(_held) = self.locks.take([Key::Masking].into(), Duration::ZERO) else {
            return true;
        };
        let unsure = lock(&self.unsure).clone();
        let now = self.published.load();
        let mut is_done = true;
        for map in unsure {
            let step = match now.view_of(&map) {
                // It waits for its volume, or for somebody who frees its number.
                Some(_) if !is_there(&now, &map) || now.drift().taken.contains(&map) => continue,
                Some(_) => Step::Map(map.clone()),
                None => Step::Unmap(map.clone()),
            };
            match self.engine.apply(&step, &Unwatched) {
                Ok(()) => drop(lock(&self.unsure).remove(&map)),
                Err(error) => {
                    tracing::warn!(?step, %error, "hosts may not see what they should");
                    is_done = false;
                }
            }
        }
        is_done
    }

    /// Looks at everything, and compares what hosts see with what the views say.
    fn survey(&self) -> Result<Surveyed, Error> {
        let mut began = Instant::now();
        let mut facts = self.engine.scan()?;
        // Who changes what hosts see holds this; the records are in step with it when it is free.
        let Some(_held) = self.locks.take([Key::Masking].into(), Duration::ZERO) else {
            self.publish_look(|next, looks| looks.take_all(next, began, facts));
            return Ok(Surveyed::Postponed);
        };
        let mut lost = lost_ports(&facts);
        if !lost.is_empty() {
            // What was seen may be older than what a command has done since.
            (began, facts) = (Instant::now(), self.engine.scan()?);
            lost = lost_ports(&facts);
        }
        if !lost.is_empty() {
            self.restore(&facts, &lost);
            (began, facts) = (Instant::now(), self.engine.scan()?);
        }
        let still_lost = lost_ports(&facts);
        let now = self.published.load_full();
        let mut drift = self.drift(&now, &facts);
        // What could not be made again with its port is owed, whatever the policy.
        let owed = drift.missing.iter().filter(|map| lost.contains(&map.port));
        let owed = owed.filter(|map| !still_lost.contains(&map.port));
        lock(&self.unsure).extend(owed.cloned());
        let mut is_repaired = true;
        if now.policy.drift == DriftPolicy::Repair && !drift.is_none() {
            self.repair(&now, &drift);
            drift = self.drift(&now, &facts);
            is_repaired = drift.is_none();
        }
        self.publish_look(|next, looks| {
            looks.take_all(next, began, facts);
            let before = next.drift().clone();
            next.take_drift(drift);
            tell(next, &before);
        });
        Ok(match still_lost.is_empty() && is_repaired {
            true => Surveyed::Whole,
            false => Surveyed::Wanting,
        })
    }

    fn drift(&self, now: &Inventory, facts: &Facts) -> Drift {
        Drift::between(now, facts, |map| self.engine.is_mapped(map).ok())
    }

    /// Makes the ports again that are gone or closed as a whole, with everything that the views
    /// show through them. What hosts see through the others stays as it is.
    fn restore(&self, facts: &Facts, lost: &BTreeSet<PortId>) {
        let ready = facts.volumes.iter().filter(|volume| volume.job.is_none());
        let ready: BTreeSet<_> = ready.map(|volume| &volume.id).collect();
        let wanted = self.published.load().all_maps().into_iter();
        let mut maps: Vec<Map> = wanted
            .filter(|map| lost.contains(&map.port) && ready.contains(&map.volume))
            .collect();
        let count = maps.len();
        let kept = facts.maps.iter().filter(|map| !lost.contains(&map.port));
        maps.extend(kept.cloned());
        let ports: Vec<String> = lost.iter().map(ToString::to_string).collect();
        let ports = ports.join(", ");
        match self.engine.converge(&maps) {
            Ok(()) => tracing::warn!(
                ports,
                maps = count,
                "target ports were gone or closed and were made again with all that they showed"
            ),
            Err(error) => tracing::error!(
                ports,
                %error,
                "target ports are gone or closed and could not be made again as they were"
            ),
        }
    }

    /// Shows hosts again what they lack, and hides from them what no view names. A number that
    /// shows something else is not touched.
    fn repair(&self, now: &Inventory, drift: &Drift) {
        let hide = drift.to_hide().map(|map| Step::Unmap(map.clone()));
        let show = drift.missing.difference(&drift.taken);
        let show = show.filter(|map| is_there(now, map));
        let show = show.map(|map| Step::Map(map.clone()));
        for step in hide.chain(show) {
            match self.engine.apply(&step, &Unwatched) {
                Ok(()) => tracing::info!(target: "audit", who = "drift repair", ?step, "repaired"),
                Err(error) => tracing::warn!(?step, %error, "drift could not be repaired"),
            }
        }
    }
}

/// Whether the volume of a map can be shown.
fn is_there(now: &Inventory, map: &Map) -> bool {
    now.volume(&map.volume)
        .is_some_and(|volume| volume.job.is_none())
}

/// Tells the administrator what has drifted since.
fn tell(now: &Inventory, before: &Drift) {
    for map in now.drift().missing.difference(&before.missing) {
        tracing::warn!(
            ?map,
            "a device number that a masking view names is not shown"
        );
    }
    for map in now.drift().surplus.difference(&before.surplus) {
        tracing::warn!(?map, "a device number that no masking view names is shown");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_costs_much_comes_less_often() {
        let looks = [0, 250, 500, 60_000].map(Duration::from_millis);
        let rests = looks.map(|taken| rest(taken).as_secs());
        assert_eq!(rests, [2, 2, 4, 30]);
    }
}
