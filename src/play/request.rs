//! What a run of playbooks is asked to do, and what comes of it.

use super::profile::Profile;
use crate::content::ansible::Installed;
use crate::content::inventory::Inventory;
use crate::content::place::{Cause, Fault, Place};
use crate::content::template::RunCommand;
use crate::content::value::Value;
use crate::content::vault::Keyring;
use crate::journal::Counts;
use crate::secret::Secret;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One run of one or more playbooks. `Request::new` gives Ansible's defaults; the caller changes what the user asked for.
#[derive(Clone)]
pub struct Request {
    pub source: Source,
    pub inventory: Arc<Inventory>,
    /// A host pattern that every play is cut down to (`@file` included).
    pub limit: Option<String>,
    /// Tags to run; empty means all.
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    /// `-e`: win over everything.
    pub extra_vars: IndexMap<String, Value>,
    pub check: bool,
    pub diff: bool,
    /// How many hosts work at the same time. None: 50.
    pub forks: Option<usize>,
    /// Skip every task before the first of this name (a glob, as in Ansible).
    pub start_at: Option<String>,
    pub escalate: BecomeSettings,
    /// `-u`: the user where the inventory names none.
    pub remote_user: Option<String>,
    /// `-c`: the connection where the inventory names none.
    pub connection: Option<String>,
    /// Searched for roles after those beside the playbook.
    pub roles_path: Vec<PathBuf>,
    /// Searched for collections after `collections/` beside the playbook.
    pub collections_path: Vec<PathBuf>,
    /// Directories of Python modules, searched after `library/` beside playbooks and in roles.
    pub library: Vec<PathBuf>,
    /// Packs modules of Python that kopsrun doesn't bring. None: they are refused.
    pub ansible: Option<Arc<Installed>>,
    pub facts: FactSettings,
    /// Run notified handlers also on hosts that failed.
    pub force_handlers: bool,
    pub verbosity: u8,
    pub tell: Tell,
    /// Where a list of the hosts that failed is written (`NAME.retry`), for `--limit @NAME.retry`.
    pub retry: Retry,
    /// Opens what ansible-vault encrypted.
    pub vault: Arc<Keyring>,
    /// Runs command lines on the controller, for `lookup('pipe', …)`; None: refused.
    pub command: Option<RunCommand>,
    /// `jinja2_native`.
    pub native: bool,
    /// `hash_behaviour=merge`.
    pub merge_hashes: bool,
    /// The ansible.cfg that was read.
    pub config_file: Option<PathBuf>,
    /// Settings by their names in Ansible, for `lookup('config', …)`.
    pub config: Arc<BTreeMap<String, Value>>,
    /// The controller's environment, for `lookup('env', …)`.
    pub environment: Arc<BTreeMap<String, String>>,
    /// Where relative paths start that no playbook gives a place (ad hoc).
    pub working_directory: PathBuf,
    /// `--step`: who decides before every task whether it is run.
    pub step: Option<Arc<dyn Asker>>,
    /// The person who answers when `pause` asks; none: nobody is there.
    pub asker: Option<Arc<dyn Asker>>,
    /// Collects where the time goes.
    pub profile: Option<Arc<Profile>>,
    /// Show values that `no_log` hides. Only ever set by tests.
    pub show_no_log: bool,
    /// Cancelled by Ctrl-C: running tasks are cancelled on their hosts, the rest is not started.
    pub cancel: CancellationToken,
}

/// A person at a terminal. Called on a blocking thread.
pub trait Asker: Send + Sync {
    /// Shows the question and reads one line; `echo`: what is typed shows.
    fn ask(&self, question: &str, echo: bool) -> std::io::Result<String>;
}

/// Where the plays come from.
#[derive(Clone)]
pub enum Source {
    Playbooks(Vec<PathBuf>),
    /// One task on the hosts of a pattern: `kopsrun exec PATTERN -m MODULE -a ARGS`.
    Task {
        pattern: String,
        module: String,
        args: String,
    },
}

/// `-b` and its companions.
#[derive(Clone, Default)]
pub struct BecomeSettings {
    pub enabled: bool,
    /// Default: root.
    pub user: Option<String>,
    /// Default: sudo.
    pub method: Option<String>,
    pub password: Option<Secret<String>>,
    /// The program in the place of sudo or su.
    pub exe: Option<String>,
    /// Its flags in the place of the usual ones.
    pub flags: Option<String>,
}

/// Lists of hosts that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    #[default]
    Never,
    BesidePlaybook,
    In(PathBuf),
}

/// Events that only some want to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tell {
    /// When a task begins on each host.
    pub starts: bool,
    /// The arguments of tasks, as they were written.
    pub arguments: bool,
}

/// When plays gather facts that don't say so themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gathering {
    /// In every play.
    #[default]
    Implicit,
    /// Only where a play says `gather_facts: true`.
    Explicit,
    /// Once a run, and not at all while the cache is fresh.
    Smart,
}

/// How facts are gathered and kept.
#[derive(Clone, Debug)]
pub struct FactSettings {
    pub gathering: Gathering,
    /// Directory of the jsonfile cache; none keeps facts for this run only.
    pub cache: Option<PathBuf>,
    /// Begins the names of the files in it.
    pub prefix: String,
    /// Older facts are not used. Zero: they never get old.
    pub ttl: Duration,
    /// Forget the facts of the hosts in question before the run.
    pub flush: bool,
}

impl Default for FactSettings {
    fn default() -> Self {
        Self {
            gathering: Gathering::default(),
            cache: None,
            prefix: String::new(),
            ttl: Duration::from_secs(86_400),
            flush: false,
        }
    }
}

/// Hosts at a time where nobody says how many.
const FORKS: usize = 50;

impl Request {
    /// How many hosts are worked on at a time.
    pub(super) fn width(&self) -> usize {
        self.forks.filter(|forks| *forks > 0).unwrap_or(FORKS)
    }

    /// A switch of ansible.cfg.
    pub(super) fn configured(&self, name: &str) -> Option<bool> {
        self.config.get(name).map(Value::truthy)
    }

    pub fn new(source: Source, inventory: Arc<Inventory>) -> Self {
        Self {
            source,
            inventory,
            limit: None,
            tags: Vec::new(),
            skip_tags: Vec::new(),
            extra_vars: IndexMap::new(),
            check: false,
            diff: false,
            forks: None,
            start_at: None,
            escalate: BecomeSettings::default(),
            remote_user: None,
            connection: None,
            roles_path: Vec::new(),
            collections_path: Vec::new(),
            library: Vec::new(),
            ansible: None,
            facts: FactSettings::default(),
            force_handlers: false,
            verbosity: 0,
            tell: Tell::default(),
            retry: Retry::default(),
            vault: Arc::default(),
            command: None,
            native: false,
            merge_hashes: false,
            config_file: None,
            config: Arc::default(),
            environment: Arc::default(),
            working_directory: PathBuf::from("."),
            step: None,
            asker: None,
            profile: None,
            show_no_log: false,
            cancel: CancellationToken::new(),
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The recap, in the order of the inventory; hosts on which nothing ran are not in it.
    pub hosts: IndexMap<String, Counts>,
    /// Ansible's: 0 ok, 2 tasks failed, 4 hosts unreachable.
    pub exit_code: u8,
    /// Stopped by Ctrl-C.
    pub interrupted: bool,
}

/// Why a run didn't start, or had to stop as a whole.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlayError {
    /// What people wrote is wrong. All faults that were found, at least one; nothing was changed on any host.
    #[error("{}", first(.0))]
    Refused(Vec<Fault>),
    /// Something that could only be known on the way (a play's own pattern, a file that vanished). Exit code 1.
    #[error("{0}")]
    Stopped(Fault),
}

impl PlayError {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(faults) => match faults.first().map(|fault| fault.cause) {
                Some(Cause::Absent) => 1,
                Some(Cause::Choice) => 5,
                _ => 4,
            },
            Self::Stopped(_) => 1,
        }
    }

    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Refused(faults) => faults,
            Self::Stopped(fault) => std::slice::from_ref(fault),
        }
    }

    /// The place of the first fault.
    pub fn place(&self) -> Option<&Place> {
        self.faults().first().and_then(|fault| fault.place.as_ref())
    }
}

fn first(faults: &[Fault]) -> String {
    let Some(fault) = faults.first() else {
        return String::new();
    };
    match faults.len() {
        1 => fault.message.clone(),
        n => format!("{} (and {} more)", fault.message, n - 1),
    }
}
