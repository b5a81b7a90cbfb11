//! ACLs: which unit an initiator sees in a portal group, and under which number.
//!
//! An ACL belongs to one initiator name in one target. Other managers may keep maps of theirs in
//! it, so it is removed only if we made it, and with the last map.

use super::configfs::{Configfs, ConfigfsError};
use super::target;
use uuid::Uuid;

/// What the `tag` of an ACL that we made begins with.
const MARK: &str = "standpipe-";
/// The longest tag that the kernel takes, in bytes.
const LONGEST_TAG: usize = 63;

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

/// The `tag` of an ACL that we made: only such a one is removed when it is empty. Other managers take
/// ACLs of one tag for one group, show it in their place and change all of it at once, so each has a
/// tag of its own: with the name, or with a digest of one that is too long.
fn tag(initiator: &str) -> String {
    let tag = format!("{MARK}{initiator}");
    match tag.len() <= LONGEST_TAG {
        true => tag,
        false => {
            let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, initiator.as_bytes());
            format!("{MARK}{digest}")
        }
    }
}

/// Shows a unit to an initiator, whose ACL is made when it is missing.
pub fn map(configfs: &Configfs, map: &Map<'_>) -> Result<(), ConfigfsError> {
    let acl = folder(map.iqn, map.initiator);
    if configfs.make(&acl)? {
        configfs.write(&format!("{acl}/tag"), &tag(map.initiator))?;
    }
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
/// ends the initiator's sessions.
pub fn unmap(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
    number: u64,
) -> Result<(), ConfigfsError> {
    let acl = folder(iqn, initiator);
    let path = format!("{acl}/lun_{number}");
    for (alias, _) in configfs.links(&path)? {
        configfs.unlink(&format!("{path}/{alias}"))?;
    }
    configfs.remove(&path)?;
    remove_if_empty(configfs, iqn, initiator)
}

/// Removes an ACL of ours that has no map left.
pub fn remove_if_empty(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
) -> Result<(), ConfigfsError> {
    let acl = folder(iqn, initiator);
    let left = configfs.folders(&acl)?;
    let is_empty = !left.iter().any(|name| name.starts_with("lun_"));
    if is_empty
        && configfs
            .read(&format!("{acl}/tag"))
            .is_ok_and(|found| found == tag(initiator))
    {
        configfs.remove(&acl)?;
    }
    Ok(())
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
        let tags = names.each_ref().map(|name| tag(name));
        assert_eq!(tags[0], "standpipe-iqn.2026-11.example.host:one");
        for (number, tag) in tags.iter().enumerate() {
            assert!(tag.len() <= LONGEST_TAG, "{tag}");
            assert!(!tags[..number].contains(tag), "{tag}");
        }
    }
}
