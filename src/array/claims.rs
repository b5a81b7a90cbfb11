//! The room that commands under way have been promised and have not taken yet.
//!
//! A plan names the disks of new volumes by the inventory, which shows them only when they are made.
//! Two commands that are planned in between would choose the same disks, and one would find no room
//! there. So each is planned with what the others leave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::command::Command;
use super::engine::{Place, Step};
use super::error::Error;
use super::ids::{DiskId, JobId, PoolId, VolumeId};
use super::inventory::Inventory;
use super::job::now_micros;
use super::plan::{Goal, Plan, plan};

/// The promises.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Vec<Claim>>);

/// The room for one volume in a volume group.
#[derive(Debug)]
struct Claim {
    job: JobId,
    group: PoolId,
    /// What it is for, as a step names it: counted by the inventory from when that is listed.
    device: String,
    /// The volume that grows by it, and to what size: then it is counted there.
    grows: Option<(VolumeId, u64)>,
    /// Bytes, all told.
    bytes: u64,
    /// Where it is to be; none for anywhere.
    disks: Vec<DiskId>,
}

impl Claim {
    /// What a step of a plan takes, if it makes a volume on disks.
    fn of(step: &Step, goal: &Goal, inventory: &Inventory) -> Option<Self> {
        let Step::Create {
            group,
            device,
            size,
            place: Place::Disks { layout, legs },
            job,
            ..
        } = step
        else {
            return None;
        };
        let extent = inventory.pool(group)?.extent.max(1);
        Some(Self {
            job: *job,
            group: group.clone(),
            device: device.clone(),
            grows: match goal {
                Goal::Changed { volume, size, .. } => Some((volume.clone(), *size)),
                _ => None,
            },
            bytes: layout.consumed(size / extent) * extent,
            disks: legs.clone(),
        })
    }

    /// Whether an inventory shows what it is for.
    fn is_taken(&self, inventory: &Inventory) -> bool {
        let has_grown = self.grows.as_ref().is_some_and(|(id, size)| {
            let volume = inventory.volume(id);
            volume.is_none_or(|volume| volume.size >= *size)
        });
        let mut volumes = inventory.volumes_in(&self.group);
        has_grown || volumes.any(|volume| volume.device == self.device)
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
        held.extend(steps.filter_map(|planned| Claim::of(&planned.step, &plan.goal, &present)));
        Ok((plan, Claimed(self, job)))
    }
}
