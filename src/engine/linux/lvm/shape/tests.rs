//! Listings as LVM writes them, and the shapes that are read from them.

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
