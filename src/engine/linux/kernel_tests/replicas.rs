//! Replicas on a real kernel: of volumes that an initiator writes to, and what others and accidents
//! do to them.

use super::*;
use crate::array::{Health, Layout, ReplicaKind, SNAPSHOT_CHUNK, Snap, Volume};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;

/// Bytes that the writer writes at a time.
const BLOCK: u64 = 4096;

/// An initiator that is logged in for one number.
struct Writer {
    program: Child,
    output: BufReader<ChildStdout>,
}

impl Writer {
    fn new(lun: u16) -> Self {
        let image = format!(
            "driver=iscsi,transport=tcp,portal=127.0.0.1:3260,target={IQN},lun={lun},\
             initiator-name={HOST}"
        );
        let mut program = Command::new("qemu-io")
            .args(["-n", "--image-opts", &image])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-io runs");
        let output = BufReader::new(program.stdout.take().expect("a pipe"));
        Self { program, output }
    }

    /// Writes a block and waits until the target has answered.
    fn write(&mut self, number: u64) {
        let line = format!("write -P {:#x} {} {BLOCK}\n", byte(number), number * BLOCK);
        let input = self.program.stdin.as_mut().expect("a pipe");
        input.write_all(line.as_bytes()).expect("it listens");
        let mut answer = String::new();
        while !answer.contains("ops;") {
            answer.clear();
            let read = self.output.read_line(&mut answer).expect("it answers");
            assert!(read > 0 && !answer.contains("failed"), "{answer}");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // At the end of its input it logs out.
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}

fn byte(number: u64) -> u8 {
    u8::try_from(number % 251 + 1).expect("it is small")
}

/// How many blocks of the writer's a device holds, one after the other, and nothing behind.
fn log_of(device: &str) -> u64 {
    // Past the page cache, which what an initiator writes does not reach.
    let mut read = Command::new("dd");
    read.args([&format!("if=/dev/vg0/{device}"), "bs=1M", "iflag=direct"]);
    let bytes = read.output().expect("dd runs").stdout;
    let blocks = bytes.chunks(BLOCK as usize);
    let is_written = |(number, block): &(u64, &[u8])| block.iter().all(|b| *b == byte(*number));
    let count = (0..).zip(blocks).take_while(is_written).count() as u64;
    let rest = &bytes[(count * BLOCK) as usize..];
    assert!(rest.iter().all(|byte| *byte == 0), "{device} has holes");
    count
}

fn sum(device: &str) -> String {
    let line = run(&format!("sha256sum < /dev/vg0/{device}"));
    line.split(' ').next().expect("a sum").to_owned()
}

/// Nothing of this machine waits for anybody.
fn assert_nothing_is_suspended() {
    let suspended = run("dmsetup info -c --noheadings -o name -S suspended=Suspended");
    assert!(!suspended.contains("vg0"), "{suspended}");
}

fn listed(engine: &LinuxEngine, device: &str) -> Volume {
    let mut found = volumes(engine).into_iter().filter(|v| v.device == device);
    found
        .next()
        .unwrap_or_else(|| panic!("{device} is not listed"))
}

fn find(engine: &LinuxEngine, id: &VolumeId) -> Volume {
    let mut found = volumes(engine).into_iter().filter(|v| v.id == *id);
    found.next().expect("it is listed")
}

/// Room for every chunk, with its tables.
fn room(size: u64) -> u64 {
    let chunks = size / SNAPSHOT_CHUNK;
    ((chunks + chunks / 4096 + 2) * SNAPSHOT_CHUNK).next_multiple_of(EXTENT)
}

fn snap(source: &Volume, device: &str, room: Option<u64>) -> Snap {
    Snap {
        source: source.id.clone(),
        device: device.into(),
        name: device.into(),
        room,
    }
}

fn made(engine: &LinuxEngine, device: &str) -> Subject {
    Subject::Made(pool(engine).id, device.into())
}

/// A thin pool with two thin volumes.
fn thin_pair(engine: &LinuxEngine) -> [Volume; 2] {
    let (group, job) = (pool(engine).id, JobId::new());
    apply(
        engine,
        &Step::CreateThinPool {
            group: group.clone(),
            device: "standpipe-pool".into(),
            name: "thin".into(),
            size: 8 * EXTENT,
            metadata: EXTENT,
            job,
        },
    );
    let unmark = |device: &str| Step::Unmark {
        volume: Subject::Made(group.clone(), device.into()),
        job,
    };
    apply(engine, &unmark("standpipe-pool"));
    let pools = engine.scan().expect("a scan").pools;
    let thin = pools.into_iter().find(|pool| pool.thin().is_some());
    let thin = thin.expect("a thin pool").id;
    ["standpipe-thin-1", "standpipe-thin-2"].map(|device| {
        let create = Step::Create {
            group: group.clone(),
            device: device.into(),
            name: device.into(),
            size: 2 * EXTENT,
            place: Place::Thin(thin.clone()),
            job,
        };
        apply(engine, &create);
        apply(engine, &unmark(device));
        listed(engine, device)
    })
}

#[test]
#[ignore = "needs the test machine"]
fn vm_replicas_of_what_an_initiator_writes_are_of_one_moment() {
    let engine = engine();
    let thick = ["one", "two"].map(|name| find(&engine, &volume(&engine, name, 2 * EXTENT)));
    let thin = thin_pair(&engine);
    let sources = [&thick[0], &thin[0], &thick[1], &thin[1]];
    let maps: Vec<Map> = (1..)
        .zip(sources)
        .map(|(n, v)| map(&v.id, HOST, n))
        .collect();
    engine.converge(&maps).expect("they are shown");

    let (job, stop, answered) = (JobId::new(), AtomicBool::new(false), AtomicU64::new(0));
    let names = ["moment-1", "moment-2", "moment-3", "moment-4"];
    let rooms = [Some(room(2 * EXTENT)), None, Some(room(2 * EXTENT)), None];
    let of = names.iter().zip(sources).zip(rooms);
    let of = of.map(|((name, source), room)| snap(source, name, room));
    let take = Step::Snapshot {
        group: pool(&engine).id,
        of: of.collect(),
        job,
    };
    let clone = Step::Create {
        group: pool(&engine).id,
        device: "clone".into(),
        name: "clone".into(),
        size: 3 * EXTENT,
        place: Place::ANYWHERE,
        job,
    };
    apply(&engine, &clone);
    let (written, before) = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut writers: Vec<Writer> = (1..=4).map(Writer::new).collect();
            let mut number = 0;
            while !stop.load(Ordering::Acquire) && (number + 1) * BLOCK < 2 * EXTENT {
                for writer in &mut writers {
                    writer.write(number);
                }
                number += 1;
                answered.store(number, Ordering::Release);
            }
            number
        });
        while answered.load(Ordering::Acquire) < 3 {
            thread::yield_now();
        }
        let before = answered.load(Ordering::Acquire);
        engine.apply(&take, &Unwatched).expect("they are taken");
        let copy = Step::Copy {
            from: made(&engine, "moment-1"),
            to: made(&engine, "clone"),
            fresh: true,
            job,
        };
        engine.apply(&copy, &Unwatched).expect("it is copied");
        let at = answered.load(Ordering::Acquire);
        while answered.load(Ordering::Acquire) < at + 3 {
            thread::yield_now();
        }
        stop.store(true, Ordering::Release);
        (writing.join().expect("it wrote"), before)
    });
    assert_nothing_is_suspended();
    let logs = names.map(log_of);
    assert!(
        logs[0] >= before && logs[0] < written,
        "{logs:?} {before} {written}"
    );
    // Each write was begun when the one before was answered.
    assert!(
        logs.is_sorted_by(|a, b| a >= b) && logs[0] - logs[3] <= 1,
        "{logs:?}"
    );
    assert_eq!(sources.map(|source| log_of(&source.device)), [written; 4]);
    assert_eq!(log_of("clone"), logs[0]);
    let same = run("cmp -n 8388608 /dev/vg0/moment-1 /dev/vg0/clone");
    assert_eq!(same, "");
    let taken = names.map(|name| listed(&engine, name).replica.expect("a replica").taken);
    assert!(
        taken[0].is_some() && taken.iter().all(|moment| *moment == taken[0]),
        "{taken:?}"
    );
    apply(&engine, &take);
    assert_eq!(names.map(log_of), logs, "they are taken once");
    for device in names.iter().chain(&["clone"]) {
        let volume = made(&engine, device);
        apply(&engine, &Step::Remove { volume, job });
    }
    engine.converge(&[]).expect("hidden");
    assert_eq!(leftovers(), "");
}

/// An engine that runs `dmsetup` through a script of ours, which knows what to do from `line` on.
fn engine_with(line: &str) -> LinuxEngine {
    let script = Path::new("/run/dmsetup-of-test");
    fs::write(
        script,
        format!("#!/bin/sh\n{line}\nexec /usr/sbin/dmsetup \"$@\"\n"),
    )
    .expect("written");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut settings = settings();
    settings.dmsetup = script.into();
    LinuxEngine::open(settings).expect("the engine opens")
}

#[test]
#[ignore = "needs the test machine"]
fn vm_snapshots_that_fail_midway_leave_nothing_suspended_and_can_be_taken_back() {
    let engine = engine();
    let thin = thin_pair(&engine);
    let thick = ["one", "two"].map(|name| find(&engine, &volume(&engine, name, EXTENT)));
    run(&format!("echo old > /dev/vg0/{}", thin[0].device));
    let (job, names) = (JobId::new(), ["moment-1", "moment-2"]);
    let before = sum(&thin[0].device);
    let take = |of: &[Volume; 2], room: Option<u64>| Step::Snapshot {
        group: pool(&engine).id,
        of: vec![snap(&of[0], names[0], room), snap(&of[1], names[1], room)],
        job,
    };
    let (of_thin, of_thick) = (take(&thin, None), take(&thick, Some(room(EXTENT))));
    let too_early = format!(
        r#"case "$4" in create_snap*) /usr/sbin/dmsetup resume /dev/vg0/{};; esac"#,
        thin[1].device
    );
    for (broken, step) in [
        // The pool forgets a snapshot and does not take it anew.
        (r#"case "$4" in create_snap*) exit 1;; esac"#, &of_thin),
        // Somebody lets the second one take writes before the pool has taken it.
        (&too_early, &of_thin),
        // Only some come to rest.
        (
            r#"[ "$1" = suspend ] && exec /usr/sbin/dmsetup suspend "$2""#,
            &of_thick,
        ),
        // Somebody ends the moment of the second one.
        (
            r#"[ "$1" = suspend ] && { /usr/sbin/dmsetup "$@"; /usr/sbin/dmsetup resume "$3"; exit; }"#,
            &of_thick,
        ),
    ] {
        let hasty = engine_with(broken);
        hasty.apply(step, &Unwatched).expect_err(broken);
        assert_nothing_is_suspended();
        for device in names {
            let volume = made(&engine, device);
            apply(&engine, &Step::Remove { volume, job });
        }
    }
    assert_eq!(volumes(&engine).len(), 4);
    apply(&engine, &of_thin);
    assert_eq!(sum(names[0]), before);
    assert_nothing_is_suspended();
}

#[test]
#[ignore = "needs the test machine"]
fn vm_what_was_left_suspended_is_woken_at_the_next_start() {
    let engine = engine();
    let thin = thin_pair(&engine);
    let thick = find(&engine, &volume(&engine, "one", EXTENT));
    let taken = Step::Snapshot {
        group: pool(&engine).id,
        of: vec![snap(&thick, "moment", Some(room(EXTENT)))],
        job: JobId::new(),
    };
    apply(&engine, &taken);
    let maps = [map(&thick.id, HOST, 1)];
    engine.converge(&maps).expect("it is shown");
    drop(engine);
    for device in [&thick.device, &thin[0].device] {
        run(&format!("dmsetup suspend /dev/vg0/{device}"));
    }
    let engine = LinuxEngine::open(settings()).expect("the engine opens");
    engine.scan().expect("nothing waits for them");
    engine.converge(&maps).expect("they are woken");
    assert_nothing_is_suspended();
    assert!(sees(HOST, 1));
    run(&format!(
        "dd if=/dev/vg0/{} of=/dev/null bs=4k count=1 iflag=direct 2>&1",
        thin[0].device
    ));
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_snapshot_that_fills_or_is_lost_is_noticed_and_a_write_is_not() {
    let engine = engine();
    let source = find(&engine, &volume(&engine, "source", 10 * EXTENT));
    let (job, fill) = (JobId::new(), |from: u64, count: u64| {
        let device = &source.device;
        run(&format!(
            "dd if=/dev/zero of=/dev/vg0/{device} bs=64K seek={from} count={count} oflag=direct 2>&1; \
             udevadm settle"
        ))
    });
    for (device, room) in [("small", 3 * EXTENT), ("large", room(10 * EXTENT))] {
        let take = Step::Snapshot {
            group: pool(&engine).id,
            of: vec![snap(&source, device, Some(room))],
            job,
        };
        apply(&engine, &take);
    }
    let state = |device: &str| match listed(&engine, device).replica.map(|r| r.kind) {
        Some(ReplicaKind::Delta { used, broken, .. }) => (used, broken),
        other => panic!("{other:?}"),
    };
    fill(0, 1);
    let (mark, before) = (engine.fingerprint().expect("readable"), state("small"));
    fill(0, 1);
    assert_eq!(engine.fingerprint().expect("readable"), mark);
    assert_eq!(state("small"), before);
    fill(1, 20);
    assert_ne!(engine.fingerprint().expect("readable"), mark);
    assert_eq!(
        state("small"),
        (before.0.map(|used| used + 20 * SNAPSHOT_CHUNK), false)
    );
    fill(0, 640);
    assert_eq!(state("small"), (None, true));
    assert!(
        matches!(&listed(&engine, "small").health, Health::Failed(why) if why.contains("delete"))
    );
    // With room for everything, and all of it used, the other one has what it had.
    let large = listed(&engine, "large");
    assert_eq!((large.is_broken(), &large.health), (false, &Health::Ok));
    assert_eq!(find(&engine, &source.id).health, Health::Ok);
    for device in ["small", "large"] {
        let volume = made(&engine, device);
        apply(&engine, &Step::Remove { volume, job });
    }
    delete(&engine, &source.id);
    assert_eq!(lvs().trim(), "");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_mirror_below_a_snapshot_is_looked_at() {
    let engine = pools::clean_engine();
    run(&format!("vgextend -qq -y vg0 {}", pools::legs(0..2)));
    let disks = engine.scan().expect("a scan").disks.into_iter();
    let disks = disks.filter(|disk| disk.pool().is_some()).take(2);
    let (group, job) = (pool(&engine).id, JobId::new());
    apply(
        &engine,
        &Step::Create {
            group: group.clone(),
            device: "mirror".into(),
            name: "mirror".into(),
            size: 2 * EXTENT,
            place: Place::Disks {
                layout: Layout::Mirrored { copies: 2 },
                legs: disks.map(|disk| disk.id).collect(),
            },
            job,
        },
    );
    let mirror = listed(&engine, "mirror");
    let of = vec![snap(&mirror, "moment", Some(room(2 * EXTENT)))];
    apply(&engine, &Step::Snapshot { group, of, job });
    let volume = made(&engine, "mirror");
    apply(&engine, &Step::Sync { volume });
    let now = listed(&engine, "mirror");
    assert_eq!((&now.health, now.trouble.is_empty()), (&Health::Ok, true));
    assert_eq!((now.layout, &now.pieces), (mirror.layout, &mirror.pieces));
    // A leg that fails is seen as ever.
    let (real, leg) = ("vg0-mirror-real", "vg0-mirror_rimage_1");
    run(&format!(
        "on=$(dmsetup table {leg} | cut -d' ' -f4,5); dmsetup suspend --noflush --nolockfs {leg}; \
         printf '0 8 linear %s\\n8 16376 error\\n' \"$on\" | dmsetup load {leg}; dmsetup resume {leg}; \
         dd if=/dev/zero of=/dev/vg0/mirror bs=64k count=1 oflag=direct 2>&1; dmsetup status {real}"
    ));
    let failing = listed(&engine, "mirror");
    assert!(
        matches!(failing.health, Health::Degraded(_)),
        "{:?}",
        failing.health
    );
    assert_eq!(failing.trouble.failing, [1].into());
    run(&format!(
        "lvremove -q -y vg0/mirror && vgreduce -qq vg0 {0} && pvremove -qq {0}",
        pools::legs(0..2)
    ));
}
