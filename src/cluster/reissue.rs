//! Certificates made anew: the same subject, key and extensions, another serial number and another time. The key of the
//! authority stays where it is: what has to be signed goes there, and the signature comes back.

use base64::Engine as _;
use jiff::Timestamp;
use rand::RngCore;
use sha2::{Digest, Sha256};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const TIME: u8 = 0x18;
/// Of a certificate's fields, the version, which very old ones don't have.
const VERSION: u8 = 0xa0;

/// AlgorithmIdentifiers of what `openssl dgst -sha256 -sign` makes.
const SHA256_RSA: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00,
];
const SHA256_ECDSA: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
const RSA: &str = "1.2.840.113549.1.1.1";
const ELLIPTIC: &str = "1.2.840.10045.2.1";

/// A certificate as far as making it anew is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub der: Vec<u8>,
    pub subject: String,
    pub issuer: String,
    /// It may sign others.
    pub ca: bool,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SHA-256 of all that stays when it is made anew: equal for a certificate and its successors.
    pub identity: String,
}

impl Issued {
    /// The first certificate of PEM text; none when it holds none that can be read.
    pub fn read(pem: &[u8]) -> Option<Self> {
        let block = Pem::iter_from_buffer(pem)
            .filter_map(Result::ok)
            .find(|block| block.label == "CERTIFICATE")?;
        Self::der(&block.contents)
    }

    pub fn der(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        let time =
            |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        let fields = fields(der)?;
        let mut hasher = Sha256::new();
        for field in [&fields.issuer, &fields.subject_key_extensions] {
            hasher.update(field);
        }
        Some(Self {
            der: der[..der.len() - rest.len()].to_vec(),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            ca: parsed.is_ca(),
            not_before: time(parsed.validity().not_before)?,
            not_after: time(parsed.validity().not_after)?,
            identity: hex(&hasher.finalize()),
        })
    }

    /// This authority has signed it.
    pub fn signed_by(&self, authority: &Self) -> bool {
        let parsed = X509Certificate::from_der(&self.der);
        let authority = X509Certificate::from_der(&authority.der);
        let (Ok((_, parsed)), Ok((_, authority))) = (parsed, authority) else {
            return false;
        };
        parsed.issuer().as_raw() == authority.subject().as_raw()
            && parsed
                .verify_signature(Some(authority.public_key()))
                .is_ok()
    }

    /// What has to be signed with SHA-256 and the authority's key.
    ///
    /// # Errors
    /// The authority has a key of another kind than RSA or ECDSA.
    pub fn renewal(
        &self,
        authority: &Self,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<Renewal, String> {
        let unread = || format!("the certificate of '{}' can't be read", self.subject);
        let fields = fields(&self.der).ok_or_else(unread)?;
        let (_, parsed) = X509Certificate::from_der(&authority.der).map_err(|_| unread())?;
        let algorithm = match parsed.public_key().algorithm.algorithm.to_id_string() {
            kind if kind == RSA => SHA256_RSA,
            kind if kind == ELLIPTIC => SHA256_ECDSA,
            kind => {
                return Err(format!(
                    "the authority '{}' has a key of the kind {kind}; RSA and ECDSA can be used here",
                    authority.subject
                ));
            }
        };
        let mut serial = [0; 16];
        rand::rng().fill_bytes(&mut serial);
        // Positive, and not shorter by chance.
        serial[0] = serial[0] & 0x7f | 0x40;
        let validity = [time(not_before), time(not_after)].concat();
        let content = [
            fields.version,
            &item(INTEGER, &serial),
            algorithm,
            fields.issuer,
            &item(SEQUENCE, &validity),
            fields.subject_key_extensions,
        ]
        .concat();
        Ok(Renewal {
            to_sign: item(SEQUENCE, &content),
            algorithm,
        })
    }

    pub fn pem(&self) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(&self.der);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .filter_map(|line| std::str::from_utf8(line).ok())
            .collect();
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        )
    }
}

/// A certificate that lacks its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    pub to_sign: Vec<u8>,
    algorithm: &'static [u8],
}

impl Renewal {
    /// The certificate, if the signature is the authority's.
    pub fn finish(&self, signature: &[u8], authority: &Issued) -> Option<Issued> {
        let bits = item(BITS, &[&[0], signature].concat());
        let content = [self.to_sign.as_slice(), self.algorithm, &bits].concat();
        Issued::der(&item(SEQUENCE, &content)).filter(|new| new.signed_by(authority))
    }
}

/// The parts of a certificate between which serial number, algorithm and time stand.
struct Fields<'a> {
    version: &'a [u8],
    issuer: &'a [u8],
    subject_key_extensions: &'a [u8],
}

fn fields(der: &[u8]) -> Option<Fields<'_>> {
    let certificate = element(der)?;
    let content = element(certificate.content)?.content;
    let first = element(content)?;
    let (version, rest) = match first.tag {
        VERSION => (first.whole, first.rest),
        _ => (&[][..], content),
    };
    let serial = element(rest)?;
    let algorithm = element(serial.rest)?;
    let issuer = element(algorithm.rest)?;
    let validity = element(issuer.rest)?;
    Some(Fields {
        version,
        issuer: issuer.whole,
        subject_key_extensions: validity.rest,
    })
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With tag and length.
    whole: &'a [u8],
    rest: &'a [u8],
}

fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&tag, after) = der.split_first()?;
    let (&first, after) = after.split_first()?;
    let (length, after) = match first {
        short if short < 0x80 => (usize::from(short), after),
        long => {
            let (digits, after) = after.split_at_checked(usize::from(long & 0x7f))?;
            let length = digits.iter().try_fold(0usize, |n, digit| {
                n.checked_mul(256)?.checked_add(usize::from(*digit))
            })?;
            (length, after)
        }
    };
    let (content, rest) = after.split_at_checked(length)?;
    Some(Element {
        tag,
        content,
        whole: &der[..der.len() - rest.len()],
        rest,
    })
}

fn item(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let digits = content.len().to_be_bytes();
            let digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
            // A length has at most eight digits.
            bytes.push(0x80 | digits.len() as u8);
            bytes.extend(digits);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// Years up to 2049 have two digits (RFC 5280, 4.1.2.5).
fn time(at: Timestamp) -> Vec<u8> {
    let text = at.strftime("%Y%m%d%H%M%SZ").to_string();
    match text.as_str() < "2050" {
        true => item(UTC_TIME, &text.as_bytes()[2..]),
        false => item(TIME, text.as_bytes()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, KeyUsagePurpose, SigningKey,
    };

    #[test]
    fn only_serial_number_and_time_change() {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "etcd-ca");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).expect("signed").pem();
        let key = KeyPair::generate().expect("a key");
        let mut leaf = CertificateParams::new(vec!["node3".to_owned()]).expect("names");
        leaf.distinguished_name.push(DnType::CommonName, "etcd3");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let issuer = Issuer::new(ca, ca_key);
        let pem = leaf.signed_by(&key, &issuer).expect("signed").pem();

        let authority = Issued::read(ca_pem.as_bytes()).expect("read");
        let old = Issued::read(pem.as_bytes()).expect("read");
        assert!(old.signed_by(&authority) && !authority.signed_by(&old));
        assert_eq!(old.pem().replace('\r', ""), pem.replace('\r', ""));
        // Both forms of time.
        for year in ["2049", "2051"] {
            let from: Timestamp = "2026-11-21T10:11:12Z".parse().expect("a time");
            let to: Timestamp = format!("{year}-12-31T23:59:59Z").parse().expect("a time");
            let renewal = old.renewal(&authority, from, to).expect("can be signed");
            let signature = issuer.key().sign(&renewal.to_sign).expect("signed");
            let new = renewal.finish(&signature, &authority).expect("fits");
            assert_eq!((new.not_before, new.not_after), (from, to));
            assert_eq!(new.identity, old.identity);
            assert_ne!(new.der, old.der);
            assert_eq!(new.subject, "CN=etcd3");
            let mut wrong = signature.clone();
            wrong[10] ^= 1;
            assert_eq!(renewal.finish(&wrong, &authority), None);
        }
        assert_ne!(authority.identity, old.identity);
        assert_eq!(Issued::read(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
