//! `kopsrun vault`: encrypts and decrypts files and values as ansible-vault does.

mod edit;
pub(super) mod files;
pub(super) mod secrets;
mod string;

use super::context::Context;
use super::failure::{Failure, Kind};
use crate::content::vault::{Envelope, Key, Keyring, VaultError, is_encrypted};
use clap::{Args, Subcommand};
use secrets::Secrets;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  kopsrun vault encrypt group_vars/all/secrets.yml --vault-id prod@~/.prod-pass
  kopsrun vault view group_vars/all/secrets.yml --ask-vault-pass
  kopsrun vault edit group_vars/all/secrets.yml
  printf %s 's3cret' | kopsrun vault encrypt-string --stdin-name db_password
  kopsrun vault rekey secrets.yml --vault-id old@prompt --new-vault-id new@prompt";

/// Encrypt and decrypt files and values, as ansible-vault does
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Vault {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create a new encrypted file in an editor
    Create(One),
    /// Decrypt files in place, or to --output
    Decrypt(Many),
    /// Edit an encrypted file; its plain text is kept in a private directory meanwhile
    Edit(One),
    /// Show what encrypted files hold
    View(Shown),
    /// Encrypt files in place, or to --output; without a file what is read from standard input
    Encrypt(Many),
    /// Encrypt values, to be pasted into YAML as !vault
    #[command(visible_alias = "encrypt_string")]
    EncryptString(string::EncryptString),
    /// Encrypt files anew under another password
    Rekey(Rekey),
}

#[derive(Debug, Args)]
struct Encrypting {
    /// The id to encrypt with; needed when there are several
    #[arg(long = "encrypt-vault-id", value_name = "ID")]
    encrypt_vault_id: Option<String>,
}

#[derive(Debug, Args)]
struct One {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    secrets: Secrets,
    #[command(flatten)]
    encrypting: Encrypting,
}

#[derive(Debug, Args)]
struct Many {
    /// Files; `-` is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    writing: Writing,
}

/// Where results go, and with which secret.
#[derive(Debug, Args)]
struct Writing {
    /// Where to write, `-` is standard output; only for one result
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    #[command(flatten)]
    secrets: Secrets,
    #[command(flatten)]
    encrypting: Encrypting,
}

#[derive(Debug, Args)]
struct Shown {
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    secrets: Secrets,
}

#[derive(Debug, Args)]
struct Rekey {
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// File that holds the new password, or a script that prints it
    #[arg(
        long = "new-vault-password-file",
        value_name = "FILE",
        conflicts_with = "new_vault_id"
    )]
    new_vault_password_file: Option<PathBuf>,
    /// The new id and where its password comes from: LABEL@SOURCE
    #[arg(long = "new-vault-id", value_name = "ID")]
    new_vault_id: Option<String>,
    #[command(flatten)]
    secrets: Secrets,
    #[command(flatten)]
    encrypting: Encrypting,
}

pub(super) fn run(args: &Vault, context: &Context) -> Result<u8, Failure> {
    match &args.what {
        What::Encrypt(args) => encrypt(args, context)?,
        What::Decrypt(args) => decrypt(args, context)?,
        What::View(args) => view(args, context)?,
        What::Rekey(args) => rekey(args, context)?,
        What::Create(args) => edit::create(args, context)?,
        What::Edit(args) => edit::edit(args, context)?,
        What::EncryptString(args) => string::run(args, context)?,
    }
    Ok(0)
}

/// Files that were named; without any, standard input.
fn sources(files: &[PathBuf], output: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    if files.len() > 1 && output.is_some() {
        return Err(Failure::new(
            Kind::Usage,
            "at most one input file may be used with the --output-file option",
        ));
    }
    Ok(match files {
        [] => vec![PathBuf::from("-")],
        files => files.to_vec(),
    })
}

fn encrypt(args: &Many, context: &Context) -> Result<(), Failure> {
    let files = sources(&args.files, args.writing.output_file.as_deref())?;
    let ring = secrets::for_encryption(&args.writing.secrets, context)?;
    let (key, id) = choose(
        &ring,
        args.writing.encrypting.encrypt_vault_id.as_deref(),
        context,
    )?;
    for file in &files {
        let plain = files::read(file, context)?;
        if is_encrypted(&plain) {
            return Err(error("input is already encrypted".to_owned()));
        }
        let text = key.seal(&plain, id.as_deref()).map_err(broken)?.to_text();
        let target = args.writing.output_file.as_deref().unwrap_or(file);
        files::write(target, text.as_bytes(), context)?;
    }
    said("Encryption successful", context)
}

fn decrypt(args: &Many, context: &Context) -> Result<(), Failure> {
    let files = sources(&args.files, args.writing.output_file.as_deref())?;
    let ring = secrets::load(&args.writing.secrets, secrets::Asking::IfNone, context)?;
    for file in &files {
        let (plain, _) = open(&ring, file, context)?;
        let target = args.writing.output_file.as_deref().unwrap_or(file);
        files::write(target, &plain, context)?;
    }
    said("Decryption successful", context)
}

fn view(args: &Shown, context: &Context) -> Result<(), Failure> {
    let ring = secrets::load(&args.secrets, secrets::Asking::IfNone, context)?;
    for file in &args.files {
        let (plain, _) = open(&ring, file, context)?;
        files::show(&plain, context)?;
    }
    Ok(())
}

fn rekey(args: &Rekey, context: &Context) -> Result<(), Failure> {
    let ring = secrets::load(&args.secrets, secrets::Asking::IfNone, context)?;
    let wanted = match (&args.new_vault_id, &args.new_vault_password_file) {
        (Some(id), _) => id.clone(),
        (None, Some(file)) => format!("default@{}", file.display()),
        (None, None) => "default@prompt_ask_vault_pass".to_owned(),
    };
    let key = secrets::new_key(&wanted, context)?;
    let id = args.encrypting.encrypt_vault_id.clone().or_else(|| {
        let labelled = args.new_vault_id.is_some();
        labelled.then(|| key.id.clone())
    });
    // All are opened before the first one is written.
    let mut sealed = Vec::new();
    for file in &args.files {
        let (plain, _) = open(&ring, file, context)?;
        sealed.push((file, key.seal(&plain, id.as_deref()).map_err(broken)?));
    }
    for (file, envelope) in sealed {
        files::write(file, envelope.to_text().as_bytes(), context)?;
    }
    said("Rekey successful", context)
}

/// What an encrypted file holds, and the id that it names.
fn open(
    ring: &Keyring,
    file: &Path,
    context: &Context,
) -> Result<(zeroize::Zeroizing<Vec<u8>>, Option<String>), Failure> {
    let text = files::read(file, context)?;
    let named = Envelope::parse(&text).ok().and_then(|vault| vault.id);
    let plain = ring.open(&text).map_err(|failed| {
        let failure = error(format!("{failed} for {}", file.display()));
        match failed.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    Ok((plain, named))
}

/// The secret to encrypt with, and the id to write down.
fn choose<'a>(
    ring: &'a Keyring,
    wanted: Option<&str>,
    context: &Context,
) -> Result<(&'a Key, Option<String>), Failure> {
    let configured = context.config.given("DEFAULT_VAULT_ENCRYPT_IDENTITY");
    let wanted = wanted.map(str::to_owned).or(configured);
    let mut ids: Vec<&str> = ring.keys().iter().map(|key| key.id.as_str()).collect();
    ids.dedup();
    let key = match (&wanted, ring.keys()) {
        (Some(id), keys) => keys.iter().find(|key| key.id == *id).ok_or_else(|| {
            error(format!(
                "Did not find a match for --encrypt-vault-id={id} in the known vault-ids {ids:?}"
            ))
        })?,
        (None, [key]) => key,
        (None, []) => return Err(broken(VaultError::NoSecrets)),
        (None, _) => {
            return Err(Failure::new(
                Kind::Usage,
                format!(
                    "The vault-ids {} are available to encrypt. Specify the vault-id to encrypt with --encrypt-vault-id",
                    ids.join(",")
                ),
            ));
        }
    };
    Ok((key, Some(key.id.clone())))
}

fn said(text: &str, context: &Context) -> Result<(), Failure> {
    if context.terminal {
        eprintln!("{text}");
    }
    Ok(())
}

fn error(message: String) -> Failure {
    Failure::new(Kind::Error, message)
}

fn broken(failed: VaultError) -> Failure {
    error(failed.to_string())
}
