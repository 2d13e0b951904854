//! Subjects, and the names that a certificate is for.

use super::der::{self, Item, Reader};
use super::oids::SUBJECT;
use crate::Failure;
use std::net::IpAddr;

/// The parts of a subject: identifiers and values, in order.
pub(super) type Subject = Vec<(String, String)>;

/// The identifier of a part, by either name or as numbers.
pub(super) fn part(name: &str) -> Result<String, Failure> {
    let known = SUBJECT
        .iter()
        .find(|(_, short, long)| *short == name || *long == name);
    let more = [
        ("E", "1.2.840.113549.1.9.1"),
        ("S", "2.5.4.8"),
        ("organizationalUnit", "2.5.4.11"),
    ];
    let other = more
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, oid)| *oid);
    match known.map(|(oid, ..)| *oid).or(other) {
        Some(oid) => Ok(oid.to_owned()),
        None if der::oid(name).is_some() => Ok(name.to_owned()),
        None => Err(Failure::new(format!(
            "Cannot find OID for subject field {name:?}"
        ))),
    }
}

/// The name in words; what has none stays as numbers.
pub(super) fn long(oid: &str) -> String {
    let known = SUBJECT.iter().find(|(known, ..)| *known == oid);
    known.map_or(oid, |(_, _, long)| long).to_owned()
}

/// As countries, mail addresses and domains are written (RFC 5280, appendix A); all others are UTF-8.
fn kind(oid: &str) -> u8 {
    match oid {
        "2.5.4.6" => der::PRINTABLE,
        "1.2.840.113549.1.9.1" | "0.9.2342.19200300.100.1.25" => der::IA5,
        _ => der::UTF8,
    }
}

pub(super) fn write(subject: &Subject) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = subject
        .iter()
        .map(|(oid, value)| {
            let pair = [
                der::oid(oid).unwrap_or_default(),
                der::item(kind(oid), value.as_bytes()),
            ];
            der::holding(der::SET, &[der::holding(der::SEQUENCE, &pair)])
        })
        .collect();
    der::holding(der::SEQUENCE, &parts)
}

/// `reader` is inside of the name.
pub(super) fn read(reader: Reader<'_>) -> Subject {
    let mut subject = Vec::new();
    for set in reader {
        for mut pair in set.inside().map(|pair| pair.inside()) {
            if let (Some(oid), Some(value)) = (Reader::next(&mut pair), Reader::next(&mut pair)) {
                subject.push((der::dotted(oid.content), text(value)));
            }
        }
    }
    subject
}

fn text(item: Item<'_>) -> String {
    // Letters of two bytes (BMPString); all others are ASCII or UTF-8.
    if item.tag == 0x1e {
        let units: Vec<u16> = item
            .content
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| u16::from_be_bytes(*pair))
            .collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(item.content).into_owned()
}

/// One name for which something is: `DNS:x`, `IP:10.0.0.1`, `email:`, `URI:`, `RID:`, `dirName:/CN=x`.
pub(super) fn general(text: &str) -> Result<Vec<u8>, Failure> {
    let wrong = || {
        Failure::new(format!(
            "Cannot parse Subject Alternative Name \"{text}\" (it is written as DNS:name, IP:address, email:, URI:, RID: or dirName:)"
        ))
    };
    let (kind, value) = text.split_once(':').ok_or_else(wrong)?;
    let value = value.trim();
    Ok(match kind {
        "DNS" => der::item(der::context(2, false), value.as_bytes()),
        "email" => der::item(der::context(1, false), value.as_bytes()),
        "URI" => der::item(der::context(6, false), value.as_bytes()),
        "RID" => {
            let oid = der::oid(value).ok_or_else(wrong)?;
            let content = Reader(&oid).need(der::OID)?.content.to_vec();
            der::item(der::context(8, false), &content)
        }
        "IP" => der::item(der::context(7, false), &address(value).ok_or_else(wrong)?),
        "dirName" => {
            let mut subject = Subject::new();
            for pair in value.split('/').filter(|pair| !pair.trim().is_empty()) {
                let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
                subject.push((part(name.trim())?, value.trim().to_owned()));
            }
            der::item(der::context(4, true), &write(&subject))
        }
        _ => return Err(wrong()),
    })
}

/// An address, or (in constraints) a network as address and mask.
fn address(text: &str) -> Option<Vec<u8>> {
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let Some((address, length)) = text.split_once('/') else {
        return Some(bytes(text.parse().ok()?));
    };
    let address = bytes(address.parse().ok()?);
    let length: usize = length
        .parse()
        .ok()
        .filter(|length| *length <= address.len() * 8)?;
    let mask = (0..address.len()).map(|at| {
        let bits = length.saturating_sub(at * 8).min(8);
        (0xff00_u16 >> bits) as u8
    });
    let mask: Vec<u8> = mask.collect();
    Some([address, mask].concat())
}

pub(super) fn general_text(item: Item<'_>) -> String {
    let plain = || String::from_utf8_lossy(item.content).into_owned();
    match item.tag & 0x1f {
        1 => format!("email:{}", plain()),
        2 => format!("DNS:{}", plain()),
        4 => {
            let mut inside = item.inside();
            let subject = Reader::next(&mut inside)
                .map(|name| read(name.inside()))
                .unwrap_or_default();
            let parts: Vec<String> = subject
                .iter()
                .map(|(oid, value)| format!("{}={value}", short(oid)))
                .collect();
            format!("dirName:{}", parts.join(","))
        }
        6 => format!("URI:{}", plain()),
        7 => format!("IP:{}", address_text(item.content)),
        8 => format!("RID:{}", der::dotted(item.content)),
        _ => format!("otherName:{}", crate::files::hex(item.content)),
    }
}

pub(super) fn short(oid: &str) -> String {
    let known = SUBJECT.iter().find(|(known, ..)| *known == oid);
    known.map_or(oid, |(_, short, _)| short).to_owned()
}

fn address_text(bytes: &[u8]) -> String {
    let one = |bytes: &[u8]| -> Option<IpAddr> {
        if let Ok(four) = <[u8; 4]>::try_from(bytes) {
            return Some(four.into());
        }
        <[u8; 16]>::try_from(bytes).ok().map(Into::into)
    };
    if let Some(address) = one(bytes) {
        return address.to_string();
    }
    let (address, mask) = bytes.split_at(bytes.len() / 2);
    let length: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    one(address).map_or_else(
        || crate::files::hex(bytes),
        |address| format!("{address}/{length}"),
    )
}
