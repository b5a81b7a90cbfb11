//! Replicas while a job works on them, as clients see them.

use std::time::Duration;

use crate::array::{Command, Copying, Effect, Ticket, VolumeId, Waited};
use crate::engine::sim::Clock;

use super::*;

/// Bytes that are copied in a second of the machine's own time.
const SLICE: u64 = 64 << 20;
const SECOND: Duration = Duration::from_secs(1);

/// An array with a thin pool in which copying takes its time.
fn slow() -> (Array, Clock) {
    let clock = Clock::stepped();
    let engine = SimEngine::builder()
        .pool("pool", 2, 8 << 30)
        .thin_pool("thin", 4 << 30)
        .clock(clock.clone())
        .copy_rate(SLICE)
        .build();
    (array(Arc::new(engine.expect("a simulated array"))), clock)
}

fn submit(array: &Array, command: Command) -> Ticket {
    let who = Identity {
        user: Arc::from("admin"),
        role: Role::Administrator,
        peer: ([127, 0, 0, 1], 4711).into(),
    };
    array.submit(&who, command).expect("accepted")
}

fn end(ticket: Ticket) -> Waited {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(ticket.wait(Duration::from_secs(60)))
}

fn made(array: &Array, command: Command) -> VolumeId {
    match end(submit(array, command)) {
        Waited::Done(Effect::Volumes(ids), _) => ids[0].clone(),
        other => panic!("{other:?}"),
    }
}

/// A thin volume of three slices and a snapshot of it.
fn pair(array: &Array) -> (VolumeId, VolumeId) {
    let inventory = array.snapshot();
    let mut pools = inventory.pools();
    let thin = pools.find(|pool| pool.thin().is_some());
    let source = made(
        array,
        Command::CreateVolumes {
            pool: thin.expect("a thin pool").id.clone(),
            names: vec!["source".into()],
            count: 1,
            size: 3 * SLICE,
            quality: crate::array::Quality::default(),
        },
    );
    let snapshot = Command::CreateReplicas {
        kind: Copying::Snapshot,
        sources: vec![source.clone()],
        names: vec!["snapshot".into()],
        pool: None,
        quality: None,
        room: None,
    };
    let replica = made(array, snapshot);
    (source, replica)
}

#[test]
fn a_restore_is_seen_at_work_and_its_volumes_stay() {
    let (array, clock) = slow();
    let (_, replica) = pair(&array);
    let client = Client::of(array.clone(), machine::simulated());
    let relation = || client.only("CIM_StorageSynchronized").1;
    let says = |property: &str| shown(&relation(), property);
    let number = |value: u16| Some(format!("{:?}", Some(Value::Uint16(value))));
    assert_eq!(says("CopyState"), number(4));
    assert_eq!(says("PercentSynced"), number(100));

    let ticket = submit(&array, Command::Restore { replica });
    assert!(clock.advance(SECOND), "it copies");
    // 3 Unsynchronized, 8 Restoring.
    assert_eq!(says("CopyState"), number(3));
    assert_eq!(says("ProgressStatus"), number(8));
    assert_ne!(says("PercentSynced"), number(100));
    let volumes = client.instances("CIM_StorageVolume");
    let mut seen: Vec<_> = volumes
        .iter()
        .map(|(_, v)| text(v, "ElementName"))
        .collect();
    seen.sort();
    assert_eq!(seen, ["snapshot", "source"], "nothing disappears meanwhile");
    let view = gateway(array.clone(), machine::simulated()).snapshot();
    assert_eq!(View::catalog().faults_in(&view), Vec::<String>::new());

    assert!(clock.advance(SECOND) && clock.advance(SECOND), "it goes on");
    assert!(matches!(end(ticket), Waited::Done(..)));
    assert_eq!(says("CopyState"), number(4));
    assert_eq!(says("ProgressStatus"), number(2));
}
