//! Secrets: who gets in with them, and who without.

use standpipe::array::{Chap, ChapTable, ChapUser, InitiatorName, Kind, Login, Map, Secret, Step};

use super::Rig;
use super::bench::*;

const FIRST: &str = "open-sesame-42";
const SECOND: &str = "%@:#;'!~^-&*()+=";

pub fn the_right_secret_and_no_other_lets_in(rig: &mut dyn Rig) {
    let table = [
        (host("a"), one_way("joe", FIRST)),
        (host("b"), one_way("jane", SECOND)),
    ];
    let maps = shown_to(rig, ["a", "b", "c"]);
    restart(rig, table.clone().into(), &maps);
    let check = |rig: &dyn Rig| {
        for (initiator, chap) in &table {
            assert!(enters(rig, initiator, chap), "{initiator}");
            assert_eq!(rig.luns(initiator), None, "{initiator} without a secret");
        }
        for wrong in [
            one_way("joe", "open-sesame-43"),
            one_way("jane", FIRST),
            one_way("joe", SECOND),
            table[1].1.clone(),
        ] {
            assert!(!enters(rig, &host("a"), &wrong), "{wrong:?}");
        }
        // Beside them, one that was given none needs none.
        assert!(rig.luns(&host("c")).is_some());
        assert_eq!(scan(rig).maps, maps);
    };
    check(rig);
    rig.reboot();
    assert!(!enters(rig, &host("a"), &table[0].1), "it is closed still");
    rig.engine().converge(&maps).expect("converged");
    check(rig);
}

pub fn the_array_proves_itself_where_it_is_asked(rig: &mut dyn Rig) {
    let asked = Chap {
        array: Some(login("array", SECOND)),
        ..one_way("joe", FIRST)
    };
    let maps = shown_to(rig, ["a"]);
    restart(rig, [(host("a"), asked.clone())].into(), &maps);
    assert!(enters(rig, &host("a"), &asked));
    assert!(enters(rig, &host("a"), &one_way("joe", FIRST)));
    assert_eq!(rig.luns(&host("a")), None);
    // An initiator does not stay where the answer is wrong.
    for (user, secret) in [("array", "another-secret"), ("impostor", SECOND)] {
        let array = Some(login(user, secret));
        let impostor = Chap {
            array,
            ..asked.clone()
        };
        assert!(!enters(rig, &host("a"), &impostor), "{user}");
    }
}

pub fn a_map_that_is_made_later_has_its_secret_at_once(rig: &mut dyn Rig) {
    let chap = one_way("joe", FIRST);
    restart(rig, [(host("a"), chap.clone())].into(), &[]);
    let maps = shown_to(rig, ["a", "c"]);
    assert!(enters(rig, &host("a"), &chap));
    assert_eq!(rig.luns(&host("a")), None);
    assert!(rig.luns(&host("c")).is_some());
    for map in maps {
        idle(rig, &Step::Map(map.clone()));
        apply(rig, &Step::Unmap(map));
    }
    assert!(!enters(rig, &host("a"), &chap));
    assert_eq!(rig.luns(&host("c")), None);
}

pub fn changed_secrets_hold_after_a_restart(rig: &mut dyn Rig) {
    let maps = shown_to(rig, ["a", "b"]);
    let (a, b) = (host("a"), host("b"));
    let (old, new) = (one_way("joe", FIRST), one_way("jack", SECOND));
    assert!(rig.luns(&a).is_some() && rig.luns(&b).is_some());

    restart(rig, [(a.clone(), old.clone())].into(), &maps);
    assert!(enters(rig, &a, &old) && rig.luns(&a).is_none() && rig.luns(&b).is_some());

    restart(rig, [(a.clone(), new.clone())].into(), &maps);
    assert!(enters(rig, &a, &new) && !enters(rig, &a, &old) && rig.luns(&a).is_none());

    // It is the other one's turn, and then nobody's.
    restart(rig, [(b.clone(), old.clone())].into(), &maps);
    assert!(enters(rig, &b, &old) && rig.luns(&b).is_none() && rig.luns(&a).is_some());

    restart(rig, ChapTable::new(), &maps);
    assert!(rig.luns(&a).is_some() && rig.luns(&b).is_some());
    // What is made from now on needs none either.
    let later = Step::Map(Map {
        initiator: host("c"),
        ..maps[0].clone()
    });
    apply(rig, &later);
    assert!(rig.luns(&host("c")).is_some());
}

pub fn another_managers_acl_is_given_no_secret(rig: &mut dyn Rig) {
    let chap = one_way("joe", FIRST);
    restart(rig, [(host("a"), chap.clone())].into(), &[]);
    let theirs = rig.lvcreate("somebodys", extent(rig));
    rig.foreign_map(&map(rig, &theirs, &host("a"), 4));
    let ours = finished(rig, "ours", 1);
    let wanted = map(rig, &ours.id, &host("a"), 5);
    refused(rig, &Step::Map(wanted.clone()), Kind::AccessDenied);
    let error = rig.engine().converge(&[wanted]).expect_err("not shown");
    assert_eq!(error.kind, Kind::AccessDenied, "{error}");
    let told = format!("{error} {error:?}");
    assert!(!told.contains(FIRST), "{told}");
    assert_eq!(scan(rig).maps, []);
    assert_eq!(scan(rig).foreign_maps.len(), 1);
    // Theirs has no credentials, and the target demands some.
    assert_eq!(rig.luns(&host("a")), None);
    assert!(!enters(rig, &host("a"), &chap));
}

/// Starts the gateway again with these secrets.
fn restart(rig: &mut dyn Rig, table: ChapTable, maps: &[Map]) {
    rig.configure(table);
    rig.engine().converge(maps).expect("converged");
}

/// Shows one volume to all of them, as LUN 1.
fn shown_to<const N: usize>(rig: &dyn Rig, hosts: [&str; N]) -> Vec<Map> {
    let volume = finished(rig, "shared", 1).id;
    let maps = hosts.map(|name| map(rig, &volume, &host(name), 1));
    for map in &maps {
        apply(rig, &Step::Map(map.clone()));
    }
    maps.into()
}

/// Whether an initiator gets in with these credentials and sees what is shown to it.
fn enters(rig: &dyn Rig, initiator: &InitiatorName, chap: &Chap) -> bool {
    let Some(seen) = rig.luns_with(initiator, chap) else {
        return false;
    };
    let facts = scan(rig);
    let naa = |map: &Map| {
        let mut volumes = facts.volumes.iter();
        let volume = volumes.find(|volume| volume.id == map.volume);
        (map.lun, volume.expect("the volume of a map").naa)
    };
    let shown = facts.maps.iter().filter(|map| map.initiator == *initiator);
    assert_eq!(seen, shown.map(naa).collect());
    true
}

fn one_way(user: &str, secret: &str) -> Chap {
    Chap {
        initiator: login(user, secret),
        array: None,
    }
}

fn login(user: &str, secret: &str) -> Login {
    Login {
        user: ChapUser::parse(user).expect("a name"),
        secret: Secret::parse(secret).expect("a secret"),
    }
}
