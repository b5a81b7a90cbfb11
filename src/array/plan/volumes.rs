//! Plans that make, change and remove volumes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::room::{self, Room};
use super::{AfterCrash, Goal, Plan, Planned, check_name, thin};
use crate::array::error::Error;
use crate::array::ids::{JobId, PoolId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::layout::Layout;
use crate::array::model::{Health, Owner, Pool, Thin, Volume};
use crate::array::quality::Quality;
use crate::array::step::{Place, Step, Subject};

/// How many volumes one command makes or removes at most.
pub const MAX_AT_ONCE: usize = 64;

/// The sizes that something new can have now, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRange {
    /// The least.
    pub min: u64,
    /// The greatest; 0 when there is no room for any.
    pub max: u64,
    /// What every size is a multiple of.
    pub divisor: u64,
}

/// The sizes that a new volume of that quality can have now in `pool`.
///
/// # Errors
/// [`Kind::NotSupported`](super::super::Kind::NotSupported) where no layout gives that quality.
pub fn size_range(
    inventory: &Inventory,
    pool: &Pool,
    quality: &Quality,
) -> Result<SizeRange, Error> {
    let (max, divisor) = match pool.thin() {
        Some(thin) => {
            thin_quality(pool, thin, quality)?;
            (thin::promise(inventory, pool, thin), pool.extent.max(1))
        }
        None => {
            let layout = quality.layout()?;
            let room = Room::of(inventory, pool);
            (room.largest(layout), room.divisor(layout))
        }
    };
    Ok(SizeRange {
        min: divisor,
        max,
        divisor,
    })
}

/// Refuses what a thin pool does not give: all of its volumes lie as its data does.
pub(super) fn thin_quality(pool: &Pool, thin: &Thin, quality: &Quality) -> Result<(), Error> {
    let has = thin.layout;
    let fulfilled = quality.survives.is_none_or(|n| n <= has.survives())
        && quality.copies.is_none_or(|n| n == has.copies())
        && quality
            .stripe_length
            .is_none_or(|n| n <= 1 || n == has.stripe_length())
        && (!quality.no_single_point_of_failure || has.survives() > 0);
    match fulfilled {
        true => Ok(()),
        false => Err(Error::not_supported(format!(
            "volumes of thin pool {} are {} as the pool itself is; leave the goal out, or choose \
             another pool",
            pool.name,
            has.name()
        ))),
    }
}

/// Bytes for people: exact where whole MiB, GiB or TiB.
pub(super) fn human(bytes: u64) -> String {
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

pub(super) fn pool<'a>(inventory: &'a Inventory, id: &PoolId) -> Result<&'a Arc<Pool>, Error> {
    let pool = inventory.pool(id).ok_or_else(|| {
        Error::not_found(format!(
            "there is no pool {id}; list the pools and choose one"
        ))
    })?;
    match pool.job {
        None => Ok(pool),
        Some(_) => Err(Error::in_use(format!(
            "pool {} is being made or removed; wait for that job to end",
            pool.name
        ))),
    }
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

pub(super) fn check_name_is_free(inventory: &Inventory, name: &str) -> Result<(), Error> {
    check_name("volume", name)?;
    match inventory.volumes_named(name).next() {
        None => Ok(()),
        Some(_) => Err(Error::already_exists(format!(
            "there is already a volume named '{name}'; choose another name"
        ))),
    }
}

/// The volumes that are wished for.
pub(super) struct Wish<'a> {
    pub(super) names: &'a [String],
    pub(super) count: usize,
    pub(super) size: u64,
    pub(super) quality: &'a Quality,
}

/// A name for each of so many new volumes; distinct, and free.
pub(super) fn names(
    inventory: &Inventory,
    given: &[String],
    count: usize,
    job: JobId,
) -> Result<Vec<String>, Error> {
    if count == 0 || count > MAX_AT_ONCE {
        return Err(Error::invalid(format!(
            "{count} volumes were asked for; ask for 1 to {MAX_AT_ONCE} at once"
        )));
    }
    let names: Vec<String> = match given {
        [] => (0..count)
            .map(|place| numbered(&format!("volume-{}", &job.hex()[..12]), place))
            .collect(),
        names if names.len() == count => names.to_vec(),
        names => {
            return Err(Error::invalid(format!(
                "{} names were given for {count} volumes; give one for each, or none",
                names.len()
            )));
        }
    };
    let mut seen = BTreeSet::new();
    for name in &names {
        check_name_is_free(inventory, name)?;
        if !seen.insert(name) {
            return Err(Error::already_exists(format!(
                "the name '{name}' was given twice; give each volume its own"
            )));
        }
    }
    Ok(names)
}

/// The name of the one at that place among several.
fn numbered(name: &str, place: usize) -> String {
    match place {
        0 => name.to_owned(),
        place => format!("{name}-{}", place + 1),
    }
}

/// The device name of the volume at that place among those that a job makes.
pub(super) fn device(job: JobId, place: usize) -> String {
    numbered(&format!("standpipe-{}", job.hex()), place)
}

pub(super) fn create(
    inventory: &Inventory,
    pool_id: &PoolId,
    wish: &Wish<'_>,
    job: JobId,
) -> Result<Plan, Error> {
    let pool = pool(inventory, pool_id)?;
    if wish.size == 0 {
        return Err(Error::invalid(
            "a volume of size 0 cannot be made; give a size in bytes",
        ));
    }
    let names = names(inventory, wish.names, wish.count, job)?;
    let (size, places) = places(inventory, pool, wish)?;
    let title = match &names[..] {
        [name] => format!("Create volume '{name}'"),
        names => format!("Create {} volumes", names.len()),
    };
    let group = pool.group();
    let mut steps = Vec::new();
    let mut volumes = Vec::new();
    for (number, (name, place)) in names.into_iter().zip(places).enumerate() {
        let device = device(job, number);
        steps.extend(making(group, &device, name, size, place, job));
        volumes.push((device, size));
    }
    // Made first, so that nobody takes the room of the last while the others are overwritten; and
    // finished together: before the last is ready none is seen.
    steps.sort_by_key(|planned: &Planned| match planned.step {
        Step::Create { .. } => 0,
        Step::Unmark { .. } => 2,
        _ => 1,
    });
    Ok(Plan {
        title,
        steps,
        changes: Vec::new(),
        goal: Goal::Made {
            group: group.clone(),
            volumes,
            beside: Vec::new(),
            gather: None,
        },
        after_crash: AfterCrash::Back,
    })
}

/// The rounded size of each volume, and a place for each.
fn places(inventory: &Inventory, pool: &Pool, wish: &Wish<'_>) -> Result<(u64, Vec<Place>), Error> {
    let count = wish.count as u64;
    if let Some(thin) = pool.thin() {
        let range = size_range(inventory, pool, wish.quality)?;
        let most = range.max / count / range.divisor * range.divisor;
        let limits = Limits {
            present: 0,
            most,
            divisor: range.divisor,
        };
        let none = || overcommitted(inventory, pool, thin);
        let size = fit(pool, wish.size, limits, none)?;
        return Ok((size, vec![Place::Thin(pool.id.clone()); wish.count]));
    }
    let layout = wish.quality.layout()?;
    let mut room = Room::of(inventory, pool);
    let divisor = room.divisor(layout);
    let most = match wish.count {
        1 => room.largest(layout),
        // Linear ones share all the room; others are tried one after the other.
        _ if layout == Layout::Linear => room.largest(layout) / count / divisor * divisor,
        _ => room.largest(layout),
    };
    let limits = Limits {
        present: 0,
        most,
        divisor,
    };
    let none = || room.shortage(inventory, pool, layout);
    let size = fit(pool, wish.size, limits, none)?;
    let mut places = Vec::new();
    for made in 0..count {
        if room.largest(layout) < size {
            return Err(Error::no_space(format!(
                "pool {} has room for {made} of {count} {} volumes of {}; ask for fewer, or for \
                 smaller ones",
                pool.name,
                layout.name(),
                human(size)
            )));
        }
        places.push(room.take(layout, size));
    }
    Ok((size, places))
}

/// Why the volumes of a thin pool are promised nothing more now.
pub(super) fn overcommitted(inventory: &Inventory, pool: &Pool, thin: &Thin) -> Error {
    if pool.available > 0 && !matches!(pool.health, Health::Failed(_)) {
        return Error::no_space(format!(
            "thin pool {} has promised {} to its volumes, as much as its {} allow; grow it",
            pool.name,
            human(thin.promised),
            human(pool.size)
        ));
    }
    let group = inventory.pool(&thin.group);
    let of_group = || group.and_then(|group| group.health.sentence());
    let why = pool.health.sentence().or_else(of_group);
    let why = why.unwrap_or("it is full; grow it");
    Error::no_space(format!(
        "thin pool {} takes no more volumes now: {why}",
        pool.name
    ))
}

/// What a size can be.
pub(super) struct Limits {
    /// Bytes that are there already.
    pub(super) present: u64,
    /// Bytes at most.
    pub(super) most: u64,
    /// What is added is a multiple of so many bytes.
    pub(super) divisor: u64,
}

/// Rounds a size up and checks that it is possible; `none` says why nothing at all can be added. What
/// is new is not less than an extent: who asks for that has taken another unit for bytes.
pub(super) fn fit(
    pool: &Pool,
    size: u64,
    limits: Limits,
    none: impl FnOnce() -> Error,
) -> Result<u64, Error> {
    let Limits {
        present,
        most,
        divisor,
    } = limits;
    let wanted = size.saturating_sub(present);
    let room = most.saturating_sub(present);
    match wanted.checked_next_multiple_of(divisor) {
        _ if room == 0 => Err(none()),
        Some(rounded) if rounded <= room && present == 0 && size < pool.extent => {
            Err(too_small(pool, size, rounded))
        }
        Some(rounded) if rounded <= room => Ok(present + rounded),
        _ => Err(Error::size_not_supported(format!(
            "pool {} has room for {}{}, {} were asked for; ask for at most {most} bytes",
            pool.name,
            human(room),
            if present > 0 { " more" } else { "" },
            human(wanted)
        ))
        .with_largest(most)),
    }
}

/// The refusal of a size below one extent; `least` is the smallest that works.
pub(super) fn too_small(pool: &Pool, size: u64, least: u64) -> Error {
    Error::size_not_supported(format!(
        "{size} bytes were asked for, less than an extent of pool {}; ask for at least {least} bytes",
        pool.name
    ))
    .with_largest(least)
}

/// The steps that make one volume.
pub(super) fn making(
    group: &PoolId,
    device: &str,
    name: String,
    size: u64,
    place: Place,
    job: JobId,
) -> Vec<Planned> {
    let made = Subject::Made(group.clone(), device.to_owned());
    let volume = || made.clone();
    let is_thin = matches!(place, Place::Thin(_));
    let is_redundant = matches!(&place, Place::Disks { layout, .. } if layout.survives() > 0);
    let create = Step::Create {
        group: group.clone(),
        device: device.to_owned(),
        name,
        size,
        place,
        job,
    };
    let undo = Step::Remove {
        volume: volume(),
        job,
    };
    let mut steps = vec![Planned::with_undo(create, undo)];
    // A thin volume reads as zeros until it is written to.
    if !is_thin {
        steps.push(Planned::lasting(Step::Zero {
            volume: volume(),
            job,
        }));
    }
    if is_redundant {
        steps.push(Planned::lasting(Step::Sync { volume: volume() }));
    }
    steps.push(Planned::lasting(Step::Unmark {
        volume: volume(),
        job,
    }));
    steps
}

pub(super) fn renaming(volume: &Volume, name: &str) -> Planned {
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
            group: pool(inventory, &volume.pool)?.group().clone(),
            volume: id.clone(),
            size: volume.size,
            name: name.to_owned(),
        },
        after_crash: AfterCrash::Back,
    })
}

/// Refuses a volume that hosts see or may come to see.
pub(super) fn check_unused(inventory: &Inventory, volume: &Volume) -> Result<(), Error> {
    if let Some(view) = inventory.views_of_volume(&volume.id).next() {
        let way = match view.owner {
            Owner::Array => "unmask it first",
            Owner::Foreign => "end that with the tools of who shows it",
        };
        return Err(Error::in_use(format!(
            "volume '{}' is shown to hosts by masking view '{}'; {way}",
            volume.name, view.name
        )));
    }
    if let Some(group) = inventory.groups_with_volume(&volume.id).next() {
        return Err(Error::in_use(format!(
            "volume '{}' is a member of device group '{}'; remove it from the group first",
            volume.name, group.name
        )));
    }
    Ok(())
}

pub(super) fn delete(inventory: &Inventory, ids: &[VolumeId], job: JobId) -> Result<Plan, Error> {
    let distinct: BTreeSet<_> = ids.iter().collect();
    if ids.is_empty() || ids.len() > MAX_AT_ONCE || distinct.len() < ids.len() {
        return Err(Error::invalid(format!(
            "name 1 to {MAX_AT_ONCE} different volumes"
        )));
    }
    let (mut steps, mut volumes) = (Vec::new(), Vec::new());
    for id in ids {
        let volume = own_volume(inventory, id)?;
        check_not_held(volume, "deleted")?;
        check_unused(inventory, volume)?;
        check_dependents(inventory, volume, "deleted", |id| distinct.contains(id))?;
        if let Some(group) = inventory.replication_groups_with(id).next() {
            return Err(Error::in_use(format!(
                "volume '{}' is a member of replication group '{}'; remove it from the group first",
                volume.name, group.name
            )));
        }
        steps.push(removing(Subject::Known(id.clone()), job).0);
        volumes.push(volume);
    }
    let group = pool(inventory, &volumes[0].pool)?.group();
    for volume in &volumes {
        if pool(inventory, &volume.pool)?.group() != group {
            return Err(Error::not_supported(
                "the volumes lie in several volume groups; delete those of each group by \
                 themselves",
            ));
        }
    }
    let known = |volume: &Volume| Subject::Known(volume.id.clone());
    let (needing, free): (Vec<_>, Vec<_>) = volumes
        .iter()
        .copied()
        .partition(|v| v.depends_on().is_some());
    // What is nothing without another one goes before that one is touched. It is not erased: it keeps
    // copies of what was overwritten, and would have to keep what is erased.
    steps.extend(needing.into_iter().map(|v| removal(known(v), job)));
    // The others are erased before the first one of them goes: nothing comes back from then on.
    if let Some(how) = inventory.policy.erase {
        // What lay on a disk that is gone nobody can erase.
        let there = free.iter().filter(|v| !room::is_lost(inventory, v));
        steps.extend(there.map(|v| {
            Planned::lasting(Step::Erase {
                volume: known(v),
                how,
                job,
            })
        }));
    }
    steps.extend(free.into_iter().map(|v| removal(known(v), job)));
    steps.extend(room::dropping(inventory, group).map(Planned::lasting));
    Ok(Plan {
        title: match &volumes[..] {
            [volume] => format!("Delete volume '{}'", volume.name),
            volumes => format!("Delete {} volumes", volumes.len()),
        },
        steps,
        changes: Vec::new(),
        goal: Goal::Removed {
            group: group.clone(),
            volumes: ids.to_vec(),
        },
        after_crash: AfterCrash::Forward,
    })
}

/// The two steps that remove a volume or thin pool: only what bears the job's mark is removed.
pub(super) fn removing(volume: Subject, job: JobId) -> (Planned, Planned) {
    let mark = Planned::with_undo(
        Step::Mark {
            volume: volume.clone(),
            job,
        },
        Step::Unmark {
            volume: volume.clone(),
            job,
        },
    );
    (mark, removal(volume, job))
}

/// The step that removes what bears the job's mark.
pub(super) fn removal(volume: Subject, job: JobId) -> Planned {
    Planned::lasting(Step::Remove { volume, job })
}

/// Refuses a volume that has snapshots which are nothing without it, unless they are among `spared`.
pub(super) fn check_dependents(
    inventory: &Inventory,
    volume: &Volume,
    done: &str,
    spared: impl Fn(&VolumeId) -> bool,
) -> Result<(), Error> {
    let mut replicas = inventory.replicas_of(&volume.id);
    let dependent = replicas.find(|v| v.depends_on().is_some() && !spared(&v.id));
    match dependent {
        None => Ok(()),
        Some(snapshot) if snapshot.job.is_some() => Err(Error::has_dependents(format!(
            "volume '{}' is being copied and cannot be {done}; wait for that job to end",
            volume.name
        ))),
        Some(snapshot) => Err(Error::has_dependents(format!(
            "volume '{}' has snapshot '{}', which is nothing without it, and cannot be {done}; \
             delete its snapshots first",
            volume.name, snapshot.name
        ))),
    }
}

pub(super) fn check_not_held(volume: &Volume, done: &str) -> Result<(), Error> {
    match &volume.held_by {
        None => Ok(()),
        Some(holder) => Err(Error::in_use(format!(
            "volume '{}' is {holder} and cannot be {done}; end that use first",
            volume.name
        ))),
    }
}
