//! Texts to values: literals of every type, keys, parameters whose type the schema says.

use crate::cim::{DateTime, Embedded, Instance, Text, Type, Value};

use super::error::shown;
use super::{Limits, ParamValue, ValueError, Wanted, decode};

/// Reads the text of a VALUE as a literal of a type (DSP0201 §5.2.2; numbers and booleans may
/// have white space around them).
///
/// A reference is no literal: it has an element of its own.
pub fn parse_literal(text: &str, ty: Type) -> Result<Value, ValueError> {
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    let value = match ty {
        Type::String => Some(Value::from(text)),
        Type::Boolean => boolean(trimmed),
        Type::Char16 => char16(text),
        Type::DateTime => text.parse::<DateTime>().ok().map(Value::DateTime),
        Type::Real32 => real(trimmed)
            .then(|| trimmed.parse::<f32>().ok())
            .flatten()
            .and_then(|v| (v.is_finite() || is_special(trimmed)).then_some(Value::Real32(v))),
        Type::Real64 => real(trimmed)
            .then(|| trimmed.parse::<f64>().ok())
            .flatten()
            .and_then(|v| (v.is_finite() || is_special(trimmed)).then_some(Value::Real64(v))),
        Type::Reference => None,
        integer => number(trimmed, integer).and_then(|n| Value::integer(integer, n)),
    };
    value.ok_or_else(|| ValueError::Literal {
        ty,
        text: shown(text),
    })
}

fn boolean(text: &str) -> Option<Value> {
    if text.eq_ignore_ascii_case("true") {
        Some(Value::Boolean(true))
    } else if text.eq_ignore_ascii_case("false") {
        Some(Value::Boolean(false))
    } else {
        None
    }
}

/// Exactly one UCS-2 unit; white space counts.
fn char16(text: &str) -> Option<Value> {
    let mut chars = text.chars();
    let unit = u16::try_from(u32::from(chars.next()?)).ok()?;
    chars.next().is_none().then_some(Value::Char16(unit))
}

/// A decimal number with an optional sign; hexadecimal for unsigned types.
fn number(text: &str, ty: Type) -> Option<i128> {
    let unsigned = matches!(ty, Type::Uint8 | Type::Uint16 | Type::Uint32 | Type::Uint64);
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if unsigned && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            i128::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// Whether the text is one of the three reals that are no numbers.
fn is_special(text: &str) -> bool {
    let word = text.strip_prefix(['+', '-']).unwrap_or(text);
    word.eq_ignore_ascii_case("inf") || text.eq_ignore_ascii_case("nan")
}

/// Whether the text has the form of a real: digits, perhaps a fraction, perhaps an exponent.
fn real(text: &str) -> bool {
    if is_special(text) {
        return true;
    }
    let unsigned = |t: &'_ str| t.strip_prefix(['+', '-']).unwrap_or(t).to_owned();
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa_is_good = match unsigned(mantissa).split_once('.') {
        Some((whole, fraction)) => (whole.is_empty() || digits(whole)) && digits(fraction),
        None => digits(&unsigned(mantissa)),
    };
    mantissa_is_good && exponent.is_none_or(|e| digits(&unsigned(e)))
}

/// Reads the text of a KEYVALUE (DSP0201 §5.2.5.4). TYPE, where it is there and names a type, wins
/// over VALUETYPE; without both the key is a string.
pub fn parse_key(
    text: &str,
    value_type: Option<&str>,
    ty: Option<&str>,
) -> Result<Value, ValueError> {
    if let Some(ty) = ty.and_then(Type::parse) {
        return parse_literal(text, ty);
    }
    match value_type.map(str::to_ascii_lowercase).as_deref() {
        Some("boolean") => parse_literal(text, Type::Boolean),
        Some("numeric") => [Type::Uint64, Type::Sint64]
            .into_iter()
            .find_map(|ty| parse_literal(text, ty).ok())
            .map_or_else(|| parse_literal(text, Type::Real64), Ok),
        _ => Ok(Value::from(text)),
    }
}

/// A key value as one of the declared type, if it can be: clients often say no type in a path, or
/// another one than the class does.
pub fn retype_key(value: &Value, ty: Type) -> Option<Value> {
    convert(value, ty)
}

/// A typed scalar as one of another type of the same family.
fn convert(value: &Value, ty: Type) -> Option<Value> {
    if value.type_of() == Some(ty) {
        return Some(value.clone());
    }
    if let Some(number) = value.as_integer() {
        return match ty {
            // A key that looks like a number may still be declared as text or real.
            Type::String => Some(Value::from(number.to_string())),
            Type::Real32 => Some(Value::Real32(number as f32)),
            Type::Real64 => Some(Value::Real64(number as f64)),
            _ => Value::integer(ty, number),
        };
    }
    match (value, ty) {
        (Value::String(text), ty) => parse_literal(text, ty).ok(),
        (Value::Real32(v), Type::Real64) => Some(Value::Real64(f64::from(*v))),
        // The nearest real32, unless only the infinite one is near.
        (Value::Real64(v), Type::Real32) if (*v as f32).is_finite() == v.is_finite() => {
            Some(Value::Real32(*v as f32))
        }
        (Value::DateTime(time), Type::String) => Some(Value::from(time.as_str())),
        (Value::Boolean(flag), Type::String) => {
            Some(Value::from(if *flag { "TRUE" } else { "FALSE" }))
        }
        (Value::Char16(unit), Type::String) => {
            char::from_u32((*unit).into()).map(|c| Value::from(c.to_string()))
        }
        _ => None,
    }
}

/// [`ParamValue::resolve`].
pub(super) fn resolve(
    value: &ParamValue,
    wanted: Wanted,
    limits: &Limits,
) -> Result<Option<Value>, ValueError> {
    let shape = |is_array: bool| {
        if is_array == wanted.array {
            Ok(())
        } else {
            Err(ValueError::Shape {
                array_wanted: wanted.array,
            })
        }
    };
    let kind = |found| ValueError::Kind {
        wanted: wanted.ty,
        found,
    };
    match value {
        ParamValue::Null => Ok(None),
        ParamValue::Text(text) => {
            shape(false)?;
            untyped(text, wanted, limits).map(Some)
        }
        ParamValue::Texts(texts) => {
            shape(true)?;
            each(texts, |text| untyped(text, wanted, limits))
        }
        ParamValue::Value(Value::Array(items)) => {
            shape(true)?;
            each(items, |item| typed(item, wanted, limits))
        }
        ParamValue::Value(value) => {
            shape(false)?;
            typed(value, wanted, limits).map(Some)
        }
        ParamValue::Path(path) => {
            shape(false)?;
            match wanted.ty {
                Type::Reference => Ok(Some(Value::from(path.clone()))),
                // The operations pass class names as strings where they are no references.
                Type::String if path.keys.is_none() && path.namespace.is_none() => {
                    Ok(Some(Value::String(path.class.to_text())))
                }
                _ => Err(kind("a path")),
            }
        }
        ParamValue::Paths(paths) => {
            shape(true)?;
            if wanted.ty != Type::Reference {
                return Err(kind("an array of references"));
            }
            each(paths, |path| Ok(Value::from(path.clone())))
        }
        ParamValue::Instance(instance) => {
            shape(false)?;
            embeddable(instance, wanted).map(Some)
        }
        ParamValue::NamedInstance(_) => Err(kind(
            "a VALUE.NAMEDINSTANCE element (an INSTANCE element is wanted)",
        )),
        ParamValue::Class(class) => {
            shape(false)?;
            match wanted.embedded {
                Some(Embedded::Object) => Ok(Some(Value::Class(class.clone()))),
                _ => Err(kind("a class")),
            }
        }
        ParamValue::QualifierDeclaration(_) => Err(kind("a qualifier declaration")),
    }
}

fn each<T>(
    items: &[Option<T>],
    mut read: impl FnMut(&T) -> Result<Value, ValueError>,
) -> Result<Option<Value>, ValueError> {
    items
        .iter()
        .map(|item| item.as_ref().map(&mut read).transpose())
        .collect::<Result<Vec<_>, _>>()
        .map(|items| Some(Value::Array(items)))
}

fn untyped(text: &Text, wanted: Wanted, limits: &Limits) -> Result<Value, ValueError> {
    match (wanted.embedded, wanted.ty) {
        (Some(kind), _) => decode::embedded(text, kind, limits),
        (None, Type::String) => Ok(Value::String(text.clone())),
        (None, Type::Reference) => Err(ValueError::Kind {
            wanted: Type::Reference,
            found: "a text",
        }),
        (None, ty) => parse_literal(text, ty),
    }
}

fn typed(value: &Value, wanted: Wanted, limits: &Limits) -> Result<Value, ValueError> {
    let kind = |found| ValueError::Kind {
        wanted: wanted.ty,
        found,
    };
    match value {
        Value::String(text) => untyped(text, wanted, limits),
        Value::Instance(instance) => embeddable(instance, wanted),
        Value::Class(_) if wanted.embedded == Some(Embedded::Object) => Ok(value.clone()),
        Value::Class(_) => Err(kind("a class")),
        Value::Reference(_) if wanted.ty != Type::Reference => Err(kind("a reference")),
        // Only text may stand for text: `1` with the type of a number is a client's mistake.
        other if wanted.ty == Type::String => Err(kind(match other {
            Value::Boolean(_) => "a boolean",
            Value::DateTime(_) => "a datetime",
            Value::Char16(_) => "a char16",
            _ => "a number",
        })),
        other => convert(other, wanted.ty).ok_or_else(|| match other.as_integer() {
            Some(number) => ValueError::Literal {
                ty: wanted.ty,
                text: number.to_string(),
            },
            None => kind("a value of another type"),
        }),
    }
}

fn embeddable(instance: &Instance, wanted: Wanted) -> Result<Value, ValueError> {
    match wanted.embedded {
        Some(_) => Ok(Value::from(instance.clone())),
        None => Err(ValueError::Kind {
            wanted: wanted.ty,
            found: "an instance",
        }),
    }
}
