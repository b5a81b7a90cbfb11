//! Plans that make replicas, and what these cost.
//!
//! Whatever is copied stands still meanwhile: a source is read through a snapshot of it that goes
//! afterwards, or, if it is a snapshot that cannot have one, itself, while nobody uses it.

mod cost;
mod groups;
mod overwrite;
mod relocate;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::room::Room;
use super::volumes::{
    MAX_AT_ONCE, check_not_held, check_unused, device, names, own_volume, pool, removal,
};
use super::{AfterCrash, Goal, Plan, Planned};
use crate::array::command::Copying;
use crate::array::error::Error;
use crate::array::ids::{JobId, PoolId, VolumeId};
use crate::array::inventory::{Engaged, Inventory};
use crate::array::layout::Layout;
use crate::array::model::{Health, Pool, Volume};
use crate::array::quality::Quality;
use crate::array::step::{Place, Relation, SNAPSHOT_CHUNK, Snap, Step, Subject, Taken};
use cost::{Cost, place};

pub(in crate::array) use groups::member_names;
pub(super) use groups::{add_members, create_group, delete_group, remove_members, replicate_group};
pub(super) use overwrite::{detach, restore, resync};
pub(super) use relocate::relocate;

/// Entries of a snapshot's table in one chunk: 16 bytes each (dm-snapshot's persistent store).
const ENTRIES_PER_CHUNK: u64 = SNAPSHOT_CHUNK / 16;

/// Bytes that a snapshot of a volume on disks needs to keep so many percent of it: a header, what
/// is kept, and a table of it, which ends with an empty entry.
pub(super) fn delta_room(size: u64, percent: u8, extent: u64) -> u64 {
    let chunks = u128::from(size.div_ceil(SNAPSHOT_CHUNK)) * u128::from(percent.min(100));
    let kept = u64::try_from(chunks.div_ceil(100)).unwrap_or(u64::MAX);
    let tables = kept / ENTRIES_PER_CHUNK + 1;
    let chunks = kept.saturating_add(tables).saturating_add(1);
    let bytes = chunks.saturating_mul(SNAPSHOT_CHUNK);
    bytes
        .checked_next_multiple_of(extent.max(1))
        .unwrap_or(u64::MAX)
}

/// The replicas that are wished for.
pub(super) struct Wish<'a> {
    pub(super) kind: Copying,
    pub(super) sources: &'a [VolumeId],
    pub(super) names: &'a [String],
    pub(super) pool: Option<&'a PoolId>,
    pub(super) quality: Option<&'a Quality>,
    pub(super) room: Option<u8>,
}

/// A volume that is replicated.
struct Source<'a> {
    volume: &'a Arc<Volume>,
    pool: &'a Arc<Pool>,
}

impl<'a> Source<'a> {
    fn of(inventory: &'a Inventory, id: &VolumeId) -> Result<Self, Error> {
        let volume = own_volume(inventory, id)?;
        check_readable(volume)?;
        Ok(Self {
            volume,
            pool: pool(inventory, &volume.pool)?,
        })
    }

    /// Bytes of a thin pool that a copy of it takes at most.
    fn fills(&self) -> u64 {
        match self.pool.thin() {
            Some(_) => self.volume.consumed.unwrap_or(self.volume.size),
            None => self.volume.size,
        }
    }

    /// A snapshot of it that keeps so many percent. One on disks needs its source as it is, which
    /// must not be about to change then.
    fn snap(
        &self,
        inventory: &Inventory,
        device: String,
        name: String,
        percent: u8,
    ) -> Result<Snap, Error> {
        let engaged = inventory.engaged(&self.volume.id);
        let why = match engaged.filter(|_| self.pool.thin().is_none()) {
            Some(Engaged::Moved) => {
                "is being moved to other disks, which a snapshot would stop; wait until it has been \
                 moved"
            }
            Some(Engaged::Copied) => {
                "is being given copies, which a snapshot would keep from being taken off again; wait \
                 until they are in step"
            }
            Some(Engaged::Snapped) | None => "",
        };
        if !why.is_empty() {
            return Err(Error::in_use(format!(
                "volume '{}' {why}",
                self.volume.name
            )));
        }
        let room = || delta_room(self.volume.size, percent, self.pool.extent);
        Ok(Snap {
            source: self.volume.id.clone(),
            device,
            name,
            room: self.pool.thin().is_none().then(room),
        })
    }

    /// How it lies, or of a snapshot, how what it is of lies.
    fn layout(&self, inventory: &Inventory) -> Layout {
        let origin = self.volume.depends_on().and_then(|id| inventory.volume(id));
        origin.map_or(self.volume.layout, |origin| origin.layout)
    }
}

/// Refuses a volume whose content is lost or only half there.
pub(super) fn check_whole(volume: &Volume) -> Result<(), Error> {
    let name = &volume.name;
    let why = match volume.torn {
        _ if volume.is_broken() => format!(
            "snapshot '{name}' has lost its content, because more changed than it had room for; \
             delete it"
        ),
        Some(torn) => format!("volume '{name}' is not used: {}", torn.sentence()),
        None => return Ok(()),
    };
    Err(Error::unavailable(why))
}

/// The same, and one that cannot be read.
fn check_readable(volume: &Volume) -> Result<(), Error> {
    check_whole(volume)?;
    match &volume.health {
        Health::Failed(sentence) => Err(Error::unavailable(format!(
            "volume '{}' cannot be read: {sentence}",
            volume.name
        ))),
        _ => Ok(()),
    }
}

/// The volumes that are replicated, all of one volume group.
fn sources<'a>(inventory: &'a Inventory, ids: &[VolumeId]) -> Result<Vec<Source<'a>>, Error> {
    let distinct: BTreeSet<_> = ids.iter().collect();
    if ids.is_empty() || ids.len() > MAX_AT_ONCE || distinct.len() < ids.len() {
        return Err(Error::invalid(format!(
            "name 1 to {MAX_AT_ONCE} different volumes to replicate"
        )));
    }
    let sources: Result<Vec<_>, _> = ids.iter().map(|id| Source::of(inventory, id)).collect();
    let sources = sources?;
    let mut groups = sources.iter().map(|source| source.pool.group());
    let first = groups.next();
    match groups.all(|group| Some(group) == first) {
        true => Ok(sources),
        false => Err(Error::not_supported(
            "the volumes lie in several volume groups, which have no moment in common; replicate \
             those of each group by themselves",
        )),
    }
}

pub(super) fn create(
    inventory: &Inventory,
    wish: &Wish<'_>,
    job: JobId,
    at: u64,
) -> Result<Plan, Error> {
    let sources = sources(inventory, wish.sources)?;
    let names = names(inventory, wish.names, sources.len(), job)?;
    if wish.room.is_some_and(|room| !(1..=100).contains(&room)) {
        return Err(Error::invalid(
            "the room for what changes is 1 to 100 percent of the volume; ask for one of these",
        ));
    }
    match wish.kind {
        Copying::Snapshot => snapshots(inventory, wish, &sources, names, job),
        Copying::Clone => clones(inventory, wish, &sources, names, job, at),
    }
}

fn snapshots(
    inventory: &Inventory,
    wish: &Wish<'_>,
    sources: &[Source<'_>],
    names: Vec<String>,
    job: JobId,
) -> Result<Plan, Error> {
    if let Some(id) = wish.pool {
        let named = pool(inventory, id)?;
        if let Some(source) = sources.iter().find(|source| source.pool.id != *id) {
            return Err(Error::invalid(format!(
                "a snapshot of volume '{}' lies in its pool {} and not in {}; name no pool, or ask \
                 for a clone",
                source.volume.name, source.pool.name, named.name
            )));
        }
    }
    if wish.quality.is_some() {
        return Err(Error::not_supported(
            "a snapshot lies as its source does; leave the goal out, or ask for a clone",
        ));
    }
    let group = pool(inventory, sources[0].pool.group())?;
    let title = match sources {
        [source] => format!("Take snapshot '{}' of '{}'", names[0], source.volume.name),
        _ => format!("Take {} snapshots", sources.len()),
    };
    let percent = wish.room.unwrap_or(inventory.policy.snapshot_room);
    let (mut of, mut volumes) = (Vec::new(), Vec::new());
    for ((number, source), name) in sources.iter().enumerate().zip(names) {
        if source.volume.depends_on().is_some() {
            return Err(Error::not_supported(format!(
                "'{}' is a snapshot of a volume that is not thin, and there are none of such a one; \
                 ask for a clone of it",
                source.volume.name
            )));
        }
        if wish.room.is_some() && source.pool.thin().is_some() {
            return Err(Error::not_supported(format!(
                "a snapshot of thin volume '{}' has no room of its own but takes what its pool has; \
                 leave the room out",
                source.volume.name
            )));
        }
        let device = device(job, number);
        volumes.push((device.clone(), source.volume.size));
        of.push(source.snap(inventory, device, name, percent)?);
    }
    let mut cost = Cost::default();
    cost.add(sources, &of);
    cost.check(inventory, group, group.available)?;
    let mut steps = vec![taking(group, of, job)];
    let made = volumes.iter();
    steps.extend(made.map(|(device, _)| finishing(&group.id, device, job)));
    Ok(Plan {
        title,
        steps,
        changes: Vec::new(),
        goal: Goal::Made {
            group: group.id.clone(),
            volumes,
            beside: Vec::new(),
            gather: None,
        },
        after_crash: AfterCrash::Back,
    })
}

/// Takes snapshots.
fn taking(group: &Pool, of: Vec<Snap>, job: JobId) -> Planned {
    let undo = of.iter().map(|snap| Step::Remove {
        volume: Subject::Made(group.id.clone(), snap.device.clone()),
        job,
    });
    let undo = undo.collect();
    let step = Step::Snapshot {
        group: group.id.clone(),
        of,
        job,
    };
    Planned { step, undo }
}

fn finishing(group: &PoolId, device: &str, job: JobId) -> Planned {
    Planned::lasting(Step::Unmark {
        volume: Subject::Made(group.clone(), device.to_owned()),
        job,
    })
}

/// Marks a volume that is there, for the time of a copy.
fn marking(volume: &VolumeId, job: JobId) -> Planned {
    let volume = || Subject::Known(volume.clone());
    Planned::with_undo(
        Step::Mark {
            volume: volume(),
            job,
        },
        Step::Unmark {
            volume: volume(),
            job,
        },
    )
}

fn unmarking(volume: &VolumeId, job: JobId) -> Planned {
    Planned::lasting(Step::Unmark {
        volume: Subject::Known(volume.clone()),
        job,
    })
}

/// What is read in the place of a source, so that it stands still.
enum Reading {
    /// A snapshot for the time of the copy.
    Snapshot(Snap),
    /// The source itself, which is a snapshot that nobody uses: at what time.
    Itself(VolumeId, u64),
}

impl Reading {
    fn of(
        inventory: &Inventory,
        source: &Source<'_>,
        number: usize,
        percent: u8,
        job: JobId,
        at: u64,
    ) -> Result<Self, Error> {
        let volume = source.volume;
        if volume.depends_on().is_some() {
            check_not_held(volume, "copied")?;
            check_unused(inventory, volume)?;
            return Ok(Self::Itself(volume.id.clone(), at));
        }
        let device = device(job, number);
        let name = format!("moment of {device}");
        let snap = source.snap(inventory, device, name, percent)?;
        Ok(Self::Snapshot(snap))
    }

    fn subject(&self, group: &PoolId) -> Subject {
        match self {
            Self::Snapshot(snap) => Subject::Made(group.clone(), snap.device.clone()),
            Self::Itself(id, _) => Subject::Known(id.clone()),
        }
    }

    fn taken(&self, group: &PoolId) -> Taken {
        match self {
            Self::Snapshot(_) => Taken::With(self.subject(group)),
            Self::Itself(_, at) => Taken::At(Some(*at)),
        }
    }

    fn snap(&self) -> Option<&Snap> {
        match self {
            Self::Snapshot(snap) => Some(snap),
            Self::Itself(..) => None,
        }
    }

    /// Ends the reading.
    fn ending(&self, group: &PoolId, job: JobId) -> Planned {
        match self {
            Self::Snapshot(_) => removal(self.subject(group), job),
            Self::Itself(id, _) => unmarking(id, job),
        }
    }
}

/// Lets everything stand still that is read, at one moment.
fn holding_still(group: &Pool, readings: &[Reading], job: JobId) -> Vec<Planned> {
    let itself = readings.iter().filter_map(|reading| match reading {
        Reading::Itself(id, _) => Some(marking(id, job)),
        Reading::Snapshot(_) => None,
    });
    let mut steps: Vec<_> = itself.collect();
    let of: Vec<_> = readings.iter().filter_map(Reading::snap).cloned().collect();
    if !of.is_empty() {
        steps.push(taking(group, of, job));
    }
    steps
}

/// A clone that is made.
struct Making<'a> {
    source: &'a Source<'a>,
    reading: Reading,
    pool: &'a Arc<Pool>,
    device: String,
    name: String,
    size: u64,
    place: Place,
}

fn clones(
    inventory: &Inventory,
    wish: &Wish<'_>,
    sources: &[Source<'_>],
    names: Vec<String>,
    job: JobId,
    at: u64,
) -> Result<Plan, Error> {
    let group = pool(inventory, sources[0].pool.group())?;
    let title = match sources {
        [source] => format!("Clone '{}' as '{}'", source.volume.name, names[0]),
        _ => format!("Make {} clones", sources.len()),
    };
    let percent = wish.room.unwrap_or(inventory.policy.snapshot_room);
    let target = wish.pool.map(|id| pool(inventory, id)).transpose()?;
    let target_group = match target {
        Some(target) => pool(inventory, target.group())?,
        None => group,
    };
    let (mut room, mut cost) = (Room::of(inventory, target_group), Cost::default());
    let mut makings = Vec::new();
    for ((number, source), name) in sources.iter().enumerate().zip(names) {
        let pool = target.unwrap_or(source.pool);
        let reading = Reading::of(inventory, source, sources.len() + number, percent, job, at)?;
        let (size, place) = place(inventory, &mut room, &mut cost, source, pool, wish.quality)?;
        makings.push(Making {
            source,
            reading,
            pool,
            device: device(job, number),
            name,
            size,
            place,
        });
    }
    let of: Vec<_> = makings
        .iter()
        .filter_map(|m| m.reading.snap())
        .cloned()
        .collect();
    cost.add(sources, &of);
    let is_same_group = target_group.id == group.id;
    let left = match is_same_group {
        true => room.largest(Layout::Linear),
        false => group.available,
    };
    cost.check(inventory, group, left)?;
    let volumes = makings.iter().map(|m| (m.device.clone(), m.size)).collect();
    Ok(Plan {
        title,
        steps: copying(group, makings, job),
        changes: Vec::new(),
        goal: Goal::Made {
            group: target_group.id.clone(),
            volumes,
            beside: match is_same_group {
                true => Vec::new(),
                false => vec![group.id.clone()],
            },
            gather: None,
        },
        after_crash: AfterCrash::Back,
    })
}

/// The steps that make clones: their places first, so that what the snapshots take is not theirs,
/// then the moment, the copies, and at the end all of them are finished together.
fn copying(group: &Pool, makings: Vec<Making<'_>>, job: JobId) -> Vec<Planned> {
    let (mut creations, mut copies) = (Vec::new(), Vec::new());
    let (mut relations, mut endings, mut finishings) = (Vec::new(), Vec::new(), Vec::new());
    let mut readings = Vec::new();
    for making in makings {
        let Making {
            source,
            reading,
            pool,
            device,
            name,
            size,
            place,
        } = making;
        let made = || Subject::Made(pool.group().clone(), device.clone());
        let is_redundant = matches!(&place, Place::Disks { layout, .. } if layout.survives() > 0);
        let create = Step::Create {
            group: pool.group().clone(),
            device: device.clone(),
            name,
            size,
            place,
            job,
        };
        let undo = Step::Remove {
            volume: made(),
            job,
        };
        creations.push(Planned::with_undo(create, undo));
        copies.push(Planned::lasting(Step::Copy {
            from: reading.subject(&group.id),
            to: made(),
            fresh: true,
            job,
        }));
        if is_redundant {
            copies.push(Planned::lasting(Step::Sync { volume: made() }));
        }
        relations.push(relating(made(), source.volume, &reading, group, job));
        endings.push(reading.ending(&group.id, job));
        finishings.push(finishing(pool.group(), &device, job));
        readings.push(reading);
    }
    let mut steps = creations;
    steps.extend(holding_still(group, &readings, job));
    steps.extend(copies);
    steps.extend(relations);
    steps.extend(endings);
    steps.extend(finishings);
    steps
}

/// Notes of which moment of its source a clone is.
fn relating(
    volume: Subject,
    source: &Volume,
    reading: &Reading,
    group: &Pool,
    job: JobId,
) -> Planned {
    Planned::lasting(Step::Relate {
        volume,
        to: Some(Relation {
            source: source.id.clone(),
            taken: reading.taken(&group.id),
        }),
        job: Some(job),
    })
}
