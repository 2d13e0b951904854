//! Archives of certificates: all nodes at once into one set.

use super::archive;
use super::error::BackupError;
use super::manifest::{Manifest, MissingNode, NodeArchive};
use super::sets::{Part, Set, finish, private_file};
use crate::cluster::{Hand, HandError};
use crate::journal::{Event, Level, Sink};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use std::fs;
use std::io;
use std::path::Path;

/// Where certificates lie on nodes of kubespray, kubeadm and distributions.
pub const PATHS: &[&str] = &[
    "/etc/kubernetes/ssl",
    "/etc/kubernetes/pki",
    "/etc/ssl/etcd/ssl",
    "/usr/local/share/ca-certificates",
];

/// Archive `paths` of all `nodes` into a new set under `root`. A set appears only when it is complete on the disk; nodes
/// that couldn't be read are named in it.
pub async fn take(
    root: &Path,
    paths: &[String],
    nodes: Vec<(String, Result<Hand, HandError>)>,
    sink: &dyn Sink,
) -> Result<Set, BackupError> {
    let taken = Timestamp::now();
    let made = Part::new(root, "certs", taken)?;
    let Part { set, dir, part, .. } = &made;
    let (archives, missing) = archive_all(part, paths, nodes, sink).await;
    if archives.is_empty() {
        return Err(BackupError::Nothing(missing));
    }
    let manifest = Manifest {
        version: 1,
        set: set.clone(),
        taken,
        paths: paths.to_vec(),
        nodes: archives,
        missing,
        snapshot: None,
        cluster: None,
        kubernetes_version: None,
        stored: Vec::new(),
    };
    finish(root, part, dir, &manifest)?;
    Ok(Set {
        dir: dir.clone(),
        manifest,
    })
}

/// One archive a node in `part`, all at once; and the nodes that couldn't be read.
pub(super) async fn archive_all(
    part: &Path,
    paths: &[String],
    nodes: Vec<(String, Result<Hand, HandError>)>,
    sink: &dyn Sink,
) -> (Vec<NodeArchive>, Vec<MissingNode>) {
    let read = join_all(nodes.into_iter().map(|(node, hand)| async move {
        let result = match hand {
            Ok(hand) => one(&hand, paths, part).await,
            Err(error) => Err(error.into()),
        };
        (node, result)
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
    (archives, missing)
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
