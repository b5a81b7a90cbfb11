//! Job Control: jobs as instances (SMI-S 1.6.1 common profiles book, Job Control).

use std::sync::Arc;

use crate::array::{self, Area, JOB_RETENTION, Job, JobId, JobState};
use crate::cim::{DateTime, Instance, Keys};
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::view::View;

const JOB: &str = "Standpipe:Job:";

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

/// `JobState` (4 Running, 7 Completed, 10 Exception, 8 Terminated) and `OperationalStatus`:
/// clients believe success only when both say it.
fn states(job: &Job) -> (u16, Vec<u16>) {
    match job.state {
        JobState::Running => (4, vec![2]),
        JobState::Completed => (7, vec![17, 2]),
        JobState::Failed => (10, vec![17, 6]),
        JobState::Cancelled => (8, vec![10]),
    }
}

fn status_text(job: &Job) -> String {
    let state = match job.state {
        JobState::Running => "Running",
        JobState::Completed => "Completed",
        JobState::Failed => "Failed",
        JobState::Cancelled => "Stopped on request",
    };
    match &job.note {
        Some(note) => format!("{state}; {note}"),
        None => state.to_owned(),
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
    let (state, status) = states(job);
    let error = job.error.as_ref();
    let out = out
        .set(P::Name, job.title.as_str())
        .set(P::ElementName, job.title.as_str())
        .set(P::JobState, state)
        .set(P::OperationalStatus, status)
        .set(P::HealthState, if error.is_some() { 10u16 } else { 5 })
        .set(P::PercentComplete, u16::from(job.percent()))
        .set_with(P::JobStatus, || status_text(job))
        .set_with(P::ElapsedTime, || DateTime::interval(job.elapsed()))
        .set(P::DeleteOnCompletion, true)
        .set(P::TimeBeforeRemoval, DateTime::interval(JOB_RETENTION))
        .set(P::TimeSubmitted, DateTime::utc(job.submitted))
        .set(P::StartTime, DateTime::utc(job.submitted))
        .set(P::TimeOfLastStateChange, DateTime::utc(job.changed))
        .set(P::LocalOrUtcTime, 2u16)
        .set(P::Owner, job.owner.as_str())
        .set(P::JobRunTimes, 1u32)
        .set(P::ErrorCode, if error.is_some() { 4u16 } else { 0 });
    match error {
        Some((_, message)) => out.set(P::ErrorDescription, message.as_str()),
        None => out.null(P::ErrorDescription),
    }
}

/// Why a job failed, as clients get it from `GetError`.
pub(super) fn error(job: &Job) -> Option<Instance> {
    use class::CIM_Error as P;
    let (kind, message) = job.error.as_ref()?;
    let status = super::outcome::status(*kind);
    let built = Builder::new(class::CIM_Error)
        // 4 Software Error, 2 CIM_ERR of this program's own words.
        .set(P::ErrorType, 4u16)
        .set(P::OwningEntity, "Standpipe")
        .set(P::MessageID, format!("SP{}", status.code()))
        .set(P::Message, message.as_str())
        .set(P::PerceivedSeverity, 6u16)
        .set(P::ProbableCause, 0u16)
        .set(P::CIMStatusCode, status.code())
        .set(P::CIMStatusCodeDescription, message.as_str());
    Some(built.build())
}

/// The service that a job belongs to.
pub(super) fn owner(view: &View, element: &Element) -> Vec<Element> {
    match job(view, element).map(|job| job.area) {
        Some(Area::Storage) => vec![Element::StorageService],
        Some(Area::Masking) => vec![Element::MaskingService],
        Some(Area::Targets) => vec![Element::IscsiService],
        None => Vec::new(),
    }
}

/// The jobs of a service.
pub(super) fn owned(view: &View, element: &Element) -> Vec<Element> {
    let area = match element {
        Element::StorageService => Area::Storage,
        Element::MaskingService => Area::Masking,
        Element::IscsiService => Area::Targets,
        _ => return Vec::new(),
    };
    let jobs = view.inventory.jobs().filter(|job| job.area == area);
    jobs.map(|job| Element::Job(job.id)).collect()
}

/// What a job made or changed, as long as it is there.
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
