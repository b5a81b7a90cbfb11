//! The class repository (only the outline that the broker is written against).
#![allow(missing_docs)]

use crate::cim::{Embedded, Instance, Type, Value};

#[derive(Debug)]
pub struct ClassDecl {
    pub name: &'static str,
    pub superclass: Option<&'static ClassDecl>,
    pub properties: &'static [PropertyDecl],
    pub methods: &'static [MethodDecl],
}

#[derive(Debug)]
pub struct PropertyDecl {
    pub name: &'static str,
    pub ty: Type,
    pub array: bool,
    pub key: bool,
    pub embedded: Option<Embedded>,
    pub reference_class: Option<&'static str>,
    pub origin: &'static str,
}

#[derive(Debug)]
pub struct MethodDecl {
    pub name: &'static str,
    pub returns: Type,
    pub parameters: &'static [ParameterDecl],
}

#[derive(Debug)]
pub struct ParameterDecl {
    pub name: &'static str,
    pub ty: Type,
    pub array: bool,
    pub embedded: Option<Embedded>,
    pub reference_class: Option<&'static str>,
    pub input: bool,
    pub output: bool,
    pub required: bool,
}

impl ClassDecl {
    pub fn is_a(&self, ancestor: &ClassDecl) -> bool {
        self.name == ancestor.name || self.superclass.is_some_and(|s| s.is_a(ancestor))
    }
}

pub fn class(_name: &str) -> Option<&'static ClassDecl> {
    None
}

pub struct Builder {
    instance: Instance,
}

impl Builder {
    pub fn put(&mut self, _name: &str, _value: Value) {}
    pub fn finish(self) -> Instance {
        self.instance
    }
}
