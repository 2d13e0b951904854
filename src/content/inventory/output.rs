//! An inventory for people and programs: `--list` and `--graph`.

use super::{HostName, Inventory, Var, Vars};
use crate::content::place::Fault;
use crate::content::value::Value;
use serde_json::{Map, Value as Json};
use std::collections::HashSet;
use std::sync::Arc;

/// Variables that Ansible adds itself and that `--list` leaves out.
const INTERNAL: [&str; 5] = [
    "group_names",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
];

/// As `ansible-inventory --host`: the variables that sources and files give a host, in order of name.
pub fn host(inventory: &Inventory, name: &str) -> Json {
    let mut vars = host_vars(inventory, name);
    vars.sort_keys();
    Json::Object(vars)
}

fn host_vars(inventory: &Inventory, name: &str) -> Map<String, Json> {
    let vars = inventory.vars(name).into_iter();
    vars.filter(|(name, _)| !INTERNAL.contains(&name.as_str()))
        .map(|(name, var)| (name, json(&var.value)))
        .collect()
}

/// As `ansible-inventory --list`: `{group: {hosts, children}, …, _meta: {hostvars: {host: {…}}}}`, keys sorted, empty
/// groups left out.
pub fn list(inventory: &Inventory) -> Json {
    let mut groups = Map::new();
    let hosts = inventory.hosts();
    let known: HashSet<&HostName> = hosts.iter().collect();
    add_group(inventory, "all", &known, &mut groups);
    let mut all_vars = Map::new();
    for host in &hosts {
        let vars = host_vars(inventory, host);
        if !vars.is_empty() {
            all_vars.insert(host.to_string(), Json::Object(vars));
        }
    }
    let mut meta = Map::new();
    meta.insert("hostvars".to_owned(), Json::Object(all_vars));
    groups.insert("_meta".to_owned(), Json::Object(meta));
    let mut list = Json::Object(groups);
    list.sort_all_objects();
    list
}

fn add_group(
    inventory: &Inventory,
    name: &str,
    known: &HashSet<&HostName>,
    groups: &mut Map<String, Json>,
) {
    // The name is taken before its children, so that a group with two parents is written once.
    groups.insert(name.to_owned(), Json::Null);
    let mut group = Map::new();
    let names = |names: Vec<Arc<str>>| -> Vec<Json> {
        names.iter().map(|name| Json::from(&**name)).collect()
    };
    let mut hosts = inventory.direct_hosts(name);
    hosts.retain(|host| known.contains(host));
    if name != "all" && !hosts.is_empty() {
        group.insert("hosts".to_owned(), names(hosts).into());
    }
    let children = inventory.children(name);
    for child in &children {
        if !groups.contains_key(&**child) {
            add_group(inventory, child, known, groups);
        }
    }
    if !children.is_empty() {
        group.insert("children".to_owned(), names(children).into());
    }
    if group.is_empty() {
        groups.remove(name);
    } else {
        groups.insert(name.to_owned(), Json::Object(group));
    }
}

/// As `ansible-inventory --graph`: groups with `@`, and below each its children and then its own hosts; with `vars` each
/// host and group with its variables, as Python prints them.
pub fn graph(inventory: &Inventory, group: &str, vars: bool) -> Result<String, Fault> {
    if inventory.group_hosts(group).is_none() {
        let groups = inventory.groups();
        let near = super::nearest::nearest(group, groups.iter().map(|name| &**name), 3);
        let fault = Fault::new(format!("`{group}` isn't a group of the inventory"));
        return Err(if near.is_empty() {
            fault.hint(format!("groups: {}", groups.join(", ")))
        } else {
            fault.hint(format!("did you mean {}?", near.join(" or ")))
        });
    }
    let mut lines = Vec::new();
    draw(inventory, group, 0, vars, &mut lines);
    Ok(lines.join("\n"))
}

fn draw(inventory: &Inventory, group: &str, depth: usize, vars: bool, lines: &mut Vec<String>) {
    lines.push(line(&format!("@{group}:"), depth));
    for child in inventory.children(group) {
        draw(inventory, &child, depth + 1, vars, lines);
    }
    if group != "all" {
        for host in inventory.direct_hosts(group) {
            lines.push(line(&host, depth + 1));
            if vars {
                draw_vars(inventory.vars(&host), depth + 2, lines);
            }
        }
    }
    if vars {
        draw_vars(inventory.group_vars(group), depth + 1, lines);
    }
}

fn line(name: &str, depth: usize) -> String {
    match depth {
        0 => name.to_owned(),
        _ => format!("{}--{name}", "  |".repeat(depth)),
    }
}

fn draw_vars(vars: Vars, depth: usize, lines: &mut Vec<String>) {
    let mut vars: Vec<(String, Var)> = vars.into_iter().collect();
    vars.retain(|(name, _)| !INTERNAL.contains(&name.as_str()));
    vars.sort_by(|one, other| one.0.cmp(&other.0));
    for (name, var) in vars {
        lines.push(line(
            &format!("{{{name} = {}}}", var.value.to_text()),
            depth,
        ));
    }
}

/// A value as JSON; tuples are lists there, and keys are text.
fn json(value: &Value) -> Json {
    match value {
        Value::Undefined(_) | Value::None | Value::Object(_) => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        Value::BigInt(value) => serde_json::from_str(&value.to_string()).unwrap_or(Json::Null),
        Value::Float(value) => Json::from(*value),
        Value::Str(text) => Json::from(&*text.text),
        Value::List(items) => {
            let items = items
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            items.iter().map(json).collect()
        }
        Value::Tuple(items) => items.iter().map(json).collect(),
        Value::Dict(entries) => {
            let entries = entries
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let entries = entries.iter();
            Json::Object(
                entries
                    .map(|(key, value)| (key_text(&key.0), json(value)))
                    .collect(),
            )
        }
    }
}

/// A key as `json.dumps` writes it.
fn key_text(key: &Value) -> String {
    match key {
        Value::Str(text) => text.text.to_string(),
        other => json(other).to_string(),
    }
}
