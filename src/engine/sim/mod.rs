//! The modelled array: LVM and LIO as far as an array depends on them, without any storage.
//!
//! It refuses what the real engine refuses, with the same kinds of error, and keeps account of
//! what every extent of every disk holds, so that a test can tell whether a host would read old
//! data. Its process is its machine: a restart is a reboot, volumes survive (where a directory is
//! given), sessions do not, maps are made again by [`converge`](Engine::converge). It knows nothing of groups,
//! views, jobs or clients.

mod builder;
mod clock;
mod copies;
mod copy;
mod disks;
mod erase;
mod extents;
mod faults;
mod groups;
mod guards;
mod keep;
mod legs;
mod lio;
mod machine;
mod moves;
mod names;
mod observe;
mod outside;
mod repair;
mod replicas;
mod report;
mod sessions;
mod takeover;
mod targets;
#[cfg(test)]
mod tests;
mod thin;
mod volumes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use builder::{Builder, DEFAULT_IQN};
pub use clock::Clock;
pub use extents::{Content, EXTENT};
pub use faults::{Hang, Moment};
pub use outside::SavedTarget;

use crate::array::{
    Engine, Error, Facts, GroupFacts, JobId, MadeTarget, Map, PoolId, Progress, Step, Subject,
    Unwatched, VolumeGroup, cancelled,
};
use copy::Copy;
use faults::{Fault, Script, Stuck, scripted};
use machine::Machine;
use thin::ThinWish;
use volumes::Wish;

/// How long a step may take without any progress.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that are overwritten, or brought into step, between two looks at whether somebody
/// cancelled.
const SLICE: u64 = 64 << 20;

/// The modelled array. Clones are the same machine.
#[derive(Clone)]
pub struct SimEngine(Arc<Core>);

/// What the clones share.
struct Core {
    machine: Mutex<Machine>,
    script: Mutex<Script>,
    clock: Clock,
    /// Bytes per second.
    zero_rate: u64,
    copy_rate: u64,
}

impl SimEngine {
    /// A machine to be shaped.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn new(core: Core) -> Self {
        Self(Arc::new(core))
    }
}

impl Core {
    fn new(machine: Machine, clock: Clock, zero_rate: u64, copy_rate: u64) -> Self {
        Self {
            machine: Mutex::new(machine),
            script: Mutex::default(),
            clock,
            zero_rate,
            copy_rate,
        }
    }

    /// The machine as it is now.
    fn machine(&self) -> MutexGuard<'_, Machine> {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        machine.pass_time(self.clock.wall());
        machine
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step, whatever the script says.
    fn take(&self, step: &Step, progress: &dyn Progress) -> Result<(), Error> {
        if let Some(copy) = Copy::of(step) {
            return self.copy(&copy, progress, false);
        }
        match step {
            Step::Zero { volume, job } => self.zero(volume, *job, progress, None),
            Step::Erase { volume, how, job } => self.erase(volume, *how, *job, progress, false),
            Step::Sync { volume } => self.sync(volume, progress),
            Step::Move {
                what, from, onto, ..
            } => self.move_off(what, from, onto, progress),
            other => take_at_once(&mut self.machine(), other),
        }
    }

    /// Takes the first half of a step, where it has halves.
    fn take_half(&self, step: &Step) -> Result<(), Error> {
        if let Some(copy) = Copy::of(step) {
            return self.copy(&copy, &Unwatched, true);
        }
        match step {
            Step::Zero { volume, job } => {
                let half = self.machine().may_zero(volume, *job)? / 2;
                self.zero(volume, *job, &Unwatched, Some(half))
            }
            Step::Erase { volume, how, job } => self.erase(volume, *how, *job, &Unwatched, true),
            Step::Snapshot { group, of, job } => {
                self.machine().snapshot(group, &of[..of.len() / 2], *job)
            }
            Step::Listen(target) if !target.portals.is_empty() => {
                self.machine().begin_to_listen(target)
            }
            Step::Map(map) => self.machine().export(map),
            Step::Move {
                what, from, onto, ..
            } => self.machine().begin_move(what, from, onto).map(drop),
            Step::TakeOver(wanted) => self.machine().adopt(wanted),
            _ => Ok(()),
        }
    }

    /// Overwrites a volume slice by slice, in modelled time and not under the lock; only so many
    /// extents of it where that is said.
    fn zero(
        &self,
        volume: &Subject,
        job: JobId,
        progress: &dyn Progress,
        only: Option<u64>,
    ) -> Result<(), Error> {
        let extents = self.machine().may_zero(volume, job)?;
        let until = only.unwrap_or(extents);
        let mut done = 0;
        let mut ended = Ok(());
        while done < until && ended.is_ok() {
            let slice = (SLICE / EXTENT).min(until - done);
            ended = self.zero_slice(volume, job, done, slice, progress);
            if ended.is_ok() {
                done += slice;
                progress.report(done * EXTENT, extents * EXTENT);
            }
        }
        // What was overwritten stays so, however it ended.
        let mut machine = self.machine();
        let id = machine.find(volume)?.map(|lv| lv.id.clone());
        ended.and(id.map_or(Ok(()), |id| machine.keep_contents(&id)))
    }

    /// Waits until the legs of a volume are in step, which they come to whether anybody waits or
    /// not.
    fn sync(&self, volume: &Subject, progress: &dyn Progress) -> Result<(), Error> {
        let mut last = None;
        loop {
            let status = {
                let machine = self.machine();
                machine.sync_status(machine.present(volume)?)?
            };
            let Some((done, total)) = status else {
                if let Some(total) = last {
                    progress.report(total, total);
                }
                return Ok(());
            };
            last = Some(total);
            progress.report(done, total);
            if progress.is_cancelled() {
                return Err(cancelled());
            }
            let slice = SLICE.min(total - done).max(EXTENT);
            self.clock.wait(self.sync_time(slice), || false);
        }
    }

    /// How long it takes to bring so many bytes into step.
    fn sync_time(&self, bytes: u64) -> Duration {
        let rate = self.machine().sync_rate;
        let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX).max(1))
    }

    fn zero_slice(
        &self,
        volume: &Subject,
        job: JobId,
        start: u64,
        length: u64,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        progress.pause_point()?;
        let seconds = (length * EXTENT) as f64 / self.zero_rate as f64;
        self.clock.wait(Duration::from_secs_f64(seconds), || false);
        if progress.is_cancelled() {
            return Err(cancelled());
        }
        self.machine().zero(volume, job, start, length)
    }

    /// Waits for a hanging step to go on, and no longer than the patience lasts.
    fn hang(&self, step: &Step, stuck: &Mutex<Stuck>) -> Result<(), Error> {
        let released = || matches!(*faults::lock(stuck), Stuck::Released);
        if self.clock.wait(PATIENCE, released) {
            return Ok(());
        }
        let mut stuck = faults::lock(stuck);
        if let Stuck::Released = *stuck {
            return Ok(());
        }
        *stuck = Stuck::Abandoned(Box::new(step.clone()));
        Err(Error::timeout(
            "the simulated machine did not answer in 20 s and may still do what it was told; look \
             again later",
        ))
    }
}

/// Takes a step that takes no time.
fn take_at_once(machine: &mut Machine, step: &Step) -> Result<(), Error> {
    match step {
        Step::Create {
            group,
            device,
            name,
            size,
            place,
            job,
        } => {
            let wish = Wish {
                device,
                name,
                size: *size,
                place,
                job: *job,
            };
            machine.create(group, &wish)
        }
        // These take time.
        Step::Zero { .. }
        | Step::Erase { .. }
        | Step::Sync { .. }
        | Step::Copy { .. }
        | Step::Move { .. } => Ok(()),
        Step::EndMove { what, from } => machine.abort_move(what, from),
        Step::CloseDisk { group, disk } => machine.close_disk(group, disk, true),
        Step::OpenDisk { group, disk } => machine.close_disk(group, disk, false),
        Step::Mark { volume, job } => machine.mark(volume, *job),
        Step::Unmark { volume, job } => machine.unmark(volume, *job),
        Step::Remove { volume, job } => machine.remove(volume, *job),
        Step::Absorb {
            volume,
            reserve,
            size,
            job,
        } => machine.absorb(volume, reserve, *size, *job),
        Step::GrowThin { volume, size } => machine.grow_thin(volume, *size),
        Step::Shrink { volume, size } => machine.shrink(volume, *size),
        Step::Snapshot { group, of, job } => machine.snapshot(group, of, *job),
        Step::Relate { volume, to, job } => machine.relate(volume, to.as_ref(), *job),
        Step::Inherit { volume, of, job } => machine.inherit(volume, of, *job),
        Step::Rename { volume, name } => machine.rename(volume, name),
        Step::Refresh { volume } => machine.refresh(volume),
        Step::Repair { volume, onto } => machine.repair(volume, onto),
        Step::AddCopies { volume, onto } => machine.add_copies(volume, onto),
        Step::DropCopies { volume, from } => machine.drop_copies(volume, from),
        Step::CreateGroup {
            device,
            name,
            disks,
            job,
        } => machine.create_group(device, name, disks, *job),
        Step::MarkGroup { group, job } => machine.mark_group(group, *job),
        Step::UnmarkGroup { group, job } => machine.unmark_group(group, *job),
        Step::RemoveGroup { group, job, .. } => machine.remove_group(group, *job),
        Step::ExtendGroup { group, disks } => machine.extend_group(group, disks),
        Step::ReduceGroup { group, disks } => machine.reduce_group(group, disks),
        Step::TakeBack { group } => machine.take_back(group),
        Step::DropMissing { group } => machine.drop_missing(group),
        Step::CreateThinPool {
            group,
            device,
            name,
            size,
            metadata,
            job,
        } => {
            let wish = ThinWish {
                device,
                name,
                size: *size,
                metadata: *metadata,
                job: *job,
            };
            machine.create_thin_pool(group, &wish)
        }
        Step::GrowThinPool {
            pool,
            size,
            metadata,
        } => machine.grow_thin_pool(pool, *size, *metadata),
        Step::RenamePool { pool, name } => machine.rename_pool(pool, name),
        Step::Listen(target) => machine.listen(target),
        Step::Map(map) => machine.map(map),
        Step::Unmap(map) => {
            machine.unmap(map);
            Ok(())
        }
        Step::TakeOver(wanted) => machine.take_over(wanted),
        Step::GiveBack(wanted) => machine.leave_again(wanted),
    }
}

impl Engine for SimEngine {
    fn scan(&self) -> Result<Facts, Error> {
        Ok(self.0.machine().report())
    }

    fn scan_group(&self, pool: &PoolId) -> Result<GroupFacts, Error> {
        self.0.machine().report_one(pool)
    }

    fn manage(&self, groups: &[VolumeGroup], targets: &[MadeTarget]) -> Result<(), Error> {
        let mut machine = self.0.machine();
        machine.manage(groups);
        machine.manage_targets(targets);
        Ok(())
    }

    fn is_mapped(&self, map: &Map) -> Result<bool, Error> {
        Ok(self.0.machine().is_mapped(map))
    }

    fn fingerprint(&self) -> Result<u64, Error> {
        Ok(self.0.machine().generation)
    }

    fn apply(&self, step: &Step, progress: &dyn Progress) -> Result<(), Error> {
        let fault = self.0.script().next();
        match fault {
            None => self.0.take(step, progress),
            Some(Fault::Fail(kind, moment)) => {
                match moment {
                    Moment::Before => {}
                    Moment::Midway => self.0.take_half(step)?,
                    Moment::After => self.0.take(step, progress)?,
                }
                Err(scripted(kind))
            }
            Some(Fault::Hang(stuck)) => {
                self.0.hang(step, &stuck)?;
                self.0.take(step, progress)
            }
        }
    }

    fn converge(&self, maps: &[Map]) -> Result<(), Error> {
        self.0.machine().converge(maps)
    }
}
