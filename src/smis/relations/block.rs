//! The relations of Block Services: pools, volumes and their capabilities.

use super::plain;
use crate::array::Volume;
use crate::broker::{Catalog, End, Relation};
use crate::schema::class::CIM_AllocatedFromStoragePool as Allocated;
use crate::schema::{Builder, class};
use crate::smis::element::{Element, Scope, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, pools, volumes};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    add_capabilities(add_storage(catalog))
}

fn add_storage(catalog: Catalog<View>) -> Catalog<View> {
    catalog
        .relation(Relation {
            class: Allocated,
            namespace: ARRAY,
            ends: [
                End {
                    role: Allocated::Antecedent,
                    kinds: &[Tag::PrimordialPool],
                    step: |v, _| pools::groups(v),
                },
                End {
                    role: Allocated::Dependent,
                    kinds: &[Tag::Pool],
                    step: |v, pool| match pools::pool_of(v, pool) {
                        Some(pool) if pool.thin().is_none() => vec![Element::PrimordialPool],
                        _ => Vec::new(),
                    },
                },
            ],
            fill: |v, _, pool, out| match pools::pool_of(v, pool) {
                Some(pool) => out.set(Allocated::SpaceConsumed, pools::taken_from_disks(v, pool)),
                None => out,
            },
        })
        .relation(Relation {
            class: Allocated,
            namespace: ARRAY,
            ends: [
                End {
                    role: Allocated::Antecedent,
                    kinds: &[Tag::Pool],
                    step: pools::thin_pools,
                },
                End {
                    role: Allocated::Dependent,
                    kinds: &[Tag::Pool],
                    step: pools::group_of,
                },
            ],
            fill: |v, _, pool, out| match pools::pool_of(v, pool).and_then(|pool| pool.thin()) {
                Some(thin) => out.set(Allocated::SpaceConsumed, thin.consumed),
                None => out,
            },
        })
        .relation(Relation {
            class: Allocated,
            namespace: ARRAY,
            ends: [
                End {
                    role: Allocated::Antecedent,
                    kinds: &[Tag::Pool],
                    step: volumes_of_pool,
                },
                End {
                    role: Allocated::Dependent,
                    kinds: &[Tag::Volume],
                    step: pool_of_volume,
                },
            ],
            fill: |v, _, volume, out| match volume_at(v, volume) {
                Some(volume) => consumption(v, volume, out),
                None => out,
            },
        })
}

fn volume_at<'a>(view: &'a View, element: &Element) -> Option<&'a Volume> {
    match element {
        Element::Volume(id) => volumes::volume(view, id).map(|v| &**v),
        _ => None,
    }
}

/// What a volume takes from its pool; where nobody knows it, nothing is said. A thin volume takes
/// at most its size, any other has taken all that it will.
fn consumption(view: &View, volume: &Volume, out: Builder<Allocated>) -> Builder<Allocated> {
    let out = match volume.consumed {
        Some(consumed) => out.set(Allocated::SpaceConsumed, consumed),
        None => out,
    };
    match volumes::is_thin(view, volume) {
        true => out.set(Allocated::SpaceLimit, volume.size),
        false => out,
    }
}

fn volumes_of_pool(view: &View, pool: &Element) -> Vec<Element> {
    let Element::Pool(id) = pool else {
        return Vec::new();
    };
    let volumes = view
        .inventory
        .volumes_in(id)
        .filter(|volume| volumes::is_shown(view, volume));
    volumes
        .map(|volume| Element::Volume(volume.id.clone()))
        .collect()
}

fn pool_of_volume(view: &View, volume: &Element) -> Vec<Element> {
    volume_at(view, volume)
        .map(|v| Element::Pool(v.pool.clone()))
        .into_iter()
        .collect()
}

/// Capabilities: of the array's services and system, and of each pool.
fn add_capabilities(catalog: Catalog<View>) -> Catalog<View> {
    use class::CIM_ElementCapabilities as Capable;
    catalog.relation(plain(
        Capable,
        ARRAY,
        (
            Capable::ManagedElement,
            &[
                Tag::PrimordialPool,
                Tag::Pool,
                Tag::StorageService,
                Tag::ReplicationService,
                Tag::System,
                Tag::MaskingService,
                Tag::IscsiService,
            ],
            capabilities,
        ),
        (
            Capable::Capabilities,
            &[
                Tag::StorageCapabilities,
                Tag::ConfigurationCapabilities,
                Tag::ReplicationCapabilities,
                Tag::MaskingCapabilities,
                Tag::IscsiCapabilities,
                Tag::IscsiConfigurationCapabilities,
            ],
            capable,
        ),
    ))
}

fn capabilities(_view: &View, element: &Element) -> Vec<Element> {
    let scope = match element {
        Element::PrimordialPool => Scope::Primordial,
        Element::Pool(id) => Scope::Pool(id.clone()),
        Element::StorageService => Scope::Array,
        // Clients look for the masking capabilities at the system.
        Element::System => {
            return vec![
                Element::MaskingCapabilities,
                Element::IscsiCapabilities,
                Element::IscsiConfigurationCapabilities,
            ];
        }
        Element::ReplicationService => return vec![Element::ReplicationCapabilities],
        Element::IscsiService => return vec![Element::IscsiConfigurationCapabilities],
        Element::MaskingService => return vec![Element::MaskingCapabilities],
        _ => return Vec::new(),
    };
    vec![
        Element::StorageCapabilities(scope.clone()),
        Element::ConfigurationCapabilities(scope),
    ]
}

fn capable(_view: &View, element: &Element) -> Vec<Element> {
    match element {
        Element::StorageCapabilities(scope) | Element::ConfigurationCapabilities(scope) => {
            vec![match scope {
                Scope::Array => Element::StorageService,
                Scope::Primordial => Element::PrimordialPool,
                Scope::Pool(id) => Element::Pool(id.clone()),
            }]
        }
        Element::ReplicationCapabilities => vec![Element::ReplicationService],
        Element::MaskingCapabilities => vec![Element::System, Element::MaskingService],
        Element::IscsiCapabilities => vec![Element::System],
        Element::IscsiConfigurationCapabilities => vec![Element::System, Element::IscsiService],
        _ => Vec::new(),
    }
}
