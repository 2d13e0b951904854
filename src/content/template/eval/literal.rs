//! Reads Python's literals, as Ansible reads rendered text that looks like a list or a dictionary. JSON's `true`,
//! `false` and `null` are read too.

use crate::content::template::syntax::unescape;
use crate::content::value::{Key, Value};
use indexmap::IndexMap;
use num_bigint::BigInt;

/// Deepest nesting that is read; deeper text stays text.
const MAX_DEPTH: u32 = 90;

/// The value that the text writes; None when it isn't a literal.
pub fn parse(text: &str) -> Option<Value> {
    read(text, true)
}

/// The same without the words of JSON.
pub fn parse_python(text: &str) -> Option<Value> {
    read(text, false)
}

fn read(text: &str, json: bool) -> Option<Value> {
    let mut reader = Reader {
        rest: text,
        depth: 0,
        json,
    };
    let value = reader.value()?;
    let value = if reader.eat(',') {
        let mut items = vec![value];
        items.extend(reader.bare_items()?);
        Value::tuple(items)
    } else {
        value
    };
    reader.blank();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    depth: u32,
    /// `true`, `false` and `null` are words.
    json: bool,
}

impl Reader<'_> {
    fn blank(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.find('\n').map_or("", |at| &comment[at..]),
                None => return,
            }
        }
    }

    fn eat(&mut self, c: char) -> bool {
        self.blank();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.blank();
        let value = match self.rest.chars().next()? {
            '[' => {
                self.eat('[');
                Value::list(self.items(']')?.0)
            }
            '(' => {
                self.eat('(');
                let (mut items, comma) = self.items(')')?;
                if items.len() == 1 && !comma {
                    items.pop()?
                } else {
                    Value::tuple(items)
                }
            }
            '{' => self.dict()?,
            '\'' | '"' => self.strings()?,
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number()?,
            'r' | 'R' | 'u' | 'U' if self.rest[1..].starts_with(['\'', '"']) => self.strings()?,
            _ => self.word()?,
        };
        self.depth -= 1;
        Some(value)
    }

    fn items(&mut self, close: char) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            if self.eat(close) {
                return Some((items, comma));
            }
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.value()?);
            comma = self.eat(',');
        }
    }

    /// The rest of a tuple without parentheses, behind its first comma.
    fn bare_items(&mut self) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            self.blank();
            if self.rest.is_empty() {
                return Some(items);
            }
            items.push(self.value()?);
            if !self.eat(',') {
                return Some(items);
            }
        }
    }

    fn dict(&mut self) -> Option<Value> {
        self.eat('{');
        let mut entries = IndexMap::new();
        let mut comma = true;
        loop {
            if self.eat('}') {
                return Some(Value::dict(entries));
            }
            if !comma {
                return None;
            }
            let key = Key::of(&self.value()?).ok()?;
            if !self.eat(':') {
                return None;
            }
            let value = self.value()?;
            entries.insert(key, value);
            comma = self.eat(',');
        }
    }

    /// One string, or several that stand side by side.
    fn strings(&mut self) -> Option<Value> {
        let mut text = String::new();
        loop {
            let prefix = self
                .rest
                .chars()
                .next()
                .filter(|c| matches!(c, 'r' | 'R' | 'u' | 'U'));
            let raw = matches!(prefix, Some('r' | 'R'));
            let quoted = &self.rest[usize::from(prefix.is_some())..];
            let Some(quote) = quoted.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
                return Some(Value::from(text));
            };
            let inner = &quoted[1..];
            let mut escaped = false;
            let end = inner.char_indices().find_map(|(at, c)| {
                if escaped {
                    escaped = false;
                    return None;
                }
                escaped = c == '\\';
                (c == quote).then_some(at)
            })?;
            let inside = &inner[..end];
            if inside.contains('\n') {
                return None;
            }
            if raw {
                text.push_str(inside);
            } else {
                text.push_str(&unescape(inside)?);
            }
            self.rest = &inner[end + 1..];
            self.blank();
        }
    }

    fn number(&mut self) -> Option<Value> {
        let mut negative = false;
        while let Some(sign) = self.rest.chars().next().filter(|c| matches!(c, '-' | '+')) {
            negative ^= sign == '-';
            self.rest = self.rest[1..].trim_start();
        }
        let len = self
            .rest
            .char_indices()
            .find(|(at, c)| {
                let exponent = matches!(c, '+' | '-')
                    && self.rest[..*at].ends_with(['e', 'E'])
                    && !self.rest.starts_with("0x");
                !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || exponent)
            })
            .map_or(self.rest.len(), |(at, _)| at);
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        let value = number(word)?;
        if negative {
            crate::content::value::neg(&value).ok()
        } else {
            Some(value)
        }
    }

    fn word(&mut self) -> Option<Value> {
        let len = self
            .rest
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        match word {
            "None" => Some(Value::None),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "null" if self.json => Some(Value::None),
            "true" if self.json => Some(Value::Bool(true)),
            "false" if self.json => Some(Value::Bool(false)),
            _ => None,
        }
    }
}

/// A number as Python writes it in source: no leading zeros, single underscores between digits.
fn number(word: &str) -> Option<Value> {
    if word.starts_with('_') || word.ends_with('_') || word.contains("__") {
        return None;
    }
    let digits = word.replace('_', "");
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = digits.to_ascii_lowercase().strip_prefix(prefix) {
            return BigInt::parse_bytes(rest.as_bytes(), radix).map(Value::integer);
        }
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        if digits.starts_with('0') && digits.bytes().any(|b| b != b'0') {
            return None;
        }
        return BigInt::parse_bytes(digits.as_bytes(), 10).map(Value::integer);
    }
    let is_float = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    is_float
        .then(|| digits.parse().ok().map(Value::Float))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_python_does() {
        let cases = [
            ("[1, 'a', None, True]", "[1, 'a', None, True]"),
            ("{'a': (1,), \"b\": {}}", "{'a': (1,), 'b': {}}"),
            ("[true, null]", "[True, None]"),
            ("[1, # one\n 2,]", "[1, 2]"),
            ("['a' 'b']", "['ab']"),
            ("[-1, 0x10, 1e3, 1_000]", "[-1, 16, 1000.0, 1000]"),
            ("[(1)]", "[1]"),
            ("[1],{}", "([1], {})"),
            ("[1],", "([1],)"),
            (r"[r'\n', u'a']", r"['\\n', 'a']"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse(text).map(|value| value.repr()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn other_text_is_not_read() {
        for text in [
            "[1",
            "[1.2.3.4]",
            "[a]",
            "{1, 2}",
            "[1] x",
            "[1], x",
            "[01]",
            "{'a' 1}",
            "[1 2]",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_can_be_read(words: Vec<String>, numbers: Vec<i64>) {
            let value = Value::list(
                words.into_iter().map(Value::from).chain(numbers.into_iter().map(Value::Int)).collect(),
            );
            proptest::prop_assert_eq!(parse(&value.repr()), Some(value));
        }

        #[test]
        fn no_text_breaks_it(text in "[\\[\\]{}(),:'\"a1.\\-\\\\ ]{0,30}") {
            if let Some(value) = parse(&text) {
                proptest::prop_assert_eq!(parse(&value.repr()), Some(value));
            }
        }
    }
}
