//! The rig of the real array: LVM and the kernel's target in the test machine, looked at by LVM's
//! own commands and by initiators of libiscsi and QEMU.
//!
//! One volume group `vg0` serves all cases, beside six disks and one with a file system; each case
//! starts on a cleaned machine.

mod commands;
mod evacuation;
mod initiator;
mod leftovers;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use standpipe::array::{
    Chap, ChapTable, DiskId, Engine, InitiatorName, Iqn, Map, Naa, PoolId, PortId, VolumeId,
};
use standpipe::engine::linux::{LinuxEngine, Settings, TargetSettings};

use crate::contract::{CASES, Case, Rig, Vg};

const IQN: &str = "iqn.2026-11.example.array:contract";
const PORTAL: &str = "127.0.0.1:3260";
/// More than a case can cause for one listing.
const UNIT_ATTENTIONS: usize = 5;

/// Takes the whole kernel target down, whoever made it.
const CLEAR_TARGET: &str = include_str!("guest/clear");

/// Takes down everything else, and brings back what was taken away.
const CLEAN: &str = include_str!("guest/clean");

/// The serial numbers of the disks that pools can be made from.
const LEGS: [&str; 6] = ["leg0", "leg1", "leg2", "leg3", "leg4", "leg5"];
/// The serial number of the disk with a file system.
const DIRTY: &str = "dirty";
/// KiB a second at which legs come into step when that is to take minutes.
const SLOW: u32 = 200;

#[test]
#[ignore = "needs the test machine"]
fn vm_contract_linux() {
    let mut failed = 0;
    // Each verdict stands on a line of its own.
    println!();
    // For the one who looks for a mistake: only the cases whose names contain this.
    let wanted = std::env::var("STANDPIPE_CASE").unwrap_or_default();
    let budget = budget();
    let began = Instant::now();
    for (name, case) in turns().filter(|(name, _)| name.contains(&wanted)) {
        if budget.is_some_and(|budget| began.elapsed() > budget) {
            println!("left out for want of time: {name}");
            continue;
        }
        let verdict = catch_unwind(AssertUnwindSafe(|| case(&mut LinuxRig::new())));
        println!(
            "case {name} ... {}",
            if verdict.is_ok() { "ok" } else { "FAILED" }
        );
        failed += usize::from(verdict.is_err());
    }
    clear();
    assert_eq!(failed, 0, "cases failed on the real array");
}

/// How long cases may take together, if that is bounded.
fn budget() -> Option<Duration> {
    let budget = std::env::var("STANDPIPE_BUDGET").ok()?;
    Some(Duration::from_secs(budget.parse().expect("seconds")))
}

/// The cases, those first in which most can be lost: there may not be time for all.
fn turns() -> impl Iterator<Item = &'static (&'static str, Case)> {
    const FIRST: [&str; 8] = [
        "erase::",
        "crashes::",
        "growth::",
        "maps::",
        "disks::",
        "lost::",
        "thin::",
        "chap::",
    ];
    let mut cases: Vec<_> = CASES.iter().collect();
    cases.sort_by_key(|(name, _)| {
        let place = FIRST.iter().position(|area| name.starts_with(area));
        place.unwrap_or(FIRST.len())
    });
    cases.into_iter()
}

/// The machine with the gateway's engine.
struct LinuxRig {
    engine: Option<LinuxEngine>,
    chap: ChapTable,
    /// The initiators that are logged in.
    logged_in: RefCell<BTreeMap<InitiatorName, LoggedIn>>,
}

/// An initiator that is logged in, until it is dropped.
struct LoggedIn {
    program: Child,
    /// It ends when nobody reads what it says.
    output: BufReader<ChildStdout>,
}

impl Drop for LoggedIn {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl LinuxRig {
    /// A clean machine.
    fn new() -> Self {
        clear();
        let engine = start(ChapTable::new());
        engine.converge(&[]).expect("nothing to show");
        Self {
            engine: Some(engine),
            chap: ChapTable::new(),
            logged_in: RefCell::default(),
        }
    }

    fn linux(&self) -> &LinuxEngine {
        self.engine
            .as_ref()
            .expect("it runs but for the moment of a reboot")
    }

    /// The names of a volume and its group.
    fn place(&self, volume: &VolumeId) -> (String, String) {
        let place = sh(&format!(
            "lvs --noheadings --separator / -o vg_name,lv_name -S lv_uuid={volume}"
        ));
        let (group, name) = place.trim().split_once('/').expect("it is there");
        (group.to_owned(), name.to_owned())
    }

    /// What an initiator's tool says about a LUN; `None` when it fails, and not at a unit attention
    /// that an earlier change left for it.
    fn ask(&self, tool: &[&str], initiator: &InitiatorName, lun: u16) -> Option<Vec<u8>> {
        self.ask_at(tool, initiator, &format!("{PORTAL}/{IQN}/{lun}"))
    }

    /// The same about a LUN of any target: `address:port/iqn/lun`.
    fn ask_at(&self, tool: &[&str], initiator: &InitiatorName, place: &str) -> Option<Vec<u8>> {
        (0..UNIT_ATTENTIONS).find_map(|_| {
            let output = Command::new(tool[0])
                .args(&tool[1..])
                .args(["-i", &initiator.folded()])
                .arg(format!("iscsi://{place}"))
                .output()
                .expect("the tool runs");
            if !output.status.success() {
                // Shown only when the case fails.
                eprintln!(
                    "{tool:?} {place}: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
            }
            output.status.success().then_some(output.stdout)
        })
    }

    /// Whether QEMU's initiator succeeds with a command on a LUN.
    fn qemu(&self, initiator: &InitiatorName, lun: u16, command: &str) -> bool {
        let output = Command::new("qemu-io")
            .args(["--image-opts", &image(initiator, lun), "-c", command])
            .output()
            .expect("qemu-io runs");
        let text = String::from_utf8_lossy(&output.stdout);
        output.status.success() && !text.contains("failed")
    }

    /// The identifier in a page 0x83 as `iscsi-inq` prints it: raw, and only up to its first zero
    /// byte. What is cut off is taken from the volume that begins so, and else for zeros.
    fn naa(&self, page: &[u8]) -> Option<Naa> {
        let start = b"Designator Type:(3) NAA\nDesignator:[";
        let at = page.windows(start.len()).position(|part| part == start)? + start.len();
        let end = page[at..].windows(2).position(|part| part == b"]\n")? + at;
        let digits: String = page[at..end]
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        if digits.len() == 32 {
            return Naa::parse(&digits);
        }
        let begins = format!("{digits}00");
        let volumes = self.linux().scan().expect("a scan").volumes;
        let known = volumes.iter().map(|volume| volume.naa);
        let known = known
            .clone()
            .find(|naa| naa.to_string().starts_with(&begins));
        known.or_else(|| Naa::parse(&format!("{digits:0<32}")))
    }
}

/// What an initiator's tool lists at an address: targets, and the units of those that it may log in
/// to. Each new map makes the units that were there answer once with "unit attention", and the
/// program gives up at it; a login that is refused stays refused.
fn list(initiator: &InitiatorName, portal: SocketAddr) -> Option<String> {
    let mut tries = (0..UNIT_ATTENTIONS).map(|_| {
        let listed = Command::new("iscsi-ls")
            .args([
                "-s",
                "-i",
                &initiator.folded(),
                &format!("iscsi://{portal}"),
            ])
            .output()
            .expect("iscsi-ls runs");
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let errors = String::from_utf8_lossy(&listed.stderr);
        eprintln!("iscsi-ls for {initiator}: {} {text}{errors}", listed.status);
        let is_refused = errors.contains("Failed to log in");
        let is_told = listed.status.success() && text.contains("Target:");
        (is_refused, is_told.then_some(text))
    });
    let (_, listed) = tries.find(|(is_refused, text)| *is_refused || text.is_some())?;
    listed
}

/// How QEMU's initiator names a LUN.
fn image(initiator: &InitiatorName, lun: u16) -> String {
    format!(
        "driver=iscsi,transport=tcp,portal={PORTAL},target={IQN},lun={lun},initiator-name={}",
        initiator.folded()
    )
}

fn start(chap: ChapTable) -> LinuxEngine {
    let portals = vec![PORTAL.parse().expect("an address")];
    let target = TargetSettings {
        iqn: Iqn::from(IQN),
        portals,
    };
    let disks = LEGS.iter().chain([&DIRTY]).map(|name| link(name).into());
    let settings = Settings {
        disks: disks.collect(),
        chap,
        ..Settings::new(vec!["vg0".into()], vec![target])
    };
    LinuxEngine::open(settings).expect("the engine opens")
}

/// The path of the disk of that serial number.
fn link(serial: &str) -> String {
    format!("/dev/disk/by-id/virtio-{serial}")
}

/// The disk of that serial number.
fn disk(serial: &str) -> DiskId {
    DiskId::from(format!("serial.{serial}"))
}

/// The path of a disk.
fn link_of(id: &DiskId) -> String {
    link(id.as_str().strip_prefix("serial.").expect("one of ours"))
}

/// A machine without volumes and without a target.
fn clear() {
    sh(CLEAR_TARGET);
    sh(CLEAN);
}

/// Runs a script that must succeed; returns its output.
fn sh(script: &str) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new("sh")
        .args(["-c", script])
        .output()
        .expect("sh runs");
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.success(),
        "{script}: {text}{}",
        String::from_utf8_lossy(&stderr)
    );
    text
}

impl Rig for LinuxRig {
    fn engine(&self) -> &dyn Engine {
        self.linux()
    }

    fn pool(&self) -> PoolId {
        PoolId::from(sh("vgs --noheadings -o vg_uuid vg0").trim())
    }

    fn port(&self) -> PortId {
        PortId::Iscsi {
            iqn: Iqn::from(IQN),
            tag: 1,
        }
    }

    fn two_slices(&self) -> u64 {
        128 << 20
    }

    /// The gateway's process and everything that a boot loses: exports and activations.
    fn reboot(&mut self) {
        self.engine = None;
        self.logged_in.take();
        sh(CLEAR_TARGET);
        sh("udevadm settle; vgchange -q -an");
        self.engine = Some(start(self.chap.clone()));
    }

    fn configure(&mut self, chap: ChapTable) {
        self.chap = chap;
        self.engine = None;
        self.engine = Some(start(self.chap.clone()));
    }

    fn lvs_in(&self, group: &PoolId) -> BTreeMap<VolumeId, (String, u64)> {
        let listed = sh(&format!(
            "lvs --noheadings --units b --nosuffix -o lv_uuid,lv_name,lv_size -S vg_uuid={group}"
        ));
        let rows = listed
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.len() == 3)
            .map(|row| {
                (
                    row[0].into(),
                    (row[1].to_owned(), row[2].parse().expect("bytes")),
                )
            })
            .collect()
    }

    fn vgs(&self) -> BTreeMap<PoolId, Vg> {
        let listed = sh("vgs --noheadings -o vg_uuid,vg_name,pv_name");
        let mut groups = BTreeMap::new();
        for line in listed.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let [id, device, disk] = words[..] else {
                continue;
            };
            let group = groups.entry(PoolId::from(id)).or_insert_with(|| Vg {
                device: device.to_owned(),
                disks: BTreeSet::new(),
            });
            if disk.starts_with('/') {
                group.disks.insert(disk.to_owned());
            }
        }
        groups
    }

    fn spare_disks(&self) -> Vec<DiskId> {
        LEGS.iter().map(|name| disk(name)).collect()
    }

    fn dirty_disk(&self) -> DiskId {
        disk(DIRTY)
    }

    fn legs(&self, volume: &VolumeId) -> Vec<BTreeMap<String, u64>> {
        let (group, name) = self.place(volume);
        let extent = sh(&format!(
            "vgs --noheadings --units b --nosuffix -o vg_extent_size {group}"
        ));
        let extent: u64 = extent.trim().parse().expect("bytes");
        let images = sh(&format!(
            "lvs -a --noheadings -o lv_name,seg_pe_ranges {group} | tr -d '[]'"
        ));
        let mut legs: Vec<BTreeMap<String, u64>> = Vec::new();
        for line in images.lines() {
            let mut words = line.split_whitespace();
            let row = words.next().unwrap_or_default();
            let image = row
                .strip_prefix(&format!("{name}_rimage_"))
                .and_then(|n| n.parse::<usize>().ok());
            if row != name && image.is_none() {
                continue;
            }
            // Of a redundant volume itself the ranges are those of its images, by their names.
            for (place, range) in words.filter(|range| range.starts_with('/')).enumerate() {
                let leg = image.unwrap_or(place);
                let (disk, extents) = range.rsplit_once(':').expect("a range");
                let (from, to) = extents.split_once('-').expect("from and to");
                let (from, to): (u64, u64) =
                    (from.parse().expect("first"), to.parse().expect("last"));
                legs.resize(legs.len().max(leg + 1), BTreeMap::new());
                *legs[leg].entry(disk.to_owned()).or_insert(0) += (to - from + 1) * extent;
            }
        }
        legs
    }

    fn thin_used(&self, volume: &VolumeId) -> u64 {
        let (group, name) = self.place(volume);
        let device = sh(&format!("dmsetup status /dev/{group}/{name}"));
        // `0 LENGTH thin MAPPED HIGHEST`
        let mapped = device.split_whitespace().nth(3).expect("mapped sectors");
        mapped.parse::<u64>().expect("sectors") * 512
    }

    fn luns(&self, initiator: &InitiatorName) -> Option<BTreeMap<u16, Naa>> {
        let mut found = self.finds_at(initiator, PORTAL.parse().expect("an address"));
        found.remove(&Iqn::from(IQN))
    }

    fn portal(&self) -> SocketAddr {
        PORTAL.parse().expect("an address")
    }

    fn free_portals(&self) -> [SocketAddr; 2] {
        ["127.0.0.1:3261", "[::1]:3260"].map(|text| text.parse().expect("an address"))
    }

    fn finds_at(
        &self,
        initiator: &InitiatorName,
        portal: SocketAddr,
    ) -> BTreeMap<Iqn, BTreeMap<u16, Naa>> {
        let mut found: BTreeMap<Iqn, BTreeMap<u16, Naa>> = BTreeMap::new();
        let mut target = None;
        for line in list(initiator, portal).unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            let word = words.next().unwrap_or_default();
            if let Some(iqn) = word.strip_prefix("Target:") {
                // It is listed at each of its addresses.
                let at = words.next().unwrap_or_default();
                let here = at.starts_with(&format!("Portal:{portal}"));
                target = here.then(|| Iqn::from(iqn));
                if let Some(iqn) = &target {
                    found.entry(iqn.clone()).or_default();
                }
                continue;
            }
            let number = word
                .strip_prefix("Lun:")
                .and_then(|n| n.parse::<u16>().ok());
            let (Some(iqn), Some(lun)) = (&target, number) else {
                continue;
            };
            let page = self.ask_at(
                &["iscsi-inq", "-e", "1", "-c", "131"],
                initiator,
                &format!("{portal}/{iqn}/{lun}"),
            );
            if let Some(naa) = page.and_then(|page| self.naa(&page)) {
                found.entry(iqn.clone()).or_default().insert(lun, naa);
            }
        }
        found
    }

    fn targets(&self) -> BTreeSet<Iqn> {
        let listed = sh("cd /sys/kernel/config/target/iscsi; ls -d iqn* || true");
        listed.lines().map(Iqn::from).collect()
    }

    fn foreign_target(&self, iqn: &Iqn, portal: SocketAddr) {
        sh(&format!(
            "set -e; group=/sys/kernel/config/target/iscsi/{iqn}/tpgt_1; mkdir -p $group
             mkdir $group/np/{portal}; echo 0 > $group/attrib/authentication; echo 1 > $group/enable"
        ));
    }

    /// QEMU stays logged in between two commands of one process.
    fn stays_logged_in(
        &self,
        initiator: &InitiatorName,
        lun: u16,
        meanwhile: &mut dyn FnMut(),
    ) -> bool {
        let name = initiator.folded();
        let image = format!(
            "driver=iscsi,transport=tcp,portal={PORTAL},target={IQN},lun={lun},initiator-name={name}"
        );
        let mut qemu = Command::new("qemu-io")
            .args(["--image-opts", &image])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-io runs");
        let mut input = qemu.stdin.take().expect("a pipe");
        let mut output = BufReader::new(qemu.stdout.take().expect("a pipe"));
        let mut read = || {
            input.write_all(b"read 0 4096\n").expect("it listens");
            let mut line = String::new();
            while !line.contains("bytes at offset") && !line.contains("failed") {
                line.clear();
                if output.read_line(&mut line).expect("it answers") == 0 {
                    return false;
                }
            }
            line.contains("read 4096/4096 bytes")
        };
        let session = || {
            let group = format!("/sys/kernel/config/target/iscsi/{IQN}/tpgt_1");
            sh(&format!(
                "grep -a 'Session ID' {group}/acls/{name}/info || true"
            ))
        };
        let (could, before) = (read(), session());
        meanwhile();
        let (can, after) = (read(), session());
        input.write_all(b"quit\n").expect("it listens");
        drop(input);
        qemu.wait().expect("it ends");
        could && can && !before.is_empty() && before == after
    }

    fn luns_with(&self, initiator: &InitiatorName, chap: &Chap) -> Option<BTreeMap<u16, Naa>> {
        initiator::luns(initiator, chap)
    }

    fn capacity(&self, initiator: &InitiatorName, lun: u16) -> Option<u64> {
        let answer = self.ask(&["iscsi-readcapacity16", "-s"], initiator, lun)?;
        String::from_utf8_lossy(&answer).trim().parse().ok()
    }

    fn reads(&self, initiator: &InitiatorName, lun: u16, range: Range<u64>, byte: u8) -> bool {
        let (start, length) = (range.start, range.end - range.start);
        self.qemu(initiator, lun, &format!("read -P {byte} {start} {length}"))
    }

    fn writes(&self, initiator: &InitiatorName, lun: u16, range: Range<u64>, byte: u8) -> bool {
        let (start, length) = (range.start, range.end - range.start);
        self.qemu(initiator, lun, &format!("write -P {byte} {start} {length}"))
    }

    fn log_in(&self, initiator: &InitiatorName, lun: u16) -> bool {
        let mut program = Command::new("qemu-io")
            .args(["--image-opts", &image(initiator, lun)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-io runs");
        let stdin = program.stdin.as_mut().expect("a pipe");
        // One that could not log in has ended, and says no more.
        let told = stdin.write_all(b"read 0 512\n");
        let output = BufReader::new(program.stdout.take().expect("a pipe"));
        let mut session = LoggedIn { program, output };
        let mut lines = session.output.by_ref().lines().map_while(Result::ok);
        let has_read = told.is_ok() && lines.any(|line| line.contains("1 ops"));
        if has_read {
            let before = self
                .logged_in
                .borrow_mut()
                .insert(initiator.clone(), session);
            assert!(before.is_none(), "it was logged in");
        }
        has_read
    }

    fn log_out(&self, initiator: &InitiatorName) {
        let session = self.logged_in.borrow_mut().remove(initiator);
        let mut session = session.expect("it is logged in");
        // At the end of its input it logs out and ends.
        drop(session.program.stdin.take());
        assert!(session.program.wait().expect("qemu-io ends").success());
        let info = format!(
            "/sys/kernel/config/target/iscsi/{IQN}/tpgt_1/acls/{}/info",
            initiator.folded()
        );
        let is_in = || std::fs::read_to_string(&info).is_ok_and(|text| text.contains("TSIH"));
        // The kernel takes the session down after it has answered.
        while is_in() {
            sleep(Duration::from_millis(10));
        }
    }

    fn lvcreate_in(&self, group: &PoolId, device: &str, size: u64) -> VolumeId {
        let group = &self.vgs()[group].device;
        sh(&format!("lvcreate -q -y -n {device} -L {size}b {group}"));
        VolumeId::from(sh(&format!("lvs --noheadings -o lv_uuid {group}/{device}")).trim())
    }

    /// Stacks a device upon it, as an encrypted volume or a mount would claim it.
    fn hold(&self, volume: &VolumeId, open: bool) {
        let (group, device) = self.place(volume);
        sh(&if open {
            let path = format!("/dev/{group}/{device}");
            format!(
                "dmsetup create held-{device} \
                 --table \"0 $(blockdev --getsz {path}) linear {path} 0\""
            )
        } else {
            format!("udevadm settle; dmsetup remove --retry held-{device}")
        });
    }

    fn foreign_map(&self, map: &Map) {
        let (group, device) = self.place(&map.volume);
        let (iqn, initiator, lun) = (
            map.port.iqn().expect("a port of iSCSI"),
            map.initiator.folded(),
            map.lun,
        );
        sh(&format!(
            "set -e; cd /sys/kernel/config/target; group=iscsi/{iqn}/tpgt_1
             mkdir core/iblock_7; mkdir core/iblock_7/{device}
             echo 0badcafe > core/iblock_7/{device}/wwn/vpd_unit_serial
             echo udev_path=/dev/{group}/{device} > core/iblock_7/{device}/control
             echo 1 > core/iblock_7/{device}/enable
             mkdir $group/lun/lun_40; ln -s core/iblock_7/{device} $group/lun/lun_40/theirs
             mkdir -p $group/acls/{initiator}; mkdir $group/acls/{initiator}/lun_{lun}
             ln -s $group/lun/lun_40 $group/acls/{initiator}/lun_{lun}/theirs"
        ));
    }

    fn clear_target(&self) {
        sh(CLEAR_TARGET);
    }

    fn restored_by_another(&self) {
        sh(
            "targetctl save /run/saved.json && targetctl clear && targetctl restore /run/saved.json",
        );
    }

    fn lose_map(&self, map: &Map) {
        let row = format!(
            "/sys/kernel/config/target/iscsi/{IQN}/tpgt_1/acls/{}/lun_{}",
            map.initiator.folded(),
            map.lun
        );
        sh(&format!(
            "find {row} -maxdepth 1 -type l -exec rm {{}} + && rmdir {row}"
        ));
    }

    fn take_away(&self, disk: &DiskId) -> bool {
        sh(&format!(
            "set -e; udevadm settle; disk=$(readlink -f {}); pci=/sys/block/${{disk#/dev/}}/device/..
             echo 1 > $(readlink -f $pci)/remove; udevadm settle",
            link_of(disk)
        ));
        true
    }

    fn put_back(&self, disk: &DiskId) {
        sh(&format!(
            "set -e; echo 1 > /sys/bus/pci/rescan; udevadm settle; [ -e {} ]",
            link_of(disk)
        ));
    }

    fn bring_back(&self, disk: &DiskId) {
        self.put_back(disk);
        sh("vgchange -q --refresh || true");
    }

    /// Of each device on the disk only the first sectors still lead there: the kernel sees errors,
    /// and that the device lies on that disk.
    fn spoil(&self, disk: &DiskId) -> bool {
        sh(&format!(
            "set -e; udevadm settle; number=$(lsblk -dnro MAJ:MIN $(readlink -f {}))
             for name in $(dmsetup table | grep \" linear $number \" | cut -d: -f1 | sort -u); do
                 dmsetup table $name | while read -r start length kind on first; do
                     echo $start 8 $kind $on $first
                     echo $((start + 8)) $((length - 8)) error
                 done > /tmp/spoilt
                 dmsetup suspend --noflush --nolockfs $name
                 dmsetup load $name /tmp/spoilt; dmsetup resume $name
             done",
            link_of(disk)
        ));
        true
    }

    fn wipe(&self, disk: &DiskId) {
        sh(&format!("wipefs -q -a {}; udevadm settle", link_of(disk)));
    }

    fn slow_moves(&self, slow: bool) {
        let percent = if slow { 1 } else { 100 };
        sh(&format!(
            "modprobe dm_mirror; \
             echo {percent} > /sys/module/dm_mirror/parameters/raid1_resync_throttle"
        ));
    }

    fn slow_sync(&self, slow: bool) -> bool {
        let (min, max) = if slow { (SLOW, SLOW) } else { (1000, 200_000) };
        sh(&format!(
            "cd /proc/sys/dev/raid; echo {min} > speed_limit_min; echo {max} > speed_limit_max"
        ));
        true
    }
}
