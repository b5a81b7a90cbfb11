//! The class repository: every declared class as static data, and typed handles to its elements.
//!
//! The build script compiles `mof/` into tables and handles, so that a misspelt property or a
//! wrong type does not compile. This room knows the CIM vocabulary alone: no instances of the
//! running system, no namespaces, no protocol.
//!
//! ```
//! use standpipe::schema::{Builder, PathBuilder, class::Standpipe_StorageVolume as Volume};
//!
//! let instance = Builder::new(Volume)
//!     .set(Volume::DeviceID, "b7c0")
//!     .set(Volume::BlockSize, 512u64)
//!     .set(Volume::OperationalStatus, [2u16])
//!     .build();
//! assert_eq!(instance.class, "Standpipe_StorageVolume");
//! ```
//!
//! A property of another class does not compile:
//!
//! ```compile_fail,E0308
//! use standpipe::schema::{Builder, class};
//! Builder::new(class::Standpipe_StorageVolume).set(class::Standpipe_StoragePool::PoolID, "x");
//! ```
//!
//! Nor does a value of another type:
//!
//! ```compile_fail,E0277
//! use standpipe::schema::{Builder, class::Standpipe_StorageVolume as Volume};
//! Builder::new(Volume).set(Volume::BlockSize, "512");
//! ```
//!
//! Nor a misspelt name:
//!
//! ```compile_fail,E0599
//! use standpipe::schema::{Builder, class::Standpipe_StorageVolume as Volume};
//! Builder::new(Volume).set(Volume::BlokSize, 512u64);
//! ```

use std::cmp::Ordering;

mod arguments;
mod builder;
mod conform;
mod decl;
mod filter;
mod handles;
mod owned;
mod tables;
#[cfg(test)]
mod tests;
mod typed;

pub use arguments::{ArgumentError, Arguments, Outcome, Outputs};
pub use builder::{Builder, PathBuilder};
pub use conform::{Mismatch, PropertyError};
pub use decl::{
    ClassDecl, Constant, MethodDecl, ParameterDecl, PropertyDecl, QualifierDecl, QualifierUse,
    Shape,
};
pub use filter::{PropertyFilter, Wanted};
pub use handles::{class, method};
pub use owned::ClassFilter;
pub use typed::{
    Fits, In, InOut, Key, Native, Out, Param, Prop, Receives, Sends, TypedClass, TypedMethod,
};

/// The class of that name, in any case.
pub fn class(name: &str) -> Option<&'static ClassDecl> {
    let folded = |s: &[u8], at: usize| s.get(at).map(u8::to_ascii_lowercase);
    let found = tables::BY_NAME.binary_search_by(|&index| {
        let declared = tables::CLASSES[usize::from(index)].name.as_bytes();
        let name = name.as_bytes();
        let differing = |&at: &usize| folded(declared, at) != folded(name, at);
        declared.len().cmp(&name.len()).then_with(|| {
            let at = (0..name.len()).find(differing);
            at.map_or(Ordering::Equal, |at| {
                folded(declared, at).cmp(&folded(name, at))
            })
        })
    });
    found
        .ok()
        .and_then(|at| tables::BY_NAME.get(at))
        .and_then(|&index| tables::CLASSES.get(usize::from(index)))
}

/// Every class, each one directly followed by the classes below it.
pub fn classes() -> &'static [ClassDecl] {
    &tables::CLASSES
}

/// The classes without superclass.
pub fn top_classes() -> impl Iterator<Item = &'static ClassDecl> {
    classes().iter().filter(|c| c.superclass.is_none())
}

/// Every qualifier declaration.
pub fn qualifier_declarations() -> &'static [QualifierDecl] {
    &tables::QUALIFIERS
}

/// The qualifier declaration of that name, in any case.
pub fn qualifier_declaration(name: &str) -> Option<&'static QualifierDecl> {
    let mut declarations = tables::QUALIFIERS.iter();
    declarations.find(|q| q.name.eq_ignore_ascii_case(name))
}
