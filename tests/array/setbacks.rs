//! What could not be taken back, machines that do not answer, and stores that fail, are lost or
//! damaged.

use std::sync::Arc;

use standpipe::array::{Array, Command, Engine, Facts, Growth, Health, JobState, Kind, Members};
use standpipe::engine::sim::{EXTENT, Moment, SimEngine};

use super::equipped::{equipped, exchange};
use super::mortal::Mortal;
use super::rig::{Medium, NOTHING, Rig, creation, host, open, policy};

/// What the machine says, past the array.
fn facts(rig: &Rig) -> Facts {
    rig.sim.scan().expect("a scan")
}

#[test]
fn what_could_not_be_taken_back_is_at_the_next_start() {
    let rig = Rig::new();
    rig.sim.fail_step(2, Kind::Unavailable, Moment::Before);
    rig.sim.fail_step(3, Kind::Unavailable, Moment::Before);
    let (_, job) = rig.fails(creation(rig.pool(), "new", 4));
    let job = job.expect("it began");
    let now = rig.now();
    let note = now.job(&job).expect("it is listed").note.clone();
    assert!(note.expect("a note").contains("it is tried again"));
    assert_eq!(now.volumes().count(), 1, "it is still there, unfinished");
    assert_eq!(rig.journal(), 1);
    let rig = rig.restart(false);
    rig.assert_whole("after the start");
    assert_eq!(rig.now().volumes().count(), 0);
    let now = rig.now();
    let job = now.job(&job).expect("it is listed");
    assert_eq!(job.state, JobState::Failed);
    let told = job.error.as_ref().expect("why it failed");
    assert!(told.1.contains("as its script says"), "{told:?}");
}

#[test]
fn a_delete_that_was_refused_does_not_happen_later() {
    let rig = Rig::new();
    let id = rig.create("kept", 2);
    // The removal is refused, and so is taking the mark off.
    rig.sim.fail_step(2, Kind::InUse, Moment::Before);
    rig.sim.fail_step(3, Kind::Unavailable, Moment::Before);
    let (error, _) = rig.fails(Command::DeleteVolumes {
        volumes: vec![id.clone()],
    });
    assert_eq!(error.kind, Kind::InUse);
    let rig = rig.restart(false);
    rig.assert_whole("after the start");
    assert_eq!(
        rig.named("kept"),
        Some(id),
        "the client was told that it stays"
    );
}

#[test]
fn a_removal_refused_after_the_mark_unmarks() {
    let rig = Rig::new();
    let id = rig.create("kept", 2);
    rig.sim.fail_step(2, Kind::InUse, Moment::Before);
    rig.fails(Command::DeleteVolumes {
        volumes: vec![id.clone()],
    });
    rig.assert_whole("refused");
    rig.done(Command::DeleteVolumes { volumes: vec![id] });
}

#[test]
fn a_step_that_cannot_answer_for_its_work_is_no_success() {
    let rig = Rig::new();
    let id = rig.create("grows", 1);
    let grow = Command::ResizeVolume {
        volume: id.clone(),
        size: 2 * EXTENT,
        name: None,
    };
    // It has grown, and somebody else may have used the extents in between.
    rig.sim.fail_step(3, Kind::Bug, Moment::After);
    let (error, job) = rig.fails(grow);
    assert_eq!(error.kind, Kind::Bug);
    let job = job.expect("it had begun");
    assert_eq!(
        rig.now().job(&job).map(|job| job.state),
        Some(JobState::Failed)
    );
}

#[test]
fn a_name_given_since_is_not_taken_back() {
    let rig = Rig::new();
    let id = rig.create("first", 2);
    // Growing and renaming fails, and so does renaming back.
    rig.sim.fail_step(2, Kind::Unavailable, Moment::Before);
    rig.sim.fail_step(4, Kind::Unavailable, Moment::Before);
    rig.fails(Command::ResizeVolume {
        volume: id.clone(),
        size: 3 * EXTENT,
        name: Some("second".into()),
    });
    assert_eq!(rig.journal(), 1);
    rig.done(Command::RenameVolume {
        volume: id.clone(),
        name: "third".into(),
    });
    let rig = rig.restart(false);
    rig.assert_whole("after the start");
    assert_eq!(rig.named("third"), Some(id));
}

#[test]
fn a_step_that_happens_after_its_time_is_found_at_the_next_start() {
    let rig = Rig::new();
    let hang = rig.sim.hang_step(1);
    let (error, _) = rig.fails(creation(rig.pool(), "late", 4));
    assert_eq!(error.kind, Kind::Timeout);
    hang.release();
    assert_eq!(facts(&rig).volumes.len(), 1, "the machine did it after all");
    let rig = rig.restart(false);
    rig.assert_whole("after the start");
    assert_eq!(rig.now().volumes().count(), 0);
}

#[test]
fn a_disk_that_was_added_since_a_failure_stays() {
    let rig = equipped();
    let command = exchange(&rig);
    let Command::MovePool { pool, onto } = command.clone() else {
        panic!("{command:?}");
    };
    // It joins the pool, the other one is closed, and the first move is too late.
    rig.sim.fail_step(3, Kind::Timeout, Moment::Before);
    rig.fails(command);
    assert_eq!(rig.journal(), 1, "it may still happen");
    assert!(rig.free_disks().contains(&onto[0]), "the disk left again");
    rig.done(Command::GrowPool {
        pool: pool.clone(),
        by: Growth::Disks(onto.clone()),
        name: None,
    });
    let rig = rig.restart(false);
    rig.assert_whole("after the start");
    let now = rig.now();
    let members = &now.pool(&pool).expect("it is there").disks;
    assert!(members.contains(&onto[0]), "{members:?}");
}

#[test]
fn a_map_that_is_made_after_its_time_is_hidden_again() {
    let rig = Rig::new();
    let (_, [_, _, devices], _) = rig.show_one();
    let second = rig.create("second", 1);
    let hang = rig.sim.hang_step(1);
    let (error, _) = rig.fails(Command::AddMembers {
        group: devices,
        members: Members::Volumes(vec![second]),
        luns: Vec::new(),
    });
    assert_eq!(error.kind, Kind::Timeout);
    hang.release();
    assert_eq!(rig.luns("a"), [1, 2], "the machine did it after all");
    let rig = rig.restart(false);
    assert_eq!(rig.luns("a"), [1]);
    rig.assert_whole("after the start");
}

#[test]
fn a_masking_failure_that_is_over_brings_nothing_back() {
    let rig = Rig::new();
    let (_, groups, view) = rig.show_one();
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: false,
    });
    // The view cannot be shown, and the half that was done cannot be hidden.
    rig.sim.fail_step(1, Kind::Unavailable, Moment::Midway);
    rig.sim.fail_step(2, Kind::Unavailable, Moment::Before);
    rig.fails(Command::CreateView {
        name: Some("first".into()),
        groups: groups.to_vec(),
        luns: vec![7],
    });
    rig.view("second", &groups);
    let before = rig.picture();
    let rig = rig.restart(true);
    assert_eq!(rig.picture(), before);
    rig.assert_whole("after the start");
}

#[test]
fn nothing_begins_when_the_store_cannot_be_written() {
    let rig = Rig::new();
    rig.show_one();
    let before = rig.picture();
    rig.medium.fail();
    let (error, job) = rig.fails(creation(rig.pool(), "new", 4));
    assert_eq!((error.kind, job), (Kind::Unavailable, None));
    assert_eq!(rig.picture(), before);
    let rig = rig.restart(false);
    assert_eq!(rig.picture(), before);
    rig.assert_whole("after the start");
}

#[test]
fn an_end_that_cannot_be_written_is_the_one_that_was_told() {
    // What is done to volumes stands.
    let rig = Rig::new();
    rig.mortal.fail_store_at_look(&rig.medium);
    let id = rig.create("made", 2);
    let rig = rig.restart(false);
    assert_eq!(rig.named("made"), Some(id));
    rig.assert_whole("created");

    // What is shown without a record is hidden again.
    let (_, groups, view) = rig.show_one();
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: false,
    });
    let before = rig.picture();
    rig.mortal.fail_store_at_look(&rig.medium);
    let (error, job) = rig.fails(Command::CreateView {
        name: None,
        groups: groups.to_vec(),
        luns: Vec::new(),
    });
    assert_eq!(error.kind, Kind::Unavailable);
    let state = rig.now().job(&job.expect("it began")).map(|job| job.state);
    assert_eq!(state, Some(JobState::Failed));
    assert_eq!(rig.luns("a"), NOTHING);
    let rig = rig.restart(false);
    assert_eq!(rig.picture(), before);
    rig.assert_whole("not shown");

    // What is hidden stays hidden.
    let view = rig.view("view", &groups);
    rig.mortal.fail_store_at_look(&rig.medium);
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: false,
    });
    assert_eq!(rig.luns("a"), NOTHING);
    let rig = rig.restart(false);
    assert_eq!((rig.luns("a"), rig.now().views().count()), (vec![], 0));
    rig.assert_whole("hidden");
}

#[test]
fn a_lost_store_hides_nothing() {
    let rig = Rig::new();
    let (shown, [hosts, _, devices], _) = rig.show_one();
    let second = rig.create("second", 1);
    rig.done(Command::AddMembers {
        group: devices,
        members: Members::Volumes(vec![second]),
        luns: vec![77],
    });
    rig.done(Command::CreateInitiator { name: host("b") });
    rig.done(Command::AddMembers {
        group: hosts,
        members: Members::Initiators([host("b")].into()),
        luns: Vec::new(),
    });
    rig.mortal.die();
    let lost = Medium::default();
    let rig = Rig::start(rig.sim.clone(), lost).expect("it starts without a store");
    assert_eq!((rig.luns("a"), rig.luns("b")), (vec![1, 77], vec![1, 77]));
    rig.assert_whole("adopted");
    assert_eq!(rig.now().views().count(), 2);
    assert!(rig.now().warnings.iter().any(|w| w.contains("adopted")));
    // What was adopted is managed as any other, now and after a start.
    let rig = rig.restart(true);
    assert_eq!(rig.luns("b"), [1, 77]);
    let adopted: Vec<_> = rig.now().views().map(|view| view.id).collect();
    for view in adopted {
        rig.done(Command::DeleteView {
            view,
            delete_unassociated: false,
        });
    }
    assert_eq!(rig.now().groups().count(), 0, "its groups go with it");
    rig.done(Command::DeleteVolumes {
        volumes: vec![shown],
    });
    rig.assert_whole("at the end");
}

#[test]
fn a_first_start_that_fails_hides_nothing_at_the_second() {
    let rig = Rig::new();
    rig.show_one();
    rig.mortal.die();
    let lost = Medium::default();
    let blind = Arc::new(Mortal::new(rig.sim.clone()).blind());
    assert!(open(blind, &lost).is_err());
    let rig = Rig::start(rig.sim.clone(), lost.image()).expect("it starts");
    assert_eq!(rig.luns("a"), [1]);
    rig.assert_whole("adopted");
}

#[test]
fn a_damaged_store_refuses_and_changes_nothing() {
    let rig = Rig::new();
    rig.show_one();
    rig.mortal.die();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("store");
    std::fs::write(&file, vec![0x5a; 64 << 10]).expect("it can be written");
    assert!(standpipe::store::Store::open(&file).is_err());
    // One record that is not what it should be.
    let store = rig.medium.image().store();
    let mut batch = standpipe::store::Batch::new();
    batch.put(standpipe::store::Table::Views, "x", &"not a view");
    store.write(&batch).expect("it can be written");
    let system = (*rig.now().system).clone();
    let before = facts(&rig);
    let refused = Array::open(Arc::new(rig.sim.clone()), store, system, policy());
    assert_eq!(refused.err().map(|e| e.kind), Some(Kind::Unavailable));
    assert_eq!(facts(&rig), before);
    assert_eq!(rig.luns("a"), [1]);
}

#[test]
fn a_pool_that_is_away_at_a_start_loses_nothing() {
    let rig = Rig::new();
    rig.show_one();
    let before = rig.picture();
    let pool = rig.pool();
    // A creation is cut off with its volume made.
    rig.mortal.die_at(1);
    rig.ask(creation(pool.clone(), "new", 4));
    rig.sim.hide_pool(&pool, true);
    let rig = rig.restart(false);
    assert_eq!(rig.journal(), 1, "it is not forgotten");
    assert_eq!(rig.now().volumes().count(), 0);
    assert_eq!(facts(&rig).maps.len(), 1, "who is served goes on");
    assert_eq!(rig.now().views().count(), 1);
    rig.sim.hide_pool(&pool, false);
    let rig = rig.restart(false);
    rig.assert_whole("the pool is back");
    assert_eq!(rig.picture(), before);
    assert_eq!(rig.luns("a"), [1]);
}

#[test]
fn a_delete_cut_off_before_its_pool_went_away_ends_when_it_is_back() {
    let rig = Rig::new();
    let id = rig.create("kept", 2);
    let pool = rig.pool();
    rig.mortal.die_at(2);
    rig.ask(Command::DeleteVolumes {
        volumes: vec![id.clone()],
    });
    rig.sim.hide_pool(&pool, true);
    let rig = rig.restart(true);
    let failed = rig.now().jobs().any(|job| job.state == JobState::Failed);
    assert!(failed, "nobody is told that the volume is gone");
    rig.sim.hide_pool(&pool, false);
    let rig = rig.restart(false);
    rig.assert_whole("the pool is back");
    assert_eq!(rig.named("kept"), Some(id), "as the job says");
}

#[test]
fn a_mark_that_no_job_knows_is_left_and_told() {
    let rig = Rig::new();
    rig.mortal.die_at(1);
    rig.ask(creation(rig.pool(), "new", 4));
    let rig = Rig::start(rig.sim.clone(), Medium::default()).expect("it starts");
    assert_eq!(rig.now().volumes().count(), 1, "nothing is removed");
    assert!(rig.now().warnings.iter().any(|w| w.contains("'new'")));
}

#[test]
fn a_view_of_a_volume_that_is_gone_can_be_cleaned() {
    let rig = Rig::new();
    let (volume, [_, _, devices], view) = rig.show_one();
    assert!(rig.sim.lose_map(&host("a"), &rig.port(), 1));
    let rig = rig.restart(true);
    rig.mortal.die();
    rig.sim.reboot();
    rig.sim.lvremove(&volume).expect("nobody holds it");
    let rig = Rig::start(rig.sim.clone(), rig.medium.image()).expect("it starts");
    assert!(
        rig.now()
            .warnings
            .iter()
            .any(|w| w.contains(volume.as_str()))
    );
    assert_eq!(rig.luns("a"), NOTHING);
    rig.done(Command::RemoveMembers {
        group: devices,
        members: Members::Volumes(vec![volume]),
        delete_on_empty: None,
    });
    assert_eq!(rig.now().all_maps(), []);
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: true,
    });
    rig.assert_whole("cleaned");
}

#[test]
fn a_disk_that_failed_does_not_keep_the_rest_from_starting() {
    let rig = Rig::new();
    rig.show_one();
    let fail = |sim: &SimEngine, failed| {
        let disks = sim.scan().expect("a scan").disks;
        assert!(disks.iter().all(|disk| sim.fail_disk(&disk.id, failed)));
    };
    fail(&rig.sim, true);
    let rig = rig.restart(true);
    assert!(!rig.now().warnings.is_empty());
    let volume = rig.named("shown").expect("it is listed");
    let health = rig.now().volume(&volume).map(|v| v.health.clone());
    assert!(matches!(health, Some(Health::Failed(_))));
    assert_eq!(rig.now().views().count(), 1, "nothing is forgotten");
    fail(&rig.sim, false);
    let rig = rig.restart(false);
    assert_eq!(rig.luns("a"), [1]);
}
