//! What of the modelled machine survives its restart: one row per pool, volume and run of content.
//!
//! A change costs what changed. Without a directory nothing is kept. It knows nothing of steps.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::extents::{Content, RunChange};
use super::machine::{Lv, PoolRow};
use crate::array::{DiskId, Error, VolumeId};

/// Place → the pool, as JSON.
const POOLS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("pools");
/// Volume id → the volume, as JSON.
const VOLUMES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("volumes");
/// Disk id and first extent of a run → its length and content, as JSON.
const CONTENTS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("contents");
/// The number of the last volume made, under the key "made".
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
/// The counter of volumes made.
const MADE: &str = "made";

/// Everything that was kept.
pub(super) struct Kept {
    pub(super) pools: Vec<PoolRow>,
    pub(super) volumes: Vec<Lv>,
    pub(super) contents: Vec<(DiskId, u64, u64, Content)>,
    pub(super) made: u64,
}

/// The place where state is kept, if there is one.
#[derive(Default)]
pub(super) struct Keep {
    database: Option<Database>,
    /// Content changes that are not yet written.
    pending: BTreeMap<(DiskId, u64), Option<(u64, Content)>>,
}

impl Keep {
    /// Opens the state in that directory, or begins one there.
    pub(super) fn open(directory: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(directory).map_err(|e| unusable("opened").caused_by(e))?;
        let database = Database::create(directory.join("simulator.redb"))
            .map_err(|e| unusable("opened").caused_by(e))?;
        Ok(Self {
            database: Some(database),
            pending: BTreeMap::new(),
        })
    }

    /// What was kept, if anything was.
    pub(super) fn load(&self) -> Result<Option<Kept>, Error> {
        match &self.database {
            Some(database) => read(database).map_err(|e| unusable("read").caused_by(e)),
            None => Ok(None),
        }
    }

    /// Writes the pools, once, in the transaction that also writes the first volumes.
    pub(super) fn begin(
        &mut self,
        pools: &[PoolRow],
        volumes: &[&Lv],
        made: u64,
    ) -> Result<(), Error> {
        let rows: Vec<_> = volumes.iter().map(|lv| (&lv.id, Some(*lv))).collect();
        self.write(pools, &rows, made)
    }

    /// Notes what changed on a disk, to be written with the next commit.
    pub(super) fn note(&mut self, disk: &DiskId, changes: Vec<RunChange>) {
        if self.database.is_some() {
            let keyed = changes
                .into_iter()
                .map(|(start, run)| ((disk.clone(), start), run));
            self.pending.extend(keyed);
        }
    }

    /// Commits volumes as they are now, or `None` for one that is gone, and what was noted.
    pub(super) fn commit(
        &mut self,
        volumes: &[(&VolumeId, Option<&Lv>)],
        made: u64,
    ) -> Result<(), Error> {
        self.write(&[], volumes, made)
    }

    fn write(
        &mut self,
        pools: &[PoolRow],
        volumes: &[(&VolumeId, Option<&Lv>)],
        made: u64,
    ) -> Result<(), Error> {
        if let Some(database) = &self.database {
            write(database, pools, volumes, &self.pending, made)
                .map_err(|e| unusable("written").caused_by(e))?;
            self.pending.clear();
        }
        Ok(())
    }
}

fn unusable(verb: &str) -> Error {
    Error::unavailable(format!(
        "the simulator's state cannot be {verb}; see the log and check its directory"
    ))
}

fn write(
    database: &Database,
    pools: &[PoolRow],
    volumes: &[(&VolumeId, Option<&Lv>)],
    contents: &BTreeMap<(DiskId, u64), Option<(u64, Content)>>,
    made: u64,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(POOLS)?;
        for (place, pool) in (0u32..).zip(pools) {
            table.insert(place, &*row(pool)?)?;
        }
        let mut table = transaction.open_table(VOLUMES)?;
        for (id, volume) in volumes {
            match volume {
                Some(volume) => table.insert(id.as_str(), &*row(volume)?)?,
                None => table.remove(id.as_str())?,
            };
        }
        let mut table = transaction.open_table(CONTENTS)?;
        for ((disk, start), run) in contents {
            match run {
                Some(run) => table.insert((disk.as_str(), *start), &*row(run)?)?,
                None => table.remove((disk.as_str(), *start))?,
            };
        }
        transaction.open_table(COUNTERS)?.insert(MADE, made)?;
    }
    transaction.commit()?;
    Ok(())
}

fn read(database: &Database) -> Result<Option<Kept>, redb::Error> {
    let transaction = database.begin_read()?;
    let pools = match transaction.open_table(POOLS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let mut kept = Kept {
        pools: Vec::new(),
        volumes: Vec::new(),
        contents: Vec::new(),
        made: 0,
    };
    for entry in pools.iter()? {
        kept.pools.push(parsed(entry?.1.value())?);
    }
    for entry in transaction.open_table(VOLUMES)?.iter()? {
        kept.volumes.push(parsed(entry?.1.value())?);
    }
    for entry in transaction.open_table(CONTENTS)?.iter()? {
        let (key, run) = entry?;
        let (disk, start) = key.value();
        let (length, content) = parsed(run.value())?;
        kept.contents.push((disk.into(), start, length, content));
    }
    if let Some(made) = transaction.open_table(COUNTERS)?.get(MADE)? {
        kept.made = made.value();
    }
    Ok(Some(kept))
}

fn row(value: &impl Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(|e| redb::Error::Io(e.into()))
}

fn parsed<T: DeserializeOwned>(row: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(row).map_err(|e| redb::Error::Corrupted(e.to_string()))
}
