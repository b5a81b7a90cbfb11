//! Locks on elements: two commands that touch the same thing follow one another, others do not
//! wait for them.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::command::{Command, Growth};
use super::ids::{DiskId, PoolId, ReplicationGroupId, SettingId, VolumeId};
use super::inventory::Inventory;
use super::model::Members;
use super::plan::{Plan, member_names};
use super::step::{Step, Subject};

/// What a command holds while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The groups and views, as a whole: their rules span them all.
    Masking,
    /// One volume: who sees it, what it is called.
    Volume(VolumeId),
    /// The disks that it lies on, and how. Who sees it may change meanwhile.
    Body(VolumeId),
    /// The disks that a pool lies on. What is in it may change meanwhile.
    PoolBody(PoolId),
    /// A volume name that is being given.
    VolumeName(String),
    /// One pool; of a thin pool also what it has promised.
    Pool(PoolId),
    /// A pool name that is being given.
    PoolName(String),
    /// A group of volumes that are replicated together.
    ReplicationGroup(ReplicationGroupId),
    /// The name of such a group that is being given.
    ReplicationGroupName(String),
    /// One quality of service.
    Setting(SettingId),
    /// A disk that joins a pool, or is left by something.
    Disk(DiskId),
}

/// What a command must hold.
pub(super) fn keys(command: &Command, inventory: &Inventory) -> HashSet<Key> {
    let mut keys = HashSet::new();
    match command {
        Command::CreatePool { name, disks } => {
            keys.extend(name.clone().map(Key::PoolName));
            keys.extend(disks.iter().cloned().map(Key::Disk));
        }
        Command::CreateThinPool { name, .. } => keys.extend(name.clone().map(Key::PoolName)),
        Command::GrowPool { pool, by, name } => {
            keys.insert(Key::Pool(pool.clone()));
            keys.insert(Key::PoolBody(pool.clone()));
            keys.extend(name.clone().map(Key::PoolName));
            keys.extend(pool_name(pool, inventory).filter(|_| name.is_some()));
            if let Growth::Disks(disks) = by {
                keys.extend(disks.iter().cloned().map(Key::Disk));
            }
        }
        Command::RenamePool { pool, name } => {
            keys.insert(Key::Pool(pool.clone()));
            keys.insert(Key::PoolName(name.clone()));
            keys.extend(pool_name(pool, inventory));
        }
        Command::DeletePool { pool } => {
            keys.insert(Key::Pool(pool.clone()));
            keys.insert(Key::PoolBody(pool.clone()));
        }
        Command::CreateVolumes { pool, names, .. } => {
            keys.extend(names.iter().cloned().map(Key::VolumeName));
            // Creates in a group need not wait for one another: each is planned with the room that
            // the others leave. What a thin pool has promised only its volumes tell.
            if inventory.pool(pool).is_some_and(|p| p.thin().is_some()) {
                keys.insert(Key::Pool(pool.clone()));
            }
        }
        Command::ResizeVolume { volume, name, .. } => {
            keys.insert(Key::Volume(volume.clone()));
            keys.insert(Key::Body(volume.clone()));
            keys.extend(name.clone().map(Key::VolumeName));
            keys.extend(volume_name(volume, inventory).filter(|_| name.is_some()));
            if let Some(known) = inventory.volume(volume)
                && inventory
                    .pool(&known.pool)
                    .is_some_and(|p| p.thin().is_some())
            {
                keys.insert(Key::Pool(known.pool.clone()));
            }
        }
        Command::RenameVolume { volume, name } => {
            keys.insert(Key::Volume(volume.clone()));
            keys.insert(Key::VolumeName(name.clone()));
            keys.extend(volume_name(volume, inventory));
        }
        Command::DeleteVolumes { volumes } | Command::RelocateVolumes { volumes, .. } => {
            keys.extend(volumes.iter().cloned().map(Key::Volume));
            keys.extend(volumes.iter().cloned().map(Key::Body));
        }
        // These may take hours, and hosts may come and go meanwhile.
        Command::RepairVolume { volume } | Command::ChangeQuality { volume, .. } => {
            keys.insert(Key::Body(volume.clone()));
        }
        Command::MoveVolume { volume, onto } => {
            keys.insert(Key::Body(volume.clone()));
            let volume = inventory.volume(volume).into_iter();
            let on = volume
                .flat_map(|volume| &volume.pieces)
                .map(|piece| &piece.disk);
            keys.extend(left(on, onto));
        }
        Command::MovePool { pool, onto } => keys.extend(moved(pool, onto, inventory)),
        // What a copy is made from is free for everybody while it lasts: it is read through a snapshot,
        // or bears the mark of the job. The engine looks again whether a source is as it was planned.
        Command::CreateReplicas { names, .. } => {
            keys.extend(names.iter().cloned().map(Key::VolumeName));
        }
        Command::CreateReplicationGroup { name, members, .. } => {
            keys.extend(name.clone().map(Key::ReplicationGroupName));
            keys.extend(members.iter().cloned().map(Key::Volume));
        }
        Command::AddReplicationMembers { group, members } => {
            keys.insert(Key::ReplicationGroup(*group));
            keys.extend(members.iter().cloned().map(Key::Volume));
        }
        Command::DeleteReplicationGroup { group }
        | Command::RemoveReplicationMembers { group, .. } => {
            keys.insert(Key::ReplicationGroup(*group));
        }
        Command::CreateGroupReplica {
            group,
            name: Some(name),
            ..
        } => {
            keys.insert(Key::ReplicationGroupName(name.clone()));
            let members = inventory.replication_group(group);
            let count = members.map_or(0, |group| group.members.len());
            keys.extend(member_names(name, count).map(Key::VolumeName));
        }
        // Its name is its own.
        Command::CreateGroupReplica { name: None, .. } => {}
        Command::Detach { replicas } => keys.extend(replicas.iter().cloned().map(Key::Volume)),
        Command::Restore { replica } => {
            keys.insert(Key::Volume(replica.clone()));
            let source = inventory
                .volume(replica)
                .and_then(|v| inventory.source_of(v));
            let source = source.map(|(source, _)| source.id.clone());
            keys.extend(source.clone().map(Key::Volume));
            keys.extend(source.map(Key::Body));
        }
        Command::Resync { replica } => {
            keys.insert(Key::Volume(replica.clone()));
            keys.insert(Key::Body(replica.clone()));
        }
        Command::PutSetting { setting } => {
            keys.insert(Key::Setting(setting.id));
            keys.extend(setting.pool.clone().map(Key::Pool));
        }
        Command::DeleteSetting { setting } => {
            keys.insert(Key::Setting(*setting));
        }
        // A volume that joins a group or view must not be deleted meanwhile. One that is in a group
        // already cannot be, so nothing else needs its lock.
        Command::CreateGroup {
            members: Members::Volumes(volumes),
            ..
        }
        | Command::AddMembers {
            members: Members::Volumes(volumes),
            ..
        }
        | Command::ExpandView {
            members: Members::Volumes(volumes),
            ..
        }
        | Command::MakeView { volumes, .. } => {
            keys.insert(Key::Masking);
            keys.extend(volumes.iter().cloned().map(Key::Volume));
        }
        Command::TakeOver { view } => {
            keys.insert(Key::Masking);
            let volumes = inventory.view(view).into_iter();
            let volumes = volumes.flat_map(|view| view.luns.keys().cloned());
            keys.extend(volumes.map(Key::Volume));
        }
        _ => {
            keys.insert(Key::Masking);
        }
    }
    keys
}

/// The name that a volume gives up: it may have to take it back.
fn volume_name(volume: &VolumeId, inventory: &Inventory) -> Option<Key> {
    let volume = inventory.volume(volume)?;
    Some(Key::VolumeName(volume.name.clone()))
}

/// The same of a pool.
fn pool_name(pool: &PoolId, inventory: &Inventory) -> Option<Key> {
    let pool = inventory.pool(pool)?;
    Some(Key::PoolName(pool.name.clone()))
}

/// The disks that are left by what is to lie on others.
fn left<'a>(on: impl Iterator<Item = &'a DiskId>, onto: &[DiskId]) -> impl Iterator<Item = Key> {
    on.filter(|disk| !onto.contains(disk))
        .cloned()
        .map(Key::Disk)
}

/// What the move of a pool must hold: of a group everything that lies on the disks that it leaves,
/// and the disks that join it.
fn moved(pool: &PoolId, onto: &[DiskId], inventory: &Inventory) -> HashSet<Key> {
    let mut keys = HashSet::from([Key::PoolBody(pool.clone())]);
    let Some(known) = inventory.pool(pool) else {
        return keys;
    };
    keys.extend(left(known.disks.iter(), onto));
    if known.thin().is_some() {
        return keys;
    }
    let new = onto.iter().filter(|disk| !known.disks.contains(disk));
    keys.extend(new.cloned().map(Key::Disk));
    for disk in known.disks.iter().filter(|disk| !onto.contains(disk)) {
        let volumes = inventory.volumes_on(disk);
        keys.extend(volumes.map(|volume| Key::Body(volume.id.clone())));
    }
    let thin = inventory.thin_pools_in(pool);
    keys.extend(thin.map(|pool| Key::PoolBody(pool.id.clone())));
    keys
}

/// What a plan must hold that is taken up again.
pub(super) fn keys_of(plan: &Plan) -> HashSet<Key> {
    let steps = plan.steps.iter();
    let keys = steps.flat_map(|planned| match &planned.step {
        Step::AddCopies { volume, .. } | Step::DropCopies { volume, .. } => {
            vec![Key::Body(volume.clone())]
        }
        Step::Copy {
            to: Subject::Known(id),
            ..
        } => vec![Key::Volume(id.clone()), Key::Body(id.clone())],
        Step::Remove {
            volume: Subject::Known(id),
            ..
        } => vec![Key::Volume(id.clone()), Key::Body(id.clone())],
        Step::Move { what, from, .. } => {
            let body = match what {
                Subject::Known(id) => Some(Key::Body(id.clone())),
                Subject::Pool(id) => Some(Key::PoolBody(id.clone())),
                Subject::Made(..) => None,
            };
            body.into_iter().chain([Key::Disk(from.clone())]).collect()
        }
        Step::Rename { volume, .. } => vec![Key::Volume(volume.clone())],
        Step::Relate {
            volume: Subject::Known(id),
            ..
        } => vec![Key::Volume(id.clone())],
        Step::RenamePool { pool, .. } => vec![Key::Pool(pool.clone())],
        Step::Listen(_) => vec![Key::Masking],
        Step::ExtendGroup { group, disks } | Step::ReduceGroup { group, disks } => {
            let disks = disks.iter().cloned().map(Key::Disk);
            disks.chain([Key::PoolBody(group.clone())]).collect()
        }
        _ => Vec::new(),
    });
    keys.collect()
}

/// The keys that are held now, and who waits for some.
#[derive(Debug, Default)]
pub(super) struct Locks {
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    held: HashSet<Key>,
    /// Those who wait, by their numbers: who came first has the lowest.
    waiting: BTreeMap<u64, HashSet<Key>>,
    next: u64,
}

impl Queue {
    /// Whether it is the turn of the one with that number: nothing of its keys is held, and nobody
    /// who came earlier waits for the same. One who waits for something else, too, holds nobody up:
    /// that may take long.
    fn is_turn(&self, number: u64, keys: &HashSet<Key>) -> bool {
        let mut earlier = self.waiting.range(..number);
        self.held.is_disjoint(keys)
            && !earlier.any(|(_, theirs)| {
                let mut lacking = theirs.intersection(&self.held);
                !theirs.is_disjoint(keys) && lacking.all(|key| keys.contains(key))
            })
    }
}

/// Keys that are given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    locks: &'a Locks,
    keys: HashSet<Key>,
}

impl Locks {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all the keys at once, so that nobody waits while holding, in the order in which they
    /// were asked for; `None` if they were not all free within `patience`.
    pub(super) fn take(&self, keys: HashSet<Key>, patience: Duration) -> Option<Held<'_>> {
        let end = Instant::now() + patience;
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.insert(number, keys.clone());
        while !queue.is_turn(number, &keys) {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                queue.waiting.remove(&number);
                self.moved.notify_all();
                return None;
            };
            queue = self
                .moved
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        queue.waiting.remove(&number);
        queue.held.extend(keys.iter().cloned());
        drop(queue);
        // Those who stood behind for something else may go on.
        self.moved.notify_all();
        Some(Held { locks: self, keys })
    }
}

impl Held<'_> {
    /// What is held.
    pub(super) fn keys(&self) -> &HashSet<Key> {
        &self.keys
    }

    /// Whether all of these keys are among them.
    pub(super) fn cover(&self, keys: &HashSet<Key>) -> bool {
        keys.is_subset(&self.keys)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.locks
            .queue()
            .held
            .retain(|key| !self.keys.contains(key));
        self.locks.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_waits_and_others_do_not() {
        let locks = Locks::default();
        let key = |name: &str| HashSet::from([Key::VolumeName(name.into())]);
        let first = locks.take(key("a"), Duration::ZERO);
        assert!(first.is_some());
        assert!(locks.take(key("a"), Duration::from_millis(1)).is_none());
        assert!(locks.take(key("b"), Duration::ZERO).is_some());
        drop(first);
        assert!(locks.take(key("a"), Duration::ZERO).is_some());
    }

    #[test]
    fn one_who_waits_goes_on_when_the_key_is_free() {
        let locks = Locks::default();
        let both = HashSet::from([Key::Masking, Key::VolumeName("a".into())]);
        let first = locks.take(HashSet::from([Key::Masking]), Duration::ZERO);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| locks.take(both, Duration::from_secs(30)).is_some());
            drop(first);
            assert!(waiter.join().expect("the waiter does not panic"));
        });
    }

    /// Waits until so many wait.
    fn until_waiting(locks: &Locks, count: usize) {
        while locks.queue().waiting.len() < count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn those_who_wait_for_the_same_take_turns() {
        let (locks, order) = (Locks::default(), Mutex::new(Vec::new()));
        let masking = || HashSet::from([Key::Masking]);
        let first = locks.take(masking(), Duration::ZERO);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (locks, order) = (&locks, &order);
                scope.spawn(move || {
                    let held = locks.take(masking(), Duration::from_secs(60));
                    order.lock().expect("whole").push(number);
                    drop(held);
                });
                until_waiting(locks, number + 1);
            }
            drop(first);
        });
        assert_eq!(order.into_inner().expect("whole"), Vec::from_iter(0..8));
    }

    #[test]
    fn one_who_waits_for_something_long_holds_nobody_up() {
        let locks = Locks::default();
        let volume = Key::VolumeName("long".into());
        let long = locks.take(HashSet::from([volume.clone()]), Duration::ZERO);
        std::thread::scope(|scope| {
            let both = HashSet::from([Key::Masking, volume]);
            let waiter = scope.spawn(|| locks.take(both, Duration::from_secs(60)).is_some());
            until_waiting(&locks, 1);
            let masking = HashSet::from([Key::Masking]);
            assert!(locks.take(masking, Duration::ZERO).is_some());
            drop(long);
            assert!(waiter.join().expect("the waiter does not panic"));
        });
    }
}
