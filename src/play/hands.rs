//! How plays reach hosts, as a trait: links in production, the same modules in this process in tests.

pub use crate::link::Blob;
use futures::future::BoxFuture;
use indexmap::IndexMap;
use sha1::{Digest, Sha1};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

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

/// Content by the name under which the module asks for it.
pub type Blobs = IndexMap<String, Blob>;

/// What the agent is told of content: it asks for it only when it doesn't have it.
pub(super) fn reference(name: &str, blob: &Blob) -> std::io::Result<host::BlobRef> {
    let mut hash = Sha1::new();
    let size = match blob {
        Blob::Bytes(bytes) => {
            hash.update(bytes);
            bytes.len() as u64
        }
        Blob::File(path) => {
            let mut file = std::fs::File::open(path)?;
            let mut buffer = vec![0; 64 * 1024];
            let mut size = 0;
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    break size;
                }
                hash.update(&buffer[..read]);
                size += read as u64;
            }
        }
    };
    Ok(host::BlobRef {
        name: name.to_owned(),
        sha1: hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        size,
    })
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

    /// Forget the connection; the next task makes a new one.
    fn reset<'a>(&'a self, at: &'a Whereabouts) -> BoxFuture<'a, ()>;
}
