//! `-e`: variables above all others, in the forms that ansible-playbook takes.

use super::context::Context;
use super::failure::{Failure, Kind};
use crate::content::place::Fault;
use crate::content::value::{Value, merged};
use crate::content::{playbook, yaml};
use indexmap::IndexMap;
use std::path::Path;
use std::sync::Arc;

/// Later ones win. `@FILE` reads YAML or JSON; text that begins with `{` or `[` is YAML; anything else is `k=v k2="v 2"`,
/// and no path.
pub(super) fn parse(
    typed: &[String],
    context: &Context,
) -> Result<IndexMap<String, Value>, Failure> {
    let mut vars: IndexMap<String, Value> = IndexMap::new();
    let merge = context.merge_hashes();
    let mut add = |more: IndexMap<String, Value>| {
        for (name, value) in more {
            let value = match vars.get(&name) {
                Some(known) if merge => merged(known, &value),
                _ => value,
            };
            vars.insert(name, value);
        }
    };
    for text in typed {
        if let Some(path) = text.strip_prefix('@') {
            let path = context.path(Path::new(path));
            let unreadable = |error: &dyn std::fmt::Display| {
                let path = path.display();
                let message = format!("extra variables can't be read: {path}: {error}");
                Failure::new(Kind::Error, message)
            };
            let bytes = context.keyring().read(&path);
            let bytes = bytes.map_err(|error| unreadable(&error))??;
            let content =
                String::from_utf8(bytes).map_err(|_| unreadable(&"it isn't UTF-8 text"))?;
            add(mapping(&content, &path)?);
        } else if text.trim_start().starts_with(['{', '[']) {
            add(mapping(text, Path::new("-e"))?);
        } else if text.starts_with(['/', '.']) {
            let message = format!("Please prepend extra_vars filename '{text}' with '@'");
            return Err(Failure::new(Kind::Refused, message));
        } else {
            add(pairs(text)?);
        }
    }
    Ok(vars)
}

fn mapping(text: &str, file: &Path) -> Result<IndexMap<String, Value>, Failure> {
    let file: Arc<Path> = Arc::from(file);
    let mut vars = IndexMap::new();
    for node in yaml::parse(text, &file)? {
        let Some(entries) = node.as_map() else {
            let wrong = "extra variables must be a mapping of names to values";
            return Err(Failure::new(Kind::Refused, wrong)
                .hint("write them as {\"name\": \"value\"} or name=value"));
        };
        for (key, value) in entries {
            let name = key
                .as_str()
                .ok_or_else(|| Fault::new("the name of a variable must be text").at(&key.place))?;
            vars.insert(name.to_owned(), value.value()?);
        }
    }
    Ok(vars)
}

fn pairs(text: &str) -> Result<IndexMap<String, Value>, Failure> {
    let wrong = |message: String| {
        Failure::new(Kind::Input, format!("-e {text:?}: {message}"))
            .hint("write name=value, JSON, YAML, or @FILE")
    };
    let line = playbook::kv::split(text, false).map_err(wrong)?;
    // Words without `=` are passed over, as Ansible does.
    Ok(line
        .options
        .into_iter()
        .map(|(name, value)| (name, Value::from(value)))
        .collect())
}
