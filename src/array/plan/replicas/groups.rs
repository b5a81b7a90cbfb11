//! Groups of volumes that are replicated together: records, and the replica of a whole group.

use super::{Wish, create};
use crate::array::change::Change;
use crate::array::command::Effect;
use crate::array::error::Error;
use crate::array::ids::{JobId, ReplicationGroupId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::model::ReplicationGroup;
use crate::array::plan::settings::record;
use crate::array::plan::volumes::{MAX_AT_ONCE, own_volume};
use crate::array::plan::{Goal, Plan, check_name};

/// How many are kept.
const MAX_GROUPS: usize = 1000;

fn known(inventory: &Inventory, id: ReplicationGroupId) -> Result<ReplicationGroup, Error> {
    let group = inventory.replication_group(&id).ok_or_else(|| {
        Error::not_found("there is no such replication group; it may have been deleted")
    })?;
    Ok(ReplicationGroup::clone(group))
}

/// A new group without members.
fn new(
    inventory: &Inventory,
    name: Option<&str>,
    delete_on_empty: bool,
    source: Option<ReplicationGroupId>,
) -> Result<ReplicationGroup, Error> {
    if inventory.replication_groups().count() >= MAX_GROUPS {
        return Err(Error::no_space(format!(
            "{MAX_GROUPS} replication groups are kept already; delete those that are not needed"
        )));
    }
    let id = ReplicationGroupId::new();
    let name = name.map_or_else(|| format!("replication-group-{id}"), str::to_owned);
    check_name("replication group", &name)?;
    let mut groups = inventory.replication_groups();
    match groups.any(|group| group.name == name) {
        true => Err(Error::already_exists(format!(
            "there is already a replication group named '{name}'; choose another name"
        ))),
        false => Ok(ReplicationGroup {
            id,
            name,
            members: Vec::new(),
            delete_on_empty,
            source,
        }),
    }
}

/// Puts volumes behind the members of a group.
fn join(
    inventory: &Inventory,
    group: &mut ReplicationGroup,
    members: &[VolumeId],
) -> Result<(), Error> {
    for id in members {
        let volume = own_volume(inventory, id)?;
        if group.members.contains(id) {
            return Err(Error::already_exists(format!(
                "volume '{}' is a member of replication group '{}' already; name it once",
                volume.name, group.name
            )));
        }
        group.members.push(id.clone());
    }
    match group.members.len() <= MAX_AT_ONCE {
        true => Ok(()),
        false => Err(Error::not_supported(format!(
            "a replication group has at most {MAX_AT_ONCE} members; make another one for the others"
        ))),
    }
}

fn keeping(title: String, group: ReplicationGroup) -> Plan {
    let effect = Effect::ReplicationGroup(group.id);
    record(title, Change::PutReplicationGroup(group), effect)
}

fn forgetting(title: String, id: ReplicationGroupId) -> Plan {
    record(title, Change::RemoveReplicationGroup(id), Effect::Gone)
}

pub(in crate::array::plan) fn create_group(
    inventory: &Inventory,
    name: Option<&str>,
    members: &[VolumeId],
    delete_on_empty: bool,
) -> Result<Plan, Error> {
    let mut group = new(inventory, name, delete_on_empty, None)?;
    join(inventory, &mut group, members)?;
    let title = format!("Create replication group '{}'", group.name);
    Ok(keeping(title, group))
}

pub(in crate::array::plan) fn delete_group(
    inventory: &Inventory,
    id: ReplicationGroupId,
) -> Result<Plan, Error> {
    let group = known(inventory, id)?;
    let title = format!("Delete replication group '{}'", group.name);
    Ok(forgetting(title, id))
}

pub(in crate::array::plan) fn add_members(
    inventory: &Inventory,
    id: ReplicationGroupId,
    members: &[VolumeId],
) -> Result<Plan, Error> {
    let mut group = known(inventory, id)?;
    join(inventory, &mut group, members)?;
    let title = format!("Add to replication group '{}'", group.name);
    Ok(keeping(title, group))
}

pub(in crate::array::plan) fn remove_members(
    inventory: &Inventory,
    id: ReplicationGroupId,
    members: &[VolumeId],
    delete_on_empty: Option<bool>,
) -> Result<Plan, Error> {
    let mut group = known(inventory, id)?;
    for member in members {
        let before = group.members.len();
        group.members.retain(|id| id != member);
        if group.members.len() == before {
            return Err(Error::not_found(format!(
                "volume {member} is no member of replication group '{}'; look at its members",
                group.name
            )));
        }
    }
    let title = format!("Remove from replication group '{}'", group.name);
    match group.members.is_empty() && delete_on_empty.unwrap_or(group.delete_on_empty) {
        true => Ok(forgetting(title, id)),
        false => Ok(keeping(title, group)),
    }
}

/// What the members of a replica of that name are called, in their order.
pub(in crate::array) fn member_names(
    group: &str,
    count: usize,
) -> impl Iterator<Item = String> + use<'_> {
    (1..=count).map(move |place| format!("{group}-{place}"))
}

pub(in crate::array::plan) fn replicate_group(
    inventory: &Inventory,
    id: ReplicationGroupId,
    name: Option<&str>,
    wish: Wish<'_>,
    job: JobId,
    at: u64,
) -> Result<Plan, Error> {
    let group = known(inventory, id)?;
    if group.members.is_empty() {
        return Err(Error::invalid(format!(
            "replication group '{}' has no members; add some first",
            group.name
        )));
    }
    let target = new(inventory, name, group.delete_on_empty, Some(id))?;
    let names: Vec<_> = member_names(&target.name, group.members.len()).collect();
    let wish = Wish {
        sources: &group.members,
        names: &names,
        ..wish
    };
    let mut plan = create(inventory, &wish, job, at)?;
    plan.title = format!("Replicate group '{}' as '{}'", group.name, target.name);
    if let Goal::Made { gather, .. } = &mut plan.goal {
        *gather = Some(target);
    }
    Ok(plan)
}
