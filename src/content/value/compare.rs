//! Equality and order, as Python has them.

use super::{Key, Mistake, Value, read};
use num_bigint::BigInt;
use num_traits::{FromPrimitive, ToPrimitive};
use std::cmp::Ordering;
use std::sync::Arc;

impl PartialEq for Value {
    /// Python's `==`. Undefined equals undefined only; who wants an error asks first.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined(_), Self::Undefined(_)) | (Self::None, Self::None) => true,
            (Self::Str(one), Self::Str(other)) => one.text == other.text,
            (Self::List(one), Self::List(other)) => {
                Arc::ptr_eq(one, other) || *read(one) == *read(other)
            }
            (Self::Tuple(one), Self::Tuple(other)) => one == other,
            (Self::Dict(one), Self::Dict(other)) => {
                if Arc::ptr_eq(one, other) {
                    return true;
                }
                let (one, other) = (read(one), read(other));
                one.len() == other.len()
                    && one
                        .iter()
                        .all(|(key, value)| other.get(key).is_some_and(|other| value == other))
            }
            (Self::Object(one), Self::Object(other)) if Arc::ptr_eq(one, other) => true,
            (Self::Object(_), _) | (_, Self::Object(_)) => objects_equal(self, other),
            _ => matches!(numbers(self, other), Some(Some(Ordering::Equal))),
        }
    }
}

/// A mapping or a sequence with behaviour equals a plain one with the same content.
fn objects_equal(one: &Value, other: &Value) -> bool {
    match (one.entries(), other.entries()) {
        (Some(one), Some(other)) => Value::dict(one) == Value::dict(other),
        (None, None) => match (one, other) {
            (Value::Object(one), Value::Object(other)) => {
                one.items().is_some() && one.items() == other.items()
            }
            _ => false,
        },
        _ => false,
    }
}

/// The order of two numbers; None when one isn't a number, Some(None) when one is NaN.
fn numbers(one: &Value, other: &Value) -> Option<Option<Ordering>> {
    if let (Some(one), Some(other)) = (one.as_int(), other.as_int()) {
        return Some(Some(one.cmp(&other)));
    }
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => Some(one.partial_cmp(other)),
        (Value::Float(float), other) => {
            Some(with_float(&other.to_bigint()?, *float).map(Ordering::reverse))
        }
        (one, Value::Float(float)) => Some(with_float(&one.to_bigint()?, *float)),
        _ => Some(Some(one.to_bigint()?.cmp(&other.to_bigint()?))),
    }
}

/// An integer compared with a float, exactly.
fn with_float(whole: &BigInt, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let floor = BigInt::from_f64(float.floor()).unwrap_or_default();
    Some(match whole.cmp(&floor) {
        Ordering::Equal if float.fract() != 0.0 => Ordering::Less,
        order => order,
    })
}

impl Value {
    /// Any integer (booleans too); None for other kinds.
    pub fn to_bigint(&self) -> Option<BigInt> {
        match self {
            Self::BigInt(value) => Some((**value).clone()),
            other => other.as_int().map(BigInt::from),
        }
    }

    /// Any number as a float.
    #[expect(clippy::cast_precision_loss, reason = "as Python's float() does")]
    pub fn to_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::BigInt(value) => value.to_f64(),
            other => other.as_int().map(|value| value as f64),
        }
    }

    /// Python's `<`, `>` and friends: numbers among themselves, text, lists and tuples. None for NaN.
    pub fn compare(&self, other: &Self, operator: &str) -> Result<Option<Ordering>, Mistake> {
        for side in [self, other] {
            if let Self::Undefined(missing) = side {
                return Err(Mistake::undefined(missing));
            }
        }
        if let Some(order) = numbers(self, other) {
            return Ok(order);
        }
        match (self, other) {
            (Self::Str(one), Self::Str(other)) => Ok(Some(one.text.cmp(&other.text))),
            (Self::List(one), Self::List(other)) => {
                if Arc::ptr_eq(one, other) {
                    return Ok(Some(Ordering::Equal));
                }
                sequences(&read(one), &read(other), operator)
            }
            (Self::Tuple(one), Self::Tuple(other)) => sequences(one, other, operator),
            _ => Err(Mistake::new(format!(
                "'{operator}' not supported between instances of '{}' and '{}'",
                self.type_name(),
                other.type_name()
            ))),
        }
    }

    /// The order of two values for sorting.
    pub fn order(&self, other: &Self) -> Result<Ordering, Mistake> {
        Ok(self.compare(other, "<")?.unwrap_or(Ordering::Equal))
    }

    /// Python's `in`: is the item in this container?
    pub fn contains(&self, item: &Self) -> Result<bool, Mistake> {
        match (self, item) {
            (Self::Undefined(missing), _) => Err(Mistake::undefined(missing)),
            (Self::Str(text), Self::Str(part)) => Ok(text.text.contains(&*part.text)),
            (Self::Str(_), other) => {
                if let Self::Undefined(missing) = other {
                    return Err(Mistake::undefined(missing));
                }
                Err(Mistake::new(format!(
                    "'in <string>' requires string as left operand, not {}",
                    other.type_name()
                )))
            }
            (Self::List(items), item) => Ok(read(items).contains(item)),
            (Self::Tuple(items), item) => Ok(items.contains(item)),
            (Self::Dict(entries), item) => Ok(read(entries).contains_key(&Key::of(item)?)),
            (Self::Object(object), item) if object.keys().is_some() => {
                Ok(object.get(item).is_some_and(|value| !value.is_undefined()))
            }
            (Self::Object(object), item) if object.items().is_some() => {
                Ok(object.items().unwrap_or_default().contains(item))
            }
            _ => Err(Mistake::new(format!(
                "argument of type '{}' is not iterable",
                self.type_name()
            ))),
        }
    }
}

fn sequences(one: &[Value], other: &[Value], operator: &str) -> Result<Option<Ordering>, Mistake> {
    for (a, b) in one.iter().zip(other) {
        if a != b {
            return a.compare(b, operator);
        }
    }
    Ok(Some(one.len().cmp(&other.len())))
}
