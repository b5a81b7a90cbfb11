//! Device numbers that initiators were shown a while ago: how they are lost, for how long they are
//! kept from other volumes, and who gets them.

use std::time::Duration;

use super::super::*;
use super::world::*;
use crate::array::engine::ForeignMap;
use crate::array::error::Kind;
use crate::array::ids::{GroupId, ViewId};
use crate::array::inventory::Policy;
use crate::array::model::*;

const SECOND: u64 = 1_000_000;

/// The numbers that are kept: initiator, port, number and what it was.
fn kept(world: &World) -> Vec<String> {
    let all = world.0.all_retired();
    all.map(|retired| {
        let map = &retired.map;
        let name = map.initiator.folded();
        let name = name.rsplit(':').next().unwrap_or_default();
        format!("{name} {} {} {}", short(&map.port), map.lun, map.volume)
    })
    .collect()
}

/// A policy with that quarantine and greatest number.
fn policy(seconds: u64, most: u16) -> Policy {
    Policy {
        lun_quarantine: Duration::from_secs(seconds),
        max_lun: most,
        ..Policy::default()
    }
}

fn volumes(count: usize) -> Vec<Volume> {
    (1..=count).map(|n| volume(&format!("v{n}"))).collect()
}

/// A view of its own groups, with v1 as number 1 and v2 as number 2 for a and b through ports 1 and 2.
struct Scene {
    world: World,
    groups: [GroupId; 3],
    view: ViewId,
}

impl Scene {
    fn new() -> Self {
        Self::under(Policy::default())
    }

    fn under(policy: Policy) -> Self {
        let mut world = World::under(policy, facts(volumes(9), EXTENT));
        let groups = [
            world.hosts(&["a", "b"]),
            world.ports(&[1, 2]),
            world.devices(&["v1", "v2"]),
        ];
        let view = world.view(&groups);
        Self {
            world,
            groups,
            view,
        }
    }

    fn add(&mut self, ids: &[&str], luns: &[u16]) {
        self.world.does(&add(self.groups[2], devices(ids), luns));
    }

    fn remove(&mut self, ids: &[&str]) {
        self.world.does(&remove(self.groups[2], devices(ids)));
    }

    /// The number of a volume.
    fn number(&self, id: &str) -> Option<u16> {
        let luns = &self.world.0.view(&self.view).expect("it is there").luns;
        luns.get(&id.into()).copied()
    }
}

#[test]
fn every_way_to_lose_a_number_retires_it() {
    type Way = fn(&Scene) -> Command;
    let all = [
        "a 1 1 v1", "a 1 2 v2", "a 2 1 v1", "a 2 2 v2", "b 1 1 v1", "b 1 2 v2", "b 2 1 v1",
        "b 2 2 v2",
    ];
    let of_v1 = ["a 1 1 v1", "a 2 1 v1", "b 1 1 v1", "b 2 1 v1"];
    let (of_b, of_two) = (&all[4..], [all[2], all[3], all[6], all[7]]);
    let table: [(&str, Way, &[&str]); 15] = [
        ("the view is deleted", |s| delete_view(s.view), &all),
        (
            "a device leaves",
            |s| remove(s.groups[2], devices(&["v1"])),
            &of_v1,
        ),
        (
            "an initiator leaves",
            |s| remove(s.groups[0], initiators(&["b"])),
            of_b,
        ),
        (
            "a port leaves",
            |s| remove(s.groups[1], ports(&[2])),
            &of_two,
        ),
        (
            "a device is hidden",
            |s| reduce(s.view, devices(&["v1"])),
            &of_v1,
        ),
        (
            "an initiator is hidden",
            |s| reduce(s.view, initiators(&["b"])),
            of_b,
        ),
        ("a port is hidden", |s| reduce(s.view, ports(&[2])), &of_two),
        ("the devices are removed", |s| remove_group(s, 2), &all),
        ("the initiators are removed", |s| remove_group(s, 0), &all),
        ("the ports are removed", |s| remove_group(s, 1), &all),
        ("the devices are deleted", |s| delete_group(s, 2), &all),
        ("the initiators are deleted", |s| delete_group(s, 0), &all),
        ("the ports are deleted", |s| delete_group(s, 1), &all),
        ("a name changes", |s| rename(s.groups[2]), &[]),
        (
            "a device joins",
            |s| add(s.groups[2], devices(&["v3"]), &[]),
            &[],
        ),
    ];
    for (what, way, wanted) in table {
        let mut scene = Scene::new();
        let command = way(&scene);
        scene.world.does(&command);
        assert_eq!(kept(&scene.world), wanted, "{what}");
    }
}

fn delete_view(view: ViewId) -> Command {
    Command::DeleteView {
        view,
        delete_unassociated: false,
    }
}

fn reduce(view: ViewId, members: Members) -> Command {
    Command::ReduceView { view, members }
}

fn ports(tags: &[u16]) -> Members {
    Members::Ports(tags.iter().map(|tag| port(*tag)).collect())
}

fn remove_group(scene: &Scene, which: usize) -> Command {
    Command::RemoveGroup {
        view: scene.view,
        group: scene.groups[which],
    }
}

fn delete_group(scene: &Scene, which: usize) -> Command {
    Command::DeleteGroup {
        group: scene.groups[which],
        force: true,
    }
}

fn rename(group: GroupId) -> Command {
    Command::ModifyGroup {
        group,
        name: Some("other".into()),
        delete_on_empty: None,
        delete_when_unassociated: None,
    }
}

#[test]
fn a_retired_number_goes_to_no_other_volume_until_its_time_is_up() {
    let mut scene = Scene::new();
    scene.remove(&["v1"]);
    scene.add(&["v3"], &[]);
    assert_eq!(scene.number("v3"), Some(3), "1 is retired");
    scene.world.1 += 600 * SECOND - 1;
    scene.add(&["v4"], &[]);
    assert_eq!(scene.number("v4"), Some(4), "it still is");
    scene.world.1 += 1;
    scene.add(&["v5"], &[]);
    assert_eq!(scene.number("v5"), Some(1), "ten minutes have passed");
    assert_eq!(kept(&scene.world), [""; 0], "and its record is gone");
}

#[test]
fn a_volume_gets_its_old_number_back() {
    let mut scene = Scene::new();
    scene.add(&["v3"], &[40]);
    scene.remove(&["v3", "v1"]);
    scene.add(&["v4", "v3", "v1"], &[]);
    let numbers = ["v1", "v3", "v4"].map(|id| scene.number(id));
    assert_eq!(numbers, [Some(1), Some(40), Some(3)]);
    assert_eq!(kept(&scene.world), [""; 0], "they are in use again");
    // In another view for the same initiators, too.
    scene.world.does(&delete_view(scene.view));
    let again = make_view(&["a", "b"], &[1], &["v5", "v3"], &[]);
    let view = scene.world.makes(&again);
    assert_eq!(scene.world.luns(view), [("v3", 40), ("v5", 4)]);
    // Not when another one has taken it meanwhile.
    scene.world.does(&delete_view(view));
    let taken = scene
        .world
        .makes(&make_view(&["a", "b"], &[1], &["v6"], &[40]));
    let more = Command::ExpandView {
        view: taken,
        members: devices(&["v3"]),
        luns: Vec::new(),
    };
    scene.world.does(&more);
    assert_eq!(scene.world.luns(taken), [("v3", 5), ("v6", 40)]);
}

#[test]
fn a_number_is_kept_for_every_initiator_of_a_view_and_for_nobody_else() {
    let mut world = World::with(facts(volumes(9), EXTENT));
    let first = world.makes(&make_view(&["a"], &[1], &["v1"], &[1]));
    let second = world.makes(&make_view(&["b"], &[1], &["v2"], &[2]));
    for view in [first, second] {
        world.does(&delete_view(view));
    }
    let both = world.makes(&make_view(&["a", "b"], &[1], &["v3", "v4"], &[]));
    assert_eq!(world.luns(both), [("v3", 3), ("v4", 4)]);
    let other = world.makes(&make_view(&["c"], &[1], &["v3"], &[]));
    assert_eq!(world.luns(other), [("v3", 1)], "c has seen nothing");
    world.does(&delete_view(both));
    // One knows 1 as v1, the other as v5: it is nobody's to come back to.
    let fifth = world.makes(&make_view(&["b"], &[1], &["v5"], &[1]));
    world.does(&delete_view(fifth));
    let both = world.makes(&make_view(&["a", "b"], &[1], &["v1"], &[]));
    assert_eq!(world.luns(both), [("v1", 5)]);
    // Another port is another path: nobody knows a number there.
    let there = world.makes(&make_view(&["d"], &[1, 2], &["v1"], &[]));
    world.does(&delete_view(there));
    let elsewhere = world.makes(&make_view(&["d"], &[2], &["v6"], &[]));
    assert_eq!(world.luns(elsewhere), [("v6", 2)], "d knows 1 there, too");
    let only = World::with(facts(volumes(2), EXTENT));
    let mut world = only;
    let one = world.makes(&make_view(&["d"], &[1], &["v1"], &[]));
    world.does(&delete_view(one));
    let two = world.makes(&make_view(&["d"], &[2], &["v2"], &[]));
    assert_eq!(world.luns(two), [("v2", 1)]);
}

#[test]
fn a_client_that_chooses_gets_a_retired_number() {
    let mut scene = Scene::new();
    scene.remove(&["v1"]);
    scene.add(&["v3"], &[1]);
    assert_eq!(scene.number("v3"), Some(1));
    assert_eq!(kept(&scene.world), [""; 0], "it is in use again");
    // Lost once more it is the last one's.
    scene.remove(&["v3"]);
    scene.add(&["v1", "v3"], &[]);
    assert_eq!(["v1", "v3"].map(|id| scene.number(id)), [Some(3), Some(1)]);
}

#[test]
fn the_longest_retired_number_is_taken_when_nothing_else_is_left() {
    // 0 to 4, one of them another manager's.
    let mut facts = facts(volumes(9), EXTENT);
    facts.foreign_maps = vec![ForeignMap {
        port: port(1),
        initiator: host("a"),
        lun: 4,
        volume: None,
    }];
    let mut world = World::under(policy(600, 4), facts);
    let view = world.makes(&make_view(&["a"], &[1], &["v1", "v2", "v3"], &[]));
    let change = |world: &mut World, gone: &str, fresh: &str| {
        world.1 += SECOND;
        world.does(&reduce(view, devices(&[gone])));
        let more = Command::ExpandView {
            view,
            members: devices(&[fresh]),
            luns: Vec::new(),
        };
        world.does(&more);
        world.0.view(&view).unwrap().luns[&fresh.into()]
    };
    assert_eq!(change(&mut world, "v2", "v4"), 0, "no host was shown it");
    assert_eq!(change(&mut world, "v1", "v5"), 2, "1 was retired later");
    assert_eq!(change(&mut world, "v4", "v6"), 1, "0 was retired later");
    world.1 += SECOND;
    world.does(&reduce(view, devices(&["v6"])));
    let full = [("v3", 3), ("v5", 2), ("v7", 0), ("v8", 1)];
    let more = |ids: &[&str]| Command::ExpandView {
        view,
        members: devices(ids),
        luns: Vec::new(),
    };
    let sentence = "no device number left, 4 is the largest";
    world.refuses(&more(&["v7", "v8", "v9"]), Kind::ViewFull, sentence);
    world.does(&more(&["v7", "v8"]));
    assert_eq!(world.luns(view), full);
}

#[test]
fn without_a_quarantine_a_number_is_free_at_once() {
    let mut scene = Scene::under(policy(0, 255));
    scene.remove(&["v1"]);
    assert_eq!(kept(&scene.world), [""; 0]);
    scene.add(&["v3"], &[]);
    assert_eq!(scene.number("v3"), Some(1));
}

#[test]
fn a_clock_that_is_set_back_prolongs_nothing() {
    let mut scene = Scene::new();
    scene.remove(&["v1"]);
    let year = 365 * 24 * 3600 * SECOND;
    scene.world.1 -= year;
    scene.add(&["v3"], &[]);
    assert_eq!(
        scene.number("v3"),
        Some(3),
        "1 is retired as if it were now"
    );
    scene.world.1 += 600 * SECOND;
    scene.add(&["v4"], &[]);
    assert_eq!(scene.number("v4"), Some(1));
}

#[test]
fn records_go_when_others_are_written() {
    let mut world = World::with(facts(volumes(9), EXTENT));
    for _ in 0..5 {
        for id in ["v1", "v2", "v3"] {
            let view = world.makes(&make_view(&["a"], &[1], &[id], &[]));
            world.does(&delete_view(view));
        }
        assert_eq!(world.0.all_retired().count(), 3);
        world.1 += 600 * SECOND;
    }
    let view = world.makes(&make_view(&["b"], &[1], &["v9"], &[]));
    world.does(&delete_view(view));
    assert_eq!(kept(&world), ["b 1 1 v9"]);
}

#[test]
fn numbers_end_where_the_administrator_says() {
    let mut scene = Scene::under(policy(600, MAX_LUN));
    scene.add(&["v3"], &[MAX_LUN]);
    assert_eq!(scene.number("v3"), Some(16_383));
    scene.world.refuses(
        &add(scene.groups[2], devices(&["v4"]), &[MAX_LUN + 1]),
        Kind::InvalidArgument,
        "16384 is too large; the largest is 16383",
    );
    // A smaller bound later takes no number away, and gives none above it back.
    scene.world.0.policy = policy(600, 2).into();
    assert_eq!(scene.number("v3"), Some(16_383));
    scene.remove(&["v3"]);
    scene.add(&["v3"], &[]);
    assert_eq!(scene.number("v3"), Some(0));
}
