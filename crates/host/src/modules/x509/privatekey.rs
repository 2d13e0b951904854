//! `openssl_privatekey`, `openssl_privatekey_pipe` and `openssl_privatekey_info`.

use super::der;
use super::key::{self, Key, about, fingerprints};
use super::output::{self, Target};
use crate::modules::ownership;
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a key is to be.
#[derive(Deserialize)]
struct Wanted {
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    curve: Option<String>,
    passphrase: Option<String>,
    cipher: String,
    format: String,
    format_mismatch: String,
    regenerate: String,
}

#[derive(Deserialize)]
pub struct PrivateKey {
    #[serde(flatten)]
    wanted: Wanted,
    #[serde(flatten)]
    target: Target,
}

#[derive(Deserialize)]
pub struct PrivateKeyPipe {
    #[serde(flatten)]
    wanted: Wanted,
    content: Option<String>,
    content_base64: bool,
    return_current_key: bool,
}

const CURVES: &[&str] = &[
    "secp224r1",
    "secp256k1",
    "secp256r1",
    "secp384r1",
    "secp521r1",
    "secp192r1",
    "brainpoolP256r1",
    "brainpoolP384r1",
    "brainpoolP512r1",
    "sect163k1",
    "sect163r2",
    "sect233k1",
    "sect233r1",
    "sect283k1",
    "sect283r1",
    "sect409k1",
    "sect409r1",
    "sect571k1",
    "sect571r1",
];

const OWN: [Arg; 8] = [
    Arg::new("type", Kind::Str, "Kind of the key.")
        .choices(&["ECC", "Ed25519", "Ed448", "RSA", "X25519", "X448"])
        .default("RSA"),
    Arg::new("size", Kind::Int, "Bits of an RSA key.").default("4096"),
    Arg::new("curve", Kind::Str, "Curve of an ECC key.").choices(CURVES),
    Arg::new("passphrase", Kind::Str, "Encrypts the key, by AES-256."),
    Arg::new("cipher", Kind::Str, "auto; with a passphrase AES-256.").default("auto"),
    Arg::new("format", Kind::Str, "pkcs1 is openssl's traditional one. auto: pkcs1 where the type has it; auto_ignore: the same for new keys, any for one that is there.")
        .choices(&["pkcs1", "pkcs8", "auto", "auto_ignore"])
        .default("auto_ignore"),
    Arg::new("format_mismatch", Kind::Str, "What becomes of a key in another format.")
        .choices(&["regenerate", "convert"])
        .default("regenerate"),
    Arg::new("regenerate", Kind::Str, "never: a key that is there stays whatever it is. fail: it fails if it differs. partial_idempotence: another one if it differs, a failure if it can't be read. full_idempotence: another one in both cases. always.")
        .choices(&["never", "fail", "partial_idempotence", "full_idempotence", "always"])
        .default("full_idempotence"),
];

const RULES: &[Rule] = &[Rule::If("type", "ECC", &["curve"])];
const ALL: [Arg; 23] = join(OWN, join::<7, 8, 15>(output::ARGS, ownership::ARGS));

impl Module for PrivateKey {
    const SPEC: Spec = Spec::new(
        "openssl_privatekey",
        "Makes a private key, by the host's openssl. The file is 0600 unless mode says something else.",
        &ALL,
    )
    .rules(RULES)
    .returns(&[
        Return::new("filename, size, type, curve", "As given."),
        Return::new("fingerprint", "Of the public key, by algorithm; none in check mode for a key that would be made."),
        Return::new("backup_file", "The old file, with backup."),
        Return::new("privatekey", "The key, with return_content."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        self.target.check_directory(cx)?;
        let (content, public) = if self.target.state == "absent" {
            (None, None)
        } else {
            let now = self.target.now(cx)?.filter(|_| !self.target.force);
            self.wanted.content(cx, now)?
        };
        let mut outcome = self
            .target
            .bring(cx, content.as_deref(), 0o600, "privatekey")?;
        // Of the file, not of the key.
        outcome.data.shift_remove("size");
        Ok(self.wanted.tell(outcome, public.as_deref()))
    }
}

const PIPE: [Arg; 4] = [
    Arg::new("content", Kind::Str, "The key that there is now."),
    Arg::new(
        "content_base64",
        Kind::Bool,
        "The content is written in base64.",
    )
    .default("no"),
    Arg::new(
        "return_current_key",
        Kind::Bool,
        "Return the key also when it stays.",
    )
    .default("no"),
    output::BACKEND,
];

impl Module for PrivateKeyPipe {
    const SPEC: Spec = Spec::new(
        "openssl_privatekey_pipe",
        "Makes a private key and returns it, without a file; on the controller, whatever the host is, by its openssl. The result is secret: use no_log.",
        &join::<8, 4, 12>(OWN, PIPE),
    )
    .rules(RULES)
    .returns(&[
        Return::new("size, type, curve", "As given."),
        Return::new("fingerprint", "Of the public key, by algorithm; none in check mode for a key that would be made."),
        Return::new("privatekey", "The key, when it is another one or with return_current_key."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let now = match (self.content, self.content_base64) {
            (Some(text), true) => {
                let bytes = BASE64.decode(text.trim_end()).map_err(|error| {
                    Failure::new(format!("Cannot decode Base64 encoded data: {error}"))
                })?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            (now, _) => now,
        };
        let (content, public) = self.wanted.content(cx, now.clone())?;
        let outcome = Outcome::changed(content.is_some());
        let mut outcome = self.wanted.tell(outcome, public.as_deref());
        if outcome.changed || self.return_current_key {
            let content = content.filter(|_| !cx.check()).or(now);
            outcome = outcome.with("privatekey", content);
        }
        Ok(outcome)
    }
}

impl Wanted {
    /// What is returned of the key.
    fn tell(&self, outcome: Outcome, public: Option<&[u8]>) -> Outcome {
        let mut outcome = outcome
            .with("size", self.size)
            .with("type", self.kind.as_str());
        if let (Some(curve), "ECC") = (&self.curve, self.kind.as_str()) {
            outcome = outcome.with("curve", curve.as_str());
        }
        outcome.with("fingerprint", public.map_or(Value::Null, fingerprints))
    }

    /// The key's text if it is to be another one than `now`, and its public half if that is known.
    fn content(
        &self,
        cx: &Context,
        now: Option<String>,
    ) -> Result<(Option<String>, Option<Vec<u8>>), Failure> {
        if self.cipher != "auto" {
            return Err(Failure::new("Cipher must be set to \"auto\""));
        }
        let Some(text) = now.filter(|_| self.regenerate != "always") else {
            return self.make(cx);
        };
        let is_encrypted = text.contains("ENCRYPTED");
        let key = Key {
            text,
            passphrase: self.passphrase.clone(),
        };
        let public = match key.public(cx) {
            Ok(public) if is_encrypted == self.passphrase.is_some() => public,
            Ok(_) | Err(_) if self.regenerate == "full_idempotence" => return self.make(cx),
            Ok(_) => {
                return Err(Failure::new(
                    "Unable to read the key. The key is protected with a another passphrase / no passphrase or broken. Will not proceed. To force regeneration, call the module with `generate` set to `full_idempotence` or `always`, or with `force=true`.",
                ));
            }
            Err(failure) => return Err(failure.during("Unable to read the key")),
        };
        let known = about(&public);
        let is_same = known["type"] == self.kind.as_str()
            && (self.kind != "RSA" || known["data"]["size"] == self.size)
            && (self.kind != "ECC" || known["data"]["curve"].as_str() == self.curve.as_deref());
        if !is_same && self.regenerate != "never" {
            if self.regenerate == "fail" {
                return Err(Failure::new(
                    "Key has wrong type and/or size. Will not proceed. To force regeneration, call the module with `generate` set to `partial_idempotence`, `full_idempotence` or `always`, or with `force=true`.",
                ));
            }
            return self.make(cx);
        }
        let traditional = !key.text.contains("-----BEGIN PRIVATE KEY")
            && !key.text.contains("-----BEGIN ENCRYPTED");
        if self.format == "auto_ignore"
            || traditional == self.traditional()
            || self.regenerate == "never"
        {
            return Ok((None, Some(public)));
        }
        if self.format_mismatch == "convert" {
            let text = key.converted(cx, self.traditional(), self.passphrase.as_deref())?;
            return Ok((Some(text), Some(public)));
        }
        if self.regenerate == "fail" {
            return Err(Failure::new("Key has wrong format. Will not proceed."));
        }
        self.make(cx)
    }

    fn traditional(&self) -> bool {
        self.format != "pkcs8" && matches!(self.kind.as_str(), "RSA" | "ECC")
    }

    fn make(&self, cx: &Context) -> Result<(Option<String>, Option<Vec<u8>>), Failure> {
        if cx.check() {
            return Ok((Some(String::new()), None));
        }
        let key = key::generate(cx, &self.kind, self.size, self.curve.as_deref())?;
        let text = key.converted(cx, self.traditional(), self.passphrase.as_deref())?;
        Ok((Some(text), Some(key.public(cx)?)))
    }
}

#[derive(Deserialize)]
pub struct PrivateKeyInfo {
    path: Option<String>,
    content: Option<String>,
    passphrase: Option<String>,
    return_private_key_data: bool,
    check_consistency: bool,
}

impl Module for PrivateKeyInfo {
    const SPEC: Spec = Spec::new(
        "openssl_privatekey_info",
        "Tells about a private key. Its secret numbers are never returned.",
        &[
            Arg::new("path", Kind::Path, "The key's file."),
            Arg::new("content", Kind::Str, "The key itself."),
            Arg::new("passphrase", Kind::Str, "What opens it."),
            Arg::new("return_private_key_data", Kind::Bool, "Refused.").default("no"),
            Arg::new(
                "check_consistency",
                Kind::Bool,
                "No effect: openssl checks what it reads.",
            )
            .default("no"),
            output::BACKEND,
        ],
    )
    .rules(&[
        Rule::OneOf(&["path", "content"]),
        Rule::Exclusive(&["path", "content"]),
    ])
    .returns(&[
        Return::new("can_load_key, can_parse_key", "Whether it could be read."),
        Return::new(
            "type, public_data",
            "Its kind and its public numbers; those beyond 64 bits as digits.",
        ),
        Return::new(
            "public_key, public_key_fingerprints",
            "Its public half, as PEM, and the hashes of it.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if self.return_private_key_data {
            return Err(Failure::new(
                "return_private_key_data isn't supported: secret numbers would get into results and journals",
            ));
        }
        let key = Key::read(
            cx,
            self.path.as_deref(),
            self.content.as_deref(),
            self.passphrase.as_deref(),
        )
        .map_err(|failure| {
            failure
                .with("can_load_key", false)
                .with("can_parse_key", false)
        })?;
        let public = key.public(cx).map_err(|failure| {
            failure
                .with("can_load_key", true)
                .with("can_parse_key", false)
        })?;
        let known = about(&public);
        let consistent = if self.check_consistency {
            Value::Bool(true)
        } else {
            Value::Null
        };
        Ok(Outcome::ok()
            .with("can_load_key", true)
            .with("can_parse_key", true)
            .with("key_is_consistent", consistent)
            .with("type", known["type"].clone())
            .with("public_data", known["data"].clone())
            .with("public_key", der::to_pem("PUBLIC KEY", &public))
            .with("public_key_fingerprints", fingerprints(&public)))
    }
}

/// What results say of a public key.
pub(super) fn of_public(public: &[u8]) -> Value {
    let known = about(public);
    json!({
        "public_key": der::to_pem("PUBLIC KEY", public),
        "public_key_type": known["type"],
        "public_key_data": known["data"],
        "public_key_fingerprints": fingerprints(public),
    })
}
