//! `include_vars`: variables from files of the controller.

use crate::content::place::Fault;
use crate::content::value::{Key, Value, merged};
use crate::play::call::Call;
use crate::play::done::{Done, Effect, Problem};
use crate::play::keep::number;
use crate::play::view::fault;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use std::path::{Path, PathBuf};

/// What can't be read is told as `message`, as Ansible does.
pub(super) fn run(call: &Call<'_>) -> Result<Done, Problem> {
    match read(call) {
        Err(Problem::Failed(fault)) => {
            let mut done = Done::changed(false)
                .with("failed", true)
                .with("ansible_facts", Json::Object(Map::new()))
                .with("ansible_included_var_files", Vec::<String>::new())
                .with("message", fault.message.clone());
            done.fault = Some(fault);
            Ok(done)
        }
        other => other,
    }
}

fn read(call: &Call<'_>) -> Result<Done, Problem> {
    let files = match call.text("dir") {
        Some(dir) => below(call, &dir)?,
        None => {
            let name = call
                .free
                .clone()
                .or_else(|| call.text("file"))
                .ok_or_else(|| call.fault("include_vars: the argument file or dir is missing"))?;
            vec![call.find("vars", &name, "file")?]
        }
    };
    let mut vars: IndexMap<String, Value> = IndexMap::new();
    for file in &files {
        let found = call.attempt.batch.run.loader.vars_file(file)?;
        for (name, var) in found.iter() {
            vars.insert(name.clone(), var.value.clone());
        }
    }
    if let Some(name) = call.text("name") {
        let all = vars
            .into_iter()
            .map(|(name, value)| (Key(Value::from(name.as_str())), value));
        vars = IndexMap::from([(name, Value::dict(all.collect()))]);
    }
    if call.text("hash_behaviour").as_deref() == Some("merge") {
        for (name, value) in &mut vars {
            if let Some(known) = call.templar.variable(name).map_err(fault)? {
                *value = merged(&known, value);
            }
        }
    }
    let shown: Map<String, Json> = vars
        .iter()
        .map(|(name, value)| (name.clone(), value.to_json()))
        .collect();
    let names: Vec<String> = files
        .iter()
        .map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()))
        .map(|file| file.display().to_string())
        .collect();
    Ok(Done::changed(false)
        .with("ansible_facts", Json::Object(shown))
        .with("ansible_included_var_files", names)
        .effect(Effect::Included(vars)))
}

/// The files of a directory, sorted by name at each level.
fn below(call: &Call<'_>, dir: &str) -> Result<Vec<PathBuf>, Fault> {
    let root = call.find("vars", dir, "dir")?;
    let mut extensions = call.list("extensions");
    if extensions.is_empty() {
        extensions = ["yaml", "yml", "json"].map(str::to_owned).to_vec();
    }
    let pattern = call
        .text("files_matching")
        .map(|pattern| {
            fancy_regex::Regex::new(&pattern).map_err(|error| {
                Fault::new(format!("`{pattern}` is not a regular expression: {error}"))
                    .at(call.place("files_matching"))
            })
        })
        .transpose()?;
    let walk = Walk {
        depth: call
            .args
            .get("depth")
            .and_then(number)
            .map_or(0, |depth| depth.max(0.0) as usize),
        ignored: patterns(call)?,
        lenient: call.flag("ignore_unknown_extensions", false),
        extensions,
        pattern,
    };
    let mut found = Vec::new();
    walk.down(&root, 1, &mut found)?;
    Ok(found)
}

/// `ignore_files`: regular expressions that fit the end of a name.
fn patterns(call: &Call<'_>) -> Result<Vec<fancy_regex::Regex>, Fault> {
    let patterns = call.list("ignore_files").into_iter().map(|pattern| {
        fancy_regex::Regex::new(&format!("{pattern}$")).map_err(|error| {
            Fault::new(format!("`{pattern}` is not a regular expression: {error}"))
                .at(call.place("ignore_files"))
        })
    });
    patterns.collect()
}

struct Walk {
    /// 0: all levels.
    depth: usize,
    /// Patterns that fit the end of a name.
    ignored: Vec<fancy_regex::Regex>,
    lenient: bool,
    extensions: Vec<String>,
    pattern: Option<fancy_regex::Regex>,
}

impl Walk {
    fn down(&self, dir: &Path, level: usize, found: &mut Vec<PathBuf>) -> Result<(), Fault> {
        let unreadable =
            |error: std::io::Error| Fault::new(format!("{} can't be read: {error}", dir.display()));
        let mut entries = std::fs::read_dir(dir)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.map(|entry| entry.path()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(unreadable)?;
        entries.sort();
        // As in Ansible the files of a directory come before those of the directories in it, which win.
        let (dirs, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|path| path.is_dir());
        for path in files {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let ignored = |pattern: &fancy_regex::Regex| pattern.is_match(&name).unwrap_or(false);
            if self.ignored.iter().any(ignored) {
                continue;
            }
            if self
                .pattern
                .as_ref()
                .is_some_and(|pattern| !pattern.is_match(&name).unwrap_or(false))
            {
                continue;
            }
            // An empty one among them stands for names without.
            let extension = path.extension().unwrap_or_default();
            let known = self
                .extensions
                .iter()
                .any(|known| extension == known.as_str());
            if known {
                found.push(path);
            } else if !self.lenient && self.pattern.is_none() {
                return Err(Fault::new(format!(
                    "{} does not have a valid extension: {}",
                    path.display(),
                    self.extensions.join(", ")
                ))
                .hint("Set `ignore_unknown_extensions: true` to leave others out."));
            }
        }
        if self.depth == 0 || level < self.depth {
            for dir in dirs {
                self.down(&dir, level + 1, found)?;
            }
        }
        Ok(())
    }
}
