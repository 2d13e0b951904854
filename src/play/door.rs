//! A play's host as the room `cluster` enters it: files read as root, and ports reached, over the play's connection.

use super::call::Call;
use super::hands::{Blobs, Connect, Whereabouts};
use crate::cluster::door::Door;
use crate::content::place::Fault;
use crate::link::Tunnel;
use crate::secret::Secret;
use base64::Engine as _;
use futures::future::BoxFuture;
use host::Task;
use serde_json::{Map, Value as Json};
use std::io;
use std::sync::Arc;

/// The host that a call works on.
pub(super) struct HostDoor {
    connect: Arc<dyn Connect>,
    at: Whereabouts,
    slurp: Task,
}

impl HostDoor {
    pub(super) fn new(call: &Call<'_>) -> Result<Self, Fault> {
        let mut slurp = call.task("slurp", Map::new())?;
        slurp.check = false;
        Ok(Self {
            connect: Arc::clone(&call.attempt.batch.run.connect),
            at: call.whereabouts()?,
            slurp,
        })
    }
}

impl Door for HostDoor {
    fn host(&self) -> &str {
        &self.at.name
    }

    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Secret<Vec<u8>>>>> {
        Box::pin(async move {
            let mut task = self.slurp.clone();
            task.args.insert("src".to_owned(), path.into());
            let ran = self.connect.run(&self.at, task, Blobs::new()).await;
            let outcome = ran.map_err(|lost| io::Error::other(lost.message))?;
            let text = |key: &str| {
                outcome
                    .data
                    .get(key)
                    .and_then(Json::as_str)
                    .unwrap_or_default()
            };
            if outcome.failed {
                let missing = ["not found", "No such file", "no such file"];
                if missing.iter().any(|words| text("msg").contains(words)) {
                    return Ok(None);
                }
                return Err(io::Error::other(format!("{path}: {}", text("msg"))));
            }
            base64::engine::general_purpose::STANDARD
                .decode(text("content"))
                .map(|bytes| Some(Secret::new(bytes)))
                .map_err(io::Error::other)
        })
    }

    fn dial<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, io::Result<Tunnel>> {
        Box::pin(async move {
            let dialled = self.connect.dial(&self.at, address, port).await;
            dialled.map_err(|lost| io::Error::other(lost.message))
        })
    }
}
