//! The SMI-S block book: how the inventory looks as CIM instances, how CIM methods become commands.
//!
//! One file per profile says what its instances hold; `catalog` and `relations` are the tables that
//! the broker works from; `methods` turns calls into commands of the array. Nothing here runs a
//! command or reads a device.

mod access;
mod calls;
mod capabilities;
mod catalog;
mod controllers;
mod disks;
mod element;
mod extents;
mod fc;
mod health;
mod jobs;
mod keys;
mod masking;
mod methods;
mod outcome;
mod physical;
mod pools;
mod ports;
mod registration;
mod relations;
mod replicas;
mod replication;
mod replication_groups;
mod server;
mod services;
mod sessions;
mod settings;
mod software;
mod status;
mod system;
mod view;
mod volumes;

pub use element::{Element, Program, Scope, Tag};
pub use methods::Gateway;
pub use view::{Machine, Server, View};

use crate::broker::Namespace;

/// Where the profiles and the object manager live.
const INTEROP: Namespace = Namespace {
    name: "interop",
    aliases: &["root/interop"],
};
/// Where the array lives.
const ARRAY: Namespace = Namespace {
    name: "root/standpipe",
    aliases: &[],
};
/// All namespaces.
static NAMESPACES: [Namespace; 2] = [INTEROP, ARRAY];
