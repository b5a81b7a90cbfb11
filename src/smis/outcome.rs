//! From what the array says to what a CIM client hears: one total table of kinds.

use crate::array::{Error, Kind};
use crate::cim::{CimError, Status};

/// The CIM status of a kind of error.
pub(super) fn status(kind: Kind) -> Status {
    match kind {
        Kind::NotFound => Status::NotFound,
        Kind::AlreadyExists => Status::AlreadyExists,
        Kind::InvalidArgument | Kind::SizeNotSupported => Status::InvalidParameter,
        Kind::NotSupported => Status::NotSupported,
        Kind::AccessDenied => Status::AccessDenied,
        Kind::InUse
        | Kind::HasDependents
        | Kind::AlreadyShown
        | Kind::NotShown
        | Kind::NumberTaken
        | Kind::ViewFull
        | Kind::PortalTaken
        | Kind::InSession
        | Kind::NoSpace
        | Kind::Timeout
        | Kind::Unavailable
        | Kind::Bug => Status::Failed,
    }
}

/// The name of a CIM status that a kind of error can have (DSP0200 5.1).
pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::AccessDenied => "CIM_ERR_ACCESS_DENIED",
        Status::InvalidParameter => "CIM_ERR_INVALID_PARAMETER",
        Status::NotFound => "CIM_ERR_NOT_FOUND",
        Status::NotSupported => "CIM_ERR_NOT_SUPPORTED",
        Status::AlreadyExists => "CIM_ERR_ALREADY_EXISTS",
        _ => "CIM_ERR_FAILED",
    }
}

/// The number of a kind among the messages of this program. It never changes: scripts know it.
pub(super) fn message_id(kind: Kind) -> String {
    let number = match kind {
        Kind::NotFound => 1,
        Kind::AlreadyExists => 2,
        Kind::InUse => 3,
        Kind::AlreadyShown => 4,
        Kind::NotShown => 5,
        Kind::NumberTaken => 6,
        Kind::ViewFull => 7,
        Kind::PortalTaken => 8,
        Kind::InSession => 9,
        Kind::NoSpace => 10,
        Kind::SizeNotSupported => 11,
        Kind::InvalidArgument => 12,
        Kind::NotSupported => 13,
        Kind::AccessDenied => 14,
        Kind::Timeout => 15,
        Kind::Unavailable => 16,
        Kind::Bug => 17,
        Kind::HasDependents => 18,
    };
    format!("SP{number}")
}

/// `ErrorCode` of a job: what the methods of SMI-S services return for the same (1 Not Supported,
/// 3 Timeout, 4 Failed, 5 Invalid Parameter, 6 In Use).
pub(super) fn error_code(kind: Kind) -> u16 {
    match kind {
        Kind::NotSupported => 1,
        Kind::Timeout => 3,
        Kind::InvalidArgument | Kind::SizeNotSupported => 5,
        Kind::InUse | Kind::InSession | Kind::HasDependents => 6,
        _ => 4,
    }
}

/// What `CIM_Error` says of a kind besides its sentence, by the numbers of that class.
pub(super) struct Cause {
    pub(super) error_type: u16,
    pub(super) probable: u16,
    pub(super) severity: u16,
}

/// `ErrorType` 4 Software, 7 Security, 8 Oversubscription, 9 Unavailable Resource, 10 Unsupported
/// Operation; `ProbableCause` 0 Unknown, 8 Configuration/Customization, 49 Software Program Error
/// (Incorrect Results), 50 Storage Capacity Problem, 57 Underlying Resource Unavailable,
/// 65 Unauthorized Access, 79 Identifier Duplication, 111 Timeout; severity 3 Degraded/Warning,
/// 5 Major, 6 Critical.
pub(super) fn cause(kind: Kind) -> Cause {
    let (error_type, probable, severity) = match kind {
        Kind::NotFound => (9, 57, 3),
        Kind::AlreadyExists => (4, 79, 3),
        Kind::InUse
        | Kind::AlreadyShown
        | Kind::NotShown
        | Kind::NumberTaken
        | Kind::PortalTaken
        | Kind::InSession
        | Kind::HasDependents => (9, 8, 3),
        Kind::ViewFull => (8, 8, 3),
        Kind::NoSpace => (8, 50, 5),
        Kind::SizeNotSupported | Kind::InvalidArgument => (4, 8, 3),
        Kind::NotSupported => (10, 0, 3),
        Kind::AccessDenied => (7, 65, 3),
        Kind::Timeout => (9, 111, 5),
        Kind::Unavailable => (9, 57, 5),
        Kind::Bug => (4, 49, 6),
    };
    Cause {
        error_type,
        probable,
        severity,
    }
}

impl From<Error> for CimError {
    fn from(error: Error) -> Self {
        Self::new(status(error.kind), error.message)
    }
}
