//! The request head: HTTP rules first, then the CIM headers (DSP0200 §6.2, §7).
//!
//! [`framing`] needs no trust and runs before the credentials are looked at, [`CallHead::read`]
//! after; neither touches the body.

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::{Method, Version};

use crate::cimxml::Request;

use super::{Fault, Limits, cimobject};

/// The extension that M-POST declares in its `Man` header (RFC 2774, DSP0200 §7.2).
pub(super) const MAPPING: &str = "http://www.dmtf.org/cim/mapping/http/v1.0";

/// What the HTTP part of a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    /// M-POST instead of POST.
    pub(super) extended: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// Checks method, body framing and Host. hyper has already refused what is no HTTP at all:
/// malformed heads, differing or non-numeric lengths, unknown final transfer codings.
pub(super) fn framing(head: &Parts, limits: &Limits) -> Result<Framing, Fault> {
    let extended = match head.method.as_str() {
        "M-POST" => true,
        _ if head.method == Method::POST => false,
        _ => return Err(Fault::Method),
    };
    if extended && head.version < Version::HTTP_11 {
        return Err(Fault::Framing("M-POST needs HTTP/1.1"));
    }
    let expects_continue = match single(&head.headers, &header::EXPECT)? {
        None => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => true,
        Some(_) => return Err(Fault::Expectation),
    };
    match single(&head.headers, &header::TRANSFER_ENCODING)? {
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => {}
        Some(_) => return Err(Fault::TransferCoding),
        None => {
            let length = head.headers.get(header::CONTENT_LENGTH);
            let length = length.ok_or(Fault::LengthRequired)?.to_str().ok();
            let length: u64 = length
                .and_then(|digits| digits.trim().parse().ok())
                .ok_or(Fault::Framing("Content-Length is no number"))?;
            if usize::try_from(length).map_or(true, |length| length > limits.body_bytes) {
                return Err(Fault::BodyTooLarge);
            }
        }
    }
    let host = single(&head.headers, &header::HOST)?;
    if host.is_none() && head.version >= Version::HTTP_11 {
        return Err(Fault::Framing("the Host header is missing"));
    }
    Ok(Framing {
        extended,
        expects_continue,
    })
}

/// The CIM headers of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CallHead {
    /// `CIMProtocolVersion`; many clients leave it out.
    version: Option<(u32, u32)>,
    /// `CIMMethod`.
    method: String,
    /// `CIMObject` as it was sent.
    object: Vec<u8>,
}

impl CallHead {
    /// Reads the CIM headers (with `prefix` before their names) and checks Content-Type.
    pub(super) fn read(headers: &HeaderMap, prefix: Option<Prefix>) -> Result<Self, Fault> {
        let find = |name: &str| cim_header(headers, prefix, name);
        let operation = find("cimoperation")?.ok_or(Fault::NotCim)?;
        if !operation.eq_ignore_ascii_case(b"MethodCall") {
            return Err(Fault::UnsupportedOperation);
        }
        if find("cimbatch")?.is_some() {
            return Err(Fault::MultipleRequests);
        }
        let version = match find("cimprotocolversion")? {
            None => None,
            Some(text) => match protocol_version(text) {
                Some((1, minor)) => Some((1, minor)),
                _ => return Err(Fault::UnsupportedProtocolVersion),
            },
        };
        let method = find("cimmethod")?.ok_or_else(|| missing("CIMMethod"))?;
        let method = cimobject::unescape(method)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Fault::HeaderMismatch("CIMMethod is no name".into()))?;
        let object = find("cimobject")?.ok_or_else(|| missing("CIMObject"))?;
        content(headers)?;
        Ok(Self {
            version,
            method,
            object: object.to_vec(),
        })
    }

    /// Checks that the headers say what the body says (DSP0200 §6.2.2).
    pub(super) fn agrees_with(&self, request: &Request) -> Result<(), Fault> {
        let mismatch = |text: String| Err(Fault::HeaderMismatch(text));
        if let Some(version) = self.version
            && protocol_version(request.protocol_version.as_bytes()) != Some(version)
        {
            return mismatch("CIMProtocolVersion differs from PROTOCOLVERSION in the body".into());
        }
        let called = request.call.name();
        if *called != *self.method.as_str() {
            return mismatch(format!("CIMMethod differs from {called} in the body"));
        }
        if !cimobject::names_target(&self.object, &request.call) {
            return mismatch("CIMObject differs from the target in the body".into());
        }
        Ok(())
    }
}

fn missing(name: &str) -> Fault {
    Fault::HeaderMismatch(format!("the {name} header is missing"))
}

/// The two digits that M-POST puts before the names of its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix([u8; 2]);

impl Prefix {
    /// The prefix that a `Man` header declares for the CIM mapping.
    pub(super) fn declared(headers: &HeaderMap) -> Result<Self, Fault> {
        let declarations = headers.get_all("man").iter();
        let mut found = declarations
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(Self::in_declaration);
        found.next().ok_or(Fault::NotExtended)
    }

    /// Reads `"http://www.dmtf.org/cim/mapping/http/v1.0" ; ns=NN`, quotes and blanks optional.
    fn in_declaration(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        if !unquoted(parts.next()?).eq_ignore_ascii_case(MAPPING) {
            return None;
        }
        parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("ns") {
                return None;
            }
            match unquoted(value.trim()).as_bytes() {
                &[tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit() => {
                    Some(Self([tens, ones]))
                }
                _ => None,
            }
        })
    }

    /// The name of a header under this prefix.
    pub(super) fn named(self, name: &str) -> Option<HeaderName> {
        let [tens, ones] = self.0.map(char::from);
        HeaderName::try_from(format!("{tens}{ones}-{name}")).ok()
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [tens, ones] = self.0.map(char::from);
        write!(f, "{tens}{ones}")
    }
}

/// The only value of an HTTP header; doubled, it is a framing fault.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Fault> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|value| value.as_bytes().trim_ascii());
    match values.next() {
        Some(_) => Err(Fault::Framing("a header that may occur once is doubled")),
        None => Ok(first),
    }
}

/// The only value of a CIM header; doubled, it cannot agree with the body.
fn cim_header<'a>(
    headers: &'a HeaderMap,
    prefix: Option<Prefix>,
    name: &str,
) -> Result<Option<&'a [u8]>, Fault> {
    let name = match prefix {
        None => HeaderName::try_from(name).ok(),
        Some(prefix) => prefix.named(name),
    };
    let Some(name) = name else { return Ok(None) };
    single(headers, &name).map_err(|_| Fault::HeaderMismatch(format!("{name} is doubled")))
}

/// `M.N`, both decimal.
fn protocol_version(text: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(text).ok()?.trim().split_once('.')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    Some((number(major)?, number(minor)?))
}

/// Checks that the body is said to be unpacked XML in UTF-8.
fn content(headers: &HeaderMap) -> Result<(), Fault> {
    if let Ok(Some(coding)) = single(headers, &header::CONTENT_ENCODING)
        && !coding.eq_ignore_ascii_case(b"identity")
    {
        return Err(Fault::ContentCoding);
    }
    let value = single(headers, &header::CONTENT_TYPE).map_err(|_| Fault::ContentType)?;
    let value = value.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let mut parts = value.ok_or(Fault::ContentType)?.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let xml = ["application/xml", "text/xml"];
    let is_xml = xml
        .iter()
        .any(|known| media_type.eq_ignore_ascii_case(known));
    let is_utf8 = parts
        .filter_map(|part| part.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .all(|(_, charset)| unquoted(charset.trim()).eq_ignore_ascii_case("utf-8"));
    if is_xml && is_utf8 {
        Ok(())
    } else {
        Err(Fault::ContentType)
    }
}

/// A text without the double quotes around it.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}
