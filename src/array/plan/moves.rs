//! Plans that move what volumes and pools consist of to other disks, while it is used.

use std::collections::{BTreeMap, BTreeSet};

use super::redundancy::whole;
use super::room::{self, leg_disks};
use super::volumes::{human, own_volume, pool};
use super::{AfterCrash, Goal, Plan, Planned, pools};
use crate::array::error::Error;
use crate::array::ids::{DiskId, PoolId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::layout::Layout;
use crate::array::model::{Disk, Owner, Piece, Pool, PoolKind, Thin, Volume};
use crate::array::step::{Step, Subject};

/// The most disks that are named at once: each is a word on a command line.
const MAX_DISKS: usize = 32;
/// Bytes of a disk that a group keeps for itself at most, when the disk is new in it.
const HEAD: u64 = 32 << 20;

/// How many of those that were moved are named to the administrator.
const NAMED: usize = 10;

/// Where something can be moved to: free bytes by disk, less with each thing that is placed.
struct Targets {
    free: BTreeMap<DiskId, u64>,
    extent: u64,
}

impl Targets {
    /// These disks of a group, as far as they work.
    fn of(inventory: &Inventory, group: &Pool, onto: &[DiskId]) -> Self {
        let disks = onto.iter().filter_map(|id| inventory.disk(id));
        let working = disks.filter(|disk| disk.works());
        let extent = group.extent.max(1);
        let free = |disk: &Disk| match disk.pool() {
            Some(_) => disk.free(),
            None => disk.size.saturating_sub(HEAD),
        };
        Self {
            free: working
                .map(|disk| (disk.id.clone(), free(disk) / extent * extent))
                .collect(),
            extent,
        }
    }

    /// The emptiest disk besides these, if it has room for so many bytes.
    fn one(&mut self, bytes: u64, besides: &BTreeSet<&DiskId>) -> Option<DiskId> {
        let others = self.free.iter_mut().filter(|(id, _)| !besides.contains(id));
        // Of equals the first.
        let emptiest = others.rev().max_by_key(|(_, free)| **free);
        let (id, free) = emptiest.filter(|(_, free)| **free >= bytes)?;
        *free -= bytes;
        Some(id.clone())
    }

    /// One disk with that room, or as many as it takes.
    fn some(&mut self, bytes: u64) -> Option<Vec<DiskId>> {
        if let Some(one) = self.one(bytes, &BTreeSet::new()) {
            return Some(vec![one]);
        }
        let mut left = bytes;
        let mut taken = Vec::new();
        for (id, free) in &mut self.free {
            let part = (*free).min(left);
            if part > 0 {
                *free -= part;
                left -= part;
                taken.push(id.clone());
            }
        }
        (left == 0).then_some(taken)
    }

    fn shortage(&self, what: &str, bytes: u64) -> Error {
        let most = self.free.values().max().copied().unwrap_or_default();
        Error::no_space(format!(
            "{what} needs {} on other disks, and the named ones have {} at most in one place; name \
             more disks",
            human(bytes),
            human(most)
        ))
    }
}

/// What moves, as sentences call it.
fn called(volume: &Volume) -> String {
    format!("volume '{}'", volume.name)
}

fn moving(what: Subject, from: &DiskId, onto: Vec<DiskId>, bytes: u64) -> Planned {
    Planned::with_undo(
        Step::Move {
            what: what.clone(),
            from: from.clone(),
            onto,
            bytes,
        },
        Step::EndMove {
            what,
            from: from.clone(),
        },
    )
}

/// Bytes of pieces by the disk that they lie on.
fn by_disk(pieces: &[Piece]) -> BTreeMap<&DiskId, u64> {
    let mut bytes = BTreeMap::new();
    for piece in pieces {
        *bytes.entry(&piece.disk).or_insert(0) += piece.length;
    }
    bytes
}

/// The moves that take a volume off these disks.
fn moves(
    inventory: &Inventory,
    volume: &Volume,
    targets: &mut Targets,
    is_left: impl Fn(&DiskId) -> bool,
) -> Result<Vec<Planned>, Error> {
    let what = || Subject::Known(volume.id.clone());
    let mut moves = Vec::new();
    if volume.layout == Layout::Linear {
        for (from, bytes) in by_disk(&volume.pieces) {
            if is_left(from) {
                let onto = targets.some(bytes);
                let onto = onto.ok_or_else(|| targets.shortage(&called(volume), bytes))?;
                moves.push(moving(what(), from, onto, bytes));
            }
        }
        return Ok(moves);
    }
    let legs = leg_disks(inventory, volume)?;
    let used: BTreeSet<&DiskId> = legs.iter().map(|disk| &disk.id).collect();
    let rows = volume.size / volume.layout.data_legs();
    let bytes = rows + volume.layout.metadata_per_leg() * targets.extent;
    let mut taken = Vec::new();
    for disk in legs.iter().filter(|disk| is_left(&disk.id)) {
        let besides: BTreeSet<&DiskId> = used.iter().copied().chain(&taken).collect();
        let onto = targets.one(bytes, &besides);
        let onto = onto.ok_or_else(|| {
            Error::no_space(format!(
                "each part of {} needs {} on a disk of its own, and too few of the named ones have \
                 that; name more disks",
                called(volume),
                human(bytes)
            ))
        })?;
        moves.push(moving(what(), &disk.id, vec![onto.clone()], bytes));
        taken.push(onto);
    }
    Ok(moves)
}

/// The disks that are named, each once, and of that group; with `new` also free ones.
fn check_disks(
    inventory: &Inventory,
    group: &Pool,
    onto: &[DiskId],
    new: bool,
) -> Result<(), Error> {
    let distinct: BTreeSet<&DiskId> = onto.iter().collect();
    if onto.is_empty() || onto.len() > MAX_DISKS || distinct.len() < onto.len() {
        return Err(Error::invalid(format!(
            "name 1 to {MAX_DISKS} different disks that it is to lie on"
        )));
    }
    for id in onto {
        let disk = inventory.disk(id).ok_or_else(|| {
            Error::not_found(format!(
                "there is no disk {id}; list the disks and choose others"
            ))
        })?;
        let belongs = disk.pool() == Some(&group.id);
        if !belongs && !new {
            return Err(Error::invalid(format!(
                "disk {} does not belong to pool {}; name disks of that pool, or add it first",
                disk.device, group.name
            )));
        }
        if belongs && !disk.works() {
            return Err(Error::unavailable(format!(
                "disk {} is missing or has failed; name others",
                disk.device
            )));
        }
    }
    Ok(())
}

pub(super) fn move_volume(
    inventory: &Inventory,
    id: &VolumeId,
    onto: &[DiskId],
) -> Result<Plan, Error> {
    let volume = own_volume(inventory, id)?;
    let group = pool(inventory, &volume.pool)?;
    if group.thin().is_some() {
        return Err(Error::not_supported(format!(
            "{} is thin and lies where its pool does; move pool {}",
            called(volume),
            group.name
        )));
    }
    check_disks(inventory, group, onto, false)?;
    whole(inventory, group, volume)?;
    let mut targets = Targets::of(inventory, group, onto);
    let is_left = |disk: &DiskId| !onto.contains(disk);
    let steps = moves(inventory, volume, &mut targets, is_left)?;
    let lies_on: BTreeSet<&DiskId> = volume.pieces.iter().map(|piece| &piece.disk).collect();
    let off = lies_on.into_iter().filter(|disk| is_left(disk));
    Ok(Plan {
        title: format!("Move volume '{}' to other disks", volume.name),
        steps: some(steps, &called(volume))?,
        changes: Vec::new(),
        goal: Goal::Moved {
            group: group.id.clone(),
            what: Subject::Known(id.clone()),
            off: off.cloned().collect(),
        },
        after_crash: AfterCrash::Forward,
    })
}

fn some(steps: Vec<Planned>, what: &str) -> Result<Vec<Planned>, Error> {
    match steps.is_empty() {
        false => Ok(steps),
        true => Err(Error::invalid(format!(
            "{what} lies on these disks already; there is nothing to move"
        ))),
    }
}

/// Moves a pool: a thin one within its group, a group to other disks, of which those that it lay on
/// are free then.
pub(super) fn move_pool(
    inventory: &Inventory,
    id: &PoolId,
    onto: &[DiskId],
) -> Result<Plan, Error> {
    let moved = pool(inventory, id)?;
    match moved.thin() {
        Some(thin) => move_thin(inventory, moved, thin, onto),
        None => empty_disks(inventory, moved, onto),
    }
}

fn move_thin(
    inventory: &Inventory,
    moved: &Pool,
    thin: &Thin,
    onto: &[DiskId],
) -> Result<Plan, Error> {
    pools::own(moved, "moved")?;
    let group = pool(inventory, &thin.group)?;
    check_disks(inventory, group, onto, false)?;
    complete(inventory, group)?;
    let mut targets = Targets::of(inventory, group, onto);
    let off: Vec<DiskId> = moved
        .disks
        .iter()
        .filter(|id| !onto.contains(id))
        .cloned()
        .collect();
    let steps = thin_moves(moved, thin, &off, &mut targets)?;
    Ok(Plan {
        title: format!("Move pool '{}' to other disks", moved.name),
        steps: some(steps, &format!("pool {}", moved.name))?,
        changes: Vec::new(),
        goal: Goal::Moved {
            group: group.id.clone(),
            what: Subject::Pool(moved.id.clone()),
            off,
        },
        after_crash: AfterCrash::Forward,
    })
}

/// The moves that take a thin pool off these disks. Where its metadata lies only the engine sees.
fn thin_moves(
    moved: &Pool,
    thin: &Thin,
    off: &[DiskId],
    targets: &mut Targets,
) -> Result<Vec<Planned>, Error> {
    if thin.layout != Layout::Linear {
        return Err(Error::not_supported(format!(
            "pool {} is {} and is not moved; use pvmove",
            moved.name,
            thin.layout.name()
        )));
    }
    let bytes = by_disk(&thin.pieces);
    let mut moves = Vec::new();
    for from in off.iter().filter(|id| moved.disks.contains(id)) {
        let bytes = bytes.get(from).copied().unwrap_or_default() + thin.metadata;
        let onto = targets.some(bytes);
        let onto = onto.ok_or_else(|| targets.shortage(&format!("pool {}", moved.name), bytes))?;
        moves.push(moving(Subject::Pool(moved.id.clone()), from, onto, bytes));
    }
    Ok(moves)
}

fn complete(inventory: &Inventory, group: &Pool) -> Result<(), Error> {
    match room::lacks_disk(inventory, group) {
        false => Ok(()),
        true => Err(Error::unavailable(format!(
            "pool {} lacks a disk; connect it again, or repair the volumes that lie on it",
            group.name
        ))),
    }
}

fn known<'a>(inventory: &'a Inventory, disks: &[DiskId]) -> Vec<&'a Disk> {
    let known = disks.iter().filter_map(|id| inventory.disk(id));
    known.map(|disk| &**disk).collect()
}

fn empty_disks(inventory: &Inventory, group: &Pool, onto: &[DiskId]) -> Result<Plan, Error> {
    check_disks(inventory, group, onto, true)?;
    complete(inventory, group)?;
    let is_member = |id: &&DiskId| group.disks.contains(id);
    let new: Vec<DiskId> = onto.iter().filter(|id| !is_member(id)).cloned().collect();
    let off: Vec<DiskId> = group
        .disks
        .iter()
        .filter(|id| !onto.contains(id))
        .cloned()
        .collect();
    if off.is_empty() {
        return Err(Error::invalid(format!(
            "pool {} lies on no other disks than these; there is nothing to move",
            group.name
        )));
    }
    let mut steps = Vec::new();
    if !new.is_empty() {
        pools::check_free(inventory, &new)?;
        steps.push(pools::extension(&group.id, &new));
    }
    for disk in &off {
        let named = |disk: &DiskId| (group.id.clone(), disk.clone());
        let ((group, disk), (same, again)) = (named(disk), named(disk));
        steps.push(Planned::with_undo(
            Step::CloseDisk { group, disk },
            Step::OpenDisk {
                group: same,
                disk: again,
            },
        ));
    }
    let awaited = |disk: &&&Disk| inventory.is_awaited_on(&group.id, &disk.id);
    if let Some(disk) = known(inventory, &off).iter().find(awaited) {
        return Err(Error::in_use(format!(
            "something is being made in pool {} that may come to lie on disk {}; ask again in a \
             moment",
            group.name, disk.device
        )));
    }
    let mut targets = Targets::of(inventory, group, onto);
    let mut seen = BTreeSet::new();
    for volume in off.iter().flat_map(|disk| inventory.volumes_on(disk)) {
        if seen.insert(&volume.id) {
            check_movable(volume)?;
            whole(inventory, group, volume)?;
            let is_left = |disk: &DiskId| off.contains(disk);
            steps.extend(moves(inventory, volume, &mut targets, is_left)?);
        }
    }
    for pool in inventory.thin_pools_in(&group.id) {
        if let Some(thin) = pool
            .thin()
            .filter(|_| pool.disks.iter().any(|d| off.contains(d)))
        {
            pools::own(pool, "moved")?;
            steps.extend(thin_moves(pool, thin, &off, &mut targets)?);
        }
    }
    if let PoolKind::Group { spare: spare @ 1.. } = group.kind {
        let onto = targets.some(spare);
        let onto = onto.ok_or_else(|| targets.shortage("the spare of its thin pools", spare))?;
        let spares = off.iter().map(|from| {
            // Nobody sees on which of them it lies.
            moving(Subject::Pool(group.id.clone()), from, onto.clone(), 0)
        });
        steps.extend(spares);
    }
    steps.push(Planned::lasting(Step::ReduceGroup {
        group: group.id.clone(),
        disks: off.clone(),
    }));
    Ok(Plan {
        title: format!("Empty {} of pool '{}'", disks(off.len()), group.name),
        steps,
        changes: Vec::new(),
        goal: Goal::Moved {
            group: group.id.clone(),
            what: Subject::Pool(group.id.clone()),
            off,
        },
        after_crash: AfterCrash::Forward,
    })
}

fn disks(count: usize) -> String {
    match count {
        1 => "a disk".to_owned(),
        count => format!("{count} disks"),
    }
}

/// Refuses a volume that stays where it is, whoever wants its disk to be empty.
fn check_movable(volume: &Volume) -> Result<(), Error> {
    if volume.owner == Owner::Foreign {
        return Err(Error::access_denied(format!(
            "{} lies on a disk that is to be empty, was not made by this array and is not moved by \
             it; move it with pvmove, or name that disk, too",
            called(volume)
        )));
    }
    match volume.job {
        None => Ok(()),
        Some(_) => Err(Error::in_use(format!(
            "{} is being made or removed; wait for that job to end",
            called(volume)
        ))),
    }
}

/// What a plan that failed has come to all the same, in words for the administrator: what it has moved
/// is not moved back, and a disk on which something of that lies stays in its pool.
pub(in crate::array) fn what_stays(plan: &Plan, now: &Inventory) -> Option<String> {
    let (mut moved, mut joined) = (BTreeSet::new(), Vec::new());
    for planned in &plan.steps {
        match &planned.step {
            Step::Move {
                what: Subject::Known(id),
                from,
                ..
            } => {
                let volume = now.volume(id);
                let volume = volume.filter(|v| v.pieces.iter().all(|piece| piece.disk != *from));
                moved.extend(volume.map(|volume| called(volume)));
            }
            Step::Move {
                what: Subject::Pool(id),
                from,
                ..
            } => {
                // Where the spare of a group was, nobody saw.
                let pool = now.pool(id).filter(|pool| pool.thin().is_some());
                let pool = pool.filter(|pool| !pool.disks.contains(from));
                moved.extend(pool.map(|pool| format!("pool {}", pool.name)));
            }
            Step::ExtendGroup { group, disks } => {
                let disks = disks.iter().filter_map(|id| now.disk(id));
                let disks = disks.filter(|disk| disk.pool() == Some(group));
                joined.extend(disks.map(|disk| format!("disk {}", disk.device)));
            }
            _ => {}
        }
    }
    let moved: Vec<String> = moved.into_iter().collect();
    let sentences = [
        (moved, "moved already and stay there"),
        (joined, "added and belong to the pool now"),
    ];
    let sentences = sentences.into_iter().filter(|(what, _)| !what.is_empty());
    let sentences: Vec<String> = sentences
        .map(|(what, became)| format!("these were {became}: {}", listed(&what)))
        .collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

/// The first few of many, and how many more there are.
fn listed(what: &[String]) -> String {
    let named = what.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match what.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
