//! What device-mapper tells of its devices that LVM's metadata does not: how full thin pools are,
//! and which legs of RAID are in step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::program::{self, RunError};
use super::watch::Deadline;
use crate::array::Error;

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Bytes of a block of thin metadata (the kernel's device-mapper/thin-provisioning.rst).
const METADATA_BLOCK: u64 = 4096;

/// The state of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Status {
    /// A thin pool.
    Pool(Pool),
    /// A thin volume: bytes that it was given; `None` when the kernel does not know.
    Thin(Option<u64>),
    /// RAID.
    Raid(Raid),
    /// A mirror of an old and a new place, while something is moved.
    Moving {
        /// Bytes that are copied.
        done: u64,
        /// Bytes.
        total: u64,
    },
    /// A snapshot that keeps what changes.
    Snapshot(Snapshot),
}

/// The state of a snapshot that keeps what changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Snapshot {
    /// It has what it had.
    Whole {
        /// Bytes in use, and in all, tables included.
        used: (u64, u64),
    },
    /// More changed than there was room for: its content is lost.
    Lost,
}

/// The state of a thin pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pool {
    /// It works, more or less.
    Live {
        /// Bytes of metadata in use, and in all.
        metadata: (u64, u64),
        /// Chunks of data in use, and in all.
        chunks: (u64, u64),
        /// What can be done with it.
        mode: Mode,
        /// Whether its metadata has to be checked before it is used again.
        needs_check: bool,
    },
    /// It has failed: all input and output does.
    Failed,
}

impl Pool {
    /// Whether something can still be written to its volumes that was not written before.
    pub fn takes_writes(&self) -> bool {
        match self {
            Self::Live { chunks, mode, .. } => *mode == Mode::Writable && chunks.0 < chunks.1,
            Self::Failed => false,
        }
    }
}

/// What can be done with a thin pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Everything.
    Writable,
    /// Its metadata is full or broken: nothing new can be written.
    ReadOnly,
    /// Its data is full: nothing new can be written.
    OutOfSpace,
}

/// The state of RAID.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Raid {
    /// Of each leg: whether it works.
    pub works: Vec<bool>,
    /// Of each leg: whether it works and holds all that it should, as the kernel marks it.
    pub holds_all: Vec<bool>,
    /// How much is in step, and how much there is, in sectors of a leg.
    pub in_step: (u64, u64),
    /// What the kernel does about it: `idle`, `resync`, `recover`, `frozen` …
    pub action: String,
}

impl Raid {
    /// Whether all legs hold the same.
    pub fn is_in_step(&self) -> bool {
        self.is_in_step_without(&BTreeSet::new())
    }

    /// How many legs do not hold all that they should.
    pub fn behind(&self) -> u16 {
        let marked = self.holds_all.iter().filter(|holds_all| !**holds_all);
        let all = u16::try_from(self.holds_all.len()).unwrap_or(u16::MAX);
        match u16::try_from(marked.count()).unwrap_or(all) {
            // After a growth they are all marked as whole while the new part is not in step.
            0 if self.in_step.0 < self.in_step.1 => all,
            behind => behind,
        }
    }

    /// Whether all legs but these hold the same. Either sign alone deceives: a leg that waits is
    /// marked while everything counts as done when the one that it is filled from fails, and after
    /// a growth legs are marked as whole that are not.
    pub fn is_in_step_without(&self, without: &BTreeSet<u16>) -> bool {
        let mut legs = (0..).zip(&self.holds_all);
        let others = legs.all(|(leg, holds_all)| *holds_all || without.contains(&leg));
        others && self.in_step.0 >= self.in_step.1
    }

    /// Whether the legs besides these hold everything, though these may not: where one of them is
    /// being filled, the kernel counts how far that is, and nothing else.
    pub fn holds_all_without(&self, without: &BTreeSet<u16>) -> bool {
        let legs = (0..).zip(&self.holds_all);
        let mut behind = legs.filter(|(_, holds_all)| !**holds_all).peekable();
        match behind.peek() {
            None => self.is_in_step(),
            Some(_) => behind.all(|(leg, _)| without.contains(&leg)),
        }
    }
}

/// Asks for the state of every active device; by name. What cannot be read is left out. Nothing is
/// flushed for it, so that a disk that hangs keeps nobody.
pub fn statuses(program: &Path, deadline: Deadline) -> Result<BTreeMap<String, Status>, RunError> {
    let arguments = ["status", "--noflush"].map(str::to_owned);
    let ended = program::run(program, &arguments, &[], deadline)?;
    let mut all: BTreeMap<String, Status> = BTreeMap::new();
    for (name, status) in ended.output.lines().filter_map(read) {
        // What is moved in several pieces has a line for each.
        let sum = match (all.get(&name), &status) {
            (
                Some(Status::Moving { done, total }),
                Status::Moving {
                    done: more,
                    total: length,
                },
            ) => Status::Moving {
                done: done + more,
                total: total + length,
            },
            _ => status,
        };
        all.insert(name, sum);
    }
    Ok(all)
}

/// Sends a message to a device of that name.
pub fn tell(program: &Path, name: &str, message: String, deadline: Deadline) -> Result<(), Error> {
    let refused = || Error::unavailable(format!("{name} does not do what it is told; try again"));
    let arguments = [
        "message".to_owned(),
        name.to_owned(),
        "0".to_owned(),
        message,
    ];
    let ended = program::run(program, &arguments, &[], deadline)?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(refused().caused_by(std::io::Error::other(ended.errors))),
    }
}

/// The device-mapper name of a volume: dashes doubled, then joined by one.
pub fn name(group: &str, volume: &str) -> String {
    let plain = |text: &str| text.replace('-', "--");
    format!("{}-{}", plain(group), plain(volume))
}

/// The state of RAID among these: below snapshots of it, it is a device of its own.
pub fn raid<'a>(
    statuses: &'a BTreeMap<String, Status>,
    group: &str,
    volume: &str,
) -> Option<&'a Raid> {
    let name = name(group, volume);
    let names = [format!("{name}-real"), name];
    let mut found = names.iter().filter_map(|name| statuses.get(name));
    found.find_map(|status| match status {
        Status::Raid(raid) => Some(raid),
        _ => None,
    })
}

/// The state of a thin pool among these: it has a device of its own below the one of its name, but
/// for as long as it has no volumes.
pub fn pool<'a>(
    statuses: &'a BTreeMap<String, Status>,
    group: &str,
    pool: &str,
) -> Option<&'a Pool> {
    let name = name(group, pool);
    let names = [format!("{name}-tpool"), name];
    let mut found = names.iter().filter_map(|name| statuses.get(name));
    found.find_map(|status| match status {
        Status::Pool(pool) => Some(pool),
        _ => None,
    })
}

/// Reads a line: name, first sector, sectors, target, and what the target says.
fn read(line: &str) -> Option<(String, Status)> {
    let (name, rest) = line.split_once(": ")?;
    let mut words = rest.split_whitespace().skip(1);
    let sectors: u64 = words.next()?.parse().ok()?;
    let target = words.next()?;
    let words: Vec<&str> = words.collect();
    let status = match target {
        "thin" => Status::Thin(number(&words, 0).map(|sectors| sectors * SECTOR)),
        "thin-pool" => Status::Pool(read_pool(&words)?),
        "raid" => Status::Raid(read_raid(&words)?),
        "mirror" => read_mirror(&words, sectors.saturating_mul(SECTOR))?,
        "snapshot" => Status::Snapshot(read_snapshot(&words)?),
        _ => return None,
    };
    Some((name.to_owned(), status))
}

fn number(words: &[&str], place: usize) -> Option<u64> {
    words.get(place)?.parse().ok()
}

fn ratio(words: &[&str], place: usize) -> Option<(u64, u64)> {
    let (part, whole) = words.get(place)?.split_once('/')?;
    Some((part.parse().ok()?, whole.parse().ok()?))
}

fn read_pool(words: &[&str]) -> Option<Pool> {
    if matches!(words.first(), Some(&("Fail" | "Error"))) {
        return Some(Pool::Failed);
    }
    let (used, total) = ratio(words, 1)?;
    Some(Pool::Live {
        metadata: (used * METADATA_BLOCK, total * METADATA_BLOCK),
        chunks: ratio(words, 2)?,
        mode: match *words.get(4)? {
            "ro" => Mode::ReadOnly,
            "out_of_data_space" => Mode::OutOfSpace,
            _ => Mode::Writable,
        },
        needs_check: words.contains(&"needs_check"),
    })
}

/// The state of a mirror: how many legs, these, and the regions of it that are in step.
fn read_mirror(words: &[&str], total: u64) -> Option<Status> {
    let legs = usize::try_from(number(words, 0)?).ok()?;
    let (done, regions) = ratio(words, 1 + legs)?;
    let done = u128::from(total) * u128::from(done.min(regions));
    let done = done.checked_div(regions.into())?;
    Some(Status::Moving {
        done: u64::try_from(done).ok()?,
        total,
    })
}

/// Sectors in use and in all, or a word that says what became of it (the kernel's
/// device-mapper/snapshot.rst).
fn read_snapshot(words: &[&str]) -> Option<Snapshot> {
    if matches!(words.first(), Some(&("Invalid" | "Overflow"))) {
        return Some(Snapshot::Lost);
    }
    let (used, total) = ratio(words, 0)?;
    Some(Snapshot::Whole {
        used: (used * SECTOR, total * SECTOR),
    })
}

fn read_raid(words: &[&str]) -> Option<Raid> {
    Some(Raid {
        // `A` and `a` are legs that work, in step and not; `D` is one that failed, `-` none at all.
        works: words.get(2)?.chars().map(|c| "Aa".contains(c)).collect(),
        holds_all: words.get(2)?.chars().map(|c| c == 'A').collect(),
        in_step: ratio(words, 3)?,
        action: (*words.get(4)?).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_read_in_every_state() {
        let live = |mode, needs_check| Pool::Live {
            metadata: (219 * 4096, 2048 * 4096),
            chunks: (768, 1280),
            mode,
            needs_check,
        };
        for (text, expected) in [
            (
                "2 219/2048 768/1280 - rw discard_passdown error_if_no_space - 512",
                live(Mode::Writable, false),
            ),
            (
                "2 219/2048 768/1280 - out_of_data_space discard_passdown error_if_no_space - 512",
                live(Mode::OutOfSpace, false),
            ),
            (
                "2 219/2048 768/1280 - ro no_discard_passdown queue_if_no_space needs_check 512",
                live(Mode::ReadOnly, true),
            ),
            ("Fail", Pool::Failed),
            ("Error", Pool::Failed),
        ] {
            let line = format!("vg0-p-tpool: 0 163840 thin-pool {text}");
            assert_eq!(
                read(&line),
                Some(("vg0-p-tpool".to_owned(), Status::Pool(expected)))
            );
        }
    }

    #[test]
    fn raid_is_read_with_its_failed_legs() {
        let line = "vg0-r: 0 98304 raid raid5_ls 3 ADa 33816/49152 repair 0 0 -";
        let (name, status) = read(line).expect("a line");
        assert_eq!(name, "vg0-r");
        let raid = Raid {
            works: vec![true, false, true],
            holds_all: vec![true, false, false],
            in_step: (33816, 49152),
            action: "repair".into(),
        };
        assert!(!raid.is_in_step());
        assert_eq!(status, Status::Raid(raid));
    }

    #[test]
    fn what_waits_for_a_leg_that_fails_is_not_in_step() {
        let raid = |text: &str| match read(&format!("vg0-r: 0 98304 raid raid1 {text} 0 0 -")) {
            Some((_, Status::Raid(raid))) => raid,
            other => panic!("{text}: {other:?}"),
        };
        let first = BTreeSet::from([0]);
        for (text, whole, without_first, behind) in [
            ("2 AA 8/8 idle", true, true, 0),
            ("2 AA 4/8 repair", false, false, 2),
            ("2 DA 8/8 idle", false, true, 1),
            ("2 Aa 8/8 idle", false, false, 1),
            ("2 Da 8/8 idle", false, false, 2),
        ] {
            let raid = raid(text);
            assert_eq!(raid.is_in_step(), whole, "{text}");
            assert_eq!(raid.is_in_step_without(&first), without_first, "{text}");
            assert_eq!(raid.behind(), behind, "{text}");
            let second = BTreeSet::from([1]);
            let holds = [&first, &second].map(|without| raid.holds_all_without(without));
            let only_first = text.contains("Aa") || text.contains("AA 8");
            let only_second = text.contains("DA") || text.contains("AA 8");
            assert_eq!(holds, [only_second, only_first], "{text}");
        }
    }

    #[test]
    fn a_move_tells_how_far_it_is() {
        let read = |text: &str| read(&format!("g-pvmove0: 0 409600 mirror {text}"));
        let moving = |done: u64| Status::Moving {
            done: done << 20,
            total: 200 << 20,
        };
        for (text, done) in [
            ("2 253:6 253:7 0/100 1 AA 1 core", 0),
            ("2 253:6 253:7 28/100 1 AA 1 core", 56),
            ("3 253:6 253:7 253:9 100/100 1 AAA 1 core", 200),
        ] {
            let (name, status) = read(text).expect("a line");
            assert_eq!((&*name, status), ("g-pvmove0", moving(done)), "{text}");
        }
        assert_eq!(read("2 253:6"), None);
        assert_eq!(read("2 253:6 253:7 0/0 1 AA 1 core"), None);
    }

    #[test]
    fn a_snapshot_is_read_until_it_is_lost() {
        let read = |text: &str| read(&format!("g-s: 0 65536 snapshot {text}")).map(|(_, s)| s);
        let whole = Snapshot::Whole {
            used: (20736 * 512, 73728 * 512),
        };
        assert_eq!(read("20736/73728 256"), Some(Status::Snapshot(whole)));
        for lost in ["Invalid", "Overflow"] {
            assert_eq!(read(lost), Some(Status::Snapshot(Snapshot::Lost)), "{lost}");
        }
        for odd in ["", "Unknown", "Merge failed"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn raid_is_found_below_its_snapshots() {
        let lines = [
            "g-r: 0 8 snapshot-origin ",
            "g-r-real: 0 8 raid raid1 2 AA 8/8 idle 0 0 -",
        ];
        let statuses: BTreeMap<_, _> = lines.iter().filter_map(|line| read(line)).collect();
        assert!(raid(&statuses, "g", "r").is_some_and(Raid::is_in_step));
        assert_eq!(raid(&statuses, "g", "x"), None);
    }

    #[test]
    fn thin_volumes_are_read_and_others_passed_over() {
        let read = |text: &str| read(text).map(|(_, status)| status);
        assert_eq!(
            read("a-b: 0 245760 thin 98304 98303"),
            Some(Status::Thin(Some(50_331_648)))
        );
        assert_eq!(read("a-b: 0 245760 thin Fail"), Some(Status::Thin(None)));
        assert_eq!(read("a-b: 0 24576 linear "), None);
        for odd in [
            "",
            "No devices found",
            "a: 0 1 raid raid1",
            "a: 0 1 thin-pool 1 x/y",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_pool_is_found_by_either_name_of_its_device() {
        let line = |name: &str, target: &str| format!("{name}: 0 81920 {target}");
        let state = "thin-pool 0 111/1024 0/640 - rw discard_passdown error_if_no_space - 256";
        let statuses = |lines: &[String]| lines.iter().filter_map(|line| read(line)).collect();
        let empty: BTreeMap<_, _> = statuses(&[line("a-p", state)]);
        let used = statuses(&[line("a-p", "linear "), line("a-p-tpool", state)]);
        let found = pool(&empty, "a", "p").expect("one without volumes");
        assert!(found.takes_writes());
        assert_eq!(pool(&used, "a", "p"), Some(found));
        assert_eq!(pool(&used, "a", "q"), None);
    }

    #[test]
    fn dashes_are_doubled() {
        assert_eq!(name("vg-0", "a-b"), "vg--0-a--b");
    }
}
