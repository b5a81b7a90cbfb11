//! Changes of the records that the array keeps itself: data for the store, the journal and the
//! inventory alike.

use serde::{Deserialize, Serialize};

use crate::store::{Batch, Table};

use super::ids::{GroupId, InitiatorName, Iqn, PoolId, ReplicationGroupId, SettingId, ViewId};
use super::model::{Group, Initiator, MadeTarget, Nexus, ReplicationGroup, Retired, View};
use super::quality::Setting;

/// One record added, replaced or removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(super) enum Change {
    PutInitiator(Initiator),
    RemoveInitiator(InitiatorName),
    PutGroup(Group),
    RemoveGroup(GroupId),
    PutView(View),
    RemoveView(ViewId),
    /// A number is kept from other volumes from then on.
    Retire(Retired),
    /// It is kept no longer.
    Release(Nexus),
    PutReplicationGroup(ReplicationGroup),
    RemoveReplicationGroup(ReplicationGroupId),
    PutSetting(Setting),
    RemoveSetting(SettingId),
    /// A volume group that this array made.
    PutPool(PoolId),
    RemovePool(PoolId),
    PutTarget(MadeTarget),
    RemoveTarget(Iqn),
}

impl Change {
    /// What becomes of a number: it is retired, or no longer.
    pub(super) fn of_number((nexus, record): (Nexus, Option<Retired>)) -> Self {
        record.map_or(Self::Release(nexus), Self::Retire)
    }

    /// Adds the change of the stored record to a batch.
    pub(super) fn write_to(&self, batch: &mut Batch) {
        match self {
            Self::PutInitiator(i) => batch.put(Table::Initiators, i.name.folded(), i),
            Self::RemoveInitiator(name) => batch.remove(Table::Initiators, name.folded()),
            Self::PutGroup(group) => batch.put(Table::Groups, group.id.to_string(), group),
            Self::RemoveGroup(id) => batch.remove(Table::Groups, id.to_string()),
            Self::PutView(view) => batch.put(Table::Views, view.id.to_string(), view),
            Self::RemoveView(id) => batch.remove(Table::Views, id.to_string()),
            Self::Retire(r) => batch.put(Table::Retired, key(&r.map.nexus()), r),
            Self::Release(nexus) => batch.remove(Table::Retired, key(nexus)),
            Self::PutReplicationGroup(group) => {
                batch.put(Table::ReplicationGroups, group.id.to_string(), group);
            }
            Self::RemoveReplicationGroup(id) => {
                batch.remove(Table::ReplicationGroups, id.to_string());
            }
            Self::PutSetting(s) => batch.put(Table::Settings, s.id.to_string(), s),
            Self::RemoveSetting(id) => batch.remove(Table::Settings, id.to_string()),
            Self::PutPool(id) => batch.put(Table::Pools, id.as_str(), id),
            Self::RemovePool(id) => batch.remove(Table::Pools, id.as_str()),
            Self::PutTarget(target) => batch.put(Table::Targets, target.iqn.as_str(), target),
            Self::RemoveTarget(iqn) => batch.remove(Table::Targets, iqn.as_str()),
        }
    }
}

/// The key of a retired number; none of its parts holds a blank.
fn key((initiator, port, lun): &Nexus) -> String {
    format!("{} {port} {lun}", initiator.folded())
}
