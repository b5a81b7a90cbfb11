//! Disk Drive Lite: drives, the things that they are, and their firmware (SMI-S 1.6.1 block book).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::array::{Disk, DiskId, DiskKind, Drive, Interconnect, Media, Pool};
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::status::set_health;
use super::view::View;
use super::volumes::BLOCK;
use super::{extents, pools};

const FIRMWARE: &str = "Standpipe:DriveFirmware:";

/// What is known of a disk, if it is a drive.
fn drive(disk: &Disk) -> Option<&Drive> {
    match &disk.kind {
        DiskKind::Drive(drive) => Some(drive),
        DiskKind::Partition { .. } | DiskKind::Raid { .. } => None,
    }
}

fn known<'a>(view: &'a View, id: &DiskId) -> Option<(&'a Arc<Disk>, &'a Drive)> {
    let disk = view.inventory.disk(id)?;
    Some((disk, drive(disk)?))
}

/// The drive that an element is or belongs to.
fn of<'a>(view: &'a View, element: &Element) -> Option<(&'a Arc<Disk>, &'a Drive)> {
    match element {
        Element::Drive(id) | Element::DrivePackage(id) | Element::Firmware(id) => known(view, id),
        _ => None,
    }
}

fn all(view: &View) -> impl Iterator<Item = (&Arc<Disk>, &Drive)> {
    let disks = view.inventory.disks();
    disks.filter_map(|disk| Some((disk, drive(disk)?)))
}

/// The element that tells how a disk is: a drive itself, of anything else its extent.
pub(super) fn element(disk: &Disk) -> Element {
    match drive(disk) {
        Some(_) => Element::Drive(disk.id.clone()),
        None => Element::Extent(disk.id.clone()),
    }
}

pub(super) fn list(view: &View) -> Vec<Element> {
    all(view)
        .map(|(disk, _)| Element::Drive(disk.id.clone()))
        .collect()
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let (disk, _) = known(view, &keys.text("DeviceID")?.into())?;
    Some(Element::Drive(disk.id.clone()))
}

pub(super) fn path_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_DiskDrive>,
) -> PathBuilder<class::Standpipe_DiskDrive> {
    let Element::Drive(id) = element else {
        return path;
    };
    array_keys!(path, view, Standpipe_DiskDrive.DeviceID, id.as_str())
}

/// Maker and model, as far as they are known; else the device.
fn label(disk: &Disk, drive: &Drive) -> String {
    let known: Vec<_> = [&drive.vendor, &drive.model]
        .into_iter()
        .filter_map(Option::as_deref)
        .collect();
    match known.is_empty() {
        true => disk.device.clone(),
        false => known.join(" "),
    }
}

/// `InterconnectType`, and `OtherInterconnectType` where the list has none that fits.
fn interconnect(drive: &Drive) -> (u16, Option<&'static str>) {
    match drive.interconnect {
        Interconnect::Unknown => (0, None),
        Interconnect::Ata => (3, None),
        Interconnect::Sata => (4, None),
        Interconnect::Sas => (5, None),
        Interconnect::FibreChannel => (6, None),
        Interconnect::Iscsi => (1, Some("iSCSI")),
        Interconnect::Nvme => (1, Some("NVMe")),
        Interconnect::Usb => (1, Some("USB")),
        Interconnect::Virtio => (1, Some("virtio")),
    }
}

/// What identifies it, each with what it is.
fn identifiers(drive: &Drive) -> (Vec<String>, Vec<&'static str>) {
    let all = [
        (&drive.wwn, "World Wide Name"),
        (&drive.serial, "Serial Number"),
    ];
    let known = all.into_iter();
    known
        .filter_map(|(id, what)| Some((id.clone()?, what)))
        .unzip()
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_DiskDrive>,
) -> Builder<class::Standpipe_DiskDrive> {
    use class::Standpipe_DiskDrive as P;
    let Some((disk, drive)) = of(view, element) else {
        return out;
    };
    let (interconnect, other) = interconnect(drive);
    // 2 Hard Disk Drive, 3 Solid State Drive; what does not turn does so at no speed.
    let (kind, rpm) = match drive.media {
        Media::Unknown => (0u16, None),
        Media::Rotating => (2, None),
        Media::SolidState => (3, Some(0u32)),
    };
    set_health!(out, P, &disk.health)
        .set(P::Name, disk.device.as_str())
        .set_with(P::ElementName, || label(disk, drive))
        .set_with(P::OtherIdentifyingInfo, || identifiers(drive).0)
        .set_with(P::IdentifyingDescriptions, || identifiers(drive).1)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        .set(P::DiskType, kind)
        .set(P::InterconnectType, interconnect)
        .set_some(P::OtherInterconnectType, other)
        // 2 Not Reported.
        .set(P::FormFactor, 2u16)
        .set_some(P::RPM, rpm)
        // 3 Random Access, 4 Supports Writing.
        .set(P::Capabilities, [3u16, 4])
        .set(P::DefaultBlockSize, BLOCK)
        .set(P::MaxMediaSize, disk.size / 1000)
}

pub(super) fn list_packages(view: &View) -> Vec<Element> {
    all(view)
        .map(|(disk, _)| Element::DrivePackage(disk.id.clone()))
        .collect()
}

pub(super) fn find_package(view: &View, keys: &Keys) -> Option<Element> {
    let (disk, _) = known(view, &keys.text("Tag")?.into())?;
    Some(Element::DrivePackage(disk.id.clone()))
}

pub(super) fn package_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_PhysicalPackage>,
) -> PathBuilder<class::Standpipe_PhysicalPackage> {
    use class::Standpipe_PhysicalPackage as P;
    let Element::DrivePackage(id) = element else {
        return path;
    };
    path.key(P::CreationClassName, "Standpipe_PhysicalPackage")
        .key(P::Tag, id.as_str())
}

pub(super) fn fill_package(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_PhysicalPackage>,
) -> Builder<class::Standpipe_PhysicalPackage> {
    use class::Standpipe_PhysicalPackage as P;
    let Some((disk, drive)) = of(view, element) else {
        return out;
    };
    set_health!(out, P, &disk.health)
        .set_with(P::ElementName, || label(disk, drive))
        .set_some(P::Manufacturer, drive.vendor.as_deref())
        .set_some(P::Model, drive.model.as_deref())
        .set_some(P::SerialNumber, drive.serial.as_deref())
        // 15 Storage Media Package.
        .set(P::PackageType, 15u16)
}

/// The packages that the array's chassis holds.
pub(super) fn packages_inside(view: &View) -> Vec<Element> {
    let mut packages = list_packages(view);
    packages.retain(|package| is_inside(view, package));
    packages
}

/// Whether a drive is in the array's chassis: what a network leads to stands elsewhere.
pub(super) fn is_inside(view: &View, package: &Element) -> bool {
    of(view, package).is_some_and(|(_, drive)| match drive.interconnect {
        Interconnect::Iscsi | Interconnect::FibreChannel => false,
        Interconnect::Unknown
        | Interconnect::Ata
        | Interconnect::Sata
        | Interconnect::Sas
        | Interconnect::Nvme
        | Interconnect::Usb
        | Interconnect::Virtio => true,
    })
}

pub(super) fn list_firmware(view: &View) -> Vec<Element> {
    all(view)
        .filter(|(_, drive)| drive.firmware.is_some())
        .map(|(disk, _)| Element::Firmware(disk.id.clone()))
        .collect()
}

/// The firmware of a drive, where the kernel knows it.
pub(super) fn firmware(view: &View, id: &DiskId) -> Option<Element> {
    let (disk, drive) = known(view, id)?;
    drive.firmware.as_ref()?;
    Some(Element::Firmware(disk.id.clone()))
}

pub(super) fn find_firmware(view: &View, keys: &Keys) -> Option<Element> {
    firmware(
        view,
        &keys.text("InstanceID")?.strip_prefix(FIRMWARE)?.into(),
    )
}

pub(super) fn firmware_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_DriveFirmware>,
) -> PathBuilder<class::Standpipe_DriveFirmware> {
    let Element::Firmware(id) = element else {
        return path;
    };
    path.key(
        class::Standpipe_DriveFirmware::InstanceID,
        format!("{FIRMWARE}{id}"),
    )
}

pub(super) fn fill_firmware(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_DriveFirmware>,
) -> Builder<class::Standpipe_DriveFirmware> {
    use class::Standpipe_DriveFirmware as P;
    let Some((disk, drive)) = of(view, element) else {
        return out;
    };
    out.set_with(P::Name, || format!("Firmware of {}", disk.device))
        .set_with(P::ElementName, || format!("Firmware of {}", disk.device))
        .set_some(P::VersionString, drive.firmware.as_deref())
        .set_some(P::Manufacturer, drive.vendor.as_deref())
        // 10 Firmware.
        .set(P::Classifications, [10u16])
        .set(P::IsEntity, true)
}

/// Everything that a step leads to from a disk on, the disk first.
fn reached<'a, I: Iterator<Item = &'a Arc<Disk>>>(
    from: &'a Arc<Disk>,
    step: impl Fn(&'a Disk) -> I,
) -> Vec<&'a Arc<Disk>> {
    let mut found = vec![from];
    let mut at = 0;
    while let Some(&disk) = found.get(at) {
        for next in step(disk) {
            if !found.iter().any(|known| known.id == next.id) {
                found.push(next);
            }
        }
        at += 1;
    }
    found
}

/// A disk and all that is made from it: partitions, arrays of drives.
pub(super) fn upwards<'a>(view: &'a View, disk: &'a Arc<Disk>) -> Vec<&'a Arc<Disk>> {
    reached(disk, |disk| view.inventory.disks_above(&disk.id))
}

/// A disk and all that it is made from, down to the drives.
pub(super) fn downwards<'a>(view: &'a View, disk: &'a Arc<Disk>) -> Vec<&'a Arc<Disk>> {
    reached(disk, |disk| {
        let ids = disk.below().iter();
        ids.filter_map(|id| view.inventory.disk(id))
    })
}

/// The pools of which a disk holds a part: its group, and those thin pools in it that lie there
/// with data or metadata.
pub(super) fn pools_on<'a>(view: &'a View, disk: &'a Disk) -> impl Iterator<Item = &'a Arc<Pool>> {
    let group = disk.pool().and_then(|id| pools::shown(view, id));
    let thin = group
        .into_iter()
        .flat_map(|group| view.inventory.thin_pools_in(&group.id))
        .filter(|pool| pool.job.is_none() && pool.disks.contains(&disk.id));
    group.into_iter().chain(thin)
}

/// The drives without which a pool would lack something; of the primordial pool, those that its
/// extents lie on.
pub(super) fn drives_of_pool(view: &View, pool: &Element) -> Vec<Element> {
    let disks: Vec<_> = match pool {
        Element::PrimordialPool => {
            let disks = view.inventory.disks();
            disks
                .filter(|disk| extents::is_managed(view, disk))
                .collect()
        }
        _ => match pools::pool_of(view, pool) {
            Some(pool) => pools::disks(view, pool).collect(),
            None => Vec::new(),
        },
    };
    let below = disks.into_iter().flat_map(|disk| downwards(view, disk));
    let drives = below.filter(|disk| drive(disk).is_some());
    let ids: BTreeSet<_> = drives.map(|disk| &disk.id).collect();
    ids.into_iter().cloned().map(Element::Drive).collect()
}

/// The pools that depend on a drive.
pub(super) fn pools_of_drive(view: &View, element: &Element) -> Vec<Element> {
    let Some((disk, _)) = of(view, element) else {
        return Vec::new();
    };
    let above = upwards(view, disk);
    let is_managed = above.iter().any(|disk| extents::is_managed(view, disk));
    let on = above.iter().flat_map(|disk| pools_on(view, disk));
    let ids: BTreeSet<_> = on.map(|pool| &pool.id).collect();
    let primordial = is_managed.then_some(Element::PrimordialPool);
    let pools = ids.into_iter().cloned().map(Element::Pool);
    primordial.into_iter().chain(pools).collect()
}
