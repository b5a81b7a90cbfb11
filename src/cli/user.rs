//! `standpipe user`: prepares users for the configuration.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};

use crate::identity::PasswordHash;

use super::{Failure, tell};

/// Longest password, in bytes.
const MAX_PASSWORD: u64 = 1024;

#[derive(Debug, Args)]
pub(super) struct User {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Read a password from standard input, print its hash for `password_hash`.
    Hash,
}

impl User {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            UserCommand::Hash => {
                let stdin = io::stdin();
                if stdin.is_terminal() {
                    let prompt = io::stderr().write_all(b"Password (it will be visible): ");
                    let _no_prompt_no_harm = prompt;
                }
                tell(&hash(stdin.lock())?)
            }
        }
    }
}

/// The hash of the password in the first line of `input`.
fn hash(input: impl io::BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input
        .take(MAX_PASSWORD + 2)
        .read_line(&mut line)
        .map_err(|error| Failure::new(&error))?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() || password.len() as u64 > MAX_PASSWORD {
        return Err(Failure::usage("the password has to have 1 to 1024 bytes"));
    }
    let hash = PasswordHash::of(password).map_err(|error| Failure::new(&error))?;
    Ok(hash.to_phc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_hashed_without_its_end() {
        for input in ["pass word\n", "pass word\r\nmore", "pass word"] {
            let text = hash(input.as_bytes()).expect("a password");
            assert!(text.starts_with("$argon2id$"), "{text}");
            assert!(PasswordHash::parse(&text).is_ok());
        }
        for input in ["", "\n", &"x".repeat(2000)] {
            assert_eq!(hash(input.as_bytes()).expect_err("refused").status, 2);
        }
    }
}
