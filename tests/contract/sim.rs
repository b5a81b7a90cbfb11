//! The rig of the modelled array. Its state lies in a directory, so that a reboot is a real one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use standpipe::array::{DiskId, Engine, InitiatorName, Map, Naa, PoolId, PortId, VolumeId};
use standpipe::engine::sim::{Clock, Content, EXTENT, Hang, SimEngine};
use tempfile::TempDir;

use super::rig::{Rig, Vg};

/// A modelled machine with one pool of two disks.
pub struct SimRig {
    engine: Option<SimEngine>,
    hang: RefCell<Option<Hang>>,
    directory: TempDir,
}

impl SimRig {
    /// A fresh machine.
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let engine = start(&directory);
        engine.converge(&[]).expect("nothing to show");
        Self {
            engine: Some(engine),
            hang: RefCell::default(),
            directory,
        }
    }

    fn sim(&self) -> &SimEngine {
        self.engine
            .as_ref()
            .expect("it runs but for the moment of a reboot")
    }
}

fn start(directory: &TempDir) -> SimEngine {
    // Two disks of 40 extents: a volume of more lies on both.
    SimEngine::builder()
        .pool("vg0", 2, 41 * EXTENT)
        .clock(Clock::instant())
        .state(directory.path())
        .build()
        .expect("a modelled machine")
}

impl Rig for SimRig {
    fn engine(&self) -> &dyn Engine {
        self.sim()
    }

    fn pool(&self) -> PoolId {
        self.sim().scan().expect("a scan").pools[0].id.clone()
    }

    fn port(&self) -> PortId {
        self.sim().scan().expect("a scan").targets[0].ports[0]
            .id
            .clone()
    }

    fn two_slices(&self) -> u64 {
        128 << 20
    }

    fn reboot(&mut self) {
        self.hang.take();
        self.engine = None;
        self.engine = Some(start(&self.directory));
    }

    fn lvs_in(&self, group: &PoolId) -> BTreeMap<VolumeId, (String, u64)> {
        let facts = self.sim().scan_group(group).expect("a scan");
        let listed = facts.volumes.into_iter();
        listed.map(|lv| (lv.id, (lv.device, lv.size))).collect()
    }

    fn vgs(&self) -> BTreeMap<PoolId, Vg> {
        let facts = self.sim().scan().expect("a scan");
        let pools = facts.pools.into_iter().map(|pool| {
            let members = facts.disks.iter().filter(|d| pool.disks.contains(&d.id));
            let vg = Vg {
                device: pool.device,
                disks: members.map(|disk| disk.device.clone()).collect(),
            };
            (pool.id, vg)
        });
        pools.collect()
    }

    fn spare_disks(&self) -> Vec<DiskId> {
        Vec::new()
    }

    fn dirty_disk(&self) -> DiskId {
        DiskId::from("none")
    }

    fn legs(&self, _volume: &VolumeId) -> Vec<BTreeMap<String, u64>> {
        Vec::new()
    }

    fn thin_used(&self, _volume: &VolumeId) -> u64 {
        0
    }

    fn luns(&self, initiator: &InitiatorName) -> Option<BTreeMap<u16, Naa>> {
        self.sim().report_luns(initiator, &self.port())
    }

    fn capacity(&self, initiator: &InitiatorName, lun: u16) -> Option<u64> {
        let extents = self.sim().extents_as(initiator, &self.port(), lun)?;
        Some(extents.len() as u64 * EXTENT)
    }

    fn reads(&self, initiator: &InitiatorName, lun: u16, range: Range<u64>, byte: u8) -> bool {
        let wanted = match byte {
            0 => Content::Zeros,
            byte => Content::Written(byte),
        };
        let extents = self.sim().extents_as(initiator, &self.port(), lun);
        let places = (range.start / EXTENT) as usize..(range.end / EXTENT) as usize;
        let found = extents.as_ref().and_then(|extents| extents.get(places));
        found.is_some_and(|found| found.iter().all(|content| *content == wanted))
    }

    fn writes(&self, initiator: &InitiatorName, lun: u16, range: Range<u64>, byte: u8) -> bool {
        self.sim()
            .write_as(initiator, &self.port(), lun, range, byte)
    }

    fn lvcreate_in(&self, group: &PoolId, device: &str, size: u64) -> VolumeId {
        self.sim()
            .lvcreate(group, device, size)
            .expect("room for it")
    }

    fn hold(&self, volume: &VolumeId, open: bool) {
        let holder = open.then_some("open");
        self.sim()
            .hold(volume, holder)
            .expect("the volume is there");
    }

    fn foreign_map(&self, map: &Map) {
        self.sim().foreign_map(map).expect("the number is free");
    }

    fn lose_map(&self, map: &Map) {
        assert!(self.sim().lose_map(&map.initiator, &map.port, map.lun));
    }

    fn stall(&self) -> bool {
        self.hang.replace(Some(self.sim().hang_step(1)));
        true
    }

    fn revive(&self) {
        if let Some(hang) = self.hang.take() {
            hang.release();
        }
    }

    fn fail_disk(&self) -> bool {
        let disks = self.sim().scan().expect("a scan").disks;
        self.sim().fail_disk(&disks[0].id, true)
    }
}
