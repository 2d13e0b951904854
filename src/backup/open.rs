//! Files out of a set: compared with the manifest, unpacked where they are packed.

use super::archive;
use super::error::BackupError;
use super::keys::Keys;
use super::manifest::{NodeArchive, Stored};
use super::pack;
use super::sets::{Scratch, Set, private_file};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The plain content of a file of a set. What had to be unpacked goes away with this.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    _scratch: Option<Scratch>,
}

impl Opened {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Set {
    /// A file of the manifest as it was before it was packed.
    ///
    /// Its bytes on the disk were compared with the manifest; of what isn't packed the caller compares the content, because
    /// a snapshot says more than a hash when it is damaged.
    ///
    /// # Errors
    /// It is missing, cut off, changed, another file of the set, or no key opens it.
    pub fn open(&self, name: &str, keys: &Keys) -> Result<Opened, BackupError> {
        let Some(stored) = self.manifest.stored(name) else {
            let path = self.dir.join(name);
            self.there(&path)?;
            return Ok(Opened {
                path,
                _scratch: None,
            });
        };
        self.as_stored(stored)?;
        let root = self.dir.parent().unwrap_or(&self.dir);
        let scratch = Scratch::new(root)?;
        let path = scratch.path().join(name);
        let file = private_file(&path)?;
        self.unpack(stored, keys, file)?;
        Ok(Opened {
            path,
            _scratch: Some(scratch),
        })
    }

    /// Write the content of a packed file to `into`.
    pub(super) fn unpack(
        &self,
        stored: &Stored,
        keys: &Keys,
        into: impl io::Write,
    ) -> Result<pack::Passed, BackupError> {
        let path = self.dir.join(&stored.file);
        let locked = |reason: String| BackupError::Refused {
            message: format!("{} can't be opened: {reason}", path.display()),
            hints: vec![
                "name the key: --identity FILE (age's identity file), or --passphrase-file FILE"
                    .to_owned(),
            ],
        };
        let keys = match stored.encryption {
            None => None,
            Some(_) if keys.is_empty() => {
                return Err(locked(
                    "the set is encrypted and no key was given".to_owned(),
                ));
            }
            Some(_) => Some(
                keys.of(&self.dir)
                    .map_err(|error| locked(error.to_string()))?,
            ),
        };
        pack::unpack(&path, keys.as_deref(), into).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => locked(error.to_string()),
            _ => BackupError::io(&path)(error),
        })
    }

    fn there(&self, path: &Path) -> Result<u64, BackupError> {
        match fs::symlink_metadata(path) {
            Ok(meta) => Ok(meta.len()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(BackupError::Damaged {
                path: path.to_owned(),
                reason: "it is missing, but the manifest names it".to_owned(),
            }),
            Err(e) => Err(BackupError::io(path)(e)),
        }
    }

    /// What lies on the disk is what was written there.
    pub(super) fn as_stored(&self, stored: &Stored) -> Result<(), BackupError> {
        let path = self.dir.join(&stored.file);
        let size = self.there(&path)?;
        let found = pack::on_disk(&path).map_err(BackupError::io(&path))?;
        if found.sha256 == stored.sha256 {
            return Ok(());
        }
        Err(BackupError::Damaged {
            reason: self.difference(&found.sha256, &stored.sha256, size, stored.size),
            path,
        })
    }

    /// Why bytes aren't those of the manifest, in words.
    pub(super) fn difference(&self, found: &str, wanted: &str, size: u64, told: u64) -> String {
        let packed = self.manifest.stored.iter().map(|s| (&s.file, &s.sha256));
        let plain = self.manifest.nodes.iter().map(|n| (&n.archive, &n.sha256));
        if let Some((name, _)) = packed.chain(plain).find(|(_, sum)| *sum == found) {
            return format!("it holds what belongs to {name}: files were swapped");
        }
        match size.cmp(&told) {
            std::cmp::Ordering::Less => {
                format!("it is cut off: {size} of {told} bytes are there")
            }
            std::cmp::Ordering::Greater => {
                format!("something was added: it has {size} bytes, the manifest says {told}")
            }
            std::cmp::Ordering::Equal => format!(
                "SHA-256 is {found} where the manifest says {wanted}: the archive was changed or damaged"
            ),
        }
    }

    /// The archive of a node, after it was compared with the manifest to the last file.
    pub fn verified(&self, node: &str, keys: &Keys) -> Result<(Opened, &NodeArchive), BackupError> {
        let archive = self
            .manifest
            .node(node)
            .ok_or_else(|| BackupError::Refused {
                message: format!("{node} is not in the backup set {}", self.manifest.set),
                hints: Vec::new(),
            })?;
        let opened = self.open(&archive.archive, keys)?;
        let path = opened.path();
        let damaged = |reason: String| BackupError::Damaged {
            path: self.dir.join(&archive.archive),
            reason,
        };
        let (sha256, size) = archive::digest(path).map_err(BackupError::io(path))?;
        if sha256 != archive.sha256 {
            let why = self.difference(&sha256, &archive.sha256, size, archive.size);
            return Err(damaged(why));
        }
        let files = archive::entries(path).map_err(BackupError::io(path))?;
        if files != archive.files {
            return Err(damaged(
                "its files are not those of the manifest".to_owned(),
            ));
        }
        Ok((opened, archive))
    }
}
