//! Editing what a vault holds.

use super::files::{self, Private};
use super::{One, broken, choose, error, open, secrets};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use std::path::Path;
use std::process::Command;
use zeroize::Zeroizing;

pub(super) fn create(args: &One, context: &Context) -> Result<(), Failure> {
    let path = context.path(&args.file);
    if path.is_file() {
        return Err(error(format!(
            "{} exists, please use 'edit' instead",
            args.file.display()
        )));
    }
    let ring = secrets::for_encryption(&args.secrets, context)?;
    let (key, id) = choose(&ring, args.encrypting.encrypt_vault_id.as_deref(), context)?;
    let plain = edited(&args.file, b"", context)?;
    let text = key.seal(&plain, id.as_deref()).map_err(broken)?.to_text();
    files::write(&args.file, text.as_bytes(), context)
}

/// The file keeps the id and the password that it had, unless `--encrypt-vault-id` names another one.
pub(super) fn edit(args: &One, context: &Context) -> Result<(), Failure> {
    let ring = secrets::load(&args.secrets, secrets::Asking::IfNone, context)?;
    let (before, named) = open(&ring, &args.file, context)?;
    let after = edited(&args.file, &before, context)?;
    if *after == *before && args.encrypting.encrypt_vault_id.is_none() {
        return Ok(());
    }
    let sealed = files::read(&args.file, context)?;
    let (_, same) = ring.open_with(&sealed).map_err(broken)?;
    let (key, id) = match args.encrypting.encrypt_vault_id.as_deref() {
        Some(id) => choose(&ring, Some(id), context)?,
        None => (same, named),
    };
    let text = key.seal(&after, id.as_deref()).map_err(broken)?.to_text();
    files::write(&args.file, text.as_bytes(), context)
}

/// What an editor made of a text.
fn edited(name: &Path, before: &[u8], context: &Context) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |why: std::io::Error| error(format!("a private file can't be made: {why}"));
    let private = Private::new(name, before, context).map_err(failed)?;
    let editor = context.config.text("EDITOR");
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program)
        .args(words)
        .arg(&private.file)
        .status()
        .map_err(|why| error(format!("Unable to execute editor {editor}: {why}")))?;
    if !status.success() {
        return Err(error(format!(
            "the editor {editor} failed ({status}); nothing was written"
        )));
    }
    private
        .read()
        .map_err(|why| error(format!("what was edited can't be read: {why}")))
}
