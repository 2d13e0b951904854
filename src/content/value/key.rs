//! Keys of dictionaries, hashed and compared as in Python: 1, 1.0 and True are one key.

use super::{Key, Mistake, Value};
use num_traits::{FromPrimitive, ToPrimitive};
use std::hash::{Hash, Hasher};

impl Key {
    /// A key, when the value can be one.
    pub fn of(value: &Value) -> Result<Self, Mistake> {
        match value {
            Value::List(_) | Value::Dict(_) => Err(Mistake::new(format!(
                "unhashable type: '{}'",
                value.type_name()
            ))),
            Value::Tuple(items) => {
                for item in items.iter() {
                    Self::of(item)?;
                }
                Ok(Self(value.clone()))
            }
            Value::Undefined(missing) => Err(Mistake::undefined(missing)),
            _ => Ok(Self(value.clone())),
        }
    }

    /// A key of text.
    pub fn text(text: impl Into<std::sync::Arc<str>>) -> Self {
        Self(Value::str(text))
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

/// A number in the form in which equal numbers are equal: whole ones as integers.
#[derive(PartialEq, Eq, Hash)]
enum Number {
    Small(i64),
    Big(num_bigint::BigInt),
    Broken(u64),
}

fn number(value: &Value) -> Option<Number> {
    Some(match value {
        Value::Bool(value) => Number::Small(i64::from(*value)),
        Value::Int(value) => Number::Small(*value),
        Value::BigInt(value) => Number::Big((**value).clone()),
        Value::Float(value) if value.fract() == 0.0 => match num_bigint::BigInt::from_f64(*value) {
            Some(whole) => match whole.to_i64() {
                Some(small) => Number::Small(small),
                None => Number::Big(whole),
            },
            None => Number::Broken(value.to_bits()),
        },
        Value::Float(value) => Number::Broken(value.to_bits()),
        _ => return None,
    })
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Value::None, Value::None) => true,
            (Value::Int(one), Value::Int(other)) => one == other,
            (Value::Str(one), Value::Str(other)) => one.text == other.text,
            (Value::Tuple(one), Value::Tuple(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(other.iter())
                        .all(|(one, other)| Key(one.clone()) == Key(other.clone()))
            }
            (Value::Object(one), Value::Object(other)) => std::sync::Arc::ptr_eq(one, other),
            (one, other) => matches!((number(one), number(other)), (Some(a), Some(b)) if a == b),
        }
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Value::Str(text) => text.text.hash(state),
            Value::Tuple(items) => {
                for item in items.iter() {
                    Key(item.clone()).hash(state);
                }
            }
            other => number(other).hash(state),
        }
    }
}
