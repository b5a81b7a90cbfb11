//! Qualifier declarations, and the qualifiers of one element: given and inherited.

use super::super::ast;
use super::super::diagnostic::{Diagnostic, Problem};
use super::Resolver;
use super::value::{self, Expected};
use crate::cim::{Embedded, Flavor, Name, Qualifier, QualifierDeclaration, Scope, Type, Value};

impl Resolver {
    pub(super) fn declare_qualifier(&mut self, written: &ast::QualifierType) {
        let name = Name::from(written.name.it.as_str());
        if let Some(&(_, first)) = self.qualifier_by_name.get(&name) {
            let problem = Problem::DuplicateQualifierDeclaration(written.name.it.clone());
            self.problems.push(
                Diagnostic::new(problem, written.name.span)
                    .with_related(first, "first declared here"),
            );
            return;
        }
        let shape = &written.shape;
        let value = written
            .default
            .as_ref()
            .and_then(|v| self.value(v, expected(shape)));
        let entry = (self.qualifiers.len(), written.name.span);
        self.qualifier_by_name.insert(name.clone(), entry);
        self.qualifiers.push(QualifierDeclaration {
            name,
            ty: shape.ty,
            array: shape.array,
            array_size: shape.array_size,
            value,
            scopes: written.scopes.clone(),
            flavor: apply(Flavor::default(), written.flavor),
        });
    }

    /// The value of `written`; a mistake is reported and becomes NULL.
    pub(super) fn value(
        &mut self,
        written: &ast::Initializer,
        expected: Expected,
    ) -> Option<Value> {
        value::value(written, expected).unwrap_or_else(|problem| {
            self.problems.push(problem);
            None
        })
    }

    /// The qualifiers of an element: those of the element above that pass to subclasses, then
    /// those given here, which replace inherited ones of the same name.
    pub(super) fn qualifiers_of(
        &mut self,
        written: &[ast::Qualifier],
        scopes: &[Scope],
        above: &[Qualifier],
    ) -> Vec<Qualifier> {
        let mut qualifiers = inherited(above);
        for (index, given) in written.iter().enumerate() {
            let again =
                |other: &&ast::Qualifier| other.name.it.eq_ignore_ascii_case(&given.name.it);
            if let Some(first) = written[..index].iter().find(again) {
                let problem = Problem::DuplicateQualifier(given.name.it.clone());
                self.problems.push(
                    Diagnostic::new(problem, given.name.span)
                        .with_related(first.name.span, "first given here"),
                );
                continue;
            }
            let Some(qualifier) = self.qualifier(given, scopes) else {
                continue;
            };
            match qualifiers.iter_mut().find(|q| q.name == qualifier.name) {
                None => qualifiers.push(qualifier),
                Some(same) if same.flavor.overridable || same.value == qualifier.value => {
                    *same = qualifier;
                }
                Some(_) => {
                    let problem = Problem::QualifierNotOverridable(given.name.it.clone());
                    self.report(problem, given.name.span);
                }
            }
        }
        qualifiers
    }

    fn qualifier(&mut self, given: &ast::Qualifier, scopes: &[Scope]) -> Option<Qualifier> {
        let Some(&(index, _)) = self
            .qualifier_by_name
            .get(&Name::from(given.name.it.as_str()))
        else {
            let problem = Problem::UnknownQualifier(given.name.it.clone());
            self.report(problem, given.name.span);
            return None;
        };
        let declared = &self.qualifiers[index];
        let (name, ty, array) = (declared.name.clone(), declared.ty, declared.array);
        let array_size = declared.array_size;
        let flavor = apply(declared.flavor, given.flavor);
        if !scopes.iter().any(|scope| declared.scopes.contains(scope)) {
            let problem = Problem::WrongScope {
                qualifier: given.name.it.clone(),
                scope: *scopes.first()?,
            };
            self.report(problem, given.name.span);
        }
        let expected = Expected {
            ty,
            array,
            array_size,
        };
        let value = match &given.value {
            Some(written) => self.value(written, expected),
            None if ty == Type::Boolean && !array => Some(Value::Boolean(true)),
            None => None,
        };
        Some(Qualifier {
            name,
            ty,
            array,
            value,
            flavor,
            propagated: false,
        })
    }

    /// What a string-typed element embeds, from its qualifiers; checks the given ones.
    pub(super) fn embedded(
        &mut self,
        ty: Type,
        written: &[ast::Qualifier],
        qualifiers: &[Qualifier],
    ) -> Option<Embedded> {
        let value = |name: &str| {
            let found = qualifiers.iter().find(|q| q.name == name);
            found.and_then(|q| q.value.as_ref())
        };
        let (name, embedded) = match (value("EmbeddedInstance"), value("EmbeddedObject")) {
            (Some(Value::String(_)), _) => ("EmbeddedInstance", Embedded::Instance),
            (_, Some(Value::Boolean(true))) => ("EmbeddedObject", Embedded::Object),
            _ => return None,
        };
        let given = written
            .iter()
            .find(|q| q.name.it.eq_ignore_ascii_case(name));
        if let Some(given) = given {
            if ty != Type::String {
                self.report(Problem::EmbeddedNotString, given.name.span);
            }
            if let Some(ast::Initializer::Scalar(literal)) = &given.value
                && let ast::Literal::String(class) = &literal.it
            {
                self.mentions.push(ast::Word {
                    it: class.clone(),
                    span: literal.span,
                });
            }
        }
        (ty == Type::String).then_some(embedded)
    }
}

pub(super) fn expected(shape: &ast::Shape) -> Expected {
    Expected {
        ty: shape.ty,
        array: shape.array,
        array_size: shape.array_size,
    }
}

/// The qualifiers that an element passes to the subclasses of its class.
pub(super) fn inherited(above: &[Qualifier]) -> Vec<Qualifier> {
    let passed = above.iter().filter(|q| q.flavor.to_subclass);
    passed
        .map(|q| Qualifier {
            propagated: true,
            ..q.clone()
        })
        .collect()
}

fn apply(base: Flavor, words: ast::FlavorWords) -> Flavor {
    Flavor {
        overridable: words.overridable.unwrap_or(base.overridable),
        to_subclass: words.to_subclass.unwrap_or(base.to_subclass),
        translatable: words.translatable.unwrap_or(base.translatable),
    }
}
