//! The door to a kind of storage: what an engine reports and the steps that it can take.
//!
//! An engine knows pools, volumes, disks, targets and maps. It knows nothing of groups, views,
//! jobs or clients: the planner has turned those into steps before anything reaches an engine.

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::ids::{JobId, PoolId, VolumeId};
use super::model::{Disk, Map, Nic, Pool, Target, Volume};

/// Everything that an engine sees at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The pools that this array manages.
    pub pools: Vec<Pool>,
    /// Their volumes, foreign ones included; internal parts of volumes are not volumes.
    pub volumes: Vec<Volume>,
    /// The disks of the pools.
    pub disks: Vec<Disk>,
    /// The configured targets as they are.
    pub targets: Vec<Target>,
    /// The network interfaces of the machine.
    pub nics: Vec<Nic>,
    /// What this array shows to initiators.
    pub maps: Vec<Map>,
    /// The numbers that somebody else's maps take on ports of ours.
    pub foreign_maps: Vec<ForeignMap>,
}

/// The facts of one pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolFacts {
    /// The pool itself.
    pub pool: Pool,
    /// Its volumes.
    pub volumes: Vec<Volume>,
}

/// A LUN number on one of our ports that another manager uses for an initiator.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignMap {
    /// The port.
    pub port: super::ids::PortId,
    /// The initiator.
    pub initiator: super::ids::InitiatorName,
    /// The number.
    pub lun: u16,
}

/// A volume as a step names it: by identity, or by the unique name that its job gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A volume that was there when the plan was made.
    Known(VolumeId),
    /// A volume that an earlier step of the plan makes: its pool and device name.
    Made(PoolId, String),
}

/// One idempotent step. Taking it twice is the same as taking it once.
///
/// Every step checks what it touches, by identity and under the lock of its pool or target, in the
/// moment it acts: a foreign, open, mounted or exported volume is refused, whatever the plan says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Makes a volume that bears the owner's mark, its name and the mark of `job`, all in one
    /// metadata commit. `size` is a multiple of the pool's extent. A volume of that device name
    /// that bears the same marks is the one that an earlier attempt made.
    Create {
        /// Where.
        pool: PoolId,
        /// The name of the device: unique, made from the job's identity.
        device: String,
        /// The name for people.
        name: String,
        /// Bytes.
        size: u64,
        /// Whose work this is.
        job: JobId,
    },
    /// Overwrites the whole volume with zeros. Long; tells its progress; can be cancelled.
    Zero {
        /// Which; it bears the mark of `job`.
        volume: Subject,
        /// Whose work this is.
        job: JobId,
    },
    /// Puts the mark of `job` on a finished volume.
    Mark {
        /// Which.
        volume: Subject,
        /// Whose work this is.
        job: JobId,
    },
    /// Takes the mark of `job` off: from now on the volume is finished. Nothing if it is off.
    Unmark {
        /// Which.
        volume: Subject,
        /// Whose work this is.
        job: JobId,
    },
    /// Removes a volume that bears the owner's mark and the mark of `job`. Nothing if it is gone.
    Remove {
        /// Which.
        volume: Subject,
        /// Whose work this is.
        job: JobId,
    },
    /// Extends `volume` to `size` bytes with exactly the extents of `reserve`, a volume of the same
    /// pool that bears the mark of `job` and holds zeros; `reserve` is gone afterwards. Nothing if
    /// the volume has that size and the reserve is gone. A failure leaves the volume as it was.
    Absorb {
        /// The volume that grows.
        volume: VolumeId,
        /// The volume whose extents it takes.
        reserve: Subject,
        /// The new size in bytes.
        size: u64,
        /// Whose work this is.
        job: JobId,
    },
    /// Gives a volume another name for people.
    Rename {
        /// Which.
        volume: VolumeId,
        /// The new name.
        name: String,
    },
    /// Shows a volume to an initiator: exports it first where it is not yet exported.
    Map(Map),
    /// Hides a volume from an initiator: exports it no longer after its last map.
    Unmap(Map),
}

/// How a long step tells how far it is and hears that it should stop.
pub trait Progress: Sync {
    /// `done` of `total` bytes are done.
    fn report(&self, done: u64, total: u64);
    /// Whether somebody wants the step to stop at the next good moment.
    fn is_cancelled(&self) -> bool;
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

    /// Looks at one pool again.
    ///
    /// # Errors
    /// [`Kind::NotFound`](super::Kind::NotFound) if it is gone.
    fn scan_pool(&self, pool: &PoolId) -> Result<PoolFacts, Error>;

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

    /// Makes the targets be as configured and shows exactly these maps, as after a boot: what is
    /// missing is made, what is ours and not listed is hidden, what is foreign is left alone.
    /// Portals open last.
    ///
    /// # Errors
    /// The first failure; the rest is still tried.
    fn converge(&self, maps: &[Map]) -> Result<(), Error>;
}
