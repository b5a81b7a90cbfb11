//! The arithmetic of thin pools: what they take from their group, and what they may promise.

use crate::array::inventory::Inventory;
use crate::array::model::{Health, Pool, PoolKind, Thin};

/// Bytes of data for each byte of metadata: 64 bytes describe a chunk of 64 KiB (lvmthin(7)).
const DATA_PER_METADATA: u64 = 1024;
/// The least metadata, in bytes.
const LEAST_METADATA: u64 = 4 << 20;
/// The most metadata, in bytes: what device-mapper can address, less a little (lvmthin(7)).
const MOST_METADATA: u64 = 15 << 30;

/// Bytes of metadata for so many bytes of data, in whole extents.
pub(super) fn metadata(data: u64, extent: u64) -> u64 {
    (data / DATA_PER_METADATA)
        .clamp(LEAST_METADATA, MOST_METADATA)
        .next_multiple_of(extent.max(1))
}

/// Bytes that the spare of a group has for its metadata.
fn spare(group: &Pool) -> u64 {
    match group.kind {
        PoolKind::Group { spare } => spare,
        PoolKind::Thin(_) => 0,
    }
}

/// Bytes that a thin pool of that size takes from the group beyond what it has already: the spare
/// of the group is as large as the largest metadata.
pub(super) fn taken(group: &Pool, present: Option<(u64, &Thin)>, data: u64) -> u64 {
    let wanted = metadata(data, group.extent);
    let (has_data, has_metadata) = present.map_or((0, 0), |(data, thin)| (data, thin.metadata));
    let more = wanted.saturating_sub(has_metadata);
    let spare = wanted.max(has_metadata).saturating_sub(spare(group));
    data.saturating_sub(has_data) + more + spare
}

/// Bytes of data of the largest thin pool that the group has room for.
pub(super) fn largest(group: &Pool, present: Option<(u64, &Thin)>) -> u64 {
    let extent = group.extent.max(1);
    let has = present.map_or(0, |(data, _)| data);
    let (mut fits, mut over) = (has / extent, (has + group.available) / extent + 1);
    while over - fits > 1 {
        let middle = fits + (over - fits) / 2;
        match taken(group, present, middle * extent) <= group.available {
            true => fits = middle,
            false => over = middle,
        }
    }
    fits * extent
}

/// Bytes that the volumes of a thin pool may still be promised.
pub(super) fn promise(inventory: &Inventory, pool: &Pool, thin: &Thin) -> u64 {
    if pool.available == 0 || matches!(pool.health, Health::Failed(_)) {
        return 0;
    }
    let limit = u128::from(pool.size) * u128::from(inventory.policy.overcommit) / 100;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let extent = pool.extent.max(1);
    limit.saturating_sub(thin.promised) / extent * extent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::model::Owner;

    const MIB: u64 = 1 << 20;
    const EXTENT: u64 = 4 * MIB;

    fn group(available: u64, spare: u64) -> Pool {
        Pool {
            id: "group".into(),
            name: "vg0".into(),
            device: "vg0".into(),
            kind: PoolKind::Group { spare },
            owner: Owner::Foreign,
            job: None,
            size: available,
            free: available,
            available,
            extent: EXTENT,
            disks: Vec::new(),
            health: Health::Ok,
        }
    }

    #[test]
    fn metadata_grows_with_the_data_within_its_limits() {
        for (data, expected) in [
            (EXTENT, 4 * MIB),
            (100 << 30, 100 * MIB),
            ((4 << 30) + 1, 4 * MIB),
            (1 << 50, 15 << 30),
        ] {
            assert_eq!(metadata(data, EXTENT), expected, "{data}");
        }
    }

    #[test]
    fn the_largest_pool_fits_and_the_next_one_does_not() {
        for (available, spare) in [
            (0, 0),
            (2 * EXTENT, 0),
            (3 * EXTENT, 0),
            (1 << 30, 0),
            (1 << 30, 4 * MIB),
            (100 << 40, 0),
        ] {
            let group = group(available, spare);
            let most = largest(&group, None);
            assert!(most == 0 || taken(&group, None, most) <= available);
            assert!(taken(&group, None, most + EXTENT) > available);
        }
        assert_eq!(largest(&group(1 << 30, 0), None), (1 << 30) - 8 * MIB);
        assert_eq!(largest(&group(1 << 30, 4 * MIB), None), (1 << 30) - 4 * MIB);
    }
}
