//! Links to hosts: one connection a host, shared by everybody who works on it.

use super::blobs::BlobSource;
use super::error::LinkError;
use super::settings::Settings;
use super::target::Target;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// All connections of one run. Clones share them.
#[derive(Clone)]
pub struct Pool {
    settings: Arc<Settings>,
}

/// One host. Clones share the connection; after a loss the next use makes a new one.
#[derive(Clone)]
pub struct Link {
    target: Arc<Target>,
}

/// What a command gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit status; 128 + number when a signal ended it.
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// A byte stream through a host.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
pub type Tunnel = Box<dyn Stream>;

impl Pool {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The link to a host, connected and logged in; the agent starts with the first task.
    pub async fn link(&self, target: &Target) -> Result<Link, LinkError> {
        Ok(Link {
            target: Arc::new(target.clone()),
        })
    }
}

impl Link {
    /// Name in the inventory.
    pub fn name(&self) -> &str {
        &self.target.name
    }

    /// Runs one task in the agent; many may run at the same time. Dropping the future cancels the task on the host.
    pub async fn run(
        &self,
        task: host::Task,
        blobs: impl BlobSource,
    ) -> Result<host::Outcome, LinkError> {
        let _ = (task, blobs);
        Err(self.unfinished())
    }

    /// Runs a task that streams a file back into `into`.
    pub async fn fetch(
        &self,
        task: host::Task,
        into: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<host::Outcome, LinkError> {
        let _ = (task, into);
        Err(self.unfinished())
    }

    /// Runs a command line by the login shell, without the agent.
    pub async fn exec(&self, command: &str, stdin: Option<&[u8]>) -> Result<ExecOutput, LinkError> {
        let _ = (command, stdin);
        Err(self.unfinished())
    }

    /// A TCP connection made by the host.
    pub async fn tunnel(&self, address: &str, port: u16) -> Result<Tunnel, LinkError> {
        let _ = (address, port);
        Err(self.unfinished())
    }

    /// Ends the connection; the next use makes a new one.
    pub async fn close(&self) {}

    fn unfinished(&self) -> LinkError {
        LinkError::Config {
            host: self.target.name.clone(),
            message: "no connection yet".to_owned(),
            hints: Vec::new(),
        }
    }
}
