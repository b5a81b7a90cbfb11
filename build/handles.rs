//! Writes the typed handles: one unit struct per class and method, one constant per property and
//! parameter, with the Rust type that its CIM type takes.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::cim::{Method, Type};
use crate::tables::{Entry, Schema, flag};

/// Classes outside `Standpipe_*` and the associations that the program makes instances of.
const ALSO: [&str; 2] = ["CIM_Error", "CIM_InstMethodCall"];

/// The Rust text of the modules `class` and `method`.
pub(crate) fn generate(schema: &Schema<'_>) -> String {
    let mut out = String::new();
    classes(&mut out, schema).expect("a string takes everything");
    methods(&mut out, schema).expect("a string takes everything");
    out
}

fn is_ours(entry: &Entry<'_>) -> bool {
    entry.class.name.as_str().starts_with("Standpipe_")
}

fn has_handles(entry: &Entry<'_>) -> bool {
    let name = entry.class.name.as_str();
    let concrete = !flag(entry.class, "Abstract");
    is_ours(entry) || ALSO.contains(&name) || (concrete && entry.class.is_association())
}

fn classes(out: &mut String, schema: &Schema<'_>) -> std::fmt::Result {
    out.push_str(
        "/// A unit struct per class; its constants are the properties, own and inherited.\n\
         #[allow(missing_docs, non_camel_case_types, non_upper_case_globals)]\n\
         pub mod class {\n\
         use super::{DateTime, Instance, Key, ObjectPath, Prop, Text, TypedClass};\n",
    );
    for (index, entry) in schema.classes.iter().enumerate() {
        if !has_handles(entry) {
            continue;
        }
        let name = entry.class.name.as_str();
        writeln!(
            out,
            "#[derive(Clone,Copy,Debug)] pub struct {name};\n\
             impl TypedClass for {name} {{ const INDEX: u16 = {index}; }}\n\
             impl {name} {{"
        )?;
        for (slot, &property) in entry.properties.iter().enumerate() {
            let declared = schema.properties[property].element;
            let kind = if declared.is_key() { "Key" } else { "Prop" };
            let ty = rust_type(declared.ty, declared.array, declared.embedded.is_some());
            writeln!(
                out,
                "pub const {}: {kind}<Self,{ty}> = Prop::at({slot},{property});",
                declared.name
            )?;
        }
        out.push_str("}\n");
    }
    out.push_str("}\n");
    Ok(())
}

/// Methods have one handle, in the module of the class that declares or last overrides them;
/// the modules of our classes name it again.
fn methods(out: &mut String, schema: &Schema<'_>) -> std::fmt::Result {
    out.push_str(
        "/// A module per class with a unit struct per method; its constants are the parameters.\n\
         #[allow(missing_docs, non_snake_case, non_camel_case_types, non_upper_case_globals)]\n\
         #[allow(unused_imports, unreachable_pub)]\n\
         pub mod method {\n",
    );
    let ours: BTreeSet<usize> = schema
        .classes
        .iter()
        .filter(|entry| is_ours(entry))
        .flat_map(|entry| entry.methods.iter().copied())
        .collect();
    for (owner, entry) in schema.classes.iter().enumerate() {
        let class = entry.class.name.as_str();
        let (own, inherited): (Vec<usize>, Vec<usize>) = entry
            .methods
            .iter()
            .filter(|index| ours.contains(index))
            .partition(|&&index| schema.methods[index].owner == owner);
        if own.is_empty() && (inherited.is_empty() || !is_ours(entry)) {
            continue;
        }
        writeln!(
            out,
            "pub mod {class} {{\n\
             use super::super::{{DateTime, In, InOut, Instance, ObjectPath, Out, Param, Text, TypedMethod}};"
        )?;
        for index in own {
            method(out, index, schema.methods[index].element)?;
        }
        for index in inherited.into_iter().filter(|_| is_ours(entry)) {
            let method = &schema.methods[index];
            let owner = &schema.classes[method.owner].class.name;
            writeln!(out, "pub use super::{owner}::{};", method.element.name)?;
        }
        out.push_str("}\n");
    }
    out.push_str("}\n");
    Ok(())
}

fn method(out: &mut String, index: usize, method: &Method) -> std::fmt::Result {
    let name = &method.name;
    let returns = method
        .returns
        .map_or("()".into(), |ty| rust_type(ty, false, false));
    writeln!(
        out,
        "#[derive(Clone,Copy,Debug)] pub struct {name};\n\
         impl TypedMethod for {name} {{ type Returns = {returns}; const INDEX: u16 = {index}; \
         const NAME: &'static str = {:?}; }}\n\
         impl {name} {{",
        name.as_str()
    )?;
    for (slot, parameter) in method.parameters.iter().enumerate() {
        let direction = match (parameter.is_in(), parameter.is_out()) {
            (true, true) => "InOut",
            (false, true) => "Out",
            _ => "In",
        };
        let ty = rust_type(parameter.ty, parameter.array, parameter.embedded.is_some());
        writeln!(
            out,
            "pub const {}: {direction}<Self,{ty}> = Param::at({slot});",
            parameter.name
        )?;
    }
    out.push_str("}\n");
    Ok(())
}

/// The Rust type that stands for a CIM type in a handle.
fn rust_type(ty: Type, array: bool, embedded: bool) -> String {
    let scalar = match ty {
        Type::Boolean => "bool",
        Type::Uint8 => "u8",
        Type::Uint16 => "u16",
        Type::Uint32 => "u32",
        Type::Uint64 => "u64",
        Type::Sint8 => "i8",
        Type::Sint16 => "i16",
        Type::Sint32 => "i32",
        Type::Sint64 => "i64",
        Type::Real32 => "f32",
        Type::Real64 => "f64",
        Type::Char16 => "char",
        Type::String if embedded => "Instance",
        Type::String => "Text",
        Type::DateTime => "DateTime",
        Type::Reference => "ObjectPath",
    };
    if array {
        format!("Vec<{scalar}>")
    } else {
        scalar.into()
    }
}
