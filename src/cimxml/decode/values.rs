//! VALUE and VALUE.ARRAY, attributes with a meaning of their own.

use crate::cim::{Embedded, Name, Type, Value};

use super::super::error::{not_valid, shown};
use super::super::literal::parse_literal;
use super::tokens::{Element, Tokens};
use super::{Result, embedded_within};

impl Tokens<'_, '_> {
    /// The text of the open VALUE as a value of a type.
    pub(super) fn scalar(&mut self, ty: Type, embedded: Option<Embedded>) -> Result<Value> {
        let text = self.text()?;
        match embedded {
            Some(kind) => embedded_within(&text, kind, self.budget),
            None if ty == Type::String => Ok(Value::from(text)),
            None => parse_literal(&text, ty).map_err(|error| not_valid(error.to_string())),
        }
    }

    /// The open VALUE.ARRAY as an array of a type.
    pub(super) fn value_array(
        &mut self,
        array: &Element<'_>,
        ty: Type,
        embedded: Option<Embedded>,
    ) -> Result<Value> {
        self.array(array, "VALUE", |tokens, _| tokens.scalar(ty, embedded))
            .map(Value::Array)
    }

    /// The elements of the open array, each a `tag` or VALUE.NULL.
    pub(super) fn array<T>(
        &mut self,
        array: &Element<'_>,
        tag: &str,
        mut read: impl FnMut(&mut Self, &Element<'_>) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        let mut items = Vec::new();
        while let Some(item) = self.child()? {
            items.push(match item.name() {
                "VALUE.NULL" => {
                    self.end(&item)?;
                    None
                }
                name if name == tag => Some(read(self, &item)?),
                _ => return Err(item.unexpected_in(array)),
            });
        }
        Ok(items)
    }
}

impl Element<'_> {
    /// A name that must be there and not be empty.
    pub(super) fn named(&self, attribute: &str) -> Result<Name> {
        let name = self.required(attribute)?;
        if name.is_empty() {
            return Err(not_valid(format!(
                "{} has an empty {attribute}",
                self.shown()
            )));
        }
        Ok(Name::from(&*name))
    }

    /// A name that may be missing.
    pub(super) fn optional_name(&self, attribute: &str) -> Option<Name> {
        self.attribute(attribute)
            .filter(|name| !name.is_empty())
            .map(|name| Name::from(&*name))
    }

    /// A boolean attribute.
    pub(super) fn flag(&self, attribute: &str, default: bool) -> Result<bool> {
        match self.attribute(attribute) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(not_valid(format!(
                "{attribute}={} is neither true nor false",
                shown(&text)
            ))),
        }
    }

    /// ARRAYSIZE.
    pub(super) fn array_size(&self) -> Result<Option<u32>> {
        self.attribute("ARRAYSIZE")
            .map(|text| {
                text.parse()
                    .map_err(|_| not_valid(format!("{} is no array size", shown(&text))))
            })
            .transpose()
    }

    /// The CIM type that an attribute names; references have elements of their own.
    pub(super) fn type_attribute(&self) -> Result<Type> {
        let name = self.required("TYPE")?;
        match Type::parse(&name) {
            Some(ty) if ty != Type::Reference => Ok(ty),
            _ => Err(not_valid(format!("{} is no type", shown(&name)))),
        }
    }

    /// The embedding attribute in either of the spellings in use.
    pub(super) fn embedded(&self) -> Result<Option<Embedded>> {
        let Some(kind) = self
            .attribute("EmbeddedObject")
            .or_else(|| self.attribute("EMBEDDEDOBJECT"))
        else {
            return Ok(None);
        };
        match &*kind.to_ascii_lowercase() {
            "instance" => Ok(Some(Embedded::Instance)),
            "object" => Ok(Some(Embedded::Object)),
            "" => Ok(None),
            _ => Err(not_valid(format!(
                "EmbeddedObject={} is neither instance nor object",
                shown(&kind)
            ))),
        }
    }
}
