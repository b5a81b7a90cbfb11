//! The storage domain in storage words: pools, volumes, initiators, groups, views, jobs.
//!
//! One who reads this room understands the product without knowing CIM. It knows no XML, no HTTP
//! and no CIM; engines lie behind [`Engine`], durable records in the store.

mod engine;
mod error;
mod ids;
mod model;

pub use engine::{Engine, Facts, ForeignMap, PoolFacts, Progress, Step, Subject, Unwatched};
pub use error::{Error, Kind};
pub use ids::{DiskId, GroupId, InitiatorName, Iqn, JobId, Naa, PoolId, PortId, ViewId, VolumeId};
pub use model::{
    Disk, FIRST_LUN, Group, GroupKind, Health, Initiator, MAX_LUN, Map, Members, Nic, Owner, Pool,
    Port, Target, View, Volume,
};
