//! What reading an inventory needs to know from outside.

use crate::content::place::Fault;
use crate::content::vault::Keyring;
use fancy_regex::Regex;
use std::path::Path;
use std::sync::Arc;

/// Runs a program of the operator with arguments and returns what it prints, or says what went wrong.
pub type RunProgram = Arc<dyn Fn(&Path, &[&str]) -> Result<String, String> + Send + Sync>;

/// What a source that can't be read means for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The inventory isn't read.
    Fails,
    /// A warning, as in Ansible: what was read of it up to the fault stays.
    Warns,
    /// The same, unless there is no other source: `unparsed_is_failed`.
    FailsWhenAll,
}

/// How sources are read. The default is Ansible's, without programs and secrets.
#[derive(Clone)]
pub struct Settings {
    /// Opens files that ansible-vault encrypted.
    pub vault: Arc<Keyring>,
    /// Ends of names that are skipped in a directory of inventories.
    pub ignored_ends: Vec<String>,
    /// Regular expressions of names that are skipped in a directory of inventories.
    pub ignored_patterns: Vec<String>,
    /// `hash_behaviour=merge`: mappings of one name are merged.
    pub merge: bool,
    /// What a source that can't be read means.
    pub broken: Broken,
    /// Runs executable inventories; None: they are refused.
    pub program: Option<RunProgram>,
}

impl Default for Settings {
    fn default() -> Self {
        const ENDS: [&str; 13] = [
            ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".ini",
            ".cfg", ".retry",
        ];
        Self {
            vault: Arc::default(),
            ignored_ends: ENDS.map(str::to_owned).to_vec(),
            ignored_patterns: Vec::new(),
            merge: false,
            broken: Broken::Fails,
            program: None,
        }
    }
}

impl Settings {
    /// The patterns of names that are skipped; they may match anywhere in a name.
    pub(super) fn patterns(&self) -> Result<Vec<Regex>, Fault> {
        let patterns = self.ignored_patterns.iter().map(|pattern| {
            Regex::new(pattern).map_err(|error| {
                Fault::new(format!(
                    "inventory_ignore_patterns: `{pattern}` is no regular expression: {error}"
                ))
            })
        });
        patterns.collect()
    }
}
