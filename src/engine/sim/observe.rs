//! What an initiator finds on the modelled machine: the probes of tests.
//!
//! An initiator speaks to a port; it sees nothing of pools, marks or jobs.

use std::collections::BTreeMap;
use std::ops::Range;

use super::SimEngine;
use super::extents::{Content, EXTENT};
use super::machine::{Lv, Machine};
use crate::array::{InitiatorName, Naa, PortId};

impl SimEngine {
    /// The LUN numbers that an initiator finds behind a port, with the identifier that each answers
    /// to INQUIRY (page 0x83); `None` where it cannot log in.
    pub fn report_luns(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
    ) -> Option<BTreeMap<u16, Naa>> {
        let machine = self.0.machine();
        let seen = machine.seen_by(initiator, port)?;
        let volumes = seen.into_iter();
        Some(
            volumes
                .filter_map(|(number, lun)| Some((number, machine.volumes.get(&lun.volume)?.naa())))
                .collect(),
        )
    }

    /// The worst that an initiator finds when it reads a whole LUN; `None` where it has no such LUN
    /// or cannot read it.
    pub fn read_as(&self, initiator: &InitiatorName, port: &PortId, lun: u16) -> Option<Content> {
        self.extents_as(initiator, port, lun)?.into_iter().max()
    }

    /// What each extent of a LUN holds for an initiator that reads it; `None` where it has no such
    /// LUN or cannot read it. Their number times the pool's extent is the capacity of the LUN.
    pub fn extents_as(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
        lun: u16,
    ) -> Option<Vec<Content>> {
        let machine = self.0.machine();
        let lv = readable(&machine, initiator, port, lun)?;
        let mut contents = Vec::new();
        for (length, content) in machine.contents(lv) {
            contents.resize(contents.len() + usize::try_from(length).ok()?, content);
        }
        Some(contents)
    }

    /// Writes one byte all over a range of a LUN (in bytes, whole extents) as an initiator would;
    /// whether it could.
    pub fn write_as(
        &self,
        initiator: &InitiatorName,
        port: &PortId,
        lun: u16,
        range: Range<u64>,
        byte: u8,
    ) -> bool {
        let mut machine = self.0.machine();
        let Some(lv) = readable(&machine, initiator, port, lun).cloned() else {
            return false;
        };
        let whole = range.start.is_multiple_of(EXTENT) && range.end.is_multiple_of(EXTENT);
        if !whole || range.is_empty() || range.end > lv.size() {
            return false;
        }
        let length = (range.end - range.start) / EXTENT;
        let content = match byte {
            0 => Content::Zeros,
            byte => Content::Written(byte),
        };
        machine.fill(&lv, range.start / EXTENT, length, content);
        let made = machine.made;
        machine.keep.commit(&[], made).is_ok()
    }
}

fn readable<'a>(
    machine: &'a Machine,
    initiator: &InitiatorName,
    port: &PortId,
    lun: u16,
) -> Option<&'a Lv> {
    let lun = *machine.seen_by(initiator, port)?.get(&lun)?;
    let lv = machine.volumes.get(&lun.volume)?;
    machine.failed_under(lv).is_none().then_some(lv)
}
