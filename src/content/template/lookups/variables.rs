//! Lookups of variables, hosts and the environment.

use super::words;
use crate::content::template::TemplateError;
use crate::content::template::eval::args::Args;
use crate::content::template::eval::{Interp, Outcome};
use crate::content::template::filters::{Flags, Pattern};
use crate::content::value::{Mistake, Value};

/// Variables of the environment that the command was started in.
pub(super) fn env(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let default = args.take("default");
    let mut found = Vec::new();
    for name in words(args)? {
        let name = name.split_whitespace().next().unwrap_or("").to_owned();
        let value = interp.templar.settings().environment.get(&name);
        found.push(match (value, &default) {
            (Some(value), _) => Value::untrusted(value.as_str()),
            (None, Some(Value::Undefined(missing))) => {
                return Err(Mistake::undefined(missing).into());
            }
            (None, Some(default)) => default.clone(),
            (None, None) => Value::from(""),
        });
    }
    Ok(found)
}

/// Terms that have to be text.
fn settings(args: &Args) -> Outcome<Vec<String>> {
    let text = |term: &Value| match term {
        Value::Str(text) => Ok(text.text.to_string()),
        other => Err(TemplateError::new(format!(
            "Invalid setting identifier, \"{}\" is not a string, its a {}",
            other.to_text(),
            other.type_name()
        ))),
    };
    args.positional.iter().map(text).collect()
}

pub(super) fn vars(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let default = args.take("default");
    let mut found = Vec::new();
    for name in settings(args)? {
        match interp.lookup_variable(&name)? {
            Some(Value::Undefined(missing)) => match &default {
                Some(default) => found.push(default.clone()),
                None => return Err(Mistake::undefined(&missing).into()),
            },
            Some(value) => found.push(value),
            None => match &default {
                Some(default) => found.push(default.clone()),
                None => {
                    let mut error =
                        TemplateError::new(format!("No variable found with this name: {name}"));
                    error.name = Some(name);
                    return Err(error);
                }
            },
        }
    }
    Ok(found)
}

/// Settings of the run by their names in Ansible, as `DEFAULT_ROLES_PATH`.
pub(super) fn config(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let missing = args
        .take("on_missing")
        .map_or_else(|| "error".to_owned(), |missing| missing.to_text());
    let plugin = args.take("plugin_type").is_some() | args.take("plugin_name").is_some();
    if plugin {
        return Err(
            TemplateError::new("config: settings of plugins can't be asked for")
                .hint("Plugins of Ansible don't run here; ask for the variable that sets it."),
        );
    }
    if !matches!(missing.as_str(), "error" | "warn" | "skip") {
        return Err(TemplateError::new(format!(
            "\"on_missing\" must be a string and one of \"error\", \"warn\" or \"skip\", not {missing}"
        )));
    }
    let mut found = Vec::new();
    for name in words(args)? {
        match interp.templar.settings().config.get(&name) {
            Some(value) => found.push(value.clone()),
            None if missing == "error" => {
                return Err(TemplateError::new(format!("Unable to find setting {name}"))
                    .hint("Only settings that are honoured here can be asked for."));
            }
            None => {}
        }
    }
    Ok(found)
}

/// Names of variables that fit a regular expression, the variables of the weakest level first.
pub(super) fn varnames(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let names = interp.templar.names();
    let mut found = Vec::new();
    for pattern in settings(args)? {
        let pattern = Pattern::new(&pattern, Flags::default()).map_err(|error| {
            TemplateError::new(format!(
                "Unable to use \"{pattern}\" as a search parameter: {}",
                error.message
            ))
        })?;
        for name in &names {
            if pattern.is_found(name)? {
                found.push(Value::from(name.as_str()));
            }
        }
    }
    Ok(found)
}

/// Hosts of the inventory that fit a pattern of hosts and groups; with `:`, `&` and `!`.
pub(super) fn inventory_hostnames(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let groups = interp.lookup_variable("groups")?;
    let groups = groups
        .and_then(|groups| groups.entries())
        .unwrap_or_default();
    let all: Vec<Value> = groups
        .get(&crate::content::value::Key::from("all"))
        .and_then(|all| all.iterate().ok())
        .unwrap_or_default();
    let members = |name: &str| -> Outcome<Vec<Value>> {
        let pattern = glob::Pattern::new(name)
            .map_err(|error| TemplateError::new(format!("'{name}' isn't a pattern: {error}")))?;
        let mut found: Vec<Value> = Vec::new();
        for (group, hosts) in &groups {
            if pattern.matches(&group.0.to_text()) {
                found.extend(hosts.iterate()?);
            }
        }
        found.extend(
            all.iter()
                .filter(|host| pattern.matches(&host.to_text()))
                .cloned(),
        );
        Ok(found)
    };
    let mut chosen: Vec<Value> = Vec::new();
    let patterns = words(args)?.join(",");
    let parts: Vec<&str> = patterns
        .split([',', ':'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    for part in parts.iter().filter(|part| !part.starts_with(['!', '&'])) {
        for host in members(part)? {
            if !chosen.contains(&host) {
                chosen.push(host);
            }
        }
    }
    for part in parts.iter().filter(|part| part.starts_with(['!', '&'])) {
        let other = members(&part[1..])?;
        let keep = part.starts_with('&');
        chosen.retain(|host| other.contains(host) == keep);
    }
    chosen.sort_by_key(|host| all.iter().position(|known| known == host));
    Ok(chosen)
}
