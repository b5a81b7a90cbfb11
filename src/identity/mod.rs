//! Who a request is: user, role, peer.
//!
//! An [`Identity`] is a required argument of everything behind the listener and has no default:
//! a request without a verified credential never gets one. This room knows no HTTP beyond the
//! text of a Basic credential, no CIM and no storage.

mod password;
mod throttle;
mod users;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

pub use password::{PasswordHash, PasswordHashError};
pub use users::{Credential, Refusal, User, Users, UsersError};

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads everything, changes nothing.
    Monitor,
    /// Reads and changes.
    Administrator,
}

impl Role {
    /// Both roles.
    pub const ALL: [Self; 2] = [Self::Monitor, Self::Administrator];

    /// The word for it in the configuration and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Administrator => "administrator",
        }
    }

    /// The role of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether this role may change anything.
    pub const fn may_change(self) -> bool {
        matches!(self, Self::Administrator)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A verified user at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name as it is configured.
    pub user: Arc<str>,
    /// What the user may do.
    pub role: Role,
    /// Where the request came from.
    pub peer: SocketAddr,
}

impl fmt::Display for Identity {
    /// The form for audit lines: `name (role) from address:port`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) from {}", self.user, self.role, self.peer)
    }
}
