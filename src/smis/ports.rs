//! iSCSI Target Ports: targets, ports, and the chain of endpoints below them (SMI-S 1.6.1 common
//! profiles book).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::array::{Fabric, Iqn, Nic, PortId};
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::status::set_health;
use super::view::View;

pub(super) fn list_nodes(view: &View) -> Vec<Element> {
    view.inventory
        .targets()
        .map(|target| Element::Node(target.iqn.clone()))
        .collect()
}

pub(super) fn find_node(view: &View, keys: &Keys) -> Option<Element> {
    let iqn = Iqn::from(keys.text("DeviceID")?);
    view.inventory
        .target(&iqn)
        .map(|target| Element::Node(target.iqn.clone()))
}

pub(super) fn node_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_iSCSINode>,
) -> PathBuilder<class::Standpipe_iSCSINode> {
    let Element::Node(iqn) = element else {
        return path;
    };
    array_keys!(path, view, Standpipe_iSCSINode.DeviceID, iqn.as_str())
}

pub(super) fn fill_node(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_iSCSINode>,
) -> Builder<class::Standpipe_iSCSINode> {
    use class::Standpipe_iSCSINode as P;
    let Element::Node(iqn) = element else {
        return out;
    };
    let made = view.inventory.made_target(iqn);
    let alias = made.map_or(iqn.as_str(), |made| made.alias.as_str());
    out.set(P::Name, iqn.as_str())
        .set(P::NameFormat, 3u16)
        .set(P::ElementName, alias)
        .set(P::OperationalStatus, [2u16])
        .set(P::HealthState, 5u16)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
}

pub(super) fn list_endpoints(view: &View) -> Vec<Element> {
    let ports = view.inventory.ports().map(|port| &port.id);
    let iscsi = ports.filter(|id| id.fabric() == Fabric::Iscsi);
    iscsi.cloned().map(Element::Endpoint).collect()
}

/// A port of any fabric; the fabric decides the class.
pub(super) fn find_endpoint(view: &View, keys: &Keys) -> Option<Element> {
    let id = PortId::parse(keys.text("Name")?)?;
    view.inventory
        .port(&id)
        .map(|port| Element::Endpoint(port.id.clone()))
}

pub(super) fn endpoint_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_iSCSIProtocolEndpoint>,
) -> PathBuilder<class::Standpipe_iSCSIProtocolEndpoint> {
    let Element::Endpoint(id) = element else {
        return path;
    };
    array_keys!(
        path,
        view,
        Standpipe_iSCSIProtocolEndpoint.Name,
        id.to_string()
    )
}

pub(super) fn fill_endpoint(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_iSCSIProtocolEndpoint>,
) -> Builder<class::Standpipe_iSCSIProtocolEndpoint> {
    use class::Standpipe_iSCSIProtocolEndpoint as P;
    let Element::Endpoint(id) = element else {
        return out;
    };
    let (Some(port), PortId::Iscsi { tag, .. }) = (view.inventory.port(id), id) else {
        return out;
    };
    let out = set_health!(out, P, &port.health);
    out.set_with(P::Identifier, || format!("{tag:012X}"))
        .set(P::ElementName, id.to_string())
        .set(P::Role, 3u16)
        .set(P::ConnectionType, 7u16)
        .set(P::ProtocolIFType, 1u16)
        .set(P::OtherTypeDescription, "iSCSI")
        .set(P::EnabledState, if port.enabled { 2u16 } else { 3 })
        .set(P::RequestedState, 12u16)
}

pub(super) fn list_tcp(view: &View) -> Vec<Element> {
    let portals = view.inventory.portals();
    portals.keys().copied().map(Element::Tcp).collect()
}

pub(super) fn find_tcp(view: &View, keys: &Keys) -> Option<Element> {
    let address: SocketAddr = keys.text("Name")?.parse().ok()?;
    let portals = view.inventory.portals();
    portals
        .contains_key(&address)
        .then_some(Element::Tcp(address))
}

pub(super) fn tcp_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_TCPProtocolEndpoint>,
) -> PathBuilder<class::Standpipe_TCPProtocolEndpoint> {
    let Element::Tcp(address) = element else {
        return path;
    };
    array_keys!(
        path,
        view,
        Standpipe_TCPProtocolEndpoint.Name,
        address.to_string()
    )
}

pub(super) fn fill_tcp(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_TCPProtocolEndpoint>,
) -> Builder<class::Standpipe_TCPProtocolEndpoint> {
    use class::Standpipe_TCPProtocolEndpoint as P;
    let Element::Tcp(address) = element else {
        return out;
    };
    // One at which no target listens is offered to those that clients make: stopped, disabled.
    let listens = view.inventory.portals().get(address) == Some(&true);
    let (status, state) = if listens { (2u16, 2u16) } else { (10, 3) };
    out.set(P::PortNumber, u32::from(address.port()))
        .set(P::ProtocolIFType, 4111u16)
        .set(P::NameFormat, "address:port")
        .set(P::ElementName, address.to_string())
        .set(P::OperationalStatus, [status])
        .set(P::EnabledState, state)
        .set(P::RequestedState, 12u16)
}

pub(super) fn list_ip(view: &View) -> Vec<Element> {
    let portals = view.inventory.portals();
    let addresses: BTreeSet<IpAddr> = portals.keys().map(SocketAddr::ip).collect();
    addresses.into_iter().map(Element::Ip).collect()
}

pub(super) fn find_ip(view: &View, keys: &Keys) -> Option<Element> {
    let address: IpAddr = keys.text("Name")?.parse().ok()?;
    let mut portals = view.inventory.portals_of(address);
    portals.next().map(|_| Element::Ip(address))
}

pub(super) fn ip_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_IPProtocolEndpoint>,
) -> PathBuilder<class::Standpipe_IPProtocolEndpoint> {
    let Element::Ip(address) = element else {
        return path;
    };
    array_keys!(
        path,
        view,
        Standpipe_IPProtocolEndpoint.Name,
        address.to_string()
    )
}

/// The interface that has an address.
pub(super) fn nic_with(view: &View, address: IpAddr) -> Option<&Arc<Nic>> {
    view.inventory
        .nics()
        .find(|nic| nic.addresses.iter().any(|(ip, _)| *ip == address))
}

/// The network mask of a prefix length, in dotted form.
fn mask(prefix: u8) -> String {
    let bits = u32::MAX
        .checked_shl(32u32.saturating_sub(prefix.into()))
        .unwrap_or(0);
    std::net::Ipv4Addr::from(bits).to_string()
}

pub(super) fn fill_ip(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_IPProtocolEndpoint>,
) -> Builder<class::Standpipe_IPProtocolEndpoint> {
    use class::Standpipe_IPProtocolEndpoint as P;
    let Element::Ip(address) = element else {
        return out;
    };
    let prefix = nic_with(view, *address)
        .and_then(|nic| nic.addresses.iter().find(|(ip, _)| ip == address))
        .map(|(_, prefix)| *prefix);
    let out = match address {
        IpAddr::V4(v4) => {
            let out = out
                .set(P::IPv4Address, v4.to_string())
                .set(P::ProtocolIFType, 4096u16);
            match prefix {
                Some(prefix) => out.set(P::SubnetMask, mask(prefix)),
                None => out,
            }
        }
        IpAddr::V6(v6) => {
            // Fully written out: clients compare the text. Its type is left unsaid, because some
            // clients drop every type that they do not expect.
            let groups = v6.segments().map(|group| format!("{group:04x}"));
            let out = out
                .set(P::IPv6Address, groups.join(":"))
                .set(P::ProtocolIFType, 4097u16);
            match prefix {
                Some(prefix) => out.set(P::PrefixLength, prefix),
                None => out,
            }
        }
    };
    out.set(P::NameFormat, "address")
        .set(P::ElementName, address.to_string())
        .set(P::OperationalStatus, [2u16])
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
}

/// The interfaces with a hardware address.
fn cards(view: &View) -> impl Iterator<Item = &Arc<Nic>> {
    view.inventory.nics().filter(|nic| !nic.mac.is_empty())
}

pub(super) fn list_ethernet(view: &View) -> Vec<Element> {
    cards(view)
        .map(|nic| Element::Ethernet(nic.name.clone()))
        .collect()
}

pub(super) fn find_ethernet(view: &View, keys: &Keys) -> Option<Element> {
    let name = keys.text("DeviceID")?;
    cards(view)
        .find(|nic| nic.name == name)
        .map(|nic| Element::Ethernet(nic.name.clone()))
}

pub(super) fn ethernet_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_EthernetPort>,
) -> PathBuilder<class::Standpipe_EthernetPort> {
    let Element::Ethernet(name) = element else {
        return path;
    };
    array_keys!(path, view, Standpipe_EthernetPort.DeviceID, name.as_str())
}

pub(super) fn fill_ethernet(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_EthernetPort>,
) -> Builder<class::Standpipe_EthernetPort> {
    use class::Standpipe_EthernetPort as P;
    let Element::Ethernet(name) = element else {
        return out;
    };
    let Some(nic) = view.inventory.nic(name) else {
        return out;
    };
    let out = out
        .set(P::PermanentAddress, nic.mac.as_str())
        .set(P::ElementName, nic.name.as_str())
        .set(P::Name, nic.name.as_str())
        .set(P::OperationalStatus, [if nic.up { 2u16 } else { 10 }])
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        .set(P::LinkTechnology, 2u16)
        .set(P::UsageRestriction, 4u16);
    match nic.speed {
        Some(speed) => out.set(P::Speed, speed),
        None => out,
    }
}
