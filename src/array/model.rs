//! What an array consists of, in storage words. Plain data; sizes are in bytes.

mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use disk::{
    DISK_HEAD, DISK_METADATA, Disk, DiskKind, DiskUsage, Drive, Interconnect, Media, NEW_EXTENT,
};

use super::error::Error;
use super::ids::{
    DiskId, GroupId, InitiatorName, Iqn, JobId, Naa, PoolId, PortId, ReplicationGroupId, SessionId,
    ViewId, VolumeId, Wwn,
};
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

/// An iSCSI target. One that a client made has no port until it is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub iqn: Iqn,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// A port: a target portal group with the addresses at which it listens, or a Fibre Channel port, which
/// has none.
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

/// A Fibre Channel port of the machine through which this array shows volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FcPort {
    /// Its world-wide name.
    pub wwn: Wwn,
    /// Whether initiators can log in.
    pub enabled: bool,
    /// What it is connected to.
    pub link: FcLink,
    /// Bits per second, while it has a link.
    pub speed: Option<u64>,
    /// The most bits per second that it can have, where known.
    pub max_speed: Option<u64>,
    /// How well it is.
    pub health: Health,
}

impl FcPort {
    /// The port as all ports are.
    pub fn port(&self) -> Port {
        Port {
            id: PortId::FibreChannel(self.wwn),
            enabled: self.enabled,
            portals: Vec::new(),
            health: self.health.clone(),
        }
    }
}

/// What a Fibre Channel port is connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FcLink {
    /// Nothing, or nobody knows.
    #[default]
    Unknown,
    /// A switch, or one other port: it is an N port.
    Direct,
    /// An arbitrated loop: it is an NL port.
    Loop,
}

/// An initiator that is logged in to a port, as the kernel tells it.
///
/// A port tells of one session for each initiator: of one who has logged in several times, the
/// latest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// The handle that the target gave it (TSIH); another one after every login.
    pub handle: u16,
    /// What the initiator calls itself beside its name, where it does.
    pub alias: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// What both sides agreed upon.
    pub terms: Terms,
    /// Its TCP connections, in the order of their numbers.
    pub connections: Vec<Connection>,
    /// How well it is.
    pub health: Health,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// To ask which targets there are.
    Discovery,
    /// To reach volumes.
    Normal,
}

/// What initiator and target agreed upon at login (RFC 7143 §13); `None` where the kernel does not
/// tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How many connections the session may have.
    pub max_connections: Option<u32>,
    /// Whether the initiator waits to be asked before it sends the data of a write.
    pub initial_r2t: Option<bool>,
    /// Whether data may come with the command.
    pub immediate_data: Option<bool>,
    /// How many requests for data (R2T) may be open for one command.
    pub max_outstanding_r2t: Option<u32>,
    /// Bytes that may come without being asked for.
    pub first_burst: Option<u32>,
    /// Bytes that may come or go in one sequence.
    pub max_burst: Option<u32>,
    /// Whether sequences of data come in order.
    pub sequence_in_order: Option<bool>,
    /// Whether the pieces of a sequence come in order.
    pub pdu_in_order: Option<bool>,
    /// How much is done to recover from errors: 0 to 2.
    pub error_recovery_level: Option<u32>,
    /// Seconds to wait before connecting again.
    pub time_to_wait: Option<u32>,
    /// Seconds that the state of a lost connection is kept after that.
    pub time_to_retain: Option<u32>,
}

/// A TCP connection of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The number that the initiator gave it (CID).
    pub number: u16,
    /// The initiator's address, where the kernel tells it.
    pub from: Option<IpAddr>,
    /// The address of this array that it came to, where that is known without doubt.
    pub to: Option<SocketAddr>,
    /// How well it is.
    pub health: Health,
}

/// The portal group of a target that clients made: it has no other.
const MADE_GROUP: u16 = 1;

/// A target that a client made, or took over from another manager, as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeTarget {
    /// Its name.
    pub iqn: Iqn,
    /// Its name for people; unique among the targets.
    pub alias: String,
    /// The addresses at which its port listens. Without any it has no port, and nothing of it is
    /// in the kernel.
    pub portals: BTreeSet<SocketAddr>,
    /// Another manager made it. His files may make it again, without this array's mark: it is this
    /// array's by its name.
    #[serde(default)]
    pub taken_over: bool,
}

impl MadeTarget {
    /// The port that it has or could have.
    pub fn port(&self) -> PortId {
        PortId::Iscsi {
            iqn: self.iqn.clone(),
            tag: MADE_GROUP,
        }
    }

    /// The same target without a port.
    #[must_use]
    pub fn closed(&self) -> Self {
        Self {
            portals: BTreeSet::new(),
            ..self.clone()
        }
    }
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

/// An initiator that clients have introduced, or to whom another manager shows something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Initiator {
    /// Its name.
    pub name: InitiatorName,
    /// Foreign until somebody introduces it. What is stored is the array's.
    #[serde(skip)]
    pub owner: Owner,
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
    /// Whose it is. What is stored is the array's.
    #[serde(skip)]
    pub owner: Owner,
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
    /// Whose it is. What is stored is the array's.
    #[serde(skip)]
    pub owner: Owner,
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

impl Map {
    /// Refuses what no kernel can show: the initiator is of another fabric than the port.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](super::Kind::InvalidArgument).
    pub fn check_fabric(&self) -> Result<(), Error> {
        match self.port.is_reached_by(&self.initiator) {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "initiator {} is of {} and cannot reach port {}, which is of {}",
                self.initiator,
                self.initiator.fabric(),
                self.port,
                self.port.fabric()
            ))),
        }
    }

    /// Where it is: nothing else can be there at the same time.
    pub fn nexus(&self) -> Nexus {
        (self.initiator.clone(), self.port.clone(), self.lun)
    }
}

/// A number of an initiator's on a port.
pub type Nexus = (InitiatorName, PortId, u16);

/// A map that was taken away. The initiator may hold a path to it for a while, which would lead to
/// another disk if the number were given to another volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// What was shown.
    pub map: Map,
    /// Since when it is not: microseconds since 1970.
    pub since: u64,
}

/// The greatest LUN number that 14 bits hold (SAM-5, flat space addressing); above it there are longer
/// forms that few initiators know.
pub const MAX_LUN: u16 = 16_383;
/// The number that is tried first: some initiators treat number 0 as special.
pub const FIRST_LUN: u16 = 1;
