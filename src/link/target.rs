//! How one host is reached: inventory variables and ssh_config put together.

use super::error::LinkError;
use super::settings::{HostKeyPolicy, Settings};
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
    /// Private keys to offer, in this order.
    pub keys: Vec<PathBuf>,
    /// Keys that somebody named: they must be usable. Default ones may be missing.
    pub keys_named: bool,
    /// Don't offer keys of ssh-agent that aren't among `keys`.
    pub identities_only: bool,
    pub agent_socket: Option<PathBuf>,
    pub password: Option<Secret<String>>,
    pub host_key: HostKeyRules,
    pub connect_timeout: Duration,
    /// Zero: no keepalive.
    pub alive_interval: Duration,
    pub alive_count: usize,
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
    /// Accept whatever key it shows now and write it down instead of the old one.
    pub replace: bool,
}

/// A call of the ssh program.
#[derive(Debug, Clone)]
pub struct Program {
    pub ssh: PathBuf,
    /// Options, then the destination.
    pub args: Vec<String>,
    /// Why our own SSH wasn't used, for -v and error messages.
    pub because: String,
    pub connect_timeout: Duration,
    pub password: Option<Secret<String>>,
}

impl Target {
    /// Decides how `name` is reached from `ansible_*` variables (already rendered) and ssh_config. Reads files, sends
    /// nothing.
    pub fn resolve(
        name: &str,
        vars: &dyn Fn(&str) -> Option<String>,
        settings: &Settings,
    ) -> Result<Self, LinkError> {
        if vars("ansible_connection").as_deref() == Some("local") {
            return Ok(Self {
                name: name.to_owned(),
                connection: Connection::Local,
            });
        }
        let _ = settings;
        Err(LinkError::Config {
            host: name.to_owned(),
            message: "no connection yet".to_owned(),
            hints: Vec::new(),
        })
    }
}
