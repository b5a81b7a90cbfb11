//! The marks that a volume carries in its LVM tags.
//!
//! Tags are written in the same metadata commit as the volume itself, so they travel with it and
//! cannot be half there. This module knows how marks read and write, not who sets them when.

use super::names::{NotAllowed, Tag};
use crate::array::Torn;

/// The mark of a volume that this product made. The number is the layout of the other tags.
pub const OWNER: &str = "standpipe.v1";
/// Before the volume's display name, escaped.
const NAME: &str = "standpipe.name=";
/// Before the identifier of the unfinished job that works on the volume.
const JOB: &str = "standpipe.job=";
/// Before a unit serial that differs from the derived one (a volume adopted with its export).
const SERIAL: &str = "standpipe.serial=";
/// Before the model that hosts were told of such a volume, where it is not the kernel's.
const MODEL: &str = "standpipe.model=";
/// Before the UUID of the volume that this one is a complete copy of.
const CLONE: &str = "standpipe.clone=";
/// Before the moment whose content a replica was given, in microseconds since 1970.
const TAKEN: &str = "standpipe.taken=";
/// The mark of a snapshot that is to count as a volume of its own.
const DETACHED: &str = "standpipe.detached";
/// The mark of a volume that a copy onto it ended midway.
const TORN: &str = "standpipe.torn";
/// The mark of a volume that is being erased, or that erasing it ended midway.
const ERASED: &str = "standpipe.erased";

/// What a volume's tags say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The volume was made by this product.
    pub owned: bool,
    /// Its display name, when a tag holds one that can be read.
    pub name: Option<String>,
    /// The job that has not finished with it.
    pub job: Option<String>,
    /// Its unit serial, when not the derived one.
    pub serial: Option<String>,
    /// The model that hosts know it by, when not the kernel's.
    pub model: Option<String>,
    /// The UUID of the volume that it is a complete copy of.
    pub clone_of: Option<String>,
    /// The moment whose content it was given, in microseconds since 1970.
    pub taken: Option<u64>,
    /// It is a snapshot that counts as a volume of its own.
    pub detached: bool,
    /// What ended midway on it.
    pub torn: Option<Torn>,
}

impl Marks {
    /// Reads the comma-separated `lv_tags` column. Tags of others are passed over.
    pub fn read(column: &str) -> Self {
        let mut marks = Self::default();
        for tag in column.split(',') {
            if tag == OWNER {
                marks.owned = true;
            } else if let Some(escaped) = tag.strip_prefix(NAME) {
                marks.name = unescape(escaped);
            } else if let Some(job) = tag.strip_prefix(JOB) {
                marks.job = unescape(job);
            } else if let Some(serial) = tag.strip_prefix(SERIAL) {
                marks.serial = unescape(serial);
            } else if let Some(model) = tag.strip_prefix(MODEL) {
                marks.model = unescape(model);
            } else if let Some(source) = tag.strip_prefix(CLONE) {
                marks.clone_of = unescape(source);
            } else if let Some(moment) = tag.strip_prefix(TAKEN) {
                marks.taken = moment.parse().ok();
            } else if tag == DETACHED {
                marks.detached = true;
            } else if tag == TORN {
                marks.torn = Some(Torn::Copied);
            } else if tag == ERASED {
                marks.torn = Some(Torn::Erased);
            }
        }
        marks
    }
}

/// The mark of a volume while its lost legs are replaced.
pub fn repairing() -> Tag {
    Tag::new("standpipe.repairing").expect("the constant is a valid tag")
}

/// The owner mark.
pub fn owner() -> Tag {
    Tag::new(OWNER).expect("the constant is a valid tag")
}

/// The tag for a display name; refused when it is too long once escaped.
pub fn name(text: &str) -> Result<Tag, NotAllowed> {
    Tag::new(format!("{NAME}{}", escape(text)))
}

/// The tag for an unfinished job.
pub fn job(id: &str) -> Result<Tag, NotAllowed> {
    Tag::new(format!("{JOB}{}", escape(id)))
}

/// The tags that keep what hosts know of a volume that was taken over.
pub fn kept(serial: &str, model: Option<&str>) -> Result<Vec<Tag>, NotAllowed> {
    let serial = Tag::new(format!("{SERIAL}{}", escape(serial)))?;
    let model = model.map(|model| Tag::new(format!("{MODEL}{}", escape(model))));
    std::iter::once(Ok(serial)).chain(model).collect()
}

/// The tags of the `lv_tags` column that the adoption of a volume put there.
pub fn adoption(column: &str) -> Vec<Tag> {
    let is_one = |tag: &&str| *tag == OWNER || tag.starts_with(SERIAL) || tag.starts_with(MODEL);
    let tags = column.split(',').filter(is_one);
    tags.filter_map(|tag| Tag::new(tag).ok()).collect()
}

/// The tag for what a volume is a complete copy of.
pub fn clone_of(source: &str) -> Result<Tag, NotAllowed> {
    Tag::new(format!("{CLONE}{}", escape(source)))
}

/// The tag for the moment of a replica, in microseconds since 1970.
pub fn taken(moment: u64) -> Tag {
    Tag::new(format!("{TAKEN}{moment}")).expect("digits are valid in a tag")
}

/// The mark of a snapshot that is to count as a volume of its own.
pub fn detached() -> Tag {
    Tag::new(DETACHED).expect("the constant is a valid tag")
}

/// The mark of a volume while a copy is made onto it, or while it is erased.
pub fn torn(how: Torn) -> Tag {
    let mark = match how {
        Torn::Copied => TORN,
        Torn::Erased => ERASED,
    };
    Tag::new(mark).expect("the constants are valid tags")
}

/// The tags of the `lv_tags` column that say what a volume is a replica of.
pub fn relation(column: &str) -> Vec<Tag> {
    let says = |tag: &&str| tag.starts_with(CLONE) || tag.starts_with(TAKEN) || *tag == DETACHED;
    let tags = column.split(',').filter(says);
    tags.filter_map(|tag| Tag::new(tag).ok()).collect()
}

/// The tags of the `lv_tags` column that hold display names: one, unless somebody added to them.
pub fn names(column: &str) -> Vec<Tag> {
    column
        .split(',')
        .filter(|tag| tag.starts_with(NAME))
        .filter_map(|tag| Tag::new(tag).ok())
        .collect()
}

/// Writes every byte that is not a letter, a digit or one of `_+.-` as `=XX` in hexadecimal.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_+.-".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("={byte:02X}"));
        }
    }
    escaped
}

/// The text that [`escape`] made; `None` when somebody else wrote the tag by another rule.
fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_are_read_among_foreign_tags() {
        let marks = Marks::read("backup,standpipe.v1,standpipe.name=Oracle=20log,standpipe.job=7");
        assert!(marks.owned);
        assert_eq!(marks.name.as_deref(), Some("Oracle log"));
        assert_eq!(marks.job.as_deref(), Some("7"));
        assert_eq!(marks.serial, None);
    }

    #[test]
    fn a_volume_without_our_marks_is_not_ours() {
        assert_eq!(Marks::read(""), Marks::default());
        assert_eq!(
            Marks::read("standpipe,xstandpipe.v1,standpipe.v10"),
            Marks::default()
        );
    }

    #[test]
    fn a_relation_is_read_as_it_was_written() {
        let source = "KROYpN-ydMD-shhk-LeZE-RBId-r0qq-h2oGSA";
        let tags = [
            clone_of(source).expect("a tag"),
            taken(1_764_000_000_123_456),
            torn(Torn::Copied),
        ];
        let column = tags.each_ref().map(Tag::as_str).join(",") + ",standpipe.v1";
        let marks = Marks::read(&column);
        assert_eq!(marks.clone_of.as_deref(), Some(source));
        assert_eq!(marks.taken, Some(1_764_000_000_123_456));
        assert_eq!((marks.torn, marks.detached), (Some(Torn::Copied), false));
        assert_eq!(relation(&column), tags[..2]);
        assert!(Marks::read("standpipe.detached").detached);
        let erased = Marks::read(torn(Torn::Erased).as_str());
        assert_eq!(erased.torn, Some(Torn::Erased));
        assert_eq!(Marks::read("standpipe.taken=x").taken, None);
    }

    #[test]
    fn a_damaged_name_reads_as_none() {
        for column in [
            "standpipe.name=a=2",
            "standpipe.name==ZZ",
            "standpipe.name==FF",
        ] {
            assert_eq!(Marks::read(column).name, None, "{column}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(text in ".{1,100}") {
            let tag = name(&text).expect("short enough");
            prop_assert_eq!(Marks::read(tag.as_str()).name, Some(text));
        }

        #[test]
        fn no_column_panics(column in ".*") {
            Marks::read(&column);
        }
    }
}
