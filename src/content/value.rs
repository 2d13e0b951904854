//! Python's value model, as Ansible's templates see it: shared mutable lists and dictionaries, tuples, big integers,
//! undefined that remembers its name, and text that knows whether it may be templated.

use indexmap::IndexMap;
use num_bigint::BigInt;
use std::fmt;
use std::sync::{Arc, RwLock};

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
}

/// What is missing, and where it was looked for.
#[derive(Debug, Clone, Default)]
pub struct Missing {
    /// `x` or `x.y`, as it was written.
    pub name: String,
    /// A sentence that says more than "'x' is undefined", when there is more to say.
    pub hint: Option<String>,
}

/// A value that can be a key of a dictionary: hashed and compared as Python does (1 == 1.0 == True).
#[derive(Clone)]
pub struct Key(pub Value);

/// A value with behaviour. Lookups return what is stored, untemplated; the evaluator templates it.
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
}
