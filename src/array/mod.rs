//! The storage domain in storage words: pools, volumes, initiators, groups, views, jobs.
//!
//! One who reads this room understands the product without knowing CIM. It knows no XML, no HTTP
//! and no CIM; engines lie behind [`Engine`], durable records in the store.
//!
//! The way of a change: [`Command`] → `plan` (pure: steps with undo, changed records) → `work`
//! (journal, steps, verification) → new [`Inventory`]. Reads never leave the inventory.

mod change;
mod command;
mod engine;
mod error;
mod handle;
mod ids;
mod inventory;
mod job;
mod locks;
mod model;
mod plan;
mod start;
mod work;

pub use command::{Command, Effect};
pub use engine::{Engine, Facts, ForeignMap, PoolFacts, Progress, Step, Subject, Unwatched};
pub use error::{Error, Kind};
pub use handle::{Array, Ticket, Waited};
pub use ids::{DiskId, GroupId, InitiatorName, Iqn, JobId, Naa, PoolId, PortId, ViewId, VolumeId};
pub use inventory::{Ailing, Inventory, SystemName};
pub use job::{Area, Element, JOB_RETENTION, Job, JobState};
pub use model::{
    Disk, FIRST_LUN, Group, GroupKind, Health, Initiator, MAX_LUN, Map, Members, Nic, Owner, Pool,
    Port, Target, View, Volume,
};
pub use plan::{MAX_NAME, SizeRange, size_range};
