//! `standpipe check`: what the machine lacks for a configuration, without changing anything.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;

use crate::config::Config;
use crate::http::Tls;

use super::{Failure, chain, tell};

/// Kernel modules without which nothing can be exported.
const MODULES: [&str; 4] = [
    "dm_mod",
    "target_core_mod",
    "target_core_iblock",
    "iscsi_target_mod",
];
/// How long `lvm` may take to list the volume groups.
const LVM_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest listing that is read from `lvm`, in bytes.
const LVM_OUTPUT: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// What it is.
    what: String,
    /// What to do, if it is not as it has to be.
    remedy: Option<String>,
}

impl Finding {
    fn new(what: impl Into<String>, good: bool, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: (!good).then(|| remedy.into()),
        }
    }
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let config = Config::load(&self.config).map_err(|error| Failure::configuration(&error))?;
        let findings = Machine::this().examine(&config);
        let mut good = true;
        for Finding { what, remedy } in &findings {
            match remedy {
                None => tell(&format!("ok       {what}"))?,
                Some(remedy) => tell(&format!("missing  {what}: {remedy}"))?,
            }
            good &= remedy.is_none();
        }
        if good { Ok(()) } else { Err(Failure::told()) }
    }
}

/// The machine, seen below a root directory.
struct Machine {
    root: PathBuf,
    is_root: bool,
}

impl Machine {
    fn this() -> Self {
        Self {
            root: "/".into(),
            is_root: rustix::process::geteuid().is_root(),
        }
    }

    /// Everything that `serve` will need, in the order in which one would repair it.
    fn examine(&self, config: &Config) -> Vec<Finding> {
        let mut findings = vec![Finding::new(
            "rights",
            self.is_root,
            "run as root; LVM and configfs allow nobody else",
        )];
        findings.extend(MODULES.into_iter().map(|module| self.module(module)));
        findings.push(self.configfs(&config.storage.configfs));
        findings.extend(volume_groups(
            &config.storage.lvm,
            &config.storage.volume_groups,
        ));
        findings.push(state_dir(&config.server.state_dir));
        if let Some(files) = &config.server.tls {
            let loaded = Tls::load(&files.certificate, &files.key);
            let remedy = loaded
                .as_ref()
                .err()
                .map(|error| chain(error))
                .unwrap_or_default();
            findings.push(Finding::new("certificate and key", loaded.is_ok(), remedy));
        }
        findings.extend(config.server.listen.iter().map(|url| {
            let free = bindable(url.address);
            let remedy = format!(
                "{}; end what uses it, or listen elsewhere",
                free.clone().err().unwrap_or_default()
            );
            Finding::new(format!("listen address {url}"), free.is_ok(), remedy)
        }));
        findings.extend(config.target.portals.iter().map(|portal| {
            let ours = bindable(SocketAddr::new(portal.ip(), 0));
            let remedy = "no interface has this address; add it, or name another portal";
            Finding::new(
                format!("portal address {}", portal.ip()),
                ours.is_ok(),
                remedy,
            )
        }));
        findings
    }

    /// Whether a kernel module is loaded, built in, or can be loaded.
    fn module(&self, name: &str) -> Finding {
        let loaded = self.root.join("sys/module").join(name).exists();
        let available = || {
            let release = fs::read_to_string(self.root.join("proc/sys/kernel/osrelease"));
            let modules = self
                .root
                .join("lib/modules")
                .join(release.unwrap_or_default().trim());
            ["modules.builtin", "modules.dep"].iter().any(|list| {
                let list = fs::read_to_string(modules.join(list)).unwrap_or_default();
                list.lines().any(|line| module_of(line) == name)
            })
        };
        let remedy = "install a kernel that has it (linux-image-amd64 on Debian)";
        Finding::new(
            format!("kernel module {name}"),
            loaded || available(),
            remedy,
        )
    }

    /// Whether configfs is mounted where the configuration says.
    fn configfs(&self, mount_point: &Path) -> Finding {
        let mounts = fs::read_to_string(self.root.join("proc/self/mounts")).unwrap_or_default();
        let mounted = mounts.lines().any(|line| {
            let mut words = line.split(' ').skip(1);
            words.next().map(Path::new) == Some(mount_point) && words.next() == Some("configfs")
        });
        let shown = mount_point.display();
        let remedy = format!("mount it: mount -t configfs configfs {shown}");
        Finding::new(format!("configfs at {shown}"), mounted, remedy)
    }
}

/// The module that a line of `modules.dep` or `modules.builtin` is about.
fn module_of(line: &str) -> String {
    let file = line.split(':').next().unwrap_or_default();
    let name = file.rsplit('/').next().unwrap_or_default();
    let name = name.split(".ko").next().unwrap_or_default();
    name.replace('-', "_")
}

fn volume_groups(lvm: &Path, wanted: &[String]) -> Vec<Finding> {
    let shown = lvm.display();
    let program = fs::metadata(lvm);
    let executable =
        program.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    let what = format!("program {shown}");
    let remedy = "install lvm2, or set storage.lvm to where the lvm program is";
    let mut findings = vec![Finding::new(what, executable, remedy)];
    if !executable {
        return findings;
    }
    match listed_groups(lvm) {
        Ok(groups) => findings.extend(wanted.iter().map(|name| {
            let what = format!("volume group {name}");
            let remedy =
                format!("create it: vgcreate {name} DEVICE…, or correct storage.volume_groups");
            Finding::new(what, groups.contains(name), remedy)
        })),
        Err(reason) => findings.push(Finding::new("list of volume groups", false, reason)),
    }
    findings
}

/// The names of all volume groups that `lvm` sees.
fn listed_groups(lvm: &Path) -> Result<Vec<String>, String> {
    let mut child = Command::new(lvm)
        .args(["vgs", "--noheadings", "--options", "vg_name"])
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
        Ok(_) => Err(format!("`lvm vgs` failed ({status}); run it to see why")),
        Err(_) => Err("`lvm vgs` does not end; look for a hanging disk".into()),
    }
}

/// Whether state can be kept in `directory`, which may have to be created.
fn state_dir(directory: &Path) -> Finding {
    let existing = directory.ancestors().find(|path| path.exists());
    let writable = existing.is_some_and(|path| {
        path.is_dir() && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
    });
    let shown = directory.display();
    let remedy = "make it a directory that this user can write to, or set server.state_dir";
    Finding::new(format!("state directory {shown}"), writable, remedy)
}

fn bindable(address: SocketAddr) -> Result<(), String> {
    TcpListener::bind(address)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let root = tempfile::tempdir().expect("temporary directory");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("below the root")).expect("directory");
            fs::write(path, text).expect("file");
        }
        let machine = Machine {
            root: root.path().into(),
            is_root: true,
        };
        (root, machine)
    }

    #[test]
    fn modules_are_loaded_built_in_loadable_or_missing() {
        let (_root, machine) = machine(&[
            ("sys/module/dm_mod/refcnt", "1"),
            ("proc/sys/kernel/osrelease", "6.1.0-x\n"),
            (
                "lib/modules/6.1.0-x/modules.builtin",
                "kernel/drivers/md/built-in.ko\n",
            ),
            (
                "lib/modules/6.1.0-x/modules.dep",
                "kernel/drivers/target/target_core_mod.ko.xz: kernel/a.ko\n",
            ),
        ]);
        for (module, there) in [
            ("dm_mod", true),
            ("built_in", true),
            ("target_core_mod", true),
            ("iscsi_target_mod", false),
            ("a", false),
        ] {
            assert_eq!(machine.module(module).remedy.is_none(), there, "{module}");
        }
    }

    #[test]
    fn configfs_has_to_be_mounted_where_the_configuration_says() {
        let (_root, machine) = machine(&[(
            "proc/self/mounts",
            "proc /proc proc rw 0 0\nconfigfs /sys/kernel/config configfs rw 0 0\n",
        )]);
        assert!(
            machine
                .configfs(Path::new("/sys/kernel/config"))
                .remedy
                .is_none()
        );
        let missing = machine
            .configfs(Path::new("/proc"))
            .remedy
            .expect("missing");
        assert!(missing.contains("mount -t configfs"));
    }

    #[test]
    fn volume_groups_are_asked_from_the_program() {
        // `echo` lists its arguments, so they are the one group that there is.
        let wanted = ["vgs --noheadings --options vg_name", "vg1"].map(str::to_owned);
        let asked = |program: &Path| -> Vec<bool> {
            let findings = volume_groups(program, &wanted);
            findings
                .iter()
                .map(|finding| finding.remedy.is_none())
                .collect()
        };
        assert_eq!(asked(Path::new("/bin/echo")), [true, true, false]);
        assert_eq!(asked(Path::new("/bin/false")), [true, false]);
        let directory = tempfile::tempdir().expect("temporary directory");
        let lvm = directory.path().join("lvm");
        assert_eq!(asked(&lvm), [false]);
        fs::write(&lvm, "not executable").expect("file");
        assert_eq!(asked(&lvm), [false]);
    }

    #[test]
    fn occupied_addresses_and_unusable_directories_are_found() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        assert!(bindable(taken.local_addr().expect("bound")).is_err());
        assert!(bindable("127.0.0.1:0".parse().expect("address")).is_ok());
        let directory = tempfile::tempdir().expect("temporary directory");
        assert!(state_dir(&directory.path().join("a/b")).remedy.is_none());
        let file = directory.path().join("file");
        fs::write(&file, "").expect("file");
        assert!(state_dir(&file).remedy.is_some());
    }
}
