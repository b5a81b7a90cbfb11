//! Instances, classes and their parts, qualifier declarations (DSP0201 §5.2.3).

use crate::cim::{
    Class, Flavor, Instance, Method, Name, Parameter, Property, PropertyDeclaration, Qualifier,
    QualifierDeclaration, Scope, Type, Value,
};

use super::Encoder;

/// The attributes of SCOPE in the order of the DTD.
const SCOPES: [(Scope, &str); 7] = [
    (Scope::Class, "CLASS"),
    (Scope::Association, "ASSOCIATION"),
    (Scope::Reference, "REFERENCE"),
    (Scope::Property, "PROPERTY"),
    (Scope::Method, "METHOD"),
    (Scope::Parameter, "PARAMETER"),
    (Scope::Indication, "INDICATION"),
];

impl Encoder {
    /// INSTANCE; never with qualifiers.
    pub(super) fn instance(&mut self, instance: &Instance) {
        self.xml.open("INSTANCE");
        self.xml.attr("CLASSNAME", instance.class.as_str());
        self.xml.content();
        for property in &instance.properties {
            self.property(property);
        }
        self.xml.close("INSTANCE");
    }

    fn property(&mut self, property: &Property) {
        let tag = property_tag(property.ty, property.array);
        let value = property.value.as_ref();
        self.xml.open(tag);
        self.xml.attr("NAME", property.name.as_str());
        if property.ty != Type::Reference {
            self.xml.const_attr("TYPE", property.ty.as_str());
        } else {
            self.name_attr("REFERENCECLASS", property.reference_class.as_ref());
        }
        self.name_attr("CLASSORIGIN", property.origin.as_ref());
        if property.ty != Type::Reference {
            self.embedded_attr(property.embedded, value);
        }
        self.xml.content();
        if let Some(value) = value {
            self.any_value(value);
        }
        self.xml.close(tag);
    }

    fn name_attr(&mut self, attribute: &'static str, name: Option<&Name>) {
        if let Some(name) = name {
            self.xml.attr(attribute, name.as_str());
        }
    }

    fn size_attr(&mut self, array_size: Option<u32>) {
        if let Some(size) = array_size {
            self.xml.number_attr("ARRAYSIZE", size);
        }
    }

    /// PROPAGATED, where it is not what its absence says.
    fn propagated_attr(&mut self, propagated: bool) {
        if propagated {
            self.xml.bool_attr("PROPAGATED", true);
        }
    }

    /// CLASS.
    pub(super) fn class(&mut self, class: &Class) {
        self.xml.open("CLASS");
        self.xml.attr("NAME", class.name.as_str());
        self.name_attr("SUPERCLASS", class.superclass.as_ref());
        self.xml.content();
        self.qualifiers(&class.qualifiers);
        for property in &class.properties {
            self.property_declaration(property);
        }
        for method in &class.methods {
            self.method(method);
        }
        self.xml.close("CLASS");
    }

    fn property_declaration(&mut self, property: &PropertyDeclaration) {
        let tag = property_tag(property.ty, property.array);
        self.xml.open(tag);
        self.xml.attr("NAME", property.name.as_str());
        if property.ty == Type::Reference {
            self.name_attr("REFERENCECLASS", property.reference_class.as_ref());
        } else {
            self.xml.const_attr("TYPE", property.ty.as_str());
            if property.array {
                self.size_attr(property.array_size);
            }
        }
        self.origin_attr(&property.origin);
        self.propagated_attr(property.propagated);
        if property.ty != Type::Reference {
            self.embedded_attr(property.embedded, property.default.as_ref());
        }
        self.xml.content();
        self.qualifiers(&property.qualifiers);
        if let Some(value) = &property.default {
            self.any_value(value);
        }
        self.xml.close(tag);
    }

    /// CLASSORIGIN; an empty origin is one that nobody asked for.
    fn origin_attr(&mut self, origin: &Name) {
        if !origin.as_str().is_empty() {
            self.xml.attr("CLASSORIGIN", origin.as_str());
        }
    }

    fn method(&mut self, method: &Method) {
        self.xml.open("METHOD");
        self.xml.attr("NAME", method.name.as_str());
        if let Some(ty) = method.returns {
            self.xml.const_attr("TYPE", ty.as_str());
        }
        self.origin_attr(&method.origin);
        self.propagated_attr(method.propagated);
        self.xml.content();
        self.qualifiers(&method.qualifiers);
        for parameter in &method.parameters {
            self.parameter(parameter);
        }
        self.xml.close("METHOD");
    }

    fn parameter(&mut self, parameter: &Parameter) {
        let tag = match (parameter.ty, parameter.array) {
            (Type::Reference, false) => "PARAMETER.REFERENCE",
            (Type::Reference, true) => "PARAMETER.REFARRAY",
            (_, false) => "PARAMETER",
            (_, true) => "PARAMETER.ARRAY",
        };
        self.xml.open(tag);
        self.xml.attr("NAME", parameter.name.as_str());
        if parameter.ty == Type::Reference {
            self.name_attr("REFERENCECLASS", parameter.reference_class.as_ref());
        } else {
            self.xml.const_attr("TYPE", parameter.ty.as_str());
        }
        if parameter.array {
            self.size_attr(parameter.array_size);
        }
        self.xml.content();
        self.qualifiers(&parameter.qualifiers);
        self.xml.close(tag);
    }

    fn qualifiers(&mut self, qualifiers: &[Qualifier]) {
        for qualifier in qualifiers {
            self.xml.open("QUALIFIER");
            self.xml.attr("NAME", qualifier.name.as_str());
            self.xml.const_attr("TYPE", qualifier.ty.as_str());
            self.propagated_attr(qualifier.propagated);
            self.flavor(qualifier.flavor);
            self.xml.content();
            self.qualifier_value(qualifier.value.as_ref());
            self.xml.close("QUALIFIER");
        }
    }

    /// The flavors that differ from what their absence says.
    fn flavor(&mut self, flavor: Flavor) {
        let usual = Flavor::default();
        for (attribute, value, default) in [
            ("OVERRIDABLE", flavor.overridable, usual.overridable),
            ("TOSUBCLASS", flavor.to_subclass, usual.to_subclass),
            ("TRANSLATABLE", flavor.translatable, usual.translatable),
        ] {
            if value != default {
                self.xml.bool_attr(attribute, value);
            }
        }
    }

    fn qualifier_value(&mut self, value: Option<&Value>) {
        if let Some(value) = value {
            self.any_value(value);
        }
    }

    /// QUALIFIER.DECLARATION.
    pub(super) fn qualifier_declaration(&mut self, declaration: &QualifierDeclaration) {
        self.xml.open("QUALIFIER.DECLARATION");
        self.xml.attr("NAME", declaration.name.as_str());
        self.xml.const_attr("TYPE", declaration.ty.as_str());
        self.xml.bool_attr("ISARRAY", declaration.array);
        self.size_attr(declaration.array_size);
        self.flavor(declaration.flavor);
        self.xml.content();
        self.xml.open("SCOPE");
        for (scope, attribute) in SCOPES {
            if declaration.scopes.contains(&scope) {
                self.xml.const_attr(attribute, "true");
            }
        }
        self.xml.empty();
        self.qualifier_value(declaration.value.as_ref());
        self.xml.close("QUALIFIER.DECLARATION");
    }
}

fn property_tag(ty: Type, array: bool) -> &'static str {
    match (ty, array) {
        (Type::Reference, _) => "PROPERTY.REFERENCE",
        (_, false) => "PROPERTY",
        (_, true) => "PROPERTY.ARRAY",
    }
}
