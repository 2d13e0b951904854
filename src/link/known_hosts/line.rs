//! One line of a file of known hosts.

use crate::link::error::KnownAs;
use crate::link::pattern;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{HashAlg, PublicKey};
use sha1::Sha1;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::link) enum Marker {
    CertAuthority,
    Revoked,
}

/// The names of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::link) enum Names {
    Patterns(Vec<String>),
    /// `|1|salt|hash`: HMAC-SHA-1 of one name.
    Hashed {
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

#[derive(Debug, Clone)]
pub(in crate::link) struct Line {
    pub marker: Option<Marker>,
    pub names: Names,
    pub key: PublicKey,
    pub file: PathBuf,
    /// Counted from 1.
    pub number: usize,
}

/// The fields of a line before its key is understood.
pub(super) struct Fields<'a> {
    pub marker: Option<&'a str>,
    pub names: &'a str,
    /// Key type, key, comment.
    pub rest: &'a str,
}

/// None: blank, a comment, or too short.
pub(super) fn fields(line: &str) -> Option<Fields<'_>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (first, rest) = word(line)?;
    if first.starts_with('@') {
        let (names, rest) = word(rest)?;
        return Some(Fields {
            marker: Some(first),
            names,
            rest,
        });
    }
    Some(Fields {
        marker: None,
        names: first,
        rest,
    })
}

fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once([' ', '\t'])?;
    Some((word, rest.trim_start()))
}

impl Line {
    /// None: no line that we can use (blank, comment, unknown marker or key type, broken).
    pub(in crate::link) fn parse(line: &str, file: &Path, number: usize) -> Option<Self> {
        let fields = fields(line)?;
        let marker = match fields.marker {
            None => None,
            Some("@cert-authority") => Some(Marker::CertAuthority),
            Some("@revoked") => Some(Marker::Revoked),
            Some(_) => return None,
        };
        let mut rest = fields.rest.split_ascii_whitespace();
        let (algorithm, blob) = (rest.next()?, rest.next()?);
        let key = PublicKey::from_bytes(&STANDARD.decode(blob).ok()?).ok()?;
        if key.algorithm().as_str() != algorithm {
            return None;
        }
        Some(Self {
            marker,
            names: Names::parse(fields.names)?,
            key,
            file: file.to_owned(),
            number,
        })
    }

    /// `name` in lower case: `node1` or `[node1]:2222`.
    pub(in crate::link) fn is_for(&self, name: &str) -> bool {
        match &self.names {
            Names::Patterns(patterns) => {
                pattern::list_matches(patterns.iter().map(String::as_str), name)
            }
            Names::Hashed { salt, hash } => hash_name(salt, name) == *hash,
        }
    }

    pub(super) fn known_as(&self) -> KnownAs {
        KnownAs {
            fingerprint: self.key.fingerprint(HashAlg::Sha256).to_string(),
            algorithm: self.key.algorithm().to_string(),
            file: self.file.clone(),
            line: self.number,
        }
    }
}

impl Names {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some(hashed) = text.strip_prefix("|1|") else {
            return Some(Self::Patterns(
                text.split(',').map(str::to_ascii_lowercase).collect(),
            ));
        };
        let (salt, hash) = hashed.split_once('|')?;
        Some(Self::Hashed {
            salt: STANDARD.decode(salt).ok()?,
            hash: STANDARD.decode(hash).ok()?,
        })
    }
}

fn hash_name(salt: &[u8], name: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes keys of any length");
    mac.update(name.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A name as `HashKnownHosts yes` writes it.
pub(super) fn hashed_name(name: &str) -> String {
    let salt: [u8; 20] = rand::random();
    format!(
        "|1|{}|{}",
        STANDARD.encode(salt),
        STANDARD.encode(hash_name(&salt, name))
    )
}
