//! Putting a new picture together from the last one and what is new: only what changed is touched.

use std::sync::Arc;

use imbl::OrdSet;

use super::{Ailing, Inventory, Policy, SystemName, disks_of};
use crate::array::change::Change;
use crate::array::drift::Drift;
use crate::array::engine::{Facts, GroupFacts};
use crate::array::ids::{DiskId, GroupId, JobId, PoolId, SettingId, ViewId, VolumeId};
use crate::array::job::Job;
use crate::array::model::{Disk, Group, Health, Members, Pool, Port, Volume};

impl Inventory {
    /// An empty array of that name.
    pub(in crate::array) fn new(system: SystemName, policy: Policy) -> Self {
        Self {
            system: system.into(),
            policy: policy.into(),
            version: 1,
            ..Self::default()
        }
    }

    /// Takes over what an engine saw of everything.
    pub(in crate::array) fn take_facts(&mut self, facts: Facts) {
        let gone: Vec<_> = self.disks.keys().cloned().collect();
        self.replace_disks(gone, facts.disks);
        self.nics = facts
            .nics
            .into_iter()
            .map(|n| (n.name.clone(), Arc::new(n)))
            .collect();
        self.targets = facts
            .targets
            .into_iter()
            .map(|t| (t.iqn.clone(), Arc::new(t)))
            .collect();
        self.replace_ports();
        self.foreign_maps = facts.foreign_maps.into();
        let gone = self.pools.keys().cloned().collect();
        self.replace_pools(gone, facts.pools);
        let gone = self.volumes.keys().cloned().collect();
        self.replace_volumes(gone, facts.volumes);
    }

    /// The ports are as the targets have them, but for what they show too much.
    fn replace_ports(&mut self) {
        for port in std::mem::take(&mut self.ports).values() {
            self.note_health(Ailing::Port(port.id.clone()), &port.health, false);
        }
        let targets = self.targets.clone();
        for port in targets.values().flat_map(|target| &target.ports) {
            let health = self.drift.of_port(port);
            self.note_health(Ailing::Port(port.id.clone()), &health, true);
            let port = Port {
                health,
                ..port.clone()
            };
            self.ports.insert(port.id.clone(), port.into());
        }
    }

    /// How hosts see something else than the views say.
    pub(in crate::array) fn drift(&self) -> &Arc<Drift> {
        &self.drift
    }

    /// Takes over how hosts see something else than the views say.
    pub(in crate::array) fn take_drift(&mut self, drift: Drift) {
        if *self.drift == drift && drift.is_none() {
            return;
        }
        for (view, health) in std::mem::take(&mut self.drifted) {
            self.note_health(Ailing::View(view), &health, false);
        }
        for (view, health) in drift.of_views(self) {
            self.note_health(Ailing::View(view), &health, true);
            self.drifted.insert(view, health);
        }
        self.drift = drift.into();
        self.replace_ports();
    }

    /// The same after the records changed: only what differed can be something else now.
    pub(in crate::array) fn revise_drift(&mut self) {
        let drift = Arc::clone(&self.drift);
        self.take_drift(drift.revised(self));
    }

    /// Takes over what an engine saw of one volume group.
    pub(in crate::array) fn take_group(&mut self, facts: GroupFacts) {
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
    pub(in crate::array) fn group_facts(&self, id: &PoolId) -> Option<GroupFacts> {
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

    /// Notes whether something that is there is well.
    fn note_health(&mut self, what: Ailing, health: &Health, is_there: bool) {
        match is_there && *health != Health::Ok {
            true => self.ailing.insert(what),
            false => self.ailing.remove(&what),
        };
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
                self.relate_disk(&disk, false);
            }
        }
        for disk in disks {
            self.relate_disk(&disk, true);
            self.disks.insert(disk.id.clone(), disk.into());
        }
    }

    fn relate_disk(&mut self, disk: &Disk, related: bool) {
        self.note_health(Ailing::Disk(disk.id.clone()), &disk.health, related);
        for below in disk.below() {
            self.disk_disks.set(below.clone(), disk.id.clone(), related);
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
        self.note_health(Ailing::Pool(id.clone()), &pool.health, related);
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
        self.note_health(Ailing::Volume(id.clone()), &volume.health, related);
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
    pub(in crate::array) fn take_change(&mut self, change: &Change) {
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
    pub(in crate::array) fn put_job(&mut self, job: Arc<Job>) {
        self.remove_job(job.id);
        for element in &job.affected {
            self.element_jobs.link(element.clone(), job.id);
        }
        self.jobs.insert(job.id, job);
    }

    /// Forgets a job.
    pub(in crate::array) fn remove_job(&mut self, id: JobId) {
        if let Some(job) = self.jobs.remove(&id) {
            for element in &job.affected {
                self.element_jobs.unlink(element, &id);
            }
        }
    }
}
