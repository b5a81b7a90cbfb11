//! Disks: what they are, what they are used for, and what the kernel knows of them.

use serde::{Deserialize, Serialize};

use super::Health;
use crate::array::ids::{DiskId, PoolId};

/// Bytes at the beginning of a disk that a group does not give to volumes, at most: 16 MiB for the
/// descriptions of many thousand of these, and 1 MiB to which LVM aligns what comes behind them (a
/// disk whose I/O is best aligned to more loses that much).
pub const DISK_HEAD: u64 = DISK_METADATA + (1 << 20);
/// Bytes of metadata on each disk of a group.
pub const DISK_METADATA: u64 = 16 << 20;
/// Bytes of an extent of a new group.
pub const NEW_EXTENT: u64 = 4 << 20;

/// A block device that pools lie on, or can be made from, or that such a one is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Its identity.
    pub id: DiskId,
    /// Its device, e.g. `/dev/sdb`.
    pub device: String,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub kind: DiskKind,
    /// What it is used for.
    pub usage: DiskUsage,
    /// How well it is.
    pub health: Health,
}

impl Disk {
    /// The pool that it belongs to.
    pub fn pool(&self) -> Option<&PoolId> {
        match &self.usage {
            DiskUsage::Member { pool, .. } => Some(pool),
            DiskUsage::Free | DiskUsage::Taken(_) => None,
        }
    }

    /// Whether what lies on it can be used. One that is degraded still can.
    pub fn works(&self) -> bool {
        !matches!(self.health, Health::Failed(_))
    }

    /// Whether it was away, and its pool has to take it back.
    pub fn is_returned(&self) -> bool {
        matches!(self.usage, DiskUsage::Member { returned: true, .. })
    }

    /// Bytes in free extents of its pool.
    pub fn free(&self) -> u64 {
        match &self.usage {
            DiskUsage::Member { free, .. } => *free,
            DiskUsage::Free | DiskUsage::Taken(_) => 0,
        }
    }

    /// The disks that it is a part of or made of; none for a drive.
    pub fn below(&self) -> &[DiskId] {
        match &self.kind {
            DiskKind::Drive(_) => &[],
            DiskKind::Partition { of, .. } => std::slice::from_ref(of),
            DiskKind::Raid { of, .. } => of,
        }
    }
}

/// What a disk is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DiskKind {
    /// A drive, whole; a multipath device counts as the drive that its paths lead to.
    Drive(Drive),
    /// A partition.
    Partition {
        /// The disk that it is a part of.
        of: DiskId,
        /// Its first byte there.
        start: u64,
    },
    /// A software RAID array (md), or another device that the kernel stacks upon others.
    Raid {
        /// Its level as the kernel calls it, e.g. `raid1`; of another device, what stacks it, e.g.
        /// `crypt`.
        level: String,
        /// Its members.
        of: Vec<DiskId>,
    },
}

/// What the kernel knows of a drive; `None` where it does not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drive {
    /// Who made it.
    pub vendor: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The revision of its firmware.
    pub firmware: Option<String>,
    /// Its world-wide name: hex digits without prefix.
    pub wwn: Option<String>,
    /// What stores the data.
    pub media: Media,
    /// What it is connected by.
    pub interconnect: Interconnect,
}

/// What stores the data of a drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Media {
    #[default]
    Unknown,
    Rotating,
    SolidState,
}

/// What a drive is connected by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Interconnect {
    #[default]
    Unknown,
    Ata,
    Sata,
    Sas,
    FibreChannel,
    Iscsi,
    Nvme,
    Usb,
    Virtio,
}

/// What a disk is used for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DiskUsage {
    /// It belongs to a pool.
    Member {
        /// Which one.
        pool: PoolId,
        /// Bytes in used extents.
        used: u64,
        /// Bytes in free extents.
        free: u64,
        /// Whether it was away when something was noted down in the pool, and is there again: it is
        /// not used until the pool takes it back.
        #[serde(default)]
        returned: bool,
    },
    /// Pools can be made from it.
    Free,
    /// Neither; why, in one sentence.
    Taken(String),
}
