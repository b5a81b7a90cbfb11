//! The door to a kind of storage: what an engine reports, and how it is asked to take a step.
//!
//! An engine knows pools, volumes, disks, targets and maps. It knows nothing of groups, views,
//! jobs or clients: the planner has turned those into steps before anything reaches an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::ids::{InitiatorName, Iqn, PoolId, PortId, VolumeId};
use super::model::{Disk, FcPort, MadeTarget, Map, Nic, Pool, Session, Target, Volume};
use super::step::{Step, VolumeGroup};

/// Everything that an engine sees at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The pools that this array manages.
    pub pools: Vec<Pool>,
    /// Their volumes, foreign ones included; internal parts of volumes are not volumes.
    pub volumes: Vec<Volume>,
    /// The disks of the pools, those that pools can be made from, and what these are parts of.
    pub disks: Vec<Disk>,
    /// The configured targets as they are, in the order of the configuration, and those that the
    /// engine was told of.
    pub targets: Vec<Target>,
    /// The configured Fibre Channel ports that the machine has.
    pub fc_ports: Vec<FcPort>,
    /// What bears this array's mark as a target that a client made, and is none that the engine was
    /// told of.
    pub stray_targets: Vec<MadeTarget>,
    /// The network interfaces of the machine.
    pub nics: Vec<Nic>,
    /// What this array shows to initiators.
    pub maps: Vec<Map>,
    /// What other managers show to initiators: the numbers that they take on ports of ours, and
    /// volumes that lie in the pools, through whichever port.
    pub foreign_maps: Vec<ForeignMap>,
    /// The targets of other managers through which they show volumes of the pools, with the
    /// addresses at which these listen.
    pub foreign_targets: BTreeMap<Iqn, BTreeSet<SocketAddr>>,
    /// Who is logged in to ports of ours, whoever lets him in.
    pub sessions: Vec<Session>,
}

/// The facts of one volume group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupFacts {
    /// The group itself.
    pub group: Pool,
    /// The thin pools in it.
    pub thin_pools: Vec<Pool>,
    /// Its volumes, those in its thin pools included.
    pub volumes: Vec<Volume>,
    /// Its disks.
    pub disks: Vec<Disk>,
}

/// A LUN number that another manager uses for an initiator.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignMap {
    /// The port, which may belong to a target that this array does not know.
    pub port: PortId,
    /// The initiator.
    pub initiator: InitiatorName,
    /// The number.
    pub lun: u16,
    /// What it shows, where that is a volume in one of the pools.
    pub volume: Option<VolumeId>,
}

/// Everything that another manager shows to an initiator through a port, as it is taken over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Takeover {
    /// The port.
    pub port: PortId,
    /// The initiator.
    pub initiator: InitiatorName,
    /// What it sees, by number.
    pub rows: BTreeMap<u16, VolumeId>,
    /// Those of the volumes that do not bear the owner's mark yet.
    pub adopted: BTreeSet<VolumeId>,
    /// The target as it is to be, where that is another manager's, too.
    pub target: Option<MadeTarget>,
}

impl Takeover {
    /// What it shows.
    pub fn maps(&self) -> impl Iterator<Item = Map> {
        self.rows.iter().map(|(lun, volume)| Map {
            port: self.port.clone(),
            initiator: self.initiator.clone(),
            lun: *lun,
            volume: volume.clone(),
        })
    }
}

/// How a long step tells how far it is, and where it hears that it should rest or stop.
pub trait Progress: Sync {
    /// `done` of `total` bytes of the step are done.
    fn report(&self, done: u64, total: u64);

    /// Whether somebody wants the step to stop at the next good moment.
    fn is_cancelled(&self) -> bool;

    /// A moment in which the step can rest for any length of time: blocks while its job is
    /// suspended. Called between two slices of work, and while nothing is held that anybody else
    /// needs: no session with LVM, no lock but on what the job has made. Only steps that call it
    /// [can pause](Step::can_pause).
    ///
    /// # Errors
    /// [`Kind::Unavailable`](super::Kind::Unavailable) when the step is to stop here.
    fn pause_point(&self) -> Result<(), Error> {
        match self.is_cancelled() {
            true => Err(cancelled()),
            false => Ok(()),
        }
    }
}

/// How a step ends that somebody wanted to stop.
pub fn cancelled() -> Error {
    Error::unavailable("the job was stopped on request")
}

/// Progress that nobody watches and nobody cancels.
pub struct Unwatched;

impl Progress for Unwatched {
    fn report(&self, _done: u64, _total: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A kind of storage.
///
/// Calls block and may come from many threads at once; an engine serialises what it must, per pool
/// and per target. No call hangs: what does not end in 20 s ends in
/// [`Kind::Timeout`](super::Kind::Timeout) (long steps: 20 s without any progress).
pub trait Engine: Send + Sync + 'static {
    /// Looks at everything.
    ///
    /// # Errors
    /// When not even the list of pools can be had. A single thing that cannot be read is reported
    /// with [`Health::Unknown`](super::Health::Unknown) instead.
    fn scan(&self) -> Result<Facts, Error>;

    /// Looks at one volume group again.
    ///
    /// # Errors
    /// [`Kind::NotFound`](super::Kind::NotFound) if it is gone.
    fn scan_group(&self, group: &PoolId) -> Result<GroupFacts, Error>;

    /// Manages these volume groups from now on, which this array has made, as far as they are there
    /// and bear its mark, and these targets; besides those that the engine was configured with. No
    /// target is made before [`converge`](Self::converge).
    ///
    /// # Errors
    /// When the groups of the machine cannot be listed.
    fn manage(&self, groups: &[VolumeGroup], targets: &[MadeTarget]) -> Result<(), Error>;

    /// Looks at one map: whether the kernel would show that volume to that initiator now.
    ///
    /// # Errors
    /// When the target cannot be read.
    fn is_mapped(&self, map: &Map) -> Result<bool, Error>;

    /// A cheap mark of the state outside: when it differs from the last one, something may have
    /// changed and a scan is due.
    ///
    /// # Errors
    /// When it cannot be read; a scan is due then, too.
    fn fingerprint(&self) -> Result<u64, Error>;

    /// Takes one step.
    ///
    /// # Errors
    /// By kind; after an error nothing of the step is left, or taking it again completes it, or
    /// taking its undo removes it. A cancelled step ends in
    /// [`Kind::Unavailable`](super::Kind::Unavailable).
    fn apply(&self, step: &Step, progress: &dyn Progress) -> Result<(), Error>;

    /// Makes the targets be as configured, and as those are to be that it was told of, and shows exactly these maps, as after a boot: what is
    /// missing is made, what is ours and not listed is hidden, what is foreign is left alone.
    /// Portals open last.
    ///
    /// # Errors
    /// The first failure; the rest is still tried.
    fn converge(&self, maps: &[Map]) -> Result<(), Error>;
}
