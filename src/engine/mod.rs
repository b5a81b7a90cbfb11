//! The storage engines: each does what `array` asks for on one kind of storage.
//!
//! Nothing here knows of clients, groups or jobs; an engine takes steps and reports facts.

pub mod linux;
pub mod sim;
