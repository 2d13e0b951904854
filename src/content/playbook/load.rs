//! Reading files and keeping what was read.

use super::tree::{Frame, Item, Keyword, Keywords, Layers, LoadedRole, Play, Strategy};
use crate::content::ansible::Installed;
use crate::content::inventory::{Var, Vars};
use crate::content::place::{Fault, Place};
use crate::content::value::Value;
use crate::content::vault::Keyring;
use crate::content::yaml::{self, Node};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How names of files and roles with templates are rendered while reading: with the variables known then, strongest
/// layer first.
pub type Render = dyn Fn(&Var, &Layers) -> Result<Value, Fault> + Send + Sync;

/// What reading needs to know from outside.
#[derive(Clone)]
pub struct Settings {
    /// Searched for roles after those beside the playbook.
    pub roles_path: Vec<PathBuf>,
    /// Searched for collections after `collections/` beside the playbook.
    pub collections_path: Vec<PathBuf>,
    /// `-e`.
    pub extra_vars: Arc<Vars>,
    /// `groups` and other magic variables that need no host.
    pub statics: Arc<Vars>,
    /// Opens files that ansible-vault encrypted.
    pub vault: Arc<Keyring>,
    /// Keywords of plays that don't say them, from ansible.cfg.
    pub keywords: Vec<(Keyword, Var)>,
    /// The strategy of plays that name none.
    pub strategy: Strategy,
    /// Directories of Python modules, searched after `library/` beside playbooks and in roles.
    pub library: Vec<PathBuf>,
    /// Packs modules of Python.
    pub ansible: Option<Arc<Installed>>,
    /// Playbooks are only looked at: modules that Ansible has and kopsrun hasn't are warnings.
    pub listing: bool,
    pub render: Arc<Render>,
}

/// A playbook that was read.
pub struct Playbook {
    pub path: PathBuf,
    /// Directory of the file: roles, files and `group_vars/` are looked for beside it.
    pub dir: PathBuf,
    /// Plays of imported playbooks in their place.
    pub plays: Vec<Arc<Play>>,
    pub warnings: Vec<Fault>,
}

/// How a role is called by an `include_role` whose arguments are rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleCall {
    pub name: String,
    pub tasks_from: Option<String>,
    pub vars_from: Option<String>,
    pub defaults_from: Option<String>,
    pub handlers_from: Option<String>,
    pub public: bool,
    pub allow_duplicates: Option<bool>,
    /// `rolespec_validate: false`: its arguments are not checked.
    pub unchecked: bool,
}

/// What an include brings in.
pub struct Included {
    pub items: Vec<Item>,
    /// The role of an `include_role`.
    pub role: Option<LoadedRole>,
    /// Roles that its tasks import: the play sees their variables and their handlers, as if it did so itself.
    pub imported: Vec<LoadedRole>,
}

/// Reads playbooks, and later the files that their tasks include. Every file is parsed once.
pub struct Loader {
    pub(super) settings: Settings,
    files: Mutex<HashMap<PathBuf, Arc<Node>>>,
    vars: Mutex<HashMap<PathBuf, Arc<Vars>>>,
    /// `library/` of every role that was read.
    libraries: Mutex<Vec<PathBuf>>,
    next: AtomicU64,
}

impl Loader {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            files: Mutex::default(),
            vars: Mutex::default(),
            libraries: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    /// From now on tasks find the modules that a role brings.
    pub(super) fn add_library(&self, role: &Path) {
        let library = role.join("library");
        if library.is_dir() {
            let known = self.libraries.lock();
            known.unwrap_or_else(PoisonError::into_inner).push(library);
        }
    }

    pub(super) fn role_libraries(&self) -> Vec<PathBuf> {
        let known = self.libraries.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads a playbook and everything that it imports. The error holds every fault that was found.
    pub fn playbook(&self, path: &Path) -> Result<Playbook, Vec<Fault>> {
        // The command line may have made a path of the name.
        let named = path.file_name().and_then(|name| name.to_str());
        let named = named.filter(|_| !path.exists()).and_then(|name| {
            let pass = Pass::new(self, PathBuf::from("."));
            pass.collection_playbook(name, &Frame::empty())
        });
        let path = named.as_deref().unwrap_or(path);
        let dir = directory(path);
        let mut pass = Pass::new(self, dir.clone());
        let plays = pass.playbook(path, &Keywords::default());
        pass.finish(Playbook {
            path: path.to_owned(),
            dir,
            plays,
            warnings: Vec::new(),
        })
        .map(|(mut playbook, warnings)| {
            playbook.warnings = warnings;
            playbook
        })
    }

    /// Plays from text, for plays that no file holds (one task on some hosts).
    pub fn plays(&self, text: &str, name: &Path, dir: &Path) -> Result<Vec<Arc<Play>>, Vec<Fault>> {
        let mut pass = Pass::new(self, dir.to_owned());
        let file: Arc<Path> = Arc::from(name);
        let plays = match yaml::parse_one(text, &file, &mut pass.warnings) {
            Ok(node) => pass.plays(&node, &file, &Keywords::default()),
            Err(fault) => {
                pass.faults.push(fault);
                Vec::new()
            }
        };
        pass.finish(plays).map(|(plays, _)| plays)
    }

    /// Reads the tasks of an `include_tasks`. `frame` is what they inherit; a file that is among its includes is a
    /// circle.
    pub fn include_tasks(
        &self,
        file: &Path,
        frame: &Frame,
        inside: &Arc<Frame>,
        dir: &Path,
        handlers: bool,
    ) -> Result<Included, Vec<Fault>> {
        let mut pass = Pass::new(self, dir.to_owned());
        if let Some(node) = pass.node(file)
            && !node.is_null()
            && node.as_seq().is_none()
        {
            let fault = Fault::new(format!(
                "a file of tasks is a list; this is {}",
                node.describe()
            ));
            return Err(vec![fault.at(&node.place).absent()]);
        }
        let items = pass.task_file(file, frame, inside, handlers, None);
        let imported = std::mem::take(&mut pass.imported);
        pass.finish(items).map(|(items, _)| Included {
            items,
            role: None,
            imported,
        })
    }

    /// Reads a role for an `include_role`.
    pub fn include_role(
        &self,
        call: &RoleCall,
        place: &Place,
        inside: &Arc<Frame>,
        dir: &Path,
    ) -> Result<Included, Vec<Fault>> {
        let mut pass = Pass::new(self, dir.to_owned());
        let role = pass.included_role(call, place, inside);
        match (role, pass.faults) {
            (Some(mut role), faults) if faults.is_empty() => Ok(Included {
                items: std::mem::take(&mut role.tasks),
                role: Some(role),
                imported: pass.imported,
            }),
            (_, faults) => Err(faults),
        }
    }

    /// The variables of a file (YAML or JSON), parsed once.
    pub fn vars_file(&self, path: &Path) -> Result<Arc<Vars>, Fault> {
        if let Some(vars) = lock(&self.vars).get(path) {
            return Ok(Arc::clone(vars));
        }
        let node = self.node(path, &mut Vec::new())?;
        // In a file of `vars_files` a list of mappings counts as one.
        let mut vars = Vars::new();
        for level in node.as_seq().unwrap_or(std::slice::from_ref(&node)) {
            vars.extend(super::setting::vars(level)?);
        }
        let vars = Arc::new(vars);
        lock(&self.vars).insert(path.to_owned(), Arc::clone(&vars));
        Ok(vars)
    }

    pub(super) fn node(&self, path: &Path, warnings: &mut Vec<Fault>) -> Result<Arc<Node>, Fault> {
        if let Some(node) = lock(&self.files).get(path) {
            return Ok(Arc::clone(node));
        }
        let text = read(path, &self.settings.vault)?;
        let file: Arc<Path> = Arc::from(path);
        let node = Arc::new(yaml::parse_one(&text, &file, warnings)?);
        lock(&self.files).insert(path.to_owned(), Arc::clone(&node));
        Ok(node)
    }

    pub(super) fn id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// One reading: what was found wrong on the way, and where it stands.
pub(super) struct Pass<'a> {
    pub(super) loader: &'a Loader,
    /// Directory of the playbook that was named on the command line.
    pub(super) dir: PathBuf,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    /// Playbooks that are being read, outermost first.
    pub(super) playbooks: Vec<PathBuf>,
    /// Roles that are being read, outermost first.
    pub(super) roles: Vec<PathBuf>,
    /// Roles imported by tasks of the play that is being read.
    pub(super) imported: Vec<LoadedRole>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(loader: &'a Loader, dir: PathBuf) -> Self {
        Self {
            loader,
            dir,
            faults: Vec::new(),
            warnings: Vec::new(),
            playbooks: Vec::new(),
            roles: Vec::new(),
            imported: Vec::new(),
        }
    }

    fn finish<T>(mut self, found: T) -> Result<(T, Vec<Fault>), Vec<Fault>> {
        if self.loader.settings.listing {
            let (can_not, wrong): (Vec<_>, Vec<_>) =
                self.faults.into_iter().partition(|fault| fault.unsupported);
            self.faults = wrong;
            self.warnings.extend(can_not);
        }
        if self.faults.is_empty() {
            Ok((found, self.warnings))
        } else {
            Err(self.faults)
        }
    }

    /// Keeps the fault, if it is one, and goes on.
    pub(super) fn ok<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    pub(super) fn node(&mut self, path: &Path) -> Option<Arc<Node>> {
        let mut warnings = Vec::new();
        let result = self.loader.node(path, &mut warnings);
        self.warnings.append(&mut warnings);
        self.ok(result)
    }

    /// Magic variables that are known before any host is.
    fn statics(&self, frame: Option<&Frame>) -> Arc<Vars> {
        let dir = frame.map_or_else(|| self.dir.clone(), |frame| self.play_dir(frame));
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        let mut vars = Vars::clone(&self.loader.settings.statics);
        let value = super::setting::text(&dir.to_string_lossy());
        let place = Place::file(&dir);
        vars.insert("playbook_dir".to_owned(), Var { value, place });
        Arc::new(vars)
    }

    /// A switch of an import, rendered with what is known while reading.
    pub(super) fn static_flag(&mut self, var: &Var, frame: Option<&Frame>) -> Option<bool> {
        let value = match &var.value {
            Value::Str(_) => self.static_value(var, frame)?,
            other => other.clone(),
        };
        match &value {
            Value::Bool(flag) => Some(*flag),
            Value::Str(text) => match &*text.text.to_lowercase() {
                "yes" | "true" | "on" | "1" | "y" | "t" => Some(true),
                _ => Some(false),
            },
            other => Some(other.truthy()),
        }
    }

    fn static_value(&mut self, var: &Var, frame: Option<&Frame>) -> Option<Value> {
        let mut layers = vec![Arc::clone(&self.loader.settings.extra_vars)];
        layers.extend(frame.map(static_layers).unwrap_or_default());
        layers.push(self.statics(frame));
        let result = (self.loader.settings.render)(var, &layers).map_err(|fault| {
            fault.hint(
                "Imports are made before the first connection: only extra variables, the play's and the role's own are \
                 known then. `include_tasks` and `include_role` see all variables.",
            )
        });
        self.ok(result)
    }

    /// A name of a file or role, rendered with what is known while reading.
    pub(super) fn static_text(&mut self, var: &Var, frame: Option<&Frame>) -> Option<String> {
        let value = match &var.value {
            Value::Str(text) if !text.text.contains("{{") && !text.text.contains("{%") => {
                return Some(text.text.to_string());
            }
            _ => self.static_value(var, frame)?,
        };
        match value {
            Value::Str(text) => Some(text.text.to_string()),
            _ => {
                self.faults
                    .push(Fault::new("a name was expected here").at(&var.place));
                None
            }
        }
    }
}

/// Variables that are known before any host is: those of frames and roles.
fn static_layers(frame: &Frame) -> Layers {
    let mut layers = Layers::new();
    for frame in frame.chain() {
        layers.push(Arc::new(frame.params.clone()));
        layers.push(Arc::new(frame.keywords.vars.clone()));
    }
    if let Some(role) = frame.role() {
        layers.extend(
            role.params
                .iter()
                .chain(&role.vars)
                .chain(&role.defaults)
                .cloned(),
        );
    }
    layers
}

/// The directory of a file, never empty.
pub(super) fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The text of a file, decrypted when ansible-vault encrypted it.
fn read(path: &Path, vault: &Keyring) -> Result<String, Fault> {
    let unreadable = |error| unreadable(path, &error);
    let bytes = vault.read(path).map_err(unreadable)??;
    String::from_utf8(bytes)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        .map_err(unreadable)
}

/// The fault for a file that can't be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    let fault = Fault::new(format!("{} can't be read: {error}", path.display()));
    match error.kind() {
        std::io::ErrorKind::NotFound => fault.absent(),
        std::io::ErrorKind::InvalidData => fault.hint("It isn't UTF-8 text."),
        std::io::ErrorKind::PermissionDenied => {
            fault.hint("The user who runs kopsrun needs to be allowed to read it.")
        }
        _ => fault,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
