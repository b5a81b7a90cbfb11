//! Locks on elements: two commands that touch the same thing follow one another, others do not
//! wait for them.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::command::{Command, Growth};
use super::ids::{DiskId, PoolId, ReplicationGroupId, SettingId, VolumeId};
use super::inventory::Inventory;
use super::model::Members;

/// What a command holds while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The groups and views, as a whole: their rules span them all.
    Masking,
    /// One volume.
    Volume(VolumeId),
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
    /// A disk that joins a pool.
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
            keys.extend(name.clone().map(Key::PoolName));
            if let Growth::Disks(disks) = by {
                keys.extend(disks.iter().cloned().map(Key::Disk));
            }
        }
        Command::RenamePool { pool, name } => {
            keys.insert(Key::Pool(pool.clone()));
            keys.insert(Key::PoolName(name.clone()));
        }
        Command::DeletePool { pool } => {
            keys.insert(Key::Pool(pool.clone()));
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
            keys.extend(name.clone().map(Key::VolumeName));
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
        }
        Command::DeleteVolumes { volumes } => keys.extend(volumes.iter().cloned().map(Key::Volume)),
        Command::RepairVolume { volume } => {
            keys.insert(Key::Volume(volume.clone()));
        }
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
        Command::CreateGroupReplica { name, .. } => {
            keys.extend(name.clone().map(Key::ReplicationGroupName));
        }
        Command::Detach { replicas } => keys.extend(replicas.iter().cloned().map(Key::Volume)),
        Command::Restore { replica } => {
            keys.insert(Key::Volume(replica.clone()));
            let source = inventory
                .volume(replica)
                .and_then(|v| inventory.source_of(v));
            keys.extend(source.map(|(source, _)| Key::Volume(source.id.clone())));
        }
        Command::Resync { replica } => {
            keys.insert(Key::Volume(replica.clone()));
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
        _ => {
            keys.insert(Key::Masking);
        }
    }
    keys
}

/// The keys that are held now.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: Mutex<HashSet<Key>>,
    freed: Condvar,
}

/// Keys that are given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    locks: &'a Locks,
    keys: HashSet<Key>,
}

impl Locks {
    fn held(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all the keys at once, so that nobody waits while holding; `None` if they were not all
    /// free within `patience`.
    pub(super) fn take(&self, keys: HashSet<Key>, patience: Duration) -> Option<Held<'_>> {
        let end = Instant::now() + patience;
        let mut held = self.held();
        while !held.is_disjoint(&keys) {
            let left = end.checked_duration_since(Instant::now())?;
            held = self
                .freed
                .wait_timeout(held, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        held.extend(keys.iter().cloned());
        drop(held);
        Some(Held { locks: self, keys })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.locks.held().retain(|key| !self.keys.contains(key));
        self.locks.freed.notify_all();
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
}
