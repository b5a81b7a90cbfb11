//! Subjects become paths and instances, one by one, when somebody takes them.

use std::sync::{Arc, OnceLock};

use crate::cim::{Instance, ObjectPath};
use crate::schema::{ClassDecl, PropertyFilter};

use super::catalog::{RenderElement, RenderLink};
use super::model::{Snapshot, Subject};
use super::operation::{Form, Objects, PullKind, Selection, Stream};

/// Makes the objects of one listing from a snapshot.
pub(super) struct Renderer<S: Snapshot> {
    snapshot: S,
    /// `None` where paths alone are wanted.
    filter: Option<PropertyFilter>,
    elements: Vec<OnceLock<RenderElement<S>>>,
    links: Vec<OnceLock<RenderLink<S>>>,
}

impl<S: Snapshot> Renderer<S> {
    /// A renderer for objects of that form. Without `deep`, properties are those of `class`.
    pub(super) fn new(snapshot: S, form: &Form, class: Option<&'static ClassDecl>) -> Self {
        let catalog = S::catalog();
        let filter = match form {
            Form::Instances(selection) => Some(property_filter(selection, class)),
            Form::Paths => None,
        };
        // Instances of few kinds are made: what each kind needs is prepared when it is met.
        let (kinds, relations) = match filter {
            Some(_) => (catalog.kinds().len(), catalog.relations().len()),
            None => (0, 0),
        };
        Self {
            snapshot,
            filter,
            elements: std::iter::repeat_with(OnceLock::new).take(kinds).collect(),
            links: std::iter::repeat_with(OnceLock::new)
                .take(relations)
                .collect(),
        }
    }

    pub(super) fn kind(&self) -> PullKind {
        match self.filter {
            Some(_) => PullKind::Instances,
            None => PullKind::Paths,
        }
    }

    pub(super) fn path(&self, subject: &Subject<S>) -> ObjectPath {
        match subject {
            Subject::Element(id) => self.snapshot.path(id),
            Subject::Link(link) => link.path(&self.snapshot),
        }
    }

    pub(super) fn instance(&self, subject: &Subject<S>) -> (ObjectPath, Instance) {
        let everything = PropertyFilter::all();
        let filter = self.filter.as_ref().unwrap_or(&everything);
        match subject {
            Subject::Element(id) => {
                let (at, kind) = S::catalog().indexed_kind(S::tag(id));
                let (keys, instance) = match self.elements.get(at) {
                    Some(made) => made.get_or_init(|| kind.renderer(filter))(&self.snapshot, id),
                    None => kind.renderer(filter)(&self.snapshot, id),
                };
                (kind.path(keys), instance)
            }
            Subject::Link(link) => {
                let relation = link.relation;
                let keys = relation.keys(&self.snapshot, &link.ends);
                let instance = match self.links.get(relation.at) {
                    Some(made) => made.get_or_init(|| relation.renderer(filter))(
                        &self.snapshot,
                        &link.ends,
                        &keys,
                    ),
                    None => relation.renderer(filter)(&self.snapshot, &link.ends, &keys),
                };
                (relation.path(keys), instance)
            }
        }
    }

    /// The objects that the subjects are.
    pub(super) fn objects(self: Arc<Self>, subjects: Stream<Subject<S>>) -> Objects {
        match self.kind() {
            PullKind::Paths => Objects::Paths(Box::new(subjects.map(move |s| self.path(&s)))),
            _ => Objects::Instances(Box::new(subjects.map(move |s| self.instance(&s)))),
        }
    }
}

fn property_filter(selection: &Selection, class: Option<&'static ClassDecl>) -> PropertyFilter {
    let filter = match &selection.properties {
        None => PropertyFilter::all(),
        Some(names) => PropertyFilter::listed(names.iter().cloned()),
    };
    let filter = match class {
        Some(class) if !selection.deep => filter.within(class),
        _ => filter,
    };
    filter.with_class_origin(selection.class_origin)
}
