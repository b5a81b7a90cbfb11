//! The tables of relations, one file per profile: which kinds are associated by which class, each
//! declared once.
//!
//! The first end has the fewer elements. Where a step is more than a line it is a function.

use crate::broker::{Catalog, End, Relation};
use crate::cim::ObjectPath;
use crate::schema::{Key, TypedClass};

use super::element::{Element, Tag};
use super::view::View;

type Step = fn(&View, &Element) -> Vec<Element>;

/// A relation without properties of its own.
fn plain<A: TypedClass>(
    class: A,
    namespace: crate::broker::Namespace,
    first: (Key<A, ObjectPath>, &'static [Tag], Step),
    second: (Key<A, ObjectPath>, &'static [Tag], Step),
) -> Relation<View, A> {
    let end = |(role, kinds, step)| End { role, kinds, step };
    Relation {
        class,
        namespace,
        ends: [end(first), end(second)],
        fill: |_, _, _, out| out,
    }
}

/// Adds every relation.
pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    let tables = [
        server::add,
        registration::add,
        system::add,
        block::add,
        extents::add,
        disks::add,
        settings::add,
        replicas::add,
        masking::add,
        ports::add,
        fc::add,
        sessions::add,
        jobs::add,
        physical::add,
        software::add,
        access::add,
        controllers::add,
        health::add,
    ];
    tables
        .into_iter()
        .fold(catalog, |catalog, add| add(catalog))
}

/// A step to one element that is always there.
macro_rules! to {
    ($element:ident) => {
        |_, _| vec![Element::$element]
    };
}

mod access;
mod block;
mod controllers;
mod disks;
mod extents;
mod fc;
mod health;
mod jobs;
mod masking;
mod physical;
mod ports;
mod registration;
mod replicas;
mod server;
mod sessions;
mod settings;
mod software;
mod system;
