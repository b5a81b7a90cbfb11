//! The Fibre Channel ports of the machine: what its adapters tell of themselves (`class/fc_host` in
//! sysfs), and which of them the kernel target has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::LinuxEngine;
use super::blockdev::Places;
use super::lio::read::State;
use super::notation;
use crate::array::{FcLink, FcPort, Health, PortId, Wwn};

/// What the kernel calls a port that works.
const WORKING: [&str; 2] = ["Online", "Marginal"];

/// What an adapter tells of one of its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Host {
    /// The port's state in the kernel's word, e.g. `Online` or `Linkdown`.
    state: String,
    /// What it is connected to, in words, e.g. `NPort (fabric via point-to-point)`.
    kind: String,
    /// Its speed now, e.g. `16 Gbit`.
    speed: String,
    /// The speeds that it can have.
    speeds: String,
}

/// What adapters tell, by the names of their ports.
pub(super) fn hosts(places: &Places) -> BTreeMap<Wwn, Host> {
    let folders = fs::read_dir(places.sys.join("class/fc_host"));
    let folders = folders.into_iter().flatten().filter_map(Result::ok);
    folders
        .filter_map(|folder| {
            let read = |name: &str| text(&folder.path(), name);
            let wwn = Wwn::parse(&read("port_name"))?;
            let host = Host {
                state: read("port_state"),
                kind: read("port_type"),
                speed: read("speed"),
                speeds: read("supported_speeds"),
            };
            Some((wwn, host))
        })
        .collect()
}

/// The names of the ports of the machine's adapters, in target mode or not.
pub fn ports(places: &Places) -> BTreeSet<Wwn> {
    hosts(places).into_keys().collect()
}

fn text(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
    text.trim().to_owned()
}

/// `16 Gbit` in bits per second; the fastest of several, parted by commas.
fn bits(text: &str) -> Option<u64> {
    let speeds = text.split(',').filter_map(|speed| {
        let number = speed.trim().strip_suffix("Gbit")?.trim();
        number.parse::<u64>().ok()?.checked_mul(1_000_000_000)
    });
    speeds.max()
}

impl Host {
    fn link(&self) -> FcLink {
        match self.kind.split_whitespace().next() {
            Some("NPort" | "Point-To-Point") => FcLink::Direct,
            Some("NLPort" | "LPort") => FcLink::Loop,
            _ => FcLink::Unknown,
        }
    }

    fn health(&self) -> Health {
        match WORKING.contains(&self.state.as_str()) {
            true => Health::Ok,
            false => Health::Degraded(format!(
                "the adapter calls the state of the port {:?}; look at the cable and the switch",
                self.state
            )),
        }
    }
}

/// A port as the machine has it; `None` where neither an adapter nor the kernel target has it.
pub(super) fn seen(wwn: Wwn, host: Option<&Host>, state: &State) -> Option<FcPort> {
    let port = PortId::FibreChannel(wwn);
    let found = state.targets.get(&notation::target(&port));
    let health = match (found, host) {
        (None, None) => return None,
        (None, Some(_)) => Health::Failed(
            "the kernel target does not have the port; load the module tcm_qla2xxx, and see that \
             qla2xxx has qlini_mode=disabled or dual"
                .into(),
        ),
        (Some(_), None) => Health::Failed("its adapter is not there".into()),
        (Some(_), Some(host)) => host.health(),
    };
    let host = host.cloned().unwrap_or_default();
    Some(FcPort {
        wwn,
        enabled: found.is_some_and(|found| found.enabled),
        link: host.link(),
        speed: bits(&host.speed),
        max_speed: bits(&host.speeds),
        health,
    })
}

impl LinuxEngine {
    /// The configured ports that the machine has.
    pub(super) fn fc_ports(&self, state: &State, trouble: Option<&str>) -> Vec<FcPort> {
        let hosts = self.fc_outline();
        let wanted = self.exports.fc_ports().iter();
        let ports = wanted.filter_map(|wwn| seen(*wwn, hosts.get(wwn), state));
        ports
            .map(|port| match (trouble, &port.health) {
                (Some(trouble), _) => FcPort {
                    health: Health::Unknown(trouble.to_owned()),
                    ..port
                },
                (None, Health::Ok) if self.exports.is_stressed() => FcPort {
                    health: Health::Degraded("the kernel target hangs".into()),
                    ..port
                },
                _ => port,
            })
            .collect()
    }

    /// What adapters tell of the configured ports, as far as a scan shows it.
    pub(super) fn fc_outline(&self) -> BTreeMap<Wwn, Host> {
        match self.exports.fc_ports() {
            [] => BTreeMap::new(),
            _ => hosts(&self.places),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_tell_of_their_ports() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sys = folder.path();
        // As qla2xxx on Linux tells it; a port without a name is none.
        for (host, name, state, kind, speed) in [
            (
                "host7",
                "0x21000024ff12ab56",
                "Online",
                "NPort (fabric via point-to-point)",
                "16 Gbit",
            ),
            (
                "host8",
                "0x21000024ff12ab57",
                "Linkdown",
                "Unknown",
                "unknown",
            ),
            (
                "host9",
                "0xffffffffffffffff",
                "Offline",
                "Unknown",
                "unknown",
            ),
        ] {
            let host = sys.join("class/fc_host").join(host);
            fs::create_dir_all(&host).expect("set up");
            for (file, text) in [
                ("port_name", name),
                ("port_state", state),
                ("port_type", kind),
                ("speed", speed),
                ("supported_speeds", "4 Gbit, 8 Gbit, 16 Gbit"),
            ] {
                fs::write(host.join(file), format!("{text}\n")).expect("set up");
            }
        }
        let places = Places {
            sys: sys.to_owned(),
            ..Places::default()
        };
        let hosts = hosts(&places);
        assert_eq!(hosts.len(), 2);
        let of = |name: &str| &hosts[&Wwn::parse(name).expect("a name")];
        let up = of("21000024ff12ab56");
        assert_eq!((up.link(), up.health()), (FcLink::Direct, Health::Ok));
        assert_eq!(bits(&up.speed), Some(16_000_000_000));
        assert_eq!(bits(&up.speeds), Some(16_000_000_000));
        let down = of("21000024ff12ab57");
        assert_eq!(down.link(), FcLink::Unknown);
        assert!(matches!(down.health(), Health::Degraded(why) if why.contains("Linkdown")));
        assert_eq!(bits(&down.speed), None);
    }
}
