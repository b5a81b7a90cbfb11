//! The `standpipe` program: wiring only, everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    standpipe::cli::main()
}
