//! The real engine: LVM volumes exported by the kernel's SCSI target.

pub mod blockdev;
pub mod lio;
pub mod lvm;
pub mod nics;
pub mod watch;
