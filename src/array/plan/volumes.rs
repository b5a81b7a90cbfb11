//! Plans that make, change and remove volumes.

use std::sync::Arc;

use super::{AfterCrash, Goal, Plan, Planned, check_name};
use crate::array::engine::{Step, Subject};
use crate::array::error::Error;
use crate::array::ids::{JobId, PoolId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::model::{Owner, Pool, Volume};

/// The sizes that a new volume of a pool can have now, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRange {
    /// The least.
    pub min: u64,
    /// The greatest; 0 when there is no room for any.
    pub max: u64,
    /// What every size is a multiple of.
    pub divisor: u64,
}

/// The sizes that a new volume of `pool` can have now.
pub fn size_range(pool: &Pool) -> SizeRange {
    let extent = pool.extent.max(1);
    SizeRange {
        min: extent,
        max: pool.available / extent * extent,
        divisor: extent,
    }
}

/// Bytes for people: exact where whole MiB, GiB or TiB.
fn human(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            return match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                tenth => format!("{}.{tenth} {name}", tenths / 10),
            };
        }
    }
    format!("{bytes} bytes")
}

fn pool<'a>(inventory: &'a Inventory, id: &PoolId) -> Result<&'a Arc<Pool>, Error> {
    inventory.pool(id).ok_or_else(|| {
        Error::not_found(format!(
            "there is no pool {id}; list the pools and choose one"
        ))
    })
}

/// The finished volume of that identity that this array may change.
pub(super) fn own_volume<'a>(
    inventory: &'a Inventory,
    id: &VolumeId,
) -> Result<&'a Arc<Volume>, Error> {
    let volume = inventory.volume(id).ok_or_else(|| {
        Error::not_found(format!("there is no volume {id}; it may have been deleted"))
    })?;
    if volume.owner == Owner::Foreign {
        return Err(Error::access_denied(format!(
            "volume '{}' was not made by this array and is not changed by it",
            volume.name
        )));
    }
    if volume.job.is_some() {
        return Err(Error::in_use(format!(
            "volume '{}' is being made or removed; wait for that job to end",
            volume.name
        )));
    }
    Ok(volume)
}

fn check_name_is_free(inventory: &Inventory, name: &str) -> Result<(), Error> {
    check_name("volume", name)?;
    match inventory.volumes_named(name).next() {
        None => Ok(()),
        Some(_) => Err(Error::already_exists(format!(
            "there is already a volume named '{name}'; choose another name"
        ))),
    }
}

/// Rounds up to whole extents and checks that there is room for it.
fn fit(pool: &Pool, size: u64, present: u64) -> Result<u64, Error> {
    let range = size_range(pool);
    let largest = present + range.max;
    let rounded = size.checked_next_multiple_of(range.divisor);
    match rounded {
        Some(rounded) if rounded <= largest => Ok(rounded),
        _ if range.max == 0 => Err(Error::no_space(format!(
            "pool {} has no room for volumes; free some space or add a disk to it",
            pool.name
        ))
        .with_largest(present)),
        _ => Err(Error::size_not_supported(format!(
            "pool {} has {} free, {} were asked for; ask for at most {largest} bytes",
            pool.name,
            human(range.max),
            human(size - present)
        ))
        .with_largest(largest)),
    }
}

pub(super) fn create(
    inventory: &Inventory,
    pool_id: &PoolId,
    name: Option<&str>,
    size: u64,
    job: JobId,
) -> Result<Plan, Error> {
    let pool = pool(inventory, pool_id)?;
    if size == 0 {
        return Err(Error::invalid(
            "a volume of size 0 cannot be made; give a size in bytes",
        ));
    }
    let device = format!("standpipe-{}", job.hex());
    let name = name.map_or_else(|| format!("volume-{}", &job.hex()[..12]), str::to_owned);
    check_name_is_free(inventory, &name)?;
    let size = fit(pool, size, 0)?;
    let made = Subject::Made(pool_id.clone(), device.clone());
    let create = Step::Create {
        pool: pool_id.clone(),
        device: device.clone(),
        name: name.clone(),
        size,
        job,
    };
    Ok(Plan {
        title: format!("Create volume '{name}'"),
        steps: vec![
            Planned::with_undo(
                create,
                Step::Remove {
                    volume: made.clone(),
                    job,
                },
            ),
            Planned::lasting(Step::Zero {
                volume: made.clone(),
                job,
            }),
            Planned::lasting(Step::Unmark { volume: made, job }),
        ],
        changes: Vec::new(),
        goal: Goal::Made {
            pool: pool_id.clone(),
            device,
            size,
        },
        after_crash: AfterCrash::Back,
    })
}

pub(super) fn grow(
    inventory: &Inventory,
    id: &VolumeId,
    size: u64,
    name: Option<&str>,
    job: JobId,
) -> Result<Plan, Error> {
    let volume = own_volume(inventory, id)?;
    let pool = pool(inventory, &volume.pool)?;
    check_not_held(volume, "grown")?;
    if size < volume.size {
        return Err(Error::not_supported(format!(
            "volume '{}' has {} bytes and is not shrunk to {size}; data at its end would be lost",
            volume.name, volume.size
        )));
    }
    let rename = name.filter(|name| *name != volume.name);
    if let Some(name) = rename {
        check_name_is_free(inventory, name)?;
    }
    let size = if size == volume.size {
        size
    } else {
        fit(pool, size, volume.size)?
    };
    let mut steps = Vec::new();
    if size > volume.size {
        steps = growth(volume, size, job);
    }
    if let Some(name) = rename {
        steps.insert(0, renaming(volume, name));
    }
    Ok(Plan {
        title: format!("Grow volume '{}' to {}", volume.name, human(size)),
        steps,
        changes: Vec::new(),
        goal: Goal::Changed {
            pool: volume.pool.clone(),
            volume: id.clone(),
            size,
            name: name.unwrap_or(&volume.name).to_owned(),
        },
        after_crash: AfterCrash::Back,
    })
}

/// New extents are zeroed while they belong to a volume of their own, then absorbed: no host sees
/// what lay on them before.
fn growth(volume: &Volume, size: u64, job: JobId) -> Vec<Planned> {
    let device = format!("standpipe-{}", job.hex());
    let reserve = Subject::Made(volume.pool.clone(), device.clone());
    let create = Step::Create {
        pool: volume.pool.clone(),
        name: format!("growth of {}", device),
        device,
        size: size - volume.size,
        job,
    };
    vec![
        Planned::with_undo(
            create,
            Step::Remove {
                volume: reserve.clone(),
                job,
            },
        ),
        Planned::lasting(Step::Zero {
            volume: reserve.clone(),
            job,
        }),
        Planned::lasting(Step::Absorb {
            volume: volume.id.clone(),
            reserve,
            size,
            job,
        }),
    ]
}

fn renaming(volume: &Volume, name: &str) -> Planned {
    Planned::with_undo(
        Step::Rename {
            volume: volume.id.clone(),
            name: name.to_owned(),
        },
        Step::Rename {
            volume: volume.id.clone(),
            name: volume.name.clone(),
        },
    )
}

pub(super) fn rename(inventory: &Inventory, id: &VolumeId, name: &str) -> Result<Plan, Error> {
    let volume = own_volume(inventory, id)?;
    let mut steps = Vec::new();
    if name != volume.name {
        check_name_is_free(inventory, name)?;
        steps.push(renaming(volume, name));
    }
    Ok(Plan {
        title: format!("Rename volume '{}' to '{name}'", volume.name),
        steps,
        changes: Vec::new(),
        goal: Goal::Changed {
            pool: volume.pool.clone(),
            volume: id.clone(),
            size: volume.size,
            name: name.to_owned(),
        },
        after_crash: AfterCrash::Back,
    })
}

pub(super) fn delete(inventory: &Inventory, id: &VolumeId, job: JobId) -> Result<Plan, Error> {
    let volume = own_volume(inventory, id)?;
    check_not_held(volume, "deleted")?;
    if let Some(view) = inventory.views_of_volume(id).next() {
        return Err(Error::in_use(format!(
            "volume '{}' is shown to hosts by masking view '{}'; unmask it first",
            volume.name, view.name
        )));
    }
    if let Some(group) = inventory.groups_with_volume(id).next() {
        return Err(Error::in_use(format!(
            "volume '{}' is a member of device group '{}'; remove it from the group first",
            volume.name, group.name
        )));
    }
    let subject = Subject::Known(id.clone());
    Ok(Plan {
        title: format!("Delete volume '{}'", volume.name),
        steps: vec![
            Planned::with_undo(
                Step::Mark {
                    volume: subject.clone(),
                    job,
                },
                Step::Unmark {
                    volume: subject.clone(),
                    job,
                },
            ),
            Planned::lasting(Step::Remove {
                volume: subject,
                job,
            }),
        ],
        changes: Vec::new(),
        goal: Goal::Removed {
            pool: volume.pool.clone(),
            volume: id.clone(),
        },
        after_crash: AfterCrash::Forward,
    })
}

fn check_not_held(volume: &Volume, done: &str) -> Result<(), Error> {
    match &volume.held_by {
        None => Ok(()),
        Some(holder) => Err(Error::in_use(format!(
            "volume '{}' is {holder} and cannot be {done}; end that use first",
            volume.name
        ))),
    }
}
