//! The kinds and relations of a model, with the indexes that operations look things up in.

use std::collections::HashMap;
use std::fmt;

use crate::cim::{CimError, Instance, Keys, Name, ObjectPath, Text, Type, Value};
use crate::schema::{self, Builder, ClassDecl, PathBuilder, PropertyFilter, TypedClass};

use super::model::{Kind, Namespace, Relation, Snapshot, Subject};

/// Everything that a model declares.
///
/// ```text
/// static CATALOG: LazyLock<Catalog<Shelf>> = LazyLock::new(|| {
///     Catalog::new(&[INTEROP, ARRAY])
///         .kind(Kind { tag: Tag::Volume, class: Standpipe_StorageVolume, … })
///         .relation(Relation { class: CIM_SystemDevice, … })
/// });
/// ```
pub struct Catalog<S: Snapshot> {
    namespaces: &'static [Namespace],
    kinds: Vec<AnyKind<S>>,
    relations: Vec<AnyRelation<S>>,
    by_tag: HashMap<S::Tag, usize>,
    /// Where a kind stands: which relation, which end.
    ends: HashMap<S::Tag, Vec<(usize, usize)>>,
    kinds_by_class: HashMap<&'static str, Vec<usize>>,
    relations_by_class: HashMap<&'static str, Vec<usize>>,
}

/// Makes the keys and the instance of an element, with the properties that a request asks for.
pub(super) type RenderElement<S> =
    Box<dyn Fn(&S, &<S as Snapshot>::Id) -> (Keys, Instance) + Send + Sync>;

/// Makes the instance of an association that has those keys.
pub(super) type RenderLink<S> =
    Box<dyn Fn(&S, &[<S as Snapshot>::Id; 2], &Keys) -> Instance + Send + Sync>;

/// A kind of any class.
pub(super) struct AnyKind<S: Snapshot> {
    pub(super) tag: S::Tag,
    pub(super) class: &'static ClassDecl,
    pub(super) namespace: Namespace,
    pub(super) list: fn(&S) -> Vec<S::Id>,
    find: fn(&S, &Keys) -> Option<S::Id>,
    keys: Box<dyn Fn(&S, &S::Id) -> Keys + Send + Sync>,
    renderer: Box<dyn Fn(&PropertyFilter) -> RenderElement<S> + Send + Sync>,
}

/// A relation of any class.
pub(super) struct AnyRelation<S: Snapshot> {
    /// Its place in the table.
    pub(super) at: usize,
    pub(super) class: &'static ClassDecl,
    pub(super) namespace: Namespace,
    pub(super) ends: [AnyEnd<S>; 2],
    /// Keys other than the references, which would tell several associations of the same two
    /// elements apart; here are never several, so each holds [`ONLY`].
    pub(super) further_keys: Vec<&'static str>,
    renderer: Box<dyn Fn(&PropertyFilter) -> RenderLink<S> + Send + Sync>,
}

/// The value of a key that tells several associations of the same two elements apart.
const ONLY: &str = "1";

/// An end of a relation of any class.
pub(super) struct AnyEnd<S: Snapshot> {
    pub(super) role: &'static str,
    pub(super) kinds: &'static [S::Tag],
    pub(super) step: fn(&S, &S::Id) -> Vec<S::Id>,
}

/// An instance of a relation.
pub struct Link<S: Snapshot> {
    pub(super) relation: &'static AnyRelation<S>,
    /// The two elements in the order of the relation's ends.
    pub ends: [S::Id; 2],
}

impl<S: Snapshot, C: TypedClass> From<Kind<S, C>> for AnyKind<S> {
    fn from(kind: Kind<S, C>) -> Self {
        let Kind {
            class, keys, fill, ..
        } = kind;
        let keys = move |snapshot: &S, id: &S::Id| {
            let path = keys(snapshot, id, PathBuilder::new(class)).build();
            path.keys.unwrap_or_default()
        };
        Self {
            tag: kind.tag,
            class: C::decl(),
            namespace: kind.namespace,
            list: kind.list,
            find: kind.find,
            keys: Box::new(keys),
            renderer: Box::new(move |filter| {
                let wanted = filter.wanted::<C>();
                Box::new(move |snapshot, id| {
                    let keys = keys(snapshot, id);
                    let builder = Builder::filtered(wanted).keys(&keys);
                    let instance = fill(snapshot, id, builder).build();
                    (keys, instance)
                })
            }),
        }
    }
}

impl<S: Snapshot> AnyRelation<S> {
    fn new<A: TypedClass>(at: usize, relation: Relation<S, A>) -> Self {
        let fill = relation.fill;
        let further = A::decl()
            .keys()
            .filter(|key| key.shape.ty != Type::Reference);
        Self {
            further_keys: further.map(|key| key.name).collect(),
            at,
            class: A::decl(),
            namespace: relation.namespace,
            ends: relation.ends.map(|end| AnyEnd {
                role: end.role.name(),
                kinds: end.kinds,
                step: end.step,
            }),
            renderer: Box::new(move |filter| {
                let wanted = filter.wanted::<A>();
                Box::new(move |snapshot, [first, second], keys| {
                    let builder = Builder::filtered(wanted).keys(keys);
                    fill(snapshot, first, second, builder).build()
                })
            }),
        }
    }
}

impl<S: Snapshot> AnyKind<S> {
    pub(super) fn renderer(&self, filter: &PropertyFilter) -> RenderElement<S> {
        (self.renderer)(filter)
    }

    pub(super) fn path(&self, keys: Keys) -> ObjectPath {
        ObjectPath::instance(Name::from_static(self.class.name), keys)
            .in_namespace(Name::from_static(self.namespace.name))
    }
}

impl<S: Snapshot> AnyRelation<S> {
    pub(super) fn renderer(&self, filter: &PropertyFilter) -> RenderLink<S> {
        (self.renderer)(filter)
    }

    /// The keys of an association: its references in the order of its ends, then the others.
    pub(super) fn keys(&self, snapshot: &S, ends: &[S::Id; 2]) -> Keys {
        let references = self.ends.iter().zip(ends);
        let references = references.map(|(end, id)| (end.role, Value::from(snapshot.path(id))));
        let further = self.further_keys.iter();
        references
            .chain(further.map(|&name| (name, ONLY.into())))
            .map(|(name, value)| (Name::from_static(name), value))
            .collect()
    }

    /// Whether these are as many keys as an association has, and those beside the references right.
    fn has_keys(&self, keys: &Keys) -> bool {
        let mut further = self.further_keys.iter();
        keys.len() == self.ends.len() + self.further_keys.len()
            && further.all(|name| keys.text(name) == Some(ONLY))
    }

    pub(super) fn path(&self, keys: Keys) -> ObjectPath {
        ObjectPath::instance(Name::from_static(self.class.name), keys)
            .in_namespace(Name::from_static(self.namespace.name))
    }
}

impl<S: Snapshot> Catalog<S> {
    /// A catalog of nothing, in those namespaces.
    pub fn new(namespaces: &'static [Namespace]) -> Self {
        Self {
            namespaces,
            kinds: Vec::new(),
            relations: Vec::new(),
            by_tag: HashMap::new(),
            ends: HashMap::new(),
            kinds_by_class: HashMap::new(),
            relations_by_class: HashMap::new(),
        }
    }

    /// Adds a kind. Elements are listed in the order in which their kinds were added.
    #[must_use]
    pub fn kind<C: TypedClass>(mut self, kind: Kind<S, C>) -> Self {
        let at = self.kinds.len();
        self.by_tag.insert(kind.tag, at);
        let same_class = self.kinds_by_class.entry(C::decl().name);
        same_class.or_default().push(at);
        self.kinds.push(kind.into());
        self
    }

    /// Adds a relation.
    #[must_use]
    pub fn relation<A: TypedClass>(mut self, relation: Relation<S, A>) -> Self {
        let at = self.relations.len();
        for (number, end) in relation.ends.iter().enumerate() {
            for &tag in end.kinds {
                self.ends.entry(tag).or_default().push((at, number));
            }
        }
        let same_class = self.relations_by_class.entry(A::decl().name);
        same_class.or_default().push(at);
        self.relations.push(AnyRelation::new(at, relation));
        self
    }

    /// The namespaces.
    pub fn namespaces(&self) -> &'static [Namespace] {
        self.namespaces
    }

    /// The class of a kind.
    pub fn class(&self, tag: S::Tag) -> &'static ClassDecl {
        self.kind_of(tag).class
    }

    /// The elements of a kind.
    pub fn list(&self, snapshot: &S, tag: S::Tag) -> Vec<S::Id> {
        (self.kind_of(tag).list)(snapshot)
    }

    pub(super) fn kinds(&self) -> &[AnyKind<S>] {
        &self.kinds
    }

    pub(super) fn relations(&self) -> &[AnyRelation<S>] {
        &self.relations
    }

    /// The kind of that name. [`Catalog::faults`] tells a model's test whether every tag has one.
    pub(super) fn kind_of(&self, tag: S::Tag) -> &AnyKind<S> {
        self.indexed_kind(tag).1
    }

    /// Where the kind of that name stands in the table.
    pub(super) fn index_of(&self, tag: S::Tag) -> Option<usize> {
        self.by_tag.get(&tag).copied()
    }

    /// The kind of that name and its place in the table.
    pub(super) fn indexed_kind(&self, tag: S::Tag) -> (usize, &AnyKind<S>) {
        let at = self.index_of(tag);
        let found = at.and_then(|at| Some((at, self.kinds.get(at)?)));
        found.expect("every tag has a kind")
    }

    /// The relations that a kind takes part in, each with the number of the end where it stands.
    pub(super) fn ends(&self, tag: S::Tag) -> impl Iterator<Item = (&AnyRelation<S>, usize)> {
        let ends = self.ends.get(&tag).into_iter().flatten();
        ends.filter_map(|&(relation, end)| Some((self.relations.get(relation)?, end)))
    }

    /// The namespace of that name or alias, in any case, with or without slashes around it.
    pub fn namespace(&self, name: &str) -> Result<Namespace, CimError> {
        let wanted = name.trim_matches('/');
        let named = |known: &str| known.eq_ignore_ascii_case(wanted);
        self.namespaces
            .iter()
            .find(|n| named(n.name) || n.aliases.iter().any(|alias| named(alias)))
            .copied()
            .ok_or_else(|| CimError::invalid_namespace(format!("there is no namespace {name:?}")))
    }

    /// The path of an element, with its namespace and without a host.
    pub fn path(&self, snapshot: &S, id: &S::Id) -> ObjectPath {
        let kind = self.kind_of(S::tag(id));
        kind.path((kind.keys)(snapshot, id))
    }

    /// A path as answers would spell it: the namespace by its proper name, or `default` where the
    /// path says none, in the references among its keys too. Unknown namespaces stay as they are.
    pub fn canonical(&self, path: &ObjectPath, default: Namespace) -> ObjectPath {
        let (namespace, inner) = match &path.namespace {
            None => (Name::from_static(default.name), default),
            Some(name) => match self.namespace(name.as_str()) {
                Ok(known) => (Name::from_static(known.name), known),
                Err(_) => (name.clone(), default),
            },
        };
        let class = schema::class(path.class.as_str());
        let keys = path.keys.as_ref();
        ObjectPath {
            host: None,
            namespace: Some(namespace),
            class: path.class.clone(),
            keys: keys.map(|keys| self.canonical_keys(class, keys, inner)),
        }
    }

    fn canonical_keys(
        &self,
        class: Option<&'static ClassDecl>,
        keys: &Keys,
        namespace: Namespace,
    ) -> Keys {
        let declared = |name: &Name| {
            let mut keys = class?.keys();
            // A single key may come without a name (DSP0201: KEYVALUE within INSTANCENAME).
            let unnamed = name.as_str().is_empty();
            keys.find(|key| unnamed || *name == *key.name)
        };
        let canonical = keys.iter().map(|(name, value)| {
            let property = declared(name);
            let name = property.map_or_else(|| name.clone(), |p| Name::from_static(p.name));
            let value = match (value, property.map(|p| p.shape.ty)) {
                (Value::Reference(path), _) => self.canonical(path, namespace).into(),
                (Value::String(text), Some(ty)) => retyped(text, ty),
                _ => value.clone(),
            };
            (name, value)
        });
        canonical.collect()
    }

    /// The element that a path names. The path has a namespace, and its class is the creation
    /// class, not a superclass of it.
    ///
    /// Refused with 3 (no such namespace), 4 (not the path of an instance), 5 (no such class) or 6.
    pub fn resolve(&'static self, snapshot: &S, path: &ObjectPath) -> Result<S::Id, CimError> {
        match self.locate(snapshot, path)? {
            Subject::Element(id) => Ok(id),
            Subject::Link(_) => Err(not_found(path)),
        }
    }

    /// The element or association that a path names; refused as in [`Catalog::resolve`].
    pub fn locate(&'static self, snapshot: &S, path: &ObjectPath) -> Result<Subject<S>, CimError> {
        let namespace = path.namespace.as_ref().map_or("", Name::as_str);
        let namespace = self.namespace(namespace)?;
        let class = schema::class(path.class.as_str())
            .ok_or_else(|| CimError::invalid_class(format!("there is no class {}", path.class)))?;
        let keys = path.keys.as_ref().ok_or_else(|| {
            CimError::invalid_parameter(format!("{path} is not the path of an instance"))
        })?;
        let keys = self.canonical_keys(Some(class), keys, namespace);
        let element = self.element(snapshot, namespace, class, &keys);
        element
            .map(Subject::Element)
            .or_else(|| {
                self.link(snapshot, namespace, class, &keys)
                    .map(Subject::Link)
            })
            .ok_or_else(|| not_found(path))
    }

    fn element(
        &self,
        snapshot: &S,
        namespace: Namespace,
        class: &ClassDecl,
        keys: &Keys,
    ) -> Option<S::Id> {
        let kinds = self.kinds_by_class.get(class.name)?;
        let mut kinds = kinds.iter().filter_map(|&at| self.kinds.get(at));
        kinds.find_map(|kind| {
            let here = kind.namespace == namespace;
            let id = here.then(|| (kind.find)(snapshot, keys))??;
            ((kind.keys)(snapshot, &id) == *keys).then_some(id)
        })
    }

    fn link(
        &'static self,
        snapshot: &S,
        namespace: Namespace,
        class: &ClassDecl,
        keys: &Keys,
    ) -> Option<Link<S>> {
        let relations = self.relations_by_class.get(class.name)?;
        let mut relations = relations.iter().filter_map(|&at| self.relations.get(at));
        relations.find_map(|relation| {
            if relation.namespace != namespace || !relation.has_keys(keys) {
                return None;
            }
            let id = |end: &AnyEnd<S>| {
                let path = keys.find(end.role)?.as_reference()?;
                let id = self.resolve(snapshot, path).ok()?;
                end.kinds.contains(&S::tag(&id)).then_some(id)
            };
            let [first, second] = &relation.ends;
            let ends = [id(first)?, id(second)?];
            let related = (second.step)(snapshot, &ends[1]).contains(&ends[0]);
            related.then_some(Link { relation, ends })
        })
    }
}

impl<S: Snapshot> Link<S> {
    /// The association class.
    pub fn class(&self) -> &'static ClassDecl {
        self.relation.class
    }

    /// Its path, with its namespace and without a host.
    pub fn path(&self, snapshot: &S) -> ObjectPath {
        let keys = self.relation.keys(snapshot, &self.ends);
        self.relation.path(keys)
    }
}

impl<S: Snapshot> Clone for Link<S> {
    fn clone(&self) -> Self {
        Self {
            relation: self.relation,
            ends: self.ends.clone(),
        }
    }
}

impl<S: Snapshot> PartialEq for Link<S> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.relation, other.relation) && self.ends == other.ends
    }
}

impl<S: Snapshot> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.class().name, self.ends)
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
