//! A tree of what was written, with places.

use crate::content::place::{Fault, Place};
use crate::content::value::Value;
use num_bigint::BigInt;
use std::path::Path;
use std::sync::Arc;

/// One value that a person wrote. Cloning is cheap: containers are shared, and an alias is the very node of its anchor.
#[derive(Clone, Debug)]
pub struct Node {
    /// First character of the value; of a block scalar its indicator (`|` or `>`); of an aliased node the anchor's
    /// value, where it was written.
    pub place: Place,
    /// A tag that was written and that carries a meaning of its own (`!vault`, `!unsafe`), or [`Node::TIMESTAMP`] for
    /// a date, which is kept as text.
    pub tag: Option<Arc<str>>,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    /// Only for integers that don't fit `Int`.
    BigInt(Arc<BigInt>),
    Float(f64),
    Str(Arc<str>),
    Seq(Arc<[Node]>),
    /// In order; every key once; merge keys (`<<`) resolved.
    Map(Arc<[(Node, Node)]>),
}

impl Node {
    /// Tag of text that is encrypted with ansible-vault (also written `!vault-encrypted`).
    pub const VAULT: &'static str = "!vault";
    /// Tag of text that is never a template, and of containers that hold only such text.
    pub const UNSAFE: &'static str = "!unsafe";
    /// Tag of dates and times, whose text is kept as it was written.
    pub const TIMESTAMP: &'static str = "tag:yaml.org,2002:timestamp";

    /// Null, at the whole of a file.
    pub fn null(file: &Path) -> Self {
        Self {
            place: Place::file(file),
            tag: None,
            kind: Kind::Null,
        }
    }

    /// The value of a key that is text. None when there is no such key or this isn't a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key that is this text (for its place) and its value.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.as_map()?
            .iter()
            .find(|(name, _)| name.as_str() == Some(key))
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self.kind {
            Kind::Int(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// What kind of value this is, for sentences: "a list", "text".
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) | Kind::BigInt(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Str(_) => "text",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value for templates. Text is trusted (may be templated) unless it is tagged `!unsafe`; a node that was
    /// aliased becomes one shared container, as in Python. `!vault` is a fault until vaults are supported.
    pub fn value(&self) -> Result<Value, Fault> {
        Err(Fault::new("values can't be converted yet").at(&self.place))
    }
}
