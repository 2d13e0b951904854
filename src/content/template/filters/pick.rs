//! Filters that go through items: map, select, sort, group.

use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, flag, optional_int, text_of, truth};
use crate::content::template::eval::{Interp, Outcome, sort as sorted};
use crate::content::template::{filters, tests};
use crate::content::value::{Key, Mistake, Value};
use indexmap::IndexMap;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "map",
        map,
        ("['a', 'b'] | map('upper') | list", "['A', 'B']"),
    ),
    filter(
        "select",
        select,
        ("[1, 2, 3] | select('odd') | list", "[1, 3]"),
    ),
    filter(
        "reject",
        reject,
        ("[1, 2, 3] | reject('odd') | list", "[2]"),
    ),
    filter(
        "selectattr",
        selectattr,
        (
            "[{'a': 1}, {'a': 2}] | selectattr('a', 'eq', 2) | list",
            "[{'a': 2}]",
        ),
    ),
    filter(
        "rejectattr",
        rejectattr,
        (
            "[{'a': 1}, {'a': 2}] | rejectattr('a', 'eq', 2) | list",
            "[{'a': 1}]",
        ),
    ),
    filter("sort", sort, ("['b', 'A', 'c'] | sort", "['A', 'b', 'c']")),
    filter("unique", unique, ("[1, 2, 1] | unique", "[1, 2]")),
    filter(
        "groupby",
        groupby,
        (
            "[{'a': 1}, {'a': 2}, {'a': 1}] | groupby('a') | map('first') | list",
            "[1, 2]",
        ),
    ),
    filter("min", min, ("[3, 1, 2] | min", "1")),
    filter("max", max, ("[3, 1, 2] | max", "3")),
    filter("attr", attr, ("{'a': 1} | attr('a')", "Undefined")),
];

/// What `attribute='a.b.0'` of an item is; the item itself without one.
pub fn attribute_of(interp: &mut Interp, item: &Value, attribute: Option<&Value>) -> Outcome {
    let path = match attribute {
        None | Some(Value::None) => return Ok(item.clone()),
        Some(Value::Int(index)) => vec![Value::Int(*index)],
        Some(other) => text_of(other)?
            .split('.')
            .map(|part| part.parse().map_or_else(|_| Value::from(part), Value::Int))
            .collect(),
    };
    let mut value = item.clone();
    for key in path {
        let shown = || format!("….{}", key.to_text());
        value = interp.item(&value, &key, shown)?;
    }
    Ok(value)
}

/// What ignores case when it is compared.
fn folded(value: Value, case_sensitive: bool) -> Value {
    match value {
        Value::Str(text) if !case_sensitive => Value::from(text.text.to_lowercase()),
        other => other,
    }
}

fn map(interp: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let attribute = if args.positional.is_empty() {
        args.take("attribute")
    } else {
        None
    };
    // Nothing and false count as empty lists.
    if !truth(value)? {
        return Ok(Value::list(Vec::new()));
    }
    let mut out = Vec::new();
    if let Some(attribute) = attribute {
        let default = args.take("default");
        args.no_more_names("map", &["attribute", "default"])?;
        for item in value.iterate()? {
            let found = attribute_of(interp, &item, Some(&attribute))?;
            out.push(match &default {
                Some(default) if found.is_undefined() => default.clone(),
                _ => found,
            });
        }
        return Ok(Value::list(out));
    }
    if args.positional.is_empty() {
        return Err(TemplateError::new("map requires a filter argument"));
    }
    let name = text_of(&args.positional.remove(0))?;
    for item in value.iterate()? {
        out.push(filters::apply(interp, &name, item, args.clone())?);
    }
    Ok(Value::list(out))
}

/// The items for which a test holds, or doesn't.
fn chosen(
    interp: &mut Interp,
    value: &Value,
    mut args: Args,
    attribute: Option<&Value>,
    wanted: bool,
) -> Outcome {
    let test = if args.positional.is_empty() {
        None
    } else {
        Some(text_of(&args.positional.remove(0))?)
    };
    if !truth(value)? {
        return Ok(Value::list(Vec::new()));
    }
    let mut out = Vec::new();
    for item in value.iterate()? {
        let subject = attribute_of(interp, &item, attribute)?;
        let holds = match &test {
            Some(test) => tests::apply(interp, test, &subject, args.clone())?,
            None => truth(&subject)?,
        };
        if holds == wanted {
            out.push(item);
        }
    }
    Ok(Value::list(out))
}

fn select(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    chosen(interp, value, args, None, true)
}

fn reject(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    chosen(interp, value, args, None, false)
}

fn by_attribute(interp: &mut Interp, value: &Value, mut args: Args, wanted: bool) -> Outcome {
    if args.positional.is_empty() {
        return Err(TemplateError::new("Missing parameter for attribute name"));
    }
    let attribute = args.positional.remove(0);
    chosen(interp, value, args, Some(&attribute), wanted)
}

fn selectattr(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    by_attribute(interp, value, args, true)
}

fn rejectattr(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    by_attribute(interp, value, args, false)
}

fn sort(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [reverse, case, attribute] =
        args.bind("sort", ["reverse", "case_sensitive", "attribute"])?;
    let case = flag(case.as_ref(), false)?;
    let reverse = flag(reverse.as_ref(), false)?;
    // `a,b.c` sorts by several.
    let attributes: Vec<Value> = match &attribute {
        None | Some(Value::None) => Vec::new(),
        Some(Value::Str(text)) => text.text.split(',').map(Value::from).collect(),
        Some(other) => vec![other.clone()],
    };
    let mut items = value.iterate()?;
    let alone = items.len() == 1;
    sorted(
        &mut items,
        |item| {
            if attributes.is_empty() {
                return Ok(folded(item.clone(), case));
            }
            let mut keys = Vec::new();
            for attribute in &attributes {
                let found = attribute_of(interp, item, Some(attribute))?;
                if let (Value::Undefined(missing), false) = (&found, alone) {
                    return Err(Mistake::undefined(missing).into());
                }
                keys.push(folded(found, case));
            }
            Ok(Value::list(keys))
        },
        reverse,
    )?;
    Ok(Value::list(items))
}

fn unique(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [case, attribute] = args.bind("unique", ["case_sensitive", "attribute"])?;
    let told = case.is_some() || attribute.is_some();
    let case = flag(case.as_ref(), false)?;
    let items = value.iterate()?;
    let mut seen = indexmap::IndexSet::new();
    let mut kept: Vec<Value> = Vec::new();
    for item in &items {
        let key = folded(attribute_of(interp, item, attribute.as_ref())?, case);
        match Key::of(&key) {
            Ok(key) => {
                if seen.insert(key) {
                    kept.push(item.clone());
                }
            }
            Err(_) if told => {
                return Err(TemplateError::new(
                    "Jinja2's unique filter failed and we cannot fall back to Ansible's version as it does not support \
                     the parameters supplied",
                ));
            }
            // What can't be a key is compared with everything, case and all.
            Err(_) => return Ok(Value::list(distinct(&items))),
        }
    }
    Ok(Value::list(kept))
}

/// Items that are different, in the order in which they came.
pub fn distinct(items: &[Value]) -> Vec<Value> {
    let keys: Result<Vec<Key>, _> = items.iter().map(Key::of).collect();
    if let Ok(keys) = keys {
        let unique: indexmap::IndexSet<Key> = keys.into_iter().collect();
        return unique.into_iter().map(|key| key.0).collect();
    }
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    kept
}

fn groupby(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [attribute, default, case] =
        args.bind("groupby", ["attribute", "default", "case_sensitive"])?;
    let case = flag(case.as_ref(), false)?;
    let mut keyed = Vec::new();
    for item in value.iterate()? {
        let mut key = attribute_of(interp, &item, attribute.as_ref())?;
        if let (true, Some(default)) = (key.is_undefined(), &default) {
            key = default.clone();
        }
        keyed.push(Value::tuple(vec![folded(key.clone(), case), key, item]));
    }
    let first = |pair: &Value| Ok(pair.get_item(&Value::Int(0)).unwrap_or(Value::None));
    sorted(&mut keyed, first, false)?;
    let mut groups: IndexMap<Key, (Value, Vec<Value>)> = IndexMap::new();
    for entry in keyed {
        let parts = entry.iterate()?;
        let [folded, key, item] = parts.as_slice() else {
            continue;
        };
        let group = groups
            .entry(Key::of(folded)?)
            .or_insert_with(|| (key.clone(), Vec::new()));
        group.1.push(item.clone());
    }
    let groups = groups.into_values();
    Ok(Value::list(
        groups
            .map(|(key, items)| Value::tuple(vec![key, Value::list(items)]))
            .collect(),
    ))
}

fn extreme(interp: &mut Interp, value: &Value, args: Args, largest: bool) -> Outcome {
    let [case, attribute] = args.bind(
        if largest { "max" } else { "min" },
        ["case_sensitive", "attribute"],
    )?;
    let case = flag(case.as_ref(), false)?;
    let mut best: Option<(Value, Value)> = None;
    for item in value.iterate()? {
        let key = folded(attribute_of(interp, &item, attribute.as_ref())?, case);
        let better = match &best {
            None => true,
            Some((known, _)) => {
                let order = key.order(known)?;
                if largest {
                    order.is_gt()
                } else {
                    order.is_lt()
                }
            }
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(
        || Value::undefined_because("", "No aggregated item, sequence was empty."),
        |(_, item)| item,
    ))
}

fn min(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    extreme(interp, value, args, false)
}

fn max(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    extreme(interp, value, args, true)
}

/// Only attributes, never items.
fn attr(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [name] = args.bind("attr", ["name"])?;
    let name = text_of(&crate::content::template::eval::args::required(
        "attr", "name", name,
    )?)?;
    Ok(interp.only_attribute(value, &name))
}

/// How many items a filter takes at a time.
pub(super) fn count_of(what: &str, value: Option<Value>, default: i64) -> Outcome<usize> {
    let count = optional_int(what, value)?.unwrap_or(default);
    usize::try_from(count)
        .ok()
        .filter(|count| *count < 1 << 24)
        .ok_or_else(|| TemplateError::new(format!("{what} can't be {count}")))
}
