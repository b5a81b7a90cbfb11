//! Plans that make a volume larger, smaller, or whole again.

use std::cmp::Ordering;

use super::room::{self, Growing};
use super::volumes::{
    Limits, check_dependents, check_name_is_free, check_not_held, check_unused, device, fit, human,
    making, overcommitted, own_volume, pool, renaming, too_small,
};
use super::{AfterCrash, Goal, Plan, Planned, thin};
use crate::array::error::Error;
use crate::array::ids::{JobId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::model::{Pool, Volume};
use crate::array::step::{Step, Subject};

pub(super) fn resize(
    inventory: &Inventory,
    id: &VolumeId,
    size: u64,
    name: Option<&str>,
    job: JobId,
) -> Result<Plan, Error> {
    let volume = own_volume(inventory, id)?;
    let pool = pool(inventory, &volume.pool)?;
    check_not_held(volume, "resized")?;
    if size == 0 {
        return Err(Error::invalid(
            "a volume has no size of 0; give its new size in bytes",
        ));
    }
    let rename = name.filter(|name| *name != volume.name);
    if let Some(name) = rename {
        check_name_is_free(inventory, name)?;
    }
    if size != volume.size {
        check_relations(inventory, volume)?;
    }
    let (size, mut steps) = match size.cmp(&volume.size) {
        Ordering::Equal => (size, Vec::new()),
        Ordering::Greater => growth(inventory, pool, volume, size, job)?,
        Ordering::Less => shrinkage(inventory, pool, volume, size)?,
    };
    let is_shrinking = size < volume.size;
    if let Some(name) = rename {
        steps.insert(0, renaming(volume, name));
    }
    let verb = if is_shrinking { "Shrink" } else { "Grow" };
    Ok(Plan {
        title: format!("{verb} volume '{}' to {}", volume.name, human(size)),
        steps,
        changes: Vec::new(),
        goal: Goal::Changed {
            group: pool.group().clone(),
            volume: id.clone(),
            size,
            name: name.unwrap_or(&volume.name).to_owned(),
        },
        after_crash: match is_shrinking {
            true => AfterCrash::Forward,
            false => AfterCrash::Back,
        },
    })
}

/// Refuses another size of a volume that has to have that of a snapshot of it, or of what it is a
/// snapshot of.
fn check_relations(inventory: &Inventory, volume: &Volume) -> Result<(), Error> {
    check_dependents(inventory, volume, "resized", |_| false)?;
    match volume.depends_on() {
        None => Ok(()),
        Some(_) => Err(Error::not_supported(format!(
            "'{}' is a snapshot and has the size of what it was taken of; clone it to get a larger \
             volume",
            volume.name
        ))),
    }
}

/// The rounded size, and the steps to it.
fn growth(
    inventory: &Inventory,
    pool: &Pool,
    volume: &Volume,
    size: u64,
    job: JobId,
) -> Result<(u64, Vec<Planned>), Error> {
    let limits = |most, divisor| Limits {
        present: volume.size,
        most: volume.size + most,
        divisor,
    };
    if let Some(thin) = pool.thin() {
        let limits = limits(thin::promise(inventory, pool, thin), pool.extent.max(1));
        let none = || overcommitted(inventory, pool, thin);
        let size = fit(pool, size, limits, none)?;
        let step = Step::GrowThin {
            volume: volume.id.clone(),
            size,
        };
        return Ok((size, vec![Planned::lasting(step)]));
    }
    let growing = Growing::of(inventory, pool, volume)?;
    let limits = limits(growing.most, growing.divisor);
    let size = fit(pool, size, limits, || match pool.available {
        0 => room::full(inventory, pool),
        _ => Error::no_space(format!(
            "the disks that volume '{}' lies on have no room for more of it; free some there, or move \
             it to other disks",
            volume.name
        )),
    })?;
    Ok((size, absorption(volume, &growing, pool, size, job)))
}

/// The rounded size, and the step to it.
fn shrinkage(
    inventory: &Inventory,
    pool: &Pool,
    volume: &Volume,
    size: u64,
) -> Result<(u64, Vec<Planned>), Error> {
    let not = |why: String| Err(Error::not_supported(why));
    if !inventory.policy.shrink {
        return not(format!(
            "volume '{}' has {} bytes and is not shrunk to {size}; data at its end would be lost. \
             Where that is wanted, set allow_shrink in the configuration",
            volume.name, volume.size
        ));
    }
    if pool.thin().is_some() {
        return not(format!(
            "volume '{}' is thin and is not shrunk; it takes no more space than is written",
            volume.name
        ));
    }
    check_unused(inventory, volume)?;
    let divisor = pool.extent.max(1) * volume.layout.data_legs();
    if size < pool.extent {
        return Err(too_small(pool, size, divisor));
    }
    let size = size.next_multiple_of(divisor);
    let step = Step::Shrink {
        volume: volume.id.clone(),
        size,
    };
    let steps = match size < volume.size {
        true => vec![Planned::lasting(step)],
        false => Vec::new(),
    };
    Ok((size.min(volume.size), steps))
}

/// New extents are zeroed while they belong to a volume of their own, then absorbed: no host sees
/// what lay on them before.
fn absorption(
    volume: &Volume,
    growing: &Growing,
    pool: &Pool,
    size: u64,
    job: JobId,
) -> Vec<Planned> {
    let device = device(job, 0);
    let reserve = Subject::Made(pool.id.clone(), device.clone());
    let (bytes, place) = growing.reserve(size - volume.size);
    let name = format!("growth of {device}");
    let mut steps = making(&pool.id, &device, name, bytes, place, job);
    // It is absorbed with the mark on, never finished.
    steps.pop();
    steps.push(Planned::lasting(Step::Absorb {
        volume: volume.id.clone(),
        reserve,
        size,
        job,
    }));
    if volume.layout.survives() > 0 {
        steps.push(Planned::lasting(Step::Sync {
            volume: Subject::Known(volume.id.clone()),
        }));
    }
    steps
}

pub(super) fn repair(inventory: &Inventory, id: &VolumeId) -> Result<Plan, Error> {
    let volume = own_volume(inventory, id)?;
    let pool = pool(inventory, &volume.pool)?;
    let is_redundant = volume.layout.survives() > 0;
    let is_stale = !volume.trouble.stale.is_empty();
    // A disk that is there again is taken back for all that lies in the group.
    let taking_back = room::taking_back(inventory, pool.group());
    let is_own = pool.thin().is_none() && (is_redundant || is_stale);
    if !is_own && taking_back.is_none() {
        return Err(Error::not_supported(format!(
            "volume '{}' has no redundancy of its own to be repaired from",
            volume.name
        )));
    }
    let mut steps = Vec::from_iter(taking_back);
    if is_stale {
        steps.push(Step::Refresh { volume: id.clone() });
    }
    let onto = room::spares(inventory, pool, volume)?;
    let moves = !onto.is_empty();
    let repair = moves.then(|| Step::Repair {
        volume: id.clone(),
        onto,
    });
    let drop = room::dropping(inventory, pool.group());
    // The group is whole again as soon as nothing lies on the lost disk: nobody waits for the legs.
    // A leg that fails though its disk is there is replaced only in a group that lacks no disk.
    match volume.trouble.failing.is_empty() {
        true => steps.extend(repair.into_iter().chain(drop)),
        false => steps.extend(drop.into_iter().chain(repair)),
    }
    if steps.is_empty() {
        return Err(Error::invalid(format!(
            "volume '{}' lies whole on working disks; there is nothing to repair",
            volume.name
        )));
    }
    if is_redundant && (is_stale || moves) {
        steps.push(Step::Sync {
            volume: Subject::Known(id.clone()),
        });
    }
    Ok(Plan {
        title: format!("Repair volume '{}'", volume.name),
        steps: steps.into_iter().map(Planned::lasting).collect(),
        changes: Vec::new(),
        goal: Goal::Repaired {
            group: pool.group().clone(),
            volume: id.clone(),
        },
        after_crash: AfterCrash::Forward,
    })
}
