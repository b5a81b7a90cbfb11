//! Health: what is not well, and what that does to the array (SMI-S 1.6.1 common profiles book).

use std::collections::BTreeSet;

use crate::array::{Ailing, Health};

use super::element::Element;
use super::status::rank;
use super::view::View;
use super::volumes;

/// The element that clients see of something that is not well. Unfinished volumes are not shown;
/// what is wrong with a disk is told by the pool of all disks.
fn seen(view: &View, what: &Ailing) -> Option<Element> {
    match what {
        Ailing::Pool(id) => Some(Element::Pool(id.clone())),
        Ailing::Port(id) => Some(Element::Endpoint(id.clone())),
        Ailing::Volume(id) => volumes::volume(view, id).map(|v| Element::Volume(v.id.clone())),
        Ailing::Disk(_) => Some(Element::PrimordialPool),
    }
}

/// The elements that are not well, each once: the causes of the array's trouble.
pub(super) fn ailing(view: &View) -> Vec<Element> {
    let all = view.inventory.ailing();
    let seen: BTreeSet<_> = all.filter_map(|(what, _)| seen(view, what)).collect();
    seen.into_iter().collect()
}

/// Whether something is wrong with an element.
pub(super) fn is_ailing(view: &View, element: &Element) -> bool {
    let inventory = &view.inventory;
    let health = match element {
        Element::Pool(id) => inventory.pool(id).map(|pool| &pool.health),
        Element::Endpoint(id) => inventory.port(id).map(|port| &port.health),
        Element::Volume(id) => volumes::volume(view, id).map(|volume| &volume.health),
        Element::PrimordialPool => {
            let mut disks = inventory.disks().map(|disk| &disk.health);
            disks.find(|health| **health != Health::Ok)
        }
        _ => None,
    };
    health.is_some_and(|health| *health != Health::Ok)
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
    };
    format!("{kind} {}: {why}", name.unwrap_or_default())
}
