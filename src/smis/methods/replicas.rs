//! The methods that make replicas, and that say where they could be.

use super::settings::goal;
use super::storage::{DONE, needed};
use super::volumes::{made, pool_for_volumes, volume};
use super::wishes::Wishes;
use super::{Gateway, Ran};
use crate::array::{Command, Copying, JobId, PoolId, Quality, Volume, VolumeId};
use crate::broker::{Invocation, Snapshot as _};
use crate::cim::{CimError, Instance, ObjectPath};
use crate::identity::Identity;
use crate::schema::method::CIM_ReplicationService::{
    CreateElementReplica, CreateListReplica, GetAvailableTargetElements,
};
use crate::schema::method::CIM_StorageConfigurationService::CreateReplica;
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::replication::Offer;
use crate::smis::view::View;
use crate::smis::{replicas, volumes};

/// What a call asks for that makes replicas.
pub(super) struct Order {
    pub(super) offer: &'static Offer,
    /// The parameter that names what is replicated.
    pub(super) parameter: &'static str,
    pub(super) sources: Vec<Element>,
    pub(super) names: Vec<String>,
    pub(super) pool: Option<Element>,
    pub(super) goal: Option<Element>,
    pub(super) settings: Option<Instance>,
}

/// What is refused of the arguments that all creating methods have: other systems, other states
/// than the one that a replica is made in, and collections.
macro_rules! refuse_the_rest {
    ($arguments:expr, $method:ident) => {{
        let given = [
            (
                "SourceAccessPoint",
                $arguments.of($method::SourceAccessPoint).is_some(),
            ),
            (
                "TargetAccessPoint",
                $arguments.of($method::TargetAccessPoint).is_some(),
            ),
            (
                "ConnectivityCollection",
                $arguments.of($method::ConnectivityCollection).is_some(),
            ),
        ];
        $crate::smis::methods::replicas::check_local(&given)?;
        let collections = $arguments.of($method::Collections);
        if collections.is_some_and(|collections| !collections.is_empty()) {
            return Err($crate::cim::CimError::not_supported(
                "replicas join no collections when they are made; leave Collections out, and add \
                 them afterwards",
            ));
        }
        $crate::smis::methods::replicas::check_wait(
            $arguments.of($method::WaitForCopyState),
            $crate::smis::replication::SYNCHRONIZED,
        )?;
    }};
}

pub(super) use refuse_the_rest;

/// Refuses parameters that are only of use for another system.
pub(super) fn check_local(given: &[(&str, bool)]) -> Result<(), CimError> {
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((name, _)) => Err(CimError::not_supported(format!(
            "replicas are made on this system and on no other; leave {name} out"
        ))),
    }
}

/// Refuses to wait for another state than the one that is reached.
pub(super) fn check_wait(wish: Option<u16>, reached: u16) -> Result<(), CimError> {
    match wish {
        Some(wish) if wish != reached => Err(CimError::invalid_parameter(format!(
            "WaitForCopyState {wish} is not reached by that; wait for {reached}, or leave it out"
        ))),
        _ => Ok(()),
    }
}

/// The offer that `SyncType` and `Mode` mean.
pub(super) fn offer(sync_type: u16, mode: Option<u16>) -> Result<&'static Offer, CimError> {
    Offer::with(sync_type, mode).ok_or_else(|| {
        CimError::not_supported(match mode {
            Some(mode) if Offer::with(sync_type, None).is_some() => {
                format!("Mode {mode} is not offered; leave it out, or ask for 3 (Asynchronous)")
            }
            _ => format!("SyncType {sync_type} is not offered; ask for 7 (Snapshot) or 8 (Clone)"),
        })
    })
}

impl Order {
    /// The command that it means.
    pub(super) fn command(self, view: &View) -> Result<Command, CimError> {
        let Self { offer, goal, .. } = self;
        let sources = self.sources.into_iter();
        let sources: Vec<VolumeId> = sources
            .map(|source| volume(Some(source), self.parameter))
            .collect::<Result<_, _>>()?;
        let pool = wished_pool(self.pool)?;
        let wishes = Wishes::of(offer, self.settings)?;
        check_wishes(view, offer, &wishes, &sources, pool.as_ref())?;
        let (quality, room) = wished_quality(view, offer.kind, &wishes, &sources, goal)?;
        Ok(Command::CreateReplicas {
            kind: offer.kind,
            sources,
            names: self.names,
            pool,
            quality,
            room,
        })
    }
}

/// The pool that `TargetPool` names.
pub(super) fn wished_pool(pool: Option<Element>) -> Result<Option<PoolId>, CimError> {
    let pool = pool.as_ref();
    pool.map(|pool| pool_for_volumes(pool, "TargetPool"))
        .transpose()
}

/// What replicas are to be like, and the room for what changes that they are to have.
pub(super) fn wished_quality(
    view: &View,
    kind: Copying,
    wishes: &Wishes,
    sources: &[VolumeId],
    goal: Option<Element>,
) -> Result<(Option<Quality>, Option<u8>), CimError> {
    let wish = goal.map(|element| super::settings::goal(view, Some(element)));
    let wish = wish.transpose()?;
    let mut shown = sources.iter().filter_map(|id| volumes::volume(view, id));
    let quality = match (kind, wish) {
        (Copying::Snapshot, Some(wish)) => {
            let layout = wish.quality.layout()?;
            match shown.find(|source| source.layout != layout) {
                None => None,
                Some(source) => return Err(lies_otherwise(source)),
            }
        }
        (Copying::Snapshot, None) => None,
        (Copying::Clone, Some(wish)) => Some(wish.quality),
        (Copying::Clone, None) => shown.next().and_then(|source| wishes.quality(source)),
    };
    Ok((quality, wish.and_then(|wish| wish.room)))
}

fn lies_otherwise(source: &Volume) -> CimError {
    CimError::not_supported(format!(
        "a snapshot lies as its source does, and volume '{}' is {}; leave TargetSettingGoal out, or \
         ask for a clone",
        source.name,
        source.layout.name()
    ))
}

/// Refuses wishes that do not come true for one of the sources; those that are not there any more
/// are left to the planner.
pub(super) fn check_wishes(
    view: &View,
    offer: &Offer,
    wishes: &Wishes,
    sources: &[VolumeId],
    target: Option<&PoolId>,
) -> Result<(), CimError> {
    for id in sources {
        let Some(source) = volumes::volume(view, id) else {
            continue;
        };
        let from = volumes::pool(view, source);
        let to = match target {
            Some(id) => view.inventory.pool(id),
            None => from,
        };
        if let (Some(from), Some(to)) = (from, to) {
            wishes.check(offer, source, from, to)?;
        }
    }
    Ok(())
}

/// What came of an order.
pub(super) struct Delivery {
    pub(super) code: u32,
    pub(super) job: JobId,
    /// The replicas and their relations, if they are made.
    pub(super) made: Option<(Vec<ObjectPath>, Vec<ObjectPath>)>,
}

impl Gateway {
    /// Carries out an order.
    pub(super) async fn deliver(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        order: Order,
    ) -> Result<Delivery, CimError> {
        let command = order.command(&call.snapshot)?;
        let ran: Ran = self.run(who, command).await?;
        let (code, job) = ran.code();
        let made = made(ran).map(|ids| {
            let view = self.view();
            let relations = ids.iter().filter_map(|id| replicas::pair(&view, id));
            let relations = relations.map(|pair| pair.path(&view)).collect();
            let ids = ids.into_iter();
            let paths = ids.map(|id| view.path(&Element::Volume(id))).collect();
            (paths, relations)
        });
        Ok(Delivery { code, job, made })
    }

    pub(super) async fn create_replica(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<CreateElementReplica>,
    ) -> Result<Outcome, CimError> {
        use CreateElementReplica as M;
        refuse_the_rest!(arguments, M);
        check_no_target(arguments.of(M::TargetElement).is_some())?;
        let order = Order {
            offer: offer(arguments.need(M::SyncType)?, arguments.of(M::Mode))?,
            parameter: "SourceElement",
            sources: call
                .element(arguments, M::SourceElement)?
                .into_iter()
                .collect(),
            names: name(arguments.of(M::ElementName)),
            pool: call.element(arguments, M::TargetPool)?,
            goal: call.element(arguments, M::TargetSettingGoal)?,
            settings: arguments.of(M::ReplicationSettingData),
        };
        let delivery = self.deliver(who, call, order).await?;
        let outputs = Outputs::new(M).set(M::Job, self.job_path(delivery.job));
        let outputs = match delivery.made {
            Some((targets, relations)) => outputs
                .set(M::TargetElement, one(targets)?)
                .set(M::Synchronization, one(relations)?),
            None => outputs,
        };
        Ok(outputs.returns(delivery.code))
    }

    pub(super) async fn create_replicas(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<CreateListReplica>,
    ) -> Result<Outcome, CimError> {
        use CreateListReplica as M;
        refuse_the_rest!(arguments, M);
        let targets = arguments.of(M::TargetElements);
        check_no_target(targets.is_some_and(|targets| !targets.is_empty()))?;
        check_consistency(arguments.of(M::Consistency))?;
        let names = arguments.of(M::ElementNames).unwrap_or_default();
        let order = Order {
            offer: offer(arguments.need(M::SyncType)?, arguments.of(M::Mode))?,
            parameter: "SourceElements",
            sources: needed(
                call.elements(arguments, M::SourceElements)?,
                "SourceElements is needed; name the volumes that are to be replicated",
            )?,
            names: names.iter().map(ToString::to_string).collect(),
            pool: call.element(arguments, M::TargetPool)?,
            goal: call.element(arguments, M::TargetSettingGoal)?,
            settings: arguments.of(M::ReplicationSettingData),
        };
        let delivery = self.deliver(who, call, order).await?;
        let outputs = Outputs::new(M).set(M::Job, self.job_path(delivery.job));
        let outputs = match delivery.made {
            Some((targets, relations)) => outputs
                .set(M::TargetElements, targets)
                .set(M::Synchronizations, relations),
            None => outputs,
        };
        Ok(outputs.returns(delivery.code))
    }

    /// Copy Services: an unsynchronised copy that stays associated is a snapshot.
    pub(super) async fn create_older_replica(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<CreateReplica>,
    ) -> Result<Outcome, CimError> {
        use CreateReplica as M;
        // 4 UnSyncAssoc.
        const ASSOCIATED: u16 = 4;
        match arguments.of(M::CopyType) {
            Some(ASSOCIATED) => {}
            other => {
                return Err(CimError::not_supported(format!(
                    "CopyType {} is not offered; ask for 4 (UnSyncAssoc), a snapshot, or use \
                     CreateElementReplica of the replication service",
                    other.map_or_else(|| "NULL".to_owned(), |other| other.to_string())
                )));
            }
        }
        let order = Order {
            offer: offer(SNAPSHOT, None)?,
            parameter: "SourceElement",
            sources: call
                .element(arguments, M::SourceElement)?
                .into_iter()
                .collect(),
            names: name(arguments.of(M::ElementName)),
            pool: call.element(arguments, M::TargetPool)?,
            goal: call.element(arguments, M::TargetSettingGoal)?,
            settings: None,
        };
        let delivery = self.deliver(who, call, order).await?;
        let outputs = Outputs::new(M).set(M::Job, self.job_path(delivery.job));
        let outputs = match delivery.made {
            Some((targets, _)) => outputs.set(M::TargetElement, one(targets)?),
            None => outputs,
        };
        Ok(outputs.returns(delivery.code))
    }
}

/// `SyncType` of a snapshot.
const SNAPSHOT: u16 = 7;

/// A name as the only one of a list.
fn name(name: Option<crate::cim::Text>) -> Vec<String> {
    name.map(|name| name.to_string()).into_iter().collect()
}

fn one(paths: Vec<ObjectPath>) -> Result<ObjectPath, CimError> {
    let first = paths.into_iter().next();
    first.ok_or_else(|| CimError::failed("the replica is gone already"))
}

/// Refuses a volume that is there already as the replica.
pub(super) fn check_no_target(given: bool) -> Result<(), CimError> {
    match given {
        false => Ok(()),
        true => Err(CimError::not_supported(
            "a volume that is there already is not made a replica; leave the target out, and a new \
             volume is made",
        )),
    }
}

/// `Consistency`: 2 No Consistency, 3 Sequential Consistency. All replicas of one call are of one
/// moment in any case.
pub(super) fn check_consistency(wish: Option<u16>) -> Result<(), CimError> {
    match wish {
        None | Some(2 | 3) => Ok(()),
        Some(other) => Err(CimError::invalid_parameter(format!(
            "Consistency {other} means nothing here; 2 is none, 3 is sequential"
        ))),
    }
}

/// The volumes that could become a replica: none, because each replica is a new volume.
pub(super) fn candidates(
    call: &Invocation<View>,
    arguments: &Arguments<GetAvailableTargetElements>,
) -> Result<Outcome, CimError> {
    use GetAvailableTargetElements as M;
    let asked = offer(arguments.need(M::SyncType)?, arguments.of(M::Mode))?;
    check_local(&[(
        "TargetAccessPoint",
        arguments.of(M::TargetAccessPoint).is_some(),
    )])?;
    volume(call.element(arguments, M::SourceElement)?, "SourceElement")?;
    Wishes::of(asked, arguments.of(M::ReplicationSettingData))?;
    let pools = call
        .elements(arguments, M::TargetPools)?
        .unwrap_or_default();
    for pool in &pools {
        pool_for_volumes(pool, "TargetPools")?;
    }
    if let Some(element) = call.element(arguments, M::TargetSettingGoal)? {
        goal(&call.snapshot, Some(element))?;
    }
    Ok(Outputs::new(M)
        .set(M::Candidates, Vec::<ObjectPath>::new())
        .returns(DONE))
}
