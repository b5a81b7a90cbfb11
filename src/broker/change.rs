//! What changes something: instances created, modified, deleted, methods called.
//!
//! Each attempt is checked against the schema, handed to the model, and told to the audit log in
//! one line: who, from where, what, outcome.

use crate::cim::{CimError, Instance, Name, ObjectPath, Property, Status, Value};
use crate::identity::Identity;
use crate::schema::{self, ArgumentError, ClassDecl, Constant, MethodDecl, Outcome};

use super::broker::{Broker, no_such_property};
use super::classes;
use super::invocation::Invocation;
use super::listing::Renderer;
use super::model::{Model, Namespace, Snapshot, Subject, Target};
use super::operation::{Form, Operation, Reply, Selection, Untyped};

/// Refuses changes by users who may only read.
pub(super) fn allowed(who: &Identity) -> Result<(), CimError> {
    if who.role.may_change() {
        return Ok(());
    }
    Err(CimError::access_denied(format!(
        "user {} has the role {} and may not change anything",
        who.user, who.role
    )))
}

/// One line in the audit log.
fn audit<T>(
    who: &Identity,
    what: &str,
    outcome: Result<T, &CimError>,
    result: impl Fn(T) -> String,
) {
    let outcome = match outcome {
        Ok(value) => result(value),
        Err(error) => format!("refused: {error}"),
    };
    // Debug escapes line breaks that came from outside.
    tracing::info!(target: "audit", who = %who, what = ?what, outcome = ?outcome);
}

impl<M: Model> Broker<M> {
    /// Performs an operation that changes instances.
    pub(super) async fn change<V: Untyped>(
        &self,
        who: &Identity,
        namespace: Namespace,
        operation: Operation<V>,
    ) -> Result<Reply, CimError> {
        let what = describe::<M::Snapshot, V>(&operation, namespace);
        let done = match allowed(who) {
            Ok(()) => self.attempt(who, namespace, operation).await,
            Err(refusal) => Err(refusal),
        };
        audit(who, &what, done.as_ref(), |reply| match reply {
            Reply::Created(path) => format!("done: {path}"),
            _ => "done".into(),
        });
        done
    }

    async fn attempt<V: Untyped>(
        &self,
        who: &Identity,
        namespace: Namespace,
        operation: Operation<V>,
    ) -> Result<Reply, CimError> {
        match operation {
            Operation::CreateInstance { instance } => {
                let class = classes::known(&instance.class)?;
                let instance = creatable(class, self.canonical_instance(instance, namespace))?;
                let path = self.model.create(who, namespace, class, instance).await?;
                Ok(Reply::Created(path))
            }
            Operation::ModifyInstance {
                path,
                instance,
                properties,
            } => {
                let (snapshot, subject) = self.locate(namespace, &path)?;
                let instance = self.canonical_instance(instance, namespace);
                let changes = changes(subject.class(), &instance, properties)?;
                self.modify(who, &snapshot, subject, changes).await
            }
            Operation::SetProperty {
                path,
                property,
                value,
            } => {
                let (snapshot, subject) = self.locate(namespace, &path)?;
                let class = subject.class();
                let declared = class.property(property.as_str());
                let declared = declared.ok_or_else(|| no_such_property(class, &property))?;
                let mismatch = |reason: String| {
                    let text = format!("property {}: {reason}", declared.name);
                    CimError::new(Status::TypeMismatch, text)
                };
                let value = value.typed(&declared.shape).map_err(mismatch)?;
                let value = value.map(|value| self.canonical_value(value, namespace));
                let value = declared.conform(value);
                let value = value.map_err(|m| mismatch(m.to_string()))?;
                let change = declared.instance_property(value);
                self.modify(who, &snapshot, subject, vec![change]).await
            }
            Operation::DeleteInstance { path } => {
                let (_, subject) = self.locate(namespace, &path)?;
                self.model.delete(who, subject).await?;
                Ok(Reply::Done)
            }
            _ => Err(CimError::failed("this operation changes nothing")),
        }
    }

    /// Hands to the model what differs from the present values: clients often send back a whole
    /// instance with one property changed.
    async fn modify(
        &self,
        who: &Identity,
        snapshot: &M::Snapshot,
        subject: Subject<M::Snapshot>,
        changes: Vec<Property>,
    ) -> Result<Reply, CimError> {
        let form = Form::Instances(Selection::default());
        let (_, present) = Renderer::new(snapshot.clone(), &form, None).instance(&subject);
        let class = subject.class();
        let mut different = Vec::new();
        for change in changes {
            let same = present.value(change.name.as_str()) == change.value.as_ref();
            let key = class.property(change.name.as_str()).is_some_and(|p| p.key);
            match (same, key) {
                (true, _) => {}
                (false, true) => {
                    let name = change.name;
                    let text = format!("property {name} is a key and cannot change");
                    return Err(CimError::invalid_parameter(text));
                }
                (false, false) => different.push(change),
            }
        }
        if !different.is_empty() {
            self.model.modify(who, subject, different).await?;
        }
        Ok(Reply::Done)
    }

    /// Calls a method on an instance or a class. `path` names a namespace.
    pub async fn invoke<V: Untyped>(
        &self,
        who: &Identity,
        path: &ObjectPath,
        method: &Name,
        parameters: Vec<(Name, V)>,
    ) -> Result<(&'static MethodDecl, Outcome), CimError> {
        let namespace = path.namespace.clone().unwrap_or(Name::from_static(""));
        let namespace = self.namespace(&namespace)?;
        let (snapshot, target, declared) = self.target(namespace, path, method)?;
        let reads_only = self.model.reads_only(declared);
        let called = match reads_only
            .then_some(())
            .ok_or(())
            .or_else(|()| allowed(who))
        {
            Err(refusal) => Err(refusal),
            Ok(()) => match self.arguments(declared, parameters, namespace) {
                Err(refusal) => Err(refusal),
                Ok(values) => {
                    let call = Invocation {
                        snapshot,
                        target,
                        method: declared,
                        values,
                    };
                    self.model.invoke(who, call).await
                }
            },
        };
        if !reads_only {
            let what = format!("{} of {path}", declared.name);
            audit(who, &what, called.as_ref(), outcome_text);
        }
        called.map(|outcome| (declared, outcome))
    }

    /// What a method is called on, and the method.
    fn target(
        &self,
        namespace: Namespace,
        path: &ObjectPath,
        method: &Name,
    ) -> Result<(M::Snapshot, Target<M::Snapshot>, &'static MethodDecl), CimError> {
        let (snapshot, target, class) = match path.keys {
            Some(_) => {
                let (snapshot, subject) = self.locate(namespace, path)?;
                let class = subject.class();
                (snapshot, Target::Instance(subject), class)
            }
            None => {
                let class = classes::known(&path.class)?;
                (
                    self.model.snapshot(),
                    Target::Class(class, namespace),
                    class,
                )
            }
        };
        let declared = class.method(method.as_str()).ok_or_else(|| {
            let text = format!("class {} has no method {method}", class.name);
            CimError::method_not_found(text)
        })?;
        Ok((snapshot, target, declared))
    }

    /// The arguments as the declaration wants them.
    fn arguments<V: Untyped>(
        &self,
        method: &'static MethodDecl,
        parameters: Vec<(Name, V)>,
        namespace: Namespace,
    ) -> Result<Vec<Option<Value>>, CimError> {
        let mut given = Vec::with_capacity(parameters.len());
        for (name, value) in parameters {
            let declared = method.parameter(name.as_str()).filter(|p| p.input);
            let Some(declared) = declared else {
                return Err(ArgumentError::Unknown(name).into());
            };
            let value = value.typed(&declared.shape).map_err(|reason| {
                CimError::invalid_parameter(format!("parameter {}: {reason}", declared.name))
            })?;
            given.push((
                name,
                value.map(|value| self.canonical_value(value, namespace)),
            ));
        }
        let values = method.arguments(given)?;
        let mut declared = method.parameters.iter().zip(&values);
        let missing = declared.find(|(parameter, value)| {
            let required = parameter.qualifier("Required") == Some(&Constant::Boolean(true));
            parameter.input && required && value.is_none()
        });
        match missing {
            Some((parameter, _)) => Err(ArgumentError::Missing(parameter.name).into()),
            None => Ok(values),
        }
    }

    /// The value with the references in it as answers would spell them.
    fn canonical_value(&self, value: Value, namespace: Namespace) -> Value {
        match value {
            Value::Reference(path) => M::Snapshot::catalog().canonical(&path, namespace).into(),
            Value::Instance(instance) => self.canonical_instance(*instance, namespace).into(),
            Value::Array(items) => {
                let items = items.into_iter();
                let canonical = |item| self.canonical_value(item, namespace);
                Value::Array(items.map(|item| item.map(canonical)).collect())
            }
            other => other,
        }
    }

    fn canonical_instance(&self, mut instance: Instance, namespace: Namespace) -> Instance {
        for property in &mut instance.properties {
            let value = property.value.take();
            property.value = value.map(|value| self.canonical_value(value, namespace));
        }
        instance
    }
}

/// The instance with its class and properties as they are declared, or why it cannot be created.
fn creatable(class: &'static ClassDecl, instance: Instance) -> Result<Instance, CimError> {
    if class.is_abstract {
        let text = format!(
            "class {} is abstract and has no instances of its own",
            class.name
        );
        return Err(CimError::invalid_parameter(text));
    }
    let mut created = Instance::new(Name::from_static(class.name));
    for property in instance.properties {
        let declared = class.property(property.name.as_str()).ok_or_else(|| {
            let text = no_such_property(class, &property.name).description;
            CimError::invalid_parameter(text)
        })?;
        if created.property(declared.name).is_some() {
            let text = format!("property {} is given twice", declared.name);
            return Err(CimError::invalid_parameter(text));
        }
        created
            .properties
            .push(conformed(declared, property.value)?);
    }
    Ok(created)
}

/// The properties that a ModifyInstance changes (DSP0200 §5.3.2.6), each as it is declared.
fn changes(
    class: &'static ClassDecl,
    instance: &Instance,
    listed: Option<Vec<Name>>,
) -> Result<Vec<Property>, CimError> {
    if instance.class != *class.name {
        return Err(CimError::invalid_parameter(format!(
            "the instance is of class {}, its path of class {}",
            instance.class, class.name
        )));
    }
    let wanted = |name: &str| {
        let mut names = listed.iter().flatten();
        listed.is_none() || names.any(|listed| listed == name)
    };
    let mut changes = Vec::new();
    for property in &instance.properties {
        if wanted(property.name.as_str()) {
            let declared = class.property(property.name.as_str());
            let declared = declared.ok_or_else(|| no_such_property(class, &property.name))?;
            changes.push(conformed(declared, property.value.clone())?);
        }
    }
    // Listed but not given: back to the default.
    for name in listed.iter().flatten() {
        let declared = class.property(name.as_str());
        if let Some(declared) = declared.filter(|_| instance.property(name.as_str()).is_none()) {
            let default = declared.default.value(declared.shape.ty);
            changes.push(declared.instance_property(default));
        }
    }
    Ok(changes)
}

fn conformed(
    declared: &'static schema::PropertyDecl,
    value: Option<Value>,
) -> Result<Property, CimError> {
    let value = declared.conform(value).map_err(|mismatch| {
        CimError::invalid_parameter(format!("property {}: {mismatch}", declared.name))
    })?;
    Ok(declared.instance_property(value))
}

/// What an operation does, for the audit log.
fn describe<S: Snapshot, V>(operation: &Operation<V>, namespace: Namespace) -> String {
    let full = |path: &ObjectPath| S::catalog().canonical(path, namespace);
    match operation {
        Operation::CreateInstance { instance } => {
            format!("CreateInstance of {}:{}", namespace.name, instance.class)
        }
        Operation::ModifyInstance { path, .. } => format!("ModifyInstance of {}", full(path)),
        Operation::DeleteInstance { path } => format!("DeleteInstance of {}", full(path)),
        Operation::SetProperty { path, property, .. } => {
            format!("SetProperty {property} of {}", full(path))
        }
        _ => String::new(),
    }
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome.value.as_ref().and_then(Value::as_integer) {
        Some(code) => format!("returned {code}"),
        None => "returned".into(),
    }
}
