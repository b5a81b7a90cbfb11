//! Why bytes are not a request, and why a value is not of the wanted type.

use thiserror::Error;

use crate::cim::Type;

/// Why a message could not be read; each meaning has its own HTTP answer (DSP0200 §7.3).
///
/// The texts hold at most a short, quoted piece of the input.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes are not XML 1.0 in UTF-8 (`request-not-well-formed`).
    #[error("the request is not well-formed XML: {0}")]
    NotWellFormed(String),
    /// XML, but no CIM request, or one with an illegal value (`request-not-valid`).
    #[error("the request is not valid CIM-XML: {0}")]
    NotValid(String),
    /// A document type declaration, which is never accepted (`request-not-valid`).
    #[error("a document type declaration is not accepted")]
    Doctype,
    /// More elements, or members of one object, than the limits allow.
    #[error("the request has too many elements")]
    TooManyElements,
    /// Too long or too deep for the limits.
    #[error("the request is too large: {0}")]
    TooLarge(&'static str),
    /// CIMVERSION is not 2.x (`unsupported-cim-version`).
    #[error("CIM version {0} is not supported, only 2.x")]
    UnsupportedCimVersion(String),
    /// DTDVERSION is not 2.x (`unsupported-dtd-version`).
    #[error("DTD version {0} is not supported, only 2.x")]
    UnsupportedDtdVersion(String),
    /// PROTOCOLVERSION is not 1.x (`unsupported-protocol-version`).
    #[error("protocol version {0} is not supported, only 1.x")]
    UnsupportedProtocolVersion(String),
    /// A MULTIREQ (`multiple-requests-unsupported`).
    #[error("several requests in one message are not supported")]
    MultipleRequestsUnsupported,
}

/// Why a value is not one of the wanted type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// The text is no literal of the type, or out of its range.
    #[error("{text} is not a {ty}")]
    Literal {
        /// The wanted type.
        ty: Type,
        /// The beginning of the text, quoted.
        text: String,
    },
    /// An array where a scalar is wanted, or the reverse.
    #[error("{}", if *.array_wanted { "an array is wanted" } else { "an array is not allowed here" })]
    Shape {
        /// Whether the declaration says that it is an array.
        array_wanted: bool,
    },
    /// A value of another kind: an object for a number, a string for a reference.
    #[error("{found} cannot stand for a {wanted}")]
    Kind {
        /// The wanted type.
        wanted: Type,
        /// What was sent.
        found: &'static str,
    },
    /// The text of an embedded object could not be read.
    #[error("the embedded object cannot be read")]
    Embedded(#[source] DecodeError),
}

/// A piece of foreign text for a message: quoted, escaped, cut.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}…", text.get(..cut).unwrap_or_default()),
    }
}

pub(super) fn not_valid(reason: impl Into<String>) -> DecodeError {
    DecodeError::NotValid(reason.into())
}

pub(super) fn not_well_formed(reason: impl Into<String>) -> DecodeError {
    DecodeError::NotWellFormed(reason.into())
}
