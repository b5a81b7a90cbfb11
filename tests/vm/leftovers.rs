//! Somebody holds LVM's lock of a volume group for longer than a command waits: what it had made by then
//! is left, and goes when the lock is free again.

use std::process::{Child, Command as Program};
use std::thread::sleep;
use std::time::{Duration, Instant};

use standpipe::array::{Array, JobId, JobState, Kind, Policy, Waited};

use super::commands::{array, ask, creation, done, made};
use super::{clear, sh};

/// The volumes of `vg0` that bear the mark of a job. Reads past the lock.
fn marked() -> usize {
    let tags = sh("lvs --readonly --noheadings -o lv_tags vg0");
    tags.matches("standpipe.job=").count()
}

/// Waits until something has come to be.
fn comes(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(240);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(200));
    }
}

/// Somebody who holds the lock, until he is dropped.
struct Holder(Child);

impl Holder {
    fn comes() -> Self {
        let mut program = Program::new("flock");
        program.args([
            "--no-fork",
            "--exclusive",
            "/run/lock/lvm/V_vg0",
            "sleep",
            "600",
        ]);
        Self(program.spawn().expect("flock runs"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn note(array: &Array, job: JobId) -> String {
    let now = array.snapshot();
    let job = now.job(&job).expect("it is listed");
    assert_eq!(job.state, JobState::Failed);
    job.note.clone().unwrap_or_default()
}

#[test]
#[ignore = "needs the test machine"]
fn vm_contract_linux_leftovers() {
    clear();
    let array = array(Policy {
        retry_after: Duration::from_secs(1),
        ..Policy::default()
    });
    let pool = array
        .snapshot()
        .pools_named("vg0")
        .next()
        .expect("a pool")
        .id
        .clone();
    let bystander = made(&array, &pool, "bystander", 8, 1);
    let ticket = ask(&array, creation(&pool, "left", 192, 1));
    comes("it is there, and being zeroed", || marked() == 1);
    let holder = Holder::comes();
    let Waited::Failed(error, Some(job)) = ticket.join() else {
        panic!("it was done without the lock");
    };
    assert_eq!(error.kind, Kind::Timeout, "{error:?}");
    assert!(
        note(&array, job).contains("it is tried again"),
        "{}",
        note(&array, job)
    );
    assert_eq!(marked(), 1, "what it had made is left");
    drop(holder);
    comes("it goes when the lock is free", || marked() == 0);
    comes("the job tells", || {
        note(&array, job).contains("taken back afterwards")
    });
    let now = array.snapshot();
    let known: Vec<_> = now.volumes().map(|volume| volume.id.clone()).collect();
    assert_eq!(known, [bystander]);
    done(&array, creation(&pool, "left", 8, 1));
    println!("\ncase leftovers::what_a_lock_kept_is_taken_back_later ... ok");
    drop(array);
    clear();
}
