//! Backups: archives of certificates, snapshots of etcd. Taken, listed, verified, put back.

mod archive;
pub mod certificate;
mod certs;
mod error;
pub mod manifest;
mod restore;
mod sets;
pub mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use certificate::hex;
pub use certs::{PATHS, take};
pub use error::BackupError;
pub use restore::{Halfway, RestoreOptions, chosen, restore, same_authorities};
pub use sets::{Found, Set, list, load, newest};
