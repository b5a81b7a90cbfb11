//! Documents and parameters: what is accepted, what it means, which error each fault is.

use super::super::{Call, Kind, ParamValue};
use super::{NAMESPACE, intrinsic, iparam, kind, message, param, read};
use crate::cim::{Instance, Keys, ObjectPath, Value};

#[test]
fn an_intrinsic_call() {
    let request = read(&intrinsic(
        r#"<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="CIM_X"/></IPARAMVALUE>
           <IPARAMVALUE NAME="LocalOnly"><VALUE>FALSE</VALUE></IPARAMVALUE>
           <IPARAMVALUE NAME="PropertyList"><VALUE.ARRAY/></IPARAMVALUE>
           <IPARAMVALUE NAME="None"/>"#,
    ))
    .unwrap();
    assert_eq!(request.message_id, "1001");
    assert_eq!(request.protocol_version, "1.0");
    assert_eq!(request.head().kind, Kind::Intrinsic);
    assert_eq!(request.call.namespace().as_str(), "root/x");
    let Call::Intrinsic {
        name, parameters, ..
    } = request.call
    else {
        panic!()
    };
    assert_eq!(name.as_str(), "Op");
    let values: Vec<_> = parameters.into_iter().map(|(_, value)| value).collect();
    assert_eq!(
        values,
        [
            ParamValue::Path(ObjectPath::class("CIM_X")),
            ParamValue::Text("FALSE".into()),
            ParamValue::Texts(vec![]),
            ParamValue::Null,
        ]
    );
}

#[test]
fn an_extrinsic_call_on_an_instance() {
    let request = read(&message(&format!(
        r#"<CORRELATOR NAME="c" TYPE="string"><VALUE>x</VALUE></CORRELATOR>
        <METHODCALL NAME="doIt"><LOCALINSTANCEPATH>{NAMESPACE}<INSTANCENAME CLASSNAME="C">
        <KEYBINDING NAME="K"><KEYVALUE VALUETYPE="string" TYPE="string"> a </KEYVALUE></KEYBINDING>
        </INSTANCENAME></LOCALINSTANCEPATH></METHODCALL>"#
    )))
    .unwrap();
    assert_eq!(request.head().kind, Kind::Extrinsic);
    let Call::Extrinsic {
        name,
        path,
        parameters,
    } = request.call
    else {
        panic!()
    };
    assert_eq!(name.as_str(), "doIt");
    let keys: Keys = [("k", " a ")].into_iter().collect();
    assert_eq!(path, ObjectPath::instance("C", keys).in_namespace("root/x"));
    assert!(parameters.is_empty());
}

#[test]
fn namespaces_may_come_in_one_component() {
    for components in [
        r#"<NAMESPACE NAME="root/x"/>"#,
        r#"<NAMESPACE NAME="/root"></NAMESPACE><NAMESPACE NAME="x/"/>"#,
    ] {
        let document = message(&format!(
            r#"<IMETHODCALL NAME="Op"><LOCALNAMESPACEPATH>{components}</LOCALNAMESPACEPATH></IMETHODCALL>"#
        ));
        assert_eq!(read(&document).unwrap().call.namespace().as_str(), "root/x");
    }
}

#[test]
fn text_is_put_together_from_its_pieces() {
    let table = [
        ("a&amp;b&#10;c<![CDATA[<d>&amp;]]>", "a&b\nc<d>&amp;"),
        ("&lt;&gt;&quot;&apos;&#x20;&#233;", "<>\"' é"),
        (" lead<!-- no --> and <?pi x?>trail ", " lead and trail "),
        ("a\r\nb\rc&#13;d", "a\nb\nc\rd"),
        ("<![CDATA[]]>", ""),
        ("", ""),
    ];
    for (written, meant) in table {
        assert_eq!(
            iparam(&format!("<VALUE>{written}</VALUE>")),
            Ok(ParamValue::Text(meant.into())),
            "{written}"
        );
    }
    assert_eq!(iparam("<VALUE/>"), Ok(ParamValue::Text("".into())));
}

#[test]
fn attributes_are_unescaped() {
    assert_eq!(
        iparam("<CLASSNAME NAME='a&amp;b&#x41;\n&quot;'/>"),
        Ok(ParamValue::Path(ObjectPath::class("a&bA \"")))
    );
}

#[test]
fn forms_of_a_document_that_are_fine() {
    let call = r#"<IMETHODCALL NAME="Op"><LOCALNAMESPACEPATH><NAMESPACE NAME="n"/></LOCALNAMESPACEPATH></IMETHODCALL>"#;
    let body = format!(
        r#"<CIM CIMVERSION="2.0" DTDVERSION="2.3.1"><MESSAGE ID="" PROTOCOLVERSION="1.4"><SIMPLEREQ>{call}</SIMPLEREQ></MESSAGE></CIM>"#
    );
    for document in [
        body.clone(),
        format!("\u{feff}<?xml version=\"1.0\"?>{body}"),
        format!("\u{feff}{body}"),
        format!("<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\r\n{body}\n\n"),
        format!("<!-- a --><?p i?>\n{body}<!-- b --><?p i?>\n"),
        body.replace("<SIMPLEREQ>", "<SIMPLEREQ >\n<!-- c -->"),
        body.replace("</CIM>", "</CIM >")
            .replace("ID=\"\"", "ID='' unknown='x' xml:lang=\"de\""),
    ] {
        assert!(read(&document).is_ok(), "{document}: {:?}", read(&document));
    }
}

/// Faults of the whole document and the error that each one is.
#[test]
fn faults_of_the_document() {
    let good = intrinsic("");
    let table: Vec<(&str, String)> = vec![
        ("not well-formed", String::new()),
        ("not well-formed", "plain text".into()),
        ("not well-formed", "<CIM".into()),
        ("not well-formed", good.replace("</CIM>", "")),
        ("not well-formed", good.replace("</MESSAGE>", "")),
        ("not well-formed", format!("{good}x")),
        ("not well-formed", format!("{good}<CIM/>")),
        ("not well-formed", format!("{good}</CIM>")),
        ("not well-formed", format!("{good}\0")),
        ("not well-formed", format!("{good}&amp;")),
        ("not well-formed", format!("{good}<![CDATA[ ]]>")),
        ("not well-formed", format!(" {good}")),
        ("not well-formed", format!("<?xml version=\"1.0\"?>{good}")),
        (
            "not well-formed",
            good.replace("1.0\" encoding=\"utf-8\"", "2.0\""),
        ),
        ("not well-formed", good.replace("utf-8", "utf-16")),
        (
            "not well-formed",
            good.replace("ID=\"1001\"", "ID=\"1\" ID=\"2\""),
        ),
        ("not well-formed", good.replace("ID=\"1001\"", "ID=1001")),
        ("not well-formed", good.replace("ID=\"1001\"", "ID")),
        ("not well-formed", good.replace("1001", "a<b")),
        ("not well-formed", good.replace("1001", "&unknown;")),
        ("not well-formed", good.replace("1001", "&#0;")),
        ("not well-formed", good.replace("1001", "&#xFFFF;")),
        ("not well-formed", good.replace("1001", "a & b")),
        ("not well-formed", good.replace("1001", "\u{1}")),
        (
            "not well-formed",
            good.replace("<SIMPLEREQ>", "<SIMPLEREQ><!-- a -- b -->"),
        ),
        ("doctype", good.replace("<CIM ", "<!DOCTYPE CIM><CIM ")),
        (
            "doctype",
            good.replace(
                "<CIM ",
                "<!DOCTYPE CIM [<!ENTITY a \"b\"> <!ENTITY % c SYSTEM \"d\">]><CIM ",
            ),
        ),
        (
            "CIM version",
            good.replace("CIMVERSION=\"2.0\"", "CIMVERSION=\"3.0\""),
        ),
        (
            "CIM version",
            good.replace(
                "CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"",
                "CIMVERSION=\"2.\" DTDVERSION=\"1.0\"",
            ),
        ),
        (
            "DTD version",
            good.replace("DTDVERSION=\"2.0\"", "DTDVERSION=\"1.0\""),
        ),
        (
            "DTD version",
            good.replace("DTDVERSION=\"2.0\"", "DTDVERSION=\"x\"")
                .replace("\"1.0\">", "\"9.0\">"),
        ),
        (
            "protocol version",
            good.replace("PROTOCOLVERSION=\"1.0\"", "PROTOCOLVERSION=\"2.0\""),
        ),
        (
            "protocol version",
            good.replace("PROTOCOLVERSION=\"1.0\"", "PROTOCOLVERSION=\"1,0\""),
        ),
        ("several requests", good.replace("SIMPLEREQ>", "MULTIREQ>")),
        ("not valid", good.replace("CIMVERSION=\"2.0\" ", "")),
        ("not valid", good.replace("ID=\"1001\"", "")),
        ("not valid", "<HTML></HTML>".into()),
        ("not valid", good.replace("SIMPLEREQ>", "SIMPLERSP>")),
        ("not valid", good.replace("MESSAGE", "DECLARATION")),
        (
            "not valid",
            good.replace(
                "</MESSAGE>",
                "</MESSAGE><MESSAGE ID=\"2\" PROTOCOLVERSION=\"1.0\"/>",
            ),
        ),
        (
            "not valid",
            good.replace("</SIMPLEREQ>", "</SIMPLEREQ><SIMPLEREQ></SIMPLEREQ>"),
        ),
        (
            "not valid",
            good.replace("</IMETHODCALL>", "</IMETHODCALL><IMETHODCALL NAME=\"x\"/>"),
        ),
        ("not valid", message("")),
        ("not valid", message("text")),
        ("not valid", message("<IMETHODCALL NAME=\"Op\"/>")),
        (
            "not valid",
            message("<IMETHODCALL NAME=\"Op\"><LOCALNAMESPACEPATH/></IMETHODCALL>"),
        ),
        (
            "not valid",
            message(&format!("<IMETHODCALL NAME=\"\">{NAMESPACE}</IMETHODCALL>")),
        ),
        (
            "not valid",
            message(&format!("<METHODCALL NAME=\"x\">{NAMESPACE}</METHODCALL>")),
        ),
        (
            "not valid",
            message("<METHODCALL NAME=\"x\"><CLASSNAME NAME=\"c\"/></METHODCALL>"),
        ),
        (
            "not valid",
            message(&format!(
                "<imethodcall NAME=\"Op\">{NAMESPACE}</imethodcall>"
            )),
        ),
    ];
    for (expected, document) in table {
        let error = read(&document).expect_err(&document);
        assert_eq!(kind(&error), expected, "{document}: {error}");
        assert!(error.to_string().len() < 300, "{error}");
    }
}

#[test]
fn bytes_that_are_not_utf_8() {
    let good = intrinsic("");
    let latin = good.replace("1001", "\u{e9}").into_bytes();
    let latin: Vec<u8> = latin.into_iter().filter(|&b| b != 0xc3).collect();
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut marked = vec![0xff, 0xfe];
    marked.extend(&wide);
    let overlong = [good.as_bytes(), &[0xc0, 0x80]].concat();
    for bytes in [latin, wide, marked, overlong] {
        let error = super::decode(&bytes, &super::Limits::default()).unwrap_err();
        assert_eq!(kind(&error), "not well-formed");
    }
}

#[test]
fn faults_in_parameters() {
    let table = [
        ("not valid", r#"<IPARAMVALUE NAME="P">text</IPARAMVALUE>"#),
        (
            "not valid",
            r#"<IPARAMVALUE><VALUE>1</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<IPARAMVALUE NAME="P"><VALUE>1</VALUE><VALUE>2</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<IPARAMVALUE NAME="P"><VALUE><VALUE>1</VALUE></VALUE></IPARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<IPARAMVALUE NAME="P"><VALUE.ARRAY>1</VALUE.ARRAY></IPARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<IPARAMVALUE NAME="P"><VALUE.ARRAY>&#32;</VALUE.ARRAY></IPARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<IPARAMVALUE NAME="P"><VALUE.NULL/></IPARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<IPARAMVALUE NAME="P"><UNKNOWN/></IPARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<PARAMVALUE NAME="P"><VALUE>1</VALUE></PARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<IPARAMVALUE NAME="P"><CLASSNAME/></IPARAMVALUE>"#,
        ),
        (
            "not valid",
            r#"<IPARAMVALUE NAME="P"><CLASSNAME NAME="x">x</CLASSNAME></IPARAMVALUE>"#,
        ),
        (
            "not well-formed",
            r#"<IPARAMVALUE NAME="P"><VALUE>&lol;</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not well-formed",
            r#"<IPARAMVALUE NAME="P"><VALUE>&#0;</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not well-formed",
            r#"<IPARAMVALUE NAME="P"><VALUE>&#xD800;</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not well-formed",
            r#"<IPARAMVALUE NAME="P"><VALUE>&#xFFFE;</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not well-formed",
            r#"<IPARAMVALUE NAME="P"><VALUE>&#;</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not well-formed",
            r#"<IPARAMVALUE NAME="P"><VALUE>a & b</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not well-formed",
            r#"<IPARAMVALUE NAME="P"><VALUE>a ]]> b</VALUE></IPARAMVALUE>"#,
        ),
        (
            "not well-formed",
            r#"<IPARAMVALUE NAME="P"><VALUE>a < b</VALUE></IPARAMVALUE>"#,
        ),
        (
            "doctype",
            r#"<IPARAMVALUE NAME="P"><VALUE><!DOCTYPE a></VALUE></IPARAMVALUE>"#,
        ),
    ];
    for (expected, parameter) in table {
        let error = read(&intrinsic(parameter)).expect_err(parameter);
        assert_eq!(kind(&error), expected, "{parameter}: {error}");
    }
}

#[test]
fn doubled_parameters_are_the_brokers_business() {
    let document = intrinsic(r#"<IPARAMVALUE NAME="A"/><IPARAMVALUE NAME="a"/>"#);
    let Call::Intrinsic { parameters, .. } = read(&document).unwrap().call else {
        panic!()
    };
    assert_eq!(parameters.len(), 2);
}

#[test]
fn typed_method_parameters() {
    let null = Value::Array(vec![Some(Value::Uint8(1)), None]);
    let table = [
        (
            r#"PARAMTYPE="uint8""#,
            "<VALUE>7</VALUE>",
            ParamValue::Value(Value::Uint8(7)),
        ),
        (
            r#"TYPE="uint8""#,
            "<VALUE>7</VALUE>",
            ParamValue::Value(Value::Uint8(7)),
        ),
        (
            r#"PARAMTYPE="" TYPE="uint8""#,
            "<VALUE>7</VALUE>",
            ParamValue::Value(Value::Uint8(7)),
        ),
        ("", "<VALUE>7</VALUE>", ParamValue::Text("7".into())),
        (r#"PARAMTYPE="uint8""#, "", ParamValue::Null),
        (
            r#"PARAMTYPE="string""#,
            "<VALUE></VALUE>",
            ParamValue::Value(Value::from("")),
        ),
        (
            r#"PARAMTYPE="uint8""#,
            "<VALUE.ARRAY><VALUE>1</VALUE><VALUE.NULL/></VALUE.ARRAY>",
            ParamValue::Value(null),
        ),
        ("", "<VALUE.ARRAY></VALUE.ARRAY>", ParamValue::Texts(vec![])),
        (
            r#"PARAMTYPE="reference""#,
            "<VALUE.ARRAY/>",
            ParamValue::Paths(vec![]),
        ),
        (
            r#"PARAMTYPE="reference""#,
            "<VALUE.REFARRAY/>",
            ParamValue::Paths(vec![]),
        ),
        (
            r#"PARAMTYPE="reference""#,
            r#"<VALUE.REFARRAY><VALUE.REFERENCE><CLASSNAME NAME="C"/></VALUE.REFERENCE><VALUE.NULL/></VALUE.REFARRAY>"#,
            ParamValue::Paths(vec![Some(ObjectPath::class("C")), None]),
        ),
        (
            "",
            r#"<INSTANCE CLASSNAME="C"/>"#,
            ParamValue::Instance(Box::new(Instance::new("C"))),
        ),
    ];
    for (attributes, content, expected) in table {
        assert_eq!(
            param(attributes, content),
            Ok(expected),
            "{attributes} {content}"
        );
    }
    for (attributes, content) in [
        (r#"PARAMTYPE="uint8""#, "<VALUE>300</VALUE>"),
        (r#"PARAMTYPE="uint8""#, "<VALUE> </VALUE>"),
        (r#"PARAMTYPE="nonsense""#, "<VALUE>1</VALUE>"),
        (r#"PARAMTYPE="reference""#, "<VALUE>x</VALUE>"),
        (
            r#"PARAMTYPE="reference""#,
            "<VALUE.ARRAY><VALUE>x</VALUE></VALUE.ARRAY>",
        ),
        (
            r#"PARAMTYPE="uint8" EmbeddedObject="instance""#,
            "<VALUE>x</VALUE>",
        ),
        (
            r#"PARAMTYPE="string" EmbeddedObject="other""#,
            "<VALUE>x</VALUE>",
        ),
    ] {
        let error = param(attributes, content).expect_err(attributes);
        assert_eq!(kind(&error), "not valid", "{attributes}: {error}");
    }
}
