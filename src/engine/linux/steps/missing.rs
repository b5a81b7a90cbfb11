//! The steps on the disks that a group misses: those that are there again are taken back, those that
//! nothing lies on leave it.

use super::{path, verify};
use crate::array::{Error, PoolId};
use crate::engine::linux::LinuxEngine;
use crate::engine::linux::lvm::group::{LvmError, Session};
use crate::engine::linux::lvm::line::Line;
use crate::engine::linux::lvm::report::PvRow;
use crate::engine::linux::lvm::roster::View;
use crate::engine::linux::lvm::shape::Shapes;
use crate::engine::linux::watch::Deadline;

impl LinuxEngine {
    pub(in super::super) fn take_back(
        &self,
        pool: &PoolId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        // The disk may be there under another name now.
        self.lvm.find(deadline)?;
        let group = self.group(pool)?;
        let mut session = group.enter(deadline)?;
        self.state(&mut session)?;
        let back = returned(&mut session)?;
        if back.is_empty() {
            return Ok(());
        }
        refuse_snapshots(&mut session, &back)?;
        let paths = back.iter().map(path).collect::<Result<Vec<_>, _>>()?;
        let line = Line::new("vgextend")
            .with("--restoremissing")
            .word(&group.name)
            .words(&paths);
        let done = self.lvm.run(View::Narrow, &line, session.deadline);
        verify(done, || Ok(returned(&mut session)?.is_empty()))?;
        self.lvm.find(deadline)?;
        Ok(())
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

/// The physical volumes that are there and that LVM counts as missing: it noted that down while they
/// were away.
fn returned(session: &mut Session<'_>) -> Result<Vec<PvRow>, LvmError> {
    let mut rows = session.devices()?;
    rows.retain(|row| !row.pv_missing.is_empty() && row.is_there());
    Ok(rows)
}

/// Refuses disks on which snapshots lie that keep what changes: what changed while the disk was away
/// they have not kept, and the kernel would not know.
fn refuse_snapshots(session: &mut Session<'_>, back: &[PvRow]) -> Result<(), Error> {
    let (rows, devices) = (session.segments()?, session.devices()?);
    let shapes = Shapes::new(&rows, &devices, []);
    let lies_there = |name: &str| {
        let mut back = back.iter();
        back.any(|pv| shapes.extents_on(name, &pv.pv_uuid) > 0)
    };
    let mut snapshots = rows.iter().filter(|row| row.is_delta());
    match snapshots.find(|row| lies_there(row.plain_name())) {
        None => Ok(()),
        Some(row) => Err(Error::unavailable(format!(
            "snapshot {} has not kept what changed while its disk was away; delete it, then repair \
             the volume again",
            row.lv_name
        ))),
    }
}

/// Whether a group has missing disks that nothing lies on.
fn has_empty_missing(session: &mut Session<'_>) -> Result<bool, LvmError> {
    let rows = session.devices()?;
    Ok(rows
        .iter()
        .any(|row| !row.pv_missing.is_empty() && row.pv_free == row.pv_size))
}
