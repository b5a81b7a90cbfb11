//! HTTP around the operations: who may ask, how it may be asked, what is refused.

use super::client::{Client, authorization, headers};
use super::demo::Demo;
use super::xml::{ARRAY, Call, class, operation};

fn names() -> Call {
    let class = class("CIM_StorageVolume");
    operation("EnumerateInstanceNames", ARRAY, &[("ClassName", class)])
}

fn whole_class() -> Call {
    let class = class("CIM_StorageVolume");
    operation("GetClass", ARRAY, &[("ClassName", class)])
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let demo = Demo::with_volumes(1);
    let mut client = demo.connect();
    let first = client.call(&names());
    for _ in 0..5 {
        assert_eq!(client.call(&names()).body, first.body);
    }
    // Two requests at once are answered in their order.
    client.post(&names());
    client.post(&whole_class());
    assert_eq!(client.answer().body, first.body);
    assert!(
        client
            .answer()
            .body
            .contains("<CLASS NAME=\"CIM_StorageVolume\"")
    );
    let kind = first.header("content-type");
    assert_eq!(kind, Some("application/xml; charset=\"utf-8\""));
    assert_eq!(first.header("cimoperation"), Some("MethodResponse"));
}

#[test]
fn https_answers_what_http_answers() {
    let state = tempfile::tempdir().expect("a directory");
    let demo = Demo::kept_in(state.path(), 1);
    let certificate = state.path().join("self-signed.pem");
    let mut secure = Client::trusting(&certificate, demo.address("https"));
    let mut plain = demo.connect();
    for call in [names(), whole_class()] {
        assert_eq!(secure.call(&call).body, plain.call(&call).body);
    }
}

#[test]
fn m_post_is_answered_under_the_prefix_of_the_client() {
    let demo = Demo::with_volumes(1);
    let mut client = demo.connect();
    let (call, login) = (names(), authorization());
    let head = format!(
        "M-POST /cimom HTTP/1.1\r\nMan: http://www.dmtf.org/cim/mapping/http/v1.0 ; ns=48\r\n\
         {}Authorization: {login}\r\nContent-Length: {}\r\n\r\n",
        headers(&call, "48-"),
        call.body.len()
    );
    client.send(&[head.as_bytes(), call.body.as_bytes()].concat());
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("ext"), Some(""));
    let man = answer.header("man").expect("an acknowledgement");
    let prefix = man.rsplit("ns=").next().expect("a prefix");
    let operation = answer.header(&format!("{prefix}-cimoperation"));
    assert_eq!(operation, Some("MethodResponse"));
    assert_eq!(answer.body, client.call(&call).body);
}

#[test]
fn a_body_may_come_in_chunks() {
    let demo = Demo::with_volumes(1);
    let mut client = demo.connect();
    let (call, login) = (names(), authorization());
    let head = format!(
        "POST /cimom HTTP/1.1\r\n{}Authorization: {login}\r\nTransfer-Encoding: chunked\r\n\r\n",
        headers(&call, "")
    );
    client.send(head.as_bytes());
    for piece in call.body.as_bytes().chunks(100) {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes());
        client.send(piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.answer().body, client.call(&call).body);
}

#[test]
fn strangers_are_refused_before_they_have_sent_the_body() {
    let demo = Demo::with_volumes(1);
    let wrong = authorization().replace("Basic ", "Basic AAAA");
    for login in [
        String::new(),
        format!("Authorization: {wrong}\r\n"),
        "Authorization: Bearer x\r\n".into(),
    ] {
        let mut client = demo.connect();
        let head = format!(
            "POST /cimom HTTP/1.1\r\n{}{login}Content-Length: 100000\r\n\r\n",
            headers(&names(), "")
        );
        // Not a byte of the body follows.
        client.send(head.as_bytes());
        let answer = client.answer();
        assert_eq!((answer.status, &*answer.body), (401, ""), "{login}");
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
    }
}

#[test]
fn what_is_no_request_gets_its_status() {
    let demo = Demo::with_volumes(1);
    let good = names();
    let body = |from: &str, to: &str| {
        let body = good.body.replacen(from, to, 1);
        assert_ne!(body, good.body);
        Call {
            body,
            ..good.clone()
        }
    };
    let doctype = body("<CIM ", "<!DOCTYPE CIM [<!ENTITY a \"b\">]><CIM ");
    for (status, cim_error, call) in [
        (400, None, doctype),
        (400, Some("request-not-well-formed"), body("</CIM>", "")),
        (
            400,
            Some("request-not-valid"),
            body("<SIMPLEREQ>", "<ODD/><SIMPLEREQ>"),
        ),
        (
            400,
            Some("header-mismatch"),
            body("EnumerateInstanceNames", "GetClass"),
        ),
        (
            501,
            Some("unsupported-cim-version"),
            body("CIMVERSION=\"2", "CIMVERSION=\"3"),
        ),
        (
            501,
            Some("unsupported-dtd-version"),
            body("DTDVERSION=\"2", "DTDVERSION=\"3"),
        ),
    ] {
        let mut client = demo.connect();
        client.post(&call);
        let answer = client.answer();
        assert_eq!(answer.status, status, "{}: {answer:?}", call.body);
        assert_eq!(answer.body, "");
        if cim_error.is_some() {
            assert_eq!(answer.header("cimerror"), cim_error, "{}", call.body);
        }
    }
    for (status, framing) in [(411, ""), (413, "Content-Length: 99999999\r\n")] {
        let mut client = demo.connect();
        let login = authorization();
        let (head, call) = (headers(&good, ""), "POST /cimom HTTP/1.1");
        let head = format!("{call}\r\n{head}Authorization: {login}\r\n{framing}\r\n");
        client.send(head.as_bytes());
        assert_eq!(client.answer().status, status, "{framing:?}");
    }
    assert_eq!(demo.connect().call(&good).error(), None);
}
