//! The arguments and the outcome of a method call, through typed handles.
//!
//! ```
//! use standpipe::cim::{Name, Value};
//! use standpipe::schema::{Arguments, Outputs};
//! use standpipe::schema::method::Standpipe_StorageConfigurationService::*;
//! use CreateOrModifyElementFromStoragePool as Create;
//!
//! let given = [(Name::from("size"), Some(Value::Uint8(8)))];
//! let arguments = Arguments::new(Create, given).expect("fits");
//! let size: u64 = arguments.need(Create::Size).expect("given");
//! let outcome = Outputs::new(Create).set(Create::Size, size).returns(0u32);
//! assert_eq!(outcome.value, Some(Value::Uint32(0)));
//! ```
//!
//! What a method only sends cannot be read from its arguments:
//!
//! ```compile_fail,E0277
//! use standpipe::schema::Arguments;
//! use standpipe::schema::method::Standpipe_StorageConfigurationService::*;
//! use CreateOrModifyElementFromStoragePool as Create;
//!
//! let arguments = Arguments::new(Create, []).expect("fits");
//! arguments.of(Create::Job);
//! ```

use std::fmt;
use std::marker::PhantomData;

use super::conform::Mismatch;
use super::decl::MethodDecl;
use super::typed::{Fits, Native, Param, Receives, Sends, TypedMethod};
use crate::cim::{Name, Property, Value};

/// Why the arguments of a call are refused.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgumentError {
    /// The method has no such input parameter.
    Unknown(Name),
    /// A parameter was given twice.
    Doubled(&'static str),
    /// A parameter that is needed was not given, or is NULL.
    Missing(&'static str),
    /// A value does not fit its declaration.
    Mismatch {
        /// The parameter.
        parameter: &'static str,
        /// How it does not fit.
        mismatch: Mismatch,
    },
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "the method has no input parameter {name}"),
            Self::Doubled(name) => write!(f, "parameter {name} is given twice"),
            Self::Missing(name) => write!(f, "parameter {name} is needed"),
            Self::Mismatch {
                parameter,
                mismatch,
            } => write!(f, "parameter {parameter} does not fit: {mismatch}"),
        }
    }
}

impl std::error::Error for ArgumentError {}

impl MethodDecl {
    /// The values in the order and the types of the declared parameters; absent ones are NULL.
    pub fn arguments(
        &self,
        given: impl IntoIterator<Item = (Name, Option<Value>)>,
    ) -> Result<Vec<Option<Value>>, ArgumentError> {
        let mut seen = vec![false; self.parameters.len()];
        let mut values = vec![None; self.parameters.len()];
        for (name, value) in given {
            let mut declared = self.parameters.iter().zip(values.iter_mut().zip(&mut seen));
            let Some((parameter, (slot, seen))) =
                declared.find(|(parameter, _)| parameter.input && name == *parameter.name)
            else {
                return Err(ArgumentError::Unknown(name));
            };
            if std::mem::replace(seen, true) {
                return Err(ArgumentError::Doubled(parameter.name));
            }
            *slot = parameter
                .conform(value)
                .map_err(|mismatch| ArgumentError::Mismatch {
                    parameter: parameter.name,
                    mismatch,
                })?;
        }
        Ok(values)
    }
}

/// The arguments of a call of method `M`.
#[derive(Clone, Debug)]
pub struct Arguments<M> {
    values: Vec<Option<Value>>,
    marker: PhantomData<fn() -> M>,
}

impl<M: TypedMethod> Arguments<M> {
    /// Checks the given parameters against the declaration.
    pub fn new(
        _method: M,
        given: impl IntoIterator<Item = (Name, Option<Value>)>,
    ) -> Result<Self, ArgumentError> {
        Ok(Self {
            values: M::decl().arguments(given)?,
            marker: PhantomData,
        })
    }

    /// The value of a parameter; `None` if it is NULL or was not given.
    pub fn of<T: Native, D: Receives>(&self, parameter: Param<M, T, D>) -> Option<T> {
        let value = self.values.get(usize::from(parameter.slot));
        value.and_then(Option::as_ref).and_then(T::from_value)
    }

    /// The value of a parameter that the method cannot do without.
    pub fn need<T: Native, D: Receives>(
        &self,
        parameter: Param<M, T, D>,
    ) -> Result<T, ArgumentError> {
        self.of(parameter)
            .ok_or(ArgumentError::Missing(parameter.decl().name))
    }
}

/// The answer to a method call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The return value; `None` for a void method.
    pub value: Option<Value>,
    /// The output parameters that were set, each with its declared type.
    pub outputs: Vec<Property>,
}

/// Builds the answer to a call of method `M`.
#[derive(Debug)]
pub struct Outputs<M> {
    outputs: Vec<Property>,
    marker: PhantomData<fn() -> M>,
}

impl<M: TypedMethod> Outputs<M> {
    /// An answer without output parameters so far.
    pub fn new(_method: M) -> Self {
        Self {
            outputs: Vec::new(),
            marker: PhantomData,
        }
    }

    /// Sets an output parameter; set twice, the later value stands.
    pub fn set<T, D: Sends>(mut self, parameter: Param<M, T, D>, value: impl Fits<T>) -> Self {
        let declared = parameter.decl();
        let shape = declared.shape;
        self.outputs.retain(|p| p.name.as_str() != declared.name);
        self.outputs.push(Property {
            embedded: shape.embedded,
            reference_class: shape.reference_class.map(Name::from_static),
            ..Property::new(
                Name::from_static(declared.name),
                shape.ty,
                shape.array,
                value.into_value(),
            )
        });
        self
    }

    /// The answer with that return value.
    pub fn returns(self, value: impl Fits<M::Returns>) -> Outcome {
        Outcome {
            value: value.into_value(),
            outputs: self.outputs,
        }
    }
}
