//! The operations of DSP0200 as data: what is asked, and what is answered.

use crate::cim::{Class, Instance, Name, ObjectPath, QualifierDeclaration, Value};
use crate::schema::Shape;

/// One intrinsic operation with its parameters, defaults filled in (DSP0200 §5.3.2).
///
/// `V` is a value whose type only its declaration tells; see [`Untyped`].
#[derive(Clone, Debug)]
#[allow(missing_docs)] // The names are those of DSP0200.
pub enum Operation<V> {
    GetInstance {
        path: ObjectPath,
        selection: Selection,
    },
    /// EnumerateInstances, Associators, References and the three that return names.
    List {
        source: Source,
        form: Form,
    },
    /// The six Open operations with those sources and forms.
    Open {
        source: Source,
        form: Form,
        session: SessionTerms,
    },
    /// PullInstancesWithPath and PullInstancePaths.
    Pull {
        context: String,
        kind: PullKind,
        count: u32,
    },
    CloseEnumeration {
        context: String,
    },
    EnumerationCount {
        context: String,
    },
    GetProperty {
        path: ObjectPath,
        property: Name,
    },
    GetClass {
        class: Name,
        selection: ClassSelection,
    },
    EnumerateClasses {
        /// Below this class; `None` means from the top.
        class: Option<Name>,
        deep: bool,
        selection: ClassSelection,
    },
    EnumerateClassNames {
        class: Option<Name>,
        deep: bool,
    },
    GetQualifier {
        name: Name,
    },
    EnumerateQualifiers,
    CreateInstance {
        instance: Instance,
    },
    ModifyInstance {
        path: ObjectPath,
        instance: Instance,
        /// The properties that change; `None` means those of the instance.
        properties: Option<Vec<Name>>,
    },
    DeleteInstance {
        path: ObjectPath,
    },
    SetProperty {
        path: ObjectPath,
        property: Name,
        value: V,
    },
}

/// Where a listing starts.
#[derive(Clone, Debug)]
pub enum Source {
    /// The instances of a class and of those below it.
    Class(Name),
    /// What is associated with an object, an instance or a class.
    Associators {
        /// The object.
        object: ObjectPath,
        /// Only through this association class or one below it.
        association: Option<Name>,
        /// Only objects of this class or one below it.
        result: Option<Name>,
        /// Only where the object is in this role.
        role: Option<Name>,
        /// Only what is in this role.
        result_role: Option<Name>,
    },
    /// The associations that refer to an object, an instance or a class.
    References {
        /// The object.
        object: ObjectPath,
        /// Only of this association class or one below it.
        result: Option<Name>,
        /// Only where the object is in this role.
        role: Option<Name>,
    },
}

/// What a listing consists of.
#[derive(Clone, Debug)]
pub enum Form {
    /// Instances with their paths; classes with theirs, where the source is a class.
    Instances(Selection),
    /// Paths alone.
    Paths,
}

/// Which properties of instances are wanted.
#[derive(Clone, Debug)]
pub struct Selection {
    /// `PropertyList`: `None` means all.
    pub properties: Option<Vec<Name>>,
    /// `IncludeClassOrigin`.
    pub class_origin: bool,
    /// `DeepInheritance`: properties that the enumerated class does not have, too.
    pub deep: bool,
    /// `IncludeQualifiers`: concerns classes alone, instances never carry qualifiers.
    pub qualifiers: bool,
}

impl Default for Selection {
    /// Everything.
    fn default() -> Self {
        Self {
            properties: None,
            class_origin: false,
            deep: true,
            qualifiers: false,
        }
    }
}

/// Which parts of classes are wanted.
#[derive(Clone, Debug)]
pub struct ClassSelection {
    /// `LocalOnly`: only what the class declares or overrides itself.
    pub local_only: bool,
    /// `IncludeQualifiers`.
    pub qualifiers: bool,
    /// `IncludeClassOrigin`.
    pub class_origin: bool,
    /// `PropertyList`: `None` means all.
    pub properties: Option<Vec<Name>>,
}

/// The terms of a pull session (DSP0200 §5.3.2.24.1).
#[derive(Clone, Debug, Default)]
pub struct SessionTerms {
    /// `OperationTimeout` in seconds; `None` leaves it to the server.
    pub timeout: Option<u32>,
    /// `ContinueOnError`.
    pub continue_on_error: bool,
    /// `MaxObjectCount` of the first answer.
    pub count: u32,
    /// `FilterQueryLanguage`.
    pub filter_language: Option<String>,
    /// `FilterQuery`.
    pub filter: Option<String>,
}

/// What a pull session consists of, and so which Pull operation goes on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullKind {
    /// PullInstancesWithPath.
    Instances,
    /// PullInstancePaths.
    Paths,
    /// PullInstances, which goes on with a query; none can be opened.
    QueryResults,
}

/// What an operation returns. Items are made one by one while they are taken; none can fail.
pub enum Reply {
    /// Nothing.
    Done,
    /// One instance.
    Instance(Instance),
    /// The path of a new instance.
    Created(ObjectPath),
    /// A value; `None` is NULL.
    Value(Option<Value>),
    /// Instances or classes with their paths, or paths alone.
    Objects(Objects),
    /// Part of a pull session.
    Page {
        /// The objects of this part.
        objects: Objects,
        /// How to go on; `None` at the end of the sequence.
        context: Option<String>,
    },
    /// Classes.
    Classes(Stream<Class>),
    /// Names of classes.
    ClassNames(Stream<Name>),
    /// Qualifier declarations.
    Qualifiers(Stream<QualifierDeclaration>),
}

/// Items that are made while they are taken.
pub type Stream<T> = Box<dyn Iterator<Item = T> + Send>;

/// The objects of a listing.
pub enum Objects {
    /// Instances with their paths.
    Instances(Stream<(ObjectPath, Instance)>),
    /// Paths of instances, or of classes if the source was one.
    Paths(Stream<ObjectPath>),
    /// Classes with their paths.
    Classes(Stream<(ObjectPath, Class)>),
}

/// A value whose type the request did not say.
pub trait Untyped {
    /// The value as one of that type, or the sentence why it is none. NULL is `None`.
    fn typed(self, shape: &Shape) -> Result<Option<Value>, String>;
}

impl Untyped for Option<Value> {
    fn typed(self, _shape: &Shape) -> Result<Option<Value>, String> {
        Ok(self)
    }
}

impl<V> Operation<V> {
    /// Whether it changes something, so that a monitor may not do it.
    pub fn changes(&self) -> bool {
        matches!(
            self,
            Self::CreateInstance { .. }
                | Self::ModifyInstance { .. }
                | Self::DeleteInstance { .. }
                | Self::SetProperty { .. }
        )
    }
}
