//! Failures below, by what they mean to the array.

use std::io::ErrorKind;

use super::lio::configfs::ConfigfsError;
use super::lio::export::ExportError;
use super::lio::locks::LockError;
use super::lio::made::MadeError;
use super::lvm::group::LvmError;
use super::lvm::shell::ShellError;
use super::program::RunError;
use super::watch::TimedOut;
use crate::array::{Error, Kind};

impl From<TimedOut> for Error {
    fn from(error: TimedOut) -> Self {
        Self::timeout(format!("{error}; it may still be going on")).caused_by(error)
    }
}

impl From<LvmError> for Error {
    fn from(error: LvmError) -> Self {
        let (kind, message) = match &error {
            LvmError::Shell(ShellError::Start { program, .. }) => (
                Kind::Unavailable,
                format!("{program} cannot be started; is LVM installed?"),
            ),
            LvmError::Shell(ShellError::Refused { reason, .. }) => {
                (Kind::Unavailable, format!("LVM refused: {reason}"))
            }
            LvmError::Shell(ShellError::TimedOut { .. }) => (
                Kind::Timeout,
                "LVM did not answer in time; another program may hold its lock".into(),
            ),
            LvmError::Shell(ShellError::Died { .. }) => (
                Kind::Unavailable,
                "LVM ended unexpectedly; try again".into(),
            ),
            LvmError::TimedOut(late) => {
                (Kind::Timeout, format!("{late}; it may still be going on"))
            }
            LvmError::Configuration(_) => (
                Kind::Unavailable,
                "LVM's configuration cannot be prepared".into(),
            ),
            LvmError::Devices(_) => (Kind::Unavailable, error.to_string()),
            LvmError::NoGroup(_) => (
                Kind::NotFound,
                format!("{error}; create it, or correct the configuration"),
            ),
            LvmError::Odd(_) => (Kind::Unavailable, error.to_string()),
        };
        Self::new(kind, message).caused_by(error)
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        let (kind, message) = match error {
            RunError::Start(_) => (
                Kind::Unavailable,
                "dmsetup cannot be started; is device-mapper's package installed?",
            ),
            RunError::TimedOut => (
                Kind::Timeout,
                "device-mapper does not answer; look for a disk that hangs",
            ),
        };
        Self::new(kind, message).caused_by(error)
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        let kind = match error {
            LockError::Open { .. } => Kind::Unavailable,
            LockError::Busy { .. } => Kind::Timeout,
        };
        Self::new(kind, format!("{error}; try again later")).caused_by(error)
    }
}

impl From<ConfigfsError> for Error {
    fn from(error: ConfigfsError) -> Self {
        let (kind, message) = match error.kind() {
            ErrorKind::ResourceBusy => (
                Kind::InUse,
                "the volume is open elsewhere; close it there and try again",
            ),
            ErrorKind::PermissionDenied => (
                Kind::Unavailable,
                "the kernel target may not be changed; run as root",
            ),
            _ => (
                Kind::Unavailable,
                "the kernel target refused a change; see the log",
            ),
        };
        Self::new(kind, message).caused_by(error)
    }
}

impl From<MadeError> for Error {
    fn from(error: MadeError) -> Self {
        match error {
            MadeError::Configfs(error) => error.into(),
            MadeError::Foreign { .. } => {
                Self::already_exists(format!("{error}; give the target another name"))
            }
            MadeError::Portal { .. } => Self::in_use(format!(
                "{error}; another target or program may listen there, or at every address"
            ))
            .caused_by(error),
            MadeError::InSession { .. } => Self::in_session(format!("{error}; log it out first")),
            MadeError::Used { .. } => Self::in_use(format!("{error}; remove that first")),
        }
    }
}

impl From<ExportError> for Error {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Configfs(error) => error.into(),
            ExportError::ReadOnly { .. } => {
                Self::in_use(format!("{error}; let it be written to there, or remove it"))
                    .caused_by(error)
            }
            ExportError::NumberTaken { .. } => {
                Self::in_use(format!("{error}; choose another number")).caused_by(error)
            }
            ExportError::Mismatch { .. } => {
                Self::in_use(format!("{error}; remove it there first")).caused_by(error)
            }
            ExportError::Identifier { .. } => {
                Self::unavailable(format!("{error}; set the kernel's company id back"))
                    .caused_by(error)
            }
            ExportError::OthersAcl { .. } => Self::access_denied(format!(
                "{error}; give it the same there, or remove it"
            ))
            .caused_by(error),
            ExportError::OthersTarget { .. } => Self::access_denied(format!(
                "{error} in the place of ours; remove it, or delete ours here"
            ))
            .caused_by(error),
            ExportError::NoPort { module, .. } => Self::unavailable(format!(
                "{error}; load the module {module}, and see that the adapter is there and in target mode"
            ))
            .caused_by(error),
            ExportError::ShutOut { .. } => Self::access_denied(format!(
                "{error}; excuse it there (attrib/authentication = 0), or remove it"
            ))
            .caused_by(error),
            ExportError::NoExcuse { .. } => Self::not_supported(format!(
                "{error}; name it in a [[chap]] table of the configuration, or take Linux 6.0 or later"
            ))
            .caused_by(error),
        }
    }
}
