//! Instances and their properties.

use super::{Embedded, Name, Type, Value};

/// A property of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Type,
    /// Whether it is an array.
    pub array: bool,
    /// What a string-typed property embeds.
    pub embedded: Option<Embedded>,
    /// The class that a reference refers to; `None` where nobody asked.
    pub reference_class: Option<Name>,
    /// Its value; `None` is NULL.
    pub value: Option<Value>,
    /// The class that declares it, where it was asked for (`IncludeClassOrigin`).
    pub origin: Option<Name>,
}

impl Property {
    /// A scalar or array property; type and shape are those of the value.
    pub fn new(name: impl Into<Name>, ty: Type, array: bool, value: Option<Value>) -> Self {
        Self {
            name: name.into(),
            ty,
            array,
            embedded: None,
            reference_class: None,
            value,
            origin: None,
        }
    }
}

/// An instance of a class. Its path, where it has one, travels beside it.
///
/// A property that is not listed has not been said; one that is listed without value is NULL.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// The class that it was created from.
    pub class: Name,
    /// Its properties.
    pub properties: Vec<Property>,
}

impl Instance {
    /// An instance without properties.
    pub fn new(class: impl Into<Name>) -> Self {
        Self {
            class: class.into(),
            properties: Vec::new(),
        }
    }

    /// The property of that name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|p| p.name == name)
    }

    /// The value of the property of that name; `None` if it is NULL or not there.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.property(name).and_then(|p| p.value.as_ref())
    }
}
