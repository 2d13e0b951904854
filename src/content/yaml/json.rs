//! Nodes of JSON that the YAML parser can't read (tabs, escaped surrogates): values without places of their own.

use super::node::{Kind, Node};
use crate::content::place::Place;
use serde_json::Value;
use std::sync::Arc;

/// Nodes that all stand at one place.
pub fn node(value: &Value, place: &Place) -> Node {
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(value) => Kind::Int(value),
            None => match number.as_u64() {
                Some(value) => Kind::BigInt(Arc::new(value.into())),
                None => Kind::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
        },
        Value::String(text) => Kind::Str(text.as_str().into()),
        Value::Array(items) => Kind::Seq(items.iter().map(|item| node(item, place)).collect()),
        Value::Object(entries) => {
            let text = |key: &String| Node {
                place: place.clone(),
                tag: None,
                kind: Kind::Str(key.as_str().into()),
            };
            let entries = entries.iter();
            Kind::Map(
                entries
                    .map(|(key, value)| (text(key), node(value, place)))
                    .collect(),
            )
        }
    };
    Node {
        place: place.clone(),
        tag: None,
        kind,
    }
}
