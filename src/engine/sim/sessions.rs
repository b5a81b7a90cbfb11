//! Hosts that log in to the modelled machine and out again.
//!
//! As the kernel tells it: one session for each initiator and port, which lasts as long as something
//! is mapped for the initiator there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use uuid::Uuid;

use super::SimEngine;
use super::machine::Machine;
use crate::array::{
    Connection, Error, Fabric, Health, InitiatorName, PortId, Purpose, Session, SessionId, Terms,
};

/// What LIO and the initiators of Linux agree upon where nobody has set anything else.
const TERMS: Terms = Terms {
    max_connections: Some(1),
    initial_r2t: Some(true),
    immediate_data: Some(true),
    max_outstanding_r2t: Some(1),
    first_burst: Some(65_536),
    max_burst: Some(262_144),
    sequence_in_order: Some(true),
    pdu_in_order: Some(true),
    error_recovery_level: Some(0),
    time_to_wait: Some(2),
    time_to_retain: Some(0),
};

impl SimEngine {
    /// A host that has no secret logs in to a port, with one connection. One that was logged in there is so anew.
    ///
    /// # Errors
    /// As the target refuses: no such port, or nothing is mapped for that initiator there, or the
    /// port is closed.
    pub fn log_in(&self, initiator: &InitiatorName, port: &PortId) -> Result<(), Error> {
        let mut machine = self.0.machine();
        machine.known_port(port)?;
        if port.fabric() != Fabric::Iscsi {
            return Err(Error::not_supported(
                "only iSCSI tells of who is logged in; name a port of a target",
            ));
        }
        if machine.seen_by(initiator, port, None).is_none() {
            return Err(Error::access_denied(format!(
                "{initiator} cannot log in to {port}; map a volume for it there first"
            )));
        }
        let session = machine.new_session(initiator, port);
        let place = (port.clone(), initiator.clone());
        machine.sessions.insert(place, session);
        machine.generation += 1;
        Ok(())
    }

    /// A host logs out of a port; whether it was logged in.
    pub fn log_out(&self, initiator: &InitiatorName, port: &PortId) -> bool {
        self.0.machine().end_session(initiator, port)
    }
}

impl Machine {
    /// Ends the session of an initiator on a port; whether there was one.
    pub(super) fn end_session(&mut self, initiator: &InitiatorName, port: &PortId) -> bool {
        let place = (port.clone(), initiator.clone());
        let was_there = self.sessions.remove(&place).is_some();
        self.generation += u64::from(was_there);
        was_there
    }

    fn new_session(&mut self, initiator: &InitiatorName, port: &PortId) -> Session {
        self.handle = self.handle.checked_add(1).unwrap_or(1);
        // A host keeps its identifier and its address from login to login.
        let name = initiator.folded();
        let [a, b, c, d, e, ..] = *Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_bytes();
        Session {
            id: SessionId {
                port: port.clone(),
                initiator: initiator.clone(),
                // The first two bits say that the rest is random (RFC 7143 §11.12.5).
                isid: [0x80, a, b, c, d, e],
            },
            handle: self.handle,
            alias: None,
            purpose: Purpose::Normal,
            terms: TERMS,
            connections: vec![Connection {
                number: 0,
                from: Some(Ipv4Addr::new(203, 0, 113, a % 254 + 1).into()),
                to: self.first_address(port),
                health: Health::Ok,
            }],
            health: Health::Ok,
        }
    }

    /// Where hosts reach a port first.
    fn first_address(&self, port: &PortId) -> Option<SocketAddr> {
        let mut ports = self.targets.iter().flat_map(|target| &target.ports);
        let portal = *ports.find(|known| known.id == *port)?.portals.first()?;
        if !portal.ip().is_unspecified() {
            return Some(portal);
        }
        let mut own = self.nics.iter().flat_map(|nic| &nic.addresses);
        let (ip, _): &(IpAddr, u8) = own.find(|(ip, _)| ip.is_ipv4() == portal.is_ipv4())?;
        Some(SocketAddr::new(*ip, portal.port()))
    }
}
