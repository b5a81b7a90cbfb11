//! What hosts are shown is changed past the array: by hand, by another manager, all at once.

use standpipe::array::{Ailing, Command, DriftPolicy, Health, Inventory, Map, Policy, ViewId};
use standpipe::engine::sim::EXTENT;

use super::rig::{Medium, NOTHING, Rig, host, machine, policy};

/// An array that repairs.
fn repairing() -> Rig {
    let sim = machine().build().expect("a machine");
    let policy = Policy {
        drift: DriftPolicy::Repair,
        ..policy()
    };
    Rig::start_with(sim, Medium::default(), policy).expect("it starts")
}

/// What is wrong with a view.
fn trouble(now: &Inventory, view: &ViewId) -> Option<String> {
    match now.drift_of(view) {
        Some(Health::Degraded(why)) => Some(why.clone()),
        _ => None,
    }
}

fn port_is_well(now: &Inventory) -> bool {
    now.ports().all(|port| port.health == Health::Ok)
}

#[test]
fn a_map_that_somebody_removed_degrades_its_view_until_it_is_there_again() {
    let rig = Rig::new();
    let (volume, _, view) = rig.show_one();
    assert_eq!(rig.now().drift_of(&view), None);
    assert!(rig.sim.lose_map(&host("a"), &rig.port(), 1));
    assert!(rig.wait_until(|now| trouble(now, &view).is_some()));
    let why = trouble(&rig.now(), &view).expect("it is degraded");
    assert!(
        why.contains("1 of its 1 paths") && why.contains(host("a").as_str()),
        "{why}"
    );
    let now = rig.now();
    assert!(now.ailing().any(|(what, _)| *what == Ailing::View(view)));
    // It is shown and not repaired: another look leaves it as it is.
    rig.sim.lvcreate(&rig.pool(), "look", EXTENT).expect("room");
    assert!(rig.wait_until(|now| now.volumes().count() == 2));
    assert_eq!(rig.luns("a"), NOTHING);
    assert!(trouble(&rig.now(), &view).is_some());
    // Somebody puts it back.
    let map = Map {
        port: rig.port(),
        initiator: host("a"),
        lun: 1,
        volume,
    };
    rig.sim.map_by_hand(&map).expect("it can be shown");
    assert!(rig.wait_until(|now| now.drift_of(&view).is_none()));
    assert_eq!(rig.now().ailing().count(), 0);
}

#[test]
fn a_view_that_goes_takes_its_drift_with_it() {
    let rig = Rig::new();
    let (_, _, view) = rig.show_one();
    assert!(rig.sim.lose_map(&host("a"), &rig.port(), 1));
    assert!(rig.wait_until(|now| trouble(now, &view).is_some()));
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: false,
    });
    assert_eq!(rig.now().drift_of(&view), None);
    assert_eq!(rig.now().ailing().count(), 0);
}

#[test]
fn what_drifted_is_repaired_where_that_is_configured() {
    let rig = repairing();
    let (volume, _, view) = rig.show_one();
    assert!(rig.sim.lose_map(&host("a"), &rig.port(), 1));
    let surplus = Map {
        port: rig.port(),
        initiator: host("b"),
        lun: 9,
        volume,
    };
    rig.sim.map_by_hand(&surplus).expect("it can be shown");
    let version = rig.now().version;
    assert!(rig.wait_until(|now| now.version > version && rig.luns("a") == [1]));
    assert_eq!(rig.luns("b"), NOTHING);
    assert!(rig.wait_until(|now| now.drift_of(&view).is_none() && port_is_well(now)));
    rig.assert_whole("after the repair");
}

#[test]
fn what_no_view_names_degrades_the_port_and_stays() {
    let rig = Rig::new();
    let (volume, _, view) = rig.show_one();
    let surplus = Map {
        port: rig.port(),
        initiator: host("b"),
        lun: 9,
        volume,
    };
    rig.sim.map_by_hand(&surplus).expect("it can be shown");
    assert!(rig.wait_until(|now| !port_is_well(now)));
    assert_eq!(
        rig.now().drift_of(&view),
        None,
        "the view shows what it says"
    );
    assert_eq!(rig.luns("b"), [9]);
    assert!(rig.sim.lose_map(&host("b"), &rig.port(), 9));
    assert!(rig.wait_until(port_is_well));
}

#[test]
fn a_number_that_shows_something_else_is_never_overwritten() {
    let rig = repairing();
    let (shown, _, view) = rig.show_one();
    let other = rig.create("other", 1);
    let wrong = Map {
        port: rig.port(),
        initiator: host("a"),
        lun: 1,
        volume: other.clone(),
    };
    rig.sim.map_by_hand(&wrong).expect("it can be shown");
    assert!(rig.wait_until(|now| trouble(now, &view).is_some()));
    let why = trouble(&rig.now(), &view).expect("it is degraded");
    assert!(why.contains("something else"), "{why}");
    let seen = rig
        .sim
        .report_luns(&host("a"), &rig.port())
        .expect("a login");
    let now = rig.now();
    assert_eq!(seen[&1], now.volume(&other).expect("it is there").naa);
    // When the number is free again, the view gets it back.
    assert!(rig.sim.lose_map(&host("a"), &rig.port(), 1));
    assert!(rig.wait_until(|now| now.drift_of(&view).is_none()));
    let seen = rig
        .sim
        .report_luns(&host("a"), &rig.port())
        .expect("a login");
    assert_eq!(seen[&1], now.volume(&shown).expect("it is there").naa);
}

#[test]
fn a_target_that_was_taken_down_is_made_again_whatever_the_policy() {
    let rig = Rig::new();
    let (_, _, view) = rig.show_one();
    let before = rig.sim.report_luns(&host("a"), &rig.port());
    rig.sim.clear_target();
    assert_eq!(rig.sim.report_luns(&host("a"), &rig.port()), None);
    let found = || rig.sim.report_luns(&host("a"), &rig.port());
    assert!(rig.wait_until(|now| found() == before && now.drift_of(&view).is_none()));
    rig.assert_whole("after the target was made again");
}

#[test]
fn what_another_manager_restored_is_taken_for_what_it_shows() {
    let rig = Rig::new();
    rig.show_one();
    let saved = rig.sim.save_target();
    let before = rig.sim.report_luns(&host("a"), &rig.port());
    rig.sim.restore_target(&saved);
    let rig = rig.restart(false);
    assert_eq!(rig.sim.report_luns(&host("a"), &rig.port()), before);
    assert_eq!(rig.now().ailing().count(), 0);
    rig.assert_whole("after a start");
}

#[test]
fn a_volume_that_comes_late_is_shown_when_it_comes() {
    let rig = Rig::new();
    let (_, _, view) = rig.show_one();
    rig.sim.hide_pool(&rig.pool(), true);
    let pool = rig.pool();
    let rig = rig.restart(true);
    assert!(trouble(&rig.now(), &view).is_some());
    assert_eq!(rig.luns("a"), NOTHING);
    rig.sim.hide_pool(&pool, false);
    assert!(rig.wait_until(|now| now.drift_of(&view).is_none()));
    assert_eq!(rig.luns("a"), [1]);
}
