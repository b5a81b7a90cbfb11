//! The envelope and the calls: CIM down to IPARAMVALUE and PARAMVALUE (DSP0201 §5.2.4).

use crate::cim::{Embedded, Name, Type};

use super::super::DecodeError;
use super::super::error::{not_valid, shown};
use super::super::request::{Call, ParamValue, Request, version_major};
use super::Result;
use super::tokens::{Element, Tokens};

/// What a method parameter says about its own value.
#[derive(Clone, Copy)]
enum Typing {
    /// Nothing.
    Untyped,
    /// Its type.
    Typed(Type),
    /// That it embeds an object.
    Embedded(Embedded),
}

impl Tokens<'_, '_> {
    /// The whole message, from the outermost element to its end.
    pub(super) fn request(&mut self, cim: &Element<'_>) -> Result<Request> {
        if cim.name() != "CIM" {
            return Err(not_valid(format!(
                "the outermost element is {}, not CIM",
                cim.shown()
            )));
        }
        let version =
            |element: &Element<'_>, attribute, major, error: fn(String) -> DecodeError| {
                let text = element.required(attribute)?.into_owned();
                if version_major(&text) == Some(major) {
                    Ok(text)
                } else {
                    Err(error(shown(&text)))
                }
            };
        let cim_version = version(cim, "CIMVERSION", 2, DecodeError::UnsupportedCimVersion)?;
        let dtd_version = version(cim, "DTDVERSION", 2, DecodeError::UnsupportedDtdVersion)?;
        let message = self.first(cim)?;
        if message.name() != "MESSAGE" {
            return Err(message.unexpected_in(cim));
        }
        let protocol_version = version(
            &message,
            "PROTOCOLVERSION",
            1,
            DecodeError::UnsupportedProtocolVersion,
        )?;
        let message_id = message.required("ID")?.into_owned();
        let call = self.simple_request(&message)?;
        self.end(&message)?;
        self.end(cim)?;
        Ok(Request {
            message_id,
            cim_version,
            dtd_version,
            protocol_version,
            call,
        })
    }

    fn simple_request(&mut self, message: &Element<'_>) -> Result<Call> {
        let simple = self.first(message)?;
        match simple.name() {
            "SIMPLEREQ" => {}
            "MULTIREQ" => return Err(DecodeError::MultipleRequestsUnsupported),
            _ => return Err(simple.unexpected_in(message)),
        }
        loop {
            let element = self.first(&simple)?;
            let call = match element.name() {
                // A correlator serves the logs of other programs; it is read and forgotten.
                "CORRELATOR" => {
                    self.correlator(&element)?;
                    continue;
                }
                "IMETHODCALL" => self.intrinsic(&element)?,
                "METHODCALL" => self.extrinsic(&element)?,
                _ => return Err(element.unexpected_in(&simple)),
            };
            self.end(&simple)?;
            return Ok(call);
        }
    }

    fn correlator(&mut self, correlator: &Element<'_>) -> Result<()> {
        let value = self.first(correlator)?;
        if value.name() != "VALUE" {
            return Err(value.unexpected_in(correlator));
        }
        self.text()?;
        self.end(correlator)
    }

    fn intrinsic(&mut self, call: &Element<'_>) -> Result<Call> {
        let name = call.named("NAME")?;
        let path = self.first(call)?;
        if path.name() != "LOCALNAMESPACEPATH" {
            return Err(path.unexpected_in(call));
        }
        let namespace = self.namespace(&path)?;
        let parameters = self.parameters(call, "IPARAMVALUE", |_| Ok(Typing::Untyped))?;
        Ok(Call::Intrinsic {
            name,
            namespace,
            parameters,
        })
    }

    fn extrinsic(&mut self, call: &Element<'_>) -> Result<Call> {
        let name = call.named("NAME")?;
        let target = self.first(call)?;
        let path = match target.name() {
            "LOCALCLASSPATH" | "LOCALINSTANCEPATH" => self.path(&target)?,
            _ => return Err(target.unexpected_in(call)),
        };
        let parameters = self.parameters(call, "PARAMVALUE", typing)?;
        Ok(Call::Extrinsic {
            name,
            path,
            parameters,
        })
    }

    fn parameters(
        &mut self,
        call: &Element<'_>,
        tag: &str,
        typing: fn(&Element<'_>) -> Result<Typing>,
    ) -> Result<Vec<(Name, ParamValue)>> {
        let mut parameters = Vec::new();
        while let Some(parameter) = self.child()? {
            if parameter.name() != tag {
                return Err(parameter.unexpected_in(call));
            }
            self.budget.member(parameters.len())?;
            let name = parameter.named("NAME")?;
            let typing = typing(&parameter)?;
            let value = match self.child()? {
                None => ParamValue::Null,
                Some(element) => {
                    let value = self.parameter(&parameter, &element, typing)?;
                    self.end(&parameter)?;
                    value
                }
            };
            parameters.push((name, value));
        }
        Ok(parameters)
    }

    fn parameter(
        &mut self,
        parent: &Element<'_>,
        element: &Element<'_>,
        typing: Typing,
    ) -> Result<ParamValue> {
        Ok(match element.name() {
            "VALUE" => match typing {
                Typing::Untyped => ParamValue::Text(self.text()?.into()),
                Typing::Typed(ty) => ParamValue::Value(self.scalar(ty, None)?),
                Typing::Embedded(kind) => ParamValue::Value(self.scalar(Type::String, Some(kind))?),
            },
            "VALUE.ARRAY" => match typing {
                Typing::Untyped => {
                    ParamValue::Texts(self.array(element, "VALUE", |t, _| Ok(t.text()?.into()))?)
                }
                // An array of references that is empty comes as an empty VALUE.ARRAY.
                Typing::Typed(Type::Reference) => {
                    self.end(element)?;
                    ParamValue::Paths(Vec::new())
                }
                Typing::Typed(ty) => ParamValue::Value(self.value_array(element, ty, None)?),
                Typing::Embedded(kind) => {
                    ParamValue::Value(self.value_array(element, Type::String, Some(kind))?)
                }
            },
            "VALUE.REFERENCE" => ParamValue::Path(self.reference(element)?),
            "VALUE.REFARRAY" => {
                ParamValue::Paths(
                    self.array(element, "VALUE.REFERENCE", |t, item| t.reference(item))?,
                )
            }
            "CLASSNAME" | "INSTANCENAME" => ParamValue::Path(self.path(element)?),
            "CLASS" => ParamValue::Class(Box::new(self.class(element)?)),
            "INSTANCE" => ParamValue::Instance(Box::new(self.instance(element)?)),
            "VALUE.NAMEDINSTANCE" => {
                ParamValue::NamedInstance(Box::new(self.named_instance(element)?))
            }
            "QUALIFIER.DECLARATION" => {
                ParamValue::QualifierDeclaration(Box::new(self.qualifier_declaration(element)?))
            }
            _ => return Err(element.unexpected_in(parent)),
        })
    }
}

/// Reads PARAMTYPE, for which some write TYPE, and the embedding attribute.
fn typing(parameter: &Element<'_>) -> Result<Typing> {
    let embedded = parameter.embedded()?;
    let ty = ["PARAMTYPE", "TYPE"]
        .into_iter()
        .find_map(|attribute| parameter.attribute(attribute).filter(|ty| !ty.is_empty()));
    Ok(match (ty.as_deref(), embedded) {
        (None, None) => Typing::Untyped,
        (None, Some(kind)) => Typing::Embedded(kind),
        (Some("instance"), _) => Typing::Embedded(Embedded::Instance),
        (Some("object"), _) => Typing::Embedded(Embedded::Object),
        (Some(name), embedded) => match (Type::parse(name), embedded) {
            (Some(ty), None) => Typing::Typed(ty),
            (Some(Type::String), Some(kind)) => Typing::Embedded(kind),
            (Some(_), Some(_)) => return Err(not_valid("only a string can embed an object")),
            (None, _) => return Err(not_valid(format!("{} is no type", shown(name)))),
        },
    })
}
