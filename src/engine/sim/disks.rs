//! A modelled disk: what it is, how it stands, which of its extents are free and what they hold.
//!
//! It knows nothing of volumes; groups only by the sign that their metadata leaves on it.

use serde::{Deserialize, Serialize};

use super::extents::{Content, EXTENT, Runs, Segment, Space};
use super::machine::{GroupRow, Machine};
use crate::array::{self, DiskId, DiskKind, DiskUsage, Drive, Error, Health};

/// Bytes before the first extent (pvcreate(8), `--dataalignment`).
pub(super) const HEAD: u64 = 1 << 20;

/// How a disk stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// It works.
    #[default]
    Working,
    /// It is there, and looks well, but reads and writes of what lies on it fail.
    Unsound,
    /// It is there, and reads and writes fail.
    Failed,
    /// It is away.
    Missing,
}

/// A disk as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DiskRow {
    pub(super) id: DiskId,
    /// Its device.
    pub(super) device: String,
    /// Bytes.
    pub(super) size: u64,
    /// What it is.
    pub(super) drive: Drive,
    pub(super) state: State,
    /// What somebody has put on it so that no pool is made from it, in one sentence.
    pub(super) carries: Option<String>,
}

/// A disk.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) row: DiskRow,
    /// Which extents no volume has.
    pub(super) space: Space,
    /// What they hold.
    pub(super) runs: Runs,
}

impl Disk {
    /// A disk that holds the same everywhere.
    pub(super) fn new(row: DiskRow, content: Content) -> Self {
        let extents = row.size.saturating_sub(HEAD) / EXTENT;
        Self {
            row,
            space: Space::new(extents),
            runs: Runs::new(extents, content),
        }
    }

    /// How many extents it has.
    pub(super) fn extents(&self) -> u64 {
        self.row.size.saturating_sub(HEAD) / EXTENT
    }

    /// Whether nothing lies on it.
    pub(super) fn is_empty(&self) -> bool {
        self.space.free() == self.extents()
    }

    /// Whether it is there and LVM can use it.
    pub(super) fn works(&self) -> bool {
        matches!(self.row.state, State::Working | State::Unsound)
    }

    /// Whether it can be read and written.
    pub(super) fn is_sound(&self) -> bool {
        self.row.state == State::Working
    }

    /// What is wrong with it, after its name: "disk /dev/sdb has failed".
    pub(super) fn trouble(&self) -> &'static str {
        match self.row.state {
            State::Working => "was away and has to be opened anew",
            State::Unsound => "fails",
            State::Failed => "has failed",
            State::Missing => "is missing",
        }
    }

    fn health(&self) -> Health {
        match self.row.state {
            State::Working | State::Unsound => Health::Ok,
            State::Failed => Health::Failed("reads and writes fail; replace it".to_owned()),
            State::Missing => Health::Failed("it is missing; connect it again".to_owned()),
        }
    }

    /// As the array sees it, used for that.
    pub(super) fn report(&self, usage: DiskUsage) -> array::Disk {
        array::Disk {
            id: self.row.id.clone(),
            device: self.row.device.clone(),
            size: self.row.size,
            kind: DiskKind::Drive(self.row.drive.clone()),
            usage,
            health: self.health(),
        }
    }

    /// As a member of a pool; nothing is free on one that is closed, or that LVM counts as missing.
    pub(super) fn report_member(&self, group: &GroupRow) -> array::Disk {
        let returned = self.works() && group.missing.contains(&self.row.id);
        let disk = self.report(DiskUsage::Member {
            pool: group.id.clone(),
            used: (self.extents() - self.space.free()) * EXTENT,
            free: match returned || group.closed.contains(&self.row.id) {
                true => 0,
                false => self.space.free() * EXTENT,
            },
            returned,
        });
        match returned {
            true => array::Disk {
                health: Health::Degraded(
                    "it was away while its pool was changed and is there again; repair a volume of \
                     the pool, which takes it back"
                        .to_owned(),
                ),
                ..disk
            },
            false => disk,
        }
    }
}

impl Machine {
    /// The disk of that identity.
    pub(super) fn disk(&self, id: &DiskId) -> Result<&Disk, Error> {
        let known = self.disks.get(id);
        known.ok_or_else(|| Error::not_found(format!("there is no disk {id}; look at the disks")))
    }

    /// Whether a disk is there and answers.
    pub(super) fn disk_is_there(&self, id: &DiskId) -> bool {
        self.disks.get(id).is_some_and(Disk::works)
    }

    /// Whether a disk is there and LVM uses it.
    pub(super) fn disk_works(&self, id: &DiskId) -> bool {
        self.disk_is_there(id) && !self.is_noted_missing(id)
    }

    /// The first disk under these segments that is away.
    pub(super) fn lost_under<'a>(
        &self,
        segments: impl IntoIterator<Item = &'a Segment>,
    ) -> Option<&Disk> {
        let mut disks = segments
            .into_iter()
            .filter_map(|segment| self.disks.get(&segment.disk));
        disks.find(|disk| !disk.works())
    }

    /// The first disk under these segments that cannot be read and written.
    pub(super) fn unsound_under<'a>(
        &self,
        segments: impl IntoIterator<Item = &'a Segment>,
    ) -> Option<&Disk> {
        let mut disks = segments
            .into_iter()
            .filter_map(|segment| self.disks.get(&segment.disk));
        disks.find(|disk| !disk.is_sound() || self.is_noted_missing(&disk.row.id))
    }

    /// Refuses a disk that a pool cannot be made from.
    pub(super) fn is_free(&self, id: &DiskId) -> Result<(), Error> {
        let disk = self.disk(id)?;
        if disk.row.state == State::Missing {
            return Err(Error::not_found(format!(
                "disk {} is missing; connect it again",
                disk.row.device
            )));
        }
        let all = &self.groups;
        let owner = all.iter().find(|group| group.row.disks.contains(id));
        let reason = match (owner, &disk.row.carries) {
            (Some(group), _) => format!("it belongs to volume group {}", group.row.device),
            (None, Some(what)) => what.clone(),
            (None, None) if !disk.works() => {
                return Err(Error::unavailable(format!(
                    "disk {} has failed; replace it",
                    disk.row.device
                )));
            }
            (None, None) => return Ok(()),
        };
        Err(Error::in_use(format!(
            "disk {} cannot be used: {reason}",
            disk.row.device
        )))
    }

    /// The disks that belong to no pool that this array manages; missing ones are not seen.
    pub(super) fn report_other_disks(&self) -> impl Iterator<Item = array::Disk> + '_ {
        let present = self
            .disks
            .values()
            .filter(|disk| disk.row.state != State::Missing);
        present.filter_map(|disk| {
            let id = &disk.row.id;
            let group = self.groups.iter().find(|g| g.row.disks.contains(id));
            let usage = match group {
                Some(group) if self.sees(&group.row.id) => return None,
                Some(group) => DiskUsage::Taken(format!(
                    "it belongs to volume group {}, which this array does not manage",
                    group.row.device
                )),
                None => match &disk.row.carries {
                    Some(what) => DiskUsage::Taken(what.clone()),
                    None if !disk.works() => DiskUsage::Taken("it has failed".to_owned()),
                    None => DiskUsage::Free,
                },
            };
            Some(disk.report(usage))
        })
    }

    /// Fills extents of disks. Kept with the next commit.
    pub(super) fn fill_segments(&mut self, segments: &[Segment], content: Content) {
        for segment in segments {
            if let Some(disk) = self.disks.get_mut(&segment.disk) {
                let changes = disk.runs.fill(segment.start, segment.length, content);
                self.keep.note(&segment.disk, changes);
            }
        }
    }

    /// What extents of disks hold, run by run: (extents, content).
    pub(super) fn contents_of<'a>(
        &'a self,
        segments: &'a [Segment],
    ) -> impl Iterator<Item = (u64, Content)> + 'a {
        segments
            .iter()
            .filter_map(|segment| Some((self.disks.get(&segment.disk)?, segment)))
            .flat_map(|(disk, segment)| disk.runs.contents(segment.start, segment.length))
    }

    /// The worst that extents of disks hold.
    pub(super) fn worst_of<'a>(&self, segments: impl IntoIterator<Item = &'a Segment>) -> Content {
        segments
            .into_iter()
            .flat_map(|segment| self.contents_of(std::slice::from_ref(segment)))
            .map(|(_, content)| content)
            .max()
            .unwrap_or(Content::Zeros)
    }

    /// Gives extents back to their disks. What they hold stays in them.
    pub(super) fn give_back<'a>(&mut self, segments: impl IntoIterator<Item = &'a Segment>) {
        for segment in segments {
            if let Some(disk) = self.disks.get_mut(&segment.disk) {
                disk.space.give_back(segment.start, segment.length);
            }
        }
    }
}
