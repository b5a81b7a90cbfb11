//! A disk is emptied on a real kernel, as a command: all of its volumes go to a disk that joins, while
//! somebody writes to one of them.

use std::collections::BTreeSet;
use std::process::{Child, Command as Program};

use standpipe::array::{Array, Command, DiskId, DiskUsage, Effect, JobState, Policy, VolumeId};

use super::commands::{array, device, done, made};
use super::{clear, sh};

const SHADOW: &str = "/dev/shm/shadow";
const GOES_ON: &str = "/run/writes";

/// The disks that a volume lies on.
fn disks(array: &Array, volume: &VolumeId) -> BTreeSet<DiskId> {
    let now = array.snapshot();
    let pieces = &now.volume(volume).expect("it is listed").pieces;
    pieces.iter().map(|piece| piece.disk.clone()).collect()
}

/// Somebody who writes to a device, and the same to a file, until he is dropped.
struct Writer(Child);

impl Writer {
    /// Whether all of his writes went well.
    fn ends(&mut self) -> bool {
        sh(&format!("rm -f {GOES_ON}"));
        self.0.wait().expect("it ends").success()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ends();
    }
}

/// Writes random blocks to a device of so many MiB from now on.
fn writer(device: &str, mib: u64) -> Writer {
    sh(&format!(
        "dd if=/dev/urandom of={device} bs=1M count={mib} oflag=direct status=none; \
         cp {device} {SHADOW}; touch {GOES_ON}"
    ));
    let script = format!(
        "i=0; while [ -e {GOES_ON} ]; do i=$(( (i + 7) % {} )); \
         dd if=/dev/urandom of=/dev/shm/block bs=64k count=1 status=none || exit 1; \
         dd if=/dev/shm/block of={device} bs=64k seek=$i oflag=direct conv=notrunc status=none \
         || exit 2; \
         dd if=/dev/shm/block of={SHADOW} bs=64k seek=$i conv=notrunc status=none || exit 3; done",
        mib * 16
    );
    let child = Program::new("sh").args(["-c", &script]).spawn();
    Writer(child.expect("sh runs"))
}

#[test]
#[ignore = "needs the test machine"]
fn vm_contract_linux_evacuation() {
    clear();
    let array = array(Policy::default());
    let [first, second, new] =
        ["leg0", "leg1", "leg2"].map(|n| DiskId::from(format!("serial.{n}")));
    let pool = done(
        &array,
        Command::CreatePool {
            name: Some("evacuated".into()),
            disks: vec![first, second],
        },
    );
    let Effect::Pool(pool) = pool else {
        panic!("{pool:?}");
    };
    let live = made(&array, &pool, "live", 48, 1);
    let pair = made(&array, &pool, "pair", 40, 2);
    let left = disks(&array, &live).into_iter().next().expect("one disk");
    assert!(disks(&array, &pair).contains(&left));
    let (live_device, pair_device) = (device(&array, &live), device(&array, &pair));
    sh(&format!(
        "dd if=/dev/urandom of={pair_device} bs=1M count=40 oflag=direct status=none"
    ));
    let sum = || {
        sh(&format!(
            "dd if={pair_device} bs=1M iflag=direct status=none | sha256sum"
        ))
    };
    let before = sum();
    let mut writes = writer(&live_device, 48);
    let now = array.snapshot();
    let members = now.pool(&pool).expect("it is listed").disks.iter();
    let stays = members.filter(|disk| **disk != left).cloned();
    let onto: Vec<DiskId> = stays.chain([new.clone()]).collect();
    let command = Command::MovePool {
        pool: pool.clone(),
        onto: onto.clone(),
    };
    done(&array, command);
    assert!(writes.ends(), "a write failed");
    sh(&format!(
        "dd if={live_device} of=/dev/shm/now bs=1M iflag=direct status=none; \
         cmp /dev/shm/now {SHADOW}; rm /dev/shm/now {SHADOW} /dev/shm/block"
    ));
    assert_eq!(sum(), before);
    assert!(disks(&array, &pair).contains(&new) && !disks(&array, &live).contains(&left));
    let now = array.snapshot();
    assert_eq!(
        now.disk(&left).expect("it is listed").usage,
        DiskUsage::Free
    );
    let members: BTreeSet<_> = now.pool(&pool).expect("listed").disks.iter().collect();
    assert_eq!(members, onto.iter().collect());
    let mut jobs = now.jobs();
    assert!(jobs.all(|job| job.state == JobState::Completed && job.note.is_none()));
    println!("\ncase evacuation::a_disk_is_emptied_under_a_writer ... ok");
    drop(array);
    clear();
}
