//! Why a host can't be worked on, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

/// A key that some file of known hosts holds for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAs {
    /// `SHA256:…`
    pub fingerprint: String,
    /// `ssh-ed25519` and the like.
    pub algorithm: String,
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

/// One failure of one host. Everything a person needs is in it; nothing secret is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// What was written about the connection makes no sense; nothing was sent.
    #[error("{host}: {message}")]
    Config {
        host: String,
        message: String,
        hints: Vec<String>,
    },
    #[error("{host}: {address} is unreachable: {reason}")]
    Unreachable {
        host: String,
        address: String,
        reason: String,
    },
    #[error("{host}: {address} refused the connection")]
    Refused { host: String, address: String },
    #[error("{host}: no answer from {address} within {}", seconds(.limit))]
    Timeout {
        host: String,
        address: String,
        limit: Duration,
    },
    /// TCP connects and then nobody speaks SSH.
    #[error("{host}: {address} accepts the connection but says nothing for {}", seconds(.limit))]
    Frozen {
        host: String,
        address: String,
        limit: Duration,
    },
    #[error("{host}: {address} doesn't speak SSH: {reason}")]
    NotSsh {
        host: String,
        address: String,
        reason: String,
    },
    /// Both sides speak SSH and share no algorithm of one kind.
    #[error("{host}: no common {kind} algorithm: we offer {}, the host offers {}", .ours.join(" "), .theirs.join(" "))]
    NoCommonAlgorithm {
        host: String,
        kind: String,
        ours: Vec<String>,
        theirs: Vec<String>,
    },
    #[error("{host}: the host key of {name} is not known: {algorithm} {fingerprint}")]
    UnknownHostKey {
        host: String,
        name: String,
        algorithm: Box<str>,
        fingerprint: String,
        files: Vec<PathBuf>,
    },
    #[error("{host}: THE HOST KEY OF {name} HAS CHANGED: expected {}, got {algorithm} {fingerprint}", known_as(.expected))]
    HostKeyChanged {
        host: String,
        name: String,
        expected: Vec<KnownAs>,
        algorithm: Box<str>,
        fingerprint: String,
    },
    #[error("{host}: the host key of {name} is revoked: {fingerprint} ({}:{line})", .file.display())]
    HostKeyRevoked {
        host: String,
        name: String,
        fingerprint: String,
        file: PathBuf,
        line: usize,
    },
    /// A host certificate that a trusted authority signed, but that doesn't hold here and now.
    #[error("{host}: the host certificate of {name} is not valid: {reason}")]
    HostCertificate {
        host: String,
        name: String,
        reason: String,
    },
    /// A private key that was named and can't be used.
    #[error("{host}: private key {}: {reason}", .path.display())]
    Key {
        host: String,
        path: PathBuf,
        reason: String,
        hints: Vec<String>,
    },
    #[error("{host}: {user} could not log in: tried {}; the host offers {}", list(.tried), list(.offered))]
    AuthFailed {
        host: String,
        user: String,
        tried: Vec<String>,
        offered: Vec<String>,
        notes: Box<[String]>,
    },
    /// A bastion on the way failed.
    #[error("{host}: bastion {via}: {source}")]
    Jump {
        host: String,
        via: String,
        source: Box<LinkError>,
    },
    #[error("{host}: no space for the agent: {}", places(.tried))]
    NoSpace {
        host: String,
        tried: Vec<(String, String)>,
    },
    #[error("{host}: no directory in which the agent can be run: {}", places(.tried))]
    NoExec {
        host: String,
        tried: Vec<(String, String)>,
    },
    #[error("{host}: there is no agent for {arch}")]
    UnsupportedArch {
        host: String,
        arch: String,
        known: Vec<String>,
    },
    #[error("{host}: the login shell isn't one of Linux: {output}")]
    NotShell { host: String, output: String },
    #[error("{host}: the agent didn't start: {reason}")]
    Agent {
        host: String,
        reason: String,
        stderr: String,
    },
    /// The login user may not become the other user, or there is no program for it.
    #[error("{host}: {doing}: can't become the other user: {reason}")]
    NoSudo {
        host: String,
        doing: String,
        reason: String,
    },
    #[error("{host}: {doing}: becoming the other user needs a password: {reason}")]
    SudoPassword {
        host: String,
        doing: String,
        reason: String,
    },
    /// The connection went while something was under way: nobody knows how far it got.
    #[error("{host}: the connection was lost while {doing}: {reason}")]
    Lost {
        host: String,
        doing: String,
        reason: String,
    },
    #[error("{reason} from {host} to {address}")]
    Tunnel {
        host: String,
        address: String,
        reason: String,
    },
    /// Content that a task needs can't be read here.
    #[error("{host}: {what}: {reason}")]
    Content {
        host: String,
        what: String,
        reason: String,
    },
}

fn seconds(limit: &Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        "nothing".to_owned()
    } else {
        items.join(", ")
    }
}

fn known_as(known: &[KnownAs]) -> String {
    let each: Vec<_> = known
        .iter()
        .map(|k| {
            format!(
                "{} {} ({}:{})",
                k.algorithm,
                k.fingerprint,
                k.file.display(),
                k.line
            )
        })
        .collect();
    each.join(" or ")
}

fn places(tried: &[(String, String)]) -> String {
    let each: Vec<_> = tried
        .iter()
        .map(|(dir, why)| format!("{dir} ({why})"))
        .collect();
    list(&each)
}

impl LinkError {
    /// The host's name in the inventory.
    pub fn host(&self) -> &str {
        match self {
            Self::Config { host, .. }
            | Self::Unreachable { host, .. }
            | Self::Refused { host, .. }
            | Self::Timeout { host, .. }
            | Self::Frozen { host, .. }
            | Self::NotSsh { host, .. }
            | Self::NoCommonAlgorithm { host, .. }
            | Self::UnknownHostKey { host, .. }
            | Self::HostKeyChanged { host, .. }
            | Self::HostKeyRevoked { host, .. }
            | Self::HostCertificate { host, .. }
            | Self::Key { host, .. }
            | Self::AuthFailed { host, .. }
            | Self::Jump { host, .. }
            | Self::NoSpace { host, .. }
            | Self::NoExec { host, .. }
            | Self::UnsupportedArch { host, .. }
            | Self::NotShell { host, .. }
            | Self::Agent { host, .. }
            | Self::NoSudo { host, .. }
            | Self::SudoPassword { host, .. }
            | Self::Lost { host, .. }
            | Self::Tunnel { host, .. }
            | Self::Content { host, .. } => host,
        }
    }

    /// Something was under way on the host when the connection went.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// What a person can do next, most likely first.
    pub fn advice(&self) -> Vec<String> {
        match self {
            Self::Config { hints, .. } | Self::Key { hints, .. } => hints.clone(),
            Self::Unreachable { address, .. } => vec![
                format!("is {address} right (ansible_host), and is there a route to it from here?"),
                "behind a bastion? set ProxyJump in ~/.ssh/config or ansible_ssh_common_args: '-J bastion'".to_owned(),
            ],
            Self::Refused { address, .. } => vec![
                format!("the machine is up but nothing listens on {address}: is sshd running, is the port right (ansible_port)?"),
                "a machine that is just booting refuses for some seconds: try again".to_owned(),
            ],
            Self::Timeout { address, .. } => vec![
                format!("nothing answers at {address}: is the machine powered on, is a firewall dropping packets?"),
                "a slow network? raise ConnectTimeout in ~/.ssh/config".to_owned(),
            ],
            Self::Frozen { .. } => vec![
                "the kernel answers but sshd doesn't: the machine is hung, out of memory, or its disk is stuck".to_owned(),
                "look at its console; if it doesn't recover, power it off and replace it".to_owned(),
            ],
            Self::NotSsh { address, .. } => vec![format!("something else than sshd listens on {address}: check ansible_port")],
            Self::NoCommonAlgorithm { kind, .. } => vec![format!(
                "the host's sshd offers no {kind} algorithm that kopsrun supports; update sshd or add a key of a current type (ssh-keygen -A on the host)"
            )],
            Self::UnknownHostKey { host, name, files, .. } => unknown_key_advice(host, name, files),
            Self::HostKeyChanged { host, name, .. } => vec![
                "either the machine was replaced or reinstalled, or somebody is between you and it: find out which before you go on".to_owned(),
                "compare the fingerprint with the one on the machine's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub".to_owned(),
                format!("the machine was replaced on purpose: --accept-new-host-key {host}, or ssh-keygen -R '{name}'"),
            ],
            Self::HostKeyRevoked { file, line, .. } => vec![format!(
                "somebody marked this key as stolen or withdrawn ({}:{line}): don't connect; make new host keys on the machine's console",
                file.display()
            )],
            Self::HostCertificate { .. } => {
                vec!["sign the host's key again with your authority (ssh-keygen -s CA -h -n NAMES)".to_owned()]
            }
            Self::AuthFailed { user, notes, .. } => auth_advice(user, notes),
            Self::Jump { source, .. } => source.advice(),
            Self::NoSpace { .. } => vec!["free some space on the host (it takes about 2 MB), or set agent_dir".to_owned()],
            Self::NoExec { .. } => vec![
                "every candidate is mounted noexec or not writable: make one directory executable for this user, for example ~/.cache/kopsrun".to_owned(),
            ],
            Self::UnsupportedArch { arch, known, .. } => vec![format!(
                "this kopsrun carries agents for {}; build one for {arch} (see ARCHITECTURE.md) and put it beside the binary as kopsrun-agent-{arch}",
                list(known)
            )],
            Self::NotShell { .. } => vec![
                "the account's shell must be able to run a POSIX sh: check the user's shell, ForceCommand and .bashrc on the host".to_owned(),
            ],
            Self::Agent { .. } => vec!["run again with -vvv to see what the host said".to_owned()],
            Self::NoSudo { .. } => vec![
                "allow it in /etc/sudoers.d on the host, or log in as that user (ansible_user)".to_owned(),
                "or use another way: ansible_become_method=su".to_owned(),
            ],
            Self::SudoPassword { .. } => {
                vec!["give the password with -K (--ask-become-pass) or ansible_become_password".to_owned()]
            }
            Self::Lost { .. } => vec![
                "whether the task was carried out is not known: look before you repeat it; tasks of kopsrun's modules can be repeated".to_owned(),
            ],
            Self::Tunnel { address, .. } => vec![format!(
                "does something listen on {address} on the host? sshd must allow it: AllowTcpForwarding yes"
            )],
            Self::Content { .. } => Vec::new(),
        }
    }
}

fn unknown_key_advice(host: &str, name: &str, files: &[PathBuf]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|f| f.display().to_string()).collect();
    vec![
        format!("{name} is in none of {}", list(&files)),
        "compare the fingerprint with the one on the machine's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub".to_owned(),
        format!("it is right: --accept-new-host-key {host}, or StrictHostKeyChecking accept-new for all new hosts"),
    ]
}

fn auth_advice(user: &str, notes: &[String]) -> Vec<String> {
    let mut advice = notes.to_vec();
    advice.push(format!(
        "is {user} the right user (ansible_user)? is your public key in its ~/.ssh/authorized_keys?"
    ));
    advice.push(
        "name a key with ansible_ssh_private_key_file, add it to ssh-agent, or use a password (-k)"
            .to_owned(),
    );
    advice
}
