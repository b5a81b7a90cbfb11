//! Backstores: the kernel target's handle on a block device.
//!
//! The number in `iblock_N` is no identity: other managers renumber at will. A backstore is ours
//! by its name, and a volume's by its serial or its device.

use super::aptpl;
use super::configfs::{Configfs, ConfigfsError};
use crate::array::VolumeId;
use std::io::ErrorKind;

/// First of the numbers that we use for `iblock_N`, far above those of other managers.
const FIRST_NUMBER: u32 = 50_000;
/// How many numbers are tried before giving up.
const NUMBERS: u32 = 100_000;
/// What the name of a backstore of ours begins with; the volume's LVM UUID follows.
pub const NAME_PREFIX: &str = "standpipe.";

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name, [`NAME_PREFIX`] and the volume's UUID.
    pub name: &'a str,
    /// The block device, by a path that outlives renames.
    pub device: &'a str,
    /// The unit serial, from which the kernel derives the NAA identifier.
    pub serial: &'a str,
    /// The model that hosts are told, where it is not the kernel's.
    pub model: Option<&'a str>,
    /// Space is given to hosts on demand, so unmapping is offered to them.
    pub thin: bool,
}

/// Makes a backstore and opens the device. Returns its path below `core/`, `iblock_N/name`.
/// When a step fails, the steps before it are undone.
pub fn create(configfs: &Configfs, wanted: &Wanted<'_>) -> Result<String, ConfigfsError> {
    let hba = make_hba(configfs)?;
    let place = format!("{hba}/{}", wanted.name);
    let done = configfs
        .make(&format!("core/{place}"))
        .and_then(|_| fill(configfs, &place, wanted));
    match done {
        Ok(()) => Ok(place),
        Err(error) => {
            // The first error is the one to tell; what is left is found as half-made later.
            let _ = remove(configfs, &place);
            Err(error)
        }
    }
}

/// The volume of a backstore of ours, by its name.
pub fn volume_of(place: &str) -> Option<&str> {
    place.split_once('/')?.1.strip_prefix(NAME_PREFIX)
}

/// The volume of this array that a backstore exports: by its name, or by the mark of one that was
/// taken over from another manager, whose name cannot be changed.
pub fn exports(configfs: &Configfs, place: &str) -> Option<String> {
    let named = volume_of(place).map(str::to_owned);
    named.or_else(|| {
        let alias = configfs.read(&alias(place)).ok()?;
        alias.strip_prefix(NAME_PREFIX).map(str::to_owned)
    })
}

/// Marks a backstore that was taken over as the one of a volume. Hosts are not told the alias.
pub fn mark(configfs: &Configfs, place: &str, uuid: &str) -> Result<(), ConfigfsError> {
    configfs.write(&alias(place), &format!("{NAME_PREFIX}{uuid}"))
}

/// Takes the mark of a backstore off.
pub fn unmark(configfs: &Configfs, place: &str) -> Result<(), ConfigfsError> {
    configfs.write(&alias(place), "\n")
}

/// What the kernel keeps for us with a backstore.
fn alias(place: &str) -> String {
    format!("core/{place}/alias")
}

/// Whether a backstore is a volume's, whoever made it: by its name or mark, or because hosts find the
/// volume's identifier on it.
pub fn is_of(configfs: &Configfs, place: &str, uuid: &str) -> bool {
    match exports(configfs, place) {
        Some(known) => known == uuid,
        None => serial(configfs, place)
            .is_ok_and(|serial| serial == Some(VolumeId::from(uuid).unit_serial())),
    }
}

/// Removes a backstore that nothing is exported from, and its HBA when that is empty.
pub fn remove(configfs: &Configfs, place: &str) -> Result<(), ConfigfsError> {
    configfs.remove(&format!("core/{place}"))?;
    let hba = place.split('/').next().unwrap_or(place);
    match configfs.remove(&format!("core/{hba}")) {
        Ok(_) => Ok(()),
        // Another manager may have put a second device there.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DirectoryNotEmpty | ErrorKind::ResourceBusy
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The company identifier that goes into the NAA identifier, where the kernel tells it.
pub fn company(configfs: &Configfs, place: &str) -> Option<u32> {
    let text = configfs
        .read(&format!("core/{place}/wwn/company_id"))
        .ok()?;
    u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// The unit serial, without the words before it.
pub fn serial(configfs: &Configfs, place: &str) -> Result<Option<String>, ConfigfsError> {
    let text = configfs.read(&format!("core/{place}/wwn/vpd_unit_serial"))?;
    Ok(text
        .rsplit_once(": ")
        .map(|(_, serial)| serial.trim().to_owned())
        .filter(|s| !s.is_empty()))
}

/// A fresh `iblock_N`: the first number that nobody has taken meanwhile.
fn make_hba(configfs: &Configfs) -> Result<String, ConfigfsError> {
    let taken = configfs.folders("core")?;
    let mut last = None;
    for number in FIRST_NUMBER..FIRST_NUMBER + NUMBERS {
        let hba = format!("iblock_{number}");
        if taken.binary_search(&hba).is_ok() {
            continue;
        }
        if configfs.make(&format!("core/{hba}"))? {
            return Ok(hba);
        }
        last = Some(hba);
    }
    Err(ConfigfsError {
        action: "make",
        path: format!("core/{}", last.as_deref().unwrap_or("iblock_N")),
        text: None,
        source: ErrorKind::AlreadyExists.into(),
    })
}

fn fill(configfs: &Configfs, place: &str, wanted: &Wanted<'_>) -> Result<(), ConfigfsError> {
    let write =
        |attribute: &str, text: &str| configfs.write(&format!("core/{place}/{attribute}"), text);
    write("control", &format!("udev_path={}", wanted.device))?;
    // Only a note for the kernel, but other managers save it as the device.
    write("udev_path", wanted.device)?;
    write("wwn/vpd_unit_serial", wanted.serial)?;
    if let Some(model) = wanted.model {
        write("wwn/product_id", model)?;
    }
    write("enable", "1")?;
    aptpl::restore(configfs, place, wanted.serial);
    let unmap = if wanted.thin { "1" } else { "0" };
    write("attrib/emulate_tpu", unmap)?;
    write("attrib/emulate_tpws", unmap)
}
