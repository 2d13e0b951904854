//! Encryption of backup sets by age: for public keys, or with a passphrase.
//!
//! A passphrase encrypts one key of the set's own, because deriving a key from a passphrase takes a second on purpose and
//! a set has a file a node. Everything can be read with the program `age` too: `age -d key.age`, then `age -d -i`.

use super::error::BackupError;
use crate::secret::Secret;
use age::secrecy::{ExposeSecret, SecretString};
use age::{Decryptor, Encryptor, Identity, Recipient, scrypt, x25519};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// The file in a set that holds its own key, encrypted with a passphrase.
pub const KEY_FILE: &str = "key.age";
/// Longer work than this isn't begun for a set that somebody else may have made: 2^22 takes about 16 s and 4 GiB.
const MOST_WORK: u8 = 22;

/// A public key of age.
pub use age::x25519::Recipient as PublicKey;

/// How a new set is encrypted.
#[derive(Debug, Clone, Default)]
pub enum Seal {
    #[default]
    Open,
    /// For these public keys (`age1…`).
    Recipients(Vec<x25519::Recipient>),
    Passphrase(Secret<String>),
}

/// What sets are opened with.
#[derive(Clone, Default)]
pub struct Keys {
    pub identities: Vec<x25519::Identity>,
    pub passphrase: Option<Secret<String>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

/// Public keys from text: one a line, comments begin with `#`.
///
/// # Errors
/// The line that isn't a public key of age, by its number.
pub fn recipients(text: &str) -> Result<Vec<x25519::Recipient>, String> {
    lines(text)
        .map(|(number, line)| {
            line.parse().map_err(|_| {
                format!("line {number} is not a public key of age ('age1…'): keys of SSH and of plugins aren't taken")
            })
        })
        .collect()
}

/// Secret keys from the text of an identity file: `AGE-SECRET-KEY-1…`, comments begin with `#`.
///
/// # Errors
/// The number of the line that isn't one; never its text.
pub fn identities(text: &str) -> Result<Vec<x25519::Identity>, String> {
    let found: Vec<x25519::Identity> = lines(text)
        .map(|(number, line)| {
            line.parse().map_err(|_| {
                format!("line {number} is not a secret key of age ('AGE-SECRET-KEY-1…')")
            })
        })
        .collect::<Result<_, String>>()?;
    match found.is_empty() {
        true => Err("there is no secret key in it".to_owned()),
        false => Ok(found),
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

impl Seal {
    /// The public keys for the files of a new set in `dir`; empty: they stay open. A passphrase leaves the set's own key
    /// there.
    pub(super) fn begin(&self, dir: &Path) -> Result<Vec<x25519::Recipient>, BackupError> {
        match self {
            Self::Open => Ok(Vec::new()),
            Self::Recipients(recipients) => Ok(recipients.clone()),
            Self::Passphrase(passphrase) => {
                let key = x25519::Identity::generate();
                let path = dir.join(KEY_FILE);
                let lock = scrypt::Recipient::new(SecretString::from(passphrase.expose().clone()));
                let file = super::sets::private_file(&path)?;
                let text = key.to_string();
                write_sealed(file, &lock, text.expose_secret().as_bytes())
                    .map_err(BackupError::io(&path))?;
                Ok(vec![key.to_public()])
            }
        }
    }
}

fn write_sealed(file: File, lock: &scrypt::Recipient, content: &[u8]) -> io::Result<()> {
    let mut writer = encryptor(&[lock as &dyn Recipient])?.wrap_output(file)?;
    writer.write_all(content)?;
    writer.finish()?.sync_all()
}

/// An encryptor for these.
pub(super) fn encryptor(recipients: &[&dyn Recipient]) -> io::Result<Encryptor> {
    Encryptor::with_recipients(recipients.iter().copied()).map_err(io::Error::other)
}

/// The content of an encrypted file.
pub(super) fn decrypted<R: Read>(
    reader: R,
    keys: &[x25519::Identity],
) -> io::Result<impl Read + use<R>> {
    let decryptor = Decryptor::new(reader).map_err(told)?;
    decryptor
        .decrypt(keys.iter().map(|key| key as &dyn Identity))
        .map_err(told)
}

fn told(error: age::DecryptError) -> io::Error {
    use age::DecryptError;
    let text = match error {
        DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed => {
            "the key doesn't fit".to_owned()
        }
        DecryptError::Io(error) => return error,
        other => other.to_string(),
    };
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

impl Keys {
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.passphrase.is_none()
    }

    /// The secret keys that open the set in `dir`: the ones that were given, or the one that the passphrase opens.
    pub(super) fn of(&self, dir: &Path) -> io::Result<Vec<x25519::Identity>> {
        let path = dir.join(KEY_FILE);
        let Some(passphrase) = self.passphrase.as_ref().filter(|_| path.exists()) else {
            return Ok(self.identities.clone());
        };
        let mut key = scrypt::Identity::new(SecretString::from(passphrase.expose().clone()));
        key.set_max_work_factor(MOST_WORK);
        let decryptor = Decryptor::new(File::open(&path)?).map_err(told)?;
        let mut reader = decryptor
            .decrypt(std::iter::once(&key as &dyn Identity))
            .map_err(|error| match error {
                age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed => {
                    io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        "the passphrase doesn't fit",
                    )
                }
                other => told(other),
            })?;
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        let text = Secret::new(text);
        identities(text.expose()).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
    }
}
