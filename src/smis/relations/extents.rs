//! The relations of extents: the pools that they are components of, and what is built on what.

use super::plain;
use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::element::Tag;
use crate::smis::view::View;
use crate::smis::{ARRAY, extents};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_AssociatedComponentExtent as Extent, CIM_BasedOn as BasedOn,
        CIM_ConcreteComponent as Component,
    };
    const POOLS: &[Tag] = &[Tag::PrimordialPool, Tag::Pool];
    const EXTENTS: &[Tag] = &[Tag::Extent];
    catalog
        .relation(plain(
            Extent,
            ARRAY,
            (Extent::GroupComponent, POOLS, extents::components),
            (Extent::PartComponent, EXTENTS, extents::component_of),
        ))
        // The older form of the same, which some consoles still follow.
        .relation(plain(
            Component,
            ARRAY,
            (Component::GroupComponent, POOLS, extents::components),
            (Component::PartComponent, EXTENTS, extents::component_of),
        ))
        .relation(Relation {
            class: BasedOn,
            namespace: ARRAY,
            ends: [
                End {
                    role: BasedOn::Antecedent,
                    kinds: EXTENTS,
                    step: extents::above,
                },
                End {
                    role: BasedOn::Dependent,
                    kinds: &[Tag::Extent, Tag::Volume],
                    step: extents::below,
                },
            ],
            fill: extents::fill_based_on,
        })
}
