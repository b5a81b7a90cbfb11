//! Operations on classes and qualifiers: the schema, the same in every namespace.

use crate::cim::{CimError, Class, Name, ObjectPath, QualifierDeclaration};
use crate::schema::{self, ClassDecl, ClassFilter, PropertyDecl};

use super::model::Namespace;
use super::operation::{ClassSelection, Form, Objects, Selection, Stream};
use super::walk::Filters;

/// The class, as one that an instance-level request names (5 if there is none).
pub(super) fn known(class: &Name) -> Result<&'static ClassDecl, CimError> {
    schema::class(class.as_str()).ok_or_else(|| CimError::invalid_class(unknown(class)))
}

/// The class, as one that a parameter of an association operation names (4 if there is none).
pub(super) fn parameter(
    name: &str,
    class: &Option<Name>,
) -> Result<Option<&'static ClassDecl>, CimError> {
    let Some(class) = class else { return Ok(None) };
    match schema::class(class.as_str()) {
        Some(class) => Ok(Some(class)),
        None => Err(CimError::invalid_parameter(format!(
            "{name}: {}",
            unknown(class)
        ))),
    }
}

fn unknown(class: &Name) -> String {
    format!("there is no class {class}")
}

pub(super) fn get(class: &Name, selection: &ClassSelection) -> Result<Class, CimError> {
    let found = schema::class(class.as_str());
    let found = found.ok_or_else(|| CimError::not_found(unknown(class)))?;
    Ok(render(found, selection))
}

/// The classes directly below a class or at the top; with `deep` all of them.
pub(super) fn below(
    class: Option<&Name>,
    deep: bool,
) -> Result<Stream<&'static ClassDecl>, CimError> {
    let class = class.map(known).transpose()?;
    Ok(match (class, deep) {
        (None, false) => Box::new(schema::top_classes()),
        (None, true) => Box::new(schema::classes().iter()),
        (Some(class), false) => Box::new(class.subclasses()),
        (Some(class), true) => Box::new(class.all_subclasses().iter()),
    })
}

pub(super) fn render(class: &'static ClassDecl, selection: &ClassSelection) -> Class {
    let mut class = class.to_class(&ClassFilter {
        local_only: selection.local_only,
        qualifiers: selection.qualifiers,
        properties: selection.properties.as_deref(),
    });
    if !selection.class_origin {
        // An empty origin is one that nobody asked for.
        const NONE: Name = Name::from_static("");
        class.properties.iter_mut().for_each(|p| p.origin = NONE);
        class.methods.iter_mut().for_each(|m| m.origin = NONE);
    }
    class
}

pub(super) fn qualifier(name: &Name) -> Result<QualifierDeclaration, CimError> {
    let declared = schema::qualifier_declaration(name.as_str());
    declared
        .map(schema::QualifierDecl::to_declaration)
        .ok_or_else(|| CimError::not_found(format!("there is no qualifier {name}")))
}

pub(super) fn qualifiers() -> Stream<QualifierDeclaration> {
    let declared = schema::qualifier_declarations().iter();
    Box::new(declared.map(schema::QualifierDecl::to_declaration))
}

/// An association class, and its reference that a class can stand at.
type Place = (&'static ClassDecl, &'static PropertyDecl);

/// Where a class or instances of it can stand: every association class with such a reference.
fn places(class: &'static ClassDecl, filters: Filters<'_>) -> Vec<Place> {
    let associations = match filters.association {
        Some(association) => association.with_subclasses(),
        None => schema::classes(),
    };
    let associations = associations.iter().filter(|c| c.is_association);
    let places = associations.flat_map(|a| a.references().map(move |reference| (a, reference)));
    let fits = |(_, reference): &Place| {
        fits_role(filters.role, reference)
            && target(reference).is_some_and(|target| class.is_subclass_of(target))
    };
    places.filter(fits).collect()
}

/// The association classes that refer to a class (References of a class).
pub(super) fn references(
    class: &'static ClassDecl,
    filters: Filters<'_>,
) -> Vec<&'static ClassDecl> {
    let found = places(class, filters)
        .into_iter()
        .map(|(association, _)| association);
    each_once(found)
}

/// The classes that a class is associated with (Associators of a class).
pub(super) fn associators(
    class: &'static ClassDecl,
    filters: Filters<'_>,
) -> Vec<&'static ClassDecl> {
    let found = places(class, filters)
        .into_iter()
        .flat_map(|(association, here)| {
            let others = association
                .references()
                .filter(move |r| !std::ptr::eq(*r, here));
            others
                .filter(move |there| fits_role(filters.result_role, there))
                .filter_map(target)
                .filter(move |other| {
                    filters
                        .result
                        .is_none_or(|wanted| other.is_subclass_of(wanted))
                })
        });
    each_once(found)
}

fn target(reference: &'static PropertyDecl) -> Option<&'static ClassDecl> {
    schema::class(reference.shape.reference_class?)
}

fn fits_role(role: Option<&str>, reference: &PropertyDecl) -> bool {
    role.is_none_or(|role| role.eq_ignore_ascii_case(reference.name))
}

fn each_once(classes: impl Iterator<Item = &'static ClassDecl>) -> Vec<&'static ClassDecl> {
    let mut found: Vec<&'static ClassDecl> = Vec::new();
    for class in classes {
        if !found.contains(&class) {
            found.push(class);
        }
    }
    found
}

/// The classes with their paths, or the paths alone.
pub(super) fn objects(
    classes: Vec<&'static ClassDecl>,
    namespace: Namespace,
    form: Form,
) -> Objects {
    let path = move |class: &ClassDecl| {
        ObjectPath::class(Name::from_static(class.name))
            .in_namespace(Name::from_static(namespace.name))
    };
    let classes = classes.into_iter();
    match form {
        Form::Paths => Objects::Paths(Box::new(classes.map(path))),
        Form::Instances(Selection {
            properties,
            class_origin,
            qualifiers,
            ..
        }) => {
            let selection = ClassSelection {
                local_only: false,
                qualifiers,
                class_origin,
                properties,
            };
            Objects::Classes(Box::new(
                classes.map(move |class| (path(class), render(class, &selection))),
            ))
        }
    }
}
