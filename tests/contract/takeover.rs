//! What another manager shows becomes this array's, and hosts notice nothing: neither then, nor when
//! all of it is made again.

use std::collections::{BTreeMap, BTreeSet};

use standpipe::array::{
    InitiatorName, JobId, Kind, MadeTarget, Map, Naa, Owner, Step, Subject, Takeover, VolumeId,
};

use super::Rig;
use super::bench::*;

/// A volume of somebody else's, which he shows to host `a` under that number.
fn shown(rig: &dyn Rig, lun: u16) -> Map {
    let volume = rig.lvcreate("theirs", extent(rig));
    let theirs = map(rig, &volume, &host("a"), lun);
    rig.foreign_map(&theirs);
    theirs
}

/// The wish to take over what that map shows.
fn takeover(map: &Map) -> Takeover {
    Takeover {
        port: map.port.clone(),
        initiator: map.initiator.clone(),
        rows: [(map.lun, map.volume.clone())].into(),
        adopted: [map.volume.clone()].into(),
        target: None,
    }
}

/// Whose a volume is, and under which identifier the array lists it.
fn listed(rig: &dyn Rig, id: &VolumeId) -> (Owner, Naa) {
    let facts = scan(rig);
    let volume = facts.volumes.iter().find(|volume| volume.id == *id);
    let volume = volume.expect("it is listed");
    (volume.owner, volume.naa)
}

fn luns(rig: &dyn Rig, name: &InitiatorName) -> BTreeMap<u16, Naa> {
    rig.luns(name).expect("it can log in")
}

/// Hides and removes what was shown; nothing is left.
fn removed(rig: &dyn Rig, map: &Map) {
    apply(rig, &Step::Unmap(map.clone()));
    assert_eq!(rig.luns(&map.initiator), None);
    let (volume, job) = (Subject::Known(map.volume.clone()), JobId::new());
    let (mark, remove) = (
        Step::Mark {
            volume: volume.clone(),
            job,
        },
        Step::Remove { volume, job },
    );
    apply(rig, &mark);
    apply(rig, &remove);
    assert_eq!(rig.lvs(), BTreeMap::new());
}

pub fn what_another_manager_shows_is_taken_over_while_it_is_used(rig: &mut dyn Rig) {
    let theirs = shown(rig, 4);
    let before = luns(rig, &host("a"));
    assert_eq!(before, [(4, listed(rig, &theirs.volume).1)].into());
    let step = Step::TakeOver(takeover(&theirs));
    let stays = rig.stays_logged_in(&host("a"), 4, &mut || apply(rig, &step));
    assert!(stays, "the host reads on through one login");
    assert_eq!(luns(rig, &host("a")), before, "and finds what it found");
    assert_eq!(listed(rig, &theirs.volume), (Owner::Array, before[&4]));
    let facts = scan(rig);
    assert_eq!(facts.maps, std::slice::from_ref(&theirs));
    assert_eq!(facts.foreign_maps, []);
    assert!(rig.engine().is_mapped(&theirs).expect("a look"));
    idle(rig, &step);
    // It is a volume and an ACL of this array's from now on.
    let mut both = vec![theirs.clone()];
    idle(rig, &Step::Map(theirs.clone()));
    both.push(map(rig, &theirs.volume, &host("b"), 2));
    apply(rig, &Step::Map(both[1].clone()));
    assert_eq!(luns(rig, &host("b")), [(2, before[&4])].into());
    rig.engine().converge(&both).expect("converged");
    assert_eq!(scan(rig).maps, both);
    assert_eq!(luns(rig, &host("a")), before);
}

pub fn what_was_taken_over_is_hidden_and_removed_like_any_other(rig: &mut dyn Rig) {
    let theirs = shown(rig, 4);
    apply(rig, &Step::TakeOver(takeover(&theirs)));
    let (volume, job) = (Subject::Known(theirs.volume.clone()), JobId::new());
    refused(rig, &Step::Mark { volume, job }, Kind::InUse);
    removed(rig, &theirs);
}

pub fn what_was_taken_over_is_left_to_him_again(rig: &mut dyn Rig) {
    let theirs = shown(rig, 4);
    let before = luns(rig, &host("a"));
    let facts = scan(rig);
    let (take, give) = (
        Step::TakeOver(takeover(&theirs)),
        Step::GiveBack(takeover(&theirs)),
    );
    // Also where it was never taken.
    idle(rig, &give);
    apply(rig, &take);
    let stays = rig.stays_logged_in(&host("a"), 4, &mut || apply(rig, &give));
    assert!(stays, "the host reads on through one login");
    assert_eq!(luns(rig, &host("a")), before);
    assert_eq!(scan(rig).foreign_maps, facts.foreign_maps);
    assert_eq!(scan(rig).maps, []);
    assert_eq!(listed(rig, &theirs.volume).0, Owner::Foreign);
    idle(rig, &give);
    apply(rig, &take);
    assert_eq!(scan(rig).maps, [theirs]);
}

pub fn the_identifier_is_kept_when_all_is_made_again(rig: &mut dyn Rig) {
    let theirs = shown(rig, 4);
    let before = luns(rig, &host("a"));
    apply(rig, &Step::TakeOver(takeover(&theirs)));
    rig.clear_target();
    assert_eq!(rig.luns(&host("a")), None);
    assert_eq!(listed(rig, &theirs.volume), (Owner::Array, before[&4]));
    let shown = std::slice::from_ref(&theirs);
    rig.engine().converge(shown).expect("converged");
    assert_eq!(luns(rig, &host("a")), before);
    // It is known by no other identifier after it was shown to nobody.
    apply(rig, &Step::Unmap(theirs.clone()));
    apply(rig, &Step::Map(theirs.clone()));
    assert_eq!(luns(rig, &host("a")), before);
    removed(rig, &theirs);
}

pub fn what_he_makes_again_from_older_files_stays_taken_over(rig: &mut dyn Rig) {
    let theirs = shown(rig, 4);
    let before = luns(rig, &host("a"));
    apply(rig, &Step::TakeOver(takeover(&theirs)));
    rig.clear_target();
    rig.engine().converge(&[]).expect("converged");
    rig.foreign_map(&theirs);
    assert_eq!(scan(rig).maps, []);
    let shown = std::slice::from_ref(&theirs);
    rig.engine().converge(shown).expect("converged");
    assert_eq!(scan(rig).maps, shown);
    assert_eq!(scan(rig).foreign_maps, []);
    assert_eq!(luns(rig, &host("a")), before);
    removed(rig, &theirs);
}

pub fn a_target_is_taken_over_with_what_it_shows(rig: &mut dyn Rig) {
    let portal = rig.free_portals()[0];
    let target = MadeTarget {
        iqn: "iqn.2026-01.example.other:theirs".into(),
        alias: "theirs".into(),
        portals: [portal].into(),
        taken_over: true,
    };
    rig.foreign_target(&target.iqn, portal);
    let volume = rig.lvcreate("theirs", extent(rig));
    let theirs = Map {
        port: target.port(),
        initiator: host("a"),
        lun: 4,
        volume,
    };
    rig.foreign_map(&theirs);
    let listens = scan(rig).foreign_targets;
    assert_eq!(listens, [(target.iqn.clone(), [portal].into())].into());
    let found = |rig: &dyn Rig| rig.finds_at(&host("a"), portal).remove(&target.iqn);
    let before = found(rig).expect("it can log in");
    let wanted = Takeover {
        target: Some(target.clone()),
        ..takeover(&theirs)
    };
    let elsewhere = MadeTarget {
        portals: [rig.free_portals()[1]].into(),
        ..target.clone()
    };
    let moved = Takeover {
        target: Some(elsewhere),
        ..takeover(&theirs)
    };
    refused(rig, &Step::TakeOver(moved), Kind::InUse);
    apply(rig, &Step::TakeOver(wanted.clone()));
    assert_eq!(found(rig), Some(before.clone()));
    let facts = scan(rig);
    assert_eq!(
        (facts.maps, facts.foreign_maps.len()),
        (vec![theirs.clone()], 0)
    );
    let seen = facts.targets.iter().find(|seen| seen.iqn == target.iqn);
    let portals = &seen.expect("it is one of this array's").ports[0].portals;
    assert_eq!(*portals, [portal]);
    // It is made again with all that is his.
    rig.clear_target();
    let shown = std::slice::from_ref(&theirs);
    rig.engine().converge(shown).expect("converged");
    assert_eq!(found(rig), Some(before.clone()));
    // Also where he has made it again without the marks.
    rig.clear_target();
    rig.foreign_target(&target.iqn, portal);
    rig.foreign_map(&theirs);
    rig.engine().converge(shown).expect("converged");
    assert_eq!(found(rig), Some(before));
    assert_eq!(scan(rig).maps, shown);
    removed(rig, &theirs);
    apply(rig, &Step::Listen(target.closed()));
    assert_eq!(
        rig.targets(),
        [rig.port().iqn().expect("a target").clone()].into()
    );
}

pub fn what_is_not_as_it_was_is_not_taken_over(rig: &mut dyn Rig) {
    let theirs = shown(rig, 4);
    let wanted = takeover(&theirs);
    let refuses = |rig: &dyn Rig, wrong: Takeover, kind| {
        refused(rig, &Step::TakeOver(wrong), kind);
    };
    let less = Takeover {
        rows: BTreeMap::new(),
        ..wanted.clone()
    };
    refuses(rig, less, Kind::InUse);
    let other = Takeover {
        rows: [(5, theirs.volume.clone())].into(),
        ..wanted.clone()
    };
    refuses(rig, other, Kind::InUse);
    let unseen = Takeover {
        initiator: host("b"),
        ..wanted.clone()
    };
    refuses(rig, unseen, Kind::InUse);
    let unadopted = Takeover {
        adopted: BTreeSet::new(),
        ..wanted
    };
    refuses(rig, unadopted, Kind::AccessDenied);
}
