//! The steps. Each looks at what it touches in its own turn at the group, by identity and mark,
//! before it changes anything, and looks again afterwards.
//!
//! Here is what they have in common: how a volume is found, and what is refused.

mod copies;
mod copy;
mod groups;
mod growth;
mod missing;
mod moves;
mod raid;
mod replicas;
mod takeover;
mod thin;
mod volumes;
mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::LinuxEngine;
use super::blockdev::DmDevice;
use super::lvm::group::{Group, LvmError, Session, Which};
use super::lvm::names::{self, DevicePath, LvName, LvmUuid, Tag};
use super::lvm::report::{LvRow, PvRow, VgRow};
use super::lvm::tags::{self, Marks};
use super::watch::Deadline;
use crate::array::{DiskId, Error, JobId, Layout, PoolId, Subject};

/// How long a long step may go without a sign of progress.
const STANDSTILL: Duration = Duration::from_secs(20);
/// How long udev may look at a device before it counts as open.
const SETTLE: Duration = Duration::from_secs(5);
/// Time between two looks at such a device.
const PAUSE: Duration = Duration::from_millis(50);

/// What a step makes in a group.
pub(super) struct Making<'a> {
    /// In which group.
    pub(super) group: &'a PoolId,
    /// The name of the device.
    pub(super) device: &'a str,
    /// The name for people.
    pub(super) name: &'a str,
    /// Bytes.
    pub(super) size: u64,
    /// Whose work it is.
    pub(super) job: &'a JobId,
}

impl Making<'_> {
    /// The device name, and the tags that it bears from the beginning.
    fn checked(&self) -> Result<(LvName, [Tag; 3]), Error> {
        let device = LvName::new(self.device).map_err(|e| Error::invalid(e.to_string()))?;
        Ok((
            device,
            [tags::owner(), name_tag(self.name)?, job_tag(self.job)],
        ))
    }
}

/// A volume or thin pool as a step names it, checked.
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
    pub(super) fn group(&self, pool: &PoolId) -> Result<Arc<Group>, Error> {
        self.lvm
            .group(pool.as_str())
            .ok_or_else(|| Error::not_found(format!("this array has no pool {pool}")))
    }

    fn locate(&self, subject: &Subject, deadline: Deadline) -> Result<(Arc<Group>, Name), Error> {
        let id = match subject {
            Subject::Made(pool, _) => {
                let group = self.group(pool)?;
                let name = locate_in(&group, subject)?;
                return Ok((group, name));
            }
            Subject::Pool(id) => id.as_str(),
            Subject::Known(id) => id.as_str(),
        };
        let uuid = LvmUuid::new(id).map_err(|_| nothing(subject))?;
        let group = self.lvm.group_of(&uuid, deadline)?;
        Ok((group.ok_or_else(|| nothing(subject))?, Name::Uuid(uuid)))
    }

    /// The group that a volume must lie in, if it is there: the only one, or the one that its active
    /// device names, or the one in which LVM finds it.
    fn group_for(&self, uuid: &LvmUuid, deadline: Deadline) -> Result<Option<Arc<Group>>, Error> {
        let groups = self.lvm.groups();
        if let [only] = groups.as_slice() {
            return Ok(Some(only.clone()));
        }
        let devices = self.places.dm_devices().map_err(unreadable)?;
        let is_active =
            |group: &&Arc<Group>| devices.contains_key(&names::dm_uuid(&group.uuid, uuid));
        match groups.iter().find(is_active) {
            Some(group) => Ok(Some(group.clone())),
            None => Ok(self.lvm.group_of(uuid, deadline)?),
        }
    }

    /// The device of an owned volume, which is made to appear where it is not there.
    fn active(&self, session: &mut Session<'_>, uuid: &LvmUuid) -> Result<DmDevice, Error> {
        if let Some(device) = self.device(&session.group.uuid, uuid)? {
            return Ok(device);
        }
        // A snapshot that keeps what changes appears with its origin, and LVM says yes to nothing else.
        let row = session.find(Which::Uuid(uuid))?;
        let origin = row.filter(LvRow::is_delta);
        let origin = origin.and_then(|row| LvmUuid::new(row.origin_uuid).ok());
        let done = session.activate(origin.as_ref().unwrap_or(uuid));
        match (self.device(&session.group.uuid, uuid)?, done) {
            (Some(device), _) => Ok(device),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(Error::unavailable(
                "LVM did not activate the volume; try again",
            )),
        }
    }

    fn device(&self, vg: &LvmUuid, lv: &LvmUuid) -> Result<Option<DmDevice>, Error> {
        let device = self.places.dm_device(&names::dm_uuid(vg, lv));
        device.map_err(unreadable)
    }

    /// Refuses a volume whose device somebody has open, or had when this row was read in this turn.
    /// udev opens each device for a moment after a writer closed it; that is waited for.
    fn refuse_held(&self, session: &mut Session<'_>, row: &LvRow) -> Result<(), Error> {
        let uuid = identity(row)?;
        let settled = Deadline::after(SETTLE);
        let mut is_open = !row.lv_device_open.is_empty();
        loop {
            let Some(device) = self.device(&session.group.uuid, &uuid)? else {
                return Ok(());
            };
            if let Some(user) = self.places.users().map_err(unreadable)?.of(&device) {
                return Err(Error::in_use(format!("volume {} is {user}", row.lv_name)));
            }
            if !is_open {
                return Ok(());
            }
            let name = &row.lv_name;
            if settled.left().is_zero() {
                return Err(Error::in_use(format!(
                    "volume {name} is open; close it first"
                )));
            }
            thread::sleep(PAUSE);
            let now = session.find(Which::Uuid(&uuid))?;
            let now = now.ok_or_else(|| Error::not_found(format!("volume {name} is gone")))?;
            is_open = !now.lv_device_open.is_empty();
        }
    }

    /// Whether a backstore of ours holds a volume open, or one with its identifier.
    fn is_exported(&self, row: &LvRow, deadline: Deadline) -> Result<bool, Error> {
        let kept = Marks::read(&row.lv_tags).serial;
        self.exports.is_exported(&row.lv_uuid, kept, deadline)
    }

    fn refuse_exported(&self, row: &LvRow, deadline: Deadline) -> Result<(), Error> {
        match self.is_exported(row, deadline)? {
            true => Err(Error::in_use(format!(
                "volume {} is exported; unmask it first",
                row.lv_name
            ))),
            false => Ok(()),
        }
    }

    /// The group as it is now. One that seems to lack a disk is looked for on the whole machine: the
    /// disk may be there again, under another name, or be new.
    fn state(&self, session: &mut Session<'_>) -> Result<VgRow, Error> {
        let name = &session.group.name;
        let gone =
            || Error::not_found(format!("volume group {name} is gone or is another one now"));
        let row = session.state()?.ok_or_else(gone)?;
        if row.vg_partial.is_empty() {
            return Ok(row);
        }
        self.lvm.find(session.deadline)?;
        session.state()?.ok_or_else(gone)
    }

    /// The volume or thin pool, if it is there, bears the owner's mark and may be changed.
    fn owned(
        &self,
        session: &mut Session<'_>,
        name: &Name,
        asked: &Subject,
    ) -> Result<LvRow, Error> {
        let row = self.owned_anyhow(session, name, asked)?;
        match row.vg_partial.is_empty() {
            true => Ok(row),
            false => Err(lacks_disk(&row.vg_name)),
        }
    }

    /// The same where its group may lack a disk, for what ends a volume: LVM allows that. It notes
    /// down then that the disk is missing, so one that only the narrow view does not show is looked
    /// for before.
    fn owned_anyhow(
        &self,
        session: &mut Session<'_>,
        name: &Name,
        asked: &Subject,
    ) -> Result<LvRow, Error> {
        let row = found(session, name, asked)?;
        if row.vg_partial.is_empty() {
            return Ok(row);
        }
        self.state(session)?;
        found(session, name, asked)
    }

    /// The disks of a group that are there, with what LVM says of each.
    fn members(&self, session: &mut Session<'_>) -> Result<BTreeMap<DiskId, PvRow>, Error> {
        let own = session.devices()?;
        // Those of other groups would be taken for somebody else's if they were left out.
        let all = self.lvm.list_devices(session.deadline)?;
        let ids = self.disks_of(&all, session.deadline).ids;
        let there = own.into_iter().filter(|row| row.pv_missing.is_empty());
        Ok(there
            .filter_map(|row| Some((ids.get(&row.pv_uuid)?.clone(), row)))
            .collect())
    }
}

/// The same for a volume that must lie in that group.
fn locate_in(group: &Group, subject: &Subject) -> Result<Name, Error> {
    let id = match subject {
        Subject::Made(pool, _) if pool.as_str() != group.uuid.as_str() => {
            return Err(Error::invalid("the two volumes lie in different pools"));
        }
        Subject::Made(_, device) => {
            let name = LvName::new(device.as_str());
            return name.map(Name::Device).map_err(|_| nothing(subject));
        }
        Subject::Pool(id) => id.as_str(),
        Subject::Known(id) => id.as_str(),
    };
    LvmUuid::new(id)
        .map(Name::Uuid)
        .map_err(|_| nothing(subject))
}

/// The path of a physical volume.
fn path(row: &PvRow) -> Result<DevicePath, Error> {
    DevicePath::new(row.pv_name.as_str())
        .map_err(|e| Error::unavailable(format!("LVM reports {e}")))
}

/// The physical volumes of these disks of a group, in their order.
fn rows_of<'a>(
    members: &'a BTreeMap<DiskId, PvRow>,
    disks: &[DiskId],
    group: &Group,
) -> Result<Vec<&'a PvRow>, Error> {
    let row = |id: &DiskId| {
        members.get(id).ok_or_else(|| {
            Error::not_found(format!(
                "disk {id} does not belong to pool {} or is missing",
                group.name
            ))
        })
    };
    disks.iter().map(row).collect()
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

/// The volume or thin pool, if it is there, is what it is taken for, and bears the owner's mark.
fn found(session: &mut Session<'_>, name: &Name, asked: &Subject) -> Result<LvRow, Error> {
    let row = session.find(name.which())?;
    let row = row.filter(|row| match asked {
        Subject::Known(_) => row.is_volume(),
        Subject::Pool(_) => row.is_thin_pool(),
        Subject::Made(..) => row.is_volume() || row.is_thin_pool(),
    });
    let row = row.ok_or_else(|| nothing(asked))?;
    match Marks::read(&row.lv_tags).owned {
        true => Ok(row),
        false => Err(not_ours(&row)),
    }
}

/// A group that is not whole is not changed: LVM would write into its metadata that the disk which
/// it cannot see is missing, and would no longer take it back by itself when it is there again. Only
/// what leads out of this is done: its volumes are repaired or removed.
fn lacks_disk(group: &str) -> Error {
    Error::unavailable(format!(
        "pool {group} lacks a disk; connect it again, or repair the volumes that lie on it"
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

/// Refuses a volume that another job works on.
fn not_busy(row: &LvRow, job: Option<&JobId>) -> Result<(), Error> {
    match Marks::read(&row.lv_tags).job {
        Some(other) if job.is_none_or(|job| job.to_string() != other) => Err(busy(row)),
        _ => Ok(()),
    }
}

fn is_of(marks: &Marks, job: &JobId) -> bool {
    marks.owned && marks.job == Some(job.to_string())
}

/// How many extents that is.
fn extents(group: &VgRow, size: u64) -> Result<u64, Error> {
    let extent = extent_size(group)?;
    match size > 0 && size.is_multiple_of(extent) {
        true => Ok(size / extent),
        false => Err(Error::invalid(format!(
            "{size} bytes are no multiple of the pool's extent of {extent} bytes"
        ))),
    }
}

/// How many extents that is, if the group has them and room to note them down.
fn room_for(group: &VgRow, layout: Layout, size: u64) -> Result<u64, Error> {
    let (extent, wanted) = (extent_size(group)?, extents(group, size)?);
    if !wanted.is_multiple_of(layout.data_legs()) {
        return Err(Error::invalid(format!(
            "{size} bytes cannot be divided among {} disks in whole extents",
            layout.data_legs()
        )));
    }
    if !group.vg_partial.is_empty() {
        return Err(lacks_disk(&group.vg_name));
    }
    let available = super::picture::available(group);
    let needed = layout.consumed(wanted).saturating_mul(extent);
    if needed > available {
        let free = group.vg_free.unwrap_or_default();
        let why = match free >= needed {
            true => " and its metadata area is nearly full",
            false => "",
        };
        let leg = available / extent / u64::from(layout.legs());
        let largest = leg.saturating_sub(layout.metadata_per_leg()) * layout.data_legs();
        return Err(Error::no_space(format!(
            "pool {} has {free} bytes free{why}, {needed} are needed; free some space, add a \
             disk, or ask for less",
            group.vg_name
        ))
        .with_largest(largest * extent));
    }
    Ok(wanted)
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

fn device_name(row: &LvRow) -> Result<LvName, Error> {
    LvName::new(row.lv_name.as_str()).map_err(|e| Error::unavailable(format!("LVM reports {e}")))
}

fn name_tag(name: &str) -> Result<Tag, Error> {
    tags::name(name).map_err(|_| Error::invalid("the name is too long; choose a shorter one"))
}

fn job_tag(job: &JobId) -> Tag {
    tags::job(&job.to_string()).expect("a UUID is a valid tag")
}

fn nothing(subject: &Subject) -> Error {
    match subject {
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
