//! The steps that give one volume the content of another, and that let it take the place of one.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::watched::{Work, watched};
use super::{Name, identity, marked, verify};
use crate::array::{Error, JobId, Progress, Subject, Torn, VolumeId};
use crate::engine::linux::copying::{self, Holds};
use crate::engine::linux::dm;
use crate::engine::linux::lvm::group::{LvmError, Session};
use crate::engine::linux::lvm::names::{self, Tag};
use crate::engine::linux::lvm::report::LvRow;
use crate::engine::linux::lvm::tags::{self, Marks};
use crate::engine::linux::program;
use crate::engine::linux::watch::Deadline;
use crate::engine::linux::{LIMIT, LinuxEngine};

/// One of the two volumes.
struct End {
    row: LvRow,
    size: u64,
    device: PathBuf,
    /// The device-mapper UUID, by which it is known when it is open.
    uuid: String,
}

impl LinuxEngine {
    pub(in super::super) fn copy(
        &self,
        (from, to): (&Subject, &Subject),
        fresh: bool,
        job: &JobId,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        // It is long, and each look at a group has the time that one command has.
        let source = self.end(from, job, Deadline::after(LIMIT))?;
        let target = self.end(to, job, Deadline::after(LIMIT))?;
        let name = &target.row.lv_name;
        if source.uuid == target.uuid || source.size > target.size {
            return Err(Error::invalid(format!(
                "volume {} is not copied onto {name}, which is the same or smaller",
                source.row.lv_name
            )));
        }
        if !fresh {
            self.tear(to, job, Some(Torn::Copied), Deadline::after(LIMIT))?;
        }
        let holds = match (fresh, target.row.has_layout("thin")) {
            (true, false) => Holds::Anything,
            (true, true) => Holds::Zeros,
            (false, thin) => Holds::Content { thin },
        };
        let work = Work {
            on: format!("volume {name}"),
            done: "overwritten with a copy",
            size: target.size,
        };
        let (places, blkdiscard) = (self.places.clone(), self.blkdiscard.clone());
        watched(&work, progress, move |go_on| {
            let (from, to) = (
                copying::open(&source.device, false)?,
                copying::open(&target.device, true)?,
            );
            // The names may have gone to other devices before they were opened.
            let is_so =
                places.is_dm_device(&from, &source.uuid) && places.is_dm_device(&to, &target.uuid);
            if !is_so {
                return Err(io::Error::other("it is another device now"));
            }
            let discard = |range| discard(&blkdiscard, &target.device, range);
            let ends = ((&from, source.size), (&to, target.size));
            copying::copy(ends.0, ends.1, holds, &discard, go_on)
        })?;
        match fresh {
            true => Ok(()),
            false => self.tear(to, job, None, Deadline::after(LIMIT)),
        }
    }

    /// One of the two volumes, if the job may copy from it or onto it.
    fn end(&self, subject: &Subject, job: &JobId, deadline: Deadline) -> Result<End, Error> {
        let (group, name) = self.locate(subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, subject)?;
        marked(&row, job)?;
        if row.is_thin_pool() {
            return Err(Error::invalid(format!("{} is no volume", row.lv_name)));
        }
        self.refuse_exported(&row, deadline)?;
        self.refuse_held(&mut session, &row)?;
        let uuid = identity(&row)?;
        let device = self.active(&mut session, &uuid)?;
        if row.is_delta() {
            self.refuse_lost(&row, deadline)?;
        }
        let size = row
            .size()
            .ok_or_else(|| Error::unavailable("LVM reports a volume without a size"))?;
        Ok(End {
            size,
            device: self.places.dev.join(&device.name),
            uuid: names::dm_uuid(&group.uuid, &uuid),
            row,
        })
    }

    pub(in super::super) fn inherit(
        &self,
        volume: &Subject,
        of: &VolumeId,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let old = self.marked_row(&Subject::Known(of.clone()), job, deadline)?;
        let known = Marks::read(&old.lv_tags);
        let serial = known.serial.unwrap_or_else(|| of.unit_serial());
        let kept = tags::kept(&serial, known.model.as_deref());
        let kept = kept.map_err(|error| Error::invalid(error.to_string()))?;
        let (group, name) = self.locate(volume, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, volume)?;
        marked(&row, job)?;
        if bears(&row, &kept) {
            return Ok(());
        }
        let done = session.retag(&identity(&row)?, &[], &kept);
        verify(done, || {
            let row = session.find(name.which())?;
            Ok(row.is_some_and(|row| bears(&row, &kept)))
        })
    }

    /// What LVM says of a volume that bears the job's mark.
    fn marked_row(
        &self,
        subject: &Subject,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<LvRow, Error> {
        let (group, name) = self.locate(subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, subject)?;
        marked(&row, job)?;
        Ok(row)
    }

    /// Refuses a snapshot that has lost its content.
    fn refuse_lost(&self, row: &LvRow, deadline: Deadline) -> Result<(), Error> {
        let statuses = dm::statuses(&self.dmsetup, deadline)?;
        let status = statuses.get(&dm::name(&row.vg_name, &row.lv_name));
        match status {
            Some(dm::Status::Snapshot(dm::Snapshot::Lost)) => Err(Error::unavailable(format!(
                "snapshot {} has lost its content, because more changed than it had room for; \
                 delete it",
                row.lv_name
            ))),
            _ => Ok(()),
        }
    }

    /// Notes what has begun on a volume, or that it has ended well.
    pub(super) fn tear(
        &self,
        subject: &Subject,
        job: &JobId,
        torn: Option<Torn>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = self.locate(subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, subject)?;
        marked(&row, job)?;
        let before = Marks::read(&row.lv_tags).torn;
        if before == torn {
            return Ok(());
        }
        let tag = |torn: Option<Torn>| -> Vec<Tag> { torn.map(tags::torn).into_iter().collect() };
        let done = session.retag(&identity(&row)?, &tag(before), &tag(torn));
        verify(done, || is_torn(&mut session, &name, torn))
    }
}

/// Gives a range of a device back to what it lies in. It stays claimed by us meanwhile, so the program
/// is told not to claim it.
pub(super) fn discard(program: &Path, device: &Path, range: Range<u64>) -> io::Result<()> {
    let (offset, length) = (
        range.start.to_string(),
        (range.end - range.start).to_string(),
    );
    let device = device.display().to_string();
    let words = ["-f", "-o", &offset, "-l", &length, &device].map(str::to_owned);
    let ended = program::run(program, &words, &[], Deadline::after(LIMIT));
    match ended.map_err(io::Error::other)? {
        ended if ended.status.success() => Ok(()),
        ended => Err(io::Error::other(ended.errors)),
    }
}

fn bears(row: &LvRow, tags: &[Tag]) -> bool {
    let mut words = tags.iter().map(Tag::as_str);
    words.all(|tag| row.lv_tags.split(',').any(|word| word == tag))
}

/// Whether a volume bears that mark or lacks any, as it is to be.
fn is_torn(session: &mut Session<'_>, name: &Name, torn: Option<Torn>) -> Result<bool, LvmError> {
    let row = session.find(name.which())?;
    Ok(row.is_some_and(|row| Marks::read(&row.lv_tags).torn == torn))
}
