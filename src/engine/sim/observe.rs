//! What an initiator finds on the modelled machine, and what LVM's own commands list: the probes of
//! tests.
//!
//! An initiator speaks to a port; it sees nothing of pools, marks or jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;

use super::SimEngine;
use super::disks::State;
use super::extents::{Content, EXTENT};
use super::legs::Leg;
use super::machine::{Body, Lv, Machine};
use super::volumes::consumed;
use crate::array::{Chap, InitiatorName, Iqn, Naa, PoolId, PortId, VolumeId};

impl SimEngine {
    /// The LUN numbers that an initiator finds behind a port, with the identifier that each answers
    /// to INQUIRY (page 0x83); `None` where it cannot log in.
    pub fn report_luns(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
    ) -> Option<BTreeMap<u16, Naa>> {
        self.report_luns_to(initiator, port, None)
    }

    /// The same for one that logs in with these credentials, and leaves again where the array does
    /// not prove what they say of it.
    pub fn report_luns_to(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
        offered: Option<&Chap>,
    ) -> Option<BTreeMap<u16, Naa>> {
        let machine = self.0.machine();
        let seen = machine.seen_by(initiator, port, offered)?;
        let volumes = seen.into_iter();
        Some(
            volumes
                .filter_map(|(number, lun)| Some((number, machine.volumes.get(&lun.volume)?.naa())))
                .collect(),
        )
    }

    /// The targets that an initiator is told of at an address, with the ports to log in to.
    pub fn discover(&self, initiator: &InitiatorName, portal: SocketAddr) -> BTreeMap<Iqn, PortId> {
        let machine = self.0.machine();
        let mut found = machine.listening_at(portal);
        found.retain(|_, port| machine.seen_by(initiator, port, None).is_some());
        found
    }

    /// The targets in the kernel, whoever made them.
    pub fn kernel_targets(&self) -> BTreeSet<Iqn> {
        let machine = self.0.machine();
        let configured = machine.targets.iter().map(|target| target.iqn.clone());
        let extra = machine.extra_targets.keys().cloned();
        configured.chain(extra).collect()
    }

    /// The worst that an initiator finds when it reads a whole LUN; `None` where it has no such LUN
    /// or cannot read it.
    pub fn read_as(&self, initiator: &InitiatorName, port: &PortId, lun: u16) -> Option<Content> {
        self.extents_as(initiator, port, lun)?.into_iter().max()
    }

    /// What each extent of a LUN holds for an initiator that reads it; `None` where it has no such
    /// LUN or cannot read it. Their number times the pool's extent is the capacity of the LUN.
    pub fn extents_as(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
        lun: u16,
    ) -> Option<Vec<Content>> {
        let machine = self.0.machine();
        let lv = readable(&machine, initiator, port, lun)?;
        let mut contents = Vec::new();
        for (length, content) in machine.contents(lv) {
            contents.resize(contents.len() + usize::try_from(length).ok()?, content);
        }
        Some(contents)
    }

    /// Writes one byte all over a range of a LUN (in bytes, whole extents) as an initiator would;
    /// whether it could.
    pub fn write_as(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
        lun: u16,
        range: Range<u64>,
        byte: u8,
    ) -> bool {
        let mut machine = self.0.machine();
        let Some(lv) = readable(&machine, initiator, port, lun).cloned() else {
            return false;
        };
        let whole = range.start.is_multiple_of(EXTENT) && range.end.is_multiple_of(EXTENT);
        if !whole || range.is_empty() || range.end > lv.size() {
            return false;
        }
        let (start, length) = (range.start / EXTENT, (range.end - range.start) / EXTENT);
        let lasted = machine.write(&lv.id, start, length, Content::of(byte));
        machine.keep_contents(&lv.id).is_ok() && lasted
    }

    /// The volume groups of the machine, whoever manages them, as `vgs` and `pvs` list them:
    /// identity → name and devices of the disks that are there.
    pub fn vgs(&self) -> BTreeMap<PoolId, (String, BTreeSet<String>)> {
        let machine = self.0.machine();
        let rows = machine.groups.iter().map(|group| {
            let disks = group.row.disks.iter();
            let there = disks
                .filter_map(|id| machine.disk(id).ok())
                .filter(|disk| disk.row.state != State::Missing)
                .map(|disk| disk.row.device.clone());
            let vg = (group.row.device.clone(), there.collect());
            (group.row.id.clone(), vg)
        });
        rows.collect()
    }

    /// The logical volumes of a group as `lvs` lists them, thin pools included.
    pub fn lvs(&self, group: &PoolId) -> BTreeMap<VolumeId, (String, u64)> {
        let machine = self.0.machine();
        let listed = machine.volumes_in(group);
        listed
            .map(|lv| (lv.id.clone(), (lv.device.clone(), lv_size(lv))))
            .collect()
    }

    /// Where each leg of a volume lies: device → bytes.
    pub fn legs(&self, volume: &VolumeId) -> Vec<BTreeMap<String, u64>> {
        let machine = self.0.machine();
        let Some(Body::Thick(legs)) = machine.volumes.get(volume).map(|lv| &lv.body) else {
            return Vec::new();
        };
        let on_devices = |leg: &Leg| {
            let mut devices = BTreeMap::new();
            for segment in &leg.data {
                if let Ok(disk) = machine.disk(&segment.disk) {
                    let device = disk.row.device.clone();
                    *devices.entry(device).or_insert(0) += segment.length * EXTENT;
                }
            }
            devices
        };
        legs.legs.iter().map(on_devices).collect()
    }

    /// Bytes of a thin pool that its volumes hold, what they share counted once.
    pub fn thin_pool_used(&self, pool: &PoolId) -> u64 {
        let machine = self.0.machine();
        let held = machine.volumes.values().filter_map(|lv| match &lv.body {
            Body::Thin(map) if map.pool.as_str() == pool.as_str() => Some(map.given.values()),
            _ => None,
        });
        let held: BTreeSet<_> = held.flatten().collect();
        held.len() as u64 * EXTENT
    }

    /// Bytes of its pool that a thin volume has been given.
    pub fn thin_used(&self, volume: &VolumeId) -> u64 {
        let machine = self.0.machine();
        machine
            .volumes
            .get(volume)
            .map_or(0, |lv| consumed(lv) * EXTENT)
    }
}

/// What LVM calls the size: of a snapshot its room.
fn lv_size(lv: &Lv) -> u64 {
    match lv.body {
        Body::Delta(_) => consumed(lv) * EXTENT,
        _ => lv.size(),
    }
}

fn readable<'a>(
    machine: &'a Machine,
    initiator: &InitiatorName,
    port: &PortId,
    lun: u16,
) -> Option<&'a Lv> {
    let lun = *machine.seen_by(initiator, port, None)?.get(&lun)?;
    let lv = machine.volumes.get(&lun.volume)?;
    machine.readable(lv).is_ok().then_some(lv)
}
