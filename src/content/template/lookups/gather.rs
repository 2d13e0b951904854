//! Lookups that put values together: `merge_variables`, `dependent`, and those that are filters too.

use super::words;
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::template::filters::{self, Flags, Pattern};
use crate::content::template::syntax;
use crate::content::value::{Key, Value};
use indexmap::IndexMap;

/// How names of variables are compared with what is looked for.
enum Kind {
    Prefix,
    Suffix,
    Regex,
}

/// All variables whose names fit, merged in the order of their names.
pub(super) fn merge_variables(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let initial = args
        .take("initial_value")
        .filter(|value| !matches!(value, Value::None));
    let strict = match args
        .take("override")
        .map(|value| value.to_text())
        .as_deref()
    {
        None | Some("error") => true,
        Some("warn" | "ignore") => false,
        Some(other) => {
            return Err(TemplateError::new(format!(
                "merge_variables: override is error, warn or ignore, not {other}"
            )));
        }
    };
    let kind = match args
        .take("pattern_type")
        .map(|kind| kind.to_text())
        .as_deref()
    {
        None | Some("regex") => Kind::Regex,
        Some("prefix") => Kind::Prefix,
        Some("suffix") => Kind::Suffix,
        Some(other) => {
            return Err(TemplateError::new(format!(
                "merge_variables: pattern_type is prefix, suffix or regex, not {other}"
            )));
        }
    };
    let groups = args.take("groups").filter(Value::truthy);
    args.no_more_names(
        "merge_variables",
        &["initial_value", "override", "pattern_type", "groups"],
    )?;
    let mut found = Vec::new();
    for term in words(args)? {
        let mut merged = initial.clone();
        for (name, value) in fitting(interp, &term, &kind, groups.as_ref())? {
            merged = Some(match merged {
                None => value,
                Some(known) => together(&name, &known, &value, strict)?,
            });
        }
        found.push(merged.unwrap_or(Value::None));
    }
    Ok(found)
}

/// Variables whose names fit, with their values; of other hosts too where groups are named.
fn fitting(
    interp: &mut Interp,
    term: &str,
    kind: &Kind,
    groups: Option<&Value>,
) -> Outcome<Vec<(String, Value)>> {
    let pattern = match kind {
        Kind::Regex => Some(Pattern::new(term, Flags::default())?),
        _ => None,
    };
    let fits = |name: &str| -> Outcome<bool> {
        Ok(match (kind, &pattern) {
            (Kind::Prefix, _) => name.starts_with(term),
            (Kind::Suffix, _) => name.ends_with(term),
            (Kind::Regex, Some(pattern)) => pattern.is_found(name)?,
            (Kind::Regex, None) => false,
        })
    };
    let mut found = Vec::new();
    let Some(groups) = groups else {
        let mut names = interp.templar.names();
        names.sort_unstable();
        names.dedup();
        for name in names {
            if fits(&name)?
                && let Some(value) = interp.lookup_variable(&name)?
            {
                found.push((name, value));
            }
        }
        return Ok(found);
    };
    let (Some(hostvars), Some(all)) = (
        interp.lookup_variable("hostvars")?,
        interp.lookup_variable("groups")?,
    ) else {
        return Ok(found);
    };
    let mut hosts: Vec<Value> = Vec::new();
    for group in groups.iterate()? {
        for host in all
            .get_item(&group)
            .into_iter()
            .flat_map(|hosts| hosts.iterate())
            .flatten()
        {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    for host in hosts {
        let Some(vars) = hostvars.get_item(&host) else {
            continue;
        };
        let mut names: Vec<String> = vars.iterate()?.iter().map(Value::to_text).collect();
        names.sort_unstable();
        for name in names {
            if fits(&name)?
                && let Some(value) = vars.get(&name)
            {
                found.push((name, value));
            }
        }
    }
    Ok(found)
}

/// Dictionaries key by key, lists one after the other. `strict`: a value that would be replaced is an error.
fn together(name: &str, known: &Value, new: &Value, strict: bool) -> Outcome {
    if let (Some(low), Some(high)) = (known.entries(), new.entries()) {
        let mut all = low;
        for (key, value) in high {
            let value = match all.get(&key) {
                None => value,
                Some(old) => together(&key.0.to_text(), old, &value, strict)?,
            };
            all.insert(key, value);
        }
        return Ok(Value::dict(all));
    }
    if let (Value::List(low), Value::List(high)) = (known, new) {
        let low = crate::content::value::read(low).clone();
        let high = crate::content::value::read(high).clone();
        return Ok(Value::list([low, high].concat()));
    }
    if strict && known != new {
        return Err(TemplateError::new(format!(
            "The key '{name}' with value '{}' will be overwritten with value '{}'",
            known.to_text(),
            new.to_text()
        ))
        .hint("With override='ignore' the later one wins."));
    }
    Ok(new.clone())
}

/// Nested loops in which what an inner one goes through may depend on the item of an outer one.
pub(super) fn dependent(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    args.no_more_names("dependent", &[])?;
    let mut levels = Vec::new();
    for term in &args.positional {
        let entries = term.entries().filter(|entries| entries.len() == 1);
        let Some((name, source)) = entries.and_then(|mut entries| entries.pop()) else {
            return Err(TemplateError::new(
                "dependent: every term is a dictionary with one entry, a name and what it goes through",
            ));
        };
        levels.push((name, source));
    }
    let mut found = Vec::new();
    if !levels.is_empty() {
        deeper(interp, &levels, &IndexMap::new(), &mut found)?;
    }
    Ok(found)
}

fn deeper(
    interp: &mut Interp,
    levels: &[(Key, Value)],
    item: &IndexMap<Key, Value>,
    found: &mut Vec<Value>,
) -> Outcome<()> {
    let Some(((name, source), rest)) = levels.split_first() else {
        found.push(Value::dict(item.clone()));
        return Ok(());
    };
    let values = match source {
        Value::Str(expression) => {
            let text = format!("{{{{ {} }}}}", expression.text);
            let parsed = syntax::template(&text, &syntax::Options::default())?;
            let vars = IndexMap::from([("item".to_owned(), Value::dict(item.clone()))]);
            interp.other(&vars, &parsed, &text, true)?
        }
        other => other.clone(),
    };
    let values = match values.entries() {
        Some(entries) => entries
            .into_iter()
            .map(|(key, value)| {
                let pair = [(Key::from("key"), key.0), (Key::from("value"), value)];
                Value::dict(IndexMap::from(pair))
            })
            .collect(),
        None => values.iterate()?,
    };
    for value in values {
        let mut item = item.clone();
        item.insert(name.clone(), value);
        deeper(interp, rest, &item, found)?;
    }
    Ok(())
}

/// A filter of `ansible.utils` that is a lookup too: the value comes first.
pub(super) fn as_filter(name: &str, interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    if args.positional.is_empty() {
        let data = args.take("data").or_else(|| args.take("var"));
        args.positional.extend(data);
    }
    let args = std::mem::take(args);
    let mut positional = args.positional;
    if positional.is_empty() {
        return Err(TemplateError::new(format!("{name}: the value is missing")));
    }
    let value = positional.remove(0);
    text_of(&value)?;
    let args = Args {
        positional,
        named: args.named,
    };
    let found = filters::apply(interp, name, value, args)?;
    Ok(match &found {
        Value::List(_) => found.iterate()?,
        _ => vec![found],
    })
}
