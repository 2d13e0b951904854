//! Filters of the collection `community.crypto`: what a certificate says.

use super::text::only_text;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::{Key, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use num_bigint::BigInt;
use sha2::Digest;
use std::net::IpAddr;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "x509_certificate_info",
        x509_certificate_info,
        ("'' | default('no certificate', true)", "'no certificate'"),
    ),
    filter(
        "split_pem",
        split_pem,
        ("'none' | community.crypto.split_pem", "[]"),
    ),
    filter(
        "parse_serial",
        parse_serial,
        ("'11:22:33' | community.crypto.parse_serial", "1122867"),
    ),
    filter(
        "to_serial",
        to_serial,
        ("1122867 | community.crypto.to_serial", "'11:22:33'"),
    ),
];

/// What `x509_certificate_info` of community.crypto returns, under the same names. Of the digests those that this
/// program has: the sums of BLAKE2, SHA-3 and SHAKE are left out.
fn x509_certificate_info(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.bind("x509_certificate_info", ["name_encoding"])?;
    let text = only_text("x509_certificate_info", value)?;
    let wrong = |problem: String| {
        TemplateError::new(format!("x509_certificate_info: {problem}"))
            .hint("Give it the text of a certificate in PEM.")
    };
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes())
        .map_err(|error| wrong(error.to_string()))?;
    let (_, certificate) =
        X509Certificate::from_der(&pem.contents).map_err(|error| wrong(error.to_string()))?;
    let facts = describe(&certificate, &pem.contents);
    Ok(if value.holds_untrusted() {
        facts.distrusted()
    } else {
        facts
    })
}

fn text(text: impl Into<String>) -> Value {
    Value::from(text.into())
}

/// Bytes in hexadecimal digits, with colons.
fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(":")
}

fn describe(certificate: &X509Certificate<'_>, der: &[u8]) -> Value {
    let key = certificate.public_key();
    let mut facts: IndexMap<&str, Value> = IndexMap::new();
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    facts.insert("signature_algorithm", text(named(&SIGNATURES, &algorithm)));
    for (name, ordered, distinguished) in [
        ("subject", "subject_ordered", certificate.subject()),
        ("issuer", "issuer_ordered", certificate.issuer()),
    ] {
        let parts = name_parts(distinguished);
        let unordered = parts
            .iter()
            .map(|(name, value)| (Key::from(name.as_str()), text(value)));
        facts.insert(name, Value::dict(unordered.collect()));
        let pairs = parts
            .iter()
            .map(|(name, value)| Value::list(vec![text(name), text(value)]));
        facts.insert(ordered, Value::list(pairs.collect()));
    }
    facts.insert(
        "version",
        Value::Int(i64::from(certificate.version().0) + 1),
    );
    extensions(certificate, &mut facts);
    let time = |at: i64| {
        let at = jiff::Timestamp::from_second(at).unwrap_or_default();
        text(at.strftime("%Y%m%d%H%M%SZ").to_string())
    };
    let validity = certificate.validity();
    facts.insert("not_before", time(validity.not_before.timestamp()));
    facts.insert("not_after", time(validity.not_after.timestamp()));
    let now = jiff::Timestamp::now().as_second();
    facts.insert("expired", Value::Bool(validity.not_after.timestamp() < now));
    facts.insert("public_key", text(pem_of("PUBLIC KEY", key.raw)));
    let (kind, data) = public_key(key);
    facts.insert("public_key_type", text(kind));
    facts.insert("public_key_data", Value::record(data));
    facts.insert("public_key_fingerprints", fingerprints(key.raw));
    facts.insert("fingerprints", fingerprints(der));
    let serial = BigInt::from_bytes_be(num_bigint::Sign::Plus, certificate.raw_serial());
    facts.insert("serial_number", Value::integer(serial));
    // In the order of the original: those of the key's extensions come last.
    let late = |name: &str| {
        LAST.iter()
            .position(|known| *known == name)
            .map_or(0, |at| at + 1)
    };
    facts.sort_by(|one, _, other, _| late(one).cmp(&late(other)));
    Value::record(facts)
}

/// What comes at the end of a description.
const LAST: [&str; 8] = [
    "subject_key_identifier",
    "authority_key_identifier",
    "authority_cert_issuer",
    "authority_cert_serial_number",
    "serial_number",
    "extensions_by_oid",
    "ocsp_uri",
    "issuer_uri",
];

/// Long names of the parts of a distinguished name, and their values.
fn name_parts(name: &X509Name<'_>) -> Vec<(String, String)> {
    let attributes = name.iter_attributes();
    let parts = attributes.map(|attribute| {
        let id = attribute.attr_type().to_id_string();
        let value = attribute.as_str().map_or_else(
            |_| String::from_utf8_lossy(attribute.attr_value().data).into_owned(),
            str::to_owned,
        );
        (named(&NAMES, &id), value)
    });
    parts.collect()
}

/// The name of an object identifier; itself when it has none here.
fn named(table: &[(&str, &str)], id: &str) -> String {
    let found = table.iter().find(|(known, _)| *known == id);
    found.map_or(id, |(_, name)| name).to_owned()
}

const NAMES: [(&str, &str); 14] = [
    ("2.5.4.3", "commonName"),
    ("2.5.4.4", "surname"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "countryName"),
    ("2.5.4.7", "localityName"),
    ("2.5.4.8", "stateOrProvinceName"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "organizationName"),
    ("2.5.4.11", "organizationalUnitName"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "givenName"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("0.9.2342.19200300.100.1.25", "domainComponent"),
    ("0.9.2342.19200300.100.1.1", "userId"),
];

const SIGNATURES: [(&str, &str); 10] = [
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "ED25519"),
];

const CURVES: [(&str, &str); 4] = [
    ("1.2.840.10045.3.1.7", "secp256r1"),
    ("1.3.132.0.34", "secp384r1"),
    ("1.3.132.0.35", "secp521r1"),
    ("1.3.132.0.10", "secp256k1"),
];

fn pem_of(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out + &format!("-----END {label}-----\n")
}

fn fingerprints(bytes: &[u8]) -> Value {
    Value::record([
        ("md5", text(hex(&md5::Md5::digest(bytes)))),
        ("sha1", text(hex(&sha1::Sha1::digest(bytes)))),
        ("sha224", text(hex(&sha2::Sha224::digest(bytes)))),
        ("sha256", text(hex(&sha2::Sha256::digest(bytes)))),
        ("sha384", text(hex(&sha2::Sha384::digest(bytes)))),
        ("sha512", text(hex(&sha2::Sha512::digest(bytes)))),
    ])
}

/// The kind of a key, and its numbers.
fn public_key(key: &SubjectPublicKeyInfo<'_>) -> (&'static str, Vec<(&'static str, Value)>) {
    let whole = |bytes: &[u8]| Value::integer(BigInt::from_bytes_be(num_bigint::Sign::Plus, bytes));
    match key.algorithm.algorithm.to_id_string().as_str() {
        "1.3.101.110" => return ("X25519", Vec::new()),
        "1.3.101.111" => return ("X448", Vec::new()),
        "1.3.101.112" => return ("Ed25519", Vec::new()),
        "1.3.101.113" => return ("Ed448", Vec::new()),
        _ => {}
    }
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let modulus = BigInt::from_bytes_be(num_bigint::Sign::Plus, rsa.modulus);
            let size = i64::try_from(modulus.bits()).unwrap_or(0);
            let data = [
                ("size", Value::Int(size)),
                ("modulus", Value::integer(modulus)),
                ("exponent", whole(rsa.exponent)),
            ];
            ("RSA", data.into())
        }
        Ok(PublicKey::EC(_)) => {
            let parameters = key.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
            let curve = curve.map_or_else(String::new, |id| named(&CURVES, &id.to_id_string()));
            let digits = curve
                .chars()
                .filter(char::is_ascii_digit)
                .take(3)
                .collect::<String>();
            let point = key.subject_public_key.data.get(1..).unwrap_or_default();
            let (x, y) = point.split_at(point.len() / 2);
            let size = digits.parse().unwrap_or(0);
            let data = [
                ("curve", text(curve)),
                ("x", whole(x)),
                ("y", whole(y)),
                ("exponent_size", Value::Int(size)),
            ];
            ("ECC", data.into())
        }
        Ok(PublicKey::DSA(_)) => ("DSA", Vec::new()),
        _ => ("unknown", Vec::new()),
    }
}

/// A list of texts; None when there is none.
fn texts(items: Option<Vec<String>>) -> Value {
    items.map_or(Value::None, |items| {
        Value::list(items.into_iter().map(text).collect())
    })
}

fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::RFC822Name(name) => format!("email:{name}"),
        GeneralName::URI(name) => format!("URI:{name}"),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.map_or_else(
                |_| format!("IP:{}", hex(bytes)),
                |address| format!("IP:{address}"),
            )
        }
        GeneralName::DirectoryName(name) => {
            let parts = name_parts(name);
            let parts: Vec<String> = parts
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("dirName:{}", parts.join(","))
        }
        GeneralName::RegisteredID(id) => format!("RID:{}", id.to_id_string()),
        GeneralName::OtherName(id, bytes) => {
            format!("otherName:{};{}", id.to_id_string(), hex(bytes))
        }
        other => format!("{other:?}"),
    }
}

fn extensions(certificate: &X509Certificate<'_>, facts: &mut IndexMap<&'static str, Value>) {
    for (name, critical) in [
        ("key_usage", "key_usage_critical"),
        ("extended_key_usage", "extended_key_usage_critical"),
        ("basic_constraints", "basic_constraints_critical"),
        ("ocsp_must_staple", "ocsp_must_staple_critical"),
        ("subject_alt_name", "subject_alt_name_critical"),
    ] {
        facts.insert(name, Value::None);
        facts.insert(critical, Value::Bool(false));
    }
    for name in [
        "subject_key_identifier",
        "authority_key_identifier",
        "authority_cert_issuer",
        "authority_cert_serial_number",
        "ocsp_uri",
        "issuer_uri",
    ] {
        facts.insert(name, Value::None);
    }
    let mut by_id = IndexMap::new();
    for extension in certificate.extensions() {
        let critical = Value::Bool(extension.critical);
        let encoded = text(STANDARD.encode(extension.value));
        let entry = Value::record([("critical", critical.clone()), ("value", encoded)]);
        by_id.insert(Key::text(extension.oid.to_id_string()), entry);
        match extension.parsed_extension() {
            ParsedExtension::KeyUsage(usage) => {
                let names = KEY_USAGES
                    .iter()
                    .enumerate()
                    .filter(|(bit, _)| usage.flags >> bit & 1 == 1);
                let mut names: Vec<String> = names.map(|(_, name)| (*name).to_owned()).collect();
                names.sort_unstable();
                facts.insert("key_usage", texts(Some(names)));
                facts.insert("key_usage_critical", critical);
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let known = [
                    (usage.any, "Any Extended Key Usage"),
                    (usage.client_auth, "TLS Web Client Authentication"),
                    (usage.code_signing, "Code Signing"),
                    (usage.email_protection, "E-mail Protection"),
                    (usage.ocsp_signing, "OCSP Signing"),
                    (usage.server_auth, "TLS Web Server Authentication"),
                    (usage.time_stamping, "Time Stamping"),
                ];
                let known = known
                    .iter()
                    .filter(|(set, _)| *set)
                    .map(|(_, name)| (*name).to_owned());
                let mut names: Vec<String> = known
                    .chain(usage.other.iter().map(|id| id.to_id_string()))
                    .collect();
                names.sort_unstable();
                facts.insert("extended_key_usage", texts(Some(names)));
                facts.insert("extended_key_usage_critical", critical);
            }
            ParsedExtension::BasicConstraints(limits) => {
                let mut parts = vec![format!("CA:{}", if limits.ca { "TRUE" } else { "FALSE" })];
                parts.extend(
                    limits
                        .path_len_constraint
                        .map(|length| format!("pathlen:{length}")),
                );
                facts.insert("basic_constraints", texts(Some(parts)));
                facts.insert("basic_constraints_critical", critical);
            }
            ParsedExtension::SubjectAlternativeName(names) => {
                let names = names.general_names.iter().map(general_name).collect();
                facts.insert("subject_alt_name", texts(Some(names)));
                facts.insert("subject_alt_name_critical", critical);
            }
            ParsedExtension::SubjectKeyIdentifier(id) => {
                facts.insert("subject_key_identifier", text(hex(id.0)));
            }
            ParsedExtension::AuthorityKeyIdentifier(authority) => {
                let id = authority.key_identifier.as_ref().map(|id| text(hex(id.0)));
                facts.insert("authority_key_identifier", id.unwrap_or(Value::None));
                let issuer = authority.authority_cert_issuer.as_ref();
                let issuer = issuer.map(|names| names.iter().map(general_name).collect());
                facts.insert("authority_cert_issuer", texts(issuer));
                let serial = authority.authority_cert_serial;
                let serial = serial.map(|bytes| {
                    Value::integer(BigInt::from_bytes_be(num_bigint::Sign::Plus, bytes))
                });
                facts.insert(
                    "authority_cert_serial_number",
                    serial.unwrap_or(Value::None),
                );
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                for way in &access.accessdescs {
                    let name = match way.access_method.to_id_string().as_str() {
                        "1.3.6.1.5.5.7.48.1" => "ocsp_uri",
                        "1.3.6.1.5.5.7.48.2" => "issuer_uri",
                        _ => continue,
                    };
                    if let GeneralName::URI(uri) = way.access_location {
                        facts.insert(name, text(uri));
                    }
                }
            }
            _ if extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.24" => {
                // The features of TLS: status_request is the fifth.
                facts.insert(
                    "ocsp_must_staple",
                    Value::Bool(extension.value.contains(&5)),
                );
                facts.insert("ocsp_must_staple_critical", critical);
            }
            _ => {}
        }
    }
    facts.insert("extensions_by_oid", Value::dict(by_id));
}

const KEY_USAGES: [&str; 9] = [
    "Digital Signature",
    "Non Repudiation",
    "Key Encipherment",
    "Data Encipherment",
    "Key Agreement",
    "Certificate Sign",
    "CRL Sign",
    "Encipher Only",
    "Decipher Only",
];

/// The blocks of a PEM file, each with its lines from BEGIN to END.
fn split_pem(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("split_pem")?;
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in only_text("split_pem", value)?.split_inclusive('\n') {
        if line.starts_with("-----BEGIN ") {
            block = Some(String::new());
        }
        if let Some(lines) = &mut block {
            lines.push_str(line);
            if line.starts_with("-----END ") {
                blocks.extend(block.take().map(|lines| super::text::like(value, lines)));
            }
        }
    }
    Ok(Value::list(blocks))
}

/// A serial number from its hexadecimal bytes.
fn parse_serial(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("parse_serial")?;
    let text = text_of(value)?;
    let mut digits = String::new();
    for (at, part) in text.trim().split(':').enumerate() {
        if part.is_empty() || part.len() > 2 || !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TemplateError::new(format!(
                "The {}th part {part:?} is not a hexadecimal number in range [0, 255]",
                at + 1
            )));
        }
        digits.push_str(&format!("{part:0>2}"));
    }
    let number = BigInt::parse_bytes(digits.as_bytes(), 16);
    Ok(number.map_or(Value::None, Value::integer))
}

fn to_serial(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("to_serial")?;
    let number = value
        .to_bigint()
        .filter(|number| number.sign() != num_bigint::Sign::Minus);
    let Some(number) = number else {
        return Err(TemplateError::new(format!(
            "to_serial: {} is no serial number",
            value.repr()
        )));
    };
    let (_, bytes) = number.to_bytes_be();
    Ok(text(hex(&bytes).to_uppercase()))
}
