//! Which names LVM accepts, so that the model refuses what the real machine refuses.
//!
//! It knows nothing of volumes.

use crate::array::Error;

/// Group and volume name together, with the dash between them: beyond it device-mapper has no room.
const NAMES_LIMIT: usize = 125;

/// Longest tag that lvm(8) promises, in bytes.
const TAG_LIMIT: usize = 1024;

/// What stands before the name for people in its tag.
const NAME_TAG: &str = "standpipe.name=";

/// Starts that lvm(8) reserves.
const RESERVED_STARTS: [&str; 2] = ["snapshot", "pvmove"];

/// Parts that lvm(8) reserves.
const RESERVED_PARTS: [&str; 17] = [
    "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_iorig", "_imeta", "_mimage", "_mlog",
    "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig",
];

/// Checks the name of a device in a pool of that name.
pub(super) fn check_device(pool: &str, device: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+_.-".contains(&b);
    let reason = if device.is_empty() || !device.bytes().all(allowed) {
        "only letters, digits and + _ . - are allowed"
    } else if device.starts_with('-') || device == "." || device == ".." {
        "it must not begin with '-' nor be '.' or '..'"
    } else if pool.len() + 1 + device.len() > NAMES_LIMIT {
        "it is too long"
    } else if RESERVED_STARTS.iter().any(|word| device.starts_with(word))
        || RESERVED_PARTS.iter().any(|word| device.contains(word))
    {
        "LVM reserves such names"
    } else {
        return Ok(());
    };
    let shown: String = device.chars().take(80).collect();
    Err(Error::invalid(format!(
        "'{shown}' cannot be the name of a logical volume: {reason}"
    )))
}

/// Checks the name of a volume group.
pub(super) fn check_group(device: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+_.-".contains(&b);
    let is_good = !device.is_empty()
        && device.len() < NAMES_LIMIT
        && device.bytes().all(allowed)
        && !device.starts_with('-')
        && device != "."
        && device != "..";
    match is_good {
        true => Ok(()),
        false => Err(Error::invalid(
            "the volume group cannot have that name: only letters, digits and + _ . - are \
             allowed, not '-' first, and not too many",
        )),
    }
}

/// Checks a name for people, which has to fit into a tag.
pub(super) fn check_display(name: &str) -> Result<(), Error> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+.-".contains(&b);
    let escaped: usize = name.bytes().map(|b| if plain(b) { 1 } else { 3 }).sum();
    if NAME_TAG.len() + escaped <= TAG_LIMIT {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the volume name is too long: give at most {} letters or digits; every other byte counts \
         three times",
        TAG_LIMIT - NAME_TAG.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_lvm_allows() {
        let long = "x".repeat(122);
        for bad in [
            "",
            ".",
            "..",
            "-a",
            "a b",
            "a/b",
            "ä",
            "snapshot1",
            "pvmove0",
            "a_rimage_0",
            &long,
        ] {
            assert!(check_device("vg0", bad).is_err(), "{bad}");
        }
        for good in [
            "a",
            "standpipe-0123456789abcdef0123456789abcdef",
            &long[..121],
        ] {
            assert!(check_device("vg0", good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_for_people_fit_into_a_tag() {
        assert!(check_display(&"x".repeat(1009)).is_ok());
        assert!(check_display(&"x".repeat(1010)).is_err());
        assert!(check_display(&" ".repeat(337)).is_err());
    }
}
