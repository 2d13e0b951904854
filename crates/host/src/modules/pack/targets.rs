//! What is archived: paths, what patterns stand for, and names in the archive.

use crate::{Context, Failure, globs};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Targets {
    /// As the arguments are expanded, with a slash where one was written.
    pub(super) expanded: Vec<String>,
    pub(super) excluded: Vec<PathBuf>,
    pub(super) found: Vec<PathBuf>,
    pub(super) missing: Vec<PathBuf>,
    /// Names in the archive are relative to this directory.
    pub(super) root: PathBuf,
}

/// One thing in the archive.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) path: PathBuf,
    /// Relative, as the archive has it.
    pub(super) name: PathBuf,
    pub(super) meta: Metadata,
}

pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Targets {
    pub(super) fn find(
        cx: &Context,
        paths: &[String],
        exclude: &[String],
    ) -> Result<Self, Failure> {
        let expanded = expand(cx, paths);
        let excluded: Vec<PathBuf> = expand(cx, exclude).iter().map(PathBuf::from).collect();
        if expanded.is_empty() {
            return Err(Failure::new(format!(
                "Error, no source paths were found: {}",
                paths.join(", ")
            ))
            .with("expanded_paths", "")
            .with("expanded_exclude_paths", ""));
        }
        let plain = |path: &str| PathBuf::from(path).components().collect::<PathBuf>();
        let taken = expanded
            .iter()
            .filter(|path| !excluded.contains(&plain(path)));
        let (mut found, mut missing, mut above) = (Vec::new(), Vec::new(), Vec::new());
        for path in taken {
            let is_there = fs::symlink_metadata(path.trim_end_matches('/')).is_ok() || path == "/";
            above.push(directory(path));
            if is_there {
                found.push(plain(path));
            } else {
                missing.push(PathBuf::from(path));
            }
        }
        Ok(Self {
            root: common(&above),
            expanded,
            excluded,
            found,
            missing,
        })
    }

    /// One plain path (no pattern) that is no directory.
    pub(super) fn is_single_file(&self, paths: &[String]) -> bool {
        let [path] = paths else { return false };
        let pattern = path.contains(['*', '?', '[']);
        !pattern && self.expanded.len() == 1 && !Path::new(&self.expanded[0]).is_dir()
    }

    /// All below, directories before what is in them; the archive itself is never a part of it.
    pub(super) fn members(&self, dest: &Path, patterns: &[String]) -> Result<Vec<Member>, Failure> {
        let mut members = Vec::new();
        for path in &self.found {
            let meta = look(path)?;
            if meta.is_dir() {
                self.below(path, &mut members)?;
            } else {
                self.add(path.clone(), meta, &mut members);
            }
        }
        let dest = fs::canonicalize(dest).unwrap_or_else(|_| dest.to_path_buf());
        members.retain(|member| {
            let name = text(&member.name);
            fs::canonicalize(&member.path).map_or(true, |path| path != dest)
                && !patterns
                    .iter()
                    .any(|pattern| globs::fnmatch(pattern, &name))
        });
        let mut seen = std::collections::HashSet::new();
        members.retain(|member| seen.insert(member.path.clone()));
        Ok(members)
    }

    fn below(&self, dir: &Path, members: &mut Vec<Member>) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::io("cannot read", dir, &error);
        let mut paths = fs::read_dir(dir)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.map(|entry| entry.path()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(failed)?;
        paths.sort();
        let mut inner = Vec::new();
        for path in paths {
            let meta = look(&path)?;
            if meta.is_dir() {
                inner.push(path.clone());
            }
            self.add(path, meta, members);
        }
        inner.iter().try_for_each(|dir| self.below(dir, members))
    }

    fn add(&self, path: PathBuf, meta: Metadata, members: &mut Vec<Member>) {
        let name = path.strip_prefix(&self.root).unwrap_or(&path).to_path_buf();
        members.push(Member { path, name, meta });
    }
}

fn look(path: &Path) -> Result<Metadata, Failure> {
    fs::symlink_metadata(path).map_err(|error| Failure::io("cannot read", path, &error))
}

/// Patterns become what they stand for; what is no pattern stays, also when it isn't there.
fn expand(cx: &Context, paths: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for path in paths {
        let mut full = text(&cx.expand(path));
        if full.contains(['*', '?', '[']) {
            all.extend(globs::glob(&full).iter().map(|path| text(path)));
        } else {
            if path.ends_with('/') && !full.ends_with('/') {
                full.push('/');
            }
            all.push(full);
        }
    }
    all
}

/// The directory that a path stands in; with a slash at its end the path itself.
fn directory(path: &str) -> PathBuf {
    match path.rsplit_once('/') {
        Some(("", _)) => PathBuf::from("/"),
        Some((above, _)) => PathBuf::from(above),
        None => PathBuf::new(),
    }
}

/// The deepest directory above all.
fn common(dirs: &[PathBuf]) -> PathBuf {
    let Some((first, rest)) = dirs.split_first() else {
        return PathBuf::from("/");
    };
    let holds_all = |dir: &&Path| rest.iter().all(|other| other.starts_with(dir));
    first
        .ancestors()
        .find(holds_all)
        .unwrap_or(Path::new("/"))
        .to_path_buf()
}
