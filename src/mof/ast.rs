//! Declarations as they were written, with their places.

use super::source::{Span, Spanned};
use crate::cim::{Scope, Type};

/// A name as written.
pub(super) type Word = Spanned<String>;

/// What stands at the top level of a file.
#[derive(Debug)]
pub(super) enum Declaration {
    Pragma { name: Word, value: Word },
    Qualifier(QualifierType),
    Class(Class),
    Instance(Instance),
}

/// `Qualifier Name : type = default, Scope(…), Flavor(…);`
#[derive(Debug)]
pub(super) struct QualifierType {
    pub(super) name: Word,
    pub(super) shape: Shape,
    pub(super) default: Option<Initializer>,
    pub(super) scopes: Vec<Scope>,
    pub(super) flavor: FlavorWords,
}

/// Which flavors were written; `None` where none was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FlavorWords {
    pub(super) overridable: Option<bool>,
    pub(super) to_subclass: Option<bool>,
    pub(super) translatable: Option<bool>,
}

/// `Name(value) : flavors` in a qualifier list.
#[derive(Debug)]
pub(super) struct Qualifier {
    pub(super) name: Word,
    pub(super) value: Option<Initializer>,
    pub(super) flavor: FlavorWords,
}

/// `class Name : Superclass { … };`
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: Word,
    pub(super) superclass: Option<Word>,
    pub(super) alias: Option<Word>,
    pub(super) qualifiers: Vec<Qualifier>,
    pub(super) properties: Vec<Element>,
    pub(super) methods: Vec<Method>,
}

/// A property, reference or parameter.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: Word,
    pub(super) shape: Shape,
    pub(super) qualifiers: Vec<Qualifier>,
    pub(super) default: Option<Initializer>,
}

/// The type of an element.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) ty: Type,
    pub(super) reference_class: Option<Word>,
    pub(super) array: bool,
    pub(super) array_size: Option<u32>,
}

/// `type Name(parameters);`
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: Word,
    pub(super) returns: Option<Type>,
    pub(super) qualifiers: Vec<Qualifier>,
    pub(super) parameters: Vec<Element>,
}

/// `instance of Class as $alias { … };`
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) class: Word,
    pub(super) alias: Option<Word>,
    pub(super) values: Vec<(Word, Initializer)>,
    pub(super) span: Span,
}

/// The value of a qualifier or property.
#[derive(Debug)]
pub(super) enum Initializer {
    Scalar(Spanned<Literal>),
    Array(Vec<Spanned<Literal>>, Span),
}

impl Initializer {
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Scalar(literal) => literal.span,
            Self::Array(_, span) => *span,
        }
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Integer(i128),
    Real(f64),
    Char(u16),
    String(String),
    Alias(String),
}

impl Literal {
    /// What kind of constant this is, as a message names it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a real",
            Self::Char(_) => "a character",
            Self::String(_) => "a string",
            Self::Alias(_) => "an alias",
        }
    }
}
