//! The addresses of the machine at which targets listen, and those at which they could.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use imbl::OrdMap;

use super::{Index, Inventory};
use crate::array::ids::PortId;
use crate::array::model::Port;

/// The TCP port of iSCSI (RFC 7143), where no target says another one.
const ISCSI_PORT: u16 = 3260;

impl Inventory {
    /// The addresses at which a port listens; a wildcard stands for every address of its family.
    pub fn addresses_of(&self, port: &Port) -> BTreeSet<SocketAddr> {
        port.portals
            .iter()
            .flat_map(|portal| self.expanded(*portal))
            .collect()
    }

    /// What a portal stands for.
    pub(in crate::array) fn expanded(&self, portal: SocketAddr) -> BTreeSet<SocketAddr> {
        if !portal.ip().is_unspecified() {
            return [portal].into();
        }
        let own = self.own_addresses();
        own.filter(|ip| ip.is_ipv4() == portal.is_ipv4())
            .map(|ip| SocketAddr::new(ip, portal.port()))
            .collect()
    }

    /// The addresses at which a port listens or could be made to, with whether any does: those of
    /// the machine that others can reach, at the TCP ports that targets use.
    pub fn portals(&self) -> &OrdMap<SocketAddr, bool> {
        &self.portals
    }

    /// Those of them with that IP address.
    pub fn portals_of(&self, address: IpAddr) -> impl Iterator<Item = SocketAddr> {
        let (first, last) = (
            SocketAddr::new(address, 0),
            SocketAddr::new(address, u16::MAX),
        );
        self.portals.range(first..=last).map(|(portal, _)| *portal)
    }

    /// The ports that listen at an address.
    pub fn ports_at(&self, portal: &SocketAddr) -> impl Iterator<Item = &PortId> {
        self.portal_ports.of(portal)
    }

    /// Finds out anew what listens where, after ports or interfaces have changed.
    pub(super) fn index_portals(&mut self) {
        let mut listening = Index::default();
        for port in self.ports.values() {
            for portal in self.addresses_of(port) {
                listening.link(portal, port.id.clone());
            }
        }
        let mut numbers: BTreeSet<u16> = listening.keys().map(SocketAddr::port).collect();
        if numbers.is_empty() {
            numbers.insert(ISCSI_PORT);
        }
        let usable = self.own_addresses().filter(|ip| can_be_reached(*ip));
        let mut all: OrdMap<_, _> = usable
            .flat_map(|ip| numbers.iter().map(move |at| SocketAddr::new(ip, *at)))
            .map(|address| (address, false))
            .collect();
        all.extend(listening.keys().map(|address| (*address, true)));
        (self.portals, self.portal_ports) = (all, listening);
    }

    fn own_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.nics()
            .flat_map(|nic| &nic.addresses)
            .map(|(address, _)| *address)
    }
}

/// Whether the kernel, listening at one of them, refuses to listen at the other: one is the wildcard
/// that the other one falls under. The wildcard of IPv6 takes IPv4 as well, and the two wildcards
/// share.
pub fn excludes(one: &SocketAddr, other: &SocketAddr) -> bool {
    let covers = |wide: &SocketAddr, narrow: &SocketAddr| {
        wide.ip().is_unspecified()
            && !narrow.ip().is_unspecified()
            && (wide.is_ipv6() || narrow.is_ipv4())
    };
    one.port() == other.port() && (covers(one, other) || covers(other, one))
}

/// Whether initiators elsewhere can name the address: one that means something only on a link needs
/// the name of an interface with it.
fn can_be_reached(address: IpAddr) -> bool {
    let is_local = |ip: &Ipv6Addr| ip.segments()[0] & 0xffc0 == 0xfe80;
    match address {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !is_local(&ip),
    }
}
