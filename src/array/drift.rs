//! Drift: how what hosts are shown differs from what the views say.
//!
//! Somebody removed a map by hand, or made one: that is shown and, if the administrator decided so,
//! repaired. A target that is gone or closed as a whole is no drift: it is made again at once.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::Facts;
use super::ids::{InitiatorName, PortId, ViewId};
use super::inventory::Inventory;
use super::model::{FcPort, Health, Map, Port};

/// What is done about drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is shown.
    #[default]
    Report,
    /// What is missing is shown to hosts again, and what no view names is hidden from them.
    Repair,
}

/// How what hosts are shown differs from what the views say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// What views name and hosts do not see.
    pub(super) missing: BTreeSet<Map>,
    /// Those of the missing ones whose number shows something else.
    pub(super) taken: BTreeSet<Map>,
    /// What hosts see of this array's and no view names.
    pub(super) surplus: BTreeSet<Map>,
}

/// How many initiators a sentence names.
const NAMED: usize = 3;

impl Drift {
    /// What the views say against a look. A look is older than the records: what differs is only
    /// suspected, and `is_mapped` is asked for each of them; `None` says that nobody knows.
    pub(super) fn between(
        inventory: &Inventory,
        facts: &Facts,
        is_mapped: impl Fn(&Map) -> Option<bool>,
    ) -> Self {
        let wanted: BTreeSet<Map> = inventory.all_maps().into_iter().collect();
        let shown: BTreeSet<Map> = facts.maps.iter().cloned().collect();
        let missing = wanted.difference(&shown);
        let missing: BTreeSet<_> = missing.filter(|m| is_mapped(m) == Some(false)).collect();
        let surplus = shown.difference(&wanted);
        let surplus: BTreeSet<_> = surplus.filter(|m| is_mapped(m) == Some(true)).collect();
        let foreign = facts.foreign_maps.iter();
        let foreign = foreign.map(|map| (&map.port, &map.initiator, map.lun));
        let used: BTreeSet<_> = surplus
            .iter()
            .map(|map| place(map))
            .chain(foreign)
            .collect();
        let taken = missing.iter().filter(|map| used.contains(&place(map)));
        let owned = |maps: BTreeSet<&Map>| maps.into_iter().cloned().collect();
        Self {
            taken: taken.map(|&map| map.clone()).collect(),
            missing: owned(missing),
            surplus: owned(surplus),
        }
    }

    /// Whether hosts see what the views say.
    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty()
    }

    /// What no view names and may be hidden: what stands in the place of something else stays.
    pub(super) fn to_hide(&self) -> impl Iterator<Item = &Map> {
        let contested: BTreeSet<_> = self.taken.iter().map(place).collect();
        let surplus = self.surplus.iter();
        surplus.filter(move |map| !contested.contains(&place(map)))
    }

    /// What is left of it when the views say something else than before.
    pub(super) fn revised(&self, inventory: &Inventory) -> Self {
        let is_wanted = |map: &Map| inventory.view_of(map).is_some();
        let wanted = |maps: &BTreeSet<Map>| maps.iter().filter(|m| is_wanted(m)).cloned().collect();
        let surplus = self.surplus.iter().filter(|map| !is_wanted(map));
        Self {
            missing: wanted(&self.missing),
            taken: wanted(&self.taken),
            surplus: surplus.cloned().collect(),
        }
    }

    /// How well each view is of which something is missing.
    pub(super) fn of_views(&self, inventory: &Inventory) -> BTreeMap<ViewId, Health> {
        let mut missing: BTreeMap<ViewId, Vec<&Map>> = BTreeMap::new();
        for map in &self.missing {
            if let Some(view) = inventory.view_of(map) {
                missing.entry(view).or_default().push(map);
            }
        }
        let views = missing.into_iter().map(|(id, maps)| {
            let paths = inventory
                .view(&id)
                .map_or(0, |view| inventory.maps_of(view).len());
            (id, Health::Degraded(self.sentence(&maps, paths)))
        });
        views.collect()
    }

    fn sentence(&self, maps: &[&Map], paths: usize) -> String {
        let (lost, hosts) = (maps.len(), named(maps));
        match maps.iter().find(|map| self.taken.contains(**map)) {
            Some(map) => format!(
                "{lost} of its {paths} paths are not shown to {hosts}: device number {} of {} shows \
                 something else; free that number",
                map.lun, map.initiator
            ),
            None => format!(
                "{lost} of its {paths} paths are not shown to {hosts}; restart the gateway, or \
                 configure drift = \"repair\", to show them again"
            ),
        }
    }

    /// How well a port is through which hosts see what no view names.
    pub(super) fn of_port(&self, port: &Port) -> Health {
        let maps: Vec<&Map> = self
            .surplus
            .iter()
            .filter(|map| map.port == port.id)
            .collect();
        match (&port.health, maps.first()) {
            (Health::Ok, Some(first)) => Health::Degraded(format!(
                "{} device numbers that no masking view names are shown to {}, such as {}; hide \
                 them, or configure drift = \"repair\"",
                maps.len(),
                named(&maps),
                first.lun
            )),
            _ => port.health.clone(),
        }
    }
}

/// Where a map stands.
fn place(map: &Map) -> (&PortId, &InitiatorName, u16) {
    (&map.port, &map.initiator, map.lun)
}

/// The initiators of these maps, the first ones by name.
fn named(maps: &[&Map]) -> String {
    let hosts: BTreeSet<String> = maps.iter().map(|map| map.initiator.to_string()).collect();
    let more = hosts.len().saturating_sub(NAMED);
    let first: Vec<String> = hosts.into_iter().take(NAMED).collect();
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The ports that are gone or closed as a whole, though somebody could look.
pub(super) fn lost_ports(facts: &Facts) -> BTreeSet<PortId> {
    let of_targets = facts.targets.iter().flat_map(|target| &target.ports);
    let fc_ports = facts.fc_ports.iter().map(FcPort::port);
    let ports = of_targets.cloned().chain(fc_ports);
    let lost = ports.filter(|port| !port.enabled && !matches!(port.health, Health::Unknown(_)));
    lost.map(|port| port.id).collect()
}
