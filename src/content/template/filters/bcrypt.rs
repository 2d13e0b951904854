//! bcrypt, as `password_hash('bcrypt')` makes it. Algorithm: Provos and Mazières, "A Future-Adaptable Password Scheme",
//! 1999; the forms `2a`, `2b` and `2y` are the same for secrets in UTF-8 of up to 72 bytes.

use crate::content::template::TemplateError;
use crate::content::template::eval::Outcome;
use blowfish::Blowfish;
use rand::Rng;

/// The digits of bcrypt's base64.
const DIGITS: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Digits of a salt; the last of them carries two bits.
const SALT: usize = 22;

/// Secrets are cut at this many bytes, the zero at their end included.
const LONGEST: usize = 72;

/// What ansible-core takes where nothing is said.
const ROUNDS: i64 = 12;

/// What the filter was told.
pub(super) struct Wanted {
    pub salt: Option<String>,
    /// Logarithm of the number of rounds, 4 to 31.
    pub rounds: Option<i64>,
    pub ident: Option<String>,
}

/// The hash with its ident, rounds and salt: `$2b$12$…`.
pub(super) fn hash(secret: &[u8], wanted: &Wanted) -> Outcome<String> {
    let ident = wanted.ident.as_deref().unwrap_or("2b");
    if !matches!(ident, "2a" | "2b" | "2y") {
        return Err(
            TemplateError::new(format!("bcrypt has no ident '{ident}'")).hint("Known: 2a, 2b, 2y.")
        );
    }
    let rounds = wanted.rounds.unwrap_or(ROUNDS);
    let Some(cost) = u32::try_from(rounds)
        .ok()
        .filter(|rounds| (4..=31).contains(rounds))
    else {
        return Err(TemplateError::new(format!(
            "bcrypt takes 4 to 31 rounds (as a power of two), not {rounds}"
        )));
    };
    if secret.contains(&0) {
        return Err(TemplateError::new(
            "bcrypt takes no secret that holds a zero byte",
        ));
    }
    let salt = match &wanted.salt {
        Some(salt) => decode(salt)?,
        None => rand::rng().random(),
    };
    let sum = digest(secret, salt, cost);
    let (salt, sum) = (encode(&salt), encode(&sum[..23]));
    Ok(format!("${ident}${cost:02}${salt}{sum}"))
}

fn digest(secret: &[u8], salt: [u8; 16], cost: u32) -> [u8; 24] {
    let mut key = secret.to_vec();
    key.push(0);
    key.truncate(LONGEST);
    let mut cipher: Blowfish = Blowfish::bc_init_state();
    cipher.salted_expand_key(&salt, &key);
    for _ in 0..1_u64 << cost {
        cipher.bc_expand_key(&key);
        cipher.bc_expand_key(&salt);
    }
    let mut words: [u32; 6] = [0; 6];
    for (word, bytes) in words.iter_mut().zip(b"OrpheanBeholderScryDoubt".chunks(4)) {
        *word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    for pair in words.chunks_mut(2) {
        for _ in 0..64 {
            let [left, right] = cipher.bc_encrypt([pair[0], pair[1]]);
            pair[0] = left;
            pair[1] = right;
        }
    }
    let mut sum = [0; 24];
    for (bytes, word) in sum.chunks_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    sum
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let mut word = 0_u32;
        for at in 0..3 {
            word = word << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for digit in 0..=group.len() {
            let value = word >> (18 - 6 * digit) & 0x3f;
            out.push(char::from(DIGITS[usize::try_from(value).unwrap_or(0)]));
        }
    }
    out
}

fn decode(text: &str) -> Outcome<[u8; 16]> {
    let wrong = || {
        TemplateError::new(format!(
            "the salt of bcrypt is {SALT} characters of letters, digits, `.` and `/`"
        ))
    };
    if text.len() != SALT {
        return Err(wrong());
    }
    let (mut word, mut bits, mut bytes) = (0_u32, 0, Vec::new());
    for byte in text.bytes() {
        let value = DIGITS.iter().position(|digit| *digit == byte);
        let value = value.and_then(|value| u32::try_from(value).ok());
        word = word << 6 | value.ok_or_else(wrong)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(word >> bits & 0xff).unwrap_or(0));
        }
    }
    bytes.truncate(16);
    bytes.try_into().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::{Wanted, hash};

    /// Vectors of the Openwall implementation (crypt_blowfish, wrapper.c).
    #[test]
    fn published_hashes_come_out() {
        for (secret, expected) in [
            (
                "U*U",
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            ),
            (
                "U*U*",
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
            ),
            (
                "U*U*U",
                "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
            ),
        ] {
            let wanted = Wanted {
                salt: Some(expected[7..29].to_owned()),
                rounds: Some(5),
                ident: Some("2a".to_owned()),
            };
            assert_eq!(hash(secret.as_bytes(), &wanted).unwrap(), expected);
        }
    }

    #[test]
    fn what_bcrypt_cannot_take_is_refused() {
        let wanted = |salt: &str, rounds| Wanted {
            salt: Some(salt.to_owned()),
            rounds: Some(rounds),
            ident: None,
        };
        for (salt, rounds) in [
            ("short", 4),
            ("CCCCCCCCCCCCCCCCCCCCC!", 4),
            ("CCCCCCCCCCCCCCCCCCCCC.", 3),
        ] {
            assert!(
                hash(b"x", &wanted(salt, rounds)).is_err(),
                "{salt} {rounds}"
            );
        }
        assert!(hash(b"a\0b", &wanted("CCCCCCCCCCCCCCCCCCCCC.", 4)).is_err());
        let by_chance = Wanted {
            salt: None,
            rounds: Some(4),
            ident: None,
        };
        assert_eq!(hash(b"x", &by_chance).unwrap().len(), 60);
    }
}
