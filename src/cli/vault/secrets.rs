//! Where the passwords of vaults come from: files, executable scripts and prompts, each under an id.

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::content::vault::{DEFAULT_ID, Key, Keyring, is_encrypted};
use crate::secret::Secret;
use clap::Args;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// Secrets of vaults, as ansible-playbook and ansible-vault take them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Vault")]
pub(in crate::cli) struct Secrets {
    /// A vault id and where its password comes from: LABEL@FILE, LABEL@SCRIPT or LABEL@prompt; may be given several times
    #[arg(long = "vault-id", value_name = "ID")]
    pub vault_ids: Vec<String>,
    /// File that holds the password, or an executable that prints it; may be given several times
    #[arg(
        long = "vault-password-file",
        visible_alias = "vault-pass-file",
        value_name = "FILE",
        conflicts_with = "ask_vault_password"
    )]
    pub vault_password_files: Vec<PathBuf>,
    /// Ask for the vault password
    #[arg(
        short = 'J',
        long = "ask-vault-password",
        visible_alias = "ask-vault-pass"
    )]
    pub ask_vault_password: bool,
}

/// What happens when no secret is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Asking {
    /// A person is asked.
    IfNone,
    /// There are none.
    Never,
}

/// The prompt without a label in its question.
const UNLABELLED: &str = "prompt_ask_vault_pass";

/// The secrets that arguments and settings name, in Ansible's order: those of `vault_identity_list`, of `--vault-id`,
/// of password files, then what is asked for.
pub(in crate::cli) fn load(
    args: &Secrets,
    asking: Asking,
    context: &Context,
) -> Result<Keyring, Failure> {
    let mut keys = Vec::new();
    for (id, source) in wanted(args, asking, context) {
        keys.push(key(&id, &source, &keys, false, context)?);
    }
    Ok(Keyring::new(
        keys,
        context.config.flag("DEFAULT_VAULT_ID_MATCH"),
    ))
}

/// The same for encrypting: a password that is asked for is asked for twice.
pub(super) fn for_encryption(args: &Secrets, context: &Context) -> Result<Keyring, Failure> {
    let mut keys = Vec::new();
    for (id, source) in wanted(args, Asking::IfNone, context) {
        keys.push(key(&id, &source, &keys, true, context)?);
    }
    Ok(Keyring::new(keys, false))
}

/// A secret that replaces another one: `LABEL@SOURCE`.
pub(super) fn new_key(wanted: &str, context: &Context) -> Result<Key, Failure> {
    let (id, source) = split(wanted, context);
    key(&id, &source, &[], true, context)
}

fn wanted(args: &Secrets, asking: Asking, context: &Context) -> Vec<(String, String)> {
    let config = &context.config;
    let default = config.text("DEFAULT_VAULT_IDENTITY");
    let mut wanted: Vec<(String, String)> = config
        .list("DEFAULT_VAULT_IDENTITY_LIST")
        .iter()
        .chain(&args.vault_ids)
        .map(|written| split(written, context))
        .collect();
    let configured = config.path("DEFAULT_VAULT_PASSWORD_FILE");
    // Ansible reads the file of the settings unless others are named.
    let configured = configured.filter(|_| args.vault_password_files.is_empty());
    for file in args.vault_password_files.iter().chain(&configured) {
        wanted.push((default.clone(), file.display().to_string()));
    }
    let ask = args.ask_vault_password || config.flag("DEFAULT_ASK_VAULT_PASS");
    if ask || wanted.is_empty() && asking == Asking::IfNone {
        wanted.push((default, UNLABELLED.to_owned()));
    }
    wanted
}

/// `LABEL@SOURCE`, or a source alone.
fn split(written: &str, context: &Context) -> (String, String) {
    let default = || context.config.text("DEFAULT_VAULT_IDENTITY");
    match written.split_once('@') {
        Some(("", source)) => (default(), source.to_owned()),
        Some((label, source)) => (label.to_owned(), source.to_owned()),
        None => (default(), written.to_owned()),
    }
}

fn key(
    id: &str,
    source: &str,
    known: &[Key],
    fresh: bool,
    context: &Context,
) -> Result<Key, Failure> {
    let password = match source {
        "prompt" | UNLABELLED => ask(id, source == UNLABELLED, fresh, context)?,
        path => {
            let path = context.path(Path::new(path));
            let path = context.directory.join(path);
            from_file(id, &path, known)?
        }
    };
    Ok(Key {
        id: id.to_owned(),
        password: Secret::new(password.to_vec()),
    })
}

/// A password of a connection or of become: what a file holds, or an executable file prints.
pub(in crate::cli) fn password_file(path: &Path) -> Result<Secret<String>, Failure> {
    let bytes = from_file(DEFAULT_ID, path, &[])?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::new(Kind::Error, format!("{} doesn't hold text", path.display())))?;
    Ok(Secret::new(text.to_owned()))
}

fn ask(
    id: &str,
    unlabelled: bool,
    fresh: bool,
    context: &Context,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let question = |start: &str| {
        if unlabelled {
            start.to_owned()
        } else {
            format!(
                "{} ({id})",
                start
                    .replace("New Vault", "New vault")
                    .replace("Confirm New", "Confirm new")
            )
        }
    };
    let first = context.ask_secret(&question(if fresh {
        "New Vault password"
    } else {
        "Vault password"
    }))?;
    if fresh {
        let second = context.ask_secret(&question("Confirm New Vault password"))?;
        if first.expose() != second.expose() {
            return Err(Failure::new(Kind::Error, "Passwords do not match"));
        }
    }
    let password = Zeroizing::new(first.expose().trim().as_bytes().to_vec());
    if password.is_empty() {
        return Err(Failure::new(
            Kind::Error,
            "Invalid vault password was provided",
        ));
    }
    Ok(password)
}

/// What a file holds or an executable file prints, without white space around it. The file may itself be a vault
/// that an earlier secret opens.
fn from_file(id: &str, path: &Path, known: &[Key]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let meta = std::fs::metadata(path).map_err(|_| {
        Failure::new(
            Kind::Error,
            format!("The vault password file {} was not found", path.display()),
        )
    })?;
    if meta.is_dir() {
        let message = format!("the vault password file {} is a directory", path.display());
        return Err(Failure::new(Kind::Error, message));
    }
    let script = meta.permissions().mode() & 0o111 != 0;
    let bytes = if script {
        printed(id, path)?
    } else {
        let bytes = std::fs::read(path).map_err(|error| {
            let message = format!(
                "Could not read vault password file {}: {error}",
                path.display()
            );
            Failure::new(Kind::Error, message)
        })?;
        Zeroizing::new(bytes)
    };
    let bytes = if is_encrypted(&bytes) {
        Keyring::new(known.to_vec(), false)
            .open(&bytes)
            .map_err(|error| Failure::new(Kind::Error, format!("{error} for {}", path.display())))?
    } else {
        bytes
    };
    let password = Zeroizing::new(bytes.trim_ascii().to_vec());
    if password.is_empty() {
        let kind = if script { "script" } else { "file" };
        return Err(Failure::new(
            Kind::Error,
            format!(
                "Invalid vault password was provided from {kind} ({})",
                path.display()
            ),
        ));
    }
    Ok(password)
}

/// What a script prints. One whose name ends with `-client` (before its extension) is told the id.
fn printed(id: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut command = Command::new(path);
    let client = path
        .file_stem()
        .is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
    if client {
        command.args(["--vault-id", id]);
    }
    let failed = |why: String| {
        let hint = "if this is not a script, remove the executable bit from the file";
        let message = format!(
            "Problem running vault password script {}: {why}",
            path.display()
        );
        Failure::new(Kind::Error, message).hint(hint)
    };
    let output = command
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    match output.status.code() {
        Some(0) => Ok(Zeroizing::new(output.stdout)),
        Some(2) if client => Err(failed(format!("it knows no secret for vault-id={id}"))),
        _ => Err(failed(output.status.to_string())),
    }
}
