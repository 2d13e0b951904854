//! What an operation works with: the inventory, the ways to its hosts, where records and backups lie, and the person.

use super::engine::Failure;
use crate::backup::Keys;
use crate::cluster::{Hand, HandError};
use crate::content::inventory::Inventory;
use crate::link::{LinkError, Pool, Target};
use crate::play;
use std::path::PathBuf;
use std::sync::Arc;

/// From a host's name to the way to it.
pub type Route = dyn Fn(&str) -> Result<Target, Failure> + Send + Sync;
/// From a host's name and a variable's to its text.
pub type Variable = dyn Fn(&str, &str) -> Option<String> + Send + Sync;
/// From a host's name to the way to root there; none where the login user is root.
pub type Escalate = dyn Fn(&str) -> Option<host::Become> + Send + Sync;

/// Filled by the caller; operations read neither the environment nor the terminal.
#[derive(Clone)]
pub struct Site {
    pub inventory: Arc<Inventory>,
    pub pool: Pool,
    /// How a host of the inventory is reached.
    pub target: Arc<Route>,
    /// A variable of a host in the inventory, rendered, as text.
    pub variable: Arc<Variable>,
    /// How root is reached where the login user isn't root.
    pub escalate: Arc<Escalate>,
    /// Hands for plays, and a request with what the user asked for (forks, become…).
    pub connect: Arc<dyn play::Connect>,
    pub request: play::Request,
    /// Where step files are looked for before the built-in ones: a directory with `playbooks/` and `roles/`.
    pub steps: Option<PathBuf>,
    pub runs: PathBuf,
    pub locks: PathBuf,
    pub backups: PathBuf,
    /// What opens encrypted sets.
    pub backup_keys: Keys,
    /// What names the cluster for the lock on this controller.
    pub cluster: String,
    pub consent: Arc<dyn Consent>,
}

/// The person who decides. Called on a blocking thread.
pub trait Consent: Send + Sync {
    /// True: go on. `details` are shown before the question.
    fn ask(&self, question: &str, details: &[String]) -> bool;
}

/// Nobody is there to ask.
pub struct Nobody;

impl Consent for Nobody {
    fn ask(&self, _question: &str, _details: &[String]) -> bool {
        false
    }
}

impl From<HandError> for Failure {
    fn from(error: HandError) -> Self {
        Self {
            message: error.message,
            hints: error.hints,
        }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self {
            hints: error.advice(),
            message: error.to_string(),
        }
    }
}

impl Site {
    /// A host of the inventory, connected.
    pub async fn host(&self, name: &str) -> Result<Hand, LinkFailure> {
        let target = (self.target)(name).map_err(LinkFailure::Config)?;
        let link = self.pool.link(&target).await.map_err(LinkFailure::Link)?;
        Ok(Hand {
            name: name.to_owned(),
            link,
            escalate: (self.escalate)(name),
        })
    }

    /// Ask the person without blocking the runtime.
    pub async fn ask(&self, question: String, details: Vec<String>) -> bool {
        let consent = Arc::clone(&self.consent);
        tokio::task::spawn_blocking(move || consent.ask(&question, &details))
            .await
            .unwrap_or(false)
    }
}

/// Why a host couldn't be entered.
#[derive(Debug, Clone)]
pub enum LinkFailure {
    Config(Failure),
    Link(LinkError),
}

impl From<LinkFailure> for Failure {
    fn from(failure: LinkFailure) -> Self {
        match failure {
            LinkFailure::Config(failure) => failure,
            LinkFailure::Link(error) => error.into(),
        }
    }
}
