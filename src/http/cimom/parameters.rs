//! The parameters of an intrinsic operation, taken by name.
//!
//! Each may be given once and in any order; one without a value has its default. What nobody has
//! taken at the end is a parameter that the operation does not have.

use crate::broker::{ClassSelection, Selection, SessionTerms};
use crate::cim::{CimError, Instance, Name, ObjectPath, Type, Value};
use crate::cimxml::{Limits, ParamValue, Wanted};

use super::Sent;

/// What is still to be taken.
pub(super) struct Parameters(Vec<(Name, ParamValue)>);

impl Parameters {
    /// All parameters of a request.
    pub(super) fn new(given: Vec<(Name, ParamValue)>) -> Result<Self, CimError> {
        for (at, (name, _)) in given.iter().enumerate() {
            if given.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(invalid(name.as_str(), "is given twice"));
            }
        }
        Ok(Self(given))
    }

    /// Refuses parameters that nobody took.
    pub(super) fn finish(self) -> Result<(), CimError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(name.as_str(), "is unknown to this operation")),
        }
    }

    fn take(&mut self, name: &str) -> ParamValue {
        let at = self.0.iter().position(|(given, _)| given == name);
        at.map_or(ParamValue::Null, |at| self.0.swap_remove(at).1)
    }

    /// A value whose type the schema tells, not this operation.
    pub(super) fn untyped(&mut self, name: &str) -> Sent {
        Sent(self.take(name))
    }

    fn typed(&mut self, name: &str, wanted: Wanted) -> Result<Option<Value>, CimError> {
        let value = self.take(name).resolve(wanted, &Limits::default());
        value.map_err(|error| invalid(name, &format!("is not valid: {error}")))
    }

    pub(super) fn boolean(&mut self, name: &str, default: bool) -> Result<bool, CimError> {
        match self.typed(name, Wanted::scalar(Type::Boolean))? {
            Some(Value::Boolean(flag)) => Ok(flag),
            _ => Ok(default),
        }
    }

    /// Takes a boolean that makes no difference.
    pub(super) fn ignored(&mut self, name: &str) -> Result<(), CimError> {
        self.boolean(name, false).map(|_| ())
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<u32>, CimError> {
        match self.typed(name, Wanted::scalar(Type::Uint32))? {
            Some(Value::Uint32(number)) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, CimError> {
        let value = self.typed(name, Wanted::scalar(Type::String))?;
        Ok(value.and_then(|value| value.as_str().map(Into::into)))
    }

    /// The name of a class: CLASSNAME.
    pub(super) fn class(&mut self, name: &str) -> Result<Option<Name>, CimError> {
        match self.take(name) {
            ParamValue::Null => Ok(None),
            ParamValue::Path(path) if path.keys.is_none() => Ok(Some(path.class)),
            _ => Err(invalid(name, "is not the name of a class")),
        }
    }

    /// The path of an instance: INSTANCENAME.
    pub(super) fn instance_name(&mut self, name: &str) -> Result<ObjectPath, CimError> {
        let path = self.object_name(name)?;
        match path.keys {
            Some(_) => Ok(path),
            None => Err(invalid(name, "is the path of a class, not of an instance")),
        }
    }

    /// The path of an instance or a class: INSTANCENAME or CLASSNAME.
    pub(super) fn object_name(&mut self, name: &str) -> Result<ObjectPath, CimError> {
        match self.take(name) {
            ParamValue::Path(path) => Ok(path),
            ParamValue::Null => Err(missing(name)),
            _ => Err(invalid(name, "is not the path of an object")),
        }
    }

    pub(super) fn instance(&mut self, name: &str) -> Result<Instance, CimError> {
        match self.take(name) {
            ParamValue::Instance(instance) => Ok(*instance),
            ParamValue::Null => Err(missing(name)),
            _ => Err(invalid(name, "is not an instance")),
        }
    }

    pub(super) fn named_instance(
        &mut self,
        name: &str,
    ) -> Result<(ObjectPath, Instance), CimError> {
        match self.take(name) {
            ParamValue::NamedInstance(named) => Ok(*named),
            ParamValue::Null => Err(missing(name)),
            _ => Err(invalid(name, "is not an instance with its path")),
        }
    }

    /// The names in `PropertyList`; NULL means all properties, an empty list none.
    pub(super) fn property_list(&mut self) -> Result<Option<Vec<Name>>, CimError> {
        match self.typed("PropertyList", Wanted::array(Type::String))? {
            Some(Value::Array(names)) => {
                let names = names.iter().flatten().filter_map(Value::as_str);
                Ok(Some(names.map(Name::from).collect()))
            }
            _ => Ok(None),
        }
    }

    /// The choice of properties that every reading of instances has.
    pub(super) fn selection(&mut self) -> Result<Selection, CimError> {
        Ok(Selection {
            properties: self.property_list()?,
            class_origin: self.boolean("IncludeClassOrigin", false)?,
            ..Selection::default()
        })
    }

    pub(super) fn class_selection(&mut self) -> Result<ClassSelection, CimError> {
        Ok(ClassSelection {
            local_only: self.boolean("LocalOnly", true)?,
            qualifiers: self.boolean("IncludeQualifiers", true)?,
            class_origin: self.boolean("IncludeClassOrigin", false)?,
            properties: None,
        })
    }

    /// What every Open operation takes beside its source.
    pub(super) fn session(&mut self) -> Result<SessionTerms, CimError> {
        Ok(SessionTerms {
            timeout: self.number("OperationTimeout")?,
            continue_on_error: self.boolean("ContinueOnError", false)?,
            count: self.number("MaxObjectCount")?.unwrap_or(0),
            filter_language: self.string("FilterQueryLanguage")?,
            filter: self.string("FilterQuery")?,
        })
    }
}

/// A value that the operation cannot do without.
pub(super) fn needed<T>(name: &str, value: Option<T>) -> Result<T, CimError> {
    value.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> CimError {
    invalid(name, "is missing")
}

fn invalid(name: &str, reason: &str) -> CimError {
    CimError::invalid_parameter(format!("parameter {name} {reason}"))
}
