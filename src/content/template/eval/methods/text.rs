//! Methods of text.

use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, int_of, optional_int, required};
use crate::content::template::eval::{Outcome, format};
use crate::content::value::{Mistake, Text, Value};

pub(super) const NAMES: [&str; 45] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "decode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

pub(super) fn call(receiver: &Text, name: &str, args: Args) -> Outcome {
    let text = &*receiver.text;
    let trusted = receiver.trusted;
    let made = |text: String| Ok(Value::Str(Text::new(text, trusted)));
    match name {
        "title" => made(title(text)),
        "capitalize" => args.none(name).and_then(|()| made(capitalize(text))),
        "lower" => args.none(name).and_then(|()| made(text.to_lowercase())),
        "casefold" => args
            .none(name)
            .and_then(|()| made(text.to_lowercase().replace('ß', "ss"))),
        "upper" => args.none(name).and_then(|()| made(text.to_uppercase())),
        "swapcase" => args.none(name).and_then(|()| made(swapcase(text))),
        // Text is the only form: bytes print and behave as the text that they hold.
        "encode" | "decode" => Ok(Value::Str(receiver.clone())),
        "center" | "ljust" | "rjust" | "zfill" => justify(receiver, name, args),
        "count" | "find" | "rfind" | "index" | "rindex" => search(text, name, args),
        "startswith" | "endswith" => affix(text, name, args),
        "expandtabs" => {
            let [size] = args.bind(name, ["tabsize"])?;
            made(expandtabs(
                text,
                optional_int("tabsize", size)?.unwrap_or(8),
            ))
        }
        "format" => format::brace(receiver, &args),
        "format_map" => {
            let [mapping] = args.bind(name, ["mapping"])?;
            let entries = required(name, "mapping", mapping)?
                .entries()
                .unwrap_or_default();
            let named = entries
                .into_iter()
                .map(|(key, value)| (key.0.to_text().into(), value));
            let args = Args {
                positional: Vec::new(),
                named: named.collect(),
            };
            format::brace(receiver, &args)
        }
        "join" => join(receiver, args),
        "strip" | "lstrip" | "rstrip" => strip(text, name, args).and_then(made),
        "partition" | "rpartition" => partition(receiver, name, args),
        "removeprefix" | "removesuffix" => {
            let [affix] = args.bind(name, ["affix"])?;
            let affix = text_argument(name, affix)?;
            let rest = if name == "removeprefix" {
                text.strip_prefix(&*affix)
            } else {
                text.strip_suffix(&*affix)
            };
            made(rest.unwrap_or(text).to_owned())
        }
        "replace" => replace(receiver, args),
        "split" | "rsplit" => split(receiver, name, args),
        "splitlines" => {
            let [keep] = args.bind(name, ["keepends"])?;
            let keep = keep.is_some_and(|keep| keep.truthy());
            let lines = lines(text, keep).into_iter();
            Ok(Value::list(
                lines.map(|line| piece(receiver, line)).collect(),
            ))
        }
        _ => args.none(name).map(|()| Value::Bool(is(text, name))),
    }
}

fn piece(receiver: &Text, text: &str) -> Value {
    Value::Str(Text::new(text, receiver.trusted))
}

fn text_argument(what: &str, value: Option<Value>) -> Outcome<std::sync::Arc<str>> {
    match required(what, "text", value)? {
        Value::Str(text) => Ok(text.text),
        Value::Undefined(missing) => Err(Mistake::undefined(&missing).into()),
        other => Err(TemplateError::new(format!(
            "{what}() wants text, not {}",
            other.type_name()
        ))),
    }
}

pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase(),
        None => String::new(),
    }
}

fn title(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

fn swapcase(text: &str) -> String {
    let swap = |c: char| -> String {
        if c.is_uppercase() {
            c.to_lowercase().collect()
        } else {
            c.to_uppercase().collect()
        }
    };
    text.chars().map(swap).collect()
}

fn justify(receiver: &Text, name: &str, args: Args) -> Outcome {
    let [width, fill] = args.bind(name, ["width", "fillchar"])?;
    let width = int_of("width", &required(name, "width", width)?)?.clamp(0, 1 << 20);
    let fill = match fill {
        Some(fill) => fill.to_text(),
        None => " ".to_owned(),
    };
    let mut chars = fill.chars();
    let (Some(fill), None) = (chars.next(), chars.next()) else {
        return Err(TemplateError::new(
            "The fill character must be exactly one character long",
        ));
    };
    let text = &*receiver.text;
    let width = usize::try_from(width).unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    let run = |count: usize, c: char| std::iter::repeat_n(c, count).collect::<String>();
    let out = match name {
        "ljust" => format!("{text}{}", run(missing, fill)),
        "rjust" => format!("{}{text}", run(missing, fill)),
        "zfill" => match text.strip_prefix(['-', '+']) {
            Some(digits) => format!("{}{}{digits}", &text[..1], run(missing, '0')),
            None => format!("{}{text}", run(missing, '0')),
        },
        _ => {
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", run(left, fill), run(missing - left, fill))
        }
    };
    Ok(Value::Str(Text::new(out, receiver.trusted)))
}

/// A part of the text by characters, and how many bytes lie before it.
fn window(text: &str, start: Option<i64>, end: Option<i64>) -> (usize, &str) {
    let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { at + count } else { at }.clamp(0, count);
    let byte = |at: i64| {
        let at = usize::try_from(at).unwrap_or(0);
        text.char_indices()
            .nth(at)
            .map_or(text.len(), |(byte, _)| byte)
    };
    let from = byte(start.map_or(0, place));
    let to = byte(end.map_or(count, place)).max(from);
    (from, &text[from..to])
}

fn search(text: &str, name: &str, args: Args) -> Outcome {
    let [part, start, end] = args.bind(name, ["sub", "start", "end"])?;
    let part = text_argument(name, part)?;
    let start = optional_int("start", start)?;
    let (from, inside) = window(text, start, optional_int("end", end)?);
    if name == "count" {
        let count = if part.is_empty() {
            inside.chars().count() + 1
        } else {
            inside.matches(&*part).count()
        };
        return Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
    }
    let found = if name.starts_with('r') {
        inside.rfind(&*part)
    } else {
        inside.find(&*part)
    };
    match found {
        Some(at) => {
            let chars = text[..from + at].chars().count();
            Ok(Value::Int(i64::try_from(chars).unwrap_or(i64::MAX)))
        }
        None if name.ends_with("index") => Err(TemplateError::new("substring not found")),
        None => Ok(Value::Int(-1)),
    }
}

fn affix(text: &str, name: &str, args: Args) -> Outcome {
    let [affixes, start, end] = args.bind(name, ["prefix", "start", "end"])?;
    let start = optional_int("start", start)?;
    let (_, inside) = window(text, start, optional_int("end", end)?);
    let affixes = match required(name, "prefix", affixes)? {
        Value::Tuple(affixes) => affixes.to_vec(),
        one => vec![one],
    };
    for affix in affixes {
        let affix = text_argument(name, Some(affix))?;
        let fits = if name == "startswith" {
            inside.starts_with(&*affix)
        } else {
            inside.ends_with(&*affix)
        };
        if fits {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn expandtabs(text: &str, size: i64) -> String {
    let size = usize::try_from(size.clamp(0, 1000)).unwrap_or(0);
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let blanks = size - column % size;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

fn join(receiver: &Text, args: Args) -> Outcome {
    let [items] = args.bind("join", ["iterable"])?;
    let mut out = String::new();
    let mut trusted = receiver.trusted;
    for (at, item) in required("join", "iterable", items)?
        .iterate()?
        .iter()
        .enumerate()
    {
        if at > 0 {
            out.push_str(&receiver.text);
        }
        match item {
            Value::Str(text) => {
                trusted &= text.trusted;
                out.push_str(&text.text);
            }
            Value::Undefined(missing) => return Err(Mistake::undefined(missing).into()),
            other => {
                return Err(TemplateError::new(format!(
                    "sequence item {at}: expected str instance, {} found",
                    other.type_name()
                )));
            }
        }
    }
    Ok(Value::Str(Text::new(out, trusted)))
}

fn strip(text: &str, name: &str, args: Args) -> Outcome<String> {
    let [chars] = args.bind(name, ["chars"])?;
    let chars = match chars {
        None | Some(Value::None) => None,
        some => Some(text_argument(name, some)?),
    };
    let unwanted = |c: char| match &chars {
        Some(chars) => chars.contains(c),
        None => c.is_whitespace(),
    };
    Ok(match name {
        "lstrip" => text.trim_start_matches(unwanted),
        "rstrip" => text.trim_end_matches(unwanted),
        _ => text.trim_matches(unwanted),
    }
    .to_owned())
}

fn partition(receiver: &Text, name: &str, args: Args) -> Outcome {
    let [separator] = args.bind(name, ["sep"])?;
    let separator = text_argument(name, separator)?;
    if separator.is_empty() {
        return Err(TemplateError::new("empty separator"));
    }
    let text = &*receiver.text;
    let (found, parts) = if name == "partition" {
        let found = text.split_once(&*separator);
        (found, [text, "", ""])
    } else {
        (text.rsplit_once(&*separator), ["", "", text])
    };
    let parts = match found {
        Some((before, after)) => [before, &*separator, after],
        None => parts,
    };
    Ok(Value::tuple(
        parts.map(|part| piece(receiver, part)).to_vec(),
    ))
}

fn replace(receiver: &Text, args: Args) -> Outcome {
    let [old, new, count] = args.bind("replace", ["old", "new", "count"])?;
    let trusted = receiver.trusted && !new.as_ref().is_some_and(Value::holds_untrusted);
    let (old, new) = (
        text_argument("replace", old)?,
        text_argument("replace", new)?,
    );
    let text = match optional_int("count", count)?.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => receiver.text.replacen(&*old, &new, count),
        None => receiver.text.replace(&*old, &new),
    };
    Ok(Value::Str(Text::new(text, trusted)))
}

fn split(receiver: &Text, name: &str, args: Args) -> Outcome {
    let [separator, limit] = args.bind(name, ["sep", "maxsplit"])?;
    let limit = optional_int("maxsplit", limit)?.and_then(|limit| usize::try_from(limit).ok());
    let separator = match separator {
        None | Some(Value::None) => None,
        some => Some(text_argument(name, some)?),
    };
    let from_right = name == "rsplit";
    let parts = parts(&receiver.text, separator.as_deref(), limit, from_right)?;
    Ok(Value::list(
        parts
            .into_iter()
            .map(|part| piece(receiver, part))
            .collect(),
    ))
}

/// Python's `split` and `rsplit`; without a separator at runs of white space.
pub fn parts<'a>(
    text: &'a str,
    separator: Option<&str>,
    limit: Option<usize>,
    from_right: bool,
) -> Outcome<Vec<&'a str>> {
    let pieces = limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
    match separator {
        Some("") => Err(TemplateError::new("empty separator")),
        Some(separator) if from_right => {
            let mut parts: Vec<&str> = text.rsplitn(pieces, separator).collect();
            parts.reverse();
            Ok(parts)
        }
        Some(separator) => Ok(text.splitn(pieces, separator).collect()),
        None => Ok(words(text, pieces, from_right)),
    }
}

fn words(text: &str, pieces: usize, from_right: bool) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = if from_right {
        text.trim_end()
    } else {
        text.trim_start()
    };
    while !rest.trim().is_empty() {
        if found.len() + 1 == pieces {
            found.push(rest);
            break;
        }
        if from_right {
            match rest.rfind(char::is_whitespace) {
                Some(at) => {
                    let width = rest[at..].chars().next().map_or(1, char::len_utf8);
                    found.push(&rest[at + width..]);
                    rest = rest[..at].trim_end();
                }
                None => {
                    found.push(rest);
                    rest = "";
                }
            }
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            found.push(&rest[..end]);
            rest = rest[end..].trim_start();
        }
    }
    if from_right {
        found.reverse();
    }
    found
}

/// The lines of a text, without their ends unless these are kept.
pub fn lines(text: &str, keep: bool) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r', '\x0b', '\x0c', '\u{85}', '\u{2028}', '\u{2029}']);
        let (line, len) = match end {
            Some(at) if rest[at..].starts_with("\r\n") => (at, at + 2),
            Some(at) => (at, at + rest[at..].chars().next().map_or(1, char::len_utf8)),
            None => (rest.len(), rest.len()),
        };
        found.push(if keep { &rest[..len] } else { &rest[..line] });
        rest = &rest[len..];
    }
    found
}

fn is(text: &str, name: &str) -> bool {
    let all = |accept: fn(char) -> bool| !text.is_empty() && text.chars().all(accept);
    match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" => all(|c| c.is_ascii_digit() || (c.is_numeric() && !c.is_ascii())),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "isidentifier" => {
            all(|c| c == '_' || c.is_alphanumeric()) && !text.starts_with(|c: char| c.is_numeric())
        }
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        "istitle" => text.chars().any(char::is_uppercase) && title(text) == text,
        _ => false,
    }
}
