//! What an initiator proves at login (CHAP, RFC 7143 §12.1): a name and a secret, and where it asks
//! for them, those of the array.
//!
//! Secrets come from the configuration and go to the engine. They are in no record, no inventory and
//! no sentence, and a [`Secret`] cannot be printed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use zeroize::Zeroizing;

use super::error::Error;
use super::ids::InitiatorName;

/// The initiators that have to prove who they are, and with what. All others need not.
pub type ChapTable = BTreeMap<InitiatorName, Chap>;

/// The credentials of one initiator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chap {
    /// What the initiator proves.
    pub initiator: Login,
    /// What the array proves to it, if it asks (mutual CHAP).
    pub array: Option<Login>,
}

/// A name and the secret that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name, which is sent in the clear (`CHAP_N`).
    pub user: ChapUser,
    /// The secret, which is never sent.
    pub secret: Secret,
}

/// A name at CHAP: 1 to 255 printable ASCII characters without blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChapUser(Box<str>);

impl ChapUser {
    /// Longest name, in characters: what the kernel's target holds.
    pub const MAX_LENGTH: usize = 255;

    /// Checks and takes a name. The kernel takes one that begins with `NULL` for none, and an
    /// initiator's `0x…` and `0b…` for an encoded number.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](super::Kind::InvalidArgument) with what would be right.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let folded = text.to_ascii_lowercase();
        let is_other =
            text.starts_with(NONE) || folded.starts_with("0x") || folded.starts_with("0b");
        if (1..=Self::MAX_LENGTH).contains(&text.len()) && is_plain(text) && !is_other {
            return Ok(Self(text.into()));
        }
        Err(Error::invalid(
            "write 1 to 255 printable ASCII characters without blanks that do not begin with NULL, \
             0x or 0b",
        ))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A secret: 12 to 255 printable ASCII characters without blanks. It cannot be printed, and is
/// overwritten in memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Lengths, in characters: at least the 96 bits that RFC 7143 §12.1.3 demands, at most what the
    /// kernel's target holds.
    pub const LENGTHS: RangeInclusive<usize> = 12..=255;

    /// Checks and takes a secret. The kernel takes one that begins with `NULL` for none.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](super::Kind::InvalidArgument) with what would be right, and nothing
    /// of the secret.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if Self::LENGTHS.contains(&text.len()) && is_plain(text) && !text.starts_with(NONE) {
            return Ok(Self(Zeroizing::new(text.to_owned())));
        }
        Err(Error::invalid(
            "write 12 to 255 printable ASCII characters without blanks that do not begin with NULL \
             (Windows takes 16 at most)",
        ))
    }

    /// The secret itself, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What the kernel's target takes for "no credentials".
const NONE: &str = "NULL";

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_bounds_and_are_never_shown() {
        for good in ["123456789012", &"x".repeat(255), "!\"#$%&'()*+,~"] {
            let secret = Secret::parse(good).expect(good);
            assert_eq!(secret.reveal(), good);
            assert!(!format!("{secret:?} {secret:#?}").contains(good));
        }
        for bad in [
            "",
            "12345678901",
            &"x".repeat(256),
            "12345678901 2",
            "12345678901ä",
            "12345678901\n2",
            "NULL45678901",
        ] {
            let error = Secret::parse(bad).expect_err(bad);
            let told = format!("{error} {error:?}");
            assert!(bad.is_empty() || !told.contains(bad), "{told}");
        }
    }

    #[test]
    fn names_are_what_initiators_can_send() {
        for good in [
            "a",
            "iqn.2026-01.example.host:a",
            "DOMAIN\\joe",
            &"x".repeat(255),
        ] {
            assert_eq!(ChapUser::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "a b",
            "ä",
            "NULL",
            "NULLify",
            "0x12",
            "0B12",
            &"x".repeat(256),
        ] {
            assert!(ChapUser::parse(bad).is_err(), "{bad}");
        }
    }
}
