//! The relations of FC Target Ports: a port as a device and as an end of the protocol. What the latter is
//! to views is told with the ports of iSCSI.

use super::plain;
use crate::array::PortId;
use crate::broker::Catalog;
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, fc};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::CIM_DeviceSAPImplementation as Implements;
    catalog.relation(plain(
        Implements,
        ARRAY,
        (
            Implements::Antecedent,
            &[Tag::FcPort],
            |_, port| match port {
                Element::FcPort(wwn) => vec![fc::endpoint(*wwn)],
                _ => Vec::new(),
            },
        ),
        (
            Implements::Dependent,
            &[Tag::FcEndpoint],
            |_, endpoint| match endpoint {
                Element::Endpoint(PortId::FibreChannel(wwn)) => vec![Element::FcPort(*wwn)],
                _ => Vec::new(),
            },
        ),
    ))
}
