//! The real engine: LVM volumes exported by the kernel's SCSI target.

pub mod lio;
pub mod lvm;
