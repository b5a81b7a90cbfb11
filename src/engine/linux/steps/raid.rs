//! The steps that bring the legs of a volume into step, and put lost ones elsewhere.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::{STANDSTILL, device_name, extent_size, found, identity, path, verify};
use crate::array::{DiskId, Error, PoolId, Progress, Subject, VolumeId};
use crate::engine::linux::dm::{self, Raid, Status};
use crate::engine::linux::lvm::group::{LvmError, Session};
use crate::engine::linux::lvm::line::{Line, Qualified};
use crate::engine::linux::lvm::names::DevicePath;
use crate::engine::linux::lvm::report::LvRow;
use crate::engine::linux::lvm::roster::View;
use crate::engine::linux::lvm::shape::{Shape, Shapes};
use crate::engine::linux::lvm::tags;
use crate::engine::linux::watch::Deadline;
use crate::engine::linux::{LIMIT, LinuxEngine};

/// Time between two looks at how far the kernel is.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes of a sector.
const SECTOR: u64 = 512;

/// What a volume has lost.
struct Loss {
    shape: Shape,
    legs: BTreeSet<u16>,
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
        let device = dm::name(group.name.as_str(), &row.lv_name);
        let mut best = (0, Instant::now());
        loop {
            let raid = self.raid(&device)?;
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
                return Err(Error::unavailable("the job was cancelled"));
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
    fn raid(&self, device: &str) -> Result<Raid, Error> {
        let statuses = dm::statuses(&self.dmsetup, Deadline::after(LIMIT))?;
        match statuses.get(device) {
            Some(Status::Raid(raid)) => Ok(raid.clone()),
            _ => Err(Error::not_found(format!(
                "device {device} is gone; activate the volume again"
            ))),
        }
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
        let loss = self.loss(&mut session, &row)?;
        if loss.legs.is_empty() {
            return Ok(());
        }
        if loss.legs.len() > usize::from(loss.shape.layout.survives()) {
            return Err(Error::unavailable(format!(
                "volume {} has lost more than it can be repaired from; connect its disk again",
                row.lv_name
            )));
        }
        let onto = self.spares(&mut session, &loss, onto)?;
        self.active(&mut session, &identity(&row)?)?;
        // LVM replaces a leg that works when one fails of which the disk is still there, and the
        // data is gone.
        let raid = self.raid(&dm::name(group.name.as_str(), &row.lv_name))?;
        let mut works = (0..).zip(&raid.works);
        if let Some((leg, _)) = works.find(|(leg, works)| !**works && !loss.legs.contains(leg)) {
            return Err(Error::unavailable(format!(
                "leg {leg} of volume {} fails though its disk is there; look at the kernel's log, \
                 and bring it back with lvchange --refresh first",
                row.lv_name
            )));
        }
        let line = Line::new("lvconvert")
            .with("--repair -y")
            .word(&Qualified(&group.name, &device_name(&row)?))
            .words(&onto);
        // A commit while the disk is away makes that last. One that came back unnoticed would be
        // whole for LVM, with a leg that fails, and LVM would replace the leg that works.
        let (uuid, mark) = (identity(&row)?, [tags::repairing()]);
        session.retag(&uuid, &[], &mark)?;
        let done = match self.loss(&mut session, &row)?.legs == loss.legs {
            true => self.lvm.run(View::Narrow, &line, deadline).map(drop),
            false => Err(LvmError::Odd(format!(
                "a disk of volume {} that was missing a moment ago; try again",
                row.lv_name
            ))),
        };
        let repaired = verify(done, || Ok(self.loss(&mut session, &row)?.legs.is_empty()));
        // The mark says nothing to anybody; one that stays does no harm.
        if let Err(error) = session.retag(&uuid, &mark, &[]) {
            tracing::warn!(%error, volume = row.lv_name, "a mark could not be taken off");
        }
        repaired
    }

    /// What of a volume lies on missing disks.
    fn loss(&self, session: &mut Session<'_>, row: &LvRow) -> Result<Loss, LvmError> {
        let (rows, devices) = (session.segments()?, session.devices()?);
        let mut segments = self.lvm.list_device_segments(session.deadline)?;
        segments.retain(|segment| segment.vg_uuid == row.vg_uuid);
        let shape = Shapes::new(&rows, &devices, &segments).of(&row.lv_name);
        let missing: BTreeSet<&str> = devices
            .iter()
            .filter(|device| !device.pv_missing.is_empty())
            .map(|device| device.pv_uuid.as_str())
            .collect();
        let lost = shape.stretches.iter();
        let lost = lost.filter(|stretch| missing.contains(stretch.pv.as_str()));
        Ok(Loss {
            legs: lost.map(|stretch| stretch.leg).collect(),
            shape,
        })
    }

    /// The devices of the disks that take the place of lost ones.
    fn spares(
        &self,
        session: &mut Session<'_>,
        loss: &Loss,
        onto: &[DiskId],
    ) -> Result<Vec<DevicePath>, Error> {
        let distinct: BTreeSet<&DiskId> = onto.iter().collect();
        if distinct.len() != onto.len() || onto.len() != loss.legs.len() {
            return Err(Error::invalid(format!(
                "{} legs of the volume are lost and {} different disks were named; name one for \
                 each",
                loss.legs.len(),
                distinct.len()
            )));
        }
        let extent = extent_size(&self.state(session)?)?;
        let lost = loss.legs.first().copied().unwrap_or_default();
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

    pub(in super::super) fn drop_missing(
        &self,
        pool: &PoolId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        // A disk that somebody has just added must not count as missing.
        self.lvm.find(deadline)?;
        let group = self.group(pool)?;
        let mut session = group.enter(deadline)?;
        self.state(&mut session)?;
        if !has_empty_missing(&mut session)? {
            return Ok(());
        }
        // Without force: a disk that something lies on stays.
        let line = Line::new("vgreduce")
            .with("--removemissing")
            .word(&group.name);
        let done = self.lvm.run(View::Narrow, &line, deadline);
        verify(done, || Ok(!has_empty_missing(&mut session)?))?;
        self.lvm.find(deadline)?;
        Ok(())
    }
}

/// Whether a group has missing disks that nothing lies on.
fn has_empty_missing(session: &mut Session<'_>) -> Result<bool, LvmError> {
    let rows = session.devices()?;
    Ok(rows
        .iter()
        .any(|row| !row.pv_missing.is_empty() && row.pv_free == row.pv_size))
}
