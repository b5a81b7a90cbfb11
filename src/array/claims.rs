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
use super::plan::{Goal, Plan, plan};
use super::work::Begun;

/// The promises.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Vec<Claim>>);

/// Room in a volume group.
#[derive(Debug)]
struct Claim {
    job: JobId,
    group: PoolId,
    /// From when the inventory counts it itself.
    counted: Counted,
    /// Bytes, all told.
    bytes: u64,
    /// Where it is to be; none for anywhere.
    disks: Vec<DiskId>,
}

/// When an inventory shows what room is for.
#[derive(Debug)]
enum Counted {
    /// When a volume of that device is listed, or the one that grows by it has that size.
    Listed(String, Option<(VolumeId, u64)>),
    /// When that volume lies on these disks.
    On(VolumeId, Vec<DiskId>),
    /// When nothing is free on that disk.
    Closed(DiskId),
    /// When the job has ended.
    AtTheEnd,
}

impl Claim {
    /// What a step of a plan takes.
    fn of(step: &Step, goal: &Goal, inventory: &Inventory, job: JobId) -> Vec<Self> {
        match step {
            Step::Create {
                group,
                device,
                size,
                place: Place::Disks { layout, legs },
                ..
            } => {
                let grows = match goal {
                    Goal::Changed { volume, size, .. } => Some((volume.clone(), *size)),
                    _ => None,
                };
                let extent = extent(inventory, group);
                vec![Self {
                    job,
                    group: group.clone(),
                    counted: Counted::Listed(device.clone(), grows),
                    bytes: layout.consumed(size / extent) * extent,
                    disks: legs.clone(),
                }]
            }
            Step::AddCopies { volume, onto } => Self::of_copies(volume, onto, inventory, job),
            Step::Move {
                what, onto, bytes, ..
            } => Self::of_move(what, onto, *bytes, inventory, job),
            // Nothing new comes to what is to be empty.
            Step::CloseDisk { group, disk } => vec![Self {
                job,
                group: group.clone(),
                counted: Counted::Closed(disk.clone()),
                bytes: inventory.disk(disk).map_or(0, |disk| disk.free()),
                disks: vec![disk.clone()],
            }],
            _ => Vec::new(),
        }
    }

    /// What something takes where it is moved to.
    fn of_move(
        what: &Subject,
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
        let claim = pool.map(|pool| Self {
            job,
            group: pool.group().clone(),
            counted,
            bytes,
            disks: onto.to_vec(),
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
        let claim = |bytes, disks| Self {
            job,
            group: volume.pool.clone(),
            counted: Counted::On(id.clone(), onto.to_vec()),
            bytes,
            disks,
        };
        let copies = claim((volume.size + extent) * onto.len() as u64, onto.to_vec());
        let pieces = volume.pieces.iter().take(1);
        let first = pieces.map(|piece| claim(extent, vec![piece.disk.clone()]));
        std::iter::once(copies).chain(first).collect()
    }

    /// Whether an inventory shows what it is for.
    fn is_taken(&self, inventory: &Inventory) -> bool {
        match &self.counted {
            Counted::Listed(device, grows) => {
                let has_grown = grows.as_ref().is_some_and(|(id, size)| {
                    let volume = inventory.volume(id);
                    volume.is_none_or(|volume| volume.size >= *size)
                });
                let mut volumes = inventory.volumes_in(&self.group);
                has_grown || volumes.any(|volume| volume.device == *device)
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
}

/// Bytes of an extent of a group.
fn extent(inventory: &Inventory, group: &PoolId) -> u64 {
    inventory.pool(group).map_or(1, |pool| pool.extent.max(1))
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
        let claims = steps.flat_map(|planned| Claim::of(&planned.step, &plan.goal, present, job));
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
        let mut open = held.iter().filter(|c| !c.is_taken(&present)).peekable();
        let plan = match open.peek().is_some() {
            false => plan(command, &present, job, now)?,
            true => {
                let mut left = Inventory::clone(&present);
                open.for_each(|claim| left.promise(&claim.group, claim.bytes, &claim.disks));
                plan(command, &left, job, now)?
            }
        };
        let steps = plan.steps.iter();
        held.extend(steps.flat_map(|planned| Claim::of(&planned.step, &plan.goal, &present, job)));
        Ok((plan, Claimed(self, job)))
    }
}
