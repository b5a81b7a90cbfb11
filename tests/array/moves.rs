//! Moves, new copies and erasing as clients and administrators have them: what goes on beside them,
//! what waits, and what becomes of them after a restart.

use std::collections::BTreeSet;

use standpipe::array::{
    Array, Command, Copying, DiskId, Erasing, GroupKind, Health, Inventory, JobState, Kind,
    Members, Policy, Quality, Step, VolumeId, Waited,
};
use standpipe::engine::sim::{Content, EXTENT};

use super::equipped::{equipped, erasing, exchange, others, volume};
use super::gate::{
    begin, completed, done, gated, gated_under, refused, running, taken_up, wait_for,
};
use super::rig::{Medium, Rig, creation, host, policy};

/// The disks that a volume lies on.
fn disks(array: &Array, id: &VolumeId) -> Vec<DiskId> {
    let now = array.snapshot();
    let volume = now.volume(id).expect("it is listed");
    volume
        .pieces
        .iter()
        .map(|piece| piece.disk.clone())
        .collect()
}

/// The move of volume `single` off its disk, and the disk that it goes to.
fn away(rig: &Rig) -> (Command, DiskId) {
    let now = rig.now();
    let single = now.volume(&volume(rig, "single")).expect("it was made");
    let ours = now.pool(&single.pool).expect("it is listed");
    let mut others = ours.disks.iter().rev();
    let other = others
        .find(|disk| **disk != single.pieces[0].disk)
        .expect("there are four");
    let command = Command::MoveVolume {
        volume: single.id.clone(),
        onto: vec![other.clone()],
    };
    (command, other.clone())
}

fn is_move(step: &Step) -> bool {
    matches!(step, Step::Move { .. })
}

fn is_erasure(step: &Step) -> bool {
    matches!(step, Step::Erase { .. })
}

fn is_removal(step: &Step) -> bool {
    matches!(step, Step::Remove { .. })
}

fn is_sync(step: &Step) -> bool {
    matches!(step, Step::Sync { .. })
}

#[test]
fn a_volume_that_is_moved_is_used_but_not_changed_otherwise() {
    let rig = equipped();
    rig.mortal.die();
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), is_move);
    let (command, other) = away(&rig);
    let single = volume(&rig, "single");
    let moving = begin(&array, command);
    gate.reached(1);
    // Whoever sees it, and what it is called, may change meanwhile.
    done(
        &array,
        Command::RenameVolume {
            volume: single.clone(),
            name: "renamed".into(),
        },
    );
    done(&array, creation(rig.pool_named("ours"), "beside", 1));
    for command in [
        Command::DeleteVolumes {
            volumes: vec![single.clone()],
        },
        Command::ResizeVolume {
            volume: single.clone(),
            size: 4 * EXTENT,
            name: None,
        },
    ] {
        refused(&array, command, Kind::InUse);
    }
    gate.open();
    assert!(matches!(moving.join(), Waited::Done(..)));
    assert_eq!(disks(&array, &single), [other]);
}

#[test]
fn a_move_goes_on_after_a_restart_and_holds_what_it_moves() {
    let rig = equipped();
    rig.mortal.die();
    let medium = rig.medium.image();
    let (first, before) = gated(&rig.sim, &medium, is_move);
    let (command, other) = away(&rig);
    begin(&first, command);
    before.reached(1);
    // The gateway dies in the middle.
    let (second, gate) = gated(&rig.sim, &medium.image(), is_move);
    let single = volume(&rig, "single");
    let delete = Command::DeleteVolumes {
        volumes: vec![single.clone()],
    };
    refused(&second, delete, Kind::InUse);
    gate.reached(1);
    let job = running(&second);
    gate.open();
    wait_for(&second, job);
    let now = second.snapshot();
    let job = now.job(&job).expect("it is listed");
    assert_eq!(job.state, JobState::Completed);
    let note = job.note.as_deref().unwrap_or_default();
    assert!(note.contains("finished"), "{note}");
    assert_eq!(disks(&second, &single), [other]);
}

#[test]
fn a_move_that_is_cancelled_leaves_the_volume_where_it_was() {
    let rig = equipped();
    rig.mortal.die();
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), is_move);
    let single = volume(&rig, "single");
    let before = disks(&array, &single);
    let moving = begin(&array, away(&rig).0);
    gate.reached(1);
    array.cancel(running(&array)).expect("it may be stopped");
    gate.open();
    assert!(matches!(moving.join(), Waited::Failed(_, Some(_))));
    assert_eq!(disks(&array, &single), before);
    let now = array.snapshot();
    assert!(now.jobs().any(|job| job.state == JobState::Cancelled));
}

/// The only disk of each of these volumes.
fn places(array: &Array, volumes: &[VolumeId; 2]) -> [DiskId; 2] {
    volumes.each_ref().map(|id| disks(array, id)[0].clone())
}

#[test]
fn a_pool_that_is_stopped_on_its_way_says_what_has_moved() {
    let rig = equipped();
    let command = exchange(&rig);
    rig.mortal.die();
    let medium = rig.medium.image();
    let (array, gate) = gated(&rig.sim, &medium, is_move);
    let pool = rig.pool_named("bare");
    let both = ["one", "two"].map(|name| volume(&rig, name));
    let [old, _] = places(&array, &both);
    let moving = begin(&array, command.clone());
    gate.reached(1);
    gate.open_for(1);
    gate.reached(2);
    let id = running(&array);
    array.cancel(id).expect("it may be stopped");
    gate.open();
    assert!(matches!(moving.join(), Waited::Failed(_, Some(_))));
    let now = array.snapshot();
    let job = now.job(&id).expect("it is listed");
    assert_eq!(job.state, JobState::Cancelled);
    let lies_on: BTreeSet<DiskId> = places(&array, &both).into();
    let pool_now = now.pool(&pool).expect("it is there");
    assert_eq!(lies_on, pool_now.disks.iter().cloned().collect());
    assert!(lies_on.len() == 2 && lies_on.contains(&old));
    let note = job.note.as_deref().unwrap_or_default();
    let moved = both.iter().find(|id| disks(&array, id) != [old.clone()]);
    let moved = now.volume(moved.expect("one is moved")).expect("listed");
    let new = now.disk(&moved.pieces[0].disk).expect("listed");
    assert!(note.contains(&format!("volume '{}'", moved.name)), "{note}");
    assert!(note.contains(&format!("disk {}", new.device)), "{note}");
    assert!(new.free() > 0 && now.disk(&old).expect("listed").free() > 0);
    // Nothing is left for the next start, and the rest can be moved later.
    drop(array);
    let (array, _) = gated(&rig.sim, &medium.image(), |_| false);
    assert_eq!(array.snapshot().warnings.len(), 0);
    done(&array, command);
    assert_eq!(places(&array, &both), [new.id.clone(), new.id.clone()]);
}

#[test]
fn a_pool_goes_on_to_another_disk_after_a_restart() {
    let rig = equipped();
    let command = exchange(&rig);
    rig.mortal.die();
    let medium = rig.medium.image();
    let both = ["one", "two"].map(|name| volume(&rig, name));
    let (first, before) = gated(&rig.sim, &medium, is_move);
    let Command::MovePool { pool, onto } = command.clone() else {
        panic!("a pool is moved");
    };
    begin(&first, command);
    before.reached(1);
    before.open_for(1);
    before.reached(2);
    // The gateway dies between the two.
    let (second, gate, job) = taken_up(policy(), &rig.sim, &medium, is_move);
    let now = completed(&second, &gate, job);
    assert_eq!(places(&second, &both), [onto[0].clone(), onto[0].clone()]);
    assert_eq!(now.pool(&pool).expect("it is there").disks, onto);
}

#[test]
fn copies_that_come_after_a_restart_are_waited_for() {
    let rig = equipped();
    rig.mortal.die();
    let medium = rig.medium.image();
    let (first, before) = gated(&rig.sim, &medium, is_sync);
    let single = volume(&rig, "single");
    let command = Command::ChangeQuality {
        volume: single.clone(),
        quality: Quality {
            survives: Some(1),
            copies: Some(2),
            ..Quality::default()
        },
    };
    begin(&first, command);
    before.reached(1);
    let (second, gate, job) = taken_up(policy(), &rig.sim, &medium, is_sync);
    let now = completed(&second, &gate, job);
    let single = now.volume(&single).expect("it is listed");
    assert_eq!((single.copies(), single.survives()), (2, 1));
}

#[test]
fn what_is_being_erased_is_not_spared() {
    let rig = erasing();
    rig.mortal.die();
    let single = volume(&rig, "single");
    let policy = Policy {
        erase: Some(Erasing::Zero),
        ..policy()
    };
    let (array, gate) = gated_under(policy, &rig.sim, &rig.medium.image(), is_erasure);
    let removal = begin(
        &array,
        Command::DeleteVolumes {
            volumes: vec![single.clone()],
        },
    );
    gate.reached(1);
    let error = array.cancel(running(&array)).expect_err("it is half gone");
    assert_eq!(error.kind, Kind::NotSupported);
    gate.open();
    assert!(matches!(removal.join(), Waited::Done(..)));
    assert!(array.snapshot().volume(&single).is_none());
}

#[test]
fn long_work_keeps_nobody_out_and_all_of_it_goes_on_after_a_restart() {
    // One more than commands may be under way that do not take long.
    const MANY: usize = 65;
    let rig = equipped();
    for count in [MANY - 1, 1] {
        rig.done(Command::CreateVolumes {
            pool: rig.pool_named("ours"),
            names: Vec::new(),
            count,
            size: EXTENT,
            quality: Quality::default(),
        });
    }
    let known = ["twin", "sparse", "single"].map(|name| volume(&rig, name));
    let (now, ours) = (rig.now(), rig.pool_named("ours"));
    let new = now.volumes_in(&ours);
    let new: Vec<VolumeId> = new
        .map(|volume| volume.id.clone())
        .filter(|id| !known.contains(id))
        .collect();
    assert_eq!(new.len(), MANY);
    rig.mortal.die();
    let policy = || Policy {
        erase: Some(Erasing::Zero),
        ..policy()
    };
    let medium = rig.medium.image();
    let (first, before) = gated_under(policy(), &rig.sim, &medium, is_erasure);
    for id in &new {
        let volumes = vec![id.clone()];
        begin(&first, Command::DeleteVolumes { volumes });
    }
    before.reached(MANY);
    let rename = |name: &str| Command::RenameVolume {
        volume: known[2].clone(),
        name: name.into(),
    };
    done(&first, rename("renamed"));
    let (second, gate) = gated_under(policy(), &rig.sim, &medium.image(), is_erasure);
    gate.reached(MANY);
    done(&second, rename("renamed again"));
    let now = second.snapshot();
    let going: Vec<_> = now.jobs().filter(|job| !job.is_finished()).collect();
    assert_eq!(going.len(), MANY);
    gate.open();
    going.iter().for_each(|job| wait_for(&second, job.id));
    let now = second.snapshot();
    assert!(new.iter().all(|id| now.volume(id).is_none()));
}

#[test]
fn what_is_being_erased_is_nobody_elses_also_after_a_restart() {
    let rig = erasing();
    rig.mortal.die();
    let single = volume(&rig, "single");
    let kept = ["shown", "first", "source", "source then"].map(|name| volume(&rig, name));
    let held = || kept.each_ref().map(|id| rig.sim.extents(id));
    let before = held();
    let policy = Policy {
        erase: Some(Erasing::Zero),
        ..policy()
    };
    let start = |image: &Medium, which| gated_under(policy.clone(), &rig.sim, image, which);
    let delete = || Command::DeleteVolumes {
        volumes: vec![single.clone()],
    };
    let medium = rig.medium.image();
    let (first, gate) = start(&medium, is_erasure);
    begin(&first, delete());
    gate.reached(1);
    refused(&first, delete(), Kind::InUse);
    assert_eq!(
        rig.sim.extents(&single),
        Some(vec![Content::Written(0x16); 2])
    );
    // The gateway dies before the first byte goes, and again when the last one is gone.
    let medium = medium.image();
    let (second, gate) = start(&medium, is_removal);
    gate.reached(1);
    refused(&second, delete(), Kind::InUse);
    assert_eq!(rig.sim.extents(&single), Some(vec![Content::Zeros; 2]));
    let (third, gate) = start(&medium.image(), is_erasure);
    refused(&third, delete(), Kind::InUse);
    gate.reached(1);
    let job = running(&third);
    let now = completed(&third, &gate, job);
    assert!(now.volume(&single).is_none());
    assert_eq!(held(), before, "nothing else changed");
}

#[test]
fn what_depends_on_another_stays_where_it_is() {
    let rig = equipped();
    let single = volume(&rig, "single");
    rig.done(Command::CreateReplicas {
        kind: Copying::Snapshot,
        sources: vec![single.clone()],
        names: vec!["then".into()],
        pool: None,
        quality: None,
        room: None,
    });
    let (command, _) = away(&rig);
    let (error, job) = rig.fails(command);
    assert_eq!((error.kind, job), (Kind::HasDependents, None), "{error}");
}

/// A snapshot, or a clone, of one volume.
fn replica(kind: Copying, of: &VolumeId, name: &str) -> Command {
    Command::CreateReplicas {
        kind,
        sources: vec![of.clone()],
        names: vec![name.into()],
        pool: None,
        quality: None,
        room: None,
    }
}

/// Waits until a picture is like that.
fn until(array: &Array, like: impl Fn(&Inventory) -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let mut versions = array.versions();
    let waited = versions.wait_for(|_| like(&array.snapshot()));
    let waited = runtime.expect("a runtime").block_on(waited).is_ok();
    assert!(waited);
}

#[test]
fn replicas_of_what_is_still_to_be_moved_wait_and_those_of_what_has_moved_do_not() {
    let rig = equipped();
    let command = exchange(&rig);
    rig.mortal.die();
    let medium = rig.medium.image();
    let (first, before) = gated(&rig.sim, &medium, is_move);
    let both = ["one", "two"].map(|name| volume(&rig, name));
    let [old, _] = places(&first, &both);
    begin(&first, command);
    before.reached(1);
    for id in &both {
        for kind in [Copying::Snapshot, Copying::Clone] {
            let error = refused(&first, replica(kind, id, "then"), Kind::InUse);
            assert!(error.message.contains("until it has been moved"), "{error}");
        }
    }
    // One that is thin is another matter.
    let sparse = volume(&rig, "sparse");
    done(&first, replica(Copying::Snapshot, &sparse, "thin then"));
    before.open_for(1);
    before.reached(2);
    let is_away = |now: &Inventory, id: &VolumeId| {
        let volume = now.volume(id).expect("listed");
        volume.pieces.iter().all(|piece| piece.disk != old)
    };
    until(&first, |now| both.iter().any(|id| is_away(now, id)));
    let (moved, rest): (Vec<_>, Vec<_>) =
        both.iter().partition(|id| is_away(&first.snapshot(), id));
    done(&first, replica(Copying::Snapshot, moved[0], "then"));
    refused(
        &first,
        replica(Copying::Snapshot, rest[0], "later"),
        Kind::InUse,
    );
    // The gateway dies; the move of what has a snapshot by now is taken again.
    let (second, gate, job) = taken_up(policy(), &rig.sim, &medium, is_move);
    let now = completed(&second, &gate, job);
    assert!(both.iter().all(|id| is_away(&now, id)));
    assert!(now.disk(&old).expect("listed").pool().is_none());
}

#[test]
fn a_snapshot_of_what_gains_copies_waits_so_that_they_can_go_again() {
    let rig = equipped();
    rig.mortal.die();
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), is_sync);
    let single = volume(&rig, "single");
    let command = Command::ChangeQuality {
        volume: single.clone(),
        quality: Quality {
            survives: Some(1),
            copies: Some(2),
            ..Quality::default()
        },
    };
    let changing = begin(&array, command);
    gate.reached(1);
    for kind in [Copying::Snapshot, Copying::Clone] {
        let error = refused(&array, replica(kind, &single, "then"), Kind::InUse);
        assert!(error.message.contains("until they are in step"), "{error}");
    }
    array.cancel(running(&array)).expect("it may be stopped");
    gate.open();
    assert!(matches!(changing.join(), Waited::Failed(_, Some(_))));
    let now = array.snapshot();
    let id = single;
    let single = now.volume(&id).expect("it is listed");
    assert_eq!((single.copies(), single.behind), (1, 0));
    let job = now.jobs().find(|job| job.state == JobState::Cancelled);
    assert_eq!(job.expect("it was stopped").note, None);
    done(&array, replica(Copying::Snapshot, &id, "then"));
}

#[test]
fn what_is_being_copied_is_not_moved() {
    fn takes(step: &Step) -> bool {
        matches!(step, Step::Snapshot { .. })
    }
    let rig = equipped();
    rig.mortal.die();
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), takes);
    let single = volume(&rig, "single");
    let taking = begin(&array, replica(Copying::Snapshot, &single, "then"));
    gate.reached(1);
    let (moving, _) = away(&rig);
    // Nobody sees the snapshot yet.
    refused(&array, moving.clone(), Kind::InUse);
    gate.open();
    assert!(matches!(taking.join(), Waited::Done(..)));
    refused(&array, moving, Kind::HasDependents);
}

#[test]
fn what_is_made_beside_the_emptying_of_a_disk_lies_elsewhere() {
    fn closes(step: &Step) -> bool {
        matches!(step, Step::CloseDisk { .. })
    }
    let rig = equipped();
    rig.mortal.die();
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), closes);
    let now = array.snapshot();
    let single = now.volume(&volume(&rig, "single")).expect("listed");
    let from = single.pieces[0].disk.clone();
    let command = Command::MovePool {
        pool: single.pool.clone(),
        onto: others(&rig, &from),
    };
    let moving = begin(&array, command);
    gate.reached(1);
    // So much that it would lie there, too, if anything did.
    let ours = now.pool(&single.pool).expect("listed");
    let left = now.disk(&from).expect("listed").free();
    let too_much = (ours.available - left) / EXTENT + 1;
    let error = refused(
        &array,
        creation(ours.id.clone(), "wide", too_much),
        Kind::SizeNotSupported,
    );
    assert!(error.message.contains("has room for"), "{error}");
    gate.open();
    assert!(matches!(moving.join(), Waited::Done(..)));
    let now = array.snapshot();
    assert!(now.disk(&from).expect("listed").pool().is_none());
}

#[test]
fn a_disk_is_not_emptied_while_something_may_come_to_lie_there() {
    fn makes(step: &Step) -> bool {
        matches!(
            step,
            Step::Create { .. } | Step::CreateThinPool { .. } | Step::ExtendGroup { .. }
        )
    }
    let rig = equipped();
    let command = exchange(&rig);
    rig.mortal.die();
    let bare = rig.pool_named("bare");
    let thin = Command::CreateThinPool {
        group: bare.clone(),
        name: Some("late thin".into()),
        size: 2 * EXTENT,
    };
    for making in [creation(bare.clone(), "late", 1), thin] {
        let (array, gate) = gated(&rig.sim, &rig.medium.image(), makes);
        let made = begin(&array, making);
        gate.reached(1);
        let error = refused(&array, command.clone(), Kind::InUse);
        assert!(error.message.contains("ask again in a moment"), "{error}");
        gate.open();
        assert!(matches!(made.join(), Waited::Done(..)));
    }
    // Somebody else is quicker than the plan: nothing has moved when that is told.
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), makes);
    let disks = array.snapshot().pool(&bare).expect("listed").disks.clone();
    let moving = begin(&array, command.clone());
    gate.reached(1);
    let theirs = rig.sim.lvcreate(&bare, "theirs", EXTENT);
    theirs.expect("there is room");
    gate.open();
    let Waited::Failed(error, Some(_)) = moving.join() else {
        panic!("it cannot be empty");
    };
    assert_eq!(error.kind, Kind::InUse, "{error}");
    assert!(error.message.contains("'theirs' has come"), "{error}");
    let now = array.snapshot();
    assert_eq!(now.pool(&bare).expect("listed").disks, disks);
    assert!(now.disk(&disks[0]).expect("listed").free() > 0);
    assert!(
        now.jobs()
            .filter(|job| job.error.is_some())
            .all(|job| job.note.is_none())
    );
}

/// The numbers that host `a` finds.
fn seen(rig: &Rig, array: &Array) -> Vec<u16> {
    let now = array.snapshot();
    let port = now.ports().next().expect("a port");
    let found = rig.sim.report_luns(&host("a"), &port.id);
    found.into_iter().flatten().map(|(lun, _)| lun).collect()
}

#[test]
fn hosts_come_and_go_while_a_volume_is_moved_and_after_a_restart_in_the_middle() {
    let rig = equipped();
    rig.mortal.die();
    let medium = rig.medium.image();
    let (first, before) = gated(&rig.sim, &medium, is_move);
    let single = volume(&rig, "single");
    let (command, other) = away(&rig);
    let now = first.snapshot();
    let devices = now.group_named(GroupKind::Volumes, "devices");
    let group = devices.expect("it was made").id;
    let members = || Members::Volumes(vec![single.clone()]);
    let show = |lun| Command::AddMembers {
        group,
        members: members(),
        luns: vec![lun],
    };
    let hide = || Command::RemoveMembers {
        group,
        members: members(),
        delete_on_empty: None,
    };
    begin(&first, command);
    before.reached(1);
    done(&first, show(8));
    assert_eq!(seen(&rig, &first), [1, 8]);
    done(&first, hide());
    assert_eq!(seen(&rig, &first), [1]);
    done(&first, show(9));
    // The gateway dies in the middle.
    let (second, gate, job) = taken_up(policy(), &rig.sim, &medium, is_move);
    assert_eq!(seen(&rig, &second), [1, 9]);
    done(&second, hide());
    assert_eq!(seen(&rig, &second), [1]);
    done(&second, show(10));
    gate.open();
    wait_for(&second, job);
    assert_eq!(seen(&rig, &second), [1, 10]);
    assert_eq!(disks(&second, &single), [other]);
}

#[test]
fn a_thin_pool_that_is_moved_takes_volumes_and_snapshots() {
    let rig = equipped();
    rig.mortal.die();
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), is_move);
    let now = array.snapshot();
    let thin = now.pool(&rig.pool_named("thin")).expect("it was made");
    let onto = others(&rig, &thin.disks[0]);
    let moving = begin(
        &array,
        Command::MovePool {
            pool: thin.id.clone(),
            onto: onto.clone(),
        },
    );
    gate.reached(1);
    done(&array, creation(thin.id.clone(), "new", 3));
    let sparse = volume(&rig, "sparse");
    done(&array, replica(Copying::Snapshot, &sparse, "then"));
    gate.open();
    assert!(matches!(moving.join(), Waited::Done(..)));
    let now = array.snapshot();
    let moved = now.pool(&thin.id).expect("it is listed");
    assert!(moved.disks.iter().all(|disk| onto.contains(disk)));
    for name in ["new", "then", "sparse"] {
        let volume = now.volumes_named(name).next().expect("it is listed");
        assert_eq!((&volume.pool, &volume.health), (&thin.id, &Health::Ok));
    }
}
