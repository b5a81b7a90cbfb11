//! Copies and moves on a real kernel, below somebody who reads and writes all the time. The machine
//! has six more disks, `leg0` to `leg5`.

use super::pools::{clean_engine, legs, named, thin_pool};
use super::*;
use crate::array::{DiskId, Layout, Snap};

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
    let mut both = [path_of(0), path_of(1)];
    both.sort();
    assert_eq!(devices(&name), both);
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

fn moving(what: &Subject, from: &DiskId, onto: &DiskId) -> Step {
    Step::Move {
        what: what.clone(),
        from: from.clone(),
        onto: vec![onto.clone()],
        bytes: 0,
    }
}

/// Lets moves creep, or go as fast as they can (dm-mirror's `raid1_resync_throttle`, in percent).
fn slow_moves(slow: bool) {
    let percent = if slow { 1 } else { 100 };
    run(&format!(
        "modprobe dm_mirror; echo {percent} > /sys/module/dm_mirror/parameters/raid1_resync_throttle"
    ));
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_written_volume_moves_and_a_restart_takes_that_up_again() {
    let engine = clean_engine();
    let legs = disks(&engine, 0..1);
    let id = volume(&engine, "live", 16 * EXTENT);
    let now = volumes(&engine).remove(0);
    let (name, device) = (now.device.clone(), format!("/dev/vg0/{}", now.device));
    let from = now.pieces[0].disk.clone();
    let what = Subject::Known(id.clone());
    let step = moving(&what, &from, &legs[0]);
    slow_moves(true);
    let writer = Writer::on(&device, 64);
    engine.apply(&step, &Stopped).expect_err("cancelled");
    assert_eq!(devices(&name), ["/dev/vda"]);
    assert!(!lvs().contains("pvmove"));
    // One that nobody watches any more: the process is gone, and the program that it left behind.
    run(&format!(
        "pvmove -qq -b -i 3600 --atomic -n {name} /dev/vda {} --config global/use_lvmpolld=0",
        path_of(0)
    ));
    run(
        "for p in /proc/[0-9]*; do grep -qa pvmove $p/cmdline 2>/dev/null \
         && [ ${p##*/} != $$ ] && kill -KILL ${p##*/}; done; true",
    );
    let locked = volumes(&engine).remove(0);
    assert_eq!(
        locked.pieces.len(),
        2,
        "it lies on both: {:?}",
        locked.pieces
    );
    let (job, group) = (JobId::new(), pool(&engine).id);
    let snapshot = Step::Snapshot {
        group,
        of: vec![Snap {
            source: id.clone(),
            device: format!("standpipe-{}", job.hex()),
            name: "then".into(),
            room: Some(EXTENT),
        }],
        job,
    };
    let error = engine.apply(&snapshot, &Unwatched).expect_err("locked");
    assert_eq!(error.kind, Kind::InUse, "{error:?}");
    assert!(error.message.contains("is being moved"), "{error:?}");
    let grow = format!("lvextend -qq -y -l +1 vg0/{name}");
    assert!(
        !Command::new("sh")
            .args(["-c", &grow])
            .status()
            .expect("sh runs")
            .success()
    );
    drop(engine);
    let engine = LinuxEngine::open(settings()).expect("the engine opens");
    slow_moves(false);
    apply(&engine, &step);
    assert_eq!(devices(&name), [path_of(0)]);
    writer.ends(&device);
    let moved = volumes(&engine).remove(0);
    assert_eq!((moved.naa, moved.pieces.len()), (now.naa, 1));
    delete(&engine, &id);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_disk_under_a_mirror_and_a_thin_pool_is_emptied_and_free() {
    let engine = clean_engine();
    let legs = disks(&engine, 0..3);
    let group = pool(&engine).id;
    run(&format!(
        "lvcreate -qq -y -Wy -Zy --type raid1 -m 1 -l 10 -n pair --addtag standpipe.v1 vg0 {} {}",
        path_of(0),
        path_of(1)
    ));
    run(&format!(
        "lvcreate -qq -y --type thin-pool -l 12 --poolmetadatasize 4m -n tp --addtag standpipe.v1 \
         -Zy vg0 {0}; lvcreate -qq -y --type thin -V 40m -n t --thinpool vg0/tp; udevadm settle",
        path_of(0)
    ));
    let pair = named(&volumes(&engine), "pair").id;
    let thin = thin_pool(&engine).id;
    let writer = Writer::on("/dev/vg0/pair", 40);
    run("dd if=/dev/urandom of=/dev/vg0/t bs=1M count=40 oflag=direct status=none");
    let sum = || run("dd if=/dev/vg0/t bs=1M iflag=direct status=none | sha256sum");
    let before = sum();
    let close = Step::CloseDisk {
        group: group.clone(),
        disk: legs[0].clone(),
    };
    apply(&engine, &close);
    let onto_leg = moving(&Subject::Known(pair.clone()), &legs[0], &legs[1]);
    refused(&engine, &onto_leg, Kind::InvalidArgument);
    for what in [
        Subject::Known(pair),
        Subject::Pool(thin),
        Subject::Pool(group.clone()),
    ] {
        apply(&engine, &moving(&what, &legs[0], &legs[2]));
    }
    let reduce = Step::ReduceGroup {
        group,
        disks: vec![legs[0].clone()],
    };
    apply(&engine, &reduce);
    writer.ends("/dev/vg0/pair");
    assert_eq!(sum(), before);
    assert_eq!(devices("pair"), [path_of(1), path_of(2)]);
    let all = engine.scan().expect("a scan").disks;
    let free = all.iter().find(|disk| disk.id == legs[0]).expect("listed");
    assert!(free.pool().is_none(), "{:?}", free.usage);
    run(&format!(
        "test -z \"$(blkid -p -s TYPE -o value {})\"",
        path_of(0)
    ));
    run("lvremove -qq -y vg0/t vg0/tp vg0/pair");
}
