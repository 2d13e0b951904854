//! `_archive` and `_unarchive`: directories of the host as one tar for the controller, and back. Private: for backups
//! of certificates, not for playbooks.

mod pack;
mod plan;
#[cfg(test)]
mod tests;
mod unpack;

pub use pack::Archive;
pub use unpack::Unarchive;
