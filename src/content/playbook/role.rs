//! Roles: where they are, what they bring, what they depend on.

use super::collections::FoundRole;
use super::keywords::On;
use super::load::{Pass, RoleCall, directory, unreadable};
use super::modules::short_name;
use super::setting::{self, word};
use super::task::Cx;
use super::tree::{Frame, Item, Keywords, Layers, LoadedRole, Role, Task};
use crate::content::inventory::{Var, Vars};
use crate::content::nearest::nearest;
use crate::content::path::real;
use crate::content::place::{Fault, Place};
use crate::content::yaml::{Kind, Node};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXTENSIONS: &[&str] = &["yml", "yaml", "json"];

/// One use of a role before it is read.
struct Entry {
    name: Var,
    keywords: Keywords,
    vars: Vars,
    params: Vars,
    call: RoleCall,
    /// By `include_role` or `import_role`.
    by_task: bool,
}

impl Pass<'_> {
    /// The entries of `roles:`.
    pub(super) fn play_roles(
        &mut self,
        node: Option<&Node>,
        frame: &Arc<Frame>,
    ) -> Vec<LoadedRole> {
        let Some(node) = node.filter(|node| !node.is_null()) else {
            return Vec::new();
        };
        let Some(entries) = node.as_seq() else {
            self.faults.push(
                Fault::new(format!("`roles:` is a list; this is {}", node.describe()))
                    .at(&node.place),
            );
            return Vec::new();
        };
        entries
            .iter()
            .filter_map(|entry| {
                let entry = self.entry(entry)?;
                self.load_role(&entry, frame, None)
            })
            .collect()
    }

    /// A role that an `import_role` brings in; `keywords` are those of the importing task.
    pub(super) fn imported_role(
        &mut self,
        call: RoleCall,
        name: Var,
        frame: &Arc<Frame>,
    ) -> Option<LoadedRole> {
        let entry = Entry {
            name,
            keywords: Keywords::default(),
            vars: Vars::new(),
            params: Vars::new(),
            call,
            by_task: true,
        };
        // The role around passes its variables on, as to a dependency.
        self.load_role(&entry, frame, frame.role())
    }

    /// A role that an `include_role` calls; `inside` holds what its tasks inherit.
    pub(super) fn included_role(
        &mut self,
        call: &RoleCall,
        place: &Place,
        inside: &Arc<Frame>,
    ) -> Option<LoadedRole> {
        let name = Var {
            value: setting::text(&call.name),
            place: place.clone(),
        };
        self.imported_role(call.clone(), name, inside)
    }

    /// One entry of `roles:` or of a role's dependencies.
    fn entry(&mut self, node: &Node) -> Option<Entry> {
        if let Some(name) = node.as_str() {
            let name = Var {
                value: setting::text(name),
                place: node.place.clone(),
            };
            return Some(Entry::named(name));
        }
        let name = ["role", "name"].into_iter().find_map(|key| node.get(key));
        let (Some(entries), Some(name)) = (node.as_map(), name) else {
            let fault = Fault::new("an entry of `roles:` is a name or a mapping with `role:`")
                .at(&node.place);
            self.faults.push(if node.get("src").is_some() {
                fault.hint("Roles of Galaxy (`src:`) are not installed by kopsrun; put them beside the playbook.")
            } else {
                fault
            });
            return None;
        };
        let mut entry = Entry::named(self.ok(setting::var(name))?);
        for (key, value) in entries {
            let Some((name, found)) = self.ok(word(key, On::Role)) else {
                continue;
            };
            if matches!(name.as_str(), "role" | "name") {
                continue;
            }
            if name == "vars" {
                let valid = setting::names_of_variables(value);
                let vars = valid.and_then(|()| setting::vars(value));
                entry.vars = self.ok(vars).unwrap_or_default();
                continue;
            }
            if self.common(&mut entry.keywords, value, &found) == Some(false)
                && let Some(value) = self.ok(setting::var(value))
            {
                entry.params.insert(name, value);
            }
        }
        Some(entry)
    }

    fn load_role(
        &mut self,
        entry: &Entry,
        around: &Arc<Frame>,
        dependent: Option<&Arc<Role>>,
    ) -> Option<LoadedRole> {
        let name = self.static_text(&entry.name, Some(around))?;
        let found = self.find_role(&name, around);
        let found = self.ok(found.map_err(|fault| fault.at(&entry.name.place)))?;
        let path = &found.path;
        let step = path
            .join("tasks")
            .join(entry.call.tasks_from.as_deref().unwrap_or("main"));
        if self.circular(&step, &entry.name.place) {
            return None;
        }
        self.roles.push(step);
        let role = self.read_role(entry, &found, around, dependent);
        self.roles.pop();
        role
    }

    /// A role that needs itself: reading it would never end.
    fn circular(&mut self, step: &Path, place: &Place) -> bool {
        let Some(first) = self.roles.iter().position(|known| known == step) else {
            return false;
        };
        let chain: Vec<String> = self.roles[first..]
            .iter()
            .map(PathBuf::as_path)
            .chain([step])
            .map(|step| step.display().to_string())
            .collect();
        self.faults.push(
            Fault::new(format!("circular use of roles: {}", chain.join(" -> ")))
                .at(place)
                .hint("A role can't need itself, not even through others."),
        );
        true
    }

    fn read_role(
        &mut self,
        entry: &Entry,
        found: &FoundRole,
        around: &Arc<Frame>,
        dependent: Option<&Arc<Role>>,
    ) -> Option<LoadedRole> {
        let (call, path) = (&entry.call, found.path.as_path());
        self.loader.add_library(path);
        let defaults = self.role_vars(path, "defaults", call.defaults_from.as_deref(), entry);
        let vars = self.role_vars(path, "vars", call.vars_from.as_deref(), entry);
        let meta = self.role_file(path, "meta", None, &entry.name.place)?;
        let meta = meta.unwrap_or_default();
        let (needs, duplicates) = self.meta(&meta);
        let checks = self.argument_spec(path, call, &meta);
        // What dependencies see of this role: a draft of it without what they bring themselves.
        let draft = Arc::new(Role {
            name: Arc::from(found.name.as_str()),
            collection: found.collection.clone(),
            path: path.to_owned(),
            place: entry.name.place.clone(),
            defaults: chain([&defaults], dependent.map(|role| &role.defaults)),
            vars: chain(
                [&Arc::new(entry.vars.clone()), &vars],
                dependent.map(|role| &role.vars),
            ),
            exports: vec![Arc::clone(&vars)],
            params: chain(
                [&Arc::new(entry.params.clone())],
                dependent.map(|role| &role.params),
            ),
            dependencies: Vec::new(),
            allow_duplicates: call.allow_duplicates.unwrap_or(duplicates),
            public: true,
            by_task: entry.by_task,
            identity: identity(entry, path),
        });
        let mut dependencies = Vec::new();
        for need in &needs {
            let frame = role_frame(&draft, &entry.keywords, around);
            let Some(need) = self.entry(need) else {
                continue;
            };
            dependencies.extend(self.load_role(&need, &frame, Some(&draft)));
        }
        let role = Arc::new(Role {
            name: Arc::clone(&draft.name),
            collection: draft.collection.clone(),
            path: draft.path.clone(),
            place: draft.place.clone(),
            defaults: with_dependencies(
                &draft.defaults,
                dependencies.iter().map(|d| &d.role.defaults),
            ),
            vars: with_dependencies(
                &chain([&Arc::new(entry.vars.clone()), &vars], None),
                dependencies.iter().map(|d| &d.role.exports),
            )
            .into_iter()
            .chain(dependent.into_iter().flat_map(|role| role.vars.clone()))
            .collect(),
            exports: with_dependencies(
                &draft.exports,
                dependencies.iter().map(|d| &d.role.exports),
            ),
            params: draft.params.clone(),
            dependencies: dependencies
                .iter()
                .map(|loaded| Arc::clone(&loaded.role))
                .collect(),
            allow_duplicates: draft.allow_duplicates,
            public: !entry.by_task || call.public,
            by_task: entry.by_task,
            identity: draft.identity.clone(),
        });
        let frame = role_frame(&role, &entry.keywords, around);
        let check = checks.map(|spec| self.checking(spec, &frame));
        Some(self.role_body(role, dependencies, entry, &frame, check))
    }

    fn role_body(
        &mut self,
        role: Arc<Role>,
        dependencies: Vec<LoadedRole>,
        entry: &Entry,
        frame: &Arc<Frame>,
        check: Option<Task>,
    ) -> LoadedRole {
        let (mut tasks, mut handlers) = (Vec::new(), Vec::new());
        for dependency in dependencies {
            tasks.extend(dependency.tasks);
            handlers.extend(dependency.handlers);
        }
        tasks.extend(check.map(|check| Item::Task(Arc::new(check))));
        for (folder, from, is_handler) in [
            ("handlers", entry.call.handlers_from.as_deref(), true),
            ("tasks", entry.call.tasks_from.as_deref(), false),
        ] {
            let Some(Some(files)) = self.role_file(&role.path, folder, from, &entry.name.place)
            else {
                continue;
            };
            for node in files {
                let cx = Cx::of_file(frame, &node.place.file, is_handler);
                let items = self.items(&node, &cx);
                if is_handler {
                    handlers.extend(self.handlers(items));
                } else {
                    tasks.extend(items);
                }
            }
        }
        tasks.push(Item::RoleEnd(Arc::clone(&role)));
        LoadedRole {
            role,
            tasks,
            handlers,
        }
    }

    /// `defaults` or `vars` of a role.
    fn role_vars(
        &mut self,
        path: &Path,
        folder: &str,
        from: Option<&str>,
        entry: &Entry,
    ) -> Arc<Vars> {
        let mut all = Vars::new();
        let files = self
            .role_paths(path, folder, from, &entry.name.place)
            .unwrap_or_default();
        let mut only = None;
        for file in &files {
            let vars = self.loader.vars_file(file);
            if let Some(vars) = self.ok(vars) {
                if files.len() == 1 {
                    only = Some(vars);
                } else {
                    all.extend(vars.iter().map(|(name, var)| (name.clone(), var.clone())));
                }
            }
        }
        only.unwrap_or_else(|| Arc::new(all))
    }

    /// The parsed files of one folder of a role. The outer None is a fault; the inner one means that there are none.
    #[expect(clippy::option_option, reason = "absent and wrong are different")]
    fn role_file(
        &mut self,
        path: &Path,
        folder: &str,
        from: Option<&str>,
        place: &Place,
    ) -> Option<Option<Vec<Arc<Node>>>> {
        let paths = self.role_paths(path, folder, from, place)?;
        if paths.is_empty() {
            return Some(None);
        }
        let mut nodes = Vec::new();
        for path in paths {
            nodes.push(self.node(&path)?);
        }
        Some(Some(nodes))
    }

    /// `folder/main.yml` (yaml, json, no extension, or all files of the directory `main`), or the file that `from`
    /// names. None: a fault was told.
    fn role_paths(
        &mut self,
        path: &Path,
        folder: &str,
        from: Option<&str>,
        place: &Place,
    ) -> Option<Vec<PathBuf>> {
        let base = path.join(folder);
        let stem = base.join(from.unwrap_or("main"));
        let names = [stem.clone()]
            .into_iter()
            .chain(EXTENSIONS.iter().map(|extension| {
                let mut name = stem.clone().into_os_string();
                name.push(format!(".{extension}"));
                PathBuf::from(name)
            }));
        let candidates: Vec<PathBuf> = names.collect();
        // With a bare name, `main.yml` goes before a directory `main`.
        if let Some(file) = candidates
            .iter()
            .skip(1)
            .chain(&candidates[..1])
            .find(|file| file.is_file())
        {
            return Some(vec![file.clone()]);
        }
        if stem.is_dir() && matches!(folder, "vars" | "defaults") {
            let listed = files_below(&stem);
            return self.ok(listed.map_err(|fault| fault.at(place)));
        }
        if from.is_some() {
            let near = names_in(&base);
            let wanted = from.unwrap_or_default();
            let mut fault = Fault::new(format!("the role has no {folder}/{wanted}"))
                .at(place)
                .hint(format!("It was looked for in {}.", base.display()));
            let near = nearest(wanted, near.iter().map(String::as_str), 3);
            if !near.is_empty() {
                fault = fault.hint(format!("Did you mean `{}`?", near.join("` or `")));
            }
            self.faults.push(fault);
            return None;
        }
        Some(Vec::new())
    }

    /// Dependencies and `allow_duplicates` of `meta/main.yml`.
    fn meta(&mut self, files: &[Arc<Node>]) -> (Vec<Node>, bool) {
        let mut needs = Vec::new();
        let mut duplicates = false;
        for node in files {
            match node.get("dependencies").map(|node| (&node.kind, node)) {
                None | Some((Kind::Null, _)) => {}
                Some((Kind::Seq(items), _)) => needs.extend(items.iter().cloned()),
                Some((_, node)) => self.faults.push(
                    Fault::new(format!(
                        "`dependencies` is a list; this is {}",
                        node.describe()
                    ))
                    .at(&node.place),
                ),
            }
            duplicates |= node.get("allow_duplicates").and_then(Node::as_bool) == Some(true);
        }
        (needs, duplicates)
    }

    /// The directory of a role.
    fn find_role(&self, name: &str, frame: &Frame) -> Result<FoundRole, Fault> {
        if let Some(found) = self.collection_role(name, frame) {
            return Ok(found);
        }
        let short = short_name(name);
        let mut places = Vec::new();
        for role in frame.chain().filter_map(|frame| frame.role.as_ref()) {
            places.push(role.path.join("roles"));
        }
        for dir in [self.play_dir(frame), self.dir.clone()] {
            places.push(dir.join("roles"));
        }
        places.extend(self.loader.settings.roles_path.iter().cloned());
        for role in frame.chain().filter_map(|frame| frame.role.as_ref()) {
            places.push(directory(&role.path));
        }
        places.extend([self.play_dir(frame), self.dir.clone()]);
        let mut seen = Vec::new();
        places.retain(|place| {
            let new = !seen.contains(place);
            seen.push(place.clone());
            new
        });
        for place in &places {
            // `roles/../../other` is meant also where there is no roles/.
            let path = real(&place.join(short));
            if path.is_dir() {
                return Ok(FoundRole {
                    path,
                    name: name.to_owned(),
                    collection: None,
                });
            }
        }
        // At last, as a path from the working directory.
        let path = real(Path::new(short));
        if path.is_dir() {
            return Ok(FoundRole {
                path,
                name: name.to_owned(),
                collection: None,
            });
        }
        let mut fault = Fault::new(format!("the role `{name}` is not there")).absent();
        let known: Vec<String> = places[..places.len() - 1]
            .iter()
            .flat_map(|place| names_in(place))
            .collect();
        let near = nearest(short, known.iter().map(String::as_str), 3);
        if !near.is_empty() {
            fault = fault.hint(format!("Did you mean `{}`?", near.join("` or `")));
        }
        let listed: Vec<String> = places
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        Err(fault.hint(format!("It was looked for in {}.", listed.join(", "))))
    }

    /// The directory of the playbook file that the play stands in.
    pub(super) fn play_dir(&self, frame: &Frame) -> PathBuf {
        frame
            .chain()
            .last()
            .and_then(|play| play.search.first().cloned())
            .unwrap_or_else(|| self.dir.clone())
    }
}

impl Entry {
    fn named(name: Var) -> Self {
        Self {
            name,
            keywords: Keywords::default(),
            vars: Vars::new(),
            params: Vars::new(),
            call: RoleCall::default(),
            by_task: false,
        }
    }
}

fn role_frame(role: &Arc<Role>, keywords: &Keywords, around: &Arc<Frame>) -> Arc<Frame> {
    Arc::new(Frame {
        keywords: keywords.clone(),
        role: Some(Arc::clone(role)),
        parent: Some(Arc::clone(around)),
        search: Arc::clone(&around.search),
        includes: Arc::clone(&around.includes),
        ..Frame::empty()
    })
}

fn chain<const N: usize>(own: [&Arc<Vars>; N], outer: Option<&Layers>) -> Layers {
    let own = own.into_iter().filter(|vars| !vars.is_empty()).cloned();
    own.chain(outer.into_iter().flatten().cloned()).collect()
}

/// Own layers, then those of the dependencies, the last one strongest.
fn with_dependencies<'a>(
    own: &Layers,
    dependencies: impl DoubleEndedIterator<Item = &'a Layers>,
) -> Layers {
    let mut all = own.clone();
    for layers in dependencies.rev() {
        for layer in layers {
            if !all.iter().any(|known| Arc::ptr_eq(known, layer)) {
                all.push(Arc::clone(layer));
            }
        }
    }
    all
}

/// What makes two uses of a role the same.
fn identity(entry: &Entry, path: &Path) -> String {
    use std::fmt::Write;
    let mut text = format!("{}|{}", path.display(), entry.by_task);
    let call = &entry.call;
    for from in [
        &call.tasks_from,
        &call.vars_from,
        &call.defaults_from,
        &call.handlers_from,
    ] {
        let _ = write!(text, "|{}", from.as_deref().unwrap_or_default());
    }
    for (name, var) in entry.vars.iter().chain(&entry.params) {
        let _ = write!(text, "|{name}={}", var.value.repr());
    }
    for var in entry.keywords.when.iter().chain(&entry.keywords.tags) {
        let _ = write!(text, "|{}", var.value.repr());
    }
    text
}

/// Files below a directory, sorted by name at each level.
fn files_below(dir: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(|error| unreadable(dir, &error))?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files.extend(files_below(&entry)?);
        } else if entry
            .extension()
            .is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
        {
            files.push(entry);
        }
    }
    Ok(files)
}

/// Names of what is in a directory; nothing when it can't be listed.
fn names_in(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}
