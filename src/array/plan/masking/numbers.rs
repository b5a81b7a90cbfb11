//! Device numbers: wished for by the client, remembered by initiators, or the lowest that is free.
//!
//! A number that was hidden from an initiator is retired for a while: paths to it may be left there,
//! which would silently lead to another disk. The array chooses such a number for the volume that it
//! belonged to, and for another one only when nothing else is left. A client that chooses by itself
//! gets what it wishes: who numbers by himself takes the lowest that he finds unused, again and again,
//! and could show nothing for as long as he is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use crate::array::engine::ForeignMap;
use crate::array::error::Error;
use crate::array::ids::{InitiatorName, PortId, VolumeId};
use crate::array::model::{FIRST_LUN, Map, Members, Retired, View};

/// What initiators of a view may remember of a number.
struct Past<'a> {
    /// When the last of them lost it: microseconds since 1970.
    since: u64,
    /// What it was there.
    volumes: BTreeSet<&'a VolumeId>,
}

/// The numbers that the initiators of a view may remember from its ports.
#[derive(Default)]
struct Memory<'a>(BTreeMap<u16, Past<'a>>);

impl<'a> Memory<'a> {
    fn add(&mut self, retired: &'a Retired) {
        let past = self.0.entry(retired.map.lun).or_insert(Past {
            since: retired.since,
            volumes: BTreeSet::new(),
        });
        past.since = past.since.max(retired.since);
        past.volumes.insert(&retired.map.volume);
    }

    /// The last number that the volume had, unless somebody knows it as another one's.
    fn number_of(&self, volume: &VolumeId, may_be: impl Fn(u16) -> bool) -> Option<u16> {
        let own = self.0.iter().filter(|(lun, past)| {
            may_be(**lun) && past.volumes.iter().all(|known| *known == volume)
        });
        own.max_by_key(|(_, past)| past.since).map(|(lun, _)| *lun)
    }

    /// The lowest number that nobody remembers; else the one that was retired first. 0 comes last.
    fn choose(&self, most: u16, taken: &BTreeSet<u16>) -> Option<u16> {
        let all = || (FIRST_LUN..=most).chain(0..FIRST_LUN);
        let free = || all().filter(|lun| !taken.contains(lun));
        free()
            .find(|lun| !self.0.contains_key(lun))
            .or_else(|| free().min_by_key(|lun| self.0.get(lun).map(|past| past.since)))
    }
}

impl Draft<'_> {
    /// Takes the client's numbers for members that are to be added.
    pub(super) fn want_for(&mut self, members: &Members, luns: &[u16]) -> Result<(), Error> {
        match members {
            Members::Volumes(volumes) => self.want(volumes, luns),
            _ if luns.is_empty() => Ok(()),
            _ => Err(Error::invalid(
                "device numbers belong to devices, not to other members",
            )),
        }
    }

    /// Takes the client's numbers for these volumes.
    pub(super) fn want(&mut self, volumes: &[VolumeId], luns: &[u16]) -> Result<(), Error> {
        if luns.is_empty() {
            return Ok(());
        }
        if luns.len() != volumes.len() {
            return Err(Error::invalid(format!(
                "{} device numbers for {} devices; give one for each, or none",
                luns.len(),
                volumes.len()
            )));
        }
        for (volume, &lun) in volumes.iter().zip(luns) {
            let most = self.now.policy.max_lun;
            if lun > most {
                return Err(Error::invalid(format!(
                    "device number {lun} is too large; the largest is {most}"
                )));
            }
            self.wanted.insert(volume.clone(), lun);
        }
        Ok(())
    }

    /// Refuses numbers that no device group was there to take.
    pub(super) fn all_wanted(&self, view: &View, luns: &[u16]) -> Result<(), Error> {
        if luns.is_empty() || !self.wanted.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "device numbers for masking view '{}' came without a device group; give both at once",
            view.name
        )))
    }

    /// Gives every device of a view its number: the one it has, the one the client wants, the one
    /// its initiators remember, or one under which none of them sees or remembers something else.
    pub(super) fn number(
        &self,
        view: &mut View,
        initiators: &BTreeSet<InitiatorName>,
        ports: &BTreeSet<PortId>,
        volumes: &[VolumeId],
    ) -> Result<(), Error> {
        let mut taken = self.taken(view, initiators, ports)?;
        let fresh = volumes.iter().filter(|v| !view.luns.contains_key(*v));
        // Wishes first, so that no number that the array chooses stands in their way.
        let (wished, free): (Vec<_>, Vec<_>) = fresh.partition(|v| self.wanted.contains_key(*v));
        for volume in wished {
            let lun = self.wanted[volume];
            if !taken.insert(lun) {
                return Err(Error::number_taken(format!(
                    "device number {lun} is taken in masking view '{}'; choose another one",
                    view.name
                )));
            }
            view.luns.insert(volume.clone(), lun);
        }
        if free.is_empty() {
            return Ok(());
        }
        let most = self.now.policy.max_lun;
        let memory = self.memory(initiators, ports);
        // Those that come back before the others: what is left may be a number of theirs.
        let mut new = Vec::new();
        for volume in free {
            let may_be = |lun| lun <= most && !taken.contains(&lun);
            match memory.number_of(volume, may_be) {
                Some(lun) => {
                    taken.insert(lun);
                    view.luns.insert(volume.clone(), lun);
                }
                None => new.push(volume),
            }
        }
        for volume in new {
            let Some(lun) = memory.choose(most, &taken) else {
                return Err(Error::view_full(format!(
                    "masking view '{}' has no device number left, {most} is the largest; take \
                     devices from it, or raise max_lun in the configuration if its hosts can \
                     address more",
                    view.name
                )));
            };
            taken.insert(lun);
            view.luns.insert(volume.clone(), lun);
        }
        Ok(())
    }

    /// The numbers that a view cannot give: its own, and those of other managers' maps.
    fn taken(
        &self,
        view: &View,
        initiators: &BTreeSet<InitiatorName>,
        ports: &BTreeSet<PortId>,
    ) -> Result<BTreeSet<u16>, Error> {
        let foreign = self.now.foreign_maps().iter();
        let foreign =
            foreign.filter(|m| ports.contains(&m.port) && initiators.contains(&m.initiator));
        // Who is in the view already has his trouble, and must not be kept from leaving it.
        let before = self.paths_now(view.id);
        let joins =
            |m: &&ForeignMap| !before.0.contains(&m.initiator) || !before.1.contains(&m.port);
        let joining = foreign.clone().filter(joins).map(|m| m.lun).collect();
        check_kept_numbers(view, &joining)?;
        let foreign = foreign.map(|m| m.lun);
        Ok(view.luns.values().copied().chain(foreign).collect())
    }

    /// What these initiators may remember from these ports.
    fn memory(&self, initiators: &BTreeSet<InitiatorName>, ports: &BTreeSet<PortId>) -> Memory<'_> {
        let mut memory = Memory::default();
        for initiator in initiators {
            for port in ports {
                let known = self.now.retired_for(initiator, port, self.at);
                known.for_each(|retired| memory.add(retired));
            }
        }
        memory
    }

    /// Retires the numbers that are hidden; those that are shown are in use again. What has aged
    /// meanwhile is written with them.
    pub(super) fn retire(&mut self, hidden: &[Map], shown: &[Map]) {
        if hidden.is_empty() && shown.is_empty() {
            return;
        }
        self.retired.extend(self.now.aged_numbers(self.at));
        if !self.now.policy.lun_quarantine.is_zero() {
            for map in hidden {
                let retired = Retired {
                    map: map.clone(),
                    since: self.at,
                };
                self.retired.insert(map.nexus(), Some(retired));
            }
        }
        for nexus in shown.iter().map(Map::nexus) {
            if self.now.retired(&nexus).is_some() {
                self.retired.insert(nexus, None);
            }
        }
    }
}

/// An initiator that joins must not see something else under a number that the view uses.
fn check_kept_numbers(view: &View, foreign: &BTreeSet<u16>) -> Result<(), Error> {
    match view.luns.values().find(|lun| foreign.contains(lun)) {
        None => Ok(()),
        Some(lun) => Err(Error::number_taken(format!(
            "device number {lun} of masking view '{}' is used for one of these initiators by \
             another manager",
            view.name
        ))),
    }
}
