//! What happens on the modelled machine past the array: a person at its console, a failing disk.

use super::SimEngine;
use super::disks::State;
use super::extents::{Content, EXTENT};
use super::faults::{Fault, Hang, Moment, Stuck};
use super::groups::METADATA;
use super::guards::whole_extents;
use super::keep::Row;
use super::legs::Standing;
use super::machine::{Body, GroupRow, Lun, Lv};
use super::names::{check_device, check_group};
use super::replicas::Kin;
use super::takeover::{BY_ANOTHER, serial_of_another};
use super::targets::Extra;
use crate::array::{
    DiskId, Error, InitiatorName, Iqn, Kind, Layout, Map, Owner, PoolId, PortId, VolumeId,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// What another manager has kept of the kernel target.
#[derive(Clone, Debug)]
pub struct SavedTarget {
    luns: BTreeMap<(PortId, InitiatorName, u16), Lun>,
    extra: BTreeMap<Iqn, Extra>,
}

impl SimEngine {
    /// Somebody makes a logical volume of his own. Its extents keep what they held.
    ///
    /// # Errors
    /// As `lvcreate` refuses: no such pool, a bad or taken name, no room.
    pub fn lvcreate(&self, pool: &PoolId, device: &str, size: u64) -> Result<VolumeId, Error> {
        let mut machine = self.0.machine();
        let group = machine.group(pool)?;
        check_device(&group.row.device, device)?;
        let extents = whole_extents(size)?;
        if machine.of_device(pool, device).is_some() {
            return Err(Error::already_exists(format!(
                "there is a logical volume {device} already; choose another name"
            )));
        }
        machine.has_room(group, extents)?;
        let legs = machine.allocate_legs(pool, Layout::Linear, &[], extents);
        let lv = Lv {
            id: machine.new_volume_id(pool),
            device: device.to_owned(),
            name: None,
            group: pool.clone(),
            body: Body::Thick(legs.ok_or_else(|| Error::no_space("there is too little room"))?),
            owner: Owner::Foreign,
            job: None,
            serial: None,
            held_by: None,
            created: machine.now,
            moving: None,
            kin: Kin::default(),
        };
        let id = lv.id.clone();
        machine.insert(lv)?;
        Ok(id)
    }

    /// Somebody makes a volume group of his own from free disks.
    ///
    /// # Errors
    /// As `vgcreate` refuses: a bad or taken name, a disk that is not free.
    pub fn vgcreate(&self, device: &str, disks: &[DiskId]) -> Result<PoolId, Error> {
        let mut machine = self.0.machine();
        check_group(device)?;
        disks.iter().try_for_each(|disk| machine.is_free(disk))?;
        if machine.groups.iter().any(|g| g.row.device == device) {
            return Err(Error::already_exists(format!(
                "there is a volume group {device} already; choose another name"
            )));
        }
        let id = machine.new_group_id(device);
        machine.add_group(GroupRow {
            id: id.clone(),
            place: 0,
            device: device.to_owned(),
            name: None,
            owner: Owner::Foreign,
            job: None,
            configured: false,
            metadata: METADATA,
            disks: disks.to_vec(),
            spare: Vec::new(),
            closed: Default::default(),
            missing: Default::default(),
        })?;
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
        machine.stays(&lv)?;
        machine.has_no_deltas(&lv)?;
        machine.note_missing(&lv.group)?;
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

    /// Somebody shows a foreign volume, or one that was taken over from him, to an initiator with a
    /// tool of his own.
    ///
    /// # Errors
    /// When the volume is not there or not foreign, or the number is taken.
    pub fn foreign_map(&self, map: &Map) -> Result<(), Error> {
        let mut machine = self.0.machine();
        let mut lv = machine.volume(&map.volume)?.clone();
        let key = (map.port.clone(), map.initiator.clone(), map.lun);
        let is_ours = lv.owner == Owner::Array && lv.serial.is_none();
        if is_ours || machine.luns.contains_key(&key) {
            return Err(Error::in_use(
                "the volume or the number is taken; choose another",
            ));
        }
        lv.held_by = Some(BY_ANOTHER.to_owned());
        // That manager's tools make up a serial number, and hosts see what comes of it.
        let made_up = || serial_of_another(&lv.id);
        lv.serial = Some(lv.serial.clone().unwrap_or_else(made_up));
        machine.replace(lv)?;
        let lun = Lun {
            volume: map.volume.clone(),
            ours: false,
            theirs: true,
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

    /// Somebody makes a target with a tool of his own, which listens there.
    pub fn foreign_target(&self, iqn: &Iqn, portal: SocketAddr) {
        let mut machine = self.0.machine();
        let theirs = Extra {
            portals: [portal].into(),
            ours: false,
            theirs: true,
            open: true,
        };
        machine.extra_targets.insert(iqn.clone(), theirs);
        machine.generation += 1;
    }

    /// Somebody takes the whole kernel target down, as `targetcli clearconfig` does.
    pub fn clear_target(&self) {
        let mut machine = self.0.machine();
        machine.luns.clear();
        machine.exports.clear();
        machine.extra_targets.clear();
        machine.sessions.clear();
        machine.open = false;
        machine.begin_moves_anew();
        machine.generation += 1;
    }

    /// What another manager keeps of the kernel target in a file of its own.
    pub fn save_target(&self) -> SavedTarget {
        let machine = self.0.machine();
        SavedTarget {
            luns: machine.luns.clone(),
            extra: machine.extra_targets.clone(),
        }
    }

    /// Another manager takes the kernel target down and makes it again as its file says.
    pub fn restore_target(&self, saved: &SavedTarget) {
        self.clear_target();
        let mut machine = self.0.machine();
        for lun in saved.luns.values().filter(|lun| lun.ours) {
            *machine.exports.entry(lun.volume.clone()).or_insert(0) += 1;
        }
        machine.luns.clone_from(&saved.luns);
        machine.extra_targets.clone_from(&saved.extra);
        machine.open = true;
        machine.generation += 1;
    }

    /// Somebody puts a volume of this array under a number by hand, in the place of what stands
    /// there.
    ///
    /// # Errors
    /// When the volume is not there or cannot be shown.
    pub fn map_by_hand(&self, map: &Map) -> Result<(), Error> {
        self.lose_map(&map.initiator, &map.port, map.lun);
        self.0.machine().map(map)
    }

    /// The machine restarts under its gateway: volumes are there, ports are closed, and nothing of
    /// this array is mapped or exported. What other managers show they make again from their files,
    /// also what was taken over from them.
    pub fn reboot(&self) {
        let mut machine = self.0.machine();
        machine.restart_target();
        machine.manage(&[]);
        machine.manage_targets(&[]);
        machine.open = false;
        machine.generation += 1;
    }

    /// A pool is away, e.g. its disks were pulled, or back again.
    pub fn hide_pool(&self, pool: &PoolId, hidden: bool) {
        let mut machine = self.0.machine();
        machine.hide(pool, hidden);
        machine.generation += 1;
    }

    /// The disk of that device or identity, also one that is away.
    pub fn find_disk(&self, name: &str) -> Option<DiskId> {
        let machine = self.0.machine();
        let mut disks = machine.disks.values();
        let found = disks.find(|disk| disk.row.device == name || disk.row.id.as_str() == name);
        found.map(|disk| disk.row.id.clone())
    }

    /// A disk fails, or is put right and what lies on it opened anew; whether there is such a disk.
    pub fn fail_disk(&self, disk: &DiskId, failed: bool) -> bool {
        match failed {
            true => self.put_disk(disk, State::Failed, None),
            false => self.put_disk(disk, State::Working, Some(Standing::Used)),
        }
    }

    /// Reads and writes of what lies on a disk fail, though the disk looks well; or they work again.
    /// Whether there is such a disk.
    pub fn spoil_disk(&self, disk: &DiskId, spoilt: bool) -> bool {
        match spoilt {
            true => self.put_disk(disk, State::Unsound, Some(Standing::Failing)),
            false => self.put_disk(disk, State::Working, None),
        }
    }

    /// A disk is pulled, or is back with what was on it, which nobody has opened anew; whether there
    /// is such a disk.
    pub fn pull_disk(&self, disk: &DiskId, pulled: bool) -> bool {
        match pulled {
            true => self.put_disk(disk, State::Missing, None),
            false => self.put_disk(disk, State::Working, Some(Standing::Stale)),
        }
    }

    /// Puts a disk into a state; how the legs on it then stand, if that changes.
    fn put_disk(&self, id: &DiskId, state: State, standing: Option<Standing>) -> bool {
        let mut machine = self.0.machine();
        machine.generation += 1;
        let Some(disk) = machine.disks.get_mut(id) else {
            return false;
        };
        disk.row.state = state;
        let row = disk.row.clone();
        // What LVM does not use nobody opens anew.
        let standing = match machine.is_noted_missing(id) {
            true => standing.map(|_| Standing::Stale),
            false => standing,
        };
        match standing {
            Some(standing) => machine.mark_legs(id, standing),
            None => machine.mind_disk(id),
        }
        let made = machine.made;
        // A machine that cannot keep it forgets it at its next start.
        machine.keep.commit(&[Row::Disk(&row)], made).is_ok()
    }

    /// Somebody wipes what a disk carries, so that pools can be made from it.
    ///
    /// # Errors
    /// When there is no such disk or it belongs to a group.
    pub fn wipe_disk(&self, id: &DiskId) -> Result<(), Error> {
        let mut machine = self.0.machine();
        if machine.groups.iter().any(|g| g.row.disks.contains(id)) {
            return Err(Error::in_use(
                "the disk belongs to a pool; take it out first",
            ));
        }
        let mut row = machine.disk(id)?.row.clone();
        row.carries = None;
        let made = machine.made;
        machine.keep.commit(&[Row::Disk(&row)], made)?;
        if let Some(disk) = machine.disks.get_mut(id) {
            disk.row = row;
        }
        machine.generation += 1;
        Ok(())
    }

    /// Hosts write to the volumes of a thin pool until so many percent of it are used.
    ///
    /// # Errors
    /// When there is no such thin pool or its volumes are too small.
    pub fn fill_pool(&self, pool: &PoolId, percent: u64) -> Result<(), Error> {
        self.0.machine().fill_pool(pool, percent)
    }

    /// A host fills a range of a volume (in bytes, whole extents) with one byte, whether it is shown
    /// to anybody or not.
    ///
    /// # Errors
    /// When there is no such volume or range, it cannot be read, or its pool is full.
    pub fn write(&self, volume: &VolumeId, range: Range<u64>, byte: u8) -> Result<(), Error> {
        let mut machine = self.0.machine();
        let lv = machine.volume(volume)?;
        machine.readable(lv)?;
        let whole = range.start.is_multiple_of(EXTENT) && range.end.is_multiple_of(EXTENT);
        if !whole || range.is_empty() || range.end > lv.size() {
            return Err(Error::invalid(format!(
                "{} has {} bytes; give a range of whole extents of {EXTENT} in it",
                lv.called(),
                lv.size()
            )));
        }
        let called = lv.called();
        let (start, length) = (range.start / EXTENT, (range.end - range.start) / EXTENT);
        let lasted = machine.write(volume, start, length, Content::of(byte));
        machine.keep_contents(volume)?;
        match lasted {
            true => Ok(()),
            false => Err(Error::no_space(format!("{called} has no room for it"))),
        }
    }

    /// What a host would read from each extent of a volume; `None` where it cannot.
    pub fn extents(&self, volume: &VolumeId) -> Option<Vec<Content>> {
        let machine = self.0.machine();
        let lv = machine.volume(volume).ok()?;
        machine.readable(lv).ok()?;
        let runs = machine.contents(lv).into_iter();
        let spelt = runs.flat_map(|(length, content)| (0..length).map(move |_| content));
        Some(spelt.collect())
    }

    /// Hosts overwrite what a snapshot was taken of until that has no room left for it.
    ///
    /// # Errors
    /// When it is no such snapshot, or has room for everything.
    pub fn overflow(&self, snapshot: &VolumeId) -> Result<(), Error> {
        self.0.machine().overflow(snapshot)
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
