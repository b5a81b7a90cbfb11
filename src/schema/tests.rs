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
    let cases: Vec<(Vec<(Name, Option<Value>)>, ArgumentError)> = vec![
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
