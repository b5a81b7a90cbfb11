//! Block Services: volumes (SMI-S 1.6.1 block book, Block Services Package).

use std::sync::Arc;

use crate::array::{Copying, DiskId, Owner, Pool, ReplicaKind, Volume, VolumeId};
use crate::cim::{DateTime, Keys};
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::status::set_health;
use super::view::View;
use super::{extents, replicas};

/// Bytes of the blocks that volumes are counted in.
pub(super) const BLOCK: u64 = 512;

/// Whether clients see a volume: nobody sees half-made ones.
pub(super) fn is_shown(view: &View, volume: &Volume) -> bool {
    view.inventory.is_settled(volume)
}

/// The volume, if clients see it.
pub(super) fn volume<'a>(view: &'a View, id: &VolumeId) -> Option<&'a Arc<Volume>> {
    view.inventory
        .volume(id)
        .filter(|volume| is_shown(view, volume))
}

/// The pool that a volume lies in.
pub(super) fn pool<'a>(view: &'a View, volume: &Volume) -> Option<&'a Arc<Pool>> {
    view.inventory.pool(&volume.pool)
}

/// Whether it takes space only as it is written to.
pub(super) fn is_thin(view: &View, volume: &Volume) -> bool {
    pool(view, volume).is_some_and(|pool| pool.thin().is_some())
}

/// Whether what it lies on survives a failed drive: the pool of a thin volume, else every disk.
fn has_redundancy_below(view: &View, volume: &Volume) -> bool {
    if let Some(thin) = pool(view, volume).and_then(|pool| pool.thin()) {
        return thin.layout.survives() > 0;
    }
    let redundant = |disk: &DiskId| {
        let disk = view.inventory.disk(disk);
        disk.is_some_and(|disk| extents::is_redundant(view, disk))
    };
    let mut pieces = volume.pieces.iter();
    !volume.pieces.is_empty() && pieces.all(|piece| redundant(&piece.disk))
}

/// All volumes that clients see.
pub(super) fn shown(view: &View) -> impl Iterator<Item = &Arc<Volume>> {
    view.inventory
        .volumes()
        .filter(|volume| is_shown(view, volume))
}

/// Whether no group holds it and no snapshot needs it.
fn is_unused(view: &View, volume: &Volume) -> bool {
    let inventory = &view.inventory;
    let mut needing = inventory
        .replicas_of(&volume.id)
        .filter(|replica| replica.depends_on().is_some());
    inventory.groups_with_volume(&volume.id).next().is_none() && needing.next().is_none()
}

/// `ExtentStatus`: 17 Exported, and 4 Data Lost where it does not hold what it is to hold.
fn extent_status(volume: &Volume) -> Vec<u16> {
    match volume.is_broken() || volume.torn.is_some() {
        true => vec![17, 4],
        false => vec![17],
    }
}

/// Room for what changes in percent of what could, of a snapshot that has room of its own.
pub(super) fn delta_reservation(volume: &Volume) -> Option<u8> {
    match volume.replica.as_ref()?.kind {
        ReplicaKind::Delta { room, .. } => {
            let percent = u128::from(room) * 100 / u128::from(volume.size.max(1));
            Some(u8::try_from(percent.min(100)).unwrap_or(100))
        }
        ReplicaKind::Shared | ReplicaKind::Clone => None,
    }
}

/// `Usage`: 2 Unrestricted, 6 Local Replica Source, 8 Local Replica Target, 10 Local Replica Source
/// or Target, 12 Delta Replica Target. What this array did not make is 3 Reserved for the system:
/// consoles leave it alone.
fn usage(view: &View, volume: &Volume) -> u16 {
    if volume.owner != Owner::Array {
        return 3;
    }
    let is_source = replicas::of_source(view, &volume.id).next().is_some();
    let target = replicas::pair(view, &volume.id).map(|pair| pair.kind());
    match (is_source, target) {
        (false, None) => 2,
        (true, None) => 6,
        (false, Some(Copying::Clone)) => 8,
        (true, Some(_)) => 10,
        (false, Some(Copying::Snapshot)) => 12,
    }
}

/// Every `Usage` that a volume of this array can have.
pub(super) const USAGES: [u16; 5] = [2, 6, 8, 10, 12];

fn of<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<Volume>> {
    match element {
        Element::Volume(id) => volume(view, id),
        _ => None,
    }
}

pub(super) fn list(view: &View) -> Vec<Element> {
    shown(view)
        .map(|volume| Element::Volume(volume.id.clone()))
        .collect()
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    volume(view, &keys.text("DeviceID")?.into()).map(|v| Element::Volume(v.id.clone()))
}

pub(super) fn path_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_StorageVolume>,
) -> PathBuilder<class::Standpipe_StorageVolume> {
    let Element::Volume(id) = element else {
        return path;
    };
    array_keys!(path, view, Standpipe_StorageVolume.DeviceID, id.as_str())
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageVolume>,
) -> Builder<class::Standpipe_StorageVolume> {
    use class::Standpipe_StorageVolume as P;
    let Some(volume) = of(view, element) else {
        return out;
    };
    let blocks = volume.size / BLOCK;
    let own = volume.owner == Owner::Array;
    let layout = volume.layout;
    let out = set_health!(out, P, &volume.health);
    out.set_with(P::Name, || volume.naa.to_string())
        .set(P::NameFormat, 9u16)
        .set(P::NameNamespace, 2u16)
        .set_with(P::OtherIdentifyingInfo, || [volume.naa.to_string()])
        .set(P::IdentifyingDescriptions, ["NAA;VPD83Type3"])
        .set(P::ElementName, volume.name.as_str())
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        .set_with(P::ExtentStatus, || extent_status(volume))
        .set(P::BlockSize, BLOCK)
        .set(P::NumberOfBlocks, blocks)
        .set(P::ConsumableBlocks, blocks)
        .set_with(P::IsBasedOnUnderlyingRedundancy, || {
            has_redundancy_below(view, volume)
        })
        // What it has now: legs that are not in step yet do not count.
        .set(P::NoSinglePointOfFailure, volume.survives() > 0)
        .set(P::DataRedundancy, volume.copies())
        .set(P::PackageRedundancy, volume.survives())
        .set(P::ExtentStripeLength, u64::from(layout.stripe_length()))
        .set(P::Primordial, false)
        .set_with(P::ThinlyProvisioned, || is_thin(view, volume))
        .set(P::IsComposite, false)
        .set_with(P::CanDelete, || own && is_unused(view, volume))
        .set_some(P::DeltaReservation, delta_reservation(volume))
        .set_with(P::Usage, || usage(view, volume))
        .set(P::ExtentDiscriminator, ["SNIA:Allocated"])
        .set(P::SequentialAccess, false)
        .set(P::DataOrganization, 2u16)
        .set(P::Access, 3u16)
        .set_with(P::InstallDate, || volume.created.map(DateTime::utc))
}
