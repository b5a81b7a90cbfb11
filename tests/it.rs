//! The integration tests: one binary, one module per layer.

#![allow(
    unreachable_pub,
    reason = "nothing of a test binary is reachable; `pub` marks what a layer shares"
)]

#[path = "array/mod.rs"]
mod array;
#[path = "contract/mod.rs"]
mod contract;

#[path = "vm/rig.rs"]
mod vm;
#[path = "wire/mod.rs"]
mod wire;
