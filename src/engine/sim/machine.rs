//! The modelled machine: pools on disks, volumes in pools, and what can be seen of them.
//!
//! This is the state and its reports; `lvm` and `lio` hold what steps do to it. It knows nothing
//! of threads, time or scripted faults.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::extents::{Content, Disk, EXTENT, Segment};
use super::keep::Keep;
use crate::array;
use crate::array::{
    DiskId, DiskKind, DiskUsage, Drive, Error, Facts, ForeignMap, GroupFacts, Health,
    InitiatorName, JobId, Layout, Map, Naa, Nic, Owner, PoolId, PoolKind, PortId, Target, Volume,
    VolumeId,
};

/// Bytes that one volume takes in LVM's metadata, tags included: a round figure from real ones.
const METADATA_PER_VOLUME: u64 = 700;

/// How many more volumes the metadata must have room for, so that deletes and tags still work.
const METADATA_RESERVE: u64 = 16;

/// The namespace in which the model makes up identities.
const IDENTITIES: Uuid = Uuid::from_u128(0x1c0f_5d3a_77e2_5b41_9a5e_6d20_b8f4_3e97);

/// A pool as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PoolRow {
    pub(super) id: PoolId,
    pub(super) name: String,
    /// Bytes of its metadata area.
    pub(super) metadata: u64,
    /// Identity, device and bytes of each disk.
    pub(super) disks: Vec<(DiskId, String, u64)>,
}

/// A pool: a volume group.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) row: PoolRow,
    pub(super) disks: Vec<Disk>,
    /// How many volumes it has.
    pub(super) volumes: u64,
}

/// A volume: a logical volume with its marks; as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lv {
    pub(super) id: VolumeId,
    pub(super) device: String,
    /// The name for people, where a mark says one.
    pub(super) name: Option<String>,
    pub(super) pool: PoolId,
    pub(super) segments: Vec<Segment>,
    pub(super) owner: Owner,
    pub(super) job: Option<JobId>,
    /// The unit serial, where it is not the derived one.
    pub(super) serial: Option<String>,
    /// Who holds it open, other than exports of ours.
    pub(super) held_by: Option<String>,
    pub(super) created: u64,
}

impl Lv {
    /// How many extents it has.
    pub(super) fn extents(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.extents() * EXTENT
    }

    /// What hosts see.
    pub(super) fn naa(&self) -> Naa {
        let serial = match &self.serial {
            Some(serial) => serial.clone(),
            None => self.id.unit_serial(),
        };
        Naa::from_serial(Naa::LIO_COMPANY, &serial)
    }

    /// How a sentence calls it.
    pub(super) fn called(&self) -> String {
        format!("volume '{}'", self.name.as_deref().unwrap_or(&self.device))
    }
}

/// What an initiator finds under a number of a port.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lun {
    pub(super) volume: VolumeId,
    /// Whether the map is this array's.
    pub(super) ours: bool,
}

/// The machine.
pub(super) struct Machine {
    pub(super) pools: Vec<Pool>,
    /// The pools that cannot be found at present.
    pub(super) hidden: BTreeSet<PoolId>,
    pub(super) volumes: BTreeMap<VolumeId, Lv>,
    pub(super) devices: BTreeMap<(PoolId, String), VolumeId>,
    pub(super) targets: Vec<Target>,
    /// Whether the portals listen.
    pub(super) open: bool,
    pub(super) nics: Vec<Nic>,
    pub(super) luns: BTreeMap<(PortId, InitiatorName, u16), Lun>,
    /// The volumes of ours that are exported, with the number of their maps.
    pub(super) exports: BTreeMap<VolumeId, u64>,
    /// Grows with every change.
    pub(super) generation: u64,
    /// The number of the last volume made.
    pub(super) made: u64,
    pub(super) keep: Keep,
}

impl Pool {
    /// A pool whose disks hold the same everywhere.
    pub(super) fn new(row: PoolRow, content: Content) -> Self {
        let disks = row
            .disks
            .iter()
            .map(|(id, device, size)| Disk::new(id.clone(), device.clone(), *size, content))
            .collect();
        Self {
            row,
            disks,
            volumes: 0,
        }
    }

    /// Free extents.
    pub(super) fn free(&self) -> u64 {
        self.disks.iter().map(Disk::free).sum()
    }

    /// The first failed disk.
    pub(super) fn failed(&self) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.failed)
    }

    /// Whether the metadata has room for one more volume and the reserve.
    pub(super) fn has_metadata_room(&self) -> bool {
        // Half of the area holds the text in force, the other half the next one.
        let room = self.row.metadata / 2 / METADATA_PER_VOLUME;
        self.volumes + METADATA_RESERVE < room
    }

    /// Bytes of the largest volume that can be made or added now.
    pub(super) fn available(&self) -> u64 {
        if self.failed().is_some() || !self.has_metadata_room() {
            return 0;
        }
        self.free() * EXTENT
    }

    fn report(&self) -> array::Pool {
        let extents: u64 = self.disks.iter().map(Disk::extents).sum();
        let health = match self.failed() {
            Some(disk) => Health::Degraded(format!("disk {} has failed", disk.device)),
            None if !self.has_metadata_room() => {
                Health::Degraded("its metadata has no room for more volumes".to_owned())
            }
            None => Health::Ok,
        };
        array::Pool {
            id: self.row.id.clone(),
            name: self.row.name.clone(),
            device: self.row.name.clone(),
            kind: PoolKind::Group { spare: 0 },
            owner: Owner::Foreign,
            job: None,
            size: extents * EXTENT,
            free: self.free() * EXTENT,
            available: self.available(),
            extent: EXTENT,
            disks: self.disks.iter().map(|disk| disk.id.clone()).collect(),
            health,
        }
    }

    fn report_disks(&self) -> impl Iterator<Item = array::Disk> + '_ {
        self.disks.iter().map(|disk| array::Disk {
            id: disk.id.clone(),
            device: disk.device.clone(),
            size: disk.size,
            kind: DiskKind::Drive(Drive::default()),
            usage: DiskUsage::Member {
                pool: self.row.id.clone(),
                used: (disk.extents() - disk.free()) * EXTENT,
                free: disk.free() * EXTENT,
            },
            health: match disk.failed {
                true => Health::Failed("reads and writes fail".to_owned()),
                false => Health::Ok,
            },
        })
    }
}

impl Machine {
    /// The pool of that identity.
    pub(super) fn pool(&self, id: &PoolId) -> Result<&Pool, Error> {
        let mut found = self.present_pools();
        found
            .find(|pool| pool.row.id == *id)
            .ok_or_else(|| no_pool(id))
    }

    /// The same, to change it.
    pub(super) fn pool_mut(&mut self, id: &PoolId) -> Result<&mut Pool, Error> {
        let hidden = &self.hidden;
        let mut present = self.pools.iter_mut();
        let found = present.find(|pool| pool.row.id == *id && !hidden.contains(id));
        found.ok_or_else(|| no_pool(id))
    }

    fn present_pools(&self) -> impl Iterator<Item = &Pool> {
        let mut pools = self.pools.iter();
        std::iter::from_fn(move || pools.find(|pool| !self.hidden.contains(&pool.row.id)))
    }

    /// Hides a pool, or brings it back.
    pub(super) fn hide(&mut self, pool: &PoolId, hidden: bool) {
        match hidden {
            true => self.hidden.insert(pool.clone()),
            false => self.hidden.remove(pool),
        };
    }

    /// The volume of that identity, where its pool can be found.
    pub(super) fn known(&self, id: &VolumeId) -> Option<&Lv> {
        let lv = self.volumes.get(id)?;
        (!self.hidden.contains(&lv.pool)).then_some(lv)
    }

    /// The volume of that identity.
    pub(super) fn volume(&self, id: &VolumeId) -> Result<&Lv, Error> {
        self.known(id).ok_or_else(|| {
            Error::not_found(format!("there is no volume {id}; it may have been removed"))
        })
    }

    /// A new identity for a volume in that pool.
    pub(super) fn new_volume_id(&mut self, pool: &PoolId) -> VolumeId {
        self.made += 1;
        lvm_uuid(&format!("{pool}/{}", self.made)).into()
    }

    /// Everything.
    pub(super) fn report(&self) -> Facts {
        Facts {
            pools: self.present_pools().map(Pool::report).collect(),
            volumes: self
                .volumes
                .values()
                .filter(|lv| !self.hidden.contains(&lv.pool))
                .map(|lv| self.report_lv(lv))
                .collect(),
            disks: self.present_pools().flat_map(Pool::report_disks).collect(),
            targets: self.report_targets(),
            nics: self.nics.clone(),
            maps: self.report_maps(),
            foreign_maps: self.report_foreign_maps(),
        }
    }

    /// One pool.
    pub(super) fn report_pool(&self, id: &PoolId) -> Result<GroupFacts, Error> {
        let pool = self.pool(id)?;
        let volumes = self
            .devices
            .range((id.clone(), String::new())..)
            .take_while(|((pool, _), _)| pool == id)
            .filter_map(|(_, volume)| self.volumes.get(volume))
            .map(|lv| self.report_lv(lv))
            .collect();
        Ok(GroupFacts {
            group: pool.report(),
            thin_pools: Vec::new(),
            volumes,
            disks: pool.report_disks().collect(),
        })
    }

    fn report_lv(&self, lv: &Lv) -> Volume {
        Volume {
            id: lv.id.clone(),
            name: lv.name.as_ref().unwrap_or(&lv.device).clone(),
            device: lv.device.clone(),
            pool: lv.pool.clone(),
            size: lv.size(),
            consumed: Some(lv.size()),
            layout: Layout::Linear,
            pieces: Vec::new(),
            naa: lv.naa(),
            owner: lv.owner,
            job: lv.job,
            held_by: lv.held_by.clone(),
            created: Some(lv.created),
            health: match self.failed_under(lv) {
                Some(device) => Health::Failed(format!("disk {device} under it has failed")),
                None => Health::Ok,
            },
        }
    }

    /// The device of a failed disk that the volume lies on.
    pub(super) fn failed_under(&self, lv: &Lv) -> Option<&str> {
        let pool = self.pool(&lv.pool).ok()?;
        lv.segments
            .iter()
            .filter_map(|segment| pool.disks.get(segment.disk))
            .find(|disk| disk.failed)
            .map(|disk| disk.device.as_str())
    }

    fn report_targets(&self) -> Vec<Target> {
        let mut targets = self.targets.clone();
        for port in targets.iter_mut().flat_map(|target| &mut target.ports) {
            port.enabled &= self.open;
        }
        targets
    }

    fn report_maps(&self) -> Vec<Map> {
        let ours = self.luns.iter().filter(|(_, lun)| lun.ours);
        ours.map(|((port, initiator, number), lun)| Map {
            port: port.clone(),
            initiator: initiator.clone(),
            lun: *number,
            volume: lun.volume.clone(),
        })
        .collect()
    }

    fn report_foreign_maps(&self) -> Vec<ForeignMap> {
        let foreign = self.luns.iter().filter(|(_, lun)| !lun.ours);
        foreign
            .map(|((port, initiator, number), _)| ForeignMap {
                port: port.clone(),
                initiator: initiator.clone(),
                lun: *number,
            })
            .collect()
    }

    /// What the volume's extents hold, run by run: (extents, content).
    pub(super) fn contents<'a>(&'a self, lv: &'a Lv) -> impl Iterator<Item = (u64, Content)> + 'a {
        let pool = self.pool(&lv.pool).ok();
        lv.segments
            .iter()
            .filter_map(move |segment| Some((pool?.disks.get(segment.disk)?, segment)))
            .flat_map(|(disk, segment)| disk.contents(segment.start, segment.length))
    }

    /// Fills some extents of a volume, counted from its start. Kept with the next commit.
    pub(super) fn fill(&mut self, lv: &Lv, start: u64, length: u64, content: Content) {
        let Some(pool) = self.pools.iter_mut().find(|pool| pool.row.id == lv.pool) else {
            return;
        };
        let (mut skip, mut left) = (start, length);
        for segment in &lv.segments {
            let skipped = skip.min(segment.length);
            skip -= skipped;
            let part = left.min(segment.length - skipped);
            left -= part;
            if let Some(disk) = pool.disks.get_mut(segment.disk) {
                let changes = disk.fill(segment.start + skipped, part, content);
                self.keep.note(&disk.id, changes);
            }
        }
    }
}

fn no_pool(id: &PoolId) -> Error {
    Error::not_found(format!("there is no pool {id}; it may have been removed"))
}

/// An identity in the form that LVM gives them, 6-4-4-4-4-4-6 letters and digits, made from a text.
pub(super) fn lvm_uuid(of: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(38);
    for half in ["head", "tail"] {
        let mut number = Uuid::new_v5(&IDENTITIES, format!("{half}:{of}").as_bytes()).as_u128();
        for _ in 0..16 {
            if [6, 11, 16, 21, 26, 31].contains(&text.len()) {
                text.push('-');
            }
            let digit = usize::try_from(number % 62).unwrap_or(0);
            text.push(char::from(DIGITS[digit]));
            number /= 62;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_look_like_those_of_lvm() {
        let id = lvm_uuid("fast");
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [6, 4, 4, 4, 4, 4, 6], "{id}");
        assert_ne!(id, lvm_uuid("bulk"));
    }
}
