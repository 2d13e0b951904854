//! The archive of a node as a host that can be read: what its settings were.

use super::archive;
use super::open::Opened;
use crate::cluster::door::Door;
use crate::link::Tunnel;
use crate::secret::Secret;
use futures::future::BoxFuture;
use std::io;

/// A node as it was when the set was taken.
pub struct Archived {
    pub node: String,
    /// Its tar.
    pub tar: Opened,
}

impl Door for Archived {
    fn host(&self) -> &str {
        &self.node
    }

    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Secret<Vec<u8>>>>> {
        Box::pin(async move {
            match archive::content(self.tar.path(), path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                content => content.map(Some),
            }
        })
    }

    fn dial<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Tunnel>> {
        Box::pin(async { Err(io::Error::other("an archive can't be connected to")) })
    }
}
