//! Wishes about single views: what they show comes and goes, and no other view changes.

use super::super::*;
use super::world::*;
use crate::array::error::Kind;
use crate::array::ids::ViewId;
use crate::array::model::*;

fn expand(view: ViewId, members: Members, luns: &[u16]) -> Command {
    Command::ExpandView {
        view,
        members,
        luns: luns.to_vec(),
    }
}

fn reduce(view: ViewId, members: Members) -> Command {
    Command::ReduceView { view, members }
}

fn ports(tags: &[u16]) -> Members {
    Members::Ports(tags.iter().map(|tag| port(*tag)).collect())
}

/// What a view shows: "a 1 v1 1" is that a sees v1 through port 1 as number 1.
fn shown(world: &World, view: ViewId) -> Vec<String> {
    let view = world.0.view(&view).expect("the view");
    let maps = world.0.maps_of(view).into_iter();
    let word = |map: Map| {
        let name = map.initiator.folded();
        let name = name.rsplit(':').next().unwrap_or_default().to_owned();
        format!("{name} {} {} {}", short(&map.port), map.volume, map.lun)
    };
    maps.map(word).collect()
}

fn members_of(world: &World, view: ViewId, kind: GroupKind) -> Members {
    let view = world.0.view(&view).expect("the view");
    let group = view.group(kind).expect("a group");
    world.0.group(&group).expect("the group").members.clone()
}

#[test]
fn views_made_grown_and_reduced() {
    let mut world = World::new();
    let view = world.makes(&make_view(&["a"], &[1], &["v1", "v2"], &[7, 3]));
    assert_eq!(shown(&world, view), ["a 1 v1 7", "a 1 v2 3"]);
    assert_eq!(
        members_of(&world, view, GroupKind::Volumes),
        devices(&["v1", "v2"])
    );
    // One list after the other; what was there keeps its number.
    world.does(&expand(view, devices(&["v3"]), &[]));
    world.does(&reduce(view, devices(&["v1"])));
    assert_eq!(shown(&world, view), ["a 1 v2 3", "a 1 v3 1"]);
    world.does(&expand(view, initiators(&["e"]), &[]));
    assert!(world.0.initiator(&host("e")).is_some(), "it was introduced");
    world.does(&expand(view, ports(&[2]), &[]));
    world.does(&reduce(view, ports(&[1])));
    world.does(&reduce(view, initiators(&["a"])));
    assert_eq!(shown(&world, view), ["e 2 v2 3", "e 2 v3 1"]);
    // The view stays when nothing is left of a kind, and can be filled again.
    world.does(&reduce(view, devices(&["v2", "v3"])));
    assert_eq!(shown(&world, view), Vec::<String>::new());
    world.does(&reduce(view, initiators(&["e"])));
    world.does(&expand(view, devices(&["v1"]), &[0]));
    world.does(&expand(view, initiators(&["a"]), &[]));
    assert_eq!(shown(&world, view), ["a 2 v1 0"]);
    // Its groups were made for it and go with it; initiators stay known.
    world.does(&Command::DeleteView {
        view,
        delete_unassociated: false,
    });
    assert_eq!((world.0.views().count(), world.0.groups().count()), (0, 0));
    assert!(world.0.initiator(&host("e")).is_some());
}

#[test]
fn a_view_may_begin_with_any_of_the_three() {
    let table: [(&[&str], &[u16], &[&str]); 3] =
        [(&["a"], &[], &[]), (&[], &[1], &[]), (&[], &[], &["v1"])];
    for (names, tags, ids) in table {
        let mut world = World::new();
        let view = world.makes(&make_view(names, tags, ids, &[]));
        assert_eq!(shown(&world, view), Vec::<String>::new());
        for members in [initiators(&["a"]), ports(&[1]), devices(&["v1"])] {
            if members_of(&world, view, members.kind()).is_empty() {
                world.does(&expand(view, members, &[]));
            }
        }
        assert_eq!(shown(&world, view), ["a 1 v1 1"]);
    }
}

#[test]
fn initiators_bring_their_group_along() {
    let mut world = World::new();
    let group = world.hosts(&["a", "b"]);
    let first = world.makes(&make_view(&["a", "b"], &[1], &["v1"], &[]));
    let second = world.makes(&make_view(&["b", "a"], &[2], &["v1", "v2"], &[]));
    for view in [first, second] {
        assert_eq!(world.0.view(&view).unwrap().initiators, Some(group));
    }
    assert_eq!(shown(&world, first), ["a 1 v1 1", "b 1 v1 1"]);
    // The group was somebody's, and stays when the views go.
    for view in [first, second] {
        world.does(&Command::DeleteView {
            view,
            delete_unassociated: false,
        });
    }
    let left: Vec<_> = world.0.groups().map(|g| g.id).collect();
    assert_eq!(left, [group]);
}

#[test]
fn a_group_view_changes_in_its_groups_and_a_shared_group_is_copied() {
    let mut world = World::new();
    let (a, one, group) = (
        world.hosts(&["a"]),
        world.ports(&[1]),
        world.devices(&["v1"]),
    );
    let view = world.view(&[a, one, group]);
    world.does(&expand(view, devices(&["v2"]), &[]));
    assert_eq!(
        world.0.group(&group).unwrap().members,
        devices(&["v1", "v2"]),
        "no other view has the group"
    );
    // From now on another view has the same devices and ports.
    let b = world.hosts(&["b"]);
    let other = world.view(&[b, one, group]);
    let before = shown(&world, other);
    world.does(&expand(view, devices(&["v3"]), &[9]));
    world.does(&reduce(view, devices(&["v1"])));
    world.does(&expand(view, ports(&[2]), &[]));
    assert_eq!(
        shown(&world, view),
        ["a 1 v2 2", "a 1 v3 9", "a 2 v2 2", "a 2 v3 9"]
    );
    assert_eq!(shown(&world, other), before);
    let now = world.0.view(&view).unwrap();
    assert!(now.volumes != Some(group) && now.ports != Some(one));
    assert_eq!(now.initiators, Some(a));
    let untouched = [one, group].map(|id| world.0.group(&id).unwrap().members.clone());
    assert_eq!(untouched, [ports(&[1]), devices(&["v1", "v2"])]);
    // The steps concern nobody else.
    let plan = world
        .plan(&reduce(other, devices(&["v1"])))
        .expect("a plan");
    assert_eq!(steps(&plan), ["unmap v1 1 / map v1 1"]);
}

#[test]
fn wishes_about_paths_that_are_refused() {
    let mut world = World::new();
    let pair = world.hosts(&["c", "d"]);
    let one = world.ports(&[1]);
    let group = world.devices(&["v1"]);
    let view = world.makes(&make_view(&["a"], &[1], &["v1"], &[5]));
    let first = world.view(&[pair, one, group]);
    let second = world.makes(&make_view(&["c", "d"], &[2], &["v2"], &[]));
    let gone = ViewId::new();
    let table = [
        (
            make_view(&[], &[], &[], &[]),
            Kind::InvalidArgument,
            "view of nothing",
        ),
        (
            make_view(&["e"], &[9], &["v1"], &[]),
            Kind::NotFound,
            "no target port",
        ),
        (
            make_view(&["e"], &[1], &["gone"], &[]),
            Kind::NotFound,
            "no volume gone",
        ),
        (
            make_view(&["e"], &[1], &["v1", "v2"], &[4, 4]),
            Kind::NumberTaken,
            "number 4 is taken",
        ),
        (
            make_view(&["e"], &[1], &["v1", "v2"], &[4]),
            Kind::InvalidArgument,
            "one for each",
        ),
        (
            make_view(&["e"], &[1], &["v1"], &[256]),
            Kind::InvalidArgument,
            "256 is too large",
        ),
        (
            make_view(&["e"], &[1], &[], &[1]),
            Kind::InvalidArgument,
            "for 0 devices",
        ),
        (
            make_view(&["a"], &[1], &["v2"], &[]),
            Kind::AlreadyShown,
            "already has masking view",
        ),
        (
            make_view(&["a", "e"], &[1], &["v2"], &[]),
            Kind::AlreadyShown,
            "already has masking view",
        ),
        (
            make_view(&["a", "e"], &[2], &["v2"], &[]),
            Kind::AlreadyExists,
            "not a group of exactly them",
        ),
        (
            make_view(&["c"], &[2], &["v3"], &[]),
            Kind::AlreadyShown,
            "already has masking view",
        ),
        (
            expand(view, devices(&["v2"]), &[5]),
            Kind::NumberTaken,
            "number 5 is taken",
        ),
        (
            expand(view, devices(&["v1"]), &[]),
            Kind::AlreadyExists,
            "already a member",
        ),
        (
            expand(view, initiators(&["a"]), &[]),
            Kind::AlreadyShown,
            "leave it out",
        ),
        (
            expand(view, ports(&[1]), &[]),
            Kind::AlreadyShown,
            "leave it out",
        ),
        (
            expand(view, initiators(&["c"]), &[]),
            Kind::AlreadyShown,
            "already has masking view",
        ),
        (
            expand(view, initiators(&["e"]), &[1]),
            Kind::InvalidArgument,
            "belong to devices",
        ),
        (
            expand(second, ports(&[1]), &[]),
            Kind::AlreadyShown,
            "already has masking view",
        ),
        // Both views have the pair: e would see what the other one shows.
        (
            expand(second, initiators(&["e"]), &[]),
            Kind::InUse,
            "have one initiator group",
        ),
        (
            reduce(first, initiators(&["c"])),
            Kind::InUse,
            "have one initiator group",
        ),
        (
            expand(gone, devices(&["v2"]), &[]),
            Kind::NotFound,
            "no masking view",
        ),
        (
            reduce(view, devices(&["v2"])),
            Kind::NotFound,
            "is not a member",
        ),
        (
            reduce(view, initiators(&["b"])),
            Kind::NotShown,
            "is not in masking view",
        ),
        (
            reduce(view, ports(&[2])),
            Kind::NotShown,
            "is not in masking view",
        ),
    ];
    for (command, kind, sentence) in table {
        world.refuses(&command, kind, sentence);
    }
    assert!(
        world.0.initiator(&host("e")).is_none(),
        "a refusal introduces nobody"
    );
    // All of them may leave one of the views: nobody is in two groups then.
    world.does(&reduce(second, initiators(&["c", "d"])));
    assert_eq!(shown(&world, second), Vec::<String>::new());
    assert_eq!(shown(&world, first), ["c 1 v1 1", "d 1 v1 1"]);
}
