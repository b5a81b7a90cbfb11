//! Who is logged in to our ports, out of the kernel target and its TCP sockets.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::LinuxEngine;
use super::blockdev::Places;
use super::lio::read::State;
use super::lio::session::{self, LOGGED_IN, Link, Login};
use super::lio::target;
use super::scan::portals;
use super::watch::Deadline;
use crate::array::{
    Connection, Error, Health, InitiatorName, Iqn, PortId, Purpose, Session, SessionId,
};

impl LinuxEngine {
    /// The sessions on our ports, whoever made the ACL. What cannot be read is left out.
    pub(super) fn sessions(&self, state: &State, deadline: Deadline) -> Vec<Session> {
        let read = self.exports.of_acls(state, deadline, |configfs, acl| {
            let login = session::login(configfs, acl)?;
            Some((login, session::terms(configfs, acl)))
        });
        let found = read.unwrap_or_else(|error| {
            tracing::warn!(%error, "the kernel does not tell who is logged in");
            Vec::new()
        });
        let sockets = match found.is_empty() {
            true => Vec::new(),
            false => established(&self.places),
        };
        let sessions = found.into_iter().filter_map(|(place, (login, terms))| {
            let target = state.targets.get(&place.iqn)?;
            let portals = portals(&target.portals);
            // A name that no initiator can bear matches nobody.
            let initiator = InitiatorName::iscsi(&place.initiator).ok()?;
            let mut connections: Vec<Connection> = login
                .links
                .iter()
                .map(|link| connection(link, &portals, &sockets))
                .collect();
            connections.sort_by_key(|connection| connection.number);
            Some(Session {
                id: SessionId {
                    port: PortId::Iscsi {
                        iqn: Iqn::from(place.iqn),
                        tag: target::TPGT,
                    },
                    initiator,
                    isid: login.isid,
                },
                handle: login.tsih,
                alias: login.alias,
                purpose: match login.discovery {
                    true => Purpose::Discovery,
                    false => Purpose::Normal,
                },
                terms,
                connections,
                health: health("session", &login.state),
            })
        });
        sessions.collect()
    }

    /// Who is logged in, as far as a login or logout moves it: one read for each ACL on our ports.
    pub(super) fn logins(&self, state: &State, deadline: Deadline) -> Result<Vec<Login>, Error> {
        let found = self.exports.of_acls(state, deadline, session::login)?;
        Ok(found.into_iter().map(|(_, login)| login).collect())
    }
}

fn health(what: &str, state: &str) -> Health {
    match state {
        LOGGED_IN => Health::Ok,
        other => Health::Degraded(format!(
            "the {what} is not logged in: the kernel calls its state {other}"
        )),
    }
}

fn connection(link: &Link, portals: &[SocketAddr], sockets: &[Socket]) -> Connection {
    Connection {
        number: link.cid,
        from: link.from,
        to: link.from.and_then(|from| portal_of(from, portals, sockets)),
        health: health("connection", &link.state),
    }
}

/// A TCP connection of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
}

/// The address at which a port was reached from an initiator's address: the kernel target does not
/// tell it, so it is known only where all that came from there to this port came to one.
fn portal_of(from: IpAddr, portals: &[SocketAddr], sockets: &[Socket]) -> Option<SocketAddr> {
    let listens_at = |local: &SocketAddr| {
        portals.iter().any(|portal| {
            let is_any = portal.ip().is_unspecified();
            portal.port() == local.port() && (is_any || portal.ip() == local.ip())
        })
    };
    let reached = sockets.iter().filter(|socket| socket.remote.ip() == from);
    let reached: BTreeSet<SocketAddr> = reached
        .map(|socket| socket.local)
        .filter(listens_at)
        .collect();
    match reached.len() {
        1 => reached.into_iter().next(),
        _ => None,
    }
}

/// The established TCP connections, of both families.
fn established(places: &Places) -> Vec<Socket> {
    let files = ["net/tcp", "net/tcp6"].map(|file| {
        let path = places.proc.join(file);
        fs::read_to_string(path).unwrap_or_default()
    });
    let lines = files.iter().flat_map(|text| text.lines());
    lines.filter_map(socket).collect()
}

/// A line of `/proc/net/tcp` or `tcp6`: number, local address, remote address, state (01 is
/// established), and more.
fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote) = (address(words.next()?)?, address(words.next()?)?);
    (words.next()? == "01").then_some(Socket { local, remote })
}

/// `0100007F:0CBC`: words of 32 bits in the byte order of the machine, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = ip.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::linux::exports::Exports;
    use crate::engine::linux::settings::{Settings, TargetSettings};
    use std::time::Duration;

    /// As Linux 6.1 tells it: a listener, the target's end of a connection, the initiator's.
    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CBC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12205
   1: 0100007F:0CBC 0100007F:CA7C 01 00000000:00000000 00:00000000 00000000     0        0 1255 2
   2: 0100007F:CA7C 0100007F:0CBC 01 00000000:00000000 02:000009AB 00000000     0        0 1268 3
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue
   1: 00000000000000000000000001000000:0CBC 00000000000000000000000001000000:CD1C 01 00000000:0
";

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn established_connections_are_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let net = folder.path().join("net");
        fs::create_dir(&net).expect("set up");
        fs::write(net.join("tcp"), TCP).expect("set up");
        fs::write(net.join("tcp6"), TCP6).expect("set up");
        let places = Places {
            proc: folder.path().to_owned(),
            ..Places::default()
        };
        let sockets = established(&places);
        let expected = [
            ("127.0.0.1:3260", "127.0.0.1:51836"),
            ("127.0.0.1:51836", "127.0.0.1:3260"),
            ("[::1]:3260", "[::1]:52508"),
        ];
        let expected = expected.map(|(local, remote)| Socket {
            local: at(local),
            remote: at(remote),
        });
        assert_eq!(sockets, expected);
    }

    #[test]
    fn a_portal_is_named_only_without_doubt() {
        let socket = |local, remote| Socket {
            local: at(local),
            remote: at(remote),
        };
        let sockets = [
            socket("192.0.2.1:3260", "192.0.2.50:40000"),
            socket("192.0.2.1:3260", "192.0.2.50:40001"),
            socket("192.0.2.1:22", "192.0.2.50:40002"),
            socket("192.0.2.1:3260", "192.0.2.51:40000"),
            socket("192.0.2.2:3260", "192.0.2.51:40001"),
        ];
        let own = [at("192.0.2.1:3260"), at("192.0.2.2:3260")];
        let any = [at("0.0.0.0:3260")];
        let of = |from: &str, portals: &[SocketAddr]| {
            portal_of(from.parse().expect("an address"), portals, &sockets)
        };
        for portals in [&own[..], &any[..]] {
            assert_eq!(of("192.0.2.50", portals), Some(at("192.0.2.1:3260")));
            assert_eq!(of("192.0.2.51", portals), None);
            assert_eq!(of("192.0.2.52", portals), None);
        }
        assert_eq!(of("192.0.2.51", &own[1..]), Some(at("192.0.2.2:3260")));
    }

    #[test]
    fn only_acls_on_our_ports_are_asked() {
        const OURS: &str = "iqn.2026-11.example:ours";
        const THEIRS: &str = "iqn.2026-11.example:theirs";
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (iqn, host, session) in [
            (OURS, "in", true),
            (OURS, "out", false),
            (THEIRS, "in", true),
        ] {
            let acl = folder
                .path()
                .join(format!("iscsi/{iqn}/tpgt_1/acls/iqn.2026-11.host:{host}"));
            fs::create_dir_all(&acl).expect("set up");
            let text = match session {
                true => {
                    "LIO Session ID: 1   ISID: 0x80 0f 12 2e 00 00  TSIH: 1  SessionType: Normal\n\
                     Session State: TARG_SESS_STATE_LOGGED_IN\n[iSCSI Connections]\n"
                }
                false => "No active iSCSI Session for Initiator Endpoint: x\n",
            };
            fs::write(acl.join("info"), text).expect("set up");
        }
        let target = TargetSettings {
            iqn: OURS.into(),
            portals: Vec::new(),
        };
        let exports = Exports::new(&Settings {
            configfs: folder.path().to_owned(),
            ..Settings::new(Vec::new(), vec![target])
        });
        let deadline = || Deadline::after(Duration::from_secs(20));
        let state = exports.state(deadline()).expect("read");
        assert_eq!(state.targets.len(), 2);
        let found = exports.of_acls(&state, deadline(), session::login);
        let found: Vec<_> = found
            .expect("read")
            .into_iter()
            .map(|(acl, login)| (acl.iqn, acl.initiator, login.tsih))
            .collect();
        assert_eq!(found, [(OURS.into(), "iqn.2026-11.host:in".into(), 1)]);
    }
}
