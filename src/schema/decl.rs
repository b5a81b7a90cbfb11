//! Declarations as static data: what the tables consist of.

use super::tables::{CLASSES, METHODS, PROPERTIES, QUALIFIERS};
use crate::cim::{Embedded, Flavor, Scope, Type, Value};

/// A declared class. There is one of each; references to it are its identity.
#[derive(Debug)]
pub struct ClassDecl {
    pub(super) index: u16,
    /// Its name as declared.
    pub name: &'static str,
    pub(super) superclass: Option<u16>,
    /// One past the last class below this one.
    pub(super) end: u16,
    /// Whether it is an association class.
    pub is_association: bool,
    /// Whether it has no instances of its own.
    pub is_abstract: bool,
    /// Whether it is an indication class.
    pub is_indication: bool,
    pub(super) properties: &'static [u16],
    pub(super) methods: &'static [u16],
    /// Its qualifiers, inherited ones included.
    pub qualifiers: &'static [QualifierUse],
}

/// A declared property, or a reference.
#[derive(Debug)]
pub struct PropertyDecl {
    /// Its name as declared.
    pub name: &'static str,
    /// Whether it is a key.
    pub key: bool,
    /// The class that declares or last overrides it.
    pub(super) owner: u16,
    pub(super) origin: u16,
    /// Its type.
    pub shape: Shape,
    /// The value of instances that say nothing else.
    pub default: Constant,
    pub(super) qualifiers: &'static [QualifierUse],
}

/// A declared method.
#[derive(Debug)]
pub struct MethodDecl {
    /// Its name as declared.
    pub name: &'static str,
    /// The class that declares or last overrides it.
    pub(super) owner: u16,
    pub(super) origin: u16,
    /// The type of its return value; `None` for void.
    pub returns: Option<Type>,
    /// Its parameters in order.
    pub parameters: &'static [ParameterDecl],
    pub(super) qualifiers: &'static [QualifierUse],
}

/// A declared parameter.
#[derive(Debug)]
pub struct ParameterDecl {
    /// Its name as declared.
    pub name: &'static str,
    /// Whether clients send it.
    pub input: bool,
    /// Whether the answer holds it.
    pub output: bool,
    /// Its type.
    pub shape: Shape,
    pub(super) qualifiers: &'static [QualifierUse],
}

/// The type of a property or parameter.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The type of the value or of each array element.
    pub ty: Type,
    /// Whether it is an array.
    pub array: bool,
    /// The number of elements of a fixed-size array.
    pub array_size: Option<u32>,
    /// The class that a reference refers to.
    pub reference_class: Option<&'static str>,
    /// What a string-typed element embeds.
    pub embedded: Option<Embedded>,
}

/// The declaration of a qualifier.
#[derive(Debug)]
pub struct QualifierDecl {
    /// Its name as declared.
    pub name: &'static str,
    /// The type of its values.
    pub ty: Type,
    /// Whether its values are arrays.
    pub array: bool,
    /// The number of elements of a fixed-size array.
    pub array_size: Option<u32>,
    /// Where it may stand.
    pub scopes: &'static [Scope],
    /// How it passes to subclasses unless a use says otherwise.
    pub flavor: Flavor,
    /// The value that stands where none is given.
    pub value: Constant,
}

/// A qualifier on an element.
#[derive(Debug)]
pub struct QualifierUse {
    pub(super) declaration: u16,
    pub(super) flavor: Flavor,
    pub(super) propagated: bool,
    /// Its value.
    pub value: Constant,
}

/// A value as static data; its type is said beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Constant {
    Null,
    Boolean(bool),
    Integer(i128),
    Real(f64),
    /// A string, a datetime or an object path.
    Text(&'static str),
    /// A string array, its elements separated by U+001F; never empty.
    Texts(&'static str),
    List(&'static [Constant]),
}

/// Separates the elements of [`Constant::Texts`].
pub(super) const SEPARATOR: char = '\u{1f}';

impl Constant {
    /// The value as one of type `ty`; NULL is `None`.
    pub fn value(&self, ty: Type) -> Option<Value> {
        Some(match *self {
            Self::Null => return None,
            Self::Boolean(flag) => Value::Boolean(flag),
            Self::Integer(unit) if ty == Type::Char16 => Value::Char16(unit.try_into().ok()?),
            Self::Integer(number) => Value::integer(ty, number)?,
            #[allow(clippy::cast_possible_truncation)] // It was written as a real32.
            Self::Real(real) if ty == Type::Real32 => Value::Real32(real as f32),
            Self::Real(real) => Value::Real64(real),
            Self::Text(text) => match ty {
                Type::DateTime => Value::DateTime(text.parse().ok()?),
                Type::Reference => crate::cim::ObjectPath::parse(text)?.into(),
                _ => Value::String(crate::cim::Text::from_static(text)),
            },
            Self::Texts(joined) => Value::Array(
                joined
                    .split(SEPARATOR)
                    .map(|text| Self::Text(text).value(ty))
                    .collect(),
            ),
            Self::List(items) => Value::Array(items.iter().map(|i| i.value(ty)).collect()),
        })
    }

    /// The elements of a string array; nothing for every other constant.
    pub fn texts(&self) -> impl Iterator<Item = &'static str> {
        let joined = match *self {
            Self::Texts(joined) => Some(joined),
            _ => None,
        };
        joined
            .into_iter()
            .flat_map(|joined| joined.split(SEPARATOR))
    }
}

impl ClassDecl {
    /// The class directly above.
    pub fn superclass(&self) -> Option<&'static Self> {
        self.superclass.map(|index| &CLASSES[usize::from(index)])
    }

    /// The classes above, the nearest first.
    pub fn superclasses(&self) -> impl Iterator<Item = &'static Self> {
        std::iter::successors(self.superclass(), |class| class.superclass())
    }

    /// Whether this is `ancestor` or a class below it.
    pub fn is_subclass_of(&self, ancestor: &Self) -> bool {
        (ancestor.index..ancestor.end).contains(&self.index)
    }

    /// Every class below this one, at any depth; each is directly followed by those below it.
    pub fn all_subclasses(&self) -> &'static [Self] {
        &CLASSES[usize::from(self.index) + 1..usize::from(self.end)]
    }

    /// The classes directly below this one.
    pub fn subclasses(&self) -> impl Iterator<Item = &'static Self> {
        let parent = self.index;
        let below = self.all_subclasses().iter();
        below.filter(move |class| class.superclass == Some(parent))
    }

    /// This class and every class below it.
    pub fn with_subclasses(&self) -> &'static [Self] {
        &CLASSES[usize::from(self.index)..usize::from(self.end)]
    }

    /// Its properties and references, inherited ones first.
    pub fn properties(&self) -> impl ExactSizeIterator<Item = &'static PropertyDecl> + Clone {
        let all = self.properties.iter();
        all.map(|&index| &PROPERTIES[usize::from(index)])
    }

    /// The property of that name, in any case.
    pub fn property(&self, name: &str) -> Option<&'static PropertyDecl> {
        self.properties()
            .find(|p| p.name.eq_ignore_ascii_case(name))
    }

    /// Its keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &'static PropertyDecl> + Clone {
        self.properties().filter(|p| p.key)
    }

    /// Its references in order; two for an ordinary association.
    pub fn references(&self) -> impl Iterator<Item = &'static PropertyDecl> + Clone {
        self.properties().filter(|p| p.shape.ty == Type::Reference)
    }

    /// Its methods, inherited ones first.
    pub fn methods(&self) -> impl ExactSizeIterator<Item = &'static MethodDecl> + Clone {
        let all = self.methods.iter();
        all.map(|&index| &METHODS[usize::from(index)])
    }

    /// The method of that name, in any case.
    pub fn method(&self, name: &str) -> Option<&'static MethodDecl> {
        self.methods().find(|m| m.name.eq_ignore_ascii_case(name))
    }

    /// The value of a class qualifier.
    pub fn qualifier(&self, name: &str) -> Option<&'static Constant> {
        find_qualifier(self.qualifiers, name)
    }
}

impl PartialEq for ClassDecl {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for ClassDecl {}

impl PropertyDecl {
    /// The class that introduces it; overriding it changes nothing.
    pub fn origin(&self) -> &'static ClassDecl {
        &CLASSES[usize::from(self.origin)]
    }

    /// The value of a qualifier.
    pub fn qualifier(&self, name: &str) -> Option<&'static Constant> {
        find_qualifier(self.qualifiers, name)
    }
}

impl MethodDecl {
    /// The class that introduces it; overriding it changes nothing.
    pub fn origin(&self) -> &'static ClassDecl {
        &CLASSES[usize::from(self.origin)]
    }

    /// The parameter of that name, in any case.
    pub fn parameter(&self, name: &str) -> Option<&'static ParameterDecl> {
        let mut parameters = self.parameters.iter();
        parameters.find(|p| p.name.eq_ignore_ascii_case(name))
    }

    /// The value of a qualifier.
    pub fn qualifier(&self, name: &str) -> Option<&'static Constant> {
        find_qualifier(self.qualifiers, name)
    }
}

impl ParameterDecl {
    /// The value of a qualifier.
    pub fn qualifier(&self, name: &str) -> Option<&'static Constant> {
        find_qualifier(self.qualifiers, name)
    }
}

impl QualifierUse {
    /// Its declaration.
    pub fn declaration(&self) -> &'static QualifierDecl {
        &QUALIFIERS[usize::from(self.declaration)]
    }
}

fn find_qualifier(uses: &'static [QualifierUse], name: &str) -> Option<&'static Constant> {
    let mut uses = uses.iter();
    uses.find(|q| q.declaration().name.eq_ignore_ascii_case(name))
        .map(|q| &q.value)
}
