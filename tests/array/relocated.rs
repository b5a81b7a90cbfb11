//! Volumes that go to another pool as clients and administrators have them: what they are meanwhile
//! and afterwards, who comes too late to stop it, and what becomes of it after a restart.

use standpipe::array::{
    Array, Command, Effect, Element, Erasing, Inventory, JobId, JobState, Kind, Naa, Policy, Step,
    VolumeId, Waited,
};
use standpipe::engine::sim::EXTENT;

use super::equipped::{equipped, erasing, volume};
use super::gate::{
    begin, completed, done, gated, gated_under, refused, running, taken_up, wait_for,
};
use super::rig::{Rig, creation, policy};

/// Puts volume `single`, which lies in pool `ours`, into pool `empty`.
fn away(rig: &Rig) -> Command {
    Command::RelocateVolumes {
        volumes: vec![volume(rig, "single")],
        pool: rig.pool_named("empty"),
        quality: None,
    }
}

fn is_copy(step: &Step) -> bool {
    matches!(step, Step::Copy { .. })
}

fn is_erasure(step: &Step) -> bool {
    matches!(step, Step::Erase { .. })
}

fn overwriting() -> Policy {
    Policy {
        erase: Some(Erasing::Zero),
        ..policy()
    }
}

/// The volumes of that name that clients see.
fn seen(now: &Inventory) -> Vec<(VolumeId, Naa)> {
    let named = now.volumes_named("single");
    let shown = named.filter(|volume| now.is_settled(volume));
    shown.map(|v| (v.id.clone(), v.naa)).collect()
}

fn the_move(now: &Inventory) -> JobId {
    let mut jobs = now.jobs();
    let job = jobs.find(|job| job.title.starts_with("Move volume 'single'"));
    job.expect("it is listed").id
}

fn state(array: &Array, job: &JobId) -> Option<JobState> {
    array.snapshot().job(job).map(|job| job.state)
}

#[test]
fn hosts_know_it_as_before_and_clients_are_told_what_it_is_now() {
    let rig = equipped();
    let [(old, naa)] = &seen(&rig.now())[..] else {
        panic!("there is one");
    };
    let Effect::Volumes(new) = rig.done(away(&rig)) else {
        panic!("volumes are moved");
    };
    assert_eq!(new.len(), 1);
    assert_ne!(new[0], *old);
    let now = rig.now();
    assert_eq!(seen(&now), [(new[0].clone(), *naa)]);
    let moved = now.volume(&new[0]).expect("it is listed");
    assert_eq!(moved.pool, rig.pool_named("empty"));
    let job = the_move(&now);
    let affected = &now.job(&job).expect("it is listed").affected;
    assert_eq!(*affected, [Element::Volume(new[0].clone())]);
    // Whatever becomes of the gateway.
    let rig = rig.restart(true);
    assert_eq!(seen(&rig.now()), [(new[0].clone(), *naa)]);
}

#[test]
fn while_it_is_copied_nobody_changes_it_and_it_is_there_once() {
    let rig = equipped();
    rig.mortal.die();
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), is_copy);
    let before = seen(&array.snapshot());
    let moving = begin(&array, away(&rig));
    gate.reached(1);
    assert_eq!(seen(&array.snapshot()), before);
    let single = volume(&rig, "single");
    for command in [
        Command::DeleteVolumes {
            volumes: vec![single.clone()],
        },
        Command::ResizeVolume {
            volume: single.clone(),
            size: 4 * EXTENT,
            name: None,
        },
        Command::RenameVolume {
            volume: single.clone(),
            name: "other".into(),
        },
    ] {
        refused(&array, command, Kind::InUse);
    }
    done(&array, creation(rig.pool_named("empty"), "beside", 1));
    array.cancel(running(&array)).expect("it may be stopped");
    gate.open();
    assert!(matches!(moving.join(), Waited::Failed(_, Some(_))));
    assert_eq!(seen(&array.snapshot()), before);
    let single = array.snapshot().volume(&single).expect("it stays").job;
    assert_eq!(single, None);
}

#[test]
fn who_stops_it_when_it_is_there_comes_too_late() {
    let rig = erasing();
    rig.mortal.die();
    let (array, gate) = gated_under(overwriting(), &rig.sim, &rig.medium.image(), is_erasure);
    let before = seen(&array.snapshot());
    let moving = begin(&array, away(&rig));
    gate.reached(1);
    let job = running(&array);
    array.cancel(job).expect("it may be tried");
    gate.open();
    assert!(matches!(moving.join(), Waited::Done(..)));
    assert_eq!(state(&array, &job), Some(JobState::Completed));
    let now = array.snapshot();
    let after = seen(&now);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].1, before[0].1);
    assert!(now.volume(&before[0].0).is_none(), "the old one has gone");
}

#[test]
fn a_restart_ends_it_without_keeping_anybody_waiting() {
    let rig = erasing();
    rig.mortal.die();
    let medium = rig.medium.image();
    let (first, before) = gated_under(overwriting(), &rig.sim, &medium, is_erasure);
    let old = seen(&first.snapshot());
    begin(&first, away(&rig));
    before.reached(1);
    // The gateway dies while what it was is erased. The one that it is now is there for everybody.
    let (second, gate, job) = taken_up(overwriting(), &rig.sim, &medium, is_erasure);
    let now = second.snapshot();
    let new = seen(&now);
    assert_eq!(new.len(), 1);
    assert_ne!(new[0].0, old[0].0);
    done(
        &second,
        Command::ResizeVolume {
            volume: new[0].0.clone(),
            size: 4 * EXTENT,
            name: None,
        },
    );
    let now = completed(&second, &gate, job);
    assert!(now.volume(&old[0].0).is_none());
}

#[test]
fn a_restart_in_the_copy_leaves_it_where_it_was() {
    let rig = equipped();
    rig.mortal.die();
    let medium = rig.medium.image();
    let (first, before) = gated(&rig.sim, &medium, is_copy);
    let old = seen(&first.snapshot());
    begin(&first, away(&rig));
    before.reached(1);
    let (second, _gate) = gated(&rig.sim, &medium.image(), is_copy);
    let job = the_move(&second.snapshot());
    wait_for(&second, job);
    let now = second.snapshot();
    let ended = now.job(&job).expect("it is listed");
    let note = ended.note.as_deref().unwrap_or_default();
    assert!(note.contains("rolled back"), "{note}");
    assert_eq!(seen(&now), old);
    assert_eq!(now.volume(&old[0].0).expect("it is listed").job, None);
    assert_eq!(now.volumes_in(&rig.pool_named("empty")).count(), 0);
}

#[test]
fn what_it_is_now_may_be_deleted_while_what_it_was_is_erased() {
    let rig = erasing();
    rig.mortal.die();
    let medium = rig.medium.image();
    let (first, before) = gated_under(overwriting(), &rig.sim, &medium, is_erasure);
    begin(&first, away(&rig));
    before.reached(1);
    let (second, gate, job) = taken_up(overwriting(), &rig.sim, &medium, is_erasure);
    let volumes = seen(&second.snapshot()).into_iter().map(|(id, _)| id);
    let volumes = volumes.collect();
    let deletion = begin(&second, Command::DeleteVolumes { volumes });
    gate.reached(2);
    gate.open();
    assert!(matches!(deletion.join(), Waited::Done(..)));
    let now = completed(&second, &gate, job);
    assert_eq!(now.volumes_named("single").count(), 0);
}
