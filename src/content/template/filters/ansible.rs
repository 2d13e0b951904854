//! Filters about whether there is a value, and of what kind.

use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, flag, required, text_of, truth};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;

pub(super) const FILTERS: &[Filter] = &[
    filter("default", default, ("'' | default('x', true)", "'x'")),
    filter("bool", bool, ("'yes' | bool", "True")),
    filter("ternary", ternary, ("true | ternary('a', 'b')", "'a'")),
    filter("mandatory", mandatory, ("1 | mandatory", "1")),
    filter("type_debug", type_debug, ("[1] | type_debug", "'list'")),
    filter(
        "extract",
        extract,
        ("'a' | extract({'a': {'b': 1}}, 'b')", "1"),
    ),
];

fn default(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [other, boolean] = args.bind("default", ["default_value", "boolean"])?;
    let other = other.unwrap_or_else(|| "".into());
    let missing = value.is_undefined() || (flag(boolean.as_ref(), false)? && !value.truthy());
    Ok(if missing { other } else { value.clone() })
}

fn bool(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("bool")?;
    Ok(match value {
        Value::None | Value::Bool(_) => value.clone(),
        Value::Str(text) => {
            let word = text.text.to_lowercase();
            Value::Bool(matches!(word.as_str(), "yes" | "on" | "1" | "true"))
        }
        other => Value::Bool(*other == Value::Int(1)),
    })
}

fn ternary(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [yes, no, none] = args.bind("ternary", ["true_val", "false_val", "none_val"])?;
    let yes = required("ternary", "true_val", yes)?;
    let no = required("ternary", "false_val", no)?;
    if matches!(value, Value::None)
        && let Some(none) = none.filter(|none| !matches!(none, Value::None))
    {
        return Ok(none);
    }
    Ok(if truth(value)? { yes } else { no })
}

fn mandatory(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [message] = args.bind("mandatory", ["msg"])?;
    let Value::Undefined(missing) = value else {
        return Ok(value.clone());
    };
    let message = match message {
        Some(Value::None) | None => format!("Mandatory variable '{}' not defined.", missing.name),
        Some(message) => text_of(&message)?,
    };
    Err(TemplateError::new(message))
}

fn type_debug(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("type_debug")?;
    Ok(Value::from(match value {
        Value::Undefined(missing) if missing.lenient => "Undefined",
        Value::Undefined(_) => "AnsibleUndefined",
        Value::Str(text) if text.stays_text && text.trusted => "NativeJinjaText",
        Value::Str(text) if text.stays_text => "NativeJinjaUnsafeText",
        Value::Str(text) if !text.trusted => "AnsibleUnsafeText",
        other => other.type_name(),
    }))
}

/// The item of a container under this key, and under more keys in that.
fn extract(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [container, more] = args.bind("extract", ["container", "morekeys"])?;
    let mut found = required("extract", "container", container)?;
    let mut keys = vec![value.clone()];
    match more {
        None | Some(Value::None) => {}
        Some(Value::List(more)) => keys.extend(crate::content::value::read(&more).iter().cloned()),
        Some(more) => keys.push(more),
    }
    for key in keys {
        // What isn't there stays so, whatever is asked of it.
        if found.is_undefined() {
            break;
        }
        let shown = || format!("…[{}]", key.repr());
        found = interp.item(&found, &key, shown)?;
    }
    Ok(match &found {
        Value::Str(text) if text.trusted && value.holds_untrusted() => {
            like(value, text.text.to_string())
        }
        _ => found,
    })
}
