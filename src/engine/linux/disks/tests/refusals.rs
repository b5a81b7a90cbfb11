//! Why a disk is not taken.

use super::world::{World, disk, later, member, why};
use crate::array::{DiskUsage, Kind};

/// A file system's superblock, as far as it must be one (ext4: the magic number and extents).
const EXT4: &[(u64, &[u8])] = &[(1080, &[0x53, 0xef]), (1120, &[0x40])];
/// A swap area's header of version 1 with a last page.
const SWAP: &[(u64, &[u8])] = &[(4086, b"SWAPSPACE2"), (1024, &[1, 0, 0, 0, 99])];
/// A partition table with one partition of type 0x83, from sector 8 on, 64 long.
const DOS: &[(u64, &[u8])] = &[
    (440, &[1, 2, 3, 4]),
    (446, &[0, 0, 0, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 64, 0, 0, 0]),
    (510, &[0x55, 0xaa]),
];

fn carries(world: &World, name: &str, content: &[(u64, &[u8])]) {
    for (at, bytes) in content {
        world.write(name, *at, bytes);
    }
}

/// Why a disk of a world with one is not free, after that was done to the world.
fn refused(done: impl Fn(&World), says: &str) {
    let world = World::new();
    let _ = world.virtio(4, "vda");
    let disks = world.disks(&["/dev/vda"]);
    let before = disks.list(&[], later());
    assert_eq!(before.disks[0].usage, DiskUsage::Free, "{says}");
    done(&world);
    let after = disks.list(&[], later());
    let vda = disk(&after, "/dev/vda");
    assert!(why(vda).contains(says), "{} for {says}", why(vda));
    let error = disks.check_free(&vda.id, later()).expect_err(says);
    assert!(error.message.contains("/dev/vda"), "{error}");
    assert!(error.message.contains(says), "{error} for {says}");
}

#[test]
fn what_the_kernel_tells_of_a_disk_forbids_it() {
    const VDA: &str = "sys/class/block/vda";
    let vda = |file: &'static str, text: &'static str| {
        move |world: &World| world.file(&format!("{VDA}/{file}"), text)
    };
    refused(vda("ro", "1\n"), "write-protected");
    refused(vda("queue/zoned", "host-managed\n"), "zones");
    // A sector less than 17 MiB and an extent.
    refused(vda("size", "43007\n"), "22019584 bytes, less than");
    refused(
        vda("device/state", "offline\n"),
        "given the drive up (offline)",
    );
    refused(vda("vda1/partition", "1\n"), "partitions (vda1)");
    refused(
        |world| {
            let _ = world.mapped("dm-4", "CRYPT-x", "secret", &["vda"]);
        },
        "held by /dev/mapper/secret",
    );
    refused(
        |world| {
            let _ = world.array("md0", "raid1", &["vda"]);
        },
        "a part of the RAID array md0",
    );
    refused(
        |world| {
            let number = std::fs::read_to_string(world.root.join(VDA).join("dev"));
            let number = number.expect("a number");
            let line = format!("29 1 {} / /srv rw - xfs /dev/vda rw\n", number.trim());
            world.file("proc/self/mountinfo", line);
        },
        "mounted at /srv",
    );
    refused(
        |world| {
            let device = world.root.join("dev/vda");
            let line = format!("Filename\n{} partition 1 0 -2\n", device.display());
            world.file("proc/swaps", line);
        },
        "used as swap",
    );
    refused(
        |world| {
            let path = world.root.join("proc/self/mountinfo");
            std::fs::remove_file(path).expect("it was there");
        },
        "mountinfo",
    );
}

#[test]
fn what_lies_on_a_disk_forbids_it() {
    for (content, says) in [
        (EXT4, "it carries an ext4 file system"),
        (SWAP, "it carries swap space"),
        (DOS, "it carries a partition table (dos)"),
    ] {
        let world = World::new();
        let _ = world.virtio(4, "vda");
        carries(&world, "vda", content);
        let listing = world.disks(&["/dev/vda"]).list(&[], later());
        let why = why(&listing.disks[0]);
        assert!(why.starts_with(says), "{why}");
        assert!(why.ends_with("wipefs -a /dev/vda"), "{why}");
    }
}

#[test]
fn it_is_looked_again_when_something_was_written() {
    let world = World::new();
    let _ = world.virtio(4, "vda");
    let disks = world.disks(&["/dev/vda"]);
    assert_eq!(disks.list(&[], later()).disks[0].usage, DiskUsage::Free);
    carries(&world, "vda", EXT4);
    // Nothing tells that it was written to: the last verdict stands.
    assert_eq!(disks.list(&[], later()).disks[0].usage, DiskUsage::Free);
    let stat = "sys/class/block/vda/stat";
    world.file(stat, "9 0 99 0 1 0 8 0 0 0 0 0 0 0 0 0 0");
    assert!(why(&disks.list(&[], later()).disks[0]).contains("ext4"));
    // Where the kernel does not count, nothing is remembered.
    world.file("sys/class/block/vda/queue/iostats", "0\n");
    world.write("vda", 1080, &[0, 0]);
    assert_eq!(disks.list(&[], later()).disks[0].usage, DiskUsage::Free);
    carries(&world, "vda", EXT4);
    assert!(why(&disks.list(&[], later()).disks[0]).contains("ext4"));
}

#[test]
fn only_what_the_configuration_allows_is_taken_and_only_block_devices() {
    let world = World::new();
    let _ = world.virtio(4, "vda").says("serial", "one");
    let _ = world.virtio(5, "vdb").says("serial", "two");
    let disks = world.disks(&["/dev/vda"]);
    disks.list(&[member("/dev/vdb")], later());
    let refused = |id: &str| {
        let error = disks.check_free(&id.into(), later()).expect_err(id);
        (error.kind, error.message)
    };
    assert_eq!(refused("nobody").0, Kind::NotFound);
    assert_eq!(refused("serial.two").0, Kind::AccessDenied);
    // All that is missing for this one is that its device file is one.
    let (kind, message) = refused("serial.one");
    assert_eq!(kind, Kind::InvalidArgument);
    assert!(message.contains("not a block device"), "{message}");
}

#[test]
fn what_is_no_disk_is_never_free() {
    let world = World::new();
    for (name, says) in [
        ("loop0", "a loop device"),
        ("zram0", "compressed memory"),
        ("sr0", "an optical drive"),
    ] {
        let _ = world.device("virtual/block", name);
        let path = format!("/dev/{name}");
        let listing = world.disks(&[&path]).list(&[], later());
        assert!(why(&listing.disks[0]).contains(says), "{name}");
    }
    let whole = world.device("virtual/block", "loop1");
    let _ = world.partition(&whole, 1, "loop1p1");
    let listing = world.disks(&["/dev/loop1p1"]).list(&[], later());
    let part = disk(&listing, "/dev/loop1p1");
    assert!(why(part).contains("a loop device"));
    let _ = world.mapped("dm-1", "LVM-abc", "vg0-lv", &[]);
    let listing = world.disks(&["/dev/mapper/vg0-lv"]).list(&[], later());
    assert!(why(&listing.disks[0]).contains("device-mapper"));
}

#[test]
fn what_this_machine_exports_is_none_of_its_own_disks() {
    let serial = "f1313da1-275b-5918-926c-a30daaa53374";
    let unit = format!("T10 VPD Unit Serial Number: {serial}\n");
    let world = World::new();
    world.file(
        "configfs/core/iblock_50000/standpipe.x/wwn/vpd_unit_serial",
        unit,
    );
    world.folder("configfs/core/alua/lu_gps");
    // Seen again with the usual and with another company in the identifier; and one like it.
    for (host, name, wwid) in [
        (1, "sda", "naa.6001405f1313da1275b5918926ca30da"),
        (2, "sdb", "naa.6001122f1313da1275b5918926ca30da"),
        (3, "sdc", "naa.60014050000000000000000000000001"),
    ] {
        let way = format!("platform/host{host}/session1/target{host}:0:0/{host}:0:0:1");
        let _ = world
            .scsi(&way, name)
            .says("device/vendor", "LIO-ORG")
            .says("device/wwid", wwid);
    }
    let way = "tcm_loop_0/tcm_loop_adapter_0/host4/target4:0:1/4:0:1:0";
    let _ = world.scsi(way, "sdd").says("device/vendor", "LIO-ORG");
    let disks = world.disks(&["/dev/sd?"]);
    let listing = disks.list(&[], later());
    for device in ["/dev/sda", "/dev/sdb", "/dev/sdd"] {
        let why = why(disk(&listing, device));
        assert!(why.contains("itself exports"), "{device}: {why}");
    }
    assert_eq!(disk(&listing, "/dev/sdc").usage, DiskUsage::Free);
    // In doubt they are not taken: one of the serials cannot be read.
    world.folder("configfs/core/iblock_1/odd");
    let listing = disks.list(&[], later());
    let why = why(disk(&listing, "/dev/sdc"));
    assert!(why.contains("could not be found out"), "{why}");
}

#[test]
fn two_of_one_identity_are_both_left_alone() {
    let world = World::new();
    for (number, name) in [(4, "vda"), (5, "vdb"), (6, "vdc")] {
        let _ = world.virtio(number, name).says("serial", "same");
    }
    let disks = world.disks(&["/dev/vd?"]);
    let pv = member("/dev/vdc");
    let listing = disks.list(std::slice::from_ref(&pv), later());
    let (one, two) = (disk(&listing, "/dev/vda"), disk(&listing, "/dev/vdb"));
    assert_ne!(one.id, two.id);
    for twin in [one, two] {
        assert!(why(twin).contains("/dev/vda and /dev/vdb and /dev/vdc"));
        assert!(disks.check_free(&twin.id, later()).is_err());
    }
    // What lies on a disk tells a member apart.
    assert_eq!(listing.ids[&pv.pv], pv.pv.as_str().into());
    assert_eq!(
        disks
            .device_of(&pv.pv.as_str().into())
            .map(|d| d.to_string()),
        Some("/dev/vdc".into())
    );
}

#[test]
fn a_partition_of_a_drive_in_use_is_in_use() {
    let world = World::new();
    let whole = world.virtio(4, "vda");
    let _ = world.partition(&whole, 1, "vda1");
    let disks = world.disks(&["/dev/vda1"]);
    let listing = disks.list(&[], later());
    assert_eq!(disk(&listing, "/dev/vda1").usage, DiskUsage::Free);
    let _ = world.array("md0", "raid1", &["vda"]);
    let listing = disks.list(&[], later());
    let why = why(disk(&listing, "/dev/vda1"));
    assert!(why.contains("its drive /dev/vda is in use"), "{why}");
}
