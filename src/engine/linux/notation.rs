//! What the kernel target calls the array's ports and initiators, and the way back.

use super::lio::fabric::{self, ISCSI, QLA2XXX};
use super::lio::target::TPGT;
use crate::array::{InitiatorName, Iqn, PortId, Wwn};

/// The target of a port.
pub(super) fn target(port: &PortId) -> String {
    match port {
        PortId::Iscsi { iqn, .. } => ISCSI.target(iqn.as_str()),
        PortId::FibreChannel(wwn) => QLA2XXX.target(&wwn.in_pairs()),
    }
}

/// The port of a target; `None` for one of a fabric over which the array shows nothing.
pub(super) fn port(target: &str) -> Option<PortId> {
    match fabric::split(target) {
        (fabric, name) if *fabric == ISCSI => Some(PortId::Iscsi {
            iqn: Iqn::from(name),
            tag: TPGT,
        }),
        (fabric, name) if *fabric == QLA2XXX => paired(name).map(PortId::FibreChannel),
        _ => None,
    }
}

/// The ACL of an initiator.
pub(super) fn acl(initiator: &InitiatorName) -> String {
    match initiator.wwn() {
        Some(wwn) => wwn.in_pairs(),
        None => initiator.folded(),
    }
}

/// The initiator of an ACL on a port. A name that no initiator can bear matches nobody; nor does one with
/// capitals, because the kernel lowers the name at login.
pub(super) fn initiator(port: &PortId, acl: &str) -> Option<InitiatorName> {
    match port {
        PortId::Iscsi { .. } => {
            let name = InitiatorName::iscsi(acl).ok();
            name.filter(|name| name.folded() == acl)
        }
        PortId::FibreChannel(_) => paired(acl).map(InitiatorName::from),
    }
}

/// The world-wide name that is written so, and in no other way.
fn paired(text: &str) -> Option<Wwn> {
    Wwn::parse(text).filter(|wwn| wwn.in_pairs() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (id, name) in [
            ("iqn.2026-11.example:a,t,0x0001", "iqn.2026-11.example:a"),
            ("21000024FF12AB56", "qla2xxx/21:00:00:24:ff:12:ab:56"),
        ] {
            let id = PortId::parse(id).expect("a port");
            assert_eq!(target(&id), name);
            assert_eq!(port(name), Some(id));
        }
        let fc = PortId::parse("21000024FF12AB56").expect("a port");
        let iscsi = PortId::parse("iqn.2026-11.example:a,t,0x0001").expect("a port");
        let host = InitiatorName::port_wwn("10000090FA12AB56").expect("a name");
        assert_eq!(acl(&host), "10:00:00:90:fa:12:ab:56");
        assert_eq!(initiator(&fc, "10:00:00:90:fa:12:ab:56"), Some(host));
        for other in [
            "10000090fa12ab56",
            "10:00:00:90:FA:12:AB:56",
            "iqn.2026-11.example:a",
        ] {
            assert_eq!(initiator(&fc, other), None, "{other}");
        }
        assert_eq!(initiator(&iscsi, "10:00:00:90:fa:12:ab:56"), None);
        assert_eq!(initiator(&iscsi, "iqn.2026-11.example:A"), None);
        assert_eq!(port("loopback/naa.5001405000000001"), None);
        assert_eq!(port("qla2xxx/naa.21000024ff12ab56"), None);
    }
}
