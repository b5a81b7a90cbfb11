//! FC Target Ports: Fibre Channel ports as devices and as ends of the protocol (SMI-S 1.6.1 common
//! profiles book).

use crate::array::{FcLink, PortId, Wwn};
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::status::set_health;
use super::view::View;

pub(super) fn list_ports(view: &View) -> Vec<Element> {
    let ports = view.inventory.fc_ports();
    ports.map(|port| Element::FcPort(port.wwn)).collect()
}

pub(super) fn find_port(view: &View, keys: &Keys) -> Option<Element> {
    let wwn = Wwn::parse(keys.text("DeviceID")?)?;
    let port = view.inventory.fc_port(&wwn);
    port.map(|port| Element::FcPort(port.wwn))
}

pub(super) fn port_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_FCPort>,
) -> PathBuilder<class::Standpipe_FCPort> {
    let Element::FcPort(wwn) = element else {
        return path;
    };
    array_keys!(path, view, Standpipe_FCPort.DeviceID, wwn.to_string())
}

pub(super) fn fill_port(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_FCPort>,
) -> Builder<class::Standpipe_FCPort> {
    use class::Standpipe_FCPort as P;
    /// SCSI - FCP.
    const FCP: u16 = 8;
    let Element::FcPort(wwn) = element else {
        return out;
    };
    let Some(port) = view.inventory.fc_port(wwn) else {
        return out;
    };
    let out = set_health!(out, P, &port.health);
    let name = wwn.to_string();
    out.set(P::PermanentAddress, name.as_str())
        .set(P::Name, name.as_str())
        .set(P::ElementName, name.as_str())
        // 10 N, 11 NL, 0 Unknown.
        .set(
            P::PortType,
            match port.link {
                FcLink::Unknown => 0u16,
                FcLink::Direct => 10,
                FcLink::Loop => 11,
            },
        )
        .set(P::LinkTechnology, 4u16)
        .set(P::SupportedFC4Types, [FCP])
        .set(P::ActiveFC4Types, [FCP])
        .set_some(P::Speed, port.speed)
        .set_some(P::MaxSpeed, port.max_speed)
        // 2 Front-end only: hosts alone are at the other end.
        .set(P::UsageRestriction, 2u16)
        .set(P::EnabledState, if port.enabled { 2u16 } else { 3 })
        .set(P::RequestedState, 12u16)
}

pub(super) fn list_endpoints(view: &View) -> Vec<Element> {
    let ports = view.inventory.fc_ports();
    ports.map(|port| endpoint(port.wwn)).collect()
}

/// The port as an end of the protocol.
pub(super) fn endpoint(wwn: Wwn) -> Element {
    Element::Endpoint(PortId::FibreChannel(wwn))
}

pub(super) fn endpoint_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_SCSIProtocolEndpoint>,
) -> PathBuilder<class::Standpipe_SCSIProtocolEndpoint> {
    let Element::Endpoint(id) = element else {
        return path;
    };
    array_keys!(
        path,
        view,
        Standpipe_SCSIProtocolEndpoint.Name,
        id.to_string()
    )
}

pub(super) fn fill_endpoint(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_SCSIProtocolEndpoint>,
) -> Builder<class::Standpipe_SCSIProtocolEndpoint> {
    use class::Standpipe_SCSIProtocolEndpoint as P;
    let Element::Endpoint(id) = element else {
        return out;
    };
    let Some(port) = view.inventory.port(id) else {
        return out;
    };
    let out = set_health!(out, P, &port.health);
    out.set(P::ElementName, id.to_string())
        .set(P::NameFormat, "WWPN")
        .set(P::Role, 3u16)
        .set(P::ConnectionType, 2u16)
        .set(P::ProtocolIFType, 56u16)
        .set(P::EnabledState, if port.enabled { 2u16 } else { 3 })
        .set(P::RequestedState, 12u16)
}
