//! Replication Services: groups of volumes that are replicated together, and how a group stands to
//! the one that it was made from (SMI-S 1.6.1 block book, Replication Services).

use std::sync::Arc;

use crate::array::{Copying, ReplicationGroup, ReplicationGroupId, VolumeId};
use crate::broker::Snapshot as _;
use crate::cim::{DateTime, Keys, Name, ObjectPath};
use crate::schema::{Builder, PathBuilder, class};

use super::ARRAY;
use super::element::Element;
use super::replicas::{self, COMPLETED, Pair};
use super::replication::{MODE, OFFERS, Offer, SYNCHRONIZED};
use super::view::View;
use super::volumes;

const GROUP: &str = "Standpipe:ReplicationGroup:";

/// `CopyState`, `ProgressStatus`: 14 Mixed.
const MIXED: u16 = 14;

pub(super) fn group<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<ReplicationGroup>> {
    match element {
        Element::ReplicationGroup(id) => view.inventory.replication_group(id),
        _ => None,
    }
}

fn element(group: &ReplicationGroup) -> Element {
    Element::ReplicationGroup(group.id)
}

pub(super) fn list(view: &View) -> Vec<Element> {
    let groups = view.inventory.replication_groups();
    groups.map(|group| element(group)).collect()
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let id = ReplicationGroupId::parse(keys.text("InstanceID")?.strip_prefix(GROUP)?)?;
    view.inventory.replication_group(&id).map(|g| element(g))
}

pub(super) fn path_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_ReplicationGroup>,
) -> PathBuilder<class::Standpipe_ReplicationGroup> {
    let Element::ReplicationGroup(id) = element else {
        return path;
    };
    path.key(
        class::Standpipe_ReplicationGroup::InstanceID,
        format!("{GROUP}{id}"),
    )
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_ReplicationGroup>,
) -> Builder<class::Standpipe_ReplicationGroup> {
    use class::Standpipe_ReplicationGroup as P;
    let Some(group) = group(view, element) else {
        return out;
    };
    out.set(P::ElementName, group.name.as_str())
        .set(P::Persistent, true)
        .set(P::DeleteOnEmptyElement, group.delete_on_empty)
        .set(P::DeleteOnUnassociated, false)
        .set(P::ConsistentPointInTime, true)
        // 4 Source or Target.
        .set(P::ReservedAs, 4u16)
        .set(
            P::SupportedSyncTypes,
            OFFERS.iter().map(|o| o.sync_type).collect::<Vec<_>>(),
        )
}

/// The members that clients see, in their order.
pub(super) fn members(view: &View, element: &Element) -> Vec<Element> {
    let Some(group) = group(view, element) else {
        return Vec::new();
    };
    let members = view.inventory.replication_members(group);
    members
        .filter(|volume| volumes::is_shown(view, volume))
        .map(|volume| Element::Volume(volume.id.clone()))
        .collect()
}

/// The groups that a volume is a member of.
pub(super) fn groups_of(view: &View, member: &Element) -> Vec<Element> {
    let Element::Volume(id) = member else {
        return Vec::new();
    };
    let groups = view.inventory.replication_groups_with(id);
    groups.map(|group| element(group)).collect()
}

/// The place of a member in its group, from 1.
pub(super) fn place(view: &View, of: &Element, member: &Element) -> Option<u64> {
    let Element::Volume(id) = member else {
        return None;
    };
    let at = group(view, of)?.members.iter().position(|m| m == id)?;
    u64::try_from(at + 1).ok()
}

/// The groups that were made from a group and still are its replicas.
pub(super) fn replicas_of(view: &View, source: &Element) -> Vec<Element> {
    let Element::ReplicationGroup(id) = source else {
        return Vec::new();
    };
    let made = view.inventory.group_replicas_of(id);
    made.filter(|group| pairs(view, group).is_some())
        .map(|group| element(group))
        .collect()
}

/// The group that a group was made from.
pub(super) fn source_of(view: &View, replica: &Element) -> Vec<Element> {
    let source = group(view, replica).and_then(|replica| {
        pairs(view, replica)?;
        view.inventory.group_source_of(replica)
    });
    source.map(|group| element(group)).into_iter().collect()
}

/// The relations of the members of a replica, if it still is one and clients see all of them.
fn pairs<'a>(view: &'a View, replica: &ReplicationGroup) -> Option<Vec<Pair<'a>>> {
    view.inventory.group_source_of(replica)?;
    let members = replica.members.iter();
    members.map(|id| replicas::pair(view, id)).collect()
}

/// How the groups stand to each other.
pub(super) struct Standing {
    kind: Copying,
    /// `CopyState`.
    pub(super) state: u16,
    progress: u16,
    percent: Option<u16>,
    taken: Option<u64>,
}

/// How a replica stands to the group that it was made from, if it still is one.
pub(super) fn standing(view: &View, replica: &Element) -> Option<Standing> {
    let pairs = pairs(view, group(view, replica)?)?;
    let first = pairs.first()?;
    let all: Vec<_> = pairs.iter().map(|pair| pair.standing(view)).collect();
    let one = all.first()?;
    let same = |alike: bool, value: u16| if alike { value } else { MIXED };
    Some(Standing {
        kind: first.kind(),
        state: same(all.iter().all(|s| s.state == one.state), one.state),
        progress: same(all.iter().all(|s| s.progress == one.progress), one.progress),
        percent: all.iter().map(|s| s.percent).min().flatten(),
        taken: first.taken(),
    })
}

impl Standing {
    /// `SyncType`.
    pub(super) fn sync_type(&self) -> u16 {
        Offer::of(self.kind).sync_type
    }
}

/// The members of a replica of a group.
pub(super) fn replica_members(view: &View, replica: &Element) -> Option<Vec<VolumeId>> {
    let group = group(view, replica)?;
    pairs(view, group)?;
    Some(group.members.clone())
}

/// The path of the relation to the group that a group was made from.
pub(super) fn relation(view: &View, replica: &Element) -> Option<ObjectPath> {
    use class::CIM_GroupSynchronized as P;
    let source = source_of(view, replica).into_iter().next()?;
    let path = PathBuilder::new(P)
        .key(P::SystemElement, view.path(&source))
        .key(P::SyncedElement, view.path(replica))
        .build();
    Some(path.in_namespace(Name::from_static(ARRAY.name)))
}

/// The identity of a group that a parameter names.
pub(super) fn id(element: &Element) -> Option<ReplicationGroupId> {
    match element {
        Element::ReplicationGroup(id) => Some(*id),
        _ => None,
    }
}

pub(super) fn fill_relation(
    view: &View,
    _source: &Element,
    replica: &Element,
    out: Builder<class::CIM_GroupSynchronized>,
) -> Builder<class::CIM_GroupSynchronized> {
    use class::CIM_GroupSynchronized as P;
    let (Some(group), Some(standing)) = (group(view, replica), standing(view, replica)) else {
        return out;
    };
    let is_whole = standing.state == SYNCHRONIZED && standing.progress == COMPLETED;
    out.set(P::RelationshipName, group.name.as_str())
        .set(P::SyncType, standing.sync_type())
        .set(P::Mode, MODE)
        .set(P::CopyState, standing.state)
        .set(P::RequestedCopyState, 15u16)
        .set(P::ProgressStatus, standing.progress)
        .set_some(P::PercentSynced, standing.percent)
        .set_some(P::WhenSynced, standing.taken.map(DateTime::utc))
        .set(P::SyncMaintained, false)
        .set(P::FailedCopyStopsHostIO, false)
        .set(P::ConsistencyEnabled, true)
        // 2 Sequentially Consistent.
        .set(P::ConsistencyType, 2u16)
        // 3 Consistent, 2 Not Applicable: members change one by one.
        .set(P::ConsistencyState, if is_whole { 3u16 } else { 2 })
        // 2 Completed.
        .set(P::ConsistencyStatus, 2u16)
}
