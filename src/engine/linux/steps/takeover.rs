//! Taking over what another manager shows, and leaving it to him again: the volumes' part, around
//! the kernel target's.

use super::super::LinuxEngine;
use super::super::lio::takeover::{Known, Taken, Wanted};
use super::super::lvm::group::{Group, LvmError, Which};
use super::super::lvm::names::{self, LvmUuid};
use super::super::lvm::tags::{self, Marks};
use super::super::watch::Deadline;
use super::{lacks_disk, not_busy, not_ours, nothing, unreadable, verify};
use crate::array::{Error, Subject, Takeover, VolumeId};
use std::collections::BTreeMap;
use std::sync::Arc;

impl LinuxEngine {
    pub(in super::super) fn take_view_over(
        &self,
        view: &Takeover,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut wanted = Wanted {
            view: view.clone(),
            devices: BTreeMap::new(),
        };
        for volume in view.rows.values() {
            let (group, uuid) = self.place_of(volume, deadline)?;
            if let Some(device) = self.device(&group.uuid, &uuid)? {
                wanted.devices.insert(volume.clone(), device.number);
            }
        }
        // All of it is looked at before anything is changed, and again with the locks.
        let known = self.exports.inspect(wanted.clone(), deadline)?;
        for adopts in [false, true] {
            for (volume, known) in &known {
                self.adopt_volume(volume, known, view, adopts, deadline)?;
            }
        }
        self.exports.take_over(wanted, deadline)
    }

    /// Finds what was taken over and another manager has made again since.
    pub(in super::super) fn recognise(&self, deadline: Deadline) -> Result<(), Error> {
        let rows = self.lvm.list_volumes(deadline)?;
        let devices = self.places.dm_devices().map_err(unreadable)?;
        let taken = rows.iter().filter_map(|row| {
            let marks = Marks::read(&row.lv_tags);
            let vg = LvmUuid::new(row.vg_uuid.as_str()).ok()?;
            let lv = LvmUuid::new(row.lv_uuid.as_str()).ok()?;
            Some(Taken {
                uuid: row.lv_uuid.clone(),
                serial: marks.serial.filter(|_| marks.owned)?,
                number: devices.get(&names::dm_uuid(&vg, &lv))?.number,
            })
        });
        let taken: Vec<Taken> = taken.collect();
        match taken.is_empty() {
            true => Ok(()),
            false => self.exports.recognise(taken, deadline),
        }
    }

    fn place_of(
        &self,
        volume: &VolumeId,
        deadline: Deadline,
    ) -> Result<(Arc<Group>, LvmUuid), Error> {
        let absent = || nothing(&Subject::Known(volume.clone()));
        let uuid = LvmUuid::new(volume.as_str()).map_err(|_| absent())?;
        let group = self.group_for(&uuid, deadline)?;
        Ok((group.ok_or_else(absent)?, uuid))
    }

    /// Gives a volume the owner's mark, and marks of what hosts know of it. Whether that can be done is
    /// found out for all volumes before it is done (`adopts`) to any.
    fn adopt_volume(
        &self,
        volume: &VolumeId,
        known: &Known,
        view: &Takeover,
        adopts: bool,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (group, uuid) = self.place_of(volume, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = session.find(Which::Uuid(&uuid))?;
        let row = row.filter(|row| row.is_volume());
        let row = row.ok_or_else(|| nothing(&Subject::Known(volume.clone())))?;
        not_busy(&row, None)?;
        let marks = Marks::read(&row.lv_tags);
        let derived = volume.unit_serial();
        if marks.owned {
            return match *marks.serial.as_ref().unwrap_or(&derived) == known.serial {
                true => Ok(()),
                false => Err(Error::in_use(format!(
                    "volume {} is this array's, and another manager shows it under an identifier \
                     that is not its own; end that export first",
                    row.lv_name
                ))),
            };
        }
        if !view.adopted.contains(volume) {
            return Err(not_ours(&row));
        }
        if !row.vg_partial.is_empty() && !self.state(&mut session)?.vg_partial.is_empty() {
            return Err(lacks_disk(&row.vg_name));
        }
        let mut marks = vec![tags::owner()];
        if known.serial != derived || known.model.is_some() {
            let kept = tags::kept(&known.serial, known.model.as_deref());
            marks.extend(kept.map_err(|_| {
                Error::not_supported(format!(
                    "the unit serial of volume {} is too long to be kept with it; export it anew \
                     under a shorter one",
                    row.lv_name
                ))
            })?);
        }
        if !adopts {
            return Ok(());
        }
        let done = session.adopt(&uuid, &marks);
        verify(done, || {
            let row = session.find(Which::Uuid(&uuid))?;
            Ok(row.is_some_and(|row| Marks::read(&row.lv_tags).owned))
        })
    }

    pub(in super::super) fn give_view_back(
        &self,
        view: &Takeover,
        deadline: Deadline,
    ) -> Result<(), Error> {
        // Rows first: what is no volume of this array must not be in rows of its.
        self.exports.give_back(view, deadline)?;
        let mut first = Ok(());
        for volume in &view.adopted {
            first = first.and(self.disown(volume, deadline));
        }
        first
    }

    /// Takes off the marks of a volume's adoption; nothing if it is gone or has none.
    fn disown(&self, volume: &VolumeId, deadline: Deadline) -> Result<(), Error> {
        let (group, uuid) = self.place_of(volume, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = session.find(Which::Uuid(&uuid))?;
        let Some(row) = row.filter(|row| Marks::read(&row.lv_tags).owned) else {
            return Ok(());
        };
        let done = session.retag(&uuid, &tags::adoption(&row.lv_tags), &[]);
        verify(done, || -> Result<bool, LvmError> {
            let row = session.find(Which::Uuid(&uuid))?;
            Ok(row.is_none_or(|row| !Marks::read(&row.lv_tags).owned))
        })
    }
}
