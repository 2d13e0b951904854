//! What a tree of JMESPath finds in a value.

use super::functions;
use super::parse::{Comparison, Node};
use crate::content::value::{Key, Value, slice};
use indexmap::IndexMap;

/// The items of a list; None for everything else.
pub fn items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(_) | Value::Tuple(_) => value.iterate().ok(),
        Value::Object(object) if object.keys().is_none() => object.items(),
        _ => None,
    }
}

/// Nothing, false and what is empty.
pub fn is_false(value: &Value) -> bool {
    match value {
        Value::Undefined(_) | Value::None | Value::Bool(false) => true,
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Bool(true) => false,
        other => !other.truthy(),
    }
}

/// What the tree finds; None where there is nothing.
pub fn eval(node: &Node, value: &Value) -> Result<Value, String> {
    Ok(match node {
        Node::Current => value.clone(),
        Node::Field(name) if value.is_mapping() => {
            let found = value.get_item(&Value::from(name.as_str()));
            found.unwrap_or(Value::None)
        }
        Node::Literal(literal) => literal.clone(),
        Node::Index(index) if items(value).is_some() => {
            value.get_item(&Value::Int(*index)).unwrap_or(Value::None)
        }
        Node::Slice([start, stop, step]) => match items(value) {
            Some(items) => slice(&Value::list(items), *start, *stop, *step)
                .map_err(|mistake| mistake.message)?,
            None => Value::None,
        },
        Node::Field(_) | Node::Index(_) => Value::None,
        Node::Then(base, next) => eval(next, &eval(base, value)?)?,
        Node::Each(base, each) => project(items(&eval(base, value)?), each, None)?,
        Node::EachValue(base, each) => {
            let entries = eval(base, value)?.entries();
            project(
                entries.map(|entries| entries.into_values().collect()),
                each,
                None,
            )?
        }
        Node::Filtered {
            base,
            each,
            condition,
        } => project(items(&eval(base, value)?), each, Some(condition))?,
        Node::Flat(base) => match items(&eval(base, value)?) {
            Some(found) => {
                let flat = found
                    .into_iter()
                    .flat_map(|item| items(&item).unwrap_or_else(|| vec![item]));
                Value::list(flat.collect())
            }
            None => Value::None,
        },
        Node::List(_) | Node::Object(_) if matches!(value, Value::None) => Value::None,
        Node::List(parts) => {
            let parts: Result<_, _> = parts.iter().map(|part| eval(part, value)).collect();
            Value::list(parts?)
        }
        Node::Object(parts) => {
            let mut entries = IndexMap::new();
            for (name, part) in parts {
                entries.insert(Key::from(name.as_str()), eval(part, value)?);
            }
            Value::dict(entries)
        }
        Node::Or(one, other) => {
            let found = eval(one, value)?;
            if is_false(&found) {
                eval(other, value)?
            } else {
                found
            }
        }
        Node::And(one, other) => {
            let found = eval(one, value)?;
            if is_false(&found) {
                found
            } else {
                eval(other, value)?
            }
        }
        Node::Not(inner) => Value::Bool(is_false(&eval(inner, value)?)),
        Node::Compare(comparison, one, other) => {
            compare(*comparison, &eval(one, value)?, &eval(other, value)?)
        }
        Node::Function(name, args) => functions::call(name, args, value)?,
        Node::Reference(_) => return Err("`&…` is only an argument of functions".to_owned()),
    })
}

fn project(
    found: Option<Vec<Value>>,
    each: &Node,
    condition: Option<&Node>,
) -> Result<Value, String> {
    let Some(found) = found else {
        return Ok(Value::None);
    };
    let mut kept = Vec::new();
    for item in found {
        if let Some(condition) = condition
            && is_false(&eval(condition, &item)?)
        {
            continue;
        }
        let result = eval(each, &item)?;
        if !matches!(result, Value::None) {
            kept.push(result);
        }
    }
    Ok(Value::list(kept))
}

pub fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Float(_))
}

/// Equal values; 1 isn't true here.
pub fn equal(one: &Value, other: &Value) -> bool {
    matches!(one, Value::Bool(_)) == matches!(other, Value::Bool(_)) && one == other
}

/// Orders are only between numbers, and between texts; else there is none.
fn compare(comparison: Comparison, one: &Value, other: &Value) -> Value {
    let comparable = |value: &Value| is_number(value) || value.as_str().is_some();
    match comparison {
        Comparison::Eq => return Value::Bool(equal(one, other)),
        Comparison::Ne => return Value::Bool(!equal(one, other)),
        _ if !comparable(one) || !comparable(other) => return Value::None,
        _ => {}
    }
    let Ok(Some(order)) = one.compare(other, "<") else {
        return Value::None;
    };
    Value::Bool(match comparison {
        Comparison::Lt => order.is_lt(),
        Comparison::Le => order.is_le(),
        Comparison::Gt => order.is_gt(),
        _ => order.is_ge(),
    })
}
