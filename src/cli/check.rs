//! `standpipe check`: what the machine lacks for a configuration, without changing anything.

mod chap;
mod fc;
mod storage;

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::Config;
use crate::engine::linux::blockdev::Places;
use crate::http::Tls;

use super::{Failure, chain, tell};

/// Kernel modules without which nothing can be exported, or not all layouts and pools made.
const MODULES: [&str; 9] = [
    "dm_mod",
    "dm_thin_pool",
    "dm_raid",
    "raid1",
    "raid10",
    "raid456",
    "target_core_mod",
    "target_core_iblock",
    "iscsi_target_mod",
];
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
    /// Whether it is only worth knowing.
    is_note: bool,
}

impl Finding {
    fn new(what: impl Into<String>, good: bool, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: (!good).then(|| remedy.into()),
            is_note: false,
        }
    }

    /// Something that is not as one may wish, but that nothing depends on.
    fn note(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: None,
            is_note: true,
        }
    }
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let config = Config::load(&self.config).map_err(|error| Failure::configuration(&error))?;
        let findings = Machine::this().examine(&config);
        let mut good = true;
        for finding in &findings {
            let what = &finding.what;
            match &finding.remedy {
                None if finding.is_note => tell(&format!("note     {what}"))?,
                None => tell(&format!("ok       {what}"))?,
                Some(remedy) => tell(&format!("missing  {what}: {remedy}"))?,
            }
            good &= finding.remedy.is_none();
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
        findings.push(self.reservations(&config.storage.configfs));
        findings.extend(storage::programs(&config.storage));
        findings.extend(storage::volume_groups(
            &config.storage.lvm,
            &config.storage.volume_groups,
        ));
        let places = Places {
            proc: self.root.join("proc"),
            sys: self.root.join("sys"),
            dev: self.root.join("dev"),
        };
        findings.extend(fc::findings(
            &self.root,
            &places,
            &config.fc_ports,
            &config.storage.configfs,
        ));
        findings.extend(storage::disks(&config.storage, places));
        findings.extend(chap::findings(
            &self.root,
            &config.chap,
            &config.storage.configfs,
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
        // Several targets may listen at one address.
        let portals = config.targets.iter().flat_map(|target| &target.portals);
        let addresses: BTreeSet<IpAddr> = portals.map(SocketAddr::ip).collect();
        findings.extend(addresses.into_iter().map(|address| {
            let ours = bindable(SocketAddr::new(address, 0));
            let remedy = "no interface has this address; add it, or name another portal";
            Finding::new(format!("portal address {address}"), ours.is_ok(), remedy)
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

    /// Where persistent reservations of hosts are kept.
    fn reservations(&self, mount_point: &Path) -> Finding {
        let below = |path: &Path| self.root.join(path.strip_prefix("/").unwrap_or(path));
        let root = fs::read_to_string(below(&mount_point.join("target/dbroot")));
        let Ok(root) = root else {
            return Finding::note(
                "persistent reservations of hosts are kept where the kernel target says when it is \
                 loaded",
            );
        };
        let folder = Path::new(root.trim()).join("pr");
        let shown = folder.display();
        match below(&folder).is_dir() {
            true => Finding::note(format!(
                "persistent reservations of hosts are kept in {shown}"
            )),
            false => Finding::note(format!(
                "persistent reservations of hosts are kept in {shown}, which serve will make"
            )),
        }
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
    fn the_folder_of_reservations_is_named() {
        let configfs = Path::new("/sys/kernel/config");
        let (_root, bare) = machine(&[]);
        assert!(
            bare.reservations(configfs)
                .what
                .contains("when it is loaded")
        );
        let dbroot = ("sys/kernel/config/target/dbroot", "/var/target\n");
        let (_root, without) = machine(&[dbroot]);
        let what = without.reservations(configfs).what;
        assert!(
            what.contains("/var/target/pr, which serve will make"),
            "{what}"
        );
        let (_root, whole) = machine(&[dbroot, ("var/target/pr/aptpl_x", "")]);
        assert!(
            whole
                .reservations(configfs)
                .what
                .ends_with("in /var/target/pr")
        );
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
