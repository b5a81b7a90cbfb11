//! Targets that clients make: what initiators find through them and through others, and what is left
//! alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use standpipe::array::{Health, InitiatorName, Iqn, Kind, MadeTarget, Map, Naa, Step, Volume};

use super::Rig;
use super::bench::*;

/// The target that is configured.
fn configured(rig: &dyn Rig) -> Iqn {
    let port = rig.port();
    port.iqn().expect("a port of iSCSI").clone()
}

/// A target of the suite that listens there.
fn target(rig: &dyn Rig, name: &str, portals: &[SocketAddr]) -> MadeTarget {
    MadeTarget {
        iqn: format!("{}:{name}", configured(rig)).into(),
        alias: name.to_owned(),
        portals: portals.iter().copied().collect(),
        taken_over: false,
    }
}

/// The map that shows a volume through a target.
fn through(target: &MadeTarget, initiator: &InitiatorName, lun: u16, volume: &Volume) -> Map {
    Map {
        port: target.port(),
        initiator: initiator.clone(),
        lun,
        volume: volume.id.clone(),
    }
}

/// What an initiator finds at an address through one target; `None` where it finds no such target.
fn luns_of(
    rig: &dyn Rig,
    initiator: &InitiatorName,
    portal: SocketAddr,
    target: &MadeTarget,
) -> Option<BTreeMap<u16, Naa>> {
    rig.finds_at(initiator, portal).remove(&target.iqn)
}

pub fn a_made_target_shows_its_own_maps_only(rig: &mut dyn Rig) {
    let (one, two) = (finished(rig, "one", 1), finished(rig, "two", 1));
    // At the address of the first one.
    let second = target(rig, "second", &[rig.portal()]);
    let listen = Step::Listen(second.clone());
    apply(rig, &listen);
    idle(rig, &listen);
    let seen = scan(rig).targets;
    let seen = seen.iter().find(|seen| seen.iqn == second.iqn);
    let port = &seen.expect("the new target").ports[0];
    assert_eq!((&port.id, port.enabled), (&second.port(), true));
    assert_eq!(
        (&port.portals, &port.health),
        (&vec![rig.portal()], &Health::Ok)
    );

    let by_first = map(rig, &one.id, &host("a"), 1);
    let by_second = through(&second, &host("a"), 1, &two);
    apply(rig, &Step::Map(by_first.clone()));
    assert_eq!(luns_of(rig, &host("a"), rig.portal(), &second), None);
    apply(rig, &Step::Map(by_second.clone()));
    let found = rig.finds_at(&host("a"), rig.portal());
    let expected = [
        (configured(rig), [(1, one.naa)].into()),
        (second.iqn.clone(), [(1, two.naa)].into()),
    ];
    assert_eq!(found, expected.into());
    assert_eq!(scan(rig).maps, [by_first.clone(), by_second.clone()]);
    assert_eq!(rig.finds_at(&host("b"), rig.portal()), BTreeMap::new());

    apply(rig, &Step::Unmap(by_first));
    let found = rig.finds_at(&host("a"), rig.portal());
    assert_eq!(found, [(second.iqn.clone(), [(1, two.naa)].into())].into());
    apply(rig, &Step::Unmap(by_second));
    assert_eq!(rig.finds_at(&host("a"), rig.portal()), BTreeMap::new());
}

pub fn a_made_target_listens_where_it_is_told(rig: &mut dyn Rig) {
    let volume = finished(rig, "shown", 1);
    let [v4, v6] = rig.free_portals();
    let narrow = target(rig, "second", &[v4]);
    let wide = target(rig, "second", &[v4, v6]);
    apply(rig, &Step::Listen(narrow.clone()));
    apply(rig, &Step::Map(through(&narrow, &host("a"), 3, &volume)));
    let sees = |rig: &dyn Rig, portal| luns_of(rig, &host("a"), portal, &narrow);
    let shown = Some([(3, volume.naa)].into());
    assert_eq!(sees(rig, v4), shown);
    assert_eq!(sees(rig, v6), None);
    assert_eq!(sees(rig, rig.portal()), None);

    let mark = rig.engine().fingerprint().expect("a mark");
    apply(rig, &Step::Listen(wide.clone()));
    assert_ne!(rig.engine().fingerprint().expect("a mark"), mark);
    idle(rig, &Step::Listen(wide.clone()));
    assert_eq!(sees(rig, v4), shown);
    assert_eq!(sees(rig, v6), shown);
    // Taking it back takes that address only.
    apply(rig, &Step::Listen(narrow.clone()));
    assert_eq!(sees(rig, v4), shown);
    assert_eq!(sees(rig, v6), None);
}

pub fn a_made_target_is_there_again_after_a_reboot(rig: &mut dyn Rig) {
    let volume = finished(rig, "shown", 1);
    let [_, v6] = rig.free_portals();
    let second = target(rig, "second", &[v6]);
    let shown = through(&second, &host("a"), 1, &volume);
    apply(rig, &Step::Listen(second.clone()));
    apply(rig, &Step::Map(shown.clone()));
    rig.reboot();
    refused(rig, &Step::Map(shown.clone()), Kind::NotFound);
    rig.engine()
        .manage(&[], std::slice::from_ref(&second))
        .expect("told");
    assert!(!rig.targets().contains(&second.iqn));
    let known = scan(rig).targets;
    let known = known.iter().find(|known| known.iqn == second.iqn);
    let port = &known.expect("it is known").ports[0];
    assert!(matches!(port.health, Health::Failed(_)), "{port:?}");
    assert_eq!(luns_of(rig, &host("a"), v6, &second), None);

    rig.engine()
        .converge(std::slice::from_ref(&shown))
        .expect("converged");
    let found = luns_of(rig, &host("a"), v6, &second);
    assert_eq!(found, Some([(1, volume.naa)].into()));
    assert_eq!(scan(rig).maps, [shown]);
    idle(rig, &Step::Listen(second));
}

pub fn a_used_target_stays_and_an_unused_one_goes(rig: &mut dyn Rig) {
    let volume = finished(rig, "shown", 1);
    let [v4, _] = rig.free_portals();
    let second = target(rig, "second", &[rig.portal(), v4]);
    let close = Step::Listen(second.closed());
    idle(rig, &close);
    apply(rig, &Step::Listen(second.clone()));
    apply(rig, &Step::Map(map(rig, &volume.id, &host("a"), 1)));
    let shown = through(&second, &host("b"), 1, &volume);
    apply(rig, &Step::Map(shown.clone()));
    refused(rig, &close, Kind::InUse);
    assert!(luns_of(rig, &host("b"), v4, &second).is_some());
    apply(rig, &Step::Unmap(shown.clone()));

    let stays = rig.stays_logged_in(&host("a"), 1, &mut || apply(rig, &close));
    assert!(stays, "the session with the other target ended");
    assert!(!rig.targets().contains(&second.iqn));
    assert!(scan(rig).targets.iter().all(|left| left.iqn != second.iqn));
    assert_eq!(rig.finds_at(&host("b"), v4), BTreeMap::new());
    assert_eq!(rig.luns(&host("a")), Some([(1, volume.naa)].into()));
    idle(rig, &close);
    refused(rig, &Step::Map(shown), Kind::NotFound);
    // Its name can be used again.
    apply(rig, &Step::Listen(second));
}

pub fn a_target_of_somebody_else_is_left_alone(rig: &mut dyn Rig) {
    let [v4, _] = rig.free_portals();
    let theirs = target(rig, "theirs", &[v4]);
    rig.foreign_target(&theirs.iqn, v4);
    let facts = scan(rig);
    assert!(facts.targets.iter().all(|seen| seen.iqn != theirs.iqn));
    assert_eq!(facts.stray_targets, []);
    refused(rig, &Step::Listen(theirs.clone()), Kind::AlreadyExists);
    idle(rig, &Step::Listen(theirs.closed()));
    rig.engine().converge(&[]).expect("converged");
    assert!(rig.targets().contains(&theirs.iqn));
    // The same address under another name is nobody's alone.
    apply(rig, &Step::Listen(target(rig, "ours", &[v4])));
    apply(rig, &Step::Listen(target(rig, "ours", &[])));
    assert_eq!(rig.targets(), [configured(rig), theirs.iqn].into());
}

pub fn an_impossible_target_is_refused(rig: &mut dyn Rig) {
    let named = MadeTarget {
        iqn: configured(rig),
        ..target(rig, "", &rig.free_portals())
    };
    refused(rig, &Step::Listen(named.clone()), Kind::AccessDenied);
    refused(rig, &Step::Listen(named.closed()), Kind::AccessDenied);
    // The first target listens at one address of that port.
    let everywhere = SocketAddr::new([0, 0, 0, 0].into(), rig.portal().port());
    let wild = target(rig, "wild", &[everywhere]);
    refused(rig, &Step::Listen(wild.clone()), Kind::InUse);
    assert_eq!(rig.targets(), [configured(rig)].into());
    idle(rig, &Step::Listen(wild.closed()));
}

pub fn a_target_that_nobody_told_of_is_reported_and_kept(rig: &mut dyn Rig) {
    let volume = finished(rig, "shown", 1);
    let second = target(rig, "second", &rig.free_portals());
    apply(rig, &Step::Listen(second.clone()));
    let shown = through(&second, &host("a"), 1, &volume);
    apply(rig, &Step::Map(shown.clone()));
    // What a lost store leaves.
    rig.engine().manage(&[], &[]).expect("told");
    let facts = scan(rig);
    assert_eq!(facts.stray_targets, std::slice::from_ref(&second));
    assert_eq!(
        (facts.targets.len(), facts.maps.as_slice()),
        (1, [].as_slice())
    );
    rig.engine().converge(&[]).expect("converged");
    let found = luns_of(
        rig,
        &host("a"),
        second.portals.first().copied().expect("one"),
        &second,
    );
    assert_eq!(found, Some([(1, volume.naa)].into()));

    rig.engine()
        .manage(&[], std::slice::from_ref(&second))
        .expect("told");
    let facts = scan(rig);
    let none: BTreeSet<_> = facts.stray_targets.iter().map(|stray| &stray.iqn).collect();
    assert!(none.is_empty(), "{none:?}");
    assert_eq!(facts.maps, [shown]);
}
