//! The room that a volume group has, disk by disk, and where new volumes go in it.

use super::volumes::human;
use crate::array::error::Error;
use crate::array::ids::{DiskId, PoolId};
use crate::array::inventory::Inventory;
use crate::array::layout::Layout;
use crate::array::model::{Disk, Health, Pool, Volume};
use crate::array::step::{Place, Step};

/// What is free in a volume group. Taking from it makes it less, so that several wishes can be
/// planned together.
pub(super) struct Room {
    /// The working disks with their free extents, most first.
    disks: Vec<(DiskId, u64)>,
    /// Extents that creates may take in all.
    total: u64,
    /// Bytes.
    extent: u64,
}

impl Room {
    pub(super) fn of(inventory: &Inventory, group: &Pool) -> Self {
        let extent = group.extent.max(1);
        let working = group
            .disks
            .iter()
            .filter_map(|id| inventory.disk(id))
            .filter(|disk| disk.works());
        let mut room = Self {
            disks: working
                .map(|disk| (disk.id.clone(), disk.free() / extent))
                .collect(),
            total: group.available / extent,
            extent,
        };
        room.sort();
        room
    }

    fn sort(&mut self) {
        self.disks.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    }

    /// Extents that each leg can have at most, metadata included: what the last of so many disks
    /// has.
    fn leg(&self, legs: u16) -> u64 {
        let last = usize::from(legs).saturating_sub(1);
        self.disks.get(last).map_or(0, |(_, free)| *free)
    }

    /// Bytes of the largest volume of that layout.
    pub(super) fn largest(&self, layout: Layout) -> u64 {
        let extents = match layout {
            Layout::Linear => self.total,
            _ => {
                let share = self.total / u64::from(layout.legs());
                let leg = self.leg(layout.legs()).min(share);
                leg.saturating_sub(layout.metadata_per_leg()) * layout.data_legs()
            }
        };
        extents * self.extent
    }

    /// What a size of that layout is a multiple of.
    pub(super) fn divisor(&self, layout: Layout) -> u64 {
        self.extent * layout.data_legs()
    }

    /// Finds a place for so many bytes, which fit.
    pub(super) fn take(&mut self, layout: Layout, size: u64) -> Place {
        let extents = size / self.extent;
        self.total = self.total.saturating_sub(layout.consumed(extents));
        let mut legs = Vec::new();
        if layout != Layout::Linear {
            let leg = layout.consumed(extents) / u64::from(layout.legs());
            for (disk, free) in self.disks.iter_mut().take(layout.legs().into()) {
                *free = free.saturating_sub(leg);
                legs.push(disk.clone());
            }
            self.sort();
        }
        Place::Disks { layout, legs }
    }

    /// Why not even the least volume of that layout has room in the group that this is the room of.
    pub(super) fn shortage(&self, inventory: &Inventory, group: &Pool, layout: Layout) -> Error {
        let needed = usize::from(layout.legs());
        let some = self.disks.iter().filter(|(_, free)| *free > 0).count();
        if layout == Layout::Linear || self.total == 0 {
            return full(inventory, group);
        }
        let way = match lacks_disk(inventory, group) {
            true => "connect the disk again that is missing or has failed",
            false => "add disks to it",
        };
        Error::no_space(match some < needed {
            true => format!(
                "{} needs {needed} disks with room, pool {} has {some}; {way}, or ask for less \
                 redundancy or shorter stripes",
                layout.name(),
                group.name
            ),
            false => format!(
                "pool {} has too little room on each of {needed} disks for {}; {way}",
                group.name,
                layout.name()
            ),
        })
    }
}

/// Why nothing at all can be made in a group now. One that lacks a disk, or whose metadata has no
/// room, says so by its health.
pub(super) fn full(inventory: &Inventory, group: &Pool) -> Error {
    // That a disk of it is not well keeps nothing from it.
    let said = group.health.sentence();
    let said = said.filter(|_| group.free > 0 || lacks_disk(inventory, group));
    let Some(why) = said else {
        return Error::no_space(format!(
            "pool {} has no room for volumes; free some space or add a disk to it",
            group.name
        ));
    };
    let sentence = format!("nothing new is made in pool {} now: {why}", group.name);
    match lacks_disk(inventory, group) {
        true => Error::unavailable(sentence),
        false => Error::no_space(sentence),
    }
}

/// Where the legs of a volume lie, in their order.
///
/// # Errors
/// When a leg lies on several disks, or two on one: then it was not placed by this array.
pub(super) fn leg_disks<'a>(
    inventory: &'a Inventory,
    volume: &Volume,
) -> Result<Vec<&'a Disk>, Error> {
    let mut disks: Vec<&DiskId> = Vec::new();
    let odd = || {
        Error::not_supported(format!(
            "volume '{}' does not lie on disks of its own leg by leg and is not changed; move it to \
             other disks first",
            volume.name
        ))
    };
    for leg in 0..volume.layout.legs() {
        let mut on = volume.pieces.iter().filter(|piece| piece.leg == leg);
        let disk = &on.next().ok_or_else(odd)?.disk;
        if on.any(|piece| piece.disk != *disk) || disks.contains(&disk) {
            return Err(odd());
        }
        disks.push(disk);
    }
    let known = disks.into_iter().map(|id| {
        let disk = inventory.disk(id).map(|disk| &**disk);
        disk.filter(|disk| disk.works()).ok_or_else(|| {
            Error::unavailable(format!(
                "a disk of volume '{}' is missing or has failed; repair the volume first",
                volume.name
            ))
        })
    });
    known.collect()
}

/// How a volume can grow within a volume group.
pub(super) struct Growing {
    /// Bytes by which it can grow at most.
    pub(super) most: u64,
    /// What its size stays a multiple of.
    pub(super) divisor: u64,
    layout: Layout,
    legs: Vec<DiskId>,
}

impl Growing {
    pub(super) fn of(inventory: &Inventory, group: &Pool, volume: &Volume) -> Result<Self, Error> {
        let extent = group.extent.max(1);
        let layout = volume.layout;
        if layout == Layout::Linear {
            return Ok(Self {
                most: group.available / extent * extent,
                divisor: extent,
                layout,
                legs: Vec::new(),
            });
        }
        let disks = leg_disks(inventory, volume)?;
        let least = disks.iter().map(|disk| disk.free() / extent).min();
        let share = group.available / extent / u64::from(layout.legs());
        Ok(Self {
            most: least.unwrap_or(0).min(share) * layout.data_legs() * extent,
            divisor: layout.data_legs() * extent,
            layout,
            legs: disks.into_iter().map(|disk| disk.id.clone()).collect(),
        })
    }

    /// Size and place of the volume that sets aside what growing by so many bytes takes: as much on
    /// the disk of every leg.
    pub(super) fn reserve(&self, by: u64) -> (u64, Place) {
        match self.layout {
            Layout::Linear => (by, Place::ANYWHERE),
            layout => {
                let stripes = layout.legs();
                let place = Place::Disks {
                    layout: Layout::Striped { stripes },
                    legs: self.legs.clone(),
                };
                (by / layout.data_legs() * u64::from(stripes), place)
            }
        }
    }
}

/// Whether a disk is there and can be used.
fn works(inventory: &Inventory, id: &DiskId) -> bool {
    inventory.disk(id).is_some_and(|disk| disk.works())
}

/// Whether a group has a disk that is missing or has failed.
fn misses_disk(inventory: &Inventory, group: &Pool) -> bool {
    !group.disks.iter().all(|id| works(inventory, id))
}

/// Whether a group has a disk that was away and that it has to take back.
fn has_returned(inventory: &Inventory, group: &Pool) -> bool {
    let mut disks = group.disks.iter().filter_map(|id| inventory.disk(id));
    disks.any(|disk| disk.is_returned())
}

/// Whether a group has a disk that it cannot use.
pub(super) fn lacks_disk(inventory: &Inventory, group: &Pool) -> bool {
    misses_disk(inventory, group) || has_returned(inventory, group)
}

/// The step that takes the disks of a group back that are there again, where it has some.
pub(super) fn taking_back(inventory: &Inventory, group: &PoolId) -> Option<Step> {
    let pool = inventory.pool(group)?;
    has_returned(inventory, pool).then(|| Step::TakeBack {
        group: group.clone(),
    })
}

/// Refuses a group that lacks a disk: what is noted down in it would make that last.
pub(super) fn check_whole(inventory: &Inventory, group: &Pool) -> Result<(), Error> {
    match lacks_disk(inventory, group) {
        true => Err(Error::unavailable(format!(
            "pool {} lacks a disk; connect it again, or repair or delete the volumes that lie on it",
            group.name
        ))),
        false => Ok(()),
    }
}

/// Whether a volume cannot be read because of a disk that is missing or has failed.
pub(super) fn is_lost(inventory: &Inventory, volume: &Volume) -> bool {
    let mut pieces = volume.pieces.iter();
    matches!(volume.health, Health::Failed(_)) && pieces.any(|p| !works(inventory, &p.disk))
}

/// The step that takes the missing disks from a group on which nothing lies any more, where it has
/// some: as long as they belong to it, it cannot be changed.
pub(super) fn dropping(inventory: &Inventory, group: &PoolId) -> Option<Step> {
    let pool = inventory.pool(group)?;
    misses_disk(inventory, pool).then(|| Step::DropMissing {
        group: group.clone(),
    })
}

/// Whether a leg of some volume fails on a disk: then it is no place for one more.
fn fails(inventory: &Inventory, id: &DiskId) -> bool {
    let mut volumes = inventory.volumes_on(id);
    volumes.any(|volume| {
        let mut pieces = volume.pieces.iter();
        pieces.any(|piece| piece.disk == *id && volume.trouble.failing.contains(&piece.leg))
    })
}

/// The disks that nothing of a volume lies on and that have so many bytes free, most first.
pub(super) fn others<'a>(
    inventory: &'a Inventory,
    group: &Pool,
    volume: &Volume,
    needed: u64,
) -> Vec<&'a Disk> {
    let mut others: Vec<&Disk> = group
        .disks
        .iter()
        .filter(|id| works(inventory, id) && !fails(inventory, id))
        .filter(|id| volume.pieces.iter().all(|piece| piece.disk != **id))
        .filter_map(|id| inventory.disk(id).map(|disk| &**disk))
        .filter(|disk| disk.free() >= needed)
        .collect();
    others.sort_by(|a, b| b.free().cmp(&a.free()).then(a.id.cmp(&b.id)));
    others
}

/// The disks that take the place of those that a volume has lost, or on which a leg of it fails;
/// none where all of its legs are to stay.
pub(super) fn spares(
    inventory: &Inventory,
    group: &Pool,
    volume: &Volume,
) -> Result<Vec<DiskId>, Error> {
    let works = |id: &DiskId| works(inventory, id);
    let lost: Vec<u16> = (0..volume.layout.legs())
        .filter(|leg| {
            let mut on = volume.pieces.iter().filter(|piece| piece.leg == *leg);
            on.any(|piece| !works(&piece.disk))
        })
        .collect();
    let failing = &volume.trouble.failing;
    if !lost.is_empty() && !failing.is_empty() {
        return Err(Error::unavailable(format!(
            "volume '{}' has lost a disk while another one fails; connect the lost disk again first",
            volume.name
        )));
    }
    let lost: Vec<u16> = lost.into_iter().chain(failing.iter().copied()).collect();
    let Some(first) = lost.first() else {
        return Ok(Vec::new());
    };
    if lost.len() > usize::from(volume.layout.survives()) {
        return Err(Error::unavailable(format!(
            "volume '{}' has lost more disks than it survives; connect them again",
            volume.name
        )));
    }
    let extent = group.extent.max(1);
    let needed = volume.pieces.iter().filter(|piece| piece.leg == *first);
    let needed =
        needed.map(|piece| piece.length).sum::<u64>() + volume.layout.metadata_per_leg() * extent;
    let mut spares = others(inventory, group, volume, needed);
    spares.truncate(lost.len());
    if spares.len() < lost.len() {
        // No disk is added to a group that lacks one.
        let way = match lacks_disk(inventory, group) {
            true => "connect the lost one again, or delete volumes on the others",
            false => "add a disk to it",
        };
        return Err(Error::no_space(format!(
            "pool {} has too few other disks with {} free to repair volume '{}'; {way}",
            group.name,
            human(needed),
            volume.name
        )));
    }
    Ok(spares.into_iter().map(|disk| disk.id.clone()).collect())
}
