//! The methods that change and find the relations of replicas to their sources.

use super::Gateway;
use super::replicas::{check_local, check_wait};
use super::storage::{DONE, NOT_SUPPORTED, job_outcome, needed};
use super::wishes::Wishes;
use crate::array::{Command, VolumeId};
use crate::broker::{Invocation, Snapshot as _, Subject};
use crate::cim::{CimError, Instance, ObjectPath};
use crate::identity::Identity;
use crate::schema::method::CIM_ReplicationService::{
    CreateElementReplica, CreateListReplica, GetAvailableTargetElements, GetPeerSystems,
    GetReplicationRelationships, ModifyListSynchronization, ModifyReplicaSynchronization,
};
use crate::schema::method::CIM_StorageConfigurationService::ModifySynchronization;
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::replicas::{self, Pair};
use crate::smis::replication::{Deed, LOCAL, MODE, Offer};
use crate::smis::replication_groups;
use crate::smis::view::View;

impl Gateway {
    /// The replication service: which call is handled where.
    pub(super) async fn invoke_replication(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(CreateElementReplica) {
            return self.create_replica(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(CreateListReplica) {
            return self.create_replicas(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(ModifyReplicaSynchronization) {
            return self.modify_replica(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(ModifyListSynchronization) {
            return self.modify_replicas(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(GetReplicationRelationships) {
            return relationships(call, &arguments);
        }
        if let Some(arguments) = call.of(GetAvailableTargetElements) {
            return super::replicas::candidates(call, &arguments);
        }
        if call.of(GetPeerSystems).is_some() {
            // There is no other system; an empty list says so to clients that ask first.
            let none = Vec::<ObjectPath>::new;
            return Ok(Outputs::new(GetPeerSystems)
                .set(GetPeerSystems::Systems, none())
                .set(GetPeerSystems::LocalAccessPoints, none())
                .set(GetPeerSystems::RemoteAccessPoints, none())
                .returns(DONE));
        }
        self.invoke_replication_groups(who, call).await
    }

    async fn modify_replica(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<ModifyReplicaSynchronization>,
    ) -> Result<Outcome, CimError> {
        use ModifyReplicaSynchronization as M;
        let Some(deed) = Deed::numbered(arguments.need(M::Operation)?) else {
            return Ok(Outputs::new(M).returns(NOT_SUPPORTED));
        };
        let pairs = arguments.of(M::SyncPair);
        check_local(&[("SyncPair", pairs.is_some_and(|pairs| !pairs.is_empty()))])?;
        let path = arguments.need(M::Synchronization)?;
        let replicas = related(call, &path)?;
        let settings = arguments.of(M::ReplicationSettingData);
        check(call, deed, &replicas, settings.as_ref())?;
        check_wait(arguments.of(M::WaitForCopyState), deed.leads_to())?;
        let ran = self.run(who, command(deed, replicas)?).await?;
        job_outcome!(self, M, ran)
    }

    async fn modify_replicas(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<ModifyListSynchronization>,
    ) -> Result<Outcome, CimError> {
        use ModifyListSynchronization as M;
        let Some(deed) = Deed::numbered(arguments.need(M::Operation)?) else {
            return Ok(Outputs::new(M).returns(NOT_SUPPORTED));
        };
        let paths = needed(
            arguments.of(M::Synchronization),
            "Synchronization is needed; name the relations that are to be changed",
        )?;
        let mut named = Vec::new();
        for path in &paths {
            named.extend(related(call, path)?);
        }
        let settings = arguments.of(M::ReplicationSettingData);
        check(call, deed, &named, settings.as_ref())?;
        check_wait(arguments.of(M::WaitForCopyState), deed.leads_to())?;
        let ran = self.run(who, command(deed, named)?).await?;
        job_outcome!(self, M, ran)
    }

    /// Copy Services: the same by other numbers.
    pub(super) async fn modify_older_replica(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<ModifySynchronization>,
    ) -> Result<Outcome, CimError> {
        use ModifySynchronization as M;
        let operation = needed(
            arguments.of(M::Operation),
            "Operation is needed; 2 detaches, 4 resynchronises, 5 restores",
        )?;
        let Some(deed) = Deed::older(operation) else {
            return Ok(Outputs::new(M).returns(NOT_SUPPORTED));
        };
        let path = needed(
            arguments.of(M::Synchronization),
            "Synchronization is needed; name the relation that is to be changed",
        )?;
        let replicas = related(call, &path)?;
        check(call, deed, &replicas, None)?;
        let ran = self.run(who, command(deed, replicas)?).await?;
        job_outcome!(self, M, ran)
    }
}

/// The replica of the relation that a path names, or all those of a replica of a group.
pub(super) fn related(
    call: &Invocation<View>,
    path: &ObjectPath,
) -> Result<Vec<VolumeId>, CimError> {
    let located = call.snapshot.locate(path);
    let located = located.map_err(|error| CimError {
        description: format!("parameter Synchronization: {}", error.description),
        ..error
    })?;
    let replica = match located {
        Subject::Link(link) if RELATIONS.contains(&link.class().name) => {
            let [_, replica] = link.ends;
            replica
        }
        _ => return Err(not_related()),
    };
    match replica {
        Element::Volume(id) => Ok(vec![id]),
        group => {
            replication_groups::replica_members(&call.snapshot, &group).ok_or_else(not_related)
        }
    }
}

/// The classes of relations between what is replicated and its replica.
const RELATIONS: [&str; 2] = ["CIM_StorageSynchronized", "CIM_GroupSynchronized"];

fn not_related() -> CimError {
    CimError::invalid_parameter(
        "Synchronization is not the relation of a volume and its replica; list the instances of \
         CIM_StorageSynchronized",
    )
}

/// Refuses wishes that mean nothing for that, and what is never done with such replicas.
fn check(
    call: &Invocation<View>,
    deed: Deed,
    replicas: &[VolumeId],
    settings: Option<&Instance>,
) -> Result<(), CimError> {
    for replica in replicas {
        let pair = pair(call, replica)?;
        let offer = Offer::of(pair.kind());
        Wishes::of(offer, settings.cloned())?;
        if !offer.deeds.contains(&deed) {
            return Err(CimError::not_supported(format!(
                "'{}' is a snapshot, and its moment is never another one; take a new snapshot of \
                 '{}'",
                pair.replica.name, pair.source.name
            )));
        }
    }
    Ok(())
}

pub(super) fn pair<'a>(
    call: &'a Invocation<View>,
    replica: &VolumeId,
) -> Result<Pair<'a>, CimError> {
    let pair = replicas::pair(&call.snapshot, replica);
    pair.ok_or_else(|| CimError::not_found("the relation is gone"))
}

/// The command that does a deed.
fn command(deed: Deed, replicas: Vec<VolumeId>) -> Result<Command, CimError> {
    if deed.takes_several() {
        return Ok(match deed {
            Deed::Return => Command::DeleteVolumes { volumes: replicas },
            _ => Command::Detach { replicas },
        });
    }
    let mut replicas = replicas.into_iter();
    match (deed, replicas.next(), replicas.next()) {
        (Deed::Restore, Some(replica), None) => Ok(Command::Restore { replica }),
        (_, Some(replica), None) => Ok(Command::Resync { replica }),
        (_, None, _) => Err(CimError::invalid_parameter(
            "Synchronization is empty; name the relations that are to be changed",
        )),
        _ => Err(CimError::not_supported(
            "volumes are overwritten one by one; name one relation at a time",
        )),
    }
}

/// `Type`: 2 StorageSynchronized, 3 GroupSynchronized.
const BETWEEN_VOLUMES: u16 = 2;
const BETWEEN_GROUPS: u16 = 3;

/// The relations that filters leave over.
fn relationships(
    call: &Invocation<View>,
    arguments: &Arguments<GetReplicationRelationships>,
) -> Result<Outcome, CimError> {
    use GetReplicationRelationships as M;
    let view = &call.snapshot;
    let is = |wish: Option<u16>, value: u16| wish.is_none_or(|wish| wish == value);
    let sync_type = arguments.of(M::SyncType);
    let state = arguments.of(M::CopyState);
    let settings = arguments.of(M::ReplicationSettingData);
    let methodology = settings.and_then(|settings| Wishes::methodology_of(&settings));
    let all = is(arguments.of(M::Mode), MODE) && is(arguments.of(M::Locality), LOCAL);
    let wanted = |kind| all && is(arguments.of(M::Type), kind);
    let fits = |pair: &Pair<'_>| {
        is(sync_type, Offer::of(pair.kind()).sync_type)
            && is(state, pair.standing(view).state)
            && is(methodology, pair.methodology())
    };
    let mut found = Vec::new();
    if wanted(BETWEEN_VOLUMES) {
        let pairs = replicas::pairs(view).filter(fits);
        found.extend(pairs.map(|pair| pair.path(view)));
    }
    // Copies of groups are made in several ways at once; whoever asks for one of them means volumes.
    if wanted(BETWEEN_GROUPS) && methodology.is_none() {
        let fits = |group: &Element| {
            replication_groups::standing(view, group).is_some_and(|standing| {
                is(sync_type, standing.sync_type()) && is(state, standing.state)
            })
        };
        let groups = replication_groups::list(view).into_iter().filter(fits);
        found.extend(groups.filter_map(|group| replication_groups::relation(view, &group)));
    }
    Ok(Outputs::new(M)
        .set(M::Synchronizations, found)
        .returns(DONE))
}
