//! From a wish and a picture to a plan: pure functions, nothing runs here.
//!
//! What is impossible fails here, with the reason. A plan is data, so that the journal can hold it:
//! idempotent steps, each with its undo, and the changes of records that come at the end.

mod masking;
mod moves;
mod pools;
mod redundancy;
mod replicas;
mod resize;
mod room;
mod settings;
mod targets;
mod thin;
mod volumes;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::command::{Command, Effect};
use super::engine::Takeover;
use super::error::Error;
use super::ids::{DiskId, JobId, PoolId, ViewId, VolumeId};
use super::inventory::Inventory;
use super::layout::Layout;
use super::model::{MadeTarget, ReplicationGroup};
use super::step::{Step, Subject};

pub(super) use moves::what_stays;
pub use pools::{group_size, group_size_range, pool_size_range};
pub(super) use replicas::member_names;
pub use settings::abilities;
pub use volumes::{MAX_AT_ONCE, SizeRange, size_range};

/// The longest name of a volume, group or view, in bytes of UTF-8.
pub const MAX_NAME: usize = 255;

/// What will be done for a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// What it does, for people.
    pub(super) title: String,
    /// The steps in order.
    pub(super) steps: Vec<Planned>,
    /// The records that change when all steps are done.
    pub(super) changes: Vec<Change>,
    /// What must be true then, and what the client is told.
    pub(super) goal: Goal,
    /// What a restart in the middle does.
    pub(super) after_crash: AfterCrash,
}

impl Plan {
    /// Whether a restart would take it back although all of its steps are done, unless the records
    /// say so.
    pub(super) fn stands_on_records(&self) -> bool {
        self.after_crash == AfterCrash::Back && self.goal.scope() == Scope::Records
    }

    /// Whether it may be stopped midway: not where something is overwritten that somebody may want,
    /// which is no state to leave it in.
    pub(super) fn is_cancellable(&self) -> bool {
        let erases = |planned: &Planned| matches!(planned.step, Step::Erase { .. });
        match self.goal {
            Goal::Overwritten { .. } => false,
            // Nothing is erased before all of it is somewhere else; who stops it then is too late.
            Goal::Relocated { .. } => true,
            _ => !self.steps.iter().any(erases),
        }
    }

    /// The volumes that were there before and that it copies from, and those that it copies onto.
    pub(super) fn copied(&self) -> (Vec<VolumeId>, Vec<VolumeId>) {
        let known = |subject: &Subject| match subject {
            Subject::Known(id) => Some(id.clone()),
            Subject::Pool(_) | Subject::Made(..) => None,
        };
        let (mut read, mut overwritten) = (Vec::new(), Vec::new());
        for planned in &self.steps {
            if let Step::Copy { from, to, .. } = &planned.step {
                read.extend(known(from));
                overwritten.extend(known(to));
            }
        }
        (read, overwritten)
    }

    /// Whether it has steps that may take hours: after a restart nobody waits for these, and they go
    /// on while the array works.
    pub(super) fn takes_long(&self) -> bool {
        self.steps.iter().any(|planned| {
            matches!(
                planned.step,
                Step::Copy { .. }
                    | Step::Erase { .. }
                    | Step::Move { .. }
                    | Step::AddCopies { .. }
                    | Step::Repair { .. }
                    | Step::Refresh { .. }
            )
        })
    }

    /// How many of its steps there are up to and with the last copy, and what makes it known.
    pub(super) fn copies(&self) -> usize {
        let last = self
            .steps
            .iter()
            .rposition(|p| matches!(p.step, Step::Copy { .. } | Step::Inherit { .. }));
        last.map_or(0, |last| last + 1)
    }
}

/// A step and what takes it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Planned {
    pub(super) step: Step,
    /// Nothing where nothing is to be taken back.
    pub(super) undo: Vec<Step>,
}

/// What a restart does with a plan that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AfterCrash {
    /// Takes it back, unless it turns out to be done.
    Back,
    /// Takes all steps again.
    Forward,
}

/// What must be true at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Goal {
    /// The finished volumes of those device names and sizes are there.
    Made {
        group: PoolId,
        volumes: Vec<(String, u64)>,
        /// Other groups in which something changes meanwhile.
        #[serde(default)]
        beside: Vec<PoolId>,
        /// The group of which they become the members.
        #[serde(default)]
        gather: Option<ReplicationGroup>,
    },
    /// The volumes are replicas of nothing.
    Detached {
        group: PoolId,
        volumes: Vec<VolumeId>,
    },
    /// The volume has the content of another one: nothing says so but that the copy ended well.
    Overwritten {
        group: PoolId,
        volume: VolumeId,
        /// Other groups in which something changes meanwhile.
        beside: Vec<PoolId>,
    },
    /// The volumes are gone in whose place those of these device names are finished; somebody may
    /// have changed or deleted these since.
    Relocated {
        group: PoolId,
        volumes: Vec<String>,
        leaving: Vec<VolumeId>,
        /// Other groups in which those lay.
        beside: Vec<PoolId>,
    },
    /// The volume has that size and name.
    Changed {
        group: PoolId,
        volume: VolumeId,
        size: u64,
        name: String,
    },
    /// Nothing of the volume lies on a missing or failed disk.
    Repaired { group: PoolId, volume: VolumeId },
    /// The volume has that layout, and all of its legs hold everything.
    Laid {
        group: PoolId,
        volume: VolumeId,
        layout: Layout,
    },
    /// Nothing of it lies on these disks: a volume, a thin pool, or a whole group.
    Moved {
        group: PoolId,
        what: Subject,
        off: Vec<DiskId>,
    },
    /// The volumes are gone.
    Removed {
        group: PoolId,
        volumes: Vec<VolumeId>,
    },
    /// The finished pool of that device name is there: in that group, or a group itself.
    PoolMade {
        group: Option<PoolId>,
        device: String,
    },
    /// The pool has that name, at least that size, and these disks.
    PoolChanged {
        group: PoolId,
        pool: PoolId,
        name: String,
        size: u64,
        disks: Vec<DiskId>,
    },
    /// The pool is gone; the disks of a group are free.
    PoolRemoved {
        group: PoolId,
        pool: PoolId,
        disks: Vec<DiskId>,
    },
    /// The target that a client made listens at its addresses; without any, nothing of it is there.
    Listening { target: MadeTarget, effect: Effect },
    /// Every map that the steps make is there, every other one gone.
    Shown { effect: Effect },
    /// What another manager showed is this array's, and shown as it was.
    TakenOver { view: ViewId, takeover: Takeover },
}

/// Where one has to look to know what became of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// At the records, and at the maps that follow them.
    Records,
    /// At one volume group.
    Group(&'a PoolId),
    /// At everything: a volume group or target itself comes or goes.
    Machine,
}

impl Goal {
    pub(super) fn scope(&self) -> Scope<'_> {
        match self {
            Self::Made { group, .. }
            | Self::Relocated { group, .. }
            | Self::Detached { group, .. }
            | Self::Overwritten { group, .. }
            | Self::Changed { group, .. }
            | Self::Repaired { group, .. }
            | Self::Laid { group, .. }
            | Self::Removed { group, .. }
            | Self::PoolMade {
                group: Some(group), ..
            }
            | Self::PoolChanged { group, .. } => Scope::Group(group),
            Self::PoolRemoved { group, pool, .. } if group != pool => Scope::Group(group),
            // The disks that a group leaves are nobody's then.
            Self::Moved { group, what, .. } if *what != Subject::Pool(group.clone()) => {
                Scope::Group(group)
            }
            Self::PoolMade { group: None, .. }
            | Self::PoolRemoved { .. }
            | Self::Moved { .. }
            | Self::Listening { .. }
            | Self::TakenOver { .. } => Scope::Machine,
            Self::Shown { .. } => Scope::Records,
        }
    }

    /// Whether the journal keeps what could not be taken back after a failure. Not where it could
    /// bring an old view back.
    pub(super) fn is_kept(&self) -> bool {
        !matches!(self, Self::Shown { .. } | Self::TakenOver { .. })
    }

    /// The groups that change beside the one that is looked at.
    pub(super) fn beside(&self) -> &[PoolId] {
        match self {
            Self::Made { beside, .. }
            | Self::Relocated { beside, .. }
            | Self::Overwritten { beside, .. } => beside,
            _ => &[],
        }
    }

    /// The volumes in whose place others are made, and which are gone at the end.
    pub(super) fn leaving(&self) -> &[VolumeId] {
        match self {
            Self::Relocated { leaving, .. } => leaving,
            _ => &[],
        }
    }
}

impl Planned {
    fn with_undo(step: Step, undo: Step) -> Self {
        Self {
            step,
            undo: vec![undo],
        }
    }

    fn lasting(step: Step) -> Self {
        Self {
            step,
            undo: Vec::new(),
        }
    }
}

/// Plans a command at a time, in microseconds since 1970.
pub(super) fn plan(
    command: &Command,
    inventory: &Inventory,
    job: JobId,
    at: u64,
) -> Result<Plan, Error> {
    match command {
        Command::CreatePool { name, disks } => {
            pools::create(inventory, name.as_deref(), disks, job)
        }
        Command::CreateThinPool { group, name, size } => {
            pools::create_thin(inventory, group, name.as_deref(), *size, job)
        }
        Command::GrowPool { pool, by, name } => {
            pools::grow(inventory, pool, Some(by), name.as_deref())
        }
        Command::RenamePool { pool, name } => pools::grow(inventory, pool, None, Some(name)),
        Command::DeletePool { pool } => pools::delete(inventory, pool, job),
        Command::CreateVolumes {
            pool,
            names,
            count,
            size,
            quality,
        } => {
            let wish = volumes::Wish {
                names,
                count: *count,
                size: *size,
                quality,
            };
            volumes::create(inventory, pool, &wish, job)
        }
        Command::ResizeVolume { volume, size, name } => {
            resize::resize(inventory, volume, *size, name.as_deref(), job)
        }
        Command::RenameVolume { volume, name } => volumes::rename(inventory, volume, name),
        Command::DeleteVolumes { volumes } => volumes::delete(inventory, volumes, job),
        Command::RepairVolume { volume } => resize::repair(inventory, volume),
        Command::ChangeQuality { volume, quality } => {
            redundancy::change(inventory, volume, quality)
        }
        Command::MoveVolume { volume, onto } => moves::move_volume(inventory, volume, onto),
        Command::MovePool { pool, onto } => moves::move_pool(inventory, pool, onto),
        Command::RelocateVolumes {
            volumes,
            pool,
            quality,
        } => replicas::relocate(inventory, volumes, pool, quality.as_ref(), job),
        Command::CreateReplicas {
            kind,
            sources,
            names,
            pool,
            quality,
            room,
        } => {
            let wish = replicas::Wish {
                kind: *kind,
                sources,
                names,
                pool: pool.as_ref(),
                quality: quality.as_ref(),
                room: *room,
            };
            replicas::create(inventory, &wish, job, at)
        }
        Command::CreateReplicationGroup {
            name,
            members,
            delete_on_empty,
        } => replicas::create_group(inventory, name.as_deref(), members, *delete_on_empty),
        Command::DeleteReplicationGroup { group } => replicas::delete_group(inventory, *group),
        Command::AddReplicationMembers { group, members } => {
            replicas::add_members(inventory, *group, members)
        }
        Command::RemoveReplicationMembers {
            group,
            members,
            delete_on_empty,
        } => replicas::remove_members(inventory, *group, members, *delete_on_empty),
        Command::CreateGroupReplica {
            kind,
            group,
            name,
            pool,
            quality,
            room,
        } => {
            let wish = replicas::Wish {
                kind: *kind,
                sources: &[],
                names: &[],
                pool: pool.as_ref(),
                quality: quality.as_ref(),
                room: *room,
            };
            replicas::replicate_group(inventory, *group, name.as_deref(), wish, job, at)
        }
        Command::Detach { replicas } => replicas::detach(inventory, replicas),
        Command::Restore { replica } => replicas::restore(inventory, replica, job),
        Command::Resync { replica } => replicas::resync(inventory, replica, job, at),
        Command::PutSetting { setting } => settings::put(inventory, setting),
        Command::DeleteSetting { setting } => settings::delete(inventory, *setting),
        Command::CreateTarget { alias } => targets::create(inventory, alias.as_deref()),
        Command::DeleteTarget { target } => targets::delete(inventory, target),
        Command::OpenPort { target, portals } => targets::open(inventory, target, portals),
        Command::ClosePort { port } => targets::close(inventory, port),
        Command::AddPortal { port, portal } => targets::add_portal(inventory, port, *portal),
        Command::TakeOver { view } => masking::take_over(*view, inventory, at),
        other => masking::plan(other, inventory, at),
    }
}

/// Checks a name for people: not empty, not too long, no control characters.
fn check_name(noun: &str, name: &str) -> Result<(), Error> {
    if name.trim().is_empty() {
        return Err(Error::invalid(format!(
            "a {noun} name must not be empty; give it a name"
        )));
    }
    if name.len() > MAX_NAME {
        return Err(Error::invalid(format!(
            "a {noun} name has at most {MAX_NAME} bytes of UTF-8, this one has {}",
            name.len()
        )));
    }
    if name
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'))
    {
        return Err(Error::invalid(format!(
            "a {noun} name must not hold control characters"
        )));
    }
    Ok(())
}
