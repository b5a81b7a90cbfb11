//! One line for the `lvm` shell, put together from literals and checked words only.
//!
//! There is no way to append text that came from outside without one of the types of
//! [`super::names`]. This module does not run anything.

use super::names::{DevicePath, LvName, LvmUuid, Tag, VgName};
use super::tags;
use std::fmt::{self, Display};

/// A command line: for the shell, for a program of its own, and for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(Vec<String>);

impl Line {
    /// Starts with an LVM command.
    pub fn new(command: &'static str) -> Self {
        Self(vec![command.to_owned()])
    }

    /// Appends literal words.
    pub fn with(mut self, words: &'static str) -> Self {
        self.0.extend(words.split(' ').map(str::to_owned));
        self
    }

    /// Appends literals as one word, separated by commas.
    pub fn joined(mut self, literals: &[&'static str]) -> Self {
        self.0.push(literals.join(","));
        self
    }

    /// Appends a checked word.
    pub fn word(mut self, word: &impl Word) -> Self {
        self.0.push(word.to_string());
        self
    }

    /// Appends checked words.
    pub fn words<'a, W: Word + 'a>(self, words: impl IntoIterator<Item = &'a W>) -> Self {
        words.into_iter().fold(self, |line, word| line.word(word))
    }

    /// Appends a literal option and its checked value, `-l 16` or `--addtag mark`.
    pub fn option(self, option: &'static str, value: &impl Word) -> Self {
        self.with(option).word(value)
    }

    /// Appends a literal option for each of these values.
    pub fn options<'a, W: Word + 'a>(
        self,
        option: &'static str,
        values: impl IntoIterator<Item = &'a W>,
    ) -> Self {
        let values = values.into_iter();
        values.fold(self, |line, value| line.option(option, value))
    }

    /// The words, for a program that is started with them.
    pub fn arguments(&self) -> &[String] {
        &self.0
    }
}

impl Display for Line {
    /// As the shell reads it: a word with blanks stands in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (command, words) = self.0.split_first().ok_or(fmt::Error)?;
        f.write_str(command)?;
        for word in words {
            match word.contains(' ') {
                true => write!(f, " '{word}'")?,
                false => write!(f, " {word}")?,
            }
        }
        Ok(())
    }
}

/// A value that may stand on a line: it holds no quote, backslash or control character, and no
/// blank unless it is one of the selections below.
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
        write!(f, "lv_uuid={} && lv_tags={{{}}}", self.0, tags::OWNER)
    }
}

/// A selection of one volume by UUID, whosever it is.
#[derive(Debug)]
pub struct Anybodys<'a>(pub &'a LvmUuid);
impl Word for Anybodys<'_> {}
impl Display for Anybodys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lv_uuid={}", self.0)
    }
}

/// The same as [`Chosen`] for a thin pool, and only if it has no volumes.
#[derive(Debug)]
pub struct ChosenPool<'a>(pub &'a LvmUuid);
impl Word for ChosenPool<'_> {}
impl Display for ChosenPool<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} && thin_count=0", Chosen(self.0))
    }
}

/// A selection of every thin volume and thin pool of ours.
#[derive(Debug)]
pub struct OurThin;
impl Word for OurThin {}
impl Display for OurThin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lv_tags={{{}}} && ( segtype=thin || segtype=thin-pool )",
            tags::OWNER
        )
    }
}

/// A selection of every volume of ours that has snapshots which keep what changes.
#[derive(Debug)]
pub struct OurOrigins;
impl Word for OurOrigins {}
impl Display for OurOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lv_tags={{{}}} && lv_role={{thickorigin}}", tags::OWNER)
    }
}

/// A selection of one group by UUID, and only if it bears the owner mark.
#[derive(Debug)]
pub struct ChosenGroup<'a>(pub &'a LvmUuid);
impl Word for ChosenGroup<'_> {}
impl Display for ChosenGroup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vg_uuid={} && vg_tags={{{}}}", self.0, tags::OWNER)
    }
}

/// The same, and only if it also bears the mark of a job and holds no logical volumes.
#[derive(Debug)]
pub struct ChosenEmpty<'a>(pub &'a LvmUuid, pub &'a Tag);
impl Word for ChosenEmpty<'_> {}
impl Display for ChosenEmpty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = ChosenGroup(self.0);
        write!(f, "{group} && vg_tags={{{}}} && lv_count=0", self.1)
    }
}

/// A size in bytes, with its unit.
#[derive(Debug)]
pub struct Bytes(pub u64);
impl Word for Bytes {}
impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}b", self.0)
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
    /// Reads the `seg_pe_ranges` column of a segment on physical volumes: `/dev/sda:10-19`,
    /// several of them separated by blanks. `None` when it has any other form.
    pub fn read(column: &str) -> Option<Vec<Self>> {
        let areas = column.split_whitespace().map(Area::read);
        areas.map(|area| area?.on_device()).collect()
    }

    /// The same extents with neighbours put together, in the order of devices and extents.
    pub fn merged(mut extents: Vec<Self>) -> Vec<Self> {
        extents.sort_by(|a, b| (&a.device, a.first).cmp(&(&b.device, b.first)));
        let mut merged: Vec<Self> = Vec::new();
        for next in extents {
            match merged.last_mut() {
                Some(last) if last.device == next.device && last.last + 1 == next.first => {
                    last.last = next.last;
                }
                _ => merged.push(next),
            }
        }
        merged
    }
}

/// A part of a segment as `seg_pe_ranges` writes it: extents of a device, of a hidden volume, or
/// of a device that is not there, which is called `[unknown]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area<'a> {
    /// What it lies on.
    pub on: &'a str,
    /// Its first extent there.
    pub first: u64,
    /// Its last extent, itself included.
    pub last: u64,
}

impl<'a> Area<'a> {
    /// Reads one word of the column.
    pub fn read(text: &'a str) -> Option<Self> {
        let (on, range) = text.rsplit_once(':')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(Self { on, first, last })
    }

    /// How many extents.
    pub fn count(&self) -> u64 {
        self.last - self.first + 1
    }

    fn on_device(self) -> Option<Extents> {
        Some(Extents {
            device: DevicePath::new(self.on).ok()?,
            first: self.first,
            last: self.last,
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
                .to_string(),
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
    fn neighbours_become_one_range_and_others_do_not() {
        let ranges = Extents::read("/dev/vdb:4-5 /dev/vda:3-3 /dev/vda:0-2 /dev/vda:5-6");
        let merged = Extents::merged(ranges.expect("four ranges"));
        let words: Vec<String> = merged.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["/dev/vda:0-3", "/dev/vda:5-6", "/dev/vdb:4-5"]);
    }

    #[test]
    fn a_program_gets_a_selection_as_one_word() {
        let vg = LvmUuid::new("KROYpN-ydMD-shhk-LeZE-RBId-r0qq-h2oGSA").expect("a UUID");
        let line = Line::new("vgchange").with("-q -S").word(&ChosenGroup(&vg));
        assert_eq!(line.arguments().len(), 4);
        assert!(line.to_string().ends_with("'"), "{line}");
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
