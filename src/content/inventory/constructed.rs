//! The inventory plugin `constructed`: variables and groups made from the variables of the hosts that other sources
//! named before.

use super::graph::Graph;
use super::{Inventory, Var, VarFiles, Vars};
use crate::content::place::{Fault, Place};
use crate::content::template::{Scope, Templar, TemplateSettings};
use crate::content::value::{Value, read as items_of};
use crate::content::yaml::Node;
use std::sync::Arc;

/// What a file of the plugin says.
pub struct Rules {
    place: Place,
    compose: Vec<(String, String)>,
    groups: Vec<(String, Value)>,
    keyed: Vec<Keyed>,
    /// Expressions that fail are faults.
    strict: bool,
    leading_separator: bool,
    vars_files: bool,
}

struct Keyed {
    key: String,
    prefix: String,
    separator: String,
    parent: Option<String>,
    default: Option<String>,
    trailing_separator: bool,
}

/// True for a file of this plugin.
pub fn is_ours(plugin: &str) -> bool {
    matches!(plugin, "constructed" | "ansible.builtin.constructed")
}

/// Reads a file of the plugin.
pub fn rules(root: &Node) -> Result<Rules, Fault> {
    let flag = |name: &str, default| {
        root.get(name)
            .map_or(default, |node| node.as_bool() == Some(true))
    };
    let pairs = |name: &str| -> Result<Vec<(String, Value)>, Fault> {
        let entries = root.get(name).and_then(Node::as_map).unwrap_or_default();
        let pair = |(key, value): &(Node, Node)| Ok((text(key)?, value.value()?));
        entries.iter().map(pair).collect()
    };
    let compose = pairs("compose")?;
    let keyed = root
        .get("keyed_groups")
        .and_then(Node::as_seq)
        .unwrap_or_default();
    Ok(Rules {
        place: root.place.clone(),
        compose: compose
            .into_iter()
            .map(|(name, value)| (name, value.to_text()))
            .collect(),
        groups: pairs("groups")?,
        keyed: keyed.iter().map(keyed_group).collect::<Result<_, _>>()?,
        strict: flag("strict", false),
        leading_separator: flag("leading_separator", true),
        vars_files: flag("use_vars_plugins", false),
    })
}

fn text(node: &Node) -> Result<String, Fault> {
    Ok(node.value()?.to_text())
}

fn keyed_group(node: &Node) -> Result<Keyed, Fault> {
    let of = |name: &str| {
        node.get(name)
            .filter(|node| !node.is_null())
            .map(text)
            .transpose()
    };
    let key = of("key")?
        .ok_or_else(|| Fault::new("an entry of keyed_groups needs `key:`").at(&node.place))?;
    Ok(Keyed {
        key,
        prefix: of("prefix")?.unwrap_or_default(),
        separator: of("separator")?.unwrap_or_else(|| "_".to_owned()),
        parent: of("parent_group")?,
        default: of("default_value")?,
        trailing_separator: node.get("trailing_separator").and_then(Node::as_bool) != Some(false),
    })
}

struct Known(Vars);

impl Scope for Known {
    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).map(|var| var.value.clone())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Applies rules to all hosts that are known so far. Variables of `all` count for hosts of groups that a source put
/// below `all`: Ansible puts the others there when it has read all sources.
pub fn apply(
    inventory: &mut Inventory,
    rules: &Rules,
    beside: Option<VarFiles>,
) -> Result<(), Fault> {
    inventory.depths = inventory.graph.depths();
    let mut seen = inventory.clone();
    if let Some(files) = beside.filter(|_| rules.vars_files) {
        seen.beside_sources.push(files);
        seen.refresh()?;
    }
    let mut apart = seen.clone();
    if let Some(all) = apart.graph.groups.get_mut("all") {
        all.vars.clear();
    }
    let hosts: Vec<_> = inventory.graph.hosts.keys().cloned().collect();
    for host in hosts {
        let below_all = seen.graph.groups_of(&host).contains("all");
        let mut vars = if below_all { &seen } else { &apart }.vars(&host);
        for (name, expression) in &rules.compose {
            let Some(value) = rules.ask(&inventory.settings, &vars, |templar| {
                templar.render_text(&braced(expression))
            })?
            else {
                continue;
            };
            let var = Var {
                value,
                place: rules.place.clone(),
            };
            vars.insert(name.clone(), var.clone());
            if let Some(host) = inventory.graph.hosts.get_mut(&host) {
                host.vars.insert(name.clone(), var);
            }
        }
        for (name, condition) in &rules.groups {
            let wanted = match condition {
                Value::Str(_) => rules.ask(&inventory.settings, &vars, |templar| {
                    templar.condition(condition)
                })?,
                other => Some(other.truthy()),
            };
            if wanted == Some(true) {
                join(&mut inventory.graph, &safe(name), &host, &rules.place);
            }
        }
        for keyed in &rules.keyed {
            let key = rules.ask(&inventory.settings, &vars, |templar| {
                templar.render_text(&braced(&keyed.key))
            })?;
            if let Some(strange) = key.as_ref().filter(|key| !names_groups(key)) {
                return Err(Fault::new(format!(
                    "a key of keyed_groups gives text, a list or a dictionary, not {}",
                    strange.type_name()
                ))
                .at(&rules.place)
                .hint(format!("write `{} | string`", keyed.key)));
            }
            for bare in keyed.names(key.as_ref()) {
                let separator = if keyed.prefix.is_empty() && !rules.leading_separator {
                    ""
                } else {
                    &keyed.separator
                };
                let group = safe(&format!("{}{separator}{bare}", keyed.prefix));
                join(&mut inventory.graph, &group, &host, &rules.place);
                if let Some(parent) = &keyed.parent {
                    let parent = rules.ask(&inventory.settings, &vars, |templar| {
                        templar.render(&Value::from(parent.as_str()))
                    })?;
                    let parent = safe(&parent.map(|parent| parent.to_text()).unwrap_or_default());
                    inventory.graph.add_group(&parent);
                    inventory.graph.add_child(&parent, &group, &rules.place)?;
                }
            }
        }
    }
    Ok(())
}

/// An expression as a template: its value gets the type that Ansible gives what it rendered.
fn braced(expression: &str) -> String {
    format!("{{{{ {expression} }}}}")
}

fn join(graph: &mut Graph, group: &str, host: &str, place: &Place) {
    graph.add_group(group);
    graph.add_host(host, group, place);
}

impl Rules {
    /// An answer of the variables; none where an expression fails and nobody is strict.
    fn ask<T>(
        &self,
        settings: &super::Settings,
        vars: &Vars,
        question: impl FnOnce(&Templar) -> Result<T, crate::content::template::TemplateError>,
    ) -> Result<Option<T>, Fault>
    where
        T: Answer,
    {
        let template = TemplateSettings {
            vault: Arc::clone(&settings.vault),
            ..TemplateSettings::default()
        };
        let templar = Templar::new(Arc::new(Known(vars.clone())), Arc::new(template));
        match question(&templar) {
            Ok(answer) if answer.is_there() => Ok(Some(answer)),
            Err(error) if self.strict => Err(Fault::from(error).at(&self.place)),
            Ok(_) if self.strict => {
                Err(Fault::new("an expression of this inventory is undefined").at(&self.place))
            }
            _ => Ok(None),
        }
    }
}

/// What a question may bring.
trait Answer {
    fn is_there(&self) -> bool;
}

impl Answer for Value {
    fn is_there(&self) -> bool {
        !self.is_undefined()
    }
}

impl Answer for bool {
    fn is_there(&self) -> bool {
        true
    }
}

/// True for what can be names of groups, and for what is false and names none.
fn names_groups(key: &Value) -> bool {
    matches!(key, Value::Str(_) | Value::List(_) | Value::Dict(_)) || !key.truthy()
}

impl Keyed {
    /// The names that a key gives, without prefix: text, a list of them, or a mapping of names and values.
    fn names(&self, key: Option<&Value>) -> Vec<String> {
        let or_default = |name: String| {
            if name.is_empty() {
                self.default.clone()
            } else {
                Some(name)
            }
        };
        match key {
            Some(Value::Str(text)) => or_default(text.text.to_string()).into_iter().collect(),
            Some(Value::List(items)) => {
                let items = items_of(items).clone();
                items
                    .iter()
                    .filter_map(|item| or_default(item.to_text()))
                    .collect()
            }
            Some(Value::Dict(entries)) => {
                let entries = items_of(entries).clone();
                let name = |(key, value): (&crate::content::value::Key, &Value)| {
                    let (key, value) = (key.0.to_text(), value.to_text());
                    match &self.default {
                        Some(default) if value.is_empty() => {
                            format!("{key}{}{default}", self.separator)
                        }
                        None if value.is_empty() && !self.trailing_separator => key,
                        _ => format!("{key}{}{value}", self.separator),
                    }
                };
                entries.iter().map(name).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The name of a group with all that isn't a letter, a digit or an underscore replaced, a digit at its start too.
fn safe(name: &str) -> String {
    let replaced = |(at, letter): (usize, char)| {
        let bad = !(letter.is_alphanumeric() || letter == '_') || at == 0 && letter.is_numeric();
        if bad { '_' } else { letter }
    };
    name.chars().enumerate().map(replaced).collect()
}
