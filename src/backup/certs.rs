//! Archives of certificates: all nodes at once into one set.

use super::archive;
use super::manifest::{Manifest, MissingNode, NodeArchive};
use crate::cluster::{Hand, HandError};
use crate::journal::{Event, Level, Sink};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where certificates lie on nodes of kubespray, kubeadm and distributions.
pub const PATHS: &[&str] = &[
    "/etc/kubernetes/ssl",
    "/etc/kubernetes/pki",
    "/etc/ssl/etcd/ssl",
    "/usr/local/share/ca-certificates",
];

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: {reason}")]
    Damaged { path: PathBuf, reason: String },
    /// Nothing was archived: no node could be read.
    #[error("no node could be backed up: {}", .0.iter().map(|m| format!("{} ({})", m.node, m.reason)).collect::<Vec<_>>().join(", "))]
    Nothing(Vec<MissingNode>),
    #[error("there is no backup set{}", .0.as_ref().map_or(String::new(), |set| format!(" '{set}'")))]
    NoSet(Option<String>),
    /// What was asked for would do harm.
    #[error("{message}")]
    Refused { message: String, hints: Vec<String> },
    #[error(transparent)]
    Hand(#[from] HandError),
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// A set on the disk: its directory and manifest.
#[derive(Debug, Clone)]
pub struct Set {
    pub dir: PathBuf,
    pub manifest: Manifest,
}

/// Archive `paths` of all `nodes` into a new set under `root`. A set appears only when it is complete on the disk; nodes
/// that couldn't be read are named in it.
pub async fn take(
    root: &Path,
    paths: &[String],
    nodes: Vec<(String, Result<Hand, HandError>)>,
    sink: &dyn Sink,
) -> Result<Set, BackupError> {
    let taken = Timestamp::now();
    let set = format!("certs-{}", taken.strftime("%Y%m%d-%H%M%S"));
    let dir = root.join(&set);
    let part = root.join(format!(".{set}.part"));
    private_dir(root)?;
    private_dir(&part)?;
    let read = join_all(nodes.into_iter().map(|(node, hand)| {
        let part = &part;
        async move {
            let result = match hand {
                Ok(hand) => one(&hand, paths, part).await,
                Err(error) => Err(error.into()),
            };
            (node, result)
        }
    }))
    .await;
    let (mut archives, mut missing) = (Vec::new(), Vec::new());
    for (node, result) in read {
        match result {
            Ok(archive) => archives.push(archive),
            Err(error) => {
                let reason = error.to_string();
                sink.emit(Event::Note {
                    level: Level::Error,
                    text: format!("not in the backup: {reason}"),
                    host: Some(node.clone()),
                });
                missing.push(MissingNode { node, reason });
            }
        }
    }
    if archives.is_empty() {
        fs::remove_dir_all(&part).map_err(BackupError::io(&part))?;
        return Err(BackupError::Nothing(missing));
    }
    let manifest = Manifest {
        version: 1,
        set,
        taken,
        paths: paths.to_vec(),
        nodes: archives,
        missing,
    };
    finish(root, &part, &dir, &manifest)?;
    Ok(Set { dir, manifest })
}

/// The manifest, then everything to the disk, then the name under which the set is found.
fn finish(root: &Path, part: &Path, dir: &Path, manifest: &Manifest) -> Result<(), BackupError> {
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

async fn one(hand: &Hand, paths: &[String], dir: &Path) -> Result<NodeArchive, BackupError> {
    let archive = format!("{}.tar", hand.name);
    let path = dir.join(&archive);
    let part = dir.join(format!("{archive}.part"));
    let file = private_file(&part)?;
    let mut writer = tokio::fs::File::from_std(file);
    let task = hand.task("_archive", json!({ "paths": paths }));
    let outcome = hand
        .link
        .fetch(task, &mut writer)
        .await
        .map_err(HandError::from)?;
    if outcome.failed {
        return Err(hand.refused("_archive", &outcome).into());
    }
    tokio::io::AsyncWriteExt::flush(&mut writer)
        .await
        .map_err(BackupError::io(&part))?;
    writer.sync_all().await.map_err(BackupError::io(&part))?;
    drop(writer);
    fs::rename(&part, &path).map_err(BackupError::io(&path))?;
    let node = hand.name.clone();
    tokio::task::spawn_blocking(move || describe(node, archive, &path))
        .await
        .map_err(|e| BackupError::Io {
            path: dir.to_owned(),
            source: io::Error::other(e),
        })?
}

fn describe(node: String, archive: String, path: &Path) -> Result<NodeArchive, BackupError> {
    let (sha256, size) = archive::digest(path).map_err(BackupError::io(path))?;
    let files = archive::entries(path).map_err(BackupError::io(path))?;
    Ok(NodeArchive {
        node,
        archive,
        sha256,
        size,
        files,
    })
}

fn private_dir(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(BackupError::io(path))
}

fn private_file(path: &Path) -> Result<File, BackupError> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(BackupError::io(path))
}

/// All sets under `root`, oldest first.
pub fn list(root: &Path) -> Result<Vec<Set>, BackupError> {
    let entries = match fs::read_dir(root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BackupError::io(root))?,
    };
    let mut sets = Vec::new();
    for entry in entries {
        let dir = entry.map_err(BackupError::io(root))?.path();
        let hidden = dir
            .file_name()
            .is_none_or(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && dir.join("manifest.json").exists() {
            sets.push(load(&dir)?);
        }
    }
    sets.sort_by_key(|s| s.manifest.taken);
    Ok(sets)
}

fn load(dir: &Path) -> Result<Set, BackupError> {
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
pub fn newest(root: &Path, node: &str, set: Option<&str>) -> Result<Set, BackupError> {
    list(root)?
        .into_iter()
        .rev()
        .filter(|s| set.is_none_or(|name| s.manifest.set == name))
        .find(|s| s.manifest.node(node).is_some())
        .ok_or_else(|| BackupError::NoSet(set.map(str::to_owned)))
}

impl Set {
    /// The archive of a node, after its hashes were compared with the manifest.
    pub fn verified(&self, node: &str) -> Result<(PathBuf, &NodeArchive), BackupError> {
        let archive = self
            .manifest
            .node(node)
            .ok_or_else(|| BackupError::NoSet(Some(self.manifest.set.clone())))?;
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
