//! The methods that make and change groups of volumes that are replicated together, and that
//! replicate them.

use super::replicas::{
    check_consistency, check_local, check_no_target, check_wishes, offer, refuse_the_rest,
    wished_pool, wished_quality,
};
use super::storage::{DONE, needed};
use super::volumes::volume;
use super::wishes::Wishes;
use super::{Gateway, Ran};
use crate::array::{Command, Effect, ReplicationGroupId, VolumeId};
use crate::broker::Invocation;
use crate::cim::CimError;
use crate::identity::Identity;
use crate::schema::method::CIM_ReplicationService::{
    AddMembers, CreateGroup, CreateGroupReplica, DeleteGroup, RemoveMembers,
};
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::replication_groups as groups;
use crate::smis::view::View;

/// `ReservedAs`: 4 Source or Target.
const SOURCE_OR_TARGET: u16 = 4;

impl Gateway {
    /// The methods of groups.
    pub(super) async fn invoke_replication_groups(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(CreateGroup) {
            return self.create_replication_group(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(DeleteGroup) {
            use DeleteGroup as M;
            check_here(arguments.of(M::ServiceAccessPoint).is_some())?;
            // Whether members are taken out first makes no difference: they stay as volumes.
            let group = known(call.element(&arguments, M::ReplicationGroup)?)?;
            let command = Command::DeleteReplicationGroup { group };
            self.finish(who, command).await?;
            return Ok(Outputs::new(M).returns(DONE));
        }
        if let Some(arguments) = call.of(AddMembers) {
            use AddMembers as M;
            check_here(arguments.of(M::ServiceAccessPoint).is_some())?;
            let command = Command::AddReplicationMembers {
                group: known(call.element(&arguments, M::ReplicationGroup)?)?,
                members: members(call.elements(&arguments, M::Members)?)?,
            };
            self.finish(who, command).await?;
            return Ok(Outputs::new(M).returns(DONE));
        }
        if let Some(arguments) = call.of(RemoveMembers) {
            use RemoveMembers as M;
            check_here(arguments.of(M::ServiceAccessPoint).is_some())?;
            let command = Command::RemoveReplicationMembers {
                group: known(call.element(&arguments, M::ReplicationGroup)?)?,
                members: members(call.elements(&arguments, M::Members)?)?,
                delete_on_empty: arguments.of(M::DeleteOnEmptyElement),
            };
            self.finish(who, command).await?;
            return Ok(Outputs::new(M).returns(DONE));
        }
        if let Some(arguments) = call.of(CreateGroupReplica) {
            return self.replicate_group(who, call, &arguments).await;
        }
        Err(call.not_available())
    }

    async fn create_replication_group(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<CreateGroup>,
    ) -> Result<Outcome, CimError> {
        use CreateGroup as M;
        check_here(arguments.of(M::ServiceAccessPoint).is_some())?;
        let reserved = arguments.of(M::ReservedAs);
        for (parameter, refused) in [
            ("Persistent", arguments.of(M::Persistent) == Some(false)),
            (
                "DeleteOnUnassociated",
                arguments.of(M::DeleteOnUnassociated) == Some(true),
            ),
            (
                "ReservedAs",
                reserved.is_some_and(|use_as| use_as != SOURCE_OR_TARGET),
            ),
        ] {
            if refused {
                return Err(CimError::not_supported(format!(
                    "replication groups last, go with nothing but their last member, and are both \
                     sources and targets; leave {parameter} out"
                )));
            }
        }
        let command = Command::CreateReplicationGroup {
            name: arguments.of(M::GroupName).map(|name| name.to_string()),
            members: match call.elements(arguments, M::Members)? {
                Some(elements) => members(Some(elements))?,
                None => Vec::new(),
            },
            delete_on_empty: arguments.of(M::DeleteOnEmptyElement).unwrap_or(false),
        };
        let (effect, _) = self.finish(who, command).await?;
        Ok(Outputs::new(M)
            .set(M::ReplicationGroup, self.made(effect)?)
            .returns(DONE))
    }

    async fn replicate_group(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<CreateGroupReplica>,
    ) -> Result<Outcome, CimError> {
        use CreateGroupReplica as M;
        refuse_the_rest!(arguments, M);
        check_no_target(arguments.of(M::TargetGroup).is_some())?;
        check_consistency(arguments.of(M::Consistency))?;
        if arguments.of(M::SourceElement).is_some() {
            return Err(CimError::not_supported(
                "a group is replicated here; leave SourceElement out, or use CreateElementReplica",
            ));
        }
        if arguments.of(M::TargetElementCount).is_some_and(|n| n != 1) {
            return Err(CimError::not_supported(
                "each member gets one replica at a time; leave TargetElementCount out",
            ));
        }
        let command = group_command(call, arguments)?;
        let ran = self.run(who, command).await?;
        let (code, job) = ran.code();
        let outputs = Outputs::new(M).set(M::Job, self.job_path(job));
        let Ran::Done(Effect::ReplicationGroup(id), _) = ran else {
            return Ok(outputs.returns(code));
        };
        let (view, target) = (self.view(), Element::ReplicationGroup(id));
        let outputs = outputs.set(M::TargetGroup, self.path(target.clone()));
        Ok(match groups::relation(&view, &target) {
            Some(relation) => outputs.set(M::Synchronization, relation).returns(code),
            None => outputs.returns(code),
        })
    }
}

/// The command that replicates a group.
fn group_command(
    call: &Invocation<View>,
    arguments: &Arguments<CreateGroupReplica>,
) -> Result<Command, CimError> {
    use CreateGroupReplica as M;
    let view = &call.snapshot;
    let offer = offer(arguments.need(M::SyncType)?, arguments.of(M::Mode))?;
    let source = needed(
        call.element(arguments, M::SourceGroup)?,
        "SourceGroup is needed; name the replication group that is to be replicated",
    )?;
    let sources = members(Some(groups::members(view, &source)))?;
    let group = known(Some(source))?;
    let pool = wished_pool(call.element(arguments, M::TargetPool)?)?;
    let wishes = Wishes::of(offer, arguments.of(M::ReplicationSettingData))?;
    check_wishes(view, offer, &wishes, &sources, pool.as_ref())?;
    let goal = call.element(arguments, M::TargetSettingGoal)?;
    let (quality, room) = wished_quality(view, offer.kind, &wishes, &sources, goal)?;
    Ok(Command::CreateGroupReplica {
        kind: offer.kind,
        group,
        name: arguments.of(M::RelationshipName).map(|n| n.to_string()),
        pool,
        quality,
        room,
    })
}

fn check_here(given: bool) -> Result<(), CimError> {
    check_local(&[("ServiceAccessPoint", given)])
}

/// The group that a parameter names.
fn known(element: Option<Element>) -> Result<ReplicationGroupId, CimError> {
    let element = needed(
        element,
        "ReplicationGroup is needed; name the group that is meant",
    )?;
    groups::id(&element)
        .ok_or_else(|| CimError::invalid_parameter("the group is not a replication group"))
}

/// The volumes that a parameter names.
fn members(elements: Option<Vec<Element>>) -> Result<Vec<VolumeId>, CimError> {
    let elements = needed(
        elements,
        "Members is needed; name the volumes that are meant",
    )?;
    let volumes = elements.into_iter();
    volumes
        .map(|element| volume(Some(element), "Members"))
        .collect()
}
