//! Modules that change one host, and the frames in which they are called.
//!
//! The same code runs in three places: in the static agent on a host, in a child of the controller for
//! `connection: local`, and (argument checks only) in the controller itself. It is synchronous and makes no glibc
//! name-service call, because in a static program those crash.

mod context;
pub mod encoding;
mod escalate;
mod failure;
pub mod files;
pub mod globs;
pub mod modules;
mod process;
pub mod regex;
mod serve;
mod spec;
pub mod users;
pub mod wire;
pub mod words;

pub use context::Context;
pub use failure::Failure;
pub use modules::Module;
pub use process::{Output, Process};
pub use serve::{MAX_TASKS, serve, serve_as};
pub use spec::{normalise, spec, specs, validate};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One call of a module, with every template already rendered by the controller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Short name of the module (`copy`, never `ansible.builtin.copy`).
    pub module: String,
    pub args: Map<String, Value>,
    /// Report what would change and change nothing.
    #[serde(default)]
    pub check: bool,
    /// Return a diff of what changes.
    #[serde(default)]
    pub diff: bool,
    /// Added to the environment of every process that the module starts.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Run in the child agent of this user instead of the login user's.
    #[serde(default, rename = "become")]
    pub escalate: Option<Become>,
    /// Content that the agent asks for by name when it turns out to need it.
    #[serde(default)]
    pub blobs: Vec<BlobRef>,
}

/// Whose child agent runs the task, and how that child is started.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash)]
pub struct Become {
    pub user: String,
    /// `sudo` or `su`.
    pub method: String,
    #[serde(default)]
    pub password: Option<String>,
    /// The program in the place of sudo or su, by name or path.
    #[serde(default)]
    pub exe: Option<String>,
    /// Its flags in the place of the usual ones (`-H -S -n` of sudo), as a shell takes them apart.
    #[serde(default)]
    pub flags: Option<String>,
}

impl std::fmt::Debug for Become {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Become({} by {})", self.user, self.method)
    }
}

/// Content that travels only when the host doesn't have it yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct BlobRef {
    /// What the module calls it (`content` for `copy` and `template`).
    pub name: String,
    /// Hexadecimal SHA-1, as Ansible's `checksum`.
    pub sha1: String,
    pub size: u64,
    /// The content itself in Base64, where asking for it would cost more than sending it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
}

/// What a module says of one call; becomes the dictionary that `register` sees.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq)]
pub struct Outcome {
    pub changed: bool,
    #[serde(default)]
    pub failed: bool,
    #[serde(default)]
    pub skipped: bool,
    /// How long the module ran, in microseconds, as its agent measured; 0 where none did.
    #[serde(rename = "kopsrun_micros", default, skip_serializing_if = "is_zero")]
    pub micros: u64,
    /// Everything else of the result, under the names that the Ansible module uses (`msg`, `rc`, `stdout`, `diff`…).
    #[serde(flatten)]
    pub data: Map<String, Value>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Outcome {
    /// Nothing had to change.
    pub fn ok() -> Self {
        Self::default()
    }

    /// `changed` as told, nothing else yet.
    pub fn changed(changed: bool) -> Self {
        Self {
            changed,
            ..Self::default()
        }
    }

    /// Adds one key of the result, under Ansible's name for it.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }

    /// Adds `msg`.
    #[must_use]
    pub fn msg(self, text: impl Into<String>) -> Self {
        self.with("msg", text.into())
    }

    /// Adds `diff` as Ansible's callbacks draw it: two texts and what they are.
    #[must_use]
    pub fn diff(self, header: &str, before: &str, after: &str) -> Self {
        let diff = serde_json::json!({
            "before_header": header, "after_header": header, "before": before, "after": after,
        });
        self.with("diff", diff)
    }

    /// Adds `stdout_lines` and `stderr_lines`, which Ansible derives from `stdout` and `stderr`. The controller calls
    /// this on what it receives, so that the lines don't travel twice.
    pub fn add_lines(&mut self) {
        for (text, lines) in [("stdout", "stdout_lines"), ("stderr", "stderr_lines")] {
            if let Some(Value::String(all)) = self.data.get(text)
                && !self.data.contains_key(lines)
            {
                let split: Vec<Value> = all.lines().map(Value::from).collect();
                self.data.insert(lines.to_owned(), Value::Array(split));
            }
        }
    }
}

/// The type of an argument, as in Ansible's argument specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Str,
    /// A string that names a file on the host: `~` and variables are expanded.
    Path,
    Bool,
    Int,
    Float,
    List,
    Dict,
    Raw,
    /// A file mode: octal text, a number, or symbolic (`u+x`).
    Mode,
}

/// One argument that a module takes.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    /// The type of each element of a `List`.
    pub elements: Kind,
    pub required: bool,
    pub default: Option<&'static str>,
    pub choices: &'static [&'static str],
    pub doc: &'static str,
}

/// What must hold between several arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// At least one of these.
    OneOf(&'static [&'static str]),
    /// At most one of these.
    Exclusive(&'static [&'static str]),
    /// All of these or none.
    Together(&'static [&'static str]),
    /// When the first argument has this value, all of these.
    If(&'static str, &'static str, &'static [&'static str]),
}

/// What the controller knows of a module without running it.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub args: &'static [Arg],
    /// Takes a free-form command line (`command: uptime`), passed as the argument `_raw_params`.
    pub free_form: bool,
    pub rules: &'static [Rule],
    pub check_mode: bool,
    /// Arguments of Ansible's module that mean nothing here, and why. Empty without the feature `docs`.
    pub left_out: &'static [(&'static str, &'static str)],
    /// Of the result, what isn't in every one.
    pub returns: &'static [Return],
    /// Empty without the feature `docs`, as in the agent; so is that of arguments.
    pub doc: &'static str,
}

/// One key of a module's result, or several that belong together (`"owner, group"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    pub name: &'static str,
    /// What it is, and when it is there if not always.
    pub doc: &'static str,
}

/// Why arguments were refused, in words for the person who wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ArgError {
    /// The argument that is meant, when it is one.
    pub arg: Option<String>,
    pub message: String,
    /// What Ansible's modules say of the first thing that they find wrong, for playbooks that expect a failure.
    pub words: String,
}
