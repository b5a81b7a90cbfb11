//! A method call that was checked, as the model sees it.

use crate::cim::{CimError, Name, ObjectPath, Value};
use crate::schema::{ArgumentError, Arguments, MethodDecl, Param, Receives, TypedMethod};

use super::model::{Snapshot, Target};

/// A method call whose target exists and whose arguments fit the declaration.
#[derive(Clone, Debug)]
pub struct Invocation<S: Snapshot> {
    /// The view in which the target and the arguments were checked.
    pub snapshot: S,
    /// What it is called on.
    pub target: Target<S>,
    /// The method.
    pub method: &'static MethodDecl,
    /// Its arguments in the order of the declared parameters; absent ones are NULL. References
    /// in them name a namespace, in its proper spelling.
    pub values: Vec<Option<Value>>,
}

impl<S: Snapshot> Invocation<S> {
    /// The arguments, if it is method `M` that is called.
    ///
    /// A model tries one method after the other: `if let Some(arguments) = call.of(AddMembers)`.
    pub fn of<M: TypedMethod>(&self, method: M) -> Option<Arguments<M>> {
        if !std::ptr::eq(M::decl(), self.method) {
            return None;
        }
        let declared = self.method.parameters.iter().zip(&self.values);
        let given = declared
            .filter(|(parameter, _)| parameter.input)
            .map(|(parameter, value)| (Name::from_static(parameter.name), value.clone()));
        Arguments::new(method, given).ok()
    }

    /// The refusal of a method that the class declares and nobody implements.
    pub fn not_available(&self) -> CimError {
        CimError::method_not_available(format!(
            "method {} is not implemented for this object",
            self.method.name
        ))
    }

    /// The element that a reference argument names; `None` if it is NULL.
    ///
    /// One that names nothing is refused with the status of [`super::Catalog::resolve`], and the
    /// sentence says which parameter.
    pub fn element<M, D>(
        &self,
        arguments: &Arguments<M>,
        parameter: Param<M, ObjectPath, D>,
    ) -> Result<Option<S::Id>, CimError>
    where
        M: TypedMethod,
        D: Receives,
    {
        let path = arguments.of(parameter);
        path.map(|path| self.find(parameter.decl().name, &path))
            .transpose()
    }

    /// The elements that an array of references names; `None` if it is NULL.
    pub fn elements<M, D>(
        &self,
        arguments: &Arguments<M>,
        parameter: Param<M, Vec<ObjectPath>, D>,
    ) -> Result<Option<Vec<S::Id>>, CimError>
    where
        M: TypedMethod,
        D: Receives,
    {
        let name = parameter.decl().name;
        let paths = arguments.of(parameter);
        paths
            .map(|paths| paths.iter().map(|path| self.find(name, path)).collect())
            .transpose()
    }

    fn find(&self, parameter: &str, path: &ObjectPath) -> Result<S::Id, CimError> {
        let named = |error: CimError| CimError {
            description: format!("parameter {parameter}: {}", error.description),
            ..error
        };
        self.snapshot.resolve(path).map_err(named)
    }
}

impl From<ArgumentError> for CimError {
    fn from(error: ArgumentError) -> Self {
        Self::invalid_parameter(error.to_string())
    }
}
