//! Python's value model, as Ansible's templates see it: shared mutable lists and dictionaries, tuples, big integers,
//! undefined that remembers its name, and text that knows whether it may be templated.

mod arith;
mod compare;
mod items;
mod json;
mod key;
mod merge;
mod print;
#[cfg(test)]
mod tests;

pub use arith::{add, div, floor_div, mul, neg, pos, pow, rem, sub};
pub use items::{index_of, slice};
pub use merge::merged;
pub use print::{float_repr, text_repr};

use indexmap::IndexMap;
use num_bigint::BigInt;
use num_traits::ToPrimitive;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A value of a variable or of an expression. Cloning is cheap: containers are shared, as in Python.
#[derive(Clone)]
pub enum Value {
    /// Not there. Harmless to look further into, an error to use.
    Undefined(Arc<Missing>),
    None,
    Bool(bool),
    Int(i64),
    /// Only for integers that don't fit `Int`.
    BigInt(Arc<BigInt>),
    Float(f64),
    Str(Text),
    List(List),
    Tuple(Arc<[Value]>),
    Dict(Dict),
    /// Something with behaviour: hostvars, functions, ranges, loop controls.
    Object(Arc<dyn Object>),
}

pub type List = Arc<RwLock<Vec<Value>>>;
pub type Dict = Arc<RwLock<IndexMap<Key, Value>>>;

/// Text, and whether it was written by the operator.
///
/// Text that came from a host is data: it is never templated, whatever it looks like.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text {
    pub text: Arc<str>,
    pub trusted: bool,
    /// Made by a filter that writes text (`to_json`): nobody takes it for a list, whatever it looks like.
    pub stays_text: bool,
    /// What a value of a vault holds, as it is.
    pub from_vault: bool,
}

/// What is missing, and where it was looked for.
#[derive(Debug, Clone, Default)]
pub struct Missing {
    /// `x` or `x.y`, as it was written.
    pub name: String,
    /// A sentence that says more than "'x' is undefined", when there is more to say.
    pub hint: Option<String>,
    /// The value of `… if …` without `else`: it may be used, and is like nothing.
    pub lenient: bool,
}

/// A value that can be a key of a dictionary: hashed and compared as Python does (1 == 1.0 == True).
#[derive(Clone)]
pub struct Key(pub Value);

/// A value with behaviour. What it returns is final: the evaluator doesn't template it again.
pub trait Object: Send + Sync + fmt::Debug {
    /// Name of the type, as Python would give it.
    fn type_name(&self) -> &'static str;

    /// Item or attribute.
    fn get(&self, _key: &Value) -> Option<Value> {
        None
    }

    /// Keys, when it is a mapping that can be enumerated.
    fn keys(&self) -> Option<Vec<Value>> {
        None
    }

    /// Items, when it is a sequence.
    fn items(&self) -> Option<Vec<Value>> {
        None
    }

    /// How it prints; None: as a mapping or a list when it is one, else as `<type object>`.
    fn print(&self) -> Option<String> {
        None
    }

    /// For owners of a type who meet their own values again.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

/// What an operation on values can't do, in Python's words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    pub message: String,
    /// Set when the operation met something that isn't defined.
    pub missing: Option<Arc<Missing>>,
}

impl Mistake {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            missing: None,
        }
    }

    /// Something undefined was used.
    pub fn undefined(missing: &Arc<Missing>) -> Self {
        Self {
            message: missing.message(),
            missing: Some(Arc::clone(missing)),
        }
    }
}

impl Missing {
    /// The sentence that says what is missing.
    pub fn message(&self) -> String {
        match &self.hint {
            Some(hint) => hint.clone(),
            None => format!("'{}' is undefined", self.name),
        }
    }
}

impl Text {
    pub fn new(text: impl Into<Arc<str>>, trusted: bool) -> Self {
        Self {
            text: text.into(),
            trusted,
            stays_text: false,
            from_vault: false,
        }
    }
}

/// The items of a list, for reading. A panic elsewhere doesn't make them unreadable.
pub fn read<T>(shared: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    shared.read().unwrap_or_else(PoisonError::into_inner)
}

/// The items of a list, for changing.
pub fn write<T>(shared: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    shared.write().unwrap_or_else(PoisonError::into_inner)
}

impl Value {
    /// Text of the operator, which may hold templates.
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(Text::new(text, true))
    }

    /// Text that came from elsewhere: data.
    pub fn untrusted(text: impl Into<Arc<str>>) -> Self {
        Self::Str(Text::new(text, false))
    }

    pub fn list(items: Vec<Value>) -> Self {
        Self::List(Arc::new(RwLock::new(items)))
    }

    pub fn tuple(items: Vec<Value>) -> Self {
        Self::Tuple(items.into())
    }

    pub fn dict(entries: IndexMap<Key, Value>) -> Self {
        Self::Dict(Arc::new(RwLock::new(entries)))
    }

    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Arc::new(object))
    }

    pub fn undefined(name: impl Into<String>) -> Self {
        Self::Undefined(Arc::new(Missing {
            name: name.into(),
            ..Missing::default()
        }))
    }

    /// Undefined, with a sentence that says more than its name does.
    pub fn undefined_because(name: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Undefined(Arc::new(Missing {
            name: name.into(),
            hint: Some(hint.into()),
            lenient: false,
        }))
    }

    /// The smallest form of an integer.
    pub fn integer(value: BigInt) -> Self {
        match value.to_i64() {
            Some(small) => Self::Int(small),
            None => Self::BigInt(Arc::new(value)),
        }
    }

    /// Undefined, but as harmless to use as nothing.
    pub fn is_lenient(&self) -> bool {
        matches!(self, Self::Undefined(missing) if missing.lenient)
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// The text of a string; None for every other kind.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(&text.text),
            _ => None,
        }
    }

    /// The whole number that this is, as Python's `operator.index` has it.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    pub fn is_mapping(&self) -> bool {
        match self {
            Self::Dict(_) => true,
            Self::Object(object) => object.keys().is_some(),
            _ => false,
        }
    }

    /// Python's truth. Undefined is false: who wants an error asks first.
    pub fn truthy(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::BigInt(_) => true,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.text.is_empty(),
            Self::List(items) => !read(items).is_empty(),
            Self::Tuple(items) => !items.is_empty(),
            Self::Dict(entries) => !read(entries).is_empty(),
            Self::Object(object) => match (object.keys(), object.items()) {
                (Some(keys), _) => !keys.is_empty(),
                (None, Some(items)) => !items.is_empty(),
                (None, None) => true,
            },
        }
    }

    /// Name of the type in Python; text is `str`, trusted or not.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Object(object) => object.type_name(),
        }
    }

    /// True when any text in it (keys too) came from elsewhere.
    pub fn holds_untrusted(&self) -> bool {
        match self {
            Self::Str(text) => !text.trusted,
            Self::List(items) => read(items).iter().any(Self::holds_untrusted),
            Self::Tuple(items) => items.iter().any(Self::holds_untrusted),
            Self::Dict(entries) => read(entries)
                .iter()
                .any(|(key, value)| key.0.holds_untrusted() || value.holds_untrusted()),
            _ => false,
        }
    }

    /// A copy in which all text is marked as coming from elsewhere.
    #[must_use]
    pub fn distrusted(&self) -> Self {
        match self {
            Self::Str(text) => Self::Str(Text {
                trusted: false,
                ..text.clone()
            }),
            Self::List(items) => Self::list(read(items).iter().map(Self::distrusted).collect()),
            Self::Tuple(items) => Self::tuple(items.iter().map(Self::distrusted).collect()),
            Self::Dict(entries) => {
                let entries = read(entries);
                let copies = entries
                    .iter()
                    .map(|(key, value)| (Key(key.0.distrusted()), value.distrusted()));
                Self::dict(copies.collect())
            }
            other => other.clone(),
        }
    }

    /// A copy that shares no container with this value.
    #[must_use]
    pub fn deep_copy(&self) -> Self {
        match self {
            Self::List(items) => Self::list(read(items).iter().map(Self::deep_copy).collect()),
            Self::Tuple(items) => Self::tuple(items.iter().map(Self::deep_copy).collect()),
            Self::Dict(entries) => {
                let entries = read(entries);
                let copies = entries
                    .iter()
                    .map(|(key, value)| (key.clone(), value.deep_copy()));
                Self::dict(copies.collect())
            }
            other => other.clone(),
        }
    }
}

impl From<&str> for Value {
    /// Text of the operator.
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value {
    /// Text of the operator.
    fn from(text: String) -> Self {
        Self::str(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::list(items)
    }
}
