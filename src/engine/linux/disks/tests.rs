//! What an administrator sees of disks, on machines that consist of folders.

mod refusals;
mod world;

use super::*;
use crate::array::{Interconnect, Media};
use world::{SIZE, World, disk, later, member, why};

fn drive(disk: &Disk) -> &Drive {
    match &disk.kind {
        DiskKind::Drive(drive) => drive,
        other => panic!("{} is {other:?}", disk.device),
    }
}

#[test]
fn drives_are_told_with_what_the_kernel_knows_of_them() {
    let world = World::new();
    let ata = "pci0000:00/0000:00:1f.2/ata3";
    world
        .scsi(&format!("{ata}/host2/target2:0:0/2:0:0:0"), "sda")
        .says("device/vendor", "ATA     ")
        .says("device/model", "ST4000NM0035-1V4")
        .says("device/rev", "TN03")
        .says("device/wwid", "naa.5000C500A1B2C3D4")
        .says("queue/rotational", "1")
        .numbered("            ZC1ABCDE");
    world.file(
        &format!("sys/devices/{ata}/link3/ata_link/link3/sata_spd"),
        "6.0 Gbps\n",
    );
    let disks = world.disks(&["/dev/sda"]);
    let listing = disks.list(&[], later());
    let sda = &listing.disks[0];
    assert_eq!(sda.id, DiskId::from("naa.5000c500a1b2c3d4"));
    assert_eq!((sda.device.as_str(), sda.size), ("/dev/sda", SIZE));
    assert_eq!((&sda.usage, &sda.health), (&DiskUsage::Free, &Health::Ok));
    assert_eq!(
        *drive(sda),
        Drive {
            vendor: Some("ATA".into()),
            model: Some("ST4000NM0035-1V4".into()),
            serial: Some("ZC1ABCDE".into()),
            firmware: Some("TN03".into()),
            wwn: Some("5000c500a1b2c3d4".into()),
            media: Media::Rotating,
            interconnect: Interconnect::Sata,
        }
    );
}

#[test]
fn an_nvme_drive_has_its_own_places_for_the_same_facts() {
    let world = World::new();
    let way = "pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0";
    let device = world
        .device(way, "nvme0n1")
        .says("wwid", "eui.0025385b71b0f0a1");
    let _ = device
        .says("device/model", "Samsung SSD 970 PRO 512GB   ")
        .says("device/serial", "S463NF0M")
        .says("device/firmware_rev", "1B2QEXP7")
        .says("device/state", "live");
    let listing = world.disks(&["/dev/nvme0n1"]).list(&[], later());
    let nvme = &listing.disks[0];
    assert_eq!(nvme.id, DiskId::from("eui.0025385b71b0f0a1"));
    assert_eq!(
        *drive(nvme),
        Drive {
            vendor: None,
            model: Some("Samsung SSD 970 PRO 512GB".into()),
            serial: Some("S463NF0M".into()),
            firmware: Some("1B2QEXP7".into()),
            wwn: Some("0025385b71b0f0a1".into()),
            media: Media::SolidState,
            interconnect: Interconnect::Nvme,
        }
    );
}

#[test]
fn the_way_to_a_drive_tells_what_connects_it() {
    use Interconnect::{Ata, FibreChannel, Iscsi, Sas, Sata, Unknown, Usb, Virtio};
    let sas = "pci0000:00/0000:01:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0";
    for (way, vendor, rotational, interconnect, media) in [
        (sas, "SEAGATE", "1", Sas, Media::Rotating),
        (sas, "ATA", "0", Sata, Media::SolidState),
        (
            "pci0/ata1/host0/target0:0:0/0:0:0:0",
            "ATA",
            "1",
            Ata,
            Media::Rotating,
        ),
        (
            "pci0/host5/rport-5:0-2/target5:0:0/5:0:0:1",
            "NETAPP",
            "1",
            FibreChannel,
            Media::Unknown,
        ),
        (
            "platform/host6/session1/target6:0:0/6:0:0:1",
            "IET",
            "1",
            Iscsi,
            Media::Unknown,
        ),
        (
            "pci0/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0",
            "WD",
            "1",
            Usb,
            Media::Unknown,
        ),
        (
            "pci0/virtio4/host2/target2:0:0/2:0:0:0",
            "QEMU",
            "1",
            Virtio,
            Media::Unknown,
        ),
        (
            "pci0/host0/target0:2:0/0:2:0:0",
            "DELL",
            "1",
            Unknown,
            Media::Unknown,
        ),
    ] {
        let world = World::new();
        let _ = world
            .scsi(way, "sda")
            .says("device/vendor", vendor)
            .says("queue/rotational", rotational);
        let listing = world.disks(&["/dev/sda"]).list(&[], later());
        let found = drive(&listing.disks[0]);
        assert_eq!(
            (found.interconnect, found.media),
            (interconnect, media),
            "{way}"
        );
    }
}

#[test]
fn a_disk_is_known_by_the_best_that_it_has() {
    let world = World::new();
    let scsi = "pci0000:00/0000:00:07.0/host0/target0:0:1/0:0:1:3";
    let _ = world
        .scsi(scsi, "sda")
        .says("device/wwid", "naa.0000000000000000");
    let _ = world
        .scsi("pci1/host1/target1:0:0/1:0:0:0", "sdb")
        .says("device/wwid", "t10.ATA     QEMU HARDDISK   QM00002")
        .says("device/model", "QEMU  HARDDISK")
        .numbered("QM00002");
    let _ = world
        .scsi("pci2/host2/target2:0:0/2:0:0:0", "sdc")
        .says("device/wwid", "t10.QEMU    QEMU HARDDISK   drive0");
    let _ = world.virtio(4, "vda").says("serial", "disk-one");
    let _ = world.virtio(5, "vdb");
    let listing = world.disks(&["/dev/sd?", "/dev/vd?"]).list(&[], later());
    for (device, id) in [
        ("/dev/sda", "at.pci0000:00/0000:00:07.0/0:1:3"),
        ("/dev/sdb", "serial.QEMU_HARDDISK.QM00002"),
        ("/dev/sdc", "t10.qemu_qemu_harddisk_drive0"),
        ("/dev/vda", "serial.disk-one"),
        ("/dev/vdb", "at.pci0000:00/0000:00:05.0"),
    ] {
        assert_eq!(disk(&listing, device).id, DiskId::from(id), "{device}");
    }
    let vda = drive(disk(&listing, "/dev/vda"));
    assert_eq!((&vda.vendor, vda.media), (&None, Media::Unknown));
    assert_eq!(vda.interconnect, Interconnect::Virtio);
}

#[test]
fn a_partition_comes_with_the_drive_that_it_is_a_part_of() {
    let world = World::new();
    let whole = world.virtio(4, "vda").says("serial", "one");
    let _ = world.partition(&whole, 2, "vda2");
    let disks = world.disks(&[]);
    let listing = disks.list(&[member("/dev/vda2")], later());
    let part = disk(&listing, "/dev/vda2");
    assert_eq!(part.id, DiskId::from("serial.one-part2"));
    assert_eq!(
        part.kind,
        DiskKind::Partition {
            of: "serial.one".into(),
            start: 1 << 20,
        }
    );
    assert_eq!((part.pool(), part.free()), (Some(&"vg".into()), 40 << 20));
    let whole = disk(&listing, "/dev/vda");
    assert_eq!(whole.id, DiskId::from("serial.one"));
    assert!(why(whole).contains("partitions (vda2)"), "{}", why(whole));
    assert_eq!(listing.disks.len(), 2);
    assert_eq!(listing.ids["pv-of-/dev/vda2"], part.id);
    let device = disks.device_of(&part.id).expect("it is there");
    assert_eq!(device.as_str(), "/dev/vda2");
}

#[test]
fn an_array_comes_with_its_members_and_their_drives() {
    let world = World::new();
    let one = world.virtio(4, "vda").says("serial", "one");
    let two = world.virtio(5, "vdb").says("serial", "two");
    let _ = world.partition(&one, 1, "vda1");
    let _ = world.partition(&two, 1, "vdb1");
    let array = world.array("md127", "raid1", &["vda1", "vdb1"]);
    let _ = array.says("md/degraded", "0");
    world.link("dev/disk/by-id/md-uuid-ab12:cd34", "dev/md127");
    world.link("dev/md/data", "dev/md127");
    let disks = world.disks(&[]);
    let pv = member("/dev/md/data");
    let listing = disks.list(std::slice::from_ref(&pv), later());
    let found: Vec<&str> = listing.disks.iter().map(|d| d.device.as_str()).collect();
    assert_eq!(
        found,
        [
            "/dev/vda",
            "/dev/vdb",
            "/dev/vda1",
            "/dev/vdb1",
            "/dev/md127"
        ]
    );
    let array = disk(&listing, "/dev/md127");
    assert_eq!(array.id, DiskId::from("md.ab12cd34"));
    assert_eq!(
        array.kind,
        DiskKind::Raid {
            level: "raid1".into(),
            of: vec!["serial.one-part1".into(), "serial.two-part1".into()],
        }
    );
    assert_eq!(array.health, Health::Ok);
    let uuid = "sys/class/block/md127/md/uuid";
    world.file(uuid, "ef56-78\n");
    let told = disks.list(std::slice::from_ref(&pv), later());
    assert_eq!(told.ids[&pv.pv], DiskId::from("md.ef5678"));
    let part = disk(&listing, "/dev/vda1");
    assert_eq!(why(part), "it is a part of the RAID array md127");

    for (file, text, failed) in [
        ("md/degraded", "1", false),
        ("md/array_state", "inactive", true),
    ] {
        world.file(&format!("sys/class/block/md127/{file}"), text);
        let listing = disks.list(std::slice::from_ref(&pv), later());
        match &disk(&listing, "/dev/md127").health {
            Health::Failed(why) => assert!(failed, "{why}"),
            Health::Degraded(why) => assert!(!failed && why.contains('1'), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn all_paths_to_a_drive_are_one_drive() {
    let world = World::new();
    for (host, name) in [(1, "sda"), (2, "sdb")] {
        let way = format!("pci0/host{host}/rport-{host}:0-0/target{host}:0:0/{host}:0:0:1");
        let _ = world
            .scsi(&way, name)
            .says("device/vendor", "NETAPP")
            .says("device/wwid", "naa.600a098038303634");
    }
    let _ = world.mapped("dm-0", "mpath-3600a098038303634", "mpatha", &["sda", "sdb"]);
    for allowed in ["/dev/mapper/mpatha", "/dev/sda", "/dev/sd*", "/dev/dm-0"] {
        let disks = world.disks(&[allowed]);
        let listing = disks.list(&[], later());
        assert_eq!(listing.disks.len(), 1, "{allowed}: {listing:#?}");
        let map = &listing.disks[0];
        assert_eq!(map.device, "/dev/mapper/mpatha");
        assert_eq!(map.id, DiskId::from("naa.600a098038303634"));
        assert_eq!((&map.usage, &map.health), (&DiskUsage::Free, &Health::Ok));
        assert_eq!(drive(map).vendor.as_deref(), Some("NETAPP"));
        assert_eq!(drive(map).interconnect, Interconnect::FibreChannel);
        let device = disks.device_of(&map.id).expect("it is there");
        assert_eq!(device.as_str(), "/dev/mapper/mpatha");
    }
    let disks = world.disks(&["/dev/mapper/mpatha"]);
    world.file("sys/class/block/sda/device/state", "offline\n");
    let listing = disks.list(&[], later());
    let health = &listing.disks[0].health;
    assert!(
        matches!(health, Health::Degraded(why) if why.starts_with("1 of 2")),
        "{health:?}"
    );
    world.file("sys/class/block/sdb/device/state", "transport-offline\n");
    let listing = disks.list(&[], later());
    assert!(matches!(listing.disks[0].health, Health::Failed(_)));
    assert!(why(&listing.disks[0]).contains("no path"), "{listing:?}");
}

#[test]
fn what_device_mapper_makes_is_told_as_stacked_upon_its_drive() {
    let world = World::new();
    let _ = world.virtio(4, "vda").says("serial", "one");
    let _ = world.mapped("dm-3", "CRYPT-LUKS2-0123-secret", "secret", &["vda"]);
    let listing = world
        .disks(&[])
        .list(&[member("/dev/mapper/secret")], later());
    let secret = disk(&listing, "/dev/mapper/secret");
    assert_eq!(secret.id, DiskId::from("dm.CRYPT-LUKS2-0123-secret"));
    assert_eq!(
        secret.kind,
        DiskKind::Raid {
            level: "crypt".into(),
            of: vec!["serial.one".into()],
        }
    );
    let below = disk(&listing, "/dev/vda");
    assert_eq!(why(below), "it is held by /dev/mapper/secret");
}

#[test]
fn a_disk_that_vanishes_is_still_known() {
    let world = World::new();
    let whole = world.virtio(4, "vda").says("serial", "one");
    let _ = world.partition(&whole, 1, "vda1");
    let disks = world.disks(&["/dev/vda1"]);
    let mut pv = member("/dev/vda1");
    let before = disks.list(std::slice::from_ref(&pv), later());
    world.unplug("vda1");
    world.unplug("vda");
    pv.device = "[unknown]".into();
    pv.missing = true;
    let after = disks.list(std::slice::from_ref(&pv), later());
    assert_eq!(after.ids, before.ids);
    assert_eq!(after.disks.len(), before.disks.len());
    for (was, is) in [("/dev/vda1", 0), ("/dev/vda", 1)] {
        let (was, is) = (disk(&before, was), &after.disks[is]);
        assert_eq!((&is.id, &is.kind, is.size), (&was.id, &was.kind, was.size));
        let gone = Health::Failed("the disk is missing; connect it again".into());
        assert_eq!(is.health, gone);
    }
    assert_eq!(after.disks[0].pool(), Some(&"vg".into()));
    assert_eq!(disks.device_of(&after.disks[0].id), None);

    // Somebody who never saw it knows it by what LVM remembers.
    let stranger = world.disks(&[]).list(std::slice::from_ref(&pv), later());
    assert_eq!(stranger.disks[0].id, DiskId::from("pv-of-/dev/vda1"));
    assert_eq!(stranger.disks[0].size, 48 << 20);
}

#[test]
fn a_disk_that_lvm_counts_as_missing_is_not_well_though_it_is_back() {
    let world = World::new();
    let _ = world.virtio(4, "vda");
    let mut pv = member("/dev/vda");
    pv.missing = true;
    let listing = world.disks(&[]).list(&[pv], later());
    let disk = &listing.disks[0];
    assert!(matches!(&disk.health, Health::Degraded(why) if why.contains("connected again")));
    assert!(disk.is_returned());
    assert_eq!(disk.free(), 0, "nothing is laid on it");
    assert_eq!(listing.returned, ["pv-of-/dev/vda".to_owned()].into());
}

#[test]
fn a_disk_keeps_its_identity_when_it_joins_and_leaves_a_pool() {
    let world = World::new();
    let _ = world.virtio(4, "vda");
    let disks = world.disks(&["/dev/vda"]);
    let free = disks.list(&[], later()).disks.remove(0);
    assert_eq!(free.usage, DiskUsage::Free);
    let joined = disks.list(&[member("/dev/vda")], later()).disks.remove(0);
    assert_eq!(joined.id, free.id);
    assert_eq!(disks.list(&[], later()).disks.remove(0), free);

    // One that is not allowed stays in sight after it has left.
    let disks = world.disks(&[]);
    let joined = disks.list(&[member("/dev/vda")], later()).disks.remove(0);
    let left = disks.list(&[], later()).disks.remove(0);
    assert_eq!(left.id, joined.id);
    assert!(why(&left).contains("storage.disks"), "{}", why(&left));
}

#[test]
fn patterns_stand_for_whole_disks_and_paths_for_what_they_name() {
    let world = World::new();
    let whole = world.virtio(4, "vda");
    let _ = world.partition(&whole, 1, "vda1");
    let _ = world.virtio(5, "vdaa");
    let _ = world.virtio(6, "vdb");
    let _ = world.mapped("dm-3", "LVM-x", "vg0-lv", &[]);
    world.link("dev/disk/by-id/virtio-b", "dev/vdb");
    let devices = |allowed: &[&str]| -> Vec<String> {
        let listing = world.disks(allowed).list(&[], later());
        listing.disks.into_iter().map(|disk| disk.device).collect()
    };
    assert_eq!(devices(&["/dev/*"]), ["/dev/vda", "/dev/vdb", "/dev/vdaa"]);
    assert_eq!(devices(&["/dev/disk/by-id/virtio-*"]), ["/dev/vdb"]);
    assert_eq!(devices(&["/dev/vda1"]), ["/dev/vda", "/dev/vda1"]);
    assert_eq!(devices(&["/dev/dm-3"]), ["/dev/mapper/vg0-lv"]);
    let none: [&str; 0] = [];
    assert_eq!(devices(&["/dev/sd*", "/dev/nothing"]), none);
    let allowed = world
        .disks(&["/dev/vda", "/dev/sd*", "/dev/nothing"])
        .allowed();
    assert_eq!(allowed.devices, ["/dev/vda".to_owned()].into());
    assert_eq!(
        allowed.absent,
        [PathBuf::from("/dev/sd*"), "/dev/nothing".into()]
    );
}

#[test]
fn the_outline_moves_with_what_matters_and_with_nothing_else() {
    let world = World::new();
    let _ = world.virtio(4, "vda");
    let disks = world.disks(&["/dev/vd?"]);
    disks.list(&[], later());
    let mut last = disks.outline();
    assert_eq!(disks.outline(), last);
    let read_only_traffic = "999 0 9999 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
    world.file("sys/class/block/vda/stat", read_only_traffic);
    assert_eq!(disks.outline(), last);
    let changes: [(&str, &dyn Fn()); 5] = [
        ("a write", &|| {
            world.file(
                "sys/class/block/vda/stat",
                "9 0 99 0 1 0 8 0 0 0 0 0 0 0 0 0 0",
            );
        }),
        ("a size", &|| {
            world.file("sys/class/block/vda/size", "262144\n")
        }),
        ("a state", &|| {
            world.file("sys/class/block/vda/device/state", "offline\n")
        }),
        ("a new disk", &|| drop(world.virtio(5, "vdb"))),
        ("a disk less", &|| world.unplug("vdb")),
    ];
    for (what, change) in changes {
        change();
        let now = disks.outline();
        assert_ne!(now, last, "{what}");
        last = now;
    }
}
