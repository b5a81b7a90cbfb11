//! Block Services: what qualities of service can be had, and which storage methods work, of the
//! array, of the primordial pool and of each pool (SMI-S 1.6.1 block book, Block Services Package).

use crate::array::{Abilities, MAX_AT_ONCE, Owner, Pool, abilities};
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::{Element, Scope};
use super::view::View;
use super::{pools, volumes};

const STORAGE: &str = "Standpipe:StorageCapabilities:";
const CONFIGURATION: &str = "Standpipe:StorageConfigurationCapabilities:";
const WHOLE_ARRAY: &str = "array";
const PRIMORDIAL: &str = "primordial";

/// The scopes that have capabilities.
fn scopes(view: &View) -> impl Iterator<Item = Scope> {
    let pools = pools::all_shown(view).map(|pool| Scope::Pool(pool.id.clone()));
    [Scope::Array, Scope::Primordial].into_iter().chain(pools)
}

fn find_scope(view: &View, keys: &Keys, prefix: &str) -> Option<Scope> {
    match keys.text("InstanceID")?.strip_prefix(prefix)? {
        WHOLE_ARRAY => Some(Scope::Array),
        PRIMORDIAL => Some(Scope::Primordial),
        id => pools::shown(view, &id.into()).map(|pool| Scope::Pool(pool.id.clone())),
    }
}

fn scope_id(prefix: &str, scope: &Scope) -> String {
    match scope {
        Scope::Array => format!("{prefix}{WHOLE_ARRAY}"),
        Scope::Primordial => format!("{prefix}{PRIMORDIAL}"),
        Scope::Pool(id) => format!("{prefix}{id}"),
    }
}

/// What people call the owner of capabilities.
fn scope_name(view: &View, scope: &Scope) -> String {
    match scope {
        Scope::Array => "the array".to_owned(),
        Scope::Primordial => "the primordial pool".to_owned(),
        Scope::Pool(id) => match view.inventory.pool(id) {
            Some(pool) => format!("pool {}", pool.name),
            None => "a pool".to_owned(),
        },
    }
}

/// What qualities of service can be had there.
pub(super) fn abilities_of(view: &View, scope: &Scope) -> Abilities {
    match scope {
        Scope::Array => abilities(&view.inventory, None),
        Scope::Primordial => Abilities::of_disks(pools::free_disks(view).count()),
        Scope::Pool(id) => {
            let pool = view.inventory.pool(id);
            abilities(&view.inventory, pool.map(|pool| &**pool))
        }
    }
}

/// Room for what changes, in percent, that a snapshot gets where nothing is said; there is none in
/// thin pools, whose snapshots take what the pool has.
fn snapshot_room(view: &View, scope: &Scope) -> Option<u16> {
    let has_room = match scope {
        Scope::Array => true,
        Scope::Primordial => false,
        Scope::Pool(id) => view
            .inventory
            .pool(id)
            .is_some_and(|pool| pool.thin().is_none()),
    };
    has_room.then(|| view.inventory.policy.snapshot_room.into())
}

pub(super) fn list_storage(view: &View) -> Vec<Element> {
    scopes(view).map(Element::StorageCapabilities).collect()
}

pub(super) fn find_storage(view: &View, keys: &Keys) -> Option<Element> {
    find_scope(view, keys, STORAGE).map(Element::StorageCapabilities)
}

pub(super) fn storage_keys(
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

pub(super) fn fill_storage(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageCapabilities>,
) -> Builder<class::Standpipe_StorageCapabilities> {
    use class::Standpipe_StorageCapabilities as P;
    let Element::StorageCapabilities(scope) = element else {
        return out;
    };
    let able = abilities_of(view, scope);
    let room = snapshot_room(view, scope);
    out.set_with(P::ElementName, || {
        format!("Qualities of service of {}", scope_name(view, scope))
    })
    // 6 StorageConfigurationService, 5 StoragePool.
    .set(
        P::ElementType,
        match scope {
            Scope::Array => 6u16,
            Scope::Primordial | Scope::Pool(_) => 5,
        },
    )
    .set(P::NoSinglePointOfFailure, able.no_single_point_of_failure())
    .set(
        P::NoSinglePointOfFailureDefault,
        able.default.survives() > 0,
    )
    .set(P::DataRedundancyMin, able.copies.min)
    .set(P::DataRedundancyMax, able.copies.max)
    .set(P::DataRedundancyDefault, able.copies.goal)
    .set(P::PackageRedundancyMin, able.survives.min)
    .set(P::PackageRedundancyMax, able.survives.max)
    .set(P::PackageRedundancyDefault, able.survives.goal)
    .set(P::ExtentStripeLengthDefault, able.stripe_length.goal)
    .set_some(P::DeltaReservationMin, room.map(|_| 1u16))
    .set_some(P::DeltaReservationMax, room.map(|_| 100u16))
    .set_some(P::DeltaReservationDefault, room)
}

pub(super) fn list_configuration(view: &View) -> Vec<Element> {
    scopes(view)
        .map(Element::ConfigurationCapabilities)
        .collect()
}

pub(super) fn find_configuration(view: &View, keys: &Keys) -> Option<Element> {
    find_scope(view, keys, CONFIGURATION).map(Element::ConfigurationCapabilities)
}

pub(super) fn configuration_keys(
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

/// What works somewhere, in the numbers of `CIM_StorageConfigurationCapabilities`.
#[derive(Debug, Default, PartialEq)]
struct Working {
    /// 2 StorageVolume, 5 ThinlyProvisionedStorageVolume, 9 ThinlyProvisionedLimitlessStoragePool.
    types: Vec<u16>,
    /// 2 InExtents, 3 Single InPool, 6 Storage Pool Capacity Expansion.
    pool_features: Vec<u16>,
    /// 3 StorageVolume Creation, 5 StorageVolume Modification, 6 Single InPool, 11 Storage Element
    /// QoS Change, 12 Storage Element Capacity Expansion, 13 Reduction, 14 StorageVolume To
    /// StoragePool Relocation, 16 StorageVolume To StorageExtent Relocation, 17 StoragePool To
    /// StorageExtent Relocation.
    features: Vec<u16>,
    /// 2 Storage Pool Creation, 3 Deletion, 4 Modification; 5 Storage Element Creation, 6 Return,
    /// 7 Modification; 8 Replica Creation, 9 Modification; 17 StorageVolume To StoragePool
    /// Relocation, 19 StorageVolume To StorageExtent Relocation, 20 StoragePool To StorageExtent
    /// Relocation; 22 Multiple Storage Element Creation, 23 Return.
    actions: Vec<u16>,
    /// The kinds of copies in the older way of counting: 4 UnSyncAssoc. A clone is none of them: 5
    /// is a copy that is not associated.
    copies: Option<[u16; 1]>,
}

const VOLUME_FEATURES: [u16; 5] = [3, 5, 6, 12, 14];
const QUALITY: u16 = 11;
const REDUCTION: u16 = 13;
/// To extents, of volumes and of pools: as features, and as actions.
const MOVES: [u16; 2] = [16, 17];
const MOVING: [u16; 2] = [19, 20];
const VOLUME_ACTIONS: [u16; 6] = [5, 6, 7, 17, 22, 23];

impl Working {
    /// Volumes are made smaller only where the administrator wants it.
    fn volumes(shrink: bool) -> Vec<u16> {
        let reduction = shrink.then_some(REDUCTION);
        let all = VOLUME_FEATURES.into_iter().chain([QUALITY]).chain(MOVES);
        all.chain(reduction).collect()
    }

    fn of_array(shrink: bool) -> Self {
        Self {
            types: vec![2, 5, 9],
            pool_features: vec![2, 3, 6],
            features: Self::volumes(shrink),
            actions: [2, 3, 4, 8, 9]
                .into_iter()
                .chain(VOLUME_ACTIONS)
                .chain(MOVING)
                .collect(),
            copies: Some([4]),
        }
    }

    fn of_primordial() -> Self {
        Self {
            pool_features: vec![2],
            actions: vec![2],
            ..Self::default()
        }
    }

    /// A pool of somebody else takes volumes, and a group disks, but neither is removed.
    fn of_pool(pool: &Pool, shrink: bool) -> Self {
        let is_own = pool.owner == Owner::Array;
        let actions = |own: &[u16]| own.iter().copied().chain(VOLUME_ACTIONS).collect();
        match (pool.thin().is_some(), is_own) {
            (false, _) => Self {
                types: vec![2, 9],
                pool_features: vec![2, 3, 6],
                features: Self::volumes(shrink),
                actions: actions(if is_own {
                    &[2, 3, 4, 19, 20]
                } else {
                    &[2, 4, 19, 20]
                }),
                copies: None,
            },
            (true, true) => Self {
                types: vec![5],
                pool_features: vec![6],
                features: VOLUME_FEATURES.into_iter().chain([17]).collect(),
                actions: actions(&[3, 4, 20]),
                copies: None,
            },
            (true, false) => Self {
                types: vec![5],
                pool_features: Vec::new(),
                features: VOLUME_FEATURES.to_vec(),
                actions: actions(&[]),
                copies: None,
            },
        }
    }
}

fn working(view: &View, scope: &Scope) -> Working {
    let shrink = view.inventory.policy.shrink;
    match scope {
        Scope::Array => Working::of_array(shrink),
        Scope::Primordial => Working::of_primordial(),
        Scope::Pool(id) => match view.inventory.pool(id) {
            Some(pool) => Working::of_pool(pool, shrink),
            None => Working::default(),
        },
    }
}

pub(super) fn fill_configuration(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageConfigurationCapabilities>,
) -> Builder<class::Standpipe_StorageConfigurationCapabilities> {
    use class::Standpipe_StorageConfigurationCapabilities as P;
    let Element::ConfigurationCapabilities(scope) = element else {
        return out;
    };
    let working = working(view, scope);
    out.set_with(P::ElementName, || {
        format!("Storage methods of {}", scope_name(view, scope))
    })
    .set(P::SupportedStorageElementTypes, working.types)
    .set(P::SupportedStoragePoolFeatures, working.pool_features)
    .set(P::SupportedStorageElementFeatures, working.features)
    // Each ends within the call when it is quick, and becomes a job when it is not.
    .set(P::SupportedSynchronousActions, working.actions.clone())
    .set(P::SupportedAsynchronousActions, working.actions)
    .set(P::SupportedStorageElementUsage, volumes::USAGES)
    .set_some(P::SupportedCopyTypes, working.copies)
    .set(P::SupportedStoragePoolUsage, [2u16])
    .set(P::AutomaticPoolSelectionAllowed, false)
    .set(P::MaximumElementCreateCount, MAX_AT_ONCE as u64)
    .set(P::MaximumElementDeleteCount, MAX_AT_ONCE as u64)
    .set(P::MultipleElementDeleteFeatures, [2u16, 3])
    .set(P::ThinProvisionedClientSettableReserve, false)
    .set(P::ThinProvisionedDefaultReserve, 0u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Health, Layout, PoolKind, Thin};

    fn pool(is_thin: bool, owner: Owner) -> Pool {
        let thin = Thin {
            group: "group".into(),
            promised: 0,
            consumed: 0,
            metadata: 0,
            metadata_used: None,
            layout: Layout::Linear,
            pieces: Vec::new(),
        };
        Pool {
            id: "pool".into(),
            name: "pool".into(),
            device: "pool".into(),
            kind: match is_thin {
                true => PoolKind::Thin(thin),
                false => PoolKind::Group { spare: 0 },
            },
            owner,
            job: None,
            size: 0,
            free: 0,
            available: 0,
            extent: 1,
            disks: Vec::new(),
            health: Health::Ok,
        }
    }

    #[test]
    fn only_what_works_for_a_pool_is_said_of_it() {
        let group = Working::of_pool(&pool(false, Owner::Array), false);
        assert!(group.types.contains(&2) && !group.types.contains(&5));
        assert!(!group.features.contains(&REDUCTION));
        let shrinking = Working::of_pool(&pool(false, Owner::Array), true);
        assert!(shrinking.features.contains(&REDUCTION));
        let thin = Working::of_pool(&pool(true, Owner::Array), true);
        assert_eq!(thin.types, [5]);
        assert!(!thin.features.contains(&REDUCTION) && !thin.actions.contains(&2));
        for thin in [false, true] {
            let foreign = Working::of_pool(&pool(thin, Owner::Foreign), false);
            assert!(
                !foreign.actions.contains(&3),
                "nobody else's pool is removed"
            );
            assert_eq!(foreign.actions.contains(&4), !thin, "a group takes disks");
        }
    }
}
