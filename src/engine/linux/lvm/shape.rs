//! How logical volumes lie on physical ones, put together from the rows of one listing.
//!
//! A volume's segments name extents of devices, or of hidden volumes which in their turn lie on
//! devices. What is followed here: images of RAID are legs, the data of a pool or cache is data, its
//! metadata lies beside that, and everything else below a volume counts as taken only.

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lv(name: &str, parent: &str, segtype: &str, stripes: u32, start: u32, on: &str) -> LvRow {
        serde_json::from_value(json!({
            "lv_uuid": format!("uuid-{}", name.trim_matches(['[', ']'])), "lv_name": name,
            "vg_uuid": "g", "vg_name": "vg0", "lv_parent": parent, "segtype": segtype,
            "stripes": stripes.to_string(), "seg_start_pe": start.to_string(),
            "seg_pe_ranges": on,
        }))
        .expect("a row")
    }

    fn pv(name: &str) -> PvRow {
        let missing = if name.starts_with('[') { "missing" } else { "" };
        let last = name.trim_matches(['[', ']']).rsplit('/').next();
        serde_json::from_value(json!({
            "pv_name": name.split(']').next().map(|n| if n.starts_with('[') { "[unknown]" } else { n }),
            "pv_uuid": format!("pv-{}", last.unwrap_or_default()), "pv_missing": missing,
        }))
        .expect("a row")
    }

    fn missing(pv: &str, lv: &str, start: u32, size: u32) -> PvSegmentRow {
        serde_json::from_value(json!({
            "pv_uuid": pv, "pv_missing": "missing", "pvseg_start": start.to_string(),
            "pvseg_size": size.to_string(), "lv_uuid": format!("uuid-{lv}"),
        }))
        .expect("a row")
    }

    fn shape(name: &str, rows: &[LvRow], segments: &[PvSegmentRow]) -> Shape {
        let devices = ["/dev/a", "/dev/b", "/dev/c", "/dev/d"].map(pv);
        Shapes::new(rows, &devices, segments).of(name)
    }

    fn stretch(pv: &str, leg: u16, first: u64, count: u64) -> Stretch {
        Stretch {
            pv: pv.into(),
            leg,
            first,
            count,
        }
    }

    #[test]
    fn a_linear_volume_has_one_leg_on_any_number_of_disks() {
        let rows = [
            lv("x", "", "linear", 1, 6, "/dev/b:0-3"),
            lv("x", "", "linear", 1, 0, "/dev/a:2-4"),
            lv("x", "", "linear", 1, 3, "/dev/a:5-7"),
        ];
        let found = shape("x", &rows, &[]);
        assert_eq!(found.layout, Layout::Linear);
        assert_eq!(
            found.stretches,
            [stretch("pv-a", 0, 2, 6), stretch("pv-b", 0, 0, 4)]
        );
        assert_eq!(found.extents, 10);
    }

    #[test]
    fn the_order_of_the_areas_numbers_the_legs_of_a_stripe() {
        let rows = [
            lv("x", "", "striped", 2, 0, "/dev/b:0-1 /dev/a:4-5"),
            lv("x", "", "striped", 2, 4, "/dev/b:2-2 /dev/a:9-9"),
        ];
        let found = shape("x", &rows, &[]);
        assert_eq!(found.layout, Layout::Striped { stripes: 2 });
        assert_eq!(
            found.stretches,
            [
                stretch("pv-b", 0, 0, 3),
                stretch("pv-a", 1, 4, 2),
                stretch("pv-a", 1, 9, 1)
            ]
        );
        let mixed = [
            lv("x", "", "striped", 2, 0, "/dev/b:0-1 /dev/a:4-5"),
            lv("x", "", "linear", 1, 4, "/dev/c:0-0"),
        ];
        assert_eq!(shape("x", &mixed, &[]).layout, Layout::Linear);
    }

    #[test]
    fn images_are_legs_and_their_metadata_only_takes_room() {
        let rows = [
            lv("r", "", "raid1", 2, 0, "r_rimage_0:0-4 r_rimage_1:0-4"),
            lv("[r_rimage_0]", "r", "linear", 1, 0, "/dev/b:1-5"),
            lv("[r_rimage_1]", "r", "linear", 1, 0, "[unknown]:3-7"),
            lv("[r_rmeta_0]", "r", "linear", 1, 0, "/dev/b:0-0"),
            lv("[r_rmeta_1]", "r", "linear", 1, 0, "[unknown]:2-2"),
        ];
        let lost = [
            missing("pv-x", "r_rmeta_1", 2, 1),
            missing("pv-x", "r_rimage_1", 3, 5),
        ];
        let found = shape("r", &rows, &lost);
        assert_eq!(found.layout, Layout::Mirrored { copies: 2 });
        assert_eq!(
            found.stretches,
            [stretch("pv-b", 0, 1, 5), stretch("pv-x", 1, 3, 5)]
        );
        assert_eq!(found.extents, 12);
    }

    #[test]
    fn the_parts_on_devices_are_told_with_their_legs() {
        let rows = [
            lv("r", "", "raid1", 2, 0, "r_rimage_0:0-4 r_rimage_1:0-4"),
            lv("[r_rimage_0]", "r", "linear", 1, 0, "/dev/b:1-3"),
            lv("[r_rimage_0]", "r", "linear", 1, 3, "/dev/c:1-2"),
            lv("[r_rmeta_1]", "r", "linear", 1, 0, "[unknown]:2-2"),
            lv("[r_rmeta_0]", "r", "linear", 1, 0, "/dev/b:0-0"),
            lv("x", "", "striped", 2, 0, "/dev/b:9-9 /dev/a:4-4"),
        ];
        let devices = ["/dev/a", "/dev/b", "/dev/c", "[unknown]"].map(pv);
        let shapes = Shapes::new(&rows, &devices, &[]);
        let told = |name: &str| -> Vec<(String, Option<u16>, Vec<String>)> {
            let leaves = shapes.leaves(name).into_iter();
            leaves
                .map(|leaf| (leaf.uuid.clone(), leaf.leg(), leaf.on.into_iter().collect()))
                .collect()
        };
        let on = |pvs: &[&str]| pvs.iter().map(|pv| format!("pv-{pv}")).collect::<Vec<_>>();
        assert_eq!(told("x"), [("uuid-x".to_owned(), None, on(&["a", "b"]))]);
        let mirror = [
            ("uuid-r_rimage_0".to_owned(), Some(0), on(&["b", "c"])),
            ("uuid-r_rmeta_0".to_owned(), Some(0), on(&["b"])),
        ];
        assert_eq!(told("r"), mirror);
    }

    #[test]
    fn what_is_moved_lies_on_both_sides() {
        let rows = [
            lv("r", "", "raid1", 2, 0, "r_rimage_0:0-14 r_rimage_1:0-14"),
            lv("[r_rimage_0]", "r", "linear", 1, 0, "pvmove1:0-15"),
            lv("[r_rimage_1]", "r", "linear", 1, 0, "/dev/b:1-15"),
            lv("[r_rmeta_0]", "r", "linear", 1, 0, "pvmove1:0-15"),
            lv("[r_rmeta_1]", "r", "linear", 1, 0, "/dev/b:0-0"),
            lv(
                "[pvmove1]",
                "",
                "mirror",
                2,
                0,
                "pvmove1_mimage_0:0-15 pvmove1_mimage_1:0-15",
            ),
            lv(
                "[pvmove1_mimage_0]",
                "[pvmove1]",
                "linear",
                1,
                0,
                "/dev/c:4-19",
            ),
            lv(
                "[pvmove1_mimage_1]",
                "[pvmove1]",
                "linear",
                1,
                0,
                "/dev/d:0-15",
            ),
            lv("x", "", "linear", 1, 0, "/dev/a:0-3"),
        ];
        let devices = ["/dev/a", "/dev/b", "/dev/c", "/dev/d"].map(pv);
        let shapes = Shapes::new(&rows, &devices, []);
        assert_eq!(shapes.moves("r"), [("pvmove1", Some("pv-c".to_owned()))]);
        assert_eq!(shapes.all_moves().count(), 1);
        assert!(shapes.moves("x").is_empty());
        let found = shapes.of("r");
        assert_eq!(found.layout, Layout::Mirrored { copies: 2 });
        let on = |leg| {
            let stretches = found.stretches.iter().filter(move |s| s.leg == leg);
            stretches.map(|s| s.pv.as_str()).collect::<Vec<_>>()
        };
        assert_eq!((on(0), on(1)), (vec!["pv-c", "pv-d"], vec!["pv-b"]));
        assert_eq!(found.extents, 16 + 2 * 16);
        assert_eq!(shapes.extents_on("r", "pv-b"), 16);
        assert_eq!(shapes.extents_on("r", "pv-c"), 0);
    }

    #[test]
    fn two_missing_disks_are_told_apart() {
        let rows = [lv("x", "", "striped", 2, 0, "[unknown]:0-1 [unknown]:0-1")];
        let lost = [missing("pv-x", "x", 0, 2), missing("pv-y", "x", 0, 2)];
        let found = shape("x", &rows, &lost);
        assert_eq!(
            found.stretches,
            [stretch("pv-x", 0, 0, 2), stretch("pv-y", 1, 0, 2)]
        );
    }

    #[test]
    fn a_thin_pool_lies_as_its_data_does_and_takes_its_metadata_too() {
        let rows = [
            lv("p", "", "thin-pool", 1, 0, "p_tdata:0-5"),
            lv(
                "[p_tdata]",
                "p",
                "raid5",
                3,
                0,
                "p_tdata_rimage_0:0-2 p_tdata_rimage_1:0-2 p_tdata_rimage_2:0-2",
            ),
            lv(
                "[p_tdata_rimage_0]",
                "[p_tdata]",
                "linear",
                1,
                0,
                "/dev/a:1-3",
            ),
            lv(
                "[p_tdata_rimage_1]",
                "[p_tdata]",
                "linear",
                1,
                0,
                "/dev/b:1-3",
            ),
            lv(
                "[p_tdata_rimage_2]",
                "[p_tdata]",
                "linear",
                1,
                0,
                "/dev/c:1-3",
            ),
            lv(
                "[p_tdata_rmeta_0]",
                "[p_tdata]",
                "linear",
                1,
                0,
                "/dev/a:0-0",
            ),
            lv(
                "[p_tdata_rmeta_1]",
                "[p_tdata]",
                "linear",
                1,
                0,
                "/dev/b:0-0",
            ),
            lv(
                "[p_tdata_rmeta_2]",
                "[p_tdata]",
                "linear",
                1,
                0,
                "/dev/c:0-0",
            ),
            lv("[p_tmeta]", "p", "linear", 1, 0, "/dev/d:0-1"),
            lv("v", "", "thin", 1, 0, ""),
        ];
        let found = shape("p", &rows, &[]);
        let parity = Layout::Parity {
            stripes: 2,
            parity: 1,
        };
        assert_eq!(found.layout, parity);
        assert_eq!(found.stretches.len(), 3);
        assert_eq!(found.extents, 14);
        assert_eq!(found.beside.len(), 1);
        assert_eq!(found.beside[0].stretches, [stretch("pv-d", 0, 0, 2)]);
        assert_eq!(shape("v", &rows, &[]), Shape::default());
    }

    #[test]
    fn the_metadata_of_a_pool_is_told_on_missing_disks_and_on_raid_too() {
        let mut rows = vec![
            lv("p", "", "thin-pool", 1, 0, "p_tdata:0-5"),
            lv("[p_tdata]", "p", "linear", 1, 0, "/dev/a:0-5"),
            lv("[p_tmeta]", "p", "linear", 1, 0, "[unknown]:3-3"),
        ];
        let lost = [missing("pv-x", "p_tmeta", 3, 1)];
        let found = shape("p", &rows, &lost);
        assert_eq!(found.stretches, [stretch("pv-a", 0, 0, 6)]);
        assert_eq!(found.beside.len(), 1);
        assert_eq!(found.beside[0].stretches, [stretch("pv-x", 0, 3, 1)]);
        rows.pop();
        let legs = "p_tmeta_rimage_0:0-0 p_tmeta_rimage_1:0-0";
        rows.extend([
            lv("[p_tmeta]", "p", "raid1", 2, 0, legs),
            lv(
                "[p_tmeta_rimage_0]",
                "[p_tmeta]",
                "linear",
                1,
                0,
                "/dev/b:1-1",
            ),
            lv(
                "[p_tmeta_rmeta_0]",
                "[p_tmeta]",
                "linear",
                1,
                0,
                "/dev/b:0-0",
            ),
            lv(
                "[p_tmeta_rimage_1]",
                "[p_tmeta]",
                "linear",
                1,
                0,
                "/dev/c:1-1",
            ),
            lv(
                "[p_tmeta_rmeta_1]",
                "[p_tmeta]",
                "linear",
                1,
                0,
                "/dev/c:0-0",
            ),
        ]);
        let found = shape("p", &rows, &[]);
        assert_eq!((found.extents, found.beside.len()), (6 + 4, 1));
        let metadata = &found.beside[0];
        assert_eq!(metadata.layout, Layout::Mirrored { copies: 2 });
        let legs = [stretch("pv-b", 0, 1, 1), stretch("pv-c", 1, 1, 1)];
        assert_eq!(metadata.stretches, legs);
    }

    #[test]
    fn every_kind_of_segment_that_is_made_is_known() {
        let parity = |stripes, parity| Layout::Parity { stripes, parity };
        for (kind, legs, layout) in [
            ("linear", 1, Layout::Linear),
            ("striped", 1, Layout::Linear),
            ("raid0", 3, Layout::Striped { stripes: 3 }),
            ("raid1", 3, Layout::Mirrored { copies: 3 }),
            ("raid10", 4, Layout::MirroredStripes { stripes: 2 }),
            ("raid5", 3, parity(2, 1)),
            ("raid5_ls", 4, parity(3, 1)),
            ("raid6_zr", 5, parity(3, 2)),
            ("thin", 0, Layout::Linear),
            ("raid6", 1, Layout::Linear),
        ] {
            assert_eq!(segment_layout(kind, legs), layout, "{kind} {legs}");
        }
    }

    #[test]
    fn volumes_that_name_each_other_end() {
        let rows = [
            lv("x", "y", "thin-pool", 1, 0, "y:0-1"),
            lv("y", "x", "thin-pool", 1, 0, "x:0-1"),
        ];
        assert_eq!(shape("x", &rows, &[]), Shape::default());
    }
}
