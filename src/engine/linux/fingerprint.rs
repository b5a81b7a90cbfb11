//! A cheap mark of everything outside that a scan would show.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::LinuxEngine;
use super::dm::{self, Pool, Raid, Snapshot, Status};
use super::watch::Deadline;
use crate::array::Error;

/// Bytes read of each physical volume: label, and header of the metadata area with size and
/// checksum of the current metadata.
const HEADER: usize = 8 << 10;
/// What the kernel demands of addresses and lengths of direct reads, at most.
const ALIGNMENT: usize = 4 << 10;
/// Into how many steps the fill of a thin pool or snapshot is divided: a scan is due at each, not at each write.
const STEPS: u64 = 100;
/// The same for its metadata, of which each write takes some and gives some back a moment later.
const METADATA_STEPS: u64 = 20;

impl LinuxEngine {
    /// A hash over what moves with every change: the metadata headers of the groups' devices, which
    /// devices there are and who uses them, how full thin pools are and how well RAID is, the
    /// relations in the kernel target and who is logged in there, and mounts.
    pub(super) fn outline(&self, deadline: Deadline) -> Result<u64, Error> {
        let mut hash = DefaultHasher::new();
        for device in self.lvm.devices() {
            device.as_str().hash(&mut hash);
            // One that cannot be read has gone, and moves the mark once.
            let header = header(Path::new(device.as_str()));
            header.map_err(|error| error.kind()).hash(&mut hash);
        }
        // The text of plain data; only equality of two hashes of one process means anything.
        let state = self.exports.state(deadline)?;
        format!("{state:?} {:?}", self.logins(&state, deadline)?).hash(&mut hash);
        self.fc_outline().hash(&mut hash);
        let devices = self.places.dm_devices().unwrap_or_default();
        devices.into_keys().collect::<Vec<_>>().hash(&mut hash);
        // A disk that has come may be one that a group lacks, whatever it is called now. It counts
        // from when udev has made its node.
        let names = fs::read_dir(self.places.sys.join("class/block"));
        let names = names.into_iter().flatten().filter_map(Result::ok);
        let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        names.retain(|name| self.places.dev.join(name).exists());
        names.sort();
        names.hash(&mut hash);
        self.disks.outline().hash(&mut hash);
        if self.has_kernel_state.load(Ordering::Relaxed) {
            let statuses = dm::statuses(&self.dmsetup, deadline).map_err(|e| {
                Error::unavailable("device-mapper does not tell the state of its devices")
                    .caused_by(e)
            })?;
            rounded(statuses).hash(&mut hash);
        }
        fs::read(self.places.proc.join("self/mountinfo"))
            .unwrap_or_default()
            .hash(&mut hash);
        Ok(hash.finish())
    }
}

/// The states without what moves at every write.
fn rounded(statuses: BTreeMap<String, Status>) -> BTreeMap<String, Status> {
    let step_of = |steps: u64, part: u64, whole: u64| {
        let steps = u128::from(part) * u128::from(steps) / u128::from(whole.max(1));
        (u64::try_from(steps).unwrap_or(u64::MAX), whole)
    };
    let step = |part: u64, whole: u64| step_of(STEPS, part, whole);
    let rounded = statuses.into_iter().map(|(name, status)| {
        let status = match status {
            Status::Thin(mapped) => Status::Thin(mapped.map(|_| 0)),
            Status::Pool(Pool::Live {
                metadata,
                chunks,
                mode,
                needs_check,
            }) => Status::Pool(Pool::Live {
                metadata: step_of(METADATA_STEPS, metadata.0, metadata.1),
                chunks: step(chunks.0, chunks.1),
                mode,
                needs_check,
            }),
            Status::Pool(Pool::Failed) => Status::Pool(Pool::Failed),
            Status::Moving { total, .. } => Status::Moving { done: 0, total },
            Status::Snapshot(Snapshot::Whole { used }) => Status::Snapshot(Snapshot::Whole {
                used: step(used.0, used.1),
            }),
            Status::Snapshot(Snapshot::Lost) => Status::Snapshot(Snapshot::Lost),
            Status::Raid(raid) => Status::Raid(Raid {
                in_step: step(raid.in_step.0, raid.in_step.1),
                ..raid
            }),
        };
        (name, status)
    });
    rounded.collect()
}

/// Reads the start of a device past the page cache, which another node's writes do not reach.
fn header(device: &Path) -> std::io::Result<Vec<u8>> {
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or_default();
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(direct)
        .open(device)?;
    let mut buffer = vec![0_u8; HEADER + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let slice = buffer
        .get_mut(start..start + HEADER)
        .ok_or_else(|| std::io::Error::other("the buffer is too small"))?;
    file.read_exact(slice)?;
    Ok(slice.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::linux::dm::Mode;

    fn pool(used: u64, mode: Mode) -> BTreeMap<String, Status> {
        let pool = Pool::Live {
            metadata: (4096, 1 << 22),
            chunks: (used, 10_000),
            mode,
            needs_check: false,
        };
        BTreeMap::from([("p".to_owned(), Status::Pool(pool))])
    }

    #[test]
    fn a_write_moves_nothing_and_a_filling_or_full_pool_does() {
        let mark = |used, mode| rounded(pool(used, mode));
        let before = mark(5_000, Mode::Writable);
        assert_eq!(mark(5_001, Mode::Writable), before);
        assert_ne!(mark(5_100, Mode::Writable), before);
        assert_ne!(mark(5_000, Mode::OutOfSpace), before);
    }

    #[test]
    fn a_snapshot_that_fills_or_is_lost_moves_it() {
        let mark = |snapshot| rounded(BTreeMap::from([("s".into(), Status::Snapshot(snapshot))]));
        let whole = |used| {
            mark(Snapshot::Whole {
                used: (used, 1_000_000),
            })
        };
        assert_eq!(whole(500_000), whole(500_100));
        assert_ne!(whole(500_000), whole(520_000));
        assert_ne!(whole(1_000_000), mark(Snapshot::Lost));
    }

    #[test]
    fn a_failed_leg_moves_it() {
        let raid = |works, done| {
            let raid = Raid {
                works: vec![true, works],
                holds_all: vec![true, works],
                in_step: (done, 1_000_000),
                action: "idle".into(),
            };
            rounded(BTreeMap::from([("r".to_owned(), Status::Raid(raid))]))
        };
        assert_eq!(raid(true, 10), raid(true, 11));
        assert_ne!(raid(true, 10), raid(true, 20_000));
        assert_ne!(raid(true, 10), raid(false, 10));
    }
}
