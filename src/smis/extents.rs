//! The extents that pools lie on or can be made from: drives, partitions, arrays of drives
//! (SMI-S 1.6.1 block book, Disk Drive Lite and Extent Composition).

use std::ops::Range;
use std::sync::Arc;

use crate::array::{Disk, DiskId, DiskKind, DiskUsage, Drive, Health, Piece, Volume};
use crate::cim::Keys;
use crate::schema::class::CIM_BasedOn as BasedOn;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::pools;
use super::status::set_health;
use super::view::View;
use super::volumes::{self, BLOCK};

pub(super) fn list(view: &View) -> Vec<Element> {
    view.inventory
        .disks()
        .map(|disk| Element::Extent(disk.id.clone()))
        .collect()
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let id: DiskId = keys.text("DeviceID")?.into();
    view.inventory
        .disk(&id)
        .map(|disk| Element::Extent(disk.id.clone()))
}

pub(super) fn path_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_StorageExtent>,
) -> PathBuilder<class::Standpipe_StorageExtent> {
    let Element::Extent(id) = element else {
        return path;
    };
    array_keys!(path, view, Standpipe_StorageExtent.DeviceID, id.as_str())
}

/// The disk that an element stands for.
pub(super) fn disk_of<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<Disk>> {
    match element {
        Element::Extent(id) => view.inventory.disk(id),
        _ => None,
    }
}

/// `Name` with `NameFormat` and `NameNamespace`: the world-wide name where it is a NAA identifier
/// (9 NAA, 2 VPD83Type3), else the device (12 OS Device Name, 8 OS Device Namespace).
fn name(disk: &Disk) -> (String, u16, u16) {
    if let DiskKind::Drive(Drive { wwn: Some(wwn), .. }) = &disk.kind {
        let is_naa = match wwn.len() {
            16 => wwn.starts_with(['2', '3', '5']),
            32 => wwn.starts_with('6'),
            _ => false,
        };
        if is_naa {
            return (wwn.to_ascii_uppercase(), 9, 2);
        }
    }
    (disk.device.clone(), 12, 8)
}

/// Complete copies of the data, and how many drives may fail, by what the disk itself is made of.
fn redundancy(disk: &Disk) -> (u16, u16) {
    let DiskKind::Raid { level, of } = &disk.kind else {
        return (1, 0);
    };
    match level.as_str() {
        "raid1" => {
            let copies = u16::try_from(of.len()).unwrap_or(u16::MAX).max(1);
            (copies, copies - 1)
        }
        "raid4" | "raid5" => (1, 1),
        "raid6" => (1, 2),
        "raid10" => (2, 1),
        _ => (1, 0),
    }
}

/// Whether a drive can fail below it without loss of data.
pub(super) fn is_redundant(view: &View, disk: &Disk) -> bool {
    match &disk.kind {
        DiskKind::Drive(_) => false,
        DiskKind::Raid { .. } => redundancy(disk).1 > 0,
        DiskKind::Partition { of, .. } => {
            let whole = view.inventory.disk(of);
            whole.is_some_and(|whole| redundancy(whole).1 > 0)
        }
    }
}

/// `Usage`: 18 In use as, 14 Reserved to be Unrestricted Pool Contributor, 3 Reserved for the
/// system.
fn usage(disk: &Disk) -> u16 {
    match disk.usage {
        DiskUsage::Member { .. } => 18,
        DiskUsage::Free => 14,
        DiskUsage::Taken(_) => 3,
    }
}

/// The parts that it plays in the profiles.
fn discriminators(disk: &Disk) -> Vec<&'static str> {
    match (&disk.kind, disk.pool()) {
        (DiskKind::Drive(_), _) => vec!["SNIA:Pool Component", "SNIA:DiskDrive"],
        (_, Some(_)) => vec!["SNIA:Pool Component"],
        (_, None) => vec!["SNIA:Intermediate"],
    }
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageExtent>,
) -> Builder<class::Standpipe_StorageExtent> {
    use class::Standpipe_StorageExtent as P;
    let Some(disk) = disk_of(view, element) else {
        return out;
    };
    let (name, format, namespace) = name(disk);
    let (copies, survives) = redundancy(disk);
    // A pool uses whole extents of it, and keeps its own records beside them.
    let consumable = match disk.usage {
        DiskUsage::Member { used, free, .. } => used + free,
        DiskUsage::Free | DiskUsage::Taken(_) => disk.size,
    };
    let is_partition = matches!(disk.kind, DiskKind::Partition { .. });
    let out = set_health!(out, P, &disk.health);
    out.set(P::Name, name)
        .set(P::NameFormat, format)
        .set(P::NameNamespace, namespace)
        .set(P::ElementName, disk.device.as_str())
        .set(P::Purpose, purpose(view, disk))
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        // 2 None/Not Applicable, 3 Broken.
        .set(
            P::ExtentStatus,
            [match disk.health {
                Health::Failed(_) => 3u16,
                _ => 2,
            }],
        )
        .set(P::BlockSize, BLOCK)
        .set(P::NumberOfBlocks, disk.size / BLOCK)
        .set(P::ConsumableBlocks, consumable / BLOCK)
        .set(P::Primordial, matches!(disk.kind, DiskKind::Drive(_)))
        .set(P::IsComposite, matches!(disk.kind, DiskKind::Raid { .. }))
        .set(
            P::IsBasedOnUnderlyingRedundancy,
            is_partition && is_redundant(view, disk),
        )
        .set(P::NoSinglePointOfFailure, survives > 0)
        .set(P::DataRedundancy, copies)
        .set(P::PackageRedundancy, survives)
        .set_with(P::ExtentDiscriminator, || discriminators(disk))
        .set(P::Usage, usage(disk))
        .set(P::SequentialAccess, false)
        .set(P::DataOrganization, 2u16)
        .set(P::Access, 3u16)
}

/// What it is used for, in words.
fn purpose(view: &View, disk: &Disk) -> String {
    match &disk.usage {
        DiskUsage::Free => "Free: pools can be made from it".to_owned(),
        DiskUsage::Taken(why) => why.clone(),
        DiskUsage::Member { pool, .. } => match view.inventory.pool(pool) {
            Some(pool) => format!("Part of pool {}", pool.name),
            None => "Part of a pool".to_owned(),
        },
    }
}

/// Whether the primordial pool counts it: what a pool that is shown lies on, and what pools can be
/// made from. What is taken by others is no storage of this array.
pub(super) fn is_managed(view: &View, disk: &Disk) -> bool {
    match &disk.usage {
        DiskUsage::Member { pool, .. } => pools::shown(view, pool).is_some(),
        DiskUsage::Free => true,
        DiskUsage::Taken(_) => false,
    }
}

/// The extents that a pool lies on; of the primordial pool, all that it counts.
pub(super) fn components(view: &View, pool: &Element) -> Vec<Element> {
    let extent = |disk: &Arc<Disk>| Element::Extent(disk.id.clone());
    match pool {
        Element::PrimordialPool => {
            let disks = view.inventory.disks();
            disks
                .filter(|disk| is_managed(view, disk))
                .map(extent)
                .collect()
        }
        Element::Pool(id) => pools::shown(view, id)
            .filter(|pool| pool.thin().is_none())
            .map(|pool| pools::disks(view, pool).map(extent).collect())
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The pools that an extent is a component of.
pub(super) fn component_of(view: &View, extent: &Element) -> Vec<Element> {
    let Some(disk) = disk_of(view, extent).filter(|disk| is_managed(view, disk)) else {
        return Vec::new();
    };
    let pool = disk.pool().cloned().map(Element::Pool);
    std::iter::once(Element::PrimordialPool)
        .chain(pool)
        .collect()
}

/// A disk that something is built on.
struct Base<'a> {
    disk: &'a DiskId,
    /// From the first byte that it has there to the end of the last; in between there may be bytes
    /// of others. `None` where nobody knows.
    span: Option<Range<u64>>,
}

/// Where a volume lies: of a thin one, where the data of its pool does.
fn pieces<'a>(view: &'a View, volume: &'a Volume) -> &'a [Piece] {
    let thin = volumes::pool(view, volume).and_then(|pool| pool.thin());
    thin.map_or(&volume.pieces, |thin| &thin.pieces)
}

/// The disks that these pieces lie on, each once, in the order in which they are used.
fn under(pieces: &[Piece]) -> Vec<Base<'_>> {
    let mut bases: Vec<Base<'_>> = Vec::new();
    for piece in pieces {
        let (start, end) = (piece.start, piece.start.saturating_add(piece.length));
        match bases.iter_mut().find(|base| *base.disk == piece.disk) {
            Some(Base {
                span: Some(span), ..
            }) => *span = span.start.min(start)..span.end.max(end),
            _ => bases.push(Base {
                disk: &piece.disk,
                span: Some(start..end),
            }),
        }
    }
    bases
}

/// What a volume, a partition or an array of drives is built on.
fn bases<'a>(view: &'a View, element: &Element) -> Vec<Base<'a>> {
    if let Element::Volume(id) = element {
        let volume = volumes::volume(view, id);
        return volume.map_or_else(Vec::new, |volume| under(pieces(view, volume)));
    }
    let Some(disk) = disk_of(view, element) else {
        return Vec::new();
    };
    match &disk.kind {
        DiskKind::Drive(_) => Vec::new(),
        DiskKind::Partition { of, start } => vec![Base {
            disk: of,
            span: Some(*start..start.saturating_add(disk.size)),
        }],
        // Where the data begins on a member is the array's own affair.
        DiskKind::Raid { of, .. } => {
            let members = of.iter();
            members.map(|disk| Base { disk, span: None }).collect()
        }
    }
}

/// The extents that a volume, a partition or an array of drives is built on.
pub(super) fn below(view: &View, element: &Element) -> Vec<Element> {
    let disks = bases(view, element);
    let known = disks
        .iter()
        .filter_map(|base| view.inventory.disk(base.disk));
    known.map(|disk| Element::Extent(disk.id.clone())).collect()
}

/// What is built on an extent: partitions, arrays of drives, volumes.
pub(super) fn above(view: &View, extent: &Element) -> Vec<Element> {
    let Element::Extent(id) = extent else {
        return Vec::new();
    };
    let inventory = &view.inventory;
    let disks = inventory.disks_above(id);
    let thin = inventory.thin_pools_on(id);
    let in_thin = thin.flat_map(|pool| inventory.volumes_in(&pool.id));
    let volumes = inventory.volumes_on(id).chain(in_thin);
    let shown = volumes.filter(|volume| volumes::is_shown(view, volume));
    disks
        .map(|disk| Element::Extent(disk.id.clone()))
        .chain(shown.map(|volume| Element::Volume(volume.id.clone())))
        .collect()
}

/// How something is built on an extent: in which place, counted from 1, and on which blocks.
pub(super) fn fill_based_on(
    view: &View,
    extent: &Element,
    built: &Element,
    out: Builder<BasedOn>,
) -> Builder<BasedOn> {
    let Element::Extent(id) = extent else {
        return out;
    };
    let mut bases = (1u16..).zip(bases(view, built));
    let Some((place, base)) = bases.find(|(_, base)| base.disk == id) else {
        return out;
    };
    let span = base.span.filter(|span| !span.is_empty());
    let blocks = span.map(|span| (span.start / BLOCK, (span.end - 1) / BLOCK));
    out.set(BasedOn::OrderIndex, place)
        .set_some(BasedOn::StartingAddress, blocks.as_ref().map(|b| b.0))
        .set_some(BasedOn::EndingAddress, blocks.as_ref().map(|b| b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(kind: DiskKind) -> Disk {
        Disk {
            id: "disk".into(),
            device: "/dev/sdb".into(),
            size: 1 << 30,
            kind,
            usage: DiskUsage::Free,
            health: Health::Ok,
        }
    }

    #[test]
    fn a_disk_is_called_by_its_world_wide_name_only_where_that_is_a_naa_identifier() {
        let named = |wwn: &str| {
            let wwn = Some(wwn.to_owned());
            name(&disk(DiskKind::Drive(Drive {
                wwn,
                ..Drive::default()
            })))
        };
        assert_eq!(
            named("5000c500a1b2c3d4"),
            ("5000C500A1B2C3D4".to_owned(), 9, 2)
        );
        for other in ["0025385b71b00a01", "5000", "x"] {
            assert_eq!(named(other), ("/dev/sdb".to_owned(), 12, 8), "{other}");
        }
    }

    #[test]
    fn an_array_of_drives_survives_what_its_level_does() {
        let of = || vec![DiskId::from("a"), "b".into(), "c".into()];
        for (level, wanted) in [
            ("raid0", (1, 0)),
            ("raid1", (3, 2)),
            ("raid5", (1, 1)),
            ("raid6", (1, 2)),
            ("raid10", (2, 1)),
        ] {
            let array = disk(DiskKind::Raid {
                level: level.to_owned(),
                of: of(),
            });
            assert_eq!(redundancy(&array), wanted, "{level}");
        }
    }
}
