//! Putting a new picture together from the last one and what is new: only what changed is touched.

use std::sync::Arc;

use imbl::OrdSet;

use super::{Ailing, Inventory, Policy, SystemName, disks_of};
use crate::array::change::Change;
use crate::array::drift::Drift;
use crate::array::engine::{Facts, GroupFacts};
use crate::array::ids::{
    DiskId, GroupId, Iqn, JobId, PoolId, ReplicationGroupId, SessionId, SettingId, ViewId, VolumeId,
};
use crate::array::job::Job;
use crate::array::model::{
    Disk, Group, Health, MadeTarget, Members, Owner, Pool, Port, ReplicationGroup, Session, Target,
    View, Volume,
};

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
        let mut iqns = facts.targets.iter().map(|t| &t.iqn);
        self.first_target = iqns
            .find(|iqn| !self.made_targets.contains_key(*iqn))
            .or(facts.targets.first().map(|target| &target.iqn))
            .cloned();
        self.targets = facts
            .targets
            .into_iter()
            .map(|t| (t.iqn.clone(), Arc::new(t)))
            .collect();
        let fc_ports = facts.fc_ports.into_iter();
        self.fc_ports = fc_ports.map(|port| (port.wwn, Arc::new(port))).collect();
        self.replace_ports();
        self.replace_sessions(facts.sessions);
        for made in self.made_targets.clone().values() {
            self.show_target(made);
        }
        let gone = self.pools.keys().cloned().collect();
        self.replace_pools(gone, facts.pools);
        let gone = self.volumes.keys().cloned().collect();
        self.replace_volumes(gone, facts.volumes);
        self.foreign_targets = facts.foreign_targets.into();
        if *self.foreign_maps != *facts.foreign_maps {
            self.replace_foreign(facts.foreign_maps);
        }
    }

    /// The ports are as the targets have them, but for what they show too much.
    fn replace_ports(&mut self) {
        for port in std::mem::take(&mut self.ports).values() {
            self.note_health(Ailing::Port(port.id.clone()), &port.health, false);
        }
        let of_targets = self.targets.values().flat_map(|target| &target.ports);
        let fc_ports = self.fc_ports.values().map(|port| port.port());
        let ports: Vec<Port> = of_targets.cloned().chain(fc_ports).collect();
        for port in ports {
            let health = self.drift.of_port(&port);
            self.note_health(Ailing::Port(port.id.clone()), &health, true);
            let port = Port { health, ..port };
            self.ports.insert(port.id.clone(), port.into());
        }
        self.index_portals();
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

    /// Shows a target that a client made also while it has no port.
    fn show_target(&mut self, made: &MadeTarget) {
        let bare = || Arc::new(bare(made));
        self.targets.entry(made.iqn.clone()).or_insert_with(bare);
    }

    /// Takes a target that a client made away, with its port.
    fn remove_target(&mut self, iqn: &Iqn) {
        self.made_targets.remove(iqn);
        let target = self.targets.remove(iqn);
        for port in target.iter().flat_map(|target| &target.ports) {
            self.note_health(Ailing::Port(port.id.clone()), &port.health, false);
            self.ports.remove(&port.id);
        }
        self.index_portals();
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
            if pool.health == Health::Ok {
                pool.health = self.footing(&pool);
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
        for mut volume in volumes {
            if volume.health == Health::Ok {
                volume.health = self.policy.judge_volume(&volume);
            }
            if volume.health == Health::Ok {
                volume.health = self.footing_of(&volume);
            }
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
        if let Some(replica) = &volume.replica {
            self.source_replicas
                .set(replica.source.clone(), id.clone(), related);
        }
        for disk in disks_of(&volume.pieces) {
            self.disk_volumes.set(disk.clone(), id.clone(), related);
        }
    }

    /// Puts `sessions` in the place of all that were known; what is the same stays as it is.
    fn replace_sessions(&mut self, sessions: Vec<Session>) {
        let kept: OrdSet<SessionId> = sessions.iter().map(|session| session.id.clone()).collect();
        let gone: Vec<_> = self.sessions.keys().cloned().collect();
        for id in gone.iter().filter(|id| !kept.contains(*id)) {
            self.remove_session(id);
        }
        for session in sessions {
            let known = self.sessions.get(&session.id);
            if known.is_none_or(|known| **known != session) {
                self.remove_session(&session.id);
                self.relate_session(&session, true);
                self.sessions.insert(session.id.clone(), session.into());
            }
        }
    }

    fn remove_session(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.remove(id) {
            self.relate_session(&session, false);
        }
    }

    fn relate_session(&mut self, session: &Session, related: bool) {
        let id = &session.id;
        self.port_sessions.set(id.port.clone(), id.clone(), related);
        self.initiator_sessions
            .set(id.initiator.clone(), id.clone(), related);
        for connection in &session.connections {
            if let Some(portal) = connection.to {
                let connection = (id.clone(), connection.number);
                self.portal_connections.set(portal, connection, related);
            }
        }
    }

    /// Takes over one change of a record.
    pub(in crate::array) fn take_change(&mut self, change: &Change) {
        match change {
            Change::PutInitiator(initiator) => {
                self.initiators
                    .insert(initiator.name.clone(), Arc::new(initiator.clone()));
            }
            Change::RemoveInitiator(name) => self.remove_initiator(name),
            Change::PutGroup(group) => self.put_group(group.clone()),
            Change::RemoveGroup(id) => self.remove_group(*id),
            Change::PutView(view) => self.put_view(view.clone()),
            Change::RemoveView(id) => self.remove_view(*id),
            Change::Retire(retired) => self.retired.put(retired),
            Change::Release(nexus) => self.retired.remove(nexus),
            Change::PutSetting(setting) => {
                self.remove_setting(setting.id);
                self.pool_settings.link(setting.pool.clone(), setting.id);
                self.settings.insert(setting.id, Arc::new(setting.clone()));
            }
            Change::RemoveSetting(id) => self.remove_setting(*id),
            Change::PutReplicationGroup(group) => {
                self.remove_replication_group(group.id);
                self.relate_replication_group(group, true);
                let group = Arc::new(group.clone());
                self.replication_groups.insert(group.id, group);
            }
            Change::RemoveReplicationGroup(id) => self.remove_replication_group(*id),
            Change::PutTarget(target) => {
                self.show_target(target);
                self.made_targets
                    .insert(target.iqn.clone(), Arc::new(target.clone()));
            }
            Change::RemoveTarget(iqn) => self.remove_target(iqn),
            // Which groups are managed is the engine's to say.
            Change::PutPool(_) | Change::RemovePool(_) => {}
        }
    }

    /// Names are found only among the array's own: what others call theirs takes no name from it.
    pub(super) fn put_group(&mut self, group: Group) {
        self.remove_group(group.id);
        self.relate_members(&group, true);
        if group.owner == Owner::Array {
            self.name_groups
                .link((group.members.kind(), group.name.clone()), group.id);
        }
        self.groups.insert(group.id, Arc::new(group));
    }

    pub(super) fn put_view(&mut self, view: View) {
        self.remove_view(view.id);
        for group in view.groups() {
            self.group_views.link(group, view.id);
        }
        if view.owner == Owner::Array {
            self.name_views.link(view.name.clone(), view.id);
        }
        self.views.insert(view.id, Arc::new(view));
    }

    pub(super) fn remove_group(&mut self, id: GroupId) {
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

    pub(super) fn remove_view(&mut self, id: ViewId) {
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

    fn remove_replication_group(&mut self, id: ReplicationGroupId) {
        if let Some(group) = self.replication_groups.remove(&id) {
            self.relate_replication_group(&group, false);
        }
    }

    fn relate_replication_group(&mut self, group: &ReplicationGroup, related: bool) {
        for member in &group.members {
            self.volume_replication_groups
                .set(member.clone(), group.id, related);
        }
        if let Some(source) = group.source {
            self.source_groups.set(source, group.id, related);
        }
    }

    /// Forgets the warnings that begin so: what they tell of is over.
    pub(in crate::array) fn forget_warnings(&mut self, beginning: &str) {
        let is_over = |warning: &String| warning.starts_with(beginning);
        if self.warnings.iter().any(is_over) {
            let others = self.warnings.iter().filter(|warning| !is_over(warning));
            self.warnings = others.cloned().collect();
        }
    }

    /// Adds a job, or puts it in the place of what was known of it.
    pub(in crate::array) fn put_job(&mut self, job: Arc<Job>) {
        self.remove_job(job.id);
        for element in &job.affected {
            self.element_jobs.link(element.clone(), job.id);
        }
        if !job.is_finished() {
            job.copied()
                .for_each(|volume| self.copied_jobs.link(volume.clone(), job.id));
        }
        self.jobs.insert(job.id, job);
    }

    /// Forgets a job.
    pub(in crate::array) fn remove_job(&mut self, id: JobId) {
        if let Some(job) = self.jobs.remove(&id) {
            for element in &job.affected {
                self.element_jobs.unlink(element, &id);
            }
            job.copied()
                .for_each(|volume| self.copied_jobs.unlink(volume, &id));
        }
    }
}

/// A target without a port.
fn bare(made: &MadeTarget) -> Target {
    Target {
        iqn: made.iqn.clone(),
        ports: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::ids::{InitiatorName, PortId};
    use crate::array::model::{Connection, Nic, Purpose, Terms};
    use std::net::SocketAddr;

    fn session(host: &str, tag: u16, to: &str) -> Session {
        Session {
            id: SessionId {
                port: port(tag),
                initiator: initiator(host),
                isid: [0x80, 0, 0, 0, 0, 1],
            },
            handle: 1,
            alias: None,
            purpose: Purpose::Normal,
            terms: Terms::default(),
            connections: vec![Connection {
                number: 0,
                from: None,
                to: Some(address(to)),
                health: Health::Ok,
            }],
            health: Health::Ok,
        }
    }

    fn port(tag: u16) -> PortId {
        PortId::Iscsi {
            iqn: "iqn.2026-01.a:b".into(),
            tag,
        }
    }

    fn initiator(host: &str) -> InitiatorName {
        InitiatorName::parse(&format!("iqn.2026-01.host:{host}")).expect("a name")
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_listens_where_is_found_from_the_address() {
        let [one, two, wild] = ["192.0.2.1:3260", "192.0.2.2:3261", "0.0.0.0:3260"].map(address);
        let target = |tags: &[(u16, SocketAddr)]| Target {
            iqn: "iqn.2026-01.a:b".into(),
            ports: tags
                .iter()
                .map(|(tag, portal)| Port {
                    id: port(*tag),
                    enabled: true,
                    portals: vec![*portal],
                    health: Health::Ok,
                })
                .collect(),
        };
        let nic = Nic {
            name: "eth0".into(),
            mac: String::new(),
            speed: None,
            up: true,
            addresses: [one, two].map(|at| (at.ip(), 24)).into(),
        };
        let mut inventory = Inventory::default();
        let mut look = |ports: &[(u16, SocketAddr)]| {
            inventory.take_facts(Facts {
                targets: vec![target(ports)],
                nics: vec![nic.clone()],
                ..Facts::default()
            });
            let all = inventory.portals().iter();
            let all: Vec<_> = all
                .map(|(at, listens)| (at.to_string(), *listens))
                .collect();
            let at = [one, two].map(|at| inventory.ports_at(&at).cloned().collect::<Vec<_>>());
            (all, at, inventory.portals_of(one.ip()).count())
        };
        let free = |at: &str| (at.to_owned(), false);
        let used = |at: &str| (at.to_owned(), true);
        let (all, at, of_one) = look(&[(1, wild), (2, two)]);
        let both = [
            used("192.0.2.1:3260"),
            free("192.0.2.1:3261"),
            used("192.0.2.2:3260"),
            used("192.0.2.2:3261"),
        ];
        assert_eq!(all, both);
        assert_eq!((at, of_one), ([vec![port(1)], vec![port(2)]], 2));
        let (all, at, of_one) = look(&[(2, one)]);
        assert_eq!(all, [used("192.0.2.1:3260"), free("192.0.2.2:3260")]);
        assert_eq!((at, of_one), ([vec![port(2)], vec![]], 1));
        // Nothing listens any more: what could is still told.
        let (all, at, _) = look(&[]);
        assert_eq!(all, [free("192.0.2.1:3260"), free("192.0.2.2:3260")]);
        assert_eq!(at, [vec![], vec![]]);
    }

    #[test]
    fn sessions_are_found_from_port_initiator_and_address_until_they_end() {
        let mut inventory = Inventory::default();
        let (one, two) = ("192.0.2.1:3260", "192.0.2.2:3260");
        let first = [
            session("a", 1, one),
            session("a", 2, two),
            session("b", 1, two),
        ];
        let look = |inventory: &mut Inventory, sessions: &[Session]| {
            inventory.take_facts(Facts {
                sessions: sessions.to_vec(),
                ..Facts::default()
            });
            let on = [1, 2].map(|tag| inventory.sessions_on(&port(tag)).count());
            let of = ["a", "b"].map(|host| inventory.sessions_of(&initiator(host)).count());
            let to = [one, two].map(|to| inventory.connections_to(&address(to)).count());
            (on, of, to)
        };
        assert_eq!(look(&mut inventory, &first), ([2, 1], [2, 1], [1, 2]));
        // One has logged out, another came to another address.
        let second = [session("a", 1, two), session("b", 1, two)];
        assert_eq!(look(&mut inventory, &second), ([2, 0], [1, 1], [0, 2]));
        assert_eq!(look(&mut inventory, &[]), ([0, 0], [0, 0], [0, 0]));
    }
}
