//! `x509_certificate` and `x509_certificate_pipe`: a certificate for a request, signed by its own key or by a CA's.

use super::der;
use super::document::{Document, Extension};
use super::extensions::{self, meaning};
use super::key::{self, Key};
use super::names;
use super::oids::{AUTHORITY_KEY, SUBJECT_KEY};
use super::output::{self, Target};
use super::time::{Moment, moment};
use crate::modules::ownership;
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;

/// What a certificate is to say, and who signs it.
#[derive(Deserialize)]
struct Wanted {
    provider: Option<String>,
    csr_path: Option<String>,
    csr_content: Option<String>,
    privatekey_path: Option<String>,
    privatekey_content: Option<String>,
    privatekey_passphrase: Option<String>,
    ignore_timestamps: bool,
    selfsigned_digest: String,
    selfsigned_not_before: String,
    selfsigned_not_after: String,
    selfsigned_create_subject_key_identifier: String,
    ownca_path: Option<String>,
    ownca_content: Option<String>,
    ownca_privatekey_path: Option<String>,
    ownca_privatekey_content: Option<String>,
    ownca_privatekey_passphrase: Option<String>,
    ownca_digest: String,
    ownca_not_before: String,
    ownca_not_after: String,
    ownca_create_subject_key_identifier: String,
    ownca_create_authority_key_identifier: bool,
}

#[derive(Deserialize)]
pub struct Certificate {
    #[serde(flatten)]
    wanted: Wanted,
    #[serde(flatten)]
    target: Target,
}

#[derive(Deserialize)]
pub struct CertificatePipe {
    #[serde(flatten)]
    wanted: Wanted,
    content: Option<String>,
    force: bool,
}

const CREATE: &[&str] = &["create_if_not_provided", "always_create", "never_create"];

const PROVIDER: Arg = Arg::new("provider", Kind::Str, "selfsigned: by the certificate's own key. ownca: by a CA whose key is on this host. Without it only mode and owner of a file that is there count.")
    .choices(&["ownca", "selfsigned"]);

const OWN: [Arg; 22] = [
    Arg::new("csr_path", Kind::Path, "File of the request."),
    Arg::new("csr_content", Kind::Str, "The request itself."),
    Arg::new(
        "privatekey_path",
        Kind::Path,
        "File of the private key, for selfsigned.",
    ),
    Arg::new("privatekey_content", Kind::Str, "The private key itself."),
    Arg::new("privatekey_passphrase", Kind::Str, "What opens it."),
    Arg::new(
        "ignore_timestamps",
        Kind::Bool,
        "A certificate isn't made again because its dates differ.",
    )
    .default("yes"),
    Arg::new("selfsigned_version", Kind::Int, "3: there is no other.").default("3"),
    Arg::new(
        "selfsigned_digest",
        Kind::Str,
        "What is signed: sha1, sha224, sha256, sha384 or sha512.",
    )
    .default("sha256"),
    Arg::new(
        "selfsigned_not_before",
        Kind::Str,
        "From when on it holds: YYYYMMDDHHMMSSZ, or from now (+2w3d, -1h, +0s).",
    )
    .aliases(&["selfsigned_notBefore"])
    .default("+0s"),
    Arg::new("selfsigned_not_after", Kind::Str, "Until when it holds.")
        .aliases(&["selfsigned_notAfter"])
        .default("+3650d"),
    Arg::new(
        "selfsigned_create_subject_key_identifier",
        Kind::Str,
        "Name the key by its hash.",
    )
    .choices(CREATE)
    .default("create_if_not_provided"),
    Arg::new("ownca_path", Kind::Path, "File of the CA's certificate."),
    Arg::new("ownca_content", Kind::Str, "The CA's certificate itself."),
    Arg::new(
        "ownca_privatekey_path",
        Kind::Path,
        "File of the CA's private key.",
    ),
    Arg::new(
        "ownca_privatekey_content",
        Kind::Str,
        "The CA's private key itself.",
    ),
    Arg::new("ownca_privatekey_passphrase", Kind::Str, "What opens it."),
    Arg::new("ownca_version", Kind::Int, "3: there is no other.").default("3"),
    Arg::new("ownca_digest", Kind::Str, "As selfsigned_digest.").default("sha256"),
    Arg::new("ownca_not_before", Kind::Str, "As selfsigned_not_before.").default("+0s"),
    Arg::new("ownca_not_after", Kind::Str, "As selfsigned_not_after.").default("+3650d"),
    Arg::new(
        "ownca_create_subject_key_identifier",
        Kind::Str,
        "Name the key by its hash.",
    )
    .choices(CREATE)
    .default("create_if_not_provided"),
    Arg::new(
        "ownca_create_authority_key_identifier",
        Kind::Bool,
        "Name the CA's key.",
    )
    .default("yes"),
];

const PIPE: [Arg; 3] = [
    Arg::new("content", Kind::Str, "The certificate that there is now."),
    Arg::new(
        "force",
        Kind::Bool,
        "Make another one also when it is as it is to be.",
    )
    .default("no"),
    output::BACKEND,
];

const FILE: [Arg; 15] = join(output::ARGS, ownership::ARGS);
const RULES: &[Rule] = &[
    Rule::Exclusive(&["csr_path", "csr_content"]),
    Rule::Exclusive(&["privatekey_path", "privatekey_content"]),
    Rule::Exclusive(&["ownca_path", "ownca_content"]),
    Rule::Exclusive(&["ownca_privatekey_path", "ownca_privatekey_content"]),
];

impl Module for Certificate {
    const SPEC: Spec = Spec::new(
        "x509_certificate",
        "Makes a certificate, signed by the host's openssl. It is made again when key, subject, extensions or issuer differ from the request.",
        &join::<23, 15, 38>(join([PROVIDER], OWN), FILE),
    )
    .rules(RULES)
    .returns(&[
        Return::new("filename, csr, privatekey, ca_cert, ca_privatekey", "Paths, as given."),
        Return::new("notBefore, notAfter, serial_number", "What is in it; a number beyond 64 bits as digits."),
        Return::new("backup_file", "The old file, with backup."),
        Return::new("certificate", "The certificate, with return_content."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        self.target.check_directory(cx)?;
        let content = match (&*self.target.state, self.wanted.provider.as_deref()) {
            ("absent", _) => None,
            (_, Some(provider)) => {
                let now = self.target.now(cx)?.filter(|_| !self.target.force);
                self.wanted
                    .content(cx, provider == "ownca", now.as_deref())?
            }
            (_, None) if self.target.now(cx)?.is_some() => None,
            (_, None) => {
                return Err(Failure::new(
                    "The certificate isn't there; provider says how it is made: selfsigned or ownca",
                ));
            }
        };
        let mut outcome = self.target.bring(
            cx,
            content.as_deref(),
            0o666 & !crate::files::umask(),
            "certificate",
        )?;
        outcome = self.wanted.tell(outcome);
        if let (true, Some(_)) = (cx.check(), &content) {
            return self.wanted.tell_dates(outcome);
        }
        if let Some(now) = self
            .target
            .now(cx)?
            .and_then(|text| Document::certificate(&text).ok())
        {
            outcome = dates(outcome, &now);
        }
        Ok(outcome)
    }
}

impl Module for CertificatePipe {
    const SPEC: Spec = Spec::new(
        "x509_certificate_pipe",
        "Makes a certificate and returns it, without a file.",
        &join::<23, 3, 26>(join([PROVIDER.required()], OWN), PIPE),
    )
    .rules(RULES)
    .returns(&[
        Return::new(
            "csr, privatekey, ca_cert, ca_privatekey",
            "Paths, as given.",
        ),
        Return::new(
            "notBefore, notAfter, serial_number",
            "What is in it; a number beyond 64 bits as digits.",
        ),
        Return::new("certificate", "The certificate, also when it stays."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let by_ca = self.wanted.is_by_ca();
        let now = self.content;
        let known = now.as_deref().filter(|_| !self.force);
        let content = self.wanted.content(cx, by_ca, known)?;
        let outcome = self.wanted.tell(Outcome::changed(content.is_some()));
        let text = content.filter(|_| !cx.check()).or(now);
        let said = text.as_deref().map(Document::certificate);
        let outcome = match said {
            _ if outcome.changed && cx.check() => self.wanted.tell_dates(outcome)?,
            Some(Ok(now)) => dates(outcome, &now),
            _ => outcome,
        };
        Ok(outcome.with("certificate", text))
    }
}

/// The dates and the number of a certificate.
fn dates(outcome: Outcome, certificate: &Document) -> Outcome {
    outcome
        .with("notBefore", certificate.not_before.as_str())
        .with("notAfter", certificate.not_after.as_str())
        .with("serial_number", der::number(&certificate.serial))
}

/// Who signs.
struct Issuer {
    subject: names::Subject,
    key: Key,
    public: Vec<u8>,
    /// The name of its key, for certificates that it signs.
    identifier: Option<Vec<u8>>,
}

impl Wanted {
    fn is_by_ca(&self) -> bool {
        self.provider.as_deref() == Some("ownca")
    }

    /// What a certificate would say that isn't made in check mode.
    fn tell_dates(&self, outcome: Outcome) -> Result<Outcome, Failure> {
        let [before, after] = self.dates(self.is_by_ca())?;
        Ok(outcome
            .with("notBefore", before.text())
            .with("notAfter", after.text())
            .with("serial_number", serde_json::Value::Null))
    }

    /// What is returned of what was given.
    fn tell(&self, outcome: Outcome) -> Outcome {
        let outcome = outcome
            .with("csr", self.csr_path.clone())
            .with("privatekey", self.privatekey_path.clone());
        if !self.is_by_ca() {
            return outcome;
        }
        outcome
            .with("ca_cert", self.ownca_path.clone())
            .with("ca_privatekey", self.ownca_privatekey_path.clone())
    }

    /// The new certificate, unless the one that is there now is the same.
    fn content(
        &self,
        cx: &Context,
        by_ca: bool,
        now: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        // In check mode an earlier task may be the one that makes what isn't there.
        let paths = [
            &self.csr_path,
            &self.privatekey_path,
            &self.ownca_path,
            &self.ownca_privatekey_path,
        ];
        let missing = paths
            .iter()
            .copied()
            .flatten()
            .find(|path| !cx.expand(path).exists());
        if let (true, Some(missing)) = (cx.check(), missing) {
            cx.warn(format!(
                "{missing} isn't there, unless an earlier task makes it"
            ));
            return Ok(Some(String::new()));
        }
        let request = self.request(cx)?;
        let issuer = if by_ca {
            self.ca(cx)?
        } else {
            self.own(cx, request.as_ref())?
        };
        let (subject, public) = match &request {
            Some(request) => (request.subject.clone(), request.key.clone()),
            None => (Vec::new(), issuer.public.clone()),
        };
        let asked = request
            .map(|request| request.extensions)
            .unwrap_or_default();
        let extensions = self.extensions(asked, &public, &issuer, by_ca);
        let [before, after] = self.dates(by_ca)?;
        if after <= before {
            return Err(Failure::new(
                "the certificate would end before it begins: look at not_before and not_after",
            ));
        }
        if let Some(old) = now.and_then(|text| Document::certificate(text).ok()) {
            let same_dates = self.ignore_timestamps
                || (old.not_before == before.text() && old.not_after == after.text());
            let same = same_dates
                && old.version == 3
                && old.subject == subject
                && old.key == public
                && old.issuer == self.issuer_name(&issuer, &subject, by_ca)
                && meaning(&old.extensions) == meaning(&extensions);
            if same
                && key::verifies(
                    cx,
                    &issuer.public,
                    &old.algorithm,
                    &old.body,
                    &old.signature,
                )?
            {
                return Ok(None);
            }
        }
        if cx.check() {
            return Ok(Some(String::new()));
        }
        self.signed(
            cx,
            by_ca,
            &issuer,
            &subject,
            &public,
            &extensions,
            [before, after],
        )
        .map(Some)
    }

    /// From when and until when it holds.
    fn dates(&self, by_ca: bool) -> Result<[Moment; 2], Failure> {
        let (before, after) = if by_ca {
            (&self.ownca_not_before, &self.ownca_not_after)
        } else {
            (&self.selfsigned_not_before, &self.selfsigned_not_after)
        };
        Ok([moment(before)?, moment(after)?])
    }

    fn issuer_name(
        &self,
        issuer: &Issuer,
        subject: &names::Subject,
        by_ca: bool,
    ) -> names::Subject {
        if by_ca {
            issuer.subject.clone()
        } else {
            subject.clone()
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that is in a certificate")]
    fn signed(
        &self,
        cx: &Context,
        by_ca: bool,
        issuer: &Issuer,
        subject: &names::Subject,
        public: &[u8],
        extensions: &[Extension],
        dates: [Moment; 2],
    ) -> Result<String, Failure> {
        let digest = if by_ca {
            &self.ownca_digest
        } else {
            &self.selfsigned_digest
        };
        // 159 bits: positive, and of the 20 bytes that are allowed (RFC 5280, 4.1.2.2).
        let mut serial = key::random::<20>()?;
        serial[0] = serial[0] & 0x7f | 0x40;
        let algorithm = issuer.key.algorithm(&issuer.public, digest)?;
        let mut parts = vec![
            der::holding(der::context(0, true), &[der::integer(&[2])]),
            der::integer(&serial),
            algorithm,
            names::write(&self.issuer_name(issuer, subject, by_ca)),
            der::holding(der::SEQUENCE, &dates.map(|date| date.write())),
            names::write(subject),
            public.to_vec(),
        ];
        if !extensions.is_empty() {
            let list: Vec<Vec<u8>> = extensions.iter().map(Extension::write).collect();
            parts.push(der::holding(
                der::context(3, true),
                &[der::holding(der::SEQUENCE, &list)],
            ));
        }
        let body = der::holding(der::SEQUENCE, &parts);
        let (algorithm, signature) = issuer.key.sign(cx, &issuer.public, &body, digest)?;
        let whole = der::holding(der::SEQUENCE, &[body, algorithm, der::bits(&signature)]);
        Ok(der::to_pem("CERTIFICATE", &whole))
    }

    fn request(&self, cx: &Context) -> Result<Option<Document>, Failure> {
        let text = match (&self.csr_path, &self.csr_content) {
            (Some(path), _) => read(cx, path, "the certificate signing request")?,
            (None, Some(text)) => text.clone(),
            (None, None) => return Ok(None),
        };
        let request = Document::request(&text)
            .map_err(|failure| failure.during("the certificate signing request can't be read"))?;
        if !key::verifies(
            cx,
            &request.key,
            &request.algorithm,
            &request.body,
            &request.signature,
        )? {
            return Err(Failure::new(
                "the certificate signing request isn't signed by its own key",
            ));
        }
        Ok(Some(request))
    }

    fn own(&self, cx: &Context, request: Option<&Document>) -> Result<Issuer, Failure> {
        let key = Key::read(
            cx,
            self.privatekey_path.as_deref(),
            self.privatekey_content.as_deref(),
            self.privatekey_passphrase.as_deref(),
        )?;
        let public = key.public(cx)?;
        if request.is_some_and(|request| request.key != public) {
            return Err(Failure::new(
                "the request is for another key than the private key: a certificate can't be signed by itself so",
            ));
        }
        Ok(Issuer {
            subject: Vec::new(),
            key,
            public,
            identifier: None,
        })
    }

    fn ca(&self, cx: &Context) -> Result<Issuer, Failure> {
        if self.csr_path.is_none() && self.csr_content.is_none() {
            return Err(Failure::new(
                "csr_path or csr_content is required for ownca provider",
            ));
        }
        let text = match (&self.ownca_path, &self.ownca_content) {
            (Some(path), _) => read(cx, path, "the CA's certificate")?,
            (None, Some(text)) => text.clone(),
            (None, None) => {
                return Err(Failure::new(
                    "ownca_path or ownca_content is required for ownca provider",
                ));
            }
        };
        let ca = Document::certificate(&text)
            .map_err(|failure| failure.during("the CA's certificate can't be read"))?;
        let key = Key::read(
            cx,
            self.ownca_privatekey_path.as_deref(),
            self.ownca_privatekey_content.as_deref(),
            self.ownca_privatekey_passphrase.as_deref(),
        )?;
        let public = key.public(cx)?;
        if ca.key != public {
            return Err(Failure::new(
                "The CA private key does not belong to the CA certificate",
            ));
        }
        let own = ca
            .extension(SUBJECT_KEY)
            .and_then(|extension| der::Reader(&extension.value).if_tag(der::BYTES));
        let identifier = own.map_or_else(|| key::identifier(&public), |own| own.content.to_vec());
        Ok(Issuer {
            subject: ca.subject.clone(),
            key,
            public,
            identifier: Some(identifier),
        })
    }

    /// Those that were asked for, with the names of the key and of the CA's.
    fn extensions(
        &self,
        mut all: Vec<Extension>,
        public: &[u8],
        issuer: &Issuer,
        by_ca: bool,
    ) -> Vec<Extension> {
        let create = if by_ca {
            &self.ownca_create_subject_key_identifier
        } else {
            &self.selfsigned_create_subject_key_identifier
        };
        if create == "always_create" {
            all.retain(|extension| extension.oid != SUBJECT_KEY);
        }
        let has = |all: &[Extension], oid: &str| all.iter().any(|extension| extension.oid == oid);
        if create != "never_create" && !has(&all, SUBJECT_KEY) {
            let value = der::item(der::BYTES, &key::identifier(public));
            all.push(Extension {
                oid: SUBJECT_KEY.to_owned(),
                critical: false,
                value,
            });
        }
        if let (true, Some(identifier)) = (
            by_ca && self.ownca_create_authority_key_identifier,
            &issuer.identifier,
        ) {
            all.retain(|extension| extension.oid != AUTHORITY_KEY);
            let value = extensions::authority_key(identifier);
            all.push(Extension {
                oid: AUTHORITY_KEY.to_owned(),
                critical: false,
                value,
            });
        }
        all
    }
}

fn read(cx: &Context, path: &str, what: &str) -> Result<String, Failure> {
    let path = cx.expand(path);
    std::fs::read_to_string(&path)
        .map_err(|error| Failure::io(&format!("{what} can't be read:"), &path, &error))
}
