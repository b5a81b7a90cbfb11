//! Standpipe: stock Linux storage (LVM volumes, LIO targets) as an SMI-S block array.
//!
//! The rooms and the doors between them are described in `ARCHITECTURE.md`; `tests/tidy.rs`
//! holds the same table and fails on any other path between rooms.

pub mod array;
pub mod cim;
pub mod identity;
pub mod mof;
pub mod schema;
pub mod store;
