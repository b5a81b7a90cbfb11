//! Whether pools may be made from a disk: what forbids it, the cheap reasons first.

use super::drive;
use super::node::{Node, Sort};
use super::survey::Survey;
use crate::array::{DISK_HEAD, Error, Health, Kind, NEW_EXTENT};

/// Bytes below which LVM makes no extent on a disk.
const LEAST: u64 = DISK_HEAD + NEW_EXTENT;

/// Why a disk is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// By meaning.
    pub(super) kind: Kind,
    /// One sentence about "it".
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self {
            kind,
            why: why.into(),
        }
    }

    /// The refusal as an answer to who asked for that disk.
    pub(super) fn about(self, device: &str) -> Error {
        Error::new(
            self.kind,
            format!("disk {device} cannot be used: {}", self.why),
        )
    }
}

type Check = fn(&Survey<'_>, &Node) -> Option<Refusal>;

/// What forbids to use a device, whatever lies on it, by the word of the kernel alone. Each is asked
/// of the device and of everything that it is a part of or made of.
const EVERYWHERE: &[Check] = &[unfit, own_export, write_protected, zoned, broken];
/// What forbids to use a device itself.
const ITSELF: &[Check] = &[mapped, twin, partitioned, used, held, small, not_allowed];

/// Finds the first reason not to use a device that can be had without touching it.
pub(super) fn judge(survey: &Survey<'_>, node: &Node) -> Result<(), Refusal> {
    let foundation = survey.foundation(node);
    let everywhere = EVERYWHERE
        .iter()
        .flat_map(|check| foundation.iter().map(move |below| (check, *below)));
    let itself = ITSELF.iter().map(|check| (check, node));
    let refusal = everywhere
        .chain(itself)
        .find_map(|(check, node)| check(survey, node))
        .or_else(|| in_use_as_a_whole(survey, node));
    refusal.map_or(Ok(()), Err)
}

fn unfit(_: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let Sort::Unfit(what) = node.sort else {
        return None;
    };
    let why = format!("it is {what}; name a drive, a partition or a RAID array");
    Some(Refusal::new(Kind::NotSupported, why))
}

/// A disk that this machine shows to itself would hold a pool that holds itself.
fn own_export(survey: &Survey<'_>, node: &Node) -> Option<Refusal> {
    match survey.is_exported_here(node) {
        Ok(false) => None,
        Ok(true) => Some(Refusal::new(
            Kind::AccessDenied,
            "it is a volume that this machine itself exports; name its own disks only",
        )),
        Err(error) => Some(Refusal::new(
            Kind::Unavailable,
            format!("whether this machine itself exports it could not be found out: {error}"),
        )),
    }
}

fn write_protected(_: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let writable = node.text("ro").as_deref() == Some("0");
    (!writable).then(|| {
        let why = "it is write-protected; take the protection off, or choose another disk";
        Refusal::new(Kind::AccessDenied, why)
    })
}

/// LVM cannot use disks that must be written in order.
fn zoned(_: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let is_zoned = node.text("queue/zoned").as_deref() == Some("host-managed");
    let why = "its zones must be written in order, which LVM cannot do; choose another disk";
    is_zoned.then(|| Refusal::new(Kind::NotSupported, why))
}

fn broken(survey: &Survey<'_>, node: &Node) -> Option<Refusal> {
    match drive::health(survey.places, node) {
        Health::Failed(why) => Some(Refusal::new(Kind::Unavailable, why)),
        _ => None,
    }
}

fn mapped(_: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let why = "it is a device of device-mapper; name the drive below it";
    (node.sort == Sort::Mapped).then(|| Refusal::new(Kind::NotSupported, why))
}

fn twin(survey: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let twins = survey.twins(node)?;
    let why = format!(
        "{} bear the same identity; set up multipathing if they are one disk, else give each a \
         serial number of its own",
        twins.join(" and ")
    );
    Some(Refusal::new(Kind::Unavailable, why))
}

fn partitioned(_: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let partitions = node.partitions();
    let why = format!(
        "it has partitions ({}); remove them if nobody needs them",
        partitions.join(", ")
    );
    (!partitions.is_empty()).then(|| Refusal::new(Kind::InUse, why))
}

fn used(survey: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let Some(users) = &survey.users else {
        let why = "what is mounted could not be read; look at /proc/self/mountinfo";
        return Some(Refusal::new(Kind::Unavailable, why));
    };
    let user = users.direct(&node.name, node.number)?;
    Some(Refusal::new(
        Kind::InUse,
        format!("it is {user}; end that use, or choose another disk"),
    ))
}

fn held(survey: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let holders = node.listed("holders");
    let holder = holders.first()?;
    let why = match Node::named(survey.places, holder) {
        Some(node) if node.sort == Sort::Raid => format!("it is a part of the RAID array {holder}"),
        Some(node) => format!("it is held by {}", node.path()),
        None => format!("it is held by {holder}"),
    };
    Some(Refusal::new(Kind::InUse, why))
}

/// A partition of a drive that something uses as a whole.
fn in_use_as_a_whole(survey: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let Sort::Partition { of, .. } = &node.sort else {
        return None;
    };
    let whole = survey.node(of)?;
    let refusal = used(survey, whole).or_else(|| held(survey, whole))?;
    let why = format!("its drive {} is in use: {}", whole.path(), refusal.why);
    Some(Refusal::new(refusal.kind, why))
}

fn small(_: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let why = format!(
        "it has {} bytes, less than the {LEAST} that a pool needs; choose a larger disk",
        node.size
    );
    (node.size < LEAST).then(|| Refusal::new(Kind::InvalidArgument, why))
}

fn not_allowed(survey: &Survey<'_>, node: &Node) -> Option<Refusal> {
    let why = "the configuration does not allow to use it; add it to storage.disks";
    (!survey.allows(node)).then(|| Refusal::new(Kind::AccessDenied, why))
}
