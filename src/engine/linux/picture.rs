//! The rows of a listing as pools and volumes, with what the kernel adds to them.

use std::collections::{BTreeMap, BTreeSet};

use super::blockdev::DmDevice;
use super::disks::Listing;
use super::dm::{self, Status};
use super::health::{self, Lost};
use super::lio::read::{self, Backstore, Target};
use super::lvm::names::{self, LvmUuid};
use super::lvm::report::{LvRow, VgRow};
use super::lvm::shape::{Shape, Shapes};
use super::lvm::tags::Marks;
use super::scan::{Kernel, Listed};
use super::trouble::{self, Mapped};
use crate::array::{
    Health, JobId, Naa, Owner, Piece, Pool, PoolId, PoolKind, Replica, ReplicaKind, Thin, Trouble,
    Volume, VolumeId,
};

/// The part of a group's metadata area that creates leave free, so that deletes and tags still
/// work: a sixteenth.
const RESERVE: u64 = 16;

/// Whether a group has room to note down new volumes.
fn is_roomy(group: &VgRow) -> bool {
    let area = group.vg_mda_size.unwrap_or_default();
    group.vg_mda_free.is_some_and(|free| free >= area / RESERVE)
}

/// Whether a group can be changed and has room to note down new volumes.
fn takes_volumes(group: &VgRow) -> bool {
    let is_usable = [&group.vg_partial, &group.vg_exported]
        .iter()
        .all(|flag| flag.is_empty());
    is_roomy(group) && is_usable && group.copy.is_none()
}

/// Bytes that a create may take from a group now.
pub(super) fn available(group: &VgRow) -> u64 {
    match takes_volumes(group) {
        true => group.vg_free.unwrap_or_default(),
        false => 0,
    }
}

/// A volume group with what lies in it.
pub(super) struct GroupPicture {
    pub(super) pool: Pool,
    pub(super) thin_pools: Vec<Pool>,
    pub(super) volumes: Vec<Volume>,
}

/// How a volume or thin pool lies.
struct Lie {
    shape: Shape,
    /// The legs of its data that do not work though their disks are there.
    trouble: Trouble,
    /// As far as its disks go.
    health: Health,
}

/// Everything that was seen at one moment.
pub(super) struct Picture<'a> {
    listed: &'a Listed,
    kernel: &'a Kernel,
    disks: &'a Listing,
    lost: Lost,
    /// Of each physical volume: where its first extent begins.
    starts: BTreeMap<&'a str, u64>,
    /// The UUIDs that more than one volume bears.
    twice: BTreeSet<&'a str>,
    /// The active volumes by the number of their device.
    active: BTreeMap<(u32, u32), &'a str>,
}

impl<'a> Picture<'a> {
    pub(super) fn new(listed: &'a Listed, kernel: &'a Kernel, disks: &'a Listing) -> Self {
        let (mut names, mut twice) = (BTreeMap::new(), BTreeSet::new());
        for row in &listed.volumes {
            let place = (row.vg_uuid.as_str(), row.lv_name.as_str());
            let known = names.entry(row.lv_uuid.as_str()).or_insert(place);
            if *known != place {
                twice.insert(row.lv_uuid.as_str());
            }
        }
        let starts = listed.devices.iter();
        let active = listed.volumes.iter().filter_map(|row| {
            let device = device(row, kernel)?;
            Some((device.number, row.lv_uuid.as_str()))
        });
        Self {
            active: active.collect(),
            listed,
            kernel,
            disks,
            lost: health::lost(&disks.disks, &disks.ids),
            starts: starts
                .map(|row| (row.pv_uuid.as_str(), row.pe_start.unwrap_or_default()))
                .collect(),
            twice,
        }
    }

    /// The volume that a row of an initiator's table shows, if it is one of these.
    pub(super) fn shown_in(&self, target: &Target, mapped: &read::Mapped) -> Option<VolumeId> {
        let unit = target.units.get(&mapped.unit?)?;
        let backstore = self.kernel.state.backstores.get(unit.backstore.as_ref()?)?;
        let uuid = self.active.get(&backstore.device?)?;
        Some(VolumeId::from(*uuid))
    }

    /// A group with what lies in it.
    pub(super) fn group(&self, row: &'a VgRow) -> GroupPicture {
        let is_of = |group: &String| *group == row.vg_uuid;
        let rows: Vec<&LvRow> = self
            .listed
            .volumes
            .iter()
            .filter(|lv| is_of(&lv.vg_uuid))
            .collect();
        let shapes = Shapes::new(
            rows.iter().copied(),
            self.listed.devices.iter().filter(|pv| is_of(&pv.vg_uuid)),
            self.listed.segments.iter().filter(|pv| is_of(&pv.vg_uuid)),
        );
        // A row for each segment: the first stands for the volume.
        let mut seen = BTreeSet::new();
        let firsts: Vec<&LvRow> = rows
            .iter()
            .copied()
            .filter(|lv| seen.insert(lv.lv_name.as_str()))
            .collect();
        let spare = firsts
            .iter()
            .filter(|lv| lv.has_role("spare"))
            .filter_map(|lv| lv.lv_size)
            .sum();
        let promised = |pool: &str| {
            let volumes = firsts.iter().filter(|lv| lv.pool_lv_uuid == pool);
            volumes.filter_map(|lv| lv.lv_size).sum()
        };
        let thin_pools: Vec<Pool> = firsts
            .iter()
            .filter(|lv| lv.is_thin_pool())
            .map(|lv| self.thin_pool(row, lv, &shapes, promised(&lv.lv_uuid)))
            .collect();
        let volumes = firsts.iter().filter(|lv| lv.is_volume()).map(|lv| {
            let mut pools = thin_pools.iter();
            match pools.find(|pool| pool.id.as_str() == lv.pool_lv_uuid) {
                Some(pool) => self.thin_volume(lv, pool),
                None => self.volume(row, lv, &shapes),
            }
        });
        let mut volumes: Vec<Volume> = volumes.collect();
        health::spread(&mut volumes);
        GroupPicture {
            volumes,
            pool: self.volume_group(row, spare),
            thin_pools,
        }
    }

    fn volume_group(&self, row: &VgRow, spare: u64) -> Pool {
        let marks = Marks::read(&row.vg_tags);
        let members = self.listed.devices.iter();
        let members = members.filter(|device| device.vg_uuid == row.vg_uuid);
        let lost: Vec<&String> = members
            .clone()
            .filter_map(|device| self.lost.get(&device.pv_uuid))
            .collect();
        let closed = members.clone().filter(|device| device.is_closed());
        let closed: u64 = closed.filter_map(|device| device.pv_free).sum();
        let disks = members.filter_map(|device| self.disks.ids.get(&device.pv_uuid));
        Pool {
            id: PoolId::from(row.vg_uuid.as_str()),
            name: marks.name.clone().unwrap_or_else(|| row.vg_name.clone()),
            device: row.vg_name.clone(),
            kind: PoolKind::Group { spare },
            owner: owner(&marks),
            job: job(&marks),
            size: row.vg_size.unwrap_or_default(),
            free: row.vg_free.unwrap_or_default().saturating_sub(closed),
            available: available(row).saturating_sub(closed),
            extent: row.vg_extent_size.unwrap_or_default(),
            disks: disks.cloned().collect(),
            health: health::of_group(row, &lost, is_roomy(row)),
        }
    }

    fn thin_pool(&self, group: &VgRow, row: &LvRow, shapes: &Shapes<'_>, promised: u64) -> Pool {
        let Lie {
            shape,
            health: by_disks,
            ..
        } = self.lie(row, shapes, None);
        let marks = Marks::read(&row.lv_tags);
        let status = dm::pool(&self.kernel.statuses, &row.vg_name, &row.lv_name);
        let size = row.lv_size.unwrap_or_default();
        let (used, metadata_used) = match status {
            Some(dm::Pool::Live {
                chunks, metadata, ..
            }) => {
                let chunk = row.chunk_size.unwrap_or_default();
                (Some(chunks.0.saturating_mul(chunk)), Some(metadata.0))
            }
            _ => (None, None),
        };
        // Where nobody knows what is used, nothing counts as free.
        let free = used.map_or(0, |used| size.saturating_sub(used));
        let is_partial = !group.vg_partial.is_empty();
        let health = health::worse(by_disks, health::of_pool(status, is_partial));
        let is_writable = matches!(
            status,
            Some(dm::Pool::Live {
                mode: dm::Mode::Writable,
                ..
            })
        );
        let works = is_writable && matches!(health, Health::Ok | Health::Degraded(_));
        let pieces = self.pieces(group, &shape);
        // Its metadata may lie elsewhere, and what a move leaves or goes to.
        let leaves = shapes.leaves(row.plain_name());
        let on = leaves.iter().flat_map(|leaf| &leaf.on);
        let parts = std::iter::once(&shape).chain(&shape.beside);
        let stretches = parts.flat_map(|part| &part.stretches);
        let on = on.chain(stretches.map(|stretch| &stretch.pv));
        let disks: BTreeSet<_> = on.filter_map(|pv| self.disks.ids.get(pv)).collect();
        Pool {
            id: PoolId::from(row.lv_uuid.as_str()),
            name: marks.name.clone().unwrap_or_else(|| row.lv_name.clone()),
            device: row.lv_name.clone(),
            owner: owner(&marks),
            job: job(&marks),
            size,
            free,
            available: match works && takes_volumes(group) {
                true => free,
                false => 0,
            },
            extent: group.vg_extent_size.unwrap_or_default(),
            disks: disks.into_iter().cloned().collect(),
            health: self.is_twice(row).unwrap_or(health),
            kind: PoolKind::Thin(Thin {
                group: PoolId::from(row.vg_uuid.as_str()),
                promised,
                consumed: self.bytes(group, shape.extents),
                metadata: row.lv_metadata_size.unwrap_or_default(),
                metadata_used,
                layout: shape.layout,
                pieces,
            }),
        }
    }

    fn volume(&self, group: &VgRow, row: &LvRow, shapes: &Shapes<'_>) -> Volume {
        let raid = dm::raid(&self.kernel.statuses, &row.vg_name, &row.lv_name);
        let Lie {
            shape,
            trouble,
            health,
        } = self.lie(row, shapes, raid);
        let by_disks = match health {
            Health::Ok => health::of_snapshot(self.snapshot(row)),
            by_disks => by_disks,
        };
        Volume {
            consumed: Some(self.bytes(group, shape.extents)),
            layout: shape.layout,
            pieces: self.pieces(group, &shape),
            trouble,
            behind: raid.map_or(0, dm::Raid::behind),
            ..self.plain(row, PoolId::from(row.vg_uuid.as_str()), by_disks)
        }
    }

    /// How a volume or thin pool lies, and how it is for that.
    fn lie(&self, row: &LvRow, shapes: &Shapes<'_>, raid: Option<&dm::Raid>) -> Lie {
        let shape = shapes.of(row.plain_name());
        let leaves = shapes.leaves(row.plain_name());
        let mapped = Mapped {
            devices: &self.kernel.devices,
            numbers: &self.disks.numbers,
            returned: &self.disks.returned,
        };
        let group = LvmUuid::new(row.vg_uuid.as_str());
        let stale = group.map_or_else(|_| BTreeSet::new(), |group| mapped.stale(&group, &leaves));
        // What is stale of a pool is no matter of single legs.
        let (stale, by_stale) = match row.is_thin_pool() && !stale.is_empty() {
            true => (BTreeSet::new(), health::of_stale_pool()),
            false => (stale, Health::Ok),
        };
        let judged = |shape: &Shape, raid| {
            let trouble = trouble::of(shape, |pv| self.lost.contains_key(pv), &stale, raid);
            let health = health::of_shape(shape, &self.lost, &trouble, raid);
            (trouble, health)
        };
        let (trouble, health) = judged(&shape, raid);
        let beside = shape.beside.iter().map(|part| judged(part, None).1);
        Lie {
            health: beside.fold(health::worse(health, by_stale), health::worse),
            trouble,
            shape,
        }
    }

    fn thin_volume(&self, row: &LvRow, pool: &Pool) -> Volume {
        let mapped = match self
            .kernel
            .statuses
            .get(&dm::name(&row.vg_name, &row.lv_name))
        {
            Some(Status::Thin(mapped)) => *mapped,
            _ => None,
        };
        // It is as well as its pool. That nobody knows how full that is concerns only the pool.
        let by_pool = match &pool.health {
            Health::Failed(sentence) => Health::Failed(sentence.clone()),
            Health::Degraded(sentence) => Health::Degraded(sentence.clone()),
            Health::Ok | Health::Unknown(_) => Health::Ok,
        };
        Volume {
            consumed: mapped,
            layout: pool.thin().map(|thin| thin.layout).unwrap_or_default(),
            pieces: Vec::new(),
            ..self.plain(row, pool.id.clone(), by_pool)
        }
    }

    /// What every volume has.
    fn plain(&self, row: &LvRow, pool: PoolId, by_disks: Health) -> Volume {
        let id = VolumeId::from(row.lv_uuid.as_str());
        let marks = Marks::read(&row.lv_tags);
        let size = row.size();
        let health = match (self.is_twice(row), size) {
            (Some(health), _) => health,
            (None, None) => Health::Unknown("LVM does not tell the size".into()),
            (None, Some(_)) => match marks.torn {
                Some(torn) => health::of_torn(by_disks, torn),
                None => by_disks,
            },
        };
        let shown = foreign_export(row, self.kernel).and_then(|(_, shown)| shown.serial.clone());
        let serial = shown.or_else(|| marks.serial.clone());
        let serial = serial.unwrap_or_else(|| id.unit_serial());
        Volume {
            name: marks.name.clone().unwrap_or_else(|| row.lv_name.clone()),
            device: row.lv_name.clone(),
            pool,
            size: size.unwrap_or_default(),
            consumed: None,
            layout: Default::default(),
            pieces: Vec::new(),
            naa: Naa::from_serial(Naa::LIO_COMPANY, &serial),
            owner: owner(&marks),
            job: job(&marks),
            held_by: held_by(row, self.kernel),
            created: created(row),
            health,
            trouble: Trouble::default(),
            behind: 0,
            replica: self.replica(row, &marks),
            torn: marks.torn,
            id,
        }
    }

    /// What the kernel knows of a snapshot that keeps what changes.
    fn snapshot(&self, row: &LvRow) -> Option<dm::Snapshot> {
        let statuses = &self.kernel.statuses;
        match statuses.get(&dm::name(&row.vg_name, &row.lv_name)) {
            Some(Status::Snapshot(snapshot)) => Some(*snapshot),
            _ => None,
        }
    }

    /// What a volume is the replica of: LVM knows it of snapshots, whoever made them; of clones we do.
    fn replica(&self, row: &LvRow, marks: &Marks) -> Option<Replica> {
        let origin = || VolumeId::from(row.origin_uuid.as_str());
        let has_origin = !row.origin_uuid.is_empty();
        if has_origin && row.is_delta() {
            let snapshot = self.snapshot(row);
            let used = match snapshot {
                Some(dm::Snapshot::Whole { used }) => Some(used.0),
                _ => None,
            };
            return Some(Replica {
                source: origin(),
                kind: ReplicaKind::Delta {
                    room: row.lv_size.unwrap_or_default(),
                    used,
                    broken: snapshot == Some(dm::Snapshot::Lost),
                },
                taken: marks.taken.or_else(|| created(row)),
            });
        }
        if has_origin && row.has_layout("thin") && !marks.detached {
            return Some(Replica {
                source: origin(),
                kind: ReplicaKind::Shared,
                taken: marks.taken.or_else(|| created(row)),
            });
        }
        Some(Replica {
            source: VolumeId::from(marks.clone_of.as_deref()?),
            kind: ReplicaKind::Clone,
            taken: marks.taken,
        })
    }

    /// Whether there may be another volume that bears the same UUID.
    fn is_twice(&self, row: &LvRow) -> Option<Health> {
        if self.twice.contains(row.lv_uuid.as_str()) {
            return Some(Health::Degraded(
                "another volume bears the same UUID".into(),
            ));
        }
        let mut groups = self.listed.groups.iter();
        let group = groups.find(|group| group.vg_uuid == row.vg_uuid)?;
        health::of_copied(group)
    }

    fn bytes(&self, group: &VgRow, extents: u64) -> u64 {
        extents.saturating_mul(group.vg_extent_size.unwrap_or_default())
    }

    /// Where a shape lies, in bytes of its disks.
    fn pieces(&self, group: &VgRow, shape: &Shape) -> Vec<Piece> {
        let pieces = shape.stretches.iter().filter_map(|stretch| {
            let start = self.starts.get(stretch.pv.as_str())?;
            Some(Piece {
                disk: self.disks.ids.get(&stretch.pv)?.clone(),
                leg: stretch.leg,
                start: start.saturating_add(self.bytes(group, stretch.first)),
                length: self.bytes(group, stretch.count),
            })
        });
        pieces.collect()
    }
}

fn owner(marks: &Marks) -> Owner {
    match marks.owned {
        true => Owner::Array,
        false => Owner::Foreign,
    }
}

fn job(marks: &Marks) -> Option<JobId> {
    marks.job.as_deref().and_then(JobId::parse)
}

/// When a volume was made, in microseconds since 1970.
pub(super) fn created(row: &LvRow) -> Option<u64> {
    row.lv_time?.checked_mul(1_000_000)
}

/// Who holds the volume's device, other than our own exports.
fn held_by(row: &LvRow, kernel: &Kernel) -> Option<String> {
    let device = device(row, kernel)?;
    let user = kernel.users.as_ref().and_then(|users| users.of(device));
    user.or_else(|| {
        let (place, _) = foreign_export(row, kernel)?;
        Some(format!("exported by another manager as {place}"))
    })
}

/// The backstore of another manager that holds a volume, with its place.
fn foreign_export<'a>(row: &LvRow, kernel: &'a Kernel) -> Option<(&'a str, &'a Backstore)> {
    let (place, backstore) = kernel.state.by_device(device(row, kernel)?.number)?;
    let ours = backstore.volume.as_deref() == Some(&*row.lv_uuid);
    (!ours).then_some((place, backstore))
}

/// The device of a volume that is active.
fn device<'a>(row: &LvRow, kernel: &'a Kernel) -> Option<&'a DmDevice> {
    let vg = LvmUuid::new(row.vg_uuid.as_str()).ok()?;
    let lv = LvmUuid::new(row.lv_uuid.as_str()).ok()?;
    kernel.devices.get(&names::dm_uuid(&vg, &lv))
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
        let copied = VgRow {
            copy: Some("that it is there twice".into()),
            ..group(500_000, "")
        };
        assert_eq!(available(&copied), 0);
        assert!(is_roomy(&group(65_536, "")) && !is_roomy(&group(65_535, "")));
    }
}
