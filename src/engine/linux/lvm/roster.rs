//! Which volume groups are managed, and the view of LVM that shows their devices and no others.
//!
//! A group is managed because the configuration names it, or because this array has made it: then
//! its UUID is known, or its name for as long as it is being made, and it bears the owner's mark.
//! Groups and disks come and go while the program runs. They are found with the host's view of its
//! devices; everything else is done with the narrow one.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::group::{Group, LvmError, only_one};
use super::line::Line;
use super::names::{DevicePath, LvmUuid, NotAllowed, VgName};
use super::report::{
    Document, LV_COLUMNS, LvRow, PV_COLUMNS, PV_SEGMENT_COLUMNS, PvRow, PvSegmentRow,
    SEGMENT_COLUMNS, VG_COLUMNS, VgRow,
};
use super::shell::{Shell, ShellError};
use super::system_dir;
use super::tags::Marks;
use crate::engine::linux::program::{self, RunError};
use crate::engine::linux::watch::{Deadline, Gate, Watch};

/// LVM, restricted to the managed groups.
#[derive(Debug)]
pub struct Lvm {
    program: PathBuf,
    /// Where the configuration with the narrow view is.
    folder: PathBuf,
    /// Where the one with the host's view is.
    wide_folder: PathBuf,
    /// What the host's own configuration says.
    host: String,
    reader: Gate<Shell>,
    finding: Gate<()>,
    roster: Mutex<Roster>,
}

/// What is managed.
#[derive(Debug, Default)]
struct Roster {
    groups: Vec<Arc<Group>>,
    devices: Vec<DevicePath>,
    /// The groups of the configuration, by UUID.
    pinned: BTreeSet<String>,
    /// The groups that this array has made, by UUID; there or not.
    own: BTreeSet<String>,
    /// The names of groups that this array may be making.
    making: BTreeSet<String>,
}

/// Which devices LVM sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Those of the managed groups.
    Narrow,
    /// All that the host's own configuration shows.
    Wide,
}

/// What LVM sees of the whole machine.
#[derive(Debug)]
pub struct Machine {
    /// Every volume group.
    pub groups: Vec<VgRow>,
    /// Every physical volume.
    pub devices: Vec<PvRow>,
    /// Further devices that bear the identity of one of these.
    copies: Vec<PvRow>,
}

impl Machine {
    /// The devices of a group that are there.
    fn devices_of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a PvRow> {
        let members = self.devices.iter().filter(move |row| row.vg_uuid == group);
        members.filter(|row| row.is_there())
    }

    /// Of which disk of a group there is a copy.
    fn copy_in(&self, group: &str) -> Option<String> {
        let mut copies = self.copies.iter();
        copies.find_map(|copy| {
            let mut members = self.devices_of(group);
            let member = members.find(|row| row.pv_uuid == copy.pv_uuid)?;
            Some(format!(
                "that {} and {} bear the same identity; set up multipathing if they are one disk, else \
                 disconnect the one that is a copy",
                member.pv_name, copy.pv_name
            ))
        })
    }

    fn is_whole(&self, group: &str) -> bool {
        let mut rows = self.groups.iter();
        rows.any(|row| row.vg_uuid == group && row.vg_partial.is_empty())
    }
}

impl Lvm {
    /// Finds the groups of these names with the host's view of its devices, then starts over with
    /// a view of these groups' devices only. `folder` is for the private configurations.
    pub fn open(
        program: &Path,
        folder: &Path,
        names: &[VgName],
        deadline: Deadline,
    ) -> Result<Self, LvmError> {
        let host = host_configuration(program, deadline)?;
        let wide_folder = folder.join("wide");
        let write = |folder: &Path, devices| {
            system_dir::write(folder, &host, devices).map_err(LvmError::Configuration)
        };
        write(folder, Some(&[]))?;
        write(&wide_folder, None)?;
        let lvm = Self {
            program: program.into(),
            folder: folder.into(),
            reader: Gate::new(Shell::new(program, folder)),
            finding: Gate::new(()),
            roster: Mutex::default(),
            wide_folder,
            host,
        };
        let machine = lvm.machine(deadline)?;
        for name in names {
            let mut named = machine
                .groups
                .iter()
                .filter(|row| row.vg_name == name.as_str());
            let row = named
                .next()
                .ok_or_else(|| LvmError::NoGroup(name.clone()))?;
            if named.next().is_some() {
                return Err(LvmError::Odd(format!(
                    "two volume groups of the name {name}"
                )));
            }
            lvm.roster().pinned.insert(row.vg_uuid.clone());
        }
        lvm.adopt(&machine)?;
        Ok(lvm)
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The managed groups.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.roster().groups.clone()
    }

    /// The devices of the managed groups.
    pub fn devices(&self) -> Vec<DevicePath> {
        self.roster().devices.clone()
    }

    /// The group of this identity, if it is managed.
    pub fn group(&self, uuid: &str) -> Option<Arc<Group>> {
        let roster = self.roster();
        let mut groups = roster.groups.iter();
        groups.find(|group| group.uuid.as_str() == uuid).cloned()
    }

    /// The managed group of this name.
    pub fn group_named(&self, name: &VgName) -> Option<Arc<Group>> {
        let roster = self.roster();
        roster.groups.iter().find(|g| g.name == *name).cloned()
    }

    /// Manages the groups of these UUIDs from now on, when they are there and bear the owner's mark.
    pub fn claim(&self, uuids: impl IntoIterator<Item = LvmUuid>) {
        let uuids = uuids.into_iter().map(|uuid| uuid.to_string());
        self.roster().own.extend(uuids);
    }

    /// The same for groups of these names that also bear the mark of a job.
    pub fn expect(&self, names: impl IntoIterator<Item = VgName>) {
        let names = names.into_iter().map(|name| name.to_string());
        self.roster().making.extend(names);
    }

    /// Manages a group no longer that has been removed.
    pub fn forget(&self, uuid: &LvmUuid) {
        let mut roster = self.roster();
        roster.own.remove(uuid.as_str());
        roster.pinned.remove(uuid.as_str());
        roster.groups.retain(|group| group.uuid != *uuid);
    }

    /// Whether a group is one that this array has made.
    pub fn is_own(&self, uuid: &str) -> bool {
        self.roster().own.contains(uuid)
    }

    /// Whether a listing of the managed groups may lack something that the host's view would show:
    /// a disk that a group says it has, or a whole group; or that the copy of a disk is gone.
    pub fn lacks(&self, rows: &[VgRow]) -> bool {
        let roster = self.roster();
        let mut wanted = roster.pinned.iter().chain(&roster.own);
        let is_there = |uuid: &String| rows.iter().any(|row| row.vg_uuid == *uuid);
        let may_change = |row: &VgRow| !row.vg_partial.is_empty() || row.copy.is_some();
        !wanted.all(is_there) || rows.iter().any(may_change)
    }

    /// Everything that LVM sees on this machine.
    pub fn machine(&self, deadline: Deadline) -> Result<Machine, LvmError> {
        let mut shell = Shell::new(&self.program, &self.wide_folder);
        let mut run = |line: &Line| shell.run(line, deadline.left());
        let groups = run(&list("vgs", &[VG_COLUMNS]))?.groups();
        // With devices that are no physical volumes: only then LVM lists copies, too.
        let rows = run(&list("pvs", &[PV_COLUMNS, "pv_duplicate"]).with("-a"))?.devices();
        let rows = rows.into_iter().filter(|row| !row.pv_uuid.is_empty());
        let (devices, copies) = rows.partition(|row| row.pv_duplicate.is_empty());
        Ok(Machine {
            groups,
            devices,
            copies,
        })
    }

    /// Looks for the managed groups and their devices with the host's view.
    pub fn find(&self, deadline: Deadline) -> Result<Machine, LvmError> {
        let _turn = self
            .finding
            .enter("a look at all volume groups", deadline)?;
        let machine = self.machine(deadline)?;
        self.adopt(&machine)?;
        Ok(machine)
    }

    /// Manages what of a machine is to be managed.
    fn adopt(&self, machine: &Machine) -> Result<(), LvmError> {
        let mut roster = self.roster();
        for row in &machine.groups {
            let marks = Marks::read(&row.vg_tags);
            let is_new = marks.owned && marks.job.is_some() && roster.making.contains(&row.vg_name);
            if is_new {
                roster.own.insert(row.vg_uuid.clone());
            }
            let is_own = marks.owned && roster.own.contains(&row.vg_uuid);
            if is_own || roster.pinned.contains(&row.vg_uuid) {
                self.enlist(&mut roster, row)?;
            }
        }
        let mut devices = BTreeSet::new();
        for group in &roster.groups {
            group.note_copy(machine.copy_in(group.uuid.as_str()));
            for row in machine.devices_of(group.uuid.as_str()) {
                devices.insert(DevicePath::new(row.pv_name.as_str()).map_err(odd)?);
            }
        }
        // A disk that is only away for a moment is not hidden from LVM: it would note down that
        // the disk is missing with the next change of the group.
        let all_whole = roster
            .groups
            .iter()
            .all(|group| machine.is_whole(group.uuid.as_str()));
        if !all_whole {
            devices.extend(roster.devices.iter().cloned());
        }
        let devices: Vec<_> = devices.into_iter().collect();
        if devices != roster.devices {
            system_dir::write(&self.folder, &self.host, Some(&devices))
                .map_err(LvmError::Configuration)?;
            roster.devices = devices;
        }
        Ok(())
    }

    /// Adds a group, or takes over its new name; who waits for its turn at it goes on waiting.
    fn enlist(&self, roster: &mut Roster, row: &VgRow) -> Result<(), LvmError> {
        let uuid = LvmUuid::new(row.vg_uuid.as_str()).map_err(odd)?;
        let name = VgName::new(row.vg_name.as_str()).map_err(odd)?;
        match roster.groups.iter_mut().find(|group| group.uuid == uuid) {
            Some(known) if known.name == name => {}
            Some(known) => *known = Arc::new(known.renamed(name)),
            None => {
                let shell = Shell::new(&self.program, &self.folder);
                roster.groups.push(Arc::new(Group::new(name, uuid, shell)));
            }
        }
        Ok(())
    }

    /// Rows of the managed groups.
    pub fn list_groups(&self, deadline: Deadline) -> Result<Vec<VgRow>, LvmError> {
        let rows = self.read(&list("vgs", &[VG_COLUMNS]), deadline)?.groups();
        let mut rows = self.managed(rows, |row| &row.vg_uuid);
        for row in &mut rows {
            row.copy = self.group(&row.vg_uuid).and_then(|group| group.copy());
        }
        Ok(rows)
    }

    /// Rows of the managed groups' volumes, hidden ones included, one for each segment.
    pub fn list_volumes(&self, deadline: Deadline) -> Result<Vec<LvRow>, LvmError> {
        let rows = self.read(
            &list("lvs", &[LV_COLUMNS, SEGMENT_COLUMNS]).with("-a"),
            deadline,
        )?;
        Ok(self.managed(rows.volumes(), |row| &row.vg_uuid))
    }

    /// Rows of the managed groups' physical volumes.
    pub fn list_devices(&self, deadline: Deadline) -> Result<Vec<PvRow>, LvmError> {
        let rows = self.read(&list("pvs", &[PV_COLUMNS]), deadline)?.devices();
        Ok(self.managed(rows, |row| &row.vg_uuid))
    }

    /// Rows of the segments of the managed groups' physical volumes.
    pub fn list_device_segments(&self, deadline: Deadline) -> Result<Vec<PvSegmentRow>, LvmError> {
        let line = list("pvs", &[PV_SEGMENT_COLUMNS]).with("-a --segments");
        let rows = self.read(&line, deadline)?.device_segments();
        Ok(self.managed(rows, |row| &row.vg_uuid))
    }

    fn managed<T>(&self, mut rows: Vec<T>, group: fn(&T) -> &String) -> Vec<T> {
        let roster = self.roster();
        let managed: BTreeSet<&str> = roster.groups.iter().map(|g| g.uuid.as_str()).collect();
        rows.retain(|row| managed.contains(group(row).as_str()));
        rows
    }

    /// The managed group that holds a volume or thin pool.
    pub fn group_of(
        &self,
        volume: &LvmUuid,
        deadline: Deadline,
    ) -> Result<Option<Arc<Group>>, LvmError> {
        let line = list("lvs", &[LV_COLUMNS]);
        let rows = self.read(&line, deadline)?.volumes();
        let row = only_one(&rows, volume)?;
        Ok(row.and_then(|row| self.group(&row.vg_uuid)))
    }

    fn read(&self, line: &Line, deadline: Deadline) -> Result<Document, LvmError> {
        let mut shell = self.reader.enter("a reading LVM shell", deadline)?;
        Ok(shell.run(line, deadline.left())?)
    }

    /// Runs a command in a process of its own: one that may take long or ask questions, all of
    /// which are answered by "no".
    pub fn run(&self, view: View, line: &Line, deadline: Deadline) -> Result<(), LvmError> {
        let folder = match view {
            View::Narrow => &self.folder,
            View::Wide => &self.wide_folder,
        };
        let environment = [
            ("LVM_SYSTEM_DIR", folder.as_path()),
            ("LVM_SUPPRESS_FD_WARNINGS", Path::new("1")),
        ];
        // Complaints are to come as text.
        let mut arguments = line.arguments().to_vec();
        arguments.extend(["--config", "log/report_command_log=0"].map(str::to_owned));
        let command = || line.to_string();
        let ended = program::run(&self.program, &arguments, &environment, deadline);
        let ended = ended.map_err(|error| match error {
            RunError::Start(source) => ShellError::Start {
                program: self.program.display().to_string(),
                source,
            },
            RunError::TimedOut => ShellError::TimedOut {
                command: command(),
                seconds: deadline.left().as_secs(),
            },
        })?;
        match ended.status.code() {
            Some(0) => Ok(()),
            Some(code) => Err(ShellError::Refused {
                command: command(),
                code: code.unsigned_abs(),
                reason: reason(&ended.errors),
            }
            .into()),
            None => Err(ShellError::Died {
                command: command(),
                complaint: reason(&ended.errors),
            }
            .into()),
        }
    }
}

/// The first line that is more than a warning.
fn reason(errors: &str) -> String {
    let mut lines = errors.lines().map(str::trim);
    let reason = lines.find(|line| !line.is_empty() && !line.starts_with("WARNING"));
    reason.unwrap_or("no reason given").to_owned()
}

/// A listing of those columns.
pub(super) fn list(command: &'static str, columns: &[&'static str]) -> Line {
    Line::new(command).with("-o").joined(columns)
}

pub(super) fn odd(error: NotAllowed) -> LvmError {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_first_line_that_is_no_warning() {
        let text = "WARNING: ext4 signature detected on /dev/vdb at offset 1080. Wipe it? [y/n]: \
                    [n]\n  Aborted wiping of ext4.\n  1 existing signature left on the device.\n";
        assert_eq!(reason(text), "Aborted wiping of ext4.");
        assert_eq!(reason("  WARNING: x\n"), "no reason given");
    }
}
