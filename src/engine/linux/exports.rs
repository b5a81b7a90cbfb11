//! The kernel target as one thing that is changed by one caller at a time: in this program behind
//! a gate, among programs under the shared lock files, and always on a watched thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lio::chap::{self, Demands};
use super::lio::configfs::{Configfs, ConfigfsError};
use super::lio::export::{self, ExportError, Exported, Row};
use super::lio::fabric;
use super::lio::locks::LockFiles;
use super::lio::made;
use super::lio::read::{self, State};
use super::lio::refit;
use super::lio::takeover::{self, Known, Taken, Wanted};
use super::lio::target;
use super::lio::{acl, aptpl};
use super::notation;
use super::saver::Saver;
use super::settings::{Settings, TargetSettings};
use super::watch::{Deadline, Gate, Watch};
use crate::array::{Error, Iqn, MadeTarget, Map, PortId, Takeover, VolumeId, Wwn};

/// The exports of our targets.
#[derive(Debug)]
pub(super) struct Exports {
    configfs: Configfs,
    locks: LockFiles,
    /// The configured targets.
    configured: Vec<TargetSettings>,
    /// The configured Fibre Channel ports, whether the machine has them or not.
    fc_ports: Vec<Wwn>,
    /// Those that clients made and that have a port.
    made: Mutex<BTreeMap<Iqn, MadeTarget>>,
    demands: Arc<Demands>,
    gate: Gate<()>,
    watch: Watch,
    saver: Option<Saver>,
}

/// Where an initiator may log in.
#[derive(Debug)]
pub(super) struct Acl {
    pub(super) iqn: String,
    pub(super) initiator: String,
}

impl Exports {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            configfs: Configfs::new(&settings.configfs),
            locks: LockFiles::in_folder(&settings.lock_folder),
            configured: settings.targets.clone(),
            fc_ports: settings.fc_ports.clone(),
            made: Mutex::default(),
            demands: Arc::new(Demands::new(&settings.chap)),
            gate: Gate::new(()),
            watch: Watch::default(),
            saver: Saver::start(settings),
        }
    }

    /// The configured targets, then those that clients made.
    pub(super) fn targets(&self) -> Vec<TargetSettings> {
        let made = self.made();
        let is_configured = |iqn: &Iqn| self.configured.iter().any(|known| known.iqn == *iqn);
        let made = made.values().filter(|target| !is_configured(&target.iqn));
        let made = made.map(|target| TargetSettings {
            iqn: target.iqn.clone(),
            portals: target.portals.iter().copied().collect(),
        });
        self.configured.iter().cloned().chain(made).collect()
    }

    /// The configured Fibre Channel ports.
    pub(super) fn fc_ports(&self) -> &[Wwn] {
        &self.fc_ports
    }

    /// The targets of the configured Fibre Channel ports, as the kernel target calls them.
    fn fc_targets(&self) -> Vec<String> {
        let ports = self.fc_ports.iter().copied().map(PortId::FibreChannel);
        ports.map(|port| notation::target(&port)).collect()
    }

    /// Whether a client made a target of that name that has a port and that the configuration does
    /// not name.
    pub(super) fn is_made(&self, iqn: &Iqn) -> bool {
        let is_configured = self.configured.iter().any(|known| known.iqn == *iqn);
        !is_configured && self.made().contains_key(iqn)
    }

    /// Whether a target of that name is only ours if it bears our mark.
    pub(super) fn needs_mark(&self, iqn: &Iqn) -> bool {
        let is_taken = self.made().get(iqn).is_some_and(|target| target.taken_over);
        self.is_made(iqn) && !is_taken
    }

    /// Exports through these targets from now on, which clients made, besides the configured ones.
    pub(super) fn manage(&self, targets: &[MadeTarget]) {
        let open = targets.iter().filter(|target| !target.portals.is_empty());
        *self.made() = open.map(|t| (t.iqn.clone(), t.clone())).collect();
    }

    /// Lets a target that a client made listen where it is to, or removes it.
    pub(super) fn listen(&self, target: &MadeTarget, deadline: Deadline) -> Result<(), Error> {
        let iqn = target.iqn.clone();
        if self.configured.iter().any(|known| known.iqn == iqn) {
            return Err(Error::access_denied(format!(
                "target {iqn} is named by the configuration; change it there"
            )));
        }
        let wanted = target.clone();
        if target.portals.is_empty() {
            self.change("closing the port", deadline, move |configfs| {
                made::remove(configfs, wanted.iqn.as_str())
            })?;
            self.made().remove(&iqn);
            return Ok(());
        }
        let is_known = self.is_made(&iqn);
        let demands = self.demands.clone();
        self.change("opening the port", deadline, move |configfs| {
            made::open(configfs, &wanted, is_known, &demands)
        })?;
        self.made().insert(iqn, target.clone());
        Ok(())
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<Iqn, MadeTarget>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call into the kernel has not come back.
    pub(super) fn is_stressed(&self) -> bool {
        self.watch.stuck() > 0
    }

    /// Makes the targets, and what they demand at login; nobody can log in to a new one yet.
    pub(super) fn prepare(&self, deadline: Deadline) -> Result<(), Error> {
        let configured = self.configured.clone();
        let made = self.made().clone();
        let fc = self.fc_targets();
        let demands = self.demands.clone();
        self.change("preparing the targets", deadline, move |configfs| {
            aptpl::prepare(configfs);
            let configured = configured.iter().map(|target| {
                let iqn = target.iqn.as_str();
                demanding(
                    configfs,
                    iqn,
                    target::ensure(configfs, iqn, &target.portals),
                    &demands,
                )
            });
            let made = made.values().map(|target| {
                let iqn = target.iqn.as_str();
                if !target.taken_over {
                    made::check(configfs, iqn)?;
                }
                demanding(configfs, iqn, made::prepare(configfs, target), &demands)
            });
            let fc = fc.iter();
            let fc = fc.map(|target| {
                let made = target::ensure(configfs, target, &[]);
                made.or_else(|error| check_there(configfs, target).and(Err(error.into())))
            });
            // What one lacks keeps no other from hosts, nor from being closed to those without
            // credentials.
            let all: Vec<_> = configured.chain(made).chain(fc).collect();
            all.into_iter().collect::<Result<(), ExportError>>()
        })
    }

    /// Lets initiators log in.
    pub(super) fn open(&self, deadline: Deadline) -> Result<(), Error> {
        let targets = self.targets().into_iter();
        let targets = targets.map(|t| (self.needs_mark(&t.iqn), t.iqn.to_string()));
        let fc = self.fc_targets().into_iter().map(|target| (false, target));
        let targets: Vec<_> = targets.chain(fc).collect();
        let demands = self.demands.clone();
        self.change("opening the targets", deadline, move |configfs| {
            let open = |(needs_mark, target): &(bool, String)| {
                if *needs_mark {
                    made::check(configfs, target)?;
                }
                // Not open without it, whatever became of the preparations.
                chap::demand(configfs, target, &demands)?;
                Ok(target::open(configfs, target)?)
            };
            let all: Vec<_> = targets.iter().map(open).collect();
            all.into_iter().collect::<Result<(), ExportError>>()
        })
    }

    /// Shows an active volume.
    pub(super) fn show(
        &self,
        volume: Exported,
        map: &Map,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.show_as(export::show, volume, map, deadline)
    }

    /// Shows a volume that a backstore of ours exports already; `false` where none does any more.
    pub(super) fn show_exported(
        &self,
        volume: Exported,
        map: &Map,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        self.show_as(export::show_exported, volume, map, deadline)
    }

    fn show_as<T: Send + 'static>(
        &self,
        show: fn(&Configfs, &Exported, &Row, &Demands) -> Result<T, ExportError>,
        volume: Exported,
        map: &Map,
        deadline: Deadline,
    ) -> Result<T, Error> {
        let row = self.row(map)?;
        let needs_mark = map.port.iqn().is_some_and(|iqn| self.needs_mark(iqn));
        let demands = self.demands.clone();
        self.change("showing the volume", deadline, move |configfs| {
            if needs_mark {
                made::check(configfs, &row.iqn)?;
            }
            check_there(configfs, &row.iqn)?;
            show(configfs, &volume, &row, &demands)
        })
    }

    /// Hides a volume.
    pub(super) fn hide(&self, map: &Map, deadline: Deadline) -> Result<(), Error> {
        // The port may have been ours under another configuration.
        let row = row(map);
        let uuid = map.volume.as_str().to_owned();
        self.change("hiding the volume", deadline, move |configfs| {
            export::hide(configfs, &uuid, &row)
        })
    }

    /// Removes what is ours and not in these maps.
    pub(super) fn sweep(&self, maps: &[Map], deadline: Deadline) -> Result<(), Error> {
        let wanted = self.wanted(maps);
        let iqns = self.names();
        self.change("removing what is not wanted", deadline, move |configfs| {
            export::sweep(configfs, &iqns, &wanted)
        })
    }

    /// Gives hosts the lasting registrations back that another manager left out.
    pub(super) fn restore_registrations(&self, deadline: Deadline) -> Result<(), Error> {
        let iqns = self.names();
        self.change("restoring reservations", deadline, move |configfs| {
            refit::restore_registrations(configfs, &iqns)
        })
    }

    /// Whether the kernel shows a volume as this map says.
    pub(super) fn is_shown(&self, map: &Map, deadline: Deadline) -> Result<bool, Error> {
        let row = row(map);
        let uuid = map.volume.as_str().to_owned();
        self.look(deadline, move |configfs| {
            export::is_shown(configfs, &uuid, &row)
        })
    }

    /// Whether a backstore of ours holds a volume open; one that was taken over has kept a serial.
    pub(super) fn is_exported(
        &self,
        uuid: &str,
        kept: Option<String>,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let uuid = uuid.to_owned();
        self.look(deadline, move |configfs| {
            export::is_exported(configfs, &uuid, kept.as_deref())
        })
    }

    /// What hosts know of each volume that is to be taken over with a view, if that can be done.
    pub(super) fn inspect(
        &self,
        wanted: Wanted,
        deadline: Deadline,
    ) -> Result<BTreeMap<VolumeId, Known>, Error> {
        let demands = self.demands.clone();
        self.look(deadline, move |configfs| {
            takeover::inspect(configfs, &wanted, &demands)
        })
    }

    /// Makes ours what another manager shows.
    pub(super) fn take_over(&self, wanted: Wanted, deadline: Deadline) -> Result<(), Error> {
        let target = wanted.view.target.clone();
        let demands = self.demands.clone();
        self.change("taking over the view", deadline, move |configfs| {
            takeover::take(configfs, &wanted, &demands)
        })?;
        self.made().extend(target.map(|t| (t.iqn.clone(), t)));
        Ok(())
    }

    /// Leaves to another manager again what was his.
    pub(super) fn give_back(&self, view: &Takeover, deadline: Deadline) -> Result<(), Error> {
        let wanted = view.clone();
        self.change("giving the view back", deadline, move |configfs| {
            takeover::give_back(configfs, &wanted)
        })?;
        if let Some(target) = &view.target {
            self.made().remove(&target.iqn);
        }
        Ok(())
    }

    /// Finds the backstores of volumes that were taken over, where another manager has made them again.
    pub(super) fn recognise(&self, taken: Vec<Taken>, deadline: Deadline) -> Result<(), Error> {
        self.change(
            "looking for volumes that were taken over",
            deadline,
            move |configfs| takeover::recognise(configfs, &taken),
        )
    }

    /// Makes ours again what was taken over and what another manager has made again from his files.
    pub(super) fn retake(&self, maps: &[Map], deadline: Deadline) -> Result<(), Error> {
        let wanted = self.wanted(maps);
        let iqns = self.names();
        let demands = self.demands.clone();
        self.change("taking over again", deadline, move |configfs| {
            takeover::retake(configfs, &iqns, &wanted, &demands)
        })
    }

    /// The number of the device that a backstore of ours holds open for a volume.
    pub(super) fn device_of(
        &self,
        uuid: &str,
        deadline: Deadline,
    ) -> Result<Option<(u32, u32)>, Error> {
        let uuid = uuid.to_owned();
        self.look(deadline, move |configfs| export::device_of(configfs, &uuid))
    }

    /// Everything that the kernel target holds.
    pub(super) fn state(&self, deadline: Deadline) -> Result<State, Error> {
        self.look(deadline, read::state)
    }

    /// What a look tells of the ACLs on our ports, of those of which it tells something.
    pub(super) fn of_acls<T: Send + 'static>(
        &self,
        state: &State,
        deadline: Deadline,
        read: fn(&Configfs, &str) -> Option<T>,
    ) -> Result<Vec<(Acl, T)>, Error> {
        let targets = self.targets();
        let ours = targets.iter().filter_map(|wanted| {
            let iqn = wanted.iqn.as_str();
            Some((iqn, state.targets.get(iqn)?))
        });
        let acls: Vec<Acl> = ours
            .flat_map(|(iqn, target)| {
                target.acls.keys().map(|initiator| Acl {
                    iqn: iqn.to_owned(),
                    initiator: initiator.clone(),
                })
            })
            .collect();
        self.look(deadline, move |configfs| {
            let found = acls.into_iter().filter_map(|acl| {
                let told = read(configfs, &acl::folder(&acl.iqn, &acl.initiator))?;
                Some((acl, told))
            });
            Ok::<_, ExportError>(found.collect())
        })
    }

    /// The rows of these maps, with their volumes.
    fn wanted(&self, maps: &[Map]) -> BTreeSet<(Row, String)> {
        let rows = maps.iter();
        rows.filter_map(|map| Some((self.row(map).ok()?, map.volume.as_str().to_owned())))
            .collect()
    }

    /// Every target of ours, as the kernel target calls it.
    fn names(&self) -> Vec<String> {
        let targets = self.targets().into_iter();
        let targets = targets.map(|target| target.iqn.to_string());
        targets.chain(self.fc_targets()).collect()
    }

    /// Where a map is in the kernel, if its port is one of ours.
    fn row(&self, map: &Map) -> Result<Row, Error> {
        match self.has(&map.port) {
            true => map.check_fabric().map(|()| row(map)),
            false => Err(Error::not_found(format!(
                "this array has no port {}",
                map.port
            ))),
        }
    }

    /// Whether a port is one of ours.
    pub(super) fn has(&self, port: &PortId) -> bool {
        match port {
            PortId::Iscsi { iqn, tag } => {
                let is_configured = self.configured.iter().any(|known| known.iqn == *iqn);
                *tag == target::TPGT && (is_configured || self.is_made(iqn))
            }
            PortId::FibreChannel(wwn) => self.fc_ports.contains(wwn),
        }
    }

    /// Reads without locks: the kernel's own suffice for one look.
    fn look<T: Send + 'static, E: Send + 'static>(
        &self,
        deadline: Deadline,
        call: impl FnOnce(&Configfs) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let configfs = self.configfs.clone();
        Ok(self
            .watch
            .run("reading the kernel target", deadline, move || {
                call(&configfs)
            })??)
    }

    /// Changes under all locks. A call that hangs is left behind, the locks are not.
    fn change<T: Send + 'static, E: Send + 'static>(
        &self,
        what: &str,
        deadline: Deadline,
        call: impl FnOnce(&Configfs) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        if self.is_stressed() {
            return Err(Error::unavailable(
                "the kernel target hangs in an earlier change; the machine needs a look",
            ));
        }
        let _turn = self.gate.enter("the kernel target", deadline)?;
        let _locks = self.locks.take(deadline.left())?;
        let configfs = self.configfs.clone();
        let done = self.watch.run(what, deadline, move || call(&configfs));
        if let Some(saver) = &self.saver {
            saver.note(self.names());
        }
        Ok(done??)
    }
}

/// Refuses a target that is not there and that only a module and an adapter bring about.
fn check_there(configfs: &Configfs, target: &str) -> Result<(), ExportError> {
    match fabric::of(target).module {
        Some(module) if !configfs.exists(&target::group(target)) => Err(ExportError::NoPort {
            target: target.to_owned(),
            module,
        }),
        _ => Ok(()),
    }
}

/// Makes a target that was made demand what it is to at login, also where an address is missing.
fn demanding(
    configfs: &Configfs,
    iqn: &str,
    made: Result<(), ConfigfsError>,
    demands: &Demands,
) -> Result<(), ExportError> {
    let demanded = chap::demand(configfs, iqn, demands);
    let settled = chap::settle_all(configfs, iqn, demands);
    made.and(demanded)?;
    settled
}

/// Where a map is in the kernel.
fn row(map: &Map) -> Row {
    Row {
        iqn: notation::target(&map.port),
        initiator: notation::acl(&map.initiator),
        number: map.lun.into(),
    }
}

#[cfg(test)]
mod tests;
