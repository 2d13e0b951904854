//! Methods of lists, tuples and dictionaries.

use crate::content::template::TemplateError;
use crate::content::template::eval::Outcome;
use crate::content::template::eval::args::{Args, int_of, optional_int, required};
use crate::content::value::{Dict, Key, List, Mistake, Value, index_of, read, write};
use indexmap::IndexMap;
use std::cmp::Ordering;

pub(super) const LIST: [&str; 11] = [
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];

pub(super) const DICT: [&str; 14] = [
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
    "__setitem__",
    "__getitem__",
    "__contains__",
];

/// Methods of mappings with behaviour.
pub(super) const READING: [&str; 6] = ["get", "items", "keys", "values", "copy", "__contains__"];

fn count(items: usize) -> Value {
    Value::Int(i64::try_from(items).unwrap_or(i64::MAX))
}

/// `count` and `index`.
pub(super) fn sequence(items: &[Value], name: &str, args: Args) -> Outcome {
    let [value, start, stop] = args.bind(name, ["value", "start", "stop"])?;
    let value = required(name, "value", value)?;
    if let Value::Undefined(missing) = &value {
        return Err(Mistake::undefined(missing).into());
    }
    if name == "count" {
        return Ok(count(items.iter().filter(|item| **item == value).count()));
    }
    let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { at + len } else { at }.clamp(0, len);
    let bound =
        |at: Option<i64>, default: i64| usize::try_from(at.map_or(default, place)).unwrap_or(0);
    let from = bound(optional_int("start", start)?, 0);
    let to = bound(optional_int("stop", stop)?, len);
    let found = (from..to).find(|at| items[*at] == value);
    found
        .map(count)
        .ok_or_else(|| TemplateError::new(format!("{} is not in list", value.repr())))
}

pub(super) fn list(items: &List, name: &str, args: Args) -> Outcome {
    match name {
        "append" => {
            let [value] = args.bind(name, ["object"])?;
            let value = required(name, "object", value)?;
            write(items).push(value);
        }
        "extend" => {
            let [more] = args.bind(name, ["iterable"])?;
            let more = required(name, "iterable", more)?.iterate()?;
            write(items).extend(more);
        }
        "insert" => {
            let [at, value] = args.bind(name, ["index", "object"])?;
            let at = int_of("index", &required(name, "index", at)?)?;
            let value = required(name, "object", value)?;
            let mut items = write(items);
            let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let at = if at < 0 { at + len } else { at }.clamp(0, len);
            items.insert(usize::try_from(at).unwrap_or(0), value);
        }
        "pop" => {
            let [at] = args.bind(name, ["index"])?;
            let at = optional_int("index", at)?.unwrap_or(-1);
            let mut items = write(items);
            if items.is_empty() {
                return Err(TemplateError::new("pop from empty list"));
            }
            let at = index_of(at, items.len())
                .ok_or_else(|| TemplateError::new("pop index out of range"))?;
            return Ok(items.remove(at));
        }
        "remove" => {
            let [value] = args.bind(name, ["value"])?;
            let value = required(name, "value", value)?;
            let at = read(items).iter().position(|item| *item == value);
            let at = at.ok_or_else(|| TemplateError::new("list.remove(x): x not in list"))?;
            write(items).remove(at);
        }
        "clear" => {
            args.none(name)?;
            write(items).clear();
        }
        "reverse" => {
            args.none(name)?;
            write(items).reverse();
        }
        "sort" => {
            let [reverse] = args.bind(name, ["reverse"])?;
            let mut sorted = read(items).clone();
            sort(
                &mut sorted,
                |item| Ok(item.clone()),
                reverse.is_some_and(|r| r.truthy()),
            )?;
            *write(items) = sorted;
        }
        "copy" => {
            args.none(name)?;
            return Ok(Value::list(read(items).clone()));
        }
        _ => {
            let items = read(items).clone();
            return sequence(&items, name, args);
        }
    }
    Ok(Value::None)
}

/// Sorts by a key, stably; values that have no order are an error.
pub fn sort(
    items: &mut Vec<Value>,
    mut key: impl FnMut(&Value) -> Outcome,
    reverse: bool,
) -> Outcome<()> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        keyed.push((key(&item)?, item));
    }
    let mut mistake: Option<Mistake> = None;
    let mut order = |one: &Value, other: &Value| match one.order(other) {
        Ok(order) => order,
        Err(error) => {
            mistake.get_or_insert(error);
            Ordering::Equal
        }
    };
    if reverse {
        keyed.sort_by(|one, other| order(&other.0, &one.0));
    } else {
        keyed.sort_by(|one, other| order(&one.0, &other.0));
    }
    items.extend(keyed.into_iter().map(|(_, item)| item));
    match mistake {
        Some(mistake) => Err(mistake.into()),
        None => Ok(()),
    }
}

pub(super) fn dict(entries: &Dict, name: &str, args: Args) -> Outcome {
    match name {
        "update" => update(entries, args),
        "pop" => {
            let [key, default] = args.bind(name, ["key", "default"])?;
            let key = Key::of(&required(name, "key", key)?)?;
            let found = write(entries).shift_remove(&key);
            found.or(default).ok_or_else(|| missing(&key))
        }
        "popitem" => {
            args.none(name)?;
            match write(entries).pop() {
                Some((key, value)) => Ok(Value::tuple(vec![key.0, value])),
                None => Err(TemplateError::new("popitem(): dictionary is empty")),
            }
        }
        "setdefault" => {
            let [key, default] = args.bind(name, ["key", "default"])?;
            let key = Key::of(&required(name, "key", key)?)?;
            let default = default.unwrap_or(Value::None);
            Ok(write(entries).entry(key).or_insert(default).clone())
        }
        "__setitem__" => {
            let [key, value] = args.bind(name, ["key", "value"])?;
            let key = Key::of(&required(name, "key", key)?)?;
            let value = required(name, "value", value)?;
            write(entries).insert(key, value);
            Ok(Value::None)
        }
        "clear" => {
            args.none(name)?;
            write(entries).clear();
            Ok(Value::None)
        }
        "fromkeys" => {
            let [keys, value] = args.bind(name, ["iterable", "value"])?;
            let value = value.unwrap_or(Value::None);
            let mut made = IndexMap::new();
            for key in required(name, "iterable", keys)?.iterate()? {
                made.insert(Key::of(&key)?, value.clone());
            }
            Ok(Value::dict(made))
        }
        "get" | "__getitem__" => {
            let [key, default] = args.bind(name, ["key", "default"])?;
            let key = Key::of(&required(name, "key", key)?)?;
            let found = read(entries).get(&key).cloned();
            match found {
                Some(found) => Ok(found),
                None if name == "get" => Ok(default.unwrap_or(Value::None)),
                None => Err(missing(&key)),
            }
        }
        _ => {
            let entries = read(entries).clone();
            read_only(&entries, name, args)
        }
    }
}

fn missing(key: &Key) -> TemplateError {
    TemplateError::new(format!("the dictionary has no key {}", key.0.repr()))
}

fn update(entries: &Dict, args: Args) -> Outcome {
    let mut new = IndexMap::new();
    for given in &args.positional {
        new.extend(pairs(given)?);
    }
    for (name, value) in args.named {
        new.insert(Key::text(name), value);
    }
    write(entries).extend(new);
    Ok(Value::None)
}

/// A mapping's entries, or those of a list of pairs.
pub fn pairs(value: &Value) -> Outcome<IndexMap<Key, Value>> {
    if let Some(entries) = value.entries() {
        return Ok(entries);
    }
    let mut entries = IndexMap::new();
    for (at, pair) in value.iterate()?.iter().enumerate() {
        let pair = pair.iterate()?;
        let [key, value] = pair.as_slice() else {
            return Err(TemplateError::new(format!(
                "dictionary update sequence element #{at} has length {}; 2 is required",
                pair.len()
            )));
        };
        entries.insert(Key::of(key)?, value.clone());
    }
    Ok(entries)
}

/// Methods that only read.
pub(super) fn read_only(entries: &IndexMap<Key, Value>, name: &str, args: Args) -> Outcome {
    if matches!(name, "get" | "__contains__") {
        let [key, default] = args.bind(name, ["key", "default"])?;
        let key = Key::of(&required(name, "key", key)?)?;
        let found = entries.get(&key).cloned();
        return Ok(if name == "get" {
            found.or(default).unwrap_or(Value::None)
        } else {
            Value::Bool(found.is_some())
        });
    }
    args.none(name)?;
    Ok(match name {
        "items" => Value::list(
            entries
                .iter()
                .map(|(key, value)| Value::tuple(vec![key.0.clone(), value.clone()]))
                .collect(),
        ),
        "keys" => Value::list(entries.keys().map(|key| key.0.clone()).collect()),
        "values" => Value::list(entries.values().cloned().collect()),
        _ => Value::dict(entries.clone()),
    })
}
