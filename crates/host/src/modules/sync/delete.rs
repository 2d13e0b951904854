//! What is at the destination and not at the source.

use super::rules::Rules;
use super::{Kind, Manifest, Options, below, order_of, path_of, text_of};
use crate::{Context, Failure};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What goes, in the order in which it goes: what a directory holds before it.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    pub(super) paths: Vec<(PathBuf, bool)>,
    pub(super) lines: Vec<String>,
}

pub(super) struct Search<'a> {
    pub(super) cx: &'a Context,
    pub(super) options: &'a Options,
    pub(super) rules: Rules<'a>,
    pub(super) found: Deletions,
}

impl Search<'_> {
    /// Looks through each directory of the manifest that is at the destination now.
    pub(super) fn all(
        mut self,
        manifest: &Manifest,
        root: &Path,
        left_out: &HashSet<String>,
    ) -> Result<Deletions, Failure> {
        let mut known: HashMap<&str, HashSet<&str>> = HashMap::new();
        for entry in manifest.entries.iter().filter(|entry| entry.name != ".") {
            let (above, name) = entry.name.rsplit_once('/').unwrap_or((".", &entry.name));
            known.entry(above).or_default().insert(name);
        }
        let none = HashSet::new();
        let dirs = manifest
            .entries
            .iter()
            .filter(|entry| entry.kind == Kind::Directory && !left_out.contains(&entry.name));
        for dir in dirs {
            let path = below(root, &dir.name)?;
            // A link in the place of a directory is replaced, not followed.
            let is_dir =
                dir.name == "." || fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir());
            if is_dir {
                let known = known.get(dir.name.as_str()).unwrap_or(&none);
                self.directory(&path, &dir.name, known)?;
            }
        }
        Ok(self.found)
    }

    fn directory(&mut self, path: &Path, name: &str, known: &HashSet<&str>) -> Result<(), Failure> {
        for (own, is_dir) in listed(path)? {
            if known.contains(own.as_str()) {
                continue;
            }
            let name = if name == "." {
                own.clone()
            } else {
                format!("{name}/{own}")
            };
            self.gone(&path.join(path_of(&own)?), &name, is_dir)?;
        }
        Ok(())
    }

    /// One name with all below it; `false` when something of it stays.
    fn gone(&mut self, path: &Path, name: &str, is_dir: bool) -> Result<bool, Failure> {
        self.cx.check_cancelled()?;
        if !self.options.delete_excluded && !self.rules.includes(name, is_dir) {
            return Ok(false);
        }
        if !is_dir {
            self.note(path, name, false);
            return Ok(true);
        }
        let mut empty = true;
        for (own, is_dir) in listed(path)? {
            empty &= self.gone(&path.join(path_of(&own)?), &format!("{name}/{own}"), is_dir)?;
        }
        if empty {
            self.note(path, name, true);
        } else {
            self.found
                .lines
                .push(format!("cannot delete non-empty directory: {name}"));
        }
        Ok(empty)
    }

    fn note(&mut self, path: &Path, name: &str, is_dir: bool) {
        let slash = if is_dir { "/" } else { "" };
        self.found.lines.push(format!("*deleting   {name}{slash}"));
        self.found.paths.push((path.to_path_buf(), is_dir));
    }
}

/// The names in a directory with whether they are directories, the last one first.
fn listed(dir: &Path) -> Result<Vec<(String, bool)>, Failure> {
    let failed = |error: std::io::Error| Failure::io("cannot read", dir, &error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let is_dir = entry.file_type().map_err(failed)?.is_dir();
        names.push((text_of(&entry.file_name())?, is_dir));
    }
    names.sort_by(|(one, one_dir), (other, other_dir)| {
        order_of((other, *other_dir), (one, *one_dir))
    });
    Ok(names)
}

/// Removes what was found.
pub(super) fn remove(paths: &[(PathBuf, bool)]) -> Result<(), Failure> {
    for (path, is_dir) in paths {
        let gone = if *is_dir {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        };
        match gone {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::io("cannot delete", path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes room for something of another kind. A directory that holds something goes only where that was asked for.
pub(super) fn make_room(path: &Path, with_content: bool) -> Result<(), Failure> {
    let is_dir = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let gone = match (is_dir, with_content) {
        (false, _) => fs::remove_file(path),
        (true, true) => fs::remove_dir_all(path),
        (true, false) => fs::remove_dir(path),
    };
    gone.map_err(|error| match error.kind() {
        ErrorKind::DirectoryNotEmpty => Failure::new(format!(
            "cannot delete non-empty directory: {} (it is in the place of a file; delete: true or --force removes it)",
            path.display()
        ))
        .with("rc", 23),
        _ => Failure::io("cannot delete", path, &error),
    })
}
