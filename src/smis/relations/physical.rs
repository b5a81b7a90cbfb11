//! The relations of Physical Package and Location.

use super::plain;
use crate::broker::Catalog;
use crate::schema::class;
use crate::smis::ARRAY;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_ComputerSystemPackage as Packaging, CIM_PhysicalElementLocation as Stands,
        CIM_ProductPhysicalComponent as Component,
    };
    const CHASSIS: &[Tag] = &[Tag::Chassis];
    catalog
        .relation(plain(
            Packaging,
            ARRAY,
            (Packaging::Antecedent, CHASSIS, to!(System)),
            (Packaging::Dependent, &[Tag::System], to!(Chassis)),
        ))
        .relation(plain(
            Component,
            ARRAY,
            (Component::GroupComponent, &[Tag::Product], to!(Chassis)),
            (Component::PartComponent, CHASSIS, to!(Product)),
        ))
        .relation(plain(
            Stands,
            ARRAY,
            (Stands::Element, CHASSIS, to!(Location)),
            (Stands::PhysicalLocation, &[Tag::Location], to!(Chassis)),
        ))
}
