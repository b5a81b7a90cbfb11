//! The file as TOML sees it, and its way into checked types.
//!
//! Values that can be wrong are `Spanned`, so that the message can point at them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::chap::{self, RawChap};
use super::storage::{self, RawStorage};
use super::{Config, Iqn, Masking, Server, Target, TlsFiles, Wrong};
use crate::array::{DriftPolicy, MAX_LUN, Policy, Wwn, excludes};
use crate::http::{Limits, ListenUrl, Scheme};
use crate::identity::{PasswordHash, Role, User, Users};

pub(super) type Checked<T> = Result<T, Wrong>;

/// The port of iSCSI (RFC 7143).
const ISCSI_PORT: u16 = 3260;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    server: Spanned<RawServer>,
    #[serde(default)]
    user: Vec<RawUser>,
    storage: Spanned<RawStorage>,
    #[serde(default)]
    target: OneOrMore,
    #[serde(default)]
    fc_port: Vec<RawFcPort>,
    #[serde(default)]
    masking: RawMasking,
    #[serde(default)]
    chap: Vec<RawChap>,
    #[serde(default)]
    limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServer {
    listen: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    allow_plain_http: bool,
    tls_certificate: Option<Spanned<PathBuf>>,
    tls_key: Option<Spanned<PathBuf>>,
    state_dir: Option<Spanned<PathBuf>>,
    location: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    name: Spanned<String>,
    password_hash: Spanned<String>,
    role: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    iqn: Spanned<String>,
    portals: Spanned<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFcPort {
    wwpn: Spanned<String>,
}

/// A `[target]`, or several `[[target]]`. Not an untagged enum: that would lose the places in the
/// file that messages point at.
#[derive(Default)]
struct OneOrMore(Vec<RawTarget>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tables;

        impl<'de> Visitor<'de> for Tables {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table [target], or several tables [[target]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore, A::Error> {
                let one = RawTarget::deserialize(MapAccessDeserializer::new(map))?;
                Ok(OneOrMore(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, tables: A) -> Result<OneOrMore, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(tables)).map(OneOrMore)
            }
        }

        deserializer.deserialize_any(Tables)
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMasking {
    lun_quarantine_seconds: Option<Spanned<u64>>,
    max_lun: Option<Spanned<u64>>,
    drift: Option<Spanned<String>>,
    saveconfig: Option<Spanned<PathBuf>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    connections: Option<Spanned<u64>>,
    connections_per_peer: Option<Spanned<u64>>,
    requests_in_flight: Option<Spanned<u64>>,
    header_bytes: Option<Spanned<u64>>,
    body_bytes: Option<Spanned<u64>>,
    handshake_seconds: Option<Spanned<u64>>,
    header_seconds: Option<Spanned<u64>>,
    body_seconds: Option<Spanned<u64>>,
    idle_seconds: Option<Spanned<u64>>,
    write_seconds: Option<Spanned<u64>>,
    drain_seconds: Option<Spanned<u64>>,
}

/// Reads a whole file.
pub(super) fn read(text: &str) -> Checked<Config> {
    let raw: RawConfig = toml::from_str(text).map_err(|error| Wrong {
        at: error.span().unwrap_or(0..0),
        reason: reason(error.message()),
    })?;
    let server_at = raw.server.span();
    let storage_at = raw.storage.span();
    if raw.target.0.is_empty() && raw.fc_port.is_empty() {
        return Err(Wrong {
            at: storage_at.end..storage_at.end,
            reason: "nothing could be shown to hosts: add a [target] with iqn and portals, or an \
                     [[fc_port]] with wwpn"
                .into(),
        });
    }
    Ok(Config {
        server: raw.server.into_inner().check()?,
        users: users(raw.user, server_at.end)?,
        storage: storage::read(raw.storage)?,
        targets: targets(raw.target.0)?,
        fc_ports: fc_ports(&raw.fc_port)?,
        masking: raw.masking.check()?,
        chap: chap::table(&raw.chap)?,
        limits: raw.limits.check()?,
    })
}

/// What the parser says, without the value that it has found: that may be a secret.
fn reason(message: &str) -> String {
    let message = message.trim().replace('\n', "; ");
    let expected = message
        .strip_prefix("invalid ")
        .and_then(|rest| rest.rsplit_once(", expected "));
    match expected {
        Some((_, expected)) => format!("write {expected} here"),
        None => message,
    }
}

/// The complaint about a value.
pub(super) fn wrong<T>(value: &Spanned<T>, reason: impl Into<String>) -> Wrong {
    Wrong {
        at: value.span(),
        reason: reason.into(),
    }
}

impl RawServer {
    fn check(self) -> Checked<Server> {
        let mut listen: Vec<ListenUrl> = Vec::new();
        for text in self.listen.get_ref() {
            let url: ListenUrl = text
                .get_ref()
                .parse()
                .map_err(|why| wrong(text, format!("server.listen: {why}")))?;
            if url.scheme == Scheme::Http && !url.is_loopback() && !self.allow_plain_http {
                let reason = format!(
                    "server.listen: {url} would send passwords in the clear over the network; \
                     use https, or set allow_plain_http = true"
                );
                return Err(wrong(text, reason));
            }
            let same = |other: &ListenUrl| other.address == url.address;
            if url.address.port() != 0 && listen.iter().any(same) {
                let reason = format!("server.listen: {} is there twice", url.address);
                return Err(wrong(text, reason));
            }
            listen.push(url);
        }
        if listen.is_empty() {
            let reason = "server.listen: name at least one URL, such as https://0.0.0.0:5989";
            return Err(wrong(&self.listen, reason));
        }
        let tls = tls_files(self.tls_certificate, self.tls_key)?;
        if tls.is_none() && listen.iter().any(|url| url.scheme == Scheme::Https) {
            let reason = "server.listen: https needs tls_certificate and tls_key (PEM files)";
            return Err(wrong(&self.listen, reason));
        }
        Ok(Server {
            listen,
            tls,
            state_dir: absolute("server.state_dir", self.state_dir, "/var/lib/standpipe")?,
            location: self.location.map(place).transpose()?,
        })
    }
}

/// A place in words that fit into one line and into `CIM_Location.PhysicalPosition`.
fn place(location: Spanned<String>) -> Checked<String> {
    const LONGEST: usize = 256;
    let text = location.get_ref().trim();
    let fits = (1..=LONGEST).contains(&text.chars().count());
    match fits && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => {
            let reason =
                format!("server.location: write one line of at most {LONGEST} characters, or none");
            Err(wrong(&location, reason))
        }
    }
}

fn tls_files(
    certificate: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
) -> Checked<Option<TlsFiles>> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(only), None) => Err(wrong(&only, "server.tls_certificate needs server.tls_key")),
        (None, Some(only)) => Err(wrong(&only, "server.tls_key needs server.tls_certificate")),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            certificate: absolute("server.tls_certificate", Some(certificate), "")?,
            key: absolute("server.tls_key", Some(key), "")?,
        })),
    }
}

/// A path that does not depend on where the program was started.
pub(super) fn absolute(
    name: &str,
    path: Option<Spanned<PathBuf>>,
    default: &str,
) -> Checked<PathBuf> {
    match path {
        None => Ok(PathBuf::from(default)),
        Some(path) if path.get_ref().is_absolute() => Ok(path.into_inner()),
        Some(path) => Err(wrong(&path, format!("{name}: write an absolute path"))),
    }
}

fn users(raw: Vec<RawUser>, where_to_add: usize) -> Checked<Vec<User>> {
    if raw.is_empty() {
        return Err(Wrong {
            at: where_to_add..where_to_add,
            reason: "nobody could log in: add a [[user]] with name, password_hash (made by \
                     `standpipe user hash`) and role"
                .into(),
        });
    }
    let mut users = Vec::with_capacity(raw.len());
    for user in raw {
        let name = user.name.get_ref().clone();
        let password = PasswordHash::parse(user.password_hash.get_ref()).map_err(|why| {
            let reason = format!(
                "password_hash of user {name:?}: {why}; make one with `standpipe user hash`"
            );
            wrong(&user.password_hash, reason)
        })?;
        let role = Role::parse(user.role.get_ref()).ok_or_else(|| {
            let reason = format!("role of user {name:?}: write \"monitor\" or \"administrator\"");
            wrong(&user.role, reason)
        })?;
        users.push(User {
            name,
            password,
            role,
        });
        // Judged one by one, so that the message points at the user who is wrong.
        Users::new(users.iter().cloned()).map_err(|why| wrong(&user.name, why.to_string()))?;
    }
    Ok(users)
}

fn targets(raw: Vec<RawTarget>) -> Checked<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::with_capacity(raw.len());
    let mut listening: Vec<SocketAddr> = Vec::new();
    for raw in raw {
        let iqn_at = raw.iqn.span();
        let portals_at: Vec<_> = raw.portals.get_ref().iter().map(Spanned::span).collect();
        let target = raw.check()?;
        if targets.iter().any(|other| other.iqn == target.iqn) {
            return Err(Wrong {
                at: iqn_at,
                reason: format!(
                    "target.iqn: {} is there twice; write one table with all of its portals",
                    target.iqn
                ),
            });
        }
        for (portal, at) in target.portals.iter().zip(portals_at) {
            if let Some(other) = listening.iter().find(|other| excludes(other, portal)) {
                return Err(Wrong {
                    at,
                    reason: format!(
                        "target.portals: the kernel cannot listen at {portal} beside {other}, as one \
                         of them stands for every address; write only that one, or addresses alone"
                    ),
                });
            }
            listening.push(*portal);
        }
        targets.push(target);
    }
    Ok(targets)
}

/// The Fibre Channel ports, each by its name.
fn fc_ports(raw: &[RawFcPort]) -> Checked<Vec<Wwn>> {
    let mut ports: Vec<Wwn> = Vec::with_capacity(raw.len());
    for RawFcPort { wwpn } in raw {
        let port = Wwn::parse(wwpn.get_ref()).ok_or_else(|| {
            let reason = "fc_port.wwpn: write the 16 hex digits of the port's name, such as \
                          21:00:00:24:ff:12:34:56 (/sys/class/fc_host/*/port_name)";
            wrong(wwpn, reason)
        })?;
        if ports.contains(&port) {
            return Err(wrong(wwpn, format!("fc_port.wwpn: {port} is there twice")));
        }
        ports.push(port);
    }
    Ok(ports)
}

impl RawTarget {
    fn check(self) -> Checked<Target> {
        let iqn = Iqn::parse(self.iqn.get_ref()).ok_or_else(|| {
            let reason = "target.iqn: write iqn.YYYY-MM.reversed.domain:name, of at most 223 \
                          letters, digits, dots, hyphens and colons";
            wrong(&self.iqn, reason)
        })?;
        let mut portals: Vec<SocketAddr> = Vec::new();
        for text in self.portals.get_ref() {
            let portal = portal(text.get_ref()).ok_or_else(|| {
                let reason = "target.portals: write address:port, such as 192.0.2.10:3260 or \
                              [2001:db8::1]:3260";
                wrong(text, reason)
            })?;
            if portals.contains(&portal) {
                return Err(wrong(
                    text,
                    format!("target.portals: {portal} is there twice"),
                ));
            }
            portals.push(portal);
        }
        if portals.is_empty() {
            let reason = "target.portals: name at least one address, such as 192.0.2.10:3260";
            return Err(wrong(&self.portals, reason));
        }
        Ok(Target { iqn, portals })
    }
}

/// `address:port`, or an address alone for the usual port.
fn portal(text: &str) -> Option<SocketAddr> {
    let alone = || Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, ISCSI_PORT));
    let portal = text.parse().ok().or_else(alone)?;
    (portal.port() != 0).then_some(portal)
}

impl RawMasking {
    fn check(self) -> Checked<Masking> {
        let Policy {
            lun_quarantine,
            max_lun,
            ..
        } = Policy::default();
        let quarantine = or(
            "masking.lun_quarantine_seconds",
            self.lun_quarantine_seconds,
            0..=30 * 24 * 3600,
            lun_quarantine.as_secs(),
        )?;
        let most = or(
            "masking.max_lun",
            self.max_lun,
            1..=MAX_LUN.into(),
            max_lun.into(),
        )?;
        let saveconfig = self
            .saveconfig
            .map(|file| absolute("masking.saveconfig", Some(file), ""));
        Ok(Masking {
            lun_quarantine: Duration::from_secs(quarantine),
            max_lun: u16::try_from(most).unwrap_or(MAX_LUN),
            drift: drift(self.drift.as_ref())?,
            saveconfig: saveconfig.transpose()?,
        })
    }
}

fn drift(word: Option<&Spanned<String>>) -> Checked<DriftPolicy> {
    match word.map(|word| (word, word.get_ref().as_str())) {
        None => Ok(DriftPolicy::default()),
        Some((_, "report")) => Ok(DriftPolicy::Report),
        Some((_, "repair")) => Ok(DriftPolicy::Repair),
        Some((word, _)) => {
            let reason = "masking.drift: write \"report\" or \"repair\"";
            Err(wrong(word, reason))
        }
    }
}

impl RawLimits {
    fn check(self) -> Checked<Limits> {
        let mut limits = Limits::default();
        let counts = [
            (
                "connections",
                self.connections,
                1..=100_000,
                &mut limits.connections,
            ),
            (
                "connections_per_peer",
                self.connections_per_peer,
                1..=100_000,
                &mut limits.connections_per_peer,
            ),
            (
                "requests_in_flight",
                self.requests_in_flight,
                1..=10_000,
                &mut limits.requests_in_flight,
            ),
            (
                "header_bytes",
                self.header_bytes,
                8 << 10..=1 << 20,
                &mut limits.header_bytes,
            ),
            (
                "body_bytes",
                self.body_bytes,
                64 << 10..=64 << 20,
                &mut limits.body_bytes,
            ),
        ];
        for (name, value, range, place) in counts {
            if let Some(value) = value {
                *place = within(&format!("limits.{name}"), &value, range)? as usize;
            }
        }
        limits.xml.bytes = limits.body_bytes;
        let times = [
            (
                "handshake_seconds",
                self.handshake_seconds,
                &mut limits.handshake_timeout,
            ),
            (
                "header_seconds",
                self.header_seconds,
                &mut limits.header_timeout,
            ),
            ("body_seconds", self.body_seconds, &mut limits.body_timeout),
            ("idle_seconds", self.idle_seconds, &mut limits.idle_timeout),
            (
                "write_seconds",
                self.write_seconds,
                &mut limits.write_timeout,
            ),
            (
                "drain_seconds",
                self.drain_seconds,
                &mut limits.drain_timeout,
            ),
        ];
        for (name, value, place) in times {
            if let Some(value) = value {
                *place = Duration::from_secs(within(&format!("limits.{name}"), &value, 1..=3600)?);
            }
        }
        Ok(limits)
    }
}

/// A number in that range, or the default where none is given.
pub(super) fn or(
    name: &str,
    value: Option<Spanned<u64>>,
    range: RangeInclusive<u64>,
    default: u64,
) -> Checked<u64> {
    value.map_or(Ok(default), |value| within(name, &value, range))
}

fn within(name: &str, value: &Spanned<u64>, range: RangeInclusive<u64>) -> Checked<u64> {
    if range.contains(value.get_ref()) {
        return Ok(*value.get_ref());
    }
    let (least, most) = range.into_inner();
    Err(wrong(
        value,
        format!("{name}: write a number from {least} to {most}"),
    ))
}
