//! The methods of jobs.

use std::time::Duration;

use super::{Gateway, MASKING_PATIENCE, flag, take};
use crate::array::{Error, JobId, JobState, Kind};
use crate::broker::Invocation;
use crate::cim::{CimError, Property, Value};
use crate::schema::method::Standpipe_ConcreteJob::{
    GetError, GetErrors, KillJob, RequestStateChange,
};
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::jobs::{error, job};
use crate::smis::view::View;

const DONE: u32 = 0;
const NOT_SUPPORTED: u32 = 1;
const INVALID_PARAMETER: u32 = 5;
const TRANSITION_STARTED: u32 = 4096;
const INVALID_TRANSITION: u32 = 4097;
const TIMEOUT_NOT_SUPPORTED: u32 = 4098;
/// What `KillJob` returns when the job has not ended in time.
const TIMEOUT: u32 = 3;

/// Values of `RequestedState`.
const START: u16 = 2;
const SUSPEND: u16 = 3;
const TERMINATE: u16 = 4;
const KILL: u16 = 5;
const SERVICE: u16 = 6;

impl Gateway {
    pub(super) async fn invoke_job(
        &self,
        call: &Invocation<View>,
        id: JobId,
    ) -> Result<Outcome, CimError> {
        let view = &call.snapshot;
        let job =
            job(view, &Element::Job(id)).ok_or_else(|| CimError::not_found("the job is gone"))?;
        if call.of(GetError).is_some() {
            let outputs = Outputs::new(GetError);
            return Ok(match error(view, job) {
                Some(error) => outputs.set(GetError::Error, error).returns(DONE),
                None => outputs.returns(DONE),
            });
        }
        if call.of(GetErrors).is_some() {
            let errors: Vec<_> = error(view, job).into_iter().collect();
            return Ok(Outputs::new(GetErrors)
                .set(GetErrors::Errors, errors)
                .returns(DONE));
        }
        if let Some(arguments) = call.of(RequestStateChange) {
            let code = self.change_state(id, &arguments)?;
            return Ok(Outputs::new(RequestStateChange).returns(code));
        }
        if let Some(arguments) = call.of(KillJob) {
            let code = self.kill(id, &arguments).await?;
            return Ok(Outputs::new(KillJob).returns(code));
        }
        Err(call.not_available())
    }

    fn change_state(
        &self,
        id: JobId,
        arguments: &Arguments<RequestStateChange>,
    ) -> Result<u32, CimError> {
        let state = arguments.need(RequestStateChange::RequestedState)?;
        // A period of 0 is none (DSP0004, RequestStateChange of the core schema).
        let period = arguments.of(RequestStateChange::TimeoutPeriod);
        if period.is_some_and(|period| period.length() != Some(Duration::ZERO)) {
            return Ok(TIMEOUT_NOT_SUPPORTED);
        }
        let done = match state {
            START => self.array.resume(id).map(|()| true),
            SUSPEND => self.array.suspend(id),
            TERMINATE => self.array.cancel(id).map(|()| false),
            KILL => self.array.kill(id).map(|()| false),
            SERVICE => return Ok(NOT_SUPPORTED),
            _ => return Ok(INVALID_PARAMETER),
        };
        match done {
            Ok(true) => Ok(DONE),
            Ok(false) => Ok(TRANSITION_STARTED),
            Err(error) if error.kind == Kind::NotSupported => Ok(INVALID_TRANSITION),
            Err(error) => Err(error.into()),
        }
    }

    /// Stops a job and waits until it has ended.
    async fn kill(&self, id: JobId, arguments: &Arguments<KillJob>) -> Result<u32, CimError> {
        match self.array.kill(id) {
            // The method has no code for it, and its "Failed" would not say why.
            Err(error) if error.kind == Kind::NotSupported => {
                return Err(CimError::failed(error.message));
            }
            other => other?,
        }
        let ended = tokio::time::timeout(MASKING_PATIENCE, self.end_of(id)).await;
        let Ok(state) = ended else {
            return Ok(TIMEOUT);
        };
        if state == Some(JobState::Completed) {
            return Err(CimError::failed(
                "the job completed before it could be stopped; undo what it did",
            ));
        }
        if arguments.of(KillJob::DeleteOnKill) == Some(true) {
            match self.array.forget(id) {
                // Somebody else was faster.
                Err(error) if error.kind == Kind::NotFound => {}
                other => other?,
            }
        }
        Ok(DONE)
    }

    /// Waits for the end of a job; how it ended, unless it is forgotten already.
    async fn end_of(&self, id: JobId) -> Option<JobState> {
        let mut versions = self.array.versions();
        loop {
            versions.borrow_and_update();
            let snapshot = self.array.snapshot();
            let job = snapshot.job(&id)?;
            if job.is_finished() {
                return Some(job.state);
            }
            versions.changed().await.ok()?;
        }
    }

    /// Changes how long a job is remembered.
    pub(super) fn modify_job(&self, id: JobId, changes: Vec<Property>) -> Result<(), CimError> {
        let (mut by_itself, mut time) = (None, None);
        take(
            changes,
            &mut [
                ("DeleteOnCompletion", &mut by_itself),
                ("TimeBeforeRemoval", &mut time),
            ],
        )?;
        let snapshot = self.array.snapshot();
        let job = snapshot.job(&id);
        let job = job.ok_or_else(|| CimError::not_found("the job is gone"))?;
        let mut retention = job.retention;
        if let Some(by_itself) = by_itself.and_then(flag) {
            retention.by_itself = by_itself;
        }
        if let Some(time) = time {
            retention.time = length(&time).ok_or_else(|| {
                Error::invalid("TimeBeforeRemoval is a length of time; give an interval")
            })?;
        }
        Ok(self.array.retain(id, retention)?)
    }
}

fn length(value: &Value) -> Option<Duration> {
    match value {
        Value::DateTime(time) => time.length(),
        _ => None,
    }
}
