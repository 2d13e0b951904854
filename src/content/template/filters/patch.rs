//! JSON patches (RFC 6902): `json_patch` and `json_patch_recipe`.

use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use serde_json::Value as Json;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "json_patch",
        json_patch,
        ("{'a': [1]} | json_patch('add', '/a/-', 2)", "{'a': [1, 2]}"),
    ),
    filter(
        "json_patch_recipe",
        json_patch_recipe,
        (
            "{'a': 1} | json_patch_recipe([{'op': 'move', 'from': '/a', 'path': '/b'}])",
            "{'b': 1}",
        ),
    ),
];

/// One operation of a patch.
struct Operation {
    op: String,
    path: String,
    from: Option<String>,
    value: Option<Json>,
}

/// Why an operation can't be done.
enum Failed {
    /// A test that doesn't hold.
    Test,
    Other(String),
}

fn json_patch(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let names = ["op", "path", "value", "from", "fail_test"];
    let [op, path, new, from, fail] = args.bind("json_patch", names)?;
    let operation = Operation {
        op: text_of(&required("json_patch", "op", op)?)?,
        path: text_of(&required("json_patch", "path", path)?)?,
        from: from
            .filter(|from| !matches!(from, Value::None))
            .map(|from| text_of(&from))
            .transpose()?,
        value: new.map(|new| new.to_json()),
    };
    let fail = fail.is_some_and(|fail| fail.truthy());
    patched("json_patch", value, &[operation], fail)
}

fn json_patch_recipe(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [operations, fail] = args.bind("json_patch_recipe", ["operations", "fail_test"])?;
    let operations = required("json_patch_recipe", "operations", operations)?;
    let mut all = Vec::new();
    for item in operations.iterate()? {
        let text = |name: &str| item.get(name).map(|text| text.to_text());
        let (Some(op), Some(path)) = (text("op"), text("path")) else {
            return Err(TemplateError::new(
                "json_patch_recipe: every operation needs `op` and `path`",
            ));
        };
        all.push(Operation {
            op,
            path,
            from: text("from"),
            value: item.get("value").map(|value| value.to_json()),
        });
    }
    let fail = fail.is_some_and(|fail| fail.truthy());
    patched("json_patch_recipe", value, &all, fail)
}

/// The value after all operations; None when a test doesn't hold and that is no failure.
fn patched(what: &str, value: &Value, operations: &[Operation], fail: bool) -> Outcome {
    let mut json = match value {
        Value::Str(text) => serde_json::from_str(&text.text)
            .map_err(|error| TemplateError::new(format!("{what}: no JSON: {error}")))?,
        other => other.to_json(),
    };
    for operation in operations {
        match apply(&mut json, operation) {
            Ok(()) => {}
            Err(Failed::Test) if !fail => return Ok(Value::None),
            Err(Failed::Test) => {
                return Err(TemplateError::new(format!(
                    "{what}: test operation on {} failed",
                    operation.path
                )));
            }
            Err(Failed::Other(why)) => return Err(TemplateError::new(format!("{what}: {why}"))),
        }
    }
    Ok(Value::from_json(&json))
}

fn apply(json: &mut Json, operation: &Operation) -> Result<(), Failed> {
    let other = |text: String| Failed::Other(text);
    let value = || {
        let value = operation.value.clone();
        value.ok_or_else(|| other(format!("the operation {} needs a value", operation.op)))
    };
    let from = || {
        let from = operation.from.as_deref();
        from.ok_or_else(|| other(format!("the operation {} needs `from`", operation.op)))
    };
    let missing = |path: &str| other(format!("nothing is at {path:?}"));
    match operation.op.as_str() {
        "add" => add(json, &operation.path, value()?),
        "remove" => remove(json, &operation.path).map(|_| ()),
        "replace" => {
            let value = value()?;
            let place = json.pointer_mut(&operation.path);
            *place.ok_or_else(|| missing(&operation.path))? = value;
            Ok(())
        }
        "move" => {
            let moved = remove(json, from()?)?;
            add(json, &operation.path, moved)
        }
        "copy" => {
            let from = from()?;
            let copied = json.pointer(from).cloned().ok_or_else(|| missing(from))?;
            add(json, &operation.path, copied)
        }
        "test" => match json.pointer(&operation.path) {
            Some(found) if *found == value()? => Ok(()),
            _ => Err(Failed::Test),
        },
        unknown => Err(other(format!(
            "there is no operation {unknown:?}: add, remove, replace, move, copy, test"
        ))),
    }
}

/// The container that the last part of a path is in, and that part.
fn parent<'j>(json: &'j mut Json, path: &str) -> Result<(&'j mut Json, String), Failed> {
    let wrong = || Failed::Other(format!("{path:?} leads nowhere"));
    let (above, last) = path.rsplit_once('/').ok_or_else(wrong)?;
    let last = last.replace("~1", "/").replace("~0", "~");
    let container = json.pointer_mut(above).ok_or_else(wrong)?;
    Ok((container, last))
}

fn add(json: &mut Json, path: &str, value: Json) -> Result<(), Failed> {
    if path.is_empty() {
        *json = value;
        return Ok(());
    }
    let (container, last) = parent(json, path)?;
    match container {
        Json::Object(entries) => {
            entries.insert(last, value);
        }
        Json::Array(items) => {
            let at = match last.as_str() {
                "-" => items.len(),
                digits => digits
                    .parse()
                    .ok()
                    .filter(|at| *at <= items.len())
                    .ok_or_else(|| Failed::Other(format!("{path:?} is outside of the list")))?,
            };
            items.insert(at, value);
        }
        _ => return Err(Failed::Other(format!("{path:?} leads nowhere"))),
    }
    Ok(())
}

fn remove(json: &mut Json, path: &str) -> Result<Json, Failed> {
    let missing = || Failed::Other(format!("nothing is at {path:?}"));
    let (container, last) = parent(json, path)?;
    match container {
        Json::Object(entries) => entries.shift_remove(&last).ok_or_else(missing),
        Json::Array(items) => {
            let at = last.parse().ok().filter(|at: &usize| *at < items.len());
            Ok(items.remove(at.ok_or_else(missing)?))
        }
        _ => Err(missing()),
    }
}
