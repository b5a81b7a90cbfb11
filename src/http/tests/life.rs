//! Connections: how long they live, what ends them, and what goes on after them.

use super::*;

/// A limit that a test waits for.
const SHORT: Duration = Duration::from_millis(150);

fn good() -> Ask {
    Ask::intrinsic("GetClass")
}

#[tokio::test]
async fn a_connection_carries_many_requests_even_sent_at_once() {
    let server = Running::start(Limits::default()).await;
    let mut peer = server.connect().await;
    for _ in 0..3 {
        peer.send(&good().bytes()).await;
        assert_eq!(peer.answer().await.status(), 200);
    }
    let two = [good().bytes(), Ask::intrinsic("Other").bytes()].concat();
    peer.send(&two).await;
    assert_eq!(peer.answer().await.text(), "admin GetClass root/standpipe");
    assert_eq!(peer.answer().await.text(), "admin Other root/standpipe");
    peer.send(&good().without("Authorization").bytes()).await;
    assert_eq!(peer.answer().await.status(), 401);
    peer.send(&good().with("Connection", "close").bytes()).await;
    assert_eq!(peer.answer().await.status(), 200);
    assert!(peer.closed().await);
}

#[tokio::test]
async fn a_connection_ends_after_its_share_of_requests() {
    let server = Running::start(Limits {
        requests_per_connection: 2,
        ..Limits::default()
    })
    .await;
    let mut peer = server.connect().await;
    peer.send(&good().bytes()).await;
    assert_eq!(peer.answer().await.header("Connection"), None);
    peer.send(&good().bytes()).await;
    assert_eq!(peer.answer().await.header("Connection"), Some("close"));
    assert!(peer.closed().await);
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = Running::start(Limits::default()).await;
    for method in ["GetClass", "Long"] {
        let mut peer = server.connect().await;
        let old = Ask::intrinsic(method)
            .line("POST /cimom HTTP/1.0")
            .without("Host");
        peer.send(&old.bytes()).await;
        let answer = peer.answer().await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("Transfer-Encoding"), None);
        assert!(answer.body.len() == 1 << 20 || answer.text().starts_with("admin"));
        assert!(peer.closed().await);
    }
}

#[tokio::test]
async fn short_replies_have_a_length_and_long_ones_come_in_chunks() {
    let server = Running::start(Limits::default()).await;
    let mut peer = server.connect().await;
    peer.send(&good().bytes()).await;
    let short = peer.answer().await;
    assert_eq!(
        short.header("Content-Length"),
        Some(short.body.len().to_string().as_str())
    );
    peer.send(&Ask::intrinsic("Long").bytes()).await;
    let long = peer.answer().await;
    assert_eq!(long.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(long.body.len(), 1 << 20);
    peer.send(&good().bytes()).await;
    assert_eq!(peer.answer().await.status(), 200);
}

#[tokio::test]
async fn a_waiting_client_is_told_to_go_on_only_after_its_credentials() {
    let server = Running::start(Limits::default()).await;
    let waiting = good().with("Expect", "100-continue");
    let bytes = waiting.bytes();
    let (head, body) = bytes.split_at(bytes.len() - waiting.body.len());
    let mut peer = server.connect().await;
    peer.send(head).await;
    assert_eq!(peer.answer().await.status(), 100);
    peer.send(body).await;
    assert_eq!(peer.answer().await.status(), 200);

    let stranger = waiting.without("Authorization");
    let bytes = stranger.bytes();
    let mut peer = server.connect().await;
    peer.send(&bytes[..bytes.len() - stranger.body.len()]).await;
    assert_eq!(peer.answer().await.status(), 401);
}

#[tokio::test]
async fn silent_and_dribbling_peers_are_closed() {
    let bytes = good().bytes();
    let head_only = bytes.len() - good().body.len();
    for (what, sent, limits) in [
        (
            "silence",
            0,
            Limits {
                idle_timeout: SHORT,
                ..Limits::default()
            },
        ),
        (
            "half a head",
            30,
            Limits {
                header_timeout: SHORT,
                ..Limits::default()
            },
        ),
    ] {
        let server = Running::start(limits).await;
        let mut peer = server.connect().await;
        peer.send(&bytes[..sent]).await;
        assert!(peer.closed().await, "{what}");
    }
    let server = Running::start(Limits {
        body_timeout: SHORT,
        ..Limits::default()
    })
    .await;
    let mut peer = server.connect().await;
    peer.send(&bytes[..head_only + 10]).await;
    let answer = peer.answer().await;
    assert_eq!(
        (answer.status(), answer.header("Connection")),
        (408, Some("close"))
    );
    assert!(peer.closed().await);
}

#[tokio::test]
async fn the_head_clock_stands_still_between_requests() {
    let server = Running::start(Limits {
        header_timeout: SHORT,
        ..Limits::default()
    })
    .await;
    let mut peer = server.connect().await;
    for _ in 0..2 {
        peer.send(&good().bytes()).await;
        assert_eq!(peer.answer().await.status(), 200);
        tokio::time::sleep(SHORT * 2).await;
    }
    peer.send(&good().bytes()[..30]).await;
    assert!(peer.closed().await);
}

#[tokio::test]
async fn a_peer_that_does_not_take_its_reply_is_given_up() {
    let mut server = Running::start(Limits {
        write_timeout: SHORT,
        ..Limits::default()
    })
    .await;
    let mut peer = server.connect().await;
    peer.send(&Ask::intrinsic("Endless").bytes()).await;
    assert_eq!(server.event().await, "reply dropped");
}

#[tokio::test]
async fn a_request_runs_to_its_end_when_the_client_hangs_up() {
    let mut server = Running::start(Limits {
        connections_per_peer: 1,
        ..Limits::default()
    })
    .await;
    let mut peer = server.connect().await;
    peer.send(&Ask::intrinsic("Wait").bytes()).await;
    assert_eq!(server.event().await, "began");
    drop(peer);
    // Once there is room for another connection, the server has seen the end of this one.
    room(&server).await;
    server.probe.gate.add_permits(1);
    assert_eq!(server.event().await, "ended");
}

/// Waits until the server takes one more connection.
async fn room(server: &Running) {
    let trying = async {
        loop {
            let mut peer = server.connect().await;
            if peer.stream.write_all(&good().bytes()).await.is_ok() && peer.more().await {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("room");
}

#[tokio::test]
async fn a_panic_is_one_clients_trouble() {
    let server = Running::start(Limits::default()).await;
    assert_eq!(server.ask(&Ask::intrinsic("Panic")).await.status(), 500);
    assert_eq!(server.ask(&good()).await.status(), 200);
}

#[tokio::test]
async fn too_many_connections_are_closed_and_make_room_again() {
    let server = Running::start(Limits {
        connections_per_peer: 2,
        ..Limits::default()
    })
    .await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for peer in [&mut first, &mut second] {
        peer.send(&good().bytes()).await;
        assert_eq!(peer.answer().await.status(), 200);
    }
    assert!(server.connect().await.closed().await);
    first
        .send(&good().with("Connection", "close").bytes())
        .await;
    assert_eq!(first.answer().await.status(), 200);
    drop(first);
    room(&server).await;
}

#[tokio::test]
async fn requests_beyond_the_limit_wait_and_then_are_told_to_come_back() {
    let mut server = Running::start(Limits {
        requests_in_flight: 1,
        queue_timeout: SHORT,
        ..Limits::default()
    })
    .await;
    let mut busy = server.connect().await;
    busy.send(&Ask::intrinsic("Wait").bytes()).await;
    assert_eq!(server.event().await, "began");
    let answer = server.ask(&good()).await;
    assert_eq!(
        (answer.status(), answer.header("Retry-After")),
        (503, Some("2"))
    );
    server.probe.gate.add_permits(1);
    assert_eq!(busy.answer().await.status(), 200);
    assert_eq!(server.ask(&good()).await.status(), 200);
}

#[tokio::test]
async fn a_stopping_server_finishes_what_runs_and_takes_nothing_new() {
    let mut server = Running::start(Limits::default()).await;
    let mut idle = server.connect().await;
    idle.send(&good().bytes()).await;
    assert_eq!(idle.answer().await.status(), 200);
    let mut busy = server.connect().await;
    busy.send(&Ask::intrinsic("Wait").bytes()).await;
    assert_eq!(server.event().await, "began");

    server.closing.cancel();
    assert!(idle.closed().await);
    drop(idle);
    server.probe.gate.add_permits(1);
    assert_eq!(busy.answer().await.status(), 200);
    assert!(busy.closed().await);
    drop(busy);
    let stopped = tokio::time::timeout(PATIENCE, &mut server.task).await;
    stopped.expect("in time").expect("no panic");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_stopping_server_does_not_wait_for_ever() {
    let mut server = Running::start(Limits {
        drain_timeout: SHORT,
        ..Limits::default()
    })
    .await;
    let mut stuck = server.connect().await;
    stuck.send(&Ask::intrinsic("Wait").bytes()).await;
    assert_eq!(server.event().await, "began");
    server.closing.cancel();
    let stopped = tokio::time::timeout(PATIENCE, &mut server.task).await;
    stopped.expect("in time").expect("no panic");
    assert!(stuck.closed().await);
}
