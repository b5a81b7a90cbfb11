//! The disks below the pools and those that pools can be made from.
//!
//! | module | what it knows |
//! |---|---|
//! | `node` | one block device, as sysfs shows it |
//! | `drive` | who made a drive, how it is known, how it is |
//! | `survey` | the devices that matter at one moment, and how they depend on each other |
//! | `pattern` | paths that stand for several |
//! | `free` | why a disk may not be used, as far as the kernel tells |
//! | `signature` | what lies on a disk; claiming it |
//! | `memory` | what is remembered while the program runs |
//!
//! A listing is a picture and may be old when it is used. Before anything is written to a disk,
//! [`Disks::check_free`] looks again, remembers nothing and claims the device meanwhile.

mod drive;
mod free;
#[cfg(test)]
mod kernel_tests;
mod memory;
mod node;
mod pattern;
mod signature;
mod survey;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::blockdev::Places;
use super::lio::backstore;
use super::lio::configfs::{Configfs, ConfigfsError};
use super::lvm::names::DevicePath;
use super::lvm::report::PvRow;
use super::settings::Settings;
use super::watch::{Deadline, Watch};
use crate::array::{Disk, DiskId, DiskKind, DiskUsage, Drive, Error, Health, PoolId};
use free::Refusal;
use memory::Memory;
use node::Node;
use survey::Survey;

/// How long one disk may take to tell what lies on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A physical volume of a managed volume group, as LVM tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The path of its device (`pv_name`); anything where the device is missing.
    pub device: String,
    /// Its UUID (`pv_uuid`).
    pub pv: String,
    /// The pool that it belongs to.
    pub pool: PoolId,
    /// Bytes in used extents.
    pub used: u64,
    /// Bytes in free extents.
    pub free: u64,
    /// Whether LVM counts it as missing.
    pub missing: bool,
}

impl From<&PvRow> for Member {
    fn from(row: &PvRow) -> Self {
        let (size, free) = (
            row.pv_size.unwrap_or_default(),
            row.pv_free.unwrap_or_default(),
        );
        Self {
            device: row.pv_name.clone(),
            pv: row.pv_uuid.clone(),
            pool: PoolId::from(row.vg_uuid.as_str()),
            used: size.saturating_sub(free),
            free: match row.is_closed() {
                true => 0,
                false => free,
            },
            missing: !row.pv_missing.is_empty(),
        }
    }
}

/// Disks at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The disks that the configuration allows, those below members, and those that these are
    /// parts of or made of; always in the same order.
    pub disks: Vec<Disk>,
    /// The disk of each member, by the UUID of its physical volume.
    pub ids: BTreeMap<String, DiskId>,
    /// Major and minor number of the device of each member that is there, by the same.
    pub numbers: BTreeMap<String, (u32, u32)>,
    /// The members that are there and that LVM counts as missing, by the same.
    pub returned: BTreeSet<String>,
}

/// What the paths that the configuration allows lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The devices, as [`Disk::device`] has them.
    pub devices: BTreeSet<String>,
    /// The paths and patterns that lead to none.
    pub absent: Vec<PathBuf>,
}

/// The disks of this machine.
#[derive(Debug)]
pub struct Disks {
    allowed: Vec<PathBuf>,
    places: Places,
    blkid: PathBuf,
    configfs: Configfs,
    watch: Watch,
    memory: Mutex<Memory>,
}

impl Disks {
    /// The disks that these settings allow.
    pub fn new(settings: &Settings) -> Self {
        Self {
            allowed: settings.disks.clone(),
            places: settings.places.clone(),
            blkid: settings.blkid.clone(),
            configfs: Configfs::new(&settings.configfs),
            watch: Watch::default(),
            memory: Mutex::default(),
        }
    }

    /// Looks at the disks. `members` are the physical volumes of all managed groups: what is left
    /// out is taken for somebody else's. A disk that was a member stays in the list as long as it
    /// is there.
    pub fn list(&self, members: &[Member], deadline: Deadline) -> Listing {
        let found: Vec<(&Member, Option<Node>)> = members
            .iter()
            .map(|member| (member, Node::at(&self.places, member.device.as_ref())))
            .collect();
        let of_node: BTreeMap<String, &Member> = found
            .iter()
            .filter_map(|(member, node)| Some((node.as_ref()?.name.clone(), *member)))
            .collect();
        let (allowed, _) = survey::resolve(&self.places, &self.allowed);
        let names = allowed.iter().map(|node| node.name.clone()).collect();
        let former = self.remembered().former(&self.places);
        let devices = allowed
            .into_iter()
            .chain(found.into_iter().filter_map(|(_, node)| node))
            .chain(former);
        let pvs = of_node
            .iter()
            .map(|(name, member)| (name.clone(), member.pv.as_str()))
            .collect();
        let serials = || self.exported_serials(deadline);
        let survey = Survey::new(&self.places, &serials, devices, names, &pvs);

        let mut listing = Listing::default();
        let mut listed = BTreeMap::new();
        for node in survey.in_order() {
            let disk = match of_node.get(&node.name) {
                Some(member) => {
                    let disk = present(survey.disk(node, usage_of(member)), member);
                    let below = survey.foundation(node).into_iter().skip(1);
                    let below = below.map(|node| survey.disk(node, DiskUsage::Free));
                    let all = std::iter::once(disk.clone()).chain(below).collect();
                    self.remembered().members.insert(member.pv.clone(), all);
                    listing.ids.insert(member.pv.clone(), disk.id.clone());
                    listing.numbers.insert(member.pv.clone(), node.number);
                    if disk.is_returned() {
                        listing.returned.insert(member.pv.clone());
                    }
                    disk
                }
                None => {
                    let usage = self.usage(&survey, node, deadline);
                    survey.disk(node, usage)
                }
            };
            listed.insert(disk.id.clone(), node.name.clone());
            listing.disks.push(disk);
        }
        let mut memory = self.remembered();
        memory.listed = listed;
        for member in members {
            if !listing.ids.contains_key(&member.pv) {
                add_absent(&mut listing, member, memory.members.get(&member.pv));
            }
        }
        listing
    }

    /// Makes sure, in the moment of acting, that nothing lies on a disk, that nobody uses it and
    /// that pools may be made from it; returns the path for LVM.
    ///
    /// # Errors
    /// The reason, by kind; when in doubt, too.
    pub fn check_free(&self, id: &DiskId, deadline: Deadline) -> Result<DevicePath, Error> {
        let (allowed, _) = survey::resolve(&self.places, &self.allowed);
        let names = allowed.iter().map(|node| node.name.clone()).collect();
        let serials = || self.exported_serials(deadline);
        let survey = Survey::new(&self.places, &serials, allowed, names, &BTreeMap::new());
        let Some(node) = survey.find(id) else {
            return Err(self.unknown(id));
        };
        let path = node.path();
        free::judge(&survey, node).map_err(|refusal| refusal.about(&path))?;
        let device = DevicePath::new(path.as_str()).map_err(|e| Error::invalid(e.to_string()))?;
        let (place, number) = (self.places.dev.join(node.file()), node.number);
        let claimed = self
            .watch
            .run(&format!("opening {path}"), deadline, {
                let place = place.clone();
                move || signature::claim(&place, number)
            })?
            .map_err(|refusal| refusal.about(&path))?;
        let limit = deadline.left().min(PATIENCE);
        let looked = signature::look((&self.blkid, &self.watch), &place, &path, limit);
        // Held until here, so that nobody else began to use it meanwhile.
        drop(claimed);
        looked.map_err(|refusal| refusal.about(&path))?;
        Ok(device)
    }

    /// The path for LVM of a disk, whatever it is used for, if it is there.
    pub fn device_of(&self, id: &DiskId) -> Option<DevicePath> {
        let name = self.remembered().listed.get(id).cloned();
        let listed = name.and_then(|name| Node::named(&self.places, &name));
        let node = match listed {
            // A name is given again, and only an identity of its own tells whether it was.
            Some(node) if drive::identity(&self.places, &node) == *id => Some(node),
            other => {
                let (allowed, _) = survey::resolve(&self.places, &self.allowed);
                let of_id = |node: &Node| drive::identity(&self.places, node) == *id;
                let mut named = allowed.into_iter().filter(of_id);
                let found = named.next();
                found.filter(|_| named.next().is_none()).or(other)
            }
        };
        DevicePath::new(node?.path()).ok()
    }

    /// What changes when disks that the configuration allows come, go or change, or those of the
    /// last listing: for a fingerprint.
    pub fn outline(&self) -> Vec<String> {
        let memory = self.remembered();
        let (allowed, absent) = survey::resolve(&self.places, &self.allowed);
        let mut nodes: BTreeMap<String, Node> = allowed
            .into_iter()
            .map(|node| (node.name.clone(), node))
            .collect();
        for name in memory.listed.values() {
            if let Some(node) = Node::named(&self.places, name) {
                nodes.entry(name.clone()).or_insert(node);
            }
        }
        let mut outline: Vec<String> = nodes
            .values()
            .map(|node| {
                // What is in use is written to all the time.
                let state = match memory.has_looked_at(node) {
                    true => memory::state(&self.places, node),
                    false => None,
                };
                format!(
                    "{} {:?} {} {:?} {:?} {:?} {:?} {state:?}",
                    node.name,
                    node.number,
                    node.size,
                    node.text("ro"),
                    node.partitions(),
                    node.listed("holders"),
                    drive::health(&self.places, node),
                )
            })
            .collect();
        outline.push(format!("{absent:?}"));
        let swaps = std::fs::read_to_string(self.places.proc.join("swaps"));
        outline.push(swaps.unwrap_or_default());
        outline
    }

    /// What the allowed paths lead to now.
    pub fn allowed(&self) -> Allowed {
        let (nodes, absent) = survey::resolve(&self.places, &self.allowed);
        Allowed {
            devices: nodes.iter().map(Node::path).collect(),
            absent,
        }
    }

    /// What is remembered; never held while a disk is waited for.
    fn remembered(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a disk that is no member is used for.
    fn usage(&self, survey: &Survey<'_>, node: &Node, deadline: Deadline) -> DiskUsage {
        let verdict = free::judge(survey, node).and_then(|()| {
            let state = memory::state(&self.places, node);
            let known = state
                .as_ref()
                .and_then(|s| self.remembered().verdict(node, s));
            known.unwrap_or_else(|| {
                let place = self.places.dev.join(node.file());
                let limit = deadline.left().min(PATIENCE);
                let looked =
                    signature::look((&self.blkid, &self.watch), &place, &node.path(), limit);
                let state = state.unwrap_or_default();
                self.remembered().note(node, state, looked.clone());
                looked
            })
        });
        match verdict {
            Ok(()) => DiskUsage::Free,
            Err(Refusal { why, .. }) => DiskUsage::Taken(why),
        }
    }

    /// The unit serials of everything that this machine exports, by whichever manager.
    fn exported_serials(&self, deadline: Deadline) -> io::Result<Vec<String>> {
        let configfs = self.configfs.clone();
        let call = move || serials(&configfs);
        let read = self.watch.run("reading the kernel target", deadline, call);
        read.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// The refusal of a disk that is not among those that pools may be made from.
    fn unknown(&self, id: &DiskId) -> Error {
        match self.remembered().listed.get(id) {
            Some(name) => Error::access_denied(format!(
                "the configuration does not allow to make pools from disk {name}; add it to \
                 storage.disks"
            )),
            None => Error::not_found(format!("there is no disk {id}; connect it again")),
        }
    }
}

fn serials(configfs: &Configfs) -> Result<Vec<String>, ConfigfsError> {
    let hbas = match configfs.folders("core") {
        Ok(hbas) => hbas,
        // Where there is no target, nothing is exported.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_hba = |name: &&String| {
        let number = name.rsplit_once('_').map(|(_, number)| number);
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut found = Vec::new();
    for hba in hbas.iter().filter(is_hba) {
        for name in configfs.folders(&format!("core/{hba}"))? {
            found.extend(backstore::serial(configfs, &format!("{hba}/{name}"))?);
        }
    }
    Ok(found)
}

fn usage_of(member: &Member) -> DiskUsage {
    DiskUsage::Member {
        pool: member.pool.clone(),
        used: member.used,
        free: member.free,
        returned: false,
    }
}

/// The disk of a member that is there. LVM lays nothing on one that it counts as missing.
fn present(mut disk: Disk, member: &Member) -> Disk {
    if member.missing && disk.works() {
        disk.usage = DiskUsage::Member {
            pool: member.pool.clone(),
            used: member.used,
            free: 0,
            returned: true,
        };
        disk.health = Health::Degraded(
            "the disk was away while its pool was changed and is connected again, and LVM does not \
             use it yet; repair a volume of the pool, which takes the disk back"
                .into(),
        );
    }
    disk
}

/// Adds the disk of a member that is not there, and those below it, as they are remembered.
fn add_absent(listing: &mut Listing, member: &Member, known: Option<&Vec<Disk>>) {
    let gone = || Health::Failed("the disk is missing; connect it again".into());
    let unknown = Disk {
        id: DiskId::from(member.pv.as_str()),
        device: member.device.clone(),
        size: member.used.saturating_add(member.free),
        kind: DiskKind::Drive(Drive::default()),
        usage: usage_of(member),
        health: gone(),
    };
    let (disk, below) = match known.and_then(|known| known.split_first()) {
        Some((disk, below)) => (disk.clone(), below),
        None => (unknown, &[] as &[Disk]),
    };
    listing.ids.insert(member.pv.clone(), disk.id.clone());
    let seen: BTreeSet<DiskId> = listing.disks.iter().map(|disk| disk.id.clone()).collect();
    let below = below.iter().cloned().map(|disk| Disk {
        usage: DiskUsage::Taken("it is missing".into()),
        ..disk
    });
    let all = std::iter::once(Disk {
        usage: usage_of(member),
        ..disk
    });
    let missing = all.chain(below).filter(|disk| !seen.contains(&disk.id));
    listing.disks.extend(missing.map(|disk| Disk {
        health: gone(),
        ..disk
    }));
}
