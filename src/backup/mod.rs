//! Backups: archives of certificates now, snapshots of etcd later. Taken, listed, verified, put back.

mod archive;
pub mod certificate;
mod certs;
pub mod manifest;
mod restore;
#[cfg(test)]
mod tests;

pub(crate) use certificate::hex;
pub use certs::{BackupError, Found, PATHS, Set, list, newest, take};
pub use restore::{Halfway, RestoreOptions, chosen, restore, same_authorities};
