//! The public key of a private one, to see whether a certificate is its own. Keys as OpenSSL and Go write them: PKCS #1, SEC 1
//! (RFC 5915) and PKCS #8.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RsaKeyPair,
};

/// The bits of the public key, as they stand in a certificate; None for a form or an algorithm that isn't read here.
pub(super) fn public_key(label: &str, der: &[u8]) -> Option<Vec<u8>> {
    match label {
        "RSA PRIVATE KEY" => rsa(RsaKeyPair::from_der(der)),
        "EC PRIVATE KEY" => sec1(der),
        "PRIVATE KEY" => pkcs8(der),
        _ => None,
    }
}

fn rsa(pair: Result<RsaKeyPair, ring::error::KeyRejected>) -> Option<Vec<u8>> {
    pair.ok().map(|pair| pair.public_key().as_ref().to_vec())
}

fn pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let curves = [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
    ];
    let curve = |curve| EcdsaKeyPair::from_pkcs8(curve, der, &random).ok();
    rsa(RsaKeyPair::from_pkcs8(der))
        .or_else(|| {
            let pair = curves.into_iter().find_map(curve)?;
            Some(pair.public_key().as_ref().to_vec())
        })
        .or_else(|| {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
            Some(pair.public_key().as_ref().to_vec())
        })
}

/// ECPrivateKey ::= SEQUENCE { version, privateKey, parameters [0], publicKey [1] BIT STRING }
fn sec1(der: &[u8]) -> Option<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    const PUBLIC_KEY: u8 = 0xa1;
    const BIT_STRING: u8 = 0x03;
    let (tag, mut inside, _) = element(der)?;
    if tag != SEQUENCE {
        return None;
    }
    while !inside.is_empty() {
        let (tag, content, rest) = element(inside)?;
        inside = rest;
        if tag == PUBLIC_KEY {
            let (tag, bits, _) = element(content)?;
            // The first byte counts unused bits.
            return (tag == BIT_STRING).then(|| bits.get(1..).map(<[u8]>::to_vec))?;
        }
    }
    None
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short if short < 0x80 => (usize::from(short), rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = bytes.iter().try_fold(0usize, |n, b| {
                n.checked_mul(256)?.checked_add(usize::from(*b))
            })?;
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}
