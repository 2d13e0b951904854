//! A tree of what was written, with places.

use crate::content::place::{Fault, Place};
use crate::content::value::{Key, Text, Value};
use crate::content::vault::Sealed;
use indexmap::IndexMap;
use num_bigint::BigInt;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, RwLock};

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

    /// Tag of a list that is a Python tuple; only INI inventories give such.
    pub const TUPLE: &'static str = "tag:yaml.org,2002:python/tuple";

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
    /// aliased becomes one shared container, as in Python. `!vault` becomes a [`Sealed`], which is opened when
    /// it is used.
    pub fn value(&self) -> Result<Value, Fault> {
        Conversion::default().value(self, true)
    }
}

/// Containers that were converted already, by address: aliases stay shared.
#[derive(Default)]
struct Conversion {
    done: HashMap<(usize, bool), Value>,
}

impl Conversion {
    fn value(&mut self, node: &Node, trusted: bool) -> Result<Value, Fault> {
        let trusted = trusted && node.tag.as_deref() != Some(Node::UNSAFE);
        Ok(match &node.kind {
            Kind::Null => Value::None,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::Int(*value),
            Kind::BigInt(value) => Value::BigInt(Arc::clone(value)),
            Kind::Float(value) => Value::Float(*value),
            Kind::Str(text) if node.tag.as_deref() == Some(Node::VAULT) => {
                Sealed::value(text, &node.place)
            }
            Kind::Str(text) => Value::Str(Text::new(Arc::clone(text), trusted)),
            Kind::Seq(items) => {
                let address = Arc::as_ptr(items).cast::<()>() as usize;
                self.shared(address, Arc::strong_count(items), trusted, |this| {
                    let items = items.iter().map(|item| this.value(item, trusted));
                    let items: Vec<Value> = items.collect::<Result<_, _>>()?;
                    Ok(match node.tag.as_deref() {
                        Some(Node::TUPLE) => Value::Tuple(items.into()),
                        _ => Value::List(Arc::new(RwLock::new(items))),
                    })
                })?
            }
            Kind::Map(entries) => {
                let address = Arc::as_ptr(entries).cast::<()>() as usize;
                self.shared(address, Arc::strong_count(entries), trusted, |this| {
                    let mut dict = IndexMap::with_capacity(entries.len());
                    for (key, value) in entries.iter() {
                        let key = this.value(key, trusted)?;
                        dict.insert(Key(key), this.value(value, trusted)?);
                    }
                    Ok(Value::Dict(Arc::new(RwLock::new(dict))))
                })?
            }
        })
    }

    /// Converts a container once. Only one that several nodes hold can come again.
    fn shared(
        &mut self,
        address: usize,
        holders: usize,
        trusted: bool,
        convert: impl FnOnce(&mut Self) -> Result<Value, Fault>,
    ) -> Result<Value, Fault> {
        if holders == 1 {
            return convert(self);
        }
        if let Some(value) = self.done.get(&(address, trusted)) {
            return Ok(value.clone());
        }
        let value = convert(self)?;
        self.done.insert((address, trusted), value.clone());
        Ok(value)
    }
}
