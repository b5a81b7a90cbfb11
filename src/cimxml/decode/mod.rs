//! Bytes to a [`Request`]: `tokens` knows XML, the files beside it know one part of the grammar each.
//!
//! The grammar nests, so its readers call each other; how deep they can get is the depth budget's
//! business alone, which has a fixed cap.

mod calls;
mod objects;
mod paths;
mod tokens;
mod values;

use tokens::{Tokens, check_characters};

use super::error::{not_valid, not_well_formed};
use super::limits::Budget;
use super::{DecodeError, Limits, Request, ValueError};
use crate::cim::{Embedded, Value};

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads one request message.
///
/// Versions are checked in document order (CIM, DTD, protocol), before anything behind them.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Request> {
    if bytes.len() > limits.bytes {
        return Err(DecodeError::TooLarge("there are too many bytes"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| not_well_formed(format!("byte {} is not UTF-8", error.valid_up_to())))?;
    let document = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_characters(document)?;
    let mut budget = Budget::new(limits);
    let mut tokens = Tokens::new(document, &mut budget);
    let root = tokens.root()?;
    let request = tokens.request(&root)?;
    tokens.finish()?;
    Ok(request)
}

/// Reads the text of an embedded object that stands alone, with a budget of its own.
pub(super) fn embedded(
    text: &str,
    kind: Embedded,
    limits: &Limits,
) -> std::result::Result<Value, ValueError> {
    check_characters(text)
        .and_then(|()| embedded_within(text, kind, &mut Budget::new(limits)))
        .map_err(ValueError::Embedded)
}

/// Reads the text of an embedded object on the budget of what it stands in.
fn embedded_within(text: &str, kind: Embedded, budget: &mut Budget) -> Result<Value> {
    budget.open_embedded(text.len())?;
    let mut tokens = Tokens::new(text.trim_start(), budget);
    let value = tokens.embedded_root(kind).map_err(|error| match error {
        // The message around it is well-formed: only its value is wrong.
        DecodeError::NotWellFormed(reason) => not_valid(format!(
            "an embedded object is not well-formed XML: {reason}"
        )),
        other => other,
    })?;
    budget.close_embedded();
    Ok(value)
}

impl Tokens<'_, '_> {
    fn embedded_root(&mut self, kind: Embedded) -> Result<Value> {
        let root = self.root()?;
        let value = match (root.name(), kind) {
            ("INSTANCE", _) => Value::from(self.instance(&root)?),
            ("CLASS", Embedded::Object) => Value::Class(Box::new(self.class(&root)?)),
            _ => {
                return Err(not_valid(format!(
                    "an embedded object is {}, not {}",
                    match kind {
                        Embedded::Instance => "an INSTANCE element",
                        Embedded::Object => "an INSTANCE or CLASS element",
                    },
                    root.shown()
                )));
            }
        };
        self.finish()?;
        Ok(value)
    }
}
