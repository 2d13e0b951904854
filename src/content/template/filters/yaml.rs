//! Filters of YAML: thin calls of the room that reads and writes it.

use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, optional_int, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use crate::content::yaml::{self, Style};
use std::path::Path;
use std::sync::Arc;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "to_yaml",
        to_yaml,
        ("{'b': [1], 'a': 'x'} | to_yaml", "'a: x\\nb: [1]\\n'"),
    ),
    filter(
        "to_nice_yaml",
        to_nice_yaml,
        (
            "{'a': [1, 'yes']} | to_nice_yaml(indent=2)",
            "\"a:\\n- 1\\n- 'yes'\\n\"",
        ),
    ),
    filter(
        "from_yaml",
        from_yaml,
        ("'a: [1, yes]' | from_yaml", "{'a': [1, True]}"),
    ),
    filter(
        "from_yaml_all",
        from_yaml_all,
        (
            "'a: 1\\n---\\nb: 2\\n' | from_yaml_all",
            "[{'a': 1}, {'b': 2}]",
        ),
    ),
];

fn style(mut style: Style, mut args: Args) -> Outcome<Style> {
    if style.flow == Some(false) && !args.positional.is_empty() {
        args.named
            .push(("indent".into(), args.positional.remove(0)));
    }
    let small = |value: Option<i64>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
    if let Some(indent) = args.take("indent") {
        style.indent = small(optional_int("indent", Some(indent))?);
    }
    if let Some(width) = args.take("width") {
        // `inf` never folds.
        style.width = match width {
            Value::Float(width) if width.is_infinite() => Some(-1),
            width => small(optional_int("width", Some(width))?),
        };
    }
    style.sort_keys = args.take_flag("sort_keys", style.sort_keys);
    match args.take("default_flow_style") {
        None => {}
        Some(Value::None) => style.flow = None,
        Some(flow) => style.flow = Some(flow.truthy()),
    }
    if let Some(scalars) = args.take("default_style").filter(|style| style.truthy()) {
        style.scalars = text_of(&scalars)?.chars().next();
    }
    style.explicit_start = args.take_flag("explicit_start", false);
    style.explicit_end = args.take_flag("explicit_end", false);
    for ignored in ["allow_unicode", "line_break", "encoding", "canonical"] {
        args.take(ignored);
    }
    args.no_more_names(
        "to_yaml",
        &[
            "indent",
            "width",
            "sort_keys",
            "default_flow_style",
            "default_style",
            "explicit_start",
            "explicit_end",
        ],
    )?;
    Ok(style)
}

fn dump(value: &Value, style: &Style) -> Outcome {
    // Ansible's variables are copies, so one container that two variables share isn't written as an alias.
    let text = yaml::dump(&value.deep_copy(), style)
        .map_err(|fault| TemplateError::new(format!("to_yaml - {}", fault.message)))?;
    Ok(like(value, text))
}

fn to_yaml(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    dump(value, &style(Style::YAML, args)?)
}

fn to_nice_yaml(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    dump(value, &style(Style::NICE, args)?)
}

fn documents(value: &Value) -> Outcome<Vec<Value>> {
    let file: Arc<Path> = Arc::from(Path::new("from_yaml"));
    let wrong = |fault: crate::content::place::Fault| {
        let place = fault.place.map_or(String::new(), |place| {
            format!(" (line {}, column {})", place.line, place.column)
        });
        TemplateError::new(format!("from_yaml: {}{place}", fault.message))
    };
    let nodes = yaml::parse(&text_of(value)?, &file).map_err(wrong)?;
    let trusted = !value.holds_untrusted();
    let mut found = Vec::with_capacity(nodes.len());
    for node in nodes {
        let document = node.value().map_err(wrong)?;
        found.push(if trusted {
            document
        } else {
            document.distrusted()
        });
    }
    Ok(found)
}

fn from_yaml(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("from_yaml")?;
    if !matches!(value, Value::Str(_)) {
        return Ok(value.clone());
    }
    let mut found = documents(value)?;
    match found.len() {
        0 => Ok(Value::None),
        1 => Ok(found.remove(0)),
        _ => Err(
            TemplateError::new("from_yaml: expected a single document, but found several")
                .hint("Use `from_yaml_all`."),
        ),
    }
}

fn from_yaml_all(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("from_yaml_all")?;
    if !matches!(value, Value::Str(_)) {
        return Ok(value.clone());
    }
    Ok(Value::list(documents(value)?))
}
