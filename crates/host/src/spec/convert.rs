//! Values brought into the types of arguments, by the rules of Ansible's argument specifications
//! (`ansible.module_utils.common.validation`).

use super::check::{Look, Templates, Wrong, is_template};
use super::near::nearest;
use crate::{Arg, Kind};
use serde_json::{Map, Number, Value};

pub(super) fn convert_arg(
    arg: &Arg,
    name: &str,
    value: &Value,
    templates: Templates,
) -> Result<Value, Wrong> {
    // The choices of a mode are words that can stand in its place (`preserve`).
    if arg.kind == Kind::Mode
        && value
            .as_str()
            .is_some_and(|word| arg.choices.contains(&word))
    {
        return Ok(value.clone());
    }
    let mut value = convert_at(name, arg.kind, value)?;
    if let (Kind::List, Value::Array(items)) = (arg.kind, &mut value) {
        for item in items.iter_mut() {
            if templates == Templates::Rendered || !is_template(item) {
                *item = convert_at(name, arg.elements, item)?;
            }
        }
    }
    check_choice(arg, name, value)
}

/// Checks the choices; as in Ansible, a YAML boolean means the choice that is spelled like it (`state: yes`).
fn check_choice(arg: &Arg, name: &str, value: Value) -> Result<Value, Wrong> {
    if arg.choices.is_empty() || arg.kind == Kind::Mode {
        return Ok(value);
    }
    let wrong = |given: &str| {
        let near = nearest(given, arg.choices)
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        let choices = arg.choices.join(", ");
        let words = if arg.kind == Kind::List {
            format!("value of {name} must be one or more of: {choices}. Got no match for: {given}")
        } else {
            format!("value of {name} must be one of: {choices}, got: {given}")
        };
        let message = format!("{name} must be one of {choices}; got {given:?}{near}");
        Wrong::new(Look::Choice, name, message, words)
    };
    let fits = |item: &Value| {
        item.as_str()
            .is_none_or(|text| arg.choices.contains(&text) || is_template(item))
    };
    match &value {
        Value::String(text) if !fits(&value) => {
            let spelled: &[&str] = match text.as_str() {
                "True" => &["yes", "true", "on"],
                "False" => &["no", "false", "off"],
                _ => &[],
            };
            match spelled.iter().find(|word| arg.choices.contains(word)) {
                Some(word) => Ok(Value::from(*word)),
                None => Err(wrong(text)),
            }
        }
        Value::Array(items) => match items.iter().find(|item| !fits(item)) {
            Some(item) => Err(wrong(item.as_str().unwrap_or_default())),
            None => Ok(value),
        },
        _ => Ok(value),
    }
}

pub(super) fn convert_at(name: &str, kind: Kind, value: &Value) -> Result<Value, Wrong> {
    convert(kind, value).ok_or_else(|| {
        Wrong::new(
            Look::Type,
            name,
            format!("{name} must be {}; got {}", describe(kind), show(value)),
            words_of(name, kind, value),
        )
    })
}

/// What Ansible says of a value that isn't of a type.
fn words_of(name: &str, kind: Kind, value: &Value) -> String {
    let class = match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    let (wanted, why) = match (kind, value) {
        (Kind::Bool, Value::String(text)) => (
            "bool",
            format!(
                "The value '{text}' is not a valid boolean.  Valid booleans include: 'yes', 'on', '1', 'true', 't', 'y', \
                 1, 'no', 'off', '0', 'false', 'f', 'n', 0"
            ),
        ),
        (Kind::Bool, _) => (
            "bool",
            format!("<class '{class}'> cannot be converted to a bool"),
        ),
        (Kind::Int, Value::String(text)) => {
            ("int", format!("\"'{text}'\" cannot be converted to an int"))
        }
        (Kind::Int, _) => (
            "int",
            format!("<class '{class}'> cannot be converted to an int"),
        ),
        (Kind::Float, _) => (
            "float",
            format!("<class '{class}'> cannot be converted to a float"),
        ),
        (Kind::Dict, Value::String(_)) => (
            "dict",
            "dictionary requested, could not parse JSON or key=value".to_owned(),
        ),
        (Kind::Dict, _) => (
            "dict",
            format!("<class '{class}'> cannot be converted to a dict"),
        ),
        (Kind::List, _) => (
            "list",
            format!("<class '{class}'> cannot be converted to a list"),
        ),
        (Kind::Mode, _) => return "mode must be in octal or symbolic form".to_owned(),
        (Kind::Raw | Kind::Str | Kind::Path, _) => (
            "str",
            format!("<class '{class}'> cannot be converted to a str"),
        ),
    };
    format!(
        "argument '{name}' is of type <class '{class}'> and we were unable to convert to {wanted}: {why}"
    )
}

fn convert(kind: Kind, value: &Value) -> Option<Value> {
    match kind {
        Kind::Raw => Some(value.clone()),
        Kind::Str | Kind::Path => Some(Value::String(text_of(value))),
        Kind::Bool => to_bool(value).map(Value::Bool),
        Kind::Int => to_int(value).map(Value::from),
        Kind::Float => match value {
            Value::Number(number) => Some(Value::from(number.as_f64()?)),
            Value::String(text) => Number::from_f64(text.trim().parse().ok()?).map(Value::Number),
            _ => None,
        },
        Kind::List => Some(Value::Array(match value {
            Value::Array(items) => items.clone(),
            Value::String(text) => text
                .split(',')
                .map(|item| Value::from(item.trim()))
                .collect(),
            Value::Number(_) | Value::Bool(_) => vec![Value::String(text_of(value))],
            Value::Object(_) => vec![value.clone()],
            Value::Null => Vec::new(),
        })),
        Kind::Dict => match value {
            Value::Object(_) => Some(value.clone()),
            Value::String(text) => to_dict(text),
            _ => None,
        },
        Kind::Mode => match value {
            Value::String(text) if crate::files::Mode::parse(text).is_some() => Some(value.clone()),
            // YAML has already read 0644 as the number 420.
            Value::Number(number) => {
                let bits = number.as_u64().filter(|bits| *bits <= 0o7777)?;
                Some(Value::String(format!("{bits:04o}")))
            }
            _ => None,
        },
    }
}

/// Text as Python's `str()` gives it for scalars; containers as JSON, as Ansible does for `content:`.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn to_bool(value: &Value) -> Option<bool> {
    let text = match value {
        Value::Bool(known) => return Some(*known),
        Value::Number(number) => {
            return match number.as_f64()? {
                0.0 => Some(false),
                1.0 => Some(true),
                _ => None,
            };
        }
        Value::String(text) => text.trim().to_lowercase(),
        _ => return None,
    };
    match text.as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
        _ => None,
    }
}

fn to_int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < 9e15)
                .map(|float| float as i64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `{"a": 1}` as JSON, else `a=1, b=2` or `a=1 b=2`.
fn to_dict(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).ok().filter(Value::is_object);
    }
    text.split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=')?;
            Some((key.trim().to_owned(), Value::from(value.trim())))
        })
        .collect::<Option<Map<_, _>>>()
        .map(Value::Object)
}

fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Str => "a string",
        Kind::Path => "a path",
        Kind::Bool => "a boolean (yes or no)",
        Kind::Int => "a whole number",
        Kind::Float => "a number",
        Kind::List => "a list",
        Kind::Dict => "a dictionary",
        Kind::Raw => "anything",
        Kind::Mode => {
            "a file mode (\"0644\" or u=rw,g=r,o=r; octal numbers need quotes or a leading zero)"
        }
    }
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    text.chars().take(57).chain("...".chars()).collect()
}
