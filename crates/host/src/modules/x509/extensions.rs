//! Extensions of requests: written from arguments, compared, and told.

use super::der::{self, Item, Reader};
use super::document::{Document, Extension};
use super::key::colons;
use super::names::{general, general_text};
use super::oids::{
    AUTHORITY_ACCESS, AUTHORITY_KEY, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE,
    NAME_CONSTRAINTS, PURPOSES, SAN, SUBJECT_KEY, TLS_FEATURE, USES,
};
use crate::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The names that something is for.
pub(super) fn names(list: &[String]) -> Result<Vec<u8>, Failure> {
    let names: Vec<Vec<u8>> = list
        .iter()
        .map(|name| general(name))
        .collect::<Result<_, _>>()?;
    Ok(der::holding(der::SEQUENCE, &names))
}

pub(super) fn key_usage(list: &[String]) -> Result<Vec<u8>, Failure> {
    let mut bits = [0_u8; 2];
    for name in list {
        let found = USES
            .iter()
            .find(|(_, short, long)| short == name || long == name);
        let bit = match (found, name.as_str()) {
            (Some((bit, ..)), _) => *bit,
            (None, "contentCommitment") => 1,
            _ => return Err(Failure::new(format!("key_usage: {name:?} isn't known"))),
        };
        bits[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
    }
    // The shortest form: zeros at the end are counted, not written.
    let bytes: &[u8] = if bits[1] == 0 { &bits[..1] } else { &bits };
    let last = bytes.last().copied().unwrap_or_default();
    let unused = if last == 0 {
        0
    } else {
        last.trailing_zeros() as u8
    };
    Ok(der::item(der::BITS, &[&[unused], bytes].concat()))
}

pub(super) fn purposes(list: &[String]) -> Result<Vec<u8>, Failure> {
    let one = |name: &String| {
        let known = PURPOSES
            .iter()
            .find(|(_, short, long)| short == name || long == name);
        let oid = known.map_or(name.as_str(), |(oid, ..)| oid);
        der::oid(oid)
            .ok_or_else(|| Failure::new(format!("extended_key_usage: {name:?} isn't known")))
    };
    let all: Vec<Vec<u8>> = list.iter().map(one).collect::<Result<_, _>>()?;
    Ok(der::holding(der::SEQUENCE, &all))
}

/// `CA:TRUE`, `pathlen:0`.
pub(super) fn basic_constraints(list: &[String]) -> Result<Vec<u8>, Failure> {
    let mut parts = Vec::new();
    let wrong = |text: &String| {
        Failure::new(format!(
            "basic_constraints: {text:?} isn't CA:TRUE, CA:FALSE or pathlen:NUMBER"
        ))
    };
    let (mut ca, mut length) = (false, None);
    for text in list {
        match text.split_once(':') {
            Some(("CA", value)) if value.eq_ignore_ascii_case("true") => ca = true,
            Some(("CA", value)) if value.eq_ignore_ascii_case("false") => {}
            Some(("pathlen", value)) => {
                length = Some(value.parse::<u32>().map_err(|_| wrong(text))?);
            }
            _ => return Err(wrong(text)),
        }
    }
    if ca {
        parts.push(der::item(der::BOOLEAN, &[0xff]));
    }
    if let Some(length) = length {
        parts.push(der::integer(&length.to_be_bytes()));
    }
    Ok(der::holding(der::SEQUENCE, &parts))
}

pub(super) fn name_constraints(
    permitted: &[String],
    excluded: &[String],
) -> Result<Vec<u8>, Failure> {
    let mut parts = Vec::new();
    for (number, list) in [(0, permitted), (1, excluded)] {
        if !list.is_empty() {
            let trees = list
                .iter()
                .map(|name| Ok(der::holding(der::SEQUENCE, &[general(name)?])));
            let trees: Vec<Vec<u8>> = trees.collect::<Result<_, Failure>>()?;
            parts.push(der::holding(der::context(number, true), &trees));
        }
    }
    Ok(der::holding(der::SEQUENCE, &parts))
}

/// That the server shall show that the certificate still holds (RFC 7633).
pub(super) fn must_staple() -> Vec<u8> {
    der::holding(der::SEQUENCE, &[der::integer(&[5])])
}

pub(super) fn authority_key(identifier: &[u8]) -> Vec<u8> {
    der::holding(
        der::SEQUENCE,
        &[der::item(der::context(0, false), identifier)],
    )
}

/// What extensions say, whatever their order, and for lists of names and purposes whatever the order in them.
pub(super) fn meaning(list: &[Extension]) -> BTreeMap<String, (bool, Vec<Vec<u8>>)> {
    let one = |extension: &Extension| {
        let mut parts = vec![extension.value.clone()];
        if [SAN, EXTENDED_KEY_USAGE].contains(&extension.oid.as_str())
            && let Some(list) = Reader(&extension.value).if_tag(der::SEQUENCE)
        {
            parts = list.inside().map(|item| item.whole.to_vec()).collect();
            parts.sort();
        }
        (extension.oid.clone(), (extension.critical, parts))
    };
    list.iter().map(one).collect()
}

/// What results say of the extensions of a request or a certificate.
pub(super) fn describe(document: &Document) -> Map<String, Value> {
    let mut all = Map::new();
    let mut tell = |name: &str, oid: &str, read: &dyn Fn(Item<'_>) -> Value| {
        let extension = document.extension(oid);
        let value = extension
            .and_then(|extension| Reader(&extension.value).next())
            .map(read);
        all.insert(name.to_owned(), value.unwrap_or_default());
        all.insert(
            format!("{name}_critical"),
            extension.is_some_and(|extension| extension.critical).into(),
        );
    };
    let list = |item: Item<'_>| -> Value { item.inside().map(general_text).collect() };
    tell("subject_alt_name", SAN, &list);
    tell("key_usage", KEY_USAGE, &uses);
    tell("extended_key_usage", EXTENDED_KEY_USAGE, &|item| {
        let mut names: Vec<String> = item
            .inside()
            .map(|item| {
                let oid = der::dotted(item.content);
                let known = PURPOSES.iter().find(|(known, ..)| *known == oid);
                known.map_or(oid.as_str(), |(.., long)| long).to_owned()
            })
            .collect();
        names.sort();
        names.into()
    });
    tell("basic_constraints", BASIC_CONSTRAINTS, &|item| {
        let mut inside = item.inside();
        let ca = inside
            .if_tag(der::BOOLEAN)
            .is_some_and(|flag| flag.content != [0]);
        let mut texts = vec![if ca { "CA:TRUE" } else { "CA:FALSE" }.to_owned()];
        if let Some(length) = inside.if_tag(der::INTEGER) {
            texts.push(format!("pathlen:{}", der::decimal(length.content)));
        }
        texts.sort();
        texts.into()
    });
    tell("ocsp_must_staple", TLS_FEATURE, &|item| {
        item.inside()
            .any(|feature| [&[5][..], &[17]].contains(&feature.content))
            .into()
    });
    let key = |item: Item<'_>| -> Value { colons(item.content).into() };
    let identifier = document
        .extension(SUBJECT_KEY)
        .and_then(|extension| Reader(&extension.value).next());
    all.insert(
        "subject_key_identifier".to_owned(),
        identifier.map(key).unwrap_or_default(),
    );
    all.extend(authority(document));
    all.insert("extensions_by_oid".to_owned(), by_oid(document));
    all
}

/// Uses of a key by name, sorted.
fn uses(item: Item<'_>) -> Value {
    let bits = item.content.get(1..).unwrap_or_default();
    let is_set = |bit: u8| {
        bits.get(usize::from(bit / 8))
            .is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    };
    let set = USES.iter().filter(|(bit, ..)| is_set(*bit));
    let mut names: Vec<&str> = set.map(|(.., long)| *long).collect();
    names.sort_unstable();
    names.into()
}

fn authority(document: &Document) -> Map<String, Value> {
    let mut all = Map::new();
    let (mut key, mut issuer, mut serial) = (Value::Null, Value::Null, Value::Null);
    let extension = document.extension(AUTHORITY_KEY);
    let parts = extension.and_then(|extension| Reader(&extension.value).if_tag(der::SEQUENCE));
    for item in parts.into_iter().flat_map(|parts| parts.inside()) {
        match item.tag & 0x1f {
            0 => key = colons(item.content).into(),
            1 => issuer = item.inside().map(general_text).collect(),
            _ => serial = der::number(item.content),
        }
    }
    all.insert("authority_key_identifier".to_owned(), key);
    all.insert("authority_cert_issuer".to_owned(), issuer);
    all.insert("authority_cert_serial_number".to_owned(), serial);
    all
}

fn by_oid(document: &Document) -> Value {
    let one = |extension: &Extension| {
        let value =
            json!({"critical": extension.critical, "value": STANDARD.encode(&extension.value)});
        (extension.oid.clone(), value)
    };
    Value::Object(document.extensions.iter().map(one).collect())
}

/// Which names a CA may and may not sign.
pub(super) fn constraints(document: &Document) -> Map<String, Value> {
    let extension = document.extension(NAME_CONSTRAINTS);
    let mut lists = [Value::Null, Value::Null];
    if let Some(list) =
        extension.and_then(|extension| Reader(&extension.value).if_tag(der::SEQUENCE))
    {
        lists = [json!([]), json!([])];
        for trees in list.inside() {
            let names: Value = trees
                .inside()
                .filter_map(|tree| Reader::next(&mut tree.inside()))
                .map(general_text)
                .collect();
            lists[usize::from(trees.tag & 1)] = names;
        }
    }
    let [permitted, excluded] = lists;
    let mut all = Map::new();
    all.insert("name_constraints_permitted".to_owned(), permitted);
    all.insert("name_constraints_excluded".to_owned(), excluded);
    all.insert(
        "name_constraints_critical".to_owned(),
        extension.is_some_and(|extension| extension.critical).into(),
    );
    all
}

/// Where the issuer and its revocations are found: URIs of a kind (RFC 5280, 4.2.2.1).
pub(super) fn access(document: &Document, kind: &str) -> Value {
    let Some(extension) = document.extension(AUTHORITY_ACCESS) else {
        return Value::Null;
    };
    let list = Reader(&extension.value).if_tag(der::SEQUENCE);
    let found = list
        .into_iter()
        .flat_map(|list| list.inside())
        .find_map(|entry| {
            let mut parts = entry.inside();
            let oid = der::dotted(parts.if_tag(der::OID)?.content);
            let place = Reader::next(&mut parts)?;
            (oid == kind && place.tag & 0x1f == 6)
                .then(|| String::from_utf8_lossy(place.content).into_owned())
        });
    found.map_or(Value::Null, Into::into)
}
