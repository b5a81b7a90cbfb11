//! Plans for wishes, as tables: what is done for them, and why they are refused.

mod fabrics;
mod masking;
mod moves;
mod numbers;
mod paths;
mod redundancy;
mod relocate;
mod repair;
mod replicas;
mod storage;
mod takeover;
mod targets;
mod world;

use super::*;
use crate::array::error::Kind;
use crate::array::model::{Owner, Volume};
use world::*;

#[test]
fn plans_of_volumes() {
    let world = World::new();
    let both = Command::ResizeVolume {
        volume: "v1".into(),
        size: 3 * EXTENT,
        name: Some("x".into()),
    };
    let rename = |name: &str| Command::RenameVolume {
        volume: "v1".into(),
        name: name.into(),
    };
    let made = ["create 1 / remove", "zero", "unmark"];
    let table: [(Command, &[&str]); 9] = [
        (create("x", EXTENT), &made),
        (
            create("x", EXTENT + 1),
            &["create 2 / remove", "zero", "unmark"],
        ),
        (
            create("x", 10 * EXTENT),
            &["create 10 / remove", "zero", "unmark"],
        ),
        (
            grow("v1", 2 * EXTENT + 1),
            &["create 1 / remove", "zero", "absorb 3"],
        ),
        (grow("v1", 2 * EXTENT), &[]),
        (
            both,
            &[
                "rename x / rename name of v1",
                "create 1 / remove",
                "zero",
                "absorb 3",
            ],
        ),
        (rename("x"), &["rename x / rename name of v1"]),
        (rename("name of v1"), &[]),
        (delete("v1"), &["mark / unmark", "remove"]),
    ];
    for (command, wanted) in table {
        assert_eq!(steps(&world.plan(&command).unwrap()), wanted, "{command:?}");
    }
}

#[test]
fn wishes_about_volumes_that_are_refused() {
    let changed = |id: &str, change: fn(&mut Volume)| {
        let mut volume = volume(id);
        change(&mut volume);
        volume
    };
    let mut world = World::with(facts(
        vec![
            volume("v1"),
            changed("foreign", |v| v.owner = Owner::Foreign),
            changed("unfinished", |v| v.job = Some(JobId::new())),
            changed("held", |v| v.held_by = Some("mounted at /srv".into())),
            volume("grouped"),
            volume("shown"),
        ],
        10 * EXTENT,
    ));
    world.devices(&["grouped"]);
    let groups = [
        world.hosts(&["a"]),
        world.ports(&[1]),
        world.devices(&["shown"]),
    ];
    world.view(&groups);
    let elsewhere = Command::CreateVolumes {
        pool: "none".into(),
        names: Vec::new(),
        count: 1,
        size: 1,
        quality: crate::array::quality::Quality::default(),
    };
    let long = "x".repeat(256);
    let table = [
        (create("x", 0), Kind::InvalidArgument, "size 0"),
        (
            create("x", 10 * EXTENT + 1),
            Kind::SizeNotSupported,
            "vg0 has room for 40 MiB, 40 MiB",
        ),
        (
            create("x", u64::MAX),
            Kind::SizeNotSupported,
            "ask for at most 41943040 bytes",
        ),
        (elsewhere, Kind::NotFound, "no pool none"),
        (
            create("name of v1", 1),
            Kind::AlreadyExists,
            "already a volume named",
        ),
        (create("", 1), Kind::InvalidArgument, "must not be empty"),
        (create(" ", 1), Kind::InvalidArgument, "must not be empty"),
        (create(&long, 1), Kind::InvalidArgument, "at most 255 bytes"),
        (
            create("a\u{7}b", 1),
            Kind::InvalidArgument,
            "control characters",
        ),
        (grow("v1", EXTENT), Kind::NotSupported, "not shrunk"),
        (grow("v1", EXTENT), Kind::NotSupported, "not shrunk"),
        (
            grow("v1", 13 * EXTENT),
            Kind::SizeNotSupported,
            "ask for at most 50331648 bytes",
        ),
        (grow("gone", EXTENT), Kind::NotFound, "no volume gone"),
        (
            grow("foreign", 9 * EXTENT),
            Kind::AccessDenied,
            "not made by this array",
        ),
        (
            grow("unfinished", 9 * EXTENT),
            Kind::InUse,
            "being made or removed",
        ),
        (grow("held", 9 * EXTENT), Kind::InUse, "mounted at /srv"),
        (delete("gone"), Kind::NotFound, "no volume gone"),
        (
            delete("foreign"),
            Kind::AccessDenied,
            "not made by this array",
        ),
        (delete("unfinished"), Kind::InUse, "being made or removed"),
        (delete("held"), Kind::InUse, "mounted at /srv"),
        (
            delete("grouped"),
            Kind::InUse,
            "remove it from the group first",
        ),
        (delete("shown"), Kind::InUse, "unmask it first"),
    ];
    for (command, kind, sentence) in table {
        world.refuses(&command, kind, sentence);
    }
    let largest = |command| world.plan(&command).unwrap_err().largest;
    assert_eq!(largest(create("x", u64::MAX)), Some(10 * EXTENT));
    assert_eq!(largest(grow("v1", u64::MAX)), Some(12 * EXTENT));
    let full = World::with(facts(vec![volume("v1")], 0));
    full.refuses(&create("x", 1), Kind::NoSpace, "no room");
    full.refuses(&grow("v1", 3 * EXTENT), Kind::NoSpace, "no room");
}

#[test]
fn what_is_erased_is_marked_before_and_removed_afterwards() {
    let policy = crate::array::Policy {
        erase: Some(crate::array::Erasing::Zero),
        ..Default::default()
    };
    let world = World::under(policy, facts(["v1", "v2"].map(volume).to_vec(), 0));
    let wish = Command::DeleteVolumes {
        volumes: vec!["v1".into(), "v2".into()],
    };
    let plan = world.plan(&wish).expect("a plan");
    let expected = [
        "mark / unmark",
        "mark / unmark",
        "erase",
        "erase",
        "remove",
        "remove",
    ];
    assert_eq!(steps(&plan), expected);
    assert_eq!(plan.after_crash, AfterCrash::Forward);
}
