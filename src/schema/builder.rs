//! Instances and object paths, built property by property through typed handles.

use std::marker::PhantomData;

use super::decl::PropertyDecl;
use super::filter::{Slots, Wanted};
use super::typed::{Fits, Key, Prop, TypedClass};
use crate::cim::{Instance, Keys, Name, ObjectPath, Property, Value};

/// Builds an instance of class `C`; properties that the request does not ask for are left out.
#[derive(Debug)]
pub struct Builder<C> {
    instance: Instance,
    wanted: Wanted<C>,
    /// The properties that have been set.
    filled: Slots,
}

impl<C: TypedClass> Builder<C> {
    /// An instance with every property that will be set.
    pub fn new(_class: C) -> Self {
        Self::filtered(Wanted::all())
    }

    /// An instance with those properties alone.
    pub fn filtered(wanted: Wanted<C>) -> Self {
        let mut instance = Instance::new(C::name());
        instance.properties.reserve_exact(wanted.count());
        Self {
            instance,
            wanted,
            filled: Slots::NONE,
        }
    }

    /// Sets a property; set twice, the later value stands. Values that cost something to find
    /// out go through [`Self::set_with`].
    pub fn set<T, K>(mut self, property: Prop<C, T, K>, value: impl Fits<T>) -> Self {
        if self.wanted.has(property) {
            self.put(property.slot, property.decl(), value.into_value());
        }
        self
    }

    /// Sets a property to what `value` returns, which is only called if the property is wanted.
    pub fn set_with<T, K, V: Fits<T>>(
        mut self,
        property: Prop<C, T, K>,
        value: impl FnOnce() -> V,
    ) -> Self {
        if self.wanted.has(property) {
            self.put(property.slot, property.decl(), value().into_value());
        }
        self
    }

    /// Sets a property to a value that may not be known; if it is not, the property is left out.
    pub fn set_some<T, K, V: Fits<T>>(self, property: Prop<C, T, K>, value: Option<V>) -> Self {
        match value {
            Some(value) => self.set(property, value),
            None => self,
        }
    }

    /// Sets a property to NULL.
    pub fn null<T, K>(mut self, property: Prop<C, T, K>) -> Self {
        if self.wanted.has(property) {
            self.put(property.slot, property.decl(), None);
        }
        self
    }

    /// Sets those of the class's key properties that `keys` binds.
    pub fn keys(mut self, keys: &Keys) -> Self {
        for (slot, property) in (0..).zip(C::decl().properties()) {
            if property.key && self.wanted.has_slot(slot) {
                self.put(slot, property, keys.find(property.name).cloned());
            }
        }
        self
    }

    /// Whether the request asks for that property.
    pub fn wants<T, K>(&self, property: Prop<C, T, K>) -> bool {
        self.wanted.has(property)
    }

    /// The instance.
    pub fn build(self) -> Instance {
        self.instance
    }

    fn put(&mut self, slot: u16, declared: &'static PropertyDecl, value: Option<Value>) {
        let properties = &mut self.instance.properties;
        let again = !self.filled.insert(slot);
        let same = |p: &&mut Property| p.name.as_str() == declared.name;
        if again && let Some(property) = properties.iter_mut().find(same) {
            property.value = value;
            return;
        }
        let mut property = declared.instance_property(value);
        if self.wanted.class_origin {
            property.origin = Some(Name::from_static(declared.origin().name));
        }
        properties.push(property);
    }
}

impl PropertyDecl {
    /// This property in an instance, with that value.
    pub fn instance_property(&self, value: Option<Value>) -> Property {
        Property {
            embedded: self.shape.embedded,
            ..Property::new(
                Name::from_static(self.name),
                self.shape.ty,
                self.shape.array,
                value,
            )
        }
    }
}

/// Builds the path of an instance of class `C`, key by key.
#[derive(Debug)]
pub struct PathBuilder<C> {
    keys: Keys,
    marker: PhantomData<fn() -> C>,
}

impl<C: TypedClass> PathBuilder<C> {
    /// A path without keys so far.
    pub fn new(_class: C) -> Self {
        Self {
            keys: Keys::new(),
            marker: PhantomData,
        }
    }

    /// Adds a key. A key given twice keeps its first value; NULL is no key value and adds nothing.
    pub fn key<T>(mut self, key: Key<C, T>, value: impl Fits<T>) -> Self {
        if let Some(value) = value.into_value() {
            let _first_wins = self.keys.insert(Name::from_static(key.name()), value);
        }
        self
    }

    /// The path, without namespace.
    pub fn build(self) -> ObjectPath {
        ObjectPath::instance(C::name(), self.keys)
    }
}
