//! Filters of dictionaries.

use super::lists::flat;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, flag, required, text_of};
use crate::content::template::eval::{Interp, Outcome, sort};
use crate::content::value::{Key, Mistake, Value, read};
use indexmap::IndexMap;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "combine",
        combine,
        (
            "{'a': {'b': 1}} | combine({'a': {'c': 2}}, recursive=true)",
            "{'a': {'b': 1, 'c': 2}}",
        ),
    ),
    filter(
        "dict2items",
        dict2items,
        ("{'a': 1} | dict2items", "[{'key': 'a', 'value': 1}]"),
    ),
    filter(
        "items2dict",
        items2dict,
        ("[{'key': 'a', 'value': 1}] | items2dict", "{'a': 1}"),
    ),
    filter(
        "dictsort",
        dictsort,
        ("{'b': 1, 'A': 2} | dictsort", "[('A', 2), ('b', 1)]"),
    ),
    filter(
        "lists_mergeby",
        lists_mergeby,
        (
            "[{'i': 2, 'x': 1}] | lists_mergeby([{'i': 2, 'y': 3}, {'i': 1}], 'i')",
            "[{'i': 1}, {'i': 2, 'x': 1, 'y': 3}]",
        ),
    ),
    filter("items", items, ("{'a': 1} | items | list", "[('a', 1)]")),
    filter(
        "rekey_on_member",
        rekey_on_member,
        ("[{'n': 'a'}] | rekey_on_member('n')", "{'a': {'n': 'a'}}"),
    ),
    filter(
        "subelements",
        subelements,
        (
            "[{'n': 1, 'g': ['x', 'y']}] | subelements('g') | map('last') | list",
            "['x', 'y']",
        ),
    ),
];

/// How two lists under one key are merged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lists {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendRp,
    PrependRp,
}

fn combine(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let recursive = args.take_flag("recursive", false);
    let lists = lists_of(&mut args, "combine")?;
    args.no_more_names("combine", &["recursive", "list_merge"])?;
    let mut terms = vec![value.clone()];
    terms.extend(args.positional);
    let mut dicts = Vec::new();
    flat(&terms, Some(1), true, &mut dicts, 0)?;
    let mut merged: Option<IndexMap<Key, Value>> = None;
    for dict in &dicts {
        let Some(entries) = dict.entries() else {
            return Err(TemplateError::new(format!(
                "failed to combine variables, expected dicts but got a '{}': {}",
                dict.type_name(),
                dict.repr()
            )));
        };
        defined(&entries)?;
        merged = Some(match merged {
            None => entries,
            Some(low) => merge(low, entries, recursive, lists)?,
        });
    }
    Ok(Value::dict(merged.unwrap_or_default()))
}

/// The argument `list_merge`.
fn lists_of(args: &mut Args, what: &str) -> Outcome<Lists> {
    Ok(match args.take("list_merge") {
        None => Lists::Replace,
        Some(name) => match text_of(&name)?.as_str() {
            "replace" => Lists::Replace,
            "keep" => Lists::Keep,
            "append" => Lists::Append,
            "prepend" => Lists::Prepend,
            "append_rp" => Lists::AppendRp,
            "prepend_rp" => Lists::PrependRp,
            other => {
                return Err(
                    TemplateError::new(format!("{what}(): list_merge can't be '{other}'"))
                        .hint("Known: replace, keep, append, prepend, append_rp, prepend_rp."),
                );
            }
        },
    })
}

/// Lists of dictionaries in one: those with the same value under a name are merged, in order of that value.
fn lists_mergeby(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let recursive = args.take_flag("recursive", false);
    let lists = lists_of(&mut args, "lists_mergeby")?;
    args.no_more_names("lists_mergeby", &["recursive", "list_merge"])?;
    let mut terms = vec![value.clone()];
    terms.extend(args.positional);
    let index = terms.pop().filter(|_| !terms.is_empty());
    let Some(index) = index.filter(|index| matches!(index, Value::Str(_))) else {
        return Err(TemplateError::new(
            "lists_mergeby() needs lists, and the name to merge by as its last argument",
        ));
    };
    let mut items = Vec::new();
    flat(&terms, None, true, &mut items, 0)?;
    let mut found: IndexMap<Key, IndexMap<Key, Value>> = IndexMap::new();
    for item in &items {
        let Some(entries) = item.entries() else {
            return Err(TemplateError::new(format!(
                "Elements of list arguments for lists_mergeby must be dictionaries. {} is {}",
                item.repr(),
                item.type_name()
            )));
        };
        let Some(by) = entries.get(&Key(index.clone())).cloned() else {
            continue;
        };
        let low = found.shift_remove(&Key(by.clone())).unwrap_or_default();
        found.insert(Key(by), merge(low, entries, recursive, lists)?);
    }
    let mut keys: Vec<Value> = found.keys().map(|key| key.0.clone()).collect();
    sort(&mut keys, |key| Ok(key.clone()), false)?;
    let sorted = keys
        .into_iter()
        .filter_map(|key| found.get(&Key(key)).cloned());
    Ok(Value::list(sorted.map(Value::dict).collect()))
}

/// Values that are undefined can't be merged.
fn defined(entries: &IndexMap<Key, Value>) -> Outcome<()> {
    for value in entries.values() {
        match value {
            Value::Undefined(missing) => return Err(Mistake::undefined(missing).into()),
            Value::Dict(inner) => defined(&read(inner))?,
            _ => {}
        }
    }
    Ok(())
}

/// The second over the first; the second itself when they are equal, even where lists would be joined.
fn merge(
    mut low: IndexMap<Key, Value>,
    high: IndexMap<Key, Value>,
    recursive: bool,
    lists: Lists,
) -> Outcome<IndexMap<Key, Value>> {
    if low.is_empty() || low == high {
        return Ok(high);
    }
    for (key, value) in high {
        let old = low.get(&key).cloned();
        let new = match (old, &value) {
            (Some(Value::Dict(old)), Value::Dict(new)) if recursive => {
                let (old, new) = (read(&old).clone(), read(new).clone());
                Value::dict(merge(old, new, recursive, lists)?)
            }
            (Some(Value::List(old)), Value::List(new)) if lists != Lists::Replace => {
                let (old, new) = (read(&old).clone(), read(new).clone());
                Value::list(merge_lists(old, new, lists))
            }
            _ => value,
        };
        low.insert(key, new);
    }
    Ok(low)
}

fn merge_lists(old: Vec<Value>, new: Vec<Value>, lists: Lists) -> Vec<Value> {
    let without = |items: &[Value], other: &[Value]| -> Vec<Value> {
        items
            .iter()
            .filter(|item| !other.contains(item))
            .cloned()
            .collect()
    };
    match lists {
        Lists::Replace => new,
        Lists::Keep => old,
        Lists::Append => [old, new].concat(),
        Lists::Prepend => [new, old].concat(),
        Lists::AppendRp => [without(&old, &new), new].concat(),
        Lists::PrependRp => {
            let rest = without(&old, &new);
            [new, rest].concat()
        }
    }
}

fn mapping(what: &str, value: &Value) -> Outcome<IndexMap<Key, Value>> {
    value.entries().ok_or_else(|| {
        TemplateError::new(format!(
            "{what} requires a dictionary, got {} instead.",
            value.type_name()
        ))
    })
}

fn dict2items(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [key_name, value_name] = args.bind("dict2items", ["key_name", "value_name"])?;
    let key_name = key_name.unwrap_or_else(|| "key".into());
    let value_name = value_name.unwrap_or_else(|| "value".into());
    let mut out = Vec::new();
    for (key, value) in mapping("dict2items", value)? {
        let mut item = IndexMap::with_capacity(2);
        item.insert(Key::of(&key_name)?, key.0);
        item.insert(Key::of(&value_name)?, value);
        out.push(Value::dict(item));
    }
    Ok(Value::list(out))
}

fn items2dict(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [key_name, value_name] = args.bind("items2dict", ["key_name", "value_name"])?;
    let key_name = key_name.unwrap_or_else(|| "key".into());
    let value_name = value_name.unwrap_or_else(|| "value".into());
    if !matches!(value, Value::List(_) | Value::Tuple(_)) {
        return Err(TemplateError::new(format!(
            "items2dict requires a list, got {} instead.",
            value.type_name()
        )));
    }
    let mut entries = IndexMap::new();
    for item in value.iterate()? {
        match (item.get_item(&key_name), item.get_item(&value_name)) {
            (Some(key), Some(value)) => entries.insert(Key::of(&key)?, value),
            _ => {
                return Err(TemplateError::new(format!(
                    "items2dict requires each dictionary in the list to contain the keys '{}' and '{}', got {} instead.",
                    key_name.to_text(),
                    value_name.to_text(),
                    item.repr()
                )));
            }
        };
    }
    Ok(Value::dict(entries))
}

fn dictsort(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [case, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let case = flag(case.as_ref(), false)?;
    let at = match by {
        None => 0,
        Some(by) => match text_of(&by)?.as_str() {
            "key" => 0,
            "value" => 1,
            _ => {
                return Err(TemplateError::new(
                    "You can only sort by either \"key\" or \"value\"",
                ));
            }
        },
    };
    let entries = mapping("dictsort", value)?.into_iter();
    let mut items: Vec<Value> = entries
        .map(|(key, value)| Value::tuple(vec![key.0, value]))
        .collect();
    sort(
        &mut items,
        |item| {
            Ok(
                match item.get_item(&Value::Int(at)).unwrap_or(Value::None) {
                    Value::Str(text) if !case => Value::from(text.text.to_lowercase()),
                    other => other,
                },
            )
        },
        reverse.is_some_and(|reverse| reverse.truthy()),
    )?;
    Ok(Value::list(items))
}

fn items(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("items")?;
    let Some(entries) = value.entries() else {
        return Err(TemplateError::new(
            "Can only get item pairs from a mapping.",
        ));
    };
    let entries = entries.into_iter();
    Ok(Value::list(
        entries
            .map(|(key, value)| Value::tuple(vec![key.0, value]))
            .collect(),
    ))
}

fn rekey_on_member(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [key, duplicates] = args.bind("rekey_on_member", ["key", "duplicates"])?;
    let key = required("rekey_on_member", "key", key)?;
    let overwrite = match duplicates {
        None => false,
        Some(word) => match text_of(&word)?.as_str() {
            "error" => false,
            "overwrite" => true,
            other => {
                return Err(TemplateError::new(format!(
                    "duplicates parameter to rekey_on_member has unknown value: {other}"
                )));
            }
        },
    };
    let items = match value.entries() {
        Some(entries) => entries.into_values().collect(),
        None => value.iterate()?,
    };
    let mut out = IndexMap::new();
    for item in items {
        if !item.is_mapping() {
            return Err(TemplateError::new("List item is not a valid dict"));
        }
        let found = item
            .get_item(&key)
            .ok_or_else(|| TemplateError::new(format!("Key {} was not found", key.to_text())))?;
        if out.insert(Key::of(&found)?, item).is_some() && !overwrite {
            return Err(TemplateError::new(format!(
                "Key {} is not unique, cannot correctly turn into dict",
                found.to_text()
            )));
        }
    }
    Ok(Value::dict(out))
}

fn subelements(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [path, skip] = args.bind("subelements", ["subelements", "skip_missing"])?;
    let path = required("subelements", "subelements", path)?;
    let skip = flag(skip.as_ref(), false)?;
    Ok(Value::list(subelement_pairs(value, &path, skip)?))
}

/// Each element with each of its subelements, as tuples.
pub fn subelement_pairs(value: &Value, path: &Value, skip_missing: bool) -> Outcome<Vec<Value>> {
    let elements = match value.entries() {
        Some(entries) => entries.into_values().collect(),
        None if matches!(value, Value::List(_)) => value.iterate()?,
        None => {
            let message = "obj must be a list of dicts or a nested dict";
            return Err(TemplateError::new(message));
        }
    };
    let path: Vec<Value> = match path {
        Value::Str(text) => text.text.split('.').map(Value::from).collect(),
        other => other.iterate()?,
    };
    let mut out = Vec::new();
    for element in elements {
        let mut found = element.clone();
        for key in &path {
            if !found.is_mapping() {
                return Err(TemplateError::new(format!(
                    "the key {} should point to a dictionary, got {}",
                    key.to_text(),
                    found.repr()
                )));
            }
            found = match found.get_item(key) {
                Some(next) => next,
                None if skip_missing => Value::list(Vec::new()),
                None => {
                    return Err(TemplateError::new(format!(
                        "could not find {} key in iterated item {}",
                        key.repr(),
                        found.repr()
                    )));
                }
            };
            if skip_missing && found.length() == Some(0) {
                break;
            }
        }
        if !matches!(found, Value::List(_)) {
            return Err(TemplateError::new(format!(
                "the key {} should point to a list, got {}",
                Value::list(path).repr(),
                found.repr()
            )));
        }
        for item in found.iterate()? {
            out.push(Value::tuple(vec![element.clone(), item]));
        }
    }
    Ok(out)
}
