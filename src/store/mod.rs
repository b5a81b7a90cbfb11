//! The one transactional store: what must survive a restart and lives nowhere else.
//!
//! Records are serde data under a table and a key; what they mean is not known here. A [`Batch`]
//! of changes is itself data, so that a journal entry can hold the changes that its work will end
//! in. The file format is that of an embedded database (redb).

use std::fmt;
use std::path::Path;

use redb::{Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Table {
    /// Facts about the system itself: its name, the format version.
    System,
    /// Initiators that clients introduced.
    Initiators,
    /// Volume groups that this array made.
    Pools,
    /// Targets that clients made.
    Targets,
    /// Qualities of service that clients made.
    Settings,
    /// Groups of volumes that are replicated together.
    ReplicationGroups,
    /// Masking groups.
    Groups,
    /// Masking views.
    Views,
    /// Device numbers that were hidden from initiators a while ago.
    Retired,
    /// Jobs that are visible.
    Jobs,
    /// The calls that those came from.
    Calls,
    /// Work that began and has not ended.
    Journal,
}

impl Table {
    const ALL: [Self; 12] = [
        Self::System,
        Self::Initiators,
        Self::Pools,
        Self::Targets,
        Self::Settings,
        Self::ReplicationGroups,
        Self::Groups,
        Self::Views,
        Self::Retired,
        Self::Jobs,
        Self::Calls,
        Self::Journal,
    ];

    const fn definition(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(match self {
            Self::System => "system",
            Self::Initiators => "initiators",
            Self::Pools => "pools",
            Self::Targets => "targets",
            Self::Settings => "settings",
            Self::ReplicationGroups => "replication_groups",
            Self::Groups => "groups",
            Self::Views => "views",
            Self::Retired => "retired",
            Self::Jobs => "jobs",
            Self::Calls => "calls",
            Self::Journal => "journal",
        })
    }
}

/// Why the store could not do what was asked.
#[derive(Debug)]
pub struct StoreError {
    doing: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store could not be {}", self.doing)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}

fn during<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError {
        doing,
        source: source.into(),
    }
}

/// Changes that take effect together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch(Vec<(Table, String, Option<String>)>);

impl Batch {
    /// Nothing to change.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds or replaces a record.
    ///
    /// # Panics
    /// If the record cannot be written as JSON, which no type of this crate does.
    pub fn put(&mut self, table: Table, key: impl Into<String>, record: &impl Serialize) {
        let text = serde_json::to_string(record).expect("records are plain data with string keys");
        self.0.push((table, key.into(), Some(text)));
    }

    /// Removes a record, if it is there.
    pub fn remove(&mut self, table: Table, key: impl Into<String>) {
        self.0.push((table, key.into(), None));
    }

    /// Adds the changes of another batch after these.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Whether there is nothing to change.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The store. One process at a time has it open.
#[derive(Debug)]
pub struct Store(redb::Database);

impl Store {
    /// Opens the store in that file; makes it if it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened or is damaged, or another process has it open.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let database = redb::Database::create(file).map_err(during("opened"))?;
        Self::with_tables(database)
    }

    /// A store that is gone when it is dropped.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::over(redb::backends::InMemoryBackend::new())
    }

    /// A store on a storage of the caller's: memory that outlives it, or storage that fails.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn over(backend: impl redb::StorageBackend) -> Result<Self, StoreError> {
        let database = redb::Database::builder()
            .create_with_backend(backend)
            .map_err(during("opened"))?;
        Self::with_tables(database)
    }

    fn with_tables(database: redb::Database) -> Result<Self, StoreError> {
        let make = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            for table in Table::ALL {
                transaction.open_table(table.definition())?;
            }
            Ok(transaction.commit()?)
        };
        make().map_err(during("prepared"))?;
        Ok(Self(database))
    }

    /// All records of a table with their keys, in the order of the keys.
    ///
    /// # Errors
    /// When the store cannot be read, or a record is not a `T`.
    pub fn load<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<(String, T)>, StoreError> {
        let read = || -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
            let transaction = self.0.begin_read()?;
            let table = transaction.open_table(table.definition())?;
            table
                .iter()?
                .map(|row| Ok(row.map(|(k, v)| (k.value().into(), v.value().into()))?))
                .collect()
        };
        let rows = read().map_err(during("read"))?;
        rows.into_iter()
            .map(|(key, bytes)| {
                let record = serde_json::from_slice(&bytes).map_err(during("understood"))?;
                Ok((key, record))
            })
            .collect()
    }

    /// Makes the changes, durably, in one transaction.
    ///
    /// # Errors
    /// When they could not be written; then none of them is.
    pub fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.commit(batch, Durability::Immediate)
    }

    /// Makes the changes in one transaction that becomes durable with the next durable one, or
    /// when the store is closed. For what may be lost if the power fails.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_soon(&self, batch: &Batch) -> Result<(), StoreError> {
        self.commit(batch, Durability::None)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.0.begin_write()?;
            transaction.set_durability(durability)?;
            for (table, key, record) in &batch.0 {
                let mut table = transaction.open_table(table.definition())?;
                match record {
                    Some(text) => table.insert(key.as_str(), text.as_bytes())?,
                    None => table.remove(key.as_str())?,
                };
            }
            Ok(transaction.commit()?)
        };
        write().map_err(during("written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_effect_as_a_whole_and_survives() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store");
        let mut batch = Batch::new();
        batch.put(Table::Groups, "b", &2);
        batch.put(Table::Groups, "a", &1);
        batch.put(Table::Views, "v", &"x");
        batch.remove(Table::Groups, "none");
        Store::open(&file).unwrap().write(&batch).unwrap();

        let store = Store::open(&file).unwrap();
        assert_eq!(
            store.load::<u8>(Table::Groups).unwrap(),
            [("a".into(), 1), ("b".into(), 2)]
        );
        assert_eq!(
            store.load::<String>(Table::Views).unwrap(),
            [("v".into(), "x".into())]
        );
        assert!(
            store.load::<u8>(Table::Views).is_err(),
            "a record of another shape is an error"
        );

        let mut batch = Batch::new();
        batch.remove(Table::Groups, "a");
        store.write(&batch).unwrap();
        assert_eq!(store.load::<u8>(Table::Groups).unwrap(), [("b".into(), 2)]);
    }

    #[test]
    fn what_is_written_soon_is_read_at_once_and_kept_when_the_store_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store");
        let store = Store::open(&file).unwrap();
        let mut batch = Batch::new();
        batch.put(Table::Calls, "a", &1);
        store.write_soon(&batch).unwrap();
        let expected = [("a".into(), 1)];
        assert_eq!(store.load::<u8>(Table::Calls).unwrap(), expected);
        drop(store);
        let store = Store::open(&file).unwrap();
        assert_eq!(store.load::<u8>(Table::Calls).unwrap(), expected);
    }

    #[test]
    fn batches_are_data() {
        let mut batch = Batch::new();
        batch.put(Table::Groups, "a", &1);
        batch.remove(Table::Views, "v");
        let text = serde_json::to_string(&batch).unwrap();
        assert_eq!(serde_json::from_str::<Batch>(&text).unwrap(), batch);
    }

    #[test]
    fn a_second_process_and_a_damaged_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store");
        let _held = Store::open(&file).unwrap();
        assert!(Store::open(&file).is_err());
        let damaged = dir.path().join("damaged");
        std::fs::write(&damaged, b"not a store, and long enough to be looked at").unwrap();
        assert!(Store::open(&damaged).is_err());
    }
}
