//! Pools on a real kernel: what others do to them, and what only the kernel knows of them. The
//! machine has six more disks, `leg0` to `leg5`.

use super::*;
use crate::array::{DiskUsage, Health, Layout, Pool, Snap, Thin, Volume, VolumeGroup};

/// Makes the storage of the machine as it was at the beginning.
pub(super) const CLEAN: &str = include_str!("../../../../tests/vm/guest/clean");

pub(super) fn legs(of: std::ops::Range<u8>) -> String {
    let paths = of.map(|n| format!("/dev/disk/by-id/virtio-leg{n}"));
    paths.collect::<Vec<_>>().join(" ")
}

/// An engine on a machine as at the beginning.
pub(super) fn clean_engine() -> LinuxEngine {
    run(CLEAR_TARGET);
    run(CLEAN);
    engine()
}

pub(super) fn thin_pool(engine: &LinuxEngine) -> Pool {
    let pools = engine.scan().expect("a scan").pools;
    let mut thin = pools.into_iter().filter(|pool| pool.thin().is_some());
    thin.next().expect("a thin pool")
}

pub(super) fn named(volumes: &[Volume], device: &str) -> Volume {
    let mut found = volumes.iter().filter(|volume| volume.device == device);
    found.next().expect(device).clone()
}

/// A thin pool of so many extents with a thin volume twice as large; its device.
fn thin_volume(engine: &LinuxEngine, extents: u64) -> String {
    let (group, job) = (pool(engine).id, JobId::new());
    let (device, volume) = ("standpipe-thin", "standpipe-in-it");
    let create = Step::CreateThinPool {
        group: group.clone(),
        device: device.into(),
        name: "thin".into(),
        size: extents * EXTENT,
        metadata: EXTENT,
        job,
    };
    apply(engine, &create);
    let made = Subject::Made(group.clone(), device.into());
    apply(engine, &Step::Unmark { volume: made, job });
    let thin = thin_pool(engine);
    let create = Step::Create {
        group,
        device: volume.into(),
        name: "in it".into(),
        size: 2 * extents * EXTENT,
        place: Place::Thin(thin.id),
        job,
    };
    apply(engine, &create);
    format!("/dev/vg0/{volume}")
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_disk_that_somebody_adds_is_seen_without_a_restart() {
    let engine = clean_engine();
    let (before, mark) = (pool(&engine), engine.fingerprint().expect("readable"));
    run(&format!("vgextend -qq -y vg0 {}", legs(0..1)));
    assert_ne!(engine.fingerprint().expect("readable"), mark);
    let grown = pool(&engine);
    assert_eq!((grown.disks.len(), &grown.health), (2, &Health::Ok));
    assert!(grown.available >= before.available + 70 * EXTENT);
    // More than the first disk has.
    let id = volume(&engine, "wide", before.free + EXTENT);
    delete(&engine, &id);
    run(&format!(
        "vgreduce -qq vg0 {0} && pvremove -qq {0}",
        legs(0..1)
    ));
    assert_eq!(pool(&engine), before);
    engine.fingerprint().expect("what is gone is not asked for");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_filling_thin_pool_is_noticed_and_a_write_is_not() {
    let engine = clean_engine();
    let device = thin_volume(&engine, 25);
    let fill = |from: u32, count: u32| {
        format!("dd if=/dev/urandom of={device} bs=64K seek={from} count={count} oflag=direct 2>&1")
    };
    let empty = thin_pool(&engine);
    assert_eq!((empty.free, &empty.health), (25 * EXTENT, &Health::Ok));
    // A write that takes space may be the one with which the pool's metadata fills a step; one to a
    // place that has its space never is. Udev may still be at work on the devices.
    run(&format!("{}; udevadm settle", fill(0, 2)));
    let mark = engine.fingerprint().expect("readable");
    run(&fill(1, 1));
    assert_eq!(engine.fingerprint().expect("readable"), mark);
    run(&fill(2, 798));
    assert_ne!(engine.fingerprint().expect("readable"), mark);
    let half = thin_pool(&engine);
    assert_eq!(half.free, 25 * EXTENT - 800 * (64 << 10));
    let volume = named(&volumes(&engine), "standpipe-in-it");
    assert_eq!(volume.consumed, Some(800 * (64 << 10)));
    assert_eq!((volume.pool, volume.pieces.len()), (half.id.clone(), 0));
    let Some(Thin {
        promised, consumed, ..
    }) = half.thin().cloned()
    else {
        panic!("a thin pool");
    };
    assert_eq!((promised, consumed), (50 * EXTENT, 26 * EXTENT));
    let mark = engine.fingerprint().expect("readable");
    run(&format!("! {}", fill(800, 900)));
    assert_ne!(engine.fingerprint().expect("readable"), mark);
    let full = thin_pool(&engine);
    assert_eq!((full.free, full.available), (0, 0));
    assert!(matches!(&full.health, Health::Degraded(why) if why.contains("grow")));
    let volume = named(&volumes(&engine), "standpipe-in-it");
    assert!(matches!(volume.health, Health::Degraded(_)), "it is read");
    apply(
        &engine,
        &Step::GrowThinPool {
            pool: full.id,
            size: 50 * EXTENT,
            metadata: 2 * EXTENT,
        },
    );
    run(&fill(800, 1));
    let grown = thin_pool(&engine);
    assert_eq!((grown.size, &grown.health), (50 * EXTENT, &Health::Ok));
    assert_eq!(grown.thin().map(|thin| thin.metadata), Some(2 * EXTENT));
    run(CLEAN);
}

/// Whatever needs a new logical volume is refused, says why, and leaves nothing.
fn nothing_is_made(engine: &LinuxEngine, source: &VolumeId) {
    let (group, job) = (pool(engine).id, JobId::new());
    let seqno = || run("vgs --noheadings -o vg_seqno vg0");
    let before = seqno();
    let (device, name) = ("standpipe-no", "no");
    for step in [
        Step::Create {
            group: group.clone(),
            device: device.into(),
            name: name.into(),
            size: EXTENT,
            job,
            place: Place::ANYWHERE,
        },
        Step::CreateThinPool {
            group: group.clone(),
            device: device.into(),
            name: name.into(),
            size: EXTENT,
            metadata: EXTENT,
            job,
        },
        Step::Snapshot {
            group,
            of: vec![Snap {
                source: source.clone(),
                device: device.into(),
                name: name.into(),
                room: Some(EXTENT),
            }],
            job,
        },
    ] {
        let error = engine.apply(&step, &Unwatched).expect_err("refused");
        assert_eq!(error.kind, Kind::NoSpace, "{step:?}: {error}");
        assert!(error.message.contains("metadata"), "{step:?}: {error}");
    }
    assert_eq!(seqno(), before, "LVM was told to change nothing");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_group_whose_metadata_fills_up_is_degraded_and_still_deletes() {
    let engine = clean_engine();
    let before = pool(&engine);
    assert_eq!(before.health, Health::Ok);
    let id = volume(&engine, "first", EXTENT);
    // Tags take room there, as descriptions of volumes do.
    run("set -e; for n in $(seq 9); do
           words=$(for m in $(seq 60); do printf ' --addtag t%d_%d_%0900d' $n $m 0; done)
           vgchange -qq $words vg0
         done");
    let full = pool(&engine);
    let is_said = matches!(&full.health, Health::Degraded(why) if why.contains("metadata"));
    assert!(is_said, "{:?}", full.health);
    assert_eq!((full.available, full.free > 0), (0, true));
    nothing_is_made(&engine, &id);
    // What is there can be renamed, also to what takes more room, marked, and removed.
    let device = volumes(&engine).remove(0).device;
    let long = "another name, and a longer one: ä ".repeat(12);
    let rename = Step::Rename {
        volume: id.clone(),
        name: long.clone(),
    };
    apply(&engine, &rename);
    assert_eq!(named(&volumes(&engine), &device).name, long);
    assert_eq!(pool(&engine).health, full.health);
    delete(&engine, &id);
    assert_eq!(lvs().trim(), "");
    run("vgremove -qq -y vg0");
    run(CLEAN);
    assert_eq!(pool(&clean_of_memory()).health, Health::Ok);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_what_others_made_is_read_with_its_layout_and_all_that_it_takes() {
    let engine = clean_engine();
    run(&format!("vgextend -qq -y vg0 {}", legs(0..5)));
    run("set -e; L='lvcreate -qq -y vg0'
         $L -l 3 -n plain; $L -l 2 -n gap; lvextend -qq vg0/plain -l 5
         $L --type striped -i 3 -l 6 -n raid0; $L --type raid1 -m 2 -l 4 -n raid1
         $L --type raid10 -i 2 -m 1 -l 4 -n raid10; $L --type raid5 -i 3 -l 6 -n raid5
         $L --type raid6 -i 3 -l 6 -n raid6; lvcreate -qq -y -s -l 1 -n snap vg0/plain
         $L --type raid1 -m 1 -l 6 -n pool; $L -l 1 -n meta
         lvconvert -qq -y --type thin-pool --poolmetadata vg0/meta vg0/pool
         lvcreate -qq -y --type thin -V 40M --thinpool vg0/pool -n thin");
    let facts = engine.scan().expect("a scan");
    let parity = |stripes, parity| Layout::Parity { stripes, parity };
    for (device, layout, pieces) in [
        ("plain", Layout::Linear, 2),
        ("raid0", Layout::Striped { stripes: 3 }, 3),
        ("raid1", Layout::Mirrored { copies: 3 }, 3),
        ("raid10", Layout::MirroredStripes { stripes: 2 }, 4),
        ("raid5", parity(3, 1), 4),
        ("raid6", parity(3, 2), 5),
    ] {
        let volume = named(&facts.volumes, device);
        assert_eq!(volume.layout, layout, "{device}");
        assert_eq!(volume.pieces.len(), pieces, "{:?}", volume.pieces);
        assert_eq!(
            volume.consumed,
            Some(layout.consumed(volume.size / EXTENT) * EXTENT),
            "{device}"
        );
        let length = volume.pieces.iter().map(|piece| piece.length);
        let data =
            length.sum::<u64>() + layout.metadata_per_leg() * u64::from(layout.legs()) * EXTENT;
        assert_eq!(Some(data), volume.consumed, "{device}");
    }
    let thin = thin_pool(&engine);
    let Some(kind) = thin.thin().cloned() else {
        panic!("a thin pool");
    };
    assert_eq!(kind.layout, Layout::Mirrored { copies: 2 });
    assert_eq!((kind.consumed, kind.pieces.len()), (15 * EXTENT, 2));
    let inside = named(&facts.volumes, "thin");
    assert_eq!((&inside.pool, inside.layout), (&thin.id, kind.layout));
    // Nothing is counted twice, and nothing is forgotten: but for the spare of the metadata.
    let group = pool(&engine);
    let own = facts
        .volumes
        .iter()
        .filter(|volume| volume.pool == group.id);
    let taken: u64 = own.filter_map(|volume| volume.consumed).sum();
    assert_eq!(group.size - group.free, taken + kind.consumed + EXTENT);
    run(CLEAN);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_thin_pool_without_the_disk_of_its_metadata_has_failed() {
    let engine = clean_engine();
    run(&format!("vgextend -qq -y vg0 {}", legs(0..2)));
    let (data, metadata) = (legs(0..1), legs(1..2));
    run(&format!(
        "set -e; lvcreate -qq -y -l 5 -n pool vg0 {data}; lvcreate -qq -y -l 1 -n meta vg0 {metadata}
         lvconvert -qq -y --type thin-pool --poolmetadataspare n --poolmetadata vg0/meta vg0/pool
         lvcreate -qq -y --type thin -V 40M --thinpool vg0/pool -n thin; udevadm settle"
    ));
    let seen = |engine: &LinuxEngine| {
        let thin = named(&volumes(engine), "thin");
        (thin_pool(engine), thin.health)
    };
    let (before, volume) = seen(&engine);
    assert_eq!((&before.health, volume), (&Health::Ok, Health::Ok));
    let disks = pool(&engine).disks;
    assert_eq!(before.disks.len(), 2);
    let device = run(&format!("readlink -f {metadata}"));
    let name = device.trim().trim_start_matches("/dev/");
    run(&format!(
        "echo 1 > /sys/block/{name}/device/../remove; udevadm settle"
    ));
    let (lost, volume) = seen(&engine);
    let has_failed = |health: &Health| matches!(health, Health::Failed(why) if why.contains(name));
    assert!(has_failed(&lost.health), "{:?}", lost.health);
    assert!(has_failed(&volume), "{volume:?}");
    assert_eq!((&lost.disks, lost.available), (&before.disks, 0));
    // What the kernel still holds of it says so when it is there again.
    run("echo 1 > /sys/bus/pci/rescan; udevadm settle");
    let (back, volume) = seen(&engine);
    let is_degraded =
        |health: &Health| matches!(health, Health::Degraded(why) if why.contains("activate"));
    assert!(
        is_degraded(&back.health) && is_degraded(&volume),
        "{back:?} {volume:?}"
    );
    // As after a boot without it.
    run("set -e; lvchange -qq -an vg0/thin vg0/pool; lvchange -qq -ay vg0/thin");
    let (well, volume) = seen(&engine);
    assert_eq!((&well.health, volume), (&Health::Ok, Health::Ok));
    run("lvchange -qq -an vg0/thin vg0/pool");
    let device = run(&format!("readlink -f {metadata}"));
    let name = device.trim().trim_start_matches("/dev/");
    run(&format!(
        "echo 1 > /sys/block/{name}/device/../remove; udevadm settle"
    ));
    let (lost, volume) = seen(&clean_of_memory());
    let has_failed = |health: &Health| matches!(health, Health::Failed(_));
    assert!(has_failed(&lost.health) && has_failed(&volume), "{lost:?}");
    assert_eq!((lost.disks.len(), disks.len()), (2, 3));
    run(CLEAN);
}

/// An engine that has never seen the disks of the machine, as after a boot.
fn clean_of_memory() -> LinuxEngine {
    LinuxEngine::open(settings()).expect("the engine opens")
}

#[test]
#[ignore = "needs the test machine"]
fn vm_the_boot_activates_nothing_of_ours() {
    let engine = clean_engine();
    run(&format!("vgextend -qq -y vg0 {}", legs(0..2)));
    let disks = pool(&engine).disks;
    thin_volume(&engine, 5);
    let (group, job) = (pool(&engine).id, JobId::new());
    for (device, layout, legs) in [
        ("standpipe-one", Layout::Linear, Vec::new()),
        (
            "standpipe-two",
            Layout::Mirrored { copies: 2 },
            disks[1..3].to_vec(),
        ),
    ] {
        let create = Step::Create {
            group: group.clone(),
            device: device.into(),
            name: device.into(),
            size: 2 * EXTENT,
            place: Place::Disks { layout, legs },
            job,
        };
        apply(&engine, &create);
    }
    run("udevadm settle; vgchange -qq -an vg0; vgchange -qq -aay vg0");
    assert_eq!(
        run("lvs --noheadings -S lv_active=active -o lv_name vg0").trim(),
        ""
    );
    engine.converge(&[]).expect("converged");
    let active = run("lvs --noheadings -S lv_active=active -o lv_name vg0");
    let active: Vec<&str> = active.split_whitespace().collect();
    assert_eq!(active, ["standpipe-in-it", "standpipe-thin"]);
    run(CLEAN);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_removal_that_was_cut_off_frees_its_disks_and_no_others() {
    clean_engine();
    let target = TargetSettings {
        iqn: Iqn::from(IQN),
        portals: vec!["127.0.0.1:3260".parse().expect("an address")],
    };
    let settings = Settings {
        disks: vec!["/dev/disk/by-id/virtio-leg*".into()],
        ..Settings::new(vec!["vg0".into()], vec![target])
    };
    let engine = LinuxEngine::open(settings).expect("the engine opens");
    let free = |engine: &LinuxEngine| -> Vec<_> {
        let disks = engine.scan().expect("a scan").disks.into_iter();
        let free = disks.filter(|disk| disk.usage == DiskUsage::Free);
        free.map(|disk| disk.id).collect()
    };
    let before = free(&engine);
    let (made, job) = (before[..2].to_vec(), JobId::new());
    let create = Step::CreateGroup {
        device: "cut".into(),
        name: "cut".into(),
        disks: made.clone(),
        job,
    };
    apply(&engine, &create);
    let pools = engine.scan().expect("a scan").pools;
    let group = pools.into_iter().find(|pool| pool.device == "cut");
    // What the removal does first; and a physical volume that somebody else is about to use.
    run("vgremove -qq cut");
    run(&format!("pvcreate -qq {}", legs(4..5)));
    assert_eq!(free(&engine).len(), before.len() - 3);
    let remove = Step::RemoveGroup {
        group: VolumeGroup::Known(group.expect("the group").id),
        disks: made,
        job,
    };
    apply(&engine, &remove);
    let left = free(&engine);
    let mut others = before;
    others.retain(|id| id.as_str() != "serial.leg4");
    assert_eq!(left, others, "all but the one of somebody else");
    run(&format!("pvremove -qq {}", legs(4..5)));
}
