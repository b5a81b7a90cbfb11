//! The immutable picture of the array from which every read is answered.
//!
//! Shared-structure maps with a reverse index for every relation: a change costs what changed, a
//! step from one element to its neighbours costs what it returns.

mod compose;
mod footing;
mod foreign;
mod numbers;
mod portals;
mod promises;

pub use portals::excludes;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use imbl::{HashMap, OrdMap, OrdSet, Vector};

use super::drift::{Drift, DriftPolicy};
use super::engine::ForeignMap;
use super::ids::{
    DiskId, GroupId, InitiatorName, Iqn, JobId, Naa, PoolId, PortId, ReplicationGroupId, SessionId,
    SettingId, ViewId, VolumeId, Wwn,
};
use super::job::{Element, Job};
use super::model::{
    Connection, Disk, FcPort, Group, GroupKind, Health, Initiator, MadeTarget, Map, Members, Nic,
    Owner, Piece, Pool, Port, Replica, ReplicaKind, ReplicationGroup, Session, Target, Torn, View,
    Volume,
};
use super::quality::Setting;
use super::step::Erasing;
use numbers::Retirement;
pub(in crate::array) use promises::Engaged;

/// The disks that these pieces lie on, each once or more.
fn disks_of(pieces: &[Piece]) -> impl Iterator<Item = &DiskId> {
    pieces.iter().map(|piece| &piece.disk)
}

/// Who is related to whom, one way.
#[derive(Clone, Debug)]
struct Index<K, V: Ord>(HashMap<K, OrdSet<V>>);

impl<K, V: Ord> Default for Index<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash, V: Clone + Ord> Index<K, V> {
    fn link(&mut self, key: K, value: V) {
        self.0.entry(key).or_default().insert(value);
    }

    fn unlink(&mut self, key: &K, value: &V) {
        if let Some(values) = self.0.get_mut(key) {
            values.remove(value);
            if values.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Adds or removes a relation.
    fn set(&mut self, key: K, value: V, related: bool) {
        if related {
            self.link(key, value)
        } else {
            self.unlink(&key, &value)
        }
    }

    fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    fn of<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a V> + use<'a, K, V> {
        self.0.get(key).into_iter().flatten()
    }
}

/// Something that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Ailing {
    Pool(PoolId),
    Port(PortId),
    Volume(VolumeId),
    Disk(DiskId),
    View(ViewId),
}

/// What the array is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemName {
    /// Its lasting, unique name.
    pub name: String,
    /// Its name for people.
    pub label: String,
}

/// What the administrator has decided; fixed at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How much the volumes of a thin pool may have together, in percent of the pool's data size.
    pub overcommit: u64,
    /// From how full on a thin pool counts as low on space, in percent of its data or metadata.
    pub low_space: u16,
    /// Room for what changes, in percent of its source, that a snapshot of a volume on disks gets
    /// where nobody says otherwise; with 100 it never lacks any.
    pub snapshot_room: u8,
    /// Whether a volume that no host sees may be made smaller.
    pub shrink: bool,
    /// What is done to what a volume holds before it is removed, if anything.
    pub erase: Option<Erasing>,
    /// For how long a device number that was hidden from an initiator is not chosen for another
    /// volume there; zero where that does not matter.
    pub lun_quarantine: Duration,
    /// The greatest device number that is given; at most [`MAX_LUN`](super::MAX_LUN).
    pub max_lun: u16,
    /// What is done when hosts do not see what the views say.
    pub drift: DriftPolicy,
    /// How soon what a failed command could not take back is tried again; later on it is less often.
    pub retry_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            overcommit: 1000,
            low_space: 80,
            snapshot_room: 100,
            shrink: false,
            erase: None,
            lun_quarantine: Duration::from_secs(600),
            // What every kind of initiator can address.
            max_lun: 255,
            drift: DriftPolicy::default(),
            retry_after: Duration::from_secs(5),
        }
    }
}

impl Policy {
    /// How well a pool is that works.
    fn judge(&self, pool: &Pool) -> Health {
        let Some(thin) = pool.thin() else {
            return Health::Ok;
        };
        let used = pool.size.saturating_sub(pool.free);
        let parts = [
            ("data", used, pool.size),
            ("metadata", thin.metadata_used.unwrap_or(0), thin.metadata),
        ];
        for (what, used, size) in parts {
            let percent = u128::from(used) * 100 / u128::from(size.max(1));
            if percent >= self.low_space.into() {
                return Health::Degraded(format!(
                    "{percent} % of its {what} space is used; grow the pool before it is full"
                ));
            }
        }
        Health::Ok
    }

    /// How well a volume is that works: a snapshot that may come to lack room is watched.
    fn judge_volume(&self, volume: &Volume) -> Health {
        let kind = volume.replica.as_ref().map(|replica| &replica.kind);
        let Some(ReplicaKind::Delta {
            room,
            used: Some(used),
            ..
        }) = kind
        else {
            return Health::Ok;
        };
        let percent = u128::from(*used) * 100 / u128::from((*room).max(1));
        // With more than its source has, it never lacks any.
        match *room < volume.size && percent >= self.low_space.into() {
            true => Health::Degraded(format!(
                "{percent} % of its room for what changes is used, and without room its content is \
                 lost; clone it, or delete it when it is not needed"
            )),
            false => Health::Ok,
        }
    }
}

/// The array at one moment.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// What the array is called.
    pub system: Arc<SystemName>,
    /// What the administrator has decided.
    pub policy: Arc<Policy>,
    /// Counts the published pictures.
    pub version: u64,
    /// What the administrator should know about the array as a whole.
    pub warnings: Arc<[String]>,
    pools: OrdMap<PoolId, Arc<Pool>>,
    volumes: OrdMap<VolumeId, Arc<Volume>>,
    disks: OrdMap<DiskId, Arc<Disk>>,
    targets: OrdMap<Iqn, Arc<Target>>,
    ports: OrdMap<PortId, Arc<Port>>,
    fc_ports: OrdMap<Wwn, Arc<FcPort>>,
    made_targets: OrdMap<Iqn, Arc<MadeTarget>>,
    /// The target that the configuration names first.
    first_target: Option<Iqn>,
    nics: OrdMap<String, Arc<Nic>>,
    portals: OrdMap<SocketAddr, bool>,
    portal_ports: Index<SocketAddr, PortId>,
    sessions: OrdMap<SessionId, Arc<Session>>,
    initiators: OrdMap<InitiatorName, Arc<Initiator>>,
    groups: OrdMap<GroupId, Arc<Group>>,
    views: OrdMap<ViewId, Arc<View>>,
    retired: Retirement,
    settings: OrdMap<SettingId, Arc<Setting>>,
    replication_groups: OrdMap<ReplicationGroupId, Arc<ReplicationGroup>>,
    jobs: OrdMap<JobId, Arc<Job>>,
    foreign_maps: Arc<[ForeignMap]>,
    foreign_targets: Arc<BTreeMap<Iqn, BTreeSet<SocketAddr>>>,
    /// How hosts see something else than the views say, and what that makes of the views.
    drift: Arc<Drift>,
    drifted: OrdMap<ViewId, Health>,
    pool_volumes: Index<PoolId, VolumeId>,
    group_pools: Index<PoolId, PoolId>,
    name_pools: Index<String, PoolId>,
    disk_volumes: Index<DiskId, VolumeId>,
    disk_pools: Index<DiskId, PoolId>,
    disk_disks: Index<DiskId, DiskId>,
    pool_settings: Index<Option<PoolId>, SettingId>,
    name_volumes: Index<String, VolumeId>,
    naa_volumes: Index<Naa, VolumeId>,
    source_replicas: Index<VolumeId, VolumeId>,
    volume_replication_groups: Index<VolumeId, ReplicationGroupId>,
    source_groups: Index<ReplicationGroupId, ReplicationGroupId>,
    volume_groups: Index<VolumeId, GroupId>,
    initiator_groups: Index<InitiatorName, GroupId>,
    port_groups: Index<PortId, GroupId>,
    port_sessions: Index<PortId, SessionId>,
    initiator_sessions: Index<InitiatorName, SessionId>,
    portal_connections: Index<SocketAddr, (SessionId, u16)>,
    group_views: Index<GroupId, ViewId>,
    name_groups: Index<(GroupKind, String), GroupId>,
    name_views: Index<String, ViewId>,
    element_jobs: Index<Element, JobId>,
    copied_jobs: Index<VolumeId, JobId>,
    ailing: OrdSet<Ailing>,
    /// What is to come, and what is done to volumes, while a command is planned.
    awaited: Vector<(PoolId, Vec<DiskId>)>,
    engaged: HashMap<VolumeId, Engaged>,
}

macro_rules! maps {
    ($($(#[$doc:meta])* $all:ident, $one:ident: $key:ty => $value:ty;)*) => {
        impl Inventory {$(
            $(#[$doc])*
            pub fn $all(&self) -> impl Iterator<Item = &Arc<$value>> {
                self.$all.values()
            }

            /// The one of that identity.
            pub fn $one(&self, id: &$key) -> Option<&Arc<$value>> {
                self.$all.get(id)
            }
        )*}
    };
}

maps! {
    /// The pools, thin ones and unfinished ones included.
    pools, pool: PoolId => Pool;
    /// The volumes, unfinished and foreign ones included.
    volumes, volume: VolumeId => Volume;
    /// The disks.
    disks, disk: DiskId => Disk;
    /// The targets.
    targets, target: Iqn => Target;
    /// The targets that clients made, as they are to be.
    made_targets, made_target: Iqn => MadeTarget;
    /// The ports of all targets, and the Fibre Channel ports.
    ports, port: PortId => Port;
    /// The Fibre Channel ports, with what only such have.
    fc_ports, fc_port: Wwn => FcPort;
    /// The network interfaces.
    nics, nic: String => Nic;
    /// The sessions that the kernel tells of.
    sessions, session: SessionId => Session;
    /// The initiators.
    initiators, initiator: InitiatorName => Initiator;
    /// The masking groups.
    groups, group: GroupId => Group;
    /// The masking views.
    views, view: ViewId => View;
    /// The qualities of service that clients made.
    settings, setting: SettingId => Setting;
    /// The groups of volumes that are replicated together.
    replication_groups, replication_group: ReplicationGroupId => ReplicationGroup;
    /// The jobs that are visible.
    jobs, job: JobId => Job;
}

/// Reading along relations.
impl Inventory {
    /// The volumes of a pool.
    pub fn volumes_in(&self, pool: &PoolId) -> impl Iterator<Item = &Arc<Volume>> {
        self.pool_volumes
            .of(pool)
            .filter_map(|id| self.volumes.get(id))
    }

    /// The thin pools in a volume group.
    pub fn thin_pools_in(&self, group: &PoolId) -> impl Iterator<Item = &Arc<Pool>> {
        self.group_pools
            .of(group)
            .filter_map(|id| self.pools.get(id))
    }

    /// The pools of that name; more than one only where somebody else named one of them.
    pub fn pools_named(&self, name: &str) -> impl Iterator<Item = &Arc<Pool>> {
        self.name_pools
            .of(&name.to_owned())
            .filter_map(|id| self.pools.get(id))
    }

    /// The volumes that lie on a disk themselves; those in a thin pool lie in the pool.
    pub fn volumes_on(&self, disk: &DiskId) -> impl Iterator<Item = &Arc<Volume>> {
        self.disk_volumes
            .of(disk)
            .filter_map(|id| self.volumes.get(id))
    }

    /// The thin pools that lie on a disk.
    pub fn thin_pools_on(&self, disk: &DiskId) -> impl Iterator<Item = &Arc<Pool>> {
        self.disk_pools.of(disk).filter_map(|id| self.pools.get(id))
    }

    /// The partitions and arrays that are made from a disk.
    pub fn disks_above(&self, disk: &DiskId) -> impl Iterator<Item = &Arc<Disk>> {
        self.disk_disks.of(disk).filter_map(|id| self.disks.get(id))
    }

    /// The qualities of service that were made from the abilities of a pool, or of the array.
    pub fn settings_of(&self, pool: &Option<PoolId>) -> impl Iterator<Item = &Arc<Setting>> {
        self.pool_settings
            .of(pool)
            .filter_map(|id| self.settings.get(id))
    }

    /// The volumes of that name; more than one only where somebody else named one of them.
    pub fn volumes_named(&self, name: &str) -> impl Iterator<Item = &Arc<Volume>> {
        self.name_volumes
            .of(&name.to_owned())
            .filter_map(|id| self.volumes.get(id))
    }

    /// The volumes that hosts see under that identifier; more than one only where one is a copy
    /// of the other.
    pub fn volumes_seen_as(&self, naa: Naa) -> impl Iterator<Item = &Arc<Volume>> {
        self.naa_volumes
            .of(&naa)
            .filter_map(|id| self.volumes.get(id))
    }

    /// Whether a volume is there for everybody: no job makes or removes it. One that a job copies
    /// from or onto is, and so is one onto which such a job has left a part of a copy; but not one
    /// whose place another one has taken.
    pub fn is_settled(&self, volume: &Volume) -> bool {
        let Some(job) = &volume.job else {
            return true;
        };
        let job = self.jobs.get(job);
        let is_copied = volume.torn == Some(Torn::Copied)
            || job.is_some_and(|job| job.copied().any(|id| *id == volume.id));
        let mut alike = self.volumes_seen_as(volume.naa);
        is_copied && !alike.any(|other| other.id != volume.id && other.job.is_none())
    }

    /// The job that is copying from or onto a volume.
    pub fn copying(&self, volume: &VolumeId) -> Option<&Arc<Job>> {
        let mut jobs = self.copied_jobs.of(volume);
        jobs.find_map(|id| self.jobs.get(id))
    }

    /// The replicas of a volume, unfinished and foreign ones included.
    pub fn replicas_of(&self, source: &VolumeId) -> impl Iterator<Item = &Arc<Volume>> {
        self.source_replicas
            .of(source)
            .filter_map(|id| self.volumes.get(id))
    }

    /// What a volume is the replica of, and how; none where that is no longer there.
    pub fn source_of<'a>(&'a self, replica: &'a Volume) -> Option<(&'a Arc<Volume>, &'a Replica)> {
        let relation = replica.replica.as_ref()?;
        Some((self.volumes.get(&relation.source)?, relation))
    }

    /// The members of a group of volumes that are replicated together, as far as they are there.
    pub fn replication_members<'a>(
        &'a self,
        group: &'a ReplicationGroup,
    ) -> impl Iterator<Item = &'a Arc<Volume>> {
        group.members.iter().filter_map(|id| self.volumes.get(id))
    }

    /// The groups in which a volume is replicated together with others.
    pub fn replication_groups_with(
        &self,
        volume: &VolumeId,
    ) -> impl Iterator<Item = &Arc<ReplicationGroup>> {
        self.volume_replication_groups
            .of(volume)
            .filter_map(|id| self.replication_groups.get(id))
    }

    /// The groups that were made from a group.
    pub fn group_replicas_of(
        &self,
        group: &ReplicationGroupId,
    ) -> impl Iterator<Item = &Arc<ReplicationGroup>> {
        self.source_groups
            .of(group)
            .filter_map(|id| self.replication_groups.get(id))
    }

    /// The group that a group was made from, while it is there and all members of the replica still
    /// are replicas of its members, each of the one at its place.
    pub fn group_source_of(&self, replica: &ReplicationGroup) -> Option<&Arc<ReplicationGroup>> {
        let source = self.replication_groups.get(replica.source.as_ref()?)?;
        let is_related = |(member, of): (&VolumeId, &VolumeId)| {
            let relation = self.volumes.get(member).and_then(|v| self.source_of(v));
            relation.is_some_and(|(source, _)| source.id == *of)
        };
        let mut pairs = replica.members.iter().zip(&source.members);
        let fits = !replica.members.is_empty() && replica.members.len() == source.members.len();
        (fits && pairs.all(is_related)).then_some(source)
    }

    /// The device groups that a volume belongs to.
    pub fn groups_with_volume(&self, id: &VolumeId) -> impl Iterator<Item = &Arc<Group>> {
        self.volume_groups
            .of(id)
            .filter_map(|id| self.groups.get(id))
    }

    /// The initiator groups that an initiator belongs to.
    pub fn groups_with_initiator(&self, name: &InitiatorName) -> impl Iterator<Item = &Arc<Group>> {
        self.initiator_groups
            .of(name)
            .filter_map(|id| self.groups.get(id))
    }

    /// The target port groups that a port belongs to.
    pub fn groups_with_port(&self, id: &PortId) -> impl Iterator<Item = &Arc<Group>> {
        self.port_groups.of(id).filter_map(|id| self.groups.get(id))
    }

    /// Who is logged in to a port.
    pub fn sessions_on(&self, port: &PortId) -> impl Iterator<Item = &Arc<Session>> {
        self.port_sessions
            .of(port)
            .filter_map(|id| self.sessions.get(id))
    }

    /// Where an initiator is logged in.
    pub fn sessions_of(&self, initiator: &InitiatorName) -> impl Iterator<Item = &Arc<Session>> {
        self.initiator_sessions
            .of(initiator)
            .filter_map(|id| self.sessions.get(id))
    }

    /// The connection of that number in a session.
    pub fn connection(&self, session: &SessionId, number: u16) -> Option<&Connection> {
        let mut connections = self.sessions.get(session)?.connections.iter();
        connections.find(|connection| connection.number == number)
    }

    /// The connections that came to an address of the array: session and number of each.
    pub fn connections_to(
        &self,
        portal: &SocketAddr,
    ) -> impl Iterator<Item = &(SessionId, u16)> + use<'_> {
        self.portal_connections.of(portal)
    }

    /// The views that use a group.
    pub fn views_with(&self, group: GroupId) -> impl Iterator<Item = &Arc<View>> {
        self.group_views
            .of(&group)
            .filter_map(|id| self.views.get(id))
    }

    /// The views that a volume has a number in.
    pub fn views_of_volume(&self, id: &VolumeId) -> impl Iterator<Item = &Arc<View>> {
        self.groups_with_volume(id)
            .flat_map(|group| self.views_with(group.id))
    }

    /// The group of that kind and name.
    pub fn group_named(&self, kind: GroupKind, name: &str) -> Option<&Arc<Group>> {
        self.name_groups
            .of(&(kind, name.to_owned()))
            .find_map(|id| self.groups.get(id))
    }

    /// The view of that name.
    pub fn view_named(&self, name: &str) -> Option<&Arc<View>> {
        self.name_views
            .of(&name.to_owned())
            .find_map(|id| self.views.get(id))
    }

    /// The jobs that made or changed an element.
    pub fn jobs_of(&self, element: &Element) -> impl Iterator<Item = &Arc<Job>> {
        self.element_jobs
            .of(element)
            .filter_map(|id| self.jobs.get(id))
    }

    /// Everything that is not well, unfinished volumes included, with what is wrong with it.
    pub fn ailing(&self) -> impl Iterator<Item = (&Ailing, &Health)> {
        self.ailing.iter().filter_map(|what| {
            let health = match what {
                Ailing::Pool(id) => &self.pools.get(id)?.health,
                Ailing::Port(id) => &self.ports.get(id)?.health,
                Ailing::Volume(id) => &self.volumes.get(id)?.health,
                Ailing::Disk(id) => &self.disks.get(id)?.health,
                Ailing::View(id) => self.drifted.get(id)?,
            };
            Some((what, health))
        })
    }

    /// The target that the configuration names first; the names of others are derived from it.
    pub fn first_target(&self) -> Option<&Iqn> {
        self.first_target.as_ref()
    }

    /// What other managers show to initiators.
    pub fn foreign_maps(&self) -> &[ForeignMap] {
        &self.foreign_maps
    }

    /// What is wrong with what a view shows to hosts, if anything is.
    pub fn drift_of(&self, view: &ViewId) -> Option<&Health> {
        self.drifted.get(view)
    }

    /// The view of this array that says that an initiator sees this.
    pub fn view_of(&self, map: &Map) -> Option<ViewId> {
        let groups = self.groups_with_initiator(&map.initiator);
        let mut views = groups.flat_map(|group| self.views_with(group.id));
        let through = |id: GroupId| match self.groups.get(&id).map(|group| &group.members) {
            Some(Members::Ports(ports)) => ports.contains(&map.port),
            _ => false,
        };
        let named = views.find(|view| {
            view.owner == Owner::Array
                && view.luns.get(&map.volume) == Some(&map.lun)
                && view.ports.is_some_and(through)
        });
        named.map(|view| view.id)
    }

    /// Everything that a view shows: each initiator, through each port, each volume.
    pub fn maps_of(&self, view: &View) -> Vec<Map> {
        let members = |kind| {
            view.group(kind)
                .and_then(|id| self.groups.get(&id))
                .map(|g| &g.members)
        };
        let (Some(Members::Initiators(initiators)), Some(Members::Ports(ports))) =
            (members(GroupKind::Initiators), members(GroupKind::Ports))
        else {
            return Vec::new();
        };
        maps(initiators, ports, view)
    }

    /// Everything that all views of this array show.
    pub fn all_maps(&self) -> Vec<Map> {
        let ours = self.views().filter(|view| view.owner == Owner::Array);
        ours.flat_map(|view| self.maps_of(view)).collect()
    }
}

/// The product of initiators, ports and numbered volumes, without the pairs of initiator and port that
/// are of different fabrics: those cannot reach each other.
pub(super) fn maps<'a>(
    initiators: impl IntoIterator<Item = &'a InitiatorName>,
    ports: impl IntoIterator<Item = &'a PortId> + Clone,
    view: &View,
) -> Vec<Map> {
    let mut maps = Vec::new();
    for initiator in initiators {
        let reached = ports.clone().into_iter();
        for port in reached.filter(|port| port.is_reached_by(initiator)) {
            maps.extend(view.luns.iter().map(|(volume, &lun)| Map {
                port: port.clone(),
                initiator: initiator.clone(),
                lun,
                volume: volume.clone(),
            }));
        }
    }
    maps
}
