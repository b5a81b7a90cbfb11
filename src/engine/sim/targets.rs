//! Targets that clients made, and those of others, as LIO keeps them beside the configured ones.
//!
//! None survives a restart of the machine: `converge` makes those again that the engine was told of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::machine::Machine;
use crate::array::{Error, FcPort, Health, Iqn, MadeTarget, Port, PortId, Target, excludes};

/// A target in the kernel that the configuration does not name.
#[derive(Clone, Debug)]
pub(super) struct Extra {
    pub(super) portals: BTreeSet<SocketAddr>,
    /// Whether it bears this array's mark.
    pub(super) ours: bool,
    /// Whether another manager's files make it again when the machine starts.
    pub(super) theirs: bool,
    pub(super) open: bool,
}

impl Machine {
    /// Exports through these targets, and those that it was configured with.
    pub(super) fn manage_targets(&mut self, targets: &[MadeTarget]) {
        let open = targets.iter().filter(|target| !target.portals.is_empty());
        self.made_targets = open.map(|t| (t.iqn.clone(), t.clone())).collect();
        self.generation += 1;
    }

    fn is_configured(&self, iqn: &Iqn) -> bool {
        self.targets.iter().any(|target| target.iqn == *iqn)
    }

    /// Whether the port is one of a target that this array exports through.
    pub(super) fn is_our_port(&self, port: &PortId) -> bool {
        let mut ports = self.targets.iter().flat_map(|target| &target.ports);
        let mut made = self.made_targets.values();
        ports.any(|known| known.id == *port)
            || made.any(|target| target.port() == *port)
            || self.fc_port(port).is_some()
    }

    /// Whether initiators can log in to the port.
    pub(super) fn is_open(&self, port: &PortId) -> bool {
        let mut ports = self.targets.iter().flat_map(|target| &target.ports);
        let configured = self.open && ports.any(|known| known.id == *port && known.enabled);
        let extra = self.extra_targets.iter().any(|(iqn, target)| {
            let id = PortId::Iscsi {
                iqn: iqn.clone(),
                tag: 1,
            };
            target.open && id == *port
        });
        configured || extra || self.open && self.fc_port(port).is_some_and(|port| port.enabled)
    }

    /// See [`Step::Listen`](crate::array::Step::Listen).
    pub(super) fn listen(&mut self, target: &MadeTarget) -> Result<(), Error> {
        if self.is_configured(&target.iqn) {
            return Err(Error::access_denied(format!(
                "target {} is named by the configuration; change it there",
                target.iqn
            )));
        }
        if target.portals.is_empty() {
            return self.silence(target);
        }
        self.begin_to_listen(target)?;
        let wanted = Extra {
            portals: target.portals.clone(),
            ours: true,
            theirs: false,
            open: true,
        };
        let is_news = self
            .extra_targets
            .get(&target.iqn)
            .is_none_or(|found| found.portals != wanted.portals || !found.open);
        self.extra_targets.insert(target.iqn.clone(), wanted);
        self.made_targets.insert(target.iqn.clone(), target.clone());
        self.generation += u64::from(is_news);
        Ok(())
    }

    /// Makes the target with its portals where it is missing; nobody can log in to a new one.
    pub(super) fn begin_to_listen(&mut self, target: &MadeTarget) -> Result<(), Error> {
        if let Some(found) = self.extra_targets.get_mut(&target.iqn) {
            // One that was taken over may have been made again by the other manager.
            found.ours |= target.taken_over;
        }
        let found = self.extra_targets.get(&target.iqn);
        if found.is_some_and(|found| !found.ours) {
            return Err(Error::already_exists(format!(
                "somebody else has made a target {}; give the target another name",
                target.iqn
            )));
        }
        let configured = self.targets.iter().flat_map(|target| &target.ports);
        let others = self.extra_targets.iter();
        let others = others.filter(|(iqn, _)| **iqn != target.iqn);
        let listening: BTreeSet<&SocketAddr> = configured
            .flat_map(|port| &port.portals)
            .chain(others.flat_map(|(_, other)| &other.portals))
            .chain(&target.portals)
            .collect();
        for portal in &target.portals {
            if listening.iter().any(|other| excludes(other, portal)) {
                return Err(Error::in_use(format!(
                    "the kernel cannot listen at {portal}; another target or program may listen \
                     there, or at every address"
                )));
            }
        }
        if found.is_none() {
            let closed = Extra {
                portals: target.portals.clone(),
                ours: true,
                theirs: false,
                open: false,
            };
            self.extra_targets.insert(target.iqn.clone(), closed);
            self.generation += 1;
        }
        Ok(())
    }

    /// Removes a target of ours; one that somebody else made is left alone.
    fn silence(&mut self, target: &MadeTarget) -> Result<(), Error> {
        if self.extra_targets.get(&target.iqn).is_some_and(|t| t.ours) {
            if let Some((_, initiator, _)) = self.luns.keys().find(|key| key.0 == target.port()) {
                return Err(Error::in_use(format!(
                    "access for {initiator} of target {} is there; remove that first",
                    target.iqn
                )));
            }
            self.extra_targets.remove(&target.iqn);
            self.generation += 1;
        }
        self.made_targets.remove(&target.iqn);
        Ok(())
    }

    /// Makes what the engine was told of; nobody can log in to what is new.
    pub(super) fn prepare_targets(&mut self) -> Result<(), Error> {
        let mut first_failure = Ok(());
        for target in self.made_targets.clone().values() {
            first_failure = first_failure.and(self.begin_to_listen(target));
        }
        first_failure
    }

    /// Lets initiators log in everywhere.
    pub(super) fn open_targets(&mut self) {
        let made = &self.made_targets;
        let mut extra: Vec<_> = self.extra_targets.iter_mut().collect();
        extra.retain(|(iqn, target)| target.ours && made.contains_key(*iqn));
        let closed = !self.open || extra.iter().any(|(_, target)| !target.open);
        extra.into_iter().for_each(|(_, target)| target.open = true);
        self.open = true;
        self.generation += u64::from(closed);
    }

    /// The targets that this array exports through.
    pub(super) fn report_targets(&self) -> Vec<Target> {
        let mut targets = self.targets.clone();
        for port in targets.iter_mut().flat_map(|target| &mut target.ports) {
            port.enabled &= self.open;
        }
        let made = self.made_targets.values().map(|target| {
            let found = self.extra_targets.get(&target.iqn).filter(|t| t.ours);
            let missing = || Health::Failed("the target is not there".to_owned());
            Target {
                iqn: target.iqn.clone(),
                ports: vec![Port {
                    id: target.port(),
                    enabled: found.is_some_and(|found| found.open),
                    portals: found.iter().flat_map(|t| &t.portals).copied().collect(),
                    health: found.map_or_else(missing, |_| Health::Ok),
                }],
            }
        });
        targets.extend(made);
        targets
    }

    fn fc_port(&self, port: &PortId) -> Option<&FcPort> {
        let mut all = self.fc_ports.iter();
        all.find(|known| *port == PortId::FibreChannel(known.wwn))
    }

    /// The Fibre Channel ports of the machine.
    pub(super) fn report_fc_ports(&self) -> Vec<FcPort> {
        let ports = self.fc_ports.iter().cloned();
        ports
            .map(|port| FcPort {
                enabled: port.enabled && self.open,
                ..port
            })
            .collect()
    }

    /// What bears this array's mark and is none that the engine was told of.
    pub(super) fn report_stray_targets(&self) -> Vec<MadeTarget> {
        let strays = self.extra_targets.iter();
        let strays = strays.filter(|(iqn, t)| t.ours && !self.made_targets.contains_key(*iqn));
        strays
            .map(|(iqn, target)| MadeTarget {
                iqn: iqn.clone(),
                alias: iqn
                    .as_str()
                    .rsplit(':')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                portals: target.portals.clone(),
                taken_over: false,
            })
            .collect()
    }

    /// The targets of others that show anything, with their addresses.
    pub(super) fn report_foreign_targets(&self) -> BTreeMap<Iqn, BTreeSet<SocketAddr>> {
        let theirs = self.extra_targets.iter().filter(|(iqn, target)| {
            let shows = self.luns.keys().any(|(port, ..)| port.iqn() == Some(*iqn));
            !target.ours && shows
        });
        theirs
            .map(|(iqn, target)| (iqn.clone(), target.portals.clone()))
            .collect()
    }

    /// The targets that listen at an address, open ones only, with their ports.
    pub(super) fn listening_at(&self, portal: SocketAddr) -> BTreeMap<Iqn, PortId> {
        let configured = self.targets.iter().flat_map(|target| &target.ports);
        let configured = configured.filter(|port| port.portals.contains(&portal));
        let extra = self.extra_targets.iter();
        let extra = extra.filter(|(_, target)| target.portals.contains(&portal));
        let extra = extra.map(|(iqn, _)| PortId::Iscsi {
            iqn: iqn.clone(),
            tag: 1,
        });
        let all = configured.map(|port| port.id.clone()).chain(extra);
        all.filter(|port| self.is_open(port))
            .filter_map(|port| Some((port.iqn()?.clone(), port)))
            .collect()
    }
}
