//! Methods of Python's own types.

mod container;
mod cycle;
mod text;

pub use container::{pairs, sort};
pub use text::{capitalize, lines, parts};

use super::Outcome;
use super::args::Args;
use crate::content::template::TemplateError;
use crate::content::template::globals::time;
use crate::content::value::{Mistake, Value};

/// True when the value has a method of the name.
pub fn has(value: &Value, name: &str) -> bool {
    match value {
        Value::Str(_) => text::NAMES.contains(&name),
        Value::List(_) => container::LIST.contains(&name),
        Value::Tuple(_) => matches!(name, "count" | "index"),
        Value::Dict(_) => container::DICT.contains(&name),
        Value::Int(_) | Value::BigInt(_) | Value::Bool(_) => name == "bit_length",
        Value::Float(_) => name == "is_integer",
        Value::Object(object) => {
            (object.keys().is_some() && container::READING.contains(&name))
                || time::has_method(value, name)
        }
        _ => false,
    }
}

/// An attribute that isn't a method.
pub fn property(value: &Value, name: &str) -> Option<Value> {
    match (value, name) {
        (Value::Int(_) | Value::BigInt(_) | Value::Float(_), "real") => Some(value.clone()),
        (Value::Int(_) | Value::BigInt(_), "imag") => Some(Value::Int(0)),
        // What `groupby` gives: pairs whose items have names, too.
        (Value::Tuple(pair), "grouper" | "list")
            if pair.len() == 2 && matches!(pair[1], Value::List(_)) =>
        {
            Some(pair[usize::from(name == "list")].clone())
        }
        (_, "__class__") => Some(Value::record([("__name__", value.type_name().into())])),
        _ => None,
    }
}

/// Calls a method.
pub fn call(receiver: &Value, name: &str, args: Args) -> Outcome {
    if cycle::comes(receiver, name, &args) {
        return Err(TemplateError::new(format!(
            "{name}(): a {} can't hold itself",
            receiver.type_name()
        ))
        .hint("Add a copy: `x.copy()`."));
    }
    match receiver {
        Value::Str(text) => text::call(text, name, args),
        Value::List(items) => container::list(items, name, args),
        Value::Tuple(items) => container::sequence(items, name, args),
        Value::Dict(entries) => container::dict(entries, name, args),
        Value::Int(_) | Value::BigInt(_) | Value::Bool(_) => {
            args.none(name)?;
            let bits = receiver.to_bigint().map_or(0, |whole| whole.bits());
            Ok(Value::Int(i64::try_from(bits).unwrap_or(i64::MAX)))
        }
        Value::Float(value) => {
            args.none(name)?;
            Ok(Value::Bool(value.fract() == 0.0))
        }
        Value::Object(object) if object.keys().is_some() => {
            let entries = receiver.entries().unwrap_or_default();
            container::read_only(&entries, name, args)
        }
        Value::Object(_) => time::method(receiver, name, args),
        Value::Undefined(missing) => Err(Mistake::undefined(missing).into()),
        Value::None => Err(TemplateError::new(format!(
            "'None' has no attribute '{name}'"
        ))),
    }
}
