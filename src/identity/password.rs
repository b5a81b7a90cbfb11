//! Password hashes: argon2 in PHC string form.

use std::fmt;

use argon2::password_hash::phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};

/// Largest memory cost that is accepted in a configured hash, in KiB.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Largest number of passes that is accepted in a configured hash.
const MAX_PASSES: u32 = 64;

/// A checked argon2 hash. Never shown: `Debug` hides it.
#[derive(Clone)]
pub struct PasswordHash(phc::PasswordHash);

/// Why a text is no usable password hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// Not a PHC string.
    #[error("it is no PHC string such as $argon2id$v=19$…")]
    Malformed,
    /// A PHC string of another algorithm, or without salt or hash.
    #[error("it is no complete argon2 hash")]
    NotArgon2,
    /// Costs so high that a login would exhaust the machine.
    #[error("its costs are above 1 GiB of memory or 64 passes")]
    TooCostly,
    /// The password cannot be hashed.
    #[error("the password cannot be hashed")]
    Unhashable,
}

impl PasswordHash {
    /// Reads a PHC string and checks that it is a complete argon2 hash of bearable cost.
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::Malformed)?;
        let argon2 = matches!(hash.algorithm.as_str(), "argon2id" | "argon2i" | "argon2d");
        if !argon2 || hash.salt.is_none() || hash.hash.is_none() {
            return Err(PasswordHashError::NotArgon2);
        }
        let costs = Params::try_from(&hash).map_err(|_| PasswordHashError::NotArgon2)?;
        if costs.m_cost() > MAX_MEMORY_KIB || costs.t_cost() > MAX_PASSES {
            return Err(PasswordHashError::TooCostly);
        }
        Ok(Self(hash))
    }

    /// Hashes a password with a fresh salt and today's recommended costs.
    pub fn of(password: &str) -> Result<Self, PasswordHashError> {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(Self)
            .map_err(|_| PasswordHashError::Unhashable)
    }

    /// The PHC string, for the configuration file.
    pub fn to_phc(&self) -> String {
        self.0.to_string()
    }

    /// Whether this is the hash of `password`. Takes tens of milliseconds and megabytes.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        Argon2::default().verify_password(password, &self.0).is_ok()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_its_text_form_and_knows_its_password() {
        let text = PasswordHash::of("crème brûlée").expect("hashable").to_phc();
        let hash = PasswordHash::parse(&text).expect("own output");
        assert!(hash.matches("crème brûlée".as_bytes()));
        assert!(!hash.matches(b"creme brulee"));
        assert!(!format!("{hash:?}").contains("argon2"));
    }

    #[test]
    fn unusable_hashes_say_why() {
        let salted = "$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
        for (text, why) in [
            ("secret".to_owned(), PasswordHashError::Malformed),
            ("$argon2id$v=19".to_owned(), PasswordHashError::NotArgon2),
            (format!("$scrypt${salted}"), PasswordHashError::Malformed),
            (
                format!("$argon2id$v=19$m=4000000,t=2,p=1{salted}"),
                PasswordHashError::TooCostly,
            ),
        ] {
            assert_eq!(PasswordHash::parse(&text).err(), Some(why), "{text}");
        }
    }
}
