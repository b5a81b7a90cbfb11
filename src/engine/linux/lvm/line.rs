//! One line for the `lvm` shell, put together from literals and checked words only.
//!
//! There is no way to append text that came from outside without one of the types of
//! [`super::names`]. This module does not run anything.

use super::names::{DevicePath, LvName, LvmUuid, Tag, VgName};
use super::tags;
use std::fmt::{self, Display, Write as _};

/// A command line, for the shell and for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    /// Starts with an LVM command.
    pub fn new(command: &'static str) -> Self {
        Self(command.to_owned())
    }

    /// Appends literal words.
    pub fn with(mut self, words: &'static str) -> Self {
        self.0.push(' ');
        self.0.push_str(words);
        self
    }

    /// Appends a checked word.
    pub fn word(mut self, word: &impl Word) -> Self {
        write!(self.0, " {word}").expect("writing to a String does not fail");
        self
    }

    /// Appends a literal option and its checked value, `-l 16` or `--addtag mark`.
    pub fn option(self, option: &'static str, value: &impl Word) -> Self {
        self.with(option).word(value)
    }

    /// The line without its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value that may stand on a line: it holds no blank, quote, backslash or control character,
/// except for the quotes that [`Chosen`] sets itself.
pub trait Word: Display {}
impl Word for VgName {}
impl Word for LvName {}
impl Word for LvmUuid {}
impl Word for Tag {}
impl Word for DevicePath {}
impl Word for u64 {}

/// `group/volume`.
#[derive(Debug)]
pub struct Qualified<'a>(pub &'a VgName, pub &'a LvName);
impl Word for Qualified<'_> {}
impl Display for Qualified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

/// A selection of one volume by UUID, and only if it bears the owner mark. LVM evaluates it
/// under the group's lock, so a name that was reused in between selects nothing.
#[derive(Debug)]
pub struct Chosen<'a>(pub &'a LvmUuid);
impl Word for Chosen<'_> {}
impl Display for Chosen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'lv_uuid={} && lv_tags={{{}}}'", self.0, tags::OWNER)
    }
}

/// Extents of a physical volume, `/dev/sda:10-19`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extents {
    /// The physical volume.
    pub device: DevicePath,
    /// Its first extent.
    pub first: u64,
    /// Its last extent, itself included.
    pub last: u64,
}
impl Word for Extents {}
impl Display for Extents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}-{}", self.device, self.first, self.last)
    }
}

impl Extents {
    /// Reads the `seg_pe_ranges` column of a linear segment: `/dev/sda:10-19`, several of them
    /// separated by blanks. `None` when it has any other form.
    pub fn read(column: &str) -> Option<Vec<Self>> {
        column.split_whitespace().map(Self::read_one).collect()
    }

    fn read_one(text: &str) -> Option<Self> {
        let (device, range) = text.rsplit_once(':')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(())?;
        Some(Self {
            device: DevicePath::new(device).ok()?,
            first,
            last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_names_the_volume_by_uuid_and_mark() {
        let vg = VgName::new("vg0").expect("a name");
        let lv = LvmUuid::new("KROYpN-ydMD-shhk-LeZE-RBId-r0qq-h2oGSA").expect("a UUID");
        assert_eq!(
            Line::new("lvremove")
                .with("-y")
                .option("-S", &Chosen(&lv))
                .word(&vg)
                .as_str(),
            "lvremove -y -S 'lv_uuid=KROYpN-ydMD-shhk-LeZE-RBId-r0qq-h2oGSA \
             && lv_tags={standpipe.v1}' vg0"
        );
    }

    #[test]
    fn extents_are_read_back_as_they_are_written() {
        let ranges = Extents::read("/dev/vda:0-15 /dev/vdb:3-3").expect("two ranges");
        assert_eq!(ranges.len(), 2);
        assert_eq!(ranges[0].to_string(), "/dev/vda:0-15");
        assert_eq!(ranges[1].to_string(), "/dev/vdb:3-3");
    }

    #[test]
    fn other_forms_of_extents_are_not_guessed_at() {
        for column in [
            "pool_tdata:0-3",
            "/dev/vda",
            "/dev/vda:5-3",
            "/dev/vda:x-y",
            "/dev/a b:0-1",
        ] {
            assert_eq!(Extents::read(column), None, "{column}");
        }
    }
}
