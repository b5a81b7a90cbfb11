//! Keeps our objects in targetcli's file up to date, behind the changes: however many of them come,
//! the file is written as often as it can be.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::lio::configfs::Configfs;
use super::lio::locks::{LockError, LockFiles};
use super::lio::saveconfig;
use super::settings::Settings;
use super::watch::{Deadline, Watch};

/// How long a lock is waited for before that is told.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long is waited for further changes before the file is written.
const QUIET: Duration = Duration::from_secs(1);

/// The one who writes the file; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Saver {
    notes: SyncSender<()>,
    /// The targets, as they are by now.
    iqns: Arc<Mutex<Vec<String>>>,
}

/// What it works with.
struct Desk {
    configfs: Configfs,
    locks: LockFiles,
    iqns: Arc<Mutex<Vec<String>>>,
    file: PathBuf,
    watch: Watch,
}

impl Saver {
    /// Starts it where a file is configured.
    pub(super) fn start(settings: &Settings) -> Option<Self> {
        let desk = Desk {
            configfs: Configfs::new(&settings.configfs),
            locks: LockFiles::in_folder(&settings.lock_folder),
            iqns: Arc::default(),
            file: settings.saveconfig.clone()?,
            watch: Watch::default(),
        };
        // One note that waits stands for all changes until it is read.
        let (sender, notes) = sync_channel(1);
        let iqns = Arc::clone(&desk.iqns);
        let started = thread::Builder::new()
            .name("saveconfig".into())
            .spawn(move || desk.work(&notes));
        if let Err(error) = started {
            tracing::warn!(%error, "targetcli's file is not kept up to date");
        }
        Some(Self {
            notes: sender,
            iqns,
        })
    }

    /// Something has changed; these are our targets now.
    pub(super) fn note(&self, iqns: Vec<String>) {
        *lock(&self.iqns) = iqns;
        // When a note waits already, this change is seen with it.
        let _ = self.notes.try_send(());
    }
}

fn lock(iqns: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    iqns.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn work(&self, notes: &Receiver<()>) {
        let mut told = String::new();
        while notes.recv().is_ok() {
            // Many changes come one after the other, and each needs the locks.
            thread::sleep(QUIET);
            let _ = notes.try_recv();
            let trouble = self.save().err().unwrap_or_default();
            if trouble != told && !trouble.is_empty() {
                let file = self.file.display();
                tracing::warn!(%file, "targetcli's file is left as it is: {trouble}");
            }
            told = trouble;
        }
    }

    /// Writes what has changed, under the locks of those who use the file.
    fn save(&self) -> Result<(), String> {
        let _locks = loop {
            match self.locks.take(PATIENCE) {
                Ok(locks) => break locks,
                Err(error @ LockError::Busy { .. }) => tracing::warn!(%error, "it is waited for"),
                Err(error) => return Err(error.to_string()),
            }
        };
        let (configfs, file) = (self.configfs.clone(), self.file.clone());
        let iqns = lock(&self.iqns).clone();
        let update = move || saveconfig::update(&configfs, &iqns, &file);
        // A kernel that hangs must not keep the locks.
        let saved = self
            .watch
            .run("saving", Deadline::after(PATIENCE), update)
            .map_err(|error| error.to_string())?;
        saved
            .map(drop)
            .map_err(|error| match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            })
    }
}
