//! `openssl_csr_info` and `x509_certificate_info`.

use super::der;
use super::document::Document;
use super::extensions::{access, constraints, describe};
use super::key;
use super::names::{Subject, long};
use super::oids::signature;
use super::output::BACKEND;
use super::privatekey::of_public;
use super::time::moment;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const ENCODING: Arg = Arg::new(
    "name_encoding",
    Kind::Str,
    "Only ignore: names are told as they are written.",
)
.choices(&["ignore"])
.default("ignore");
const RULES: &[Rule] = &[
    Rule::OneOf(&["path", "content"]),
    Rule::Exclusive(&["path", "content"]),
];

fn text(cx: &Context, path: Option<&str>, content: Option<&str>) -> Result<String, Failure> {
    let Some(path) = path.map(|path| cx.expand(path)) else {
        return Ok(content.unwrap_or_default().to_owned());
    };
    std::fs::read(&path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|error| Failure::io("cannot read", &path, &error))
}

fn subject(subject: &Subject) -> (Value, Value) {
    let last: Map<String, Value> = subject
        .iter()
        .map(|(oid, value)| (long(oid), value.as_str().into()))
        .collect();
    let all: Value = subject
        .iter()
        .map(|(oid, value)| json!([long(oid), value]))
        .collect();
    (Value::Object(last), all)
}

fn with(outcome: Outcome, more: Value) -> Outcome {
    let Value::Object(more) = more else {
        return outcome;
    };
    more.into_iter()
        .fold(outcome, |outcome, (name, value)| outcome.with(&name, value))
}

#[derive(Deserialize)]
pub struct RequestInfo {
    path: Option<String>,
    content: Option<String>,
}

impl Module for RequestInfo {
    const SPEC: Spec = Spec::new(
        "openssl_csr_info",
        "Tells what a certificate signing request says.",
        &[
            Arg::new("path", Kind::Path, "Its file."),
            Arg::new("content", Kind::Str, "The request itself."),
            ENCODING,
            BACKEND,
        ],
    )
    .rules(RULES)
    .returns(&[
        Return::new("subject, subject_ordered", "By name, and as pairs in order."),
        Return::new("subject_alt_name, key_usage, extended_key_usage, basic_constraints, ocsp_must_staple", "What was asked for, and each with _critical."),
        Return::new("name_constraints_permitted, name_constraints_excluded", "Names that a CA may and may not sign."),
        Return::new("subject_key_identifier, authority_key_identifier, authority_cert_issuer, authority_cert_serial_number", "Names of keys."),
        Return::new("extensions_by_oid", "All, as base64."),
        Return::new("public_key, public_key_type, public_key_data, public_key_fingerprints", "Its key; numbers beyond 64 bits as digits."),
        Return::new("signature_valid", "Whether its own key signed it."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let request = Document::request(&text(cx, self.path.as_deref(), self.content.as_deref())?)
            .map_err(|failure| failure.during("the certificate signing request can't be read"))?;
        let valid = key::verifies(
            cx,
            &request.key,
            &request.algorithm,
            &request.body,
            &request.signature,
        )?;
        let (last, all) = subject(&request.subject);
        let mut outcome = Outcome::ok()
            .with("signature_valid", valid)
            .with("subject", last)
            .with("subject_ordered", all);
        outcome.data.extend(describe(&request));
        outcome.data.extend(constraints(&request));
        let outcome = with(outcome, of_public(&request.key));
        if !valid {
            return Err(Failure {
                message: "CSR signature is invalid!".to_owned(),
                data: outcome.data,
            });
        }
        Ok(outcome)
    }
}

#[derive(Deserialize)]
pub struct CertificateInfo {
    path: Option<String>,
    content: Option<String>,
    #[serde(default)]
    valid_at: Map<String, Value>,
}

impl Module for CertificateInfo {
    const SPEC: Spec = Spec::new(
        "x509_certificate_info",
        "Tells what a certificate says.",
        &[
            Arg::new("path", Kind::Path, "Its file; the first one in it counts."),
            Arg::new("content", Kind::Str, "The certificate itself."),
            Arg::new("valid_at", Kind::Dict, "Moments by name, for each of which is told whether it holds then."),
            ENCODING,
            BACKEND,
        ],
    )
    .rules(RULES)
    .returns(&[
        Return::new("subject, subject_ordered, issuer, issuer_ordered", "By name, and as pairs in order."),
        Return::new("not_before, not_after, expired, valid_at", "When it holds."),
        Return::new("serial_number, version, signature_algorithm", "A number beyond 64 bits as digits."),
        Return::new("subject_alt_name, key_usage, extended_key_usage, basic_constraints, ocsp_must_staple", "What it is for, and each with _critical."),
        Return::new("subject_key_identifier, authority_key_identifier, authority_cert_issuer, authority_cert_serial_number", "Names of keys."),
        Return::new("issuer_uri, ocsp_uri", "Where more about it is."),
        Return::new("extensions_by_oid, fingerprints", "All extensions, as base64, and the hashes of the whole."),
        Return::new("public_key, public_key_type, public_key_data, public_key_fingerprints", "Its key; numbers beyond 64 bits as digits."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let certificate =
            Document::certificate(&text(cx, self.path.as_deref(), self.content.as_deref())?)
                .map_err(|failure| failure.during("the certificate can't be read"))?;
        let (before, after) = (
            moment(&certificate.not_before)?,
            moment(&certificate.not_after)?,
        );
        let mut valid = Map::new();
        for (name, text) in &self.valid_at {
            let text = text.as_str().ok_or_else(|| {
                Failure::new(format!(
                    "The value for valid_at.{name} must be of type string"
                ))
            })?;
            let at = moment(text)?;
            valid.insert(name.clone(), (before <= at && at <= after).into());
        }
        let (last, all) = subject(&certificate.subject);
        let (issuer, issuers) = subject(&certificate.issuer);
        let mut outcome = Outcome::ok()
            .with("subject", last)
            .with("subject_ordered", all)
            .with("issuer", issuer)
            .with("issuer_ordered", issuers)
            .with("not_before", certificate.not_before.as_str())
            .with("not_after", certificate.not_after.as_str())
            .with("expired", after < moment("+0s")?)
            .with("valid_at", valid)
            .with("serial_number", der::number(&certificate.serial))
            .with("version", certificate.version)
            .with("signature_algorithm", signature(&certificate.algorithm))
            .with("fingerprints", key::fingerprints(&certificate.bytes))
            .with("issuer_uri", access(&certificate, "1.3.6.1.5.5.7.48.2"))
            .with("ocsp_uri", access(&certificate, "1.3.6.1.5.5.7.48.1"));
        outcome.data.extend(describe(&certificate));
        Ok(with(outcome, of_public(&certificate.key)))
    }
}
