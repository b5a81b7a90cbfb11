//! The steps that give a volume more complete copies, or fewer, while it is open.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    device_name, extent_size, identity, lacks_disk, not_busy, path, room_for, rows_of, verify,
};
use crate::array::{DiskId, Error, Layout, Subject, VolumeId};
use crate::engine::linux::lvm::group::{LvmError, Session};
use crate::engine::linux::lvm::report::{LvRow, PvRow};
use crate::engine::linux::lvm::shape::{Shape, Shapes};
use crate::engine::linux::watch::Deadline;
use crate::engine::linux::{LIMIT, LinuxEngine};

/// A volume that consists of complete copies.
struct Copied {
    row: LvRow,
    shape: Shape,
}

impl Copied {
    /// How many there are.
    fn copies(&self) -> u16 {
        self.shape.layout.copies()
    }

    /// The copies that lie on these physical volumes, if only in part.
    fn on(&self, pvs: &BTreeSet<&str>) -> BTreeSet<u16> {
        let stretches = self.shape.stretches.iter();
        let on = stretches.filter(|stretch| pvs.contains(stretch.pv.as_str()));
        on.map(|stretch| stretch.leg).collect()
    }
}

/// How a volume of that name lies.
fn shape(session: &mut Session<'_>, name: &str) -> Result<Shape, LvmError> {
    let (rows, devices) = (session.segments()?, session.devices()?);
    Ok(Shapes::new(&rows, &devices, []).of(name))
}

impl LinuxEngine {
    /// A volume of ours that consists of copies.
    fn copied(&self, session: &mut Session<'_>, volume: &VolumeId) -> Result<Copied, Error> {
        let subject = Subject::Known(volume.clone());
        let name = super::locate_in(session.group, &subject)?;
        let row = self.owned(session, &name, &subject)?;
        if !self.state(session)?.vg_partial.is_empty() {
            return Err(lacks_disk(&row.vg_name));
        }
        let shape = shape(session, &row.lv_name)?;
        let is_copied = matches!(shape.layout, Layout::Linear | Layout::Mirrored { .. });
        match is_copied && !row.has_layout("thin") {
            true => Ok(Copied { row, shape }),
            false => Err(Error::invalid(format!(
                "volume {} does not consist of complete copies; make another volume",
                row.lv_name
            ))),
        }
    }

    /// Refuses a volume whose copies must stay as they are.
    fn expect_changeable(copied: &Copied) -> Result<(), Error> {
        not_busy(&copied.row, None)?;
        match copied.row.lv_descendants.is_empty() {
            true => Ok(()),
            false => Err(Error::has_dependents(format!(
                "volume {} has snapshots; remove them first",
                copied.row.lv_name
            ))),
        }
    }

    /// Refuses to take off these copies where not all others work and hold everything.
    fn expect_whole_without(
        &self,
        session: &mut Session<'_>,
        copied: &Copied,
        gone: &BTreeSet<u16>,
    ) -> Result<(), Error> {
        self.active(session, &identity(&copied.row)?)?;
        match self.raid(&copied.row)?.holds_all_without(gone) {
            true => Ok(()),
            false => Err(Error::unavailable(format!(
                "the other copies of volume {} are not all whole and in step; wait until they are",
                copied.row.lv_name
            ))),
        }
    }

    pub(in super::super) fn add_copies(
        &self,
        volume: &VolumeId,
        onto: &[DiskId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, _) = self.locate(&Subject::Known(volume.clone()), deadline)?;
        let mut session = group.enter(deadline)?;
        let copied = self.copied(&mut session, volume)?;
        let members = self.members(&mut session)?;
        let rows = rows_of(&members, onto, &group)?;
        let used = |row: &&PvRow| !copied.on(&[row.pv_uuid.as_str()].into()).is_empty();
        let new: Vec<&PvRow> = rows.into_iter().filter(|row| !used(row)).collect();
        if new.is_empty() {
            return Ok(());
        }
        Self::expect_changeable(&copied)?;
        self.expect_room(&mut session, &copied, &members, &new)?;
        // The kernel tells how a volume with copies is only of one that is active.
        self.active(&mut session, &identity(&copied.row)?)?;
        if copied.shape.layout != Layout::Linear {
            self.expect_in_step(&copied.row, &BTreeSet::new())?;
        }
        let copies = copied.copies() + u16::try_from(new.len()).unwrap_or(u16::MAX);
        let onto: Vec<_> = new.into_iter().map(path).collect::<Result<_, _>>()?;
        session.deadline = Deadline::after(LIMIT);
        let done = session.add_copies(&device_name(&copied.row)?, copies, &onto);
        session.deadline = Deadline::after(LIMIT);
        verify(done, || {
            let now = shape(&mut session, &copied.row.lv_name)?;
            Ok(now.layout == Layout::Mirrored { copies })
        })
    }

    /// Refuses new copies without room on each of these disks, and on the disk of the first one,
    /// which must be the only one under it.
    fn expect_room(
        &self,
        session: &mut Session<'_>,
        copied: &Copied,
        members: &BTreeMap<DiskId, PvRow>,
        new: &[&PvRow],
    ) -> Result<(), Error> {
        let name = &copied.row.lv_name;
        let state = self.state(session)?;
        let extent = extent_size(&state)?;
        let copy = Layout::Mirrored { copies: 2 };
        let size = copied.row.lv_size.unwrap_or_default();
        let count = new.len() as u64;
        room_for(&state, Layout::Linear, (size + extent) * count)?;
        let needed = size + copy.metadata_per_leg() * extent;
        if let Some(full) = new.iter().find(|row| row.pv_free < Some(needed)) {
            return Err(Error::no_space(format!(
                "disk {} has {} bytes free, a copy of volume {name} needs {needed}; choose another \
                 disk",
                full.pv_name,
                full.pv_free.unwrap_or_default()
            )));
        }
        let distinct: BTreeSet<&str> = new.iter().map(|row| row.pv_uuid.as_str()).collect();
        if distinct.len() < new.len() {
            return Err(Error::invalid(format!(
                "name different disks for the copies of volume {name}"
            )));
        }
        for leg in 0..copied.copies() {
            let on = copied.shape.stretches.iter().filter(|s| s.leg == leg);
            let on: BTreeSet<&str> = on.map(|stretch| stretch.pv.as_str()).collect();
            let (Some(pv), 1) = (on.first(), on.len()) else {
                return Err(Error::not_supported(format!(
                    "volume {name} lies on several disks; move it to one first"
                )));
            };
            let row = members.values().find(|row| row.pv_uuid == **pv);
            let free = row.and_then(|row| row.pv_free).unwrap_or_default();
            if copied.shape.layout == Layout::Linear && free < extent {
                return Err(Error::no_space(format!(
                    "the disk under volume {name} has no free extent, and one is needed there; move \
                     the volume to another disk first"
                )));
            }
        }
        Ok(())
    }

    pub(in super::super) fn drop_copies(
        &self,
        volume: &VolumeId,
        from: &[DiskId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, _) = self.locate(&Subject::Known(volume.clone()), deadline)?;
        let mut session = group.enter(deadline)?;
        let copied = self.copied(&mut session, volume)?;
        let members = self.members(&mut session)?;
        let named = from.iter().filter_map(|id| members.get(id));
        let named: Vec<&PvRow> = named.collect();
        let pvs = named.iter().map(|row| row.pv_uuid.as_str()).collect();
        let gone = copied.on(&pvs);
        if gone.is_empty() || copied.shape.layout == Layout::Linear {
            return Ok(());
        }
        Self::expect_changeable(&copied)?;
        let left = copied
            .copies()
            .saturating_sub(u16::try_from(gone.len()).unwrap_or(u16::MAX));
        if left == 0 {
            return Err(Error::invalid(format!(
                "one copy of volume {} has to stay; name fewer disks",
                copied.row.lv_name
            )));
        }
        self.expect_whole_without(&mut session, &copied, &gone)?;
        let lies_there = |row: &&&PvRow| !copied.on(&[row.pv_uuid.as_str()].into()).is_empty();
        let from = named.iter().filter(lies_there).map(|row| path(row));
        let from: Vec<_> = from.collect::<Result<_, _>>()?;
        session.deadline = Deadline::after(LIMIT);
        let done = session.drop_copies(&device_name(&copied.row)?, left, &from);
        session.deadline = Deadline::after(LIMIT);
        verify(done, || {
            let now = shape(&mut session, &copied.row.lv_name)?;
            Ok(now.layout.copies() == left)
        })
    }
}
