//! The steps on volumes. Each looks at what it touches in its own turn at the group, by identity
//! and mark, before it changes anything, and looks again afterwards.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::LinuxEngine;
use super::blockdev::{self, DmDevice, Zeroed};
use super::lio::export::Exported;
use super::lvm::group::{Group, LvmError, NewVolume, Session, Which};
use super::lvm::names::{self, LvName, LvmUuid, Tag};
use super::lvm::report::{LvRow, VgRow};
use super::lvm::tags::{self, Marks};
use super::watch::Deadline;
use crate::array::{Error, JobId, Kind, MAX_LUN, Map, Naa, PoolId, Progress, Subject, VolumeId};

/// How long zeroing may go without a sign of progress.
const STANDSTILL: Duration = Duration::from_secs(20);
/// How long udev may look at a device before it counts as open.
const SETTLE: Duration = Duration::from_secs(5);
/// Time between two looks at such a device.
const PAUSE: Duration = Duration::from_millis(50);
/// How many ranges of extents a volume can grow by at once: LVM's shell takes fewer than 64 words.
const MAX_PIECES: usize = 48;
/// How often a removal is tried that LVM refuses.
const REMOVALS: usize = 5;

/// A volume as a step names it, checked.
enum Name {
    Uuid(LvmUuid),
    Device(LvName),
}

impl Name {
    fn which(&self) -> Which<'_> {
        match self {
            Self::Uuid(uuid) => Which::Uuid(uuid),
            Self::Device(name) => Which::Name(name),
        }
    }
}

impl LinuxEngine {
    pub(super) fn create(
        &self,
        pool: &PoolId,
        device: &str,
        name: &str,
        size: u64,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let group = self.pool(pool)?;
        let device = LvName::new(device).map_err(|e| Error::invalid(e.to_string()))?;
        let tags = [tags::owner(), name_tag(name)?, job_tag(job)];
        let mut session = group.enter(deadline)?;
        if let Some(row) = session.find(Which::Name(&device))? {
            let is_ours = is_of(&Marks::read(&row.lv_tags), job);
            return match is_ours && row.lv_size == Some(size) {
                true => Ok(()),
                false => Err(Error::already_exists(format!(
                    "volume group {} has a logical volume {device} already",
                    group.name
                ))),
            };
        }
        let extents = room_for(&state(&mut session)?, size)?;
        let made = session.create(&NewVolume {
            name: &device,
            extents,
            tags: &tags,
        });
        verify(made, || {
            let row = session.find(Which::Name(&device))?;
            Ok(row.is_some_and(|row| is_of(&Marks::read(&row.lv_tags), job)))
        })
    }

    pub(super) fn zero(
        &self,
        volume: &Subject,
        job: &JobId,
        progress: &dyn Progress,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = self.locate(volume, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = owned(&mut session, &name, volume)?;
        marked(&row, job)?;
        self.refuse_exported(&row, deadline)?;
        self.refuse_held(&mut session, &row)?;
        let device = self.active(&mut session, &identity(&row)?)?;
        drop(session);
        let size = row
            .lv_size
            .ok_or_else(|| Error::bug("LVM reports a volume without a size"))?;
        zero_watched(self.places.dev.join(&device.name), size, progress)
    }

    pub(super) fn mark(
        &self,
        volume: &Subject,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = self.locate(volume, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = owned(&mut session, &name, volume)?;
        match Marks::read(&row.lv_tags).job {
            Some(other) if other != job.to_string() => Err(busy(&row)),
            Some(_) => Ok(()),
            None => {
                self.refuse_exported(&row, deadline)?;
                self.refuse_held(&mut session, &row)?;
                let done = session.retag(&identity(&row)?, &[], &[job_tag(job)]);
                verify(
                    done,
                    || Ok(has_job(&mut session, &name, job)? == Some(true)),
                )
            }
        }
    }

    pub(super) fn unmark(
        &self,
        volume: &Subject,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = self.locate(volume, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = owned(&mut session, &name, volume)?;
        match Marks::read(&row.lv_tags).job {
            None => return Ok(()),
            Some(_) => marked(&row, job)?,
        }
        let done = session.retag(&identity(&row)?, &[job_tag(job)], &[]);
        verify(done, || {
            Ok(has_job(&mut session, &name, job)? == Some(false))
        })
    }

    pub(super) fn remove(
        &self,
        volume: &Subject,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = match (self.locate(volume, deadline), volume) {
            // No managed group has it. That this is no proof while its pool is away is for the one
            // who verifies: it looks at the pool.
            (Err(error), Subject::Known(_)) if error.kind == Kind::NotFound => return Ok(()),
            (located, _) => located?,
        };
        let mut session = group.enter(deadline)?;
        if session.find(name.which())?.is_none() {
            return Ok(());
        }
        let row = owned(&mut session, &name, volume)?;
        marked(&row, job)?;
        self.refuse_exported(&row, deadline)?;
        self.remove_row(&mut session, &row)
    }

    pub(super) fn absorb(
        &self,
        volume: &VolumeId,
        reserve: &Subject,
        size: u64,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let subject = Subject::Known(volume.clone());
        let (group, name) = self.locate(&subject, deadline)?;
        let reserve = self.locate_in(group, reserve)?;
        let mut session = group.enter(deadline)?;
        let row = owned(&mut session, &name, &subject)?;
        if Marks::read(&row.lv_tags)
            .job
            .is_some_and(|other| other != job.to_string())
        {
            return Err(busy(&row));
        }
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
        let sum = old.checked_add(spare.lv_size.unwrap_or_default());
        if sum != Some(size) || spare.lv_uuid == row.lv_uuid {
            return Err(Error::invalid(
                "the extents that were set aside do not add up to the new size",
            ));
        }
        self.refuse_exported(&spare, deadline)?;
        if !self.exports.is_exported(&row.lv_uuid, deadline)? {
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
        let device = LvName::new(row.lv_name.as_str()).map_err(|e| Error::bug(e.to_string()))?;
        let extent = extent_size(&state(session)?)?;
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
        let done = session.extend(&device, size / extent, &extents);
        let Some(now) = session.find(Which::Uuid(&volume))? else {
            return Err(Error::not_found(format!("volume {volume} is gone")));
        };
        if now.lv_size != Some(size) {
            return Err(done.err().map_or_else(
                || Error::unavailable("LVM did not extend the volume; try again"),
                Error::from,
            ));
        }
        if before.map(|seqno| seqno + 2) == now.vg_seqno {
            return Ok(());
        }
        let old = row.lv_size.unwrap_or_default();
        session.reduce(&device, old / extent)?;
        Err(Error::unavailable(format!(
            "another program changed volume group {} at the same time; try again",
            session.group.name
        )))
    }

    pub(super) fn rename(
        &self,
        volume: &VolumeId,
        name: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let subject = Subject::Known(volume.clone());
        let (group, found) = self.locate(&subject, deadline)?;
        let new = name_tag(name)?;
        let mut session = group.enter(deadline)?;
        let row = owned(&mut session, &found, &subject)?;
        let old: Vec<Tag> = tags::names(&row.lv_tags);
        if old == [new.clone()] {
            return Ok(());
        }
        let done = session.retag(&identity(&row)?, &old, std::slice::from_ref(&new));
        verify(done, || {
            let row = session.find(found.which())?;
            Ok(row.is_some_and(|row| tags::names(&row.lv_tags) == [new]))
        })
    }

    pub(super) fn map(&self, map: &Map, deadline: Deadline) -> Result<(), Error> {
        if map.lun > MAX_LUN {
            return Err(Error::invalid(format!(
                "LUN numbers end at {MAX_LUN}; choose a lower one"
            )));
        }
        let subject = Subject::Known(map.volume.clone());
        let (group, name) = self.locate(&subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = owned(&mut session, &name, &subject)?;
        let marks = Marks::read(&row.lv_tags);
        if marks.job.is_some() {
            return Err(busy(&row));
        }
        if !self.exports.is_exported(&row.lv_uuid, deadline)? {
            self.refuse_held(&mut session, &row)?;
        }
        let uuid = identity(&row)?;
        let device = self.active(&mut session, &uuid)?;
        drop(session);
        let serial = marks.serial.unwrap_or_else(|| map.volume.unit_serial());
        let exported = Exported {
            device: names::device_link(&group.uuid, &uuid),
            number: device.number,
            naa: Naa::from_serial(Naa::LIO_COMPANY, &serial),
            serial,
            uuid: uuid.to_string(),
        };
        self.exports.show(exported, map, deadline)
    }

    /// Removes a volume that was found to be ours to remove.
    fn remove_row(&self, session: &mut Session<'_>, row: &LvRow) -> Result<(), Error> {
        if !row.lv_descendants.is_empty() {
            return Err(Error::in_use(format!(
                "volume {} has snapshots; remove them first",
                row.lv_name
            )));
        }
        let uuid = identity(row)?;
        let mut tries = 0;
        loop {
            self.refuse_held(session, row)?;
            let done = session.remove(&uuid);
            tries += 1;
            // udev may have opened it in between.
            if tries < REMOVALS
                && matches!(&done, Err(LvmError::Shell(e)) if !e.outcome_is_unknown())
            {
                continue;
            }
            return verify(done, || Ok(session.find(Which::Uuid(&uuid))?.is_none()));
        }
    }

    /// The device of an owned volume, which is made to appear where it is not there.
    fn active(&self, session: &mut Session<'_>, uuid: &LvmUuid) -> Result<DmDevice, Error> {
        if let Some(device) = self.device(&session.group.uuid, uuid)? {
            return Ok(device);
        }
        let done = session.activate(uuid);
        match (self.device(&session.group.uuid, uuid)?, done) {
            (Some(device), _) => Ok(device),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(Error::unavailable(
                "LVM did not activate the volume; try again",
            )),
        }
    }

    fn device(&self, vg: &LvmUuid, lv: &LvmUuid) -> Result<Option<DmDevice>, Error> {
        let mut devices = self.places.dm_devices().map_err(unreadable)?;
        Ok(devices.remove(&names::dm_uuid(vg, lv)))
    }

    /// Refuses a volume whose device somebody has open. udev opens each device for a moment after
    /// a writer closed it; that is waited for.
    fn refuse_held(&self, session: &mut Session<'_>, row: &LvRow) -> Result<(), Error> {
        let uuid = identity(row)?;
        let settled = Deadline::after(SETTLE);
        loop {
            let Some(device) = self.device(&session.group.uuid, &uuid)? else {
                return Ok(());
            };
            if let Some(user) = self.places.users().map_err(unreadable)?.of(&device) {
                return Err(Error::in_use(format!("volume {} is {user}", row.lv_name)));
            }
            match session.find(Which::Uuid(&uuid))? {
                Some(now) if now.lv_device_open.is_empty() => return Ok(()),
                None => return Err(Error::not_found(format!("volume {} is gone", row.lv_name))),
                Some(_) if settled.left().is_zero() => {
                    let name = &row.lv_name;
                    return Err(Error::in_use(format!(
                        "volume {name} is open; close it first"
                    )));
                }
                Some(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn refuse_exported(&self, row: &LvRow, deadline: Deadline) -> Result<(), Error> {
        match self.exports.is_exported(&row.lv_uuid, deadline)? {
            true => Err(Error::in_use(format!(
                "volume {} is exported; unmask it first",
                row.lv_name
            ))),
            false => Ok(()),
        }
    }

    pub(super) fn pool(&self, pool: &PoolId) -> Result<&Group, Error> {
        self.lvm
            .group(pool.as_str())
            .ok_or_else(|| Error::not_found(format!("this array has no pool {pool}")))
    }

    fn locate(&self, volume: &Subject, deadline: Deadline) -> Result<(&Group, Name), Error> {
        match volume {
            Subject::Made(pool, _) => {
                let group = self.pool(pool)?;
                Ok((group, self.locate_in(group, volume)?))
            }
            Subject::Pool(_) => Err(no_volume(volume)),
            Subject::Known(id) => {
                let uuid = LvmUuid::new(id.as_str()).map_err(|_| no_volume(volume))?;
                let group = self
                    .lvm
                    .group_of(&uuid, deadline)?
                    .ok_or_else(|| no_volume(volume))?;
                Ok((group, Name::Uuid(uuid)))
            }
        }
    }

    /// The same for a volume that must lie in that group.
    fn locate_in(&self, group: &Group, volume: &Subject) -> Result<Name, Error> {
        match volume {
            Subject::Made(pool, _) if pool.as_str() != group.uuid.as_str() => {
                Err(Error::invalid("the two volumes lie in different pools"))
            }
            Subject::Made(_, device) => LvName::new(device.as_str())
                .map(Name::Device)
                .map_err(|_| no_volume(volume)),
            Subject::Pool(_) => Err(no_volume(volume)),
            Subject::Known(id) => LvmUuid::new(id.as_str())
                .map(Name::Uuid)
                .map_err(|_| no_volume(volume)),
        }
    }
}

/// Zeroes on a thread of its own: the kernel may hang, the caller may not. The thread asks before
/// each slice, so that a wish to stop is heard there and then.
fn zero_watched(device: PathBuf, size: u64, progress: &dyn Progress) -> Result<(), Error> {
    enum Word {
        Done(u64),
        End(std::io::Result<Zeroed>),
    }
    let (sender, words) = sync_channel(1);
    let (answer, answers) = sync_channel(1);
    let path = device.clone();
    thread::spawn(move || {
        let end = blockdev::zero(&path, size, |done| {
            // Without an answer nobody is waiting any more.
            sender.send(Word::Done(done)).is_ok() && answers.recv().unwrap_or(false)
        });
        let _ = sender.send(Word::End(end));
    });
    loop {
        let (kind, message, source) = match words.recv_timeout(STANDSTILL) {
            Ok(Word::Done(done)) => {
                progress.report(done, size);
                let _ = answer.send(!progress.is_cancelled());
                continue;
            }
            Ok(Word::End(Ok(Zeroed::Whole))) => return Ok(()),
            Ok(Word::End(Ok(Zeroed::Stopped))) => {
                return Err(Error::unavailable("the job was cancelled"));
            }
            Ok(Word::End(Err(error))) if error.kind() == std::io::ErrorKind::ResourceBusy => (
                Kind::InUse,
                "is open elsewhere; close it first",
                Some(error),
            ),
            Ok(Word::End(Err(error))) => (
                Kind::Unavailable,
                "cannot be zeroed; see the log",
                Some(error),
            ),
            Err(RecvTimeoutError::Timeout) => {
                (Kind::Timeout, "does not get on with being zeroed", None)
            }
            Err(RecvTimeoutError::Disconnected) => (Kind::Bug, "was left while being zeroed", None),
        };
        let error = Error::new(kind, format!("{} {message}", device.display()));
        return Err(match source {
            Some(source) => error.caused_by(source),
            None => error,
        });
    }
}

/// Success is what is there afterwards, whatever the command said: an answer may be lost, and LVM
/// calls it a success when its selection found nothing.
fn verify(
    done: Result<(), LvmError>,
    is_so: impl FnOnce() -> Result<bool, LvmError>,
) -> Result<(), Error> {
    match (is_so()?, done) {
        (true, _) => Ok(()),
        (false, Err(error)) => Err(error.into()),
        (false, Ok(())) => Err(Error::unavailable("LVM did not make the change; try again")),
    }
}

fn state(session: &mut Session<'_>) -> Result<VgRow, Error> {
    let name = &session.group.name;
    let gone = Error::not_found(format!("volume group {name} is gone or is another one now"));
    session.state()?.ok_or(gone)
}

/// The volume, if it is there and bears the owner's mark.
fn owned(session: &mut Session<'_>, name: &Name, asked: &Subject) -> Result<LvRow, Error> {
    let row = session
        .find(name.which())?
        .ok_or_else(|| no_volume(asked))?;
    if !Marks::read(&row.lv_tags).owned {
        return Err(not_ours(&row));
    }
    if !row.vg_partial.is_empty() {
        return Err(lacks_disk(&row.vg_name));
    }
    Ok(row)
}

/// A group that is not whole is not changed: LVM would write into its metadata that the disk which
/// it cannot see is missing, also when somebody has only just added that disk.
fn lacks_disk(group: &str) -> Error {
    Error::unavailable(format!(
        "pool {group} lacks a disk, or has one that was added since the start; connect it again, \
         or restart standpipe to see it"
    ))
}

fn marked(row: &LvRow, job: &JobId) -> Result<(), Error> {
    match is_of(&Marks::read(&row.lv_tags), job) {
        true => Ok(()),
        false => Err(Error::in_use(format!(
            "volume {} does not bear the mark of the job that would change it",
            row.lv_name
        ))),
    }
}

/// Whether a volume still bears a job's mark; `None` when it is gone.
fn has_job(session: &mut Session<'_>, name: &Name, job: &JobId) -> Result<Option<bool>, LvmError> {
    let row = session.find(name.which())?;
    Ok(row.map(|row| Marks::read(&row.lv_tags).job == Some(job.to_string())))
}

fn is_of(marks: &Marks, job: &JobId) -> bool {
    marks.owned && marks.job == Some(job.to_string())
}

/// How many extents that is, if the group has them and room to note them down.
fn room_for(group: &VgRow, size: u64) -> Result<u64, Error> {
    let extent = extent_size(group)?;
    if size == 0 || !size.is_multiple_of(extent) {
        return Err(Error::invalid(format!(
            "{size} bytes are no multiple of the pool's extent"
        )));
    }
    if !group.vg_partial.is_empty() {
        return Err(lacks_disk(&group.vg_name));
    }
    let available = super::scan::available(group);
    if size > available {
        let free = group.vg_free.unwrap_or_default();
        let why = if free >= size {
            " and its metadata area is nearly full"
        } else {
            ""
        };
        return Err(Error::no_space(format!(
            "pool {} has {free} bytes free{why}, {size} were asked for",
            group.vg_name
        ))
        .with_largest(available));
    }
    Ok(size / extent)
}

fn extent_size(group: &VgRow) -> Result<u64, Error> {
    group
        .vg_extent_size
        .filter(|size| *size > 0)
        .ok_or_else(|| {
            Error::unavailable(format!("LVM reports no extent size of {}", group.vg_name))
        })
}

fn identity(row: &LvRow) -> Result<LvmUuid, Error> {
    LvmUuid::new(row.lv_uuid.as_str()).map_err(|e| Error::unavailable(format!("LVM reports {e}")))
}

fn name_tag(name: &str) -> Result<Tag, Error> {
    tags::name(name).map_err(|_| Error::invalid("the name is too long; choose a shorter one"))
}

fn job_tag(job: &JobId) -> Tag {
    tags::job(&job.to_string()).expect("a UUID is a valid tag")
}

fn no_volume(volume: &Subject) -> Error {
    match volume {
        Subject::Known(id) => Error::not_found(format!("this array has no volume {id}")),
        Subject::Pool(id) => Error::not_found(format!("this array has no pool {id}")),
        Subject::Made(_, device) => Error::not_found(format!("this array has no volume {device}")),
    }
}

fn busy(row: &LvRow) -> Error {
    Error::in_use(format!(
        "another job works on volume {}; wait for it",
        row.lv_name
    ))
}

fn not_ours(row: &LvRow) -> Error {
    Error::access_denied(format!(
        "volume {} is not this array's to change",
        row.lv_name
    ))
}

fn unreadable(error: std::io::Error) -> Error {
    Error::unavailable("the kernel's list of devices cannot be read").caused_by(error)
}
