//! Somebody holds LVM's lock of a volume group for longer than a command waits: what it had made by then
//! is left, and goes when the lock is free again.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command as Program, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use standpipe::array::{Array, Command, Copying, JobId, JobState, Kind, Policy, Waited};

use super::commands::{array, ask, device, done, made};
use super::{budget, clear, sh};

/// The volumes of `vg0` that bear the mark of a job. Reads past the lock.
fn marked() -> usize {
    let tags = sh("lvs --readonly --noheadings -o lv_tags vg0");
    tags.matches("standpipe.job=").count()
}

/// Waits until something has come to be.
fn comes(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(5));
    }
}

/// Takes the lock for good. LVM removes the file when it gives a lock back, so whoever waited for it may
/// hold what is no lock any more.
const HOLD: &str = "until exec 9>>/run/lock/lvm/V_vg0; flock 9; \
    [ /run/lock/lvm/V_vg0 -ef /proc/self/fd/9 ]; do :; done; echo held; exec sleep 600";

/// Somebody who holds the lock, until he is dropped.
struct Holder(Child);

impl Holder {
    fn comes() -> Self {
        let mut program = Program::new("sh");
        let program = program.args(["-c", HOLD]).stdout(Stdio::piped());
        let mut holder = Self(program.spawn().expect("sh runs"));
        let told = BufReader::new(holder.0.stdout.take().expect("a pipe"))
            .lines()
            .next();
        assert_eq!(told.expect("it tells").expect("text"), "held");
        holder
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
    const CASE: &str = "leftovers::what_a_lock_kept_is_taken_back_later";
    // Every step that the lock keeps waits for as long as it may.
    if budget().is_some_and(|budget| budget < Duration::from_secs(600)) {
        println!("\nleft out for want of time: {CASE}");
        return;
    }
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
    let source = made(&array, &pool, "source", 96, 1);
    let clone = Command::CreateReplicas {
        kind: Copying::Clone,
        sources: vec![source.clone()],
        names: vec!["left".into()],
        pool: None,
        quality: None,
        room: None,
    };
    sh(&format!(
        "yes 'something to copy' | dd of={} bs=1M count=96 iflag=fullblock oflag=direct status=none",
        device(&array, &source)
    ));
    let ticket = ask(&array, clone.clone());
    // While it rests it holds nothing of LVM.
    comes("it copies, and rests", || {
        array.suspend(ticket.job()).is_ok_and(|rests| rests)
    });
    let before = marked();
    assert!(before > 0, "what it makes is marked");
    let holder = Holder::comes();
    array.resume(ticket.job()).expect("it goes on");
    let Waited::Failed(error, Some(job)) = ticket.join() else {
        panic!("it was done without the lock");
    };
    assert_eq!(error.kind, Kind::Timeout, "{error:?}");
    assert!(
        note(&array, job).contains("it is tried again"),
        "{}",
        note(&array, job)
    );
    assert_eq!(marked(), before, "what it had made is left");
    drop(holder);
    comes("it goes when the lock is free", || marked() == 0);
    comes("the job tells", || {
        note(&array, job).contains("taken back afterwards")
    });
    let now = array.snapshot();
    let known: Vec<_> = now.volumes().map(|volume| volume.id.clone()).collect();
    assert_eq!(known, [source]);
    done(&array, clone);
    println!("\ncase {CASE} ... ok");
    drop(array);
    clear();
}
