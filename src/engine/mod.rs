//! The storage engines: each does what `array` asks for on one kind of storage.

pub mod linux;
