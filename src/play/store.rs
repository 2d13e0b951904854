//! What a run knows of hosts: the inventory as it is now, and what was learned of each host.

use crate::content::inventory::{HostName, Inventory, Vars};
use crate::content::place::Fault;
use crate::content::value::{Key, Value};
use crate::content::vars::Learned;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The inventory and what was learned, for all plays of a run.
pub(super) struct Store {
    inventory: RwLock<Arc<Inventory>>,
    /// Merged variables by host, and `groups`; forgotten when the inventory changes.
    cache: Mutex<Cache>,
    learned: Mutex<HashMap<HostName, Arc<Learned>>>,
    /// Held while the inventory is copied, changed and put back.
    changing: Mutex<()>,
    /// What the run added to the inventory, in order.
    added: Mutex<Vec<Added>>,
}

/// What the sources of an inventory don't say, and has to be said again when they are read again.
enum Added {
    Host {
        name: String,
        groups: Vec<String>,
        vars: IndexMap<String, Value>,
    },
    Group {
        group: String,
        parents: Vec<String>,
        host: HostName,
    },
}

impl Added {
    fn apply(&self, inventory: &mut Inventory) -> Result<(), Fault> {
        match self {
            Self::Host { name, groups, vars } => {
                inventory.add_host(name, vars.clone())?;
                for group in groups {
                    inventory.add_to_group(group, name)?;
                }
            }
            Self::Group {
                group,
                parents,
                host,
            } => {
                inventory.add_to_group(group, host)?;
                for parent in parents.iter().filter(|parent| *parent != "all") {
                    inventory.add_child(parent, group)?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Cache {
    vars: HashMap<HostName, Arc<Vars>>,
    groups: Option<Value>,
}

impl Store {
    pub(super) fn new(inventory: Arc<Inventory>) -> Self {
        Self {
            inventory: RwLock::new(inventory),
            cache: Mutex::default(),
            learned: Mutex::default(),
            changing: Mutex::default(),
            added: Mutex::default(),
        }
    }

    pub(super) fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(
            &self
                .inventory
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Puts a changed inventory in place of the old one.
    pub(super) fn replace(&self, inventory: Inventory) {
        *self
            .inventory
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(inventory);
        *lock(&self.cache) = Cache::default();
    }

    /// The merged variables of a host.
    pub(super) fn vars(&self, host: &HostName) -> Arc<Vars> {
        if let Some(vars) = lock(&self.cache).vars.get(host) {
            return Arc::clone(vars);
        }
        let vars = Arc::new(self.inventory().vars(host));
        lock(&self.cache)
            .vars
            .insert(Arc::clone(host), Arc::clone(&vars));
        vars
    }

    pub(super) fn learned(&self, host: &HostName) -> Arc<Learned> {
        Arc::clone(lock(&self.learned).entry(Arc::clone(host)).or_default())
    }

    /// `groups`.
    pub(super) fn groups(&self) -> Value {
        if let Some(groups) = &lock(&self.cache).groups {
            return groups.clone();
        }
        let groups = groups(&self.inventory());
        lock(&self.cache).groups = Some(groups.clone());
        groups
    }

    /// `add_host`: the host, its groups, its variables. True when something changed.
    pub(super) fn add_host(
        &self,
        name: &str,
        groups: &[String],
        vars: IndexMap<String, Value>,
    ) -> Result<bool, Fault> {
        let _changing = lock(&self.changing);
        let mut inventory = Inventory::clone(&self.inventory());
        let changed = !inventory.has_host(name)
            || groups
                .iter()
                .any(|group| !in_group(&inventory, group, name));
        self.add(
            &mut inventory,
            Added::Host {
                name: name.to_owned(),
                groups: groups.to_vec(),
                vars,
            },
        )?;
        self.replace(inventory);
        Ok(changed)
    }

    fn add(&self, inventory: &mut Inventory, what: Added) -> Result<(), Fault> {
        what.apply(inventory)?;
        lock(&self.added).push(what);
        Ok(())
    }

    /// Reads the inventory's sources again; what the run added stays.
    pub(super) fn reload(&self) -> Result<(), Fault> {
        let _changing = lock(&self.changing);
        let mut inventory = self.inventory().reload()?;
        for added in lock(&self.added).iter() {
            // A host that the sources no longer name is in no group either.
            if !matches!(added, Added::Group { host, .. } if !inventory.knows(host)) {
                added.apply(&mut inventory)?;
            }
        }
        self.replace(inventory);
        Ok(())
    }

    /// True when `group_by` changes something for the host.
    pub(super) fn would_join(&self, group: &str, parents: &[String], host: &HostName) -> bool {
        let inventory = self.inventory();
        !in_group(&inventory, group, host)
            || parents
                .iter()
                .any(|parent| parent != "all" && inventory.group_hosts(parent).is_none())
    }

    /// `group_by`: the host joins the group, and the group its parents.
    pub(super) fn group_by(
        &self,
        group: &str,
        parents: &[String],
        host: &HostName,
    ) -> Result<(), Fault> {
        let _changing = lock(&self.changing);
        let mut inventory = Inventory::clone(&self.inventory());
        self.add(
            &mut inventory,
            Added::Group {
                group: group.to_owned(),
                parents: parents.to_vec(),
                host: host.clone(),
            },
        )?;
        self.replace(inventory);
        Ok(())
    }
}

/// The names of all groups with those of their hosts.
pub(super) fn groups(inventory: &Inventory) -> Value {
    let groups: IndexMap<Key, Value> = inventory
        .groups()
        .iter()
        .map(|group| {
            let hosts = inventory.group_hosts(group).unwrap_or_default();
            let hosts = hosts.iter().map(|host| Value::from(&**host)).collect();
            (Key(Value::from(&**group)), Value::list(hosts))
        })
        .collect();
    Value::dict(groups)
}

fn in_group(inventory: &Inventory, group: &str, host: &str) -> bool {
    inventory
        .group_hosts(group)
        .is_some_and(|hosts| hosts.iter().any(|known| &**known == host))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
