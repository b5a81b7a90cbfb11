//! The tables of a model, with the indexes that operations look things up in.

use std::collections::HashMap;

use crate::cim::{CimError, Keys, Name, ObjectPath, Text, Type, Value};
use crate::schema::{self, ClassDecl};

use super::model::{Kind, Namespace, Relation, Snapshot, Subject};

/// The namespaces, kinds and relations of a model, indexed by class and by kind.
pub struct Catalog<S: Snapshot> {
    namespaces: &'static [Namespace],
    kinds: &'static [Kind<S>],
    relations: &'static [Relation<S>],
    by_tag: HashMap<S::Tag, Place<S>>,
    kinds_by_class: HashMap<&'static str, Vec<&'static Kind<S>>>,
    relations_by_class: HashMap<&'static str, Vec<&'static Relation<S>>>,
}

/// A kind, and where it stands in relations: at which end of which.
struct Place<S: Snapshot> {
    kind: &'static Kind<S>,
    ends: Vec<(&'static Relation<S>, usize)>,
}

impl<S: Snapshot> Catalog<S> {
    /// Indexes the tables. [`Catalog::faults`] tells what is wrong with them.
    pub fn new(
        namespaces: &'static [Namespace],
        kinds: &'static [Kind<S>],
        relations: &'static [Relation<S>],
    ) -> Self {
        let mut by_tag = HashMap::new();
        let mut kinds_by_class: HashMap<_, Vec<_>> = HashMap::new();
        let mut relations_by_class: HashMap<_, Vec<_>> = HashMap::new();
        for kind in kinds {
            let ends = ends_of(relations, kind.tag);
            by_tag.entry(kind.tag).or_insert(Place { kind, ends });
            let same_class = kinds_by_class.entry(kind.class.name);
            same_class.or_default().push(kind);
        }
        for relation in relations {
            let same_class = relations_by_class.entry(relation.class.name);
            same_class.or_default().push(relation);
        }
        Self {
            namespaces,
            kinds,
            relations,
            by_tag,
            kinds_by_class,
            relations_by_class,
        }
    }

    /// The namespaces.
    pub fn namespaces(&self) -> &'static [Namespace] {
        self.namespaces
    }

    /// The kinds in their order.
    pub fn kinds(&self) -> &'static [Kind<S>] {
        self.kinds
    }

    /// The relations in their order.
    pub fn relations(&self) -> &'static [Relation<S>] {
        self.relations
    }

    /// The kind of that name. Every tag has one: see [`Catalog::faults`].
    pub fn kind(&self, tag: S::Tag) -> &'static Kind<S> {
        self.place(tag).kind
    }

    fn place(&self, tag: S::Tag) -> &Place<S> {
        let place = self.by_tag.get(&tag);
        place.expect("every tag has a kind: Catalog::faults")
    }

    /// The relations that a kind takes part in, each with the end at which it stands.
    pub(super) fn ends(&self, tag: S::Tag) -> &[(&'static Relation<S>, usize)] {
        &self.place(tag).ends
    }

    /// The namespace of that name or alias, in any case, with or without slashes around it.
    pub fn namespace(&self, name: &str) -> Result<Namespace, CimError> {
        let wanted = name.trim_matches('/');
        let named = |known: &str| known.eq_ignore_ascii_case(wanted);
        self.namespaces
            .iter()
            .find(|n| named(n.name) || n.aliases.iter().any(|alias| named(alias)))
            .copied()
            .ok_or_else(|| CimError::invalid_namespace(format!("there is no namespace {name}")))
    }

    /// The path of an element, with its namespace and without a host.
    pub fn path(&self, snapshot: &S, id: &S::Id) -> ObjectPath {
        let kind = self.kind(S::tag(id));
        ObjectPath::instance(
            Name::from_static(kind.class.name),
            (kind.keys)(snapshot, id),
        )
        .in_namespace(Name::from_static(kind.namespace.name))
    }

    /// A path as answers would spell it: the namespace by its proper name, or `default` where the
    /// path says none, in the references among its keys too. Unknown namespaces stay as they are.
    pub fn canonical(&self, path: &ObjectPath, default: Namespace) -> ObjectPath {
        let namespace = match &path.namespace {
            None => Name::from_static(default.name),
            Some(name) => match self.namespace(name.as_str()) {
                Ok(known) => Name::from_static(known.name),
                Err(_) => name.clone(),
            },
        };
        let keys = path.keys.as_ref().map(|keys| {
            let inner = self.namespace(namespace.as_str()).unwrap_or(default);
            self.canonical_keys(schema::class(path.class.as_str()), keys, inner)
        });
        ObjectPath {
            host: None,
            namespace: Some(namespace),
            class: path.class.clone(),
            keys,
        }
    }

    fn canonical_keys(
        &self,
        class: Option<&'static ClassDecl>,
        keys: &Keys,
        namespace: Namespace,
    ) -> Keys {
        let declared = |name: &Name| {
            let mut properties = class?.properties.iter().filter(|p| p.key);
            match name.as_str() {
                // A single key may come without a name (DSP0201 KEYVALUE in INSTANCENAME).
                "" => properties.next(),
                given => properties.find(|p| p.name.eq_ignore_ascii_case(given)),
            }
        };
        let canonical = keys.iter().map(|(name, value)| {
            let property = declared(name);
            let name = property.map_or_else(|| name.clone(), |p| Name::from_static(p.name));
            let value = match (value, property.map(|p| p.ty)) {
                (Value::Reference(path), _) => self.canonical(path, namespace).into(),
                (Value::String(text), Some(ty)) => retyped(text, ty),
                _ => value.clone(),
            };
            (name, value)
        });
        canonical.collect()
    }

    /// The path of an association: its keys are the references, in the class's order.
    pub(super) fn link_path(
        &self,
        snapshot: &S,
        relation: &'static Relation<S>,
        ends: [&S::Id; 2],
    ) -> ObjectPath {
        let mut keys = Keys::new();
        for (end, id) in relation.ends.iter().zip(ends) {
            let role = Name::from_static(end.role);
            let _roles_differ = keys.insert(role, self.path(snapshot, id));
        }
        ObjectPath::instance(Name::from_static(relation.class.name), keys)
            .in_namespace(Name::from_static(relation.namespace.name))
    }

    /// The element that a path names. The path has a namespace and its class is the creation
    /// class, not a superclass of it; key names and the class compare without regard to case.
    ///
    /// Refused with 3 (no such namespace), 4 (no instance path), 5 (no such class) or 6.
    pub fn resolve(&self, snapshot: &S, path: &ObjectPath) -> Result<S::Id, CimError> {
        match self.locate(snapshot, path)? {
            Subject::Element(id) => Ok(id),
            Subject::Link(..) => Err(not_found(path)),
        }
    }

    /// The element or association that a path names; refusals as in [`Catalog::resolve`].
    pub fn locate(&self, snapshot: &S, path: &ObjectPath) -> Result<Subject<S>, CimError> {
        let namespace = path.namespace.as_ref().map_or("", Name::as_str);
        let namespace = self.namespace(namespace)?;
        let class = schema::class(path.class.as_str())
            .ok_or_else(|| CimError::invalid_class(format!("there is no class {}", path.class)))?;
        let keys = path.keys.as_ref().ok_or_else(|| {
            CimError::invalid_parameter(format!("{path} is not the path of an instance"))
        })?;
        let keys = self.canonical_keys(Some(class), keys, namespace);
        let element = || self.element(snapshot, namespace, class, &keys);
        let link = || self.link(snapshot, namespace, class, &keys);
        element().or_else(link).ok_or_else(|| not_found(path))
    }

    fn element(
        &self,
        snapshot: &S,
        namespace: Namespace,
        class: &ClassDecl,
        keys: &Keys,
    ) -> Option<Subject<S>> {
        let kinds = self.kinds_by_class.get(class.name)?;
        kinds.iter().find_map(|kind| {
            let id = (kind.namespace == namespace).then(|| (kind.find)(snapshot, keys))??;
            ((kind.keys)(snapshot, &id) == *keys).then_some(Subject::Element(id))
        })
    }

    fn link(
        &self,
        snapshot: &S,
        namespace: Namespace,
        class: &ClassDecl,
        keys: &Keys,
    ) -> Option<Subject<S>> {
        let relations = self.relations_by_class.get(class.name)?;
        if keys.len() != 2 {
            return None;
        }
        relations.iter().find_map(|relation| {
            if relation.namespace != namespace {
                return None;
            }
            let end = |at: usize| {
                let end = &relation.ends[at];
                let id = self
                    .resolve(snapshot, keys.find(end.role)?.as_reference()?)
                    .ok()?;
                end.kinds.contains(&S::tag(&id)).then_some(id)
            };
            let (first, second) = (end(0)?, end(1)?);
            let related = (relation.ends[1].step)(snapshot, &second).contains(&first);
            related.then_some(Subject::Link(relation, first, second))
        })
    }
}

/// A key that came as a string although it is declared as something else: clients often leave
/// the type of a key away.
fn retyped(text: &Text, ty: Type) -> Value {
    let other = match ty {
        Type::DateTime => text.parse().ok().map(Value::DateTime),
        Type::Boolean if text.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
        Type::Boolean if text.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
        ty if ty.is_integer() => text.parse().ok().and_then(|n| Value::integer(ty, n)),
        _ => None,
    };
    other.unwrap_or_else(|| Value::String(text.clone()))
}

fn not_found(path: &ObjectPath) -> CimError {
    CimError::not_found(format!("there is no instance {path}"))
}

fn ends_of<S: Snapshot>(
    relations: &'static [Relation<S>],
    tag: S::Tag,
) -> Vec<(&'static Relation<S>, usize)> {
    let ends = relations.iter().flat_map(|r| [(r, 0), (r, 1)]);
    ends.filter(|(r, end)| r.ends[*end].kinds.contains(&tag))
        .collect()
}
