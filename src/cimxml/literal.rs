//! Texts to values: literals of every type, keys, parameters whose type the schema says.

use crate::cim::{Type, Value};

use super::{Limits, ParamValue, ValueError, Wanted};

/// Reads the text of a VALUE as a literal of a type (DSP0201 §5.2.2).
pub fn parse_literal(_text: &str, _ty: Type) -> Result<Value, ValueError> {
    unimplemented!()
}

/// Reads the text of a KEYVALUE. TYPE, where it is there and not empty, wins over VALUETYPE.
pub fn parse_key(
    _text: &str,
    _value_type: Option<&str>,
    _ty: Option<&str>,
) -> Result<Value, ValueError> {
    unimplemented!()
}

/// A key value as one of the declared type, if it can be: clients often say no type in a path.
pub fn retype_key(_value: &Value, _ty: Type) -> Option<Value> {
    unimplemented!()
}

pub(super) fn resolve(
    _value: &ParamValue,
    _wanted: Wanted,
    _limits: &Limits,
) -> Result<Option<Value>, ValueError> {
    unimplemented!()
}
