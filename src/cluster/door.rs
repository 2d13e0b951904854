//! How the rest of this room gets to a host: its files and the ports that it can reach. Links in production, plain TCP
//! and local files in tests.

use crate::link::Tunnel;
use crate::secret::Secret;
use futures::future::BoxFuture;
use std::io;

/// A host that can be entered.
pub trait Door: Send + Sync {
    /// Name in the inventory.
    fn host(&self) -> &str;

    /// The whole of a file, read as root into memory; `None` when it doesn't exist.
    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Secret<Vec<u8>>>>>;

    /// A stream to `address:port` as the host sees it.
    fn dial<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, io::Result<Tunnel>>;
}
