//! What templates may see: variables by name, directories to search, the environment as it was given.

use crate::content::place::Place;
use crate::content::value::Value;
use crate::content::vault::Keyring;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Variables by name, as they were written: their text may hold templates.
pub trait Scope: Send + Sync {
    fn get(&self, name: &str) -> Option<Value>;
    /// All names that are defined, for suggestions and `lookup('varnames')`.
    fn names(&self) -> Vec<String>;
    /// Where the variable was written.
    fn place(&self, _name: &str) -> Option<Place> {
        None
    }
}

/// Runs a command line on the controller, in a directory, and returns what it prints, or says what went wrong.
pub type RunCommand = Arc<dyn Fn(&str, &Path) -> Result<String, String> + Send + Sync>;

/// What is the same for all templates of a play.
#[derive(Clone, Default)]
pub struct TemplateSettings {
    /// Directories for lookups and includes, nearest first.
    pub search: Vec<PathBuf>,
    pub playbook_dir: PathBuf,
    /// The environment of the command, for `lookup('env')`.
    pub environment: Arc<BTreeMap<String, String>>,
    /// For `lookup('pipe')`; None: refused.
    pub command: Option<RunCommand>,
    /// `jinja2_native`: templates give what their expressions give, and text that reads as a literal of Python is one.
    pub native: bool,
    /// `hash_behaviour=merge`: a mapping is merged with those of the same name on weaker levels.
    pub merge_hashes: bool,
    /// Facts are only below `ansible_facts` (`inject_facts_as_vars = false`).
    pub facts_apart: bool,
    /// Lookups give data that may be templated (`allow_unsafe_lookups`).
    pub trust_lookups: bool,
    /// Settings of ansible.cfg that are honoured, by their names in Ansible, for `lookup('config')`.
    pub config: Arc<BTreeMap<String, Value>>,
    /// Opens values and files that ansible-vault encrypted.
    pub vault: Arc<Keyring>,
}

impl TemplateSettings {
    /// The setting `ansible_managed`, when somebody set it.
    pub fn managed(&self) -> Option<String> {
        let managed = self.config.get("DEFAULT_MANAGED_STR")?;
        Some(managed.to_text())
    }

    /// A file of a task by name: absolute, or in `kind` (`files`, `templates`, `vars`) below a directory of the search
    /// path, or in the directory itself.
    pub fn find(&self, kind: &str, name: &str) -> Option<PathBuf> {
        let path = self.expand_home(name);
        if path.is_absolute() {
            return path.exists().then_some(path);
        }
        let dirs = self.search.iter().chain([&self.playbook_dir]);
        dirs.flat_map(|dir| [dir.join(kind).join(&path), dir.join(&path)])
            .find(|path| path.exists())
    }

    /// A template by the name that another one uses.
    pub fn find_template(&self, name: &str) -> Option<PathBuf> {
        self.find("templates", name).filter(|path| path.is_file())
    }

    /// `~/x` below the home of whoever runs the command.
    pub fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), self.environment.get("HOME")) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                PathBuf::from(format!("{home}{rest}"))
            }
            _ => PathBuf::from(path),
        }
    }
}
