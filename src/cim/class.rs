//! Declarations: classes, properties, methods, qualifiers (DSP0004 §5.1, §7).

use super::{Embedded, Name, Text, Type, Value};

/// A qualifier on a class, property, method or parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Qualifier {
    /// Its name.
    pub name: Name,
    /// The type of its value.
    pub ty: Type,
    /// Whether its value is an array.
    pub array: bool,
    /// Its value.
    pub value: Option<Value>,
    /// How it passes to subclasses.
    pub flavor: Flavor,
    /// Whether it comes from a superclass unchanged.
    pub propagated: bool,
}

/// How a qualifier passes to subclasses (DSP0004 §5.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavor {
    /// A subclass may give it another value (`EnableOverride`).
    pub overridable: bool,
    /// Subclasses have it too (`ToSubclass`).
    pub to_subclass: bool,
    /// Its text may be translated (`Translatable`).
    pub translatable: bool,
}

impl Default for Flavor {
    fn default() -> Self {
        Self {
            overridable: true,
            to_subclass: true,
            translatable: false,
        }
    }
}

/// Where a qualifier may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scope {
    Class,
    Association,
    Reference,
    Property,
    Method,
    Parameter,
    Indication,
}

/// The declaration of a qualifier type.
#[derive(Clone, Debug, PartialEq)]
pub struct QualifierDeclaration {
    /// Its name.
    pub name: Name,
    /// The type of its values.
    pub ty: Type,
    /// Whether its values are arrays.
    pub array: bool,
    /// The number of elements of a fixed-size array.
    pub array_size: Option<u32>,
    /// The value that stands where none is given.
    pub value: Option<Value>,
    /// Where it may stand; `Any` of the MOF is every scope.
    pub scopes: Vec<Scope>,
    /// Its default flavor.
    pub flavor: Flavor,
}

/// A class, ordinary, association or indication, with its own and its inherited elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Its name.
    pub name: Name,
    /// Its superclass, if it has one.
    pub superclass: Option<Name>,
    /// Its qualifiers.
    pub qualifiers: Vec<Qualifier>,
    /// Its properties, references among them, in order of declaration, inherited ones first.
    pub properties: Vec<PropertyDeclaration>,
    /// Its methods.
    pub methods: Vec<Method>,
}

/// A property of a class; a reference if its type is [`Type::Reference`].
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyDeclaration {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Type,
    /// Whether it is an array.
    pub array: bool,
    /// The number of elements of a fixed-size array.
    pub array_size: Option<u32>,
    /// The class that a reference refers to.
    pub reference_class: Option<Name>,
    /// What a string-typed property embeds, from its `EmbeddedInstance`/`EmbeddedObject` qualifier.
    pub embedded: Option<Embedded>,
    /// The default value.
    pub default: Option<Value>,
    /// Its qualifiers.
    pub qualifiers: Vec<Qualifier>,
    /// The class that introduces it; overriding it changes nothing.
    pub origin: Name,
    /// Whether it comes from a superclass unchanged.
    pub propagated: bool,
}

/// A method of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// Its name.
    pub name: Name,
    /// The type that it returns; void methods have none.
    pub returns: Option<Type>,
    /// Its qualifiers.
    pub qualifiers: Vec<Qualifier>,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// The class that introduces it; overriding it changes nothing.
    pub origin: Name,
    /// Whether it comes from a superclass unchanged.
    pub propagated: bool,
}

/// A parameter of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Type,
    /// Whether it is an array.
    pub array: bool,
    /// The number of elements of a fixed-size array.
    pub array_size: Option<u32>,
    /// The class that a reference refers to.
    pub reference_class: Option<Name>,
    /// What a string-typed parameter embeds.
    pub embedded: Option<Embedded>,
    /// Its qualifiers.
    pub qualifiers: Vec<Qualifier>,
}

impl Class {
    /// The class qualifier of that name.
    pub fn qualifier(&self, name: &str) -> Option<&Qualifier> {
        find_qualifier(&self.qualifiers, name)
    }

    /// The property of that name.
    pub fn property(&self, name: &str) -> Option<&PropertyDeclaration> {
        self.properties.iter().find(|p| p.name == name)
    }

    /// The method of that name.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|m| m.name == name)
    }

    /// Whether this is an association class.
    pub fn is_association(&self) -> bool {
        flag(&self.qualifiers, "Association")
    }
}

impl PropertyDeclaration {
    /// Whether it is a key.
    pub fn is_key(&self) -> bool {
        flag(&self.qualifiers, "Key")
    }
}

impl Parameter {
    /// Whether it goes in: `IN` is true unless it says otherwise (DSP0004 §5.6.3.24).
    pub fn is_in(&self) -> bool {
        find_qualifier(&self.qualifiers, "In").is_none_or(|q| q.value == Some(Value::Boolean(true)))
    }

    /// Whether it comes out.
    pub fn is_out(&self) -> bool {
        flag(&self.qualifiers, "Out")
    }
}

fn find_qualifier<'a>(qualifiers: &'a [Qualifier], name: &str) -> Option<&'a Qualifier> {
    qualifiers.iter().find(|q| q.name == name)
}

fn flag(qualifiers: &[Qualifier], name: &str) -> bool {
    find_qualifier(qualifiers, name).is_some_and(|q| q.value == Some(Value::Boolean(true)))
}

impl Qualifier {
    /// The strings of a string-array qualifier such as `Values`.
    pub fn strings(&self) -> impl Iterator<Item = &Text> {
        let items: &[Option<Value>] = match &self.value {
            Some(Value::Array(items)) => items,
            _ => &[],
        };
        items.iter().flatten().filter_map(|v| match v {
            Value::String(text) => Some(text),
            _ => None,
        })
    }
}
