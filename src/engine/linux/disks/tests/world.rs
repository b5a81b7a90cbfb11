//! A machine of folders: `/proc`, `/sys`, `/dev` and configfs as the kernel would show them. Device
//! files are plain files, so that the real `blkid` can look at them.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::super::{Disks, Listing, Member, Settings};
use crate::array::{Disk, DiskUsage, PoolId};
use crate::engine::linux::blockdev::Places;
use crate::engine::linux::watch::Deadline;

/// Bytes of every device unless a test says otherwise.
pub(super) const SIZE: u64 = 64 << 20;

pub(super) struct World {
    _folder: TempDir,
    pub(super) root: PathBuf,
}

/// A moment far away: nothing here waits.
pub(super) fn later() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

impl World {
    /// A machine without disks.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().canonicalize().expect("a real path");
        let world = Self {
            _folder: folder,
            root,
        };
        for folder in ["sys/class/block", "sys/devices", "dev/mapper"] {
            world.folder(folder);
        }
        world.file("proc/self/mountinfo", "");
        world.file("proc/swaps", "Filename Type Size Used Priority\n");
        world
    }

    pub(super) fn folder(&self, path: &str) {
        fs::create_dir_all(self.root.join(path)).expect("a folder");
    }

    /// Writes a file with the folders above it.
    pub(super) fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub(super) fn link(&self, path: &str, to: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        symlink(self.root.join(to), path).expect("a link");
    }

    /// A block device with its folder at `devices/<way>/<name>` and an empty device file.
    pub(super) fn device(&self, way: &str, name: &str) -> Device<'_> {
        let folder = format!("sys/devices/{way}/{name}");
        self.link(&format!("sys/class/block/{name}"), &folder);
        let count = fs::read_dir(self.root.join("sys/class/block")).expect("listed");
        let device = Device {
            world: self,
            folder: folder.clone(),
        };
        self.folder(&format!("{folder}/holders"));
        self.folder(&format!("{folder}/slaves"));
        let file = File::create(self.root.join("dev").join(name)).expect("a device file");
        file.set_len(SIZE).expect("its length");
        device
            .says("dev", format!("8:{}", count.count()))
            .says("size", (SIZE / 512).to_string())
            .says("ro", "0")
            .says("diskseq", "7")
            .says("queue/iostats", "1")
            .says("queue/rotational", "0")
            .says("stat", "9 0 99 0 0 0 0 0 0 0 0 0 0 0 0 0 0")
    }

    /// A SCSI disk: `device` is the folder above `block`.
    pub(super) fn scsi(&self, way: &str, name: &str) -> Device<'_> {
        let device = self.device(&format!("{way}/block"), name);
        self.link(
            &format!("{}/device", device.folder),
            &format!("sys/devices/{way}"),
        );
        self.folder("sys/bus/scsi");
        self.link(&format!("sys/devices/{way}/subsystem"), "sys/bus/scsi");
        device.says("device/state", "running")
    }

    /// A virtio disk on the PCI device of that number.
    pub(super) fn virtio(&self, number: u8, name: &str) -> Device<'_> {
        let way = format!("pci0000:00/0000:00:{number:02x}.0/virtio{number}");
        let device = self.device(&format!("{way}/block"), name);
        self.link(
            &format!("{}/device", device.folder),
            &format!("sys/devices/{way}"),
        );
        device
            .says("device/vendor", "0x1af4")
            .says("queue/rotational", "1")
    }

    /// A partition of a device, of half its size.
    pub(super) fn partition(&self, whole: &Device<'_>, number: u8, name: &str) -> Device<'_> {
        let way = whole.folder.trim_start_matches("sys/devices/").to_owned();
        self.device(&way, name)
            .says("partition", number.to_string())
            .says("start", "2048")
            .says("size", (SIZE / 1024).to_string())
    }

    /// A device-mapper device upon others.
    pub(super) fn mapped(&self, name: &str, uuid: &str, label: &str, upon: &[&str]) -> Device<'_> {
        let device = self.device("virtual/block", name);
        self.link(&format!("dev/mapper/{label}"), &format!("dev/{name}"));
        self.stack(name, upon);
        device.says("dm/uuid", uuid).says("dm/name", label)
    }

    /// An array upon others.
    pub(super) fn array(&self, name: &str, level: &str, upon: &[&str]) -> Device<'_> {
        let device = self.device("virtual/block", name);
        self.stack(name, upon);
        device
            .says("md/level", level)
            .says("md/array_state", "clean")
    }

    fn stack(&self, name: &str, upon: &[&str]) {
        for below in upon {
            let class = "sys/class/block";
            self.link(
                &format!("{class}/{below}/holders/{name}"),
                &format!("{class}/{name}"),
            );
            self.link(
                &format!("{class}/{name}/slaves/{below}"),
                &format!("{class}/{below}"),
            );
        }
    }

    /// Takes a device away.
    pub(super) fn unplug(&self, name: &str) {
        for path in ["sys/class/block", "dev"] {
            fs::remove_file(self.root.join(path).join(name)).expect("it was there");
        }
    }

    /// Writes into a device, as its content and nothing else.
    pub(super) fn write(&self, name: &str, at: u64, bytes: &[u8]) {
        let path = self.root.join("dev").join(name);
        let mut file = File::options().write(true).open(path).expect("a device");
        file.seek(SeekFrom::Start(at)).expect("a place");
        file.write_all(bytes).expect("written");
    }

    /// The disks of this machine that a configuration with these paths allows.
    pub(super) fn disks(&self, allowed: &[&str]) -> Disks {
        Disks::new(&Settings {
            disks: allowed.iter().map(PathBuf::from).collect(),
            places: Places {
                proc: self.root.join("proc"),
                sys: self.root.join("sys"),
                dev: self.root.join("dev"),
            },
            configfs: self.root.join("configfs"),
            ..Settings::new(Vec::new(), Vec::new())
        })
    }
}

/// A block device of a [`World`].
pub(super) struct Device<'w> {
    world: &'w World,
    folder: String,
}

impl Device<'_> {
    /// Writes a file in its folder.
    pub(super) fn says(self, file: &str, text: impl AsRef<[u8]>) -> Self {
        let mut line = text.as_ref().to_vec();
        line.push(b'\n');
        self.world.file(&format!("{}/{file}", self.folder), line);
        self
    }

    /// Gives it the page of vital product data with its serial number.
    pub(super) fn numbered(self, serial: &str) -> Self {
        let length = u8::try_from(serial.len()).expect("short");
        let page = [&[0, 0x80, 0, length], serial.as_bytes()].concat();
        self.world
            .file(&format!("{}/device/vpd_pg80", self.folder), page);
        self
    }
}

/// A physical volume on that device.
pub(super) fn member(device: &str) -> Member {
    Member {
        device: device.into(),
        pv: format!("pv-of-{}", Path::new(device).display()),
        pool: PoolId::from("vg"),
        used: 8 << 20,
        free: 40 << 20,
        missing: false,
    }
}

/// The disk of that device.
pub(super) fn disk<'l>(listing: &'l Listing, device: &str) -> &'l Disk {
    let found = listing.disks.iter().find(|disk| disk.device == device);
    found.unwrap_or_else(|| panic!("{device} is not in {listing:#?}"))
}

/// Why a disk is neither free nor a member.
pub(super) fn why(disk: &Disk) -> &str {
    match &disk.usage {
        DiskUsage::Taken(why) => why,
        other => panic!("{} is {other:?}", disk.device),
    }
}
