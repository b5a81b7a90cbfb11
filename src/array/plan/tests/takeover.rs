//! Taking over what another manager shows: what becomes of the records, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::world::*;
use crate::array::change::Change;
use crate::array::engine::{Facts, ForeignMap};
use crate::array::error::Kind;
use crate::array::ids::{Naa, PortId, ViewId};
use crate::array::model::*;

fn their_port() -> PortId {
    PortId::Iscsi {
        iqn: "iqn.2026-01.example.other:theirs".into(),
        tag: 1,
    }
}

fn map(port: PortId, name: &str, lun: u16, volume: Option<&str>) -> ForeignMap {
    ForeignMap {
        port,
        initiator: host(name),
        lun,
        volume: volume.map(VolumeId::from),
    }
}

/// The array with two volumes of somebody else's, and what he shows.
fn world(maps: Vec<ForeignMap>) -> World {
    World::with(seen(maps))
}

fn seen(maps: Vec<ForeignMap>) -> Facts {
    let theirs = |id: &str| Volume {
        owner: Owner::Foreign,
        held_by: Some("exported by another manager as iblock_0/x".into()),
        naa: Naa::from_serial(Naa::LIO_COMPANY, &id[1..]),
        ..volume(id)
    };
    let ours = Volume {
        naa: Naa::from_serial(Naa::LIO_COMPANY, "f"),
        ..volume("v1")
    };
    let volumes = vec![ours, theirs("t1"), theirs("t2")];
    Facts {
        foreign_maps: maps,
        foreign_targets: [(
            their_port().iqn().expect("a target").clone(),
            ["192.0.2.9:3260".parse().expect("an address")].into(),
        )]
        .into(),
        ..facts(volumes, 10 * EXTENT)
    }
}

/// The view that he shows first.
fn theirs(world: &World) -> ViewId {
    let mut views = world.0.views().filter(|view| view.owner == Owner::Foreign);
    views.next().expect("a view of his").id
}

fn take(world: &World) -> Command {
    Command::TakeOver {
        view: theirs(world),
    }
}

#[test]
fn a_view_keeps_its_identity_and_numbers() {
    let shown = vec![
        map(port(1), "a", 7, Some("t1")),
        map(port(1), "a", 9, Some("v1")),
        map(port(1), "b", 7, Some("t2")),
    ];
    let mut world = world(shown);
    let (command, id) = (take(&world), theirs(&world));
    let plan = world.plan(&command).expect("it can be taken over");
    assert_eq!(
        steps(&plan),
        ["take over 2 / give back 2"],
        "nothing is made"
    );
    let Goal::TakenOver { takeover, view } = &plan.goal else {
        panic!("{:?}", plan.goal);
    };
    assert_eq!(*view, id);
    let rows: BTreeMap<u16, VolumeId> = [(7, "t1".into()), (9, "v1".into())].into();
    assert_eq!(takeover.rows, rows);
    assert_eq!(takeover.adopted, [VolumeId::from("t1")].into());
    assert_eq!(takeover.target, None, "the port is this array's");
    world.does(&command);
    assert_eq!(world.luns(id), [("t1", 7), ("v1", 9)]);
    let now = world.0.view(&id).expect("it is there");
    assert_eq!(now.owner, Owner::Array);
    assert_eq!(world.0.maps_of(now).len(), 2);
    let other = theirs(&world);
    assert_ne!(other, id, "what he shows to others stays his");
    // What he shows in the same place later is a view of its own.
    world.0.take_facts(Facts {
        foreign_maps: vec![map(port(1), "a", 8, Some("t2"))],
        ..seen(Vec::new())
    });
    let beside = theirs(&world);
    assert_ne!(beside, id);
    assert_eq!(world.luns(id), [("t1", 7), ("v1", 9)]);
    world.refuses(
        &Command::TakeOver { view: beside },
        Kind::AlreadyShown,
        "already has masking view",
    );
    let own = Command::TakeOver { view: id };
    world.refuses(&own, Kind::AlreadyExists, "this array's already");
}

#[test]
fn a_target_comes_with_its_view() {
    let mut world = world(vec![map(their_port(), "a", 3, Some("t1"))]);
    let plan = world.plan(&take(&world)).expect("it can be taken over");
    let targets = plan.changes.iter().filter_map(|change| match change {
        Change::PutTarget(target) => Some(target),
        _ => None,
    });
    let expected = MadeTarget {
        iqn: their_port().iqn().expect("a target").clone(),
        alias: "theirs".into(),
        portals: ["192.0.2.9:3260".parse().expect("an address")].into(),
        taken_over: true,
    };
    assert_eq!(targets.collect::<Vec<_>>(), [&expected]);
    let command = take(&world);
    world.does(&command);
    assert_eq!(world.0.all_maps().len(), 1);
}

#[test]
fn an_initiator_keeps_its_group_and_one_of_several_is_refused() {
    let mut world = world(vec![map(port(1), "a", 3, Some("t1"))]);
    let alone = world.hosts(&["a"]);
    let id = theirs(&world);
    world.does(&take(&world));
    let view = world.0.view(&id).expect("it is there");
    assert_eq!(view.initiators, Some(alone));
    let mut world = self::world(vec![map(port(1), "a", 3, Some("t1"))]);
    world.hosts(&["a", "b"]);
    world.refuses(&take(&world), Kind::InUse, "with others");
}

#[test]
fn what_a_view_cannot_say_stays_where_it_is() {
    let raw = vec![map(port(1), "a", 3, Some("t1")), map(port(1), "a", 4, None)];
    let twice = vec![
        map(port(1), "a", 3, Some("t1")),
        map(port(1), "a", 4, Some("t1")),
    ];
    let high = vec![map(port(1), "a", MAX_LUN + 1, Some("t1"))];
    let silent = PortId::Iscsi {
        iqn: "iqn.2026-01.example.other:silent".into(),
        tag: 1,
    };
    let capitals = PortId::Iscsi {
        iqn: "iqn.2026-01.example.other:Theirs".into(),
        tag: 1,
    };
    let nowhere = vec![map(silent, "a", 3, Some("t1"))];
    let odd = vec![map(capitals, "a", 3, Some("t1"))];
    for (maps, sentence) in [
        (raw, "4 of iqn.2026-01.example:a"),
        (twice, "3 and 4"),
        (high, "lower number"),
        (nowhere, "listens nowhere"),
        (odd, "lower case"),
    ] {
        let world = world(maps);
        world.refuses(&take(&world), Kind::NotSupported, sentence);
    }
    let mut unfinished = seen(vec![map(port(1), "a", 3, Some("t1"))]);
    unfinished.volumes[1].job = Some(JobId::new());
    let world = World::with(unfinished);
    world.refuses(&take(&world), Kind::InUse, "being made or removed");
    let mut same = seen(vec![map(port(1), "a", 3, Some("t1"))]);
    same.volumes[1].naa = same.volumes[2].naa;
    let world = World::with(same);
    world.refuses(&take(&world), Kind::InUse, "for one disk");
    let gone = Command::TakeOver {
        view: ViewId::new(),
    };
    world.refuses(&gone, Kind::NotFound, "hidden now");
}

#[test]
fn a_number_that_was_retired_is_in_use_again() {
    let mut world = world(vec![map(port(1), "b", 1, Some("t2"))]);
    let groups = [
        world.hosts(&["a"]),
        world.ports(&[1]),
        world.devices(&["v1"]),
    ];
    let view = world.view(&groups);
    world.does(&Command::DeleteView {
        view,
        delete_unassociated: true,
    });
    assert_eq!(world.0.all_retired().count(), 1);
    world
        .0
        .take_facts(seen(vec![map(port(1), "a", 1, Some("t1"))]));
    let command = take(&world);
    world.does(&command);
    assert_eq!(world.0.all_retired().count(), 0);
    let ours = world.0.groups().filter(|group| group.owner == Owner::Array);
    let names: BTreeSet<_> = ours.map(|group| group.name.clone()).collect();
    assert_eq!(names.len(), 1, "its groups are called like it: {names:?}");
}
