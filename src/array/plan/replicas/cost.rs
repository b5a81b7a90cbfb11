//! What copies take: room of groups, what thin pools promise, and what is written to them.

use std::collections::BTreeMap;

use super::Source;
use crate::array::error::Error;
use crate::array::ids::PoolId;
use crate::array::inventory::Inventory;
use crate::array::model::{Pool, Thin};
use crate::array::plan::room::Room;
use crate::array::plan::thin;
use crate::array::plan::volumes::{human, pool, thin_quality};
use crate::array::quality::Quality;
use crate::array::step::{Place, Snap};

/// The size of a copy of a volume in a pool, and a place for it, which is taken. Where no quality is
/// asked for, it lies as its source does, as far as the pool has it.
pub(super) fn place<'a>(
    inventory: &Inventory,
    room: &mut Room,
    cost: &mut Cost<'a>,
    source: &Source<'_>,
    pool: &'a Pool,
    quality: Option<&Quality>,
) -> Result<(u64, Place), Error> {
    let wanted = source.volume.size;
    if let Some(thin) = pool.thin() {
        let any = Quality::default();
        thin_quality(pool, thin, quality.unwrap_or(&any))?;
        let size = wanted.next_multiple_of(pool.extent.max(1));
        cost.promise(&pool.id, size, source.fills());
        return Ok((size, Place::Thin(pool.id.clone())));
    }
    let layout = match quality {
        Some(quality) => quality.layout()?,
        None => source.layout(inventory),
    };
    let size = wanted.next_multiple_of(room.divisor(layout));
    match room.largest(layout) {
        0 => Err(room.shortage(inventory, pool, layout)),
        most if most < size => Err(Error::no_space(format!(
            "pool {} has room for {} volumes of {}, and a copy of '{}' has {}; free some space, add \
             a disk, or choose another pool",
            pool.name,
            layout.name(),
            human(most),
            source.volume.name,
            human(size)
        ))),
        _ => Ok((size, room.take(layout, size))),
    }
}

/// What a plan takes beside volumes on disks.
#[derive(Default)]
pub(super) struct Cost<'a> {
    /// Bytes of the group, for what changes.
    rooms: u64,
    /// Thin pool → bytes that it promises, and that are written there.
    thin: BTreeMap<&'a PoolId, (u64, u64)>,
}

impl<'a> Cost<'a> {
    /// Snapshots of some of these.
    pub(super) fn add(&mut self, sources: &[Source<'a>], of: &[Snap]) {
        for snap in of {
            let source = sources.iter().find(|s| s.volume.id == snap.source);
            match (snap.room, source) {
                (Some(room), _) => self.rooms = self.rooms.saturating_add(room),
                (None, Some(source)) => self.promise(&source.pool.id, source.volume.size, 0),
                (None, None) => {}
            }
        }
    }

    pub(super) fn promise(&mut self, pool: &'a PoolId, bytes: u64, fills: u64) {
        let cost = self.thin.entry(pool).or_default();
        cost.0 = cost.0.saturating_add(bytes);
        cost.1 = cost.1.saturating_add(fills);
    }

    /// Refuses what does not fit; so many bytes of the group are left.
    pub(super) fn check(
        &self,
        inventory: &Inventory,
        group: &Pool,
        left: u64,
    ) -> Result<(), Error> {
        if self.rooms > left {
            return Err(Error::no_space(format!(
                "pool {} has {} left, and snapshots need {} for what changes; free some space, add \
                 a disk, or ask for less room",
                group.name,
                human(left),
                human(self.rooms)
            )));
        }
        for (id, (bytes, fills)) in &self.thin {
            let pool = pool(inventory, id)?;
            let Some(thin) = pool.thin() else { continue };
            check_promise(inventory, pool, thin, *bytes)?;
            check_free(pool, *fills)?;
        }
        Ok(())
    }
}

/// Refuses more than a thin pool may promise.
fn check_promise(inventory: &Inventory, pool: &Pool, thin: &Thin, bytes: u64) -> Result<(), Error> {
    if pool.available == 0 {
        return Err(Error::no_space(format!(
            "thin pool {} takes no more volumes now; look at its status, and grow it if it is full",
            pool.name
        )));
    }
    let most = thin::promise(inventory, pool, thin);
    match bytes <= most {
        true => Ok(()),
        false => Err(Error::no_space(format!(
            "thin pool {} may promise {} more, and {} are needed; grow it",
            pool.name,
            human(most),
            human(bytes)
        ))),
    }
}

/// Refuses to write more than a thin pool has room for: its hosts would suffer.
pub(super) fn check_free(pool: &Pool, bytes: u64) -> Result<(), Error> {
    match bytes <= pool.free {
        true => Ok(()),
        false => Err(Error::no_space(format!(
            "thin pool {} has {} free, and up to {} would be written; grow it first",
            pool.name,
            human(pool.free),
            human(bytes)
        ))),
    }
}
