//! What can go wrong with a backup.

use super::manifest::MissingNode;
use crate::cluster::{HandError, SnapshotError};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: {reason}")]
    Damaged { path: PathBuf, reason: String },
    /// Nothing was archived: no node could be read.
    #[error("no node could be backed up: {}", .0.iter().map(|m| format!("{} ({})", m.node, m.reason)).collect::<Vec<_>>().join(", "))]
    Nothing(Vec<MissingNode>),
    /// What was looked for, and the names of the sets that there are.
    #[error("there is no backup set{wanted}")]
    NoSet { wanted: String, sets: Vec<String> },
    /// What was asked for would do harm.
    #[error("{message}")]
    Refused { message: String, hints: Vec<String> },
    #[error(transparent)]
    Hand(#[from] HandError),
    #[error("no snapshot: {0}")]
    Snapshot(SnapshotError),
    /// What the member sent can't be used.
    #[error("the snapshot of {member} is not sound, and was thrown away: {reason}")]
    Unsound { member: String, reason: String },
}

impl BackupError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
