//! The storage domain in storage words: pools, volumes, initiators, groups, views, jobs.
//!
//! One who reads this room understands the product without knowing CIM. It knows no XML, no HTTP
//! and no CIM; engines lie behind [`Engine`], durable records in the store.
//!
//! The way of a change: [`Command`] → `plan` (pure: steps with undo, changed records) → `work`
//! (journal, steps, verification) → new [`Inventory`]. Reads never leave the inventory.

mod change;
mod chap;
mod claims;
mod command;
mod course;
mod drift;
mod engine;
mod error;
mod handle;
mod ids;
mod inventory;
mod job;
mod layout;
mod locks;
mod model;
mod plan;
mod quality;
mod start;
mod step;
mod work;

pub use chap::{Chap, ChapTable, ChapUser, Login, Secret};
pub use command::{Command, Copying, Effect, Growth};
pub use drift::DriftPolicy;
pub use engine::{Engine, Facts, ForeignMap, GroupFacts, Progress, Takeover, Unwatched, cancelled};
pub use error::{Error, Kind};
pub use handle::{Array, Ticket, Waited};
pub use ids::{
    DiskId, Fabric, GroupId, InitiatorName, Iqn, JobId, Naa, PoolId, PortId, ReplicationGroupId,
    SessionId, SettingId, ViewId, VolumeId, Wwn,
};
pub use inventory::{Ailing, Inventory, Policy, SystemName, excludes};
pub use job::{
    Area, Call, Element, JOB_RETENTION, Job, JobState, MAX_CALL, MAX_FINISHED, MAX_RETENTION,
    Retention,
};
pub use layout::Layout;
pub use model::{
    Connection, DISK_HEAD, DISK_METADATA, Disk, DiskKind, DiskUsage, Drive, FIRST_LUN, FcLink,
    FcPort, Group, GroupKind, Health, Initiator, Interconnect, MAX_LUN, MadeTarget, Map, Media,
    Members, NEW_EXTENT, Nexus, Nic, Owner, Piece, Pool, PoolKind, Port, Purpose, Replica,
    ReplicaKind, ReplicationGroup, Retired, Session, Target, Terms, Thin, Torn, Trouble, View,
    Volume,
};
pub use plan::{
    MAX_AT_ONCE, MAX_NAME, SizeRange, abilities, group_size, group_size_range, pool_size_range,
    size_range,
};
pub use quality::{Abilities, Bounds, MAX_STRIPES, Quality, Setting};
pub use step::{Erasing, Place, Relation, SNAPSHOT_CHUNK, Snap, Step, Subject, Taken, VolumeGroup};
