//! Block Services: pools (SMI-S 1.6.1 block book, Block Services Package).

use std::sync::Arc;

use crate::array::{Disk, DiskUsage, Pool, PoolId, PoolKind};
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::extents;
use super::status::{set_health, worst};
use super::view::View;

const POOL: &str = "Standpipe:Pool:";
const PRIMORDIAL: &str = "Standpipe:Pool:primordial";

/// The pool, if it is finished: nobody sees half-made ones.
pub(super) fn shown<'a>(view: &'a View, id: &PoolId) -> Option<&'a Arc<Pool>> {
    view.inventory.pool(id).filter(|pool| pool.job.is_none())
}

/// All pools that are finished.
pub(super) fn all_shown(view: &View) -> impl Iterator<Item = &Arc<Pool>> {
    view.inventory.pools().filter(|pool| pool.job.is_none())
}

/// The volume groups among them.
pub(super) fn groups(view: &View) -> Vec<Element> {
    all_shown(view)
        .filter(|pool| pool.thin().is_none())
        .map(|pool| Element::Pool(pool.id.clone()))
        .collect()
}

/// The thin pools in a volume group.
pub(super) fn thin_pools(view: &View, element: &Element) -> Vec<Element> {
    let Element::Pool(id) = element else {
        return Vec::new();
    };
    let pools = view.inventory.thin_pools_in(id);
    pools
        .filter(|pool| pool.job.is_none())
        .map(|pool| Element::Pool(pool.id.clone()))
        .collect()
}

/// The volume group that a thin pool lies in.
pub(super) fn group_of(view: &View, element: &Element) -> Vec<Element> {
    let thin = pool_of(view, element).and_then(|pool| pool.thin());
    let group = thin.and_then(|thin| shown(view, &thin.group));
    group
        .map(|group| Element::Pool(group.id.clone()))
        .into_iter()
        .collect()
}

pub(super) fn list(view: &View) -> Vec<Element> {
    all_shown(view)
        .map(|pool| Element::Pool(pool.id.clone()))
        .collect()
}

fn known(view: &View, id: &str) -> Option<PoolId> {
    shown(view, &id.into()).map(|pool| pool.id.clone())
}

/// Bytes that a pool manages: without what it keeps as a spare.
pub(super) fn total(pool: &Pool) -> u64 {
    let spare = match pool.kind {
        PoolKind::Group { spare } => spare,
        PoolKind::Thin(_) => 0,
    };
    pool.size.saturating_sub(spare)
}

/// The disks that a pool lies on.
pub(super) fn disks<'a>(view: &'a View, pool: &'a Pool) -> impl Iterator<Item = &'a Arc<Disk>> {
    let ids = pool.disks.iter();
    ids.filter_map(|id| view.inventory.disk(id))
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
    let out = set_health!(out, P, &pool.health)
        .set(P::PoolID, pool.id.as_str())
        .set(P::ElementName, pool.name.as_str())
        .set(P::Name, pool.name.as_str())
        .set(P::Primordial, false)
        .set(P::TotalManagedSpace, total(pool))
        .set(P::RemainingManagedSpace, pool.free)
        .set(P::ReservedSpace, pool.size - total(pool))
        .set(P::Usage, 2u16)
        // Snapshots that somebody made in a thin pool share blocks with what they are of.
        .set(P::ElementsShareSpace, pool.thin().is_some());
    match pool.thin() {
        None => out,
        // 4 Limitless: what its volumes are promised together may be more than it has.
        Some(thin) => out
            .set(P::SpaceLimit, pool.size)
            .set(P::SpaceLimitDetermination, 4u16)
            .set(P::ThinProvisionMetaDataSpace, thin.metadata)
            .set(
                P::LowSpaceWarningThreshold,
                100u16.saturating_sub(view.inventory.policy.low_space),
            ),
    }
}

pub(super) fn pool_of<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<Pool>> {
    match element {
        Element::Pool(id) => shown(view, id),
        _ => None,
    }
}

pub(super) fn fill_primordial(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_PrimordialStoragePool>,
) -> Builder<class::Standpipe_PrimordialStoragePool> {
    use class::Standpipe_PrimordialStoragePool as P;
    let disks = view.inventory.disks();
    let managed: Vec<_> = disks
        .filter(|disk| extents::is_managed(view, disk))
        .collect();
    let total: u64 = managed.iter().map(|disk| disk.size).sum();
    let free: u64 = free_disks(view).map(|disk| disk.size).sum();
    let health = worst(managed.iter().map(|disk| &disk.health));
    set_health!(out, P, &health)
        .set(P::PoolID, "primordial")
        .set(P::ElementName, "All disks")
        .set(P::Name, "All disks")
        .set(P::Primordial, true)
        .set(P::TotalManagedSpace, total)
        .set(P::RemainingManagedSpace, free)
        .set(P::Usage, 2u16)
        .set(P::ElementsShareSpace, false)
}

/// The disks that pools can be made from.
pub(super) fn free_disks(view: &View) -> impl Iterator<Item = &Arc<Disk>> {
    let disks = view.inventory.disks();
    disks.filter(|disk| disk.usage == DiskUsage::Free)
}

/// Bytes that a pool takes from the disks that it lies on: all of each.
pub(super) fn taken_from_disks(view: &View, pool: &Pool) -> u64 {
    disks(view, pool).map(|disk| disk.size).sum()
}
