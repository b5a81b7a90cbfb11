//! Sessions: who is logged in, as the machine tells it.

use standpipe::array::{Health, Map, Purpose, Session, Step};

use super::Rig;
use super::bench::*;

/// The sessions of that host.
fn sessions(rig: &dyn Rig, name: &str) -> Vec<Session> {
    let mut sessions = scan(rig).sessions;
    sessions.retain(|session| session.id.initiator == host(name));
    sessions
}

/// A volume that is shown to a host.
fn shown(rig: &dyn Rig, name: &str, lun: u16) -> Map {
    let volume = finished(rig, &format!("for {name}, {lun}"), 1);
    let map = map(rig, &volume.id, &host(name), lun);
    apply(rig, &Step::Map(map.clone()));
    map
}

fn mark(rig: &dyn Rig) -> u64 {
    rig.engine().fingerprint().expect("a mark")
}

pub fn a_login_appears_and_a_logout_disappears(rig: &mut dyn Rig) {
    shown(rig, "a", 1);
    shown(rig, "b", 1);
    assert_eq!(scan(rig).sessions, []);
    let before = mark(rig);
    assert_eq!(mark(rig), before, "nothing has happened");
    assert!(rig.log_in(&host("a"), 1));
    let within = mark(rig);
    assert_ne!(within, before);

    let [session] = &sessions(rig, "a")[..] else {
        panic!("{:?}", scan(rig).sessions);
    };
    assert_eq!(session.id.port, rig.port());
    assert_eq!(session.purpose, Purpose::Normal);
    assert_eq!(session.health, Health::Ok);
    assert_ne!(session.handle, 0);
    // What both kinds of initiator agree upon with a target that nobody has tuned.
    assert_eq!(session.terms.max_connections, Some(1));
    assert_eq!(session.terms.error_recovery_level, Some(0));
    assert_eq!(session.terms.max_burst, Some(262_144));
    let [connection] = &session.connections[..] else {
        panic!("{session:?}");
    };
    assert!(connection.from.is_some());
    assert_eq!(connection.health, Health::Ok);
    let portals = scan(rig).targets[0].ports[0].portals.clone();
    let came_to = connection.to.expect("there is no doubt about it");
    assert!(portals.contains(&came_to), "{came_to} of {portals:?}");

    // What goes on in a session is no change.
    assert!(rig.reads(&host("a"), 1, 0..extent(rig), 0));
    assert_eq!(sessions(rig, "a").len(), 1);

    assert!(rig.log_in(&host("b"), 1));
    assert_eq!(scan(rig).sessions.len(), 2);
    let within = mark(rig);
    rig.log_out(&host("a"));
    assert_ne!(mark(rig), within);
    assert_eq!(sessions(rig, "a"), []);
    assert_eq!(sessions(rig, "b").len(), 1);
    rig.log_out(&host("b"));
    assert_eq!(scan(rig).sessions, []);
}

pub fn nobody_logs_in_without_a_map(rig: &mut dyn Rig) {
    shown(rig, "a", 1);
    assert!(!rig.log_in(&host("b"), 1));
    assert_eq!(scan(rig).sessions, []);
}

pub fn hiding_the_last_volume_ends_the_session(rig: &mut dyn Rig) {
    let map = shown(rig, "a", 1);
    shown(rig, "b", 1);
    assert!(rig.log_in(&host("a"), 1));
    assert!(rig.log_in(&host("b"), 1));
    apply(rig, &Step::Unmap(map));
    assert_eq!(sessions(rig, "a"), []);
    assert_eq!(sessions(rig, "b").len(), 1);
    assert_eq!(rig.luns(&host("a")), None);
}

pub fn hiding_one_of_two_volumes_does_not(rig: &mut dyn Rig) {
    let (one, two) = (shown(rig, "a", 1), shown(rig, "a", 2));
    assert!(rig.log_in(&host("a"), 2));
    let before = sessions(rig, "a");
    assert_eq!(before.len(), 1);
    apply(rig, &Step::Unmap(one));
    assert_eq!(sessions(rig, "a"), before);
    apply(rig, &Step::Unmap(two));
    assert_eq!(sessions(rig, "a"), []);
}

pub fn a_session_that_another_manager_lets_in_is_seen(rig: &mut dyn Rig) {
    let theirs = rig.lvcreate("somebodys", extent(rig));
    rig.foreign_map(&map(rig, &theirs, &host("a"), 4));
    assert!(rig.log_in(&host("a"), 4));
    let found = sessions(rig, "a");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id.port, rig.port());
    rig.engine().converge(&[]).expect("converged");
    assert_eq!(sessions(rig, "a"), found);
    rig.log_out(&host("a"));
    assert_eq!(scan(rig).sessions, []);
}

pub fn no_session_outlives_a_reboot(rig: &mut dyn Rig) {
    let map = shown(rig, "a", 1);
    assert!(rig.log_in(&host("a"), 1));
    rig.reboot();
    assert_eq!(scan(rig).sessions, []);
    rig.engine().converge(&[map]).expect("converged");
}
