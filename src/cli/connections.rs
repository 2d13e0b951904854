//! Connections as the arguments and the environment want them.

use super::args;
use super::context::Context;
use super::failure::{Failure, Kind};
use super::record;
use crate::link::{
    AgentProgram, Agents, HostKeyPolicy, HostKeyQuestion, LocalAgent, Pool, Prompt, Settings,
};
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The pool of connections of one command.
pub(super) fn pool(args: &args::Connection, context: &Context) -> Result<Pool, Failure> {
    let config = &context.config;
    let mut settings = Settings::new(&context.home, record::user(context));
    let configured = config.integer("DEFAULT_TIMEOUT");
    let configured = configured.and_then(|seconds| u64::try_from(seconds).ok());
    let timeout = args.timeout.or(configured).unwrap_or(1);
    settings.connect_timeout = Duration::from_secs(timeout.max(1));
    settings.parallel = context.forks(args.forks).max(64);
    settings
        .accept_new
        .extend(args.accept_new_host_key.iter().cloned());
    settings.ssh_auth_sock = context.variable("SSH_AUTH_SOCK").map(PathBuf::from);
    let user = args.user.clone();
    settings.user = user.or_else(|| config.given("DEFAULT_REMOTE_USER"));
    let key = args.private_key.as_deref().map(|path| context.path(path));
    settings.private_key = key.or_else(|| config.path("DEFAULT_PRIVATE_KEY_FILE"));
    settings.password = context.login_password(args)?;
    settings.variables = variables(args, context);
    if !config.flag("HOST_KEY_CHECKING") {
        settings.host_key_policy = Some(HostKeyPolicy::Off);
    }
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(
            Kind::Broken,
            format!("kopsrun can't find its own program: {error}"),
        )
    })?;
    settings.agents = agents(&program);
    settings.local_agent = Some(LocalAgent {
        program,
        args: vec!["agent".into(), "--stdio".into()],
    });
    if context.interactive {
        settings.prompt = Arc::new(Terminal);
    }
    Ok(Pool::new(settings))
}

/// Variables of connections that hold where the inventory names none.
fn variables(args: &args::Connection, context: &Context) -> BTreeMap<String, String> {
    let config = &context.config;
    let typed = [
        ("ansible_ssh_args", None, "SSH_ARGS"),
        (
            "ansible_ssh_common_args",
            args.ssh_common_args.as_ref(),
            "SSH_COMMON_ARGS",
        ),
        (
            "ansible_ssh_extra_args",
            args.ssh_extra_args.as_ref(),
            "SSH_EXTRA_ARGS",
        ),
        ("ansible_port", None, "DEFAULT_REMOTE_PORT"),
    ];
    let values = typed.into_iter().filter_map(|(name, typed, setting)| {
        let value = typed.cloned().or_else(|| config.given(setting))?;
        Some((name.to_owned(), value))
    });
    values.filter(|(_, value)| !value.is_empty()).collect()
}

/// The agent programs that are at hand: beside this program, and the one inside of it.
fn agents(program: &Path) -> Agents {
    const PREFIX: &str = "kopsrun-agent-";
    let mut agents = Agents::default();
    let beside = program
        .parent()
        .and_then(|directory| std::fs::read_dir(directory).ok());
    for entry in beside.into_iter().flatten().flatten() {
        if let Some(arch) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
        {
            agents.add(arch, AgentProgram::File(entry.path()));
        }
    }
    if let Some(bytes) = crate::agent_program::embedded_agent() {
        agents.add("x86_64", AgentProgram::Embedded(bytes));
    }
    agents
}

/// Asks at the terminal.
struct Terminal;

impl Prompt for Terminal {
    fn passphrase(&self, key: &Path, wrong_before: bool) -> Option<Secret<String>> {
        let again = if wrong_before {
            "That was not it. "
        } else {
            ""
        };
        rpassword::prompt_password(format!("{again}Passphrase of {}: ", key.display()))
            .ok()
            .map(Secret::new)
    }

    fn accept_host_key(&self, question: &HostKeyQuestion) -> bool {
        let mut answer = String::new();
        let text = format!(
            "The host key of {} ({}) is not known.\n{} {}\nCompare it with the one that the host shows on its console. Type yes to trust it: ",
            question.host, question.name, question.algorithm, question.fingerprint
        );
        write!(io::stderr(), "{text}")
            .and_then(|()| io::stdin().read_line(&mut answer))
            .is_ok()
            && answer.trim() == "yes"
    }
}
