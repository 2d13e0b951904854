//! One run at a time on a cluster: the lock on the controller. (The one in the cluster belongs to `cluster`.)

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Who holds a lock, for the person who is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub run: String,
    pub user: String,
    /// The controller.
    pub host: String,
    pub pid: u32,
    pub command: String,
    pub since: Timestamp,
}

impl Holder {
    pub fn of(meta: &super::Meta) -> Self {
        Self {
            run: meta.id.clone(),
            user: meta.user.clone(),
            host: meta.host.clone(),
            pid: std::process::id(),
            command: std::iter::once(meta.command.clone())
                .chain(meta.arguments.iter().cloned())
                .collect::<Vec<_>>()
                .join(" "),
            since: Timestamp::now(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'kopsrun {}' of {}@{} (process {}, run {}) since {}",
            self.command,
            self.user,
            self.host,
            self.pid,
            self.run,
            self.since.strftime("%F %T UTC")
        )
    }
}

/// Held until it is dropped, or until the process dies: the kernel lets go of it then.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// A run that held it and died without letting go.
    pub left_by: Option<Holder>,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the cluster is locked{}", .holder.as_ref().map_or(String::new(), |h| format!(" by {h}")))]
    Held { holder: Option<Box<Holder>> },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl Lock {
    /// Take the lock of `cluster` (any text that names it) in the directory `dir`, or say who has it.
    pub fn take(dir: &Path, cluster: &str, holder: &Holder) -> Result<Self, LockError> {
        let safe: String = cluster
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let path = dir.join(format!("{safe}.lock"));
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        let locked = file.try_lock();
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let written: Option<Holder> = serde_json::from_str(&text).ok();
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    holder: written.map(Box::new),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        write_holder(&mut file, Some(holder)).map_err(io)?;
        Ok(Self {
            file,
            left_by: written,
        })
    }
}

fn write_holder(file: &mut File, holder: Option<&Holder>) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    if let Some(holder) = holder {
        file.write_all(&serde_json::to_vec(holder)?)?;
    }
    file.sync_all()
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Best effort: what stays written is only a name, the kernel's lock goes with the file.
        drop(write_holder(&mut self.file, None));
    }
}
