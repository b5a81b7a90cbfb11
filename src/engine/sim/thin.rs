//! Thin pools and the volumes in them: what is promised, and what is given when it is written.
//!
//! A block is as large as an extent, which is coarser than the real one; a write gives the volume
//! the blocks that it lacks, and fails where the pool has none left.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::extents::{Content, EXTENT, Segment, Space, count, part, push_segment};
use super::guards::{no_other_job, not_held, our_group, ours, unmarked, whole_extents};
use super::keep::Row;
use super::legs::Ground;
use super::machine::{Body, Lv, Machine};
use super::names::{check_device, check_display};
use super::replicas::Kin;
use crate::array::{Error, Health, JobId, Owner, PoolId, VolumeId};

/// Bytes of metadata that an empty thin pool uses.
const METADATA_IN_USE: u64 = 40 << 10;

/// Bytes of metadata for each extent that is given: 64 for each chunk of 64 KiB (lvmthin(7)).
const METADATA_PER_EXTENT: u64 = EXTENT / (64 << 10) * 64;

/// What a thin volume has of its pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ThinMap {
    /// The pool.
    pub(super) pool: VolumeId,
    /// How many extents were promised.
    pub(super) extents: u64,
    /// Extent of the volume → extent of the pool's data.
    pub(super) given: BTreeMap<u64, u64>,
}

/// What is free of the data of a thin pool, and what several volumes share.
#[derive(Clone, Debug, Default)]
pub(super) struct ThinSpace {
    space: Space,
    /// Extent → by how many volumes more than one it is held.
    shared: BTreeMap<u64, u64>,
}

impl ThinSpace {
    /// So many extents, all free.
    pub(super) fn new(extents: u64) -> Self {
        Self {
            space: Space::new(extents),
            shared: BTreeMap::new(),
        }
    }

    /// How many are free.
    pub(super) fn free(&self) -> u64 {
        self.space.free()
    }

    /// So many free ones come behind the others.
    fn extend(&mut self, at: u64, more: u64) {
        self.space.give_back(at, more);
    }

    /// Takes a free one.
    fn take(&mut self) -> Option<u64> {
        self.space.take(1).first().map(|(at, _)| *at)
    }

    /// One more volume holds it.
    pub(super) fn share(&mut self, at: u64) {
        *self.shared.entry(at).or_insert(0) += 1;
    }

    /// Takes exactly this one, or shares it, as a state from before says; whether it is there.
    pub(super) fn claim(&mut self, at: u64, extents: u64) -> bool {
        if at < extents && !self.space.claim(at, 1) {
            self.share(at);
        }
        at < extents
    }

    /// Whether several hold it.
    fn is_shared(&self, at: u64) -> bool {
        self.shared.contains_key(&at)
    }

    /// One volume holds it no longer; what it holds stays in it.
    pub(super) fn give_back(&mut self, at: u64) {
        match self.shared.get_mut(&at) {
            None => self.space.give_back(at, 1),
            Some(1) => {
                self.shared.remove(&at);
            }
            Some(more) => *more -= 1,
        }
    }
}

/// Where a thin pool lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ThinPool {
    pub(super) data: Vec<Segment>,
    pub(super) metadata: Vec<Segment>,
}

/// What a thin pool is asked to be.
pub(super) struct ThinWish<'a> {
    pub(super) device: &'a str,
    pub(super) name: &'a str,
    /// Bytes for data.
    pub(super) size: u64,
    /// Bytes for metadata.
    pub(super) metadata: u64,
    pub(super) job: JobId,
}

/// The identity that the array gives to a thin pool.
pub(super) fn pool_id(lv: &Lv) -> PoolId {
    lv.id.as_str().into()
}

impl Machine {
    /// The thin pool of that identity.
    pub(super) fn thin_pool(&self, id: &PoolId) -> Result<(&Lv, &ThinPool), Error> {
        match self.known(&VolumeId::from(id.as_str())) {
            Some(lv) => match &lv.body {
                Body::Pool(pool) => Ok((lv, pool)),
                _ => Err(super::machine::no_pool(id)),
            },
            None => Err(super::machine::no_pool(id)),
        }
    }

    /// The volumes in a thin pool.
    pub(super) fn thin_volumes<'a>(&'a self, pool: &'a Lv) -> impl Iterator<Item = &'a Lv> {
        self.volumes_in(&pool.group)
            .filter(|lv| matches!(&lv.body, Body::Thin(map) if map.pool == pool.id))
    }

    /// Free extents of a thin pool.
    pub(super) fn thin_free(&self, pool: &VolumeId) -> u64 {
        self.thin_space.get(pool).map_or(0, |space| space.free())
    }

    /// Bytes of its metadata that a thin pool uses.
    pub(super) fn metadata_used(&self, lv: &Lv) -> u64 {
        METADATA_IN_USE + (lv.extents() - self.thin_free(&lv.id)) * METADATA_PER_EXTENT
    }

    /// How well a thin pool is.
    pub(super) fn thin_health(&self, lv: &Lv) -> Health {
        if let Some(disk) = self.failed_under(lv) {
            return Health::Failed(format!(
                "disk {} under it {}; connect it again",
                disk.row.device,
                disk.trouble()
            ));
        }
        match self.thin_free(&lv.id) {
            0 => Health::Degraded(
                "it is full: hosts cannot write what is new to their volumes; grow it".to_owned(),
            ),
            _ => Health::Ok,
        }
    }

    /// Extents by which the spare of a group has to grow for so many of metadata.
    fn missing_spare(&self, group: &PoolId, metadata: u64) -> Result<u64, Error> {
        let spare = count(&self.group(group)?.row.spare);
        Ok(metadata.saturating_sub(spare))
    }

    /// See [`Step::CreateThinPool`](crate::array::Step::CreateThinPool).
    pub(super) fn create_thin_pool(
        &mut self,
        group_id: &PoolId,
        wish: &ThinWish<'_>,
    ) -> Result<(), Error> {
        let group = self.group(group_id)?;
        check_device(&group.row.device, wish.device)?;
        check_display(wish.name)?;
        let (data, metadata) = (whole_extents(wish.size)?, whole_extents(wish.metadata)?);
        if let Some(lv) = self.of_device(group_id, wish.device) {
            let is_same = matches!(&lv.body, Body::Pool(pool)
                if count(&pool.data) == data && count(&pool.metadata) == metadata)
                && lv.owner == Owner::Array
                && lv.job == Some(wish.job)
                && lv.name.as_deref() == Some(wish.name);
            return match is_same {
                true => Ok(()),
                false => Err(Error::already_exists(format!(
                    "pool {} already has a logical volume {}; choose another name",
                    group.name(),
                    wish.device
                ))),
            };
        }
        let id = self.new_volume_id(group_id);
        self.put_thin_pool(group_id, wish, id)
    }

    /// Makes a thin pool of that identity.
    pub(super) fn put_thin_pool(
        &mut self,
        group_id: &PoolId,
        wish: &ThinWish<'_>,
        id: VolumeId,
    ) -> Result<(), Error> {
        let (data, metadata) = (whole_extents(wish.size)?, whole_extents(wish.metadata)?);
        let spare = self.missing_spare(group_id, metadata)?;
        self.has_room(self.group(group_id)?, data + metadata + spare)?;
        let [data, metadata, spare] = self.allocate_all(group_id, [data, metadata, spare])?;
        let lv = Lv {
            id,
            device: wish.device.to_owned(),
            name: Some(wish.name.to_owned()),
            group: group_id.clone(),
            body: Body::Pool(ThinPool { data, metadata }),
            owner: Owner::Array,
            job: Some(wish.job),
            serial: None,
            held_by: None,
            created: self.now,
            moving: None,
            kin: Kin::default(),
        };
        self.insert_with_spare(lv, spare)
    }

    /// Takes extents for several purposes, all or none.
    fn allocate_all<const N: usize>(
        &mut self,
        group: &PoolId,
        wanted: [u64; N],
    ) -> Result<[Vec<Segment>; N], Error> {
        let mut taken: [Vec<Segment>; N] = std::array::from_fn(|_| Vec::new());
        for place in 0..N {
            match self.allocate(Ground::Anywhere(group), wanted[place]) {
                Some(segments) => taken[place] = segments,
                None => {
                    self.give_back(taken.iter().flatten());
                    return Err(Error::no_space("the pool has too little room").with_largest(0));
                }
            }
        }
        Ok(taken)
    }

    /// See [`Step::GrowThinPool`](crate::array::Step::GrowThinPool).
    pub(super) fn grow_thin_pool(
        &mut self,
        id: &PoolId,
        size: u64,
        metadata: u64,
    ) -> Result<(), Error> {
        let (lv, pool) = self.thin_pool(id)?;
        ours(lv)?;
        unmarked(lv.job, &lv.called())?;
        self.stays(lv)?;
        let (data, metadata) = (whole_extents(size)?, whole_extents(metadata)?);
        let (has, has_metadata) = (count(&pool.data), count(&pool.metadata));
        let more = [
            data.saturating_sub(has),
            metadata.saturating_sub(has_metadata),
        ];
        if more == [0, 0] {
            return Ok(());
        }
        let mut lv = lv.clone();
        let spare = self.missing_spare(&lv.group, metadata.max(has_metadata))?;
        self.has_room(self.group(&lv.group)?, more[0] + more[1] + spare)?;
        let [data, metadata, spare] = self.allocate_all(&lv.group, [more[0], more[1], spare])?;
        let taken: Vec<Segment> = [&data[..], &metadata, &spare].concat();
        if let Body::Pool(pool) = &mut lv.body {
            data.into_iter()
                .for_each(|s| push_segment(&mut pool.data, s));
            metadata
                .into_iter()
                .for_each(|s| push_segment(&mut pool.metadata, s));
        }
        let mut row = self.group(&lv.group)?.row.clone();
        row.spare.extend(spare);
        let rows = [
            Row::Volume(&lv.id, Some(&lv)),
            Row::Group(&row.id, Some(&row)),
        ];
        if let Err(error) = self.keep.commit(&rows, self.made) {
            self.give_back(&taken);
            return Err(error);
        }
        self.group_mut(&lv.group)?.row = row;
        let space = self.thin_space.entry(lv.id.clone()).or_default();
        space.extend(has, more[0]);
        self.volumes.insert(lv.id.clone(), lv);
        self.generation += 1;
        Ok(())
    }

    /// A new thin volume's body.
    pub(super) fn thin_body(
        &self,
        group: &PoolId,
        id: &PoolId,
        extents: u64,
    ) -> Result<Body, Error> {
        let (lv, _) = self.thin_pool(id)?;
        if lv.group != *group {
            return Err(Error::invalid(format!(
                "{} lies in another volume group; name its own",
                lv.called()
            )));
        }
        unmarked(lv.job, &lv.called())?;
        self.complete(self.group(group)?)?;
        if self.thin_free(&lv.id) == 0 {
            return Err(
                Error::no_space(format!("{} is full; grow it first", lv.called())).with_largest(0),
            );
        }
        Ok(Body::Thin(ThinMap {
            pool: lv.id.clone(),
            extents,
            given: BTreeMap::new(),
        }))
    }

    /// See [`Step::GrowThin`](crate::array::Step::GrowThin).
    pub(super) fn grow_thin(&mut self, id: &VolumeId, size: u64) -> Result<(), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        unmarked(lv.job, &lv.called())?;
        not_held(lv)?;
        let wanted = whole_extents(size)?;
        let Body::Thin(map) = &lv.body else {
            return Err(Error::invalid(format!(
                "{} is not thin; set extents aside for it",
                lv.called()
            )));
        };
        if wanted < map.extents {
            return Err(Error::invalid(format!(
                "{} is larger than that already; a thin volume is not made smaller",
                lv.called()
            )));
        }
        if wanted == map.extents {
            return Ok(());
        }
        self.complete(self.group(&lv.group)?)?;
        let mut lv = lv.clone();
        if let Body::Thin(map) = &mut lv.body {
            map.extents = wanted;
        }
        self.replace(lv)
    }

    /// What some extents of a thin volume hold, run by run.
    pub(super) fn contents_of_thin(
        &self,
        map: &ThinMap,
        start: u64,
        length: u64,
    ) -> Vec<(u64, Content)> {
        let Some(Body::Pool(pool)) = self.volumes.get(&map.pool).map(|lv| &lv.body) else {
            return Vec::new();
        };
        let mut contents = Vec::new();
        let mut reached = start;
        for (at, data) in map.given.range(start..start + length) {
            contents.push((at - reached, Content::Zeros));
            let held = part(&pool.data, *data, 1);
            contents.extend(self.contents_of(&held));
            reached = at + 1;
        }
        contents.push((start + length - reached, Content::Zeros));
        contents.retain(|(length, _)| *length > 0);
        contents
    }

    /// Fills extents of a thin volume, as far as the pool lasts: what it shares with others is
    /// theirs from now on. Whether the pool lasted.
    pub(super) fn write_thin(
        &mut self,
        id: &VolumeId,
        start: u64,
        length: u64,
        content: Content,
    ) -> bool {
        let of = match self.volumes.get(id).map(|lv| &lv.body) {
            Some(Body::Thin(map)) => self.volumes.get(&map.pool).map(|lv| &lv.body),
            _ => None,
        };
        let Some(Body::Pool(pool)) = of else {
            return false;
        };
        let data = pool.data.clone();
        let Some(Body::Thin(map)) = self.volumes.get_mut(id).map(|lv| &mut lv.body) else {
            return false;
        };
        let space = self.thin_space.entry(map.pool.clone()).or_default();
        let mut held = Vec::new();
        let mut lasted = true;
        for at in start..start + length {
            let own = map
                .given
                .get(&at)
                .copied()
                .filter(|at| !space.is_shared(*at));
            let Some(place) = own.or_else(|| space.take()) else {
                lasted = false;
                continue;
            };
            if let Some(old) = map.given.insert(at, place).filter(|old| *old != place) {
                space.give_back(old);
            }
            for segment in part(&data, place, 1) {
                push_segment(&mut held, segment);
            }
        }
        self.fill_segments(&held, content);
        self.generation += 1;
        lasted
    }

    /// Gives extents of a thin volume back to its pool: they read as zeros.
    pub(super) fn discard_thin(&mut self, id: &VolumeId, start: u64, length: u64) {
        let Some(Body::Thin(map)) = self.volumes.get_mut(id).map(|lv| &mut lv.body) else {
            return;
        };
        let places: Vec<u64> = map
            .given
            .range(start..start + length)
            .map(|(at, _)| *at)
            .collect();
        let given: Vec<u64> = places
            .iter()
            .filter_map(|at| map.given.remove(at))
            .collect();
        let space = self.thin_space.entry(map.pool.clone()).or_default();
        given.into_iter().for_each(|at| space.give_back(at));
        self.generation += 1;
    }

    /// Writes to the volumes of a thin pool until so many percent of it are used.
    pub(super) fn fill_pool(&mut self, id: &PoolId, percent: u64) -> Result<(), Error> {
        let (pool, _) = self.thin_pool(id)?;
        let (pool_id, called) = (pool.id.clone(), pool.called());
        let wanted = (pool.extents() * percent.min(100)).div_ceil(100);
        let mut missing = wanted.saturating_sub(pool.extents() - self.thin_free(&pool_id));
        let volumes: Vec<VolumeId> = self.thin_volumes(pool).map(|lv| lv.id.clone()).collect();
        for id in &volumes {
            let Some(Body::Thin(map)) = self.volumes.get(id).map(|lv| &lv.body) else {
                continue;
            };
            let free: Vec<u64> = (0..map.extents)
                .filter(|at| !map.given.contains_key(at))
                .take(usize::try_from(missing).unwrap_or(usize::MAX))
                .collect();
            for at in &free {
                self.write_thin(id, *at, 1, Content::Written(0xff));
            }
            missing -= free.len() as u64;
        }
        for id in &volumes {
            if let Some(lv) = self.volumes.get(id) {
                self.keep.commit(&[Row::Volume(id, Some(lv))], self.made)?;
            }
        }
        match missing {
            0 => Ok(()),
            _ => Err(Error::no_space(format!(
                "the volumes of {called} are too small to fill it so far; make a larger one"
            ))),
        }
    }

    /// See [`Step::RenamePool`](crate::array::Step::RenamePool).
    pub(super) fn rename_pool(&mut self, id: &PoolId, name: &str) -> Result<(), Error> {
        check_display(name)?;
        if let Ok((lv, _)) = self.thin_pool(id) {
            ours(lv)?;
            self.complete(self.group(&lv.group)?)?;
            let mut lv = lv.clone();
            lv.name = Some(name.to_owned());
            return self.replace(lv);
        }
        let group = self.group(id)?;
        our_group(group)?;
        self.complete(group)?;
        let mut row = group.row.clone();
        row.name = Some(name.to_owned());
        self.replace_group(row)
    }

    /// Refuses a thin pool that has volumes.
    pub(super) fn is_unused(&self, lv: &Lv) -> Result<(), Error> {
        match self
            .thin_volumes(lv)
            .next()
            .filter(|_| matches!(lv.body, Body::Pool(_)))
        {
            Some(volume) => Err(Error::in_use(format!(
                "{} holds {}; remove its volumes first",
                lv.called(),
                volume.called()
            ))),
            None => Ok(()),
        }
    }

    /// Puts a mark on a thin pool or volume only if no other job's is there.
    pub(super) fn may_mark(&self, lv: &Lv, job: JobId) -> Result<(), Error> {
        no_other_job(lv, job)?;
        self.idle(lv)
    }
}
