//! What is encoded decodes to the same: requests with values, paths, objects of every kind.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::{Call, Limits, ParamValue, Request, decode, encode_request};
use super::encoding::rich_class;
use crate::cim::{
    DateTime, Embedded, Instance, Keys, Name, ObjectPath, Property, QualifierDeclaration, Scope,
    Text, Type, Value,
};

/// Any text that XML can carry, rich in characters that need care.
fn text() -> impl Strategy<Value = String> {
    let careful = prop::sample::select(vec![
        '<',
        '>',
        '&',
        '"',
        '\'',
        '\r',
        '\n',
        '\t',
        ' ',
        ']',
        '-',
        '\u{85}',
        '\u{2028}',
        '\u{fffd}',
        '\u{feff}',
        '\u{10ffff}',
        'é',
        '漢',
        ';',
        '#',
    ]);
    let legal = |c: char| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let other = any::<char>().prop_filter("XML cannot carry it", move |&c| legal(c));
    vec(prop_oneof![careful, other], 0..20).prop_map(String::from_iter)
}

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-z_é][A-Za-z0-9_é]{0,9}".prop_map(Name::from)
}

fn datetime() -> impl Strategy<Value = DateTime> {
    prop_oneof![
        (0u64..200_000_000_000_000_000).prop_map(DateTime::utc),
        any::<std::time::Duration>().prop_map(DateTime::interval),
        Just("2026112012****.******+000".parse().unwrap()),
    ]
}

/// A scalar that is neither reference nor embedded object.
fn scalar(ty: Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Type::Uint8 => any::<u8>().prop_map(Value::Uint8).boxed(),
        Type::Uint16 => any::<u16>().prop_map(Value::Uint16).boxed(),
        Type::Uint32 => any::<u32>().prop_map(Value::Uint32).boxed(),
        Type::Uint64 => any::<u64>().prop_map(Value::Uint64).boxed(),
        Type::Sint8 => any::<i8>().prop_map(Value::Sint8).boxed(),
        Type::Sint16 => any::<i16>().prop_map(Value::Sint16).boxed(),
        Type::Sint32 => any::<i32>().prop_map(Value::Sint32).boxed(),
        Type::Sint64 => any::<i64>().prop_map(Value::Sint64).boxed(),
        Type::Real32 => prop::num::f32::ANY.prop_map(Value::Real32).boxed(),
        Type::Real64 => prop::num::f64::ANY.prop_map(Value::Real64).boxed(),
        Type::Char16 => any::<char>()
            .prop_filter("one legal unit", |&c| c >= ' ' && u32::from(c) < 0xfffe)
            .prop_map(|c| Value::Char16(u32::from(c) as u16))
            .boxed(),
        Type::DateTime => datetime().prop_map(Value::DateTime).boxed(),
        Type::String | Type::Reference => text().prop_map(Value::from).boxed(),
    }
}

fn data_type() -> impl Strategy<Value = Type> {
    prop::sample::select(
        Type::ALL
            .into_iter()
            .filter(|&ty| ty != Type::Reference)
            .collect::<Vec<_>>(),
    )
}

/// A path whose keys hold references up to `depth` levels deep.
fn path(depth: u32) -> BoxedStrategy<ObjectPath> {
    let plain = data_type().prop_flat_map(scalar);
    let key = if depth == 0 {
        plain.boxed()
    } else {
        prop_oneof![3 => plain, 1 => path(depth - 1).prop_map(Value::from)].boxed()
    };
    let keys = vec(key, 0..4).prop_map(|values| {
        let named = values.into_iter().enumerate();
        named.map(|(i, v)| (format!("k{i}"), v)).collect::<Keys>()
    });
    let place = option::of((vec(name(), 1..4), option::of("[a-z0-9.:]{1,9}")));
    (name(), option::of(keys), place)
        .prop_map(|(class, keys, place)| {
            let (namespace, host) = place.unzip();
            ObjectPath {
                host: host.flatten().map(Text::from),
                namespace: namespace.map(|parts: Vec<Name>| {
                    let parts: Vec<_> = parts.iter().map(Name::as_str).collect();
                    Name::from(parts.join("/"))
                }),
                class,
                keys,
            }
        })
        .boxed()
}

/// The value of a property: type, shape, embedding.
type Shaped = (Type, bool, Option<Embedded>, Option<Value>);

fn shaped(depth: u32) -> BoxedStrategy<Shaped> {
    let plain = data_type().prop_flat_map(|ty| {
        let one = option::of(scalar(ty)).prop_map(move |v| (ty, false, None, v));
        let many = option::of(vec(option::of(scalar(ty)), 0..4))
            .prop_map(move |v| (ty, true, None, v.map(Value::Array)));
        prop_oneof![one, many]
    });
    let reference =
        option::of(path(1)).prop_map(|p| (Type::Reference, false, None, p.map(Value::from)));
    if depth == 0 {
        return prop_oneof![plain, reference].boxed();
    }
    let object = prop_oneof![
        4 => instance(depth - 1).prop_map(Value::from),
        1 => Just(Value::Class(Box::new(rich_class()))),
    ];
    let one = option::of(instance(depth - 1)).prop_map(|i| {
        (
            Type::String,
            false,
            Some(Embedded::Instance),
            i.map(Value::from),
        )
    });
    let many = vec(option::of(object), 0..3).prop_map(|items| {
        (
            Type::String,
            true,
            Some(Embedded::Object),
            Some(Value::Array(items)),
        )
    });
    prop_oneof![4 => plain, 1 => reference, 1 => one, 1 => many].boxed()
}

fn instance(depth: u32) -> BoxedStrategy<Instance> {
    (name(), vec((shaped(depth), option::of(name())), 0..5))
        .prop_map(|(class, values)| Instance {
            class,
            properties: values
                .into_iter()
                .enumerate()
                .map(|(i, ((ty, array, embedded, value), origin))| Property {
                    name: Name::from(format!("p{i}")),
                    ty,
                    array,
                    embedded,
                    reference_class: origin.clone().filter(|_| ty == Type::Reference),
                    value,
                    origin,
                })
                .collect(),
        })
        .boxed()
}

/// A typed value as only a method parameter can carry it.
fn typed() -> impl Strategy<Value = ParamValue> {
    data_type().prop_flat_map(|ty| {
        // An array that says nothing about its type comes back as untyped text.
        let many = (scalar(ty), vec(option::of(scalar(ty)), 0..3)).prop_map(|(first, mut rest)| {
            rest.insert(0, Some(first));
            Value::Array(rest)
        });
        let embedded = instance(2).prop_map(Value::from);
        prop_oneof![scalar(ty), many, embedded].prop_map(ParamValue::Value)
    })
}

/// What any parameter can carry.
fn untyped() -> impl Strategy<Value = ParamValue> {
    let declaration = QualifierDeclaration {
        name: "Q".into(),
        ty: Type::Uint8,
        array: true,
        array_size: Some(7),
        value: Some(Value::from(vec![1u8])),
        scopes: vec![Scope::Class, Scope::Indication],
        flavor: Default::default(),
    };
    prop_oneof![
        Just(ParamValue::Null),
        text().prop_map(|t| ParamValue::Text(t.into())),
        vec(option::of(text()), 0..4)
            .prop_map(|t| ParamValue::Texts(t.into_iter().map(|t| t.map(Text::from)).collect())),
        path(2).prop_map(ParamValue::Path),
        vec(option::of(path(1)), 0..4).prop_map(ParamValue::Paths),
        instance(3).prop_map(|i| ParamValue::Instance(Box::new(i))),
        (path(1), instance(1)).prop_map(|(mut path, instance)| {
            path.host = None;
            path.namespace = None;
            path.keys = Some(path.keys.unwrap_or_default());
            ParamValue::NamedInstance(Box::new((path, instance)))
        }),
        Just(ParamValue::Class(Box::new(rich_class()))),
        Just(ParamValue::QualifierDeclaration(Box::new(declaration))),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let namespace = || "[a-z]{1,5}(/[a-z]{1,5}){0,2}".prop_map(Name::from);
    let intrinsic = (name(), namespace(), vec((name(), untyped()), 0..4)).prop_map(
        |(name, namespace, parameters)| Call::Intrinsic {
            name,
            namespace,
            parameters,
        },
    );
    let value = prop_oneof![untyped(), typed()];
    let extrinsic = (name(), namespace(), path(1), vec((name(), value), 0..4)).prop_map(
        |(name, namespace, mut path, parameters)| {
            path.host = None;
            Call::Extrinsic {
                name,
                path: path.in_namespace(namespace),
                parameters,
            }
        },
    );
    prop_oneof![intrinsic, extrinsic]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_request_comes_back_as_it_was(call in call(), message_id in text()) {
        let request = Request {
            message_id,
            cim_version: "2.0".into(),
            dtd_version: "2.4".into(),
            protocol_version: "1.0".into(),
            call,
        };
        let bytes = encode_request(&request);
        let limits = Limits { depth: Limits::DEPTH_CAP, ..Limits::default() };
        let back = decode(&bytes, &limits);
        // Compared as shown: spelling, order and number types count, and NaN is NaN.
        prop_assert_eq!(format!("{back:?}"), format!("{:?}", Ok::<_, ()>(request)));
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..200)) {
        let _answer = decode(&bytes, &Limits::default());
    }

    #[test]
    fn any_soup_of_markup_is_answered(pieces in vec(prop::sample::select(vec![
        "<CIM CIMVERSION='2.0' DTDVERSION='2.0'>", "<MESSAGE ID='1' PROTOCOLVERSION='1.0'>", "<SIMPLEREQ>",
        "<IMETHODCALL NAME='x'>", "<LOCALNAMESPACEPATH>", "<NAMESPACE NAME='n'/>", "</LOCALNAMESPACEPATH>",
        "<IPARAMVALUE NAME='p'>", "<VALUE>", "</VALUE>", "</IPARAMVALUE>", "</IMETHODCALL>", "</SIMPLEREQ>",
        "</MESSAGE>", "</CIM>", "<![CDATA[", "]]>", "&amp;", "&#x1;", "<!--", "-->", "<?", "?>", "<!DOCTYPE", "é", "\"",
    ]), 0..40)) {
        let _answer = decode(pieces.concat().as_bytes(), &Limits::default());
    }
}
