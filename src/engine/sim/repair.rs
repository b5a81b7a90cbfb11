//! Legs that do not work any more, on disks that are away or are there, and how they are made whole.

use std::collections::BTreeSet;

use super::guards::{ours, unmarked};
use super::legs::{Leg, Legs, Standing};
use super::machine::{Body, Machine};
use crate::array::{DiskId, Error, Health, Trouble, VolumeId};

impl Machine {
    /// Which legs do not work though their disks are there.
    pub(super) fn trouble(&self, legs: &Legs) -> Trouble {
        let of = |is_so: &dyn Fn(&Leg) -> bool| {
            let legs = (0..).zip(&legs.legs);
            let there = legs.filter(|(_, leg)| self.lost_under(leg.segments()).is_none());
            let found = there.filter(|(_, leg)| is_so(leg));
            found.map(|(number, _)| number).collect()
        };
        Trouble {
            stale: of(&|leg| self.is_stale(leg)),
            // Without redundancy the kernel keeps no account.
            failing: of(&|leg| legs.is_redundant() && !self.is_stale(leg) && !self.works(leg)),
        }
    }

    /// Whether the disk of a leg that is there was away.
    fn is_stale(&self, leg: &Leg) -> bool {
        let mut segments = leg.segments();
        leg.standing == Standing::Stale
            || segments.any(|segment| self.is_noted_missing(&segment.disk))
    }

    /// Whether the legs besides these are there, work, and hold everything.
    pub(super) fn are_whole_without(&self, legs: &Legs, without: &[usize]) -> bool {
        let others = legs.legs.iter().enumerate();
        let mut others = others.filter(|(number, _)| !without.contains(number));
        others.all(|(_, leg)| self.works(leg) && !leg.behind)
    }

    /// Opens a disk anew for the legs on it, or notes that the kernel does not use these.
    pub(super) fn mark_legs(&mut self, disk: &DiskId, standing: Standing) {
        for lv in self.volumes.values_mut() {
            let Body::Thick(legs) = &mut lv.body else {
                continue;
            };
            let is_redundant = legs.is_redundant();
            let on = |leg: &&mut Leg| leg.segments().any(|segment| segment.disk == *disk);
            for leg in legs.legs.iter_mut().filter(on) {
                if standing != Standing::Failing || is_redundant {
                    leg.standing = standing;
                }
            }
        }
        self.mind_disk(disk);
    }

    /// How well legs are of which some do not work though their disks are there.
    pub(super) fn troubled(&self, legs: &Legs) -> Option<Health> {
        let trouble = self.trouble(legs);
        let device = |number: &u16| {
            let leg = legs.legs.get(usize::from(*number))?;
            let disk = self.disks.get(&leg.segments().next()?.disk)?;
            Some(&disk.row.device)
        };
        if let Some(device) = trouble.stale.first().and_then(device) {
            return Some(Health::Degraded(format!(
                "disk {device} under it was away and is there again; repair the volume, which opens \
                 the disk anew"
            )));
        }
        let device = trouble.failing.first().and_then(device)?;
        Some(match self.can_read(legs) {
            true => Health::Degraded(format!(
                "its part on disk {device} fails though the disk is there; repair the volume onto \
                 another disk"
            )),
            false => Health::Failed(format!(
                "its part on disk {device} fails though the disk is there, and no other one holds \
                 the data; look at the disk"
            )),
        })
    }

    /// See [`Step::Refresh`](crate::array::Step::Refresh).
    pub(super) fn refresh(&mut self, id: &VolumeId) -> Result<(), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        unmarked(lv.job, &lv.called())?;
        let Body::Thick(legs) = &lv.body else {
            return Ok(());
        };
        let stale = self.trouble(legs).stale;
        if stale.is_empty() {
            return Ok(());
        }
        let is_missing = |leg: &Leg| leg.segments().any(|s| self.is_noted_missing(&s.disk));
        if legs.legs.iter().any(is_missing) {
            return Err(Error::unavailable(format!(
                "a disk of {} was away when its pool was changed, which has to take it back first",
                lv.called()
            )));
        }
        let mut lv = lv.clone();
        if let Body::Thick(legs) = &mut lv.body {
            for leg in stale {
                legs.legs[usize::from(leg)].standing = Standing::Used;
            }
        }
        self.replace(lv)?;
        self.begin_sync(id);
        Ok(())
    }

    /// See [`Step::Repair`](crate::array::Step::Repair).
    pub(super) fn repair(&mut self, id: &VolumeId, onto: &[DiskId]) -> Result<(), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        unmarked(lv.job, &lv.called())?;
        self.stays(lv)?;
        let Body::Thick(legs) = &lv.body else {
            return Err(Error::invalid(format!(
                "{} is thin; its pool is to be repaired",
                lv.called()
            )));
        };
        let missing = (0..legs.legs.len())
            .filter(|leg| self.lost_under(legs.legs[*leg].segments()).is_some());
        let missing: Vec<usize> = missing.collect();
        let failing: Vec<usize> = self
            .trouble(legs)
            .failing
            .into_iter()
            .map(usize::from)
            .collect();
        if !missing.is_empty() && !failing.is_empty() {
            return Err(Error::unavailable(format!(
                "{} has lost a disk while another one fails; connect the lost disk again first",
                lv.called()
            )));
        }
        let lost = [missing, failing].concat();
        if lost.is_empty() {
            return Ok(());
        }
        if !self.trouble(legs).stale.is_empty() {
            return Err(Error::unavailable(format!(
                "a disk of {} was away and has not been opened anew; repair the volume again",
                lv.called()
            )));
        }
        self.readable(lv)?;
        if !self.are_whole_without(legs, &lost) {
            return Err(Error::unavailable(format!(
                "the other legs of {} are not all whole and in step; wait until they are",
                lv.called()
            )));
        }
        let used: BTreeSet<&DiskId> = legs.segments().map(|segment| &segment.disk).collect();
        let members = &self.group(&lv.group)?.row.disks;
        let fits = |id: &&DiskId| {
            let others = !used.contains(id) && members.contains(id);
            others && self.disk_works(id)
        };
        let places: BTreeSet<&DiskId> = onto.iter().filter(fits).collect();
        if onto.len() < lost.len() || places.len() < onto.len() {
            return Err(Error::invalid(format!(
                "{} has lost {} legs; name as many working disks of its pool on which it does not \
                 lie",
                lv.called(),
                lost.len()
            )));
        }
        let (mut lv, layout, rows) = (lv.clone(), legs.layout, legs.rows());
        let (mut taken, mut gone) = (Vec::new(), Vec::new());
        for (leg, disk) in lost.iter().zip(onto) {
            let Some(mut new) = self.allocate_leg(layout, disk, rows) else {
                self.give_back(&taken);
                return Err(Error::no_space(format!(
                    "disk {disk} has too little room to repair {}; name another",
                    lv.called()
                ))
                .with_largest(0));
            };
            new.behind = true;
            taken.extend(new.segments().cloned());
            if let Body::Thick(legs) = &mut lv.body {
                let old = std::mem::replace(&mut legs.legs[*leg], new);
                gone.extend(old.segments().cloned());
                legs.synced = 0;
            }
        }
        let group = lv.group.clone();
        if let Err(error) = self.note_missing(&group).and_then(|()| self.replace(lv)) {
            self.give_back(&taken);
            return Err(error);
        }
        self.give_back(&gone);
        self.syncing.remove(id);
        self.begin_sync(id);
        Ok(())
    }
}
