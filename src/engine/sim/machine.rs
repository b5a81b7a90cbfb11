//! The modelled machine: disks, groups on disks, volumes in groups.
//!
//! This is the state and the look-ups in it; `report` tells what can be seen of it, `groups`,
//! `volumes`, `legs`, `thin`, `replicas` and `lio` hold what steps do to it. It knows nothing of threads or
//! scripted faults.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::disks::Disk;
use super::extents::{EXTENT, Segment, count};
use super::keep::Keep;
use super::legs::{Legs, Syncing};
use super::moves::Moving;
use super::replicas::{Delta, Kin};
use super::targets::Extra;
use super::thin::{ThinMap, ThinPool, ThinSpace};
use crate::array::{
    ChapTable, DiskId, Error, FcPort, InitiatorName, Iqn, JobId, MadeTarget, Naa, Nic, Owner,
    PoolId, PortId, Session, Target, VolumeId,
};

/// Bytes that one volume takes in LVM's metadata, tags included: a round figure from real ones.
const METADATA_PER_VOLUME: u64 = 700;

/// How many more volumes the metadata must have room for, so that deletes and tags still work.
const METADATA_RESERVE: u64 = 16;

/// The namespace in which the model makes up identities.
const IDENTITIES: Uuid = Uuid::from_u128(0x1c0f_5d3a_77e2_5b41_9a5e_6d20_b8f4_3e97);

/// A volume group as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GroupRow {
    pub(super) id: PoolId,
    /// Its number among the groups, in the order in which they were made.
    pub(super) place: u64,
    pub(super) device: String,
    /// The name for people, where a mark says one.
    pub(super) name: Option<String>,
    pub(super) owner: Owner,
    pub(super) job: Option<JobId>,
    /// Whether the array was configured with it.
    pub(super) configured: bool,
    /// Bytes of its metadata area.
    pub(super) metadata: u64,
    pub(super) disks: Vec<DiskId>,
    /// The spare for the metadata of its thin pools.
    pub(super) spare: Vec<Segment>,
    /// The disks that nothing new is laid on.
    #[serde(default)]
    pub(super) closed: BTreeSet<DiskId>,
    /// The disks that were away when something was noted down: LVM uses them no more, though they
    /// are there again, until it is told to.
    #[serde(default)]
    pub(super) missing: BTreeSet<DiskId>,
}

/// A volume group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) row: GroupRow,
    /// How many volumes it has.
    pub(super) volumes: u64,
}

/// A logical volume with its marks, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lv {
    pub(super) id: VolumeId,
    pub(super) device: String,
    /// The name for people, where a mark says one.
    pub(super) name: Option<String>,
    /// Its volume group.
    pub(super) group: PoolId,
    pub(super) body: Body,
    pub(super) owner: Owner,
    pub(super) job: Option<JobId>,
    /// The unit serial, where it is not the derived one.
    pub(super) serial: Option<String>,
    /// Who holds it open, other than exports of ours.
    pub(super) held_by: Option<String>,
    pub(super) created: u64,
    /// What of it is being moved to another disk.
    #[serde(default)]
    pub(super) moving: Option<Moving>,
    #[serde(default)]
    pub(super) kin: Kin,
}

/// What a logical volume consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Body {
    /// Extents of disks.
    Thick(Legs),
    /// Extents of a thin pool.
    Thin(ThinMap),
    /// It is a thin pool itself.
    Pool(ThinPool),
    /// What has changed since it was taken of another volume.
    Delta(Delta),
}

impl Lv {
    /// How many extents it has.
    pub(super) fn extents(&self) -> u64 {
        match &self.body {
            Body::Thick(legs) => legs.extents(),
            Body::Thin(map) => map.extents,
            Body::Pool(pool) => count(&pool.data),
            Body::Delta(delta) => delta.extents,
        }
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.extents() * EXTENT
    }

    /// What lies on disks of it.
    pub(super) fn segments(&self) -> Vec<&Segment> {
        match &self.body {
            Body::Thick(legs) => legs.segments().collect(),
            Body::Thin(_) => Vec::new(),
            Body::Pool(pool) => pool.data.iter().chain(&pool.metadata).collect(),
            Body::Delta(delta) => delta.room.iter().collect(),
        }
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
        let noun = match self.body {
            Body::Pool(_) => "thin pool",
            _ => "volume",
        };
        format!("{noun} '{}'", self.name.as_deref().unwrap_or(&self.device))
    }
}

/// What an initiator finds under a number of a port.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lun {
    pub(super) volume: VolumeId,
    /// Whether the map is this array's.
    pub(super) ours: bool,
    /// Whether another manager's files make it again when the machine starts.
    pub(super) theirs: bool,
}

/// The machine.
pub(super) struct Machine {
    pub(super) disks: BTreeMap<DiskId, Disk>,
    /// In the order in which they were made.
    pub(super) groups: Vec<Group>,
    /// The groups that the array looks at.
    pub(super) managed: BTreeSet<PoolId>,
    /// The groups that cannot be found at present.
    pub(super) hidden: BTreeSet<PoolId>,
    /// Thin pools included.
    pub(super) volumes: BTreeMap<VolumeId, Lv>,
    pub(super) devices: BTreeMap<(PoolId, String), VolumeId>,
    /// What is free of the data of each thin pool, and what is shared.
    pub(super) thin_space: BTreeMap<VolumeId, ThinSpace>,
    /// The volumes whose legs are being brought into step.
    pub(super) syncing: BTreeMap<VolumeId, Syncing>,
    /// Bytes of each leg that are brought into step in one second.
    pub(super) sync_rate: u64,
    /// Microseconds since 1970.
    pub(super) now: u64,
    /// The configured targets.
    pub(super) targets: Vec<Target>,
    pub(super) fc_ports: Vec<FcPort>,
    /// What initiators have to prove at login.
    pub(super) chap: ChapTable,
    /// The other targets in the kernel, whoever made them.
    pub(super) extra_targets: BTreeMap<Iqn, Extra>,
    /// Those that the array was told of.
    pub(super) made_targets: BTreeMap<Iqn, MadeTarget>,
    /// Whether the portals of the configured ones listen.
    pub(super) open: bool,
    pub(super) nics: Vec<Nic>,
    pub(super) luns: BTreeMap<(PortId, InitiatorName, u16), Lun>,
    /// Who is logged in.
    pub(super) sessions: BTreeMap<(PortId, InitiatorName), Session>,
    /// The handle of the last session.
    pub(super) handle: u16,
    /// The volumes of ours that are exported, with the number of their maps.
    pub(super) exports: BTreeMap<VolumeId, u64>,
    /// Grows with every change.
    pub(super) generation: u64,
    /// The number of the last volume or group made.
    pub(super) made: u64,
    pub(super) keep: Keep,
}

impl Group {
    /// Its name for people.
    pub(super) fn name(&self) -> &str {
        self.row.name.as_deref().unwrap_or(&self.row.device)
    }

    /// Whether the metadata has room for one more volume and the reserve.
    pub(super) fn has_metadata_room(&self) -> bool {
        // Half of the area holds the text in force, the other half the next one.
        let room = self.row.metadata / 2 / METADATA_PER_VOLUME;
        self.volumes + METADATA_RESERVE < room
    }
}

impl Machine {
    /// Whether the array can look at that group.
    pub(super) fn sees(&self, group: &PoolId) -> bool {
        self.managed.contains(group) && !self.hidden.contains(group)
    }

    /// The groups that the array can look at.
    pub(super) fn seen_groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| self.sees(&group.row.id))
    }

    /// The group of that identity.
    pub(super) fn group(&self, id: &PoolId) -> Result<&Group, Error> {
        let mut found = self.seen_groups();
        found
            .find(|group| group.row.id == *id)
            .ok_or_else(|| no_pool(id))
    }

    /// The same, to change it.
    pub(super) fn group_mut(&mut self, id: &PoolId) -> Result<&mut Group, Error> {
        let seen = self.sees(id);
        let mut groups = self.groups.iter_mut();
        let found = groups.find(|group| group.row.id == *id && seen);
        found.ok_or_else(|| no_pool(id))
    }

    /// Free extents of a group.
    pub(super) fn free(&self, group: &Group) -> u64 {
        let open = group
            .row
            .disks
            .iter()
            .filter(|id| !group.row.closed.contains(*id));
        let disks = open.filter_map(|id| self.disks.get(id));
        disks.map(|disk| disk.space.free()).sum()
    }

    /// The first disk of a group that LVM does not use.
    pub(super) fn lost_disk(&self, group: &Group) -> Option<&Disk> {
        let mut disks = group.row.disks.iter().filter_map(|id| self.disks.get(id));
        disks.find(|disk| !disk.works() || group.row.missing.contains(&disk.row.id))
    }

    /// Whether LVM still counts a disk as missing, wherever it is now.
    pub(super) fn is_noted_missing(&self, disk: &DiskId) -> bool {
        let mut groups = self.groups.iter();
        groups.any(|group| group.row.missing.contains(disk))
    }

    /// Bytes that volumes can be made or grown by now.
    pub(super) fn available(&self, group: &Group) -> u64 {
        if self.lost_disk(group).is_some() || !group.has_metadata_room() {
            return 0;
        }
        self.free(group) * EXTENT
    }

    /// Hides a group, or brings it back.
    pub(super) fn hide(&mut self, group: &PoolId, hidden: bool) {
        match hidden {
            true => self.hidden.insert(group.clone()),
            false => self.hidden.remove(group),
        };
    }

    /// The logical volume of that identity, where its group can be found.
    pub(super) fn known(&self, id: &VolumeId) -> Option<&Lv> {
        let lv = self.volumes.get(id)?;
        self.sees(&lv.group).then_some(lv)
    }

    /// The volume of that identity; thin pools are none.
    pub(super) fn volume(&self, id: &VolumeId) -> Result<&Lv, Error> {
        let lv = self.known(id);
        lv.filter(|lv| !matches!(lv.body, Body::Pool(_)))
            .ok_or_else(|| {
                Error::not_found(format!("there is no volume {id}; it may have been removed"))
            })
    }

    /// The logical volumes of a group.
    pub(super) fn volumes_in<'a>(&'a self, group: &'a PoolId) -> impl Iterator<Item = &'a Lv> {
        self.devices
            .range((group.clone(), String::new())..)
            .take_while(move |((of, _), _)| of == group)
            .filter_map(|(_, volume)| self.volumes.get(volume))
    }

    /// A new identity in that group.
    pub(super) fn new_volume_id(&mut self, group: &PoolId) -> VolumeId {
        self.made += 1;
        lvm_uuid(&format!("{group}/{}", self.made)).into()
    }
}

pub(super) fn no_pool(id: &PoolId) -> Error {
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
