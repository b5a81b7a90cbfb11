//! The whole array over the modelled machine: what clients, hosts and administrators observe of
//! commands, jobs, crashes, lost and failing stores, and of changes past the array.

mod kills;
mod mortal;
mod rig;
