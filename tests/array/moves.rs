//! Moves, new copies and erasing as clients and administrators have them: what goes on beside them,
//! what waits, and what becomes of them after a restart.

use standpipe::array::{
    Array, Command, Copying, DiskId, Erasing, JobState, Kind, Policy, Quality, Step, VolumeId,
    Waited,
};
use standpipe::engine::sim::{Content, EXTENT};

use super::equipped::{equipped, erasing, volume};
use super::gate::{begin, done, gated, gated_under, refused, running, wait_for};
use super::rig::{Medium, Rig, creation};

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
    let (second, gate) = gated(&rig.sim, &medium.image(), is_sync);
    gate.reached(1);
    let job = running(&second);
    gate.open();
    wait_for(&second, job);
    let now = second.snapshot();
    assert_eq!(
        now.job(&job).map(|job| job.state),
        Some(JobState::Completed)
    );
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
        ..Policy::default()
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
fn what_is_being_erased_is_nobody_elses_also_after_a_restart() {
    let rig = erasing();
    rig.mortal.die();
    let single = volume(&rig, "single");
    let kept = ["shown", "first", "source", "source then"].map(|name| volume(&rig, name));
    let held = || kept.each_ref().map(|id| rig.sim.extents(id));
    let before = held();
    let policy = Policy {
        erase: Some(Erasing::Zero),
        ..Policy::default()
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
    gate.open();
    wait_for(&third, job);
    let now = third.snapshot();
    let job = now.job(&job).expect("it is listed");
    assert_eq!(job.state, JobState::Completed);
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
