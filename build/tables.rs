//! Writes the static tables: every class, element and qualifier declaration as constants of the
//! types in `src/schema/decl.rs`.

use std::collections::HashMap;
use std::fmt::Write;

use crate::cim::{
    Class, Method, Name, Parameter, PropertyDeclaration, Qualifier, QualifierDeclaration, Type,
    Value,
};
use crate::mof::Compilation;

/// How many properties a class may have; `Wanted` has a bit for each.
const MAX_PROPERTIES: usize = 256;

/// The compiled classes in the order of the tables: every class directly before its subclasses,
/// so that a class and all below it are one range.
pub(crate) struct Schema<'a> {
    pub(crate) qualifiers: &'a [QualifierDeclaration],
    pub(crate) classes: Vec<Entry<'a>>,
    pub(crate) properties: Vec<Row<&'a PropertyDeclaration>>,
    pub(crate) methods: Vec<Row<&'a Method>>,
}

/// An element in the tables.
pub(crate) struct Row<T> {
    /// The class that declares or last overrides it.
    pub(crate) owner: usize,
    pub(crate) element: T,
}

/// A class in the tables. Elements are indices into the tables of their kind.
pub(crate) struct Entry<'a> {
    pub(crate) class: &'a Class,
    pub(crate) superclass: Option<usize>,
    /// One past the last class below this one.
    pub(crate) end: usize,
    pub(crate) properties: Vec<usize>,
    pub(crate) methods: Vec<usize>,
}

impl<'a> Schema<'a> {
    /// Orders the classes and gives each element its place.
    pub(crate) fn new(compilation: &'a Compilation) -> Result<Self, String> {
        let mut schema = Self {
            qualifiers: &compilation.qualifiers,
            classes: Vec::new(),
            properties: Vec::new(),
            methods: Vec::new(),
        };
        let mut below: HashMap<Option<&Name>, Vec<&'a Class>> = HashMap::new();
        for class in &compilation.classes {
            below
                .entry(class.superclass.as_ref())
                .or_default()
                .push(class);
        }
        for children in below.values_mut() {
            children.sort_by(|a, b| a.name.cmp(&b.name));
        }
        schema.add_below(None, &below);
        for entry in &schema.classes {
            if entry.properties.len() > MAX_PROPERTIES {
                return Err(format!(
                    "class {} has too many properties",
                    entry.class.name
                ));
            }
        }
        Ok(schema)
    }

    /// Adds the classes below the class at `superclass`, each followed by those below it. The
    /// resolver limits how deep this goes.
    fn add_below(
        &mut self,
        superclass: Option<usize>,
        below: &HashMap<Option<&Name>, Vec<&'a Class>>,
    ) {
        let name = superclass.map(|index| &self.classes[index].class.name);
        for &class in below.get(&name).map_or(&[][..], |children| children) {
            let index = self.classes.len();
            let parent = superclass.map(|i| &self.classes[i]);
            let find = |in_parent: Option<&usize>| in_parent.copied();
            let mut properties = Vec::new();
            for property in &class.properties {
                let inherited = parent.filter(|_| property.propagated).and_then(|parent| {
                    let mut all = parent.properties.iter();
                    find(all.find(|&&i| self.properties[i].element.name == property.name))
                });
                properties.push(inherited.unwrap_or_else(|| {
                    self.properties.push(Row {
                        owner: index,
                        element: property,
                    });
                    self.properties.len() - 1
                }));
            }
            let mut methods = Vec::new();
            for method in &class.methods {
                let inherited = parent.filter(|_| method.propagated).and_then(|parent| {
                    let mut all = parent.methods.iter();
                    find(all.find(|&&i| self.methods[i].element.name == method.name))
                });
                methods.push(inherited.unwrap_or_else(|| {
                    self.methods.push(Row {
                        owner: index,
                        element: method,
                    });
                    self.methods.len() - 1
                }));
            }
            self.classes.push(Entry {
                class,
                superclass,
                end: 0,
                properties,
                methods,
            });
            self.add_below(Some(index), below);
            self.classes[index].end = self.classes.len();
        }
    }

    fn class_index(&self, name: &Name) -> usize {
        let mut classes = self.classes.iter();
        classes
            .position(|entry| entry.class.name == *name)
            .expect("the resolver checked every class name")
    }

    fn qualifier_index(&self, name: &Name) -> usize {
        let mut declarations = self.qualifiers.iter();
        declarations
            .position(|declaration| declaration.name == *name)
            .expect("the resolver checked every qualifier name")
    }
}

/// The Rust text of the tables.
pub(crate) fn generate(schema: &Schema<'_>) -> String {
    let mut out = String::new();
    table(
        &mut out,
        "CLASSES",
        "ClassDecl",
        &schema.classes,
        |out, index, entry| {
            class(out, schema, index, entry);
        },
    );
    table(
        &mut out,
        "PROPERTIES",
        "PropertyDecl",
        &schema.properties,
        |out, _, p| {
            property(out, schema, p);
        },
    );
    table(
        &mut out,
        "METHODS",
        "MethodDecl",
        &schema.methods,
        |out, _, m| {
            method(out, schema, m);
        },
    );
    table(
        &mut out,
        "QUALIFIERS",
        "QualifierDecl",
        schema.qualifiers,
        |out, _, q| {
            qualifier_declaration(out, q);
        },
    );
    let mut by_name: Vec<usize> = (0..schema.classes.len()).collect();
    // By length first: most comparisons of a search then look at no character.
    by_name.sort_by_key(|&index| {
        let name = schema.classes[index].class.name.as_str();
        (name.len(), name.to_ascii_lowercase())
    });
    table(&mut out, "BY_NAME", "u16", &by_name, |out, _, index| {
        put(out, format_args!("{index}"));
    });
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}

fn table<T>(
    out: &mut String,
    name: &str,
    ty: &str,
    rows: &[T],
    mut row: impl FnMut(&mut String, usize, &T),
) {
    put(
        out,
        format_args!("pub(super) static {name}: [{ty}; {}] = [\n", rows.len()),
    );
    for (index, item) in rows.iter().enumerate() {
        row(out, index, item);
        out.push_str(",\n");
    }
    out.push_str("];\n");
}

/// Whether a boolean class qualifier is there and true.
pub(crate) fn flag(class: &Class, name: &str) -> bool {
    let qualifier = class.qualifier(name);
    qualifier.is_some_and(|q| q.value == Some(Value::Boolean(true)))
}

fn class(out: &mut String, schema: &Schema<'_>, index: usize, entry: &Entry<'_>) {
    let class = entry.class;
    put(
        out,
        format_args!(
            "ClassDecl{{index:{index},name:{:?},superclass:{:?},end:{},is_association:{},\
             is_abstract:{},is_indication:{},properties:&{:?},methods:&{:?},qualifiers:",
            class.name.as_str(),
            entry.superclass,
            entry.end,
            flag(class, "Association"),
            flag(class, "Abstract"),
            flag(class, "Indication"),
            entry.properties,
            entry.methods,
        ),
    );
    qualifiers(out, schema, &class.qualifiers);
    out.push('}');
}

fn property(out: &mut String, schema: &Schema<'_>, row: &Row<&PropertyDeclaration>) {
    let property = row.element;
    let origin = schema.class_index(&property.origin);
    put(
        out,
        format_args!(
            "PropertyDecl{{name:{:?},key:{},owner:{},origin:{origin},shape:Shape{{ty:Type::{:?},array:{},\
             array_size:{:?},reference_class:{:?},embedded:{}}},default:",
            property.name.as_str(),
            property.is_key(),
            row.owner,
            property.ty,
            property.array,
            property.array_size,
            property.reference_class.as_ref().map(Name::as_str),
            embedded(property.embedded),
        ),
    );
    constant(out, property.default.as_ref());
    out.push_str(",qualifiers:");
    qualifiers(out, schema, &property.qualifiers);
    out.push('}');
}

fn embedded(embedded: Option<crate::cim::Embedded>) -> String {
    embedded.map_or("None".into(), |e| format!("Some(Embedded::{e:?})"))
}

fn method(out: &mut String, schema: &Schema<'_>, row: &Row<&Method>) {
    let method = row.element;
    let origin = schema.class_index(&method.origin);
    let returns = method
        .returns
        .map_or("None".into(), |ty| format!("Some(Type::{ty:?})"));
    put(
        out,
        format_args!(
            "MethodDecl{{name:{:?},owner:{},origin:{origin},returns:{returns},parameters:&[",
            method.name.as_str(),
            row.owner
        ),
    );
    for p in &method.parameters {
        parameter(out, schema, p);
        out.push(',');
    }
    out.push_str("],qualifiers:");
    qualifiers(out, schema, &method.qualifiers);
    out.push('}');
}

fn parameter(out: &mut String, schema: &Schema<'_>, parameter: &Parameter) {
    put(
        out,
        format_args!(
            "ParameterDecl{{name:{:?},input:{},output:{},shape:Shape{{ty:Type::{:?},array:{},\
             array_size:{:?},reference_class:{:?},embedded:{}}},qualifiers:",
            parameter.name.as_str(),
            parameter.is_in(),
            parameter.is_out(),
            parameter.ty,
            parameter.array,
            parameter.array_size,
            parameter.reference_class.as_ref().map(Name::as_str),
            embedded(parameter.embedded),
        ),
    );
    qualifiers(out, schema, &parameter.qualifiers);
    out.push('}');
}

fn qualifier_declaration(out: &mut String, declaration: &QualifierDeclaration) {
    put(
        out,
        format_args!(
            "QualifierDecl{{name:{:?},ty:Type::{:?},array:{},array_size:{:?},scopes:&[",
            declaration.name.as_str(),
            declaration.ty,
            declaration.array,
            declaration.array_size,
        ),
    );
    for scope in &declaration.scopes {
        put(out, format_args!("Scope::{scope:?},"));
    }
    put(
        out,
        format_args!("],flavor:{:?},value:", declaration.flavor),
    );
    constant(out, declaration.value.as_ref());
    out.push('}');
}

fn qualifiers(out: &mut String, schema: &Schema<'_>, qualifiers: &[Qualifier]) {
    out.push_str("&[");
    for qualifier in qualifiers {
        put(
            out,
            format_args!(
                "QualifierUse{{declaration:{},flavor:{:?},propagated:{},value:",
                schema.qualifier_index(&qualifier.name),
                qualifier.flavor,
                qualifier.propagated,
            ),
        );
        constant(out, qualifier.value.as_ref());
        out.push_str("},");
    }
    out.push(']');
}

/// Writes a value as a `Constant`.
fn constant(out: &mut String, value: Option<&Value>) {
    match value {
        None => out.push_str("Constant::Null"),
        Some(Value::Boolean(flag)) => put(out, format_args!("Constant::Boolean({flag})")),
        Some(Value::Real32(real)) => put(out, format_args!("Constant::Real({real:?}_f64)")),
        Some(Value::Real64(real)) => put(out, format_args!("Constant::Real({real:?}_f64)")),
        Some(Value::Char16(unit)) => put(out, format_args!("Constant::Integer({unit})")),
        Some(Value::Array(items)) => array(out, items),
        Some(value) if value.type_of().is_some_and(Type::is_integer) => {
            let number = value.as_integer().unwrap_or_default();
            put(out, format_args!("Constant::Integer({number})"));
        }
        Some(Value::String(text)) => put(out, format_args!("Constant::Text({:?})", text.as_str())),
        Some(Value::DateTime(time)) => {
            put(out, format_args!("Constant::Text({:?})", time.as_str()));
        }
        Some(Value::Reference(path)) => {
            put(out, format_args!("Constant::Text({:?})", path.to_string()));
        }
        Some(_) => unreachable!("the resolver makes no embedded values"),
    }
}

/// Writes an array: strings joined in one literal where that is possible, else one by one.
fn array(out: &mut String, items: &[Option<Value>]) {
    let strings: Option<Vec<&str>> = items
        .iter()
        .map(|item| item.as_ref().and_then(Value::as_str))
        .collect();
    match strings {
        Some(strings) if !strings.is_empty() && strings.iter().all(|s| !s.contains('\u{1f}')) => {
            put(
                out,
                format_args!("Constant::Texts({:?})", strings.join("\u{1f}")),
            );
        }
        _ => {
            out.push_str("Constant::List(&[");
            for item in items {
                constant(out, item.as_ref());
                out.push(',');
            }
            out.push_str("])");
        }
    }
}
