//! `group_vars/` and `host_vars/`: variables in files beside an inventory or a playbook.

use super::reader::{not_utf8, unreadable};
use super::{Settings, Var, Vars, put};
use crate::content::place::Fault;
use crate::content::yaml;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Extensions of files with variables; a name without extension comes first.
const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Deepest directory below `group_vars/NAME/`, against links that lead back.
const MAX_DEPTH: u32 = 20;

/// The variables that one directory holds for each group and host.
#[derive(Clone, Default)]
pub struct VarFiles {
    dir: PathBuf,
    groups: HashMap<Arc<str>, Vars>,
    hosts: HashMap<Arc<str>, Vars>,
}

impl VarFiles {
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Nothing is read yet.
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            ..Self::default()
        }
    }

    pub fn group(&self, name: &str) -> Option<&Vars> {
        self.groups.get(name)
    }

    pub fn host(&self, name: &str) -> Option<&Vars> {
        self.hosts.get(name)
    }

    /// Reads `group_vars/NAME…` once.
    pub fn read_group(
        &mut self,
        name: &Arc<str>,
        settings: &Settings,
        warnings: &mut Vec<Fault>,
    ) -> Result<(), Fault> {
        if !self.groups.contains_key(name) {
            let vars = read_all(&self.dir.join("group_vars"), name, settings, warnings)?;
            self.groups.insert(Arc::clone(name), vars);
        }
        Ok(())
    }

    /// Reads `host_vars/NAME…` once.
    pub fn read_host(
        &mut self,
        name: &Arc<str>,
        settings: &Settings,
        warnings: &mut Vec<Fault>,
    ) -> Result<(), Fault> {
        if !self.hosts.contains_key(name) {
            let vars = read_all(&self.dir.join("host_vars"), name, settings, warnings)?;
            self.hosts.insert(Arc::clone(name), vars);
        }
        Ok(())
    }
}

/// The first that exists of NAME, NAME.yml, NAME.yaml, NAME.json; of a directory all its files.
fn read_all(
    folder: &Path,
    name: &str,
    settings: &Settings,
    warnings: &mut Vec<Fault>,
) -> Result<Vars, Fault> {
    let mut vars = Vars::new();
    if name.starts_with('/') {
        return Ok(vars);
    }
    for extension in EXTENSIONS {
        let path = folder.join(format!("{name}{extension}"));
        if path.is_dir() {
            let mut files = Vec::new();
            list(&path, 0, &mut files)?;
            for file in files {
                read(&file, &mut vars, settings, warnings)?;
            }
            break;
        }
        if path.exists() {
            read(&path, &mut vars, settings, warnings)?;
            break;
        }
    }
    Ok(vars)
}

/// Files of a directory by name, those of its directories in their place. Hidden ones, backups (`~`) and other
/// extensions are skipped, and so are directories whose name has an extension.
fn list(dir: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::new(format!(
            "directories below `{}` are nested more than {MAX_DEPTH} deep",
            dir.display()
        ))
        .hint("is there a link that leads back to its own parent?"));
    }
    let entries = std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(|error| unreadable(dir, &error))?.file_name());
    }
    names.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    for name in names {
        let path = dir.join(&name);
        let shown = name.to_string_lossy();
        if shown.starts_with('.') || shown.ends_with('~') {
            continue;
        }
        let extension = path
            .extension()
            .map(|end| format!(".{}", end.to_string_lossy()))
            .unwrap_or_default();
        if path.is_dir() {
            if extension.is_empty() {
                list(&path, depth + 1, files)?;
            }
        } else if EXTENSIONS.contains(&extension.as_str()) {
            files.push(path);
        }
    }
    Ok(())
}

fn read(
    path: &Path,
    vars: &mut Vars,
    settings: &Settings,
    warnings: &mut Vec<Fault>,
) -> Result<(), Fault> {
    let bytes = settings
        .vault
        .read(path)
        .map_err(|error| unreadable(path, &error))??;
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))?;
    let file: Arc<Path> = Arc::from(path);
    let root = yaml::parse_one(&text, &file, warnings)?;
    if root.is_null() {
        return Ok(());
    }
    let Some(entries) = root.as_map() else {
        return Err(Fault::new(format!(
            "a file of variables must be a mapping, this is {}",
            root.describe()
        ))
        .at(&root.place)
        .hint("write each variable as `name: value`"));
    };
    for (key, node) in entries {
        let Some(name) = key.as_str() else {
            return Err(Fault::new(format!(
                "the name of a variable must be text, this is {}",
                key.describe()
            ))
            .at(&key.place)
            .hint("put it in quotation marks"));
        };
        let var = Var {
            value: node.value()?,
            place: node.place.clone(),
        };
        put(vars, name, var, settings.merge);
    }
    Ok(())
}
