//! The vocabulary of CIM: names, values, dates, object paths, classes, instances, status codes.
//!
//! Pure data after DSP0004 and DSP0200. This room knows no XML, no I/O, no schema and no storage.
//! It uses the standard library alone, because the build script compiles it too.

mod class;
mod datetime;
mod instance;
mod name;
mod path;
mod status;
mod value;

pub use class::{
    Class, Flavor, Method, Parameter, PropertyDeclaration, Qualifier, QualifierDeclaration, Scope,
};
pub use datetime::{DateTime, DateTimeError};
pub use instance::{Instance, Property};
pub use name::{Name, Text, eq_fold, is_identifier};
pub use path::{Keys, ObjectPath};
pub use status::{CimError, Status};
pub use value::{Embedded, Type, Value};
