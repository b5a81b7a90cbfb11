//! Copying one block device onto another, past the page cache.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::blockdev::{Discard, Ended};
use crate::array::SNAPSHOT_CHUNK;

/// Bytes copied between two looks at whether to go on.
pub(super) const SLICE: usize = 4 << 20;
/// Bytes that are compared, written and given back together. Snapshots keep as much at once: where
/// what differs from a snapshot is written onto its source, it keeps no more than it did.
const UNIT: usize = SNAPSHOT_CHUNK as usize;
/// Bytes that are given back at once, at most: a kernel that is slow at it still gets on.
const HOLE: u64 = 64 << 20;
/// What the kernel demands of addresses of direct reads and writes, at most.
const ALIGNMENT: usize = 4 << 10;

/// What the target holds before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Nothing that means anything: all of it is overwritten.
    Anything,
    /// Zeros: only what is none is written.
    Zeros,
    /// What may be right already: only what differs is written. Zeros are given back to the pool of
    /// a thin one.
    Content {
        /// Whether it is a thin one.
        thin: bool,
    },
}

/// Opens a device past the page cache and claims it: what is mounted, exported or otherwise claimed
/// is refused with `EBUSY`.
pub(super) fn open(device: &Path, write: bool) -> io::Result<File> {
    let flags = OFlags::EXCL | OFlags::DIRECT;
    OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(device)
}

/// Makes the first `size` bytes of `to` those of `from`, with zeros for what lies behind its
/// `length`. `go_on` hears the bytes done so far before each slice and at the end.
pub(super) fn copy(
    (from, length): (&File, u64),
    (to, size): (&File, u64),
    holds: Holds,
    discard: Discard<'_>,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> io::Result<Ended> {
    let (mut wanted, mut held) = (Buffer::new(), Buffer::new());
    let mut hole = Hole {
        of: to,
        discard,
        range: 0..0,
    };
    let mut done = 0;
    while done < size {
        if !go_on(done) {
            return Ok(Ended::Stopped);
        }
        let slice = at_most(SLICE, size - done);
        let within = at_most(slice, length.saturating_sub(done));
        let wanted = wanted.slice(slice);
        let (there, behind) = wanted.split_at_mut(within);
        from.read_exact_at(there, done)?;
        behind.fill(0);
        let wanted: &[u8] = wanted;
        match holds {
            Holds::Anything => to.write_all_at(wanted, done)?,
            Holds::Zeros => {
                for run in runs(wanted, |_, unit| !is_zero(unit)) {
                    write(to, wanted, run, done)?;
                }
            }
            Holds::Content { thin } => {
                let held = held.slice(slice);
                to.read_exact_at(held, done)?;
                let differs = |at: Range<usize>, unit: &[u8]| held.get(at) != Some(unit);
                let is_hole = |unit: &[u8]| thin && is_zero(unit);
                for run in runs(wanted, |at, unit| differs(at, unit) && !is_hole(unit)) {
                    write(to, wanted, run, done)?;
                }
                for run in runs(wanted, |at, unit| differs(at, unit) && is_hole(unit)) {
                    hole.widen(done + run.start as u64..done + run.end as u64)?;
                }
            }
        }
        done += slice as u64;
    }
    hole.dig()?;
    to.sync_data()?;
    go_on(done);
    Ok(Ended::Whole)
}

/// What a thin volume is to lack next, which reads as zeros then. Neighbours are put together: each
/// takes a program's start.
struct Hole<'a> {
    of: &'a File,
    discard: Discard<'a>,
    range: Range<u64>,
}

impl Hole<'_> {
    fn widen(&mut self, range: Range<u64>) -> io::Result<()> {
        let is_next = self.range.end == range.start;
        if is_next && range.end - self.range.start <= HOLE {
            self.range.end = range.end;
            return Ok(());
        }
        self.dig()?;
        self.range = range;
        Ok(())
    }

    /// Not every pool gives back, and none less than a block of its own: what does not read as zeros
    /// afterwards is overwritten.
    fn dig(&mut self) -> io::Result<()> {
        let range = std::mem::take(&mut self.range);
        if range.is_empty() {
            return Ok(());
        }
        if let Err(error) = (self.discard)(range.clone()) {
            tracing::debug!(%error, "zeros are not given back but written");
        }
        let (mut held, mut zeros) = (Buffer::new(), Buffer::new());
        let mut at = range.start;
        while at < range.end {
            let held = held.slice(at_most(SLICE, range.end - at));
            self.of.read_exact_at(held, at)?;
            if !is_zero(held) {
                self.of.write_all_at(zeros.slice(held.len()), at)?;
            }
            at += held.len() as u64;
        }
        Ok(())
    }
}

fn at_most(most: usize, left: u64) -> usize {
    usize::try_from(left).map_or(most, |left| left.min(most))
}

fn is_zero(unit: &[u8]) -> bool {
    unit.iter().all(|byte| *byte == 0)
}

/// The neighbouring units of a slice that are chosen, put together.
fn runs(slice: &[u8], is_chosen: impl Fn(Range<usize>, &[u8]) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (number, unit) in slice.chunks(UNIT).enumerate() {
        let at = number * UNIT..number * UNIT + unit.len();
        if !is_chosen(at.clone(), unit) {
            continue;
        }
        match runs.last_mut() {
            Some(last) if last.end == at.start => last.end = at.end,
            _ => runs.push(at),
        }
    }
    runs
}

fn write(to: &File, slice: &[u8], run: Range<usize>, done: u64) -> io::Result<()> {
    let at = done + run.start as u64;
    to.write_all_at(slice.get(run).unwrap_or_default(), at)
}

/// Memory for a slice, where the kernel wants it to be.
struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new() -> Self {
        let memory = vec![0; SLICE + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, start }
    }

    fn slice(&mut self, length: usize) -> &mut [u8] {
        let range = self.start..self.start + length;
        self.memory.get_mut(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FallocateFlags, fallocate};
    use std::io::Write;

    const LENGTH: usize = 2 * SLICE + 3 * UNIT;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("written");
        file
    }

    fn content(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().expect("its size").len() as usize];
        file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    }

    /// Something else in every unit, and zeros in every fourth.
    fn sample() -> Vec<u8> {
        let units = (0..LENGTH / UNIT).flat_map(|n| {
            let byte = if n % 4 == 3 { 0 } else { n as u8 | 1 };
            std::iter::repeat_n(byte, UNIT)
        });
        units.collect()
    }

    #[test]
    fn the_target_reads_as_the_source_with_zeros_behind() {
        let (source, rest) = (sample(), 2 * UNIT);
        let mut wanted = source.clone();
        wanted.resize(LENGTH + rest, 0);
        let mut nearly = wanted.clone();
        nearly[SLICE + 5] ^= 0xff;
        nearly[LENGTH + 7] = 9;
        nearly[3 * UNIT] = 1;
        let full = vec![0xee; wanted.len()];
        for (holds, before, gives) in [
            (Holds::Anything, full.clone(), true),
            (Holds::Zeros, vec![0; wanted.len()], true),
            (Holds::Content { thin: false }, nearly.clone(), true),
            (Holds::Content { thin: true }, nearly.clone(), true),
            (Holds::Content { thin: true }, nearly.clone(), false),
            (Holds::Content { thin: true }, full, true),
        ] {
            let (from, to) = (file(&source), file(&before));
            let (mut reports, given) = (Vec::new(), std::cell::RefCell::new(0));
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let discard = |range: Range<u64>| {
                *given.borrow_mut() += range.end - range.start;
                match gives {
                    true => Ok(fallocate(&to, flags, range.start, range.end - range.start)?),
                    false => Err(io::ErrorKind::Unsupported.into()),
                }
            };
            let ends = ((&from, LENGTH as u64), (&to, wanted.len() as u64));
            let ended = copy(ends.0, ends.1, holds, &discard, &mut |done| {
                reports.push(done);
                true
            });
            assert_eq!(ended.expect("it is copied"), Ended::Whole);
            assert!(content(&to) == wanted, "{holds:?}");
            assert_eq!(reports.last(), Some(&(wanted.len() as u64)));
            assert!(reports.is_sorted());
            let is_thin = holds == Holds::Content { thin: true };
            assert_eq!(given.into_inner() > 0, is_thin, "{holds:?}");
        }
    }

    #[test]
    fn only_what_is_chosen_is_touched() {
        let slice = sample();
        let zeros = runs(&slice[..8 * UNIT], |_, unit| is_zero(unit));
        assert_eq!(zeros, [3 * UNIT..4 * UNIT, 7 * UNIT..8 * UNIT]);
        let others = runs(&slice[..8 * UNIT], |_, unit| !is_zero(unit));
        assert_eq!(others, [0..3 * UNIT, 4 * UNIT..7 * UNIT]);
    }

    #[test]
    fn it_stops_when_it_is_told_and_fails_where_the_source_ends() {
        let (from, to) = (file(&sample()), file(&vec![0; LENGTH]));
        let ends = ((&from, LENGTH as u64), (&to, LENGTH as u64));
        let never = |_| Err(io::ErrorKind::Unsupported.into());
        let ended = copy(ends.0, ends.1, Holds::Anything, &never, &mut |done| {
            done == 0
        });
        assert_eq!(ended.expect("it stops"), Ended::Stopped);
        assert!(content(&to)[..SLICE] == sample()[..SLICE]);
        assert!(is_zero(&content(&to)[SLICE..]));
        let short = file(&[1; 10]);
        let ended = copy(
            (&short, LENGTH as u64),
            ends.1,
            Holds::Zeros,
            &never,
            &mut |_| true,
        );
        ended.expect_err("too short");
    }
}
