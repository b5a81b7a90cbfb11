//! Paths, names and key bindings (DSP0201 §6.2, §6.3: naming and locating elements).

use crate::cim::{Keys, Name, ObjectPath, Text, Type, Value};

use super::Encoder;

impl Encoder {
    /// CLASSNAME.
    pub(super) fn class_name(&mut self, name: &str) {
        self.xml.open("CLASSNAME");
        self.xml.attr("NAME", name);
        self.xml.empty();
    }

    /// LOCALNAMESPACEPATH: one NAMESPACE for each component.
    pub(super) fn local_namespace_path(&mut self, namespace: &str) {
        self.xml.element("LOCALNAMESPACEPATH");
        for component in namespace.split('/') {
            self.xml.open("NAMESPACE");
            self.xml.attr("NAME", component);
            self.xml.empty();
        }
        self.xml.close("LOCALNAMESPACEPATH");
    }

    fn namespace_path(&mut self, host: &str, namespace: &str) {
        self.xml.element("NAMESPACEPATH");
        self.xml.element("HOST");
        self.xml.text(host);
        self.xml.close("HOST");
        self.local_namespace_path(namespace);
        self.xml.close("NAMESPACEPATH");
    }

    /// CLASSNAME or INSTANCENAME, whatever the path names.
    pub(super) fn object_name(&mut self, path: &ObjectPath) {
        match &path.keys {
            None => self.class_name(path.class.as_str()),
            Some(keys) => self.instance_name(&path.class, keys),
        }
    }

    /// INSTANCENAME.
    pub(super) fn instance_name(&mut self, class: &Name, keys: &Keys) {
        self.xml.open("INSTANCENAME");
        self.xml.attr("CLASSNAME", class.as_str());
        self.xml.content();
        // A single key may come without a name (DSP0201 §5.2.5.1); it goes back as it came.
        let unnamed = keys.len() == 1 && keys.find("").is_some();
        for (name, value) in keys.iter() {
            if !unnamed {
                self.xml.open("KEYBINDING");
                self.xml.attr("NAME", name.as_str());
                self.xml.content();
            }
            self.key_value(value);
            if !unnamed {
                self.xml.close("KEYBINDING");
            }
        }
        self.xml.close("INSTANCENAME");
    }

    /// KEYVALUE with both its type attributes, or VALUE.REFERENCE.
    fn key_value(&mut self, value: &Value) {
        if let Value::Reference(path) = value {
            return self.value_reference(path);
        }
        let ty = value.type_of().unwrap_or(Type::String);
        let value_type = match ty {
            Type::Boolean => "boolean",
            ty if ty.is_numeric() => "numeric",
            _ => "string",
        };
        self.xml.open("KEYVALUE");
        self.xml.const_attr("VALUETYPE", value_type);
        self.xml.const_attr("TYPE", ty.as_str());
        self.xml.content();
        self.scalar_text(value);
        self.xml.close("KEYVALUE");
    }

    /// INSTANCEPATH or CLASSPATH; a host that the path does not say is the server's.
    pub(super) fn full_path(&mut self, path: &ObjectPath) {
        let tag = if path.keys.is_some() {
            "INSTANCEPATH"
        } else {
            "CLASSPATH"
        };
        let host = path.host.clone().or_else(|| self.host.clone());
        let namespace = path.namespace.as_ref().map_or("", Name::as_str);
        self.xml.element(tag);
        self.namespace_path(host.as_ref().map_or("", Text::as_str), namespace);
        self.object_name(path);
        self.xml.close(tag);
    }

    /// LOCALINSTANCEPATH or LOCALCLASSPATH.
    pub(super) fn local_path(&mut self, path: &ObjectPath) {
        let tag = if path.keys.is_some() {
            "LOCALINSTANCEPATH"
        } else {
            "LOCALCLASSPATH"
        };
        self.xml.element(tag);
        self.local_namespace_path(path.namespace.as_ref().map_or("", Name::as_str));
        self.object_name(path);
        self.xml.close(tag);
    }

    /// VALUE.REFERENCE with as much of a path as is known.
    pub(super) fn value_reference(&mut self, path: &ObjectPath) {
        self.xml.element("VALUE.REFERENCE");
        if path.namespace.is_none() {
            self.object_name(path);
        } else if path.host.is_some() || self.host.is_some() {
            self.full_path(path);
        } else {
            self.local_path(path);
        }
        self.xml.close("VALUE.REFERENCE");
    }
}
