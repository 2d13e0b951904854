//! Filters that keep, remove or rename keys. `ansible.utils` has them for data of any depth, `community.general` for
//! lists of dictionaries: only their full names tell them apart.

use super::regex::{Flags, Pattern};
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::Outcome;
use crate::content::template::eval::args::{Args, required, text_of};
use crate::content::value::{Key, Value};
use indexmap::IndexMap;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "keep_keys",
        |_, value, args| Keys::of("keep_keys", args)?.deep("keep_keys", value, Keys::keep),
        (
            "{'a': 1, 'b': {'a': 2, 'c': 3}} | ansible.utils.keep_keys(target=['c'])",
            "{'b': {'c': 3}}",
        ),
    ),
    filter(
        "remove_keys",
        |_, value, args| Keys::of("remove_keys", args)?.deep("remove_keys", value, Keys::remove),
        (
            "{'a': 1, 'b': {'a': 2}} | ansible.utils.remove_keys(target=['a'])",
            "{'b': {}}",
        ),
    ),
    filter(
        "replace_keys",
        |_, value, args| Keys::of("replace_keys", args)?.deep("replace_keys", value, Keys::replace),
        (
            "{'a': {'a': 1}} | ansible.utils.replace_keys(target=[{'before': 'a', 'after': 'z'}])",
            "{'z': {'z': 1}}",
        ),
    ),
    filter(
        "community.general.keep_keys",
        |_, value, args| chosen("keep_keys", value, args, true),
        (
            "[{'a': 1, 'b': 2}] | community.general.keep_keys(target=['a'])",
            "[{'a': 1}]",
        ),
    ),
    filter(
        "community.general.remove_keys",
        |_, value, args| chosen("remove_keys", value, args, false),
        (
            "[{'a': 1, 'b': 2}] | community.general.remove_keys(target=['a'])",
            "[{'b': 2}]",
        ),
    ),
    filter(
        "community.general.replace_keys",
        |_, value, args| {
            Keys::of("replace_keys", args)?.flat(value, |keys, name| {
                let found = keys.targets.iter().find(|target| target.is(name));
                Some(
                    found
                        .and_then(|target| target.after.clone())
                        .unwrap_or_else(|| name.to_owned()),
                )
            })
        },
        (
            "[{'a': 1}] | community.general.replace_keys(target=[{'before': 'a', 'after': 'b'}])",
            "[{'b': 1}]",
        ),
    ),
];

/// The keys that match, or those that don't.
fn chosen(what: &str, value: &Value, args: Args, wanted: bool) -> Outcome {
    let keep = |keys: &Keys, name: &str| (keys.matches(name) == wanted).then(|| name.to_owned());
    Keys::of(what, args)?.flat(value, keep)
}

enum How {
    Equal,
    StartsWith,
    EndsWith,
    Regex(Pattern),
}

struct Target {
    text: String,
    how: How,
    /// The new name.
    after: Option<String>,
}

impl Target {
    fn is(&self, name: &str) -> bool {
        match &self.how {
            How::Equal => name == self.text,
            How::StartsWith => name.starts_with(&self.text),
            How::EndsWith => name.ends_with(&self.text),
            How::Regex(pattern) => pattern.is_at_start(name).unwrap_or(false),
        }
    }
}

struct Keys {
    targets: Vec<Target>,
}

impl Keys {
    fn of(what: &str, args: Args) -> Outcome<Self> {
        let [target, how] = args.bind(what, ["target", "matching_parameter"])?;
        let target = required(what, "target", target)?;
        let how = how.map_or_else(|| Ok("equal".to_owned()), |how| text_of(&how))?;
        let given = match &target {
            Value::Str(_) => vec![target.clone()],
            other => other.iterate()?,
        };
        let mut targets = Vec::new();
        for item in given {
            let (text, after) = match (item.get("before"), item.get("after")) {
                (Some(before), Some(after)) if item.is_mapping() => {
                    (text_of(&before)?, Some(text_of(&after)?))
                }
                _ if what == "replace_keys" => {
                    return Err(TemplateError::new(format!(
                        "{what}: each target has `before` and `after`"
                    )));
                }
                _ => (text_of(&item)?, None),
            };
            let how = match how.as_str() {
                "equal" | "equality" => How::Equal,
                "starts_with" => How::StartsWith,
                "ends_with" => How::EndsWith,
                "regex" => How::Regex(Pattern::new(&text, Flags::default())?),
                other => {
                    return Err(TemplateError::new(format!(
                        "{what}: matching_parameter can't be '{other}'"
                    ))
                    .hint("Known: equality, starts_with, ends_with, regex."));
                }
            };
            targets.push(Target { text, how, after });
        }
        Ok(Self { targets })
    }

    fn matches(&self, name: &str) -> bool {
        self.targets.iter().any(|target| target.is(name))
    }

    /// Each dictionary of a list with new names for its keys; None drops one.
    fn flat(&self, value: &Value, rename: impl Fn(&Self, &str) -> Option<String>) -> Outcome {
        let mut found = Vec::new();
        for item in value.iterate()? {
            let Some(entries) = item.entries().filter(|_| item.is_mapping()) else {
                let shown = item.repr();
                return Err(TemplateError::new(format!(
                    "The data items must be dictionaries, not {shown}"
                )));
            };
            let mut kept = IndexMap::new();
            for (key, value) in entries {
                if let Some(name) = rename(self, &text_of(&key.0)?) {
                    kept.insert(Key::text(name), value);
                }
            }
            found.push(Value::dict(kept));
        }
        Ok(Value::list(found))
    }

    fn deep(&self, what: &str, value: &Value, run: fn(&Self, &Value) -> Outcome) -> Outcome {
        if matches!(value, Value::List(_)) || value.is_mapping() {
            return run(self, value);
        }
        Err(TemplateError::new(format!(
            "{what} takes a list or a dictionary, not {}",
            value.type_name()
        )))
    }

    fn keep(&self, value: &Value) -> Outcome {
        if let Value::List(_) = value {
            let items: Result<_, _> = value
                .iterate()?
                .iter()
                .map(|item| self.keep(item))
                .collect();
            return Ok(Value::list(items?));
        }
        let Some(entries) = value.entries().filter(|_| value.is_mapping()) else {
            return Ok(value.clone());
        };
        let mut kept = IndexMap::new();
        for (key, value) in entries {
            let nested = matches!(value, Value::List(_)) || value.is_mapping();
            let name = key.0.to_text();
            let named = self.targets.iter().any(|target| target.text == name);
            if named || (!nested && self.matches(&name)) {
                kept.insert(key, value);
            } else if nested {
                let inner = self.keep(&value)?;
                let inner = match &inner {
                    Value::List(_) if !self.targets.is_empty() => {
                        let full = inner.iterate()?.into_iter();
                        Value::list(full.filter(|item| !is_hollow(item)).collect())
                    }
                    _ => inner,
                };
                if !is_hollow(&inner) {
                    kept.insert(key, inner);
                }
            }
        }
        Ok(Value::dict(kept))
    }

    /// Without the keys; empty items of lists go, too.
    fn remove(&self, value: &Value) -> Outcome {
        if let Value::List(_) = value {
            let mut kept = Vec::new();
            for item in value.iterate()? {
                let item = self.remove(&item)?;
                if item.truthy() {
                    kept.push(item);
                }
            }
            return Ok(Value::list(kept));
        }
        let Some(entries) = value.entries().filter(|_| value.is_mapping()) else {
            return Ok(value.clone());
        };
        let mut kept = IndexMap::new();
        for (key, value) in entries {
            if !self.matches(&key.0.to_text()) {
                kept.insert(key, self.remove(&value)?);
            }
        }
        Ok(Value::dict(kept))
    }

    /// Renamed keys move to the end.
    fn replace(&self, value: &Value) -> Outcome {
        if let Value::List(_) = value {
            let items: Result<_, _> = value
                .iterate()?
                .iter()
                .map(|item| self.replace(item))
                .collect();
            return Ok(Value::list(items?));
        }
        let Some(mut entries) = value.entries().filter(|_| value.is_mapping()) else {
            return Ok(value.clone());
        };
        for target in &self.targets {
            let names: Vec<Key> = entries.keys().cloned().collect();
            for key in names {
                if target.is(&key.0.to_text())
                    && let Some(found) = entries.shift_remove(&key)
                {
                    let name = target.after.clone().unwrap_or_default();
                    entries.insert(Key::text(name), found);
                }
            }
        }
        for value in entries.values_mut() {
            *value = self.replace(value)?;
        }
        Ok(Value::dict(entries))
    }
}

/// An empty list or dictionary.
fn is_hollow(value: &Value) -> bool {
    (matches!(value, Value::List(_)) || value.is_mapping()) && !value.truthy()
}
