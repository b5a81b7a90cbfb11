//! Standpipe: stock Linux storage (LVM volumes, LIO targets) as an SMI-S block array.
//!
//! The rooms and the doors between them are described in `ARCHITECTURE.md`; `tests/tidy.rs`
//! holds the same table and fails on any other path between rooms.

pub mod array;
pub mod broker;
pub mod cim;
pub mod cimxml;
pub mod cli;
pub mod config;
pub mod engine;
pub mod http;
pub mod identity;
pub mod mof;
pub mod schema;
pub mod smis;
pub mod store;
