//! Method calls as they are kept with their jobs, and as clients read them (`CIM_MethodResult`).
//!
//! The array keeps two texts and does not read them. They are JSON, because what is kept must be
//! read by later versions of this program, too.

use serde::{Deserialize, Serialize};

use crate::array::{Call, MAX_CALL};
use crate::broker::{Invocation, Snapshot as _, Subject, Target};
use crate::cim::{Embedded, Instance, Name, ObjectPath, Property, Type, Value};
use crate::schema::{Builder, Outcome, class};

use super::view::View;

/// The class of the instance that parameters are kept in, as CIM_InstMethodCall has it.
const PARAMETERS: &str = "__MethodParameters";

/// Words in the names of parameters that are not kept, in lower case.
const SECRET: [&str; 5] = [
    "secret",
    "password",
    "passphrase",
    "credential",
    "sharedkey",
];

/// What was asked.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// The path of the object that the method was called on.
    object: String,
    method: String,
    /// `None` where they were too long.
    parameters: Option<Vec<Kept>>,
}

/// What was answered.
#[derive(Debug, Serialize, Deserialize)]
struct Answered {
    returned: Option<String>,
    /// `None` where they were too long.
    parameters: Option<Vec<Kept>>,
}

/// A parameter, or a property of an instance in one.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    value: Datum,
}

/// A value; its type is said beside it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Datum {
    Scalar(String),
    Array(Vec<Option<Datum>>),
    Instance(String, Vec<Kept>),
}

impl Kept {
    /// `None` for what has no value, or is not to be kept.
    fn of(name: &str, ty: Type, value: Option<&Value>) -> Option<Self> {
        let folded = name.to_ascii_lowercase();
        if SECRET.iter().any(|word| folded.contains(word)) {
            return None;
        }
        // No property of an instance can be an array of references.
        let ty = match (ty, value?) {
            (Type::Reference, Value::Array(_)) => Type::String,
            _ => ty,
        };
        Some(Self {
            name: name.to_owned(),
            ty: ty.as_str().to_owned(),
            value: Datum::of(value?)?,
        })
    }

    /// The same as a property; `None` for what this program cannot read.
    fn property(&self) -> Option<Property> {
        let ty = Type::parse(&self.ty)?;
        let array = matches!(self.value, Datum::Array(_));
        let embeds = |datum: &Datum| matches!(datum, Datum::Instance(..));
        let is_embedded = match &self.value {
            Datum::Array(items) => items.iter().flatten().any(embeds),
            other => embeds(other),
        };
        let value = Some(self.value.value(ty)?);
        Some(Property {
            embedded: is_embedded.then_some(Embedded::Instance),
            ..Property::new(self.name.as_str(), ty, array, value)
        })
    }
}

impl Datum {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Array(items) => {
                let items = items.iter().map(|item| item.as_ref().and_then(Self::of));
                Self::Array(items.collect())
            }
            Value::Instance(instance) => {
                let all = instance.properties.iter();
                let kept = all.filter_map(|p| Kept::of(p.name.as_str(), p.ty, p.value.as_ref()));
                Self::Instance(instance.class.as_str().to_owned(), kept.collect())
            }
            // No method here takes or gives one.
            Value::Class(_) => return None,
            scalar => Self::Scalar(text(scalar)),
        })
    }

    fn value(&self, ty: Type) -> Option<Value> {
        Some(match self {
            Self::Scalar(text) => scalar(ty, text)?,
            Self::Array(items) => {
                let items = items.iter();
                let values = items.map(|item| item.as_ref().and_then(|item| item.value(ty)));
                Value::Array(values.collect())
            }
            Self::Instance(class, kept) => instance(class, kept).into(),
        })
    }
}

fn instance(class: &str, kept: &[Kept]) -> Instance {
    let mut instance = Instance::new(class);
    instance.properties = kept.iter().filter_map(Kept::property).collect();
    instance
}

/// A scalar as text.
fn text(value: &Value) -> String {
    match value {
        Value::Boolean(flag) => flag.to_string(),
        Value::Real32(real) => real.to_string(),
        Value::Real64(real) => real.to_string(),
        Value::Char16(unit) => unit.to_string(),
        Value::String(text) => text.to_string(),
        Value::DateTime(time) => time.to_string(),
        Value::Reference(path) => path.to_string(),
        other => other
            .as_integer()
            .map_or_else(String::new, |n| n.to_string()),
    }
}

/// The scalar of that type that was written so.
fn scalar(ty: Type, text: &str) -> Option<Value> {
    Some(match ty {
        Type::Boolean => Value::Boolean(text.parse().ok()?),
        Type::Real32 => Value::Real32(text.parse().ok()?),
        Type::Real64 => Value::Real64(text.parse().ok()?),
        Type::Char16 => Value::Char16(text.parse().ok()?),
        Type::String => text.into(),
        Type::DateTime => Value::DateTime(text.parse().ok()?),
        Type::Reference => ObjectPath::parse(text)?.into(),
        integer => Value::integer(integer, text.parse().ok()?)?,
    })
}

/// A call, to be kept with the jobs that come from it; `None` for one of which nothing can be kept.
pub(super) fn asked(call: &Invocation<View>) -> Option<Call> {
    let object = match &call.target {
        Target::Instance(Subject::Element(element)) => call.snapshot.path(element).to_string(),
        _ => return None,
    };
    let declared = call.method.parameters.iter().zip(&call.values);
    let given = declared.filter(|(parameter, _)| parameter.input);
    let kept = given.filter_map(|(p, value)| Kept::of(p.name, p.shape.ty, value.as_ref()));
    let whole = Asked {
        object,
        method: call.method.name.to_owned(),
        parameters: Some(kept.collect()),
    };
    let keep = |asked: &Asked| Call::new(&serde_json::to_string(asked).ok()?);
    keep(&whole).or_else(|| {
        keep(&Asked {
            parameters: None,
            ..whole
        })
    })
}

/// What was answered to a call, as it is kept.
pub(super) fn answered(outcome: &Outcome) -> Option<String> {
    let kept = outcome.outputs.iter();
    let kept = kept.filter_map(|p| Kept::of(p.name.as_str(), p.ty, p.value.as_ref()));
    let whole = Answered {
        returned: outcome.value.as_ref().map(text),
        parameters: Some(kept.collect()),
    };
    let written = |answered: &Answered| serde_json::to_string(answered).ok();
    let fits = |text: &String| text.len() <= MAX_CALL;
    written(&whole).filter(fits).or_else(|| {
        written(&Answered {
            parameters: None,
            ..whole
        })
    })
}

/// The call as it came in (`PreCallIndication`).
pub(super) fn before(call: &Call) -> Option<Instance> {
    let asked: Asked = serde_json::from_str(call.asked()).ok()?;
    Some(indication(&asked, true, asked.parameters.as_deref(), None))
}

/// The call as it was answered (`PostCallIndication`); `None` if it was not yet, or by an error.
pub(super) fn after(call: &Call) -> Option<Instance> {
    let asked: Asked = serde_json::from_str(call.asked()).ok()?;
    let answered: Answered = serde_json::from_str(call.answered()?).ok()?;
    let returned = answered.returned.as_deref();
    Some(indication(
        &asked,
        false,
        answered.parameters.as_deref(),
        returned,
    ))
}

fn indication(
    asked: &Asked,
    before: bool,
    parameters: Option<&[Kept]>,
    returned: Option<&str>,
) -> Instance {
    use class::CIM_InstMethodCall as P;
    let out = Builder::new(class::CIM_InstMethodCall)
        .set(P::SourceInstanceModelPath, asked.object.as_str())
        .set(P::MethodName, asked.method.as_str())
        .set(P::PreCall, before)
        .set_some(P::ReturnValue, returned)
        .set_some(
            P::MethodParameters,
            parameters.map(|kept| instance(PARAMETERS, kept)),
        )
        .set_some(P::SourceInstance, source(&asked.object));
    out.build()
}

/// The object that a method was called on, as far as its path tells.
fn source(path: &str) -> Option<Instance> {
    let path = ObjectPath::parse(path)?;
    let mut source = Instance::new(path.class.clone());
    let keys = path.keys.as_ref()?.iter();
    source.properties = keys
        .map(|(name, value)| {
            let ty = value.type_of().unwrap_or(Type::String);
            Property::new(Name::from(name.as_str()), ty, false, Some(value.clone()))
        })
        .collect();
    Some(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cim::Keys;

    fn round_trip(property: Property) -> Option<Property> {
        let kept = Kept::of(property.name.as_str(), property.ty, property.value.as_ref())?;
        let text = serde_json::to_string(&kept).expect("JSON");
        let kept: Kept = serde_json::from_str(&text).expect("the same");
        kept.property()
    }

    #[test]
    fn every_type_is_kept() {
        let path = ObjectPath::instance("A", Keys::from_iter([("Id", "x \"y\"")]));
        let path = path.in_namespace("root/n");
        let mut inner = Instance::new("B");
        let inner_name = Property::new("N", Type::String, false, Some("<&>".into()));
        inner.properties.push(inner_name);
        let values: [(Type, Value); 12] = [
            (Type::Boolean, true.into()),
            (Type::Uint64, u64::MAX.into()),
            (Type::Sint8, (-8i8).into()),
            (Type::Real32, 1.5f32.into()),
            (Type::Real64, (-1e300f64).into()),
            (Type::Char16, Value::Char16(0x263a)),
            (Type::String, "Räume".into()),
            (Type::DateTime, crate::cim::DateTime::utc(1).into()),
            (Type::Reference, path.into()),
            (Type::String, inner.into()),
            (Type::Uint16, vec![1u16, 2].into()),
            (Type::String, Value::Array(vec![Some("a".into()), None])),
        ];
        for (ty, value) in values {
            let array = matches!(value, Value::Array(_));
            let given = Property::new("Value", ty, array, Some(value.clone()));
            let kept = round_trip(given).expect("it is kept");
            assert_eq!((kept.ty, kept.array, kept.value), (ty, array, Some(value)));
        }
    }

    #[test]
    fn arrays_of_references_become_their_texts() {
        let path = ObjectPath::instance("A", Keys::from_iter([("Id", "x")]));
        let given = Property::new("Elements", Type::Reference, true, Some(vec![path].into()));
        let kept = round_trip(given).expect("it is kept");
        assert_eq!(kept.ty, Type::String);
        assert_eq!(kept.value, Some(vec!["A.Id=\"x\""].into()));
    }

    #[test]
    fn secrets_are_not_kept() {
        for name in ["Secret", "CHAPPassword", "SharedCredentials", "PassPhrase"] {
            let given = Property::new(name, Type::String, false, Some("x".into()));
            assert_eq!(round_trip(given), None, "{name}");
        }
        let mut inner = Instance::new("B");
        let secret = Property::new("Password", Type::String, false, Some("x".into()));
        inner.properties.push(secret);
        let given = Property::new("Login", Type::String, false, Some(inner.into()));
        let kept = round_trip(given).and_then(|p| p.value).expect("it is kept");
        assert_eq!(kept, Instance::new("B").into());
    }
}
