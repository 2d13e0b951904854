//! Groups and hosts, who belongs to whom, and in which order.

use super::{HostName, Var, Vars, put};
use crate::content::place::{Fault, Place};
use crate::content::value::Value;
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub type Name = Arc<str>;

/// Names that mean this machine, also when no source names them.
pub const LOCALHOST: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

#[derive(Clone, Default)]
pub struct Group {
    /// Direct members, in order.
    pub hosts: IndexSet<HostName>,
    pub children: IndexSet<Name>,
    pub parents: IndexSet<Name>,
    pub vars: Vars,
    /// `ansible_group_priority`: among groups of one depth the higher one wins.
    pub priority: i64,
}

#[derive(Clone)]
pub struct Host {
    pub vars: Vars,
    /// Where it was named first.
    pub place: Place,
}

/// All groups and hosts, in the order in which they were named first.
#[derive(Clone)]
pub struct Graph {
    pub groups: IndexMap<Name, Group>,
    pub hosts: IndexMap<HostName, Host>,
}

impl Default for Graph {
    fn default() -> Self {
        let mut graph = Self {
            groups: IndexMap::new(),
            hosts: IndexMap::new(),
        };
        graph.add_group("all");
        graph.add_group("ungrouped");
        graph.connect("all", "ungrouped");
        graph
    }
}

impl Graph {
    pub fn add_group(&mut self, name: &str) {
        if !self.groups.contains_key(name) {
            let group = Group {
                priority: 1,
                ..Group::default()
            };
            self.groups.insert(Arc::from(name), group);
        }
    }

    /// Adds a host if it is new, and puts it into a group that exists.
    pub fn add_host(&mut self, name: &str, group: &str, place: &Place) {
        let name: HostName = match self.hosts.get_key_value(name) {
            Some((known, _)) => Arc::clone(known),
            None => {
                let name: HostName = Arc::from(name);
                let host = Host {
                    vars: Vars::new(),
                    place: place.clone(),
                };
                self.hosts.insert(Arc::clone(&name), host);
                name
            }
        };
        if let Some(group) = self.groups.get_mut(group) {
            group.hosts.insert(name);
        }
    }

    /// Makes a group the child of another one; both exist. A cycle is a fault that names it.
    pub fn add_child(&mut self, parent: &str, child: &str, place: &Place) -> Result<(), Fault> {
        if let Some(path) = self.path(child, parent) {
            let mut cycle: Vec<&str> = vec![parent];
            cycle.extend(path.iter().map(|name| &**name));
            return Err(
                Fault::new(format!("groups contain each other: {}", cycle.join(" → ")))
                    .at(place)
                    .hint("remove one of these groups from the other's children"),
            );
        }
        self.connect(parent, child);
        Ok(())
    }

    fn connect(&mut self, parent: &str, child: &str) {
        let (Some((parent_name, _)), Some((child_name, _))) = (
            self.groups.get_key_value(parent),
            self.groups.get_key_value(child),
        ) else {
            return;
        };
        let (parent_name, child_name) = (Arc::clone(parent_name), Arc::clone(child_name));
        if let Some(group) = self.groups.get_mut(parent) {
            group.children.insert(child_name);
        }
        if let Some(group) = self.groups.get_mut(child) {
            group.parents.insert(parent_name);
        }
    }

    /// Groups from one down to another along children, both included.
    fn path(&self, from: &str, to: &str) -> Option<Vec<Name>> {
        let (start, _) = self.groups.get_key_value(from)?;
        let mut came: HashMap<Name, Option<Name>> = HashMap::from([(Arc::clone(start), None)]);
        let mut queue = vec![Arc::clone(start)];
        while let Some(name) = queue.pop() {
            if &*name == to {
                let mut path = vec![name];
                while let Some(Some(previous)) = came.get(&path[path.len() - 1]) {
                    path.push(Arc::clone(previous));
                }
                path.reverse();
                return Some(path);
            }
            for child in &self.groups.get(&name)?.children {
                if !came.contains_key(child) {
                    came.insert(Arc::clone(child), Some(Arc::clone(&name)));
                    queue.push(Arc::clone(child));
                }
            }
        }
        None
    }

    /// Sets a variable of a group. `ansible_group_priority` is its rank and no variable.
    pub fn set_group_var(
        &mut self,
        group: &str,
        name: &str,
        var: Var,
        merge: bool,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(group) else {
            return Ok(());
        };
        if name == "ansible_group_priority" {
            let priority = match &var.value {
                Value::Int(value) => Some(*value),
                Value::Str(text) => text.text.trim().parse().ok(),
                _ => None,
            };
            group.priority = priority.ok_or_else(|| {
                Fault::new("ansible_group_priority must be an integer").at(&var.place)
            })?;
            return Ok(());
        }
        put(&mut group.vars, name, var, merge);
        Ok(())
    }

    /// Keeps the rules that Ansible keeps after it read its sources: every group is below `all`, and `ungrouped`
    /// holds just the hosts that are in no other group.
    pub fn reconcile(&mut self) {
        let orphans: Vec<Name> = self
            .groups
            .iter()
            .filter(|(name, group)| &***name != "all" && group.parents.is_empty())
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in orphans {
            self.connect("all", &name);
        }
        let mut grouped: HashSet<HostName> = HashSet::new();
        for (name, group) in &self.groups {
            if &**name != "all" && &**name != "ungrouped" {
                grouped.extend(group.hosts.iter().cloned());
            }
        }
        let loose: Vec<HostName> = self
            .hosts
            .keys()
            .filter(|name| !grouped.contains(*name))
            .cloned()
            .collect();
        if let Some(ungrouped) = self.groups.get_mut("ungrouped") {
            ungrouped.hosts.retain(|name| !grouped.contains(name));
            ungrouped.hosts.extend(loose);
        }
    }

    /// The group and everything below it, nearest first, in the order of children.
    pub fn descendants(&self, group: &str) -> Vec<Name> {
        let mut found: IndexSet<Name> = IndexSet::new();
        let Some((name, _)) = self.groups.get_key_value(group) else {
            return Vec::new();
        };
        found.insert(Arc::clone(name));
        let mut next = 0;
        while let Some(name) = found.get_index(next).cloned() {
            if let Some(group) = self.groups.get(&name) {
                found.extend(group.children.iter().cloned());
            }
            next += 1;
        }
        found.into_iter().collect()
    }

    /// Hosts of a group and of everything below it.
    pub fn members(&self, group: &str) -> Option<Vec<HostName>> {
        self.groups.get(group)?;
        let mut hosts: IndexSet<HostName> = IndexSet::new();
        for name in self.descendants(group) {
            if let Some(group) = self.groups.get(&name) {
                hosts.extend(group.hosts.iter().cloned());
            }
        }
        // Made at run time, a group may hold the implicit localhost; all hosts are those that sources name.
        if group == "all" {
            hosts.retain(|name| self.hosts.contains_key(name));
        }
        Some(hosts.into_iter().collect())
    }

    /// Groups that a host is in, directly or through their children, `all` included.
    pub fn groups_of(&self, host: &str) -> IndexSet<Name> {
        let mut found: IndexSet<Name> = self
            .groups
            .iter()
            .filter(|(_, group)| group.hosts.contains(host))
            .map(|(name, _)| Arc::clone(name))
            .collect();
        let mut next = 0;
        while let Some(name) = found.get_index(next).cloned() {
            if let Some(group) = self.groups.get(&name) {
                found.extend(group.parents.iter().cloned());
            }
            next += 1;
        }
        found
    }

    /// Longest way from a group that has no parent down to each group: `all` is 0.
    pub fn depths(&self) -> HashMap<Name, usize> {
        let mut depths: HashMap<Name, usize> = HashMap::new();
        for name in self.groups.keys() {
            self.depth(name, &mut depths);
        }
        depths
    }

    fn depth(&self, name: &Name, depths: &mut HashMap<Name, usize>) -> usize {
        if let Some(depth) = depths.get(name) {
            return *depth;
        }
        let parents = self.groups.get(name).map(|group| group.parents.clone());
        let above = parents
            .into_iter()
            .flatten()
            .map(|parent| self.depth(&parent, depths) + 1);
        let depth = above.max().unwrap_or(0);
        depths.insert(Arc::clone(name), depth);
        depth
    }

    /// Groups in the order in which their variables win: deeper over shallower, then by priority, then by name.
    pub fn by_precedence(&self, mut groups: Vec<Name>, depths: &HashMap<Name, usize>) -> Vec<Name> {
        groups.sort_by_key(|name| {
            let priority = self.groups.get(name).map_or(1, |group| group.priority);
            let depth = depths.get(name).copied().unwrap_or(0);
            (depth, priority, Arc::clone(name))
        });
        groups
    }
}
