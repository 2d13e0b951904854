//! An inventory for people and programs: `--list` and `--graph`.

use super::{HostName, Inventory, Var, Vars};
use crate::content::place::{Fault, Place};
use crate::content::value::{Key, Value};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Variables that Ansible adds itself and that `--list` leaves out.
const INTERNAL: [&str; 5] = [
    "group_names",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
];

/// How an inventory is shown.
#[derive(Default)]
pub struct Shown<'a> {
    /// Variables stand where they were written, with the group or the host (`--export`), instead of all with the host.
    pub export: bool,
    /// Only these hosts, where some were chosen.
    pub limit: Option<&'a [HostName]>,
    /// Extra variables, which every host has.
    pub extra: Option<&'a IndexMap<String, Value>>,
}

impl Shown<'_> {
    fn hosts(&self, inventory: &Inventory) -> Vec<HostName> {
        let mut hosts = inventory.hosts();
        if let Some(limit) = self.limit {
            hosts.retain(|host| limit.contains(host));
        }
        hosts
    }
}

/// As `ansible-inventory --host`: the variables of a host, in order of name.
pub fn host(inventory: &Inventory, name: &str, shown: &Shown<'_>) -> Value {
    variables(host_vars(inventory, name, shown))
}

fn host_vars(inventory: &Inventory, name: &str, shown: &Shown<'_>) -> Vars {
    let mut vars = if shown.export {
        inventory.own_vars(name)
    } else {
        inventory.vars(name)
    };
    if let (Some(extra), false) = (shown.extra, shown.export) {
        for (name, value) in extra {
            let value = value.clone();
            let place = Place::file(Path::new("-e"));
            vars.insert(name.clone(), Var { value, place });
        }
    }
    vars
}

/// Variables that people wrote, in order of name.
fn variables(vars: Vars) -> Value {
    let mut vars: Vec<(String, Var)> = vars.into_iter().collect();
    vars.retain(|(name, _)| !INTERNAL.contains(&name.as_str()));
    vars.sort_by(|one, other| one.0.cmp(&other.0));
    mapping(vars.into_iter().map(|(name, var)| (name, var.value)))
}

fn mapping(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    let entries = entries.into_iter();
    Value::dict(
        entries
            .map(|(name, value)| (Key(Value::from(name)), value))
            .collect(),
    )
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Dict(entries) if entries.read().is_ok_and(|entries| entries.is_empty()))
}

/// As `ansible-inventory --list`: `{group: {hosts, children, vars}, …, _meta: {hostvars: {host: {…}}}}`, keys sorted,
/// empty groups left out.
pub fn list(inventory: &Inventory, shown: &Shown<'_>) -> Json {
    let mut groups = Map::new();
    let hosts = shown.hosts(inventory);
    let known: HashSet<&HostName> = hosts.iter().collect();
    add_group(inventory, "all", &known, shown, &mut groups);
    let mut all_vars = Map::new();
    for name in &hosts {
        let vars = host(inventory, name, shown);
        if !is_empty(&vars) {
            all_vars.insert(name.to_string(), json(&vars));
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
    shown: &Shown<'_>,
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
            add_group(inventory, child, known, shown, groups);
        }
    }
    if !children.is_empty() {
        group.insert("children".to_owned(), names(children).into());
    }
    if let Some(vars) = exported(inventory, name, shown) {
        group.insert("vars".to_owned(), json(&vars));
    }
    if group.is_empty() {
        groups.remove(name);
    } else {
        groups.insert(name.to_owned(), Json::Object(group));
    }
}

/// The variables of a group, where they stand with it.
fn exported(inventory: &Inventory, group: &str, shown: &Shown<'_>) -> Option<Value> {
    let vars = shown
        .export
        .then(|| variables(inventory.group_vars(group)))?;
    (!is_empty(&vars)).then_some(vars)
}

/// As `ansible-inventory --list --yaml`: groups inside of their parents, as inventories in YAML are written. What occurs
/// again has its name only.
pub fn tree(inventory: &Inventory, shown: &Shown<'_>) -> Value {
    let hosts = shown.hosts(inventory);
    let mut tree = Tree {
        inventory,
        shown,
        known: hosts.iter().cloned().collect(),
        groups: HashSet::new(),
        hosts: HashSet::new(),
    };
    mapping(tree.group("all").map(|all| ("all".to_owned(), all)))
}

struct Tree<'a> {
    inventory: &'a Inventory,
    shown: &'a Shown<'a>,
    known: HashSet<HostName>,
    /// Written so far.
    groups: HashSet<Arc<str>>,
    hosts: HashSet<HostName>,
}

impl Tree<'_> {
    /// None: there is nothing in it.
    fn group(&mut self, name: &str) -> Option<Value> {
        let mut children = Vec::new();
        for child in self.inventory.children(name) {
            let inside = if self.groups.contains(&child) {
                Some(mapping([]))
            } else {
                self.group(&child)
            };
            self.groups.insert(Arc::clone(&child));
            children.extend(inside.map(|inside| (child.to_string(), inside)));
        }
        let mut hosts = Vec::new();
        if name != "all" {
            for host in self.inventory.direct_hosts(name) {
                if !self.known.contains(&host) {
                    continue;
                }
                let vars = if self.hosts.insert(Arc::clone(&host)) {
                    self::host(self.inventory, &host, self.shown)
                } else {
                    mapping([])
                };
                hosts.push((host.to_string(), vars));
            }
        }
        let parts = [
            ("children", Some(mapping(children))),
            ("hosts", Some(mapping(hosts))),
            ("vars", exported(self.inventory, name, self.shown)),
        ];
        let parts = parts.into_iter().filter_map(|(part, value)| {
            let value = value.filter(|value| !is_empty(value))?;
            Some((part.to_owned(), value))
        });
        let group = mapping(parts);
        (!is_empty(&group)).then_some(group)
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

/// A value as `json.dumps` writes it; tuples are lists there, and keys are text.
pub fn json(value: &Value) -> Json {
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
