//! Tasks, blocks and static imports.

use super::keywords::{self, On, Word};
use super::kv;
use super::load::{Pass, RoleCall, directory};
use super::modules;
use super::setting::{self, common, identifier, list, text, var, word};
use super::tree::{Args, Block, Frame, Item, Keyword, Keywords, Loop, Task};
use crate::content::inventory::Var;
use crate::content::nearest::nearest;
use crate::content::place::{Fault, Place};
use crate::content::value::Value;
use crate::content::yaml::{Kind, Node};
use host::Spec;
use serde_json::Map;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Lookups that `with_NAME` may name.
const LOOPS: &[&str] = &[
    "dict",
    "fileglob",
    "file",
    "first_found",
    "flattened",
    "indexed_items",
    "inventory_hostnames",
    "items",
    "lines",
    "list",
    "nested",
    "random_choice",
    "sequence",
    "subelements",
    "together",
    "cartesian",
];

/// Where tasks are being read.
#[derive(Clone)]
pub(super) struct Cx {
    pub(super) frame: Arc<Frame>,
    /// Where files are looked for: roles around, then the directory of this file.
    pub(super) search: Arc<[PathBuf]>,
    pub(super) handlers: bool,
}

impl Cx {
    pub(super) fn of_file(frame: &Arc<Frame>, file: &Path, handlers: bool) -> Self {
        let mut search: Vec<PathBuf> = Vec::new();
        let roles = frame
            .chain()
            .filter_map(|frame| frame.role.as_ref())
            .map(|role| role.path.clone());
        for dir in roles.chain([directory(file)]) {
            if !search.contains(&dir) {
                search.push(dir);
            }
        }
        Self {
            frame: Arc::clone(frame),
            search: Arc::from(search),
            handlers,
        }
    }

    fn on(&self) -> On {
        if self.handlers { On::Handler } else { On::Task }
    }

    fn inside(&self, keywords: Keywords) -> Arc<Frame> {
        Arc::new(Frame {
            keywords,
            parent: Some(Arc::clone(&self.frame)),
            search: Arc::clone(&self.search),
            includes: Arc::clone(&self.frame.includes),
            ..Frame::empty()
        })
    }
}

/// A task while it is read.
#[derive(Default)]
struct Draft {
    keywords: Keywords,
    name: Option<Var>,
    looping: Option<(Option<Arc<str>>, Var)>,
    control: Option<Node>,
    register: Option<Arc<str>>,
    changed_when: Vec<Var>,
    failed_when: Vec<Var>,
    until: Vec<Var>,
    retries: Option<Var>,
    delay: Option<Var>,
    listen: Vec<Var>,
    args: Option<Node>,
    /// Every module that the task names: key and arguments.
    actions: Vec<(Node, Node)>,
}

impl Pass<'_> {
    /// A list of tasks and blocks.
    pub(super) fn items(&mut self, node: &Node, cx: &Cx) -> Vec<Item> {
        match &node.kind {
            Kind::Null => Vec::new(),
            Kind::Seq(entries) => entries
                .iter()
                .flat_map(|entry| self.item(entry, cx))
                .collect(),
            _ => {
                self.faults.push(
                    Fault::new(format!(
                        "a list of tasks was expected; this is {}",
                        node.describe()
                    ))
                    .at(&node.place)
                    .hint("Start each task with `- `."),
                );
                Vec::new()
            }
        }
    }

    fn item(&mut self, node: &Node, cx: &Cx) -> Vec<Item> {
        let Some(entries) = node.as_map() else {
            if !node.is_null() {
                self.faults.push(
                    Fault::new(format!("a task is a mapping; this is {}", node.describe()))
                        .at(&node.place)
                        .hint("A task looks like `- name: …` with the module below."),
                );
            }
            return Vec::new();
        };
        if ["block", "rescue", "always"]
            .iter()
            .any(|key| node.get(key).is_some())
        {
            return self.block(node, entries, cx).into_iter().collect();
        }
        self.task(node, entries, cx)
    }

    fn block(&mut self, node: &Node, entries: &[(Node, Node)], cx: &Cx) -> Option<Item> {
        let mut keywords = Keywords::default();
        let mut name = None;
        let mut sections: [Option<&Node>; 3] = [None; 3];
        for (key, value) in entries {
            let Some((word_name, found)) = self.ok(word(key, On::Block)) else {
                continue;
            };
            match word_name.as_str() {
                "block" => sections[0] = Some(value),
                "rescue" => sections[1] = Some(value),
                "always" => sections[2] = Some(value),
                "name" => name = self.ok(var(value)),
                _ => {
                    if self.ok(common(&mut keywords, value, &found)) == Some(false) {
                        self.faults
                            .push(keywords::unknown(&word_name, On::Block, &[], &key.place));
                    }
                }
            }
        }
        if sections[0].is_none() {
            self.faults.push(
                Fault::new("`rescue:` and `always:` need a `block:` beside them").at(&node.place),
            );
            return None;
        }
        let frame = cx.inside(keywords);
        let inner = Cx {
            frame: Arc::clone(&frame),
            ..cx.clone()
        };
        let [tasks, rescue, always] = sections.map(|section| {
            section
                .map(|section| self.items(section, &inner))
                .unwrap_or_default()
        });
        Some(Item::Block(Arc::new(Block {
            place: node.place.clone(),
            name,
            frame,
            tasks,
            rescue,
            always,
        })))
    }

    fn task(&mut self, node: &Node, entries: &[(Node, Node)], cx: &Cx) -> Vec<Item> {
        let before = self.faults.len();
        let draft = self.draft(entries, cx);
        let Some((spec, args, places)) = self.action(node, &draft, cx.on(), before) else {
            return Vec::new();
        };
        match spec.name {
            "import_tasks" => self.import_tasks(node, draft, &args, cx),
            "import_role" => self.import_role(node, draft, &args, cx),
            _ => {
                let task = self.finish_task(node, draft, (spec, args, places), cx);
                task.map(|task| Item::Task(Arc::new(task)))
                    .into_iter()
                    .collect()
            }
        }
    }

    fn draft(&mut self, entries: &[(Node, Node)], cx: &Cx) -> Draft {
        let mut draft = Draft::default();
        for (key, value) in entries {
            let Some((name, found)) = self.ok(word(key, cx.on())) else {
                continue;
            };
            if self.ok(common(&mut draft.keywords, value, &found)) != Some(false) {
                continue;
            }
            if let Word::Own(own) = found {
                let set = draft.set(own, key, value);
                self.ok(set);
                continue;
            }
            if let Some(lookup) = name.strip_prefix("with_") {
                let set = draft.set_with(lookup, key, value);
                self.ok(set);
            } else if modules::known(&name) || name.contains('.') {
                draft.actions.push((key.clone(), value.clone()));
            } else if matches!(name.as_str(), "include") {
                self.faults.push(
                    Fault::new("`include` was removed from Ansible")
                        .at(&key.place)
                        .hint("Use `include_tasks` or `import_tasks`."),
                );
                draft
                    .actions
                    .push((key.clone(), Node::null(&key.place.file)));
            } else {
                self.unknown_word(&name, key, value, entries, cx, &mut draft);
            }
        }
        draft
    }

    /// A word that is neither a keyword nor a module: the module if the task names none, else a mistyped keyword.
    fn unknown_word(
        &mut self,
        name: &str,
        key: &Node,
        value: &Node,
        entries: &[(Node, Node)],
        cx: &Cx,
        draft: &mut Draft,
    ) {
        let has_module = entries
            .iter()
            .filter_map(|(key, _)| key.as_str())
            .any(|word| {
                word != name && (modules::known(word) || matches!(word, "action" | "local_action"))
            });
        let names = modules::names();
        let near_module = nearest(name, names.iter().copied(), 1);
        if has_module || (near_module.is_empty() && is_near_keyword(name, cx.on())) {
            self.faults
                .push(keywords::unknown(name, cx.on(), &[], &key.place));
        } else {
            draft.actions.push((key.clone(), value.clone()));
        }
    }

    /// The module of a task and its arguments, checked.
    fn action(
        &mut self,
        node: &Node,
        draft: &Draft,
        on: On,
        before: usize,
    ) -> Option<(&'static Spec, Args, HashMap<String, Place>)> {
        let [(key, value)] = draft.actions.as_slice() else {
            if draft.actions.is_empty() {
                // A word that was told to be wrong is likely the module.
                if self.faults.len() == before {
                    self.faults.push(
                        Fault::new("no module or action is named in this task")
                            .at(&node.place)
                            .hint(format!(
                                "{} names one module, as in `command: uptime`.",
                                if on == On::Handler {
                                    "A handler"
                                } else {
                                    "A task"
                                }
                            )),
                    );
                }
            } else {
                let names: Vec<&str> = draft
                    .actions
                    .iter()
                    .filter_map(|(key, _)| key.as_str())
                    .collect();
                let (second, _) = &draft.actions[1];
                self.faults.push(
                    Fault::new(format!(
                        "one task names several modules: {}",
                        names.join(", ")
                    ))
                    .at(&second.place)
                    .hint("Start a new task with `- ` for each."),
                );
            }
            return None;
        };
        let name = key.as_str().unwrap_or_default();
        let (name, place, value) = if matches!(name, "action" | "local_action") {
            self.indirect(key, value)?
        } else {
            (name.to_owned(), key.place.clone(), value.clone())
        };
        let Some(spec) = modules::resolve(&name) else {
            self.faults.push(modules::unknown(&name, &place));
            return None;
        };
        let mut places = HashMap::new();
        let found = arguments(spec, &value, draft.args.as_ref(), &place, &mut places);
        let args = self.ok(found)?;
        let checked = check(spec, &args, &places, &place);
        self.ok(checked)?;
        Some((spec, args, places))
    }

    /// `action: copy src=a dest=b` or `action: {module: copy, …}`.
    fn indirect(&mut self, key: &Node, value: &Node) -> Option<(String, Place, Node)> {
        let place = value.place.clone();
        if let Some(line) = value.as_str() {
            let line = line.trim();
            let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let mut rest_node = value.clone();
            rest_node.kind = if rest.trim().is_empty() {
                Kind::Null
            } else {
                Kind::Str(Arc::from(rest.trim()))
            };
            return Some((name.to_owned(), place, rest_node));
        }
        let entry = value.get("module").and_then(Node::as_str);
        let (Some(entries), Some(name)) = (value.as_map(), entry) else {
            self.faults.push(
                Fault::new(format!(
                    "`{}` needs the name of a module",
                    key.as_str().unwrap_or_default()
                ))
                .at(&place),
            );
            return None;
        };
        let rest: Vec<(Node, Node)> = entries
            .iter()
            .filter(|(key, _)| key.as_str() != Some("module"))
            .cloned()
            .collect();
        let name = name
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        let mut node = value.clone();
        node.kind = Kind::Map(Arc::from(rest));
        Some((name, place, node))
    }

    fn finish_task(
        &mut self,
        node: &Node,
        mut draft: Draft,
        (spec, args, places): (&'static Spec, Args, HashMap<String, Place>),
        cx: &Cx,
    ) -> Option<Task> {
        let looping = self.looping(&draft);
        let apply = self.apply(&args)?;
        if spec.name == "meta" {
            self.check_meta(&args, &node.place);
        }
        let delegated = draft
            .actions
            .iter()
            .find(|(key, _)| key.as_str() == Some("local_action"));
        if let Some((key, _)) = delegated {
            draft.keywords.set.push((
                Keyword::DelegateTo,
                Var {
                    value: text("localhost"),
                    place: key.place.clone(),
                },
            ));
        }
        drop(places);
        Some(Task {
            id: self.loader.id(),
            place: node.place.clone(),
            name: draft.name,
            module: Arc::from(spec.name),
            module_place: draft
                .actions
                .first()
                .map_or_else(|| node.place.clone(), |(key, _)| key.place.clone()),
            args,
            frame: cx.inside(draft.keywords),
            looping,
            register: draft.register,
            changed_when: draft.changed_when,
            failed_when: draft.failed_when,
            until: draft.until,
            retries: draft.retries,
            delay: draft.delay,
            listen: draft.listen,
            apply,
            handler: cx.handlers,
        })
    }

    /// Keywords of `apply:`.
    #[expect(clippy::option_option, reason = "absent and wrong are different")]
    fn apply(&mut self, args: &Args) -> Option<Option<Arc<Keywords>>> {
        let Some(node) = &args.apply else {
            return Some(None);
        };
        let Some(entries) = node.as_map() else {
            self.faults.push(
                Fault::new(format!(
                    "`apply:` is a mapping of keywords; this is {}",
                    node.describe()
                ))
                .at(&node.place),
            );
            return None;
        };
        let mut keywords = Keywords::default();
        for (key, value) in entries {
            let Some((name, found)) = self.ok(word(key, On::Block)) else {
                continue;
            };
            if self.ok(common(&mut keywords, value, &found)) == Some(false) {
                self.faults
                    .push(keywords::unknown(&name, On::Block, &[], &key.place));
            }
        }
        Some(Some(Arc::new(keywords)))
    }

    fn check_meta(&mut self, args: &Args, place: &Place) {
        let given = args.free_form.as_ref();
        let Some(Value::Str(name)) = given.map(|var| &var.value) else {
            self.faults.push(
                Fault::new("`meta` needs to be told what to do")
                    .at(place)
                    .hint(format!("Known are {}.", modules::META.join(", "))),
            );
            return;
        };
        if !modules::META.contains(&&*name.text) {
            let mut fault = Fault::new(format!("`meta: {}` is not known", name.text))
                .at(given.map_or(place, |var| &var.place));
            let near = nearest(&name.text, modules::META.iter().copied(), 2);
            fault = if near.is_empty() {
                fault.hint(format!("Known are {}.", modules::META.join(", ")))
            } else {
                fault.hint(format!("Did you mean `{}`?", near.join("` or `")))
            };
            self.faults.push(fault);
        }
    }

    fn looping(&mut self, draft: &Draft) -> Option<Loop> {
        let control = draft.control.as_ref();
        let Some((lookup, terms)) = draft.looping.clone() else {
            if let Some(control) = control {
                self.faults.push(
                    Fault::new("`loop_control` needs a loop")
                        .at(&control.place)
                        .hint("Add `loop:` with a list."),
                );
            }
            return None;
        };
        let mut found = Loop {
            lookup,
            terms,
            label: None,
            var: Arc::from("item"),
            index_var: None,
            pause: None,
            extended: None,
            extended_allitems: None,
        };
        for (key, value) in control.and_then(Node::as_map).unwrap_or_default() {
            let name = key.as_str().unwrap_or_default();
            match name {
                "loop_var" => {
                    if let Some(name) = self.ok(identifier(value, name)) {
                        found.var = name;
                    }
                }
                "index_var" => found.index_var = self.ok(identifier(value, name)),
                "label" => found.label = self.ok(var(value)),
                "pause" => found.pause = self.ok(var(value)),
                "extended" => found.extended = self.ok(var(value)),
                "extended_allitems" => found.extended_allitems = self.ok(var(value)),
                _ => {
                    let hint = if name == "break_when" {
                        "`break_when` came with Ansible 2.20; kopsrun follows 2.18."
                    } else {
                        "Known are loop_var, index_var, label, pause, extended, extended_allitems."
                    };
                    self.faults.push(
                        Fault::new(format!("`{name}` is not a setting of `loop_control`"))
                            .at(&key.place)
                            .hint(hint),
                    );
                }
            }
        }
        Some(found)
    }

    /// The tasks of a file in the place of the import.
    fn import_tasks(&mut self, node: &Node, draft: Draft, args: &Args, cx: &Cx) -> Vec<Item> {
        let Some(target) = args
            .free_form
            .as_ref()
            .or_else(|| args.get("file"))
            .cloned()
        else {
            self.faults
                .push(Fault::new("`import_tasks` needs a file").at(&node.place));
            return Vec::new();
        };
        if self.loops_at_import(&draft, "import_tasks", "include_tasks") {
            return Vec::new();
        }
        let inside = cx.inside(draft.keywords);
        let Some(name) = self.static_text(&target, Some(&inside)) else {
            return Vec::new();
        };
        let path = find_tasks(&name, &cx.search, &self.dir, cx.handlers);
        let path = match path {
            Ok(path) => path,
            Err(looked) => {
                self.faults
                    .push(missing_file(&name, &looked, &target.place));
                return Vec::new();
            }
        };
        let listen = draft.listen;
        let items = self.task_file(&path, &cx.frame, &inside, cx.handlers, Some(&target.place));
        if listen.is_empty() {
            return items;
        }
        items
            .into_iter()
            .map(|item| also_listen(item, &listen))
            .collect()
    }

    /// Reads a file of tasks. `around` is what includes it, for finding circles; `inside` is what the tasks inherit.
    pub(super) fn task_file(
        &mut self,
        path: &Path,
        around: &Frame,
        inside: &Arc<Frame>,
        handlers: bool,
        imported_at: Option<&Place>,
    ) -> Vec<Item> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(place) = imported_at
            && let Some(first) = around.includes.iter().position(|step| *step == real)
        {
            let chain: Vec<String> = around.includes[first..]
                .iter()
                .chain([&real])
                .map(|step| step.display().to_string())
                .collect();
            self.faults.push(
                Fault::new(format!("circular import_tasks: {}", chain.join(" -> ")))
                    .at(place)
                    .hint("An import always happens; use `include_tasks` with a condition that ends the circle."),
            );
            return Vec::new();
        }
        let Some(node) = self.node(path) else {
            return Vec::new();
        };
        let includes: Vec<PathBuf> = around.includes.iter().cloned().chain([real]).collect();
        let frame = Arc::new(Frame {
            parent: Some(Arc::clone(inside)),
            search: Arc::clone(&inside.search),
            includes: Arc::from(includes),
            ..Frame::empty()
        });
        self.items(&node, &Cx::of_file(&frame, path, handlers))
    }

    fn import_role(&mut self, node: &Node, draft: Draft, args: &Args, cx: &Cx) -> Vec<Item> {
        if self.loops_at_import(&draft, "import_role", "include_role") {
            return Vec::new();
        }
        let Some(name) = args.get("name").or_else(|| args.get("role")).cloned() else {
            self.faults
                .push(Fault::new("`import_role` needs the name of a role").at(&node.place));
            return Vec::new();
        };
        let inside = cx.inside(draft.keywords);
        let mut call = RoleCall {
            public: true,
            ..RoleCall::default()
        };
        for (field, slot) in [
            ("tasks_from", &mut call.tasks_from),
            ("vars_from", &mut call.vars_from),
            ("defaults_from", &mut call.defaults_from),
            ("handlers_from", &mut call.handlers_from),
        ] {
            if let Some(var) = args.get(field) {
                *slot = self.static_text(var, Some(&inside));
            }
        }
        if let Some(Value::Bool(duplicates)) = args.get("allow_duplicates").map(|var| &var.value) {
            call.allow_duplicates = Some(*duplicates);
        } else {
            call.allow_duplicates = Some(true);
        }
        if let Some(Value::Bool(public)) = args.get("public").map(|var| &var.value) {
            call.public = *public;
        }
        let Some(mut loaded) = self.imported_role(call, name, &inside) else {
            return Vec::new();
        };
        let items = std::mem::take(&mut loaded.tasks);
        self.imported.push(loaded);
        items
    }

    fn loops_at_import(&mut self, draft: &Draft, import: &str, include: &str) -> bool {
        let Some((_, terms)) = &draft.looping else {
            return false;
        };
        self.faults.push(
            Fault::new(format!("`{import}` can't loop"))
                .at(&terms.place)
                .hint(format!("Use `{include}`, which happens at run time.")),
        );
        true
    }
}

impl Draft {
    fn set(&mut self, name: &str, key: &Node, value: &Node) -> Result<(), Fault> {
        match name {
            "action" | "local_action" => self.actions.push((key.clone(), value.clone())),
            "args" => self.args = Some(value.clone()),
            "name" => self.name = Some(var(value)?).filter(|_| !value.is_null()),
            "changed_when" => self.changed_when = list(value)?,
            "failed_when" => self.failed_when = list(value)?,
            "until" => self.until = list(value)?,
            "listen" => self.listen = setting::comma_list(value)?,
            "register" => self.register = Some(identifier(value, "register")?),
            "retries" => self.retries = Some(var(value)?).filter(|_| !value.is_null()),
            "delay" => self.delay = Some(var(value)?).filter(|_| !value.is_null()),
            "loop_control" => self.control = Some(value.clone()),
            "loop" => self.set_loop(None, key, value)?,
            _ => {}
        }
        Ok(())
    }

    fn set_with(&mut self, lookup: &str, key: &Node, value: &Node) -> Result<(), Fault> {
        let short = lookup.rsplit('.').next().unwrap_or(lookup);
        if !LOOPS.contains(&short) {
            let fault = Fault::new(format!("`with_{lookup}` is not known")).at(&key.place);
            let near = nearest(short, LOOPS.iter().copied(), 2);
            return Err(if near.is_empty() {
                fault.hint(format!("Known are with_{}.", LOOPS.join(", with_")))
            } else {
                fault.hint(format!("Did you mean `with_{}`?", near.join("` or `with_")))
            });
        }
        self.set_loop(Some(Arc::from(short)), key, value)
    }

    fn set_loop(
        &mut self,
        lookup: Option<Arc<str>>,
        key: &Node,
        value: &Node,
    ) -> Result<(), Fault> {
        if self.looping.is_some() {
            return Err(Fault::new("one task can have only one loop")
                .at(&key.place)
                .hint("Combine the lists, as in `loop: \"{{ a | product(b) }}\"`."));
        }
        if !value.is_null() {
            self.looping = Some((lookup, var(value)?));
        }
        Ok(())
    }
}

/// Arguments of a task: those of the module's line or mapping, over those of `args:`.
fn arguments(
    spec: &Spec,
    value: &Node,
    extra: Option<&Node>,
    place: &Place,
    places: &mut HashMap<String, Place>,
) -> Result<Args, Fault> {
    let mut args = Args::default();
    match extra.map(|node| (&node.kind, node)) {
        None | Some((Kind::Null, _)) => {}
        Some((Kind::Map(entries), _)) => insert(&mut args, entries, places)?,
        Some((Kind::Str(text), node)) if text.trim_start().starts_with("{{") => {
            args.whole = Some(var(node)?);
        }
        Some((_, node)) => {
            return Err(
                Fault::new(format!("`args:` is a mapping; this is {}", node.describe()))
                    .at(&node.place),
            );
        }
    }
    match &value.kind {
        Kind::Null => {}
        Kind::Map(entries) => insert(&mut args, entries, places)?,
        Kind::Str(line) => {
            let whole = line.trim();
            if !spec.free_form && whole.starts_with("{{") && whole.ends_with("}}") {
                args.whole = Some(var(value)?);
            } else {
                line_arguments(spec, line, value, &mut args, places)?;
            }
        }
        // A number or a word that YAML reads as something else: a command like `command: true`.
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::BigInt(_) if spec.free_form => {
            let given = value.value()?;
            args.free_form = Some(Var {
                value: text(&given.to_text()),
                place: value.place.clone(),
            });
        }
        _ => {
            return Err(Fault::new(format!(
                "arguments of `{}` are a mapping or a line; this is {}",
                spec.name,
                value.describe()
            ))
            .at(&value.place));
        }
    }
    if spec.free_form
        && let Some(raw) = args.map.shift_remove("_raw_params")
    {
        args.free_form.get_or_insert(raw);
    }
    let _at = place;
    Ok(args)
}

fn insert(
    args: &mut Args,
    entries: &[(Node, Node)],
    places: &mut HashMap<String, Place>,
) -> Result<(), Fault> {
    for (key, value) in entries {
        let name = setting::name(key)?;
        places.insert(name.clone(), key.place.clone());
        if name == "apply" {
            args.apply = Some(value.clone());
        } else {
            args.map.insert(name, var(value)?);
        }
    }
    Ok(())
}

fn line_arguments(
    spec: &Spec,
    line: &str,
    node: &Node,
    args: &mut Args,
    places: &mut HashMap<String, Place>,
) -> Result<(), Fault> {
    let found = kv::split(line, spec.free_form).map_err(|what| {
        Fault::new(format!(
            "the line of `{}` can't be split: {what}",
            spec.name
        ))
        .at(&node.place)
        .hint("Write the arguments as a mapping below the module, or quote the whole line.")
    })?;
    for (name, value) in found.options {
        places.insert(name.clone(), node.place.clone());
        args.map.insert(
            name,
            Var {
                value: text(&value),
                place: node.place.clone(),
            },
        );
    }
    if let Some(free) = found.free {
        if !spec.free_form {
            let hint = match spec.args.first() {
                Some(first) => format!(
                    "Write `{}: {}={free}` or a mapping below the module.",
                    spec.name, first.name
                ),
                None => format!("`{}` takes no arguments.", spec.name),
            };
            return Err(
                Fault::new(format!("`{free}` is not an argument of `{}`", spec.name))
                    .at(&node.place)
                    .hint(hint),
            );
        }
        args.free_form = Some(Var {
            value: text(&free),
            place: node.place.clone(),
        });
    }
    Ok(())
}

/// Checks arguments as far as they are known without templates.
fn check(
    spec: &'static Spec,
    args: &Args,
    places: &HashMap<String, Place>,
    whole: &Place,
) -> Result<(), Fault> {
    if args.whole.is_some() {
        return Ok(());
    }
    let mut map: Map<String, serde_json::Value> = args
        .map
        .iter()
        .map(|(name, var)| (name.clone(), var.value.to_json()))
        .collect();
    if let Some(free) = &args.free_form {
        map.insert("_raw_params".to_owned(), free.value.to_json());
    }
    let place = |name: &str| places.get(name).unwrap_or(whole).clone();
    modules::check(spec, &map, &place, whole)
}

/// The file of an include: in the folder of the tasks that name it, the roles around, the playbook's directory. The
/// error is where it was looked for.
pub fn find_tasks(
    name: &str,
    search: &[PathBuf],
    dir: &Path,
    handlers: bool,
) -> Result<PathBuf, Vec<PathBuf>> {
    let folder = if handlers { "handlers" } else { "tasks" };
    let mut places: Vec<PathBuf> = Vec::new();
    // The directory of the file itself comes last in `search`, and counts first here.
    for place in search.iter().rev() {
        places.push(place.clone());
        places.push(place.join(folder));
    }
    places.push(dir.to_owned());
    let candidates: Vec<PathBuf> = places.iter().map(|place| place.join(name)).collect();
    match candidates.iter().find(|file| file.is_file()) {
        Some(file) => Ok(file.clone()),
        None => Err(candidates),
    }
}

/// The fault for a file of tasks that isn't there.
pub fn missing_file(name: &str, looked: &[PathBuf], place: &Place) -> Fault {
    let fault = Fault::new(format!("the file `{name}` is not there")).at(place);
    let listed: Vec<String> = looked
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let wanted = Path::new(name)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(name);
    let names: Vec<String> = looked
        .iter()
        .filter_map(|path| std::fs::read_dir(path.parent()?).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let near = nearest(wanted, names.iter().map(String::as_str), 2);
    let fault = if near.is_empty() {
        fault
    } else {
        fault.hint(format!("Did you mean `{}`?", near.join("` or `")))
    };
    fault.hint(format!("It was looked for as {}.", listed.join(", ")))
}

fn also_listen(item: Item, listen: &[Var]) -> Item {
    match item {
        Item::Task(task) => {
            let mut task = Task::clone(&task);
            task.listen.extend_from_slice(listen);
            Item::Task(Arc::new(task))
        }
        other => other,
    }
}

fn is_near_keyword(name: &str, on: On) -> bool {
    let fault = keywords::unknown(name, on, &[], &Place::file(Path::new("")));
    fault
        .hints
        .iter()
        .any(|hint| hint.starts_with("Did you mean") || hint.starts_with("It belongs"))
}
