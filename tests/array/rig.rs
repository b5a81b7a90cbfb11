//! A modelled machine with an array on it, a store that lies in memory, and what hosts and an
//! administrator see of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redb::StorageBackend;
use standpipe::array::{
    Array, Command, DiskId, DiskUsage, Effect, Engine, Error, GroupId, GroupKind, Health,
    InitiatorName, Inventory, Iqn, JobId, Layout, Map, Members, Naa, Owner, Policy, PoolId,
    PoolKind, PortId, Quality, ReplicaKind, SystemName, Torn, Trouble, ViewId, VolumeId, Waited,
};
use standpipe::engine::sim::{Builder, Clock, Content, EXTENT, SimEngine};
use standpipe::identity::{Identity, Role};
use standpipe::store::{Store, Table};

use super::mortal::{Moments, Mortal};

/// The storage under a store: memory that outlives it and can fail.
#[derive(Clone, Debug, Default)]
pub struct Medium {
    bytes: Arc<Mutex<Vec<u8>>>,
    broken: Arc<AtomicBool>,
    /// Before and after each time that what was written is made to last.
    moments: Arc<Moments>,
    /// What is told that the last of them came.
    died: Arc<Mutex<Option<Arc<AtomicBool>>>>,
}

impl Medium {
    /// What a machine finds after the power failed at this moment.
    pub fn image(&self) -> Self {
        let bytes = self.locked().clone();
        Self {
            bytes: Arc::new(Mutex::new(bytes)),
            ..Self::default()
        }
    }

    /// From now on writes fail.
    pub fn fail(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// The process that writes to it dies at the coming moment of that number, and hears of it.
    pub fn end_at(&self, moment: usize, died: Arc<AtomicBool>) {
        *self.died.lock().expect("nobody panics with it") = Some(died);
        self.moments.end_at(moment);
    }

    /// A moment; nothing is written any more after the last one.
    fn moment(&self) -> io::Result<()> {
        let mut died = self.died.lock().expect("nobody panics with it");
        if self.moments.is_last()
            && let Some(died) = died.take()
        {
            died.store(true, Ordering::SeqCst);
            self.fail();
        }
        self.whole()
    }

    /// The store on it.
    pub fn store(&self) -> Store {
        Store::over(self.clone()).expect("the store opens")
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn whole(&self) -> io::Result<()> {
        match self.broken.load(Ordering::SeqCst) {
            true => Err(io::Error::other("no space left on device")),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        Ok(self.locked().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        let bytes = self.locked();
        let found = bytes.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.whole()?;
        self.locked().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.moment()?;
        self.moment()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.whole()?;
        let start = offset as usize;
        let mut all = self.locked();
        let place = all.get_mut(start..start + bytes.len());
        place
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(bytes);
        Ok(())
    }
}

/// What a host finds that sees nothing.
pub const NOTHING: [u16; 0] = [];

/// An array on a modelled machine.
pub struct Rig {
    pub sim: SimEngine,
    pub mortal: Arc<Mortal>,
    pub medium: Medium,
    pub array: Array,
    policy: Policy,
}

/// What a person would write down: no identities that are made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Name → bytes, and the disks.
    pools: BTreeMap<String, (u64, BTreeSet<DiskId>)>,
    /// Name → bytes, pool, layout, the disks of its legs, and which of these do not work.
    volumes: BTreeMap<String, (u64, String, Layout, BTreeSet<DiskId>, Trouble)>,
    /// Name → what hosts would read, and what it is a replica of and how.
    contents: BTreeMap<String, Held>,
    initiators: BTreeSet<String>,
    groups: BTreeMap<(GroupKind, String), (BTreeSet<String>, bool, bool)>,
    views: BTreeMap<String, (BTreeSet<String>, BTreeMap<String, u16>)>,
    /// Name → members in their order, and what it was made from.
    replication_groups: BTreeMap<String, (Vec<String>, Option<String>)>,
    /// Initiator, number, and the volume that it was.
    retired: BTreeSet<(String, u16, String)>,
    /// Name → addresses of its ports.
    targets: BTreeMap<String, Vec<SocketAddr>>,
    /// Those that pools can be made from.
    free_disks: BTreeSet<DiskId>,
    /// Name → copies of the data that it asks for.
    settings: BTreeMap<String, u16>,
}

/// What a volume holds, extent by extent where it can be read, and its relation.
type Held = (Option<Vec<Content>>, Option<(String, ReplicaKind)>);

/// A machine with one pool of two disks of 64 extents each.
pub fn machine() -> Builder {
    SimEngine::builder()
        .pool("vg0", 2, 65 * EXTENT)
        .clock(Clock::instant())
}

/// What the administrator of most machines has decided: what a failure leaves behind stays for the next
/// start, so that tests can look at it.
pub fn policy() -> Policy {
    Policy {
        retry_after: Duration::from_secs(3600),
        ..Policy::default()
    }
}

/// Who asks.
pub fn who() -> Identity {
    Identity {
        user: "admin".into(),
        role: Role::Administrator,
        peer: ([127, 0, 0, 1], 1).into(),
    }
}

pub fn host(name: &str) -> InitiatorName {
    InitiatorName::parse(&format!("iqn.2026-01.example:{name}")).expect("a name")
}

/// Opens an array.
pub fn open(engine: Arc<dyn Engine>, medium: &Medium) -> Result<Array, Error> {
    open_with(engine, medium, policy())
}

fn open_with(engine: Arc<dyn Engine>, medium: &Medium, policy: Policy) -> Result<Array, Error> {
    let system = SystemName {
        name: "system".into(),
        label: "label".into(),
    };
    Array::open(engine, medium.store(), system, policy)
}

impl Picture {
    /// The same without what these volumes hold.
    pub fn but_for(mut self, names: &BTreeSet<String>) -> Self {
        self.contents.retain(|name, _| !names.contains(name));
        self
    }
}

impl Rig {
    pub fn new() -> Self {
        Self::on(machine())
    }

    pub fn on(builder: Builder) -> Self {
        let sim = builder.build().expect("a machine");
        Self::start(sim, Medium::default()).expect("it starts")
    }

    /// Starts an array on that machine and store.
    pub fn start(sim: SimEngine, medium: Medium) -> Result<Self, Error> {
        Self::start_with(sim, medium, policy())
    }

    /// The same for an administrator who has decided.
    pub fn start_with(sim: SimEngine, medium: Medium, policy: Policy) -> Result<Self, Error> {
        let mortal = Arc::new(Mortal::new(sim.clone()));
        let array = open_with(mortal.clone(), &medium, policy.clone())?;
        Ok(Self {
            sim,
            mortal,
            medium,
            array,
            policy,
        })
    }

    /// The gateway dies and starts again; with `reboot` the machine, too.
    pub fn restart(self, reboot: bool) -> Self {
        self.try_restart(reboot).expect("it starts again")
    }

    pub fn try_restart(self, reboot: bool) -> Result<Self, Error> {
        self.mortal.die();
        if reboot {
            self.sim.reboot();
        }
        Self::start_with(self.sim.clone(), self.medium.image(), self.policy)
    }

    /// The gateway dies, starts again, and dies at a moment of that start; whether the start was long
    /// enough for that.
    pub fn die_again(self, moment: usize) -> (Self, bool) {
        self.mortal.die();
        let medium = self.medium.image();
        let mortal = Arc::new(Mortal::new(self.sim.clone()));
        mortal.die_at(moment);
        let start = || open_with(mortal.clone(), &medium, self.policy.clone());
        // The thread of a process that died ends there and then.
        let opened = catch_unwind(AssertUnwindSafe(start));
        let has_died = opened.is_err();
        let array = opened.map_or(self.array, |array| array.expect("it starts again"));
        let rig = Self {
            sim: self.sim,
            mortal,
            medium,
            array,
            policy: self.policy,
        };
        (rig, has_died)
    }

    pub fn now(&self) -> Arc<Inventory> {
        self.array.snapshot()
    }

    /// The pool that the machine was configured with.
    pub fn pool(&self) -> PoolId {
        self.pool_named("vg0")
    }

    /// The pool of that name.
    pub fn pool_named(&self, name: &str) -> PoolId {
        let now = self.now();
        let pool = now.pools_named(name).next().expect("a pool");
        pool.id.clone()
    }

    /// The disks that pools can be made from.
    pub fn free_disks(&self) -> Vec<DiskId> {
        let now = self.now();
        let free = now.disks().filter(|disk| disk.usage == DiskUsage::Free);
        free.map(|disk| disk.id.clone()).collect()
    }

    /// Makes a target that listens at these addresses, if at any.
    pub fn target(&self, alias: &str, portals: &[SocketAddr]) -> Iqn {
        let wish = Command::CreateTarget {
            alias: Some(alias.into()),
        };
        let Effect::Target(target) = self.done(wish) else {
            panic!("no target was made");
        };
        if !portals.is_empty() {
            self.done(Command::OpenPort {
                target: target.clone(),
                portals: portals.iter().copied().collect(),
            });
        }
        target
    }

    pub fn port(&self) -> PortId {
        self.now().ports().next().expect("a port").id.clone()
    }

    /// Asks and waits for the end.
    pub fn ask(&self, command: Command) -> Waited {
        let ticket = self.array.submit(&who(), command).expect("there is a slot");
        ticket.join()
    }

    /// Asks for what must be done.
    pub fn done(&self, command: Command) -> Effect {
        match self.ask(command.clone()) {
            Waited::Done(effect, _) => effect,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// Asks for what must be refused or fail.
    pub fn fails(&self, command: Command) -> (Error, Option<JobId>) {
        match self.ask(command.clone()) {
            Waited::Failed(error, job) => (error, job),
            other => panic!("{command:?}: {other:?}"),
        }
    }

    pub fn create(&self, name: &str, extents: u64) -> VolumeId {
        match self.done(creation(self.pool(), name, extents)) {
            Effect::Volumes(ids) => ids[0].clone(),
            other => panic!("{other:?}"),
        }
    }

    pub fn group(&self, name: &str, members: Members) -> GroupId {
        let wish = Command::CreateGroup {
            name: Some(name.into()),
            members,
            delete_on_empty: false,
            delete_when_unassociated: false,
        };
        match self.done(wish) {
            Effect::Group(id, _) => id,
            other => panic!("{other:?}"),
        }
    }

    pub fn hosts(&self, name: &str, hosts: &[&str]) -> GroupId {
        for name in hosts {
            self.done(Command::CreateInitiator { name: host(name) });
        }
        let members = hosts.iter().map(|name| host(name)).collect();
        self.group(name, Members::Initiators(members))
    }

    pub fn ports(&self, name: &str) -> GroupId {
        self.group(name, Members::Ports([self.port()].into()))
    }

    pub fn view(&self, name: &str, groups: &[GroupId]) -> ViewId {
        let wish = Command::CreateView {
            name: Some(name.into()),
            groups: groups.to_vec(),
            luns: Vec::new(),
        };
        match self.done(wish) {
            Effect::View(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// A volume `shown` of two extents, shown to host `a` as number 1.
    pub fn show_one(&self) -> (VolumeId, [GroupId; 3], ViewId) {
        let volume = self.create("shown", 2);
        let groups = [
            self.hosts("hosts", &["a"]),
            self.ports("ports"),
            self.group("devices", Members::Volumes(vec![volume.clone()])),
        ];
        let view = self.view("view", &groups);
        (volume, groups, view)
    }

    /// The volume of that name.
    pub fn named(&self, name: &str) -> Option<VolumeId> {
        let now = self.now();
        now.volumes_named(name).next().map(|v| v.id.clone())
    }

    /// Somebody shows a volume of his own through a target of his own to host `theirs`.
    pub fn theirs(&self, iqn: &str) -> Map {
        let map = theirs(&self.sim, iqn);
        assert!(self.wait_until(|now| now.views().any(|view| view.luns.contains_key(&map.volume))));
        map
    }

    /// The view of another manager on a port; a port of a target of his is no element.
    pub fn view_of_another(&self, port: &PortId) -> ViewId {
        let now = self.now();
        let mut views = now.views().filter(|view| view.owner == Owner::Foreign);
        let view = views.find(|view| view.name.contains(&format!(" at {port} ")));
        view.expect("a view of his").id
    }

    /// The numbers that a host finds.
    pub fn luns(&self, name: &str) -> Vec<u16> {
        let found = self.sim.report_luns(&host(name), &self.port());
        found.into_iter().flatten().map(|(lun, _)| lun).collect()
    }

    /// How many journal entries there are.
    pub fn journal(&self) -> usize {
        let store = self.medium.image().store();
        let entries = store.load::<serde_json::Value>(Table::Journal);
        entries.expect("the journal can be read").len()
    }

    /// What is in force.
    pub fn picture(&self) -> Picture {
        let now = self.now();
        let called = |id: &VolumeId| {
            now.volume(id)
                .map_or_else(|| id.to_string(), |v| v.name.clone())
        };
        let group = |id: &GroupId| plain(&now.group(id).expect("views name groups").name);
        Picture {
            pools: now
                .pools()
                .map(|p| (p.name.clone(), (p.size, p.disks.iter().cloned().collect())))
                .collect(),
            volumes: now
                .volumes()
                .map(|v| {
                    // Where there are no legs, any disk will do.
                    let legs = v.pieces.iter().filter(|_| v.layout != Layout::Linear);
                    let legs = legs.map(|piece| piece.disk.clone()).collect();
                    let pool = now.pool(&v.pool).expect("volumes name pools").name.clone();
                    let trouble = v.trouble.clone();
                    (v.name.clone(), (v.size, pool, v.layout, legs, trouble))
                })
                .collect(),
            contents: now
                .volumes()
                .filter(|v| v.owner == Owner::Array)
                .map(|v| {
                    let of = v.replica.as_ref();
                    let of = of.map(|replica| (called(&replica.source), replica.kind.clone()));
                    (v.name.clone(), (self.sim.extents(&v.id), of))
                })
                .collect(),
            initiators: now.initiators().map(|i| i.name.to_string()).collect(),
            targets: now
                .targets()
                .map(|target| {
                    let made = now.made_target(&target.iqn);
                    let name = made.map_or_else(|| target.iqn.to_string(), |t| t.alias.clone());
                    let portals = target.ports.iter().flat_map(|port| &port.portals);
                    (name, portals.copied().collect())
                })
                .collect(),
            groups: now
                .groups()
                .map(|g| {
                    let members = match &g.members {
                        Members::Initiators(set) => set.iter().map(ToString::to_string).collect(),
                        Members::Ports(set) => set.iter().map(ToString::to_string).collect(),
                        Members::Volumes(list) => list.iter().map(&called).collect(),
                    };
                    let rules = (members, g.delete_on_empty, g.delete_when_unassociated);
                    ((g.members.kind(), plain(&g.name)), rules)
                })
                .collect(),
            views: now
                .views()
                .map(|v| {
                    let groups = v.groups().map(|id| group(&id)).collect();
                    let luns = v.luns.iter().map(|(id, lun)| (called(id), *lun)).collect();
                    (plain(&v.name), (groups, luns))
                })
                .collect(),
            replication_groups: now
                .replication_groups()
                .map(|group| {
                    let members = group.members.iter().map(&called).collect();
                    let source = now.group_source_of(group);
                    let source = source.map(|source| source.name.clone());
                    (group.name.clone(), (members, source))
                })
                .collect(),
            free_disks: self.free_disks().into_iter().collect(),
            settings: now
                .settings()
                .map(|setting| (setting.name.clone(), setting.copies.goal))
                .collect(),
            retired: now
                .all_retired()
                .map(|r| (r.map.initiator.folded(), r.map.lun, called(&r.map.volume)))
                .collect(),
        }
    }

    /// The names of the volumes that were being erased, which say so and are no use to anybody.
    pub fn erased(&self) -> BTreeSet<String> {
        let now = self.now();
        let erased = now.volumes().filter(|v| v.torn == Some(Torn::Erased));
        erased
            .map(|volume| {
                let Health::Failed(why) = &volume.health else {
                    panic!("{} seems to be well", volume.name);
                };
                assert!(why.contains("delete it again"), "{why}");
                volume.name.clone()
            })
            .collect()
    }

    /// Nothing is half-made: what every state between two commands has in common.
    pub fn assert_whole(&self, when: &str) {
        let facts = self.sim.scan().expect("a scan");
        let now = self.now();
        for volume in facts.volumes.iter().filter(|v| v.owner == Owner::Array) {
            assert_eq!(volume.job, None, "{when}: {} is unfinished", volume.name);
        }
        let seen: Vec<_> = now.volumes().map(|v| (**v).clone()).collect();
        assert_eq!(seen, facts.volumes, "{when}: the picture is the truth");
        for pool in &facts.pools {
            assert_eq!(pool.job, None, "{when}: {} is unfinished", pool.name);
            let volumes = facts.volumes.iter().filter(|v| v.pool == pool.id);
            let volumes: u64 = match pool.thin() {
                Some(_) => self.sim.thin_pool_used(&pool.id),
                None => volumes.map(|v| v.consumed.expect("it is told")).sum(),
            };
            let thin = facts.pools.iter().filter_map(|p| p.thin());
            let thin = thin.filter(|thin| thin.group == pool.id);
            let thin: u64 = thin.map(|thin| thin.consumed).sum();
            let spare = match pool.kind {
                PoolKind::Group { spare } => spare,
                PoolKind::Thin(_) => 0,
            };
            let used = volumes + thin + spare;
            assert_eq!(pool.free, pool.size - used, "{when}: no extent is lost");
        }
        let shown: BTreeSet<Map> = facts.maps.iter().cloned().collect();
        let wanted: BTreeSet<Map> = now.all_maps().into_iter().collect();
        assert_eq!(shown, wanted, "{when}: hosts see what views say");
        for map in &shown {
            let retired = now.retired(&map.nexus());
            assert_eq!(retired, None, "{when}: a number is in use");
            // What was taken over holds what its hosts wrote.
            let volume = now.volume(&map.volume).expect("it is there");
            let derived = Naa::from_serial(Naa::LIO_COMPANY, &volume.id.unit_serial());
            if volume.naa != derived {
                continue;
            }
            let read = self.sim.read_as(&map.initiator, &map.port, map.lun);
            let read = read.expect("a shown volume can be read");
            assert_ne!(read, Content::Old, "{when}: a host reads old data");
        }
        assert_eq!(facts.stray_targets, [], "{when}: no target is left over");
        for target in now.targets().filter(|t| now.made_target(&t.iqn).is_some()) {
            let wanted = &now.made_target(&target.iqn).expect("filtered").portals;
            let listens: BTreeSet<_> = target.ports.iter().flat_map(|p| &p.portals).collect();
            assert!(listens.into_iter().eq(wanted), "{when}: {}", target.iqn);
            let seen = facts.targets.iter().find(|seen| seen.iqn == target.iqn);
            let ports = seen.map(|seen| seen.ports.clone()).unwrap_or_default();
            assert_eq!(ports, target.ports, "{when}: {}", target.iqn);
        }
        assert_eq!(self.journal(), 0, "{when}: the journal is empty");
        assert!(now.jobs().all(|job| job.is_finished()), "{when}");
    }

    /// Waits until no job runs.
    pub fn rest(&self) {
        assert!(self.wait_until(|now| now.jobs().all(|job| job.is_finished())));
    }

    /// Waits until a published picture is like that.
    pub fn wait_until(&self, like: impl Fn(&Inventory) -> bool) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let mut versions = self.array.versions();
        let waited = runtime.block_on(async {
            let liked = versions.wait_for(|_| like(&self.now()));
            tokio::time::timeout(Duration::from_secs(30), liked)
                .await
                .map(|w| w.is_ok())
        });
        waited == Ok(true)
    }
}

/// A name without the twelve digits that tell names made by the array apart.
fn plain(name: &str) -> String {
    let is_one = |part: &str| part.len() == 12 && part.chars().all(|c| c.is_ascii_hexdigit());
    let parts = name
        .split('-')
        .map(|part| if is_one(part) { "" } else { part });
    parts.collect::<Vec<_>>().join("-")
}

pub fn creation(pool: PoolId, name: &str, extents: u64) -> Command {
    Command::CreateVolumes {
        pool,
        names: vec![name.into()],
        count: 1,
        size: extents * EXTENT,
        quality: Quality::default(),
    }
}

/// Somebody shows a volume of his own through a target of his own to host `theirs`.
pub fn theirs(sim: &SimEngine, iqn: &str) -> Map {
    let iqn = Iqn::from(iqn);
    let portal = "192.0.2.10:3261".parse().expect("an address");
    sim.foreign_target(&iqn, portal);
    let pool = sim.scan().expect("a scan").pools[0].id.clone();
    let volume = sim.lvcreate(&pool, "theirs", EXTENT);
    let map = Map {
        port: PortId::Iscsi { iqn, tag: 1 },
        initiator: host("theirs"),
        lun: 7,
        volume: volume.expect("there is room"),
    };
    sim.foreign_map(&map).expect("the number is free");
    map
}
