//! Executable inventories: programs that print JSON for `--list`, and for `--host NAME` unless `_meta` holds all.

use super::reader::Reader;
use super::settings::RunProgram;
use crate::content::place::{Fault, Place};
use crate::content::yaml::{self, Node};
use indexmap::IndexSet;
use std::path::Path;
use std::sync::Arc;

/// Adds what a program says.
pub fn read(reader: &mut Reader, path: &Path, run: &RunProgram) -> Result<(), Fault> {
    let file: Arc<Path> = Arc::from(path);
    let ask = |args: &[&str]| answer(path, &file, run, args);
    let root = ask(&["--list"])?;
    let Some(groups) = root.as_map() else {
        return Err(wrong(
            path,
            "--list",
            &format!("a mapping of groups, this is {}", root.describe()),
        ));
    };
    let mut hosts: IndexSet<String> = IndexSet::new();
    for (key, value) in groups {
        let name = name_of(key, path)?;
        if name != "_meta" {
            group(reader, name, value, &mut hosts, path)?;
        }
    }
    let meta = root.get("_meta").map(|meta| meta.get("hostvars"));
    for host in &hosts {
        let vars = match meta {
            Some(all) => all.and_then(|all| all.get(host)).cloned(),
            None => Some(ask(&["--host", host])?),
        };
        let entries = vars.as_ref().and_then(Node::as_map).unwrap_or_default();
        for (key, value) in entries {
            reader.set_host_var(host, name_of(key, path)?, value)?;
        }
    }
    Ok(())
}

/// A group: a list of hosts, or a mapping of `hosts`, `children` and `vars`. Any other mapping is a host with its
/// variables, as Ansible takes it.
fn group(
    reader: &mut Reader,
    name: &str,
    value: &Node,
    hosts: &mut IndexSet<String>,
    path: &Path,
) -> Result<(), Fault> {
    let place = Place::file(path);
    reader.add_group(name, &place);
    if value.as_seq().is_some() {
        return members(reader, name, value, hosts, path);
    }
    let Some(entries) = value.as_map() else {
        return Err(wrong(
            path,
            "--list",
            &format!(
                "group `{name}` as a list or a mapping, this is {}",
                value.describe()
            ),
        ));
    };
    let is_group = entries
        .iter()
        .any(|(key, _)| matches!(key.as_str(), Some("hosts" | "children" | "vars")));
    if !is_group {
        reader.add_host(name, name, None, &place)?;
        hosts.insert(name.to_owned());
        for (key, value) in entries {
            reader.set_group_var(name, name_of(key, path)?, value)?;
        }
        return Ok(());
    }
    if let Some(list) = value.get("hosts") {
        members(reader, name, list, hosts, path)?;
    }
    for (key, value) in value.get("vars").and_then(Node::as_map).unwrap_or_default() {
        reader.set_group_var(name, name_of(key, path)?, value)?;
    }
    for child in value
        .get("children")
        .and_then(Node::as_seq)
        .unwrap_or_default()
    {
        let child = name_of(child, path)?;
        reader.add_group(child, &place);
        reader.add_child(name, child, &place)?;
    }
    Ok(())
}

fn members(
    reader: &mut Reader,
    group: &str,
    list: &Node,
    hosts: &mut IndexSet<String>,
    path: &Path,
) -> Result<(), Fault> {
    let Some(names) = list.as_seq() else {
        return Err(wrong(
            path,
            "--list",
            &format!(
                "the hosts of group `{group}` as a list, this is {}",
                list.describe()
            ),
        ));
    };
    for name in names {
        let name = name_of(name, path)?;
        reader.add_host(name, group, None, &Place::file(path))?;
        hosts.insert(name.to_owned());
    }
    Ok(())
}

/// What the program prints, as JSON; nothing at all is an empty answer.
fn answer(path: &Path, file: &Arc<Path>, run: &RunProgram, args: &[&str]) -> Result<Node, Fault> {
    let failed = |why: &str| {
        Fault::new(format!(
            "the inventory {} {} failed: {why}",
            path.display(),
            args.join(" ")
        ))
        .at(&Place::file(path))
        .hint("a file that isn't a program must not be executable and not begin with `#!`")
    };
    let printed = run(path, args).map_err(|why| failed(&why))?;
    if printed.trim().is_empty() {
        let empty = yaml::parse_one("{}", file, &mut Vec::new())?;
        return if args[0] == "--host" {
            Ok(empty)
        } else {
            Err(failed("it printed nothing"))
        };
    }
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&printed) {
        return Err(failed(&format!("it printed no JSON: {error}")));
    }
    let mut node = yaml::parse_one(&printed, file, &mut Vec::new())?;
    node.place = Place::file(path);
    Ok(node)
}

fn name_of<'a>(node: &'a Node, path: &Path) -> Result<&'a str, Fault> {
    node.as_str().ok_or_else(|| {
        wrong(
            path,
            "--list",
            &format!("a name, this is {}", node.describe()),
        )
    })
}

fn wrong(path: &Path, option: &str, expected: &str) -> Fault {
    Fault::new(format!("{} {option} must print {expected}", path.display())).at(&Place::file(path))
}
