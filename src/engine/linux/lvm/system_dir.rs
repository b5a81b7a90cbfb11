//! A private `LVM_SYSTEM_DIR`: the host's LVM configuration with what we need changed.
//!
//! With it LVM sees only the physical volumes of the managed groups, answers in JSON with a log,
//! and skips asynchronous reads, whose clean-up costs 34 ms in every command and which no
//! option of a command turns off. The host's own configuration is never written.
//!
//! LVM remembers in hints which devices are physical volumes. A view of all devices shares them
//! with the host, so that what is made or removed in that view is seen by everybody at once.

use super::names::DevicePath;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// What differs from the host: section, key, value (lvm.conf(5)).
const SETTINGS: &[(&str, &str, &str)] = &[
    ("devices", "scan_lvs", "0"),
    ("global", "use_aio", "0"),
    // A move is watched by a program of ours, with this configuration.
    ("global", "use_lvmpolld", "0"),
    ("global", "units", "\"b\""),
    ("global", "suffix", "0"),
    // What was zeroed stays zeroed when its extents change hands.
    ("devices", "issue_discards", "0"),
    // A flag that is not set is an empty column, a list has commas, a hidden volume has brackets.
    ("report", "binary_values_as_numeric", "0"),
    ("report", "list_item_separator", "\",\""),
    ("report", "mark_hidden_devices", "1"),
    // No volume with a hole; legs stay on their disks; nobody repairs behind our back.
    ("activation", "activation_mode", "\"degraded\""),
    ("activation", "raid_fault_policy", "\"warn\""),
    ("allocation", "cling_tag_list", "[]"),
    // A busy volume answers at once instead of holding the group's lock for five seconds.
    ("activation", "retry_deactivation", "0"),
    ("log", "report_command_log", "1"),
    ("log", "command_log_selection", "\"all\""),
    ("report", "output_format", "\"json\""),
    ("report", "time_format", "\"%s\""),
];

/// Writes the folder. `host` is what `lvmconfig --type full` prints; `devices` are the only ones
/// that LVM shall see, or `None` for those that the host's configuration shows.
pub fn write(folder: &Path, host: &str, devices: Option<&[DevicePath]>) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let part = folder.join("lvm.conf.part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(configuration(host, devices).as_bytes())?;
    drop(file);
    // LVM re-reads a changed file between two commands, so it must never see half of one.
    fs::rename(&part, folder.join("lvm.conf"))
}

/// The text of our `lvm.conf`.
fn configuration(host: &str, devices: Option<&[DevicePath]>) -> String {
    let mut ours = SETTINGS
        .iter()
        .map(|&(s, k, v)| (s, k, v.to_owned()))
        .collect::<Vec<_>>();
    if let Some(devices) = devices {
        // The host's devices file would narrow the filter to what the host uses itself.
        ours.push(("devices", "use_devicesfile", "0".to_owned()));
        ours.push(("devices", "filter", filter(devices)));
        // Two filters on one host keep invalidating each other's hints.
        ours.push(("devices", "hints", "\"none\"".to_owned()));
    }
    let mut text = String::from("# Written by standpipe at each start; changes are lost.\n");
    let mut section = "";
    for line in host.lines() {
        if let Some(name) = line.strip_suffix(" {") {
            section = name;
        } else if line == "}" {
            section = "";
        } else if let Some((key, value)) = line.trim().split_once('=')
            && !section.is_empty()
            && !ours.iter().any(|our| (our.0, our.1) == (section, key))
        {
            push(&mut text, section, key, value);
        }
    }
    for (section, key, value) in &ours {
        push(&mut text, section, key, value);
    }
    text
}

fn push(text: &mut String, section: &str, key: &str, value: &str) {
    writeln!(text, "{section}/{key}={value}").expect("writing to a String does not fail");
}

/// Accepts exactly these paths and rejects the rest.
fn filter(devices: &[DevicePath]) -> String {
    let mut text = String::from("[");
    for device in devices {
        text.push_str("\"a|^");
        for c in device.as_str().chars() {
            // LVM's own syntax: a backslash within a configuration string is doubled.
            if ".+".contains(c) {
                text.push_str("\\\\");
            }
            text.push(c);
        }
        text.push_str("$|\",");
    }
    text.push_str("\"r|.*|\"]");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "devices {\n\tdir=\"/dev\"\n\tfilter=[\"a|.*|\"]\n\thints=\"all\"\n}\n\
        global {\n\tuse_aio=1\n\tetc=\"/etc\"\n}\n";

    fn device(path: &str) -> DevicePath {
        DevicePath::new(path).expect("a device path")
    }

    #[test]
    fn the_hosts_settings_stay_unless_ours_replace_them() {
        let text = configuration(HOST, Some(&[device("/dev/vda")]));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.contains(&"devices/dir=\"/dev\""));
        assert!(lines.contains(&"global/etc=\"/etc\""));
        assert!(lines.contains(&"global/use_aio=0"));
        assert!(lines.contains(&"devices/hints=\"none\""));
        for (section, key, _) in SETTINGS {
            let start = format!("{section}/{key}=");
            assert_eq!(
                lines.iter().filter(|line| line.starts_with(&start)).count(),
                1,
                "{start}"
            );
        }
    }

    #[test]
    fn only_the_given_devices_pass_the_filter() {
        let text = configuration(HOST, Some(&[device("/dev/vda"), device("/dev/a.b")]));
        assert!(text.contains(r#"devices/filter=["a|^/dev/vda$|","a|^/dev/a\\.b$|","r|.*|"]"#));
        assert!(configuration(HOST, Some(&[])).contains(r#"devices/filter=["r|.*|"]"#));
        let all = configuration(HOST, None);
        assert!(all.contains(r#"devices/filter=["a|.*|"]"#));
        assert!(
            all.contains(r#"devices/hints="all""#),
            "shared with the host"
        );
    }

    #[test]
    fn the_folder_is_private_and_rewritten_whole() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let folder = scratch.path().join("lvm");
        write(&folder, HOST, Some(&[device("/dev/vda")])).expect("first write");
        write(&folder, HOST, Some(&[])).expect("second write");
        let text = fs::read_to_string(folder.join("lvm.conf")).expect("written");
        assert!(!text.contains("/dev/vda"));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("lvm.conf")), 0o600);
    }
}
