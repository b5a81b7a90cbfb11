//! Paths with `*` and `?` in their last part.

use std::fs;
use std::path::{Path, PathBuf};

use crate::engine::linux::blockdev::Places;

/// Whether a path stands for several.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"*?".contains(byte))
}

/// The paths below `/dev` that a pattern stands for.
pub(super) fn expand(places: &Places, pattern: &Path) -> Vec<PathBuf> {
    let parts = pattern.parent().zip(pattern.file_name());
    let Some((folder, wanted)) = parts else {
        return Vec::new();
    };
    let Ok(below) = folder.strip_prefix("/dev") else {
        return Vec::new();
    };
    let wanted = wanted.as_encoded_bytes();
    let entries = fs::read_dir(places.dev.join(below)).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| matches(wanted, name.as_encoded_bytes()))
        .map(|name| folder.join(name))
        .collect()
}

/// Whether a name is what a pattern says: `*` is any number of characters, `?` is one.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|n| matches(rest, &name[n..])),
        (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
        (Some((wanted, rest)), Some((found, name))) => wanted == found && matches(rest, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, fits) in [
            ("scsi-*", "scsi-36001", true),
            ("scsi-*", "scsi-", true),
            ("scsi-*", "ata-x", false),
            ("sd?", "sdb", true),
            ("sd?", "sdb1", false),
            ("*", "anything", true),
            ("*-part*", "a-b-part1", true),
            ("a*b*c", "a-c", false),
            ("", "", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                fits,
                "{pattern} {name}"
            );
        }
    }
}
