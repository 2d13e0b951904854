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
    let mut wrong = Vec::new();
    let mut typed = Map::new();
    for (name, value) in args {
        match one(spec, name, value, templates) {
            Ok(None) => {}
            Ok(Some((own, value))) => {
                // Where both are given, Ansible takes the value of the alias.
                if own != name || !typed.contains_key(own) {
                    typed.insert(own.to_owned(), value);
                }
            }
            Err(found) => wrong.push(found),
        }
    }
    wrong.extend(missing(spec, args));
    for rule in spec.rules {
        wrong.extend(broken(spec, rule, &typed, templates));
    }
    if let Some(error) = told(wrong) {
        return Err(error);
    }
    for arg in spec.args {
        if let (false, Some(default)) = (typed.contains_key(arg.name), arg.default) {
            let default = convert_arg(arg, arg.name, &Value::from(default), templates);
            typed.insert(arg.name.to_owned(), default.map_err(|wrong| wrong.error)?);
        }
    }
    Ok(typed)
}

/// When Ansible's modules look at something: they tell the first that is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    Exclusive,
    Required,
    Type,
    Choice,
    Together,
    OneOf,
    If,
    Unknown,
}

/// Something wrong, and when Ansible would tell it.
pub(super) struct Wrong {
    pub(super) look: Look,
    pub(super) error: ArgError,
}

impl Wrong {
    /// `message` in our words, `words` in Ansible's.
    pub(super) fn new(look: Look, arg: &str, message: String, words: String) -> Self {
        let arg = Some(arg.to_owned());
        Self {
            look,
            error: ArgError {
                arg,
                message,
                words,
            },
        }
    }
}

/// The first thing in our order, with Ansible's words for the first in Ansible's order.
fn told(wrong: Vec<Wrong>) -> Option<ArgError> {
    let first = wrong.iter().min_by_key(|wrong| wrong.look)?;
    let words = first.error.words.clone();
    let error = wrong.into_iter().next()?.error;
    Some(ArgError { words, ..error })
}

/// The real name of an argument and its value in its type; none for one that is null.
fn one<'a>(
    spec: &Spec,
    name: &'a str,
    value: &Value,
    templates: Templates,
) -> Result<Option<(&'a str, Value)>, Wrong> {
    if spec.free_form && name == RAW_PARAMS {
        return Ok(Some((name, convert_at(name, Kind::Str, value)?)));
    }
    let mut known = spec.args.iter();
    let arg = known
        .find(|arg| arg.answers_to(name))
        .ok_or_else(|| unknown(spec, name))?;
    if value.is_null() {
        return Ok(None);
    }
    let value = if templates == Templates::Accepted && is_template(value) {
        value.clone()
    } else {
        convert_arg(arg, name, value, templates)?
    };
    Ok(Some((arg.name, value)))
}

fn missing(spec: &Spec, args: &Map<String, Value>) -> Option<Wrong> {
    let given = |arg: &&crate::Arg| {
        args.iter()
            .any(|(name, value)| arg.answers_to(name) && !value.is_null())
    };
    let required = spec.args.iter().filter(|arg| arg.required);
    let missing: Vec<_> = required.filter(|arg| !given(arg)).collect();
    let first = missing.first()?;
    let doc = match first.doc {
        "" => String::new(),
        doc => format!(" ({doc})"),
    };
    let mut names: Vec<&str> = missing.iter().map(|arg| arg.name).collect();
    names.sort_unstable();
    Some(Wrong::new(
        Look::Required,
        first.name,
        format!("{}: the argument {} is missing{doc}", spec.name, first.name),
        format!("missing required arguments: {}", names.join(", ")),
    ))
}

fn broken(
    spec: &Spec,
    rule: &Rule,
    args: &Map<String, Value>,
    templates: Templates,
) -> Option<Wrong> {
    let given = |names: &[&str]| {
        names
            .iter()
            .filter(|name| args.contains_key(**name))
            .count()
    };
    // A template may come out as `omit`.
    let surely = |names: &[&str]| {
        names
            .iter()
            .filter_map(|name| args.get(*name))
            .filter(|value| templates == Templates::Rendered || !is_template(value))
            .count()
    };
    let wrong = |look: Look, name: &str, text: String, words: String| {
        Some(Wrong::new(
            look,
            name,
            format!("{}: {text}", spec.name),
            words,
        ))
    };
    match *rule {
        Rule::OneOf(names) if given(names) == 0 => wrong(
            Look::OneOf,
            names[0],
            format!("one of these arguments is needed: {}", names.join(", ")),
            format!("one of the following is required: {}", names.join(", ")),
        ),
        Rule::Exclusive(names) if surely(names) > 1 => wrong(
            Look::Exclusive,
            names[0],
            format!(
                "only one of these arguments can be given: {}",
                names.join(", ")
            ),
            format!("parameters are mutually exclusive: {}", names.join("|")),
        ),
        Rule::Together(names) if surely(names) > 0 && given(names) < names.len() => wrong(
            Look::Together,
            names[0],
            format!("these arguments belong together: {}", names.join(", ")),
            format!("parameters are required together: {}", names.join(", ")),
        ),
        Rule::If(name, value, needed)
            if given_value(spec, args, name) == Some(value) && given(needed) < needed.len() =>
        {
            let absent: Vec<&str> = needed
                .iter()
                .copied()
                .filter(|name| !args.contains_key(*name))
                .collect();
            wrong(
                Look::If,
                needed[0],
                format!("{name}={value} needs {}", needed.join(" and ")),
                format!(
                    "{name} is {value} but all of the following are missing: {}",
                    absent.join(", ")
                ),
            )
        }
        _ => None,
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

fn unknown(spec: &Spec, name: &str) -> Wrong {
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
    let left_out = spec.left_out.iter().find(|(known, _)| *known == name);
    let message = match left_out {
        Some((_, why)) => format!("{} doesn't take {name} here: {why}", spec.name),
        None => format!("{} has no argument {name}{hint} ({list})", spec.name),
    };
    let mut supported = known.clone();
    supported.sort_unstable();
    let mut aliases: Vec<&str> = spec
        .args
        .iter()
        .flat_map(|arg| arg.aliases.iter().copied())
        .collect();
    aliases.sort_unstable();
    let aliases = match aliases.as_slice() {
        [] => String::new(),
        all => format!(" ({})", all.join(", ")),
    };
    Wrong::new(
        Look::Unknown,
        name,
        message,
        format!(
            "Unsupported parameters for ({}) module: {name}. Supported parameters include: {}{aliases}.",
            spec.name,
            supported.join(", ")
        ),
    )
}
