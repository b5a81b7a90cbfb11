//! The immutable picture of the array from which every read is answered.
//!
//! Shared-structure maps with a reverse index for every relation: a change costs what changed, a
//! step from one element to its neighbours costs what it returns.

use std::hash::Hash;
use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use super::change::Change;
use super::engine::{Facts, ForeignMap, PoolFacts};
use super::ids::{DiskId, GroupId, InitiatorName, Iqn, JobId, PoolId, PortId, ViewId, VolumeId};
use super::job::{Element, Job};
use super::model::{
    Disk, Group, GroupKind, Health, Initiator, Map, Members, Nic, Pool, Port, Target, View, Volume,
};

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
}

/// What the array is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemName {
    /// Its lasting, unique name.
    pub name: String,
    /// Its name for people.
    pub label: String,
}

/// The array at one moment.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// What the array is called.
    pub system: Arc<SystemName>,
    /// Counts the published pictures.
    pub version: u64,
    /// What the administrator should know about the array as a whole.
    pub warnings: Arc<[String]>,
    pools: OrdMap<PoolId, Arc<Pool>>,
    volumes: OrdMap<VolumeId, Arc<Volume>>,
    disks: OrdMap<DiskId, Arc<Disk>>,
    targets: OrdMap<Iqn, Arc<Target>>,
    ports: OrdMap<PortId, Arc<Port>>,
    nics: OrdMap<String, Arc<Nic>>,
    initiators: OrdMap<InitiatorName, Arc<Initiator>>,
    groups: OrdMap<GroupId, Arc<Group>>,
    views: OrdMap<ViewId, Arc<View>>,
    jobs: OrdMap<JobId, Arc<Job>>,
    foreign_maps: Arc<[ForeignMap]>,
    pool_volumes: Index<PoolId, VolumeId>,
    name_volumes: Index<String, VolumeId>,
    volume_groups: Index<VolumeId, GroupId>,
    initiator_groups: Index<InitiatorName, GroupId>,
    port_groups: Index<PortId, GroupId>,
    group_views: Index<GroupId, ViewId>,
    name_groups: Index<(GroupKind, String), GroupId>,
    name_views: Index<String, ViewId>,
    element_jobs: Index<Element, JobId>,
    ailing: OrdSet<Ailing>,
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
    /// The pools.
    pools, pool: PoolId => Pool;
    /// The volumes, unfinished and foreign ones included.
    volumes, volume: VolumeId => Volume;
    /// The disks.
    disks, disk: DiskId => Disk;
    /// The targets.
    targets, target: Iqn => Target;
    /// The ports of all targets.
    ports, port: PortId => Port;
    /// The network interfaces.
    nics, nic: String => Nic;
    /// The initiators.
    initiators, initiator: InitiatorName => Initiator;
    /// The masking groups.
    groups, group: GroupId => Group;
    /// The masking views.
    views, view: ViewId => View;
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

    /// The volumes of that name; more than one only where somebody else named one of them.
    pub fn volumes_named(&self, name: &str) -> impl Iterator<Item = &Arc<Volume>> {
        self.name_volumes
            .of(&name.to_owned())
            .filter_map(|id| self.volumes.get(id))
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
            };
            Some((what, health))
        })
    }

    /// The numbers that somebody else's maps take.
    pub fn foreign_maps(&self) -> &[ForeignMap] {
        &self.foreign_maps
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

    /// Everything that all views show.
    pub fn all_maps(&self) -> Vec<Map> {
        self.views().flat_map(|view| self.maps_of(view)).collect()
    }
}

/// The product of initiators, ports and numbered volumes.
pub(super) fn maps<'a>(
    initiators: impl IntoIterator<Item = &'a InitiatorName>,
    ports: impl IntoIterator<Item = &'a PortId> + Clone,
    view: &View,
) -> Vec<Map> {
    let mut maps = Vec::new();
    for initiator in initiators {
        for port in ports.clone() {
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

/// Putting a new picture together.
impl Inventory {
    /// An empty array of that name.
    pub(super) fn new(system: SystemName) -> Self {
        Self {
            system: system.into(),
            version: 1,
            ..Self::default()
        }
    }

    /// Takes over what an engine saw of everything.
    pub(super) fn take_facts(&mut self, facts: Facts) {
        self.pools = facts
            .pools
            .into_iter()
            .map(|p| (p.id.clone(), Arc::new(p)))
            .collect();
        self.disks = facts
            .disks
            .into_iter()
            .map(|d| (d.id.clone(), Arc::new(d)))
            .collect();
        self.nics = facts
            .nics
            .into_iter()
            .map(|n| (n.name.clone(), Arc::new(n)))
            .collect();
        let ports = facts.targets.iter().flat_map(|t| &t.ports);
        self.ports = ports.map(|p| (p.id.clone(), Arc::new(p.clone()))).collect();
        self.targets = facts
            .targets
            .into_iter()
            .map(|t| (t.iqn.clone(), Arc::new(t)))
            .collect();
        self.foreign_maps = facts.foreign_maps.into();
        self.note_ailing();
        let gone = self.volumes.keys().cloned().collect();
        self.replace_volumes(gone, facts.volumes);
    }

    /// Takes over what an engine saw of one pool.
    pub(super) fn take_pool(&mut self, facts: PoolFacts) {
        let gone = self.pool_volumes.of(&facts.pool.id).cloned().collect();
        self.note_health(Ailing::Pool(facts.pool.id.clone()), &facts.pool.health);
        self.pools.insert(facts.pool.id.clone(), facts.pool.into());
        self.replace_volumes(gone, facts.volumes);
    }

    /// A pool with its volumes, as an engine would report it.
    pub(super) fn pool_facts(&self, id: &PoolId) -> Option<PoolFacts> {
        Some(PoolFacts {
            pool: Pool::clone(self.pools.get(id)?),
            volumes: self.volumes_in(id).map(|v| Volume::clone(v)).collect(),
        })
    }

    /// Notes whether something is well.
    fn note_health(&mut self, what: Ailing, health: &Health) {
        match health {
            Health::Ok => self.ailing.remove(&what),
            _ => self.ailing.insert(what),
        };
    }

    /// Notes anew what is not well, but for volumes: they are noted one by one.
    fn note_ailing(&mut self) {
        let volumes = self
            .ailing
            .iter()
            .filter(|what| matches!(what, Ailing::Volume(_)));
        let mut ailing: OrdSet<Ailing> = volumes.cloned().collect();
        let sick = |health: &Health| *health != Health::Ok;
        let pools = self.pools.values().filter(|pool| sick(&pool.health));
        ailing.extend(pools.map(|pool| Ailing::Pool(pool.id.clone())));
        let ports = self.ports.values().filter(|port| sick(&port.health));
        ailing.extend(ports.map(|port| Ailing::Port(port.id.clone())));
        let disks = self.disks.values().filter(|disk| sick(&disk.health));
        ailing.extend(disks.map(|disk| Ailing::Disk(disk.id.clone())));
        self.ailing = ailing;
    }

    /// Puts `volumes` in the place of those named in `old`; what is the same stays as it is.
    fn replace_volumes(&mut self, old: Vec<VolumeId>, volumes: Vec<Volume>) {
        let kept: OrdSet<VolumeId> = volumes.iter().map(|v| v.id.clone()).collect();
        for id in old.iter().filter(|id| !kept.contains(*id)) {
            self.remove_volume(id);
        }
        for volume in volumes {
            if self
                .volumes
                .get(&volume.id)
                .is_none_or(|known| **known != volume)
            {
                self.remove_volume(&volume.id.clone());
                self.pool_volumes
                    .link(volume.pool.clone(), volume.id.clone());
                self.name_volumes
                    .link(volume.name.clone(), volume.id.clone());
                self.note_health(Ailing::Volume(volume.id.clone()), &volume.health);
                self.volumes.insert(volume.id.clone(), volume.into());
            }
        }
    }

    fn remove_volume(&mut self, id: &VolumeId) {
        if let Some(volume) = self.volumes.remove(id) {
            self.pool_volumes.unlink(&volume.pool, id);
            self.name_volumes.unlink(&volume.name, id);
            self.ailing.remove(&Ailing::Volume(id.clone()));
        }
    }

    /// Takes over one change of a record.
    pub(super) fn take_change(&mut self, change: &Change) {
        match change {
            Change::PutInitiator(initiator) => {
                self.initiators
                    .insert(initiator.name.clone(), Arc::new(initiator.clone()));
            }
            Change::RemoveInitiator(name) => {
                self.initiators.remove(name);
            }
            Change::PutGroup(group) => {
                self.remove_group(group.id);
                self.relate_members(group, true);
                self.name_groups
                    .link((group.members.kind(), group.name.clone()), group.id);
                self.groups.insert(group.id, Arc::new(group.clone()));
            }
            Change::RemoveGroup(id) => self.remove_group(*id),
            Change::PutView(view) => {
                self.remove_view(view.id);
                for group in view.groups() {
                    self.group_views.link(group, view.id);
                }
                self.name_views.link(view.name.clone(), view.id);
                self.views.insert(view.id, Arc::new(view.clone()));
            }
            Change::RemoveView(id) => self.remove_view(*id),
        }
    }

    fn remove_group(&mut self, id: GroupId) {
        if let Some(group) = self.groups.remove(&id) {
            self.name_groups
                .unlink(&(group.members.kind(), group.name.clone()), &id);
            self.relate_members(&group, false);
        }
    }

    /// Adds or removes the relation of every member to its group.
    fn relate_members(&mut self, group: &Group, related: bool) {
        let id = group.id;
        match &group.members {
            Members::Initiators(names) => {
                names
                    .iter()
                    .for_each(|n| self.initiator_groups.set(n.clone(), id, related));
            }
            Members::Ports(ports) => {
                ports
                    .iter()
                    .for_each(|p| self.port_groups.set(p.clone(), id, related));
            }
            Members::Volumes(volumes) => {
                volumes
                    .iter()
                    .for_each(|v| self.volume_groups.set(v.clone(), id, related));
            }
        }
    }

    fn remove_view(&mut self, id: ViewId) {
        if let Some(view) = self.views.remove(&id) {
            self.name_views.unlink(&view.name, &id);
            for group in view.groups() {
                self.group_views.unlink(&group, &id);
            }
        }
    }

    /// Adds a job, or puts it in the place of what was known of it.
    pub(super) fn put_job(&mut self, job: Arc<Job>) {
        self.remove_job(job.id);
        for element in &job.affected {
            self.element_jobs.link(element.clone(), job.id);
        }
        self.jobs.insert(job.id, job);
    }

    /// Forgets a job.
    pub(super) fn remove_job(&mut self, id: JobId) {
        if let Some(job) = self.jobs.remove(&id) {
            for element in &job.affected {
                self.element_jobs.unlink(element, &id);
            }
        }
    }
}
