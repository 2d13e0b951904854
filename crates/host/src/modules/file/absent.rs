//! `state: absent`: nothing is there.

use super::{Job, at, look};
use crate::modules::ownership::{Changes, state_of};
use crate::{Failure, Outcome, files};
use serde_json::json;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// How many paths of a removed tree are listed in a diff.
const MAX_LISTED: usize = 1000;

impl Job<'_> {
    pub(super) fn absent(&self, path: &Path) -> Result<Outcome, Failure> {
        let named = |changed| {
            Outcome::changed(changed)
                .with("path", path.to_string_lossy())
                .with("state", "absent")
        };
        // Below something that is no directory, nothing is.
        let meta = match look(path) {
            Ok(Some(meta)) => meta,
            Ok(None) => return Ok(named(false)),
            Err(_) if below_a_file(path) => return Ok(named(false)),
            Err(failure) => return Err(failure),
        };
        if path == Path::new("/") {
            return Err(at("refusing to remove the root of the file system", path));
        }
        let mut outcome = named(true);
        if self.cx.diff() {
            let mut changes = Changes::of(path);
            changes.add("state", state_of(&meta), "absent");
            if meta.is_dir() {
                let (mut directories, mut names) = (Vec::new(), Vec::new());
                list(path, &mut directories, &mut names);
                changes.before.insert(
                    "path_content".to_owned(),
                    json!({"directories": directories, "files": names}),
                );
            }
            outcome = outcome.with("diff", changes.into_value());
        }
        if !self.cx.check() {
            let removed = if meta.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            match removed {
                // Somebody else was faster.
                Err(error) if error.kind() == ErrorKind::NotFound && !path.exists() => {}
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                    return Err(Failure::io("cannot remove", path, &error)
                        .during("something is mounted there or below it (unmount it first)"));
                }
                Err(error) => return Err(Failure::io("cannot remove", path, &error)),
                Ok(()) => files::sync_parent(path).map_err(|error| {
                    Failure::io("cannot make the removal durable of", path, &error)
                })?,
            }
        }
        Ok(outcome)
    }
}

fn below_a_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotADirectory)
}

fn list(dir: &Path, directories: &mut Vec<String>, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if directories.len() + names.len() >= MAX_LISTED {
            return;
        }
        let text = path.to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            directories.push(text);
            list(&path, directories, names);
        } else {
            names.push(text);
        }
    }
}
