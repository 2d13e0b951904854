//! A hand on one host: its link, used as root.

use super::door::Door;
use crate::link::{Blob, Link, LinkError, Tunnel};
use crate::secret::Secret;
use base64::Engine as _;
use futures::future::BoxFuture;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use std::io;

/// Why a host didn't do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HandError {
    pub message: String,
    pub hints: Vec<String>,
}

impl From<LinkError> for HandError {
    fn from(error: LinkError) -> Self {
        Self {
            hints: error.advice(),
            message: error.to_string(),
        }
    }
}

/// A hand on one host, as root.
#[derive(Clone)]
pub struct Hand {
    pub name: String,
    pub link: Link,
    pub escalate: Option<host::Become>,
}

impl Hand {
    /// A task for this host, to be run as root.
    pub fn task(&self, module: &str, args: Value) -> host::Task {
        host::Task {
            module: module.to_owned(),
            args: match args {
                Value::Object(args) => args,
                _ => Map::new(),
            },
            escalate: self.escalate.clone(),
            ..host::Task::default()
        }
    }

    /// Run a task; a failure of the module is an error with its message.
    pub async fn run(
        &self,
        task: host::Task,
        blobs: IndexMap<String, Blob>,
    ) -> Result<host::Outcome, HandError> {
        let what = task.module.clone();
        let outcome = self.link.run(task, blobs).await?;
        if outcome.failed {
            return Err(self.refused(&what, &outcome));
        }
        Ok(outcome)
    }

    /// The error for a module that failed.
    pub fn refused(&self, module: &str, outcome: &host::Outcome) -> HandError {
        let text = |key: &str| {
            let value = outcome.data.get(key).and_then(Value::as_str);
            value.unwrap_or_default().trim()
        };
        let message = [text("msg"), text("stderr")]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": ");
        HandError {
            message: format!("{}: {module}: {message}", self.name),
            hints: Vec::new(),
        }
    }

    /// Run a read-only shell script and return its output.
    pub async fn script(&self, script: &str) -> Result<String, HandError> {
        let task = self.task("shell", json!({ "_raw_params": script }));
        let outcome = self.run(task, IndexMap::new()).await?;
        let output = outcome.data.get("stdout").and_then(Value::as_str);
        Ok(output.unwrap_or_default().to_owned())
    }

    /// Give a file this content, mode and owner; true when that changed it.
    pub async fn write(
        &self,
        path: &str,
        content: &[u8],
        [mode, owner, group]: [&str; 3],
        check: bool,
    ) -> Result<bool, HandError> {
        let args = json!({ "dest": path, "mode": mode, "owner": owner, "group": group });
        let mut task = self.task("copy", args);
        task.check = check;
        task.blobs = vec![host::BlobRef {
            name: "content".to_owned(),
            sha1: Sha1::digest(content)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
            size: content.len() as u64,
            inline: None,
        }];
        let blobs = IndexMap::from([("content".to_owned(), Blob::Bytes(content.into()))]);
        self.run(task, blobs).await.map(|outcome| outcome.changed)
    }
}

impl Door for Hand {
    fn host(&self) -> &str {
        &self.name
    }

    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Secret<Vec<u8>>>>> {
        Box::pin(async move {
            let outcome = self
                .link
                .run(self.task("slurp", json!({ "src": path })), ())
                .await
                .map_err(io::Error::other)?;
            if outcome.failed {
                let message = outcome
                    .data
                    .get("msg")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let missing = ["not found", "No such file", "no such file"];
                if missing.iter().any(|words| message.contains(words)) {
                    return Ok(None);
                }
                return Err(io::Error::other(format!("{path}: {message}")));
            }
            let content = outcome
                .data
                .get("content")
                .and_then(Value::as_str)
                .unwrap_or_default();
            base64::engine::general_purpose::STANDARD
                .decode(content)
                .map(|bytes| Some(Secret::new(bytes)))
                .map_err(io::Error::other)
        })
    }

    fn dial<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, io::Result<Tunnel>> {
        Box::pin(async move {
            self.link
                .tunnel(address, port)
                .await
                .map_err(io::Error::other)
        })
    }
}
