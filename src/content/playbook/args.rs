//! What a task does: its module and arguments, in every way of writing them.

use super::foreign::Foreign;
use super::load::Pass;
use super::modules;
use super::setting::{self, text, var};
use super::task::{Cx, Draft};
use super::tree::{Args, Keyword};
use super::{foreign, kv};
use crate::content::inventory::Var;
use crate::content::place::{Fault, Place};
use crate::content::value::Value;
use crate::content::yaml::{Kind, Node};
use host::Spec;
use indexmap::IndexMap;
use serde_json::Map;
use std::collections::HashMap;
use std::sync::Arc;

impl Pass<'_> {
    /// The module of a task and its arguments, checked.
    pub(super) fn action(
        &mut self,
        node: &Node,
        draft: &Draft,
        cx: &Cx,
        before: usize,
    ) -> Option<(&'static Spec, Arc<str>, Args)> {
        let [(key, value)] = draft.actions.as_slice() else {
            if draft.actions.is_empty() {
                // A word that was told to be wrong is likely the module.
                if self.faults.len() == before {
                    self.faults.push(
                        Fault::new("no module or action is named in this task")
                            .at(&node.place)
                            .hint(format!(
                                "{} names one module, as in `command: uptime`.",
                                if cx.handlers { "A handler" } else { "A task" }
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
        if name.contains("{{") {
            let read = arguments(
                &modules::TEMPLATED,
                &value,
                draft.args.as_ref(),
                &mut HashMap::new(),
            );
            let mut args = self.ok(read)?;
            args.doubtful = true;
            return Some((&modules::TEMPLATED, Arc::from(name), args));
        }
        let Some(spec) = modules::resolve(&name) else {
            return self.outside(name, &place, &value, draft, cx);
        };
        if !self.loader.settings.listing && self.is_replaced(&name, &place) {
            match self.foreign(&name, &place, &cx.frame) {
                Ok(Some(found)) => return self.foreign_task(name, found, &value, draft),
                Ok(None) => {}
                Err(fault) => self.warnings.push(fault.hint(format!(
                    "kopsrun's own `{name}` is used instead, which does what Ansible's does."
                ))),
            }
        }
        let mut places = HashMap::new();
        let found = arguments(spec, &value, draft.args.as_ref(), &mut places);
        let mut args = self.ok(found)?;
        let levels = cx.frame.defaults().into_iter();
        let levels: Vec<Value> = levels
            .chain(&draft.keywords.defaults)
            .map(|var| var.value.clone())
            .collect();
        let groups = cx.frame.default_groups().and(&draft.keywords);
        // Templated ones are only known when the task runs.
        let known = levels.iter().all(|level| matches!(level, Value::Dict(_)));
        let defaults = known.then(|| groups.arguments(&levels, spec.name));
        match check(spec, &args, defaults, &places, &place) {
            // Ansible looks at arguments when a task runs.
            Err(fault) if self.loader.settings.listing => self.warnings.push(fault.unsupported()),
            Err(_) if expects_failure(draft, cx) => args.doubtful = true,
            checked => self.ok(checked)?,
        }
        Some((spec, Arc::from(name), args))
    }

    /// A module that kopsrun doesn't bring.
    fn outside(
        &mut self,
        name: String,
        place: &Place,
        value: &Node,
        draft: &Draft,
        cx: &Cx,
    ) -> Option<(&'static Spec, Arc<str>, Args)> {
        if self.loader.settings.listing && self.is_elsewhere(&name, place) {
            if !self.is_in_library(&name, place) {
                let collection = name.contains('.') && modules::short_name(&name) == name;
                if collection && self.ansible_has(&name, place, &cx.frame) == Some(false) {
                    self.faults.push(modules::unknown(&name, place));
                    return None;
                }
                self.warnings
                    .push(modules::unknown(&name, place).unsupported());
            }
            return Some((&foreign::LISTED, Arc::from(name), Args::default()));
        }
        let found = self.foreign(&name, place, &cx.frame);
        let Some(found) = self.ok(found)? else {
            self.faults.push(modules::unknown(&name, place));
            return None;
        };
        self.foreign_task(name, found, value, draft)
    }

    fn foreign_task(
        &mut self,
        name: String,
        found: Foreign,
        value: &Node,
        draft: &Draft,
    ) -> Option<(&'static Spec, Arc<str>, Args)> {
        let read = arguments(
            &foreign::MODULE,
            value,
            draft.args.as_ref(),
            &mut HashMap::new(),
        );
        let mut args = self.ok(read)?;
        args.foreign = Some(Arc::new(found));
        Some((&foreign::MODULE, Arc::from(name), args))
    }

    /// `action: copy src=a dest=b` or `action: {module: copy, …}`.
    fn indirect(&mut self, key: &Node, value: &Node) -> Option<(String, Place, Node)> {
        let place = value.place.clone();
        if let Some(line) = value.as_str() {
            let (name, rest) = kv::first_word(line);
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
        let name = kv::first_word(name).0.to_owned();
        let mut node = value.clone();
        node.kind = Kind::Map(Arc::from(rest));
        Some((name, place, node))
    }
}

/// True where the playbook goes on when the task fails: wrong arguments are then such a failure, as in Ansible.
fn expects_failure(draft: &Draft, cx: &Cx) -> bool {
    let ignored = |var: &Var| var.value.to_json() != serde_json::Value::Bool(false);
    let own = draft.keywords.set.iter();
    let own = own.filter(|(keyword, _)| *keyword == Keyword::IgnoreErrors);
    !draft.failed_when.is_empty()
        || own.map(|(_, var)| var).any(ignored)
        || cx.frame.get(Keyword::IgnoreErrors).is_some_and(ignored)
        || cx.frame.chain().any(|frame| frame.rescued)
}

/// Arguments of a task: those of the module's line or mapping, over those of `args:`.
fn arguments(
    spec: &Spec,
    value: &Node,
    extra: Option<&Node>,
    places: &mut HashMap<String, Place>,
) -> Result<Args, Fault> {
    let mut args = Args::default();
    match extra.map(|node| (&node.kind, node)) {
        None | Some((Kind::Null, _)) => {}
        Some((Kind::Map(entries), _)) => insert(spec, &mut args, entries, places)?,
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
        Kind::Map(entries) => insert(spec, &mut args, entries, places)?,
        Kind::Str(line) => line_arguments(spec, line, value, &mut args, places)?,
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
    Ok(args)
}

fn insert(
    spec: &Spec,
    args: &mut Args,
    entries: &[(Node, Node)],
    places: &mut HashMap<String, Place>,
) -> Result<(), Fault> {
    for (key, value) in entries {
        let name = setting::name(key)?;
        places.insert(name.clone(), key.place.clone());
        if name == "apply" && matches!(spec.name, "include_tasks" | "include_role") {
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
    let command = matches!(spec.name, "command" | "shell" | "raw" | "script");
    let found = kv::split(line, command).map_err(|what| {
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
        if !spec.free_form && !modules::takes_any_line(spec.name) {
            // Told when the task runs: a dictionary of arguments, or what can't be understood.
            if free.contains("{{") || free.contains("{%") {
                args.whole = Some(Var {
                    value: text(&free),
                    place: node.place.clone(),
                });
                return Ok(());
            }
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
    defaults: Option<IndexMap<String, Value>>,
    places: &HashMap<String, Place>,
    whole: &Place,
) -> Result<(), Fault> {
    let (None, Some(defaults)) = (&args.whole, defaults) else {
        return Ok(());
    };
    let defaults = defaults.iter();
    let mut map: Map<_, _> = defaults
        .map(|(name, value)| (name.clone(), value.to_json()))
        .collect();
    let own = args
        .map
        .iter()
        .map(|(name, var)| (name.clone(), var.value.to_json()));
    map.extend(own);
    if let Some(free) = &args.free_form {
        map.insert("_raw_params".to_owned(), free.value.to_json());
    }
    let place = |name: &str| places.get(name).unwrap_or(whole).clone();
    modules::check(spec, &map, &place, whole)
}
