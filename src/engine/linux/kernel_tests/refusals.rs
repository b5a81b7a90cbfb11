//! What is refused on a real kernel, and has then changed nothing: disks of software RAID, and
//! volumes that share their identity with another one.

use std::io::{Seek as _, SeekFrom, Write as _};

use super::pools::{CLEAN, clean_engine, legs, named};
use super::*;
use crate::array::{DiskId, DiskKind, DiskUsage, Health, Pool, VolumeGroup};

/// The array that the kernel makes of the disks `leg0` and `leg1`.
const MD: &str = "/dev/md7";

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// What md writes on one of two disks of a RAID 1, in the sector `at` (`mdp_superblock_1` in the
/// kernel's `raid/md_p.h`). The data begins at 1 MiB.
fn superblock(at: u64, role: u16, sectors: u64) -> Vec<u8> {
    const ROLES: usize = 128;
    let mut block = vec![0; 256 + 2 * ROLES];
    let mut put = |offset: usize, bytes: &[u8]| {
        block[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &0xa92b_4efc_u32.to_le_bytes());
    put(4, &1_u32.to_le_bytes());
    put(16, b"standpipe's test");
    put(32, b"somebody:7");
    put(72, &1_u32.to_le_bytes());
    put(80, &(sectors - 4096).to_le_bytes());
    put(92, &2_u32.to_le_bytes());
    put(128, &2048_u64.to_le_bytes());
    put(136, &(sectors - 4096).to_le_bytes());
    put(144, &at.to_le_bytes());
    put(160, &u32::from(role).to_le_bytes());
    put(168, &[role as u8 + 1; 16]);
    put(200, &1_u64.to_le_bytes());
    // In step throughout.
    put(208, &u64::MAX.to_le_bytes());
    put(220, &(ROLES as u32).to_le_bytes());
    for number in 0..ROLES {
        let role = u16::try_from(number).ok().filter(|number| *number < 2);
        put(256 + 2 * number, &role.unwrap_or(0xffff).to_le_bytes());
    }
    let words = block.chunks_exact(4);
    let sum: u64 = words
        .map(|word| u64::from(u32::from_le_bytes(word.try_into().expect("four bytes"))))
        .sum();
    let folded = (sum as u32).wrapping_add((sum >> 32) as u32);
    block[216..220].copy_from_slice(&folded.to_le_bytes());
    block
}

/// Makes a disk one that belongs to a RAID array.
fn enroll(disk: u8, at: impl Fn(u64) -> u64) {
    let path = legs(disk..disk + 1);
    let sectors: u64 = run(&format!("blockdev --getsz {path}"))
        .trim()
        .parse()
        .expect("sectors");
    let at = at(sectors);
    let mut device = fs::File::options().write(true).open(&path).expect(&path);
    device.seek(SeekFrom::Start(at * SECTOR)).expect("seek");
    device
        .write_all(&superblock(at, disk.into(), sectors))
        .expect("written");
    device.sync_all().expect("on the disk");
    drop(device);
    run("udevadm settle");
}

/// An engine that may use the disks `leg*` and the array.
fn with_disks() -> LinuxEngine {
    let mut settings = settings();
    settings.disks = vec!["/dev/disk/by-id/virtio-leg*".into(), MD.into()];
    LinuxEngine::open(settings).expect("the engine opens")
}

fn leg(n: u8) -> DiskId {
    DiskId::from(format!("serial.leg{n}"))
}

/// What LVM has, and what lies on the first two disks where anything could be written.
fn all_there_is() -> String {
    run(&format!(
        "vgs -o vg_uuid,vg_seqno,pv_count; pvs -o pv_name,pv_uuid
         for disk in {}; do head -c 20M $disk | sha256sum; tail -c 1M $disk | sha256sum; done",
        legs(0..2)
    ))
}

fn create_group(disks: &[DiskId]) -> Step {
    Step::CreateGroup {
        device: "made".into(),
        name: "made".into(),
        disks: disks.to_vec(),
        job: JobId::new(),
    }
}

/// Neither makes nor grows a pool with that disk, also beside a free one, says why, and changes
/// nothing.
fn takes_nothing(engine: &LinuxEngine, disk: &DiskId, why: &str) {
    let before = all_there_is();
    let disks = engine.scan().expect("a scan").disks;
    let usage = &disks
        .iter()
        .find(|d| d.id == *disk)
        .expect("it is listed")
        .usage;
    assert!(
        matches!(usage, DiskUsage::Taken(said) if said.contains(why)),
        "{usage:?}"
    );
    let group = pool(engine).id;
    let extend = |disks: &[DiskId]| Step::ExtendGroup {
        group: group.clone(),
        disks: disks.to_vec(),
    };
    let (alone, beside) = ([disk.clone()], [leg(2), disk.clone()]);
    for step in [
        create_group(&alone),
        create_group(&beside),
        extend(&alone),
        extend(&beside),
    ] {
        let error = engine.apply(&step, &Unwatched).expect_err("refused");
        assert_eq!(error.kind, Kind::InUse, "{error}");
        assert!(error.message.contains(why), "{error}");
    }
    assert_eq!(all_there_is(), before);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_disk_of_software_raid_makes_no_pool_and_the_array_does() {
    clean_engine();
    let engine = with_disks();
    // Behind the first 4 KiB as by default (1.2), and at the end (1.0).
    let places: [fn(u64) -> u64; 2] = [|_| 8, |sectors| (sectors - 16) & !7];
    for at in places {
        enroll(0, at);
        takes_nothing(&engine, &leg(0), "a part of a RAID array (md)");
        run(&format!("wipefs -q -a {}; udevadm settle", legs(0..1)));
    }

    // The kernel itself takes these two for an array, though no `mdadm` is there.
    enroll(0, |_| 8);
    enroll(1, |_| 8);
    run(&format!(
        "set -e; modprobe raid1; echo md7 > /sys/module/md_mod/parameters/new_array
         cd /sys/block/md7/md; echo 1.2 > metadata_version
         for disk in {}; do lsblk -dnro MAJ:MIN $(readlink -f $disk) > new_dev; done
         echo active > array_state; udevadm settle; [ $(cat level) = raid1 ]",
        legs(0..2)
    ));
    for n in [0, 1] {
        takes_nothing(&engine, &leg(n), "a part of the RAID array md7");
    }
    let array = || {
        let disks = engine.scan().expect("a scan").disks;
        disks.into_iter().find(|disk| disk.device == MD).expect(MD)
    };
    let found = array();
    let kind = DiskKind::Raid {
        level: "raid1".into(),
        of: vec![leg(0), leg(1)],
    };
    assert_eq!((&found.kind, &found.usage), (&kind, &DiskUsage::Free));
    assert_eq!(found.health, Health::Ok);
    let create = create_group(std::slice::from_ref(&found.id));
    apply(&engine, &create);
    assert_eq!(
        run("pvs --noheadings -o pv_name -S vg_name=made").trim(),
        MD
    );
    let made = || -> Pool {
        let pools = engine.scan().expect("a scan").pools;
        pools
            .into_iter()
            .find(|pool| pool.device == "made")
            .expect("the pool")
    };
    assert_eq!((made().disks, made().health), (vec![found.id], Health::Ok));
    // What fails below is seen above; the pools of a disk that is degraded follow it in the inventory.
    run("set -e; disk=$(readlink -f /dev/disk/by-id/virtio-leg1)
         echo faulty > /sys/block/md7/md/dev-${disk#/dev/}/state; udevadm settle");
    let says = |health: &Health| matches!(health, Health::Degraded(why) if why.contains("1 of"));
    assert!(says(&array().health), "{:?}", array().health);
    let Step::CreateGroup { job, .. } = create else {
        unreachable!();
    };
    let remove = Step::RemoveGroup {
        group: VolumeGroup::Made("made".into()),
        disks: made().disks,
        job,
    };
    apply(&engine, &remove);
    assert_eq!(array().usage, DiskUsage::Free);
    run(CLEAN);
}

/// A disk that is copied as a whole brings volumes of the same identity, also after LVM has given its
/// group and the disk new ones (`vgimportclone`): hosts would take the two for one.
#[test]
#[ignore = "needs the test machine"]
fn vm_two_volumes_of_one_identity_are_degraded_and_neither_is_shown() {
    clean_engine();
    run(&format!("vgcreate -q one {}", legs(0..1)));
    let engine = |groups: &[&str]| {
        let groups = groups.iter().map(|name| (*name).to_owned()).collect();
        let settings = Settings::new(groups, settings().targets);
        LinuxEngine::open(settings).expect("the engine opens")
    };
    let alone = engine(&["one"]);
    let id = volume(&alone, "data", 2 * EXTENT);
    let shown = map(&id, HOST, 1);
    alone.converge(std::slice::from_ref(&shown)).expect("shown");
    assert!(sees(HOST, 1));
    drop(alone);
    run(CLEAR_TARGET);
    run(&format!(
        "set -e; udevadm settle; vgchange -qq -an one
         dd if={} of={} bs=1M count=16 conv=fsync status=none; udevadm settle
         vgimportclone -q -n two {1} 2>&1",
        legs(0..1),
        legs(1..2)
    ));
    let both = || run("lvs --noheadings --separator , -o vg_name,lv_name,lv_uuid,lv_tags one two");
    let before = both();
    assert_eq!(before.matches(id.as_str()).count(), 2, "{before}");

    // As after the next boot.
    let twins = engine(&["one", "two"]);
    let seen = volumes(&twins);
    assert_eq!(seen.len(), 2);
    for volume in &seen {
        assert_eq!(volume.id, id);
        assert!(
            matches!(&volume.health, Health::Degraded(why) if why.contains("same UUID")),
            "{:?}",
            volume.health
        );
    }
    assert_ne!(seen[0].pool, seen[1].pool);
    let neither = |step: &Step| {
        let error = twins.apply(step, &Unwatched).expect_err("refused");
        assert_eq!(error.kind, Kind::Unavailable, "{error}");
        assert!(error.message.contains("neither is touched"), "{error}");
    };
    let error = twins.converge(std::slice::from_ref(&shown));
    let error = error.expect_err("it is not shown");
    assert!(error.message.contains("neither is touched"), "{error}");
    let (known, job) = (Subject::Known(id.clone()), JobId::new());
    for step in [
        Step::Map(shown.clone()),
        Step::Map(map(&id, OTHER, 5)),
        Step::Rename {
            volume: id.clone(),
            name: "other".into(),
        },
        Step::Mark {
            volume: known.clone(),
            job,
        },
        Step::Remove {
            volume: known.clone(),
            job,
        },
        Step::Shrink {
            volume: id.clone(),
            size: EXTENT,
        },
        Step::Repair {
            volume: id.clone(),
            onto: Default::default(),
        },
    ] {
        neither(&step);
    }
    // Active or not makes no difference.
    run("vgchange -qq -ay two");
    neither(&Step::Map(shown.clone()));
    assert!(!sees(HOST, 1) && !sees(OTHER, 5));
    assert_eq!(leftovers(), "");
    assert_eq!(both(), before, "and nothing of either has changed");

    run("vgremove -qq -y two");
    let left = volumes(&twins);
    assert_eq!((left.len(), &left[0].health), (1, &Health::Ok));
    apply(&twins, &Step::Map(shown));
    assert!(sees(HOST, 1));
    run(CLEAR_TARGET);
    run(CLEAN);
}

/// A disk that is copied as a whole and left as it is: LVM takes either of the two for the disk, by its
/// name if nothing else tells, and changes nothing in the group itself as long as it sees both.
#[test]
#[ignore = "needs the test machine"]
fn vm_a_group_of_which_a_disk_is_there_twice_is_degraded_and_not_touched() {
    clean_engine();
    run(&format!("vgcreate -q ways {}", legs(0..1)));
    let engine = || {
        let settings = Settings::new(vec!["vg0".into(), "ways".into()], settings().targets);
        LinuxEngine::open(settings).expect("the engine opens")
    };
    let group = |engine: &LinuxEngine| -> Pool {
        let pools = engine.scan().expect("a scan").pools;
        pools
            .into_iter()
            .find(|pool| pool.device == "ways")
            .expect("the pool")
    };
    let first = engine();
    let (pool, job, device) = (group(&first).id, JobId::new(), "standpipe-twice");
    let made = Subject::Made(pool.clone(), device.into());
    apply(
        &first,
        &Step::Create {
            group: pool.clone(),
            device: device.into(),
            name: "twice".into(),
            size: 2 * EXTENT,
            job,
            place: Place::ANYWHERE,
        },
    );
    apply(&first, &Step::Unmark { volume: made, job });
    let id = volumes(&first).remove(0).id;
    let shown = map(&id, HOST, 1);
    first.converge(std::slice::from_ref(&shown)).expect("shown");
    assert!(sees(HOST, 1));
    drop(first);
    run(CLEAR_TARGET);
    let copy = legs(1..2);
    run(&format!(
        "set -e; udevadm settle; vgchange -qq -an ways
         dd if={} of={copy} bs=1M count=16 conv=fsync status=none; udevadm settle",
        legs(0..1),
    ));

    // As after the next boot.
    let both = engine();
    let says =
        |health: &Health| matches!(health, Health::Degraded(why) if why.contains("same identity"));
    let degraded = group(&both);
    assert!(says(&degraded.health), "{:?}", degraded.health);
    assert_eq!(degraded.available, 0);
    let seen = named(&volumes(&both), device);
    assert!(says(&seen.health), "{:?}", seen.health);
    let seqno = || run("vgs --noheadings -o vg_seqno ways");
    let before = seqno();
    let error = both.converge(std::slice::from_ref(&shown));
    assert!(error.is_err(), "it is not shown");
    let known = Subject::Known(id.clone());
    for step in [
        Step::Map(shown.clone()),
        Step::Mark { volume: known, job },
        Step::Rename {
            volume: id.clone(),
            name: "other".into(),
        },
        Step::Create {
            group: pool.clone(),
            device: "standpipe-no".into(),
            name: "no".into(),
            size: EXTENT,
            job,
            place: Place::ANYWHERE,
        },
        Step::ExtendGroup {
            group: pool.clone(),
            disks: vec![leg(3)],
        },
    ] {
        let error = both.apply(&step, &Unwatched).expect_err("refused");
        assert_eq!(error.kind, Kind::Unavailable, "{step:?}: {error}");
        assert!(error.message.contains("is a copy"), "{step:?}: {error}");
    }
    assert!(!sees(HOST, 1));
    assert_eq!((leftovers().as_str(), seqno()), ("", before));
    // The other group is none the worse.
    let other = volume(&both, "other", EXTENT);
    delete(&both, &other);

    // The copy goes, and all is as it was.
    run(&format!("wipefs -q -a {copy}; udevadm settle"));
    let left = group(&both);
    assert_eq!((&left.health, &left.available), (&Health::Ok, &left.free));
    assert_eq!(named(&volumes(&both), device).health, Health::Ok);
    apply(&both, &Step::Map(shown));
    assert!(sees(HOST, 1));
    run(CLEAR_TARGET);
    run(CLEAN);
}
