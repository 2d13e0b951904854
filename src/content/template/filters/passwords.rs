//! `password_hash`: the hashes of crypt(3) with SHA-512, SHA-256, MD5 and bcrypt, as passlib makes them.
//! Algorithms: <https://www.akkadia.org/drepper/SHA-crypt.txt>, and FreeBSD's MD5-crypt.

use super::text::like;
use super::{Filter, bcrypt, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, optional_int, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use md5::Md5;
use rand::Rng;
use sha2::{Digest, Sha256, Sha512};

pub(super) const FILTERS: &[Filter] = &[filter(
    "password_hash",
    password_hash,
    (
        "'secret' | password_hash('md5', 'saltsalt')",
        "'$1$saltsalt$9xy1btjgzLYfb7hivXtC//'",
    ),
)];

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn password_hash(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let names = ["hashtype", "salt", "salt_size", "rounds", "ident"];
    let [kind, salt, size, rounds, ident] = args.bind("password_hash", names)?;
    let kind = kind.map_or_else(|| Ok("sha512".to_owned()), |kind| text_of(&kind))?;
    let secret = text_of(value)?;
    if matches!(kind.as_str(), "bcrypt" | "blowfish") {
        let given = |value: Option<Value>| value.filter(|value| !matches!(value, Value::None));
        let wanted = bcrypt::Wanted {
            salt: given(salt).map(|salt| text_of(&salt)).transpose()?,
            rounds: optional_int("rounds", rounds)?,
            ident: given(ident).map(|ident| text_of(&ident)).transpose()?,
        };
        interp.trail.changing |= wanted.salt.is_none();
        return Ok(like(value, bcrypt::hash(secret.as_bytes(), &wanted)?));
    }
    let (longest, default_rounds) = match kind.trim_end_matches("_crypt") {
        "sha512" => (16, 656_000),
        "sha256" => (16, 535_000),
        "md5" => (8, 0),
        other => {
            return Err(
                TemplateError::new(format!("password_hash() has no hash '{other}' here"))
                    .hint("Known: sha512, sha256, md5, bcrypt."),
            );
        }
    };
    let salt = match salt {
        Some(salt) if !matches!(salt, Value::None) => text_of(&salt)?,
        _ => {
            interp.trail.changing = true;
            let size = optional_int("salt_size", size)?.unwrap_or(longest);
            random_salt(usize::try_from(size).unwrap_or(0))
        }
    };
    let valid = salt.bytes().all(|byte| DIGITS.contains(&byte));
    if !valid || salt.len() > usize::try_from(longest).unwrap_or(0) {
        return Err(TemplateError::new(format!(
            "the salt of {kind} is at most {longest} characters of letters, digits, `.` and `/`"
        )));
    }
    let rounds = optional_int("rounds", rounds)?.unwrap_or(default_rounds);
    let (secret, salt) = (secret.as_bytes(), salt.as_str());
    if kind.starts_with("md5") {
        return Ok(like(value, md5_crypt(secret, salt)));
    }
    let Some(rounds) = u32::try_from(rounds)
        .ok()
        .filter(|rounds| (1000..=999_999_999).contains(rounds))
    else {
        return Err(TemplateError::new(format!(
            "{kind} takes 1000 to 999999999 rounds, not {rounds}"
        )));
    };
    Ok(like(
        value,
        match kind.starts_with("sha512") {
            true => sha_crypt::<Sha512>("6", secret, salt, rounds, &ORDER_512),
            false => sha_crypt::<Sha256>("5", secret, salt, rounds, &ORDER_256),
        },
    ))
}

fn random_salt(size: usize) -> String {
    let mut random = rand::rng();
    (0..size)
        .map(|_| char::from(DIGITS[random.random_range(0..DIGITS.len())]))
        .collect()
}

/// Three bytes (the first the highest) as some digits, the lowest first.
fn digits(out: &mut String, bytes: [u8; 3], count: usize) {
    let mut word = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
    for _ in 0..count {
        out.push(char::from(
            DIGITS[usize::try_from(word & 0x3f).unwrap_or(0)],
        ));
        word >>= 6;
    }
}

/// How many bytes of each rotation of three, and the order in which the bytes are written.
type Order = ([usize; 3], [usize; 3], usize, usize);

/// First triple, how a triple follows from the one before, how many there are, digits of the rest.
const ORDER_512: Order = ([0, 21, 42], [1, 2, 0], 63, 2);
const ORDER_256: Order = ([0, 10, 20], [2, 0, 1], 30, 3);

/// SHA-crypt over either digest.
fn sha_crypt<D: Digest>(id: &str, secret: &[u8], salt: &str, rounds: u32, order: &Order) -> String {
    let salt = salt.as_bytes();
    let repeated =
        |bytes: &[u8], len: usize| -> Vec<u8> { bytes.iter().copied().cycle().take(len).collect() };
    let other = D::new()
        .chain_update(secret)
        .chain_update(salt)
        .chain_update(secret)
        .finalize();
    let mut first = D::new().chain_update(secret).chain_update(salt);
    first.update(repeated(&other, secret.len()));
    let mut bits = secret.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &other[..] } else { secret });
        bits >>= 1;
    }
    let mut digest = first.finalize();
    let mut all = D::new();
    for _ in 0..secret.len() {
        all.update(secret);
    }
    let secret_bytes = repeated(&all.finalize(), secret.len());
    let mut all = D::new();
    for _ in 0..16 + usize::from(digest[0]) {
        all.update(salt);
    }
    let salt_bytes = repeated(&all.finalize(), salt.len());
    for round in 0..rounds {
        let odd = round & 1 == 1;
        let mut next = D::new();
        next.update(if odd { &secret_bytes[..] } else { &digest[..] });
        if round % 3 != 0 {
            next.update(&salt_bytes);
        }
        if round % 7 != 0 {
            next.update(&secret_bytes);
        }
        next.update(if odd { &digest[..] } else { &secret_bytes[..] });
        digest = next.finalize();
    }
    let mut out = format!("${id}$");
    if rounds != 5000 {
        out.push_str(&format!("rounds={rounds}$"));
    }
    out.push_str(&String::from_utf8_lossy(salt));
    out.push('$');
    let (mut triple, turn, whole, rest) = *order;
    for _ in 0..whole / 3 {
        digits(&mut out, triple.map(|at| digest[at]), 4);
        triple = turn.map(|from| triple[from] + 1);
    }
    let last = if digest.len() > 32 {
        [0, 0, digest[63]]
    } else {
        [0, digest[31], digest[30]]
    };
    digits(&mut out, last, rest);
    out
}

fn md5_crypt(secret: &[u8], salt: &str) -> String {
    let salt = salt.as_bytes();
    let other = Md5::new()
        .chain_update(secret)
        .chain_update(salt)
        .chain_update(secret)
        .finalize();
    let mut first = Md5::new()
        .chain_update(secret)
        .chain_update(b"$1$")
        .chain_update(salt);
    first.update(
        other
            .iter()
            .copied()
            .cycle()
            .take(secret.len())
            .collect::<Vec<u8>>(),
    );
    let mut bits = secret.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0] } else { &secret[..1] });
        bits >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..1000 {
        let odd = round & 1 == 1;
        let mut next = Md5::new();
        next.update(if odd { secret } else { &digest[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(secret);
        }
        next.update(if odd { &digest[..] } else { secret });
        digest = next.finalize();
    }
    let mut out = format!("$1${}$", String::from_utf8_lossy(salt));
    for at in 0..5 {
        let last = if at == 4 { 5 } else { at + 12 };
        digits(&mut out, [digest[at], digest[at + 6], digest[last]], 4);
    }
    digits(&mut out, [0, 0, digest[11]], 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_crypt() {
        assert_eq!(
            sha_crypt::<Sha512>("6", b"secret", "saltsalt", 1000, &ORDER_512),
            "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/"
        );
        assert_eq!(
            sha_crypt::<Sha256>("5", b"Hello world!", "saltstring", 5000, &ORDER_256),
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
        );
        assert_eq!(
            md5_crypt(b"secret", "saltsalt"),
            "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"
        );
    }
}
