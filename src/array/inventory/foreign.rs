//! What other managers show to initiators, as views of theirs: found by looking, never stored, and
//! nobody's to change here until they are taken over.
//!
//! One view for each initiator and port, with groups that no other view has but those of the same
//! initiator or port. A port of a target that this array does not know is no element of it, so such
//! a view has no port group.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::Inventory;
use crate::array::engine::ForeignMap;
use crate::array::ids::{GroupId, InitiatorName, Iqn, PortId, ViewId, VolumeId};
use crate::array::model::{Group, Initiator, Members, Owner, View};

/// What the view of an initiator on a port is called.
fn place_of(initiator: &InitiatorName, port: &PortId) -> String {
    format!("{} at {port} (another manager)", initiator.folded())
}

/// The identity of a view of that name; and of one beside a view that was taken over, which keeps
/// the first.
fn identities(place: &str) -> [ViewId; 2] {
    [
        ViewId::found(place),
        ViewId::found(&format!("{place} once more")),
    ]
}

impl Inventory {
    /// Puts views of these maps in the place of the last ones. What shows nothing that lies in a
    /// pool only takes its number.
    pub(super) fn replace_foreign(&mut self, maps: Vec<ForeignMap>) {
        self.remove_foreign();
        let mut shown: BTreeMap<(&InitiatorName, &PortId), BTreeMap<VolumeId, u16>> =
            BTreeMap::new();
        for map in &maps {
            if let Some(volume) = &map.volume {
                let luns = shown.entry((&map.initiator, &map.port)).or_default();
                luns.entry(volume.clone()).or_insert(map.lun);
            }
        }
        for ((initiator, port), luns) in shown {
            self.put_foreign(initiator, port, luns);
        }
        self.foreign_maps = maps.into();
    }

    fn remove_foreign(&mut self) {
        let views = self.views.values().filter(|v| v.owner == Owner::Foreign);
        let views: Vec<ViewId> = views.map(|v| v.id).collect();
        views.into_iter().for_each(|id| self.remove_view(id));
        let groups = self.groups.values().filter(|g| g.owner == Owner::Foreign);
        let groups: Vec<GroupId> = groups.map(|g| g.id).collect();
        groups.into_iter().for_each(|id| self.remove_group(id));
        let names = self.initiators.values();
        let names = names.filter(|known| known.owner == Owner::Foreign);
        let names: Vec<InitiatorName> = names.map(|known| known.name.clone()).collect();
        for name in names {
            self.initiators.remove(&name);
        }
    }

    fn put_foreign(
        &mut self,
        initiator: &InitiatorName,
        port: &PortId,
        luns: BTreeMap<VolumeId, u16>,
    ) {
        if !self.initiators.contains_key(initiator) {
            self.put_foreign_initiator(initiator);
        }
        let host = format!("{} (another manager)", initiator.folded());
        let place = place_of(initiator, port);
        let hosts = Members::Initiators([initiator.clone()].into());
        let hosts = self.put_foreign_group(&host, hosts);
        let is_known = self.ports.contains_key(port);
        let ports = is_known.then(|| {
            let name = format!("{port} (another manager)");
            self.put_foreign_group(&name, Members::Ports([port.clone()].into()))
        });
        let volumes = Members::Volumes(luns.keys().cloned().collect());
        let volumes = self.put_foreign_group(&place, volumes);
        let [usual, beside] = identities(&place);
        let is_taken = |view: &Arc<View>| view.owner == Owner::Array;
        self.put_view(View {
            id: match self.views.get(&usual).is_some_and(is_taken) {
                true => beside,
                false => usual,
            },
            name: place,
            initiators: Some(hosts),
            ports,
            volumes: Some(volumes),
            luns,
            owner: Owner::Foreign,
        });
    }

    fn put_foreign_group(&mut self, name: &str, members: Members) -> GroupId {
        let id = GroupId::found(&format!("{} {name}", members.kind().noun()));
        self.put_group(Group {
            id,
            name: name.to_owned(),
            members,
            delete_on_empty: true,
            delete_when_unassociated: true,
            owner: Owner::Foreign,
        });
        id
    }

    fn put_foreign_initiator(&mut self, name: &InitiatorName) {
        let initiator = Initiator {
            name: name.clone(),
            owner: Owner::Foreign,
        };
        self.initiators.insert(name.clone(), Arc::new(initiator));
    }

    /// Whose view it is that another manager shows, and where.
    pub(in crate::array) fn place_of_foreign(&self, id: ViewId) -> Option<(InitiatorName, PortId)> {
        let is_it =
            |map: &&ForeignMap| identities(&place_of(&map.initiator, &map.port)).contains(&id);
        let map = self.foreign_maps.iter().find(is_it)?;
        Some((map.initiator.clone(), map.port.clone()))
    }

    /// The addresses at which a target of another manager listens.
    pub(in crate::array) fn portals_of_foreign(&self, iqn: &Iqn) -> Option<&BTreeSet<SocketAddr>> {
        self.foreign_targets.get(iqn)
    }

    /// Forgets an initiator; one to whom another manager shows something is only his from now on.
    pub(super) fn remove_initiator(&mut self, name: &InitiatorName) {
        self.initiators.remove(name);
        let is_seen = self
            .groups_with_initiator(name)
            .any(|group| group.owner == Owner::Foreign);
        if is_seen {
            self.put_foreign_initiator(name);
        }
    }
}
