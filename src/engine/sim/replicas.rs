//! Snapshots and what hangs together: what is shared, what is kept when a source changes, and what
//! becomes of it when there is no room for that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::extents::{Content, EXTENT, Segment, count};
use super::guards::{marked_by, no_other_job, ours, unmarked, whole_extents};
use super::legs::Ground;
use super::machine::{Body, Lv, Machine};
use super::names::{check_device, check_display};
use crate::array::{
    Error, JobId, Owner, PoolId, Relation, Replica, ReplicaKind, SNAPSHOT_CHUNK, Snap, Subject,
    Taken, Torn, VolumeId,
};

/// Chunks in an extent.
const CHUNKS: u64 = EXTENT / SNAPSHOT_CHUNK;

/// Entries of a snapshot's table in one chunk: 16 bytes each.
const ENTRIES: u64 = SNAPSHOT_CHUNK / 16;

/// What a volume has to do with others, and with copies onto it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kin {
    /// What a thin volume is a snapshot of, while that is there; LVM's own note.
    pub(super) origin: Option<VolumeId>,
    /// The mark that it is none any more.
    pub(super) detached: bool,
    /// The mark of a clone: of what.
    pub(super) clone_of: Option<VolumeId>,
    /// The mark of its moment: microseconds since 1970.
    pub(super) taken: Option<u64>,
    /// The mark of what has not ended on it.
    pub(super) torn: Option<Torn>,
}

/// What has changed since a snapshot was taken of a volume on disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Delta {
    pub(super) origin: VolumeId,
    /// How many extents a host can use.
    pub(super) extents: u64,
    /// Where there is room for what is kept.
    pub(super) room: Vec<Segment>,
    /// What its own extents hold, where they are not the origin's.
    kept: BTreeMap<u64, Content>,
    /// More changed than there was room for.
    lost: bool,
}

impl Delta {
    /// Chunks in use: a header, what is kept, and a table of it.
    fn used(&self) -> u64 {
        let kept = self.kept.len() as u64 * CHUNKS;
        1 + kept + kept / ENTRIES + 1
    }

    /// Whether it has lost its content.
    pub(super) fn broken(&self) -> bool {
        self.lost
    }

    /// Keeps the content of an extent; whether there was room for it.
    fn keep(&mut self, at: u64, content: Content) -> bool {
        if !self.lost {
            self.kept.insert(at, content);
            if self.used() > count(&self.room) * CHUNKS {
                self.lost = true;
                self.kept.clear();
            }
        }
        !self.lost
    }
}

impl Lv {
    /// What it is the replica of.
    pub(super) fn replica(&self) -> Option<Replica> {
        let (source, kind) = match (&self.body, &self.kin.clone_of, &self.kin.origin) {
            (Body::Delta(delta), ..) => {
                let room = count(&delta.room) * EXTENT;
                let kind = ReplicaKind::Delta {
                    room,
                    used: (!delta.lost).then(|| delta.used() * SNAPSHOT_CHUNK),
                    broken: delta.lost,
                };
                (&delta.origin, kind)
            }
            (_, Some(source), _) => (source, ReplicaKind::Clone),
            (_, None, Some(origin)) if !self.kin.detached => (origin, ReplicaKind::Shared),
            _ => return None,
        };
        Some(Replica {
            source: source.clone(),
            kind,
            taken: self.kin.taken,
        })
    }
}

impl Machine {
    /// The snapshots that keep what changes of a volume.
    pub(super) fn deltas_of<'a>(&'a self, origin: &'a Lv) -> impl Iterator<Item = &'a Lv> {
        self.volumes_in(&origin.group)
            .filter(|lv| matches!(&lv.body, Body::Delta(delta) if delta.origin == origin.id))
    }

    /// Refuses a volume without which snapshots would be nothing.
    pub(super) fn has_no_deltas(&self, lv: &Lv) -> Result<(), Error> {
        match self.deltas_of(lv).next() {
            None => Ok(()),
            Some(snapshot) => Err(Error::has_dependents(format!(
                "{} has a snapshot, {}, which is nothing without it; remove that first",
                lv.called(),
                snapshot.called()
            ))),
        }
    }

    /// The snapshots in a thin pool that lose their origin with this volume, without it.
    pub(super) fn orphans(&self, lv: &Lv) -> Vec<Lv> {
        let of_it = self.volumes_in(&lv.group);
        let of_it = of_it.filter(|other| other.kin.origin.as_ref() == Some(&lv.id));
        let mut orphans: Vec<Lv> = of_it.cloned().collect();
        for orphan in &mut orphans {
            orphan.kin.origin = None;
        }
        orphans
    }

    /// What some extents of a snapshot hold, run by run.
    pub(super) fn contents_of_delta(
        &self,
        delta: &Delta,
        start: u64,
        length: u64,
    ) -> Vec<(u64, Content)> {
        let Some(origin) = self.volumes.get(&delta.origin) else {
            return Vec::new();
        };
        let below = self.contents_in(origin, start, length);
        let below = below
            .into_iter()
            .flat_map(|(length, content)| (0..length).map(move |_| content));
        let places = (start..).zip(below);
        places
            .map(|(at, below)| (1, delta.kept.get(&at).copied().unwrap_or(below)))
            .collect()
    }

    /// Writes to a volume, whatever it is, as a host or a copy does; whether there was room.
    pub(super) fn write(
        &mut self,
        id: &VolumeId,
        start: u64,
        length: u64,
        content: Content,
    ) -> bool {
        let Some(lv) = self.volumes.get(id) else {
            return false;
        };
        match &lv.body {
            Body::Pool(_) => false,
            Body::Thin(_) => self.write_thin(id, start, length, content),
            Body::Thick(_) => {
                self.keep_old(id, start, length);
                self.fill(id, start, length, content);
                true
            }
            Body::Delta(_) => {
                self.generation += 1;
                match self.volumes.get_mut(id).map(|lv| &mut lv.body) {
                    Some(Body::Delta(delta)) => {
                        (start..start + length).all(|at| delta.keep(at, content))
                    }
                    _ => false,
                }
            }
        }
    }

    /// Lets every snapshot of a volume keep what is overwritten next.
    fn keep_old(&mut self, id: &VolumeId, start: u64, length: u64) {
        let Some(origin) = self.volumes.get(id) else {
            return;
        };
        let snapshots: Vec<VolumeId> = self.deltas_of(origin).map(|lv| lv.id.clone()).collect();
        if snapshots.is_empty() {
            return;
        }
        let old = self.contents_in(origin, start, length);
        let old = old
            .into_iter()
            .flat_map(|(length, content)| (0..length).map(move |_| content));
        let old: Vec<(u64, Content)> = (start..).zip(old).collect();
        for snapshot in snapshots {
            if let Some(Body::Delta(delta)) = self.volumes.get_mut(&snapshot).map(|lv| &mut lv.body)
            {
                for (at, content) in &old {
                    if !delta.kept.contains_key(at) {
                        delta.keep(*at, *content);
                    }
                }
            }
        }
        self.generation += 1;
    }

    /// See [`Step::Snapshot`](crate::array::Step::Snapshot).
    pub(super) fn snapshot(
        &mut self,
        group_id: &PoolId,
        of: &[Snap],
        job: JobId,
    ) -> Result<(), Error> {
        let group = self.group(group_id)?;
        let mut there = Vec::new();
        for snap in of {
            check_device(&group.row.device, &snap.device)?;
            check_display(&snap.name)?;
            if let Some(lv) = self.of_device(group_id, &snap.device) {
                if !is_that(lv, snap, job) {
                    return Err(Error::already_exists(format!(
                        "pool {} already has a logical volume {}; choose another name",
                        group.name(),
                        snap.device
                    )));
                }
                there.push(lv.clone());
            }
        }
        if there.len() == of.len() {
            return Ok(());
        }
        // They would be of another moment than the others.
        for lv in &there {
            self.idle(lv)?;
            self.delete(lv)?;
        }
        let mut rooms = 0;
        for snap in of {
            rooms += self.may_snapshot(group_id, snap, job)?;
        }
        self.has_room(self.group(group_id)?, rooms)?;
        let mut made = Vec::new();
        for snap in of {
            match self.take_snapshot(group_id, snap, job) {
                Ok(lv) => made.push(lv),
                Err(error) => {
                    made.iter().try_for_each(|lv| self.delete(lv))?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether that snapshot may be taken, and how many extents of the group it takes.
    fn may_snapshot(&self, group: &PoolId, snap: &Snap, job: JobId) -> Result<u64, Error> {
        let source = self.volume(&snap.source)?;
        ours(source)?;
        no_other_job(source, job)?;
        self.readable(source)?;
        if source.group != *group {
            return Err(Error::invalid(format!(
                "{} lies in another volume group; name its own",
                source.called()
            )));
        }
        self.stays(source)?;
        match (&source.body, snap.room) {
            (Body::Thick(_), Some(room)) => whole_extents(room),
            (Body::Thin(map), None) => match self.thin_free(&map.pool) {
                0 => Err(Error::no_space(format!(
                    "the pool of {} is full; grow it first",
                    source.called()
                ))
                .with_largest(0)),
                _ => Ok(0),
            },
            (Body::Delta(_), _) => Err(Error::invalid(format!(
                "{} is a snapshot itself, and there are none of such a one",
                source.called()
            ))),
            _ => Err(Error::invalid(format!(
                "a snapshot of {} needs room for what changes if it lies on disks, and none if it \
                 is thin",
                source.called()
            ))),
        }
    }

    fn take_snapshot(&mut self, group: &PoolId, snap: &Snap, job: JobId) -> Result<Lv, Error> {
        let source = self.volume(&snap.source)?.clone();
        let body = match (&source.body, snap.room) {
            (Body::Thin(map), _) => Body::Thin(map.clone()),
            (_, room) => {
                let extents = whole_extents(room.unwrap_or(0))?;
                let room = self.allocate(Ground::Anywhere(group), extents);
                Body::Delta(Delta {
                    origin: source.id.clone(),
                    extents: source.extents(),
                    room: room.ok_or_else(|| Error::no_space("the disks have too little room"))?,
                    kept: BTreeMap::new(),
                    lost: false,
                })
            }
        };
        let is_thin = matches!(body, Body::Thin(_));
        let lv = Lv {
            id: self.new_volume_id(group),
            device: snap.device.clone(),
            name: Some(snap.name.clone()),
            group: group.clone(),
            body,
            owner: Owner::Array,
            job: Some(job),
            serial: None,
            held_by: None,
            created: self.now,
            moving: None,
            kin: Kin {
                origin: is_thin.then_some(source.id),
                taken: Some(self.now),
                ..Kin::default()
            },
        };
        self.insert(lv.clone())?;
        if let Body::Thin(map) = &lv.body
            && let Some(space) = self.thin_space.get_mut(&map.pool)
        {
            map.given.values().for_each(|at| space.share(*at));
        }
        Ok(lv)
    }

    /// See [`Step::Relate`](crate::array::Step::Relate).
    pub(super) fn relate(
        &mut self,
        subject: &Subject,
        to: Option<&Relation>,
        job: Option<JobId>,
    ) -> Result<(), Error> {
        let lv = self.present(subject)?;
        ours(lv)?;
        match job {
            Some(job) => marked_by(lv.job, job, &lv.called())?,
            None => unmarked(lv.job, &lv.called())?,
        }
        if let Body::Delta(_) = lv.body {
            return Err(Error::invalid(format!(
                "{} is nothing without what it was taken of; clone it instead",
                lv.called()
            )));
        }
        let mut kin = lv.kin.clone();
        match to {
            None => {
                kin.clone_of = None;
                kin.detached = kin.origin.is_some();
            }
            Some(to) if kin.origin.as_ref() == Some(&to.source) => kin.detached = false,
            Some(to) => {
                kin.clone_of = Some(to.source.clone());
                kin.taken = match &to.taken {
                    Taken::At(at) => *at,
                    // It goes after its moment was noted.
                    Taken::With(other) => match self.find(other)? {
                        None if kin.clone_of == lv.kin.clone_of => kin.taken,
                        _ => self.present(other)?.kin.taken,
                    },
                };
            }
        }
        if kin == lv.kin {
            return Ok(());
        }
        self.complete(self.group(&lv.group)?)?;
        let lv = Lv { kin, ..lv.clone() };
        self.replace(lv)
    }

    /// See [`Step::Inherit`](crate::array::Step::Inherit).
    pub(super) fn inherit(
        &mut self,
        subject: &Subject,
        of: &VolumeId,
        job: JobId,
    ) -> Result<(), Error> {
        let old = self.present(&Subject::Known(of.clone()))?;
        ours(old)?;
        marked_by(old.job, job, &old.called())?;
        let serial = old.serial.clone().unwrap_or_else(|| of.unit_serial());
        let lv = self.present(subject)?;
        ours(lv)?;
        marked_by(lv.job, job, &lv.called())?;
        if lv.serial.as_ref() == Some(&serial) {
            return Ok(());
        }
        self.complete(self.group(&lv.group)?)?;
        let serial = Some(serial);
        self.replace(Lv {
            serial,
            ..lv.clone()
        })
    }

    /// Notes what has begun on a volume, or that it has ended well.
    pub(super) fn tear(&mut self, id: &VolumeId, torn: Option<Torn>) -> Result<(), Error> {
        let mut lv = self.volume(id)?.clone();
        if lv.kin.torn == torn {
            return Ok(());
        }
        lv.kin.torn = torn;
        self.replace(lv)
    }

    /// Hosts overwrite what a snapshot was taken of until it has no room left.
    pub(super) fn overflow(&mut self, id: &VolumeId) -> Result<(), Error> {
        let lv = self.volume(id)?;
        let Body::Delta(delta) = &lv.body else {
            return Err(Error::invalid(format!(
                "{} is no snapshot that could lack room",
                lv.called()
            )));
        };
        let (called, origin, extents) = (lv.called(), delta.origin.clone(), delta.extents);
        for at in 0..extents {
            self.write(&origin, at, 1, Content::Written(0xff));
            if matches!(&self.volume(id)?.body, Body::Delta(delta) if delta.lost) {
                break;
            }
        }
        self.keep_contents(&origin)?;
        match &self.volume(id)?.body {
            Body::Delta(delta) if !delta.lost => Err(Error::invalid(format!(
                "{called} has room for everything that can change"
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether a volume is the snapshot that an earlier attempt took.
fn is_that(lv: &Lv, snap: &Snap, job: JobId) -> bool {
    let of = match &lv.body {
        Body::Delta(delta) => {
            let room = Some(count(&delta.room) * EXTENT);
            delta.origin == snap.source && room == snap.room
        }
        _ => lv.kin.origin.as_ref() == Some(&snap.source) && snap.room.is_none(),
    };
    of && lv.owner == Owner::Array && lv.job == Some(job) && lv.name.as_ref() == Some(&snap.name)
}
