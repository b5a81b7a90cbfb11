//! Health: what is not well, and what that does to the array (SMI-S 1.6.1 common profiles book).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::array::{Ailing, Disk, Health, Volume};

use super::element::Element;
use super::status::rank;
use super::view::View;
use super::{disks, extents, pools, volumes};

/// The element that clients see of something that is not well; what is unfinished is not shown.
fn seen(view: &View, what: &Ailing) -> Option<Element> {
    match what {
        Ailing::Pool(id) => pools::shown(view, id).map(|pool| Element::Pool(pool.id.clone())),
        Ailing::Port(id) => Some(Element::Endpoint(id.clone())),
        Ailing::Volume(id) => volumes::volume(view, id).map(|v| Element::Volume(v.id.clone())),
        Ailing::Disk(id) => view.inventory.disk(id).map(|disk| disks::element(disk)),
        Ailing::View(id) => Some(Element::View(*id)),
    }
}

/// The elements that are not well, each once: the causes of the array's trouble.
pub(super) fn ailing(view: &View) -> Vec<Element> {
    let all = view.inventory.ailing();
    let seen: BTreeSet<_> = all.filter_map(|(what, _)| seen(view, what)).collect();
    seen.into_iter().collect()
}

/// The disk that an element tells of, if something is wrong with it.
fn ailing_disk<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<Disk>> {
    let (Element::Drive(id) | Element::Extent(id)) = element else {
        return None;
    };
    let disk = view.inventory.disk(id)?;
    (disk.health != Health::Ok && disks::element(disk) == *element).then_some(disk)
}

/// Whether something is wrong with an element.
pub(super) fn is_ailing(view: &View, element: &Element) -> bool {
    let inventory = &view.inventory;
    let health = match element {
        Element::Pool(id) => pools::shown(view, id).map(|pool| &pool.health),
        Element::Endpoint(id) => inventory.port(id).map(|port| &port.health),
        Element::Volume(id) => volumes::volume(view, id).map(|volume| &volume.health),
        Element::Drive(_) | Element::Extent(_) => {
            ailing_disk(view, element).map(|disk| &disk.health)
        }
        Element::View(id) => inventory.drift_of(id),
        Element::PrimordialPool => ailing_managed(view).next().map(|disk| &disk.health),
        _ => None,
    };
    health.is_some_and(|health| *health != Health::Ok)
}

/// The disks of the primordial pool that are not well.
fn ailing_managed(view: &View) -> impl Iterator<Item = &Arc<Disk>> {
    let ailing = view.inventory.ailing();
    let disks = ailing.filter_map(|(what, _)| match what {
        Ailing::Disk(id) => view.inventory.disk(id),
        _ => None,
    });
    disks.filter(|disk| extents::is_managed(view, disk))
}

/// What is not well and lies on a disk that is not well: what is made from the disk, and the pools
/// and volumes that have a part of it.
pub(super) fn effects(view: &View, cause: &Element) -> Vec<Element> {
    let Some(disk) = ailing_disk(view, cause) else {
        return Vec::new();
    };
    let mut effects = BTreeSet::new();
    for above in disks::upwards(view, disk) {
        if above.health != Health::Ok && extents::is_managed(view, above) {
            effects.insert(Element::PrimordialPool);
        }
        effects.insert(disks::element(above));
        effects.extend(disks::pools_on(view, above).map(|pool| Element::Pool(pool.id.clone())));
        effects.extend(volumes_on(view, above).map(|volume| Element::Volume(volume.id.clone())));
    }
    effects.remove(cause);
    effects.retain(|effect| is_ailing(view, effect));
    effects.into_iter().collect()
}

/// The disks that are not well and that something that is not well lies on.
pub(super) fn causes(view: &View, effect: &Element) -> Vec<Element> {
    if !is_ailing(view, effect) {
        return Vec::new();
    }
    let disks: Vec<_> = match effect {
        Element::PrimordialPool => ailing_managed(view).collect(),
        Element::Extent(_) => ailing_disk(view, effect).into_iter().collect(),
        Element::Volume(id) => match volumes::volume(view, id) {
            Some(volume) => disks_of(view, volume),
            None => Vec::new(),
        },
        _ => match pools::pool_of(view, effect) {
            Some(pool) => pools::disks(view, pool).collect(),
            None => Vec::new(),
        },
    };
    let below = disks
        .into_iter()
        .flat_map(|disk| disks::downwards(view, disk));
    let ailing = below.filter(|disk| disk.health != Health::Ok);
    let mut causes: BTreeSet<_> = ailing.map(|disk| disks::element(disk)).collect();
    causes.remove(effect);
    causes.into_iter().collect()
}

/// The volumes that suffer with a disk: those that lie on it, and all of a thin pool that does.
fn volumes_on<'a>(view: &'a View, disk: &'a Disk) -> impl Iterator<Item = &'a Arc<Volume>> {
    let inventory = &view.inventory;
    let thin = disks::pools_on(view, disk).filter(|pool| pool.thin().is_some());
    let in_thin = thin.flat_map(|pool| inventory.volumes_in(&pool.id));
    inventory.volumes_on(&disk.id).chain(in_thin)
}

/// The disks that a volume suffers with.
fn disks_of<'a>(view: &'a View, volume: &'a Volume) -> Vec<&'a Arc<Disk>> {
    let thin = volumes::pool(view, volume).filter(|pool| pool.thin().is_some());
    match thin {
        Some(pool) => pools::disks(view, pool).collect(),
        None => {
            let disks = volume.pieces.iter().map(|piece| &piece.disk);
            disks.filter_map(|id| view.inventory.disk(id)).collect()
        }
    }
}

/// How well the array is: as its worst pool. Whatever else is wrong degrades it, and so does what
/// the administrator should know of the array as a whole.
pub(super) fn of_array(view: &View) -> Health {
    let ailing = || view.inventory.ailing();
    let pools = ailing().filter(|(what, _)| matches!(what, Ailing::Pool(_)));
    if let Some((pool, health)) = pools.max_by_key(|(_, health)| rank(health)) {
        return match health {
            Health::Ok => Health::Ok,
            Health::Degraded(why) => Health::Degraded(sentence(view, pool, why)),
            Health::Failed(why) => Health::Failed(sentence(view, pool, why)),
            Health::Unknown(why) => Health::Unknown(sentence(view, pool, why)),
        };
    }
    let mut others = ailing().filter(|(what, _)| seen(view, what).is_some());
    let trouble = match others.next() {
        Some((what, Health::Degraded(why) | Health::Failed(why) | Health::Unknown(why))) => {
            Some(sentence(view, what, why))
        }
        _ => view.inventory.warnings.first().cloned(),
    };
    trouble.map_or(Health::Ok, Health::Degraded)
}

/// What is wrong with what.
fn sentence(view: &View, what: &Ailing, why: &str) -> String {
    let inventory = &view.inventory;
    let (kind, name) = match what {
        Ailing::Pool(id) => ("pool", inventory.pool(id).map(|pool| pool.name.clone())),
        Ailing::Port(id) => ("port", Some(id.to_string())),
        Ailing::Volume(id) => ("volume", inventory.volume(id).map(|v| v.name.clone())),
        Ailing::Disk(id) => ("disk", inventory.disk(id).map(|disk| disk.device.clone())),
        Ailing::View(id) => ("masking view", inventory.view(id).map(|v| v.name.clone())),
    };
    format!("{kind} {}: {why}", name.unwrap_or_default())
}
