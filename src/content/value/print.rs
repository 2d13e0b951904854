//! How values print: `str()` and `repr()` of Python.

use super::{Value, read};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// Containers that hold themselves are cut here at the latest.
const MAX_DEPTH: usize = 200;

impl Value {
    /// As Python's `str()`. Undefined prints as nothing; who wants an error asks first.
    pub fn to_text(&self) -> String {
        match self {
            Self::Undefined(_) => String::new(),
            Self::Str(text) => text.text.to_string(),
            other => other.repr(),
        }
    }

    /// As Python's `repr()`.
    pub fn repr(&self) -> String {
        let mut out = String::new();
        self.write_repr(&mut out, &mut Vec::new());
        out
    }

    fn write_repr(&self, out: &mut String, above: &mut Vec<usize>) {
        match self {
            Self::Undefined(_) => out.push_str("Undefined"),
            Self::None => out.push_str("None"),
            Self::Bool(true) => out.push_str("True"),
            Self::Bool(false) => out.push_str("False"),
            Self::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Self::BigInt(value) => {
                let _ = write!(out, "{value}");
            }
            Self::Float(value) => out.push_str(&float_repr(*value)),
            Self::Str(text) => text_repr(&text.text, out),
            Self::List(items) => {
                let address = Arc::as_ptr(items) as usize;
                let entered = within(address, above, |above| {
                    write_items(out, '[', &read(items), ']', above);
                });
                if !entered {
                    out.push_str("[...]");
                }
            }
            Self::Tuple(items) if items.len() == 1 => {
                out.push('(');
                items[0].write_repr(out, above);
                out.push_str(",)");
            }
            Self::Tuple(items) => write_items(out, '(', items, ')', above),
            Self::Dict(entries) => {
                let address = Arc::as_ptr(entries) as usize;
                let entered = within(address, above, |above| {
                    let entries = read(entries);
                    let entries = entries.iter().map(|(key, value)| (&key.0, value));
                    write_entries(out, entries, above);
                });
                if !entered {
                    out.push_str("{...}");
                }
            }
            Self::Object(object) => {
                if let Some(text) = object.print() {
                    out.push_str(&text);
                } else if let Some(keys) = object.keys() {
                    let values: Vec<Self> = keys
                        .iter()
                        .map(|key| object.get(key).unwrap_or(Self::None))
                        .collect();
                    write_entries(out, keys.iter().zip(&values), above);
                } else if let Some(items) = object.items() {
                    write_items(out, '[', &items, ']', above);
                } else {
                    let _ = write!(out, "<{} object>", object.type_name());
                }
            }
        }
    }
}

/// Runs the body unless the container at the address is being printed already, or is too deep.
fn within(address: usize, above: &mut Vec<usize>, body: impl FnOnce(&mut Vec<usize>)) -> bool {
    if above.contains(&address) || above.len() >= MAX_DEPTH {
        return false;
    }
    above.push(address);
    body(above);
    above.pop();
    true
}

fn write_items(out: &mut String, open: char, items: &[Value], close: char, above: &mut Vec<usize>) {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        item.write_repr(out, above);
    }
    out.push(close);
}

fn write_entries<'a>(
    out: &mut String,
    entries: impl Iterator<Item = (&'a Value, &'a Value)>,
    above: &mut Vec<usize>,
) {
    out.push('{');
    for (at, (key, value)) in entries.enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        key.write_repr(out, above);
        out.push_str(": ");
        value.write_repr(out, above);
    }
    out.push('}');
}

/// Text in quotes, as Python chooses and escapes them.
pub fn text_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || (0x7f..0xa1).contains(&(c as u32)) || c == '\u{ad}' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// The shortest digits that give the same float again, laid out as Python does: an exponent below 1e-4 and from 1e16.
pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined(missing) => write!(f, "Undefined({})", missing.name),
            Self::Str(text) if !text.trusted => write!(f, "untrusted {}", self.repr()),
            other => f.write_str(&other.repr()),
        }
    }
}

impl fmt::Debug for super::Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for super::Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Value::Str(self.clone()), f)
    }
}
