//! The managed volume groups: pinned by UUID at the start, and changed one command at a time.
//!
//! Readers share one shell, every group has a shell of its own for changes, so that a long command
//! in one group keeps nobody from another. What may be done to which volume is decided by the
//! callers; here is how it is said to LVM.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::line::{Chosen, Extents, Line, Qualified};
use super::names::{DevicePath, LvName, LvmUuid, Tag, VgName};
use super::report::{
    Document, LV_COLUMNS, LvRow, PV_COLUMNS, PvRow, SEGMENT_COLUMNS, VG_COLUMNS, VgRow,
};
use super::shell::{Shell, ShellError};
use super::system_dir;
use crate::engine::linux::watch::{Deadline, Gate, TimedOut, Turn, Watch};

/// How a request to LVM failed.
#[derive(Debug, thiserror::Error)]
pub enum LvmError {
    /// By LVM itself.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// Waiting for it.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The configuration of the host's LVM could not be had.
    #[error("the host's LVM configuration could not be read")]
    Configuration(#[source] io::Error),
    /// A configured volume group is not there.
    #[error("there is no volume group {0}")]
    NoGroup(VgName),
    /// LVM says something that cannot be.
    #[error("LVM reports {0}")]
    Odd(String),
}

/// LVM, restricted to the managed groups.
#[derive(Debug)]
pub struct Lvm {
    reader: Gate<Shell>,
    groups: Vec<Group>,
    devices: Vec<DevicePath>,
}

/// A managed group.
#[derive(Debug)]
pub struct Group {
    /// Its name when it was pinned.
    pub name: VgName,
    /// Its identity.
    pub uuid: LvmUuid,
    writer: Gate<Shell>,
}

impl Lvm {
    /// Finds the groups of these names with the host's view of its devices, then starts over with
    /// a view of these groups' devices only. `folder` is for the private configuration.
    pub fn open(
        program: &Path,
        folder: &Path,
        names: &[VgName],
        deadline: Deadline,
    ) -> Result<Self, LvmError> {
        let host = host_configuration(program, deadline)?;
        system_dir::write(folder, &host, None).map_err(LvmError::Configuration)?;
        let mut shell = Shell::new(program, folder);
        let seen = shell
            .run(&list("vgs", VG_COLUMNS), deadline.left())?
            .groups();
        let devices = shell
            .run(&list("pvs", PV_COLUMNS), deadline.left())?
            .devices();
        drop(shell);
        let mut groups = Vec::new();
        for name in names {
            let mut named = seen.iter().filter(|row| row.vg_name == name.as_str());
            let row = named
                .next()
                .ok_or_else(|| LvmError::NoGroup(name.clone()))?;
            if named.next().is_some() {
                return Err(LvmError::Odd(format!(
                    "two volume groups of the name {name}"
                )));
            }
            let uuid = LvmUuid::new(row.vg_uuid.as_str()).map_err(odd)?;
            let writer = Gate::new(Shell::new(program, folder));
            groups.push(Group {
                name: name.clone(),
                uuid,
                writer,
            });
        }
        let devices = devices
            .iter()
            .filter(|row| {
                groups
                    .iter()
                    .any(|group| group.uuid.as_str() == row.vg_uuid)
            })
            .filter(|row| row.pv_missing.is_empty())
            .map(|row| DevicePath::new(row.pv_name.as_str()).map_err(odd))
            .collect::<Result<Vec<_>, _>>()?;
        system_dir::write(folder, &host, Some(&devices)).map_err(LvmError::Configuration)?;
        let reader = Gate::new(Shell::new(program, folder));
        Ok(Self {
            reader,
            groups,
            devices,
        })
    }

    /// The managed groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The devices of the managed groups.
    pub fn devices(&self) -> &[DevicePath] {
        &self.devices
    }

    /// The group of this identity, if it is managed.
    pub fn group(&self, uuid: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.uuid.as_str() == uuid)
    }

    /// Rows of the managed groups.
    pub fn list_groups(&self, deadline: Deadline) -> Result<Vec<VgRow>, LvmError> {
        let rows = self.read(&list("vgs", VG_COLUMNS), deadline)?.groups();
        Ok(rows
            .into_iter()
            .filter(|row| self.group(&row.vg_uuid).is_some())
            .collect())
    }

    /// Rows of the managed groups' visible volumes.
    pub fn list_volumes(&self, deadline: Deadline) -> Result<Vec<LvRow>, LvmError> {
        let rows = self.read(&list("lvs", LV_COLUMNS), deadline)?.volumes();
        Ok(rows
            .into_iter()
            .filter(|row| self.group(&row.vg_uuid).is_some())
            .collect())
    }

    /// Rows of the managed groups' physical volumes.
    pub fn list_devices(&self, deadline: Deadline) -> Result<Vec<PvRow>, LvmError> {
        let rows = self.read(&list("pvs", PV_COLUMNS), deadline)?.devices();
        Ok(rows
            .into_iter()
            .filter(|row| self.group(&row.vg_uuid).is_some())
            .collect())
    }

    /// The managed group that holds a volume.
    pub fn group_of(
        &self,
        volume: &LvmUuid,
        deadline: Deadline,
    ) -> Result<Option<&Group>, LvmError> {
        let rows = self.list_volumes(deadline)?;
        let mut named = rows.iter().filter(|row| row.lv_uuid == volume.as_str());
        let row = named.next();
        if named.next().is_some() {
            return Err(LvmError::Odd(format!(
                "there are two logical volumes of the identity {volume}; neither is touched"
            )));
        }
        Ok(row.and_then(|row| self.group(&row.vg_uuid)))
    }

    fn read(&self, line: &Line, deadline: Deadline) -> Result<Document, LvmError> {
        let mut shell = self.reader.enter("a reading LVM shell", deadline)?;
        Ok(shell.run(line, deadline.left())?)
    }
}

impl Group {
    /// Waits until nobody else of this program changes the group.
    pub fn enter(&self, deadline: Deadline) -> Result<Session<'_>, LvmError> {
        let shell = self
            .writer
            .enter(&format!("volume group {}", self.name), deadline)?;
        Ok(Session {
            group: self,
            shell,
            deadline,
        })
    }
}

/// A volume by what is known of it.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// By identity.
    Uuid(&'a LvmUuid),
    /// By name.
    Name(&'a LvName),
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
    deadline: Deadline,
}

impl Session<'_> {
    /// The group as it is now; `None` when the group of this name is no longer the pinned one.
    pub fn state(&mut self) -> Result<Option<VgRow>, LvmError> {
        let rows = self.run(&list("vgs", VG_COLUMNS))?.groups();
        let pinned = &self.group;
        Ok(rows
            .into_iter()
            .find(|row| row.vg_uuid == pinned.uuid.as_str() && row.vg_name == pinned.name.as_str()))
    }

    /// The visible volumes, and whether their devices are open.
    pub fn volumes(&mut self) -> Result<Vec<LvRow>, LvmError> {
        let rows = self
            .run(&list("lvs", LV_COLUMNS).with("-o +lv_device_open"))?
            .volumes();
        Ok(rows
            .into_iter()
            .filter(|row| row.vg_uuid == self.group.uuid.as_str())
            .collect())
    }

    /// One volume as it is now.
    pub fn find(&mut self, which: Which<'_>) -> Result<Option<LvRow>, LvmError> {
        Ok(self.volumes()?.into_iter().find(|row| match which {
            Which::Uuid(uuid) => row.lv_uuid == uuid.as_str(),
            Which::Name(name) => row.lv_name == name.as_str(),
        }))
    }

    /// The extents that a volume consists of; `None` when it is no plain volume.
    pub fn extents(&mut self, volume: &LvmUuid) -> Result<Option<Vec<Extents>>, LvmError> {
        let rows = self.run(&list("lvs", SEGMENT_COLUMNS))?.segments();
        let mut extents = Vec::new();
        for row in rows.iter().filter(|row| row.lv_uuid == volume.as_str()) {
            match Extents::read(&row.seg_pe_ranges) {
                Some(more) if row.segtype == "linear" => extents.extend(more),
                _ => return Ok(None),
            }
        }
        Ok(Some(extents))
    }

    /// Makes an active plain volume whose old signatures are gone before udev can look at them.
    /// It is not activated by the boot: what is exported is activated when it is exported.
    pub fn create(&mut self, wanted: &NewVolume<'_>) -> Result<(), LvmError> {
        let mut line = Line::new("lvcreate")
            .with("-y -ay -Wy -Zy --setautoactivation n --type linear")
            .option("-n", wanted.name)
            .option("-l", &wanted.extents);
        for tag in wanted.tags {
            line = line.option("--addtag", tag);
        }
        self.run(&line.word(&self.group.name)).map(|_| ())
    }

    /// Adds and takes off tags of an owned volume in one metadata commit.
    pub fn retag(&mut self, volume: &LvmUuid, remove: &[Tag], add: &[Tag]) -> Result<(), LvmError> {
        let mut line = Line::new("lvchange");
        for tag in remove {
            line = line.option("--deltag", tag);
        }
        for tag in add {
            line = line.option("--addtag", tag);
        }
        self.run(&line.option("-S", &Chosen(volume)).word(&self.group.name))
            .map(|_| ())
    }

    /// Makes an owned volume's device appear.
    pub fn activate(&mut self, volume: &LvmUuid) -> Result<(), LvmError> {
        let line = Line::new("lvchange").with("-ay");
        self.run(&line.option("-S", &Chosen(volume)).word(&self.group.name))
            .map(|_| ())
    }

    /// Removes an owned volume that nobody has open. LVM chooses it by identity and mark under its
    /// lock, and says yes to having found none: whether it is gone must be read.
    pub fn remove(&mut self, volume: &LvmUuid) -> Result<(), LvmError> {
        let line = Line::new("lvremove").with("-y");
        self.run(&line.option("-S", &Chosen(volume)).word(&self.group.name))
            .map(|_| ())
    }

    /// Extends a volume to so many extents, onto exactly these.
    pub fn extend(
        &mut self,
        name: &LvName,
        extents: u64,
        onto: &[Extents],
    ) -> Result<(), LvmError> {
        let mut line = Line::new("lvextend")
            .with("-y")
            .option("-l", &extents)
            .word(&Qualified(&self.group.name, name));
        for range in onto {
            line = line.word(range);
        }
        self.run(&line).map(|_| ())
    }

    /// Takes the last extents off a volume again.
    pub fn reduce(&mut self, name: &LvName, extents: u64) -> Result<(), LvmError> {
        let line = Line::new("lvreduce").with("-y -f").option("-l", &extents);
        self.run(&line.word(&Qualified(&self.group.name, name)))
            .map(|_| ())
    }

    fn run(&mut self, line: &Line) -> Result<Document, LvmError> {
        Ok(self.shell.run(line, self.deadline.left())?)
    }
}

fn list(command: &'static str, columns: &'static str) -> Line {
    Line::new(command).with("-o").with(columns)
}

fn odd(error: super::names::NotAllowed) -> LvmError {
    LvmError::Odd(error.to_string())
}

/// What `lvmconfig --type full` prints under the host's own configuration.
fn host_configuration(program: &Path, deadline: Deadline) -> Result<String, LvmError> {
    let program: PathBuf = program.into();
    let output = Watch::default().run("lvmconfig", deadline, move || {
        Command::new(program)
            .args(["lvmconfig", "--type", "full"])
            .env_clear()
            .env("LC_ALL", "C")
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .stdin(Stdio::null())
            .output()
    })?;
    let output = output.map_err(LvmError::Configuration)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LvmError::Configuration(io::Error::other(said)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
