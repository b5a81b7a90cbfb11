//! The rig of the real array: LVM and the kernel's target in the test machine, looked at by LVM's
//! own commands and by initiators of libiscsi and QEMU.
//!
//! One volume group `vg0` serves all cases, beside five disks and one with a file system; each case
//! starts on a cleaned machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use standpipe::array::{DiskId, Engine, InitiatorName, Iqn, Map, Naa, PoolId, PortId, VolumeId};
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
const LEGS: [&str; 5] = ["leg0", "leg1", "leg2", "leg3", "leg4"];
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
    let budget = std::env::var("STANDPIPE_BUDGET").ok();
    let budget = budget.map(|seconds| Duration::from_secs(seconds.parse().expect("seconds")));
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

/// The cases, those first in which most can be lost: there may not be time for all.
fn turns() -> impl Iterator<Item = &'static (&'static str, Case)> {
    const FIRST: [&str; 5] = ["crashes::", "growth::", "maps::", "disks::", "thin::"];
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
}

impl LinuxRig {
    /// A clean machine.
    fn new() -> Self {
        clear();
        let engine = start();
        engine.converge(&[]).expect("nothing to show");
        Self {
            engine: Some(engine),
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
        (0..UNIT_ATTENTIONS).find_map(|_| {
            let output = Command::new(tool[0])
                .args(&tool[1..])
                .args(["-i", &initiator.folded()])
                .arg(format!("iscsi://{PORTAL}/{IQN}/{lun}"))
                .output()
                .expect("the tool runs");
            if !output.status.success() {
                // Shown only when the case fails.
                eprintln!(
                    "{tool:?} {lun}: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
            }
            output.status.success().then_some(output.stdout)
        })
    }

    /// Whether QEMU's initiator succeeds with a command on a LUN.
    fn qemu(&self, initiator: &InitiatorName, lun: u16, command: &str) -> bool {
        let image = format!(
            "driver=iscsi,transport=tcp,portal={PORTAL},target={IQN},lun={lun},initiator-name={}",
            initiator.folded()
        );
        let output = Command::new("qemu-io")
            .args(["--image-opts", &image, "-c", command])
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

fn start() -> LinuxEngine {
    let portals = vec![PORTAL.parse().expect("an address")];
    let target = TargetSettings {
        iqn: Iqn::from(IQN),
        portals,
    };
    let disks = LEGS.iter().chain([&DIRTY]).map(|name| link(name).into());
    let settings = Settings {
        disks: disks.collect(),
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
        PortId {
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
        sh(CLEAR_TARGET);
        sh("udevadm settle; vgchange -q -an");
        self.engine = Some(start());
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
        // Each new map makes the units that were there answer once with "unit attention", and the
        // program gives up at it; a login that is refused stays refused.
        let listed = (0..UNIT_ATTENTIONS).find_map(|_| {
            let listed = Command::new("iscsi-ls")
                .args([
                    "-s",
                    "-i",
                    &initiator.folded(),
                    &format!("iscsi://{PORTAL}"),
                ])
                .output()
                .expect("iscsi-ls runs");
            let text = String::from_utf8_lossy(&listed.stdout).into_owned();
            let errors = String::from_utf8_lossy(&listed.stderr);
            eprintln!("iscsi-ls for {initiator}: {} {text}{errors}", listed.status);
            (listed.status.success() && text.contains(IQN)).then_some(text)
        })?;
        let numbers = listed.lines().filter_map(|line| {
            let number = line
                .trim()
                .strip_prefix("Lun:")?
                .split_whitespace()
                .next()?;
            number.parse::<u16>().ok()
        });
        let identified = numbers.filter_map(|lun| {
            let page = self.ask(&["iscsi-inq", "-e", "1", "-c", "131"], initiator, lun)?;
            Some((lun, self.naa(&page)?))
        });
        Some(identified.collect())
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
        let (initiator, lun) = (map.initiator.folded(), map.lun);
        sh(&format!(
            "set -e; cd /sys/kernel/config/target; group=iscsi/{IQN}/tpgt_1
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

    /// What lies on it is opened again, as an administrator would do it.
    fn bring_back(&self, disk: &DiskId) {
        sh(&format!(
            "set -e; echo 1 > /sys/bus/pci/rescan; udevadm settle; [ -e {} ]
             vgchange -q --refresh || true",
            link_of(disk)
        ));
    }

    fn wipe(&self, disk: &DiskId) {
        sh(&format!("wipefs -q -a {}; udevadm settle", link_of(disk)));
    }

    fn slow_sync(&self, slow: bool) -> bool {
        let (min, max) = if slow { (SLOW, SLOW) } else { (1000, 200_000) };
        sh(&format!(
            "cd /proc/sys/dev/raid; echo {min} > speed_limit_min; echo {max} > speed_limit_max"
        ));
        true
    }
}
