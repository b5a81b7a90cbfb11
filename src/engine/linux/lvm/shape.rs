//! How logical volumes lie on physical ones, put together from the rows of one listing.
//!
//! A volume's segments name extents of devices, or of hidden volumes which in their turn lie on
//! devices. What is followed here: images of RAID are legs, the data of a pool or cache is data, its
//! metadata lies beside that, and everything else below a volume counts as taken only.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::line::Area;
use super::report::{LvRow, PvRow, PvSegmentRow};
use crate::array::Layout;

/// Ends of the names of hidden volumes that hold no data of the one above (lvm(8), "Reserved names"),
/// but for a number.
const NO_DATA: &[&str] = &["_rmeta", "_tmeta", "_cmeta", "_mlog", "_imeta"];
/// Volumes within volumes at most: a cached thin pool on RAID has four.
const DEPTH: usize = 8;

/// Where a volume lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// How.
    pub layout: Layout,
    /// Its data, in the order of legs.
    pub stretches: Vec<Stretch>,
    /// Extents that it takes, with all that is not data.
    pub extents: u64,
    /// How that lies without which its data is not to be had: the metadata of a pool, or a cache.
    pub beside: Vec<Shape>,
}

/// Neighbouring extents of one physical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The UUID of the physical volume.
    pub pv: String,
    /// The leg of the layout.
    pub leg: u16,
    /// The first extent.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// A volume that lies on physical volumes itself: a plain one, or a hidden part of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its plain name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// The UUIDs of the physical volumes that are there.
    pub on: BTreeSet<String>,
}

impl Leaf {
    /// Which leg of RAID it is a part of, its metadata included (lvm(8), "Reserved names").
    pub fn leg(&self) -> Option<u16> {
        let names = ["_rimage_", "_rmeta_"].iter();
        let mut numbers = names.filter_map(|part| self.name.rsplit_once(part));
        numbers.next()?.1.parse().ok()
    }
}

/// The volumes of one group, hidden ones included, with what they lie on.
#[derive(Debug)]
pub struct Shapes<'a> {
    volumes: BTreeMap<&'a str, Lv<'a>>,
    devices: BTreeMap<&'a str, &'a str>,
    missing: Vec<&'a PvSegmentRow>,
}

#[derive(Debug, Default)]
struct Lv<'a> {
    segments: Vec<&'a LvRow>,
    parts: Vec<&'a str>,
}

impl<'a> Shapes<'a> {
    /// From the rows of one group: segments of volumes (all of them, hidden ones too), physical
    /// volumes, and segments of those where some are missing.
    pub fn new(
        rows: impl IntoIterator<Item = &'a LvRow>,
        devices: impl IntoIterator<Item = &'a PvRow>,
        segments: impl IntoIterator<Item = &'a PvSegmentRow>,
    ) -> Self {
        let mut volumes: BTreeMap<&str, Lv<'_>> = BTreeMap::new();
        let mut parents = BTreeMap::new();
        for row in rows {
            let name = row.plain_name();
            volumes.entry(name).or_default().segments.push(row);
            parents.insert(name, row.plain_parent());
        }
        for (name, parent) in parents {
            if let Some(parent) = volumes.get_mut(parent) {
                parent.parts.push(name);
            }
        }
        for lv in volumes.values_mut() {
            lv.segments.sort_by_key(|row| row.seg_start_pe);
        }
        Self {
            volumes,
            devices: devices
                .into_iter()
                .map(|row| (row.pv_name.as_str(), row.pv_uuid.as_str()))
                .collect(),
            missing: segments
                .into_iter()
                .filter(|row| !row.pv_missing.is_empty())
                .collect(),
        }
    }

    /// Where the volume of that plain name lies.
    pub fn of(&self, name: &str) -> Shape {
        let mut beside = Vec::new();
        self.gather_beside(name, DEPTH, &mut beside);
        Shape {
            extents: self.extents(name, DEPTH) + self.extents_of_moves(name),
            beside,
            ..self.of_data(name, DEPTH)
        }
    }

    /// The moves that parts of a volume are in: the hidden volume that is a mirror of the old place
    /// and the new one, and the UUID of the physical volume that is left (pvmove(8)).
    pub fn moves(&self, name: &str) -> Vec<(&'a str, Option<String>)> {
        let mut moves = BTreeSet::new();
        self.gather_moves(name, DEPTH, &mut moves);
        let moves = moves.into_iter();
        moves.map(|name| (name, self.left_by(name))).collect()
    }

    /// The same of every volume.
    pub fn all_moves(&self) -> impl Iterator<Item = (&'a str, Option<String>)> + '_ {
        let moves = self.volumes.keys().filter(|name| is_move(name));
        moves.map(|name| (*name, self.left_by(name)))
    }

    fn gather_moves(&self, name: &str, depth: usize, moves: &mut BTreeSet<&'a str>) {
        let Some(lv) = self.volumes.get(name).filter(|_| depth > 0) else {
            return;
        };
        let ranges = lv.segments.iter();
        let words = ranges.flat_map(|row| row.seg_pe_ranges.split_whitespace());
        let on = words.filter_map(Area::read).map(|area| area.on);
        moves.extend(on.filter(|on| is_move(on) && self.volumes.contains_key(on)));
        for part in &lv.parts {
            self.gather_moves(part, depth - 1, moves);
        }
    }

    /// The physical volume that a move leaves: that of the first side of its mirror.
    fn left_by(&self, name: &str) -> Option<String> {
        let sides = self.leaves(name).into_iter();
        let mut first = sides.filter(|side| side.name.ends_with("_mimage_0"));
        first.next()?.on.into_iter().next()
    }

    /// Extents of a physical volume below a volume, whatever they hold.
    pub fn extents_on(&self, name: &str, pv: &str) -> u64 {
        self.count_on(name, pv, DEPTH)
    }

    fn count_on(&self, name: &str, pv: &str, depth: usize) -> u64 {
        let Some(lv) = self.volumes.get(name).filter(|_| depth > 0) else {
            return 0;
        };
        let ranges = lv.segments.iter();
        let words = ranges.flat_map(|row| row.seg_pe_ranges.split_whitespace());
        let areas = words.filter_map(Area::read);
        let own = areas.filter(|area| self.devices.get(area.on) == Some(&pv));
        let parts = lv.parts.iter();
        own.map(|area| area.count()).sum::<u64>()
            + parts
                .map(|part| self.count_on(part, pv, depth - 1))
                .sum::<u64>()
    }

    /// The parts of a volume that lie on physical volumes themselves, whatever they hold.
    pub fn leaves(&self, name: &str) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        self.gather(name, DEPTH, &mut leaves);
        leaves
    }

    fn gather(&self, name: &str, depth: usize, leaves: &mut Vec<Leaf>) {
        let Some(lv) = self.volumes.get(name).filter(|_| depth > 0) else {
            return;
        };
        let ranges = lv.segments.iter();
        let areas = ranges.flat_map(|row| row.seg_pe_ranges.split_whitespace());
        let areas = areas.filter_map(Area::read);
        let areas = areas.filter(|area| !area.on.starts_with('['));
        let devices = areas.filter_map(|area| self.devices.get(area.on));
        let on: BTreeSet<String> = devices.map(|uuid| (*uuid).to_owned()).collect();
        if let (false, Some(row)) = (on.is_empty(), lv.segments.first()) {
            leaves.push(Leaf {
                name: name.to_owned(),
                uuid: row.lv_uuid.clone(),
                on,
            });
        }
        for part in &lv.parts {
            self.gather(part, depth - 1, leaves);
        }
    }

    /// A pool lies as its data does, and so does what is cached.
    fn of_data(&self, name: &str, depth: usize) -> Shape {
        let Some(lv) = self.volumes.get(name) else {
            return Shape::default();
        };
        if let (Some(below), true) = (self.only_data(lv), depth > 0) {
            return self.of_data(below, depth - 1);
        }
        let mut stretches = Vec::new();
        self.follow(name, None, DEPTH, &mut stretches);
        Shape {
            layout: layout(&lv.segments),
            stretches: merged(stretches),
            ..Shape::default()
        }
    }

    /// Of a pool or cache, and of what its data is in turn: every part that does not hold the data.
    fn gather_beside(&self, name: &str, depth: usize, found: &mut Vec<Shape>) {
        let Some(lv) = self.volumes.get(name).filter(|_| depth > 0) else {
            return;
        };
        let Some(data) = self.only_data(lv) else {
            return;
        };
        let others = lv.parts.iter().filter(|part| **part != data);
        found.extend(others.map(|part| self.of_data(part, depth - 1)));
        for part in &lv.parts {
            self.gather_beside(part, depth - 1, found);
        }
    }

    /// The volume that holds all data of a pool or cache.
    fn only_data(&self, lv: &Lv<'a>) -> Option<&'a str> {
        let [row] = lv.segments[..] else {
            return None;
        };
        let is_wrapper = [
            "thin-pool",
            "cache",
            "writecache",
            "cache-pool",
            "integrity",
        ]
        .contains(&row.segtype.as_str());
        let area = Area::read(row.seg_pe_ranges.split_whitespace().next()?)?;
        let below = self.volumes.get_key_value(area.on)?;
        is_wrapper.then_some(*below.0)
    }

    /// Collects the data of a volume; `leg` is set below an image.
    fn follow(&self, name: &str, leg: Option<u16>, depth: usize, found: &mut Vec<Stretch>) {
        let Some(lv) = self.volumes.get(name).filter(|_| depth > 0) else {
            return;
        };
        for row in &lv.segments {
            for (place, area) in areas(row).enumerate() {
                let is_wide = row.segtype != "linear";
                let own = u16::try_from(place).ok().filter(|_| is_wide).unwrap_or(0);
                let leg = leg.unwrap_or(own);
                if self.volumes.contains_key(area.on) {
                    self.follow(area.on, Some(leg), depth - 1, found);
                } else if let Some(pv) = self.device(row, area, found) {
                    found.push(Stretch {
                        pv: pv.to_owned(),
                        leg,
                        first: area.first,
                        count: area.count(),
                    });
                }
            }
        }
    }

    /// The physical volume of an area. Missing ones have no name: they are known by which extents
    /// of theirs the volume has; where two have the same, either order says the same.
    fn device(&self, row: &LvRow, area: Area<'_>, found: &[Stretch]) -> Option<&'a str> {
        if let Some(uuid) = self.devices.get(area.on)
            && !area.on.starts_with('[')
        {
            return Some(uuid);
        }
        let holds = |segment: &&&PvSegmentRow| {
            let start = segment.pvseg_start.unwrap_or_default();
            let end = start + segment.pvseg_size.unwrap_or_default();
            let is_taken = found
                .iter()
                .any(|known| known.pv == segment.pv_uuid && known.first == area.first);
            segment.lv_uuid == row.lv_uuid && start <= area.first && area.last < end && !is_taken
        };
        let segment = self.missing.iter().find(holds)?;
        Some(&segment.pv_uuid)
    }

    /// What is moved takes its old place and its new one.
    fn extents_of_moves(&self, name: &str) -> u64 {
        let moves = self.moves(name).into_iter();
        moves.map(|(name, _)| self.extents(name, DEPTH)).sum()
    }

    /// Extents on physical volumes below a volume, whatever they hold.
    fn extents(&self, name: &str, depth: usize) -> u64 {
        let Some(lv) = self.volumes.get(name).filter(|_| depth > 0) else {
            return 0;
        };
        let own = lv.segments.iter().flat_map(|row| areas(row));
        let own = own.filter(|area| !self.volumes.contains_key(area.on));
        let below = lv.parts.iter().map(|part| self.extents(part, depth - 1));
        own.map(|area| area.count()).sum::<u64>() + below.sum::<u64>()
    }
}

/// Whether a volume is a mirror of an old and a new place (lvm(8), "Reserved names").
fn is_move(name: &str) -> bool {
    name.strip_prefix("pvmove")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The parts of a segment that hold data.
fn areas(row: &LvRow) -> impl Iterator<Item = Area<'_>> {
    let words = row.seg_pe_ranges.split_whitespace();
    let areas = words.filter_map(Area::read);
    areas.filter(|area| {
        let is_number = |c: char| c == '_' || c.is_ascii_digit();
        let kind = area.on.trim_end_matches(is_number);
        !NO_DATA.iter().any(|end| kind.ends_with(end))
    })
}

/// The layout of these segments; different ones make a whole without a layout of its own.
fn layout(segments: &[&LvRow]) -> Layout {
    let mut layouts = segments.iter().map(|row| {
        let legs = row.stripes.and_then(|n| u16::try_from(n).ok()).unwrap_or(1);
        segment_layout(&row.segtype, legs)
    });
    let first = layouts.next().unwrap_or_default();
    match layouts.all(|layout| layout == first) {
        true => first,
        false => Layout::Linear,
    }
}

/// The layout of a segment with so many legs (lvmraid(7)).
fn segment_layout(kind: &str, legs: u16) -> Layout {
    let parity = |parity: u16| match legs.checked_sub(parity) {
        Some(stripes @ 1..) => Layout::Parity { stripes, parity },
        _ => Layout::Linear,
    };
    match kind {
        "striped" | "raid0" | "raid0_meta" if legs > 1 => Layout::Striped { stripes: legs },
        "raid1" | "mirror" if legs > 1 => Layout::Mirrored { copies: legs },
        "raid10" | "raid10_near" if legs > 3 && legs.is_multiple_of(2) => {
            Layout::MirroredStripes { stripes: legs / 2 }
        }
        // The smallest RAID 10 is a mirror by another name.
        "raid10" | "raid10_near" if legs > 1 => Layout::Mirrored { copies: 2 },
        kind if kind.starts_with("raid4") || kind.starts_with("raid5") => parity(1),
        kind if kind.starts_with("raid6") => parity(2),
        _ => Layout::Linear,
    }
}

/// Neighbours put together, legs in their order.
fn merged(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_by_key(|stretch| stretch.leg);
    let mut merged: Vec<Stretch> = Vec::new();
    for next in stretches {
        match merged.last_mut() {
            Some(last)
                if (&last.pv, last.leg, last.first + last.count)
                    == (&next.pv, next.leg, next.first) =>
            {
                last.count += next.count;
            }
            _ => merged.push(next),
        }
    }
    merged
}
