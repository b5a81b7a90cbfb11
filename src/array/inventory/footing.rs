//! What is well by itself, and is not for a disk below it that is not what it should be.

use super::{Inventory, disks_of};
use crate::array::ids::DiskId;
use crate::array::model::{Health, Pool, Volume};

impl Inventory {
    /// How well a pool is for its disks: one on a RAID array that lost a member works, and does not
    /// survive what it survived.
    pub(super) fn footing(&self, pool: &Pool) -> Health {
        self.on(pool.disks.iter())
    }

    /// The same for a volume; a thin one lies wherever its pool does.
    pub(super) fn footing_of(&self, volume: &Volume) -> Health {
        let pool = self.pools.get(&volume.pool);
        match pool.filter(|pool| pool.thin().is_some()) {
            Some(pool) => self.footing(pool),
            None => self.on(disks_of(&volume.pieces)),
        }
    }

    /// What lies on a disk that failed is judged by its legs.
    fn on<'a>(&self, disks: impl Iterator<Item = &'a DiskId>) -> Health {
        let mut found = disks.filter_map(|id| self.disks.get(id));
        let sentence = found.find_map(|disk| match &disk.health {
            Health::Degraded(why) => Some(format!("of disk {} below it: {why}", disk.device)),
            _ => None,
        });
        sentence.map_or(Health::Ok, Health::Degraded)
    }
}
