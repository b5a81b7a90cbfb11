//! What is wrong with a model: contradictions that no operation would tell.
//!
//! For the tests of a model. Nothing here runs while requests are answered.

use std::collections::HashSet;

use crate::cim::{Keys, Name, Type};
use crate::schema::{self, ClassDecl, PropertyFilter};

use super::catalog::{AnyEnd, AnyKind, AnyRelation, Catalog};
use super::model::Snapshot;

impl<S: Snapshot> Catalog<S> {
    /// Contradictions in the tables; empty if all is well.
    pub fn faults(&'static self) -> Vec<String> {
        let mut faults = Vec::new();
        for (at, kind) in self.kinds().iter().enumerate() {
            if self.index_of(kind.tag) != Some(at) {
                faults.push(format!("two kinds are called {:?}", kind.tag));
            }
            self.check_class(kind.class, kind.namespace.name, false, &mut faults);
        }
        for relation in self.relations() {
            let class = relation.class;
            self.check_class(class, relation.namespace.name, true, &mut faults);
            if relation.ends[0].role == relation.ends[1].role {
                faults.push(format!(
                    "both ends of a {} are {}",
                    class.name, relation.ends[0].role
                ));
            }
            for end in &relation.ends {
                self.check_end(class, end, &mut faults);
            }
            for &name in &relation.further_keys {
                let key = class.property(name);
                if key.is_none_or(|key| key.shape.ty != Type::String) {
                    faults.push(format!("{}.{name} is a key and no text", class.name));
                }
            }
        }
        faults
    }

    fn check_class(
        &self,
        class: &ClassDecl,
        namespace: &str,
        association: bool,
        faults: &mut Vec<String>,
    ) {
        if class.is_abstract {
            faults.push(format!("{} is abstract", class.name));
        }
        if class.is_association != association {
            faults.push(format!(
                "{} is a relation or a kind, whichever it is not",
                class.name
            ));
        }
        if !self
            .namespaces()
            .iter()
            .any(|known| known.name == namespace)
        {
            faults.push(format!(
                "{} lives in {namespace}, which is not there",
                class.name
            ));
        }
    }

    fn check_end(&self, class: &ClassDecl, end: &AnyEnd<S>, faults: &mut Vec<String>) {
        let wanted = class
            .property(end.role)
            .and_then(|p| p.shape.reference_class);
        let wanted = wanted.and_then(schema::class);
        for &tag in end.kinds {
            let Some(kind) = self.index_of(tag).and_then(|at| self.kinds().get(at)) else {
                faults.push(format!(
                    "{}.{} names {tag:?}, which is no kind",
                    class.name, end.role
                ));
                continue;
            };
            if !wanted.is_some_and(|wanted| kind.class.is_subclass_of(wanted)) {
                faults.push(format!(
                    "{}.{} cannot refer to a {}",
                    class.name, end.role, kind.class.name
                ));
            }
        }
    }

    /// Contradictions in what a snapshot says; empty if all is well. Looks at everything.
    pub fn faults_in(&'static self, snapshot: &S) -> Vec<String> {
        let mut faults = Vec::new();
        for kind in self.kinds() {
            let mut met = HashSet::new();
            for id in (kind.list)(snapshot) {
                if S::tag(&id) != kind.tag {
                    faults.push(format!("{:?} lists {id:?}", kind.tag));
                    continue;
                }
                if !met.insert(id.clone()) {
                    faults.push(format!("{id:?} is listed twice"));
                }
                self.check_element(snapshot, kind, &id, &mut faults);
            }
        }
        for relation in self.relations() {
            for from in [0, 1] {
                self.check_steps(snapshot, relation, from, &mut faults);
            }
        }
        faults
    }

    fn check_element(
        &'static self,
        snapshot: &S,
        kind: &AnyKind<S>,
        id: &S::Id,
        faults: &mut Vec<String>,
    ) {
        let (keys, _) = kind.renderer(&PropertyFilter::all())(snapshot, id);
        let declared: Vec<_> = kind.class.keys().map(|key| key.name).collect();
        let bound: Vec<_> = keys.iter().map(|(name, _)| name.as_str()).collect();
        if !same_names(&declared, &keys) {
            faults.push(format!(
                "{id:?} has the keys {bound:?}, declared are {declared:?}"
            ));
        }
        let class = keys.text("CreationClassName");
        if class.is_some_and(|class| class != kind.class.name) {
            faults.push(format!(
                "{id:?} says that it is a {}",
                class.unwrap_or_default()
            ));
        }
        match self.resolve(snapshot, &snapshot.path(id)) {
            Ok(found) if found == *id => {}
            other => faults.push(format!("the path of {id:?} leads to {other:?}")),
        }
    }

    /// Checks that every step leads to a fitting element, and back.
    fn check_steps(
        &'static self,
        snapshot: &S,
        relation: &AnyRelation<S>,
        from: usize,
        faults: &mut Vec<String>,
    ) {
        let (here, there) = (&relation.ends[from], &relation.ends[1 - from]);
        let sources = here.kinds.iter();
        for source in sources.flat_map(|&tag| (self.kind_of(tag).list)(snapshot)) {
            let what = format!("{}, from {} {source:?}", relation.class.name, here.role);
            let mut met = HashSet::new();
            for other in (here.step)(snapshot, &source) {
                if !there.kinds.contains(&S::tag(&other)) {
                    faults.push(format!("{what}: {other:?} is of no kind at the other end"));
                    continue;
                }
                if self.resolve(snapshot, &snapshot.path(&other)) != Ok(other.clone()) {
                    faults.push(format!("{what}: {other:?} is not there"));
                } else if !(there.step)(snapshot, &other).contains(&source) {
                    faults.push(format!("{what}: no way back from {other:?}"));
                }
                if !met.insert(other.clone()) {
                    faults.push(format!("{what}: {other:?} is met twice"));
                }
            }
        }
    }
}

fn same_names(declared: &[&'static str], keys: &Keys) -> bool {
    let named = |(name, _): (&Name, _)| declared.iter().any(|key| *name == **key);
    keys.len() == declared.len() && keys.iter().all(named)
}
