//! What steps refuse, whatever they are about: what is somebody else's, another job's, held,
//! exported, or in a group that lacks a disk.

use super::extents::EXTENT;
use super::machine::{Group, Lv, Machine};
use crate::array::{Error, JobId, Owner};

/// Refuses a volume that is not this array's.
pub(super) fn ours(lv: &Lv) -> Result<(), Error> {
    own(lv.owner, &lv.called())
}

/// Refuses a group that is not this array's.
pub(super) fn our_group(group: &Group) -> Result<(), Error> {
    own(group.row.owner, &format!("pool {}", group.name()))
}

fn own(owner: Owner, called: &str) -> Result<(), Error> {
    match owner {
        Owner::Array => Ok(()),
        Owner::Foreign => Err(Error::access_denied(format!(
            "{called} was not made by this array and is left alone; change it with the tool that \
             made it"
        ))),
    }
}

/// Refuses what does not bear the mark of that job.
pub(super) fn marked_by(mark: Option<JobId>, job: JobId, called: &str) -> Result<(), Error> {
    if mark == Some(job) {
        return Ok(());
    }
    unmarked(mark, called)?;
    Err(Error::in_use(format!(
        "{called} is finished and may hold data; the job has to mark it first"
    )))
}

/// Refuses what bears the mark of any job.
pub(super) fn unmarked(mark: Option<JobId>, called: &str) -> Result<(), Error> {
    match mark {
        Some(job) => Err(Error::in_use(format!(
            "job {job} has not finished with {called}; wait for it"
        ))),
        None => Ok(()),
    }
}

/// Refuses what bears the mark of any other job.
pub(super) fn no_other_job(lv: &Lv, job: JobId) -> Result<(), Error> {
    match lv.job {
        Some(mark) if mark != job => unmarked(lv.job, &lv.called()),
        _ => Ok(()),
    }
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

impl Machine {
    /// Refuses a volume that anybody holds open, exports of ours included.
    pub(super) fn idle(&self, lv: &Lv) -> Result<(), Error> {
        not_held(lv)?;
        let is_exported = self.exports.contains_key(&lv.id);
        // What was taken over may be shown by another manager, too.
        match is_exported || (lv.serial.is_some() && self.is_shown(&lv.id)) {
            true => Err(Error::in_use(format!(
                "{} is exported; take it from its masking views first",
                lv.called()
            ))),
            false => Ok(()),
        }
    }

    /// Refuses a group that lacks a disk: LVM does not change it.
    pub(super) fn complete(&self, group: &Group) -> Result<(), Error> {
        match self.lost_disk(group) {
            Some(disk) => Err(Error::unavailable(format!(
                "pool {} cannot change because disk {} {}; connect it again, or repair what lies \
                 on it",
                group.name(),
                disk.row.device,
                disk.trouble()
            ))),
            None => Ok(()),
        }
    }

    /// Refuses a group without room for so many more extents.
    pub(super) fn has_room(&self, group: &Group, extents: u64) -> Result<(), Error> {
        self.complete(group)?;
        if !group.has_metadata_room() {
            return Err(Error::no_space(format!(
                "pool {} has no room in its metadata for another volume; remove some",
                group.name()
            ))
            .with_largest(0));
        }
        let available = self.available(group);
        match extents.saturating_mul(EXTENT) > available {
            true => Err(Error::no_space(format!(
                "pool {} has {} free, {} were asked for",
                group.name(),
                readable(self.free(group) * EXTENT),
                readable(extents.saturating_mul(EXTENT))
            ))
            .with_largest(available)),
            false => Ok(()),
        }
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
