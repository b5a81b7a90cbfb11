//! The steps that change the size of a volume.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Name, device_name, extent_size, extents, identity, locate_in, marked, not_busy, not_ours,
    verify,
};
use crate::array::{Error, JobId, Layout, Subject, VolumeId};
use crate::engine::linux::LinuxEngine;
use crate::engine::linux::lvm::group::{LvmError, Session, Which};
use crate::engine::linux::lvm::report::LvRow;
use crate::engine::linux::lvm::shape::Shapes;
use crate::engine::linux::lvm::tags::Marks;
use crate::engine::linux::watch::Deadline;

/// How many ranges of extents a volume can grow by at once: LVM's shell takes fewer than 64 words.
const MAX_PIECES: usize = 48;

impl LinuxEngine {
    pub(in super::super) fn absorb(
        &self,
        volume: &VolumeId,
        reserve: &Subject,
        size: u64,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let subject = Subject::Known(volume.clone());
        let (group, name) = self.locate(&subject, deadline)?;
        let reserve = locate_in(&group, reserve)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, &subject)?;
        not_busy(&row, Some(job))?;
        let old = row.lv_size.unwrap_or_default();
        let Some(spare) = session.find(reserve.which())? else {
            return match old == size {
                true => Ok(()),
                false => Err(Error::not_found(
                    "the extents that were set aside are gone; try to grow the volume again",
                )),
            };
        };
        if !Marks::read(&spare.lv_tags).owned {
            return Err(not_ours(&spare));
        }
        marked(&spare, job)?;
        not_entangled(&row)?;
        let sum = old.checked_add(yields(&mut session, &row, &spare)?);
        if sum != Some(size) || spare.lv_uuid == row.lv_uuid {
            return Err(Error::invalid(
                "the extents that were set aside do not add up to the new size",
            ));
        }
        self.refuse_exported(&spare, deadline)?;
        if !self.is_exported(&row, deadline)? {
            self.refuse_held(&mut session, &row)?;
        }
        self.take_over(&mut session, &row, &spare, size)
    }

    /// Frees the extents of `spare` and extends `row` onto exactly these. In between they belong
    /// to nobody: had another program changed the group meanwhile, it might have written to them,
    /// so the group's sequence number must have moved by our two changes only.
    fn take_over(
        &self,
        session: &mut Session<'_>,
        row: &LvRow,
        spare: &LvRow,
        size: u64,
    ) -> Result<(), Error> {
        let volume = identity(row)?;
        let device = device_name(row)?;
        let extent = extent_size(&self.state(session)?)?;
        let extents = session.extents(&identity(spare)?)?;
        let extents = extents.ok_or_else(|| Error::bug("the extents set aside are not plain"))?;
        if extents.len() > MAX_PIECES {
            return Err(Error::no_space(format!(
                "the free space of pool {} is in more than {MAX_PIECES} pieces; grow the volume \
                 by less at a time",
                session.group.name
            )));
        }
        let before = session
            .find(Which::Uuid(&volume))?
            .and_then(|row| row.vg_seqno);
        self.remove_row(session, spare)?;
        let done = session.extend(&device, row.has_layout("linear"), size / extent, &extents);
        let now = session.find(Which::Uuid(&volume));
        let old = row.lv_size.unwrap_or_default();
        match &now {
            Ok(Some(now)) if now.lv_size == Some(old) => {
                return Err(done.err().map_or_else(
                    || Error::unavailable("LVM did not extend the volume; try again"),
                    Error::from,
                ));
            }
            Ok(Some(now))
                if now.lv_size == Some(size) && before.map(|seqno| seqno + 2) == now.vg_seqno =>
            {
                return Ok(());
            }
            _ => {}
        }
        // Nobody can say that the new extents hold zeros still.
        match session.reduce(&device, old / extent) {
            Ok(()) => Err(Error::unavailable(format!(
                "another program changed volume group {} at the same time; try again",
                session.group.name
            ))),
            // A bug in what was promised: it is not taken for done, whatever its size says.
            Err(error) => Err(Error::bug(format!(
                "volume {} may have grown onto extents that another program used meanwhile; \
                 compare its size, and do not use what lies behind {old} bytes",
                row.lv_name
            ))
            .caused_by(error)),
        }
    }

    pub(in super::super) fn grow_thin(
        &self,
        volume: &VolumeId,
        size: u64,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let subject = Subject::Known(volume.clone());
        let (group, name) = self.locate(&subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, &subject)?;
        not_busy(&row, None)?;
        if !row.has_layout("thin") {
            return Err(Error::invalid(format!(
                "volume {} is not a thin one",
                row.lv_name
            )));
        }
        if row.lv_size == Some(size) {
            return Ok(());
        }
        if row.lv_size > Some(size) {
            return Err(Error::invalid(format!(
                "volume {} is larger than {size} bytes already",
                row.lv_name
            )));
        }
        let extents = extents(&self.state(&mut session)?, size)?;
        if !self.is_exported(&row, deadline)? {
            self.refuse_held(&mut session, &row)?;
        }
        let done = session.extend_thin(&device_name(&row)?, extents);
        has_size(&mut session, &name, size, done)
    }

    pub(in super::super) fn shrink(
        &self,
        volume: &VolumeId,
        size: u64,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let subject = Subject::Known(volume.clone());
        let (group, name) = self.locate(&subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, &subject)?;
        not_busy(&row, None)?;
        if row.lv_size == Some(size) {
            return Ok(());
        }
        if row.has_layout("thin") {
            return Err(Error::invalid(format!(
                "volume {} is thin and is not shrunk; it takes no more than is written",
                row.lv_name
            )));
        }
        if row.lv_size < Some(size) {
            return Err(Error::invalid(format!(
                "volume {} is smaller than {size} bytes already",
                row.lv_name
            )));
        }
        not_entangled(&row)?;
        let extents = extents(&self.state(&mut session)?, size)?;
        let rows = session.segments()?;
        let legs = Shapes::new(&rows, [], [])
            .of(&row.lv_name)
            .layout
            .data_legs();
        if !extents.is_multiple_of(legs) {
            return Err(Error::invalid(format!(
                "{size} bytes cannot be divided among {legs} disks in whole extents"
            )));
        }
        self.refuse_exported(&row, deadline)?;
        self.refuse_held(&mut session, &row)?;
        let done = session.reduce(&device_name(&row)?, extents);
        has_size(&mut session, &name, size, done)
    }
}

/// Refuses what has snapshots of its size, or is one.
fn not_entangled(row: &LvRow) -> Result<(), Error> {
    if row.is_delta() {
        return Err(Error::invalid(format!(
            "volume {} is a snapshot and has the size of its source; it cannot have another one",
            row.lv_name
        )));
    }
    match row.lv_descendants.is_empty() {
        true => Ok(()),
        false => Err(Error::has_dependents(format!(
            "volume {} has snapshots; remove them first",
            row.lv_name
        ))),
    }
}

/// How many bytes a volume grows by when it takes the extents of another one.
fn yields(session: &mut Session<'_>, row: &LvRow, spare: &LvRow) -> Result<u64, Error> {
    if row.has_layout("thin") {
        return Err(Error::invalid("a thin volume has no extents of its own"));
    }
    let (rows, devices) = (session.segments()?, session.devices()?);
    let shapes = Shapes::new(&rows, &devices, []);
    let (shape, set_aside) = (shapes.of(&row.lv_name), shapes.of(&spare.lv_name));
    let size = spare.lv_size.unwrap_or_default();
    if shape.layout == Layout::Linear {
        return Ok(size);
    }
    let mut by_disk = BTreeMap::new();
    for stretch in &set_aside.stretches {
        *by_disk.entry(stretch.pv.as_str()).or_insert(0) += stretch.count;
    }
    let disks: BTreeSet<&str> = shape.stretches.iter().map(|s| s.pv.as_str()).collect();
    let legs = u64::from(shape.layout.legs());
    let share = set_aside.extents / legs;
    let fits = disks.len() as u64 == legs
        && by_disk.len() == disks.len()
        && disks.iter().all(|disk| by_disk.get(disk) == Some(&share));
    match fits {
        true => Ok(size / legs * shape.layout.data_legs()),
        false => Err(Error::invalid(format!(
            "the extents that were set aside do not lie on the disks of volume {}, as many on each",
            row.lv_name
        ))),
    }
}

/// Verifies that a volume has that size now.
fn has_size(
    session: &mut Session<'_>,
    name: &Name,
    size: u64,
    done: Result<(), LvmError>,
) -> Result<(), Error> {
    verify(done, || {
        let row = session.find(name.which())?;
        Ok(row.is_some_and(|row| row.lv_size == Some(size)))
    })
}
