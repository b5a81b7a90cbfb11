//! The relations of iSCSI Target Ports: target and view, port, TCP, IP, interface. Views have ports of
//! every fabric.

use super::masking::{group_of_view, members};
use super::plain;
use crate::array::GroupKind;
use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, ports};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_BindsTo as Binds, CIM_DeviceSAPImplementation as Implements,
        CIM_SAPAvailableForElement as Available, CIM_ServiceAffectsElement as Affects,
    };
    catalog
        .relation(Relation {
            class: Affects,
            namespace: ARRAY,
            ends: [
                End {
                    role: Affects::AffectingElement,
                    kinds: &[Tag::IscsiService],
                    step: |v, _| {
                        let mut all = ports::list_nodes(v);
                        all.extend(ports::list_endpoints(v));
                        all
                    },
                },
                End {
                    role: Affects::AffectedElement,
                    kinds: &[Tag::Node, Tag::Endpoint],
                    step: to!(IscsiService),
                },
            ],
            // 5 Manages.
            fill: |_, _, _, out| out.set(Affects::ElementEffects, [5u16]),
        })
        .relation(plain(
            Available,
            ARRAY,
            (
                Available::AvailableSAP,
                &[Tag::Endpoint, Tag::FcEndpoint],
                |v, endpoint| match endpoint {
                    Element::Endpoint(id) => {
                        let node = id.iqn().cloned().map(Element::Node);
                        let mut all: Vec<Element> = node.into_iter().collect();
                        let groups = v.inventory.groups_with_port(id);
                        let views = groups.flat_map(|group| v.inventory.views_with(group.id));
                        all.extend(views.map(|shown| Element::View(shown.id)));
                        all
                    }
                    _ => Vec::new(),
                },
            ),
            (
                Available::ManagedElement,
                &[Tag::Node, Tag::View],
                |v, element| match element {
                    Element::Node(iqn) => {
                        let ports = v.inventory.target(iqn).into_iter().flat_map(|t| &t.ports);
                        ports
                            .map(|port| Element::Endpoint(port.id.clone()))
                            .collect()
                    }
                    _ => {
                        let group = group_of_view(v, element, GroupKind::Ports);
                        group.iter().flat_map(|group| members(v, group)).collect()
                    }
                },
            ),
        ))
        .relation(plain(
            Binds,
            ARRAY,
            (Binds::Antecedent, &[Tag::Tcp], |v, tcp| match tcp {
                Element::Tcp(address) => {
                    let bound = v.inventory.ports_at(address);
                    bound.cloned().map(Element::Endpoint).collect()
                }
                _ => Vec::new(),
            }),
            (
                Binds::Dependent,
                &[Tag::Endpoint],
                |v, endpoint| match endpoint {
                    Element::Endpoint(id) => {
                        let port = v.inventory.port(id);
                        let addresses = port
                            .into_iter()
                            .flat_map(|port| v.inventory.addresses_of(port));
                        addresses.map(Element::Tcp).collect()
                    }
                    _ => Vec::new(),
                },
            ),
        ))
        .relation(plain(
            Binds,
            ARRAY,
            (Binds::Antecedent, &[Tag::Ip], |v, ip| match ip {
                Element::Ip(address) => {
                    v.inventory.portals_of(*address).map(Element::Tcp).collect()
                }
                _ => Vec::new(),
            }),
            (Binds::Dependent, &[Tag::Tcp], |_, tcp| match tcp {
                Element::Tcp(address) => vec![Element::Ip(address.ip())],
                _ => Vec::new(),
            }),
        ))
        .relation(plain(
            Implements,
            ARRAY,
            (
                Implements::Antecedent,
                &[Tag::Ethernet],
                |v, card| match card {
                    Element::Ethernet(name) => {
                        let all = ports::list_ip(v).into_iter();
                        all.filter(|ip| card_of(v, ip).as_ref() == Some(name))
                            .collect()
                    }
                    _ => Vec::new(),
                },
            ),
            (Implements::Dependent, &[Tag::Ip], |v, ip| {
                card_of(v, ip).map(Element::Ethernet).into_iter().collect()
            }),
        ))
}

/// The interface with a hardware address that has an IP address.
fn card_of(view: &View, ip: &Element) -> Option<String> {
    let Element::Ip(address) = ip else {
        return None;
    };
    let nic = ports::nic_with(view, *address)?;
    (!nic.mac.is_empty()).then(|| nic.name.clone())
}
