//! Sets of backups on the disk: made under another name, found when they are whole, read back with their hashes.

use super::archive;
use super::error::BackupError;
use super::manifest::{Manifest, NodeArchive};
use jiff::Timestamp;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A set on the disk: its directory and manifest.
#[derive(Debug, Clone)]
pub struct Set {
    pub dir: PathBuf,
    pub manifest: Manifest,
}

/// A set that is being made. Its directory is locked for as long as its process lives.
pub(super) struct Part {
    pub(super) set: String,
    pub(super) dir: PathBuf,
    pub(super) part: PathBuf,
    _lock: File,
}

impl Part {
    /// `kind` begins the set's name.
    pub(super) fn new(root: &Path, kind: &str, taken: Timestamp) -> Result<Self, BackupError> {
        private_dir(root)?;
        sweep(root)?;
        let name = format!("{kind}-{}", taken.strftime("%Y%m%d-%H%M%S"));
        let mut count = 1;
        loop {
            // Two backups may begin in one second.
            let set = match count {
                1 => name.clone(),
                _ => format!("{name}-{count}"),
            };
            count += 1;
            let (dir, part) = (root.join(&set), root.join(format!(".{set}.part")));
            if dir.exists() {
                continue;
            }
            match DirBuilder::new().mode(0o700).create(&part) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(BackupError::io(&part)(error)),
                Ok(()) => {
                    let lock = File::open(&part).map_err(BackupError::io(&part))?;
                    lock.lock().map_err(BackupError::io(&part))?;
                    return Ok(Self {
                        set,
                        dir,
                        part,
                        _lock: lock,
                    });
                }
            }
        }
    }
}

/// Removes what processes left behind that were killed while they took a set: private keys lie in it.
fn sweep(root: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(root).map_err(BackupError::io(root))? {
        let path = entry.map_err(BackupError::io(root))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.')
            && name.ends_with(".part")
            && let Ok(left) = File::open(&path)
            && left.try_lock().is_ok()
        {
            fs::remove_dir_all(&path).map_err(BackupError::io(&path))?;
        }
    }
    Ok(())
}

/// The manifest, then everything to the disk, then the name under which the set is found.
pub(super) fn finish(
    root: &Path,
    part: &Path,
    dir: &Path,
    manifest: &Manifest,
) -> Result<(), BackupError> {
    let path = part.join("manifest.json");
    let text = serde_json::to_vec_pretty(manifest).map_err(|e| BackupError::Damaged {
        path: path.clone(),
        reason: e.to_string(),
    })?;
    let mut file = private_file(&path)?;
    io::Write::write_all(&mut file, &text)
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(part)?.sync_all())
        .map_err(BackupError::io(&path))?;
    fs::rename(part, dir)
        .and_then(|()| File::open(root)?.sync_all())
        .map_err(BackupError::io(dir))
}

fn private_dir(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(BackupError::io(path))
}

pub(super) fn private_file(path: &Path) -> Result<File, BackupError> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(BackupError::io(path))
}

/// What lies under the directory of backups.
#[derive(Debug, Default)]
pub struct Found {
    /// The oldest first.
    pub sets: Vec<Set>,
    /// Sets whose manifest can't be read: name and reason.
    pub damaged: Vec<(String, BackupError)>,
}

/// All sets under `root`.
pub fn list(root: &Path) -> Result<Found, BackupError> {
    let mut found = Found::default();
    let entries = match fs::read_dir(root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.map_err(BackupError::io(root))?,
    };
    for entry in entries {
        let dir = entry.map_err(BackupError::io(root))?.path();
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || !dir.join("manifest.json").exists() {
            continue;
        }
        match load(&dir) {
            Ok(set) => found.sets.push(set),
            Err(error) => found.damaged.push((name.into_owned(), error)),
        }
    }
    found.sets.sort_by_key(|s| s.manifest.taken);
    found.damaged.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// The set in this directory.
pub fn load(dir: &Path) -> Result<Set, BackupError> {
    let path = dir.join("manifest.json");
    let text = fs::read(&path).map_err(BackupError::io(&path))?;
    let manifest = serde_json::from_slice(&text).map_err(|e| BackupError::Damaged {
        path,
        reason: e.to_string(),
    })?;
    Ok(Set {
        dir: dir.to_owned(),
        manifest,
    })
}

/// The newest set that has `node`, or the one that is named.
///
/// A damaged set that may be newer isn't passed over in silence: whoever wants an older one has to name it.
pub fn newest(root: &Path, node: &str, set: Option<&str>) -> Result<Set, BackupError> {
    let Found { sets, damaged } = list(root)?;
    let names = sets.iter().map(|set| set.manifest.set.clone()).collect();
    let found = sets
        .into_iter()
        .rev()
        .filter(|s| set.is_none_or(|name| s.manifest.set == name))
        .find(|s| s.manifest.node(node).is_some());
    let newer = |name: &String| match (&found, set) {
        (_, Some(wanted)) => name == wanted,
        (Some(found), None) => *name > found.manifest.set,
        (None, None) => true,
    };
    if let Some((name, error)) = damaged.into_iter().rev().find(|(name, _)| newer(name)) {
        let instead = found.map(|set| set.manifest.set);
        return Err(BackupError::Refused {
            message: format!("the backup set {name} can't be read: {error}"),
            hints: instead
                .map(|older| format!("the newest that can be read has to be named: {older}"))
                .into_iter()
                .collect(),
        });
    }
    found.ok_or_else(|| BackupError::NoSet {
        wanted: match set {
            Some(set) => format!(" '{set}' with {node} in it"),
            None => format!(" with {node} in it"),
        },
        sets: names,
    })
}

impl Set {
    /// The archive of a node, after its hashes were compared with the manifest.
    pub fn verified(&self, node: &str) -> Result<(PathBuf, &NodeArchive), BackupError> {
        let archive = self
            .manifest
            .node(node)
            .ok_or_else(|| BackupError::Refused {
                message: format!("{node} is not in the backup set {}", self.manifest.set),
                hints: Vec::new(),
            })?;
        let path = self.dir.join(&archive.archive);
        let damaged = |reason: String| BackupError::Damaged {
            path: path.clone(),
            reason,
        };
        let (sha256, _) = archive::digest(&path).map_err(BackupError::io(&path))?;
        if sha256 != archive.sha256 {
            return Err(damaged(format!(
                "SHA-256 is {sha256} where the manifest says {}: the archive was changed or damaged",
                archive.sha256
            )));
        }
        let files = archive::entries(&path).map_err(BackupError::io(&path))?;
        if files != archive.files {
            return Err(damaged(
                "its files are not those of the manifest".to_owned(),
            ));
        }
        Ok((path, archive))
    }
}
