//! What the command line and the environment say of connections. `cli` fills it; nothing in `link` reads either.

use crate::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What holds for all hosts. `Settings::new` gives defaults; the caller changes what the user asked for.
#[derive(Clone)]
pub struct Settings {
    /// `$HOME`, for `~` and for the default files under `.ssh`.
    pub home: PathBuf,
    /// Who runs kopsrun: the remote user where nobody names one, and `%u`.
    pub local_user: String,
    /// `-F`: read this file only. None: `~/.ssh/config`, then `/etc/ssh/ssh_config`.
    pub ssh_config: Option<PathBuf>,
    /// Read after `~/.ssh/config`; the system's known hosts are beside it.
    pub system_ssh_config: PathBuf,
    /// Read these instead of the files that ssh_config names; the first one is written to.
    pub known_hosts: Vec<PathBuf>,
    /// How long TCP and the key exchange may take, unless ssh_config says otherwise.
    pub connect_timeout: Duration,
    /// How long logging in may take, people's answers not counted.
    pub auth_timeout: Duration,
    /// How long the agent may take to say hello, its upload not counted.
    pub bootstrap_timeout: Duration,
    /// How many hosts are connected to at the same time.
    pub parallel: usize,
    /// How many handshakes may be under way with one address or bastion (sshd drops some above `MaxStartups` 10).
    pub parallel_per_address: usize,
    /// Inventory names of hosts whose new or changed key is accepted and written down.
    pub accept_new: BTreeSet<String>,
    /// Wins over ssh_config's StrictHostKeyChecking.
    pub host_key_policy: Option<HostKeyPolicy>,
    pub agents: Agents,
    /// The program for `connection: local`; None refuses local connections.
    pub local_agent: Option<LocalAgent>,
    /// Socket of ssh-agent.
    pub ssh_auth_sock: Option<PathBuf>,
    /// The ssh program for options that we can't honour.
    pub ssh_program: PathBuf,
    /// `-u`: where the inventory names no user.
    pub user: Option<String>,
    /// `-k`: where the inventory names no password.
    pub password: Option<Secret<String>>,
    /// `--private-key`: where the inventory names no key.
    pub private_key: Option<PathBuf>,
    /// Variables of connections (`ansible_ssh_common_args`) where the inventory has none.
    pub variables: BTreeMap<String, String>,
    pub prompt: Arc<dyn Prompt>,
}

impl Settings {
    pub fn new(home: impl Into<PathBuf>, local_user: impl Into<String>) -> Self {
        Self {
            home: home.into(),
            local_user: local_user.into(),
            ssh_config: None,
            system_ssh_config: PathBuf::from("/etc/ssh/ssh_config"),
            known_hosts: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            auth_timeout: Duration::from_secs(30),
            bootstrap_timeout: Duration::from_secs(20),
            parallel: 64,
            parallel_per_address: 8,
            accept_new: BTreeSet::new(),
            host_key_policy: None,
            agents: Agents::default(),
            local_agent: None,
            ssh_auth_sock: None,
            ssh_program: PathBuf::from("ssh"),
            user: None,
            password: None,
            private_key: None,
            variables: BTreeMap::new(),
            prompt: Arc::new(NoPrompt),
        }
    }
}

/// What happens with a host key that no file knows. A key that contradicts a file is refused in any case, except for
/// hosts in `Settings::accept_new` and under `Off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostKeyPolicy {
    /// `yes`: refused.
    Strict,
    /// `ask`: a person decides; nobody there: refused.
    Ask,
    /// `accept-new`: written down and accepted.
    AcceptNew,
    /// `no`: written down and accepted; a changed key too (as ssh, but without password logins).
    Off,
}

impl HostKeyPolicy {
    /// By the values of StrictHostKeyChecking.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" => Self::Strict,
            "ask" => Self::Ask,
            "accept-new" => Self::AcceptNew,
            "no" | "false" | "off" => Self::Off,
            _ => return None,
        })
    }
}

/// The agent program by architecture as `uname -m` says it.
#[derive(Debug, Clone, Default)]
pub struct Agents(BTreeMap<String, AgentProgram>);

impl Agents {
    pub fn add(&mut self, arch: impl Into<String>, program: AgentProgram) {
        self.0.insert(arch.into(), program);
    }

    pub fn get(&self, arch: &str) -> Option<&AgentProgram> {
        self.0.get(arch)
    }

    pub fn architectures(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &AgentProgram)> {
        self.0
            .iter()
            .map(|(arch, program)| (arch.as_str(), program))
    }
}

/// Where the bytes of an agent are.
#[derive(Clone)]
pub enum AgentProgram {
    Embedded(&'static [u8]),
    File(PathBuf),
}

impl fmt::Debug for AgentProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(bytes) => write!(f, "Embedded({} bytes)", bytes.len()),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// The child process that serves `connection: local`: usually kopsrun itself with `agent --stdio`.
#[derive(Debug, Clone)]
pub struct LocalAgent {
    pub program: PathBuf,
    pub args: Vec<String>,
}

/// A host key that a person is asked about.
#[derive(Debug, Clone)]
pub struct HostKeyQuestion {
    /// Name in the inventory.
    pub host: String,
    /// Name under which the key would be written down (`node1`, `[10.0.0.1]:2222`).
    pub name: String,
    pub algorithm: String,
    pub fingerprint: String,
}

/// Questions to the person at the terminal. Called on a blocking thread, one question at a time.
pub trait Prompt: Send + Sync {
    /// None: nobody can answer, or doesn't want to.
    fn passphrase(&self, key: &Path, wrong_before: bool) -> Option<Secret<String>>;
    /// True: write the key down and go on.
    fn accept_host_key(&self, question: &HostKeyQuestion) -> bool;
}

/// Nobody is there.
pub struct NoPrompt;

impl Prompt for NoPrompt {
    fn passphrase(&self, _key: &Path, _wrong_before: bool) -> Option<Secret<String>> {
        None
    }

    fn accept_host_key(&self, _question: &HostKeyQuestion) -> bool {
        false
    }
}
