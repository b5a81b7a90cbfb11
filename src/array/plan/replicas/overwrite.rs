//! Plans that end relations, and that overwrite one of two related volumes with the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cost::{Cost, check_free};
use super::{
    Reading, Source, check_readable, delta_room, holding_still, marking, relating, unmarking,
};
use crate::array::error::Error;
use crate::array::ids::{JobId, PoolId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::model::{Pool, Replica, ReplicaKind, Volume};
use crate::array::plan::volumes::{MAX_AT_ONCE, check_not_held, check_unused, own_volume, pool};
use crate::array::plan::{AfterCrash, Goal, Plan, Planned, room};
use crate::array::step::{Relation, Step, Subject, Taken};

/// A replica that this array may change, its source, and how they hang together.
fn pair<'a>(
    inventory: &'a Inventory,
    id: &VolumeId,
) -> Result<(&'a Arc<Volume>, &'a Arc<Volume>, &'a Replica), Error> {
    let replica = own_volume(inventory, id)?;
    match inventory.source_of(replica) {
        Some((source, relation)) => Ok((replica, source, relation)),
        None => Err(Error::invalid(format!(
            "volume '{}' is no replica of any volume that is there; look at its relations",
            replica.name
        ))),
    }
}

pub(in crate::array::plan) fn detach(
    inventory: &Inventory,
    ids: &[VolumeId],
) -> Result<Plan, Error> {
    let distinct: BTreeSet<_> = ids.iter().collect();
    if ids.is_empty() || ids.len() > MAX_AT_ONCE || distinct.len() < ids.len() {
        return Err(Error::invalid(format!(
            "name 1 to {MAX_AT_ONCE} different replicas"
        )));
    }
    let (mut steps, mut groups, mut names) = (Vec::new(), BTreeSet::new(), Vec::new());
    for id in ids {
        let (replica, source, relation) = pair(inventory, id)?;
        if let ReplicaKind::Delta { .. } = relation.kind {
            return Err(Error::not_supported(format!(
                "snapshot '{}' keeps only what has changed and is nothing without volume '{}'; \
                 clone it instead",
                replica.name, source.name
            )));
        }
        let relate = |to| Step::Relate {
            volume: Subject::Known(id.clone()),
            to,
            job: None,
        };
        let again = Relation {
            source: source.id.clone(),
            taken: Taken::At(relation.taken),
        };
        steps.push(Planned::with_undo(relate(None), relate(Some(again))));
        groups.insert(pool(inventory, &replica.pool)?.group());
        names.push(&replica.name);
    }
    let mut groups = groups.into_iter();
    let (Some(group), None) = (groups.next(), groups.next()) else {
        return Err(Error::not_supported(
            "the replicas lie in several volume groups; detach those of each group by themselves",
        ));
    };
    Ok(Plan {
        title: match &names[..] {
            [name] => format!("Detach replica '{name}'"),
            names => format!("Detach {} replicas", names.len()),
        },
        steps,
        changes: Vec::new(),
        goal: Goal::Detached {
            group: group.clone(),
            volumes: ids.to_vec(),
        },
        after_crash: AfterCrash::Back,
    })
}

/// Refuses to overwrite a volume of which that would break a snapshot, or for which its thin pool
/// may be too small. What is written there may take so many bytes at most.
fn check_overwriting(
    inventory: &Inventory,
    volume: &Volume,
    pool: &Pool,
    spared: &VolumeId,
    fills: u64,
) -> Result<(), Error> {
    check_not_held(volume, "overwritten")?;
    check_unused(inventory, volume)?;
    room::check_whole(inventory, self::pool(inventory, pool.group())?)?;
    for other in inventory.replicas_of(&volume.id) {
        let Some(ReplicaKind::Delta { room, broken, .. }) =
            other.replica.as_ref().map(|replica| &replica.kind)
        else {
            continue;
        };
        // What differs from the one that is read has been kept there already.
        let lacks_room = *room < delta_room(volume.size, 100, pool.extent);
        if other.id != *spared && !broken && lacks_room {
            return Err(Error::has_dependents(format!(
                "overwriting volume '{}' could take more room than its snapshot '{}' has, which \
                 would be lost; delete that snapshot first",
                volume.name, other.name
            )));
        }
    }
    match pool.thin() {
        Some(_) => check_free(pool, fills.min(volume.size)),
        None => Ok(()),
    }
}

/// Refuses two volumes of different sizes.
fn check_sizes(replica: &Volume, source: &Volume) -> Result<(), Error> {
    match replica.size == source.size {
        true => Ok(()),
        false => Err(Error::not_supported(format!(
            "volume '{}' has {} bytes and its replica '{}' has {}; only two of one size are copied \
             onto each other",
            source.name, source.size, replica.name, replica.size
        ))),
    }
}

/// Bytes of a thin pool that two volumes have together: what differs is among them.
fn together(a: &Volume, b: &Volume) -> u64 {
    let has = |volume: &Volume| volume.consumed.unwrap_or(volume.size);
    has(a).saturating_add(has(b))
}

pub(in crate::array::plan) fn restore(
    inventory: &Inventory,
    id: &VolumeId,
    job: JobId,
) -> Result<Plan, Error> {
    let (replica, source, _) = pair(inventory, id)?;
    check_readable(replica)?;
    check_not_held(replica, "copied")?;
    check_unused(inventory, replica)?;
    let source = own_volume(inventory, &source.id)?;
    check_sizes(replica, source)?;
    let (from, onto) = (
        pool(inventory, &replica.pool)?,
        pool(inventory, &source.pool)?,
    );
    check_overwriting(inventory, source, onto, id, together(replica, source))?;
    room::check_whole(inventory, pool(inventory, from.group())?)?;
    let copy = Step::Copy {
        from: Subject::Known(id.clone()),
        to: Subject::Known(source.id.clone()),
        fresh: false,
        job,
    };
    Ok(Plan {
        title: format!("Restore '{}' from '{}'", source.name, replica.name),
        steps: vec![
            // The mark of what is overwritten comes last: it says that the others were set.
            marking(id, job),
            marking(&source.id, job),
            Planned::lasting(copy),
            unmarking(id, job),
            unmarking(&source.id, job),
        ],
        changes: Vec::new(),
        goal: Goal::Overwritten {
            group: onto.group().clone(),
            volume: source.id.clone(),
            beside: beside(onto, from),
        },
        after_crash: AfterCrash::Forward,
    })
}

pub(in crate::array::plan) fn resync(
    inventory: &Inventory,
    id: &VolumeId,
    job: JobId,
    at: u64,
) -> Result<Plan, Error> {
    let (replica, source, relation) = pair(inventory, id)?;
    if relation.kind != ReplicaKind::Clone {
        return Err(Error::not_supported(format!(
            "'{}' is a snapshot, and its moment is never another one; take a new snapshot of '{}'",
            replica.name, source.name
        )));
    }
    let source = Source::of(inventory, &source.id)?;
    check_sizes(replica, source.volume)?;
    let onto = pool(inventory, &replica.pool)?;
    let most = together(replica, source.volume);
    check_overwriting(inventory, replica, onto, &source.volume.id, most)?;
    let group = pool(inventory, source.pool.group())?;
    let percent = inventory.policy.snapshot_room;
    let reading = Reading::of(inventory, &source, 0, percent, job, at)?;
    let mut cost = Cost::default();
    let sources = [source];
    let of: Vec<_> = reading.snap().into_iter().cloned().collect();
    cost.add(&sources, &of);
    cost.check(inventory, group, group.available)?;
    let [source] = sources;
    let clone = || Subject::Known(id.clone());
    let readings = [reading];
    let mut steps = holding_still(group, &readings, job);
    let [reading] = readings;
    // The mark of what is overwritten comes last: it says that the others were set.
    steps.push(marking(id, job));
    steps.push(Planned::lasting(Step::Copy {
        from: reading.subject(&group.id),
        to: clone(),
        fresh: false,
        job,
    }));
    steps.push(relating(clone(), source.volume, &reading, group, job));
    steps.push(reading.ending(&group.id, job));
    steps.push(unmarking(id, job));
    Ok(Plan {
        title: format!(
            "Resynchronise '{}' with '{}'",
            replica.name, source.volume.name
        ),
        steps,
        changes: Vec::new(),
        goal: Goal::Overwritten {
            group: onto.group().clone(),
            volume: id.clone(),
            beside: beside(onto, source.pool),
        },
        after_crash: AfterCrash::Forward,
    })
}

/// The group of the second, where it is another one.
fn beside(first: &Pool, second: &Pool) -> Vec<PoolId> {
    match first.group() == second.group() {
        true => Vec::new(),
        false => vec![second.group().clone()],
    }
}
