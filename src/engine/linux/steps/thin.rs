//! The steps that make and grow thin pools.

use super::{
    Making, Name, device_name, extent_size, extents, identity, is_of, not_busy, room_for,
    unreadable, verify,
};
use crate::array::{Error, Layout, PoolId, Subject};
use crate::engine::linux::LinuxEngine;
use crate::engine::linux::lvm::group::{Group, LvmError, NewVolume, Session, Which};
use crate::engine::linux::lvm::names::{self, LvmUuid};
use crate::engine::linux::lvm::report::{LvRow, VgRow};
use crate::engine::linux::lvm::tags::Marks;
use crate::engine::linux::watch::Deadline;

impl LinuxEngine {
    pub(in super::super) fn create_thin_pool(
        &self,
        making: &Making<'_>,
        metadata: u64,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let group = self.group(making.group)?;
        let (device, tags) = making.checked()?;
        let mut session = group.enter(deadline)?;
        if let Some(row) = session.find(Which::Name(&device))? {
            let is_ours = is_of(&Marks::read(&row.lv_tags), making.job);
            let is_same = row.is_thin_pool() && row.lv_size == Some(making.size);
            return match is_ours && is_same {
                true => Ok(()),
                false => Err(Error::already_exists(format!(
                    "volume group {} has a logical volume {device} already",
                    group.name
                ))),
            };
        }
        let row = self.state(&mut session)?;
        extents(&row, metadata)?;
        let wanted = NewVolume {
            name: &device,
            extents: extents(&row, making.size)?,
            tags: &tags,
        };
        pool_room(&mut session, &row, making.size, metadata, metadata)?;
        let done = session.create_pool(&wanted, metadata);
        let mut made = None;
        verify(done, || {
            let row = session.find(Which::Name(&device))?;
            made = row.filter(|row| is_of(&Marks::read(&row.lv_tags), making.job));
            Ok(made.is_some())
        })?;
        match made {
            Some(row) => Ok(session.leave_to_us(&identity(&row)?)?),
            None => Ok(()),
        }
    }

    pub(in super::super) fn grow_thin_pool(
        &self,
        pool: &PoolId,
        size: u64,
        metadata: u64,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let subject = Subject::Pool(pool.clone());
        let (group, name) = self.locate(&subject, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, &subject)?;
        not_busy(&row, None)?;
        let device = device_name(&row)?;
        let vg = self.state(&mut session)?;
        // Metadata first: it is needed for what is added, and a pool whose metadata is full is in
        // greater need.
        let (has, has_metadata) = pool_sizes(&mut session, &name)?;
        let more = size.saturating_sub(has);
        let more_metadata = metadata.saturating_sub(has_metadata);
        if more == 0 && more_metadata == 0 {
            return Ok(());
        }
        extents(&vg, size)?;
        extents(&vg, metadata)?;
        pool_room(&mut session, &vg, more, more_metadata, metadata)?;
        self.activate_pool(&mut session, &identity(&row)?)?;
        if has_metadata < metadata {
            let done = session.extend_metadata(&device, metadata);
            verify(done, || Ok(pool_sizes(&mut session, &name)?.1 >= metadata))?;
        }
        if has < size {
            let done = session.extend_thin(&device, size / extent_size(&vg)?);
            verify(done, || Ok(pool_sizes(&mut session, &name)?.0 >= size))?;
        }
        Ok(())
    }
}

/// Refuses what the group has no room for: so much more data and metadata, and a spare of the size
/// of the largest metadata, of which there is one for all pools.
fn pool_room(
    session: &mut Session<'_>,
    group: &VgRow,
    data: u64,
    more_metadata: u64,
    metadata: u64,
) -> Result<(), Error> {
    let rows = session.segments()?;
    let spare = rows.iter().find(|row| row.has_role("spare"));
    let spare = spare.and_then(|row| row.lv_size).unwrap_or_default();
    let beside = more_metadata.saturating_add(metadata.saturating_sub(spare));
    let needed = data.saturating_add(beside);
    if needed == 0 {
        return Ok(());
    }
    let needed = needed.next_multiple_of(extent_size(group)?);
    room_for(group, Layout::Linear, needed).map_err(|error| {
        let largest = error.largest.map(|most| most.saturating_sub(beside));
        match largest {
            Some(most) => error.with_largest(most),
            None => error,
        }
    })?;
    Ok(())
}

impl LinuxEngine {
    /// Makes the device of a thin pool appear where it is not there.
    fn activate_pool(&self, session: &mut Session<'_>, pool: &LvmUuid) -> Result<(), Error> {
        let device = format!("{}-tpool", names::dm_uuid(&session.group.uuid, pool));
        let is_active = || -> Result<bool, Error> {
            let devices = self.places.dm_devices().map_err(unreadable)?;
            Ok(devices.contains_key(&device))
        };
        if is_active()? {
            return Ok(());
        }
        let done = session.activate(pool);
        match (is_active()?, done) {
            (true, _) => Ok(()),
            (false, Err(error)) => Err(error.into()),
            (false, Ok(())) => Err(Error::unavailable(
                "LVM did not activate the thin pool; try again",
            )),
        }
    }

    /// Makes the thin pools and thin volumes of ours in a group active, and what has snapshots, so
    /// that it is known how full they are.
    pub(in super::super) fn activate_replicas(
        &self,
        group: &Group,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut session = group.enter(deadline)?;
        // A group whose disks are all away has none.
        let rows = session.volumes()?;
        let is_ours = |row: &LvRow| row.has_layout("thin") && Marks::read(&row.lv_tags).owned;
        if rows.iter().any(is_ours) {
            session.activate_thin()?;
        }
        if rows.iter().any(|row| row.has_role("thickorigin")) {
            session.activate_origins()?;
        }
        Ok(())
    }
}

/// Bytes of data and of metadata that a thin pool has.
fn pool_sizes(session: &mut Session<'_>, name: &Name) -> Result<(u64, u64), LvmError> {
    let rows = session.segments()?;
    let row = rows.iter().find(|row: &&LvRow| name.which().is(row));
    Ok(row.map_or((0, 0), |row| {
        (
            row.lv_size.unwrap_or_default(),
            row.lv_metadata_size.unwrap_or_default(),
        )
    }))
}
