//! The YAML form of an inventory.

use super::address;
use super::reader::Reader;
use crate::content::place::Fault;
use crate::content::yaml::{Kind, Node};

/// What a group may hold.
const SECTIONS: [&str; 3] = ["hosts", "children", "vars"];

/// Adds what a YAML inventory says.
pub fn read(reader: &mut Reader, root: &Node) -> Result<(), Fault> {
    let Some(groups) = root.as_map() else {
        return Err(Fault::new(format!(
            "an inventory must be a mapping of groups, this is {}",
            root.describe()
        ))
        .at(&root.place)
        .hint("start it with `all:`, and below it `hosts:` and `children:`"));
    };
    if let Some((key, plugin)) = root.entry("plugin") {
        return Err(Fault::new(format!(
            "the inventory plugin `{}` isn't supported; `constructed` is",
            plugin.as_str().unwrap_or("plugin")
        ))
        .at(&key.place)
        .hint(
            "write the hosts into a YAML or INI file; `ansible-inventory --list --yaml` makes one",
        ));
    }
    for (key, value) in groups {
        group(reader, key, value)?;
    }
    Ok(())
}

/// One group; answers its name.
fn group(reader: &mut Reader, key: &Node, value: &Node) -> Result<String, Fault> {
    let name = text_key(key, "name of a group")?;
    reader.add_group(name, &key.place);
    let entries: &[(Node, Node)] = match &value.kind {
        Kind::Null => &[],
        Kind::Map(entries) => entries,
        _ => {
            return Err(Fault::new(format!(
                "group `{name}` must be a mapping, this is {}",
                value.describe()
            ))
            .at(&value.place)
            .hint("a group holds `hosts:`, `children:` and `vars:`"));
        }
    };
    for (section, content) in entries {
        let title = text_key(section, "key of a group")?;
        match title {
            "vars" => {
                for (variable, value) in &entries_of(name, title, content)? {
                    let variable = text_key(variable, "name of a variable")?;
                    reader.set_group_var(name, variable, value)?;
                }
            }
            "children" => {
                for (child, value) in &entries_of(name, title, content)? {
                    let child_name = group(reader, child, value)?;
                    reader.add_child(name, &child_name, &child.place)?;
                }
            }
            "hosts" => {
                for (pattern, vars) in &entries_of(name, title, content)? {
                    hosts(reader, name, pattern, vars)?;
                }
            }
            unknown => return Err(unknown_key(name, unknown, section)),
        }
    }
    Ok(name.to_owned())
}

/// Entries of a section of a group: a mapping, nothing, or one name.
fn entries_of(group: &str, section: &str, content: &Node) -> Result<Vec<(Node, Node)>, Fault> {
    match &content.kind {
        Kind::Null => Ok(Vec::new()),
        Kind::Map(entries) => Ok(entries.to_vec()),
        Kind::Str(_) => {
            let nothing = Node {
                kind: Kind::Null,
                tag: None,
                ..content.clone()
            };
            Ok(vec![(content.clone(), nothing)])
        }
        _ => {
            let fault = Fault::new(format!(
                "`{section}` of group `{group}` must be a mapping, this is {}",
                content.describe()
            ))
            .at(&content.place);
            Err(match content.as_seq().and_then(<[Node]>::first) {
                Some(first) if section != "vars" => fault.hint(format!(
                    "write `{}:` instead of `- {0}`, each on its own line",
                    first.as_str().unwrap_or("name")
                )),
                _ => fault,
            })
        }
    }
}

fn hosts(reader: &mut Reader, group: &str, pattern: &Node, vars: &Node) -> Result<(), Fault> {
    let written = text_key(pattern, "name of a host")?;
    let (names, port) = address::split_port(written).unwrap_or((written, None));
    let names = address::expand(names)
        .map_err(|wrong| Fault::new(format!("host `{written}`: {wrong}")).at(&pattern.place))?;
    let entries: &[(Node, Node)] = match &vars.kind {
        Kind::Null => &[],
        Kind::Map(entries) => entries,
        Kind::Str(text) if text.is_empty() => &[],
        _ => {
            return Err(Fault::new(format!(
                "variables of host `{written}` must be a mapping, this is {}",
                vars.describe()
            ))
            .at(&vars.place)
            .hint(format!(
                "write them below `{written}:`, indented, each as `name: value`"
            )));
        }
    };
    for name in &names {
        reader.add_host(name, group, port, &pattern.place)?;
        for (variable, value) in entries {
            let variable = text_key(variable, "name of a variable")?;
            reader.set_host_var(name, variable, value)?;
        }
    }
    Ok(())
}

fn text_key<'a>(key: &'a Node, what: &str) -> Result<&'a str, Fault> {
    let empty = |text: &str| text.trim().is_empty();
    match key.as_str() {
        Some(text) if !empty(text) => Ok(text),
        Some(_) => Err(Fault::new(format!("the {what} is empty")).at(&key.place)),
        None => Err(
            Fault::new(format!("a {what} must be text, this is {}", key.describe()))
                .at(&key.place)
                .hint("put it in quotation marks"),
        ),
    }
}

fn unknown_key(group: &str, key: &str, node: &Node) -> Fault {
    let fault = Fault::new(format!(
        "unknown key `{key}` in group `{group}`; a group holds hosts, children and vars"
    ))
    .at(&node.place);
    match super::nearest::nearest(key, SECTIONS.iter().copied(), 1).first() {
        Some(meant) => fault.hint(format!("did you mean `{meant}`?")),
        None => fault.hint(format!(
            "if `{key}` is a group, put it below `children:`; if it is a host, below `hosts:`; if a variable, below `vars:`"
        )),
    }
}
