//! The methods of jobs.

use super::Gateway;
use crate::array::{JobId, Kind};
use crate::broker::Invocation;
use crate::cim::CimError;
use crate::schema::method::CIM_ConcreteJob::{GetError, GetErrors, RequestStateChange};
use crate::schema::{Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::jobs::{error, job};
use crate::smis::view::View;

const DONE: u32 = 0;
const NOT_SUPPORTED: u32 = 1;
const TRANSITION_STARTED: u32 = 4096;
const INVALID_TRANSITION: u32 = 4097;
const TIMEOUT_NOT_SUPPORTED: u32 = 4098;
/// `RequestedState` values that stop a job: 4 Terminate, 5 Kill.
const STOP: [u16; 2] = [4, 5];

impl Gateway {
    pub(super) fn invoke_job(
        &self,
        call: &Invocation<View>,
        id: JobId,
    ) -> Result<Outcome, CimError> {
        let job = job(&call.snapshot, &Element::Job(id))
            .ok_or_else(|| CimError::not_found("the job is gone"))?;
        if call.of(GetError).is_some() {
            let outputs = Outputs::new(GetError);
            return Ok(match error(job) {
                Some(error) => outputs.set(GetError::Error, error).returns(DONE),
                None => outputs.returns(DONE),
            });
        }
        if call.of(GetErrors).is_some() {
            let errors: Vec<_> = error(job).into_iter().collect();
            return Ok(Outputs::new(GetErrors)
                .set(GetErrors::Errors, errors)
                .returns(DONE));
        }
        let Some(arguments) = call.of(RequestStateChange) else {
            return Err(call.not_available());
        };
        let outputs = Outputs::new(RequestStateChange);
        if arguments.of(RequestStateChange::TimeoutPeriod).is_some() {
            return Ok(outputs.returns(TIMEOUT_NOT_SUPPORTED));
        }
        if !STOP.contains(&arguments.need(RequestStateChange::RequestedState)?) {
            return Ok(outputs.returns(NOT_SUPPORTED));
        }
        match self.array.cancel(id) {
            Ok(()) => Ok(outputs.returns(TRANSITION_STARTED)),
            Err(error) if error.kind == Kind::NotSupported => {
                Ok(outputs.returns(INVALID_TRANSITION))
            }
            Err(error) => Err(error.into()),
        }
    }
}
