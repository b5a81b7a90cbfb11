//! Declarations as written to declarations as meant: inheritance, types and all checks that
//! need more than one declaration.

mod class;
mod instance;
mod qualifier;
mod value;

use std::collections::HashMap;

use super::Compilation;
use super::ast::{self, Declaration, Word};
use super::diagnostic::{Diagnostic, Problem};
use super::include::InNamespace;
use super::source::Span;
use crate::cim::{Class, Name, QualifierDeclaration};

/// How many superclasses a class may have above it.
const MAX_ANCESTORS: usize = 64;

/// Resolves every declaration into `out`.
pub(super) fn resolve(declarations: Vec<InNamespace>, out: &mut Compilation) {
    let mut classes = Vec::new();
    let mut instances = Vec::new();
    let mut resolver = Resolver::default();
    for (namespace, declaration) in declarations {
        match declaration {
            Declaration::Pragma { .. } => {}
            Declaration::Qualifier(written) => resolver.declare_qualifier(&written),
            Declaration::Class(written) => classes.push(written),
            Declaration::Instance(written) => instances.push((namespace, written)),
        }
    }
    let written = resolver.index_classes(&classes);
    for start in 0..classes.len() {
        resolver.class_and_ancestors(start, &classes, &written);
    }
    resolver.check_class_names();
    out.instances = resolver.instances(&instances);
    out.problems.append(&mut resolver.problems);
    out.qualifiers = resolver.qualifiers;
    out.classes = resolver.classes;
}

#[derive(Default)]
struct Resolver {
    problems: Vec<Diagnostic>,
    qualifiers: Vec<QualifierDeclaration>,
    qualifier_by_name: HashMap<Name, (usize, Span)>,
    classes: Vec<Class>,
    /// How many superclasses each of them has above it.
    depths: Vec<usize>,
    class_by_name: HashMap<Name, usize>,
    /// Class names that were used and are checked when every class is known.
    mentions: Vec<Word>,
    /// Reference classes of overriding and overridden elements, checked then too.
    narrowings: Vec<Narrowing>,
}

/// An element overrides a reference to `wide` with one to `narrow`.
struct Narrowing {
    element: Word,
    narrow: Name,
    wide: Name,
}

/// Where each class name was declared first.
type Written = HashMap<Name, usize>;

impl Resolver {
    fn report(&mut self, problem: Problem, span: Span) {
        self.problems.push(Diagnostic::new(problem, span));
    }

    fn find_class(&self, name: &str) -> Option<&Class> {
        self.class_by_name
            .get(&Name::from(name))
            .and_then(|&index| self.classes.get(index))
    }

    /// Whether `class` is `ancestor` or below it.
    fn is_subclass(&self, class: &str, ancestor: &str) -> bool {
        let mut next = self.find_class(class);
        while let Some(class) = next {
            if class.name == ancestor {
                return true;
            }
            next = class
                .superclass
                .as_ref()
                .and_then(|name| self.find_class(name.as_str()));
        }
        false
    }

    fn index_classes(&mut self, classes: &[ast::Class]) -> Written {
        let mut written = Written::new();
        let mut aliases: HashMap<&str, Span> = HashMap::new();
        for (index, class) in classes.iter().enumerate() {
            let first = *written
                .entry(Name::from(class.name.it.as_str()))
                .or_insert(index);
            if first != index {
                self.problems.push(
                    Diagnostic::new(
                        Problem::DuplicateClass(class.name.it.clone()),
                        class.name.span,
                    )
                    .with_related(classes[first].name.span, "first declared here"),
                );
            }
            if let Some(alias) = &class.alias
                && let Some(first) = aliases.insert(&alias.it, alias.span)
            {
                self.problems.push(
                    Diagnostic::new(Problem::DuplicateAlias(alias.it.clone()), alias.span)
                        .with_related(first, "first defined here"),
                );
            }
        }
        written
    }

    /// Resolves the class at `start`, its superclasses first.
    fn class_and_ancestors(&mut self, start: usize, classes: &[ast::Class], written: &Written) {
        let mut line = vec![start];
        while let Some(superclass) = line
            .last()
            .and_then(|&last| classes[last].superclass.as_ref())
        {
            if let Some(&index) = self.class_by_name.get(&Name::from(superclass.it.as_str())) {
                if self.depths[index] + line.len() > MAX_ANCESTORS {
                    self.report_once(Problem::SuperclassesTooDeep, superclass.span);
                    return;
                }
                break;
            }
            let Some(&index) = written.get(&Name::from(superclass.it.as_str())) else {
                let problem = Problem::UnknownSuperclass(superclass.it.clone());
                self.report_once(problem, superclass.span);
                break;
            };
            if line.contains(&index) {
                self.report_once(Problem::SuperclassCycle, superclass.span);
                break;
            }
            if line.len() > MAX_ANCESTORS {
                self.report_once(Problem::SuperclassesTooDeep, superclass.span);
                return;
            }
            line.push(index);
        }
        for &index in line.iter().rev() {
            // A second declaration of a name has been reported; the first one counts.
            let name = Name::from(classes[index].name.it.as_str());
            if !self.class_by_name.contains_key(&name) {
                let class = self.class(&classes[index]);
                let above = class.superclass.as_ref();
                let above = above.and_then(|name| self.class_by_name.get(name));
                self.depths
                    .push(above.map_or(0, |&index| self.depths[index] + 1));
                self.class_by_name.insert(name, self.classes.len());
                self.classes.push(class);
            }
        }
    }

    /// Reports what several classes may stumble over.
    fn report_once(&mut self, problem: Problem, span: Span) {
        let diagnostic = Diagnostic::new(problem, span);
        if !self.problems.contains(&diagnostic) {
            self.problems.push(diagnostic);
        }
    }

    /// Checks every mentioned class name, now that every class is known.
    fn check_class_names(&mut self) {
        for word in std::mem::take(&mut self.mentions) {
            if self.find_class(&word.it).is_none() {
                self.report(Problem::UnknownClass(word.it), word.span);
            }
        }
        for narrowing in std::mem::take(&mut self.narrowings) {
            let known = self.find_class(narrowing.narrow.as_str()).is_some();
            if known && !self.is_subclass(narrowing.narrow.as_str(), narrowing.wide.as_str()) {
                let element = narrowing.element;
                self.report(Problem::OverrideChangesType(element.it), element.span);
            }
        }
    }
}
