//! What LVM and the kernel target say, as the array's facts.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::LinuxEngine;
use super::blockdev::{DmDevice, Users};
use super::lio::backstore::NAME_PREFIX;
use super::lio::export;
use super::lio::read::State;
use super::lio::target;
use super::lvm::names::{self, LvmUuid};
use super::lvm::report::{LvRow, PvRow, VgRow};
use super::lvm::tags::Marks;
use super::watch::Deadline;
use super::{disks, nics};
use crate::array::{
    Error, Facts, ForeignMap, GroupFacts, Health, InitiatorName, JobId, Layout, Map, Naa, Owner,
    Pool, PoolId, PoolKind, Port, PortId, Target, Volume, VolumeId,
};

/// The part of a group's metadata area that creates leave free, so that deletes and tags still
/// work: a sixteenth.
const RESERVE: u64 = 16;
/// How often the lists are read again when the groups changed in between.
const TRIES: usize = 3;
/// Bytes read of each physical volume for the fingerprint: label, and header of the metadata area
/// with size and checksum of the current metadata.
const HEADER: usize = 8 << 10;
/// What the kernel demands of addresses and lengths of direct reads, at most.
const ALIGNMENT: usize = 4 << 10;

/// Bytes that a create may take from a group now.
pub(super) fn available(group: &VgRow) -> u64 {
    let area = group.vg_mda_size.unwrap_or_default();
    let is_roomy = group.vg_mda_free.is_some_and(|free| free >= area / RESERVE);
    let is_usable = [&group.vg_partial, &group.vg_exported]
        .iter()
        .all(|flag| flag.is_empty());
    match is_roomy && is_usable {
        true => group.vg_free.unwrap_or_default(),
        false => 0,
    }
}

/// What LVM lists, all of one moment.
struct Listed {
    groups: Vec<VgRow>,
    volumes: Vec<LvRow>,
    devices: Vec<PvRow>,
}

/// What the kernel says about devices.
struct Kernel {
    state: State,
    devices: BTreeMap<String, DmDevice>,
    users: Option<Users>,
}

impl LinuxEngine {
    pub(super) fn look(&self, deadline: Deadline) -> Result<Facts, Error> {
        let listed = self.listed(deadline)?;
        let (kernel, trouble) = self.kernel(deadline);
        let pools = listed
            .groups
            .iter()
            .map(|row| self.pool_of(row, &listed.devices))
            .collect();
        let (maps, foreign_maps) = self.maps(&kernel.state);
        Ok(Facts {
            pools,
            volumes: volumes(&listed.volumes, &kernel),
            disks: listed
                .devices
                .iter()
                .map(|row| disks::disk(&self.places, row))
                .collect(),
            targets: self.targets(&kernel.state, trouble),
            nics: nics::list(&self.places),
            maps,
            foreign_maps,
        })
    }

    pub(super) fn look_at_pool(
        &self,
        pool: &PoolId,
        deadline: Deadline,
    ) -> Result<GroupFacts, Error> {
        self.pool(pool)?;
        let mut listed = self.listed(deadline)?;
        listed.volumes.retain(|row| row.vg_uuid == pool.as_str());
        let row = listed
            .groups
            .iter()
            .find(|row| row.vg_uuid == pool.as_str());
        let row = row.ok_or_else(|| Error::not_found(format!("pool {pool} is gone")))?;
        let (kernel, _) = self.kernel(deadline);
        Ok(GroupFacts {
            group: self.pool_of(row, &listed.devices),
            thin_pools: Vec::new(),
            disks: listed
                .devices
                .iter()
                .filter(|row| row.vg_uuid == pool.as_str())
                .map(|row| disks::disk(&self.places, row))
                .collect(),
            volumes: volumes(&listed.volumes, &kernel),
        })
    }

    /// Lists until groups and volumes are of the same moment.
    fn listed(&self, deadline: Deadline) -> Result<Listed, Error> {
        let mut tries = 0;
        loop {
            let listed = Listed {
                groups: self.lvm.list_groups(deadline)?,
                volumes: self.lvm.list_volumes(deadline)?,
                devices: self.lvm.list_devices(deadline)?,
            };
            tries += 1;
            let agree = listed.volumes.iter().all(|volume| {
                let group = listed
                    .groups
                    .iter()
                    .find(|row| row.vg_uuid == volume.vg_uuid);
                group.is_some_and(|group| group.vg_seqno == volume.vg_seqno)
            });
            if agree || tries == TRIES {
                return Ok(listed);
            }
        }
    }

    /// What cannot be read is taken for empty, and told in words.
    fn kernel(&self, deadline: Deadline) -> (Kernel, Option<String>) {
        let (state, trouble) = match self.exports.state(deadline) {
            Ok(state) => (state, None),
            Err(error) => (State::default(), Some(error.message)),
        };
        let devices = self.places.dm_devices().unwrap_or_default();
        (
            Kernel {
                state,
                devices,
                users: self.places.users().ok(),
            },
            trouble,
        )
    }

    fn pool_of(&self, row: &VgRow, devices: &[PvRow]) -> Pool {
        let id = PoolId::from(row.vg_uuid.as_str());
        Pool {
            name: row.vg_name.clone(),
            device: row.vg_name.clone(),
            kind: PoolKind::Group { spare: 0 },
            owner: Owner::Foreign,
            job: None,
            size: row.vg_size.unwrap_or_default(),
            free: row.vg_free.unwrap_or_default(),
            available: available(row),
            extent: row.vg_extent_size.unwrap_or_default(),
            disks: devices
                .iter()
                .filter(|device| device.vg_uuid == row.vg_uuid)
                .map(|device| disks::disk(&self.places, device).id)
                .collect(),
            health: pool_health(row),
            id,
        }
    }

    fn targets(&self, state: &State, trouble: Option<String>) -> Vec<Target> {
        let stressed = self.exports.is_stressed();
        let targets = self.exports.targets().iter();
        targets
            .map(|wanted| {
                let id = PortId {
                    iqn: wanted.iqn.clone(),
                    tag: target::TPGT,
                };
                let found = state.targets.get(wanted.iqn.as_str());
                let portals = found
                    .map(|found| portals(&found.portals))
                    .unwrap_or_default();
                let missing = wanted
                    .portals
                    .iter()
                    .find(|portal| !portals.contains(portal));
                let health = match (&trouble, found, missing) {
                    (Some(trouble), ..) => Health::Unknown(trouble.clone()),
                    (None, None, _) => Health::Failed("the target is not there".into()),
                    _ if stressed => Health::Degraded("the kernel target hangs".into()),
                    (None, Some(_), Some(portal)) => {
                        Health::Degraded(format!("the port does not listen at {portal}"))
                    }
                    (None, Some(_), None) => Health::Ok,
                };
                let enabled = found.is_some_and(|found| found.enabled);
                Target {
                    iqn: wanted.iqn.clone(),
                    ports: vec![Port {
                        id,
                        enabled,
                        portals,
                        health,
                    }],
                }
            })
            .collect()
    }

    /// The maps on our ports: ours, and the numbers that others take.
    fn maps(&self, state: &State) -> (Vec<Map>, Vec<ForeignMap>) {
        let (mut ours, mut foreign) = (Vec::new(), Vec::new());
        for wanted in self.exports.targets() {
            let Some(target) = state.targets.get(wanted.iqn.as_str()) else {
                continue;
            };
            let port = PortId {
                iqn: wanted.iqn.clone(),
                tag: target::TPGT,
            };
            for (initiator, rows) in &target.acls {
                // A name that no initiator can bear matches nobody.
                let Ok(initiator) = InitiatorName::parse(initiator) else {
                    continue;
                };
                for (&number, mapped) in rows {
                    let Ok(lun) = u16::try_from(number) else {
                        continue;
                    };
                    match export::volume_of(&mapped.alias) {
                        Some(uuid) if mapped.unit.is_some() => ours.push(Map {
                            port: port.clone(),
                            initiator: initiator.clone(),
                            lun,
                            volume: VolumeId::from(uuid),
                        }),
                        _ => foreign.push(ForeignMap {
                            port: port.clone(),
                            initiator: initiator.clone(),
                            lun,
                        }),
                    }
                }
            }
        }
        (ours, foreign)
    }

    /// A hash over what moves with every change: the metadata headers of the groups' devices, the
    /// relations in the kernel target, active devices and mounts.
    pub(super) fn outline(&self, deadline: Deadline) -> Result<u64, Error> {
        let mut hash = DefaultHasher::new();
        for device in self.lvm.devices() {
            let header = header(Path::new(device.as_str()));
            header
                .map_err(|e| Error::unavailable(format!("{device} cannot be read")).caused_by(e))?
                .hash(&mut hash);
        }
        // The text of plain data; only equality of two hashes of one process means anything.
        format!("{:?}", self.exports.state(deadline)?).hash(&mut hash);
        let devices = self.places.dm_devices().unwrap_or_default();
        devices.into_keys().collect::<Vec<_>>().hash(&mut hash);
        std::fs::read(self.places.proc.join("self/mountinfo"))
            .unwrap_or_default()
            .hash(&mut hash);
        Ok(hash.finish())
    }
}

/// Reads the start of a device past the page cache, which another node's writes do not reach.
fn header(device: &Path) -> std::io::Result<Vec<u8>> {
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or_default();
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(direct)
        .open(device)?;
    let mut buffer = vec![0_u8; HEADER + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let slice = buffer
        .get_mut(start..start + HEADER)
        .ok_or_else(|| std::io::Error::other("the buffer is too small"))?;
    file.read_exact(slice)?;
    Ok(slice.to_vec())
}

fn volumes(rows: &[LvRow], kernel: &Kernel) -> Vec<Volume> {
    // Pools within a group and the parts that snapshots are made of are no volumes for hosts.
    let is_volume = |row: &&LvRow| row.has_role("public") && !row.has_layout("pool");
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> = rows
        .iter()
        .map(|row| row.lv_uuid.as_str())
        .filter(|uuid| !seen.insert(*uuid))
        .collect();
    rows.iter()
        .filter(is_volume)
        .map(|row| volume(row, kernel, twice.contains(row.lv_uuid.as_str())))
        .collect()
}

fn volume(row: &LvRow, kernel: &Kernel, twice: bool) -> Volume {
    let id = VolumeId::from(row.lv_uuid.as_str());
    let marks = Marks::read(&row.lv_tags);
    let size = match row.has_role("thicksnapshot") {
        true => row.origin_size.or(row.lv_size),
        false => row.lv_size,
    };
    let serial = marks.serial.unwrap_or_else(|| id.unit_serial());
    Volume {
        name: marks.name.unwrap_or_else(|| row.lv_name.clone()),
        device: row.lv_name.clone(),
        pool: PoolId::from(row.vg_uuid.as_str()),
        size: size.unwrap_or_default(),
        // A thin volume takes its space from a pool within the group.
        consumed: match row.has_layout("thin") {
            true => None,
            false => row.lv_size,
        },
        layout: Layout::Linear,
        pieces: Vec::new(),
        naa: Naa::from_serial(Naa::LIO_COMPANY, &serial),
        owner: if marks.owned {
            Owner::Array
        } else {
            Owner::Foreign
        },
        job: marks.job.and_then(|job| JobId::parse(&job)),
        held_by: held_by(row, kernel),
        created: row
            .lv_time
            .and_then(|seconds| seconds.checked_mul(1_000_000)),
        health: volume_health(row, size, twice),
        id,
    }
}

/// Who holds the volume's device, other than our own exports.
fn held_by(row: &LvRow, kernel: &Kernel) -> Option<String> {
    let vg = LvmUuid::new(row.vg_uuid.as_str()).ok()?;
    let lv = LvmUuid::new(row.lv_uuid.as_str()).ok()?;
    let device = kernel.devices.get(&names::dm_uuid(&vg, &lv))?;
    if let Some(user) = kernel.users.as_ref().and_then(|users| users.of(device)) {
        return Some(user);
    }
    let (place, _) = kernel.state.by_device(device.number)?;
    let ours = place.split_once('/')?.1 == format!("{NAME_PREFIX}{}", row.lv_uuid);
    (!ours).then(|| format!("exported by another manager as {place}"))
}

fn pool_health(row: &VgRow) -> Health {
    if !row.vg_partial.is_empty() {
        Health::Degraded("disks are missing; connect them again".into())
    } else if !row.vg_exported.is_empty() {
        Health::Failed("the volume group was exported; import it again".into())
    } else if row.vg_size.is_none() || row.vg_extent_size.is_none() {
        Health::Unknown("LVM does not tell the size".into())
    } else {
        Health::Ok
    }
}

fn volume_health(row: &LvRow, size: Option<u64>, twice: bool) -> Health {
    match row.lv_health_status.as_str() {
        _ if twice => Health::Degraded("another volume bears the same UUID".into()),
        "" if size.is_none() => Health::Unknown("LVM does not tell the size".into()),
        "" => Health::Ok,
        "partial" => Health::Failed("disks of the volume are missing; connect them again".into()),
        other => Health::Degraded(format!("LVM reports: {other}")),
    }
}

fn portals(names: &[String]) -> Vec<SocketAddr> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(mda_free: u64, partial: &str) -> VgRow {
        serde_json::from_value(serde_json::json!({
            "vg_name": "vg0", "vg_uuid": "u", "vg_free": "4096", "vg_mda_size": "1048576",
            "vg_mda_free": mda_free.to_string(), "vg_partial": partial,
        }))
        .expect("a row")
    }

    #[test]
    fn creates_stop_while_deletes_still_have_room() {
        assert_eq!(available(&group(500_000, "")), 4096);
        assert_eq!(available(&group(65_536, "")), 4096);
        assert_eq!(available(&group(65_535, "")), 0);
        assert_eq!(available(&group(500_000, "partial")), 0);
    }
}
