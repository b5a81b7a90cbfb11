//! The kernel target as one thing that is changed by one caller at a time: in this program behind
//! a gate, among programs under the shared lock files, and always on a watched thread.

use std::collections::BTreeSet;

use super::lio::aptpl;
use super::lio::configfs::Configfs;
use super::lio::export::{self, ExportError, Exported, Row};
use super::lio::locks::LockFiles;
use super::lio::read::{self, State};
use super::lio::target;
use super::saver::Saver;
use super::settings::{Settings, TargetSettings};
use super::watch::{Deadline, Gate, Watch};
use crate::array::{Error, Map};

/// The exports of the configured targets.
#[derive(Debug)]
pub(super) struct Exports {
    configfs: Configfs,
    locks: LockFiles,
    targets: Vec<TargetSettings>,
    gate: Gate<()>,
    watch: Watch,
    saver: Option<Saver>,
}

impl Exports {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            configfs: Configfs::new(&settings.configfs),
            locks: LockFiles::in_folder(&settings.lock_folder),
            targets: settings.targets.clone(),
            gate: Gate::new(()),
            watch: Watch::default(),
            saver: Saver::start(settings),
        }
    }

    /// The configured targets.
    pub(super) fn targets(&self) -> &[TargetSettings] {
        &self.targets
    }

    /// Whether a call into the kernel has not come back.
    pub(super) fn is_stressed(&self) -> bool {
        self.watch.stuck() > 0
    }

    /// Makes the targets; nobody can log in to a new one yet.
    pub(super) fn prepare(&self, deadline: Deadline) -> Result<(), Error> {
        let targets = self.targets.clone();
        self.change("preparing the targets", deadline, move |configfs| {
            aptpl::prepare(configfs);
            targets.iter().try_for_each(|target| {
                Ok(target::ensure(
                    configfs,
                    target.iqn.as_str(),
                    &target.portals,
                )?)
            })
        })
    }

    /// Lets initiators log in.
    pub(super) fn open(&self, deadline: Deadline) -> Result<(), Error> {
        let iqns = self.iqns();
        self.change("opening the targets", deadline, move |configfs| {
            iqns.iter()
                .try_for_each(|iqn| Ok(target::open(configfs, iqn)?))
        })
    }

    /// Shows an active volume.
    pub(super) fn show(
        &self,
        volume: Exported,
        map: &Map,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let row = self.row(map)?;
        self.change("showing the volume", deadline, move |configfs| {
            export::show(configfs, &volume, &row)
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
        let wanted: BTreeSet<(Row, String)> = maps
            .iter()
            .filter_map(|map| Some((self.row(map).ok()?, map.volume.as_str().to_owned())))
            .collect();
        let iqns = self.iqns();
        self.change("removing what is not wanted", deadline, move |configfs| {
            export::sweep(configfs, &iqns, &wanted)
        })
    }

    /// Gives hosts the lasting registrations back that another manager left out.
    pub(super) fn restore_registrations(&self, deadline: Deadline) -> Result<(), Error> {
        let iqns = self.iqns();
        self.change("restoring reservations", deadline, move |configfs| {
            export::restore_registrations(configfs, &iqns)
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

    /// Whether a backstore of ours holds a volume open.
    pub(super) fn is_exported(&self, uuid: &str, deadline: Deadline) -> Result<bool, Error> {
        let uuid = uuid.to_owned();
        self.look(deadline, move |configfs| {
            export::is_exported(configfs, &uuid)
        })
    }

    /// Everything that the kernel target holds.
    pub(super) fn state(&self, deadline: Deadline) -> Result<State, Error> {
        self.look(deadline, |configfs| Ok(read::state(configfs)?))
    }

    fn iqns(&self) -> Vec<String> {
        self.targets
            .iter()
            .map(|target| target.iqn.as_str().to_owned())
            .collect()
    }

    /// Where a map is in the kernel, if its port is one of ours.
    fn row(&self, map: &Map) -> Result<Row, Error> {
        let is_ours = self.targets.iter().any(|target| target.iqn == map.port.iqn);
        if !is_ours || map.port.tag != target::TPGT {
            return Err(Error::not_found(format!(
                "this array has no port {}",
                map.port
            )));
        }
        Ok(row(map))
    }

    /// Reads without locks: the kernel's own suffice for one look.
    fn look<T: Send + 'static>(
        &self,
        deadline: Deadline,
        call: impl FnOnce(&Configfs) -> Result<T, ExportError> + Send + 'static,
    ) -> Result<T, Error> {
        let configfs = self.configfs.clone();
        Ok(self
            .watch
            .run("reading the kernel target", deadline, move || {
                call(&configfs)
            })??)
    }

    /// Changes under all locks. A call that hangs is left behind, the locks are not.
    fn change(
        &self,
        what: &str,
        deadline: Deadline,
        call: impl FnOnce(&Configfs) -> Result<(), ExportError> + Send + 'static,
    ) -> Result<(), Error> {
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
            saver.note();
        }
        Ok(done??)
    }
}

/// Where a map is in the kernel.
fn row(map: &Map) -> Row {
    Row {
        iqn: map.port.iqn.as_str().to_owned(),
        initiator: map.initiator.folded(),
        number: map.lun.into(),
    }
}
