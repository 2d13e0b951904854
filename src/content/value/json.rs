//! To JSON and back, for what travels to hosts, comes from them, and is kept in files.

use super::{Key, Text, Value, read};
use num_bigint::BigInt;
use serde_json::Value as Json;

impl Value {
    /// What JSON holds, as data: its text is never templated.
    pub fn from_json(json: &Json) -> Self {
        Self::json(json, false)
    }

    /// What JSON of the operator holds: its text may be templates.
    pub fn from_trusted_json(json: &Json) -> Self {
        Self::json(json, true)
    }

    fn json(json: &Json, trusted: bool) -> Self {
        let text = |text: &str| Self::Str(Text::new(text, trusted));
        match json {
            Json::Null => Self::None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::integer(BigInt::from(value)),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(value) => text(value),
            Json::Array(items) => {
                Self::list(items.iter().map(|item| Self::json(item, trusted)).collect())
            }
            Json::Object(entries) => Self::dict(
                entries
                    .iter()
                    .map(|(key, value)| (Key(text(key)), Self::json(value, trusted)))
                    .collect(),
            ),
        }
    }

    /// As JSON. Keys become text; undefined, infinite and what has no form in JSON become null or their text;
    /// integers beyond 64 bits keep their digits as text.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Undefined(_) | Self::None => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::BigInt(value) => {
                u64::try_from(&**value).map_or_else(|_| Json::String(value.to_string()), Into::into)
            }
            Self::Float(value) => (*value).into(),
            Self::Str(text) => (&*text.text).into(),
            Self::List(items) => read(items).iter().map(Self::to_json).collect(),
            Self::Tuple(items) => items.iter().map(Self::to_json).collect(),
            Self::Dict(entries) => {
                let entries = read(entries);
                let entries = entries
                    .iter()
                    .map(|(key, value)| (key.json_name(), value.to_json()));
                Json::Object(entries.collect())
            }
            Self::Object(object) => match (object.keys(), object.items()) {
                (Some(keys), _) => {
                    let entries = keys.into_iter().filter_map(|key| {
                        let value = object.get(&key)?.to_json();
                        Some((Key(key).json_name(), value))
                    });
                    Json::Object(entries.collect())
                }
                (None, Some(items)) => items.iter().map(Self::to_json).collect(),
                (None, None) => Json::String(self.to_text()),
            },
        }
    }
}

impl Key {
    /// The name under which Python's `json` writes this key.
    pub fn json_name(&self) -> String {
        match &self.0 {
            Value::None => "null".to_owned(),
            Value::Bool(true) => "true".to_owned(),
            Value::Bool(false) => "false".to_owned(),
            other => other.to_text(),
        }
    }
}
