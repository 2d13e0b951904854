//! Private keys: made, read and used for signing by the host's openssl, which gets them by standard input. A key is never
//! an argument of a program, and in a file only where it is meant to be.

use super::der::{self, Reader};
use super::oids::{CURVES, SIGNATURES};
use crate::files::{Scratch, write_new};
use crate::{Context, Failure, Output, Process, files};
use serde_json::{Map, Value, json};
use sha1::Digest;
use std::path::Path;

/// The name under which openssl finds a passphrase in its environment.
const PASSPHRASE: &str = "KOPSRUN_PASSPHRASE";

/// A private key as text, and what opens it.
pub(super) struct Key {
    pub(super) text: String,
    pub(super) passphrase: Option<String>,
}

impl Key {
    /// From a file, or as it was given.
    pub(super) fn read(
        cx: &Context,
        path: Option<&str>,
        content: Option<&str>,
        passphrase: Option<&str>,
    ) -> Result<Self, Failure> {
        let text = match (path, content) {
            (Some(path), _) => {
                let path = cx.expand(path);
                std::fs::read_to_string(&path)
                    .map_err(|error| Failure::io("the private key can't be read:", &path, &error))?
            }
            (None, Some(content)) => content.to_owned(),
            (None, None) => {
                return Err(Failure::new(
                    "a private key is needed: privatekey_path or privatekey_content",
                ));
            }
        };
        Ok(Self {
            text,
            passphrase: passphrase.map(ToOwned::to_owned),
        })
    }

    /// openssl that reads this key by standard input.
    fn openssl<'a>(&self, cx: &'a Context, args: &[&str]) -> Result<Process<'a>, Failure> {
        let passphrase = self.passphrase.as_deref().unwrap_or_default();
        Ok(openssl(cx)?
            .args(args)
            .args(["-passin", &format!("env:{PASSPHRASE}")])
            .env(PASSPHRASE, passphrase)
            .stdin(self.text.clone().into_bytes()))
    }

    /// Its public key (SubjectPublicKeyInfo).
    pub(super) fn public(&self, cx: &Context) -> Result<Vec<u8>, Failure> {
        let output = self
            .openssl(cx, &["pkey", "-pubout", "-outform", "DER"])?
            .run()?;
        checked(output, "the private key can't be read").map(|output| output.stdout)
    }

    /// The identifier of the algorithm by which it signs.
    pub(super) fn algorithm(&self, public: &[u8], digest: &str) -> Result<Vec<u8>, Failure> {
        algorithm(public, digest).map(|(algorithm, _)| algorithm)
    }

    /// Signs, and says by which algorithm.
    pub(super) fn sign(
        &self,
        cx: &Context,
        public: &[u8],
        body: &[u8],
        digest: &str,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let (algorithm, digest) = algorithm(public, digest)?;
        let place = scratch()?;
        let file = place.join("body");
        write(&file, body)?;
        let mut args = vec!["pkeyutl", "-sign", "-rawin", "-inkey", "/dev/stdin"];
        if !digest.is_empty() {
            args.extend(["-digest", digest]);
        }
        let output = self.openssl(cx, &args)?.arg("-in").arg(&file).run()?;
        let signature = checked(output, "openssl can't sign with the private key")?.stdout;
        Ok((algorithm, signature))
    }

    /// The same key in another shape: `-traditional`, encrypted.
    pub(super) fn converted(
        &self,
        cx: &Context,
        traditional: bool,
        passphrase: Option<&str>,
    ) -> Result<String, Failure> {
        let mut args = vec!["pkey"];
        if traditional {
            args.push("-traditional");
        }
        let mut process = self.openssl(cx, &args)?;
        if let Some(passphrase) = passphrase {
            let name = "KOPSRUN_NEW_PASSPHRASE";
            process = process
                .args(["-aes256", "-passout", &format!("env:{name}")])
                .env(name, passphrase);
        }
        let output = checked(process.run()?, "openssl can't write the private key")?;
        Ok(output.stdout_text())
    }
}

fn openssl(cx: &Context) -> Result<Process<'_>, Failure> {
    let program = cx.find_program("openssl").ok_or_else(no_openssl)?;
    Ok(cx.process(program).system())
}

pub(super) fn no_openssl() -> Failure {
    Failure::new("there is no openssl on this host: install the package openssl")
}

fn scratch() -> Result<Scratch, Failure> {
    Scratch::new(false)
        .map_err(|error| Failure::new(format!("there is no directory for openssl: {error}")))
}

fn write(path: &Path, mut content: &[u8]) -> Result<(), Failure> {
    write_new(path, 0o600, &mut content).map_err(|error| Failure::io("cannot write", path, &error))
}

/// What openssl says of a failure, without what it printed: that may be a key.
fn checked(output: Output, what: &str) -> Result<Output, Failure> {
    if output.ok() {
        return Ok(output);
    }
    let said = output.stderr_text();
    let line = said
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("openssl didn't say why");
    Err(Failure::new(format!("{what}: {line}")).with("rc", output.rc))
}

/// A new key in PKCS #8. `curve` for ECC, `size` for RSA.
pub(super) fn generate(
    cx: &Context,
    kind: &str,
    size: u64,
    curve: Option<&str>,
) -> Result<Key, Failure> {
    let mut args = vec!["genpkey".to_owned(), "-algorithm".to_owned()];
    match kind {
        "RSA" => args.extend([
            "RSA".to_owned(),
            "-pkeyopt".to_owned(),
            format!("rsa_keygen_bits:{size}"),
        ]),
        "ECC" => {
            let name = curve.unwrap_or_default();
            let known = CURVES.iter().find(|(_, known, ..)| *known == name);
            let name = known.map_or(name, |(.., openssl)| openssl);
            args.extend([
                "EC".to_owned(),
                "-pkeyopt".to_owned(),
                format!("ec_paramgen_curve:{name}"),
            ]);
            args.extend(["-pkeyopt".to_owned(), "ec_param_enc:named_curve".to_owned()]);
        }
        other => args.push(other.to_owned()),
    }
    let output = openssl(cx)?.args(&args).run()?;
    let text = checked(output, "openssl can't make the private key")?.stdout_text();
    Ok(Key {
        text,
        passphrase: None,
    })
}

/// The identifier of the algorithm with which a key signs, and the digest that openssl is told.
fn algorithm<'a>(public: &[u8], digest: &'a str) -> Result<(Vec<u8>, &'a str), Failure> {
    let about = about(public);
    let kind = about["type"].as_str().unwrap_or_default();
    let wanted = |start: &str, digest: &str| -> Result<Vec<u8>, Failure> {
        let found = SIGNATURES
            .iter()
            .find(|(_, name, known)| *known == digest && name.to_lowercase().contains(start));
        let (oid, ..) = found.ok_or_else(|| {
            Failure::new(format!("the digest {digest:?} isn't supported (known: sha1, sha224, sha256, sha384, sha512)"))
        })?;
        Ok(der::oid(oid).unwrap_or_default())
    };
    let null = vec![5, 0];
    Ok(match kind {
        "RSA" => (
            der::holding(der::SEQUENCE, &[wanted("rsa", digest)?, null]),
            digest,
        ),
        "ECC" => (
            der::holding(der::SEQUENCE, &[wanted("ecdsa", digest)?]),
            digest,
        ),
        "Ed25519" | "Ed448" => {
            let oid = if kind == "Ed25519" {
                "1.3.101.112"
            } else {
                "1.3.101.113"
            };
            (
                der::holding(der::SEQUENCE, &[der::oid(oid).unwrap_or_default()]),
                "",
            )
        }
        other => return Err(Failure::new(format!("a key of type {other} can't sign"))),
    })
}

/// Whether a signature was made by the owner of a public key.
pub(super) fn verifies(
    cx: &Context,
    public: &[u8],
    algorithm: &str,
    body: &[u8],
    signature: &[u8],
) -> Result<bool, Failure> {
    let Some((.., digest)) = SIGNATURES.iter().find(|(oid, ..)| *oid == algorithm) else {
        return Err(Failure::new(format!(
            "the signature algorithm {algorithm} isn't supported"
        )));
    };
    let place = scratch()?;
    let (data, signed, key) = (
        place.join("body"),
        place.join("signature"),
        place.join("key"),
    );
    write(&data, body)?;
    write(&signed, signature)?;
    write(&key, der::to_pem("PUBLIC KEY", public).as_bytes())?;
    let mut process = openssl(cx)?
        .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"])
        .arg(&key);
    if !digest.is_empty() {
        process = process.args(["-digest", digest]);
    }
    Ok(process
        .arg("-sigfile")
        .arg(&signed)
        .arg("-in")
        .arg(&data)
        .run()?
        .ok())
}

/// `type` and `data` of a public key: what it is and its numbers; `size` and `curve` in `data`.
pub(super) fn about(public: &[u8]) -> Value {
    let read = || -> Option<Value> {
        let mut outer = Reader(public).if_tag(der::SEQUENCE)?.inside();
        let mut algorithm = outer.if_tag(der::SEQUENCE)?.inside();
        let oid = der::dotted(algorithm.if_tag(der::OID)?.content);
        let bits = outer.if_tag(der::BITS)?.content.get(1..)?;
        Some(match oid.as_str() {
            "1.2.840.113549.1.1.1" => {
                let mut numbers = Reader(bits).if_tag(der::SEQUENCE)?.inside();
                let modulus = numbers.if_tag(der::INTEGER)?.content;
                let exponent = numbers.if_tag(der::INTEGER)?.content;
                let plain: Vec<u8> = modulus
                    .iter()
                    .copied()
                    .skip_while(|digit| *digit == 0)
                    .collect();
                let size = plain.len() * 8
                    - plain
                        .first()
                        .map_or(0, |first| first.leading_zeros() as usize);
                let data = json!({"modulus": der::number(modulus), "exponent": der::number(exponent), "size": size});
                json!({"type": "RSA", "data": data})
            }
            "1.2.840.10045.2.1" => {
                let curve = der::dotted(algorithm.if_tag(der::OID)?.content);
                let known = CURVES.iter().find(|(oid, ..)| *oid == curve);
                let (name, size) =
                    known.map_or((curve.as_str(), 0), |(_, name, size, _)| (*name, *size));
                let point = bits.get(1..)?;
                let (x, y) = point.split_at(point.len() / 2);
                let data = json!({"curve": name, "exponent_size": size, "x": der::number(x), "y": der::number(y)});
                json!({"type": "ECC", "data": data})
            }
            "1.3.101.110" => json!({"type": "X25519", "data": {}}),
            "1.3.101.111" => json!({"type": "X448", "data": {}}),
            "1.3.101.112" => json!({"type": "Ed25519", "data": {}}),
            "1.3.101.113" => json!({"type": "Ed448", "data": {}}),
            _ => json!({"type": format!("unknown ({oid})"), "data": {}}),
        })
    };
    read().unwrap_or_else(|| json!({"type": "unknown", "data": {}}))
}

/// Hashes of something by algorithm, with colons.
pub(super) fn fingerprints(bytes: &[u8]) -> Value {
    let colons = |hash: &[u8]| {
        let parts: Vec<String> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Value::from(parts.join(":"))
    };
    let mut all = Map::new();
    all.insert("md5".to_owned(), colons(&md5::Md5::digest(bytes)));
    all.insert("sha1".to_owned(), colons(&sha1::Sha1::digest(bytes)));
    all.insert("sha224".to_owned(), colons(&sha2::Sha224::digest(bytes)));
    all.insert("sha256".to_owned(), colons(&sha2::Sha256::digest(bytes)));
    all.insert("sha384".to_owned(), colons(&sha2::Sha384::digest(bytes)));
    all.insert("sha512".to_owned(), colons(&sha2::Sha512::digest(bytes)));
    Value::Object(all)
}

/// SHA-1 of the bits of a public key, as keys are identified (RFC 5280, 4.2.1.2).
pub(super) fn identifier(public: &[u8]) -> Vec<u8> {
    let bits = Reader(public)
        .if_tag(der::SEQUENCE)
        .and_then(|outer| outer.inside().find(|item| item.tag == der::BITS))
        .and_then(|bits| bits.content.get(1..));
    sha1::Sha1::digest(bits.unwrap_or_default()).to_vec()
}

/// Random bytes of the kernel; without them nothing secret may be made.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| std::io::Read::read_exact(&mut source, &mut bytes))
        .map_err(|error| Failure::io("cannot read", Path::new("/dev/urandom"), &error))?;
    Ok(bytes)
}

/// `a1:b2:…`.
pub(super) fn colons(bytes: &[u8]) -> String {
    let hex = files::hex(bytes);
    let pairs: Vec<&str> = hex
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| std::str::from_utf8(pair).ok())
        .collect();
    pairs.join(":")
}
