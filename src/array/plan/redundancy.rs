//! Plans that change how many complete copies a volume has, while it is used.

use super::room;
use super::volumes::{check_dependents, human, own_volume, pool, thin_quality};
use super::{AfterCrash, Goal, Plan, Planned};
use crate::array::error::Error;
use crate::array::ids::{DiskId, VolumeId};
use crate::array::inventory::{Engaged, Inventory};
use crate::array::layout::Layout;
use crate::array::model::{Pool, Volume};
use crate::array::quality::Quality;
use crate::array::step::{Step, Subject};

pub(super) fn change(
    inventory: &Inventory,
    id: &VolumeId,
    quality: &Quality,
) -> Result<Plan, Error> {
    let volume = own_volume(inventory, id)?;
    let pool = pool(inventory, &volume.pool)?;
    let layout = match pool.thin() {
        Some(thin) => {
            thin_quality(pool, thin, quality)?;
            volume.layout
        }
        None => quality.layout()?,
    };
    if layout == volume.layout {
        return Err(Error::invalid(format!(
            "volume '{}' is {} already; there is nothing to change",
            volume.name,
            layout.name()
        )));
    }
    let (from, to) = (copies(volume, volume.layout)?, copies(volume, layout)?);
    whole(inventory, pool, volume)?;
    let steps = match from < to {
        true => addition(inventory, pool, volume, to - from)?.to_vec(),
        false => vec![removal(inventory, volume, from - to)?],
    };
    Ok(Plan {
        title: format!("Make volume '{}' {}", volume.name, layout.name()),
        steps,
        changes: Vec::new(),
        goal: Goal::Laid {
            group: pool.group().clone(),
            volume: id.clone(),
            layout,
        },
        after_crash: AfterCrash::Forward,
    })
}

/// Complete copies of a layout that consists of nothing but these.
fn copies(volume: &Volume, layout: Layout) -> Result<u16, Error> {
    match layout {
        Layout::Linear | Layout::Mirrored { .. } => Ok(layout.copies()),
        _ => Err(Error::not_supported(format!(
            "volume '{}' is {} and does not become {}; only a volume without stripes and parity is \
             given copies or loses them, so ask for another DataRedundancy and nothing else, or make \
             another volume",
            volume.name,
            volume.layout.name(),
            if layout == volume.layout {
                "something else"
            } else {
                layout.name()
            },
        ))),
    }
}

/// Refuses a volume that is not whole: what it is changed to is made from all of its legs. And one
/// that others depend on, or that depends on another: LVM leaves these where they are.
pub(super) fn whole(inventory: &Inventory, pool: &Pool, volume: &Volume) -> Result<(), Error> {
    check_dependents(inventory, volume, "moved or given copies", |_| false)?;
    if volume.depends_on().is_some() {
        return Err(Error::not_supported(format!(
            "volume '{}' is a snapshot and stays where and as it is; delete it, or make a clone",
            volume.name
        )));
    }
    let engaged = match inventory.engaged(&volume.id) {
        Some(Engaged::Moved) => Some("is being moved to other disks"),
        Some(Engaged::Copied) => Some("is being given copies"),
        Some(Engaged::Snapped) => Some("has a snapshot that is being taken"),
        None => None,
    };
    if let Some(engaged) = engaged {
        return Err(Error::in_use(format!(
            "volume '{}' {engaged}; wait for that job to end",
            volume.name
        )));
    }
    if room::lacks_disk(inventory, pool) || !volume.trouble.is_empty() {
        return Err(Error::unavailable(format!(
            "a disk of pool {} is missing or fails; repair volume '{}' first",
            pool.name, volume.name
        )));
    }
    match volume.behind {
        0 => Ok(()),
        _ => Err(Error::in_use(format!(
            "the disks of volume '{}' are being brought into step; wait until they are",
            volume.name
        ))),
    }
}

/// The steps that give a volume so many more copies.
fn addition(
    inventory: &Inventory,
    pool: &Pool,
    volume: &Volume,
    more: u16,
) -> Result<[Planned; 2], Error> {
    let disks = room::leg_disks(inventory, volume)?;
    let extent = pool.extent.max(1);
    // Each copy notes down what of it is in step, and one that was the only one does not yet.
    let first = match volume.layout {
        Layout::Linear => extent,
        _ => 0,
    };
    let needed = volume.size + extent;
    let others = room::others(inventory, pool, volume, needed);
    let more = usize::from(more);
    if others.len() < more {
        return Err(Error::no_space(format!(
            "pool {} has {} other disks with {} free for copies of volume '{}', {more} are needed; \
             add disks to it",
            pool.name,
            others.len(),
            human(needed),
            volume.name
        )));
    }
    if let Some(full) = disks.iter().find(|disk| disk.free() < first) {
        return Err(Error::no_space(format!(
            "disk {} under volume '{}' has no free extent, and one is needed there; move the volume \
             to another disk first",
            full.device, volume.name
        )));
    }
    if pool.available < needed * more as u64 + first {
        return Err(Error::no_space(format!(
            "pool {} has {} for new copies, {} are needed; free some space or add a disk",
            pool.name,
            human(pool.available),
            human(needed * more as u64 + first)
        )));
    }
    let onto = others.into_iter().take(more).map(|disk| disk.id.clone());
    let onto: Vec<DiskId> = onto.collect();
    let id = volume.id.clone();
    Ok([
        Planned::with_undo(
            Step::AddCopies {
                volume: id.clone(),
                onto: onto.clone(),
            },
            Step::DropCopies {
                volume: id.clone(),
                from: onto,
            },
        ),
        Planned::lasting(Step::Sync {
            volume: Subject::Known(id),
        }),
    ])
}

/// The step that takes so many copies off: those on the fullest disks.
fn removal(inventory: &Inventory, volume: &Volume, fewer: u16) -> Result<Planned, Error> {
    let mut disks = room::leg_disks(inventory, volume)?;
    // Of equals the last, so that the first stays.
    disks.reverse();
    disks.sort_by_key(|disk| disk.free());
    let from = disks.into_iter().take(fewer.into());
    Ok(Planned::lasting(Step::DropCopies {
        volume: volume.id.clone(),
        from: from.map(|disk| disk.id.clone()).collect(),
    }))
}
