//! The CIM object manager: every operation of DSP0200 over a generic [`Model`].
//!
//! A model declares kinds of elements and relations between them, once each; instances, paths,
//! associations with all their filters, pull sessions, class operations and method calls follow
//! from that here. This room knows no XML, no HTTP, no profile and no storage.

#[allow(clippy::module_inception)]
mod broker;
mod catalog;
mod change;
mod classes;
mod faults;
mod invocation;
mod listing;
mod model;
mod operation;
mod pull;
mod walk;

pub use broker::Broker;
pub use catalog::{Catalog, Link};
pub use invocation::Invocation;
pub use model::{End, Kind, Model, Namespace, Relation, Snapshot, Subject, Target};
pub use operation::{
    ClassSelection, Form, Objects, Operation, PullKind, Reply, Selection, SessionTerms, Source,
    Stream, Untyped,
};
pub use pull::PullLimits;

#[cfg(test)]
pub(crate) mod tests;
