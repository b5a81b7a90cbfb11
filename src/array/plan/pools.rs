//! Plans that make, grow, rename and remove pools.

use super::room::{self, full};
use super::volumes::{SizeRange, human, pool, removing, too_small};
use super::{AfterCrash, Goal, Plan, Planned, check_name, thin};
use crate::array::change::Change;
use crate::array::command::Growth;
use crate::array::error::Error;
use crate::array::ids::{DiskId, JobId, PoolId};
use crate::array::inventory::Inventory;
use crate::array::model::{DISK_HEAD, Disk, DiskUsage, NEW_EXTENT, Owner, Pool, Thin};
use crate::array::step::{Step, Subject, VolumeGroup};

/// The most disks that one command adds: each is a word on a command line.
const MAX_DISKS: usize = 32;
/// The longest name of a pool that is also the name of its device, in bytes.
const MAX_DEVICE_NAME: usize = 60;

/// The sizes that a new group of some of these disks can have. One command takes so many and no more.
pub fn group_size_range<'a>(disks: impl Iterator<Item = &'a Disk>) -> SizeRange {
    let sizes = disks.map(|disk| group_size(disk.size, NEW_EXTENT));
    let mut sizes: Vec<u64> = sizes.filter(|size| *size > 0).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    SizeRange {
        min: sizes.last().copied().unwrap_or(0),
        max: sizes.iter().take(MAX_DISKS).sum(),
        divisor: NEW_EXTENT,
    }
}

/// Bytes that a disk of so many gives to a group with such extents, at least.
pub fn group_size(disk: u64, extent: u64) -> u64 {
    let extent = extent.max(1);
    disk.saturating_sub(DISK_HEAD) / extent * extent
}

/// The sizes that a new thin pool in `group` can have now.
pub fn pool_size_range(group: &Pool) -> SizeRange {
    let extent = group.extent.max(1);
    SizeRange {
        min: extent,
        max: thin::largest(group, None),
        divisor: extent,
    }
}

/// Checks that no pool but `own` has that name, or is called so among devices.
fn check_name_is_free(
    inventory: &Inventory,
    name: &str,
    own: Option<&PoolId>,
) -> Result<(), Error> {
    check_name("pool", name)?;
    let others = inventory.pools().filter(|pool| Some(&pool.id) != own);
    let mut taken = others.filter(|pool| pool.name == name || pool.device == name);
    match taken.next() {
        None => Ok(()),
        Some(_) => Err(Error::already_exists(format!(
            "there is already a pool named '{name}'; choose another name"
        ))),
    }
}

/// Checks that pools can be made from these disks.
pub(super) fn check_free(inventory: &Inventory, disks: &[DiskId]) -> Result<(), Error> {
    if disks.is_empty() || disks.len() > MAX_DISKS {
        return Err(Error::invalid(format!(
            "{} disks were named; name 1 to {MAX_DISKS} free disks",
            disks.len()
        )));
    }
    for (place, id) in disks.iter().enumerate() {
        let disk = inventory.disk(id).ok_or_else(|| {
            Error::not_found(format!(
                "there is no disk {id}; list the disks and choose a free one"
            ))
        })?;
        if disks[..place].contains(id) {
            return Err(Error::invalid(format!(
                "disk {} was named twice; name each once",
                disk.device
            )));
        }
        match &disk.usage {
            DiskUsage::Free => {}
            DiskUsage::Member { pool, .. } => {
                let name = inventory.pool(pool).map_or("another", |pool| &pool.name);
                return Err(Error::in_use(format!(
                    "disk {} belongs to pool {name}; choose a free disk",
                    disk.device
                )));
            }
            DiskUsage::Taken(why) => {
                return Err(Error::in_use(format!(
                    "disk {} cannot be used: {why}",
                    disk.device
                )));
            }
        }
    }
    Ok(())
}

/// A device name that administrators recognise, where the name can be one.
fn device_for(name: &str, job: JobId) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    let is_plain = name.len() <= MAX_DEVICE_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain);
    match is_plain {
        true => name.to_owned(),
        false => format!("standpipe-{}", &job.hex()[..12]),
    }
}

pub(super) fn create(
    inventory: &Inventory,
    name: Option<&str>,
    disks: &[DiskId],
    job: JobId,
) -> Result<Plan, Error> {
    let name = name.map_or_else(|| format!("pool-{}", &job.hex()[..12]), str::to_owned);
    check_name_is_free(inventory, &name, None)?;
    check_free(inventory, disks)?;
    let device = device_for(&name, job);
    let group = VolumeGroup::Made(device.clone());
    let create = Step::CreateGroup {
        device: device.clone(),
        name: name.clone(),
        disks: disks.to_vec(),
        job,
    };
    let undo = Step::RemoveGroup {
        group: group.clone(),
        disks: Vec::new(),
        job,
    };
    Ok(Plan {
        title: format!("Create pool '{name}'"),
        steps: vec![
            Planned::with_undo(create, undo),
            Planned::lasting(Step::UnmarkGroup { group, job }),
        ],
        changes: Vec::new(),
        goal: Goal::PoolMade {
            group: None,
            device,
        },
        after_crash: AfterCrash::Back,
    })
}

pub(super) fn create_thin(
    inventory: &Inventory,
    group_id: &PoolId,
    name: Option<&str>,
    size: u64,
    job: JobId,
) -> Result<Plan, Error> {
    let group = pool(inventory, group_id)?;
    if group.thin().is_some() {
        return Err(Error::invalid(format!(
            "pool {} is a thin pool; a thin pool is made in a volume group",
            group.name
        )));
    }
    let name = name.map_or_else(|| format!("pool-{}", &job.hex()[..12]), str::to_owned);
    check_name_is_free(inventory, &name, None)?;
    let size = fit(inventory, group, None, size)?;
    let device = format!("standpipe-{}", job.hex());
    let made = Subject::Made(group_id.clone(), device.clone());
    let create = Step::CreateThinPool {
        group: group_id.clone(),
        device: device.clone(),
        name: name.clone(),
        size,
        metadata: thin::metadata(size, group.extent),
        job,
    };
    let undo = Step::Remove {
        volume: made.clone(),
        job,
    };
    Ok(Plan {
        title: format!("Create thin pool '{name}'"),
        steps: vec![
            Planned::with_undo(create, undo),
            Planned::lasting(Step::Unmark { volume: made, job }),
        ],
        changes: Vec::new(),
        goal: Goal::PoolMade {
            group: Some(group_id.clone()),
            device,
        },
        after_crash: AfterCrash::Back,
    })
}

/// Rounds the size of a thin pool up and checks that its group has room for it.
fn fit(
    inventory: &Inventory,
    group: &Pool,
    present: Option<(u64, &Thin)>,
    size: u64,
) -> Result<u64, Error> {
    if size == 0 {
        return Err(Error::invalid(
            "a pool of size 0 cannot be made; give a size in bytes",
        ));
    }
    let most = thin::largest(group, present);
    match size.checked_next_multiple_of(group.extent.max(1)) {
        Some(rounded) if rounded <= most && size < group.extent => {
            Err(too_small(group, size, rounded))
        }
        Some(rounded) if rounded <= most => Ok(rounded),
        _ if group.available == 0 => Err(full(inventory, group)),
        _ if most == present.map_or(0, |(data, _)| data) => Err(Error::no_space(format!(
            "pool {} has {} free, too little for more data of a thin pool and the metadata that \
             belongs to it; free some space or add a disk to it",
            group.name,
            human(group.available)
        ))),
        _ => Err(Error::size_not_supported(format!(
            "pool {} has room for a thin pool of {}, {} were asked for; ask for at most {most} \
             bytes, or add a disk to it",
            group.name,
            human(most),
            human(size)
        ))
        .with_largest(most)),
    }
}

/// Grows a pool, renames it, or both.
pub(super) fn grow(
    inventory: &Inventory,
    id: &PoolId,
    by: Option<&Growth>,
    name: Option<&str>,
) -> Result<Plan, Error> {
    let pool = pool(inventory, id)?;
    let mut steps = Vec::new();
    let rename = name.filter(|name| *name != pool.name);
    if let Some(name) = rename {
        own(pool, "renamed")?;
        check_name_is_free(inventory, name, Some(id))?;
        let named = |name: &str| Step::RenamePool {
            pool: id.clone(),
            name: name.to_owned(),
        };
        steps.push(Planned::with_undo(named(name), named(&pool.name)));
    }
    // Of a group that is only renamed, or has new disks, the size is not promised.
    let mut size = 0;
    let mut disks = Vec::new();
    match (by, pool.thin()) {
        (None, _) => {}
        (Some(Growth::Disks(added)), None) => {
            disks = added
                .iter()
                .filter(|id| !pool.disks.contains(id))
                .cloned()
                .collect();
            if !disks.is_empty() {
                check_free(inventory, &disks)?;
                steps.push(extension(id, &disks));
            }
        }
        (Some(Growth::To(wanted)), Some(thin)) => {
            own(pool, "grown")?;
            size = (*wanted).max(pool.size);
            if size > pool.size {
                let group = self::pool(inventory, &thin.group)?;
                size = fit(inventory, group, Some((pool.size, thin)), size)?;
                steps.push(Planned::lasting(Step::GrowThinPool {
                    pool: id.clone(),
                    size,
                    metadata: thin::metadata(size, group.extent).max(thin.metadata),
                }));
            }
        }
        (Some(Growth::Disks(_)), Some(_)) => {
            return Err(Error::invalid(format!(
                "thin pool {} grows to a size within its volume group, not by disks; add the \
                 disks to the group",
                pool.name
            )));
        }
        (Some(Growth::To(_)), None) => {
            return Err(Error::invalid(format!(
                "pool {} grows by disks, not to a size; name free disks",
                pool.name
            )));
        }
    }
    let title = match by {
        None => format!(
            "Rename pool '{}' to '{}'",
            pool.name,
            name.unwrap_or_default()
        ),
        Some(_) => format!("Grow pool '{}'", pool.name),
    };
    Ok(Plan {
        title,
        steps,
        changes: Vec::new(),
        goal: Goal::PoolChanged {
            group: pool.group().clone(),
            pool: id.clone(),
            name: name.unwrap_or(&pool.name).to_owned(),
            size,
            disks,
        },
        after_crash: AfterCrash::Back,
    })
}

pub(super) fn extension(group: &PoolId, disks: &[DiskId]) -> Planned {
    // Each by itself: one that something lies on by then keeps no other.
    let leaves = |disk: &DiskId| Step::ReduceGroup {
        group: group.clone(),
        disks: vec![disk.clone()],
    };
    Planned {
        step: Step::ExtendGroup {
            group: group.clone(),
            disks: disks.to_vec(),
        },
        undo: disks.iter().map(leaves).collect(),
    }
}

/// Refuses a pool that this array has not made.
pub(super) fn own(pool: &Pool, done: &str) -> Result<(), Error> {
    match pool.owner {
        Owner::Array => Ok(()),
        Owner::Foreign => Err(Error::access_denied(format!(
            "pool {} was not made by this array and is not {done} by it; use the tool that made it",
            pool.name
        ))),
    }
}

/// The records that go with a pool.
fn forgetting(inventory: &Inventory, id: &PoolId) -> Vec<Change> {
    let made_for = Some(id.clone());
    let settings = inventory.settings_of(&made_for);
    settings
        .map(|setting| Change::RemoveSetting(setting.id))
        .chain([Change::RemovePool(id.clone())])
        .collect()
}

pub(super) fn delete(inventory: &Inventory, id: &PoolId, job: JobId) -> Result<Plan, Error> {
    let pool = pool(inventory, id)?;
    own(pool, "removed")?;
    if let Some(thin) = inventory.thin_pools_in(id).next() {
        return Err(Error::in_use(format!(
            "pool {} holds thin pool '{}'; remove that first",
            pool.name, thin.name
        )));
    }
    if let Some(volume) = inventory.volumes_in(id).next() {
        return Err(Error::in_use(format!(
            "pool {} holds volume '{}'; delete its volumes first",
            pool.name, volume.name
        )));
    }
    let is_group = pool.thin().is_none();
    let mut steps = if is_group {
        let known = VolumeGroup::Known(id.clone());
        let mark = Step::MarkGroup {
            group: id.clone(),
            job,
        };
        let unmark = Step::UnmarkGroup {
            group: known.clone(),
            job,
        };
        let remove = Step::RemoveGroup {
            group: known,
            disks: pool.disks.clone(),
            job,
        };
        vec![Planned::with_undo(mark, unmark), Planned::lasting(remove)]
    } else {
        let (mark, remove) = removing(Subject::Pool(id.clone()), job);
        vec![mark, remove]
    };
    if !is_group {
        steps.extend(room::dropping(inventory, pool.group()).map(Planned::lasting));
    }
    Ok(Plan {
        title: format!("Delete pool '{}'", pool.name),
        steps,
        changes: forgetting(inventory, id),
        goal: Goal::PoolRemoved {
            group: pool.group().clone(),
            pool: id.clone(),
            disks: match is_group {
                true => pool.disks.clone(),
                false => Vec::new(),
            },
        },
        after_crash: AfterCrash::Forward,
    })
}
