//! Requests, as a client writes them: for tests, benchmarks and tools.

use crate::cim::{Name, Type, Value};

use super::super::request::{Call, ParamValue, Request};
use super::{DECLARATION, Encoder};

/// The bytes of a request. What is decoded from them equals the request, as far as the
/// protocol can say it: typed scalars of an intrinsic call become untyped text.
pub fn encode_request(request: &Request) -> Vec<u8> {
    let mut encoder = Encoder::new(None);
    encoder.request(request);
    debug_assert!(encoder.xml.is_balanced(), "a request is one document");
    encoder.xml.take(0)
}

impl Encoder {
    fn request(&mut self, request: &Request) {
        self.xml.raw(DECLARATION);
        self.xml.open("CIM");
        self.xml.attr("CIMVERSION", &request.cim_version);
        self.xml.attr("DTDVERSION", &request.dtd_version);
        self.xml.content();
        self.xml.open("MESSAGE");
        self.xml.attr("ID", &request.message_id);
        self.xml.attr("PROTOCOLVERSION", &request.protocol_version);
        self.xml.content();
        self.xml.element("SIMPLEREQ");
        match &request.call {
            Call::Intrinsic {
                name,
                namespace,
                parameters,
            } => {
                self.call("IMETHODCALL", name);
                self.local_namespace_path(namespace.as_str());
                for (name, value) in parameters {
                    self.call("IPARAMVALUE", name);
                    self.parameter_content(value, false);
                    self.xml.close("IPARAMVALUE");
                }
                self.xml.close("IMETHODCALL");
            }
            Call::Extrinsic {
                name,
                path,
                parameters,
            } => {
                self.call("METHODCALL", name);
                self.local_path(path);
                for (name, value) in parameters {
                    self.method_parameter(name, value);
                }
                self.xml.close("METHODCALL");
            }
        }
        for tag in ["SIMPLEREQ", "MESSAGE", "CIM"] {
            self.xml.close(tag);
        }
    }

    fn call(&mut self, tag: &'static str, name: &Name) {
        self.xml.open(tag);
        self.xml.attr("NAME", name.as_str());
        self.xml.content();
    }

    fn method_parameter(&mut self, name: &Name, value: &ParamValue) {
        if let ParamValue::Value(typed) = value
            && let Some(ty) = typed.type_of()
        {
            return self.param_value(name, ty, None, typed);
        }
        self.xml.open("PARAMVALUE");
        self.xml.attr("NAME", name.as_str());
        if matches!(value, ParamValue::Path(_) | ParamValue::Paths(_)) {
            self.xml.const_attr("PARAMTYPE", Type::Reference.as_str());
        }
        self.xml.content();
        self.parameter_content(value, true);
        self.xml.close("PARAMVALUE");
    }

    fn parameter_content(&mut self, value: &ParamValue, method: bool) {
        let text = |text: &crate::cim::Text| Value::String(text.clone());
        match value {
            ParamValue::Null => {}
            ParamValue::Text(content) => self.any_value(&text(content)),
            ParamValue::Texts(contents) => {
                let items: Vec<_> = contents.iter().map(|c| c.as_ref().map(text)).collect();
                self.array(&items, false);
            }
            ParamValue::Value(value) => self.any_value(value),
            ParamValue::Path(path) if method || path.namespace.is_some() => {
                self.value_reference(path);
            }
            ParamValue::Path(path) => self.object_name(path),
            ParamValue::Paths(paths) => {
                let items: Vec<_> = paths.iter().map(|p| p.clone().map(Value::from)).collect();
                self.array(&items, true);
            }
            ParamValue::Class(class) => self.class(class),
            ParamValue::Instance(instance) => self.instance(instance),
            ParamValue::NamedInstance(named) => {
                self.xml.element("VALUE.NAMEDINSTANCE");
                self.object_name(&named.0);
                self.instance(&named.1);
                self.xml.close("VALUE.NAMEDINSTANCE");
            }
            ParamValue::QualifierDeclaration(declaration) => {
                self.qualifier_declaration(declaration);
            }
        }
    }
}
