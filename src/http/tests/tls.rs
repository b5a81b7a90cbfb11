//! HTTPS, and what comes to the wrong door.

use std::path::Path;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use super::*;

async fn server(state: &Path, limits: Limits) -> Running {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let tls = Tls::self_signed(state, &names).expect("a certificate");
    Running::start_on("https://127.0.0.1:0", Some(tls), limits).await
}

async fn shake_hands(
    server: &Running,
    state: &Path,
    version: &'static SupportedProtocolVersion,
) -> Peer<TlsStream<TcpStream>> {
    let certificate = CertificateDer::from_pem_file(state.join("self-signed.pem"));
    let mut roots = RootCertStore::empty();
    roots
        .add(certificate.expect("a certificate"))
        .expect("usable");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let stream = TcpStream::connect(server.address).await.expect("connected");
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    Peer::new(stream.expect("a handshake"))
}

#[tokio::test]
async fn both_versions_of_tls_carry_requests() {
    let state = tempfile::tempdir().expect("temporary directory");
    let server = server(state.path(), Limits::default()).await;
    for version in [&version::TLS12, &version::TLS13] {
        let mut peer = shake_hands(&server, state.path(), version).await;
        for (method, length) in [("GetClass", 29), ("Long", 1 << 20)] {
            peer.send(&Ask::intrinsic(method).bytes()).await;
            let answer = peer.answer().await;
            assert_eq!((answer.status(), answer.body.len()), (200, length));
        }
    }
}

#[tokio::test]
async fn plain_http_on_the_tls_port_and_tls_on_the_plain_port_are_closed() {
    let state = tempfile::tempdir().expect("temporary directory");
    let https = server(state.path(), Limits::default()).await;
    let mut peer = https.connect().await;
    peer.send(&Ask::intrinsic("GetClass").bytes()).await;
    while peer.more().await {}
    assert!(!peer.ahead.starts_with(b"HTTP"));

    let http = Running::start(Limits::default()).await;
    let mut peer = http.connect().await;
    peer.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        .await;
    peer.send(&[0; 500]).await;
    while peer.more().await {}
}

#[tokio::test]
async fn a_handshake_has_to_come_to_its_end() {
    let state = tempfile::tempdir().expect("temporary directory");
    let limits = Limits {
        handshake_timeout: Duration::from_millis(150),
        ..Limits::default()
    };
    let server = server(state.path(), limits).await;
    for sent in [&b""[..], b"\x16\x03\x01"] {
        let mut peer = server.connect().await;
        peer.send(sent).await;
        assert!(peer.closed().await);
    }
}

#[tokio::test]
async fn https_needs_a_certificate() {
    let url = "https://127.0.0.1:0".parse().expect("a listen URL");
    assert!(Server::bind(&[url], None).await.is_err());
}
