//! Erasing what a volume holds before it is removed.

use std::time::Duration;

use super::extents::{Content, EXTENT};
use super::guards::{marked_by, ours};
use super::machine::{Body, Lv, Machine};
use super::{Core, SLICE};
use crate::array::{Erasing, Error, JobId, Progress, Subject, Torn};

impl Machine {
    /// The volume, if that job may erase it; none where it is gone.
    fn may_erase(&self, subject: &Subject, job: JobId) -> Result<Option<&Lv>, Error> {
        let Some(lv) = self.find(subject)? else {
            return Ok(None);
        };
        ours(lv)?;
        marked_by(lv.job, job, &lv.called())?;
        if let Body::Delta(_) = lv.body {
            return Err(Error::invalid(format!(
                "{} is a snapshot that holds only what has changed; remove it as it is",
                lv.called()
            )));
        }
        self.has_no_deltas(lv)?;
        self.idle(lv)?;
        self.readable(lv)?;
        Ok(Some(lv))
    }

    /// Notes that a volume is being erased; how many extents it has, none if it is gone.
    fn begin_to_erase(&mut self, subject: &Subject, job: JobId) -> Result<u64, Error> {
        let Some(lv) = self.may_erase(subject, job)? else {
            return Ok(0);
        };
        let (id, extents) = (lv.id.clone(), lv.extents());
        self.tear(&id, Some(Torn::Erased))?;
        Ok(extents)
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
        let Some(lv) = self.may_erase(subject, job)? else {
            return Ok(());
        };
        let (id, is_thin) = (lv.id.clone(), matches!(lv.body, Body::Thin(_)));
        match is_thin {
            true => self.discard_thin(&id, start, length),
            false => self.fill(&id, start, length, content),
        }
        self.generation += 1;
        self.keep_contents(&id)
    }
}

impl Core {
    /// See [`Step::Erase`](crate::array::Step::Erase). Erases slice by slice, in modelled time and not
    /// under the lock; only half of it where that is said.
    pub(super) fn erase(
        &self,
        volume: &Subject,
        how: Erasing,
        job: JobId,
        progress: &dyn Progress,
        half: bool,
    ) -> Result<(), Error> {
        let extents = self.machine().begin_to_erase(volume, job)?;
        let content = match how {
            Erasing::Zero => Content::Zeros,
            Erasing::Discard => Content::Fresh,
        };
        let until = if half { extents / 2 } else { extents };
        let mut done = 0;
        while done < until {
            progress.pause_point()?;
            let slice = (SLICE / EXTENT).min(until - done);
            let seconds = (slice * EXTENT) as f64 / self.zero_rate as f64;
            self.clock.wait(Duration::from_secs_f64(seconds), || false);
            self.machine().erase(volume, job, done, slice, content)?;
            done += slice;
            progress.report(done * EXTENT, extents * EXTENT);
        }
        Ok(())
    }
}
