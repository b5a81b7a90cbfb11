//! What the kernel target holds now, read into plain values.
//!
//! Only the folders that tell relations are listed, never the whole tree: an exported unit has
//! 176 nodes. What cannot be read is left out and counted, so that one odd object of another
//! manager does not hide the rest.

use super::acl::Mark;
use super::backstore;
use super::configfs::{Configfs, ConfigfsError};
use super::{export, fabric, made, target};
use std::collections::BTreeMap;

/// The state of the kernel target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Backstores by their place below `core/`, `iblock_N/name`.
    pub backstores: BTreeMap<String, Backstore>,
    /// Targets by name, which is that of a [`fabric`]. Only the portal group `tpgt_1` of each is read.
    pub targets: BTreeMap<String, Target>,
}

/// A backstore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backstore {
    /// The unit serial.
    pub serial: Option<String>,
    /// Major and minor number of the device, while it is open.
    pub device: Option<(u32, u32)>,
    /// The device is open.
    pub enabled: bool,
    /// The path by which the device was named.
    pub path: String,
    /// The volume of this array that it exports.
    pub volume: Option<String>,
}

/// A target's portal group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Initiators may log in.
    pub enabled: bool,
    /// It bears the mark of a target that a client of this array made.
    pub made: bool,
    /// Addresses that it answers on, `address:port`.
    pub portals: Vec<String>,
    /// Units by number.
    pub units: BTreeMap<u64, Unit>,
    /// ACLs by initiator name.
    pub acls: BTreeMap<String, BTreeMap<u64, Mapped>>,
}

/// A unit of a portal group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The place of its backstore; `None` while nothing is linked.
    pub backstore: Option<String>,
    /// The link's name.
    pub alias: String,
}

/// A row of an ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The unit of the portal group; `None` for a link that died with its unit.
    pub unit: Option<u64>,
    /// The link's name.
    pub alias: String,
    /// The host may not write.
    pub read_only: bool,
    /// We made it: its link is ours, or it lost its link's name to a manager that made our ACL again.
    /// A row in an ACL of another manager's is his, also where it leads to a unit of ours.
    pub ours: bool,
}

impl State {
    /// The volume of this array that a unit leads to, whatever the link is called.
    pub fn volume_of<'a>(&'a self, unit: &'a Unit) -> Option<&'a str> {
        match &unit.backstore {
            Some(place) => self.backstores.get(place)?.volume.as_deref(),
            None => export::volume_of(&unit.alias),
        }
    }

    /// The volume of this array that a row of a target's ACL leads to, whoever made the row; of a
    /// dead link that it led to.
    pub fn volume_in<'a>(&'a self, target: &'a Target, mapped: &'a Mapped) -> Option<&'a str> {
        match mapped.unit.and_then(|unit| target.units.get(&unit)) {
            Some(unit) => self.volume_of(unit),
            None => export::volume_of(&mapped.alias),
        }
    }

    /// The unit serial of the backstore that a row leads to.
    pub fn serial_in(&self, target: &Target, mapped: &Mapped) -> Option<&str> {
        let unit = target.units.get(&mapped.unit?)?;
        self.backstores
            .get(unit.backstore.as_ref()?)?
            .serial
            .as_deref()
    }

    /// The backstore on this device.
    pub fn by_device(&self, device: (u32, u32)) -> Option<(&str, &Backstore)> {
        self.backstores
            .iter()
            .find(|(_, backstore)| backstore.device == Some(device))
            .map(|(place, backstore)| (place.as_str(), backstore))
    }
}

/// Reads the whole state.
pub fn state(configfs: &Configfs) -> Result<State, ConfigfsError> {
    let mut state = State::default();
    for hba in configfs.folders("core")? {
        if !is_numbered(&hba, &["iblock_", "fileio_", "rd_mcp_", "pscsi_", "user_"]) {
            continue;
        }
        for name in configfs.folders(&format!("core/{hba}"))? {
            let place = format!("{hba}/{name}");
            let backstore = self::backstore(configfs, &place);
            state.backstores.insert(place, backstore);
        }
    }
    for fabric in fabric::ALL {
        for name in configfs.folders(fabric.folder)? {
            let name = fabric.target(&name);
            let group = fabric::group(&name);
            if configfs.exists(&group) {
                let found = target(configfs, &name)?;
                state.targets.insert(name, found);
            }
        }
    }
    Ok(state)
}

/// Reads one backstore.
pub fn backstore(configfs: &Configfs, place: &str) -> Backstore {
    let info = configfs
        .read(&format!("core/{place}/info"))
        .unwrap_or_default();
    Backstore {
        serial: backstore::serial(configfs, place).ok().flatten(),
        device: device(&info),
        enabled: configfs
            .read(&format!("core/{place}/enable"))
            .is_ok_and(|text| text == "1"),
        path: configfs
            .read(&format!("core/{place}/udev_path"))
            .unwrap_or_default(),
        volume: backstore::exports(configfs, place),
    }
}

/// Reads `Major: 253 Minor: 5` out of a backstore's `info`.
fn device(info: &str) -> Option<(u32, u32)> {
    let after = |word: &str| {
        let (_, rest) = info.split_once(word)?;
        rest.split_whitespace().next()?.parse::<u32>().ok()
    };
    Some((after("Major:")?, after("Minor:")?))
}

fn target(configfs: &Configfs, name: &str) -> Result<Target, ConfigfsError> {
    let group = fabric::group(name);
    let mut target = Target {
        enabled: target::is_open(configfs, name),
        made: made::is_marked(configfs, &group),
        portals: configfs.folders(&format!("{group}/np"))?,
        ..Target::default()
    };
    for (number, folder) in numbered(configfs, &format!("{group}/lun"))? {
        let (alias, to) = first_link(configfs, &folder)?;
        let backstore = to.and_then(|to| Some(to.strip_prefix("core/")?.to_owned()));
        target.units.insert(number, Unit { backstore, alias });
    }
    for initiator in configfs.folders(&format!("{group}/acls"))? {
        let acl = format!("{group}/acls/{initiator}");
        let (mut maps, mut is_ours) = (BTreeMap::new(), None);
        for (number, folder) in numbered(configfs, &acl)? {
            let mut mapped = mapped(configfs, &folder)?;
            mapped.ours |= *is_ours.get_or_insert_with(|| {
                let tag = configfs.read(&format!("{acl}/tag"));
                tag.is_ok_and(|tag| Mark::of(&tag, &initiator).is_some())
            });
            // A link outlives the unit that it led to.
            mapped.unit = mapped.unit.filter(|unit| {
                target
                    .units
                    .get(unit)
                    .is_some_and(|unit| unit.backstore.is_some())
            });
            maps.insert(number, mapped);
        }
        target.acls.insert(initiator, maps);
    }
    Ok(target)
}

/// Reads one row of an ACL, by the path of its folder.
pub fn mapped(configfs: &Configfs, folder: &str) -> Result<Mapped, ConfigfsError> {
    let (alias, to) = first_link(configfs, folder)?;
    Ok(Mapped {
        unit: to.and_then(|to| lun_number(to.rsplit('/').next()?)),
        ours: export::volume_of(&alias).is_some(),
        alias,
        read_only: configfs
            .read(&format!("{folder}/write_protect"))
            .is_ok_and(|text| text == "1"),
    })
}

/// The `lun_N` folders in a folder, with their paths.
pub fn numbered(configfs: &Configfs, path: &str) -> Result<Vec<(u64, String)>, ConfigfsError> {
    let names = configfs.folders(path)?;
    Ok(names
        .iter()
        .filter_map(|name| Some((lun_number(name)?, format!("{path}/{name}"))))
        .collect())
}

fn lun_number(name: &str) -> Option<u64> {
    name.strip_prefix("lun_")?.parse().ok()
}

fn first_link(
    configfs: &Configfs,
    folder: &str,
) -> Result<(String, Option<String>), ConfigfsError> {
    let link = configfs.links(folder)?.into_iter().next();
    Ok(link.map_or_else(Default::default, |(alias, to)| (alias, Some(to))))
}

fn is_numbered(name: &str, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| {
        name.strip_prefix(kind)
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    const IQN: &str = "iqn.2026-11.example:array";
    const HOST: &str = "iqn.2026-11.example:host";

    /// A folder that looks like a target with one exported and mapped backstore.
    fn sample(root: &Path) {
        let core = root.join("core/iblock_50000/standpipe.x");
        let group = root.join(format!("iscsi/{IQN}/tpgt_1"));
        let unit = group.join("lun/lun_3");
        let map = group.join(format!("acls/{HOST}/lun_0"));
        for folder in [
            &core.join("wwn"),
            &root.join("core/alua"),
            &group.join("np/127.0.0.1:3260"),
            &unit.join("statistics"),
            &map,
            &group.join(format!("acls/{HOST}/attrib")),
        ] {
            fs::create_dir_all(folder).expect("set up");
        }
        for (file, text) in [
            (
                core.join("wwn/vpd_unit_serial"),
                "T10 VPD Unit Serial Number: abc-1\n",
            ),
            (core.join("enable"), "1\n"),
            (core.join("udev_path"), "/dev/disk/by-id/x\n"),
            (
                core.join("info"),
                "Status: ACTIVATED\n  Major: 253 Minor: 5  CLAIMED: IBLOCK\n",
            ),
            (group.join("enable"), "1\n"),
            (map.join("write_protect"), "1\n"),
            (root.join("iscsi/cpus_allowed_list"), "0-1\n"),
        ] {
            fs::write(file, text).expect("set up");
        }
        symlink(&core, unit.join("standpipe")).expect("set up");
        symlink(&unit, map.join("standpipe-7")).expect("set up");
    }

    #[test]
    fn relations_are_read_and_everything_else_is_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        sample(folder.path());
        let state = state(&Configfs::new(folder.path())).expect("read");
        let (place, backstore) = state.by_device((253, 5)).expect("found by device");
        assert_eq!(place, "iblock_50000/standpipe.x");
        assert_eq!(backstore.serial.as_deref(), Some("abc-1"));
        assert!(backstore.enabled);
        assert_eq!(state.backstores.len(), 1);
        let target = &state.targets[IQN];
        assert_eq!(target.portals, ["127.0.0.1:3260"]);
        assert_eq!(target.units[&3].backstore.as_deref(), Some(place));
        let expected = Mapped {
            unit: Some(3),
            alias: "standpipe-7".into(),
            read_only: true,
            ours: true,
        };
        assert_eq!(target.acls[HOST][&0], expected);
    }

    #[test]
    fn a_map_whose_unit_is_gone_has_no_unit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        sample(folder.path());
        let unit = folder.path().join(format!("iscsi/{IQN}/tpgt_1/lun/lun_3"));
        fs::remove_dir_all(unit).expect("removed");
        let state = state(&Configfs::new(folder.path())).expect("read");
        assert_eq!(state.targets[IQN].acls[HOST][&0].unit, None);
        assert!(state.targets[IQN].units.is_empty());
    }

    #[test]
    fn without_a_kernel_target_there_is_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(
            state(&Configfs::new(folder.path())).expect("read"),
            State::default()
        );
    }
}
