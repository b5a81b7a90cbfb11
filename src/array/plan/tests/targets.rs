//! What is planned and refused for targets that clients make.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::world::*;
use crate::array::command::{Command, Effect};
use crate::array::engine::Facts;
use crate::array::error::Kind;
use crate::array::ids::{Iqn, PortId};
use crate::array::model::{Health, Members, Nic, Port, Target};

fn portal(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn portals(texts: &[&str]) -> BTreeSet<SocketAddr> {
    texts.iter().map(|text| portal(text)).collect()
}

fn target(iqn: &str, listens: &[&str]) -> Target {
    let iqn = Iqn::from(iqn);
    Target {
        ports: vec![Port {
            id: PortId::Iscsi {
                iqn: iqn.clone(),
                tag: 1,
            },
            enabled: true,
            portals: portals(listens).into_iter().collect(),
            health: Health::Ok,
        }],
        iqn,
    }
}

fn nic(name: &str, addresses: &[&str]) -> Nic {
    let addresses = addresses.iter();
    Nic {
        name: name.into(),
        mac: "020000000001".into(),
        speed: None,
        up: true,
        addresses: addresses
            .map(|text| (text.parse::<IpAddr>().unwrap(), 24))
            .collect(),
    }
}

const FIRST: &str = "iqn.2026-01.example:box";

/// A machine with these interfaces' addresses and one target that listens there.
fn world(listens: &[&str]) -> World {
    World::with(Facts {
        targets: vec![target(FIRST, listens)],
        nics: vec![
            nic("lo", &["::1"]),
            nic("eth0", &["192.0.2.1", "2001:db8::1", "fe80::1"]),
            nic("eth1", &["192.0.2.2"]),
        ],
        ..Facts::default()
    })
}

fn create(alias: &str) -> Command {
    Command::CreateTarget {
        alias: Some(alias.into()),
    }
}

fn made(world: &mut World, alias: &str) -> Iqn {
    match world.does(&create(alias)) {
        Effect::Target(iqn) => iqn,
        other => panic!("{other:?}"),
    }
}

fn open(target: &Iqn, at: &[&str]) -> Command {
    Command::OpenPort {
        target: target.clone(),
        portals: portals(at),
    }
}

#[test]
fn names_are_derived_from_the_first_target_and_the_alias() {
    let mut world = world(&["192.0.2.1:3260"]);
    for (alias, part) in [
        ("Backup", "backup"),
        ("backup", "backup-2"),
        ("BACKUP", "backup-3"),
        ("  Über uns: Haus_7!  ", "ber-uns-haus-7"),
        ("...", "target"),
        ("日本", "target-2"),
        (&"x".repeat(128), &"x".repeat(48)),
    ] {
        assert_eq!(
            made(&mut world, alias).as_str(),
            format!("{FIRST}:{part}"),
            "{alias}"
        );
    }
    world.refuses(&create("Backup"), Kind::AlreadyExists, "'Backup'");
    world.refuses(&create(FIRST), Kind::AlreadyExists, FIRST);
    world.refuses(&create(""), Kind::InvalidArgument, "empty");
    world.refuses(&create(&"x".repeat(129)), Kind::InvalidArgument, "128");
    let unnamed = world.does(&Command::CreateTarget { alias: None });
    assert!(matches!(unnamed, Effect::Target(_)));
}

#[test]
fn a_port_is_opened_where_the_machine_can_listen() {
    let mut world = world(&["192.0.2.1:3260"]);
    let second = made(&mut world, "second");
    let wish = open(&second, &["192.0.2.1:3260", "[2001:db8::1]:3260"]);
    let plan = world.plan(&wish).unwrap();
    let listen = "listen 192.0.2.1:3260 [2001:db8::1]:3260 / listen";
    assert_eq!(steps(&plan), [listen]);
    // Addresses that mean something on one link or to the machine alone, others, other TCP ports.
    for wrong in [
        "[::1]:3260",
        "[fe80::1]:3260",
        "192.0.2.9:3260",
        "192.0.2.1:3261",
    ] {
        world.refuses(&open(&second, &[wrong]), Kind::InvalidArgument, wrong);
    }
    world.refuses(&open(&second, &[]), Kind::InvalidArgument, "name one");
    world.refuses(
        &open(&"iqn.2026-01.example:x".into(), &["192.0.2.1:3260"]),
        Kind::NotFound,
        "",
    );

    world.does(&wish);
    world.refuses(&wish, Kind::PortalTaken, "192.0.2.1:3260");
    world.refuses(
        &open(&second, &["192.0.2.2:3260"]),
        Kind::AlreadyExists,
        "one",
    );
}

#[test]
fn a_port_gets_one_more_address() {
    let mut world = world(&["192.0.2.1:3260"]);
    let second = made(&mut world, "second");
    let port = PortId::Iscsi {
        iqn: second.clone(),
        tag: 1,
    };
    let add = |at: &str| Command::AddPortal {
        port: port.clone(),
        portal: portal(at),
    };
    world.refuses(&add("192.0.2.2:3260"), Kind::NotFound, "no target port");
    world.does(&open(&second, &["192.0.2.1:3260"]));
    let plan = world.plan(&add("192.0.2.2:3260")).unwrap();
    let both = "listen 192.0.2.1:3260 192.0.2.2:3260 / listen 192.0.2.1:3260";
    assert_eq!(steps(&plan), [both]);
    world.refuses(&add("192.0.2.1:3260"), Kind::PortalTaken, "already");
}

#[test]
fn a_wildcard_is_shared_whole_or_not_at_all() {
    let mut world = world(&["0.0.0.0:3260"]);
    let second = made(&mut world, "second");
    let all = open(&second, &["192.0.2.1:3260", "192.0.2.2:3260"]);
    assert_eq!(
        steps(&world.plan(&all).unwrap()),
        ["listen 0.0.0.0:3260 / listen"]
    );
    world.refuses(
        &open(&second, &["192.0.2.1:3260"]),
        Kind::NotSupported,
        "0.0.0.0:3260",
    );
    let other = open(&second, &["[2001:db8::1]:3260"]);
    assert_eq!(
        steps(&world.plan(&other).unwrap()),
        ["listen [2001:db8::1]:3260 / listen"]
    );
}

#[test]
fn the_wildcard_of_ipv6_takes_ipv4_as_well() {
    let mut world = world(&["[::]:3260"]);
    let second = made(&mut world, "second");
    world.refuses(
        &open(&second, &["192.0.2.1:3260"]),
        Kind::NotSupported,
        "[::]:3260",
    );
    world.refuses(
        &open(&second, &["[2001:db8::1]:3260"]),
        Kind::NotSupported,
        "[::]:3260",
    );
    let all = open(
        &second,
        &["[::1]:3260", "[2001:db8::1]:3260", "[fe80::1]:3260"],
    );
    assert_eq!(
        steps(&world.plan(&all).unwrap()),
        ["listen [::]:3260 / listen"]
    );
}

#[test]
fn only_what_nobody_uses_is_removed() {
    let mut world = world(&["192.0.2.1:3260"]);
    let second = made(&mut world, "second");
    world.does(&open(&second, &["192.0.2.1:3260"]));
    // As the engine sees it now.
    let mut facts = world.0.clone();
    facts.take_facts(Facts {
        targets: vec![
            target(FIRST, &["192.0.2.1:3260"]),
            target(second.as_str(), &["192.0.2.1:3260"]),
        ],
        ..Facts::default()
    });
    world.0 = facts;
    let port = PortId::Iscsi {
        iqn: second.clone(),
        tag: 1,
    };
    let group = world.group(Members::Ports([port.clone()].into()));
    let close = Command::ClosePort { port: port.clone() };
    let delete = Command::DeleteTarget {
        target: second.clone(),
    };
    world.refuses(&close, Kind::InUse, "group-");
    world.refuses(&delete, Kind::InUse, "group-");
    world.does(&Command::DeleteGroup {
        group,
        force: false,
    });
    assert_eq!(
        steps(&world.plan(&close).unwrap()),
        ["listen / listen 192.0.2.1:3260"]
    );
    world.does(&delete);
    assert!(world.0.target(&second).is_none() && world.0.port(&port).is_none());
    world.refuses(&delete, Kind::NotFound, second.as_str());
    let first = Iqn::from(FIRST);
    world.refuses(
        &Command::DeleteTarget { target: first },
        Kind::AccessDenied,
        "configuration",
    );
}
