//! The rig of the modelled array. Its state lies in a directory, so that a reboot is a real one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;

use standpipe::array::{
    Chap, ChapTable, DiskId, DiskUsage, Engine, InitiatorName, Iqn, Map, Naa, PoolId, PortId,
    VolumeId,
};
use standpipe::engine::sim::{Clock, Content, EXTENT, Hang, SimEngine};
use tempfile::TempDir;

use super::rig::{Rig, Vg};

/// A modelled machine with one pool of two disks, six spare ones and one of somebody.
pub struct SimRig {
    engine: Option<SimEngine>,
    chap: ChapTable,
    hang: RefCell<Option<Hang>>,
    directory: TempDir,
    spares: Vec<DiskId>,
    dirty: DiskId,
}

impl SimRig {
    /// A fresh machine.
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let engine = start(&directory, ChapTable::new());
        engine.converge(&[]).expect("nothing to show");
        let disks = engine.scan().expect("a scan").disks;
        let of_usage = |like: fn(&DiskUsage) -> bool| {
            let mut found: Vec<_> = disks.iter().filter(|disk| like(&disk.usage)).collect();
            found.sort_by(|a, b| a.device.cmp(&b.device));
            found.into_iter().map(|disk| disk.id.clone())
        };
        let spares = of_usage(|usage| *usage == DiskUsage::Free).collect();
        let dirty = of_usage(|usage| matches!(usage, DiskUsage::Taken(_))).next();
        Self {
            spares,
            dirty: dirty.expect("a disk with a file system"),
            engine: Some(engine),
            chap: ChapTable::new(),
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

fn start(directory: &TempDir, chap: ChapTable) -> SimEngine {
    // Two disks of 40 extents: a volume of more lies on both.
    SimEngine::builder()
        .pool("vg0", 2, 41 * EXTENT)
        .spare_disks(6, 75 * EXTENT)
        .dirty_disks(1, 75 * EXTENT)
        .chap(chap)
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
        self.engine = Some(start(&self.directory, self.chap.clone()));
    }

    fn configure(&mut self, chap: ChapTable) {
        self.chap = chap;
        self.reboot();
    }

    fn lvs_in(&self, group: &PoolId) -> BTreeMap<VolumeId, (String, u64)> {
        self.sim().lvs(group)
    }

    fn vgs(&self) -> BTreeMap<PoolId, Vg> {
        let listed = self.sim().vgs().into_iter();
        listed
            .map(|(id, (device, disks))| (id, Vg { device, disks }))
            .collect()
    }

    fn spare_disks(&self) -> Vec<DiskId> {
        self.spares.clone()
    }

    fn dirty_disk(&self) -> DiskId {
        self.dirty.clone()
    }

    fn legs(&self, volume: &VolumeId) -> Vec<BTreeMap<String, u64>> {
        self.sim().legs(volume)
    }

    fn thin_used(&self, volume: &VolumeId) -> u64 {
        self.sim().thin_used(volume)
    }

    fn luns(&self, initiator: &InitiatorName) -> Option<BTreeMap<u16, Naa>> {
        self.sim().report_luns(initiator, &self.port())
    }

    fn luns_with(&self, initiator: &InitiatorName, chap: &Chap) -> Option<BTreeMap<u16, Naa>> {
        let port = self.port();
        self.sim().report_luns_to(initiator, &port, Some(chap))
    }

    fn portal(&self) -> SocketAddr {
        "192.0.2.10:3260".parse().expect("an address")
    }

    fn free_portals(&self) -> [SocketAddr; 2] {
        ["192.0.2.10:3261", "[2001:db8::10]:3260"].map(|text| text.parse().expect("an address"))
    }

    fn finds_at(
        &self,
        initiator: &InitiatorName,
        portal: SocketAddr,
    ) -> BTreeMap<Iqn, BTreeMap<u16, Naa>> {
        let found = self.sim().discover(initiator, portal).into_iter();
        found
            .filter_map(|(iqn, port)| Some((iqn, self.sim().report_luns(initiator, &port)?)))
            .collect()
    }

    fn targets(&self) -> BTreeSet<Iqn> {
        self.sim().kernel_targets()
    }

    fn foreign_target(&self, iqn: &Iqn, portal: SocketAddr) {
        self.sim().foreign_target(iqn, portal);
    }

    fn stays_logged_in(
        &self,
        initiator: &InitiatorName,
        lun: u16,
        meanwhile: &mut dyn FnMut(),
    ) -> bool {
        // The model knows no sessions: who can read before and after was not logged out.
        let reads = || self.sim().read_as(initiator, &self.port(), lun).is_some();
        let before = reads();
        meanwhile();
        before && reads()
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

    fn log_in(&self, initiator: &InitiatorName, lun: u16) -> bool {
        let port = self.port();
        let shown = self.sim().report_luns(initiator, &port);
        let is_shown = shown.is_some_and(|luns| luns.contains_key(&lun));
        self.sim().log_in(initiator, &port).is_ok() && is_shown
    }

    fn log_out(&self, initiator: &InitiatorName) {
        assert!(self.sim().log_out(initiator, &self.port()));
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

    fn clear_target(&self) {
        self.sim().clear_target();
    }

    fn restored_by_another(&self) {
        let saved = self.sim().save_target();
        self.sim().restore_target(&saved);
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
        let disks = self.sim().scan().expect("a scan").pools[0].disks.clone();
        self.sim().fail_disk(&disks[0], true)
    }

    fn take_away(&self, disk: &DiskId) -> bool {
        self.sim().pull_disk(disk, true)
    }

    fn put_back(&self, disk: &DiskId) {
        self.sim().pull_disk(disk, false);
    }

    fn bring_back(&self, disk: &DiskId) {
        self.sim().fail_disk(disk, false);
    }

    fn spoil(&self, disk: &DiskId) -> bool {
        self.sim().spoil_disk(disk, true)
    }

    fn wipe(&self, disk: &DiskId) {
        self.sim().wipe_disk(disk).expect("it belongs to no pool");
    }

    fn slow_sync(&self, _slow: bool) -> bool {
        // Nobody waits for its clock, and without anybody who waits it stands still.
        true
    }
}
