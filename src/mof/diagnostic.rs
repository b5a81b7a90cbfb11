//! What can be wrong with a MOF text, one kind per meaning.

use std::fmt;

use super::source::Span;
use crate::cim::{Scope, Type};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// What is wrong.
    pub problem: Problem,
    /// Where.
    pub span: Span,
    /// Another place that explains it, such as the first of two declarations.
    pub related: Option<Box<(Span, &'static str)>>,
}

impl Diagnostic {
    pub(super) fn new(problem: Problem, span: Span) -> Self {
        Self {
            problem,
            span,
            related: None,
        }
    }

    pub(super) fn with_related(mut self, span: Span, label: &'static str) -> Self {
        self.related = Some(Box::new((span, label)));
        self
    }
}

/// The kinds of mistakes.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // The text of each kind is in its `Display` below.
pub enum Problem {
    UnexpectedCharacter(char),
    UnterminatedComment,
    UnterminatedString,
    BadEscape,
    BadCharacterLiteral,
    BadNumber,
    NumberTooLarge,
    Expected {
        what: &'static str,
        found: String,
    },
    BadArraySize,
    ConflictingFlavor,
    FileTooLarge,
    TooManyFiles,
    IncludeTooDeep,
    IncludeCycle,
    CannotInclude(String),
    TooManyProblems,
    DuplicateClass(String),
    DuplicateQualifierDeclaration(String),
    DuplicateQualifier(String),
    DuplicateElement {
        kind: &'static str,
        name: String,
    },
    DuplicateAlias(String),
    UnknownSuperclass(String),
    SuperclassCycle,
    SuperclassesTooDeep,
    UnknownQualifier(String),
    WrongScope {
        qualifier: String,
        scope: Scope,
    },
    QualifierNotOverridable(String),
    UnknownClass(String),
    TypeMismatch {
        expected: String,
        found: &'static str,
    },
    OutOfRange {
        ty: Type,
        number: i128,
    },
    BadDateTime(String),
    TooManyElements(u32),
    MissingOverride {
        name: String,
        origin: String,
    },
    NothingToOverride(String),
    OverrideChangesName(String),
    OverrideChangesType(String),
    AddedKey(String),
    EmbeddedNotString,
    AbstractInstance(String),
    UnknownProperty {
        class: String,
        name: String,
    },
    MissingKey {
        class: String,
        name: String,
    },
    UnknownAlias(String),
    AliasCycle(String),
    BadObjectPath,
}

impl fmt::Display for Problem {
    #[allow(clippy::too_many_lines)] // One arm per kind is the table of messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedCharacter(c) => write!(f, "unexpected character {c:?}"),
            Self::UnterminatedComment => f.write_str("this comment has no end"),
            Self::UnterminatedString => f.write_str("this string has no closing quote"),
            Self::BadEscape => f.write_str("unknown escape sequence"),
            Self::BadCharacterLiteral => f.write_str("a character literal holds one character"),
            Self::BadNumber => f.write_str("malformed number"),
            Self::NumberTooLarge => f.write_str("number too large for every type"),
            Self::Expected { what, found } => write!(f, "expected {what}, found {found}"),
            Self::BadArraySize => f.write_str("an array size is a number from 1 to 4294967295"),
            Self::ConflictingFlavor => f.write_str("this flavor contradicts an earlier one"),
            Self::FileTooLarge => f.write_str("this file is too large"),
            Self::TooManyFiles => f.write_str("too many files"),
            Self::IncludeTooDeep => f.write_str("files are included too deeply"),
            Self::IncludeCycle => f.write_str("this file includes itself"),
            Self::CannotInclude(why) => write!(f, "cannot include this file: {why}"),
            Self::TooManyProblems => f.write_str("too many problems; the rest is not shown"),
            Self::DuplicateClass(name) => write!(f, "class {name} is declared twice"),
            Self::DuplicateQualifierDeclaration(name) => {
                write!(f, "qualifier {name} is declared twice")
            }
            Self::DuplicateQualifier(name) => write!(f, "qualifier {name} is given twice"),
            Self::DuplicateElement { kind, name } => write!(f, "{kind} {name} is declared twice"),
            Self::DuplicateAlias(name) => write!(f, "alias ${name} is defined twice"),
            Self::UnknownSuperclass(name) => write!(f, "superclass {name} is not declared"),
            Self::SuperclassCycle => f.write_str("this class is its own superclass"),
            Self::SuperclassesTooDeep => f.write_str("too many superclasses above this class"),
            Self::UnknownQualifier(name) => write!(f, "qualifier {name} is not declared"),
            Self::WrongScope { qualifier, scope } => {
                let scope = super::scope_name(*scope);
                write!(f, "qualifier {qualifier} may not stand on a {scope}")
            }
            Self::QualifierNotOverridable(name) => {
                write!(f, "qualifier {name} may not change its inherited value")
            }
            Self::UnknownClass(name) => write!(f, "class {name} is not declared"),
            Self::TypeMismatch { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            Self::OutOfRange { ty, number } => write!(f, "{number} is out of the range of {ty}"),
            Self::BadDateTime(text) => write!(f, "{text:?} is no datetime"),
            Self::TooManyElements(size) => write!(f, "more than the {size} elements of this array"),
            Self::MissingOverride { name, origin } => {
                write!(f, "{name} hides an element of {origin} without Override")
            }
            Self::NothingToOverride(name) => write!(f, "no superclass has an element {name}"),
            Self::OverrideChangesName(name) => {
                write!(f, "an override keeps the name, here {name}")
            }
            Self::OverrideChangesType(name) => {
                write!(f, "{name} has another type than what it overrides")
            }
            Self::AddedKey(name) => {
                write!(f, "{name} adds a key to those that the superclass has")
            }
            Self::EmbeddedNotString => f.write_str("only strings embed instances"),
            Self::AbstractInstance(name) => write!(f, "class {name} is abstract"),
            Self::UnknownProperty { class, name } => {
                write!(f, "class {class} has no property {name}")
            }
            Self::MissingKey { class, name } => {
                write!(f, "the key {name} of class {class} has no value")
            }
            Self::UnknownAlias(name) => write!(f, "alias ${name} is not defined"),
            Self::AliasCycle(name) => write!(f, "the keys of ${name} depend on themselves"),
            Self::BadObjectPath => f.write_str("this text is no object path"),
        }
    }
}
