//! The little of values that the rest needs, until values land; then this file goes.
#![allow(clippy::all)]

use super::value::{Key, Text, Value};
use indexmap::IndexMap;
use std::sync::{Arc, RwLock};

impl From<&str> for Value {
    fn from(t: &str) -> Self {
        Value::Str(Text {
            text: t.into(),
            trusted: true,
        })
    }
}
impl Value {
    pub fn dict(m: IndexMap<Key, Value>) -> Self {
        Value::Dict(Arc::new(RwLock::new(m)))
    }
    pub fn list(m: Vec<Value>) -> Self {
        Value::List(Arc::new(RwLock::new(m)))
    }
    pub fn from_json(j: &serde_json::Value) -> Self {
        match j {
            serde_json::Value::Null => Value::None,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => n
                .as_i64()
                .map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int),
            serde_json::Value::String(s) => Value::Str(Text {
                text: s.as_str().into(),
                trusted: false,
            }),
            serde_json::Value::Array(a) => Value::list(a.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(o) => Value::dict(
                o.iter()
                    .map(|(k, v)| (Key(Value::from(k.as_str())), Value::from_json(v)))
                    .collect(),
            ),
        }
    }
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Undefined(_) | Value::None => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Int(i) => (*i).into(),
            Value::BigInt(b) => b.to_string().into(),
            Value::Float(f) => (*f).into(),
            Value::Str(t) => (&*t.text).into(),
            Value::List(l) => l.read().unwrap().iter().map(Value::to_json).collect(),
            Value::Tuple(l) => l.iter().map(Value::to_json).collect(),
            Value::Dict(d) => serde_json::Value::Object(
                d.read()
                    .unwrap()
                    .iter()
                    .map(|(k, v)| (k.0.to_text(), v.to_json()))
                    .collect(),
            ),
            Value::Object(_) => serde_json::Value::Null,
        }
    }
    pub fn repr(&self) -> String {
        match self {
            Value::Str(t) => format!("'{}'", t.text),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::None => "None".into(),
            Value::List(l) => format!(
                "[{}]",
                l.read()
                    .unwrap()
                    .iter()
                    .map(Value::repr)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            Value::Dict(d) => format!(
                "{{{}}}",
                d.read()
                    .unwrap()
                    .iter()
                    .map(|(k, v)| format!("{}: {}", k.0.repr(), v.repr()))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            o => o.to_json().to_string(),
        }
    }
    pub fn to_text(&self) -> String {
        match self {
            Value::Str(t) => t.text.to_string(),
            o => o.repr(),
        }
    }
}
