//! The relations of the Server profile: the object manager and what it consists of.

use super::plain;
use crate::broker::Catalog;
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{INTEROP, server};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_CommMechanismForManager as Mechanism, CIM_HostedAccessPoint as Access,
        CIM_HostedService as Service, CIM_NamespaceInManager as Spaces,
    };
    catalog
        .relation(plain(
            Service,
            INTEROP,
            (
                Service::Antecedent,
                &[Tag::ManagementSystem],
                to!(ObjectManager),
            ),
            (
                Service::Dependent,
                &[Tag::ObjectManager],
                to!(ManagementSystem),
            ),
        ))
        .relation(plain(
            Access,
            INTEROP,
            (Access::Antecedent, &[Tag::ManagementSystem], |v, _| {
                server::list_mechanisms(v)
            }),
            (Access::Dependent, &[Tag::Mechanism], to!(ManagementSystem)),
        ))
        .relation(plain(
            Mechanism,
            INTEROP,
            (Mechanism::Antecedent, &[Tag::ObjectManager], |v, _| {
                server::list_mechanisms(v)
            }),
            (Mechanism::Dependent, &[Tag::Mechanism], to!(ObjectManager)),
        ))
        .relation(plain(
            Spaces,
            INTEROP,
            (Spaces::Antecedent, &[Tag::ObjectManager], |v, _| {
                server::list_namespaces(v)
            }),
            (Spaces::Dependent, &[Tag::Namespace], to!(ObjectManager)),
        ))
}
