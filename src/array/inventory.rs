//! The immutable picture of the array from which every read is answered.
//!
//! Shared-structure maps with a reverse index for every relation: a change costs what changed, a
//! step from one element to its neighbours costs what it returns.

use std::hash::Hash;
use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use super::change::Change;
use super::engine::{Facts, ForeignMap, GroupFacts};
use super::ids::{
    DiskId, GroupId, InitiatorName, Iqn, JobId, Naa, PoolId, PortId, SettingId, ViewId, VolumeId,
};
use super::job::{Element, Job};
use super::model::{
    Disk, Group, GroupKind, Health, Initiator, Map, Members, Nic, Piece, Pool, Port, Target, View,
    Volume,
};
use super::quality::Setting;

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

    fn of<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a V> + use<'a, K, V> {
        self.0.get(key).into_iter().flatten()
    }
}

/// What the array is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemName {
    /// Its lasting, unique name.
    pub name: String,
    /// Its name for people.
    pub label: String,
}

/// What the administrator has decided about storage; fixed at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How much the volumes of a thin pool may have together, in percent of the pool's data size.
    pub overcommit: u64,
    /// From how full on a thin pool counts as low on space, in percent of its data or metadata.
    pub low_space: u16,
    /// Whether a volume that no host sees may be made smaller.
    pub shrink: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            overcommit: 1000,
            low_space: 80,
            shrink: false,
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
}

/// The array at one moment.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// What the array is called.
    pub system: Arc<SystemName>,
    /// What the administrator has decided about storage.
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
    nics: OrdMap<String, Arc<Nic>>,
    initiators: OrdMap<InitiatorName, Arc<Initiator>>,
    groups: OrdMap<GroupId, Arc<Group>>,
    views: OrdMap<ViewId, Arc<View>>,
    settings: OrdMap<SettingId, Arc<Setting>>,
    jobs: OrdMap<JobId, Arc<Job>>,
    foreign_maps: Arc<[ForeignMap]>,
    pool_volumes: Index<PoolId, VolumeId>,
    group_pools: Index<PoolId, PoolId>,
    name_pools: Index<String, PoolId>,
    disk_volumes: Index<DiskId, VolumeId>,
    disk_pools: Index<DiskId, PoolId>,
    disk_disks: Index<DiskId, DiskId>,
    pool_settings: Index<Option<PoolId>, SettingId>,
    name_volumes: Index<String, VolumeId>,
    naa_volumes: Index<Naa, VolumeId>,
    volume_groups: Index<VolumeId, GroupId>,
    initiator_groups: Index<InitiatorName, GroupId>,
    port_groups: Index<PortId, GroupId>,
    group_views: Index<GroupId, ViewId>,
    name_groups: Index<(GroupKind, String), GroupId>,
    name_views: Index<String, ViewId>,
    element_jobs: Index<Element, JobId>,
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
    /// The qualities of service that clients made.
    settings, setting: SettingId => Setting;
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
    pub(super) fn new(system: SystemName, policy: Policy) -> Self {
        Self {
            system: system.into(),
            policy: policy.into(),
            version: 1,
            ..Self::default()
        }
    }

    /// Takes over what an engine saw of everything.
    pub(super) fn take_facts(&mut self, facts: Facts) {
        let gone: Vec<_> = self.disks.keys().cloned().collect();
        self.replace_disks(gone, facts.disks);
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
        let gone = self.pools.keys().cloned().collect();
        self.replace_pools(gone, facts.pools);
        let gone = self.volumes.keys().cloned().collect();
        self.replace_volumes(gone, facts.volumes);
    }

    /// Takes over what an engine saw of one volume group.
    pub(super) fn take_group(&mut self, facts: GroupFacts) {
        let group = facts.group.id.clone();
        let pools = self.pools_of(&group);
        let gone = pools
            .iter()
            .flat_map(|pool| self.pool_volumes.of(pool))
            .cloned()
            .collect();
        // A disk that has left the group is looked at with the others.
        self.replace_disks(Vec::new(), facts.disks);
        let mut found = facts.thin_pools;
        found.push(facts.group);
        self.replace_pools(pools, found);
        self.replace_volumes(gone, facts.volumes);
    }

    /// A volume group with what lies in it, as an engine would report it.
    pub(super) fn group_facts(&self, id: &PoolId) -> Option<GroupFacts> {
        let group = self.pools.get(id)?;
        let pools = self.pools_of(id);
        let volumes = pools.iter().flat_map(|pool| self.volumes_in(pool));
        let disks = group.disks.iter().filter_map(|disk| self.disks.get(disk));
        Some(GroupFacts {
            group: Pool::clone(group),
            thin_pools: self.thin_pools_in(id).map(|p| Pool::clone(p)).collect(),
            volumes: volumes.map(|v| Volume::clone(v)).collect(),
            disks: disks.map(|d| Disk::clone(d)).collect(),
        })
    }

    /// A volume group and the thin pools in it.
    fn pools_of(&self, group: &PoolId) -> Vec<PoolId> {
        let thin = self.group_pools.of(group).cloned();
        std::iter::once(group.clone()).chain(thin).collect()
    }

    /// Puts `disks` in the place of those named in `old`.
    fn replace_disks(&mut self, old: Vec<DiskId>, disks: Vec<Disk>) {
        for id in old.into_iter().chain(disks.iter().map(|d| d.id.clone())) {
            if let Some(disk) = self.disks.remove(&id) {
                for below in disk.below() {
                    self.disk_disks.unlink(below, &id);
                }
            }
        }
        for disk in disks {
            for below in disk.below() {
                self.disk_disks.link(below.clone(), disk.id.clone());
            }
            self.disks.insert(disk.id.clone(), disk.into());
        }
    }

    /// Puts `pools` in the place of those named in `old`.
    fn replace_pools(&mut self, old: Vec<PoolId>, pools: Vec<Pool>) {
        for id in &old {
            if let Some(pool) = self.pools.remove(id) {
                self.relate_pool(&pool, false);
            }
        }
        for mut pool in pools {
            if pool.health == Health::Ok {
                pool.health = self.policy.judge(&pool);
            }
            self.relate_pool(&pool, true);
            self.pools.insert(pool.id.clone(), pool.into());
        }
    }

    fn relate_pool(&mut self, pool: &Pool, related: bool) {
        let id = &pool.id;
        self.name_pools.set(pool.name.clone(), id.clone(), related);
        if let Some(thin) = pool.thin() {
            self.group_pools
                .set(thin.group.clone(), id.clone(), related);
            for disk in disks_of(&thin.pieces) {
                self.disk_pools.set(disk.clone(), id.clone(), related);
            }
        }
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
                self.relate_volume(&volume, true);
                self.volumes.insert(volume.id.clone(), volume.into());
            }
        }
    }

    fn remove_volume(&mut self, id: &VolumeId) {
        if let Some(volume) = self.volumes.remove(id) {
            self.relate_volume(&volume, false);
        }
    }

    fn relate_volume(&mut self, volume: &Volume, related: bool) {
        let id = &volume.id;
        self.pool_volumes
            .set(volume.pool.clone(), id.clone(), related);
        self.name_volumes
            .set(volume.name.clone(), id.clone(), related);
        self.naa_volumes.set(volume.naa, id.clone(), related);
        for disk in disks_of(&volume.pieces) {
            self.disk_volumes.set(disk.clone(), id.clone(), related);
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
            Change::PutSetting(setting) => {
                self.remove_setting(setting.id);
                self.pool_settings.link(setting.pool.clone(), setting.id);
                self.settings.insert(setting.id, Arc::new(setting.clone()));
            }
            Change::RemoveSetting(id) => self.remove_setting(*id),
            // Which groups are managed is the engine's to say.
            Change::PutPool(_) | Change::RemovePool(_) => {}
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

    fn remove_setting(&mut self, id: SettingId) {
        if let Some(setting) = self.settings.remove(&id) {
            self.pool_settings.unlink(&setting.pool, &id);
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
