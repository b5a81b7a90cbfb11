//! What happens to the simulated machine while it runs: commands that a person or a script writes
//! into a file, usually a FIFO.
//!
//! | line | what happens |
//! |---|---|
//! | `fail DISK` | reads and writes of the disk fail |
//! | `pull DISK` | the disk is away |
//! | `restore DISK` | the disk works again, with what was on it |
//! | `fill POOL PERCENT` | hosts write to the volumes of a thin pool until so much of it is used |
//!
//! A disk is named by its device or identity, a pool by its name. Empty lines and those that begin
//! with `#` say nothing.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::array::{DiskId, Engine as _, Error, PoolId};
use crate::engine::sim::SimEngine;

use super::Failure;

/// One line.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Fail(String),
    Pull(String),
    Restore(String),
    Fill(String, u64),
}

impl FromStr for Event {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let percent = |text: &str| text.parse().ok().filter(|percent| *percent <= 100);
        match words[..] {
            ["fail", disk] => Ok(Self::Fail(disk.to_owned())),
            ["pull", disk] => Ok(Self::Pull(disk.to_owned())),
            ["restore", disk] => Ok(Self::Restore(disk.to_owned())),
            ["fill", pool, part] if percent(part).is_some() => Ok(Self::Fill(
                pool.to_owned(),
                percent(part).unwrap_or_default(),
            )),
            _ => Err(Error::invalid(format!(
                "'{line}' is no event; write fail DISK, pull DISK, restore DISK or fill POOL \
                 PERCENT"
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
            Self::Fill(name, percent) => {
                return machine.fill_pool(&pool(machine, name)?, *percent);
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
    use crate::array::Health;

    #[test]
    fn lines_are_events_or_refused() {
        let event = |line: &str| line.parse::<Event>().ok();
        assert_eq!(
            event(" fail /dev/sdb "),
            Some(Event::Fail("/dev/sdb".into()))
        );
        assert_eq!(event("fill thin 90"), Some(Event::Fill("thin".into(), 90)));
        for line in ["fail", "fail a b", "fill thin", "fill thin 101", "melt sdb"] {
            assert_eq!(event(line), None, "{line}");
        }
    }

    #[test]
    fn a_machine_suffers_what_the_lines_say() {
        let machine = SimEngine::builder().pool("vg0", 2, 1 << 30).build();
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
    }
}
