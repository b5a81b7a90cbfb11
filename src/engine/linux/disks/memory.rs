//! What is remembered of disks while the program runs: those that vanish keep their identity, and
//! what lies on one is not read again as long as nothing was written to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::drive;
use super::free::Refusal;
use super::node::{Node, Sort};
use crate::array::{Disk, DiskId};
use crate::engine::linux::blockdev::Places;

/// How long a verdict counts at most: another machine may write to a shared disk unseen.
const LASTING: Duration = Duration::from_secs(300);

/// The counters of a device's `stat` that move when its content does (the kernel's
/// Documentation/block/stat.rst): completed writes, their sectors, discards and theirs.
const WRITES: [usize; 4] = [4, 6, 11, 13];

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The disk below each physical volume that was seen, and those below it in turn, by its UUID.
    pub(super) members: BTreeMap<String, Vec<Disk>>,
    /// The kernel names of all disks of the last listing, by identity.
    pub(super) listed: BTreeMap<DiskId, String>,
    verdicts: BTreeMap<String, Verdict>,
}

#[derive(Debug)]
struct Verdict {
    state: String,
    since: Instant,
    verdict: Result<(), Refusal>,
}

impl Memory {
    /// What was found on a device in this state.
    pub(super) fn verdict(&self, node: &Node, state: &str) -> Option<Result<(), Refusal>> {
        let known = self.verdicts.get(&node.name)?;
        let counts = known.state == state && known.since.elapsed() < LASTING;
        counts.then(|| known.verdict.clone())
    }

    /// The disks of those that are or were members, as far as they are there.
    pub(super) fn former(&self, places: &Places) -> Vec<Node> {
        let disks = self.members.values().filter_map(|disks| disks.first());
        disks
            .filter_map(|disk| {
                let node = Node::named(places, self.listed.get(&disk.id)?)?;
                (drive::identity(places, &node) == disk.id).then_some(node)
            })
            .collect()
    }

    /// Remembers what was found on a device in this state.
    pub(super) fn note(&mut self, node: &Node, state: String, verdict: Result<(), Refusal>) {
        let verdict = Verdict {
            state,
            since: Instant::now(),
            verdict,
        };
        self.verdicts.insert(node.name.clone(), verdict);
    }

    /// Whether it was looked what lies on a device.
    pub(super) fn has_looked_at(&self, node: &Node) -> bool {
        self.verdicts.contains_key(&node.name)
    }
}

/// What differs when the content of a device may have changed; `None` where the kernel does not
/// count.
pub(super) fn state(places: &Places, node: &Node) -> Option<String> {
    // Writes through the whole device are not counted at its partitions.
    let whole = match &node.sort {
        Sort::Partition { of, .. } => Node::named(places, of)?,
        _ => node.clone(),
    };
    if whole.text("queue/iostats").as_deref() != Some("1") {
        return None;
    }
    let stat = whole.text("stat")?;
    let counters: Vec<&str> = stat.split_whitespace().collect();
    let writes: Vec<&str> = WRITES
        .iter()
        .filter_map(|&place| counters.get(place).copied())
        .collect();
    let sequence = whole.text("diskseq").unwrap_or_default();
    Some(format!(
        "{}:{} {sequence} {} {writes:?}",
        node.number.0, node.number.1, node.size
    ))
}
