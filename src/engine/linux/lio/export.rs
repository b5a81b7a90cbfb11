//! Showing a volume to an initiator and hiding it again, with everything that this needs below:
//! backstore, unit, ACL, map.
//!
//! Callers hold the locks. What is there and fits is adopted, whatever its number or name; what
//! belongs to another manager is never changed.

use super::acl::{self, Map, Mark};
use super::backstore::{self, NAME_PREFIX, Wanted};
use super::chap::{self, Demands};
use super::configfs::{Configfs, ConfigfsError};
use super::made;
use super::read::{self, State};
use super::target;
use crate::array::Naa;
use std::collections::BTreeSet;

/// What the names of our links begin with; the volume's UUID follows.
const ALIAS_PREFIX: &str = "standpipe-";

/// Why a volume cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The kernel refused a call.
    #[error(transparent)]
    Configfs(#[from] ConfigfsError),
    /// The number shows something else to that initiator.
    #[error("number {number} of {initiator} shows something else")]
    NumberTaken {
        /// The initiator.
        initiator: String,
        /// The number.
        number: u64,
    },
    /// The number shows the volume already, but somebody made it read-only.
    #[error("somebody made number {number} of {initiator} read-only")]
    ReadOnly {
        /// The initiator.
        initiator: String,
        /// The number.
        number: u64,
    },
    /// A backstore of ours stands on another device or has another serial than the volume.
    #[error("backstore {place} does not belong to volume {volume}")]
    Mismatch {
        /// The backstore.
        place: String,
        /// The volume.
        volume: String,
    },
    /// The kernel would show another identifier than the one that was promised.
    #[error("the kernel gives volume {volume} the identifier {seen} instead of {promised}")]
    Identifier {
        /// The volume.
        volume: String,
        /// What the kernel derives.
        seen: Naa,
        /// What clients were told.
        promised: Naa,
    },
    /// The initiator has a secret, and its ACL belongs to somebody who does not ask for it.
    #[error("the ACL of {initiator} is another manager's and asks for other credentials than ours")]
    OthersAcl {
        /// The initiator.
        initiator: String,
    },
    /// Somebody has made a target of his own under the name of one of ours.
    #[error("somebody else has made a target {iqn}")]
    OthersTarget {
        /// The name.
        iqn: String,
    },
    /// The kernel has no target of a port, which no call but loading a module and plugging in an adapter
    /// brings about.
    #[error("the kernel target does not have the port {target}")]
    NoPort {
        /// The target.
        target: String,
        /// The module of its fabric.
        module: &'static str,
    },
    /// Others have secrets, and the ACL is another manager's and has none.
    #[error(
        "the ACL of {initiator} is another manager's and lets nobody in, because others need CHAP"
    )]
    ShutOut {
        /// The initiator.
        initiator: String,
    },
    /// Others have secrets, and this kernel cannot let one in without.
    #[error("this kernel cannot let {initiator} in without CHAP where others need it")]
    NoExcuse {
        /// The initiator.
        initiator: String,
    },
}

/// A volume, as far as the target is concerned.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Its LVM UUID.
    pub uuid: String,
    /// Its device by a path that outlives renames.
    pub device: String,
    /// The device's major and minor number.
    pub number: (u32, u32),
    /// Its unit serial.
    pub serial: String,
    /// The model that hosts knew it by before it was taken over.
    pub model: Option<String>,
    /// The identifier that hosts were promised.
    pub naa: Naa,
}

impl Exported {
    /// Whether a backstore exports it as it should.
    fn is_on(&self, found: &read::Backstore) -> bool {
        found.enabled
            && found.serial.as_deref() == Some(&self.serial)
            && found.device == Some(self.number)
    }
}

/// The backstore of a volume.
struct Found {
    /// Where it is.
    place: String,
    /// It has just been made.
    fresh: bool,
}

/// A place in an initiator's table of units.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The target.
    pub iqn: String,
    /// The initiator, in lower case.
    pub initiator: String,
    /// The number that the host sees.
    pub number: u64,
}

/// The name of a volume's links.
pub fn alias(uuid: &str) -> String {
    format!("{ALIAS_PREFIX}{uuid}")
}

/// The volume of a link that we made.
pub fn volume_of(alias: &str) -> Option<&str> {
    alias.strip_prefix(ALIAS_PREFIX)
}

/// Shows a volume to an initiator that has to prove at login what is demanded of it. After a failure
/// nothing is left that was not there before, and where the demand was not met, nothing at all.
pub fn show(
    configfs: &Configfs,
    volume: &Exported,
    row: &Row,
    demands: &Demands,
) -> Result<(), ExportError> {
    show_on(configfs, volume, row, demands, || {
        backstore_of(configfs, volume)
    })
}

/// The same for a volume that is exported already. `false`, and nothing is changed, where the
/// backstore of ours is not there or not as it should be.
pub fn show_exported(
    configfs: &Configfs,
    volume: &Exported,
    row: &Row,
    demands: &Demands,
) -> Result<bool, ExportError> {
    let place = named_place_of(configfs, &volume.uuid)?;
    let Some(place) = place.filter(|place| volume.is_on(&read::backstore(configfs, place))) else {
        return Ok(false);
    };
    let there = Found {
        place,
        fresh: false,
    };
    show_on(configfs, volume, row, demands, || Ok(there)).map(|()| true)
}

fn show_on(
    configfs: &Configfs,
    volume: &Exported,
    row: &Row,
    demands: &Demands,
    backstore: impl FnOnce() -> Result<Found, ExportError>,
) -> Result<(), ExportError> {
    if let Err(error) = chap::admit(configfs, &row.iqn, &row.initiator, demands) {
        let _ = hide(configfs, &volume.uuid, row);
        return Err(error);
    }
    let done = backstore().and_then(|found| try_show(configfs, volume, row, &found));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = acl::remove_if_empty(configfs, &row.iqn, &row.initiator);
        let _ = release(configfs, &volume.uuid, &row.iqn);
    }
    done
}

fn try_show(
    configfs: &Configfs,
    volume: &Exported,
    row: &Row,
    found: &Found,
) -> Result<(), ExportError> {
    let Found { place, fresh } = found;
    let alias = alias(&volume.uuid);
    let unit = match fresh {
        // Nothing leads to it yet.
        true => target::new_unit(configfs, &row.iqn, place, &alias, &volume.serial)?,
        false => target::unit_of(configfs, &row.iqn, place, &alias, &volume.serial)?,
    };
    match standing(configfs, row)? {
        Some(standing) if standing.place.as_ref() == Some(place) => {
            // One that somebody else made for reading stays so, and is not what was asked for.
            if standing.read_only && standing.alias != alias {
                return Err(ExportError::ReadOnly {
                    initiator: row.initiator.clone(),
                    number: row.number,
                });
            }
            acl::make_writable(configfs, &row.iqn, &row.initiator, row.number)?;
            return Ok(());
        }
        // A link of ours that died with its unit.
        Some(standing) if standing.place.is_none() && standing.alias == alias => {
            acl::clear(configfs, &row.iqn, &row.initiator, row.number)?;
        }
        Some(_) => {
            return Err(ExportError::NumberTaken {
                initiator: row.initiator.clone(),
                number: row.number,
            });
        }
        None => {}
    }
    let map = Map {
        iqn: &row.iqn,
        initiator: &row.initiator,
        number: row.number,
        unit,
        alias: &alias,
        read_only: false,
    };
    Ok(acl::map(configfs, &map)?)
}

/// Hides a volume from one initiator. A row that shows something else is left alone. The volume
/// is exported no longer when that was its last row.
pub fn hide(configfs: &Configfs, uuid: &str, row: &Row) -> Result<(), ExportError> {
    if standing(configfs, row)?.is_some_and(|standing| standing.is_of(configfs, uuid)) {
        acl::unmap(configfs, &row.iqn, &row.initiator, row.number)?;
    }
    // Somebody may have removed the row and left the rest.
    acl::remove_if_empty(configfs, &row.iqn, &row.initiator)?;
    release(configfs, uuid, &row.iqn)
}

/// Hides all that we show to an initiator in a target; returns how many rows that were.
pub fn hide_all(configfs: &Configfs, iqn: &str, initiator: &str) -> Result<usize, ExportError> {
    let mut hidden = 0;
    let is_ours = Mark::read(configfs, iqn, initiator).is_some();
    for (number, _) in read::numbered(configfs, &acl::folder(iqn, initiator))? {
        let row = Row {
            iqn: iqn.to_owned(),
            initiator: initiator.to_owned(),
            number,
        };
        let standing = standing(configfs, &row)?;
        let ours = standing.filter(|row| is_ours || volume_of(&row.alias).is_some());
        if let Some(uuid) = ours.and_then(|row| row.volume(configfs)) {
            hide(configfs, &uuid, &row)?;
            hidden += 1;
        }
    }
    Ok(hidden)
}

/// Whether the kernel shows that volume in that row now.
pub fn is_shown(configfs: &Configfs, uuid: &str, row: &Row) -> Result<bool, ExportError> {
    let Some(standing) = standing(configfs, row)? else {
        return Ok(false);
    };
    let Some(place) = &standing.place else {
        return Ok(false);
    };
    let is_on = |path: &str| configfs.read(path).is_ok_and(|text| text == "1");
    Ok(backstore::is_of(configfs, place, uuid)
        && is_on(&format!("core/{place}/enable"))
        && target::is_open(configfs, &row.iqn))
}

/// The number of the device that an enabled backstore of ours has open, named after the volume.
pub fn device_of(configfs: &Configfs, uuid: &str) -> Result<Option<(u32, u32)>, ExportError> {
    let place = named_place_of(configfs, uuid)?;
    let found = place.map(|place| read::backstore(configfs, &place));
    Ok(found
        .filter(|found| found.enabled)
        .and_then(|found| found.device))
}

/// Whether a backstore of ours holds the volume open, or one with its identifier; for a volume that was
/// taken over, with the serial that it kept.
pub fn is_exported(
    configfs: &Configfs,
    uuid: &str,
    kept: Option<&str>,
) -> Result<bool, ExportError> {
    let place = place_of(configfs, uuid)?;
    let place = place.map_or_else(|| place_with(configfs, kept), |place| Ok(Some(place)));
    Ok(place?.is_some())
}

/// Removes what is ours in these targets and not wanted: rows, then units that nobody sees, then
/// backstores. All of it is tried; the first error is told.
pub fn sweep(
    configfs: &Configfs,
    iqns: &[String],
    wanted: &BTreeSet<(Row, String)>,
) -> Result<(), ExportError> {
    let state = read::state(configfs)?;
    let mut first = Ok(());
    let mut note = |result: Result<(), ExportError>| {
        if let (Ok(()), Err(error)) = (&first, result) {
            first = Err(error);
        }
    };
    let mut volumes = BTreeSet::new();
    // Those included that were made through the array and of which nothing is stored any more.
    let is_ours = |iqn: &String, target: &read::Target| target.made || iqns.contains(iqn);
    for (iqn, target) in state.targets.iter().filter(|(iqn, t)| is_ours(iqn, t)) {
        for (initiator, rows) in &target.acls {
            for (&number, mapped) in rows {
                let Some(uuid) = state.volume_in(target, mapped).filter(|_| mapped.ours) else {
                    continue;
                };
                let row = Row {
                    iqn: iqn.clone(),
                    initiator: initiator.clone(),
                    number,
                };
                if !wanted.contains(&(row.clone(), uuid.to_owned())) {
                    note(hide(configfs, uuid, &row));
                }
            }
        }
        let units = target.units.values();
        let ours = units.filter_map(|unit| Some((iqn.clone(), state.volume_of(unit)?.to_owned())));
        volumes.extend(ours);
    }
    for (iqn, uuid) in &volumes {
        note(release(configfs, uuid, iqn));
    }
    let strays = state.targets.iter();
    for (iqn, _) in strays.filter(|(iqn, target)| target.made && !iqns.contains(iqn)) {
        // One that somebody uses stays.
        if let Err(error) = made::remove(configfs, iqn) {
            tracing::warn!(%error, iqn, "a target of which nothing is stored stays");
        }
    }
    for uuid in unused(&state) {
        note(release_backstore(configfs, &uuid));
    }
    first
}

/// The volumes of backstores of ours that no unit of any target leads to.
fn unused(state: &State) -> Vec<String> {
    let used: BTreeSet<&str> = state
        .targets
        .values()
        .flat_map(|target| target.units.values())
        .filter_map(|unit| unit.backstore.as_deref())
        .collect();
    state
        .backstores
        .iter()
        .filter(|(place, _)| !used.contains(place.as_str()))
        .filter_map(|(_, backstore)| backstore.volume.clone())
        .collect()
}

/// The volume's backstore: adopted, or made where there is none.
fn backstore_of(configfs: &Configfs, volume: &Exported) -> Result<Found, ExportError> {
    if let Some(place) = place_of(configfs, &volume.uuid)? {
        let found = read::backstore(configfs, &place);
        if !found.enabled && backstore::volume_of(&place).is_some() {
            // Half made: a predecessor died in between.
            backstore::remove(configfs, &place)?;
        } else if volume.is_on(&found) {
            return Ok(Found {
                place,
                fresh: false,
            });
        } else {
            return Err(ExportError::Mismatch {
                place,
                volume: volume.uuid.clone(),
            });
        }
    }
    let name = format!("{NAME_PREFIX}{}", volume.uuid);
    let wanted = Wanted {
        name: &name,
        device: &volume.device,
        serial: &volume.serial,
        model: volume.model.as_deref(),
        thin: false,
    };
    let place = backstore::create(configfs, &wanted)?;
    let checked = check_device(configfs, &place, volume)
        .and_then(|()| check_identifier(configfs, &place, volume));
    if checked.is_err() {
        let _ = backstore::remove(configfs, &place);
    }
    checked.map(|()| Found { place, fresh: true })
}

/// The device was named by a link of udev's, which may be older than the volume.
fn check_device(configfs: &Configfs, place: &str, volume: &Exported) -> Result<(), ExportError> {
    match read::backstore(configfs, place).device == Some(volume.number) {
        true => Ok(()),
        false => Err(ExportError::Mismatch {
            place: place.to_owned(),
            volume: volume.uuid.clone(),
        }),
    }
}

/// Reads back what the kernel derives the identifier from.
fn check_identifier(
    configfs: &Configfs,
    place: &str,
    volume: &Exported,
) -> Result<(), ExportError> {
    let company = backstore::company(configfs, place).unwrap_or(Naa::LIO_COMPANY);
    let serial = backstore::serial(configfs, place)?.unwrap_or_default();
    let seen = Naa::from_serial(company, &serial);
    if seen == volume.naa {
        return Ok(());
    }
    Err(ExportError::Identifier {
        volume: volume.uuid.clone(),
        seen,
        promised: volume.naa,
    })
}

/// The place of the backstore of a volume: ours, or one that shows hosts the same identifier.
fn place_of(configfs: &Configfs, uuid: &str) -> Result<Option<String>, ConfigfsError> {
    if let Some(place) = named_place_of(configfs, uuid)? {
        return Ok(Some(place));
    }
    foreign_place(configfs, |place| backstore::is_of(configfs, place, uuid))
}

/// The place of a backstore that another manager made and that has this serial.
fn place_with(configfs: &Configfs, serial: Option<&str>) -> Result<Option<String>, ConfigfsError> {
    let Some(serial) = serial else {
        return Ok(None);
    };
    foreign_place(configfs, |place| {
        let found = backstore::serial(configfs, place);
        found.is_ok_and(|found| found.as_deref() == Some(serial))
    })
}

/// The place of a backstore whose name is not ours and that is like that.
fn foreign_place(
    configfs: &Configfs,
    is_it: impl Fn(&String) -> bool,
) -> Result<Option<String>, ConfigfsError> {
    let hbas = configfs.folders("core")?;
    for hba in hbas.iter().filter(|hba| hba.starts_with("iblock_")) {
        let names = configfs.folders(&format!("core/{hba}"))?;
        let foreign = names.iter().filter(|name| !name.starts_with(NAME_PREFIX));
        let mut places = foreign.map(|name| format!("{hba}/{name}"));
        if let Some(place) = places.find(&is_it) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// The place of our backstore of a volume: one that we made, or one that was taken over.
fn own_place_of(configfs: &Configfs, uuid: &str) -> Result<Option<String>, ConfigfsError> {
    if let Some(place) = named_place_of(configfs, uuid)? {
        return Ok(Some(place));
    }
    let is_marked = |place: &String| backstore::exports(configfs, place).as_deref() == Some(uuid);
    foreign_place(configfs, is_marked)
}

/// The place of the backstore that we made for a volume, whichever number it has.
fn named_place_of(configfs: &Configfs, uuid: &str) -> Result<Option<String>, ConfigfsError> {
    let name = format!("{NAME_PREFIX}{uuid}");
    let hbas = configfs.folders("core")?;
    Ok(hbas
        .iter()
        .filter(|hba| hba.starts_with("iblock_"))
        .map(|hba| format!("{hba}/{name}"))
        .find(|place| configfs.exists(&format!("core/{place}"))))
}

/// What stands in a row.
#[derive(Debug)]
struct Standing {
    /// The backstore that it leads to; `None` for a link that died with its unit.
    place: Option<String>,
    /// The link's name.
    alias: String,
    /// The host may not write.
    read_only: bool,
}

impl Standing {
    /// The volume of ours that it shows, by its backstore's name, or else by that of a dead link.
    fn volume(&self, configfs: &Configfs) -> Option<String> {
        match &self.place {
            Some(place) => backstore::exports(configfs, place),
            None => volume_of(&self.alias).map(str::to_owned),
        }
    }

    /// Whether it is a volume's, whoever made it and whatever the link is called: what it leads to
    /// is what the host sees.
    fn is_of(&self, configfs: &Configfs, uuid: &str) -> bool {
        match &self.place {
            Some(place) => backstore::is_of(configfs, place, uuid),
            None => self.alias == alias(uuid),
        }
    }
}

fn standing(configfs: &Configfs, row: &Row) -> Result<Option<Standing>, ConfigfsError> {
    let acl = acl::folder(&row.iqn, &row.initiator);
    let path = format!("{acl}/lun_{}", row.number);
    if !configfs.exists(&path) {
        return Ok(None);
    }
    let mapped = read::mapped(configfs, &path)?;
    let links = match mapped.unit {
        Some(unit) => configfs.links(&target::unit(&row.iqn, unit))?,
        None => Vec::new(),
    };
    let place = links.first().and_then(|(_, to)| to.strip_prefix("core/"));
    Ok(Some(Standing {
        place: place.map(str::to_owned),
        alias: mapped.alias,
        read_only: mapped.read_only,
    }))
}

/// Removes the volume's unit in a target when no initiator sees it any more, and its backstore
/// when no unit leads to it any more.
fn release(configfs: &Configfs, uuid: &str, iqn: &str) -> Result<(), ExportError> {
    let group = target::group(iqn);
    let alias = alias(uuid);
    let is_ours = |(name, to): &(String, String)| {
        let place = to.strip_prefix("core/").unwrap_or(to);
        *name == alias || backstore::exports(configfs, place).as_deref() == Some(uuid)
    };
    for (number, path) in read::numbered(configfs, &format!("{group}/lun"))? {
        if configfs.links(&path)?.iter().any(is_ours) && !configfs.is_led_to(&path)? {
            target::remove_unit(configfs, iqn, number)?;
        }
    }
    release_backstore(configfs, uuid)
}

fn release_backstore(configfs: &Configfs, uuid: &str) -> Result<(), ExportError> {
    // One that another manager made is his.
    let Some(place) = own_place_of(configfs, uuid)? else {
        return Ok(());
    };
    match backstore::remove(configfs, &place) {
        // A unit of another target still leads to it.
        Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const UUID: &str = "fenRM0-k234-gQIb-Rm07-eV38-eCnN-zmcYOz";

    #[test]
    fn only_the_backstore_that_was_promised_counts_as_exported() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let configfs = Configfs::new(folder.path());
        let backstore = folder
            .path()
            .join(format!("core/iblock_7/{NAME_PREFIX}{UUID}"));
        fs::create_dir_all(backstore.join("wwn")).expect("set up");
        let write = |file: &str, text: &str| fs::write(backstore.join(file), text).expect("set up");
        write("wwn/vpd_unit_serial", "T10 VPD Unit Serial Number: abc-1\n");
        write(
            "info",
            "Status: ACTIVATED\n  Major: 253 Minor: 5  CLAIMED: IBLOCK\n",
        );
        write("enable", "1\n");
        assert_eq!(device_of(&configfs, UUID).expect("a look"), Some((253, 5)));
        let row = Row {
            iqn: "iqn.2026-11.example:array".into(),
            initiator: "iqn.2026-11.example:host".into(),
            number: 1,
        };
        for (number, serial) in [((253, 6), "abc-1"), ((253, 5), "abc-2")] {
            let volume = Exported {
                uuid: UUID.into(),
                device: "/dev/disk/by-id/x".into(),
                number,
                serial: serial.into(),
                model: None,
                naa: Naa::from_serial(Naa::LIO_COMPANY, serial),
            };
            let shown = show_exported(&configfs, &volume, &row, &Demands::default());
            assert!(!shown.expect("a look"), "{number:?} {serial}");
            assert!(!configfs.exists("iscsi"), "nothing is made");
        }
        write("enable", "0\n");
        assert_eq!(device_of(&configfs, UUID).expect("a look"), None);
    }

    #[test]
    fn a_row_that_somebody_made_for_reading_is_not_told_to_be_writable() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let configfs = Configfs::new(folder.path());
        let row = Row {
            iqn: "iqn.2026-11.example:array".into(),
            initiator: "iqn.2026-11.example:host".into(),
            number: 4,
        };
        let volume = Exported {
            uuid: UUID.into(),
            device: "/dev/disk/by-id/x".into(),
            number: (253, 5),
            serial: "abc-1".into(),
            model: None,
            naa: Naa::from_serial(Naa::LIO_COMPANY, "abc-1"),
        };
        let place = folder
            .path()
            .join(format!("core/iblock_7/{NAME_PREFIX}{UUID}"));
        let unit = folder.path().join(target::unit(&row.iqn, 0));
        let acl = folder.path().join(acl::folder(&row.iqn, &row.initiator));
        for made in [&place.join("wwn"), &unit, &acl.join("lun_4")] {
            fs::create_dir_all(made).expect("set up");
        }
        for (file, text) in [
            (place.join("wwn/vpd_unit_serial"), "Number: abc-1\n"),
            (place.join("info"), "Major: 253 Minor: 5  CLAIMED: IBLOCK\n"),
            (place.join("enable"), "1\n"),
            (acl.join("lun_4/write_protect"), "1"),
        ] {
            fs::write(file, text).expect("set up");
        }
        std::os::unix::fs::symlink(&place, unit.join(alias(UUID))).expect("linked");
        let link = |name: &str| std::os::unix::fs::symlink(&unit, acl.join("lun_4").join(name));
        let writes = || {
            configfs.read(&format!(
                "{}/lun_4/write_protect",
                acl::folder(&row.iqn, &row.initiator)
            ))
        };
        link("theirs").expect("linked");
        let refused = show_exported(&configfs, &volume, &row, &Demands::default());
        assert!(
            matches!(refused, Err(ExportError::ReadOnly { number: 4, .. })),
            "{refused:?}"
        );
        assert_eq!(writes().expect("read"), "1", "it stays as it was made");
        fs::remove_file(acl.join("lun_4/theirs")).expect("removed");
        link(&alias(UUID)).expect("linked");
        let shown = show_exported(&configfs, &volume, &row, &Demands::default());
        assert!(shown.expect("it is ours"));
        assert_eq!(writes().expect("read"), "0");
    }
}
