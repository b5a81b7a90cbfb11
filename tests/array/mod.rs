//! The whole array over the modelled machine: what clients, hosts and administrators observe of
//! commands, jobs, crashes, lost and failing stores, and of changes past the array.

mod crowd;
mod drift;
mod equipped;
mod erased;
mod fc;
mod gate;
mod jobs;
mod kills;
mod leftovers;
mod life;
mod mortal;
mod moves;
mod numbers;
mod outside;
mod relocated;
mod replicas;
mod replicated;
mod rig;
mod setbacks;
mod targets;
mod together;
