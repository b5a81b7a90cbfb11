//! What may stand on an `lvm` command line: names, identifiers, tags and device paths, each
//! checked when it is made.
//!
//! The `lvm` shell splits its line itself, at blanks and quotes. No value of these types holds
//! either, so a line put together from them means what it says. This module knows nothing of
//! commands.

use std::fmt;

/// Longest name that LVM accepts for a volume group or a logical volume, in bytes (lvm(8)).
const NAME_LIMIT: usize = 127;

/// Longest name of a logical volume of ours, in bytes: beside the group's name and what LVM appends
/// for hidden parts it must fit into a device-mapper name of 127.
const VOLUME_NAME_LIMIT: usize = 63;

/// What names of visible volumes may not begin with, and not contain (lvm(8), "Reserved names").
const RESERVED_STARTS: &[&str] = &["snapshot", "pvmove"];
const RESERVED_PARTS: &[&str] = &[
    "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_iorig", "_imeta", "_mimage", "_mlog",
    "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig",
];

/// Longest tag that the manual promises, in bytes (lvm(8), "TAGS").
const TAG_LIMIT: usize = 1024;

/// Longest path of a device that we pass on, in bytes.
const PATH_LIMIT: usize = 255;

/// Why a text may not be passed to LVM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct NotAllowed {
    /// The refused text, as it came.
    pub text: String,
    /// What it was meant to be.
    pub what: &'static str,
}

/// Declares a checked text type: its name, what it is in words, and its rule.
macro_rules! checked {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// Checks a text.
            pub fn new(text: impl Into<String>) -> Result<Self, NotAllowed> {
                let text = text.into();
                let rule: fn(&str) -> bool = $rule;
                if rule(&text) {
                    Ok(Self(text))
                } else {
                    Err(NotAllowed { text, what: $what })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked!(
    /// A volume group's name.
    VgName,
    "a volume group name",
    is_name
);
checked!(
    /// The name of a logical volume that can be created: no reserved one.
    LvName,
    "a logical volume name",
    |text| {
        is_name(text)
            && text.len() <= VOLUME_NAME_LIMIT
            && !RESERVED_STARTS.iter().any(|start| text.starts_with(start))
            && !RESERVED_PARTS.iter().any(|part| text.contains(part))
    }
);
checked!(
    /// An LVM UUID with its dashes, 6-4-4-4-4-4-6 characters of base 62.
    LvmUuid,
    "an LVM UUID",
    is_uuid
);
checked!(
    /// A tag.
    Tag,
    "an LVM tag",
    |text| !text.is_empty() && text.len() <= TAG_LIMIT && text.bytes().all(is_tag_byte)
);
checked!(
    /// The path of a block device.
    DevicePath,
    "a device path",
    |text| {
        text.starts_with("/dev/")
            && text.len() <= PATH_LIMIT
            && !text.contains("/../")
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_.+:-".contains(&b))
    }
);

impl LvmUuid {
    /// The UUID without its dashes, as in a device-mapper UUID.
    pub fn plain(&self) -> String {
        self.0.replace('-', "")
    }
}

/// The device-mapper UUID of a volume's visible device: `LVM-`, then both UUIDs without dashes.
pub fn dm_uuid(vg: &LvmUuid, lv: &LvmUuid) -> String {
    format!("LVM-{}{}", vg.plain(), lv.plain())
}

/// The link that udev makes for a volume. It survives renames, unlike `/dev/<group>/<volume>`.
pub fn device_link(vg: &LvmUuid, lv: &LvmUuid) -> String {
    format!("/dev/disk/by-id/dm-uuid-{}", dm_uuid(vg, lv))
}

/// Whether LVM allows this byte in a tag.
pub fn is_tag_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+.-/=!:#&".contains(&byte)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_LIMIT
        && !text.starts_with('-')
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+_.-".contains(&b))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups
        .iter()
        .map(|group| group.len())
        .eq([6, 4, 4, 4, 4, 4, 6])
        && groups
            .iter()
            .all(|group| group.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_the_shell_would_split_or_misread_are_refused() {
        for bad in [
            "", "a b", "a'b", "a\"b", "-a", ".", "..", "a\nb", "a/b", "ä", "a\\b",
        ] {
            assert!(VgName::new(bad).is_err(), "{bad:?} as a group name");
            assert!(LvName::new(bad).is_err(), "{bad:?} as a volume name");
        }
        for bad in [
            "snapshot0",
            "pvmove1",
            "a_rimage_0",
            "x_tmeta",
            &"a".repeat(64),
        ] {
            assert!(LvName::new(bad).is_err(), "{bad:?} is reserved or too long");
        }
        for bad in ["", "a b", "a'b", "a,b", "a@b", "a%b", "ä", "a{b}"] {
            assert!(Tag::new(bad).is_err(), "{bad:?} as a tag");
        }
        for bad in [
            "vda",
            "/dev/a b",
            "/dev/../etc/passwd",
            "/dev/a'b",
            "/etc/passwd",
        ] {
            assert!(DevicePath::new(bad).is_err(), "{bad:?} as a device");
        }
        assert!(VgName::new("a".repeat(128)).is_err());
        assert!(Tag::new("a".repeat(1025)).is_err());
    }

    #[test]
    fn ordinary_names_are_allowed() {
        assert!(VgName::new("vg-data_1.a+b").is_ok());
        assert!(LvName::new("standpipe-0123456789abcdef0123456789abcdef").is_ok());
        assert!(Tag::new("standpipe.name=Oracle=20log").is_ok());
        assert!(DevicePath::new("/dev/disk/by-id/scsi-0:1").is_ok());
    }

    #[test]
    fn a_uuid_has_its_exact_form() {
        let good = "KROYpN-ydMD-shhk-LeZE-RBId-r0qq-h2oGSA";
        assert!(LvmUuid::new(good).is_ok());
        for bad in [
            "",
            "KROYpN",
            &good[1..],
            &good.replace('-', "_"),
            &good.replace('K', "'"),
        ] {
            assert!(LvmUuid::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_device_link_joins_both_uuids() {
        let vg = LvmUuid::new("5GvdDu-Sg8v-3njn-AOCp-YOnZ-ZDff-i9MStj").expect("a UUID");
        let lv = LvmUuid::new("fenRM0-k234-gQIb-Rm07-eV38-eCnN-zmcYOz").expect("a UUID");
        assert_eq!(
            device_link(&vg, &lv),
            "/dev/disk/by-id/dm-uuid-LVM-\
             5GvdDuSg8v3njnAOCpYOnZZDffi9MStjfenRM0k234gQIbRm07eV38eCnNzmcYOz"
        );
    }
}
