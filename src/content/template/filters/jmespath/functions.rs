//! The functions of JMESPath. What they don't take is an error that names them.

use super::eval::{equal, eval, is_number, items};
use super::parse::Node;
use crate::content::template::eval::{json, sort};
use crate::content::value::{Key, Value, add, div};
use indexmap::IndexMap;

type Found = Result<Value, String>;

/// How many arguments a function takes; the second is None for any number.
const FUNCTIONS: [(&str, usize, Option<usize>); 26] = [
    ("abs", 1, Some(1)),
    ("avg", 1, Some(1)),
    ("ceil", 1, Some(1)),
    ("contains", 2, Some(2)),
    ("ends_with", 2, Some(2)),
    ("floor", 1, Some(1)),
    ("join", 2, Some(2)),
    ("keys", 1, Some(1)),
    ("length", 1, Some(1)),
    ("map", 2, Some(2)),
    ("max", 1, Some(1)),
    ("max_by", 2, Some(2)),
    ("merge", 1, None),
    ("min", 1, Some(1)),
    ("min_by", 2, Some(2)),
    ("not_null", 1, None),
    ("reverse", 1, Some(1)),
    ("sort", 1, Some(1)),
    ("sort_by", 2, Some(2)),
    ("starts_with", 2, Some(2)),
    ("sum", 1, Some(1)),
    ("to_array", 1, Some(1)),
    ("to_number", 1, Some(1)),
    ("to_string", 1, Some(1)),
    ("type", 1, Some(1)),
    ("values", 1, Some(1)),
];

/// Calls a function; its arguments are evaluated on the current value.
pub fn call(name: &str, args: &[Node], current: &Value) -> Found {
    let Some((_, least, most)) = FUNCTIONS.iter().find(|(known, _, _)| *known == name) else {
        return Err(format!("there is no function {name}()"));
    };
    if args.len() < *least || most.is_some_and(|most| args.len() > most) {
        return Err(format!(
            "{name}() takes {least} arguments, not {}",
            args.len()
        ));
    }
    if let Some(at) = args
        .iter()
        .position(|arg| matches!(arg, Node::Reference(_)))
    {
        let expected = usize::from(name != "map");
        let Node::Reference(each) = &args[at] else {
            return Ok(Value::None);
        };
        if !matches!(name, "map" | "sort_by" | "max_by" | "min_by") || at != expected {
            return Err(format!("{name}() takes no `&…` there"));
        }
        let list = eval(&args[1 - at], current)?;
        return by(name, each, &list);
    }
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        values.push(eval(arg, current)?);
    }
    plain(name, &values)
}

fn refused(name: &str, value: &Value, wanted: &str) -> String {
    format!(
        "{name}() takes {wanted}, not {} ({})",
        kind(value),
        value.repr()
    )
}

/// The name of a value's type, as `type()` gives it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Undefined(_) | Value::None => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) | Value::Tuple(_) => "array",
        Value::Dict(_) => "object",
        Value::Object(object) if object.keys().is_some() => "object",
        Value::Object(_) => "array",
    }
}

fn list_of(name: &str, value: &Value) -> Result<Vec<Value>, String> {
    items(value).ok_or_else(|| refused(name, value, "an array"))
}

fn text<'v>(name: &str, value: &'v Value) -> Result<&'v str, String> {
    value
        .as_str()
        .ok_or_else(|| refused(name, value, "a string"))
}

/// The functions that apply an expression to each item.
fn by(name: &str, each: &Node, list: &Value) -> Found {
    let list = list_of(name, list)?;
    let mut pairs = Vec::with_capacity(list.len());
    for item in list {
        pairs.push((eval(each, &item)?, item));
    }
    if name == "map" {
        return Ok(Value::list(
            pairs.into_iter().map(|(found, _)| found).collect(),
        ));
    }
    let keys: Vec<Value> = pairs.iter().map(|(key, _)| key.clone()).collect();
    one_kind(name, &keys)?;
    let mut order: Vec<Value> = (0i64..).take(keys.len()).map(Value::Int).collect();
    let key_of =
        |at: &Value| Ok(keys[usize::try_from(at.as_int().unwrap_or(0)).unwrap_or(0)].clone());
    sort(&mut order, key_of, name == "max_by").map_err(|error| error.message)?;
    let sorted = order.iter().filter_map(|at| {
        let at = usize::try_from(at.as_int()?).ok()?;
        pairs.get(at).map(|(_, item)| item.clone())
    });
    let mut sorted = sorted.collect::<Vec<_>>();
    Ok(match name {
        "sort_by" => Value::list(sorted),
        _ if sorted.is_empty() => Value::None,
        _ => sorted.swap_remove(0),
    })
}

/// All numbers, or all strings.
fn one_kind(name: &str, values: &[Value]) -> Result<(), String> {
    let numbers = values.iter().filter(|value| is_number(value)).count();
    let strings = values
        .iter()
        .filter(|value| value.as_str().is_some())
        .count();
    if numbers == values.len() || strings == values.len() {
        return Ok(());
    }
    let other = values
        .iter()
        .find(|value| !is_number(value) && value.as_str().is_none());
    Err(refused(
        name,
        other.unwrap_or(&values[0]),
        "numbers only or strings only",
    ))
}

fn plain(name: &str, args: &[Value]) -> Found {
    let value = &args[0];
    let number = || match is_number(value) {
        true => Ok(value.to_float().unwrap_or(f64::NAN)),
        false => Err(refused(name, value, "a number")),
    };
    let whole = |found: f64| {
        num_traits::FromPrimitive::from_f64(found).map_or(Value::Float(found), Value::integer)
    };
    Ok(match name {
        "abs" if matches!(value, Value::Float(_)) => Value::Float(number()?.abs()),
        "abs" if number()? < 0.0 => {
            crate::content::value::neg(value).map_err(|mistake| mistake.message)?
        }
        "abs" => value.clone(),
        "ceil" => whole(number()?.ceil()),
        "floor" => whole(number()?.floor()),
        "contains" => match items(value) {
            Some(items) => Value::Bool(items.iter().any(|item| equal(item, &args[1]))),
            None => Value::Bool(
                args[1]
                    .as_str()
                    .is_some_and(|part| value.as_str().is_some_and(|text| text.contains(part))),
            ),
        },
        "starts_with" => Value::Bool(text(name, value)?.starts_with(text(name, &args[1])?)),
        "ends_with" => Value::Bool(text(name, value)?.ends_with(text(name, &args[1])?)),
        "join" => {
            let parts = list_of(name, &args[1])?;
            let parts: Result<Vec<&str>, _> = parts.iter().map(|part| text(name, part)).collect();
            Value::from(parts?.join(text(name, value)?))
        }
        "length" => match value.length() {
            Some(length) => Value::Int(i64::try_from(length).unwrap_or(i64::MAX)),
            None => return Err(refused(name, value, "a string, an array or an object")),
        },
        "keys" | "values" | "merge" => objects(name, args)?,
        "not_null" => args
            .iter()
            .find(|arg| !matches!(arg, Value::None))
            .cloned()
            .unwrap_or(Value::None),
        "reverse" => match value {
            Value::Str(text) => Value::from(text.text.chars().rev().collect::<String>()),
            other => Value::list(list_of(name, other)?.into_iter().rev().collect()),
        },
        "to_array" if items(value).is_some() => value.clone(),
        "to_array" => Value::list(vec![value.clone()]),
        "to_string" if value.as_str().is_some() => value.clone(),
        "to_string" => Value::from(compact(value)?),
        "to_number" => to_number(value),
        "type" => Value::from(kind(value)),
        _ => lists(name, value)?,
    })
}

fn objects(name: &str, args: &[Value]) -> Found {
    let mut merged: IndexMap<Key, Value> = IndexMap::new();
    for arg in args {
        let entries = arg.entries().filter(|_| arg.is_mapping());
        merged.extend(entries.ok_or_else(|| refused(name, arg, "objects"))?);
    }
    Ok(match name {
        "keys" => Value::list(merged.into_keys().map(|key| key.0).collect()),
        "values" => Value::list(merged.into_values().collect()),
        _ => Value::dict(merged),
    })
}

/// The functions of one list.
fn lists(name: &str, value: &Value) -> Found {
    let mut list = list_of(name, value)?;
    if matches!(name, "sum" | "avg") {
        if let Some(other) = list.iter().find(|item| !is_number(item)) {
            return Err(refused(name, other, "numbers"));
        }
        let mut total = Value::Int(0);
        for item in &list {
            total = add(&total, item).map_err(|mistake| mistake.message)?;
        }
        let count = Value::Int(i64::try_from(list.len()).unwrap_or(i64::MAX));
        return match name {
            "sum" => Ok(total),
            _ if list.is_empty() => Ok(Value::None),
            _ => div(&total, &count).map_err(|mistake| mistake.message),
        };
    }
    if list.is_empty() {
        return Ok(if name == "sort" {
            Value::list(list)
        } else {
            Value::None
        });
    }
    one_kind(name, &list)?;
    sort(&mut list, |item| Ok(item.clone()), name == "max").map_err(|error| error.message)?;
    Ok(if name == "sort" {
        Value::list(list)
    } else {
        list.swap_remove(0)
    })
}

/// JSON without blanks.
fn compact(value: &Value) -> Result<String, String> {
    let style = json::Style {
        indent: None,
        sort_keys: false,
        ensure_ascii: true,
        separators: Some((",".to_owned(), ":".to_owned())),
    };
    json::dump(value, &style).map_err(|error| error.message)
}

fn to_number(value: &Value) -> Value {
    match value {
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => value.clone(),
        Value::Str(text) => match text.text.trim().parse::<i64>() {
            Ok(whole) => Value::Int(whole),
            Err(_) => text.text.trim().parse().map_or(Value::None, Value::Float),
        },
        _ => Value::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_stand_in_order_and_are_all_known() {
        let mut names: Vec<&str> = FUNCTIONS.iter().map(|(name, _, _)| *name).collect();
        let sorted = {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted
        };
        assert_eq!(names, sorted);
        names.dedup();
        assert_eq!(names.len(), FUNCTIONS.len());
    }
}
