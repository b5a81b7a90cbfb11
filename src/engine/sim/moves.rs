//! Moves of what lies on one disk to others, while it is used.
//!
//! As with `pvmove --atomic` all that one logical volume has on a disk is copied to a place that is
//! taken at once, and both are written to until the copy is whole; only then the old place is given
//! back. What is under way outlives a restart and begins anew after a reboot; nobody ends it but the
//! one who watches it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::extents::{EXTENT, Segment, count, push_segment};
use super::guards::{ours, unmarked};
use super::keep::Row;
use super::legs::Ground;
use super::machine::{Body, GroupRow, Lv, Machine};
use super::{Core, SLICE};
use crate::array::{DiskId, Error, PoolId, Progress, Subject, VolumeId};

/// A move under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moving {
    /// The disk that is left.
    pub(super) from: DiskId,
    /// The place that is taken, for the segments in their order.
    pub(super) to: Vec<Segment>,
    /// Since when it is copied, in microseconds since 1970.
    #[serde(skip)]
    pub(super) since: u64,
}

impl Moving {
    /// How many extents are copied.
    fn extents(&self) -> u64 {
        count(&self.to)
    }
}

/// What is moved.
enum What {
    Lv(VolumeId),
    /// The spare of a group.
    Spare(PoolId),
}

/// The extents of a logical volume on a disk.
fn on<'a>(lv: &'a Lv, disk: &DiskId) -> Vec<&'a Segment> {
    let segments = lv.segments().into_iter();
    segments.filter(|segment| segment.disk == *disk).collect()
}

impl Lv {
    /// The place that it is being moved to.
    pub(super) fn goes_to(&self) -> &[Segment] {
        match &self.moving {
            Some(moving) => &moving.to,
            None => &[],
        }
    }

    /// The disk that is left by its move.
    pub(super) fn leaves(&self, disk: &DiskId) -> bool {
        self.moving
            .as_ref()
            .is_some_and(|moving| moving.from == *disk)
    }

    /// Every list of segments that it has.
    fn lists(&mut self) -> Vec<&mut Vec<Segment>> {
        match &mut self.body {
            Body::Thick(legs) => legs.legs.iter_mut().map(|leg| &mut leg.data).collect(),
            Body::Thin(_) => Vec::new(),
            Body::Pool(pool) => vec![&mut pool.data, &mut pool.metadata],
            // It stays where it is.
            Body::Delta(_) => Vec::new(),
        }
    }
}

impl Machine {
    /// Refuses a logical volume of which something is being moved: LVM has locked it.
    pub(super) fn stays(&self, lv: &Lv) -> Result<(), Error> {
        match lv.moving {
            None => Ok(()),
            Some(_) => Err(Error::in_use(format!(
                "{} is being moved to another disk; wait for that, or stop it",
                lv.called()
            ))),
        }
    }

    fn what(&self, what: &Subject) -> Result<What, Error> {
        if let Subject::Pool(id) = what
            && self.group(id).is_ok()
        {
            return Ok(What::Spare(id.clone()));
        }
        let lv = self.present(what)?;
        match lv.body {
            Body::Delta(_) => Err(Error::in_use(format!(
                "{} is a snapshot and stays where it is; remove it first",
                lv.called()
            ))),
            Body::Thin(_) => Err(Error::invalid(format!(
                "{} is thin and lies where its pool does; move the pool",
                lv.called()
            ))),
            _ => Ok(What::Lv(lv.id.clone())),
        }
    }

    /// Begins a move, or finds the one that an earlier attempt began; how many extents are copied,
    /// 0 where nothing is to be moved.
    pub(super) fn begin_move(
        &mut self,
        what: &Subject,
        from: &DiskId,
        onto: &[DiskId],
    ) -> Result<u64, Error> {
        let id = match self.what(what)? {
            What::Lv(id) => id,
            What::Spare(group) => return self.move_spare(&group, from, onto).map(|()| 0),
        };
        let lv = &self.volumes[&id];
        ours(lv)?;
        if on(lv, from).is_empty() && lv.moving.is_none() {
            // Whatever is done to it now.
            return Ok(0);
        }
        unmarked(lv.job, &lv.called())?;
        self.has_no_deltas(lv)?;
        if let Some(moving) = &lv.moving {
            return match moving.from == *from {
                true => {
                    let extents = moving.extents();
                    let now = self.now;
                    if let Some(moving) = self.moving_of(&id)
                        && moving.since == 0
                    {
                        moving.since = now;
                    }
                    Ok(extents)
                }
                false => self.stays(lv).map(|()| 0),
            };
        }
        self.may_move(lv, from, onto)?;
        let wanted: u64 = on(lv, from).iter().map(|segment| segment.length).sum();
        let mut lv = lv.clone();
        let to = self.take_on(onto, wanted).ok_or_else(|| {
            Error::no_space(format!(
                "the disks have too little room for what {} has there; name others",
                lv.called()
            ))
        })?;
        lv.moving = Some(Moving {
            from: from.clone(),
            to: to.clone(),
            since: self.now,
        });
        if let Err(error) = self.replace(lv) {
            self.give_back(&to);
            return Err(error);
        }
        Ok(wanted)
    }

    /// A boot loses how far a copy was.
    pub(super) fn begin_moves_anew(&mut self) {
        let now = self.now;
        let moving = self.volumes.values_mut();
        let moving = moving.filter_map(|lv| lv.moving.as_mut());
        moving.for_each(|moving| moving.since = now);
    }

    /// Whether nothing new is laid on a disk.
    pub(super) fn is_closed(&self, disk: &DiskId) -> bool {
        self.groups
            .iter()
            .any(|group| group.row.closed.contains(disk))
    }

    fn moving_of(&mut self, id: &VolumeId) -> Option<&mut Moving> {
        self.volumes.get_mut(id)?.moving.as_mut()
    }

    /// Refuses what cannot be moved there, as LVM does.
    fn may_move(&self, lv: &Lv, from: &DiskId, onto: &[DiskId]) -> Result<(), Error> {
        let group = self.group(&lv.group)?;
        self.complete(group)?;
        if let Some(other) = onto.iter().find(|id| !group.row.disks.contains(id)) {
            return Err(Error::not_found(format!(
                "disk {other} does not belong to pool {}; look at its disks",
                group.name()
            )));
        }
        let fits = |id: &DiskId| !group.row.closed.contains(id) && id != from;
        if onto.is_empty() || !onto.iter().all(fits) {
            return Err(Error::invalid(format!(
                "name other disks of pool {} for {}",
                group.name(),
                lv.called()
            )));
        }
        let mut others = self.volumes_in(&lv.group);
        if let Some(other) = others.find(|other| other.leaves(from)) {
            return Err(Error::in_use(format!(
                "{} is being moved off the same disk; wait for that",
                other.called()
            )));
        }
        let Body::Thick(legs) = &lv.body else {
            return Ok(());
        };
        let others = lv
            .segments()
            .into_iter()
            .filter(|segment| segment.disk != *from);
        let is_wide = legs.legs.len() > 1;
        let mut others = others.filter(|segment| onto.contains(&segment.disk));
        if is_wide && (onto.len() != 1 || others.next().is_some()) {
            return Err(Error::invalid(format!(
                "each part of {} lies on one disk of its own; name one that nothing else of it lies \
                 on",
                lv.called()
            )));
        }
        Ok(())
    }

    /// So many extents on these disks, the first ones first.
    fn take_on(&mut self, onto: &[DiskId], wanted: u64) -> Option<Vec<Segment>> {
        let mut taken = Vec::new();
        for disk in onto {
            let free = self.disks.get(disk).map_or(0, |disk| disk.space.free());
            let part = free.min(wanted - count(&taken));
            taken.extend(self.allocate(Ground::Disk(disk), part).unwrap_or_default());
        }
        if count(&taken) < wanted {
            self.give_back(&taken);
            return None;
        }
        Some(taken)
    }

    /// The spare holds nothing, so it is somewhere else at once.
    fn move_spare(&mut self, id: &PoolId, from: &DiskId, onto: &[DiskId]) -> Result<(), Error> {
        let row = self.group(id)?.row.clone();
        let (old, mut spare): (Vec<Segment>, Vec<Segment>) = row
            .spare
            .iter()
            .cloned()
            .partition(|segment| segment.disk == *from);
        if old.is_empty() {
            return Ok(());
        }
        let new = self.take_on(onto, count(&old)).ok_or_else(|| {
            Error::no_space("the disks have too little room for the spare").with_largest(0)
        })?;
        spare.extend(new.iter().cloned());
        let row = GroupRow { spare, ..row };
        if let Err(error) = self.keep.commit(&[Row::Group(id, Some(&row))], self.made) {
            self.give_back(&new);
            return Err(error);
        }
        self.group_mut(id)?.row = row;
        self.give_back(&old);
        self.generation += 1;
        Ok(())
    }

    /// How many extents of a move are copied by now, of how many.
    fn moved(&self, what: &Subject) -> Result<(u64, u64), Error> {
        let lv = self.present(what)?;
        let Some(moving) = &lv.moving else {
            return Ok((0, 0));
        };
        let micros = u128::from(self.now.saturating_sub(moving.since));
        let bytes = micros * u128::from(self.sync_rate) / 1_000_000;
        let done = u64::try_from(bytes / u128::from(EXTENT)).unwrap_or(u64::MAX);
        Ok((done.min(moving.extents()), moving.extents()))
    }

    /// Puts the new place in the place of the old one, which is free then.
    fn end_move(&mut self, what: &Subject) -> Result<(), Error> {
        let lv = self.present(what)?;
        let Some(moving) = lv.moving.clone() else {
            return Ok(());
        };
        let mut lv = lv.clone();
        let mut old = Vec::new();
        let mut left: Vec<Segment> = moving.to.clone();
        for list in lv.lists() {
            let mut new = Vec::new();
            for segment in list.iter() {
                match segment.disk == moving.from {
                    false => push_segment(&mut new, segment.clone()),
                    true => {
                        old.push(segment.clone());
                        let rest = super::extents::cut(&mut left, segment.length);
                        left.into_iter()
                            .for_each(|part| push_segment(&mut new, part));
                        left = rest;
                    }
                }
            }
            *list = new;
        }
        if let Body::Thick(legs) = &mut lv.body {
            let notes = legs.legs.iter_mut().filter_map(|leg| leg.note.as_mut());
            for note in notes.filter(|note| note.disk == moving.from) {
                old.push(note.clone());
                let rest = super::extents::cut(&mut left, note.length);
                if let Some(new) = left.pop() {
                    *note = new;
                }
                left = rest;
            }
        }
        let contents: Vec<_> = self.contents_of(&old).collect();
        lv.moving = None;
        self.spread(&moving.to, &contents);
        self.replace(lv)?;
        self.give_back(&old);
        Ok(())
    }

    /// See [`Step::EndMove`](crate::array::Step::EndMove).
    pub(super) fn abort_move(&mut self, what: &Subject, from: &DiskId) -> Result<(), Error> {
        let id = match self.what(what)? {
            What::Lv(id) => id,
            What::Spare(_) => return Ok(()),
        };
        let mut lv = self.volumes[&id].clone();
        match lv.moving.take_if(|moving| moving.from == *from) {
            None => Ok(()),
            Some(moving) => {
                self.complete(self.group(&lv.group)?)?;
                self.replace(lv)?;
                self.give_back(&moving.to);
                Ok(())
            }
        }
    }

    /// See [`Step::CloseDisk`](crate::array::Step::CloseDisk).
    pub(super) fn close_disk(
        &mut self,
        id: &PoolId,
        disk: &DiskId,
        closed: bool,
    ) -> Result<(), Error> {
        let group = self.group(id)?;
        if !group.row.disks.contains(disk) {
            return Ok(());
        }
        if group.row.closed.contains(disk) == closed {
            return Ok(());
        }
        self.complete(group)?;
        let mut row = group.row.clone();
        match closed {
            true => row.closed.insert(disk.clone()),
            false => row.closed.remove(disk),
        };
        self.replace_group(row)
    }
}

impl Core {
    /// See [`Step::Move`](crate::array::Step::Move).
    pub(super) fn move_off(
        &self,
        what: &Subject,
        from: &DiskId,
        onto: &[DiskId],
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        if self.machine().begin_move(what, from, onto)? == 0 {
            return Ok(());
        }
        loop {
            let (done, total) = self.machine().moved(what)?;
            progress.report(done * EXTENT, total * EXTENT);
            if done == total {
                return self.machine().end_move(what);
            }
            if progress.is_cancelled() {
                self.machine().abort_move(what, from)?;
                return Err(Error::unavailable(
                    "the move was stopped on request; what was being moved lies where it lay",
                ));
            }
            let slice = SLICE.min((total - done) * EXTENT);
            self.clock
                .wait(self.sync_time(slice).max(Duration::from_micros(1)), || {
                    false
                });
        }
    }
}
