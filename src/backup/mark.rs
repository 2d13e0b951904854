//! VERIFIED: what is written beside a set when a throwaway etcd was started from it and served what it should.

use super::error::BackupError;
use super::sets::{MANIFEST, Set, write_private};
use crate::backup::hex;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;

const FILE: &str = "verified.json";

/// The proof of a drill. It holds for the manifest that it names by its hash, and with it for every file's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    pub at: Timestamp,
    pub manifest_sha256: String,
    /// Of the etcd that was started.
    pub etcd_version: String,
    pub revision: i64,
    pub keys: u64,
    /// etcd's hash of all keys was compared with the one of the member that the snapshot came from.
    pub hash_compared: bool,
    /// From the set to the first read, in seconds.
    pub seconds: f64,
}

impl Set {
    /// The proof that the set can be restored, if it was made with this very manifest.
    pub fn mark(&self) -> Option<Mark> {
        let text = fs::read(self.dir.join(FILE)).ok()?;
        let mark: Mark = serde_json::from_slice(&text).ok()?;
        (self.manifest_sha256().ok()? == mark.manifest_sha256).then_some(mark)
    }

    /// SHA-256 of the manifest as it lies there, in hexadecimal.
    pub fn manifest_sha256(&self) -> Result<String, BackupError> {
        let path = self.dir.join(MANIFEST);
        let text = fs::read(&path).map_err(BackupError::io(&path))?;
        Ok(hex(&Sha256::digest(text)))
    }

    pub fn set_mark(&self, mark: &Mark) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(mark).unwrap_or_default();
        write_private(&self.dir, FILE, &text)
    }

    /// The set failed: whatever was proven once is true no more.
    pub fn revoke(&self) -> Result<(), BackupError> {
        let path = self.dir.join(FILE);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(BackupError::io(&path)),
        }
    }
}
