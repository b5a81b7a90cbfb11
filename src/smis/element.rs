//! The things that SMI-S shows, each named once: [`Element`] says which one, [`Tag`] of which kind.
//!
//! What a name looks like as an object path is said beside each kind's properties; what relates
//! the kinds is in the relation tables of the profiles.

use std::net::{IpAddr, SocketAddr};

use crate::array::{
    DiskId, GroupId, GroupKind, InitiatorName, Iqn, JobId, PoolId, PortId, ReplicationGroupId,
    SessionId, SettingId, ViewId, VolumeId, Wwn,
};

/// What capabilities belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The array as a whole.
    Array,
    /// The primordial pool: what a pool of all free disks would give.
    Primordial,
    /// One pool.
    Pool(PoolId),
}

/// A piece of software that makes the machine an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Program {
    /// This program.
    Gateway,
    /// The kernel with its volumes and targets.
    Kernel,
}

/// One thing that is an instance of one class in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Element {
    /// The program as an object manager.
    ObjectManager,
    /// The machine that the object manager runs on.
    ManagementSystem,
    /// A namespace, by its place in the table.
    Namespace(usize),
    /// A listening address, by its place in the list.
    Mechanism(usize),
    /// A registered profile, by its place in the table.
    Profile(usize),
    /// The software that answers, as the registered profiles name it.
    Software,
    /// The array.
    System,
    /// The machine as the array's one controller.
    Controller,
    /// The box that holds it all.
    Chassis,
    /// The box as it was bought.
    Product,
    /// Where the box stands.
    Location,
    /// Software that runs on the machine.
    InstalledSoftware(Program),
    /// A URL at which the array is managed, by its place in the list of listeners.
    AccessPoint(usize),
    /// All disks together.
    PrimordialPool,
    /// A pool.
    Pool(PoolId),
    /// What pools lie on, or can be made from.
    Extent(DiskId),
    /// A drive.
    Drive(DiskId),
    /// A drive as a thing that is put in and replaced.
    DrivePackage(DiskId),
    /// The firmware of a drive.
    Firmware(DiskId),
    /// A volume.
    Volume(VolumeId),
    /// The quality of service that a volume has.
    Setting(VolumeId),
    /// The quality of service that a volume of a pool has of which nothing is said.
    PoolSetting(PoolId),
    /// A quality of service that a client made.
    ClientSetting(SettingId),
    /// The qualities of service that can be had.
    StorageCapabilities(Scope),
    /// The storage methods that work.
    ConfigurationCapabilities(Scope),
    /// The service that makes volumes.
    StorageService,
    /// The service that repairs volumes.
    SparingService,
    /// The service that moves volumes and pools to other disks.
    RelocationService,
    /// The service that makes replicas of volumes.
    ReplicationService,
    /// The kinds of replicas that are made, and what works with each.
    ReplicationCapabilities,
    /// Volumes that are replicated together.
    ReplicationGroup(ReplicationGroupId),
    /// The service that introduces initiators.
    HardwareIdService,
    /// The service that shows volumes to initiators.
    MaskingService,
    /// The masking methods that work.
    MaskingCapabilities,
    /// What the targets can do.
    IscsiCapabilities,
    /// The service that makes targets and ports.
    IscsiService,
    /// The iSCSI configuration methods that work.
    IscsiConfigurationCapabilities,
    /// A masking group.
    Group(GroupKind, GroupId),
    /// A masking view.
    View(ViewId),
    /// What the initiators of a masking view may do.
    Privilege(ViewId),
    /// An initiator.
    Initiator(InitiatorName),
    /// A target.
    Node(Iqn),
    /// A port of a target, or a Fibre Channel port as an end of the protocol.
    Endpoint(PortId),
    /// A Fibre Channel port as a device.
    FcPort(Wwn),
    /// An address and TCP port that targets listen at.
    Tcp(SocketAddr),
    /// An address of the machine.
    Ip(IpAddr),
    /// A network interface.
    Ethernet(String),
    /// An initiator that is logged in to a port.
    Session(SessionId),
    /// A connection of a session, by its number.
    Connection(SessionId, u16),
    /// A job.
    Job(JobId),
    /// The call that a job came from, by the job.
    MethodResult(JobId),
}

/// The kind of an element: one class in one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Tag {
    ObjectManager,
    ManagementSystem,
    Namespace,
    Mechanism,
    Specification,
    Profile,
    SubProfile,
    Software,
    System,
    Controller,
    Chassis,
    Product,
    Location,
    InstalledSoftware,
    AccessPoint,
    PrimordialPool,
    Pool,
    Extent,
    Drive,
    DrivePackage,
    Firmware,
    Volume,
    Setting,
    PoolSetting,
    ClientSetting,
    StorageCapabilities,
    ConfigurationCapabilities,
    StorageService,
    SparingService,
    RelocationService,
    ReplicationCapabilities,
    ReplicationGroup,
    ReplicationService,
    HardwareIdService,
    MaskingService,
    MaskingCapabilities,
    IscsiCapabilities,
    IscsiService,
    IscsiConfigurationCapabilities,
    InitiatorGroup,
    PortGroup,
    VolumeGroup,
    View,
    Privilege,
    Initiator,
    Node,
    Endpoint,
    FcEndpoint,
    FcPort,
    Tcp,
    Ip,
    Ethernet,
    Session,
    Connection,
    Job,
    MethodResult,
}

impl Element {
    /// The kind that it is of.
    pub(super) fn tag(&self) -> Tag {
        match self {
            Self::ObjectManager => Tag::ObjectManager,
            Self::ManagementSystem => Tag::ManagementSystem,
            Self::Namespace(_) => Tag::Namespace,
            Self::Mechanism(_) => Tag::Mechanism,
            Self::Profile(index) => super::registration::tag(*index),
            Self::Software => Tag::Software,
            Self::System => Tag::System,
            Self::Controller => Tag::Controller,
            Self::Chassis => Tag::Chassis,
            Self::Product => Tag::Product,
            Self::Location => Tag::Location,
            Self::InstalledSoftware(_) => Tag::InstalledSoftware,
            Self::AccessPoint(_) => Tag::AccessPoint,
            Self::PrimordialPool => Tag::PrimordialPool,
            Self::Pool(_) => Tag::Pool,
            Self::Extent(_) => Tag::Extent,
            Self::Drive(_) => Tag::Drive,
            Self::DrivePackage(_) => Tag::DrivePackage,
            Self::Firmware(_) => Tag::Firmware,
            Self::Volume(_) => Tag::Volume,
            Self::Setting(_) => Tag::Setting,
            Self::PoolSetting(_) => Tag::PoolSetting,
            Self::ClientSetting(_) => Tag::ClientSetting,
            Self::StorageCapabilities(_) => Tag::StorageCapabilities,
            Self::ConfigurationCapabilities(_) => Tag::ConfigurationCapabilities,
            Self::StorageService => Tag::StorageService,
            Self::SparingService => Tag::SparingService,
            Self::RelocationService => Tag::RelocationService,
            Self::ReplicationService => Tag::ReplicationService,
            Self::ReplicationCapabilities => Tag::ReplicationCapabilities,
            Self::ReplicationGroup(_) => Tag::ReplicationGroup,
            Self::HardwareIdService => Tag::HardwareIdService,
            Self::MaskingService => Tag::MaskingService,
            Self::MaskingCapabilities => Tag::MaskingCapabilities,
            Self::IscsiCapabilities => Tag::IscsiCapabilities,
            Self::IscsiService => Tag::IscsiService,
            Self::IscsiConfigurationCapabilities => Tag::IscsiConfigurationCapabilities,
            Self::Group(GroupKind::Initiators, _) => Tag::InitiatorGroup,
            Self::Group(GroupKind::Ports, _) => Tag::PortGroup,
            Self::Group(GroupKind::Volumes, _) => Tag::VolumeGroup,
            Self::View(_) => Tag::View,
            Self::Privilege(_) => Tag::Privilege,
            Self::Initiator(_) => Tag::Initiator,
            Self::Node(_) => Tag::Node,
            Self::Endpoint(PortId::Iscsi { .. }) => Tag::Endpoint,
            Self::Endpoint(PortId::FibreChannel(_)) => Tag::FcEndpoint,
            Self::FcPort(_) => Tag::FcPort,
            Self::Tcp(_) => Tag::Tcp,
            Self::Ip(_) => Tag::Ip,
            Self::Ethernet(_) => Tag::Ethernet,
            Self::Session(_) => Tag::Session,
            Self::Connection(..) => Tag::Connection,
            Self::Job(_) => Tag::Job,
            Self::MethodResult(_) => Tag::MethodResult,
        }
    }
}
