//! Settings of ansible.cfg and of ANSIBLE_* variables: found as Ansible finds them, each with its origin.

mod dump;
mod ini;
mod meaningless;
mod table;

pub(super) use dump::{Config as Verb, run};

use super::failure::{Failure, Kind};
use super::machine;
use crate::content::value::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use table::{Kind as Type, SETTINGS};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
}

/// As `ansible-config dump` names origins.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "env: {name}"),
        }
    }
}

#[derive(Debug, Clone)]
struct Given {
    text: String,
    origin: Origin,
}

/// What was set and has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ignored {
    /// `[section] key`, or the name of the variable.
    pub name: String,
    pub origin: Origin,
    /// Why it is ignored; none for what is no setting of ansible-core.
    pub reason: Option<&'static str>,
}

/// All settings.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    pub file: Option<PathBuf>,
    given: BTreeMap<&'static str, Given>,
    pub ignored: Vec<Ignored>,
    pub warnings: Vec<String>,
    home: PathBuf,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

impl Config {
    /// Reads the file that Ansible would read, and the environment, which wins over it.
    pub(super) fn load(
        environment: &BTreeMap<String, String>,
        directory: &Path,
        home: &Path,
    ) -> Result<Self, Failure> {
        let mut config = Self {
            home: home.to_owned(),
            directory: directory.to_owned(),
            environment: environment.clone(),
            ..Self::default()
        };
        config.file = config.find(environment);
        if let Some(path) = config.file.clone() {
            config.read(&path)?;
        }
        config.take_environment(environment);
        config.check()?;
        Ok(config)
    }

    /// `$ANSIBLE_CONFIG` (a file, or a directory that holds ansible.cfg), `./ansible.cfg` unless anybody may write the
    /// directory, `~/.ansible.cfg`, `/etc/ansible/ansible.cfg`: the first that is there.
    fn find(&mut self, environment: &BTreeMap<String, String>) -> Option<PathBuf> {
        let mut candidates = Vec::new();
        if let Some(named) = environment.get("ANSIBLE_CONFIG") {
            let path = self.resolve(named, &self.directory);
            candidates.push(if path.is_dir() {
                path.join("ansible.cfg")
            } else {
                path
            });
        }
        let here = self.directory.join("ansible.cfg");
        let writable = std::fs::metadata(&self.directory)
            .is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0);
        if !writable {
            candidates.push(here);
        } else if here.exists() && !candidates.contains(&here) {
            self.warnings.push(format!(
                "Ansible is being run in a world writable directory ({}), ignoring it as an ansible.cfg source. For more \
                 information see https://docs.ansible.com/ansible/devel/reference_appendices/config.html#cfg-in-world-writable-dir",
                self.directory.display()
            ));
        }
        candidates.push(self.home.join(".ansible.cfg"));
        candidates.push(PathBuf::from("/etc/ansible/ansible.cfg"));
        candidates.into_iter().find(|path| path.is_file())
    }

    fn read(&mut self, path: &Path) -> Result<(), Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(
                Kind::Input,
                format!("{} can't be read: {error}", path.display()),
            )
        })?;
        for entry in ini::parse(&text, path)? {
            let known = SETTINGS.iter().find(|setting| {
                let same =
                    |(section, key): &(&str, &str)| *section == entry.section && *key == entry.key;
                setting.ini.iter().any(same)
            });
            let origin = Origin::File(path.to_owned());
            match known {
                Some(setting) => {
                    let text = entry.value;
                    self.given.insert(setting.name, Given { text, origin });
                }
                None => self.ignored.push(Ignored {
                    name: format!("[{}] {}", entry.section, entry.key),
                    origin,
                    reason: meaningless::reason(|setting| {
                        let same = |(section, key): &(&str, &str)| {
                            *section == entry.section && *key == entry.key
                        };
                        setting.ini.iter().any(same)
                    }),
                }),
            }
        }
        Ok(())
    }

    fn take_environment(&mut self, environment: &BTreeMap<String, String>) {
        for setting in SETTINGS {
            // Of several names the last one that is set wins, as in Ansible.
            for name in setting.env {
                if let Some(text) = environment.get(*name) {
                    let origin = Origin::Environment((*name).to_owned());
                    let text = text.clone();
                    self.given.insert(setting.name, Given { text, origin });
                }
            }
        }
        let known = |name: &str| SETTINGS.iter().any(|setting| setting.env.contains(&name));
        for name in environment.keys() {
            if name.starts_with("ANSIBLE_") && name != "ANSIBLE_CONFIG" && !known(name) {
                self.ignored.push(Ignored {
                    name: name.clone(),
                    origin: Origin::Environment(name.clone()),
                    reason: meaningless::reason(|setting| setting.env.contains(&name.as_str())),
                });
            }
        }
    }

    /// Values of a wrong type are told before anything starts.
    fn check(&self) -> Result<(), Failure> {
        for (name, given) in &self.given {
            let Some(setting) = table::find(name) else {
                continue;
            };
            // Nothing is what the default says.
            if given.text.trim().is_empty() {
                continue;
            }
            let wrong = match setting.kind {
                Type::Integer => given.text.trim().parse::<i64>().is_err(),
                Type::OneOf(choices) => !choices.contains(&unquoted(&given.text)),
                _ => false,
            };
            if wrong {
                let expected = match setting.kind {
                    Type::OneOf(choices) => format!("one of {}", choices.join(", ")),
                    _ => "an integer".to_owned(),
                };
                return Err(Failure::new(
                    Kind::Usage,
                    format!(
                        "{name} must be {expected}, it is {:?} (from {})",
                        given.text, given.origin
                    ),
                ));
            }
        }
        Ok(())
    }

    /// A value that somebody set; None where the default holds.
    pub(super) fn given(&self, name: &str) -> Option<String> {
        let given = self.given.get(name)?;
        Some(unquoted(&given.text).to_owned())
    }

    pub(super) fn origin(&self, name: &str) -> Origin {
        let given = self.given.get(name);
        given.map_or(Origin::Default, |given| given.origin.clone())
    }

    /// True when a value came from this variable of the environment.
    pub(super) fn is_from(&self, name: &str, variable: &str) -> bool {
        self.origin(name) == Origin::Environment(variable.to_owned())
    }

    /// A value, or its default.
    pub(super) fn text(&self, name: &str) -> String {
        self.given(name).unwrap_or_else(|| {
            if name == "DEFAULT_FORKS" {
                return machine::forks().to_string();
            }
            let setting = table::find(name);
            setting.map_or_else(String::new, |setting| setting.default.to_owned())
        })
    }

    /// A switch, by Ansible's words for true.
    pub(super) fn flag(&self, name: &str) -> bool {
        is_true(&self.text(name))
    }

    /// A whole number that somebody set.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.text(name).trim().parse().ok()
    }

    /// Words between commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name);
        let words = text.split(',').map(|word| unquoted(word.trim()).to_owned());
        words.filter(|word| !word.is_empty()).collect()
    }

    /// A path, or its default: `~` and `{{CWD}}` resolved; relative ones from the file that names them, or from the
    /// current directory when a variable does.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        let text = self.text(name);
        let path = Some(text).filter(|text| !text.is_empty())?;
        Some(self.resolve(&path, &self.base(name)))
    }

    /// Every setting under its name, as `lookup('config')` gives it.
    pub(super) fn values(&self) -> BTreeMap<String, Value> {
        let texts =
            |texts: Vec<String>| Value::list(texts.into_iter().map(Value::untrusted).collect());
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let values = SETTINGS.iter().map(|setting| {
            let name = setting.name;
            let value = match setting.kind {
                Type::Bool => Value::Bool(self.flag(name)),
                Type::Integer => self.integer(name).map_or(Value::None, Value::Int),
                Type::List => texts(self.list(name)),
                Type::PathSpec | Type::PathList => {
                    texts(self.paths(name).into_iter().map(path).collect())
                }
                Type::Path => self
                    .path(name)
                    .map_or(Value::None, |found| Value::untrusted(path(found))),
                Type::Text | Type::OneOf(_) => match self.text(name) {
                    text if text.is_empty() => Value::None,
                    text => Value::untrusted(text),
                },
            };
            (name.to_owned(), value)
        });
        values.collect()
    }

    /// Paths, or their default, between colons (`pathspec`) or commas (`pathlist`).
    pub(super) fn paths(&self, name: &str) -> Vec<PathBuf> {
        let separator = match table::find(name).map(|setting| setting.kind) {
            Some(Type::PathList) => ',',
            _ => ':',
        };
        let text = self.text(name);
        let base = self.base(name);
        text.split(separator)
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(|word| self.resolve(word, &base))
            .collect()
    }

    fn base(&self, name: &str) -> PathBuf {
        match self.origin(name) {
            Origin::File(path) => path.parent().map_or_else(PathBuf::new, Path::to_path_buf),
            _ => self.directory.clone(),
        }
    }

    /// A path as it was written, from a directory.
    fn resolve(&self, text: &str, base: &Path) -> PathBuf {
        let text = unquoted(text).replace("{{CWD}}", &self.directory.to_string_lossy());
        let text = expand(&text, &self.environment);
        let text = match strip_home(&text) {
            Some(rest) => {
                let home = self.path("ANSIBLE_HOME").unwrap_or_default();
                format!("{}{rest}", home.display())
            }
            None => text,
        };
        let path = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                self.home.join(rest.trim_start_matches('/'))
            }
            _ => PathBuf::from(text),
        };
        base.join(path)
    }
}

/// What follows a leading `{{ ANSIBLE_HOME }}`; settings of Ansible may begin with that.
fn strip_home(text: &str) -> Option<&str> {
    let (name, rest) = text.strip_prefix("{{")?.split_once("}}")?;
    (name.trim() == "ANSIBLE_HOME").then_some(rest)
}

/// Text without the quotation marks around it, which Ansible takes off too.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for mark in ['\'', '"'] {
        if let Some(inner) = text
            .strip_prefix(mark)
            .and_then(|rest| rest.strip_suffix(mark))
        {
            return inner;
        }
    }
    text
}

/// Text with `$NAME` and `${NAME}` replaced; what isn't set stays as it is, as in Python's expandvars.
fn expand(text: &str, environment: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let (name, length) = match after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
        {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = after.find(|letter| !is_name(letter)).unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        match environment.get(name) {
            Some(value) if !name.is_empty() => expanded.push_str(value),
            _ => expanded.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    expanded.push_str(rest);
    expanded
}

/// Ansible's words for true.
fn is_true(text: &str) -> bool {
    matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0"
    )
}

#[cfg(test)]
mod tests;
