//! What an array consists of, in storage words. Plain data; sizes are in bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::ids::{
    DiskId, GroupId, InitiatorName, Iqn, JobId, Naa, PoolId, PortId, ViewId, VolumeId,
};

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

/// A pool of storage: an LVM volume group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Its identity.
    pub id: PoolId,
    /// Its name, as administrators know it.
    pub name: String,
    /// Bytes in whole extents.
    pub size: u64,
    /// Bytes in free extents.
    pub free: u64,
    /// Bytes of the largest volume that can be created or added now: what is free, less what the
    /// engine keeps back; 0 while creates are stopped.
    pub available: u64,
    /// Bytes of one extent; every volume is a multiple of it.
    pub extent: u64,
    /// The disks that it lies on.
    pub disks: Vec<DiskId>,
    /// How well it is.
    pub health: Health,
}

/// Whose volume it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// Made or adopted by this array.
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
    /// Bytes that it takes from its pool.
    pub consumed: u64,
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
}

/// A disk that pools lie on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Its identity.
    pub id: DiskId,
    /// Its device, e.g. `/dev/sdb`.
    pub device: String,
    /// Bytes.
    pub size: u64,
    /// The pool that it belongs to.
    pub pool: Option<PoolId>,
    /// Bytes that the pool uses of it.
    pub used: u64,
    /// How well it is.
    pub health: Health,
}

/// An iSCSI target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub iqn: Iqn,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// A port: a target portal group with the addresses at which it listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Its identity.
    pub id: PortId,
    /// Whether initiators can log in.
    pub enabled: bool,
    /// The addresses; `0.0.0.0` and `[::]` stand for every address of the machine.
    pub portals: Vec<SocketAddr>,
    /// How well it is.
    pub health: Health,
}

/// A network interface through which portals are reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nic {
    /// Its name, e.g. `eth0`.
    pub name: String,
    /// Its hardware address: 12 upper-case hex digits; empty for interfaces without one.
    pub mac: String,
    /// Bits per second, where known.
    pub speed: Option<u64>,
    /// Whether it has a link.
    pub up: bool,
    /// Its addresses with the length of the network prefix.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// An initiator that clients have introduced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Initiator {
    /// Its name.
    pub name: InitiatorName,
}

/// What a masking group holds; the kind of the group with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Members {
    /// Who may see the devices.
    Initiators(BTreeSet<InitiatorName>),
    /// Through which ports.
    Ports(BTreeSet<PortId>),
    /// Which devices, in the order in which they were added.
    Volumes(Vec<VolumeId>),
}

/// The kind of a masking group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum GroupKind {
    Initiators,
    Ports,
    Volumes,
}

impl GroupKind {
    /// What its members are called.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Initiators => "initiator",
            Self::Ports => "target port",
            Self::Volumes => "device",
        }
    }
}

impl Members {
    /// No members of that kind.
    pub fn none(kind: GroupKind) -> Self {
        match kind {
            GroupKind::Initiators => Self::Initiators(BTreeSet::new()),
            GroupKind::Ports => Self::Ports(BTreeSet::new()),
            GroupKind::Volumes => Self::Volumes(Vec::new()),
        }
    }

    /// The kind of the group that holds them.
    pub const fn kind(&self) -> GroupKind {
        match self {
            Self::Initiators(_) => GroupKind::Initiators,
            Self::Ports(_) => GroupKind::Ports,
            Self::Volumes(_) => GroupKind::Volumes,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Initiators(set) => set.len(),
            Self::Ports(set) => set.len(),
            Self::Volumes(list) => list.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A masking group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its identity.
    pub id: GroupId,
    /// Its name; unique among the groups of its kind.
    pub name: String,
    /// Its members.
    pub members: Members,
    /// It goes when its last member goes.
    pub delete_on_empty: bool,
    /// It goes when its last view goes.
    pub delete_when_unassociated: bool,
}

/// A masking view: who sees what under which number through which ports.
///
/// A view that lacks a group shows nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Its identity.
    pub id: ViewId,
    /// Its name; unique among views.
    pub name: String,
    /// Who.
    pub initiators: Option<GroupId>,
    /// Through which ports.
    pub ports: Option<GroupId>,
    /// What.
    pub volumes: Option<GroupId>,
    /// The number of each volume: the same for all initiators and ports of the view.
    pub luns: BTreeMap<VolumeId, u16>,
}

impl View {
    /// The groups that it has.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        [self.initiators, self.ports, self.volumes]
            .into_iter()
            .flatten()
    }

    /// Its group of that kind.
    pub fn group(&self, kind: GroupKind) -> Option<GroupId> {
        match kind {
            GroupKind::Initiators => self.initiators,
            GroupKind::Ports => self.ports,
            GroupKind::Volumes => self.volumes,
        }
    }

    /// The place of its group of that kind.
    pub fn group_mut(&mut self, kind: GroupKind) -> &mut Option<GroupId> {
        match kind {
            GroupKind::Initiators => &mut self.initiators,
            GroupKind::Ports => &mut self.ports,
            GroupKind::Volumes => &mut self.volumes,
        }
    }
}

/// One initiator sees one volume through one port under one number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Map {
    /// Through which port.
    pub port: PortId,
    /// Who.
    pub initiator: InitiatorName,
    /// Under which number.
    pub lun: u16,
    /// What.
    pub volume: VolumeId,
}

/// The greatest LUN number that every kind of initiator can address.
pub const MAX_LUN: u16 = 255;
/// The number that is tried first: some initiators treat number 0 as special.
pub const FIRST_LUN: u16 = 1;
