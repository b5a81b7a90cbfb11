//! Whether a value that came in fits what is declared, and its exact form if it does.

use std::fmt;

use super::decl::{ClassDecl, ParameterDecl, PropertyDecl, Shape};
use crate::cim::{Embedded, Name, Property, Type, Value};

/// How a value does not fit its declaration.
#[derive(Clone, Debug, PartialEq)]
pub enum Mismatch {
    /// An array is declared, a single value came.
    NotArray,
    /// A single value is declared, an array came.
    NotScalar,
    /// A value of another type came.
    Type {
        /// The declared type.
        expected: Type,
        /// The type that came; `None` for a value without type of its own.
        found: Option<Type>,
    },
    /// The number does not fit the declared type.
    Range {
        /// The declared type.
        expected: Type,
    },
    /// The text is no value of the declared type.
    Malformed {
        /// The declared type.
        expected: Type,
    },
    /// An embedded instance is declared, plain text came, or the other way round.
    Embedding,
    /// The reference is to an object of a class that is not the declared one or below it.
    ReferenceClass {
        /// The declared class.
        expected: &'static str,
    },
    /// More elements than the array has.
    TooManyElements,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotArray => f.write_str("an array is needed"),
            Self::NotScalar => f.write_str("a single value is needed, not an array"),
            Self::Type {
                expected,
                found: Some(found),
            } => write!(f, "a value of type {expected} is needed, not {found}"),
            Self::Type { expected, .. } => write!(f, "a value of type {expected} is needed"),
            Self::Range { expected } => write!(f, "the number is out of the range of {expected}"),
            Self::Malformed { expected } => write!(f, "the text is no {expected}"),
            Self::Embedding => f.write_str("an embedded instance and plain text are not the same"),
            Self::ReferenceClass { expected } => {
                write!(f, "a reference to an object of class {expected} is needed")
            }
            Self::TooManyElements => f.write_str("the array has too many elements"),
        }
    }
}

impl std::error::Error for Mismatch {}

/// Why an instance does not fit its class.
#[derive(Clone, Debug, PartialEq)]
pub enum PropertyError {
    /// The class has no such property.
    Unknown(Name),
    /// A property was given twice.
    Doubled(&'static str),
    /// A value does not fit its declaration.
    Mismatch {
        /// The property.
        property: &'static str,
        /// How it does not fit.
        mismatch: Mismatch,
    },
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "the class has no property {name}"),
            Self::Doubled(name) => write!(f, "property {name} is given twice"),
            Self::Mismatch { property, mismatch } => {
                write!(f, "property {property} does not fit: {mismatch}")
            }
        }
    }
}

impl std::error::Error for PropertyError {}

impl ClassDecl {
    /// The properties that came in, in the declared names and types.
    ///
    /// What was not given is not in the result; whether it may be absent is the caller's business.
    pub fn conform(
        &self,
        given: impl IntoIterator<Item = (Name, Option<Value>)>,
    ) -> Result<Vec<Property>, PropertyError> {
        let mut properties: Vec<Property> = Vec::new();
        for (name, value) in given {
            let Some(declared) = self.property(name.as_str()) else {
                return Err(PropertyError::Unknown(name));
            };
            if properties.iter().any(|p| p.name == name) {
                return Err(PropertyError::Doubled(declared.name));
            }
            let value = declared.conform(value);
            let value = value.map_err(|mismatch| PropertyError::Mismatch {
                property: declared.name,
                mismatch,
            })?;
            properties.push(declared.instance_property(value));
        }
        Ok(properties)
    }
}

impl PropertyDecl {
    /// See [`Shape::conform`].
    pub fn conform(&self, value: Option<Value>) -> Result<Option<Value>, Mismatch> {
        self.shape.conform(value)
    }
}

impl ParameterDecl {
    /// See [`Shape::conform`].
    pub fn conform(&self, value: Option<Value>) -> Result<Option<Value>, Mismatch> {
        self.shape.conform(value)
    }
}

impl Shape {
    /// The value in its declared type, or why it is none.
    ///
    /// Integers of any width are taken if they are in range. A string is read as the declared
    /// type, because clients may leave types out (`PARAMTYPE` of DSP0201 is optional); embedded
    /// instances must have been decoded before. NULL always fits.
    pub fn conform(&self, value: Option<Value>) -> Result<Option<Value>, Mismatch> {
        match value {
            None => Ok(None),
            Some(Value::Array(items)) if self.array => {
                if self
                    .array_size
                    .is_some_and(|size| items.len() > size as usize)
                {
                    return Err(Mismatch::TooManyElements);
                }
                let items = items
                    .into_iter()
                    .map(|item| item.map(|item| self.scalar(item)).transpose());
                Ok(Some(Value::Array(items.collect::<Result<_, _>>()?)))
            }
            Some(Value::Array(_)) => Err(Mismatch::NotScalar),
            Some(_) if self.array => Err(Mismatch::NotArray),
            Some(value) => self.scalar(value).map(Some),
        }
    }

    fn scalar(&self, value: Value) -> Result<Value, Mismatch> {
        let expected = self.ty;
        if let (true, Some(number)) = (expected.is_integer(), value.as_integer()) {
            return Value::integer(expected, number).ok_or(Mismatch::Range { expected });
        }
        match value {
            Value::Instance(_) if self.embedded.is_some() => Ok(value),
            Value::Class(_) if self.embedded == Some(Embedded::Object) => Ok(value),
            Value::Instance(_) | Value::Class(_) => Err(Mismatch::Embedding),
            Value::String(_) if self.embedded.is_some() => Err(Mismatch::Embedding),
            Value::String(_) if expected == Type::String => Ok(value),
            Value::String(text) => read(expected, text.trim()),
            Value::Reference(_) if expected == Type::Reference => self.reference(value),
            #[allow(clippy::cast_possible_truncation)] // Rounding is what real32 means.
            Value::Real64(real) if expected == Type::Real32 => Ok(Value::Real32(real as f32)),
            Value::Real32(real) if expected == Type::Real64 => Ok(Value::Real64(real.into())),
            value if value.type_of() == Some(expected) => Ok(value),
            value => Err(Mismatch::Type {
                expected,
                found: value.type_of(),
            }),
        }
    }

    /// Checks the class of a reference, where both classes are known.
    fn reference(&self, value: Value) -> Result<Value, Mismatch> {
        let given = value.as_reference().map(|path| path.class.as_str());
        let given = given.and_then(super::class);
        let Some(expected) = self.reference_class else {
            return Ok(value);
        };
        let fits = match (given, super::class(expected)) {
            (Some(given), Some(declared)) => given.is_subclass_of(declared),
            _ => false,
        };
        if fits {
            Ok(value)
        } else {
            Err(Mismatch::ReferenceClass { expected })
        }
    }
}

/// Reads a text without type as a value of the declared one.
fn read(expected: Type, text: &str) -> Result<Value, Mismatch> {
    let malformed = Mismatch::Malformed { expected };
    let value = match expected {
        Type::Boolean if text.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
        Type::Boolean if text.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
        Type::DateTime => text.parse().ok().map(Value::DateTime),
        Type::Real32 => text.parse().ok().map(Value::Real32),
        Type::Real64 => text.parse().ok().map(Value::Real64),
        Type::Char16 => {
            let mut units = text.encode_utf16();
            let unit = units.next().filter(|_| units.next().is_none());
            unit.map(Value::Char16)
        }
        ty if ty.is_integer() => {
            let number = integer(text).ok_or(malformed.clone())?;
            return Value::integer(ty, number).ok_or(Mismatch::Range { expected });
        }
        Type::Reference => {
            return Err(Mismatch::Type {
                expected,
                found: Some(Type::String),
            });
        }
        _ => None,
    };
    value.ok_or(malformed)
}

/// A decimal or `0x` hexadecimal number (DSP0201 §7.2.2).
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((digits, 10), |digits| (digits, 16));
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    i128::from_str_radix(digits, radix)
        .ok()
        .and_then(|number| number.checked_mul(sign))
}
