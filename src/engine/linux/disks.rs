//! The disks below the pools: the devices of the physical volumes.

use std::fs;

use super::blockdev::Places;
use super::lvm::report::PvRow;
use crate::array::{Disk, DiskId, DiskKind, DiskUsage, Drive, Health, PoolId};

/// The disk that a physical volume lies on.
pub(super) fn disk(places: &Places, row: &PvRow) -> Disk {
    let missing = !row.pv_missing.is_empty();
    Disk {
        id: identity(places, row),
        device: row.pv_name.clone(),
        size: row.dev_size.or(row.pv_size).unwrap_or_default(),
        kind: DiskKind::Drive(Drive::default()),
        usage: DiskUsage::Member {
            pool: PoolId::from(row.vg_uuid.as_str()),
            used: row
                .pv_size
                .unwrap_or_default()
                .saturating_sub(row.pv_free.unwrap_or_default()),
            free: row.pv_free.unwrap_or_default(),
        },
        health: if missing {
            Health::Failed("the disk is missing; connect it again".into())
        } else {
            Health::Ok
        },
    }
}

/// The disk's world-wide name or serial where the kernel knows one and the physical volume is the
/// whole disk, else the UUID of the physical volume: two partitions of a disk are two places.
fn identity(places: &Places, row: &PvRow) -> DiskId {
    let kernel_name = fs::canonicalize(&row.pv_name)
        .ok()
        .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let known = kernel_name.and_then(|name| {
        let folder = places.sys.join("block").join(name);
        ["wwid", "device/wwid", "serial"].iter().find_map(|file| {
            let text = fs::read_to_string(folder.join(file)).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        })
    });
    DiskId::from(known.unwrap_or_else(|| row.pv_uuid.clone()))
}
