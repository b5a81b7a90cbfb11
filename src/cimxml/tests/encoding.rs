//! What responses look like, byte by byte where a client is known to insist.

use std::sync::Arc;

use super::super::{Body, Chunks, Head, Item, Kind, Output, Response};
use crate::cim::{
    CimError, Class, Embedded, Flavor, Instance, Keys, Method, ObjectPath, Parameter, Property,
    PropertyDeclaration, Qualifier, QualifierDeclaration, Scope, Text, Type, Value,
};

fn head(kind: Kind) -> Head {
    Head {
        message_id: "4711".into(),
        method: "oPerate".into(),
        kind,
    }
}

fn written(kind: Kind, body: Body) -> String {
    let bytes = Response::new(head(kind), Text::from_static("array:5989"), body).into_bytes();
    String::from_utf8(bytes).expect("a response is UTF-8")
}

/// What stands in IMETHODRESPONSE.
fn inner(body: Body) -> String {
    between(
        &written(Kind::Intrinsic, body),
        "IMETHODRESPONSE NAME=\"oPerate\"",
        "IMETHODRESPONSE",
    )
}

/// What stands in METHODRESPONSE.
fn method(returns: Option<(Type, Option<Value>)>, outputs: Vec<Output>) -> String {
    let body = Body::Method { returns, outputs };
    between(
        &written(Kind::Extrinsic, body),
        "METHODRESPONSE NAME=\"oPerate\"",
        "METHODRESPONSE",
    )
}

fn between(document: &str, open: &str, close: &str) -> String {
    let start = document.find(&format!("<{open}>")).expect("it opens") + open.len() + 2;
    let end = document.find(&format!("</{close}>")).expect("it closes");
    document[start..end].to_owned()
}

/// One item in IRETURNVALUE.
fn item(item: Item) -> String {
    between(&inner(Body::items([item])), "IRETURNVALUE", "IRETURNVALUE")
}

/// The value element of a property of that type.
fn value(ty: Type, value: Value) -> String {
    let array = matches!(value, Value::Array(_));
    let mut instance = Instance::new("C");
    instance
        .properties
        .push(Property::new("P", ty, array, Some(value)));
    let xml = item(Item::Instance(instance));
    let start = xml.find("<VALUE").expect("there is a value");
    let end = xml.find("</PROPERTY").expect("the property ends");
    xml[start..end].to_owned()
}

fn path() -> ObjectPath {
    let keys: Keys = [("K", Value::from("a\"b")), ("N", Value::Uint16(7))]
        .into_iter()
        .collect();
    ObjectPath::instance("CIM_X", keys).in_namespace("root/standpipe")
}

const NAME: &str = "<INSTANCENAME CLASSNAME=\"CIM_X\">\
<KEYBINDING NAME=\"K\"><KEYVALUE VALUETYPE=\"string\" TYPE=\"string\">a\"b</KEYVALUE></KEYBINDING>\
<KEYBINDING NAME=\"N\"><KEYVALUE VALUETYPE=\"numeric\" TYPE=\"uint16\">7</KEYVALUE></KEYBINDING>\
</INSTANCENAME>";
const FULL: &str = "<NAMESPACEPATH><HOST>array:5989</HOST><LOCALNAMESPACEPATH>\
<NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"standpipe\"/></LOCALNAMESPACEPATH></NAMESPACEPATH>";
const INSTANCE: &str = "<INSTANCE CLASSNAME=\"CIM_X\"></INSTANCE>";

#[test]
fn a_whole_response() {
    assert_eq!(
        written(Kind::Intrinsic, Body::items([])),
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"4711\" PROTOCOLVERSION=\"1.0\"><SIMPLERSP>\
         <IMETHODRESPONSE NAME=\"oPerate\"><IRETURNVALUE></IRETURNVALUE></IMETHODRESPONSE>\
         </SIMPLERSP></MESSAGE></CIM>\n"
    );
}

#[test]
fn an_operation_without_result_returns_nothing_at_all() {
    assert_eq!(inner(Body::Void), "");
    assert_eq!(method(None, vec![]), "");
}

#[test]
fn errors() {
    let error = || Body::Error(CimError::not_found("no \"x\"\n& <y>"));
    let expected =
        "<ERROR CODE=\"6\" DESCRIPTION=\"no &quot;x&quot;&#10;&amp; &lt;y&gt;\"></ERROR>";
    assert_eq!(inner(error()), expected);
    let extrinsic = written(Kind::Extrinsic, error());
    assert!(extrinsic.contains(&format!(
        "<METHODRESPONSE NAME=\"oPerate\">{expected}</METHODRESPONSE>"
    )));
}

#[test]
fn every_kind_of_item() {
    let instance = || Instance::new("CIM_X");
    let class = Arc::new(Class {
        name: "CIM_X".into(),
        superclass: None,
        qualifiers: vec![],
        properties: vec![],
        methods: vec![],
    });
    let class_path = ObjectPath::class("CIM_X").in_namespace("root/standpipe");
    let class_xml = "<CLASS NAME=\"CIM_X\"></CLASS>";
    let table = [
        (
            Item::NamedInstance(path(), instance()),
            format!("<VALUE.NAMEDINSTANCE>{NAME}{INSTANCE}</VALUE.NAMEDINSTANCE>"),
        ),
        (Item::Instance(instance()), INSTANCE.to_owned()),
        (Item::InstanceName(path()), NAME.to_owned()),
        (
            Item::InstanceObject(path(), instance()),
            format!(
                "<VALUE.OBJECTWITHPATH><INSTANCEPATH>{FULL}{NAME}</INSTANCEPATH>{INSTANCE}</VALUE.OBJECTWITHPATH>"
            ),
        ),
        (
            Item::ClassObject(class_path.clone(), class.clone()),
            format!(
                "<VALUE.OBJECTWITHPATH><CLASSPATH>{FULL}<CLASSNAME NAME=\"CIM_X\"/></CLASSPATH>{class_xml}</VALUE.OBJECTWITHPATH>"
            ),
        ),
        (
            Item::ObjectPath(path()),
            format!("<OBJECTPATH><INSTANCEPATH>{FULL}{NAME}</INSTANCEPATH></OBJECTPATH>"),
        ),
        (
            Item::ObjectPath(class_path),
            format!(
                "<OBJECTPATH><CLASSPATH>{FULL}<CLASSNAME NAME=\"CIM_X\"/></CLASSPATH></OBJECTPATH>"
            ),
        ),
        (
            Item::InstanceWithPath(path(), instance()),
            format!(
                "<VALUE.INSTANCEWITHPATH><INSTANCEPATH>{FULL}{NAME}</INSTANCEPATH>{INSTANCE}</VALUE.INSTANCEWITHPATH>"
            ),
        ),
        (
            Item::InstancePath(path()),
            format!("<INSTANCEPATH>{FULL}{NAME}</INSTANCEPATH>"),
        ),
        (Item::Class(class), class_xml.to_owned()),
        (
            Item::ClassName("CIM_X".into()),
            "<CLASSNAME NAME=\"CIM_X\"/>".to_owned(),
        ),
        (Item::Value(Value::Uint64(5)), "<VALUE>5</VALUE>".to_owned()),
        (
            Item::Value(Value::from(vec![1u8, 2])),
            "<VALUE.ARRAY><VALUE>1</VALUE><VALUE>2</VALUE></VALUE.ARRAY>".to_owned(),
        ),
        (
            Item::Value(Value::from(path())),
            format!("<VALUE.REFERENCE><INSTANCEPATH>{FULL}{NAME}</INSTANCEPATH></VALUE.REFERENCE>"),
        ),
    ];
    for (kind, expected) in table {
        assert_eq!(item(kind), expected);
    }
}

#[test]
fn open_and_pull_results() {
    let body = Body::Items {
        items: Box::new([Item::InstancePath(path())].into_iter()),
        outputs: vec![
            Output::new("EndOfSequence", Type::Boolean, Some(Value::Boolean(false))),
            Output::new(
                "EnumerationContext",
                Type::String,
                Some(Value::from("c<1>")),
            ),
        ],
    };
    let xml = inner(body);
    assert!(xml.ends_with(
        "</IRETURNVALUE><PARAMVALUE NAME=\"EndOfSequence\" PARAMTYPE=\"boolean\"><VALUE>FALSE</VALUE></PARAMVALUE>\
         <PARAMVALUE NAME=\"EnumerationContext\" PARAMTYPE=\"string\"><VALUE>c&lt;1&gt;</VALUE></PARAMVALUE>"
    ), "{xml}");
}

#[test]
fn method_results() {
    let embedded = Instance::new("D");
    let xml = method(
        Some((Type::Uint32, Some(Value::Uint32(4096)))),
        vec![
            Output::new("Null", Type::String, None),
            Output::new("Job", Type::Reference, Some(ObjectPath::class("J").into())),
            Output::new(
                "Paths",
                Type::Reference,
                Some(Value::Array(vec![
                    Some(ObjectPath::class("J").into()),
                    None,
                ])),
            ),
            Output::new("NoPaths", Type::Reference, Some(Value::Array(vec![]))),
            Output::new("Size", Type::Uint64, Some(Value::Uint64(u64::MAX))),
            Output::new("Setting", Type::String, Some(embedded.clone().into())),
            Output::new("Settings", Type::String, Some(Value::from(vec![embedded]))),
        ],
    );
    let class = "<VALUE.REFERENCE><CLASSNAME NAME=\"J\"/></VALUE.REFERENCE>";
    let embedded = "<VALUE>&lt;INSTANCE CLASSNAME=\"D\"&gt;&lt;/INSTANCE&gt;</VALUE>";
    assert_eq!(
        xml,
        format!(
            "<RETURNVALUE PARAMTYPE=\"uint32\"><VALUE>4096</VALUE></RETURNVALUE>\
             <PARAMVALUE NAME=\"Job\" PARAMTYPE=\"reference\">{class}</PARAMVALUE>\
             <PARAMVALUE NAME=\"Paths\" PARAMTYPE=\"reference\"><VALUE.REFARRAY>{class}<VALUE.NULL/></VALUE.REFARRAY></PARAMVALUE>\
             <PARAMVALUE NAME=\"NoPaths\" PARAMTYPE=\"reference\"><VALUE.REFARRAY></VALUE.REFARRAY></PARAMVALUE>\
             <PARAMVALUE NAME=\"Size\" PARAMTYPE=\"uint64\"><VALUE>18446744073709551615</VALUE></PARAMVALUE>\
             <PARAMVALUE NAME=\"Setting\" PARAMTYPE=\"string\" EmbeddedObject=\"instance\">{embedded}</PARAMVALUE>\
             <PARAMVALUE NAME=\"Settings\" PARAMTYPE=\"string\" EmbeddedObject=\"instance\"><VALUE.ARRAY>{embedded}</VALUE.ARRAY></PARAMVALUE>"
        )
    );
    assert_eq!(
        method(Some((Type::Uint32, None)), vec![]),
        "<RETURNVALUE PARAMTYPE=\"uint32\"></RETURNVALUE>"
    );
}

#[test]
fn values_of_every_type() {
    let table = [
        (Type::Boolean, Value::Boolean(true), "TRUE"),
        (Type::Sint8, Value::Sint8(-128), "-128"),
        (
            Type::Sint64,
            Value::Sint64(i64::MIN),
            "-9223372036854775808",
        ),
        (Type::Uint8, Value::Uint8(0), "0"),
        (Type::Real32, Value::Real32(1.0), "1.0"),
        (Type::Real32, Value::Real32(0.1), "0.1"),
        (Type::Real32, Value::Real32(f32::MAX), "3.4028235E38"),
        (Type::Real64, Value::Real64(1e300), "1.0E300"),
        (Type::Real64, Value::Real64(-2.5e-10), "-2.5E-10"),
        (Type::Real64, Value::Real64(5e-324), "5.0E-324"),
        (Type::Real64, Value::Real64(f64::INFINITY), "INF"),
        (Type::Real64, Value::Real64(f64::NEG_INFINITY), "-INF"),
        (Type::Real64, Value::Real64(f64::NAN), "NaN"),
        (Type::Char16, Value::Char16(0x26), "&amp;"),
        (Type::Char16, Value::Char16(0xd800), "\u{fffd}"),
        (Type::String, Value::from(""), ""),
        (
            Type::String,
            Value::from(" a\tb\nc\rd\u{1}"),
            " a\tb\nc&#13;d\u{fffd}",
        ),
        (
            Type::DateTime,
            Value::DateTime("20261120123456.******+000".parse().unwrap()),
            "20261120123456.******+000",
        ),
    ];
    for (ty, native, text) in table {
        assert_eq!(value(ty, native), format!("<VALUE>{text}</VALUE>"), "{ty}");
    }
}

#[test]
fn null_and_empty_are_told_apart() {
    let property = |ty, array, value| {
        let mut instance = Instance::new("C");
        instance
            .properties
            .push(Property::new("P", ty, array, value));
        item(Item::Instance(instance))
    };
    for (xml, expected) in [
        (
            property(Type::String, false, None),
            "<PROPERTY NAME=\"P\" TYPE=\"string\"></PROPERTY>",
        ),
        (
            property(Type::String, false, Some("".into())),
            "<PROPERTY NAME=\"P\" TYPE=\"string\"><VALUE></VALUE></PROPERTY>",
        ),
        (
            property(Type::Uint8, true, None),
            "<PROPERTY.ARRAY NAME=\"P\" TYPE=\"uint8\"></PROPERTY.ARRAY>",
        ),
        (
            property(Type::Uint8, true, Some(Value::Array(vec![]))),
            "<PROPERTY.ARRAY NAME=\"P\" TYPE=\"uint8\"><VALUE.ARRAY></VALUE.ARRAY></PROPERTY.ARRAY>",
        ),
        (
            property(
                Type::Uint8,
                true,
                Some(Value::Array(vec![None, Some(Value::Uint8(1))])),
            ),
            "<PROPERTY.ARRAY NAME=\"P\" TYPE=\"uint8\"><VALUE.ARRAY><VALUE.NULL/><VALUE>1</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>",
        ),
        (
            property(Type::Reference, false, None),
            "<PROPERTY.REFERENCE NAME=\"P\"></PROPERTY.REFERENCE>",
        ),
    ] {
        assert_eq!(
            xml,
            format!("<INSTANCE CLASSNAME=\"C\">{expected}</INSTANCE>")
        );
    }
}

#[test]
fn properties_carry_origin_reference_class_and_embedding() {
    let mut reference = Property::new("R", Type::Reference, false, Some(path().into()));
    reference.reference_class = Some("CIM_X".into());
    reference.origin = Some("CIM_A".into());
    let mut object = Property::new("O", Type::String, false, None);
    object.embedded = Some(Embedded::Object);
    let mut inner = Instance::new("I");
    inner
        .properties
        .push(Property::new("S", Type::String, false, Some("<&>".into())));
    let mut instance = Instance::new("C");
    instance.properties.extend([
        reference,
        object,
        Property::new("E", Type::String, false, Some(inner.into())),
    ]);
    assert_eq!(
        item(Item::Instance(instance)),
        format!(
            "<INSTANCE CLASSNAME=\"C\">\
             <PROPERTY.REFERENCE NAME=\"R\" REFERENCECLASS=\"CIM_X\" CLASSORIGIN=\"CIM_A\"><VALUE.REFERENCE><INSTANCEPATH>{FULL}{NAME}</INSTANCEPATH></VALUE.REFERENCE></PROPERTY.REFERENCE>\
             <PROPERTY NAME=\"O\" TYPE=\"string\" EmbeddedObject=\"object\"></PROPERTY>\
             <PROPERTY NAME=\"E\" TYPE=\"string\" EmbeddedObject=\"instance\"><VALUE>&lt;INSTANCE CLASSNAME=\"I\"&gt;&lt;PROPERTY NAME=\"S\" TYPE=\"string\"&gt;&lt;VALUE&gt;&amp;lt;&amp;amp;&amp;gt;&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;</VALUE></PROPERTY>\
             </INSTANCE>"
        )
    );
}

#[test]
fn a_reference_keeps_the_host_that_somebody_gave_it() {
    let mut foreign = path();
    foreign.host = Some("elsewhere".into());
    assert!(item(Item::Value(foreign.into())).contains("<HOST>elsewhere</HOST>"));
    let nowhere = ObjectPath::instance("C", Keys::new());
    assert_eq!(
        item(Item::Value(nowhere.into())),
        "<VALUE.REFERENCE><INSTANCENAME CLASSNAME=\"C\"></INSTANCENAME></VALUE.REFERENCE>"
    );
}

pub(super) fn rich_class() -> Class {
    let qualifier = |name: &'static str, ty, value: Value| Qualifier {
        name: name.into(),
        ty,
        array: matches!(value, Value::Array(_)),
        value: Some(value),
        flavor: Flavor {
            overridable: false,
            to_subclass: false,
            translatable: true,
        },
        propagated: true,
    };
    let property = |name: &'static str, ty, array| PropertyDeclaration {
        name: name.into(),
        ty,
        array,
        array_size: array.then_some(3),
        reference_class: (ty == Type::Reference).then(|| "CIM_Y".into()),
        embedded: None,
        default: None,
        qualifiers: vec![qualifier("Key", Type::Boolean, Value::Boolean(true))],
        origin: "CIM_X".into(),
        propagated: true,
    };
    let parameter = |name: &'static str, ty, array| Parameter {
        name: name.into(),
        ty,
        array,
        array_size: array.then_some(2),
        reference_class: (ty == Type::Reference).then(|| "CIM_Y".into()),
        embedded: None,
        qualifiers: vec![],
    };
    let mut embedding = property("E", Type::String, false);
    embedding.embedded = Some(Embedded::Instance);
    embedding.default = Some(Value::from(Instance::new("D")));
    Class {
        name: "CIM_X".into(),
        superclass: Some("CIM_W".into()),
        qualifiers: vec![qualifier(
            "Values",
            Type::String,
            Value::from(vec!["a", "b"]),
        )],
        properties: vec![
            property("P", Type::Uint8, false),
            property("A", Type::Uint8, true),
            property("R", Type::Reference, false),
            embedding,
        ],
        methods: vec![Method {
            name: "M".into(),
            returns: Some(Type::Uint32),
            qualifiers: vec![qualifier("Description", Type::String, "text".into())],
            parameters: vec![
                parameter("P", Type::String, false),
                parameter("A", Type::Uint16, true),
                parameter("R", Type::Reference, false),
                parameter("S", Type::Reference, true),
            ],
            origin: "CIM_W".into(),
            propagated: false,
        }],
    }
}

#[test]
fn classes() {
    let flavor = "OVERRIDABLE=\"false\" TOSUBCLASS=\"false\" TRANSLATABLE=\"true\"";
    let key = format!(
        "<QUALIFIER NAME=\"Key\" TYPE=\"boolean\" PROPAGATED=\"true\" {flavor}><VALUE>TRUE</VALUE></QUALIFIER>"
    );
    let from = "CLASSORIGIN=\"CIM_X\" PROPAGATED=\"true\"";
    assert_eq!(
        item(Item::Class(Arc::new(rich_class()))),
        format!(
            "<CLASS NAME=\"CIM_X\" SUPERCLASS=\"CIM_W\">\
             <QUALIFIER NAME=\"Values\" TYPE=\"string\" PROPAGATED=\"true\" {flavor}><VALUE.ARRAY><VALUE>a</VALUE><VALUE>b</VALUE></VALUE.ARRAY></QUALIFIER>\
             <PROPERTY NAME=\"P\" TYPE=\"uint8\" {from}>{key}</PROPERTY>\
             <PROPERTY.ARRAY NAME=\"A\" TYPE=\"uint8\" ARRAYSIZE=\"3\" {from}>{key}</PROPERTY.ARRAY>\
             <PROPERTY.REFERENCE NAME=\"R\" REFERENCECLASS=\"CIM_Y\" {from}>{key}</PROPERTY.REFERENCE>\
             <PROPERTY NAME=\"E\" TYPE=\"string\" {from} EmbeddedObject=\"instance\">{key}<VALUE>&lt;INSTANCE CLASSNAME=\"D\"&gt;&lt;/INSTANCE&gt;</VALUE></PROPERTY>\
             <METHOD NAME=\"M\" TYPE=\"uint32\" CLASSORIGIN=\"CIM_W\">\
             <QUALIFIER NAME=\"Description\" TYPE=\"string\" PROPAGATED=\"true\" {flavor}><VALUE>text</VALUE></QUALIFIER>\
             <PARAMETER NAME=\"P\" TYPE=\"string\"></PARAMETER>\
             <PARAMETER.ARRAY NAME=\"A\" TYPE=\"uint16\" ARRAYSIZE=\"2\"></PARAMETER.ARRAY>\
             <PARAMETER.REFERENCE NAME=\"R\" REFERENCECLASS=\"CIM_Y\"></PARAMETER.REFERENCE>\
             <PARAMETER.REFARRAY NAME=\"S\" REFERENCECLASS=\"CIM_Y\" ARRAYSIZE=\"2\"></PARAMETER.REFARRAY>\
             </METHOD></CLASS>"
        )
    );
}

#[test]
fn qualifier_declarations() {
    let declaration = QualifierDeclaration {
        name: "Q".into(),
        ty: Type::String,
        array: true,
        array_size: None,
        value: Some(Value::Array(vec![])),
        scopes: vec![Scope::Method, Scope::Class],
        flavor: Flavor {
            translatable: true,
            ..Flavor::default()
        },
    };
    assert_eq!(
        item(Item::QualifierDeclaration(Arc::new(declaration))),
        "<QUALIFIER.DECLARATION NAME=\"Q\" TYPE=\"string\" ISARRAY=\"true\" TRANSLATABLE=\"true\">\
         <SCOPE CLASS=\"true\" METHOD=\"true\"/><VALUE.ARRAY></VALUE.ARRAY></QUALIFIER.DECLARATION>"
    );
}

fn chunks(count: usize, size: usize) -> Chunks {
    let items = (0..count).map(|_| Item::NamedInstance(path(), Instance::new("CIM_X")));
    let body = Body::Items {
        items: Box::new(items),
        outputs: vec![Output::new(
            "EndOfSequence",
            Type::Boolean,
            Some(Value::Boolean(true)),
        )],
    };
    Response::new(head(Kind::Intrinsic), Text::from_static("h"), body).into_chunks(size)
}

#[test]
fn chunks_join_to_the_whole_and_stay_small() {
    let whole = chunks(1000, usize::MAX).next().expect("one chunk");
    let item = whole.len() / 1000 + 100;
    for size in [1, 500, 4096, 65536] {
        let all: Vec<Vec<u8>> = chunks(1000, size).collect();
        assert_eq!(all.concat(), whole, "{size}");
        assert!(all.len() > 1, "{size}");
        let bound = size + item + 500;
        assert!(all.iter().all(|chunk| chunk.len() <= bound), "{size}");
        let (_, full) = all.split_last().expect("there are chunks");
        assert!(full.iter().all(|chunk| chunk.len() >= size), "{size}");
    }
}

#[test]
fn a_small_response_is_one_chunk_and_knows_it() {
    let mut small = chunks(3, 65536);
    assert!(!small.is_finished());
    assert!(small.next().is_some());
    assert!(small.is_finished());
    assert!(small.next().is_none());
    let mut large = chunks(3000, 65536);
    assert!(large.next().is_some());
    assert!(!large.is_finished());
}

#[test]
fn items_are_made_when_they_are_asked_for() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let items = (0..100_000).map(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Item::InstanceName(path())
    });
    let body = Body::items(items);
    let mut chunks = Response::new(head(Kind::Intrinsic), "h".into(), body).into_chunks(4096);
    assert_eq!(made.load(Ordering::Relaxed), 0);
    assert!(chunks.next().is_some());
    assert!(made.load(Ordering::Relaxed) < 100);
}

#[test]
fn responses_can_move_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<Response>();
    sendable::<Chunks>();
}
