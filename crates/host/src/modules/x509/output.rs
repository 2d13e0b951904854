//! The file that a module writes: its mode, its backup, and what is returned of it.

use crate::files::{self, Attributes};
use crate::modules::ownership::{Changes, Ownership, describe};
use crate::modules::rewrite::{keep_copy, write_failure};
use crate::{Arg, Context, Failure, Kind, Outcome};
use serde::Deserialize;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    path: String,
    pub(super) state: String,
    pub(super) force: bool,
    backup: bool,
    return_content: bool,
    #[serde(flatten)]
    ownership: Ownership,
}

pub(super) const BACKEND: Arg = Arg::new(
    "select_crypto_backend",
    Kind::Str,
    "No effect: the host's openssl is used.",
)
.choices(&["auto", "cryptography"])
.default("auto");

/// The arguments that all that write a file have.
pub(super) const ARGS: [Arg; 7] = [
    Arg::new("path", Kind::Path, "The file.").required(),
    Arg::new("state", Kind::Str, "Whether it is to be there.")
        .choices(&["absent", "present"])
        .default("present"),
    Arg::new(
        "force",
        Kind::Bool,
        "Make it again also when it is as it is to be.",
    )
    .default("no"),
    Arg::new(
        "backup",
        Kind::Bool,
        "Keep the old file, with the time in its name.",
    )
    .default("no"),
    Arg::new("return_content", Kind::Bool, "Return what is in the file.").default("no"),
    BACKEND,
    Arg::new("unsafe_writes", Kind::Bool, "Has no effect.").default("no"),
];

impl Target {
    pub(super) fn path(&self, cx: &Context) -> PathBuf {
        cx.expand(&self.path)
    }

    /// What is there now; none when nothing is.
    pub(super) fn now(&self, cx: &Context) -> Result<Option<String>, Failure> {
        let path = self.path(cx);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io("cannot read", &path, &error)),
        }
    }

    /// Fails where the directory isn't there; in check mode an earlier task may be the one that makes it.
    pub(super) fn check_directory(&self, cx: &Context) -> Result<(), Failure> {
        let path = self.path(cx);
        let dir = files::parent(&path);
        if dir.is_dir() || cx.check() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "The directory '{}' does not exist or the file is not a directory (make it with `file: state=directory`)",
            dir.display()
        ))
        .with("name", dir.to_string_lossy()))
    }

    /// Brings the file to be absent, or to hold `content` (none: it is as it is to be), with its mode and owner.
    pub(super) fn bring(
        &self,
        cx: &Context,
        content: Option<&str>,
        new_mode: u32,
        returned: &str,
    ) -> Result<Outcome, Failure> {
        let path = self.path(cx);
        let there = fs::symlink_metadata(&path).is_ok();
        let mut backup = None;
        let mut changed = content.is_some();
        if self.state == "absent" {
            changed = there;
            if there && !cx.check() {
                backup = self.keep(&path)?;
                fs::remove_file(&path)
                    .map_err(|error| Failure::io("cannot remove", &path, &error))?;
                files::sync_parent(&path).ok();
            }
        } else if let Some(content) = content.filter(|_| !cx.check()) {
            backup = self.keep(&path)?;
            self.write(cx, &path, content, new_mode)?;
        }
        let mut outcome = Outcome::changed(changed).with("filename", path.to_string_lossy());
        if self.state == "present" && path.exists() {
            let wanted = self.ownership.resolve(cx)?;
            outcome.changed |= wanted.apply(cx, &path, &mut Changes::default())?;
            outcome.data.extend(describe(&path));
        }
        if let Some(backup) = backup {
            outcome = outcome.with("backup_file", backup.to_string_lossy());
        }
        if self.return_content {
            let now = if self.state == "absent" {
                None
            } else {
                self.now(cx)?
            };
            outcome = outcome.with(returned, now);
        }
        Ok(outcome)
    }

    fn write(
        &self,
        cx: &Context,
        path: &Path,
        content: &str,
        new_mode: u32,
    ) -> Result<(), Failure> {
        let old = fs::metadata(path).ok();
        // A private key is never open to others, not even for the moment before its mode is set.
        let wanted = self.ownership.resolve(cx)?.or_mode(new_mode);
        let wanted = wanted.attributes(None);
        let attributes = Attributes {
            mode: if self.ownership.mode.is_none() && old.is_some() {
                None
            } else {
                wanted.mode
            },
            ..wanted
        };
        files::write(path, content.as_bytes(), attributes)
            .map_err(|error| write_failure(path, content.len() as u64, old.is_some(), &error))
    }

    fn keep(&self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        if !self.backup || !path.is_file() {
            return Ok(None);
        }
        keep_copy(path).map(Some)
    }
}
