//! Paths, instances, classes: what is accepted, what it means, which fault is refused.

use super::super::ParamValue;
use super::{NAMESPACE, extrinsic, iparam, kind, param, read};
use crate::cim::{Embedded, Instance, Keys, ObjectPath, Property, Scope, Type, Value};

#[test]
fn references_in_all_their_forms() {
    let name = r#"<INSTANCENAME CLASSNAME="C"><KEYBINDING NAME="K"><KEYVALUE>v</KEYVALUE></KEYBINDING></INSTANCENAME>"#;
    let class = r#"<CLASSNAME NAME="C"/>"#;
    let full = format!("<NAMESPACEPATH><HOST> h:5989\n</HOST>{NAMESPACE}</NAMESPACEPATH>");
    let instance = ObjectPath::instance("C", [("K", "v")].into_iter().collect());
    let with_host = |mut path: ObjectPath| {
        path.host = Some("h:5989".into());
        path.in_namespace("root/x")
    };
    let table = [
        (name.to_owned(), instance.clone()),
        (class.to_owned(), ObjectPath::class("C")),
        (
            format!("<LOCALINSTANCEPATH>{NAMESPACE}{name}</LOCALINSTANCEPATH>"),
            instance.clone().in_namespace("root/x"),
        ),
        (
            format!("<LOCALCLASSPATH>{NAMESPACE}{class}</LOCALCLASSPATH>"),
            ObjectPath::class("C").in_namespace("root/x"),
        ),
        (
            format!("<INSTANCEPATH>{full}{name}</INSTANCEPATH>"),
            with_host(instance),
        ),
        (
            format!("<CLASSPATH>{full}{class}</CLASSPATH>"),
            with_host(ObjectPath::class("C")),
        ),
    ];
    for (form, path) in table {
        let reference = format!("<VALUE.REFERENCE>{form}</VALUE.REFERENCE>");
        assert_eq!(
            iparam(&reference),
            Ok(ParamValue::Path(path.clone())),
            "{form}"
        );
        assert_eq!(
            param(r#"PARAMTYPE="reference""#, &reference),
            Ok(ParamValue::Path(path)),
            "{form}"
        );
    }
    for bad in [
        "".to_owned(),
        "text".to_owned(),
        format!("{class}{class}"),
        format!("<LOCALCLASSPATH>{NAMESPACE}{name}</LOCALCLASSPATH>"),
        format!("<INSTANCEPATH>{NAMESPACE}{name}</INSTANCEPATH>"),
        format!("<INSTANCEPATH><NAMESPACEPATH>{NAMESPACE}</NAMESPACEPATH>{name}</INSTANCEPATH>"),
        format!("<LOCALINSTANCEPATH>{name}</LOCALINSTANCEPATH>"),
        "<VALUE.REFERENCE/>".to_owned(),
    ] {
        let error = iparam(&format!("<VALUE.REFERENCE>{bad}</VALUE.REFERENCE>")).expect_err(&bad);
        assert_eq!(kind(&error), "not valid", "{bad}: {error}");
    }
}

#[test]
fn key_bindings() {
    let name = |content: &str| {
        iparam(&format!(
            r#"<INSTANCENAME CLASSNAME="C">{content}</INSTANCENAME>"#
        ))
    };
    let path = |keys: Keys| Ok(ParamValue::Path(ObjectPath::instance("C", keys)));
    assert_eq!(name(""), path(Keys::new()));
    assert_eq!(
        name(r#"<KEYVALUE VALUETYPE="numeric">5</KEYVALUE>"#),
        path([("", Value::Uint64(5))].into_iter().collect())
    );
    assert_eq!(
        name(r#"<VALUE.REFERENCE><CLASSNAME NAME="D"/></VALUE.REFERENCE>"#),
        path([("", ObjectPath::class("D"))].into_iter().collect())
    );
    let inner = r#"<INSTANCENAME CLASSNAME="D"><KEYBINDING NAME="E"><KEYVALUE VALUETYPE="boolean" TYPE="">true</KEYVALUE></KEYBINDING></INSTANCENAME>"#;
    assert_eq!(
        name(&format!(
            r#"<KEYBINDING NAME="A"><VALUE.REFERENCE>{inner}</VALUE.REFERENCE></KEYBINDING>
               <KEYBINDING NAME="B"><KEYVALUE TYPE="sint8" VALUETYPE="numeric">-1</KEYVALUE></KEYBINDING>"#
        )),
        path(
            [
                (
                    "A",
                    Value::from(ObjectPath::instance(
                        "D",
                        [("E", true)].into_iter().collect()
                    ))
                ),
                ("B", Value::Sint8(-1)),
            ]
            .into_iter()
            .collect()
        )
    );
    for bad in [
        r#"<KEYBINDING NAME="A"><KEYVALUE>1</KEYVALUE></KEYBINDING><KEYBINDING NAME="a"><KEYVALUE>2</KEYVALUE></KEYBINDING>"#,
        r#"<KEYVALUE>1</KEYVALUE><KEYVALUE>2</KEYVALUE>"#,
        r#"<KEYVALUE>1</KEYVALUE><KEYBINDING NAME="a"><KEYVALUE>2</KEYVALUE></KEYBINDING>"#,
        r#"<KEYBINDING NAME="A"/>"#,
        r#"<KEYBINDING><KEYVALUE>1</KEYVALUE></KEYBINDING>"#,
        r#"<KEYBINDING NAME="A"><VALUE>1</VALUE></KEYBINDING>"#,
        r#"<KEYBINDING NAME="A"><KEYVALUE TYPE="uint8">x</KEYVALUE></KEYBINDING>"#,
    ] {
        assert_eq!(kind(&name(bad).expect_err(bad)), "not valid", "{bad}");
    }
}

#[test]
fn instances() {
    let content = r#"<INSTANCE CLASSNAME="C" xml:lang="en"><QUALIFIER NAME="Q" TYPE="boolean"><VALUE>true</VALUE></QUALIFIER>
        <PROPERTY NAME="A" TYPE="uint16" CLASSORIGIN="B" PROPAGATED="true"><VALUE>1</VALUE></PROPERTY>
        <PROPERTY NAME="N" TYPE="string"/>
        <PROPERTY.ARRAY NAME="L" TYPE="string"><VALUE.ARRAY><VALUE/><VALUE.NULL></VALUE.NULL></VALUE.ARRAY></PROPERTY.ARRAY>
        <PROPERTY.REFERENCE NAME="R" REFERENCECLASS="D"><VALUE.REFERENCE><CLASSNAME NAME="D"/></VALUE.REFERENCE></PROPERTY.REFERENCE>
        </INSTANCE>"#;
    let mut a = Property::new("A", Type::Uint16, false, Some(Value::Uint16(1)));
    a.origin = Some("B".into());
    let mut r = Property::new(
        "R",
        Type::Reference,
        false,
        Some(ObjectPath::class("D").into()),
    );
    r.reference_class = Some("D".into());
    let list = Value::Array(vec![Some(Value::from("")), None]);
    let expected = Instance {
        class: "C".into(),
        properties: vec![
            a,
            Property::new("N", Type::String, false, None),
            Property::new("L", Type::String, true, Some(list)),
            r,
        ],
    };
    assert_eq!(
        iparam(content),
        Ok(ParamValue::Instance(Box::new(expected)))
    );
    for bad in [
        r#"<PROPERTY NAME="A" TYPE="uint8"><VALUE>256</VALUE></PROPERTY>"#,
        r#"<PROPERTY NAME="A" TYPE="datetime"><VALUE>yesterday</VALUE></PROPERTY>"#,
        r#"<PROPERTY NAME="A"><VALUE>1</VALUE></PROPERTY>"#,
        r#"<PROPERTY NAME="A" TYPE="reference"/>"#,
        r#"<PROPERTY NAME="A" TYPE="int"/>"#,
        r#"<PROPERTY NAME="A" TYPE="string"/><PROPERTY.ARRAY NAME="a" TYPE="string"/>"#,
        r#"<PROPERTY NAME="A" TYPE="string"><VALUE.ARRAY/></PROPERTY>"#,
        r#"<PROPERTY.ARRAY NAME="A" TYPE="string"><VALUE/></PROPERTY.ARRAY>"#,
        r#"<PROPERTY NAME="A" TYPE="string"><VALUE/><VALUE/></PROPERTY>"#,
        r#"<METHOD NAME="M"/>"#,
    ] {
        let error = iparam(&format!(r#"<INSTANCE CLASSNAME="C">{bad}</INSTANCE>"#)).expect_err(bad);
        assert_eq!(kind(&error), "not valid", "{bad}: {error}");
    }
    assert_eq!(kind(&iparam("<INSTANCE/>").unwrap_err()), "not valid");
}

#[test]
fn embedded_objects_in_both_spellings() {
    let embedded = Instance::new("D");
    let expected = Ok(ParamValue::Value(Value::from(embedded)));
    for (attribute, text) in [
        (
            "EmbeddedObject=\"instance\"",
            "&lt;INSTANCE CLASSNAME=&quot;D&quot;/&gt;",
        ),
        (
            "EMBEDDEDOBJECT=\"instance\"",
            "<![CDATA[<INSTANCE CLASSNAME=\"D\"></INSTANCE>]]>",
        ),
        (
            "EmbeddedObject=\"object\"",
            "<![CDATA[<?xml version='1.0'?> <INSTANCE CLASSNAME='D'/>]]>",
        ),
        (
            "EmbeddedObject=\"instance\"",
            "\n &lt;INSTANCE<![CDATA[ CLASSNAME='D'/]]>> ",
        ),
    ] {
        let content = format!("<VALUE>{text}</VALUE>");
        assert_eq!(
            param(&format!("PARAMTYPE=\"string\" {attribute}"), &content),
            expected,
            "{text}"
        );
        assert_eq!(param(attribute, &content), expected, "{text}");
    }
    assert!(matches!(
        param(
            "PARAMTYPE=\"object\"",
            "<VALUE>&lt;CLASS NAME='C'/&gt;</VALUE>"
        ),
        Ok(ParamValue::Value(Value::Class(_)))
    ));
    for (attribute, text) in [
        ("instance", "&lt;CLASS NAME='C'/&gt;"),
        ("instance", "&lt;VALUE.NAMEDINSTANCE/&gt;"),
        ("instance", "&lt;INSTANCE CLASSNAME='C'&gt;"),
        ("instance", "&lt;INSTANCE CLASSNAME='C'/&gt;x"),
        ("instance", ""),
        ("object", "x"),
    ] {
        let error = param(
            &format!("PARAMTYPE=\"string\" EmbeddedObject=\"{attribute}\""),
            &format!("<VALUE>{text}</VALUE>"),
        )
        .expect_err(text);
        assert_eq!(kind(&error), "not valid", "{text}: {error}");
    }
}

#[test]
fn classes_and_qualifier_declarations() {
    let class = r#"<CLASS NAME="C" SUPERCLASS="B"><QUALIFIER NAME="Association" TYPE="boolean" OVERRIDABLE="false"><VALUE>true</VALUE></QUALIFIER>
        <PROPERTY NAME="E" TYPE="string"><QUALIFIER NAME="EmbeddedInstance" TYPE="string"><VALUE>D</VALUE></QUALIFIER><VALUE>&lt;INSTANCE CLASSNAME="D"/&gt;</VALUE></PROPERTY>
        <PROPERTY.ARRAY NAME="A" TYPE="uint8" ARRAYSIZE="3"/><PROPERTY.REFERENCE NAME="R" REFERENCECLASS="D"/>
        <METHOD NAME="M" TYPE="uint32"><PARAMETER NAME="P" TYPE="string"/><PARAMETER.REFERENCE NAME="Q" REFERENCECLASS="D"/>
        <PARAMETER.ARRAY NAME="R" TYPE="uint8" ARRAYSIZE="2"/><PARAMETER.REFARRAY NAME="S"/></METHOD></CLASS>"#;
    let Ok(ParamValue::Class(class)) = iparam(class) else {
        panic!()
    };
    assert!(class.is_association());
    assert!(!class.qualifiers[0].flavor.overridable);
    assert_eq!(class.properties[0].embedded, Some(Embedded::Instance));
    assert_eq!(
        class.properties[0].default,
        Some(Value::from(Instance::new("D")))
    );
    assert_eq!(class.properties[1].array_size, Some(3));
    assert_eq!(class.properties[2].reference_class, Some("D".into()));
    let shapes: Vec<_> = class.methods[0]
        .parameters
        .iter()
        .map(|p| (p.ty, p.array))
        .collect();
    assert_eq!(
        shapes,
        [
            (Type::String, false),
            (Type::Reference, false),
            (Type::Uint8, true),
            (Type::Reference, true)
        ]
    );
    for (scope, scopes) in [
        (
            "<SCOPE CLASS=\"true\" KEY=\"x\" METHOD=\"FALSE\"/>",
            vec![Scope::Class],
        ),
        ("<SCOPE/>", vec![]),
        ("", vec![]),
    ] {
        let declaration = iparam(&format!(
            r#"<QUALIFIER.DECLARATION NAME="Q" TYPE="uint8" ISARRAY="true" TOSUBCLASS="false">{scope}<VALUE.ARRAY><VALUE>1</VALUE></VALUE.ARRAY></QUALIFIER.DECLARATION>"#
        ));
        let Ok(ParamValue::QualifierDeclaration(declaration)) = declaration else {
            panic!()
        };
        assert_eq!(declaration.scopes, scopes);
        assert!(declaration.array && !declaration.flavor.to_subclass);
    }
    for bad in [
        r#"<CLASS NAME="C"><METHOD NAME="M"/><METHOD NAME="m"/></CLASS>"#,
        r#"<CLASS NAME="C"><QUALIFIER NAME="M" TYPE="string"/><QUALIFIER NAME="m" TYPE="string"/></CLASS>"#,
        r#"<CLASS NAME="C"><PROPERTY.ARRAY NAME="A" TYPE="uint8" ARRAYSIZE="-3"/></CLASS>"#,
        r#"<CLASS NAME="C"><METHOD NAME="M"><PARAMETERS NAME="x"/></METHOD></CLASS>"#,
        r#"<QUALIFIER.DECLARATION NAME="Q"/>"#,
        r#"<QUALIFIER.DECLARATION NAME="Q" TYPE="uint8"><VALUE>1</VALUE><SCOPE/></QUALIFIER.DECLARATION>"#,
    ] {
        assert_eq!(kind(&iparam(bad).expect_err(bad)), "not valid", "{bad}");
    }
}

#[test]
fn named_instances() {
    let content = r#"<VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME="C"/><INSTANCE CLASSNAME="C"/></VALUE.NAMEDINSTANCE>"#;
    let expected = (ObjectPath::instance("C", Keys::new()), Instance::new("C"));
    assert_eq!(
        iparam(content),
        Ok(ParamValue::NamedInstance(Box::new(expected)))
    );
    assert!(iparam(&content.replace("<INSTANCE CLASSNAME=\"C\"/>", "")).is_err());
    assert!(read(&extrinsic("<PARAMVALUE NAME=\"P\"/>")).is_ok());
}
