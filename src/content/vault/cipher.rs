//! The cipher that Ansible calls AES256: AES-256 in counter mode with PKCS #7 padding, authenticated by HMAC-SHA-256
//! over the ciphertext; both keys and the counter's start come from PBKDF2-HMAC-SHA-256 over the password.

use super::VaultError;
use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Rounds of PBKDF2, as the format fixes them.
const ROUNDS: u32 = 10_000;
const KEY: usize = 32;
const BLOCK: usize = 16;
/// Bytes of salt that are drawn for each encryption.
pub const SALT: usize = 32;

/// What is stored: salt, HMAC and ciphertext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    pub salt: Vec<u8>,
    pub mac: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

/// Key of the cipher, key of the HMAC, start of the counter.
struct Keys(Zeroizing<[u8; KEY + KEY + BLOCK]>);

impl Keys {
    fn derive(password: &[u8], salt: &[u8]) -> Self {
        let mut keys = Zeroizing::new([0; KEY + KEY + BLOCK]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, ROUNDS, &mut keys[..]);
        Self(keys)
    }

    fn apply(&self, bytes: &mut [u8]) -> Result<(), VaultError> {
        let mut cipher = Ctr128BE::<Aes256>::new_from_slices(&self.0[..KEY], &self.0[KEY + KEY..])
            .map_err(|_| VaultError::Damaged("keys of a wrong length"))?;
        cipher.apply_keystream(bytes);
        Ok(())
    }

    fn mac(&self, ciphertext: &[u8]) -> Result<Hmac<Sha256>, VaultError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[KEY..KEY + KEY])
            .map_err(|_| VaultError::Damaged("keys of a wrong length"))?;
        mac.update(ciphertext);
        Ok(mac)
    }
}

/// Encrypts under a password with the salt given, which must never be used twice.
pub fn seal(plain: &[u8], password: &[u8], salt: Vec<u8>) -> Result<Sealing, VaultError> {
    let keys = Keys::derive(password, &salt);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut ciphertext = Vec::with_capacity(plain.len() + padding);
    ciphertext.extend_from_slice(plain);
    ciphertext.resize(plain.len() + padding, u8::try_from(padding).unwrap_or(0));
    keys.apply(&mut ciphertext)?;
    let mac = keys.mac(&ciphertext)?.finalize().into_bytes().to_vec();
    Ok(Sealing {
        salt,
        mac,
        ciphertext,
    })
}

/// Decrypts. None: the password is another one (or the ciphertext was changed).
pub fn open(sealing: &Sealing, password: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let keys = Keys::derive(password, &sealing.salt);
    if keys
        .mac(&sealing.ciphertext)?
        .verify_slice(&sealing.mac)
        .is_err()
    {
        return Ok(None);
    }
    let mut plain = Zeroizing::new(sealing.ciphertext.clone());
    keys.apply(&mut plain)?;
    let padding = plain.last().copied().map_or(0, usize::from);
    if padding == 0 || padding > BLOCK || padding > plain.len() {
        return Err(VaultError::Damaged("wrong padding"));
    }
    let length = plain.len() - padding;
    if plain[length..]
        .iter()
        .any(|byte| usize::from(*byte) != padding)
    {
        return Err(VaultError::Damaged("wrong padding"));
    }
    plain.truncate(length);
    Ok(Some(plain))
}
