//! What the tables, filters, builders and argument checks promise to the rooms that use them.

use super::class::Standpipe_StorageVolume as Volume;
use super::method::Standpipe_StorageConfigurationService::CreateOrModifyElementFromStoragePool as Create;
use super::*;
use crate::cim::{Name, ObjectPath, Type, Value};

#[test]
fn classes_are_found_in_any_case() {
    for declared in classes() {
        let found = class(&declared.name.to_uppercase()).expect(declared.name);
        assert_eq!(found.name, declared.name);
    }
    assert!(class("").is_none());
    assert!(class("CIM_StorageVolum").is_none());
    assert!(class("CIM_StorageVolumes").is_none());
}

#[test]
fn the_class_tree_agrees_with_superclass_links() {
    for a in classes() {
        for b in classes() {
            let chain = a == b || a.superclasses().any(|c| c == b);
            assert_eq!(a.is_subclass_of(b), chain, "{} {}", a.name, b.name);
        }
        let by_link = classes().iter().filter(|c| c.superclass() == Some(a));
        assert!(a.subclasses().eq(by_link), "{}", a.name);
        assert!(
            a.all_subclasses()
                .iter()
                .all(|c| c.is_subclass_of(a) && c != a)
        );
    }
    let tops: usize = top_classes().map(|c| c.with_subclasses().len()).sum();
    assert_eq!(tops, classes().len());
}

#[test]
fn keys_come_in_order_of_declaration() {
    let keys: Vec<_> = Volume::decl().keys().map(|k| k.name).collect();
    let expected = [
        "SystemCreationClassName",
        "SystemName",
        "CreationClassName",
        "DeviceID",
    ];
    assert_eq!(keys, expected);
    let path = PathBuilder::new(Volume)
        .key(Volume::DeviceID, "d")
        .key(Volume::SystemName, "s")
        .build();
    assert_eq!(
        path.to_string(),
        "Standpipe_StorageVolume.DeviceID=\"d\",SystemName=\"s\""
    );
}

#[test]
fn unwanted_properties_are_not_evaluated() {
    let filter = PropertyFilter::listed([Name::from("blocksize"), "Nonsense".into()]);
    let instance = Builder::filtered(filter.wanted::<Volume>())
        .set(Volume::BlockSize, 512u64)
        .set_with(Volume::ElementName, || -> &str { panic!("not asked for") })
        .null(Volume::Caption)
        .build();
    let names: Vec<_> = instance
        .properties
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(names, ["BlockSize"]);
    assert_eq!(instance.value("BlockSize"), Some(&Value::Uint64(512)));
}

#[test]
fn filters_stop_at_the_enumerated_class_and_name_origins() {
    let extent = class("CIM_ManagedElement").expect("declared");
    let filter = PropertyFilter::all().within(extent).with_class_origin(true);
    let instance = Builder::filtered(filter.wanted())
        .set(Volume::BlockSize, 512u64)
        .set(Volume::ElementName, "v1")
        .build();
    assert_eq!(instance.properties.len(), 1);
    let origin = instance
        .property("ElementName")
        .and_then(|p| p.origin.clone());
    assert!(origin.is_some_and(|o| class(o.as_str()).is_some()));
}

#[test]
fn the_later_of_two_values_stands() {
    let instance = Builder::new(Volume)
        .set(Volume::BlockSize, 512u64)
        .set(Volume::BlockSize, 4096u64)
        .set(Volume::OperationalStatus, vec![Some(2u16), None])
        .set(Volume::NumberOfBlocks, None::<u64>)
        .build();
    assert_eq!(Volume::BlockSize.of(&instance), Some(4096));
    assert_eq!(Volume::NumberOfBlocks.of(&instance), None);
    assert!(instance.property("NumberOfBlocks").is_some());
    let status = Value::Array(vec![Some(Value::Uint16(2)), None]);
    assert_eq!(instance.value("OperationalStatus"), Some(&status));
}

#[test]
fn arguments_are_checked_and_typed() {
    let pool = ObjectPath::class("Standpipe_StoragePool");
    let given = vec![
        (Name::from("size"), Some(Value::from("0x10"))),
        ("ElementName".into(), Some("v".into())),
        ("InPool".into(), Some(pool.clone().into())),
        ("Goal".into(), None),
    ];
    let arguments = Arguments::new(Create, given).expect("fits");
    assert_eq!(arguments.need(Create::Size), Ok(16));
    assert_eq!(arguments.of(Create::InPool), Some(pool));
    assert!(arguments.of(Create::Goal).is_none());
    assert_eq!(
        arguments.need(Create::TheElement),
        Err(ArgumentError::Missing("TheElement"))
    );
}

#[test]
fn wrong_arguments_are_refused_by_kind() {
    let mismatch = |parameter, mismatch| ArgumentError::Mismatch {
        parameter,
        mismatch,
    };
    type Given = Vec<(Name, Option<Value>)>;
    let cases: Vec<(Given, ArgumentError)> = vec![
        (
            vec![("Job".into(), None)],
            ArgumentError::Unknown("Job".into()),
        ),
        (
            vec![("Size".into(), None), ("SIZE".into(), None)],
            ArgumentError::Doubled("Size"),
        ),
        (
            vec![("Size".into(), Some(Value::Sint8(-1)))],
            mismatch(
                "Size",
                Mismatch::Range {
                    expected: Type::Uint64,
                },
            ),
        ),
        (
            vec![("Size".into(), Some(true.into()))],
            mismatch(
                "Size",
                Mismatch::Type {
                    expected: Type::Uint64,
                    found: Some(Type::Boolean),
                },
            ),
        ),
        (
            vec![("Size".into(), Some(vec![1u64].into()))],
            mismatch("Size", Mismatch::NotScalar),
        ),
        (
            vec![("Size".into(), Some("1x".into()))],
            mismatch(
                "Size",
                Mismatch::Malformed {
                    expected: Type::Uint64,
                },
            ),
        ),
        (
            vec![(
                "InPool".into(),
                Some(ObjectPath::class("CIM_StorageVolume").into()),
            )],
            mismatch(
                "InPool",
                Mismatch::ReferenceClass {
                    expected: "CIM_StoragePool",
                },
            ),
        ),
    ];
    for (given, expected) in cases {
        let refused = Arguments::new(Create, given).expect_err("must be refused");
        assert_eq!(refused, expected);
    }
}

#[test]
fn answers_carry_declared_types() {
    let outcome = Outputs::new(Create)
        .set(Create::Size, 1u64)
        .set(Create::Size, 4096u64)
        .returns(0u32);
    assert_eq!(outcome.value, Some(Value::Uint32(0)));
    assert_eq!(outcome.outputs.len(), 1);
    assert_eq!(outcome.outputs[0].value, Some(Value::Uint64(4096)));
}

#[test]
fn class_filters_keep_local_and_listed_elements() {
    let decl = Volume::decl();
    let all = decl.to_class(&ClassFilter::ALL);
    assert_eq!(all.properties.len(), decl.properties().len());
    assert!(
        all.property("DeviceID")
            .is_some_and(|p| p.is_key() && p.propagated)
    );
    let names = [Name::from("deviceid"), "BlockSize".into()];
    let few = decl.to_class(&ClassFilter {
        properties: Some(&names),
        qualifiers: false,
        local_only: false,
    });
    assert_eq!(few.properties.len(), 2);
    assert!(few.properties.iter().all(|p| p.qualifiers.is_empty()));
    assert_eq!(few.methods.len(), all.methods.len());
    let local = decl.to_class(&ClassFilter {
        local_only: true,
        ..ClassFilter::ALL
    });
    assert!(
        local
            .properties
            .iter()
            .all(|p| !p.propagated && p.origin == decl.name)
    );
    assert!(local.qualifiers.iter().all(|q| !q.propagated));
}

#[test]
fn restricted_qualifiers_do_not_reach_subclasses() {
    let key = |class: &str, property: &str, qualifier: &str| {
        let class = super::class(class)
            .expect("declared")
            .to_class(&ClassFilter::ALL);
        let property = class.property(property).expect("declared").clone();
        property
            .qualifiers
            .into_iter()
            .find(|q| q.name == qualifier)
    };
    let in_volume = key("CIM_StorageVolume", "DeviceID", "Key").expect("keys pass on");
    assert!(in_volume.propagated);
    let abstract_class = super::class("CIM_LogicalDevice").expect("declared");
    assert!(abstract_class.is_abstract);
    assert!(
        !super::class("CIM_StorageVolume")
            .expect("declared")
            .is_abstract
    );
}

#[test]
fn an_override_keeps_the_origin_and_is_local() {
    let local = class("CIM_SettingData")
        .expect("declared")
        .to_class(&ClassFilter {
            local_only: true,
            ..ClassFilter::ALL
        });
    let key = local.property("InstanceID").expect("overridden there");
    assert!(!key.propagated);
    assert_eq!(key.origin, "CIM_ManagedElement");
}

#[test]
fn properties_that_come_in_are_checked_against_the_class() {
    let conform = |name: &str, value: Value| Volume::decl().conform([(name.into(), Some(value))]);
    let fits = conform("blocksize", Value::Uint8(7)).expect("fits");
    assert_eq!(fits[0].name.as_str(), "BlockSize");
    assert_eq!(fits[0].value, Some(Value::Uint64(7)));
    assert_eq!(
        conform("Nonsense", true.into()),
        Err(PropertyError::Unknown("Nonsense".into()))
    );
    let twice = [("Name".into(), None), ("NAME".into(), None)];
    assert_eq!(
        Volume::decl().conform(twice),
        Err(PropertyError::Doubled("Name"))
    );
    assert_eq!(
        conform("OperationalStatus", Value::Uint16(2)),
        Err(PropertyError::Mismatch {
            property: "OperationalStatus",
            mismatch: Mismatch::NotArray
        })
    );
}

#[test]
fn texts_without_type_are_read_as_the_declared_type() {
    let read = |ty: Type, text: &str| {
        let shape = Shape {
            ty,
            array: false,
            array_size: None,
            reference_class: None,
            embedded: None,
        };
        shape.conform(Some(text.into())).ok().flatten()
    };
    let time = "20260101000000.000000+000";
    let cases = [
        (Type::Boolean, "TRUE", Some(Value::Boolean(true))),
        (Type::Boolean, "1", None),
        (Type::Uint8, "255", Some(Value::Uint8(255))),
        (Type::Uint8, "256", None),
        (Type::Uint8, "-0x1", None),
        (Type::Sint8, "-0x80", Some(Value::Sint8(-128))),
        (Type::Uint8, "--1", None),
        (Type::Uint8, "", None),
        (Type::Real64, "1.5", Some(Value::Real64(1.5))),
        (Type::Char16, "x", Some(Value::Char16(0x78))),
        (Type::Char16, "xy", None),
        (Type::DateTime, time, time.parse().ok().map(Value::DateTime)),
        (Type::String, " x ", Some(Value::from(" x "))),
        (Type::Reference, "A.k=1", None),
    ];
    for (ty, text, expected) in cases {
        assert_eq!(read(ty, text), expected, "{ty} {text}");
    }
}

#[test]
fn embedded_instances_and_texts_are_not_mixed_up() {
    let shape = |embedded| Shape {
        ty: Type::String,
        array: true,
        array_size: Some(1),
        reference_class: None,
        embedded,
    };
    let instance = || Value::from(crate::cim::Instance::new("CIM_Error"));
    let one = |value: Value| Some(Value::Array(vec![Some(value)]));
    let embedding = shape(Some(crate::cim::Embedded::Instance));
    assert_eq!(embedding.conform(one(instance())), Ok(one(instance())));
    assert_eq!(embedding.conform(one("x".into())), Err(Mismatch::Embedding));
    assert_eq!(
        shape(None).conform(one(instance())),
        Err(Mismatch::Embedding)
    );
    let two = Some(Value::Array(vec![None, None]));
    assert_eq!(shape(None).conform(two), Err(Mismatch::TooManyElements));
}
