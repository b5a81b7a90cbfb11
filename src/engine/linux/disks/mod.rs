//! The disks below the pools and those that pools can be made from.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::blockdev::Places;
use super::lvm::names::DevicePath;
use super::lvm::report::PvRow;
use super::settings::Settings;
use super::watch::Deadline;
use crate::array::{Disk, DiskId, DiskKind, DiskUsage, Drive, Error, Health, PoolId};

/// A physical volume of a managed volume group, as LVM tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The path of its device (`pv_name`); anything where the device is missing.
    pub device: String,
    /// Its UUID (`pv_uuid`).
    pub pv: String,
    /// The pool that it belongs to.
    pub pool: PoolId,
    /// Bytes in used extents.
    pub used: u64,
    /// Bytes in free extents.
    pub free: u64,
    /// Whether LVM counts it as missing.
    pub missing: bool,
}

impl From<&PvRow> for Member {
    fn from(row: &PvRow) -> Self {
        let (size, free) = (
            row.pv_size.unwrap_or_default(),
            row.pv_free.unwrap_or_default(),
        );
        Self {
            device: row.pv_name.clone(),
            pv: row.pv_uuid.clone(),
            pool: PoolId::from(row.vg_uuid.as_str()),
            used: size.saturating_sub(free),
            free,
            missing: !row.pv_missing.is_empty(),
        }
    }
}

/// Disks at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The disks that the configuration allows, those below members, and those that these are
    /// parts of or made of; always in the same order.
    pub disks: Vec<Disk>,
    /// The disk of each member, by the UUID of its physical volume.
    pub ids: BTreeMap<String, DiskId>,
}

/// The disks of this machine.
#[derive(Debug)]
pub struct Disks {
    allowed: Vec<PathBuf>,
    places: Places,
}

impl Disks {
    /// The disks that these settings allow.
    pub fn new(settings: &Settings) -> Self {
        Self {
            allowed: settings.disks.clone(),
            places: settings.places.clone(),
        }
    }

    /// Looks at the disks. `members` are the physical volumes of all managed groups: what is left
    /// out is taken for somebody else's.
    pub fn list(&self, members: &[Member], _deadline: Deadline) -> Listing {
        Listing {
            disks: members
                .iter()
                .map(|member| of_member(&self.places, member))
                .collect(),
            ids: members
                .iter()
                .map(|member| (member.pv.clone(), identity(&self.places, member)))
                .collect(),
        }
    }

    /// Makes sure, in the moment of acting, that nothing lies on a disk, that nobody uses it and
    /// that pools may be made from it; returns the path for LVM.
    ///
    /// # Errors
    /// The reason, by kind; when in doubt, too.
    pub fn check_free(&self, id: &DiskId, _deadline: Deadline) -> Result<DevicePath, Error> {
        Err(Error::access_denied(format!(
            "disk {id} is not among the {} that pools may be made from",
            self.allowed.len()
        )))
    }

    /// The path for LVM of a disk, whatever it is used for, if it is there.
    pub fn device_of(&self, _id: &DiskId) -> Option<DevicePath> {
        None
    }

    /// What changes when disks that the configuration allows come, go or change: for a fingerprint.
    pub fn outline(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The disk that a physical volume lies on.
pub(super) fn disk(places: &Places, row: &PvRow) -> Disk {
    of_member(places, &Member::from(row))
}

fn of_member(places: &Places, member: &Member) -> Disk {
    Disk {
        id: identity(places, member),
        device: member.device.clone(),
        size: member.used + member.free,
        kind: DiskKind::Drive(Drive::default()),
        usage: DiskUsage::Member {
            pool: member.pool.clone(),
            used: member.used,
            free: member.free,
        },
        health: if member.missing {
            Health::Failed("the disk is missing; connect it again".into())
        } else {
            Health::Ok
        },
    }
}

/// The disk's world-wide name or serial where the kernel knows one and the physical volume is the
/// whole disk, else the UUID of the physical volume: two partitions of a disk are two places.
fn identity(places: &Places, member: &Member) -> DiskId {
    let kernel_name = fs::canonicalize(&member.device)
        .ok()
        .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let known = kernel_name.and_then(|name| {
        let folder = places.sys.join("block").join(name);
        ["wwid", "device/wwid", "serial"].iter().find_map(|file| {
            let text = fs::read_to_string(folder.join(file)).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        })
    });
    DiskId::from(known.unwrap_or_else(|| member.pv.clone()))
}
