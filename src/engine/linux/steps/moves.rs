//! The steps that move what volumes and pools have on a disk to others, while it is used.
//!
//! LVM's `pvmove` does it: a mirror of the old and the new place takes the place of the old one, and
//! when it is whole the old place is dropped. A program of LVM's own watches it in the background, so
//! that a move goes on whatever becomes of this process; without that program it goes on in the
//! kernel, and waits there for the next one. All of what one volume has on a disk moves, or nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{
    STANDSTILL, extent_size, found, identity, lacks_disk, not_busy, path, rows_of, verify,
};
use crate::array::{DiskId, Error, Kind, Layout, PoolId, Progress, Subject};
use crate::engine::linux::dm::{self, Status};
use crate::engine::linux::lvm::group::{Group, LvmError, Session, Which};
use crate::engine::linux::lvm::line::Line;
use crate::engine::linux::lvm::names::{DevicePath, LvName, LvmUuid};
use crate::engine::linux::lvm::report::PvRow;
use crate::engine::linux::lvm::roster::View;
use crate::engine::linux::lvm::shape::Shapes;
use crate::engine::linux::watch::Deadline;
use crate::engine::linux::{LIMIT, LinuxEngine};

/// Time between two looks at how far the kernel is.
const LOOK: Duration = Duration::from_millis(500);
/// Seconds between two looks of the program that watches a move.
const WATCHED_EVERY: u64 = 2;
/// How long a move that is whole may wait for the one who ends it before another one is called.
const UNENDED: Duration = Duration::from_secs(6);

/// How often LVM may be too late with its answer while a move ends.
const PATIENCE: u8 = 3;

/// What is moved.
struct Moved {
    group: Arc<Group>,
    what: What,
}

enum What {
    /// A volume or thin pool.
    Lv { name: LvName, uuid: LvmUuid },
    /// The spare for the metadata of a group's thin pools.
    Spare,
}

/// The name that LVM gives the spare of a group (lvmthin(7)).
const SPARE: &str = "lvol0_pmspare";

impl Moved {
    fn name(&self) -> &str {
        match &self.what {
            What::Lv { name, .. } => name.as_str(),
            What::Spare => SPARE,
        }
    }

    /// How it stands now.
    fn look(&self, session: &mut Session<'_>) -> Result<Standing, LvmError> {
        let (rows, devices) = (session.segments()?, session.devices()?);
        let shapes = Shapes::new(&rows, &devices, []);
        let leaves = shapes.leaves(self.name()).into_iter();
        let moves = shapes.moves(self.name()).into_iter();
        Ok(Standing {
            on: leaves.flat_map(|leaf| leaf.on).collect(),
            under_way: moves.map(|(name, left)| (name.to_owned(), left)).next(),
            layout: shapes.of(self.name()).layout,
        })
    }
}

/// Where something stands.
struct Standing {
    /// The physical volumes that it lies on, its metadata included, as far as it is not moved.
    on: BTreeSet<String>,
    /// The move that it is in, and the physical volume that is left by it.
    under_way: Option<(String, Option<String>)>,
    layout: Layout,
}

impl Standing {
    /// The move off that physical volume.
    fn move_off(&self, pv: &PvRow) -> Option<&str> {
        let (name, left) = self.under_way.as_ref()?;
        (left.as_ref() == Some(&pv.pv_uuid)).then_some(name.as_str())
    }

    fn is_off(&self, pv: &PvRow) -> bool {
        self.under_way.is_none() && !self.on.contains(&pv.pv_uuid)
    }

    /// Refuses a move off a disk that is missing: LVM does not say any more which one it leaves.
    fn expect_source(&self, moved: &Moved) -> Result<(), Error> {
        match self.under_way {
            Some((_, None)) => Err(Error::unavailable(format!(
                "{} is being moved off a disk that is missing; connect it again, or stop the move \
                 with pvmove --abort",
                moved.name()
            ))),
            _ => Ok(()),
        }
    }
}

impl LinuxEngine {
    /// What a step names, if it is of a kind that is moved.
    fn moved(&self, subject: &Subject, deadline: Deadline) -> Result<Moved, Error> {
        if let Subject::Pool(id) = subject
            && let Some(group) = self.lvm.group(id.as_str())
        {
            let what = What::Spare;
            return Ok(Moved { group, what });
        }
        let (group, name) = self.locate(subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = found(&mut session, &name, subject)?;
        drop(session);
        if row.has_layout("thin") && !row.is_thin_pool() {
            // LVM would move the whole pool.
            return Err(Error::invalid(format!(
                "volume {} is thin and lies where its pool does; move the pool",
                row.lv_name
            )));
        }
        if row.has_role("thicksnapshot") {
            return Err(Error::in_use(format!(
                "volume {} is a snapshot and stays where it is; remove it first",
                row.lv_name
            )));
        }
        let what = What::Lv {
            name: super::device_name(&row)?,
            uuid: identity(&row)?,
        };
        Ok(Moved { group, what })
    }

    /// Refuses what stays where it is as long as somebody works on it or it has snapshots.
    fn expect_free(&self, session: &mut Session<'_>, moved: &Moved) -> Result<(), Error> {
        let What::Lv { uuid, .. } = &moved.what else {
            return Ok(());
        };
        let row = session.find(Which::Uuid(uuid))?;
        let row = row.ok_or_else(|| {
            Error::not_found(format!("{} is gone; look at the volumes", moved.name()))
        })?;
        not_busy(&row, None)?;
        match !row.is_thin_pool() && !row.lv_descendants.is_empty() {
            true => Err(Error::has_dependents(format!(
                "volume {} has snapshots and stays where it is; remove them first",
                row.lv_name
            ))),
            false => Ok(()),
        }
    }

    pub(in super::super) fn move_off(
        &self,
        subject: &Subject,
        from: &DiskId,
        onto: &[DiskId],
        progress: &dyn Progress,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let moved = self.moved(subject, deadline)?;
        let mut session = moved.group.enter(deadline)?;
        // A disk that was away may be there again.
        self.state(&mut session)?;
        let members = self.members(&mut session)?;
        let Some(source) = members.get(from) else {
            // Where the group is whole, nothing lies on what is no disk of it.
            return self.expect_whole(&mut session);
        };
        let standing = moved.look(&mut session)?;
        if standing.is_off(source) {
            return Ok(());
        }
        self.expect_free(&mut session, &moved)?;
        let rows = rows_of(&members, onto, &moved.group)?;
        if standing.under_way.is_none() {
            self.expect_place(&mut session, &moved, &standing, source, &rows)?;
        } else if standing.move_off(source).is_none() {
            return Err(Error::in_use(format!(
                "{} is being moved off another disk; wait for that, or stop it with pvmove --abort",
                moved.name()
            )));
        }
        let onto: Vec<_> = rows.into_iter().map(path).collect::<Result<_, _>>()?;
        let source = source.clone();
        self.begin(&mut session, &moved, &source, &onto)?;
        drop(session);
        self.watch_move(&moved, &source, &onto, progress)
    }

    fn expect_whole(&self, session: &mut Session<'_>) -> Result<(), Error> {
        let state = self.state(session)?;
        match state.vg_partial.is_empty() {
            true => Ok(()),
            false => Err(lacks_disk(&state.vg_name)),
        }
    }

    /// Refuses disks on which there is no place for what is moved.
    fn expect_place(
        &self,
        session: &mut Session<'_>,
        moved: &Moved,
        standing: &Standing,
        source: &PvRow,
        onto: &[&PvRow],
    ) -> Result<(), Error> {
        self.expect_whole(session)?;
        let (rows, devices) = (session.segments()?, session.devices()?);
        let shapes = Shapes::new(&rows, &devices, []);
        // LVM would take a second move off a disk for the first one.
        let mut left = shapes.all_moves().filter_map(|(_, left)| left);
        if left.any(|left| left == source.pv_uuid) {
            return Err(Error::in_use(format!(
                "something else is being moved off disk {}; wait for that",
                source.pv_name
            )));
        }
        let is_other = |row: &&PvRow| row.pv_uuid != source.pv_uuid && !row.is_closed();
        let is_wide = standing.layout != Layout::Linear;
        let is_alone = |row: &&PvRow| !standing.on.contains(&row.pv_uuid);
        let fits = !onto.is_empty() && onto.iter().all(is_other);
        if !fits || is_wide && (onto.len() != 1 || !onto.iter().all(is_alone)) {
            return Err(Error::invalid(format!(
                "{} goes to other disks of its pool, and each leg of it to one on which nothing else \
                 of it lies; name such disks",
                moved.name()
            )));
        }
        let extents = shapes.extents_on(moved.name(), &source.pv_uuid);
        let needed = extents.saturating_mul(extent_size(&self.state(session)?)?);
        let free: u64 = onto.iter().filter_map(|row| row.pv_free).sum();
        match needed <= free {
            true => Ok(()),
            false => Err(Error::no_space(format!(
                "{} has {needed} bytes on disk {}, and the named disks have {free} bytes free; name \
                 others",
                moved.name(),
                source.pv_name
            ))),
        }
    }

    /// Begins a move, or lets a program of LVM's watch one that is under way.
    fn begin(
        &self,
        session: &mut Session<'_>,
        moved: &Moved,
        source: &PvRow,
        onto: &[DevicePath],
    ) -> Result<(), Error> {
        // What is not active is neither copied nor watched.
        if let What::Lv { uuid, .. } = &moved.what {
            session.activate(uuid)?;
        }
        let line = Line::new("pvmove").with("-b --atomic");
        let line = line.option("-i", &WATCHED_EVERY);
        let line = match &moved.what {
            What::Lv { name, .. } => line.option("-n", name),
            What::Spare => line.with("-n lvol0_pmspare"),
        };
        let line = line.word(&path(source)?).words(onto);
        session.deadline = Deadline::after(LIMIT);
        let done = self.lvm.run(View::Narrow, &line, session.deadline);
        session.deadline = Deadline::after(LIMIT);
        verify(done, || {
            let standing = moved.look(session)?;
            Ok(standing.is_off(source) || standing.move_off(source).is_some())
        })
    }

    /// Waits until a move has ended. How far it is the kernel tells; LVM, which locks the group for
    /// each answer, is asked only when it must be about to end.
    fn watch_move(
        &self,
        moved: &Moved,
        source: &PvRow,
        onto: &[DevicePath],
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let mut best = (None, Instant::now());
        let mut patience = PATIENCE;
        let mut mirror_of = || loop {
            match self.mirror_of(moved, source) {
                // The one who ends it has the group's lock.
                Err(error) if error.kind == Kind::Timeout && patience > 0 => patience -= 1,
                other => return other,
            }
        };
        let mut mirror = mirror_of()?;
        while let Some(device) = &mirror {
            let now = self.copied_by(device)?;
            if let Some((done, total)) = now {
                progress.report(done, total);
            }
            if progress.is_cancelled() {
                return match self.abort(moved, source)? {
                    true => Err(Error::unavailable(
                        "the move was stopped on request; what was being moved lies where it lay",
                    )),
                    // It had ended.
                    false => Ok(()),
                };
            }
            if best.0 != now {
                best = (now, Instant::now());
            }
            let is_whole = now.is_none_or(|(done, total)| done == total);
            if !is_whole && best.1.elapsed() > STANDSTILL {
                return Err(Error::timeout(format!(
                    "{} does not get on with moving off disk {}; look at the kernel's log",
                    moved.name(),
                    source.pv_name
                )));
            }
            thread::sleep(LOOK);
            if !is_whole {
                continue;
            }
            mirror = mirror_of()?;
            if mirror.is_some() && best.1.elapsed() > UNENDED {
                let mut session = moved.group.enter(Deadline::after(LIMIT))?;
                self.begin(&mut session, moved, source, onto)?;
                best = (None, Instant::now());
            }
        }
        Ok(())
    }

    /// The name of the device that mirrors the old place and the new one; `None` when the move has
    /// ended.
    fn mirror_of(&self, moved: &Moved, source: &PvRow) -> Result<Option<String>, Error> {
        let mut session = moved.group.enter(Deadline::after(LIMIT))?;
        let standing = moved.look(&mut session)?;
        if standing.is_off(source) {
            return Ok(None);
        }
        standing.expect_source(moved)?;
        match standing.move_off(source) {
            Some(name) => Ok(Some(dm::name(moved.group.name.as_str(), name))),
            None => Err(Error::unavailable(format!(
                "somebody has stopped the move of {} off disk {}; begin it again",
                moved.name(),
                source.pv_name
            ))),
        }
    }

    /// Bytes that such a device has copied, of how many; `None` where it is gone, or not there yet.
    fn copied_by(&self, device: &str) -> Result<Option<(u64, u64)>, Error> {
        let statuses = dm::statuses(&self.dmsetup, Deadline::after(LIMIT))?;
        Ok(match statuses.get(device) {
            Some(Status::Moving { done, total }) => Some((*done, *total)),
            _ => None,
        })
    }

    /// Stops a move; whether something of it lies where it lay. What was whole already is put back,
    /// too.
    fn abort(&self, moved: &Moved, source: &PvRow) -> Result<bool, Error> {
        let mut session = moved.group.enter(Deadline::after(LIMIT))?;
        let standing = moved.look(&mut session)?;
        if standing.move_off(source).is_none() {
            standing.expect_source(moved)?;
            return Ok(standing.on.contains(&source.pv_uuid));
        }
        // LVM calls it a success when it has not stopped the move of what is not active.
        if let What::Lv { uuid, .. } = &moved.what {
            session.activate(uuid)?;
        }
        let line = Line::new("pvmove").with("--abort").word(&path(source)?);
        session.deadline = Deadline::after(LIMIT);
        let done = self.lvm.run(View::Narrow, &line, session.deadline);
        session.deadline = Deadline::after(LIMIT);
        let mut is_back = false;
        verify(done, || {
            let standing = moved.look(&mut session)?;
            is_back = standing.on.contains(&source.pv_uuid);
            Ok(standing.move_off(source).is_none())
        })?;
        Ok(is_back)
    }

    pub(in super::super) fn end_move(
        &self,
        subject: &Subject,
        from: &DiskId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let moved = self.moved(subject, deadline)?;
        let mut session = moved.group.enter(deadline)?;
        self.state(&mut session)?;
        let members = self.members(&mut session)?;
        if let Some(source) = members.get(from) {
            drop(session);
            return self.abort(&moved, source).map(drop);
        }
        moved.look(&mut session)?.expect_source(&moved)
    }

    /// Lets nothing new be laid on a disk of a group, or lets it again.
    pub(in super::super) fn close_disk(
        &self,
        pool: &PoolId,
        disk: &DiskId,
        closed: bool,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let group = self.group(pool)?;
        let mut session = group.enter(deadline)?;
        let members = self.members(&mut session)?;
        let row = match members.get(disk) {
            Some(row) if row.is_closed() != closed => row,
            _ => return Ok(()),
        };
        self.expect_whole(&mut session)?;
        let line = Line::new("pvchange").with(if closed { "-x n" } else { "-x y" });
        let done = self
            .lvm
            .run(View::Narrow, &line.word(&path(row)?), deadline);
        verify(done, || {
            let mut rows = session.devices()?.into_iter();
            let now = rows.find(|now| now.pv_uuid == row.pv_uuid);
            Ok(now.is_some_and(|now| now.is_closed() == closed))
        })
    }
}
