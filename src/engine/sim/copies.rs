//! More and fewer copies of a volume that is in use.

use std::collections::BTreeSet;

use super::extents::{Content, Runs, Segment};
use super::guards::{ours, unmarked};
use super::legs::{Ground, Leg, Legs};
use super::machine::{Body, Lv, Machine};
use crate::array::{DiskId, Error, Layout, VolumeId};

impl Machine {
    /// The legs of a volume that consists of complete copies.
    fn copies_of(&self, id: &VolumeId) -> Result<(&Lv, &Legs), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        match &lv.body {
            Body::Thick(legs)
                if matches!(legs.layout, Layout::Linear | Layout::Mirrored { .. }) =>
            {
                Ok((lv, legs))
            }
            _ => Err(Error::invalid(format!(
                "{} does not consist of complete copies; make another volume",
                lv.called()
            ))),
        }
    }

    /// Refuses a volume whose legs must stay as they are.
    fn may_change_legs(&self, lv: &Lv) -> Result<(), Error> {
        unmarked(lv.job, &lv.called())?;
        self.stays(lv)?;
        self.has_no_deltas(lv)?;
        self.complete(self.group(&lv.group)?)
    }

    /// Refuses legs of which not all but these work and hold everything.
    fn whole_without(&self, lv: &Lv, legs: &Legs, without: &[usize]) -> Result<(), Error> {
        match self.are_whole_without(legs, without) {
            true => Ok(()),
            false => Err(Error::unavailable(format!(
                "the other copies of {} are not all whole and in step; wait until they are",
                lv.called()
            ))),
        }
    }

    /// See [`Step::AddCopies`](crate::array::Step::AddCopies).
    pub(super) fn add_copies(&mut self, id: &VolumeId, onto: &[DiskId]) -> Result<(), Error> {
        let (lv, legs) = self.copies_of(id)?;
        let used: BTreeSet<&DiskId> = legs.segments().map(|segment| &segment.disk).collect();
        let new: Vec<DiskId> = onto
            .iter()
            .filter(|id| !used.contains(id))
            .cloned()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.may_change_legs(lv)?;
        let group = self.group(&lv.group)?;
        if let Some(other) = new.iter().find(|id| !group.row.disks.contains(id)) {
            return Err(Error::not_found(format!(
                "disk {other} does not belong to pool {}; look at its disks",
                group.name()
            )));
        }
        let distinct: BTreeSet<&DiskId> = new.iter().collect();
        if distinct.len() < new.len() || !new.iter().all(|id| self.disk_works(id)) {
            return Err(Error::invalid(format!(
                "name different disks of pool {} for the copies of {}",
                group.name(),
                lv.called()
            )));
        }
        let Some(first) = legs.legs.first().and_then(one_disk) else {
            return Err(Error::not_supported(format!(
                "{} lies on several disks; move it to one first",
                lv.called()
            )));
        };
        self.whole_without(lv, legs, &[])?;
        self.readable(lv)?;
        let copies = u16::try_from(legs.legs.len() + new.len()).unwrap_or(u16::MAX);
        let (layout, rows) = (Layout::Mirrored { copies }, legs.rows());
        let notes = u64::from(legs.legs.iter().any(|leg| leg.note.is_none()));
        self.has_room(group, (rows + 1) * new.len() as u64 + notes)?;
        let mut lv = lv.clone();
        let taken = self.allocate_copies(layout, &new, rows, (notes > 0).then_some(&first));
        let (note, added) = taken.ok_or_else(|| {
            Error::no_space(format!(
                "the disks have too little room for copies of {}; name others",
                lv.called()
            ))
        })?;
        let all: Vec<Segment> = added
            .iter()
            .flat_map(Leg::segments)
            .chain(&note)
            .cloned()
            .collect();
        let contents = self.contents(&lv);
        if let Body::Thick(legs) = &mut lv.body {
            if let Some(note) = note {
                legs.legs[0].note = Some(note);
            }
            if legs.written.is_none() {
                legs.written = Some(runs(&contents));
            }
            legs.layout = layout;
            legs.legs.extend(added);
            legs.synced = 0;
        }
        if let Err(error) = self.replace(lv) {
            self.give_back(&all);
            return Err(error);
        }
        self.begin_sync(id);
        Ok(())
    }

    /// The extents of new copies, and of the note on that disk; all or none.
    fn allocate_copies(
        &mut self,
        layout: Layout,
        disks: &[DiskId],
        rows: u64,
        note_on: Option<&DiskId>,
    ) -> Option<(Option<Segment>, Vec<Leg>)> {
        let note = match note_on {
            Some(disk) => Some(self.allocate(Ground::Disk(disk), 1)?.pop()?),
            None => None,
        };
        let mut legs: Vec<Leg> = Vec::new();
        for disk in disks {
            match self.allocate_leg(layout, disk, rows) {
                Some(leg) => legs.push(Leg {
                    behind: true,
                    ..leg
                }),
                None => {
                    self.give_back(legs.iter().flat_map(Leg::segments).chain(&note));
                    return None;
                }
            }
        }
        Some((note, legs))
    }

    /// See [`Step::DropCopies`](crate::array::Step::DropCopies).
    pub(super) fn drop_copies(&mut self, id: &VolumeId, from: &[DiskId]) -> Result<(), Error> {
        let (lv, legs) = self.copies_of(id)?;
        let on = |leg: &Leg| leg.segments().any(|segment| from.contains(&segment.disk));
        let gone: Vec<usize> = (0..legs.legs.len())
            .filter(|n| on(&legs.legs[*n]))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.may_change_legs(lv)?;
        if gone.len() == legs.legs.len() {
            // A single copy is no copy of anything.
            return match legs.layout {
                Layout::Linear => Ok(()),
                _ => Err(Error::invalid(format!(
                    "one copy of {} has to stay; name fewer disks",
                    lv.called()
                ))),
            };
        }
        self.whole_without(lv, legs, &gone)?;
        let synced = self.synced(id, legs);
        let contents = self.contents(lv);
        let mut lv = lv.clone();
        let mut freed = Vec::new();
        if let Body::Thick(legs) = &mut lv.body {
            let mut number = 0;
            legs.legs.retain(|leg| {
                let stays = !gone.contains(&number);
                number += 1;
                if !stays {
                    freed.extend(leg.segments().cloned());
                }
                stays
            });
            let copies = u16::try_from(legs.legs.len()).unwrap_or(u16::MAX);
            // What is left holds everything.
            legs.synced = legs.rows().max(synced);
            legs.layout = Layout::Mirrored { copies };
            if copies == 1 {
                legs.layout = Layout::Linear;
                legs.written = None;
                freed.extend(legs.legs[0].note.take());
            }
        }
        let left = match &lv.body {
            Body::Thick(legs) if legs.layout == Layout::Linear => legs.legs[0].data.clone(),
            _ => Vec::new(),
        };
        self.replace(lv)?;
        self.syncing.remove(id);
        self.give_back(&freed);
        self.spread(&left, &contents);
        self.keep_contents(id)
    }

    /// Notes on the disks what a volume without copies holds there now.
    pub(super) fn spread(&mut self, on: &[Segment], contents: &[(u64, Content)]) {
        let mut at = 0;
        for (length, content) in contents {
            let part = super::extents::part(on, at, *length);
            self.fill_segments(&part, *content);
            at += length;
        }
    }
}

/// The disk that a leg lies on, if it is one.
fn one_disk(leg: &Leg) -> Option<DiskId> {
    let first = leg.data.first()?;
    let is_whole = leg.data.iter().all(|segment| segment.disk == first.disk);
    is_whole.then(|| first.disk.clone())
}

/// What runs of contents say, noted by extent.
fn runs(contents: &[(u64, Content)]) -> Runs {
    let extents = contents.iter().map(|(length, _)| length).sum();
    let mut runs = Runs::new(extents, Content::Zeros);
    let mut at = 0;
    for (length, content) in contents {
        runs.fill(at, *length, *content);
        at += length;
    }
    runs
}
