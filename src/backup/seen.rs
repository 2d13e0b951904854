//! What was last seen of a cluster, kept beside its backups: the one thing that is left to compare with when it is lost.

use super::error::BackupError;
use super::fingerprint::Fingerprint;
use super::sets::{private_dir, write_private};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

const FILE: &str = ".seen.json";

/// A cluster when it was seen last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub at: Timestamp,
    pub fingerprint: Fingerprint,
    /// Ids that its etcd had before it was restored.
    #[serde(default)]
    pub earlier: BTreeSet<String>,
    pub revision: i64,
    pub raft_index: u64,
}

/// All clusters that were seen, by what names them on this controller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Known(pub BTreeMap<String, Seen>);

impl Known {
    /// What lies under the directory of backups.
    pub fn read(root: &Path) -> Result<Self, BackupError> {
        let path = root.join(FILE);
        match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(BackupError::io(&path)(e)),
            Ok(text) => serde_json::from_slice(&text).map_err(|e| BackupError::Damaged {
                path,
                reason: e.to_string(),
            }),
        }
    }

    /// Note what was seen now. Ids that the cluster had before stay known when it is still the same cluster.
    pub fn note(&mut self, cluster: &str, mut now: Seen) {
        if let Some(before) = self.0.get(cluster) {
            let alike = now
                .fingerprint
                .authorities
                .iter()
                .any(|(path, key)| before.fingerprint.authorities.get(path) == Some(key));
            if before.fingerprint.etcd_cluster_id == now.fingerprint.etcd_cluster_id {
                now.earlier.extend(before.earlier.iter().cloned());
                now.revision = now.revision.max(before.revision);
                now.raft_index = now.raft_index.max(before.raft_index);
            } else if now.earlier.contains(&before.fingerprint.etcd_cluster_id) && alike {
                now.earlier.extend(before.earlier.iter().cloned());
            }
        }
        self.0.insert(cluster.to_owned(), now);
    }

    pub fn write(&self, root: &Path) -> Result<(), BackupError> {
        private_dir(root)?;
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        write_private(root, FILE, &text)
    }
}
