//! An HTTP client that shows everything: heads as they came, bodies as far as they came.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::xml::Call;

/// The user that every demo knows.
pub const USER: &str = "tester";
/// Its password.
pub const PASSWORD: &str = "right horse";
/// Nothing here takes that long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One connection.
pub struct Client {
    stream: BufReader<Box<dyn Stream>>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, v)| &**v)
    }

    /// The code of the CIM error, if it is one.
    pub fn error(&self) -> Option<u16> {
        let (_, rest) = self.body.split_once("<ERROR CODE=\"")?;
        rest.split('"').next()?.parse().ok()
    }
}

/// The value of the Authorization header.
pub fn authorization() -> String {
    let pair = format!("{USER}:{PASSWORD}");
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Basic {pair}")
}

/// The header lines of a call, Authorization and framing aside; `prefix` is that of M-POST.
pub fn headers(call: &Call, prefix: &str) -> String {
    format!(
        "Host: array\r\nContent-Type: application/xml; charset=\"utf-8\"\r\n\
         {prefix}CIMOperation: MethodCall\r\n{prefix}CIMMethod: {}\r\n{prefix}CIMObject: {}\r\n",
        call.method, call.object
    )
}

impl Client {
    /// Connects without TLS.
    pub fn plain(address: SocketAddr) -> Self {
        Self::over(tcp(address))
    }

    /// Connects with TLS to a server whose certificate is in that file.
    pub fn trusting(certificate: &Path, address: SocketAddr) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        roots.add(certificate).expect("usable");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        Self::over(StreamOwned::new(session, tcp(address)))
    }

    fn over(stream: impl Read + Write + Send + 'static) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).expect("sent");
        stream.flush().expect("sent");
    }

    /// Sends a call as it should be sent.
    pub fn post(&mut self, call: &Call) {
        let head = format!(
            "POST /cimom HTTP/1.1\r\n{}Authorization: {}\r\nContent-Length: {}\r\n\r\n",
            headers(call, ""),
            authorization(),
            call.body.len()
        );
        self.send(&[head.as_bytes(), call.body.as_bytes()].concat());
    }

    /// Sends a call and waits for its answer, which is that of a CIM operation.
    pub fn call(&mut self, call: &Call) -> Answer {
        self.post(call);
        let answer = self.answer();
        assert_eq!(answer.status, 200, "{call:?}: {answer:?}");
        answer
    }

    /// The next response.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(&answer, body.len()) {
            body.extend(chunk);
        }
        answer.body = String::from_utf8(body).expect("UTF-8");
        answer
    }

    /// The head of the next response.
    pub fn head(&mut self) -> Answer {
        let status = self.line();
        let status = status.split(' ').nth(1).expect("a status line").to_owned();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Answer {
            status: status.parse().expect("a number"),
            headers,
            body: String::new(),
        }
    }

    /// The next piece of a body of which `so_far` bytes have been read; `None` at its end.
    pub fn chunk(&mut self, head: &Answer, so_far: usize) -> Option<Vec<u8>> {
        let chunked = head.header("transfer-encoding") == Some("chunked");
        let length = match chunked {
            true => usize::from_str_radix(&self.line(), 16).expect("a chunk size"),
            false => {
                let length = head.header("content-length").map_or("0", |length| length);
                length.parse::<usize>().expect("a length") - so_far
            }
        };
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk).expect("the whole piece");
        if chunked {
            assert_eq!(self.line(), "", "every chunk ends with an empty line");
        }
        (length > 0).then_some(chunk)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        assert!(line.ends_with('\n'), "the connection ended at {line:?}");
        line.trim_end().to_owned()
    }
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_nodelay(true).expect("set");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_write_timeout(Some(PATIENCE)).expect("set");
    stream
}
