//! How one host is reached.

use super::settings::HostKeyPolicy;
use crate::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that is decided before the first packet.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name in the inventory.
    pub name: String,
    pub connection: Connection,
}

/// The way to a host.
#[derive(Debug, Clone)]
pub enum Connection {
    /// A child process on this machine.
    Local,
    /// Our own SSH: the bastions in order, then the host itself. Never empty.
    Ssh(Vec<Hop>),
    /// The ssh program, because of options that we can't honour.
    Program(Program),
}

/// One SSH server on the way; the last one is the host itself.
#[derive(Debug, Clone)]
pub struct Hop {
    /// What was asked for: the inventory's name or the bastion as written.
    pub alias: String,
    /// Name or address to connect to.
    pub address: String,
    pub port: u16,
    pub user: String,
    pub auth: Auth,
    pub host_key: HostKeyRules,
    pub algorithms: AlgorithmLists,
    /// IPv4 only, IPv6 only.
    pub family: Option<Family>,
    pub connect_timeout: Duration,
    /// Zero: no keepalive.
    pub alive_interval: Duration,
    pub alive_count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// With what to log in.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// Private keys to offer, in this order.
    pub keys: Vec<KeyFile>,
    /// Don't offer keys of ssh-agent that aren't among `keys`.
    pub identities_only: bool,
    pub agent_socket: Option<PathBuf>,
    pub password: Option<Secret<String>>,
    /// PubkeyAuthentication, PasswordAuthentication and KbdInteractiveAuthentication aren't `no`.
    pub by_key: bool,
    pub by_password: bool,
    pub by_keyboard: bool,
}

/// A private key (or a public one whose private half ssh-agent has).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    pub path: PathBuf,
    /// Somebody named it for this host: it must be there. Others may be missing, as with ssh.
    pub required: bool,
}

/// `Ciphers`, `MACs`, `KexAlgorithms` and `HostKeyAlgorithms` as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlgorithmLists {
    pub ciphers: Option<String>,
    pub macs: Option<String>,
    pub kex: Option<String>,
    pub host_keys: Option<String>,
}

/// Where the host's key is looked up, under which name, and what happens when it isn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyRules {
    /// HostKeyAlias; otherwise the name that is connected to.
    pub name: String,
    pub port: u16,
    /// `name` is an alias: the port isn't part of it.
    pub alias: bool,
    pub user_files: Vec<PathBuf>,
    pub global_files: Vec<PathBuf>,
    pub policy: HostKeyPolicy,
    /// Accept whatever key it shows now (unless it is revoked) and write it down instead of the old one.
    pub replace: bool,
    /// HashKnownHosts.
    pub hash: bool,
}

/// A call of the ssh program.
#[derive(Debug, Clone)]
pub struct Program {
    pub ssh: PathBuf,
    /// Options and the destination, without a command.
    pub args: Vec<String>,
    pub address: String,
    pub user: String,
    /// Why our own SSH isn't used.
    pub because: String,
    pub connect_timeout: Duration,
    pub password: Option<Secret<String>>,
}
