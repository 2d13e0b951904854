//! Hosts, groups and their variables, as Ansible's inventories give them.

use super::place::{Fault, Place};
use super::value::Value;
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of a host in the inventory. Not its address.
pub type HostName = Arc<str>;

/// A variable and where it was written.
#[derive(Clone)]
pub struct Var {
    pub value: Value,
    pub place: Place,
}

pub type Vars = IndexMap<String, Var>;

/// What to do about a name in a pattern that is neither a host nor a group of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// A fault that names the nearest hosts and groups: for what a person typed just now.
    Fault,
    /// A warning `Could not match supplied host pattern, ignoring: x`, as Ansible does for `hosts:` of plays.
    Warn,
}

/// Hosts that a pattern selected.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// In the inventory's order, as Ansible runs them.
    pub hosts: Vec<HostName>,
    pub warnings: Vec<String>,
}

/// Hosts, groups and their variables. Cloning is deep; share it in an `Arc`.
#[derive(Clone, Default)]
pub struct Inventory {
    /// What was suspicious but legal while the sources were read.
    pub warnings: Vec<Fault>,
}

impl Inventory {
    /// Reads sources in order; later ones win. A source is a file (YAML or INI), a directory of files, or a list of
    /// hosts with at least one comma (`h1,h2,`). `group_vars/` and `host_vars/` beside a source are read too.
    pub fn load(_sources: &[PathBuf]) -> Result<Inventory, Fault> {
        Ok(Self::default())
    }

    /// The same inventory with `group_vars/` and `host_vars/` beside a playbook added, at Ansible's precedence (each
    /// above its counterpart beside the inventory).
    pub fn with_playbook_dir(&self, _dir: &Path) -> Result<Inventory, Fault> {
        Ok(self.clone())
    }

    /// Hosts in the order in which the sources name them. The implicit localhost isn't among them.
    pub fn hosts(&self) -> Vec<HostName> {
        Vec::new()
    }

    /// Names of groups, `all` and `ungrouped` first, then in the order in which the sources name them.
    pub fn groups(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// True for a host that the sources name.
    pub fn has_host(&self, _name: &str) -> bool {
        false
    }

    /// Hosts of a group and of all its children, as `groups[name]` gives them. None: no such group.
    pub fn group_hosts(&self, _group: &str) -> Option<Vec<HostName>> {
        None
    }

    /// Groups of a host without `all`, sorted by name, as `group_names` gives them.
    pub fn groups_of(&self, _host: &str) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Hosts that a pattern selects, in the inventory's order, cut down by `--limit` (commas, `@file`).
    pub fn select(
        &self,
        _pattern: &str,
        _limit: Option<&str>,
        _unknown: Unknown,
    ) -> Result<Selection, Fault> {
        Ok(Selection::default())
    }

    /// Variables of a host, merged as Ansible does; `inventory_hostname`, `inventory_hostname_short`, `group_names`
    /// and, where known, `inventory_file` and `inventory_dir` included. Of `localhost` also when no source names it.
    pub fn vars(&self, _host: &str) -> Vars {
        Vars::new()
    }

    /// What `ansible-inventory --list` prints.
    pub fn to_list_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// What `ansible-inventory --graph` prints, from a group downwards.
    pub fn graph(&self, _group: &str) -> Result<String, Fault> {
        Ok(String::new())
    }
}
