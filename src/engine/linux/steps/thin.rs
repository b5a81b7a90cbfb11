//! The steps that make and grow thin pools.

use super::{
    Making, Name, device_name, extent_size, extents, identity, is_of, not_busy, owned, room_for,
    state, verify,
};
use crate::array::{Error, Layout, PoolId, Subject};
use crate::engine::linux::LinuxEngine;
use crate::engine::linux::lvm::group::{Group, LvmError, NewVolume, Session, Which};
use crate::engine::linux::lvm::report::LvRow;
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
        let known = session.find(Which::Name(&device))?;
        let made = match known {
            Some(row) => {
                let is_ours = is_of(&Marks::read(&row.lv_tags), making.job);
                let is_same = row.is_thin_pool() && row.lv_size == Some(making.size);
                if !is_ours || !is_same {
                    return Err(Error::already_exists(format!(
                        "volume group {} has a logical volume {device} already",
                        group.name
                    )));
                }
                row
            }
            None => {
                let row = state(&mut session)?;
                extents(&row, metadata)?;
                let wanted = room_for(&row, Layout::Linear, making.size)?;
                // The spare that metadata is repaired with has its size; there is one for all.
                room_for(&row, Layout::Linear, making.size.saturating_add(metadata))?;
                let wanted = NewVolume {
                    name: &device,
                    extents: wanted,
                    tags: &tags,
                };
                let done = session.create_pool(&wanted, metadata);
                let mut made = None;
                verify(done, || {
                    let row = session.find(Which::Name(&device))?;
                    made = row.filter(|row| is_of(&Marks::read(&row.lv_tags), making.job));
                    Ok(made.is_some())
                })?;
                made.ok_or_else(|| Error::bug("a thin pool that was found is not there"))?
            }
        };
        // Before a volume is made in it.
        Ok(session.set_up_pool(&identity(&made)?)?)
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
        let row = owned(&mut session, &name, &subject)?;
        not_busy(&row, None)?;
        let device = device_name(&row)?;
        let vg = state(&mut session)?;
        // Metadata first: it is needed for what is added, and a pool whose metadata is full is in
        // greater need.
        let (has, has_metadata) = pool_sizes(&mut session, &name)?;
        let more = size.saturating_sub(has) + metadata.saturating_sub(has_metadata);
        if more == 0 {
            return Ok(());
        }
        extents(&vg, size)?;
        extents(&vg, metadata)?;
        room_for(
            &vg,
            Layout::Linear,
            more.next_multiple_of(extent_size(&vg)?),
        )?;
        // The kernel notices a new size only while the pool is active.
        session.activate(&identity(&row)?)?;
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

impl LinuxEngine {
    /// Makes the thin pools and thin volumes of ours in a group active, so that it is known how
    /// full they are.
    pub(in super::super) fn activate_thin(
        &self,
        group: &Group,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut session = group.enter(deadline)?;
        // A group whose disks are all away has none.
        let rows = session.volumes()?;
        let is_ours = |row: &LvRow| row.has_layout("thin") && Marks::read(&row.lv_tags).owned;
        match rows.iter().any(is_ours) {
            true => Ok(session.activate_thin()?),
            false => Ok(()),
        }
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
