//! Operations on classes and qualifiers, and associations between classes.

use super::shelf::Board;
use super::*;
use crate::broker::ClassSelection;
use crate::cim::Class;

const NS: &str = "root/standpipe";

fn selection() -> ClassSelection {
    ClassSelection {
        local_only: false,
        qualifiers: true,
        class_origin: true,
        properties: None,
    }
}

async fn class(broker: &Broker<Board>, name: &str, selection: ClassSelection) -> Class {
    let class = name.into();
    let reply = run(broker, NS, Operation::GetClass { class, selection }).await;
    match reply.expect("there is such a class") {
        Reply::Classes(mut classes) => classes.next().expect("one class"),
        _ => panic!("a class is wanted"),
    }
}

async fn class_names(broker: &Broker<Board>, below: Option<&str>, deep: bool) -> Vec<String> {
    let class = below.map(Name::from);
    let reply = run(broker, NS, Operation::EnumerateClassNames { class, deep }).await;
    match reply.expect("listed") {
        Reply::ClassNames(names) => names.map(|name| name.to_string()).collect(),
        _ => panic!("names are wanted"),
    }
}

#[tokio::test]
async fn a_class_comes_with_what_was_asked_for() {
    let broker = broker(0);
    let whole = class(&broker, "cim_storagevolume", selection()).await;
    assert_eq!(whole.name.as_str(), "CIM_StorageVolume");
    let device_id = whole.property("DeviceID").expect("inherited");
    assert_eq!(device_id.origin, "CIM_LogicalDevice");
    assert!(device_id.propagated && device_id.is_key());
    let bare = ClassSelection {
        qualifiers: false,
        class_origin: false,
        properties: Some(vec!["deviceid".into(), "nonsense".into()]),
        ..selection()
    };
    let bare = class(&broker, "CIM_StorageVolume", bare).await;
    assert_eq!(bare.properties.len(), 1);
    assert!(bare.qualifiers.is_empty() && bare.properties[0].qualifiers.is_empty());
    assert_eq!(bare.properties[0].origin, "");
    let local = ClassSelection {
        local_only: true,
        ..selection()
    };
    let local = class(&broker, "CIM_StorageVolume", local).await;
    assert!(local.property("DeviceID").is_none());
}

#[tokio::test]
async fn the_tree_is_listed_level_by_level_or_whole() {
    let broker = broker(0);
    let top = class_names(&broker, None, false).await;
    assert!(top.contains(&"CIM_ManagedElement".into()));
    assert!(!top.contains(&"CIM_StorageVolume".into()));
    let whole = class_names(&broker, None, true).await;
    assert!(whole.len() > top.len() && whole.contains(&"CIM_StorageVolume".into()));
    let below = class_names(&broker, Some("CIM_StorageExtent"), false).await;
    assert!(below.contains(&"CIM_StorageVolume".into()));
    assert!(!below.contains(&"Standpipe_StorageVolume".into()));
    let all_below = class_names(&broker, Some("CIM_StorageExtent"), true).await;
    assert!(all_below.contains(&"Standpipe_StorageVolume".into()));
    assert!(!all_below.contains(&"CIM_StorageExtent".into()));
    assert!(
        class_names(&broker, Some("Standpipe_StorageVolume"), true)
            .await
            .is_empty()
    );
    let whole_classes = Operation::EnumerateClasses {
        class: None,
        deep: true,
        selection: selection(),
    };
    let Ok(Reply::Classes(classes)) = run(&broker, "interop", whole_classes).await else {
        panic!("classes are wanted");
    };
    assert_eq!(classes.count(), whole.len());
}

#[tokio::test]
async fn qualifiers_are_declared() {
    let broker = broker(0);
    let Ok(Reply::Qualifiers(all)) = run(&broker, "interop", Operation::EnumerateQualifiers).await
    else {
        panic!("qualifiers are wanted");
    };
    let all: Vec<_> = all.collect();
    assert!(all.iter().any(|q| q.name == "Key"));
    let name = "association".into();
    let Ok(Reply::Qualifiers(mut one)) = run(&broker, NS, Operation::GetQualifier { name }).await
    else {
        panic!("a qualifier is wanted");
    };
    assert_eq!(
        one.next().map(|q| q.name.to_string()),
        Some("Association".into())
    );
}

#[tokio::test]
async fn unknown_classes_and_qualifiers_are_refused() {
    let broker = broker(0);
    let foo = || Name::from("CIM_Foo");
    for (operation, status) in [
        (
            Operation::GetClass {
                class: foo(),
                selection: selection(),
            },
            Status::NotFound,
        ),
        (
            Operation::EnumerateClasses {
                class: Some(foo()),
                deep: false,
                selection: selection(),
            },
            Status::InvalidClass,
        ),
        (
            Operation::EnumerateClassNames {
                class: Some(foo()),
                deep: true,
            },
            Status::InvalidClass,
        ),
        (Operation::GetQualifier { name: foo() }, Status::NotFound),
    ] {
        assert_eq!(refusal(&broker, NS, operation).await, Some(status));
    }
    let anywhere = Operation::EnumerateQualifiers;
    assert_eq!(
        refusal(&broker, "x", anywhere).await,
        Some(Status::InvalidNamespace)
    );
}

#[tokio::test]
async fn classes_are_associated_as_the_schema_declares() {
    let broker = broker(0);
    let associated = |association: &str, result: &str, role: &str| Source::Associators {
        object: ObjectPath::class("Standpipe_StorageVolume"),
        association: (!association.is_empty()).then(|| association.into()),
        result: (!result.is_empty()).then(|| result.into()),
        role: (!role.is_empty()).then(|| role.into()),
        result_role: None,
    };
    let names = |source| Operation::List {
        source,
        form: Form::Paths,
    };
    let found = listed(
        &broker,
        NS,
        names(associated("CIM_AllocatedFromStoragePool", "", "")),
    )
    .await;
    assert!(
        found.contains(&"root/standpipe:CIM_StoragePool".into()),
        "{found:?}"
    );
    let source = associated("CIM_AllocatedFromStoragePool", "", "Antecedent");
    assert!(listed(&broker, NS, names(source)).await.is_empty());
    let source = associated("CIM_SystemDevice", "CIM_System", "PartComponent");
    assert_eq!(
        listed(&broker, NS, names(source)).await,
        ["root/standpipe:CIM_System"]
    );
    let source = Source::References {
        object: ObjectPath::class("Standpipe_StorageVolume"),
        result: Some("CIM_Component".into()),
        role: None,
    };
    let form = Form::Instances(Selection::default());
    let Ok(Reply::Objects(Objects::Classes(classes))) =
        run(&broker, "interop", Operation::List { source, form }).await
    else {
        panic!("classes are wanted");
    };
    let classes: Vec<_> = classes.collect();
    assert!(
        classes
            .iter()
            .any(|(_, class)| class.name == "CIM_SystemDevice")
    );
    for (path, class) in classes {
        assert_eq!((path.class, path.keys), (class.name.clone(), None));
        assert_eq!(path.namespace, Some("interop".into()));
        assert!(class.qualifiers.is_empty(), "nobody asked for qualifiers");
    }
}
