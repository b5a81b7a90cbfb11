//! What the broker asks of the things that it brokers: elements, relations, methods.
//!
//! A model says three things. Its [`Kind`]s: which elements there are, as instances of which
//! class, in which namespace. Its [`Relation`]s: which kinds are associated, declared once each.
//! And what its methods do. Every operation of DSP0200 follows from that; nothing here knows what
//! the elements are.

use std::fmt;
use std::future::Future;
use std::hash::Hash;

use crate::cim::{CimError, Instance, Keys, ObjectPath, Property};
use crate::identity::Identity;
use crate::schema::{Builder, ClassDecl, Key, MethodDecl, Outcome, PathBuilder};

use super::catalog::{Catalog, Link};
use super::invocation::Invocation;

/// A namespace: the name that answers carry, and other names that requests may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its name, without slashes at the ends.
    pub name: &'static str,
    /// Names that mean the same namespace in requests.
    pub aliases: &'static [&'static str],
}

/// One frozen view of everything. A request is answered from one snapshot, so that its answer is
/// consistent with itself. Cheap to clone, such as an `Arc`.
pub trait Snapshot: Clone + Send + Sync + 'static {
    /// An element: which kind and which one of it. It stays valid in later snapshots as long as
    /// the element exists.
    type Id: Clone + Eq + Ord + Hash + fmt::Debug + Send + Sync + 'static;

    /// The name of a kind, such as the variants of a field-less enum.
    type Tag: Copy + Eq + Hash + fmt::Debug + Send + Sync + 'static;

    /// The kinds and relations. Made once: `static C: LazyLock<Catalog<Self>>`.
    fn catalog() -> &'static Catalog<Self>;

    /// The kind that an element is of. Needs no look at the snapshot.
    fn tag(id: &Self::Id) -> Self::Tag;

    /// The path of an element, with its namespace and without a host.
    fn path(&self, id: &Self::Id) -> ObjectPath {
        Self::catalog().path(self, id)
    }

    /// The element that a path names; see [`Catalog::resolve`].
    fn resolve(&self, path: &ObjectPath) -> Result<Self::Id, CimError> {
        Self::catalog().resolve(self, path)
    }

    /// The element or association that a path names; see [`Catalog::locate`].
    fn locate(&self, path: &ObjectPath) -> Result<Subject<Self>, CimError> {
        Self::catalog().locate(self, path)
    }
}

/// Elements that are instances of one class `C` in one namespace. Several kinds may share a class.
pub struct Kind<S: Snapshot, C> {
    /// Its name in the program.
    pub tag: S::Tag,
    /// The class that its instances are created from; never an abstract one.
    pub class: C,
    /// Where its instances live.
    pub namespace: Namespace,
    /// All of them, always in the same order.
    pub list: fn(&S) -> Vec<S::Id>,
    /// The one with these keys, in O(log n). Looking at the telling keys is enough: the broker
    /// compares all of them with [`Kind::keys`] afterwards.
    pub find: fn(&S, &Keys) -> Option<S::Id>,
    /// Its key bindings, in the class's order.
    pub keys: fn(&S, &S::Id, PathBuilder<C>) -> PathBuilder<C>,
    /// Its properties other than the keys, which are set already. What is not set is left out of
    /// the instance.
    pub fill: fn(&S, &S::Id, Builder<C>) -> Builder<C>,
}

/// An association class `A` between some kinds and some others, in one namespace. Its ends may
/// live elsewhere. Several relations may share a class.
///
/// The first end should be the one with fewer elements: the instances are listed by stepping
/// from each element of the first end, and whether two elements are related is found out by one
/// step from the second.
pub struct Relation<S: Snapshot, A> {
    /// The association class.
    pub class: A,
    /// Where its instances live.
    pub namespace: Namespace,
    /// What it associates.
    pub ends: [End<S, A>; 2],
    /// Its properties other than the references, given both elements in the order of `ends`.
    pub fill: fn(&S, &S::Id, &S::Id, Builder<A>) -> Builder<A>,
}

/// One end of a relation of class `A`.
pub struct End<S: Snapshot, A> {
    /// The reference property.
    pub role: Key<A, ObjectPath>,
    /// The kinds that can stand here.
    pub kinds: &'static [S::Tag],
    /// From an element at this end to those at the other end: each once, all of kinds of the
    /// other end. Costs what it returns, whatever else exists.
    pub step: fn(&S, &S::Id) -> Vec<S::Id>,
}

/// An instance: an element, or the association of two.
pub enum Subject<S: Snapshot> {
    /// An instance of a kind.
    Element(S::Id),
    /// An instance of a relation.
    Link(Link<S>),
}

/// What a method is called on.
#[derive(Clone, Debug)]
pub enum Target<S: Snapshot> {
    /// An instance.
    Instance(Subject<S>),
    /// A class in a namespace: a static method.
    Class(&'static ClassDecl, Namespace),
}

/// What is brokered. Reading goes through snapshots; only changes wait.
///
/// A change that has started runs to its end even if the client hangs up.
pub trait Model: Send + Sync + 'static {
    /// The frozen view.
    type Snapshot: Snapshot;

    /// The present view. A change that was answered is in it.
    fn snapshot(&self) -> Self::Snapshot;

    /// Whether a method changes nothing, so that everyone may call it.
    fn reads_only(&self, _method: &'static MethodDecl) -> bool {
        false
    }

    /// Runs a method; [`Invocation::not_available`] where it is declared but not implemented.
    fn invoke(
        &self,
        who: &Identity,
        call: Invocation<Self::Snapshot>,
    ) -> impl Future<Output = Result<Outcome, CimError>> + Send;

    /// Creates an instance of a class in a namespace and returns its path. Every property is
    /// declared and of the declared type; references in it name their namespace.
    fn create(
        &self,
        _who: &Identity,
        _namespace: Namespace,
        class: &'static ClassDecl,
        _instance: Instance,
    ) -> impl Future<Output = Result<ObjectPath, CimError>> + Send {
        async move { Err(unsupported("created", class)) }
    }

    /// Gives an instance other property values; each property is declared, of the declared type,
    /// and no key.
    fn modify(
        &self,
        _who: &Identity,
        subject: Subject<Self::Snapshot>,
        _changes: Vec<Property>,
    ) -> impl Future<Output = Result<(), CimError>> + Send {
        async move { Err(unsupported("modified", subject.class())) }
    }

    /// Deletes an instance.
    fn delete(
        &self,
        _who: &Identity,
        subject: Subject<Self::Snapshot>,
    ) -> impl Future<Output = Result<(), CimError>> + Send {
        async move { Err(unsupported("deleted", subject.class())) }
    }
}

fn unsupported(what: &str, class: &ClassDecl) -> CimError {
    let class = class.name;
    CimError::not_supported(format!(
        "instances of {class} cannot be {what} by this operation"
    ))
}

impl<S: Snapshot> Subject<S> {
    /// The class that it was created from.
    pub fn class(&self) -> &'static ClassDecl {
        match self {
            Self::Element(id) => S::catalog().class(S::tag(id)),
            Self::Link(link) => link.class(),
        }
    }

    /// The element, unless this is an association.
    pub fn element(&self) -> Option<&S::Id> {
        match self {
            Self::Element(id) => Some(id),
            Self::Link(_) => None,
        }
    }
}

impl<S: Snapshot> Clone for Subject<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Element(id) => Self::Element(id.clone()),
            Self::Link(link) => Self::Link(link.clone()),
        }
    }
}

impl<S: Snapshot> PartialEq for Subject<S> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Element(a), Self::Element(b)) => a == b,
            (Self::Link(a), Self::Link(b)) => a == b,
            _ => false,
        }
    }
}

impl<S: Snapshot> fmt::Debug for Subject<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(id) => fmt::Debug::fmt(id, f),
            Self::Link(link) => fmt::Debug::fmt(link, f),
        }
    }
}
