//! Templates of tasks, checked while a playbook is read: syntax, and filters, tests and lookups that don't exist.
//!
//! Ansible finds these when the task runs. Here they are told before the first connection, unless the playbook is made to
//! live with the failure (`ignore_errors`, a block with `rescue`). Variables are not looked at: one that nobody uses may be
//! as wrong as it likes, as in Ansible.

use super::load::Pass;
use super::tree::{Frame, Keyword, Keywords, Task};
use crate::content::inventory::Var;
use crate::content::place::{Fault, Place};
use crate::content::template::Templar;
use crate::content::value::{Value, read};
use std::path::{Path, PathBuf};

/// Arguments of `template` that change what a template looks like.
pub const MARKERS: &[&str] = &[
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
];

impl Pass<'_> {
    /// Keeps what is wrong with the templates of a task.
    pub(super) fn check_task(&mut self, task: &Task) {
        // Who only lists playbooks sees what Ansible shows.
        if self.loader.settings.listing || forgiven(&task.frame) {
            return;
        }
        let mut faults = Vec::new();
        for (name, var) in &task.args.map {
            match (&*task.module, name.as_str()) {
                ("assert", "that") | ("debug", "var") => expressions(var, &mut faults),
                _ => texts(var, &mut faults),
            }
        }
        let args = task.args.free_form.iter().chain(&task.args.whole);
        let looping = task.looping.iter().flat_map(|looping| {
            std::iter::once(&looping.terms)
                .chain(&looping.label)
                .chain(&looping.pause)
        });
        let times = task.retries.iter().chain(&task.delay);
        let times = times.chain(&task.asynchronous).chain(&task.poll);
        for var in args.chain(looping).chain(times) {
            texts(var, &mut faults);
        }
        let conditions = task.changed_when.iter().chain(&task.failed_when);
        for var in conditions.chain(&task.until) {
            expressions(var, &mut faults);
        }
        keywords(&task.frame.keywords, &mut faults);
        if &*task.module == "template" {
            file(task, &self.dir, &mut faults);
        }
        self.faults.append(&mut faults);
    }

    /// Keeps what is wrong with the templates of keywords around tasks.
    pub(super) fn check_frame(&mut self, frame: &Frame) {
        if !self.loader.settings.listing && !forgiven(frame) {
            let mut faults = Vec::new();
            keywords(&frame.keywords, &mut faults);
            self.faults.append(&mut faults);
        }
    }
}

/// True where a failure is part of the plan.
fn forgiven(frame: &Frame) -> bool {
    frame.get(Keyword::IgnoreErrors).is_some() || frame.chain().any(|frame| frame.rescued)
}

fn keywords(keywords: &Keywords, faults: &mut Vec<Fault>) {
    for var in &keywords.when {
        expressions(var, faults);
    }
    let set = keywords.set.iter().map(|(_, var)| var);
    for var in set.chain(&keywords.environment).chain(&keywords.notify) {
        texts(var, faults);
    }
}

fn texts(var: &Var, faults: &mut Vec<Fault>) {
    each(&var.value, &var.place, &Templar::check, faults);
}

fn expressions(var: &Var, faults: &mut Vec<Fault>) {
    each(&var.value, &var.place, &Templar::check_expression, faults);
}

/// Checks every text in a value.
fn each(value: &Value, place: &Place, check: &dyn Fn(&str) -> Vec<Fault>, out: &mut Vec<Fault>) {
    match value {
        Value::Str(text) if text.trusted => {
            out.extend(check(&text.text).into_iter().map(|fault| fault.at(place)));
        }
        Value::List(items) => {
            for item in read(items).iter() {
                each(item, place, check, out);
            }
        }
        Value::Dict(entries) => {
            for value in read(entries).values() {
                each(value, place, check, out);
            }
        }
        _ => {}
    }
}

/// The file of a `template` task, when it is known which one that is.
fn file(task: &Task, dir: &Path, faults: &mut Vec<Fault>) {
    if MARKERS.iter().any(|marker| task.args.get(marker).is_some()) {
        return;
    }
    let Some(Value::Str(src)) = task.args.get("src").map(|var| &var.value) else {
        return;
    };
    if src.text.contains("{{") || src.text.contains("{%") {
        return;
    }
    let found = beside(&task.frame, dir, Path::new(&*src.text));
    // A file that isn't there is told by the task: an earlier one may make it.
    if let Some(path) = found
        && let Ok(text) = std::fs::read_to_string(&path)
    {
        faults.extend(Templar::check_file(&path, &text));
    }
}

/// Where the task will look for a template, nearest first.
fn beside(frame: &Frame, dir: &Path, name: &Path) -> Option<PathBuf> {
    if name.is_absolute() {
        return Some(name.to_owned()).filter(|path| path.is_file());
    }
    let dirs = frame.search.iter().map(PathBuf::as_path).chain([dir]);
    let bases = dirs.flat_map(|dir| {
        let inside_role = dir.ends_with("tasks") || dir.ends_with("handlers");
        let above = dir.parent().filter(|_| inside_role);
        std::iter::once(dir).chain(above)
    });
    bases
        .flat_map(|base| [base.join("templates").join(name), base.join(name)])
        .find(|path| path.is_file())
}
