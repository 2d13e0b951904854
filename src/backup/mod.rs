//! Backups: archives of certificates, snapshots of etcd. Taken, listed, verified, put back.

mod archive;
pub mod certificate;
mod certs;
mod complete;
mod door;
mod error;
pub mod fingerprint;
pub mod inspect;
mod keypair;
pub mod keys;
pub mod manifest;
mod mark;
mod open;
mod pack;
mod restore;
pub mod retention;
mod seen;
mod sets;
pub mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use certificate::hex;
pub use certs::{PATHS, take};
pub use complete::{Complete, Origin, take as take_complete};
pub use door::Archived;
pub use error::BackupError;
pub use fingerprint::{Fingerprint, Match};
pub use keys::{Keys, PublicKey, Seal};
pub use mark::Mark;
pub use open::Opened;
pub use restore::{Halfway, RestoreOptions, chosen, restore, same_authorities};
pub use seen::{Known, Seen};
pub use sets::{Found, MANIFEST, Scratch, Set, list, load, newest};
