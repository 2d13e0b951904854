//! Checking the arguments of one task against the specification of its module.

use super::RAW_PARAMS;
use super::convert::{convert_arg, convert_at};
use super::near::nearest;
use crate::{ArgError, Kind, Rule, Spec};
use serde_json::{Map, Value};

/// Checks arguments before anything is connected. Values that still hold templates are accepted for any type.
pub fn validate(spec: &Spec, args: &Map<String, Value>) -> Result<(), ArgError> {
    check(spec, args, Templates::Accepted).map(drop)
}

/// The same check on rendered arguments, and the arguments as [`crate::Module`] takes them: real names instead of
/// aliases, values of the specified types, defaults filled in, null left out.
pub fn normalise(spec: &Spec, args: &Map<String, Value>) -> Result<Map<String, Value>, ArgError> {
    check(spec, args, Templates::Rendered)
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Templates {
    Accepted,
    Rendered,
}

fn check(
    spec: &Spec,
    args: &Map<String, Value>,
    templates: Templates,
) -> Result<Map<String, Value>, ArgError> {
    let mut typed = Map::new();
    for (name, value) in args {
        if spec.free_form && name == RAW_PARAMS {
            typed.insert(name.clone(), convert_at(name, Kind::Str, value)?);
            continue;
        }
        let arg = spec
            .args
            .iter()
            .find(|arg| arg.answers_to(name))
            .ok_or_else(|| unknown(spec, name))?;
        if value.is_null() {
            continue;
        }
        let value = if templates == Templates::Accepted && is_template(value) {
            value.clone()
        } else {
            convert_arg(arg, name, value, templates)?
        };
        if typed.insert(arg.name.to_owned(), value).is_some() {
            return Err(error(
                name,
                format!("{} is given twice: {name} is another name of it", arg.name),
            ));
        }
    }
    for arg in spec.args {
        if typed.contains_key(arg.name) {
            continue;
        }
        if arg.required {
            return Err(error(
                arg.name,
                format!(
                    "{}: the argument {} is missing{}",
                    spec.name,
                    arg.name,
                    if arg.doc.is_empty() {
                        String::new()
                    } else {
                        format!(" ({})", arg.doc)
                    }
                ),
            ));
        }
    }
    for rule in spec.rules {
        check_rule(spec, rule, &typed)?;
    }
    for arg in spec.args {
        if let (false, Some(default)) = (typed.contains_key(arg.name), arg.default) {
            typed.insert(
                arg.name.to_owned(),
                convert_arg(arg, arg.name, &Value::from(default), templates)?,
            );
        }
    }
    Ok(typed)
}

fn check_rule(spec: &Spec, rule: &Rule, args: &Map<String, Value>) -> Result<(), ArgError> {
    let given = |names: &[&str]| {
        names
            .iter()
            .filter(|name| args.contains_key(**name))
            .count()
    };
    let fault = |name: &str, text: String| Err(error(name, format!("{}: {text}", spec.name)));
    match *rule {
        Rule::OneOf(names) if given(names) == 0 => fault(
            names[0],
            format!("one of these arguments is needed: {}", names.join(", ")),
        ),
        Rule::Exclusive(names) if given(names) > 1 => fault(
            names[0],
            format!(
                "only one of these arguments can be given: {}",
                names.join(", ")
            ),
        ),
        Rule::Together(names) if given(names) > 0 && given(names) < names.len() => fault(
            names[0],
            format!("these arguments belong together: {}", names.join(", ")),
        ),
        Rule::If(name, value, needed)
            if given_value(spec, args, name) == Some(value) && given(needed) < needed.len() =>
        {
            fault(
                needed[0],
                format!("{name}={value} needs {}", needed.join(" and ")),
            )
        }
        _ => Ok(()),
    }
}

fn given_value<'a>(spec: &Spec, args: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    match args.get(name) {
        Some(value) => value.as_str(),
        None => spec.args.iter().find(|arg| arg.name == name)?.default,
    }
}

pub(super) fn is_template(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{") || text.contains("{%"),
        _ => false,
    }
}

fn unknown(spec: &Spec, name: &str) -> ArgError {
    let known = spec.known();
    let near = spec
        .args
        .iter()
        .flat_map(|arg| std::iter::once(arg.name).chain(arg.aliases.iter().copied()))
        .collect::<Vec<_>>();
    let hint = nearest(name, &near)
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    let list = if known.is_empty() {
        "it takes none".to_owned()
    } else {
        format!("it takes {}", known.join(", "))
    };
    error(
        name,
        format!("{} has no argument {name}{hint} ({list})", spec.name),
    )
}

pub(super) fn error(arg: &str, message: String) -> ArgError {
    ArgError {
        arg: Some(arg.to_owned()),
        message,
    }
}
