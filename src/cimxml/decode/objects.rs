//! Instances, classes and their parts, qualifier declarations.

use std::collections::HashSet;

use crate::cim::{
    Class, Embedded, Flavor, Instance, Method, Name, ObjectPath, Parameter, Property,
    PropertyDeclaration, Qualifier, QualifierDeclaration, Scope, Type, Value,
};

use super::super::error::{not_valid, shown};
use super::Result;
use super::tokens::{Element, Tokens};

/// The attributes of SCOPE.
const SCOPES: [(&str, Scope); 7] = [
    ("CLASS", Scope::Class),
    ("ASSOCIATION", Scope::Association),
    ("REFERENCE", Scope::Reference),
    ("PROPERTY", Scope::Property),
    ("METHOD", Scope::Method),
    ("PARAMETER", Scope::Parameter),
    ("INDICATION", Scope::Indication),
];

/// A list whose members have distinct names, within the budget.
struct Members<T> {
    items: Vec<T>,
    names: HashSet<Name>,
}

impl<T> Members<T> {
    fn new() -> Self {
        Self {
            items: Vec::new(),
            names: HashSet::new(),
        }
    }

    fn add(&mut self, tokens: &Tokens<'_, '_>, name: Name, item: T) -> Result<()> {
        tokens.budget.member(self.items.len())?;
        if self.names.contains(&name) {
            return Err(not_valid(format!(
                "{} is there twice",
                shown(name.as_str())
            )));
        }
        self.names.insert(name);
        self.items.push(item);
        Ok(())
    }
}

/// What the three property elements and QUALIFIER have in common.
struct Shape {
    name: Name,
    ty: Type,
    array: bool,
    embedded: Option<Embedded>,
}

impl Tokens<'_, '_> {
    /// The open VALUE.NAMEDINSTANCE.
    pub(super) fn named_instance(
        &mut self,
        element: &Element<'_>,
    ) -> Result<(ObjectPath, Instance)> {
        let name = self.first(element)?;
        if name.name() != "INSTANCENAME" {
            return Err(name.unexpected_in(element));
        }
        let path = self.path(&name)?;
        let instance = self.first(element)?;
        if instance.name() != "INSTANCE" {
            return Err(instance.unexpected_in(element));
        }
        let instance = self.instance(&instance)?;
        self.end(element)?;
        Ok((path, instance))
    }

    /// The open INSTANCE; qualifiers on it say nothing and are forgotten.
    pub(super) fn instance(&mut self, element: &Element<'_>) -> Result<Instance> {
        let class = element.named("CLASSNAME")?;
        let mut properties = Members::new();
        while let Some(child) = self.child()? {
            match child.name() {
                "QUALIFIER" => drop(self.qualifier(&child)?),
                "PROPERTY" | "PROPERTY.ARRAY" | "PROPERTY.REFERENCE" => {
                    let property = self.property(&child)?;
                    properties.add(self, property.name.clone(), property)?;
                }
                _ => return Err(child.unexpected_in(element)),
            }
        }
        Ok(Instance {
            class,
            properties: properties.items,
        })
    }

    fn property(&mut self, element: &Element<'_>) -> Result<Property> {
        let shape = property_shape(element)?;
        let (_, value) = self.qualifiers_and_value(element, &shape)?;
        Ok(Property {
            reference_class: element.optional_name("REFERENCECLASS"),
            origin: element.optional_name("CLASSORIGIN"),
            name: shape.name,
            ty: shape.ty,
            array: shape.array,
            embedded: shape.embedded,
            value,
        })
    }

    /// What stands in a property: qualifiers, then at most one value of its shape.
    fn qualifiers_and_value(
        &mut self,
        element: &Element<'_>,
        shape: &Shape,
    ) -> Result<(Vec<Qualifier>, Option<Value>)> {
        let mut qualifiers = Members::new();
        let mut value = None;
        while let Some(child) = self.child()? {
            match child.name() {
                "QUALIFIER" if value.is_none() => {
                    let qualifier = self.qualifier(&child)?;
                    qualifiers.add(self, qualifier.name.clone(), qualifier)?;
                }
                "VALUE" if value.is_none() && shape.ty != Type::Reference && !shape.array => {
                    let embedded = shape
                        .embedded
                        .or_else(|| embedding(shape.ty, &qualifiers.items));
                    value = Some(self.scalar(shape.ty, embedded)?);
                }
                "VALUE.ARRAY" if value.is_none() && shape.ty != Type::Reference && shape.array => {
                    let embedded = shape
                        .embedded
                        .or_else(|| embedding(shape.ty, &qualifiers.items));
                    value = Some(self.value_array(&child, shape.ty, embedded)?);
                }
                "VALUE.REFERENCE" if value.is_none() && shape.ty == Type::Reference => {
                    value = Some(Value::from(self.reference(&child)?));
                }
                _ => return Err(child.unexpected_in(element)),
            }
        }
        Ok((qualifiers.items, value))
    }

    fn qualifier(&mut self, element: &Element<'_>) -> Result<Qualifier> {
        let name = element.named("NAME")?;
        let ty = element.type_attribute()?;
        let (flavor, propagated) = (flavor(element)?, element.flag("PROPAGATED", false)?);
        let value = self.qualifier_value(element, ty)?;
        Ok(Qualifier {
            name,
            ty,
            array: matches!(value, Some(Value::Array(_))),
            value,
            flavor,
            propagated,
        })
    }

    fn qualifier_value(&mut self, element: &Element<'_>, ty: Type) -> Result<Option<Value>> {
        let Some(child) = self.child()? else {
            return Ok(None);
        };
        let value = self.scalar_or_array(element, &child, ty)?;
        self.end(element)?;
        Ok(Some(value))
    }

    fn scalar_or_array(
        &mut self,
        parent: &Element<'_>,
        element: &Element<'_>,
        ty: Type,
    ) -> Result<Value> {
        match element.name() {
            "VALUE" => self.scalar(ty, None),
            "VALUE.ARRAY" => self.value_array(element, ty, None),
            _ => Err(element.unexpected_in(parent)),
        }
    }

    /// The open QUALIFIER.DECLARATION.
    pub(super) fn qualifier_declaration(
        &mut self,
        element: &Element<'_>,
    ) -> Result<QualifierDeclaration> {
        let name = element.named("NAME")?;
        let ty = element.type_attribute()?;
        let mut scopes = None;
        let mut value = None;
        while let Some(child) = self.child()? {
            match child.name() {
                "SCOPE" if scopes.is_none() && value.is_none() => {
                    scopes = Some(scope(&child)?);
                    self.end(&child)?;
                }
                _ if value.is_none() => value = Some(self.scalar_or_array(element, &child, ty)?),
                _ => return Err(child.unexpected_in(element)),
            }
        }
        Ok(QualifierDeclaration {
            array: element.flag("ISARRAY", matches!(value, Some(Value::Array(_))))?,
            array_size: element.array_size()?,
            scopes: scopes.unwrap_or_default(),
            flavor: flavor(element)?,
            name,
            ty,
            value,
        })
    }

    /// The open CLASS.
    pub(super) fn class(&mut self, element: &Element<'_>) -> Result<Class> {
        let mut qualifiers = Members::new();
        let mut properties = Members::new();
        let mut methods = Members::new();
        while let Some(child) = self.child()? {
            match child.name() {
                "QUALIFIER" => {
                    let qualifier = self.qualifier(&child)?;
                    qualifiers.add(self, qualifier.name.clone(), qualifier)?;
                }
                "PROPERTY" | "PROPERTY.ARRAY" | "PROPERTY.REFERENCE" => {
                    let property = self.property_declaration(&child)?;
                    properties.add(self, property.name.clone(), property)?;
                }
                "METHOD" => {
                    let method = self.method(&child)?;
                    methods.add(self, method.name.clone(), method)?;
                }
                _ => return Err(child.unexpected_in(element)),
            }
        }
        Ok(Class {
            name: element.named("NAME")?,
            superclass: element.optional_name("SUPERCLASS"),
            qualifiers: qualifiers.items,
            properties: properties.items,
            methods: methods.items,
        })
    }

    fn property_declaration(&mut self, element: &Element<'_>) -> Result<PropertyDeclaration> {
        let shape = property_shape(element)?;
        let (qualifiers, default) = self.qualifiers_and_value(element, &shape)?;
        Ok(PropertyDeclaration {
            embedded: shape.embedded.or_else(|| embedding(shape.ty, &qualifiers)),
            name: shape.name,
            ty: shape.ty,
            array: shape.array,
            array_size: element.array_size()?,
            reference_class: element.optional_name("REFERENCECLASS"),
            default,
            qualifiers,
            origin: origin(element),
            propagated: element.flag("PROPAGATED", false)?,
        })
    }

    fn method(&mut self, element: &Element<'_>) -> Result<Method> {
        let mut qualifiers = Members::new();
        let mut parameters = Members::new();
        while let Some(child) = self.child()? {
            match child.name() {
                "QUALIFIER" => {
                    let qualifier = self.qualifier(&child)?;
                    qualifiers.add(self, qualifier.name.clone(), qualifier)?;
                }
                name if name.starts_with("PARAMETER") => {
                    let parameter = self.method_parameter(element, &child)?;
                    parameters.add(self, parameter.name.clone(), parameter)?;
                }
                _ => return Err(child.unexpected_in(element)),
            }
        }
        Ok(Method {
            name: element.named("NAME")?,
            returns: element
                .attribute("TYPE")
                .map(|_| element.type_attribute())
                .transpose()?,
            qualifiers: qualifiers.items,
            parameters: parameters.items,
            origin: origin(element),
            propagated: element.flag("PROPAGATED", false)?,
        })
    }

    fn method_parameter(
        &mut self,
        parent: &Element<'_>,
        element: &Element<'_>,
    ) -> Result<Parameter> {
        let (ty, array) = match element.name() {
            "PARAMETER" => (element.type_attribute()?, false),
            "PARAMETER.ARRAY" => (element.type_attribute()?, true),
            "PARAMETER.REFERENCE" => (Type::Reference, false),
            "PARAMETER.REFARRAY" => (Type::Reference, true),
            _ => return Err(element.unexpected_in(parent)),
        };
        let mut qualifiers = Members::new();
        while let Some(child) = self.child()? {
            if child.name() != "QUALIFIER" {
                return Err(child.unexpected_in(element));
            }
            let qualifier = self.qualifier(&child)?;
            qualifiers.add(self, qualifier.name.clone(), qualifier)?;
        }
        Ok(Parameter {
            name: element.named("NAME")?,
            ty,
            array,
            array_size: element.array_size()?,
            reference_class: element.optional_name("REFERENCECLASS"),
            embedded: embedding(ty, &qualifiers.items),
            qualifiers: qualifiers.items,
        })
    }
}

fn property_shape(element: &Element<'_>) -> Result<Shape> {
    let name = element.named("NAME")?;
    let (ty, array) = match element.name() {
        "PROPERTY.REFERENCE" => (Type::Reference, false),
        tag => (element.type_attribute()?, tag == "PROPERTY.ARRAY"),
    };
    let embedded = element.embedded()?;
    if embedded.is_some() && ty != Type::String {
        return Err(not_valid("only a string can embed an object"));
    }
    Ok(Shape {
        name,
        ty,
        array,
        embedded,
    })
}

/// CLASSORIGIN; where nobody says it, the empty name.
fn origin(element: &Element<'_>) -> Name {
    element
        .optional_name("CLASSORIGIN")
        .unwrap_or(Name::from_static(""))
}

fn flavor(element: &Element<'_>) -> Result<Flavor> {
    let usual = Flavor::default();
    Ok(Flavor {
        overridable: element.flag("OVERRIDABLE", usual.overridable)?,
        to_subclass: element.flag("TOSUBCLASS", usual.to_subclass)?,
        translatable: element.flag("TRANSLATABLE", usual.translatable)?,
    })
}

/// SCOPE; `ANY`, which no DTD knows but some clients write, is every scope.
fn scope(element: &Element<'_>) -> Result<Vec<Scope>> {
    let any = element.flag("ANY", false)?;
    let mut scopes = Vec::new();
    for (attribute, scope) in SCOPES {
        if element.flag(attribute, any)? {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

/// What the qualifiers of a declaration say about embedding, which only a string can do.
fn embedding(ty: Type, qualifiers: &[Qualifier]) -> Option<Embedded> {
    if ty != Type::String {
        return None;
    }
    qualifiers.iter().find_map(|qualifier| {
        if qualifier.name == "EmbeddedInstance" {
            Some(Embedded::Instance)
        } else if qualifier.name == "EmbeddedObject"
            && qualifier.value == Some(Value::Boolean(true))
        {
            Some(Embedded::Object)
        } else {
            None
        }
    })
}
