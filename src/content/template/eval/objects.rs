//! Values with behaviour that templates make: macros, loops, namespaces, modules, functions.

use super::frame::Frame;
use crate::content::template::syntax::ast::{For, Macro, Name, Template};
use crate::content::value::{Key, Object, Text, Value, read, write};
use indexmap::IndexMap;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The value's object, when it is of the type.
pub fn downcast<T: 'static>(value: &Value) -> Option<&T> {
    match value {
        Value::Object(object) => object.as_any()?.downcast_ref(),
        _ => None,
    }
}

/// `namespace(a=1)`.
#[derive(Debug, Default)]
pub struct Namespace {
    pub vars: RwLock<IndexMap<Key, Value>>,
}

impl Object for Namespace {
    fn type_name(&self) -> &'static str {
        "Namespace"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        read(&self.vars).get(&Key::of(key).ok()?).cloned()
    }

    fn print(&self) -> Option<String> {
        Some(format!(
            "<Namespace {}>",
            Value::dict(read(&self.vars).clone()).repr()
        ))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Namespace {
    pub fn set(&self, name: &Name, value: Value) {
        write(&self.vars).insert(Key::text(Arc::clone(name)), value);
    }
}

/// A macro, with the names that it sees.
pub struct MacroValue {
    pub definition: Arc<Macro>,
    pub frame: Arc<Frame>,
    pub template: Arc<Template>,
}

impl fmt::Debug for MacroValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "macro {}", self.definition.name)
    }
}

impl Object for MacroValue {
    fn type_name(&self) -> &'static str {
        "Macro"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        let definition = &self.definition;
        Some(match key.as_str()? {
            "name" => Value::from(&*definition.name),
            "arguments" => Value::tuple(
                definition
                    .params
                    .iter()
                    .map(|p| Value::from(&**p))
                    .collect(),
            ),
            "catch_kwargs" => Value::Bool(definition.kwargs),
            "catch_varargs" => Value::Bool(definition.varargs),
            "caller" => Value::Bool(definition.caller),
            _ => return None,
        })
    }

    fn print(&self) -> Option<String> {
        Some(format!("<Macro '{}'>", self.definition.name))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// A template that was imported: the names that it set.
#[derive(Debug)]
pub struct Module {
    pub names: IndexMap<Name, Value>,
    pub text: Text,
}

impl Object for Module {
    fn type_name(&self) -> &'static str {
        "TemplateModule"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        self.names.get(key.as_str()?).cloned()
    }

    fn print(&self) -> Option<String> {
        Some(self.text.text.to_string())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// A function of Jinja2 or Ansible, by name.
#[derive(Debug)]
pub struct Function(pub &'static str);

impl Object for Function {
    fn type_name(&self) -> &'static str {
        "function"
    }

    fn print(&self) -> Option<String> {
        Some(format!("<function {}>", self.0))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// A method that isn't called yet: `value.split`.
#[derive(Debug)]
pub struct Method {
    pub receiver: Value,
    pub name: Name,
}

impl Object for Method {
    fn type_name(&self) -> &'static str {
        "builtin_function_or_method"
    }

    fn print(&self) -> Option<String> {
        Some(format!(
            "<built-in method {} of {} object>",
            self.name,
            self.receiver.type_name()
        ))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// A block of a template that extends another: `self.name` and `super`.
#[derive(Debug)]
pub struct BlockCall {
    pub name: Name,
    pub level: usize,
}

impl Object for BlockCall {
    fn type_name(&self) -> &'static str {
        "BlockReference"
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// `cycler('a', 'b')` and `loop.cycle`.
#[derive(Debug)]
pub struct Cycler {
    pub items: Vec<Value>,
    pub at: Mutex<usize>,
}

impl Cycler {
    fn position(&self) -> usize {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn current(&self) -> Value {
        self.items[self.position()].clone()
    }

    pub fn advance(&self) -> Value {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let item = self.items[*at].clone();
        *at = (*at + 1) % self.items.len();
        item
    }

    pub fn reset(&self) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }
}

impl Object for Cycler {
    fn type_name(&self) -> &'static str {
        "Cycler"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        (key.as_str()? == "current").then(|| self.current())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// `joiner(', ')`: nothing the first time.
#[derive(Debug)]
pub struct Joiner {
    pub separator: Value,
    pub used: Mutex<bool>,
}

impl Joiner {
    pub fn next(&self) -> Value {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *used, true) {
            self.separator.clone()
        } else {
            Value::from("")
        }
    }
}

impl Object for Joiner {
    fn type_name(&self) -> &'static str {
        "Joiner"
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// `loop`.
pub struct LoopValue {
    pub definition: Arc<For>,
    pub frame: Arc<Frame>,
    pub template: Arc<Template>,
    pub items: Vec<Value>,
    pub depth: i64,
    pub state: Mutex<LoopState>,
}

#[derive(Default)]
pub struct LoopState {
    pub index: usize,
    pub changed: Option<Vec<Value>>,
}

impl fmt::Debug for LoopValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loop over {} items", self.items.len())
    }
}

impl LoopValue {
    pub fn state(&self) -> std::sync::MutexGuard<'_, LoopState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when the values differ from those of the call before.
    pub fn changed(&self, values: Vec<Value>) -> bool {
        let mut state = self.state();
        let changed = state.changed.as_ref() != Some(&values);
        state.changed = Some(values);
        changed
    }
}

impl Object for LoopValue {
    fn type_name(&self) -> &'static str {
        "LoopContext"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        let index = self.state().index;
        let count = self.items.len();
        let int = |value: usize| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let neighbour = |at: Option<usize>, name: &str| {
            at.and_then(|at| self.items.get(at))
                .cloned()
                .unwrap_or_else(|| {
                    let side = if name == "previtem" {
                        "previous"
                    } else {
                        "next"
                    };
                    Value::undefined_because(
                        format!("loop.{name}"),
                        format!("there is no {side} item"),
                    )
                })
        };
        Some(match key.as_str()? {
            "index" => int(index + 1),
            "index0" => int(index),
            "revindex" => int(count - index),
            "revindex0" => int(count - index - 1),
            "first" => Value::Bool(index == 0),
            "last" => Value::Bool(index + 1 == count),
            "length" => int(count),
            "depth" => Value::Int(self.depth + 1),
            "depth0" => Value::Int(self.depth),
            "previtem" => neighbour(index.checked_sub(1), "previtem"),
            "nextitem" => neighbour(Some(index + 1), "nextitem"),
            _ => return None,
        })
    }

    fn print(&self) -> Option<String> {
        let index = self.state().index;
        Some(format!("<LoopContext {}/{}>", index + 1, self.items.len()))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
