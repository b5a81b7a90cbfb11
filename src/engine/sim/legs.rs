//! The legs of volumes: where they lie, what can be read from those that are left, and how they
//! come into step.
//!
//! A layout goes over its legs extent by extent, which is coarser than the real one and shows the
//! same. What a redundant volume holds is noted with it: parity of modelled contents is not
//! computed. It knows nothing of marks or exports.

use serde::{Deserialize, Serialize};

use super::disks::Disk;
use super::extents::{Content, EXTENT, Runs, Segment, count, part};
use super::keep::Row;
use super::machine::{Body, Lv, Machine};
use crate::array::{DiskId, Error, Health, Layout, PoolId, VolumeId};

/// The legs of a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Legs {
    pub(super) layout: Layout,
    pub(super) legs: Vec<Leg>,
    /// What a volume with redundancy holds; without it the disks say so.
    pub(super) written: Option<Runs>,
    /// How many extents of each leg are in step with the others.
    pub(super) synced: u64,
}

/// One leg.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Leg {
    pub(super) data: Vec<Segment>,
    /// Where it is noted what is in step.
    pub(super) note: Option<Segment>,
    /// Whether it lacks what the others hold, until it is in step with them.
    pub(super) behind: bool,
    /// Whether the kernel uses it, until the next start.
    #[serde(skip)]
    pub(super) standing: Standing,
}

/// How a leg of which the disk is there stands with the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It uses it.
    #[default]
    Used,
    /// Its disk was away and is there again, and nobody has opened it anew.
    Stale,
    /// Reads or writes have failed.
    Failing,
}

/// Legs that are being brought into step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syncing {
    /// Since when, in microseconds since 1970.
    pub(super) began: u64,
    /// How many extents of each leg were in step then.
    pub(super) from: u64,
}

impl Leg {
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.data.iter().chain(&self.note)
    }
}

impl Legs {
    /// Extents of each leg.
    pub(super) fn rows(&self) -> u64 {
        self.legs.first().map_or(0, |leg| count(&leg.data))
    }

    /// Extents that a host can use.
    pub(super) fn extents(&self) -> u64 {
        self.rows() * self.layout.data_legs()
    }

    /// What lies on disks.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.legs.iter().flat_map(Leg::segments)
    }

    /// Extents of disks that it takes, all told.
    pub(super) fn consumed(&self) -> u64 {
        self.segments().map(|segment| segment.length).sum()
    }

    /// Whether it survives the loss of a disk.
    pub(super) fn is_redundant(&self) -> bool {
        self.layout.survives() > 0
    }

    /// Whether these legs suffice to read everything.
    fn suffice(&self, usable: &[bool]) -> bool {
        match self.layout {
            Layout::Linear | Layout::Striped { .. } => usable.iter().all(|usable| *usable),
            Layout::Mirrored { .. } => usable.contains(&true),
            Layout::MirroredStripes { .. } => usable.chunks(2).all(|pair| pair.contains(&true)),
            Layout::Parity { stripes, .. } => {
                usable.iter().filter(|usable| **usable).count() >= usize::from(stripes)
            }
        }
    }

    /// Which legs only repeat what others hold: they are behind in the beginning.
    pub(super) fn repeats(layout: Layout, leg: usize) -> bool {
        match layout {
            Layout::Linear | Layout::Striped { .. } => false,
            Layout::Mirrored { .. } => leg > 0,
            Layout::MirroredStripes { .. } => leg % 2 == 1,
            Layout::Parity { stripes, .. } => leg >= usize::from(stripes),
        }
    }

    /// Where these extents lie: which extents of which legs, with all copies and parity.
    fn shares(&self, start: u64, length: u64) -> Vec<(usize, u64, u64)> {
        let stripes = self.layout.data_legs();
        let end = start + length;
        let mut shares = Vec::new();
        for (leg, stripe) in (0..).zip(self.stripe_of_legs()) {
            let (from, to) = match stripe {
                // The first of its rows at or behind both ends.
                Some(stripe) => {
                    let row = |at: u64| at.saturating_sub(stripe).div_ceil(stripes);
                    (row(start), row(end))
                }
                None => (start / stripes, end.div_ceil(stripes)),
            };
            if from < to {
                shares.push((leg, from, to - from));
            }
        }
        shares
    }

    /// The stripe that each leg holds; `None` for parity.
    fn stripe_of_legs(&self) -> impl Iterator<Item = Option<u64>> {
        let layout = self.layout;
        (0..u64::from(layout.legs())).map(move |leg| match layout {
            Layout::Linear | Layout::Mirrored { .. } => Some(0),
            Layout::Striped { .. } => Some(leg),
            Layout::MirroredStripes { .. } => Some(leg / 2),
            Layout::Parity { stripes, .. } => (leg < u64::from(stripes)).then_some(leg),
        })
    }
}

/// Disks for new legs.
pub(super) enum Ground<'a> {
    /// Wherever there is room in the group.
    Anywhere(&'a PoolId),
    /// On that disk.
    Disk(&'a DiskId),
}

impl Machine {
    /// Takes so many free extents, the first ones first; `None`, and nothing is taken, where there
    /// are fewer.
    pub(super) fn allocate(&mut self, ground: Ground<'_>, extents: u64) -> Option<Vec<Segment>> {
        let places: Vec<DiskId> = match ground {
            Ground::Disk(disk) => vec![disk.clone()],
            Ground::Anywhere(group) => {
                let group = self.groups.iter().find(|g| g.row.id == *group)?;
                group.row.disks.clone()
            }
        };
        let (mut segments, mut left) = (Vec::new(), extents);
        for id in places {
            if self.is_closed(&id) {
                continue;
            }
            let Some(disk) = self.disks.get_mut(&id).filter(|disk| disk.works()) else {
                continue;
            };
            for (start, length) in disk.space.take(left) {
                left -= length;
                segments.push(Segment {
                    disk: id.clone(),
                    start,
                    length,
                });
            }
        }
        if left > 0 {
            self.give_back(&segments);
            return None;
        }
        Some(segments)
    }

    /// Takes the extents of one leg from a disk, the note first as LVM does.
    pub(super) fn allocate_leg(&mut self, layout: Layout, disk: &DiskId, rows: u64) -> Option<Leg> {
        let mut note = None;
        if layout.metadata_per_leg() > 0 {
            note = self
                .allocate(Ground::Disk(disk), layout.metadata_per_leg())?
                .pop();
        }
        match self.allocate(Ground::Disk(disk), rows) {
            Some(data) => Some(Leg {
                data,
                note,
                ..Leg::default()
            }),
            None => {
                self.give_back(&note);
                None
            }
        }
    }

    /// Takes the extents of a volume: on these disks, or anywhere for a linear one without.
    pub(super) fn allocate_legs(
        &mut self,
        group: &PoolId,
        layout: Layout,
        disks: &[DiskId],
        extents: u64,
    ) -> Option<Legs> {
        let mut legs = Vec::new();
        if disks.is_empty() {
            legs.push(Leg {
                data: self.allocate(Ground::Anywhere(group), extents)?,
                ..Leg::default()
            });
        }
        for (place, disk) in disks.iter().enumerate() {
            let Some(mut leg) = self.allocate_leg(layout, disk, extents / layout.data_legs())
            else {
                self.give_back(legs.iter().flat_map(Leg::segments));
                return None;
            };
            leg.behind = Legs::repeats(layout, place);
            legs.push(leg);
        }
        let mut legs = Legs {
            layout,
            legs,
            written: None,
            synced: 0,
        };
        match legs.is_redundant() {
            true => legs.written = Some(Runs::new(extents, self.worst_of(legs.segments()))),
            false => legs.synced = legs.rows(),
        }
        Some(legs)
    }

    /// Whether a leg can be read and written.
    pub(super) fn works(&self, leg: &Leg) -> bool {
        leg.standing == Standing::Used && self.unsound_under(leg.segments()).is_none()
    }

    /// Whether all of it can be read from the legs that are left.
    pub(super) fn can_read(&self, legs: &Legs) -> bool {
        let usable = legs.legs.iter().map(|leg| !leg.behind && self.works(leg));
        legs.suffice(&usable.collect::<Vec<_>>())
    }

    /// The disk without which the volume cannot be read.
    pub(super) fn failed_under(&self, lv: &Lv) -> Option<&Disk> {
        match &lv.body {
            Body::Thick(legs) if self.can_read(legs) => None,
            Body::Thick(legs) => {
                let leg = legs.legs.iter().find(|leg| !self.works(leg))?;
                let unsound = self.unsound_under(leg.segments());
                unsound.or_else(|| self.disks.get(&leg.segments().next()?.disk))
            }
            Body::Thin(map) => self.failed_under(self.volumes.get(&map.pool)?),
            Body::Pool(pool) => self.unsound_under(pool.data.iter().chain(&pool.metadata)),
            Body::Delta(delta) => {
                let origin = self.volumes.get(&delta.origin);
                let below = origin.and_then(|origin| self.failed_under(origin));
                below.or_else(|| self.unsound_under(&delta.room))
            }
        }
    }

    /// Refuses a volume that cannot be read.
    pub(super) fn readable(&self, lv: &Lv) -> Result<(), Error> {
        if matches!(&lv.body, Body::Delta(delta) if delta.broken()) {
            return Err(Error::unavailable(format!(
                "{} has lost its content, because more changed than it had room for; delete it",
                lv.called()
            )));
        }
        match self.failed_under(lv) {
            Some(disk) => Err(Error::unavailable(format!(
                "{} cannot be read because disk {} {}; connect it again or replace it",
                lv.called(),
                disk.row.device,
                disk.trouble()
            ))),
            None => Ok(()),
        }
    }

    /// How well the legs are.
    pub(super) fn legs_health(&self, id: &VolumeId, legs: &Legs) -> Health {
        if let Some(disk) = self.lost_under(legs.segments()) {
            let (device, trouble) = (&disk.row.device, disk.trouble());
            return match self.can_read(legs) {
                true => Health::Degraded(format!(
                    "disk {device} under it {trouble}; repair the volume"
                )),
                false => Health::Failed(format!(
                    "disk {device} under it {trouble}; connect it again"
                )),
            };
        }
        if let Some(health) = self.troubled(legs) {
            return health;
        }
        match self.synced(id, legs) < legs.rows() {
            true if self.can_read(legs) => Health::Degraded(
                "its legs are being brought into step; until then a disk that fails may take data \
                 with it"
                    .to_owned(),
            ),
            true => Health::Failed("the only leg that holds all data was lost".to_owned()),
            false => Health::Ok,
        }
    }

    /// How many extents of each leg are in step now.
    pub(super) fn synced(&self, id: &VolumeId, legs: &Legs) -> u64 {
        let Some(sync) = self.syncing.get(id) else {
            return legs.synced;
        };
        let micros = u128::from(self.now.saturating_sub(sync.began));
        let bytes = micros * u128::from(self.sync_rate) / 1_000_000;
        let done = u64::try_from(bytes / u128::from(EXTENT)).unwrap_or(u64::MAX);
        legs.rows().min(sync.from.saturating_add(done))
    }

    /// How many legs do not hold all that they should.
    pub(super) fn behind(&self, id: &VolumeId, legs: &Legs) -> u16 {
        let marked = legs.legs.iter().filter(|leg| leg.behind).count();
        match u16::try_from(marked).unwrap_or(u16::MAX) {
            0 if self.synced(id, legs) < legs.rows() => legs.layout.legs(),
            behind => behind,
        }
    }

    /// Begins to bring legs into step, or goes on with it, where all of them are there.
    pub(super) fn begin_sync(&mut self, id: &VolumeId) {
        let Some(Body::Thick(legs)) = self.volumes.get(id).map(|lv| &lv.body) else {
            return;
        };
        let is_due = legs.synced < legs.rows() && legs.legs.iter().all(|leg| self.works(leg));
        if is_due && self.can_read(legs) {
            let sync = Syncing {
                began: self.now,
                from: legs.synced,
            };
            self.syncing.insert(id.clone(), sync);
        }
    }

    /// Stops it, and notes how far it came.
    fn stop_sync(&mut self, id: &VolumeId) {
        let Some(Body::Thick(legs)) = self.volumes.get(id).map(|lv| &lv.body) else {
            return;
        };
        let synced = self.synced(id, legs);
        if self.syncing.remove(id).is_some()
            && let Some(Body::Thick(legs)) = self.volumes.get_mut(id).map(|lv| &mut lv.body)
        {
            legs.synced = synced;
        }
    }

    /// Takes note of the time, and of the legs that have come into step.
    pub(super) fn pass_time(&mut self, now: u64) {
        self.now = now;
        let in_step: Vec<VolumeId> = self
            .syncing
            .keys()
            .filter(|id| match self.volumes.get(id).map(|lv| &lv.body) {
                Some(Body::Thick(legs)) => self.synced(id, legs) >= legs.rows(),
                _ => true,
            })
            .cloned()
            .collect();
        for id in in_step {
            self.syncing.remove(&id);
            let Some(lv) = self.volumes.get_mut(&id) else {
                continue;
            };
            if let Body::Thick(legs) = &mut lv.body {
                legs.synced = legs.rows();
                legs.legs.iter_mut().for_each(|leg| leg.behind = false);
            }
            // If it is lost, the machine brings them into step again.
            let _ = self.keep.commit(&[Row::Volume(&id, Some(lv))], self.made);
            self.generation += 1;
        }
    }

    /// What changes for legs when a disk went or came back.
    pub(super) fn mind_disk(&mut self, disk: &DiskId) {
        let touched: Vec<VolumeId> = self
            .volumes
            .values()
            .filter(|lv| lv.segments().iter().any(|segment| segment.disk == *disk))
            .map(|lv| lv.id.clone())
            .collect();
        for id in touched {
            self.stop_sync(&id);
            self.begin_sync(&id);
        }
    }

    /// What the extents of a volume hold, run by run: (extents, content).
    pub(super) fn contents(&self, lv: &Lv) -> Vec<(u64, Content)> {
        self.contents_in(lv, 0, lv.extents())
    }

    /// The same of some extents.
    pub(super) fn contents_in(&self, lv: &Lv, start: u64, length: u64) -> Vec<(u64, Content)> {
        match &lv.body {
            Body::Thick(legs) => self.contents_of_legs(legs, start, length),
            Body::Thin(map) => self.contents_of_thin(map, start, length),
            Body::Pool(pool) => {
                let held = part(&pool.data, start, length);
                self.contents_of(&held).collect()
            }
            Body::Delta(delta) => self.contents_of_delta(delta, start, length),
        }
    }

    fn contents_of_legs(&self, legs: &Legs, start: u64, length: u64) -> Vec<(u64, Content)> {
        if let Some(written) = &legs.written {
            return written.contents(start, length).collect();
        }
        if let [only] = &legs.legs[..] {
            return self.contents_of(&part(&only.data, start, length)).collect();
        }
        let count = legs.legs.len() as u64;
        let places = (start..start + length).filter_map(|at| {
            let leg = legs.legs.get(usize::try_from(at % count).ok()?)?;
            let held = part(&leg.data, at / count, 1);
            self.contents_of(&held).next()
        });
        places.collect()
    }

    /// Fills some extents of a volume on disks, on every leg that works. Kept with the next commit
    /// of the volume.
    pub(super) fn fill(&mut self, id: &VolumeId, start: u64, length: u64, content: Content) {
        let Some(Body::Thick(legs)) = self.volumes.get(id).map(|lv| &lv.body) else {
            return;
        };
        let mut parts = Vec::new();
        let mut missed = Vec::new();
        for (place, from, rows) in legs.shares(start, length) {
            let leg = &legs.legs[place];
            match self.works(leg) {
                true => parts.extend(part(&leg.data, from, rows)),
                false => missed.push(place),
            }
        }
        self.fill_segments(&parts, content);
        let Some(Body::Thick(legs)) = self.volumes.get_mut(id).map(|lv| &mut lv.body) else {
            return;
        };
        if let Some(written) = &mut legs.written {
            written.fill(start, length, content);
            for place in missed {
                legs.legs[place].behind = true;
                legs.synced = 0;
            }
        }
    }

    /// See [`Step::Sync`](crate::array::Step::Sync): bytes that are in step, of how many; `None`
    /// where all are.
    pub(super) fn sync_status(&self, lv: &Lv) -> Result<Option<(u64, u64)>, Error> {
        let Body::Thick(legs) = &lv.body else {
            return Ok(None);
        };
        if legs.is_redundant() && !legs.legs.iter().all(|leg| self.works(leg)) {
            return Err(Error::unavailable(format!(
                "{} does not come into step because a disk under it is missing or fails; repair \
                 the volume",
                lv.called()
            )));
        }
        let synced = self.synced(&lv.id, legs);
        if synced >= legs.rows() {
            return Ok(None);
        }
        self.readable(lv)?;
        let bytes = |rows: u64| rows * legs.layout.data_legs() * EXTENT;
        Ok(Some((bytes(synced), bytes(legs.rows()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every extent of a volume lies on as many legs as there are copies, and in its own place.
    #[test]
    fn shares_cover_what_they_should() {
        for layout in [
            Layout::Linear,
            Layout::Striped { stripes: 3 },
            Layout::Mirrored { copies: 2 },
            Layout::MirroredStripes { stripes: 2 },
        ] {
            let legs = Legs {
                layout,
                legs: Vec::new(),
                written: None,
                synced: 0,
            };
            let mut seen = std::collections::BTreeSet::new();
            for extent in 0..12 {
                let shares = legs.shares(extent, 1);
                assert_eq!(shares.len(), usize::from(layout.copies()), "{layout:?}");
                for (leg, row, rows) in shares {
                    assert_eq!(rows, 1);
                    assert!(seen.insert((leg, row)), "{layout:?}: {leg} {row} twice");
                }
            }
            let whole: u64 = legs.shares(0, 12).iter().map(|share| share.2).sum();
            assert_eq!(whole, seen.len() as u64, "{layout:?}");
        }
    }

    #[test]
    fn parity_follows_the_rows_that_are_written() {
        let legs = Legs {
            layout: Layout::Parity {
                stripes: 3,
                parity: 1,
            },
            legs: Vec::new(),
            written: None,
            synced: 0,
        };
        assert_eq!(
            legs.shares(4, 3),
            [(0, 2, 1), (1, 1, 1), (2, 1, 1), (3, 1, 2)]
        );
    }
}
