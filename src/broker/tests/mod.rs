//! Every operation over a small model of real schema classes.

mod changes;
mod classes;
mod model;
mod pulls;
mod reads;
pub(crate) mod shelf;
mod walks;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::broker::{
    Broker, Form, Objects, Operation, PullLimits, Reply, Selection, SessionTerms, Source,
};
use crate::cim::{CimError, Instance, Name, ObjectPath, Status, Value};
use crate::identity::{Identity, Role};
use shelf::{Board, Shelf};

/// The operations in these tests bring typed values.
type Op = Operation<Option<Value>>;

fn user(name: &str, role: Role) -> Identity {
    Identity {
        user: Arc::from(name),
        role,
        peer: SocketAddr::from(([192, 0, 2, 1], 4711)),
    }
}

fn admin() -> Identity {
    user("admin", Role::Administrator)
}

fn broker(volumes: u32) -> Broker<Board> {
    Broker::new(
        Board::new(Shelf::with_volumes(volumes)),
        PullLimits::default(),
    )
}

/// Performs an operation as the administrator.
async fn run(broker: &Broker<Board>, namespace: &str, operation: Op) -> Result<Reply, CimError> {
    run_as(broker, &admin(), namespace, operation).await
}

async fn run_as(
    broker: &Broker<Board>,
    who: &Identity,
    namespace: &str,
    operation: Op,
) -> Result<Reply, CimError> {
    let namespace = broker.admit(who, &namespace.into(), operation.changes())?;
    broker.perform(who, namespace, operation).await
}

/// The status with which an operation is refused.
async fn refusal(broker: &Broker<Board>, namespace: &str, operation: Op) -> Option<Status> {
    let refused = run(broker, namespace, operation).await;
    refused.err().map(|error| {
        assert!(!error.description.is_empty());
        error.status
    })
}

fn instances_of(class: &str) -> Op {
    Operation::List {
        source: Source::Class(class.into()),
        form: Form::Instances(Selection::default()),
    }
}

fn names_of(class: &str) -> Op {
    Operation::List {
        source: Source::Class(class.into()),
        form: Form::Paths,
    }
}

fn get(path: &ObjectPath) -> Op {
    Operation::GetInstance {
        path: path.clone(),
        selection: Selection::default(),
    }
}

fn open(source: Source, form: Form, session: SessionTerms) -> Op {
    Operation::Open {
        source,
        form,
        session,
    }
}

fn only(names: &[&'static str]) -> Selection {
    Selection {
        properties: Some(names.iter().map(|n| Name::from_static(n)).collect()),
        ..Selection::default()
    }
}

fn instances(objects: Objects) -> Vec<(ObjectPath, Instance)> {
    match objects {
        Objects::Instances(all) => all.collect(),
        _ => panic!("instances are wanted"),
    }
}

fn paths(objects: Objects) -> Vec<ObjectPath> {
    match objects {
        Objects::Paths(all) => all.collect(),
        _ => panic!("paths are wanted"),
    }
}

/// The texts of the paths that a listing returns.
async fn listed(broker: &Broker<Board>, namespace: &str, operation: Op) -> Vec<String> {
    match run(broker, namespace, operation).await.expect("listed") {
        Reply::Objects(objects) => paths(objects).iter().map(ToString::to_string).collect(),
        _ => panic!("a listing is wanted"),
    }
}

async fn all(broker: &Broker<Board>, ns: &str, operation: Op) -> Vec<(ObjectPath, Instance)> {
    match run(broker, ns, operation).await.expect("listed") {
        Reply::Objects(objects) => instances(objects),
        _ => panic!("a listing is wanted"),
    }
}

async fn one(broker: &Broker<Board>, namespace: &str, operation: Op) -> Instance {
    match run(broker, namespace, operation).await.expect("found") {
        Reply::Instance(instance) => instance,
        _ => panic!("an instance is wanted"),
    }
}
