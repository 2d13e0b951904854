//! Modules that kopsrun doesn't bring: programs in a `library/` or in a collection. Those of Python need the ansible-core
//! of this machine, which packs them with what they import; the others run as they are. Playbooks that name modules that
//! can't be run can still be listed.

use super::load::Pass;
use super::modules;
use super::tree::Frame;
use crate::content::place::{Fault, Place};
use host::Spec;
use std::fs;
use std::path::{Path, PathBuf};

/// Stands for those that are run.
pub(super) static MODULE: Spec = Spec::new("foreign", "A module that kopsrun doesn't bring.", &[]);

/// Stands for those that can only be listed.
pub(super) static LISTED: Spec =
    Spec::new("listed", "A module that kopsrun can't run.", &[]).free_form();

/// A module that was found where Ansible finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// With its collection; without one for a file of a `library/`.
    pub name: String,
    pub path: PathBuf,
    pub style: Style,
    /// More directories of what it imports.
    pub module_utils: Vec<PathBuf>,
}

/// How such a module gets its arguments, as
/// <https://docs.ansible.com/ansible/latest/dev_guide/developing_program_flow_modules.html> tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Python that imports Ansible's `module_utils`.
    Packed,
    /// A program that asks for a file of JSON (`WANT_JSON`), or one that no interpreter reads.
    Json,
    /// Any other script: a file of `name=value`.
    Pairs,
}

/// Names of files that are no modules.
const NO_MODULES: &[&str] = &[
    "bak", "cfg", "ini", "json", "md", "orig", "pyc", "pyo", "rpm", "rst", "swp", "txt", "yaml",
    "yml",
];

/// What ansible-core 2.18 brings.
const BUILTIN: &[&str] = &[
    "apt",
    "apt_key",
    "apt_repository",
    "assemble",
    "async_status",
    "blockinfile",
    "command",
    "copy",
    "cron",
    "deb822_repository",
    "debconf",
    "debug",
    "dnf",
    "dnf5",
    "dpkg_selections",
    "expect",
    "fail",
    "fetch",
    "file",
    "find",
    "gather_facts",
    "get_url",
    "getent",
    "git",
    "group",
    "hostname",
    "iptables",
    "known_hosts",
    "lineinfile",
    "mount_facts",
    "package",
    "package_facts",
    "ping",
    "pip",
    "reboot",
    "replace",
    "rpm_key",
    "script",
    "service",
    "service_facts",
    "setup",
    "shell",
    "slurp",
    "stat",
    "subversion",
    "systemd",
    "systemd_service",
    "sysvinit",
    "tempfile",
    "template",
    "unarchive",
    "uri",
    "user",
    "validate_argument_spec",
    "wait_for",
    "yum",
    "yum_repository",
];

impl Pass<'_> {
    /// The module of this name outside of kopsrun. None: there is none. The fault says why one that is there can't run.
    pub(super) fn foreign(
        &self,
        name: &str,
        place: &Place,
        frame: &Frame,
    ) -> Result<Option<Foreign>, Fault> {
        let short = modules::short_name(name);
        let library = self.libraries(place);
        let beside: Vec<PathBuf> = if short.contains('.') {
            Vec::new()
        } else {
            library.clone()
        };
        let mut found = beside.iter().find_map(|dir| file_in(dir, short));
        let collections = Self::collections_seen(frame);
        if found.is_none() {
            found = self.in_collections(short, &collections, frame);
        }
        // Ansible takes no relative paths.
        let found = found.map(|path| std::path::absolute(&path).unwrap_or(path));
        let style = match &found {
            Some(path) => style_of(path).map_err(|why| refused(name, path, &why, place))?,
            None => Style::Packed,
        };
        if let (Some(path), Style::Json | Style::Pairs) = (&found, style) {
            return Ok(Some(Foreign {
                name: short.to_owned(),
                path: path.clone(),
                style,
                module_utils: Vec::new(),
            }));
        }
        self.packed(short, found, &collections, &library, place)
    }

    /// A module of Python, which Ansible finds and packs.
    fn packed(
        &self,
        name: &str,
        found: Option<PathBuf>,
        collections: &[String],
        library: &[PathBuf],
        place: &Place,
    ) -> Result<Option<Foreign>, Fault> {
        let Some(ansible) = &self.loader.settings.ansible else {
            return match found {
                None => Ok(None),
                Some(path) => Err(refused(name, &path, "it is written in Python", place)),
            };
        };
        let known = match (ansible.find(name, collections, library), &found) {
            (Ok(known), _) => known,
            (Err(_), None) => return Ok(None),
            (Err(why), Some(path)) => {
                let why = format!("it is written in Python, and Ansible can't pack it: {why}");
                return Err(refused(name, path, &why, place));
            }
        };
        let Some(known) = known else {
            return Ok(None);
        };
        if known.action {
            let why = "a part of it is a plugin of Python that works on the controller";
            return Err(refused(name, &known.path, why, place));
        }
        let module_utils = library
            .iter()
            .filter_map(|dir| Some(dir.parent()?.join("module_utils")))
            .filter(|dir| dir.is_dir())
            .collect();
        let style = style_of(&known.path).map_err(|why| refused(name, &known.path, &why, place))?;
        Ok(Some(Foreign {
            name: known.name,
            path: found.unwrap_or(known.path),
            style,
            module_utils,
        }))
    }

    fn in_collections(&self, name: &str, seen: &[String], frame: &Frame) -> Option<PathBuf> {
        let named = super::collections::split(name);
        let choices: Vec<(String, &str)> = match named {
            Some((collection, inside)) => vec![(collection.to_owned(), inside)],
            None if name.contains('.') => Vec::new(),
            None => seen
                .iter()
                .map(|collection| (collection.clone(), name))
                .collect(),
        };
        choices.iter().find_map(|(collection, inside)| {
            let inside = inside.replace('.', "/");
            let (folder, file) = inside.rsplit_once('/').unwrap_or(("", &inside));
            self.collection_dirs(collection, frame)
                .map(|dir| dir.join("plugins/modules").join(folder))
                .find_map(|dir| file_in(&dir, file))
        })
    }

    /// Directories of modules: beside the playbook, in the role of the task and in roles that were read before it, and
    /// those of the settings.
    fn libraries(&self, place: &Place) -> Vec<PathBuf> {
        let own = place.file.parent();
        let role = own.and_then(Path::parent);
        let beside = [Some(self.dir.as_path()), own, role];
        let beside = beside.into_iter().flatten().map(|dir| dir.join("library"));
        let mut all: Vec<PathBuf> = Vec::new();
        let roles = self.loader.role_libraries();
        let configured = self.loader.settings.library.iter().cloned();
        for dir in beside.chain(roles).chain(configured) {
            let dir = std::path::absolute(&dir).unwrap_or(dir);
            if dir.is_dir() && !all.contains(&dir) {
                all.push(dir);
            }
        }
        all
    }

    /// True for one of Ansible's own modules that a `library/` holds too: that one is meant.
    pub(super) fn is_replaced(&self, name: &str, place: &Place) -> bool {
        BUILTIN.contains(&name) && self.is_in_library(name, place)
    }

    /// What the ansible-core of this machine says: is there such a module? None: there is no ansible-core, or it can't
    /// be asked.
    pub(super) fn ansible_has(&self, name: &str, place: &Place, frame: &Frame) -> Option<bool> {
        let ansible = self.loader.settings.ansible.as_ref()?;
        let collections = Self::collections_seen(frame);
        let found = ansible.find(name, &collections, &self.libraries(place));
        found.ok().map(|module| module.is_some())
    }

    /// True for a word that names a file of a `library/`.
    pub(super) fn is_in_library(&self, name: &str, place: &Place) -> bool {
        self.libraries(place)
            .iter()
            .any(|dir| file_in(dir, name).is_some())
    }

    /// True for a module that Ansible would find, as far as it can be told: its own, one of a collection, or a file in
    /// a `library/`.
    pub(super) fn is_elsewhere(&self, name: &str, place: &Place) -> bool {
        let own = name
            .strip_prefix("ansible.builtin.")
            .or_else(|| name.strip_prefix("ansible.legacy."));
        if let Some(short) = own {
            return BUILTIN.contains(&short);
        }
        if name.contains('.') {
            return name.split('.').count() >= 3 && !name.split('.').any(str::is_empty);
        }
        BUILTIN.contains(&name) || self.is_in_library(name, place)
    }
}

/// The file of a module in a directory: `NAME.py` before any other extension.
fn file_in(dir: &Path, name: &str) -> Option<PathBuf> {
    let python = dir.join(format!("{name}.py"));
    if python.is_file() {
        return Some(python);
    }
    let mut others: Vec<PathBuf> = fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_stem().is_some_and(|stem| stem == name))
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            !extension.is_some_and(|extension| NO_MODULES.contains(&extension))
        })
        .filter(|path| path.is_file())
        .collect();
    others.sort();
    others.into_iter().next()
}

/// What kind of program a module is; the error says why it can't be run at all.
fn style_of(path: &Path) -> Result<Style, String> {
    let content = fs::read(path).map_err(|error| error.to_string())?;
    let holds = |what: &str| {
        let what = what.as_bytes();
        content.windows(what.len()).any(|window| window == what)
    };
    if path.extension().is_some_and(|extension| extension == "ps1") {
        return Err("it is written for Windows".to_owned());
    }
    if holds("<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>") {
        return Err("it gets its arguments in a way that ansible-core gave up".to_owned());
    }
    if content.iter().take(1024).any(|byte| *byte == 0) {
        return Ok(Style::Json);
    }
    let text = String::from_utf8_lossy(&content);
    if text.lines().any(imports_ansible) {
        return Ok(Style::Packed);
    }
    Ok(if holds("WANT_JSON") {
        Style::Json
    } else {
        Style::Pairs
    })
}

/// True for a line of Python that imports what Ansible packs with a module.
fn imports_ansible(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let (Some("from" | "import"), Some(what)) = (words.next(), words.next()) else {
        return false;
    };
    what.starts_with("ansible.module_utils")
        || what.starts_with("..")
            && (what.contains("module_utils") || words.any(|word| word == "module_utils"))
        || what.starts_with("ansible_collections.") && what.contains(".plugins.module_utils")
}

fn refused(name: &str, path: &Path, why: &str, place: &Place) -> Fault {
    Fault::new(format!("the module `{name}` can't be run: {why}"))
        .at(place)
        .hint(format!("It was found as {}.", path.display()))
        .hint("Modules of Python run on the host's own Python when ansible-core is installed on this machine (`pipx install ansible-core`).")
}
