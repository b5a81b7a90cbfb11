//! What a look at storage or at the records says of a goal.

use std::collections::BTreeSet;

use crate::array::command::Effect;
use crate::array::engine::{Engine, Facts, GroupFacts, Takeover};
use crate::array::error::Error;
use crate::array::ids::{DiskId, PoolId, VolumeId};
use crate::array::model::{Disk, MadeTarget, Owner, Pool, Volume};
use crate::array::plan::{Goal, Plan};
use crate::array::step::Subject;

use super::map_of;

fn unlike(what: impl std::fmt::Display) -> Error {
    Error::bug(format!("{what}; nothing of the request was kept"))
}

/// What a goal that concerns one group came to.
pub(super) fn judge_group(goal: &Goal, facts: &GroupFacts) -> Result<Effect, Error> {
    match goal {
        Goal::Made { volumes, .. } => {
            let made = |(device, size): &(String, u64)| {
                let mut found = facts.volumes.iter();
                found
                    .find(|v| v.device == *device && v.job.is_none() && v.size == *size)
                    .map(|volume| volume.id.clone())
                    .ok_or_else(|| unlike(format!("a new volume is not there with {size} bytes")))
            };
            let ids: Result<_, _> = volumes.iter().map(made).collect();
            ids.map(Effect::Volumes)
        }
        Goal::Relocated { volumes, .. } => {
            let finished = facts.volumes.iter().filter(|v| v.job.is_none());
            let of = |device: &String| finished.clone().find(|v| v.device == *device);
            let found = volumes.iter().filter_map(of);
            Ok(Effect::Volumes(found.map(|v| v.id.clone()).collect()))
        }
        Goal::Detached { volumes, .. } => {
            let is_free = |id| find(facts, id).is_some_and(|v| v.replica.is_none());
            match volumes.iter().all(is_free) {
                true => Ok(Effect::Volumes(volumes.clone())),
                false => Err(unlike("a replica is still related to its source")),
            }
        }
        Goal::Overwritten { volume, .. } => {
            match find(facts, volume).filter(|v| v.job.is_none() && v.torn.is_none()) {
                Some(_) => Ok(Effect::Volumes(vec![volume.clone()])),
                None => Err(unlike(
                    "the volume does not have the content of the other one",
                )),
            }
        }
        Goal::Changed {
            volume, size, name, ..
        } => match find(facts, volume).filter(|v| v.size == *size && v.name == *name) {
            Some(_) => Ok(Effect::Volumes(vec![volume.clone()])),
            None => Err(unlike(format!("the volume does not have {size} bytes"))),
        },
        Goal::Repaired { volume, .. } => {
            let whole = |v: &&Volume| {
                v.trouble.is_empty() && v.pieces.iter().all(|p| works(&facts.disks, &p.disk))
            };
            match find(facts, volume).filter(whole) {
                Some(_) => Ok(Effect::Volumes(vec![volume.clone()])),
                None => Err(unlike("a part of the volume still lies on a failed disk")),
            }
        }
        Goal::Laid { volume, layout, .. } => {
            let is_so = |v: &&Volume| v.layout == *layout && v.behind == 0;
            match find(facts, volume).filter(is_so) {
                Some(_) => Ok(Effect::Volumes(vec![volume.clone()])),
                None => Err(unlike(format!(
                    "the volume is not {} in step",
                    layout.name()
                ))),
            }
        }
        Goal::Moved { what, off, .. } => match lies_on(what, facts) {
            Some((effect, on)) if !on.iter().any(|disk| off.contains(disk)) => Ok(effect),
            _ => Err(unlike("not everything is moved")),
        },
        Goal::Removed { volumes, .. } => match volumes.iter().find_map(|id| find(facts, id)) {
            None => Ok(Effect::Gone),
            Some(volume) => Err(unlike(format!("volume '{}' is still there", volume.name))),
        },
        Goal::PoolMade { device, .. } => facts
            .thin_pools
            .iter()
            .find(|pool| pool.device == *device && pool.job.is_none())
            .map(|pool| Effect::Pool(pool.id.clone()))
            .ok_or_else(|| unlike("the new pool is not there")),
        Goal::PoolChanged {
            pool,
            name,
            size,
            disks,
            ..
        } => {
            let fits = |p: &&Pool| {
                let has = |disk: &DiskId| p.disks.contains(disk);
                p.name == *name && p.size >= *size && disks.iter().all(has)
            };
            match find_pool(facts, pool).filter(fits) {
                Some(_) => Ok(Effect::Pool(pool.clone())),
                None => Err(unlike("the pool is not as it was to be")),
            }
        }
        Goal::PoolRemoved { pool, .. } => match find_pool(facts, pool) {
            None => Ok(Effect::Gone),
            Some(pool) => Err(unlike(format!("pool {} is still there", pool.name))),
        },
        Goal::Listening { .. } | Goal::TakenOver { .. } => {
            Err(Error::bug("a goal was looked for in the wrong place"))
        }
        Goal::Shown { effect } => Ok(effect.clone()),
    }
}

/// Refuses a goal while a volume is still there in whose place another one is made.
pub(super) fn have_left(goal: &Goal, seen: &[GroupFacts]) -> Result<(), Error> {
    let mut left = goal.leaving().iter();
    let there = left.find_map(|id| seen.iter().find_map(|facts| find(facts, id)));
    match there {
        None => Ok(()),
        Some(volume) => Err(Error::bug(format!(
            "volume '{}' has moved to another pool, and is still in its old one, too",
            volume.name
        ))),
    }
}

/// What a volume, thin pool or group is called, and the disks that it lies on.
pub(super) fn lies_on<'a>(
    what: &Subject,
    facts: &'a GroupFacts,
) -> Option<(Effect, Vec<&'a DiskId>)> {
    match what {
        Subject::Known(id) => {
            let pieces = find(facts, id)?.pieces.iter();
            let disks = pieces.map(|piece| &piece.disk).collect();
            Some((Effect::Volumes(vec![id.clone()]), disks))
        }
        Subject::Pool(id) => {
            let disks = find_pool(facts, id)?.disks.iter().collect();
            Some((Effect::Pool(id.clone()), disks))
        }
        Subject::Made(..) => None,
    }
}

/// What a goal came to by which a group itself comes or goes.
pub(super) fn judge_machine(goal: &Goal, facts: &Facts) -> Result<Effect, Error> {
    let mut pools = facts.pools.iter();
    match goal {
        Goal::PoolMade { device, .. } => pools
            .find(|p| p.device == *device && p.job.is_none() && p.thin().is_none())
            .map(|pool| Effect::Pool(pool.id.clone()))
            .ok_or_else(|| unlike("the new pool is not there")),
        Goal::PoolRemoved { pool, disks, .. } => {
            // A group whose disks are away is not gone.
            let free = |id: &DiskId| {
                let disk = facts.disks.iter().find(|disk| disk.id == *id);
                disk.is_some_and(|disk| disk.pool().is_none())
            };
            match pools.all(|p| p.id != *pool) && disks.iter().all(free) {
                true => Ok(Effect::Gone),
                false => Err(unlike("the pool is still there")),
            }
        }
        Goal::Moved { group, off, .. } => {
            let left = |id: &DiskId| {
                let disk = facts.disks.iter().find(|disk| disk.id == *id);
                disk.is_none_or(|disk| disk.pool() != Some(group))
            };
            match pools.any(|p| p.id == *group) && off.iter().all(left) {
                true => Ok(Effect::Pool(group.clone())),
                false => Err(unlike("not everything is moved")),
            }
        }
        Goal::Listening { target, effect } => match listens(target, facts) {
            true => Ok(effect.clone()),
            false => Err(unlike(format!(
                "target {} is not as it was to be",
                target.iqn
            ))),
        },
        Goal::TakenOver { view, takeover } => match is_taken_over(takeover, facts) {
            true => Ok(Effect::View(*view)),
            false => Err(unlike(
                "what is shown to the initiator has changed meanwhile",
            )),
        },
        _ => Err(Error::bug("a goal was looked for in the wrong place")),
    }
}

/// Whether what another manager showed is this array's.
fn is_taken_over(wanted: &Takeover, facts: &Facts) -> bool {
    let is_ours = |id: &VolumeId| {
        let volume = facts.volumes.iter().find(|volume| volume.id == *id);
        volume.is_some_and(|volume| volume.owner == Owner::Array)
    };
    let targets = wanted.target.iter();
    targets.into_iter().all(|target| listens(target, facts))
        && wanted.rows.values().all(is_ours)
        && wanted.maps().all(|map| facts.maps.contains(&map))
}

/// Whether a target that a client made listens where it is to; whether it is gone, where it is to
/// listen nowhere.
fn listens(wanted: &MadeTarget, facts: &Facts) -> bool {
    let target = facts.targets.iter().find(|t| t.iqn == wanted.iqn);
    let mut ports = target.into_iter().flat_map(|t| &t.ports);
    match wanted.portals.is_empty() {
        true => target.is_none(),
        false => ports.any(|port| {
            let portals: BTreeSet<_> = port.portals.iter().copied().collect();
            port.id == wanted.port() && port.enabled && portals == wanted.portals
        }),
    }
}

/// Whether all maps of the steps are there, or gone.
pub(super) fn shown(plan: &Plan, engine: &dyn Engine) -> Result<Effect, Error> {
    let steps = plan.steps.iter();
    for (map, shown) in steps.filter_map(|planned| map_of(&planned.step)) {
        if engine.is_mapped(map)? != shown {
            let state = if shown { "not shown" } else { "still shown" };
            return Err(unlike(format!(
                "device number {} is {state} to {}",
                map.lun, map.initiator
            )));
        }
    }
    match &plan.goal {
        Goal::Shown { effect } => Ok(effect.clone()),
        _ => Err(Error::bug("a goal was looked for in the wrong place")),
    }
}

fn works(disks: &[Disk], id: &DiskId) -> bool {
    let disk = disks.iter().find(|disk| disk.id == *id);
    disk.is_some_and(Disk::works)
}

pub(super) fn find_pool<'a>(facts: &'a GroupFacts, id: &PoolId) -> Option<&'a Pool> {
    let all = std::iter::once(&facts.group).chain(&facts.thin_pools);
    all.into_iter().find(|pool| pool.id == *id)
}

pub(super) fn find<'a>(facts: &'a GroupFacts, id: &VolumeId) -> Option<&'a Volume> {
    facts.volumes.iter().find(|v| v.id == *id)
}
