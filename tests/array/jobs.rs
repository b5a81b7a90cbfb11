//! Jobs that rest, go on and end as clients wish, and how long they are remembered.

use std::time::Duration;

use standpipe::array::{
    Call, Command, Erasing, Job, JobId, JobState, Kind, MAX_CALL, MAX_FINISHED, MAX_RETENTION,
    Policy, Quality, Retention, Step, Ticket, Waited,
};
use standpipe::engine::sim::{Clock, Content, EXTENT};
use standpipe::store::{Batch, Table};

use super::gate::{self, done, gated};
use super::rig::{Medium, Rig, creation, host, machine, policy, who};

const SECOND: Duration = Duration::from_secs(1);
/// A volume that takes four slices, and four seconds of the machine's time.
const SLOW: u64 = 64;

fn slow() -> (Rig, Clock) {
    let clock = Clock::stepped();
    let builder = machine().clock(clock.clone()).zero_rate(64 << 20);
    (Rig::on(builder), clock)
}

/// Hands in a slow volume; it has begun to be overwritten when this returns.
fn begin(rig: &Rig, clock: &Clock) -> (Ticket, JobId) {
    let ticket = rig.array.submit(&who(), creation(rig.pool(), "slow", SLOW));
    let ticket = ticket.expect("there is a slot");
    assert!(clock.advance(Duration::ZERO), "it zeroes");
    let job = ticket.job();
    (ticket, job)
}

/// Waits until a picture is published of which that is true.
fn until(rig: &Rig, what: &str, is_true: impl Fn(&Rig) -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut versions = rig.array.versions();
    let reached = runtime.block_on(async {
        let wait = async {
            loop {
                versions.borrow_and_update();
                if is_true(rig) {
                    return;
                }
                versions.changed().await.expect("the array is there");
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await
    });
    assert!(reached.is_ok(), "{what}");
}

fn until_state(rig: &Rig, job: JobId, state: JobState) {
    until(rig, &format!("it becomes {state:?}"), |rig| {
        rig.now().job(&job).is_some_and(|job| job.state == state)
    });
}

fn read<T>(rig: &Rig, job: JobId, what: impl Fn(&Job) -> T) -> T {
    what(rig.now().job(&job).expect("it is listed"))
}

/// A suspended job, a quarter of which is done.
fn suspended(rig: &Rig, clock: &Clock) -> (Ticket, JobId) {
    let (ticket, job) = begin(rig, clock);
    let rests = rig.array.suspend(job).expect("it can rest");
    assert!(!rests, "it is in the middle of a slice");
    assert!(clock.advance(SECOND));
    until_state(rig, job, JobState::Suspended);
    (ticket, job)
}

#[test]
fn a_suspended_job_rests_lets_others_work_and_goes_on_where_it_was() {
    let (rig, clock) = slow();
    let (ticket, job) = suspended(&rig, &clock);
    assert_eq!(read(&rig, job, Job::percent), 25);
    assert!(!read(&rig, job, Job::is_finished));
    let worked = read(&rig, job, Job::elapsed);
    assert_eq!(read(&rig, job, Job::remaining), None);
    assert!(rig.array.suspend(job).expect("it rests"));
    assert_eq!(
        rig.array.forget(job).map_err(|e| e.kind),
        Err(Kind::InUse),
        "it has not ended"
    );
    // Nobody waits for it: neither masking, nor another volume of the pool.
    rig.done(Command::CreateInitiator { name: host("a") });
    let other = rig.array.submit(&who(), creation(rig.pool(), "other", 16));
    let other = other.expect("there is a slot");
    assert!(clock.advance(SECOND));
    assert!(matches!(other.join(), Waited::Done(..)));
    // But nobody takes its name.
    let (taken, _) = rig.fails(creation(rig.pool(), "slow", 1));
    assert_eq!(taken.kind, Kind::InUse);
    assert_eq!(read(&rig, job, Job::percent), 25);
    assert_eq!(
        read(&rig, job, Job::elapsed),
        worked,
        "a rest is no working time"
    );

    rig.array.resume(job).expect("it goes on");
    assert_eq!(read(&rig, job, |job| job.state), JobState::Running);
    assert!(clock.advance(SECOND));
    assert!(clock.advance(Duration::ZERO), "the third slice has begun");
    assert_eq!(read(&rig, job, Job::percent), 50);
    assert!(clock.advance(SECOND));
    assert!(clock.advance(SECOND));
    assert!(matches!(ticket.join(), Waited::Done(_, done) if done == job));
    assert_eq!(read(&rig, job, |job| job.state), JobState::Completed);
    for wish in [
        rig.array.suspend(job).map(drop),
        rig.array.resume(job),
        rig.array.kill(job),
    ] {
        assert_eq!(wish.map_err(|e| e.kind), Err(Kind::NotSupported));
    }
    let unknown = rig.array.suspend(JobId::new());
    assert_eq!(unknown.map_err(|e| e.kind), Err(Kind::NotFound));
    rig.assert_whole("at the end");
}

#[test]
fn a_job_that_erases_rests_but_is_not_stopped() {
    let clock = Clock::stepped();
    let sim = machine().clock(clock.clone()).zero_rate(64 << 20).build();
    let policy = Policy {
        erase: Some(Erasing::Zero),
        ..policy()
    };
    let rig = Rig::start_with(sim.expect("a machine"), Medium::default(), policy);
    let rig = rig.expect("it starts");
    let (made, _) = begin(&rig, &clock);
    for _ in 0..4 {
        assert!(clock.advance(SECOND));
    }
    assert!(matches!(made.join(), Waited::Done(..)));
    let id = rig.named("slow").expect("it was made");
    let written = rig.sim.write(&id, 0..SLOW * EXTENT, 0x55);
    written.expect("it can be written to");

    let delete = || Command::DeleteVolumes {
        volumes: vec![id.clone()],
    };
    let ticket = rig.array.submit(&who(), delete()).expect("there is a slot");
    assert!(clock.advance(Duration::ZERO), "it erases");
    let job = ticket.job();
    rig.array.suspend(job).expect("it can rest");
    assert!(clock.advance(SECOND));
    until_state(&rig, job, JobState::Suspended);
    assert_eq!(read(&rig, job, Job::percent), 25);
    for wish in [rig.array.cancel(job), rig.array.kill(job)] {
        let error = wish.expect_err("a quarter is gone");
        assert_eq!(error.kind, Kind::NotSupported);
        assert!(error.message.contains("erases"), "{error}");
    }
    assert_eq!(read(&rig, job, |job| job.state), JobState::Suspended);
    let held = rig.sim.extents(&id).expect("it can be read");
    let (erased, rest) = held.split_at(16);
    assert!(erased.iter().all(|held| *held == Content::Zeros));
    assert!(rest.iter().all(|held| *held == Content::Written(0x55)));
    // Nobody waits for it, but for those who want the same volume.
    rig.done(Command::CreateInitiator { name: host("a") });
    let (error, _) = rig.fails(delete());
    assert_eq!(error.kind, Kind::InUse);

    rig.array.resume(job).expect("it goes on");
    for _ in 0..3 {
        assert!(clock.advance(SECOND));
    }
    assert!(matches!(ticket.join(), Waited::Done(_, done) if done == job));
    assert_eq!(rig.named("slow"), None);
    rig.assert_whole("at the end");
}

#[test]
fn a_wish_to_rest_can_be_taken_back_before_it_is_fulfilled() {
    let (rig, clock) = slow();
    let (ticket, job) = begin(&rig, &clock);
    rig.array.suspend(job).expect("it can rest");
    rig.array.resume(job).expect("or not");
    for _ in 0..4 {
        assert!(clock.advance(SECOND));
    }
    assert!(matches!(ticket.join(), Waited::Done(..)));
}

#[test]
fn a_job_that_is_stopped_while_it_rests_leaves_nothing() {
    for killed in [false, true] {
        let (rig, clock) = slow();
        let before = rig.picture();
        let (ticket, job) = suspended(&rig, &clock);
        let state = match killed {
            true => {
                rig.array.kill(job).expect("it can stop");
                JobState::Killed
            }
            false => {
                rig.array.cancel(job).expect("it can stop");
                JobState::Cancelled
            }
        };
        let Waited::Failed(error, Some(failed)) = ticket.join() else {
            panic!("it was stopped");
        };
        assert_eq!((error.kind, failed), (Kind::Unavailable, job));
        assert_eq!(read(&rig, job, |job| job.state), state);
        assert_eq!(read(&rig, job, Job::percent), 25, "so far it had come");
        assert_eq!(rig.picture(), before);
        rig.assert_whole("stopped");
    }
}

#[test]
fn what_cannot_rest_is_told_so_and_goes_on() {
    let clock = Clock::stepped();
    let builder = machine().clock(clock.clone()).zero_rate(64 << 20);
    let rig = Rig::on(builder.sync_rate(16 << 20));
    let wish = Command::CreateVolumes {
        pool: rig.pool(),
        names: vec!["mirrored".into()],
        count: 1,
        size: 32 * EXTENT,
        quality: Quality {
            survives: Some(1),
            copies: Some(2),
            ..Quality::default()
        },
    };
    let ticket = rig.array.submit(&who(), wish).expect("there is a slot");
    let job = ticket.job();
    for _ in 0..2 {
        assert!(clock.advance(SECOND), "it is overwritten");
    }
    assert!(clock.advance(Duration::ZERO), "its legs come into step");
    // All of it is overwritten, and a quarter is in step.
    assert_eq!(read(&rig, job, Job::percent), 62);
    assert!(read(&rig, job, Job::remaining).is_some());
    let error = rig
        .array
        .suspend(job)
        .expect_err("that is the kernel's work");
    assert_eq!(error.kind, Kind::NotSupported);
    assert_eq!(read(&rig, job, |job| job.state), JobState::Running);
    assert!(clock.advance(60 * SECOND));
    assert!(matches!(ticket.join(), Waited::Done(..)));
    rig.assert_whole("at the end");
}

#[test]
fn a_percentage_counts_all_volumes_of_a_job() {
    let (rig, clock) = slow();
    let wish = Command::CreateVolumes {
        pool: rig.pool(),
        names: vec!["one".into(), "two".into()],
        count: 2,
        size: 32 * EXTENT,
        quality: Quality::default(),
    };
    let ticket = rig.array.submit(&who(), wish).expect("there is a slot");
    let job = ticket.job();
    for percent in [0, 25, 50, 75] {
        assert!(clock.advance(Duration::ZERO), "a slice has begun");
        assert_eq!(read(&rig, job, Job::percent), percent);
        assert!(clock.advance(SECOND));
    }
    assert!(matches!(ticket.join(), Waited::Done(..)));
    assert_eq!(read(&rig, job, Job::percent), 100);
    assert_eq!(read(&rig, job, |job| job.affected.len()), 2);
    assert!(read(&rig, job, |job| job.creates));
}

#[test]
fn a_restart_rolls_back_what_rested_and_says_so() {
    let (rig, clock) = slow();
    let (_, job) = suspended(&rig, &clock);
    let rig = rig.restart(false);
    let (state, note) = read(&rig, job, |job| (job.state, job.note.clone()));
    assert_eq!(state, JobState::Failed);
    let note = note.expect("a note");
    assert!(note.contains("while it was suspended"), "{note}");
    assert!(note.contains("rolled back"), "{note}");
    assert_eq!(rig.named("slow"), None);
    rig.assert_whole("after the restart");
}

/// Lets time pass until a job is like that: many wait for the clock, and not all of them at once.
fn pass_until(rig: &Rig, clock: &Clock, job: JobId, like: fn(&Job) -> bool) {
    while !read(rig, job, like) {
        clock.advance(SECOND);
    }
}

#[test]
fn jobs_that_rest_take_no_place() {
    let (rig, clock) = slow();
    let wish = |n: usize| creation(rig.pool(), &format!("v{n}"), 1);
    let submit = |n| rig.array.submit(&who(), wish(n)).expect("a slot");
    let tickets: Vec<_> = (0..64).map(submit).collect();
    for ticket in &tickets {
        while rig.array.suspend(ticket.job()).is_err() {
            std::thread::yield_now();
        }
    }
    let rests = |job: &Job| job.state == JobState::Suspended;
    for ticket in &tickets {
        pass_until(&rig, &clock, ticket.job(), rests);
    }
    rig.done(Command::CreateInitiator { name: host("a") });
    let more = submit(64);
    assert!(clock.advance(Duration::ZERO), "it is overwritten");
    let error = rig.array.suspend(more.job()).expect_err("too many rest");
    assert_eq!(error.kind, Kind::Unavailable);
    for ticket in &tickets {
        rig.array.resume(ticket.job()).expect("it goes on");
    }
    for ticket in tickets.into_iter().chain([more]) {
        pass_until(&rig, &clock, ticket.job(), Job::is_finished);
        assert!(matches!(ticket.join(), Waited::Done(..)));
    }
}

#[test]
fn more_commands_than_there_are_places_are_refused() {
    let rig = Rig::new();
    rig.mortal.die();
    let is_creation = |step: &Step| matches!(step, Step::Create { .. });
    let (array, gate) = gated(&rig.sim, &rig.medium.image(), is_creation);
    let wish = |n: usize| creation(rig.pool(), &format!("v{n}"), 1);
    let tickets: Vec<_> = (0..64).map(|n| gate::begin(&array, wish(n))).collect();
    let error = array.submit(&who(), wish(64)).err().expect("it is full");
    assert_eq!(error.kind, Kind::Unavailable);
    gate.open();
    for ticket in tickets {
        assert!(matches!(ticket.join(), Waited::Done(..)));
    }
    done(&array, wish(64));
}

#[test]
fn a_call_is_kept_with_its_job_as_long_as_that() {
    let rig = Rig::new();
    let call = Call::new("what was asked").expect("short");
    let wish = Command::CreateInitiator { name: host("a") };
    let ticket = rig.array.submit_for(&who(), wish, Some(call));
    let Waited::Done(_, job) = ticket.expect("a slot").join() else {
        panic!("it is done");
    };
    let call = read(&rig, job, |job| job.call.clone()).expect("it is kept");
    assert_eq!((call.asked(), call.answered()), ("what was asked", None));
    rig.array.answered(job, "what was answered");
    rig.array.answered(job, "something else");
    rig.array.answered(JobId::new(), "nothing was asked");
    assert_eq!(call.answered(), Some("what was answered"));
    // The next command makes it durable.
    rig.done(Command::CreateInitiator { name: host("b") });
    let rig = rig.restart(false);
    let call = read(&rig, job, |job| job.call.clone()).expect("it is kept");
    assert_eq!(call.asked(), "what was asked");
    assert_eq!(call.answered(), Some("what was answered"));
    let others = rig.now().jobs().filter(|job| job.call.is_some()).count();
    assert_eq!(others, 1, "what no client called has none");
    rig.array.forget(job).expect("it has ended");
    let store = rig.medium.image().store();
    assert_eq!(store.load::<Call>(Table::Calls).expect("readable").len(), 0);
    assert!(Call::new(&"x".repeat(MAX_CALL + 1)).is_none());
}

#[test]
fn a_job_is_remembered_as_long_as_a_client_wants() {
    let rig = Rig::new();
    let make = |name| match rig.ask(Command::CreateInitiator { name: host(name) }) {
        Waited::Done(_, job) => job,
        other => panic!("{other:?}"),
    };
    let (usual, kept, short) = (make("a"), make("b"), make("c"));
    let now = Duration::ZERO;
    let retain = |job, by_itself, time| rig.array.retain(job, Retention { by_itself, time });
    retain(kept, false, now).expect("a client forgets it");
    retain(short, true, now).expect("it goes at once");
    let too_long = retain(usual, true, MAX_RETENTION + SECOND);
    assert_eq!(too_long.map_err(|e| e.kind), Err(Kind::InvalidArgument));
    until(&rig, "it is forgotten", |rig| {
        rig.now().job(&short).is_none()
    });
    assert!(rig.now().job(&usual).is_some() && rig.now().job(&kept).is_some());
    let gone = retain(short, true, now);
    assert_eq!(gone.map_err(|e| e.kind), Err(Kind::NotFound));
    let rig = rig.restart(false);
    assert!(rig.now().job(&short).is_none());
    assert!(!read(&rig, kept, |job| job.retention.by_itself));
    rig.array.forget(kept).expect("it has ended");
}

#[test]
fn a_wrong_clock_neither_keeps_jobs_nor_drops_them() {
    let rig = Rig::new();
    for name in ["past", "future"] {
        rig.done(Command::CreateInitiator { name: host(name) });
    }
    let ids: Vec<_> = rig.now().jobs().map(|job| job.id).collect();
    let [past, future] = ids[..] else {
        panic!("two jobs");
    };
    rig.array
        .retain(
            future,
            Retention {
                time: SECOND,
                ..Retention::default()
            },
        )
        .expect("it is there");
    let medium = rig.medium.image();
    let store = medium.store();
    let mut batch = Batch::new();
    for (key, mut job) in store
        .load::<serde_json::Value>(Table::Jobs)
        .expect("readable")
    {
        let ended = if key == past.to_string() {
            0
        } else {
            u64::MAX / 2
        };
        job["changed"] = ended.into();
        batch.put(Table::Jobs, key, &job);
    }
    store.write(&batch).expect("written");
    drop(store);
    rig.mortal.die();
    let rig = Rig::start(rig.sim.clone(), medium).expect("it starts");
    until(&rig, "its time is up", |rig| {
        rig.now().job(&future).is_none()
    });
    assert!(rig.now().job(&past).is_some(), "its time has just begun");
}

#[test]
fn of_too_many_jobs_the_oldest_are_forgotten() {
    let rig = Rig::new();
    let mut first = Vec::new();
    for n in 0..MAX_FINISHED + 3 {
        let wish = Command::CreateInitiator {
            name: host(&n.to_string()),
        };
        let Waited::Done(_, job) = rig.ask(wish) else {
            panic!("it is done");
        };
        if n < 4 {
            first.push(job);
        }
    }
    assert_eq!(rig.now().jobs().count(), MAX_FINISHED);
    let listed: Vec<_> = first.iter().map(|id| rig.now().job(id).is_some()).collect();
    assert_eq!(listed, [false, false, false, true]);
    let rig = rig.restart(false);
    assert_eq!(rig.now().jobs().count(), MAX_FINISHED);
}
