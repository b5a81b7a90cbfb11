//! Handles that carry the class and the type of an element, and the Rust types that fit.

use std::marker::PhantomData;

use super::decl::{ClassDecl, MethodDecl, ParameterDecl, PropertyDecl};
use super::tables::{CLASSES, METHODS, PROPERTIES};
use crate::cim::{DateTime, Instance, Name, ObjectPath, Text, Value};

/// Ties a handle to types without holding a value of them.
type Marker<T> = PhantomData<fn() -> T>;

/// A class as a Rust type; the build script writes one per class in [`mod@super::class`].
pub trait TypedClass: Copy + Send + Sync + 'static {
    /// Its place in the table of classes.
    const INDEX: u16;

    /// Its declaration.
    fn decl() -> &'static ClassDecl {
        &CLASSES[usize::from(Self::INDEX)]
    }

    /// Its name, without allocation.
    fn name() -> Name {
        Name::from_static(Self::decl().name)
    }
}

/// A method as a Rust type; the build script writes them into [`mod@super::method`].
pub trait TypedMethod: Copy + Send + Sync + 'static {
    /// The type of its return value; `()` for void.
    type Returns;
    /// Its place in the table of methods.
    const INDEX: u16;
    /// Its name.
    const NAME: &'static str;

    /// Its declaration.
    fn decl() -> &'static MethodDecl {
        &METHODS[usize::from(Self::INDEX)]
    }
}

/// A property of class `C` with values of type `T`.
pub struct Prop<C, T, K = Plain> {
    /// Its place among the properties of the class.
    pub(super) slot: u16,
    property: u16,
    marker: Marker<(C, T, K)>,
}

/// A property that is a key.
pub type Key<C, T> = Prop<C, T, IsKey>;

/// Marks a property that is no key.
#[derive(Debug)]
pub enum Plain {}

/// Marks a property that is a key.
#[derive(Debug)]
pub enum IsKey {}

impl<C, T, K> Clone for Prop<C, T, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, T, K> Copy for Prop<C, T, K> {}

impl<C, T, K> Prop<C, T, K> {
    pub(super) const fn at(slot: u16, property: u16) -> Self {
        Self {
            slot,
            property,
            marker: PhantomData,
        }
    }

    /// Its declaration.
    pub fn decl(self) -> &'static PropertyDecl {
        &PROPERTIES[usize::from(self.property)]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.decl().name
    }
}

impl<C, T: Native, K> Prop<C, T, K> {
    /// The value of this property in `instance`, which may be of another class; `None` if it is
    /// NULL, absent or of another type.
    pub fn of(self, instance: &Instance) -> Option<T> {
        instance.value(self.name()).and_then(T::from_value)
    }
}

/// A parameter of method `M` with values of type `T`, in direction `D`.
pub struct Param<M, T, D> {
    /// Its place among the parameters of the method.
    pub(super) slot: u16,
    marker: Marker<(M, T, D)>,
}

/// A parameter that clients send.
pub type In<M, T> = Param<M, T, Input>;
/// A parameter that the answer holds.
pub type Out<M, T> = Param<M, T, Output>;
/// A parameter that goes both ways.
pub type InOut<M, T> = Param<M, T, Both>;

/// Direction of a parameter that only goes in.
#[derive(Debug)]
pub enum Input {}
/// Direction of a parameter that only comes out.
#[derive(Debug)]
pub enum Output {}
/// Direction of a parameter that goes in and comes out.
#[derive(Debug)]
pub enum Both {}

/// Directions in which a method receives a parameter.
pub trait Receives {}
impl Receives for Input {}
impl Receives for Both {}

/// Directions in which a method sends a parameter.
pub trait Sends {}
impl Sends for Output {}
impl Sends for Both {}

impl<M, T, D> Clone for Param<M, T, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M, T, D> Copy for Param<M, T, D> {}

impl<M: TypedMethod, T, D> Param<M, T, D> {
    pub(super) const fn at(slot: u16) -> Self {
        Self {
            slot,
            marker: PhantomData,
        }
    }

    /// Its declaration.
    pub fn decl(self) -> &'static ParameterDecl {
        &M::decl().parameters[usize::from(self.slot)]
    }
}

/// What may be given where the schema wants a `T`; `None` is NULL.
pub trait Fits<T> {
    /// The value, `None` for NULL.
    fn into_value(self) -> Option<Value>;
}

/// The Rust type of a CIM type: what reading a `T` yields.
pub trait Native: Sized {
    /// The value as this type; `None` if it is of another one.
    fn from_value(value: &Value) -> Option<Self>;
}

impl<T, V: Fits<T>> Fits<T> for Option<V> {
    fn into_value(self) -> Option<Value> {
        self.and_then(V::into_value)
    }
}

impl<T, V: Fits<T>> Fits<Vec<T>> for Vec<V> {
    fn into_value(self) -> Option<Value> {
        Some(Value::Array(self.into_iter().map(V::into_value).collect()))
    }
}

impl<T, V: Fits<T>, const N: usize> Fits<Vec<T>> for [V; N] {
    fn into_value(self) -> Option<Value> {
        Some(Value::Array(self.into_iter().map(V::into_value).collect()))
    }
}

impl<T: Native> Native for Vec<T> {
    /// NULL elements make the whole array unreadable.
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Array(items) => {
                let items = items.iter();
                items.map(|i| i.as_ref().and_then(T::from_value)).collect()
            }
            _ => None,
        }
    }
}

macro_rules! native {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl Fits<$ty> for $ty {
            fn into_value(self) -> Option<Value> {
                Some(Value::from(self))
            }
        }

        impl Native for $ty {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some((*value).clone().into()),
                    _ => None,
                }
            }
        }
    )*};
}

native! {
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

macro_rules! boxed {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl Fits<$ty> for $ty {
            fn into_value(self) -> Option<Value> {
                Some(Value::from(self))
            }
        }

        impl Native for $ty {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some((**value).clone()),
                    _ => None,
                }
            }
        }
    )*};
}

boxed! {
    ObjectPath => Reference,
    Instance => Instance,
}

macro_rules! text {
    ($($ty:ty),* $(,)?) => {$(
        impl Fits<Text> for $ty {
            fn into_value(self) -> Option<Value> {
                Some(Value::String(self.into()))
            }
        }
    )*};
}

text!(&str, String, &Text);

impl Fits<char> for char {
    /// A character beyond UCS-2 is NULL.
    fn into_value(self) -> Option<Value> {
        u16::try_from(u32::from(self)).ok().map(Value::Char16)
    }
}

impl Native for char {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Char16(unit) => Self::from_u32((*unit).into()),
            _ => None,
        }
    }
}
