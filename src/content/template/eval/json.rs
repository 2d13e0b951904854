//! JSON as Python's `json` writes and reads it.

use super::Outcome;
use crate::content::template::TemplateError;
use crate::content::value::{Mistake, Value, float_repr};
use std::fmt::Write as _;

/// How JSON is laid out.
pub struct Style {
    /// Spaces for each level; None: all in one line.
    pub indent: Option<usize>,
    pub sort_keys: bool,
    pub ensure_ascii: bool,
    /// Between items, and between a key and its value; None: Python's own.
    pub separators: Option<(String, String)>,
}

/// Deepest nesting that is written.
const MAX_DEPTH: usize = 200;

/// The value as JSON.
pub fn dump(value: &Value, style: &Style) -> Outcome<String> {
    let mut out = String::new();
    Writer {
        style,
        out: &mut out,
    }
    .value(value, 0)?;
    Ok(out)
}

struct Writer<'a> {
    style: &'a Style,
    out: &'a mut String,
}

impl Writer<'_> {
    fn separators(&self) -> (&str, &str) {
        match &self.style.separators {
            Some((item, key)) => (item, key),
            None if self.style.indent.is_some() => (",", ": "),
            None => (", ", ": "),
        }
    }

    fn newline(&mut self, depth: usize) {
        if let Some(indent) = self.style.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn value(&mut self, value: &Value, depth: usize) -> Outcome<()> {
        if depth > MAX_DEPTH {
            return Err(TemplateError::new("Circular reference detected"));
        }
        match value {
            Value::Undefined(missing) => return Err(Mistake::undefined(missing).into()),
            Value::None => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Float(value) if value.is_nan() => self.out.push_str("NaN"),
            Value::Float(value) if value.is_infinite() => {
                self.out.push_str(if *value > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                });
            }
            Value::Float(value) => self.out.push_str(&float_repr(*value)),
            Value::Int(_) | Value::BigInt(_) => self.out.push_str(&value.to_text()),
            Value::Str(text) => self.text(&text.text),
            Value::List(_) | Value::Tuple(_) => self.items(&value.iterate()?, depth)?,
            Value::Dict(_) => self.entries(value, depth)?,
            Value::Object(object) if object.keys().is_some() => self.entries(value, depth)?,
            Value::Object(object) => match object.items() {
                Some(items) => self.items(&items, depth)?,
                None => self.text(&value.to_text()),
            },
        }
        Ok(())
    }

    fn items(&mut self, items: &[Value], depth: usize) -> Outcome<()> {
        self.out.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                let separator = self.separators().0.to_owned();
                self.out.push_str(&separator);
            }
            self.newline(depth + 1);
            self.value(item, depth + 1)?;
        }
        if !items.is_empty() {
            self.newline(depth);
        }
        self.out.push(']');
        Ok(())
    }

    fn entries(&mut self, value: &Value, depth: usize) -> Outcome<()> {
        let mut entries: Vec<_> = value.entries().unwrap_or_default().into_iter().collect();
        if self.style.sort_keys {
            let mut mistake = None;
            entries.sort_by(|(one, _), (other, _)| {
                one.0.order(&other.0).unwrap_or_else(|error| {
                    mistake.get_or_insert(error);
                    std::cmp::Ordering::Equal
                })
            });
            if let Some(mistake) = mistake {
                return Err(mistake.into());
            }
        }
        self.out.push('{');
        for (at, (key, value)) in entries.iter().enumerate() {
            if at > 0 {
                let separator = self.separators().0.to_owned();
                self.out.push_str(&separator);
            }
            self.newline(depth + 1);
            if matches!(key.0, Value::Tuple(_)) {
                return Err(TemplateError::new(
                    "keys must be str, int, float, bool or None, not tuple",
                ));
            }
            self.text(&key.json_name());
            let separator = self.separators().1.to_owned();
            self.out.push_str(&separator);
            self.value(value, depth + 1)?;
        }
        if !entries.is_empty() {
            self.newline(depth);
        }
        self.out.push('}');
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                c if (c as u32) < 0x20 || (self.style.ensure_ascii && !c.is_ascii()) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// The value that JSON writes; its text is the operator's.
pub fn load(text: &str) -> Outcome {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) => Ok(Value::from_trusted_json(&json)),
        Err(error) => Err(TemplateError::new(format!("from_json: {error}"))
            .hint(format!("The text is: {}", shortened(text)))),
    }
}

fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
