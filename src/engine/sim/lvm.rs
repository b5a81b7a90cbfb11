//! What steps do to pools and volumes, and what they refuse, as LVM and its marks make it.
//!
//! Every function either changes everything that it is about or nothing. It knows nothing of
//! exports beyond whether there is one.

use super::extents::{Content, EXTENT, Segment};
use super::machine::{Lv, Machine, Pool};
use super::names::{check_device, check_display};
use crate::array::{Error, JobId, Owner, PoolId, Subject, VolumeId};

impl Machine {
    /// The volume that a step names; `None` where it is gone.
    pub(super) fn find(&self, subject: &Subject) -> Result<Option<&Lv>, Error> {
        match subject {
            Subject::Known(id) => Ok(self.known(id)),
            Subject::Pool(_) => Ok(None),
            Subject::Made(pool, device) => {
                self.pool(pool)?;
                let id = self.devices.get(&(pool.clone(), device.clone()));
                Ok(id.and_then(|id| self.volumes.get(id)))
            }
        }
    }

    /// The volume that a step names; an error where it is gone.
    pub(super) fn present(&self, subject: &Subject) -> Result<&Lv, Error> {
        self.find(subject)?.ok_or_else(|| {
            let name = match subject {
                Subject::Known(id) => id.as_str(),
                Subject::Pool(id) => id.as_str(),
                Subject::Made(_, device) => device,
            };
            Error::not_found(format!(
                "there is no volume {name}; it may have been removed"
            ))
        })
    }

    /// Refuses a volume that somebody holds open, exports of ours apart.
    pub(super) fn not_held(lv: &Lv) -> Result<(), Error> {
        match &lv.held_by {
            Some(holder) => Err(Error::in_use(format!(
                "{} is {holder}; release it there first",
                lv.called()
            ))),
            None => Ok(()),
        }
    }

    fn not_exported(&self, lv: &Lv) -> Result<(), Error> {
        if self.exports.contains_key(&lv.id) {
            return Err(Error::in_use(format!(
                "{} is exported; take it from its masking views first",
                lv.called()
            )));
        }
        Ok(())
    }

    fn idle(&self, lv: &Lv) -> Result<(), Error> {
        Self::not_held(lv)?;
        self.not_exported(lv)
    }

    /// See [`Step::Create`](crate::array::Step::Create).
    pub(super) fn create(
        &mut self,
        pool_id: &PoolId,
        device: &str,
        name: &str,
        size: u64,
        job: JobId,
        now: u64,
    ) -> Result<(), Error> {
        let pool = self.pool(pool_id)?;
        check_device(&pool.row.name, device)?;
        check_display(name)?;
        let extents = whole_extents(size)?;
        let key = (pool_id.clone(), device.to_owned());
        if let Some(lv) = self.devices.get(&key).and_then(|id| self.volumes.get(id)) {
            let same = ours(lv).is_ok()
                && lv.job == Some(job)
                && lv.extents() == extents
                && lv.name.as_deref() == Some(name);
            return match same {
                true => Ok(()),
                false => Err(Error::already_exists(format!(
                    "pool {} already has a logical volume {device}; choose another name",
                    pool.row.name
                ))),
            };
        }
        has_room(pool, size)?;
        let lv = Lv {
            id: self.new_volume_id(pool_id),
            device: device.to_owned(),
            name: Some(name.to_owned()),
            pool: pool_id.clone(),
            segments: self.allocate(pool_id, extents)?,
            owner: Owner::Array,
            job: Some(job),
            serial: None,
            held_by: None,
            created: now,
        };
        self.insert(lv)
    }

    /// Takes the first free extents of the pool's disks.
    pub(super) fn allocate(&mut self, pool: &PoolId, extents: u64) -> Result<Vec<Segment>, Error> {
        let pool = self.pool_mut(pool)?;
        let (mut segments, mut left) = (Vec::new(), extents);
        for (place, disk) in pool.disks.iter_mut().enumerate() {
            for (start, length) in disk.take(left) {
                left -= length;
                segments.push(Segment {
                    disk: place,
                    start,
                    length,
                });
            }
        }
        if left > 0 {
            pool.give_back(&segments);
            let largest = pool.available();
            return Err(
                Error::no_space(short_of_room(pool, extents * EXTENT)).with_largest(largest)
            );
        }
        Ok(segments)
    }

    /// Puts a new volume in its place and keeps it.
    pub(super) fn insert(&mut self, lv: Lv) -> Result<(), Error> {
        if let Err(error) = self.keep.commit(&[(&lv.id, Some(&lv))], self.made) {
            self.pool_mut(&lv.pool)?.give_back(&lv.segments);
            return Err(error);
        }
        self.pool_mut(&lv.pool)?.volumes += 1;
        let key = (lv.pool.clone(), lv.device.clone());
        self.devices.insert(key, lv.id.clone());
        self.volumes.insert(lv.id.clone(), lv);
        self.generation += 1;
        Ok(())
    }

    /// Keeps a changed volume, then puts it in the place of the old one.
    pub(super) fn replace(&mut self, lv: Lv) -> Result<(), Error> {
        self.keep.commit(&[(&lv.id, Some(&lv))], self.made)?;
        self.volumes.insert(lv.id.clone(), lv);
        self.generation += 1;
        Ok(())
    }

    /// Removes a volume; its extents keep what they hold.
    pub(super) fn delete(&mut self, lv: &Lv) -> Result<(), Error> {
        self.keep.commit(&[(&lv.id, None)], self.made)?;
        self.forget(lv)?;
        self.pool_mut(&lv.pool)?.give_back(&lv.segments);
        Ok(())
    }

    fn forget(&mut self, lv: &Lv) -> Result<(), Error> {
        self.volumes.remove(&lv.id);
        self.devices.remove(&(lv.pool.clone(), lv.device.clone()));
        self.pool_mut(&lv.pool)?.volumes -= 1;
        self.generation += 1;
        Ok(())
    }

    /// See [`Step::Mark`](crate::array::Step::Mark).
    pub(super) fn mark(&mut self, subject: &Subject, job: JobId) -> Result<(), Error> {
        let lv = self.present(subject)?;
        ours(lv)?;
        if lv.job == Some(job) {
            return Ok(());
        }
        no_other_job(lv)?;
        self.idle(lv)?;
        let mut lv = lv.clone();
        lv.job = Some(job);
        self.replace(lv)
    }

    /// See [`Step::Unmark`](crate::array::Step::Unmark).
    pub(super) fn unmark(&mut self, subject: &Subject, job: JobId) -> Result<(), Error> {
        let lv = self.present(subject)?;
        ours(lv)?;
        if lv.job.is_none() {
            return Ok(());
        }
        marked_by(lv, job)?;
        let mut lv = lv.clone();
        lv.job = None;
        self.replace(lv)
    }

    /// See [`Step::Remove`](crate::array::Step::Remove).
    pub(super) fn remove(&mut self, subject: &Subject, job: JobId) -> Result<(), Error> {
        let Some(lv) = self.find(subject)? else {
            return Ok(());
        };
        ours(lv)?;
        marked_by(lv, job)?;
        self.idle(lv)?;
        let lv = lv.clone();
        self.delete(&lv)
    }

    /// See [`Step::Rename`](crate::array::Step::Rename).
    pub(super) fn rename(&mut self, id: &VolumeId, name: &str) -> Result<(), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        check_display(name)?;
        let mut lv = lv.clone();
        lv.name = Some(name.to_owned());
        self.replace(lv)
    }

    /// See [`Step::Absorb`](crate::array::Step::Absorb).
    pub(super) fn absorb(
        &mut self,
        id: &VolumeId,
        reserve: &Subject,
        size: u64,
        job: JobId,
    ) -> Result<(), Error> {
        let lv = self.volume(id)?;
        ours(lv)?;
        let extents = whole_extents(size)?;
        let Some(reserve) = self.find(reserve)? else {
            return match lv.extents() == extents {
                true => Ok(()),
                false => Err(Error::not_found(format!(
                    "the extents set aside for {} are gone; grow it again",
                    lv.called()
                ))),
            };
        };
        self.may_absorb(lv, reserve, extents, job)?;
        let (mut grown, reserve) = (lv.clone(), reserve.clone());
        for segment in &reserve.segments {
            push_segment(&mut grown.segments, *segment);
        }
        let rows = [(&grown.id, Some(&grown)), (&reserve.id, None)];
        self.keep.commit(&rows, self.made)?;
        self.forget(&reserve)?;
        self.volumes.insert(grown.id.clone(), grown);
        Ok(())
    }

    fn may_absorb(&self, lv: &Lv, reserve: &Lv, extents: u64, job: JobId) -> Result<(), Error> {
        if lv.job.is_some() {
            marked_by(lv, job)?;
        }
        Self::not_held(lv)?;
        ours(reserve)?;
        marked_by(reserve, job)?;
        self.idle(reserve)?;
        if reserve.pool != lv.pool || reserve.id == lv.id {
            return Err(Error::invalid(format!(
                "{} can only grow by another volume of its own pool",
                lv.called()
            )));
        }
        if lv.extents() + reserve.extents() != extents {
            return Err(Error::invalid(format!(
                "{} would not have the size that was asked for; grow it by exactly what was set \
                 aside",
                lv.called()
            )));
        }
        complete(self.pool(&lv.pool)?)
    }

    /// Whether that job may overwrite the volume, and how many extents that is.
    pub(super) fn may_zero(&self, subject: &Subject, job: JobId) -> Result<u64, Error> {
        let lv = self.present(subject)?;
        ours(lv)?;
        marked_by(lv, job)?;
        self.idle(lv)?;
        if let Some(device) = self.failed_under(lv) {
            return Err(Error::unavailable(format!(
                "{} cannot be written because disk {device} has failed; replace the disk",
                lv.called()
            )));
        }
        Ok(lv.extents())
    }

    /// Overwrites some extents of a volume with zeros, after looking at it again.
    pub(super) fn zero(
        &mut self,
        subject: &Subject,
        job: JobId,
        start: u64,
        length: u64,
    ) -> Result<(), Error> {
        self.may_zero(subject, job)?;
        let lv = self.present(subject)?.clone();
        self.fill(&lv, start, length, Content::Zeros);
        Ok(())
    }
}

impl Pool {
    /// Gives extents back to their disks.
    pub(super) fn give_back(&mut self, segments: &[Segment]) {
        for segment in segments {
            if let Some(disk) = self.disks.get_mut(segment.disk) {
                disk.give_back(segment.start, segment.length);
            }
        }
    }
}

/// Adds a segment behind the others; a neighbour of the last one becomes part of it, as in LVM.
fn push_segment(segments: &mut Vec<Segment>, segment: Segment) {
    match segments.last_mut() {
        Some(last) if last.disk == segment.disk && last.start + last.length == segment.start => {
            last.length += segment.length;
        }
        _ => segments.push(segment),
    }
}

/// Refuses what is not this array's.
pub(super) fn ours(lv: &Lv) -> Result<(), Error> {
    match lv.owner {
        Owner::Array => Ok(()),
        Owner::Foreign => Err(Error::access_denied(format!(
            "{} was not made by this array and is left alone; change it with the tool that made \
             it",
            lv.called()
        ))),
    }
}

/// Refuses what does not bear the mark of that job.
fn marked_by(lv: &Lv, job: JobId) -> Result<(), Error> {
    if lv.job == Some(job) {
        return Ok(());
    }
    no_other_job(lv)?;
    Err(Error::in_use(format!(
        "{} is finished and may hold data; the job has to mark it first",
        lv.called()
    )))
}

/// Refuses what bears the mark of any job.
pub(super) fn no_other_job(lv: &Lv) -> Result<(), Error> {
    match lv.job {
        Some(job) => Err(Error::in_use(format!(
            "job {job} has not finished with {}; wait for it",
            lv.called()
        ))),
        None => Ok(()),
    }
}

/// The extents of a size, which must be whole.
pub(super) fn whole_extents(size: u64) -> Result<u64, Error> {
    if size == 0 || !size.is_multiple_of(EXTENT) {
        return Err(Error::invalid(format!(
            "{size} bytes are not a whole number of extents; give a multiple of {EXTENT} bytes"
        )));
    }
    Ok(size / EXTENT)
}

/// Refuses a pool that lacks a disk: LVM does not allocate in it.
fn complete(pool: &Pool) -> Result<(), Error> {
    match pool.failed() {
        Some(disk) => Err(Error::unavailable(format!(
            "pool {} cannot change because disk {} has failed; replace the disk",
            pool.row.name, disk.device
        ))),
        None => Ok(()),
    }
}

/// Refuses a pool without room for that many bytes.
fn has_room(pool: &Pool, size: u64) -> Result<(), Error> {
    complete(pool)?;
    if !pool.has_metadata_room() {
        return Err(Error::no_space(format!(
            "pool {} has no room in its metadata for another volume; remove some",
            pool.row.name
        ))
        .with_largest(0));
    }
    if size > pool.available() {
        return Err(Error::no_space(short_of_room(pool, size)).with_largest(pool.available()));
    }
    Ok(())
}

fn short_of_room(pool: &Pool, size: u64) -> String {
    format!(
        "pool {} has {} free, {} were asked for",
        pool.row.name,
        readable(pool.free() * EXTENT),
        readable(size)
    )
}

/// Bytes as people write them, e.g. `3.2 GiB`; rounded down.
pub(super) fn readable(bytes: u64) -> String {
    let (unit, shift) = match bytes {
        0..=0x3fff_ffff => ("MiB", 20),
        0x4000_0000..=0xff_ffff_ffff => ("GiB", 30),
        _ => ("TiB", 40),
    };
    let tenths = (bytes >> (shift - 10)) * 10 / 1024;
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        part => format!("{}.{part} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn sizes_are_readable() {
        for (bytes, text) in [
            (0, "0 MiB"),
            (4 << 20, "4 MiB"),
            ((3 << 30) + (300 << 20), "3.2 GiB"),
            (10 << 30, "10 GiB"),
            (1 << 40, "1 TiB"),
        ] {
            assert_eq!(readable(bytes), text);
        }
    }
}
