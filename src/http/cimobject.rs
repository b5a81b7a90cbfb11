//! The `CIMObject` header: which object a request is for, as text (DSP0200 §7.2).
//!
//! Clients send it percent-encoded or raw, in UTF-8 or Latin-1, with keys in any order, so texts
//! are never compared: the header is parsed and the paths are compared.

use crate::cim::{Keys, ObjectPath, Value, eq_fold};
use crate::cimxml::Call;

/// Undoes percent-encoding; `None` if an escape is malformed.
pub(super) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            plain => plain,
        });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16)?.try_into().ok()
}

/// Whether the header names the target of the call, read decoded or, since some clients do not
/// encode a literal `%`, as it stands.
pub(super) fn names_target(header: &[u8], call: &Call) -> bool {
    let decoded = unescape(header).map(text);
    let as_it_stands = || text(header.to_vec());
    decoded.is_some_and(|text| names(&text, call))
        || (header.contains(&b'%') && names(&as_it_stands(), call))
}

/// The characters of a header value: UTF-8, or else Latin-1.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|e| e.into_bytes().into_iter().map(char::from).collect())
}

fn names(header: &str, call: &Call) -> bool {
    match call {
        Call::Intrinsic { namespace, .. } => eq_fold(header.trim_matches('/'), namespace.as_str()),
        Call::Extrinsic { path, .. } => {
            ObjectPath::parse(header).is_some_and(|named| same_object(&named, path))
        }
    }
}

fn same_object(header: &ObjectPath, body: &ObjectPath) -> bool {
    header.namespace == body.namespace
        && header.class == body.class
        && match (&header.keys, &body.keys) {
            (None, None) => true,
            (Some(header), Some(body)) => same_keys(header, body),
            _ => false,
        }
}

fn same_keys(header: &Keys, body: &Keys) -> bool {
    header.len() == body.len()
        && header.iter().all(|(name, value)| {
            body.find(name.as_str())
                .is_some_and(|other| same_value(value, other))
        })
}

/// The text form does not tell a reference from a string that looks like a path, nor a date from
/// a string; the body does.
fn same_value(header: &Value, body: &Value) -> bool {
    match (header, body) {
        (Value::Reference(header), Value::Reference(body)) => same_object(header, body),
        (Value::Reference(header), Value::String(text)) => {
            ObjectPath::parse(text).is_some_and(|body| same_object(header, &body))
        }
        (Value::String(header), Value::DateTime(body)) => *header == body.as_str(),
        (header, body) => header.same_key(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extrinsic(path: ObjectPath) -> Call {
        Call::Extrinsic {
            name: "M".into(),
            path,
            parameters: Vec::new(),
        }
    }

    fn volume(id: &str) -> Call {
        let keys = [("SystemName", Value::from(id)), ("N", Value::Uint8(7))];
        let path = ObjectPath::instance("CIM_Volume", keys.into_iter().collect());
        extrinsic(path.in_namespace("root/standpipe"))
    }

    #[test]
    fn raw_and_encoded_texts_in_any_key_order_name_the_same_object() {
        for header in [
            r#"root/standpipe:CIM_Volume.SystemName="a\"b",N=7"#,
            r#"Root/Standpipe:cim_volume.n=7,SYSTEMNAME="a\"b""#,
            "root%2Fstandpipe%3ACIM_Volume.SystemName%3D%22a%5C%22b%22%2CN%3D7",
            "root%2fstandpipe:CIM_Volume.SystemName=%22a%5c%22b%22,N=7",
        ] {
            assert!(names_target(header.as_bytes(), &volume("a\"b")), "{header}");
            assert!(
                !names_target(header.as_bytes(), &volume("A\"b")),
                "{header}"
            );
        }
    }

    #[test]
    fn accents_come_as_utf8_latin1_or_escapes() {
        for header in [
            "root/standpipe:CIM_Volume.SystemName=\"é\",N=7".as_bytes(),
            b"root/standpipe:CIM_Volume.SystemName=\"\xe9\",N=7",
            b"root/standpipe:CIM_Volume.SystemName=\"%C3%A9\",N=7",
            b"root/standpipe:CIM_Volume.SystemName=\"%E9\",N=7",
        ] {
            assert!(names_target(header, &volume("é")));
        }
    }

    #[test]
    fn a_literal_percent_sign_is_understood_when_the_body_says_so() {
        let raw = br#"root/standpipe:CIM_Volume.SystemName="50%",N=7"#;
        assert!(names_target(raw, &volume("50%")));
        let raw = br#"root/standpipe:CIM_Volume.SystemName="%41",N=7"#;
        assert!(names_target(raw, &volume("%41")) && names_target(raw, &volume("A")));
        let bad = br#"root%zzstandpipe:CIM_Volume.SystemName="a",N=7"#;
        assert!(!names_target(bad, &volume("a")));
    }

    #[test]
    fn references_in_keys_are_compared_as_paths() {
        let inner = ObjectPath::instance("CIM_A", [("K", "x"), ("L", "y")].into_iter().collect());
        let keys = [("Antecedent", Value::from(inner.in_namespace("ns")))];
        let path = ObjectPath::instance("CIM_B", keys.into_iter().collect());
        let call = extrinsic(path.in_namespace("ns"));
        let header = br#"ns:CIM_B.Antecedent="ns:CIM_A.L=\"y\",K=\"x\"""#;
        assert!(names_target(header, &call));
        let lookalike = ObjectPath::instance(
            "CIM_B",
            [("Antecedent", r#"ns:CIM_A.K="x",L="y""#)]
                .into_iter()
                .collect(),
        );
        assert!(names_target(
            header,
            &extrinsic(lookalike.in_namespace("ns"))
        ));
    }

    #[test]
    fn intrinsic_calls_name_a_namespace() {
        let call = Call::Intrinsic {
            name: "GetClass".into(),
            namespace: "root/standpipe".into(),
            parameters: Vec::new(),
        };
        assert!(names_target(b"ROOT%2Fstandpipe", &call));
        assert!(names_target(b"/root/standpipe/", &call));
        assert!(!names_target(b"root", &call) && !names_target(b"", &call));
    }
}
