//! Inputs made to hurt: each ends at the budget that it attacks, after little work.

use std::time::{Duration, Instant};

use super::super::{DecodeError, Limits, decode};
use super::{intrinsic, kind};

/// Longer than any of these may take on a slow machine without optimisation; unbounded work
/// would take minutes or the stack.
const PATIENCE: Duration = Duration::from_secs(20);

/// Room for the attack itself, so that another budget than the length has to stop it.
fn roomy() -> Limits {
    Limits {
        bytes: 64 << 20,
        ..Limits::default()
    }
}

fn attack(document: &str, limits: &Limits) -> DecodeError {
    let start = Instant::now();
    let error = decode(document.as_bytes(), limits).expect_err("an attack is refused");
    assert!(
        start.elapsed() < PATIENCE,
        "{:?} for {error}",
        start.elapsed()
    );
    assert!(error.to_string().len() < 300);
    error
}

fn parameter(content: &str) -> String {
    intrinsic(&format!("<IPARAMVALUE NAME=\"P\">{content}</IPARAMVALUE>"))
}

fn instance(content: &str) -> String {
    parameter(&format!("<INSTANCE CLASSNAME=\"C\">{content}</INSTANCE>"))
}

#[test]
fn millions_of_nested_elements() {
    let error = attack(&"<a>".repeat(5_000_000), &roomy());
    assert_eq!(kind(&error), "not valid");
    let error = attack(&parameter(&"<VALUE>".repeat(5_000_000)), &roomy());
    assert_eq!(kind(&error), "not valid");
}

#[test]
fn references_nested_as_the_grammar_allows() {
    let level =
        "<VALUE.REFERENCE><INSTANCENAME CLASSNAME=\"C\"><KEYBINDING NAME=\"K\">".repeat(200_000);
    let error = attack(&parameter(&level), &roomy());
    assert_eq!(
        error,
        DecodeError::TooLarge("references are nested too deep")
    );
    // However deep is allowed: the stack is not at the mercy of a setting.
    let limits = Limits {
        depth: usize::MAX,
        ..roomy()
    };
    let error = attack(&parameter(&level), &limits);
    assert_eq!(
        error,
        DecodeError::TooLarge("references are nested too deep")
    );
}

#[test]
fn ten_thousand_levels_of_anything() {
    let document = format!(
        "{}{}",
        "<CIM CIMVERSION='2.0' DTDVERSION='2.0'>".repeat(10_000),
        "</CIM>".repeat(10_000)
    );
    assert_eq!(kind(&attack(&document, &roomy())), "not valid");
}

#[test]
fn a_hundred_thousand_attributes() {
    let many: String = (0..100_000).map(|i| format!(" a{i}='x'")).collect();
    let error = attack(&parameter(&format!("<VALUE{many}/>")), &roomy());
    assert_eq!(
        error,
        DecodeError::TooLarge("an element has too many attributes")
    );
    let same = " a='x'".repeat(100_000);
    let error = attack(&parameter(&format!("<VALUE{same}/>")), &roomy());
    assert_eq!(kind(&error), "not well-formed");
}

#[test]
fn long_attributes_and_texts() {
    let long = "x".repeat(10 << 20);
    let error = attack(
        &parameter(&format!("<CLASSNAME NAME=\"{long}\"/>")),
        &roomy(),
    );
    assert_eq!(error, DecodeError::TooLarge("an attribute is too long"));
    for text in [
        long.clone(),
        "x<!-- -->".repeat(2 << 20),
        "&amp;".repeat(2 << 20),
        "<![CDATA[xx]]>".repeat(1 << 20),
    ] {
        let error = attack(&parameter(&format!("<VALUE>{text}</VALUE>")), &roomy());
        assert_eq!(error, DecodeError::TooLarge("a text is too long"));
    }
    // A name of that length is an error of its own, and the reason does not repeat it.
    let error = attack(&parameter(&format!("<{long}></x>")), &roomy());
    assert_eq!(kind(&error), "not valid");
    let error = attack(&format!("<CIM></{long}>"), &roomy());
    assert!(matches!(kind(&error), "not well-formed" | "not valid"));
}

#[test]
fn long_namespaces_in_short_pieces() {
    let pieces = format!("<NAMESPACE NAME=\"{}\"/>", "n".repeat(1000)).repeat(1000);
    let error = attack(
        &super::message(&format!(
            "<IMETHODCALL NAME=\"Op\"><LOCALNAMESPACEPATH>{pieces}</LOCALNAMESPACEPATH></IMETHODCALL>"
        )),
        &roomy(),
    );
    assert_eq!(error, DecodeError::TooLarge("a namespace is too long"));
}

#[test]
fn too_many_bytes() {
    let limits = Limits {
        bytes: 100,
        ..Limits::default()
    };
    let error = attack(&intrinsic(""), &limits);
    assert_eq!(error, DecodeError::TooLarge("there are too many bytes"));
}

#[test]
fn too_many_elements_and_members() {
    let values = "<VALUE/>".repeat(1_000_000);
    let error = attack(
        &parameter(&format!("<VALUE.ARRAY>{values}</VALUE.ARRAY>")),
        &roomy(),
    );
    assert_eq!(error, DecodeError::TooManyElements);
    let properties: String = (0..50_000)
        .map(|i| format!("<PROPERTY NAME=\"p{i}\" TYPE=\"string\"/>"))
        .collect();
    assert_eq!(
        attack(&instance(&properties), &roomy()),
        DecodeError::TooManyElements
    );
    let keys: String = (0..20_000)
        .map(|i| format!("<KEYBINDING NAME=\"k{i}\"><KEYVALUE/></KEYBINDING>"))
        .collect();
    let path = format!("<INSTANCENAME CLASSNAME=\"C\">{keys}</INSTANCENAME>");
    assert_eq!(
        attack(&parameter(&path), &roomy()),
        DecodeError::TooManyElements
    );
    let parameters = "<IPARAMVALUE NAME=\"P\"/>".repeat(20_000);
    assert_eq!(
        attack(&intrinsic(&parameters), &roomy()),
        DecodeError::TooManyElements
    );
}

/// An embedded instance in an embedded instance …, `levels` deep, with that much padding inside.
fn chain(levels: usize, padding: usize) -> String {
    let mut inner = "x".repeat(padding);
    for level in 0..levels {
        let kind = if level == 0 {
            ""
        } else {
            " EmbeddedObject='instance'"
        };
        // Each level escapes only what it must, so that the chain grows slowly.
        let escaped = inner.replace('&', "&amp;").replace('<', "&lt;");
        inner = format!(
            "<INSTANCE CLASSNAME='C'><PROPERTY NAME='P' TYPE='string'{kind}><VALUE>{escaped}</VALUE></PROPERTY></INSTANCE>"
        );
    }
    inner
}

#[test]
fn embedded_objects_in_embedded_objects() {
    let ok = parameter(&chain(Limits::default().embedded + 1, 10));
    assert!(decode(ok.as_bytes(), &roomy()).is_ok());
    let limits = Limits {
        text_bytes: 32 << 20,
        ..roomy()
    };
    let error = attack(&parameter(&chain(50, 10 << 20)), &limits);
    assert_eq!(
        error,
        DecodeError::TooLarge("embedded objects are nested too deep")
    );
    // As many levels as one likes still share one count of bytes, elements and depth.
    let deep = Limits {
        embedded: usize::MAX,
        depth: usize::MAX,
        ..limits
    };
    let error = attack(&parameter(&chain(50, 10 << 20)), &deep);
    assert_eq!(
        error,
        DecodeError::TooLarge("embedded objects are too long")
    );
    let error = attack(&parameter(&chain(80, 10)), &deep);
    assert_eq!(error, DecodeError::TooLarge("elements are nested too deep"));
}

#[test]
fn embedded_objects_share_the_count_of_elements() {
    let values = "&lt;VALUE/&gt;".repeat(30_000);
    let embedded = format!(
        "<VALUE>&lt;INSTANCE CLASSNAME='C'&gt;&lt;PROPERTY.ARRAY NAME='A' TYPE='string'&gt;&lt;VALUE.ARRAY&gt;{values}&lt;/VALUE.ARRAY&gt;&lt;/PROPERTY.ARRAY&gt;&lt;/INSTANCE&gt;</VALUE>"
    );
    let document = instance(&format!(
        "<PROPERTY.ARRAY NAME='E' TYPE='string' EmbeddedObject='instance'><VALUE.ARRAY>{}</VALUE.ARRAY></PROPERTY.ARRAY>",
        embedded.repeat(4)
    ));
    assert_eq!(attack(&document, &roomy()), DecodeError::TooManyElements);
}

#[test]
fn entities_expand_to_nothing() {
    let bomb = "<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    for document in [
        format!(
            "{bomb}{}",
            intrinsic("").replace("<?xml version=\"1.0\" encoding=\"utf-8\" ?>", "")
        ),
        parameter(&format!("<VALUE>{bomb}&b;</VALUE>")),
        instance(&format!(
            "<PROPERTY NAME='P' TYPE='string' EmbeddedObject='instance'><VALUE><![CDATA[{bomb}<INSTANCE CLASSNAME='&b;'/>]]></VALUE></PROPERTY>"
        )),
    ] {
        assert_eq!(
            attack(&document, &roomy()),
            DecodeError::Doctype,
            "{document}"
        );
    }
}

/// Every prefix and many single-byte changes of a rich request end in an answer, not in a panic.
#[test]
fn truncated_and_damaged_requests() {
    let document = super::extrinsic(
        "<PARAMVALUE NAME='P' PARAMTYPE='string' EmbeddedObject='object'><VALUE>&lt;INSTANCE CLASSNAME='C'/&gt;</VALUE></PARAMVALUE><!-- é --><PARAMVALUE NAME='Q'><VALUE.REFERENCE><INSTANCENAME CLASSNAME='D'><KEYVALUE><![CDATA[x]]>&#65;</KEYVALUE></INSTANCENAME></VALUE.REFERENCE></PARAMVALUE>",
    );
    let bytes = document.as_bytes();
    assert!(decode(bytes, &roomy()).is_ok());
    for end in 0..bytes.len() {
        assert!(decode(&bytes[..end], &roomy()).is_err(), "{end}");
    }
    for at in 0..bytes.len() {
        for byte in *b"<>&;'\"/!-[]= \0\xffa0" {
            let mut damaged = bytes.to_vec();
            damaged[at] = byte;
            let _answer = decode(&damaged, &roomy());
        }
    }
}
