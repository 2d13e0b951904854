//! Keys of dictionaries, hashed and compared as in Python: 1, 1.0 and True are one key.

use super::value::{Key, Value};
use num_traits::ToPrimitive;
use std::hash::{Hash, Hasher};

/// Numbers by value; None for what isn't a number.
fn number(value: &Value) -> Option<(bool, i64, u64)> {
    Some(match value {
        Value::Bool(value) => (true, i64::from(*value), 0),
        Value::Int(value) => (true, *value, 0),
        Value::BigInt(value) => (false, 0, value.to_f64()?.to_bits()),
        Value::Float(value) => match value.to_i64() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "compared with the float it came from"
            )]
            Some(whole) if whole as f64 == *value => (true, whole, 0),
            _ => (false, 0, value.to_bits()),
        },
        _ => return None,
    })
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Value::None, Value::None) => true,
            (Value::Str(one), Value::Str(other)) => one.text == other.text,
            (Value::Tuple(one), Value::Tuple(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(other.iter())
                        .all(|(one, other)| Key(one.clone()) == Key(other.clone()))
            }
            (Value::BigInt(one), Value::BigInt(other)) => one == other,
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
