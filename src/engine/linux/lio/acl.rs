//! ACLs: which unit an initiator sees in a portal group, and under which number.
//!
//! An ACL belongs to one initiator name in one target. Other managers may keep maps of theirs in
//! it, so it is removed only if we made it, and with the last map.

use super::configfs::{Configfs, ConfigfsError};
use super::{fabric, target};
use uuid::Uuid;

/// The longest tag that the kernel takes, in bytes.
const LONGEST_TAG: usize = 63;

/// What the `tag` of an ACL that we made says of the credentials that it was given; only an ACL with
/// such a tag is removed when it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// None: it asks for what its portal group asks for.
    Plain,
    /// It was given some.
    Demanding,
    /// It asks for none although its portal group does.
    Excused,
}

impl Mark {
    const ALL: [Self; 3] = [Self::Plain, Self::Demanding, Self::Excused];

    /// The tag with this mark. Other managers take ACLs of one tag for one group, show it in their
    /// place and change all of it at once, so each has a tag of its own: with the name, or with a
    /// digest of one that is too long.
    pub fn tag(self, initiator: &str) -> String {
        let start = match self {
            Self::Plain => "standpipe-",
            Self::Demanding => "standpipe-chap-",
            Self::Excused => "standpipe-open-",
        };
        let tag = format!("{start}{initiator}");
        match tag.len() <= LONGEST_TAG {
            true => tag,
            false => {
                let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, initiator.as_bytes());
                format!("{start}{digest}")
            }
        }
    }

    /// The mark of the initiator's ACL; `None` for one that is not ours or not there.
    pub fn read(configfs: &Configfs, iqn: &str, initiator: &str) -> Option<Self> {
        let acl = folder(iqn, initiator);
        let found = configfs.read(&format!("{acl}/tag")).ok()?;
        Self::of(&found, initiator)
    }

    /// The mark that a tag is; `None` for one that is not ours.
    pub fn of(tag: &str, initiator: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|mark| mark.tag(initiator) == tag)
    }
}

/// One row of an initiator's table of logical units.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    /// The target.
    pub iqn: &'a str,
    /// The initiator, in lower case: the kernel lowers the name at login.
    pub initiator: &'a str,
    /// The number that the host sees.
    pub number: u64,
    /// The unit of the portal group.
    pub unit: u64,
    /// The link's name, which tells our maps from those of others.
    pub alias: &'a str,
    /// The host may not write.
    pub read_only: bool,
}

impl Map<'_> {
    fn path(&self) -> String {
        format!("{}/lun_{}", folder(self.iqn, self.initiator), self.number)
    }
}

/// The ACL's path below the root.
pub fn folder(iqn: &str, initiator: &str) -> String {
    format!("{}/acls/{initiator}", target::group(iqn))
}

/// Makes the ACL of an initiator where it is missing.
pub fn make(configfs: &Configfs, iqn: &str, initiator: &str) -> Result<(), ConfigfsError> {
    let acl = folder(iqn, initiator);
    match configfs.make(&acl)? && fabric::of(iqn).tags {
        true => configfs.write(&format!("{acl}/tag"), &Mark::Plain.tag(initiator)),
        false => Ok(()),
    }
}

/// Shows a unit to an initiator, whose ACL is made when it is missing.
pub fn map(configfs: &Configfs, map: &Map<'_>) -> Result<(), ConfigfsError> {
    make(configfs, map.iqn, map.initiator)?;
    let path = map.path();
    let made = configfs.make(&path)?;
    let done = configfs
        .link(
            &format!("{path}/{}", map.alias),
            &target::unit(map.iqn, map.unit),
        )
        .and_then(|_| {
            configfs.write(
                &format!("{path}/write_protect"),
                if map.read_only { "1" } else { "0" },
            )
        });
    if done.is_err() && made {
        let _ = unmap(configfs, map.iqn, map.initiator, map.number);
    }
    done
}

/// Hides a number from an initiator, and removes an ACL of ours with its last map. Removing it
/// ends the initiator's sessions. Where nothing can say whose an ACL is, one that showed only this is
/// taken for ours.
pub fn unmap(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
    number: u64,
) -> Result<(), ConfigfsError> {
    clear(configfs, iqn, initiator, number)?;
    match fabric::of(iqn).tags {
        true => remove_if_empty(configfs, iqn, initiator),
        false if is_empty(configfs, iqn, initiator)? => {
            let acl = folder(iqn, initiator);
            configfs.remove(&acl).map(|_| ())
        }
        false => Ok(()),
    }
}

/// Hides a number from an initiator, whose ACL and sessions stay.
pub fn clear(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
    number: u64,
) -> Result<(), ConfigfsError> {
    let path = format!("{}/lun_{number}", folder(iqn, initiator));
    for (alias, _) in configfs.links(&path)? {
        configfs.unlink(&format!("{path}/{alias}"))?;
    }
    configfs.remove(&path).map(|_| ())
}

/// Lets an initiator write to a number that is there.
pub fn make_writable(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
    number: u64,
) -> Result<(), ConfigfsError> {
    let path = format!("{}/lun_{number}/write_protect", folder(iqn, initiator));
    match configfs.read(&path)?.as_str() {
        "0" => Ok(()),
        _ => configfs.write(&path, "0"),
    }
}

/// Removes an ACL of ours that has no map left.
pub fn remove_if_empty(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
) -> Result<(), ConfigfsError> {
    if is_empty(configfs, iqn, initiator)? && Mark::read(configfs, iqn, initiator).is_some() {
        configfs.remove(&folder(iqn, initiator))?;
    }
    Ok(())
}

/// Whether an ACL shows nothing, or is not there.
fn is_empty(configfs: &Configfs, iqn: &str, initiator: &str) -> Result<bool, ConfigfsError> {
    let left = configfs.folders(&folder(iqn, initiator))?;
    Ok(!left.iter().any(|name| name.starts_with("lun_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_acls_have_one_tag() {
        let long = |last: char| format!("iqn.2026-11.example.host:{}{last}", "x".repeat(198));
        let names = [
            "iqn.2026-11.example.host:one".to_owned(),
            "iqn.2026-11.example.host:two".to_owned(),
            long('1'),
            long('2'),
        ];
        let tags = names.each_ref().map(|name| Mark::Plain.tag(name));
        assert_eq!(tags[0], "standpipe-iqn.2026-11.example.host:one");
        for (number, tag) in tags.iter().enumerate() {
            assert!(tag.len() <= LONGEST_TAG, "{tag}");
            assert!(!tags[..number].contains(tag), "{tag}");
            let others = [Mark::Demanding, Mark::Excused].map(|mark| mark.tag(&names[number]));
            assert!(
                others
                    .iter()
                    .all(|other| other.len() <= LONGEST_TAG && other != tag)
            );
        }
    }
}
