//! The broker itself: who may do what where, and which operation goes which way.

use std::sync::Arc;
use std::time::Instant;

use crate::cim::{CimError, Name, ObjectPath, Status, Value};
use crate::identity::Identity;
use crate::schema::ClassDecl;

use super::change;
use super::classes;
use super::listing::Renderer;
use super::model::{Model, Namespace, Snapshot, Subject};
use super::operation::{
    ClassSelection, Form, Objects, Operation, PullKind, Reply, Selection, SessionTerms, Source,
    Stream, Untyped,
};
use super::pull::{PullLimits, Sessions};
use super::walk::Filters;

/// The object manager over a model.
pub struct Broker<M: Model> {
    pub(super) model: M,
    sessions: Sessions<M::Snapshot>,
}

impl<M: Model> Broker<M> {
    /// A broker over `model`.
    pub fn new(model: M, limits: PullLimits) -> Self {
        Self {
            model,
            sessions: Sessions::new(limits),
        }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The namespace that an intrinsic operation goes to, if the user may do it: refused with 2
    /// or 3, before anybody looks at its parameters.
    pub fn admit(
        &self,
        who: &Identity,
        namespace: &Name,
        changes: bool,
    ) -> Result<Namespace, CimError> {
        if changes {
            change::allowed(who)?;
        }
        self.namespace(namespace)
    }

    pub(super) fn namespace(&self, name: &Name) -> Result<Namespace, CimError> {
        M::Snapshot::catalog().namespace(name.as_str())
    }

    #[cfg(test)]
    pub(super) fn sessions(&self) -> &Sessions<M::Snapshot> {
        &self.sessions
    }

    /// Closes the pull sessions whose time is up, so that they free what they hold even if
    /// nobody asks for anything; tells how many are left. To be called now and then.
    pub fn expire_sessions(&self) -> usize {
        self.sessions.expire(Instant::now())
    }

    /// Performs an operation in a namespace.
    pub async fn perform<V: Untyped>(
        &self,
        who: &Identity,
        namespace: Namespace,
        operation: Operation<V>,
    ) -> Result<Reply, CimError> {
        match operation {
            Operation::GetInstance { path, selection } => self.get(namespace, &path, selection),
            Operation::List { source, form } => {
                let listing = self.list(namespace, source, form)?;
                Ok(Reply::Objects(listing.into_objects()))
            }
            Operation::Open {
                source,
                form,
                session,
            } => self.open(who, namespace, source, form, &session),
            Operation::Pull {
                context,
                kind,
                count,
            } => {
                let now = Instant::now();
                self.sessions
                    .pull(who, namespace, &context, kind, count, now)
            }
            Operation::CloseEnumeration { context } => {
                self.sessions
                    .close(who, namespace, &context, Instant::now())?;
                Ok(Reply::Done)
            }
            Operation::EnumerationCount { context } => {
                let left = self
                    .sessions
                    .count(who, namespace, &context, Instant::now())?;
                Ok(Reply::Value(Some(Value::Uint64(left))))
            }
            Operation::GetProperty { path, property } => self.property(namespace, &path, property),
            Operation::GetClass { class, selection } => {
                let class = classes::get(&class, &selection)?;
                Ok(Reply::Classes(Box::new(std::iter::once(class))))
            }
            Operation::EnumerateClasses {
                class,
                deep,
                selection,
            } => enumerate_classes(class, deep, selection),
            Operation::EnumerateClassNames { class, deep } => {
                let names = classes::below(class.as_ref(), deep)?;
                let names = names.map(|class| Name::from_static(class.name));
                Ok(Reply::ClassNames(Box::new(names)))
            }
            Operation::GetQualifier { name } => {
                let declaration = classes::qualifier(&name)?;
                Ok(Reply::Qualifiers(Box::new(std::iter::once(declaration))))
            }
            Operation::EnumerateQualifiers => Ok(Reply::Qualifiers(classes::qualifiers())),
            Operation::CreateInstance { .. }
            | Operation::ModifyInstance { .. }
            | Operation::DeleteInstance { .. }
            | Operation::SetProperty { .. } => self.change(who, namespace, operation).await,
        }
    }

    /// The instance that a path from a request names, in a fresh snapshot.
    pub(super) fn locate(
        &self,
        namespace: Namespace,
        path: &ObjectPath,
    ) -> Result<(M::Snapshot, Subject<M::Snapshot>), CimError> {
        let snapshot = self.model.snapshot();
        let path = M::Snapshot::catalog().canonical(path, namespace);
        let subject = snapshot.locate(&path)?;
        Ok((snapshot, subject))
    }

    fn get(
        &self,
        namespace: Namespace,
        path: &ObjectPath,
        selection: Selection,
    ) -> Result<Reply, CimError> {
        let (snapshot, subject) = self.locate(namespace, path)?;
        let renderer = Renderer::new(snapshot, &Form::Instances(selection), None);
        Ok(Reply::Instance(renderer.instance(&subject).1))
    }

    fn property(
        &self,
        namespace: Namespace,
        path: &ObjectPath,
        property: Name,
    ) -> Result<Reply, CimError> {
        let (snapshot, subject) = self.locate(namespace, path)?;
        let class = subject.class();
        let declared = class.property(property.as_str());
        let declared = declared.ok_or_else(|| no_such_property(class, &property))?;
        let form = Form::Instances(Selection {
            properties: Some(vec![property]),
            ..Selection::default()
        });
        let (_, instance) = Renderer::new(snapshot, &form, None).instance(&subject);
        Ok(Reply::Value(instance.value(declared.name).cloned()))
    }

    fn open(
        &self,
        who: &Identity,
        namespace: Namespace,
        source: Source,
        form: Form,
        terms: &SessionTerms,
    ) -> Result<Reply, CimError> {
        if terms.filter.is_some() != terms.filter_language.is_some() {
            return Err(CimError::invalid_parameter(
                "FilterQuery and FilterQueryLanguage go together",
            ));
        }
        let accepted = self.sessions.accept(terms)?;
        let listing = self.list(namespace, source, form)?;
        if terms.filter.is_some() {
            return Err(CimError::new(
                Status::FilteredEnumerationNotSupported,
                "filter queries are not supported in enumerations",
            ));
        }
        let Listing::Instances(renderer, subjects) = listing else {
            return Err(CimError::invalid_parameter(
                "InstanceName is the path of an instance, not of a class",
            ));
        };
        // What is left must be known between two requests, so everything is found now; only the
        // identities are kept, the instances are made when they are pulled.
        let now = Instant::now();
        let subjects = subjects.collect();
        self.sessions
            .open(who, namespace, accepted, renderer, subjects, now)
    }

    /// Finds what a listing consists of. After this nothing can fail.
    fn list(
        &self,
        namespace: Namespace,
        source: Source,
        form: Form,
    ) -> Result<Listing<M::Snapshot>, CimError> {
        let catalog = M::Snapshot::catalog();
        match source {
            Source::Class(class) => {
                let class = classes::known(&class)?;
                let snapshot = self.model.snapshot();
                let subjects = catalog.instances(&snapshot, class, namespace);
                let renderer = Renderer::new(snapshot, &form, Some(class));
                Ok(Listing::Instances(Arc::new(renderer), subjects))
            }
            Source::Associators {
                object,
                association,
                result,
                role,
                result_role,
            } => {
                let filters = Filters {
                    association: classes::parameter("AssocClass", &association)?,
                    result: classes::parameter("ResultClass", &result)?,
                    role: role.as_ref().map(Name::as_str),
                    result_role: result_role.as_ref().map(Name::as_str),
                };
                self.walk(namespace, &object, form, filters, Walk::Associators)
            }
            Source::References {
                object,
                result,
                role,
            } => {
                let filters = Filters {
                    association: classes::parameter("ResultClass", &result)?,
                    role: role.as_ref().map(Name::as_str),
                    ..Filters::default()
                };
                self.walk(namespace, &object, form, filters, Walk::References)
            }
        }
    }

    /// Walks from an instance or, in the schema, from a class.
    fn walk(
        &self,
        namespace: Namespace,
        object: &ObjectPath,
        form: Form,
        filters: Filters<'_>,
        walk: Walk,
    ) -> Result<Listing<M::Snapshot>, CimError> {
        // DSP0200 §5.3.2.14: a class that is not there is an invalid parameter here.
        let class = classes::parameter("ObjectName", &Some(object.class.clone()))?;
        if let (None, Some(class)) = (&object.keys, class) {
            let found = match walk {
                Walk::Associators => classes::associators(class, filters),
                Walk::References => classes::references(class, filters),
            };
            return Ok(Listing::Classes(classes::objects(found, namespace, form)));
        }
        let (snapshot, subject) = self.locate(namespace, object)?;
        let catalog = M::Snapshot::catalog();
        let subjects = match (&subject, walk) {
            (Subject::Element(id), Walk::Associators) => {
                catalog.associators(&snapshot, id, filters)
            }
            (Subject::Element(id), Walk::References) => catalog.references(&snapshot, id, filters),
            // Nothing is associated with an association.
            (Subject::Link(_), _) => Box::new(std::iter::empty()),
        };
        let renderer = Renderer::new(snapshot, &form, None);
        Ok(Listing::Instances(Arc::new(renderer), subjects))
    }
}

#[derive(Clone, Copy)]
enum Walk {
    Associators,
    References,
}

/// What was found, not yet rendered.
enum Listing<S: Snapshot> {
    Instances(Arc<Renderer<S>>, Stream<Subject<S>>),
    Classes(Objects),
}

impl<S: Snapshot> Listing<S> {
    fn into_objects(self) -> Objects {
        match self {
            Self::Instances(renderer, subjects) => renderer.objects(subjects),
            Self::Classes(objects) => objects,
        }
    }
}

fn enumerate_classes(
    class: Option<Name>,
    deep: bool,
    selection: ClassSelection,
) -> Result<Reply, CimError> {
    let found = classes::below(class.as_ref(), deep)?;
    let rendered = found.map(move |class| classes::render(class, &selection));
    Ok(Reply::Classes(Box::new(rendered)))
}

pub(super) fn no_such_property(class: &ClassDecl, property: &Name) -> CimError {
    CimError::new(
        Status::NoSuchProperty,
        format!("class {} has no property {property}", class.name),
    )
}

impl PullKind {
    /// What a listing of that form is pulled as.
    pub fn of(form: &Form) -> Self {
        match form {
            Form::Instances(_) => Self::Instances,
            Form::Paths => Self::Paths,
        }
    }
}
