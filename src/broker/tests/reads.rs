//! Instances and names of classes, single instances, properties.

use super::shelf::{Board, Id, Shelf};
use super::*;
use crate::broker::Snapshot;

fn path_of(id: Id) -> ObjectPath {
    Shelf::with_volumes(4).path(&id)
}

#[tokio::test]
async fn a_superclass_lists_the_instances_of_all_below_it_in_its_namespace() {
    let broker = broker(2);
    let names = listed(&broker, "root/standpipe", names_of("cim_storagepool")).await;
    assert_eq!(
        names,
        [
            "root/standpipe:Standpipe_PrimordialStoragePool.InstanceID=\"primordial\"",
            "root/standpipe:Standpipe_StoragePool.InstanceID=\"pool 0\"",
            "root/standpipe:Standpipe_StoragePool.InstanceID=\"pool 1\"",
        ]
    );
    let none = listed(&broker, "interop", names_of("CIM_StoragePool")).await;
    assert!(none.is_empty());
    let profiles = listed(&broker, "ROOT/Interop", names_of("CIM_RegisteredProfile")).await;
    assert_eq!(profiles.len(), 2);
    assert!(profiles.iter().all(|p| p.starts_with("interop:")));
    assert!(
        listed(&broker, "interop", names_of("CIM_StorageSynchronized"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_enumerated_equals_what_is_fetched() {
    let broker = broker(3);
    for (namespace, class) in [
        ("interop", "CIM_ManagedElement"),
        ("root/standpipe", "CIM_ManagedElement"),
        ("interop", "CIM_ElementConformsToProfile"),
        ("root/standpipe", "CIM_Component"),
        ("root/standpipe", "CIM_AllocatedFromStoragePool"),
    ] {
        let found = all(&broker, namespace, instances_of(class)).await;
        assert!(!found.is_empty(), "{class}");
        let names = listed(&broker, namespace, names_of(class)).await;
        let found_names: Vec<_> = found.iter().map(|(p, _)| p.to_string()).collect();
        assert_eq!(names, found_names);
        for (path, instance) in found {
            let fetched = one(&broker, namespace, get(&path)).await;
            assert_eq!(fetched, instance, "{path}");
            for (key, value) in path.keys.iter().flat_map(|keys| keys.iter()) {
                assert_eq!(instance.value(key.as_str()), Some(value), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn associations_are_instances_with_references_as_keys() {
    let broker = broker(4);
    let links = all(
        &broker,
        "interop",
        instances_of("CIM_ElementConformsToProfile"),
    )
    .await;
    let (path, _) = &links[0];
    assert_eq!(path.namespace, Some("interop".into()));
    let element = path
        .keys
        .as_ref()
        .and_then(|keys| keys.find("ManagedElement"));
    let element = element.and_then(Value::as_reference).expect("a reference");
    assert_eq!(element.namespace, Some("root/standpipe".into()));
    let shares = all(
        &broker,
        "root/standpipe",
        instances_of("CIM_AllocatedFromStoragePool"),
    )
    .await;
    let consumed: Vec<_> = shares
        .iter()
        .map(|(_, i)| i.value("SpaceConsumed").cloned())
        .collect();
    let expected = [1000u64, 1002, 1001, 1003].map(|n| Some(Value::Uint64(n)));
    assert_eq!(consumed, expected);
}

#[tokio::test]
async fn a_link_between_unrelated_elements_is_not_found() {
    let broker = broker(4);
    let shares = all(
        &broker,
        "root/standpipe",
        instances_of("CIM_AllocatedFromStoragePool"),
    )
    .await;
    let mut path = shares[0].0.clone();
    let keys = [
        ("Antecedent", Value::from(path_of(Id::Pool(1)))),
        ("Dependent", Value::from(path_of(Id::Volume(0)))),
    ];
    path.keys = Some(keys.into_iter().collect());
    let status = refusal(&broker, "root/standpipe", get(&path)).await;
    assert_eq!(status, Some(Status::NotFound));
}

#[tokio::test]
async fn references_in_keys_take_the_namespace_of_the_request() {
    let broker = broker(4);
    let bare = |id| ObjectPath {
        namespace: None,
        ..path_of(id)
    };
    let keys = [
        ("antecedent", Value::from(bare(Id::Pool(1)))),
        ("DEPENDENT", Value::from(bare(Id::Volume(1)))),
    ];
    let path = ObjectPath::instance("CIM_AllocatedFromStoragePool", keys.into_iter().collect());
    let found = one(&broker, "root/standpipe", get(&path)).await;
    assert_eq!(found.value("SpaceConsumed"), Some(&Value::Uint64(1001)));
    let antecedent = found.value("Antecedent").and_then(Value::as_reference);
    assert_eq!(antecedent, Some(&path_of(Id::Pool(1))));
}

#[tokio::test]
async fn property_lists_choose_and_the_path_stays_whole() {
    let broker = broker(1);
    for (names, expected) in [
        (
            &["blocksize", "Nonsense", "BlockSize"][..],
            &["BlockSize"][..],
        ),
        (&["DeviceID"], &["DeviceID"]),
        (&[], &[]),
        (&["Caption"], &["Caption"]),
    ] {
        let operation = Operation::List {
            source: Source::Class("CIM_StorageVolume".into()),
            form: Form::Instances(only(names)),
        };
        let found = all(&broker, "root/standpipe", operation).await;
        let (path, instance) = &found[0];
        let names: Vec<_> = instance
            .properties
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        assert_eq!(names, expected);
        assert_eq!(path.keys.as_ref().map(|keys| keys.len()), Some(4));
    }
}

#[tokio::test]
async fn without_deep_inheritance_properties_stop_at_the_class() {
    let broker = broker(1);
    let operation = |deep| Operation::List {
        source: Source::Class("CIM_LogicalDevice".into()),
        form: Form::Instances(Selection {
            deep,
            class_origin: true,
            ..Selection::default()
        }),
    };
    let deep = all(&broker, "root/standpipe", operation(true)).await;
    assert!(deep[0].1.property("BlockSize").is_some());
    let flat = all(&broker, "root/standpipe", operation(false)).await;
    assert!(flat[0].1.property("BlockSize").is_none());
    let device_id = flat[0]
        .1
        .property("DeviceID")
        .expect("CIM_LogicalDevice has it");
    assert_eq!(device_id.origin, Some("CIM_LogicalDevice".into()));
    assert_eq!(deep.len(), flat.len());
}

#[tokio::test]
async fn single_properties_are_read_by_name() {
    let broker = broker(1);
    let read = |property: &str| Op::GetProperty {
        path: path_of(Id::Volume(0)),
        property: property.into(),
    };
    for (property, expected) in [
        ("elementname", Some(Value::from("volume 0"))),
        ("DeviceID", Some("d0".into())),
        ("Caption", None),
        ("Purpose", None),
    ] {
        let reply = run(&broker, "root/standpipe", read(property)).await;
        let Ok(Reply::Value(value)) = reply else {
            panic!("{property}: a value is wanted");
        };
        assert_eq!(value, expected, "{property}");
    }
    let unknown = refusal(&broker, "root/standpipe", read("Nonsense")).await;
    assert_eq!(unknown, Some(Status::NoSuchProperty));
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_order() {
    let broker = broker(1);
    let mut gone = path_of(Id::Volume(3));
    gone.namespace = None;
    let no_class = ObjectPath {
        class: "CIM_Foo".into(),
        ..gone.clone()
    };
    for (namespace, operation, status) in [
        (
            "root/nowhere",
            instances_of("CIM_Foo"),
            Status::InvalidNamespace,
        ),
        ("interop", instances_of("CIM_Foo"), Status::InvalidClass),
        ("interop", names_of("CIM_Foo"), Status::InvalidClass),
        ("root/standpipe", get(&no_class), Status::InvalidClass),
        ("root/standpipe", get(&gone), Status::NotFound),
        ("interop", get(&path_of(Id::Volume(3))), Status::NotFound),
    ] {
        assert_eq!(refusal(&broker, namespace, operation).await, Some(status));
    }
}

#[tokio::test]
async fn instances_are_made_when_they_are_taken() {
    let shelf = Shelf::with_volumes(1000);
    let fills = Arc::clone(&shelf.fills);
    let broker = Broker::new(Board::new(shelf), PullLimits::default());
    let reply = run(&broker, "root/standpipe", instances_of("CIM_StorageVolume")).await;
    let Ok(Reply::Objects(Objects::Instances(mut volumes))) = reply else {
        panic!("instances are wanted");
    };
    assert_eq!(fills.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert!(volumes.nth(2).is_some());
    assert_eq!(fills.load(std::sync::atomic::Ordering::Relaxed), 3);
}
