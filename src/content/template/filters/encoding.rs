//! Filters that encode, decode and digest.

use super::text::{like, only_text};
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, optional_int, text_of};
use crate::content::template::eval::{Interp, Outcome, json};
use crate::content::value::Value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;

pub(super) const FILTERS: &[Filter] = &[
    filter("b64encode", b64encode, ("'abc' | b64encode", "'YWJj'")),
    filter("b64decode", b64decode, ("'YWJj' | b64decode", "'abc'")),
    filter(
        "to_json",
        to_json,
        ("{'a': [1, None]} | to_json", "'{\"a\": [1, null]}'"),
    ),
    filter(
        "to_nice_json",
        to_nice_json,
        ("{'a': 1} | to_nice_json(indent=2)", "'{\\n  \"a\": 1\\n}'"),
    ),
    filter(
        "from_json",
        from_json,
        ("'{\"a\": [1, null]}' | from_json", "{'a': [1, None]}"),
    ),
    filter(
        "tojson",
        tojson,
        (
            "{'b': '<', 'a': 1} | tojson",
            "'{\"a\": 1, \"b\": \"\\\\u003c\"}'",
        ),
    ),
    filter(
        "hash",
        hash,
        ("'abc' | hash('md5')", "'900150983cd24fb0d6963f7d28e17f72'"),
    ),
    filter(
        "md5",
        md5,
        ("'abc' | md5", "'900150983cd24fb0d6963f7d28e17f72'"),
    ),
    filter(
        "sha1",
        checksum,
        ("'abc' | sha1", "'a9993e364706816aba3e25717850c26c9cd0d89d'"),
    ),
    filter(
        "checksum",
        checksum,
        (
            "'abc' | checksum",
            "'a9993e364706816aba3e25717850c26c9cd0d89d'",
        ),
    ),
    filter(
        "to_uuid",
        to_uuid,
        ("'abc' | to_uuid", "'27dc713b-d72c-5825-88f3-9f240e739319'"),
    ),
    filter("urlencode", urlencode, ("'a b/c' | urlencode", "'a%20b/c'")),
    filter("urldecode", urldecode, ("'a%20b+c' | urldecode", "'a b c'")),
    filter(
        "urlsplit",
        urlsplit,
        ("'https://h:80/p?q' | urlsplit('port')", "80"),
    ),
];

fn b64encode(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [encoding] = args.bind("b64encode", ["encoding"])?;
    let text = text_of(value)?;
    let bytes = match encoding {
        Some(name)
            if text_of(&name)?
                .to_lowercase()
                .replace('_', "-")
                .starts_with("utf-16") =>
        {
            utf16(&text, &text_of(&name)?)
        }
        _ => text.into_bytes(),
    };
    Ok(like(value, STANDARD.encode(bytes)))
}

fn utf16(text: &str, name: &str) -> Vec<u8> {
    let units = text.encode_utf16();
    match name.to_lowercase().replace('_', "-").as_str() {
        "utf-16-be" => units.flat_map(u16::to_be_bytes).collect(),
        "utf-16-le" => units.flat_map(u16::to_le_bytes).collect(),
        _ => [0xff, 0xfe]
            .into_iter()
            .chain(units.flat_map(u16::to_le_bytes))
            .collect(),
    }
}

fn b64decode(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [encoding] = args.bind("b64decode", ["encoding"])?;
    // What isn't a digit is passed over, as by Python; so is what stands after the padding.
    let text = text_of(value)?;
    let is_digit = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let mut digits: String = text.chars().filter(is_digit).collect();
    let padding = text.trim_end_matches(|c: char| c != '=' && !is_digit(&c));
    let padding = padding.len() - padding.trim_end_matches('=').len();
    digits.extend(std::iter::repeat_n(
        '=',
        padding.min((4 - digits.len() % 4) % 4),
    ));
    let bytes = STANDARD
        .decode(&digits)
        .map_err(|error| TemplateError::new(format!("b64decode(): {error}")))?;
    let name = match encoding {
        Some(name) => text_of(&name)?.to_lowercase().replace('_', "-"),
        None => "utf-8".to_owned(),
    };
    let text = if name.starts_with("utf-16") {
        let big = name == "utf-16-be";
        let units = bytes.chunks_exact(2).map(|pair| {
            let pair = [pair[0], pair[1]];
            if big {
                u16::from_be_bytes(pair)
            } else {
                u16::from_le_bytes(pair)
            }
        });
        let units: Vec<u16> = units.collect();
        String::from_utf16_lossy(&units)
            .trim_start_matches('\u{feff}')
            .to_owned()
    } else {
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(like(value, text))
}

/// `ensure_ascii`, `sort_keys`, `indent` and `separators` of Python's `json.dumps`.
fn options(args: &mut Args, nice: bool) -> Outcome<json::Style> {
    let mut style = json::Style {
        indent: nice.then_some(4),
        sort_keys: nice,
        ensure_ascii: true,
        separators: None,
    };
    if nice {
        style.separators = Some((",".to_owned(), ": ".to_owned()));
        let mut given = std::mem::take(&mut args.positional).into_iter();
        if let Some(indent) = given.next() {
            args.named.push(("indent".into(), indent));
        }
        if let Some(sort) = given.next() {
            args.named.push(("sort_keys".into(), sort));
        }
    }
    match args.take("indent") {
        None => {}
        Some(Value::None) => style.indent = None,
        Some(indent) => {
            let indent = optional_int("indent", Some(indent))?.unwrap_or(0);
            style.indent = Some(usize::try_from(indent).unwrap_or(0).min(64));
        }
    }
    style.sort_keys = args.take_flag("sort_keys", style.sort_keys);
    style.ensure_ascii = args.take_flag("ensure_ascii", true);
    if let Some(given) = args.take("separators").filter(|_| !nice) {
        let pair = given.iterate()?;
        if let [item, key] = pair.as_slice() {
            style.separators = Some((text_of(item)?, text_of(key)?));
        }
    }
    for ignored in [
        "vault_to_text",
        "preprocess_unsafe",
        "skipkeys",
        "allow_nan",
        "check_circular",
        "default",
    ] {
        args.take(ignored);
    }
    args.no_more_names(
        "to_json",
        &["indent", "sort_keys", "ensure_ascii", "separators"],
    )?;
    Ok(style)
}

fn to_json(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let style = options(&mut args, false)?;
    Ok(like(value, json::dump(value, &style)?))
}

fn to_nice_json(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let style = options(&mut args, true)?;
    Ok(like(value, json::dump(value, &style)?))
}

fn from_json(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("from_json")?;
    let found = json::load(only_text("from_json", value)?)?;
    Ok(if value.holds_untrusted() {
        found.distrusted()
    } else {
        found
    })
}

/// JSON that may stand in HTML: sorted, with `<`, `>`, `&` and `'` escaped.
fn tojson(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [indent] = args.bind("tojson", ["indent"])?;
    let indent = optional_int("indent", indent)?;
    let style = json::Style {
        indent: indent.map(|indent| usize::try_from(indent).unwrap_or(0).min(64)),
        sort_keys: true,
        ensure_ascii: true,
        separators: None,
    };
    let text = json::dump(value, &style)?
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027");
    Ok(like(value, text))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The digest of bytes by the name that Python gives the algorithm; None for one that isn't known.
pub fn digest(algorithm: &str, bytes: &[u8]) -> Option<String> {
    Some(match algorithm {
        "md5" => hex(&md5::Md5::digest(bytes)),
        "sha1" => hex(&sha1::Sha1::digest(bytes)),
        "sha224" => hex(&sha2::Sha224::digest(bytes)),
        "sha256" => hex(&sha2::Sha256::digest(bytes)),
        "sha384" => hex(&sha2::Sha384::digest(bytes)),
        "sha512" => hex(&sha2::Sha512::digest(bytes)),
        _ => return None,
    })
}

fn hash(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [kind] = args.bind("hash", ["hashtype"])?;
    let kind = match kind {
        Some(kind) => text_of(&kind)?,
        None => "sha1".to_owned(),
    };
    let found = digest(&kind, text_of(value)?.as_bytes()).ok_or_else(|| {
        TemplateError::new(format!("unsupported hash type {kind}"))
            .hint("Known: md5, sha1, sha224, sha256, sha384, sha512.")
    })?;
    Ok(like(value, found))
}

fn md5(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("md5")?;
    Ok(like(
        value,
        hex(&md5::Md5::digest(text_of(value)?.as_bytes())),
    ))
}

fn checksum(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("checksum")?;
    Ok(like(
        value,
        hex(&sha1::Sha1::digest(text_of(value)?.as_bytes())),
    ))
}

/// A UUID of version 5 in Ansible's namespace.
fn to_uuid(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [namespace] = args.bind("to_uuid", ["namespace"])?;
    let namespace = match namespace {
        Some(namespace) => text_of(&namespace)?,
        None => "361E6D51-FAEC-444A-9079-341386DA8E2E".to_owned(),
    };
    let digits: String = namespace.chars().filter(char::is_ascii_hexdigit).collect();
    let space = u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| digits.len() == 32)
        .ok_or_else(|| {
            TemplateError::new(format!("Invalid value '{namespace}' for 'namespace'"))
        })?;
    let mut hasher = sha1::Sha1::new();
    hasher.update(space.to_be_bytes());
    hasher.update(text_of(value)?.as_bytes());
    let mut bytes: Vec<u8> = hasher.finalize().to_vec();
    bytes.truncate(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    let uuid = format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    );
    Ok(like(value, uuid))
}

fn percent(text: &str, keep: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || keep.contains(c) {
            out.push(c);
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// Text for a path, a mapping or a list of pairs for a query.
fn urlencode(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("urlencode")?;
    let pairs: Vec<(String, String)> = match value {
        Value::Dict(_) => {
            let entries = value.entries().unwrap_or_default();
            entries
                .iter()
                .map(|(key, value)| (key.0.to_text(), value.to_text()))
                .collect()
        }
        Value::List(_) | Value::Tuple(_) => {
            let mut pairs = Vec::new();
            for pair in value.iterate()? {
                let pair = pair.iterate()?;
                let [key, value] = pair.as_slice() else {
                    return Err(TemplateError::new(format!(
                        "urlencode: expected pairs of names and values, not {} items",
                        pair.len()
                    )));
                };
                pairs.push((text_of(key)?, text_of(value)?));
            }
            pairs
        }
        other => return Ok(like(value, percent(&text_of(other)?, "/"))),
    };
    let quoted = |text: &str| percent(text, " ").replace(' ', "+");
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", quoted(key), quoted(value)))
        .collect();
    Ok(like(value, pairs.join("&")))
}

fn urldecode(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("urldecode")?;
    let text = text_of(value)?.replace('+', " ");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    Ok(like(value, String::from_utf8_lossy(&bytes)))
}

/// The parts of a URL, or one of them.
fn urlsplit(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [query] = args.bind("urlsplit", ["query"])?;
    // As browsers read them: control characters and blanks in front don't count, line breaks nowhere.
    let text = only_text("urlsplit", value)?.trim_start_matches(|c: char| c <= ' ');
    let text = text.replace(['\t', '\r', '\n'], "");
    let (rest, fragment) = text.split_once('#').unwrap_or((&text, ""));
    let (rest, question) = rest.split_once('?').unwrap_or((rest, ""));
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_lowercase(), rest),
        _ => (String::new(), rest),
    };
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (login, address) = netloc
        .rsplit_once('@')
        .map_or((None, netloc), |(login, address)| (Some(login), address));
    let (username, password) = match login {
        Some(login) => match login.split_once(':') {
            Some((name, password)) => (Some(name), Some(password)),
            None => (Some(login), None),
        },
        None => (None, None),
    };
    let (host, port) = match address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => address
            .split_once(':')
            .map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let optional = |text: Option<&str>| text.map_or(Value::None, |text| like(value, text));
    let parts = Value::record([
        ("fragment", like(value, fragment)),
        (
            "hostname",
            if host.is_empty() {
                Value::None
            } else {
                like(value, host.to_lowercase())
            },
        ),
        ("netloc", like(value, netloc)),
        ("password", optional(password)),
        ("path", like(value, path)),
        (
            "port",
            port.and_then(|port| port.parse().ok())
                .map_or(Value::None, Value::Int),
        ),
        ("query", like(value, question)),
        ("scheme", like(value, scheme)),
        ("username", optional(username)),
    ]);
    match query.filter(|query| query.truthy()) {
        None => Ok(parts),
        Some(query) => {
            let name = text_of(&query)?;
            parts.get(&name).ok_or_else(|| {
                TemplateError::new(format!("urlsplit: unknown URL component: {name}"))
                    .hint("Known: fragment, hostname, netloc, password, path, port, query, scheme, username.")
            })
        }
    }
}
