//! What steps do to exports and maps, and what they refuse, as LIO and its marks make it.
//!
//! Nothing here survives a restart of the machine: `converge` makes it again.

use std::collections::BTreeMap;

use super::guards::{not_held, ours, unmarked};
use super::machine::{Lun, Machine};
use crate::array::{Chap, Error, Fabric, InitiatorName, MAX_LUN, Map, PortId};

impl Machine {
    /// Whether that volume is under that number for that initiator.
    pub(super) fn is_mapped(&self, map: &Map) -> bool {
        self.luns
            .get(&key(map))
            .is_some_and(|lun| lun.ours && lun.volume == map.volume)
    }

    /// The port of that identity is one of this machine's.
    pub(super) fn known_port(&self, port: &PortId) -> Result<(), Error> {
        match self.is_our_port(port) {
            true => Ok(()),
            false => Err(Error::not_found(format!(
                "there is no target port {port}; configure its target first"
            ))),
        }
    }

    /// Refuses to show anything in an ACL of another manager that does not ask for the secret which
    /// the initiator has: the modelled ones ask for none.
    fn may_demand(&self, map: &Map) -> Result<(), Error> {
        let is_others = self
            .table(&map.initiator, &map.port)
            .any(|(_, lun)| !lun.ours);
        match is_others && self.chap.contains_key(&map.initiator) {
            true => Err(Error::access_denied(format!(
                "the ACL of {} is another manager's and asks for other credentials than ours; give \
                 it the same there, or remove it",
                map.initiator
            ))),
            false => Ok(()),
        }
    }

    /// What stands under the numbers of a port for an initiator.
    pub(super) fn table(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
    ) -> impl Iterator<Item = (u16, &Lun)> {
        let from = (port.clone(), initiator.clone(), 0);
        let to = (port.clone(), initiator.clone(), u16::MAX);
        let range = self.luns.range(from..=to);
        range.map(|((_, _, number), lun)| (*number, lun))
    }

    /// Whether an initiator that proves that much, and wants the array to, can log in to a port on
    /// which it sees these. An ACL of another manager's has no credentials, and lets nobody in where
    /// some are demanded.
    fn lets_in(
        &self,
        initiator: &InitiatorName,
        offered: Option<&Chap>,
        seen: &BTreeMap<u16, &Lun>,
    ) -> bool {
        let is_ours = seen.values().any(|lun| lun.ours);
        match self.chap.get(initiator) {
            _ if self.chap.is_empty() || initiator.fabric() == Fabric::FibreChannel => true,
            _ if !is_ours => false,
            None => true,
            Some(wanted) => offered.is_some_and(|offered| {
                let proves = offered.initiator == wanted.initiator;
                proves && (offered.array.is_none() || offered.array == wanted.array)
            }),
        }
    }

    /// Exports the volume of a map, if the map can be made.
    pub(super) fn export(&mut self, map: &Map) -> Result<(), Error> {
        self.known_port(&map.port)?;
        map.check_fabric()?;
        self.may_demand(map)?;
        if map.lun > MAX_LUN {
            return Err(Error::invalid(format!(
                "{} is not a LUN number; give one from 0 to {MAX_LUN}",
                map.lun
            )));
        }
        let lv = self.volume(&map.volume)?;
        ours(lv)?;
        unmarked(lv.job, &lv.called())?;
        not_held(lv)?;
        self.readable(lv)?;
        match self.luns.get(&key(map)) {
            Some(lun) if !(lun.ours && lun.volume == map.volume) => Err(Error::in_use(format!(
                "LUN {} of {} is taken for {}; choose another number",
                map.lun, map.port, map.initiator
            ))),
            _ => {
                if !self.exports.contains_key(&map.volume) {
                    self.exports.insert(map.volume.clone(), 0);
                    self.generation += 1;
                }
                Ok(())
            }
        }
    }

    /// See [`Step::Map`](crate::array::Step::Map).
    pub(super) fn map(&mut self, map: &Map) -> Result<(), Error> {
        if self.is_mapped(map) {
            return Ok(());
        }
        self.export(map)?;
        *self.exports.entry(map.volume.clone()).or_insert(0) += 1;
        let lun = Lun {
            volume: map.volume.clone(),
            ours: true,
            theirs: false,
        };
        self.luns.insert(key(map), lun);
        self.generation += 1;
        Ok(())
    }

    /// See [`Step::Unmap`](crate::array::Step::Unmap).
    pub(super) fn unmap(&mut self, map: &Map) {
        let mapped = self.is_mapped(map);
        if mapped {
            self.luns.remove(&key(map));
            self.generation += 1;
        }
        // The ACL goes with its last map, and the session with the ACL.
        if self.table(&map.initiator, &map.port).next().is_none() {
            self.end_session(&map.initiator, &map.port);
        }
        if let Some(count) = self.exports.get_mut(&map.volume) {
            *count -= u64::from(mapped);
            if *count == 0 {
                self.exports.remove(&map.volume);
                self.generation += 1;
            }
        }
    }

    /// Shows exactly these maps, then opens the portals.
    pub(super) fn converge(&mut self, maps: &[Map]) -> Result<(), Error> {
        let prepared = self.prepare_targets();
        let wanted: BTreeMap<_, _> = maps.iter().map(|map| (key(map), &map.volume)).collect();
        let surplus: Vec<Map> = self
            .luns
            .iter()
            .filter(|(key, lun)| {
                lun.ours && self.is_our_port(&key.0) && wanted.get(key) != Some(&&lun.volume)
            })
            .map(|((port, initiator, lun), shown)| Map {
                port: port.clone(),
                initiator: initiator.clone(),
                lun: *lun,
                volume: shown.volume.clone(),
            })
            .collect();
        for map in &surplus {
            self.unmap(map);
        }
        self.exports.retain(|_, count| *count > 0);
        self.retake(maps);
        let mut first_failure = prepared;
        for map in maps {
            first_failure = first_failure.and(self.map(map));
        }
        self.open_targets();
        first_failure
    }

    /// What an initiator finds on a port when it logs in with these credentials, or without; `None`
    /// where it cannot log in.
    pub(super) fn seen_by(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
        offered: Option<&Chap>,
    ) -> Option<BTreeMap<u16, &Lun>> {
        let seen: BTreeMap<u16, &Lun> = self.table(initiator, port).collect();
        let is_let_in = !seen.is_empty() && self.lets_in(initiator, offered, &seen);
        (self.is_open(port) && is_let_in).then_some(seen)
    }
}

/// Where a map stands.
fn key(map: &Map) -> (PortId, InitiatorName, u16) {
    (map.port.clone(), map.initiator.clone(), map.lun)
}
