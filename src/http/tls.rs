//! TLS: certificate and key, and the one place that names a cryptography provider.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, version};

/// Longest certificate or key file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Where a certificate of our own making is kept, below the state directory.
const SELF_SIGNED: &str = "self-signed.pem";

/// The provider of all cryptography in TLS.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What is needed to accept TLS connections (1.2 and 1.3).
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Where a pair came from, for messages.
struct Origin<'a> {
    certificate: &'a Path,
    key: &'a Path,
}

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else than expected.
    #[error("{path} holds no {wanted} in PEM form")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// Why it does not.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key cannot be used together.
    #[error("the certificate in {certificate} and the key in {key} cannot be used together")]
    Pair {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a self-signed certificate")]
    SelfSigned(#[source] rcgen::Error),
}

impl Tls {
    /// A certificate chain and its key from PEM files; both may be in one file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let origin = Origin { certificate, key };
        Self::from_pem(&read(certificate)?, &read(key)?, &origin)
    }

    /// A self-signed certificate for `names` (host names and IP addresses), made on first use and
    /// kept below `directory`, so that a client that trusts it keeps trusting it.
    pub fn self_signed(directory: &Path, names: &[String]) -> Result<Self, TlsError> {
        let path = directory.join(SELF_SIGNED);
        if let Ok(kept) = Self::load(&path, &path) {
            return Ok(kept);
        }
        let pair = make(names).map_err(TlsError::SelfSigned)?;
        write_private(&path, &pair).map_err(|source| TlsError::File {
            path: path.clone(),
            source,
        })?;
        Self::load(&path, &path)
    }

    /// A self-signed certificate for `names` that is forgotten with the process.
    pub fn ephemeral(names: &[String]) -> Result<Self, TlsError> {
        let pair = make(names).map_err(TlsError::SelfSigned)?;
        let memory = Path::new("(memory)");
        let origin = Origin {
            certificate: memory,
            key: memory,
        };
        Self::from_pem(pair.as_bytes(), pair.as_bytes(), &origin)
    }

    fn from_pem(certificate: &[u8], key: &[u8], origin: &Origin<'_>) -> Result<Self, TlsError> {
        let pem = |path: &Path, wanted, source| TlsError::Pem {
            path: path.into(),
            wanted,
            source,
        };
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|chain| match chain.is_empty() {
                true => Err(pem::Error::NoItemsFound),
                false => Ok(chain),
            })
            .map_err(|source| pem(origin.certificate, "certificate", source))?;
        let private = PrivateKeyDer::from_pem_slice(key)
            .map_err(|source| pem(origin.key, "private key", source))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(chain, private)
            })
            .map_err(|source| TlsError::Pair {
                certificate: origin.certificate.into(),
                key: origin.key.into(),
                source,
            })?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.0.clone()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let file = |source| TlsError::File {
        path: path.into(),
        source,
    };
    let length = fs::metadata(path).map_err(file)?.len();
    if length > MAX_FILE {
        return Err(file(std::io::Error::other("the file is too long")));
    }
    fs::read(path).map_err(file)
}

/// A fresh key and a certificate for it, as one PEM text.
fn make(names: &[String]) -> Result<String, rcgen::Error> {
    let key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::new(names)?;
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, "Standpipe, self-signed");
    parameters.distinguished_name = name;
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = parameters.self_signed(&key)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

/// Writes a file that only its owner can read, as a whole or not at all.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let unfinished = path.with_extension("new");
    let _leftover_of_a_crash = fs::remove_file(&unfinished);
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_self_signed_certificate_is_kept_private_and_kept() {
        let state = tempfile::tempdir().expect("temporary directory");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        Tls::self_signed(state.path(), &names).expect("made");
        let path = state.path().join(SELF_SIGNED);
        let first = fs::read(&path).expect("kept");
        assert_eq!(
            fs::metadata(&path).expect("kept").permissions().mode() & 0o777,
            0o600
        );
        Tls::self_signed(state.path(), &names).expect("reused");
        assert_eq!(fs::read(&path).expect("kept"), first);
        fs::write(&path, "damaged").expect("writable");
        Tls::self_signed(state.path(), &names).expect("made anew");
    }

    #[test]
    fn wrong_files_are_named() {
        let state = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| state.path().join(name);
        let pair = |name: &str| {
            fs::write(path(name), make(&["localhost".to_owned()]).expect("made"))
                .expect("writable");
        };
        pair("a");
        pair("b");
        fs::write(path("empty"), "").expect("writable");
        for (certificate, key, message) in [
            ("none", "a", "none"),
            ("empty", "a", "empty holds no certificate"),
            ("a", "empty", "empty holds no private key"),
            ("a", "b", "cannot be used together"),
        ] {
            let refused = Tls::load(&path(certificate), &path(key))
                .err()
                .expect(message);
            assert!(refused.to_string().contains(message), "{refused}");
        }
    }
}
