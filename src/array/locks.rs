//! Locks on elements: two commands that touch the same thing follow one another, others do not
//! wait for them.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::command::{Command, Growth};
use super::engine::{Step, Subject};
use super::ids::{DiskId, PoolId, SettingId, VolumeId};
use super::inventory::Inventory;
use super::model::Members;
use super::plan::Plan;

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
        Command::DeleteVolumes { volumes } => {
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
        Step::ExtendGroup { group, disks } | Step::ReduceGroup { group, disks } => {
            let disks = disks.iter().cloned().map(Key::Disk);
            disks.chain([Key::PoolBody(group.clone())]).collect()
        }
        _ => Vec::new(),
    });
    keys.collect()
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
