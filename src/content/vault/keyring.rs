//! The secrets at hand, each under an id, and what was opened with them.

use super::VaultError;
use super::cipher::{self, SALT};
use super::envelope::{Envelope, is_encrypted};
use crate::content::place::{Fault, Place};
use crate::secret::Secret;
use rand::TryRngCore;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// The id of a secret that was given none.
pub const DEFAULT_ID: &str = "default";

/// A password and its id.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: String,
    pub password: Secret<Vec<u8>>,
}

/// All secrets of a command, in the order in which they are tried.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<Key>,
    /// A vault that names an id is opened with the secrets of that id only.
    only_matching: bool,
    /// What inline values hold, by their ciphertext: deriving keys takes milliseconds.
    opened: Mutex<HashMap<Arc<str>, Secret<String>>>,
}

impl Keyring {
    /// `only_matching` is Ansible's `vault_id_match`.
    pub fn new(keys: Vec<Key>, only_matching: bool) -> Self {
        Self {
            keys,
            only_matching,
            opened: Mutex::default(),
        }
    }

    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Decrypts a whole vault. Secrets of the id that it names are tried first, then (as Ansible does) all others.
    pub fn open(&self, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.open_with(text).map(|(plain, _)| plain)
    }

    /// The same, and the secret that fitted.
    pub fn open_with(&self, text: &[u8]) -> Result<(Zeroizing<Vec<u8>>, &Key), VaultError> {
        if self.keys.is_empty() {
            return Err(VaultError::NoSecrets);
        }
        let envelope = Envelope::parse(text)?;
        let named = |key: &&Key| envelope.id.as_ref() == Some(&key.id);
        let first = self.keys.iter().filter(named);
        let others = self
            .keys
            .iter()
            .filter(|key| !named(key))
            .filter(|_| !self.only_matching || envelope.id.is_none());
        let mut tried = Vec::new();
        for key in first.chain(others) {
            if let Some(plain) = cipher::open(&envelope.sealing, key.password.expose())? {
                return Ok((plain, key));
            }
            tried.push(key.id.clone());
        }
        Err(VaultError::Wrong(tried))
    }

    /// The text of an inline value; derived once for each ciphertext.
    pub fn open_value(&self, text: &Arc<str>) -> Result<Secret<String>, VaultError> {
        let lock = || self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plain) = lock().get(text) {
            return Ok(plain.clone());
        }
        let plain = self.open(text.as_bytes())?;
        let plain = std::str::from_utf8(&plain).map_err(|_| VaultError::NotText)?;
        let plain = Secret::new(plain.to_owned());
        lock().insert(Arc::clone(text), plain.clone());
        Ok(plain)
    }

    /// The bytes of a file, decrypted when it is a vault.
    pub fn decrypted(&self, path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
        if !is_encrypted(&bytes) {
            return Ok(bytes);
        }
        match self.open(&bytes) {
            Ok(plain) => Ok(plain.to_vec()),
            Err(error) => {
                let fault = Fault::new(error.to_string()).at(&Place::file(path));
                Err(match error.hint() {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                })
            }
        }
    }

    /// Reads a file, decrypted when it is a vault.
    ///
    /// # Errors
    /// The outer one: it can't be read. The inner one: it can't be decrypted.
    pub fn read(&self, path: &Path) -> std::io::Result<Result<Vec<u8>, Fault>> {
        Ok(self.decrypted(path, std::fs::read(path)?))
    }
}

impl Key {
    /// Encrypts under this secret, with a fresh salt. The id is written into the vault when one is given.
    pub fn seal(&self, plain: &[u8], id: Option<&str>) -> Result<Envelope, VaultError> {
        let mut salt = vec![0; SALT];
        rand::rngs::OsRng
            .try_fill_bytes(&mut salt)
            .map_err(|_| VaultError::Damaged("the system gives no random numbers"))?;
        self.seal_with(plain, id, salt)
    }

    /// The same with a salt that is known: what comes out is the same each time, and so weaker.
    pub fn seal_with(
        &self,
        plain: &[u8],
        id: Option<&str>,
        salt: Vec<u8>,
    ) -> Result<Envelope, VaultError> {
        Ok(Envelope {
            id: id.map(str::to_owned),
            sealing: cipher::seal(plain, self.password.expose(), salt)?,
        })
    }
}

/// Shows which ids there are, never a secret.
impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.keys.iter().map(|key| &key.id);
        f.debug_list().entries(ids).finish()
    }
}
