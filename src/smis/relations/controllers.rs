//! The relations of Multiple Computer System.

use super::plain;
use crate::broker::Catalog;
use crate::schema::class;
use crate::smis::ARRAY;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::CIM_ComponentCS as Component;
    catalog.relation(plain(
        Component,
        ARRAY,
        (Component::GroupComponent, &[Tag::System], to!(Controller)),
        (Component::PartComponent, &[Tag::Controller], to!(System)),
    ))
}
