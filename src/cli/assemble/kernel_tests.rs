//! The array over a real kernel. `tests/vm/run` runs these with those of the engine: they need
//! root, a volume group `vg0` on a disk full of other data, and nobody else.

use std::process::Command as Program;
use std::sync::Arc;
use std::time::Duration;

use crate::array::{
    Array, Command, Iqn, Job, JobId, JobState, Kind, Policy, Quality, SystemName, Waited,
};
use crate::engine::linux::{LinuxEngine, Settings, TargetSettings};
use crate::identity::{Identity, Role};
use crate::store::Store;

/// Takes down whatever is exported.
const CLEAR_TARGET: &str = include_str!("../../../tests/vm/guest/clear");

/// Output of a program, which must succeed.
fn run(line: &str) -> String {
    let output = Program::new("sh").args(["-c", line]).output();
    let output = output.expect("sh runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn array() -> Array {
    run(CLEAR_TARGET);
    run("udevadm settle; lvremove -q -y vg0");
    let target = TargetSettings {
        iqn: Iqn::from("iqn.2026-11.example.array:vm"),
        portals: vec!["127.0.0.1:3260".parse().expect("an address")],
    };
    let engine = LinuxEngine::open(Settings::new(vec!["vg0".into()], vec![target]));
    let name = SystemName {
        name: "system".into(),
        label: "label".into(),
    };
    Array::open(
        Arc::new(engine.expect("the engine opens")),
        Store::in_memory().expect("a store"),
        name,
        Policy::default(),
    )
    .expect("the array opens")
}

fn who() -> Identity {
    Identity {
        user: "admin".into(),
        role: Role::Administrator,
        peer: ([127, 0, 0, 1], 1).into(),
    }
}

/// A volume of that many bytes.
fn creation(array: &Array, name: &str, size: u64) -> Command {
    let now = array.snapshot();
    let pool = now.pools_named("vg0").next().expect("a pool");
    Command::CreateVolumes {
        pool: pool.id.clone(),
        names: vec![name.into()],
        count: 1,
        size,
        quality: Quality::default(),
    }
}

/// Waits until the job has that state.
fn until(array: &Array, job: JobId, state: JobState) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut versions = array.versions();
    let is_so = || {
        array
            .snapshot()
            .job(&job)
            .is_some_and(|job| job.state == state)
    };
    let reached = runtime.block_on(async {
        let wait = async {
            loop {
                versions.borrow_and_update();
                if is_so() {
                    return;
                }
                versions.changed().await.expect("the array is there");
            }
        };
        tokio::time::timeout(Duration::from_secs(300), wait).await
    });
    assert!(reached.is_ok(), "it does not become {state:?}");
}

fn percent(array: &Array, job: JobId) -> u8 {
    array
        .snapshot()
        .job(&job)
        .map_or(0, |job| Job::percent(job))
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_job_that_zeroes_rests_goes_on_and_is_stopped_without_a_trace() {
    let array = array();
    let lvs = || run("lvs -a --noheadings -o lv_name,lv_size,lv_tags vg0");
    let before = lvs();
    let wish = creation(&array, "slow", 384 << 20);
    let ticket = array.submit(&who(), wish).expect("there is a slot");
    let job = ticket.job();
    // Until it overwrites there is nothing that could rest.
    while let Err(error) = array.suspend(job) {
        assert!(
            matches!(error.kind, Kind::NotFound | Kind::NotSupported),
            "{error}"
        );
        let ended = array
            .snapshot()
            .job(&job)
            .is_some_and(|job| job.is_finished());
        assert!(!ended, "it was done before anybody could suspend it");
        std::thread::yield_now();
    }
    until(&array, job, JobState::Suspended);
    let rested = percent(&array, job);
    assert!(rested < 100);
    assert_eq!(lvs().lines().count(), before.lines().count() + 1);

    // LVM is free for others meanwhile.
    let other = array.submit(&who(), creation(&array, "other", 8 << 20));
    let Waited::Done(..) = other.expect("there is a slot").join() else {
        panic!("another volume can be made");
    };
    assert_eq!(percent(&array, job), rested, "it rests");
    array.resume(job).expect("it goes on");
    array.suspend(job).expect("it overwrites still");
    until(&array, job, JobState::Suspended);
    assert!(percent(&array, job) >= rested);

    array.cancel(job).expect("it can stop");
    let Waited::Failed(error, _) = ticket.join() else {
        panic!("it was stopped");
    };
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    until(&array, job, JobState::Cancelled);
    let now = array.snapshot();
    let volumes: Vec<_> = now.volumes().map(|volume| volume.id.clone()).collect();
    let delete = array.submit(&who(), Command::DeleteVolumes { volumes });
    let Waited::Done(..) = delete.expect("there is a slot").join() else {
        panic!("the other volume goes");
    };
    assert_eq!(lvs(), before);
}
