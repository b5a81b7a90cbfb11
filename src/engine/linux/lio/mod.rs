//! LIO, the kernel's SCSI target, through configfs.
//!
//! Everything that names a configfs path is here; LVM is known only by the UUIDs from which a

pub mod acl;
pub mod aptpl;
pub mod backstore;
pub mod chap;
pub mod configfs;
pub mod export;
pub mod fabric;
pub mod locks;
pub mod made;
pub mod read;
#[cfg(test)]
pub(super) mod recorded;
pub mod refit;
pub mod saveconfig;
pub mod session;
pub mod takeover;
pub mod target;
