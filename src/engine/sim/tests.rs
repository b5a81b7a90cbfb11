//! Tests of what only the model has: its time, its scripted faults, its state, its probes.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use redb::{Database, TableDefinition};
use tempfile::TempDir;

use super::{Builder, Clock, Content, DEFAULT_IQN, EXTENT, Moment, SimEngine};
use crate::array::{
    DiskId, Engine, Facts, Health, InitiatorName, JobId, Kind, Layout, Map, Owner, Place, PortId,
    Progress, Step, Subject, Unwatched, Volume,
};

fn small() -> Builder {
    SimEngine::builder()
        .pool("vg0", 2, 65 * EXTENT)
        .clock(Clock::instant())
}

fn started(builder: Builder) -> SimEngine {
    let engine = builder.build().expect("a machine");
    engine.converge(&[]).expect("converged");
    engine
}

fn scan(engine: &SimEngine) -> Facts {
    engine.scan().expect("a scan")
}

fn port() -> PortId {
    PortId::Iscsi {
        iqn: DEFAULT_IQN.into(),
        tag: 1,
    }
}

fn host() -> InitiatorName {
    InitiatorName::parse("iqn.2026-01.example.host:a").expect("a name")
}

fn map_of(volume: &Volume, lun: u16) -> Map {
    Map {
        port: port(),
        initiator: host(),
        lun,
        volume: volume.id.clone(),
    }
}

/// Creates an unfinished volume; returns its job and how steps name it.
fn create(engine: &SimEngine, extents: u64) -> (JobId, Subject) {
    let job = JobId::new();
    let pool = scan(engine).pools[0].id.clone();
    let device = format!("standpipe-{}", job.hex());
    let step = Step::Create {
        group: pool.clone(),
        device: device.clone(),
        name: "test".to_owned(),
        size: extents * EXTENT,
        job,
        place: Place::ANYWHERE,
    };
    engine.apply(&step, &Unwatched).expect("created");
    (job, Subject::Made(pool, device))
}

#[test]
fn the_default_machine_has_what_clients_walk() {
    let engine = started(SimEngine::builder().volumes(5).clock(Clock::instant()));
    let facts = scan(&engine);
    let names: Vec<_> = facts.pools.iter().map(|pool| &*pool.name).collect();
    assert_eq!(names, ["fast", "bulk", "thin"]);
    let thin = facts.pools[2].thin().expect("it is thin");
    assert_eq!(thin.group, facts.pools[1].id);
    assert_eq!(facts.pools[2].size, 1 << 40);
    assert_eq!(facts.disks.len(), 10);
    assert_eq!(facts.volumes.len(), 5);
    assert_eq!(facts.nics.len(), 2);
    assert_eq!(facts.targets[0].ports[0].id, port());
    assert_eq!(facts.targets[0].ports[0].portals.len(), 2);
    assert!(InitiatorName::parse(DEFAULT_IQN).is_ok());
    for (nic, addresses) in facts.nics.iter().zip([1, 2]) {
        assert_eq!((nic.mac.len(), nic.addresses.len()), (12, addresses));
    }
    for disk in &facts.disks {
        assert_eq!(
            facts
                .disks
                .iter()
                .filter(|other| other.id == disk.id)
                .count(),
            1
        );
    }
    for (number, volume) in facts.volumes.iter().enumerate() {
        assert_eq!((volume.job, volume.owner), (None, Owner::Array));
        let step = Step::Map(map_of(volume, number as u16));
        engine.apply(&step, &Unwatched).expect("mapped");
        let read = engine.read_as(&host(), &port(), number as u16);
        assert_eq!(read, Some(Content::Zeros));
    }
}

#[test]
fn a_person_may_have_been_here_before() {
    let builder = small().volume_size(EXTENT).foreign_volumes(1);
    let engine = builder.foreign_map(host(), 3).build().expect("a machine");
    assert_eq!(engine.report_luns(&host(), &port()), None, "open too early");
    engine.converge(&[]).expect("converged");
    let facts = scan(&engine);
    assert_eq!(facts.volumes.len(), 2);
    assert!(
        facts
            .volumes
            .iter()
            .all(|volume| volume.owner == Owner::Foreign)
    );
    assert!(facts.volumes.iter().all(|volume| volume.held_by.is_some()));
    assert_eq!(facts.maps, []);
    assert_eq!(
        (facts.foreign_maps.len(), facts.foreign_maps[0].lun),
        (1, 3)
    );
    assert_eq!(engine.read_as(&host(), &port(), 3), Some(Content::Old));
}

#[test]
fn unfinished_volumes_hold_old_data_that_zeroing_ends() {
    let engine = started(small());
    let (job, volume) = create(&engine, 4);
    let pool = scan(&engine).pools[0].id.clone();
    let foreign = engine.lvcreate(&pool, "theirs", EXTENT).expect("room");
    let shown = Map {
        volume: foreign,
        ..map_of(&scan(&engine).volumes[0], 9)
    };
    engine.foreign_map(&shown).expect("free");
    assert_eq!(engine.read_as(&host(), &port(), 9), Some(Content::Old));

    let half = Step::Zero {
        volume: volume.clone(),
        job,
    };
    engine.fail_step(1, Kind::Unavailable, Moment::Midway);
    let error = engine.apply(&half, &Unwatched).expect_err("scripted");
    assert_eq!(error.kind, Kind::Unavailable);
    engine
        .apply(&Step::Unmark { volume, job }, &Unwatched)
        .expect("unmarked");
    let ours = scan(&engine)
        .volumes
        .into_iter()
        .find(|v| v.owner == Owner::Array);
    let step = Step::Map(map_of(&ours.expect("one"), 1));
    engine.apply(&step, &Unwatched).expect("mapped");
    let seen = engine.extents_as(&host(), &port(), 1).expect("a LUN");
    use Content::{Old, Zeros};
    assert_eq!(seen, [Zeros, Zeros, Old, Old]);
}

/// Progress that can be cancelled from elsewhere.
#[derive(Default)]
struct Watched {
    done: Mutex<Vec<u64>>,
    cancelled: Mutex<bool>,
}

impl Progress for Watched {
    fn report(&self, done: u64, _total: u64) {
        self.done.lock().expect("no panic").push(done);
    }

    fn is_cancelled(&self) -> bool {
        *self.cancelled.lock().expect("no panic")
    }
}

#[test]
fn zeroing_takes_the_time_that_its_size_needs() {
    let clock = Clock::stepped();
    // One slice of 64 MiB per second.
    let engine = started(small().clock(clock.clone()).zero_rate(64 << 20));
    let (job, volume) = create(&engine, 48);
    let progress = Watched::default();
    let step = Step::Zero { volume, job };
    thread::scope(|scope| {
        let zeroing = scope.spawn(|| engine.apply(&step, &progress));
        let second = Duration::from_secs(1);
        assert!(clock.advance(second / 2));
        // Looks are answered while it goes on.
        assert_eq!(scan(&engine).volumes.len(), 1);
        assert!(clock.advance(second / 2));
        assert!(clock.advance(second));
        assert!(clock.advance(second));
        assert!(zeroing.join().expect("no panic").is_ok());
    });
    let slices: Vec<u64> = [16, 32, 48].map(|extents| extents * EXTENT).into();
    assert_eq!(*progress.done.lock().expect("no panic"), slices);
}

#[test]
fn zeroing_stops_at_the_next_slice() {
    let clock = Clock::stepped();
    let engine = started(small().clock(clock.clone()).zero_rate(64 << 20));
    let (job, volume) = create(&engine, 48);
    let progress = Watched::default();
    let step = Step::Zero { volume, job };
    thread::scope(|scope| {
        let zeroing = scope.spawn(|| engine.apply(&step, &progress));
        assert!(clock.advance(Duration::from_secs(1)));
        // The second slice has begun.
        assert!(clock.advance(Duration::ZERO));
        *progress.cancelled.lock().expect("no panic") = true;
        assert!(clock.advance(Duration::from_secs(1)));
        let error = zeroing.join().expect("no panic").expect_err("cancelled");
        assert_eq!(error.kind, Kind::Unavailable);
    });
    assert_eq!(progress.done.lock().expect("no panic").len(), 1);
}

#[test]
fn scripted_steps_fail_when_and_as_they_should() {
    let engine = started(small());
    let (job, volume) = create(&engine, 1);
    let rename = |name: &str| Step::Rename {
        volume: scan(&engine).volumes[0].id.clone(),
        name: name.to_owned(),
    };
    let name = || scan(&engine).volumes[0].name.clone();
    engine.fail_step(2, Kind::Timeout, Moment::Before);
    engine.fail_step(3, Kind::Unavailable, Moment::After);
    engine.apply(&rename("one"), &Unwatched).expect("not yet");
    let error = engine
        .apply(&rename("two"), &Unwatched)
        .expect_err("scripted");
    assert_eq!((error.kind, name().as_str()), (Kind::Timeout, "one"));
    let error = engine
        .apply(&rename("three"), &Unwatched)
        .expect_err("scripted");
    assert_eq!((error.kind, name().as_str()), (Kind::Unavailable, "three"));
    engine.apply(&rename("four"), &Unwatched).expect("over");
    engine
        .apply(&Step::Unmark { volume, job }, &Unwatched)
        .expect("over");

    // A volume that is exported but not mapped is nobody's to remove, and its undo helps.
    let shown = map_of(&scan(&engine).volumes[0], 1);
    engine.fail_step(1, Kind::Unavailable, Moment::Midway);
    let failed = engine.apply(&Step::Map(shown.clone()), &Unwatched);
    assert!(failed.is_err());
    assert_eq!(engine.report_luns(&host(), &port()), None);
    let mark = Step::Mark {
        volume: Subject::Known(shown.volume.clone()),
        job,
    };
    let error = engine.apply(&mark, &Unwatched).expect_err("exported");
    assert_eq!(error.kind, Kind::InUse);
    engine
        .apply(&Step::Unmap(shown), &Unwatched)
        .expect("undone");
    engine.apply(&mark, &Unwatched).expect("exported no longer");
}

#[test]
fn a_hanging_step_goes_on_when_it_is_released_in_time() {
    let clock = Clock::stepped();
    let engine = started(small().clock(clock.clone()).volumes(1).volume_size(EXTENT));
    let hang = engine.hang_step(1);
    let step = Step::Map(map_of(&scan(&engine).volumes[0], 1));
    thread::scope(|scope| {
        let mapping = scope.spawn(|| engine.apply(&step, &Unwatched));
        assert!(clock.advance(Duration::from_secs(19)));
        assert_eq!(engine.report_luns(&host(), &port()), None);
        hang.release();
        assert!(mapping.join().expect("no panic").is_ok());
    });
    assert!(engine.report_luns(&host(), &port()).is_some());
}

#[test]
fn a_failed_disk_fails_what_lies_on_it() {
    let engine = started(small().volumes(1).volume_size(100 * EXTENT));
    let step = Step::Map(map_of(&scan(&engine).volumes[0], 1));
    engine.apply(&step, &Unwatched).expect("mapped");
    let second = scan(&engine).disks[1].id.clone();
    assert!(engine.fail_disk(&second, true));
    let facts = scan(&engine);
    assert!(matches!(facts.volumes[0].health, Health::Failed(_)));
    assert!(matches!(facts.pools[0].health, Health::Degraded(_)));
    assert_eq!(engine.read_as(&host(), &port(), 1), None);
    assert!(engine.fail_disk(&second, false));
    assert_eq!(engine.read_as(&host(), &port(), 1), Some(Content::Zeros));
}

#[test]
fn creates_stop_while_the_metadata_has_room_for_other_things() {
    let engine = started(small().metadata(2 * 700 * 20));
    let made = (0..40).take_while(|_| {
        let available = scan(&engine).pools[0].available > 0;
        if available {
            create(&engine, 1);
        }
        available
    });
    assert_eq!(made.count(), 4);
    let facts = scan(&engine);
    assert!(facts.pools[0].free > 0);
    assert!(matches!(facts.pools[0].health, Health::Degraded(_)));
    let (job, volume) = (facts.volumes[0].job.expect("a mark"), &facts.volumes[0]);
    let remove = Step::Remove {
        volume: Subject::Known(volume.id.clone()),
        job,
    };
    engine
        .apply(&remove, &Unwatched)
        .expect("removes still work");
    create(&engine, 1);
}

#[test]
fn what_does_not_fit_is_refused_at_the_start() {
    let error = small().volumes(1).volume_size(1 << 40).build().err();
    assert_eq!(error.map(|error| error.kind), Some(Kind::NoSpace));
}

#[test]
fn a_kept_machine_comes_back_as_it_was() {
    let directory = TempDir::new().expect("a directory");
    let build = || {
        started(
            small()
                .state(directory.path())
                .volumes(20)
                .volume_size(EXTENT),
        )
    };
    let engine = build();
    let (job, volume) = create(&engine, 3);
    engine
        .apply(&Step::Zero { volume, job }, &Unwatched)
        .expect("zeroed");
    let before = scan(&engine);
    assert_eq!(before.volumes.len(), 21);
    drop(engine);
    let engine = build();
    assert_eq!(scan(&engine), before);
    // Whatever was asked for now, the state that is there wins.
    drop(engine);
    let engine = started(SimEngine::builder().state(directory.path()).volumes(3));
    assert_eq!(scan(&engine).pools, before.pools);
}

#[test]
fn a_state_that_is_in_use_or_damaged_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let engine = started(small().state(directory.path()));
    let second = small().state(directory.path()).build().err();
    assert_eq!(second.map(|error| error.kind), Some(Kind::Unavailable));
    drop(engine);
    std::fs::write(directory.path().join("simulator.redb"), "no database").expect("written");
    let damaged = small().state(directory.path()).build().err();
    assert_eq!(damaged.map(|error| error.kind), Some(Kind::Unavailable));
}

#[test]
fn a_state_of_an_older_version_is_refused_with_a_sentence() {
    const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
    let directory = TempDir::new().expect("a directory");
    let database = Database::create(directory.path().join("simulator.redb")).expect("created");
    let transaction = database.begin_write().expect("begun");
    {
        let mut counters = transaction.open_table(COUNTERS).expect("a table");
        counters.insert("made", 7).expect("written");
    }
    transaction.commit().expect("committed");
    drop(database);
    let error = small().state(directory.path()).build().err();
    let error = error.expect("it has no number of its format");
    assert_eq!(error.kind, Kind::NotSupported);
    assert!(error.message.contains("another directory"), "{error}");
}

/// A mirrored volume that nobody has waited for, on a machine that brings 64 MiB into step in a
/// second.
fn coming_into_step(clock: &Clock) -> (SimEngine, Subject, JobId) {
    let builder = small().clock(clock.clone()).sync_rate(64 << 20);
    let engine = started(builder);
    let pool = scan(&engine).pools[0].clone();
    let job = JobId::new();
    let step = Step::Create {
        group: pool.id.clone(),
        device: "mirror".to_owned(),
        name: "mirror".to_owned(),
        size: 48 * EXTENT,
        place: Place::Disks {
            layout: Layout::Mirrored { copies: 2 },
            legs: pool.disks.clone(),
        },
        job,
    };
    engine.apply(&step, &Unwatched).expect("created");
    (engine, Subject::Made(pool.id, "mirror".to_owned()), job)
}

#[test]
fn legs_come_into_step_in_the_time_that_their_size_needs() {
    let clock = Clock::stepped();
    let (engine, volume, _) = coming_into_step(&clock);
    let health = || scan(&engine).volumes[0].health.clone();
    assert!(matches!(health(), Health::Degraded(_)));
    let progress = Watched::default();
    let step = Step::Sync { volume };
    thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.apply(&step, &progress));
        for _ in 0..3 {
            assert!(matches!(health(), Health::Degraded(_)));
            assert!(clock.advance(Duration::from_secs(1)));
        }
        assert!(waiting.join().expect("no panic").is_ok());
    });
    let slices: Vec<u64> = [0, 16, 32, 48].map(|extents| extents * EXTENT).into();
    assert_eq!(*progress.done.lock().expect("no panic"), slices);
    let mark = engine.fingerprint().expect("a mark");
    assert_eq!(health(), Health::Ok);
    assert_eq!(engine.fingerprint().expect("a mark"), mark);
}

#[test]
fn legs_come_into_step_whether_anybody_waits_or_not() {
    let clock = Clock::instant();
    let (engine, volume, job) = coming_into_step(&clock);
    let mark = engine.fingerprint().expect("a mark");
    // Overwriting another volume passes the time.
    engine
        .apply(&Step::Zero { volume, job }, &Unwatched)
        .expect("zeroed");
    let (other, volume) = create(&engine, 1);
    let zero = Step::Zero { volume, job: other };
    let slow = || clock.wait(Duration::from_secs(4), || false);
    slow();
    engine.apply(&zero, &Unwatched).expect("zeroed");
    let mirror = scan(&engine)
        .volumes
        .into_iter()
        .find(|v| v.device == "mirror");
    assert_eq!(mirror.map(|volume| volume.health), Some(Health::Ok));
    assert_ne!(engine.fingerprint().expect("a mark"), mark, "it is seen");
}

#[test]
fn the_only_leg_with_all_data_is_no_redundancy() {
    let (engine, _, _) = coming_into_step(&Clock::stepped());
    let pool = scan(&engine).pools[0].clone();
    let volume = || scan(&engine).volumes[0].clone();
    assert!(engine.fail_disk(&pool.disks[1], true));
    assert!(matches!(volume().health, Health::Degraded(_)));
    assert!(engine.fail_disk(&pool.disks[1], false));
    assert!(engine.fail_disk(&pool.disks[0], true));
    assert!(matches!(volume().health, Health::Failed(_)));
}

#[test]
fn ten_thousand_volumes_are_a_start_like_any_other() {
    let directory = TempDir::new().expect("a directory");
    let build = || SimEngine::builder().volumes(10_000).state(directory.path());
    let engine = started(build());
    assert_eq!(scan(&engine).volumes.len(), 10_000);
    let (job, volume) = create(&engine, 1);
    engine
        .apply(&Step::Remove { volume, job }, &Unwatched)
        .expect("removed");
    let before = scan(&engine);
    drop(engine);
    assert_eq!(scan(&started(build())), before);
}

/// Wants to stop, but not before a disk is away.
struct Pulling<'a>(&'a SimEngine, DiskId);

impl Progress for Pulling<'_> {
    fn report(&self, _done: u64, _total: u64) {}
    fn is_cancelled(&self) -> bool {
        self.0.pull_disk(&self.1, true)
    }
}

#[test]
fn a_move_off_a_missing_disk_is_not_called_ended() {
    let engine = started(small());
    let (job, made) = create(&engine, 5);
    let step = Step::Unmark { volume: made, job };
    engine.apply(&step, &Unwatched).expect("finished");
    let facts = scan(&engine);
    let volume = &facts.volumes[0];
    let from = volume.pieces[0].disk.clone();
    let onto = facts.pools[0].disks.iter().find(|disk| **disk != from);
    let what = Subject::Known(volume.id.clone());
    let step = Step::Move {
        what: what.clone(),
        from: from.clone(),
        onto: vec![onto.expect("there are two").clone()],
        bytes: 0,
    };
    let stopped = engine.apply(&step, &Pulling(&engine, from.clone()));
    assert_eq!(
        stopped.expect_err("it cannot be stopped").kind,
        Kind::Unavailable
    );
    let end = Step::EndMove {
        what,
        from: from.clone(),
    };
    let left = engine.apply(&end, &Unwatched).expect_err("it is left");
    assert_eq!(left.kind, Kind::Unavailable, "{left}");
    engine.pull_disk(&from, false);
    engine.apply(&end, &Unwatched).expect("it ends");
    let facts = scan(&engine);
    assert!(
        facts.volumes[0]
            .pieces
            .iter()
            .all(|piece| piece.disk == from)
    );
}
