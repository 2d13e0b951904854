//! Containers that would hold themselves. Python has them; here they are refused, because everything that walks a
//! value ends only when the value does.

use super::Args;
use crate::content::value::{Value, read};
use std::sync::Arc;

/// True when a method would put the receiver into itself.
pub(super) fn comes(receiver: &Value, name: &str, args: &Args) -> bool {
    let takes_items = match name {
        "append" | "insert" | "setdefault" | "__setitem__" => false,
        "extend" | "update" => true,
        _ => return false,
    };
    let given = args
        .positional
        .iter()
        .chain(args.named.iter().map(|(_, value)| value));
    let mut given =
        given.filter(|value| matches!(value, Value::List(_) | Value::Dict(_) | Value::Tuple(_)));
    given.any(|value| {
        // The items of the receiver itself are there already.
        if takes_items {
            !is_same(value, receiver) && below(value, receiver)
        } else {
            holds(value, receiver)
        }
    })
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(one), Value::List(other)) => Arc::ptr_eq(one, other),
        (Value::Dict(one), Value::Dict(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

fn holds(value: &Value, receiver: &Value) -> bool {
    is_same(value, receiver) || below(value, receiver)
}

fn below(value: &Value, receiver: &Value) -> bool {
    match value {
        Value::List(items) => read(items).iter().any(|item| holds(item, receiver)),
        Value::Tuple(items) => items.iter().any(|item| holds(item, receiver)),
        Value::Dict(entries) => read(entries).values().any(|item| holds(item, receiver)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::content::template::testing::templar;

    #[test]
    fn nothing_holds_itself() {
        let templar = templar(&serde_json::json!({}));
        for (text, ends) in [
            ("{% set x = [] %}{{ x.append(x) }}", "can't hold itself"),
            (
                "{% set x = {} %}{{ x.update({'a': [x]}) }}",
                "can't hold itself",
            ),
            (
                "{% set x = [] %}{% set y = [x] %}{{ x.append((1, y)) }}",
                "can't hold itself",
            ),
        ] {
            let error = templar.render_text(text).expect_err(text);
            assert!(error.message.ends_with(ends), "{text}: {}", error.message);
        }
        let twice = templar.render_text("{% set x = [1] %}{% set _ = x.extend(x) %}{{ x }}");
        assert_eq!(twice.expect("a list takes its own items").repr(), "[1, 1]");
    }
}
