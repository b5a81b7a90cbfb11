//! The real engine: LVM volumes exported by the kernel's SCSI target.
//!
//! | module | what it knows |
//! |---|---|
//! | `lvm` | the command shells, and how to say things to LVM |
//! | `lio` | configfs, and how a volume becomes a logical unit |
//! | `blockdev`, `disks`, `nics` | what the kernel shows of devices and interfaces |
//! | `scan` | how all of that looks as [`Facts`] |
//! | `volumes`, `exports` | the steps, with their guards |
//! | `watch` | deadlines: no call hangs |

pub mod blockdev;
pub mod disks;
mod exports;
mod fail;
pub mod lio;
pub mod lvm;
pub mod nics;
mod scan;
mod settings;
mod volumes;
pub mod watch;

pub use settings::{Settings, TargetSettings};

use std::fs;
use std::time::Duration;

use crate::array::{Engine, Error, Facts, GroupFacts, Map, PoolId, Progress, Step, VolumeGroup};
use blockdev::Places;
use exports::Exports;
use lvm::group::Lvm;
use lvm::names::VgName;
use watch::Deadline;

/// How long a call may take: a second less than what [`Engine`] promises.
const LIMIT: Duration = Duration::from_secs(19);

/// The engine of a machine.
#[derive(Debug)]
pub struct LinuxEngine {
    lvm: Lvm,
    exports: Exports,
    places: Places,
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
        let exports = Exports::new(&settings);
        Ok(Self {
            lvm,
            exports,
            places: settings.places,
        })
    }
}

impl Engine for LinuxEngine {
    fn scan(&self) -> Result<Facts, Error> {
        self.look(Deadline::after(LIMIT))
    }

    fn scan_group(&self, pool: &PoolId) -> Result<GroupFacts, Error> {
        self.look_at_pool(pool, Deadline::after(LIMIT))
    }

    fn manage(&self, _groups: &[VolumeGroup]) -> Result<(), Error> {
        Ok(())
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
                job,
                ..
            } => self.create(group, device, name, *size, job, deadline),
            Step::Zero { volume, job } => self.zero(volume, job, progress, deadline),
            Step::Mark { volume, job } => self.mark(volume, job, deadline),
            Step::Unmark { volume, job } => self.unmark(volume, job, deadline),
            Step::Remove { volume, job } => self.remove(volume, job, deadline),
            Step::Absorb {
                volume,
                reserve,
                size,
                job,
            } => self.absorb(volume, reserve, *size, job, deadline),
            Step::Rename { volume, name } => self.rename(volume, name, deadline),
            Step::Sync { .. } => Ok(()),
            Step::Map(map) => self.map(map, deadline),
            Step::Unmap(map) => self.exports.hide(map, deadline),
            _ => Err(Error::not_supported("this engine does not do that yet")),
        }
    }

    fn converge(&self, maps: &[Map]) -> Result<(), Error> {
        let mut first = self.exports.prepare(Deadline::after(LIMIT));
        for map in maps {
            let done = self.map(map, Deadline::after(LIMIT));
            first = first.and(done);
        }
        let swept = self.exports.sweep(maps, Deadline::after(LIMIT));
        let opened = self.exports.open(Deadline::after(LIMIT));
        first.and(swept).and(opened)
    }
}

#[cfg(test)]
mod kernel_tests;
