//! CIM status codes and the error that carries one (DSP0200 §5.1).

use std::fmt;

/// A CIM status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Status {
    Failed = 1,
    AccessDenied = 2,
    InvalidNamespace = 3,
    InvalidParameter = 4,
    InvalidClass = 5,
    NotFound = 6,
    NotSupported = 7,
    ClassHasChildren = 8,
    ClassHasInstances = 9,
    InvalidSuperclass = 10,
    AlreadyExists = 11,
    NoSuchProperty = 12,
    TypeMismatch = 13,
    QueryLanguageNotSupported = 14,
    InvalidQuery = 15,
    MethodNotAvailable = 16,
    MethodNotFound = 17,
    NamespaceNotEmpty = 20,
    InvalidEnumerationContext = 21,
    InvalidOperationTimeout = 22,
    PullHasBeenAbandoned = 23,
    PullCannotBeAbandoned = 24,
    FilteredEnumerationNotSupported = 25,
    ContinuationOnErrorNotSupported = 26,
    ServerLimitsExceeded = 27,
    ServerIsShuttingDown = 28,
    QueryFeatureNotSupported = 29,
}

impl Status {
    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self as u32
    }
}

/// A refusal or failure as the client sees it: a code and one sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CimError {
    /// The status code.
    pub status: Status,
    /// One sentence for the person who reads it; never empty.
    pub description: String,
}

/// Bytes of the longest description; what clients sent may be quoted in it.
const MAX_DESCRIPTION: usize = 2048;

impl CimError {
    /// An error of that status with that sentence.
    pub fn new(status: Status, description: impl Into<String>) -> Self {
        let mut description = description.into();
        if description.len() > MAX_DESCRIPTION {
            description.truncate(description.floor_char_boundary(MAX_DESCRIPTION));
            description.push('…');
        }
        Self {
            status,
            description,
        }
    }
}

impl fmt::Display for CimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CIM error {}: {}", self.status.code(), self.description)
    }
}

impl std::error::Error for CimError {}

macro_rules! shorthand {
    ($($(#[$doc:meta])* $name:ident => $status:ident),* $(,)?) => {
        impl CimError {$(
            $(#[$doc])*
            pub fn $name(description: impl Into<String>) -> Self {
                Self::new(Status::$status, description)
            }
        )*}
    };
}

shorthand! {
    /// Anything that no other code says.
    failed => Failed,
    /// The user may not do this.
    access_denied => AccessDenied,
    /// No such namespace.
    invalid_namespace => InvalidNamespace,
    /// A parameter is missing, unknown, doubled or has a bad value.
    invalid_parameter => InvalidParameter,
    /// No such class, where an instance-level request names it.
    invalid_class => InvalidClass,
    /// No such instance, class or qualifier.
    not_found => NotFound,
    /// The operation is not offered.
    not_supported => NotSupported,
    /// No such method in the class.
    method_not_found => MethodNotFound,
    /// The method is declared but not implemented for this object.
    method_not_available => MethodNotAvailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_descriptions_are_cut() {
        let error = CimError::failed("é".repeat(5000));
        assert_eq!(error.description.len(), MAX_DESCRIPTION + '…'.len_utf8());
        assert!(error.description.ends_with("é…"));
    }
}
