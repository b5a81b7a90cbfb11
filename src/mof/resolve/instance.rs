//! Instance declarations: typed values, defaults, keys, and aliases as references.

use std::collections::HashMap;

use super::super::DeclaredInstance;
use super::super::ast::{self, Initializer, Literal, Word};
use super::super::diagnostic::{Diagnostic, Problem};
use super::Resolver;
use super::value::{self, Expected};
use crate::cim::{
    Class, Embedded, Instance, Keys, Name, ObjectPath, Property, PropertyDeclaration, Type, Value,
};

/// How long a chain of aliases in keys may be.
const MAX_ALIAS_DEPTH: usize = 16;

type Written = (Option<Name>, ast::Instance);

/// The instances behind the aliases, as written.
type Aliases<'w> = HashMap<&'w str, &'w ast::Instance>;

impl Resolver {
    pub(super) fn instances(&mut self, written: &[Written]) -> Vec<DeclaredInstance> {
        let mut aliases = Aliases::new();
        for (_, instance) in written {
            if let Some(alias) = &instance.alias {
                let first = *aliases.entry(&alias.it).or_insert(instance);
                if let Some(first) = first.alias.as_ref().filter(|f| f.span != alias.span) {
                    let problem = Problem::DuplicateAlias(alias.it.clone());
                    self.problems.push(
                        Diagnostic::new(problem, alias.span)
                            .with_related(first.span, "first defined here"),
                    );
                }
            }
        }
        let resolved = written.iter().filter_map(|(namespace, instance)| {
            let (path, instance) = self.instance(instance, &aliases)?;
            Some(DeclaredInstance {
                namespace: namespace.clone(),
                path,
                instance,
            })
        });
        resolved.collect()
    }

    fn instance(
        &mut self,
        written: &ast::Instance,
        aliases: &Aliases<'_>,
    ) -> Option<(ObjectPath, Instance)> {
        let Some(class) = self.find_class(&written.class.it).cloned() else {
            let problem = Problem::UnknownClass(written.class.it.clone());
            self.report(problem, written.class.span);
            return None;
        };
        let is_abstract = class.qualifier("Abstract").and_then(|q| q.value.as_ref());
        if is_abstract == Some(&Value::Boolean(true)) {
            let problem = Problem::AbstractInstance(class.name.to_string());
            self.report(problem, written.class.span);
        }
        self.check_value_names(written, &class);
        let mut instance = Instance::new(class.name.clone());
        for declared in &class.properties {
            let value = match given(written, declared) {
                None => declared.default.clone(),
                Some(given) => self
                    .property_value(given, declared, aliases, 0)
                    .unwrap_or_else(|problem| {
                        self.problems.push(problem);
                        None
                    }),
            };
            instance.properties.push(Property {
                embedded: declared.embedded,
                reference_class: declared.reference_class.clone(),
                ..Property::new(declared.name.clone(), declared.ty, declared.array, value)
            });
        }
        let mut keys = Keys::new();
        for key in class.properties.iter().filter(|p| p.is_key()) {
            match instance.value(key.name.as_str()).cloned() {
                Some(value) => {
                    let _names_are_unique = keys.insert(key.name.clone(), value);
                }
                None if given(written, key).is_none() => {
                    let problem = missing_key(&class, key);
                    self.report(problem, written.span);
                }
                None => {}
            }
        }
        Some((ObjectPath::instance(class.name, keys), instance))
    }

    fn check_value_names(&mut self, written: &ast::Instance, class: &Class) {
        for (index, (name, _)) in written.values.iter().enumerate() {
            if class.property(&name.it).is_none() {
                let problem = Problem::UnknownProperty {
                    class: class.name.to_string(),
                    name: name.it.clone(),
                };
                self.report(problem, name.span);
            }
            let mut before = written.values[..index].iter().map(|(name, _)| name);
            if let Some(first) = before.find(|first| first.it.eq_ignore_ascii_case(&name.it)) {
                let problem = Problem::DuplicateElement {
                    kind: "property",
                    name: name.it.clone(),
                };
                self.problems.push(
                    Diagnostic::new(problem, name.span)
                        .with_related(first.span, "first given here"),
                );
            }
        }
    }

    fn property_value(
        &self,
        given: &Initializer,
        declared: &PropertyDeclaration,
        aliases: &Aliases<'_>,
        depth: usize,
    ) -> Result<Option<Value>, Diagnostic> {
        if let Initializer::Scalar(literal) = given
            && let Literal::Alias(name) = &literal.it
            && declared.ty == Type::Reference
        {
            let word = Word {
                it: name.clone(),
                span: literal.span,
            };
            let path = self.alias_path(&word, aliases, depth)?;
            let wide = declared.reference_class.as_ref().map_or("", Name::as_str);
            if !self.is_subclass(path.class.as_str(), wide) {
                let problem = Problem::TypeMismatch {
                    expected: format!("a reference to {wide}"),
                    found: "an instance of another class",
                };
                return Err(Diagnostic::new(problem, word.span));
            }
            return Ok(Some(path.into()));
        }
        let expected = Expected {
            ty: declared.ty,
            array: declared.array,
            array_size: declared.array_size,
        };
        let value = value::value(given, expected)?;
        match (declared.embedded, &value) {
            (Some(Embedded::Instance | Embedded::Object), Some(_)) => {
                let problem = Problem::TypeMismatch {
                    expected: "NULL for what embeds an instance".into(),
                    found: "a string",
                };
                Err(Diagnostic::new(problem, given.span()))
            }
            _ => Ok(value),
        }
    }

    /// The path of the instance behind an alias, from its keys alone.
    fn alias_path(
        &self,
        alias: &Word,
        aliases: &Aliases<'_>,
        depth: usize,
    ) -> Result<ObjectPath, Diagnostic> {
        let fail = |problem| Err(Diagnostic::new(problem, alias.span));
        if depth >= MAX_ALIAS_DEPTH {
            return fail(Problem::AliasCycle(alias.it.clone()));
        }
        let target = aliases.get(alias.it.as_str()).copied();
        let Some((target, class)) = target.and_then(|t| Some((t, self.find_class(&t.class.it)?)))
        else {
            return fail(Problem::UnknownAlias(alias.it.clone()));
        };
        let mut keys = Keys::new();
        for key in class.properties.iter().filter(|p| p.is_key()) {
            let value = match given(target, key) {
                None => key.default.clone(),
                Some(given) => self.property_value(given, key, aliases, depth + 1)?,
            };
            match value {
                Some(value) => {
                    let _names_are_unique = keys.insert(key.name.clone(), value);
                }
                None => return fail(missing_key(class, key)),
            }
        }
        Ok(ObjectPath::instance(class.name.clone(), keys))
    }
}

fn given<'w>(
    written: &'w ast::Instance,
    declared: &PropertyDeclaration,
) -> Option<&'w Initializer> {
    let mut values = written.values.iter();
    values
        .find(|(name, _)| declared.name == *name.it)
        .map(|(_, value)| value)
}

fn missing_key(class: &Class, key: &PropertyDeclaration) -> Problem {
    Problem::MissingKey {
        class: class.name.to_string(),
        name: key.name.to_string(),
    }
}
