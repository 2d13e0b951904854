//! `state: directory`: a directory, those above it, and with `recurse` all in it.

use super::{Job, at, look, state_at};
use crate::files::umask;
use crate::modules::ownership::{Changes, octal, state_of};
use crate::{Failure, Outcome, files};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

impl Job<'_> {
    pub(super) fn directory(&self, path: &Path) -> Result<Outcome, Failure> {
        let path = &self.followed(path)?;
        let mut changes = Changes::of(path);
        match look(path)? {
            None => {
                changes.add("state", "absent", "directory");
                self.make(path, &mut changes)?;
                Ok(self.outcome("path", path, true, changes))
            }
            Some(meta) if meta.is_dir() => {
                let mut changed = self.finish(path, &mut changes)?;
                if self.file.recurse {
                    changed |= self.all_in(path)?;
                }
                Ok(self.outcome("path", path, changed, changes))
            }
            Some(meta) => Err(at(
                format!("{} already exists as a {}", path.display(), state_of(&meta)),
                path,
            )),
        }
    }

    /// Makes the directory and those above it; each that is new gets the mode and owner.
    fn make(&self, path: &Path, changes: &mut Changes) -> Result<(), Failure> {
        let above = files::parent(path);
        match fs::metadata(above) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                return Err(at(format!("{} is not a directory", above.display()), path));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make(above, &mut Changes::default())?;
            }
            Err(error) => return Err(Failure::io("cannot look into", above, &error)),
        }
        if self.cx.check() {
            return Ok(());
        }
        let failed =
            |error: &std::io::Error| Failure::io("there was an issue creating", path, error);
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(failed(&error)),
        }
        let mode = self.wanted.directory_mode(path);
        let wanted = self.wanted.clone().with_mode(mode);
        let mut set = Changes::default();
        wanted.apply(self.cx, path, &mut set)?;
        // It was closed only while it was made: what it would have been otherwise is what changes.
        let plain = octal(0o777 & !umask());
        if set.after.get("mode").is_some_and(|mode| *mode == plain) {
            set.before.remove("mode");
            set.after.remove("mode");
        } else if let Some(before) = set.before.get_mut("mode") {
            *before = plain.into();
        }
        changes.before.extend(set.before);
        changes.after.extend(set.after);
        self.times.apply(self.cx, path, changes)?;
        files::sync_parent(path).map_err(|error| failed(&error))
    }

    /// Mode, owner and times of everything below `dir`.
    fn all_in(&self, dir: &Path) -> Result<bool, Failure> {
        let mut changed = false;
        let mut left = vec![dir.to_path_buf()];
        let mut seen = std::collections::HashSet::new();
        while let Some(dir) = left.pop() {
            self.cx.check_cancelled()?;
            // A link to a directory above would lead round for ever.
            let meta =
                fs::metadata(&dir).map_err(|error| Failure::io("cannot stat", &dir, &error))?;
            if !seen.insert((meta.dev(), meta.ino())) {
                continue;
            }
            for path in entries(&dir)? {
                let Some(meta) = look(&path)? else {
                    continue;
                };
                changed |= self.finish(&path, &mut Changes::default())?;
                if meta.is_dir() {
                    left.push(path);
                } else if meta.is_symlink() && self.file.follow {
                    changed |= self.behind(&path, &mut left)?;
                }
            }
        }
        Ok(changed)
    }

    /// What a link in the tree leads to.
    fn behind(&self, link: &Path, left: &mut Vec<PathBuf>) -> Result<bool, Failure> {
        let Ok(real) = fs::canonicalize(link) else {
            return Ok(false);
        };
        if state_at(&real)? == "directory" {
            left.push(real.clone());
        }
        self.finish(&real, &mut Changes::default())
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| Failure::io("cannot read the directory", dir, &error);
    let mut paths = fs::read_dir(dir)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}
