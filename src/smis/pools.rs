//! Block Services: pools and their capabilities (SMI-S 1.6.1 block book, Block Services Package).

use std::sync::Arc;

use crate::array::{Pool, PoolId};
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::{Element, Scope};
use super::status::{set_health, worst};
use super::view::View;

const POOL: &str = "Standpipe:Pool:";
const PRIMORDIAL: &str = "Standpipe:Pool:primordial";
const STORAGE: &str = "Standpipe:StorageCapabilities:";
const CONFIGURATION: &str = "Standpipe:StorageConfigurationCapabilities:";
const WHOLE_ARRAY: &str = "array";

pub(super) fn list(view: &View) -> Vec<Element> {
    view.inventory
        .pools()
        .map(|pool| Element::Pool(pool.id.clone()))
        .collect()
}

fn known(view: &View, id: &str) -> Option<PoolId> {
    view.inventory.pool(&id.into()).map(|pool| pool.id.clone())
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    known(view, keys.text("InstanceID")?.strip_prefix(POOL)?).map(Element::Pool)
}

pub(super) fn path_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_StoragePool>,
) -> PathBuilder<class::Standpipe_StoragePool> {
    let Element::Pool(id) = element else {
        return path;
    };
    path.key(
        class::Standpipe_StoragePool::InstanceID,
        format!("{POOL}{id}"),
    )
}

pub(super) fn primordial_keys(
    _view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_PrimordialStoragePool>,
) -> PathBuilder<class::Standpipe_PrimordialStoragePool> {
    path.key(
        class::Standpipe_PrimordialStoragePool::InstanceID,
        PRIMORDIAL,
    )
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StoragePool>,
) -> Builder<class::Standpipe_StoragePool> {
    use class::Standpipe_StoragePool as P;
    let Some(pool) = pool_of(view, element) else {
        return out;
    };
    let out = set_health!(out, P, &pool.health);
    out.set(P::PoolID, pool.id.as_str())
        .set(P::ElementName, pool.name.as_str())
        .set(P::Name, pool.name.as_str())
        .set(P::Primordial, false)
        .set(P::TotalManagedSpace, pool.size)
        .set(P::RemainingManagedSpace, pool.free)
        .set(P::Usage, 2u16)
        .set(P::ElementsShareSpace, false)
}

pub(super) fn pool_of<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<Pool>> {
    match element {
        Element::Pool(id) => view.inventory.pool(id),
        _ => None,
    }
}

pub(super) fn fill_primordial(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_PrimordialStoragePool>,
) -> Builder<class::Standpipe_PrimordialStoragePool> {
    use class::Standpipe_PrimordialStoragePool as P;
    let total: u64 = view.inventory.disks().map(|disk| disk.size).sum();
    let taken: u64 = view
        .inventory
        .pools()
        .map(|pool| taken_from_disks(view, pool))
        .sum();
    let health = worst(view.inventory.disks().map(|disk| &disk.health));
    let out = set_health!(out, P, &health);
    out.set(P::PoolID, "primordial")
        .set(P::ElementName, "All disks")
        .set(P::Name, "All disks")
        .set(P::Primordial, true)
        .set(P::TotalManagedSpace, total)
        .set(P::RemainingManagedSpace, total.saturating_sub(taken))
        .set(P::Usage, 2u16)
}

/// Bytes that a pool takes from the disks that it lies on: all of each.
pub(super) fn taken_from_disks(view: &View, pool: &Pool) -> u64 {
    pool.disks
        .iter()
        .filter_map(|id| view.inventory.disk(id))
        .map(|disk| disk.size)
        .sum()
}

/// The scopes that have capabilities: the array and each pool.
fn scopes(view: &View) -> impl Iterator<Item = Scope> {
    let pools = view
        .inventory
        .pools()
        .map(|pool| Scope::Pool(pool.id.clone()));
    std::iter::once(Scope::Array).chain(pools)
}

fn find_scope(view: &View, keys: &Keys, prefix: &str) -> Option<Scope> {
    match keys.text("InstanceID")?.strip_prefix(prefix)? {
        WHOLE_ARRAY => Some(Scope::Array),
        id => known(view, id).map(Scope::Pool),
    }
}

fn scope_id(prefix: &str, scope: &Scope) -> String {
    match scope {
        Scope::Array => format!("{prefix}{WHOLE_ARRAY}"),
        Scope::Pool(id) => format!("{prefix}{id}"),
    }
}

/// What people call the owner of capabilities.
fn scope_name(view: &View, scope: &Scope) -> String {
    match scope {
        Scope::Array => "the array".to_owned(),
        Scope::Pool(id) => match view.inventory.pool(id) {
            Some(pool) => format!("pool {}", pool.name),
            None => "a pool".to_owned(),
        },
    }
}

pub(super) fn list_storage_capabilities(view: &View) -> Vec<Element> {
    scopes(view).map(Element::StorageCapabilities).collect()
}

pub(super) fn find_storage_capabilities(view: &View, keys: &Keys) -> Option<Element> {
    find_scope(view, keys, STORAGE).map(Element::StorageCapabilities)
}

pub(super) fn storage_capabilities_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_StorageCapabilities>,
) -> PathBuilder<class::Standpipe_StorageCapabilities> {
    let Element::StorageCapabilities(scope) = element else {
        return path;
    };
    path.key(
        class::Standpipe_StorageCapabilities::InstanceID,
        scope_id(STORAGE, scope),
    )
}

pub(super) fn fill_storage_capabilities(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageCapabilities>,
) -> Builder<class::Standpipe_StorageCapabilities> {
    use class::Standpipe_StorageCapabilities as P;
    let Element::StorageCapabilities(scope) = element else {
        return out;
    };
    out.set_with(P::ElementName, || {
        format!("Qualities of service of {}", scope_name(view, scope))
    })
    .set(
        P::ElementType,
        if *scope == Scope::Array { 6u16 } else { 5 },
    )
    .set(P::NoSinglePointOfFailure, false)
    .set(P::NoSinglePointOfFailureDefault, false)
    .set(P::DataRedundancyMin, 1u16)
    .set(P::DataRedundancyMax, 1u16)
    .set(P::DataRedundancyDefault, 1u16)
    .set(P::PackageRedundancyMin, 0u16)
    .set(P::PackageRedundancyMax, 0u16)
    .set(P::PackageRedundancyDefault, 0u16)
}

pub(super) fn list_configuration_capabilities(view: &View) -> Vec<Element> {
    scopes(view)
        .map(Element::ConfigurationCapabilities)
        .collect()
}

pub(super) fn find_configuration_capabilities(view: &View, keys: &Keys) -> Option<Element> {
    find_scope(view, keys, CONFIGURATION).map(Element::ConfigurationCapabilities)
}

pub(super) fn configuration_capabilities_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_StorageConfigurationCapabilities>,
) -> PathBuilder<class::Standpipe_StorageConfigurationCapabilities> {
    use class::Standpipe_StorageConfigurationCapabilities as P;
    let Element::ConfigurationCapabilities(scope) = element else {
        return path;
    };
    path.key(P::InstanceID, scope_id(CONFIGURATION, scope))
}

/// Actions that end within the call when they are quick, and become jobs when they are not:
/// 5 Storage Element Creation, 6 Return, 7 Modification.
const ACTIONS: [u16; 3] = [5, 6, 7];

pub(super) fn fill_configuration_capabilities(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageConfigurationCapabilities>,
) -> Builder<class::Standpipe_StorageConfigurationCapabilities> {
    use class::Standpipe_StorageConfigurationCapabilities as P;
    let Element::ConfigurationCapabilities(scope) = element else {
        return out;
    };
    out.set_with(P::ElementName, || {
        format!("Storage methods of {}", scope_name(view, scope))
    })
    .set(P::SupportedStorageElementTypes, [2u16])
    .set(P::SupportedStoragePoolFeatures, Vec::<u16>::new())
    // 3 StorageVolume Creation, 5 StorageVolume Modification, 6 Single InPool,
    // 12 Storage Element Capacity Expansion.
    .set(P::SupportedStorageElementFeatures, [3u16, 5, 6, 12])
    .set(P::SupportedSynchronousActions, ACTIONS)
    .set(P::SupportedAsynchronousActions, ACTIONS)
    .set(P::SupportedStorageElementUsage, [2u16])
    .set(P::SupportedStoragePoolUsage, [2u16])
    .set(P::AutomaticPoolSelectionAllowed, false)
}
