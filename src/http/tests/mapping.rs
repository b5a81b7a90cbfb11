//! Which status and `CIMError` a request gets (DSP0200 §7.3), row by row.

use super::*;

fn good() -> Ask {
    Ask::intrinsic("GetClass")
}

const MISMATCH: Option<&str> = Some("header-mismatch");
const VERSION: Option<&str> = Some("unsupported-protocol-version");
const MULTIPLE: Option<&str> = Some("multiple-requests-unsupported");
const NOT_WELL_FORMED: Option<&str> = Some("request-not-well-formed");
const NOT_VALID: Option<&str> = Some("request-not-valid");

fn refused() -> Vec<(&'static str, u16, Option<&'static str>, Ask)> {
    let chunked = || good().unframed().with("Transfer-Encoding", "chunked");
    vec![
        // The CIM headers.
        ("no CIMOperation", 400, None, good().without("CIMOperation")),
        (
            "another CIMOperation",
            400,
            Some("unsupported-operation"),
            good().but("CIMOperation", "Dance"),
        ),
        (
            "two CIMOperation",
            400,
            MISMATCH,
            good().with("CIMOperation", "MethodCall"),
        ),
        ("CIMBatch", 501, MULTIPLE, good().with("CIMBatch", "")),
        (
            "protocol 2.0",
            501,
            VERSION,
            good().with("CIMProtocolVersion", "2.0"),
        ),
        (
            "protocol 2.",
            501,
            VERSION,
            good().with("CIMProtocolVersion", "2."),
        ),
        (
            "protocol 1,0",
            501,
            VERSION,
            good().with("CIMProtocolVersion", "1,0"),
        ),
        (
            "protocol 1.a",
            501,
            VERSION,
            good().with("CIMProtocolVersion", "1.a"),
        ),
        (
            "protocol 1",
            501,
            VERSION,
            good().with("CIMProtocolVersion", "1"),
        ),
        (
            "protocol 1.1 over 1.0",
            400,
            MISMATCH,
            good().with("CIMProtocolVersion", "1.1"),
        ),
        ("no CIMMethod", 400, MISMATCH, good().without("CIMMethod")),
        (
            "two CIMMethod",
            400,
            MISMATCH,
            good().with("CIMMethod", "GetClass"),
        ),
        (
            "another CIMMethod",
            400,
            MISMATCH,
            good().but("CIMMethod", "GetInstance"),
        ),
        (
            "a bad escape in CIMMethod",
            400,
            MISMATCH,
            good().but("CIMMethod", "Get%Class"),
        ),
        ("no CIMObject", 400, MISMATCH, good().without("CIMObject")),
        (
            "another CIMObject",
            400,
            MISMATCH,
            good().but("CIMObject", "interop"),
        ),
        (
            "two CIMObject",
            400,
            MISMATCH,
            good().with("CIMObject", "root/standpipe"),
        ),
        (
            "a bad escape in CIMObject",
            400,
            MISMATCH,
            good().but("CIMObject", "root%zzstandpipe"),
        ),
        // Content.
        ("no Content-Type", 400, None, good().without("Content-Type")),
        (
            "Content-Type text/html",
            400,
            None,
            good().but("Content-Type", "text/html"),
        ),
        (
            "charset utf-16",
            400,
            None,
            good().but("Content-Type", "text/xml; charset=utf-16"),
        ),
        ("gzip", 415, None, good().with("Content-Encoding", "gzip")),
        // HTTP.
        ("GET", 501, None, good().line("GET /cimom HTTP/1.1")),
        ("OPTIONS", 501, None, good().line("OPTIONS * HTTP/1.1")),
        ("no Host", 400, None, good().without("Host")),
        ("two Host", 400, None, good().with("Host", "y")),
        ("no length", 411, None, good().unframed().body("")),
        (
            "a negative length",
            400,
            None,
            good().unframed().with("Content-Length", "-5"),
        ),
        (
            "a signed length",
            400,
            None,
            good().unframed().with("Content-Length", "+5"),
        ),
        (
            "a hexadecimal length",
            400,
            None,
            good().unframed().with("Content-Length", "0x5"),
        ),
        ("two lengths", 400, None, good().with("Content-Length", "5")),
        (
            "a huge length",
            413,
            None,
            good().unframed().with("Content-Length", "99999999999"),
        ),
        (
            "a length beyond 64 bits",
            400,
            None,
            good()
                .unframed()
                .with("Content-Length", "18446744073709551616"),
        ),
        (
            "gzip, chunked",
            501,
            None,
            chunked().but("Transfer-Encoding", "gzip, chunked"),
        ),
        (
            "an endless chunk size",
            400,
            None,
            chunked().body("fffffffffffffffffff\r\n"),
        ),
        (
            "another expectation",
            417,
            None,
            good().with("Expect", "a-miracle"),
        ),
        ("a NUL in a header", 400, None, good().with("X", "a\0b")),
        ("a bad header name", 400, None, good().with("X Y", "z")),
        ("HTTP/2.0", 400, None, good().line("POST / HTTP/2.0")),
        ("no version", 400, None, good().line("POST /")),
        // The body.
        ("nothing", 400, NOT_WELL_FORMED, good().body("")),
        ("truncated", 400, NOT_WELL_FORMED, good().edit("</CIM>", "")),
        (
            "no CIM",
            400,
            NOT_VALID,
            good().body("<?xml version=\"1.0\"?><HTML></HTML>"),
        ),
        (
            "a DOCTYPE",
            400,
            NOT_VALID,
            good().edit("<CIM ", "<!DOCTYPE CIM><CIM "),
        ),
        (
            "CIM version 3",
            501,
            Some("unsupported-cim-version"),
            good().edit("CIMVERSION=\"2.0\"", "CIMVERSION=\"3.0\""),
        ),
        (
            "DTD version 1",
            501,
            Some("unsupported-dtd-version"),
            good().edit("DTDVERSION=\"2.0\"", "DTDVERSION=\"1.0\""),
        ),
        (
            "body protocol 2.0",
            501,
            VERSION,
            good().edit("PROTOCOLVERSION=\"1.0\"", "PROTOCOLVERSION=\"2.0\""),
        ),
        (
            "another method in the body",
            400,
            MISMATCH,
            good().edit("NAME=\"GetClass\"", "NAME=\"GetInstance\""),
        ),
        (
            "another namespace in the body",
            400,
            MISMATCH,
            good().edit("\"standpipe\"", "\"other\""),
        ),
        (
            "too many elements",
            400,
            Some("request-with-too-many-elements"),
            good().edit(
                "</IMETHODCALL>",
                &("<IPARAMVALUE NAME=\"a\"></IPARAMVALUE>".repeat(2000) + "</IMETHODCALL>"),
            ),
        ),
        // M-POST.
        (
            "M-POST without Man",
            510,
            None,
            good().line("M-POST /cimom HTTP/1.1"),
        ),
        (
            "M-POST over HTTP/1.0",
            400,
            None,
            m_post("42").line("M-POST /cimom HTTP/1.0"),
        ),
        (
            "another extension",
            510,
            None,
            m_post("42").but("Man", "http://example.org/ ; ns=42"),
        ),
        ("a prefix of three digits", 510, None, m_post("420")),
        (
            "another prefix than declared",
            400,
            None,
            m_post("42").but("Man", &format!("{MAN} ; ns=43")),
        ),
    ]
}

const MAN: &str = "http://www.dmtf.org/cim/mapping/http/v1.0";

fn m_post(prefix: &str) -> Ask {
    good()
        .line("M-POST /cimom HTTP/1.1")
        .without("CIMOperation")
        .without("CIMMethod")
        .without("CIMObject")
        .with("Man", &format!("{MAN} ; ns={prefix}"))
        .with(&format!("{prefix}-CIMOperation"), "MethodCall")
        .with(&format!("{prefix}-CIMMethod"), "GetClass")
        .with(&format!("{prefix}-CIMObject"), "root%2Fstandpipe")
}

#[tokio::test]
async fn every_fault_has_its_status_and_word_and_no_body() {
    let server = Running::start(Limits::default()).await;
    for (what, status, cim_error, ask) in refused() {
        let answer = server.ask(&ask).await;
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
        assert_eq!(answer.header("CIMError"), cim_error, "{what}: {answer:?}");
        assert!(answer.body.is_empty(), "{what}: {answer:?}");
        assert!(
            answer
                .line
                .split(' ')
                .nth(2)
                .is_some_and(|reason| !reason.is_empty()),
            "{what}"
        );
    }
    assert_eq!(server.ask(&good()).await.status(), 200);
}

#[tokio::test]
async fn other_spellings_of_a_right_request_are_accepted() {
    let server = Running::start(Limits::default()).await;
    let chunks = |ask: Ask| {
        let body = ask.body.clone();
        let (head, tail) = body.split_at(100);
        let mut chunked = format!("{:x};a=b\r\n", head.len()).into_bytes();
        chunked.extend_from_slice(head);
        chunked.extend_from_slice(format!("\r\n{:X}\r\n", tail.len()).as_bytes());
        chunked.extend_from_slice(tail);
        chunked.extend_from_slice(b"\r\n0\r\n\r\n");
        ask.unframed()
            .with("Transfer-Encoding", "chunked")
            .body(chunked)
    };
    for (what, ask) in [
        ("as it is", good()),
        ("another path", good().line("POST /a/../b?c=d HTTP/1.1")),
        ("text/xml", good().but("Content-Type", "text/xml")),
        (
            "plain charset",
            good().but("Content-Type", "Application/XML;CHARSET=UTF-8"),
        ),
        ("identity", good().with("Content-Encoding", "identity")),
        (
            "operation in lower case",
            good().but("CIMOperation", "methodcall"),
        ),
        ("method in lower case", good().but("CIMMethod", "getclass")),
        (
            "object encoded",
            good().but("CIMObject", "root%2fstandpipe"),
        ),
        (
            "object in capitals",
            good().but("CIMObject", "ROOT/STANDPIPE"),
        ),
        ("protocol version", good().with("CIMProtocolVersion", "1.0")),
        (
            "body protocol 1.4",
            good().edit("PROTOCOLVERSION=\"1.0\"", "PROTOCOLVERSION=\"1.4\""),
        ),
        ("chunks", chunks(good())),
        ("M-POST", m_post("73")),
        (
            "M-POST, quoted",
            m_post("07").but("Man", &format!("\"{MAN}\";ns=07")),
        ),
        (
            "M-POST, second",
            m_post("07").but("Man", &format!("\"http://a\"; ns=01, {MAN}; ns=\"07\"")),
        ),
    ] {
        let answer = server.ask(&ask).await;
        assert_eq!(answer.status(), 200, "{what}: {answer:?}");
        assert_eq!(answer.text(), "admin GetClass root/standpipe", "{what}");
        assert_eq!(
            answer.header("Content-Type"),
            Some("application/xml; charset=\"utf-8\"")
        );
        assert_eq!(answer.header("Cache-Control"), Some("no-cache"));
    }
    let plain = server.ask(&good()).await;
    assert_eq!(plain.header("CIMOperation"), Some("MethodResponse"));
    assert_eq!(plain.header("Ext"), None);
    let extended = server.ask(&m_post("73")).await;
    assert_eq!(extended.header("73-CIMOperation"), Some("MethodResponse"));
    assert_eq!(extended.header("Ext"), Some(""));
    assert!(
        extended
            .header("Man")
            .is_some_and(|man| man.ends_with("ns=73"))
    );
}

#[tokio::test]
async fn a_raw_header_names_an_instance_with_accents_and_quotes() {
    let server = Running::start(Limits::default()).await;
    let call = "<METHODCALL NAME=\"M\"><LOCALINSTANCEPATH><LOCALNAMESPACEPATH>\
        <NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"standpipe\"/></LOCALNAMESPACEPATH>\
        <INSTANCENAME CLASSNAME=\"CIM_X\"><KEYBINDING NAME=\"A\"><KEYVALUE VALUETYPE=\"string\" \
        TYPE=\"string\">caf\u{e9} \"b\"</KEYVALUE></KEYBINDING><KEYBINDING NAME=\"N\"><KEYVALUE \
        VALUETYPE=\"numeric\">7</KEYVALUE></KEYBINDING></INSTANCENAME></LOCALINSTANCEPATH></METHODCALL>";
    let mut ask = Ask::new("M", "", call).without("CIMObject");
    for (status, object) in [
        (
            200,
            &b"root/standpipe:CIM_X.A=\"caf\xe9 \\\"b\\\"\",N=7"[..],
        ),
        (200, b"root/standpipe:CIM_X.N=7,A=\"caf\xc3\xa9 \\\"b\\\"\""),
        (
            200,
            b"root%2Fstandpipe%3ACIM_X.A%3D%22caf%C3%A9%20%5C%22b%5C%22%22%2CN%3D7",
        ),
        (400, b"root/standpipe:CIM_X.A=\"cafe \\\"b\\\"\",N=7"),
        (400, b"root/standpipe:CIM_X.N=7"),
        (400, b"root/standpipe:CIM_X"),
        (400, b"root/standpipe"),
    ] {
        ask.headers.push(("CIMObject".into(), object.to_vec()));
        let answer = server.ask(&ask).await;
        assert_eq!(
            answer.status(),
            status,
            "{}",
            String::from_utf8_lossy(object)
        );
        ask.headers.pop();
    }
}

#[tokio::test]
async fn credentials_are_asked_for_before_anything_else_is_looked_at() {
    let server = Running::start(Limits::default()).await;
    let basic = |text: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        format!("Basic {encoded}")
    };
    let nonsense = || {
        good()
            .without("CIMOperation")
            .without("Content-Type")
            .body("<nonsense")
    };
    for authorization in [
        None,
        Some(basic("admin:Secret")),
        Some(basic("nobody:secret")),
        Some(basic("admin")),
        Some("Basic !!!!".into()),
        Some("Basic".into()),
        Some("Bearer abc".into()),
    ] {
        let ask = match &authorization {
            None => nonsense().without("Authorization"),
            Some(value) => nonsense().but("Authorization", value),
        };
        let answer = server.ask(&ask).await;
        assert_eq!(answer.status(), 401, "{authorization:?}");
        let challenge = answer.header("WWW-Authenticate");
        assert_eq!(challenge, Some("Basic realm=\"Standpipe\""));
        assert_eq!(answer.header("CIMError"), None);
    }
    let twice = good().with("Authorization", &basic("admin:secret"));
    assert_eq!(server.ask(&twice).await.status(), 401);

    // Nor does the server wait for the body.
    let mut peer = server.connect().await;
    let announced = good()
        .without("Authorization")
        .unframed()
        .with("Content-Length", "1000000");
    peer.send(&announced.body("").bytes()).await;
    assert_eq!(peer.answer().await.status(), 401);
}

#[tokio::test]
async fn details_say_what_is_wrong() {
    let server = Running::start(Limits::default()).await;
    let answer = server.ask(&good().but("CIMMethod", "GetInstance")).await;
    let detail = answer.header("PGErrorDetail").expect("a detail");
    assert_eq!(
        detail,
        "CIMMethod%20differs%20from%20GetClass%20in%20the%20body"
    );
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_announced_or_not() {
    let server = Running::start(Limits {
        body_bytes: 10_000,
        ..Limits::default()
    })
    .await;
    assert_eq!(
        server.ask(&good().body(vec![b' '; 10_001])).await.status(),
        413
    );
    let mut chunks = Vec::new();
    for _ in 0..100 {
        chunks.extend_from_slice(b"3e8\r\n");
        chunks.extend_from_slice(&[b' '; 1000]);
        chunks.extend_from_slice(b"\r\n");
    }
    let ask = good()
        .unframed()
        .with("Transfer-Encoding", "chunked")
        .body(chunks);
    assert_eq!(server.ask(&ask).await.status(), 413);
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = Running::start(Limits::default()).await;
    let mut many = good();
    for n in 0..100 {
        many = many.with(&format!("X-{n}"), "y");
    }
    assert_eq!(server.ask(&many).await.status(), 431);
    let long = good().with("X", &"y".repeat(40_000));
    assert_eq!(server.ask(&long).await.status(), 431);
}

#[test]
fn every_cim_word_is_one_of_the_specification() {
    let words = [
        "unsupported-operation",
        "unsupported-protocol-version",
        "unsupported-cim-version",
        "unsupported-dtd-version",
        "multiple-requests-unsupported",
        "header-mismatch",
        "request-not-well-formed",
        "request-not-valid",
        "request-with-too-many-elements",
    ];
    let rows = refused();
    for word in words {
        assert!(
            rows.iter().any(|row| row.2 == Some(word)),
            "{word} is tested"
        );
    }
    assert!(
        rows.iter()
            .all(|row| row.2.is_none_or(|word| words.contains(&word)))
    );
}
