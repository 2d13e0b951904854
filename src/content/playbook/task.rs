//! Tasks, blocks and static imports.

use super::keywords::{self, On, Word};
use super::load::{Pass, directory};
use super::modules;
use super::setting::{self, identifier, list, text, var, word};
use super::tree::{Args, Block, Frame, Item, Keyword, Keywords, Loop, Task};
use crate::content::inventory::Var;
use crate::content::nearest::nearest;
use crate::content::place::{Fault, Place};
use crate::content::template::lookup_problem;
use crate::content::value::Value;
use crate::content::yaml::{Kind, Node};
use host::Spec;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keywords that `include_tasks` and `include_role` take for themselves.
const INCLUDE_KEYWORDS: &[&str] = &[
    "action",
    "args",
    "collections",
    "debugger",
    "ignore_errors",
    "listen",
    "local_action",
    "loop",
    "loop_control",
    "name",
    "no_log",
    "register",
    "run_once",
    "tags",
    "timeout",
    "vars",
    "when",
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

    /// A frame whose variables win over facts and registered results.
    fn including(&self, keywords: Keywords) -> Arc<Frame> {
        let frame = self.inside(keywords);
        Arc::new(Frame {
            params: frame.keywords.vars.clone(),
            keywords: frame.keywords.clone(),
            role: frame.role.clone(),
            parent: frame.parent.clone(),
            search: Arc::clone(&frame.search),
            includes: Arc::clone(&frame.includes),
            rescued: frame.rescued,
        })
    }

    pub(super) fn inside(&self, keywords: Keywords) -> Arc<Frame> {
        Arc::new(self.level(keywords))
    }

    fn level(&self, keywords: Keywords) -> Frame {
        Frame {
            keywords,
            parent: Some(Arc::clone(&self.frame)),
            search: Arc::clone(&self.search),
            includes: Arc::clone(&self.frame.includes),
            ..Frame::empty()
        }
    }
}

/// A task while it is read.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) keywords: Keywords,
    pub(super) name: Option<Var>,
    pub(super) looping: Option<(Option<Arc<str>>, Var)>,
    pub(super) control: Option<Node>,
    pub(super) register: Option<Arc<str>>,
    pub(super) changed_when: Vec<Var>,
    pub(super) failed_when: Vec<Var>,
    pub(super) until: Vec<Var>,
    pub(super) retries: Option<Var>,
    pub(super) delay: Option<Var>,
    pub(super) asynchronous: Option<Var>,
    pub(super) poll: Option<Var>,
    pub(super) listen: Vec<Var>,
    pub(super) args: Option<Node>,
    /// Every module that the task names: key and arguments.
    pub(super) actions: Vec<(Node, Node)>,
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
                "name" => {
                    name = self.ok(setting::one_text(value, "name").and_then(|()| var(value)));
                }
                _ => {
                    if self.common(&mut keywords, value, &found) == Some(false) {
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
        let frame = Arc::new(Frame {
            rescued: sections[1].is_some(),
            ..cx.level(keywords)
        });
        self.check_frame(&frame);
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
        let Some((spec, action, args)) = self.action(node, &draft, cx, before) else {
            return Vec::new();
        };
        if matches!(spec.name, "include_role" | "import_role") {
            self.check_files_of_role(&args);
        }
        match spec.name {
            "import_tasks" => self.import_tasks(node, draft, &args, cx),
            "import_role" => self.import_role(node, draft, &args, cx),
            _ => {
                self.check_include(spec.name, entries, cx);
                let task = self.finish_task(node, draft, (spec, action), args, cx);
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
            if self.common(&mut draft.keywords, value, &found) != Some(false) {
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
            } else if modules::known(&name)
                || name.contains('.')
                || self.is_in_library(&name, &key.place)
            {
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
        let is_keyword = has_module
            || near_module.is_empty()
                && is_near_keyword(name, cx.on())
                && self.ansible_has(name, &key.place, &cx.frame) != Some(true);
        if is_keyword {
            self.faults
                .push(keywords::unknown(name, cx.on(), &[], &key.place));
        } else {
            draft.actions.push((key.clone(), value.clone()));
        }
    }

    fn finish_task(
        &mut self,
        node: &Node,
        mut draft: Draft,
        (spec, action): (&'static Spec, Arc<str>),
        args: Args,
        cx: &Cx,
    ) -> Option<Task> {
        let looping = self.looping(&draft);
        let apply = self.apply(&args)?;
        if spec.name == "meta" {
            self.check_meta(&args, &node.place, cx);
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
        let task = Task {
            id: self.loader.id(),
            place: node.place.clone(),
            name: draft.name,
            module: match &args.foreign {
                Some(foreign) => Arc::from(modules::short_name(&foreign.name)),
                None => Arc::from(spec.name),
            },
            action,
            args,
            frame: match spec.name {
                // As strong as what it includes will see them.
                "include_tasks" | "include_role" => cx.including(draft.keywords),
                _ => cx.inside(draft.keywords),
            },
            looping,
            register: draft.register,
            changed_when: draft.changed_when,
            failed_when: draft.failed_when,
            until: draft.until,
            retries: draft.retries,
            delay: draft.delay,
            asynchronous: draft.asynchronous,
            poll: draft.poll,
            listen: draft.listen,
            apply,
            handler: cx.handlers,
        };
        self.check_task(&task);
        Some(task)
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
            if self.common(&mut keywords, value, &found) == Some(false) {
                self.faults
                    .push(keywords::unknown(&name, On::Block, &[], &key.place));
            }
        }
        Some(Some(Arc::new(keywords)))
    }

    /// Dynamic includes take few keywords; the others belong into `apply:`.
    fn check_include(&mut self, module: &str, entries: &[(Node, Node)], cx: &Cx) {
        if !matches!(module, "include_tasks" | "include_role") {
            return;
        }
        if module == "include_role"
            && cx.handlers
            && let Some((key, _)) = entries.first()
        {
            self.faults.push(
                Fault::new("`include_role` can't be a handler")
                    .at(&key.place)
                    .hint("Use `include_tasks` with a file that includes the role."),
            );
        }
        for (key, _) in entries {
            let name = key.as_str().unwrap_or_default();
            let is_keyword = !matches!(keywords::recognise(name, cx.on()), Word::Other);
            if is_keyword && !INCLUDE_KEYWORDS.contains(&name) {
                self.faults.push(
                    Fault::new(format!("`{name}` is not a keyword of `{module}`"))
                        .at(&key.place)
                        .hint(format!(
                            "To give it to what is included: `apply: {{{name}: …}}` among the arguments of `{module}`."
                        )),
                );
            }
        }
    }

    /// Files of a role are named by text.
    fn check_files_of_role(&mut self, args: &Args) {
        for name in ["tasks_from", "vars_from", "defaults_from", "handlers_from"] {
            if let Some(var) = args.get(name)
                && !matches!(var.value, Value::Str(_) | Value::None)
            {
                self.faults.push(
                    Fault::new(format!(
                        "Expected a string for {name} but got <class '{}'> instead",
                        var.value.type_name()
                    ))
                    .at(&var.place),
                );
            }
        }
    }

    fn check_meta(&mut self, args: &Args, place: &Place, cx: &Cx) {
        let given = args.free_form.as_ref();
        let Some(Value::Str(name)) = given.map(|var| &var.value) else {
            self.faults.push(
                Fault::new("`meta` needs to be told what to do")
                    .at(place)
                    .hint(format!("Known are {}.", modules::META.join(", "))),
            );
            return;
        };
        if &*name.text == "end_role" {
            let at = given.map_or(place, |var| &var.place);
            if cx.handlers || cx.frame.role().is_none() {
                self.faults.push(
                    Fault::new("`meta: end_role` stands outside of the tasks of a role")
                        .at(at)
                        .hint("Use `meta: end_host` or a condition here."),
                );
            }
        } else if !modules::META.contains(&&*name.text) {
            let mut fault = Fault::new(format!("`meta: {}` is not known", name.text))
                .at(given.map_or(place, |var| &var.place))
                .absent();
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
            // As in Ansible, `loop_control` without a loop means nothing.
            return None;
        };
        if let Some(control) = control.filter(|control| control.as_map().is_none()) {
            self.faults.push(
                Fault::new(format!(
                    "`loop_control` is a mapping of its settings; this is {}",
                    control.describe()
                ))
                .at(&control.place),
            );
        }
        let mut found = Loop {
            lookup,
            terms,
            label: None,
            var: Arc::from("item"),
            index_var: None,
            pause: None,
            extended: None,
            extended_allitems: None,
            break_when: Vec::new(),
        };
        for (key, value) in control.and_then(Node::as_map).unwrap_or_default() {
            let name = key.as_str().unwrap_or_default();
            match name {
                "loop_var" => {
                    if let Some(name) = self.ok(loop_name(value, name)) {
                        found.var = name;
                    }
                }
                "index_var" => found.index_var = self.ok(loop_name(value, name)),
                "label" => found.label = self.ok(var(value)),
                "pause" => found.pause = self.ok(var(value)),
                "extended" => found.extended = self.ok(var(value)),
                "extended_allitems" => found.extended_allitems = self.ok(var(value)),
                "break_when" => found.break_when = self.ok(list(value)).unwrap_or_default(),
                _ => {
                    let hint = "Known are loop_var, index_var, label, pause, extended, extended_allitems, break_when.";
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
}

/// The name of a variable of `loop_control`, or a template of it.
fn loop_name(node: &Node, what: &str) -> Result<Arc<str>, Fault> {
    match node.as_str() {
        Some(text) if text.contains("{{") => Ok(Arc::from(text)),
        _ => identifier(node, what),
    }
}

impl Draft {
    fn set(&mut self, name: &str, key: &Node, value: &Node) -> Result<(), Fault> {
        match name {
            "action" | "local_action" => self.actions.push((key.clone(), value.clone())),
            "args" => self.args = Some(value.clone()),
            "name" => {
                setting::one_text(value, name)?;
                self.name = Some(var(value)?).filter(|_| !value.is_null());
            }
            "changed_when" => self.changed_when = list(value)?,
            "failed_when" => self.failed_when = list(value)?,
            "until" => self.until = list(value)?,
            "listen" => self.listen = setting::comma_list(value)?,
            "register" => self.register = Some(identifier(value, "register")?),
            "retries" => self.retries = Some(var(value)?).filter(|_| !value.is_null()),
            "async" => self.asynchronous = Some(var(value)?).filter(|_| !value.is_null()),
            "poll" => self.poll = Some(var(value)?).filter(|_| !value.is_null()),
            "delay" => self.delay = Some(var(value)?).filter(|_| !value.is_null()),
            "loop_control" => self.control = Some(value.clone()),
            "loop" => self.set_loop(None, key, value)?,
            _ => {}
        }
        Ok(())
    }

    fn set_with(&mut self, lookup: &str, key: &Node, value: &Node) -> Result<(), Fault> {
        if let Some(error) = lookup_problem(lookup) {
            let fault = Fault::new(format!("`with_{lookup}` is not known: {}", error.message));
            let hints = error.hints.into_iter();
            return Err(hints.fold(fault.at(&key.place), Fault::hint));
        }
        self.set_loop(Some(Arc::from(lookup)), key, value)
    }

    fn set_loop(
        &mut self,
        lookup: Option<Arc<str>>,
        key: &Node,
        value: &Node,
    ) -> Result<(), Fault> {
        // Ansible looks at words in their order: a `loop` after `with_X` gives that another list.
        let lookup = match (&self.looping, lookup) {
            (Some((Some(earlier), _)), None) => Some(Arc::clone(earlier)),
            (None, lookup) => lookup,
            _ => {
                return Err(Fault::new("one task can have only one loop")
                    .at(&key.place)
                    .hint("Combine the lists, as in `loop: \"{{ a | product(b) }}\"`.")
                    .absent());
            }
        };
        if !value.is_null() {
            self.looping = Some((lookup, var(value)?));
        }
        Ok(())
    }
}

fn is_near_keyword(name: &str, on: On) -> bool {
    let fault = keywords::unknown(name, on, &[], &Place::file(Path::new("")));
    fault
        .hints
        .iter()
        .any(|hint| hint.starts_with("Did you mean") || hint.starts_with("It belongs"))
}
