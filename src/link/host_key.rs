//! Host keys: shown without being trusted, and written down.

use super::error::LinkError;
use super::settings::Settings;
use super::target::Target;

/// The key that a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Name under which it is looked up (`node1`, `[10.0.0.1]:2222`).
    pub name: String,
    /// As in a file of known hosts: `ssh-ed25519 AAAA…`.
    pub line: String,
    pub algorithm: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// What the files of known hosts say of it.
    pub verdict: Verdict,
}

/// What files of known hosts say of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Known,
    Unknown,
    Changed(Vec<super::error::KnownAs>),
    Revoked,
}

/// The key that a host shows now. Nothing is trusted, logged in to or written.
pub async fn scan_host_key(target: &Target, settings: &Settings) -> Result<HostKey, LinkError> {
    let _ = settings;
    Err(LinkError::Config {
        host: target.name.clone(),
        message: "no connection yet".to_owned(),
        hints: Vec::new(),
    })
}

/// Makes `key` the only one that the user's file of known hosts holds for the host. Other lines stay as they are.
pub fn replace_known_host(target: &Target, key: &HostKey) -> Result<(), LinkError> {
    let _ = key;
    Err(LinkError::Config {
        host: target.name.clone(),
        message: "no connection yet".to_owned(),
        hints: Vec::new(),
    })
}
