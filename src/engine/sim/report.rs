//! What the array sees of the modelled machine.

use super::disks::HEAD;
use super::extents::{EXTENT, Segment, count};
use super::machine::{Body, Group, Lv, Machine};
use super::replicas::Delta;
use super::thin::{ThinPool, pool_id};
use super::volumes::{consumed, pool_of};
use crate::array::{
    self, DiskId, Facts, GroupFacts, Health, Layout, Piece, Pool, PoolId, PoolKind, Thin, Torn,
    Trouble, Volume,
};

fn piece(leg: usize, segment: &Segment) -> Piece {
    Piece {
        disk: segment.disk.clone(),
        leg: u16::try_from(leg).unwrap_or(u16::MAX),
        start: HEAD + segment.start * EXTENT,
        length: segment.length * EXTENT,
    }
}

impl Machine {
    /// Everything.
    pub(super) fn report(&self) -> Facts {
        let groups: Vec<&Group> = self.seen_groups().collect();
        let members = groups.iter().flat_map(|group| self.report_members(group));
        let pools = groups.iter().flat_map(|group| {
            let thin = self.report_thin_pools(&group.row.id);
            std::iter::once(self.report_group(group)).chain(thin)
        });
        let volumes = self.volumes.values().filter(|lv| self.sees(&lv.group));
        Facts {
            pools: pools.collect(),
            volumes: volumes.filter_map(|lv| self.report_volume(lv)).collect(),
            disks: members.chain(self.report_other_disks()).collect(),
            targets: self.report_targets(),
            fc_ports: self.report_fc_ports(),
            stray_targets: self.report_stray_targets(),
            nics: self.nics.clone(),
            maps: self.report_maps(),
            foreign_maps: self.report_foreign_maps(),
            foreign_targets: self.report_foreign_targets(),
            sessions: self.sessions.values().cloned().collect(),
        }
    }

    /// One volume group.
    pub(super) fn report_one(&self, id: &PoolId) -> Result<GroupFacts, array::Error> {
        let group = self.group(id)?;
        Ok(GroupFacts {
            group: self.report_group(group),
            thin_pools: self.report_thin_pools(id),
            volumes: self
                .volumes_in(id)
                .filter_map(|lv| self.report_volume(lv))
                .collect(),
            disks: self.report_members(group).collect(),
        })
    }

    fn report_members<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = array::Disk> + 'a {
        let disks = group.row.disks.iter().filter_map(|id| self.disks.get(id));
        disks.map(|disk| disk.report_member(&group.row))
    }

    fn report_group(&self, group: &Group) -> Pool {
        let row = &group.row;
        let disks = row.disks.iter().filter_map(|id| self.disks.get(id));
        let extents: u64 = disks.map(|disk| disk.extents()).sum();
        let health = match self.lost_disk(group) {
            Some(disk) => Health::Degraded(format!(
                "disk {} {}; connect it again, or repair what lies on it",
                disk.row.device,
                disk.trouble()
            )),
            None if !group.has_metadata_room() => Health::Degraded(
                "its metadata has no room for more volumes; delete some that nobody needs"
                    .to_owned(),
            ),
            None => Health::Ok,
        };
        Pool {
            id: row.id.clone(),
            name: group.name().to_owned(),
            device: row.device.clone(),
            kind: PoolKind::Group {
                spare: count(&row.spare) * EXTENT,
            },
            owner: row.owner,
            job: row.job,
            size: extents * EXTENT,
            free: self.free(group) * EXTENT,
            available: self.available(group),
            extent: EXTENT,
            disks: row.disks.clone(),
            health,
        }
    }

    fn report_thin_pools(&self, group: &PoolId) -> Vec<Pool> {
        let pools = self.volumes_in(group).filter_map(|lv| match &lv.body {
            Body::Pool(pool) => Some(self.report_thin_pool(lv, pool)),
            _ => None,
        });
        pools.collect()
    }

    fn report_thin_pool(&self, lv: &Lv, pool: &ThinPool) -> Pool {
        let health = self.thin_health(lv);
        let free = self.thin_free(&lv.id) * EXTENT;
        let is_whole = self
            .group(&lv.group)
            .is_ok_and(|group| self.lost_disk(group).is_none());
        let mut disks: Vec<DiskId> = Vec::new();
        let all = pool.data.iter().chain(&pool.metadata);
        for segment in all.chain(lv.goes_to()) {
            if !disks.contains(&segment.disk) {
                disks.push(segment.disk.clone());
            }
        }
        Pool {
            id: pool_id(lv),
            name: lv.name.as_ref().unwrap_or(&lv.device).clone(),
            device: lv.device.clone(),
            kind: PoolKind::Thin(Thin {
                group: lv.group.clone(),
                promised: self.thin_volumes(lv).map(Lv::size).sum(),
                consumed: consumed(lv) * EXTENT,
                metadata: count(&pool.metadata) * EXTENT,
                metadata_used: Some(self.metadata_used(lv)),
                layout: Layout::Linear,
                pieces: pool.data.iter().map(|s| piece(0, s)).collect(),
            }),
            owner: lv.owner,
            job: lv.job,
            size: lv.size(),
            free,
            available: if is_whole { free } else { 0 },
            extent: EXTENT,
            disks,
            health,
        }
    }

    /// `None` for a thin pool, which is no volume.
    fn report_volume(&self, lv: &Lv) -> Option<Volume> {
        let (mut trouble, mut behind) = (Trouble::default(), 0);
        let (layout, pieces, health) = match &lv.body {
            Body::Thick(legs) => {
                let pieces = legs.legs.iter().enumerate().flat_map(|(number, leg)| {
                    let is_left = leg.data.iter().any(|segment| lv.leaves(&segment.disk));
                    let goes_to: &[Segment] = if is_left { lv.goes_to() } else { &[] };
                    let all = leg.data.iter().chain(goes_to);
                    all.map(move |segment| piece(number, segment))
                });
                let health = self.legs_health(&lv.id, legs);
                trouble = self.trouble(legs);
                behind = self.behind(&lv.id, legs);
                (legs.layout, pieces.collect(), health)
            }
            Body::Thin(_) => (Layout::Linear, Vec::new(), self.thin_volume_health(lv)),
            Body::Delta(delta) => {
                let pieces = delta.room.iter().map(|segment| piece(0, segment));
                (
                    Layout::Linear,
                    pieces.collect(),
                    self.delta_health(lv, delta),
                )
            }
            Body::Pool(_) => return None,
        };
        Some(Volume {
            id: lv.id.clone(),
            name: lv.name.as_ref().unwrap_or(&lv.device).clone(),
            device: lv.device.clone(),
            pool: pool_of(self, lv),
            size: lv.size(),
            consumed: Some(consumed(lv) * EXTENT),
            layout,
            pieces,
            naa: lv.naa(),
            owner: lv.owner,
            job: lv.job,
            held_by: lv.held_by.clone(),
            created: Some(lv.created),
            health: match lv.kin.torn {
                Some(torn) => of_torn(health, torn),
                None => health,
            },
            trouble,
            behind,
            replica: lv.replica(),
            torn: lv.kin.torn,
        })
    }

    fn delta_health(&self, lv: &Lv, delta: &Delta) -> Health {
        if delta.broken() {
            return Health::Failed(
                "more changed than it had room for, and its content is lost; delete it".to_owned(),
            );
        }
        match self.failed_under(lv) {
            Some(disk) => Health::Failed(format!(
                "disk {} under it or its source {}; connect it again",
                disk.row.device,
                disk.trouble()
            )),
            None => Health::Ok,
        }
    }

    fn thin_volume_health(&self, lv: &Lv) -> Health {
        let Body::Thin(map) = &lv.body else {
            return Health::Ok;
        };
        if let Some(disk) = self.failed_under(lv) {
            return Health::Failed(format!(
                "disk {} under its pool {}; connect it again",
                disk.row.device,
                disk.trouble()
            ));
        }
        let is_given = map.given.len() as u64 == map.extents;
        match self.thin_free(&map.pool) {
            0 if !is_given => Health::Degraded(
                "its pool is full: hosts cannot write what is new; grow the pool".to_owned(),
            ),
            _ => Health::Ok,
        }
    }

    fn report_maps(&self) -> Vec<array::Map> {
        let ours = self.luns.iter();
        let ours = ours.filter(|((port, ..), lun)| lun.ours && self.is_our_port(port));
        ours.map(|((port, initiator, number), lun)| array::Map {
            port: port.clone(),
            initiator: initiator.clone(),
            lun: *number,
            volume: lun.volume.clone(),
        })
        .collect()
    }

    fn report_foreign_maps(&self) -> Vec<array::ForeignMap> {
        let foreign = self.luns.iter().filter(|(_, lun)| !lun.ours);
        foreign
            .map(|((port, initiator, number), lun)| array::ForeignMap {
                port: port.clone(),
                initiator: initiator.clone(),
                lun: *number,
                volume: Some(lun.volume.clone()),
            })
            .collect()
    }
}

/// How well a volume is that is torn, beside that.
fn of_torn(health: Health, torn: Torn) -> Health {
    match health {
        Health::Failed(_) => health,
        _ => Health::Failed(torn.sentence().to_owned()),
    }
}
