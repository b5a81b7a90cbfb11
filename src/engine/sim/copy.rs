//! Copies of one volume onto another: long, in modelled time, and not under the lock.

use std::time::Duration;

use super::extents::{Content, EXTENT};
use super::guards::{marked_by, ours};
use super::machine::{Body, Lv, Machine};
use super::{Core, SLICE};
use crate::array::{Error, JobId, Progress, Step, Subject, Torn, VolumeId, cancelled};

/// What is copied.
pub(super) struct Copy<'a> {
    pub(super) from: &'a Subject,
    pub(super) to: &'a Subject,
    pub(super) fresh: bool,
    pub(super) job: JobId,
}

impl<'a> Copy<'a> {
    /// What a step copies, if it does.
    pub(super) fn of(step: &'a Step) -> Option<Self> {
        match step {
            Step::Copy {
                from,
                to,
                fresh,
                job,
            } => Some(Self {
                from,
                to,
                fresh: *fresh,
                job: *job,
            }),
            _ => None,
        }
    }
}

impl Core {
    /// Copies slice by slice; only half of it where that is said.
    pub(super) fn copy(
        &self,
        copy: &Copy<'_>,
        progress: &dyn Progress,
        half: bool,
    ) -> Result<(), Error> {
        let (id, extents) = {
            let mut machine = self.machine();
            let (_, to) = machine.may_copy(copy)?;
            let (id, extents) = (to.id.clone(), to.extents());
            if !copy.fresh {
                machine.tear(&id, Some(Torn::Copied))?;
            }
            (id, extents)
        };
        let until = if half { extents / 2 } else { extents };
        let mut done = 0;
        let mut ended = Ok(());
        while done < until && ended.is_ok() {
            let slice = (SLICE / EXTENT).min(until - done);
            ended = self.copy_slice(copy, done, slice, progress);
            if ended.is_ok() {
                done += slice;
                progress.report(done * EXTENT, extents * EXTENT);
            }
        }
        // What was overwritten stays so, however it ended.
        let mut machine = self.machine();
        machine.keep_contents(&id)?;
        ended?;
        match half || copy.fresh {
            true => Ok(()),
            false => machine.tear(&id, None),
        }
    }

    fn copy_slice(
        &self,
        copy: &Copy<'_>,
        start: u64,
        length: u64,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        progress.pause_point()?;
        let seconds = (length * EXTENT) as f64 / self.copy_rate as f64;
        self.clock.wait(Duration::from_secs_f64(seconds), || false);
        if progress.is_cancelled() {
            return Err(cancelled());
        }
        self.machine().copy(copy, start, length)
    }
}

impl Machine {
    /// The two volumes, if that job may copy one onto the other.
    fn may_copy(&self, copy: &Copy<'_>) -> Result<(&Lv, &Lv), Error> {
        let (from, to) = (self.present(copy.from)?, self.present(copy.to)?);
        for lv in [from, to] {
            ours(lv)?;
            marked_by(lv.job, copy.job, &lv.called())?;
            self.idle(lv)?;
            self.readable(lv)?;
            if let Body::Pool(_) = lv.body {
                return Err(Error::invalid(format!("{} is no volume", lv.called())));
            }
        }
        if from.id == to.id || from.extents() > to.extents() {
            return Err(Error::invalid(format!(
                "{} is not copied onto {}, which is the same or smaller",
                from.called(),
                to.called()
            )));
        }
        Ok((from, to))
    }

    /// Copies some extents, after looking at both again.
    fn copy(&mut self, copy: &Copy<'_>, start: u64, length: u64) -> Result<(), Error> {
        let (from, to) = self.may_copy(copy)?;
        let is_thin = matches!(to.body, Body::Thin(_));
        let wanted = self.spelt(from, start, length);
        let held = self.spelt(to, start, length);
        let id = to.id.clone();
        for ((at, wanted), held) in (start..).zip(wanted).zip(held) {
            let is_there = wanted == held && (is_thin || !copy.fresh);
            if !is_there && !self.put(&id, at, wanted, is_thin) {
                return Err(Error::no_space(
                    "the pool is full, and the copy ended midway; grow it and try again",
                )
                .with_largest(0));
            }
        }
        Ok(())
    }

    /// Puts content into an extent; whether there was room for it.
    fn put(&mut self, id: &VolumeId, at: u64, content: Content, is_thin: bool) -> bool {
        if is_thin && content == Content::Zeros {
            self.discard_thin(id, at, 1);
            return true;
        }
        self.write(id, at, 1, content)
    }

    /// What each of these extents holds; zeros beyond the end.
    fn spelt(&self, lv: &Lv, start: u64, length: u64) -> Vec<Content> {
        let within = length.min(lv.extents().saturating_sub(start));
        let runs = self.contents_in(lv, start, within).into_iter();
        let mut contents: Vec<Content> = runs
            .flat_map(|(length, content)| (0..length).map(move |_| content))
            .collect();
        contents.extend((within..length).map(|_| Content::Zeros));
        contents
    }
}
