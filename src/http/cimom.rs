//! From a decoded request to the broker, and from its reply to a streamed response.
//!
//! The only place that knows both how DSP0201 writes an operation and how the broker takes it.
//! What operations mean is the broker's; this file must not decide anything.

mod operations;
mod parameters;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

use super::{Reply, Service};
use crate::broker::{self, Broker, Model, Objects, Operation, Source, Untyped};
use crate::cim::{CimError, Name, ObjectPath, Text, Type, Value};
use crate::cimxml::{
    Body, Call, Item, Items, Limits, Output, ParamValue, Request, Response, Wanted,
};
use crate::identity::Identity;
use crate::schema::Shape;

/// Bytes of a response that are made at once.
const CHUNK: usize = 64 * 1024;

/// Answers CIM operations from a broker.
pub struct Cimom<M: Model> {
    broker: Arc<Broker<M>>,
    host: Text,
}

/// A parameter as it was sent; the declaration says what it is.
pub(super) struct Sent(pub(super) ParamValue);

impl Untyped for Sent {
    fn typed(self, shape: &Shape) -> Result<Option<Value>, String> {
        let wanted = Wanted {
            ty: shape.ty,
            array: shape.array,
            embedded: shape.embedded,
        };
        let value = self.0.resolve(wanted, &Limits::default());
        value.map_err(|error| error.to_string())
    }
}

impl<M: Model> Cimom<M> {
    /// Answers from `broker`; `host` is the HOST of every path in every response.
    pub fn new(broker: Arc<Broker<M>>, host: impl Into<Text>) -> Self {
        Self {
            broker,
            host: host.into(),
        }
    }

    async fn body(&self, who: &Identity, call: Call) -> Result<Body, CimError> {
        match call {
            Call::Intrinsic {
                name,
                namespace,
                parameters,
            } => self.operate(who, &name, &namespace, parameters).await,
            Call::Extrinsic {
                name,
                path,
                parameters,
            } => self.invoke(who, &name, &path, parameters).await,
        }
    }

    async fn operate(
        &self,
        who: &Identity,
        name: &Name,
        namespace: &Name,
        parameters: Vec<(Name, ParamValue)>,
    ) -> Result<Body, CimError> {
        let operation = operations::find(name)
            .ok_or_else(|| CimError::not_supported(format!("operation {name} is not supported")))?;
        let namespace = self.broker.admit(who, namespace, operation.changes)?;
        let operation = operation.read(parameters)?;
        let named = matches!(
            operation,
            Operation::List {
                source: Source::Class(_),
                ..
            }
        );
        let reply = self.broker.perform(who, namespace, operation).await?;
        Ok(reply_body(reply, named))
    }

    async fn invoke(
        &self,
        who: &Identity,
        name: &Name,
        path: &ObjectPath,
        parameters: Vec<(Name, ParamValue)>,
    ) -> Result<Body, CimError> {
        let parameters = parameters
            .into_iter()
            .map(|(name, value)| (name, Sent(value)));
        let called = self.broker.invoke(who, path, name, parameters.collect());
        let (method, outcome) = called.await?;
        let outputs = outcome.outputs.into_iter().map(|output| Output {
            name: output.name,
            ty: output.ty,
            embedded: output.embedded,
            value: output.value,
        });
        Ok(Body::Method {
            returns: method.returns.map(|ty| (ty, outcome.value)),
            outputs: outputs.collect(),
        })
    }
}

impl<M: Model> Service for Cimom<M> {
    async fn call(&self, identity: Identity, request: Request) -> Reply {
        let head = request.head();
        let body = self.body(&identity, request.call).await;
        let body = body.unwrap_or_else(Body::Error);
        let response = Response::new(head, self.host.clone(), body);
        Reply::new(response.into_chunks(CHUNK).map(Bytes::from))
    }
}

/// How a reply is written. `named` says that the objects are those of a class, not what was found
/// by walking associations: only then do they come without host and namespace.
fn reply_body(reply: broker::Reply, named: bool) -> Body {
    use broker::Reply as R;
    match reply {
        R::Done => Body::Void,
        R::Instance(instance) => Body::items([Item::Instance(instance)]),
        R::Created(path) => Body::items([Item::InstanceName(path)]),
        R::Value(value) => Body::items(value.map(Item::Value)),
        R::Objects(objects) => Body::items(match objects {
            Objects::Instances(all) if named => items(all, |(p, i)| Item::NamedInstance(p, i)),
            Objects::Instances(all) => items(all, |(p, i)| Item::InstanceObject(p, i)),
            Objects::Paths(all) if named => items(all, Item::InstanceName),
            Objects::Paths(all) => items(all, Item::ObjectPath),
            Objects::Classes(all) => items(all, |(p, c)| Item::ClassObject(p, Arc::new(c))),
        }),
        R::Page { objects, context } => Body::Items {
            items: match objects {
                Objects::Instances(all) => items(all, |(p, i)| Item::InstanceWithPath(p, i)),
                Objects::Paths(all) => items(all, Item::InstancePath),
                Objects::Classes(all) => items(all, |(p, c)| Item::ClassObject(p, Arc::new(c))),
            },
            outputs: page_outputs(context),
        },
        R::Classes(all) => Body::items(items(all, |class| Item::Class(Arc::new(class)))),
        R::ClassNames(all) => Body::items(items(all, Item::ClassName)),
        R::Qualifiers(all) => Body::items(items(all, |q| Item::QualifierDeclaration(Arc::new(q)))),
    }
}

fn items<T: 'static>(all: broker::Stream<T>, item: fn(T) -> Item) -> Items {
    Box::new(all.map(item))
}

/// `EndOfSequence`, and the context as long as it is false.
fn page_outputs(context: Option<String>) -> Vec<Output> {
    let end = Value::Boolean(context.is_none());
    let end = Output::new(Name::from_static("EndOfSequence"), Type::Boolean, Some(end));
    let context = context.unwrap_or_default();
    let context = Output::new(
        Name::from_static("EnumerationContext"),
        Type::String,
        Some(context.into()),
    );
    vec![end, context]
}
