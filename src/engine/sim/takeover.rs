//! Taking over what another manager shows, and leaving it to him again, as marks in LIO and LVM make
//! it: nothing that an initiator could notice.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::{Lv, Machine};
use crate::array::{Error, InitiatorName, Map, Owner, PortId, Takeover, VolumeId};

/// Who holds a volume that another manager exports.
pub(super) const BY_ANOTHER: &str = "exported by another manager";

/// The unit serial that another manager makes up for a volume.
pub(super) fn serial_of_another(id: &VolumeId) -> String {
    format!("0badcafe-{}", &id.unit_serial()[..8])
}

impl Machine {
    /// Refuses what is not as it was when it was looked at.
    fn may_take(&self, wanted: &Takeover) -> Result<(), Error> {
        let Takeover {
            port, initiator, ..
        } = wanted;
        let found = self.table(initiator, port);
        let found = found.map(|(number, lun)| (number, &lun.volume));
        if !found.eq(wanted.rows.iter().map(|(number, id)| (*number, id))) {
            return Err(Error::in_use(format!(
                "what {initiator} sees at {port} has changed meanwhile; look again"
            )));
        }
        match &wanted.target {
            None => self.known_port(port)?,
            Some(target) => {
                let found = self.extra_targets.get(&target.iqn);
                if found.is_none_or(|found| !found.open || found.portals != target.portals) {
                    return Err(Error::in_use(format!(
                        "target {} is closed or listens elsewhere now; look again",
                        target.iqn
                    )));
                }
            }
        }
        if self.chap.contains_key(initiator) {
            return Err(Error::access_denied(format!(
                "the ACL of {initiator} does not ask for the credentials that the configuration \
                 names; give it the same there first"
            )));
        }
        let volumes = wanted.rows.values().map(|id| self.volume(id));
        for lv in volumes.collect::<Result<Vec<_>, Error>>()? {
            if lv.owner == Owner::Foreign && !wanted.adopted.contains(&lv.id) {
                super::guards::ours(lv)?;
            }
            super::guards::unmarked(lv.job, &lv.called())?;
            self.complete(self.group(&lv.group)?)?;
        }
        Ok(())
    }

    /// Gives the volumes the owner's mark; they keep the serial that hosts know.
    pub(super) fn adopt(&mut self, wanted: &Takeover) -> Result<(), Error> {
        self.may_take(wanted)?;
        for id in &wanted.adopted {
            let lv = self.volume(id)?.clone();
            if lv.owner == Owner::Foreign {
                self.replace(Lv {
                    owner: Owner::Array,
                    ..lv
                })?;
                self.generation += 1;
            }
        }
        Ok(())
    }

    /// See [`Step::TakeOver`](crate::array::Step::TakeOver).
    pub(super) fn take_over(&mut self, wanted: &Takeover) -> Result<(), Error> {
        self.adopt(wanted)?;
        for id in wanted.rows.values() {
            let lv = self.volume(id)?.clone();
            if lv.held_by.as_deref() == Some(BY_ANOTHER) {
                self.replace(Lv {
                    held_by: None,
                    ..lv
                })?;
            }
        }
        if let Some(target) = &wanted.target {
            if let Some(found) = self.extra_targets.get_mut(&target.iqn) {
                found.ours = true;
            }
            self.made_targets.insert(target.iqn.clone(), target.clone());
        }
        self.own_rows(wanted, true);
        Ok(())
    }

    /// See [`Step::GiveBack`](crate::array::Step::GiveBack).
    pub(super) fn leave_again(&mut self, wanted: &Takeover) -> Result<(), Error> {
        self.own_rows(wanted, false);
        if let Some(target) = &wanted.target {
            if let Some(found) = self.extra_targets.get_mut(&target.iqn) {
                found.ours = false;
            }
            self.made_targets.remove(&target.iqn);
        }
        for id in &wanted.adopted {
            let Some(lv) = self.known(id).cloned() else {
                continue;
            };
            self.replace(Lv {
                owner: Owner::Foreign,
                held_by: self.is_shown(id).then(|| BY_ANOTHER.to_owned()),
                ..lv
            })?;
        }
        Ok(())
    }

    /// Whether anybody sees a volume, whoever shows it.
    pub(super) fn is_shown(&self, id: &VolumeId) -> bool {
        self.luns.values().any(|lun| lun.volume == *id)
    }

    /// The kernel target as it is when the machine has started and other managers have made again what
    /// is theirs: without marks of this array.
    pub(super) fn restart_target(&mut self) {
        self.exports.clear();
        self.sessions.clear();
        self.luns.retain(|_, lun| lun.theirs);
        for lun in self.luns.values_mut() {
            lun.ours = false;
            if let Some(lv) = self.volumes.get_mut(&lun.volume) {
                lv.held_by = Some(BY_ANOTHER.to_owned());
            }
        }
        self.extra_targets.retain(|_, target| target.theirs);
        for target in self.extra_targets.values_mut() {
            target.ours = false;
        }
    }

    /// Makes the rows of an ACL this array's, or another manager's again.
    fn own_rows(&mut self, wanted: &Takeover, ours: bool) {
        for (number, id) in &wanted.rows {
            let key = (wanted.port.clone(), wanted.initiator.clone(), *number);
            let lun = self.luns.get_mut(&key);
            let Some(lun) = lun.filter(|lun| lun.volume == *id && lun.ours != ours) else {
                continue;
            };
            lun.ours = ours;
            self.generation += 1;
            let count = self.exports.entry(id.clone()).or_insert(0);
            match ours {
                true => *count += 1,
                false => *count = count.saturating_sub(1),
            }
            if *count == 0 {
                self.exports.remove(id);
            }
        }
    }

    /// What was taken over and another manager shows again, because his files are older than that, is
    /// this array's as before.
    pub(super) fn retake(&mut self, maps: &[Map]) {
        let mut seen: BTreeMap<(&PortId, &InitiatorName), BTreeMap<u16, VolumeId>> =
            BTreeMap::new();
        for map in maps {
            let rows = seen.entry((&map.port, &map.initiator)).or_default();
            rows.insert(map.lun, map.volume.clone());
        }
        for ((port, initiator), rows) in seen {
            let theirs: BTreeMap<u16, VolumeId> = self
                .table(initiator, port)
                .filter(|(_, lun)| !lun.ours)
                .map(|(number, lun)| (number, lun.volume.clone()))
                .collect();
            let is_wanted = |(number, id): (&u16, &VolumeId)| {
                let adopted = self.volumes.get(id).is_some_and(|lv| lv.serial.is_some());
                adopted && rows.get(number) == Some(id)
            };
            if !theirs.iter().all(is_wanted) {
                continue;
            }
            for id in theirs.values() {
                if let Some(lv) = self.volumes.get_mut(id) {
                    lv.held_by = None;
                }
            }
            let again = Takeover {
                port: port.clone(),
                initiator: initiator.clone(),
                rows: theirs,
                adopted: BTreeSet::new(),
                target: None,
            };
            self.own_rows(&again, true);
        }
    }
}
