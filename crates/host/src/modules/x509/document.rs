//! Certificates and requests, read.

use super::der::{self, Item, Reader};
use super::names::{self, Subject};
use super::oids::EXTENSION_REQUEST;
use crate::Failure;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) oid: String,
    pub(super) critical: bool,
    pub(super) value: Vec<u8>,
}

impl Extension {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut parts = vec![der::oid(&self.oid).unwrap_or_default()];
        if self.critical {
            parts.push(der::item(der::BOOLEAN, &[0xff]));
        }
        parts.push(der::item(der::BYTES, &self.value));
        der::holding(der::SEQUENCE, &parts)
    }
}

/// A certificate, or a request (which has no issuer, dates and number).
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// What is signed.
    pub(super) body: Vec<u8>,
    pub(super) version: u8,
    pub(super) serial: Vec<u8>,
    pub(super) issuer: Subject,
    /// As `YYYYMMDDHHMMSSZ`.
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) subject: Subject,
    /// SubjectPublicKeyInfo.
    pub(super) key: Vec<u8>,
    pub(super) extensions: Vec<Extension>,
    pub(super) algorithm: String,
    pub(super) signature: Vec<u8>,
    /// All of it.
    pub(super) bytes: Vec<u8>,
}

impl Document {
    pub(super) fn certificate(text: &str) -> Result<Self, Failure> {
        let (_, bytes) = der::pem(
            text,
            &["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"],
        )
        .ok_or_else(|| Failure::new("there is no certificate in it"))?;
        let mut outer = Reader(&bytes).need(der::SEQUENCE)?.inside();
        let body = outer.need(der::SEQUENCE)?;
        let mut inner = body.inside();
        let version = inner
            .if_tag(der::context(0, true))
            .and_then(|version| {
                version
                    .inside()
                    .if_tag(der::INTEGER)?
                    .content
                    .first()
                    .copied()
            })
            .unwrap_or_default();
        let serial = inner.need(der::INTEGER)?.content.to_vec();
        inner.need(der::SEQUENCE)?;
        let issuer = names::read(inner.need(der::SEQUENCE)?.inside());
        let mut dates = inner.need(der::SEQUENCE)?.inside();
        let not_before = date(Reader::next(&mut dates))?;
        let not_after = date(Reader::next(&mut dates))?;
        let subject = names::read(inner.need(der::SEQUENCE)?.inside());
        let key = inner.need(der::SEQUENCE)?.whole.to_vec();
        let list = inner.find(|item| item.tag == der::context(3, true));
        let extensions = list
            .and_then(|list| list.inside().if_tag(der::SEQUENCE))
            .map(extensions);
        let (algorithm, signature) = signed(&mut outer)?;
        Ok(Self {
            body: body.whole.to_vec(),
            version: version + 1,
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            key,
            extensions: extensions.unwrap_or_default(),
            algorithm,
            signature,
            bytes: bytes.clone(),
        })
    }

    pub(super) fn request(text: &str) -> Result<Self, Failure> {
        let (_, bytes) = der::pem(text, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"])
            .ok_or_else(|| Failure::new("there is no certificate signing request in it"))?;
        let mut outer = Reader(&bytes).need(der::SEQUENCE)?.inside();
        let body = outer.need(der::SEQUENCE)?;
        let mut inner = body.inside();
        inner.need(der::INTEGER)?;
        let subject = names::read(inner.need(der::SEQUENCE)?.inside());
        let key = inner.need(der::SEQUENCE)?.whole.to_vec();
        let mut found = Vec::new();
        for attribute in inner
            .if_tag(der::context(0, true))
            .into_iter()
            .flat_map(|all| all.inside())
        {
            let mut pair = attribute.inside();
            let is_request = pair
                .if_tag(der::OID)
                .is_some_and(|oid| der::dotted(oid.content) == EXTENSION_REQUEST);
            let list = pair
                .if_tag(der::SET)
                .and_then(|set| set.inside().if_tag(der::SEQUENCE));
            if let (true, Some(list)) = (is_request, list) {
                found = extensions(list);
            }
        }
        let (algorithm, signature) = signed(&mut outer)?;
        Ok(Self {
            body: body.whole.to_vec(),
            version: 1,
            serial: Vec::new(),
            issuer: Vec::new(),
            not_before: String::new(),
            not_after: String::new(),
            subject,
            key,
            extensions: found,
            algorithm,
            signature,
            bytes: bytes.clone(),
        })
    }

    pub(super) fn extension(&self, oid: &str) -> Option<&Extension> {
        self.extensions
            .iter()
            .find(|extension| extension.oid == oid)
    }
}

fn signed(outer: &mut Reader<'_>) -> Result<(String, Vec<u8>), Failure> {
    let algorithm = outer.need(der::SEQUENCE)?.inside().need(der::OID)?;
    let signature = outer.need(der::BITS)?.content;
    Ok((
        der::dotted(algorithm.content),
        signature.get(1..).unwrap_or_default().to_vec(),
    ))
}

fn extensions(list: Item<'_>) -> Vec<Extension> {
    let one = |item: Item<'_>| {
        let mut parts = item.inside();
        let oid = der::dotted(parts.if_tag(der::OID)?.content);
        let critical = parts
            .if_tag(der::BOOLEAN)
            .is_some_and(|flag| flag.content != [0]);
        let value = parts.if_tag(der::BYTES)?.content.to_vec();
        Some(Extension {
            oid,
            critical,
            value,
        })
    };
    list.inside().filter_map(one).collect()
}

/// Years of two digits are of 1950 to 2049 (RFC 5280, 4.1.2.5.1).
fn date(item: Option<Item<'_>>) -> Result<String, Failure> {
    let item = item.ok_or_else(|| Failure::new("its structure is broken"))?;
    let text = String::from_utf8_lossy(item.content).into_owned();
    Ok(match item.tag {
        der::UTC_TIME if text.as_str() < "5" => format!("20{text}"),
        der::UTC_TIME => format!("19{text}"),
        _ => text,
    })
}
