//! Job Control: jobs as instances (SMI-S 1.6.1 common profiles book, Job Control).

use std::sync::Arc;

use crate::array::{self, Area, Job, JobId, JobState};
use crate::cim::{DateTime, Instance, Keys};
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::view::View;
use super::{calls, outcome};

const JOB: &str = "Standpipe:Job:";
const RESULT: &str = "Standpipe:MethodResult:";

pub(super) fn list(view: &View) -> Vec<Element> {
    view.inventory
        .jobs()
        .map(|job| Element::Job(job.id))
        .collect()
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let id = JobId::parse(keys.text("InstanceID")?.strip_prefix(JOB)?)?;
    view.inventory.job(&id).map(|_| Element::Job(id))
}

pub(super) fn path_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_ConcreteJob>,
) -> PathBuilder<class::Standpipe_ConcreteJob> {
    let Element::Job(id) = element else {
        return path;
    };
    path.key(
        class::Standpipe_ConcreteJob::InstanceID,
        format!("{JOB}{id}"),
    )
}

pub(super) fn job<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<Job>> {
    match element {
        Element::Job(id) => view.inventory.job(id),
        _ => None,
    }
}

/// `JobState`, `OperationalStatus`, and the state for people. 2 OK, 6 Error, 10 Stopped,
/// 15 Dormant, 17 Completed: clients believe success only when state and status say it.
fn states(job: &Job) -> (u16, &'static [u16], &'static str) {
    match job.state {
        JobState::Running if job.is_stopping() => (4, &[2], "Running; it is to stop"),
        JobState::Running => (4, &[2], "Running"),
        JobState::Suspended => (5, &[15], "Suspended"),
        JobState::Completed => (7, &[17, 2], "Completed"),
        JobState::Cancelled => (8, &[10], "Stopped on request"),
        JobState::Killed => (9, &[10], "Stopped on request"),
        JobState::Failed => (10, &[17, 6], "Failed"),
    }
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_ConcreteJob>,
) -> Builder<class::Standpipe_ConcreteJob> {
    use class::Standpipe_ConcreteJob as P;
    let Some(job) = job(view, element) else {
        return out;
    };
    let (state, status, words) = states(job);
    let error = job.error.as_ref();
    let out = out
        .set(P::Name, job.title.as_str())
        .set(P::ElementName, job.title.as_str())
        .set(P::JobState, state)
        .set(P::OperationalStatus, status.to_vec())
        .set(P::HealthState, if error.is_some() { 10u16 } else { 5 })
        .set(P::PercentComplete, u16::from(job.percent()))
        .set_with(P::JobStatus, || match &job.note {
            Some(note) => format!("{words}; {note}"),
            None => words.to_owned(),
        })
        .set_with(P::ElapsedTime, || DateTime::interval(job.elapsed()))
        .set_some(P::RemainingTime, job.remaining().map(DateTime::interval))
        .set(P::DeleteOnCompletion, job.retention.by_itself)
        .set(P::TimeBeforeRemoval, DateTime::interval(job.retention.time))
        .set(P::TimeSubmitted, DateTime::utc(job.submitted))
        .set(P::StartTime, DateTime::utc(job.started()))
        .set(P::TimeOfLastStateChange, DateTime::utc(job.changed))
        .set(P::LocalOrUtcTime, 2u16)
        .set(P::Owner, job.owner.as_str())
        .set(P::JobRunTimes, 1u32)
        // 2 Do Not Continue: what a failed job did is taken back.
        .set(P::RecoveryAction, 2u16)
        .set(
            P::ErrorCode,
            error.map_or(0, |(kind, _)| outcome::error_code(*kind)),
        );
    match error {
        Some((_, message)) => out.set(P::ErrorDescription, message.as_str()),
        None => out.null(P::ErrorDescription),
    }
}

/// Why a job failed, as clients get it from `GetError`.
pub(super) fn error(view: &View, job: &Job) -> Option<Instance> {
    use class::CIM_Error as P;
    let (kind, message) = job.error.as_ref()?;
    let status = outcome::status(*kind);
    let cause = outcome::cause(*kind);
    let source = crate::broker::Snapshot::path(view, &Element::Job(job.id));
    let built = Builder::new(class::CIM_Error)
        .set(P::OwningEntity, "Standpipe")
        .set(P::MessageID, outcome::message_id(*kind))
        .set(P::Message, message.as_str())
        .set(P::ErrorType, cause.error_type)
        .set(P::ProbableCause, cause.probable)
        .set(P::PerceivedSeverity, cause.severity)
        .set(P::ErrorSource, source.to_string())
        // 2 CIMObjectPath.
        .set(P::ErrorSourceFormat, 2u16)
        .set(P::CIMStatusCode, status.code())
        .set(P::CIMStatusCodeDescription, outcome::status_name(status));
    Some(built.build())
}

/// The service that a job belongs to.
pub(super) fn owner(view: &View, element: &Element) -> Vec<Element> {
    match job(view, element).map(|job| job.area) {
        Some(Area::Storage) => vec![Element::StorageService],
        Some(Area::Repair) => vec![Element::SparingService],
        Some(Area::Relocation) => vec![Element::RelocationService],
        Some(Area::Replication) => vec![Element::ReplicationService],
        Some(Area::Initiators) => vec![Element::HardwareIdService],
        Some(Area::Masking) => vec![Element::MaskingService],
        Some(Area::Targets) => vec![Element::IscsiService],
        None => Vec::new(),
    }
}

/// The jobs of a service.
pub(super) fn owned(view: &View, element: &Element) -> Vec<Element> {
    let area = match element {
        Element::StorageService => Area::Storage,
        Element::SparingService => Area::Repair,
        Element::RelocationService => Area::Relocation,
        Element::ReplicationService => Area::Replication,
        Element::HardwareIdService => Area::Initiators,
        Element::MaskingService => Area::Masking,
        Element::IscsiService => Area::Targets,
        _ => return Vec::new(),
    };
    let jobs = view.inventory.jobs().filter(|job| job.area == area);
    jobs.map(|job| Element::Job(job.id)).collect()
}

/// What a job changes, or made or changed, as long as it is there.
pub(super) fn affected(view: &View, element: &Element) -> Vec<Element> {
    let Some(job) = job(view, element) else {
        return Vec::new();
    };
    job.affected
        .iter()
        .filter_map(|affected| shown(view, affected))
        .collect()
}

fn shown(view: &View, affected: &array::Element) -> Option<Element> {
    match affected {
        array::Element::Pool(id) => {
            super::pools::shown(view, id).map(|_| Element::Pool(id.clone()))
        }
        array::Element::Volume(id) => {
            super::volumes::volume(view, id).map(|_| Element::Volume(id.clone()))
        }
        array::Element::Setting(id) => {
            let setting = view.inventory.setting(id);
            setting.map(|_| Element::ClientSetting(*id))
        }
        array::Element::ReplicationGroup(id) => {
            let group = view.inventory.replication_group(id);
            group.map(|_| Element::ReplicationGroup(*id))
        }
        array::Element::Target(iqn) => {
            let target = view.inventory.target(iqn);
            target.map(|_| Element::Node(iqn.clone()))
        }
        array::Element::Port(id) => {
            let port = view.inventory.port(id);
            port.map(|_| Element::Endpoint(id.clone()))
        }
        array::Element::Initiator(name) => view
            .inventory
            .initiator(name)
            .map(|i| Element::Initiator(i.name.clone())),
        array::Element::Group(id) => view
            .inventory
            .group(id)
            .map(|group| Element::Group(group.members.kind(), *id)),
        array::Element::View(id) => view.inventory.view(id).map(|_| Element::View(*id)),
    }
}

/// The jobs that made or changed an element.
pub(super) fn affecting(view: &View, element: &Element) -> Vec<Element> {
    let affected = match element {
        Element::Pool(id) => array::Element::Pool(id.clone()),
        Element::Volume(id) => array::Element::Volume(id.clone()),
        Element::ClientSetting(id) => array::Element::Setting(*id),
        Element::ReplicationGroup(id) => array::Element::ReplicationGroup(*id),
        Element::Node(iqn) => array::Element::Target(iqn.clone()),
        Element::Endpoint(id) => array::Element::Port(id.clone()),
        Element::Initiator(name) => array::Element::Initiator(name.clone()),
        Element::Group(_, id) => array::Element::Group(*id),
        Element::View(id) => array::Element::View(*id),
        _ => return Vec::new(),
    };
    view.inventory
        .jobs_of(&affected)
        .map(|job| Element::Job(job.id))
        .collect()
}

/// What a job does to an element: 2 Exclusive Use, 5 Create.
pub(super) fn effects(view: &View, element: &Element) -> Vec<u16> {
    match job(view, element) {
        Some(job) if job.creates => vec![5],
        _ => vec![2],
    }
}

/// The calls that jobs came from.
pub(super) fn list_results(view: &View) -> Vec<Element> {
    let jobs = view.inventory.jobs().filter(|job| job.call.is_some());
    jobs.map(|job| Element::MethodResult(job.id)).collect()
}

pub(super) fn find_result(view: &View, keys: &Keys) -> Option<Element> {
    let id = JobId::parse(keys.text("InstanceID")?.strip_prefix(RESULT)?)?;
    result_of(view, &Element::Job(id)).pop()
}

pub(super) fn result_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_MethodResult>,
) -> PathBuilder<class::Standpipe_MethodResult> {
    let Element::MethodResult(id) = element else {
        return path;
    };
    path.key(
        class::Standpipe_MethodResult::InstanceID,
        format!("{RESULT}{id}"),
    )
}

pub(super) fn fill_result(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_MethodResult>,
) -> Builder<class::Standpipe_MethodResult> {
    use class::Standpipe_MethodResult as P;
    let Element::MethodResult(id) = element else {
        return out;
    };
    let Some((job, call)) = view
        .inventory
        .job(id)
        .and_then(|job| Some((job, job.call.as_ref()?)))
    else {
        return out;
    };
    let out = out.set_with(P::ElementName, || format!("Call of: {}", job.title));
    let out = match out.wants(P::PreCallIndication) {
        true => out.set_some(P::PreCallIndication, calls::before(call)),
        false => out,
    };
    if !out.wants(P::PostCallIndication) {
        return out;
    }
    match calls::after(call) {
        Some(after) => out.set(P::PostCallIndication, after),
        None => out.null(P::PostCallIndication),
    }
}

/// The call that a job came from.
pub(super) fn result_of(view: &View, element: &Element) -> Vec<Element> {
    let job = job(view, element).filter(|job| job.call.is_some());
    job.map(|job| Element::MethodResult(job.id))
        .into_iter()
        .collect()
}

/// The job that came from a call.
pub(super) fn job_of(_view: &View, element: &Element) -> Vec<Element> {
    match element {
        Element::MethodResult(id) => vec![Element::Job(*id)],
        _ => Vec::new(),
    }
}
