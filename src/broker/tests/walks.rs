//! Associations of instances: every filter, both directions, and what a step costs.

use std::sync::atomic::Ordering;

use super::shelf::{Board, Id, Shelf};
use super::*;
use crate::broker::Snapshot;

/// Filters in the order of Associators: AssocClass, ResultClass, Role, ResultRole.
type Filters = [&'static str; 4];
const NONE: Filters = ["", "", "", ""];

fn some(text: &str) -> Option<Name> {
    (!text.is_empty()).then(|| text.into())
}

fn associators(object: ObjectPath, filters: Filters) -> Source {
    let [association, result, role, result_role] = filters.map(some);
    Source::Associators {
        object,
        association,
        result,
        role,
        result_role,
    }
}

fn references(object: ObjectPath, result: &str, role: &str) -> Source {
    Source::References {
        object,
        result: some(result),
        role: some(role),
    }
}

fn names(source: Source) -> Op {
    Operation::List {
        source,
        form: Form::Paths,
    }
}

fn path_of(id: Id) -> ObjectPath {
    Shelf::with_volumes(4).path(&id)
}

/// The elements that a walk from `id` ends at.
async fn walked(broker: &Broker<Board>, id: Id, filters: Filters) -> Vec<Id> {
    let operation = names(associators(path_of(id), filters));
    let reply = run(broker, "root/standpipe", operation)
        .await
        .expect("walked");
    let Reply::Objects(objects) = reply else {
        panic!("a listing is wanted");
    };
    let shelf = Shelf::with_volumes(4);
    paths(objects)
        .iter()
        .map(|p| shelf.resolve(p).expect("an element"))
        .collect()
}

#[tokio::test]
async fn every_filter_of_associators_chooses() {
    let broker = broker(4);
    let pools = vec![Id::Primordial, Id::Pool(0), Id::Pool(1)];
    let volumes: Vec<_> = (0..4).map(Id::Volume).collect();
    let with_profile = |ids: &[Id]| [&[Id::Profile(0)], ids].concat();
    let everything = [&pools[..], &volumes].concat();
    let cases: Vec<(Id, Filters, Vec<Id>)> = vec![
        (Id::System, NONE, with_profile(&everything)),
        (
            Id::System,
            ["CIM_Component", "", "", ""],
            everything.clone(),
        ),
        (
            Id::System,
            ["cim_systemdevice", "", "", ""],
            volumes.clone(),
        ),
        (Id::System, ["CIM_Dependency", "", "", ""], vec![]),
        (Id::System, ["", "CIM_StoragePool", "", ""], pools.clone()),
        (
            Id::System,
            ["", "Standpipe_StoragePool", "", ""],
            vec![Id::Pool(0), Id::Pool(1)],
        ),
        (
            Id::System,
            ["", "CIM_RegisteredProfile", "", ""],
            vec![Id::Profile(0)],
        ),
        (Id::System, ["", "CIM_ConcreteJob", "", ""], vec![]),
        (
            Id::System,
            ["", "", "groupcomponent", ""],
            everything.clone(),
        ),
        (Id::System, ["", "", "PartComponent", ""], vec![]),
        (Id::System, ["", "", "", "PartComponent"], everything),
        (
            Id::System,
            ["", "", "", "ConformantStandard"],
            vec![Id::Profile(0)],
        ),
        (
            Id::System,
            [
                "CIM_SystemDevice",
                "CIM_StorageVolume",
                "GroupComponent",
                "PartComponent",
            ],
            volumes,
        ),
        (Id::Volume(3), NONE, vec![Id::System, Id::Pool(1)]),
        (
            Id::Volume(1),
            ["", "", "Dependent", ""],
            vec![Id::Pool(1), Id::View],
        ),
        (Id::View, NONE, vec![Id::Volume(0), Id::Volume(1)]),
        (Id::Capabilities, NONE, vec![]),
    ];
    for (from, filters, expected) in cases {
        assert_eq!(
            walked(&broker, from, filters).await,
            expected,
            "{from:?} {filters:?}"
        );
    }
}

#[tokio::test]
async fn both_ends_may_be_of_one_kind() {
    let broker = broker(0);
    let referenced = ["CIM_ReferencedProfile", "", "", ""];
    let walk = |id, filters| walked(&broker, id, filters);
    assert_eq!(walk(Id::Profile(0), referenced).await, [Id::Profile(1)]);
    // Profile 1 is referenced by both, itself among them.
    let met = walk(Id::Profile(1), referenced).await;
    assert_eq!(met, [Id::Profile(1), Id::Profile(0)]);
    let down = ["CIM_ReferencedProfile", "", "Antecedent", ""];
    assert_eq!(walk(Id::Profile(1), down).await, [Id::Profile(1)]);
    let links = names(references(
        path_of(Id::Profile(1)),
        "CIM_ReferencedProfile",
        "",
    ));
    assert_eq!(listed(&broker, "interop", links).await.len(), 2);
}

#[tokio::test]
async fn references_are_the_links_that_a_walk_takes() {
    let broker = broker(4);
    for (from, class, role, count) in [
        (Id::Volume(0), "", "", 3),
        (Id::Volume(3), "", "", 2),
        (Id::Volume(0), "CIM_ProtocolControllerForUnit", "", 1),
        (
            Id::Volume(0),
            "CIM_ProtocolControllerForUnit",
            "Antecedent",
            0,
        ),
        (Id::System, "CIM_Component", "GroupComponent", 7),
        (Id::System, "CIM_ElementConformsToProfile", "", 1),
        (Id::System, "CIM_StorageSynchronized", "", 0),
    ] {
        let source = references(path_of(from), class, role);
        let form = Form::Instances(Selection::default());
        let operation = Operation::List { source, form };
        let links = all(&broker, "root/standpipe", operation).await;
        assert_eq!(links.len(), count, "{from:?} {class} {role}");
        for (path, instance) in links {
            let namespace = path.namespace.clone().expect("paths name their namespace");
            let fetched = one(&broker, namespace.as_str(), get(&path)).await;
            assert_eq!(fetched, instance, "{path}");
        }
        let paths = listed(
            &broker,
            "root/standpipe",
            names(references(path_of(from), class, role)),
        );
        assert_eq!(paths.await.len(), count);
    }
}

#[tokio::test]
async fn an_association_that_crosses_namespaces_is_walked_from_both_ends() {
    let broker = broker(0);
    let conforms = ["CIM_ElementConformsToProfile", "", "", ""];
    let down = names(associators(path_of(Id::Profile(0)), conforms));
    let system = listed(&broker, "root/interop", down).await;
    assert!(
        system[0].starts_with("root/standpipe:Standpipe_ComputerSystem."),
        "{system:?}"
    );
    let up = names(associators(path_of(Id::System), conforms));
    let profile = listed(&broker, "root/standpipe", up).await;
    assert_eq!(
        profile,
        ["interop:Standpipe_RegisteredProfile.InstanceID=\"profile 0\""]
    );
    let link = names(references(
        path_of(Id::System),
        "CIM_ElementConformsToProfile",
        "",
    ));
    let link = listed(&broker, "root/standpipe", link).await;
    assert!(
        link[0].starts_with("interop:CIM_ElementConformsToProfile."),
        "{link:?}"
    );
}

#[tokio::test]
async fn a_step_touches_nothing_else() {
    let shelf = Shelf::with_volumes(10_000);
    let (steps, fills) = (Arc::clone(&shelf.steps), Arc::clone(&shelf.fills));
    let broker = Broker::new(Board::new(shelf), PullLimits::default());
    for (from, filters, expected) in [
        (
            Id::Volume(1),
            ["CIM_ProtocolControllerForUnit", "", "", ""],
            1,
        ),
        (Id::Volume(1), ["", "CIM_StoragePool", "", ""], 1),
        (Id::Volume(1), NONE, 3),
        (Id::System, ["CIM_HostedStoragePool", "", "", ""], 1),
        (Id::System, ["", "CIM_ConcreteJob", "", ""], 0),
        (Id::System, ["CIM_Component", "", "PartComponent", ""], 0),
    ] {
        steps.store(0, Ordering::Relaxed);
        let form = Form::Instances(Selection::default());
        let source = associators(path_of(from), filters);
        all(&broker, "root/standpipe", Operation::List { source, form }).await;
        assert_eq!(
            steps.load(Ordering::Relaxed),
            expected,
            "{from:?} {filters:?}"
        );
        assert_eq!(
            fills.load(Ordering::Relaxed),
            0,
            "no volume is at the other end"
        );
    }
    // Whether a link exists is asked from the end that has few.
    steps.store(0, Ordering::Relaxed);
    let keys = [
        ("GroupComponent", Value::from(path_of(Id::System))),
        ("PartComponent", Value::from(path_of(Id::Volume(3)))),
    ];
    let link = ObjectPath::instance("CIM_SystemDevice", keys.into_iter().collect());
    one(&broker, "root/standpipe", get(&link)).await;
    assert_eq!(steps.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn wrong_sources_and_filters_are_refused() {
    let broker = broker(1);
    let system = || path_of(Id::System);
    let foo = || ObjectPath {
        class: "CIM_Foo".into(),
        ..path_of(Id::System)
    };
    for (source, status) in [
        (
            associators(system(), ["CIM_Foo", "", "", ""]),
            Status::InvalidParameter,
        ),
        (
            associators(system(), ["", "CIM_Foo", "", ""]),
            Status::InvalidParameter,
        ),
        (
            references(system(), "CIM_Foo", ""),
            Status::InvalidParameter,
        ),
        (associators(foo(), NONE), Status::InvalidParameter),
        (
            references(ObjectPath::class("CIM_Foo"), "", ""),
            Status::InvalidParameter,
        ),
        (associators(path_of(Id::Volume(3)), NONE), Status::NotFound),
    ] {
        let refused = refusal(&broker, "root/standpipe", names(source.clone())).await;
        assert_eq!(refused, Some(status), "{source:?}");
        let opened = open(source, Form::Paths, SessionTerms::default());
        assert_eq!(
            refusal(&broker, "root/standpipe", opened).await,
            Some(status)
        );
    }
    // Roles are names, not classes: one that nothing has leaves nothing.
    assert!(
        walked(&broker, Id::System, ["", "", "Nonsense", ""])
            .await
            .is_empty()
    );
}
