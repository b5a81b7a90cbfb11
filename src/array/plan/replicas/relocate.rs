//! Plans that put volumes into another pool.
//!
//! Each is copied while nobody uses it. Its copy takes over what hosts know it by, and is finished:
//! from then on there is no way back, and the old one goes.

use std::collections::BTreeSet;

use super::cost::{Cost, place};
use super::{Source, finishing, marking};
use crate::array::error::Error;
use crate::array::ids::{JobId, PoolId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::model::{Pool, Volume};
use crate::array::plan::room::{self, Room};
use crate::array::plan::volumes::{
    MAX_AT_ONCE, check_not_held, check_unused, device, pool, removal,
};
use crate::array::plan::{AfterCrash, Goal, Plan, Planned};
use crate::array::quality::Quality;
use crate::array::step::{Place, Relation, Step, Subject, Taken};

/// A volume on its way.
struct Leaving<'a> {
    source: Source<'a>,
    device: String,
    size: u64,
    place: Place,
}

pub(in crate::array::plan) fn relocate(
    inventory: &Inventory,
    ids: &[VolumeId],
    target: &PoolId,
    quality: Option<&Quality>,
    job: JobId,
) -> Result<Plan, Error> {
    let distinct: BTreeSet<_> = ids.iter().collect();
    if ids.is_empty() || ids.len() > MAX_AT_ONCE || distinct.len() < ids.len() {
        return Err(Error::invalid(format!(
            "name 1 to {MAX_AT_ONCE} different volumes"
        )));
    }
    let target = pool(inventory, target)?;
    let group = pool(inventory, target.group())?;
    let (mut room, mut cost) = (Room::of(inventory, group), Cost::default());
    let mut all = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        let source = Source::of(inventory, id)?;
        check_alone(inventory, source.volume, target)?;
        room::check_whole(inventory, pool(inventory, source.pool.group())?)?;
        let (size, place) = place(inventory, &mut room, &mut cost, &source, target, quality)?;
        all.push(Leaving {
            source,
            device: device(job, number),
            size,
            place,
        });
    }
    cost.check(inventory, group, group.available)?;
    let from = all.iter().map(|one| one.source.pool.group());
    let beside: BTreeSet<_> = from.filter(|from| *from != &group.id).cloned().collect();
    Ok(Plan {
        title: match &all[..] {
            [one] => format!(
                "Move volume '{}' to pool '{}'",
                one.source.volume.name, target.name
            ),
            all => format!("Move {} volumes to pool '{}'", all.len(), target.name),
        },
        goal: Goal::Relocated {
            group: group.id.clone(),
            volumes: all.iter().map(|one| one.device.clone()).collect(),
            leaving: ids.to_vec(),
            beside: beside.into_iter().collect(),
        },
        steps: steps(inventory, &group.id, all, job),
        changes: Vec::new(),
        after_crash: AfterCrash::Back,
    })
}

/// Refuses a volume that somebody uses, or that is more to others than what it holds: it is another
/// one afterwards.
fn check_alone(inventory: &Inventory, volume: &Volume, target: &Pool) -> Result<(), Error> {
    let name = &volume.name;
    if volume.pool == target.id {
        return Err(Error::invalid(format!(
            "volume '{name}' lies in pool {} already; choose another pool, or name disks that it is \
             to lie on",
            target.name
        )));
    }
    check_not_held(volume, "moved to another pool")?;
    check_unused(inventory, volume)?;
    if volume.depends_on().is_some() {
        return Err(Error::not_supported(format!(
            "'{name}' is a snapshot that is nothing without its source, and is not moved; clone it \
             into pool {} instead",
            target.name
        )));
    }
    if let Some(replica) = inventory.replicas_of(&volume.id).next() {
        return Err(Error::has_dependents(format!(
            "volume '{name}' is the source of replica '{}' and is not moved to another pool; detach \
             or delete that first",
            replica.name
        )));
    }
    match inventory.replication_groups_with(&volume.id).next() {
        None => Ok(()),
        Some(group) => Err(Error::in_use(format!(
            "volume '{name}' is a member of replication group '{}'; remove it from the group first",
            group.name
        ))),
    }
}

/// All are marked and made before the first is copied, and all are ready before the first is
/// finished: who finds one finished knows that the others can be.
fn steps(inventory: &Inventory, group: &PoolId, all: Vec<Leaving<'_>>, job: JobId) -> Vec<Planned> {
    let (mut marks, mut creations, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut finishings, mut erasures, mut removals) = (Vec::new(), Vec::new(), Vec::new());
    for one in all {
        let old = one.source.volume;
        let (made, known) = (
            Subject::Made(group.clone(), one.device.clone()),
            Subject::Known(old.id.clone()),
        );
        let is_redundant =
            matches!(&one.place, Place::Disks { layout, .. } if layout.survives() > 0);
        marks.push(marking(&old.id, job));
        let create = Step::Create {
            group: group.clone(),
            device: one.device.clone(),
            name: old.name.clone(),
            size: one.size,
            place: one.place,
            job,
        };
        let undo = Step::Remove {
            volume: made.clone(),
            job,
        };
        creations.push(Planned::with_undo(create, undo));
        copies.push(Planned::lasting(Step::Copy {
            from: known.clone(),
            to: made.clone(),
            fresh: true,
            job,
        }));
        if is_redundant {
            let volume = made.clone();
            copies.push(Planned::lasting(Step::Sync { volume }));
        }
        copies.extend(relating(&made, old, job));
        copies.push(Planned::lasting(Step::Inherit {
            volume: made,
            of: old.id.clone(),
            job,
        }));
        finishings.push(finishing(group, &one.device, job));
        if let Some(how) = inventory.policy.erase {
            let volume = known.clone();
            erasures.push(Planned::lasting(Step::Erase { volume, how, job }));
        }
        removals.push(removal(known, job));
    }
    let parts = [marks, creations, copies, finishings, erasures, removals];
    parts.into_iter().flatten().collect()
}

/// A replica stays one.
fn relating(made: &Subject, old: &Volume, job: JobId) -> Option<Planned> {
    let replica = old.replica.as_ref()?;
    Some(Planned::lasting(Step::Relate {
        volume: made.clone(),
        to: Some(Relation {
            source: replica.source.clone(),
            taken: Taken::At(replica.taken),
        }),
        job: Some(job),
    }))
}
