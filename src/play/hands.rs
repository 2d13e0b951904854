//! How plays reach hosts, as a trait: links in production, the same modules in this process in tests.

use futures::future::BoxFuture;
use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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

/// Content that a task may ask for.
#[derive(Debug, Clone)]
pub enum Blob {
    Bytes(Arc<[u8]>),
    /// A file of the controller.
    File(PathBuf),
}

/// Content by the name under which the module asks for it.
pub type Blobs = IndexMap<String, Blob>;

/// What a raw command gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Why a host couldn't be worked on; the host leaves the play as unreachable.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Lost {
    pub message: String,
    pub hints: Vec<String>,
    /// The task was stopped by the caller's signal.
    pub cancelled: bool,
}

/// Hands on hosts.
pub trait Connect: Send + Sync {
    /// Run one task. Cancelled: the task's processes are ended on the host.
    fn run<'a>(
        &'a self,
        at: &'a Whereabouts,
        task: host::Task,
        blobs: Blobs,
        cancel: CancellationToken,
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
