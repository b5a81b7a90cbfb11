//! From CIM method calls to commands of the array, and back to return codes and outputs.
//!
//! A refusal reaches the client as a CIM error with its sentence; a bare return code stands only
//! where the schema lists one that carries meaning.

mod jobs;
mod masking;
mod pairs;
mod paths;
mod pools;
mod relocation;
mod replicas;
mod replication;
mod replication_groups;
mod settings;
mod sizes;
mod storage;
mod targets;
mod volumes;
mod wishes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::array::{Array, Call, Command, Effect, Error, JobId, Ticket, Waited};
use crate::broker::{Invocation, Model, Subject, Target};
use crate::cim::{CimError, ObjectPath, Property, Value};
use crate::identity::Identity;
use crate::schema::{MethodDecl, Outcome};

use super::calls;
use super::element::Element;
use super::view::{Server, View};

/// The longest that a masking, initiator or iSCSI method may take: in those, return code 4096 does
/// not mean that a job was started.
const MASKING_PATIENCE: Duration = Duration::from_secs(20);

/// The array as SMI-S clients meet it.
#[derive(Clone)]
pub struct Gateway {
    array: Array,
    server: Arc<Server>,
    patience: Duration,
    /// The method call that is being answered; its commands are its jobs.
    answering: Option<Arc<Answering>>,
}

/// A method call, and the jobs that came from it so far.
struct Answering {
    call: Call,
    jobs: Mutex<Vec<JobId>>,
}

/// What a command came to within the time that its method may take.
enum Ran {
    Done(Effect, JobId),
    Started(JobId),
}

impl Gateway {
    /// Shows `array` as the server that `server` describes. A method that may start a job waits
    /// for its end no longer than `patience`.
    pub fn new(array: Array, server: Server, patience: Duration) -> Self {
        Self {
            array,
            server: server.into(),
            patience,
            answering: None,
        }
    }

    fn view(&self) -> View {
        View {
            inventory: self.array.snapshot(),
            server: Arc::clone(&self.server),
        }
    }

    fn path(&self, element: Element) -> ObjectPath {
        crate::broker::Snapshot::path(&self.view(), &element)
    }

    /// The same for one method call.
    fn answering(&self, call: &Invocation<View>) -> Self {
        let answering = calls::asked(call).map(|call| Answering {
            call,
            jobs: Mutex::default(),
        });
        Self {
            answering: answering.map(Arc::new),
            ..self.clone()
        }
    }

    /// Hands in a command, with the call that it comes from.
    fn submit(&self, who: &Identity, command: Command) -> Result<Ticket, Error> {
        let Some(answering) = &self.answering else {
            return self.array.submit(who, command);
        };
        let call = Some(answering.call.clone());
        let ticket = self.array.submit_for(who, command, call)?;
        answering.jobs().push(ticket.job());
        Ok(ticket)
    }

    /// Runs a command that may go on as a job.
    async fn run(&self, who: &Identity, command: Command) -> Result<Ran, Error> {
        let ticket = self.submit(who, command)?;
        match ticket.wait(self.patience).await {
            Waited::Done(effect, job) => Ok(Ran::Done(effect, job)),
            Waited::Failed(error, _) => Err(error),
            Waited::Running(job) => Ok(Ran::Started(job)),
        }
    }

    /// Runs a command to its end; a refusal reaches the client as a CIM error.
    async fn finish(&self, who: &Identity, command: Command) -> Result<(Effect, JobId), CimError> {
        Ok(self.complete(who, command).await?)
    }

    /// Runs a command to its end.
    async fn complete(&self, who: &Identity, command: Command) -> Result<(Effect, JobId), Error> {
        let ticket = self.submit(who, command)?;
        match ticket.wait(MASKING_PATIENCE).await {
            Waited::Done(effect, job) => Ok((effect, job)),
            Waited::Failed(error, _) => Err(error),
            Waited::Running(job) => Err(Error::timeout(format!(
                "the change did not end within {} s and goes on as job {job}; look at that job",
                MASKING_PATIENCE.as_secs()
            ))),
        }
    }

    /// Finds the method.
    async fn dispatch(&self, who: &Identity, call: &Invocation<View>) -> Result<Outcome, CimError> {
        match target_element(call)? {
            Element::StorageService => self.invoke_storage(who, call).await,
            Element::ReplicationService => self.invoke_replication(who, call).await,
            Element::ReplicationCapabilities => replication::invoke(call),
            Element::SparingService => self.invoke_sparing(who, call).await,
            Element::RelocationService => self.invoke_relocation(who, call).await,
            pool @ (Element::Pool(_) | Element::PrimordialPool) => sizes::invoke(call, pool),
            Element::StorageCapabilities(scope) => self.invoke_capabilities(who, call, scope).await,
            Element::ConfigurationCapabilities(_) => settings::invoke_names(call),
            Element::MaskingService => self.invoke_masking(who, call).await,
            Element::HardwareIdService => self.invoke_initiators(who, call).await,
            Element::IscsiService => self.invoke_targets(who, call).await,
            Element::Job(id) => self.invoke_job(call, *id).await,
            _ => Err(call.not_available()),
        }
    }

    /// Keeps an answer with the jobs of the call.
    fn keep_answer(&self, outcome: &Outcome) {
        let Some(answering) = &self.answering else {
            return;
        };
        let jobs = std::mem::take(&mut *answering.jobs());
        if !jobs.is_empty()
            && let Some(answer) = calls::answered(outcome)
        {
            jobs.iter()
                .for_each(|job| self.array.answered(*job, &answer));
        }
    }

    /// The path of what a command made or changed.
    fn effect_path(&self, effect: Effect) -> Option<ObjectPath> {
        let element = match effect {
            Effect::Pool(id) => Element::Pool(id),
            Effect::Volumes(ids) => Element::Volume(ids.into_iter().next()?),
            Effect::Setting(id) => Element::ClientSetting(id),
            Effect::Target(iqn) => Element::Node(iqn),
            Effect::Port(id) => Element::Endpoint(id),
            Effect::Initiator(name) => Element::Initiator(name),
            Effect::Group(id, kind) => Element::Group(kind, id),
            Effect::View(id) => Element::View(id),
            Effect::ReplicationGroup(id) => Element::ReplicationGroup(id),
            Effect::Gone => return None,
        };
        Some(self.path(element))
    }
}

impl Answering {
    fn jobs(&self) -> MutexGuard<'_, Vec<JobId>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a method of that name belongs to what the element can do.
fn target_element(call: &Invocation<View>) -> Result<&Element, CimError> {
    match &call.target {
        Target::Instance(Subject::Element(element)) => Ok(element),
        _ => Err(call.not_available()),
    }
}

impl Model for Gateway {
    type Snapshot = View;

    fn snapshot(&self) -> View {
        self.view()
    }

    fn reads_only(&self, method: &'static MethodDecl) -> bool {
        // Making goal settings makes nothing: it only tells what could be had.
        ["Get", "Convert", "CreateGoalSettings"]
            .iter()
            .any(|beginning| method.name.starts_with(beginning))
    }

    async fn invoke(&self, who: &Identity, call: Invocation<View>) -> Result<Outcome, CimError> {
        if self.reads_only(call.method) {
            return self.dispatch(who, &call).await;
        }
        let gateway = self.answering(&call);
        let outcome = gateway.dispatch(who, &call).await?;
        gateway.keep_answer(&outcome);
        Ok(outcome)
    }

    async fn modify(
        &self,
        who: &Identity,
        subject: Subject<View>,
        changes: Vec<Property>,
    ) -> Result<(), CimError> {
        let command = match subject.element() {
            Some(Element::Job(id)) => return self.modify_job(*id, changes),
            Some(Element::Volume(id)) => {
                let mut name = None;
                take(changes, &mut [("ElementName", &mut name)])?;
                name.and_then(text).map(|name| Command::RenameVolume {
                    volume: id.clone(),
                    name,
                })
            }
            Some(Element::Pool(id)) => {
                let mut name = None;
                take(changes, &mut [("ElementName", &mut name)])?;
                name.and_then(text).map(|name| Command::RenamePool {
                    pool: id.clone(),
                    name,
                })
            }
            Some(Element::ClientSetting(id)) => {
                let inventory = self.array.snapshot();
                let setting = inventory.setting(id);
                let setting = setting.ok_or_else(|| CimError::not_found("the setting is gone"))?;
                Some(Command::PutSetting {
                    setting: settings::modified(setting, changes)?,
                })
            }
            Some(Element::Group(_, id)) => {
                let (mut name, mut empty, mut unassociated) = (None, None, None);
                take(
                    changes,
                    &mut [
                        ("ElementName", &mut name),
                        ("DeleteOnEmpty", &mut empty),
                        ("DeleteWhenBecomesUnassociated", &mut unassociated),
                    ],
                )?;
                Some(Command::ModifyGroup {
                    group: *id,
                    name: name.and_then(text),
                    delete_on_empty: empty.and_then(flag),
                    delete_when_unassociated: unassociated.and_then(flag),
                })
            }
            _ => {
                return Err(CimError::not_supported(format!(
                    "instances of {} cannot be modified",
                    subject.class().name
                )));
            }
        };
        match command {
            Some(command) => self.finish(who, command).await.map(|_| ()),
            None => Ok(()),
        }
    }

    async fn delete(&self, who: &Identity, subject: Subject<View>) -> Result<(), CimError> {
        match subject.element() {
            Some(Element::Job(id)) => Ok(self.array.forget(*id)?),
            Some(Element::ClientSetting(id)) => {
                let command = Command::DeleteSetting { setting: *id };
                self.finish(who, command).await.map(|_| ())
            }
            Some(Element::Initiator(name)) => {
                let command = Command::DeleteInitiator { name: name.clone() };
                self.finish(who, command).await.map(|_| ())
            }
            Some(Element::View(id)) => self.finish(who, paths::removal(*id)).await.map(|_| ()),
            _ => Err(CimError::not_supported(format!(
                "instances of {} are not deleted by this operation; use the service's method",
                subject.class().name
            ))),
        }
    }
}

/// Takes the new values of the properties that can be changed; refuses all others.
fn take(
    changes: Vec<Property>,
    settable: &mut [(&str, &mut Option<Value>)],
) -> Result<(), CimError> {
    for change in changes {
        let place = settable.iter_mut().find(|(name, _)| change.name == *name);
        let (Some((_, place)), Some(value)) = (place, change.value) else {
            return Err(CimError::not_supported(format!(
                "property {} cannot be changed to that",
                change.name
            )));
        };
        **place = Some(value);
    }
    Ok(())
}

fn text(value: Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn flag(value: Value) -> Option<bool> {
    match value {
        Value::Boolean(flag) => Some(flag),
        _ => None,
    }
}
