//! The storage configuration service: which call is handled where, and what all of them share.

use super::{Gateway, Ran};
use crate::array::{Error, JobId, Kind};
use crate::broker::Invocation;
use crate::cim::CimError;
use crate::identity::Identity;
use crate::schema::Outcome;
use crate::schema::method::CIM_StorageConfigurationService as Service;
use crate::smis::view::View;

/// The work is done.
pub(super) const DONE: u32 = 0;
/// That is not done here.
pub(super) const NOT_SUPPORTED: u32 = 1;
/// Something that needs it is in the way.
pub(super) const IN_USE: u32 = 6;
/// A job was started.
const JOB_STARTED: u32 = 4096;
/// No such size; the size that would do is returned.
pub(super) const SIZE_NOT_SUPPORTED: u32 = 4097;

impl Ran {
    /// The return code of a method that may start a job, and the job.
    pub(super) fn code(&self) -> (u32, JobId) {
        match self {
            Self::Done(_, job) => (DONE, *job),
            Self::Started(job) => (JOB_STARTED, *job),
        }
    }
}

/// The answer of a method that tells nothing but its job.
macro_rules! job_outcome {
    ($gateway:expr, $method:ident, $ran:expr) => {{
        let (code, job) = $ran.code();
        let path = $gateway.path($crate::smis::element::Element::Job(job));
        Ok($crate::schema::Outputs::new($method)
            .set($method::Job, path)
            .returns(code))
    }};
}

pub(super) use job_outcome;

/// The size that would do, where that is why something was refused. Where none would, the sentence
/// is all that there is to say.
pub(super) fn possible(error: &Error) -> Option<u64> {
    match error.kind {
        Kind::NoSpace | Kind::SizeNotSupported => error.largest.filter(|size| *size > 0),
        _ => None,
    }
}

/// A parameter that a method cannot do without.
pub(super) fn needed<T>(value: Option<T>, sentence: &str) -> Result<T, CimError> {
    value.ok_or_else(|| CimError::invalid_parameter(sentence))
}

impl Gateway {
    pub(super) async fn invoke_storage(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(Service::CreateOrModifyElementFromStoragePool) {
            return self.create_or_modify_volume(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(Service::CreateElementsFromStoragePools) {
            return self.create_volumes(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(Service::ReturnToStoragePool) {
            return self.return_volume(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(Service::ReturnElementsToStoragePool) {
            return self.return_volumes(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(Service::CreateReplica) {
            return self.create_older_replica(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(Service::ModifySynchronization) {
            return self.modify_older_replica(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(Service::CreateOrModifyStoragePool) {
            return self.create_or_modify_pool(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(Service::DeleteStoragePool) {
            return self.delete_pool(who, call, &arguments).await;
        }
        Err(call.not_available())
    }
}
