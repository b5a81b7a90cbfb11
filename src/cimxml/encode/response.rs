//! Responses, written item by item (DSP0201 §5.2.4, DSP0200 §6).
//!
//! Order and form follow the strictest known clients: IRETURNVALUE or RETURNVALUE before
//! PARAMVALUE, no IRETURNVALUE from an operation without result, PARAMTYPE always, NULL outputs
//! left out.

use std::sync::Arc;

use crate::cim::{
    CimError, Class, Embedded, Instance, Name, ObjectPath, QualifierDeclaration, Text, Type, Value,
};

use super::super::request::{Head, Kind};
use super::{DECLARATION, Encoder};

/// One element of an IRETURNVALUE.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// VALUE.NAMEDINSTANCE: EnumerateInstances.
    NamedInstance(ObjectPath, Instance),
    /// INSTANCE: GetInstance, OpenQueryInstances, PullInstances.
    Instance(Instance),
    /// INSTANCENAME: EnumerateInstanceNames, CreateInstance.
    InstanceName(ObjectPath),
    /// VALUE.OBJECTWITHPATH of an instance: Associators, References, ExecQuery.
    InstanceObject(ObjectPath, Instance),
    /// VALUE.OBJECTWITHPATH of a class: Associators and References of a class.
    ClassObject(ObjectPath, Arc<Class>),
    /// OBJECTPATH of an instance or class: AssociatorNames, ReferenceNames.
    ObjectPath(ObjectPath),
    /// VALUE.INSTANCEWITHPATH: OpenEnumerateInstances, PullInstancesWithPath and the like.
    InstanceWithPath(ObjectPath, Instance),
    /// INSTANCEPATH: OpenEnumerateInstancePaths, PullInstancePaths and the like.
    InstancePath(ObjectPath),
    /// CLASS: GetClass, EnumerateClasses.
    Class(Arc<Class>),
    /// CLASSNAME: EnumerateClassNames.
    ClassName(Name),
    /// QUALIFIER.DECLARATION: GetQualifier, EnumerateQualifiers.
    QualifierDeclaration(Arc<QualifierDeclaration>),
    /// VALUE, VALUE.ARRAY or VALUE.REFERENCE: GetProperty, EnumerationCount.
    Value(Value),
}

/// The items of a response, made while it is written. They cannot fail any more.
pub type Items = Box<dyn Iterator<Item = Item> + Send>;

/// An output parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Type,
    /// What it embeds, where its value alone does not say it.
    pub embedded: Option<Embedded>,
    /// Its value; NULL outputs are not written.
    pub value: Option<Value>,
}

impl Output {
    /// An output parameter of that type.
    pub fn new(name: impl Into<Name>, ty: Type, value: Option<Value>) -> Self {
        Self {
            name: name.into(),
            ty,
            embedded: None,
            value,
        }
    }
}

/// What a response says.
pub enum Body {
    /// The call failed.
    Error(CimError),
    /// An operation without result: DeleteInstance, CloseEnumeration and the like.
    Void,
    /// The result of an operation.
    Items {
        /// The elements of IRETURNVALUE.
        items: Items,
        /// `EndOfSequence` and `EnumerationContext` of the Open and Pull operations.
        outputs: Vec<Output>,
    },
    /// The result of a method.
    Method {
        /// Its type and value; `None` for a void method.
        returns: Option<(Type, Option<Value>)>,
        /// Its output parameters.
        outputs: Vec<Output>,
    },
}

impl Body {
    /// The result of an operation that returns what is at hand.
    pub fn items(items: impl IntoIterator<Item = Item, IntoIter: Send + 'static>) -> Self {
        Self::Items {
            items: Box::new(items.into_iter()),
            outputs: Vec::new(),
        }
    }
}

/// A response that is not written yet.
pub struct Response {
    head: Head,
    host: Text,
    body: Body,
}

impl Response {
    /// The response to the request with that head. `host` is the server's name for itself: the
    /// HOST of every path that does not bring its own.
    pub fn new(head: Head, host: Text, body: Body) -> Self {
        Self { head, host, body }
    }

    /// The bytes in chunks of about `size` bytes: at least that many in each but the last.
    pub fn into_chunks(self, size: usize) -> Chunks {
        let mut encoder = Encoder::new(Some(self.host));
        let tag = response_tag(self.head.kind);
        encoder.head(&self.head, tag);
        let rest = match self.body {
            Body::Error(error) => {
                encoder.error(&error);
                Rest::Tail(Vec::new())
            }
            Body::Void => Rest::Tail(Vec::new()),
            Body::Items { items, outputs } => {
                encoder.xml.element("IRETURNVALUE");
                Rest::Items(items, outputs)
            }
            Body::Method { returns, outputs } => {
                if let Some((ty, value)) = returns {
                    encoder.return_value(ty, value.as_ref());
                }
                Rest::Tail(outputs)
            }
        };
        Chunks {
            encoder,
            tag,
            size: size.max(1),
            rest,
        }
    }

    /// The whole response in one piece.
    pub fn into_bytes(self) -> Vec<u8> {
        self.into_chunks(usize::MAX).next().unwrap_or_default()
    }
}

/// A response being written: an iterator over its bytes.
pub struct Chunks {
    encoder: Encoder,
    tag: &'static str,
    size: usize,
    rest: Rest,
}

/// What is still to be written.
enum Rest {
    Items(Items, Vec<Output>),
    Tail(Vec<Output>),
    Nothing,
}

impl Chunks {
    /// Whether the last chunk was handed out. After the first one this tells a response whose
    /// length is known.
    pub fn is_finished(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }
}

impl Iterator for Chunks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Rest::Items(items, outputs) = &mut self.rest {
            while self.encoder.xml.len() < self.size {
                match items.next() {
                    Some(item) => self.encoder.item(&item),
                    None => {
                        self.encoder.xml.close("IRETURNVALUE");
                        self.rest = Rest::Tail(std::mem::take(outputs));
                        break;
                    }
                }
            }
        }
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Nothing => None,
            more @ Rest::Items(..) => {
                self.rest = more;
                // An item may run over the size: room for a small one is kept.
                Some(self.encoder.xml.take(self.size.saturating_add(4096)))
            }
            Rest::Tail(outputs) => {
                for output in &outputs {
                    self.encoder.output(output);
                }
                self.encoder.tail(self.tag);
                Some(self.encoder.xml.take(0))
            }
        }
    }
}

fn response_tag(kind: Kind) -> &'static str {
    match kind {
        Kind::Intrinsic => "IMETHODRESPONSE",
        Kind::Extrinsic => "METHODRESPONSE",
    }
}

impl Encoder {
    fn head(&mut self, head: &Head, tag: &'static str) {
        self.xml.raw(DECLARATION);
        self.xml.open("CIM");
        self.xml.const_attr("CIMVERSION", "2.0");
        self.xml.const_attr("DTDVERSION", "2.0");
        self.xml.content();
        self.xml.open("MESSAGE");
        self.xml.attr("ID", &head.message_id);
        self.xml.const_attr("PROTOCOLVERSION", "1.0");
        self.xml.content();
        self.xml.element("SIMPLERSP");
        self.xml.open(tag);
        self.xml.attr("NAME", head.method.as_str());
        self.xml.content();
    }

    fn tail(&mut self, tag: &'static str) {
        for tag in [tag, "SIMPLERSP", "MESSAGE", "CIM"] {
            self.xml.close(tag);
        }
        self.xml.raw("\n");
        debug_assert!(self.xml.is_balanced(), "a response is one document");
    }

    fn error(&mut self, error: &CimError) {
        self.xml.open("ERROR");
        self.xml.number_attr("CODE", error.status.code());
        self.xml.attr("DESCRIPTION", &error.description);
        self.xml.content();
        self.xml.close("ERROR");
    }

    fn return_value(&mut self, ty: Type, value: Option<&Value>) {
        self.xml.open("RETURNVALUE");
        self.embedded_attr(None, value);
        self.xml.const_attr("PARAMTYPE", ty.as_str());
        self.xml.content();
        if let Some(value) = value {
            self.any_value(value);
        }
        self.xml.close("RETURNVALUE");
    }

    fn output(&mut self, output: &Output) {
        let Some(value) = &output.value else { return };
        self.param_value(&output.name, output.ty, output.embedded, value);
    }

    /// PARAMVALUE with a value of that type.
    pub(super) fn param_value(
        &mut self,
        name: &Name,
        ty: Type,
        embedded: Option<Embedded>,
        value: &Value,
    ) {
        self.xml.open("PARAMVALUE");
        self.xml.attr("NAME", name.as_str());
        self.xml.const_attr("PARAMTYPE", ty.as_str());
        if ty == Type::String {
            self.embedded_attr(embedded, Some(value));
        }
        self.xml.content();
        match value {
            Value::Array(items) => self.array(items, ty == Type::Reference),
            other => self.any_value(other),
        }
        self.xml.close("PARAMVALUE");
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::NamedInstance(path, instance) => {
                self.xml.element("VALUE.NAMEDINSTANCE");
                self.object_name(path);
                self.instance(instance);
                self.xml.close("VALUE.NAMEDINSTANCE");
            }
            Item::Instance(instance) => self.instance(instance),
            Item::InstanceName(path) => self.object_name(path),
            Item::InstanceObject(path, instance) => {
                self.with_path("VALUE.OBJECTWITHPATH", path, |e| e.instance(instance));
            }
            Item::ClassObject(path, class) => {
                self.with_path("VALUE.OBJECTWITHPATH", path, |e| e.class(class));
            }
            Item::ObjectPath(path) => self.with_path("OBJECTPATH", path, |_| {}),
            Item::InstanceWithPath(path, instance) => {
                self.with_path("VALUE.INSTANCEWITHPATH", path, |e| e.instance(instance));
            }
            Item::InstancePath(path) => self.full_path(path),
            Item::Class(class) => self.class(class),
            Item::ClassName(name) => self.class_name(name.as_str()),
            Item::QualifierDeclaration(declaration) => self.qualifier_declaration(declaration),
            Item::Value(value) => self.any_value(value),
        }
    }

    /// An element that holds a full path and perhaps something behind it.
    fn with_path(&mut self, tag: &'static str, path: &ObjectPath, object: impl FnOnce(&mut Self)) {
        self.xml.element(tag);
        self.full_path(path);
        object(self);
        self.xml.close(tag);
    }
}
