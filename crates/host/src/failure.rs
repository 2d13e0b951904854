//! Why a module could not do what it was asked.

use crate::{ArgError, Outcome};
use serde_json::{Map, Value};
use std::fmt::Display;
use std::path::Path;

/// Becomes a failed [`Outcome`] with `msg` and whatever else the Ansible module would return.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub message: String,
    pub data: Map<String, Value>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: Map::new(),
        }
    }

    /// `Failure::io("cannot read", path, &error)`: what was tried, on what, and what the system said.
    pub fn io(what: &str, path: impl AsRef<Path>, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => " (does the task need `become: true`?)",
            std::io::ErrorKind::StorageFull => {
                " (the disk is full; what was there before is untouched)"
            }
            std::io::ErrorKind::ReadOnlyFilesystem => " (the file system is mounted read-only)",
            _ => "",
        };
        Self::new(format!("{what} {}: {error}{hint}", path.as_ref().display()))
    }

    /// Adds one key of the result.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn during(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<ArgError> for Failure {
    fn from(error: ArgError) -> Self {
        Self::new(error.message)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        let mut data = failure.data;
        data.insert("msg".to_owned(), Value::String(failure.message));
        Self {
            failed: true,
            data,
            ..Self::default()
        }
    }
}
