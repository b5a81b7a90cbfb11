//! What steps do to volumes, and what they refuse, as LVM and its marks make it.
//!
//! Every function either changes everything that it is about or nothing. It knows nothing of
//! exports beyond whether there is one.

use std::collections::BTreeSet;

use super::extents::{Content, EXTENT, Segment, count, cut, push_segment};
use super::guards::{marked_by, no_other_job, not_held, ours, unmarked, whole_extents};
use super::keep::Row;
use super::legs::Legs;
use super::machine::{Body, GroupRow, Lv, Machine};
use super::names::{check_device, check_display};
use super::replicas::Kin;
use super::thin::{ThinSpace, pool_id};
use crate::array::{DiskId, Error, JobId, Layout, Owner, Place, PoolId, Subject, VolumeId};

/// What a new volume is asked to be.
pub(super) struct Wish<'a> {
    pub(super) device: &'a str,
    pub(super) name: &'a str,
    /// Bytes.
    pub(super) size: u64,
    pub(super) place: &'a Place,
    pub(super) job: JobId,
}

impl Machine {
    /// The logical volume of that device name.
    pub(super) fn of_device(&self, group: &PoolId, device: &str) -> Option<&Lv> {
        let id = self.devices.get(&(group.clone(), device.to_owned()))?;
        self.volumes.get(id)
    }

    /// The volume or thin pool that a step names; `None` where it is gone.
    pub(super) fn find(&self, subject: &Subject) -> Result<Option<&Lv>, Error> {
        match subject {
            Subject::Known(id) => Ok(self.volume(id).ok()),
            Subject::Pool(id) => Ok(self.thin_pool(id).ok().map(|(lv, _)| lv)),
            Subject::Made(group, device) => {
                self.group(group)?;
                Ok(self.of_device(group, device))
            }
        }
    }

    /// The volume or thin pool that a step names; an error where it is gone.
    pub(super) fn present(&self, subject: &Subject) -> Result<&Lv, Error> {
        self.find(subject)?.ok_or_else(|| {
            let name = match subject {
                Subject::Known(id) => id.as_str(),
                Subject::Pool(id) => id.as_str(),
                Subject::Made(_, device) => device,
            };
            Error::not_found(format!(
                "there is no volume {name}; it may have been removed"
            ))
        })
    }

    /// See [`Step::Create`](crate::array::Step::Create).
    pub(super) fn create(&mut self, group_id: &PoolId, wish: &Wish<'_>) -> Result<(), Error> {
        let group = self.group(group_id)?;
        check_device(&group.row.device, wish.device)?;
        check_display(wish.name)?;
        let extents = whole_extents(wish.size)?;
        if let Place::Disks { layout, legs } = wish.place {
            fits_layout(*layout, legs, extents)?;
        }
        if let Some(lv) = self.of_device(group_id, wish.device) {
            let is_same = ours(lv).is_ok()
                && lv.job == Some(wish.job)
                && lv.extents() == extents
                && lv.name.as_deref() == Some(wish.name)
                && lies_at(lv, wish.place);
            return match is_same {
                true => Ok(()),
                false => Err(Error::already_exists(format!(
                    "pool {} already has a logical volume {}; choose another name",
                    group.name(),
                    wish.device
                ))),
            };
        }
        let body = match wish.place {
            Place::Thin(pool) => self.thin_body(group_id, pool, extents)?,
            Place::Disks { layout, legs } => {
                self.has_room_for(group_id, *layout, legs, extents)?;
                let legs = self.allocate_legs(group_id, *layout, legs, extents);
                Body::Thick(legs.ok_or_else(|| {
                    Error::no_space("the disks have too little room").with_largest(0)
                })?)
            }
        };
        let lv = Lv {
            id: self.new_volume_id(group_id),
            device: wish.device.to_owned(),
            name: Some(wish.name.to_owned()),
            group: group_id.clone(),
            body,
            owner: Owner::Array,
            job: Some(wish.job),
            serial: None,
            held_by: None,
            created: self.now,
            moving: None,
            kin: Kin::default(),
        };
        self.insert(lv)
    }

    /// Refuses a volume that has no room in its group, or on the disks of its legs.
    fn has_room_for(
        &self,
        group: &PoolId,
        layout: Layout,
        legs: &[DiskId],
        extents: u64,
    ) -> Result<(), Error> {
        let group = self.group(group)?;
        for id in legs {
            if !group.row.disks.contains(id) {
                return Err(Error::not_found(format!(
                    "disk {id} does not belong to pool {}; look at its disks",
                    group.name()
                )));
            }
        }
        self.has_room(group, layout.consumed(extents))?;
        let rows = extents / layout.data_legs();
        let free = legs.iter().filter_map(|id| self.disks.get(id));
        let least = free.map(|disk| disk.space.free()).min().unwrap_or(u64::MAX);
        if rows + layout.metadata_per_leg() <= least {
            return Ok(());
        }
        let largest = least.saturating_sub(layout.metadata_per_leg()) * layout.data_legs();
        Err(Error::no_space(format!(
            "pool {} has too little room on the disks for {}; ask for less",
            group.name(),
            layout.name()
        ))
        .with_largest(largest * EXTENT))
    }

    /// Puts a new logical volume in its place and keeps it.
    pub(super) fn insert(&mut self, lv: Lv) -> Result<(), Error> {
        self.insert_with_spare(lv, Vec::new())
    }

    /// The same, and adds these extents to the spare of its group.
    pub(super) fn insert_with_spare(&mut self, lv: Lv, spare: Vec<Segment>) -> Result<(), Error> {
        let mut row = self.group(&lv.group)?.row.clone();
        let mut rows = vec![Row::Volume(&lv.id, Some(&lv))];
        let grown = GroupRow {
            spare: row.spare.iter().chain(&spare).cloned().collect(),
            ..row.clone()
        };
        if !spare.is_empty() {
            rows.push(Row::Group(&grown.id, Some(&grown)));
        }
        if let Err(error) = self.keep.commit(&rows, self.made) {
            self.give_back(lv.segments().into_iter().chain(&spare));
            return Err(error);
        }
        row.spare = grown.spare;
        let group = self.group_mut(&lv.group)?;
        group.row = row;
        group.volumes += 1;
        if let Body::Pool(_) = lv.body {
            let space = ThinSpace::new(lv.extents());
            self.thin_space.insert(lv.id.clone(), space);
        }
        let key = (lv.group.clone(), lv.device.clone());
        self.devices.insert(key, lv.id.clone());
        let id = lv.id.clone();
        self.volumes.insert(id.clone(), lv);
        self.begin_sync(&id);
        self.generation += 1;
        Ok(())
    }

    /// Keeps a changed logical volume, then puts it in the place of the old one.
    pub(super) fn replace(&mut self, lv: Lv) -> Result<(), Error> {
        self.keep
            .commit(&[Row::Volume(&lv.id, Some(&lv))], self.made)?;
        self.volumes.insert(lv.id.clone(), lv);
        self.generation += 1;
        Ok(())
    }

    /// Removes a logical volume; its extents keep what they hold. The spare goes with the last thin
    /// pool, as in LVM.
    pub(super) fn delete(&mut self, lv: &Lv) -> Result<(), Error> {
        let is_pool = |lv: &Lv| matches!(lv.body, Body::Pool(_));
        let pools = self.volumes_in(&lv.group).filter(|lv| is_pool(lv)).count();
        let orphans = self.orphans(lv);
        let mut rows = vec![Row::Volume(&lv.id, None)];
        rows.extend(
            orphans
                .iter()
                .map(|orphan| Row::Volume(&orphan.id, Some(orphan))),
        );
        let mut row = self.group(&lv.group)?.row.clone();
        let mut spare = Vec::new();
        if is_pool(lv) && pools == 1 {
            spare = std::mem::take(&mut row.spare);
        }
        if !spare.is_empty() {
            rows.push(Row::Group(&row.id, Some(&row)));
        }
        self.keep.commit(&rows, self.made)?;
        self.group_mut(&lv.group)?.row = row;
        self.forget(lv)?;
        self.give_back(lv.segments().into_iter().chain(&spare));
        if let Body::Thin(map) = &lv.body
            && let Some(space) = self.thin_space.get_mut(&map.pool)
        {
            map.given.values().for_each(|at| space.give_back(*at));
        }
        for orphan in orphans {
            self.volumes.insert(orphan.id.clone(), orphan);
        }
        Ok(())
    }

    fn forget(&mut self, lv: &Lv) -> Result<(), Error> {
        self.volumes.remove(&lv.id);
        self.syncing.remove(&lv.id);
        self.thin_space.remove(&lv.id);
        self.devices.remove(&(lv.group.clone(), lv.device.clone()));
        self.group_mut(&lv.group)?.volumes -= 1;
        self.generation += 1;
        Ok(())
    }

    /// See [`Step::Mark`](crate::array::Step::Mark).
    pub(super) fn mark(&mut self, subject: &Subject, job: JobId) -> Result<(), Error> {
        let lv = self.present(subject)?;
        ours(lv)?;
        if lv.job == Some(job) {
            return Ok(());
        }
        self.may_mark(lv, job)?;
        let mut lv = lv.clone();
        self.note_missing(&lv.group)?;
        lv.job = Some(job);
        self.replace(lv)
    }

    /// See [`Step::Unmark`](crate::array::Step::Unmark).
    pub(super) fn unmark(&mut self, subject: &Subject, job: JobId) -> Result<(), Error> {
        let lv = self.present(subject)?;
        ours(lv)?;
        if lv.job.is_none() {
            return Ok(());
        }
        marked_by(lv.job, job, &lv.called())?;
        let mut lv = lv.clone();
        self.note_missing(&lv.group)?;
        lv.job = None;
        self.replace(lv)
    }

    /// See [`Step::Remove`](crate::array::Step::Remove).
    pub(super) fn remove(&mut self, subject: &Subject, job: JobId) -> Result<(), Error> {
        let Some(lv) = self.find(subject)? else {
            return Ok(());
        };
        ours(lv)?;
        marked_by(lv.job, job, &lv.called())?;
        self.idle(lv)?;
        self.stays(lv)?;
        self.is_unused(lv)?;
        self.has_no_deltas(lv)?;
        let lv = lv.clone();
        self.note_missing(&lv.group)?;
        self.delete(&lv)
    }

    /// See [`Step::Rename`](crate::array::Step::Rename).
    pub(super) fn rename(&mut self, id: &VolumeId, name: &str) -> Result<(), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        check_display(name)?;
        self.complete(self.group(&lv.group)?)?;
        let mut lv = lv.clone();
        lv.name = Some(name.to_owned());
        self.replace(lv)
    }

    /// See [`Step::Absorb`](crate::array::Step::Absorb).
    pub(super) fn absorb(
        &mut self,
        id: &VolumeId,
        reserve: &Subject,
        size: u64,
        job: JobId,
    ) -> Result<(), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        let extents = whole_extents(size)?;
        let Some(reserve) = self.find(reserve)? else {
            return match lv.extents() == extents {
                true => Ok(()),
                false => Err(Error::not_found(format!(
                    "the extents set aside for {} are gone; grow it again",
                    lv.called()
                ))),
            };
        };
        no_other_job(lv, job)?;
        not_held(lv)?;
        self.stays(lv)?;
        self.has_no_deltas(lv)?;
        ours(reserve)?;
        marked_by(reserve.job, job, &reserve.called())?;
        self.idle(reserve)?;
        let mut grown = lv.clone();
        grown.body = Body::Thick(self.joined(lv, reserve, extents)?);
        self.complete(self.group(&lv.group)?)?;
        let reserve = reserve.clone();
        let rows = [
            Row::Volume(&grown.id, Some(&grown)),
            Row::Volume(&reserve.id, None),
        ];
        self.keep.commit(&rows, self.made)?;
        self.forget(&reserve)?;
        let id = grown.id.clone();
        self.volumes.insert(id.clone(), grown);
        self.begin_sync(&id);
        Ok(())
    }

    /// The legs of a volume, each with the extents that a reserve has on its disk behind it.
    fn joined(&self, lv: &Lv, reserve: &Lv, extents: u64) -> Result<Legs, Error> {
        let (Body::Thick(legs), Body::Thick(more)) = (&lv.body, &reserve.body) else {
            return Err(Error::invalid(format!(
                "{} does not lie on disks by itself and takes no extents that were set aside",
                lv.called()
            )));
        };
        if reserve.group != lv.group || reserve.id == lv.id {
            return Err(Error::invalid(format!(
                "{} can only grow by another volume of its own pool",
                lv.called()
            )));
        }
        let unlike = || {
            Error::invalid(format!(
                "what was set aside for {} does not lie on the disks of its legs",
                lv.called()
            ))
        };
        if more.is_redundant() || more.legs.len() != legs.legs.len() {
            return Err(unlike());
        }
        if legs.extents() + more.rows() * legs.layout.data_legs() != extents {
            return Err(Error::invalid(format!(
                "{} would not have the size that was asked for; grow it by exactly what was set \
                 aside",
                lv.called()
            )));
        }
        let mut grown = legs.clone();
        grown.synced = self.synced(&lv.id, legs);
        for leg in &mut grown.legs {
            let found = more.legs.iter().find(|other| {
                legs.layout == Layout::Linear
                    || other.data.first().map(|s| &s.disk) == leg.data.last().map(|s| &s.disk)
            });
            for segment in &found.ok_or_else(unlike)?.data {
                push_segment(&mut leg.data, segment.clone());
            }
        }
        let end = legs.extents();
        let worst = self.worst_of(more.segments());
        match &mut grown.written {
            Some(written) => {
                written.fill(end, extents - end, worst);
            }
            None => grown.synced = grown.rows(),
        }
        Ok(grown)
    }

    /// See [`Step::Shrink`](crate::array::Step::Shrink).
    pub(super) fn shrink(&mut self, id: &VolumeId, size: u64) -> Result<(), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        unmarked(lv.job, &lv.called())?;
        let extents = whole_extents(size)?;
        let Body::Thick(legs) = &lv.body else {
            return Err(Error::invalid(format!(
                "{} is thin or a snapshot and is not made smaller",
                lv.called()
            )));
        };
        if extents == legs.extents() {
            return Ok(());
        }
        if extents > legs.extents() || !extents.is_multiple_of(legs.layout.data_legs()) {
            return Err(Error::invalid(format!(
                "{} cannot shrink to {size} bytes; give less than it has, in whole stripes",
                lv.called()
            )));
        }
        self.stays(lv)?;
        self.idle(lv)?;
        self.has_no_deltas(lv)?;
        self.complete(self.group(&lv.group)?)?;
        let mut lv = lv.clone();
        let mut tail = Vec::new();
        if let Body::Thick(legs) = &mut lv.body {
            let rows = extents / legs.layout.data_legs();
            for leg in &mut legs.legs {
                tail.extend(cut(&mut leg.data, rows));
            }
            legs.synced = legs.synced.min(rows);
            if let Some(written) = &mut legs.written {
                written.cut(extents);
            }
        }
        self.replace(lv)?;
        self.give_back(&tail);
        Ok(())
    }

    /// Whether that job may overwrite the volume, and how many extents that is.
    pub(super) fn may_zero(&self, subject: &Subject, job: JobId) -> Result<u64, Error> {
        let lv = self.present(subject)?;
        ours(lv)?;
        marked_by(lv.job, job, &lv.called())?;
        self.idle(lv)?;
        if !matches!(lv.body, Body::Thick(_)) {
            return Err(Error::invalid(format!(
                "{} is thin and holds zeros where nothing was written",
                lv.called()
            )));
        }
        self.readable(lv)?;
        Ok(lv.extents())
    }

    /// Overwrites some extents of a volume with zeros, after looking at it again.
    pub(super) fn zero(
        &mut self,
        subject: &Subject,
        job: JobId,
        start: u64,
        length: u64,
    ) -> Result<(), Error> {
        self.may_zero(subject, job)?;
        let id = self.present(subject)?.id.clone();
        self.fill(&id, start, length, Content::Zeros);
        Ok(())
    }

    /// Keeps what a volume holds now, and what its snapshots keep.
    pub(super) fn keep_contents(&mut self, id: &VolumeId) -> Result<(), Error> {
        let Some(lv) = self.volumes.get(id) else {
            return Ok(());
        };
        let mut touched: Vec<VolumeId> = self.deltas_of(lv).map(|lv| lv.id.clone()).collect();
        touched.push(id.clone());
        let touched = touched.iter().filter_map(|id| self.volumes.get(id));
        let rows: Vec<_> = touched.map(|lv| Row::Volume(&lv.id, Some(lv))).collect();
        self.keep.commit(&rows, self.made)
    }
}

/// Refuses legs that are no legs of that layout.
fn fits_layout(layout: Layout, legs: &[DiskId], extents: u64) -> Result<(), Error> {
    let distinct: BTreeSet<_> = legs.iter().collect();
    let anywhere = layout == Layout::Linear && legs.is_empty();
    let is_whole = extents.is_multiple_of(layout.data_legs());
    let least = match layout {
        Layout::Linear => true,
        Layout::Striped { stripes }
        | Layout::MirroredStripes { stripes }
        | Layout::Parity { stripes, .. } => stripes >= 2,
        Layout::Mirrored { copies } => copies >= 2,
    };
    match least && is_whole && (anywhere || distinct.len() == usize::from(layout.legs())) {
        true if distinct.len() == legs.len() => Ok(()),
        _ => Err(Error::invalid(format!(
            "a {} volume needs {} different disks and whole stripes",
            layout.name(),
            layout.legs()
        ))),
    }
}

/// Whether a volume lies where it was to lie.
fn lies_at(lv: &Lv, place: &Place) -> bool {
    match (&lv.body, place) {
        (
            Body::Thick(legs),
            Place::Disks {
                layout,
                legs: disks,
            },
        ) => {
            let on = |(leg, disk): (&super::legs::Leg, &DiskId)| {
                leg.data.iter().all(|segment| segment.disk == *disk)
            };
            legs.layout == *layout && legs.legs.iter().zip(disks).all(on)
        }
        (Body::Thin(map), Place::Thin(pool)) => map.pool.as_str() == pool.as_str(),
        _ => false,
    }
}

/// What a thin pool takes from its group, in extents: the spare is the group's.
pub(super) fn consumed(lv: &Lv) -> u64 {
    let goes_to = count(lv.goes_to());
    goes_to
        + match &lv.body {
            Body::Thick(legs) => legs.consumed(),
            Body::Thin(map) => map.given.len() as u64,
            Body::Pool(pool) => count(&pool.data) + count(&pool.metadata),
            Body::Delta(delta) => count(&delta.room),
        }
}

/// The pool that a volume lies in.
pub(super) fn pool_of(machine: &Machine, lv: &Lv) -> PoolId {
    match &lv.body {
        Body::Thin(map) => machine
            .volumes
            .get(&map.pool)
            .map_or_else(|| lv.group.clone(), pool_id),
        _ => lv.group.clone(),
    }
}
