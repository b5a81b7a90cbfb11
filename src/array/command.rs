//! What can be asked of the array, as data.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ids::{
    DiskId, GroupId, InitiatorName, Iqn, PoolId, PortId, ReplicationGroupId, SettingId, ViewId,
    VolumeId,
};
use super::job::{Area, Element};
use super::model::{GroupKind, Members};
use super::quality::{Quality, Setting};

/// A wish. The planner says whether and how it can come true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Makes a volume group from free disks.
    CreatePool {
        /// Its name; without one it gets one.
        name: Option<String>,
        /// The disks.
        disks: Vec<DiskId>,
    },
    /// Makes a thin pool in a volume group.
    CreateThinPool {
        /// In which group.
        group: PoolId,
        /// Its name; without one it gets one.
        name: Option<String>,
        /// Bytes for data, rounded up to whole extents.
        size: u64,
    },
    /// Makes a pool larger: a group by free disks, a thin pool by room of its group.
    GrowPool {
        /// Which.
        pool: PoolId,
        /// What it grows by.
        by: Growth,
        /// A new name at the same time.
        name: Option<String>,
    },
    /// Gives a pool another name.
    RenamePool {
        /// Which.
        pool: PoolId,
        /// The new name.
        name: String,
    },
    /// Removes a pool that nothing lies in.
    DeletePool {
        /// Which.
        pool: PoolId,
    },
    /// Makes volumes of at least `size` bytes each; they hold zeros. All or none.
    CreateVolumes {
        /// Where.
        pool: PoolId,
        /// Their names, one each; without any they get some.
        names: Vec<String>,
        /// How many.
        count: usize,
        /// Bytes of each, rounded up to whole extents.
        size: u64,
        /// What they are to be like.
        quality: Quality,
    },
    /// Makes a volume larger; what is added holds zeros. Or smaller, where the array's policy
    /// allows it and no host sees it: what lay at its end is lost.
    ResizeVolume {
        /// Which.
        volume: VolumeId,
        /// Bytes, rounded up to whole extents.
        size: u64,
        /// A new name at the same time.
        name: Option<String>,
    },
    /// Gives a volume another name.
    RenameVolume {
        /// Which.
        volume: VolumeId,
        /// The new name.
        name: String,
    },
    /// Removes volumes that nobody uses, and what they hold; missing disks leave their pool when
    /// nothing lies on them any more.
    DeleteVolumes {
        /// Which.
        volumes: Vec<VolumeId>,
    },
    /// Puts what lay on missing or failed disks on others of the pool, and takes disks of it back that
    /// are there again.
    RepairVolume {
        /// Which.
        volume: VolumeId,
    },
    /// Gives a volume more or fewer complete copies while it is used.
    ChangeQuality {
        /// Which.
        volume: VolumeId,
        /// What it is to be like.
        quality: Quality,
    },
    /// Moves a volume to other disks of its pool while it is used.
    MoveVolume {
        /// Which: not a thin one.
        volume: VolumeId,
        /// The disks that it is to lie on, as many of them as it takes.
        onto: Vec<DiskId>,
    },
    /// Moves a pool to other disks while it is used: a thin pool to disks of its group, or a group
    /// to exactly these, of which free ones join it; those that it lay on besides are free then.
    MovePool {
        /// Which.
        pool: PoolId,
        /// The disks that it is to lie on.
        onto: Vec<DiskId>,
    },
    /// Puts volumes that nobody uses into another pool, all or none. They keep what they hold, their
    /// names and what hosts know them by; their identity here is another one.
    RelocateVolumes {
        /// Which: without replicas.
        volumes: Vec<VolumeId>,
        /// Where.
        pool: PoolId,
        /// What they are to be like; none for what they are like, as far as the pool has it.
        quality: Option<Quality>,
    },
    /// Makes replicas of volumes of one group, all of one moment. All or none.
    CreateReplicas {
        /// What kind.
        kind: Copying,
        /// What is replicated, each once.
        sources: Vec<VolumeId>,
        /// Their names, one each; without any they get some.
        names: Vec<String>,
        /// Where clones are to be; none for the pool of the source. A snapshot lies where its
        /// source does.
        pool: Option<PoolId>,
        /// What clones are to be like; none for what their source is like, as far as the pool has
        /// it. A snapshot has no choice.
        quality: Option<Quality>,
        /// Room for what changes, in percent of the source, for snapshots of volumes that are not
        /// thin; none for what the policy says.
        room: Option<u8>,
    },
    /// Ends the relation of replicas to their sources; all of them are volumes as any other then.
    Detach {
        /// Clones and snapshots of thin volumes.
        replicas: Vec<VolumeId>,
    },
    /// Gives the source of a replica the content of the replica, which stays. It goes on after a
    /// restart and cannot be cancelled.
    Restore {
        /// A replica of its source's size.
        replica: VolumeId,
    },
    /// Gives a clone the content that its source has now. It goes on after a restart and cannot be
    /// cancelled.
    Resync {
        /// A clone of its source's size.
        replica: VolumeId,
    },
    /// Makes a group of volumes that are replicated together.
    CreateReplicationGroup {
        /// Its name, unique among these groups; without one it gets one.
        name: Option<String>,
        /// Its first members, in their order.
        members: Vec<VolumeId>,
        /// See [`ReplicationGroup`](super::ReplicationGroup).
        delete_on_empty: bool,
    },
    /// Forgets such a group; its members stay.
    DeleteReplicationGroup {
        /// Which.
        group: ReplicationGroupId,
    },
    /// Adds members behind the others.
    AddReplicationMembers {
        /// To which group.
        group: ReplicationGroupId,
        /// The new ones.
        members: Vec<VolumeId>,
    },
    /// Takes members away.
    RemoveReplicationMembers {
        /// From which group.
        group: ReplicationGroupId,
        /// Those that leave it.
        members: Vec<VolumeId>,
        /// Whether the group goes with its last member; else as the group itself says.
        delete_on_empty: Option<bool>,
    },
    /// Makes replicas of all members of a group, of one moment, and a group of these.
    CreateGroupReplica {
        /// What kind.
        kind: Copying,
        /// Of which group.
        group: ReplicationGroupId,
        /// The name of the new group, from which its members have theirs; without one it gets one.
        name: Option<String>,
        /// See [`CreateReplicas`](Self::CreateReplicas).
        pool: Option<PoolId>,
        /// See [`CreateReplicas`](Self::CreateReplicas).
        quality: Option<Quality>,
        /// See [`CreateReplicas`](Self::CreateReplicas).
        room: Option<u8>,
    },
    /// Keeps a quality of service, or what it is now.
    PutSetting {
        /// The setting.
        setting: Setting,
    },
    /// Forgets a quality of service.
    DeleteSetting {
        /// Which.
        setting: SettingId,
    },
    /// Makes a target. It has no port, and nobody can reach it.
    CreateTarget {
        /// Its name for people, unique among targets; without one it gets one.
        alias: Option<String>,
    },
    /// Removes a target that a client made, with its port, which nobody must use.
    DeleteTarget {
        /// Which.
        target: Iqn,
    },
    /// Gives a target that a client made its port.
    OpenPort {
        /// Which target.
        target: Iqn,
        /// The addresses of the machine at which the port listens.
        portals: BTreeSet<SocketAddr>,
    },
    /// Removes the port of a target that a client made, which nobody must use. The target stays.
    ClosePort {
        /// Which.
        port: PortId,
    },
    /// Lets the port of a target that a client made listen at one more address of the machine.
    AddPortal {
        /// Which port.
        port: PortId,
        /// The address.
        portal: SocketAddr,
    },
    /// Introduces an initiator. One that is known already is left as it is.
    CreateInitiator {
        /// Its name.
        name: InitiatorName,
    },
    /// Forgets an initiator that is in no group.
    DeleteInitiator {
        /// Its name.
        name: InitiatorName,
    },
    /// Makes a masking group.
    CreateGroup {
        /// Its name, unique in its kind; without one it gets one.
        name: Option<String>,
        /// Its first members; their kind is the group's.
        members: Members,
        /// See [`Group`](super::Group).
        delete_on_empty: bool,
        /// See [`Group`](super::Group).
        delete_when_unassociated: bool,
    },
    /// Removes a group; with `force` the views that use it, too.
    DeleteGroup {
        /// Which.
        group: GroupId,
        /// Whether its views go with it.
        force: bool,
    },
    /// Adds members to a group, and so to every view that uses it.
    AddMembers {
        /// Which.
        group: GroupId,
        /// The new ones.
        members: Members,
        /// Numbers for new devices, one each in their order; none where the array shall choose. It
        /// chooses none that one of the initiators lost a while ago, but for the same device.
        luns: Vec<u16>,
    },
    /// Takes members from a group, and so from every view that uses it.
    RemoveMembers {
        /// Which.
        group: GroupId,
        /// Those that go.
        members: Members,
        /// Whether the group goes with its last member; else as the group itself says.
        delete_on_empty: Option<bool>,
    },
    /// Changes a group's name or rules.
    ModifyGroup {
        /// Which.
        group: GroupId,
        /// Its new name.
        name: Option<String>,
        /// See [`Group`](super::Group).
        delete_on_empty: Option<bool>,
        /// See [`Group`](super::Group).
        delete_when_unassociated: Option<bool>,
    },
    /// Makes a view.
    CreateView {
        /// Its name; without one it gets one.
        name: Option<String>,
        /// Its groups, at most one of a kind.
        groups: Vec<GroupId>,
        /// Numbers for the devices, one each in their order; none where the array shall choose.
        luns: Vec<u16>,
    },
    /// Makes a view of these with groups of its own; initiators that are not known yet are
    /// introduced.
    MakeView {
        /// Its name; without one it gets one.
        name: Option<String>,
        /// Who. Those that are in a group already must be exactly its members, and that group is
        /// used.
        initiators: BTreeSet<InitiatorName>,
        /// Through which ports.
        ports: BTreeSet<PortId>,
        /// What.
        volumes: Vec<VolumeId>,
        /// Numbers for the devices, one each in their order; none where the array shall choose.
        luns: Vec<u16>,
    },
    /// Adds to one view and to no other; initiators that are not known yet are introduced.
    ExpandView {
        /// Which.
        view: ViewId,
        /// What comes to it.
        members: Members,
        /// Numbers for new devices, one each in their order; none where the array shall choose.
        luns: Vec<u16>,
    },
    /// Takes from one view and from no other. It stays, even if it shows nothing then.
    ReduceView {
        /// Which.
        view: ViewId,
        /// What leaves it.
        members: Members,
    },
    /// Removes a view; its groups stay.
    DeleteView {
        /// Which.
        view: ViewId,
        /// Whether groups that no view uses any more go, too; else as each group says.
        delete_unassociated: bool,
    },
    /// Makes a view of another manager's one of this array's, with groups of its own; for hosts
    /// nothing changes. Its volumes, and its target, become this array's with it.
    TakeOver {
        /// Which.
        view: ViewId,
    },
    /// Gives a view a group of a kind that it lacks.
    AddGroup {
        /// Which view.
        view: ViewId,
        /// The group.
        group: GroupId,
        /// Numbers for the devices of a device group, one each in their order.
        luns: Vec<u16>,
    },
    /// Takes a group from a view, which shows nothing until it has another one.
    RemoveGroup {
        /// Which view.
        view: ViewId,
        /// The group.
        group: GroupId,
    },
}

impl Command {
    /// Which room of the product it belongs to.
    pub const fn area(&self) -> Area {
        match self {
            Self::CreatePool { .. }
            | Self::CreateThinPool { .. }
            | Self::GrowPool { .. }
            | Self::RenamePool { .. }
            | Self::DeletePool { .. }
            | Self::CreateVolumes { .. }
            | Self::ResizeVolume { .. }
            | Self::RenameVolume { .. }
            | Self::DeleteVolumes { .. }
            | Self::ChangeQuality { .. }
            | Self::PutSetting { .. }
            | Self::DeleteSetting { .. } => Area::Storage,
            Self::RepairVolume { .. } => Area::Repair,
            Self::MoveVolume { .. } | Self::MovePool { .. } | Self::RelocateVolumes { .. } => {
                Area::Relocation
            }
            Self::CreateReplicas { .. }
            | Self::Detach { .. }
            | Self::Restore { .. }
            | Self::Resync { .. }
            | Self::CreateReplicationGroup { .. }
            | Self::DeleteReplicationGroup { .. }
            | Self::AddReplicationMembers { .. }
            | Self::RemoveReplicationMembers { .. }
            | Self::CreateGroupReplica { .. } => Area::Replication,
            Self::CreateTarget { .. }
            | Self::DeleteTarget { .. }
            | Self::OpenPort { .. }
            | Self::ClosePort { .. }
            | Self::AddPortal { .. } => Area::Targets,
            Self::CreateInitiator { .. } | Self::DeleteInitiator { .. } => Area::Initiators,
            _ => Area::Masking,
        }
    }

    /// Whether what it comes to is something new.
    pub const fn creates(&self) -> bool {
        matches!(
            self,
            Self::CreatePool { .. }
                | Self::CreateThinPool { .. }
                | Self::CreateVolumes { .. }
                | Self::CreateReplicas { .. }
                | Self::RelocateVolumes { .. }
                | Self::CreateTarget { .. }
                | Self::OpenPort { .. }
                | Self::CreateInitiator { .. }
                | Self::CreateGroup { .. }
                | Self::CreateView { .. }
        )
    }

    /// What it changes for long: nobody else can change that meanwhile.
    pub(super) fn subjects(&self) -> Vec<Element> {
        match self {
            Self::ResizeVolume { volume, .. }
            | Self::RepairVolume { volume }
            | Self::ChangeQuality { volume, .. }
            | Self::MoveVolume { volume, .. }
            | Self::Resync { replica: volume } => {
                vec![Element::Volume(volume.clone())]
            }
            Self::DeleteVolumes { volumes }
            | Self::RelocateVolumes { volumes, .. }
            | Self::Detach { replicas: volumes } => {
                volumes.iter().cloned().map(Element::Volume).collect()
            }
            Self::GrowPool { pool, .. }
            | Self::MovePool { pool, .. }
            | Self::DeletePool { pool } => {
                vec![Element::Pool(pool.clone())]
            }
            _ => Vec::new(),
        }
    }
}

/// What a pool grows by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Growth {
    /// These disks.
    Disks(Vec<DiskId>),
    /// To so many bytes for data.
    To(u64),
}

/// What kind of replica is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Copying {
    /// A snapshot: it shares with its source what has not changed.
    Snapshot,
    /// A complete, independent copy.
    Clone,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// This pool is there now, or is changed.
    Pool(PoolId),
    /// These volumes are there now, or are changed.
    Volumes(Vec<VolumeId>),
    /// This group of volumes that are replicated together is known now, or is changed.
    ReplicationGroup(ReplicationGroupId),
    /// This quality of service is known now, or is changed.
    Setting(SettingId),
    /// This target is there now.
    Target(Iqn),
    /// This port is there now, or is changed.
    Port(PortId),
    /// This initiator is known now.
    Initiator(InitiatorName),
    /// This group is there now, or is changed.
    Group(GroupId, GroupKind),
    /// This view is there now, or is changed.
    View(ViewId),
    /// What was named is gone.
    Gone,
}
