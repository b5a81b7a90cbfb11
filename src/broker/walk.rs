//! From a class to its instances, from an instance to what is associated with it.
//!
//! Filters choose among the declared relations before any step is taken; what follows is lazy and
//! costs what it returns.

use std::collections::HashSet;

use crate::schema::ClassDecl;

use super::catalog::{AnyRelation, Catalog, Link};
use super::model::{Namespace, Snapshot, Subject};
use super::operation::Stream;

/// Which relations a walk takes, and what it may end at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filters<'a> {
    /// Only relations of this class or one below it.
    pub(super) association: Option<&'static ClassDecl>,
    /// Only other ends of this class or one below it.
    pub(super) result: Option<&'static ClassDecl>,
    /// Only where the source is in this role.
    pub(super) role: Option<&'a str>,
    /// Only where the other end is in this role.
    pub(super) result_role: Option<&'a str>,
}

/// A relation, and the end of it at which the source stands.
struct Route<S: Snapshot> {
    relation: &'static AnyRelation<S>,
    from: usize,
    /// Whether the walk takes the relation from its first end too.
    again: bool,
}

impl<S: Snapshot> Clone for Route<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Snapshot> Copy for Route<S> {}

impl<S: Snapshot> Route<S> {
    /// The associations of `source` along this route.
    fn links(self, snapshot: &S, source: S::Id) -> impl Iterator<Item = Link<S>> + Send + use<S> {
        let Self {
            relation,
            from,
            again,
        } = self;
        let others = (relation.ends[from].step)(snapshot, &source);
        // An element that is associated with itself is met from both ends: once is enough.
        let again = again.then(|| source.clone());
        let others = others
            .into_iter()
            .filter(move |other| again.as_ref() != Some(other));
        others.map(move |other| Link {
            relation,
            ends: match from {
                0 => [source.clone(), other],
                _ => [other, source.clone()],
            },
        })
    }

    /// The elements at the other end.
    fn others(self, snapshot: &S, source: &S::Id) -> Vec<S::Id> {
        (self.relation.ends[self.from].step)(snapshot, source)
    }
}

impl<S: Snapshot> Catalog<S> {
    /// Every instance of a class, or of one below it, in a namespace.
    pub(super) fn instances(
        &'static self,
        snapshot: &S,
        class: &'static ClassDecl,
        namespace: Namespace,
    ) -> Stream<Subject<S>> {
        let chosen = move |c: &ClassDecl, n: Namespace| n == namespace && c.is_subclass_of(class);
        let kinds = self
            .kinds()
            .iter()
            .filter(move |k| chosen(k.class, k.namespace));
        let relations = self.relations().iter();
        let relations = relations.filter(move |r| chosen(r.class, r.namespace));
        let (for_elements, for_links) = (snapshot.clone(), snapshot.clone());
        let elements = kinds.flat_map(move |kind| (kind.list)(&for_elements));
        let links = relations.flat_map(move |relation| self.all_links(&for_links, relation));
        Box::new(
            elements
                .map(Subject::Element)
                .chain(links.map(Subject::Link)),
        )
    }

    /// Every association of a relation: each element of the first end, one step from each.
    fn all_links(
        &'static self,
        snapshot: &S,
        relation: &'static AnyRelation<S>,
    ) -> impl Iterator<Item = Link<S>> + Send + use<S> {
        let first = &relation.ends[0];
        let snapshot = snapshot.clone();
        let listed = snapshot.clone();
        let sources = first
            .kinds
            .iter()
            .flat_map(move |&tag| (self.kind_of(tag).list)(&listed));
        sources.flat_map(move |source| {
            let others = (first.step)(&snapshot, &source);
            others.into_iter().map(move |other| Link {
                relation,
                ends: [source.clone(), other],
            })
        })
    }

    /// The routes from elements of a kind that the filters leave.
    fn routes(&'static self, tag: S::Tag, filters: Filters<'_>) -> Vec<Route<S>> {
        let named = |wanted: Option<&str>, role: &str| {
            wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(role))
        };
        let chosen = |&(relation, from): &(&AnyRelation<S>, usize)| {
            let (here, there) = (&relation.ends[from], &relation.ends[1 - from]);
            named(filters.role, here.role)
                && named(filters.result_role, there.role)
                && within(filters.association, relation.class)
                && there
                    .kinds
                    .iter()
                    .any(|&t| within(filters.result, self.class(t)))
        };
        let chosen: Vec<_> = self.ends(tag).filter(chosen).collect();
        let first = |relation: &AnyRelation<S>| {
            let mut firsts = chosen.iter().filter(|(_, from)| *from == 0);
            firsts.any(|(other, _)| std::ptr::eq(*other, relation))
        };
        chosen
            .iter()
            .map(|&(relation, from)| Route {
                relation,
                from,
                again: from == 1 && first(relation),
            })
            .collect()
    }

    /// The associations of an element.
    pub(super) fn references(
        &'static self,
        snapshot: &S,
        source: &S::Id,
        filters: Filters<'_>,
    ) -> Stream<Subject<S>> {
        let routes = self.routes(S::tag(source), filters);
        let (snapshot, source) = (snapshot.clone(), source.clone());
        let links = routes
            .into_iter()
            .flat_map(move |route| route.links(&snapshot, source.clone()));
        Box::new(links.map(Subject::Link))
    }

    /// The elements associated with an element, each once.
    pub(super) fn associators(
        &'static self,
        snapshot: &S,
        source: &S::Id,
        filters: Filters<'_>,
    ) -> Stream<Subject<S>> {
        let routes = self.routes(S::tag(source), filters);
        let several = routes.len() > 1;
        let result = filters.result;
        let (snapshot, source) = (snapshot.clone(), source.clone());
        let mut met = HashSet::new();
        let others = routes
            .into_iter()
            .flat_map(move |route| route.others(&snapshot, &source))
            .filter(move |other| within(result, self.class(S::tag(other))))
            .filter(move |other| !several || met.insert(other.clone()));
        Box::new(others.map(Subject::Element))
    }
}

/// Whether a class passes a filter.
fn within(wanted: Option<&'static ClassDecl>, class: &ClassDecl) -> bool {
    wanted.is_none_or(|wanted| class.is_subclass_of(wanted))
}
