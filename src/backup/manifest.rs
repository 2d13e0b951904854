//! What a backup set holds, in words and hashes, so that it can be judged without being unpacked.

use super::certificate::CertificateInfo;
use super::fingerprint::Fingerprint;
use super::snapshot::Summary;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `manifest.json` of one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this format; 1.
    pub version: u32,
    pub set: String,
    pub taken: Timestamp,
    /// Files and directories that were asked for.
    pub paths: Vec<String>,
    pub nodes: Vec<NodeArchive>,
    /// Nodes that are missing from the set, and why. Not empty: the set is partial.
    #[serde(default)]
    pub missing: Vec<MissingNode>,
    /// Of etcd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
    /// Whose it is. None in sets of certificates or of a snapshot alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Fingerprint>,
    /// Of Kubernetes' API servers, where their manifests say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Files that are compressed or encrypted; what isn't named here lies as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<Stored>,
}

/// How a file of the set lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its name elsewhere in the manifest, where size and hash of the content are too.
    pub of: String,
    /// Its name on the disk: `.zst` with zstd, `.age` behind it when that is encrypted by age.
    pub file: String,
    /// Of the file on the disk.
    pub size: u64,
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// For whom a set is encrypted (age-encryption.org/v1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// For public keys.
    Recipients,
    /// For a key of the set's own, which lies beside it, encrypted with a passphrase (`key.age`).
    Passphrase,
}

/// A snapshot of etcd, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Name of the file beside the manifest, as `etcdctl snapshot save` writes it.
    pub file: String,
    pub size: u64,
    pub sha256: String,
    /// In hexadecimal, as etcdctl prints it.
    pub cluster_id: String,
    /// Id and name of the member that it was taken from.
    pub member_id: String,
    pub member: String,
    pub etcd_version: String,
    /// Of the cluster, before the snapshot was begun: everything up to here is in it.
    pub revision_before: i64,
    /// The highest raft index of all members then; a restore has to begin beyond it.
    pub raft_index: u64,
    /// The cluster had no majority: writes that it had accepted last may be missing.
    pub without_majority: bool,
    /// What was read back from the file.
    pub summary: Summary,
    /// All members that answered then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberThen>,
    /// What the member said of its keys after the snapshot, to compare a restored one with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_kv: Option<HashKv>,
}

/// A member when the snapshot was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberThen {
    pub name: String,
    /// In hexadecimal.
    pub id: String,
    pub peer_urls: Vec<String>,
    pub learner: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raft_index: Option<u64>,
}

/// etcd's own hash of all keys with their history from one revision to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashKv {
    pub revision: i64,
    /// Where the history begins.
    pub compact_revision: i64,
    pub hash: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingNode {
    pub node: String,
    pub reason: String,
}

/// The archive of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeArchive {
    pub node: String,
    /// Name of the tar file beside the manifest.
    pub archive: String,
    pub sha256: String,
    pub size: u64,
    pub files: Vec<FileEntry>,
}

/// One file, directory or link in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Absolute, as on the node.
    pub path: String,
    pub kind: EntryKind,
    pub size: u64,
    /// Empty for what isn't a file.
    #[serde(default)]
    pub sha256: String,
    /// Octal, four digits: `0600`.
    pub mode: String,
    /// Name, or number where the node knew none.
    pub owner: String,
    pub group: String,
    /// Where a link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateInfo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    File,
    Directory,
    Link,
}

impl Manifest {
    pub fn node(&self, name: &str) -> Option<&NodeArchive> {
        self.nodes.iter().find(|n| n.node == name)
    }

    /// How a file lies on the disk, where it doesn't lie as it is.
    pub fn stored(&self, name: &str) -> Option<&Stored> {
        self.stored.iter().find(|s| s.of == name)
    }

    pub fn encryption(&self) -> Option<Encryption> {
        self.stored.iter().find_map(|s| s.encryption)
    }

    /// Nodes are missing.
    pub fn partial(&self) -> bool {
        !self.missing.is_empty()
    }
}

impl NodeArchive {
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.iter().find(|f| f.path == path)
    }

    /// Public keys of the certificate authorities in the archive, by the path of their certificate.
    pub fn authorities(&self) -> BTreeMap<&str, &str> {
        self.files
            .iter()
            .filter_map(|f| Some((f.path.as_str(), f.certificate.as_ref()?)))
            .filter(|(path, c)| c.ca && !path.starts_with("/usr/"))
            .map(|(path, c)| (path, c.spki_sha256.as_str()))
            .collect()
    }
}
