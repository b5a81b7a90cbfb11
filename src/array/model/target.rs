//! Targets, their ports and sessions, and the network interfaces under them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::Health;
use crate::array::ids::{Iqn, PortId, SessionId, Wwn};

/// An iSCSI target. One that a client made has no port until it is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub iqn: Iqn,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// A port: a target portal group with the addresses at which it listens, or a Fibre Channel port, which
/// has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Its identity.
    pub id: PortId,
    /// Whether initiators can log in.
    pub enabled: bool,
    /// The addresses; `0.0.0.0` and `[::]` stand for every address of the machine.
    pub portals: Vec<SocketAddr>,
    /// How well it is.
    pub health: Health,
}

/// A Fibre Channel port of the machine through which this array shows volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FcPort {
    /// Its world-wide name.
    pub wwn: Wwn,
    /// Whether initiators can log in.
    pub enabled: bool,
    /// What it is connected to.
    pub link: FcLink,
    /// Bits per second, while it has a link.
    pub speed: Option<u64>,
    /// The most bits per second that it can have, where known.
    pub max_speed: Option<u64>,
    /// How well it is.
    pub health: Health,
}

impl FcPort {
    /// The port as all ports are.
    pub fn port(&self) -> Port {
        Port {
            id: PortId::FibreChannel(self.wwn),
            enabled: self.enabled,
            portals: Vec::new(),
            health: self.health.clone(),
        }
    }
}

/// What a Fibre Channel port is connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FcLink {
    /// Nothing, or nobody knows.
    #[default]
    Unknown,
    /// A switch, or one other port: it is an N port.
    Direct,
    /// An arbitrated loop: it is an NL port.
    Loop,
}

/// An initiator that is logged in to a port, as the kernel tells it.
///
/// A port tells of one session for each initiator: of one who has logged in several times, the
/// latest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// The handle that the target gave it (TSIH); another one after every login.
    pub handle: u16,
    /// What the initiator calls itself beside its name, where it does.
    pub alias: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// What both sides agreed upon.
    pub terms: Terms,
    /// Its TCP connections, in the order of their numbers.
    pub connections: Vec<Connection>,
    /// How well it is.
    pub health: Health,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// To ask which targets there are.
    Discovery,
    /// To reach volumes.
    Normal,
}

/// What initiator and target agreed upon at login (RFC 7143 §13); `None` where the kernel does not
/// tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How many connections the session may have.
    pub max_connections: Option<u32>,
    /// Whether the initiator waits to be asked before it sends the data of a write.
    pub initial_r2t: Option<bool>,
    /// Whether data may come with the command.
    pub immediate_data: Option<bool>,
    /// How many requests for data (R2T) may be open for one command.
    pub max_outstanding_r2t: Option<u32>,
    /// Bytes that may come without being asked for.
    pub first_burst: Option<u32>,
    /// Bytes that may come or go in one sequence.
    pub max_burst: Option<u32>,
    /// Whether sequences of data come in order.
    pub sequence_in_order: Option<bool>,
    /// Whether the pieces of a sequence come in order.
    pub pdu_in_order: Option<bool>,
    /// How much is done to recover from errors: 0 to 2.
    pub error_recovery_level: Option<u32>,
    /// Seconds to wait before connecting again.
    pub time_to_wait: Option<u32>,
    /// Seconds that the state of a lost connection is kept after that.
    pub time_to_retain: Option<u32>,
}

/// A TCP connection of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The number that the initiator gave it (CID).
    pub number: u16,
    /// The initiator's address, where the kernel tells it.
    pub from: Option<IpAddr>,
    /// The address of this array that it came to, where that is known without doubt.
    pub to: Option<SocketAddr>,
    /// How well it is.
    pub health: Health,
}

/// The portal group of a target that clients made: it has no other.
const MADE_GROUP: u16 = 1;

/// A target that a client made, or took over from another manager, as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeTarget {
    /// Its name.
    pub iqn: Iqn,
    /// Its name for people; unique among the targets.
    pub alias: String,
    /// The addresses at which its port listens. Without any it has no port, and nothing of it is
    /// in the kernel.
    pub portals: BTreeSet<SocketAddr>,
    /// Another manager made it. His files may make it again, without this array's mark: it is this
    /// array's by its name.
    #[serde(default)]
    pub taken_over: bool,
}

impl MadeTarget {
    /// The port that it has or could have.
    pub fn port(&self) -> PortId {
        PortId::Iscsi {
            iqn: self.iqn.clone(),
            tag: MADE_GROUP,
        }
    }

    /// The same target without a port.
    #[must_use]
    pub fn closed(&self) -> Self {
        Self {
            portals: BTreeSet::new(),
            ..self.clone()
        }
    }
}

/// A network interface through which portals are reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nic {
    /// Its name, e.g. `eth0`.
    pub name: String,
    /// Its hardware address: 12 upper-case hex digits; empty for interfaces without one.
    pub mac: String,
    /// Bits per second, where known.
    pub speed: Option<u64>,
    /// Whether it has a link.
    pub up: bool,
    /// Its addresses with the length of the network prefix.
    pub addresses: Vec<(IpAddr, u8)>,
}
