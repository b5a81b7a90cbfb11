//! What changes something: who may, what the model is told, and what never reaches it.

use super::shelf::{Board, Id, Shelf};
use super::*;
use crate::broker::Snapshot;
use crate::cim::{Property, Type};
use crate::schema::Outcome;

const NS: &str = "root/standpipe";
type Given = Vec<(&'static str, Option<Value>)>;

fn path_of(id: Id) -> ObjectPath {
    Shelf::with_volumes(4).path(&id)
}

async fn call(
    broker: &Broker<Board>,
    who: &Identity,
    path: ObjectPath,
    method: &str,
    given: Given,
) -> Result<Outcome, Status> {
    let given = given.into_iter().map(|(n, v)| (Name::from(n), v)).collect();
    let called = broker.invoke(who, &path, &method.into(), given).await;
    called
        .map(|(_, outcome)| outcome)
        .map_err(|error| error.status)
}

fn instance(class: &'static str, properties: Vec<(&'static str, Value)>) -> Instance {
    let properties = properties.into_iter().map(|(name, value)| {
        let ty = value.type_of().unwrap_or(Type::String);
        let array = matches!(value, Value::Array(_));
        Property::new(name, ty, array, Some(value))
    });
    Instance {
        properties: properties.collect(),
        ..Instance::new(class)
    }
}

fn modification(given: Instance, listed: Option<&[&'static str]>) -> Op {
    Operation::ModifyInstance {
        path: path_of(Id::Volume(0)),
        instance: given,
        properties: listed.map(|all| all.iter().map(|n| Name::from_static(n)).collect()),
    }
}

#[tokio::test]
async fn arguments_reach_the_method_in_their_declared_types() {
    let broker = broker(4);
    let bare = ObjectPath {
        namespace: None,
        ..path_of(Id::Volume(2))
    };
    let aliased = Value::from(path_of(Id::Pool(1)).in_namespace("ROOT/Standpipe"));
    let none: Vec<Value> = Vec::new();
    let goals = vec![Value::from(Instance::new("CIM_StorageSetting"))];
    let group = || {
        vec![
            ("GroupName", Some(Value::from("g"))),
            ("Type", Some(Value::Uint8(2))),
        ]
    };
    let with = |mut given: Given, members: Value| {
        given.push(("members", Some(members)));
        given
    };
    let cases: Vec<(Id, &str, Given, String)> = vec![
        (
            Id::Pool(0),
            "getsupportedsizerange",
            vec![("elementtype", Some(Value::Uint64(3)))],
            "sizes of Some(3) on Instance(Pool(0))".into(),
        ),
        (
            Id::Service,
            "CreateGroup",
            with(group(), vec![aliased, bare.into()].into()),
            "group g of Some([Pool(1), Volume(2)])".into(),
        ),
        (
            Id::Service,
            "CreateGroup",
            with(group(), none.into()),
            "group g of Some([])".into(),
        ),
        (
            Id::Service,
            "CreateGroup",
            group(),
            "group g of None".into(),
        ),
        (
            Id::Capabilities,
            "CreateGoalSettings",
            vec![("TemplateGoalSettings", Some(goals.into()))],
            "goals Some([\"CIM_StorageSetting\"])".into(),
        ),
    ];
    for (id, method, given, told) in cases {
        let outcome = call(&broker, &admin(), path_of(id), method, given).await;
        let code = outcome.expect(method).value.and_then(|v| v.as_integer());
        assert_eq!(code, Some(0));
        assert_eq!(broker.model().told(), [told]);
    }
}

#[tokio::test]
async fn calls_that_do_not_fit_are_refused_before_the_model() {
    let broker = broker(4);
    let pool = || path_of(Id::Pool(0));
    let service = || path_of(Id::Service);
    let group = |given: Given| {
        let needed = vec![
            ("GroupName", Some("g".into())),
            ("Type", Some(Value::Uint16(2))),
        ];
        [needed, given].concat()
    };
    let sizes = "GetSupportedSizeRange";
    let gone = || path_of(Id::Volume(3));
    let cases: Vec<(ObjectPath, &str, Given, Status)> = vec![
        (
            pool().in_namespace("x"),
            sizes,
            vec![],
            Status::InvalidNamespace,
        ),
        (
            ObjectPath::class("CIM_Foo").in_namespace(NS),
            sizes,
            vec![],
            Status::InvalidClass,
        ),
        (
            gone().in_namespace("interop"),
            "RequestStateChange",
            vec![],
            Status::NotFound,
        ),
        (pool(), "Nonsense", vec![], Status::MethodNotFound),
        (
            ObjectPath::class("CIM_StoragePool").in_namespace(NS),
            "Nonsense",
            vec![],
            Status::MethodNotFound,
        ),
        (
            pool(),
            sizes,
            vec![("Nonsense", None)],
            Status::InvalidParameter,
        ),
        (
            pool(),
            sizes,
            vec![("ElementType", None), ("ELEMENTTYPE", None)],
            Status::InvalidParameter,
        ),
        (
            pool(),
            sizes,
            vec![("ElementType", Some(true.into()))],
            Status::InvalidParameter,
        ),
        (
            pool(),
            sizes,
            vec![("ElementType", Some(65536u32.into()))],
            Status::InvalidParameter,
        ),
        (
            service(),
            "CreateGroup",
            group(vec![("Job", None)]),
            Status::InvalidParameter,
        ),
        (
            service(),
            "CreateGroup",
            group(vec![("Members", Some(pool().into()))]),
            Status::InvalidParameter,
        ),
        (service(), "AddMembers", vec![], Status::InvalidParameter),
        (
            service(),
            "AddMembers",
            vec![("MaskingGroup", Some(pool().into()))],
            Status::InvalidParameter,
        ),
        (
            service(),
            "CreateGroup",
            group(vec![(
                "Members",
                Some(vec![Value::from(path_of(Id::Volume(9)))].into()),
            )]),
            Status::NotFound,
        ),
    ];
    for (path, method, given, status) in cases {
        let outcome = call(&broker, &admin(), path.clone(), method, given.clone()).await;
        assert_eq!(outcome, Err(status), "{method} of {path} {given:?}");
        assert!(broker.model().told().is_empty());
    }
}

#[tokio::test]
async fn declared_but_not_implemented_is_another_refusal() {
    let broker = broker(1);
    let who = admin();
    let available = call(
        &broker,
        &who,
        path_of(Id::Pool(0)),
        "GetAvailableExtents",
        vec![],
    );
    assert_eq!(available.await, Err(Status::MethodNotAvailable));
    let class = ObjectPath::class("Standpipe_StoragePool").in_namespace(NS);
    let of_class = call(&broker, &admin(), class, "GetAvailableExtents", vec![]).await;
    assert_eq!(of_class, Err(Status::MethodNotAvailable));
    assert_eq!(broker.model().told(), ["static Standpipe_StoragePool"]);
}

#[tokio::test]
async fn monitors_read_and_change_nothing() {
    let broker = broker(1);
    let monitor = user("watch", Role::Monitor);
    assert!(
        run_as(&broker, &monitor, NS, instances_of("CIM_StorageVolume"))
            .await
            .is_ok()
    );
    let path = || path_of(Id::Volume(0));
    for operation in [
        Operation::CreateInstance {
            instance: Instance::new("CIM_Foo"),
        },
        modification(Instance::new("Standpipe_StorageVolume"), None),
        Operation::DeleteInstance { path: path() },
        Operation::SetProperty {
            path: path(),
            property: "ElementName".into(),
            value: Some("x".into()),
        },
    ] {
        // Before the namespace is looked at, and again when the operation is performed.
        let refused = run_as(&broker, &monitor, "nowhere", operation.clone()).await;
        assert_eq!(refused.err().map(|e| e.status), Some(Status::AccessDenied));
        let namespace = broker.admit(&monitor, &NS.into(), false).expect("there");
        let refused = broker.perform(&monitor, namespace, operation).await;
        assert_eq!(refused.err().map(|e| e.status), Some(Status::AccessDenied));
    }
    let create = vec![
        ("GroupName", Some("g".into())),
        ("Type", Some(Value::Uint16(2))),
    ];
    let refused = call(
        &broker,
        &monitor,
        path_of(Id::Service),
        "CreateGroup",
        create,
    )
    .await;
    assert_eq!(refused, Err(Status::AccessDenied));
    assert!(broker.model().told().is_empty());
    let sizes = call(
        &broker,
        &monitor,
        path_of(Id::Pool(0)),
        "GetSupportedSizeRange",
        vec![],
    );
    assert!(sizes.await.is_ok(), "a method that only reads");
}

#[tokio::test]
async fn a_modification_tells_the_model_what_differs() {
    let broker = broker(1);
    let renamed = |name: &str| {
        let present = vec![
            ("DeviceID", "d0".into()),
            ("blocksize", Value::Uint64(512)),
            ("ElementName", name.into()),
        ];
        instance("Standpipe_StorageVolume", present)
    };
    let cases: Vec<(Op, &[&str])> = vec![
        (modification(renamed("volume 0"), None), &[]),
        (
            modification(renamed("new"), None),
            &["Volume(0) ElementName = Some(String(\"new\"))"],
        ),
        (modification(renamed("newer"), Some(&["BlockSize"])), &[]),
        (modification(renamed("newer"), Some(&[])), &[]),
        (
            modification(renamed("newer"), Some(&["ELEMENTNAME", "Nonsense"])),
            &["Volume(0) ElementName = Some(String(\"newer\"))"],
        ),
        (
            modification(
                Instance::new("Standpipe_StorageVolume"),
                Some(&["ElementName"]),
            ),
            &["Volume(0) ElementName = None"],
        ),
    ];
    for (operation, told) in cases {
        let text = format!("{operation:?}");
        assert!(
            matches!(run(&broker, NS, operation).await, Ok(Reply::Done)),
            "{text}"
        );
        assert_eq!(broker.model().told(), told, "{text}");
    }
}

#[tokio::test]
async fn impossible_modifications_never_reach_the_model() {
    let broker = broker(1);
    let volume = |name, value| instance("Standpipe_StorageVolume", vec![(name, value)]);
    for (given, status) in [
        (volume("Nonsense", true.into()), Status::NoSuchProperty),
        (volume("BlockSize", true.into()), Status::InvalidParameter),
        (
            volume("BlockSize", vec![1u64].into()),
            Status::InvalidParameter,
        ),
        (volume("DeviceID", "d1".into()), Status::InvalidParameter),
        (
            instance("CIM_StorageVolume", vec![]),
            Status::InvalidParameter,
        ),
    ] {
        let refused = refusal(&broker, NS, modification(given.clone(), None)).await;
        assert_eq!(refused, Some(status), "{given:?}");
    }
    let set = |property: &str, value: Value| Op::SetProperty {
        path: path_of(Id::Volume(0)),
        property: property.into(),
        value: Some(value),
    };
    for (operation, status) in [
        (set("Nonsense", true.into()), Status::NoSuchProperty),
        (set("BlockSize", true.into()), Status::TypeMismatch),
        (set("DeviceID", "d1".into()), Status::InvalidParameter),
    ] {
        assert_eq!(refusal(&broker, NS, operation).await, Some(status));
    }
    assert!(broker.model().told().is_empty());
    let renamed = run(&broker, NS, set("elementname", "other".into())).await;
    assert!(matches!(renamed, Ok(Reply::Done)));
    let name = one(&broker, NS, get(&path_of(Id::Volume(0)))).await;
    assert_eq!(name.value("ElementName"), Some(&"other".into()));
}

#[tokio::test]
async fn instances_are_created_as_the_class_declares() {
    let broker = broker(1);
    let create = |given| Op::CreateInstance { instance: given };
    let given = vec![("ALGORITHM", Value::Uint16(1)), ("elementname", "x".into())];
    let refused = refusal(&broker, NS, create(instance("CIM_StorageVolume", given))).await;
    assert_eq!(refused, Some(Status::InvalidParameter), "no such property");
    for (given, status) in [
        (instance("CIM_Foo", vec![]), Status::InvalidClass),
        (
            instance("CIM_ManagedElement", vec![]),
            Status::InvalidParameter,
        ),
        (
            instance("CIM_StorageVolume", vec![("BlockSize", "x".into())]),
            Status::InvalidParameter,
        ),
        (
            instance(
                "CIM_StorageVolume",
                vec![("Name", "x".into()), ("name", "y".into())],
            ),
            Status::InvalidParameter,
        ),
    ] {
        let refused = refusal(&broker, NS, create(given.clone())).await;
        assert_eq!(refused, Some(status), "{given:?}");
        assert!(broker.model().told().is_empty());
    }
    let pool = ObjectPath {
        namespace: None,
        ..path_of(Id::Pool(0))
    };
    let given = vec![("antecedent", pool.into())];
    let created = run(
        &broker,
        NS,
        create(instance("cim_allocatedfromstoragepool", given)),
    )
    .await;
    assert!(matches!(created, Ok(Reply::Created(path)) if path == path_of(Id::Volume(0))));
    let told = broker.model().told();
    assert_eq!(
        told[0],
        "create CIM_AllocatedFromStoragePool in root/standpipe"
    );
    assert!(told[1].starts_with("Antecedent = "), "{told:?}");
    assert!(told[1].contains("root/standpipe"), "{told:?}");
}

#[tokio::test]
async fn what_is_deleted_must_be_there() {
    let broker = broker(1);
    let delete = |path| Op::DeleteInstance { path };
    let gone = refusal(&broker, NS, delete(path_of(Id::Volume(3)))).await;
    assert_eq!(gone, Some(Status::NotFound));
    assert!(matches!(
        run(&broker, NS, delete(path_of(Id::Volume(0)))).await,
        Ok(Reply::Done)
    ));
    assert_eq!(broker.model().told(), ["delete Volume(0)"]);
}
