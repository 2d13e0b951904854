//! Hosts, groups and their variables, as Ansible's inventories give them.

mod address;
mod constructed;
mod files;
mod graph;
mod ini;
mod literal;
mod nearest;
pub mod output;
mod pattern;
mod reader;
mod script;
mod settings;
mod tree;
mod words;

use super::place::{Fault, Place};
use super::value::{Value, merged};
use files::VarFiles;
use graph::{Graph, LOCALHOST, Name};
use indexmap::IndexMap;
use reader::{Reader, text};
pub use settings::{Broken, RunProgram, Settings};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

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

/// Hosts, groups and their variables. Cloning copies the tables, values are shared; hold it in an `Arc`.
#[derive(Clone, Default)]
pub struct Inventory {
    /// What was suspicious but legal while the sources were read.
    pub warnings: Vec<Fault>,
    /// There are sources, and none of them could be read.
    pub nothing_read: bool,
    graph: Graph,
    /// What it was read from.
    sources: Arc<[PathBuf]>,
    /// Directories beside the sources, in their order.
    beside_sources: Vec<VarFiles>,
    beside_playbook: Option<VarFiles>,
    settings: Arc<Settings>,
    depths: HashMap<Name, usize>,
}

impl Inventory {
    /// Reads sources in order; later ones win. A source is a file (YAML or INI), a directory of files, or a list of
    /// hosts with at least one comma (`h1,h2,`). `group_vars/` and `host_vars/` beside a source are read too.
    pub fn load(sources: &[PathBuf]) -> Result<Inventory, Fault> {
        Self::load_with(sources, Settings::default())
    }

    /// The same, as settings say.
    pub fn load_with(sources: &[PathBuf], settings: Settings) -> Result<Inventory, Fault> {
        Self::read(Arc::from(sources), Arc::new(settings))
    }

    /// The inventory as its sources are now. Hosts that were added to this one are not in it.
    pub fn reload(&self) -> Result<Inventory, Fault> {
        let inventory = Self::read(Arc::clone(&self.sources), Arc::clone(&self.settings))?;
        match &self.beside_playbook {
            Some(files) => inventory.with_playbook_dir(files.dir()),
            None => Ok(inventory),
        }
    }

    fn read(sources: Arc<[PathBuf]>, settings: Arc<Settings>) -> Result<Inventory, Fault> {
        let mut inventory = Self {
            sources: Arc::clone(&sources),
            settings,
            ..Self::default()
        };
        let mut read = 0;
        for source in sources.iter() {
            let mut reader = Reader::new(
                &mut inventory.graph,
                &mut inventory.warnings,
                &inventory.settings,
            );
            reader.source(source)?;
            read += reader.read;
            // Made from what all sources up to here gave.
            for rules in std::mem::take(&mut reader.constructed) {
                let beside = reader::base_dir(source).map(VarFiles::new);
                if let Err(fault) = constructed::apply(&mut inventory, &rules, beside) {
                    if inventory.settings.broken == Broken::Fails {
                        return Err(fault);
                    }
                    read -= 1;
                    inventory.warnings.push(fault);
                }
            }
        }
        inventory.nothing_read = read == 0 && !sources.is_empty();
        if inventory.nothing_read && inventory.settings.broken == Broken::FailsWhenAll {
            let mut faults = std::mem::take(&mut inventory.warnings);
            return Err(match faults.is_empty() {
                true => Fault::new("no inventory was parsed"),
                false => faults.remove(0),
            });
        }
        // As in Ansible, which leaves the pieces of broken sources as they lie when there is nothing else.
        if !inventory.nothing_read {
            inventory.graph.reconcile();
        }
        inventory.warn_of_conflicts();
        for source in sources.iter() {
            if let Some(dir) = reader::base_dir(source) {
                inventory.beside_sources.push(VarFiles::new(dir));
            }
        }
        inventory.refresh()?;
        Ok(inventory)
    }

    /// The same inventory with `group_vars/` and `host_vars/` beside a playbook added, at Ansible's precedence (each
    /// above its counterpart beside the inventory).
    pub fn with_playbook_dir(&self, dir: &Path) -> Result<Inventory, Fault> {
        let mut inventory = self.clone();
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        inventory.beside_playbook = Some(VarFiles::new(dir));
        inventory.refresh()?;
        Ok(inventory)
    }

    /// What it was read from, as `ansible_inventory_sources` names it: absolute paths, and lists of hosts.
    pub fn sources(&self) -> Vec<String> {
        let absolute = |source: &PathBuf| match reader::is_list(source) {
            true => source.clone(),
            false => std::path::absolute(source).unwrap_or_else(|_| source.clone()),
        };
        let sources = self.sources.iter().map(absolute);
        sources
            .map(|source| source.to_string_lossy().into_owned())
            .collect()
    }

    fn warn_of_conflicts(&mut self) {
        for (name, host) in &self.graph.hosts {
            if self.graph.groups.contains_key(name) {
                let message = format!("`{name}` is both a group and a host");
                let warning = Fault::new(message)
                    .at(&host.place)
                    .hint("rename one of them");
                self.warnings.push(warning);
            }
        }
    }

    /// After a change: depths of groups, and the files of groups and hosts that are new.
    fn refresh(&mut self) -> Result<(), Fault> {
        self.depths = self.graph.depths();
        for files in self
            .beside_sources
            .iter_mut()
            .chain(&mut self.beside_playbook)
        {
            for group in self.graph.groups.keys() {
                files.read_group(group, &self.settings, &mut self.warnings)?;
            }
            // Also of this machine, which may be used without being named.
            let local = LOCALHOST.map(HostName::from);
            for host in self.graph.hosts.keys().chain(&local) {
                files.read_host(host, &self.settings, &mut self.warnings)?;
            }
        }
        Ok(())
    }

    /// Hosts in the order of group `all`, in which Ansible runs them. The implicit localhost isn't among them.
    pub fn hosts(&self) -> Vec<HostName> {
        self.graph.members("all").unwrap_or_default()
    }

    /// The same in the order in which the sources name them first.
    pub fn all_hosts(&self) -> Vec<HostName> {
        self.graph.hosts.keys().cloned().collect()
    }

    /// True when a source names this machine, by one of its names.
    pub fn names_localhost(&self) -> bool {
        LOCALHOST.iter().any(|name| self.has_host(name))
    }

    /// Names of groups, `all` and `ungrouped` first, then in the order in which the sources name them.
    pub fn groups(&self) -> Vec<Name> {
        self.graph.groups.keys().cloned().collect()
    }

    /// True for a host that the sources name, and for this machine.
    pub fn knows(&self, name: &str) -> bool {
        self.has_host(name) || LOCALHOST.contains(&name)
    }

    /// True for a host that the sources name.
    pub fn has_host(&self, name: &str) -> bool {
        self.graph.hosts.contains_key(name)
    }

    /// Where a host was named first. None: no source names it.
    pub fn host_place(&self, name: &str) -> Option<&Place> {
        self.graph.hosts.get(name).map(|host| &host.place)
    }

    /// Hosts of a group and of all its children, as `groups[name]` gives them. None: no such group.
    pub fn group_hosts(&self, group: &str) -> Option<Vec<HostName>> {
        self.graph.members(group)
    }

    /// Hosts that are in a group themselves, not through a child, in order.
    pub fn direct_hosts(&self, group: &str) -> Vec<HostName> {
        let group = self.graph.groups.get(group);
        group.map_or_else(Vec::new, |group| group.hosts.iter().cloned().collect())
    }

    /// Direct children of a group, in order.
    pub fn children(&self, group: &str) -> Vec<Name> {
        let group = self.graph.groups.get(group);
        group.map_or_else(Vec::new, |group| group.children.iter().cloned().collect())
    }

    /// Groups whose direct child a group is.
    pub fn parents(&self, group: &str) -> Vec<Name> {
        let group = self.graph.groups.get(group);
        group.map_or_else(Vec::new, |group| group.parents.iter().cloned().collect())
    }

    /// Groups of a host without `all`, sorted by name, as `group_names` gives them.
    pub fn groups_of(&self, host: &str) -> Vec<Name> {
        let mut groups: Vec<Name> = self.graph.groups_of(host).into_iter().collect();
        groups.retain(|name| &**name != "all");
        groups.sort_unstable();
        groups
    }

    /// Hosts that a pattern selects, cut down by `--limit` (a pattern itself, with `@file`).
    ///
    /// `unknown` is for the names in both; globs and regular expressions that match nothing are warnings.
    pub fn select(
        &self,
        pattern: &str,
        limit: Option<&str>,
        unknown: Unknown,
    ) -> Result<Selection, Fault> {
        pattern::select(&self.graph, pattern, limit, unknown)
    }

    /// Up to three names of hosts that a wrong name may have meant.
    pub fn nearest_hosts(&self, wrong: &str) -> Vec<&str> {
        nearest::nearest(wrong, self.graph.hosts.keys().map(|name| &**name), 3)
    }

    /// Variables of a host, merged as Ansible does; `inventory_hostname`, `inventory_hostname_short`, `group_names`,
    /// `inventory_file` and `inventory_dir` included. Of `localhost` also when no source names it.
    ///
    /// Each layer wins over the ones before: `all` and then the other groups (by depth, priority, name) as the sources
    /// give them; the same as `group_vars/` beside sources and playbook give them, `all` first; the host, as the
    /// sources give it; `host_vars/` beside sources; `host_vars/` beside the playbook.
    pub fn vars(&self, host: &str) -> Vars {
        let mut groups: Vec<Name> = self.graph.groups_of(host).into_iter().collect();
        groups.retain(|name| &**name != "all");
        let groups = self.graph.by_precedence(groups, &self.depths);
        let everyone: [Name; 1] = [Arc::from("all")];
        let playbook = self.beside_playbook.as_slice();

        let merge = self.settings.merge;
        let mut vars = Vars::new();
        for group in everyone.iter().chain(&groups) {
            let group = self.graph.groups.get(group);
            add(&mut vars, group.map(|group| &group.vars), merge);
        }
        for groups in [&everyone[..], &groups] {
            for files in self.beside_sources.iter().chain(playbook) {
                for group in groups {
                    add(&mut vars, files.group(group), merge);
                }
            }
        }
        self.add_own(host, &mut vars);
        for files in self.beside_sources.iter().chain(playbook) {
            add(&mut vars, files.host(host), merge);
        }
        vars
    }

    /// What the sources give a host itself, and what is known of it by its name.
    fn add_own(&self, name: &str, vars: &mut Vars) {
        let host = self.graph.hosts.get(name);
        add(vars, host.map(|host| &host.vars), self.settings.merge);
        let place = match host {
            Some(host) => host.place.clone(),
            None => Place::file(Path::new("inventory")),
        };
        let mut set = |variable: &str, value: Value| {
            let place = place.clone();
            vars.insert(variable.to_owned(), Var { value, place });
        };
        if host.is_none() && LOCALHOST.contains(&name) {
            set("ansible_connection", text("local"));
        }
        let address = name.parse::<std::net::IpAddr>().is_ok();
        let short = if address {
            name
        } else {
            name.split('.').next().unwrap_or(name)
        };
        set("inventory_hostname", text(name));
        set("inventory_hostname_short", text(short));
        let groups = self.groups_of(name).iter().map(|name| text(name)).collect();
        set("group_names", Value::List(Arc::new(RwLock::new(groups))));
    }

    /// Adds a host (`add_host`), or changes the variables of one that exists. It is below `all` at once.
    pub fn add_host(&mut self, name: &str, vars: IndexMap<String, Value>) -> Result<(), Fault> {
        let place = Place::file(Path::new("add_host"));
        if !self.has_host(name) {
            self.graph.add_host(name, "all", &place);
            // It is in no file.
            if let Some(host) = self.graph.hosts.get_mut(name) {
                for variable in ["inventory_file", "inventory_dir"] {
                    let place = place.clone();
                    let value = Value::None;
                    host.vars.insert(variable.to_owned(), Var { value, place });
                }
            }
        }
        if let Some(host) = self.graph.hosts.get_mut(name) {
            for (variable, value) in vars {
                let place = place.clone();
                let var = Var { value, place };
                put(&mut host.vars, &variable, var, self.settings.merge);
            }
        }
        self.changed()
    }

    /// Adds a group (`group_by`); nothing happens when it exists. Its `group_vars` are read.
    pub fn add_group(&mut self, name: &str) -> Result<(), Fault> {
        self.graph.add_group(name);
        self.changed()
    }

    /// Puts a host that exists into a group, which is made if need be. True: it wasn't in it before.
    pub fn add_to_group(&mut self, group: &str, host: &str) -> Result<bool, Fault> {
        let place = self.host_place(host).cloned();
        let implicit = place.is_none() && LOCALHOST.contains(&host);
        if place.is_none() && !implicit {
            return Err(Fault::new(format!("host `{host}` isn't in the inventory")));
        }
        self.graph.add_group(group);
        let known = |graph: &Graph| {
            let group = graph.groups.get(group);
            group.is_some_and(|group| group.hosts.contains(host))
        };
        let before = known(&self.graph);
        match place {
            Some(place) => self.graph.add_host(host, group, &place),
            // The implicit localhost joins without being in the inventory.
            None => {
                if let Some(group) = self.graph.groups.get_mut(group) {
                    group.hosts.insert(Arc::from(host));
                }
            }
        }
        self.changed()?;
        Ok(!before)
    }

    /// Makes a group the child of another one; both are made if need be.
    pub fn add_child(&mut self, parent: &str, child: &str) -> Result<(), Fault> {
        self.graph.add_group(parent);
        self.graph.add_group(child);
        let place = Place::file(Path::new("group_by"));
        self.graph.add_child(parent, child, &place)?;
        self.changed()
    }

    fn changed(&mut self) -> Result<(), Fault> {
        self.graph.reconcile();
        self.refresh()
    }

    /// What `ansible-inventory --graph` prints, from a group downwards, with `--vars` too. The fault: no such group.
    pub fn graph(&self, group: &str, vars: bool) -> Result<String, Fault> {
        output::graph(self, group, vars)
    }

    /// Variables that are a host's own: without those of its groups.
    pub fn own_vars(&self, host: &str) -> Vars {
        let mut vars = Vars::new();
        self.add_own(host, &mut vars);
        let playbook = self.beside_playbook.as_slice();
        for files in self.beside_sources.iter().chain(playbook) {
            add(&mut vars, files.host(host), self.settings.merge);
        }
        vars
    }

    /// Variables that are a group's own: those of the sources, then those of `group_vars/`, and its priority where
    /// it has one.
    pub fn group_vars(&self, group: &str) -> Vars {
        let merge = self.settings.merge;
        let mut vars = Vars::new();
        let known = self.graph.groups.get(group);
        add(&mut vars, known.map(|group| &group.vars), merge);
        let playbook = self.beside_playbook.as_slice();
        for files in self.beside_sources.iter().chain(playbook) {
            add(&mut vars, files.group(group), merge);
        }
        if let Some(priority) = known.map(|group| group.priority).filter(|rank| *rank != 1) {
            let place = Place::file(Path::new("inventory"));
            let value = Value::Int(priority);
            vars.insert("ansible_group_priority".to_owned(), Var { value, place });
        }
        vars
    }
}

fn add(vars: &mut Vars, more: Option<&Vars>, merge: bool) {
    for (name, var) in more.into_iter().flatten() {
        put(vars, name, var.clone(), merge);
    }
}

/// Sets a variable; `merge`: a mapping goes over the one that is there.
fn put(vars: &mut Vars, name: &str, mut var: Var, merge: bool) {
    if merge && let Some(known) = vars.get(name) {
        var.value = merged(&known.value, &var.value);
    }
    vars.insert(name.to_owned(), var);
}

#[cfg(test)]
mod tests;
