//! Texts to values.

use super::super::version_major;
use super::super::{Limits, ParamValue, ValueError, Wanted, parse_key, parse_literal, retype_key};
use crate::cim::{Embedded, Instance, ObjectPath, Type, Value};

#[test]
fn literals_of_every_type() {
    use Type::*;
    let good = [
        (Boolean, "TRUE", Value::Boolean(true)),
        (Boolean, "False", Value::Boolean(false)),
        (Boolean, " true\n", Value::Boolean(true)),
        (Uint8, "255", Value::Uint8(255)),
        (Uint8, "+0", Value::Uint8(0)),
        (Uint8, "0xfF", Value::Uint8(255)),
        (Uint16, "65535", Value::Uint16(65535)),
        (Uint32, "4294967295", Value::Uint32(u32::MAX)),
        (Uint64, "18446744073709551615", Value::Uint64(u64::MAX)),
        (Uint64, "0XFFFFFFFFFFFFFFFF", Value::Uint64(u64::MAX)),
        (
            Uint64,
            "0000000000000000000000000000000000000000000000000007",
            Value::Uint64(7),
        ),
        (Sint8, "-128", Value::Sint8(-128)),
        (Sint16, "32767", Value::Sint16(32767)),
        (Sint32, "-2147483648", Value::Sint32(i32::MIN)),
        (Sint64, "-9223372036854775808", Value::Sint64(i64::MIN)),
        (Sint64, "-0", Value::Sint64(0)),
        (Real32, "4.20000000E+01", Value::Real32(42.0)),
        (Real32, "INF", Value::Real32(f32::INFINITY)),
        (Real64, "-.5", Value::Real64(-0.5)),
        (Real64, "1e-5", Value::Real64(0.00001)),
        (Real64, "-INF", Value::Real64(f64::NEG_INFINITY)),
        (
            Real64,
            "2.2250738585072012e-308",
            Value::Real64(2.2250738585072012e-308),
        ),
        (Char16, " ", Value::Char16(0x20)),
        (Char16, "漢", Value::Char16(0x6f22)),
        (String, " a ", Value::from(" a ")),
        (String, "", Value::from("")),
        (
            DateTime,
            "20261120123456.123456-060",
            Value::DateTime("20261120123456.123456-060".parse().unwrap()),
        ),
        (
            DateTime,
            "00000001******.******:000",
            Value::DateTime("00000001******.******:000".parse().unwrap()),
        ),
    ];
    for (ty, text, value) in good {
        assert_eq!(parse_literal(text, ty), Ok(value), "{ty} {text:?}");
    }
    assert!(matches!(parse_literal("NaN", Real64), Ok(Value::Real64(v)) if v.is_nan()));
}

#[test]
fn bad_literals_of_every_type() {
    use Type::*;
    let bad: [(Type, &[&str]); 15] = [
        (Boolean, &["", "1", "yes", "tru e"]),
        (
            Uint8,
            &[
                "", "256", "-1", "1.0", "1 2", "0x", "0x100", "0x-1", "0x+1", "١",
            ],
        ),
        (Uint16, &["65536", "a"]),
        (Uint32, &["4294967296", "1_000"]),
        (
            Uint64,
            &[
                "18446744073709551616",
                "999999999999999999999999999999999999999999999",
            ],
        ),
        (Sint8, &["128", "-129", "0x7f", "--1"]),
        (Sint16, &["32768"]),
        (Sint32, &["2147483648"]),
        (Sint64, &["9223372036854775808"]),
        (
            Real32,
            &["", "1e39", ".", "1.", "e5", "1e", "infinity", "0x1"],
        ),
        (Real64, &["1E999", "1.0.0", "1e5.0", "nan1", "-nan", "1,5"]),
        (Char16, &["", "ab", "😀"]),
        (
            DateTime,
            &[
                "",
                "now",
                " 20261120123456.123456-060",
                "20261320123456.123456-060",
            ],
        ),
        (Reference, &["root/x:C.k=1", ""]),
        (Uint8, &["-"]),
    ];
    for (ty, texts) in bad {
        for text in texts {
            assert!(parse_literal(text, ty).is_err(), "{ty} {text:?}");
        }
    }
}

#[test]
fn a_refused_literal_is_named_but_not_repeated_at_length() {
    let error = parse_literal(&"9\n".repeat(1000), Type::Uint8).unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("is not a uint8") && text.len() < 200 && !text.contains('\n'),
        "{text}"
    );
}

#[test]
fn key_values_with_and_without_types() {
    let table = [
        ("5", Some("numeric"), Some("uint8"), Value::Uint8(5)),
        ("5", Some("numeric"), None, Value::Uint64(5)),
        ("-5", Some("numeric"), Some(""), Value::Sint64(-5)),
        ("0x10", Some("numeric"), None, Value::Uint64(16)),
        ("+5", Some("numeric"), None, Value::Uint64(5)),
        ("1.5", Some("numeric"), None, Value::Real64(1.5)),
        ("5", Some("string"), None, Value::from("5")),
        ("5", None, None, Value::from("5")),
        ("5", None, Some(""), Value::from("5")),
        ("5", Some("string"), Some("uint32"), Value::Uint32(5)),
        ("tRue", Some("boolean"), None, Value::Boolean(true)),
        ("x", Some("string"), Some("char16"), Value::Char16(0x78)),
    ];
    for (text, value_type, ty, value) in table {
        assert_eq!(
            parse_key(text, value_type, ty),
            Ok(value),
            "{text} {value_type:?} {ty:?}"
        );
    }
    assert!(parse_key("x", Some("numeric"), None).is_err());
    assert!(parse_key("300", Some("numeric"), Some("uint8")).is_err());
}

#[test]
fn keys_become_what_the_class_says() {
    let time = "20261120123456.123456-060";
    let table = [
        (Value::Uint64(5), Type::Uint8, Some(Value::Uint8(5))),
        (Value::Uint64(500), Type::Uint8, None),
        (Value::Uint64(5), Type::String, Some(Value::from("5"))),
        (Value::from("5"), Type::Uint16, Some(Value::Uint16(5))),
        (
            Value::from(time),
            Type::DateTime,
            Some(Value::DateTime(time.parse().unwrap())),
        ),
        (Value::Boolean(true), Type::Uint8, None),
        (Value::from("x"), Type::String, Some(Value::from("x"))),
    ];
    for (value, ty, expected) in table {
        assert_eq!(retype_key(&value, ty), expected, "{value:?} {ty}");
    }
}

fn resolve(value: ParamValue, wanted: Wanted) -> Result<Option<Value>, ValueError> {
    value.resolve(wanted, &Limits::default())
}

#[test]
fn parameters_become_what_the_declaration_says() {
    let path = ObjectPath::class("CIM_X");
    let table = [
        (ParamValue::Null, Wanted::scalar(Type::Uint8), Ok(None)),
        (
            ParamValue::Text("7".into()),
            Wanted::scalar(Type::Uint8),
            Ok(Some(Value::Uint8(7))),
        ),
        (
            ParamValue::Texts(vec![Some("7".into()), None]),
            Wanted::array(Type::Uint8),
            Ok(Some(Value::Array(vec![Some(Value::Uint8(7)), None]))),
        ),
        (
            ParamValue::Value(Value::Uint32(7)),
            Wanted::scalar(Type::Uint64),
            Ok(Some(Value::Uint64(7))),
        ),
        (
            ParamValue::Texts(vec![]),
            Wanted::array(Type::Reference),
            Ok(Some(Value::Array(vec![]))),
        ),
        (
            ParamValue::Paths(vec![Some(path.clone()), None]),
            Wanted::array(Type::Reference),
            Ok(Some(Value::Array(vec![
                Some(Value::from(path.clone())),
                None,
            ]))),
        ),
        (
            ParamValue::Path(path.clone()),
            Wanted::scalar(Type::String),
            Ok(Some(Value::from("CIM_X"))),
        ),
    ];
    for (value, wanted, expected) in table {
        assert_eq!(resolve(value.clone(), wanted), expected, "{value:?}");
    }
}

#[test]
fn parameters_of_another_shape_or_kind_are_refused() {
    let refused = [
        (ParamValue::Text("7".into()), Wanted::array(Type::Uint8)),
        (ParamValue::Texts(vec![]), Wanted::scalar(Type::Uint8)),
        (ParamValue::Text("x".into()), Wanted::scalar(Type::Uint8)),
        (
            ParamValue::Text("x".into()),
            Wanted::scalar(Type::Reference),
        ),
        (
            ParamValue::Value(Value::Uint32(256)),
            Wanted::scalar(Type::Uint8),
        ),
        (
            ParamValue::Value(Value::Uint32(1)),
            Wanted::scalar(Type::String),
        ),
        (
            ParamValue::Value(Value::Boolean(true)),
            Wanted::scalar(Type::Uint8),
        ),
        (
            ParamValue::Instance(Box::new(Instance::new("C"))),
            Wanted::scalar(Type::String),
        ),
    ];
    for (value, wanted) in refused {
        assert!(resolve(value.clone(), wanted).is_err(), "{value:?}");
    }
}

#[test]
fn untyped_embedded_instances_are_read_when_the_declaration_asks() {
    let wanted = Wanted {
        embedded: Some(Embedded::Instance),
        ..Wanted::scalar(Type::String)
    };
    let read = |text: &str| resolve(ParamValue::Text(text.into()), wanted);
    assert_eq!(
        read(r#"<?xml version="1.0"?><INSTANCE CLASSNAME="C"></INSTANCE>"#),
        Ok(Some(Value::from(Instance::new("C"))))
    );
    for bad in [
        "",
        "text",
        "<INSTANCE CLASSNAME=\"C\">",
        "<CLASS NAME=\"C\"/>",
    ] {
        assert!(matches!(read(bad), Err(ValueError::Embedded(_))), "{bad}");
    }
    let wrapped = resolve(
        ParamValue::NamedInstance(Box::new((ObjectPath::class("C"), Instance::new("C")))),
        wanted,
    );
    assert!(
        wrapped
            .unwrap_err()
            .to_string()
            .contains("an INSTANCE element is wanted")
    );
}

#[test]
fn versions() {
    for (text, major) in [
        ("2.0", Some(2)),
        ("2.3.1", Some(2)),
        ("1.4", Some(1)),
        ("10.0", Some(10)),
        ("2", None),
        ("2.", None),
        ("1,0", None),
        ("1.a", None),
        ("", None),
        (".0", None),
        ("+1.0", None),
        ("1.0.0.0", None),
        ("99999999999.0", None),
    ] {
        assert_eq!(version_major(text), major, "{text:?}");
    }
}
