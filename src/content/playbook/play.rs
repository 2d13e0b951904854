//! Playbooks and plays.

use super::keywords::{self, On};
use super::load::{Pass, directory};
use super::setting::{self, list, text, var, word};
use super::task::Cx;
use super::tree::{Frame, Item, Keywords, LoadedRole, Play, Strategy, Task};
use crate::content::inventory::Var;
use crate::content::nearest::nearest;
use crate::content::place::{Cause, Fault};
use crate::content::value::Value;
use crate::content::yaml::Node;
use std::path::Path;
use std::sync::Arc;

const STRATEGIES: &[&str] = &["linear", "free", "host_pinned"];
const ORDERS: &[&str] = &[
    "inventory",
    "reverse_inventory",
    "sorted",
    "reverse_sorted",
    "shuffle",
];

impl Pass<'_> {
    /// The plays of a file; `outer` is what the imports on the way here add to each of them.
    pub(super) fn playbook(&mut self, path: &Path, outer: &Keywords) -> Vec<Arc<Play>> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.playbooks.contains(&real) {
            let chain: Vec<String> = self
                .playbooks
                .iter()
                .skip_while(|step| **step != real)
                .chain([&real])
                .map(|step| step.display().to_string())
                .collect();
            self.faults.push(
                Fault::new(format!("circular import_playbook: {}", chain.join(" -> ")))
                    .hint("A playbook can't import itself, not even through others."),
            );
            return Vec::new();
        }
        let Some(node) = self.node(path) else {
            return Vec::new();
        };
        self.playbooks.push(real);
        let plays = self.plays(&node, &Arc::from(path), outer);
        self.playbooks.pop();
        plays
    }

    pub(super) fn plays(
        &mut self,
        node: &Node,
        file: &Arc<Path>,
        outer: &Keywords,
    ) -> Vec<Arc<Play>> {
        let Some(entries) = node.as_seq() else {
            self.faults.push(
                Fault::new(format!(
                    "a playbook is a list of plays; this is {}",
                    node.describe()
                ))
                .at(&node.place)
                .hint("Start each play with `- hosts: …`."),
            );
            return Vec::new();
        };
        let mut plays = Vec::new();
        for entry in entries {
            let import = ["import_playbook", "ansible.builtin.import_playbook"]
                .into_iter()
                .find_map(|name| entry.entry(name));
            if let Some((key, target)) = import {
                plays.extend(self.import_playbook(entry, key, target, file, outer));
            } else if let Some(play) = self.play(entry, file, outer) {
                plays.push(Arc::new(play));
            }
        }
        plays
    }

    fn import_playbook(
        &mut self,
        entry: &Node,
        import: &Node,
        target: &Node,
        file: &Arc<Path>,
        outer: &Keywords,
    ) -> Vec<Arc<Play>> {
        let mut own = Keywords::default();
        for (key, value) in entry.as_map().unwrap_or_default() {
            if key.as_str() == import.as_str() {
                continue;
            }
            let Some((name, found)) = self.ok(word(key, On::ImportPlaybook)) else {
                continue;
            };
            match self.common(&mut own, value, &found) {
                Some(false) if name != "name" => {
                    self.faults.push(keywords::unknown(
                        &name,
                        On::ImportPlaybook,
                        &[],
                        &key.place,
                    ));
                }
                _ => {}
            }
        }
        // What stands further outside wins, and its conditions come first.
        let mut keywords = own;
        keywords.vars.extend(outer.vars.clone());
        keywords.when.splice(0..0, outer.when.iter().cloned());
        keywords.tags.splice(0..0, outer.tags.iter().cloned());
        let Some(target) = self.ok(var(target)) else {
            return Vec::new();
        };
        let frame = Frame {
            keywords: keywords.clone(),
            ..Frame::empty()
        };
        let Some(name) = self.static_text(&target, Some(&frame)) else {
            return Vec::new();
        };
        let path = directory(file).join(&name);
        let frame = Frame {
            search: Arc::from([directory(file)]),
            ..Frame::empty()
        };
        let path = match self.collection_playbook(&name, &frame) {
            Some(found) if !path.is_file() => found,
            _ => path,
        };
        if !path.is_file() {
            self.faults.push(
                Fault::new(format!("the playbook `{name}` is not there"))
                    .absent()
                    .at(&target.place)
                    .hint(format!("It was looked for as {}.", path.display())),
            );
            return Vec::new();
        }
        let before = self.faults.len();
        let plays = self.playbook(&path, &keywords);
        for fault in &mut self.faults[before..] {
            if fault.place.is_none() {
                fault.place = Some(target.place.clone());
            }
        }
        plays
    }

    fn play(&mut self, node: &Node, file: &Arc<Path>, outer: &Keywords) -> Option<Play> {
        let Some(entries) = node.as_map() else {
            self.faults.push(
                Fault::new(format!("a play is a mapping; this is {}", node.describe()))
                    .at(&node.place)
                    .hint("A play looks like `- hosts: all` with `tasks:` or `roles:` below."),
            );
            return None;
        };
        let Some(hosts) = node.get("hosts") else {
            self.faults.push(self.no_hosts(node));
            return None;
        };
        let patterns = self.ok(setting::list(hosts))?;
        let hosts = self.ok(hosts_value(&patterns, hosts))?;
        let mut draft = Draft::default();
        let mut keywords = Keywords::default();
        for (key, value) in entries {
            let Some((name, found)) = self.ok(word(key, On::Play)) else {
                continue;
            };
            if self.common(&mut keywords, value, &found) != Some(false) {
                continue;
            }
            if matches!(name.as_str(), "name" | "fact_path") {
                let text = setting::one_text(value, &name);
                self.ok(text);
            }
            let known = draft.set(&name, value);
            if self.ok(known) == Some(false) {
                self.faults
                    .push(keywords::unknown(&name, On::Play, &[], &key.place));
            }
        }
        for (keyword, var) in &self.loader.settings.keywords {
            if !keywords.set.iter().any(|(known, _)| known == keyword) {
                keywords.set.push((*keyword, var.clone()));
            }
        }
        keywords.vars.extend(outer.vars.clone());
        keywords.tags.splice(0..0, outer.tags.iter().cloned());
        if let Some(collection) = super::collections::of_playbook(file) {
            keywords.collections.push(Var {
                value: text(&collection),
                place: node.place.clone(),
            });
        }
        let frame = Arc::new(Frame {
            keywords,
            search: Arc::from([directory(file)]),
            ..Frame::empty()
        });
        self.check_frame(&frame);
        let strategy = self.check_choice(&draft.strategy, "strategy", STRATEGIES, &frame);
        self.check_choice(&draft.order, "order", ORDERS, &frame);
        draft.chosen = match strategy.as_deref() {
            Some("free") => Strategy::Free,
            Some("host_pinned") => Strategy::HostPinned,
            Some(_) => Strategy::Linear,
            None => self.loader.settings.strategy,
        };
        draft.patterns = patterns;
        Some(self.body(node, file, hosts, draft, &frame, outer))
    }

    /// Roles, tasks and handlers of a play.
    fn body(
        &mut self,
        node: &Node,
        file: &Arc<Path>,
        hosts: Var,
        draft: Draft,
        frame: &Arc<Frame>,
        outer: &Keywords,
    ) -> Play {
        // Conditions of an import hold for every task, not for gathering facts.
        let inner = if outer.when.is_empty() {
            Arc::clone(frame)
        } else {
            Arc::new(Frame {
                keywords: Keywords {
                    when: outer.when.clone(),
                    ..Keywords::default()
                },
                parent: Some(Arc::clone(frame)),
                search: Arc::clone(&frame.search),
                ..Frame::empty()
            })
        };
        let cx = Cx::of_file(&inner, file, false);
        self.imported.clear();
        let roles = self.play_roles(draft.roles.as_ref(), &inner);
        let pre_tasks = self.items_of(draft.pre_tasks.as_ref(), &cx);
        let tasks = self.items_of(draft.tasks.as_ref(), &cx);
        let post_tasks = self.items_of(draft.post_tasks.as_ref(), &cx);
        let own = self.items_of(draft.handlers.as_ref(), &Cx::of_file(&inner, file, true));
        let own = self.handlers(own);
        let role_tasks = roles
            .iter()
            .flat_map(|role| role.tasks.iter().cloned())
            .collect();
        let imported = std::mem::take(&mut self.imported);
        let of = |roles: &[LoadedRole]| -> Vec<Arc<Task>> {
            let handlers = roles.iter().flat_map(|role| role.handlers.iter());
            handlers.cloned().collect()
        };
        // Those of `roles:`, the play's own, those of imports.
        let handlers = [of(&roles), own, of(&imported)].concat();
        let all = roles.into_iter().chain(imported);
        Play {
            place: node.place.clone(),
            file: Arc::clone(file),
            name: draft.name.unwrap_or_else(|| hosts.clone()),
            hosts,
            patterns: draft.patterns,
            gather_facts: draft.gather_facts,
            gather_subset: draft.gather_subset,
            gather_timeout: draft.gather_timeout,
            fact_path: draft.fact_path,
            prompts: draft.prompts,
            vars_files: draft.vars_files,
            serial: draft.serial,
            order: draft.order,
            max_fail_percentage: draft.max_fail_percentage,
            force_handlers: draft.force_handlers,
            strategy: draft.chosen,
            frame: Arc::clone(frame),
            role_tasks,
            roles: all.map(|loaded| loaded.role).collect(),
            pre_tasks,
            tasks,
            post_tasks,
            handlers,
        }
    }

    fn items_of(&mut self, node: Option<&Node>, cx: &Cx) -> Vec<Item> {
        node.map(|node| self.items(node, cx)).unwrap_or_default()
    }

    /// The handlers of a list. A block gives what it says to each of its own; it can't hold another, and its `rescue`
    /// and `always` are never run, as in Ansible.
    pub(super) fn handlers(&mut self, items: Vec<Item>) -> Vec<Arc<Task>> {
        let mut handlers = Vec::new();
        for item in items {
            match item {
                Item::Task(task) => handlers.push(task),
                Item::Block(block) => {
                    for inner in &block.tasks {
                        match inner {
                            Item::Task(task) => handlers.push(Arc::clone(task)),
                            Item::Block(inner) => self.faults.push(
                                Fault::new("a block of handlers can't hold another block")
                                    .at(&inner.place)
                                    .hint("Put its `when` and other keywords on the handlers."),
                            ),
                            Item::RoleEnd(_) => {}
                        }
                    }
                }
                Item::RoleEnd(_) => {}
            }
        }
        handlers
    }

    fn no_hosts(&self, node: &Node) -> Fault {
        let fault = Fault::new("a play needs `hosts:`").at(&node.place);
        let Some((key, _)) = node.as_map().and_then(|entries| entries.first()) else {
            return fault;
        };
        let name = key.as_str().unwrap_or_default();
        if !nearest(name, ["hosts"], 1).is_empty() || name == "host" {
            return fault.hint(format!("Did you mean `hosts` where `{name}` stands?"));
        }
        if node.get("name").is_some() || super::modules::known(name) {
            return fault.hint(
                "This looks like a task. A playbook is a list of plays; tasks go below `tasks:` of one.",
            );
        }
        fault.hint("Say which hosts the play is for, as in `hosts: all`.")
    }

    fn check_choice(
        &mut self,
        given: &Option<Var>,
        keyword: &str,
        choices: &[&str],
        frame: &Arc<Frame>,
    ) -> Option<String> {
        let given = given.as_ref()?;
        let name = self.static_text(given, Some(frame))?;
        let short = name.trim_start_matches("ansible.builtin.");
        // Those of mitogen are the same strategies by another way to the hosts.
        let short = short.strip_prefix("mitogen_").unwrap_or(short);
        if keyword == "strategy" && short == "debug" {
            self.faults.push(
                Fault::new("the strategy `debug` is not supported")
                    .at(&given.place)
                    .hint("It asks at a terminal what to do about each failure; `kopsrun runs show` tells what a failed task was given."),
            );
        } else if keyword == "strategy" && self.loader.settings.listing {
            // Ansible looks for the plugin when the play runs.
        } else if !choices.contains(&short) {
            let mut fault = Fault::new(format!("`{name}` is not a {keyword}"))
                .at(&given.place)
                .hint(format!("Known are {}.", choices.join(", ")));
            fault.cause = match keyword {
                "order" => Cause::Choice,
                _ => Cause::Absent,
            };
            self.faults.push(fault);
        }
        Some(short.to_owned())
    }
}

/// One pattern; a list is joined as Ansible does.
fn hosts_value(names: &[Var], node: &Node) -> Result<Var, Fault> {
    let blank = |name: &Var| match &name.value {
        Value::Str(text) => text.text.is_empty(),
        other => matches!(other, Value::None),
    };
    if names.is_empty() || names.iter().any(blank) {
        return Err(Fault::new("`hosts:` is empty")
            .at(&node.place)
            .hint("Say which hosts the play is for, as in `hosts: all`."));
    }
    if names.len() == 1
        && let Some(only) = names.first()
    {
        return Ok(only.clone());
    }
    let mut words = Vec::new();
    for name in names {
        let Value::Str(word) = &name.value else {
            return Err(Fault::new("`hosts:` is a pattern or a list of patterns").at(&name.place));
        };
        words.push(word.text.to_string());
    }
    Ok(Var {
        value: text(&words.join(",")),
        place: node.place.clone(),
    })
}

/// Settings of one question of `vars_prompt`.
const PROMPT: &[&str] = &[
    "confirm",
    "default",
    "encrypt",
    "name",
    "private",
    "prompt",
    "salt",
    "salt_size",
    "unsafe",
];

/// The questions of `vars_prompt`: each a mapping with a name.
fn prompts(node: &Node) -> Result<Vec<Var>, Fault> {
    for question in node.as_seq().unwrap_or_default() {
        for (key, _) in question.as_map().unwrap_or_default() {
            let name = setting::name(key)?;
            if !PROMPT.contains(&name.as_str()) {
                return Err(
                    Fault::new(format!("`{name}` is not a setting of `vars_prompt`"))
                        .at(&key.place)
                        .hint(format!("Known are {}.", PROMPT.join(", "))),
                );
            }
        }
        if question.get("name").is_none() {
            return Err(
                Fault::new("a question of `vars_prompt` needs a `name`").at(&question.place)
            );
        }
    }
    list(node)
}

/// Fields of a play while it is read.
#[derive(Default)]
struct Draft {
    patterns: Vec<Var>,
    name: Option<Var>,
    gather_facts: Option<Var>,
    gather_subset: Option<Var>,
    gather_timeout: Option<Var>,
    fact_path: Option<Var>,
    prompts: Vec<Var>,
    vars_files: Vec<Var>,
    serial: Option<Var>,
    order: Option<Var>,
    strategy: Option<Var>,
    chosen: Strategy,
    max_fail_percentage: Option<Var>,
    force_handlers: Option<Var>,
    roles: Option<Node>,
    pre_tasks: Option<Node>,
    tasks: Option<Node>,
    post_tasks: Option<Node>,
    handlers: Option<Node>,
}

impl Draft {
    /// False when the word isn't a field of plays.
    fn set(&mut self, name: &str, value: &Node) -> Result<bool, Fault> {
        let field = match name {
            "hosts" => return Ok(true),
            "vars_files" => {
                self.vars_files = list(value)?;
                return Ok(true);
            }
            "vars_prompt" => {
                self.prompts = prompts(value)?;
                return Ok(true);
            }
            "roles" | "pre_tasks" | "tasks" | "post_tasks" | "handlers" => {
                let slot = match name {
                    "roles" => &mut self.roles,
                    "pre_tasks" => &mut self.pre_tasks,
                    "tasks" => &mut self.tasks,
                    "post_tasks" => &mut self.post_tasks,
                    _ => &mut self.handlers,
                };
                *slot = Some(value.clone());
                return Ok(true);
            }
            "name" => &mut self.name,
            "gather_facts" => &mut self.gather_facts,
            "gather_subset" => &mut self.gather_subset,
            "gather_timeout" => &mut self.gather_timeout,
            "fact_path" => &mut self.fact_path,
            "serial" => &mut self.serial,
            "order" => &mut self.order,
            "strategy" => &mut self.strategy,
            "max_fail_percentage" => &mut self.max_fail_percentage,
            "force_handlers" => &mut self.force_handlers,
            _ => return Ok(false),
        };
        if !value.is_null() {
            *field = Some(var(value)?);
        }
        Ok(true)
    }
}
