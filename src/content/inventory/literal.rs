//! Values of INI inventories: what Python's `ast.literal_eval` reads is that value, everything else is text.

use crate::content::place::Place;
use crate::content::yaml::{Kind, Node};
use num_bigint::BigInt;
use std::sync::Arc;

/// Deepest nesting of brackets; deeper text stays text.
const MAX_DEPTH: u32 = 100;

/// The value of `key=value` in an INI inventory.
///
/// `yes` and `true` are text there, `True` is a boolean, `010` is text, `0x10` is 16, `80,443` is a tuple.
pub fn value(text: &str, place: &Place) -> Node {
    let mut reader = Reader {
        rest: text.trim_start_matches([' ', '\t']),
        place,
    };
    match reader.whole() {
        Some(kind) => kind,
        None => Node {
            place: place.clone(),
            tag: None,
            kind: Kind::Str(text.into()),
        },
    }
}

struct Reader<'a> {
    rest: &'a str,
    place: &'a Place,
}

impl<'a> Reader<'a> {
    /// A literal, or several with commas between them (a tuple), then nothing but a comment.
    fn whole(&mut self) -> Option<Node> {
        let first = self.literal(0)?;
        let node = if self.peek() == Some(',') {
            let mut items = vec![first];
            while self.eat(',') {
                if matches!(self.peek(), None | Some('#')) {
                    break;
                }
                items.push(self.literal(0)?);
            }
            self.tuple(items)
        } else {
            first
        };
        matches!(self.peek(), None | Some('#')).then_some(node)
    }

    fn node(&self, kind: Kind) -> Node {
        Node {
            place: self.place.clone(),
            tag: None,
            kind,
        }
    }

    fn tuple(&self, items: Vec<Node>) -> Node {
        Node {
            tag: Some(Arc::from(Node::TUPLE)),
            ..self.node(Kind::Seq(items.into()))
        }
    }

    /// Next character that isn't a space.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self.rest.chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.rest = &self.rest[wanted.len_utf8()..];
        }
        found
    }

    fn literal(&mut self, depth: u32) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            '[' => {
                self.eat('[');
                let (items, _) = self.items(']', depth)?;
                Some(self.node(Kind::Seq(items.into())))
            }
            '(' => {
                self.eat('(');
                let (mut items, comma) = self.items(')', depth)?;
                if items.len() == 1 && !comma {
                    return items.pop();
                }
                Some(self.tuple(items))
            }
            '{' => self.braces(depth),
            '-' => {
                self.eat('-');
                self.peek()?;
                self.number().and_then(negative)
            }
            '+' => {
                self.eat('+');
                self.peek()?;
                self.number()
            }
            '0'..='9' | '.' => self.number(),
            _ => self.word_or_text(),
        }
        .filter(|_| !self.rest.starts_with(is_word))
    }

    /// Items up to a closing bracket, and whether the last one was followed by a comma.
    fn items(&mut self, close: char, depth: u32) -> Option<(Vec<Node>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.eat(close) {
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.literal(depth + 1)?);
            comma = self.eat(',');
        }
        Some((items, comma))
    }

    /// A dictionary or a set (which becomes a list).
    fn braces(&mut self, depth: u32) -> Option<Node> {
        self.eat('{');
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut items = Vec::new();
        let mut comma = true;
        while !self.eat('}') {
            if !comma {
                return None;
            }
            let key = self.literal(depth + 1)?;
            if matches!(key.kind, Kind::Map(_)) || (key.as_seq().is_some() && key.tag.is_none()) {
                return None;
            }
            if self.eat(':') {
                let value = self.literal(depth + 1)?;
                match entries.iter_mut().find(|(known, _)| same(known, &key)) {
                    Some(entry) => entry.1 = value,
                    None => entries.push((key, value)),
                }
            } else {
                items.push(key);
            }
            comma = self.eat(',');
        }
        match (entries.is_empty(), items.is_empty()) {
            (_, true) => Some(self.node(Kind::Map(entries.into()))),
            (true, false) => Some(self.node(Kind::Seq(items.into()))),
            (false, false) => None,
        }
    }

    fn number(&mut self) -> Option<Node> {
        let length = self
            .rest
            .char_indices()
            .find(|(at, c)| {
                let sign = matches!(c, '+' | '-')
                    && self.rest[..*at].ends_with(['e', 'E'])
                    && !self.rest.starts_with("0x");
                !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || sign)
            })
            .map_or(self.rest.len(), |(at, _)| at);
        let text = &self.rest[..length];
        let kind = python_number(text)?;
        self.rest = &self.rest[length..];
        Some(self.node(kind))
    }

    /// `True`, `False`, `None`, or strings, several of which in a row are one.
    fn word_or_text(&mut self) -> Option<Node> {
        for (word, kind) in [
            ("True", Kind::Bool(true)),
            ("False", Kind::Bool(false)),
            ("None", Kind::Null),
        ] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Some(self.node(kind));
            }
        }
        let mut text = self.string()?;
        while matches!(
            self.peek(),
            Some('"' | '\'' | 'r' | 'R' | 'u' | 'U' | 'b' | 'B')
        ) {
            text.push_str(&self.string()?);
        }
        Some(self.node(Kind::Str(text.into())))
    }

    /// A string literal, with or without prefix, single or triple quotes.
    fn string(&mut self) -> Option<String> {
        let quote_at = self.rest.find(['"', '\''])?;
        let prefix = self.rest[..quote_at].to_ascii_lowercase();
        if !matches!(prefix.as_str(), "" | "r" | "u" | "b" | "br" | "rb") {
            return None;
        }
        let body = &self.rest[quote_at..];
        let quote = &body[..1];
        let triple = quote.repeat(3);
        let close = if body.starts_with(&triple) {
            &triple
        } else {
            quote
        };
        let (text, rest) = unescape(&body[close.len()..], close, prefix.contains('r'))?;
        self.rest = rest;
        Some(text)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn same(one: &Node, other: &Node) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Str(one), Kind::Str(other)) => one == other,
        (Kind::Int(one), Kind::Int(other)) => one == other,
        (Kind::Bool(one), Kind::Bool(other)) => one == other,
        (Kind::Null, Kind::Null) => true,
        _ => false,
    }
}

fn negative(node: Node) -> Option<Node> {
    let kind = match node.kind {
        Kind::Int(value) => match value.checked_neg() {
            Some(value) => Kind::Int(value),
            None => big(-BigInt::from(value)),
        },
        Kind::BigInt(value) => big(-(*value).clone()),
        Kind::Float(value) => Kind::Float(-value),
        _ => return None,
    };
    Some(Node { kind, ..node })
}

fn big(value: BigInt) -> Kind {
    match i64::try_from(&value) {
        Ok(small) => Kind::Int(small),
        Err(_) => Kind::BigInt(Arc::new(value)),
    }
}

/// A Python number: underscores only between digits, no leading zero for integers.
fn python_number(text: &str) -> Option<Kind> {
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            let digits = plain_digits(digits.strip_prefix('_').unwrap_or(digits))?;
            return BigInt::parse_bytes(digits.as_bytes(), radix).map(big);
        }
    }
    let digits = plain_digits(&lower)?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if digits.len() > 4300 || (digits.starts_with('0') && digits.bytes().any(|b| b != b'0')) {
            return None;
        }
        return BigInt::parse_bytes(digits.as_bytes(), 10).map(big);
    }
    let numeric = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-'));
    if !numeric || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    digits.parse().ok().map(Kind::Float)
}

/// Text without its underscores; None when one of them isn't between two digits.
fn plain_digits(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let between = |at: usize| {
        at > 0
            && bytes[at - 1].is_ascii_hexdigit()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit)
    };
    let legal = bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'_' || between(at));
    (legal && !bytes.is_empty()).then(|| text.replace('_', ""))
}

/// Text up to its closing quote with Python's escapes resolved, and what follows.
fn unescape<'a>(body: &'a str, close: &str, raw: bool) -> Option<(String, &'a str)> {
    let mut text = String::new();
    let mut rest = body;
    loop {
        if let Some(after) = rest.strip_prefix(close) {
            return Some((text, after));
        }
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            text.push(c);
            continue;
        }
        let escaped = rest.chars().next()?;
        rest = &rest[escaped.len_utf8()..];
        if raw {
            text.push('\\');
            text.push(escaped);
            continue;
        }
        match escaped {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            '\\' | '\'' | '"' => text.push(escaped),
            'x' => text.push(code_point(&mut rest, 2)?),
            'u' => text.push(code_point(&mut rest, 4)?),
            'U' => text.push(code_point(&mut rest, 8)?),
            'N' => return None,
            '0'..='7' => {
                let mut value = escaped.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = rest.chars().next().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    value = value * 8 + digit;
                    rest = &rest[1..];
                }
                text.push(char::from_u32(value)?);
            }
            other => {
                text.push('\\');
                text.push(other);
            }
        }
    }
}

fn code_point(rest: &mut &str, digits: usize) -> Option<char> {
    let text = rest.get(..digits)?;
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    *rest = &rest[digits..];
    char::from_u32(u32::from_str_radix(text, 16).ok()?)
}
