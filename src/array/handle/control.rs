//! What clients want of jobs: that they rest, go on, end, are remembered or forgotten.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

use super::{Array, Crowd, Inner, lock, store_failed};
use crate::array::course::Watch;
use crate::array::engine::Progress;
use crate::array::error::Error;
use crate::array::ids::JobId;
use crate::array::job::{Job, JobState, MAX_FINISHED, MAX_RETENTION, Retention, now_micros};
use crate::array::step::Step;
use crate::store::{Batch, Table};

/// How many commands may rest at once.
const MAX_SUSPENDED: usize = 64;

impl Array {
    /// Wants a running job to stop at its next good moment, and what it did to be taken back.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::array::Kind::NotFound) if it is not there,
    /// [`Kind::NotSupported`](crate::array::Kind::NotSupported) if it has ended or is not stopped
    /// midway.
    pub fn cancel(&self, job: JobId) -> Result<(), Error> {
        self.end(job, JobState::Cancelled)
    }

    /// The same, and the job says so. Nothing ends sooner by it: a step of LVM or of the kernel
    /// that was left in the middle would leave what nobody can judge.
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel).
    pub fn kill(&self, job: JobId) -> Result<(), Error> {
        self.end(job, JobState::Killed)
    }

    fn end(&self, id: JobId, state: JobState) -> Result<(), Error> {
        let job = self.unfinished(id)?;
        if !job.cancellable {
            return Err(Error::not_supported(
                "the job overwrites or erases a volume and is not stopped midway, which would leave \
                 nothing that anybody can use; wait for its end, or suspend it meanwhile",
            ));
        }
        job.live.end(state, |now| self.0.shift(id, now));
        Ok(())
    }

    /// Wants a running job to rest at its next good moment; whether it rests already.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::array::Kind::NotFound) if it is not there,
    /// [`Kind::NotSupported`](crate::array::Kind::NotSupported) if it has ended or what it does now
    /// cannot rest, [`Kind::Unavailable`](crate::array::Kind::Unavailable) if too many do.
    pub fn suspend(&self, job: JobId) -> Result<bool, Error> {
        let job = self.unfinished(job)?;
        if job.state == JobState::Running && lock(&self.0.crowd).suspended >= MAX_SUSPENDED {
            return Err(Error::unavailable(format!(
                "{MAX_SUSPENDED} jobs are suspended; let one of them go on or stop it first"
            )));
        }
        job.live.suspend()
    }

    /// Wants a suspended job to go on. Nothing for one that is at work.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::array::Kind::NotFound) if it is not there,
    /// [`Kind::NotSupported`](crate::array::Kind::NotSupported) if it has ended or is being stopped.
    pub fn resume(&self, id: JobId) -> Result<(), Error> {
        let job = self.unfinished(id)?;
        job.live.resume(|now| self.0.shift(id, now))
    }

    fn unfinished(&self, id: JobId) -> Result<Arc<Job>, Error> {
        match self.snapshot().job(&id) {
            None => Err(gone()),
            Some(job) if job.is_finished() => Err(Error::not_supported(
                "the job has ended and cannot be stopped, suspended or resumed",
            )),
            Some(job) => Ok(Arc::clone(job)),
        }
    }

    /// Remembers a job for another time after its end.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::array::Kind::NotFound) if it is not there,
    /// [`Kind::InvalidArgument`](crate::array::Kind::InvalidArgument) for more than
    /// [`MAX_RETENTION`].
    pub fn retain(&self, id: JobId, retention: Retention) -> Result<(), Error> {
        if retention.time > MAX_RETENTION {
            return Err(Error::invalid(format!(
                "a finished job is kept for at most {} hours; give a shorter time",
                MAX_RETENTION.as_secs() / 3600
            )));
        }
        let edit = |job: &mut Job| job.retention = retention;
        match self.0.edit_record(id, edit) {
            Some(written) => written,
            None => Err(gone()),
        }
    }

    /// Forgets a job that has ended.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::array::Kind::NotFound) if it is not there,
    /// [`Kind::InUse`](crate::array::Kind::InUse) while it runs.
    pub fn forget(&self, id: JobId) -> Result<(), Error> {
        let _held = lock(&self.0.records);
        match self.snapshot().job(&id) {
            None => Err(gone()),
            Some(job) if !job.is_finished() => Err(Error::in_use(
                "the job is running; wait for its end or stop it first",
            )),
            Some(_) => self.0.forget(&[id]),
        }
    }

    /// Keeps what was answered to the call that a job came from. A power failure may lose it.
    pub fn answered(&self, id: JobId, answer: &str) {
        let _held = lock(&self.0.records);
        let snapshot = self.snapshot();
        let Some(call) = snapshot.job(&id).and_then(|job| job.call.as_ref()) else {
            return;
        };
        if call.answer(answer) {
            let mut batch = Batch::new();
            batch.put(Table::Calls, id.to_string(), call.as_ref());
            if let Err(error) = self.0.store.write_soon(&batch) {
                tracing::warn!(%error, job = %id, "the answer to a call could not be kept");
            }
        }
    }
}

fn gone() -> Error {
    Error::not_found("there is no such job")
}

/// Whoever carries out a job, with an ear for what is wanted of it.
pub(super) struct Watched<'a> {
    array: &'a Inner,
    job: &'a Job,
    /// Whether it is in a step that takes long.
    is_long: AtomicBool,
}

impl<'a> Watched<'a> {
    pub(super) fn new(array: &'a Inner, job: &'a Job) -> Self {
        Self {
            array,
            job,
            is_long: AtomicBool::new(false),
        }
    }

    /// Stands among those that take long, or among the others: it was taken in once, so it is not
    /// refused now.
    fn stand(&self, is_long: bool) {
        if self.is_long.swap(is_long, Ordering::Relaxed) == is_long {
            return;
        }
        let mut crowd = lock(&self.array.crowd);
        let Crowd { running, long, .. } = &mut *crowd;
        let (from, to) = match is_long {
            true => (running, long),
            false => (long, running),
        };
        *from -= 1;
        *to += 1;
    }

    fn tell(&self) -> impl Fn(JobState) {
        |state| self.array.shift(self.job.id, state)
    }
}

impl Progress for Watched<'_> {
    fn report(&self, done: u64, total: u64) {
        self.job.live.report(done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.job.live.is_cancelled()
    }

    fn pause_point(&self) -> Result<(), Error> {
        self.job.live.rest(self.tell())
    }
}

impl Watch for Watched<'_> {
    fn enters(&self, step: Option<&Step>) {
        self.stand(step.is_some_and(Step::takes_long));
        self.job.live.enter(step.is_some_and(Step::can_pause));
    }

    fn leaves(&self) -> Result<(), Error> {
        let left = self.job.live.leave(self.tell());
        self.stand(false);
        left
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.stand(false);
    }
}

/// What takes jobs from the store.
pub(super) fn forgetting(jobs: &[JobId]) -> Batch {
    let mut batch = Batch::new();
    for id in jobs {
        batch.remove(Table::Jobs, id.to_string());
        batch.remove(Table::Calls, id.to_string());
    }
    batch
}

impl Inner {
    /// Tells that a job rests, or is at work again.
    fn shift(&self, id: JobId, state: JobState) {
        let mut crowd = lock(&self.crowd);
        match state {
            JobState::Suspended => crowd.suspended += 1,
            _ => crowd.suspended -= 1,
        }
        drop(crowd);
        let edit = |job: &mut Job| {
            job.state = state;
            job.changed = now_micros();
        };
        if let Some(Err(error)) = self.edit_record(id, edit) {
            // After a restart it is treated as one that was at work, with the same result.
            tracing::warn!(%error, job = %id, "the state of a job could not be written");
        }
    }

    /// Changes the record of a job; `None` if it is not there. What could not be written down is
    /// true until the next start.
    fn edit_record(&self, id: JobId, edit: impl FnOnce(&mut Job)) -> Option<Result<(), Error>> {
        let _held = lock(&self.records);
        let mut job = Job::clone(self.published.load().job(&id)?);
        edit(&mut job);
        let mut batch = Batch::new();
        batch.put(Table::Jobs, id.to_string(), &job);
        let written = self.store.write(&batch).map_err(store_failed);
        self.publish(|next| next.put_job(job.into()));
        Some(written)
    }

    /// The record with which a job ends, with what clients have changed of it meanwhile, and the
    /// jobs that are forgotten because of it. Nobody changes records until the guard is dropped.
    pub(super) fn last_record(&self, mut ended: Job) -> (MutexGuard<'_, ()>, Job, Vec<JobId>) {
        let held = lock(&self.records);
        let snapshot = self.published.load();
        if let Some(job) = snapshot.job(&ended.id) {
            ended.retention = job.retention;
        }
        let finished = snapshot.jobs().filter(|job| job.is_finished());
        let mut finished: Vec<_> = finished
            .map(|job| (job.live.over_since(), job.changed, job.id))
            .collect();
        finished.sort_unstable();
        finished.truncate((finished.len() + 1).saturating_sub(MAX_FINISHED));
        let old = finished.into_iter().map(|(_, _, id)| id).collect();
        (held, ended, old)
    }

    fn forget(&self, jobs: &[JobId]) -> Result<(), Error> {
        self.store.write(&forgetting(jobs)).map_err(store_failed)?;
        self.publish(|next| jobs.iter().for_each(|id| next.remove_job(*id)));
        Ok(())
    }

    /// Forgets the jobs whose time is up.
    pub(super) fn expire_jobs(&self) {
        let _held = lock(&self.records);
        let snapshot = self.published.load();
        let due = snapshot.jobs().filter(|job| job.is_due());
        let due: Vec<_> = due.map(|job| job.id).collect();
        if !due.is_empty()
            && let Err(error) = self.forget(&due)
        {
            tracing::warn!(%error, "old jobs could not be forgotten");
        }
    }
}
