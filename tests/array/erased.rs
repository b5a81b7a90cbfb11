//! What becomes of volumes of which erasing failed, and of snapshots where volumes are erased.

use standpipe::array::{Command, Error, JobState, Kind, Members, Torn};
use standpipe::engine::sim::{Content, Moment};

use super::equipped::{erasing, volume};
use super::replicated::{clone, delete, restore, snapshot};
use super::rig::Rig;

/// What a volume holds.
fn held(rig: &Rig, name: &str) -> Vec<Content> {
    rig.sim.extents(&volume(rig, name)).expect("it can be read")
}

/// A volume that was being erased is no use but to be deleted, which ends well.
fn is_of_no_use(rig: Rig, names: &[&str]) {
    let before = ["shown", "twin", "sparse", "single"].map(|name| held(&rig, name));
    assert!(rig.erased().iter().eq(names));
    for &name in names {
        let id = volume(&rig, name);
        for command in [
            snapshot(&rig, &[(name, "x")]),
            clone(&rig, &[(name, "x")], None),
            Command::CreateGroup {
                name: None,
                members: Members::Volumes(vec![id]),
                delete_on_empty: false,
                delete_when_unassociated: false,
            },
        ] {
            let (error, _) = rig.fails(command);
            assert_eq!(error.kind, Kind::Unavailable);
            assert!(error.message.contains("delete it again"), "{error}");
        }
    }
    rig.done(delete(&rig, names));
    rig.assert_whole("in the end");
    assert!(names.iter().all(|name| rig.named(name).is_none()));
    assert_eq!(
        ["shown", "twin", "sparse", "single"].map(|name| held(&rig, name)),
        before
    );
}

fn names_both(error: &Error) {
    let told = &error.message;
    assert!(
        told.contains("'first', 'second'; delete them again"),
        "{told}"
    );
}

#[test]
fn what_was_erased_before_another_failed_does_not_come_back_as_healthy() {
    for (moment, rest) in [
        (Moment::Before, Content::Written(0x13)),
        (Moment::Midway, Content::Written(0x13)),
        (Moment::After, Content::Zeros),
    ] {
        let rig = erasing();
        // The marks, and the first one's erasure, go well.
        rig.sim.fail_step(4, Kind::Unavailable, moment);
        let (error, job) = rig.fails(delete(&rig, &["first", "second"]));
        let job = job.expect("it began");
        rig.assert_whole("after the failure");
        assert_eq!(held(&rig, "first")[..2], [Content::Zeros; 2]);
        assert_eq!(held(&rig, "second")[1], rest);
        if moment == Moment::Before {
            assert!(rig.erased().iter().eq(&["first"]));
            assert!(error.message.contains("'first'; delete"), "{error}");
            continue;
        }
        names_both(&error);
        let now = rig.now();
        let job = now.job(&job).expect("it is listed");
        assert_eq!(job.state, JobState::Failed);
        is_of_no_use(rig.restart(moment == Moment::After), &["first", "second"]);
    }
}

#[test]
fn what_could_not_be_unmarked_is_not_healthy_after_the_next_start() {
    let rig = erasing();
    rig.sim.fail_step(4, Kind::Unavailable, Moment::Midway);
    for unmark in [5, 6] {
        rig.sim.fail_step(unmark, Kind::Unavailable, Moment::Before);
    }
    let (error, _) = rig.fails(delete(&rig, &["first", "second"]));
    names_both(&error);
    assert_eq!(rig.journal(), 1);
    let rig = rig.restart(false);
    rig.assert_whole("after the start");
    is_of_no_use(rig, &["first", "second"]);
}

#[test]
fn what_fails_to_be_erased_after_a_restart_is_not_healthy() {
    let rig = erasing();
    // Between the marks and the first erasure.
    rig.mortal.die_at(4);
    rig.ask(delete(&rig, &["first", "second"]));
    assert!(rig.mortal.is_dead());
    rig.sim.fail_step(2, Kind::Unavailable, Moment::Midway);
    let rig = rig.restart(false);
    rig.rest();
    rig.assert_whole("after the start");
    is_of_no_use(rig, &["first", "second"]);
}

#[test]
fn a_copy_heals_what_was_being_erased() {
    let rig = erasing();
    rig.done(clone(&rig, &[("first", "again")], None));
    rig.sim.fail_step(2, Kind::Unavailable, Moment::Midway);
    rig.fails(delete(&rig, &["first"]));
    assert!(rig.erased().iter().eq(&["first"]));
    rig.done(restore(&rig, "again"));
    let now = rig.now();
    let first = now.volume(&volume(&rig, "first")).expect("it is listed");
    assert_eq!(first.torn, None::<Torn>);
    assert_eq!(held(&rig, "first")[..2], [Content::Written(0x12); 2]);
    rig.assert_whole("in the end");
}

#[test]
fn snapshots_go_as_they_are_and_before_their_source_is_erased() {
    let rig = erasing();
    // Of a source that stays, and of one that has lost its content.
    rig.done(delete(&rig, &["source then"]));
    rig.done(snapshot(&rig, &[("source", "later")]));
    let mut small = snapshot(&rig, &[("first", "small")]);
    if let Command::CreateReplicas { room, .. } = &mut small {
        *room = Some(1);
    }
    rig.done(small);
    let small = volume(&rig, "small");
    rig.sim.overflow(&small).expect("it lacks room");
    let rig = rig.restart(false);
    rig.done(delete(&rig, &["small"]));
    assert!(rig.erased().is_empty());
    // Its room would not do for all that is erased of the source.
    rig.done(delete(&rig, &["source", "later"]));
    assert_eq!((rig.named("source"), rig.named("later")), (None, None));
    rig.assert_whole("in the end");
}

#[test]
fn a_source_whose_snapshot_is_gone_is_tried_once_more() {
    let whole = || {
        let rig = erasing();
        let wish = delete(&rig, &["source", "source then"]);
        (rig, wish)
    };
    // After two marks and the removal of the snapshot.
    let (rig, wish) = whole();
    rig.sim.fail_step(4, Kind::Unavailable, Moment::Midway);
    rig.done(wish);
    rig.assert_whole("after one failure");
    let (rig, wish) = whole();
    for step in [4, 5] {
        rig.sim.fail_step(step, Kind::Unavailable, Moment::Midway);
    }
    let (error, _) = rig.fails(wish);
    assert!(error.message.contains("'source'; delete"), "{error}");
    rig.assert_whole("after two");
    assert_eq!(rig.named("source then"), None);
    assert_eq!(held(&rig, "source")[0], Content::Zeros);
    is_of_no_use(rig, &["source"]);
}
