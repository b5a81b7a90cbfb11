//! The real engine: LVM volumes exported by the kernel's SCSI target.
//!
//! | module | what it knows |
//! |---|---|
//! | `lvm` | the command shells, and how to say things to LVM |
//! | `lio` | configfs, and how a volume becomes a logical unit |
//! | `blockdev`, `disks`, `nics` | what the kernel shows of devices and interfaces |
//! | `copying`, `still` | how one device becomes a copy of another; a moment without writes |
//! | `dm`, `program` | what device-mapper tells; programs that run once |
//! | `scan`, `picture`, `health`, `trouble` | how all of that looks as [`Facts`] |
//! | `fingerprint` | whether a scan is due |
//! | `fc` | the Fibre Channel ports of adapters |
//! | `notation` | what the kernel target calls ports and initiators |
//! | `steps`, `exports` | the steps, with their guards |
//! | `saver` | our objects in targetcli's file |
//! | `watch` | deadlines: no call hangs |

pub mod blockdev;
mod copying;
pub mod disks;
pub mod dm;
mod exports;
mod fail;
pub mod fc;
mod fingerprint;
mod health;
pub mod lio;
pub mod lvm;
pub mod nics;
mod notation;
mod picture;
pub mod program;
mod saver;
mod scan;
mod sessions;
mod settings;
mod steps;
mod still;
mod trouble;
pub mod watch;

pub use settings::{Settings, TargetSettings};

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::array::{
    Engine, Error, Facts, GroupFacts, MadeTarget, Map, PoolId, Progress, Step, VolumeGroup,
};
use blockdev::Places;
use disks::Disks;
use exports::Exports;
use lvm::names::VgName;
use lvm::roster::Lvm;
use steps::Making;
use watch::Deadline;

/// How long a call may take: a second less than what [`Engine`] promises.
const LIMIT: Duration = Duration::from_secs(19);

/// The engine of a machine.
#[derive(Debug)]
pub struct LinuxEngine {
    lvm: Lvm,
    exports: Exports,
    disks: Disks,
    places: Places,
    dmsetup: PathBuf,
    blkdiscard: PathBuf,
    /// Whether the last listing held volumes of which the kernel knows more than LVM's metadata.
    has_kernel_state: AtomicBool,
}

impl LinuxEngine {
    /// Finds the configured volume groups and remembers which they are.
    ///
    /// # Errors
    /// When LVM or a group is missing, or a name is no name.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let names = settings
            .groups
            .iter()
            .map(|name| VgName::new(name.as_str()).map_err(|e| Error::invalid(e.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        fs::create_dir_all(&settings.run_folder).map_err(|e| {
            let folder = settings.run_folder.display();
            Error::unavailable(format!("the folder {folder} cannot be made")).caused_by(e)
        })?;
        let lvm = Lvm::open(
            &settings.lvm,
            &settings.run_folder.join("lvm"),
            &names,
            Deadline::after(LIMIT),
        )?;
        Ok(Self {
            lvm,
            exports: Exports::new(&settings),
            disks: Disks::new(&settings),
            places: settings.places,
            dmsetup: settings.dmsetup,
            blkdiscard: settings.blkdiscard,
            // Until a listing says otherwise.
            has_kernel_state: AtomicBool::new(true),
        })
    }
}

impl Engine for LinuxEngine {
    fn scan(&self) -> Result<Facts, Error> {
        self.look(Deadline::after(LIMIT))
    }

    fn scan_group(&self, pool: &PoolId) -> Result<GroupFacts, Error> {
        self.look_at_group(pool, Deadline::after(LIMIT))
    }

    fn manage(&self, groups: &[VolumeGroup], targets: &[MadeTarget]) -> Result<(), Error> {
        self.exports.manage(targets);
        self.adopt(groups, Deadline::after(LIMIT))
    }

    fn is_mapped(&self, map: &Map) -> Result<bool, Error> {
        self.exports.is_shown(map, Deadline::after(LIMIT))
    }

    fn fingerprint(&self) -> Result<u64, Error> {
        self.outline(Deadline::after(LIMIT))
    }

    fn apply(&self, step: &Step, progress: &dyn Progress) -> Result<(), Error> {
        let deadline = Deadline::after(LIMIT);
        match step {
            Step::Create {
                group,
                device,
                name,
                size,
                place,
                job,
            } => {
                let making = Making {
                    group,
                    device,
                    name,
                    size: *size,
                    job,
                };
                self.create(&making, place, deadline)
            }
            Step::Zero { volume, job } => self.zero(volume, job, progress, deadline),
            Step::Erase { volume, how, job } => self.erase(volume, *how, job, progress, deadline),
            Step::Sync { volume } => self.sync(volume, progress, deadline),
            Step::Mark { volume, job } => self.mark(volume, job, deadline),
            Step::Unmark { volume, job } => self.unmark(volume, job, deadline),
            Step::Remove { volume, job } => self.remove(volume, job, deadline),
            Step::Absorb {
                volume,
                reserve,
                size,
                job,
            } => self.absorb(volume, reserve, *size, job, deadline),
            Step::GrowThin { volume, size } => self.grow_thin(volume, *size, deadline),
            Step::Shrink { volume, size } => self.shrink(volume, *size, deadline),
            Step::Snapshot { group, of, job } => self.snapshot(group, of, job, deadline),
            Step::Copy {
                from,
                to,
                fresh,
                job,
            } => self.copy((from, to), *fresh, job, progress),
            Step::Relate { volume, to, job } => {
                self.relate(volume, to.as_ref(), job.as_ref(), deadline)
            }
            Step::Inherit { volume, of, job } => self.inherit(volume, of, job, deadline),
            Step::Rename { volume, name } => self.rename(volume, name, deadline),
            Step::Refresh { volume } => self.refresh(volume, deadline),
            Step::Repair { volume, onto } => self.repair(volume, onto, deadline),
            Step::AddCopies { volume, onto } => self.add_copies(volume, onto, deadline),
            Step::DropCopies { volume, from } => self.drop_copies(volume, from, deadline),
            Step::Move {
                what, from, onto, ..
            } => self.move_off(what, from, onto, progress, deadline),
            Step::EndMove { what, from } => self.end_move(what, from, deadline),
            Step::CloseDisk { group, disk } => self.close_disk(group, disk, true, deadline),
            Step::OpenDisk { group, disk } => self.close_disk(group, disk, false, deadline),
            Step::CreateGroup {
                device,
                name,
                disks,
                job,
            } => self.create_group(device, name, disks, job, deadline),
            Step::MarkGroup { group, job } => self.mark_group(group, job, deadline),
            Step::UnmarkGroup { group, job } => self.unmark_group(group, job, deadline),
            Step::RemoveGroup { group, disks, job } => {
                self.remove_group(group, disks, job, deadline)
            }
            Step::ExtendGroup { group, disks } => self.extend_group(group, disks, deadline),
            Step::ReduceGroup { group, disks } => self.reduce_group(group, disks, deadline),
            Step::TakeBack { group } => self.take_back(group, deadline),
            Step::DropMissing { group } => self.drop_missing(group, deadline),
            Step::CreateThinPool {
                group,
                device,
                name,
                size,
                metadata,
                job,
            } => {
                let making = Making {
                    group,
                    device,
                    name,
                    size: *size,
                    job,
                };
                self.create_thin_pool(&making, *metadata, deadline)
            }
            Step::GrowThinPool {
                pool,
                size,
                metadata,
            } => self.grow_thin_pool(pool, *size, *metadata, deadline),
            Step::RenamePool { pool, name } => self.rename_pool(pool, name, deadline),
            Step::Listen(target) => self.exports.listen(target, deadline),
            Step::Map(map) => self.map(map, deadline),
            Step::Unmap(map) => self.exports.hide(map, deadline),
            Step::TakeOver(view) => self.take_view_over(view, deadline),
            Step::GiveBack(view) => self.give_view_back(view, deadline),
        }
    }

    fn converge(&self, maps: &[Map]) -> Result<(), Error> {
        let mut first = self.exports.prepare(Deadline::after(LIMIT));
        // A disk that is there again may bear another name now.
        let found = self.lvm.find(Deadline::after(LIMIT));
        first = first.and(found.map(drop).map_err(Error::from));
        for group in self.lvm.groups() {
            first = first.and(self.wake(&group, Deadline::after(LIMIT)));
            first = first.and(self.activate_replicas(&group, Deadline::after(LIMIT)));
        }
        first = first.and(self.recognise(Deadline::after(LIMIT)));
        for map in maps {
            let done = self.map(map, Deadline::after(LIMIT));
            first = first.and(done);
        }
        let retaken = self.exports.retake(maps, Deadline::after(LIMIT));
        let swept = self.exports.sweep(maps, Deadline::after(LIMIT));
        let registered = self.exports.restore_registrations(Deadline::after(LIMIT));
        let opened = self.exports.open(Deadline::after(LIMIT));
        first.and(retaken).and(swept).and(registered).and(opened)
    }
}

#[cfg(test)]
mod kernel_tests;
