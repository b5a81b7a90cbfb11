//! LVM: the persistent shells, what they are told and what they answer.
//!
//! Everything that names or parses LVM is here; configfs is not known here.

pub mod group;
pub mod line;
pub mod names;
pub mod report;
pub mod roster;
pub mod shape;
pub mod shell;
pub mod system_dir;
pub mod tags;
