//! A moment in which devices take no writes, so that several of them are seen as they were at once.
//!
//! Whatever happens in that moment, it ends: here when the value is dropped, or at the next start
//! where the program was killed in between.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::blockdev::{DmDevice, Places};
use super::program;
use super::watch::{Deadline, Watch};
use crate::array::Error;

/// How long devices may take to end the writes that they have begun.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long the end of the moment is waited for. It is asked for however long it takes.
const WAIT: Duration = Duration::from_secs(3);
/// Longer than a disk hangs that comes back at all.
const LONG: Duration = Duration::from_secs(3600);

/// Devices that take no writes. They do again when this is dropped.
#[derive(Debug)]
pub(super) struct Still {
    program: PathBuf,
    places: Places,
    devices: Vec<DmDevice>,
    /// Whether all came to rest. Where not, nobody knows which still will.
    is_sure: bool,
}

impl Still {
    /// Lets devices end the writes that they have begun, and take no more. Writers wait.
    pub(super) fn new(
        program: &Path,
        places: &Places,
        devices: Vec<DmDevice>,
    ) -> Result<Self, Error> {
        let mut still = Self {
            program: program.into(),
            places: places.clone(),
            devices,
            is_sure: false,
        };
        // What fails half-way ends with the value.
        let arguments = still.arguments("suspend", still.devices.iter());
        let ended = program::run(program, &arguments, &[], Deadline::after(PATIENCE));
        still.is_sure = still.devices.iter().all(|device| still.is_still(device));
        match (still.is_sure, ended) {
            (true, _) => Ok(still),
            (false, Err(error)) => Err(Error::unavailable(
                "the volumes do not come to rest, because writes to them hang; look at their disks",
            )
            .caused_by(error)),
            (false, Ok(ended)) => {
                tracing::warn!(said = ended.errors.trim(), "devices were not suspended");
                Err(Error::unavailable(
                    "the volumes could not be brought to rest together; try again",
                ))
            }
        }
    }

    /// Whether one of them still takes no writes.
    pub(super) fn is_still(&self, device: &DmDevice) -> bool {
        self.places.is_suspended(device)
    }

    /// Lets these take writes again.
    pub(super) fn release(&mut self, devices: &[DmDevice]) {
        self.resume(devices);
        self.devices.retain(|device| !devices.contains(device));
    }

    fn arguments<'a>(
        &self,
        command: &str,
        devices: impl Iterator<Item = &'a DmDevice>,
    ) -> Vec<String> {
        let paths = devices.map(|device| self.places.dev.join(&device.name));
        let paths = paths.map(|path| path.display().to_string());
        std::iter::once(command.to_owned()).chain(paths).collect()
    }

    fn resume(&self, devices: &[DmDevice]) {
        let suspended = devices.iter().filter(|d| !self.is_sure || self.is_still(d));
        let suspended: Vec<&DmDevice> = suspended.collect();
        if suspended.is_empty() {
            return;
        }
        let arguments = self.arguments("resume", suspended.iter().copied());
        let program = self.program.clone();
        let ended = Watch::default().run("resuming", Deadline::after(WAIT), move || {
            program::run(&program, &arguments, &[], Deadline::after(LONG))
        });
        if let Some(left) = suspended.iter().find(|device| self.is_still(device)) {
            tracing::error!(
                device = left.name,
                ?ended,
                "a device does not take writes again; use dmsetup resume"
            );
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        self.resume(&self.devices);
    }
}

/// Lets devices take writes again that somebody has left otherwise.
pub(super) fn wake(program: &Path, places: &Places, devices: Vec<DmDevice>) {
    drop(Still {
        program: program.into(),
        places: places.clone(),
        devices,
        is_sure: true,
    });
}
