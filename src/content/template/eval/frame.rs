//! Names that a template sets itself: a chain of frames, innermost first.

use crate::content::template::syntax::ast::Name;
use crate::content::value::{Value, read, write};
use std::fmt;
use std::sync::{Arc, RwLock};

/// The names of one block of a template.
#[derive(Default)]
pub struct Frame {
    vars: RwLock<Vec<(Name, Value)>>,
    parent: Option<Arc<Frame>>,
    /// Variables can't be seen from here: a template that is imported or included without context.
    blind: bool,
}

impl Frame {
    pub fn root() -> Arc<Self> {
        Arc::default()
    }

    /// The outermost frame of a template without context.
    pub fn without_context() -> Arc<Self> {
        Arc::new(Self {
            blind: true,
            ..Self::default()
        })
    }

    pub fn below(parent: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self {
            vars: RwLock::default(),
            parent: Some(Arc::clone(parent)),
            blind: parent.blind,
        })
    }

    pub fn is_blind(&self) -> bool {
        self.blind
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        let mut frame = Some(self);
        while let Some(here) = frame {
            let vars = read(&here.vars);
            if let Some((_, value)) = vars.iter().rev().find(|(known, _)| &**known == name) {
                return Some(value.clone());
            }
            frame = here.parent.as_deref();
        }
        None
    }

    pub fn set(&self, name: &Name, value: Value) {
        let mut vars = write(&self.vars);
        match vars.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => vars.push((Arc::clone(name), value)),
        }
    }

    /// The names of this frame alone, in the order in which they were set.
    pub fn own(&self) -> Vec<(Name, Value)> {
        read(&self.vars).clone()
    }

    /// All names that can be seen from here.
    pub fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        let mut frame = Some(self);
        while let Some(here) = frame {
            names.extend(read(&here.vars).iter().map(|(name, _)| Arc::clone(name)));
            frame = here.parent.as_deref();
        }
        names
    }

    /// Forgets all names. Macros hold the frame that holds them, so it would never be freed otherwise.
    pub fn clear(&self) {
        let vars = std::mem::take(&mut *write(&self.vars));
        drop(vars);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
