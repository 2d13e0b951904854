//! Complete sets: the snapshot, certificates and settings of all nodes, compressed, encrypted on request, read back.

use super::certs::archive_all;
use super::error::BackupError;
use super::fingerprint::{Fingerprint, authorities};
use super::keys::{Keys, Seal};
use super::manifest::{Encryption, EntryKind, Manifest, NodeArchive, Snapshot, Stored};
use super::sets::{Part, Set, finish, private_file};
use super::snapshot::{Source, snapshot_into};
use super::{archive, pack};
use crate::cluster::{Etcd, Hand, HandError};
use crate::journal::{Event, Level, Sink};
use jiff::Timestamp;
use std::fs::{self, File};
use std::path::Path;

/// Where the snapshot of a set comes from.
pub enum Origin<'a> {
    /// A member that serves.
    Member { etcd: &'a Etcd, source: &'a Source },
    /// This sound file, which is moved into the set, made from the data of a member that served no more.
    File { path: &'a Path, told: Box<Snapshot> },
}

/// What a complete set is made of.
pub struct Complete<'a> {
    pub origin: Origin<'a>,
    pub paths: &'a [String],
    /// Hosts, or why they can't be entered.
    pub nodes: Vec<(String, Result<Hand, HandError>)>,
    pub kube_system_uid: Option<String>,
    pub seal: &'a Seal,
}

/// Take a complete set under `root`. It appears only when everything was read back from the disk and found to be what was
/// written; nodes that couldn't be read are named in it.
pub async fn take(root: &Path, what: Complete<'_>, sink: &dyn Sink) -> Result<Set, BackupError> {
    let taken = Timestamp::now();
    let made = Part::new(root, "cluster", taken)?;
    let Part { set, dir, part, .. } = &made;
    // The machines first: what is in the snapshot then is at least as new.
    let (nodes, missing) = archive_all(part, what.paths, what.nodes, sink).await;
    if nodes.is_empty() {
        return Err(BackupError::Nothing(missing));
    }
    let snapshot = match what.origin {
        Origin::Member { etcd, source } => snapshot_into(part, etcd, source, sink).await?,
        Origin::File { path, told } => {
            let place = part.join(&told.file);
            fs::rename(path, &place).map_err(BackupError::io(&place))?;
            *told
        }
    };
    let authorities = authorities(&nodes).unwrap_or_else(|why| {
        sink.emit(Event::Note {
            level: Level::Warning,
            text: format!("{why}; the set can't be told from another cluster's by it"),
            host: None,
        });
        Default::default()
    });
    let mut manifest = Manifest {
        version: 1,
        set: set.clone(),
        taken,
        paths: what.paths.to_vec(),
        kubernetes_version: kubernetes_version(part, &nodes),
        nodes,
        missing,
        cluster: Some(Fingerprint {
            etcd_cluster_id: snapshot.cluster_id.clone(),
            authorities,
            kube_system_uid: what.kube_system_uid,
        }),
        snapshot: Some(snapshot),
        stored: Vec::new(),
    };
    let (within, seal) = (part.clone(), what.seal.clone());
    manifest = tokio::task::spawn_blocking(move || pack_all(&within, manifest, &seal))
        .await
        .map_err(std::io::Error::other)
        .map_err(BackupError::io(part))??;
    finish(root, part, dir, &manifest)?;
    Ok(Set {
        dir: dir.clone(),
        manifest,
    })
}

/// Pack every file, read it back, remove the plain one.
fn pack_all(part: &Path, mut manifest: Manifest, seal: &Seal) -> Result<Manifest, BackupError> {
    let recipients = seal.begin(part)?;
    let encryption = match seal {
        Seal::Open => None,
        Seal::Recipients(_) => Some(Encryption::Recipients),
        Seal::Passphrase(_) => Some(Encryption::Passphrase),
    };
    let snapshot = manifest.snapshot.iter().map(|s| (&s.file, &s.sha256));
    let nodes = manifest.nodes.iter().map(|n| (&n.archive, &n.sha256));
    let files: Vec<(String, String)> = snapshot
        .chain(nodes)
        .map(|(name, sum)| (name.clone(), sum.clone()))
        .collect();
    for (name, _) in &files {
        let plain = part.join(name);
        let file = match encryption {
            None => format!("{name}.zst"),
            Some(_) => format!("{name}.zst.age"),
        };
        let path = part.join(&file);
        let mut from = File::open(&plain).map_err(BackupError::io(&plain))?;
        let written = pack::pack(&mut from, private_file(&path)?, &recipients)
            .map_err(BackupError::io(&path))?;
        fs::remove_file(&plain).map_err(BackupError::io(&plain))?;
        manifest.stored.push(Stored {
            of: name.clone(),
            file,
            size: written.size,
            sha256: written.sha256,
            encryption,
        });
    }
    let keys = match seal {
        Seal::Passphrase(passphrase) => Keys {
            identities: Vec::new(),
            passphrase: Some(passphrase.clone()),
        },
        _ => Keys::default(),
    };
    let set = Set {
        dir: part.to_owned(),
        manifest,
    };
    read_back(&set, &files, &keys)?;
    Ok(set.manifest)
}

/// Everything comes back as it was. For recipients only their keys, which aren't here, can open it: then the bytes on the
/// disk are those that were written.
fn read_back(set: &Set, files: &[(String, String)], keys: &Keys) -> Result<(), BackupError> {
    for (name, sum) in files {
        let Some(stored) = set.manifest.stored(name) else {
            continue;
        };
        set.as_stored(stored)?;
        if stored.encryption == Some(Encryption::Recipients) {
            continue;
        }
        let back = set.unpack(stored, keys, std::io::sink())?;
        if back.sha256 != *sum {
            return Err(BackupError::Damaged {
                path: set.dir.join(&stored.file),
                reason: "what was read back isn't what was written: the disk is not to be trusted"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

/// The tag of the API server's image in the first manifest of it.
fn kubernetes_version(part: &Path, nodes: &[NodeArchive]) -> Option<String> {
    const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    nodes
        .iter()
        .filter(|node| {
            node.file(API_SERVER)
                .is_some_and(|f| f.kind == EntryKind::File)
        })
        .find_map(|node| {
            let content = archive::content(&part.join(&node.archive), API_SERVER).ok()?;
            image_tag(&String::from_utf8_lossy(content.expose()))
        })
}

fn image_tag(manifest: &str) -> Option<String> {
    manifest.lines().find_map(|line| {
        let image = line
            .trim()
            .trim_start_matches("- ")
            .strip_prefix("image:")?;
        let (_, tag) = image.trim().rsplit_once(':')?;
        (!tag.contains('/')).then(|| tag.trim_matches(['"', '\'']).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::image_tag;

    #[test]
    fn versions_are_tags_of_images() {
        let tag = |line: &str| image_tag(&format!("spec:\n  containers:\n{line}\n"));
        assert_eq!(
            tag("    image: registry.k8s.io/kube-apiserver:v1.31.4").as_deref(),
            Some("v1.31.4")
        );
        assert_eq!(tag("    image: localhost:5000/kube-apiserver"), None);
    }
}
