//! `openssl_csr` and `openssl_csr_pipe`: a request for a certificate.

use super::der;
use super::document::{Document, Extension};
use super::extensions::{self, meaning};
use super::key::{self, Key};
use super::names::{self, Subject, part};
use super::oids::{
    AUTHORITY_KEY, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, EXTENSION_REQUEST, KEY_USAGE,
    NAME_CONSTRAINTS, SAN, SUBJECT, SUBJECT_KEY, TLS_FEATURE,
};
use super::output::{self, Target};
use crate::modules::ownership;
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a request is to say.
#[derive(Deserialize)]
struct Wanted {
    privatekey_path: Option<String>,
    privatekey_content: Option<String>,
    privatekey_passphrase: Option<String>,
    digest: String,
    subject: Option<Map<String, Value>>,
    subject_ordered: Option<Vec<Map<String, Value>>>,
    country_name: Option<String>,
    state_or_province_name: Option<String>,
    locality_name: Option<String>,
    organization_name: Option<String>,
    organizational_unit_name: Option<String>,
    common_name: Option<String>,
    email_address: Option<String>,
    subject_alt_name: Option<Vec<String>>,
    subject_alt_name_critical: bool,
    use_common_name_for_san: bool,
    key_usage: Option<Vec<String>>,
    key_usage_critical: bool,
    extended_key_usage: Option<Vec<String>>,
    extended_key_usage_critical: bool,
    basic_constraints: Option<Vec<String>>,
    basic_constraints_critical: bool,
    ocsp_must_staple: bool,
    ocsp_must_staple_critical: bool,
    name_constraints_permitted: Option<Vec<String>>,
    name_constraints_excluded: Option<Vec<String>>,
    name_constraints_critical: bool,
    create_subject_key_identifier: bool,
    subject_key_identifier: Option<String>,
    authority_key_identifier: Option<String>,
}

#[derive(Deserialize)]
pub struct Request {
    #[serde(flatten)]
    wanted: Wanted,
    #[serde(flatten)]
    target: Target,
}

#[derive(Deserialize)]
pub struct RequestPipe {
    #[serde(flatten)]
    wanted: Wanted,
    content: Option<String>,
}

const OWN: [Arg; 30] = [
    Arg::new(
        "privatekey_path",
        Kind::Path,
        "File of the private key that the request is for.",
    ),
    Arg::new("privatekey_content", Kind::Str, "The private key itself."),
    Arg::new("privatekey_passphrase", Kind::Str, "What opens it."),
    Arg::new(
        "digest",
        Kind::Str,
        "What is signed: sha1, sha224, sha256, sha384 or sha512 of the request.",
    )
    .default("sha256"),
    Arg::new("version", Kind::Int, "1: there is no other.").default("1"),
    Arg::new(
        "subject",
        Kind::Dict,
        "Parts of the subject by name; several values as a list.",
    ),
    Arg::new(
        "subject_ordered",
        Kind::List,
        "The same in an order, each a mapping with one name.",
    )
    .of(Kind::Dict),
    Arg::new(
        "country_name",
        Kind::Str,
        "Part of the subject: two letters of a country.",
    )
    .aliases(&["C", "countryName"]),
    Arg::new(
        "state_or_province_name",
        Kind::Str,
        "Part of the subject: state or province.",
    )
    .aliases(&["ST", "stateOrProvinceName"]),
    Arg::new("locality_name", Kind::Str, "Part of the subject: town.")
        .aliases(&["L", "localityName"]),
    Arg::new(
        "organization_name",
        Kind::Str,
        "Part of the subject: organization.",
    )
    .aliases(&["O", "organizationName"]),
    Arg::new(
        "organizational_unit_name",
        Kind::Str,
        "Part of the subject: unit of it.",
    )
    .aliases(&["OU", "organizationalUnitName"]),
    Arg::new(
        "common_name",
        Kind::Str,
        "Part of the subject: the name itself.",
    )
    .aliases(&["CN", "commonName"]),
    Arg::new(
        "email_address",
        Kind::Str,
        "Part of the subject: address of mail.",
    )
    .aliases(&["E", "emailAddress"]),
    Arg::new(
        "subject_alt_name",
        Kind::List,
        "Names and addresses: DNS:, IP:, email:, URI:, RID:, dirName:.",
    )
    .aliases(&["subjectAltName"]),
    Arg::new(
        "subject_alt_name_critical",
        Kind::Bool,
        "Whoever doesn't understand it must refuse it.",
    )
    .aliases(&["subjectAltName_critical"])
    .default("no"),
    Arg::new(
        "use_common_name_for_san",
        Kind::Bool,
        "Without subject_alt_name the common name is the one name.",
    )
    .aliases(&["useCommonNameForSAN"])
    .default("yes"),
    Arg::new(
        "key_usage",
        Kind::List,
        "digitalSignature, keyEncipherment and their like.",
    )
    .aliases(&["keyUsage"]),
    Arg::new(
        "key_usage_critical",
        Kind::Bool,
        "Whoever doesn't understand it must refuse it.",
    )
    .aliases(&["keyUsage_critical"])
    .default("no"),
    Arg::new(
        "extended_key_usage",
        Kind::List,
        "serverAuth, clientAuth and their like, or numbers.",
    )
    .aliases(&["extKeyUsage", "extendedKeyUsage"]),
    Arg::new(
        "extended_key_usage_critical",
        Kind::Bool,
        "Whoever doesn't understand it must refuse it.",
    )
    .aliases(&["extKeyUsage_critical", "extendedKeyUsage_critical"])
    .default("no"),
    Arg::new("basic_constraints", Kind::List, "CA:TRUE, pathlen:NUMBER.")
        .aliases(&["basicConstraints"]),
    Arg::new(
        "basic_constraints_critical",
        Kind::Bool,
        "Whoever doesn't understand it must refuse it.",
    )
    .aliases(&["basicConstraints_critical"])
    .default("no"),
    Arg::new(
        "ocsp_must_staple",
        Kind::Bool,
        "Servers have to show that the certificate isn't revoked.",
    )
    .aliases(&["ocspMustStaple"])
    .default("no"),
    Arg::new(
        "ocsp_must_staple_critical",
        Kind::Bool,
        "Whoever doesn't understand it must refuse it.",
    )
    .aliases(&["ocspMustStaple_critical"])
    .default("no"),
    Arg::new(
        "name_constraints_permitted",
        Kind::List,
        "Names that a CA may sign.",
    ),
    Arg::new(
        "name_constraints_excluded",
        Kind::List,
        "Names that it may not sign.",
    ),
    Arg::new(
        "name_constraints_critical",
        Kind::Bool,
        "Whoever doesn't understand it must refuse it.",
    )
    .default("no"),
    Arg::new(
        "create_subject_key_identifier",
        Kind::Bool,
        "Name the key by its hash.",
    )
    .default("no"),
    Arg::new(
        "subject_key_identifier",
        Kind::Str,
        "Name the key so (hexadecimal, with colons).",
    ),
];

const MORE: [Arg; 1] = [Arg::new(
    "authority_key_identifier",
    Kind::Str,
    "The name of the CA's key (hexadecimal, with colons).",
)];
const PIPE: [Arg; 2] = [
    Arg::new("content", Kind::Str, "The request that there is now."),
    output::BACKEND,
];

const WANTED: [Arg; 31] = join(OWN, MORE);
const FILE: [Arg; 15] = join(output::ARGS, ownership::ARGS);
const RULES: &[Rule] = &[
    Rule::Exclusive(&["privatekey_path", "privatekey_content"]),
    Rule::Exclusive(&["subject", "subject_ordered"]),
];
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "crl_distribution_points",
        "places of revocation lists can't be written yet.",
    ),
    (
        "authority_cert_issuer",
        "a CA is named by authority_key_identifier.",
    ),
    (
        "authority_cert_serial_number",
        "a CA is named by authority_key_identifier.",
    ),
];
const SUBJECT_DOC: Return = Return::new("subject", "Pairs of names and values.");
const EXTENSIONS_DOC: Return = Return::new(
    "subjectAltName, keyUsage, extendedKeyUsage, basicConstraints, ocspMustStaple, name_constraints_permitted, name_constraints_excluded",
    "As given, or as they follow from the subject.",
);

impl Module for Request {
    const SPEC: Spec = Spec::new(
        "openssl_csr",
        "Makes a request for a certificate, signed by the host's openssl. It is made again when it says something else than is asked for.",
        &join::<31, 15, 46>(WANTED, FILE),
    )
    .rules(RULES)
    .without(LEFT_OUT)
    .returns(&[
        SUBJECT_DOC,
        EXTENSIONS_DOC,
        Return::new("privatekey, filename", "The key's path, and the file."),
        Return::new("backup_file", "The old file, with backup."),
        Return::new("csr", "The request, with return_content."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        self.target.check_directory(cx)?;
        let (subject, shown) = self.wanted.subject()?;
        let names = self.wanted.names(&shown);
        let content = if self.target.state == "absent" {
            None
        } else {
            let now = self.target.now(cx)?.filter(|_| !self.target.force);
            self.wanted
                .content(cx, &subject, names.as_deref(), now.as_deref())?
        };
        let outcome = self.target.bring(
            cx,
            content.as_deref(),
            0o666 & !crate::files::umask(),
            "csr",
        )?;
        Ok(self.wanted.tell(outcome, &shown, names))
    }
}

impl Module for RequestPipe {
    const SPEC: Spec = Spec::new(
        "openssl_csr_pipe",
        "Makes a request for a certificate and returns it, without a file.",
        &join::<31, 2, 33>(WANTED, PIPE),
    )
    .rules(RULES)
    .without(LEFT_OUT)
    .returns(&[
        SUBJECT_DOC,
        EXTENSIONS_DOC,
        Return::new("privatekey", "The key's path."),
        Return::new("csr", "The request, also when it stays."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let (subject, shown) = self.wanted.subject()?;
        let names = self.wanted.names(&shown);
        let now = self.content;
        let content = self
            .wanted
            .content(cx, &subject, names.as_deref(), now.as_deref())?;
        let outcome = self
            .wanted
            .tell(Outcome::changed(content.is_some()), &shown, names);
        Ok(outcome.with("csr", content.filter(|_| !cx.check()).or(now)))
    }
}

impl Wanted {
    /// What is returned of the request.
    fn tell(
        &self,
        outcome: Outcome,
        shown: &[(String, String)],
        names: Option<Vec<String>>,
    ) -> Outcome {
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        outcome
            .with("privatekey", self.privatekey_path.clone())
            .with(
                "subject",
                shown
                    .iter()
                    .map(|(name, value)| json!([name, value]))
                    .collect::<Vec<_>>(),
            )
            .with("subjectAltName", names)
            .with("keyUsage", self.key_usage.clone())
            .with("extendedKeyUsage", self.extended_key_usage.clone())
            .with("basicConstraints", self.basic_constraints.clone())
            .with("ocspMustStaple", self.ocsp_must_staple)
            .with(
                "name_constraints_permitted",
                list(&self.name_constraints_permitted),
            )
            .with(
                "name_constraints_excluded",
                list(&self.name_constraints_excluded),
            )
    }

    /// The parts of the subject, by identifier and by the names that they were given by.
    fn subject(&self) -> Result<(Subject, Vec<(String, String)>), Failure> {
        let plain = [
            ("C", &self.country_name),
            ("ST", &self.state_or_province_name),
            ("L", &self.locality_name),
            ("O", &self.organization_name),
            ("OU", &self.organizational_unit_name),
            ("CN", &self.common_name),
            ("emailAddress", &self.email_address),
        ];
        let mut shown: Vec<(String, String)> = Vec::new();
        let given = plain
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_ref()?)));
        shown.extend(given.map(|(name, value)| (name.to_owned(), value.clone())));
        let ordered = self.subject_ordered.iter().flatten().flatten();
        for (name, value) in self.subject.iter().flatten().chain(ordered) {
            match value {
                Value::Array(values) => {
                    shown.extend(values.iter().map(|value| (name.clone(), text(value))));
                }
                value => shown.push((name.clone(), text(value))),
            }
        }
        let subject = shown
            .iter()
            .map(|(name, value)| Ok((part(name)?, value.clone())));
        Ok((subject.collect::<Result<_, Failure>>()?, shown))
    }

    /// What it is for; the common name where nothing is said.
    fn names(&self, subject: &[(String, String)]) -> Option<Vec<String>> {
        if self.subject_alt_name.is_some() || !self.use_common_name_for_san {
            return self.subject_alt_name.clone();
        }
        let is_name = |name: &str| SUBJECT[0].1 == name || SUBJECT[0].2 == name;
        let (_, name) = subject.iter().find(|(name, _)| is_name(name))?;
        Some(vec![format!("DNS:{name}")])
    }

    fn extensions(
        &self,
        names: Option<&[String]>,
        public: &[u8],
    ) -> Result<Vec<Extension>, Failure> {
        let mut all = Vec::new();
        let mut add = |oid: &str, critical: bool, value: Vec<u8>| {
            all.push(Extension {
                oid: oid.to_owned(),
                critical,
                value,
            });
        };
        if let Some(names) = names {
            add(
                SAN,
                self.subject_alt_name_critical,
                extensions::names(names)?,
            );
        }
        if let Some(list) = &self.key_usage {
            add(
                KEY_USAGE,
                self.key_usage_critical,
                extensions::key_usage(list)?,
            );
        }
        if let Some(list) = &self.extended_key_usage {
            add(
                EXTENDED_KEY_USAGE,
                self.extended_key_usage_critical,
                extensions::purposes(list)?,
            );
        }
        if let Some(list) = &self.basic_constraints {
            add(
                BASIC_CONSTRAINTS,
                self.basic_constraints_critical,
                extensions::basic_constraints(list)?,
            );
        }
        if self.ocsp_must_staple {
            add(
                TLS_FEATURE,
                self.ocsp_must_staple_critical,
                extensions::must_staple(),
            );
        }
        let (permitted, excluded) = (
            &self.name_constraints_permitted,
            &self.name_constraints_excluded,
        );
        if permitted.is_some() || excluded.is_some() {
            let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
            add(
                NAME_CONSTRAINTS,
                self.name_constraints_critical,
                extensions::name_constraints(&list(permitted), &list(excluded))?,
            );
        }
        if self.create_subject_key_identifier {
            add(
                SUBJECT_KEY,
                false,
                der::item(der::BYTES, &key::identifier(public)),
            );
        } else if let Some(text) = &self.subject_key_identifier {
            add(
                SUBJECT_KEY,
                false,
                der::item(der::BYTES, &hexadecimal(text)?),
            );
        }
        if let Some(text) = &self.authority_key_identifier {
            add(
                AUTHORITY_KEY,
                false,
                extensions::authority_key(&hexadecimal(text)?),
            );
        }
        Ok(all)
    }

    /// The new request, unless the one that is there now says the same.
    fn content(
        &self,
        cx: &Context,
        subject: &Subject,
        names: Option<&[String]>,
        now: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let key = Key::read(
            cx,
            self.privatekey_path.as_deref(),
            self.privatekey_content.as_deref(),
            self.privatekey_passphrase.as_deref(),
        );
        let key = match key {
            Err(_) if cx.check() && self.privatekey_path.is_some() => {
                cx.warn("the private key can't be read, unless an earlier task makes it");
                return Ok(Some(String::new()));
            }
            key => key?,
        };
        let public = key.public(cx)?;
        let extensions = self.extensions(names, &public)?;
        if let Some(old) = now.and_then(|text| Document::request(text).ok()) {
            let sorted = |subject: &Subject| {
                let mut subject = subject.clone();
                subject.sort();
                subject
            };
            let ordered = self.subject_ordered.is_some();
            let same_subject = if ordered {
                old.subject == *subject
            } else {
                sorted(&old.subject) == sorted(subject)
            };
            if same_subject
                && old.key == public
                && meaning(&old.extensions) == meaning(&extensions)
                && key::verifies(cx, &public, &old.algorithm, &old.body, &old.signature)?
            {
                return Ok(None);
            }
        }
        let mut attributes = Vec::new();
        if !extensions.is_empty() {
            let list: Vec<Vec<u8>> = extensions.iter().map(Extension::write).collect();
            let set = der::holding(der::SET, &[der::holding(der::SEQUENCE, &list)]);
            let oid = der::oid(EXTENSION_REQUEST).unwrap_or_default();
            attributes.push(der::holding(der::SEQUENCE, &[oid, set]));
        }
        let body = [
            der::integer(&[0]),
            names::write(subject),
            public.clone(),
            der::holding(der::context(0, true), &attributes),
        ];
        let body = der::holding(der::SEQUENCE, &body);
        let (algorithm, signature) = key.sign(cx, &public, &body, &self.digest)?;
        let whole = der::holding(der::SEQUENCE, &[body, algorithm, der::bits(&signature)]);
        Ok(Some(der::to_pem("CERTIFICATE REQUEST", &whole)))
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// `00:11:22` as bytes.
pub(super) fn hexadecimal(text: &str) -> Result<Vec<u8>, Failure> {
    let bytes = text
        .split(':')
        .map(|pair| u8::from_str_radix(pair, 16).ok());
    bytes.collect::<Option<_>>().ok_or_else(|| {
        Failure::new(format!(
            "Cannot parse key identifier {text:?} (it is written as 00:11:22:…)"
        ))
    })
}
