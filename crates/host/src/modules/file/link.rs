//! `state: link` and `state: hard`.

use super::{Job, at, look, state_at};
use crate::modules::ownership::{Changes, state_of};
use crate::{Failure, Outcome, files};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl Job<'_> {
    pub(super) fn link(&self, path: &Path) -> Result<Outcome, Failure> {
        let old = look(path)?;
        let src = self.content(path, old.as_ref())?;
        self.check_target(path, &src)?;
        if let Some(old) = &old {
            self.check_place(path, old, "symlink")?;
        }
        let mut changes = Changes::of(path);
        let before = old.as_ref().map_or("absent", state_of);
        if before != "link" {
            changes.add("state", before, "link");
        }
        let now = fs::read_link(path).ok();
        let changed = now.as_ref() != Some(&src);
        if let Some(now) = now.filter(|_| changed) {
            changes.add("src", now.to_string_lossy(), src.to_string_lossy());
        }
        if changed && !self.cx.check() {
            let failed = |error| Failure::io("error while linking", path, &error);
            if before == "directory" {
                fs::remove_dir(path).map_err(failed)?;
            }
            files::symlink(&src, path).map_err(failed)?;
        }
        if self.cx.check() && (changed || !path.exists()) {
            return Ok(self.outcome("dest", path, changed, changes));
        }
        let meant = self.followed(path)?;
        if self.file.follow && !meant.exists() {
            if !self.wanted.is_empty() {
                self.cx.warn(format!(
                    "{} leads to nothing whose mode or owner could be set; follow: false sets the owner of the link itself",
                    path.display()
                ));
            }
            return Ok(self.outcome("dest", path, changed, changes));
        }
        let changed = self.finish(&meant, &mut changes)? | changed;
        Ok(self.outcome("dest", path, changed, changes))
    }

    /// The text of the link; an existing one keeps its own where none is given.
    fn content(&self, path: &Path, old: Option<&Metadata>) -> Result<PathBuf, Failure> {
        match &self.file.src {
            Some(src) => Ok(self.cx.expand(src)),
            None if old.is_some_and(Metadata::is_symlink) => {
                fs::read_link(path).map_err(|error| Failure::io("cannot read", path, &error))
            }
            None => Err(at("src is required for creating new symlinks", path)),
        }
    }

    fn check_target(&self, path: &Path, src: &Path) -> Result<(), Failure> {
        if self.file.force || self.file.src.is_none() {
            return Ok(());
        }
        let base = if path.is_dir() && !path.is_symlink() {
            path
        } else {
            files::parent(path)
        };
        let full = base.join(src);
        if full.exists() {
            return Ok(());
        }
        if self.cx.check() {
            self.cx.warn(format!(
                "{} isn't there, unless an earlier task makes it",
                full.display()
            ));
            return Ok(());
        }
        Err(at(
            format!(
                "src file does not exist, use force: true if you really want to create the link: {}",
                full.display()
            ),
            path,
        )
        .with("src", src.to_string_lossy()))
    }

    /// A link takes the place of something else only where that is asked for and loses nothing but a file.
    fn check_place(&self, path: &Path, old: &Metadata, what: &str) -> Result<(), Failure> {
        if old.is_symlink() {
            return Ok(());
        }
        if !self.file.force {
            return Err(at(
                format!(
                    "refusing to convert from {} to {what} for {} (force: true does it)",
                    state_of(old),
                    path.display()
                ),
                path,
            ));
        }
        let full = |path: &Path| fs::read_dir(path).is_ok_and(|mut all| all.next().is_some());
        if old.is_dir() && full(path) {
            return Err(at(
                format!(
                    "the directory {} is not empty, refusing to convert it",
                    path.display()
                ),
                path,
            ));
        }
        Ok(())
    }

    pub(super) fn hard_link(&self, path: &Path) -> Result<Outcome, Failure> {
        let old = look(path)?;
        let mut changes = Changes::of(path);
        let Some(src) = self.file.src.as_deref().map(|src| self.cx.expand(src)) else {
            return match &old {
                Some(old) if state_of(old) == "hard" => {
                    let changed = self.finish(path, &mut changes)?;
                    Ok(self.outcome("dest", path, changed, changes))
                }
                _ => Err(at("src is required for creating new hardlinks", path)),
            };
        };
        let src = if self.file.follow {
            fs::canonicalize(&src).unwrap_or(src)
        } else {
            src
        };
        let Some(theirs) = look(&src)? else {
            return Err(at(format!("src {} does not exist", src.display()), path)
                .with("src", src.to_string_lossy()));
        };
        let before = old.as_ref().map_or("absent", state_of);
        if before != "hard" {
            changes.add("state", before, "hard");
        }
        let is_same = |old: &Metadata| (old.dev(), old.ino()) == (theirs.dev(), theirs.ino());
        let changed = !old.as_ref().is_some_and(is_same);
        if let Some(old) = old.as_ref().filter(|_| changed) {
            if old.is_dir() {
                return Err(at(
                    format!(
                        "{} is a directory; a hard link can't replace it",
                        path.display()
                    ),
                    path,
                ));
            }
            self.check_place(path, old, "hard link")?;
        }
        if changed && !self.cx.check() {
            files::hard_link(&src, path)
                .map_err(|error| Failure::io("error while linking", path, &error))?;
        }
        if state_at(path)? == "absent" {
            return Ok(self.outcome("dest", path, changed, changes));
        }
        let changed = self.finish(path, &mut changes)? | changed;
        Ok(self.outcome("dest", path, changed, changes))
    }
}
