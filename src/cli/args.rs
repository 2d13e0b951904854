//! Arguments that several verbs share, named as in ansible-playbook where it has them.

use super::vault::secrets::Secrets;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  done, or nothing to do
  1  an error: a name or a file that isn't there, a password that doesn't fit, a full disk
  2  a host failed, or an operation was undone after a failure
  3  an operation is stuck half-way and needs a decision; it says which
  4  a host is unreachable, or what you wrote is wrong and nothing was started
  5  refused: a precondition does not hold, or options don't go together; nothing was changed
  6  another run holds the lock of this cluster
  99 interrupted
  250 a defect of kopsrun itself: please report it";

/// How results are shown.
#[derive(Debug, Clone, Args)]
pub(super) struct Output {
    /// For people or for machines (one JSON object a line for runs, one document for lists)
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, env = "KOPSRUN_OUTPUT")]
    pub output: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub color: When,
    /// Show more: results (-v), connections (-vvv), everything (-vvvv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

/// Which hosts there are, and which of them are meant.
#[derive(Debug, Clone, Args)]
pub(super) struct Hosts {
    /// Inventory: a file (YAML or INI), a directory, or "host1,host2,"; may be given several times
    #[arg(
        short,
        long = "inventory",
        alias = "inventory-file",
        value_name = "PATH",
        env = "KOPSRUN_INVENTORY",
        value_delimiter = None
    )]
    pub inventory: Vec<PathBuf>,
    /// Only these hosts: a pattern, or @FILE with one a line
    #[arg(short, long, value_name = "PATTERN")]
    pub limit: Option<String>,
    #[command(flatten)]
    pub secrets: Secrets,
}

/// How hosts are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// Log in as this user where the inventory names none
    #[arg(short, long = "user", value_name = "USER")]
    pub user: Option<String>,
    /// Log in with this key
    #[arg(long = "private-key", visible_alias = "key-file", value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// Options of ssh for all connections
    #[arg(
        long = "ssh-common-args",
        value_name = "ARGS",
        allow_hyphen_values = true
    )]
    pub ssh_common_args: Option<String>,
    /// Options of ssh for its own connections
    #[arg(
        long = "ssh-extra-args",
        value_name = "ARGS",
        allow_hyphen_values = true
    )]
    pub ssh_extra_args: Option<String>,
    /// Accepted as ansible-playbook does; files travel over the connection itself, so it has no effect
    #[arg(
        long = "sftp-extra-args",
        value_name = "ARGS",
        allow_hyphen_values = true,
        hide = true
    )]
    pub sftp_extra_args: Option<String>,
    /// Accepted as ansible-playbook does; files travel over the connection itself, so it has no effect
    #[arg(
        long = "scp-extra-args",
        value_name = "ARGS",
        allow_hyphen_values = true,
        hide = true
    )]
    pub scp_extra_args: Option<String>,
    /// Kind of connection where the inventory names none: ssh, local
    #[arg(short, long = "connection", value_name = "KIND")]
    pub connection: Option<String>,
    /// Seconds that connecting may take [default: 10]
    #[arg(short = 'T', long = "timeout", value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Ask for the login password
    #[arg(
        short = 'k',
        long = "ask-pass",
        conflicts_with = "connection_password_file"
    )]
    pub ask_pass: bool,
    /// File that holds the login password, or a script that prints it
    #[arg(
        long = "connection-password-file",
        visible_alias = "conn-pass-file",
        value_name = "FILE"
    )]
    pub connection_password_file: Option<PathBuf>,
    /// How many hosts work at once [default: 64 for each processor]
    #[arg(short, long, value_name = "N")]
    pub forks: Option<usize>,
    /// Accept this host's changed or new key (it was replaced); may be given several times
    #[arg(long = "accept-new-host-key", value_name = "HOST")]
    pub accept_new_host_key: Vec<String>,
}

/// As whom tasks run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Privileges")]
pub(super) struct Escalation {
    /// Become another user on the hosts
    #[arg(short = 'b', long = "become")]
    pub escalate: bool,
    /// The user to become
    #[arg(long = "become-user", value_name = "USER")]
    pub become_user: Option<String>,
    /// How: sudo or su
    #[arg(long = "become-method", value_name = "METHOD")]
    pub become_method: Option<String>,
    /// Ask for the password of become
    #[arg(
        short = 'K',
        long = "ask-become-pass",
        conflicts_with = "become_password_file"
    )]
    pub ask_become_pass: bool,
    /// File that holds the password of become, or a script that prints it
    #[arg(
        long = "become-password-file",
        visible_alias = "become-pass-file",
        value_name = "FILE"
    )]
    pub become_password_file: Option<PathBuf>,
}

/// Variables and modes of a run.
#[derive(Debug, Clone, Args)]
pub(super) struct Run {
    /// Variables above all others: k=v, JSON, YAML, or @FILE; may be given several times
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    pub extra_vars: Vec<String>,
    /// Report what would change and change nothing
    #[arg(short = 'C', long)]
    pub check: bool,
    /// Show the differences in files that change
    #[arg(short = 'D', long)]
    pub diff: bool,
}

/// Where the records of runs are kept.
#[derive(Debug, Clone, Args)]
pub(super) struct Records {
    /// Where the records of runs are kept
    #[arg(long = "runs-dir", value_name = "DIR", env = "KOPSRUN_RUNS")]
    pub runs_dir: Option<PathBuf>,
}
