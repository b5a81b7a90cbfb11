//! The steps that bring the legs of a volume into step, and put lost ones elsewhere.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::{SETTLE, STANDSTILL, device_name, extent_size, found, identity, path, verify};
use crate::array::{DiskId, Error, Progress, Subject, Trouble, VolumeId, cancelled};
use crate::engine::linux::dm::{self, Raid};
use crate::engine::linux::lvm::group::{LvmError, Session};
use crate::engine::linux::lvm::line::{Line, Qualified};
use crate::engine::linux::lvm::names::DevicePath;
use crate::engine::linux::lvm::report::{LvRow, PvRow};
use crate::engine::linux::lvm::roster::View;
use crate::engine::linux::lvm::shape::{Leaf, Shape, Shapes};
use crate::engine::linux::lvm::tags;
use crate::engine::linux::trouble::{self, Mapped};
use crate::engine::linux::watch::Deadline;
use crate::engine::linux::{LIMIT, LinuxEngine};

/// Time between two looks at how far the kernel is.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes of a sector.
const SECTOR: u64 = 512;

/// What has become of the legs of a volume.
struct Loss {
    shape: Shape,
    leaves: Vec<Leaf>,
    /// The physical volumes of the group.
    devices: Vec<PvRow>,
    /// The legs on missing disks.
    missing: BTreeSet<u16>,
    /// Those that do not work though their disks are there.
    trouble: Trouble,
}

impl Loss {
    /// The legs of the volume.
    fn legs(&self) -> BTreeSet<u16> {
        self.shape.stretches.iter().map(|s| s.leg).collect()
    }

    /// Refuses to put these legs on other disks where that could take the wrong ones.
    fn permits(&self, row: &LvRow, legs: &BTreeSet<u16>) -> Result<(), Error> {
        let name = &row.lv_name;
        if legs.len() > usize::from(self.shape.layout.survives()) {
            return Err(lost_too_much(row));
        }
        if !self.trouble.stale.is_empty() {
            return Err(Error::unavailable(format!(
                "a disk of volume {name} was away and has not been opened anew; use lvchange \
                 --refresh, or repair the volume again"
            )));
        }
        if !self.missing.is_empty() && !self.trouble.failing.is_empty() {
            return Err(Error::unavailable(format!(
                "volume {name} has lost a disk while another one fails; connect the lost disk \
                 again first"
            )));
        }
        Ok(())
    }

    /// The physical volumes that the legs which fail are taken from, metadata of theirs included.
    ///
    /// # Errors
    /// When another leg lies on one of them, which would be taken from it, too.
    fn left(&self, row: &LvRow) -> Result<Vec<&PvRow>, Error> {
        let fails = |leaf: &Leaf| {
            leaf.leg()
                .is_some_and(|l| self.trouble.failing.contains(&l))
        };
        let (bad, good): (Vec<&Leaf>, Vec<&Leaf>) = self.leaves.iter().partition(|l| fails(l));
        let old: BTreeSet<&String> = bad.iter().flat_map(|leaf| &leaf.on).collect();
        if old.is_empty()
            || good
                .iter()
                .any(|leaf| leaf.on.iter().any(|pv| old.contains(pv)))
        {
            return Err(Error::not_supported(format!(
                "volume {} does not lie on disks of its own leg by leg; move its parts with \
                 pvmove first",
                row.lv_name
            )));
        }
        let rows = self.devices.iter();
        Ok(rows.filter(|row| old.contains(&row.pv_uuid)).collect())
    }
}

fn lost_too_much(row: &LvRow) -> Error {
    Error::unavailable(format!(
        "volume {} has lost more than it can be repaired from; connect its disk again",
        row.lv_name
    ))
}

impl LinuxEngine {
    pub(in super::super) fn sync(
        &self,
        subject: &Subject,
        progress: &dyn Progress,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = self.locate(subject, deadline)?;
        let mut session = group.enter(deadline)?;
        // The group may lack a disk: then its legs are brought into step because of that.
        let row = found(&mut session, &name, subject)?;
        if !row.has_layout("raid") {
            return Ok(());
        }
        self.active(&mut session, &identity(&row)?)?;
        drop(session);
        let mut best = (0, Instant::now());
        loop {
            let raid = self.raid(&row)?;
            let (done, total) = raid.in_step;
            if raid.works.iter().any(|works| !works) {
                return Err(Error::unavailable(format!(
                    "a disk of volume {} is missing or has failed; connect it again, or repair \
                     the volume",
                    row.lv_name
                )));
            }
            progress.report(done * SECTOR, total * SECTOR);
            if raid.is_in_step() {
                return Ok(());
            }
            if progress.is_cancelled() {
                return Err(cancelled());
            }
            if done != best.0 {
                best = (done, Instant::now());
            } else if best.1.elapsed() > STANDSTILL {
                return Err(Error::timeout(format!(
                    "the disks of volume {} do not get on with coming into step ({}); look at the \
                     kernel's log",
                    row.lv_name, raid.action
                )));
            }
            thread::sleep(LOOK);
        }
    }

    /// The state of an active volume with legs.
    pub(super) fn raid(&self, row: &LvRow) -> Result<Raid, Error> {
        let statuses = dm::statuses(&self.dmsetup, Deadline::after(LIMIT))?;
        let raid = dm::raid(&statuses, &row.vg_name, &row.lv_name);
        raid.cloned().ok_or_else(|| {
            Error::not_found(format!(
                "the device of volume {} is gone; activate the volume again",
                row.lv_name
            ))
        })
    }

    pub(in super::super) fn refresh(
        &self,
        volume: &VolumeId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        // The disk may be there under another name now.
        self.lvm.find(deadline)?;
        let subject = Subject::Known(volume.clone());
        let (group, name) = self.locate(&subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = found(&mut session, &name, &subject)?;
        if self
            .loss(&mut session, &row, None)?
            .trouble
            .stale
            .is_empty()
        {
            return Ok(());
        }
        let done = session.refresh(&identity(&row)?);
        verify(done, || {
            let loss = self.loss(&mut session, &row, None)?;
            Ok(loss.trouble.stale.is_empty())
        })
    }

    /// Refuses RAID of which not all legs but these hold everything. While the kernel notes that one
    /// failed it tells something else for a moment; that is waited for.
    pub(super) fn expect_in_step(&self, row: &LvRow, without: &BTreeSet<u16>) -> Result<(), Error> {
        let settled = Deadline::after(SETTLE);
        while !self.raid(row)?.is_in_step_without(without) {
            if settled.left().is_zero() {
                return Err(Error::unavailable(format!(
                    "the other legs of volume {} are not all whole and in step; wait until they \
                     are, then repair the volume",
                    row.lv_name
                )));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    pub(in super::super) fn repair(
        &self,
        volume: &VolumeId,
        onto: &[DiskId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        // What only the narrow view does not show is not missing.
        self.lvm.find(deadline)?;
        let subject = Subject::Known(volume.clone());
        let (group, name) = self.locate(&subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = found(&mut session, &name, &subject)?;
        if !row.has_layout("raid") {
            let loss = self.loss(&mut session, &row, None)?;
            return match loss.missing.is_empty() {
                true => Ok(()),
                false => Err(lost_too_much(&row)),
            };
        }
        self.active(&mut session, &identity(&row)?)?;
        let loss = self.loss(&mut session, &row, Some(&self.raid(&row)?))?;
        let legs = &loss.missing | &loss.trouble.failing;
        if legs.is_empty() {
            return Ok(());
        }
        loss.permits(&row, &legs)?;
        let onto = self.spares(&mut session, &loss, &legs, onto)?;
        // What is put on other disks is read from the legs that are left: all that they hold.
        self.expect_in_step(&row, &legs)?;
        match loss.missing.is_empty() {
            true => self.replace(&mut session, &row, &loss, &onto),
            false => self.replace_missing(&mut session, &row, &loss, &onto),
        }
    }

    /// Puts legs that lay on missing disks on others.
    fn replace_missing(
        &self,
        session: &mut Session<'_>,
        row: &LvRow,
        loss: &Loss,
        onto: &[DevicePath],
    ) -> Result<(), Error> {
        let line = Line::new("lvconvert")
            .with("--repair -y")
            .word(&Qualified(&session.group.name, &device_name(row)?))
            .words(onto);
        // A commit while the disk is away makes that last. One that came back unnoticed would be
        // whole for LVM, with a leg that fails, and LVM would replace the leg that works.
        let (uuid, mark) = (identity(row)?, [tags::repairing()]);
        session.retag(&uuid, &[], &mark)?;
        // It takes many commits, and all that went before was only looking.
        session.deadline = Deadline::after(LIMIT);
        let done = match self.loss(session, row, None)?.missing == loss.missing {
            true => self.lvm.run(View::Narrow, &line, session.deadline),
            false => Err(LvmError::Odd(format!(
                "a disk of volume {} that was missing a moment ago; try again",
                row.lv_name
            ))),
        };
        session.deadline = Deadline::after(LIMIT);
        let repaired = verify(done, || {
            Ok(self.loss(session, row, None)?.missing.is_empty())
        });
        // The mark says nothing to anybody; one that stays does no harm.
        if let Err(error) = session.retag(&uuid, &mark, &[]) {
            tracing::warn!(%error, volume = row.lv_name, "a mark could not be taken off");
        }
        repaired
    }

    /// Puts legs that fail though their disks are there on others. LVM's own repair would replace a
    /// leg that works, and the data would be gone: so it is told which disks are to be left.
    fn replace(
        &self,
        session: &mut Session<'_>,
        row: &LvRow,
        loss: &Loss,
        onto: &[DevicePath],
    ) -> Result<(), Error> {
        // LVM changes nothing of a group that lacks a disk but what lies on that disk.
        if !self.state(session)?.vg_partial.is_empty() {
            return Err(super::lacks_disk(&row.vg_name));
        }
        let old = loss.left(row)?;
        let paths: Vec<DevicePath> = old.iter().map(|row| path(row)).collect::<Result<_, _>>()?;
        let line = Line::new("lvconvert")
            .with("-qq")
            .options("--replace", &paths)
            .word(&Qualified(&session.group.name, &device_name(row)?))
            .words(onto);
        // It takes many commits, and all that went before was only looking.
        session.deadline = Deadline::after(LIMIT);
        let done = self.lvm.run(View::Narrow, &line, session.deadline);
        session.deadline = Deadline::after(LIMIT);
        verify(done, || {
            let now = self.loss(session, row, None)?;
            let is_off = |leaf: &Leaf| old.iter().all(|row| !leaf.on.contains(&row.pv_uuid));
            Ok(now.shape.layout == loss.shape.layout
                && now.legs() == loss.legs()
                && now.leaves.iter().all(is_off))
        })
    }

    /// What has become of the legs of a volume, by LVM's metadata and by the kernel; what fails only
    /// where the state of its RAID is given.
    fn loss(
        &self,
        session: &mut Session<'_>,
        row: &LvRow,
        raid: Option<&Raid>,
    ) -> Result<Loss, LvmError> {
        let (rows, devices) = (session.segments()?, session.devices()?);
        let mut segments = self.lvm.list_device_segments(session.deadline)?;
        segments.retain(|segment| segment.vg_uuid == row.vg_uuid);
        let shapes = Shapes::new(&rows, &devices, &segments);
        let (shape, leaves) = (shapes.of(&row.lv_name), shapes.leaves(&row.lv_name));
        // Those of other groups would be taken for somebody else's if they were left out.
        let all = self.lvm.list_devices(session.deadline)?;
        let listing = self.disks_of(&all, session.deadline);
        let missing: BTreeSet<&str> = devices
            .iter()
            .filter(|device| !device.pv_missing.is_empty())
            .map(|device| device.pv_uuid.as_str())
            .filter(|pv| !listing.returned.contains(*pv))
            .collect();
        let mapped = Mapped {
            devices: &self.places.dm_devices().map_err(LvmError::Devices)?,
            numbers: &listing.numbers,
            returned: &listing.returned,
        };
        let stale = mapped.stale(&session.group.uuid, &leaves);
        let trouble = trouble::of(&shape, |pv| missing.contains(pv), &stale, raid);
        let lost = shape.stretches.iter();
        let lost = lost.filter(|stretch| missing.contains(stretch.pv.as_str()));
        Ok(Loss {
            missing: lost.map(|stretch| stretch.leg).collect(),
            trouble,
            shape,
            leaves,
            devices,
        })
    }

    /// The devices of the disks that take the place of those that these legs lie on.
    fn spares(
        &self,
        session: &mut Session<'_>,
        loss: &Loss,
        legs: &BTreeSet<u16>,
        onto: &[DiskId],
    ) -> Result<Vec<DevicePath>, Error> {
        let distinct: BTreeSet<&DiskId> = onto.iter().collect();
        if distinct.len() != onto.len() || onto.len() != legs.len() {
            return Err(Error::invalid(format!(
                "{} legs of the volume are lost and {} different disks were named; name one for \
                 each",
                legs.len(),
                distinct.len()
            )));
        }
        let extent = extent_size(&self.state(session)?)?;
        let lost = legs.first().copied().unwrap_or_default();
        let leg = loss.shape.stretches.iter();
        let leg: u64 = leg.filter(|s| s.leg == lost).map(|s| s.count).sum();
        let needed = (leg + loss.shape.layout.metadata_per_leg()) * extent;
        let members = self.members(session)?;
        let mut paths = Vec::new();
        for id in onto {
            let row = members.get(id).ok_or_else(|| {
                Error::invalid(format!(
                    "disk {id} is not there or does not belong to pool {}; name another one",
                    session.group.name
                ))
            })?;
            if loss.shape.stretches.iter().any(|s| s.pv == row.pv_uuid) {
                return Err(Error::invalid(format!(
                    "disk {} holds another leg of the volume; name another one",
                    row.pv_name
                )));
            }
            if row.pv_free < Some(needed) {
                return Err(Error::no_space(format!(
                    "disk {} has {} bytes free, a leg of the volume needs {needed}; name another \
                     one",
                    row.pv_name,
                    row.pv_free.unwrap_or_default()
                )));
            }
            paths.push(path(row)?);
        }
        Ok(paths)
    }
}
