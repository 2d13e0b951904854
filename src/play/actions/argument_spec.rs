//! `validate_argument_spec`: arguments of a role, checked before its tasks run. Messages are those of ansible-core 2.18.

use crate::content::value::Value;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::view::fault;
use serde_json::{Map, Value as Json};

type Object = Map<String, Json>;

/// Types of an argument specification.
const TYPES: &[&str] = &[
    "bits", "bool", "bytes", "dict", "float", "int", "json", "jsonarg", "list", "path", "raw",
    "str",
];

pub(super) fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let spec = match call.args.get("argument_spec").map(Value::to_json) {
        Some(Json::Object(spec)) => spec,
        _ => {
            return Err(call
                .fault(
                    "validate_argument_spec: argument_spec is a mapping of names to what they take",
                )
                .into());
        }
    };
    let mut given = Object::new();
    for name in spec.keys() {
        if let Some(value) = call.templar.variable(name).map_err(fault)? {
            given.insert(name.clone(), value.to_json());
        }
    }
    if let Some(Json::Object(provided)) = call.args.get("provided_arguments").map(Value::to_json) {
        given.extend(provided);
    }
    let context = call.args.get("validate_args_context").map(Value::to_json);
    let context = context.unwrap_or_else(|| Json::Object(Object::new()));
    let mut errors = Vec::new();
    check(&options(&spec), &given, "", &mut errors);
    if errors.is_empty() {
        return Ok(Done::changed(false)
            .with("msg", "The arg spec validation passed")
            .with("validate_args_context", context));
    }
    let message = format!("Validation of arguments failed:\n{}", errors.join("\n"));
    Ok(Done::failed(message)
        .with("changed", false)
        .with("argument_errors", errors)
        .with("argument_spec_data", spec)
        .with("validate_args_context", context))
}

/// What one level takes: its options and the rules between them.
struct Level<'a> {
    options: &'a Object,
    rules: &'a Object,
}

fn options(spec: &Object) -> Level<'_> {
    Level {
        options: spec,
        rules: spec,
    }
}

/// Adds an error for everything that doesn't fit. `path` is empty or the option that holds the values.
fn check(level: &Level<'_>, given: &Object, path: &str, errors: &mut Vec<String>) {
    let within = if path.is_empty() {
        String::new()
    } else {
        format!(" found in {path}")
    };
    let mut missing: Vec<&str> = level
        .options
        .iter()
        .filter(|(name, option)| {
            is_true(option.get("required")) && find(option, name, given).is_none()
        })
        .map(|(name, _)| name.as_str())
        .collect();
    missing.sort_unstable();
    rules_of_exclusion(level, given, &within, errors);
    if !missing.is_empty() {
        errors.push(format!(
            "missing required arguments: {}{within}",
            missing.join(", ")
        ));
    }
    let values: Vec<(&String, &Json, &Json)> = level
        .options
        .iter()
        .filter_map(|(name, option)| Some((name, option, find(option, name, given)?)))
        .filter(|(_, _, value)| !value.is_null())
        .collect();
    for (name, option, value) in &values {
        types(name, option, value, path, errors);
    }
    for (name, option, value) in &values {
        choices(name, option, value, &within, errors);
    }
    rules_of_presence(level, given, &within, errors);
    for (name, option, value) in &values {
        nested(name, option, value, path, errors);
    }
    let known = |name: &String| {
        level
            .options
            .iter()
            .any(|(own, option)| own == name || words(option.get("aliases")).contains(name))
    };
    let unknown: Vec<String> = given
        .keys()
        .filter(|name| !known(name))
        .map(|name| {
            if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            }
        })
        .collect();
    if !unknown.is_empty() {
        let mut names: Vec<&str> = level.options.keys().map(String::as_str).collect();
        names.sort_unstable();
        errors.push(format!(
            "{}. Supported parameters include: {}.",
            unknown.join(", "),
            names.join(", ")
        ));
    }
}

/// The value of an option, under its name or an alias.
fn find<'a>(option: &Json, name: &str, given: &'a Object) -> Option<&'a Json> {
    given.get(name).or_else(|| {
        words(option.get("aliases"))
            .iter()
            .find_map(|alias| given.get(alias))
    })
}

fn types(name: &str, option: &Json, value: &Json, path: &str, errors: &mut Vec<String>) {
    let within = if path.is_empty() {
        String::new()
    } else {
        format!(" found in '{path}'.")
    };
    let wanted = option.get("type").and_then(Json::as_str).unwrap_or("str");
    if let Err(why) = convert(wanted, value) {
        errors.push(format!(
            "argument '{name}' is of type {}{within} and we were unable to convert to {wanted}: {why}",
            class(value)
        ));
        return;
    }
    let Some(elements) = option.get("elements").and_then(Json::as_str) else {
        return;
    };
    for item in listed(value) {
        if let Err(why) = convert(elements, &item) {
            errors.push(format!(
                "Elements value for option '{name}'{} is of type {} and we were unable to convert to {elements}: {why}",
                if path.is_empty() { String::new() } else { format!(" found in '{path}'") },
                class(&item)
            ));
        }
    }
}

fn choices(name: &str, option: &Json, value: &Json, within: &str, errors: &mut Vec<String>) {
    let Some(allowed) = option.get("choices").and_then(Json::as_array) else {
        return;
    };
    let text = |value: &Json| Value::from_json(value).to_text();
    let allowed: Vec<String> = allowed.iter().map(text).collect();
    let wrong: Vec<String> = match value {
        Json::Array(items) => items
            .iter()
            .map(text)
            .filter(|item| !allowed.contains(item))
            .collect(),
        one => [text(one)]
            .into_iter()
            .filter(|item| !allowed.contains(item))
            .collect(),
    };
    if wrong.is_empty() {
        return;
    }
    let how = if value.is_array() {
        "one or more of"
    } else {
        "one of"
    };
    errors.push(format!(
        "value of {name} must be {how}: {}, got: {}{within}",
        allowed.join(", "),
        wrong.join(", ")
    ));
}

/// Options of an option: a mapping, or a list of them.
fn nested(name: &str, option: &Json, value: &Json, path: &str, errors: &mut Vec<String>) {
    let Some(Json::Object(inner)) = option.get("options") else {
        return;
    };
    let empty = Object::new();
    let level = Level {
        options: inner,
        rules: option.as_object().unwrap_or(&empty),
    };
    let path = if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path} -> {name}")
    };
    let wanted = option.get("type").and_then(Json::as_str);
    let is_dict = wanted == Some("dict")
        || wanted == Some("list") && option.get("elements").and_then(Json::as_str) == Some("dict");
    if !is_dict {
        return;
    }
    let items = match value {
        Json::Array(items) => items.clone(),
        one => vec![one.clone()],
    };
    for item in &items {
        if let Json::Object(given) = item {
            check(&level, given, &path, errors);
        }
    }
}

/// `mutually_exclusive`.
fn rules_of_exclusion(level: &Level<'_>, given: &Object, within: &str, errors: &mut Vec<String>) {
    let clashes: Vec<String> = groups(level.rules.get("mutually_exclusive"))
        .into_iter()
        .filter(|names| present(names, given) > 1)
        .map(|names| names.join("|"))
        .collect();
    if !clashes.is_empty() {
        errors.push(format!(
            "parameters are mutually exclusive: {}{within}",
            clashes.join(", ")
        ));
    }
}

/// `required_together`, `required_one_of`, `required_if` and `required_by`.
fn rules_of_presence(level: &Level<'_>, given: &Object, within: &str, errors: &mut Vec<String>) {
    for names in groups(level.rules.get("required_together")) {
        let count = present(&names, given);
        if count > 0 && count < names.len() {
            errors.push(format!(
                "parameters are required together: {}{within}",
                names.join(", ")
            ));
        }
    }
    for names in groups(level.rules.get("required_one_of")) {
        if present(&names, given) == 0 {
            errors.push(format!(
                "one of the following is required: {}{within}",
                names.join(", ")
            ));
        }
    }
    for rule in level
        .rules
        .get("required_if")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        let (Some(key), Some(value)) = (rule.get(0).and_then(Json::as_str), rule.get(1)) else {
            continue;
        };
        if given.get(key) != Some(value) {
            continue;
        }
        let names = words(rule.get(2));
        let any = is_true(rule.get(3));
        let absent: Vec<&String> = names
            .iter()
            .filter(|name| !given.contains_key(*name))
            .collect();
        let met = if any {
            absent.len() < names.len()
        } else {
            absent.is_empty()
        };
        if !met {
            let listed: Vec<&str> = absent.iter().map(|name| name.as_str()).collect();
            errors.push(format!(
                "{key} is {} but {} of the following are missing: {}{within}",
                Value::from_json(value).to_text(),
                if any { "any" } else { "all" },
                listed.join(", ")
            ));
        }
    }
    for (key, names) in level
        .rules
        .get("required_by")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let names = words(Some(names));
        let absent: Vec<String> = names
            .into_iter()
            .filter(|name| !given.contains_key(name))
            .collect();
        if given.contains_key(key) && !absent.is_empty() {
            errors.push(format!(
                "missing parameter(s) required by '{key}': {}{within}",
                absent.join(", ")
            ));
        }
    }
}

fn present(names: &[String], given: &Object) -> usize {
    names
        .iter()
        .filter(|name| given.contains_key(*name))
        .count()
}

/// A list of lists of names; one list alone is taken for one of these.
fn groups(value: Option<&Json>) -> Vec<Vec<String>> {
    let Some(items) = value.and_then(Json::as_array) else {
        return Vec::new();
    };
    if items.iter().all(Json::is_array) {
        items.iter().map(|item| words(Some(item))).collect()
    } else {
        vec![words(value)]
    }
}

fn words(value: Option<&Json>) -> Vec<String> {
    match value {
        Some(Json::Array(items)) => items
            .iter()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect(),
        Some(Json::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

fn is_true(value: Option<&Json>) -> bool {
    value.and_then(|value| crate::play::keep::boolean(&Value::from_json(value))) == Some(true)
}

/// What a list is made from: a list, text cut at commas, or a number.
fn listed(value: &Json) -> Vec<Json> {
    match value {
        Json::Array(items) => items.clone(),
        Json::String(text) => text.split(',').map(Json::from).collect(),
        one => vec![one.clone()],
    }
}

/// The error is why the value isn't of the type and can't be made one.
fn convert(wanted: &str, value: &Json) -> Result<(), String> {
    let number = |kind: &str, fits: fn(f64) -> bool| -> Result<(), String> {
        let found = match value {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.trim().parse().ok(),
            Json::Bool(_) => Some(1.0),
            _ => None,
        };
        match found {
            Some(found) if fits(found) => Ok(()),
            _ if kind == "float" => Err(format!("{} cannot be converted to a float", class(value))),
            _ => {
                let article = "an";
                Err(format!(
                    "\"{}\" cannot be converted to {article} {kind}",
                    Value::from_json(value).repr()
                ))
            }
        }
    };
    match wanted {
        "int" => number("int", |n| n.fract() == 0.0),
        "float" => number("float", f64::is_finite),
        "bool" => match crate::play::keep::boolean(&Value::from_json(value)) {
            Some(_) if !value.is_null() => Ok(()),
            _ => Err(format!("{} cannot be converted to a bool", class(value))),
        },
        "list" => match value {
            Json::Object(_) | Json::Bool(_) => {
                Err(format!("{} cannot be converted to a list", class(value)))
            }
            _ => Ok(()),
        },
        "dict" => match value {
            Json::Object(_) => Ok(()),
            Json::String(text) if text.starts_with('{') || text.contains('=') => Ok(()),
            Json::String(_) => {
                Err("dictionary requested, could not parse JSON or key=value".to_owned())
            }
            _ => Err(format!("{} cannot be converted to a dict", class(value))),
        },
        known if TYPES.contains(&known) => Ok(()),
        other => Err(format!("unknown type '{other}'")),
    }
}

/// Python's name of a value's class.
fn class(value: &Json) -> String {
    let name = match value {
        Json::Null => "NoneType",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float",
        Json::Number(_) => "int",
        Json::String(_) => "str",
        Json::Array(_) => "list",
        Json::Object(_) => "dict",
    };
    format!("<class '{name}'>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn errors(spec: Json, given: Json) -> Vec<String> {
        let (Json::Object(spec), Json::Object(given)) = (spec, given) else {
            panic!("mappings");
        };
        let mut found = Vec::new();
        check(&options(&spec), &given, "", &mut found);
        found
    }

    // What ansible-core 2.18.19 says of the same.
    #[test]
    fn errors_are_worded_as_in_ansible() {
        let spec = json!({
            "need": {"type": "int", "required": true},
            "choice": {"choices": ["x", "y"]},
            "deep": {"type": "dict", "options": {"inner": {"required": true}}},
        });
        assert_eq!(
            errors(spec.clone(), json!({})),
            ["missing required arguments: need"]
        );
        assert_eq!(
            errors(spec.clone(), json!({"need": "5", "choice": "z"})),
            ["value of choice must be one of: x, y, got: z"]
        );
        assert_eq!(
            errors(spec, json!({"need": 1, "deep": {"other": 1}})),
            [
                "missing required arguments: inner found in deep",
                "deep.other. Supported parameters include: inner."
            ]
        );
    }
}
