//! What an array consists of, in storage words. Plain data; sizes are in bytes.

mod disk;
mod masking;
mod target;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use disk::{
    DISK_HEAD, DISK_METADATA, Disk, DiskKind, DiskUsage, Drive, Interconnect, Media, NEW_EXTENT,
};
pub use masking::{
    FIRST_LUN, Group, GroupKind, Initiator, MAX_LUN, Map, Members, Nexus, Retired, View,
};
pub use target::{
    Connection, FcLink, FcPort, MadeTarget, Nic, Port, Purpose, Session, Target, Terms,
};

use super::ids::{DiskId, JobId, Naa, PoolId, ReplicationGroupId, VolumeId};
use super::layout::Layout;

/// How well something is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// It works.
    #[default]
    Ok,
    /// It works, but something is wrong: one sentence.
    Degraded(String),
    /// It does not work: one sentence.
    Failed(String),
    /// Nobody could find out: one sentence.
    Unknown(String),
}

impl Health {
    /// What is wrong.
    pub fn sentence(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::Degraded(why) | Self::Failed(why) | Self::Unknown(why) => Some(why),
        }
    }
}

/// A pool of storage: a volume group, or a thin pool within one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Its identity.
    pub id: PoolId,
    /// Its name, as administrators know it.
    pub name: String,
    /// The name of the volume group, or of the thin pool's logical volume.
    pub device: String,
    /// What it is made of.
    pub kind: PoolKind,
    /// Whose it is: volumes are made in a group of somebody else that the configuration names, and
    /// disks are added to it, but only a pool of this array is renamed or removed.
    pub owner: Owner,
    /// Set while the job that makes or removes it is unfinished.
    pub job: Option<JobId>,
    /// Bytes in whole extents; of a thin pool, the bytes for data.
    pub size: u64,
    /// Bytes that nothing is stored in.
    pub free: u64,
    /// Bytes that creates may take: what is free, less what the engine keeps back; 0 while creates
    /// are stopped.
    pub available: u64,
    /// Bytes of one extent; every volume is a multiple of it.
    pub extent: u64,
    /// The disks that it lies on.
    pub disks: Vec<DiskId>,
    /// How well it is.
    pub health: Health,
}

/// What a pool is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PoolKind {
    /// Disks: a volume group.
    Group {
        /// Bytes that it keeps as a spare for the metadata of its thin pools.
        spare: u64,
    },
    /// A part of a group.
    Thin(Thin),
}

/// What makes a thin pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thin {
    /// The group that it lies in.
    pub group: PoolId,
    /// Bytes that its volumes have together: what hosts were promised.
    pub promised: u64,
    /// Bytes that it takes from the group: data and metadata with all their copies.
    pub consumed: u64,
    /// Bytes for metadata.
    pub metadata: u64,
    /// Bytes of the metadata in use, where the kernel tells it.
    pub metadata_used: Option<u64>,
    /// How its data lies on disks.
    pub layout: Layout,
    /// Where its data lies.
    pub pieces: Vec<Piece>,
}

impl Pool {
    /// What makes it a thin pool, if it is one.
    pub fn thin(&self) -> Option<&Thin> {
        match &self.kind {
            PoolKind::Group { .. } => None,
            PoolKind::Thin(thin) => Some(thin),
        }
    }

    /// The volume group: the pool itself, or the one that a thin pool lies in.
    pub fn group(&self) -> &PoolId {
        self.thin().map_or(&self.id, |thin| &thin.group)
    }
}

/// Whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// Made or adopted by this array.
    #[default]
    Array,
    /// Somebody else's: shown, never changed.
    Foreign,
}

/// A volume: an LVM logical volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// Its identity.
    pub id: VolumeId,
    /// The name that users gave it, or the device's where they gave none.
    pub name: String,
    /// The name of the logical volume.
    pub device: String,
    /// The pool that it lies in.
    pub pool: PoolId,
    /// Bytes that a host can use.
    pub size: u64,
    /// Bytes that it takes from its pool, with all copies and parity; `None` for a thin volume of
    /// which the kernel does not tell it.
    pub consumed: Option<u64>,
    /// How it lies on disks; of a thin volume, how the data of its pool does.
    pub layout: Layout,
    /// Where it lies; empty for a thin volume, whose pool knows.
    pub pieces: Vec<Piece>,
    /// What hosts see.
    pub naa: Naa,
    /// Whose it is.
    pub owner: Owner,
    /// Set while the job that makes, grows or removes it is unfinished: not to be exported.
    pub job: Option<JobId>,
    /// Who holds it open other than this array's exports, e.g. "mounted at /srv".
    pub held_by: Option<String>,
    /// When it was made, in microseconds since 1970, where that is known.
    pub created: Option<u64>,
    /// How well it is.
    pub health: Health,
    /// Which of its legs do not work though their disks are there.
    pub trouble: Trouble,
    /// How many of its legs do not hold all that they should, by what the kernel tells.
    pub behind: u16,
    /// What it is a replica of, if it is one. Where that is no longer there, nobody is told.
    pub replica: Option<Replica>,
    /// Why it holds neither what it held before nor what it was to hold, if it does not.
    pub torn: Option<Torn>,
}

/// What ended midway on a volume, or has not ended yet. A copy onto it that ends well heals it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Torn {
    /// A copy onto it.
    Copied,
    /// Erasing it, so that it could be removed.
    Erased,
}

impl Torn {
    /// What is wrong with the volume, and what is to be done.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Copied => {
                "a copy onto it ended midway, and it holds neither its old content nor another \
                 one; restore or resynchronise it again"
            }
            Self::Erased => {
                "it was being erased to be deleted, and what it held is gone or incomplete; delete \
                 it again"
            }
        }
    }
}

/// What makes a volume the replica of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// What it was made from.
    pub source: VolumeId,
    /// How the two hang together.
    pub kind: ReplicaKind,
    /// The moment whose content it was given, in microseconds since 1970, where that is known.
    pub taken: Option<u64>,
}

/// How a replica and its source hang together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaKind {
    /// A snapshot of a thin volume, in its pool: each block is shared until one of the two changes
    /// it. Neither needs the other.
    Shared,
    /// A snapshot of a volume on disks, in its group: it keeps what has changed on either side, and
    /// is nothing without its source. The two have one size.
    Delta {
        /// Bytes for what changes, all told; taken from the group.
        room: u64,
        /// Bytes of that in use, where the kernel tells it.
        used: Option<u64>,
        /// More changed than there was room for: its content is lost.
        broken: bool,
    },
    /// A complete copy. Neither needs the other.
    Clone,
}

/// Volumes that are replicated together, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationGroup {
    /// Its identity.
    pub id: ReplicationGroupId,
    /// Its name; unique among these groups.
    pub name: String,
    /// Its members. Those that were removed past the array are not there any more.
    pub members: Vec<VolumeId>,
    /// It goes when its last member is taken from it.
    pub delete_on_empty: bool,
    /// The group whose members its own members were made from, each from the one at its place, all
    /// at one moment.
    pub source: Option<ReplicationGroupId>,
}

impl Volume {
    /// How many disks can fail now without loss of data: fewer than its layout promises while legs
    /// are brought into step.
    pub fn survives(&self) -> u16 {
        self.layout.survives().saturating_sub(self.behind)
    }

    /// Complete copies of the data that it has now.
    pub fn copies(&self) -> u16 {
        match (self.layout, self.behind) {
            (Layout::Mirrored { copies }, behind) => copies.saturating_sub(behind).max(1),
            (Layout::MirroredStripes { .. }, 1..) => 1,
            (layout, _) => layout.copies(),
        }
    }

    /// The source without which it is nothing, if it is such a snapshot.
    pub fn depends_on(&self) -> Option<&VolumeId> {
        let replica = self.replica.as_ref()?;
        matches!(replica.kind, ReplicaKind::Delta { .. }).then_some(&replica.source)
    }

    /// Whether it is a snapshot that has lost its content.
    pub fn is_broken(&self) -> bool {
        let kind = self.replica.as_ref().map(|replica| &replica.kind);
        matches!(kind, Some(ReplicaKind::Delta { broken: true, .. }))
    }
}

/// The legs of a volume that do not work though their disks are there, by what heals them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Their disk was away and is there again; the kernel still holds the device that is gone. They
    /// are opened anew.
    pub stale: BTreeSet<u16>,
    /// Reads or writes of them failed, and RAID goes on without them. They are put on other disks.
    pub failing: BTreeSet<u16>,
}

impl Trouble {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stale.is_empty() && self.failing.is_empty()
    }
}

/// Neighbouring bytes of a disk that belong to a volume or thin pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The disk.
    pub disk: DiskId,
    /// Which of the layout's [legs](Layout::legs) it belongs to, counted from 0.
    pub leg: u16,
    /// The first byte, from the start of the disk.
    pub start: u64,
    /// How many bytes.
    pub length: u64,
}
