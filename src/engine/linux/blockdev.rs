//! Block devices: overwriting one with zeros, giving back what one takes, and finding out who uses
//! one.
//!
//! Paths of `/proc`, `/sys` and `/dev` come in a [`Places`], so tests use folders of their own.
//! Nothing here knows LVM's commands or the target.

use rustix::fs::{FallocateFlags, fallocate};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes zeroed or given back between two looks at whether to go on.
const SLICE: u64 = 64 << 20;

/// Where the kernel shows devices.
#[derive(Debug, Clone)]
pub struct Places {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            dev: "/dev".into(),
        }
    }
}

/// How overwriting a device ended.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Ended {
    /// Every byte is as it is to be, on stable storage.
    Whole,
    /// It was told to stop.
    Stopped,
}

/// Overwrites the first `size` bytes of a device with zeros. `go_on` hears the bytes done so far
/// before each slice and at the end. The device is claimed meanwhile: one that is mounted or
/// otherwise claimed is refused with `EBUSY`. The name may have gone to another device before it was
/// opened: `is_it` looks at what is open, and nothing is written where it says no.
pub fn zero(
    device: &Path,
    is_it: impl FnOnce(&File) -> bool,
    size: u64,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> io::Result<Ended> {
    // On a block device: the device's own zeroing where it has one, else zero pages, and never an
    // unmapping that would leave the content to the device's discretion.
    let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
    in_slices(device, is_it, (size, SLICE), go_on, |file, range| {
        loop {
            match fallocate(file, flags, range.start, range.end - range.start) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    })
}

/// How a range of a device is given back to what it lies in.
pub type Discard<'a> = &'a dyn Fn(Range<u64>) -> io::Result<()>;

/// The same, but nobody needs these bytes any more: they are given back to what the device lies in,
/// in whole blocks of `block` bytes, because less than one is not taken.
pub fn discard(
    device: &Path,
    is_it: impl FnOnce(&File) -> bool,
    (size, block): (u64, u64),
    discard: Discard<'_>,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> io::Result<Ended> {
    let block = block.max(1);
    let slice = (SLICE / block * block).max(block);
    in_slices(device, is_it, (size, slice), go_on, |_, range| {
        discard(range)
    })
}

fn in_slices(
    device: &Path,
    is_it: impl FnOnce(&File) -> bool,
    (size, slice): (u64, u64),
    go_on: &mut dyn FnMut(u64) -> bool,
    mut overwrite: impl FnMut(&File, Range<u64>) -> io::Result<()>,
) -> io::Result<Ended> {
    let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(exclusive)
        .open(device)?;
    if !is_it(&file) {
        return Err(io::Error::other("it is another device now"));
    }
    let mut done = 0;
    while done < size {
        if !go_on(done) {
            return Ok(Ended::Stopped);
        }
        let end = done + slice.min(size - done);
        overwrite(&file, done..end)?;
        done = end;
    }
    file.sync_data()?;
    go_on(done);
    Ok(Ended::Whole)
}

/// An active device-mapper device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmDevice {
    /// Its kernel name, `dm-3`.
    pub name: String,
    /// Major and minor number.
    pub number: (u32, u32),
    /// The numbers of the devices below it that are there.
    pub on: BTreeSet<(u32, u32)>,
}

impl Places {
    /// The active device-mapper devices by UUID.
    pub fn dm_devices(&self) -> io::Result<BTreeMap<String, DmDevice>> {
        let mut devices = BTreeMap::new();
        for entry in fs::read_dir(self.sys.join("block"))?.filter_map(Result::ok) {
            if let Some((uuid, device)) = dm_device(&entry, |_| true) {
                devices.insert(uuid, device);
            }
        }
        Ok(devices)
    }

    /// The active device-mapper device of that UUID. Nothing but the UUID is read of others.
    pub fn dm_device(&self, uuid: &str) -> io::Result<Option<DmDevice>> {
        let mut entries = fs::read_dir(self.sys.join("block"))?.filter_map(Result::ok);
        let found = entries.find_map(|entry| dm_device(&entry, |found| found == uuid));
        Ok(found.map(|(_, device)| device))
    }

    /// The UUID of the device-mapper device that has this number now.
    pub fn dm_uuid(&self, (major, minor): (u32, u32)) -> Option<String> {
        let file = self.sys.join(format!("dev/block/{major}:{minor}/dm/uuid"));
        Some(fs::read_to_string(file).ok()?.trim().to_owned())
    }

    /// Bytes of the blocks in which a device gives back what nobody needs any more; none where what
    /// lies under it does not listen.
    pub fn discards(&self, device: &DmDevice) -> io::Result<Option<u64>> {
        let queue = self.sys.join("block").join(&device.name).join("queue");
        let number = |file: &str| {
            let text = fs::read_to_string(queue.join(file))?;
            text.trim().parse::<u64>().map_err(io::Error::other)
        };
        Ok(match number("discard_max_bytes")? {
            0 => None,
            _ => Some(number("discard_granularity")?),
        })
    }

    /// Whether a device-mapper device takes no reads and writes now.
    pub fn is_suspended(&self, device: &DmDevice) -> bool {
        let file = self
            .sys
            .join("block")
            .join(&device.name)
            .join("dm/suspended");
        fs::read_to_string(file).is_ok_and(|text| text.trim() == "1")
    }

    /// Whether an open file is the device-mapper device of that UUID.
    pub fn is_dm_device(&self, file: &File, uuid: &str) -> bool {
        let Ok(number) = file.metadata().map(|metadata| metadata.rdev()) else {
            return false;
        };
        let number = (rustix::fs::major(number), rustix::fs::minor(number));
        self.dm_uuid(number).is_some_and(|found| found == uuid)
    }

    /// Who uses devices of this machine: mounts, swap and devices stacked upon others.
    pub fn users(&self) -> io::Result<Users> {
        let mounts = fs::read_to_string(self.proc.join("self/mountinfo"))?;
        // Without swap support there is no such file.
        let swaps = fs::read_to_string(self.proc.join("swaps")).unwrap_or_default();
        Ok(Users {
            mounts: mounts.lines().filter_map(mount).collect(),
            swaps: swaps
                .lines()
                .skip(1)
                .filter_map(|line| fs::canonicalize(line.split_whitespace().next()?).ok())
                .collect(),
            places: self.clone(),
        })
    }
}

/// A picture of who uses what.
#[derive(Debug)]
pub struct Users {
    mounts: Vec<((u32, u32), String)>,
    swaps: Vec<PathBuf>,
    places: Places,
}

impl Users {
    /// Who uses this device, in words: `mounted at /srv`.
    pub fn of(&self, device: &DmDevice) -> Option<String> {
        if let Some(user) = self.direct(&device.name, device.number) {
            return Some(user);
        }
        let holders = self
            .places
            .sys
            .join("block")
            .join(&device.name)
            .join("holders");
        let holder = fs::read_dir(holders).ok()?.filter_map(Result::ok).next()?;
        Some(format!("held by {}", holder.file_name().to_string_lossy()))
    }

    /// Who uses a block device of that kernel name and number without a device in between: a mount
    /// or swap.
    pub fn direct(&self, name: &str, number: (u32, u32)) -> Option<String> {
        let mount = self.mounts.iter().find(|(of, _)| *of == number);
        if let Some((_, place)) = mount {
            return Some(format!("mounted at {place}"));
        }
        let device = self.places.dev.join(name.replace('!', "/"));
        self.swaps
            .contains(&device)
            .then(|| "used as swap".to_owned())
    }
}

/// The device of an entry of `/sys/block` and its UUID, if it is an active one of device-mapper and
/// that UUID is wanted. It may go while it is looked at; then it is not active.
fn dm_device(entry: &DirEntry, is_wanted: impl Fn(&str) -> bool) -> Option<(String, DmDevice)> {
    let name = entry.file_name().into_string().ok()?;
    let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
    let uuid = name.starts_with("dm-").then(|| read("dm/uuid"))??;
    let uuid = uuid.trim();
    if !is_wanted(uuid) {
        return None;
    }
    let number = device_number(read("dev")?.trim())?;
    let on = below(&entry.path());
    Some((uuid.to_owned(), DmDevice { name, number, on }))
}

/// The numbers of the devices below the one of that folder. What has gone has no folder any more.
fn below(folder: &Path) -> BTreeSet<(u32, u32)> {
    let slaves = fs::read_dir(folder.join("slaves")).into_iter().flatten();
    let numbers = slaves.filter_map(|slave| {
        let number = fs::read_to_string(slave.ok()?.path().join("dev")).ok()?;
        device_number(number.trim())
    });
    numbers.collect()
}

/// Reads `major:minor`.
pub fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Device and mount point of a line of `mountinfo` (proc(5)).
fn mount(line: &str) -> Option<((u32, u32), String)> {
    let mut words = line.split(' ');
    let number = device_number(words.nth(2)?)?;
    let place = words.nth(1)?;
    Some((number, place.replace("\\040", " ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// `/proc`, `/sys` and `/dev` with three active devices: mounted, swap, and stacked upon.
    fn sample() -> (TempDir, Places) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().canonicalize().expect("a real path");
        let places = Places {
            proc: root.join("proc"),
            sys: root.join("sys"),
            dev: root.join("dev"),
        };
        for (n, uuid) in ["LVM-a", "LVM-b", "LVM-c", "LVM-d"].iter().enumerate() {
            let block = places.sys.join(format!("block/dm-{n}"));
            fs::create_dir_all(block.join("dm")).expect("set up");
            fs::create_dir_all(block.join("holders")).expect("set up");
            fs::write(block.join("dm/uuid"), format!("{uuid}\n")).expect("set up");
            fs::write(block.join("dev"), format!("253:{n}\n")).expect("set up");
        }
        fs::create_dir_all(places.sys.join("block/sda")).expect("set up");
        fs::create_dir_all(places.sys.join("block/dm-2/holders/dm-9")).expect("set up");
        fs::create_dir_all(places.proc.join("self")).expect("set up");
        fs::create_dir_all(places.dev.join("mapper")).expect("set up");
        fs::write(places.dev.join("dm-1"), "").expect("set up");
        symlink(places.dev.join("dm-1"), places.dev.join("mapper/swap")).expect("set up");
        fs::write(
            places.proc.join("self/mountinfo"),
            "22 28 0:21 / /sys rw - sysfs sysfs rw\n\
             29 1 253:0 / /srv/my\\040data rw shared:1 - ext4 /dev/mapper/x rw\n",
        )
        .expect("set up");
        let swap = places.dev.join("mapper/swap");
        let swaps = format!(
            "Filename Type Size Used Priority\n{} partition 1 0 -2\n",
            swap.display()
        );
        fs::write(places.proc.join("swaps"), swaps).expect("set up");
        (folder, places)
    }

    #[test]
    fn every_kind_of_use_is_found_and_named() {
        let (_folder, places) = sample();
        let devices = places.dm_devices().expect("listed");
        let users = places.users().expect("read");
        assert_eq!(devices.len(), 4);
        assert_eq!(
            users.of(&devices["LVM-a"]).as_deref(),
            Some("mounted at /srv/my data")
        );
        assert_eq!(users.of(&devices["LVM-b"]).as_deref(), Some("used as swap"));
        assert_eq!(users.of(&devices["LVM-c"]).as_deref(), Some("held by dm-9"));
        assert_eq!(users.of(&devices["LVM-d"]), None);
        let one = places.dm_device("LVM-c").expect("listed");
        assert_eq!(one.as_ref(), devices.get("LVM-c"));
        assert_eq!(places.dm_device("LVM").expect("listed"), None);
    }

    #[test]
    fn a_device_tells_in_which_blocks_it_gives_back() {
        let (_folder, places) = sample();
        let device = places.dm_device("LVM-a").expect("listed");
        let device = device.expect("it is there");
        let queue = places.sys.join("block/dm-0/queue");
        places.discards(&device).expect_err("nobody knows");
        fs::create_dir_all(&queue).expect("set up");
        fs::write(queue.join("discard_granularity"), "65536\n").expect("set up");
        for (most, blocks) in [("0\n", None), ("4294966784\n", Some(65536))] {
            fs::write(queue.join("discard_max_bytes"), most).expect("set up");
            assert_eq!(places.discards(&device).expect("told"), blocks);
        }
    }

    #[test]
    fn all_is_given_back_in_whole_blocks() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        // Blocks of a thin pool need not be a power of two.
        const ODD: u64 = 192 << 10;
        const MANY: u64 = SLICE / ODD * ODD;
        for (size, block, ends) in [
            (2 * SLICE + 4096, 4096, vec![SLICE, 2 * SLICE]),
            (2 * SLICE, ODD, vec![MANY, 2 * MANY]),
            (3 * SLICE, 2 * SLICE, vec![2 * SLICE]),
            (SLICE / 2, 0, vec![]),
        ] {
            let given = std::cell::RefCell::new(vec![0]);
            let discard = |range: Range<u64>| {
                assert_eq!(given.borrow().last(), Some(&range.start));
                given.borrow_mut().push(range.end);
                Ok(())
            };
            let mut last = 0;
            let all = (size, block);
            let ended = super::discard(file.path(), |_| true, all, &discard, &mut |done| {
                last = done;
                true
            });
            assert_eq!((ended.expect("it ends"), last), (Ended::Whole, size));
            let wanted: Vec<u64> = [vec![0], ends, vec![size]].concat();
            assert_eq!(given.into_inner(), wanted, "{size} {block}");
        }
        let error = super::discard(file.path(), |_| false, (1, 1), &|_| Ok(()), &mut |_| true);
        error.expect_err("it is another device");
    }

    #[test]
    fn odd_lines_are_passed_over() {
        for line in ["", "1 2", "1 2 x:y / /srv", "29 1 253:0"] {
            assert_eq!(mount(line), None, "{line:?}");
        }
    }
}
