//! How plays reach hosts, as a trait: links in production, the same modules in this process in tests.

use super::store::lock;
pub use crate::link::{Blob, Tunnel};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::future::BoxFuture;
use indexmap::IndexMap;
use sha1::{Digest, Sha1};
use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A host's name and the rendered variables that say how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Whereabouts {
    /// Name in the inventory.
    pub name: String,
    /// `local` or `ssh`.
    pub connection: String,
    /// `ansible_host`, `ansible_port`, `ansible_user` and the like, in a fixed order. Never from facts.
    pub vars: Vec<(String, String)>,
}

impl Whereabouts {
    /// This machine.
    pub fn controller() -> Self {
        Self {
            name: "localhost".to_owned(),
            connection: "local".to_owned(),
            vars: Vec::new(),
        }
    }
}

/// Content by the name under which the module asks for it.
pub type Blobs = IndexMap<String, Blob>;

/// The longest content that travels with its task when it is the task's only one: asking for it costs a round trip.
const INLINE: usize = 2048;

/// Checksums of files, each reckoned once in a run: a file goes to many hosts.
#[derive(Debug, Default)]
pub(super) struct Sums(Mutex<HashMap<Version, Arc<OnceCell<String>>>>);

/// A file as it is now.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Version {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    size: u64,
    /// Seconds and nanoseconds of its last change.
    modified: (i64, i64),
}

impl Sums {
    /// What the agent is told of content: it asks for it only when it doesn't have it. `alone`: nothing else travels.
    pub(super) async fn reference(
        &self,
        name: &str,
        blob: &Blob,
        alone: bool,
    ) -> io::Result<host::BlobRef> {
        let name = name.to_owned();
        Ok(match blob {
            Blob::Bytes(bytes) => host::BlobRef {
                name,
                sha1: hex(&Sha1::digest(bytes)),
                size: bytes.len() as u64,
                inline: (alone && bytes.len() <= INLINE)
                    .then(|| BASE64_STANDARD.encode(bytes.as_ref())),
            },
            Blob::File(path) => {
                let meta = std::fs::metadata(path)?;
                let version = Version {
                    path: path.clone(),
                    identity: (meta.dev(), meta.ino()),
                    size: meta.len(),
                    modified: (meta.mtime(), meta.mtime_nsec()),
                };
                host::BlobRef {
                    name,
                    size: version.size,
                    sha1: self.of(version).await?,
                    inline: None,
                }
            }
        })
    }

    async fn of(&self, version: Version) -> io::Result<String> {
        let (path, size) = (version.path.clone(), version.size);
        let sum = Arc::clone(lock(&self.0).entry(version).or_default());
        let reckon = || async move {
            tokio::task::spawn_blocking(move || checksum(&path, size))
                .await
                .map_err(io::Error::other)?
        };
        sum.get_or_try_init(reckon).await.cloned()
    }
}

fn checksum(path: &Path, size: u64) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut buffer, mut found) = (Sha1::new(), vec![0; 64 * 1024], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        found += read as u64;
    }
    if found == size {
        Ok(hex(&hash.finalize()))
    } else {
        Err(io::Error::other("it changed while it was read"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a raw command gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Why a host couldn't be worked on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Lost {
    pub message: String,
    pub hints: Vec<String>,
    /// The host itself answers: the task fails, and the host isn't unreachable.
    pub reachable: bool,
}

/// Hands on hosts.
pub trait Connect: Send + Sync {
    /// Run one task. Dropping the future ends the task's processes on the host.
    fn run<'a>(
        &'a self,
        at: &'a Whereabouts,
        task: host::Task,
        blobs: Blobs,
    ) -> BoxFuture<'a, Result<host::Outcome, Lost>>;

    /// Run a task that streams a file back; the bytes go to `into`, which exists only when the task succeeded.
    fn fetch<'a>(
        &'a self,
        at: &'a Whereabouts,
        task: host::Task,
        into: PathBuf,
    ) -> BoxFuture<'a, Result<host::Outcome, Lost>>;

    /// Run a command line without an agent.
    fn exec<'a>(
        &'a self,
        at: &'a Whereabouts,
        command: String,
        stdin: Option<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Exec, Lost>>;

    /// Connect, within the time given, without doing anything.
    fn reach<'a>(
        &'a self,
        at: &'a Whereabouts,
        within: Option<Duration>,
    ) -> BoxFuture<'a, Result<(), Lost>>;

    /// A stream to `address:port` as the host sees it.
    fn dial<'a>(
        &'a self,
        at: &'a Whereabouts,
        address: &'a str,
        port: u16,
    ) -> BoxFuture<'a, Result<Tunnel, Lost>>;

    /// Forget the connection; the next task makes a new one.
    fn reset<'a>(&'a self, at: &'a Whereabouts) -> BoxFuture<'a, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_again_only_when_it_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        std::fs::write(&path, "one").expect("written");
        let sums = Sums::default();
        let blob = Blob::File(path.clone());
        let first = sums.reference("content", &blob, true).await.expect("a sum");
        assert_eq!(first.sha1, hex(&Sha1::digest("one")));
        assert_eq!((first.size, &first.inline), (3, &None));
        let again = sums.reference("content", &blob, true).await.expect("a sum");
        assert_eq!(first, again);
        assert_eq!(lock(&sums.0).len(), 1);
        std::fs::write(&path, "other").expect("written");
        let other = sums.reference("content", &blob, true).await.expect("a sum");
        assert_eq!(other.sha1, hex(&Sha1::digest("other")));
    }

    #[tokio::test]
    async fn short_content_travels_with_its_task() {
        let sums = Sums::default();
        let of = |size: usize| Blob::Bytes(Arc::from(vec![b'x'; size]));
        let inline = |size, alone| {
            let sums = &sums;
            async move {
                let blob = of(size);
                let found = sums.reference("content", &blob, alone).await;
                found.expect("a sum").inline
            }
        };
        assert_eq!(inline(3, true).await.as_deref(), Some("eHh4"));
        assert_eq!(inline(3, false).await, None);
        assert_eq!(inline(INLINE + 1, true).await, None);
    }
}
