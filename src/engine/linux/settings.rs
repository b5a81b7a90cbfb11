//! What the engine is told about its machine.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::blockdev::Places;
use crate::array::{ChapTable, Iqn, Wwn};

/// What to manage, and where the machine's parts are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names of the volume groups; pinned by UUID when the engine opens.
    pub groups: Vec<String>,
    /// The disks that pools may be made from: paths below `/dev`; a `*`, `?` or `[a-f]` in the last
    /// part of one stands for whole disks of such names.
    pub disks: Vec<PathBuf>,
    /// The iSCSI targets, each a port of the array.
    pub targets: Vec<TargetSettings>,
    /// The Fibre Channel ports, each a port of the array where the machine has it.
    pub fc_ports: Vec<Wwn>,
    /// The initiators that have to prove who they are, at every target.
    pub chap: ChapTable,
    /// A folder of our own for LVM's configuration, below `/run`.
    pub run_folder: PathBuf,
    /// The `lvm` program.
    pub lvm: PathBuf,
    /// The `blkid` program.
    pub blkid: PathBuf,
    /// The `dmsetup` program.
    pub dmsetup: PathBuf,
    /// The `blkdiscard` program.
    pub blkdiscard: PathBuf,
    /// The root of the kernel target in configfs.
    pub configfs: PathBuf,
    /// The folder of the lock files that managers of the target share.
    pub lock_folder: PathBuf,
    /// The file of targetcli's in which our objects are kept, too.
    pub saveconfig: Option<PathBuf>,
    /// Where the kernel shows devices.
    pub places: Places,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSettings {
    /// Its name.
    pub iqn: Iqn,
    /// The addresses at which it listens.
    pub portals: Vec<SocketAddr>,
}

impl Settings {
    /// These groups and targets and no further disks, with everything else where Debian has it.
    pub fn new(groups: Vec<String>, targets: Vec<TargetSettings>) -> Self {
        Self {
            groups,
            disks: Vec::new(),
            targets,
            fc_ports: Vec::new(),
            chap: ChapTable::new(),
            run_folder: "/run/standpipe".into(),
            lvm: "/usr/sbin/lvm".into(),
            blkid: "/usr/sbin/blkid".into(),
            dmsetup: "/usr/sbin/dmsetup".into(),
            blkdiscard: "/usr/sbin/blkdiscard".into(),
            configfs: "/sys/kernel/config/target".into(),
            lock_folder: "/var/run".into(),
            saveconfig: None,
            places: Places::default(),
        }
    }
}
