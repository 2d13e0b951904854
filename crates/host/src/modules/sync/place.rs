//! Where a source goes: into a directory, or to a file of another name.

use super::Manifest;
use crate::{Context, Failure, files};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Place {
    /// The directory that names are relative to.
    pub(super) root: PathBuf,
    /// The file itself, for a source that is one file and a destination that names one.
    pub(super) only: Option<PathBuf>,
    /// The directory isn't there yet.
    pub(super) is_new: bool,
}

impl Place {
    pub(super) fn new(cx: &Context, dest: &str, manifest: &Manifest) -> Result<Self, Failure> {
        let path = cx.expand(dest);
        let missing = match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => false,
            Ok(_) if manifest.single && !dest.ends_with('/') => {
                return Ok(Self::file(path));
            }
            Ok(_) => {
                return Err(Failure::new(format!(
                    "destination must be a directory when copying more than 1 file: {} is none",
                    path.display()
                ))
                .with("rc", 3));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(Failure::io("cannot stat", &path, &error)),
        };
        if missing {
            let above = files::parent(&path);
            // In check mode an earlier task may be the one that makes it.
            if !above.is_dir() && !cx.check() {
                let failure = Failure::new(format!(
                    "cannot make {}: there is no directory {} (make it with `file: state=directory`)",
                    path.display(),
                    above.display()
                ));
                return Err(failure.with("rc", 11));
            }
            if manifest.single && !dest.ends_with('/') {
                return Ok(Self::file(path));
            }
        }
        Ok(Self {
            root: path,
            only: None,
            is_new: missing,
        })
    }

    fn file(path: PathBuf) -> Self {
        Self {
            root: files::parent(&path).to_path_buf(),
            only: Some(path),
            is_new: false,
        }
    }

    /// The line that rsync begins with when it makes the destination.
    pub(super) fn made(&self, dest: &str) -> Option<String> {
        self.is_new.then(|| {
            let plain = if dest.len() > 1 {
                dest.trim_end_matches('/')
            } else {
                dest
            };
            format!("created directory {plain}")
        })
    }

    pub(super) fn make(&self) -> Result<(), Failure> {
        make_dir(&self.root)
    }
}

/// A directory, closed to others until its mode is set.
pub(super) fn make_dir(path: &Path) -> Result<(), Failure> {
    fs::create_dir(path).map_err(|error| Failure::io("cannot make the directory", path, &error))
}
