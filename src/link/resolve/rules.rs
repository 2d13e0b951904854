//! What ssh_config says of logging in and of host keys.

use super::Fault;
use super::texts::Tokens;
use crate::link::settings::HostKeyPolicy;
use crate::link::ssh_config::Options;
use crate::link::target::{Auth, HostKeyRules, KeyFile};
use std::path::{Path, PathBuf};

/// Default private keys under `~/.ssh`, offered where nobody names one and they exist.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

pub(super) fn auth(options: &Options, tokens: &mut Tokens<'_>) -> Auth {
    let settings = tokens.settings;
    let mut keys: Vec<_> = options
        .each("identityfile")
        .filter(|path| !path.eq_ignore_ascii_case("none"))
        .map(|path| KeyFile {
            path: tokens.path(path),
            required: false,
        })
        .collect();
    if options.one("identityfile").is_none() {
        let folder = settings.home.join(".ssh");
        keys.extend(DEFAULT_KEYS.iter().map(|name| KeyFile {
            path: folder.join(name),
            required: false,
        }));
    }
    let agent_socket = match options.one("identityagent") {
        Some("none") => None,
        None | Some("SSH_AUTH_SOCK") => settings.ssh_auth_sock.clone(),
        Some(path) => Some(tokens.path(path)),
    };
    Auth {
        keys,
        identities_only: options.is_yes("identitiesonly", false),
        agent_socket,
        password: None,
        by_key: options.is_yes("pubkeyauthentication", true),
        by_password: options.is_yes("passwordauthentication", true),
        by_keyboard: options.is_yes("kbdinteractiveauthentication", true)
            && options.is_yes("challengeresponseauthentication", true),
    }
}

pub(super) fn host_key_rules(
    options: &Options,
    tokens: &mut Tokens<'_>,
) -> Result<HostKeyRules, Fault> {
    let settings = tokens.settings;
    let mut files = |keyword: &str, defaults: [PathBuf; 2]| match options.all(keyword) {
        Some([only]) if only.eq_ignore_ascii_case("none") => Vec::new(),
        Some(files) => files.iter().map(|file| tokens.path(file)).collect(),
        None => defaults.to_vec(),
    };
    let ssh = settings.home.join(".ssh");
    let mut user_files = files(
        "userknownhostsfile",
        [ssh.join("known_hosts"), ssh.join("known_hosts2")],
    );
    let system = settings
        .system_ssh_config
        .parent()
        .unwrap_or(Path::new("/etc/ssh"));
    let global_files = files(
        "globalknownhostsfile",
        [
            system.join("ssh_known_hosts"),
            system.join("ssh_known_hosts2"),
        ],
    );
    if !settings.known_hosts.is_empty() {
        user_files.clone_from(&settings.known_hosts);
    }
    let policy = match options.one("stricthostkeychecking") {
        None => HostKeyPolicy::Ask,
        Some(text) => HostKeyPolicy::parse(text)
            .ok_or_else(|| format!("StrictHostKeyChecking has no value {text}"))?,
    };
    let alias = options.one("hostkeyalias");
    Ok(HostKeyRules {
        name: alias.map_or_else(|| tokens.address.clone(), str::to_owned),
        port: tokens.port,
        alias: alias.is_some(),
        user_files,
        global_files,
        policy: settings.host_key_policy.unwrap_or(policy),
        replace: false,
        hash: options.is_yes("hashknownhosts", false),
    })
}
