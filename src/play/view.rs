//! Variables and templates as one task sees them on one host.

use super::batch::Batch;
use super::request::Request;
use super::run::Run;
use super::store::lock;
use crate::content::inventory::{HostName, Inventory, Vars};
use crate::content::place::Fault;
use crate::content::playbook::{Frame, Layers, Loader, Play, Role, Task};
use crate::content::template::{Templar, TemplateError, TemplateSettings};
use crate::content::value::{Key, Object, Value};
use crate::content::vars::HostScope;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The release of Ansible whose behaviour kopsrun follows.
const FOLLOWS: (i64, i64, i64) = (2, 18, 19);

/// What is the same for all hosts of one task.
pub(super) struct TaskView {
    magic: Arc<IndexMap<String, Value>>,
    own: Arc<IndexMap<String, Value>>,
    frame: Option<Arc<Frame>>,
    settings: Arc<TemplateSettings>,
}

impl Batch {
    /// The view of a task; none: of the play itself.
    pub(super) fn view(self: &Arc<Self>, task: Option<&Task>) -> TaskView {
        let mut own = IndexMap::new();
        let frame = task.map(|task| Arc::clone(&task.frame));
        if let Some(role) = frame.as_ref().and_then(|frame| frame.role()) {
            let path = Value::from(&*role.path.to_string_lossy());
            let short = match &role.collection {
                Some(_) => role.name.rsplit('.').next().unwrap_or(&role.name),
                None => &*role.name,
            };
            own.insert("role_name".to_owned(), Value::from(short));
            let collection = role.collection.as_deref().map_or(Value::None, Value::from);
            own.insert("ansible_collection_name".to_owned(), collection);
            own.insert("ansible_role_name".to_owned(), Value::from(&*role.name));
            own.insert("role_path".to_owned(), path);
        }
        if let Some(frame) = &frame {
            let levels = frame
                .environments()
                .into_iter()
                .map(|var| var.value.clone());
            own.insert("environment".to_owned(), Value::list(levels.collect()));
        }
        let parents = parents(frame.as_deref());
        if !parents.is_empty() {
            let names = parents.iter().map(|role| Value::from(&*role.name));
            let paths = parents
                .iter()
                .map(|role| Value::from(&*role.path.to_string_lossy()));
            own.insert(
                "ansible_parent_role_names".to_owned(),
                Value::list(names.collect()),
            );
            own.insert(
                "ansible_parent_role_paths".to_owned(),
                Value::list(paths.collect()),
            );
        }
        let search = self.search(frame.as_deref());
        let listed = search
            .iter()
            .map(|dir| Value::from(&*dir.to_string_lossy()))
            .collect();
        own.insert("ansible_search_path".to_owned(), Value::list(listed));
        let settings = self.run.template_settings(search, &self.play.dir());
        TaskView {
            magic: self.magic(),
            own: Arc::new(own),
            frame,
            settings,
        }
    }

    /// Directories for files that a task names, nearest first.
    fn search(&self, frame: Option<&Frame>) -> Vec<PathBuf> {
        let own = frame.map(|frame| frame.search.to_vec()).unwrap_or_default();
        let mut dirs: Vec<PathBuf> = Vec::new();
        for dir in own.into_iter().chain([self.play.dir()]) {
            let dir = std::path::absolute(&dir).unwrap_or(dir);
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
        dirs
    }

    /// Templates of a host as the task sees it.
    pub(super) fn templar(self: &Arc<Self>, view: &TaskView, host: &HostName) -> Templar {
        Templar::new(Arc::new(self.scope(view, host)), Arc::clone(&view.settings))
    }

    /// Templates of a task that know no host.
    pub(super) fn hostless(self: &Arc<Self>, view: &TaskView) -> Templar {
        let mut scope = self.scope(view, &HostName::from(""));
        scope.learned = Arc::default();
        scope.inventory = Arc::default();
        Templar::new(Arc::new(scope), Arc::clone(&view.settings))
    }

    fn scope(self: &Arc<Self>, view: &TaskView, host: &HostName) -> HostScope {
        let run = &self.run;
        let mut scope = HostScope {
            magic: vec![Arc::clone(&view.magic), Arc::clone(&view.own)],
            extra: Arc::clone(&run.extra),
            frame: view.frame.clone(),
            play: Some(Arc::clone(&self.play.frame)),
            files: Layers::new(),
            roles: self.roles(),
            learned: run.store.learned(host),
            inventory: run.store.vars(host),
            connection: Some(Arc::from(
                run.request.connection.as_deref().unwrap_or("ssh"),
            )),
            settings: Arc::clone(&view.settings),
        };
        scope.files = self.vars_files(host, &scope, &view.settings);
        scope
    }

    /// Names of the roles that the play's roles depend on, each once.
    fn dependencies(&self) -> Vec<Value> {
        fn add<'a>(roles: &'a [Arc<Role>], names: &mut Vec<&'a str>) {
            for role in roles {
                if !names.contains(&&*role.name) {
                    names.push(&role.name);
                }
                add(&role.dependencies, names);
            }
        }
        let mut names: Vec<&str> = Vec::new();
        for role in &self.play.roles {
            add(&role.dependencies, &mut names);
        }
        names.into_iter().map(Value::from).collect()
    }

    /// The `vars_files` of a host, the last one first. Kept for the batch once all names could be rendered.
    fn vars_files(
        &self,
        host: &HostName,
        scope: &HostScope,
        settings: &Arc<TemplateSettings>,
    ) -> Layers {
        if self.play.vars_files.is_empty() {
            return Layers::new();
        }
        if let Some(layers) = lock(&self.files).get(host) {
            return layers.clone();
        }
        let templar = Templar::new(Arc::new(scope.clone()), Arc::clone(settings));
        let mut layers = Layers::new();
        let mut complete = true;
        for entry in &self.play.vars_files {
            let Ok(value) = templar.render(&entry.value) else {
                // Facts may be missing as yet; the next task asks again.
                complete = false;
                continue;
            };
            match file_of_vars(&value, &settings.search)
                .map(|path| self.run.loader.vars_file(&path))
            {
                Some(Ok(vars)) => layers.insert(0, vars),
                Some(Err(fault)) => self.run.broken_file(fault.at(&entry.place)),
                // As in Ansible, which goes on without them.
                None => self.run.warn(&format!(
                    "none of the files of this entry of `vars_files` is there ({})",
                    entry.place
                )),
            }
        }
        if complete {
            lock(&self.files).insert(host.clone(), layers.clone());
        }
        layers
    }

    /// Variables of the run and the play.
    fn magic(self: &Arc<Self>) -> Arc<IndexMap<String, Value>> {
        let run = &self.run;
        let mut magic = run.magic(&self.play.dir());
        let names = |hosts: &[HostName]| {
            Value::list(hosts.iter().map(|host| Value::from(&**host)).collect())
        };
        let batch = self.roster.remaining(&self.hosts);
        let here = names(&batch);
        // Hosts of other batches are gone when they are out for the whole run.
        let every = self
            .all
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let all: Vec<HostName> = every
            .iter()
            .filter(|host| {
                if self.hosts.contains(host) {
                    batch.contains(host)
                } else {
                    !run.recap.has_failed(host) && !run.recap.is_lost(host)
                }
            })
            .cloned()
            .collect();
        magic.insert("ansible_play_hosts_all".into(), names(&every));
        magic.insert("ansible_play_hosts".into(), names(&all));
        magic.insert("ansible_play_batch".into(), here.clone());
        magic.insert("play_hosts".into(), here.clone());
        magic.insert("ansible_current_hosts".into(), here);
        let failed = names(&self.roster.failed(&self.hosts));
        magic.insert("ansible_failed_hosts".into(), failed);
        magic.insert("ansible_play_name".into(), Value::from(&*self.name));
        let included = lock(&self.included).clone();
        let roles = self.play.roles.iter().chain(&included);
        let roles: Vec<Value> = roles.map(|role| Value::from(&*role.name)).collect();
        let dependencies: Vec<Value> = self.dependencies();
        let mut every = roles.clone();
        every.extend(dependencies.iter().cloned());
        let mut seen = Vec::new();
        every.retain(|name| {
            let new = !seen.contains(&name.to_text());
            seen.push(name.to_text());
            new
        });
        for (name, names) in [
            ("role_names", roles.clone()),
            ("ansible_play_role_names", roles),
            ("ansible_dependent_role_names", dependencies),
            ("ansible_role_names", every),
        ] {
            magic.insert(name.into(), Value::list(names));
        }
        magic.insert(
            "hostvars".into(),
            Value::Object(Arc::new(HostVars {
                run: Arc::clone(run),
                magic: Arc::new(run.magic(&self.play.dir())),
                settings: run.template_settings(self.search(None), &self.play.dir()),
                templars: Mutex::default(),
            })),
        );
        Arc::new(magic)
    }
}

impl Run {
    /// Variables that are the same for the whole run.
    pub(super) fn magic(&self, dir: &Path) -> IndexMap<String, Value> {
        let inventory = self.store.inventory();
        magic(&self.request, &inventory, self.store.groups(), dir)
    }

    pub(super) fn template_settings(
        &self,
        search: Vec<PathBuf>,
        dir: &Path,
    ) -> Arc<TemplateSettings> {
        template_settings(&self.request, search, dir)
    }
}

/// Variables that are the same for a whole run of the playbooks in `dir`.
pub(super) fn magic(
    request: &Request,
    inventory: &Inventory,
    groups: Value,
    dir: &Path,
) -> IndexMap<String, Value> {
    let mut magic = IndexMap::new();
    let mut set = |name: &str, value: Value| {
        magic.insert(name.to_owned(), value);
    };
    set("groups", groups);
    set("playbook_dir", Value::from(&*dir.to_string_lossy()));
    set("ansible_version", version());
    // What Ansible names is the Python that runs it; kopsrun runs none, so it is where systems have theirs.
    set("ansible_playbook_python", Value::from("/usr/bin/python3"));
    set("ansible_inventory_sources", texts(&inventory.sources()));
    let config = request.config_file.as_ref();
    let config = config.map_or(Value::None, |path| Value::from(&*path.to_string_lossy()));
    set("ansible_config_file", config);
    set("ansible_check_mode", Value::Bool(request.check));
    set("ansible_diff_mode", Value::Bool(request.diff));
    let forks = i64::try_from(request.width()).unwrap_or(i64::MAX);
    set("ansible_forks", Value::Int(forks));
    set(
        "ansible_verbosity",
        Value::Int(i64::from(request.verbosity)),
    );
    set("ansible_run_tags", texts(&run_tags(&request.tags)));
    set("ansible_skip_tags", texts(&request.skip_tags));
    if let Some(limit) = &request.limit {
        set("ansible_limit", Value::from(limit.as_str()));
    }
    magic
}

/// Templates that know a play but no host: its own variables, those of its roles and of its files.
pub(super) fn play_templar(
    request: &Request,
    magic: IndexMap<String, Value>,
    extra: Arc<Vars>,
    loader: &Loader,
    play: &Play,
) -> Templar {
    let dir = play.dir();
    let settings = template_settings(request, vec![dir.clone()], &dir);
    let mut scope = HostScope {
        magic: vec![Arc::new(magic)],
        extra,
        frame: None,
        play: Some(Arc::clone(&play.frame)),
        files: Layers::new(),
        roles: play.public_roles(),
        learned: Arc::default(),
        inventory: Arc::default(),
        connection: None,
        settings: Arc::clone(&settings),
    };
    let templar = Templar::new(Arc::new(scope.clone()), Arc::clone(&settings));
    for entry in &play.vars_files {
        // What can't be rendered without a host or can't be read is told when tasks run.
        let read = templar.render(&entry.value).ok();
        let path = read.and_then(|value| file_of_vars(&value, &settings.search));
        let vars = path.and_then(|path| loader.vars_file(&path).ok());
        scope.files.splice(0..0, vars);
    }
    Templar::new(Arc::new(scope), settings)
}

/// How templates of the playbooks in `dir` are rendered.
pub(super) fn template_settings(
    request: &Request,
    search: Vec<PathBuf>,
    dir: &Path,
) -> Arc<TemplateSettings> {
    Arc::new(TemplateSettings {
        search,
        playbook_dir: dir.to_owned(),
        environment: Arc::clone(&request.environment),
        vault: Arc::clone(&request.vault),
        command: request.command.clone(),
        native: request.native,
        merge_hashes: request.merge_hashes,
        facts_apart: request.configured("INJECT_FACTS_AS_VARS") == Some(false),
        trust_lookups: request.configured("DEFAULT_ALLOW_UNSAFE_LOOKUPS") == Some(true),
        config: Arc::clone(&request.config),
    })
}

/// The file that an entry of `vars_files` means: the first that is there of its names.
pub(super) fn file_of_vars(entry: &Value, dirs: &[PathBuf]) -> Option<PathBuf> {
    let names = match entry {
        Value::List(names) => names.read().map(|names| names.clone()).unwrap_or_default(),
        one => vec![one.clone()],
    };
    names.iter().filter_map(text_of).find_map(|name| {
        dirs.iter()
            .flat_map(|dir| [dir.join("vars").join(&name), dir.join(&name)])
            .find(|path| path.is_file())
    })
}

fn run_tags(tags: &[String]) -> Vec<String> {
    if tags.is_empty() {
        vec!["all".to_owned()]
    } else {
        tags.to_vec()
    }
}

fn texts(words: &[String]) -> Value {
    Value::list(
        words
            .iter()
            .map(|word| Value::from(word.as_str()))
            .collect(),
    )
}

/// The version of Ansible whose language this is, as text.
pub(super) fn followed() -> String {
    let (major, minor, revision) = FOLLOWS;
    format!("{major}.{minor}.{revision}")
}

pub(super) fn version() -> Value {
    let (major, minor, revision) = FOLLOWS;
    let text = followed();
    let entries = [
        ("string", Value::from(text.as_str())),
        ("full", Value::from(text.as_str())),
        ("major", Value::Int(major)),
        ("minor", Value::Int(minor)),
        ("revision", Value::Int(revision)),
    ];
    Value::dict(
        entries
            .into_iter()
            .map(|(name, value)| (Key(Value::from(name)), value))
            .collect(),
    )
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The roles that brought in the role of a task by `include_role` or `import_role`, the nearest first.
fn parents(frame: Option<&Frame>) -> Vec<Arc<Role>> {
    let mut roles: Vec<Arc<Role>> = Vec::new();
    for role in frame
        .into_iter()
        .flat_map(Frame::chain)
        .filter_map(|frame| frame.role.as_ref())
    {
        if !roles.last().is_some_and(|known| Arc::ptr_eq(known, role)) {
            roles.push(Arc::clone(role));
        }
    }
    let by_task: Vec<bool> = roles.iter().map(|role| role.by_task).collect();
    let parents = roles.into_iter().skip(1).zip(by_task);
    parents
        .filter(|(_, by_task)| *by_task)
        .map(|(role, _)| role)
        .collect()
}

/// Text, when the value is that.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) => Some(text.text.to_string()),
        _ => None,
    }
}

/// A template's error as a fault.
pub(super) fn fault(error: TemplateError) -> Fault {
    Fault::from(error)
}

/// `hostvars`: every host with its own variables, rendered in its own light.
struct HostVars {
    run: Arc<Run>,
    /// Of the run; what belongs to the play is no host's.
    magic: Arc<IndexMap<String, Value>>,
    settings: Arc<TemplateSettings>,
    templars: Mutex<HashMap<HostName, Arc<HostView>>>,
}

impl std::fmt::Debug for HostVars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hostvars")
    }
}

impl HostVars {
    fn view(&self, name: &str) -> Option<Arc<HostView>> {
        if let Some(view) = lock(&self.templars).get(name) {
            return Some(Arc::clone(view));
        }
        if !self.run.store.inventory().has_host(name) && name != "localhost" {
            return None;
        }
        let host: HostName = Arc::from(name);
        let scope = HostScope {
            magic: vec![Arc::clone(&self.magic)],
            extra: Arc::clone(&self.run.extra),
            frame: None,
            play: None,
            files: Layers::new(),
            roles: Arc::from([]),
            learned: self.run.store.learned(&host),
            inventory: self.run.store.vars(&host),
            connection: None,
            settings: Arc::clone(&self.settings),
        };
        let templar = Templar::new(Arc::new(scope.clone()), Arc::clone(&self.settings));
        let view = Arc::new(HostView { scope, templar });
        lock(&self.templars).insert(host, Arc::clone(&view));
        Some(view)
    }
}

impl Object for HostVars {
    fn type_name(&self) -> &'static str {
        "dict"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        let view = self.view(&text_of(key)?)?;
        Some(Value::Object(view))
    }

    fn keys(&self) -> Option<Vec<Value>> {
        let inventory = self.run.store.inventory();
        let hosts = inventory.all_hosts();
        let mut keys: Vec<Value> = hosts.iter().map(|host| Value::from(&**host)).collect();
        // As in Ansible, which has made the implicit one by the time that templates run.
        if !inventory.names_localhost() {
            keys.push(Value::from("localhost"));
        }
        Some(keys)
    }
}

/// One host of `hostvars`.
struct HostView {
    scope: HostScope,
    templar: Templar,
}

impl std::fmt::Debug for HostView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hostvars[…]")
    }
}

impl Object for HostView {
    fn type_name(&self) -> &'static str {
        "dict"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        use crate::content::template::Scope;
        let raw = self.scope.get(&text_of(key)?)?;
        Some(self.templar.render(&raw).unwrap_or_else(|error| {
            Value::undefined_because(text_of(key).unwrap_or_default(), error.message)
        }))
    }

    fn keys(&self) -> Option<Vec<Value>> {
        use crate::content::template::Scope;
        let names = self.scope.names();
        Some(
            names
                .iter()
                .map(|name| Value::from(name.as_str()))
                .collect(),
        )
    }
}
