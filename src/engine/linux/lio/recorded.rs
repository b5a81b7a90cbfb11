//! A recorded layout of configfs in a folder, for fabrics that the test machine cannot have: what the
//! kernel makes beside each object, what it refuses, and what was done in which order.
//!
//! Taken from `tcm_qla2xxx.c`, `target_core_fabric_configfs.c` and `target_core_configfs.c` of Linux 6.1.
//! It shows that the array does what those files ask for, and not that an adapter is content with it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::array::Wwn;

/// The attributes of a portal group of `tcm_qla2xxx` as they are at first: everybody is let in.
const GROUP: [(&str, &str); 7] = [
    ("enable", "0"),
    ("dynamic_sessions", ""),
    ("attrib/generate_node_acls", "1"),
    ("attrib/cache_dynamic_acls", "1"),
    ("attrib/demo_mode_write_protect", "1"),
    ("attrib/prod_mode_write_protect", "0"),
    ("attrib/demo_mode_login_only", "1"),
];
/// The attributes of a backstore.
const BACKSTORE: [(&str, &str); 8] = [
    ("control", ""),
    ("udev_path", ""),
    ("enable", "0"),
    ("info", "Status: DEACTIVATED"),
    ("wwn/vpd_unit_serial", "T10 VPD Unit Serial Number: "),
    ("attrib/emulate_tpu", "0"),
    ("attrib/emulate_tpws", "0"),
    ("pr/res_pr_generation", "0x00000000"),
];

/// The kernel of a test.
#[derive(Debug)]
pub(in crate::engine::linux) struct Kernel {
    root: PathBuf,
    /// The port of the one adapter that is in target mode.
    adapter: Wwn,
    /// Objects that were made.
    made: Mutex<BTreeSet<String>>,
    done: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kernel {
    /// One with `tcm_qla2xxx` loaded, and an adapter.
    pub(in crate::engine::linux) fn with(root: &Path, adapter: Wwn) -> io::Result<Self> {
        fs::create_dir(root.join("core"))?;
        Ok(Self {
            root: root.to_owned(),
            adapter,
            made: Mutex::default(),
            done: Mutex::default(),
        })
    }

    pub(in crate::engine::linux) fn root(&self) -> &Path {
        &self.root
    }

    /// What was done since the last time, one change a line.
    pub(in crate::engine::linux) fn done(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.done))
    }

    /// Refuses what the kernel refuses.
    pub(super) fn permit(&self, action: &str, path: &str, text: &str) -> io::Result<()> {
        let parts: Vec<&str> = path.split('/').collect();
        let paired = |name: &str| Wwn::parse(name).filter(|wwn| wwn.in_pairs() == name);
        match (action, &parts[..]) {
            ("make", ["qla2xxx", port]) => match paired(port) {
                Some(wwn) if wwn == self.adapter => Ok(()),
                // ENODEV
                Some(_) => Err(io::Error::from_raw_os_error(19)),
                None => Err(ErrorKind::InvalidInput.into()),
            },
            ("make", ["qla2xxx", _, group]) if *group != "tpgt_1" => {
                Err(ErrorKind::Unsupported.into())
            }
            ("make", ["qla2xxx", _, _, "acls", name]) if paired(name).is_none() => {
                Err(ErrorKind::InvalidInput.into())
            }
            ("write", ["qla2xxx", _, _, "enable"]) if text == "1" && self.reads(path) == "1" => {
                Err(ErrorKind::AlreadyExists.into())
            }
            ("remove", _) => self.permit_removal(path),
            _ => Ok(()),
        }
    }

    /// An object goes with its attributes, when nothing leads to it and no other object is in it.
    fn permit_removal(&self, path: &str) -> io::Result<()> {
        let folder = self.root.join(path);
        if self.links(&self.root).iter().any(|(_, to)| *to == folder) {
            return Err(ErrorKind::ResourceBusy.into());
        }
        let below = format!("{path}/");
        let has_objects = locked(&self.made)
            .iter()
            .any(|made| made.starts_with(&below));
        if has_objects || !self.links(&folder).is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        if folder.is_dir() {
            fs::remove_dir_all(&folder)?;
            fs::create_dir(&folder)?;
        }
        Ok(())
    }

    /// Does what the kernel does with a change, and notes it.
    pub(super) fn heed(&self, action: &str, path: &str, text: &str) -> io::Result<()> {
        let line = format!("{action} {path} {text}");
        locked(&self.done).push(line.trim_end().to_owned());
        let parts: Vec<&str> = path.split('/').collect();
        if action == "make" {
            locked(&self.made).insert(path.to_owned());
        }
        match (action, &parts[..]) {
            ("make", ["core", _, _]) => self.fill(path, &BACKSTORE),
            ("make", ["qla2xxx", _, _]) => {
                for folder in ["lun", "acls", "np"] {
                    fs::create_dir(self.root.join(path).join(folder))?;
                }
                self.fill(path, &GROUP)
            }
            ("make", [.., "acls", _, _]) => self.fill(path, &[("write_protect", "0")]),
            ("remove", _) => {
                locked(&self.made).remove(path);
                Ok(())
            }
            ("write", [.., "wwn", "vpd_unit_serial"]) => {
                self.put(path, &format!("T10 VPD Unit Serial Number: {text}"))
            }
            ("write", ["core", hba, name, "enable"]) => {
                let info = "Status: ACTIVATED\n Major: 253 Minor: 5  CLAIMED: IBLOCK";
                self.put(&format!("core/{hba}/{name}/info"), info)?;
                self.put(path, text)
            }
            ("write", _) => self.put(path, text),
            _ => Ok(()),
        }
    }

    fn fill(&self, path: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        attributes.iter().try_for_each(|(name, text)| {
            let file = format!("{path}/{name}");
            if let Some(folder) = self.root.join(&file).parent() {
                fs::create_dir_all(folder)?;
            }
            self.put(&file, text)
        })
    }

    fn put(&self, path: &str, text: &str) -> io::Result<()> {
        fs::write(self.root.join(path), format!("{text}\n"))
    }

    fn reads(&self, path: &str) -> String {
        let text = fs::read_to_string(self.root.join(path)).unwrap_or_default();
        text.trim().to_owned()
    }

    /// Every link below a folder, and where it leads.
    fn links(&self, folder: &Path) -> Vec<(PathBuf, PathBuf)> {
        let mut found = Vec::new();
        let entries = fs::read_dir(folder).into_iter().flatten();
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            if let Ok(to) = fs::read_link(&path) {
                found.push((path, to));
            } else if path.is_dir() {
                found.extend(self.links(&path));
            }
        }
        found
    }
}
