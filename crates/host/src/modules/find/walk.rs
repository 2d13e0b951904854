//! Going through directories, from the top down.

use super::Find;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Directories that are still to be looked into, the next one last.
pub(super) struct Walk {
    next: Vec<Level>,
    depth: Option<u64>,
    follow: bool,
}

struct Level {
    path: PathBuf,
    /// 1 for the entries of the top.
    depth: u64,
    /// Device and inode of this directory and those above it, so that links can't lead in circles.
    above: Vec<(u64, u64)>,
}

/// What is in a directory.
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) name: OsString,
    pub(super) hidden: bool,
    pub(super) too_deep: bool,
}

/// A path without dots and doubled slashes, by its text alone, as Python's `normpath`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            Component::ParentDir if normal.is_absolute() => {}
            part => normal.push(part),
        }
    }
    normal
}

impl Walk {
    pub(super) fn new(top: &Path, find: &Find) -> Self {
        Self {
            next: vec![Level {
                path: top.to_path_buf(),
                depth: 1,
                above: Vec::new(),
            }],
            depth: find.depth.filter(|depth| *depth > 0),
            follow: find.follow,
        }
    }

    /// The entries of the next directory in the order of their names, files before directories. One that can't be read
    /// is put into `skipped`.
    pub(super) fn next_directory(
        &mut self,
        skipped: &mut Map<String, Value>,
    ) -> Result<Option<Vec<Entry>>, String> {
        let Some(level) = self.next.pop() else {
            return Ok(None);
        };
        let listed =
            fs::read_dir(&level.path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let listed = match listed {
            Ok(listed) => listed,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::NotFound
                ) =>
            {
                let path = level.path.to_string_lossy().into_owned();
                skipped.insert(path, error.to_string().into());
                return Ok(Some(Vec::new()));
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut entries: Vec<(bool, OsString, bool)> = listed
            .into_iter()
            .map(|entry| {
                let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                let path = entry.path();
                // A link to a directory is one, as for Python's os.walk.
                let dir = if link {
                    path.is_dir()
                } else {
                    entry.file_type().is_ok_and(|kind| kind.is_dir())
                };
                (dir, entry.file_name(), link)
            })
            .collect();
        entries.sort();
        let too_deep = self.depth.is_some_and(|most| level.depth > most);
        if !too_deep {
            self.descend(&level, &entries);
        }
        Ok(Some(
            entries
                .into_iter()
                .map(|(_, name, _)| Entry {
                    path: normal(&level.path.join(&name)),
                    hidden: name.as_bytes().starts_with(b"."),
                    name,
                    too_deep,
                })
                .collect(),
        ))
    }

    /// Queues the directories among the entries, so that the first one comes next.
    fn descend(&mut self, level: &Level, entries: &[(bool, OsString, bool)]) {
        let mut above = level.above.clone();
        if let Ok(meta) = fs::metadata(&level.path) {
            above.push((meta.dev(), meta.ino()));
        }
        for (_, name, link) in entries.iter().rev().filter(|(dir, ..)| *dir) {
            if *link && !self.follow {
                continue;
            }
            let path = level.path.join(name);
            let circular = *link
                && fs::metadata(&path).is_ok_and(|meta| above.contains(&(meta.dev(), meta.ino())));
            if !circular {
                self.next.push(Level {
                    path,
                    depth: level.depth + 1,
                    above: above.clone(),
                });
            }
        }
    }
}
