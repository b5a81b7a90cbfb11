//! A managed volume group, changed one command at a time.
//!
//! Every group has a shell of its own for changes, so that a long command in one group keeps
//! nobody from another. What may be done to which volume is decided by the callers; here is how it
//! is said to LVM.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::line::{
    Anybodys, Bytes, Chosen, ChosenPool, Extents, Line, OurOrigins, OurThin, Qualified,
};
use super::names::{DevicePath, LvName, LvmUuid, Tag, VgName};
use super::report::{
    Document, LV_COLUMNS, LvRow, PV_COLUMNS, PvRow, SEGMENT_COLUMNS, VG_COLUMNS, VgRow,
};
use super::roster::list;
use super::shell::{Shell, ShellError};
use crate::array::{Layout, SNAPSHOT_CHUNK};
use crate::engine::linux::watch::{Deadline, Gate, TimedOut, Turn};

/// How a request to LVM failed.
#[derive(Debug, thiserror::Error)]
pub enum LvmError {
    /// By LVM itself.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// Waiting for it.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The configuration of the host's LVM could not be had, or ours not written.
    #[error("the host's LVM configuration could not be read")]
    Configuration(#[source] io::Error),
    /// The kernel's list of devices could not be had.
    #[error("the kernel's list of devices cannot be read")]
    Devices(#[source] io::Error),
    /// A configured volume group is not there.
    #[error("there is no volume group {0}")]
    NoGroup(VgName),
    /// LVM says something that cannot be.
    #[error("LVM reports {0}")]
    Odd(String),
}

/// A managed group.
#[derive(Debug)]
pub struct Group {
    /// Its name when it was found.
    pub name: VgName,
    /// Its identity.
    pub uuid: LvmUuid,
    writer: Arc<Gate<Shell>>,
    /// Of which of its disks the machine has a second one.
    doubled: Arc<Mutex<Option<String>>>,
}

impl Group {
    /// A group with a shell of its own.
    pub(super) fn new(name: VgName, uuid: LvmUuid, shell: Shell) -> Self {
        Self {
            name,
            uuid,
            writer: Arc::new(Gate::new(shell)),
            doubled: Arc::default(),
        }
    }

    /// The same group under another name.
    pub(super) fn renamed(&self, name: VgName) -> Self {
        Self {
            name,
            uuid: self.uuid.clone(),
            writer: Arc::clone(&self.writer),
            doubled: Arc::clone(&self.doubled),
        }
    }

    /// Notes which of its disks there is a copy of, in words, if there is one.
    pub(super) fn note_copy(&self, which: Option<String>) {
        *self.doubled.lock().unwrap_or_else(PoisonError::into_inner) = which;
    }

    /// Of which of its disks there is a copy with the same identity, which LVM may take for the disk.
    pub fn copy(&self) -> Option<String> {
        let doubled = self.doubled.lock();
        doubled.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nobody else of this program changes the group. As LVM itself, it refuses one of
    /// which a disk is there twice: nobody knows which of the two holds what hosts wrote.
    pub fn enter(&self, deadline: Deadline) -> Result<Session<'_>, LvmError> {
        self.session(Gate::enter, deadline)
    }

    /// As [`Group::enter`], before all who wait: for a look that every masking change waits for.
    pub fn enter_first(&self, deadline: Deadline) -> Result<Session<'_>, LvmError> {
        self.session(Gate::enter_first, deadline)
    }

    fn session<'a>(
        &'a self,
        enter: Enter<'a>,
        deadline: Deadline,
    ) -> Result<Session<'a>, LvmError> {
        if let Some(which) = self.copy() {
            return Err(LvmError::Odd(format!("{which}; neither is touched")));
        }
        let what = format!("volume group {}", self.name);
        let shell = enter(&self.writer, &what, deadline)?;
        Ok(Session {
            group: self,
            shell,
            deadline,
        })
    }
}

/// A way through the gate before a group's shell.
type Enter<'a> = fn(&'a Gate<Shell>, &str, Deadline) -> Result<Turn<'a, Shell>, TimedOut>;

/// A volume by what is known of it.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// By identity.
    Uuid(&'a LvmUuid),
    /// By name.
    Name(&'a LvName),
}

impl Which<'_> {
    /// Whether that row is of this volume.
    pub fn is(&self, row: &LvRow) -> bool {
        match self {
            Self::Uuid(uuid) => row.lv_uuid == uuid.as_str(),
            Self::Name(name) => row.lv_name == name.as_str(),
        }
    }
}

/// What to create.
#[derive(Debug)]
pub struct NewVolume<'a> {
    /// Its name.
    pub name: &'a LvName,
    /// How many extents.
    pub extents: u64,
    /// Its tags, all in the metadata commit that makes it.
    pub tags: &'a [Tag],
}

/// A turn at changing a group.
#[derive(Debug)]
pub struct Session<'a> {
    /// The group.
    pub group: &'a Group,
    shell: Turn<'a, Shell>,
    /// When it must have ended.
    pub deadline: Deadline,
}

impl Session<'_> {
    /// The group as it is now; `None` when the group of this name is no longer the pinned one.
    pub fn state(&mut self) -> Result<Option<VgRow>, LvmError> {
        let rows = self.run(&list("vgs", &[VG_COLUMNS]))?.groups();
        let pinned = &self.group;
        Ok(rows
            .into_iter()
            .find(|row| row.vg_uuid == pinned.uuid.as_str() && row.vg_name == pinned.name.as_str()))
    }

    /// The volumes and pools that can be seen, and whether their devices are open.
    pub fn volumes(&mut self) -> Result<Vec<LvRow>, LvmError> {
        let rows = self.visible()?;
        Ok(self.own(rows, |row| &row.vg_uuid))
    }

    /// Every volume, hidden ones included, with a row for each of its segments.
    pub fn segments(&mut self) -> Result<Vec<LvRow>, LvmError> {
        let line = list("lvs", &[LV_COLUMNS, SEGMENT_COLUMNS]).with("-a");
        let rows = self.run(&line)?.volumes();
        Ok(self.own(rows, |row| &row.vg_uuid))
    }

    /// The physical volumes.
    pub fn devices(&mut self) -> Result<Vec<PvRow>, LvmError> {
        let rows = self.run(&list("pvs", &[PV_COLUMNS]))?.devices();
        Ok(self.own(rows, |row| &row.vg_uuid))
    }

    fn own<T>(&self, mut rows: Vec<T>, group: fn(&T) -> &String) -> Vec<T> {
        rows.retain(|row| group(row) == self.group.uuid.as_str());
        rows
    }

    /// One volume or pool as it is now, if it can be seen, and whether its device is open. One of
    /// two of the same identity is refused.
    pub fn find(&mut self, which: Which<'_>) -> Result<Option<LvRow>, LvmError> {
        let rows = self.visible()?;
        if let Which::Uuid(uuid) = which {
            only_one(&rows, uuid)?;
        }
        let mut rows = self.own(rows, |row| &row.vg_uuid).into_iter();
        Ok(rows.find(|row| which.is(row)))
    }

    /// What can be seen in all managed groups.
    fn visible(&mut self) -> Result<Vec<LvRow>, LvmError> {
        let rows = self.run(&list("lvs", &[LV_COLUMNS, "lv_device_open"]))?;
        let mut rows = rows.volumes();
        rows.retain(|row| !row.is_hidden());
        Ok(rows)
    }

    /// The extents that a volume consists of; `None` when it lies on anything but devices.
    pub fn extents(&mut self, volume: &LvmUuid) -> Result<Option<Vec<Extents>>, LvmError> {
        let rows = self.segments()?;
        let mut extents = Vec::new();
        for row in rows.iter().filter(|row| row.lv_uuid == volume.as_str()) {
            match Extents::read(&row.seg_pe_ranges) {
                Some(more) if ["linear", "striped"].contains(&row.segtype.as_str()) => {
                    extents.extend(more);
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Extents::merged(extents)))
    }

    /// Makes an active volume of that layout whose old signatures are gone before udev can look at
    /// them: leg by leg on these devices, or anywhere. What is exported is activated when it is
    /// exported, so the boot does not activate it.
    pub fn create(
        &mut self,
        wanted: &NewVolume<'_>,
        layout: Layout,
        on: &[DevicePath],
    ) -> Result<(), LvmError> {
        let line = Line::new("lvcreate").with("-y -ay -Wy -Zy");
        let count = |line: Line, option, n: u16| line.option(option, &u64::from(n));
        let line = match layout {
            Layout::Linear => line.with("--setautoactivation n --type linear"),
            Layout::Striped { stripes } => {
                let line = line.with("--setautoactivation n --type striped -I 64k");
                count(line, "-i", stripes)
            }
            Layout::Mirrored { copies } => count(line.with("--type raid1"), "-m", copies - 1),
            Layout::MirroredStripes { stripes } => {
                count(line.with("--type raid10 -m 1 -I 64k"), "-i", stripes)
            }
            Layout::Parity { stripes, parity: 1 } => {
                count(line.with("--type raid5 -I 64k"), "-i", stripes)
            }
            Layout::Parity { stripes, .. } => {
                count(line.with("--type raid6 -I 64k"), "-i", stripes)
            }
        };
        let line = line.option("-l", &wanted.extents);
        let line = named(line, wanted.name, wanted.tags).word(&self.group.name);
        self.run(&line.words(on)).map(drop)
    }

    /// Makes an active thin volume of so many bytes.
    pub fn create_thin(
        &mut self,
        name: &LvName,
        size: u64,
        tags: &[Tag],
        pool: &LvName,
    ) -> Result<(), LvmError> {
        let line = Line::new("lvcreate")
            .with("-y -ay -Wn --type thin")
            .option("-V", &Bytes(size))
            .option("--thinpool", pool);
        self.run(&named(line, name, tags).word(&self.group.name))
            .map(drop)
    }

    /// What makes an active snapshot of a volume on disks, with so many extents for what changes. LVM
    /// makes do with fewer where more would never be used. It is not watched by LVM's daemon, which
    /// has nothing to do for it.
    pub fn snapshot(&self, wanted: &NewVolume<'_>, origin: &LvName) -> Line {
        let line = Line::new("lvcreate")
            .with("-y -ay -s --ignoremonitoring")
            .option("-c", &Bytes(SNAPSHOT_CHUNK))
            .option("-l", &wanted.extents);
        let line = named(line, wanted.name, wanted.tags);
        line.word(&Qualified(&self.group.name, origin))
    }

    /// What makes a snapshot of a thin volume in its pool; its device appears or not.
    pub fn thin_snapshot(
        &self,
        name: &LvName,
        tags: &[Tag],
        origin: &LvName,
        is_active: bool,
    ) -> Line {
        let line = Line::new("lvcreate").with(match is_active {
            true => "-y -ay -kn -s",
            false => "-y -an -kn -s",
        });
        named(line, name, tags).word(&Qualified(&self.group.name, origin))
    }

    /// Runs what [`snapshot`](Self::snapshot) or [`thin_snapshot`](Self::thin_snapshot) put together.
    pub fn take(&mut self, line: &Line) -> Result<(), LvmError> {
        self.run(line).map(drop)
    }

    /// Makes a thin pool that gives out zeros, with so many bytes of metadata. It refuses writes as
    /// soon as it is full; else they would wait for a minute, and hosts with them.
    pub fn create_pool(&mut self, wanted: &NewVolume<'_>, metadata: u64) -> Result<(), LvmError> {
        let line = Line::new("lvcreate")
            .with("-y --type thin-pool -Zy --chunksize 64k --poolmetadataspare y")
            // There is no option for it when a pool is made.
            .with("--config activation/error_when_full=1")
            .option("-l", &wanted.extents)
            .option("--poolmetadatasize", &Bytes(metadata));
        self.run(&named(line, wanted.name, wanted.tags).word(&self.group.name))
            .map(drop)
    }

    /// Keeps the boot from activating an owned volume, which not every kind can be told when it is
    /// made.
    pub fn leave_to_us(&mut self, volume: &LvmUuid) -> Result<(), LvmError> {
        self.change(Line::new("lvchange").with("--setautoactivation n"), volume)
    }

    /// Adds and takes off tags of an owned volume in one metadata commit.
    pub fn retag(&mut self, volume: &LvmUuid, remove: &[Tag], add: &[Tag]) -> Result<(), LvmError> {
        let line = Line::new("lvchange")
            .options("--deltag", remove)
            .options("--addtag", add);
        self.change(line, volume)
    }

    /// Gives a volume of somebody else tags, in one metadata commit.
    pub fn adopt(&mut self, volume: &LvmUuid, tags: &[Tag]) -> Result<(), LvmError> {
        let line = Line::new("lvchange").options("--addtag", tags);
        self.run(&line.option("-S", &Anybodys(volume)).word(&self.group.name))
            .map(drop)
    }

    /// Makes an owned volume's device appear.
    pub fn activate(&mut self, volume: &LvmUuid) -> Result<(), LvmError> {
        self.change(Line::new("lvchange").with("-ay"), volume)
    }

    /// Opens the disks of an owned volume anew, as its metadata has them now. No metadata is written.
    pub fn refresh(&mut self, volume: &LvmUuid) -> Result<(), LvmError> {
        self.change(Line::new("lvchange").with("--refresh"), volume)
    }

    /// Makes the devices of all thin pools and thin volumes of ours appear: only then the kernel
    /// tells how full they are.
    pub fn activate_thin(&mut self) -> Result<(), LvmError> {
        let line = Line::new("lvchange").with("-ay").option("-S", &OurThin);
        self.run(&line.word(&self.group.name)).map(drop)
    }

    /// Makes the devices of all volumes of ours appear that have snapshots which keep what changes,
    /// and those of the snapshots with them: only then the kernel tells how full these are.
    pub fn activate_origins(&mut self) -> Result<(), LvmError> {
        let line = Line::new("lvchange").with("-ay").option("-S", &OurOrigins);
        self.run(&line.word(&self.group.name)).map(drop)
    }

    /// Removes an owned volume that nobody has open. LVM chooses it by identity and mark under its
    /// lock, and says yes to having found none: whether it is gone must be read.
    ///
    /// What a snapshot was taken of is loaded anew without it, which in a group that `lacks_disk` LVM
    /// would refuse where one of the two lies on that disk.
    pub fn remove(&mut self, volume: &LvmUuid, lacks_disk: bool) -> Result<(), LvmError> {
        let line = Line::new("lvremove").with("-y");
        let line = match lacks_disk {
            true => line.with("--config activation/activation_mode=partial"),
            false => line,
        };
        self.change(line, volume)
    }

    /// The same for an owned thin pool, if it has no volumes: LVM would remove them, too.
    pub fn remove_pool(&mut self, pool: &LvmUuid) -> Result<(), LvmError> {
        let line = Line::new("lvremove").with("-y -S").word(&ChosenPool(pool));
        self.run(&line.word(&self.group.name)).map(drop)
    }

    /// Extends a volume to so many extents, onto exactly these: each leg onto those on its own disk,
    /// or one that `spreads` wherever they are.
    pub fn extend(
        &mut self,
        name: &LvName,
        spreads: bool,
        extents: u64,
        onto: &[Extents],
    ) -> Result<(), LvmError> {
        let line = Line::new("lvextend")
            .with(match spreads {
                true => "-y --alloc normal",
                false => "-y --alloc cling",
            })
            .option("-l", &extents)
            .word(&Qualified(&self.group.name, name));
        self.run(&line.words(onto)).map(drop)
    }

    /// Extends a thin volume, or the data of a thin pool, to so many extents.
    pub fn extend_thin(&mut self, name: &LvName, extents: u64) -> Result<(), LvmError> {
        let line = Line::new("lvextend").with("-y").option("-l", &extents);
        self.run(&line.word(&Qualified(&self.group.name, name)))
            .map(drop)
    }

    /// Extends the metadata of a thin pool to so many bytes.
    pub fn extend_metadata(&mut self, pool: &LvName, bytes: u64) -> Result<(), LvmError> {
        let line = Line::new("lvextend")
            .with("-y")
            .option("--poolmetadatasize", &Bytes(bytes));
        self.run(&line.word(&Qualified(&self.group.name, pool)))
            .map(drop)
    }

    /// Makes a volume consist of so many complete copies, of which the new ones lie on these devices.
    /// It may be open; the new ones are not in step yet.
    pub fn add_copies(
        &mut self,
        name: &LvName,
        copies: u16,
        onto: &[DevicePath],
    ) -> Result<(), LvmError> {
        let line = Line::new("lvconvert").with("-y --type raid1");
        self.convert(line, name, copies, onto)
    }

    /// Leaves so many complete copies of a volume; those on these devices go. It may be open.
    pub fn drop_copies(
        &mut self,
        name: &LvName,
        copies: u16,
        from: &[DevicePath],
    ) -> Result<(), LvmError> {
        self.convert(Line::new("lvconvert").with("-y"), name, copies, from)
    }

    fn convert(
        &mut self,
        line: Line,
        name: &LvName,
        copies: u16,
        disks: &[DevicePath],
    ) -> Result<(), LvmError> {
        let line = line.option("-m", &u64::from(copies.saturating_sub(1)));
        let line = line.word(&Qualified(&self.group.name, name));
        self.run(&line.words(disks)).map(drop)
    }

    /// Takes the last extents off a volume.
    pub fn reduce(&mut self, name: &LvName, extents: u64) -> Result<(), LvmError> {
        let line = Line::new("lvreduce").with("-y -f").option("-l", &extents);
        self.run(&line.word(&Qualified(&self.group.name, name)))
            .map(drop)
    }

    /// Does that to an owned volume.
    fn change(&mut self, line: Line, volume: &LvmUuid) -> Result<(), LvmError> {
        self.run(&line.option("-S", &Chosen(volume)).word(&self.group.name))
            .map(drop)
    }

    fn run(&mut self, line: &Line) -> Result<Document, LvmError> {
        Ok(self.shell.run(line, self.deadline.left())?)
    }
}

/// The row of a volume among those of all managed groups. Copied disks may bring a second one.
pub(super) fn only_one<'a>(
    rows: &'a [LvRow],
    volume: &LvmUuid,
) -> Result<Option<&'a LvRow>, LvmError> {
    let mut named = rows.iter().filter(|row| row.lv_uuid == volume.as_str());
    let row = named.next();
    match named.next() {
        None => Ok(row),
        Some(_) => Err(LvmError::Odd(format!(
            "there are two logical volumes of the identity {volume}; neither is touched"
        ))),
    }
}

fn named(line: Line, name: &LvName, tags: &[Tag]) -> Line {
    line.option("-n", name).options("--addtag", tags)
}
