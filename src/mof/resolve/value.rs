//! Constants to values of a declared type.

use super::super::ast::{Initializer, Literal};
use super::super::diagnostic::{Diagnostic, Problem};
use super::super::source::Spanned;
use crate::cim::{ObjectPath, Type, Value};

/// The type that a value must have.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    pub(super) ty: Type,
    pub(super) array: bool,
    pub(super) array_size: Option<u32>,
}

/// The value of `written`; NULL is `None`. Aliases are the caller's business.
pub(super) fn value(
    written: &Initializer,
    expected: Expected,
) -> Result<Option<Value>, Diagnostic> {
    match written {
        Initializer::Scalar(literal) if literal.it == Literal::Null => Ok(None),
        Initializer::Scalar(literal) if !expected.array => scalar(literal, expected.ty),
        Initializer::Scalar(literal) => Err(mismatch(expected, literal)),
        Initializer::Array(_, span) if !expected.array => {
            let problem = Problem::TypeMismatch {
                expected: describe(expected),
                found: "an array",
            };
            Err(Diagnostic::new(problem, *span))
        }
        Initializer::Array(items, span) => {
            if let Some(size) = expected.array_size
                && items.len() > size as usize
            {
                return Err(Diagnostic::new(Problem::TooManyElements(size), *span));
            }
            let items: Result<Vec<_>, _> = items.iter().map(|i| scalar(i, expected.ty)).collect();
            Ok(Some(Value::Array(items?)))
        }
    }
}

fn scalar(literal: &Spanned<Literal>, ty: Type) -> Result<Option<Value>, Diagnostic> {
    let fail = |problem| Err(Diagnostic::new(problem, literal.span));
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    let value = match (ty, &literal.it) {
        (_, Literal::Null) => return Ok(None),
        (Type::Boolean, Literal::Boolean(flag)) => Value::Boolean(*flag),
        (Type::Char16, Literal::Char(unit)) => Value::Char16(*unit),
        (Type::String, Literal::String(text)) => Value::from(text.as_str()),
        (Type::Real32, Literal::Real(number)) => Value::Real32(*number as f32),
        (Type::Real64, Literal::Real(number)) => Value::Real64(*number),
        (Type::Real32, Literal::Integer(number)) => Value::Real32(*number as f32),
        (Type::Real64, Literal::Integer(number)) => Value::Real64(*number as f64),
        (ty, Literal::Integer(number)) if ty.is_integer() => match Value::integer(ty, *number) {
            Some(value) => value,
            None => {
                let number = *number;
                return fail(Problem::OutOfRange { ty, number });
            }
        },
        (Type::DateTime, Literal::String(text)) => match text.parse() {
            Ok(time) => Value::DateTime(time),
            Err(_) => return fail(Problem::BadDateTime(text.clone())),
        },
        (Type::Reference, Literal::String(text)) => match ObjectPath::parse(text) {
            Some(path) => path.into(),
            None => return fail(Problem::BadObjectPath),
        },
        (ty, _) => {
            let expected = Expected {
                ty,
                array: false,
                array_size: None,
            };
            return Err(mismatch(expected, literal));
        }
    };
    Ok(Some(value))
}

fn mismatch(expected: Expected, literal: &Spanned<Literal>) -> Diagnostic {
    let problem = Problem::TypeMismatch {
        expected: describe(expected),
        found: literal.it.kind(),
    };
    Diagnostic::new(problem, literal.span)
}

fn describe(expected: Expected) -> String {
    if expected.array {
        format!("an array of {}", expected.ty)
    } else {
        format!("a value of type {}", expected.ty)
    }
}
