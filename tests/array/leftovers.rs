//! What a failure leaves behind is taken back while the array runs.

use std::time::{Duration, Instant};

use standpipe::array::{
    Command, Effect, Engine, Error, Growth, JobId, JobState, Kind, Layout, Policy, Quality, Waited,
};
use standpipe::engine::sim::{Clock, EXTENT, Moment, SimEngine};

use super::rig::{Medium, Rig, creation, machine, policy};

/// Such an administrator as most have: what is left is tried again, here soon.
fn eager() -> Policy {
    Policy {
        retry_after: Duration::from_millis(20),
        ..policy()
    }
}

fn rig() -> Rig {
    let sim = machine().build().expect("a machine");
    Rig::start_with(sim, Medium::default(), eager()).expect("it starts")
}

/// Waits until something has come to be.
fn comes(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn note(rig: &Rig, job: &JobId) -> String {
    let now = rig.now();
    let job = now.job(job).expect("it is listed");
    job.note.clone().unwrap_or_default()
}

#[test]
fn what_could_not_be_taken_back_is_taken_back_later() {
    let rig = rig();
    rig.sim.fail_step(2, Kind::Unavailable, Moment::Before);
    rig.sim.fail_step(3, Kind::Unavailable, Moment::Before);
    let (_, job) = rig.fails(creation(rig.pool(), "new", 4));
    let job = job.expect("it began");
    comes("the journal ends", || rig.journal() == 0);
    comes("it is told", || {
        note(&rig, &job).contains("was taken back afterwards")
    });
    comes("it is gone", || rig.now().volumes().count() == 0);
    let now = rig.now();
    assert_eq!(
        now.job(&job).map(|j| j.state),
        Some(JobState::Failed),
        "who was told stays told"
    );
    rig.done(creation(rig.pool(), "new", 4));
    rig.restart(false).assert_whole("after a start");
}

#[test]
fn it_is_tried_as_often_as_it_takes() {
    let rig = rig();
    // The step, its undo, and the next two attempts at that.
    for step in 2..6 {
        rig.sim.fail_step(step, Kind::Unavailable, Moment::Before);
    }
    rig.fails(creation(rig.pool(), "new", 4));
    comes("the journal ends", || rig.journal() == 0);
    comes("it is gone", || rig.now().volumes().count() == 0);
    rig.assert_whole("at last");
}

#[test]
fn a_volume_whose_removal_was_refused_is_free_again() {
    let rig = rig();
    let id = rig.create("kept", 2);
    // The removal is refused, and so is taking the mark off.
    rig.sim.fail_step(2, Kind::InUse, Moment::Before);
    rig.sim.fail_step(3, Kind::Unavailable, Moment::Before);
    rig.fails(Command::DeleteVolumes {
        volumes: vec![id.clone()],
    });
    comes("the journal ends", || rig.journal() == 0);
    comes("nothing marks it", || {
        rig.now().volume(&id).is_some_and(|v| v.job.is_none())
    });
    rig.done(Command::DeleteVolumes { volumes: vec![id] });
}

#[test]
fn a_name_that_could_not_be_taken_back_comes_back() {
    let rig = rig();
    let id = rig.create("first", 2);
    // Growing and renaming fails, and so does renaming back, again and again.
    rig.sim.fail_step(2, Kind::Unavailable, Moment::Before);
    (4..8).for_each(|step| rig.sim.fail_step(step, Kind::Unavailable, Moment::Before));
    rig.fails(Command::ResizeVolume {
        volume: id.clone(),
        size: 3 * EXTENT,
        name: Some("second".into()),
    });
    comes("the journal ends", || rig.journal() == 0);
    let name = rig.now().volume(&id).map(|volume| volume.name.clone());
    assert_eq!(name.as_deref(), Some("first"));
}

#[test]
fn a_step_that_happens_after_its_time_is_found() {
    let rig = rig();
    let hang = rig.sim.hang_step(1);
    let (error, job) = rig.fails(creation(rig.pool(), "late", 4));
    assert_eq!(error.kind, Kind::Timeout);
    let job = job.expect("it began");
    // Nothing is there yet; that says little.
    comes("it was looked at", || {
        note(&rig, &job).contains("taken back afterwards")
    });
    hang.release();
    let is_gone = || rig.sim.scan().expect("a scan").volumes.is_empty();
    comes("what happened late is taken back", is_gone);
    assert_eq!(rig.journal(), 1, "the next start looks, too");
    let rig = rig.restart(false);
    rig.assert_whole("after the start");
}

#[test]
fn what_a_start_could_not_end_is_ended_when_its_pool_is_back() {
    let rig = Rig::new();
    let pool = rig.pool();
    // A creation is cut off with its volume made.
    rig.mortal.die_at(1);
    rig.ask(creation(pool.clone(), "new", 4));
    rig.sim.hide_pool(&pool, true);
    let rig = Rig::start_with(rig.sim.clone(), rig.medium.image(), eager()).expect("it starts");
    assert_eq!(rig.now().warnings.len(), 1, "{:?}", rig.now().warnings);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(
        rig.journal(),
        1,
        "nothing can be said while the pool is away"
    );
    rig.sim.hide_pool(&pool, false);
    comes("nobody is warned any more", || {
        rig.now().warnings.is_empty()
    });
    comes("it is gone", || rig.now().volumes().count() == 0);
    let rig = rig.restart(false);
    rig.assert_whole("the pool is back");
}

/// Waits until what did not end in time was taken back, which is done again for a while.
fn is_back(rig: &Rig, failed: &(Error, Option<JobId>)) {
    assert_eq!(failed.0.kind, Kind::Timeout);
    let job = failed.1.expect("it began");
    comes("it is taken back", || {
        note(rig, &job).contains("taken back afterwards")
    });
    assert_eq!(rig.journal(), 1);
}

/// Time for some more rounds, and a start.
fn later(rig: Rig) -> Rig {
    std::thread::sleep(Duration::from_millis(300));
    let rig = rig.restart(false);
    rig.assert_whole("after the start");
    rig
}

#[test]
fn copies_made_since_stay() {
    let sim = SimEngine::builder().pool("vg0", 4, 65 * EXTENT);
    let sim = sim.clock(Clock::instant()).build().expect("a machine");
    let rig = Rig::start_with(sim, Medium::default(), eager()).expect("it starts");
    let id = rig.create("volume", 2);
    let copies = |copies: u16| Command::ChangeQuality {
        volume: id.clone(),
        quality: Quality {
            survives: Some(copies - 1),
            copies: Some(copies),
            ..Quality::default()
        },
    };
    rig.sim.fail_step(1, Kind::Timeout, Moment::Before);
    is_back(&rig, &rig.fails(copies(2)));
    rig.done(copies(3));
    let rig = later(rig);
    let now = rig.now();
    let layout = now.volume(&id).map(|volume| volume.layout);
    assert_eq!(layout, Some(Layout::Mirrored { copies: 3 }));
}

#[test]
fn a_name_given_since_stays() {
    let rig = rig();
    let id = rig.create("first", 2);
    rig.sim.fail_step(2, Kind::Timeout, Moment::Before);
    let grown = Command::ResizeVolume {
        volume: id.clone(),
        size: 3 * EXTENT,
        name: Some("second".into()),
    };
    is_back(&rig, &rig.fails(grown));
    assert_eq!(rig.named("first"), Some(id.clone()));
    rig.done(Command::RenameVolume {
        volume: id.clone(),
        name: "second".into(),
    });
    let rig = later(rig);
    assert_eq!(rig.named("second"), Some(id));
}

#[test]
fn a_target_deleted_since_does_not_come_back() {
    let rig = rig();
    let portal = "192.0.2.10:3260".parse().expect("an address");
    let target = rig.target("alias", &[portal]);
    let of_it = |rig: &Rig| {
        let now = rig.now();
        let ports = now
            .ports()
            .filter(|port| *port.id.iqn().expect("iSCSI") == target);
        ports.map(|port| port.id.clone()).next()
    };
    let close = Command::ClosePort {
        port: of_it(&rig).expect("it has a port"),
    };
    rig.sim.fail_step(1, Kind::Timeout, Moment::Before);
    is_back(&rig, &rig.fails(close.clone()));
    rig.done(close);
    rig.done(Command::DeleteTarget {
        target: target.clone(),
    });
    let rig = later(rig);
    assert_eq!(of_it(&rig), None);
    assert!(rig.now().made_targets().all(|made| made.iqn != target));
}

#[test]
fn killed_while_it_is_taken_back_nothing_stays_half_made() {
    let soon = Policy {
        retry_after: Duration::from_millis(60),
        ..policy()
    };
    let killed = |moment: usize, when_written: bool| {
        let sim = machine().build().expect("a machine");
        let rig = Rig::start_with(sim, Medium::default(), soon.clone()).expect("it starts");
        let id = rig.create("kept", 2);
        rig.sim.fail_step(2, Kind::InUse, Moment::Before);
        rig.sim.fail_step(3, Kind::Unavailable, Moment::Before);
        rig.fails(Command::DeleteVolumes {
            volumes: vec![id.clone()],
        });
        match when_written {
            true => rig.mortal.die_with(&rig.medium, moment),
            false => rig.mortal.die_at(moment),
        }
        std::thread::sleep(Duration::from_millis(250));
        let rig = rig.restart(moment % 2 == 1);
        rig.assert_whole(&format!("killed at {moment}, {when_written}"));
        assert_eq!(rig.journal(), 0);
        assert_eq!(rig.named("kept"), Some(id), "who was told that it stays");
    };
    std::thread::scope(|scope| {
        for when_written in [false, true] {
            scope.spawn(move || (0..10).for_each(|moment| killed(moment, when_written)));
        }
    });
}

#[test]
fn a_disk_that_failed_work_closed_is_opened_whatever_began_since() {
    let sim = machine().spare_disks(3, 65 * EXTENT).build();
    let soon = Policy {
        retry_after: Duration::from_millis(500),
        ..policy()
    };
    let rig = Rig::start_with(sim.expect("a machine"), Medium::default(), soon);
    let rig = rig.expect("it starts");
    let disks = rig.free_disks();
    let [first, second, spare] = [0, 1, 2].map(|place| disks[place].clone());
    let pool = rig.done(Command::CreatePool {
        name: Some("own".into()),
        disks: vec![first.clone(), second.clone()],
    });
    let Effect::Pool(pool) = pool else {
        panic!("{pool:?}");
    };
    rig.done(creation(pool.clone(), "volume", 2));
    let now = rig.now();
    let volume = now.volumes().find(|volume| volume.name == "volume");
    let leaves = &volume.expect("it is listed").pieces[0].disk;
    let stays = if *leaves == first { second } else { first };
    // The spare disk joins, the other one is closed, and its move fails; it is not opened again.
    rig.sim.fail_step(3, Kind::Unavailable, Moment::Before);
    rig.sim.fail_step(5, Kind::Unavailable, Moment::Before);
    rig.fails(Command::MovePool {
        pool: pool.clone(),
        onto: vec![stays, spare.clone()],
    });
    rig.done(Command::GrowPool {
        pool: pool.clone(),
        by: Growth::Disks(vec![spare]),
        name: None,
    });
    comes("all three disks take volumes", || {
        let large = creation(pool.clone(), "large", 180);
        matches!(rig.ask(large), Waited::Done(..))
    });
    rig.restart(false).assert_whole("after a start");
}
