//! What steps do to volume groups, and what they refuse, as LVM and its marks make it.
//!
//! Every function either changes everything that it is about or nothing.

use std::collections::BTreeSet;

use super::guards::{marked_by, our_group, unmarked};
use super::keep::Row;
use super::legs::Standing;
use super::machine::{Body, Group, GroupRow, Lv, Machine, lvm_uuid};
use super::names::{check_display, check_group};
use crate::array::{DiskId, Error, JobId, Owner, PoolId, VolumeGroup};

/// Bytes of a group's metadata area: room for some ten thousand volumes.
pub(super) const METADATA: u64 = 32 << 20;

/// What stays on a disk that was dropped from its group while it was away.
const OUTDATED: &str = "it was dropped from its volume group while it was away and still bears the sign of it; wipe it";

impl Machine {
    /// The group that a step names; `None` where it is gone.
    fn find_group(&self, group: &VolumeGroup) -> Option<&Group> {
        match group {
            VolumeGroup::Known(id) => self.group(id).ok(),
            VolumeGroup::Made(device) => self.groups.iter().find(|g| g.row.device == *device),
        }
    }

    /// Manages these groups, and those that it was configured with.
    pub(super) fn manage(&mut self, groups: &[VolumeGroup]) {
        let configured = self.groups.iter().filter(|group| group.row.configured);
        let made = groups
            .iter()
            .filter_map(|group| match group {
                VolumeGroup::Known(id) => self.groups.iter().find(|g| g.row.id == *id),
                // A name alone says nothing.
                VolumeGroup::Made(_) => self.find_group(group).filter(|g| g.row.job.is_some()),
            })
            .filter(|group| group.row.owner == Owner::Array);
        self.managed = configured
            .chain(made)
            .map(|group| group.row.id.clone())
            .collect();
        self.generation += 1;
    }

    /// Refuses disks that a group cannot be made of or get.
    fn all_free(&self, disks: &[DiskId]) -> Result<(), Error> {
        let distinct: BTreeSet<_> = disks.iter().collect();
        if disks.is_empty() || distinct.len() < disks.len() {
            return Err(Error::invalid("name at least one disk, and each once"));
        }
        disks.iter().try_for_each(|id| self.is_free(id))
    }

    /// See [`Step::CreateGroup`](crate::array::Step::CreateGroup).
    pub(super) fn create_group(
        &mut self,
        device: &str,
        name: &str,
        disks: &[DiskId],
        job: JobId,
    ) -> Result<(), Error> {
        check_group(device)?;
        check_display(name)?;
        if let Some(group) = self.groups.iter().find(|g| g.row.device == device) {
            let row = &group.row;
            let same_disks = row.disks.iter().collect::<BTreeSet<_>>() == disks.iter().collect();
            let is_same = row.owner == Owner::Array
                && row.job == Some(job)
                && row.name.as_deref() == Some(name)
                && same_disks;
            return match is_same {
                true => Ok(()),
                false => Err(Error::already_exists(format!(
                    "there is a volume group {device} already; choose another name"
                ))),
            };
        }
        self.all_free(disks)?;
        self.add_group(GroupRow {
            id: self.new_group_id(device),
            place: 0,
            device: device.to_owned(),
            name: Some(name.to_owned()),
            owner: Owner::Array,
            job: Some(job),
            configured: false,
            metadata: METADATA,
            disks: disks.to_vec(),
            spare: Vec::new(),
            closed: Default::default(),
            missing: Default::default(),
        })
    }

    /// A new identity for a group.
    pub(super) fn new_group_id(&self, device: &str) -> PoolId {
        lvm_uuid(&format!("group {device}/{}", self.made + 1)).into()
    }

    /// Puts a new group behind the others, keeps it, and manages it if it is this array's.
    pub(super) fn add_group(&mut self, row: GroupRow) -> Result<(), Error> {
        let last = self.groups.last().map_or(0, |group| group.row.place);
        let row = GroupRow {
            place: last + 1,
            ..row
        };
        self.keep
            .commit(&[Row::Group(&row.id, Some(&row))], self.made + 1)?;
        self.made += 1;
        if row.configured || row.owner == Owner::Array {
            self.managed.insert(row.id.clone());
        }
        self.groups.push(Group { row, volumes: 0 });
        self.generation += 1;
        Ok(())
    }

    /// Keeps a changed group, then puts it in the place of the old one.
    pub(super) fn replace_group(&mut self, row: GroupRow) -> Result<(), Error> {
        self.keep
            .commit(&[Row::Group(&row.id, Some(&row))], self.made)?;
        if let Some(group) = self.groups.iter_mut().find(|g| g.row.id == row.id) {
            group.row = row;
        }
        self.generation += 1;
        Ok(())
    }

    /// See [`Step::MarkGroup`](crate::array::Step::MarkGroup).
    pub(super) fn mark_group(&mut self, id: &PoolId, job: JobId) -> Result<(), Error> {
        let group = self.group(id)?;
        our_group(group)?;
        if group.row.job == Some(job) {
            return Ok(());
        }
        unmarked(group.row.job, &called(group))?;
        self.complete(group)?;
        let mut row = group.row.clone();
        row.job = Some(job);
        self.replace_group(row)
    }

    /// See [`Step::UnmarkGroup`](crate::array::Step::UnmarkGroup).
    pub(super) fn unmark_group(&mut self, group: &VolumeGroup, job: JobId) -> Result<(), Error> {
        let group = self.find_group(group).ok_or_else(|| {
            Error::not_found("the pool that was to be finished is not there; make it again")
        })?;
        our_group(group)?;
        if group.row.job.is_none() {
            return Ok(());
        }
        marked_by(group.row.job, job, &called(group))?;
        self.complete(group)?;
        let mut row = group.row.clone();
        row.job = None;
        self.replace_group(row)
    }

    /// See [`Step::RemoveGroup`](crate::array::Step::RemoveGroup).
    pub(super) fn remove_group(&mut self, named: &VolumeGroup, job: JobId) -> Result<(), Error> {
        let Some(group) = self.find_group(named) else {
            return Ok(());
        };
        // A group of that name without the job's mark is not the one that the job made.
        if matches!(named, VolumeGroup::Made(_)) && group.row.job != Some(job) {
            return Ok(());
        }
        our_group(group)?;
        marked_by(group.row.job, job, &called(group))?;
        if let Some(lv) = self.volumes_in(&group.row.id).next() {
            return Err(Error::in_use(format!(
                "{} holds {}; remove its volumes first",
                called(group),
                lv.called()
            )));
        }
        self.complete(group)?;
        let id = group.row.id.clone();
        self.keep.commit(&[Row::Group(&id, None)], self.made)?;
        self.groups.retain(|group| group.row.id != id);
        self.managed.remove(&id);
        self.generation += 1;
        Ok(())
    }

    /// See [`Step::ExtendGroup`](crate::array::Step::ExtendGroup).
    pub(super) fn extend_group(&mut self, id: &PoolId, disks: &[DiskId]) -> Result<(), Error> {
        let group = self.group(id)?;
        let new: Vec<DiskId> = disks
            .iter()
            .filter(|disk| !group.row.disks.contains(disk))
            .cloned()
            .collect();
        if new.is_empty() && !disks.is_empty() {
            return Ok(());
        }
        unmarked(group.row.job, &called(group))?;
        self.all_free(&new)?;
        self.note_missing(id)?;
        let mut row = self.group(id)?.row.clone();
        row.disks.extend(new);
        self.replace_group(row)
    }

    /// See [`Step::ReduceGroup`](crate::array::Step::ReduceGroup).
    pub(super) fn reduce_group(&mut self, id: &PoolId, disks: &[DiskId]) -> Result<(), Error> {
        let group = self.group(id)?;
        let mut row = group.row.clone();
        row.disks.retain(|disk| !disks.contains(disk));
        row.closed.retain(|disk| !disks.contains(disk));
        row.missing.retain(|disk| !disks.contains(disk));
        if row.disks.len() == group.row.disks.len() {
            return Ok(());
        }
        self.complete(group)?;
        for disk in disks.iter().filter(|id| group.row.disks.contains(id)) {
            let disk = self.disk(disk)?;
            if !disk.is_empty() {
                return Err(Error::in_use(format!(
                    "volumes lie on disk {}; it stays in {}",
                    disk.row.device,
                    called(group)
                )));
            }
        }
        if row.disks.is_empty() {
            return Err(Error::in_use(format!(
                "{} would have no disk left; remove the pool instead",
                called(group)
            )));
        }
        self.replace_group(row)
    }

    /// Notes down which disks of a group are away, as LVM does with everything that it notes down.
    pub(super) fn note_missing(&mut self, id: &PoolId) -> Result<(), Error> {
        let group = self.group(id)?;
        let away = group.row.disks.iter().filter(|id| !self.disk_is_there(id));
        let away: BTreeSet<DiskId> = away.cloned().collect();
        if away.is_subset(&group.row.missing) {
            return Ok(());
        }
        let mut row = group.row.clone();
        row.missing.extend(away);
        self.replace_group(row)
    }

    /// See [`Step::TakeBack`](crate::array::Step::TakeBack).
    pub(super) fn take_back(&mut self, id: &PoolId) -> Result<(), Error> {
        let mut row = self.group(id)?.row.clone();
        let missing = std::mem::take(&mut row.missing);
        let (back, away): (Vec<_>, _) = missing
            .into_iter()
            .partition(|disk| self.disk_is_there(disk));
        if back.is_empty() {
            return Ok(());
        }
        let lies_there = |lv: &&Lv| {
            let is_delta = matches!(lv.body, Body::Delta(_));
            is_delta && lv.segments().iter().any(|s| back.contains(&s.disk))
        };
        if let Some(snapshot) = self.volumes_in(id).find(lies_there) {
            return Err(Error::unavailable(format!(
                "{} has not kept what changed while its disk was away; delete it, then repair the \
                 volume again",
                snapshot.called()
            )));
        }
        row.missing = away.into_iter().collect();
        self.replace_group(row)?;
        for disk in back {
            self.mark_legs(&disk, Standing::Stale);
        }
        Ok(())
    }

    /// See [`Step::DropMissing`](crate::array::Step::DropMissing).
    pub(super) fn drop_missing(&mut self, id: &PoolId) -> Result<(), Error> {
        let group = self.group(id)?;
        let dropped: Vec<DiskId> = group
            .row
            .disks
            .iter()
            .filter_map(|id| self.disks.get(id))
            .filter(|disk| !disk.works() || group.row.missing.contains(&disk.row.id))
            .filter(|disk| disk.is_empty())
            .map(|disk| disk.row.id.clone())
            .collect();
        if dropped.is_empty() || dropped.len() == group.row.disks.len() {
            return Ok(());
        }
        let mut row = group.row.clone();
        row.disks.retain(|disk| !dropped.contains(disk));
        row.missing.retain(|disk| !dropped.contains(disk));
        for id in &dropped {
            let mut disk = self.disk(id)?.row.clone();
            disk.carries = Some(OUTDATED.to_owned());
            self.keep.commit(&[Row::Disk(&disk)], self.made)?;
            if let Some(known) = self.disks.get_mut(id) {
                known.row = disk;
            }
        }
        self.replace_group(row)
    }
}

/// How a sentence calls a group.
fn called(group: &Group) -> String {
    format!("pool {}", group.name())
}
