//! Classes: own elements on top of the superclass's.

use super::super::ast::{self, Element, Word};
use super::super::diagnostic::{Diagnostic, Problem};
use super::qualifier::{expected, inherited};
use super::{Narrowing, Resolver};
use crate::cim::{
    Class, Method, Name, Parameter, PropertyDeclaration, Qualifier, Scope, Type, Value,
};

impl Resolver {
    /// Resolves one class; its superclass has been resolved already, or is unknown.
    pub(super) fn class(&mut self, written: &ast::Class) -> Class {
        let name = Name::from(written.name.it.as_str());
        let superclass = written
            .superclass
            .as_ref()
            .and_then(|s| self.find_class(&s.it))
            .cloned();
        let above = superclass.as_ref();
        let is = |name: &str| {
            let given = written.qualifiers.iter();
            given.clone().any(|q| q.name.it.eq_ignore_ascii_case(name))
                || above.is_some_and(|c| c.qualifier(name).is_some())
        };
        let scope = if is("Association") {
            Scope::Association
        } else if is("Indication") {
            Scope::Indication
        } else {
            Scope::Class
        };
        let above_qualifiers = above.map_or(&[][..], |c| &c.qualifiers);
        let mut class = Class {
            name,
            superclass: above.map(|c| c.name.clone()),
            qualifiers: self.qualifiers_of(&written.qualifiers, &[scope], above_qualifiers),
            properties: above.map(inherited_properties).unwrap_or_default(),
            methods: above.map(inherited_methods).unwrap_or_default(),
        };
        self.check_duplicates("property", written.properties.iter().map(|p| &p.name));
        self.check_duplicates("method", written.methods.iter().map(|m| &m.name));
        for property in &written.properties {
            let above = above.and_then(|c| c.property(&property.name.it));
            let resolved = self.property(property, &class, above);
            put(&mut class.properties, resolved, |p| &p.name);
        }
        for method in &written.methods {
            let above = above.and_then(|c| c.method(&method.name.it));
            let resolved = self.method(method, &class.name, above);
            put(&mut class.methods, resolved, |m| &m.name);
        }
        class
    }

    fn check_duplicates<'w>(
        &mut self,
        kind: &'static str,
        names: impl Iterator<Item = &'w Word> + Clone,
    ) {
        for (index, name) in names.clone().enumerate() {
            let same = |other: &&Word| other.it.eq_ignore_ascii_case(&name.it);
            if let Some(first) = names.clone().take(index).find(same) {
                let problem = Problem::DuplicateElement {
                    kind,
                    name: name.it.clone(),
                };
                self.problems.push(
                    Diagnostic::new(problem, name.span)
                        .with_related(first.span, "first declared here"),
                );
            }
        }
    }

    fn property(
        &mut self,
        written: &Element,
        class: &Class,
        above: Option<&PropertyDeclaration>,
    ) -> PropertyDeclaration {
        let ty = written.shape.ty;
        let scope = if ty == Type::Reference {
            Scope::Reference
        } else {
            Scope::Property
        };
        let above_qualifiers = above.map_or(&[][..], |p| &p.qualifiers);
        let qualifiers = self.qualifiers_of(&written.qualifiers, &[scope], above_qualifiers);
        self.check_override(written.name.clone(), &qualifiers, above.map(|p| &p.origin));
        if let Some(above) = above {
            let same = (ty, written.shape.array) == (above.ty, above.array);
            self.check_same_type(&written.name, &written.shape, same, &above.reference_class);
        }
        let embedded = self.embedded(ty, &written.qualifiers, &qualifiers);
        let default = match &written.default {
            Some(value) => self.value(value, expected(&written.shape)),
            None => above.and_then(|p| p.default.clone()),
        };
        let property = PropertyDeclaration {
            name: written.name.it.as_str().into(),
            ty,
            array: written.shape.array,
            array_size: written.shape.array_size,
            reference_class: self.reference_class(&written.shape),
            embedded,
            default,
            qualifiers,
            origin: above.map_or(&class.name, |p| &p.origin).clone(),
            propagated: false,
        };
        let has_keys = class.properties.iter().any(|p| p.propagated && p.is_key());
        if property.is_key() && above.is_none() && has_keys {
            let problem = Problem::AddedKey(written.name.it.clone());
            self.report(problem, written.name.span);
        }
        property
    }

    fn method(&mut self, written: &ast::Method, class: &Name, above: Option<&Method>) -> Method {
        let above_qualifiers = above.map_or(&[][..], |m| &m.qualifiers);
        let qualifiers =
            self.qualifiers_of(&written.qualifiers, &[Scope::Method], above_qualifiers);
        self.check_override(written.name.clone(), &qualifiers, above.map(|m| &m.origin));
        if above.is_some_and(|m| m.returns != written.returns) {
            let problem = Problem::OverrideChangesType(written.name.it.clone());
            self.report(problem, written.name.span);
        }
        self.check_duplicates("parameter", written.parameters.iter().map(|p| &p.name));
        let parameters = written.parameters.iter().map(|parameter| {
            let above = above.and_then(|m| {
                let mut parameters = m.parameters.iter();
                parameters.find(|p| p.name == *parameter.name.it)
            });
            self.parameter(parameter, above)
        });
        Method {
            name: written.name.it.as_str().into(),
            returns: written.returns,
            parameters: parameters.collect(),
            qualifiers,
            origin: above.map_or(class, |m| &m.origin).clone(),
            propagated: false,
        }
    }

    fn parameter(&mut self, written: &Element, above: Option<&Parameter>) -> Parameter {
        let shape = &written.shape;
        let scopes = if shape.ty == Type::Reference {
            &[Scope::Parameter, Scope::Reference][..]
        } else {
            &[Scope::Parameter]
        };
        let above_qualifiers = above.map_or(&[][..], |p| &p.qualifiers);
        let qualifiers = self.qualifiers_of(&written.qualifiers, scopes, above_qualifiers);
        if let Some(above) = above {
            let same = (shape.ty, shape.array) == (above.ty, above.array);
            self.check_same_type(&written.name, shape, same, &above.reference_class);
        }
        Parameter {
            name: written.name.it.as_str().into(),
            ty: shape.ty,
            array: shape.array,
            array_size: shape.array_size,
            reference_class: self.reference_class(shape),
            embedded: self.embedded(shape.ty, &written.qualifiers, &qualifiers),
            qualifiers,
        }
    }

    fn reference_class(&mut self, shape: &ast::Shape) -> Option<Name> {
        let class = shape.reference_class.clone()?;
        let name = Name::from(class.it.as_str());
        self.mentions.push(class);
        Some(name)
    }

    /// Checks `Override` against what is above: one needs the other, and names agree.
    fn check_override(&mut self, name: Word, qualifiers: &[Qualifier], above: Option<&Name>) {
        let overrides = qualifiers
            .iter()
            .find(|q| q.name == "Override" && !q.propagated)
            .and_then(|q| q.value.as_ref())
            .and_then(Value::as_str);
        let problem = match (overrides, above) {
            (None, None) => return,
            (None, Some(origin)) => Problem::MissingOverride {
                name: name.it,
                origin: origin.to_string(),
            },
            (Some(other), _) if !other.eq_ignore_ascii_case(&name.it) => {
                Problem::OverrideChangesName(name.it)
            }
            (Some(_), None) => Problem::NothingToOverride(name.it),
            (Some(_), Some(_)) => return,
        };
        self.report(problem, name.span);
    }

    fn check_same_type(
        &mut self,
        name: &Word,
        shape: &ast::Shape,
        same: bool,
        wide: &Option<Name>,
    ) {
        if !same {
            let problem = Problem::OverrideChangesType(name.it.clone());
            self.report(problem, name.span);
        } else if let (Some(narrow), Some(wide)) = (&shape.reference_class, wide) {
            self.narrowings.push(Narrowing {
                element: name.clone(),
                narrow: narrow.it.as_str().into(),
                wide: wide.clone(),
            });
        }
    }
}

fn inherited_properties(above: &Class) -> Vec<PropertyDeclaration> {
    let properties = above.properties.iter().cloned();
    properties
        .map(|property| PropertyDeclaration {
            qualifiers: inherited(&property.qualifiers),
            propagated: true,
            ..property
        })
        .collect()
}

fn inherited_methods(above: &Class) -> Vec<Method> {
    let methods = above.methods.iter().cloned();
    methods
        .map(|method| {
            let parameters = method.parameters.iter().map(|parameter| Parameter {
                qualifiers: inherited(&parameter.qualifiers),
                ..parameter.clone()
            });
            Method {
                qualifiers: inherited(&method.qualifiers),
                parameters: parameters.collect(),
                propagated: true,
                ..method
            }
        })
        .collect()
}

/// Puts an element in the place of the one with its name, or at the end.
fn put<T>(elements: &mut Vec<T>, element: T, name: impl Fn(&T) -> &Name) {
    match elements.iter().position(|e| name(e) == name(&element)) {
        Some(index) => elements[index] = element,
        None => elements.push(element),
    }
}
