//! Values: VALUE, VALUE.ARRAY, VALUE.REFERENCE, VALUE.REFARRAY and the texts in them.

use std::fmt::Write as _;

use crate::cim::{Embedded, Value};

use super::Encoder;

/// What the elements of a value embed, as far as the value itself tells.
pub(super) fn embedded_in(value: Option<&Value>) -> Option<Embedded> {
    match value? {
        Value::Instance(_) => Some(Embedded::Instance),
        Value::Class(_) => Some(Embedded::Object),
        Value::Array(items) => {
            let mut kinds = items.iter().flatten().map(|item| embedded_in(Some(item)));
            let first = kinds.next()?;
            // Instances beside classes can only be objects.
            if kinds.all(|kind| kind == first) {
                first
            } else {
                Some(Embedded::Object)
            }
        }
        _ => None,
    }
}

impl Encoder {
    /// The attribute `EmbeddedObject`, in the mixed case that every client reads.
    pub(super) fn embedded_attr(&mut self, declared: Option<Embedded>, value: Option<&Value>) {
        let kind = declared.or_else(|| embedded_in(value));
        if let Some(kind) = kind {
            self.xml.const_attr(
                "EmbeddedObject",
                match kind {
                    Embedded::Instance => "instance",
                    Embedded::Object => "object",
                },
            );
        }
    }

    /// The element that holds a value of any shape.
    pub(super) fn any_value(&mut self, value: &Value) {
        match value {
            Value::Reference(path) => self.value_reference(path),
            Value::Array(items) => {
                let references = items
                    .iter()
                    .flatten()
                    .any(|item| matches!(item, Value::Reference(_)));
                self.array(items, references);
            }
            scalar => self.value(scalar),
        }
    }

    /// VALUE.ARRAY, or VALUE.REFARRAY, which an empty array does not tell by itself.
    pub(super) fn array(&mut self, items: &[Option<Value>], references: bool) {
        let tag = if references {
            "VALUE.REFARRAY"
        } else {
            "VALUE.ARRAY"
        };
        self.xml.element(tag);
        for item in items {
            match item {
                None => {
                    self.xml.open("VALUE.NULL");
                    self.xml.empty();
                }
                Some(Value::Reference(path)) => self.value_reference(path),
                Some(scalar) => self.value(scalar),
            }
        }
        self.xml.close(tag);
    }

    /// VALUE.
    fn value(&mut self, scalar: &Value) {
        self.xml.element("VALUE");
        self.scalar_text(scalar);
        self.xml.close("VALUE");
    }

    /// The text of a scalar as VALUE and KEYVALUE hold it (DSP0201 §5.2.2).
    pub(super) fn scalar_text(&mut self, value: &Value) {
        match value {
            Value::Boolean(flag) => self.xml.raw(if *flag { "TRUE" } else { "FALSE" }),
            Value::Uint8(v) => self.xml.digits(false, u64::from(*v)),
            Value::Uint16(v) => self.xml.digits(false, u64::from(*v)),
            Value::Uint32(v) => self.xml.digits(false, u64::from(*v)),
            Value::Uint64(v) => self.xml.digits(false, *v),
            Value::Sint8(v) => self.signed(i64::from(*v)),
            Value::Sint16(v) => self.signed(i64::from(*v)),
            Value::Sint32(v) => self.signed(i64::from(*v)),
            Value::Sint64(v) => self.signed(*v),
            Value::Real32(v) => self.real(f64::from(*v), format_args!("{v:?}")),
            Value::Real64(v) => self.real(*v, format_args!("{v:?}")),
            Value::Char16(unit) => {
                let c = char::from_u32((*unit).into()).unwrap_or('\u{fffd}');
                self.xml.text(c.encode_utf8(&mut [0; 4]));
            }
            Value::String(text) => self.xml.text(text),
            Value::DateTime(time) => self.xml.raw(time.as_str()),
            Value::Instance(instance) => self.escaped(|inner| inner.instance(instance)),
            Value::Class(class) => self.escaped(|inner| inner.class(class)),
            // Neither is a scalar; a value that nests them is a bug of its maker.
            Value::Reference(_) | Value::Array(_) => debug_assert!(false, "not a scalar"),
        }
    }

    fn signed(&mut self, value: i64) {
        self.xml.digits(value < 0, value.unsigned_abs());
    }

    /// A real: the shortest digits that read back as the same number, always with a point.
    fn real(&mut self, value: f64, shortest: std::fmt::Arguments<'_>) {
        if value.is_nan() {
            return self.xml.raw("NaN");
        }
        if value.is_infinite() {
            return self.xml.raw(if value > 0.0 { "INF" } else { "-INF" });
        }
        let mut digits = String::new();
        // Writing to a string cannot fail.
        let _ = write!(digits, "{shortest}");
        match digits.split_once('e') {
            None => self.xml.raw(&digits),
            Some((mantissa, exponent)) => {
                self.xml.raw(mantissa);
                if !mantissa.contains('.') {
                    self.xml.raw(".0");
                }
                self.xml.raw("E");
                self.xml.raw(exponent);
            }
        }
    }
}
