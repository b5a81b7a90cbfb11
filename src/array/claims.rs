//! The room that commands under way have been promised and have not taken yet.
//!
//! A plan names the disks of new volumes by the inventory, which shows them only when they are made.
//! Two commands that are planned in between would choose the same disks, and one would find no room
//! there. So each is planned with what the others leave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::command::Command;
use super::error::Error;
use super::ids::{DiskId, JobId, PoolId, VolumeId};
use super::inventory::{Engaged, Inventory};
use super::job::now_micros;
use super::model::Volume;
use super::plan::{Goal, Plan, plan};
use super::step::{Place, Step, Subject};
use super::work::Begun;

/// The promises.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Vec<Claim>>);

/// Room in a pool.
#[derive(Debug)]
struct Claim {
    job: JobId,
    /// In which volume group or thin pool.
    pool: PoolId,
    /// From when the inventory counts it itself.
    counted: Counted,
    /// Bytes, all told; of a thin volume, those that are promised.
    bytes: u64,
    /// Where it is to be; none for anywhere.
    disks: Vec<DiskId>,
    /// Bytes of a thin pool that are written to it until the job ends.
    fills: u64,
    /// What is done to a volume until the job ends, or until it has left the disk.
    engages: Option<(VolumeId, Engaged, Option<DiskId>)>,
}

/// When an inventory shows what room is for.
#[derive(Clone, Debug)]
enum Counted {
    /// When a volume or thin pool of that device is listed, or the volume that grows by it has that
    /// size.
    Listed(String, Option<(VolumeId, u64)>),
    /// When that volume lies on these disks.
    On(VolumeId, Vec<DiskId>),
    /// When nothing is free on that disk.
    Closed(DiskId),
    /// When the job has ended.
    AtTheEnd,
}

impl Claim {
    fn new(job: JobId, pool: &PoolId, counted: Counted, bytes: u64) -> Self {
        Self {
            job,
            pool: pool.clone(),
            counted,
            bytes,
            disks: Vec::new(),
            fills: 0,
            engages: None,
        }
    }

    /// What a step of a plan takes.
    fn of(step: &Step, plan: &Plan, inventory: &Inventory, job: JobId) -> Vec<Self> {
        let listed = |pool: &PoolId, device: &str, bytes| {
            Self::new(job, pool, Counted::Listed(device.to_owned(), None), bytes)
        };
        match step {
            Step::Create {
                group,
                device,
                size,
                place: Place::Disks { layout, legs },
                ..
            } => {
                let extent = extent(inventory, group);
                let bytes = layout.consumed(size / extent) * extent;
                let grows = match &plan.goal {
                    Goal::Changed { volume, size, .. } => Some((volume.clone(), *size)),
                    _ => None,
                };
                vec![Self {
                    counted: Counted::Listed(device.clone(), grows),
                    disks: legs.clone(),
                    ..listed(group, device, bytes)
                }]
            }
            Step::Create {
                group,
                device,
                size,
                place: Place::Thin(pool),
                ..
            } => {
                let made = Subject::Made(group.clone(), device.clone());
                let copies = plan.steps.iter().filter_map(|planned| match &planned.step {
                    Step::Copy { from, to, .. } if *to == made => source(plan, from, inventory),
                    _ => None,
                });
                vec![Self {
                    fills: copies.map(|source| takes(source, inventory)).sum(),
                    ..listed(pool, device, *size)
                }]
            }
            Step::Copy {
                from,
                to: Subject::Known(to),
                ..
            } => {
                let (from, to) = (source(plan, from, inventory), inventory.volume(to));
                let both = from.zip(to).map(|(from, to)| Self {
                    fills: to.size.min(takes(from, inventory) + takes(to, inventory)),
                    ..Self::new(job, &to.pool, Counted::AtTheEnd, 0)
                });
                both.into_iter().collect()
            }
            Step::Snapshot { group, of, .. } => {
                let each = of.iter().filter_map(|snap| match snap.room {
                    Some(room) => Some(Self {
                        engages: Some((snap.source.clone(), Engaged::Snapped, None)),
                        ..listed(group, &snap.device, room)
                    }),
                    None => {
                        let source = inventory.volume(&snap.source)?;
                        Some(listed(&source.pool, &snap.device, source.size))
                    }
                });
                each.collect()
            }
            Step::CreateThinPool {
                group,
                device,
                size,
                metadata,
                ..
            } => vec![listed(group, device, size + metadata)],
            Step::AddCopies { volume, onto } => Self::of_copies(volume, onto, inventory, job),
            Step::Repair { volume, onto } => Self::of_repair(volume, onto, inventory, job),
            Step::Move {
                what,
                from,
                onto,
                bytes,
            } => Self::of_move(what, from, onto, *bytes, inventory, job),
            // Nothing new comes to what is to be empty.
            Step::CloseDisk { group, disk } => {
                let free = inventory.disk(disk).map_or(0, |disk| disk.free());
                vec![Self {
                    disks: vec![disk.clone()],
                    ..Self::new(job, group, Counted::Closed(disk.clone()), free)
                }]
            }
            _ => Vec::new(),
        }
    }

    /// What something takes where it is moved to.
    fn of_move(
        what: &Subject,
        from: &DiskId,
        onto: &[DiskId],
        bytes: u64,
        inventory: &Inventory,
        job: JobId,
    ) -> Vec<Self> {
        let (pool, counted) = match what {
            Subject::Known(id) => {
                let pool = inventory.volume(id).map(|volume| &volume.pool);
                (pool, Counted::On(id.clone(), onto.to_vec()))
            }
            Subject::Pool(id) => (Some(id), Counted::AtTheEnd),
            Subject::Made(..) => (None, Counted::AtTheEnd),
        };
        let pool = pool.and_then(|id| inventory.pool(id));
        let engages = match what {
            Subject::Known(id) => Some((id.clone(), Engaged::Moved, Some(from.clone()))),
            _ => None,
        };
        let claim = pool.map(|pool| Self {
            disks: onto.to_vec(),
            engages,
            ..Self::new(job, pool.group(), counted, bytes)
        });
        claim.into_iter().collect()
    }

    /// What more copies of a volume take: as much as it has on each disk, and room to note down what
    /// is in step, which the first one may not have yet.
    fn of_copies(id: &VolumeId, onto: &[DiskId], inventory: &Inventory, job: JobId) -> Vec<Self> {
        let Some(volume) = inventory.volume(id) else {
            return Vec::new();
        };
        let extent = extent(inventory, &volume.pool);
        let counted = Counted::On(id.clone(), onto.to_vec());
        let claim = |bytes, disks| Self {
            disks,
            ..Self::new(job, &volume.pool, counted.clone(), bytes)
        };
        let copies = Self {
            engages: Some((id.clone(), Engaged::Copied, None)),
            ..claim((volume.size + extent) * onto.len() as u64, onto.to_vec())
        };
        let pieces = volume.pieces.iter().take(1);
        let first = pieces.map(|piece| claim(extent, vec![piece.disk.clone()]));
        std::iter::once(copies).chain(first).collect()
    }

    /// What the legs of a volume take that are put on other disks.
    fn of_repair(id: &VolumeId, onto: &[DiskId], inventory: &Inventory, job: JobId) -> Vec<Self> {
        let volume = inventory.volume(id).into_iter();
        let claims = volume.map(|volume| {
            let all = volume.consumed.unwrap_or(volume.size);
            let leg = all / u64::from(volume.layout.legs()).max(1);
            let counted = Counted::On(id.clone(), onto.to_vec());
            Self {
                disks: onto.to_vec(),
                ..Self::new(job, &volume.pool, counted, leg * onto.len() as u64)
            }
        });
        claims.collect()
    }

    /// The volume that it makes, where an inventory shows it.
    fn made<'a>(&self, inventory: &'a Inventory) -> Option<&'a Volume> {
        let Counted::Listed(device, _) = &self.counted else {
            return None;
        };
        let mut volumes = inventory.volumes_in(&self.pool);
        let found = volumes.find(|volume| volume.device == *device);
        found.map(|volume| &**volume)
    }

    /// Whether an inventory shows the thin pool that it makes.
    fn is_thin_pool(&self, inventory: &Inventory) -> bool {
        let Counted::Listed(device, _) = &self.counted else {
            return false;
        };
        let mut pools = inventory.thin_pools_in(&self.pool);
        pools.any(|pool| pool.device == *device)
    }

    /// Whether an inventory shows what it is for.
    fn is_taken(&self, inventory: &Inventory) -> bool {
        match &self.counted {
            Counted::Listed(_, grows) => {
                let has_grown = grows.as_ref().is_some_and(|(id, size)| {
                    let volume = inventory.volume(id);
                    volume.is_none_or(|volume| volume.size >= *size)
                });
                has_grown || self.made(inventory).is_some() || self.is_thin_pool(inventory)
            }
            Counted::On(id, disks) => {
                let volume = inventory.volume(id);
                let lies_on = |disk: &DiskId| {
                    volume.is_none_or(|volume| volume.pieces.iter().any(|p| p.disk == *disk))
                };
                disks.iter().all(lies_on)
            }
            Counted::Closed(disk) => {
                let disk = inventory.disk(disk);
                disk.is_none_or(|disk| disk.free() == 0)
            }
            Counted::AtTheEnd => false,
        }
    }

    /// Counts as taken what an inventory does not show yet.
    fn count(&self, inventory: &mut Inventory) {
        let made = self.made(inventory);
        let filled = made.map_or(0, |volume| volume.consumed.unwrap_or(0));
        let fills = self.fills.saturating_sub(filled);
        if !self.is_taken(inventory) {
            inventory.promise(&self.pool, self.bytes, &self.disks);
            if self.bytes > 0 && !matches!(self.counted, Counted::Closed(_)) {
                inventory.await_in(&self.pool, &self.disks);
            }
        }
        self.engage(inventory);
        let is_thin = inventory
            .pool(&self.pool)
            .is_some_and(|pool| pool.thin().is_some());
        if is_thin {
            inventory.fill(&self.pool, fills);
        }
    }
}

impl Claim {
    /// Notes what is done to a volume that is there.
    fn engage(&self, inventory: &mut Inventory) {
        let Some((id, engaged, leaves)) = &self.engages else {
            return;
        };
        let volume = inventory.volume(id);
        let has_left = |disk: &DiskId| {
            let mut pieces = volume.iter().flat_map(|volume| &volume.pieces);
            !pieces.any(|piece| piece.disk == *disk)
        };
        if !leaves.as_ref().is_some_and(has_left) {
            inventory.engage(id, *engaged);
        }
    }
}

/// Bytes of an extent of a pool's group.
fn extent(inventory: &Inventory, pool: &PoolId) -> u64 {
    inventory.pool(pool).map_or(1, |pool| pool.extent.max(1))
}

/// The volume that a copy is made from, through a snapshot of it or not.
fn source<'a>(plan: &Plan, from: &Subject, inventory: &'a Inventory) -> Option<&'a Volume> {
    let snaps = plan.steps.iter().flat_map(|planned| match &planned.step {
        Step::Snapshot { of, .. } => &of[..],
        _ => &[],
    });
    let mut snaps = snaps.filter(|snap| matches!(from, Subject::Made(_, d) if *d == snap.device));
    let id = match from {
        Subject::Known(id) => id,
        _ => &snaps.next()?.source,
    };
    inventory.volume(id).map(|volume| &**volume)
}

/// Bytes that a volume takes of a thin pool at most when it is copied there.
fn takes(volume: &Volume, inventory: &Inventory) -> u64 {
    let is_thin = inventory
        .pool(&volume.pool)
        .is_some_and(|pool| pool.thin().is_some());
    match is_thin {
        true => volume.consumed.unwrap_or(volume.size),
        false => volume.size,
    }
}

/// The promises to one job, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Claimed<'a>(&'a Claims, JobId);

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.0.held().retain(|claim| claim.job != self.1);
    }
}

impl Claims {
    /// Notes what work takes that is taken up again.
    pub(super) fn again(&self, begun: &Begun, present: &Inventory) -> Claimed<'_> {
        let (plan, job) = (&begun.plan, begun.job);
        let steps = plan.steps.iter();
        let claims = steps.flat_map(|planned| Claim::of(&planned.step, plan, present, job));
        self.held().extend(claims);
        Claimed(self, job)
    }

    fn held(&self) -> MutexGuard<'_, Vec<Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans a command with the room that others leave, and notes what the plan takes. The present
    /// inventory is asked for in its turn: one from before would lack what has been taken since.
    pub(super) fn plan(
        &self,
        command: &Command,
        present: impl FnOnce() -> Arc<Inventory>,
        job: JobId,
    ) -> Result<(Plan, Claimed<'_>), Error> {
        let mut held = self.held();
        let (present, now) = (present(), now_micros());
        let plan = match held.is_empty() {
            true => plan(command, &present, job, now)?,
            false => {
                let mut left = Inventory::clone(&present);
                held.iter().for_each(|claim| claim.count(&mut left));
                plan(command, &left, job, now)?
            }
        };
        let steps = plan.steps.iter();
        held.extend(steps.flat_map(|planned| Claim::of(&planned.step, &plan, &present, job)));
        Ok((plan, Claimed(self, job)))
    }
}
