//! Long answers: they begin at once and cost no memory, and their end is not lost.

use super::client::Client;
use super::demo::Demo;
use super::xml::{ARRAY, Call, class, instances, operation};

const VOLUMES: u32 = 3_000;
/// KiB that the server may need for a whole answer; the answer is several times that.
const EXTRA: u64 = 4 << 10;

fn everything() -> Call {
    let class = class("CIM_StorageVolume");
    operation("EnumerateInstances", ARRAY, &[("ClassName", class)])
}

/// Reads the head and the first piece of an answer.
fn begin(client: &mut Client) -> (super::client::Answer, Vec<u8>) {
    client.post(&everything());
    let head = client.head();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    let first = client.chunk(&head, 0).expect("a first piece");
    (head, first)
}

fn rest(client: &mut Client, head: &super::client::Answer, mut body: Vec<u8>) -> String {
    while let Some(more) = client.chunk(head, body.len()) {
        body.extend(more);
    }
    String::from_utf8(body).expect("UTF-8")
}

fn is_whole(body: &str) {
    assert_eq!(instances(body).len(), VOLUMES as usize);
    assert!(body.trim_end().ends_with("</CIM>"));
}

#[test]
fn long_answers_come_in_pieces_and_are_never_in_memory_as_a_whole() {
    let demo = Demo::with_volumes(VOLUMES);
    let mut client = demo.connect();
    let short = operation("EnumerateQualifiers", ARRAY, &[]);
    client.call(&short);
    let before = demo.memory("VmRSS:");
    let (head, first) = begin(&mut client);
    // The rest waits in the server until it is taken; others are served meanwhile.
    assert_eq!(demo.connect().call(&short).error(), None);
    let body = rest(&mut client, &head, first);
    let extra = demo.memory("VmHWM:").saturating_sub(before);
    is_whole(&body);
    assert!(
        body.len() as u64 > 2 * (EXTRA << 10),
        "{} bytes",
        body.len()
    );
    assert!(extra < EXTRA, "{extra} KiB more for {} bytes", body.len());
}

#[test]
fn a_server_that_is_told_to_end_finishes_what_it_has_begun() {
    let demo = Demo::with_volumes(VOLUMES);
    let mut client = demo.connect();
    let (head, first) = begin(&mut client);
    demo.terminate();
    is_whole(&rest(&mut client, &head, first));
    let address = demo.address("http");
    assert!(demo.ended().success());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_client_that_leaves_in_the_middle_of_an_answer_harms_nobody() {
    let demo = Demo::with_volumes(VOLUMES);
    for _ in 0..10 {
        let mut client = demo.connect();
        begin(&mut client);
    }
    let mut client = demo.connect();
    let (head, first) = begin(&mut client);
    is_whole(&rest(&mut client, &head, first));
}
