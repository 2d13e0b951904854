//! Content that a task may ask for.

use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Content on this machine, read only when the host asks for it.
#[derive(Debug, Clone)]
pub enum Blob {
    Bytes(Arc<[u8]>),
    /// Streamed; it never is in memory as a whole.
    File(PathBuf),
}

/// Content by the name under which a module asks for it.
pub trait BlobSource: Send + Sync + 'static {
    fn blob(&self, name: &str) -> Option<Blob>;
}

/// No content.
impl BlobSource for () {
    fn blob(&self, _name: &str) -> Option<Blob> {
        None
    }
}

impl BlobSource for IndexMap<String, Blob> {
    fn blob(&self, name: &str) -> Option<Blob> {
        self.get(name).cloned()
    }
}
