//! The room that commands under way have been promised and have not taken yet.
//!
//! A plan names the disks of new volumes by the inventory, which shows them only when they are made.
//! Two commands that are planned in between would choose the same disks, and one would find no room
//! there. So each is planned with what the others leave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::command::Command;
use super::engine::{Place, Step, Subject};
use super::error::Error;
use super::ids::{DiskId, JobId, PoolId, VolumeId};
use super::inventory::Inventory;
use super::job::now_micros;
use super::model::Volume;
use super::plan::{Goal, Plan, plan};

/// The promises.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Vec<Claim>>);

/// The room for one volume.
#[derive(Debug)]
struct Claim {
    job: JobId,
    /// In which volume group or thin pool.
    pool: PoolId,
    /// What it is for, as a step names it: counted by the inventory from when that is listed.
    device: String,
    /// The volume that grows by it, and to what size: then it is counted there.
    grows: Option<(VolumeId, u64)>,
    /// Bytes, all told; of a thin volume, those that are promised.
    bytes: u64,
    /// Where it is to be; none for anywhere.
    disks: Vec<DiskId>,
    /// Bytes of a thin pool that are written to it until the job ends.
    fills: u64,
}

impl Claim {
    /// What a step of a plan takes.
    fn of(step: &Step, plan: &Plan, inventory: &Inventory) -> Vec<Self> {
        let claim = |job: &JobId, pool: &PoolId, device: &str, bytes| Self {
            job: *job,
            pool: pool.clone(),
            device: device.to_owned(),
            grows: None,
            bytes,
            disks: Vec::new(),
            fills: 0,
        };
        match step {
            Step::Create {
                group,
                device,
                size,
                place: Place::Disks { layout, legs },
                job,
                ..
            } => {
                let extent = inventory.pool(group).map_or(1, |pool| pool.extent.max(1));
                let bytes = layout.consumed(size / extent) * extent;
                let grows = match &plan.goal {
                    Goal::Changed { volume, size, .. } => Some((volume.clone(), *size)),
                    _ => None,
                };
                vec![Self {
                    grows,
                    disks: legs.clone(),
                    ..claim(job, group, device, bytes)
                }]
            }
            Step::Create {
                group,
                device,
                size,
                place: Place::Thin(pool),
                job,
                ..
            } => {
                let made = Subject::Made(group.clone(), device.clone());
                let copies = plan.steps.iter().filter_map(|planned| match &planned.step {
                    Step::Copy { from, to, .. } if *to == made => source(plan, from, inventory),
                    _ => None,
                });
                vec![Self {
                    fills: copies.map(|source| takes(source, inventory)).sum(),
                    ..claim(job, pool, device, *size)
                }]
            }
            Step::Copy {
                from,
                to: Subject::Known(to),
                job,
                ..
            } => {
                let (from, to) = (source(plan, from, inventory), inventory.volume(to));
                let both = from.zip(to).map(|(from, to)| Self {
                    fills: to.size.min(takes(from, inventory) + takes(to, inventory)),
                    ..claim(job, &to.pool, "", 0)
                });
                both.into_iter().collect()
            }
            Step::Snapshot { group, of, job } => {
                let each = of.iter().filter_map(|snap| match snap.room {
                    Some(room) => Some(claim(job, group, &snap.device, room)),
                    None => {
                        let source = inventory.volume(&snap.source)?;
                        Some(claim(job, &source.pool, &snap.device, source.size))
                    }
                });
                each.collect()
            }
            _ => Vec::new(),
        }
    }

    /// The volume that it is for, where an inventory shows it.
    fn made<'a>(&self, inventory: &'a Inventory) -> Option<&'a Volume> {
        let mut volumes = inventory.volumes_in(&self.pool);
        let found = volumes.find(|volume| volume.device == self.device);
        found.map(|volume| &**volume)
    }

    /// Counts as taken what an inventory does not show yet.
    fn count(&self, inventory: &mut Inventory) {
        let has_grown = self.grows.as_ref().is_some_and(|(id, size)| {
            let volume = inventory.volume(id);
            volume.is_none_or(|volume| volume.size >= *size)
        });
        let made = self.made(inventory);
        let filled = made.map_or(0, |volume| volume.consumed.unwrap_or(0));
        let fills = self.fills.saturating_sub(filled);
        if made.is_none() && !has_grown {
            inventory.promise(&self.pool, self.bytes, &self.disks);
        }
        let is_thin = inventory
            .pool(&self.pool)
            .is_some_and(|pool| pool.thin().is_some());
        if is_thin {
            inventory.fill(&self.pool, fills);
        }
    }
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
        held.extend(steps.flat_map(|planned| Claim::of(&planned.step, &plan, &present)));
        Ok((plan, Claimed(self, job)))
    }
}
