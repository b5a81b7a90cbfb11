//! The relation of replicas to their sources.

use crate::broker::{Catalog, End, Relation};
use crate::schema::class::CIM_StorageSynchronized as Synchronized;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, replicas};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    catalog.relation(Relation {
        class: Synchronized,
        namespace: ARRAY,
        ends: [
            End {
                role: Synchronized::SystemElement,
                kinds: &[Tag::Volume],
                step: replicas_of,
            },
            End {
                role: Synchronized::SyncedElement,
                kinds: &[Tag::Volume],
                step: source_of,
            },
        ],
        fill: replicas::fill,
    })
}

fn replicas_of(view: &View, source: &Element) -> Vec<Element> {
    let Element::Volume(id) = source else {
        return Vec::new();
    };
    replicas::of_source(view, id)
        .map(|replica| Element::Volume(replica.id.clone()))
        .collect()
}

fn source_of(view: &View, replica: &Element) -> Vec<Element> {
    let Element::Volume(id) = replica else {
        return Vec::new();
    };
    replicas::pair(view, id)
        .map(|pair| Element::Volume(pair.source.id.clone()))
        .into_iter()
        .collect()
}
