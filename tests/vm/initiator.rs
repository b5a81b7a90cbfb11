//! Linux's own initiator, which can do what the tools of libiscsi cannot: mutual CHAP, and secrets of
//! any characters.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use standpipe::array::{Chap, InitiatorName, Naa};

use super::{IQN, PORTAL, sh};

/// The interface under which it has the name that a case asks for.
const FACE: &str = "contract";

/// Starts its daemon.
const START: &str = "set -e
    pidof iscsid > /dev/null && exit
    mkdir -p /run/lock/iscsi
    echo InitiatorName=iqn.2026-01.example.host:nobody > /etc/iscsi/initiatorname.iscsi
    modprobe iscsi_tcp
    iscsid";

/// What an initiator with these credentials finds at the target: LUN → identifier; `None` where it
/// does not get in, or does not stay because the target proves nothing.
pub(super) fn luns(initiator: &InitiatorName, chap: &Chap) -> Option<BTreeMap<u16, Naa>> {
    sh(START);
    let face = ["-m", "iface", "-I", FACE, "-o"];
    let name = initiator.folded();
    for rest in [
        &["new"][..],
        &["update", "-n", "iface.initiatorname", "-v", &name],
    ] {
        assert!(iscsiadm(&[&face, rest].concat()), "the interface");
    }
    assert!(node(&["-o", "new"]), "the record of the target");
    for (name, value) in settings(chap) {
        assert!(node(&["-o", "update", "-n", name, "-v", value]), "{name}");
    }
    let found = node(&["--login"]).then(|| {
        let found = scanned();
        assert!(node(&["--logout"]), "the logout");
        found
    });
    assert!(node(&["-o", "delete"]) && iscsiadm(&[&face[..], &["delete"]].concat()));
    found
}

/// What the record of the target says beside the defaults.
fn settings(chap: &Chap) -> Vec<(&'static str, &str)> {
    let mut settings = vec![
        ("node.session.scan", "manual"),
        ("node.session.initial_login_retry_max", "1"),
        ("node.session.auth.authmethod", "CHAP"),
        ("node.session.auth.username", chap.initiator.user.as_str()),
        ("node.session.auth.password", chap.initiator.secret.reveal()),
    ];
    if let Some(array) = &chap.array {
        settings.extend([
            ("node.session.auth.username_in", array.user.as_str()),
            ("node.session.auth.password_in", array.secret.reveal()),
        ]);
    }
    settings
}

/// Looks for what stands behind the one session that there is.
fn scanned() -> BTreeMap<u16, Naa> {
    let session = entries("/sys/class/iscsi_session".into()).pop();
    let device = session.expect("a session").join("device");
    let device = fs::canonicalize(device).expect("its device");
    let host = device.parent().and_then(|host| host.file_name());
    let host = host.and_then(|host| host.to_str()).expect("its host");
    fs::write(format!("/sys/class/scsi_host/{host}/scan"), "- - -").expect("a scan");
    let mut found = BTreeMap::new();
    for target in entries(device) {
        for unit in entries(target) {
            // The target's own LUN 0 has no such identifier.
            let wwid = fs::read_to_string(unit.join("wwid")).unwrap_or_default();
            let lun = unit.to_string_lossy().rsplit(':').next().map(str::parse);
            if let (Some(Ok(lun)), Some(digits)) = (lun, wwid.trim().strip_prefix("naa.")) {
                found.insert(lun, Naa::parse(digits).expect("an identifier"));
            }
        }
    }
    found
}

fn entries(folder: PathBuf) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    listed.map(|entry| entry.path()).collect()
}

fn node(rest: &[&str]) -> bool {
    let record = ["-m", "node", "-T", IQN, "-p", PORTAL, "-I", FACE];
    iscsiadm(&[&record, rest].concat())
}

fn iscsiadm(arguments: &[&str]) -> bool {
    let output = Command::new("iscsiadm").args(arguments).output();
    let output = output.expect("iscsiadm runs");
    if !output.status.success() {
        // Shown only when the case fails.
        eprintln!("iscsiadm: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}
