//! Disks on a real kernel, with real content. `tests/vm/run` runs this in its machine: it needs
//! root, and two disks with the serial numbers `blank` and `spare` that nobody else uses.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::array::{Interconnect, Kind, Media};

/// The disks to try things with, as an administrator would name them.
const BLANK: &str = "/dev/disk/by-id/virtio-blank";
const SPARE: &str = "/dev/disk/by-id/virtio-spare";

/// Output of a shell line, which must succeed; `$B` and `$S` are the devices of the two disks.
fn run(line: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", line])
        .env("B", device(BLANK))
        .env("S", device(SPARE))
        .output();
    let output = output.expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {text}{errors}");
    text.trim().to_owned()
}

/// Where a link leads; nowhere while its disk is away.
fn device(link: &str) -> String {
    let leads = fs::canonicalize(link).unwrap_or_default();
    leads.to_str().expect("a plain name").to_owned()
}

fn limit() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn disks(allowed: &[&str]) -> Disks {
    Disks::new(&Settings {
        disks: allowed.iter().map(PathBuf::from).collect(),
        ..Settings::new(Vec::new(), Vec::new())
    })
}

fn find<'l>(listing: &'l Listing, device: &str) -> &'l Disk {
    let found = listing.disks.iter().find(|disk| disk.device == device);
    found.unwrap_or_else(|| panic!("{device} is not in {listing:#?}"))
}

/// What a disk is used for, by a listing that remembers others, and by the check before use.
fn judged(disks: &Disks, device: &str) -> (DiskUsage, Result<DevicePath, Error>) {
    let listing = disks.list(&[], limit());
    let disk = find(&listing, device);
    (disk.usage.clone(), disks.check_free(&disk.id, limit()))
}

/// Both must refuse, and say that.
fn refused(disks: &Disks, device: &str, says: &str) {
    match judged(disks, device) {
        (DiskUsage::Taken(why), Err(error)) => {
            assert!(why.contains(says), "{why} for {says}");
            assert!(error.message.contains(says), "{error} for {says}");
        }
        other => panic!("{says}: {other:?}"),
    }
}

fn free(disks: &Disks, device: &str) {
    let (usage, checked) = judged(disks, device);
    assert_eq!(usage, DiskUsage::Free, "{device}");
    assert_eq!(checked.expect(device).as_str(), device);
}

/// Removes what lies on the two disks.
fn wipe() {
    run("udevadm settle
         for disk in $B $S; do
           wipefs -q -a $disk?* 2>/dev/null
           wipefs -q -a $disk && blockdev --rereadpt $disk || exit
         done
         udevadm settle");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_disk_is_free_only_while_nothing_lies_on_it() {
    wipe();
    let (disks, blank) = (disks(&[BLANK]), device(BLANK));
    free(&disks, &blank);
    // Random bytes are no signature of anything.
    run("dd if=/dev/urandom of=$B bs=1M count=8 conv=fsync status=none");
    free(&disks, &blank);
    // One instance throughout: its listings see each change.
    for (made, says) in [
        ("mkfs.ext4 -q -F $B", "an ext4 file system"),
        ("mkswap -f $B", "swap space"),
        ("pvcreate -qq -y $B", "an LVM physical volume"),
        ("vgcreate -qq -y elsewhere $B", "an LVM physical volume"),
        ("echo label: gpt | sfdisk -q $B", "a partition table (gpt)"),
        ("echo label: dos | sfdisk -q $B", "a partition table (dos)"),
        (
            "printf 'label: gpt\\n,16M\\n' | sfdisk -q $B",
            "partitions (",
        ),
    ] {
        run(&format!("{made} && sync $B && udevadm settle"));
        refused(&disks, &blank, says);
        run("vgremove -qq -y elsewhere 2>/dev/null || true");
        wipe();
        free(&disks, &blank);
    }
    // With two things on it, it is something in any case.
    run("mkswap -f $B && echo label: dos | sfdisk -q --wipe never $B && sync $B");
    let (usage, checked) = judged(&disks, &blank);
    assert!(matches!(usage, DiskUsage::Taken(_)), "{usage:?}");
    assert_eq!(checked.expect_err("refused").kind, Kind::InUse);
    wipe();
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_disk_in_use_is_refused_though_nothing_may_lie_on_it() {
    wipe();
    let (disks, blank) = (disks(&[BLANK]), device(BLANK));
    run("mkfs.ext4 -q -F $B && mkdir -p /run/disk && mount $B /run/disk");
    refused(&disks, &blank, "mounted at /run/disk");
    run("umount /run/disk && mkswap -f $B && swapon $B");
    refused(&disks, &blank, "used as swap");
    run("swapoff $B");
    wipe();

    run("echo 0 $(blockdev --getsz $B) linear $B 0 | dmsetup create upon && udevadm settle");
    refused(&disks, &blank, "held by /dev/mapper/upon");
    run("dmsetup remove --retry upon && udevadm settle");

    run("blockdev --setro $B");
    refused(&disks, &blank, "write-protected");
    run("blockdev --setrw $B && udevadm settle");

    // A claim leaves no trace in sysfs; only trying to claim it tells.
    let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).expect("a flag");
    let mut claim = File::options();
    let claim = claim.read(true).custom_flags(exclusive);
    let claimed = claim.open(&blank).expect("it is free");
    let id = find(&disks.list(&[], limit()), &blank).id.clone();
    let error = disks.check_free(&id, limit()).expect_err("claimed");
    assert_eq!(error.kind, Kind::InUse);
    assert!(error.message.contains("claimed it"), "{error}");
    drop(claimed);
    free(&disks, &blank);
    // The check itself keeps nobody else from it.
    run("vgcreate -qq -y elsewhere $B && vgremove -qq elsewhere");
    wipe();
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_disk_that_cannot_be_read_is_not_free() {
    wipe();
    let disks = disks(&[SPARE]);
    let spare = device(SPARE);
    free(&disks, &spare);
    let id = find(&disks.list(&[], limit()), &spare).id.clone();
    // The device file goes, the device stays: `blkid` would find nothing on it.
    run("mv $S /dev/elsewhere");
    let gone = disks.check_free(&id, limit());
    run("mv /dev/elsewhere $(readlink -m /dev/disk/by-id/virtio-spare)");
    assert!(gone.is_err(), "{gone:?}");
    free(&disks, &spare);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_partition_can_be_used_and_comes_with_its_drive() {
    wipe();
    run(
        "printf 'label: gpt\\n,64M\\n,64M\\n' | sfdisk -q $B && udevadm settle
         mkfs.ext4 -q -F ${B}2 && sync ${B}2 && udevadm settle",
    );
    let disks = disks(&[&format!("{BLANK}-part1"), &format!("{BLANK}-part2")]);
    let blank = device(BLANK);
    let (one, two) = (format!("{blank}1"), format!("{blank}2"));
    free(&disks, &one);
    refused(&disks, &two, "an ext4 file system");
    let listing = disks.list(&[], limit());
    let (part, whole) = (find(&listing, &one), find(&listing, &blank));
    assert_eq!(part.size, 64 << 20);
    let kind = DiskKind::Partition {
        of: whole.id.clone(),
        start: 1 << 20,
    };
    assert_eq!(part.kind, kind);
    assert_eq!(part.id.to_string(), format!("{}-part1", whole.id));
    assert!(matches!(&whole.usage, DiskUsage::Taken(why) if why.contains("partitions (")));
    run("mkdir -p /run/disk && mount ${B}2 /run/disk");
    refused(&disks, &two, "mounted at /run/disk");
    // The neighbour of a partition in use is as free as before.
    free(&disks, &one);
    run("umount /run/disk");
    wipe();
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_member_keeps_its_identity_when_its_drive_goes_and_comes() {
    wipe();
    run("vgcreate -qq -y elsewhere $B $S");
    let disks = disks(&[BLANK, SPARE]);
    let rows = run("pvs --noheadings --separator , -o pv_name,pv_uuid elsewhere");
    let mut members: Vec<Member> = rows
        .lines()
        .map(|row| row.trim().split_once(',').expect("two columns"))
        .map(|(device, pv)| Member {
            device: device.into(),
            pv: pv.into(),
            pool: PoolId::from("elsewhere"),
            used: 0,
            free: 1 << 20,
            missing: false,
        })
        .collect();
    let spare = device(SPARE);
    let lost = members.iter().position(|member| member.device == spare);
    let lost = lost.expect("it is a member");
    let before = disks.list(&members, limit());
    let drive = find(&before, &spare).clone();
    assert_eq!(drive.id, DiskId::from("serial..spare"));
    assert_eq!(drive.pool(), Some(&PoolId::from("elsewhere")));
    let facts = Drive {
        serial: Some("spare".into()),
        media: Media::Unknown,
        interconnect: Interconnect::Virtio,
        ..Drive::default()
    };
    assert_eq!(drive.kind, DiskKind::Drive(facts));
    let outline = disks.outline();

    let pci = run("readlink -f /sys/block/${S#/dev/}/device/..");
    run(&format!("echo 1 > {pci}/remove && udevadm settle"));
    assert!(!Path::new(SPARE).exists());
    assert_ne!(disks.outline(), outline);
    members[lost].device = "[unknown]".into();
    members[lost].missing = true;
    let without = disks.list(&members, limit());
    assert_eq!(without.ids, before.ids);
    let gone = without.disks.iter().find(|disk| disk.id == drive.id);
    let gone = gone.expect("it is still known");
    assert_eq!((&gone.kind, gone.size), (&drive.kind, drive.size));
    assert!(matches!(&gone.health, Health::Failed(why) if why.contains("connect it again")));
    assert_eq!(disks.device_of(&drive.id), None);

    run("echo 1 > /sys/bus/pci/rescan && udevadm settle");
    let back = disks.device_of(&drive.id).expect("it is back");
    assert_eq!(back.as_str(), device(SPARE));
    members[lost].device = back.to_string();
    members[lost].missing = false;
    let after = disks.list(&members, limit());
    assert_eq!(after.ids, before.ids);
    assert_eq!(find(&after, back.as_str()).health, Health::Ok);
    run("vgremove -qq elsewhere");
    wipe();
}

#[test]
#[ignore = "needs the test machine"]
fn vm_an_export_seen_again_is_no_disk() {
    wipe();
    let serial = "f1313da1-275b-5918-926c-a30daaa53374";
    run(&format!(
        "set -e; modprobe tcm_loop; cd /sys/kernel/config/target
         mkdir -p core/iblock_7/again loopback/naa.5001405000000001/tpgt_1/lun/lun_0
         echo udev_path=$S > core/iblock_7/again/control
         echo {serial} > core/iblock_7/again/wwn/vpd_unit_serial
         echo 1 > core/iblock_7/again/enable
         echo naa.5001405000000002 > loopback/naa.5001405000000001/tpgt_1/nexus
         ln -s $PWD/core/iblock_7/again loopback/naa.5001405000000001/tpgt_1/lun/lun_0/again
         udevadm settle"
    ));
    let name = run("basename $(ls -d /sys/devices/tcm_loop*/*/host*/target*/*/block/sd*)");
    let path = format!("/dev/{name}");
    let own = disks(&[&path, SPARE]);
    refused(&own, &path, "itself exports");
    let listing = own.list(&[], limit());
    let again = find(&listing, &path);
    assert_eq!(
        again.id,
        DiskId::from("naa.6001405f1313da1275b5918926ca30da")
    );
    let DiskKind::Drive(facts) = &again.kind else {
        panic!("{again:?}");
    };
    assert_eq!(facts.vendor.as_deref(), Some("LIO-ORG"));
    assert_eq!(facts.serial.as_deref(), Some(serial));
    // The disk below it is claimed by the target.
    let below = find(&listing, &device(SPARE)).id.clone();
    let error = own.check_free(&below, limit()).expect_err("claimed");
    assert_eq!(error.kind, Kind::InUse, "{error}");
    run(
        "cd /sys/kernel/config/target; rm loopback/*/tpgt_1/lun/lun_0/again
         rmdir loopback/*/tpgt_1/lun/lun_0 loopback/*/tpgt_1 loopback/naa* loopback \
               core/iblock_7/again core/iblock_7; udevadm settle",
    );
    wipe();
}
