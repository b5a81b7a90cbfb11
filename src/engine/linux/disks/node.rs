//! One block device, as sysfs shows it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::engine::linux::blockdev::{Places, device_number};

/// Bytes of what sysfs counts sizes and starts in, whatever the device's own sectors are.
const SECTOR: u64 = 512;

/// Kernel names that are no storage to make pools from, by their beginning, and what they are.
const UNFIT: &[(&str, &str)] = &[
    ("loop", "a loop device"),
    ("zram", "compressed memory"),
    ("ram", "memory"),
    ("sr", "an optical drive"),
    ("fd", "a floppy drive"),
    ("mtdblock", "raw flash memory"),
];

/// A block device.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its kernel name, e.g. `sdb1`; a `/` in it is a `!`, as in sysfs.
    pub(super) name: String,
    /// Its folder below `/sys/devices`.
    pub(super) folder: PathBuf,
    /// Major and minor number.
    pub(super) number: (u32, u32),
    /// Bytes.
    pub(super) size: u64,
    /// What it is.
    pub(super) sort: Sort,
}

/// What a block device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// A drive.
    Drive,
    /// The map over all paths to one drive.
    Multipath,
    /// A partition of that device, with its first byte there.
    Partition { of: String, start: u64 },
    /// An array of the `md` driver.
    Raid,
    /// Another device that device-mapper puts upon others.
    Mapped,
    /// Nothing that holds data: what it is, with its article.
    Unfit(&'static str),
}

impl Node {
    /// The device of that kernel name, if it is there.
    pub(super) fn named(places: &Places, name: &str) -> Option<Self> {
        let folder = fs::canonicalize(places.sys.join("class/block").join(name)).ok()?;
        let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
        let sectors = |file: &str| read(file)?.trim().parse::<u64>().ok()?.checked_mul(SECTOR);
        let unfit = UNFIT.iter().find(|(start, _)| is_numbered(name, start));
        let sort = if folder.join("partition").exists() {
            Sort::Partition {
                of: folder.parent()?.file_name()?.to_str()?.to_owned(),
                start: sectors("start")?,
            }
        } else if folder.join("dm").exists() {
            match read("dm/uuid").is_some_and(|uuid| uuid.starts_with("mpath-")) {
                true => Sort::Multipath,
                false => Sort::Mapped,
            }
        } else if folder.join("md").exists() {
            Sort::Raid
        } else {
            unfit.map_or(Sort::Drive, |(_, what)| Sort::Unfit(what))
        };
        Some(Self {
            name: name.to_owned(),
            number: device_number(read("dev")?.trim())?,
            size: sectors("size")?,
            sort,
            folder,
        })
    }

    /// The device at a path below `/dev`, links followed; the map, where that is a path of one.
    pub(super) fn at(places: &Places, path: &Path) -> Option<Self> {
        let below = path.strip_prefix("/dev").ok()?;
        let real = fs::canonicalize(places.dev.join(below)).ok()?;
        let name = real.strip_prefix(&places.dev).ok()?.to_str()?;
        let node = Self::named(places, &name.replace('/', "!"))?;
        let map = node
            .listed("holders")
            .iter()
            .filter_map(|holder| Self::named(places, holder))
            .find(|holder| holder.sort == Sort::Multipath);
        Some(map.unwrap_or(node))
    }

    /// The text of a file in its folder, without blanks around it; `None` if there is none in it.
    pub(super) fn text(&self, file: &str) -> Option<String> {
        let bytes = fs::read(self.folder.join(file)).ok()?;
        printable(&bytes)
    }

    /// The bytes of a file in its folder.
    pub(super) fn bytes(&self, file: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(file)).ok()
    }

    /// The names in a folder of its folder, in order.
    pub(super) fn listed(&self, folder: &str) -> BTreeSet<String> {
        names(&self.folder.join(folder))
    }

    /// The names of its partitions.
    pub(super) fn partitions(&self) -> Vec<String> {
        let is_partition = |name: &String| self.folder.join(name).join("partition").exists();
        let names = names(&self.folder).into_iter();
        names.filter(is_partition).collect()
    }

    /// The names of the devices that it is a part of or made of; those below a multipath map are
    /// ways to it, not parts.
    pub(super) fn below(&self) -> Vec<String> {
        match &self.sort {
            Sort::Partition { of, .. } => vec![of.clone()],
            Sort::Raid | Sort::Mapped => self.listed("slaves").into_iter().collect(),
            Sort::Drive | Sort::Multipath | Sort::Unfit(_) => Vec::new(),
        }
    }

    /// The last part of where a link in its folder leads, e.g. `scsi` for `device/subsystem`.
    pub(super) fn link(&self, link: &str) -> Option<String> {
        let leads = fs::canonicalize(self.folder.join(link)).ok()?;
        Some(leads.file_name()?.to_str()?.to_owned())
    }

    /// Its path for people and for LVM.
    pub(super) fn path(&self) -> String {
        match self.text("dm/name") {
            Some(name) => format!("/dev/mapper/{name}"),
            None => format!("/dev/{}", self.file()),
        }
    }

    /// The name of its device file below `/dev`.
    pub(super) fn file(&self) -> String {
        self.name.replace('!', "/")
    }

    /// The parts of its folder's path, from `/sys/devices` on.
    pub(super) fn way(&self) -> impl Iterator<Item = &str> {
        let parts = self
            .folder
            .components()
            .filter_map(|c| c.as_os_str().to_str());
        parts.skip_while(|part| *part != "devices").skip(1)
    }
}

/// Whether a name is that beginning with a number after it.
pub(super) fn is_numbered(name: &str, start: &str) -> bool {
    let number = name.strip_prefix(start);
    number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

/// The printable ASCII of what a device says about itself, without blanks and zeros around it.
pub(super) fn printable(bytes: &[u8]) -> Option<String> {
    let text: String = bytes
        .iter()
        .map(|&byte| char::from(byte))
        .map(|c| if c.is_ascii_graphic() { c } else { ' ' })
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
