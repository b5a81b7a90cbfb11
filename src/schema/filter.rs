//! Which properties of an instance a request asks for.

use std::marker::PhantomData;
use std::sync::Arc;

use super::decl::ClassDecl;
use super::typed::{Prop, TypedClass};
use crate::cim::Name;

/// A request's choice of properties (DSP0200 §5.3.2.3): a property list, a class beyond whose
/// properties nothing is wanted (`DeepInheritance` false), and whether origins are wanted.
#[derive(Clone, Debug, Default)]
pub struct PropertyFilter {
    names: Option<Arc<[Name]>>,
    within: Option<&'static ClassDecl>,
    class_origin: bool,
}

impl PropertyFilter {
    /// Every property, no origins.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only the listed properties; names that no class has are ignored.
    pub fn listed(names: impl IntoIterator<Item = Name>) -> Self {
        Self {
            names: Some(names.into_iter().collect()),
            ..Self::default()
        }
    }

    /// Of those, only properties that `class` has.
    pub fn within(mut self, class: &'static ClassDecl) -> Self {
        self.within = Some(class);
        self
    }

    /// Each property with the class that declares it (`IncludeClassOrigin`).
    pub fn with_class_origin(mut self, wanted: bool) -> Self {
        self.class_origin = wanted;
        self
    }

    /// Whether origins are wanted.
    pub fn class_origin(&self) -> bool {
        self.class_origin
    }

    /// Whether a property of that name is wanted.
    pub fn allows(&self, name: &str) -> bool {
        let listed = self
            .names
            .as_ref()
            .is_none_or(|names| names.iter().any(|n| n == name));
        listed
            && self
                .within
                .is_none_or(|class| class.property(name).is_some())
    }

    /// The choice among the properties of one class, made once for many instances.
    pub fn wanted<C: TypedClass>(&self) -> Wanted<C> {
        let mut slots = Slots::NONE;
        for (slot, property) in (0..).zip(C::decl().properties()) {
            if self.allows(property.name) {
                let _fresh = slots.insert(slot);
            }
        }
        Wanted {
            slots,
            class_origin: self.class_origin,
            marker: PhantomData,
        }
    }
}

/// The properties of class `C` that a request asks for.
#[derive(Debug)]
pub struct Wanted<C> {
    slots: Slots,
    pub(super) class_origin: bool,
    marker: PhantomData<fn() -> C>,
}

impl<C> Clone for Wanted<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Wanted<C> {}

impl<C: TypedClass> Wanted<C> {
    /// Every property.
    pub fn all() -> Self {
        Self {
            slots: Slots::ALL,
            class_origin: false,
            marker: PhantomData,
        }
    }

    /// Whether that property is wanted.
    pub fn has<T, K>(&self, property: Prop<C, T, K>) -> bool {
        self.slots.contains(property.slot)
    }

    /// Whether the property at that place among those of the class is wanted.
    pub(super) fn has_slot(&self, slot: u16) -> bool {
        self.slots.contains(slot)
    }

    /// How many properties are wanted.
    pub fn count(&self) -> usize {
        self.slots.count().min(C::decl().properties().len())
    }
}

/// A set of property slots; the build script refuses classes with more properties than this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots([u64; 4]);

impl Slots {
    pub(super) const NONE: Self = Self([0; 4]);
    const ALL: Self = Self([u64::MAX; 4]);

    /// Adds a slot; whether it was not in yet.
    pub(super) fn insert(&mut self, slot: u16) -> bool {
        let fresh = !self.contains(slot);
        if let Some(word) = self.0.get_mut(usize::from(slot / 64)) {
            *word |= 1 << (slot % 64);
        }
        fresh
    }

    fn contains(&self, slot: u16) -> bool {
        let word = self.0.get(usize::from(slot / 64));
        word.is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}
