//! The steps that bring the legs of a volume into step, and put lost ones elsewhere.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::{STANDSTILL, device_name, found, identity, path, rows_of, state, verify};
use crate::array::{DiskId, Error, PoolId, Progress, Subject, VolumeId};
use crate::engine::linux::dm::{self, Raid, Status};
use crate::engine::linux::lvm::group::{LvmError, Session};
use crate::engine::linux::lvm::line::{Line, Qualified};
use crate::engine::linux::lvm::report::LvRow;
use crate::engine::linux::lvm::roster::View;
use crate::engine::linux::lvm::shape::Shapes;
use crate::engine::linux::watch::Deadline;
use crate::engine::linux::{LIMIT, LinuxEngine};

/// Time between two looks at how far the kernel is.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes of a sector.
const SECTOR: u64 = 512;

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
        if !self.lacks_legs(&mut session, &row)? {
            return Ok(());
        }
        if !row.has_layout("raid") {
            return Err(Error::not_supported(format!(
                "volume {} has no redundancy to be repaired from; connect its disk again",
                row.lv_name
            )));
        }
        let members = self.members(&mut session)?;
        let rows = rows_of(&members, onto, &group)?;
        let onto: Vec<_> = rows.into_iter().map(path).collect::<Result<_, _>>()?;
        self.active(&mut session, &identity(&row)?)?;
        let line = Line::new("lvconvert")
            .with("--repair -y")
            .word(&Qualified(&group.name, &device_name(&row)?))
            .words(&onto);
        let done = self.lvm.run(View::Narrow, &line, deadline);
        verify(done, || Ok(!self.lacks_legs(&mut session, &row)?))
    }

    /// Whether a part of a volume lies on a missing disk, or nowhere.
    fn lacks_legs(&self, session: &mut Session<'_>, row: &LvRow) -> Result<bool, LvmError> {
        let (rows, devices) = (session.segments()?, session.devices()?);
        let mut segments = self.lvm.list_device_segments(session.deadline)?;
        segments.retain(|segment| segment.vg_uuid == row.vg_uuid);
        let shape = Shapes::new(&rows, &devices, &segments).of(&row.lv_name);
        let missing: BTreeSet<&str> = devices
            .iter()
            .filter(|device| !device.pv_missing.is_empty())
            .map(|device| device.pv_uuid.as_str())
            .collect();
        let legs: BTreeSet<u16> = shape.stretches.iter().map(|stretch| stretch.leg).collect();
        let is_lost = shape
            .stretches
            .iter()
            .any(|stretch| missing.contains(stretch.pv.as_str()));
        Ok(is_lost || legs.len() < usize::from(shape.layout.legs()))
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
        state(&mut session)?;
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
