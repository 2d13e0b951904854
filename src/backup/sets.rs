//! Sets of backups on the disk: made under another name, found when they are whole, read back with their hashes.

use super::error::BackupError;
use super::manifest::Manifest;
use crate::cluster::throwaway::PID_FILE;
use jiff::Timestamp;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that says what a set holds.
pub const MANIFEST: &str = "manifest.json";
/// What names of sets begin with: certificates alone, a snapshot alone, all that a cluster needs.
const KINDS: [&str; 3] = ["certs", "etcd", "cluster"];

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
            end_orphan(&path);
            fs::remove_dir_all(&path).map_err(BackupError::io(&path))?;
        }
    }
    Ok(())
}

/// Ends the throwaway etcd of a process that was killed: the one that is named there and works in this very directory.
fn end_orphan(dir: &Path) {
    let pid = fs::read_to_string(dir.join(PID_FILE)).ok();
    let pid = pid.and_then(|text| text.trim().parse().ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw)
        && let (Ok(at), Ok(dir)) = (
            fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())),
            fs::canonicalize(dir),
        )
        && at == dir
    {
        let _gone_meanwhile = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// When a set was begun, as its name says.
fn stamp(name: &str) -> &str {
    name.split_once('-').map_or(name, |(_, stamp)| stamp)
}

impl Drop for Part {
    /// Nothing is left of a set that came to no end.
    fn drop(&mut self) {
        if self.part.exists() {
            let _swept_later = fs::remove_dir_all(&self.part);
        }
    }
}

/// A private directory beside the sets, for what is unpacked for a while. Goes with its owner, or with the next set.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    pub fn new(root: &Path) -> Result<Self, BackupError> {
        private_dir(root)?;
        sweep(root)?;
        for count in 0u32.. {
            let path = root.join(format!(".open-{}-{count}.part", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(BackupError::io(&path)(error)),
                Ok(()) => {
                    let lock = File::open(&path).map_err(BackupError::io(&path))?;
                    lock.lock().map_err(BackupError::io(&path))?;
                    return Ok(Self { path, _lock: lock });
                }
            }
        }
        Err(BackupError::io(root)(io::ErrorKind::AlreadyExists.into()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _swept_later = fs::remove_dir_all(&self.path);
    }
}

/// The manifest, then everything to the disk, then the name under which the set is found.
pub(super) fn finish(
    root: &Path,
    part: &Path,
    dir: &Path,
    manifest: &Manifest,
) -> Result<(), BackupError> {
    let path = part.join(MANIFEST);
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

pub(super) fn private_dir(path: &Path) -> Result<(), BackupError> {
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

/// A small private file: whole or not there, also after a crash.
pub(super) fn write_private(dir: &Path, name: &str, text: &[u8]) -> Result<(), BackupError> {
    let path = dir.join(name);
    let new = dir.join(format!(".{name}.{}", std::process::id()));
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        io::Write::write_all(&mut file, text)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(BackupError::io(&path))
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
        let named = KINDS
            .iter()
            .any(|kind| name.starts_with(&format!("{kind}-")));
        if name.starts_with('.') || !(named && dir.is_dir() || dir.join(MANIFEST).exists()) {
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
    let path = dir.join(MANIFEST);
    let text = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(BackupError::Damaged {
                path,
                reason: "there is no manifest, so nothing says what the set holds".to_owned(),
            });
        }
        text => text.map_err(BackupError::io(&path))?,
    };
    let manifest = serde_json::from_slice(&text).map_err(|e| BackupError::Damaged {
        path,
        reason: e.to_string(),
    })?;
    Ok(Set {
        dir: dir.to_owned(),
        manifest,
    })
}

impl Set {
    /// Remove it. Half-removed it isn't found any more, and the rest goes with the next set.
    pub fn remove(&self) -> Result<(), BackupError> {
        let root = self.dir.parent().unwrap_or(&self.dir);
        let gone = root.join(format!(".{}.part", self.manifest.set));
        fs::rename(&self.dir, &gone)
            .and_then(|()| File::open(root)?.sync_all())
            .and_then(|()| fs::remove_dir_all(&gone))
            .map_err(BackupError::io(&self.dir))
    }
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
        (Some(found), None) => stamp(name) > stamp(&found.manifest.set),
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
