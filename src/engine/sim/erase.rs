//! Erasing what a volume holds before it is removed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::extents::{Content, EXTENT};
use super::guards::{marked_by, ours};
use super::machine::{Body, Machine};
use super::{Core, SLICE};
use crate::array::{Erasing, Error, JobId, Progress, Subject};

impl Machine {
    /// Whether that job may erase the volume, and how many extents that is; none where it is gone.
    fn may_erase(&self, subject: &Subject, job: JobId) -> Result<u64, Error> {
        let Some(lv) = self.find(subject)? else {
            return Ok(0);
        };
        ours(lv)?;
        marked_by(lv.job, job, &lv.called())?;
        self.idle(lv)?;
        self.readable(lv)?;
        Ok(lv.extents())
    }

    /// Erases some extents of a volume, after looking at it again. Blocks of a thin pool go back to it
    /// as they are: it overwrites what it gives out.
    fn erase(
        &mut self,
        subject: &Subject,
        job: JobId,
        start: u64,
        length: u64,
        content: Content,
    ) -> Result<(), Error> {
        self.may_erase(subject, job)?;
        let id = self.present(subject)?.id.clone();
        match self.volumes.get_mut(&id).map(|lv| &mut lv.body) {
            Some(Body::Thick(_)) => self.fill(&id, start, length, content),
            Some(Body::Thin(map)) => {
                let pool = map.pool.clone();
                let given = take(&mut map.given, start..start + length);
                let space = self.thin_space.entry(pool).or_default();
                given.into_iter().for_each(|at| space.give_back(at));
            }
            _ => {}
        }
        self.generation += 1;
        self.keep_contents(&id)
    }
}

/// Takes these keys out of a map, with what they led to.
fn take(map: &mut BTreeMap<u64, u64>, keys: Range<u64>) -> Vec<u64> {
    let keys: Vec<u64> = map.range(keys).map(|(key, _)| *key).collect();
    keys.iter().filter_map(|key| map.remove(key)).collect()
}

impl Core {
    /// See [`Step::Erase`](crate::array::Step::Erase).
    pub(super) fn erase(
        &self,
        volume: &Subject,
        how: Erasing,
        job: JobId,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let extents = self.machine().may_erase(volume, job)?;
        let content = match how {
            Erasing::Zero => Content::Zeros,
            Erasing::Discard => Content::Fresh,
        };
        let mut done = 0;
        while done < extents {
            let slice = (SLICE / EXTENT).min(extents - done);
            let seconds = (slice * EXTENT) as f64 / self.zero_rate as f64;
            self.clock.wait(Duration::from_secs_f64(seconds), || false);
            self.machine().erase(volume, job, done, slice, content)?;
            done += slice;
            progress.report(done * EXTENT, extents * EXTENT);
        }
        Ok(())
    }
}
