//! What happens on the modelled machine past the array: a person at its console, a failing disk.

use super::SimEngine;
use super::faults::{Fault, Hang, Moment, Stuck};
use super::lvm::whole_extents;
use super::machine::{Lun, Lv};
use super::names::check_device;
use crate::array::{DiskId, Error, InitiatorName, Kind, Map, Owner, PoolId, PortId, VolumeId};
use std::sync::{Arc, Mutex};

impl SimEngine {
    /// Somebody makes a logical volume of his own. Its extents keep what they held.
    ///
    /// # Errors
    /// As `lvcreate` refuses: no such pool, a bad or taken name, no room.
    pub fn lvcreate(&self, pool: &PoolId, device: &str, size: u64) -> Result<VolumeId, Error> {
        let now = self.0.clock.wall();
        let mut machine = self.0.machine();
        check_device(&machine.pool(pool)?.row.name, device)?;
        let extents = whole_extents(size)?;
        let key = (pool.clone(), device.to_owned());
        if machine.devices.contains_key(&key) {
            return Err(Error::already_exists(format!(
                "there is a logical volume {device} already; choose another name"
            )));
        }
        let lv = Lv {
            id: machine.new_volume_id(pool),
            device: device.to_owned(),
            name: None,
            pool: pool.clone(),
            segments: machine.allocate(pool, extents)?,
            owner: Owner::Foreign,
            job: None,
            serial: None,
            held_by: None,
            created: now,
        };
        let id = lv.id.clone();
        machine.insert(lv)?;
        Ok(id)
    }

    /// Somebody removes a logical volume, whosever it is.
    ///
    /// # Errors
    /// As `lvremove` refuses: it is not there, or open.
    pub fn lvremove(&self, volume: &VolumeId) -> Result<(), Error> {
        let mut machine = self.0.machine();
        let lv = machine.volume(volume)?.clone();
        if lv.held_by.is_some() || machine.exports.contains_key(volume) {
            return Err(Error::in_use(format!(
                "{} is open; close it first",
                lv.called()
            )));
        }
        machine.delete(&lv)
    }

    /// Somebody opens a volume, e.g. `mounted at /srv`; or closes it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn hold(&self, volume: &VolumeId, holder: Option<&str>) -> Result<(), Error> {
        let mut machine = self.0.machine();
        let mut lv = machine.volume(volume)?.clone();
        lv.held_by = holder.map(str::to_owned);
        machine.replace(lv)
    }

    /// Somebody shows a foreign volume to an initiator with a tool of his own.
    ///
    /// # Errors
    /// When the volume is not there or not foreign, or the number is taken.
    pub fn foreign_map(&self, map: &Map) -> Result<(), Error> {
        let mut machine = self.0.machine();
        let mut lv = machine.volume(&map.volume)?.clone();
        let key = (map.port.clone(), map.initiator.clone(), map.lun);
        if lv.owner == Owner::Array || machine.luns.contains_key(&key) {
            return Err(Error::in_use(
                "the volume or the number is taken; choose another",
            ));
        }
        lv.held_by = Some("exported by another manager".to_owned());
        machine.replace(lv)?;
        let lun = Lun {
            volume: map.volume.clone(),
            ours: false,
        };
        machine.luns.insert(key, lun);
        Ok(())
    }

    /// Somebody deletes what stands under that number; whether there was anything.
    pub fn lose_map(&self, initiator: &InitiatorName, port: &PortId, lun: u16) -> bool {
        let mut machine = self.0.machine();
        let lost = machine.luns.remove(&(port.clone(), initiator.clone(), lun));
        machine.generation += 1;
        if let Some(count) = lost
            .as_ref()
            .and_then(|lost| machine.exports.get_mut(&lost.volume))
        {
            *count = count.saturating_sub(1);
        }
        lost.is_some()
    }

    /// The machine restarts under its gateway: volumes are there, ports are closed, and nothing of
    /// this array is mapped or exported.
    pub fn reboot(&self) {
        let mut machine = self.0.machine();
        machine.luns.retain(|_, lun| !lun.ours);
        machine.exports.clear();
        machine.open = false;
        machine.generation += 1;
    }

    /// A pool is away, e.g. its disks were pulled, or back again.
    pub fn hide_pool(&self, pool: &PoolId, hidden: bool) {
        let mut machine = self.0.machine();
        machine.hide(pool, hidden);
        machine.generation += 1;
    }

    /// A disk fails, or works again; whether there is such a disk.
    pub fn fail_disk(&self, disk: &DiskId, failed: bool) -> bool {
        let mut machine = self.0.machine();
        machine.generation += 1;
        let mut disks = machine.pools.iter_mut().flat_map(|pool| &mut pool.disks);
        let found = disks.find(|known| known.id == *disk);
        found.map(|disk| disk.failed = failed).is_some()
    }

    /// Lets a coming step fail; 1 is the next.
    pub fn fail_step(&self, step: u64, kind: Kind, moment: Moment) {
        self.0.script().set(step, Fault::Fail(kind, moment));
    }

    /// Forgets the failures that are still to come; whether there were any.
    pub fn calm(&self) -> bool {
        self.0.script().clear()
    }

    /// Lets a coming step hang before it does anything; 1 is the next.
    pub fn hang_step(&self, step: u64) -> Hang {
        let stuck = Arc::new(Mutex::new(Stuck::Waited));
        self.0.script().set(step, Fault::Hang(stuck.clone()));
        Hang {
            core: self.0.clone(),
            stuck,
        }
    }
}
