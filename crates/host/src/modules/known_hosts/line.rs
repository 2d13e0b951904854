//! Lines of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use std::io::Read;

/// SHA-1 works on blocks of this many bytes.
const BLOCK: usize = 64;
/// Length of the salt of a hashed name, that of SHA-1's own result.
const SALT: usize = 20;

/// `[@MARKER] HOSTS TYPE KEY [COMMENT]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    text: String,
    marker: Option<String>,
    hosts: String,
    kind: String,
    key: String,
}

impl Line {
    /// `None` for comments, empty lines and what isn't a key.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let text = line.trim();
        if text.starts_with('#') {
            return None;
        }
        let mut words = text.split_whitespace();
        let mut first = words.next()?;
        let mut marker = None;
        if first.starts_with('@') {
            marker = Some(first.to_owned());
            first = words.next()?;
        }
        Some(Self {
            text: text.to_owned(),
            marker,
            hosts: first.to_owned(),
            kind: words.next()?.to_owned(),
            key: words.next()?.to_owned(),
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn hosts(&self) -> &str {
        &self.hosts
    }

    pub(super) fn is_hashed(&self) -> bool {
        self.hosts.starts_with("|1|")
    }

    /// Whether ssh would use it for this host.
    pub(super) fn is_about(&self, name: &str) -> bool {
        if let Some(hash) = self.hosts.strip_prefix("|1|") {
            let Some((salt, wanted)) = hash.split_once('|') else {
                return false;
            };
            return match (STANDARD.decode(salt), STANDARD.decode(wanted)) {
                (Ok(salt), Ok(wanted)) => hmac(&salt, name.as_bytes())[..] == wanted[..],
                _ => false,
            };
        }
        let mut fits = false;
        for pattern in self.hosts.split(',') {
            match pattern.strip_prefix('!') {
                Some(pattern) if like(pattern, name) => return false,
                None if like(pattern, name) => fits = true,
                _ => {}
            }
        }
        fits
    }

    /// Whether the one takes the place of the other: both have the same marker and are of the same type; with a marker
    /// only the same key.
    pub(super) fn same_kind(&self, other: &Self) -> bool {
        self.marker == other.marker
            && self.kind == other.kind
            && (!self.is_marked() || self.same_key(other))
    }

    /// Of authorities and revoked keys there can be several of a type.
    fn is_marked(&self) -> bool {
        self.marker.is_some()
    }

    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// The line for one host, with a hash in the place of its name.
    pub(super) fn hashed(&self, name: &str) -> String {
        let mut salt = [0; SALT];
        // Without random numbers the hash is as good as any other, only not secret.
        drop(
            std::fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut salt)),
        );
        let hash = hmac(&salt, name.as_bytes());
        let hosts = format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash));
        if self.is_hashed() {
            return self.text.clone();
        }
        self.text.replacen(&self.hosts, &hosts, 1)
    }
}

/// A pattern of ssh: `*` and `?`, letters of either size.
fn like(pattern: &str, name: &str) -> bool {
    fn fits(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skip| fits(rest, &name[skip..])),
            Some((b'?', rest)) => !name.is_empty() && fits(rest, &name[1..]),
            Some((letter, rest)) => {
                name.first()
                    .is_some_and(|first| first.eq_ignore_ascii_case(letter))
                    && fits(rest, &name[1..])
            }
        }
    }
    fits(pattern.as_bytes(), name.as_bytes())
}

/// HMAC with SHA-1 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; SALT] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..SALT].copy_from_slice(&Sha1::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha1::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(text);
    let outer = Sha1::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner.finalize());
    outer.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard() {
        // RFC 2202, cases 1, 2 and 6.
        let hex = |key: &[u8], text: &[u8]| crate::files::hex(&hmac(key, text));
        assert_eq!(
            hex(&[0x0b; 20], b"Hi There"),
            "b617318655057264e28bc0b6fb378c8ef146be00"
        );
        assert_eq!(
            hex(b"Jefe", b"what do ya want for nothing?"),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert_eq!(
            hex(
                &[0xaa; 80],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112"
        );
    }

    #[test]
    fn patterns_are_those_of_ssh() {
        let line = |hosts: &str| Line::parse(&format!("{hosts} ssh-rsa AAAA")).expect("a line");
        assert!(line("a,b").is_about("b") && !line("a,b").is_about("c"));
        assert!(line("*.example.org,!x.example.org").is_about("y.EXAMPLE.org"));
        assert!(!line("*.example.org,!x.example.org").is_about("x.example.org"));
        assert!(line("n?").is_about("n1") && !line("n?").is_about("n"));
        let hashed = Line::parse(&line("n1").hashed("n1")).expect("a line");
        assert!(hashed.is_hashed() && hashed.is_about("n1") && !hashed.is_about("n2"));
    }
}
