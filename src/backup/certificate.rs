//! What a certificate says, as far as it decides whether it can be used again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The first certificate of a PEM file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateInfo {
    pub subject: String,
    pub issuer: String,
    /// `DNS:node1`, `IP:10.0.0.1`.
    #[serde(default)]
    pub sans: Vec<String>,
    pub not_after: Timestamp,
    /// It may sign others.
    #[serde(default)]
    pub ca: bool,
    /// SHA-256 of the public key with its algorithm (SubjectPublicKeyInfo), hexadecimal. The same for a renewed
    /// certificate of the same key.
    pub spki_sha256: String,
}

impl CertificateInfo {
    /// Read PEM text; `None` when it holds no certificate (a key, for example).
    pub fn read(pem: &[u8]) -> Option<Self> {
        let block = Pem::iter_from_buffer(pem)
            .filter_map(Result::ok)
            .find(|p| p.label == "CERTIFICATE")?;
        Self::of(&block.parse_x509().ok()?)
    }

    /// From DER.
    pub fn der(der: &[u8]) -> Option<Self> {
        Self::of(&X509Certificate::from_der(der).ok()?.1)
    }

    /// All certificates of PEM text, each with the bits of its public key.
    pub(super) fn all(pem: &[u8]) -> Vec<(Self, Vec<u8>)> {
        Pem::iter_from_buffer(pem)
            .filter_map(Result::ok)
            .filter(|block| block.label == "CERTIFICATE")
            .filter_map(|block| {
                let certificate = block.parse_x509().ok()?;
                let bits = certificate.public_key().subject_public_key.data.to_vec();
                Some((Self::of(&certificate)?, bits))
            })
            .collect()
    }

    fn of(certificate: &X509Certificate<'_>) -> Option<Self> {
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            sans: sans(certificate),
            not_after: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
            ca: certificate.is_ca(),
            spki_sha256: hex(&Sha256::digest(certificate.public_key().raw)),
        })
    }

    /// It is made out to this address or name.
    pub fn covers(&self, host: &str) -> bool {
        let wanted = match host.parse::<IpAddr>() {
            Ok(address) => format!("IP:{address}"),
            Err(_) => format!("DNS:{host}"),
        };
        self.sans.iter().any(|s| s.eq_ignore_ascii_case(&wanted))
    }
}

fn sans(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate
        .extensions()
        .iter()
        .filter_map(|e| match e.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        });
    names
        .flatten()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
            GeneralName::IPAddress(bytes) => address(bytes).map(|a| format!("IP:{a}")),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    #[test]
    fn a_certificate_says_for_whom_it_is() {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["node3".to_owned()]).expect("names");
        params
            .subject_alt_names
            .push(SanType::IpAddress("10.0.0.3".parse().expect("an address")));
        params.not_after = rcgen::date_time_ymd(2036, 1, 2);
        let pem = params.self_signed(&key).expect("signed").pem();
        // A key before the certificate doesn't hide it.
        let both = format!("{}{pem}", key.serialize_pem());
        let info = CertificateInfo::read(both.as_bytes()).expect("a certificate");
        assert_eq!(info.sans, ["DNS:node3", "IP:10.0.0.3"]);
        assert!(info.covers("10.0.0.3") && info.covers("node3"));
        assert!(!info.covers("10.0.0.30") && !info.covers("node"));
        assert_eq!(info.not_after.to_string(), "2036-01-02T00:00:00Z");
        assert_eq!(info.spki_sha256.len(), 64);
        assert!(!info.ca);
        assert_eq!(CertificateInfo::read(key.serialize_pem().as_bytes()), None);
    }
}
