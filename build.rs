//! Compiles the class declarations below `mof/` into static tables and typed handles.
//!
//! The compiler is the library's own; a mistake in a MOF file fails the build with file, line and
//! a caret.

#[allow(dead_code, missing_docs, unreachable_pub, unused_imports)] // The library uses the rest.
#[path = "src/cim/mod.rs"]
mod cim;
#[path = "build/handles.rs"]
mod handles;
#[allow(dead_code, missing_docs, unreachable_pub, unused_imports)]
#[path = "src/mof/mod.rs"]
mod mof;
#[path = "build/tables.rs"]
mod tables;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

/// The file that includes all others.
const TOP: &str = "mof/schema.mof";

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=mof");
    for source in ["build.rs", "build", "src/cim", "src/mof"] {
        println!("cargo:rerun-if-changed={source}");
    }
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), String> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let compilation = mof::compile(TOP, &mut |name: &str| {
        fs::read_to_string(root.join(name)).map_err(|error| error.to_string())
    });
    if !compilation.problems.is_empty() {
        let problems = compilation.problems.iter();
        let shown: Vec<_> = problems
            .map(|p| mof::render(p, &compilation.sources))
            .collect();
        return Err(shown.join("\n\n"));
    }
    let schema = tables::Schema::new(&compilation)?;
    write(&out, "schema_tables.rs", &tables::generate(&schema))
        .and_then(|()| write(&out, "schema_handles.rs", &handles::generate(&schema)))
        .map_err(|error| format!("cannot write to {}: {error}", out.display()))
}

fn write(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::write(directory.join(name), text)
}
