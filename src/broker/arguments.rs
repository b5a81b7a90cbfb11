//! What goes into a method and what comes out of it, checked against the declaration elsewhere.

use crate::cim::{CimError, Instance, ObjectPath, Value};

use super::model::{Invocation, Snapshot};

/// The IN arguments of a call; NULL ones are not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments(Vec<(&'static str, Value)>);

impl Arguments {
    /// The value of a parameter; `None` if it is NULL or was not sent.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The characters of a string argument.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// An unsigned integer of any width.
    pub fn unsigned(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_integer()?.try_into().ok()
    }

    /// A boolean.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A reference.
    pub fn reference(&self, name: &str) -> Option<&ObjectPath> {
        self.value(name)?.as_reference()
    }

    /// An embedded instance.
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        match self.value(name)? {
            Value::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    /// The elements of an array; an empty one is there, NULL is not.
    pub fn array(&self, name: &str) -> Option<&[Option<Value>]> {
        match self.value(name)? {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The strings of an array, without its NULLs.
    pub fn texts(&self, name: &str) -> Option<Vec<&str>> {
        let items = self.array(name)?;
        Some(items.iter().flatten().filter_map(Value::as_str).collect())
    }

    /// The references of an array, without its NULLs.
    pub fn references(&self, name: &str) -> Option<Vec<&ObjectPath>> {
        let items = self.array(name)?;
        let paths = items.iter().flatten().filter_map(Value::as_reference);
        Some(paths.collect())
    }

    /// The names and values in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}

impl<V: Into<Value>> FromIterator<(&'static str, V)> for Arguments {
    fn from_iter<I: IntoIterator<Item = (&'static str, V)>>(arguments: I) -> Self {
        Self(arguments.into_iter().map(|(n, v)| (n, v.into())).collect())
    }
}

impl<S: Snapshot> Invocation<S> {
    /// The element that a reference argument names; `None` if it is NULL.
    pub fn element(&self, parameter: &str) -> Result<Option<S::Id>, CimError> {
        self.arguments
            .reference(parameter)
            .map(|path| self.find(parameter, path))
            .transpose()
    }

    /// The elements that an array of references names; `None` if it is NULL.
    pub fn elements(&self, parameter: &str) -> Result<Option<Vec<S::Id>>, CimError> {
        self.arguments
            .references(parameter)
            .map(|paths| {
                let found = paths.into_iter().map(|path| self.find(parameter, path));
                found.collect()
            })
            .transpose()
    }

    fn find(&self, parameter: &str, path: &ObjectPath) -> Result<S::Id, CimError> {
        self.snapshot.resolve(path).map_err(|error| {
            CimError::new(
                error.status,
                format!("parameter {parameter}: {}", error.description),
            )
        })
    }
}

/// What a method returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    /// The return value, of the declared type.
    pub value: Value,
    /// OUT parameters by name; those that are not listed are NULL.
    pub outputs: Vec<(&'static str, Value)>,
}

impl Returned {
    /// A return value without outputs.
    pub fn new(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            outputs: Vec::new(),
        }
    }

    /// The same with an OUT parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.outputs.push((name, value.into()));
        self
    }
}
