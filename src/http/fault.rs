//! Every way to refuse a request before a CIM operation answers it, in one table.
//!
//! A CIM error is no fault: it is a 200 with an ERROR element. Faults have no XML body.

use http::{HeaderValue, StatusCode};

use crate::cimxml::DecodeError;

/// Why a request got no CIM answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A method other than POST and M-POST.
    Method,
    /// M-POST without a usable declaration of the CIM mapping in `Man` (RFC 2774 §5).
    NotExtended,
    /// An HTTP rule is broken; the text says which.
    Framing(&'static str),
    /// Neither Content-Length nor chunks.
    LengthRequired,
    /// The body is longer than allowed.
    BodyTooLarge,
    /// A transfer coding other than `chunked`.
    TransferCoding,
    /// An expectation other than `100-continue`.
    Expectation,
    /// No credential, or a wrong one.
    Unauthorized,
    /// A content coding other than `identity`.
    ContentCoding,
    /// Not XML in UTF-8 by its Content-Type.
    ContentType,
    /// No `CIMOperation` header: no CIM request.
    NotCim,
    /// `CIMOperation` is not `MethodCall`.
    UnsupportedOperation,
    /// A protocol version other than 1.x, or none at all.
    UnsupportedProtocolVersion,
    /// A CIM version other than 2.x.
    UnsupportedCimVersion,
    /// A DTD version other than 2.x.
    UnsupportedDtdVersion,
    /// A batch of requests.
    MultipleRequests,
    /// A CIM header is missing, doubled, malformed, or says something else than the body.
    HeaderMismatch(String),
    /// The body is no well-formed XML.
    NotWellFormed(String),
    /// The body is XML but no valid request.
    NotValid(String),
    /// The body has more elements than allowed.
    TooManyElements,
    /// The body exceeds another bound on its content.
    ContentTooLarge(&'static str),
    /// The body did not arrive in time.
    BodyTimeout,
    /// The connection broke within the body.
    BodyBroken,
    /// Too much is going on; come back in a moment.
    Busy,
    /// The server stops.
    ShuttingDown,
    /// The server itself failed.
    Internal,
}

impl Fault {
    /// The HTTP status and the value of the `CIMError` header (DSP0200 §7.3).
    pub fn status(&self) -> (StatusCode, Option<&'static str>) {
        use StatusCode as S;
        match self {
            Self::Method => (S::NOT_IMPLEMENTED, None),
            Self::NotExtended => (S::NOT_EXTENDED, None),
            Self::Framing(_) | Self::BodyBroken => (S::BAD_REQUEST, None),
            Self::LengthRequired => (S::LENGTH_REQUIRED, None),
            Self::BodyTooLarge | Self::ContentTooLarge(_) => (S::PAYLOAD_TOO_LARGE, None),
            Self::TransferCoding => (S::NOT_IMPLEMENTED, None),
            Self::Expectation => (S::EXPECTATION_FAILED, None),
            Self::Unauthorized => (S::UNAUTHORIZED, None),
            Self::ContentCoding => (S::UNSUPPORTED_MEDIA_TYPE, None),
            Self::ContentType | Self::NotCim => (S::BAD_REQUEST, None),
            Self::UnsupportedOperation => (S::BAD_REQUEST, Some("unsupported-operation")),
            Self::UnsupportedProtocolVersion => {
                (S::NOT_IMPLEMENTED, Some("unsupported-protocol-version"))
            }
            Self::UnsupportedCimVersion => (S::NOT_IMPLEMENTED, Some("unsupported-cim-version")),
            Self::UnsupportedDtdVersion => (S::NOT_IMPLEMENTED, Some("unsupported-dtd-version")),
            Self::MultipleRequests => (S::NOT_IMPLEMENTED, Some("multiple-requests-unsupported")),
            Self::HeaderMismatch(_) => (S::BAD_REQUEST, Some("header-mismatch")),
            Self::NotWellFormed(_) => (S::BAD_REQUEST, Some("request-not-well-formed")),
            Self::NotValid(_) => (S::BAD_REQUEST, Some("request-not-valid")),
            Self::TooManyElements => (S::BAD_REQUEST, Some("request-with-too-many-elements")),
            Self::BodyTimeout => (S::REQUEST_TIMEOUT, None),
            Self::Busy | Self::ShuttingDown => (S::SERVICE_UNAVAILABLE, None),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, None),
        }
    }

    /// What is wrong, for the `PGErrorDetail` header; `None` where the status says it all.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Framing(text) | Self::ContentTooLarge(text) => Some(text),
            Self::HeaderMismatch(text) | Self::NotWellFormed(text) | Self::NotValid(text) => {
                Some(text)
            }
            Self::ContentType => Some("Content-Type must be application/xml or text/xml in UTF-8"),
            Self::NotCim => Some("the CIMOperation header is missing"),
            Self::TooManyElements => Some("the request has too many elements"),
            _ => None,
        }
    }

    /// Whether the connection cannot carry another request.
    pub fn closes(&self) -> bool {
        matches!(
            self,
            Self::Framing(_)
                | Self::BodyTooLarge
                | Self::TransferCoding
                | Self::BodyTimeout
                | Self::BodyBroken
                | Self::ShuttingDown
                | Self::Internal
        )
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::NotWellFormed(reason) => Self::NotWellFormed(reason),
            DecodeError::NotValid(reason) => Self::NotValid(reason),
            DecodeError::Doctype => Self::NotValid(error.to_string()),
            DecodeError::TooManyElements => Self::TooManyElements,
            DecodeError::TooLarge(reason) => Self::ContentTooLarge(reason),
            DecodeError::UnsupportedCimVersion(_) => Self::UnsupportedCimVersion,
            DecodeError::UnsupportedDtdVersion(_) => Self::UnsupportedDtdVersion,
            DecodeError::UnsupportedProtocolVersion(_) => Self::UnsupportedProtocolVersion,
            DecodeError::MultipleRequestsUnsupported => Self::MultipleRequests,
        }
    }
}

/// Longest detail that is sent, in bytes before encoding.
const MAX_DETAIL: usize = 256;

/// A text as a header value: everything but letters, digits and a few marks as `%XX` of its UTF-8.
pub(super) fn url_encoded(text: &str) -> HeaderValue {
    let mut out = String::new();
    for (at, byte) in text.bytes().enumerate() {
        // Cutting inside a character would leave broken UTF-8, so only its first byte may end it.
        if at >= MAX_DETAIL && byte & 0xc0 != 0x80 {
            break;
        }
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    HeaderValue::try_from(out).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_encoded_and_cut_between_characters() {
        assert_eq!(url_encoded("a é\r\n"), "a%20%C3%A9%0D%0A");
        let long = "é".repeat(1000);
        let encoded = url_encoded(&long);
        assert_eq!(encoded.len() % "%C3%A9".len(), 0);
        assert!(encoded.len() < 1000);
    }

    #[test]
    fn every_decode_error_is_a_client_fault_with_the_documented_word() {
        for (error, status, word) in [
            (
                DecodeError::NotWellFormed("x".into()),
                400,
                Some("request-not-well-formed"),
            ),
            (
                DecodeError::NotValid("x".into()),
                400,
                Some("request-not-valid"),
            ),
            (DecodeError::Doctype, 400, Some("request-not-valid")),
            (
                DecodeError::TooManyElements,
                400,
                Some("request-with-too-many-elements"),
            ),
            (DecodeError::TooLarge("x"), 413, None),
            (
                DecodeError::UnsupportedCimVersion("3.0".into()),
                501,
                Some("unsupported-cim-version"),
            ),
            (
                DecodeError::UnsupportedDtdVersion("3.0".into()),
                501,
                Some("unsupported-dtd-version"),
            ),
            (
                DecodeError::UnsupportedProtocolVersion("2.0".into()),
                501,
                Some("unsupported-protocol-version"),
            ),
            (
                DecodeError::MultipleRequestsUnsupported,
                501,
                Some("multiple-requests-unsupported"),
            ),
        ] {
            let (got, cim_error) = Fault::from(error.clone()).status();
            assert_eq!((got.as_u16(), cim_error), (status, word), "{error:?}");
        }
    }
}
