//! Wishes about groups and views: tables, and rules that hold whatever is wished.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::world::*;
use crate::array::engine::ForeignMap;
use crate::array::error::Kind;
use crate::array::ids::{GroupId, InitiatorName, ViewId};
use crate::array::model::*;

#[test]
fn numbers_of_devices() {
    let mut world = World::new();
    let (a, one) = (world.hosts(&["a"]), world.ports(&[1, 2]));
    let group = world.devices(&["v1", "v2"]);
    // Wishes come first, then the lowest that is free from 1.
    let view = match world.does(&new_view(&[a, one, group], &[2, 1])) {
        Effect::View(view) => view,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.luns(view), [("v1", 2), ("v2", 1)]);
    for (lun, kind, sentence) in [
        (2, Kind::NumberTaken, "number 2 is taken"),
        (256, Kind::InvalidArgument, "256 is too large"),
    ] {
        world.refuses(&add(group, devices(&["v3"]), &[lun]), kind, sentence);
    }
    world.refuses(
        &add(group, devices(&["v3"]), &[4, 5]),
        Kind::InvalidArgument,
        "one for each",
    );
    world.does(&add(group, devices(&["v3"]), &[0]));
    // A number is kept for those who join, and free again after its device has left.
    let plan = world.plan(&add(a, initiators(&["b"]), &[])).unwrap();
    let shown: BTreeSet<_> = steps(&plan).into_iter().collect();
    assert_eq!(plan.steps.len(), 6, "three devices through two ports");
    assert!(shown.contains("map v1 2 / unmap v1 2"), "{shown:?}");
    world.does(&remove(group, devices(&["v1"])));
    world.does(&add(group, devices(&["v1"]), &[]));
    assert_eq!(world.luns(view), [("v1", 2), ("v2", 1), ("v3", 0)]);
}

#[test]
fn numbers_that_others_take_and_a_full_view() {
    let ids: Vec<String> = (0..257).map(|n| format!("w{n:03}")).collect();
    let mut facts = facts(ids.iter().map(|id| volume(id)).collect(), EXTENT);
    facts.foreign_maps = [("a", 1, 1), ("a", 1, 3), ("b", 1, 2), ("c", 2, 4)]
        .map(|(name, tag, lun)| ForeignMap {
            port: port(tag),
            initiator: host(name),
            lun,
            volume: None,
        })
        .to_vec();
    let mut world = World::with(facts);
    let (a, one) = (world.hosts(&["a"]), world.ports(&[1]));
    let group = world.devices(&["w000", "w001"]);
    let view = world.view(&[a, one, group]);
    assert_eq!(world.luns(view), [("w000", 2), ("w001", 4)]);
    world.refuses(
        &add(a, initiators(&["b"]), &[]),
        Kind::NumberTaken,
        "number 2 of masking view",
    );
    world.refuses(
        &add(group, devices(&["w002"]), &[3]),
        Kind::NumberTaken,
        "3 is taken",
    );
    world.does(&add(a, initiators(&["c"]), &[]));
    // 256 numbers, of which another manager has two.
    let rest: Vec<&str> = ids[2..254].iter().map(String::as_str).collect();
    world.does(&add(group, devices(&rest), &[]));
    let numbers: BTreeSet<u16> = world.luns(view).iter().map(|(_, lun)| *lun).collect();
    assert_eq!((numbers.len(), numbers.contains(&0)), (254, true));
    world.refuses(
        &add(group, devices(&["w255"]), &[]),
        Kind::ViewFull,
        "no device number left, 255 is the largest",
    );
}

#[test]
fn wishes_about_groups_that_are_refused() {
    let mut world = World::new();
    let (a, one, group) = (
        world.hosts(&["a"]),
        world.ports(&[1]),
        world.devices(&["v1"]),
    );
    world.does(&new_group(Some("taken"), initiators(&[])));
    let view = world.view(&[a, one, group]);
    let (free, wrong) = (world.devices(&["v2"]), GroupId::new());
    let table = [
        (
            new_group(Some("taken"), initiators(&[])),
            Kind::AlreadyExists,
            "an initiator group",
        ),
        (
            new_group(Some("\n"), initiators(&[])),
            Kind::InvalidArgument,
            "must not be empty",
        ),
        (
            new_group(None, initiators(&["a"])),
            Kind::AlreadyExists,
            "one initiator group",
        ),
        (
            new_group(None, initiators(&["z"])),
            Kind::NotFound,
            "introduce it first",
        ),
        (
            new_group(None, devices(&["gone"])),
            Kind::NotFound,
            "no volume gone",
        ),
        (
            new_group(None, devices(&["v3", "v3"])),
            Kind::AlreadyExists,
            "already a member",
        ),
        (
            new_group(None, Members::Ports([port(9)].into())),
            Kind::NotFound,
            "no target port",
        ),
        (
            add(a, initiators(&["a"]), &[]),
            Kind::AlreadyExists,
            "already a member",
        ),
        (
            add(a, devices(&["v2"]), &[]),
            Kind::InvalidArgument,
            "cannot hold a device",
        ),
        (
            add(a, initiators(&["b"]), &[1]),
            Kind::InvalidArgument,
            "belong to devices",
        ),
        (
            add(free, devices(&["v3"]), &[1]),
            Kind::InvalidArgument,
            "in no masking view yet",
        ),
        (
            add(wrong, devices(&["v3"]), &[]),
            Kind::NotFound,
            "no masking group",
        ),
        (
            remove(a, initiators(&["b"])),
            Kind::NotFound,
            "is not a member",
        ),
        (
            remove(a, devices(&["v1"])),
            Kind::InvalidArgument,
            "holds no device",
        ),
        (
            Command::DeleteGroup {
                group: a,
                force: false,
            },
            Kind::InUse,
            "or force it",
        ),
        (
            Command::DeleteGroup {
                group: wrong,
                force: true,
            },
            Kind::NotFound,
            "no masking group",
        ),
        (
            Command::DeleteInitiator { name: host("a") },
            Kind::InUse,
            "is a member of group",
        ),
        (
            Command::DeleteInitiator { name: host("z") },
            Kind::NotFound,
            "not known",
        ),
        (
            new_view(&[a, one, free], &[]),
            Kind::AlreadyShown,
            "already has masking view",
        ),
        (
            new_view(&[a, a], &[]),
            Kind::InUse,
            "already has the initiator group",
        ),
        (
            new_view(&[a], &[5]),
            Kind::InvalidArgument,
            "without a device group",
        ),
        (new_view(&[wrong], &[]), Kind::NotFound, "no masking group"),
        (
            Command::AddGroup {
                view,
                group: free,
                luns: Vec::new(),
            },
            Kind::InUse,
            "already has the device group",
        ),
        (
            Command::RemoveGroup { view, group: free },
            Kind::NotFound,
            "does not use group",
        ),
        (
            Command::DeleteView {
                view: ViewId::new(),
                delete_unassociated: true,
            },
            Kind::NotFound,
            "no masking view",
        ),
    ];
    for (command, kind, sentence) in table {
        world.refuses(&command, kind, sentence);
    }
    // The same name is free in another kind, and capitals make no other initiator.
    assert!(world.plan(&new_group(Some("taken"), devices(&[]))).is_ok());
    let capitals = InitiatorName::parse("iqn.2026-01.example:A").unwrap();
    let known = world.does(&Command::CreateInitiator { name: capitals });
    assert_eq!(known, Effect::Initiator(host("a")));
    assert!(matches!(known, Effect::Initiator(name) if name.as_str().ends_with(":a")));
}

#[test]
fn groups_and_views_that_come_and_go() {
    let mut world = World::new();
    let (a, one, group) = (
        world.hosts(&["a"]),
        world.ports(&[1]),
        world.devices(&["v1"]),
    );
    // A view without one of its groups shows nothing.
    let view = world.view(&[a, group]);
    assert_eq!(world.0.all_maps(), []);
    let whole = Command::AddGroup {
        view,
        group: one,
        luns: Vec::new(),
    };
    assert_eq!(
        steps(&world.plan(&whole).unwrap()),
        ["map v1 1 / unmap v1 1"]
    );
    world.does(&whole);
    let without = Command::RemoveGroup { view, group };
    let plan = world.plan(&without).unwrap();
    assert_eq!(steps(&plan), ["unmap v1 1 / map v1 1"]);
    assert_eq!(
        plan.after_crash,
        AfterCrash::Forward,
        "what only hides goes on"
    );
    world.does(&without);
    let chosen = Command::AddGroup {
        view,
        group,
        luns: vec![9],
    };
    assert_eq!(
        steps(&world.plan(&chosen).unwrap()),
        ["map v1 9 / unmap v1 9"]
    );
    world.does(&chosen);
    // Rules of a group: with its last member, with its last view.
    let rules = |group, empty, unassociated| Command::ModifyGroup {
        group,
        name: None,
        delete_on_empty: Some(empty),
        delete_when_unassociated: Some(unassociated),
    };
    world.does(&rules(a, true, false));
    world.does(&remove(a, initiators(&["a"])));
    assert!(world.0.group(&a).is_some(), "a view uses it");
    world.does(&rules(group, false, true));
    let gone = Command::DeleteView {
        view,
        delete_unassociated: false,
    };
    world.does(&gone);
    let left: Vec<_> = [a, one, group]
        .map(|g| world.0.group(&g).is_some())
        .to_vec();
    assert_eq!(left, [true, true, false]);
    world.does(&add(a, initiators(&["a"]), &[]));
    assert_eq!(world.does(&remove(a, initiators(&["a"]))), Effect::Gone);
    assert!(world.0.group(&a).is_none());
    // By force the views of a group go with it.
    let (b, group) = (world.hosts(&["b"]), world.devices(&["v1", "v2"]));
    world.view(&[b, one, group]);
    let plan = world
        .plan(&Command::DeleteGroup {
            group: one,
            force: true,
        })
        .unwrap();
    assert_eq!(
        steps(&plan),
        ["unmap v1 1 / map v1 1", "unmap v2 2 / map v2 2"]
    );
    world.does(&Command::DeleteGroup {
        group: one,
        force: true,
    });
    assert_eq!((world.0.views().count(), world.0.groups().count()), (0, 2));
}

/// Which of a few things a wish is about: numbers that pick, whatever there is.
type Pick = (u8, u8, u8, u8);

fn wish(world: &World, (what, which, other, lun): Pick) -> Command {
    let now = &world.0;
    let group = |n: u8| {
        let count = now.groups().count().max(1);
        let found = now.groups().nth(usize::from(n) % count).map(|g| g.id);
        found.unwrap_or_else(GroupId::new)
    };
    let view = now.views().nth(usize::from(which) % 4).map(|v| v.id);
    let view = view.unwrap_or_else(ViewId::new);
    let name = ["a", "b", "c", "d"][usize::from(other) % 4];
    let id = ["v1", "v2", "v3"][usize::from(other) % 3];
    let members = match lun % 3 {
        0 => initiators(&[name]),
        1 => Members::Ports([port(1 + u16::from(other) % 2)].into()),
        _ => devices(&[id]),
    };
    let luns = (lun > 200)
        .then(|| u16::from(lun % 4))
        .into_iter()
        .collect();
    match what % 12 {
        0 => new_group(None, members),
        1 => add(group(which), members, &[]),
        2 => Command::AddMembers {
            group: group(which),
            members: devices(&[id]),
            luns,
        },
        3 => remove(group(which), members),
        4 => new_view(&[group(which), group(other), group(lun)], &[]),
        5 => Command::AddGroup {
            view,
            group: group(other),
            luns,
        },
        6 => Command::RemoveGroup {
            view,
            group: group(other),
        },
        7 => Command::DeleteView {
            view,
            delete_unassociated: lun % 2 == 0,
        },
        8 => make_view(&[name], &[1 + u16::from(other) % 2], &[id], &luns),
        9 => Command::ExpandView {
            view,
            members,
            luns,
        },
        10 => Command::ReduceView { view, members },
        _ => Command::DeleteGroup {
            group: group(which),
            force: lun % 2 == 0,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_hold_whatever_is_wished(picks: Vec<Pick>) {
        let mut world = World::new();
        for pick in picks {
            let command = wish(&world, pick);
            let was = world.0.clone();
            let before: BTreeSet<Map> = was.all_maps().into_iter().collect();
            let Ok(plan) = world.plan(&command) else {
                continue;
            };
            plan.changes.iter().for_each(|change| world.0.take_change(change));
            let all = world.0.all_maps();
            if let Command::ExpandView { view, .. } | Command::ReduceView { view, .. } = &command {
                let others = |world: &Inventory| {
                    let others = world.views().filter(|other| other.id != *view);
                    let shown: BTreeSet<_> = others.flat_map(|v| world.maps_of(v)).collect();
                    shown
                };
                prop_assert_eq!(others(&was), others(&world.0), "another view has changed");
            }
            let after: BTreeSet<Map> = all.iter().cloned().collect();
            // What was lost in this moment is retired, and nothing that is shown.
            for lost in before.difference(&after) {
                let retired = world.0.retired(&lost.nexus()).map(|r| (&r.map, r.since));
                let is_reused = after.iter().any(|map| map.nexus() == lost.nexus());
                prop_assert!(is_reused || retired == Some((lost, world.1)), "{:?}", lost);
            }
            for map in &after {
                prop_assert!(world.0.retired(&map.nexus()).is_none(), "{:?}", map);
            }
            if let Command::MakeView { initiators, volumes, .. } = &command {
                let mut fresh = after.difference(&before);
                let wished = |m: &Map| initiators.contains(&m.initiator) && volumes.contains(&m.volume);
                prop_assert!(fresh.all(wished), "somebody sees what was not wished for");
            }
            prop_assert_eq!(all.len(), after.len(), "no map is in two views");
            // The steps make after out of before, and their undos before out of after.
            let mut shown = before.clone();
            for planned in &plan.steps {
                prop_assert!(take(&mut shown, &planned.step), "{:?} does nothing", planned.step);
            }
            prop_assert_eq!(&shown, &after);
            for planned in plan.steps.iter().rev() {
                take(&mut shown, planned.undo.first().expect("masking can be taken back"));
            }
            prop_assert_eq!(shown, before);
            // One device under one number, for each initiator and port.
            let mut numbers = BTreeMap::new();
            for map in &after {
                let place = (&map.port, &map.initiator, map.lun);
                prop_assert!(numbers.insert(place, &map.volume).is_none(), "{:?}", map);
            }
            for name in ["a", "b", "c", "d"] {
                prop_assert!(world.0.groups_with_initiator(&host(name)).count() <= 1);
            }
            for view in world.0.views() {
                let groups: Vec<_> = view.groups().collect();
                prop_assert!(groups.iter().all(|id| world.0.group(id).is_some()));
            }
        }
    }
}

/// Does what a masking step says; whether that changed anything.
fn take(shown: &mut BTreeSet<Map>, step: &Step) -> bool {
    match step {
        Step::Map(map) => shown.insert(map.clone()),
        Step::Unmap(map) => shown.remove(map),
        _ => false,
    }
}

#[test]
fn a_view_that_would_show_too_much_is_refused() {
    let ids: Vec<String> = (0..110).map(|n| format!("v{n}")).collect();
    let names: Vec<String> = (0..300).map(|n| format!("h{n}")).collect();
    let mut world = World::with(facts(ids.iter().map(|id| volume(id)).collect(), 0));
    for name in &names {
        world.does(&Command::CreateInitiator { name: host(name) });
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (ports, devices) = (world.ports(&[1, 2]), world.devices(&ids));
    let hosts = world.hosts(&names);
    world.refuses(
        &new_view(&[hosts, ports, devices], &[]),
        Kind::NotSupported,
        "would show 66000 paths, and a view has 65536 at most",
    );
}

#[test]
fn a_number_that_somebody_else_took_since_keeps_nobody_in_a_view() {
    let mut world = World::new();
    let groups = [
        world.hosts(&["a"]),
        world.ports(&[1]),
        world.devices(&["v1", "v2"]),
    ];
    world.view(&groups);
    let mut later = facts(["v1", "v2", "v3"].map(volume).to_vec(), 0);
    later.foreign_maps = vec![ForeignMap {
        port: port(1),
        initiator: host("a"),
        lun: 1,
        volume: None,
    }];
    world.0.take_facts(later);
    let plan = world.plan(&remove(groups[2], devices(&["v2"])));
    assert_eq!(
        steps(&plan.expect("hiding is safe")),
        ["unmap v2 2 / map v2 2"]
    );
}
