//! The integration tests: one binary, one module per layer.

#![allow(
    unreachable_pub,
    reason = "nothing of a test binary is reachable; `pub` marks what a layer shares"
)]

#[path = "contract/mod.rs"]
mod contract;
