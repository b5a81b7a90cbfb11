//! Copies and moves on a real kernel, below somebody who reads and writes all the time. The machine
//! has five more disks, `leg0` to `leg4`.

use super::pools::{clean_engine, legs};
use super::*;
use crate::array::{DiskId, Layout};

/// Somebody who writes to a device, and keeps a copy of it elsewhere: two files that a shell reads.
struct Writer(std::process::Child);

const SHADOW: &str = "/dev/shm/shadow";
const GOES_ON: &str = "/run/writes";

impl Writer {
    /// Writes random blocks from now on, so many MiB from the start of the device in turn.
    fn on(device: &str, mib: u64) -> Self {
        run(&format!(
            "dd if=/dev/urandom of={device} bs=1M count={mib} oflag=direct status=none; \
             cp {device} {SHADOW}; touch {GOES_ON}"
        ));
        let script = format!(
            "i=0; while [ -e {GOES_ON} ]; do i=$(( (i + 7) % {} )); \
             dd if=/dev/urandom of=/dev/shm/block bs=64k count=1 status=none || exit 1; \
             dd if=/dev/shm/block of={device} bs=64k seek=$i oflag=direct conv=notrunc status=none \
             || exit 2; \
             dd if=/dev/shm/block of={SHADOW} bs=64k seek=$i conv=notrunc status=none || exit 3; \
             done",
            mib * 16
        );
        let child = Command::new("sh").args(["-c", &script]).spawn();
        Self(child.expect("sh runs"))
    }

    /// Stops, and compares what is on the device with what was written.
    fn ends(mut self, device: &str) {
        run(&format!("rm {GOES_ON}"));
        let status = self.0.wait().expect("it ends");
        assert!(status.success(), "a write failed: {status}");
        same(device);
    }
}

#[track_caller]
fn same(device: &str) {
    run(&format!(
        "dd if={device} of=/dev/shm/now bs=1M iflag=direct status=none; cmp /dev/shm/now {SHADOW}"
    ));
}

/// The disks of that many legs, which belong to the group now.
fn disks(engine: &LinuxEngine, of: std::ops::Range<u8>) -> Vec<DiskId> {
    run(&format!("vgextend -qq -y vg0 {}", legs(of.clone())));
    let all = engine.scan().expect("a scan").disks;
    let named = |n: u8| {
        let device = std::fs::canonicalize(format!("/dev/disk/by-id/virtio-leg{n}"));
        let device = device.expect("a disk").display().to_string();
        let mut found = all.iter().filter(|disk| disk.device == device);
        found.next().expect("it is listed").id.clone()
    };
    of.map(named).collect()
}

/// Where a volume lies by LVM's own report: the devices of its parts that hold data.
fn devices(name: &str) -> Vec<String> {
    let rows = run(&format!(
        "lvs -a --noheadings -o lv_name,devices vg0 | grep -F {name} | grep -v rmeta"
    ));
    let words = rows.split_whitespace().filter(|word| word.starts_with('/'));
    let mut found: Vec<String> = words
        .flat_map(|word| word.split(','))
        .filter_map(|word| word.split('(').next().map(str::to_owned))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn path_of(leg: u8) -> String {
    let path = std::fs::canonicalize(format!("/dev/disk/by-id/virtio-leg{leg}"));
    path.expect("a disk").display().to_string()
}

/// Wants to stop as soon as anything is told.
struct Stopped;

impl Progress for Stopped {
    fn report(&self, _done: u64, _total: u64) {}
    fn is_cancelled(&self) -> bool {
        true
    }
}

fn slow_sync(slow: bool) {
    let limits = if slow { "100 200" } else { "100000 200000" };
    run(&format!(
        "set -- {limits}; echo $2 > /proc/sys/dev/raid/speed_limit_max; \
         echo $1 > /proc/sys/dev/raid/speed_limit_min; \
         echo $2 > /proc/sys/dev/raid/speed_limit_max"
    ));
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_written_volume_gains_and_loses_copies() {
    let engine = clean_engine();
    let legs = disks(&engine, 0..2);
    let id = volume(&engine, "live", 12 * EXTENT);
    let now = volumes(&engine).remove(0);
    let (name, device) = (now.device.clone(), format!("/dev/vg0/{}", now.device));
    let writer = Writer::on(&device, 48);
    let add = |onto: &[DiskId]| Step::AddCopies {
        volume: id.clone(),
        onto: onto.to_vec(),
    };
    let drop = |from: DiskId| Step::DropCopies {
        volume: id.clone(),
        from: vec![from],
    };
    let sync = Step::Sync {
        volume: Subject::Known(id.clone()),
    };
    slow_sync(true);
    apply(&engine, &add(&legs[..1]));
    let begun = volumes(&engine).remove(0);
    assert_eq!(begun.layout, Layout::Mirrored { copies: 2 });
    assert_eq!((begun.survives(), begun.copies()), (0, 1));
    engine.apply(&sync, &Stopped).expect_err("cancelled");
    apply(&engine, &drop(legs[0].clone()));
    slow_sync(false);
    assert_eq!(devices(&name), ["/dev/vda"]);
    apply(&engine, &add(&legs));
    apply(&engine, &sync);
    let done = volumes(&engine).remove(0);
    assert_eq!((done.survives(), done.copies()), (2, 3));
    let first = now.pieces[0].disk.clone();
    apply(&engine, &drop(first));
    assert_eq!(devices(&name), [path_of(0), path_of(1)]);
    writer.ends(&device);
    run(&format!(
        "lvchange -q --syncaction check vg0/{name}; \
         while ! lvs --noheadings -o raid_sync_action vg0/{name} | grep -q idle; do :; done; \
         lvs --noheadings -o raid_mismatch_count vg0/{name} | grep -qw 0"
    ));
    apply(&engine, &drop(legs[0].clone()));
    assert_eq!(devices(&name), [path_of(1)]);
    same(&device);
    delete(&engine, &id);
}
