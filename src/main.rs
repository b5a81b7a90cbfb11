//! The `standpipe` program: wiring only, everything else is in the library.

fn main() {}
