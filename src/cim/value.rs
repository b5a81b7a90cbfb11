//! CIM data types and values (DSP0004 §5.2).

use std::fmt;

use super::{Class, DateTime, Instance, ObjectPath, Text};

/// An intrinsic CIM data type. Whether something is an array is said beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Type {
    Boolean,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Sint8,
    Sint16,
    Sint32,
    Sint64,
    Real32,
    Real64,
    Char16,
    String,
    DateTime,
    Reference,
}

impl Type {
    /// Every type, in the order of DSP0004.
    pub const ALL: [Self; 15] = [
        Self::Boolean,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Sint8,
        Self::Sint16,
        Self::Sint32,
        Self::Sint64,
        Self::Real32,
        Self::Real64,
        Self::Char16,
        Self::String,
        Self::DateTime,
        Self::Reference,
    ];

    /// The name of the type in CIM-XML (`CIMType` of DSP0203; `reference` for PARAMTYPE).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint8 => "sint8",
            Self::Sint16 => "sint16",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Real32 => "real32",
            Self::Real64 => "real64",
            Self::Char16 => "char16",
            Self::String => "string",
            Self::DateTime => "datetime",
            Self::Reference => "reference",
        }
    }

    /// The type of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|t| t.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether values of this type are integers.
    pub const fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Uint8
                | Self::Uint16
                | Self::Uint32
                | Self::Uint64
                | Self::Sint8
                | Self::Sint16
                | Self::Sint32
                | Self::Sint64
        )
    }

    /// Whether values of this type are integers or reals.
    pub const fn is_numeric(self) -> bool {
        self.is_integer() || matches!(self, Self::Real32 | Self::Real64)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a string-typed element carries when it is not plain text (DSP0201 `EmbeddedObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Embedded {
    /// An instance (`EmbeddedInstance` qualifier).
    Instance,
    /// An instance or a class (`EmbeddedObject` qualifier).
    Object,
}

/// One value. NULL is `None` of an `Option<Value>`, inside arrays too.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    Boolean(bool),
    Uint8(u8),
    Uint16(u16),
    Uint32(u32),
    Uint64(u64),
    Sint8(i8),
    Sint16(i16),
    Sint32(i32),
    Sint64(i64),
    Real32(f32),
    Real64(f64),
    /// One UCS-2 unit; never a surrogate.
    Char16(u16),
    String(Text),
    DateTime(DateTime),
    Reference(Box<ObjectPath>),
    /// An embedded instance: its type is [`Type::String`].
    Instance(Box<Instance>),
    /// An embedded class: its type is [`Type::String`].
    Class(Box<Class>),
    /// An array; its elements are of one type, or NULL. Never nested.
    Array(Vec<Option<Value>>),
}

impl Value {
    /// The type of this value; for an array, of its first element that is not NULL.
    pub fn type_of(&self) -> Option<Type> {
        Some(match self {
            Self::Boolean(_) => Type::Boolean,
            Self::Uint8(_) => Type::Uint8,
            Self::Uint16(_) => Type::Uint16,
            Self::Uint32(_) => Type::Uint32,
            Self::Uint64(_) => Type::Uint64,
            Self::Sint8(_) => Type::Sint8,
            Self::Sint16(_) => Type::Sint16,
            Self::Sint32(_) => Type::Sint32,
            Self::Sint64(_) => Type::Sint64,
            Self::Real32(_) => Type::Real32,
            Self::Real64(_) => Type::Real64,
            Self::Char16(_) => Type::Char16,
            Self::String(_) | Self::Instance(_) | Self::Class(_) => Type::String,
            Self::DateTime(_) => Type::DateTime,
            Self::Reference(_) => Type::Reference,
            Self::Array(items) => return items.iter().flatten().next().and_then(Self::type_of),
        })
    }

    /// The value of an integer of any width.
    pub fn as_integer(&self) -> Option<i128> {
        Some(match *self {
            Self::Uint8(v) => v.into(),
            Self::Uint16(v) => v.into(),
            Self::Uint32(v) => v.into(),
            Self::Uint64(v) => v.into(),
            Self::Sint8(v) => v.into(),
            Self::Sint16(v) => v.into(),
            Self::Sint32(v) => v.into(),
            Self::Sint64(v) => v.into(),
            _ => return None,
        })
    }

    /// The integer `number` as a value of type `ty`, if it is in that type's range.
    pub fn integer(ty: Type, number: i128) -> Option<Self> {
        Some(match ty {
            Type::Uint8 => Self::Uint8(number.try_into().ok()?),
            Type::Uint16 => Self::Uint16(number.try_into().ok()?),
            Type::Uint32 => Self::Uint32(number.try_into().ok()?),
            Type::Uint64 => Self::Uint64(number.try_into().ok()?),
            Type::Sint8 => Self::Sint8(number.try_into().ok()?),
            Type::Sint16 => Self::Sint16(number.try_into().ok()?),
            Type::Sint32 => Self::Sint32(number.try_into().ok()?),
            Type::Sint64 => Self::Sint64(number.try_into().ok()?),
            _ => return None,
        })
    }

    /// The characters of a plain string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The path that a reference holds.
    pub fn as_reference(&self) -> Option<&ObjectPath> {
        match self {
            Self::Reference(path) => Some(path),
            _ => None,
        }
    }

    /// Whether two key values name the same thing: integers and reals by value whatever their
    /// width, references by path without host, everything else by equality (DSP0004 §8.2.5).
    pub fn same_key(&self, other: &Self) -> bool {
        match (self.as_integer(), other.as_integer()) {
            (Some(a), Some(b)) => return a == b,
            (None, None) => {}
            _ => return false,
        }
        match (self, other) {
            (Self::Reference(a), Self::Reference(b)) => a.same_object(b),
            (a, b) => a == b,
        }
    }
}

macro_rules! from_native {
    ($($native:ty => $variant:ident),* $(,)?) => {$(
        impl From<$native> for Value {
            fn from(value: $native) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}

from_native! {
    bool => Boolean,
    u8 => Uint8,
    u16 => Uint16,
    u32 => Uint32,
    u64 => Uint64,
    i8 => Sint8,
    i16 => Sint16,
    i32 => Sint32,
    i64 => Sint64,
    f32 => Real32,
    f64 => Real64,
    Text => String,
    DateTime => DateTime,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<ObjectPath> for Value {
    fn from(path: ObjectPath) -> Self {
        Self::Reference(Box::new(path))
    }
}

impl From<Instance> for Value {
    fn from(instance: Instance) -> Self {
        Self::Instance(Box::new(instance))
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(|item| Some(item.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_round_trip() {
        for ty in Type::ALL {
            assert_eq!(Type::parse(&ty.as_str().to_uppercase()), Some(ty));
        }
        assert_eq!(Type::parse("uint128"), None);
    }

    #[test]
    fn integers_stay_in_range() {
        assert_eq!(Value::integer(Type::Uint8, 255), Some(Value::Uint8(255)));
        assert_eq!(Value::integer(Type::Uint8, 256), None);
        assert_eq!(Value::integer(Type::Sint8, -129), None);
        assert_eq!(
            Value::integer(Type::Uint64, u64::MAX.into()),
            Some(Value::Uint64(u64::MAX))
        );
        assert_eq!(Value::integer(Type::String, 1), None);
    }

    #[test]
    fn keys_compare_numbers_by_value() {
        assert!(Value::Uint8(7).same_key(&Value::Sint64(7)));
        assert!(!Value::Uint8(7).same_key(&Value::from("7")));
        assert!(!Value::from("a").same_key(&Value::from("A")));
    }
}
