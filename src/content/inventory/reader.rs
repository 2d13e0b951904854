//! Reads the sources of an inventory, each as what it is, into one graph.

use super::constructed::{self, Rules};
use super::graph::{Graph, LOCALHOST, Name};
use super::{Broken, Settings, Var, ini, put, script, tree};
use crate::content::place::{Fault, Place};
use crate::content::value::Value;
use crate::content::yaml::{self, Node};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names that aren't inventories in a directory of inventories.
const IGNORED_NAMES: [&str; 3] = ["host_vars", "group_vars", "vars_plugins"];

/// The graph that is being filled, and the source that is being read.
pub struct Reader<'a> {
    graph: &'a mut Graph,
    warnings: &'a mut Vec<Fault>,
    settings: &'a Settings,
    /// Files of the plugin `constructed` that this source holds.
    pub constructed: Vec<Rules>,
    /// How many files and lists of hosts were understood.
    pub read: usize,
    /// `inventory_file` and `inventory_dir` of hosts that this source names first.
    source: (Value, Value),
}

impl<'a> Reader<'a> {
    pub fn new(graph: &'a mut Graph, warnings: &'a mut Vec<Fault>, settings: &'a Settings) -> Self {
        Self {
            graph,
            warnings,
            settings,
            constructed: Vec::new(),
            read: 0,
            source: (Value::None, Value::None),
        }
    }

    /// One `-i`: a list of hosts, a directory or a file.
    pub fn source(&mut self, source: &Path) -> Result<(), Fault> {
        let text = source.to_string_lossy();
        if is_list(source) {
            self.source = (self::text(&text), Value::None);
            let read = self.host_list(&text, source);
            return self.judged(source, read);
        }
        let path = std::path::absolute(source).unwrap_or_else(|_| source.to_path_buf());
        self.path(&path)
    }

    /// A file or list that was read, or why it wasn't: a warning where sources may be broken.
    fn judged(&mut self, source: &Path, read: Result<(), Fault>) -> Result<(), Fault> {
        match read {
            Ok(()) => self.read += 1,
            Err(fault) if self.settings.broken == Broken::Fails => return Err(fault),
            Err(fault) => {
                let source = source.display();
                let message = format!("Unable to parse {source} as an inventory source");
                self.warnings.push(fault);
                self.warnings.push(Fault::new(message));
            }
        }
        Ok(())
    }

    fn host_list(&mut self, list: &str, source: &Path) -> Result<(), Fault> {
        let place = Place::file(source);
        for written in list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let (name, port) = super::address::split_port(written).unwrap_or((written, None));
            self.add_host(name, "ungrouped", port, &place)?;
        }
        Ok(())
    }

    fn path(&mut self, path: &Path) -> Result<(), Fault> {
        if path.is_dir() {
            return self.directory(path);
        }
        let read = self.one(path);
        self.judged(path, read)
    }

    /// A file.
    fn one(&mut self, path: &Path) -> Result<(), Fault> {
        let meta = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        let folder = path.parent().unwrap_or(path);
        self.source = (
            text(&path.to_string_lossy()),
            text(&folder.to_string_lossy()),
        );
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        let executable = meta.permissions().mode() & 0o111 != 0;
        if bytes.starts_with(b"#!") || executable {
            match self.program(path) {
                // Ansible tries a file that is executable by accident as what it holds.
                Err(_) if !bytes.starts_with(b"#!") && !bytes.starts_with(b"\x7fELF") => {}
                done => return done,
            }
        }
        let bytes = self.settings.vault.decrypted(path, bytes)?;
        let content = String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))?;
        self.file(path, &content)
    }

    fn program(&mut self, path: &Path) -> Result<(), Fault> {
        let Some(run) = &self.settings.program else {
            return Err(
                Fault::new("executable inventories can't be run here").at(&Place::file(path))
            );
        };
        script::read(self, path, &Arc::clone(run))
    }

    /// All files of a directory by name, and those of its directories.
    fn directory(&mut self, path: &Path) -> Result<(), Fault> {
        let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(|error| unreadable(path, &error))?.file_name());
        }
        names.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        let patterns = self.settings.patterns()?;
        for name in names {
            let shown = name.to_string_lossy();
            let ignored = shown.starts_with('.')
                || IGNORED_NAMES.contains(&&*shown)
                || self
                    .settings
                    .ignored_ends
                    .iter()
                    .any(|end| shown.ends_with(end))
                || patterns
                    .iter()
                    .any(|pattern| pattern.is_match(&*shown).unwrap_or(false));
            if !ignored {
                self.path(&path.join(&name))?;
            }
        }
        Ok(())
    }

    /// A file is YAML by its extension; one without is YAML when it holds a mapping, else INI; all others are INI.
    fn file(&mut self, path: &Path, content: &str) -> Result<(), Fault> {
        let file: Arc<Path> = Arc::from(path);
        let extension = path
            .extension()
            .map(|end| end.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("yml" | "yaml" | "json" | "config") => self.yaml(content, &file),
            Some("toml") => Err(Fault::new("TOML inventories aren't supported")
                .at(&Place::file(path))
                .hint("write it as YAML; `ansible-inventory --list --yaml` converts it")),
            None if looks_like_yaml(content, &file) => self.yaml(content, &file),
            _ => ini::read(self, content, &file),
        }
    }

    fn yaml(&mut self, content: &str, file: &Arc<Path>) -> Result<(), Fault> {
        let root = match yaml::parse_one(content, file, self.warnings) {
            Ok(root) => root,
            Err(fault) if content.trim_start().starts_with('[') => {
                return Err(fault.hint("INI inventories have the extension .ini or none"));
            }
            Err(fault) => return Err(fault),
        };
        if root.is_null() {
            let warning = Fault::new("this inventory is empty").at(&Place::file(file));
            self.warnings.push(warning);
            return Ok(());
        }
        let plugin = root.get("plugin").and_then(Node::as_str);
        if plugin.is_some_and(constructed::is_ours) {
            self.constructed.push(constructed::rules(&root)?);
            return Ok(());
        }
        tree::read(self, &root)
    }

    pub fn has_group(&self, name: &str) -> bool {
        self.graph.groups.contains_key(name)
    }

    pub fn group_names(&self) -> Vec<Name> {
        self.graph.groups.keys().cloned().collect()
    }

    pub fn add_group(&mut self, name: &str, place: &Place) {
        let legal = |c: char| c.is_alphanumeric() || c == '_';
        if !self.has_group(name)
            && (!name.chars().all(legal) || name.starts_with(|c: char| c.is_numeric()))
        {
            let warning = Fault::new(format!(
                "group `{name}` can't be written as `groups.{name}` in templates"
            ))
            .at(place)
            .hint("names of groups should hold letters, digits and underscores only");
            self.warnings.push(warning);
        }
        self.graph.add_group(name);
    }

    pub fn add_child(&mut self, parent: &str, child: &str, place: &Place) -> Result<(), Fault> {
        self.graph.add_child(parent, child, place)
    }

    pub fn add_host(
        &mut self,
        name: &str,
        group: &str,
        port: Option<u32>,
        place: &Place,
    ) -> Result<(), Fault> {
        let known = self.graph.hosts.contains_key(name);
        if !known && LOCALHOST.contains(&name) {
            let other = LOCALHOST
                .iter()
                .find(|other| self.graph.hosts.contains_key(**other));
            if let Some(other) = other {
                let warning = Fault::new(format!(
                    "`{name}` and `{other}` both mean this machine; `{other}` is used for delegation"
                ));
                self.warnings.push(warning.at(place));
            }
        }
        self.graph.add_host(name, group, place);
        if known {
            return Ok(());
        }
        let (file, dir) = self.source.clone();
        self.set(name, "inventory_file", file, place);
        self.set(name, "inventory_dir", dir, place);
        if let Some(port) = port {
            if !(1..=65535).contains(&port) {
                return Err(
                    Fault::new(format!("port {port} of host `{name}` isn't in 1..65535")).at(place),
                );
            }
            self.set(name, "ansible_port", Value::Int(i64::from(port)), place);
        }
        Ok(())
    }

    fn set(&mut self, host: &str, variable: &str, value: Value, place: &Place) {
        if let Some(host) = self.graph.hosts.get_mut(host) {
            let place = place.clone();
            let var = Var { value, place };
            put(&mut host.vars, variable, var, self.settings.merge);
        }
    }

    pub fn set_host_var(&mut self, host: &str, name: &str, node: &Node) -> Result<(), Fault> {
        self.set(host, name, node.value()?, &node.place);
        Ok(())
    }

    pub fn set_group_var(&mut self, group: &str, name: &str, node: &Node) -> Result<(), Fault> {
        let var = Var {
            value: node.value()?,
            place: node.place.clone(),
        };
        self.graph
            .set_group_var(group, name, var, self.settings.merge)
    }
}

/// Text that the operator wrote.
pub fn text(text: &str) -> Value {
    Value::from(text)
}

/// True for a file without extension that holds a YAML mapping; when it is neither YAML nor INI, what its first line
/// looks like decides which of the two reports the fault.
fn looks_like_yaml(content: &str, file: &Arc<Path>) -> bool {
    match yaml::parse_one(content, file, &mut Vec::new()) {
        Ok(root) => root.as_map().is_some(),
        Err(_) => content
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .is_some_and(|line| line == "---" || line.ends_with(':')),
    }
}

pub fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    let fault = Fault::new(format!("cannot read `{}`: {error}", path.display()));
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            fault.hint("check the path; a list of hosts needs at least one comma: `-i node1,`")
        }
        _ => fault,
    }
}

pub fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Fault {
    let valid = error.utf8_error().valid_up_to();
    let before = &error.as_bytes()[..valid];
    let row = before.iter().filter(|byte| **byte == b'\n').count();
    Fault::new(format!("line {} isn't UTF-8 text", row + 1))
        .at(&Place::file(path))
        .hint("save the file as UTF-8")
}

/// True for a list of hosts (`host1,host2,`).
pub fn is_list(source: &Path) -> bool {
    source.to_string_lossy().contains(',') && !source.exists()
}

/// The directory whose `group_vars/` and `host_vars/` belong to a source; none for a list of hosts.
pub fn base_dir(source: &Path) -> Option<PathBuf> {
    if is_list(source) {
        return None;
    }
    let path = std::path::absolute(source).unwrap_or_else(|_| source.to_path_buf());
    if path.is_dir() {
        return Some(path);
    }
    path.parent().map(Path::to_path_buf)
}
