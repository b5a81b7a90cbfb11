//! The block devices that matter, as they are at one moment, and how they depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::drive;
use super::node::{Node, Sort};
use super::pattern;
use crate::array::{Disk, DiskId, DiskKind, DiskUsage, Naa};
use crate::engine::linux::blockdev::{Places, Users};

/// Of the 32 digits of an identifier of type 6, those before the serial: type and company.
const BEFORE_SERIAL: usize = 7;
/// Devices deep that one may lie below another; deeper ones are not looked at.
const DEEPEST: usize = 16;

/// Who knows the unit serials of everything that this machine exports.
pub(super) type Serials<'a> = &'a dyn Fn() -> io::Result<Vec<String>>;

/// Devices by kernel name.
pub(super) struct Survey<'a> {
    pub(super) places: &'a Places,
    /// Who uses devices; `None` if that could not be read.
    pub(super) users: Option<Users>,
    nodes: BTreeMap<String, Node>,
    ids: BTreeMap<String, DiskId>,
    /// Of every device whose identity others bear, too: the paths of all of them.
    twins: BTreeMap<String, Vec<String>>,
    allowed: BTreeSet<String>,
    serials: Serials<'a>,
}

/// The devices at these paths, as [`Settings`](super::Settings) describes them; with the paths that
/// lead to none.
pub(super) fn resolve(places: &Places, allowed: &[PathBuf]) -> (Vec<Node>, Vec<PathBuf>) {
    let (mut nodes, mut absent) = (Vec::new(), Vec::new());
    for path in allowed {
        let found = match pattern::is_pattern(path) {
            false => Node::at(places, path).into_iter().collect(),
            true => matching(places, path),
        };
        if found.is_empty() {
            absent.push(path.clone());
        }
        nodes.extend(found);
    }
    nodes.sort_by(|a: &Node, b| a.name.cmp(&b.name));
    nodes.dedup_by(|a, b| a.name == b.name);
    (nodes, absent)
}

/// The whole disks that a pattern stands for: partitions and maps have names like theirs.
fn matching(places: &Places, path: &Path) -> Vec<Node> {
    let is_whole = |node: &Node| matches!(node.sort, Sort::Drive | Sort::Multipath | Sort::Raid);
    let paths = pattern::expand(places, path).into_iter();
    paths
        .filter_map(|path| Node::at(places, &path))
        .filter(is_whole)
        .collect()
}

impl<'a> Survey<'a> {
    /// These devices and all below them; pools may be made from those named in `allowed`. `pvs` has
    /// the UUIDs of known physical volumes by the name of the device.
    pub(super) fn new(
        places: &'a Places,
        serials: Serials<'a>,
        devices: impl IntoIterator<Item = Node>,
        allowed: BTreeSet<String>,
        pvs: &BTreeMap<String, &str>,
    ) -> Self {
        let mut nodes = BTreeMap::new();
        let mut next: Vec<Node> = devices.into_iter().collect();
        while let Some(node) = next.pop() {
            if nodes.contains_key(&node.name) {
                continue;
            }
            let below = node.below();
            next.extend(below.iter().filter_map(|name| Node::named(places, name)));
            nodes.insert(node.name.clone(), node);
        }
        let mut bearers: BTreeMap<DiskId, Vec<&Node>> = BTreeMap::new();
        for node in nodes.values() {
            let id = drive::identity(places, node);
            bearers.entry(id).or_default().push(node);
        }
        let (mut ids, mut twins) = (BTreeMap::new(), BTreeMap::new());
        for (id, bearers) in bearers {
            let is_shared = bearers.len() > 1;
            let paths: Vec<String> = bearers.iter().map(|node| node.path()).collect();
            for node in bearers {
                let own = match (is_shared, pvs.get(&node.name)) {
                    (false, _) => id.clone(),
                    (true, Some(pv)) => DiskId::from(*pv),
                    (true, None) => DiskId::from(format!("{id}@{}", node.name)),
                };
                ids.insert(node.name.clone(), own);
                if is_shared {
                    twins.insert(node.name.clone(), paths.clone());
                }
            }
        }
        Self {
            places,
            users: places.users().ok(),
            nodes,
            ids,
            twins,
            allowed,
            serials,
        }
    }

    /// All devices, in an order that people expect: `sdb` before `sdaa`.
    pub(super) fn in_order(&self) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.nodes.values().collect();
        nodes.sort_by_key(|node| (node.name.len(), &node.name));
        nodes
    }

    /// The device of that name.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Whether pools may be made from a device.
    pub(super) fn allows(&self, node: &Node) -> bool {
        self.allowed.contains(&node.name)
    }

    /// The paths of all devices that bear the identity of this one, if there are others.
    pub(super) fn twins(&self, node: &Node) -> Option<&[String]> {
        self.twins.get(&node.name).map(Vec::as_slice)
    }

    /// The identity of a device. One that others bear, too, is told apart by what lies on it, or
    /// else by its name.
    pub(super) fn id(&self, node: &Node) -> DiskId {
        let id = self.ids.get(&node.name).cloned();
        id.unwrap_or_else(|| drive::identity(self.places, node))
    }

    /// The device of that identity.
    pub(super) fn find(&self, id: &DiskId) -> Option<&Node> {
        self.nodes.values().find(|node| self.id(node) == *id)
    }

    /// A device and everything that it is a part of or made of.
    pub(super) fn foundation<'s>(&'s self, node: &'s Node) -> Vec<&'s Node> {
        let mut all = vec![node];
        let mut layer = vec![node];
        for _ in 0..DEEPEST {
            layer = layer
                .iter()
                .flat_map(|node| node.below())
                .filter_map(|name| self.node(&name))
                .collect();
            all.extend(&layer);
        }
        all
    }

    /// Whether a device is something that this machine itself exports: the drive of a loopback, or
    /// one that bears an identifier made from the serial of something exported.
    pub(super) fn is_exported_here(&self, node: &Node) -> io::Result<bool> {
        let paths = match node.sort {
            Sort::Multipath => node.listed("slaves"),
            _ => BTreeSet::from([node.name.clone()]),
        };
        for path in paths
            .iter()
            .filter_map(|name| Node::named(self.places, name))
        {
            if path.way().any(|part| part.starts_with("tcm_loop")) {
                return Ok(true);
            }
            let Some(wwid) = drive::wwid(&path) else {
                continue;
            };
            let ours = format!("naa.6{:06x}", Naa::LIO_COMPANY);
            let is_lio = path.text("device/vendor").as_deref() == Some("LIO-ORG");
            if !is_lio && !wwid.starts_with(&ours) {
                continue;
            }
            let digits = wwid.trim_start_matches("naa.");
            let serial = digits.get(BEFORE_SERIAL..).unwrap_or_default();
            let is_of = |unit: &String| {
                let naa = Naa::from_serial(Naa::LIO_COMPANY, unit).to_string();
                naa.get(BEFORE_SERIAL..)
                    .is_some_and(|digits| digits.eq_ignore_ascii_case(serial))
            };
            if (self.serials)()?.iter().any(is_of) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A device as the array's disk.
    pub(super) fn disk(&self, node: &Node, usage: DiskUsage) -> Disk {
        let below = || {
            let names = node.below();
            let nodes = names.iter().filter_map(|name| self.node(name));
            nodes.map(|node| self.id(node)).collect::<Vec<_>>()
        };
        let drive = || DiskKind::Drive(drive::facts(self.places, node));
        let kind = match &node.sort {
            Sort::Drive | Sort::Multipath | Sort::Unfit(_) => drive(),
            Sort::Partition { start, .. } => match below().pop() {
                Some(of) => DiskKind::Partition { of, start: *start },
                None => drive(),
            },
            Sort::Raid => DiskKind::Raid {
                level: node.text("md/level").unwrap_or_default(),
                of: below(),
            },
            Sort::Mapped => DiskKind::Raid {
                level: mapping(node),
                of: below(),
            },
        };
        Disk {
            id: self.id(node),
            device: node.path(),
            size: node.size,
            kind,
            usage,
            health: drive::health(self.places, node),
        }
    }
}

/// What device-mapper makes of the devices below: the word that its user put before the UUID, e.g.
/// `crypt` or `lvm`.
fn mapping(node: &Node) -> String {
    let uuid = node.text("dm/uuid").unwrap_or_default();
    let word = uuid.split('-').next().unwrap_or_default();
    match word.is_empty() {
        true => "dm".to_owned(),
        false => word.to_ascii_lowercase(),
    }
}
