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

impl From<Error> for CimError {
    fn from(error: Error) -> Self {
        Self::new(status(error.kind), error.message)
    }
}
