//! The listener as a peer on a real socket sees it.

mod life;
mod mapping;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cimxml;
use crate::identity::{Identity, PasswordHash, Role, User, Users};

use super::{Limits, Reply, Server, Service, Tls};

/// No step of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers with the caller and the call; some method names make it behave otherwise.
struct Probe {
    /// `Wait` takes one permit before it answers.
    gate: Semaphore,
    /// What happened inside: calls that began and ended, replies that were dropped.
    events: mpsc::UnboundedSender<&'static str>,
}

impl Service for Probe {
    async fn call(&self, identity: Identity, request: cimxml::Request) -> Reply {
        match request.call.name().as_str() {
            "Wait" => {
                self.note("began");
                self.gate.acquire().await.expect("open").forget();
                self.note("ended");
            }
            "Panic" => panic!("test: a bug in the service"),
            "Long" => return Reply::new((0..64).map(|_| Bytes::from(vec![b'x'; 16 << 10]))),
            "Endless" => {
                let noted = Noted(self.events.clone());
                return Reply::new(std::iter::repeat_with(move || {
                    let _dropped_with_the_reply = &noted;
                    Bytes::from_static(&[b'x'; 64 << 10])
                }));
            }
            _ => {}
        }
        let line = format!(
            "{} {} {}",
            identity.user,
            request.call.name(),
            request.call.namespace()
        );
        Reply::from(Bytes::from(line))
    }
}

impl Probe {
    fn note(&self, event: &'static str) {
        let _the_test_may_be_over = self.events.send(event);
    }
}

struct Noted(mpsc::UnboundedSender<&'static str>);

impl Drop for Noted {
    fn drop(&mut self) {
        let _the_test_may_be_over = self.0.send("reply dropped");
    }
}

/// A server on a free loopback port.
struct Running {
    address: SocketAddr,
    probe: Arc<Probe>,
    events: mpsc::UnboundedReceiver<&'static str>,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(limits: Limits) -> Self {
        Self::start_on("http://127.0.0.1:0", None, limits).await
    }

    async fn start_on(url: &str, tls: Option<Tls>, limits: Limits) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let probe = Arc::new(Probe {
            gate: Semaphore::new(0),
            events: sender,
        });
        let users = Users::new([User {
            name: "admin".into(),
            password: PasswordHash::of("secret").expect("hashable"),
            role: Role::Administrator,
        }]);
        let users = Arc::new(users.expect("one user"));
        let url = url.parse().expect("a listen URL");
        let server = Server::bind(&[url], tls.as_ref()).await.expect("a port");
        let address = server.urls().next().expect("one socket").address;
        let closing = CancellationToken::new();
        let task = tokio::spawn(server.run(Arc::clone(&probe), users, limits, closing.clone()));
        Self {
            address,
            probe,
            events,
            closing,
            task,
        }
    }

    async fn connect(&self) -> Peer<TcpStream> {
        Peer::new(TcpStream::connect(self.address).await.expect("connected"))
    }

    /// One request on a connection of its own.
    async fn ask(&self, request: &Ask) -> Answer {
        let mut peer = self.connect().await;
        peer.send(&request.bytes()).await;
        peer.answer().await
    }

    async fn event(&mut self) -> &'static str {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event in time").expect("an open channel")
    }
}

/// A request to be, and to be spoiled.
#[derive(Clone)]
struct Ask {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    framed: bool,
}

impl Ask {
    /// A right request for an operation of that name.
    fn intrinsic(method: &str) -> Self {
        let call = format!(
            "<IMETHODCALL NAME=\"{method}\"><LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/>\
             <NAMESPACE NAME=\"standpipe\"/></LOCALNAMESPACEPATH></IMETHODCALL>"
        );
        Self::new(method, "root/standpipe", &call)
    }

    fn new(method: &str, object: &str, call: &str) -> Self {
        let admin = base64::engine::general_purpose::STANDARD.encode("admin:secret");
        Self {
            line: "POST /cimom HTTP/1.1".into(),
            headers: vec![],
            body: envelope(call).into_bytes(),
            framed: true,
        }
        .with("Host", "x")
        .with("Authorization", &format!("Basic {admin}"))
        .with("Content-Type", "application/xml; charset=\"utf-8\"")
        .with("CIMOperation", "MethodCall")
        .with("CIMMethod", method)
        .with("CIMObject", object)
    }

    /// Adds a header.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Takes every header of that name away.
    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Gives a header another value.
    fn but(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    fn line(mut self, line: &str) -> Self {
        self.line = line.into();
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Replaces a piece of the body.
    fn edit(self, from: &str, to: &str) -> Self {
        let body = String::from_utf8(self.body.clone()).expect("text");
        assert!(body.contains(from), "{from} in {body}");
        self.body(body.replacen(from, to, 1))
    }

    /// Leaves Content-Length to the test.
    fn unframed(mut self) -> Self {
        self.framed = false;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        let length = self.body.len().to_string().into_bytes();
        let framing = self.framed.then(|| ("Content-Length".to_owned(), length));
        for (name, value) in self.headers.iter().chain(&framing) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn envelope(call: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">\
         <MESSAGE ID=\"1\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ>{call}</SIMPLEREQ></MESSAGE></CIM>"
    )
}

/// A response as it came.
#[derive(Debug)]
struct Answer {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> u16 {
        let code = self.line.split(' ').nth(1).expect("a status");
        code.parse().expect("a number")
    }

    fn header(&self, name: &str) -> Option<&str> {
        let same = |known: &&(String, String)| known.0.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(same)
            .map(|(_, value)| value.as_str())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// The client's end of a connection.
struct Peer<T> {
    stream: T,
    ahead: Vec<u8>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Peer<T> {
    fn new(stream: T) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    /// Reads more; `false` at the end of the connection, orderly or not.
    async fn more(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.ahead);
        let read = tokio::time::timeout(PATIENCE, read).await.expect("in time");
        matches!(read, Ok(1..))
    }

    /// Whether the server closes the connection without another byte.
    async fn closed(&mut self) -> bool {
        !self.more().await && self.ahead.is_empty()
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return String::from_utf8(line[..end].to_vec()).expect("text");
            }
            assert!(self.more().await, "the connection ended in a line");
        }
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            assert!(self.more().await, "the connection ended in a body");
        }
        self.ahead.drain(..length).collect()
    }

    /// Reads one response with its body.
    async fn answer(&mut self) -> Answer {
        let line = self.line().await;
        let mut headers = Vec::new();
        loop {
            let header = self.line().await;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').expect("a header");
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut answer = Answer {
            line,
            headers,
            body: Vec::new(),
        };
        if answer.status() == 100 {
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("a length");
            answer.body = self.exactly(length).await;
        } else if answer.header("transfer-encoding").is_some() {
            loop {
                let size = self.line().await;
                let size = usize::from_str_radix(&size, 16).expect("a size");
                answer.body.extend(self.exactly(size).await);
                self.line().await;
                if size == 0 {
                    break;
                }
            }
        } else {
            while self.more().await {}
            answer.body = std::mem::take(&mut self.ahead);
        }
        answer
    }
}
