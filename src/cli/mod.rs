//! The command line: what was typed, and the wiring of rooms that it asks for.
//!
//! Standard output carries what a script reads (the `ready` line, findings, hashes), standard
//! error the log and complaints. Exit status 2 means a wrong command line or configuration,
//! 1 anything else that went wrong.

mod assemble;
mod check;
mod demo;
mod events;
mod machine;
mod populate;
mod run;
mod serve;
mod user;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

pub use demo::{Demo, DemoArray};
pub use serve::Serve;

/// How long the last blocking work may take after the server has stopped.
const RUNTIME_FAREWELL: Duration = Duration::from_secs(5);

/// Stock Linux storage (LVM volumes, LIO targets) as an SMI-S block array.
#[derive(Debug, Parser)]
#[command(name = "standpipe", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a simulated array.
    Demo(Demo),
    /// Serve this machine's storage.
    Serve(Serve),
    /// Say what the machine lacks for a configuration.
    Check(check::Check),
    /// Prepare users for the configuration.
    User(user::User),
}

/// Why a command failed: the sentence for standard error and the exit status.
#[derive(Debug)]
pub struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    /// The machine or the outside world is in the way.
    pub fn new(error: &dyn Error) -> Self {
        Self {
            status: 1,
            message: chain(error),
        }
    }

    /// The command line or the configuration is wrong.
    pub fn configuration(error: &dyn Error) -> Self {
        Self {
            status: 2,
            ..Self::new(error)
        }
    }

    /// A wrong command line, said in one sentence.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            status: 2,
            message: message.into(),
        }
    }

    /// The command did its work and the result is bad news, already told.
    fn told() -> Self {
        Self {
            status: 1,
            message: String::new(),
        }
    }
}

/// An error and everything behind it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Demo(demo) => in_runtime(demo.run(assemble::demo)),
        Command::Serve(serve) => in_runtime(serve.run(assemble::serve)),
        Command::Check(check) => check.run(),
        Command::User(user) => user.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { status, message }) => {
            if !message.is_empty() {
                let _nowhere_to_complain = writeln!(io::stderr(), "standpipe: {message}");
            }
            ExitCode::from(status)
        }
    }
}

/// Runs a server command: log to standard error, a runtime around the future.
///
/// `STANDPIPE_LOG` sets the log filter (`info` without it).
fn in_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("STANDPIPE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(&error))?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_timeout(RUNTIME_FAREWELL);
    outcome
}

/// Writes lines for the reader of standard output, at once.
fn tell(lines: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{lines}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn listen_urls_are_checked_on_the_command_line() {
        let parse = |url| Cli::try_parse_from(["standpipe", "demo", "--listen", url]);
        assert!(parse("http://127.0.0.1:0").is_ok());
        let refused = parse("ftp://127.0.0.1").expect_err("no scheme of ours");
        assert!(
            refused.to_string().contains("http:// or https://"),
            "{refused}"
        );
        assert_eq!(refused.exit_code(), 2);
    }

    #[test]
    fn a_failure_tells_the_whole_chain_in_one_line() {
        let missing = crate::config::Config::load(std::path::Path::new("/nonexistent"));
        let error = missing.map(|_| ()).expect_err("missing");
        let failure = Failure::configuration(&error);
        assert_eq!(failure.status, 2);
        assert!(
            failure.message.contains("/nonexistent: No such file"),
            "{}",
            failure.message
        );
    }
}
