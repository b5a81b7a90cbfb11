//! The compiler of MOF texts (DSP0004): lexer, parser, resolver, diagnostics.
//!
//! Text goes in through a loader that the caller gives, classes and instances of the CIM
//! vocabulary come out. This room does no I/O and knows neither the schema of this program nor
//! its storage. The build script compiles it too, so it uses the vocabulary alone, and only
//! `render` uses a crate.

mod ast;
mod diagnostic;
mod include;
mod lexer;
mod parser;
mod render;
mod resolve;
mod source;
#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, Problem};
pub use include::Loader;
pub use render::render;
pub use source::{Position, Sources, Span};

use crate::cim::{Class, Instance, Name, ObjectPath, QualifierDeclaration, Scope};

/// What a compilation found: declarations and mistakes. With mistakes, the declarations are
/// those that could be made sense of.
#[derive(Debug, Default)]
pub struct Compilation {
    /// The files that were read.
    pub sources: Sources,
    /// What is wrong, file by file in the order of the text.
    pub problems: Vec<Diagnostic>,
    /// The qualifier declarations in order.
    pub qualifiers: Vec<QualifierDeclaration>,
    /// The classes with their inherited elements, each one after its superclass.
    pub classes: Vec<Class>,
    /// The instances in order.
    pub instances: Vec<DeclaredInstance>,
}

/// An instance declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredInstance {
    /// The namespace of the last `#pragma namespace` before it.
    pub namespace: Option<Name>,
    /// Its path, without namespace.
    pub path: ObjectPath,
    /// Its values: those given and the defaults of the class.
    pub instance: Instance,
}

/// Compiles the file `top` and all that it includes.
pub fn compile(top: &str, loader: &mut Loader<'_>) -> Compilation {
    let mut compilation = Compilation::default();
    let declarations = include::read(
        top,
        loader,
        &mut compilation.sources,
        &mut compilation.problems,
    );
    resolve::resolve(declarations, &mut compilation);
    let cap = MAX_PROBLEMS;
    compilation
        .problems
        .sort_by_key(|p| (p.span.file, p.span.start));
    if compilation.problems.len() > cap {
        let span = compilation.problems[cap].span;
        compilation.problems.truncate(cap);
        compilation
            .problems
            .push(Diagnostic::new(Problem::TooManyProblems, span));
    }
    compilation
}

/// How many problems are reported.
const MAX_PROBLEMS: usize = 100;

/// The scopes by their MOF names.
const SCOPES: [(&str, Scope); 7] = [
    ("class", Scope::Class),
    ("association", Scope::Association),
    ("indication", Scope::Indication),
    ("property", Scope::Property),
    ("reference", Scope::Reference),
    ("method", Scope::Method),
    ("parameter", Scope::Parameter),
];

fn scope_name(scope: Scope) -> &'static str {
    SCOPES
        .iter()
        .find(|(_, s)| *s == scope)
        .map_or("", |(name, _)| name)
}
