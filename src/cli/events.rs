//! What happens to the simulated machine while it runs: commands that a person or a script writes
//! into a file, usually a FIFO.
//!
//! | line | what happens |
//! |---|---|
//! | `fail DISK` | reads and writes of the disk fail |
//! | `pull DISK` | the disk is away |
//! | `restore DISK` | the disk works again, with what was on it |
//! | `wipe DISK` | somebody takes off it what it carries, so that pools can be made from it |
//! | `fill POOL PERCENT` | hosts write to the volumes of a thin pool until so much of it is used |
//! | `write VOLUME BYTE [PERCENT]` | a host fills so much of a volume with that byte, from its beginning |
//! | `overflow SNAPSHOT` | hosts overwrite what a snapshot was taken of until it has no room left |
//! | `login INITIATOR [PORT]` | a host logs in to a port, or to every port that shows it something |
//! | `logout INITIATOR` | a host logs out of every port |
//! | `export POOL NAME INITIATOR NUMBER` | another manager makes a volume of one extent and shows it to a host |
//!
//! A disk is named by its device or identity, a pool or volume by its name, a port as clients see it
//! (`IQN,t,0x0001`). Empty lines and those that begin
//! with `#` say nothing.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::array::{DiskId, Engine as _, Error, InitiatorName, Map, PoolId, PortId, Volume};
use crate::engine::sim::{EXTENT, SimEngine};

use super::Failure;

/// One line.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Fail(String),
    Pull(String),
    Restore(String),
    Wipe(String),
    Fill(String, u64),
    Write(String, u8, u64),
    Overflow(String),
    Login(InitiatorName, Option<PortId>),
    Logout(InitiatorName),
    Export(String, String, InitiatorName, u16),
}

impl FromStr for Event {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let percent = |text: &str| text.parse().ok().filter(|percent| *percent <= 100);
        let written = |volume: &str, byte: &str, part: &str| {
            Some(Self::Write(
                volume.to_owned(),
                byte.parse().ok()?,
                percent(part)?,
            ))
        };
        let write = match words[..] {
            ["write", volume, byte] => written(volume, byte, "100"),
            ["write", volume, byte, part] => written(volume, byte, part),
            _ => None,
        };
        if let Some(write) = write {
            return Ok(write);
        }
        match words[..] {
            ["overflow", snapshot] => Ok(Self::Overflow(snapshot.to_owned())),
            ["fail", disk] => Ok(Self::Fail(disk.to_owned())),
            ["pull", disk] => Ok(Self::Pull(disk.to_owned())),
            ["restore", disk] => Ok(Self::Restore(disk.to_owned())),
            ["wipe", disk] => Ok(Self::Wipe(disk.to_owned())),
            ["fill", pool, part] if percent(part).is_some() => Ok(Self::Fill(
                pool.to_owned(),
                percent(part).unwrap_or_default(),
            )),
            ["login", initiator] => Ok(Self::Login(InitiatorName::parse(initiator)?, None)),
            ["login", initiator, port] => {
                let known = PortId::parse(port);
                let port = known.ok_or_else(|| {
                    Error::invalid(format!("'{port}' is no port; write IQN,t,0x0001"))
                })?;
                Ok(Self::Login(InitiatorName::parse(initiator)?, Some(port)))
            }
            ["logout", initiator] => Ok(Self::Logout(InitiatorName::parse(initiator)?)),
            ["export", pool, name, initiator, number] if number.parse::<u16>().is_ok() => {
                Ok(Self::Export(
                    pool.to_owned(),
                    name.to_owned(),
                    InitiatorName::parse(initiator)?,
                    number.parse().unwrap_or_default(),
                ))
            }
            _ => Err(Error::invalid(format!(
                "'{line}' is no event; write fail DISK, pull DISK, restore DISK, wipe DISK, fill \
                 POOL PERCENT, write VOLUME BYTE [PERCENT], overflow SNAPSHOT, login INITIATOR [PORT], \
                 logout INITIATOR or export POOL NAME INITIATOR NUMBER"
            ))),
        }
    }
}

impl Event {
    fn happen(&self, machine: &SimEngine) -> Result<(), Error> {
        match self {
            Self::Fail(name) => machine.fail_disk(&disk(machine, name)?, true),
            Self::Pull(name) => machine.pull_disk(&disk(machine, name)?, true),
            Self::Restore(name) => machine.fail_disk(&disk(machine, name)?, false),
            Self::Wipe(name) => return machine.wipe_disk(&disk(machine, name)?),
            Self::Fill(name, percent) => {
                return machine.fill_pool(&pool(machine, name)?, *percent);
            }
            Self::Write(name, byte, percent) => {
                let volume = volume(machine, name)?;
                let extents = (volume.size / EXTENT * percent).div_ceil(100);
                return machine.write(&volume.id, 0..extents * EXTENT, *byte);
            }
            Self::Overflow(name) => return machine.overflow(&volume(machine, name)?.id),
            Self::Login(initiator, Some(port)) => return machine.log_in(initiator, port),
            Self::Login(initiator, None) => return log_in_everywhere(machine, initiator),
            Self::Logout(initiator) => return log_out_everywhere(machine, initiator),
            Self::Export(pool_name, name, initiator, number) => {
                let ports = ports(machine)?;
                let port = ports
                    .first()
                    .ok_or_else(|| Error::not_found("there is no port"))?;
                return machine.foreign_map(&Map {
                    port: port.clone(),
                    initiator: initiator.clone(),
                    lun: *number,
                    volume: machine.lvcreate(&pool(machine, pool_name)?, name, EXTENT)?,
                });
            }
        };
        Ok(())
    }
}

/// The disk of that device or identity, which may be away.
fn disk(machine: &SimEngine, name: &str) -> Result<DiskId, Error> {
    let found = machine.find_disk(name);
    found.ok_or_else(|| Error::not_found(format!("there is no disk {name}; look at the disks")))
}

fn pool(machine: &SimEngine, name: &str) -> Result<PoolId, Error> {
    let mut pools = machine.scan()?.pools.into_iter();
    pools
        .find(|pool| pool.name == name)
        .map(|pool| pool.id)
        .ok_or_else(|| Error::not_found(format!("there is no pool {name}; look at the pools")))
}

fn volume(machine: &SimEngine, name: &str) -> Result<Volume, Error> {
    let mut volumes = machine.scan()?.volumes.into_iter();
    volumes
        .find(|volume| volume.name == name)
        .ok_or_else(|| Error::not_found(format!("there is no volume {name}; look at the volumes")))
}

/// Logs a host in to every port that shows it something, of which there must be one.
fn log_in_everywhere(machine: &SimEngine, initiator: &InitiatorName) -> Result<(), Error> {
    let ports = ports(machine)?;
    let tried = ports.iter().map(|port| machine.log_in(initiator, port));
    let refused = || {
        Error::access_denied(format!(
            "no port shows {initiator} anything; map a volume for it first"
        ))
    };
    // Each is tried, whatever came of the others.
    let done = tried.filter(Result::is_ok).count();
    if done == 0 { Err(refused()) } else { Ok(()) }
}

fn log_out_everywhere(machine: &SimEngine, initiator: &InitiatorName) -> Result<(), Error> {
    let ports = ports(machine)?;
    let ended = ports.iter().filter(|port| machine.log_out(initiator, port));
    match ended.count() {
        0 => Err(Error::not_found(format!(
            "{initiator} is not logged in; look at the sessions"
        ))),
        _ => Ok(()),
    }
}

fn ports(machine: &SimEngine) -> Result<Vec<PortId>, Error> {
    let targets = machine.scan()?.targets;
    let ports = targets.into_iter().flat_map(|target| target.ports);
    Ok(ports.map(|port| port.id).collect())
}

/// Does what the lines of that file say, as they come, on a thread of its own. A FIFO is read for
/// ever, another file to its end.
pub(super) fn follow(path: &Path, machine: SimEngine) -> Result<(), Failure> {
    let kind = std::fs::metadata(path).map_err(|error| {
        Failure::usage(format!(
            "the events cannot be read from {}: {error}",
            path.display()
        ))
    })?;
    let is_fifo = kind.file_type().is_fifo();
    let path = path.to_owned();
    std::thread::spawn(move || {
        while read(&path, &machine) && is_fifo {
            // The last writer has closed it; the next one opens it again.
        }
    });
    Ok(())
}

/// Reads to the end; whether that went well.
fn read(path: &PathBuf, machine: &SimEngine) -> bool {
    let lines = File::open(path).map(|file| BufReader::new(file).lines());
    let ended = lines.and_then(|lines| {
        for line in lines {
            happen(line?.trim(), machine);
        }
        Ok(())
    });
    if let Err(error) = &ended {
        tracing::warn!("the events cannot be read from {}: {error}", path.display());
    }
    ended.is_ok()
}

fn happen(line: &str, machine: &SimEngine) {
    if line.is_empty() || line.starts_with('#') {
        return;
    }
    match line
        .parse::<Event>()
        .and_then(|event| event.happen(machine))
    {
        Ok(()) => tracing::info!("it happened: {line}"),
        Err(error) => tracing::warn!("it did not happen: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{DiskUsage, Health, JobId, Snap, Step, Unwatched};
    use crate::engine::sim::Content;

    #[test]
    fn lines_are_events_or_refused() {
        let event = |line: &str| line.parse::<Event>().ok();
        assert_eq!(
            event(" fail /dev/sdb "),
            Some(Event::Fail("/dev/sdb".into()))
        );
        assert_eq!(event("fill thin 90"), Some(Event::Fill("thin".into(), 90)));
        for (line, percent) in [("write a 7", 100), ("write a 7 30", 30)] {
            assert_eq!(event(line), Some(Event::Write("a".into(), 7, percent)));
        }
        assert_eq!(event("overflow a"), Some(Event::Overflow("a".into())));
        let host = InitiatorName::parse("iqn.2026-11.example:a").expect("a name");
        let port = PortId::parse("iqn.2026-11.example:t,t,0x0001");
        assert_eq!(
            event("login iqn.2026-11.example:a"),
            Some(Event::Login(host.clone(), None))
        );
        assert_eq!(
            event("login iqn.2026-11.example:a iqn.2026-11.example:t,t,0x0001"),
            Some(Event::Login(host.clone(), port))
        );
        assert_eq!(
            event("logout iqn.2026-11.example:a"),
            Some(Event::Logout(host))
        );
        for line in [
            "fail",
            "fail a b",
            "fill thin",
            "fill thin 101",
            "write",
            "write volume",
            "write volume 256",
            "write volume 1 101",
            "overflow",
            "melt sdb",
            "login",
            "login nobody",
            "login iqn.2026-11.example:a nowhere",
            "logout",
        ] {
            assert_eq!(event(line), None, "{line}");
        }
    }

    #[test]
    fn a_host_logs_in_only_where_something_is_shown_to_it() {
        let host = InitiatorName::parse("iqn.2026-11.example:a").expect("a name");
        let machine = SimEngine::builder().pool("vg0", 1, 2 << 30);
        let machine = machine.foreign_map(host, 3).build().expect("a machine");
        machine.converge(&[]).expect("the port opens");
        let sessions = || machine.scan().expect("a scan").sessions.len();
        for (line, expected) in [
            ("login iqn.2026-11.example:b", 0),
            (
                "login iqn.2026-11.example:a iqn.2026-11.example:t,t,0x0001",
                0,
            ),
            ("login iqn.2026-11.example:a", 1),
            ("login iqn.2026-11.example:A", 1),
            ("logout iqn.2026-11.example:b", 1),
            ("logout iqn.2026-11.example:a", 0),
        ] {
            happen(line, &machine);
            assert_eq!(sessions(), expected, "{line}");
        }
    }

    #[test]
    fn hosts_write_and_overflow_what_the_lines_say() {
        let machine = SimEngine::builder().pool("vg0", 1, 1 << 30).volumes(1);
        let machine = machine.volume_size(4 * EXTENT).build().expect("a machine");
        let id = machine.scan().expect("a scan").volumes[0].id.clone();
        let held = || machine.extents(&id).expect("it can be read");
        happen("write volume-0001 17 50", &machine);
        let half = [Content::Written(17); 2];
        assert_eq!(held(), [half, [Content::Zeros; 2]].concat());
        happen("write volume-0001 0", &machine);
        assert_eq!(held(), [Content::Zeros; 4]);
        // It is no snapshot.
        happen("overflow volume-0001", &machine);
        happen("write nothing 1", &machine);
        assert_eq!(held(), [Content::Zeros; 4]);
        let job = JobId::new();
        let snap = Snap {
            source: id.clone(),
            device: "small".into(),
            name: "small".into(),
            room: Some(EXTENT),
        };
        let step = Step::Snapshot {
            group: machine.scan().expect("a scan").pools[0].id.clone(),
            of: vec![snap],
            job,
        };
        machine.apply(&step, &Unwatched).expect("there is room");
        happen("overflow small", &machine);
        let volumes = machine.scan().expect("a scan").volumes;
        assert!(volumes.iter().any(|volume| volume.is_broken()));
    }

    #[test]
    fn a_machine_suffers_what_the_lines_say() {
        let builder = SimEngine::builder().pool("vg0", 2, 1 << 30);
        let machine = builder.dirty_disks(1, 1 << 30).build();
        let machine = machine.expect("a machine");
        let health = || machine.scan().expect("a scan").disks[0].health.clone();
        let device = machine.scan().expect("a scan").disks[0].device.clone();
        for verb in ["fail", "pull"] {
            happen(&format!("{verb} {device}"), &machine);
            assert!(matches!(health(), Health::Failed(_)), "{verb}");
            happen("# nothing", &machine);
            happen("fill nothing 10", &machine);
            happen(&format!("restore {device}"), &machine);
            assert_eq!(health(), Health::Ok, "{verb}");
        }
        let usage = || machine.scan().expect("a scan").disks[2].usage.clone();
        let carrying = machine.scan().expect("a scan").disks[2].device.clone();
        assert!(matches!(usage(), DiskUsage::Taken(_)));
        happen(&format!("wipe {carrying}"), &machine);
        assert_eq!(usage(), DiskUsage::Free);
        let before = machine.scan().expect("a scan");
        happen(&format!("wipe {device}"), &machine);
        assert_eq!(
            machine.scan().expect("a scan"),
            before,
            "a pool's disk is left alone"
        );
    }
}
