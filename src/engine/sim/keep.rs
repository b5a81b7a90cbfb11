//! What of the modelled machine survives its restart: one row per disk, group, logical volume and
//! run of content.
//!
//! A change costs what changed. Without a directory nothing is kept. It knows nothing of steps.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disks::DiskRow;
use super::extents::{Content, RunChange};
use super::machine::{GroupRow, Lv};
use crate::array::{DiskId, Error, PoolId, VolumeId};

/// Disk id → the disk, as JSON.
const DISKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("disks");
/// Group id → the group, as JSON.
const GROUPS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("groups");
/// Volume id → the volume, as JSON.
const VOLUMES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("volumes");
/// Disk id and first extent of a run → its length and content, as JSON.
const CONTENTS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("contents");
/// The number of the last thing made, and the format of everything.
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
/// The counter of what was made.
const MADE: &str = "made";
/// The format of the rows.
const FORMAT_KEY: &str = "format";
/// The format that this program writes; the first one was written without a number.
const FORMAT: u64 = 2;

/// Everything that was kept.
pub(super) struct Kept {
    pub(super) disks: Vec<DiskRow>,
    pub(super) groups: Vec<GroupRow>,
    pub(super) volumes: Vec<Lv>,
    pub(super) contents: Vec<(DiskId, u64, u64, Content)>,
    pub(super) made: u64,
}

/// What is kept of one thing; `None` for one that is gone.
pub(super) enum Row<'a> {
    Disk(&'a DiskRow),
    Group(&'a PoolId, Option<&'a GroupRow>),
    Volume(&'a VolumeId, Option<&'a Lv>),
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
        let Some(database) = &self.database else {
            return Ok(None);
        };
        let format = format_of(database).map_err(|e| unusable("read").caused_by(e))?;
        match format {
            None => Ok(None),
            Some(FORMAT) => read(database)
                .map(Some)
                .map_err(|e| unusable("read").caused_by(e)),
            Some(_) => Err(Error::not_supported(
                "the simulator's state was written by another version of this program; start with \
                 another directory, or remove simulator.redb from this one",
            )),
        }
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

    /// Commits rows as they are now, and what was noted.
    pub(super) fn commit(&mut self, rows: &[Row<'_>], made: u64) -> Result<(), Error> {
        if let Some(database) = &self.database {
            write(database, rows, &self.pending, made)
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
    rows: &[Row<'_>],
    contents: &BTreeMap<(DiskId, u64), Option<(u64, Content)>>,
    made: u64,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut disks = transaction.open_table(DISKS)?;
        let mut groups = transaction.open_table(GROUPS)?;
        let mut volumes = transaction.open_table(VOLUMES)?;
        for kept in rows {
            match kept {
                Row::Disk(disk) => disks.insert(disk.id.as_str(), &*row(disk)?)?,
                Row::Group(id, Some(group)) => groups.insert(id.as_str(), &*row(group)?)?,
                Row::Group(id, None) => groups.remove(id.as_str())?,
                Row::Volume(id, Some(volume)) => volumes.insert(id.as_str(), &*row(volume)?)?,
                Row::Volume(id, None) => volumes.remove(id.as_str())?,
            };
        }
        let mut table = transaction.open_table(CONTENTS)?;
        for ((disk, start), run) in contents {
            match run {
                Some(run) => table.insert((disk.as_str(), *start), &*row(run)?)?,
                None => table.remove((disk.as_str(), *start))?,
            };
        }
        let mut counters = transaction.open_table(COUNTERS)?;
        counters.insert(MADE, made)?;
        counters.insert(FORMAT_KEY, FORMAT)?;
    }
    transaction.commit()?;
    Ok(())
}

/// The format of what is kept; `None` where nothing is.
fn format_of(database: &Database) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_read()?;
    match transaction.open_table(COUNTERS) {
        Ok(counters) => Ok(Some(
            counters.get(FORMAT_KEY)?.map_or(1, |format| format.value()),
        )),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

fn read(database: &Database) -> Result<Kept, redb::Error> {
    let transaction = database.begin_read()?;
    let mut kept = Kept {
        disks: Vec::new(),
        groups: Vec::new(),
        volumes: Vec::new(),
        contents: Vec::new(),
        made: 0,
    };
    for entry in transaction.open_table(DISKS)?.iter()? {
        kept.disks.push(parsed(entry?.1.value())?);
    }
    for entry in transaction.open_table(GROUPS)?.iter()? {
        kept.groups.push(parsed(entry?.1.value())?);
    }
    kept.groups.sort_by_key(|group: &GroupRow| group.place);
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
    Ok(kept)
}

fn row(value: &impl Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(|e| redb::Error::Io(e.into()))
}

fn parsed<T: DeserializeOwned>(row: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(row).map_err(|e| redb::Error::Corrupted(e.to_string()))
}
