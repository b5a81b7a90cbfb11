//! What CHAP needs of the kernel. That the file with the secrets is its owner's alone was found when it
//! was read.

use std::fs;
use std::path::Path;

use super::Finding;
use crate::array::ChapTable;

/// The first kernel in which one initiator can do without CHAP where another needs it.
const SINCE: (u32, u32) = (6, 0);

/// How many initiators need CHAP, and whether the others can be let in beside them.
pub(super) fn findings(root: &Path, table: &ChapTable, configfs: &Path) -> Vec<Finding> {
    let count = table.len();
    if count == 0 {
        return Vec::new();
    }
    let others = match excuses(root, configfs) {
        true => Finding::new(
            "kernel lets in initiators without CHAP beside them",
            true,
            "",
        ),
        false => Finding::note(
            "this kernel lets in nobody without CHAP where others need it: nothing can be shown to \
             initiators without a [[chap]] table; give each one, or take Linux 6.0 or later",
        ),
    };
    vec![
        Finding::new(format!("initiators that need CHAP: {count}"), true, ""),
        others,
    ]
}

/// Whether an ACL can differ from its target: as one that is there shows, and else by the kernel's
/// release.
fn excuses(root: &Path, configfs: &Path) -> bool {
    let below = |path: &Path| -> Vec<_> {
        let listed = fs::read_dir(path).into_iter().flatten().flatten();
        listed.map(|entry| entry.path()).collect()
    };
    let targets = below(&configfs.join("target/iscsi")).into_iter();
    let acls = targets.flat_map(|target| below(&target.join("tpgt_1/acls")));
    match acls.into_iter().next() {
        Some(acl) => acl.join("attrib/authentication").exists(),
        None => {
            let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease"));
            version(&release.unwrap_or_default()).is_some_and(|version| version >= SINCE)
        }
    }
}

/// The first two numbers of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Chap, ChapUser, InitiatorName, Login, Secret};

    #[test]
    fn a_kernel_is_judged_by_an_acl_and_else_by_its_release() {
        let chap = Chap {
            initiator: Login {
                user: ChapUser::parse("joe").expect("a name"),
                secret: Secret::parse("open-sesame-42").expect("a secret"),
            },
            array: None,
        };
        let initiator = InitiatorName::parse("iqn.2026-01.example:a").expect("a name");
        let table: ChapTable = [(initiator, chap)].into();
        let root = tempfile::tempdir().expect("a temporary folder");
        let (kernel, configfs) = (root.path().join("proc/sys/kernel"), root.path().join("c"));
        fs::create_dir_all(&kernel).expect("a folder");
        let excuses = |table: &ChapTable| {
            let findings = findings(root.path(), table, &configfs);
            assert!(findings.iter().all(|finding| finding.remedy.is_none()));
            findings.last().map(|finding| !finding.is_note)
        };
        for (release, expected) in [
            ("5.19.0-46-generic\n", false),
            ("5.10.0", false),
            ("6.0.1\n", true),
            ("6.12-rc1\n", true),
            ("10.1", true),
            ("", false),
        ] {
            fs::write(kernel.join("osrelease"), release).expect("a file");
            assert_eq!(excuses(&table), Some(expected), "{release}");
        }
        assert_eq!(excuses(&ChapTable::new()), None);
        let attributes = configfs.join("target/iscsi/iqn.x/tpgt_1/acls/a/attrib");
        fs::create_dir_all(&attributes).expect("a folder");
        assert_eq!(excuses(&table), Some(false), "an ACL without the attribute");
        fs::write(attributes.join("authentication"), "-1").expect("a file");
        assert_eq!(excuses(&table), Some(true));
    }
}
