//! The operations that are offered, and the parameters that each of them takes (DSP0200 §5.3.2).

use super::Sent;
use super::parameters::{Parameters, needed};
use crate::broker::{Form, Operation, PullKind, Selection, Source};
use crate::cim::{CimError, Name};
use crate::cimxml::ParamValue;

type Read = fn(&mut Parameters) -> Result<Operation<Sent>, CimError>;

/// An operation by its name.
pub(super) struct Intrinsic {
    name: &'static str,
    /// Whether it changes something.
    pub(super) changes: bool,
    read: Read,
}

const fn reads(name: &'static str, read: Read) -> Intrinsic {
    Intrinsic {
        name,
        changes: false,
        read,
    }
}

const fn changes(name: &'static str, read: Read) -> Intrinsic {
    Intrinsic {
        name,
        changes: true,
        read,
    }
}

/// What is not in this table is not supported.
static OPERATIONS: [Intrinsic; 28] = [
    reads("GetInstance", get_instance),
    reads("EnumerateInstances", enumerate_instances),
    reads("EnumerateInstanceNames", enumerate_instance_names),
    reads("Associators", |p| walk_objects(p, associators)),
    reads("AssociatorNames", |p| {
        list(associators(p, "ObjectName")?, Form::Paths)
    }),
    reads("References", |p| walk_objects(p, references)),
    reads("ReferenceNames", |p| {
        list(references(p, "ObjectName")?, Form::Paths)
    }),
    reads("OpenEnumerateInstances", open_enumerate_instances),
    reads("OpenEnumerateInstancePaths", |p| open(p, of_class, paths)),
    reads("OpenAssociatorInstances", |p| {
        open(p, associators_of_instance, instances)
    }),
    reads("OpenAssociatorInstancePaths", |p| {
        open(p, associators_of_instance, paths)
    }),
    reads("OpenReferenceInstances", |p| {
        open(p, references_of_instance, instances)
    }),
    reads("OpenReferenceInstancePaths", |p| {
        open(p, references_of_instance, paths)
    }),
    reads("PullInstancesWithPath", |p| pull(p, PullKind::Instances)),
    reads("PullInstancePaths", |p| pull(p, PullKind::Paths)),
    reads("PullInstances", |p| pull(p, PullKind::QueryResults)),
    reads("CloseEnumeration", |p| {
        Ok(Operation::CloseEnumeration {
            context: context(p)?,
        })
    }),
    reads("EnumerationCount", |p| {
        Ok(Operation::EnumerationCount {
            context: context(p)?,
        })
    }),
    reads("GetProperty", |p| {
        Ok(Operation::GetProperty {
            path: p.instance_name("InstanceName")?,
            property: property_name(p)?,
        })
    }),
    reads("GetClass", get_class),
    reads("EnumerateClasses", |p| {
        Ok(Operation::EnumerateClasses {
            class: p.class("ClassName")?,
            deep: p.boolean("DeepInheritance", false)?,
            selection: p.class_selection()?,
        })
    }),
    reads("EnumerateClassNames", |p| {
        Ok(Operation::EnumerateClassNames {
            class: p.class("ClassName")?,
            deep: p.boolean("DeepInheritance", false)?,
        })
    }),
    reads("GetQualifier", |p| {
        let name = p.string("QualifierName")?;
        let name = needed("QualifierName", name)?.into();
        Ok(Operation::GetQualifier { name })
    }),
    reads("EnumerateQualifiers", |_| {
        Ok(Operation::EnumerateQualifiers)
    }),
    changes("CreateInstance", |p| {
        Ok(Operation::CreateInstance {
            instance: p.instance("NewInstance")?,
        })
    }),
    changes("ModifyInstance", modify_instance),
    changes("DeleteInstance", |p| {
        Ok(Operation::DeleteInstance {
            path: p.instance_name("InstanceName")?,
        })
    }),
    changes("SetProperty", |p| {
        Ok(Operation::SetProperty {
            path: p.instance_name("InstanceName")?,
            property: property_name(p)?,
            value: p.untyped("NewValue"),
        })
    }),
];

/// The operation of that name, in any case.
pub(super) fn find(name: &Name) -> Option<&'static Intrinsic> {
    OPERATIONS.iter().find(|operation| *name == *operation.name)
}

impl Intrinsic {
    /// The operation with its parameters; each of them is known, given once and well-typed.
    pub(super) fn read(&self, given: Vec<(Name, ParamValue)>) -> Result<Operation<Sent>, CimError> {
        let mut parameters = Parameters::new(given)?;
        let operation = (self.read)(&mut parameters)?;
        parameters.finish()?;
        Ok(operation)
    }
}

fn get_instance(p: &mut Parameters) -> Result<Operation<Sent>, CimError> {
    p.ignored("LocalOnly")?;
    p.ignored("IncludeQualifiers")?;
    Ok(Operation::GetInstance {
        path: p.instance_name("InstanceName")?,
        selection: p.selection()?,
    })
}

fn enumerate_instances(p: &mut Parameters) -> Result<Operation<Sent>, CimError> {
    p.ignored("LocalOnly")?;
    p.ignored("IncludeQualifiers")?;
    let source = of_class(p)?;
    let deep = p.boolean("DeepInheritance", true)?;
    let selection = p.selection()?;
    list(source, Form::Instances(Selection { deep, ..selection }))
}

fn enumerate_instance_names(p: &mut Parameters) -> Result<Operation<Sent>, CimError> {
    list(of_class(p)?, Form::Paths)
}

fn open_enumerate_instances(p: &mut Parameters) -> Result<Operation<Sent>, CimError> {
    let deep = p.boolean("DeepInheritance", true)?;
    let selection = p.selection()?;
    Ok(Operation::Open {
        form: Form::Instances(Selection { deep, ..selection }),
        session: p.session()?,
        source: of_class(p)?,
    })
}

fn get_class(p: &mut Parameters) -> Result<Operation<Sent>, CimError> {
    let class = p.class("ClassName")?;
    let mut selection = p.class_selection()?;
    selection.properties = p.property_list()?;
    Ok(Operation::GetClass {
        class: needed("ClassName", class)?,
        selection,
    })
}

fn modify_instance(p: &mut Parameters) -> Result<Operation<Sent>, CimError> {
    p.ignored("IncludeQualifiers")?;
    let properties = p.property_list()?;
    let (path, instance) = p.named_instance("ModifiedInstance")?;
    Ok(Operation::ModifyInstance {
        path,
        instance,
        properties,
    })
}

type ReadSource = fn(&mut Parameters, &'static str) -> Result<Source, CimError>;

/// Associators and References, which return objects and take the deprecated IncludeQualifiers.
fn walk_objects(p: &mut Parameters, source: ReadSource) -> Result<Operation<Sent>, CimError> {
    let qualifiers = p.boolean("IncludeQualifiers", false)?;
    let selection = Selection {
        qualifiers,
        ..p.selection()?
    };
    list(source(p, "ObjectName")?, Form::Instances(selection))
}

fn list(source: Source, form: Form) -> Result<Operation<Sent>, CimError> {
    Ok(Operation::List { source, form })
}

fn open(
    p: &mut Parameters,
    source: fn(&mut Parameters) -> Result<Source, CimError>,
    form: fn(&mut Parameters) -> Result<Form, CimError>,
) -> Result<Operation<Sent>, CimError> {
    Ok(Operation::Open {
        form: form(p)?,
        session: p.session()?,
        source: source(p)?,
    })
}

fn instances(p: &mut Parameters) -> Result<Form, CimError> {
    p.selection().map(Form::Instances)
}

fn paths(_: &mut Parameters) -> Result<Form, CimError> {
    Ok(Form::Paths)
}

fn of_class(p: &mut Parameters) -> Result<Source, CimError> {
    let class = p.class("ClassName")?;
    needed("ClassName", class).map(Source::Class)
}

fn associators(p: &mut Parameters, object: &'static str) -> Result<Source, CimError> {
    Ok(Source::Associators {
        association: p.class("AssocClass")?,
        result: p.class("ResultClass")?,
        role: role(p, "Role")?,
        result_role: role(p, "ResultRole")?,
        object: p.object_name(object)?,
    })
}

fn references(p: &mut Parameters, object: &'static str) -> Result<Source, CimError> {
    Ok(Source::References {
        result: p.class("ResultClass")?,
        role: role(p, "Role")?,
        object: p.object_name(object)?,
    })
}

fn associators_of_instance(p: &mut Parameters) -> Result<Source, CimError> {
    associators(p, "InstanceName")
}

fn references_of_instance(p: &mut Parameters) -> Result<Source, CimError> {
    references(p, "InstanceName")
}

/// A role; an empty one is none, as clients with empty fields send it.
fn role(p: &mut Parameters, name: &str) -> Result<Option<Name>, CimError> {
    let role = p.string(name)?.filter(|role| !role.is_empty());
    Ok(role.map(Name::from))
}

fn pull(p: &mut Parameters, kind: PullKind) -> Result<Operation<Sent>, CimError> {
    let count = p.number("MaxObjectCount")?;
    Ok(Operation::Pull {
        context: context(p)?,
        kind,
        count: needed("MaxObjectCount", count)?,
    })
}

fn context(p: &mut Parameters) -> Result<String, CimError> {
    let context = p.string("EnumerationContext")?;
    needed("EnumerationContext", context)
}

fn property_name(p: &mut Parameters) -> Result<Name, CimError> {
    let name = p.string("PropertyName")?;
    Ok(needed("PropertyName", name)?.into())
}
