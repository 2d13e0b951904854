//! Variables that were rendered already.
//!
//! A templar for one item of a loop sees the same variables as the one it was made from, except for those that its
//! own names reach. So what was rendered is kept at the outermost level whose names it doesn't depend on, and shared.

use super::syntax::ast::Name;
use crate::content::value::Value;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};

/// A set of names, of which each sets one of 256 bits. Two sets that share no bit share no name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names([u64; 4]);

impl Names {
    pub fn add(&mut self, name: &str) {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let bit = usize::try_from(hash % 256).unwrap_or(0);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    pub fn join(&mut self, other: Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own |= other;
        }
    }

    fn meets(self, other: Self) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .any(|(own, other)| own & other != 0)
    }
}

/// A variable, rendered.
#[derive(Debug, Clone)]
pub struct Slot {
    pub value: Value,
    pub untrusted: bool,
    /// It was a number, a boolean or nothing before it was rendered: `{{ name }}` alone keeps that.
    pub keeps_type: bool,
    /// All names that it was made from, its own included.
    pub names: Names,
}

/// One level: names that win over the level below, and what was rendered in their light.
#[derive(Default)]
pub struct Level {
    pub locals: IndexMap<String, Value>,
    own: Names,
    parent: Option<Arc<Level>>,
    slots: Mutex<HashMap<Name, Slot>>,
}

impl Level {
    pub fn above(parent: &Arc<Self>, locals: IndexMap<String, Value>) -> Self {
        let mut own = Names::default();
        locals.keys().for_each(|name| own.add(name));
        Self {
            locals,
            own,
            parent: Some(Arc::clone(parent)),
            slots: Mutex::default(),
        }
    }

    /// The value of a name that is given at this level or below it.
    pub fn local(&self, name: &str) -> Option<&Value> {
        let mut level = Some(self);
        while let Some(here) = level {
            if let Some(value) = here.locals.get(name) {
                return Some(value);
            }
            level = here.parent.as_deref();
        }
        None
    }

    /// All names that are given, innermost first.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut level = Some(self);
        while let Some(here) = level {
            names.extend(here.locals.keys().cloned());
            level = here.parent.as_deref();
        }
        names
    }

    fn slot(&self, name: &str) -> Option<Slot> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(name).cloned()
    }

    pub fn find(&self, name: &str) -> Option<Slot> {
        if let Some(slot) = self.slot(name) {
            return Some(slot);
        }
        if self.locals.contains_key(name) {
            return None;
        }
        let slot = self.parent.as_ref()?.find(name)?;
        (!slot.names.meets(self.own)).then_some(slot)
    }

    pub fn keep(&self, name: &Name, slot: Slot) {
        let mut level = self;
        while let Some(parent) = &level.parent
            && !slot.names.meets(level.own)
        {
            level = parent;
        }
        let mut slots = level.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.insert(Arc::clone(name), slot);
    }
}
