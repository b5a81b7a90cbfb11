//! The steps of which plans consist, and which engines take.
//!
//! Plain data: what a step does is the engine's, when it is taken the planner's. A step names what it
//! works on by identity, or by the name that an earlier step of its plan gives it.

use serde::{Deserialize, Serialize};

use super::engine::Takeover;
use super::ids::{DiskId, JobId, PoolId, VolumeId};
use super::layout::Layout;
use super::model::{MadeTarget, Map};

/// A volume or thin pool as a step names it: by identity, or by the unique name that its job gave
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A volume that was there when the plan was made.
    Known(VolumeId),
    /// A thin pool that was there when the plan was made.
    Pool(PoolId),
    /// What an earlier step of the plan makes: its volume group and device name.
    Made(PoolId, String),
}

/// A snapshot that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snap {
    /// Of which volume.
    pub source: VolumeId,
    /// The name of the device: unique, made from the job's identity.
    pub device: String,
    /// The name for people.
    pub name: String,
    /// Bytes for what changes, tables included, in whole extents: that of a volume on disks, with
    /// chunks of [`SNAPSHOT_CHUNK`] bytes. None for one of a thin volume, in its pool.
    pub room: Option<u64>,
}

/// Bytes that a snapshot of a volume on disks keeps at once. The kernel holds a table of all that
/// are kept in memory, so they are not small.
pub const SNAPSHOT_CHUNK: u64 = 64 << 10;

/// What a volume is to be the replica of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The source.
    pub source: VolumeId,
    /// The moment whose content it has.
    pub taken: Taken,
}

/// The moment of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taken {
    /// In microseconds since 1970; none where nobody knows it.
    At(Option<u64>),
    /// When that snapshot was taken.
    With(Subject),
}

/// A volume group as a step names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeGroup {
    /// One that was there when the plan was made.
    Known(PoolId),
    /// The one of that name, which an earlier step of the plan makes.
    Made(String),
}

/// One idempotent step. Taking it twice is the same as taking it once.
///
/// Every step checks what it touches, by identity and under the lock of its pool or target, in the
/// moment it acts: a foreign, open, mounted or exported volume is refused, whatever the plan says,
/// and so is a disk that is not free, a pool that is not empty, and a group that lacks a disk, but
/// for what repairs, removes or shows what lies in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Makes a volume that bears the owner's mark, its name and the mark of `job`, all in one
    /// metadata commit. A volume of that device name that bears the same marks is the one that an
    /// earlier attempt made.
    Create {
        /// In which volume group.
        group: PoolId,
        /// The name of the device: unique, made from the job's identity.
        device: String,
        /// The name for people.
        name: String,
        /// Bytes: whole extents, as many as the layout's data legs or a multiple.
        size: u64,
        /// How and where.
        place: Place,
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
    /// Erases what a volume holds, before it is removed. Long; tells its progress; can be cancelled.
    /// Nothing if it is gone, or if nothing under it listens to discards.
    ///
    /// It is [torn](super::Volume::torn) from before the first byte, and stays so: half of it or all zeros is
    /// nothing that anybody wants.
    Erase {
        /// Which; it bears the mark of `job`, is not exported, not open, no snapshot that keeps what
        /// changes, and has none.
        volume: Subject,
        /// How.
        how: Erasing,
        /// Whose work this is.
        job: JobId,
    },
    /// Waits until all legs of the volume are in step. Long; tells its progress; can be cancelled.
    /// Nothing for a layout without redundancy.
    Sync {
        /// Which.
        volume: Subject,
    },
    /// Puts the mark of `job` on a finished volume or thin pool.
    Mark {
        /// Which.
        volume: Subject,
        /// Whose work this is.
        job: JobId,
    },
    /// Takes the mark of `job` off: from now on it is finished. Nothing if it is off.
    Unmark {
        /// Which.
        volume: Subject,
        /// Whose work this is.
        job: JobId,
    },
    /// Removes a volume, or a thin pool without volumes, that bears the owner's mark and the mark
    /// of `job`. Nothing if it is gone.
    Remove {
        /// Which.
        volume: Subject,
        /// Whose work this is.
        job: JobId,
    },
    /// Extends `volume` to `size` bytes with exactly the extents of `reserve`, a volume of the same
    /// pool that bears the mark of `job`, holds zeros, and has a leg on the disk of each leg of
    /// the volume; `reserve` is gone afterwards. Nothing if the volume has that size and the
    /// reserve is gone. A failure leaves the volume as it was.
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
    /// Makes a thin volume larger; what is added reads as zeros. Nothing if it has that size.
    GrowThin {
        /// Which.
        volume: VolumeId,
        /// The new size in bytes.
        size: u64,
    },
    /// Makes a volume smaller, which loses what lies at its end. Nothing if it has that size.
    Shrink {
        /// Which: not thin, not exported, not open.
        volume: VolumeId,
        /// The new size in bytes.
        size: u64,
    },
    /// Takes writable snapshots of volumes of one group, all of one moment: a write that is in one of
    /// them is in all of them whose source it was meant for, and so is every write that was answered
    /// before it began. The sources may be open and written to. Each snapshot bears the owner's
    /// mark, its name, the mark of `job` and its moment, all in the metadata commit that makes it.
    /// A volume of such a device name that bears the same marks is the one that an earlier attempt
    /// made; where some of them are there and others are not, those are removed first.
    Snapshot {
        /// In which volume group.
        group: PoolId,
        /// Which.
        of: Vec<Snap>,
        /// Whose work this is.
        job: JobId,
    },
    /// Gives `to` the content of `from`, and zeros beyond its end: it reads the same then. Long;
    /// tells its progress; can be cancelled. Both bear the mark of `job`, are not exported and not
    /// open. No lock is held while it copies.
    ///
    /// One that is not fresh is [torn](super::Volume::torn) from before the first byte until all are
    /// written, and stays so where the step fails. Copying again heals it.
    Copy {
        /// What is read.
        from: Subject,
        /// What is overwritten; not smaller.
        to: Subject,
        /// What `to` holds means nothing to anybody: one on disks is wholly overwritten, one that is
        /// thin holds nothing yet. Else only what differs is written, and what is zero in a thin one
        /// is given back to its pool.
        fresh: bool,
        /// Whose work this is.
        job: JobId,
    },
    /// Notes of what a volume is the replica, and of which moment. Nothing if it is noted, or if the
    /// snapshot whose moment it is has gone while the source is noted.
    Relate {
        /// Which.
        volume: Subject,
        /// None ends the relation, that of a snapshot of a thin volume as well. That one comes back
        /// when its own source is named again.
        to: Option<Relation>,
        /// Whose mark the volume bears; none for a finished one.
        job: Option<JobId>,
    },
    /// Makes hosts know a volume as they know another one, which is to go. Both bear the mark of
    /// `job`. Nothing if that is so.
    Inherit {
        /// Which.
        volume: Subject,
        /// Whose place it takes.
        of: VolumeId,
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
    /// Opens the disks of a volume anew that were away and are there again. Nothing if there are
    /// none of which the kernel still holds the device that is gone.
    Refresh {
        /// Which.
        volume: VolumeId,
    },
    /// Puts the legs of a redundant volume that lay on missing disks, or that fail though their
    /// disks are there, on others. Nothing if all its legs work. Refused unless the other legs are
    /// whole and in step, and where some are missing and others fail.
    Repair {
        /// Which.
        volume: VolumeId,
        /// The disks that take the place of those, in the order of legs.
        onto: Vec<DiskId>,
    },
    /// Gives a linear volume on one disk, or a mirrored one, one more complete copy on each of these
    /// disks, while it is used; they are not in step yet. Nothing for a disk that one of its copies
    /// lies on.
    AddCopies {
        /// Which.
        volume: VolumeId,
        /// The disks, on which nothing else of it lies.
        onto: Vec<DiskId>,
    },
    /// Takes the copies of a mirrored volume on these disks off, while it is used; with one copy left
    /// it is linear. Nothing where there are none. Refused unless each copy that is left works and
    /// holds everything.
    DropCopies {
        /// Which.
        volume: VolumeId,
        /// The disks.
        from: Vec<DiskId>,
    },
    /// Moves what something has on a disk to others, its metadata included, while it is used. Long;
    /// tells its progress; can be cancelled, and nothing of it was moved then. Nothing if nothing of
    /// it lies there, whatever is done to it now. One that an earlier attempt began goes on.
    Move {
        /// A volume that is not thin, or a thin pool; a volume group stands for the spare of its
        /// thin pools' metadata.
        what: Subject,
        /// The disk that is left.
        from: DiskId,
        /// Where it goes: one disk, on which nothing else of it lies, unless it is linear.
        onto: Vec<DiskId>,
        /// Bytes that are moved, as far as the planner saw.
        bytes: u64,
    },
    /// Stops the move of something off a disk; nothing of it was moved then. Nothing if there is
    /// none. Refused while that disk is missing.
    EndMove {
        /// As in `Move`.
        what: Subject,
        /// The disk that was to be left.
        from: DiskId,
    },
    /// Lets nothing new be laid on a disk of a group. Nothing if it does not belong to it.
    CloseDisk {
        /// Which group.
        group: PoolId,
        /// The disk.
        disk: DiskId,
    },
    /// Lets new things be laid on a disk of a group again. Nothing if it does not belong to it.
    OpenDisk {
        /// Which group.
        group: PoolId,
        /// The disk.
        disk: DiskId,
    },
    /// Makes a volume group without force from disks that nothing lies on; it bears the owner's
    /// mark, its name and the mark of `job`. A group of that device name that bears the same marks
    /// is the one that an earlier attempt made.
    CreateGroup {
        /// The name of the group.
        device: String,
        /// The name for people.
        name: String,
        /// The disks.
        disks: Vec<DiskId>,
        /// Whose work this is.
        job: JobId,
    },
    /// Puts the mark of `job` on a finished group.
    MarkGroup {
        /// Which.
        group: PoolId,
        /// Whose work this is.
        job: JobId,
    },
    /// Takes the mark of `job` off. Nothing if it is off.
    UnmarkGroup {
        /// Which.
        group: VolumeGroup,
        /// Whose work this is.
        job: JobId,
    },
    /// Removes a group without force that bears the owner's mark and the mark of `job` and has no
    /// volumes of anybody; its disks are free afterwards. Nothing if it is gone. One that is named as
    /// made and lacks the mark of `job` is not the one that the job made, which is gone then.
    RemoveGroup {
        /// Which.
        group: VolumeGroup,
        /// The disks that a known one lay on: an earlier attempt may have ended before they were
        /// free. None where nobody knows whose label they would bear.
        disks: Vec<DiskId>,
        /// Whose work this is.
        job: JobId,
    },
    /// Adds disks that nothing lies on to a group. Nothing if they belong to it.
    ExtendGroup {
        /// Which.
        group: PoolId,
        /// The disks.
        disks: Vec<DiskId>,
    },
    /// Takes disks without used extents from a group. Nothing if they do not belong to it.
    ReduceGroup {
        /// Which.
        group: PoolId,
        /// The disks.
        disks: Vec<DiskId>,
    },
    /// Takes the disks of a group back that were away when something was noted down in it, and that
    /// are there again, if any. What lies on them is opened anew after that. Refused where a snapshot
    /// lies on one that keeps what changes: it has missed what changed meanwhile.
    TakeBack {
        /// Which.
        group: PoolId,
    },
    /// Takes the missing disks from a group that nothing lies on any more, if any. One on which
    /// something lies stays.
    DropMissing {
        /// Which.
        group: PoolId,
    },
    /// Makes a thin pool that bears the owner's mark, its name and the mark of `job`.
    CreateThinPool {
        /// In which volume group.
        group: PoolId,
        /// The name of the device.
        device: String,
        /// The name for people.
        name: String,
        /// Bytes for data, in whole extents.
        size: u64,
        /// Bytes for metadata, in whole extents.
        metadata: u64,
        /// Whose work this is.
        job: JobId,
    },
    /// Makes a thin pool larger. Nothing if it has these sizes or more.
    GrowThinPool {
        /// Which.
        pool: PoolId,
        /// Bytes for data.
        size: u64,
        /// Bytes for metadata.
        metadata: u64,
    },
    /// Gives a pool another name for people.
    RenamePool {
        /// Which.
        pool: PoolId,
        /// The new name.
        name: String,
    },
    /// Lets a target that a client made listen at its addresses and at no others, and initiators
    /// log in; makes its port where it is missing. Without addresses, removes the port, which nobody
    /// must be logged in to or be shown anything through, and everything else of the target. One
    /// that somebody else made is left alone.
    Listen(MadeTarget),
    /// Shows a volume to an initiator: exports it first where it is not yet exported.
    Map(Map),
    /// Hides a volume from an initiator: exports it no longer after its last map.
    Unmap(Map),
    /// Makes this array's what another manager shows, while hosts use it: sessions, numbers and
    /// identifiers stay as they are. The volumes are given the owner's mark, and keep for ever the
    /// identifier under which hosts know them. Refused, with nothing changed, where anything of it
    /// could not be made again as it is: where more or something else is shown, or read-only, where
    /// the port lets everybody in, or where credentials are asked for that this array does not know.
    TakeOver(Takeover),
    /// Leaves to the other manager again what was taken over; hosts see no change.
    GiveBack(Takeover),
}

impl Step {
    /// Whether every engine passes [pause points](super::Progress::pause_point) all the while it takes
    /// this step: then its job can be suspended meanwhile.
    pub const fn can_pause(&self) -> bool {
        matches!(
            self,
            Self::Zero { .. } | Self::Copy { .. } | Self::Erase { .. }
        )
    }

    /// Whether it undoes nothing that was asked for since, however late it is taken: it acts only on
    /// what bears the mark of its job, or on what none but unfinished work leaves behind, a move that
    /// stands still or a disk that is closed.
    pub const fn undoes_only_its_own(&self) -> bool {
        matches!(
            self,
            Self::Unmark { .. }
                | Self::Remove { .. }
                | Self::UnmarkGroup { .. }
                | Self::RemoveGroup { .. }
                | Self::Relate { job: Some(_), .. }
                | Self::EndMove { .. }
                | Self::OpenDisk { .. }
        )
    }

    /// Whether it takes as long as what it works on is large, and tells its progress.
    pub const fn takes_long(&self) -> bool {
        matches!(
            self,
            Self::Zero { .. }
                | Self::Copy { .. }
                | Self::Erase { .. }
                | Self::Sync { .. }
                | Self::Move { .. }
        )
    }
}

/// What is done to what a volume holds before it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Erasing {
    /// It is overwritten with zeros. A thin volume is discarded: its pool overwrites what it gives
    /// out again.
    Zero,
    /// Its disks are told that nobody needs it any more, as far as they listen.
    Discard,
}

/// How and where a new volume lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Place {
    /// On disks of its group.
    Disks {
        /// How.
        layout: Layout,
        /// One disk for each leg; none for a linear volume that may lie anywhere.
        legs: Vec<DiskId>,
    },
    /// In that thin pool.
    Thin(PoolId),
}

impl Place {
    /// One extent after the other, anywhere.
    pub const ANYWHERE: Self = Self::Disks {
        layout: Layout::Linear,
        legs: Vec::new(),
    };
}
