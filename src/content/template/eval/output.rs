//! What a template prints, and the value that Ansible makes of it.

use super::literal;
use crate::content::template::{Templar, TemplateError};
use crate::content::value::{Mistake, Text, Value, read};

/// Everything that was printed so far. One piece alone keeps its value: only what is joined becomes text.
#[derive(Default)]
pub struct Output {
    only: Option<Value>,
    text: String,
    joined: bool,
    untrusted: bool,
    /// None was printed, and is told apart from nothing.
    none: bool,
}

impl Output {
    pub fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.join();
            if self.text.is_empty() && !self.joined {
                self.only = Some(Value::from(text));
            } else {
                self.text.push_str(text);
            }
        }
    }

    /// A printed value: None prints as nothing (not so in native mode), undefined is an error wherever it hides.
    pub fn value(&mut self, value: Value, native: bool) -> Result<(), Mistake> {
        let survey = Survey::of(&value)?;
        self.untrusted |= survey.untrusted;
        self.none = matches!(value, Value::None) && self.only.is_none() && !self.joined;
        let value = if matches!(value, Value::None) && !native || value.is_lenient() {
            Value::from("")
        } else {
            value
        };
        self.join();
        if self.joined {
            push_text(&mut self.text, &value);
        } else {
            self.only = Some(value);
        }
        Ok(())
    }

    /// What was printed alone is joined by more.
    fn join(&mut self) {
        if let Some(value) = self.only.take() {
            push_text(&mut self.text, &value);
            self.joined = true;
        }
    }

    /// All of it as text.
    pub fn into_text(mut self) -> Text {
        self.join();
        let trusted = !self.untrusted;
        Text::new(self.text, trusted)
    }

    /// The value that Ansible's native mode makes of it: what was printed alone is itself, text that reads as a literal
    /// of Python is that, everything else is text.
    pub fn into_native(self, untrusted: bool) -> Value {
        let untrusted = untrusted || self.untrusted;
        let value = match self.only {
            Some(Value::Str(text)) if text.stays_text => Value::Str(text),
            Some(Value::Str(text)) if text.text.is_empty() && self.none => Value::None,
            Some(Value::Str(text)) => native(&text.text),
            Some(value) => value,
            None => native(&self.text),
        };
        if untrusted && !matches!(value, Value::Object(_)) {
            value.distrusted()
        } else {
            value
        }
    }

    /// The value that Ansible's classic mode makes of it: text that reads as a list, a dictionary or a boolean becomes
    /// one; everything else is text.
    pub fn into_value(self, untrusted: bool) -> Value {
        let untrusted = untrusted || self.untrusted;
        let mark = |value: Value| {
            if untrusted && !matches!(value, Value::Object(_)) {
                value.distrusted()
            } else {
                value
            }
        };
        mark(match self.only {
            Some(Value::Str(text)) if text.stays_text => Value::Str(text),
            Some(value @ Value::Bool(_)) => value,
            Some(value @ (Value::List(_) | Value::Dict(_))) if is_plain(&value) => value,
            Some(value) if Templar::is_omit(&value) => value,
            Some(value) => from_text(value.to_text()),
            None => from_text(self.text),
        })
    }
}

fn push_text(out: &mut String, value: &Value) {
    match value {
        Value::Str(text) => out.push_str(&text.text),
        other => out.push_str(&other.to_text()),
    }
}

/// Text, or the literal that it is. A text in quotes keeps them.
fn native(text: &str) -> Value {
    if text.starts_with([' ', '\t']) {
        return Value::from(text);
    }
    match literal::parse_python(text) {
        Some(Value::Str(_)) | None => Value::from(text),
        Some(value) => value,
    }
}

/// Text, or what it reads as.
fn from_text(text: String) -> Value {
    let literal = text.starts_with(['{', '[']) || text == "True" || text == "False";
    match literal.then(|| literal::parse(&text)).flatten() {
        Some(value) => value,
        None => Value::from(text),
    }
}

/// What a value holds, as far as printing cares.
#[derive(Default)]
pub struct Survey {
    pub untrusted: bool,
}

impl Survey {
    pub fn of(value: &Value) -> Result<Self, Mistake> {
        let mut survey = Self::default();
        survey.visit(value)?;
        Ok(survey)
    }

    fn visit(&mut self, value: &Value) -> Result<(), Mistake> {
        match value {
            Value::Undefined(missing) if !missing.lenient => {
                return Err(Mistake::undefined(missing));
            }
            Value::Str(text) => self.untrusted |= !text.trusted,
            Value::List(items) => {
                for item in read(items).iter() {
                    self.visit(item)?;
                }
            }
            Value::Tuple(items) => {
                for item in items.iter() {
                    self.visit(item)?;
                }
            }
            Value::Dict(entries) => {
                for (key, value) in read(entries).iter() {
                    self.visit(&key.0)?;
                    self.visit(value)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// True when printing the value and reading it back gives the same value.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Float(value) => value.is_finite(),
        Value::List(items) => read(items).iter().all(is_plain),
        Value::Tuple(items) => items.iter().all(is_plain),
        Value::Dict(entries) => read(entries)
            .iter()
            .all(|(key, value)| is_plain(&key.0) && is_plain(value)),
        Value::Object(_) => Templar::is_omit(value),
        Value::Undefined(_) => false,
        _ => true,
    }
}

/// An error of the values room, at a place of the template.
pub fn at(mistake: Mistake, span: crate::content::template::syntax::ast::Span) -> TemplateError {
    TemplateError::from(mistake).on(span.line, span.column)
}
