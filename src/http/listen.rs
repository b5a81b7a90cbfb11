//! Listen addresses, written as URLs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Plain or encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TCP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The word before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The registered port of CIM-XML for this scheme.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 5988,
            Self::Https => 5989,
        }
    }
}

/// Where to listen: `http://127.0.0.1:5988`, `https://[::]:5989`; port 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenUrl {
    /// Plain or encrypted.
    pub scheme: Scheme,
    /// Address and port.
    pub address: SocketAddr,
}

/// Why a text is no listen URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenUrlError {
    /// Neither `http://` nor `https://`.
    #[error("a listen URL starts with http:// or https://")]
    Scheme,
    /// The host is neither an IP address nor `localhost`.
    #[error("the host of a listen URL is an IP address ([…] around IPv6) or localhost")]
    Host,
    /// The port is no number below 65536.
    #[error("the port of a listen URL is a number from 0 to 65535")]
    Port,
    /// Something follows the port.
    #[error("a listen URL ends after the port")]
    Path,
}

impl ListenUrl {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    /// The same scheme on another address, such as the one that a socket was really bound to.
    pub fn at(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// The form that a client on this machine can use: an unspecified address becomes loopback.
    pub fn for_local_client(self) -> Self {
        let loopback = match self.address.ip() {
            IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            address => address,
        };
        self.at(SocketAddr::new(loopback, self.address.port()))
    }
}

impl FromStr for ListenUrl {
    type Err = ListenUrlError;

    fn from_str(text: &str) -> Result<Self, ListenUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ListenUrlError::Scheme)?;
        let scheme = [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
            .ok_or(ListenUrlError::Scheme)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(ListenUrlError::Path);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']').ok_or(ListenUrlError::Host)?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let bracketed = authority.starts_with('[');
        let ip = match host {
            "localhost" if !bracketed => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => host.parse().map_err(|_| ListenUrlError::Host)?,
        };
        if ip.is_ipv6() != bracketed {
            return Err(ListenUrlError::Host);
        }
        let port = match port.strip_prefix(':') {
            Some(digits) => digits.parse().map_err(|_| ListenUrlError::Port)?,
            None if port.is_empty() => scheme.default_port(),
            None => return Err(ListenUrlError::Port),
        };
        let address = SocketAddr::new(ip, port);
        Ok(Self { scheme, address })
    }
}

impl fmt::Display for ListenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown() {
        for (text, shown) in [
            ("http://127.0.0.1:5988", "http://127.0.0.1:5988"),
            ("HTTPS://0.0.0.0/", "https://0.0.0.0:5989"),
            ("http://localhost:0", "http://127.0.0.1:0"),
            ("https://[::1]:1", "https://[::1]:1"),
        ] {
            let url: ListenUrl = text.parse().expect(text);
            assert_eq!(url.to_string(), shown);
        }
        let any: ListenUrl = "https://[::]".parse().expect("unspecified");
        assert_eq!(any.for_local_client().to_string(), "https://127.0.0.1:5989");
        assert!(!any.is_loopback());
    }

    #[test]
    fn anything_else_says_why_not() {
        for (text, why) in [
            ("127.0.0.1:5988", ListenUrlError::Scheme),
            ("ftp://127.0.0.1", ListenUrlError::Scheme),
            ("http://example.com", ListenUrlError::Host),
            ("http://", ListenUrlError::Host),
            ("http://::1", ListenUrlError::Host),
            ("http://[127.0.0.1]", ListenUrlError::Host),
            ("http://127.0.0.1:65536", ListenUrlError::Port),
            ("http://[::1]5988", ListenUrlError::Port),
            ("http://127.0.0.1:1/cimom", ListenUrlError::Path),
        ] {
            assert_eq!(text.parse::<ListenUrl>(), Err(why), "{text}");
        }
    }
}
