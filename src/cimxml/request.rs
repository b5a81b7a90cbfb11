//! A request as types: who is called, with which parameters.

use crate::cim::{
    Class, Embedded, Instance, Name, ObjectPath, QualifierDeclaration, Text, Type, Value,
};

use super::{Limits, ValueError, literal};

/// One decoded request message.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// MESSAGE/@ID; only echoed, never unique.
    pub message_id: String,
    /// CIM/@CIMVERSION as written.
    pub cim_version: String,
    /// CIM/@DTDVERSION as written.
    pub dtd_version: String,
    /// MESSAGE/@PROTOCOLVERSION as written; to be compared with the HTTP header.
    pub protocol_version: String,
    /// What is called.
    pub call: Call,
}

impl Request {
    /// What a response to this request starts with.
    pub fn head(&self) -> Head {
        Head {
            message_id: self.message_id.clone(),
            method: self.call.name().clone(),
            kind: match self.call {
                Call::Intrinsic { .. } => Kind::Intrinsic,
                Call::Extrinsic { .. } => Kind::Extrinsic,
            },
        }
    }
}

/// What a request calls.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// An operation of DSP0200 §5.3 (IMETHODCALL).
    Intrinsic {
        /// The operation as it was spelt; the response echoes it.
        name: Name,
        /// The target namespace, components joined by `/`.
        namespace: Name,
        /// The parameters in the order sent; doubled ones are all there.
        parameters: Vec<(Name, ParamValue)>,
    },
    /// A method of a class (METHODCALL).
    Extrinsic {
        /// The method as it was spelt; the response echoes it.
        name: Name,
        /// The class or instance that it is called on; its namespace is always there.
        path: ObjectPath,
        /// The parameters in the order sent; doubled ones are all there.
        parameters: Vec<(Name, ParamValue)>,
    },
}

impl Call {
    /// The operation or method as it was spelt.
    pub fn name(&self) -> &Name {
        match self {
            Self::Intrinsic { name, .. } | Self::Extrinsic { name, .. } => name,
        }
    }

    /// The namespace that the call goes to.
    pub fn namespace(&self) -> &Name {
        static NONE: Name = Name::from_static("");
        match self {
            Self::Intrinsic { namespace, .. } => namespace,
            Self::Extrinsic { path, .. } => path.namespace.as_ref().unwrap_or(&NONE),
        }
    }
}

/// The parts of a request that its response repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The message identifier.
    pub message_id: String,
    /// The operation or method, spelt as in the request.
    pub method: Name,
    /// Which of the two response elements answers it.
    pub kind: Kind,
}

/// Whether a call goes to the server itself or to a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IMETHODCALL, IMETHODRESPONSE.
    Intrinsic,
    /// METHODCALL, METHODRESPONSE.
    Extrinsic,
}

/// The value of a parameter as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// No value element: NULL, so the default.
    Null,
    /// A VALUE whose type nobody said.
    Text(Text),
    /// A VALUE.ARRAY whose type nobody said.
    Texts(Vec<Option<Text>>),
    /// A value of a type that the request said; embedded objects among them.
    Value(Value),
    /// CLASSNAME, INSTANCENAME or VALUE.REFERENCE.
    Path(ObjectPath),
    /// VALUE.REFARRAY.
    Paths(Vec<Option<ObjectPath>>),
    /// CLASS.
    Class(Box<Class>),
    /// INSTANCE.
    Instance(Box<Instance>),
    /// VALUE.NAMEDINSTANCE.
    NamedInstance(Box<(ObjectPath, Instance)>),
    /// QUALIFIER.DECLARATION.
    QualifierDeclaration(Box<QualifierDeclaration>),
}

/// What a declaration says about a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its type.
    pub ty: Type,
    /// Whether it is an array.
    pub array: bool,
    /// What a string-typed element embeds.
    pub embedded: Option<Embedded>,
}

impl Wanted {
    /// A scalar of that type.
    pub const fn scalar(ty: Type) -> Self {
        Self {
            ty,
            array: false,
            embedded: None,
        }
    }

    /// An array of that type.
    pub const fn array(ty: Type) -> Self {
        Self {
            ty,
            array: true,
            embedded: None,
        }
    }
}

impl ParamValue {
    /// This value as one of the wanted type; NULL is `None`.
    ///
    /// Text is read as a literal of the type; a typed number may have another width as long as it
    /// is in range; an untyped embedded object is read here, within `limits`.
    pub fn resolve(&self, wanted: Wanted, limits: &Limits) -> Result<Option<Value>, ValueError> {
        literal::resolve(self, wanted, limits)
    }
}

/// The major number of a version such as `2.0` or `2.3.1`; `None` if it is not written like that.
pub fn version_major(version: &str) -> Option<u32> {
    let mut parts = version.split('.');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let major = parts.next().filter(|part| digits(part))?.parse().ok()?;
    let mut rest = 0usize;
    for part in parts {
        if !digits(part) {
            return None;
        }
        rest += 1;
    }
    (1..=2).contains(&rest).then_some(major)
}
