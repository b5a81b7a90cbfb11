//! Targets: the portal group, its portals on iSCSI, and the logical units that volumes are exported
//! as.
//!
//! A port of the array is one target with the portal group `tpgt_1`, of whichever [`fabric`]. Which
//! initiator sees which unit is decided in [`super::acl`].

use super::configfs::{Configfs, ConfigfsError};
use super::fabric::{self, Entry};
use super::{aptpl, read};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// The only portal group of a target of ours.
pub const TPGT: u16 = 1;

pub use fabric::group;

/// Makes a target with its portals, or completes one that is there. Portals that are there beyond
/// these are left alone, and so are the attributes of a portal group that is open already: somebody
/// may have asked for credentials there.
pub fn ensure(configfs: &Configfs, iqn: &str, portals: &[SocketAddr]) -> Result<(), ConfigfsError> {
    let (fabric, group) = (fabric::of(iqn), group(iqn));
    // The first of these makes the kernel load the module of some fabrics.
    for folder in [fabric.folder, &fabric::path(iqn), &group] {
        configfs.make(folder)?;
    }
    if !is_open(configfs, iqn) {
        for (attribute, value) in fabric.attributes {
            let path = format!("{group}/attrib/{attribute}");
            if configfs.read(&path)? != *value {
                configfs.write(&path, value)?;
            }
        }
    }
    for portal in portals {
        configfs.make(&format!("{group}/np/{portal}"))?;
    }
    Ok(())
}

/// Whether initiators may log in.
pub fn is_open(configfs: &Configfs, iqn: &str) -> bool {
    let entry = |file: &str| configfs.read(&format!("{}/{file}", group(iqn)));
    match fabric::of(iqn).entry {
        Entry::Enable => entry("enable").is_ok_and(|text| text == "1"),
        // Without one it cannot be read.
        Entry::Nexus => entry("nexus").is_ok_and(|text| !text.is_empty()),
    }
}

/// Lets initiators log in.
pub fn open(configfs: &Configfs, iqn: &str) -> Result<(), ConfigfsError> {
    let (fabric, name) = fabric::split(iqn);
    let entry = |file: &str| format!("{}/{file}", group(iqn));
    match fabric.entry {
        Entry::Enable if configfs.read(&entry("enable"))? == "1" => Ok(()),
        Entry::Enable => configfs.write(&entry("enable"), "1"),
        Entry::Nexus if is_open(configfs, iqn) => Ok(()),
        // Any name of the kind will do: the machine itself is the only initiator.
        Entry::Nexus => configfs.write(&entry("nexus"), name),
    }
}

/// Ends all sessions and lets nobody log in.
fn close(configfs: &Configfs, iqn: &str) -> Result<(), ConfigfsError> {
    match fabric::of(iqn).entry {
        Entry::Enable => configfs.write(&format!("{}/enable", group(iqn)), "0"),
        Entry::Nexus if is_open(configfs, iqn) => {
            configfs.write(&format!("{}/nexus", group(iqn)), "NULL")
        }
        Entry::Nexus => Ok(()),
    }
}

/// Removes an empty target: sessions end, portals close. Fails while units or ACLs are there.
pub fn remove(configfs: &Configfs, iqn: &str) -> Result<(), ConfigfsError> {
    let group = group(iqn);
    if configfs.exists(&group) {
        close(configfs, iqn)?;
        for portal in configfs.folders(&format!("{group}/np"))? {
            configfs.remove(&format!("{group}/np/{portal}"))?;
        }
        configfs.remove(&group)?;
    }
    configfs.remove(&fabric::path(iqn)).map(|_| ())
}

/// The path of a logical unit of the portal group.
pub fn unit(iqn: &str, lun: u64) -> String {
    format!("{}/lun/lun_{lun}", group(iqn))
}

/// Exports a backstore as a logical unit of the portal group. No host sees it yet.
pub fn add_unit(
    configfs: &Configfs,
    iqn: &str,
    lun: u64,
    place: &str,
    alias: &str,
) -> Result<(), ConfigfsError> {
    let unit = unit(iqn, lun);
    let made = configfs.make(&unit)?;
    let linked = configfs.link(&format!("{unit}/{alias}"), &format!("core/{place}"));
    if linked.is_err() && made {
        // An empty unit would keep its number from the next try.
        let _ = configfs.remove(&unit);
    }
    linked.map(|_| ())
}

/// The unit of a portal group that leads to a backstore: found, or made.
pub fn unit_of(
    configfs: &Configfs,
    iqn: &str,
    place: &str,
    alias: &str,
    serial: &str,
) -> Result<u64, ConfigfsError> {
    let units = read::numbered(configfs, &format!("{}/lun", group(iqn)))?;
    let leads = |to: &str| to.strip_prefix("core/") == Some(place);
    // A folder is listed only where the link has not the name that we give it.
    let named = units.iter().find(|(_, path)| {
        let to = configfs.leads_to(&format!("{path}/{alias}"));
        to.is_some_and(|to| leads(&to))
    });
    if let Some((number, _)) = named {
        return Ok(*number);
    }
    for (number, path) in units {
        if configfs.links(&path)?.iter().any(|(_, to)| leads(to)) {
            return Ok(number);
        }
    }
    new_unit(configfs, iqn, place, alias, serial)
}

/// A unit that leads to a backstore, with the number that its lasting registrations name, else with
/// the lowest one that is free.
pub fn new_unit(
    configfs: &Configfs,
    iqn: &str,
    place: &str,
    alias: &str,
    serial: &str,
) -> Result<u64, ConfigfsError> {
    let units = read::numbered(configfs, &format!("{}/lun", group(iqn)))?;
    let mut taken: BTreeSet<u64> = units.into_iter().map(|(number, _)| number).collect();
    let registrations = aptpl::registrations(configfs, serial);
    let mut registered = registrations.iter().filter(|r| r.is_at(iqn));
    let number = match registered.find_map(|r| r.unit()) {
        Some(number) if !taken.contains(&number) => number,
        _ => {
            taken.extend(aptpl::units_of_others(configfs, iqn, serial));
            let mut free = (0..).filter(|number| !taken.contains(number));
            free.next().unwrap_or(u64::MAX)
        }
    };
    add_unit(configfs, iqn, number, place, alias)?;
    Ok(number)
}

/// Ends an export that no host maps any more.
pub fn remove_unit(configfs: &Configfs, iqn: &str, lun: u64) -> Result<(), ConfigfsError> {
    let unit = unit(iqn, lun);
    for (alias, _) in configfs.links(&unit)? {
        configfs.unlink(&format!("{unit}/{alias}"))?;
    }
    configfs.remove(&unit).map(|_| ())
}
