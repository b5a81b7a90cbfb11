//! Static declarations as owned CIM classes, as class operations return them.

use super::decl::{
    ClassDecl, MethodDecl, ParameterDecl, PropertyDecl, QualifierDecl, QualifierUse,
};
use crate::cim::{
    Class, Method, Name, Parameter, PropertyDeclaration, Qualifier, QualifierDeclaration,
};

/// What of a class an operation asks for (DSP0200 §5.3.2.1, §5.3.2.9). The class of origin is
/// always in the result; whether it is written is a matter of encoding.
#[derive(Clone, Copy, Debug)]
pub struct ClassFilter<'a> {
    /// Only what the class itself declares or overrides.
    pub local_only: bool,
    /// Qualifiers too, at every level.
    pub qualifiers: bool,
    /// Only these properties; `None` means all. Methods are not concerned.
    pub properties: Option<&'a [Name]>,
}

impl ClassFilter<'_> {
    /// Everything.
    pub const ALL: ClassFilter<'static> = ClassFilter {
        local_only: false,
        qualifiers: true,
        properties: None,
    };

    fn wants(&self, property: &PropertyDecl) -> bool {
        let mut names = self.properties.into_iter().flatten();
        self.properties.is_none() || names.any(|name| name == property.name)
    }

    /// The qualifiers of an element; `inherited` says that the class itself does not declare it.
    fn qualifiers(&self, uses: &'static [QualifierUse], inherited: bool) -> Vec<Qualifier> {
        let uses = uses.iter().filter(|q| {
            let here = !inherited || q.flavor.to_subclass;
            let local = !self.local_only || !q.propagated;
            self.qualifiers && here && local
        });
        uses.map(|q| q.to_qualifier(inherited)).collect()
    }
}

impl ClassDecl {
    /// The class with what the filter lets through.
    pub fn to_class(&self, filter: &ClassFilter<'_>) -> Class {
        let local = |owner: u16| !filter.local_only || owner == self.index;
        let properties = self
            .properties()
            .filter(|p| local(p.owner) && filter.wants(p));
        let methods = self.methods().filter(|m| local(m.owner));
        Class {
            name: Name::from_static(self.name),
            superclass: self.superclass().map(|c| Name::from_static(c.name)),
            qualifiers: filter.qualifiers(self.qualifiers, false),
            properties: properties.map(|p| p.to_property(self, filter)).collect(),
            methods: methods.map(|m| m.to_method(self, filter)).collect(),
        }
    }
}

impl PropertyDecl {
    fn to_property(&self, class: &ClassDecl, filter: &ClassFilter<'_>) -> PropertyDeclaration {
        let inherited = self.owner != class.index;
        PropertyDeclaration {
            name: Name::from_static(self.name),
            ty: self.shape.ty,
            array: self.shape.array,
            array_size: self.shape.array_size,
            reference_class: self.shape.reference_class.map(Name::from_static),
            embedded: self.shape.embedded,
            default: self.default.value(self.shape.ty),
            qualifiers: filter.qualifiers(self.qualifiers, inherited),
            origin: Name::from_static(self.origin().name),
            propagated: inherited,
        }
    }
}

impl MethodDecl {
    fn to_method(&self, class: &ClassDecl, filter: &ClassFilter<'_>) -> Method {
        let inherited = self.owner != class.index;
        let parameters = self.parameters.iter();
        Method {
            name: Name::from_static(self.name),
            returns: self.returns,
            qualifiers: filter.qualifiers(self.qualifiers, inherited),
            parameters: parameters
                .map(|p| p.to_parameter(filter, inherited))
                .collect(),
            origin: Name::from_static(self.origin().name),
            propagated: inherited,
        }
    }
}

impl ParameterDecl {
    fn to_parameter(&self, filter: &ClassFilter<'_>, inherited: bool) -> Parameter {
        Parameter {
            name: Name::from_static(self.name),
            ty: self.shape.ty,
            array: self.shape.array,
            array_size: self.shape.array_size,
            reference_class: self.shape.reference_class.map(Name::from_static),
            embedded: self.shape.embedded,
            qualifiers: filter.qualifiers(self.qualifiers, inherited),
        }
    }
}

impl QualifierUse {
    fn to_qualifier(&self, inherited: bool) -> Qualifier {
        let declared = self.declaration();
        Qualifier {
            name: Name::from_static(declared.name),
            ty: declared.ty,
            array: declared.array,
            value: self.value.value(declared.ty),
            flavor: self.flavor,
            propagated: inherited || self.propagated,
        }
    }
}

impl QualifierDecl {
    /// The declaration as owned data.
    pub fn to_declaration(&self) -> QualifierDeclaration {
        QualifierDeclaration {
            name: Name::from_static(self.name),
            ty: self.ty,
            array: self.array,
            array_size: self.array_size,
            value: self.value.value(self.ty),
            scopes: self.scopes.to_vec(),
            flavor: self.flavor,
        }
    }
}
