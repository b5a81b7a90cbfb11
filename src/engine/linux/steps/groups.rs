//! The steps on volume groups themselves, and on the names of pools.
//!
//! Every command runs in a process of its own: it may ask whether something may be overwritten,
//! and the answer is no. `--force` and `--yes` stand nowhere here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{identity, is_of, job_tag, lacks_disk, name_tag, path, verify};
use crate::array::{DISK_METADATA, DiskId, Error, JobId, NEW_EXTENT, PoolId, Subject, VolumeGroup};
use crate::engine::linux::LinuxEngine;
use crate::engine::linux::lvm::group::{Group, LvmError, Session};
use crate::engine::linux::lvm::line::{Bytes, ChosenEmpty, ChosenGroup, Line};
use crate::engine::linux::lvm::names::{DevicePath, LvmUuid, Tag, VgName};
use crate::engine::linux::lvm::report::{PvRow, VgRow};
use crate::engine::linux::lvm::roster::{Machine, View};
use crate::engine::linux::lvm::tags::{self, Marks};
use crate::engine::linux::watch::Deadline;

impl LinuxEngine {
    pub(in super::super) fn create_group(
        &self,
        device: &str,
        name: &str,
        disks: &[DiskId],
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let device = vg_name(device)?;
        let tags = [tags::owner(), name_tag(name)?, job_tag(job)];
        // From now on it is managed as soon as it is there.
        self.lvm.expect([device.clone()]);
        let machine = self.lvm.find(deadline)?;
        if let Some(row) = named(&machine, &device) {
            let ids = self.disks_of(&machine.devices, deadline).ids;
            let members = machine
                .devices
                .iter()
                .filter(|pv| pv.vg_uuid == row.vg_uuid);
            let members = members.filter_map(|pv| ids.get(&pv.pv_uuid));
            let is_same = members.clone().count() == disks.len()
                && members.clone().all(|id| disks.contains(id));
            return match is_of(&Marks::read(&row.vg_tags), job) && is_same {
                true => Ok(()),
                false => Err(Error::already_exists(format!(
                    "there is a volume group {device} already; choose another name"
                ))),
            };
        }
        if disks.is_empty() {
            return Err(Error::invalid("a pool needs disks; name at least one"));
        }
        let paths = self.free(disks, deadline)?;
        let line = Line::new("vgcreate")
            .option("--metadatasize", &Bytes(DISK_METADATA))
            .option("--physicalextentsize", &Bytes(NEW_EXTENT))
            .options("--addtag", &tags)
            .word(&device)
            .words(&paths);
        let done = self.lvm.run(View::Wide, &line, deadline);
        let machine = self.lvm.find(deadline)?;
        let is_made = |row: &VgRow| is_of(&Marks::read(&row.vg_tags), job);
        if named(&machine, &device).is_some_and(is_made) {
            return Ok(());
        }
        self.leave(&machine, &paths, &done, deadline);
        verify(done, || Ok(false))
    }

    /// Looks at disks once more before they are taken.
    fn free(&self, disks: &[DiskId], deadline: Deadline) -> Result<Vec<DevicePath>, Error> {
        let members = self.disks_of(&self.lvm.list_devices(deadline)?, deadline);
        let mut members = members.ids.values();
        if let Some(id) = members.find(|id| disks.contains(id)) {
            return Err(Error::in_use(format!(
                "disk {id} belongs to a pool; choose a free disk"
            )));
        }
        let paths = disks.iter().map(|id| self.disks.check_free(id, deadline));
        let paths: Vec<_> = paths.collect::<Result<_, _>>()?;
        let mut distinct = paths.clone();
        distinct.sort();
        distinct.dedup();
        match distinct.len() == paths.len() {
            true => Ok(paths),
            false => Err(Error::invalid("a disk was named twice; name each once")),
        }
    }

    /// Takes the labels off disks that were free and that a failed command has made physical
    /// volumes of no group; nothing where it may still be going on.
    fn leave(
        &self,
        machine: &Machine,
        paths: &[DevicePath],
        done: &Result<(), LvmError>,
        deadline: Deadline,
    ) {
        let is_over = matches!(done, Ok(()))
            || matches!(done, Err(LvmError::Shell(error)) if !error.outcome_is_unknown());
        let orphans: Vec<&DevicePath> = paths
            .iter()
            .filter(|path| {
                let mut rows = machine.devices.iter();
                rows.any(|row| row.pv_name == path.as_str() && row.vg_uuid.is_empty())
            })
            .collect();
        if !is_over || orphans.is_empty() {
            return;
        }
        let line = Line::new("pvremove").words(orphans);
        if let Err(error) = self.lvm.run(View::Wide, &line, deadline) {
            tracing::warn!(%error, "disks keep an LVM label; remove it with pvremove");
        }
    }

    pub(in super::super) fn mark_group(
        &self,
        pool: &PoolId,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let group = self.group(pool)?;
        let mut session = group.enter(deadline)?;
        let row = self.own_group(&mut session)?;
        match Marks::read(&row.vg_tags).job {
            Some(other) if other != job.to_string() => Err(busy(&row)),
            Some(_) => Ok(()),
            None => self.retag_group(&mut session, &[], &[job_tag(job)]),
        }
    }

    pub(in super::super) fn unmark_group(
        &self,
        asked: &VolumeGroup,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let group = self.resolve(asked, deadline)?.ok_or_else(|| match asked {
            VolumeGroup::Known(id) => Error::not_found(format!("this array has no pool {id}")),
            VolumeGroup::Made(name) => Error::not_found(format!("this array has no pool {name}")),
        })?;
        let mut session = group.enter(deadline)?;
        let row = self.own_group(&mut session)?;
        match Marks::read(&row.vg_tags).job {
            None => Ok(()),
            Some(other) if other != job.to_string() => Err(busy(&row)),
            Some(_) => self.retag_group(&mut session, &[job_tag(job)], &[]),
        }
    }

    /// The group as it is now, if it is whole and bears the owner's mark.
    fn own_group(&self, session: &mut Session<'_>) -> Result<VgRow, Error> {
        own_row(self.state(session)?)
    }

    /// The managed group that a step names; `None` where it is gone.
    fn resolve(
        &self,
        asked: &VolumeGroup,
        deadline: Deadline,
    ) -> Result<Option<Arc<Group>>, Error> {
        match asked {
            VolumeGroup::Known(id) => Ok(self.lvm.group(id.as_str())),
            VolumeGroup::Made(name) => {
                let name = vg_name(name)?;
                let machine = self.lvm.find(deadline)?;
                // One of that name that was not made by this array is not the one that is meant.
                let row = named(&machine, &name);
                let row = row.filter(|row| Marks::read(&row.vg_tags).owned);
                Ok(row.and_then(|row| self.lvm.group(&row.vg_uuid)))
            }
        }
    }

    fn retag_group(
        &self,
        session: &mut Session<'_>,
        remove: &[Tag],
        add: &[Tag],
    ) -> Result<(), Error> {
        let line = Line::new("vgchange")
            .options("--deltag", remove)
            .options("--addtag", add)
            .option("-S", &ChosenGroup(&session.group.uuid))
            .word(&session.group.name);
        let done = self.lvm.run(View::Narrow, &line, session.deadline);
        verify(done, || {
            let row = session.state()?;
            let has = |tag: &Tag| {
                let tags = row.as_ref().map_or("", |row| row.vg_tags.as_str());
                tags.split(',').any(|word| word == tag.as_str())
            };
            Ok(add.iter().all(has) && !remove.iter().any(has))
        })
    }

    pub(in super::super) fn remove_group(
        &self,
        asked: &VolumeGroup,
        disks: &[DiskId],
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(group) = self.resolve(asked, deadline)? else {
            return self.free_rest(disks, deadline);
        };
        let mut session = group.enter(deadline)?;
        if session.state()?.is_none() {
            let machine = self.lvm.find(deadline)?;
            let is_there = machine
                .groups
                .iter()
                .any(|row| row.vg_uuid == group.uuid.as_str());
            return match is_there {
                true => Err(Error::unavailable(format!(
                    "volume group {} was renamed just now; try again",
                    group.name
                ))),
                false => self.free_rest(disks, deadline),
            };
        }
        let row = self.own_group(&mut session)?;
        if !is_of(&Marks::read(&row.vg_tags), job) {
            if let VolumeGroup::Made(_) = asked {
                // Another job made it: that of this one is gone, or never was.
                return Ok(());
            }
            return Err(Error::in_use(format!(
                "pool {} does not bear the mark of the job that would remove it",
                row.vg_name
            )));
        }
        if row.lv_count != Some(0) || !session.volumes()?.is_empty() {
            return Err(Error::in_use(format!(
                "pool {} holds volumes; remove them first",
                row.vg_name
            )));
        }
        let devices = session.devices()?;
        let paths = devices.iter().map(path).collect::<Result<Vec<_>, _>>()?;
        let line = Line::new("vgremove")
            .option("-S", &ChosenEmpty(&group.uuid, &job_tag(job)))
            .word(&group.name);
        let done = self.lvm.run(View::Narrow, &line, deadline);
        verify(done, || Ok(session.state()?.is_none()))?;
        self.lvm.forget(&group.uuid);
        let wiped = self.unlabel(&paths, deadline);
        self.lvm.find(deadline)?;
        wiped
    }

    /// Takes the labels off disks whose group is gone already, where an earlier attempt ended
    /// before it came to that.
    fn free_rest(&self, disks: &[DiskId], deadline: Deadline) -> Result<(), Error> {
        let allowed = self.disks.allowed().devices;
        let machine = self.lvm.find(deadline)?;
        let is_orphan = |path: &DevicePath| {
            let mut rows = machine.devices.iter();
            allowed.contains(path.as_str())
                && rows.any(|row| row.pv_name == path.as_str() && row.vg_uuid.is_empty())
        };
        let paths = disks.iter().filter_map(|id| self.disks.device_of(id));
        let orphans: Vec<DevicePath> = paths.filter(is_orphan).collect();
        match orphans.is_empty() {
            true => Ok(()),
            false => self.unlabel(&orphans, deadline),
        }
    }

    /// Makes disks that belonged to a group free. LVM refuses those that belong to one.
    fn unlabel(&self, paths: &[DevicePath], deadline: Deadline) -> Result<(), Error> {
        let line = Line::new("pvremove").words(paths);
        let done = self.lvm.run(View::Wide, &line, deadline);
        done.map_err(|error| {
            let names: Vec<&str> = paths.iter().map(DevicePath::as_str).collect();
            Error::unavailable(format!(
                "the LVM labels could not be taken off {}; use pvremove to make them free",
                names.join(", ")
            ))
            .caused_by(error)
        })
    }

    pub(in super::super) fn extend_group(
        &self,
        pool: &PoolId,
        disks: &[DiskId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let group = self.group(pool)?;
        let mut session = group.enter(deadline)?;
        // It may lack a disk: another one is what it needs then, and LVM allows it.
        self.state(&mut session)?;
        let members = self.members(&mut session)?;
        let new: Vec<DiskId> = disks
            .iter()
            .filter(|id| !members.contains_key(id))
            .cloned()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let paths = self.free(&new, deadline)?;
        let line = Line::new("vgextend")
            .option("--metadatasize", &Bytes(DISK_METADATA))
            .word(&group.name)
            .words(&paths);
        let done = self.lvm.run(View::Wide, &line, deadline);
        let machine = self.lvm.find(deadline)?;
        let is_in = |path: &DevicePath| {
            let mut rows = machine.devices.iter();
            rows.any(|row| row.pv_name == path.as_str() && row.vg_uuid == group.uuid.as_str())
        };
        if paths.iter().all(is_in) {
            return Ok(());
        }
        self.leave(&machine, &paths, &done, deadline);
        verify(done, || Ok(false))
    }

    pub(in super::super) fn reduce_group(
        &self,
        pool: &PoolId,
        disks: &[DiskId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.lvm.find(deadline)?;
        let group = self.group(pool)?;
        let mut session = group.enter(deadline)?;
        whole(self.state(&mut session)?)?;
        let members: BTreeMap<DiskId, PvRow> = self.members(&mut session)?;
        let rows: Vec<&PvRow> = disks.iter().filter_map(|id| members.get(id)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        if rows.len() == members.len() {
            return Err(Error::in_use(format!(
                "pool {} keeps at least one disk; name fewer, or delete the pool",
                group.name
            )));
        }
        if let Some(row) = rows.iter().find(|row| row.pv_free != row.pv_size) {
            return Err(Error::in_use(format!(
                "volumes lie on disk {}; move or remove them first",
                row.pv_name
            )));
        }
        let paths: Vec<_> = rows.iter().map(|row| path(row)).collect::<Result<_, _>>()?;
        let line = Line::new("vgreduce").word(&group.name).words(&paths);
        let done = self.lvm.run(View::Narrow, &line, deadline);
        verify(done, || {
            let left = session.devices()?;
            let is_in = |row: &&PvRow| left.iter().any(|pv| pv.pv_uuid == row.pv_uuid);
            Ok(!rows.iter().any(is_in))
        })?;
        let wiped = self.unlabel(&paths, deadline);
        self.lvm.find(deadline)?;
        wiped
    }

    pub(in super::super) fn rename_pool(
        &self,
        pool: &PoolId,
        name: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let new = name_tag(name)?;
        if let Some(group) = self.lvm.group(pool.as_str()) {
            let mut session = group.enter(deadline)?;
            let row = self.own_group(&mut session)?;
            let old = tags::names(&row.vg_tags);
            return match old == [new.clone()] {
                true => Ok(()),
                false => self.retag_group(&mut session, &old, &[new]),
            };
        }
        let subject = Subject::Pool(pool.clone());
        let (group, found) = self.locate(&subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &found, &subject)?;
        let old = tags::names(&row.lv_tags);
        if old == [new.clone()] {
            return Ok(());
        }
        let done = session.retag(&identity(&row)?, &old, std::slice::from_ref(&new));
        verify(done, || {
            let row = session.find(found.which())?;
            Ok(row.is_some_and(|row| tags::names(&row.lv_tags) == [new]))
        })
    }

    /// Manages these groups from now on, besides those of the configuration.
    pub(in super::super) fn adopt(
        &self,
        groups: &[VolumeGroup],
        deadline: Deadline,
    ) -> Result<(), Error> {
        // What is no name or identity for LVM cannot be there.
        self.lvm
            .claim(groups.iter().filter_map(|group| match group {
                VolumeGroup::Known(id) => LvmUuid::new(id.as_str()).ok(),
                VolumeGroup::Made(_) => None,
            }));
        self.lvm
            .expect(groups.iter().filter_map(|group| match group {
                VolumeGroup::Made(name) => VgName::new(name.as_str()).ok(),
                VolumeGroup::Known(_) => None,
            }));
        self.lvm.find(deadline)?;
        Ok(())
    }
}

fn vg_name(name: &str) -> Result<VgName, Error> {
    VgName::new(name).map_err(|e| Error::invalid(e.to_string()))
}

fn named<'a>(machine: &'a Machine, name: &VgName) -> Option<&'a VgRow> {
    let mut groups = machine.groups.iter();
    groups.find(|row| row.vg_name == name.as_str())
}

fn own_row(row: VgRow) -> Result<VgRow, Error> {
    if !Marks::read(&row.vg_tags).owned {
        return Err(Error::access_denied(format!(
            "pool {} was not made by this array and is not changed by it",
            row.vg_name
        )));
    }
    whole(row)
}

fn whole(row: VgRow) -> Result<VgRow, Error> {
    match row.vg_partial.is_empty() {
        true => Ok(row),
        false => Err(lacks_disk(&row.vg_name)),
    }
}

fn busy(row: &VgRow) -> Error {
    Error::in_use(format!(
        "another job works on pool {}; wait for it",
        row.vg_name
    ))
}
