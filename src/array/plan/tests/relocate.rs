//! Plans that put volumes into another pool.

use super::replicas::{changed, world};
use super::world::*;
use super::*;
use crate::array::error::Kind;
use crate::array::ids::PoolId;
use crate::array::inventory::Policy;
use crate::array::model::*;
use crate::array::quality::Quality;
use crate::array::step::Erasing;

fn relocate(ids: &[&str], pool: &str) -> Command {
    Command::RelocateVolumes {
        volumes: ids.iter().map(|id| VolumeId::from(*id)).collect(),
        pool: PoolId::from(pool),
        quality: None,
    }
}

fn plan(world: &World, ids: &[&str], pool: &str) -> Plan {
    world.plan(&relocate(ids, pool)).expect("a plan")
}

#[test]
fn the_old_one_goes_after_the_new_one_is_finished() {
    assert_eq!(
        steps(&plan(&world(), &["v2"], "other")),
        [
            "mark / unmark",
            "create 2 / remove",
            "fill",
            "inherit from v2",
            "unmark",
            "remove",
        ]
    );
}

#[test]
fn all_are_copied_before_the_first_is_finished() {
    let plan = plan(&world(), &["v2", "far"], "thin");
    assert_eq!(
        steps(&plan),
        [
            "mark / unmark",
            "mark / unmark",
            "create 2 / remove",
            "create 2 / remove",
            "fill",
            "inherit from v2",
            "fill",
            "inherit from far",
            "unmark",
            "unmark",
            "remove",
            "remove",
        ]
    );
    assert!(plan.is_cancellable());
    let Goal::Relocated {
        group,
        leaving,
        beside,
        ..
    } = &plan.goal
    else {
        panic!("{:?}", plan.goal);
    };
    assert_eq!(*group, pool_id());
    assert_eq!(leaving.len(), 2);
    assert_eq!(*beside, [PoolId::from("other")]);
    // What they are read from is there for everybody meanwhile.
    assert_eq!(plan.copied().0, *leaving);
}

#[test]
fn what_hosts_know_is_erased_only_where_it_lay() {
    let mut world = world();
    let policy = Policy {
        erase: Some(Erasing::Zero),
        ..Policy::default()
    };
    world.0.policy = policy.into();
    let plan = plan(&world, &["v2"], "other");
    let words = steps(&plan);
    assert_eq!(words[4..], ["unmark", "erase", "remove"]);
    // It can be stopped as long as nothing is erased; later nobody stops it.
    assert!(plan.is_cancellable());
}

#[test]
fn a_replica_stays_one() {
    for (id, source) in [("clone", "v1"), ("shared", "t1")] {
        let words = steps(&plan(&world(), &[id], "other"));
        assert!(words.contains(&format!("relate to {source}")), "{words:?}");
    }
}

#[test]
fn it_lies_as_it_did_unless_something_else_is_asked_for() {
    let mirrored = |quality| Command::RelocateVolumes {
        volumes: vec!["v2".into()],
        pool: pool_id(),
        quality,
    };
    let quality = Quality {
        survives: Some(1),
        copies: Some(2),
        ..Quality::default()
    };
    let world = changed("v2", |volume| volume.pool = "other".into());
    let words = |quality| steps(&world.plan(&mirrored(quality)).expect("a plan"));
    assert!(!words(None).contains(&"sync".to_owned()));
    assert!(words(Some(quality)).contains(&"sync".to_owned()));
}

#[test]
fn what_does_not_fit_is_refused() {
    let big = changed("v2", |volume| volume.size = 10 * EXTENT);
    big.refuses(&relocate(&["v2"], "other"), Kind::NoSpace, "has room for");
    let full = changed("v2", |volume| volume.size = 13 * EXTENT);
    full.refuses(
        &relocate(&["v2"], "thin"),
        Kind::NoSpace,
        "would be written",
    );
}

#[test]
fn what_somebody_uses_or_needs_stays() {
    let refuses = |ids: &[&str], pool: &str, kind, about: &str| {
        world().refuses(&relocate(ids, pool), kind, about);
    };
    refuses(&["v1"], "other", Kind::HasDependents, "source of replica");
    refuses(&["t1"], "other", Kind::HasDependents, "detach or delete");
    refuses(
        &["delta"],
        "other",
        Kind::NotSupported,
        "clone it into pool",
    );
    refuses(&["v2"], "pool", Kind::InvalidArgument, "already");
    refuses(&["v2", "v2"], "other", Kind::InvalidArgument, "different");
    refuses(&[], "other", Kind::InvalidArgument, "1 to 64");
    refuses(&["none"], "other", Kind::NotFound, "no volume none");
    refuses(&["v2"], "none", Kind::NotFound, "no pool none");
    let held = changed("v2", |volume| volume.held_by = Some("mounted".into()));
    held.refuses(&relocate(&["v2"], "other"), Kind::InUse, "is mounted");
    let foreign = changed("v2", |volume| volume.owner = Owner::Foreign);
    foreign.refuses(&relocate(&["v2"], "other"), Kind::AccessDenied, "not made");
    let torn = changed("v2", |volume| volume.torn = Some(Torn::Copied));
    torn.refuses(
        &relocate(&["v2"], "other"),
        Kind::Unavailable,
        "is not used",
    );
    let mut grouped = world();
    grouped.devices(&["v2"]);
    grouped.refuses(&relocate(&["v2"], "other"), Kind::InUse, "device group");
    let mut gathered = world();
    gathered.does(&Command::CreateReplicationGroup {
        name: None,
        members: vec!["v2".into()],
        delete_on_empty: false,
    });
    gathered.refuses(
        &relocate(&["v2"], "other"),
        Kind::InUse,
        "replication group",
    );
}
