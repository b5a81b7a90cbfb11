//! What commands under way take, and what they do to volumes: only the pictures have it from which
//! the next one is planned. Nobody reads it from those that are published.

use std::sync::Arc;

use super::Inventory;
use crate::array::ids::{DiskId, PoolId, VolumeId};
use crate::array::model::{DiskUsage, Pool, PoolKind};

/// What a command under way does to a volume, so that another one must leave it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::array) enum Engaged {
    /// It is moved to other disks.
    Moved,
    /// It is given more copies.
    Copied,
    /// A snapshot of it is taken that needs it.
    Snapped,
}

impl Inventory {
    /// Counts so many bytes of a volume group as taken: as many on each of these disks, or anywhere.
    /// Those of a thin pool are promised.
    pub(in crate::array) fn promise(&mut self, id: &PoolId, bytes: u64, disks: &[DiskId]) {
        match self.pools.get_mut(id).map(Arc::make_mut) {
            Some(Pool {
                kind: PoolKind::Thin(thin),
                ..
            }) => thin.promised = thin.promised.saturating_add(bytes),
            Some(_) => self.fill(id, bytes),
            None => {}
        }
        let share = bytes / (disks.len() as u64).max(1);
        for id in disks {
            if let Some(disk) = self.disks.get_mut(id)
                && let DiskUsage::Member { used, free, .. } = &mut Arc::make_mut(disk).usage
            {
                let share = share.min(*free);
                (*used, *free) = (*used + share, *free - share);
            }
        }
    }

    /// Counts so many bytes of a pool as used.
    pub(in crate::array) fn fill(&mut self, id: &PoolId, bytes: u64) {
        if let Some(pool) = self.pools.get_mut(id).filter(|_| bytes > 0) {
            let pool = Arc::make_mut(pool);
            pool.available = pool.available.saturating_sub(bytes);
            pool.free = pool.free.saturating_sub(bytes);
        }
    }

    /// Notes that something comes to lie in a volume group: on one of these disks, or anywhere.
    pub(in crate::array) fn await_in(&mut self, group: &PoolId, disks: &[DiskId]) {
        self.awaited.push_back((group.clone(), disks.to_vec()));
    }

    /// Whether something may come to lie on a disk of a group that nobody sees yet.
    pub(in crate::array) fn is_awaited_on(&self, group: &PoolId, disk: &DiskId) -> bool {
        let mut awaited = self.awaited.iter();
        awaited.any(|(of, on)| of == group && (on.is_empty() || on.contains(disk)))
    }

    /// Notes what is done to a volume.
    pub(in crate::array) fn engage(&mut self, volume: &VolumeId, engaged: Engaged) {
        self.engaged.insert(volume.clone(), engaged);
    }

    /// What is done to a volume.
    pub(in crate::array) fn engaged(&self, volume: &VolumeId) -> Option<Engaged> {
        self.engaged.get(volume).copied()
    }
}
