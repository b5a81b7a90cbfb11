//! The tables that the build script wrote.

use super::decl::{
    ClassDecl, Constant, MethodDecl, ParameterDecl, PropertyDecl, QualifierDecl, QualifierUse,
    Shape,
};
use crate::cim::{Embedded, Flavor, Scope, Type};

include!(concat!(env!("OUT_DIR"), "/schema_tables.rs"));
