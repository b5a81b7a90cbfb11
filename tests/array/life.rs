//! Commands and jobs from the client's side: what it reads after an answer, what it sees of work
//! that goes on, and what is left of it.

use std::time::Duration;

use standpipe::array::{
    Abilities, Command, Effect, JobState, Kind, Members, Setting, SettingId, Waited,
};
use standpipe::engine::sim::{Clock, Content, EXTENT, Moment};

use super::rig::{NOTHING, Rig, creation, host, machine, who};

/// A machine that overwrites 64 MiB, one slice, in a second of its own time.
fn slow() -> (Rig, Clock) {
    let clock = Clock::stepped();
    let builder = machine().clock(clock.clone()).zero_rate(64 << 20);
    (Rig::on(builder), clock)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_client_reads_what_it_wrote() {
    let rig = Rig::new();
    let id = rig.create("mine", 3);
    let made = rig.now();
    let volume = made.volume(&id).expect("it is listed at once");
    assert_eq!((volume.size, volume.job), (3 * EXTENT, None));
    rig.done(Command::ResizeVolume {
        volume: id.clone(),
        size: 4 * EXTENT + 1,
        name: Some("grown".into()),
    });
    let grown = rig.now();
    let volume = grown.volume(&id).expect("it is still there");
    assert_eq!((volume.size, &*volume.name), (5 * EXTENT, "grown"));
    assert_eq!(
        made.volume(&id).expect("in the old picture").size,
        3 * EXTENT
    );
    rig.done(Command::RenameVolume {
        volume: id.clone(),
        name: "renamed".into(),
    });
    assert_eq!(rig.named("renamed").as_ref(), Some(&id));
    rig.done(Command::DeleteVolumes {
        volumes: vec![id.clone()],
    });
    assert!(rig.now().volume(&id).is_none());
    rig.assert_whole("at the end");
}

#[test]
fn a_view_shows_and_hides() {
    let rig = Rig::new();
    let (volume, [hosts, _, devices], view) = rig.show_one();
    assert_eq!(rig.luns("a"), [1]);
    let read = rig.sim.read_as(&host("a"), &rig.port(), 1);
    assert_eq!(read, Some(Content::Zeros), "the disks held old data");
    assert_eq!(rig.luns("b"), NOTHING, "nobody else sees it");
    let (error, job) = rig.fails(Command::DeleteVolumes {
        volumes: vec![volume.clone()],
    });
    assert_eq!((error.kind, job), (Kind::InUse, None));
    let second = rig.create("second", 1);
    rig.done(Command::AddMembers {
        group: devices,
        members: Members::Volumes(vec![second]),
        luns: vec![40],
    });
    assert_eq!(rig.luns("a"), [1, 40]);
    rig.done(Command::CreateInitiator { name: host("b") });
    rig.done(Command::AddMembers {
        group: hosts,
        members: Members::Initiators([host("b")].into()),
        luns: Vec::new(),
    });
    assert_eq!(rig.luns("b"), [1, 40]);
    rig.done(Command::RemoveMembers {
        group: hosts,
        members: Members::Initiators([host("a")].into()),
        delete_on_empty: None,
    });
    assert_eq!((rig.luns("a"), rig.luns("b")), (vec![], vec![1, 40]));
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: true,
    });
    assert_eq!(rig.luns("b"), NOTHING);
    assert_eq!(rig.now().groups().count(), 0);
    rig.done(Command::DeleteVolumes {
        volumes: vec![volume],
    });
    rig.assert_whole("at the end");
}

#[test]
fn a_job_tells_how_far_it_is() {
    let (rig, clock) = slow();
    let ticket = rig.array.submit(&who(), creation(rig.pool(), "slow", 64));
    let ticket = ticket.expect("there is a slot");
    assert!(clock.advance(Duration::ZERO), "it zeroes");
    let running = rig.now();
    let job = running
        .jobs()
        .next()
        .expect("it is listed while it runs")
        .id;
    let percent = || running.job(&job).expect("it is listed").percent();
    assert_eq!(percent(), 0);
    assert!(clock.advance(SECOND));
    assert!(clock.advance(Duration::ZERO), "the second slice has begun");
    assert_eq!(percent(), 25, "a picture taken before tells it live");
    let unfinished = rig.array.forget(job).expect_err("it runs");
    assert_eq!(unfinished.kind, Kind::InUse);
    for _ in 0..3 {
        assert!(clock.advance(SECOND));
    }
    assert!(matches!(ticket.join(), Waited::Done(Effect::Volumes(_), done) if done == job));
    let now = rig.now();
    let ended = now.job(&job).expect("it is listed");
    assert_eq!((ended.state, ended.percent()), (JobState::Completed, 100));
    assert_eq!((&*ended.owner, ended.affected.len()), ("admin", 1));
    // It is visible after a restart, until somebody forgets it.
    let rig = rig.restart(false);
    assert_eq!(
        rig.now().job(&job).expect("it is kept").state,
        JobState::Completed
    );
    assert_eq!(
        rig.array.cancel(job).expect_err("it has ended").kind,
        Kind::NotSupported
    );
    rig.array.forget(job).expect("it has ended");
    let rig = rig.restart(false);
    assert!(rig.now().job(&job).is_none());
    assert_eq!(
        rig.array.cancel(job).expect_err("it is gone").kind,
        Kind::NotFound
    );
}

#[test]
fn a_cancelled_job_leaves_nothing() {
    let (rig, clock) = slow();
    let before = rig.picture();
    let ticket = rig.array.submit(&who(), creation(rig.pool(), "slow", 64));
    let ticket = ticket.expect("there is a slot");
    assert!(clock.advance(SECOND));
    assert!(clock.advance(Duration::ZERO), "it is in the middle");
    let job = rig.now().jobs().next().expect("it runs").id;
    rig.array.cancel(job).expect("it can stop");
    assert!(clock.advance(SECOND));
    assert!(matches!(ticket.join(), Waited::Failed(_, Some(failed)) if failed == job));
    assert_eq!(
        rig.now().job(&job).expect("it is listed").state,
        JobState::Cancelled
    );
    assert_eq!(rig.picture(), before);
    rig.assert_whole("cancelled");
}

#[test]
fn two_commands_on_one_name_make_one_volume() {
    let rig = Rig::new();
    let submit = || rig.array.submit(&who(), creation(rig.pool(), "same", 2));
    let tickets: Vec<_> = (0..8).map(|_| submit().expect("there is a slot")).collect();
    let mut done = 0;
    for ticket in tickets {
        match ticket.join() {
            Waited::Done(..) => done += 1,
            Waited::Failed(error, None) => assert_eq!(error.kind, Kind::AlreadyExists),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((done, rig.now().volumes().count()), (1, 1));
    rig.assert_whole("at the end");
}

#[test]
fn a_failed_step_leaves_nothing_and_says_why() {
    for (step, moment) in [(1, Moment::Before), (1, Moment::After), (2, Moment::Midway)] {
        let rig = Rig::new();
        rig.sim.fail_step(step, Kind::InUse, moment);
        let (error, job) = rig.fails(creation(rig.pool(), "new", 4));
        assert_eq!(error.kind, Kind::InUse);
        let now = rig.now();
        let job = now.job(&job.expect("it began")).expect("it is listed");
        assert_eq!((job.state, &job.note), (JobState::Failed, &None));
        assert_eq!(job.error, Some((Kind::InUse, error.message)));
        assert_eq!(now.volumes().count(), 0);
        rig.assert_whole("failed");
    }
}

#[test]
fn what_is_done_is_done_even_if_its_last_step_says_otherwise() {
    let rig = Rig::new();
    rig.sim.fail_step(3, Kind::Unavailable, Moment::After);
    let id = rig.create("made", 2);
    rig.sim.fail_step(3, Kind::Unavailable, Moment::After);
    rig.done(Command::ResizeVolume {
        volume: id.clone(),
        size: 3 * EXTENT,
        name: None,
    });
    rig.sim.fail_step(2, Kind::Unavailable, Moment::After);
    rig.done(Command::DeleteVolumes { volumes: vec![id] });
    rig.assert_whole("at the end");
}

#[test]
fn a_setting_outlives_a_restart_only_where_that_was_asked_for() {
    let rig = Rig::new();
    let able = Abilities::of_disks(4);
    let put = |lasting| {
        let setting = Setting {
            id: SettingId::new(),
            name: format!("lasting: {lasting}"),
            pool: None,
            lasting,
            survives: able.survives,
            copies: able.copies,
            stripe_length: able.stripe_length,
            no_single_point_of_failure: false,
            thin: false,
            room: None,
        };
        let id = setting.id;
        assert_eq!(
            rig.done(Command::PutSetting { setting }),
            Effect::Setting(id)
        );
        id
    };
    let (passing, lasting) = (put(false), put(true));
    assert_eq!(rig.now().settings().count(), 2);
    let rig = rig.restart(false);
    assert!(rig.now().setting(&lasting).is_some());
    assert!(rig.now().setting(&passing).is_none());
    let rig = rig.restart(true);
    assert_eq!(rig.now().settings().count(), 1, "and it stays so");
}
