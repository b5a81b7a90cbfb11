//! What storage lacks: programs, volume groups, and what each disk that the configuration allows is
//! used for.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::Finding;
use crate::array::{Disk, DiskUsage, PoolId};
use crate::config::Storage;
use crate::engine::linux::Settings;
use crate::engine::linux::blockdev::Places;
use crate::engine::linux::disks::{Disks, Member};
use crate::engine::linux::watch::Deadline;

/// How long `lvm` may take to list something.
const LVM_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest listing that is read from `lvm`, in bytes.
const LVM_OUTPUT: u64 = 1 << 20;
/// How long looking at all disks may take.
const DISKS_TIMEOUT: Duration = Duration::from_secs(60);
/// The program without which LVM activates no thin pool; where Debian has it.
const THIN_CHECK: &str = "/usr/sbin/thin_check";

/// The programs that are started, and what to do where one is missing.
pub(super) fn programs(storage: &Storage) -> Vec<Finding> {
    let table = [
        (
            storage.lvm.as_path(),
            "install lvm2, or set storage.lvm to where the lvm program is",
        ),
        (
            storage.blkid.as_path(),
            "install util-linux, or set storage.blkid to where the blkid program is",
        ),
        (
            storage.dmsetup.as_path(),
            "install dmsetup, or set storage.dmsetup to where the dmsetup program is",
        ),
        (
            Path::new(THIN_CHECK),
            "install thin-provisioning-tools, which LVM needs for thin pools",
        ),
    ];
    table
        .into_iter()
        .map(|(program, remedy)| {
            let what = format!("program {}", program.display());
            Finding::new(what, is_executable(program), remedy)
        })
        .collect()
}

fn is_executable(program: &Path) -> bool {
    let file = fs::metadata(program);
    file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Whether the volume groups are there.
pub(super) fn volume_groups(lvm: &Path, wanted: &[String]) -> Vec<Finding> {
    if wanted.is_empty() || !is_executable(lvm) {
        return Vec::new();
    }
    match listed(lvm, &["vgs", "--noheadings", "--options", "vg_name"]) {
        Ok(groups) => wanted
            .iter()
            .map(|name| {
                let what = format!("volume group {name}");
                let remedy =
                    format!("create it: vgcreate {name} DEVICE…, or correct storage.volume_groups");
                Finding::new(what, groups.contains(name), remedy)
            })
            .collect(),
        Err(reason) => vec![Finding::new("list of volume groups", false, reason)],
    }
}

/// What each allowed disk is used for. None of them is needed for a start: a drive that has died
/// must not keep the others from their hosts.
pub(super) fn disks(storage: &Storage, places: Places) -> Vec<Finding> {
    if storage.disks.is_empty() {
        return Vec::new();
    }
    let disks = Disks::new(&Settings {
        disks: storage.disks.clone(),
        places,
        blkid: storage.blkid.clone(),
        configfs: storage.configfs.join("target"),
        ..Settings::new(Vec::new(), Vec::new())
    });
    let columns = "pv_name,pv_uuid,vg_name";
    let line = [
        "pvs",
        "--noheadings",
        "--separator",
        ",",
        "--options",
        columns,
    ];
    let mut findings = Vec::new();
    let members = match listed(&storage.lvm, &line) {
        Ok(rows) => rows.iter().filter_map(|row| member(row)).collect(),
        Err(reason) => {
            findings.push(Finding::new("list of physical volumes", false, reason));
            Vec::new()
        }
    };
    let listing = disks.list(&members, Deadline::after(DISKS_TIMEOUT));
    let allowed = disks.allowed();
    let named = listing.disks.iter();
    findings.extend(
        named
            .filter(|disk| allowed.devices.contains(&disk.device))
            .map(told),
    );
    findings.extend(allowed.absent.iter().map(|path| {
        let path = path.display();
        Finding::note(format!(
            "disk {path} is not there; connect it, or correct storage.disks"
        ))
    }));
    findings
}

fn told(disk: &Disk) -> Finding {
    let name = format!("disk {} ({})", disk.device, disk.id);
    match &disk.usage {
        DiskUsage::Free => Finding::new(format!("{name} is free"), true, ""),
        DiskUsage::Member { pool, .. } => {
            Finding::new(format!("{name} belongs to volume group {pool}"), true, "")
        }
        DiskUsage::Taken(why) => Finding::note(format!("{name} cannot be used: {why}")),
    }
}

/// A physical volume of a group, by the name of the group, out of a line of `pvs`.
fn member(row: &str) -> Option<Member> {
    let mut columns = row.split(',');
    let (device, pv, group) = (columns.next()?, columns.next()?, columns.next()?);
    (!group.is_empty()).then(|| Member {
        device: device.to_owned(),
        pv: pv.to_owned(),
        pool: PoolId::from(group),
        used: 0,
        free: 0,
        missing: false,
    })
}

/// The lines that `lvm` prints.
fn listed(lvm: &Path, arguments: &[&str]) -> Result<Vec<String>, String> {
    let command = arguments.first().copied().unwrap_or_default();
    let mut child = Command::new(lvm)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("lvm does not start: {error}"))?;
    let (sender, output) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.take(LVM_OUTPUT).read_to_string(&mut text);
            let _nobody_waits_any_more = sender.send(read.map(|_| text));
        });
    }
    let text = output.recv_timeout(LVM_TIMEOUT);
    if text.is_err() {
        let _it_may_have_ended = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match text {
        Ok(Ok(text)) if status.success() => {
            Ok(text.lines().map(|line| line.trim().to_owned()).collect())
        }
        Ok(_) => Err(format!(
            "`lvm {command}` failed ({status}); run it to see why"
        )),
        Err(_) => Err(format!(
            "`lvm {command}` does not end; look for a hanging disk"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn storage(lvm: &str, disks: &[&str]) -> Storage {
        Storage {
            volume_groups: Vec::new(),
            disks: disks.iter().map(PathBuf::from).collect(),
            thin_overcommit_percent: 1000,
            low_space_percent: 80,
            snapshot_percent: 100,
            allow_shrink: false,
            erase: None,
            lvm: lvm.into(),
            blkid: "/nonexistent/blkid".into(),
            dmsetup: "/bin/true".into(),
            configfs: "/nonexistent".into(),
        }
    }

    #[test]
    fn volume_groups_are_asked_from_the_program() {
        // `echo` lists its arguments, so they are the one group that there is.
        let wanted = ["vgs --noheadings --options vg_name", "vg1"].map(str::to_owned);
        let asked = |program: &Path| -> Vec<bool> {
            let findings = volume_groups(program, &wanted);
            let verdicts = findings.iter().map(|finding| finding.remedy.is_none());
            verdicts.collect()
        };
        assert_eq!(asked(Path::new("/bin/echo")), [true, false]);
        assert_eq!(asked(Path::new("/bin/false")), [false]);
        let none: [bool; 0] = [];
        assert_eq!(asked(Path::new("/nonexistent/lvm")), none);
    }

    #[test]
    fn programs_are_there_and_executable_or_missing() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let lvm = directory.path().join("lvm");
        fs::write(&lvm, "not executable").expect("file");
        let findings = programs(&storage(lvm.to_str().expect("a plain name"), &[]));
        let missing = |n: usize| findings[n].remedy.clone().unwrap_or_default();
        assert!(missing(0).contains("storage.lvm"));
        assert!(missing(1).contains("storage.blkid"));
        assert_eq!(missing(2), "", "dmsetup");
    }

    #[test]
    fn each_allowed_disk_is_told_and_none_is_demanded() {
        let root = tempfile::tempdir().expect("temporary directory");
        let root = root.path().canonicalize().expect("a real path");
        for name in ["vda", "vdb"] {
            let folder = root.join("sys/class/block").join(name);
            fs::create_dir_all(&folder).expect("a folder");
            let files = [
                ("dev", "253:0"),
                ("size", "204800"),
                ("ro", "0"),
                ("serial", name),
            ];
            for (file, text) in files {
                fs::write(folder.join(file), text).expect("a file");
            }
            fs::create_dir_all(root.join("dev")).expect("a folder");
            fs::write(root.join("dev").join(name), "").expect("a file");
        }
        fs::create_dir_all(root.join("proc/self")).expect("a folder");
        fs::write(root.join("proc/self/mountinfo"), "").expect("a file");
        let places = Places {
            proc: root.join("proc"),
            sys: root.join("sys"),
            dev: root.join("dev"),
        };
        let storage = storage("/bin/true", &["/dev/vda", "/dev/nothing"]);
        let findings = disks(&storage, places);
        let told: Vec<&str> = findings.iter().map(|f| f.what.as_str()).collect();
        assert!(
            told[0].contains("/dev/vda (serial.vda) cannot be used: "),
            "{told:?}"
        );
        assert!(told[1].contains("/dev/nothing is not there"), "{told:?}");
        assert_eq!(told.len(), 2);
        assert!(findings.iter().all(|finding| finding.remedy.is_none()));
    }

    #[test]
    fn physical_volumes_of_no_group_are_no_members() {
        let row = member("/dev/vdb,XsFHPM,vg0").expect("a member");
        assert_eq!(
            (row.device.as_str(), row.pool.as_str()),
            ("/dev/vdb", "vg0")
        );
        assert_eq!(member("/dev/vdb,XsFHPM,"), None);
        assert_eq!(member(""), None);
    }
}
