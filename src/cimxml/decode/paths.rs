//! Paths, names and key bindings (DSP0201: naming and locating elements).

use crate::cim::{Keys, Name, ObjectPath, Text, Value};

use super::super::error::not_valid;
use super::super::literal::parse_key;
use super::Result;
use super::tokens::{Element, Tokens};

impl Tokens<'_, '_> {
    /// The open LOCALNAMESPACEPATH: its components joined by `/`. One component may hold several.
    pub(super) fn namespace(&mut self, path: &Element<'_>) -> Result<Name> {
        let mut namespace = String::new();
        let limit = self.budget.limits().attribute_bytes;
        while let Some(component) = self.child()? {
            if component.name() != "NAMESPACE" {
                return Err(component.unexpected_in(path));
            }
            let name = component.required("NAME")?;
            for part in name.split('/').filter(|part| !part.is_empty()) {
                if !namespace.is_empty() {
                    namespace.push('/');
                }
                namespace.push_str(part);
            }
            if namespace.len() > limit {
                return Err(super::DecodeError::TooLarge("a namespace is too long"));
            }
            self.end(&component)?;
        }
        if namespace.is_empty() {
            return Err(not_valid("a namespace path names no namespace"));
        }
        Ok(Name::from(namespace))
    }

    /// The open NAMESPACEPATH.
    fn namespace_path(&mut self, path: &Element<'_>) -> Result<(Text, Name)> {
        let host = self.first(path)?;
        if host.name() != "HOST" {
            return Err(host.unexpected_in(path));
        }
        let host = Text::from(self.text()?.trim());
        let local = self.first(path)?;
        if local.name() != "LOCALNAMESPACEPATH" {
            return Err(local.unexpected_in(path));
        }
        let namespace = self.namespace(&local)?;
        self.end(path)?;
        Ok((host, namespace))
    }

    /// The open VALUE.REFERENCE.
    pub(super) fn reference(&mut self, reference: &Element<'_>) -> Result<ObjectPath> {
        self.budget.open_reference()?;
        let element = self.first(reference)?;
        let path = match element.name() {
            "CLASSPATH" | "LOCALCLASSPATH" | "CLASSNAME" | "INSTANCEPATH" | "LOCALINSTANCEPATH"
            | "INSTANCENAME" => self.path(&element)?,
            _ => return Err(element.unexpected_in(reference)),
        };
        self.end(reference)?;
        self.budget.close_reference();
        Ok(path)
    }

    /// The open path or name of a class or an instance, in any of the six forms.
    pub(super) fn path(&mut self, element: &Element<'_>) -> Result<ObjectPath> {
        let (host, namespace) = match element.name() {
            "CLASSNAME" => {
                let path = ObjectPath::class(element.named("NAME")?);
                self.end(element)?;
                return Ok(path);
            }
            "INSTANCENAME" => return self.instance_name(element),
            "LOCALCLASSPATH" | "LOCALINSTANCEPATH" => {
                let local = self.first(element)?;
                if local.name() != "LOCALNAMESPACEPATH" {
                    return Err(local.unexpected_in(element));
                }
                (None, self.namespace(&local)?)
            }
            "CLASSPATH" | "INSTANCEPATH" => {
                let full = self.first(element)?;
                if full.name() != "NAMESPACEPATH" {
                    return Err(full.unexpected_in(element));
                }
                let (host, namespace) = self.namespace_path(&full)?;
                (Some(host), namespace)
            }
            _ => return Err(not_valid(format!("{} is no path", element.shown()))),
        };
        let object = self.first(element)?;
        let of_class = element.name().ends_with("CLASSPATH");
        let mut path = match object.name() {
            "CLASSNAME" if of_class => self.path(&object)?,
            "INSTANCENAME" if !of_class => self.instance_name(&object)?,
            _ => return Err(object.unexpected_in(element)),
        };
        self.end(element)?;
        path.host = host;
        path.namespace = Some(namespace);
        Ok(path)
    }

    /// The open INSTANCENAME. A key without a name, legal where the class has one key only, is
    /// bound to the empty name.
    fn instance_name(&mut self, element: &Element<'_>) -> Result<ObjectPath> {
        let class = element.named("CLASSNAME")?;
        let mut keys = Keys::new();
        while let Some(child) = self.child()? {
            self.budget.member(keys.len())?;
            let (name, value) = match child.name() {
                "KEYBINDING" => {
                    let name = child.named("NAME")?;
                    let inner = self.first(&child)?;
                    let value = self.key_value(&child, &inner)?;
                    self.end(&child)?;
                    (name, value)
                }
                "KEYVALUE" | "VALUE.REFERENCE" if keys.is_empty() => {
                    (Name::from_static(""), self.key_value(element, &child)?)
                }
                _ => return Err(child.unexpected_in(element)),
            };
            if keys.find("").is_some() || !keys.insert(name, value) {
                return Err(not_valid("a path binds a key twice"));
            }
        }
        Ok(ObjectPath::instance(class, keys))
    }

    fn key_value(&mut self, parent: &Element<'_>, element: &Element<'_>) -> Result<Value> {
        match element.name() {
            "KEYVALUE" => {
                let text = self.text()?;
                let value_type = element.attribute("VALUETYPE");
                let ty = element.attribute("TYPE");
                parse_key(&text, value_type.as_deref(), ty.as_deref())
                    .map_err(|error| not_valid(error.to_string()))
            }
            "VALUE.REFERENCE" => self.reference(element).map(Value::from),
            _ => Err(element.unexpected_in(parent)),
        }
    }
}
