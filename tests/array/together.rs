//! Creates that are planned before either of them has taken anything.

use std::sync::Barrier;

use standpipe::array::{Array, Command, Place, Quality, Step, Waited};
use standpipe::engine::sim::{Clock, EXTENT, SimEngine};

use super::gate::hooked;
use super::rig::{Medium, policy, who};

/// An array with one pool of four disks of 20 extents, where so many creates meet.
fn array(creates: usize) -> Array {
    let sim = SimEngine::builder()
        .pool("vg0", 4, 21 * EXTENT)
        .clock(Clock::instant())
        .build()
        .expect("a machine");
    // Nobody makes a volume with legs of its own before everybody is about to.
    let all = Barrier::new(creates);
    hooked(policy(), &sim, &Medium::default(), move |step| {
        if let Step::Create {
            place: Place::Disks { .. },
            ..
        } = step
        {
            all.wait();
        }
    })
}

fn mirror(array: &Array, name: &str, extents: u64) -> Command {
    let now = array.snapshot();
    Command::CreateVolumes {
        pool: now.pools().next().expect("the pool").id.clone(),
        names: vec![name.to_owned()],
        count: 1,
        size: extents * EXTENT,
        quality: Quality {
            survives: Some(1),
            copies: Some(2),
            ..Quality::default()
        },
    }
}

#[test]
fn creates_at_once_choose_different_disks() {
    // Two on one pair of disks have no room; the pool has room for both.
    let array = array(2);
    let tickets = ["one", "two"].map(|name| {
        let command = mirror(&array, name, 15);
        array.submit(&who(), command).expect("it is taken in")
    });
    for ticket in tickets {
        match ticket.join() {
            Waited::Done(..) => {}
            other => panic!("there was room: {other:?}"),
        }
    }
    let now = array.snapshot();
    let mut disks: Vec<_> = now
        .volumes()
        .flat_map(|volume| volume.pieces.iter().map(|piece| piece.disk.clone()))
        .collect();
    disks.sort();
    disks.dedup();
    assert_eq!(disks.len(), 4, "each leg lies on a disk of its own");
}

#[test]
fn what_was_promised_is_free_again_when_it_was_taken_or_failed() {
    let array = array(1);
    let done = |name: &str| {
        let command = mirror(&array, name, 15);
        array
            .submit(&who(), command)
            .expect("it is taken in")
            .join()
    };
    assert!(matches!(done("one"), Waited::Done(..)));
    assert!(matches!(done("two"), Waited::Done(..)));
    // No pair of disks has room for a third, and nothing counts twice.
    let Waited::Failed(error, None) = done("three") else {
        panic!("there is no room for it");
    };
    assert_eq!(error.largest, Some(3 * EXTENT));
}
