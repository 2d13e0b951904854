//! Lookups that arrange what they are given: the loops `with_items`, `with_nested` and their like.

use super::terms;
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::template::filters;
use crate::content::value::{Key, Value, write};

/// Lists become their items, one level deep.
fn flat(items: &[Value]) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    for item in items {
        match item {
            Value::List(_) | Value::Tuple(_) => found.extend(item.iterate()?),
            other => found.push(other.clone()),
        }
    }
    Ok(found)
}

pub(super) fn items(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    flat(&terms(args))
}

pub(super) fn list(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    Ok(std::mem::take(&mut args.positional))
}

pub(super) fn flattened(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut found = std::mem::take(&mut args.positional);
    strip(&mut found)?;
    while found
        .iter()
        .any(|item| matches!(item, Value::List(_) | Value::Tuple(_)))
    {
        found = flat(&found)?;
        strip(&mut found)?;
    }
    Ok(found)
}

/// Text loses the blanks around it.
fn strip(items: &mut [Value]) -> Outcome<()> {
    for item in items {
        if let Value::Str(text) = item {
            let trimmed = text.text.trim().to_owned();
            *item = Value::Str(crate::content::value::Text::new(trimmed, text.trusted));
        }
    }
    Ok(())
}

pub(super) fn dict(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    for term in flat(&args.positional)? {
        let Some(entries) = term.entries() else {
            return Err(TemplateError::new("with_dict expects a dict"));
        };
        for (key, value) in entries {
            found.push(Value::record([("key", key.0), ("value", value)]));
        }
    }
    Ok(found)
}

pub(super) fn indexed_items(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    if let [Value::Dict(_)] = args.positional.as_slice() {
        return Err(TemplateError::new("with_indexed_items expects a list"));
    }
    let items = flat(&args.positional)?.into_iter();
    Ok((0..)
        .zip(items)
        .map(|(at, item)| Value::tuple(vec![Value::Int(at), item]))
        .collect())
}

/// Every combination of an item of each list, the last one fastest.
pub(super) fn nested(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    if args.positional.is_empty() {
        return Err(TemplateError::new(
            "with_nested requires at least one element in the nested list",
        ));
    }
    let items = |term: &Value| match term {
        Value::List(_) | Value::Tuple(_) => term.iterate(),
        single => Ok(vec![single.clone()]),
    };
    let mut rows = items(&args.positional[0])?;
    for term in &args.positional[1..] {
        let next = items(term)?;
        let mut longer = Vec::with_capacity(rows.len() * next.len());
        for row in &rows {
            for item in &next {
                longer.push(Value::list(flat(&[row.clone(), item.clone()])?));
            }
        }
        rows = longer;
    }
    // A row of a single list is what it is, text its letters.
    let last = |row: &Value| match row {
        Value::Str(_) => Ok(Value::list(row.iterate()?)),
        row => Ok(Value::list(flat(&row.iterate()?)?)),
    };
    rows.iter().map(last).collect()
}

/// The first items of all lists, the second ones, and so on; None where a list is shorter.
pub(super) fn together(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut lists = Vec::new();
    for term in &args.positional {
        lists.push(match term {
            Value::List(_) | Value::Tuple(_) | Value::Dict(_) => term.iterate()?,
            single => vec![single.clone()],
        });
    }
    if lists.is_empty() {
        return Err(TemplateError::new(
            "with_together requires at least one element in each list",
        ));
    }
    let len = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| -> Outcome {
        let row: Vec<Value> = lists
            .iter()
            .map(|list| list.get(at).cloned().unwrap_or(Value::None))
            .collect();
        flat(&row).map(Value::list)
    };
    (0..len).map(row).collect()
}

pub(super) fn subelements(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let (Some(elements), Some(path)) = (args.positional.first(), args.positional.get(1)) else {
        return Err(TemplateError::new(
            "subelements lookup expects a list of two or three items",
        ));
    };
    let flags = args.positional.get(2);
    let skip = flags
        .and_then(|flags| flags.get("skip_missing"))
        .is_some_and(|skip| skip.truthy());
    let path = text_of(path)?;
    let skipped = |of: &Value| {
        of.get("skipped")
            .is_some_and(|skipped| skipped != Value::Bool(false))
    };
    let elements = match elements {
        // What a loop registered whose items were all skipped.
        Value::Dict(_) if skipped(elements) => return Ok(Vec::new()),
        Value::Dict(_) => elements
            .entries()
            .unwrap_or_default()
            .into_values()
            .collect(),
        Value::List(_) => elements.iterate()?,
        single => vec![single.clone()],
    };
    let mut pairs = Vec::new();
    for element in elements {
        if !element.is_mapping() {
            let shown = element.to_text();
            return Err(TemplateError::new(format!(
                "subelements lookup expects a dictionary, got '{shown}'"
            )));
        }
        if skipped(&element) {
            continue;
        }
        // The element comes without the list that its items came from.
        let element = element.deep_copy();
        let items = take_out(&element, &path, skip)?;
        pairs.extend(
            items
                .into_iter()
                .map(|item| Value::tuple(vec![element.clone(), item])),
        );
    }
    Ok(pairs)
}

/// Removes the list at the end of a path from its mapping, and gives its items. With `skip` a part that is missing or
/// no mapping is passed over: the next one is looked for at the same place.
fn take_out(element: &Value, path: &str, skip: bool) -> Outcome<Vec<Value>> {
    let keys: Vec<&str> = path.split('.').collect();
    let mut inside = element.clone();
    for key in &keys {
        let Some(found) = inside.get(key) else {
            if skip {
                continue;
            }
            return Err(TemplateError::new(format!(
                "could not find '{key}' key in iterated item '{}'",
                inside.to_text()
            )));
        };
        let is_last = Some(key) == keys.last();
        match (&inside, &found) {
            (Value::Dict(entries), Value::List(_)) if is_last => {
                write(entries).shift_remove(&Key::from(*key));
                return Ok(found.iterate()?);
            }
            (_, Value::Dict(_)) if !is_last => inside = found,
            _ if skip && !is_last => {}
            _ => {
                let kind = if is_last { "list" } else { "dictionary" };
                return Err(TemplateError::new(format!(
                    "the key {key} should point to a {kind}, got '{}'",
                    found.to_text()
                )));
            }
        }
    }
    Ok(Vec::new())
}

pub(super) fn random_choice(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    if args.positional.is_empty() {
        return Ok(Vec::new());
    }
    let items = Value::list(std::mem::take(&mut args.positional));
    filters::apply(interp, "random", items, Args::default()).map(|chosen| vec![chosen])
}
