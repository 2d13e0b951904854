//! Variables of one host as one task sees them: Ansible's levels of precedence as layers that are asked from the
//! strongest to the weakest. Nothing is copied or rendered here.
//!
//! Order of Ansible 2.18 (`VariableManager.get_vars`), strongest first: magic variables, extra variables, parameters of
//! includes, parameters of roles, `set_fact` and registered results, `include_vars`, the task and the blocks around it,
//! its role's `vars`, `vars` of the play's roles, `vars_files`, the play, facts, the inventory (hosts over groups), its
//! role's `defaults`, `defaults` of the play's roles.

use super::inventory::{Var, Vars};
use super::place::Place;
use super::playbook::{Frame, Keyword, Layers, Role};
use super::template::{Scope, TemplateSettings};
use super::value::{Key, Object, Value, merged};
use indexmap::{IndexMap, IndexSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// What a run has learned of one host. Kept once for each host, whatever the number of tasks.
#[derive(Default)]
pub struct Learned {
    facts: RwLock<Facts>,
    /// `include_vars`.
    included: RwLock<IndexMap<String, Value>>,
    /// `set_fact` and `register`.
    set: RwLock<IndexMap<String, Value>>,
}

/// Facts under the names that modules gave them, and without their `ansible_`.
#[derive(Clone)]
struct Facts {
    raw: IndexMap<String, Value>,
    /// The dictionary `ansible_facts`; a new one whenever facts are added.
    short: Value,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            raw: IndexMap::new(),
            short: Value::dict(IndexMap::new()),
        }
    }
}

/// Facts may not say how a host is reached or how commands become another user: that is the inventory's.
const CONNECTION_FACTS: &[&str] = &[
    "ansible_connection",
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_password",
    "ansible_private_key_file",
    "ansible_pipelining",
    "ansible_shell_type",
    "ansible_shell_executable",
    "ansible_timeout",
    "ansible_network_os",
    "ansible_remote_user",
    "ansible_remote_port",
];

fn harmless(name: &str) -> bool {
    !(CONNECTION_FACTS.contains(&name)
        || name.starts_with("ansible_ssh_") && !name.starts_with("ansible_ssh_host_key_")
        || name.starts_with("ansible_become")
        || name.ends_with("_interpreter") && name.starts_with("ansible_"))
}

impl Learned {
    /// Adds facts; names with and without `ansible_` reach the same fact through `ansible_facts`.
    pub fn add_facts(&self, facts: impl IntoIterator<Item = (String, Value)>) {
        let mut known = self.facts.write().unwrap_or_else(PoisonError::into_inner);
        known.raw.extend(facts);
        let short = known.raw.iter().map(|(name, value)| {
            let short = name.strip_prefix("ansible_").unwrap_or(name);
            (Key(Value::from(short)), value.clone())
        });
        known.short = Value::dict(short.collect());
    }

    pub fn clear_facts(&self) {
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Facts::default();
    }

    /// True once facts were gathered or read from a cache.
    pub fn has_facts(&self) -> bool {
        read(&self.facts).raw.contains_key("module_setup")
            || read(&self.facts).raw.contains_key("ansible_distribution")
    }

    pub fn fact(&self, name: &str) -> Option<Value> {
        read(&self.facts).raw.get(name).cloned()
    }

    /// All facts, as a cache keeps them.
    pub fn facts(&self) -> IndexMap<String, Value> {
        read(&self.facts).raw.clone()
    }

    pub fn set(&self, name: &str, value: Value) {
        self.set
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), value);
    }

    /// `merge`: mappings that were included before stay, the new one over them.
    pub fn include(&self, name: &str, value: Value, merge: bool) {
        let mut included = self
            .included
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let value = match included.get(name) {
            Some(known) if merge => merged(known, &value),
            _ => value,
        };
        included.insert(name.to_owned(), value);
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Variables as one task sees them on one host. Cloning is cheap.
#[derive(Clone)]
pub struct HostScope {
    /// `groups`, `hostvars`, `playbook_dir`… of the run and the play, then of the host and the task.
    pub magic: Vec<Arc<IndexMap<String, Value>>>,
    pub extra: Arc<Vars>,
    /// The task; none for what holds outside of tasks.
    pub frame: Option<Arc<Frame>>,
    /// The play's own frame; none for `hostvars`, which know no play.
    pub play: Option<Arc<Frame>>,
    /// Files of `vars_files`, the last one first.
    pub files: Layers,
    /// Roles that the play sees the variables of, in order.
    pub roles: Arc<[Arc<Role>]>,
    pub learned: Arc<Learned>,
    pub inventory: Arc<Vars>,
    /// How hosts are reached that don't say it; none where variables don't tell.
    pub connection: Option<Arc<str>>,
    /// Whether mappings of several levels are merged.
    pub settings: Arc<TemplateSettings>,
}

/// A variable that was found.
enum Found {
    Written(Var),
    Known(Value),
}

impl Found {
    fn value(&self) -> &Value {
        match self {
            Self::Written(var) => &var.value,
            Self::Known(value) => value,
        }
    }
}

impl HostScope {
    /// The strongest value; with `hash_behaviour=merge` the mappings of all levels in one.
    fn find(&self, name: &str) -> Option<Found> {
        if name == "vars" {
            return Some(Found::Known(Value::Object(Arc::new(AllVars {
                scope: self.clone(),
            }))));
        }
        let mut best: Option<Found> = None;
        let merge = self.settings.merge_hashes;
        let mut below: Vec<Value> = Vec::new();
        self.levels(name, &mut |found| {
            let is_mapping = matches!(found.value(), Value::Dict(_));
            match &best {
                None => best = Some(found),
                Some(_) if is_mapping => below.push(found.value().clone()),
                Some(_) => return false,
            }
            merge && is_mapping
        });
        let best = best?;
        if below.is_empty() {
            return Some(best);
        }
        let weakest_first = below.iter().rev().chain([best.value()]);
        let value = weakest_first
            .cloned()
            .reduce(|below, above| merged(&below, &above))?;
        Some(match best {
            Found::Written(var) => Found::Written(Var { value, ..var }),
            Found::Known(_) => Found::Known(value),
        })
    }

    /// What every level gives for a name, the strongest first, until enough was seen.
    fn levels(&self, name: &str, more: &mut dyn FnMut(Found) -> bool) {
        let wanted = self.strong(name, more)
            && self.written(name, more)
            && self.fact(name).is_none_or(&mut *more)
            && self
                .inventory
                .get(name)
                .is_none_or(|var| more(Found::Written(var.clone())))
            && self.default(name, more);
        if wanted && let Some(found) = self.connection(name) {
            more(found);
        }
    }

    /// How the host is reached, where nothing says it: only tasks see that, and everything else wins over it.
    fn connection(&self, name: &str) -> Option<Found> {
        let frame = self.frame.as_ref()?;
        let keyword = |keyword| frame.get(keyword).cloned().map(Found::Written);
        match name {
            "environment" => {
                let all = frame
                    .environments()
                    .iter()
                    .map(|var| var.value.clone())
                    .collect();
                let place = frame
                    .environments()
                    .last()
                    .map_or_else(|| Place::file(Path::new("")), |var| var.place.clone());
                let value = Value::list(all);
                Some(Found::Written(Var { value, place }))
            }
            "ansible_host" | "ansible_ssh_host" => self
                .inventory
                .get("ansible_host")
                .or_else(|| self.inventory.get("ansible_ssh_host"))
                .or_else(|| self.inventory.get("inventory_hostname"))
                .cloned()
                .map(Found::Written),
            "ansible_user" | "ansible_ssh_user" => keyword(Keyword::RemoteUser),
            "ansible_connection" => keyword(Keyword::Connection).or_else(|| {
                let known = self.connection.as_deref();
                known.map(|connection| Found::Known(Value::from(connection)))
            }),
            _ => None,
        }
    }

    /// Levels above the ones that people write into playbooks. False: enough was seen.
    fn strong(&self, name: &str, more: &mut dyn FnMut(Found) -> bool) -> bool {
        let magic = self.magic.iter().rev().find_map(|magic| magic.get(name));
        if magic.is_some_and(|value| !more(Found::Known(value.clone()))) {
            return false;
        }
        let mut written = |var: &Var| more(Found::Written(var.clone()));
        if self.extra.get(name).is_some_and(|var| !written(var)) {
            return false;
        }
        if let Some(frame) = &self.frame {
            let params = frame.chain().find_map(|frame| frame.params.get(name));
            let role = frame.role().map(|role| &role.params);
            let mut all = params
                .into_iter()
                .chain(role.into_iter().flat_map(|layers| in_layers(layers, name)));
            if !all.all(&mut written) {
                return false;
            }
        }
        [&self.learned.set, &self.learned.included]
            .into_iter()
            .all(|learned| {
                let value = read(learned).get(name).cloned();
                value.is_none_or(|value| more(Found::Known(value)))
            })
    }

    /// Variables of tasks, blocks, roles, files and the play. False: enough was seen.
    fn written(&self, name: &str, more: &mut dyn FnMut(Found) -> bool) -> bool {
        let mut written = |var: &Var| more(Found::Written(var.clone()));
        if let Some(frame) = &self.frame {
            let mut inside = frame.chain().filter(|frame| frame.parent.is_some());
            let own = inside.find_map(|frame| frame.keywords.vars.get(name));
            let role = frame.role().map(|role| &role.vars);
            let mut all = own
                .into_iter()
                .chain(role.into_iter().flat_map(|layers| in_layers(layers, name)));
            if !all.all(&mut written) {
                return false;
            }
        }
        let roles = self.roles.iter().rev();
        let play = self.play.as_ref();
        roles
            .flat_map(|role| in_layers(&role.exports, name))
            .chain(in_layers(&self.files, name))
            .chain(play.and_then(|play| play.keywords.vars.get(name)))
            .all(written)
    }

    fn fact(&self, name: &str) -> Option<Found> {
        let facts = read(&self.learned.facts);
        if name == "ansible_facts" {
            return Some(Found::Known(facts.short.clone()));
        }
        if self.settings.facts_apart && name != "ansible_local" {
            return None;
        }
        let value = facts.raw.get(name).cloned()?;
        harmless(name).then_some(Found::Known(value))
    }

    /// `defaults` of the task's own role, then of the play's. False: enough was seen.
    fn default(&self, name: &str, more: &mut dyn FnMut(Found) -> bool) -> bool {
        let own = self.frame.as_ref().and_then(|frame| frame.role());
        own.into_iter()
            .chain(self.roles.iter().rev())
            .flat_map(|role| in_layers(&role.defaults, name))
            .all(|var| more(Found::Written(var.clone())))
    }
}

fn in_layers<'a>(layers: &'a Layers, name: &'a str) -> impl Iterator<Item = &'a Var> {
    layers.iter().filter_map(move |layer| layer.get(name))
}

impl Scope for HostScope {
    fn get(&self, name: &str) -> Option<Value> {
        Some(match self.find(name)? {
            Found::Written(var) => var.value,
            Found::Known(value) => value,
        })
    }

    fn place(&self, name: &str) -> Option<Place> {
        match self.find(name)? {
            Found::Written(var) => Some(var.place),
            Found::Known(_) => None,
        }
    }

    /// The weakest level first, as Ansible's dictionary of all variables has them.
    fn names(&self) -> Vec<String> {
        let mut names: IndexSet<String> = IndexSet::new();
        let mut add = |layer: &Vars| names.extend(layer.keys().cloned());
        let own = self.frame.as_ref().and_then(|frame| frame.role());
        let all = |layers: &Layers, add: &mut dyn FnMut(&Vars)| {
            layers.iter().rev().for_each(|layer| add(layer));
        };
        for role in self.roles.iter() {
            all(&role.defaults, &mut add);
        }
        if let Some(role) = own {
            all(&role.defaults, &mut add);
        }
        add(&self.inventory);
        let facts = read(&self.learned.facts);
        names.insert("ansible_facts".to_owned());
        names.extend(facts.raw.keys().filter(|name| harmless(name)).cloned());
        let mut add = |layer: &Vars| names.extend(layer.keys().cloned());
        if let Some(play) = &self.play {
            add(&play.keywords.vars);
        }
        all(&self.files, &mut add);
        for role in self.roles.iter() {
            all(&role.exports, &mut add);
        }
        if let Some(role) = own {
            all(&role.vars, &mut add);
        }
        let frames: Vec<_> = self.frame.iter().flat_map(|frame| frame.chain()).collect();
        let outer_first = || frames.iter().rev();
        outer_first().for_each(|frame| add(&frame.keywords.vars));
        names.extend(read(&self.learned.included).keys().cloned());
        names.extend(read(&self.learned.set).keys().cloned());
        let mut add = |layer: &Vars| names.extend(layer.keys().cloned());
        if let Some(role) = own {
            all(&role.params, &mut add);
        }
        outer_first().for_each(|frame| add(&frame.params));
        add(&self.extra);
        for magic in &self.magic {
            names.extend(magic.keys().cloned());
        }
        names.into_iter().collect()
    }
}

/// `vars`: every variable under its name.
struct AllVars {
    scope: HostScope,
}

impl std::fmt::Debug for AllVars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("vars")
    }
}

impl Object for AllVars {
    fn type_name(&self) -> &'static str {
        "dict"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        let Value::Str(name) = key else { return None };
        let raw = Scope::get(&self.scope, &name.text)?;
        // As it was written: Ansible doesn't render what is behind `vars`.
        Some(raw)
    }

    fn keys(&self) -> Option<Vec<Value>> {
        Some(
            self.scope
                .names()
                .iter()
                .map(|name| Value::from(name.as_str()))
                .collect(),
        )
    }
}
