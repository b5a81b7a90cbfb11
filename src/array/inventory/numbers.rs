//! Device numbers that were hidden from initiators a while ago.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::Inventory;
use crate::array::ids::{InitiatorName, PortId};
use crate::array::model::{Nexus, Retired};

/// The retired numbers, by who may remember them and by when they were retired.
#[derive(Clone, Debug, Default)]
pub(super) struct Retirement {
    /// Those of one initiator on one port lie side by side.
    all: OrdMap<Nexus, Arc<Retired>>,
    oldest_first: OrdSet<(u64, Nexus)>,
}

impl Retirement {
    pub(super) fn put(&mut self, retired: &Retired) {
        let nexus = retired.map.nexus();
        self.remove(&nexus);
        self.oldest_first.insert((retired.since, nexus.clone()));
        self.all.insert(nexus, Arc::new(retired.clone()));
    }

    pub(super) fn remove(&mut self, nexus: &Nexus) {
        if let Some(known) = self.all.remove(nexus) {
            self.oldest_first.remove(&(known.since, nexus.clone()));
        }
    }
}

impl Inventory {
    /// Every record of a retired number, those included whose time is up.
    pub fn all_retired(&self) -> impl Iterator<Item = &Arc<Retired>> {
        self.retired.all.values()
    }

    /// The record of a retired number.
    pub fn retired(&self, nexus: &Nexus) -> Option<&Arc<Retired>> {
        self.retired.all.get(nexus)
    }

    /// The numbers of an initiator on a port that are retired at a time, in microseconds since 1970.
    pub fn retired_for(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
        at: u64,
    ) -> impl Iterator<Item = &Arc<Retired>> {
        let place = |lun| (initiator.clone(), port.clone(), lun);
        let all = self.retired.all.range(place(0)..=place(u16::MAX));
        let limit = self.quarantine();
        all.map(|(_, retired)| retired)
            .filter(move |retired| at.saturating_sub(retired.since) < limit)
    }

    /// Microseconds for which a number stays retired.
    fn quarantine(&self) -> u64 {
        u64::try_from(self.policy.lun_quarantine.as_micros()).unwrap_or(u64::MAX)
    }

    /// The numbers whose records time has overtaken, with what becomes of them. Those whose time is
    /// up go. Those that were retired in the future begin now: the clock was set back since, and
    /// none may stay retired for longer than the policy says.
    pub(in crate::array) fn aged_numbers(&self, now: u64) -> Vec<(Nexus, Option<Retired>)> {
        let oldest_first = self.retired.oldest_first.iter();
        let limit = self.quarantine();
        let is_over = |since: u64| now >= since && now - since >= limit;
        let over = oldest_first
            .clone()
            .take_while(|(since, _)| is_over(*since))
            .map(|(_, nexus)| (nexus.clone(), None));
        let early = oldest_first
            .rev()
            .take_while(|(since, _)| *since > now)
            .filter_map(|(_, nexus)| self.retired.all.get_key_value(nexus))
            .map(|(nexus, retired)| {
                let map = retired.map.clone();
                (nexus.clone(), Some(Retired { map, since: now }))
            });
        over.chain(early).collect()
    }
}
