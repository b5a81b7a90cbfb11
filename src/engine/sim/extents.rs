//! Extents: which of a row of them are free, and what each of them holds.
//!
//! Everything is counted in extents. It knows nothing of disks or volumes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::array::DiskId;

/// Bytes of one extent, LVM's default (vgcreate(8), `--physicalextentsize`).
pub const EXTENT: u64 = 4 << 20;

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

impl Content {
    /// That byte all over.
    pub(super) fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Zeros,
            byte => Self::Written(byte),
        }
    }
}

/// Some neighbouring extents of one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    /// The disk.
    pub(super) disk: DiskId,
    /// The first extent.
    pub(super) start: u64,
    /// How many.
    pub(super) length: u64,
}

/// How many extents these are.
pub(super) fn count(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| segment.length).sum()
}

/// Adds a segment behind the others; a neighbour of the last one becomes part of it, as in LVM.
pub(super) fn push_segment(segments: &mut Vec<Segment>, segment: Segment) {
    match segments.last_mut() {
        Some(last) if last.disk == segment.disk && last.start + last.length == segment.start => {
            last.length += segment.length;
        }
        _ => segments.push(segment),
    }
}

/// Cuts the extents off that lie behind the first `keep`; returns them.
pub(super) fn cut(segments: &mut Vec<Segment>, keep: u64) -> Vec<Segment> {
    let mut left = keep;
    let mut tail = Vec::new();
    for segment in segments.iter_mut() {
        let stays = left.min(segment.length);
        left -= stays;
        if stays < segment.length {
            tail.push(Segment {
                disk: segment.disk.clone(),
                start: segment.start + stays,
                length: segment.length - stays,
            });
            segment.length = stays;
        }
    }
    segments.retain(|segment| segment.length > 0);
    tail
}

/// The part of these segments that lies at so many extents from their start.
pub(super) fn part(segments: &[Segment], start: u64, length: u64) -> Vec<Segment> {
    let (mut skip, mut left) = (start, length);
    let mut found = Vec::new();
    for segment in segments {
        let skipped = skip.min(segment.length);
        skip -= skipped;
        let taken = left.min(segment.length - skipped);
        left -= taken;
        if taken > 0 {
            found.push(Segment {
                disk: segment.disk.clone(),
                start: segment.start + skipped,
                length: taken,
            });
        }
    }
    found
}

/// What changed in contents: the run that now begins there, or none any more.
pub(super) type RunChange = (u64, Option<(u64, Content)>);

/// Which extents of a row are free.
#[derive(Clone, Debug, Default)]
pub(super) struct Space {
    /// Free ranges: start → length; neighbours are one range.
    ranges: BTreeMap<u64, u64>,
    free: u64,
}

impl Space {
    /// So many extents, all free.
    pub(super) fn new(extents: u64) -> Self {
        let mut space = Self::default();
        space.give_back(0, extents);
        space
    }

    /// How many are free.
    pub(super) fn free(&self) -> u64 {
        self.free
    }

    /// Takes the first free extents, at most `wanted`.
    pub(super) fn take(&mut self, mut wanted: u64) -> Vec<(u64, u64)> {
        let mut taken = Vec::new();
        while wanted > 0 {
            let Some((start, length)) = self.ranges.pop_first() else {
                break;
            };
            let part = length.min(wanted);
            if part < length {
                self.ranges.insert(start + part, length - part);
            }
            self.free -= part;
            wanted -= part;
            taken.push((start, part));
        }
        taken
    }

    /// Takes exactly these extents, whose owner a state from before names; whether they were free.
    pub(super) fn claim(&mut self, start: u64, length: u64) -> bool {
        let Some((&from, &free)) = self.ranges.range(..=start).next_back() else {
            return false;
        };
        let Some(end) = start.checked_add(length) else {
            return false;
        };
        if end > from + free || length == 0 {
            return false;
        }
        self.ranges.remove(&from);
        if start > from {
            self.ranges.insert(from, start - from);
        }
        if from + free > end {
            self.ranges.insert(end, from + free - end);
        }
        self.free -= length;
        true
    }

    /// Gives extents back. What they hold stays in them.
    pub(super) fn give_back(&mut self, mut start: u64, mut length: u64) {
        if length == 0 {
            return;
        }
        self.free += length;
        if let Some(after) = self.ranges.remove(&(start + length)) {
            length += after;
        }
        if let Some((&from, &before)) = self.ranges.range(..start).next_back()
            && from + before == start
        {
            self.ranges.remove(&from);
            start = from;
            length += before;
        }
        self.ranges.insert(start, length);
    }
}

/// What a row of extents holds: runs of equal content that cover it, start → (length, content).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Runs(BTreeMap<u64, (u64, Content)>);

impl Runs {
    /// So many extents that hold the same.
    pub(super) fn new(extents: u64, content: Content) -> Self {
        let mut runs = Self::default();
        runs.fill(0, extents, content);
        runs
    }

    /// Forgets what lies behind the first `keep` extents.
    pub(super) fn cut(&mut self, keep: u64) {
        self.0.retain(|start, _| *start < keep);
        if let Some(mut last) = self.0.last_entry() {
            let start = *last.key();
            let run = last.get_mut();
            run.0 = run.0.min(keep - start);
        }
    }

    /// Fills extents; says what changed in the runs.
    pub(super) fn fill(&mut self, start: u64, length: u64, content: Content) -> Vec<RunChange> {
        if length == 0 {
            return Vec::new();
        }
        let mut changes = BTreeMap::new();
        let (mut from, mut end) = (start, start + length);
        // Runs that touch the range: those of the same content grow it, others are cut.
        let first = self.0.range(..start).next_back().map(|(at, _)| *at);
        let touched: Vec<u64> = self
            .0
            .range(first.unwrap_or(start)..=end)
            .map(|(at, _)| *at)
            .collect();
        for at in touched {
            let Some((run, held)) = self.0.get(&at).copied() else {
                continue;
            };
            let run_end = at + run;
            if run_end < start || (run_end == start && held != content) {
                continue;
            }
            if at >= end && held != content {
                continue;
            }
            self.0.remove(&at);
            changes.insert(at, None);
            if held == content {
                from = from.min(at);
                end = end.max(run_end);
                continue;
            }
            for (piece, piece_end) in [(at, start.min(run_end)), (end.max(at), run_end)] {
                if piece < piece_end {
                    self.0.insert(piece, (piece_end - piece, held));
                    changes.insert(piece, Some((piece_end - piece, held)));
                }
            }
        }
        self.0.insert(from, (end - from, content));
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
        let first = self.0.range(..=start).next_back().map(|(at, _)| *at);
        self.0
            .range(first.unwrap_or(start)..end)
            .map(move |(at, (run, content))| {
                let from = start.max(*at);
                (end.min(at + run).saturating_sub(from), *content)
            })
            .filter(|(length, _)| *length > 0)
    }

    /// All runs: start, length, content.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64, Content)> + '_ {
        self.0
            .iter()
            .map(|(start, (length, content))| (*start, *length, *content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extents_are_taken_first_to_last_and_joined_when_they_return() {
        let mut disk = Space::new(10);
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
        let mut disk = Space::new(10);
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
            let mut disk = Runs::new(20, Content::Old);
            let mut plain = [Content::Old; 20];
            let mut followed: BTreeMap<u64, (u64, Content)> =
                disk.iter().map(|(start, length, content)| (start, (length, content))).collect();
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
