//! Targets that clients made: how they are told from those of others, opened and removed.
//!
//! The kernel keeps no tags of targets. A target's alias, which initiators are told at login and
//! which nothing depends on, says that it is one of these; managers that save and restore the
//! kernel's state keep it.

use super::chap::{self, Demands};
use super::configfs::{Configfs, ConfigfsError};
use super::export::ExportError;
use super::target;
use crate::array::MadeTarget;
use std::net::SocketAddr;

/// The alias of a target that a client made.
pub const MARK: &str = "standpipe";

/// Why a target that a client made cannot be as it is to be.
#[derive(Debug, thiserror::Error)]
pub enum MadeError {
    /// The kernel refused a call.
    #[error(transparent)]
    Configfs(#[from] ConfigfsError),
    /// Somebody else has a target of that name.
    #[error("somebody else has made a target {iqn}")]
    Foreign {
        /// The name.
        iqn: String,
    },
    /// The kernel does not listen there.
    #[error("the kernel cannot listen at {portal}")]
    Portal {
        /// Where.
        portal: SocketAddr,
        /// What it said.
        source: ConfigfsError,
    },
    /// Somebody is logged in.
    #[error("initiator {initiator} is logged in to {iqn}")]
    InSession {
        /// The target.
        iqn: String,
        /// Who.
        initiator: String,
    },
    /// Something is shown through it.
    #[error("{what} of target {iqn} is there")]
    Used {
        /// The target.
        iqn: String,
        /// A unit or an ACL.
        what: String,
    },
}

/// Whether a portal group, named by its path, bears the mark.
pub fn is_marked(configfs: &Configfs, group: &str) -> bool {
    configfs
        .read(&alias(group))
        .is_ok_and(|text| text.trim() == MARK)
}

/// A name for people for a target of which nothing but its name is known: the last part of that.
pub fn alias_of(iqn: &str) -> String {
    iqn.rsplit(':').next().unwrap_or(iqn).to_owned()
}

fn alias(group: &str) -> String {
    format!("{group}/param/TargetAlias")
}

/// Gives a target another alias.
pub fn set_alias(configfs: &Configfs, iqn: &str, text: &str) -> Result<(), ConfigfsError> {
    configfs.write(&alias(&target::group(iqn)), text)
}

/// Refuses a target that somebody else made under the name of ours while that was away.
pub fn check(configfs: &Configfs, iqn: &str) -> Result<(), ExportError> {
    match is_foreign(configfs, &target::group(iqn))? {
        true => Err(ExportError::OthersTarget { iqn: iqn.into() }),
        false => Ok(()),
    }
}

/// Makes a target without opening it, or completes one that is there.
pub fn prepare(configfs: &Configfs, wanted: &MadeTarget) -> Result<(), ConfigfsError> {
    let iqn = wanted.iqn.as_str();
    let group = target::group(iqn);
    // The mark comes first: what is cut off afterwards is known by it.
    target::ensure(configfs, iqn, &[])?;
    if !is_marked(configfs, &group) {
        set_alias(configfs, iqn, MARK)?;
    }
    let portals: Vec<_> = wanted.portals.iter().copied().collect();
    target::ensure(configfs, iqn, &portals)
}

/// Lets initiators log in to a target at exactly its portals, and makes it where it is missing. One
/// that is not known to be ours must bear the mark.
pub fn open(
    configfs: &Configfs,
    wanted: &MadeTarget,
    is_known: bool,
    demands: &Demands,
) -> Result<(), MadeError> {
    let iqn = wanted.iqn.as_str();
    let group = target::group(iqn);
    if !is_known && is_foreign(configfs, &group)? {
        return Err(MadeError::Foreign { iqn: iqn.into() });
    }
    let was_there = configfs.exists(&group);
    let opened = bring_up(configfs, wanted, demands);
    if opened.is_err() && !was_there {
        // The first error is the one to tell.
        let _ = target::remove(configfs, iqn);
    }
    opened
}

fn bring_up(configfs: &Configfs, wanted: &MadeTarget, demands: &Demands) -> Result<(), MadeError> {
    let iqn = wanted.iqn.as_str();
    let group = target::group(iqn);
    prepare(configfs, &wanted.closed())?;
    chap::demand(configfs, iqn, demands)?;
    for portal in &wanted.portals {
        let path = format!("{group}/np/{portal}");
        let made = configfs.make(&path);
        made.map_err(|source| MadeError::Portal {
            portal: *portal,
            source,
        })?;
    }
    for name in configfs.folders(&format!("{group}/np"))? {
        let portal = name.parse::<SocketAddr>();
        if portal.is_ok_and(|portal| !wanted.portals.contains(&portal)) {
            configfs.remove(&format!("{group}/np/{name}"))?;
        }
    }
    Ok(target::open(configfs, iqn)?)
}

/// Whether there is a portal group that somebody else made. One that nothing was done with is the
/// beginning of ours: nobody else makes targets of names like ours and leaves them so.
fn is_foreign(configfs: &Configfs, group: &str) -> Result<bool, ConfigfsError> {
    if !configfs.exists(group) || is_marked(configfs, group) {
        return Ok(false);
    }
    let is_open = configfs
        .read(&format!("{group}/enable"))
        .is_ok_and(|text| text == "1");
    let mut has_parts = false;
    for part in ["np", "acls", "lun"] {
        has_parts |= !configfs.folders(&format!("{group}/{part}"))?.is_empty();
    }
    Ok(is_open || has_parts)
}

/// Removes a target of ours that nobody uses. One that somebody else made is left alone.
pub fn remove(configfs: &Configfs, iqn: &str) -> Result<(), MadeError> {
    let group = target::group(iqn);
    if !configfs.exists(&group) {
        // What a crash leaves after the very first call.
        configfs.remove(&format!("iscsi/{iqn}"))?;
        return Ok(());
    }
    if is_foreign(configfs, &group)? {
        return Ok(());
    }
    if let Some(initiator) = logged_in(configfs, &group)? {
        return Err(MadeError::InSession {
            iqn: iqn.into(),
            initiator,
        });
    }
    for (part, noun) in [("acls", "access for"), ("lun", "unit")] {
        let found = configfs.folders(&format!("{group}/{part}"))?;
        if let Some(name) = found.first() {
            return Err(MadeError::Used {
                iqn: iqn.into(),
                what: format!("{noun} {name}"),
            });
        }
    }
    Ok(target::remove(configfs, iqn)?)
}

/// An initiator that is logged in to a portal group, with or without an ACL of its own.
fn logged_in(configfs: &Configfs, group: &str) -> Result<Option<String>, ConfigfsError> {
    for initiator in configfs.folders(&format!("{group}/acls"))? {
        let info = configfs.read(&format!("{group}/acls/{initiator}/info"))?;
        // Whatever else the kernel says is said of a session.
        if !info.starts_with("No active") {
            return Ok(Some(initiator));
        }
    }
    let dynamic = configfs.read(&format!("{group}/dynamic_sessions"))?;
    let mut names = dynamic.split(['\n', '\0']).map(str::trim);
    Ok(names.find(|name| !name.is_empty()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const IQN: &str = "iqn.2026-11.example:array:second";

    /// A folder that looks like a portal group with one portal, closed and with the kernel's alias.
    fn group(root: &Path) -> std::path::PathBuf {
        let group = root.join(target::group(IQN));
        for folder in ["np/127.0.0.1:3260", "acls", "lun", "param"] {
            fs::create_dir_all(group.join(folder)).expect("set up");
        }
        for (file, text) in [("enable", "0"), ("dynamic_sessions", "\0")] {
            fs::write(group.join(file), text).expect("set up");
        }
        fs::write(group.join("param/TargetAlias"), "LIO Target\n").expect("set up");
        group
    }

    #[test]
    fn what_bears_no_mark_and_is_in_use_is_somebody_elses() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let configfs = Configfs::new(folder.path());
        let path = target::group(IQN);
        assert!(!is_foreign(&configfs, &path).expect("nothing there"));
        let group = group(folder.path());
        assert!(is_foreign(&configfs, &path).expect("a portal"));
        remove(&configfs, IQN).expect("left alone");
        assert!(group.exists());
        // What a crash leaves right after the first call.
        fs::remove_dir(group.join("np/127.0.0.1:3260")).expect("removed");
        assert!(!is_foreign(&configfs, &path).expect("an empty shell"));
        fs::write(group.join("enable"), "1").expect("written");
        assert!(is_foreign(&configfs, &path).expect("open"));
        fs::write(group.join("param/TargetAlias"), "standpipe\n").expect("written");
        assert!(!is_foreign(&configfs, &path).expect("marked"));
    }

    #[test]
    fn who_is_logged_in_keeps_the_target() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let configfs = Configfs::new(folder.path());
        let group = group(folder.path());
        fs::write(group.join("param/TargetAlias"), MARK).expect("written");
        fs::write(group.join("dynamic_sessions"), "iqn.2026-11.a:x\n\0").expect("written");
        let error = remove(&configfs, IQN).expect_err("somebody is there");
        assert!(matches!(error, MadeError::InSession { .. }), "{error}");
        fs::write(group.join("dynamic_sessions"), "").expect("written");
        let acl = group.join("acls/iqn.2026-11.a:y");
        fs::create_dir_all(&acl).expect("made");
        fs::write(acl.join("info"), "No active iSCSI Session for\n").expect("written");
        let error = remove(&configfs, IQN).expect_err("access is there");
        assert!(matches!(error, MadeError::Used { .. }), "{error}");
        fs::write(acl.join("info"), "InitiatorName: iqn.2026-11.a:y\n").expect("written");
        let error = remove(&configfs, IQN).expect_err("it is logged in");
        assert!(matches!(error, MadeError::InSession { .. }), "{error}");
        assert!(group.exists());
    }
}
