//! A modelled disk: which of its extents are free, and what each of them holds.
//!
//! Everything is counted in extents from the start of the disk's usable part. It knows nothing of
//! volumes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::array::DiskId;

/// Bytes of one extent, LVM's default (vgcreate(8), `--physicalextentsize`).
pub const EXTENT: u64 = 4 << 20;

/// Bytes before the first extent (pvcreate(8), `--dataalignment`).
const HEAD: u64 = 1 << 20;

/// What an extent holds. The later in this order, the worse for a host that should see zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Content {
    /// Zeros that somebody wrote.
    Zeros,
    /// Nobody ever wrote it: what a read returns depends on the disk.
    Fresh,
    /// This byte all over, written by a host.
    Written(u8),
    /// What somebody stored here before the disk came to its pool.
    Old,
}

/// Some neighbouring extents of one disk of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    /// The disk's place in its pool.
    pub(super) disk: usize,
    /// The first extent.
    pub(super) start: u64,
    /// How many.
    pub(super) length: u64,
}

/// What changed in a disk's contents: the run that now begins there, or none any more.
pub(super) type RunChange = (u64, Option<(u64, Content)>);

/// A disk.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    /// Its identity.
    pub(super) id: DiskId,
    /// Its device.
    pub(super) device: String,
    /// Bytes.
    pub(super) size: u64,
    /// Whether it has failed.
    pub(super) failed: bool,
    /// Free ranges: start → length; neighbours are one range.
    free: BTreeMap<u64, u64>,
    free_count: u64,
    /// Runs of equal content: start → (length, content); they cover the disk.
    runs: BTreeMap<u64, (u64, Content)>,
}

impl Disk {
    /// An empty disk that holds the same everywhere.
    pub(super) fn new(id: DiskId, device: String, size: u64, content: Content) -> Self {
        let extents = extents_of(size);
        let all = |some: u64| some > 0;
        Self {
            id,
            device,
            size,
            failed: false,
            free: all(extents).then_some((0, extents)).into_iter().collect(),
            free_count: extents,
            runs: all(extents)
                .then_some((0, (extents, content)))
                .into_iter()
                .collect(),
        }
    }

    /// How many extents it has.
    pub(super) fn extents(&self) -> u64 {
        extents_of(self.size)
    }

    /// How many of them are free.
    pub(super) fn free(&self) -> u64 {
        self.free_count
    }

    /// Takes the first free extents, at most `wanted`.
    pub(super) fn take(&mut self, mut wanted: u64) -> Vec<(u64, u64)> {
        let mut taken = Vec::new();
        while wanted > 0 {
            let Some((start, length)) = self.free.pop_first() else {
                break;
            };
            let part = length.min(wanted);
            if part < length {
                self.free.insert(start + part, length - part);
            }
            self.free_count -= part;
            wanted -= part;
            taken.push((start, part));
        }
        taken
    }

    /// Takes exactly these extents, whose owner a state from before names; whether they were free.
    pub(super) fn claim(&mut self, start: u64, length: u64) -> bool {
        let Some((&from, &free)) = self.free.range(..=start).next_back() else {
            return false;
        };
        let Some(end) = start.checked_add(length) else {
            return false;
        };
        if end > from + free || length == 0 {
            return false;
        }
        self.free.remove(&from);
        if start > from {
            self.free.insert(from, start - from);
        }
        if from + free > end {
            self.free.insert(end, from + free - end);
        }
        self.free_count -= length;
        true
    }

    /// Gives extents back. What they hold stays in them.
    pub(super) fn give_back(&mut self, mut start: u64, mut length: u64) {
        self.free_count += length;
        if let Some(after) = self.free.remove(&(start + length)) {
            length += after;
        }
        if let Some((&from, &before)) = self.free.range(..start).next_back()
            && from + before == start
        {
            self.free.remove(&from);
            start = from;
            length += before;
        }
        self.free.insert(start, length);
    }

    /// Fills extents; says what changed in the runs.
    pub(super) fn fill(&mut self, start: u64, length: u64, content: Content) -> Vec<RunChange> {
        if length == 0 {
            return Vec::new();
        }
        let mut changes = BTreeMap::new();
        let (mut from, mut end) = (start, start + length);
        // Runs that touch the range: those of the same content grow it, others are cut.
        let first = self.runs.range(..start).next_back().map(|(at, _)| *at);
        let touched: Vec<u64> = self
            .runs
            .range(first.unwrap_or(start)..=end)
            .map(|(at, _)| *at)
            .collect();
        for at in touched {
            let Some((run, held)) = self.runs.get(&at).copied() else {
                continue;
            };
            let run_end = at + run;
            if run_end < start || (run_end == start && held != content) {
                continue;
            }
            if at >= end && held != content {
                continue;
            }
            self.runs.remove(&at);
            changes.insert(at, None);
            if held == content {
                from = from.min(at);
                end = end.max(run_end);
                continue;
            }
            for (piece, piece_end) in [(at, start.min(run_end)), (end.max(at), run_end)] {
                if piece < piece_end {
                    self.runs.insert(piece, (piece_end - piece, held));
                    changes.insert(piece, Some((piece_end - piece, held)));
                }
            }
        }
        self.runs.insert(from, (end - from, content));
        changes.insert(from, Some((end - from, content)));
        changes.into_iter().collect()
    }

    /// What these extents hold, run by run: (length, content).
    pub(super) fn contents(
        &self,
        start: u64,
        length: u64,
    ) -> impl Iterator<Item = (u64, Content)> + '_ {
        let end = start + length;
        let first = self.runs.range(..=start).next_back().map(|(at, _)| *at);
        self.runs
            .range(first.unwrap_or(start)..end)
            .map(move |(at, (run, content))| {
                let from = start.max(*at);
                (end.min(at + run).saturating_sub(from), *content)
            })
            .filter(|(length, _)| *length > 0)
    }

    /// All runs: start, length, content.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, u64, Content)> + '_ {
        self.runs
            .iter()
            .map(|(start, (length, content))| (*start, *length, *content))
    }
}

fn extents_of(size: u64) -> u64 {
    size.saturating_sub(HEAD) / EXTENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn disk(extents: u64) -> Disk {
        let size = HEAD + extents * EXTENT + EXTENT / 2;
        Disk::new("d".into(), "/dev/sdb".into(), size, Content::Old)
    }

    #[test]
    fn extents_are_taken_first_to_last_and_joined_when_they_return() {
        let mut disk = disk(10);
        assert_eq!(disk.take(4), [(0, 4)]);
        assert_eq!(disk.take(3), [(4, 3)]);
        disk.give_back(1, 2);
        assert_eq!(disk.take(4), [(1, 2), (7, 2)]);
        assert_eq!(disk.take(9), [(9, 1)]);
        assert_eq!(disk.free(), 0);
        disk.give_back(0, 5);
        disk.give_back(5, 5);
        assert_eq!(disk.take(10), [(0, 10)]);
    }

    #[test]
    fn only_free_extents_can_be_claimed() {
        let mut disk = disk(10);
        assert!(disk.claim(3, 4));
        assert!(!disk.claim(3, 1));
        assert!(!disk.claim(0, 4));
        assert!(!disk.claim(8, 3));
        assert!(!disk.claim(8, u64::MAX));
        assert!(disk.claim(7, 3));
        assert_eq!(disk.take(9), [(0, 3)]);
    }

    fn content() -> impl Strategy<Value = Content> {
        prop::sample::select(vec![Content::Zeros, Content::Old, Content::Written(7)])
    }

    proptest! {
        /// Runs say what a plain array of extents says, and their changes suffice to follow.
        #[test]
        fn contents_are_as_written(fills in prop::collection::vec((0u64..20, 0u64..20, content()), 0..12)) {
            let mut disk = disk(20);
            let mut plain = [Content::Old; 20];
            let mut followed: BTreeMap<u64, (u64, Content)> =
                disk.runs().map(|(start, length, content)| (start, (length, content))).collect();
            for (start, length, content) in fills {
                let length = length.min(20 - start);
                for (at, run) in disk.fill(start, length, content) {
                    match run {
                        Some(run) => followed.insert(at, run),
                        None => followed.remove(&at),
                    };
                }
                plain[start as usize..(start + length) as usize].fill(content);
            }
            let spelt = |runs: &mut dyn Iterator<Item = (u64, Content)>| -> Vec<Content> {
                runs.flat_map(|(length, content)| vec![content; length as usize]).collect()
            };
            prop_assert_eq!(spelt(&mut disk.contents(0, 20)), plain.to_vec());
            prop_assert_eq!(spelt(&mut disk.contents(5, 9)), plain[5..14].to_vec());
            prop_assert_eq!(spelt(&mut followed.into_values()), plain.to_vec());
        }
    }
}
