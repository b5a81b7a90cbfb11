//! The engine on a real kernel. `tests/vm/run` runs these in its machine, one after the other:
//! they need root, a volume group `vg0` on a disk full of other data, and nobody else. What every
//! engine promises is in the contract suite; here is what only a real machine can show.

mod chap;
mod convergence;
mod cost;
mod fabrics;
mod moves;
mod pools;
mod refusals;
mod replicas;

use super::*;
use crate::array::{InitiatorName, Iqn, JobId, Kind, Place, PortId, Subject, Unwatched, VolumeId};
use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

const IQN: &str = "iqn.2026-11.example.array:vm";
const HOST: &str = "iqn.2026-11.example.host:a";
const OTHER: &str = "iqn.2026-11.example.host:b";
const EXTENT: u64 = 4 << 20;

/// Takes down whatever is exported.
const CLEAR_TARGET: &str = include_str!("../../../tests/vm/guest/clear");

/// An engine on a machine without volumes and without a target.
fn engine() -> LinuxEngine {
    run("umount -q /run/m || true");
    run(CLEAR_TARGET);
    run("udevadm settle; lvremove -q -y vg0");
    LinuxEngine::open(settings()).expect("the engine opens")
}

/// One volume group and one target.
fn settings() -> Settings {
    let target = TargetSettings {
        iqn: Iqn::from(IQN),
        portals: vec!["127.0.0.1:3260".parse().expect("an address")],
    };
    Settings::new(vec!["vg0".into()], vec![target])
}

/// Output of a program, which must succeed.
fn run(line: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", line])
        .output()
        .expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {text}{errors}");
    text
}

/// Whether an initiator can read a number's page 0x83.
fn sees(initiator: &str, lun: u16) -> bool {
    let output = Command::new("iscsi-inq")
        .args(["-e", "1", "-c", "131", "-i", initiator])
        .arg(format!("iscsi://127.0.0.1/{IQN}/{lun}"))
        .output()
        .expect("iscsi-inq runs");
    output.status.success()
}

fn pool(engine: &LinuxEngine) -> crate::array::Pool {
    engine
        .scan()
        .expect("a scan")
        .pools
        .into_iter()
        .next()
        .expect("one pool")
}

fn volumes(engine: &LinuxEngine) -> Vec<crate::array::Volume> {
    engine.scan().expect("a scan").volumes
}

fn apply(engine: &LinuxEngine, step: &Step) {
    // Twice: taking a step again changes nothing.
    for _ in 0..2 {
        engine
            .apply(step, &Unwatched)
            .unwrap_or_else(|e| panic!("{step:?}: {e:?}"));
    }
}

fn refused(engine: &LinuxEngine, step: &Step, kind: Kind) {
    let error = engine.apply(step, &Unwatched).expect_err("refused");
    assert_eq!(error.kind, kind, "{step:?}: {error:?}");
}

/// A finished volume, made as the planner would.
fn volume(engine: &LinuxEngine, name: &str, size: u64) -> VolumeId {
    let (pool, job) = (pool(engine).id, JobId::new());
    let device = format!("standpipe-{}", job.hex());
    let made = Subject::Made(pool.clone(), device.clone());
    apply(
        engine,
        &Step::Create {
            group: pool,
            device: device.clone(),
            name: name.into(),
            size,
            job,
            place: Place::ANYWHERE,
        },
    );
    apply(
        engine,
        &Step::Zero {
            volume: made.clone(),
            job,
        },
    );
    apply(engine, &Step::Unmark { volume: made, job });
    let found = volumes(engine)
        .into_iter()
        .find(|volume| volume.device == device);
    found.expect("it is listed").id
}

fn delete(engine: &LinuxEngine, volume: &VolumeId) {
    let (volume, job) = (Subject::Known(volume.clone()), JobId::new());
    apply(
        engine,
        &Step::Mark {
            volume: volume.clone(),
            job,
        },
    );
    apply(engine, &Step::Remove { volume, job });
}

fn map(volume: &VolumeId, initiator: &str, lun: u16) -> Map {
    Map {
        port: PortId::Iscsi {
            iqn: Iqn::from(IQN),
            tag: 1,
        },
        initiator: InitiatorName::parse(initiator).expect("a name"),
        lun,
        volume: volume.clone(),
    }
}

/// Names of all logical volumes, by LVM's own means.
fn lvs() -> String {
    run("lvs --noheadings -o lv_name vg0")
}

/// What is below the target besides the target itself.
fn leftovers() -> String {
    run(&format!(
        "cd /sys/kernel/config/target; ls -d core/iblock_* iscsi/{IQN}/tpgt_1/lun/lun_* \
         iscsi/{IQN}/tpgt_1/acls/* 2>/dev/null || true"
    ))
}

#[derive(Default)]
struct Watched {
    last: AtomicU64,
}

impl Progress for Watched {
    fn report(&self, done: u64, _total: u64) {
        self.last.store(done, Ordering::Relaxed);
    }
    fn is_cancelled(&self) -> bool {
        false
    }
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_volume_has_no_old_data_and_its_marks_and_goes_without_a_trace() {
    let engine = engine();
    let before = pool(&engine);
    assert_eq!(before.extent, EXTENT);
    let (job, device) = (JobId::new(), "standpipe-0123456789abcdef0123456789abcdef");
    let made = Subject::Made(before.id.clone(), device.into());
    let create = Step::Create {
        group: before.id.clone(),
        device: device.into(),
        name: "Oracle log, ä".into(),
        size: 16 * EXTENT,
        job,
        place: Place::ANYWHERE,
    };
    apply(&engine, &create);
    let half = volumes(&engine).remove(0);
    assert_eq!(half.job, Some(job));
    assert_eq!(half.name, "Oracle log, ä");
    assert_eq!(half.size, 16 * EXTENT);
    let watched = Watched::default();
    engine
        .apply(
            &Step::Zero {
                volume: made.clone(),
                job,
            },
            &watched,
        )
        .expect("zeroed");
    assert_eq!(watched.last.load(Ordering::Relaxed), 16 * EXTENT);
    apply(&engine, &Step::Unmark { volume: made, job });
    let whole = volumes(&engine).remove(0);
    assert_eq!((whole.job, whole.held_by.clone()), (None, None));
    assert_eq!(pool(&engine).free, before.free - 16 * EXTENT);
    assert!(lvs().contains(device));
    let mut file = fs::File::open(format!("/dev/vg0/{device}")).expect("the device is there");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes.len() as u64, 16 * EXTENT);
    assert!(bytes.iter().all(|byte| *byte == 0), "old data shows");
    drop(file);
    delete(&engine, &whole.id);
    assert_eq!(lvs().trim(), "");
    assert_eq!(pool(&engine).free, before.free);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_foreign_a_mounted_or_an_open_volume_is_never_touched() {
    let engine = engine();
    run("lvcreate -q -y -l 4 -n theirs vg0");
    let theirs = volumes(&engine).remove(0);
    assert_eq!(theirs.owner, crate::array::Owner::Foreign);
    let job = JobId::new();
    let known = || Subject::Known(theirs.id.clone());
    refused(
        &engine,
        &Step::Mark {
            volume: known(),
            job,
        },
        Kind::AccessDenied,
    );
    refused(
        &engine,
        &Step::Zero {
            volume: known(),
            job,
        },
        Kind::AccessDenied,
    );
    refused(
        &engine,
        &Step::Remove {
            volume: known(),
            job,
        },
        Kind::AccessDenied,
    );
    refused(
        &engine,
        &Step::Map(map(&theirs.id, HOST, 1)),
        Kind::AccessDenied,
    );
    run("lvremove -q -y vg0/theirs");

    let ours = volume(&engine, "ours", 8 * EXTENT);
    let device = volumes(&engine).remove(0).device;
    let mount = format!("mkdir -p /run/m && mount /dev/vg0/{device} /run/m");
    run(&format!("mkfs.ext4 -q /dev/vg0/{device}"));
    engine.converge(&[]).expect("the target is there");
    run(&mount);
    let held = volumes(&engine).remove(0).held_by;
    assert_eq!(held.as_deref(), Some("mounted at /run/m"));
    let marked = Subject::Known(ours.clone());
    refused(
        &engine,
        &Step::Mark {
            volume: marked.clone(),
            job,
        },
        Kind::InUse,
    );
    refused(&engine, &Step::Map(map(&ours, HOST, 1)), Kind::InUse);
    run("umount /run/m");
    apply(
        &engine,
        &Step::Mark {
            volume: marked.clone(),
            job,
        },
    );
    run(&mount);
    refused(
        &engine,
        &Step::Remove {
            volume: marked.clone(),
            job,
        },
        Kind::InUse,
    );
    refused(
        &engine,
        &Step::Zero {
            volume: marked.clone(),
            job,
        },
        Kind::InUse,
    );
    run("umount /run/m");
    apply(
        &engine,
        &Step::Remove {
            volume: marked,
            job,
        },
    );
    assert_eq!(lvs().trim(), "");
    assert_eq!(leftovers(), "");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_converging_makes_what_is_missing_and_hides_what_is_not_listed() {
    let engine = engine();
    let (one, two) = (
        volume(&engine, "one", EXTENT),
        volume(&engine, "two", EXTENT),
    );
    let wanted = [map(&one, HOST, 1), map(&one, OTHER, 1)];
    engine.converge(&wanted).expect("converged");
    apply(&engine, &Step::Map(map(&two, HOST, 2)));
    // Somebody removes a map by hand, and another manager adds an ACL of its own.
    let acls = format!("/sys/kernel/config/target/iscsi/{IQN}/tpgt_1/acls");
    run(&format!(
        "rm {acls}/{OTHER}/lun_1/standpipe-* && rmdir {acls}/{OTHER}/lun_1"
    ));
    run(&format!("mkdir {acls}/iqn.2026-11.example.host:theirs"));
    engine.converge(&wanted).expect("converged again");
    engine.converge(&wanted).expect("and once more");
    assert_eq!(engine.scan().expect("a scan").maps, wanted);
    assert!(sees(OTHER, 1));
    assert!(!sees(HOST, 2));
    engine.converge(&[]).expect("hidden");
    run(&format!("rmdir {acls}/iqn.2026-11.example.host:theirs"));
    assert_eq!(leftovers(), "");
    delete(&engine, &one);
    delete(&engine, &two);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_every_change_outside_moves_the_fingerprint() {
    let engine = engine();
    engine.converge(&[]).expect("the target is made");
    let id = volume(&engine, "x", EXTENT);
    let device = volumes(&engine).remove(0).device;
    let mut last = engine.fingerprint().expect("readable");
    assert_eq!(engine.fingerprint().expect("readable"), last);
    let acl = format!("/sys/kernel/config/target/iscsi/{IQN}/tpgt_1/acls/{OTHER}");
    for change in [
        format!("lvchange -q --addtag theirs vg0/{device}"),
        format!("mkdir {acl}"),
        format!("rmdir {acl}"),
        "lvcreate -q -y -an -Zn -l 1 -n theirs vg0 2>&1".to_owned(),
        "lvchange -ay vg0/theirs".to_owned(),
        "lvremove -q -y vg0/theirs".to_owned(),
    ] {
        run(&change);
        let now = engine.fingerprint().expect("readable");
        assert_ne!(now, last, "{change}");
        last = now;
    }
    delete(&engine, &id);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_held_lock_ends_in_a_timeout_and_nothing_is_left_locked() {
    let engine = engine();
    let pool = pool(&engine);
    let mut holder = Command::new("flock")
        .args(["/run/lock/lvm/V_vg0", "sleep", "600"])
        .spawn()
        .expect("flock runs");
    while !run("cat /proc/locks").contains("FLOCK") {
        std::thread::yield_now();
    }
    let step = Step::Create {
        group: pool.id.clone(),
        device: "standpipe-t".into(),
        name: "t".into(),
        size: EXTENT,
        job: JobId::new(),
        place: Place::ANYWHERE,
    };
    let begin = std::time::Instant::now();
    refused(&engine, &step, Kind::Timeout);
    assert!(
        begin.elapsed() < Duration::from_secs(25),
        "{:?}",
        begin.elapsed()
    );
    run(&format!(
        "kill $(cat /proc/{0}/task/{0}/children) {0}",
        holder.id()
    ));
    holder.wait().expect("it ends");
    let id = volume(&engine, "works again", EXTENT);
    delete(&engine, &id);
    assert_eq!(lvs().trim(), "");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_the_network_interfaces_have_their_addresses() {
    let nics = engine().scan().expect("a scan").nics;
    let eth0 = nics.iter().find(|nic| nic.name == "eth0").expect("eth0");
    assert_eq!(eth0.mac.len(), 12);
    assert!(
        eth0.addresses
            .contains(&("10.0.2.15".parse().expect("an address"), 24))
    );
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_volume_that_a_program_has_open_is_not_removed() {
    let engine = engine();
    let id = volume(&engine, "open", EXTENT);
    let device = volumes(&engine).remove(0).device;
    let reader = fs::File::open(format!("/dev/vg0/{device}")).expect("the device is there");
    let job = JobId::new();
    refused(
        &engine,
        &Step::Mark {
            volume: Subject::Known(id.clone()),
            job,
        },
        Kind::InUse,
    );
    drop(reader);
    delete(&engine, &id);
    assert_eq!(lvs().trim(), "");
}
