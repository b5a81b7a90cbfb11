//! What requests cost, measured on the released program over real sockets: `make bench`.
//!
//! Two demos are started, one with 10 volumes and one with 10,000, and asked the same things over
//! one plain connection each. In the same run a floor is measured: a thread that answers each
//! request with as many bytes made beforehand. How to read a line:
//!
//! * `10` and `10,000`: microseconds a request takes, the median of many, from the first byte sent
//!   to the last byte read.
//! * `grows`: the second over the first. Where the answer is the same it has to stay near 1; more
//!   means work that goes with the size of the array although the answer does not.
//! * `bytes`: the length of the answer of the larger array.
//! * `floor` and `times`: what the same bytes take without any work, and how many times that is.
//!
//! Times of one machine mean nothing on another; the ratios do. Nothing here passes or fails.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;

const SIZES: [u32; 2] = [10, 10_000];
/// The longest that one measure may take.
const BUDGET: Duration = Duration::from_millis(1_200);
/// Repetitions that are enough.
const ENOUGH: usize = 400;
const PASSWORD: &str = "bench";

fn main() {
    let [mut small, mut large] = SIZES.map(Server::start);
    println!(
        "start to the ready line, seconds: {:.2} and {:.2}",
        small.start.as_secs_f64(),
        large.start.as_secs_f64()
    );
    println!(
        "resident KiB before the first request: {} and {}\n",
        small.memory("VmRSS:"),
        large.memory("VmRSS:")
    );
    println!(
        "{:46}{:>10}{:>10}{:>7}{:>11}{:>9}{:>7}",
        "microseconds with how many volumes", "10", "10,000", "grows", "bytes", "floor", "times"
    );
    for (title, ask) in measures() {
        let few = Measured::of(&mut small, &ask);
        let many = Measured::of(&mut large, &ask);
        let floor = floor(many.bytes);
        println!(
            "{title:46}{:>10}{:>10}{:>7.1}{:>11}{:>9}{:>7.1}",
            few.median.as_micros(),
            many.median.as_micros(),
            many.median.as_secs_f64() / few.median.as_secs_f64(),
            many.bytes,
            floor.as_micros(),
            many.median.as_secs_f64() / floor.as_secs_f64(),
        );
    }
    stream(&mut large);
    pages(&mut large);
    parallel(&large);
}

/// What is asked: `{volume}` and `{pool}` are found in each array.
fn measures() -> Vec<(&'static str, Ask)> {
    let class = |name: &str| format!("<CLASSNAME NAME=\"{name}\"/>");
    let no = || "<VALUE>FALSE</VALUE>".to_owned();
    let volume = || "{volume}".to_owned();
    vec![
        (
            "GetClass, a large class",
            ask(
                "GetClass",
                &[
                    ("ClassName", class("CIM_StorageVolume")),
                    ("LocalOnly", no()),
                ],
            ),
        ),
        (
            "GetClass, a small class",
            ask("GetClass", &[("ClassName", class("CIM_HostedService"))]),
        ),
        (
            "EnumerateClasses, the whole schema",
            ask(
                "EnumerateClasses",
                &[("DeepInheritance", "<VALUE>TRUE</VALUE>".to_owned())],
            ),
        ),
        (
            "GetInstance of a volume",
            ask("GetInstance", &[("InstanceName", volume())]),
        ),
        (
            "Associators, volume to pool",
            ask(
                "Associators",
                &[
                    ("ObjectName", volume()),
                    ("AssocClass", class("CIM_AllocatedFromStoragePool")),
                ],
            ),
        ),
        (
            "Associators of a volume, all",
            ask("Associators", &[("ObjectName", volume())]),
        ),
        (
            "References of a volume, all",
            ask("References", &[("ObjectName", volume())]),
        ),
        (
            "GetProperty of the TCP endpoint",
            ask(
                "GetProperty",
                &[
                    ("InstanceName", "{tcp}".to_owned()),
                    ("PropertyName", "<VALUE>PortNumber</VALUE>".to_owned()),
                ],
            ),
        ),
        (
            "EnumerateInstances of pools",
            ask(
                "EnumerateInstances",
                &[("ClassName", class("CIM_StoragePool"))],
            ),
        ),
        (
            "EnumerateInstances of volumes *",
            ask(
                "EnumerateInstances",
                &[("ClassName", class("CIM_StorageVolume"))],
            ),
        ),
        (
            "  three properties of them *",
            ask(
                "EnumerateInstances",
                &[
                    ("ClassName", class("CIM_StorageVolume")),
                    (
                        "PropertyList",
                        "<VALUE.ARRAY><VALUE>ElementName</VALUE><VALUE>Name</VALUE>\
                         <VALUE>NumberOfBlocks</VALUE></VALUE.ARRAY>"
                            .to_owned(),
                    ),
                ],
            ),
        ),
        (
            "  their names *",
            ask(
                "EnumerateInstanceNames",
                &[("ClassName", class("CIM_StorageVolume"))],
            ),
        ),
        (
            "AssociatorNames, pool to its volumes *",
            ask(
                "AssociatorNames",
                &[
                    ("ObjectName", "{pool}".to_owned()),
                    ("AssocClass", class("CIM_AllocatedFromStoragePool")),
                ],
            ),
        ),
        (
            "SetProperty: a change of one volume",
            ask(
                "SetProperty",
                &[
                    ("InstanceName", volume()),
                    ("PropertyName", "<VALUE>ElementName</VALUE>".to_owned()),
                    ("NewValue", "<VALUE>bench-{count}</VALUE>".to_owned()),
                ],
            ),
        ),
    ]
}

/// An intrinsic operation in the array's namespace.
struct Ask {
    method: &'static str,
    body: String,
}

fn ask(method: &'static str, parameters: &[(&str, String)]) -> Ask {
    let parameters: String = parameters
        .iter()
        .map(|(name, value)| format!("<IPARAMVALUE NAME=\"{name}\">{value}</IPARAMVALUE>"))
        .collect();
    Ask {
        method,
        body: format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">\
             <MESSAGE ID=\"1\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ><IMETHODCALL NAME=\"{method}\">\
             <LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"standpipe\"/>\
             </LOCALNAMESPACEPATH>{parameters}</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
        ),
    }
}

/// A running demo.
struct Server {
    child: Child,
    _said: BufReader<ChildStdout>,
    address: SocketAddr,
    start: Duration,
    peer: Peer,
    /// The INSTANCENAMEs of a volume, its pool, and an endpoint.
    known: [(&'static str, String); 3],
}

impl Server {
    fn start(volumes: u32) -> Self {
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_standpipe"))
            .args(["demo", "--listen", "http://127.0.0.1:0", "--user", "bench"])
            .args(["--volumes", &volumes.to_string()])
            .env("STANDPIPE_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut ready = String::new();
        said.read_line(&mut ready).expect("a line");
        let url = ready.split_whitespace().nth(1).expect("a URL");
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let address = address.parse().expect("an address");
        let mut server = Self {
            child,
            _said: said,
            address,
            start: begun.elapsed(),
            peer: Peer::connect(address),
            known: Default::default(),
        };
        let mut some = |class: &str| {
            let class = format!("<CLASSNAME NAME=\"{class}\"/>");
            let names = ask("EnumerateInstanceNames", &[("ClassName", class)]);
            let names = server.peer.ask(names.method, &names.body).text();
            // From the middle: what is searched from one end is not found at once.
            let all: Vec<_> = names.split("<INSTANCENAME").skip(1).collect();
            let one = all.get(all.len() / 2).expect("an instance");
            let end = one.find("</INSTANCENAME>").expect("its end");
            format!("<INSTANCENAME{}</INSTANCENAME>", &one[..end])
        };
        let known = [
            ("{volume}", some("CIM_StorageVolume")),
            ("{pool}", some("Standpipe_StoragePool")),
            ("{tcp}", some("CIM_TCPProtocolEndpoint")),
        ];
        server.known = known;
        server
    }

    fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(figure));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        number.unwrap_or_default()
    }

    /// The body of a request to this array.
    fn fill(&self, ask: &Ask, count: usize) -> String {
        let mut body = ask.body.replace("{count}", &count.to_string());
        for (mark, instance) in &self.known {
            body = body.replace(mark, instance);
        }
        body
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _it_may_be_gone = self.child.kill();
        let _it_is_gone = self.child.wait();
    }
}

/// One connection.
struct Peer {
    stream: BufReader<TcpStream>,
}

/// An answer, its body perhaps thrown away.
struct Answer {
    bytes: usize,
    body: Vec<u8>,
    first_byte: Duration,
}

impl Answer {
    fn text(self) -> String {
        String::from_utf8(self.body).expect("UTF-8")
    }
}

impl Peer {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_nodelay(true).expect("set");
        Self {
            stream: BufReader::with_capacity(256 << 10, stream),
        }
    }

    fn ask(&mut self, method: &str, body: &str) -> Answer {
        let login = base64::engine::general_purpose::STANDARD.encode(format!("bench:{PASSWORD}"));
        let request = format!(
            "POST /cimom HTTP/1.1\r\nHost: b\r\nAuthorization: Basic {login}\r\nContent-Type: \
             application/xml\r\nCIMOperation: MethodCall\r\nCIMMethod: {method}\r\nCIMObject: \
             root/standpipe\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(request.as_bytes())
    }

    fn exchange(&mut self, request: &[u8]) -> Answer {
        let begun = Instant::now();
        self.stream.get_mut().write_all(request).expect("sent");
        self.stream.fill_buf().expect("an answer");
        let first_byte = begun.elapsed();
        let (mut length, mut line) = (None, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a header");
            let lower = line.trim_end().to_ascii_lowercase();
            if let Some(number) = lower.strip_prefix("content-length: ") {
                length = number.parse().ok();
            }
            if lower.is_empty() {
                break;
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => self.take(length, &mut body),
            None => loop {
                line.clear();
                self.stream.read_line(&mut line).expect("a chunk size");
                let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
                self.take(size, &mut body);
                self.take(2, &mut Vec::new());
                if size == 0 {
                    break;
                }
            },
        }
        Answer {
            bytes: body.len(),
            body,
            first_byte,
        }
    }

    fn take(&mut self, length: usize, into: &mut Vec<u8>) {
        let piece = self.stream.by_ref().take(length as u64);
        let mut piece = piece;
        assert_eq!(piece.read_to_end(into).expect("readable"), length);
    }
}

struct Measured {
    median: Duration,
    bytes: usize,
}

impl Measured {
    fn of(server: &mut Server, ask: &Ask) -> Self {
        let bodies: Vec<_> = (0..ENOUGH).map(|count| server.fill(ask, count)).collect();
        let peer = &mut server.peer;
        let method = ask.method;
        let mut bodies = bodies.iter().cycle();
        Self::timed(|| {
            let answer = peer.ask(method, bodies.next().expect("endless"));
            let refused = answer
                .body
                .windows(12)
                .take(600)
                .any(|w| w == b"<ERROR CODE=");
            assert!(!refused, "{method}: {}", answer.text());
            answer.bytes
        })
    }

    fn timed(mut one: impl FnMut() -> usize) -> Self {
        let (mut times, begun) = (Vec::new(), Instant::now());
        let mut bytes = one(); // not counted: caches fill
        while times.len() < ENOUGH && (begun.elapsed() < BUDGET || times.is_empty()) {
            let start = Instant::now();
            bytes = one();
            times.push(start.elapsed());
        }
        times.sort_unstable();
        Self {
            median: times[times.len() / 2],
            bytes,
        }
    }
}

/// What an answer of that length takes if it lies ready.
fn floor(bytes: usize) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a peer");
        stream.set_nodelay(true).expect("set");
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + bytes, b'x');
        let mut request = [0; 64];
        while stream.read_exact(&mut request).is_ok() {
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    let mut peer = Peer::connect(address);
    Measured::timed(|| peer.exchange(&[b'r'; 64]).bytes).median
}

/// The first byte of a long answer, and the memory for all of it.
fn stream(server: &mut Server) {
    let class = "<CLASSNAME NAME=\"CIM_StorageVolume\"/>".to_owned();
    let all = ask("EnumerateInstances", &[("ClassName", class)]);
    // The high-water mark of resident memory starts anew; where that is not allowed it is the
    // mark of everything so far.
    let reset = std::fs::write(format!("/proc/{}/clear_refs", server.child.id()), "5");
    let before = server.memory("VmRSS:");
    let mut first: Vec<_> = (0..20)
        .map(|_| server.peer.ask(all.method, &all.body).first_byte)
        .collect();
    first.sort_unstable();
    println!(
        "\nEnumerateInstances of 10,000 volumes: first byte after {} us, {} KiB more memory{}",
        first[first.len() / 2].as_micros(),
        server.memory("VmHWM:").saturating_sub(before),
        if reset.is_ok() {
            ""
        } else {
            " (since the start)"
        },
    );
}

/// The same by Open and Pull, 100 at a time.
fn pages(server: &mut Server) {
    let class = "<CLASSNAME NAME=\"CIM_StorageVolume\"/>".to_owned();
    let hundred = || ("MaxObjectCount", "<VALUE>100</VALUE>".to_owned());
    let open = ask("OpenEnumerateInstances", &[("ClassName", class), hundred()]);
    let mut first = Duration::ZERO;
    let all = Measured::timed(|| {
        let begun = Instant::now();
        let mut page = server.peer.ask(open.method, &open.body).text();
        first = begun.elapsed();
        let mut bytes = page.len();
        while let Some((_, context)) = page.split_once("NAME=\"EndOfSequence\" PARAMTYPE=\"boolean\"><VALUE>FALSE</VALUE></PARAMVALUE><PARAMVALUE NAME=\"EnumerationContext\" PARAMTYPE=\"string\"><VALUE>") {
            let context = context.split('<').next().unwrap_or_default();
            let context = ("EnumerationContext", format!("<VALUE>{context}</VALUE>"));
            let pull = ask("PullInstancesWithPath", &[context, hundred()]);
            page = server.peer.ask(pull.method, &pull.body).text();
            bytes += page.len();
        }
        bytes
    });
    println!(
        "Open and Pull by 100: first page after {} us, all {} bytes after {} us",
        first.as_micros(),
        all.bytes,
        all.median.as_micros()
    );
}

/// Requests a second from eight connections.
fn parallel(server: &Server) {
    let class = |name: &str| format!("<CLASSNAME NAME=\"{name}\"/>");
    let no = || "<VALUE>FALSE</VALUE>".to_owned();
    let large = [
        ("ClassName", class("CIM_StorageVolume")),
        ("LocalOnly", no()),
    ];
    let volume = [("InstanceName", "{volume}".to_owned())];
    for (title, ask) in [
        ("GetClass, a large class", ask("GetClass", &large)),
        ("GetInstance of a volume", ask("GetInstance", &volume)),
    ] {
        let (body, address) = (server.fill(&ask, 0), server.address);
        let end = Instant::now() + BUDGET;
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (method, body) = (ask.method, body.clone());
                std::thread::spawn(move || {
                    let mut peer = Peer::connect(address);
                    let mut done = 0u32;
                    while Instant::now() < end {
                        peer.ask(method, &body);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let done: u32 = workers.into_iter().map(|w| w.join().expect("done")).sum();
        let rate = f64::from(done) / BUDGET.as_secs_f64();
        println!("{title}, 8 connections: {rate:.0} a second");
    }
}
