//! Block Services: volumes and their settings (SMI-S 1.6.1 block book, Block Services Package).

use std::sync::Arc;

use crate::array::{Owner, Volume, VolumeId};
use crate::cim::{DateTime, Keys};
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::status::set_health;
use super::view::View;

/// Bytes of the blocks that volumes are counted in.
pub(super) const BLOCK: u64 = 512;

const SETTING: &str = "Standpipe:StorageSetting:";

/// The volume, if it is finished: nobody sees half-made ones.
pub(super) fn volume<'a>(view: &'a View, id: &VolumeId) -> Option<&'a Arc<Volume>> {
    view.inventory
        .volume(id)
        .filter(|volume| volume.job.is_none())
}

fn finished(view: &View) -> impl Iterator<Item = &Arc<Volume>> {
    view.inventory
        .volumes()
        .filter(|volume| volume.job.is_none())
}

fn of<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<Volume>> {
    match element {
        Element::Volume(id) | Element::Setting(id) => volume(view, id),
        _ => None,
    }
}

pub(super) fn list(view: &View) -> Vec<Element> {
    finished(view)
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
    let out = set_health!(out, P, &volume.health);
    out.set_with(P::Name, || volume.naa.to_string())
        .set(P::NameFormat, 9u16)
        .set(P::NameNamespace, 2u16)
        .set_with(P::OtherIdentifyingInfo, || [volume.naa.to_string()])
        .set(P::IdentifyingDescriptions, ["NAA;VPD83Type3"])
        .set(P::ElementName, volume.name.as_str())
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        .set(P::ExtentStatus, [17u16])
        .set(P::BlockSize, BLOCK)
        .set(P::NumberOfBlocks, blocks)
        .set(P::ConsumableBlocks, blocks)
        .set(P::IsBasedOnUnderlyingRedundancy, false)
        .set(P::NoSinglePointOfFailure, false)
        .set(P::DataRedundancy, 1u16)
        .set(P::PackageRedundancy, 0u16)
        .set(P::Primordial, false)
        .set(P::ThinlyProvisioned, false)
        .set(P::IsComposite, false)
        .set_with(P::CanDelete, || {
            own && view
                .inventory
                .groups_with_volume(&volume.id)
                .next()
                .is_none()
        })
        // What this array did not make is reserved for the system: consoles leave it alone.
        .set(P::Usage, if own { 2u16 } else { 3 })
        .set(P::ExtentDiscriminator, ["SNIA:Allocated"])
        .set(P::SequentialAccess, false)
        .set(P::DataOrganization, 2u16)
        .set(P::Access, 3u16)
        .set_with(P::InstallDate, || volume.created.map(DateTime::utc))
}

pub(super) fn list_settings(view: &View) -> Vec<Element> {
    finished(view)
        .map(|volume| Element::Setting(volume.id.clone()))
        .collect()
}

pub(super) fn find_setting(view: &View, keys: &Keys) -> Option<Element> {
    let id = keys.text("InstanceID")?.strip_prefix(SETTING)?;
    volume(view, &id.into()).map(|v| Element::Setting(v.id.clone()))
}

pub(super) fn setting_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_StorageSetting>,
) -> PathBuilder<class::Standpipe_StorageSetting> {
    let Element::Setting(id) = element else {
        return path;
    };
    path.key(
        class::Standpipe_StorageSetting::InstanceID,
        format!("{SETTING}{id}"),
    )
}

pub(super) fn fill_setting(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageSetting>,
) -> Builder<class::Standpipe_StorageSetting> {
    use class::Standpipe_StorageSetting as P;
    let Some(volume) = of(view, element) else {
        return out;
    };
    out.set_with(P::ElementName, || {
        format!("Quality of service of {}", volume.name)
    })
    .set(P::NoSinglePointOfFailure, false)
    .set(P::DataRedundancyMin, 1u16)
    .set(P::DataRedundancyMax, 1u16)
    .set(P::DataRedundancyGoal, 1u16)
    .set(P::PackageRedundancyMin, 0u16)
    .set(P::PackageRedundancyMax, 0u16)
    .set(P::PackageRedundancyGoal, 0u16)
    .set(P::ChangeableType, 0u16)
}
