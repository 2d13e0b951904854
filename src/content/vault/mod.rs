//! What ansible-vault encrypts: whole files, and single values tagged `!vault`. Both ways, byte for byte readable by
//! Ansible and readable from it. Where passwords come from (files, scripts, prompts) is `cli`'s affair.

mod cipher;
mod envelope;
mod keyring;
mod sealed;

pub use envelope::{Envelope, is_encrypted};
pub use keyring::{DEFAULT_ID, Key, Keyring};
pub use sealed::Sealed;

/// Why something can't be decrypted or encrypted. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("input is not vault encrypted data")]
    NotEncrypted,
    #[error("the vault is damaged: {0}")]
    Damaged(&'static str),
    #[error("vault format {0} isn't known: 1.1 and 1.2 are")]
    Version(String),
    #[error("the cipher {0} isn't known: AES256 is")]
    Cipher(String),
    #[error("Attempting to decrypt but no vault secrets found")]
    NoSecrets,
    /// The ids of the secrets that were tried.
    #[error("Decryption failed (no vault secrets were found that could decrypt)")]
    Wrong(Vec<String>),
    #[error("what was decrypted isn't UTF-8 text")]
    NotText,
}

impl VaultError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSecrets => Some(
                "give the password: --ask-vault-pass, --vault-password-file FILE or --vault-id LABEL@SOURCE".to_owned(),
            ),
            Self::Wrong(tried) => Some(format!("secrets tried: {}", tried.join(", "))),
            Self::Damaged(_) => Some("restore the file, or encrypt the value again".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
