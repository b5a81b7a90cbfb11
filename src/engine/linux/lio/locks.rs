//! The two lock files by which managers of the kernel target keep out of each other's way.
//!
//! targetcli holds the first for a whole command; rtslib takes the second while it chooses the
//! number of a backstore. Whoever changes the target holds both.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Time between two tries for a lock that another program holds.
const PAUSE: Duration = Duration::from_millis(20);

/// Why the locks could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A lock file cannot be opened.
    #[error("lock file {path} cannot be opened")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Another program has held a lock for too long.
    #[error("another program holds {path}")]
    Busy {
        /// The file.
        path: String,
    },
}

/// The lock files, in the order in which they are taken.
#[derive(Debug, Clone)]
pub struct LockFiles(Vec<PathBuf>);

/// Both locks held; dropping releases them.
#[derive(Debug)]
pub struct Locks(#[expect(dead_code, reason = "an open file is the lock")] Vec<File>);

impl LockFiles {
    /// The lock files in a folder, `/var/run` on a real machine.
    pub fn in_folder(folder: &Path) -> Self {
        Self(
            ["targetcli.lock", "rtslib_backstore.lock"]
                .map(|name| folder.join(name))
                .into(),
        )
    }

    /// Waits for both, at most for `limit`.
    pub fn take(&self, limit: Duration) -> Result<Locks, LockError> {
        let end = Instant::now() + limit;
        self.0
            .iter()
            .map(|path| take_one(path, end))
            .collect::<Result<_, _>>()
            .map(Locks)
    }
}

fn take_one(path: &Path, end: Instant) -> Result<File, LockError> {
    let failed = |source| LockError::Open {
        path: path.display().to_string(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if Instant::now() < end => thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Busy {
                    path: path.display().to_string(),
                });
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_the_locks_keeps_others_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = LockFiles::in_folder(folder.path());
        let held = files.take(Duration::ZERO).expect("free");
        let busy = files.take(Duration::ZERO).expect_err("held");
        assert!(matches!(busy, LockError::Busy { .. }), "{busy}");
        drop(held);
        files.take(Duration::ZERO).expect("free again");
    }

    #[test]
    fn a_lock_that_is_released_in_time_is_had() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = LockFiles::in_folder(folder.path());
        let held = files.take(Duration::ZERO).expect("free");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| files.take(Duration::from_secs(60)));
            drop(held);
            waiting.join().expect("no panic").expect("had in the end");
        });
    }

    #[test]
    fn a_missing_folder_is_an_error_with_its_path() {
        let error = LockFiles::in_folder(Path::new("/nonexistent")).take(Duration::ZERO);
        let text = error.expect_err("cannot be opened").to_string();
        assert_eq!(
            text,
            "lock file /nonexistent/targetcli.lock cannot be opened"
        );
    }
}
