//! The steps that make, mark, show and remove volumes; thin pools are marked and removed alike.

use std::fs::File;
use std::path::PathBuf;

use super::copy::discard;
use super::watched::{Work, watched};
use super::{
    Making, Name, busy, device_name, extents, found, identity, is_of, job_tag, marked, name_tag,
    not_busy, nothing, path, room_for, rows_of, unreadable, verify,
};
use crate::array::{
    DiskId, Erasing, Error, JobId, Kind, Layout, MAX_LUN, Map, Naa, Place, PoolId, Progress,
    Subject, Torn, VolumeId,
};
use crate::engine::linux::LinuxEngine;
use crate::engine::linux::blockdev::{self, DmDevice, Places};
use crate::engine::linux::dm;
use crate::engine::linux::lio::export::Exported;
use crate::engine::linux::lvm::group::{Group, LvmError, NewVolume, Session, Which};
use crate::engine::linux::lvm::names::{self, DevicePath, LvName, LvmUuid, Tag};
use crate::engine::linux::lvm::report::LvRow;
use crate::engine::linux::lvm::tags::{self, Marks};
use crate::engine::linux::watch::Deadline;

/// How often a removal is tried that LVM refuses.
const REMOVALS: usize = 5;

/// A volume that nobody uses.
struct Idle {
    row: LvRow,
    device: DmDevice,
    place: Written,
    /// Bytes.
    size: u64,
}

/// What is written to: a device that goes by a name which may be another's meanwhile.
struct Written {
    path: PathBuf,
    /// The UUID of the device-mapper device.
    uuid: String,
    places: Places,
}

impl Written {
    fn is_it(&self, file: &File) -> bool {
        self.places.is_dm_device(file, &self.uuid)
    }
}

impl LinuxEngine {
    pub(in super::super) fn create(
        &self,
        making: &Making<'_>,
        place: &Place,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let group = self.group(making.group)?;
        let (device, tags) = making.checked()?;
        let mut session = group.enter(deadline)?;
        let is_thin = matches!(place, Place::Thin(_));
        if let Some(row) = session.find(Which::Name(&device))? {
            let is_ours = is_of(&Marks::read(&row.lv_tags), making.job);
            let is_same = row.lv_size == Some(making.size)
                && row.is_volume()
                && row.has_layout("thin") == is_thin;
            return match is_ours && is_same {
                true => Ok(()),
                false => Err(Error::already_exists(format!(
                    "volume group {} has a logical volume {device} already",
                    group.name
                ))),
            };
        }
        let done = match place {
            Place::Disks { layout, legs } => {
                let extents = room_for(&self.state(&mut session)?, *layout, making.size)?;
                let on = self.legs(&mut session, *layout, legs, extents)?;
                let wanted = NewVolume {
                    name: &device,
                    extents,
                    tags: &tags,
                };
                session.create(&wanted, *layout, &on)
            }
            Place::Thin(pool) => {
                let row = self.state(&mut session)?;
                extents(&row, making.size)?;
                if !row.vg_partial.is_empty() {
                    return Err(super::lacks_disk(&row.vg_name));
                }
                let pool = self.thin_pool(&mut session, pool)?;
                session.create_thin(&device, making.size, &tags, &pool)
            }
        };
        // Only these can be told when they are made.
        let is_told = matches!(
            place,
            Place::Disks {
                layout: Layout::Linear | Layout::Striped { .. },
                ..
            }
        );
        let mut made = None;
        verify(done, || {
            let row = session.find(Which::Name(&device))?;
            made = row.filter(|row| is_of(&Marks::read(&row.lv_tags), making.job));
            Ok(made.is_some())
        })?;
        match made {
            Some(row) if !is_told => Ok(session.leave_to_us(&identity(&row)?)?),
            _ => Ok(()),
        }
    }

    /// The name of a thin pool of that group that takes volumes.
    pub(super) fn thin_pool(
        &self,
        session: &mut Session<'_>,
        pool: &PoolId,
    ) -> Result<LvName, Error> {
        let mut rows = session.segments()?.into_iter();
        let row = rows.find(|row| row.lv_uuid == pool.as_str() && row.is_thin_pool());
        let row = row.ok_or_else(|| nothing(&Subject::Pool(pool.clone())))?;
        not_busy(&row, None)?;
        if row.zero != "zero" {
            return Err(Error::not_supported(format!(
                "thin pool {} does not overwrite what its blocks held before; let it do so with \
                 lvchange -Zy",
                row.lv_name
            )));
        }
        let statuses = dm::statuses(&self.dmsetup, session.deadline)?;
        let status = dm::pool(&statuses, &row.vg_name, &row.lv_name);
        if status.is_some_and(|status| !status.takes_writes()) {
            return Err(Error::no_space(format!(
                "thin pool {} takes no more writes; grow it, or look at its status",
                row.lv_name
            ))
            .with_largest(0));
        }
        device_name(&row)
    }

    /// The devices for the legs of a volume, each with the room that its leg needs; none where it
    /// may lie anywhere.
    fn legs(
        &self,
        session: &mut Session<'_>,
        layout: Layout,
        legs: &[DiskId],
        extents: u64,
    ) -> Result<Vec<DevicePath>, Error> {
        if !is_made(layout) {
            return Err(Error::invalid(format!(
                "LVM makes no {} of {} disks; choose more",
                layout.name(),
                layout.legs()
            )));
        }
        let is_anywhere = layout == Layout::Linear && legs.is_empty();
        if is_anywhere {
            return Ok(Vec::new());
        }
        let mut distinct = legs.to_vec();
        distinct.sort();
        distinct.dedup();
        if distinct.len() != legs.len() || legs.len() != usize::from(layout.legs()) {
            return Err(Error::invalid(format!(
                "{} needs {} different disks, {} were named",
                layout.name(),
                layout.legs(),
                distinct.len()
            )));
        }
        let extent = super::extent_size(&self.state(session)?)?;
        let leg = layout.consumed(extents) / u64::from(layout.legs()) * extent;
        let members = self.members(session)?;
        let rows = rows_of(&members, legs, session.group)?;
        if let Some(row) = rows.iter().find(|row| row.pv_free < Some(leg)) {
            return Err(Error::no_space(format!(
                "disk {} has {} bytes free, a leg of the volume needs {leg}; choose another disk",
                row.pv_name,
                row.pv_free.unwrap_or_default()
            )));
        }
        rows.into_iter().map(path).collect()
    }

    pub(in super::super) fn zero(
        &self,
        volume: &Subject,
        job: &JobId,
        progress: &dyn Progress,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = self.locate(volume, deadline)?;
        let mut session = group.enter(deadline)?;
        let Idle { place, size, .. } = self.idle(&mut session, &name, volume, job)?;
        drop(session);
        let work = Work {
            on: place.path.display().to_string(),
            done: "zeroed",
            size,
        };
        watched(&work, progress, move |go_on| {
            blockdev::zero(&place.path, |file| place.is_it(file), size, go_on)
        })
    }

    pub(in super::super) fn erase(
        &self,
        volume: &Subject,
        how: Erasing,
        job: &JobId,
        progress: &dyn Progress,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = match self.locate(volume, deadline) {
            Err(error) if error.kind == Kind::NotFound => return Ok(()),
            located => located?,
        };
        let mut session = group.enter(deadline)?;
        if session.find(name.which())?.is_none() {
            return Ok(());
        }
        let Idle {
            row,
            device,
            place,
            size,
        } = self.idle(&mut session, &name, volume, job)?;
        drop(session);
        if row.is_delta() {
            return Err(Error::invalid(format!(
                "volume {} is a snapshot that holds only what has changed; remove it as it is",
                row.lv_name
            )));
        }
        refuse_needed(&row)?;
        // To a thin volume zeros would only give more of its pool.
        let is_zeroed = how == Erasing::Zero && !row.has_layout("thin");
        let block = match is_zeroed {
            true => None,
            false => self.places.discards(&device).map_err(unreadable)?,
        };
        if !is_zeroed && block.is_none() {
            tracing::warn!(
                volume = row.lv_name,
                "what the volume lies on takes no discards; it is removed as it is"
            );
            return Ok(());
        }
        // Before the first byte goes.
        self.tear(volume, job, Some(Torn::Erased), deadline)?;
        let work = Work {
            on: place.path.display().to_string(),
            done: "erased",
            size,
        };
        let blkdiscard = self.blkdiscard.clone();
        watched(&work, progress, move |go_on| {
            let (path, is_it) = (&place.path, |file: &File| place.is_it(file));
            match block {
                None => blockdev::zero(path, is_it, size, go_on),
                Some(block) => {
                    let discard = |range| discard(&blkdiscard, path, range);
                    blockdev::discard(path, is_it, (size, block), &discard, go_on)
                }
            }
        })
    }

    /// The device of a volume that bears the job's mark and that nobody uses.
    fn idle(
        &self,
        session: &mut Session<'_>,
        name: &Name,
        volume: &Subject,
        job: &JobId,
    ) -> Result<Idle, Error> {
        let row = self.owned_anyhow(session, name, volume)?;
        marked(&row, job)?;
        self.refuse_exported(&row, session.deadline)?;
        self.refuse_held(session, &row)?;
        let uuid = identity(&row)?;
        let device = self.active(session, &uuid)?;
        let size = row
            .lv_size
            .ok_or_else(|| Error::bug("LVM reports a volume without a size"))?;
        Ok(Idle {
            place: Written {
                path: self.places.dev.join(&device.name),
                uuid: names::dm_uuid(&session.group.uuid, &uuid),
                places: self.places.clone(),
            },
            size,
            row,
            device,
        })
    }

    pub(in super::super) fn mark(
        &self,
        subject: &Subject,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = self.locate(subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned_anyhow(&mut session, &name, subject)?;
        if is_of(&Marks::read(&row.lv_tags), job) {
            return Ok(());
        }
        not_busy(&row, None)?;
        // A thin pool is held by its volumes.
        if !row.is_thin_pool() {
            self.refuse_exported(&row, deadline)?;
            self.refuse_held(&mut session, &row)?;
        }
        let done = session.retag(&identity(&row)?, &[], &[job_tag(job)]);
        verify(
            done,
            || Ok(has_job(&mut session, &name, job)? == Some(true)),
        )
    }

    pub(in super::super) fn unmark(
        &self,
        subject: &Subject,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = self.locate(subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned_anyhow(&mut session, &name, subject)?;
        match Marks::read(&row.lv_tags).job {
            None => return Ok(()),
            Some(_) => marked(&row, job)?,
        }
        let done = session.retag(&identity(&row)?, &[job_tag(job)], &[]);
        verify(done, || {
            Ok(has_job(&mut session, &name, job)? == Some(false))
        })
    }

    pub(in super::super) fn remove(
        &self,
        subject: &Subject,
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, name) = match (self.locate(subject, deadline), subject) {
            // No managed group has it. That this is no proof while its group is away is for the
            // one who verifies: it looks at the group.
            (Err(error), Subject::Known(_) | Subject::Pool(_)) if error.kind == Kind::NotFound => {
                return Ok(());
            }
            (located, _) => located?,
        };
        let mut session = group.enter(deadline)?;
        if session.find(name.which())?.is_none() {
            return Ok(());
        }
        let row = self.owned_anyhow(&mut session, &name, subject)?;
        marked(&row, job)?;
        if row.is_thin_pool() {
            refuse_filled(&mut session, &row)?;
            let uuid = identity(&row)?;
            let done = session.remove_pool(&uuid);
            return verify(done, || Ok(session.find(Which::Uuid(&uuid))?.is_none()));
        }
        self.refuse_exported(&row, deadline)?;
        self.remove_row(&mut session, &row)
    }

    pub(in super::super) fn rename(
        &self,
        volume: &VolumeId,
        name: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let subject = Subject::Known(volume.clone());
        let (group, found) = self.locate(&subject, deadline)?;
        let new = name_tag(name)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &found, &subject)?;
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

    pub(in super::super) fn map(&self, map: &Map, deadline: Deadline) -> Result<(), Error> {
        if map.lun > MAX_LUN {
            return Err(Error::invalid(format!(
                "LUN numbers end at {MAX_LUN}; choose a lower one"
            )));
        }
        let subject = Subject::Known(map.volume.clone());
        let uuid = LvmUuid::new(map.volume.as_str()).map_err(|_| nothing(&subject))?;
        // It passed these guards when it was exported, and while it is, no step marks, shrinks or
        // removes it. So more rows cost nothing of LVM, however many volumes there are.
        if let Some(exported) = self.exported(&uuid, deadline)?
            && self.exports.show_exported(exported, map, deadline)?
        {
            return Ok(());
        }
        let group = self.group_for(&uuid, deadline)?;
        let group = group.ok_or_else(|| nothing(&subject))?;
        // All other masking changes wait for this one, which must not wait for all that storage does.
        let mut session = group.enter_first(deadline)?;
        // Showing it changes nothing of its group, which may lack a disk: redundancy is for that.
        let row = found(&mut session, &Name::Uuid(uuid.clone()), &subject)?;
        let marks = Marks::read(&row.lv_tags);
        if marks.job.is_some() {
            return Err(busy(&row));
        }
        // What exports it has it open.
        let is_open = !row.lv_device_open.is_empty();
        if !is_open || !self.is_exported(&row, deadline)? {
            self.refuse_held(&mut session, &row)?;
        }
        let device = self.active(&mut session, &uuid)?;
        drop(session);
        let serial = marks.serial.unwrap_or_else(|| map.volume.unit_serial());
        let exported = Exported {
            model: marks.model,
            ..exported(&group, &uuid, device.number, serial)
        };
        self.exports.show(exported, map, deadline)
    }

    /// A volume of a managed group on whose active device a backstore of ours stands that bears its
    /// name.
    fn exported(&self, uuid: &LvmUuid, deadline: Deadline) -> Result<Option<Exported>, Error> {
        let Some(number) = self.exports.device_of(uuid.as_str(), deadline)? else {
            return Ok(None);
        };
        let device = self.places.dm_uuid(number);
        let mut groups = self.lvm.groups().into_iter();
        let group = groups.find(|group| device == Some(names::dm_uuid(&group.uuid, uuid)));
        let serial = VolumeId::from(uuid.as_str()).unit_serial();
        Ok(group.map(|group| exported(&group, uuid, number, serial)))
    }

    /// Removes a volume that was found to be ours to remove.
    pub(super) fn remove_row(&self, session: &mut Session<'_>, row: &LvRow) -> Result<(), Error> {
        let uuid = identity(row)?;
        let mut tries = 0;
        loop {
            let now = session.find(Which::Uuid(&uuid))?;
            self.refuse_held(session, now.as_ref().unwrap_or(row))?;
            // That took its time: a snapshot that somebody made meanwhile would go with it, and a
            // disk that went since would be noted as missing.
            let now = session.find(Which::Uuid(&uuid))?;
            let now = now.ok_or_else(|| nothing(&Subject::Known(uuid.as_str().into())))?;
            refuse_needed(&now)?;
            if now.vg_partial != row.vg_partial {
                return Err(super::lacks_disk(&now.vg_name));
            }
            let done = session.remove(&uuid, !now.vg_partial.is_empty());
            tries += 1;
            // A thin pool whose disk is missing lets go of its volumes with an error.
            let is_gone = session.find(Which::Uuid(&uuid))?.is_none();
            // udev may have opened it in between.
            if !is_gone
                && tries < REMOVALS
                && matches!(&done, Err(LvmError::Shell(e)) if !e.outcome_is_unknown())
            {
                continue;
            }
            return verify(done, || Ok(is_gone));
        }
    }
}

/// What the target is to know of a volume.
fn exported(group: &Group, uuid: &LvmUuid, number: (u32, u32), serial: String) -> Exported {
    Exported {
        device: names::device_link(&group.uuid, uuid),
        number,
        naa: Naa::from_serial(Naa::LIO_COMPANY, &serial),
        serial,
        model: None,
        uuid: uuid.to_string(),
    }
}

/// Whether LVM makes such a layout (lvmraid(7)).
const fn is_made(layout: Layout) -> bool {
    match layout {
        Layout::Linear => true,
        Layout::Striped { stripes } | Layout::MirroredStripes { stripes } => stripes >= 2,
        Layout::Mirrored { copies } => copies >= 2,
        Layout::Parity { stripes, parity } => (parity == 1 || parity == 2) && stripes > parity,
    }
}

/// Refuses a volume that others need.
fn refuse_needed(row: &LvRow) -> Result<(), Error> {
    match row.is_needed() {
        true => Err(Error::has_dependents(format!(
            "volume {} has snapshots, which are nothing without it; remove them first",
            row.lv_name
        ))),
        false => Ok(()),
    }
}

/// Refuses a thin pool that has volumes of anybody.
fn refuse_filled(session: &mut Session<'_>, pool: &LvRow) -> Result<(), Error> {
    let mut rows = session.volumes()?.into_iter();
    match rows.find(|row| row.pool_lv_uuid == pool.lv_uuid) {
        None => Ok(()),
        Some(row) => Err(Error::in_use(format!(
            "thin pool {} holds volume {}; remove its volumes first",
            pool.lv_name, row.lv_name
        ))),
    }
}

/// Whether a volume still bears a job's mark; `None` when it is gone.
fn has_job(session: &mut Session<'_>, name: &Name, job: &JobId) -> Result<Option<bool>, LvmError> {
    let row = session.find(name.which())?;
    Ok(row.map(|row| Marks::read(&row.lv_tags).job == Some(job.to_string())))
}
